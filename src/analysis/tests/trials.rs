//! Two changes that fit equally well, the small test that would tell them apart, and what its result does.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::incident::{Incident, ONSET, at};
use crate::analysis::{Investigation, investigate};
use crate::domain::evidence::{Actor, FunctionAlias, ParameterVersion, TrailRecord};
use crate::domain::report::{ActionKind, Cause, Report};
use crate::domain::trial::{Count, Trial, Word};

/// A version behind an alias some minutes before the onset, a parameter that the service reads right before it, and errors
/// that tell of neither.
fn two_changes(requests: f64, failing: f64) -> Incident {
    let mut incident = Incident::calm();
    incident.deploy(85.9, &[("VOUCHER_RULES", "a", "b")]).failing(failing, "a voucher could not be read");
    incident.metrics("checkout", |_| requests, |minute| if minute >= ONSET { failing } else { 0.01 });
    put_parameter(&mut incident, 88.6);
    incident
}

fn put_parameter(incident: &mut Incident, minute: f64) {
    incident.evidence.scope.resources.ssm_paths = vec!["/checkout/".to_owned()];
    let version = |version: i64, value: &str, minute: f64| ParameterVersion {
        name: "/checkout/vouchers".to_owned(),
        kind: "String".to_owned(),
        version,
        value: Some(value.to_owned()),
        modified_at: Some(at(minute)),
        modified_by: "arn:aws:iam::123456789012:user/erin".to_owned(),
    };
    incident.evidence.parameters = Some(vec![version(1, "c", -50_000.0), version(2, "d", minute)]);
    let trail = incident.evidence.trail.get_or_insert_default();
    trail.push(TrailRecord {
        event_id: "parameter-event".to_owned(),
        at: at(minute),
        source: "ssm.amazonaws.com".to_owned(),
        name: "PutParameter".to_owned(),
        actor: Actor { arn: "arn:aws:iam::123456789012:user/erin".to_owned(), name: "erin".to_owned(), automation: false },
        error_code: None,
        read_only: false,
        raw: json!({"eventID": "parameter-event", "eventName": "PutParameter", "eventSource": "ssm.amazonaws.com",
            "requestParameters": {"name": "/checkout/vouchers"}, "responseElements": {"version": 2}}),
    });
    trail.sort_by_key(|record| record.at);
}

fn found(incident: &Incident) -> Investigation {
    investigate(&incident.evidence)
}

/// What is found after the test that was proposed for two such changes: so many of so many requests failed on the earlier and on the current version.
fn after(incident: &Incident, earlier: (f64, f64), current: (f64, f64)) -> Report {
    let mut evidence = incident.evidence.clone();
    let proposal = found(&two_changes(100.0, 0.4)).proposal.expect("a test is proposed");
    let count = |(failures, requests)| Count { requests, failures };
    evidence.trials = vec![Trial {
        design: proposal.design,
        begun_at: at(104.0),
        ended_at: at(109.0),
        earlier_count: count(earlier),
        current_count: count(current),
    }];
    investigate(&evidence).report
}

fn says(report: &Report, text: &str) -> bool {
    report.evidence.iter().any(|item| item.statement.contains(text))
}

#[test]
fn two_changes_that_fit_equally_well_are_put_to_the_cheapest_test_and_neither_is_undone() {
    let Investigation { report, proposal, .. } = found(&two_changes(100.0, 0.4));
    let likely: Vec<f64> = report.hypotheses.iter().take(2).map(|row| row.probability).collect();
    assert!(likely[0] + likely[1] > 0.6 && likely[1] > 0.33 * likely[0], "{:#?}", report.hypotheses);
    assert_eq!(report.action.kind, ActionKind::Watch);
    let design = proposal.unwrap().design;
    assert_eq!((design.function.as_str(), design.alias.as_str()), ("checkout", "live"));
    assert_eq!((design.current.as_str(), design.earlier.as_str()), ("2", "1"));
    assert!(
        design.change.contains("of checkout") && design.other.contains("/checkout/vouchers"),
        "{design:?}"
    );
    assert!((design.if_change - 0.01).abs() < 0.01 && (design.if_other - 0.4).abs() < 0.05, "{design:?}");
    assert!(design.needed <= design.expected && design.expected == 16, "{design:?}");
    let reason = &report.action.reason;
    for part in
        ["A small test would tell: checkout:live, 5 % of the traffic to version 1 for 5 minutes", "about 1."]
    {
        assert!(reason.contains(part), "{part}: {reason}");
    }
}

#[test]
fn a_test_that_could_not_tell_is_not_offered_and_the_report_says_why() {
    let why = |incident: &Incident| {
        let Investigation { report, proposal, .. } = found(incident);
        assert_eq!(proposal, None);
        assert_eq!(report.action.kind, ActionKind::Watch, "{report:#?}");
        report.action.reason
    };
    let quiet = why(&two_changes(12.0, 0.4));
    assert!(quiet.contains("of 5 % of the traffic no more than 0 requests in 5 minutes are sure"), "{quiet}");

    let mut shared = two_changes(100.0, 0.4);
    let history = shared.evidence.functions.get_mut("checkout").unwrap();
    history.aliases = Some(vec![FunctionAlias {
        name: "live".to_owned(),
        version: "2".to_owned(),
        revision_id: "revision-alias".to_owned(),
        weights: [("1".to_owned(), 0.5)].into(),
    }]);
    assert!(why(&shared).contains("shares its traffic out between versions already"));

    let mut migrated = two_changes(100.0, 0.4);
    migrated.say(86.4, "Successfully applied 1 migration to schema \"shop\", now at version v14");
    assert!(why(&migrated).contains("may not work with the database as the release left it"));
}

