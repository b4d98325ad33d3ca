//! ECS's operations over HTTP.
//!
//! Rule: a mutating call is written into CloudTrail whether it succeeds or is refused.

use serde_json::{Value, json};

use super::{client, digits, short};
use crate::demo::aws::listing::page;
use crate::demo::aws::trail::Entry;
use crate::demo::aws::wire::{Answer, ApiError, epoch_seconds};
use crate::demo::aws::world::{Call, State};

/// `DescribeServices` takes so many services a call.
const SERVICES_A_CALL: usize = 10;
/// Items a page of a listing, where the caller does not ask for fewer.
const PAGE: usize = 100;

/// # Errors
/// ECS's own.
pub fn run(state: &mut State, operation: &str, call: &Call) -> Result<Answer, ApiError> {
    match operation {
        "DescribeServices" => describe_services(state, call),
        "DescribeTaskDefinition" => {
            let name =
                call.text("taskDefinition").ok_or_else(|| client("TaskDefinition can not be blank."))?;
            let definition = state.containers.definition(name)?;
            Ok(Answer::ok(
                json!({"taskDefinition": state.containers.show_definition(definition), "tags": []}),
            ))
        }
        "ListTaskDefinitions" => list_task_definitions(state, call),
        "ListClusters" => {
            let clusters: std::collections::BTreeSet<&String> =
                state.containers.services.keys().map(|(cluster, _)| cluster).collect();
            let arns: Vec<Value> = clusters
                .into_iter()
                .map(|cluster| state.containers.arn(&format!("cluster/{cluster}")).into())
                .collect();
            page(call, "clusterArns", &arns, PAGE)
        }
        "ListServices" => {
            let cluster = short(call.text("cluster").unwrap_or("default"));
            let services = state.containers.services.keys().filter(|(of, _)| of == cluster);
            let arns: Vec<Value> = services
                .map(|(cluster, name)| state.containers.arn(&format!("service/{cluster}/{name}")).into())
                .collect();
            if arns.is_empty() {
                return Err(ApiError::new(400, "ClusterNotFoundException", "Cluster not found."));
            }
            page(call, "serviceArns", &arns, PAGE)
        }
        "ListServiceDeployments" | "DescribeServiceDeployments" | "DescribeServiceRevisions" => {
            rollouts_of(state, operation, call)
        }
        _ => change(state, operation, call),
    }
}

fn describe_services(state: &State, call: &Call) -> Result<Answer, ApiError> {
    let cluster = short(call.text("cluster").unwrap_or("default"));
    let names: Vec<&str> = call
        .input
        .get("services")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if names.is_empty() || names.len() > SERVICES_A_CALL {
        return Err(ApiError::new(400, "InvalidParameterException", "Services must hold 1 to 10 names."));
    }
    if !state.containers.services.keys().any(|(of, _)| of == cluster) {
        return Err(ApiError::new(400, "ClusterNotFoundException", "Cluster not found."));
    }
    let (mut services, mut failures) = (Vec::new(), Vec::new());
    for name in names {
        match state.containers.service(cluster, name) {
            Ok((key, service)) => services.push(state.containers.show_service(key, service, call.at)),
            Err(_) => failures.push(json!({
                "arn": state.containers.arn(&format!("service/{cluster}/{}", short(name))), "reason": "MISSING",
            })),
        }
    }
    Ok(Answer::ok(json!({"services": services, "failures": failures})))
}

fn list_task_definitions(state: &State, call: &Call) -> Result<Answer, ApiError> {
    let status = call.text("status").unwrap_or("ACTIVE");
    let wanted = call.text("familyPrefix");
    let mut arns: Vec<Value> = state
        .containers
        .definitions
        .iter()
        .filter(|(family, _)| wanted.is_none_or(|wanted| wanted == family.as_str()))
        .flat_map(|(family, revisions)| revisions.iter().map(move |definition| (family, definition)))
        .filter(|(_, definition)| definition.active == (status == "ACTIVE"))
        .map(|(family, definition)| {
            state.containers.arn(&format!("task-definition/{family}:{}", definition.revision)).into()
        })
        .collect();
    if call.text("sort") == Some("DESC") {
        arns.reverse();
    }
    page(call, "taskDefinitionArns", &arns, PAGE)
}

