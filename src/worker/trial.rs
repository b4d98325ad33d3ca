//! A small test under way: ended when its time is over or somebody wants it, read once CloudWatch has counted it, and
//! weighed anew.
//!
//! The rule that is not obvious: whether it is over is what AWS shows, never what was sent. An end that was refused or
//! lost is followed by another look, and an alias that somebody else has moved meanwhile is left as it is.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::roll_back::say_once;
use super::{Bench, Done, delivery, headline, offer, roll_back};
use crate::aws::ReadError;
use crate::aws::metrics;
use crate::aws::rollback::Obstacle;
use crate::domain::approval::Decision;
use crate::domain::execution::Effect;
use crate::domain::incident::State;
use crate::domain::plan::Plan;
use crate::domain::trial::{self, Design, Trial, beside};
use crate::fail_points::Point;
use crate::slack::approvals::{self, Running};
use crate::store::{Approval, Decided, EndPressed, IncidentRow, TrialEnd};

const READ_DEADLINE: Duration = Duration::from_secs(15);
/// How often AWS is asked again where it cannot be read.
const ASK_AGAIN: SignedDuration = SignedDuration::from_secs(5);
/// An end that cannot even be looked for is told after this time, and goes on being looked for.
const TOLD_AFTER: SignedDuration = SignedDuration::from_mins(1);
/// The last minute has to end, and Lambda's metrics arrive within about half a minute of that.
const COUNTED_AFTER: SignedDuration = SignedDuration::from_secs(95);
/// Metrics that are late are waited for so long, and a CloudWatch that does not answer.
const COUNTED_LATE: SignedDuration = SignedDuration::from_mins(3);
const COUNTED_NEVER: SignedDuration = SignedDuration::from_mins(10);
const READ_AGAIN: SignedDuration = SignedDuration::from_secs(15);

/// When a test ends by itself: so long after its call left, however late anybody learnt what became of that.
fn due(trial: &Approval, now: Timestamp) -> Timestamp {
    let begun = trial.sent_at.or(trial.applied_at).unwrap_or(now);
    begun.saturating_add(trial::LASTS).unwrap_or(now)
}

/// Ends a test: its time is over, or somebody `pressed` the button. The job comes at its time, which moves with the clock.
pub async fn end(bench: &Bench, approval: &str, pressed: Option<&EndPressed>) -> anyhow::Result<Done> {
    let Some(trial) = bench.store.approval(approval).await? else { return Ok(Done::Finished) };
    let Some(row) = bench.store.incident_row(trial.incident).await? else { return Ok(Done::Finished) };
    let Some(design) = trial.plan.design().cloned() else { return Ok(Done::Finished) };
    if let Some(end) = bench.store.trial_end(&trial).await? {
        return over(bench, &trial, &row, &end).await;
    }
    let now = bench.clock.now();
    if row.state != State::Trying {
        return Ok(Done::Finished);
    }
    match bench.store.ends_of(&trial).await?.last() {
        // Its own step is at it, and comes back here.
        Some(end) if end.outcome.is_none() => return Ok(Done::Finished),
        Some(end) if end.effect.is_some_and(Effect::is_in_place) => {
            let how = "The test is ended, and its result follows in a minute or two.";
            return note_over(bench, &trial, &row, how).await;
        }
        _ => {}
    }
    let target = match trial.plan.target.reversed() {
        Ok(target) => target,
        Err(why) => anyhow::bail!("a test that has no way back: {why}"),
    };
    match offer::tried(bench, &row.service, &target).await {
        Ok((target, _)) => {
            let plan = Plan::ending(&design, target);
            let (by, click) = match pressed {
                Some(EndPressed { by, click }) => (Some(by.as_str()), Some(click.as_str())),
                None => (trial.decided_by.as_deref(), None),
            };
            let reason = if pressed.is_some() { "ends the test early" } else { "part of the test" };
            let decided = Decided {
                decision: Decision::Approved,
                by,
                reason: Some(reason),
                click,
                break_glass: trial.break_glass && pressed.is_none(),
            };
            bench.store.end_trial(&trial, &plan, &decided, now).await?;
            bench.fail_points.pass(Point::EndAsked).await;
            bench.wake.notify_one();
            Ok(Done::Finished)
        }
        Err(Obstacle::AlreadyThere { .. }) => {
            note_over(
                bench,
                &trial,
                &row,
                "Somebody else has ended the test; its result follows in a minute or two.",
            )
            .await
        }
        Err(Obstacle::Moved { what } | Obstacle::Gone { what }) => moved(bench, &trial, &row, &what).await,
        Err(Obstacle::Unreadable { error: error @ ReadError::NotFound { .. } }) => {
            moved(bench, &trial, &row, &error.to_string()).await
        }
        Err(obstacle) => {
            if now.duration_since(due(&trial, now)) >= TOLD_AFTER || pressed.is_some() {
                let words = format!(
                    "{}: the test cannot be ended yet: {}. It is tried again and again; by hand: `{}`",
                    row.id,
                    offer::in_words(&obstacle),
                    target.without_revision()
                );
                if say_once(bench, &row, &format!("cannot_end/{}", trial.id), &words).await? {
                    headline::refresh(bench, row.id, &[], Some(&words)).await?;
                }
            }
            Ok(Done::Again(ASK_AGAIN))
        }
    }
}

