//! The approved change, made at most once.
//!
//! The rule that is not obvious: the mark 'sent' is on disk before the call leaves. A second run of
//! this step finds it and reads back what AWS holds; it never sends again. What was sent may still be on its
//! way, so 'nothing happened' is believed only some time after it left.

use std::time::Duration;

use jiff::SignedDuration;
use tokio::time::Instant;

use super::fail_points::Point;
use super::{Bench, Done, delivery, headline};
use crate::analysis::redact;
use crate::aws::ReadError;
use crate::aws::rollback::{self, Obstacle, Outcome, State};
use crate::domain::approval::Decision;
use crate::domain::audit::What;
use crate::domain::execution::{self, Finding, Next, Seen};
use crate::domain::incident::State as IncidentState;
use crate::slack::messages;
use crate::store::{Approval, Ended, IncidentRow};

/// AWS answers an alias's move at once; an environment's update settles within seconds.
const APPLY_DEADLINE: Duration = Duration::from_secs(30);
const READ_DEADLINE: Duration = Duration::from_secs(10);
/// How often AWS is asked again where it cannot be looked at before the change.
const ASK_AGAIN: SignedDuration = SignedDuration::from_secs(5);

/// How far a run of this step came.
enum Step {
    Ended(Ended),
    /// Not known yet: to be looked at again after this time.
    Open(SignedDuration),
}

impl Step {
    fn applied(words: String) -> Self {
        Self::Ended(Ended { applied: true, words, look_again: false })
    }

    fn not_applied(words: String) -> Self {
        Self::Ended(Ended { applied: false, words, look_again: false })
    }

    /// Nothing was changed because the world is not as the plan has it: the investigation looks again.
    fn moved(words: String) -> Self {
        Self::Ended(Ended { applied: false, words, look_again: true })
    }
}

pub async fn roll_back(bench: &Bench, approval: &str) -> anyhow::Result<Done> {
    let Some(mut approval) = bench.store.approval(approval).await? else { return Ok(Done::Finished) };
    let Some(row) = bench.store.incident_row(approval.incident).await? else { return Ok(Done::Finished) };
    if approval.decision != Some(Decision::Approved) {
        return Ok(Done::Finished);
    }
    if approval.outcome.is_none() {
        if row.state != IncidentState::RollingBack {
            return Ok(Done::Finished);
        }
        bench.fail_points.pass(Point::Approved).await;
        let ended = match carry_out(bench, &approval).await? {
            Step::Ended(ended) => ended,
            Step::Open(wait) => return Ok(Done::Again(wait)),
        };
        if bench.store.note_outcome(&approval, &ended, bench.clock.now()).await? {
            bench.metrics.count(if ended.applied { "rollbacks_applied" } else { "rollbacks_not_applied" });
        }
        bench.wake.notify_one();
        bench.fail_points.pass(Point::OutcomeStored).await;
        approval.outcome = Some(ended.words);
    }
    tell(bench, &approval, &row).await?;
    bench.fail_points.pass(Point::OutcomeTold).await;
    Ok(Done::Finished)
}

/// Says in the thread what became of it, once, also where an earlier run did not come to that.
async fn tell(bench: &Bench, approval: &Approval, row: &IncidentRow) -> anyhow::Result<()> {
    let purpose = format!("outcome/{}", approval.id);
    let words = approval.outcome.as_deref().unwrap_or_default();
    if bench.store.is_owed(row.id, &purpose).await? {
        return Ok(());
    }
    if let Some(channel) = row.channel.as_deref().filter(|_| bench.slack.is_configured()) {
        delivery::owe(bench, row.id, channel, &purpose, &messages::notice(row.id, words), None).await?;
    }
    headline::refresh(bench, row.id, &[], Some(words)).await?;
    Ok(())
}

async fn carry_out(bench: &Bench, approval: &Approval) -> anyhow::Result<Step> {
    match execution::next(approval.sent_at, approval.expires_at, bench.clock.now()) {
        Next::ReadBack => return read_back(bench, approval).await,
        Next::TooLate => {
            return Ok(Step::not_applied(
                "The approval was interrupted and has expired; nothing was changed.".into(),
            ));
        }
        Next::Send => {}
    }
    match look(bench, approval).await? {
        Ok(()) => {
            bench.fail_points.pass(Point::Checked).await;
            send(bench, approval).await
        }
        Err(Obstacle::Unreadable { error: error @ ReadError::AccessDenied { .. } }) => {
            Ok(Step::not_applied(format!("Nothing was changed: {error}.")))
        }
        Err(Obstacle::Unreadable { error }) => {
            // Nothing left yet: it is tried again until the approval expires.
            tracing::warn!(incident = %approval.incident, %error, "cannot look before the change");
            bench.metrics.dependency("aws", false);
            Ok(Step::Open(ASK_AGAIN))
        }
        Err(obstacle) => {
            Ok(Step::moved(format!("Nothing was changed: {obstacle}. The investigation looks again.")))
        }
    }
}

