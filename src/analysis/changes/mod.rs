//! Everything that a bundle or a live reading shows as changed, one [`Change`] per real-world change.
//!
//! The rule that is not obvious: one deployment is several calls, and a call is not an effect. Calls
//! that belong together become one change; its effect is when traffic first met it, which may be
//! later than the last call, or never. What CloudTrail lacks is read off versions and histories.

mod appconfig;
mod call;
mod difference;
mod ecs;
mod kinds;
mod lambda;
mod network;
mod other;
mod parameters;
mod relation;
mod releases;
mod stack;
mod undone;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use self::call::Call;
pub(in crate::analysis) use self::difference::document;
pub(in crate::analysis) use self::ecs::settings as task_settings;
pub(in crate::analysis) use self::lambda::steering as function_settings;
pub(in crate::analysis) use self::network::{ALLOWED, DENIED};
pub(in crate::analysis) use self::other::{GRANTED, IN_PLACE};
use self::relation::Owners;
use crate::analysis::triggers::events;
use crate::domain::change::{Change, ChangeKind, Effect, Relation};
use crate::domain::evidence::{Actor, Evidence, TaskDefinition};
use crate::domain::trial::{Design, Trial};

/// Calls of one deployment follow one another within this time.
const DEPLOYMENT_GAP: SignedDuration = SignedDuration::from_mins(15);

/// All changes that the evidence shows, in order of the time they were asked for.
pub fn changes(evidence: &Evidence) -> Vec<Change> {
    let world = World::new(evidence);
    let mut found = lambda::changes(&world);
    found.extend(ecs::changes(&world));
    found.extend(parameters::changes(&world));
    found.extend(appconfig::changes(&world));
    found.extend(other::changes(&world));
    stack::join(&mut found, &world);
    releases::join(&mut found, &world);
    found.sort_by(|a, b| a.at.cmp(&b.at).then_with(|| a.id.cmp(&b.id)));
    name_apart(&mut found);
    undone::mark(&mut found, evidence);
    found
}

/// One call may change several resources: each change has an id of its own.
fn name_apart(changes: &mut [Change]) {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for change in changes {
        let count = seen.entry(change.id.clone()).or_insert(0);
        *count += 1;
        if *count > 1 {
            change.id = format!("{}#{count}", change.id);
        }
    }
}

/// The evidence, with what every source of changes needs to know of it.
struct World<'a> {
    evidence: &'a Evidence,
    now: Timestamp,
    /// Mutating calls in order of time.
    calls: Vec<Call<'a>>,
    /// The time of the oldest record.
    earliest: Option<Timestamp>,
    /// By AWS service: when something of it was restarted, in order.
    restarts: BTreeMap<&'a str, Vec<Timestamp>>,
    /// Task definitions by `family:revision`.
    definitions: BTreeMap<String, &'a TaskDefinition>,
    owners: Owners,
    /// By log group: the versions that wrote lines, with their first and last line and their number.
    written: BTreeMap<&'a str, BTreeMap<&'a str, Written>>,
}

/// What one version wrote into a log group.
#[derive(Debug, Clone, Copy)]
struct Written {
    first: Timestamp,
    last: Timestamp,
    lines: usize,
}

impl<'a> World<'a> {
    fn new(evidence: &'a Evidence) -> Self {
        let mut calls: Vec<Call<'a>> = evidence
            .trail
            .iter()
            .flatten()
            .filter(|record| !record.read_only && !events::is_of_the_provider(record))
            .map(Call::new)
            .filter(|call| !kinds::is_noise(call) && !evidence.trials.iter().any(|trial| is_of(trial, call)))
            .collect();
        calls.sort_by_key(|call| call.record.at);
        let earliest = evidence.trail.iter().flatten().map(|record| record.at).min();
        let mut restarts: BTreeMap<&str, Vec<Timestamp>> = BTreeMap::new();
        for call in &calls {
            if !call.failed() && (call.verb.starts_with("Reboot") || call.verb.starts_with("Failover")) {
                restarts.entry(call.service).or_default().push(call.record.at);
            }
        }
        let definitions = evidence
            .task_definitions
            .iter()
            .flatten()
            .map(|definition| (format!("{}:{}", definition.family, definition.revision), definition))
            .collect();
        let mut written: BTreeMap<&str, BTreeMap<&str, Written>> = BTreeMap::new();
        for event in evidence.logs.iter().flatten() {
            if let Some(version) = event.version() {
                let entry = written.entry(&event.group).or_default().entry(version).or_insert(Written {
                    first: event.at,
                    last: event.at,
                    lines: 0,
                });
                entry.lines += 1;
                entry.first = entry.first.min(event.at);
                entry.last = entry.last.max(event.at);
            }
        }
        Self {
            evidence,
            now: evidence.scope.now,
            calls,
            earliest,
            restarts,
            definitions,
            owners: Owners::new(evidence),
            written,
        }
    }

