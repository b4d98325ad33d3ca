//! ECS as a story writes it, at any time in the past.
//!
//! Rule: what is written here shows over HTTP exactly as if the call had been made then.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Rollout, Service, client, digits};
use crate::demo::aws::identity::Identity;
use crate::demo::aws::trail::Entry;
use crate::demo::aws::wire::ApiError;
use crate::demo::aws::world::{AwsWorld, State};

impl AwsWorld {
    /// Registers a revision: the members of `RegisterTaskDefinition`. Returns `family:revision`.
    ///
    /// # Errors
    /// ECS's own for members that it refuses.
    pub fn register_task_definition(
        &self,
        members: &Value,
        actor: &Identity,
        at: Timestamp,
    ) -> Result<String, ApiError> {
        let mut state = self.state();
        let Value::Object(given) = members else { return Err(client("no members")) };
        let shown = state.containers.register(given, &actor.arn, at)?;
        let name = format!("{}:{}", shown["family"].as_str().unwrap_or_default(), shown["revision"]);
        state.record(Entry {
            source: "ecs.amazonaws.com",
            name: "RegisterTaskDefinition",
            actor,
            access_key: None,
            at,
            request: members.clone(),
            response: json!({"taskDefinition": shown}),
            error: None,
        });
        Ok(name)
    }

    /// Creates a service that runs a revision.
    ///
    /// # Errors
    /// ECS's own where there is no such revision.
    pub fn create_service(
        &self,
        cluster: &str,
        name: &str,
        definition: &str,
        desired: i64,
        actor: &Identity,
        at: Timestamp,
    ) -> Result<(), ApiError> {
        let mut state = self.state();
        let id = digits(&state.next_id());
        let rollout = Rollout {
            id,
            definition: state.containers.full_name(definition)?,
            desired,
            created_at: at,
            fails: false,
            stopped_at: None,
        };
        let key = (cluster.to_owned(), name.to_owned());
        state.containers.services.insert(key, Service { rollouts: vec![rollout], desired, created_at: at });
        let request = json!({"cluster": cluster, "serviceName": name, "taskDefinition": definition,
                             "desiredCount": desired, "launchType": "FARGATE"});
        let response = json!({"service": shown_service(&state, cluster, name, at)?});
        let name = "CreateService";
        let source = "ecs.amazonaws.com";
        state.record(Entry { source, name, actor, access_key: None, at, request, response, error: None });
        Ok(())
    }

    /// Moves a service to a revision; with `fails` its tasks do not start and the circuit breaker puts the
    /// earlier revision back.
    ///
    /// # Errors
    /// ECS's own.
    pub fn deploy_service(
        &self,
        cluster: &str,
        name: &str,
        definition: &str,
        fails: bool,
        actor: &Identity,
        at: Timestamp,
    ) -> Result<(), ApiError> {
        let mut state = self.state();
        let id = digits(&state.next_id());
        let request = json!({"cluster": cluster, "service": name, "taskDefinition": definition});
        let service = state.containers.update(&request, id, at)?;
        let key = (cluster.to_owned(), name.to_owned());
        if let Some(rollout) =
            state.containers.services.get_mut(&key).and_then(|service| service.rollouts.last_mut())
        {
            rollout.fails = fails;
        }
        state.record(Entry {
            source: "ecs.amazonaws.com",
            name: "UpdateService",
            actor,
            access_key: None,
            at,
            request,
            response: json!({"service": service}),
            error: None,
        });
        Ok(())
    }

    /// Makes a revision INACTIVE; unknown ones are left out.
    pub fn deregister_task_definition(&self, name: &str) {
        let mut state = self.state();
        let (family, revision) = super::family_and_revision(name);
        let revisions = state.containers.definitions.get_mut(family).into_iter().flatten();
        for definition in revisions.filter(|one| Some(one.revision) == revision) {
            definition.active = false;
        }
    }

    /// How many tasks a service is meant to run.
    pub fn desired_count(&self, cluster: &str, name: &str) -> Option<i64> {
        let state = self.state();
        state.containers.service(cluster, name).ok().map(|(_, service)| service.desired)
    }

    /// The revision that a service was last moved to, `family:revision`.
    pub fn service_definition(&self, cluster: &str, name: &str) -> Option<String> {
        let state = self.state();
        let (_, service) = state.containers.service(cluster, name).ok()?;
        let rollouts = state.containers.rollouts(service, state.now());
        rollouts.last().map(|(rollout, ..)| rollout.definition.clone())
    }
}

fn shown_service(state: &State, cluster: &str, name: &str, at: Timestamp) -> Result<Value, ApiError> {
    let (key, service) = state.containers.service(cluster, name)?;
    Ok(state.containers.show_service(key, service, at))
}
