//! Releases as AWS's services tell them themselves: EventBridge's events, CodeDeploy's deployments, events of stacks.
//!
//! The rule that is not obvious: whatever else tells of the same release comes first, since it knows who made it
//! and what it changed. A release adds when it ended and whether it failed, and is a change of its own only where
//! nothing else tells of it.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::call::{Call, field, scalar};
use super::{World, actor, draft};
use crate::domain::change::{Change, ChangeKind, Effect, KeyChange, Relation};
use crate::domain::evidence::{ServiceEvent, StackEvent};
use crate::domain::rollback::short_arn;
use crate::domain::words;

/// A call and what it began are told within this time of each other.
const SAME: SignedDuration = SignedDuration::from_mins(2);
/// A release that nobody tells the end of is taken to end within this time.
const LONGEST: SignedDuration = SignedDuration::from_mins(60);

/// What is released.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    /// `cluster/service`.
    Containers(String),
    /// Application and group.
    CodeDeploy(String, String),
    /// `application/environment/profile`, by names and by ids.
    Configuration(String, String),
    Stack(String),
    Parameter(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Began,
    Ended,
    /// It failed or was taken back: what was before is there again, as far as the service could.
    Failed,
}

/// One release, as far as it is told.
#[derive(Debug, Clone)]
struct Release {
    what: What,
    /// The service's own id of it; empty where it has none.
    id: String,
    began: Timestamp,
    /// False where only its end is told, which `began` is then.
    begin_told: bool,
    ended: Option<Timestamp>,
    failed: Option<Timestamp>,
    /// The release that this one takes back.
    takes_back: Option<String>,
    /// Names and ARNs of what it touched.
    touched: Vec<String>,
    /// What the service says started it.
    creator: Option<String>,
}

pub(super) fn join(found: &mut Vec<Change>, world: &World<'_>) {
    let mut releases = told(world);
    releases
        .sort_by(|one, other| (one.began, &one.what, &one.id).cmp(&(other.began, &other.what, &other.id)));
    // By release: the change that tells of it, for those that take one back.
    let mut changes: BTreeMap<String, String> = BTreeMap::new();
    for release in releases {
        let known = match &release.what {
            What::CodeDeploy(..) => code_deployment(&release, found, world),
            What::Stack(_) => stack(&release, found, world),
            _ => nearest(&release, found),
        };
        let at = match known {
            Known::Elsewhere => continue,
            Known::As(at) => at,
            Known::Nowhere => {
                found.push(new(&release, world));
                found.len() - 1
            }
        };
        let undone = release.takes_back.as_ref().and_then(|id| changes.get(id)).cloned();
        if let Some(change) = found.get_mut(at) {
            refine(change, &release);
            change.undoes = change.undoes.take().or(undone.clone());
            if !release.id.is_empty() {
                changes.insert(release.id.clone(), change.id.clone());
            }
        }
        if let Some(taken) = found.iter_mut().find(|change| undone.as_ref() == Some(&change.id)) {
            taken.undone_at = taken.undone_at.or(release.ended);
        }
    }
}

/// What is known of a release already.
enum Known {
    /// This change is the release.
    As(usize),
    /// It is part of others, which tell more.
    Elsewhere,
    Nowhere,
}

fn refine(change: &mut Change, release: &Release) {
    let Effect::Took { from, until } = &mut change.effect else { return };
    if let Some(ended) = release.ended.or(release.failed).filter(|ended| *ended >= *from) {
        *until = ended;
    }
    change.undone_at = change.undone_at.or(release.failed);
}

