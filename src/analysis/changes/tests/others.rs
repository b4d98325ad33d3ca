//! Permissions, networks, secrets, databases, stacks, and what is no change at all.

use serde_json::{Value, json};

use super::{Case, keys, took, took_none};
use crate::domain::change::{ChangeKind, Relation};

#[test]
fn what_only_looks_mutating_is_left_out() {
    let mut case = Case::new();
    for (source, name) in [
        ("sts", "AssumeRole"),
        ("logs", "CreateLogStream"),
        ("ssm", "UpdateInstanceInformation"),
        ("kms", "GenerateDataKey"),
        ("signin", "ConsoleLogin"),
        ("sqs", "SendMessage"),
        ("secretsmanager", "StartSecretVersionDelete"),
    ] {
        case.call(name, "12:00:00", source, name, json!({"name": "checkout"}), Value::Null);
    }
    case.call(
        "read",
        "12:00:00",
        "lambda",
        "GetFunction20150331v2",
        json!({"functionName": "checkout"}),
        Value::Null,
    )
    .last("readOnly", json!(true));
    assert_eq!(case.changes(), []);
}

#[test]
fn telemetry_and_labels_act_on_nothing_that_serves() {
    let mut case = Case::new();
    case.call(
        "alarm",
        "12:00:00",
        "monitoring",
        "PutMetricAlarm",
        json!({"alarmName": "checkout-errors"}),
        Value::Null,
    );
    case.call("tag", "12:00:00", "dynamodb", "TagResource",
        json!({"resourceArn": "arn:aws:dynamodb:us-east-1:123456789012:table/orders", "tags": [{"key": "a", "value": "b"}]}), Value::Null);
    assert_eq!(took_none(&case.with("alarm")), "it changes what is observed, not what runs");
    assert_eq!(case.with("alarm").relation, Relation::Own);
    let tag = case.with("tag");
    assert!(tag.no_op && tag.keys.is_empty());
}

#[test]
fn every_kind_is_told_by_service_and_verb() {
    let mut case = Case::new();
    let table: &[(&str, &str, Value, ChangeKind, &str)] = &[
        (
            "iam",
            "PutRolePolicy",
            json!({"roleName": "checkout-task", "policyName": "p"}),
            ChangeKind::IamPolicy,
            "checkout-task",
        ),
        (
            "lambda",
            "AddPermission20150331v2",
            json!({"functionName": "checkout", "statementId": "s"}),
            ChangeKind::IamPolicy,
            "checkout",
        ),
        (
            "s3",
            "DeleteBucketPolicy",
            json!({"bucketName": "b", "Host": "b.s3.amazonaws.com"}),
            ChangeKind::IamPolicy,
            "b",
        ),
        ("ec2", "RevokeSecurityGroupIngress", json!({"groupId": "sg-1"}), ChangeKind::SecurityGroup, "sg-1"),
        (
            "ec2",
            "DeleteRoute",
            json!({"routeTableId": "rtb-1", "destinationCidrBlock": "0.0.0.0/0"}),
            ChangeKind::Network,
            "rtb-1",
        ),
        (
            "elasticloadbalancing",
            "ModifyRule",
            json!({"ruleArn": "arn:aws:elasticloadbalancing:us-east-1:1:listener-rule/app/checkout/1/2"}),
            ChangeKind::Network,
            "app/checkout/1/2",
        ),
        ("secretsmanager", "RotateSecret", json!({"secretId": "prod/db"}), ChangeKind::Secret, "prod/db"),
        (
            "rds",
            "ModifyDBInstance",
            json!({"dBInstanceIdentifier": "orders", "dBInstanceClass": "db.t3.small"}),
            ChangeKind::DatabaseParameter,
            "orders",
        ),
        ("cloudformation", "UpdateStack", json!({"stackName": "shop"}), ChangeKind::Stack, "shop"),
        ("events", "DisableRule", json!({"name": "nightly"}), ChangeKind::Schedule, "nightly"),
        ("scheduler", "UpdateSchedule", json!({"name": "nightly"}), ChangeKind::Schedule, "nightly"),
        (
            "lambda",
            "UpdateEventSourceMapping20150331",
            json!({"uUID": "u-1", "batchSize": 1}),
            ChangeKind::LambdaConfig,
            "u-1",
        ),
        (
            "autoscaling",
            "UpdateAutoScalingGroup",
            json!({"autoScalingGroupName": "web", "maxSize": 2}),
            ChangeKind::Other,
            "web",
        ),
    ];
    for (at, (source, name, request, ..)) in table.iter().enumerate() {
        case.call(&format!("e{at}"), "12:00:00", source, name, request.clone(), Value::Null);
    }
    for (at, (_, name, _, kind, resource)) in table.iter().enumerate() {
        let change = case.with(&format!("e{at}"));
        assert_eq!((&change.kind, change.resource.as_str()), (kind, *resource), "{name}");
        assert_eq!(took(&change).0, "12:00:00", "{name}");
        assert!(change.undo.is_err());
    }
}

