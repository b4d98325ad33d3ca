//! Did it help? The symptom since the change, read again until it is decided or time is up.
//!
//! The rule that is not obvious: a rollback that is taken back is looked at in the same way, so that it is known to
//! be in effect and how the service fares since; the incident stays 'not recovered', whatever that shows.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::roll_back::say_once;
use super::{Bench, Done, delivery, headline, roll_back, take_back};
use crate::analysis::aftermath;
use crate::aws::metrics::{self, Query};
use crate::aws::rollback::{self, InEffect};
use crate::bundle;
use crate::domain::evidence::Evidence;
use crate::domain::incident::State;
use crate::domain::recovery::{Judgement, Word, judge};
use crate::domain::redact;
use crate::fail_points::Point;
use crate::slack::messages;
use crate::store::{Approval, IncidentRow};

/// A new look so often: two periods of high-resolution metrics.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_secs(5);
const READ_DEADLINE: Duration = Duration::from_secs(15);
/// Requests that were under way when the change took effect still end as before: so long is the
/// longest that a caller of such a service waits.
const IN_FLIGHT: SignedDuration = SignedDuration::from_secs(3);
/// The period of high-resolution metrics that is asked for, in seconds.
const FINE: u32 = 10;

pub async fn verify(bench: &Bench, approval: &str) -> anyhow::Result<Done> {
    let Some(approval) = bench.store.approval(approval).await? else { return Ok(Done::Finished) };
    let Some(row) = bench.store.incident_row(approval.incident).await? else { return Ok(Done::Finished) };
    let Some(applied_at) = approval.applied_at else { return Ok(Done::Finished) };
    if row.state == State::Resolved {
        return Ok(Done::Finished);
    }
    let purpose = format!("recovery/{}", approval.id);
    let taking_back = approval.undoes.is_some();
    let waits = if taking_back { State::NotRecovered } else { State::Verifying };
    if row.state == waits && approval.judged.is_none() {
        let within = bench.settings.config.approvals.verify_within.0;
        let took_effect = take_effect(bench, &approval).await?;
        let judgement = match &took_effect {
            Ok(at) => look(bench, &row, at.saturating_add(IN_FLIGHT)?).await?,
            Err(how_far) => Judgement { word: Word::TooEarly, figures: how_far.clone() },
        };
        bench.fail_points.pass(Point::InEffect).await;
        let now = bench.clock.now();
        let since = took_effect.unwrap_or(applied_at);
        let time_is_up = now >= since.saturating_add(within)?;
        // Whoever keeps the value of before was named when the time was up, and had as long again to start anew.
        let late = approval.plan.target.may_reach_late().filter(|_| !taking_back);
        let is_waited_for = now < since.saturating_add(within)?.saturating_add(within)?;
        let judgement = match &late {
            Some(why) if is_waited_for => patient(why, judgement),
            _ => judgement,
        };
        match judgement.word {
            Word::TooEarly if !time_is_up => {
                headline::refresh(bench, row.id, &[], Some(&judgement.figures)).await?;
                return Ok(Done::Again(LOOK_AGAIN));
            }
            // Said once, and looked at again later, until the incident closes: traffic may come back.
            Word::TooEarly => {
                say(bench, &row, &format!("{purpose}/early"), None, &judgement.figures).await?;
                // Where no alert fires any more, what fires next is another problem than the one that was measured.
                if !taking_back && bench.store.close_if_over(row.id, now).await? {
                    return Ok(Done::Finished);
                }
                return Ok(Done::Again(within));
            }
            _ if taking_back && !time_is_up => {
                headline::refresh(bench, row.id, &[], Some(&judgement.figures)).await?;
                return Ok(Done::Again(LOOK_AGAIN));
            }
            word if taking_back => {
                let words = taken_back(&approval, word, &judgement.figures);
                bench.store.note_judgement(&approval, word, &words, now).await?;
            }
            Word::Recovered => {
                bench.store.note_judgement(&approval, Word::Recovered, &judgement.figures, now).await?;
            }
            Word::NotRecovered if !time_is_up => {
                // A service needs its time to drain: bad news is not final before the time is up.
                headline::refresh(bench, row.id, &[], Some(&judgement.figures)).await?;
                return Ok(Done::Again(LOOK_AGAIN));
            }
            Word::NotRecovered => {
                // With what that says of the causes: it is kept with the figures that it follows from.
                let means = match late {
                    Some(why) => format!("{why} Until then it says nothing against the cause."),
                    None => row.report.as_ref().map(aftermath::lowered).unwrap_or_default(),
                };
                let words = format!("{} {means}", judgement.figures);
                bench.store.note_judgement(&approval, Word::NotRecovered, words.trim_end(), now).await?;
            }
        }
    }
    bench.fail_points.pass(Point::Judged).await;
    // What an earlier run of this step decided and did not come to telling is told now.
    let Some(approval) = bench.store.approval(&approval.id).await? else { return Ok(Done::Finished) };
    if approval.judged.is_none() {
        return Ok(Done::Finished);
    }
    if !bench.store.is_owed(row.id, &purpose).await? {
        tell(bench, &approval, &purpose).await?;
    }
    bench.fail_points.pass(Point::JudgementTold).await;
    if approval.judged == Some(Word::NotRecovered) && !taking_back {
        return take_back::offer(bench, &approval).await;
    }
    Ok(Done::Finished)
}

