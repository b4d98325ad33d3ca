//! Lambda: code, configuration, versions, aliases and reserved concurrency.
//!
//! The rule that is not obvious: where an alias serves, changing `$LATEST` reaches nobody until a
//! version is published and the alias moves. Where no alias exists, `$LATEST` serves and the call acts
//! at once, but then AWS keeps no earlier state, and old values are known only if something shows them.

mod group;
mod limits;
mod past;
mod serving;
mod undo;

use std::collections::{BTreeMap, HashMap};

use jiff::{SignedDuration, Timestamp};

use self::group::{Group, Move};
use self::past::{Future, Past, Publications};
use super::call::{Call, field, function_name, scalar, settings};
use super::difference::{between, is_label};
use super::{World, actor, draft, event_ids, of_call};
use crate::domain::change::{Change, ChangeKind, Effect, KeyChange};
use crate::domain::evidence::{FunctionAlias, FunctionHistory, FunctionVersion};
use crate::domain::snapshot::{self, Recorded, Snapshot};

pub(super) const DEPLOYING: &[&str] = &[
    "CreateFunction",
    "UpdateFunctionCode",
    "UpdateFunctionConfiguration",
    "PublishVersion",
    "CreateAlias",
    "UpdateAlias",
];
pub(super) const LIMITING: &[&str] = &["PutFunctionConcurrency", "DeleteFunctionConcurrency"];

/// A call and the time that AWS notes for what it changed differ by no more than this.
const NEAR: SignedDuration = SignedDuration::from_mins(2);
/// Deployments of one function that may be under way at once.
const INTERLEAVED: usize = 3;
/// A share of traffic below this goes unnoticed in a service's own figures.
const NOTICEABLE: f64 = 0.1;

/// Settings that change with every deployment and steer nothing.
const NOT_SETTINGS: &[&str] = &[
    "CodeSize",
    "LastUpdateStatus",
    "LastUpdateStatusReason",
    "State",
    "StateReason",
    "StateReasonCode",
    "LastUpdateStatusReasonCode",
    "MasterArn",
    "SigningJobArn",
    "SigningProfileVersionArn",
];

/// What a request holds besides settings.
const NOT_REQUESTED_SETTINGS: &[&str] = &[
    "functionName",
    "environment",
    "description",
    "revisionId",
    "dryRun",
    "publish",
    "zipFile",
    "s3Bucket",
    "s3Key",
    "s3ObjectVersion",
    "imageUri",
    "codeSha256",
    "code",
    "tags",
];

pub(super) fn function_of(call: &Call<'_>) -> Option<String> {
    let name = call.text(&["functionName"])?;
    Some(function_name(&name).to_owned()).filter(|name| !name.is_empty())
}

pub(super) fn changes(world: &World<'_>) -> Vec<Change> {
    let mut deploying = world.by_resource("lambda", DEPLOYING, function_of);
    for name in world.evidence.functions.keys() {
        deploying.entry(name.clone()).or_default();
    }
    let mut found = Vec::new();
    for (name, calls) in &deploying {
        found.extend(Function::new(world, name, calls).changes());
    }
    for (name, calls) in world.by_resource("lambda", LIMITING, function_of) {
        found.extend(limits::changes(world, &name, &calls));
    }
    found
}

/// One function with all that is known of it.
struct Function<'w, 'a> {
    world: &'w World<'a>,
    name: &'w str,
    calls: &'w [Call<'a>],
    versions: HashMap<&'a str, &'a FunctionVersion>,
    publications: Publications<'a>,
    history: Option<&'a FunctionHistory>,
    written: Option<&'w BTreeMap<&'a str, super::Written>>,
    /// Whether traffic goes through an alias.
    aliased: bool,
}