    /// Whether the records reach back to a time, so that what they do not show did not happen.
    fn reaches_back_to(&self, at: Option<Timestamp>) -> bool {
        matches!((self.earliest, at), (Some(earliest), Some(at)) if earliest <= at)
    }

    /// The first restart of something of an AWS service at a time or after it.
    fn restart_after(&self, service: &str, at: Timestamp) -> Option<Timestamp> {
        let restarts = self.restarts.get(service)?;
        restarts.get(restarts.partition_point(|restart| *restart < at)).copied()
    }

    /// Calls of one AWS service, by the name that `key` gives the resource of each.
    fn by_resource(
        &self,
        service: &str,
        verbs: &[&str],
        key: impl Fn(&Call<'a>) -> Option<String>,
    ) -> BTreeMap<String, Vec<Call<'a>>> {
        let mut grouped: BTreeMap<String, Vec<Call<'a>>> = BTreeMap::new();
        for call in &self.calls {
            if call.service == service
                && verbs.contains(&call.verb)
                && let Some(resource) = key(call)
            {
                grouped.entry(resource).or_default().push(*call);
            }
        }
        grouped
    }
}

/// Whether a call began or ended this test: by its time and by what it asked for. It changed nothing that lasts.
fn is_of(trial: &Trial, call: &Call<'_>) -> bool {
    /// A call leaves before its answer is noted; and clocks differ.
    const AROUND: SignedDuration = SignedDuration::from_mins(2);
    let Design { function, alias, current, earlier, .. } = &trial.design;
    let names = |names: &[&str], wanted: &str| {
        call.text(names).is_some_and(|text| call::function_name(&text) == wanted)
    };
    let weights =
        call.field(&["routingConfig"]).and_then(|routing| call::field(routing, "additionalVersionWeights"));
    let versions: Vec<&String> =
        weights.and_then(Value::as_object).into_iter().flat_map(serde_json::Map::keys).collect();
    let near = |at: Timestamp| call.record.at.duration_since(at).abs() <= AROUND;
    call.service == "lambda"
        && call.verb == "UpdateAlias"
        && names(&["functionName"], function)
        && names(&["name"], alias)
        && call.text(&["functionVersion"]).as_ref() == Some(current)
        && match versions.as_slice() {
            [] => near(trial.ended_at),
            [one] => *one == earlier && near(trial.begun_at),
            _ => false,
        }
}

/// A change of which nothing is known yet but what, where and when.
pub(in crate::analysis) fn draft(kind: ChangeKind, resource: String, at: Timestamp) -> Change {
    Change {
        id: String::new(),
        event_ids: Vec::new(),
        kind,
        resource,
        relation: Relation::Unconnected,
        actor: None,
        at,
        effect: Effect::Took { from: at, until: at },
        undone_at: None,
        undoes: None,
        keys: Vec::new(),
        shown: Vec::new(),
        code_changed: false,
        no_op: false,
        share: 1.0,
        steps: Vec::new(),
        from_version: None,
        to_version: None,
        undo: Err("nothing is known of the state before it".to_owned()),
    }
}

/// The same of one call, with its actor and its id; a failed call has no effect.
fn of_call(kind: ChangeKind, resource: String, call: &Call<'_>) -> Change {
    let record = call.record;
    let mut change = draft(kind, resource, record.at);
    change.id = if record.event_id.is_empty() {
        format!("{} {} {}", call.verb, change.resource, record.at)
    } else {
        record.event_id.clone()
    };
    change.event_ids = event_ids([call]);
    change.actor = actor(call);
    if let Some(code) = &record.error_code {
        change.effect = Effect::None { reason: format!("the call failed with {code}") };
        change.undo = Err("it never took effect".to_owned());
    }
    change
}

fn event_ids<'c>(calls: impl IntoIterator<Item = &'c Call<'c>>) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    for call in calls {
        let id = &call.record.event_id;
        if !id.is_empty() && !ids.contains(id) {
            ids.push(id.clone());
        }
    }
    ids
}

fn actor(call: &Call<'_>) -> Option<Actor> {
    Some(call.record.actor.clone()).filter(|actor| !actor.name.is_empty() || !actor.arn.is_empty())
}

#[cfg(test)]
mod tests;
