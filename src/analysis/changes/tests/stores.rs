//! Parameters and configuration deployments.

use serde_json::{Value, json};

use super::{Case, keys, took, took_none};
use crate::domain::change::{ChangeKind, Relation};
use crate::domain::rollback::RollbackTarget;

fn parameter(version: i64, at: &str, value: &str) -> Value {
    json!({"Name": "/shop/limits/max", "Type": "String", "Version": version, "Value": value,
        "LastModifiedDate": format!("2026-02-06T{at}Z"), "LastModifiedUser": "arn:aws:iam::123456789012:user/ana"})
}

fn put(case: &mut Case, id: &str, at: &str, version: i64) {
    case.call(
        id,
        at,
        "ssm",
        "PutParameter",
        json!({"name": "/shop/limits/max", "value": "HIDDEN_DUE_TO_SECURITY_REASONS", "type": "String"}),
        json!({"version": version}),
    );
}

#[test]
fn a_parameter_gets_its_values_from_its_history() {
    let mut case = Case::new();
    put(&mut case, "put", "12:00:00", 8);
    case.file(
        "ssm/parameters.json",
        &json!({"Parameters": [parameter(8, "12:00:00", "3"), parameter(7, "08:00:00", "50")]}),
    );
    let change = case.with("put");
    assert_eq!(change.kind, ChangeKind::SsmParameter);
    assert_eq!(keys(&change), [("/shop/limits/max", Some("50"), Some("3"))]);
    let Ok(RollbackTarget::SsmParameter { from_version, to_value, .. }) = &change.undo else { panic!() };
    assert_eq!((*from_version, to_value.as_str()), (8, "50"));
    // The version before it has no event, and is a change of its own.
    assert_eq!(case.changes().len(), 2);
    assert_eq!(case.changes()[0].id, "/shop/limits/max:7");
}

#[test]
fn a_number_that_the_history_does_not_hold_gives_way_to_the_time() {
    let mut case = Case::new();
    put(&mut case, "put", "12:00:00", 9);
    case.file(
        "ssm/parameters.json",
        &json!({"Parameters": [parameter(4, "12:00:01", "3"), parameter(3, "08:00:00", "50")]}),
    );
    assert_eq!(keys(&case.with("put")), [("/shop/limits/max", Some("50"), Some("3"))]);
    // A version that another call answered with is that call's.
    put(&mut case, "earlier", "11:59:50", 4);
    assert_eq!(keys(&case.with("earlier")), [("/shop/limits/max", Some("50"), Some("3"))]);
    assert_eq!(keys(&case.with("put")), [("/shop/limits/max", None, None)]);
}

#[test]
fn a_parameter_whose_history_is_unknown_shows_its_name_and_no_value() {
    let mut case = Case::new();
    put(&mut case, "put", "12:00:00", 8);
    let change = case.only();
    assert_eq!(keys(&change), [("/shop/limits/max", None, None)]);
    assert_eq!(change.relation, Relation::Unconnected);
    assert!(change.undo.is_err());
}

#[test]
fn a_parameter_put_back_is_undone_and_a_newer_one_is_not_overwritten() {
    let mut case = Case::new();
    put(&mut case, "bad", "12:00:00", 8);
    put(&mut case, "back", "12:10:00", 9);
    case.file(
        "ssm/parameters.json",
        &json!({"Parameters":
        [parameter(7, "08:00:00", "50"), parameter(8, "12:00:00", "3"), parameter(9, "12:10:00", "50")]}),
    );
    let (bad, back) = (case.with("bad"), case.with("back"));
    assert!(bad.undone_at.is_some() && bad.undo.is_err());
    assert_eq!(back.undoes.as_deref(), Some("bad"));
    case.file(
        "ssm/parameters.json",
        &json!({"Parameters":
        [parameter(7, "08:00:00", "50"), parameter(8, "12:00:00", "3"), parameter(9, "12:10:00", "4")]}),
    );
    let bad = case.with("bad");
    assert_eq!(
        (bad.undone_at, bad.undo.unwrap_err().as_str()),
        (None, "the parameter was changed again since")
    );
}

