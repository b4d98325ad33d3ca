//! From an alert to a verdict: gather, weigh, save.
//!
//! The rule that is not obvious: the evidence passes through a bundle's files before the engine sees
//! it, its secrets masked. What is stored is then exactly what was weighed, and an export re-derives the same verdict.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::SignedDuration;
use tokio::sync::Notify;

use super::offer::{self, Offer};
use super::{Bench, Done, headline, look_again, record, service_settings};
use crate::agents::{self, AgentProgress, AgentState, Deadlines, Request};
use crate::analysis;
use crate::bundle;
use crate::domain::evidence::Evidence;
use crate::domain::incident::IncidentId;
use crate::domain::redact;
use crate::domain::report::{Agent, Cause};
use crate::fail_points::Point;
use crate::store::{Conclusion, JobKind};
use crate::telemetry::Metrics;

/// Delivered records are taken from so long before: configuration that was deployed quietly breaks later.
const DELIVERED_SINCE: SignedDuration = SignedDuration::from_hours(7 * 24);
/// The headline is edited at most so often while the agents work.
const EDIT_EVERY: Duration = Duration::from_secs(3);

pub async fn investigate(bench: &Bench, id: IncidentId) -> anyhow::Result<Done> {
    let Some(row) = bench.store.incident_row(id).await? else { return Ok(Done::Finished) };
    if !row.awaits_verdict {
        return Ok(Done::Finished);
    }
    let Some(alert) = bench.store.alert_in_question(id).await? else { return Ok(Done::Finished) };
    let started = tokio::time::Instant::now();
    if let Err(error) = headline::refresh(bench, id, &[], None).await {
        // The verdict matters more than its announcement; the report posts what is missing.
        tracing::warn!(incident = %id, error = %format!("{error:#}"), "the headline could not be posted");
    }
    bench.fail_points.pass(Point::InvestigationBegun).await;
    let board = Arc::new(Board::default());
    let (alerted, read_at) = (alert.at, bench.clock.now());
    let service = service_settings(&bench.settings.config, &row.service);
    let request = Request { incident: Some(id), alert, now: read_at, service };
    let gathered = {
        let board = board.clone();
        let metrics = bench.metrics.clone();
        agents::gather(bench.aws_of(&row.service), request, Deadlines::default(), move |progress| {
            measure(&metrics, &progress, started.elapsed());
            board.note(&progress);
        })
    };
    let evidence = tokio::select! {
        evidence = gathered => evidence,
        () = show_progress(bench, id, &board) => unreachable!("the board is shown until the evidence is there"),
    };
    bench.fail_points.pass(Point::Gathered).await;
    bench.metrics.observe("gathering", started.elapsed().as_secs_f64());
    let evidence = add_delivered(bench, evidence).await?;
    let mut evidence = record::add_recorded(bench, &row.service, evidence).await?;
    evidence.trials = bench.store.trials_of(id).await?;
    let masks = redact::evidence(&mut evidence);
    let files = bundle::to_files(&evidence);
    let span = tracing::error_span!("verdict", incident = %id);
    let (mut investigation, files) = tokio::task::spawn_blocking(move || {
        let _within = span.enter();
        let evidence = bundle::from_files(&files)?;
        anyhow::Ok((analysis::investigate(&evidence), files))
    })
    .await??;
    if let Some(Ok(undo)) = investigation.change.as_mut().map(|change| change.undo.as_mut()) {
        // What is put back is the value itself. It is in the plan's call and in nothing that is shown.
        *undo = undo.with_values(&|_, value| masks.original(value));
    }
    let (plan, not_offered) = match offer::plan(bench, &row.service, &investigation).await {
        Offer::Plan(plan) => (Some(*plan), None),
        Offer::Not(reason) => (None, reason),
    };
    let nothing_found = investigation.report.verdict.cause == Cause::None;
    let conclusion = Conclusion {
        report: investigation.report,
        symptoms: investigation.symptoms,
        files,
        plan,
        not_offered,
        expires_after: bench.settings.config.approvals.expires_after.0,
        close_after: bench.settings.config.incidents.close_after.0,
    };
    let now = bench.clock.now();
    let concluded = bench.store.conclude(id, row.round, &conclusion, now).await?;
    bench.fail_points.pass(Point::Concluded).await;
    if let Some(first) = bench.settings.config.incidents.look_again.first()
        && concluded
        && look_again::is_worth_it(
            &conclusion.report,
            look_again::beginning(&conclusion.report, alerted),
            read_at,
        )
    {
        let job = JobKind::LookAgain { round: row.round, times: 0 };
        bench.store.enqueue(&job, Some(id), now.saturating_add(first.0)?).await?;
    }
    bench.metrics.count("verdicts");
    bench.metrics.observe("time_to_verdict", started.elapsed().as_secs_f64());
    if row.report.is_none() {
        let since_opening = now.duration_since(row.opened_at).as_secs_f64();
        bench.metrics.observe("time_to_first_verdict", since_opening.max(0.0));
    }
    if nothing_found && row.requested_by.is_some() && row.alerts_received <= 1 {
        bench.store.close_incident(id, "asked for, and nothing was found", now).await?;
    }
    bench.wake.notify_one();
    Ok(Done::Finished)
}

/// Notes how long an agent read, and whether for nothing. All of them begin at the same time.
fn measure(metrics: &Metrics, progress: &AgentProgress, elapsed: Duration) {
    let name = match progress.agent {
        Agent::Logs => "logs",
        Agent::Metrics => "metrics",
        Agent::Deploy => "deploy",
    };
    match progress.state {
        AgentState::Started => return,
        AgentState::Done { .. } => {}
        AgentState::Failed { .. } => metrics.count_of("agent_failures", name),
    }
    metrics.observe_of("agent", name, elapsed.as_secs_f64());
}

/// Adds what AWS delivered about the time that an investigation looks at.
pub async fn add_delivered(bench: &Bench, evidence: Evidence) -> anyhow::Result<Evidence> {
    let now = evidence.scope.now;
    let delivered = bench.store.delivered(now.saturating_sub(DELIVERED_SINCE)?, now).await?;
    Ok(agents::add_delivered(evidence, delivered.records, delivered.events))
}

/// What the agents last said, one line each.
#[derive(Debug, Default)]
struct Board {
    lines: Mutex<BTreeMap<Agent, String>>,
    changed: Notify,
}

impl Board {
    fn note(&self, progress: &AgentProgress) {
        let name = match progress.agent {
            Agent::Logs => "Logs",
            Agent::Metrics => "Metrics",
            Agent::Deploy => "Deploy",
        };
        let line = match &progress.state {
            AgentState::Started => format!("{name}: reading"),
            AgentState::Done { summary } => format!("{name}: {summary}"),
            AgentState::Failed { reason } => format!("{name}: not read ({reason})"),
        };
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).insert(progress.agent, line);
        self.changed.notify_one();
    }

    fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

/// Keeps the headline up to date until it is dropped: the agents come along, and alerts join meanwhile.
async fn show_progress(bench: &Bench, id: IncidentId, board: &Board) {
    board.changed.notified().await;
    loop {
        // In a storm Slack's turns are for what is news.
        if !bench.store.is_storm().await.unwrap_or_default()
            && let Err(error) = headline::refresh(bench, id, &board.lines(), None).await
        {
            tracing::debug!(incident = %id, error = %format!("{error:#}"), "progress could not be shown");
        }
        tokio::time::sleep(EDIT_EVERY).await;
    }
}
