//! SSM parameters: each version against the one before it.
//!
//! The rule that is not obvious: CloudTrail hides every value, so old and new come from the
//! parameter's history, joined by the version that the call answered with.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;

use super::call::{Call, field, scalar};
use super::{World, draft, event_ids, of_call};
use crate::domain::change::{Change, ChangeKind, KeyChange};
use crate::domain::evidence::{Actor, ParameterVersion};
use crate::domain::rollback::{RollbackTarget, short_arn};

pub(super) const VERBS: &[&str] = &[
    "PutParameter",
    "DeleteParameter",
    "DeleteParameters",
    "LabelParameterVersion",
    "UnlabelParameterVersion",
];

/// A call and the version that it made differ by no more than this.
const SAME: SignedDuration = SignedDuration::from_secs(30);

pub(super) fn changes(world: &World<'_>) -> Vec<Change> {
    let mut histories: BTreeMap<&str, Vec<&ParameterVersion>> = BTreeMap::new();
    for version in world.evidence.parameters.iter().flatten() {
        histories.entry(&version.name).or_default().push(version);
    }
    for versions in histories.values_mut() {
        versions.sort_by_key(|version| (version.version, version.modified_at));
        versions.dedup_by_key(|version| version.version);
    }
    let mut told: BTreeSet<(&str, i64)> = BTreeSet::new();
    let mut found = Vec::new();
    for call in world.calls.iter().filter(|call| call.service == "ssm" && VERBS.contains(&call.verb)) {
        for name in names(call) {
            let history = histories.get_key_value(name.as_str());
            let made = history.and_then(|(_, history)| made_by(world, call, history));
            if let (Some((name, _)), Some(made)) = (history, made) {
                told.insert((name, made.version));
            }
            found.push(called(world, call, &name, made, history.map(|(_, history)| history.as_slice())));
        }
    }
    for (name, history) in &histories {
        for version in history {
            if !told.contains(&(*name, version.version))
                && let Some(change) = unrecorded(world, version, history)
            {
                found.push(change);
            }
        }
    }
    found
}

/// The parameters that a call names; one without a name where it names none.
fn names(call: &Call<'_>) -> Vec<String> {
    // One call only takes several.
    let several = call.field(&["names"]).filter(|_| call.verb == "DeleteParameters");
    let list = several.and_then(serde_json::Value::as_array);
    let mut names: Vec<String> = list.into_iter().flatten().filter_map(scalar).collect();
    if names.is_empty() {
        names.push(
            call.text(&["name"]).map_or_else(|| "a parameter".to_owned(), |name| path(&name).to_owned()),
        );
    }
    names
}

/// A parameter's path, also of its ARN.
fn path(name: &str) -> &str {
    if name.starts_with("arn:") { name.split_once(":parameter").map_or(name, |(_, path)| path) } else { name }
}

/// The version that a call made: by the number that it answered with; by its time, where the history does not hold that
/// number and no other call answered with the one that it holds.
fn made_by<'v>(
    world: &World<'_>,
    call: &Call<'_>,
    history: &[&'v ParameterVersion],
) -> Option<&'v ParameterVersion> {
    if call.failed() || call.verb != "PutParameter" {
        return None;
    }
    let number = |call: &Call<'_>| -> Option<i64> {
        field(call.response(), "version").and_then(scalar).and_then(|text| text.parse().ok())
    };
    let answered = number(call);
    let claimed = |version: &ParameterVersion| {
        world.calls.iter().any(|other| {
            other.verb == "PutParameter"
                && number(other) == Some(version.version)
                && names(other).contains(&version.name)
        })
    };
    let near = |version: &&&ParameterVersion| {
        version.modified_at.is_some_and(|at| at.duration_since(call.record.at).abs() <= SAME)
            && !claimed(version)
    };
    let numbered = |version: &&&ParameterVersion| answered == Some(version.version);
    history.iter().find(numbered).or_else(|| history.iter().find(near)).copied()
}

fn called(
    world: &World<'_>,
    call: &Call<'_>,
    name: &str,
    made: Option<&ParameterVersion>,
    history: Option<&[&ParameterVersion]>,
) -> Change {
    let mut change = of_call(ChangeKind::SsmParameter, name.to_owned(), call);
    change.relation = world.owners.of_resource(&[name]);
    if call.failed() {
        return change;
    }
    match call.verb {
        "LabelParameterVersion" | "UnlabelParameterVersion" => {
            change.no_op = true;
            change.undo = Err("only a label moved".to_owned());
            return change;
        }
        "DeleteParameter" | "DeleteParameters" => {
            let last = history.and_then(|history| history.last());
            change.keys = vec![KeyChange {
                key: name.to_owned(),
                before: last.and_then(|last| last.value.clone()),
                after: None,
            }];
            change.undo = Err("the parameter was deleted, and its type and policies with it".to_owned());
            return change;
        }
        _ => {}
    }
    if let (Some(made), Some(history)) = (made, history) {
        values(&mut change, made, history);
    } else {
        change.keys = vec![KeyChange { key: name.to_owned(), before: None, after: call.text(&["value"]) }];
        change.undo = Err("the parameter's history could not be read".to_owned());
    }
    change
}

/// A version that no call tells of.
fn unrecorded(
    world: &World<'_>,
    version: &ParameterVersion,
    history: &[&ParameterVersion],
) -> Option<Change> {
    let at = version.modified_at?;
    let mut change = draft(ChangeKind::SsmParameter, version.name.clone(), at);
    change.id = format!("{}:{}", version.name, version.version);
    change.event_ids = event_ids([]);
    change.relation = world.owners.of_resource(&[&version.name]);
    change.actor = (!version.modified_by.is_empty()).then(|| {
        let name = version
            .modified_by
            .split_once(":assumed-role/")
            .map_or_else(|| short_arn(&version.modified_by).to_owned(), |(_, name)| name.to_owned());
        // The history names the role and not how it was assumed: nobody is taken for a machine by that.
        Actor { arn: version.modified_by.clone(), name, automation: false }
    });
    values(&mut change, version, history);
    Some(change)
}

fn values(change: &mut Change, made: &ParameterVersion, history: &[&ParameterVersion]) {
    let before = history.iter().rev().find(|version| version.version < made.version);
    let (old, new) = (before.and_then(|before| before.value.clone()), made.value.clone());
    change.no_op = old.is_some() && old == new;
    change.from_version = before.map(|before| before.version.to_string());
    change.to_version = Some(made.version.to_string());
    let newest = history.last().is_none_or(|last| last.version == made.version);
    change.undo = match (&old, before) {
        _ if change.no_op => Err("it changed nothing: the value is the same".to_owned()),
        _ if !newest => Err("the parameter was changed again since".to_owned()),
        (_, None) => Err("it is the first version that is known".to_owned()),
        (None, Some(_)) => Err("the value is secret, and the one before it is not known".to_owned()),
        (Some(old), Some(_)) => Ok(RollbackTarget::SsmParameter {
            name: made.name.clone(),
            from_version: made.version,
            from_value: new.clone(),
            to_value: old.clone(),
        }),
    };
    if !change.no_op {
        change.keys = vec![KeyChange { key: made.name.clone(), before: old, after: new }];
    }
}
