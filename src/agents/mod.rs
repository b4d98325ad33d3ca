//! The three agents: logs, metrics and deploys, at the same time.
//!
//! Rule: an agent never fails. What it cannot read is a gap with a reason, and the others go on; the
//! result is exactly what a bundle holds, so that an exported incident is derived anew from it.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::time::Instant;
use tracing::Instrument as _;

mod deploys;
mod present;

pub use present::present;

use crate::aws::discover::{self, Discovered, Finder, Measured};
use crate::aws::{self, Clients, ServiceSettings, logs, metrics};
use crate::bundle::{releases, trail};
use crate::domain::alert::Alert;
use crate::domain::evidence::{Evidence, Gap, Series, TrailRecord};
use crate::domain::incident::IncidentId;
use crate::domain::report::Agent;

/// What is to be investigated.
#[derive(Debug, Clone)]
pub struct Request {
    /// Named by whatever is logged and traced; `None` where nothing is stored.
    pub incident: Option<IncidentId>,
    pub alert: Alert,
    pub now: Timestamp,
    pub service: ServiceSettings,
}

/// How long each agent may take, counted from the start of the investigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    pub discovery: Duration,
    pub logs: Duration,
    pub metrics: Duration,
    pub deploys: Duration,
}

/// Insights is done in a few seconds; at twenty the fallback has had its turn too, and whoever was
/// paged has waited long enough for a first answer.
const LOGS_DEADLINE: Duration = Duration::from_secs(20);
/// A handful of `GetMetricData` calls, each below a second: at fifteen CloudWatch is in trouble itself.
const METRICS_DEADLINE: Duration = Duration::from_secs(15);
/// Two lookups a second, shared by all incidents: fifteen questions and their pages fit into it.
const DEPLOYS_DEADLINE: Duration = Duration::from_secs(20);

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            discovery: discover::DEADLINE,
            logs: LOGS_DEADLINE,
            metrics: METRICS_DEADLINE,
            deploys: DEPLOYS_DEADLINE,
        }
    }
}

/// What an agent is at, for the message that grows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentProgress {
    pub agent: Agent,
    pub state: AgentState,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentState {
    Started,
    /// What it read, in a few words: `412 lines from 1 log group`.
    Done {
        summary: String,
    },
    /// It read nothing, and why.
    Failed {
        reason: String,
    },
}

/// Reads everything that is known about an incident at `now`.
pub async fn gather(
    clients: &Clients,
    request: Request,
    deadlines: Deadlines,
    progress: impl Fn(AgentProgress) + Sync,
) -> Evidence {
    // On the heap: it holds dozens of calls, and would fill a thread's stack in a debug build.
    let reading = Box::pin(read_all(clients, request, deadlines, progress));
    let (evidence, usage) = clients.sparing(aws::counted(reading)).await;
    Evidence { cost: Some(usage), ..evidence }
}

