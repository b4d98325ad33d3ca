//! Settings that only the service's own lines show, and what looks like one and is none.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::incident::{Incident, ONSET, at};
use crate::analysis::{Investigation, investigate};
use crate::domain::evidence::FunctionVersion;
use crate::domain::report::{Cause, Report};

/// The change takes effect here, a quarter of an hour before the trouble.
const CHANGED: usize = 75;
const POOL: &str = "could not acquire a connection: pool exhausted";

/// A configuration whose values AWS hides, on a function without an alias; `fields` gives what a line of
/// a minute carries beside its message.
fn incident(fields: impl Fn(usize) -> Value) -> Incident {
    let mut incident = Incident::calm();
    incident
        .metrics("checkout", |_| 100.0, |minute| if minute >= ONSET { 0.4 } else { 0.01 })
        .record(
            CHANGED as f64,
            "config-event",
            "UpdateFunctionConfiguration20150331v2",
            json!({"functionName": "checkout", "environment": {}}),
        )
        .lines(|minute, index| line(minute, index, fields(minute)).to_string());
    incident
}

fn line(minute: usize, index: usize, fields: Value) -> Value {
    let mut line = if minute >= ONSET && index < 4 {
        json!({"level": "ERROR", "message": POOL, "error_type": "PoolTimeout", "status": 503})
    } else {
        json!({"level": "INFO", "message": "order stored", "status": 200})
    };
    if let (Some(line), Value::Object(fields)) = (line.as_object_mut(), fields) {
        line.extend(fields);
    }
    line
}

fn investigated(incident: &Incident) -> Investigation {
    investigate(&incident.evidence)
}

fn keys(report: &Report) -> Vec<(String, Option<String>, Option<String>)> {
    let change = report.verdict.change.as_ref().expect("a change is blamed");
    change.config.iter().map(|key| (key.key.clone(), key.before.clone(), key.after.clone())).collect()
}

fn pool(minute: usize) -> usize {
    if minute < CHANGED { 10 } else { 5 }
}

fn told(before: &str, after: &str) -> Vec<(String, Option<String>, Option<String>)> {
    vec![("db_pool_size".to_owned(), Some(before.to_owned()), Some(after.to_owned()))]
}

#[test]
fn a_field_that_is_a_variable_of_the_function_is_a_setting_whatever_its_name_says() {
    let of = |present: &str| {
        let mut incident = incident(|minute| json!({"zopshaw_twosk": pool(minute), "request_id": minute}));
        let history = incident.evidence.functions.entry("checkout".to_owned()).or_default();
        history.versions.get_or_insert_default().push(FunctionVersion {
            version: "$LATEST".to_owned(),
            last_modified: Some(at(CHANGED as f64)),
            code_sha256: "same".to_owned(),
            description: String::new(),
            revision_id: String::new(),
            environment: BTreeMap::from([("ZOPSHAW_TWOSK".to_owned(), present.to_owned())]),
            settings: BTreeMap::new(),
        });
        keys(&investigated(&incident).report)
    };
    assert_eq!(of("5"), [("ZOPSHAW_TWOSK".to_owned(), Some("10".to_owned()), Some("5".to_owned()))]);
    // What AWS holds is another value: the field is something else under that name.
    assert_eq!(of("40"), []);
}

#[test]
fn values_that_aws_hides_are_those_of_the_log_field() {
    let found = investigated(&incident(|minute| json!({"db_pool_size": pool(minute), "max_concurrent": 8})));
    let report = &found.report;
    assert_eq!(report.verdict.cause, Cause::Deployment, "{report:#?}");
    assert_eq!(keys(report), told("10", "5"));
    assert!(report.summary.contains("db_pool_size from 10 to 5"), "{}", report.summary);
    // Half of the pair is enough: the other is what the lines say all along.
    assert!(report.summary.contains("8 callers cannot share a pool of 5"), "{}", report.summary);
    let source = report.evidence.iter().find(|item| item.statement.contains("AWS does not show all of"));
    assert_eq!(source.and_then(|item| item.query.as_deref()), Some("field db_pool_size of log lines"));
}