/// Trouble that goes on says nothing yet against a rollback that may not have reached everybody.
fn patient(why: &str, judgement: Judgement) -> Judgement {
    match judgement.word {
        Word::NotRecovered => {
            Judgement { word: Word::TooEarly, figures: format!("{} {why}", judgement.figures) }
        }
        _ => judgement,
    }
}

/// How the service fares since a rollback was taken back.
fn taken_back(approval: &Approval, word: Word, figures: &str) -> String {
    let since = approval.in_effect_at.or(approval.applied_at);
    let since = since.map(|at| format!(" since {}", at.strftime("%H:%M:%S UTC"))).unwrap_or_default();
    let means = match word {
        Word::Recovered => "and the symptom is gone all the same",
        _ => "and the symptom is there as it was",
    };
    format!("Taken back and in effect{since}, {means}. {figures}")
}

/// A look that fails again and again is told in the thread, once, and goes on: no incident stays 'verifying' in
/// silence.
///
/// # Errors
/// Where not even that can be stored.
pub async fn tell_trouble(bench: &Bench, approval: &str, error: &anyhow::Error) -> anyhow::Result<()> {
    let Some(approval) = bench.store.approval(approval).await? else { return Ok(()) };
    let Some(row) = bench.store.incident_row(approval.incident).await? else { return Ok(()) };
    let why = redact::text(&format!("{error:#}"));
    let words = format!(
        "{}: whether the change helped cannot be seen: the bot fails at looking ({why}). It goes on trying; look at \
         the service by hand meanwhile.",
        row.id
    );
    if say_once(bench, &row, &format!("cannot_look/{}", approval.id), &words).await? {
        headline::refresh(bench, row.id, &[], Some(&words)).await?;
    }
    Ok(())
}

/// When the change served everybody, asked of AWS until it did; else how far it is, as a sentence.
async fn take_effect(bench: &Bench, approval: &Approval) -> anyhow::Result<Result<Timestamp, String>> {
    if let Some(at) = approval.in_effect_at {
        return Ok(Ok(at));
    }
    let now = bench.clock.now();
    let deadline = Instant::now() + READ_DEADLINE;
    let at =
        match rollback::in_effect(roll_back::reach(bench, approval).await?, &approval.plan.target, deadline)
            .await
        {
            // Most changes serve everybody as soon as AWS has answered.
            Ok(InEffect::Yes) if approval.plan.target.is_immediate() => approval.applied_at.unwrap_or(now),
            Ok(InEffect::Yes) => now,
            Ok(InEffect::NotYet { what }) => {
                return Ok(Err(format!("The change is made and not in effect everywhere yet: {what}.")));
            }
            Err(error) => {
                bench.note_aws(false);
                return Ok(Err(format!(
                    "Whether the change is in effect cannot be read at the moment: {error}."
                )));
            }
        };
    bench.store.note_in_effect(approval, at).await?;
    bench.fail_points.pass(Point::EffectNoted).await;
    Ok(Ok(at))
}

