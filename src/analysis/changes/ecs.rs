//! ECS: deployments of a service and the task-definition revisions between which they move it.
//!
//! The rule that is not obvious: what changed is what differs between the revision that the service
//! ran and the one that it was moved to, not between two neighbouring revisions; and a rollout takes
//! effect from its deployment's creation until the service is steady again.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::call::{Call, field, scalar};
use super::difference::{between, is_label};
use super::{DEPLOYMENT_GAP, World, draft, event_ids, of_call};
use crate::domain::change::{Change, ChangeKind, Effect, KeyChange};
use crate::domain::evidence::{EcsDeployment, EcsService, TaskDefinition};
use crate::domain::rollback::{RollbackTarget, short_arn};
use crate::domain::snapshot;

/// A rollout that no deployment and no event tells the end of is taken to end within this time.
const ROLLOUT: SignedDuration = SignedDuration::from_mins(5);

pub(super) fn changes(world: &World<'_>) -> Vec<Change> {
    let registered: Vec<Call<'_>> = world
        .calls
        .iter()
        .filter(|call| call.service == "ecs" && call.verb == "RegisterTaskDefinition")
        .copied()
        .collect();
    let mut moves =
        world.by_resource("ecs", &["CreateService", "UpdateService", "DeleteService"], service_of);
    for service in &world.evidence.ecs_services {
        moves.entry(format!("{}/{}", service.cluster, service.name)).or_default();
    }
    let mut by_definition: Registrations<'_> = BTreeMap::new();
    for call in registered.iter().filter(|call| !call.failed()) {
        if let Some(name) = definition_of(call) {
            by_definition.entry(name).or_default().push(*call);
        }
    }
    let mut used = BTreeSet::new();
    let mut found = Vec::new();
    for (resource, calls) in &moves {
        let service = Service::new(world, resource, &by_definition);
        found.extend(service.changes(calls, &mut used));
    }
    found.extend(registered.iter().filter(|call| !used.contains(&call.record.event_id)).map(|call| {
        let name = definition_of(call).unwrap_or_else(|| call.text(&["family"]).unwrap_or_default());
        let mut change = of_call(ChangeKind::EcsDeployment, name.clone(), call);
        if !call.failed() {
            change.effect =
                Effect::None { reason: format!("{name} was registered, and no service was moved to it") };
            change.undo = Err("it never reached traffic".to_owned());
        }
        change.relation = world.owners.of_service(name.split(':').next().unwrap_or(&name));
        change.to_version = Some(name);
        change
    }));
    found
}

fn service_of(call: &Call<'_>) -> Option<String> {
    let service = call.text(&["service", "serviceName"])?;
    let cluster = call.text(&["cluster"]).unwrap_or_else(|| "default".to_owned());
    Some(format!("{}/{}", short_arn(&cluster), short_arn(&service)))
}

/// `family:revision` that a registration made.
fn definition_of(call: &Call<'_>) -> Option<String> {
    let definition = field(call.response(), "taskDefinition")?;
    let family = field(definition, "family").and_then(scalar)?;
    let revision = field(definition, "revision").and_then(scalar)?;
    Some(format!("{family}:{revision}"))
}

/// The registration of a revision, without the ARN before it.
fn short(definition: &str) -> String {
    short_arn(definition).to_owned()
}

/// Calls that registered a revision, in order of time, by `family:revision`.
type Registrations<'a> = BTreeMap<String, Vec<Call<'a>>>;

struct Service<'w, 'a> {
    world: &'w World<'a>,
    resource: &'w str,
    name: &'w str,
    known: Option<&'a EcsService>,
    registered: &'w Registrations<'a>,
}

