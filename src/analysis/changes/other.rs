//! Every other mutating call: permissions, networks, secrets, databases, stacks, schedules and the rest.
//!
//! The rule that is not obvious: a call names what it changes in one of dozens of fields, and shows the
//! state after it, hardly ever the one before.

use serde_json::Value;

use super::call::{Call, field, function_name, scalar, settings};
use super::kinds::{by_hand, kind, only_labels, without_effect};
use super::network::{list_entry, record_sets, route, rules, takes_away};
use super::{DEPLOYMENT_GAP, World, appconfig, lambda, of_call, parameters};
use crate::domain::change::{Change, ChangeKind, Effect, KeyChange};

/// Keys that one call may show at most: a whole table's definition is not a change of each of its fields.
pub(super) const KEYS_MAX: usize = 24;
/// Value of a policy that is there, whatever it says.
pub(in crate::analysis) const IN_PLACE: &str = "in place";
/// Value of what is there and known to allow: a statement of a resource's own policy, which such a call writes as one that
/// allows, and a policy of AWS's own, all of which allow but those that say otherwise by their names.
pub(in crate::analysis) const GRANTED: &str = "granted";
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
    let calls = world.calls.iter().filter(|call| !is_read_elsewhere(call));
    let mut found = Vec::new();
    for change in calls.map(|call| change(world, call)) {
        if !continues(&mut found, &change) {
            found.push(change);
        }
    }
    found
}

/// Takes a call into an earlier change that it belongs to: a secret's rotation is several calls, and a restart is what
/// a database's static parameter waited for.
fn continues(found: &mut [Change], change: &Change) -> bool {
    let Effect::Took { from, .. } = change.effect else { return false };
    let whole = found.iter_mut().rev().find(|known| {
        let Effect::Took { from: known_from, until } = known.effect else { return false };
        known.kind == change.kind
            && match known.kind {
                ChangeKind::Secret => {
                    known.resource == change.resource && change.at.duration_since(until) <= DEPLOYMENT_GAP
                }
                // The parameter's effect is put at the restart already.
                ChangeKind::DatabaseParameter => {
                    known_from == from
                        && known.at < change.at
                        && is_restart_of(&known.resource, &change.resource)
                }
                _ => false,
            }
    });
    let Some(whole) = whole else { return false };
    if let Effect::Took { until, .. } = &mut whole.effect {
        *until = from.max(*until);
    }
    whole.event_ids.extend(change.event_ids.iter().cloned());
    true
}

/// Whether an instance's name goes with that of a parameter group: `parcel-db` with `parcel-db-pg`.
fn is_restart_of(group: &str, instance: &str) -> bool {
    let first = |name: &str| name.split('-').next().unwrap_or(name).to_lowercase();
    first(group) == first(instance)
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
        ChangeKind::Network if call.verb.ends_with("Route") => route(call).into_iter().collect(),
        ChangeKind::Network if call.verb.ends_with("NetworkAclEntry") && !takes_away(call) => {
            list_entry(call).into_iter().collect()
        }
        ChangeKind::Network if call.service == "ec2" && takes_away(call) => names
            .first()
            .map(|name| KeyChange { key: (*name).to_owned(), before: Some(IN_PLACE.to_owned()), after: None })
            .into_iter()
            .collect(),
        _ if call.verb == "ChangeResourceRecordSets" => record_sets(call)
            .into_iter()
            .take(KEYS_MAX)
            .map(|(key, after)| KeyChange { key, before: None, after })
            .collect(),
        _ => {
            let removes = call.verb.starts_with("Delete") || call.verb.starts_with("Remove");
            settings(
                call.request(),
                &[
                    "tags",
                    "tagSet",
                    "tagSpecificationSet",
                    "clientToken",
                    "clientRequestToken",
                    "host",
                    // How a call is to be carried out is nothing that it sets.
                    "applyImmediately",
                    "ids",
                    "force",
                    "dryRun",
                ],
            )
            .into_iter()
            .filter(|(_, value)| value.len() <= VALUE_MAX && !names.contains(&value.as_str()))
            .filter(|(key, _)| !key.ends_with("Arn") && !key.ends_with("Id") && !key.ends_with(".Xmlns"))
            .take(KEYS_MAX)
            .map(|(key, value)| (before_of(call, &key), key, value))
            .filter(|(before, _, value)| before.as_ref() != Some(value))
            .map(|(known, key, value)| {
                // Lambda's own spelling; CloudTrail begins it with a small letter.
                let key = if call.service == "lambda" { capital(&key) } else { key };
                let (before, after) = if removes { (Some(value), None) } else { (known, Some(value)) };
                KeyChange { key, before, after }
            })
            .collect()
        }
    }
}

/// What a setting was, where the answer still tells it: while a table is being updated and while an instance has
/// pending values, AWS answers with the settings that hold.
fn before_of(call: &Call<'_>, key: &str) -> Option<String> {
    let answer = match (call.service, call.verb) {
        ("dynamodb", "UpdateTable") => {
            let table = field(call.response(), "tableDescription")?;
            field(table, "tableStatus").and_then(scalar).filter(|status| status == "UPDATING")?;
            table
        }
        ("rds", "ModifyDBInstance") => {
            field(call.response(), "pendingModifiedValues").and_then(|pending| field(pending, key))?;
            call.response()
        }
        _ => return None,
    };
    key.split('.').try_fold(answer, field).and_then(scalar)
}

fn capital(key: &str) -> String {
    let mut letters = key.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// The policy or the statement that a call puts in place or takes away, by its name.
fn policies(call: &Call<'_>) -> Vec<KeyChange> {
    let Some(name) = call.text(&["policyArn", "policyName", "statementId"]) else { return Vec::new() };
    let key = name.rsplit('/').next().unwrap_or(&name).to_owned();
    let granted = name.starts_with("arn:aws:iam::aws:") || call.text(&["policyArn", "policyName"]).is_none();
    let in_place = || Some(if granted { GRANTED } else { IN_PLACE }.to_owned());
    let starts = |parts: &[&str]| parts.iter().any(|part| call.verb.starts_with(part));
    // An organisation's policies limit what others grant.
    let limits = call.service == "organizations";
    let (before, after) = if limits {
        (None, None)
    } else if starts(&["Detach", "Delete", "Remove"]) {
        (in_place(), None)
    } else if starts(&["Attach", "Add"]) {
        (None, in_place())
    } else {
        // What is put takes the place of what had that name, which the record does not hold.
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
pub(super) fn items(value: &Value) -> &[Value] {
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