async fn read_all(
    clients: &Clients,
    request: Request,
    deadlines: Deadlines,
    progress: impl Fn(AgentProgress) + Sync,
) -> Evidence {
    let start = Instant::now();
    let Request { incident, alert, now, service } = request;
    let incident = incident.map(|id| id.to_string()).unwrap_or_default();
    let span = |agent: &str| tracing::error_span!("agent", incident, agent);
    for agent in [Agent::Logs, Agent::Metrics, Agent::Deploy] {
        progress(AgentProgress { agent, state: AgentState::Started });
    }
    // No agent waits for more of the discovery than it needs itself, and CloudTrail, which is slow to ask, for none.
    let finder = Finder::new(clients, &alert.service, &service, (alert.at, now), start + deadlines.discovery);
    let tell = |agent: Agent, read: bool, summary: String, gaps: &[Gap]| {
        let first = || gaps.first().map_or_else(|| "nothing was read".to_owned(), |gap| gap.reason.clone());
        let state = if read { AgentState::Done { summary } } else { AgentState::Failed { reason: first() } };
        progress(AgentProgress { agent, state });
    };
    let (found, lines, (series, metric_gaps), deploys) = tokio::join!(
        Box::pin(finder.found()),
        Box::pin(async {
            let groups = finder.log_groups().await;
            let lines = logs::read(clients, groups, alert.at, now, start + deadlines.logs).await;
            let count = lines.events.as_ref().map_or(0, Vec::len);
            tell(
                Agent::Logs,
                lines.events.is_some(),
                format!("{} from {}", many(count, "line"), many(groups.len(), "log group")),
                &lines.gaps,
            );
            lines
        })
        .instrument(span("logs")),
        Box::pin(async {
            let measured = finder.metrics().await;
            let read =
                read_metrics(clients, &alert.service, measured, alert.at, now, start + deadlines.metrics)
                    .await;
            let (series, gaps) = &read;
            let with_points = series.iter().flatten().filter(|series| !series.points.is_empty()).count();
            tell(
                Agent::Metrics,
                series.is_some(),
                format!("{} with data", many(with_points, "series")),
                gaps,
            );
            read
        })
        .instrument(span("metrics")),
        Box::pin(async {
            let read =
                deploys::read(clients, &finder, &service, alert.at, now, start + deadlines.deploys).await;
            let records = read.trail.as_ref().map_or(0, Vec::len);
            let versions: usize =
                read.functions.values().filter_map(|history| history.versions.as_ref()).map(Vec::len).sum();
            let mut parts = vec![many(records, "CloudTrail record"), many(versions, "function version")];
            let deployments = read.ecs_services.iter().map(|service| service.deployments.len()).sum();
            for (count, noun) in [
                (deployments, "ECS deployment"),
                (read.parameters.as_ref().map_or(0, Vec::len), "parameter version"),
                (read.appconfig.as_ref().map_or(0, Vec::len), "AppConfig deployment"),
            ] {
                if count > 0 {
                    parts.push(many(count, noun));
                }
            }
            let summary = parts.join(", ");
            let any = read.trail.is_some()
                || read.functions.values().any(|history| history.versions.is_some())
                || !read.ecs_services.is_empty();
            tell(Agent::Deploy, any, summary, &read.gaps);
            read
        })
        .instrument(span("deploy")),
    );
    let Discovered { scope, mut gaps, .. } = found;
    gaps.extend(lines.gaps);
    gaps.extend(metric_gaps);
    gaps.extend(deploys.gaps);
    gaps.sort();
    gaps.dedup();
    Evidence {
        scope,
        alert,
        logs: lines.events,
        series,
        trail: deploys.trail,
        functions: deploys.functions,
        ecs_services: deploys.ecs_services,
        task_definitions: deploys.task_definitions,
        parameters: deploys.parameters,
        appconfig: deploys.appconfig,
        releases: deploys.releases,
        snapshots: Vec::new(),
        trials: Vec::new(),
        gaps,
        cost: None,
    }
}

/// Reads CloudTrail once more for evidence that was gathered before, because records arrive late, and whichever of
/// logs and metrics failed for a moment then.
///
/// Everything else stays as it was, `now` included: only what arrived in between can change what is derived.
/// Nothing that was known is lost where the second reading reaches less far than the first.
pub async fn read_again(
    clients: &Clients,
    evidence: Evidence,
    service: &ServiceSettings,
    within: Duration,
) -> Evidence {
    clients.sparing(Box::pin(read_late(clients, evidence, service, within))).await
}

async fn read_late(
    clients: &Clients,
    mut evidence: Evidence,
    service: &ServiceSettings,
    within: Duration,
) -> Evidence {
    let deadline = Instant::now() + within;
    let (at, now) = (evidence.alert.at, evidence.scope.now);
    let failed = |source: &str| evidence.gaps.iter().any(|gap| gap.source == source && gap.may_pass());
    let finder = Finder::new(clients, &evidence.alert.service, service, (at, now), deadline);
    let ((trail, trail_gaps), lines, series) = tokio::join!(
        deploys::read_trail_again(clients, &evidence, deadline),
        async {
            if !failed("logs") {
                return None;
            }
            let groups = &evidence.scope.resources.log_groups;
            let groups = if groups.is_empty() { finder.log_groups().await } else { groups };
            Some(logs::read(clients, groups, at, now, deadline).await)
        },
        async {
            if !failed("metrics") {
                return None;
            }
            let measured = finder.metrics().await;
            let read = read_metrics(clients, &evidence.alert.service, measured, at, now, deadline).await;
            Some((read, measured.namespaces().to_vec()))
        },
    );
    merge_trail(&mut evidence, trail, trail_gaps);
    if let Some(lines) = lines
        && lines.events.as_ref().map(Vec::len) >= evidence.logs.as_ref().map(Vec::len)
    {
        evidence.logs = lines.events;
        replace_gaps(&mut evidence.gaps, "logs", lines.gaps);
    }
    if let Some(((series, gaps), namespaces)) = series {
        let points = |series: &Option<Vec<Series>>| {
            series.as_ref().map(|series| series.iter().map(|one| one.points.len()).sum::<usize>())
        };
        if points(&series) >= points(&evidence.series) {
            evidence.series = series;
            evidence.scope.resources.metrics.namespaces = namespaces;
            replace_gaps(&mut evidence.gaps, "metrics", gaps);
        }
    }
    evidence
}

