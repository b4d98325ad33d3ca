//! Whose fault it is by what the lines say of counterparts, and what falls without failing.

use serde_json::json;

use super::found;
use super::incident::{Incident, ONSET};
use crate::domain::report::Cause;

/// Lines that name an issuer each: two of three go to one that fails from the onset on.
fn issuers(other_fails: bool) -> Incident {
    let mut incident = Incident::calm();
    incident.metrics("checkout", |_| 100.0, |minute| if minute >= ONSET { 0.3 } else { 0.01 });
    incident.lines(|minute, index| {
        let issuer = if index % 3 == 0 { "Nordbank" } else { "Alpenbank" };
        if minute >= ONSET && (other_fails || issuer == "Nordbank") {
            json!({"level": "ERROR", "message": "authorisation declined, code 91", "status": 502, "issuer": issuer})
                .to_string()
        } else {
            json!({"level": "INFO", "message": "authorised", "status": 200, "issuer": issuer}).to_string()
        }
    });
    incident
}

#[test]
fn one_counterpart_whose_lines_fail_while_anothers_go_well_is_the_one() {
    let report = found(&issuers(false)).report;
    assert_eq!(report.verdict.cause, Cause::Dependency, "{report:#?}");
    assert!(report.summary.contains("Nordbank"), "{}", report.summary);
    let told = report.evidence.iter().any(|item| item.statement.starts_with("Of the lines with issuer"));
    assert!(told, "{report:#?}");
    // Where both fail, nothing tells one from the other.
    let report = found(&issuers(true)).report;
    assert!(!report.evidence.iter().any(|item| item.statement.starts_with("Of the lines with issuer")));
}

#[test]
fn a_circuit_breaker_that_opened_with_the_onset_tells_who_does_not_answer() {
    let timeouts = |text: &str, from: usize| {
        let mut incident = Incident::calm();
        incident.failing(0.4, "java.net.SocketTimeoutException: Read timed out");
        for minute in from..ONSET + 6 {
            incident.say(minute as f64 + 0.5, text);
        }
        found(&incident).report
    };
    let report = timeouts("circuit to eu1.weather.example half-open", ONSET);
    assert_eq!(report.verdict.cause, Cause::Dependency, "{report:#?}");
    assert!(report.summary.contains("eu1.weather.example"), "{}", report.summary);
    // One that closes tells of nobody who fails, and one that was open for an hour is no news.
    for (text, from) in [
        ("circuit to eu1.weather.example closed", ONSET),
        ("circuit to eu1.weather.example half-open", ONSET - 60),
    ] {
        let report = timeouts(text, from);
        assert!(!report.summary.contains("eu1.weather.example"), "{}", report.summary);
    }
}

#[test]
fn what_a_service_counts_of_its_own_work_may_fall_without_a_failure() {
    let sales = |level: f64| {
        let mut incident = Incident::calm();
        incident.series("checkout", "Shop", "Conversions", "Sum", |minute| {
            let usual = 40.0 + (minute * 7 % 5) as f64;
            Some(if minute >= ONSET { usual * level } else { usual })
        });
        found(&incident).report
    };
    let report = sales(0.6);
    assert_eq!(report.verdict.cause, Cause::Unknown, "{report:#?}");
    assert!(report.summary.contains("Conversions fell from 42"), "{}", report.summary);
    assert_eq!(sales(0.97).verdict.cause, Cause::None);
}