#[test]
fn a_mapping_belongs_to_the_function_that_the_answer_names() {
    let mut case = Case::new();
    case.call(
        "mapping",
        "12:00:00",
        "lambda",
        "UpdateEventSourceMapping20150331",
        json!({"uUID": "u-1", "batchSize": 1}),
        json!({"functionArn": "arn:aws:lambda:us-east-1:123456789012:function:checkout:live"}),
    );
    let change = case.only();
    assert_eq!((change.resource.as_str(), &change.relation), ("checkout", &Relation::Own));
    assert_eq!(keys(&change), [("BatchSize", None, Some("1"))]);
}

#[test]
fn a_dns_record_and_a_queue_go_by_their_names() {
    let mut case = Case::new();
    case.call(
        "dns",
        "12:00:00",
        "route53",
        "ChangeResourceRecordSets",
        json!({"hostedZoneId": "Z1", "changeBatch": {"changes": [
        {"action": "UPSERT", "resourceRecordSet": {"name": "inventory.shop.internal", "type": "A",
            "resourceRecords": [{"value": "10.0.0.9"}]}}]}}),
        Value::Null,
    );
    case.call(
        "queue",
        "12:00:00",
        "sqs",
        "SetQueueAttributes",
        json!({"attributes": {"VisibilityTimeout": "1"},
        "queueUrl": "https://sqs.us-east-1.amazonaws.com/123456789012/checkout-events"}),
        Value::Null,
    );
    let dns = case.with("dns");
    assert_eq!(keys(&dns), [("inventory.shop.internal", None, Some("10.0.0.9"))]);
    assert_eq!(dns.relation, Relation::Dependency("inventory".to_owned()));
    let queue = case.with("queue");
    assert_eq!((queue.resource.as_str(), &queue.relation), ("checkout-events", &Relation::Own));
    assert_eq!(keys(&queue), [("Attributes.VisibilityTimeout", None, Some("1"))]);
}

#[test]
fn a_rule_taken_away_and_given_back_is_undone() {
    let mut case = Case::new();
    let rule = json!({"groupId": "sg-1", "ipPermissions": {"items": [{"ipProtocol": "tcp", "fromPort": 5432, "toPort": 5432,
        "groups": {"items": [{"groupId": "sg-9"}]}, "ipRanges": {}}]}});
    case.call("revoke", "12:00:00", "ec2", "RevokeSecurityGroupEgress", rule.clone(), Value::Null);
    case.call("again", "12:10:00", "ec2", "AuthorizeSecurityGroupEgress", rule, Value::Null);
    let revoked = case.with("revoke");
    assert_eq!(keys(&revoked), [("egress tcp 5432 sg-9", Some("allowed"), None)]);
    assert!(revoked.undone_at.is_some());
    assert_eq!(case.with("again").undoes.as_deref(), Some("revoke"));
}

#[test]
fn a_static_database_parameter_acts_from_the_restart_on() {
    let mut case = Case::new();
    case.call(
        "modify",
        "11:00:00",
        "rds",
        "ModifyDBParameterGroup",
        json!({"dBParameterGroupName": "orders-pg", "parameters": [
            {"parameterName": "max_connections", "parameterValue": "20", "applyMethod": "pending-reboot"}]}),
        Value::Null,
    );
    assert_eq!(took_none(&case.only()), "it waits for a restart of the database");
    case.call(
        "reboot",
        "12:00:00",
        "rds",
        "RebootDBInstance",
        json!({"dBInstanceIdentifier": "orders"}),
        Value::Null,
    );
    let change = case.with("modify");
    assert_eq!(took(&change).0, "12:00:00");
    assert_eq!(keys(&change), [("max_connections", None, Some("20"))]);
}

