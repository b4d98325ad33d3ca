//! The one message per incident that always tells how things stand.

use super::{Bench, Done, delivery};
use crate::domain::incident::IncidentId;
use crate::domain::plan::Aim;
use crate::slack::SlackError;
use crate::slack::messages::{self, Headline};
use crate::store::HEADLINE;

/// What is told of an incident whose investigation keeps failing.
const ASIDE: &str = "The investigation keeps failing and is put aside: `incident-commander jobs list` says why, \
    `jobs retry` tries again.";

/// Owes the headline as things stand now: it is posted where there is none yet, and edited where there is.
///
/// `progress` is what the agents do now; `latest` is what happened last.
///
/// # Errors
/// Where it cannot be stored.
pub async fn refresh(
    bench: &Bench,
    id: IncidentId,
    progress: &[String],
    latest: Option<&str>,
) -> anyhow::Result<Done> {
    if !bench.slack.is_configured() {
        return Ok(Done::Finished);
    }
    let Some(row) = bench.store.incident_row(id).await? else { return Ok(Done::Finished) };
    let stored_latest = bench
        .store
        .approvals_of(id)
        .await?
        .into_iter()
        .rev()
        // What a test came to says more than that it was ended.
        .filter(|approval| approval.plan.aim != Aim::EndTrial)
        .find_map(|approval| approval.outcome)
        .filter(|_| !row.awaits_verdict);
    let aside = row.awaits_verdict && bench.store.is_investigation_aside(id).await?;
    let latest = if aside { Some(ASIDE) } else { latest };
    let message = messages::headline(&Headline {
        id,
        service: &row.service,
        state: row.state,
        awaits_verdict: row.awaits_verdict,
        opened_at: row.opened_at,
        alerts_received: row.alerts_received,
        previous: row.previous,
        owner: bench.settings.config.service(&row.service).and_then(|service| service.owner.as_deref()),
        report: row.report.as_ref(),
        progress,
        latest: latest.or(stored_latest.as_deref()),
        closed: row.close_reason.as_deref().map(|reason| (reason, row.closed_by.as_deref())),
    });
    let channel = row.channel.as_deref().or_else(|| bench.settings.config.channel_for(&row.service));
    let Some(channel) = channel else {
        tracing::info!(incident = %id, "no channel is configured for this service; nothing is posted");
        return Ok(Done::Finished);
    };
    delivery::owe(bench, id, channel, HEADLINE, &message, None).await?;
    Ok(Done::Finished)
}

/// Notes for `/readyz` whether Slack answered.
pub(super) fn note<T>(bench: &Bench, result: Result<T, SlackError>) -> anyhow::Result<T> {
    let up = !matches!(result, Err(SlackError::Deadline { .. } | SlackError::Unreachable { .. }));
    bench.metrics.dependency("slack", up);
    bench.metrics.count(if result.is_ok() { "slack_calls" } else { "slack_calls_failed" });
    Ok(result?)
}
