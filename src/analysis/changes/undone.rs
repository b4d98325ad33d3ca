//! Which changes were taken back again, and which change took them back.
//!
//! The rule that is not obvious: going back two versions undoes everything in between, so a change
//! that returns to an earlier state undoes all that came after that state.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;

use super::difference::is_label;
use super::{ecs, lambda};
use crate::domain::change::{Change, ChangeKind, Effect, KeyChange};
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

    /// What a version of a resource is the same as: the first version with its content.
    fn state<'s>(&'s self, resource: &str, version: &'s str) -> &'s str {
        let family = version.rsplit_once(':').map_or(resource, |(family, _)| family);
        self.first.get(&(family.to_owned(), version.to_owned())).map_or(version, String::as_str)
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
        let mut earlier = Earlier::default();
        // Those that nothing took back yet and that took nothing back, by their place.
        let mut standing: Vec<(usize, usize)> = Vec::new();
        for (place, at) in line.iter().enumerate() {
            let Some(back) = changes.get(*at) else { continue };
            let (when, id) = (effective(back), back.id.clone());
            if let Some(returned) = earlier.state_before(back, &states) {
                let mut nearest = None;
                while let Some((_, before)) = standing.pop_if(|(place, _)| *place >= returned) {
                    if let Some(before) = changes.get_mut(before) {
                        before.undone_at = Some(when);
                        nearest.get_or_insert_with(|| before.id.clone());
                    }
                }
                if let Some(nearest) = nearest
                    && nearest != id
                    && let Some(back) = changes.get_mut(*at)
                {
                    back.undoes = Some(nearest);
                }
            }
            if let Some(change) = changes.get(*at) {
                earlier.learn(place, change, &states);
                if change.undone_at.is_none() && change.undoes.is_none() {
                    standing.push((place, *at));
                }
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

fn effective(change: &Change) -> Timestamp {
    match change.effect {
        Effect::Took { from, .. } => from,
        Effect::None { .. } => change.at,
    }
}

/// Keys with their values, in order.
type Values = Vec<(String, Option<String>, Option<String>)>;

/// The changes of one resource that came before, by what going back to the state before each would
/// look like. A look-up takes the same time however many they are.
#[derive(Default)]
struct Earlier {
    /// By the version that ran before them.
    by_version: HashMap<String, Vec<Place>>,
    /// Those of which that is not known, by their keys turned round.
    by_values: HashMap<Values, Vec<Place>>,
    /// The same of those with a known version, which count where `back` tells none.
    versioned_by_values: HashMap<Values, Vec<Place>>,
    /// Limits of which nothing shows what was before.
    limits: Vec<Place>,
}

#[derive(Clone, Copy)]
struct Place {
    place: usize,
    asked: Timestamp,
}

/// The last of them that was asked for no later.
fn last_before(places: Option<&Vec<Place>>, asked: Timestamp) -> Option<usize> {
    places?.iter().rev().find(|known| known.asked <= asked).map(|known| known.place)
}

impl Earlier {
    fn learn(&mut self, place: usize, change: &Change, states: &States) {
        let known = Place { place, asked: change.at };
        // Versions of parameters only count upwards: their values tell.
        let version = change.from_version.as_deref().filter(|_| is_versioned(change));
        if let Some(version) = version {
            let state = states.state(&change.resource, version).to_owned();
            self.by_version.entry(state).or_default().push(known);
        }
        if change.kind == ChangeKind::LambdaConcurrency
            && let [key] = change.keys.as_slice()
            && key.before.is_none()
        {
            self.limits.push(known);
        }
        // A change of nothing, or one of which nothing is known, is not turned round by anything.
        let tells = |key: &KeyChange| key.before != key.after;
        if !change.keys.is_empty() && !change.code_changed && change.keys.iter().all(tells) {
            let turned =
                change.keys.iter().map(|key| (key.key.clone(), key.after.clone(), key.before.clone()));
            let by_values =
                if version.is_some() { &mut self.versioned_by_values } else { &mut self.by_values };
            by_values.entry(sorted(turned)).or_default().push(known);
        }
    }

    /// The place of the nearest change to whose state before it `back` returns.
    fn state_before(&self, back: &Change, states: &States) -> Option<usize> {
        let to = back
            .to_version
            .as_deref()
            .filter(|to| is_versioned(back) && back.from_version.is_some() && *to != "$LATEST");
        let returned =
            to.and_then(|to| last_before(self.by_version.get(states.state(&back.resource, to)), back.at));
        // Taking a limit away takes back whatever limit there was, also where nothing shows what was before it.
        let freed = matches!(back.keys.as_slice(), [key] if key.after.as_deref() == Some("unreserved"))
            && back.kind == ChangeKind::LambdaConcurrency;
        let limited = freed.then(|| last_before(Some(&self.limits), back.at)).flatten();
        let (mut told, mut versioned) = (None, None);
        if !back.keys.is_empty() && !back.code_changed {
            let values =
                sorted(back.keys.iter().map(|key| (key.key.clone(), key.before.clone(), key.after.clone())));
            told = last_before(self.by_values.get(&values), back.at);
            // Where both tell their versions, these decide.
            versioned =
                to.is_none().then(|| last_before(self.versioned_by_values.get(&values), back.at)).flatten();
        }
        [returned, limited, told, versioned].into_iter().flatten().max()
    }
}

fn is_versioned(change: &Change) -> bool {
    matches!(family(&change.kind), "function" | "deployment")
}

fn sorted(values: impl Iterator<Item = (String, Option<String>, Option<String>)>) -> Values {
    let mut values: Values = values.collect();
    values.sort();
    values
}
