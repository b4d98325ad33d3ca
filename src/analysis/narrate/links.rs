//! Where a fact can be looked at again in AWS's console.
//!
//! The rule that is not obvious: an address says what was read, not what was concluded. A metric's shows
//! all series of that metric, the service's own first; the logs' shows every line of the window.

use jiff::{SignedDuration, Timestamp};

use super::Findings;
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
        Agent::Deploy => {
            let id = findings.blamed()?.change.event_ids.first()?;
            console::event(&scope.region, id)
        }
        Agent::Metrics => {
            let named = |series: &&Series| {
                query.is_some_and(|query| {
                    query == format!("{} {} {}", series.namespace, series.metric, series.stat)
                })
            };
            let mut series: Vec<&Series> = evidence.series.iter().flatten().filter(named).collect();
            series.sort_by_key(|series| !is_own(series, scope));
            console::graph(&scope.region, series, since(findings, METRICS_BEFORE), scope.now)
        }
        Agent::Logs => {
            let groups = &scope.resources.log_groups;
            console::logs(&scope.region, groups, LOGS_QUERY, since(findings, LOGS_BEFORE), scope.now)
        }
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

fn is_own(series: &Series, scope: &Scope) -> bool {
    let named = |value: &str| value == scope.service || scope.resources.lambda.iter().any(|own| own == value);
    series.dimensions.iter().any(|(_, value)| named(value))
}

fn since(findings: &Findings<'_>, before: SignedDuration) -> Timestamp {
    let onset = super::onset(findings.symptom).map_or(findings.evidence.scope.now, |onset| onset.earliest);
    onset.saturating_sub(before).unwrap_or(onset)
}
