//! Releases that AWS's services tell of themselves: the same one is told once, whoever tells of it.

use serde_json::{Value, json};

use super::{Case, took};
use crate::domain::change::{ChangeKind, Effect, Relation};

fn ecs(id: &str, minute: &str, name: &str) -> Value {
    json!({"id": id, "detail-type": "ECS Deployment State Change", "source": "aws.ecs", "time": format!("2026-02-06T{minute}Z"),
        "resources": ["arn:aws:ecs:us-east-1:123456789012:service/prod/checkout"],
        "detail": {"eventType": "INFO", "eventName": name, "deploymentId": "ecs-svc/1"}})
}

fn codedeploy(minute: &str, state: &str) -> Value {
    json!({"id": format!("cd-{state}"), "detail-type": "CodeDeploy Deployment State-change Notification",
        "source": "aws.codedeploy", "time": format!("2026-02-06T{minute}Z"),
        "detail": {"application": "shop", "deploymentGroup": "checkout", "deploymentId": "d-1", "state": state}})
}

fn stack(id: &str, minute: &str, status: &str, resource: Option<(&str, &str)>) -> Value {
    let (kind, physical, logical) = match resource {
        Some((logical, physical)) => ("CloudFormation Resource Status Change", physical, logical),
        None => ("CloudFormation Stack Status Change", "", ""),
    };
    json!({"id": id, "detail-type": kind, "source": "aws.cloudformation", "time": format!("2026-02-06T{minute}Z"),
        "detail": {"stack-id": "arn:aws:cloudformation:us-east-1:123456789012:stack/shop-core/5f-1",
            "logical-resource-id": logical, "physical-resource-id": physical, "resource-type": "AWS::Lambda::Function",
            "status-details": {"status": status, "status-reason": ""}}})
}

fn events(case: &mut Case, events: &[Value]) {
    case.file("events.json", &json!({ "Events": events }));
}

fn update(case: &mut Case) {
    case.call(
        "update",
        "12:00:00",
        "ecs",
        "UpdateService",
        json!({"cluster": "prod", "service": "checkout", "taskDefinition": "checkout:24"}),
        Value::Null,
    );
}

#[test]
fn a_deployment_that_only_an_event_tells_of_is_a_change_of_the_service() {
    let mut case = Case::new();
    let told = [
        ecs("e-1", "12:00:10", "SERVICE_DEPLOYMENT_IN_PROGRESS"),
        ecs("e-2", "12:04:00", "SERVICE_DEPLOYMENT_COMPLETED"),
    ];
    events(&mut case, &told);
    let change = case.only();
    assert_eq!((&change.kind, &change.relation), (&ChangeKind::EcsDeployment, &Relation::Own));
    assert_eq!(took(&change), ("12:00:10".to_owned(), "12:04:00".to_owned()));
    assert!(change.event_ids.is_empty(), "an event of EventBridge is no CloudTrail record: {change:?}");
}

#[test]
fn a_deployment_that_the_api_and_an_event_tell_of_is_one_change() {
    for told in [
        vec![
            ecs("e-1", "12:00:10", "SERVICE_DEPLOYMENT_IN_PROGRESS"),
            ecs("e-2", "12:04:00", "SERVICE_DEPLOYMENT_FAILED"),
        ],
        vec![ecs("e-2", "12:04:00", "SERVICE_DEPLOYMENT_FAILED")],
    ] {
        let mut case = Case::new();
        update(&mut case);
        events(&mut case, &told);
        let change = case.only();
        assert_eq!(change.event_ids, ["update"]);
        assert_eq!(
            change.undone_at,
            Some("2026-02-06T12:04:00Z".parse().unwrap()),
            "the event says that it failed"
        );
    }
    // One that only began is not the one of an hour ago.
    let mut case = Case::new();
    update(&mut case);
    events(&mut case, &[ecs("e-1", "12:19:00", "SERVICE_DEPLOYMENT_IN_PROGRESS")]);
    assert_eq!(case.changes().len(), 2);
}

#[test]
fn what_codedeploy_moved_is_told_once_with_who_asked_for_it() {
    let mut case = Case::new();
    case.call(
        "deploy",
        "12:00:00",
        "codedeploy",
        "CreateDeployment",
        json!({"applicationName": "shop", "deploymentGroupName": "checkout"}),
        json!({"deploymentId": "d-1"}),
    );
    case.call(
        "move",
        "12:01:00",
        "lambda",
        "UpdateAlias20150331",
        json!({"functionName": "checkout", "name": "live", "functionVersion": "7"}),
        Value::Null,
    );
    case.last("userIdentity", json!({"type": "AWSService", "invokedBy": "codedeploy.amazonaws.com"}));
    events(&mut case, &[codedeploy("12:00:05", "START"), codedeploy("12:03:00", "SUCCESS")]);
    let change = case.only();
    assert_eq!((&change.kind, change.resource.as_str()), (&ChangeKind::LambdaAlias, "checkout"));
    assert_eq!(change.event_ids, ["move", "deploy"]);
    assert_eq!(change.actor.map(|actor| actor.name).as_deref(), Some("github-deploy/run-7"));
}

