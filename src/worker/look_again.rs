//! Late evidence: CloudTrail delivers minutes after the fact, so it is asked again.
//!
//! The rule that is not obvious: only CloudTrail is read anew, against everything else as it was
//! stored. What differs then is due to the late records alone, and an export still re-derives it.
//! People are told in the thread only where the verdict changes; else the messages are edited.

use std::time::Duration;

use anyhow::Context as _;

use super::{Bench, Done, headline, investigate, report};
use crate::domain::incident::{IncidentId, State};
use crate::domain::report::{Cause, Report};
use crate::store::StoreError;
use crate::{agents, analysis, bundle};

/// A handful of lookups at two a second.
const READ_WITHIN: Duration = Duration::from_secs(20);

/// Whether CloudTrail could still tell something that this report lacks.
pub fn is_worth_it(report: &Report) -> bool {
    let unnamed = report.verdict.change.as_ref().is_some_and(|change| change.event_id.is_none());
    unnamed
        || report.verdict.cause == Cause::Unknown
        || report.gaps.iter().any(|gap| gap.source == "cloudtrail")
}

pub async fn look_again(bench: &Bench, id: IncidentId, round: i64, times: usize) -> anyhow::Result<Done> {
    let Some(row) = bench.store.incident_row(id).await? else { return Ok(Done::Finished) };
    let Some(before) = row.report.filter(|_| row.round == round && row.state != State::Investigating) else {
        return Ok(Done::Finished);
    };
    let evidence = bundle::from_files(&bench.store.evidence(id).await?)?;
    let evidence = agents::read_trail_again(&bench.aws, evidence, READ_WITHIN).await;
    let delivered = investigate::delivered(bench, &evidence).await?;
    let evidence = agents::add_delivered(evidence, delivered);
    let files = bundle::to_files(&evidence);
    let (after, files) = tokio::task::spawn_blocking(move || {
        let evidence = bundle::from_files(&files)?;
        anyhow::Ok((analysis::investigate(&evidence), files))
    })
    .await??;
    let now = bench.clock.now();
    let blamed = |report: &Report| {
        let change = report.verdict.change.as_ref();
        (report.verdict.cause, change.map(|change| (change.resource.clone(), change.kind.clone())))
    };
    if blamed(&before) != blamed(&after.report) {
        let why = format!(
            "CloudTrail delivered late; the verdict would be {} instead of {}",
            after.report.verdict.cause.as_str(),
            before.verdict.cause.as_str()
        );
        match bench.store.investigate_again(id, &why, now).await {
            Ok(_) => bench.wake.notify_one(),
            // A change is under way or the incident is closed: it stays as it was told.
            Err(StoreError::Misfit(_)) => bench.store.note(id, &why, now).await?,
            Err(error) => return Err(error.into()),
        }
        return Ok(Done::Finished);
    }
    if before != after.report {
        bench.store.revise(id, round, &after.report, &files, now).await.context("saving late evidence")?;
        report::refresh_result(bench, id).await?;
        headline::refresh(bench, id, &[], None).await?;
    }
    let delays = &bench.settings.config.incidents.look_again;
    match delays.get(times + 1).zip(delays.get(times)) {
        Some((next, last)) if is_worth_it(&after.report) => {
            let job = crate::store::JobKind::LookAgain { round, times: times + 1 };
            let wait = next.0.saturating_sub(last.0);
            bench.store.enqueue(&job, Some(id), now.saturating_add(wait)?).await?;
        }
        _ => {}
    }
    Ok(Done::Finished)
}
