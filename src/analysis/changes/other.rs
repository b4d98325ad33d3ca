//! Every other mutating call: permissions, networks, secrets, databases, stacks, schedules and the rest.
//!
//! The rule that is not obvious: a call names what it changes in one of dozens of fields, and shows the
//! state after it, hardly ever the one before.

use serde_json::Value;

use super::call::{Call, field, function_name, scalar, settings};
use super::kinds::{by_hand, kind, only_labels, without_effect};
use super::{World, appconfig, lambda, of_call, parameters};
use crate::domain::change::{Change, ChangeKind, Effect, KeyChange};

/// Keys that one call may show at most: a whole table's definition is not a change of each of its fields.
const KEYS_MAX: usize = 24;
/// Longest value that is kept: documents are named, not quoted.
const VALUE_MAX: usize = 200;

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
    change.relation = match function_touched(call) {
        Some(function) => {
            change.resource.clone_from(&function);
            world.owners.of_service(&function)
        }
        None => world.owners.of_resource(&names),
    };
    if call.failed() {
        return change;
    }
    change.undo = Err(by_hand(&change.kind).to_owned());
    if only_labels(call) {
        change.no_op = true;
        change.undo = Err("it changed nothing but labels".to_owned());
        return change;
    }
    if let Some(reason) = without_effect(call) {
        change.effect = Effect::None { reason: reason.to_owned() };
        change.undo = Err("it acts on nothing that serves".to_owned());
        return change;
    }
    change.keys = keys(call, &change.kind, &names);
    change.code_changed = matches!(
        (call.service, call.verb),
        ("lambda", "DeleteFunction") | ("codedeploy", "CreateDeployment")
    );
    wait_for_restart(world, call, &mut change);
    change
}

/// A database's static parameters act from the next restart on, and changes that wait for the
/// maintenance window not before it.
fn wait_for_restart(world: &World<'_>, call: &Call<'_>, change: &mut Change) {
    if change.kind != ChangeKind::DatabaseParameter {
        return;
    }
    let waits_for_window = call.text(&["applyImmediately"]).as_deref() == Some("false");
    let methods: Vec<String> =
        parameter_items(call).iter().filter_map(|item| field(item, "applyMethod").and_then(scalar)).collect();
    let waits_for_restart = !methods.is_empty() && methods.iter().all(|method| method == "pending-reboot");
    if !waits_for_restart && !waits_for_window {
        return;
    }
    let restart = world.restart_after(call.service, call.record.at);
    change.effect = match restart.filter(|_| waits_for_restart) {
        Some(restart) => Effect::Took { from: restart, until: restart },
        None if waits_for_restart => {
            Effect::None { reason: "it waits for a restart of the database".to_owned() }
        }
        None => Effect::None { reason: "it waits for the maintenance window".to_owned() },
    };
}

