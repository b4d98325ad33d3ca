//! What was missing, and could have refuted the verdict.

use super::{Findings, clock};
use crate::analysis::logs::LogSurvey;
use crate::analysis::metrics::{Measure, Role};
use crate::domain::change::ChangeKind;
use crate::domain::evidence::Gap;
use crate::domain::report::Cause;

pub fn gaps(findings: &Findings<'_>) -> Vec<Gap> {
    let mut gaps = findings.evidence.gaps.clone();
    let mut add = |source: &str, reason: String| {
        if !gaps.iter().any(|gap| gap.source == source && gap.reason == reason) {
            gaps.push(Gap::new(source, reason));
        }
    };
    let evidence = findings.evidence;
    if evidence.logs.is_some() && findings.logs.is_some_and(|logs| logs.events == 0) {
        add("logs", "The logs were read and hold no event in the window.".to_owned());
    }
    if let Some(logs) = findings.logs {
        for reason in untold(logs) {
            add("logs", reason);
        }
    }
    if let Some(metrics) = findings.metrics {
        if metrics.own().is_none() {
            add("metrics", format!("No series was found that belongs to {}.", evidence.scope.service));
        } else if findings.symptom.has_few_requests() && findings.symptom.real < 0.5 {
            add("metrics", "There are too few requests to tell a share of failures.".to_owned());
        }
        if let Some(until) = findings.symptom.measured.until {
            let grid = findings.symptom.grid;
            let until = clock(grid.at(until), evidence.scope.now);
            add(
                "metrics",
                format!(
                    "What counts failures ends at {until} UTC: how the service does since is not measured."
                ),
            );
        } else if metrics.own().is_some() && !findings.symptom.measured.failing {
            add("metrics", "No series was read that counts failures up to now.".to_owned());
        }
        let unmeasured: Vec<&str> = evidence
            .scope
            .depends_on
            .iter()
            .filter(|name| {
                !metrics.others(Role::Dependency).any(|entity| {
                    entity.name == **name
                        && entity.tracks.iter().any(|track| {
                            matches!(
                                track.measure,
                                Measure::Failures | Measure::Latency | Measure::Availability
                            )
                        })
                })
            })
            .map(String::as_str)
            .collect();
        let matters = matches!(findings.cause(), Cause::Deployment | Cause::Dependency | Cause::Unknown);
        if !unmeasured.is_empty() && matters && evidence.scope.depends_on.len() <= 10 {
            add(
                "metrics",
                format!(
                    "No series of {} was read: its state could change the verdict.",
                    unmeasured.join(", ")
                ),
            );
        }
        if metrics.own().is_some_and(|own| own.of_measure(Measure::Requests).next().is_none()) {
            add("metrics", "Requests are not counted: demand cannot be judged.".to_owned());
        }
    }
    if let Some(suspect) = findings.blamed() {
        let unknown = suspect.change.keys.is_empty()
            && !suspect.change.code_changed
            && matches!(
                suspect.change.kind,
                ChangeKind::LambdaConfig | ChangeKind::SsmParameter | ChangeKind::Appconfig
            );
        if unknown {
            add(
                "lambda",
                format!(
                    "The values that the change of {} set are not recorded anywhere that was read.",
                    suspect.change.resource
                ),
            );
        }
        if suspect.change.event_ids.is_empty() {
            add(
                "cloudtrail",
                "No CloudTrail event shows the blamed change yet: who made it is not known.".to_owned(),
            );
        }
    }
    gaps
}

/// What the logs hold too much of to be told apart.
fn untold(logs: &LogSurvey) -> Vec<String> {
    let untold = logs.untold;
    let mut told = Vec::new();
    if untold.failing > 0 {
        told.push(format!(
            "{} failing lines are of kinds too many to be told apart: they are counted together.",
            untold.failing
        ));
    }
    for (left_out, what) in
        [(untold.versions, "versions"), (untold.zones, "availability zones"), (untold.fields, "fields")]
    {
        if left_out > 0 {
            told.push(format!(
                "Of the {what} in the logs the commonest are told apart; {left_out} others are not."
            ));
        }
    }
    told
}
