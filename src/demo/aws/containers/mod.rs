//! ECS: task-definition revisions, services, and the rollouts that move a service between them.
//!
//! Rule: what a rollout has come to is derived from its start and the clock, each time it is shown, so
//! that a rollout written into the past looks as it would have looked. A rollout that cannot start its
//! tasks is undone by the circuit breaker, which is a rollout of its own.

mod operations;
mod past;

pub use operations::run;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::wire::{ApiError, epoch_seconds};

/// Events that a service keeps.
const EVENTS: usize = 100;

#[derive(Debug, Clone)]
struct Definition {
    revision: i64,
    /// The members of `RegisterTaskDefinition`, as they were given.
    members: Map<String, Value>,
    registered_at: Timestamp,
    registered_by: String,
    active: bool,
}

#[derive(Debug, Clone)]
struct Rollout {
    /// The part of the deployment's ids that tells it from others.
    id: String,
    /// `checkout:42`.
    definition: String,
    desired: i64,
    created_at: Timestamp,
    /// True where its tasks do not start: the circuit breaker ends it.
    fails: bool,
    /// Set where somebody stopped it.
    stopped_at: Option<Timestamp>,
}

#[derive(Debug)]
struct Service {
    /// In order of time, never empty.
    rollouts: Vec<Rollout>,
    desired: i64,
    created_at: Timestamp,
}

/// The containers' side of the account.
#[derive(Debug)]
pub struct Containers {
    region: String,
    account: String,
    /// How long a rollout takes until the service is steady, or until the circuit breaker ends it.
    rollout_time: Duration,
    definitions: BTreeMap<String, Vec<Definition>>,
    services: BTreeMap<(String, String), Service>,
}

impl Containers {
    pub fn new(region: &str, account: &str, rollout_time: Duration) -> Self {
        Self {
            region: region.to_owned(),
            account: account.to_owned(),
            rollout_time,
            definitions: BTreeMap::new(),
            services: BTreeMap::new(),
        }
    }

    fn arn(&self, rest: &str) -> String {
        format!("arn:aws:ecs:{}:{}:{rest}", self.region, self.account)
    }

    fn register(&mut self, members: &Map<String, Value>, by: &str, at: Timestamp) -> Result<Value, ApiError> {
        let family = members
            .get("family")
            .and_then(Value::as_str)
            .filter(|family| !family.is_empty())
            .ok_or_else(|| client("Family should not be null or empty."))?
            .to_owned();
        if members.get("containerDefinitions").and_then(Value::as_array).is_none_or(Vec::is_empty) {
            return Err(client("Container list cannot be empty."));
        }
        let revisions = self.definitions.entry(family).or_default();
        revisions.push(Definition {
            revision: revisions.len() as i64 + 1,
            members: members.clone(),
            registered_at: at,
            registered_by: by.to_owned(),
            active: true,
        });
        let definition = revisions.last().cloned().ok_or_else(|| client("no revision"))?;
        Ok(self.show_definition(&definition))
    }

    fn show_definition(&self, definition: &Definition) -> Value {
        let family = definition.members.get("family").and_then(Value::as_str).unwrap_or_default();
        let mut shown = definition.members.clone();
        shown.remove("tags");
        let arn = self.arn(&format!("task-definition/{family}:{}", definition.revision));
        shown.insert("taskDefinitionArn".to_owned(), arn.into());
        shown.insert("revision".to_owned(), definition.revision.into());
        shown.insert("status".to_owned(), if definition.active { "ACTIVE" } else { "INACTIVE" }.into());
        shown.insert("registeredAt".to_owned(), epoch_seconds(definition.registered_at).into());
        shown.insert("registeredBy".to_owned(), definition.registered_by.clone().into());
        Value::Object(shown)
    }

    /// A revision by `family`, `family:7` or its ARN.
    fn definition(&self, name: &str) -> Result<&Definition, ApiError> {
        let missing = || client("Unable to describe task definition.");
        let (family, revision) = family_and_revision(name);
        let revisions = self.definitions.get(family).ok_or_else(missing)?;
        match revision {
            Some(revision) => revisions.iter().find(|definition| definition.revision == revision),
            None => revisions.iter().rev().find(|definition| definition.active),
        }
        .ok_or_else(missing)
    }

    /// `checkout:42` of whatever names it.
    fn full_name(&self, name: &str) -> Result<String, ApiError> {
        let (family, _) = family_and_revision(name);
        Ok(format!("{family}:{}", self.definition(name)?.revision))
    }

    fn service(&self, cluster: &str, service: &str) -> Result<(&(String, String), &Service), ApiError> {
        let key = (short(cluster).to_owned(), short(service).to_owned());
        self.services
            .get_key_value(&key)
            .ok_or_else(|| ApiError::new(400, "ServiceNotFoundException", "Service not found."))
    }

