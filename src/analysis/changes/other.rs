//! Every other mutating call: permissions, networks, secrets, databases, stacks, schedules and the rest.
//!
//! The rule that is not obvious: CloudTrail calls much mutating that changes nothing that a service
//! could notice: log streams, heartbeats of agents, data, sessions. Those are left out; alarms and log
//! settings are kept, as changes of telemetry only.

use serde_json::Value;

use super::call::{Call, field, scalar, settings};
use super::{World, appconfig, lambda, of_call, parameters};
use crate::domain::change::{Change, ChangeKind, Effect, KeyChange};

/// Keys that one call may show at most: a whole table's definition is not a change of each of its fields.
const KEYS_MAX: usize = 24;
/// Longest value that is kept: documents are named, not quoted.
const VALUE_MAX: usize = 200;

/// Calls that CloudTrail records as mutating and that change nothing which a service could notice.
pub(super) fn is_noise(call: &Call<'_>) -> bool {
    match call.service {
        "sts" | "signin" | "sso" | "sso-oauth" | "sso-directory" | "xray" | "ssmmessages" | "ec2messages"
        | "cloudshell" | "notifications" | "q" | "health" | "support" | "tagging" => true,
        "ssm" => matches!(
            call.verb,
            "UpdateInstanceInformation"
                | "UpdateInstanceAssociationStatus"
                | "PutInventory"
                | "PutComplianceItems"
                | "StartSession"
                | "TerminateSession"
                | "ResumeSession"
                | "RegisterManagedInstance"
        ),
        "logs" => matches!(
            call.verb,
            "CreateLogStream"
                | "PutLogEvents"
                | "StartQuery"
                | "StopQuery"
                | "CreateExportTask"
                | "StartLiveTail"
        ),
        "kms" => {
            call.verb.starts_with("GenerateDataKey")
                || matches!(
                    call.verb,
                    "Decrypt"
                        | "Encrypt"
                        | "ReEncrypt"
                        | "CreateGrant"
                        | "RetireGrant"
                        | "Sign"
                        | "Verify"
                        | "GenerateMac"
                )
        }
        "lambda" => call.verb.starts_with("Invoke"),
        "ecr" => matches!(call.verb, "InitiateLayerUpload" | "UploadLayerPart" | "CompleteLayerUpload"),
        "secretsmanager" => call.verb.ends_with("SecretVersionDelete"),
        "events" | "sns" | "sqs" | "kinesis" | "firehose" | "states" | "dynamodb" | "s3" => matches!(
            call.verb,
            "PutEvents"
                | "Publish"
                | "PublishBatch"
                | "SendMessage"
                | "SendMessageBatch"
                | "DeleteMessage"
                | "ReceiveMessage"
                | "PutRecord"
                | "PutRecords"
                | "PutRecordBatch"
                | "StartExecution"
                | "StartSyncExecution"
                | "SendTaskSuccess"
                | "SendTaskFailure"
                | "SendTaskHeartbeat"
                | "PutItem"
                | "UpdateItem"
                | "DeleteItem"
                | "BatchWriteItem"
                | "TransactWriteItems"
                | "PutObject"
                | "DeleteObject"
                | "DeleteObjects"
                | "CopyObject"
                | "CreateMultipartUpload"
                | "CompleteMultipartUpload"
                | "UploadPart"
                | "AbortMultipartUpload"
        ),
        "ecs" => matches!(
            call.verb,
            "SubmitTaskStateChange"
                | "SubmitContainerStateChange"
                | "Poll"
                | "DiscoverPollEndpoint"
                | "RunTask"
                | "StartTask"
                | "ExecuteCommand"
        ),
        _ => false,
    }
}