/// The function that a call of Lambda's is about: in the request, or in the answer where the request
/// names only a mapping or a tag.
fn function_touched(call: &Call<'_>) -> Option<String> {
    if call.service != "lambda" {
        return None;
    }
    let named = call.text(&["functionName"]);
    let answered = || field(call.response(), "functionArn").and_then(scalar);
    let tagged = || call.text(&["resource", "resourceArn"]).filter(|arn| arn.contains(":function:"));
    let name = named.or_else(answered).or_else(tagged)?;
    Some(function_name(&name).to_owned()).filter(|name| !name.is_empty())
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
            add(if *name == "functionName" { function_name(&text).to_owned() } else { text });
        }
    }
    // EC2 wraps some requests in their own name, and lists of instances in sets.
    let wrapped = call.request().as_object().into_iter().flat_map(serde_json::Map::values);
    let answered = field(call.response(), "instancesSet");
    for value in wrapped.chain(answered) {
        for name in ["instanceId", "groupId", "vpcId", "routeTableId", "subnetId"] {
            if let Some(text) = field(value, name).and_then(scalar) {
                add(text);
            }
        }
        for item in items(value) {
            for name in ["instanceId", "groupId"] {
                if let Some(text) = field(item, name).and_then(scalar) {
                    add(text);
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
    for (record, _) in record_sets(call) {
        add(record);
    }
    if let Some(text) = call.text(&["documentName"]) {
        add(text);
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
    if text.starts_with("https://") && text.contains(".amazonaws.com") {
        return text.rsplit('/').next().unwrap_or(text);
    }
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

/// What the call shows of the state after it, and of the one before where the call itself tells.
fn keys(call: &Call<'_>, kind: &ChangeKind, names: &[&str]) -> Vec<KeyChange> {
    match kind {
        ChangeKind::SecurityGroup => rules(call),
        ChangeKind::DatabaseParameter if call.verb.contains("ParameterGroup") => database_parameters(call),
        ChangeKind::IamPolicy => policies(call),
        ChangeKind::Secret | ChangeKind::Stack => Vec::new(),
        _ if call.service == "codedeploy" => Vec::new(),
        _ if call.verb == "ChangeResourceRecordSets" => record_sets(call)
            .into_iter()
            .take(KEYS_MAX)
            .map(|(key, after)| KeyChange { key, before: None, after })
            .collect(),
        _ => {
            let removes = call.verb.starts_with("Delete") || call.verb.starts_with("Remove");
            settings(
                call.request(),
                &["tags", "tagSet", "tagSpecificationSet", "clientToken", "clientRequestToken", "host"],
            )
            .into_iter()
            .filter(|(_, value)| value.len() <= VALUE_MAX && !names.contains(&value.as_str()))
            .filter(|(key, _)| !key.ends_with("Arn") && !key.ends_with("Id") && !key.ends_with(".Xmlns"))
            .take(KEYS_MAX)
            .map(|(key, value)| {
                // Lambda's own spelling; CloudTrail begins it with a small letter.
                let key = if call.service == "lambda" { capital(&key) } else { key };
                let (before, after) = if removes { (Some(value), None) } else { (None, Some(value)) };
                KeyChange { key, before, after }
            })
            .collect()
        }
    }
}

fn capital(key: &str) -> String {
    let mut letters = key.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// Names of the DNS records that a call changes, and what each then points to; `None` where it is deleted.
fn record_sets(call: &Call<'_>) -> Vec<(String, Option<String>)> {
    let changes = call.field(&["changeBatch"]).and_then(|batch| field(batch, "changes"));
    changes
        .map(items)
        .unwrap_or_default()
        .iter()
        .filter_map(|change| {
            let record = field(change, "resourceRecordSet")?;
            let name = field(record, "name").and_then(scalar)?;
            let deleted = field(change, "action").and_then(scalar).as_deref() == Some("DELETE");
            let values: Vec<String> = field(record, "resourceRecords")
                .map(items)
                .unwrap_or_default()
                .iter()
                .filter_map(|record| field(record, "value").and_then(scalar))
                .collect();
            let alias =
                || field(record, "aliasTarget").and_then(|target| field(target, "dNSName")).and_then(scalar);
            let after = if values.is_empty() { alias() } else { Some(values.join(", ")) };
            Some((name, after.filter(|_| !deleted)))
        })
        .collect()
}

/// The policy or the statement that a call puts in place or takes away, by its name.
fn policies(call: &Call<'_>) -> Vec<KeyChange> {
    let Some(name) = call.text(&["policyArn", "policyName", "statementId"]) else { return Vec::new() };
    let key = name.rsplit('/').next().unwrap_or(&name).to_owned();
    let in_place = || Some("in place".to_owned());
    let starts = |parts: &[&str]| parts.iter().any(|part| call.verb.starts_with(part));
    let (before, after) = if starts(&["Detach", "Delete", "Remove"]) {
        (in_place(), None)
    } else if starts(&["Attach", "Put", "Add"]) {
        (None, in_place())
    } else {
        (None, None)
    };
    vec![KeyChange { key, before, after }]
}

/// The parameters of a parameter group's change, however they are wrapped.
fn parameter_items<'a>(call: &Call<'a>) -> &'a [Value] {
    match call.field(&["parameters", "parameterNameValues"]) {
        Some(list) => items(list),
        None => &[],
    }
}

/// A list, or the `items` that EC2 wraps one in.
fn items(value: &Value) -> &[Value] {
    let list = value.as_array().or_else(|| field(value, "items").and_then(Value::as_array));
    list.map(Vec::as_slice).unwrap_or_default()
}

/// `parameters` of `ModifyDBParameterGroup`: each with its new value.
fn database_parameters(call: &Call<'_>) -> Vec<KeyChange> {
    parameter_items(call)
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
    let permissions = call.field(&["ipPermissions"]).map(items).unwrap_or_default();
    // An older form names one rule in the request itself.
    let single = [call.request()];
    let permissions: Vec<&Value> =
        if permissions.is_empty() { single.to_vec() } else { permissions.iter().collect() };
    let text = |item: &Value, name: &str| field(item, name).and_then(scalar);
    let mut keys = Vec::new();
    for item in permissions {
        let Some(protocol) = text(item, "ipProtocol") else { continue };
        let all = protocol == "-1";
        let protocol = if all { "all" } else { protocol.as_str() };
        let ports = match (text(item, "fromPort"), text(item, "toPort")) {
            _ if all => String::new(),
            (Some(from), Some(to)) if from == to => format!(" {from}"),
            (Some(from), Some(to)) => format!(" {from}-{to}"),
            _ => String::new(),
        };
        let mut others: Vec<String> = text(item, "cidrIp").into_iter().collect();
        for (list, name) in [
            ("ipRanges", "cidrIp"),
            ("ipv6Ranges", "cidrIpv6"),
            ("groups", "groupId"),
            ("prefixListIds", "prefixListId"),
        ] {
            let inner = field(item, list).map(items).unwrap_or_default();
            others.extend(inner.iter().filter_map(|range| text(range, name)));
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
