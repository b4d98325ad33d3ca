//! `appconfig/deployments.json`: deployments with the content before and after, where it is known.
//!
//! The rule that is not obvious: a deployment that ended after `now` is still going on: its state is
//! `DEPLOYING` then, whatever the file says.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::Reading;
use super::document::{integer, list, text, time};
use crate::domain::evidence::{AppConfigDeployment, Gap};

const FILE: &str = "appconfig/deployments.json";

pub(super) fn read(reading: &mut Reading<'_>, now: Timestamp) -> Option<Vec<AppConfigDeployment>> {
    let values = reading.elements("appconfig", FILE, &["Deployments", "Items"])?;
    let read: Vec<AppConfigDeployment> =
        values.iter().filter(|value| value.is_object()).map(|value| deployment(value, now)).collect();
    let broken = values.len() - read.len();
    if broken > 0 {
        reading.gaps.push(Gap::new("appconfig", format!("{FILE}: {broken} elements are not deployments")));
    }
    Some(read.into_iter().filter(|deployment| deployment.started_at.is_none_or(|at| at <= now)).collect())
}

/// One deployment as it is known at `now`.
pub fn deployment(value: &Value, now: Timestamp) -> AppConfigDeployment {
    let ended = time(value.get("CompletedAt"));
    let state = if ended.is_some_and(|at| at > now) { "DEPLOYING".to_owned() } else { text(value, "State") };
    AppConfigDeployment {
        number: integer(value, "DeploymentNumber").unwrap_or(0),
        application: first(value, &["ApplicationName", "ApplicationId"]),
        environment: first(value, &["EnvironmentName", "EnvironmentId"]),
        profile: first(value, &["ConfigurationName", "ConfigurationProfileId"]),
        version: text(value, "ConfigurationVersion"),
        state,
        started_at: time(value.get("StartedAt")),
        completed_at: ended.filter(|at| *at <= now),
        events: list(value, "EventLog")
            .iter()
            .map(|event| (text(event, "EventType"), time(event.get("OccurredAt"))))
            .filter(|(_, at)| at.is_none_or(|at| at <= now))
            .collect(),
        before: content(value.get("ContentBefore")),
        after: content(value.get("ContentAfter")),
    }
}

fn first(value: &Value, keys: &[&str]) -> String {
    keys.iter().map(|key| text(value, key)).find(|text| !text.is_empty()).unwrap_or_default()
}

/// Content as an object, also where it is the text of one.
fn content(value: Option<&Value>) -> Option<Value> {
    match value? {
        Value::Null => None,
        Value::String(text) => {
            Some(serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone())))
                .filter(|value| !value.is_null())
        }
        other => Some(other.clone()),
    }
}

pub(super) fn export(deployments: &[AppConfigDeployment]) -> Value {
    let deployments: Vec<Value> = deployments.iter().map(export_one).collect();
    serde_json::json!({ "Deployments": deployments })
}

fn export_one(deployment: &AppConfigDeployment) -> Value {
    let events: Vec<Value> = deployment
        .events
        .iter()
        .map(|(kind, at)| serde_json::json!({ "EventType": kind, "OccurredAt": at.map(|at| at.to_string()) }))
        .collect();
    let mut object = Map::new();
    object.insert("DeploymentNumber".to_owned(), deployment.number.into());
    for (key, value) in [
        ("ApplicationName", &deployment.application),
        ("EnvironmentName", &deployment.environment),
        ("ConfigurationName", &deployment.profile),
        ("ConfigurationVersion", &deployment.version),
        ("State", &deployment.state),
    ] {
        object.insert(key.to_owned(), value.clone().into());
    }
    for (key, at) in [("StartedAt", deployment.started_at), ("CompletedAt", deployment.completed_at)] {
        if let Some(at) = at {
            object.insert(key.to_owned(), at.to_string().into());
        }
    }
    object.insert("EventLog".to_owned(), events.into());
    for (key, content) in [("ContentBefore", &deployment.before), ("ContentAfter", &deployment.after)] {
        if let Some(content) = content {
            // As text of JSON, so that text which happens to look like JSON stays text.
            object.insert(key.to_owned(), content.to_string().into());
        }
    }
    Value::Object(object)
}
