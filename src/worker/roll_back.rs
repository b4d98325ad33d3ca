//! The approved change, made at most once.
//!
//! The rule that is not obvious: the mark 'sent' is on disk before the call leaves. A second run of
//! this step finds it and reads back what AWS holds; it never sends again.

use std::time::Duration;

use tokio::time::Instant;

use super::{Bench, Done, delivery, headline};
use crate::aws::rollback::{self, Outcome, State};
use crate::domain::approval::Decision;
use crate::domain::incident::State as IncidentState;
use crate::slack::messages;
use crate::store::Approval;

/// AWS answers an alias's move at once; an environment's update settles within seconds.
const APPLY_DEADLINE: Duration = Duration::from_secs(30);
const READ_BACK_DEADLINE: Duration = Duration::from_secs(10);

/// What came of it, as is said in the thread.
struct Result {
    applied: bool,
    words: String,
}

pub async fn roll_back(bench: &Bench, approval: &str) -> anyhow::Result<Done> {
    let Some(approval) = bench.store.approval(approval).await? else { return Ok(Done::Finished) };
    let Some(row) = bench.store.incident_row(approval.incident).await? else { return Ok(Done::Finished) };
    if approval.decision != Some(Decision::Approved) || row.state != IncidentState::RollingBack {
        return Ok(Done::Finished);
    }
    let now = bench.clock.now();
    let result = if approval.sent_at.is_some() {
        read_back(bench, &approval).await?
    } else if now >= approval.expires_at {
        Result {
            applied: false,
            words: "The approval was interrupted and has expired; nothing was changed.".into(),
        }
    } else {
        send(bench, &approval).await?
    };
    let now = bench.clock.now();
    bench.store.note_outcome(&approval, result.applied, &result.words, now).await?;
    bench.wake.notify_one();
    if !result.applied {
        bench.metrics.count("rollbacks_not_applied");
        if let Some(channel) = row.channel.as_deref().filter(|_| bench.slack.is_configured()) {
            let message = messages::notice(row.id, &result.words);
            let purpose = format!("not_applied/{}", approval.id);
            delivery::owe(bench, row.id, channel, &purpose, &message, None).await?;
        }
    }
    headline::refresh(bench, row.id, &[], Some(&result.words)).await?;
    Ok(Done::Finished)
}

async fn send(bench: &Bench, approval: &Approval) -> anyhow::Result<Result> {
    let session = format!("{}-{}", approval.incident, approval.decided_by.as_deref().unwrap_or("nobody"));
    let writer = bench.aws.writer(&session).await;
    if !bench.store.note_sending(&approval.id, bench.clock.now()).await? {
        return read_back(bench, approval).await;
    }
    let what = &approval.plan.what;
    let outcome = rollback::apply(&writer, &approval.plan.target, Instant::now() + APPLY_DEADLINE).await;
    bench.metrics.dependency("aws", !matches!(outcome, Outcome::Unknown { .. }));
    Ok(match outcome {
        Outcome::Applied => {
            bench.metrics.count("rollbacks_applied");
            Result { applied: true, words: format!("Rolled back: {what}.") }
        }
        Outcome::Moved { what: moved } => Result {
            applied: false,
            words: format!("Nothing was changed: {moved}. Investigate again for a new plan."),
        },
        Outcome::Refused { error } => {
            Result { applied: false, words: format!("Nothing was changed: {error}.") }
        }
        Outcome::NotSupported { what } => Result {
            applied: false,
            words: format!("Nothing was changed: the bot does not make this change ({what})."),
        },
        Outcome::Unknown { reason } => {
            tracing::warn!(incident = %approval.incident, reason, "no answer to a change; reading back");
            read_back(bench, approval).await?
        }
    })
}

async fn read_back(bench: &Bench, approval: &Approval) -> anyhow::Result<Result> {
    let deadline = Instant::now() + READ_BACK_DEADLINE;
    let state = rollback::read_back(&bench.aws, &approval.plan.target, deadline).await?;
    let what = &approval.plan.what;
    Ok(match state {
        State::Restored => {
            Result { applied: true, words: format!("Rolled back: {what} (read back from AWS).") }
        }
        State::Unchanged => Result {
            applied: false,
            words: format!(
                "The change was interrupted and did not take place: {what}. Investigate again for a new plan."
            ),
        },
        State::Other { what } => Result {
            applied: false,
            words: format!("The change was interrupted, and something else moved: {what}."),
        },
    })
}
