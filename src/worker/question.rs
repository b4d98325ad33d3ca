//! The question which service an alert is about: posted in the alert's thread, and edited once answered.

use super::{Bench, Done, delivery};
use crate::slack::questions::{self, Ended};
use crate::store::Owed;

/// Owes the question as it stands now.
///
/// # Errors
/// Where the database does not take it; it is tried again.
pub async fn show(bench: &Bench, id: i64) -> anyhow::Result<Done> {
    let Some(question) = bench.store.question(id).await? else { return Ok(Done::Finished) };
    if !bench.slack.is_configured() {
        return Ok(Done::Finished);
    }
    let name = question.alert.as_ref().and_then(|alert| alert.alert_name.as_deref());
    let asked = questions::Asked { id, alert_name: name, candidates: &question.candidates };
    let ended = question.answer.as_ref().map(|answer| Ended {
        service: answer.service.as_deref(),
        by: answer.by.as_deref(),
        at: answer.at,
        incident: answer.incident,
    });
    let owed = Owed {
        purpose: format!("question/{id}"),
        incident: None,
        channel: question.channel,
        thread_ts: Some(question.thread_ts),
        body: questions::question(&asked, ended.as_ref()).to_json(),
        image: None,
        approval: None,
    };
    delivery::put(bench, &owed).await?;
    Ok(Done::Finished)
}
