//! What AWS's services tell of their releases themselves: `events.json` (EventBridge), `codedeploy/deployments.json`
//! (`aws deploy batch-get-deployments`) and `cloudformation/stack-events.json` (`aws cloudformation describe-stack-events`).
//!
//! The rule that is not obvious: all three are additions to CloudTrail. Their absence is no gap, and what ends after
//! `now` is still going on.

use std::collections::HashSet;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Reading;
use super::document::{text, time};
use crate::domain::evidence::{CodeDeployment, Gap, Releases, ServiceEvent, StackEvent};

const EVENTS: &str = "events.json";
const DEPLOYMENTS: &str = "codedeploy/deployments.json";
const STACKS: &str = "cloudformation/stack-events.json";
/// What CodeDeploy's own notifications, which carry no envelope, are called where they come as events.
const CODEDEPLOY: &str = "CodeDeploy Deployment State-change Notification";

pub(super) fn read(reading: &mut Reading<'_>, now: Timestamp) -> Releases {
    let mut releases = Releases::default();
    if let Some(values) = optional(reading, "eventbridge", EVENTS, &["Events"]) {
        let whole = values.len();
        let read: Vec<ServiceEvent> = values.into_iter().filter_map(event).collect();
        if read.len() < whole {
            let broken = whole - read.len();
            reading.gaps.push(Gap::new(
                "eventbridge",
                format!("{EVENTS}: {broken} of {whole} have no id, time or kind"),
            ));
        }
        releases.events = in_order(read, now);
    }
    releases.deployments = optional(reading, "codedeploy", DEPLOYMENTS, &["deploymentsInfo"]).map(|values| {
        let read = values.iter().filter_map(|value| deployment(value, now));
        read.filter(|one| one.created_at.is_none_or(|at| at <= now)).collect()
    });
    releases.stack_events = optional(reading, "cloudformation", STACKS, &["StackEvents"]).map(|values| {
        let read = values.iter().filter_map(stack_event);
        read.filter(|one| one.at.is_none_or(|at| at <= now)).collect()
    });
    releases
}

fn optional(reading: &mut Reading<'_>, source: &str, name: &str, keys: &[&str]) -> Option<Vec<Value>> {
    reading.names.contains(name).then(|| reading.elements(source, name, keys)).flatten()
}

/// Events in order of time, each once, nothing after `now` among them.
pub fn in_order(mut events: Vec<ServiceEvent>, now: Timestamp) -> Vec<ServiceEvent> {
    let mut seen = HashSet::new();
    events.retain(|event| event.at <= now && seen.insert(event.id.clone()));
    events.sort_by(|one, other| (one.at, &one.id).cmp(&(other.at, &other.id)));
    events
}

/// One event of EventBridge, or one of CodeDeploy's own notifications; `None` where it has no id, time or kind.
pub fn event(raw: Value) -> Option<ServiceEvent> {
    let deployment = text(&raw, "deploymentId");
    let (id, at, kind) = if raw.get("detail-type").is_none() && !deployment.is_empty() {
        let at = ["completeTime", "createTime"].iter().find_map(|field| time(raw.get(field)))?;
        (format!("{deployment}/{}", text(&raw, "status")), at, CODEDEPLOY.to_owned())
    } else {
        (text(&raw, "id"), time(raw.get("time"))?, text(&raw, "detail-type"))
    };
    (!id.is_empty() && !kind.is_empty()).then_some(ServiceEvent { id, at, kind, raw })
}

/// One element of `deploymentsInfo`; `None` where it has no id.
pub fn deployment(value: &Value, now: Timestamp) -> Option<CodeDeployment> {
    let ended = time(value.get("completeTime"));
    let over = ended.is_none_or(|at| at <= now);
    let rollback = value.get("rollbackInfo").unwrap_or(&Value::Null);
    let id = text(value, "deploymentId");
    (!id.is_empty()).then(|| CodeDeployment {
        id,
        application: text(value, "applicationName"),
        group: text(value, "deploymentGroupName"),
        status: if over { text(value, "status") } else { "InProgress".to_owned() },
        creator: text(value, "creator"),
        created_at: time(value.get("createTime")),
        completed_at: ended.filter(|at| *at <= now),
        rolls_back: Some(text(rollback, "rollbackTriggeringDeploymentId")).filter(|id| !id.is_empty()),
    })
}