#[test]
fn a_restart_that_a_parameter_waited_for_belongs_to_it() {
    let mut case = Case::new();
    let group = json!({"dBParameterGroupName": "parcel-db-pg", "parameters": [
        {"parameterName": "max_connections", "parameterValue": "40", "applyMethod": "pending-reboot"}]});
    case.call("modify", "11:50:00", "rds", "ModifyDBParameterGroup", group, Value::Null);
    let other = json!({"dBInstanceIdentifier": "visa-db"});
    case.call("other", "11:40:00", "rds", "RebootDBInstance", other, Value::Null);
    let instance = json!({"dBInstanceIdentifier": "parcel-db"});
    case.call("reboot", "12:00:00", "rds", "RebootDBInstance", instance, Value::Null);
    assert_eq!(case.with("modify").event_ids, ["modify", "reboot"]);
    assert_eq!(case.with("other").event_ids, ["other"]);
}

#[test]
fn a_secrets_rotation_is_one_change_and_two_secrets_are_two() {
    let mut case = Case::new();
    for (id, at, verb, secret) in [
        ("put", "12:00:00", "PutSecretValue", "rds!cluster-1"),
        ("stage", "12:00:20", "UpdateSecretVersionStage", "rds!cluster-1"),
        ("else", "12:00:30", "PutSecretValue", "rds!cluster-2"),
        ("late", "12:18:00", "PutSecretValue", "rds!cluster-1"),
    ] {
        case.call(id, at, "secretsmanager", verb, json!({"secretId": secret}), Value::Null);
    }
    assert_eq!(case.with("put").event_ids, ["put", "stage"]);
    assert_eq!(took(&case.with("put")), ("12:00:00".to_owned(), "12:00:20".to_owned()));
    assert_eq!(case.changes().len(), 3);
}

#[test]
fn a_table_tells_its_old_capacity_while_it_is_updated() {
    let mut case = Case::new();
    let table = |status: &str| {
        json!({"tableDescription": {"tableName": "parcel-orders", "tableStatus": status,
            "provisionedThroughput": {"readCapacityUnits": 200, "writeCapacityUnits": 5}}})
    };
    let asked = json!({"tableName": "parcel-orders",
        "provisionedThroughput": {"readCapacityUnits": 5, "writeCapacityUnits": 5}});
    case.call("update", "12:00:00", "dynamodb", "UpdateTable", asked.clone(), table("UPDATING"));
    case.call("after", "12:10:00", "dynamodb", "UpdateTable", asked, table("ACTIVE"));
    let read = "ProvisionedThroughput.ReadCapacityUnits";
    // What stays as it was is no change; an answer that holds the new state tells nothing of the old one.
    assert_eq!(keys(&case.with("update")), [(read, Some("200"), Some("5"))]);
    assert_eq!(keys(&case.with("after")).first(), Some(&(read, None, Some("5"))));
}

#[test]
fn a_route_that_is_replaced_and_a_gateway_that_is_deleted_take_a_way_away() {
    let mut case = Case::new();
    let route = json!({"routeTableId": "rtb-1", "destinationCidrBlock": "0.0.0.0/0", "gatewayId": "vgw-2"});
    case.call("replace", "12:00:00", "ec2", "ReplaceRoute", route.clone(), Value::Null);
    case.call("create", "12:01:00", "ec2", "CreateRoute", route, Value::Null);
    let gateway = json!({"NatGatewayId": "nat-3"});
    case.call("delete", "12:02:00", "ec2", "DeleteNatGateway", gateway, Value::Null);
    assert_eq!(keys(&case.with("replace")), [("route 0.0.0.0/0", Some("another way"), Some("vgw-2"))]);
    assert_eq!(keys(&case.with("create")), [("route 0.0.0.0/0", None, Some("vgw-2"))]);
    assert_eq!(keys(&case.with("delete")), [("nat-3", Some("in place"), None)]);
}

#[test]
fn an_entry_of_an_access_list_is_read_like_a_rule() {
    let mut case = Case::new();
    let entry = |action: &str| {
        json!({"networkAclId": "acl-1", "ruleNumber": 50, "aclProtocol": "6", "ruleAction": action, "egress": true,
            "cidrBlock": "0.0.0.0/0", "portRange": {"from": 443, "to": 443}})
    };
    case.call("deny", "12:00:00", "ec2", "CreateNetworkAclEntry", entry("deny"), Value::Null);
    case.call("allow", "12:01:00", "ec2", "ReplaceNetworkAclEntry", entry("allow"), Value::Null);
    assert_eq!(keys(&case.with("deny")), [("egress tcp 443 0.0.0.0/0", None, Some("denied"))]);
    assert_eq!(
        keys(&case.with("allow")),
        [("egress tcp 443 0.0.0.0/0", Some("another rule"), Some("allowed"))]
    );
}

