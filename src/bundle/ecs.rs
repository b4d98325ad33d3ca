//! `ecs/<cluster>/<service>.json` and `ecs/task-definitions.json`.
//!
//! The rule that is not obvious: a service is named by its place in the bundle, not by what the file
//! says of itself, so that two files never claim to be one service.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::Reading;
use super::document::{self, flatten, integer, list, plain, text, time};
use crate::domain::evidence::{Container, EcsDeployment, EcsService, Gap, Scope, TaskDefinition};

const TASK_DEFINITIONS: &str = "ecs/task-definitions.json";

pub(super) fn services(reading: &mut Reading<'_>, scope: &Scope) -> Vec<EcsService> {
    let mut wanted: BTreeSet<(String, String)> = scope
        .resources
        .ecs
        .iter()
        .map(|reference| (reference.cluster.clone(), reference.service.clone()))
        .collect();
    for name in reading.names {
        if let Some((cluster, file)) = name.strip_prefix("ecs/").and_then(|rest| rest.split_once('/'))
            && let Some(service) = file.strip_suffix(".json")
        {
            wanted.insert((cluster.to_owned(), service.to_owned()));
        }
    }
    wanted
        .into_iter()
        .filter_map(|(cluster, service)| {
            let name = format!("ecs/{cluster}/{service}.json");
            let bytes = reading.bytes("ecs", &name)?;
            if bytes.iter().all(u8::is_ascii_whitespace) {
                return None;
            }
            let Some(value) = document::value(&bytes).and_then(|value| element(value, &service)) else {
                reading.gaps.push(Gap::new("ecs", format!("{name} is not a service that can be read")));
                return None;
            };
            Some(read_service(cluster, service, &value, scope.now))
        })
        .collect()
}

/// The service itself, also where the file is the whole answer of `describe-services`.
fn element(value: Value, service: &str) -> Option<Value> {
    let candidates = match value {
        Value::Array(values) => values,
        Value::Object(mut object) => match object.remove("services") {
            Some(Value::Array(values)) => values,
            _ => return Some(Value::Object(object)),
        },
        _ => return None,
    };
    let at = candidates.iter().position(|value| text(value, "serviceName") == service).unwrap_or(0);
    candidates.into_iter().nth(at).filter(Value::is_object)
}

/// One element of `describe-services`' `services`; what is later than `now` is left out.
pub fn read_service(cluster: String, name: String, value: &Value, now: Timestamp) -> EcsService {
    let deployments = list(value, "deployments")
        .iter()
        .map(|deployment| EcsDeployment {
            id: text(deployment, "id"),
            status: text(deployment, "status"),
            task_definition: text(deployment, "taskDefinition"),
            created_at: time(deployment.get("createdAt")),
            updated_at: time(deployment.get("updatedAt")).filter(|at| *at <= now),
            running: integer(deployment, "runningCount").unwrap_or(0),
            desired: integer(deployment, "desiredCount").unwrap_or(0),
            rollout_state: text(deployment, "rolloutState"),
        })
        .filter(|deployment| deployment.created_at.is_none_or(|at| at <= now))
        .collect();
    let mut events: Vec<(Timestamp, String)> = list(value, "events")
        .iter()
        .filter_map(|event| Some((time(event.get("createdAt"))?, text(event, "message"))))
        .filter(|(at, _)| *at <= now)
        .collect();
    events.sort_by_key(|(at, _)| *at);
    EcsService {
        cluster,
        name,
        task_definition: text(value, "taskDefinition"),
        desired: integer(value, "desiredCount").unwrap_or(0),
        running: integer(value, "runningCount").unwrap_or(0),
        deployments,
        events,
    }
}

pub(super) fn task_definitions(reading: &mut Reading<'_>, scope: &Scope) -> Option<Vec<TaskDefinition>> {
    // A function's incident says nothing about task definitions by not holding any.
    if scope.resources.ecs.is_empty() && !reading.names.contains(TASK_DEFINITIONS) {
        return None;
    }
    let values = reading.elements("ecs", TASK_DEFINITIONS, &["taskDefinitions"])?;
    let mut broken = 0;
    let read = values
        .into_iter()
        .filter_map(|value| {
            let inner = match value.get("taskDefinition") {
                Some(inner @ Value::Object(_)) => inner,
                _ => &value,
            };
            let definition = task_definition(inner);
            broken += usize::from(definition.is_none());
            definition
        })
        .filter(|definition| definition.registered_at.is_none_or(|at| at <= scope.now))
        .collect();
    if broken > 0 {
        reading.gaps.push(Gap::new(
            "ecs",
            format!("{TASK_DEFINITIONS}: {broken} elements have no family and revision"),
        ));
    }
    Some(read)
}