/// One element of `StackEvents`; `None` where it names no stack.
pub fn stack_event(value: &Value) -> Option<StackEvent> {
    let stack = text(value, "StackName");
    (!stack.is_empty()).then(|| StackEvent {
        id: text(value, "EventId"),
        stack,
        at: time(value.get("Timestamp")),
        logical_id: text(value, "LogicalResourceId"),
        physical_id: text(value, "PhysicalResourceId"),
        kind: text(value, "ResourceType"),
        status: text(value, "ResourceStatus"),
    })
}

/// The files and what they hold; none for what was not read.
pub(super) fn export(releases: &Releases) -> [(&'static str, Option<Value>); 3] {
    let raw: Vec<&Value> = releases.events.iter().map(|event| &event.raw).collect();
    let events = (!raw.is_empty()).then(|| json!({ "Events": raw }));
    let deployments = releases.deployments.as_ref().map(|deployments| {
        let shown: Vec<Value> = deployments.iter().map(export_deployment).collect();
        json!({ "deploymentsInfo": shown })
    });
    let stacks = releases.stack_events.as_ref().map(|events| {
        let shown: Vec<Value> = events.iter().map(export_stack_event).collect();
        json!({ "StackEvents": shown })
    });
    [(EVENTS, events), (DEPLOYMENTS, deployments), (STACKS, stacks)]
}

fn export_deployment(one: &CodeDeployment) -> Value {
    let time = |at: Option<Timestamp>| at.map(|at| at.to_string());
    json!({
        "deploymentId": one.id,
        "applicationName": one.application,
        "deploymentGroupName": one.group,
        "status": one.status,
        "creator": one.creator,
        "createTime": time(one.created_at),
        "completeTime": time(one.completed_at),
        "rollbackInfo": {"rollbackTriggeringDeploymentId": one.rolls_back},
    })
}

fn export_stack_event(one: &StackEvent) -> Value {
    json!({
        "EventId": one.id,
        "StackName": one.stack,
        "Timestamp": one.at.map(|at| at.to_string()),
        "LogicalResourceId": one.logical_id,
        "PhysicalResourceId": one.physical_id,
        "ResourceType": one.kind,
        "ResourceStatus": one.status,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_the_same() {
        let now: Timestamp = "2026-02-06T12:20:00Z".parse().unwrap();
        let notification = json!({"deploymentId": "d-1", "status": "SUCCEEDED", "applicationName": "shop",
            "completeTime": "Fri Feb 06 12:04:00 UTC 2026"});
        let bridged = json!({"id": "e-1", "time": "2026-02-06T12:01:00Z", "detail-type": "Parameter Store Change",
            "source": "aws.ssm", "detail": {"name": "/checkout/limit", "operation": "Update"}});
        let events: Vec<ServiceEvent> = [notification, bridged].into_iter().filter_map(event).collect();
        let releases = Releases {
            events: in_order(events, now),
            deployments: Some(vec![CodeDeployment {
                id: "d-1".to_owned(),
                status: "InProgress".to_owned(),
                created_at: Some(now),
                ..CodeDeployment::default()
            }]),
            stack_events: Some(vec![StackEvent {
                stack: "shop".to_owned(),
                at: Some(now),
                ..StackEvent::default()
            }]),
        };
        assert_eq!(
            releases.events.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(),
            ["e-1", "d-1/SUCCEEDED"]
        );
        let files: std::collections::BTreeMap<String, Vec<u8>> = export(&releases)
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?.to_string().into_bytes())))
            .chain([
                (
                    "bundle.json".to_owned(),
                    json!({"service": "a", "now": now.to_string()}).to_string().into_bytes(),
                ),
                (
                    "alert.json".to_owned(),
                    br#"{"service":"a","triggered_at":"2026-02-06T12:15:00Z"}"#.to_vec(),
                ),
            ])
            .collect();
        assert_eq!(crate::bundle::from_files(&files).unwrap().releases, releases);
    }

    #[test]
    fn a_deployment_that_ends_later_is_still_going_on() {
        let now: Timestamp = "2026-02-06T12:00:00Z".parse().unwrap();
        let value = json!({"deploymentId": "d-1", "status": "Failed", "completeTime": 1_770_380_000.0});
        let read = deployment(&value, now).unwrap();
        assert_eq!((read.status.as_str(), read.completed_at), ("InProgress", None));
    }
}