#[test]
fn what_aws_takes_away_by_itself_is_nobodys_change() {
    let mut case = Case::new();
    case.call("retired", "12:00:00", "ecs", "TaskRetirement", Value::Null, Value::Null)
        .last("eventType", json!("AwsServiceEvent"));
    case.call("rotated", "12:01:00", "secretsmanager", "RotationSucceeded", Value::Null, Value::Null)
        .last("eventType", json!("AwsServiceEvent"));
    let ids: Vec<Vec<String>> = case.changes().into_iter().map(|change| change.event_ids).collect();
    assert_eq!(ids, [["rotated".to_owned()]]);
}

#[test]
fn what_a_stack_did_carries_its_event_and_its_author() {
    let mut case = Case::new();
    case.call(
        "stack",
        "12:00:00",
        "cloudformation",
        "UpdateStack",
        json!({"stackName": "shop"}),
        Value::Null,
    )
    .last(
        "userIdentity",
        json!({"type": "IAMUser", "userName": "ana", "arn": "arn:aws:iam::123456789012:user/ana"}),
    );
    case.call(
        "child",
        "12:01:00",
        "lambda",
        "UpdateFunctionCode20150331v2",
        json!({"functionName": "checkout"}),
        Value::Null,
    )
    .last("sourceIPAddress", json!("cloudformation.amazonaws.com"))
    .last(
        "userIdentity",
        json!({"type": "AssumedRole", "arn": "arn:aws:sts::123456789012:assumed-role/exec/AWSCloudFormation"}),
    );
    case.call("else", "12:02:00", "iam", "DetachRolePolicy", json!({"roleName": "far"}), Value::Null)
        .last("userAgent", json!("cloudformation.amazonaws.com"));
    case.file("lambda/checkout/aliases.json", &json!({"Aliases": []}));
    let change = case.with("child");
    assert_eq!(change.event_ids, ["child", "stack"]);
    assert_eq!(change.actor.unwrap().name, "ana");
    assert_eq!(case.with("else").event_ids, ["else"]);
}

#[test]
fn a_stack_and_what_its_author_deploys_right_after_are_one_change() {
    let mut case = Case::new();
    let stack = |name: &str| json!({"stackName": name});
    case.call("stack", "12:00:00", "cloudformation", "UpdateStack", stack("checkout-stack"), Value::Null);
    case.call(
        "code",
        "12:00:08",
        "lambda",
        "UpdateFunctionCode20150331v2",
        json!({"functionName": "checkout"}),
        Value::Null,
    );
    case.file("lambda/checkout/aliases.json", &json!({"Aliases": []}));
    assert_eq!(case.only().event_ids, ["code", "stack"]);
    case.call("other", "12:00:04", "cloudformation", "UpdateStack", stack("network"), Value::Null);
    assert_eq!(case.with("other").kind, ChangeKind::Stack);
}

#[test]
fn a_resource_is_known_by_the_hosts_secrets_and_groups_that_functions_name() {
    let mut case = Case::new();
    case.file(
        "lambda/checkout/versions.json",
        &json!({"Versions": [{"Version": "$LATEST",
        "Role": "arn:aws:iam::123456789012:role/service/runner-a",
        "VpcConfig": {"SecurityGroupIds": ["sg-77"]},
        "Environment": {"Variables": {"URL": "postgres://app@orders-db.c1.internal:5432/x",
            "SECRET": "arn:aws:secretsmanager:us-east-1:123456789012:secret:prod/mail-key-a1B2c3"}}}]}),
    );
    for (id, source, name, request) in [
        ("db", "rds", "ModifyDBInstance", json!({"dBInstanceIdentifier": "orders-db"})),
        ("secret", "secretsmanager", "PutSecretValue", json!({"secretId": "prod/mail-key"})),
        ("group", "ec2", "RevokeSecurityGroupIngress", json!({"groupId": "sg-77"})),
        (
            "role",
            "iam",
            "DetachRolePolicy",
            json!({"roleName": "runner-a", "policyArn": "arn:aws:iam::aws:policy/P"}),
        ),
    ] {
        case.call(id, "12:00:00", source, name, request, Value::Null);
        assert_eq!(case.with(id).relation, Relation::Shared, "{id}");
    }
    case.call(
        "far",
        "12:00:00",
        "iam",
        "DetachRolePolicy",
        json!({"roleName": "search-checkouts"}),
        Value::Null,
    );
    assert_eq!(case.with("far").relation, Relation::Peer("search".to_owned()));
    case.call(
        "further",
        "12:00:00",
        "ec2",
        "RevokeSecurityGroupIngress",
        json!({"groupId": "sg-8"}),
        Value::Null,
    );
    assert_eq!(case.with("further").relation, Relation::Unconnected);
}