/// Service deployments, which ECS keeps for 90 days, and the service revisions that they lead to.
fn rollouts_of(state: &State, operation: &str, call: &Call) -> Result<Answer, ApiError> {
    let containers = &state.containers;
    if operation == "ListServiceDeployments" {
        let (key, service) = containers
            .service(call.text("cluster").unwrap_or("default"), call.text("service").unwrap_or_default())?;
        let (rollouts, mut shown) = (containers.rollouts(service, call.at), Vec::new());
        let statuses = call.input.get("status").and_then(Value::as_array).cloned().unwrap_or_default();
        for (place, (rollout, state, ended)) in rollouts.iter().enumerate().rev() {
            // What the circuit breaker does is part of the deployment that it ends.
            if !service.rollouts.iter().any(|own| own.id == rollout.id) {
                continue;
            }
            let source = rollouts[..place].iter().rev().find(|(_, state, _)| *state == "COMPLETED");
            let brief = containers.show_rollout(key, rollout, state, *ended, source.map(|(one, ..)| one));
            if statuses.is_empty() || statuses.contains(&brief["status"]) {
                shown.push(brief);
            }
        }
        return page(call, "serviceDeployments", &shown, PAGE);
    }
    let (wanted, answer) = match operation {
        "DescribeServiceDeployments" => ("serviceDeploymentArns", "serviceDeployments"),
        _ => ("serviceRevisionArns", "serviceRevisions"),
    };
    let arns = call.input.get(wanted).and_then(Value::as_array).cloned().unwrap_or_default();
    if arns.is_empty() || arns.len() > 20 {
        return Err(ApiError::new(
            400,
            "InvalidParameterException",
            format!("{wanted} must hold 1 to 20 ARNs."),
        ));
    }
    let (mut shown, mut failures) = (Vec::new(), Vec::new());
    for arn in arns.iter().filter_map(Value::as_str) {
        let parts: Vec<&str> = arn.split('/').collect();
        let found = match parts.as_slice() {
            [.., cluster, name, id] => containers.service(cluster, name).ok().and_then(|(key, service)| {
                let rollouts = containers.rollouts(service, call.at);
                let place = rollouts.iter().position(|(rollout, ..)| rollout.id == **id)?;
                let (rollout, state, ended) = rollouts.get(place)?;
                let source = rollouts[..place].iter().rev().find(|(_, state, _)| *state == "COMPLETED");
                Some(if operation == "DescribeServiceDeployments" {
                    containers.show_rollout(key, rollout, state, *ended, source.map(|(one, ..)| one))
                } else {
                    json!({
                        "serviceRevisionArn": arn,
                        "serviceArn": containers.arn(&format!("service/{}/{}", key.0, key.1)),
                        "clusterArn": containers.arn(&format!("cluster/{}", key.0)),
                        "taskDefinition": containers.arn(&format!("task-definition/{}", rollout.definition)),
                        "launchType": "FARGATE",
                        "createdAt": epoch_seconds(rollout.created_at),
                    })
                })
            }),
            _ => None,
        };
        match found {
            Some(one) => shown.push(one),
            None => failures.push(json!({"arn": arn, "reason": "MISSING"})),
        }
    }
    Ok(Answer::ok(json!({answer: shown, "failures": failures})))
}

/// The mutating operations, each with its record.
fn change(state: &mut State, operation: &str, call: &Call) -> Result<Answer, ApiError> {
    let id = digits(&state.next_id());
    let outcome = match operation {
        "UpdateService" => {
            state.containers.update(&call.input, id, call.at).map(|service| json!({"service": service}))
        }
        "RegisterTaskDefinition" => match &call.input {
            Value::Object(members) => {
                let by = call.identity.arn.clone();
                state.containers.register(members, &by, call.at).map(|shown| json!({"taskDefinition": shown}))
            }
            _ => Err(client("no members")),
        },
        "StopServiceDeployment" => stop(state, call),
        other => return Err(ApiError::new(404, "UnknownOperationException", other)),
    };
    state.record(Entry {
        source: "ecs.amazonaws.com",
        name: operation,
        actor: &call.identity,
        access_key: Some(&call.access_key),
        at: call.at,
        request: call.input.clone(),
        response: outcome.clone().unwrap_or(Value::Null),
        error: outcome.as_ref().err(),
    });
    outcome.map(Answer::ok)
}

fn stop(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let missing =
        || ApiError::new(400, "ServiceDeploymentNotFoundException", "Service deployment not found.");
    let arn = call.text("serviceDeploymentArn").ok_or_else(|| client("serviceDeploymentArn is required."))?;
    let parts: Vec<&str> = arn.split('/').collect();
    let [.., cluster, name, id] = parts.as_slice() else { return Err(missing()) };
    let (_, service) = state.containers.service(cluster, name).map_err(|_| missing())?;
    let rollouts = state.containers.rollouts(service, call.at);
    let (_, progress, _) = rollouts.iter().find(|(one, ..)| one.id == **id).ok_or_else(missing)?;
    if *progress != "IN_PROGRESS" {
        return Err(ApiError::new(
            400,
            "ConflictException",
            "The service deployment is in a terminal state and cannot be stopped.",
        ));
    }
    let key = ((*cluster).to_owned(), (*name).to_owned());
    let service = state.containers.services.get_mut(&key).ok_or_else(missing)?;
    let rollout = service.rollouts.iter_mut().find(|one| one.id == **id).ok_or_else(missing)?;
    rollout.stopped_at = Some(call.at);
    Ok(json!({"serviceDeploymentArn": arn}))
}