#[test]
fn a_field_that_moves_with_the_trouble_is_no_setting_of_the_change() {
    let found =
        investigated(&incident(|minute| json!({"db_pool_size": if minute < ONSET + 2 { 10 } else { 5 }})));
    assert_eq!(found.change.map(|change| change.keys), Some(Vec::new()));
}

#[test]
fn a_field_that_moved_long_before_the_change_is_not_its_own() {
    let found = investigated(&incident(|minute| json!({"db_pool_size": if minute < 40 { 10 } else { 5 }})));
    assert_eq!(found.change.map(|change| change.keys), Some(Vec::new()));
}

#[test]
fn what_is_measured_sent_or_claimed_is_no_setting() {
    for fields in [
        (|minute| json!({"pool_available": if minute < CHANGED { 7 } else { -3 }})) as fn(usize) -> Value,
        |minute| json!({"queue_depth": pool(minute)}),
        |minute| json!({"request": {"db_pool_size": pool(minute)}}),
        |minute| json!({"headers": {"inner": {"db_pool_size": pool(minute)}}}),
        |minute| json!({"client_pool_size": pool(minute)}),
        |minute| json!({"app_version": format!("1.{}", pool(minute))}),
        |minute| json!({"recent_deployment_pool_size": pool(minute)}),
    ] {
        let incident = incident(fields);
        let keys = investigated(&incident).change.map(|change| change.keys);
        assert_eq!(keys, Some(Vec::new()), "{:?}", incident.evidence.logs.unwrap().pop());
    }
}

#[test]
fn a_pair_in_free_text_may_be_a_strangers() {
    let mut incident = incident(|_| json!({}));
    incident.lines(|minute, index| {
        if minute >= ONSET && index < 4 {
            format!("ERROR {POOL}")
        } else {
            format!("INFO order stored, note db_pool_size={}", pool(minute))
        }
    });
    assert_eq!(investigated(&incident).change.map(|change| change.keys), Some(Vec::new()));
}

#[test]
fn a_few_lines_of_a_stranger_do_not_hide_a_setting() {
    let found = investigated(&incident(|minute| {
        // One minute in thirty is his.
        json!({"db_pool_size": if minute % 30 == 7 { 999 } else { pool(minute) }})
    }));
    assert_eq!(keys(&found.report), told("10", "5"));
}

#[test]
fn of_two_changes_in_the_same_minute_neither_has_the_field() {
    let mut incident = incident(|minute| json!({"db_pool_size": pool(minute)}));
    incident.record(
        CHANGED as f64 + 0.5,
        "another-event",
        "UpdateFunctionConfiguration20150331v2",
        json!({"functionName": "checkout", "environment": {}}),
    );
    let found = investigated(&incident);
    assert_eq!(found.change.map(|change| change.keys), Some(Vec::new()));
}

#[test]
fn a_known_key_whose_field_stays_has_not_reached_the_program() {
    let with = |stays: bool| {
        let mut told = Incident::calm();
        told.deploy(CHANGED as f64, &[("DB_POOL_SIZE", "10", "5")]).failing(0.4, POOL);
        for event in told.evidence.logs.iter_mut().flatten() {
            let size = if stays || event.at < at(CHANGED as f64 + 0.2) { 10 } else { 5 };
            event.message = event.message.replacen('{', &format!("{{\"db_pool_size\":{size},"), 1);
        }
        investigated(&told).report
    };
    let (moved, stayed) = (with(false), with(true));
    let says = |report: &Report, text: &str| report.evidence.iter().any(|item| item.statement.contains(text));
    assert!(says(&moved, "moved with the change"), "{moved:#?}");
    assert!(says(&stayed, "stays at 10"), "{stayed:#?}");
    assert!(stayed.verdict.confidence < moved.verdict.confidence);
}