/// Whether another part of this room reads the call.
fn is_read_elsewhere(call: &Call<'_>) -> bool {
    match call.service {
        "lambda" => {
            (lambda::DEPLOYING.contains(&call.verb) || lambda::LIMITING.contains(&call.verb))
                && lambda::function_of(call).is_some()
        }
        "ecs" => {
            matches!(
                call.verb,
                "CreateService" | "UpdateService" | "DeleteService" | "RegisterTaskDefinition"
            ) && (call.verb == "RegisterTaskDefinition" || call.text(&["service", "serviceName"]).is_some())
        }
        "ssm" => parameters::VERBS.contains(&call.verb),
        "appconfig" => appconfig::VERBS.contains(&call.verb),
        _ => false,
    }
}

pub(super) fn changes(world: &World<'_>) -> Vec<Change> {
    world.calls.iter().filter(|call| !is_read_elsewhere(call)).map(|call| change(world, call)).collect()
}

fn change(world: &World<'_>, call: &Call<'_>) -> Change {
    let kind = kind(call);
    let names = names(call);
    let resource = names.first().cloned().unwrap_or_else(|| format!("{} {}", call.service, call.verb));
    let mut change = of_call(kind, resource, call);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    change.relation = match call.service {
        "lambda" | "ecs" => world.owners.of_service(names.first().copied().unwrap_or_default()),
        _ => world.owners.of_resource(&names),
    };
    if call.failed() {
        return change;
    }
    change.undo = Err(by_hand(&change.kind).to_owned());
    if only_labels(call) {
        change.no_op = true;
        return change;
    }
    if let Some(reason) = without_effect(call) {
        change.effect = Effect::None { reason: reason.to_owned() };
        return change;
    }
    change.keys = keys(call, &change.kind);
    change.code_changed = call.service == "lambda" && call.verb == "DeleteFunction";
    change
}

fn kind(call: &Call<'_>) -> ChangeKind {
    let has = |parts: &[&str]| parts.iter().any(|part| call.verb.contains(part));
    match call.service {
        "lambda" if has(&["Permission"]) => ChangeKind::IamPolicy,
        "lambda" if has(&["Alias"]) => ChangeKind::LambdaAlias,
        "lambda" if has(&["Concurrency"]) => ChangeKind::LambdaConcurrency,
        "lambda" if has(&["FunctionCode", "DeleteFunction", "CreateFunction", "Layer"]) => {
            ChangeKind::LambdaCode
        }
        "lambda" => ChangeKind::LambdaConfig,
        "ecs" => ChangeKind::EcsDeployment,
        "iam" | "organizations" | "access-analyzer" | "rolesanywhere" | "cognito-idp" | "ram" => {
            ChangeKind::IamPolicy
        }
        "kms" if has(&["Policy", "Grant"]) => ChangeKind::IamPolicy,
        "kms" => ChangeKind::Secret,
        "s3" | "sqs" | "sns" | "ecr" | "secretsmanager" | "elasticfilesystem" | "es" | "backup"
        | "events" | "glue"
            if has(&["Policy", "Acl", "Permission", "PublicAccessBlock"])
                && !has(&["LifecyclePolicy", "ScalingPolicy"]) =>
        {
            ChangeKind::IamPolicy
        }
        "secretsmanager" => ChangeKind::Secret,
        "ec2" if has(&["SecurityGroup"]) => ChangeKind::SecurityGroup,
        "ec2"
            if has(&[
                "Route",
                "NetworkAcl",
                "Gateway",
                "Vpc",
                "Subnet",
                "DhcpOptions",
                "Address",
                "NetworkInterface",
                "Peering",
                "PrefixList",
            ]) =>
        {
            ChangeKind::Network
        }
        "elasticloadbalancing"
        | "route53"
        | "route53resolver"
        | "wafv2"
        | "waf"
        | "waf-regional"
        | "cloudfront"
        | "network-firewall"
        | "globalaccelerator"
        | "vpc-lattice"
        | "servicediscovery"
        | "directconnect"
        | "shield" => ChangeKind::Network,
        "rds" | "elasticache" | "memorydb" | "redshift" | "docdb" | "neptune" | "dynamodb" | "dax" => {
            ChangeKind::DatabaseParameter
        }
        "cloudformation" => ChangeKind::Stack,
        "scheduler" => ChangeKind::Schedule,
        "events" if has(&["Rule", "Target"]) => ChangeKind::Schedule,
        _ => ChangeKind::Other,
    }
}

