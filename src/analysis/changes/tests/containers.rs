//! Container services and the revisions that they run.

use serde_json::{Value, json};

use super::{Case, keys, took, took_none};
use crate::domain::change::Relation;
use crate::domain::rollback::RollbackTarget;

fn revision(number: i64, status: &str, image: &str, environment: &[(&str, &str)]) -> Value {
    let environment: Vec<Value> =
        environment.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
    json!({
        "taskDefinitionArn": format!("arn:aws:ecs:us-east-1:123456789012:task-definition/checkout:{number}"),
        "family": "checkout", "revision": number, "status": status, "cpu": "512", "memory": "1024",
        "taskRoleArn": "arn:aws:iam::123456789012:role/checkout-task",
        "containerDefinitions": [{"name": "app", "image": image, "environment": environment,
            "secrets": [{"name": "DB_PASSWORD", "valueFrom": "arn:aws:secretsmanager:us-east-1:123456789012:secret:prod/orders-a1B2c3"}]}],
    })
}

fn rollout(case: &mut Case) {
    case.file(
        "ecs/task-definitions.json",
        &json!({"taskDefinitions": [
            revision(22, "ACTIVE", "checkout:a", &[("POOL", "10")]),
            revision(23, "INACTIVE", "checkout:broken", &[("POOL", "99")]),
            revision(24, "ACTIVE", "checkout:a", &[("POOL", "5")]),
        ]}),
    );
    case.file("ecs/prod/checkout.json", &json!({
        "serviceName": "checkout", "desiredCount": 6, "runningCount": 6,
        "taskDefinition": "arn:aws:ecs:us-east-1:123456789012:task-definition/checkout:24",
        "deployments": [{"id": "ecs-svc/1", "status": "PRIMARY", "rolloutState": "COMPLETED", "desiredCount": 6,
            "taskDefinition": "arn:aws:ecs:us-east-1:123456789012:task-definition/checkout:24",
            "createdAt": "2026-02-06T12:00:30Z", "updatedAt": "2026-02-06T12:06:00Z"}],
        "events": [{"createdAt": "2026-02-06T12:05:00Z", "message": "(service checkout) (deployment ecs-svc/1) deployment completed."}],
    }));
    let update = |revision: i64| {
        json!({"cluster": "arn:aws:ecs:us-east-1:123456789012:cluster/prod", "service": "checkout",
        "taskDefinition": format!("arn:aws:ecs:us-east-1:123456789012:task-definition/checkout:{revision}"), "desiredCount": 6})
    };
    case.call("before", "09:00:00", "ecs", "UpdateService", update(22), Value::Null);
    case.call(
        "register",
        "12:00:00",
        "ecs",
        "RegisterTaskDefinition",
        json!({"family": "checkout"}),
        json!({"taskDefinition": {"family": "checkout", "revision": 24}}),
    );
    case.call("update", "12:00:10", "ecs", "UpdateService", update(24), Value::Null);
}

#[test]
fn a_rollout_is_the_difference_of_the_revisions_that_ran() {
    let mut case = Case::new();
    rollout(&mut case);
    let change = case.with("update");
    assert_eq!(change.event_ids, ["update", "register"]);
    assert_eq!(change.resource, "prod/checkout");
    assert_eq!(keys(&change), [("POOL", Some("10"), Some("5"))]);
    assert!(!change.code_changed);
    assert_eq!(took(&change), ("12:00:30".to_owned(), "12:05:00".to_owned()));
    let Ok(RollbackTarget::EcsService { to_task_definition, .. }) = change.undo else { panic!() };
    assert!(to_task_definition.ends_with("checkout:22"));
}

#[test]
fn a_revision_that_is_inactive_cannot_be_started_again() {
    let mut case = Case::new();
    rollout(&mut case);
    let mut definitions: Value = serde_json::from_slice(&case.files["ecs/task-definitions.json"]).unwrap();
    definitions["taskDefinitions"][0]["status"] = json!("INACTIVE");
    case.file("ecs/task-definitions.json", &definitions);
    assert_eq!(
        case.with("update").undo.unwrap_err(),
        "revision checkout:22 is INACTIVE and cannot be started"
    );
}