fn new(release: &Release, world: &World<'_>) -> Change {
    let (kind, resource, names): (ChangeKind, String, Vec<&str>) = match &release.what {
        What::Containers(path) => (ChangeKind::EcsDeployment, path.clone(), vec![short_arn(path)]),
        What::CodeDeploy(application, group) => {
            (ChangeKind::Other, format!("{application}/{group}"), vec![group, application])
        }
        What::Configuration(path, _) => {
            (ChangeKind::Appconfig, path.clone(), vec![path.split('/').next().unwrap_or(path), path])
        }
        What::Stack(stack) => (ChangeKind::Stack, stack.clone(), vec![stack]),
        What::Parameter(name) => (ChangeKind::SsmParameter, name.clone(), vec![name]),
    };
    let mut change = draft(kind, resource, release.began);
    let id = if release.id.is_empty() { release.began.to_string() } else { release.id.clone() };
    change.id = format!("{}#{id}", change.resource);
    let until = release.ended.or(release.failed).unwrap_or(release.began).max(release.began);
    change.effect = Effect::Took { from: release.began, until };
    change.relation = relation(release, &names, world);
    change.code_changed = matches!(release.what, What::CodeDeploy(..));
    if let What::Parameter(name) = &release.what {
        change.keys = vec![KeyChange { key: name.clone(), before: None, after: None }];
    }
    let by = release.creator.as_ref().map_or_else(String::new, |creator| format!(" (started by {creator})"));
    change.undo = Err(format!("AWS tells that it happened{by} and not what it changed"));
    change
}

/// Whose it is: by its name, else by what it touched, the service's own first.
fn relation(release: &Release, names: &[&str], world: &World<'_>) -> Relation {
    if let What::Containers(_) = release.what {
        return world.owners.of_service(names.first().copied().unwrap_or_default());
    }
    let touched = release.touched.iter().map(|name| world.owners.of_resource(&[name]));
    let all = std::iter::once(world.owners.of_resource(names)).chain(touched);
    all.min().unwrap_or(Relation::Unconnected)
}

/// The change of the same thing at the same time.
fn nearest(release: &Release, found: &[Change]) -> Known {
    let is_it = |change: &&(usize, &Change)| {
        let named = match &release.what {
            What::Containers(path) => {
                change.1.kind == ChangeKind::EcsDeployment && &change.1.resource == path
            }
            What::Configuration(names, ids) => {
                change.1.kind == ChangeKind::Appconfig && [names, ids].contains(&&change.1.resource)
            }
            What::Parameter(name) => change.1.kind == ChangeKind::SsmParameter && &change.1.resource == name,
            What::CodeDeploy(..) | What::Stack(_) => false,
        };
        named && is_within(change.1, release)
    };
    let places: Vec<(usize, &Change)> = found.iter().enumerate().collect();
    let newest = places.iter().filter(is_it).max_by_key(|(_, change)| change.at);
    newest.map_or(Known::Nowhere, |(at, _)| Known::As(*at))
}

/// Whether a change took effect while a release went on.
fn is_within(change: &Change, release: &Release) -> bool {
    let Effect::Took { from, .. } = change.effect else { return false };
    let told = release.ended.or(release.failed);
    let (begin, end) = match &release.what {
        What::Parameter(_) => (release.began, release.began),
        // What it touches follows by and by.
        What::Stack(_) => (release.began, told.unwrap_or(release.began + LONGEST)),
        _ if release.begin_told => (release.began, told.unwrap_or(release.began)),
        _ => (release.began - LONGEST, release.began),
    };
    from >= begin - SAME && from <= end + SAME
}