impl<'w, 'a> Service<'w, 'a> {
    fn cluster(&self) -> &'w str {
        self.resource.split_once('/').map_or("", |(cluster, _)| cluster)
    }

    fn new(world: &'w World<'a>, resource: &'w str, registered: &'w Registrations<'a>) -> Self {
        let name = resource.split_once('/').map_or(resource, |(_, name)| name);
        let known = world.evidence.ecs_services.iter().find(|service| {
            resource.split_once('/') == Some((service.cluster.as_str(), service.name.as_str()))
        });
        Self { world, resource, name, known, registered }
    }

    fn changes(&self, calls: &[Call<'a>], used: &mut BTreeSet<String>) -> Vec<Change> {
        let mut found: Vec<Change> = Vec::new();
        let mut running: Option<String> = None;
        let mut desired: Option<String> = None;
        for (at, call) in calls.iter().enumerate() {
            if call.failed() {
                found.push(of_call(ChangeKind::EcsDeployment, self.resource.to_owned(), call));
                continue;
            }
            let next = calls.get(at + 1..).unwrap_or_default().iter().find(|call| !call.failed());
            let until = next.map(|call| call.record.at);
            let mut change = of_call(ChangeKind::EcsDeployment, self.resource.to_owned(), call);
            let to = call
                .text(&["taskDefinition"])
                .map(|asked| short(&asked))
                .map(|asked| Self::with_revision(asked, call))
                .or_else(|| {
                    let service = field(call.response(), "service")?;
                    field(service, "taskDefinition").and_then(scalar).map(|arn| short(&arn))
                });
            let asked = call.text(&["desiredCount"]);
            if desired.is_none() && asked.is_some() {
                desired = self.recorded_tasks(call.record.at);
            }
            if let Some(after) = &asked
                && desired.as_ref() != Some(after)
                && (desired.is_some() || call.text(&["taskDefinition"]).is_none())
            {
                change.keys.push(KeyChange {
                    key: "desiredCount".to_owned(),
                    before: desired.clone(),
                    after: Some(after.clone()),
                });
            }
            let from = running.clone().or_else(|| self.before(to.as_deref(), call.record.at));
            let forced = call.text(&["forceNewDeployment"]).as_deref() == Some("true");
            let moved = call.text(&["taskDefinition"]).is_some() && to != from;
            if moved || forced || call.verb != "UpdateService" {
                self.rollout(to.as_deref(), call.record.at, until, &mut change);
            }
            if let Some(to) = to.as_deref().filter(|_| moved)
                && let Some(registration) = self.registration(to, call)
            {
                change.event_ids = event_ids([call, &registration]);
                change.at = registration.record.at.min(change.at);
                used.insert(registration.record.event_id.clone());
            }
            if moved {
                self.compare(from.as_deref(), to.as_deref(), &mut change);
            } else {
                // The same revision again, or only another number of tasks.
                change.no_op = !forced
                    && call.verb == "UpdateService"
                    && asked.is_some()
                    && asked == desired
                    && change.keys.is_empty();
                change.undo = Err(if forced {
                    "the same revision was started again: there is no other one to go back to".to_owned()
                } else {
                    match change.keys.iter().find(|key| key.key == "desiredCount").and_then(|key| key.before.as_deref()) {
                        Some(before) => format!("set the number of tasks back to {before} by hand, after a look at autoscaling"),
                        None => "set the number of tasks back by hand; the record does not tell the earlier number".to_owned(),
                    }
                });
            }
            // Without a move the service runs what it ran: no other revision is named.
            change.from_version = if moved { from } else { to.clone() };
            change.to_version.clone_from(&to);
            if moved {
                change.undo = self.undo(&change);
            }
            running = to.or(running);
            desired = asked.or(desired);
            found.push(change);
        }
        found.extend(self.unrecorded(&found));
        for change in &mut found {
            change.relation = self.world.owners.of_container(self.cluster(), self.name);
        }
        found
    }

    /// How many tasks the bot saw that the service should have, before a call.
    fn recorded_tasks(&self, at: Timestamp) -> Option<String> {
        let (cluster, service) = self.resource.split_once('/')?;
        let resource = snapshot::service(cluster, service);
        let (old, _) = snapshot::around(&self.world.evidence.snapshots, &resource, (None, at, None))?;
        old.values.get(snapshot::DESIRED)?.shown().map(str::to_owned)
    }

    /// `family` alone means its newest revision at that time.
    fn with_revision(asked: String, call: &Call<'_>) -> String {
        if asked.contains(':') {
            return asked;
        }
        field(call.response(), "service")
            .and_then(|service| field(service, "taskDefinition"))
            .and_then(scalar)
            .map(|arn| short(&arn))
            .filter(|named| named.contains(':'))
            .unwrap_or(asked)
    }

    /// The revision that the service ran before, where no earlier call tells: that of an older
    /// deployment, else the revision before this one.
    fn before(&self, to: Option<&str>, at: Timestamp) -> Option<String> {
        let older = self
            .known
            .iter()
            .flat_map(|service| &service.deployments)
            .filter(|deployment| deployment.created_at.is_some_and(|created| created < at))
            .filter(|deployment| to != Some(short_arn(&deployment.task_definition)))
            .max_by_key(|deployment| deployment.created_at);
        if let Some(deployment) = older {
            return Some(short(&deployment.task_definition));
        }
        let (family, revision) = to?.rsplit_once(':')?;
        let revision: i64 = revision.parse().ok()?;
        self.world
            .definitions
            .range(format!("{family}:")..format!("{family};"))
            .map(|(_, definition)| *definition)
            .filter(|definition| definition.family == family && definition.revision < revision)
            .max_by_key(|definition| definition.revision)
            .map(|definition| format!("{family}:{}", definition.revision))
    }

    fn registration(&self, to: &str, call: &Call<'a>) -> Option<Call<'a>> {
        let made = self.registered.get(to)?;
        let before = made.partition_point(|registration| registration.record.at <= call.record.at);
        let last = before.checked_sub(1).and_then(|last| made.get(last))?;
        // One that was registered days before is no part of this deployment, but says who made it.
        (call.record.at.duration_since(last.record.at) <= DEPLOYMENT_GAP * 4).then_some(*last)
    }

    /// From when until when a rollout took effect.
    fn rollout(&self, to: Option<&str>, asked: Timestamp, next: Option<Timestamp>, change: &mut Change) {
        let deployment = self
            .known
            .iter()
            .flat_map(|service| &service.deployments)
            .filter(|deployment| to.is_none_or(|to| short_arn(&deployment.task_definition) == to))
            .filter(|deployment| {
                deployment.created_at.is_some_and(|created| {
                    let after = created.duration_since(asked);
                    after >= SignedDuration::from_secs(-60) && after <= DEPLOYMENT_GAP
                })
            })
            .min_by_key(|deployment| deployment.created_at);
        let from = deployment.and_then(|deployment| deployment.created_at).unwrap_or(asked).max(asked);
        let until = self.settled(from, deployment, next);
        change.effect = Effect::Took { from, until };
        change.undone_at = if deployment.is_some_and(|deployment| deployment.rollout_state == "FAILED") {
            deployment.and_then(|deployment| deployment.updated_at)
        } else {
            self.given_up(from, next)
        };
    }

    /// When the scheduler itself took a rollout back: its circuit breaker leaves nothing but an event, and
    /// the failed deployment disappears from the list.
    fn given_up(&self, from: Timestamp, next: Option<Timestamp>) -> Option<Timestamp> {
        let until = next.unwrap_or(self.world.now);
        self.known
            .iter()
            .flat_map(|service| &service.events)
            .filter(|(at, _)| *at > from && *at <= until)
            .find(|(_, message)| message.contains("rolling back to deployment"))
            .map(|(at, _)| *at)
    }

    /// When the service was steady after `from`.
    fn settled(
        &self,
        from: Timestamp,
        deployment: Option<&EcsDeployment>,
        next: Option<Timestamp>,
    ) -> Timestamp {
        let event = self.known.iter().flat_map(|service| &service.events).find(|(at, message)| {
            *at > from && (message.contains("deployment completed") || message.contains("steady state"))
        });
        let going_on = deployment.is_some_and(|deployment| deployment.rollout_state == "IN_PROGRESS");
        let end = match event {
            Some((at, _)) => *at,
            None if going_on => self.world.now,
            None => deployment
                .and_then(|deployment| deployment.updated_at)
                .or_else(|| from.checked_add(ROLLOUT).ok())
                .unwrap_or(from),
        };
        end.min(next.unwrap_or(end)).min(self.world.now).max(from)
    }

    fn compare(&self, from: Option<&str>, to: Option<&str>, change: &mut Change) {
        let definitions = &self.world.definitions;
        let (before, after) =
            (from.and_then(|from| definitions.get(from)), to.and_then(|to| definitions.get(to)));
        let (Some(before), Some(after)) = (before, after) else {
            return;
        };
        let (keys, image) = differences(before, after);
        change.keys.extend(keys);
        change.code_changed = image;
        change.no_op = !image && change.keys.iter().all(|key| is_label(&key.key));
    }

    /// Deployments that no call tells of.
    fn unrecorded(&self, found: &[Change]) -> Vec<Change> {
        let Some(service) = self.known else { return Vec::new() };
        let told = |deployment: &EcsDeployment| {
            found.iter().any(|change| {
                change.to_version.as_deref() == Some(short_arn(&deployment.task_definition))
                    && matches!(change.effect, Effect::Took { from, .. }
                        if deployment.created_at.is_some_and(|at| at.duration_since(from).abs() <= DEPLOYMENT_GAP))
            })
        };
        service
            .deployments
            .iter()
            .filter(|deployment| !told(deployment))
            .filter_map(|deployment| {
                let at = deployment.created_at?;
                let to = short(&deployment.task_definition);
                let mut change = draft(ChangeKind::EcsDeployment, self.resource.to_owned(), at);
                change.id = format!("{}:{}", self.resource, to);
                let until = self.settled(at, Some(deployment), None);
                change.effect = Effect::Took { from: at, until };
                if deployment.rollout_state == "FAILED" {
                    change.undone_at = deployment.updated_at;
                }
                let running = found
                    .iter()
                    .filter(|change| change.at < at && matches!(change.effect, Effect::Took { .. }))
                    .max_by_key(|change| change.at)
                    .and_then(|change| change.to_version.clone());
                let from = running.or_else(|| self.before(Some(&to), at)).filter(|from| *from != to);
                self.compare(from.as_deref(), Some(&to), &mut change);
                change.actor = self.world.definitions.get(&to).and_then(|definition| {
                    let arn = definition.registered_by.clone();
                    (!arn.is_empty()).then(|| crate::domain::evidence::Actor {
                        name: short_arn(&arn).to_owned(),
                        arn,
                        automation: false,
                    })
                });
                change.from_version = from;
                change.to_version = Some(to);
                change.undo = self.undo(&change);
                Some(change)
            })
            .collect()
    }

    fn undo(&self, change: &Change) -> Result<RollbackTarget, String> {
        if change.no_op {
            return Err("it changed nothing but labels".to_owned());
        }
        let (Some(from), Some(to)) = (&change.from_version, &change.to_version) else {
            return Err("nothing shows which revision ran before".to_owned());
        };
        let Some(service) = self.known else {
            return Err("the service's present state could not be read".to_owned());
        };
        let now = short_arn(&service.task_definition);
        if now != to {
            return Err(format!("the service has moved on to {now}"));
        }
        let Some(before) = self.world.definitions.get(from) else {
            return Err(format!("revision {from} could not be read"));
        };
        if before.status != "ACTIVE" {
            return Err(format!("revision {from} is {} and cannot be started", before.status));
        }
        Ok(RollbackTarget::EcsService {
            cluster: service.cluster.clone(),
            service: service.name.clone(),
            from_task_definition: service.task_definition.clone(),
            to_task_definition: before.arn.clone(),
            deployment: None,
            primary: None,
        })
    }
}

/// All that a revision says of what runs.
pub(super) fn content(definition: &TaskDefinition) -> Vec<(String, String)> {
    let mut content: Vec<(String, String)> = steering(definition).into_iter().collect();
    for container in &definition.containers {
        content.push((format!("{} image", container.name), container.image.clone()));
        for map in [&container.environment, &container.secrets, &container.settings] {
            content.extend(map.iter().map(|(key, value)| (key.clone(), value.clone())));
        }
    }
    content
}

/// Every setting of a revision under a name of its own: those of the first container by theirs, of others behind the
/// container's name.
pub(in crate::analysis) fn settings(definition: &TaskDefinition) -> BTreeMap<String, String> {
    let mut found = steering(definition);
    for (place, container) in definition.containers.iter().enumerate() {
        let name = |key: &str| if place == 0 { key.to_owned() } else { format!("{}.{key}", container.name) };
        found.insert(name("image"), container.image.clone());
        for map in [&container.environment, &container.secrets, &container.settings] {
            found.extend(map.iter().map(|(key, value)| (name(key), value.clone())));
        }
    }
    found
}

/// The settings of a task as a whole.
fn steering(definition: &TaskDefinition) -> BTreeMap<String, String> {
    const NOT_SETTINGS: &[&str] = &["deregisteredAt", "compatibilities", "requiresAttributes", "tags"];
    let mut settings: BTreeMap<String, String> = definition
        .settings
        .iter()
        .filter(|(key, _)| !NOT_SETTINGS.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    settings.insert("cpu".to_owned(), definition.cpu.clone());
    settings.insert("memory".to_owned(), definition.memory.clone());
    settings
}

/// Keys that differ between two revisions, and whether an image does. A key of a container other than
/// the first goes by the container's name too where both have it.
fn differences(before: &TaskDefinition, after: &TaskDefinition) -> (Vec<KeyChange>, bool) {
    let mut image = false;
    let mut keys = Vec::new();
    for container in &after.containers {
        let Some(old) = before.containers.iter().find(|old| old.name == container.name) else {
            image = true;
            continue;
        };
        image |= old.image != container.image;
        keys.extend(between(&old.environment, &container.environment));
        keys.extend(between(&old.secrets, &container.secrets));
        keys.extend(between(&old.settings, &container.settings));
    }
    image |= before.containers.iter().any(|old| after.containers.iter().all(|new| new.name != old.name));
    keys.extend(between(&steering(before), &steering(after)));
    let mut seen = Vec::new();
    keys.retain(|key| {
        let new = !seen.contains(key);
        seen.push(key.clone());
        new
    });
    (keys, image)
}
