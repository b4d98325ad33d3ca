//! The story of an incident, step by step.
//!
//! investigate → report → (somebody clicks) decide → roll back → verify → the headline says how it
//! ended. Where a test was approved: … decide → roll back → trial → investigate. Each step is one verb in a file of its own; each reads what is stored, acts, and saves.

use super::{
    Bench, Done, decide, headline, investigate, look_again, mute, question, record, report, roll_back,
    settle, storm, trial, verify,
};
use crate::domain::approval::Decision;
use crate::domain::incident::{IncidentId, State};
use crate::fail_points::Point;
use crate::store::{Decided, Job, JobKind, StoreError};

/// Does one job.
///
/// # Errors
/// Whatever kept the step from its end; it is tried again.
pub async fn run(bench: &Bench, job: &Job) -> anyhow::Result<Done> {
    // Each step waits on the heap: together they would fill a thread's stack in a debug build.
    match (&job.kind, job.incident) {
        (JobKind::Investigate, Some(id)) => Box::pin(investigate::investigate(bench, id)).await,
        (JobKind::Report { round }, Some(id)) => Box::pin(report::report(bench, id, *round)).await,
        (JobKind::Decide { click }, _) => Box::pin(decide::decide(bench, click)).await,
        (JobKind::RollBack { approval }, Some(_)) => Box::pin(roll_back::roll_back(bench, approval)).await,
        (JobKind::Verify { approval }, Some(_)) => Box::pin(verify::verify(bench, approval)).await,
        (JobKind::EndTrial { approval, pressed }, Some(_)) => {
            Box::pin(trial::end(bench, approval, pressed.as_ref())).await
        }
        (JobKind::ReadTrial { approval }, Some(_)) => Box::pin(trial::read(bench, approval)).await,
        (JobKind::Settle { approval }, Some(_)) => Box::pin(settle::settle(bench, approval)).await,
        (JobKind::Headline, Some(id)) => Box::pin(headline::refresh(bench, id, &[], None)).await,
        (JobKind::LookAgain { round, times }, Some(id)) => {
            Box::pin(look_again::look_again(bench, id, *round, *times)).await
        }
        (JobKind::AskWhich { question }, _) => Box::pin(question::show(bench, *question)).await,
        (JobKind::Storm { began_at }, _) => Box::pin(storm::show(bench, *began_at)).await,
        (JobKind::Record { service }, _) => Box::pin(record::look(bench, service)).await,
        (JobKind::EndMute { mute }, _) => Box::pin(mute::end(bench, *mute)).await,
        (JobKind::CloseQuiet, Some(id)) => Box::pin(close_quiet(bench, id)).await,
        (JobKind::Expire { approval }, Some(id)) => Box::pin(expire(bench, approval, id)).await,
        (_, None) => anyhow::bail!("a job without its incident"),
    }
}

/// Ends an approval that nobody decided in time, and shows it.
async fn expire(bench: &Bench, approval: &str, id: IncidentId) -> anyhow::Result<Done> {
    let Some(approval) = bench.store.approval(approval).await? else { return Ok(Done::Finished) };
    let expired = Decided::by_nobody(Decision::Expired);
    if approval.decision.is_none() {
        bench.store.decide(&approval, &expired, bench.clock.now()).await?;
        bench.metrics.count_of("approvals_decided", "expired");
        bench.fail_points.pass(Point::Expired).await;
    }
    // Also where an earlier run of this step decided and did not come to showing it.
    if matches!(approval.decision, None | Some(Decision::Expired)) {
        report::show_decision(bench, &approval.id).await?;
        headline::refresh(bench, id, &[], None).await?;
    }
    Ok(Done::Finished)
}

/// Closes an incident of which nothing new was heard for `close_after`.
async fn close_quiet(bench: &Bench, id: IncidentId) -> anyhow::Result<Done> {
    let Some(row) = bench.store.incident_row(id).await? else { return Ok(Done::Finished) };
    let now = bench.clock.now();
    let close_after = bench.settings.config.incidents.close_after.0;
    let due = row.heard_at.saturating_add(close_after)?;
    if row.state == State::Resolved {
        return Ok(Done::Finished);
    }
    if now < due {
        return Ok(Done::Again(due.duration_since(now)));
    }
    match bench.store.close_incident(id, "nothing new was heard", now).await {
        Ok(_) => Ok(Done::Finished),
        // A change is under way; it is closed when that has ended.
        Err(StoreError::Misfit(_)) => Ok(Done::Again(close_after)),
        Err(error) => Err(error.into()),
    }
}