#[test]
fn a_rollout_that_the_circuit_breaker_took_back_is_undone() {
    let mut case = Case::new();
    rollout(&mut case);
    let mut service: Value = serde_json::from_slice(&case.files["ecs/prod/checkout.json"]).unwrap();
    let back = "arn:aws:ecs:us-east-1:123456789012:task-definition/checkout:22";
    service["taskDefinition"] = json!(back);
    service["deployments"] = json!([{"id": "ecs-svc/2", "status": "PRIMARY", "rolloutState": "COMPLETED",
        "taskDefinition": back, "createdAt": "2026-02-06T12:12:00Z", "updatedAt": "2026-02-06T12:14:00Z"}]);
    case.file("ecs/prod/checkout.json", &service);
    let change = case.with("update");
    assert_eq!(change.undone_at.map(|at| at.to_string()).as_deref(), Some("2026-02-06T12:12:00Z"));
    assert!(case.changes().iter().any(|other| other.undoes.as_deref() == Some(change.id.as_str())));
}

#[test]
fn going_back_under_a_new_number_is_going_back() {
    let mut case = Case::new();
    rollout(&mut case);
    let mut definitions: Value = serde_json::from_slice(&case.files["ecs/task-definitions.json"]).unwrap();
    let again = revision(25, "ACTIVE", "checkout:a", &[("POOL", "10"), ("RELEASE_TAG", "fix")]);
    definitions["taskDefinitions"].as_array_mut().unwrap().push(again);
    case.file("ecs/task-definitions.json", &definitions);
    case.call(
        "back",
        "12:15:00",
        "ecs",
        "UpdateService",
        json!({"cluster": "prod", "service": "checkout", "taskDefinition": "checkout:25"}),
        Value::Null,
    );
    assert_eq!(case.with("back").undoes, Some(case.with("update").id));
    assert!(case.with("update").undone_at.is_some());
}

#[test]
fn a_restart_and_another_number_of_tasks_bring_no_other_revision() {
    let mut case = Case::new();
    let service = json!({"cluster": "prod", "service": "inventory"});
    let ask = |key: &str, value: Value| {
        let mut request = service.clone();
        request[key] = value;
        request
    };
    case.call("four", "11:00:00", "ecs", "UpdateService", ask("desiredCount", json!(4)), Value::Null);
    case.call("two", "12:00:00", "ecs", "UpdateService", ask("desiredCount", json!(2)), Value::Null);
    case.call(
        "restart",
        "12:01:00",
        "ecs",
        "UpdateService",
        ask("forceNewDeployment", json!(true)),
        Value::Null,
    );
    let two = case.with("two");
    assert_eq!(keys(&two), [("desiredCount", Some("4"), Some("2"))]);
    assert_eq!(two.relation, Relation::Dependency("inventory".to_owned()));
    let restart = case.with("restart");
    assert!(restart.keys.is_empty() && !restart.no_op && restart.undo.is_err());
}

#[test]
fn a_registered_revision_that_nobody_runs_has_no_effect() {
    let mut case = Case::new();
    case.call(
        "register",
        "12:00:00",
        "ecs",
        "RegisterTaskDefinition",
        json!({"family": "checkout"}),
        json!({"taskDefinition": {"family": "checkout", "revision": 25}}),
    );
    assert_eq!(took_none(&case.only()), "checkout:25 was registered, and no service was moved to it");
}

#[test]
fn a_rollout_without_its_events_is_seen_by_its_deployment() {
    let mut case = Case::new();
    rollout(&mut case);
    case.records.clear();
    let change = case.only();
    assert_eq!((change.id.as_str(), change.event_ids.len()), ("prod/checkout:checkout:24", 0));
    assert_eq!(change.from_version.as_deref(), Some("checkout:23"));
    assert!(change.code_changed);
}
