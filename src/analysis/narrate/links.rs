//! Where a fact can be looked at again in AWS's console.
//!
//! The rule that is not obvious: an address says what was read, not what was concluded. A metric's shows
//! all series of that metric, the service's own first; the logs' shows every line of the window.

use jiff::{SignedDuration, Timestamp};

use super::Findings;
use crate::domain::change::{Change, ChangeKind};
use crate::domain::console;
use crate::domain::evidence::{Scope, Series};
use crate::domain::report::Agent;
use crate::domain::trial::{Design, Trial};

/// So much of ordinary life is shown before the onset.
const METRICS_BEFORE: SignedDuration = SignedDuration::from_hours(1);
const LOGS_BEFORE: SignedDuration = SignedDuration::from_mins(5);
const LOGS_QUERY: &str = "fields @timestamp, @logStream, @message | sort @timestamp asc | limit 1000";

/// `query` is what the fact's series is called.
pub(super) fn link(findings: &Findings<'_>, source: Agent, query: Option<&str>) -> Option<String> {
    let evidence = findings.evidence;
    let scope = &evidence.scope;
    match source {
        Agent::Deploy => of_change(findings.blamed()?.change, &scope.region),
        Agent::Metrics => {
            let named = |series: &&Series| {
                query.is_some_and(|query| {
                    query == format!("{} {} {}", series.namespace, series.metric, series.stat)
                })
            };
            let mut series: Vec<&Series> = evidence.series.iter().flatten().filter(named).collect();
            // What no series shows was counted in lines, as memory is that functions report.
            if series.is_empty() && query.is_some() {
                return of_lines(findings);
            }
            series.sort_by_key(|series| !is_own(series, scope));
            console::graph(&scope.region, series, since(findings, METRICS_BEFORE), scope.now)
        }
        Agent::Logs => of_lines(findings),
    }
}

/// What was counted in a test: both counts of both versions.
pub(super) fn of_trial(trial: &Trial, scope: &Scope) -> Option<String> {
    let Design { earlier, current, .. } = &trial.design;
    let counted =
        [(earlier, "Errors"), (earlier, "Invocations"), (current, "Errors"), (current, "Invocations")];
    let series = counted.map(|(version, metric)| Series {
        namespace: "AWS/Lambda".to_owned(),
        metric: metric.to_owned(),
        dimensions: trial.design.dimensions(version),
        stat: "Sum".to_owned(),
        period: 60,
        points: Vec::new(),
    });
    let from = trial.begun_at.saturating_sub(LOGS_BEFORE).unwrap_or(trial.begun_at);
    console::graph(&scope.region, &series, from, trial.ended_at)
}

fn of_lines(findings: &Findings<'_>) -> Option<String> {
    let scope = &findings.evidence.scope;
    let groups = &scope.resources.log_groups;
    console::logs(&scope.region, groups, LOGS_QUERY, since(findings, LOGS_BEFORE), scope.now)
}

/// Whether a dimension names a service, as a balancer's does within a path.
fn is_of(value: &str, name: &str) -> bool {
    value.split('/').any(|part| part.eq_ignore_ascii_case(name))
}

/// The call that made a change; where CloudTrail does not show it yet, what was changed.
pub(super) fn of_change(change: &Change, region: &str) -> Option<String> {
    if let Some(id) = change.event_ids.first() {
        return console::event(region, id);
    }
    match change.kind {
        ChangeKind::LambdaCode
        | ChangeKind::LambdaConfig
        | ChangeKind::LambdaAlias
        | ChangeKind::LambdaConcurrency => console::function(region, change.resource.split(':').next()?),
        ChangeKind::EcsDeployment => {
            let (cluster, service) = change.resource.split_once('/')?;
            console::container_service(region, cluster, service, "deployments")
        }
        ChangeKind::SsmParameter => console::parameter(region, &change.resource),
        _ => None,
    }
}

/// The series of some services, those that tell of failures first; of the service itself where none is named.
pub(super) fn of_services(findings: &Findings<'_>, names: &[String]) -> Option<String> {
    let evidence = findings.evidence;
    let scope = &evidence.scope;
    let theirs = |series: &&Series| {
        if names.is_empty() {
            return is_own(series, scope);
        }
        series.dimensions.iter().any(|(_, value)| names.iter().any(|name| is_of(value, name)))
    };
    let mut series: Vec<&Series> = evidence.series.iter().flatten().filter(theirs).collect();
    series.sort_by_key(|series| telling(&series.metric));
    console::graph(&scope.region, series, since(findings, METRICS_BEFORE), scope.now)
}

/// How soon a series is shown where there is no room for all.
fn telling(metric: &str) -> u8 {
    let metric = metric.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| metric.contains(word));
    match () {
        () if says(&["error", "fault", "5xx", "fail"]) => 0,
        () if says(&["latency", "duration", "responsetime"]) => 1,
        () => 2,
    }
}

/// What the container service says of itself.
pub(super) fn of_events(findings: &Findings<'_>) -> Option<String> {
    let scope = &findings.evidence.scope;
    let own = scope.resources.ecs.first()?;
    console::container_service(&scope.region, &own.cluster, &own.service, "events")
}

/// What AWS tells of its own trouble.
pub(super) fn of_provider(findings: &Findings<'_>) -> Option<String> {
    console::health(&findings.evidence.scope.region)
}

fn is_own(series: &Series, scope: &Scope) -> bool {
    let named =
        |value: &str| is_of(value, &scope.service) || scope.resources.lambda.iter().any(|own| own == value);
    series.dimensions.iter().any(|(_, value)| named(value))
}

fn since(findings: &Findings<'_>, before: SignedDuration) -> Timestamp {
    let onset = super::onset(findings).map_or(findings.evidence.scope.now, |onset| onset.earliest);
    onset.saturating_sub(before).unwrap_or(onset)
}
