//! What somebody says about a verdict: kept, and shown under it.

use super::headline::note;
use super::{Bench, report};
use crate::domain::redact;
use crate::domain::scorecard::Word;
use crate::slack::feedback::About;
use crate::slack::messages::Message;
use crate::store::{ClickedButton, NewFeedback};

/// Keeps what a click says.
///
/// # Errors
/// Where it cannot be stored.
pub async fn keep(bench: &Bench, click: &ClickedButton, word: Word) -> anyhow::Result<()> {
    let Some(about) = About::read(&click.value) else { return Ok(()) };
    let said = click.reason.as_deref().map(redact::text);
    let new = NewFeedback {
        incident: about.incident,
        round: about.round,
        by: &click.user,
        word,
        cause: about.cause,
        note: said.as_deref(),
        click: &click.delivery,
    };
    if !bench.store.note_feedback(&new, bench.clock.now()).await? {
        return Ok(());
    }
    bench.metrics.count("verdicts_judged");
    let row = bench.store.incident_row(about.incident).await?;
    if row.is_some_and(|row| row.round == about.round) {
        report::refresh_result(bench, about.incident).await?;
    }
    let text = format!(
        "Noted for {}: {}. Your last word counts; `/investigate scorecard` shows what it adds up to.",
        about.incident,
        match word {
            Word::Right => "right",
            Word::Wrong => "wrong",
            Word::Other => "something else",
        }
    );
    let thread = click.thread_ts.as_deref();
    // It is kept already: where nobody can be told, nothing is lost and nothing is done again.
    if let Err(error) =
        note(bench, bench.slack.tell(&click.channel, thread, &click.user, &Message::plain(text)).await)
    {
        tracing::warn!(error = %format!("{error:#}"), "a private answer could not be given");
    }
    Ok(())
}
