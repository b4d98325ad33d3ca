//! What the bot itself recorded stands in where AWS keeps no earlier state.

use serde_json::{Value, json};

use super::{Case, keys, version};
use crate::domain::rollback::RollbackTarget;

fn seen(resource: &str, first: &str, last: &str, values: &Value) -> Value {
    json!({"resource": resource, "first_at": format!("2026-02-06T{first}Z"), "last_at": format!("2026-02-06T{last}Z"),
        "values": values})
}

/// A function without an alias whose variables were changed at 12:00, to what is there now.
fn changed(snapshots: &[Value], now: &Value) -> Case {
    let mut case = Case::new();
    case.file(
        "lambda/checkout/versions.json",
        &json!({"Versions": [version("$LATEST", "12:00:00", "sha", now)]}),
    );
    case.file("lambda/checkout/aliases.json", &json!({"Aliases": []}));
    case.file("snapshots.json", &json!({ "Snapshots": snapshots }));
    // CloudTrail reaches back to before what was seen.
    case.call("early", "08:00:00", "lambda", "TagResource20170331v2", json!({"resource": "x"}), Value::Null);
    case.call(
        "config",
        "12:00:00",
        "lambda",
        "UpdateFunctionConfiguration20150331v2",
        json!({"functionName": "checkout", "environment": {}}),
        Value::Null,
    );
    case
}

const ENVIRONMENT: &str = "lambda/checkout/environment";

#[test]
fn variables_that_only_the_recorder_saw_before_are_diffed_and_can_be_put_back() {
    let case = changed(
        &[
            seen(ENVIRONMENT, "09:00:00", "11:50:00", &json!({"POOL": "10", "MODE": "a"})),
            seen(ENVIRONMENT, "12:05:00", "12:20:00", &json!({"POOL": "5", "MODE": "a"})),
        ],
        &json!({"POOL": "5", "MODE": "a"}),
    );
    let change = case.with("config");
    assert_eq!(keys(&change), [("POOL", Some("10"), Some("5"))]);
    let Ok(RollbackTarget::LambdaConfiguration { keys, .. }) = change.undo else {
        panic!("{:?}", change.undo)
    };
    assert_eq!(keys["POOL"], (Some("5".to_owned()), Some("10".to_owned())));
}

#[test]
fn a_secret_that_changed_is_named_without_a_value_and_cannot_be_put_back() {
    let secret = |hash: &str| json!({"POOL": "5", "DB_PASSWORD": {"hash": hash}});
    let case = changed(
        &[
            seen(ENVIRONMENT, "09:00:00", "11:50:00", &secret("a")),
            seen(ENVIRONMENT, "12:05:00", "12:20:00", &secret("b")),
        ],
        &json!({"POOL": "5", "DB_PASSWORD": "hunter3"}),
    );
    let change = case.with("config");
    assert_eq!(keys(&change), [("DB_PASSWORD", None, None)]);
    assert!(change.undo.is_err() && !change.no_op);
}

#[test]
fn what_was_seen_before_another_call_is_the_state_of_another_time() {
    let mut case = changed(
        &[
            seen(ENVIRONMENT, "09:00:00", "11:00:00", &json!({"POOL": "10"})),
            seen(ENVIRONMENT, "12:05:00", "12:20:00", &json!({"POOL": "5"})),
        ],
        &json!({"POOL": "5"}),
    );
    case.call(
        "other",
        "11:30:00",
        "lambda",
        "UpdateFunctionConfiguration20150331v2",
        json!({"functionName": "checkout", "environment": {}}),
        Value::Null,
    );
    assert_eq!(keys(&case.with("config")), []);
}

#[test]
fn a_limit_and_a_number_of_tasks_have_a_before_where_the_recorder_saw_one() {
    let mut case = Case::new();
    case.file(
        "snapshots.json",
        &json!({"Snapshots": [
            seen("lambda/checkout/concurrency", "09:00:00", "11:50:00", &json!({"ReservedConcurrentExecutions": "unreserved"})),
            seen("lambda/checkout/concurrency", "12:05:00", "12:05:00", &json!({"ReservedConcurrentExecutions": "1"})),
            seen("ecs/prod/checkout", "09:00:00", "11:50:00", &json!({"desiredCount": "6"})),
            seen("ecs/prod/checkout", "12:05:00", "12:05:00", &json!({"desiredCount": "1"})),
        ]}),
    );
    case.call(
        "limit",
        "12:00:00",
        "lambda",
        "PutFunctionConcurrency20171031",
        json!({"functionName": "checkout", "reservedConcurrentExecutions": 1}),
        Value::Null,
    );
    case.call(
        "tasks",
        "12:00:00",
        "ecs",
        "UpdateService",
        json!({"cluster": "prod", "service": "checkout", "desiredCount": 1}),
        Value::Null,
    );
    let limit = case.with("limit");
    assert_eq!(keys(&limit), [("ReservedConcurrentExecutions", Some("unreserved"), Some("1"))]);
    assert!(matches!(limit.undo, Ok(RollbackTarget::LambdaConcurrency { to: None, .. })), "{:?}", limit.undo);
    assert_eq!(keys(&case.with("tasks")), [("desiredCount", Some("6"), Some("1"))]);
}