/// Whether the plan still holds exactly as it was posted.
pub(super) async fn look(bench: &Bench, approval: &Approval) -> anyhow::Result<Result<(), Obstacle>> {
    let target = &approval.plan.target;
    let found = rollback::check(&bench.aws, target, bench.clock.now(), Instant::now() + READ_DEADLINE).await;
    let answer = match &found {
        Ok(()) => "all that the plan starts from is still there".to_owned(),
        Err(obstacle) => redact::text(&obstacle.to_string()),
    };
    let what = What::Checked { call: target.reading_call().to_owned(), answer };
    bench.store.note_step(approval, what, bench.clock.now()).await?;
    Ok(found)
}

async fn send(bench: &Bench, approval: &Approval) -> anyhow::Result<Step> {
    let session = format!("{}-{}", approval.incident, approval.decided_by.as_deref().unwrap_or("nobody"));
    let writer = bench.aws.writer(&session).await;
    let plan = &approval.plan;
    let call = plan.target.call().to_owned();
    let leaving = What::Sending { call: call.clone(), resource: plan.what.clone(), session };
    if !bench.store.note_sending(approval, leaving, bench.clock.now()).await? {
        return read_back(bench, approval).await;
    }
    bench.fail_points.pass(Point::Marked).await;
    let deadline = Instant::now() + APPLY_DEADLINE;
    let outcome = rollback::apply(&bench.aws, &writer, &plan.target, deadline).await;
    bench.metrics.dependency("aws", !matches!(outcome, Outcome::Unknown { .. }));
    bench.fail_points.pass(Point::Answered).await;
    let answered = What::Answered { call, answer: redact::text(&answer(&outcome)) };
    bench.store.note_step(approval, answered, bench.clock.now()).await?;
    bench.fail_points.pass(Point::AnswerNoted).await;
    let what = &plan.what;
    Ok(match outcome {
        Outcome::Applied => Step::applied(format!("Rolled back: {what}.")),
        Outcome::Moved { what: moved } => {
            Step::moved(format!("Nothing was changed: {moved}. The investigation looks again."))
        }
        Outcome::Refused { error } => Step::not_applied(format!("Nothing was changed: {error}.")),
        Outcome::NotSupported { what } => {
            Step::not_applied(format!("Nothing was changed: the bot does not make this change ({what})."))
        }
        Outcome::Unknown { reason } => {
            tracing::warn!(incident = %approval.incident, reason, "no answer to a change; reading back");
            match bench.store.approval(&approval.id).await? {
                Some(sent) => read_back(bench, &sent).await?,
                None => Step::Open(ASK_AGAIN),
            }
        }
    })
}

fn answer(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Applied => "carried out".into(),
        Outcome::Moved { what } => format!("refused, something moved: {what}"),
        Outcome::Unknown { reason } => format!("no certain answer: {reason}"),
        Outcome::Refused { error } => format!("refused: {error}"),
        Outcome::NotSupported { what } => format!("not sent, the bot does not make this change: {what}"),
    }
}

/// What became of a call that left and whose answer is not known.
async fn read_back(bench: &Bench, approval: &Approval) -> anyhow::Result<Step> {
    let target = &approval.plan.target;
    let read = rollback::read_back(&bench.aws, target, Instant::now() + READ_DEADLINE).await;
    let now = bench.clock.now();
    let sent_at = approval.sent_at.unwrap_or(now);
    let (seen, told) = match &read {
        Ok(State::Restored) => (Seen::Restored, "as the plan wants it".to_owned()),
        Ok(State::Unchanged) => (Seen::Unchanged, "as it was before".to_owned()),
        Ok(State::Other { what }) => (Seen::Other, what.clone()),
        Err(error) => (Seen::Unreadable, error.to_string()),
    };
    let what = &approval.plan.what;
    let step = match execution::find(seen, sent_at, now) {
        Finding::Open(wait) => {
            if seen == Seen::Unreadable {
                tracing::warn!(incident = %approval.incident, told, "cannot read back what became of a change");
                bench.metrics.dependency("aws", false);
            }
            return Ok(Step::Open(wait));
        }
        Finding::Unknown => Step::not_applied(format!(
            "The change was sent, and nothing tells what became of it ({told}). Look at it by hand: {what}."
        )),
        Finding::Applied => Step::applied(format!("Rolled back: {what} (read back from AWS).")),
        Finding::NotApplied => Step::moved(format!(
            "The change was interrupted and did not take place: {what}. The investigation looks again."
        )),
        Finding::Moved => Step::moved(format!(
            "The change was interrupted, and something else moved: {told}. The investigation looks again."
        )),
    };
    let call = target.reading_call().to_owned();
    let read = What::ReadBack { call, answer: redact::text(&told) };
    bench.store.note_step(approval, read, now).await?;
    Ok(step)
}
