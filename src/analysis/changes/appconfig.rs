//! AppConfig: deployments of configuration and of feature flags.
//!
//! The rule that is not obvious: a deployment reaches its targets by and by, from its start to its
//! completion, and one that AppConfig rolled back has undone itself.

use jiff::SignedDuration;

use super::call::{Call, field, scalar};
use super::difference::{between_documents, is_label};
use super::{DEPLOYMENT_GAP, World, actor, draft, event_ids, of_call};
use crate::domain::change::{Change, ChangeKind, Effect};
use crate::domain::evidence::AppConfigDeployment;
use crate::domain::rollback::RollbackTarget;

pub(super) const VERBS: &[&str] = &["StartDeployment", "StopDeployment", "CreateHostedConfigurationVersion"];

/// A call and the deployment that it started differ by no more than this.
const SAME: SignedDuration = SignedDuration::from_mins(2);
/// AppConfig reverts a completed deployment for this long.
const REVERTIBLE: SignedDuration = SignedDuration::from_hours(72);

pub(super) fn changes(world: &World<'_>) -> Vec<Change> {
    let deployments: Vec<&AppConfigDeployment> = world.evidence.appconfig.iter().flatten().collect();
    let calls: Vec<&Call<'_>> =
        world.calls.iter().filter(|call| call.service == "appconfig" && VERBS.contains(&call.verb)).collect();
    let mut told: Vec<usize> = Vec::new();
    let mut used: Vec<&str> = Vec::new();
    let mut found = Vec::new();
    for call in calls.iter().filter(|call| call.verb == "StartDeployment") {
        let at = (!call.failed())
            .then(|| deployments.iter().position(|deployment| started(call, deployment)))
            .flatten()
            .filter(|at| !told.contains(at));
        let mut change = of_call(ChangeKind::Appconfig, name_of(call), call);
        if let Some((at, deployment)) = at.and_then(|at| Some((at, *deployments.get(at)?))) {
            told.push(at);
            describe(world, deployment, &deployments, &mut change);
        }
        // The version that was stored just before is part of the same change.
        let stored = calls.iter().rev().find(|stored| {
            stored.verb == "CreateHostedConfigurationVersion"
                && !stored.failed()
                && stored.record.at <= call.record.at
                && call.record.at.duration_since(stored.record.at) <= DEPLOYMENT_GAP
                && stored.text(&["ApplicationId"]) == call.text(&["ApplicationId"])
                && stored.text(&["ConfigurationProfileId"]) == call.text(&["ConfigurationProfileId"])
        });
        if let Some(stored) = stored.filter(|_| !call.failed()) {
            used.push(&stored.record.event_id);
            change.event_ids = event_ids([*call, *stored]);
        }
        change.relation = relation(world, &change.resource);
        found.push(change);
    }
    for (at, deployment) in deployments.iter().enumerate() {
        if told.contains(&at) {
            continue;
        }
        let Some(started_at) = deployment.started_at else { continue };
        let mut change = draft(ChangeKind::Appconfig, path(deployment), started_at);
        change.id = format!("{}#{}", change.resource, deployment.number);
        describe(world, deployment, &deployments, &mut change);
        change.relation = relation(world, &change.resource);
        found.push(change);
    }
    for call in calls.iter().filter(|call| call.verb != "StartDeployment") {
        if used.contains(&call.record.event_id.as_str()) {
            continue;
        }
        let mut change = of_call(ChangeKind::Appconfig, name_of(call), call);
        if call.verb == "CreateHostedConfigurationVersion" && !call.failed() {
            change.effect =
                Effect::None { reason: "a version was stored, and no deployment brought it out".to_owned() };
        }
        change.undo = Err("there is nothing of its own to put back".to_owned());
        change.relation = relation(world, &change.resource);
        change.actor = actor(call);
        found.push(change);
    }
    found
}

fn relation(world: &World<'_>, resource: &str) -> crate::domain::change::Relation {
    let application = resource.split('/').next().unwrap_or(resource);
    world.owners.of_resource(&[application, resource])
}

fn path(deployment: &AppConfigDeployment) -> String {
    format!("{}/{}/{}", deployment.application, deployment.environment, deployment.profile)
}

fn name_of(call: &Call<'_>) -> String {
    ["ApplicationId", "EnvironmentId", "ConfigurationProfileId"]
        .iter()
        .filter_map(|name| call.text(&[name]))
        .collect::<Vec<_>>()
        .join("/")
}

/// Whether a call started a deployment: the same number and time, and the same names where the
/// call gives names and not ids.
fn started(call: &Call<'_>, deployment: &AppConfigDeployment) -> bool {
    let number = field(call.response(), "DeploymentNumber")
        .and_then(scalar)
        .is_none_or(|number| number == deployment.number.to_string());
    let near = deployment.started_at.is_some_and(|at| at.duration_since(call.record.at).abs() <= SAME);
    let version = call.text(&["ConfigurationVersion"]).is_none_or(|version| version == deployment.version);
    number && near && version
}

fn describe(
    world: &World<'_>,
    deployment: &AppConfigDeployment,
    all: &[&AppConfigDeployment],
    change: &mut Change,
) {
    change.resource = path(deployment);
    let from = deployment.started_at.unwrap_or(change.at);
    let going_on =
        matches!(deployment.state.as_str(), "DEPLOYING" | "BAKING" | "VALIDATING" | "ROLLING_BACK");
    let until = deployment.completed_at.unwrap_or(if going_on { world.now } else { from }).max(from);
    change.effect = Effect::Took { from, until };
    let rolled_back = deployment.state.starts_with("ROLLED_BACK") || deployment.state == "REVERTED";
    if rolled_back {
        let event = deployment
            .events
            .iter()
            .rev()
            .find(|(kind, _)| kind.contains("ROLLBACK") || kind.contains("REVERT"))
            .and_then(|(_, at)| *at);
        change.undone_at = event.or(deployment.completed_at).or(Some(until));
    }
    if let (Some(before), Some(after)) = (&deployment.before, &deployment.after) {
        change.keys = between_documents(before, after);
        change.no_op = change.keys.iter().all(|key| is_label(&key.key));
    }
    let of_same = || {
        all.iter().filter(|other| {
            other.application == deployment.application
                && other.environment == deployment.environment
                && other.profile == deployment.profile
        })
    };
    let earlier = of_same()
        .filter(|other| other.number < deployment.number && other.state == "COMPLETE")
        .max_by_key(|other| other.number);
    change.to_version = Some(deployment.version.clone()).filter(|version| !version.is_empty());
    change.from_version =
        earlier.map(|earlier| earlier.version.clone()).filter(|version| !version.is_empty());
    let newest = of_same().all(|other| other.number <= deployment.number);
    let fresh = world.now.duration_since(until) <= REVERTIBLE;
    change.undo = if rolled_back {
        Err("AppConfig has rolled it back already".to_owned())
    } else if change.no_op {
        Err("it changed nothing: the content is the same".to_owned())
    } else if !newest {
        Err("a newer deployment has replaced it".to_owned())
    } else if deployment.before.is_none() && change.from_version.is_none() {
        Err("the content before it is not known".to_owned())
    } else if !fresh && change.from_version.is_none() {
        Err("AppConfig reverts a deployment for 72 hours, and the version before it is not known".to_owned())
    } else {
        Ok(RollbackTarget::AppConfig {
            application: deployment.application.clone(),
            environment: deployment.environment.clone(),
            profile: deployment.profile.clone(),
            deployment: deployment.number,
            to_version: change.from_version.clone(),
            from_version: change.to_version.clone(),
            ids: None,
        })
    };
}