#[test]
fn a_deployment_of_codedeploy_that_another_took_back_is_undone() {
    let mut case = Case::new();
    case.file(
        "codedeploy/deployments.json",
        &json!({"deploymentsInfo": [
            {"deploymentId": "d-1", "applicationName": "checkout", "deploymentGroupName": "live", "status": "Failed",
                "creator": "user", "createTime": "2026-02-06T12:00:00Z", "completeTime": "2026-02-06T12:04:00Z"},
            {"deploymentId": "d-2", "applicationName": "checkout", "deploymentGroupName": "live", "status": "Succeeded",
                "creator": "codeDeployRollback", "createTime": "2026-02-06T12:04:00Z",
                "completeTime": "2026-02-06T12:06:00Z", "rollbackInfo": {"rollbackTriggeringDeploymentId": "d-1"}},
        ]}),
    );
    let changes = case.changes();
    let [bad, back] = &changes[..] else { panic!("{changes:#?}") };
    assert_eq!(
        (&bad.relation, bad.undone_at),
        (&Relation::Own, Some("2026-02-06T12:04:00Z".parse().unwrap()))
    );
    assert_eq!(back.undoes.as_ref(), Some(&bad.id));
}

#[test]
fn a_stack_is_known_by_what_it_touched_and_stands_back_where_that_is_told_by_itself() {
    let told = [
        stack("s-1", "12:00:00", "UPDATE_IN_PROGRESS", None),
        stack("s-2", "12:00:20", "UPDATE_COMPLETE", Some(("Function", "checkout"))),
        stack("s-3", "12:01:00", "UPDATE_COMPLETE", None),
    ];
    let mut case = Case::new();
    events(&mut case, &told);
    let change = case.only();
    assert_eq!((&change.kind, &change.relation), (&ChangeKind::Stack, &Relation::Own));
    assert_eq!(took(&change), ("12:00:00".to_owned(), "12:01:00".to_owned()));
    // The function's own call tells more: the stack stands back, and who asked for it made the change.
    case.call(
        "asked",
        "11:59:58",
        "cloudformation",
        "UpdateStack",
        json!({"stackName": "shop-core"}),
        Value::Null,
    );
    case.call(
        "config",
        "12:00:15",
        "lambda",
        "PutFunctionConcurrency20171031",
        json!({"functionName": "checkout", "reservedConcurrentExecutions": 1}),
        Value::Null,
    );
    case.last("userIdentity", json!({"type": "IAMUser", "userName": "stack-role"}));
    let change = case.only();
    assert_eq!(change.event_ids, ["config", "asked"]);
    assert_eq!(change.actor.map(|actor| actor.name).as_deref(), Some("github-deploy/run-7"));
}

#[test]
fn a_stack_that_rolled_back_has_undone_itself() {
    let mut case = Case::new();
    case.call(
        "asked",
        "12:00:00",
        "cloudformation",
        "UpdateStack",
        json!({"stackName": "shop-core"}),
        Value::Null,
    );
    events(
        &mut case,
        &[
            stack("s-1", "12:00:01", "UPDATE_IN_PROGRESS", None),
            stack("s-2", "12:05:00", "UPDATE_ROLLBACK_COMPLETE", None),
        ],
    );
    let change = case.only();
    assert_eq!(change.event_ids, ["asked"]);
    assert_eq!(change.undone_at, Some("2026-02-06T12:05:00Z".parse().unwrap()));
}

#[test]
fn a_parameter_that_an_event_names_is_changed_without_a_value() {
    let event = json!({"id": "p-1", "detail-type": "Parameter Store Change", "source": "aws.ssm",
        "time": "2026-02-06T12:00:00Z", "detail": {"operation": "Update", "name": "/checkout/limit", "type": "String"}});
    let mut case = Case::new();
    events(&mut case, &[event]);
    let change = case.only();
    assert_eq!((change.keys[0].key.as_str(), &change.keys[0].after), ("/checkout/limit", &None));
    assert!(matches!(change.effect, Effect::Took { .. }));
    case.file(
        "ssm/parameters.json",
        &json!({"Parameters": [
            {"Name": "/checkout/limit", "Type": "String", "Version": 1, "Value": "10", "LastModifiedDate": "2026-02-01T12:00:00Z"},
            {"Name": "/checkout/limit", "Type": "String", "Version": 2, "Value": "5", "LastModifiedDate": "2026-02-06T12:00:00Z"}]}),
    );
    let changes = case.changes();
    let of_today = changes.iter().filter(|change| change.at.to_string().starts_with("2026-02-06")).count();
    assert_eq!(of_today, 1, "the history tells of it, with its values: {changes:#?}");
}

#[test]
fn a_deployment_of_appconfig_that_its_event_and_its_api_tell_of_is_one_change() {
    let part = |name: &str| json!({"Id": format!("id-{name}"), "Name": name});
    let event = json!({"id": "a-1", "detail-type": "On Deployment Rolled Back", "source": "aws.appconfig",
        "time": "2026-02-06T12:06:00Z", "detail": {"Type": "OnDeploymentRolledBack", "Application": part("checkout"),
        "Environment": part("prod"), "ConfigurationProfile": part("flags"), "DeploymentNumber": 4, "ConfigurationVersion": "4"}});
    let mut case = Case::new();
    events(&mut case, &[event]);
    assert_eq!(case.only().resource, "checkout/prod/flags");
    case.file(
        "appconfig/deployments.json",
        &json!({"Deployments": [{"DeploymentNumber": 4, "ApplicationName": "checkout", "EnvironmentName": "prod",
            "ConfigurationName": "flags", "ConfigurationVersion": "4", "State": "ROLLED_BACK",
            "StartedAt": "2026-02-06T12:00:00Z", "CompletedAt": "2026-02-06T12:06:00Z"}]}),
    );
    assert_eq!(case.changes().len(), 1);
}