#[test]
fn the_reads_of_a_role_tell_whose_parameter_it_is() {
    let mut case = Case::new();
    put(&mut case, "put", "12:00:00", 8);
    let read_by = |case: &mut Case, role: &str| {
        case.call(
            role,
            "11:00:00",
            "ssm",
            "GetParameters",
            json!({"names": ["/shop/limits/max"]}),
            Value::Null,
        )
        .last("readOnly", json!(true))
        .last(
            "userIdentity",
            json!({"type": "AssumedRole",
                "arn": format!("arn:aws:sts::123456789012:assumed-role/{role}/task")}),
        );
    };
    read_by(&mut case, "app-inventory-role");
    assert_eq!(case.with("put").relation, Relation::Dependency("inventory".to_owned()));
    read_by(&mut case, "odd-name");
    case.file(
        "lambda/checkout/versions.json",
        &json!({"Versions": [{"Version": "$LATEST",
        "Role": "arn:aws:iam::123456789012:role/odd-name"}]}),
    );
    assert_eq!(case.with("put").relation, Relation::Shared);
}

#[test]
fn a_variable_that_names_a_parameter_connects_it() {
    let mut case = Case::new();
    put(&mut case, "put", "12:00:00", 8);
    case.file("ecs/task-definitions.json", &json!({"taskDefinitions": [{"family": "checkout", "revision": 1,
        "containerDefinitions": [{"name": "app", "environment": [{"name": "P", "value": "/shop/limits/max"}]}]}]}));
    assert_eq!(case.with("put").relation, Relation::Shared);
}

fn deployment(number: i64, state: &str, before: &Value, after: &Value) -> Value {
    json!({"DeploymentNumber": number, "ApplicationName": "checkout", "EnvironmentName": "prod",
        "ConfigurationName": "flags", "ConfigurationVersion": number.to_string(), "State": state,
        "StartedAt": "2026-02-06T12:00:00Z", "CompletedAt": "2026-02-06T12:10:00Z",
        "EventLog": [{"EventType": "ROLLBACK_COMPLETED", "OccurredAt": "2026-02-06T12:09:00Z"}],
        "ContentBefore": before, "ContentAfter": after})
}

#[test]
fn a_flag_is_deployed_by_and_by_and_named_as_people_name_it() {
    let mut case = Case::new();
    case.call(
        "stored",
        "11:59:00",
        "appconfig",
        "CreateHostedConfigurationVersion",
        json!({"ApplicationId": "checkout", "ConfigurationProfileId": "flags"}),
        Value::Null,
    );
    case.call("start", "12:00:00", "appconfig", "StartDeployment",
        json!({"ApplicationId": "checkout", "EnvironmentId": "prod", "ConfigurationProfileId": "flags", "ConfigurationVersion": "5"}),
        json!({"DeploymentNumber": 5}));
    let content = r#"{"newPricing": {"enabled": false}}"#;
    case.file(
        "appconfig/deployments.json",
        &json!({"Deployments":
        [deployment(5, "COMPLETE", &json!(content), &json!({"newPricing": {"enabled": true}}))]}),
    );
    let change = case.only();
    assert_eq!(change.event_ids, ["start", "stored"]);
    assert_eq!(keys(&change), [("newPricing", Some("false"), Some("true"))]);
    assert_eq!(took(&change), ("12:00:00".to_owned(), "12:10:00".to_owned()));
    assert_eq!(change.relation, Relation::Own);
    assert!(matches!(change.undo, Ok(RollbackTarget::AppConfig { deployment: 5, .. })));
}

#[test]
fn a_deployment_that_was_rolled_back_is_undone() {
    let mut case = Case::new();
    case.file(
        "appconfig/deployments.json",
        &json!({"Deployments":
        [deployment(5, "ROLLED_BACK", &json!({"a": 1}), &json!({"a": 2}))]}),
    );
    let change = case.only();
    assert_eq!(change.id, "checkout/prod/flags#5");
    assert_eq!(change.undone_at.map(|at| at.to_string()).as_deref(), Some("2026-02-06T12:09:00Z"));
    assert!(change.undo.is_err());
}

#[test]
fn a_stored_version_that_is_not_deployed_has_no_effect() {
    let mut case = Case::new();
    case.call(
        "stored",
        "11:59:00",
        "appconfig",
        "CreateHostedConfigurationVersion",
        json!({"ApplicationId": "checkout", "ConfigurationProfileId": "flags"}),
        Value::Null,
    );
    assert_eq!(took_none(&case.only()), "a version was stored, and no deployment brought it out");
}