async fn tell(bench: &Bench, approval: &Approval, purpose: &str) -> anyhow::Result<()> {
    let Some(row) = bench.store.incident_row(approval.incident).await? else { return Ok(()) };
    if approval.undoes.is_some() {
        let words = approval.outcome.as_deref().unwrap_or_default();
        say_once(bench, &row, purpose, words).await?;
        headline::refresh(bench, row.id, &[], Some(words)).await?;
        return Ok(());
    }
    let recovered = approval.judged == Some(Word::Recovered);
    bench.metrics.count(if recovered { "recoveries" } else { "recoveries_failed" });
    let figures = approval.outcome.as_deref().unwrap_or_default();
    say(bench, &row, purpose, Some(recovered), figures).await?;
    headline::refresh(bench, row.id, &[], Some(figures)).await?;
    Ok(())
}

async fn say(
    bench: &Bench,
    row: &IncidentRow,
    purpose: &str,
    recovered: Option<bool>,
    figures: &str,
) -> anyhow::Result<()> {
    // What was said stays said: a later look says something new under another purpose.
    if !bench.slack.is_configured() || bench.store.is_owed(row.id, purpose).await? {
        return Ok(());
    }
    let Some(channel) = &row.channel else { return Ok(()) };
    let message = messages::recovery(row.id, recovered, figures);
    delivery::owe(bench, row.id, channel, purpose, &message, None).await?;
    Ok(())
}

/// One look at the series that showed the trouble.
async fn look(bench: &Bench, row: &IncidentRow, since: jiff::Timestamp) -> anyhow::Result<Judgement> {
    let evidence: Evidence = bundle::from_files(&bench.store.evidence(row.id).await?)?;
    let onset = row.report.as_ref().and_then(|report| report.onset);
    let (Some(stored), Some(onset)) = (&evidence.series, onset) else {
        return Ok(Judgement { word: Word::TooEarly, figures: "There are no metrics to judge by.".into() });
    };
    let now = bench.clock.now();
    let scope = crate::domain::evidence::Scope { now, ..evidence.scope.clone() };
    let yardsticks = aftermath::yardsticks(&evidence.scope, stored, &onset);
    // Earlier days and other services were read too; only what may show this service is read again.
    let fine: Vec<Query> =
        stored.iter().map(|series| Query::of(series, FINE)).filter(|query| query.period == FINE).collect();
    let coarse: Vec<Query> = stored.iter().map(|series| Query::of(series, 60)).collect();
    let deadline = Instant::now() + READ_DEADLINE;
    let aws = bench.aws_of(&row.service);
    let (fine, coarse) = tokio::join!(
        metrics::recent(aws, &fine, since, now, deadline),
        metrics::recent(aws, &coarse, since, now, deadline)
    );
    let readings = match (fine, coarse) {
        (Ok(fine), Ok(coarse)) => [fine, coarse],
        (Ok(fine), Err(_)) => [fine, Vec::new()],
        (Err(_), Ok(coarse)) => [Vec::new(), coarse],
        (Err(error), Err(_)) => {
            bench.note_aws(false);
            return Ok(Judgement {
                word: Word::TooEarly,
                figures: format!("The metrics cannot be read at the moment: {error}."),
            });
        }
    };
    bench.note_aws(true);
    let mut latest = None;
    for yardstick in &yardsticks {
        for series in &readings {
            let after = aftermath::measure(yardstick, &scope, series, since);
            if after == crate::domain::report::Symptoms::default() {
                continue;
            }
            let beside = aftermath::beside((&evidence.scope, stored, &onset), (&scope, series), since);
            let judgement = judge(&yardstick.levels, &after, &beside);
            if judgement.word != Word::TooEarly {
                return Ok(judgement);
            }
            latest.get_or_insert(judgement);
        }
    }
    Ok(latest.unwrap_or_else(|| Judgement {
        word: Word::TooEarly,
        figures: "Nothing was measured since the change yet.".into(),
    }))
}