    /// Every rollout with its state at `now`, the circuit breaker's own among them, oldest first.
    fn rollouts(&self, service: &Service, now: Timestamp) -> Vec<(Rollout, &'static str, Timestamp)> {
        let mut shown: Vec<(Rollout, &'static str, Timestamp)> = Vec::new();
        for (at, rollout) in service.rollouts.iter().enumerate().filter(|(_, one)| one.created_at <= now) {
            let replaced = service.rollouts.get(at + 1).map(|next| next.created_at);
            let end = rollout.created_at + self.rollout_time;
            let ended = rollout.stopped_at.into_iter().chain(replaced).fold(end, Timestamp::min);
            let state = match () {
                () if ended > now => "IN_PROGRESS",
                () if rollout.fails || rollout.stopped_at == Some(ended) => "FAILED",
                () if ended < end => "REPLACED",
                () => "COMPLETED",
            };
            let before = shown.iter().rev().find(|(_, state, _)| *state == "COMPLETED");
            let back = before.map(|(earlier, ..)| earlier.clone());
            shown.push((rollout.clone(), state, ended.min(now)));
            if let Some(back) = back.filter(|_| state == "FAILED") {
                let undoing = Rollout {
                    id: format!("{}9", rollout.id),
                    created_at: ended,
                    fails: false,
                    stopped_at: None,
                    ..back
                };
                let end = ended + self.rollout_time;
                let state = if end > now { "IN_PROGRESS" } else { "COMPLETED" };
                shown.push((undoing, state, end.min(now)));
            }
        }
        shown
    }

    fn show_service(&self, key: &(String, String), service: &Service, now: Timestamp) -> Value {
        let (cluster, name) = key;
        let rollouts = self.rollouts(service, now);
        let definition_arn = |rollout: &Rollout| self.arn(&format!("task-definition/{}", rollout.definition));
        let newest = rollouts.last();
        let steady = newest.is_some_and(|(_, state, _)| *state != "IN_PROGRESS");
        // Once a rollout is done, the deployment before it is gone from the list.
        let from = if steady { rollouts.len().saturating_sub(1) } else { rollouts.len().saturating_sub(2) };
        let deployments: Vec<Value> = rollouts[from..]
            .iter()
            .rev()
            .enumerate()
            .map(|(place, (rollout, state, ended))| {
                let running = if place == 0 && !steady { 0 } else { rollout.desired };
                let state = if *state == "REPLACED" { "COMPLETED" } else { state };
                json!({
                    "id": format!("ecs-svc/{}", rollout.id),
                    "status": if place == 0 { "PRIMARY" } else { "ACTIVE" },
                    "taskDefinition": definition_arn(rollout),
                    "desiredCount": rollout.desired,
                    "pendingCount": rollout.desired - running,
                    "runningCount": running,
                    "failedTasks": 0,
                    "createdAt": epoch_seconds(rollout.created_at),
                    "updatedAt": epoch_seconds(*ended),
                    "launchType": "FARGATE",
                    "rolloutState": state,
                    "rolloutStateReason": format!("ECS deployment ecs-svc/{} {}.", rollout.id, state.to_lowercase()),
                })
            })
            .collect();
        let events = events_of(name, &rollouts);
        json!({
            "serviceArn": self.arn(&format!("service/{cluster}/{name}")),
            "serviceName": name,
            "clusterArn": self.arn(&format!("cluster/{cluster}")),
            "status": "ACTIVE",
            "desiredCount": service.desired,
            "runningCount": service.desired,
            "pendingCount": 0,
            "launchType": "FARGATE",
            "taskDefinition": newest.map(|(rollout, ..)| definition_arn(rollout)),
            "deploymentConfiguration": {
                "deploymentCircuitBreaker": {"enable": true, "rollback": true},
                "maximumPercent": 200, "minimumHealthyPercent": 100,
            },
            "deploymentController": {"type": "ECS"},
            "deployments": deployments,
            "events": events,
            "createdAt": epoch_seconds(service.created_at),
            "schedulingStrategy": "REPLICA",
        })
    }

    fn show_rollout(
        &self,
        key: &(String, String),
        rollout: &Rollout,
        state: &str,
        ended: Timestamp,
        source: Option<&Rollout>,
    ) -> Value {
        let (cluster, name) = key;
        let status = match state {
            "IN_PROGRESS" => "IN_PROGRESS",
            "FAILED" if rollout.stopped_at.is_some() => "ROLLBACK_SUCCESSFUL",
            "FAILED" => "ROLLBACK_SUCCESSFUL",
            "REPLACED" => "STOPPED",
            _ => "SUCCESSFUL",
        };
        let revision = |rollout: &Rollout| {
            json!({"arn": self.arn(&format!("service-revision/{cluster}/{name}/{}", rollout.id)),
                   "requestedTaskCount": rollout.desired, "runningTaskCount": rollout.desired,
                   "pendingTaskCount": 0})
        };
        let mut shown = json!({
            "serviceDeploymentArn": self.arn(&format!("service-deployment/{cluster}/{name}/{}", rollout.id)),
            "serviceArn": self.arn(&format!("service/{cluster}/{name}")),
            "clusterArn": self.arn(&format!("cluster/{cluster}")),
            "createdAt": epoch_seconds(rollout.created_at),
            "startedAt": epoch_seconds(rollout.created_at),
            "updatedAt": epoch_seconds(ended),
            "targetServiceRevisionArn": revision(rollout)["arn"],
            "targetServiceRevision": revision(rollout),
            "sourceServiceRevisions": source.map(revision).into_iter().collect::<Vec<_>>(),
            "status": status,
            "deploymentCircuitBreaker": {
                "status": if rollout.fails && state == "FAILED" { "TRIGGERED" } else { "MONITORING_COMPLETE" },
                "failureCount": if rollout.fails { 3 } else { 0 }, "threshold": 3,
            },
        });
        if state != "IN_PROGRESS" {
            shown["finishedAt"] = json!(epoch_seconds(ended));
        }
        if state == "FAILED"
            && let Some(source) = source
        {
            let reason = if rollout.fails {
                "Service deployment rolled back because the circuit breaker threshold was exceeded."
            } else {
                "Service deployment rolled back because of a StopServiceDeployment request."
            };
            shown["statusReason"] = json!(reason);
            shown["rollback"] = json!({"reason": reason, "startedAt": epoch_seconds(ended),
                                       "serviceRevisionArn": revision(source)["arn"]});
        }
        shown
    }

    /// Starts a rollout, or changes the number of tasks. Returns the service as shown.
    fn update(&mut self, input: &Value, id: String, at: Timestamp) -> Result<Value, ApiError> {
        let text = |key: &str| input.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        let key = (
            short(text("cluster").unwrap_or("default")).to_owned(),
            short(text("service").ok_or_else(|| client("Service name is required."))?).to_owned(),
        );
        self.service(&key.0, &key.1)?;
        let definition = match text("taskDefinition") {
            None => None,
            Some(name) => {
                if !self.definition(name)?.active {
                    return Err(client("TaskDefinition is inactive"));
                }
                Some(self.full_name(name)?)
            }
        };
        let forced = input.get("forceNewDeployment").and_then(Value::as_bool).unwrap_or(false);
        // A rollout that was stopped or failed left the service at what it ran before.
        let (_, service) = self.service(&key.0, &key.1)?;
        let newest = self.rollouts(service, at).pop();
        let running = newest.map(|(rollout, ..)| rollout.definition).unwrap_or_default();
        let service = self
            .services
            .get_mut(&key)
            .ok_or_else(|| ApiError::new(400, "ServiceNotFoundException", "Service not found."))?;
        if let Some(desired) = input.get("desiredCount").and_then(Value::as_i64) {
            service.desired = desired;
        }
        let target = definition.unwrap_or_else(|| running.clone());
        if forced || target != running {
            let rollout = Rollout {
                id,
                definition: target,
                desired: service.desired,
                created_at: at,
                fails: false,
                stopped_at: None,
            };
            service.rollouts.push(rollout);
        }
        let (key, service) = self.service(&key.0, &key.1)?;
        Ok(self.show_service(key, service, at))
    }
}

/// The messages that ECS writes, newest first, as it lists them.
fn events_of(name: &str, rollouts: &[(Rollout, &'static str, Timestamp)]) -> Vec<Value> {
    let mut events: Vec<(Timestamp, String)> = Vec::new();
    for (rollout, state, ended) in rollouts {
        let deployment = format!("(service {name}) (deployment ecs-svc/{})", rollout.id);
        events.push((rollout.created_at, format!("(service {name}) has started {} tasks.", rollout.desired)));
        match *state {
            "COMPLETED" => {
                events.push((*ended, format!("{deployment} deployment completed.")));
                events.push((*ended, format!("(service {name}) has reached a steady state.")));
            }
            "FAILED" if rollout.fails => {
                events.push((*ended, format!("{deployment} deployment failed: tasks failed to start.")));
                events.push((
                    *ended,
                    format!("(service {name}) rolling back to the last completed deployment."),
                ));
            }
            _ => {}
        }
    }
    events.sort_by_key(|(at, _)| *at);
    let shown = events.iter().rev().take(EVENTS).enumerate();
    shown
        .map(|(place, (at, message))| {
            json!({"id": format!("{name}-{place}"), "createdAt": epoch_seconds(*at), "message": message})
        })
        .collect()
}

fn client(message: &str) -> ApiError {
    ApiError::new(400, "ClientException", message)
}

/// The name at the end of an ARN.
fn short(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

fn family_and_revision(name: &str) -> (&str, Option<i64>) {
    let name = short(name);
    match name.rsplit_once(':').map(|(family, revision)| (family, revision.parse().ok())) {
        Some((family, Some(revision))) => (family, Some(revision)),
        _ => (name, None),
    }
}

/// The deployment's id in ECS's own shape: nineteen digits.
fn digits(id: &str) -> String {
    let number = u64::from_str_radix(&id.replace('-', "").chars().take(15).collect::<String>(), 16);
    format!("{:019}", number.unwrap_or_default() % 10_000_000_000_000_000_000)
}
