//! What becomes of a job whose step failed: tried again, put aside, or neither.
//!
//! The rule that is not obvious: some things are never put aside. A change that was approved ends with a sentence in its
//! thread, and traffic that a test moved is watched until it is back, however often that fails.

use jiff::SignedDuration;

use super::{Bench, DATABASE_AGAIN, Done, roll_back, verify};
use crate::domain::incident::IncidentId;
use crate::slack::SlackError;
use crate::store::{Job, JobKind, StoreError};

/// When an end that cannot be stored, or a look that fails, is tried again.
const END_AGAIN: SignedDuration = SignedDuration::from_mins(5);
/// Where Slack named a time that no clock can hold.
const SLACK_AGAIN: SignedDuration = SignedDuration::from_secs(30);

/// Notes a failure with its job.
///
/// # Errors
/// Where not even that can be written.
pub(super) async fn note(bench: &Bench, job: &Job, error: &anyhow::Error) -> Result<(), StoreError> {
    if let Some(wait) = waits(bench, job, error) {
        return end(bench, job, Done::Again(wait)).await;
    }
    if job.is_last_attempt()
        && let Some(done) = at_last(bench, job, error).await
    {
        return end(bench, job, done).await;
    }
    let put_aside = bench.store.fail(job, &format!("{error:#}"), bench.clock.now()).await?;
    bench.metrics.count("steps_failed");
    let incident = job.incident.map(|id| id.to_string()).unwrap_or_default();
    if !put_aside {
        tracing::warn!(incident, job = job.id, error = %format!("{error:#}"), "a step failed and is tried again");
        return Ok(());
    }
    tracing::error!(incident, job = job.id, error = %format!("{error:#}"), "a job is put aside");
    bench.metrics.count("jobs_put_aside");
    match (&job.kind, job.incident) {
        (JobKind::Investigate, Some(id)) => tell_put_aside(bench, id, job.attempts).await,
        _ => Ok(()),
    }
}

/// Ends a job's turn.
pub(super) async fn end(bench: &Bench, job: &Job, done: Done) -> Result<(), StoreError> {
    match done {
        Done::Finished => bench.store.finish(job.id).await,
        Done::Again(after) => {
            let now = bench.clock.now();
            bench.store.again(job.id, now.saturating_add(after).unwrap_or(now)).await
        }
    }
}

/// How long a step waits that did not fail itself; nothing is counted against it.
fn waits(bench: &Bench, job: &Job, error: &anyhow::Error) -> Option<SignedDuration> {
    if let Some(SlackError::TooFast { wait, .. }) = error.downcast_ref::<SlackError>() {
        // Slack named the time.
        return Some(SignedDuration::try_from(*wait).unwrap_or(SLACK_AGAIN));
    }
    if error.downcast_ref::<StoreError>().is_some_and(StoreError::is_of_the_moment) {
        // Nothing can be written now. However long that lasts, nothing is put aside for it.
        bench.metrics.count("database_failures");
        tracing::error!(job = job.id, %error, "a step waits for the database");
        return Some(SignedDuration::try_from(DATABASE_AGAIN).unwrap_or(SignedDuration::ZERO));
    }
    None
}

/// What is done about a job that failed for the last time and is not put aside; `None` where it is.
async fn at_last(bench: &Bench, job: &Job, error: &anyhow::Error) -> Option<Done> {
    match &job.kind {
        JobKind::RollBack { approval } => match roll_back::give_up(bench, approval, error).await {
            Ok(()) => Some(Done::Finished),
            // Not even that can be stored.
            Err(trouble) => {
                tracing::error!(job = job.id, %trouble, "a change that failed cannot be ended");
                Some(Done::Again(END_AGAIN))
            }
        },
        JobKind::Verify { approval } => {
            if let Err(trouble) = verify::tell_trouble(bench, approval, error).await {
                tracing::error!(job = job.id, %trouble, "a look that fails cannot be told");
            }
            Some(Done::Again(END_AGAIN))
        }
        JobKind::EndTrial { .. } | JobKind::ReadTrial { .. } => {
            // Traffic is on a version where it does not belong.
            tracing::error!(job = job.id, error = %format!("{error:#}"), "a test cannot be followed up");
            bench.metrics.count("steps_failed");
            Some(Done::Again(END_AGAIN))
        }
        _ => None,
    }
}

/// Nobody investigates an incident any more: its history and its headline say so, and it closes when it is quiet.
async fn tell_put_aside(bench: &Bench, id: IncidentId, attempts: i64) -> Result<(), StoreError> {
    let now = bench.clock.now();
    bench.store.note(id, &format!("the investigation failed {attempts} times and is put aside"), now).await?;
    let quiet = now.saturating_add(bench.settings.config.incidents.close_after.0).unwrap_or(now);
    bench.store.enqueue(&JobKind::CloseQuiet, Some(id), quiet).await?;
    bench.store.enqueue(&JobKind::Headline, Some(id), now).await
}