/// Names of what the call changes, the most telling first, ARNs in short and in full.
fn names(call: &Call<'_>) -> Vec<String> {
    const FIELDS: &[&str] = &[
        "functionName",
        "roleName",
        "groupId",
        "groupName",
        "policyArn",
        "policyName",
        "userName",
        "secretId",
        "stackName",
        "dBParameterGroupName",
        "dBClusterParameterGroupName",
        "dBInstanceIdentifier",
        "dBClusterIdentifier",
        "cacheParameterGroupName",
        "cacheClusterId",
        "replicationGroupId",
        "tableName",
        "rule",
        "scheduleName",
        "listenerArn",
        "ruleArn",
        "targetGroupArn",
        "loadBalancerArn",
        "loadBalancerName",
        "webACLArn",
        "hostedZoneId",
        "bucketName",
        "queueUrl",
        "topicArn",
        "streamName",
        "stateMachineArn",
        "autoScalingGroupName",
        "resourceId",
        "routeTableId",
        "networkAclId",
        "natGatewayId",
        "internetGatewayId",
        "subnetId",
        "vpcId",
        "vpcEndpointId",
        "instanceId",
        "keyId",
        "alarmName",
        "logGroupName",
        "trailName",
        "distributionId",
        "restApiId",
        "apiId",
        "deploymentGroupName",
        "applicationName",
        "cluster",
        "resourceArn",
        "resourceARN",
        "resource",
        "name",
        "id",
        "arn",
        "nodegroupName",
        "clusterName",
        "repositoryName",
        "stackSetName",
        "changeSetName",
        "documentName",
        "uUID",
        "dBSnapshotIdentifier",
        "layerName",
        "instanceProfileName",
    ];
    let mut found: Vec<String> = Vec::new();
    let mut add = |text: String| {
        let short = short_name(&text).to_owned();
        for name in [short, text] {
            if !name.is_empty() && !found.contains(&name) {
                found.push(name);
            }
        }
    };
    for name in FIELDS {
        if let Some(text) = call.text(&[name]) {
            add(if *name == "functionName" { super::call::function_name(&text).to_owned() } else { text });
        }
    }
    // What a call creates is named by its answer only; and EC2 wraps some requests in their own name.
    for value in call.request().as_object().into_iter().flat_map(serde_json::Map::values) {
        for name in ["instanceId", "groupId", "VpcId", "RouteTableId", "SubnetId", "items"] {
            if let Some(inner) = field(value, name) {
                match inner {
                    Value::Array(items) => {
                        for item in items {
                            for name in ["instanceId", "groupId"] {
                                if let Some(text) = field(item, name).and_then(scalar) {
                                    add(text);
                                }
                            }
                        }
                    }
                    other => {
                        if let Some(text) = scalar(other) {
                            add(text);
                        }
                    }
                }
            }
        }
    }
    for name in ["functionName", "eventSourceArn", "groupId", "stackId"] {
        if let Some(text) = field(call.response(), name).and_then(scalar) {
            add(text);
        }
    }
    for target in ["instanceIds", "targets", "alarmNames"] {
        if let Some(Value::Array(values)) = call.field(&[target]) {
            for value in values {
                if let Some(text) = scalar(value) {
                    add(text);
                } else if let Some(text) =
                    field(value, "arn").or_else(|| field(value, "key")).and_then(scalar)
                {
                    add(text);
                }
            }
        }
    }
    for resource in call.record.raw.get("resources").and_then(Value::as_array).into_iter().flatten() {
        if let Some(text) = field(resource, "ARN").and_then(scalar) {
            add(text);
        }
    }
    found
}

