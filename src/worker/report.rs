//! Telling people: the result as one new message in the thread, then the chart.

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};

use super::headline::{self, note};
use super::{Bench, Done};
use crate::chart::{self, ChartInput, Mark, MarkKind};
use crate::domain::incident::IncidentId;
use crate::domain::report::{Report, Symptoms};
use crate::slack::Posted;
use crate::slack::messages::{self, ResultView};
use crate::store::IncidentRow;

/// How much of ordinary life the chart shows before the story begins.
const LOOK_BACK: SignedDuration = SignedDuration::from_mins(40);

/// Posts the result of this round once, with the button where a plan waits for approval.
///
/// # Errors
/// Where Slack does not take it; what was posted is noted and not posted again.
pub async fn report(bench: &Bench, id: IncidentId, round: i64) -> anyhow::Result<Done> {
    let Some(row) = bench.store.incident_row(id).await? else { return Ok(Done::Finished) };
    if row.round != round || !bench.slack.is_configured() {
        return Ok(Done::Finished);
    }
    headline::refresh(bench, id, &[], None).await?;
    // The headline knows the thread; without one nothing can be posted anywhere.
    let Some(row) = bench.store.incident_row(id).await? else { return Ok(Done::Finished) };
    let (Some(channel), Some(thread), Some(report)) = (&row.channel, &row.thread_ts, &row.report) else {
        return Ok(Done::Finished);
    };
    let purpose = format!("result/{round}");
    if bench.store.posted(id, &purpose).await?.is_none() {
        let approval = bench.store.pending_approval(id).await?;
        let message = messages::result(&ResultView {
            id,
            report,
            plan: approval.as_ref().map(|approval| (approval.id.as_str(), &approval.plan)),
            decided: None,
        });
        let posted = note(bench, bench.slack.post(channel, Some(thread), &message).await)?;
        if let Some(approval) = &approval {
            bench.store.note_button(&approval.id, &posted.channel, &posted.ts).await?;
        }
        bench.store.note_post(id, &purpose, &posted.channel, &posted.ts, bench.clock.now()).await?;
        bench.steps_done.send_modify(|count| *count += 1);
    }
    let purpose = format!("chart/{round}");
    if bench.store.posted(id, &purpose).await?.is_none() {
        let thread = Posted { channel: channel.clone(), ts: thread.clone() };
        if let Err(error) = post_chart(bench, &row, report, &thread).await {
            // The verdict stands without its picture.
            tracing::warn!(incident = %id, error = %format!("{error:#}"), "the chart could not be posted");
        }
        bench.store.note_post(id, &purpose, channel, &thread.ts, bench.clock.now()).await?;
    }
    Ok(Done::Finished)
}

async fn post_chart(
    bench: &Bench,
    row: &IncidentRow,
    report: &Report,
    thread: &Posted,
) -> anyhow::Result<()> {
    let symptoms = shown(&row.symptoms, report);
    let input = chart_input(row, report, &symptoms);
    if input.symptoms.error_rate.is_empty() && input.symptoms.latency_p99.is_empty() {
        return Ok(());
    }
    let alternative = chart::describe(&input);
    let svg = chart::svg(&input);
    let png = tokio::task::spawn_blocking(move || chart::png(&svg)).await.context("drawing")??;
    let name = format!("{}.png", row.id);
    let title = format!("{}: error rate and p99 latency", row.id);
    note(bench, bench.slack.upload_image(thread, &name, &title, &alternative, png).await)
}

/// The part of the series that tells the story: from some time before the change or the onset on.
fn shown(symptoms: &Symptoms, report: &Report) -> Symptoms {
    let onset = report.onset.map(|onset| onset.earliest);
    let change = report.verdict.change.as_ref().map(|change| change.at);
    // A change that waited for hours is marked in the chart's footnote rather than flattening the rest.
    let near = change.filter(|at| onset.is_none_or(|onset| onset.duration_since(*at) <= LOOK_BACK * 3));
    let Some(first) = onset.into_iter().chain(near).min() else { return symptoms.clone() };
    let from = first.saturating_sub(LOOK_BACK).unwrap_or(first);
    let cut = |points: &[(Timestamp, f64)]| -> Vec<(Timestamp, f64)> {
        points.iter().copied().filter(|(at, _)| *at >= from).collect()
    };
    Symptoms {
        error_rate: cut(&symptoms.error_rate),
        latency_p99: cut(&symptoms.latency_p99),
        requests: cut(&symptoms.requests),
        ..symptoms.clone()
    }
}

/// What the chart of an incident shows.
pub fn chart_input<'a>(row: &IncidentRow, report: &Report, symptoms: &'a Symptoms) -> ChartInput<'a> {
    let mut marks = vec![Mark { at: row.opened_at, label: "alert".into(), kind: MarkKind::Alert }];
    if let Some(change) = &report.verdict.change {
        let keys: Vec<String> = change
            .config
            .iter()
            .map(|key| {
                let side = |value: &Option<String>| value.clone().unwrap_or_else(|| "?".into());
                format!("{} {} → {}", key.key, side(&key.before), side(&key.after))
            })
            .collect();
        let label = if keys.is_empty() { change.resource.clone() } else { keys.join(", ") };
        marks.push(Mark { at: change.at, label, kind: MarkKind::Deployment });
    }
    ChartInput { title: format!("{} {}", row.id, row.service), symptoms, marks, onset: report.onset }
}

/// Replaces the buttons by who decided and when.
///
/// # Errors
/// Where Slack does not take the edit.
pub async fn show_decision(bench: &Bench, approval: &str) -> anyhow::Result<()> {
    match bench.store.approval(approval).await? {
        Some(approval) => refresh_result(bench, approval.incident).await,
        None => Ok(()),
    }
}

/// Brings the result's message up to date with what is stored: the report, and how its approval
/// stands.
///
/// # Errors
/// Where Slack does not take the edit.
pub async fn refresh_result(bench: &Bench, id: IncidentId) -> anyhow::Result<()> {
    let Some(row) = bench.store.incident_row(id).await? else { return Ok(()) };
    let place = bench.store.posted(id, &format!("result/{}", row.round)).await?;
    let (Some((channel, ts)), Some(report)) = (place, &row.report) else { return Ok(()) };
    let approval = bench.store.approvals_of(id).await?.into_iter().next_back();
    let decided = approval.as_ref().and_then(|approval| {
        let (decision, at) = approval.decision.zip(approval.decided_at)?;
        Some(messages::decided_line(decision, approval.decided_by.as_deref(), at))
    });
    let message = messages::result(&ResultView {
        id,
        report,
        plan: approval.as_ref().map(|approval| (approval.id.as_str(), &approval.plan)),
        decided: decided.as_deref(),
    });
    note(bench, bench.slack.update(&Posted { channel, ts }, &message).await)
}