/// Somebody else has moved what the test moved: theirs stands.
async fn moved(bench: &Bench, trial: &Approval, row: &IncidentRow, what: &str) -> anyhow::Result<Done> {
    let how = format!(
        "Somebody else has moved it while the test ran, and that is left as it is: {}.",
        crate::domain::redact::text(what).trim_end_matches('.')
    );
    note_over(bench, trial, row, &how).await
}

async fn note_over(bench: &Bench, trial: &Approval, row: &IncidentRow, how: &str) -> anyhow::Result<Done> {
    let now = bench.clock.now();
    bench.store.note_trial_over(trial, how, now.saturating_add(COUNTED_AFTER)?, now).await?;
    bench.fail_points.pass(Point::TrialOver).await;
    match bench.store.trial_end(trial).await? {
        Some(end) => over(bench, trial, row, &end).await,
        None => Ok(Done::Finished),
    }
}

/// Tells that a test is over, where its message stands.
async fn over(bench: &Bench, trial: &Approval, row: &IncidentRow, end: &TrialEnd) -> anyhow::Result<Done> {
    if end.result.is_none() {
        show(bench, trial, row, Some(end)).await?;
        headline::refresh(bench, row.id, &[], Some(&end.how)).await?;
    }
    Ok(Done::Finished)
}

/// The message of a test that was begun: until when it runs, with a button that ends it; or how it ended.
pub(super) async fn show(
    bench: &Bench,
    trial: &Approval,
    row: &IncidentRow,
    end: Option<&TrialEnd>,
) -> anyhow::Result<()> {
    let Some(channel) = row.channel.as_deref().filter(|_| bench.slack.is_configured()) else { return Ok(()) };
    // As it is stored by now: when its call left counts.
    let Some(trial) = bench.store.approval(&trial.id).await? else { return Ok(()) };
    let message = approvals::running(
        row.id,
        &Running {
            approval: &trial.id,
            words: trial.outcome.as_deref().unwrap_or_default(),
            until: due(&trial, bench.clock.now()),
            ended: end.map(|end| (end.at, end.how.as_str())),
        },
    );
    delivery::owe(bench, row.id, channel, &purpose(&trial), &message, None).await?;
    Ok(())
}

/// What its message is owed for.
pub(super) fn purpose(trial: &Approval) -> String {
    format!("outcome/{}", trial.id)
}

/// Reads what was counted in a test that is over, and has the hypotheses weighed anew with it.
pub async fn read(bench: &Bench, approval: &str) -> anyhow::Result<Done> {
    let Some(approval) = bench.store.approval(approval).await? else { return Ok(Done::Finished) };
    let Some(row) = bench.store.incident_row(approval.incident).await? else { return Ok(Done::Finished) };
    let (Some(design), Some(end)) = (approval.plan.design(), bench.store.trial_end(&approval).await?) else {
        return Ok(Done::Finished);
    };
    let result = match end.result {
        // An earlier run of this step did not come to telling it.
        Some(result) => result,
        None => match counted(bench, &approval, design, end.at).await? {
            Ok(trial) => {
                let now = bench.clock.now();
                bench.store.note_trial_result(&approval, &trial, &trial.describe(), now).await?;
                bench.fail_points.pass(Point::TrialRead).await;
                bench.wake.notify_one();
                trial
            }
            Err(wait) => return Ok(Done::Again(wait)),
        },
    };
    let words = format!("{} The hypotheses are weighed anew with it.", result.describe());
    if say_once(bench, &row, &format!("trial/{}", approval.id), &words).await? {
        headline::refresh(bench, row.id, &[], Some(&words)).await?;
    }
    Ok(Done::Finished)
}

/// What was counted, or after what time to look again.
async fn counted(
    bench: &Bench,
    approval: &Approval,
    design: &Design,
    ended_at: Timestamp,
) -> anyhow::Result<Result<Trial, SignedDuration>> {
    let now = bench.clock.now();
    let begun_at = approval.sent_at.or(approval.applied_at).unwrap_or(ended_at);
    let since_end = now.duration_since(ended_at);
    let deadline = Instant::now() + READ_DEADLINE;
    let window = (begun_at, ended_at);
    let aws = roll_back::reach(bench, approval).await?;
    let read = tokio::join!(
        metrics::executed(aws, design, &design.earlier, window, now, deadline),
        metrics::executed(aws, design, &design.current, window, now, deadline)
    );
    let (earlier, current) = match read {
        (Ok(earlier), Ok(current)) => (earlier, current),
        (Err(error), _) | (_, Err(error)) => {
            bench.note_aws(false);
            tracing::warn!(incident = %approval.incident, %error, "what was counted in a test cannot be read");
            if since_end < COUNTED_NEVER {
                return Ok(Err(READ_AGAIN));
            }
            (Vec::new(), Vec::new())
        }
    };
    if earlier.is_empty() && since_end < COUNTED_LATE {
        return Ok(Err(READ_AGAIN));
    }
    let (earlier_count, current_count) = beside(&earlier, &current);
    Ok(Ok(Trial { design: design.clone(), begun_at, ended_at, earlier_count, current_count }))
}