impl<'w, 'a> Function<'w, 'a> {
    fn new(world: &'w World<'a>, name: &'w str, calls: &'w [Call<'a>]) -> Self {
        let history = world.evidence.functions.get(name);
        let named = history
            .and_then(|history| {
                history.versions.iter().flatten().find(|version| version.version == "$LATEST")
            })
            .and_then(|latest| latest.settings.get("LoggingConfig.LogGroup"));
        let group = named.cloned().unwrap_or_else(|| format!("/aws/lambda/{name}"));
        let written = world.written.get(group.as_str());
        let moved =
            calls.iter().any(|call| matches!(call.verb, "CreateAlias" | "UpdateAlias") && !call.failed());
        let listed = history.and_then(|history| history.aliases.as_ref());
        let aliased = moved
            || match listed {
                // An alias may point to `$LATEST`, and then each change of that serves at once.
                Some(aliases) => aliases.iter().any(|alias| alias.version != "$LATEST"),
                // Without a list of aliases, the log streams tell which version serves.
                None => written.is_some_and(|written| {
                    !written.contains_key("$LATEST") && written.keys().any(|version| is_number(version))
                }),
            };
        let versions = || history.into_iter().flat_map(|history| history.versions.iter().flatten());
        let mut by_name: HashMap<&str, &FunctionVersion> = HashMap::new();
        for version in versions() {
            by_name.entry(&version.version).or_insert(version);
        }
        let publications = Publications::new(versions());
        Self { world, name, calls, versions: by_name, publications, history, written, aliased }
    }

    fn changes(&self) -> Vec<Change> {
        let mut found: Vec<Change> = self
            .calls
            .iter()
            .filter(|call| call.failed() || call.text(&["dryRun"]).as_deref() == Some("true"))
            .map(|call| {
                let mut change = of_call(kind_of(call), self.name.to_owned(), call);
                if !call.failed() {
                    change.effect = Effect::None { reason: "the call was a dry run".to_owned() };
                }
                change
            })
            .collect();
        let groups = self.groups();
        let future = Future::new(&groups);
        let mut past = Past::default();
        // By deployment: the package that ran before it.
        let mut packages: Vec<Option<String>> = Vec::with_capacity(groups.len());
        for (at, group) in groups.iter().enumerate() {
            let first = group.calls.first().map(|call| call.record.at);
            packages.push(first.and_then(|first| self.state_before(&past, first).sha.map(str::to_owned)));
            found.extend(self.deployment(group, &past, (&future, at)));
            past.learn(group);
        }
        self.mark_code_put_back(&groups, &packages, &mut found);
        for change in self.unrecorded(&groups, &found) {
            self.add_unrecorded(change, &mut found);
        }
        for change in &mut found {
            change.relation = self.world.owners.of_service(self.name);
        }
        found
    }

    fn groups(&self) -> Vec<Group<'a>> {
        let mut groups: Vec<Group<'a>> = Vec::new();
        for call in self.calls {
            if call.failed() || call.text(&["dryRun"]).as_deref() == Some("true") {
                continue;
            }
            let moved = Move::of(call, groups.last());
            // Two pipelines may work on one function at once, their calls between each other's.
            let recent = groups.len().saturating_sub(INTERLEAVED);
            let open = [true, false].into_iter().find_map(|by_caller| {
                groups.iter().skip(recent).rposition(|group| group.takes(call, moved.as_ref(), by_caller))
            });
            let at = open.map_or(groups.len(), |open| recent + open);
            if at == groups.len() {
                groups.push(Group::default());
            }
            if let Some(group) = groups.get_mut(at) {
                group.calls.push(*call);
                group.moves.extend(moved);
            }
        }
        groups
    }

    /// `later` is what comes after, with this deployment's own place.
    fn deployment(&self, group: &Group<'a>, past: &Past, later: (&Future, usize)) -> Option<Change> {
        let last = group.calls.last()?;
        let first = group.calls.first()?;
        // The call that put it into effect goes first.
        let effective = match group.moves.last() {
            Some(_) => group.calls.iter().find(|call| matches!(call.verb, "CreateAlias" | "UpdateAlias"))?,
            None => last,
        };
        let mut change = draft(ChangeKind::LambdaConfig, self.name.to_owned(), first.record.at);
        change.event_ids = event_ids(std::iter::once(effective).chain(&group.calls));
        change.id = change
            .event_ids
            .first()
            .cloned()
            .unwrap_or_else(|| format!("{}@{}", self.name, effective.record.at));
        change.actor = actor(effective);
        if group.calls.iter().all(|call| matches!(call.verb, "CreateAlias" | "UpdateAlias"))
            && group.moves.is_empty()
        {
            change.no_op = true;
            change.undo = Err("it changed nothing but labels".to_owned());
        } else if group.moves.is_empty() && self.aliased && self.latest_share() < NOTICEABLE {
            self.published_only(group, later, &mut change);
        } else if group.moves.is_empty() {
            self.latest(group, past, later, &mut change);
        } else {
            self.moved(group, past, &mut change);
        }
        change.kind = group.kind(&change);
        Some(change)
    }

