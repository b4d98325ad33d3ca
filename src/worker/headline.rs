//! The one message per incident that always tells how things stand.

use anyhow::Context as _;

use super::{Bench, Done};
use crate::domain::incident::{IncidentId, State};
use crate::slack::messages::{self, Headline};
use crate::slack::{Posted, SlackError};

/// Posts the headline where there is none yet, and edits it where there is.
///
/// `progress` is what the agents do now; `latest` is what happened last.
///
/// # Errors
/// Where Slack does not take it.
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
        .find_map(|approval| approval.outcome)
        .filter(|_| row.state != State::Investigating);
    let message = messages::headline(&Headline {
        id,
        service: &row.service,
        state: row.state,
        opened_at: row.opened_at,
        alerts_received: row.alerts_received,
        previous: row.previous,
        report: row.report.as_ref(),
        progress,
        latest: latest.or(stored_latest.as_deref()).or(row.close_reason.as_deref()),
    });
    match (&row.channel, &row.headline_ts) {
        (Some(channel), Some(ts)) => {
            let place = Posted { channel: channel.clone(), ts: ts.clone() };
            match bench.slack.update(&place, &message).await {
                // Somebody deleted it: the thread still has the result.
                Err(SlackError::Refused { code, .. })
                    if code == "message_not_found" || code == "cant_update_message" =>
                {
                    tracing::warn!(incident = %id, "the headline is gone and stays gone");
                }
                other => note(bench, other)?,
            }
        }
        _ => {
            let channel = row
                .channel
                .as_deref()
                .or_else(|| bench.settings.config.channel_for(&row.service))
                .map(str::to_owned);
            let Some(channel) = channel else {
                tracing::info!(incident = %id, "no channel is configured for this service; nothing is posted");
                return Ok(Done::Finished);
            };
            let posted = bench.slack.post(&channel, row.thread_ts.as_deref(), &message).await;
            let posted = note(bench, posted)?;
            // An alert's own message is the thread; else the headline itself begins one.
            let thread = row.thread_ts.as_deref().unwrap_or(&posted.ts);
            bench
                .store
                .note_headline(id, &posted.channel, thread, &posted.ts)
                .await
                .context("noting the headline")?;
        }
    }
    Ok(Done::Finished)
}

/// Notes for `/readyz` whether Slack answered.
pub(super) fn note<T>(bench: &Bench, result: Result<T, SlackError>) -> anyhow::Result<T> {
    let up = !matches!(result, Err(SlackError::Deadline { .. } | SlackError::Unreachable { .. }));
    bench.metrics.dependency("slack", up);
    bench.metrics.count(if result.is_ok() { "slack_calls" } else { "slack_calls_failed" });
    Ok(result?)
}
