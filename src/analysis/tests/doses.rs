//! A canary's steps against the failures, the service against its neighbours, and what looks like an answer
//! and is none.

use serde_json::json;

use super::incident::{Incident, ONSET};
use crate::analysis::investigate;
use crate::domain::report::{Cause, Report};

/// A new version of the code that gets 5 % of traffic at minute 60, 25 % at 76 and all of it at 91, or only
/// the first step.
fn canary(steps: usize, failing: impl Fn(usize) -> f64) -> Incident {
    let mut incident = Incident::calm();
    incident.deploy(59.0, &[]).metrics("checkout", |_| 1000.0, failing);
    let history = incident.evidence.functions.entry("checkout".to_owned()).or_default();
    for version in history.versions.iter_mut().flatten().filter(|version| version.version != "1") {
        version.code_sha256 = "another".to_owned();
    }
    incident.evidence.trail.get_or_insert_default().retain(|record| !record.name.starts_with("UpdateAlias"));
    let moves = [
        (60.0, json!({"functionVersion": "1", "routingConfig": {"additionalVersionWeights": {"2": 0.05}}})),
        (76.0, json!({"functionVersion": "1", "routingConfig": {"additionalVersionWeights": {"2": 0.25}}})),
        (91.0, json!({"functionVersion": "2", "routingConfig": {"additionalVersionWeights": {}}})),
    ];
    for (minute, mut request) in moves.into_iter().take(steps) {
        request["functionName"] = json!("checkout");
        request["name"] = json!("live");
        incident.record(minute, &format!("alias-{minute}"), "UpdateAlias20150331", request);
    }
    incident
}

fn weight(minute: usize) -> f64 {
    match minute {
        0..60 => 0.0,
        60..76 => 0.05,
        76..91 => 0.25,
        _ => 1.0,
    }
}

fn report(incident: &Incident) -> Report {
    investigate(&incident.evidence).report
}

fn says(report: &Report, text: &str) -> bool {
    report.evidence.iter().any(|item| item.statement.contains(text))
        || report.cleared.iter().any(|cleared| cleared.reason.contains(text))
}

#[test]
fn failures_that_rise_with_each_step_are_the_canarys() {
    let report = report(&canary(3, |minute| 0.01 + 0.3 * weight(minute)));
    assert_eq!(report.verdict.cause, Cause::Deployment, "{report:#?}");
    assert!(says(&report, "Failures followed its share of traffic"), "{report:#?}");
    assert!(says(&report, "at 25 % of traffic since"), "{report:#?}");
}

#[test]
fn failures_that_begin_between_two_steps_and_stay_level_are_not() {
    let level = |minute: usize| if minute >= 84 { 0.3 } else { 0.01 };
    let mut incident = canary(3, level);
    incident.metrics("payments", |_| 1000.0, level);
    let report = report(&incident);
    assert_ne!(report.verdict.cause, Cause::Deployment, "{report:#?}");
    assert!(says(&report, "did not follow its share of traffic"), "{report:#?}");
}

#[test]
fn what_breaks_only_under_the_whole_load_waits_for_the_last_step() {
    let report = report(&canary(3, |minute| if minute >= 91 { 0.3 } else { 0.01 }));
    assert_eq!(report.verdict.cause, Cause::Deployment, "{report:#?}");
    assert!(!says(&report, "did not follow"), "{report:#?}");
}

#[test]
fn a_canary_of_a_twentieth_cannot_fail_a_third_of_the_requests() {
    let third = report(&canary(1, |minute| if minute >= 62 { 0.33 } else { 0.01 }));
    let its_own = report(&canary(1, |minute| if minute >= 62 { 0.05 } else { 0.01 }));
    let of_change = |report: &Report| -> f64 {
        let deployments = report.hypotheses.iter().filter(|row| row.cause == Cause::Deployment);
        deployments.map(|row| row.probability).sum()
    };
    assert!(of_change(&third) < of_change(&its_own), "{third:#?}");
}

/// Failures of the service and of its neighbours from the onset on.
fn beside(own: f64, neighbours: [f64; 2]) -> Report {
    let mut incident = Incident::calm();
    let rises = |share: f64| move |minute: usize| if minute >= ONSET { share } else { 0.01 };
    incident.deploy(88.0, &[("ORDER_HINTS", "a", "b")]).metrics("checkout", |_| 1000.0, rises(own));
    for (name, share) in ["search", "profile"].into_iter().zip(neighbours) {
        incident.metrics(name, |_| 1000.0, rises(share));
    }
    report(&incident)
}

#[test]
fn a_rise_that_all_neighbours_share_is_not_the_changes_own() {
    let (calm, one, all) =
        (beside(0.04, [0.01, 0.01]), beside(0.04, [0.04, 0.01]), beside(0.04, [0.04, 0.04]));
    let of_change = |report: &Report| -> f64 {
        let deployments = report.hypotheses.iter().filter(|row| row.cause == Cause::Deployment);
        deployments.map(|row| row.probability).sum()
    };
    assert!(says(&all, "rose as well in the same minutes"), "{all:#?}");
    assert!(says(&calm, "stayed calm in the same minutes"), "{calm:#?}");
    assert!(of_change(&all) < of_change(&calm));
    // One neighbour with an incident of its own is no control group.
    assert!(!says(&one, "rose as well in the same minutes"), "{one:#?}");
}

/// A service of few lines, whose tenant `umbrella` sends `share` of the requests from the onset on; `every`
/// is the number of minutes between two lines.
fn tenants(share: f64, every: usize) -> Report {
    let mut incident = Incident::calm();
    let rises = |minute: usize| if minute >= ONSET { 0.3 } else { 0.01 };
    incident.metrics("checkout", |_| 1000.0, rises).lines(|minute, index| {
        let heavy = minute >= ONSET && (index as f64) < share * 10.0;
        let tenant =
            if heavy { "umbrella" } else { ["acme", "initech", "umbrella", "hooli"][(minute + index) % 4] };
        json!({"level": "INFO", "message": "order stored", "tenant": tenant}).to_string()
    });
    let mut kept = 0;
    incident.evidence.logs.get_or_insert_default().retain(|_| {
        kept += 1;
        kept % every == 0
    });
    report(&incident)
}

#[test]
fn a_tenant_who_takes_over_is_seen_in_few_lines_and_chance_is_not() {
    let told = "The mix of work shifted";
    assert!(says(&tenants(0.9, 9), told), "{:#?}", tenants(0.9, 9));
    assert!(!says(&tenants(0.3, 9), told));
    // A handful of lines says nothing, whatever they say.
    assert!(!says(&tenants(0.9, 30), told));
}