    /// A deployment that moved an alias.
    fn moved(&self, group: &Group<'a>, past: &Past, change: &mut Change) {
        let (Some(start), Some(end)) = (group.moves.first(), group.moves.last()) else { return };
        let from =
            end.rest.clone().or_else(|| start.rest.clone()).or_else(|| match past.last_move(&end.alias) {
                Some(before) if before.target == end.target => before.rest.clone(),
                Some(before) => Some(before.target.clone()),
                None => self.served_before(&end.target, start.at),
            });
        let late = self.lateness(&end.target, group);
        let met = |at: Timestamp| at.saturating_sub(late).unwrap_or(at);
        change.effect = Effect::Took { from: met(start.at), until: met(end.at) };
        change.share = end.share;
        let same = group.moves.iter().filter(|moved| moved.alias == end.alias);
        change.steps = same.map(|moved| (met(moved.at), moved.share)).collect();
        let again = past.last_move(&end.alias).is_some_and(|before| {
            before.target == end.target && (before.share - end.share).abs() < f64::EPSILON
        });
        if again {
            change.no_op = true;
            change.to_version = Some(end.target.clone());
            change.undo = Err(format!("the alias {} pointed to version {} already", end.alias, end.target));
            return;
        }
        self.versions(from, end.target.clone(), group, change);
        change.undo = self.undo_alias(Some(&end.alias), change);
        if self.writes_nothing(end) {
            change.effect = Effect::None {
                reason: format!(
                    "version {} wrote no line after the alias {} moved to it: traffic goes elsewhere",
                    end.target, end.alias
                ),
            };
        }
    }

    /// A deployment that left the alias where it was, as far as CloudTrail tells.
    fn published_only(&self, group: &Group<'a>, (future, at): (&Future, usize), change: &mut Change) {
        let published = group.published();
        if let Some(target) = published.as_deref()
            && !future.is_moved_after(target, at)
            && let Some((alias, share)) = self.serving(target)
        {
            // The alias serves it: the call that moved it is late or lost, the publication is not.
            let (from, until) = self.seen_since(target, change.at);
            change.effect = Effect::Took { from, until };
            change.share = share;
            self.versions(self.served_before(target, from), target.to_owned(), group, change);
            change.undo = self.undo_alias(alias.as_deref(), change);
            return;
        }
        let serving = self
            .history
            .and_then(|history| history.aliases.as_ref())
            .and_then(|aliases| aliases.first())
            .map_or_else(
                || ", and traffic goes through an alias".to_owned(),
                |alias| format!(": the alias {} serves version {}", alias.name, alias.version),
            );
        let what = match published {
            Some(version) => format!("version {version} was published and no alias points to it"),
            None => "only $LATEST changed".to_owned(),
        };
        change.code_changed = group.verb("UpdateFunctionCode").is_some();
        change.effect = Effect::None { reason: format!("{what}{serving}") };
        change.undo = Err("it never reached traffic".to_owned());
    }