/// The resource's own name in an ARN: `app/checkout/50dc` of a load balancer, `checkout` of a topic.
fn short_name(text: &str) -> &str {
    if !text.starts_with("arn:") {
        return text;
    }
    let resource = text.splitn(6, ':').nth(5).unwrap_or(text);
    for prefix in [
        "loadbalancer/",
        "targetgroup/",
        "listener/",
        "listener-rule/",
        "role/",
        "policy/",
        "user/",
        "table/",
        "secret:",
        "stack/",
        "rule/",
        "stateMachine:",
        "log-group:",
        "function:",
    ] {
        if let Some(name) = resource.strip_prefix(prefix) {
            return name;
        }
    }
    resource
}

/// Tags, descriptions, favourites: what tells people something and steers nothing.
fn only_labels(call: &Call<'_>) -> bool {
    let verb = call.verb;
    verb.starts_with("Tag")
        || verb.starts_with("Untag")
        || verb.starts_with("AddTags")
        || verb.starts_with("RemoveTags")
        || verb.starts_with("CreateTags")
        || verb.starts_with("DeleteTags")
        || verb.ends_with("Tagging")
        || verb.ends_with("TagsToResource")
        || verb.ends_with("TagsFromResource")
        || verb.starts_with("UpdateSecurityGroupRuleDescriptions")
        || verb == "ChangeTagsForResource"
}

