//! Which changes were taken back again, and which change took them back.
//!
//! The rule that is not obvious: going back two versions undoes everything in between, so a change
//! that returns to an earlier state undoes all that came after that state.

use std::collections::BTreeMap;

use super::difference::is_label;
use super::{ecs, lambda};
use crate::domain::change::{Change, ChangeKind, Effect};
use crate::domain::evidence::Evidence;

/// Which versions of a resource are the same in all but name: going back is often done by building the
/// earlier state again, under a new number.
struct States {
    /// By resource and version: the first version with the same content.
    first: BTreeMap<(String, String), String>,
}

impl States {
    fn new(evidence: &Evidence) -> Self {
        let mut states = Self { first: BTreeMap::new() };
        for (function, history) in &evidence.functions {
            let versions = history.versions.iter().flatten().filter(|version| version.version != "$LATEST");
            states.add(function, versions.map(|version| (version.version.clone(), lambda::content(version))));
        }
        for definition in evidence.task_definitions.iter().flatten() {
            let version = format!("{}:{}", definition.family, definition.revision);
            states.add(&definition.family, [(version, ecs::content(definition))]);
        }
        states
    }

    fn add(&mut self, resource: &str, versions: impl IntoIterator<Item = (String, Vec<(String, String)>)>) {
        for (version, mut content) in versions {
            content.retain(|(key, _)| !is_label(key));
            content.sort();
            // The content itself is a key of its own, which no version is called.
            let content = format!("{content:?}");
            let first =
                self.first.entry((resource.to_owned(), content)).or_insert_with(|| version.clone()).clone();
            self.first.insert((resource.to_owned(), version), first);
        }
    }

    fn same(&self, resource: &str, one: &str, other: &str) -> bool {
        let family =
            |version: &str| version.rsplit_once(':').map_or(resource, |(family, _)| family).to_owned();
        let first = |version: &str| self.first.get(&(family(version), version.to_owned()));
        one == other || (first(one).is_some() && first(one) == first(other))
    }
}

/// Marks, among changes in order of time, those that a later one takes back.
pub(super) fn mark(changes: &mut [Change], evidence: &Evidence) {
    let states = States::new(evidence);
    let mut by_resource: BTreeMap<(&'static str, String), Vec<usize>> = BTreeMap::new();
    for (at, change) in changes.iter().enumerate() {
        if matches!(change.effect, Effect::Took { .. }) && !change.no_op {
            by_resource.entry((family(&change.kind), change.resource.clone())).or_default().push(at);
        }
    }
    for line in by_resource.values_mut() {
        line.sort_by_key(|at| changes.get(*at).map(effective));
        for (place, at) in line.iter().enumerate() {
            let Some(back) = changes.get(*at) else { continue };
            let earlier = line.get(..place).unwrap_or_default();
            // The nearest state that this one returns to, seen backwards.
            let Some(returned) = earlier.iter().rposition(|before| {
                changes.get(*before).is_some_and(|before| returns(back, before, &states))
            }) else {
                continue;
            };
            let (when, id) = (effective(back), back.id.clone());
            let mut nearest = None;
            for before in earlier.get(returned..).unwrap_or_default() {
                if let Some(before) = changes.get_mut(*before)
                    && before.undone_at.is_none()
                    && before.undoes.is_none()
                {
                    before.undone_at = Some(when);
                    nearest = Some(before.id.clone());
                }
            }
            if let Some(nearest) = nearest
                && nearest != id
                && let Some(back) = changes.get_mut(*at)
            {
                back.undoes = Some(nearest);
            }
        }
    }
    for change in changes {
        if let Effect::None { reason } = &change.effect {
            if change.undo.is_ok() {
                change.undo = Err(format!("it never took effect: {reason}"));
            }
        } else if let Some(at) = change.undone_at {
            change.undo = Err(format!("it was already undone at {at}"));
        } else if change.undoes.is_some() {
            change.undo = Err("it is itself the undoing of an earlier change".to_owned());
        }
    }
}

/// Kinds that change the same thing of a resource.
fn family(kind: &ChangeKind) -> &'static str {
    match kind {
        ChangeKind::LambdaCode | ChangeKind::LambdaConfig | ChangeKind::LambdaAlias => "function",
        ChangeKind::LambdaConcurrency => "concurrency",
        ChangeKind::EcsDeployment => "deployment",
        ChangeKind::SsmParameter => "parameter",
        ChangeKind::Appconfig => "configuration",
        ChangeKind::SecurityGroup => "group",
        ChangeKind::DatabaseParameter => "database",
        _ => "other",
    }
}

fn effective(change: &Change) -> jiff::Timestamp {
    match change.effect {
        Effect::Took { from, .. } => from,
        Effect::None { .. } => change.at,
    }
}

/// Whether `back` returns to the state before `earlier`.
fn returns(back: &Change, earlier: &Change, states: &States) -> bool {
    if back.at < earlier.at {
        return false;
    }
    // Versions of parameters only count upwards: their values tell.
    let versioned = matches!(family(&back.kind), "function" | "deployment");
    if versioned
        && let (Some(to), Some(from)) = (&back.to_version, &earlier.from_version)
        && back.from_version.is_some()
        && to != "$LATEST"
    {
        return states.same(&back.resource, to, from);
    }
    // Taking a limit away takes back whatever limit there was, also where nothing shows what was before it.
    if back.kind == ChangeKind::LambdaConcurrency
        && let ([back], [earlier]) = (back.keys.as_slice(), earlier.keys.as_slice())
        && earlier.before.is_none()
        && back.after.as_deref() == Some("unreserved")
    {
        return true;
    }
    let told = !back.keys.is_empty() && back.keys.len() == earlier.keys.len();
    told && earlier.keys.iter().all(|key| {
        key.before != key.after
            && (key.before.is_some() || key.after.is_some())
            && back
                .keys
                .iter()
                .any(|other| other.key == key.key && other.before == key.after && other.after == key.before)
    }) && !back.code_changed
        && !earlier.code_changed
}
