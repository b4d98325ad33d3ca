//! What a change cannot have done: it gave more of what is short, it was over before, it left the very limit that demand met.

use serde_json::json;

use super::incident::{Incident, ONSET, at};
use super::{POOL, cause, found};
use crate::domain::report::{ActionKind, Cause};

/// What cannot be the cause is neither blamed nor offered to be undone.
fn spared(incident: &Incident) {
    let report = found(incident).report;
    assert_ne!(report.verdict.cause, Cause::Deployment, "{:#?}", report.hypotheses);
    assert_ne!(report.action.kind, ActionKind::Rollback, "{:#?}", report.action);
}

#[test]
fn more_of_what_is_short_is_not_blamed_and_less_of_it_is() {
    for (key, more, less, says) in [
        ("DB_POOL_SIZE", "60", "30", POOL),
        ("RATE_LIMIT_RPS", "900", "100", "429 rate limit exceeded for caller, bucket empty"),
        ("NODE_HEAP_MB", "1024", "256", "JavaScript heap out of memory"),
    ] {
        let mut raised = Incident::calm();
        raised.deploy(88.0, &[(key, less, more)]).failing(0.4, says);
        spared(&raised);
        let mut lowered = Incident::calm();
        lowered.deploy(88.0, &[(key, more, less)]).failing(0.4, says);
        assert_eq!(cause(&lowered).0, Cause::Deployment, "{key}");
    }
}

#[test]
fn what_was_undone_before_the_onset_is_not_blamed_and_neither_is_its_undoing() {
    let mut incident = Incident::calm();
    incident.deploy(70.0, &[("DB_POOL_SIZE", "30", "3")]);
    incident.record(
        78.0,
        "back-event",
        "UpdateAlias20150331",
        json!({"functionName": "checkout", "name": "live", "functionVersion": "1"}),
    );
    incident.failing(0.4, POOL);
    spared(&incident);
}

#[test]
fn a_surge_that_meets_a_limit_just_cut_is_not_the_cause() {
    let mut incident = Incident::calm();
    incident
        .deploy(88.0, &[("DB_POOL_SIZE", "40", "4")])
        .failing(0.5, "timed out waiting for a pooled connection (4 of 4 busy)")
        .metrics(
            "checkout",
            |minute| if minute >= ONSET { 220.0 } else { 100.0 },
            |minute| if minute >= ONSET { 0.5 } else { 0.01 },
        );
    let report = found(&incident).report;
    assert_eq!(report.verdict.cause, Cause::Deployment, "{:#?}", report.hypotheses);
    assert_eq!(report.action.kind, ActionKind::Rollback, "{:#?}", report.action);
}

#[test]
fn callers_who_try_again_after_a_bad_release_are_no_surge() {
    let storm = |from: usize| {
        let mut incident = Incident::calm();
        incident
            .deploy(88.0, &[])
            .failing(0.8, "TypeError: cannot unpack non-iterable NoneType object")
            .metrics(
                "checkout",
                move |minute| if minute >= from { 280.0 } else { 100.0 },
                |minute| if minute >= ONSET { 0.8 } else { 0.01 },
            );
        for version in incident.evidence.functions.get_mut("checkout").unwrap().versions.iter_mut().flatten()
        {
            version.code_sha256 = version.version.clone();
        }
        found(&incident).report
    };
    let report = storm(ONSET);
    assert_eq!(report.verdict.cause, Cause::Deployment, "{:#?}", report.hypotheses);
    assert_eq!(report.action.kind, ActionKind::Rollback, "{:#?}", report.action);
}

#[test]
fn lines_of_a_version_from_before_its_publication_show_that_clocks_differ() {
    let skewed = |first: usize| {
        let mut incident = Incident::calm();
        // The records' clock is two minutes late.
        incident.deploy(92.0, &[("LEDGER_HOST", "ledger-2.internal", "ledger-7.internal")]);
        incident.failing(0.4, "no route to ledger-7.internal");
        for event in incident.evidence.logs.iter_mut().flatten() {
            let version = if event.at >= at(first as f64) { "2" } else { "1" };
            event.stream = format!("2026/02/06/[{version}]0123456789abcdef").into();
        }
        cause(&incident).0
    };
    assert_eq!(skewed(ONSET), Cause::Deployment);
    assert_ne!(skewed(93), Cause::Deployment);
}