/// CodeDeploy asks, and what moves is an alias or a container service: these tell of it, with its event beside
/// theirs and with who asked for it.
fn code_deployment(release: &Release, found: &mut Vec<Change>, world: &World<'_>) -> Known {
    let asked = world.calls.iter().find(|call| {
        call.service == "codedeploy"
            && !call.failed()
            && field(call.response(), "deploymentId").and_then(scalar).as_ref() == Some(&release.id)
    });
    let place = |found: &[Change], id: &str| {
        found.iter().position(|change| change.event_ids.iter().any(|known| known == id))
    };
    let own = asked.and_then(|call| place(found, &call.record.event_id));
    let by_codedeploy = |call: &&Call<'_>| {
        let raw = &call.record.raw;
        let by = [raw.pointer("/userIdentity/invokedBy"), raw.get("sourceIPAddress")];
        by.into_iter().flatten().any(|who| who.as_str() == Some("codedeploy.amazonaws.com"))
    };
    let end = release.ended.or(release.failed).unwrap_or(world.now);
    let moved: Vec<usize> = world
        .calls
        .iter()
        .filter(|call| matches!(call.service, "lambda" | "ecs") && !call.failed())
        .filter(by_codedeploy)
        .filter(|call| call.record.at >= release.began - SAME && call.record.at <= end + SAME)
        .filter_map(|call| place(found, &call.record.event_id))
        .filter(|at| {
            // Several deployments may go on at once: by name it is one of this application's.
            let names = match &release.what {
                What::CodeDeploy(application, group) => [application.to_lowercase(), group.to_lowercase()],
                _ => return false,
            };
            let resource = found.get(*at).map(|change| short_arn(&change.resource).to_lowercase());
            resource.is_some_and(|resource| {
                names
                    .iter()
                    .any(|name| words::holds_part(name, &resource) || words::holds_part(&resource, name))
            })
        })
        .collect();
    let Some(at) = moved.first().copied() else {
        return own.map_or(Known::Nowhere, Known::As);
    };
    if let (Some(change), Some(call)) = (found.get_mut(at), asked) {
        if !change.event_ids.contains(&call.record.event_id) {
            change.event_ids.push(call.record.event_id.clone());
        }
        change.actor = actor(call).or(change.actor.take());
    }
    match own.filter(|own| *own != at) {
        Some(own) => {
            found.remove(own);
            Known::As(if own < at { at - 1 } else { at })
        }
        None => Known::As(at),
    }
}

/// A stack's operation is told by what it touched, where that is told by itself, else by its own call.
fn stack(release: &Release, found: &mut Vec<Change>, world: &World<'_>) -> Known {
    let What::Stack(name) = &release.what else { return Known::Nowhere };
    let is_stack = |text: &str| text.split('/').next() == Some(name) || short_stack(text) == name;
    let asked = world.calls.iter().find(|call| {
        call.service == "cloudformation"
            && !call.failed()
            && call.text(&["stackName"]).is_some_and(|text| is_stack(&text))
            && call.record.at >= release.began - SAME
            && call.record.at <= release.began + SAME
    });
    let own = asked
        .and_then(|call| found.iter().position(|change| change.event_ids.contains(&call.record.event_id)));
    let touches = |change: &Change| {
        release.touched.iter().any(|touched| {
            touched == &change.resource
                || touched.ends_with(&format!("/{}", change.resource))
                || touched.ends_with(&format!(":{}", change.resource))
        })
    };
    let children: Vec<usize> = (0..found.len())
        .filter(|at| {
            found.get(*at).is_some_and(|change| {
                change.kind != ChangeKind::Stack && is_within(change, release) && touches(change)
            })
        })
        .collect();
    for at in &children {
        let Some(change) = found.get_mut(*at) else { continue };
        refine_child(change, release);
        if let Some(call) = asked {
            if !change.event_ids.contains(&call.record.event_id) {
                change.event_ids.push(call.record.event_id.clone());
            }
            change.actor = actor(call).or(change.actor.take());
        }
    }
    match own {
        Some(own) if found.get(own).is_none_or(|change| change.kind != ChangeKind::Stack) => Known::Elsewhere,
        Some(own) if !children.is_empty() => {
            found.remove(own);
            Known::Elsewhere
        }
        Some(own) => {
            if let Some(change) = found.get_mut(own) {
                change.relation = change.relation.clone().min(relation(release, &[name], world));
            }
            Known::As(own)
        }
        None if children.is_empty() => Known::Nowhere,
        None => Known::Elsewhere,
    }
}