    /// A deployment to `$LATEST`, which serves.
    fn latest(&self, group: &Group<'a>, past: &Past, (future, at): (&Future, usize), change: &mut Change) {
        let acting: Vec<&Call<'a>> =
            group.calls.iter().filter(|call| call.verb != "PublishVersion").collect();
        let (Some(first), Some(last)) = (acting.first(), acting.last()) else {
            change.effect = Effect::None {
                reason: "a version was published, which moves no traffic by itself".to_owned(),
            };
            change.undo = Err("it never reached traffic".to_owned());
            return;
        };
        change.effect = Effect::Took { from: first.record.at, until: last.record.at };
        change.to_version = Some("$LATEST".to_owned());
        let before = self.state_before(past, first.record.at);
        let sha_after = acting.iter().rev().find_map(|call| response_text(call, "codeSha256"));
        change.code_changed = group.verb("UpdateFunctionCode").is_some()
            && (before.sha.is_none() || sha_after.is_none() || before.sha != sha_after.as_deref());
        let created = group.verb("CreateFunction").is_some();
        change.code_changed |= created;
        let asked = group.verb("UpdateFunctionConfiguration");
        let mut environment_known = true;
        if let Some(call) = asked {
            for (key, after) in settings(call.request(), NOT_REQUESTED_SETTINGS) {
                let earlier = before.settings.get(&key).cloned();
                let earlier = earlier.or_else(|| {
                    let (old, _) = self.recorded(&snapshot::settings(self.name), past, call, (future, at))?;
                    old.values.get(&key).and_then(Recorded::shown).map(str::to_owned)
                });
                if earlier.as_deref() != Some(after.as_str()) {
                    change.keys.push(KeyChange { key, before: earlier, after: Some(after) });
                }
            }
            if field(call.request(), "environment").is_some() {
                let again = future.is_configured_after(at);
                match (before.snapshot, self.version("$LATEST")) {
                    (Some(snapshot), Some(latest)) if !again && environment_readable(snapshot, latest) => {
                        let changed = between(&snapshot.environment, &latest.environment);
                        change.keys.extend(changed);
                        change.from_version = Some(snapshot.version.clone());
                        // Calls that CloudTrail does not reach back to may have come in between.
                        environment_known = self.world.reaches_back_to(snapshot.last_modified);
                    }
                    _ => {
                        let seen = self.recorded(&snapshot::environment(self.name), past, call, (future, at));
                        environment_known = seen.is_some_and(|(old, new)| self.as_recorded(old, new, change));
                    }
                }
            }
        }
        change.no_op = environment_known
            && !created
            && !change.code_changed
            && (before.sha.is_some() || group.verb("UpdateFunctionCode").is_none())
            && change.keys.iter().all(|key| is_label(&key.key));
        change.undo = self.undo_latest(change, future.is_configured_after(at), environment_known);
    }

    /// What the bot itself saw of a part of the function before and after a call.
    fn recorded(
        &self,
        resource: &str,
        past: &Past,
        call: &Call<'_>,
        (future, at): (&Future, usize),
    ) -> Option<(&'a Snapshot, &'a Snapshot)> {
        let times = (past.configured(), call.record.at, future.configured_after(at));
        snapshot::around(&self.world.evidence.snapshots, resource, times)
    }

    /// Takes the keys that differ between two states that were seen; false where that is not all that can be known: a
    /// secret changed, or calls may have come between what was seen and what CloudTrail reaches back to.
    fn as_recorded(&self, old: &Snapshot, new: &Snapshot, change: &mut Change) -> bool {
        let keys = snapshot::between(&old.values, &new.values);
        let is_secret = |key: &KeyChange| {
            [old, new].iter().any(|side| matches!(side.values.get(&key.key), Some(Recorded::Secret { .. })))
        };
        let plain = !keys.iter().any(is_secret);
        change.keys.extend(keys);
        plain && self.world.reaches_back_to(Some(old.last_at))
    }

    /// Where `$LATEST` serves, going back is deploying the earlier package again: its hash tells.
    fn mark_code_put_back(&self, groups: &[Group<'a>], packages: &[Option<String>], found: &mut [Change]) {
        if self.aliased {
            return;
        }
        let mut places: HashMap<String, usize> = HashMap::new();
        for (place, change) in found.iter().enumerate() {
            places.entry(change.id.clone()).or_insert(place);
        }
        let only_code = |group: &Group<'a>| group.verb("UpdateFunctionConfiguration").is_none();
        let sha_of = |group: &Group<'a>| {
            group.verb("UpdateFunctionCode").and_then(|call| response_text(call, "codeSha256"))
        };
        for (at, group) in groups.iter().enumerate() {
            let Some(sha) = sha_of(group).filter(|_| only_code(group)) else { continue };
            let Some(place) = at.checked_sub(1) else { continue };
            let Some(previous) = groups.get(place).filter(|previous| only_code(previous)) else { continue };
            let original = packages.get(place).cloned().flatten();
            if original.as_ref() != Some(&sha) || sha_of(previous) == Some(sha) {
                continue;
            }
            let id_of = |group: &Group<'a>| group.calls.last().map(|call| call.record.event_id.clone());
            let (bad, back) = (id_of(previous), id_of(group));
            let when = group.calls.first().map(|call| call.record.at);
            let place = |id: &Option<String>| id.as_ref().and_then(|id| places.get(id)).copied();
            let (undone, undoing) = (place(&bad), place(&back));
            if let Some(change) = undone.and_then(|place| found.get_mut(place)) {
                change.undone_at = when;
            }
            if let Some(change) =
                undoing.filter(|place| Some(*place) != undone).and_then(|place| found.get_mut(place))
            {
                change.undoes = bad;
            }
        }
    }