/// Why a call that succeeded cannot have caused anything by itself.
fn without_effect(call: &Call<'_>) -> Option<&'static str> {
    let starts = |parts: &[&str]| parts.iter().any(|part| call.verb.starts_with(part));
    match call.service {
        "monitoring" | "logs" | "cloudtrail" | "synthetics" | "guardduty" | "config" | "securityhub"
        | "inspector2" | "budgets" | "ce" | "cur" | "evidently" | "rum" | "oam" | "internetmonitor"
        | "devops-guru" | "aps" => {
            (call.service != "evidently").then_some("it changes what is observed, not what runs")
        }
        "cloudformation" if call.verb == "CreateChangeSet" || call.verb == "DeleteChangeSet" => {
            Some("a change set was prepared; only executing it changes anything")
        }
        "rds"
            if starts(&[
                "CreateDBSnapshot",
                "CreateDBClusterSnapshot",
                "DeleteDBSnapshot",
                "DeleteDBClusterSnapshot",
                "CopyDB",
                "ModifyDBSnapshot",
                "ModifyDBClusterSnapshot",
            ]) =>
        {
            Some("a snapshot is a copy; the database itself stays as it is")
        }
        "ec2"
            if starts(&[
                "CreateSnapshot",
                "DeleteSnapshot",
                "CreateImage",
                "ModifySnapshot",
                "ModifyImage",
                "SharedSnapshot",
            ]) =>
        {
            Some("a snapshot or image is a copy; what runs stays as it is")
        }
        "lambda" if starts(&["PublishLayerVersion"]) => {
            Some("a layer's version acts only once a function is given it")
        }
        "ecr" if starts(&["PutImage", "CreateRepository", "BatchDeleteImage"]) => {
            Some("an image acts only once something is deployed from it")
        }
        "ecs" if starts(&["DeregisterTaskDefinition", "DeleteTaskDefinitions"]) => {
            Some("running tasks keep their revision")
        }
        "iam"
            if starts(&[
                "CreateRole",
                "CreateUser",
                "CreatePolicy",
                "CreateGroup",
                "CreateInstanceProfile",
                "CreateAccessKey",
                "CreateLoginProfile",
            ]) && !starts(&["CreatePolicyVersion"]) =>
        {
            Some("what was created is not in use yet")
        }
        _ => None,
    }
}

/// What the call shows of the state after it, and of the one before where the call itself tells.
fn keys(call: &Call<'_>, kind: &ChangeKind) -> Vec<KeyChange> {
    match kind {
        ChangeKind::SecurityGroup => rules(call),
        ChangeKind::DatabaseParameter if call.verb.contains("ParameterGroup") => database_parameters(call),
        ChangeKind::IamPolicy | ChangeKind::Secret | ChangeKind::Stack => Vec::new(),
        _ => settings(
            call.request(),
            &[
                "tags",
                "tagSet",
                "tagSpecificationSet",
                "clientToken",
                "clientRequestToken",
                "host",
                "dBInstanceIdentifier",
                "dBClusterIdentifier",
                "functionName",
                "uUID",
                "name",
                "tableName",
                "resourceId",
            ],
        )
        .into_iter()
        .filter(|(_, value)| value.len() <= VALUE_MAX)
        .filter(|(key, _)| !key.ends_with("Arn") && !key.ends_with("Id") && !key.ends_with(".Xmlns"))
        .take(KEYS_MAX)
        .map(|(key, after)| KeyChange { key, before: None, after: Some(after) })
        .collect(),
    }
}

/// `parameters` of `ModifyDBParameterGroup`: each with its new value.
fn database_parameters(call: &Call<'_>) -> Vec<KeyChange> {
    let list = call.field(&["parameters", "parameterNameValues"]);
    let items = match list {
        Some(Value::Array(items)) => items.as_slice(),
        Some(other) => field(other, "items").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default(),
        None => &[],
    };
    items
        .iter()
        .take(KEYS_MAX)
        .filter_map(|item| {
            let key = field(item, "parameterName").or_else(|| field(item, "name")).and_then(scalar)?;
            let after = field(item, "parameterValue").or_else(|| field(item, "value")).and_then(scalar);
            Some(KeyChange { key, before: None, after })
        })
        .collect()
}

/// The rules of a security group that a call allows or takes away.
fn rules(call: &Call<'_>) -> Vec<KeyChange> {
    let direction = if call.verb.contains("Egress") { "egress" } else { "ingress" };
    let allowed = call.verb.starts_with("Authorize");
    if !allowed && !call.verb.starts_with("Revoke") {
        return Vec::new();
    }
    let permissions = call.field(&["ipPermissions"]);
    let items = match permissions {
        Some(Value::Array(items)) => items.as_slice(),
        Some(other) => field(other, "items").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default(),
        None => &[],
    };
    let text = |item: &Value, name: &str| field(item, name).and_then(scalar);
    let mut keys = Vec::new();
    for item in items {
        let protocol =
            text(item, "ipProtocol").filter(|text| text != "-1").unwrap_or_else(|| "all".to_owned());
        let ports = match (text(item, "fromPort"), text(item, "toPort")) {
            (Some(from), Some(to)) if from == to => format!(" {from}"),
            (Some(from), Some(to)) => format!(" {from}-{to}"),
            _ => String::new(),
        };
        let mut others = Vec::new();
        for (list, name) in [
            ("ipRanges", "cidrIp"),
            ("ipv6Ranges", "cidrIpv6"),
            ("groups", "groupId"),
            ("prefixListIds", "prefixListId"),
        ] {
            if let Some(inner) = field(item, list) {
                let inner = match inner {
                    Value::Array(inner) => inner.as_slice(),
                    other => {
                        field(other, "items").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
                    }
                };
                others.extend(inner.iter().filter_map(|range| text(range, name)));
            }
        }
        for other in others.iter().map(|other| format!(" {other}")).chain(others.is_empty().then(String::new))
        {
            let value = Some("allowed".to_owned());
            let (before, after) = if allowed { (None, value) } else { (value, None) };
            keys.push(KeyChange { key: format!("{direction} {protocol}{ports}{other}"), before, after });
        }
    }
    keys.truncate(KEYS_MAX);
    keys
}

/// Who undoes what the bot does not.
fn by_hand(kind: &ChangeKind) -> &'static str {
    match kind {
        ChangeKind::IamPolicy => {
            "permissions are not put back by a bot: the policy's earlier text is not in the record"
        }
        ChangeKind::SecurityGroup | ChangeKind::Network => "network rules are not put back by a bot",
        ChangeKind::Secret => "a secret's earlier value is known to nobody but the secret store",
        ChangeKind::DatabaseParameter => {
            "a database's earlier setting is not in the record, and may need a restart"
        }
        ChangeKind::Stack => "a stack is rolled back by its own tool",
        _ => "there is no safe way to put it back automatically",
    }
}