/// Both readings of CloudTrail together: a question that is not answered now may have been then. Of what remains
/// unanswered only what was never answered is a gap.
fn merge_trail(evidence: &mut Evidence, trail: Option<Vec<TrailRecord>>, gaps: Vec<Gap>) {
    let Some(trail) = trail else { return };
    let known: BTreeSet<String> =
        evidence.trail.iter().flatten().map(|record| record.event_id.clone()).collect();
    let first = evidence.trail.is_none();
    let records = evidence.trail.get_or_insert_default();
    records.extend(trail.into_iter().filter(|record| !known.contains(&record.event_id)));
    records.sort_by(|one, other| (one.at, &one.event_id).cmp(&(other.at, &other.event_id)));
    // `changes of checkout: why it could not be told`
    let question = |gap: &Gap| gap.reason.split(": ").next().unwrap_or_default().to_owned();
    let open: BTreeSet<String> =
        evidence.gaps.iter().filter(|gap| gap.source == "cloudtrail").map(question).collect();
    let still = gaps.into_iter().filter(|gap| first || open.contains(&question(gap))).collect();
    replace_gaps(&mut evidence.gaps, "cloudtrail", still);
}

fn replace_gaps(gaps: &mut Vec<Gap>, source: &str, by: Vec<Gap>) {
    gaps.retain(|gap| gap.source != source);
    gaps.extend(by.into_iter().filter(|gap| gap.source == source));
    gaps.sort();
    gaps.dedup();
}

/// Adds what AWS delivered of its own accord, which comes sooner than `LookupEvents` shows it: CloudTrail records, and
/// what its services tell of their releases. What is known already, or later than the investigation's clock, is left out.
///
/// Where CloudTrail itself could not be read, the gap that says so stays: a few delivered records
/// do not make the others' silence evidence.
pub fn add_delivered(mut evidence: Evidence, records: Vec<Value>, events: Vec<Value>) -> Evidence {
    let now = evidence.scope.now;
    let known: BTreeSet<&str> =
        evidence.trail.iter().flatten().map(|record| record.event_id.as_str()).collect();
    let fresh: Vec<TrailRecord> = records
        .into_iter()
        .filter_map(trail::record)
        .filter(|record| record.at <= now && !known.contains(record.event_id.as_str()))
        .collect();
    if !fresh.is_empty() {
        let trail = evidence.trail.get_or_insert_default();
        trail.extend(fresh);
        trail.sort_by(|one, other| (one.at, &one.event_id).cmp(&(other.at, &other.event_id)));
    }
    let told = &mut evidence.releases.events;
    told.extend(events.into_iter().filter_map(releases::event));
    *told = releases::in_order(std::mem::take(told), now);
    evidence
}

async fn read_metrics(
    clients: &Clients,
    service: &str,
    measured: &Measured,
    at: Timestamp,
    now: Timestamp,
    deadline: Instant,
) -> (Option<Vec<Series>>, Vec<Gap>) {
    let unknown = Gap::new("metrics", format!("no metric of {service} is known"));
    let plan = metrics::plan(measured);
    if plan.own.is_empty() && plan.others.is_empty() {
        return (None, vec![unknown]);
    }
    let (series, mut gaps) = metrics::read(clients, &plan, at, now, deadline).await;
    if measured.own.is_empty() {
        gaps.push(unknown);
    }
    (series, gaps)
}

/// A number with its noun; `series` is its own plural.
fn many(count: usize, noun: &str) -> String {
    if count == 1 || noun.ends_with('s') { format!("{count} {noun}") } else { format!("{count} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::many;

    #[test]
    fn nouns_agree_with_their_numbers() {
        assert_eq!(many(1, "log group"), "1 log group");
        assert_eq!(many(0, "line"), "0 lines");
        assert_eq!(many(3, "series"), "3 series");
    }
}