    /// Versions before and after, and what differs between them.
    fn versions(&self, from: Option<String>, to: String, group: &Group<'a>, change: &mut Change) {
        let (before, after) = (from.as_deref().and_then(|from| self.version(from)), self.version(&to));
        if let (Some(before), Some(after)) = (before, after) {
            change.keys = differences(before, after);
            change.code_changed = before.code_sha256 != after.code_sha256;
            change.no_op = !change.code_changed
                && environment_readable(before, after)
                && change.keys.iter().all(|key| is_label(&key.key));
        } else {
            change.code_changed = group.verb("UpdateFunctionCode").is_some();
            // What the call itself shows is better than nothing.
            if let Some(call) = group.verb("UpdateFunctionConfiguration") {
                change.keys = settings(call.request(), NOT_REQUESTED_SETTINGS)
                    .into_iter()
                    .map(|(key, after)| KeyChange { key, before: None, after: Some(after) })
                    .collect();
            }
        }
        change.from_version = from;
        change.to_version = Some(to);
    }

    fn version(&self, version: &str) -> Option<&'a FunctionVersion> {
        self.versions.get(version).copied()
    }
}

fn kind_of(call: &Call<'_>) -> ChangeKind {
    match call.verb {
        "UpdateFunctionConfiguration" => ChangeKind::LambdaConfig,
        "CreateAlias" | "UpdateAlias" => ChangeKind::LambdaAlias,
        _ => ChangeKind::LambdaCode,
    }
}

/// All that a version says of what runs.
pub(super) fn content(version: &FunctionVersion) -> Vec<(String, String)> {
    let mut content: Vec<(String, String)> = steering(version).into_iter().collect();
    content.extend(version.environment.iter().map(|(key, value)| (key.clone(), value.clone())));
    content.push(("code".to_owned(), version.code_sha256.clone()));
    content
}

/// The settings that steer how a version runs.
pub(in crate::analysis) fn steering(version: &FunctionVersion) -> BTreeMap<String, String> {
    version
        .settings
        .iter()
        .filter(|(key, _)| !NOT_SETTINGS.contains(&key.as_str()) && !key.starts_with("Environment."))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// Environment and settings that differ between two versions.
fn differences(before: &FunctionVersion, after: &FunctionVersion) -> Vec<KeyChange> {
    let mut keys = if environment_readable(before, after) {
        between(&before.environment, &after.environment)
    } else {
        Vec::new()
    };
    keys.extend(between(&steering(before), &steering(after)));
    keys
}

/// False where AWS could not decrypt one of the environments.
fn environment_readable(before: &FunctionVersion, after: &FunctionVersion) -> bool {
    ![before, after]
        .iter()
        .any(|version| version.settings.keys().any(|key| key.starts_with("Environment.Error")))
}

fn share(alias: &FunctionAlias, version: &str) -> Option<f64> {
    if let Some(weight) = alias.weights.get(version) {
        return Some(*weight);
    }
    (alias.version == version).then(|| (1.0 - alias.weights.values().sum::<f64>()).clamp(0.0, 1.0))
}

fn response_text(call: &Call<'_>, name: &str) -> Option<String> {
    field(call.response(), name).and_then(scalar)
}

fn number(version: &str) -> Option<u64> {
    version.parse().ok()
}

fn is_number(version: &str) -> bool {
    number(version).is_some()
}

fn near(one: Timestamp, other: Timestamp) -> bool {
    one.duration_since(other).abs() <= NEAR
}