/// A stack that rolled back put its resources back too.
fn refine_child(change: &mut Change, release: &Release) {
    change.undone_at = change.undone_at.or(release.failed);
}

/// The stack's name in its ARN.
fn short_stack(text: &str) -> &str {
    text.split_once(":stack/").map_or(text, |(_, rest)| rest.split('/').next().unwrap_or(rest))
}

/// All releases that the evidence tells of, each once.
fn told(world: &World<'_>) -> Vec<Release> {
    let releases = &world.evidence.releases;
    let mut found: Vec<Release> = Vec::new();
    for one in releases.deployments.iter().flatten() {
        let Some(began) = one.created_at else { continue };
        let failed = matches!(one.status.as_str(), "Failed" | "Stopped");
        found.push(Release {
            what: What::CodeDeploy(one.application.clone(), one.group.clone()),
            id: one.id.clone(),
            began,
            begin_told: true,
            ended: one.completed_at.filter(|_| !failed),
            failed: one.completed_at.filter(|_| failed),
            takes_back: one.rolls_back.clone(),
            touched: Vec::new(),
            creator: Some(one.creator.clone()).filter(|creator| !creator.is_empty()),
        });
    }
    for event in &releases.events {
        if let Some((what, id, phase)) = step(event) {
            add_step(&mut found, what, id, (phase, event.at));
        }
    }
    let bridged: Vec<StackEvent> = releases.events.iter().filter_map(stack_event).collect();
    let read = releases.stack_events.iter().flatten();
    found.extend(operations(read.chain(&bridged)));
    found
}

/// Adds a step to its release, or begins one with it.
fn add_step(found: &mut Vec<Release>, what: What, id: String, (phase, at): (Phase, Timestamp)) {
    let same =
        found.iter_mut().rev().find(|release| release.what == what && !id.is_empty() && release.id == id);
    let release = match same {
        Some(release) => release,
        None => {
            let (touched, takes_back, creator) = (Vec::new(), None, None);
            let (begin_told, ended, failed) = (false, None, None);
            let began = at;
            found.push(Release { what, id, began, begin_told, ended, failed, takes_back, touched, creator });
            let Some(last) = found.last_mut() else { return };
            last
        }
    };
    match phase {
        Phase::Began => {
            release.began = release.began.min(at);
            release.begin_told = true;
        }
        Phase::Ended => release.ended = release.ended.or(Some(at)),
        Phase::Failed => release.failed = release.failed.or(Some(at)),
    }
}

/// What an event says of which release; `None` where it is no step of one.
fn step(event: &ServiceEvent) -> Option<(What, String, Phase)> {
    let detail = event.raw.get("detail").unwrap_or(&Value::Null);
    let text = |value: &Value, name: &str| field(value, name).and_then(scalar).unwrap_or_default();
    match event.kind.as_str() {
        "ECS Deployment State Change" => {
            let arn = event.raw.pointer("/resources/0").and_then(Value::as_str)?;
            let (_, path) = arn.split_once(":service/")?;
            let phase = match text(detail, "eventName").as_str() {
                "SERVICE_DEPLOYMENT_IN_PROGRESS" => Phase::Began,
                "SERVICE_DEPLOYMENT_COMPLETED" => Phase::Ended,
                "SERVICE_DEPLOYMENT_FAILED" => Phase::Failed,
                _ => return None,
            };
            Some((What::Containers(path.to_owned()), text(detail, "deploymentId"), phase))
        }
        "CodeDeploy Deployment State-change Notification" => {
            // Its own notifications carry no envelope and other names.
            let (told, application, group, state) = if detail.is_null() {
                (&event.raw, "applicationName", "deploymentGroupName", "status")
            } else {
                (detail, "application", "deploymentGroup", "state")
            };
            let phase = match text(told, state).as_str() {
                "START" | "CREATED" | "READY" | "INPROGRESS" => Phase::Began,
                "SUCCESS" | "SUCCEEDED" => Phase::Ended,
                "FAILURE" | "FAILED" | "STOP" | "STOPPED" => Phase::Failed,
                _ => return None,
            };
            let what = What::CodeDeploy(text(told, application), text(told, group));
            Some((what, text(told, "deploymentId"), phase))
        }
        "Parameter Store Change" => {
            let changes = matches!(text(detail, "operation").as_str(), "Create" | "Update" | "Delete");
            changes.then(|| (What::Parameter(text(detail, "name")), event.id.clone(), Phase::Began))
        }
        kind if kind.starts_with("On Deployment ") => {
            let path = |name: &str| {
                ["Application", "Environment", "ConfigurationProfile"]
                    .map(|part| text(detail.get(part).unwrap_or(&Value::Null), name))
                    .join("/")
            };
            let phase = match kind {
                "On Deployment Complete" => Phase::Ended,
                "On Deployment Rolled Back" => Phase::Failed,
                _ => Phase::Began,
            };
            Some((What::Configuration(path("Name"), path("Id")), text(detail, "DeploymentNumber"), phase))
        }
        _ => None,
    }
}

