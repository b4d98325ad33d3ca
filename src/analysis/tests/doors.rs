//! What keeps callers and calls out: firewalls, access lists, and counts that fall without a failure.

use serde_json::{Value, json};

use super::found;
use super::incident::{Incident, MINUTES, ONSET, at};
use crate::domain::evidence::Series;
use crate::domain::report::{Cause, Report};

/// A call of another service than Lambda.
fn call(incident: &mut Incident, minute: f64, service: &str, name: &str, request: Value) {
    incident.record(minute, name, name, request);
    let records = incident.evidence.trail.get_or_insert_default();
    if let Some(record) = records.iter_mut().find(|record| record.name == name) {
        record.source = format!("{service}.amazonaws.com");
        record.raw["eventSource"] = json!(record.source);
    }
}

/// Sixty callers a minute more are turned away in front of the service, which serves so many from then on.
fn walled(served: f64) -> Report {
    let mut incident = Incident::calm();
    incident.metrics("checkout", |minute| if minute >= ONSET { served } else { 100.0 }, |_| 0.0);
    incident.logs(|_, _| None);
    call(
        &mut incident,
        ONSET as f64 - 0.5,
        "wafv2",
        "UpdateWebACL",
        json!({"name": "checkout-acl", "scope": "REGIONAL"}),
    );
    let dimensions = [("WebACL", "checkout-acl"), ("Rule", "abroad")];
    incident.evidence.series.get_or_insert_default().push(Series {
        namespace: "AWS/WAFV2".to_owned(),
        metric: "BlockedRequests".to_owned(),
        dimensions: dimensions.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        stat: "Sum".to_owned(),
        period: 60,
        points: (0..MINUTES)
            .map(|minute| (at(minute as f64), if minute >= ONSET { 60.0 } else { 0.0 }))
            .collect(),
    });
    found(&incident).report
}

#[test]
fn callers_whom_a_firewall_turns_away_are_missing_behind_it_and_its_change_is_to_blame() {
    let report = walled(40.0);
    assert_eq!(report.verdict.cause, Cause::Deployment, "{report:#?}");
    assert_eq!(report.verdict.change.unwrap().resource, "checkout-acl");
}

#[test]
fn a_firewall_that_keeps_out_who_never_came_before_does_its_work() {
    let report = walled(100.0);
    assert_eq!(report.verdict.cause, Cause::None, "{report:#?}");
}

#[test]
fn an_access_list_that_denies_the_port_of_the_errors_is_to_blame_though_no_name_ties_it() {
    let denied = |port: u32| {
        let mut incident = Incident::calm();
        incident.failing(0.4, "connect to gateway.partner.example:443 timed out");
        let entry = json!({"networkAclId": "acl-1", "ruleNumber": 50, "aclProtocol": "6", "ruleAction": "deny",
            "egress": true, "cidrBlock": "0.0.0.0/0", "portRange": {"from": port, "to": port}});
        call(&mut incident, ONSET as f64 - 0.5, "ec2", "CreateNetworkAclEntry", entry);
        found(&incident).report.verdict.cause
    };
    assert_eq!(denied(443), Cause::Deployment);
    assert_ne!(denied(25), Cause::Deployment);
}

/// Ten orders of a hundred visitors, and six for the last ten minutes.
fn sagging(alert: Option<(f64, f64)>) -> Report {
    let mut incident = Incident::calm();
    if let Some((value, threshold)) = alert {
        incident.evidence.alert.value = Some(value);
        incident.evidence.alert.threshold = Some(threshold);
    }
    incident.series("checkout", "Shop", "Bookings", "Sum", |minute| {
        Some(if minute + 10 >= MINUTES { 6.0 } else { 10.0 })
    });
    found(&incident).report
}

#[test]
fn a_count_that_sags_in_few_numbers_is_believed_where_the_alert_says_that_something_is_too_little() {
    assert_eq!(sagging(Some((6.0, 8.0))).verdict.cause, Cause::Unknown);
    // The same numbers with an alert about too much are one of many counts that may have fallen by chance.
    assert_eq!(sagging(Some((0.03, 0.01))).verdict.cause, Cause::None);
    assert_eq!(sagging(None).verdict.cause, Cause::None);
}

/// Requests and bookings of each minute, and whether the alert says that something is too little.
fn booked(asked: impl Fn(usize) -> f64, booked: impl Fn(usize) -> f64, too_little: bool) -> Report {
    let mut incident = Incident::calm();
    if too_little {
        incident.evidence.alert.value = Some(6.0);
        incident.evidence.alert.threshold = Some(8.0);
    }
    incident.metrics("checkout", asked, |_| 0.0);
    incident.series("checkout", "Shop", "Bookings", "Sum", |minute| Some(booked(minute)));
    found(&incident).report
}

#[test]
fn a_count_that_falls_with_the_demand_has_not_sunk() {
    let asked = |minute: usize| if minute < ONSET { 10_000.0 } else { 6_600.0 };
    let most = |minute: usize| asked(minute) * if minute < ONSET { 0.99 } else { 0.975 } - 600.0;
    let report = booked(asked, most, false);
    assert!(!report.summary.contains("Bookings"), "{}", report.summary);
}

#[test]
fn a_count_that_stands_while_customers_try_twice_has_sunk_where_the_alert_says_so() {
    let asked = |minute: usize| if minute < ONSET { 1000.0 } else { 2000.0 };
    let stands = |minute: usize| 500.0 + (minute % 7) as f64;
    let report = booked(asked, stands, true);
    assert!(report.summary.contains("per 100 requests"), "{}", report.summary);
    // Twice as many who want something else leave it as it is.
    let report = booked(asked, stands, false);
    assert!(!report.summary.contains("Bookings"), "{}", report.summary);
}