#[test]
fn an_earlier_version_that_is_well_proves_the_change_and_its_rollback_is_offered() {
    let report = after(&two_changes(100.0, 0.4), (0.0, 24.0), (190.0, 475.0));
    assert_eq!(report.verdict.cause, Cause::Deployment, "{:#?}", report.hypotheses);
    assert_eq!(report.verdict.change.as_ref().unwrap().resource, "checkout");
    assert_eq!(report.action.kind, ActionKind::Rollback, "{:?}", report.action);
    assert!(report.verdict.confidence > 0.85, "{:#?}", report.hypotheses);
    assert!(
        says(&report, "0 of 24 requests to version 1 failed, and 190 of 475 requests to version 2"),
        "{report:#?}"
    );
    assert!(
        report.summary.contains("went to version 1 as a test, and it did not fail there"),
        "{}",
        report.summary
    );
}

#[test]
fn an_earlier_version_that_fails_as_well_clears_the_change() {
    let report = after(&two_changes(100.0, 0.4), (10.0, 24.0), (190.0, 475.0));
    assert_eq!(
        report.verdict.change.as_ref().unwrap().resource,
        "/checkout/vouchers",
        "{:#?}",
        report.hypotheses
    );
    assert_eq!(report.action.kind, ActionKind::Rollback, "{:?}", report.action);
    let cleared = report.cleared.iter().find(|cleared| cleared.what.contains("of checkout"));
    assert!(cleared.unwrap().reason.contains("The version before it fails as well"), "{:#?}", report.cleared);
}

#[test]
fn a_result_that_tells_nothing_changes_nothing_and_the_same_test_is_not_made_twice() {
    let incident = two_changes(100.0, 0.4);
    let before = found(&incident).report;
    let report = after(&incident, (0.0, 2.0), (190.0, 475.0));
    assert_eq!(report.verdict.cause, before.verdict.cause);
    assert_eq!(report.action.kind, ActionKind::Watch);
    assert!(report.action.reason.contains("version 1 was tried already"), "{}", report.action.reason);
    assert!(says(&report, "which tells nothing"), "{report:#?}");
}

#[test]
fn what_versions_share_may_fail_the_earlier_one_too_and_that_clears_less() {
    let of_change = |message: &str| {
        let mut incident = two_changes(100.0, 0.4);
        incident.failing(0.4, message);
        let report = after(&incident, (10.0, 24.0), (190.0, 475.0));
        let row = report
            .hypotheses
            .iter()
            .find(|row| row.about.as_deref().is_some_and(|about| about.contains("of checkout")));
        row.map_or(0.0, |row| row.probability)
    };
    let (own, shared) = (
        of_change("a voucher could not be read"),
        of_change("could not acquire a connection: pool exhausted"),
    );
    assert!(shared > 5.0 * own, "{own} {shared}");
}

#[test]
fn the_calls_of_a_test_are_no_changes_of_their_own() {
    let mut incident = two_changes(100.0, 0.4);
    let design = found(&incident).proposal.unwrap().design;
    let moves = |share: serde_json::Value| {
        json!({"functionName": "checkout", "name": "live", "functionVersion": "2",
            "routingConfig": {"additionalVersionWeights": share}})
    };
    let count = |failures, requests| Count { requests, failures };
    incident.evidence.trials = vec![Trial {
        design,
        begun_at: at(104.0),
        ended_at: at(109.0),
        earlier_count: count(0.0, 24.0),
        current_count: count(190.0, 475.0),
    }];
    let without = found(&incident).report;
    incident.record(103.9, "begin-event", "UpdateAlias20150331", moves(json!({"1": 0.05})));
    incident.record(109.0, "end-event", "UpdateAlias20150331", moves(json!({})));
    assert_eq!(found(&incident).report, without);
    // Somebody's own move in the middle is one.
    incident.record(106.5, "another-event", "UpdateAlias20150331", moves(json!({"1": 0.5})));
    assert_ne!(found(&incident).report, without);
}

#[test]
fn lines_of_both_versions_in_a_test_do_not_count_its_result_twice() {
    let mut incident = two_changes(100.0, 0.4);
    let alone = after(&incident, (0.0, 24.0), (190.0, 475.0));
    let events = incident.evidence.logs.get_or_insert_default();
    let mut fresh = Vec::new();
    for second in (0..290).step_by(10) {
        let mut line = events[0].clone();
        line.at = at(104.1) + SignedDuration::from_secs(second);
        line.event_id = format!("of-the-test-{second}");
        fresh.push(line);
    }
    events.extend(fresh);
    events.sort_by_key(|event| event.at);
    let report = after(&incident, (0.0, 24.0), (190.0, 475.0));
    assert!((report.verdict.confidence - alone.verdict.confidence).abs() < 0.02, "{report:#?}");
    assert!(!says(&report, "In the same minutes version 2 logged"), "{report:#?}");
}

#[test]
fn a_word_and_its_time_are_part_of_the_story() {
    let report = after(&two_changes(100.0, 0.4), (0.0, 24.0), (190.0, 475.0));
    let entry = |text: &str| -> Option<Timestamp> {
        report.timeline.iter().find(|entry| entry.what.contains(text)).map(|entry| entry.at)
    };
    assert_eq!(
        (entry("A test begins"), entry("The test of version 1 ends")),
        (Some(at(104.0)), Some(at(109.0)))
    );
    assert_eq!(Word::PointsAtIt.as_str(), "points_at_it");
}