/// An event of a stack as EventBridge tells it.
fn stack_event(event: &ServiceEvent) -> Option<StackEvent> {
    let resource = match event.kind.as_str() {
        "CloudFormation Stack Status Change" => false,
        "CloudFormation Resource Status Change" => true,
        _ => return None,
    };
    let detail = event.raw.get("detail")?;
    let text = |name: &str| field(detail, name).and_then(scalar).unwrap_or_default();
    let id = text("stack-id");
    Some(StackEvent {
        id: event.id.clone(),
        stack: short_stack(&id).to_owned(),
        at: Some(event.at),
        logical_id: text("logical-resource-id"),
        physical_id: if resource { text("physical-resource-id") } else { id },
        kind: text("resource-type"),
        status: detail.get("status-details").and_then(|status| field(status, "status")).and_then(scalar)?,
    })
}

/// Operations of stacks: from the stack's own first event until its last.
fn operations<'e>(events: impl Iterator<Item = &'e StackEvent>) -> Vec<Release> {
    let mut by_stack: BTreeMap<&str, Vec<(Timestamp, &StackEvent)>> = BTreeMap::new();
    for event in events {
        if let Some(at) = event.at {
            by_stack.entry(&event.stack).or_default().push((at, event));
        }
    }
    let mut found = Vec::new();
    for (stack, mut events) in by_stack {
        events.sort_by_key(|(at, _)| *at);
        let mut open: Option<Release> = None;
        for (at, event) in events {
            let own = short_stack(&event.physical_id) == stack
                && (event.physical_id.contains(":stack/") || event.logical_id == stack);
            let status = event.status.as_str();
            let begins = matches!(status, "CREATE_IN_PROGRESS" | "UPDATE_IN_PROGRESS" | "DELETE_IN_PROGRESS");
            if own && begins && open.as_ref().is_none_or(|one| at.duration_since(one.began) > SAME) {
                found.extend(open.take());
                open = Some(Release {
                    what: What::Stack(stack.to_owned()),
                    id: event.id.clone(),
                    began: at,
                    begin_told: true,
                    ended: None,
                    failed: None,
                    takes_back: None,
                    touched: Vec::new(),
                    creator: None,
                });
                continue;
            }
            let Some(release) = &mut open else { continue };
            if !own {
                if !event.physical_id.is_empty() && !release.touched.contains(&event.physical_id) {
                    release.touched.push(event.physical_id.clone());
                }
            } else if status.ends_with("ROLLBACK_COMPLETE") || status == "ROLLBACK_COMPLETE" {
                release.failed = Some(at);
            } else if matches!(
                status,
                "CREATE_COMPLETE"
                    | "UPDATE_COMPLETE"
                    | "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"
                    | "DELETE_COMPLETE"
            ) {
                release.ended = release.ended.or(Some(at));
            }
        }
        found.extend(open);
    }
    found
}