/// One revision; `None` where it has no family and number.
pub fn task_definition(value: &Value) -> Option<TaskDefinition> {
    let object = value.as_object()?;
    let arn = text(value, "taskDefinitionArn");
    let (mut family, mut revision) = (text(value, "family"), integer(value, "revision"));
    if let Some((in_arn, number)) = arn.rsplit('/').next().and_then(|short| short.rsplit_once(':')) {
        if family.is_empty() {
            in_arn.clone_into(&mut family);
        }
        revision = revision.or_else(|| number.parse().ok());
    }
    let revision = revision.filter(|_| !family.is_empty())?;
    let settings = scalars(
        object,
        &[
            "taskDefinitionArn",
            "family",
            "revision",
            "status",
            "registeredAt",
            "registeredBy",
            "cpu",
            "memory",
            "containerDefinitions",
        ],
    );
    Some(TaskDefinition {
        arn,
        family,
        revision,
        status: text(value, "status"),
        registered_at: time(object.get("registeredAt")),
        registered_by: text(value, "registeredBy"),
        cpu: text(value, "cpu"),
        memory: text(value, "memory"),
        settings,
        containers: list(value, "containerDefinitions").iter().filter_map(container).collect(),
    })
}

fn container(value: &Value) -> Option<Container> {
    let object = value.as_object()?;
    let pairs = |key: &str, of: &str| {
        list(value, key).iter().map(|pair| (text(pair, "name"), text(pair, of))).collect::<BTreeMap<_, _>>()
    };
    let mut settings = scalars(object, &["name", "image", "environment", "secrets"]);
    // What is there and is not the list that it should be (hidden values, say) is kept as a setting.
    for key in ["environment", "secrets"] {
        if let Some(other) = object.get(key)
            && !other.is_array()
            && !other.is_null()
        {
            settings.insert(key.to_owned(), plain(other));
        }
    }
    Some(Container {
        name: text(value, "name"),
        image: text(value, "image"),
        environment: pairs("environment", "value"),
        secrets: pairs("secrets", "valueFrom"),
        settings,
    })
}

fn scalars(object: &Map<String, Value>, named: &[&str]) -> BTreeMap<String, String> {
    let others: Map<String, Value> = object
        .iter()
        .filter(|(key, _)| !named.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let mut settings = BTreeMap::new();
    flatten(&others, "", &mut settings);
    settings
}

pub(super) fn export_service(service: &EcsService) -> Value {
    let deployments: Vec<Value> = service
        .deployments
        .iter()
        .map(|deployment| {
            serde_json::json!({
                "id": deployment.id,
                "status": deployment.status,
                "taskDefinition": deployment.task_definition,
                "createdAt": deployment.created_at.map(|at| at.to_string()),
                "updatedAt": deployment.updated_at.map(|at| at.to_string()),
                "runningCount": deployment.running,
                "desiredCount": deployment.desired,
                "rolloutState": deployment.rollout_state,
            })
        })
        .collect();
    let events: Vec<Value> = service
        .events
        .iter()
        .map(|(at, message)| serde_json::json!({ "createdAt": at.to_string(), "message": message }))
        .collect();
    serde_json::json!({
        "serviceName": service.name,
        "taskDefinition": service.task_definition,
        "desiredCount": service.desired,
        "runningCount": service.running,
        "deployments": deployments,
        "events": events,
    })
}

pub(super) fn export_task_definitions(definitions: &[TaskDefinition]) -> Value {
    let definitions: Vec<Value> = definitions.iter().map(export_task_definition).collect();
    serde_json::json!({ "taskDefinitions": definitions })
}

fn export_task_definition(definition: &TaskDefinition) -> Value {
    let pairs = |pairs: &BTreeMap<String, String>, of: &str| -> Vec<Value> {
        pairs.iter().map(|(name, value)| serde_json::json!({ "name": name, of: value })).collect()
    };
    let containers: Vec<Value> = definition
        .containers
        .iter()
        .map(|container| {
            let mut object = Map::new();
            object.insert("name".to_owned(), container.name.clone().into());
            object.insert("image".to_owned(), container.image.clone().into());
            object.insert("environment".to_owned(), pairs(&container.environment, "value").into());
            object.insert("secrets".to_owned(), pairs(&container.secrets, "valueFrom").into());
            for (key, value) in &container.settings {
                if matches!(key.as_str(), "environment" | "secrets") {
                    object.insert(key.clone(), value.clone().into());
                } else {
                    super::export::put(&mut object, key, value);
                }
            }
            Value::Object(object)
        })
        .collect();
    let mut object = Map::new();
    for (key, value) in [
        ("taskDefinitionArn", &definition.arn),
        ("family", &definition.family),
        ("status", &definition.status),
        ("registeredBy", &definition.registered_by),
        ("cpu", &definition.cpu),
        ("memory", &definition.memory),
    ] {
        object.insert(key.to_owned(), value.clone().into());
    }
    object.insert("revision".to_owned(), definition.revision.into());
    if let Some(at) = definition.registered_at {
        object.insert("registeredAt".to_owned(), at.to_string().into());
    }
    object.insert("containerDefinitions".to_owned(), containers.into());
    for (key, value) in &definition.settings {
        super::export::put(&mut object, key, value);
    }
    Value::Object(object)
}
