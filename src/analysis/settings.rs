//! Settings as the service's own lines show them: fields whose value moved with a change.
//!
//! AWS hides the values of environment variables from its records, and keeps none of `$LATEST`. A program
//! that logs `db_pool_size` tells both values all the same: what it was before the change took effect, and
//! what it has been since, by version where lines carry versions, else by time.
//!
//! The rule that is not obvious: only what the program alone can have written counts (a field is firm, see
//! [`Field::firm`](super::logs::line::Field)), and only what stands in nearly all lines of its time. A
//! measurement moves with every line, and what a visitor sends is a line in twenty at most or no setting
//! by its name.

use super::canary::version_of;
use super::keys::{self, Class, class};
use super::logs::LogSurvey;
use super::logs::claims;
use super::logs::values::{FewValues, Held, Value};
use super::{triggers, words};
use crate::domain::change::{Change, ChangeKind, Effect, FieldSays, KeyChange, LogField, Relation};
use crate::domain::evidence::{Evidence, FunctionVersion};

/// How long after a change took effect a program may go on with what it read before, in minutes:
/// parameters are kept for some minutes, tasks are replaced one by one.
const READ_WITHIN: i64 = 15;
/// Fewest lines that show that a value stays what it was.
const STAYS: u64 = 10;

/// A setting that a change left as it is, as far as anything shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub key: String,
    pub value: String,
}

/// A field whose values before and since are known.
struct Step {
    before: Option<(String, u64)>,
    after: (String, u64),
    /// The version that holds the new value, or the first period of it.
    place: Place,
}

#[derive(PartialEq, Eq, Clone, Copy)]
enum Place {
    Version(usize),
    Period(usize),
}

/// Adds to the changes what the log fields show of them.
pub fn complete(changes: &mut [Change], logs: &LogSurvey, evidence: &Evidence) {
    let mut found: Vec<Vec<(String, Step)>> = Vec::with_capacity(changes.len());
    for change in changes.iter() {
        let steps = if acts(change) {
            fields(logs).filter_map(|(name, few)| Some((name.to_owned(), step(few, change, logs)?))).collect()
        } else {
            Vec::new()
        };
        found.push(steps);
    }
    // A field that belongs to a key of some change is no other change's.
    let claimed: Vec<Vec<(String, Option<usize>)>> = changes
        .iter()
        .zip(&found)
        .map(|(change, steps)| steps.iter().map(|(name, _)| (name.clone(), key_of(change, name))).collect())
        .collect();
    for (at, steps) in found.iter().enumerate() {
        for (name, step) in steps {
            let mine = key_of(&changes[at], name);
            if let Some(key) = mine {
                tell(&mut changes[at], key, name, step);
                continue;
            }
            let others = || claimed.iter().zip(&found).enumerate().filter(|(other, _)| *other != at);
            let anothers = others().any(|(_, (claims, steps))| {
                claims.iter().zip(steps).any(|((other, key), (_, theirs))| {
                    other == name && (key.is_some() || theirs.place == step.place && theirs.moved())
                })
            });
            if !step.moved() || anothers {
                continue;
            }
            if let Some(key) = variable(&changes[at], evidence, name, step) {
                add(&mut changes[at], &key, name, step);
            } else if hides(&changes[at], evidence) && is_setting(name, step) {
                add(&mut changes[at], name, name, step);
            }
        }
    }
}

impl Step {
    fn moved(&self) -> bool {
        self.before.as_ref().is_some_and(|(before, _)| *before != self.after.0)
    }
}

/// Firm fields of few values, in order of their names.
fn fields(logs: &LogSurvey) -> impl Iterator<Item = (&str, &FewValues)> {
    let numeric = logs.numeric.iter().map(|(name, field)| (name.as_str(), &field.few));
    let choices = logs.choices.iter().map(|(name, few)| (name.as_str(), few));
    let mut all: Vec<(&str, &FewValues)> = numeric
        .chain(choices)
        .filter(|(_, few)| !few.loose && !few.crowded && !few.held.is_empty())
        .collect();
    all.sort_by_key(|(name, _)| *name);
    all.into_iter()
}

/// Whether a change can show in the lines of this service.
fn acts(change: &Change) -> bool {
    matches!(change.relation, Relation::Own | Relation::Shared)
        && matches!(change.effect, Effect::Took { .. })
        && !change.no_op
        // A secret's value is none to show.
        && change.kind != ChangeKind::Secret
}

fn step(few: &FewValues, change: &Change, logs: &LogSurvey) -> Option<Step> {
    let Effect::Took { from, until } = &change.effect else { return None };
    let told = |(value, lines): (&Value, u64)| (value.text(), lines);
    if let Some(new) = version_of(change, from.as_second(), logs) {
        let of = |held: &Held, version: usize| u64::from(held.versions.get(version).copied().unwrap_or(0));
        let after = few.settled(|held| of(held, new))?;
        let others = |held: &Held| held.versions.iter().copied().map(u64::from).sum::<u64>() - of(held, new);
        let before = few.settled(others);
        if before.is_none() && few.held.iter().any(|held| others(held) > 0) {
            return None;
        }
        return Some(Step { before: before.map(told), after: told(after), place: Place::Version(new) });
    }
    if change.share < 0.995 {
        // Of two versions in the same minutes nothing tells whose line is whose.
        return None;
    }
    let grid = logs.grid;
    let begin = grid.index(*from)?;
    let done = grid.index(*until).unwrap_or(begin);
    let end = change.undone_at.and_then(|at| grid.index(at)).unwrap_or(grid.len);
    let lines = |held: &Held, from: usize, to: usize| -> u64 {
        held.periods.get(from.min(to)..to).unwrap_or_default().iter().copied().map(u64::from).sum()
    };
    let before = few.settled(|held| lines(held, 0, begin));
    if before.is_none() && few.held.iter().any(|held| lines(held, 0, begin) > 0) {
        return None;
    }
    let latest = (done + 1 + grid.periods(READ_WITHIN)).min(end);
    // While it spreads both values stand; once it has, one does.
    let after = [latest, done + 1, begin]
        .into_iter()
        .find_map(|since| few.settled(|held| lines(held, since, end)))?;
    let place = match before {
        Some((value, _)) if value != after.0 => {
            let of = |wanted: &Value| few.held.iter().find(|held| held.value == *wanted);
            let place = boundary(of(value)?, of(after.0)?, end);
            if !(begin..=latest).contains(&place) {
                return None;
            }
            place
        }
        _ => begin,
    };
    Some(Step { before: before.map(told), after: told(after), place: Place::Period(place) })
}

/// The period from which on the new value stands, by the fewest lines on the wrong side; of several such
/// the last.
fn boundary(old: &Held, new: &Held, end: usize) -> usize {
    let count = |held: &Held, period: usize| held.periods.get(period).map_or(0, |count| i64::from(*count));
    let mut wrong: i64 = (0..end).map(|period| count(old, period)).sum();
    let (mut best, mut least) = (0, wrong);
    for period in 0..end {
        wrong += count(new, period) - count(old, period);
        if wrong <= least {
            (best, least) = (period + 1, wrong);
        }
    }
    best
}

/// The key that a field is named after: all telling words of one stand in the other.
fn key_of(change: &Change, field: &str) -> Option<usize> {
    let mine = telling(field);
    let mut best: Option<(usize, usize)> = None;
    for (index, key) in change.keys.iter().enumerate() {
        let theirs = telling(&key.key);
        let shared = mine.iter().filter(|word| theirs.contains(word)).count();
        let within = shared == mine.len() || shared == theirs.len();
        // One word in common is a coincidence, unless it is the whole of both.
        let enough = shared >= 2 || (shared == 1 && mine.len() == 1 && theirs.len() == 1);
        let run_together = plain(field) == plain(&key.key);
        if (within && enough || run_together) && best.is_none_or(|(_, most)| shared > most) {
            best = Some((index, shared));
        }
    }
    best.map(|(index, _)| index)
}

fn plain(name: &str) -> String {
    name.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// The words of a name without units, and of a path only the last parts.
fn telling(name: &str) -> Vec<String> {
    const UNITS: [&str; 12] =
        ["ms", "s", "sec", "secs", "second", "seconds", "mb", "mib", "kb", "bytes", "minutes", "percent"];
    let own = name.rsplit('/').next().unwrap_or(name);
    let mut words: Vec<String> = words::split(own)
        .into_iter()
        .filter(|word| !UNITS.contains(&word.as_str()))
        .map(|word| words::stem(&word).to_owned())
        .collect();
    words.sort();
    words.dedup();
    words
}

/// What a field shows of a key that the change is known to have set.
fn tell(change: &mut Change, index: usize, field: &str, step: &Step) {
    let Some(key) = change.keys.get_mut(index) else { return };
    let lines = (step.before.as_ref().map_or(0, |(_, lines)| *lines), step.after.1);
    let told =
        |key: &KeyChange, says| LogField { key: key.key.clone(), field: field.to_owned(), lines, says };
    let agrees = |known: &Option<String>, shown: &str| known.as_ref().is_none_or(|known| same(known, shown));
    let before = step.before.as_ref().map(|(value, _)| value.as_str());
    if let (Some(was), Some(is), Some(before)) = (&key.before, &key.after, before)
        && !step.moved()
        && same(was, before)
        && !same(is, before)
        && step.after.1 >= STAYS
    {
        let stays = told(key, FieldSays::Stays);
        change.shown.push(stays);
        return;
    }
    let fits = agrees(&key.after, &step.after.0) && before.is_none_or(|before| agrees(&key.before, before));
    if !fits || (before.is_some() && !step.moved()) {
        return;
    }
    let alone = key.before.is_none() && before.is_some() || key.after.is_none();
    if !alone && before.is_none() {
        // It says what is known, and of the change nothing.
        return;
    }
    let shown = told(key, if alone { FieldSays::Alone } else { FieldSays::Agrees });
    if key.after.is_none() {
        key.after = Some(step.after.0.clone());
    }
    if key.before.is_none() {
        key.before = before.map(str::to_owned);
    }
    change.shown.push(shown);
}

/// Whether two spellings are one value: `30s` and `30000`, `True` and `true`.
fn same(one: &str, other: &str) -> bool {
    match (keys::number(one), keys::number(other)) {
        (Some(a), Some(b)) => (a - b).abs() <= 1e-9 * a.abs().max(b.abs()),
        _ => one.trim().eq_ignore_ascii_case(other.trim()),
    }
}

/// Adds a key of which nothing but the field tells what it was.
fn add(change: &mut Change, key: &str, field: &str, step: &Step) {
    let Some((before, lines)) = &step.before else { return };
    change.keys.push(KeyChange {
        key: key.to_owned(),
        before: Some(before.clone()),
        after: Some(step.after.0.clone()),
    });
    change.shown.push(LogField {
        key: key.to_owned(),
        field: field.to_owned(),
        lines: (*lines, step.after.1),
        says: FieldSays::Alone,
    });
}

/// The versions of a function that were read.
fn versions<'e>(change: &Change, evidence: &'e Evidence) -> impl Iterator<Item = &'e FunctionVersion> {
    let history = evidence.functions.get(&change.resource);
    history.and_then(|history| history.versions.as_ref()).into_iter().flatten()
}

/// Whether what a function was before or since is not known, where its versions would tell.
fn forgets(change: &Change, evidence: &Evidence) -> bool {
    let read = |name: &Option<String>| {
        name.as_ref().is_some_and(|name| versions(change, evidence).any(|known| known.version == *name))
    };
    !(read(&change.from_version) && read(&change.to_version))
}

/// The function's variable that a field is: AWS holds the value that the field has since, under the same name, and no
/// longer the one before. Whatever the name says, it is a setting.
fn variable(change: &Change, evidence: &Evidence, field: &str, step: &Step) -> Option<String> {
    let of_function =
        matches!(change.kind, ChangeKind::LambdaCode | ChangeKind::LambdaConfig | ChangeKind::LambdaAlias);
    if !of_function || !forgets(change, evidence) {
        return None;
    }
    let now = change.to_version.as_deref().unwrap_or("$LATEST");
    versions(change, evidence)
        .filter(|known| known.version == now)
        .flat_map(|known| &known.environment)
        .find(|(key, value)| plain(key) == plain(field) && same(value, &step.after.0))
        .map(|(key, _)| key.clone())
}

/// Whether the change may have set more than AWS shows.
fn hides(change: &Change, evidence: &Evidence) -> bool {
    match change.kind {
        ChangeKind::LambdaConfig | ChangeKind::LambdaAlias => forgets(change, evidence),
        ChangeKind::EcsDeployment => {
            let read = |name: &Option<String>| {
                name.as_ref().is_some_and(|name| {
                    evidence
                        .task_definitions
                        .iter()
                        .flatten()
                        .any(|known| format!("{}:{}", known.family, known.revision) == *name)
                })
            };
            change.from_version != change.to_version
                && !(read(&change.from_version) && read(&change.to_version))
        }
        ChangeKind::Appconfig => change.keys.is_empty(),
        _ => false,
    }
}

/// Whether a field is a setting by its name and values: nothing that is measured, and nothing that
/// callers choose.
fn is_setting(name: &str, step: &Step) -> bool {
    const MEASURED: [&str; 40] = [
        "active",
        "age",
        "attempt",
        "available",
        "breaker",
        "busy",
        "circuit",
        "code",
        "current",
        "depth",
        "duration",
        "elapsed",
        "error",
        "failure",
        "free",
        "health",
        "hits",
        "id",
        "idle",
        "latency",
        "lag",
        "left",
        "load",
        "misses",
        "open",
        "pending",
        "position",
        "queued",
        "ratio",
        "remaining",
        "result",
        "retried",
        "state",
        "status",
        "took",
        "usage",
        "used",
        "waited",
        "waiting",
        "size_bytes",
    ];
    let Some((before, _)) = &step.before else { return false };
    let words = words::split(name);
    let limit = words.iter().any(|word| matches!(word.as_str(), "max" | "min" | "limit" | "maximum"));
    let measured = words.iter().any(|word| MEASURED.contains(&word.as_str())) && !limit;
    let class = class(name, Some(before), Some(&step.after.0));
    let governs = matches!(
        class,
        Class::Timeout
            | Class::Capacity
            | Class::Memory
            | Class::RateLimit
            | Class::Concurrency
            | Class::Retry
            | Class::Batch
            | Class::CacheLife
            | Class::Flag
            | Class::Place
            | Class::Contract
            | Class::Fault
    );
    // A level that was nothing is one that is counted.
    let counted = class == Class::Capacity && keys::number(before) == Some(0.0);
    governs
        && !measured
        && !counted
        && !triggers::is_of_the_caller(name)
        && !super::logs::survey::is_version_field(name)
        && !claims::is_deployment_hint(name)
}

/// Settings that stand beside what a change set: of the version that it brought, and of its lines.
pub fn standing(change: &Change, logs: Option<&LogSurvey>, evidence: &Evidence) -> Vec<Standing> {
    let mut found: Vec<Standing> = Vec::new();
    let changed =
        |name: &str| change.keys.iter().any(|key| key.key == name) || key_of(change, name).is_some();
    let to = change.to_version.as_deref();
    let versions = evidence.functions.get(&change.resource).and_then(|history| history.versions.as_ref());
    let of_function = versions
        .into_iter()
        .flatten()
        .filter(|version| Some(version.version.as_str()) == to)
        .flat_map(|version| &version.environment);
    let of_tasks = evidence
        .task_definitions
        .iter()
        .flatten()
        .filter(|known| Some(format!("{}:{}", known.family, known.revision).as_str()) == to)
        .flat_map(|known| known.containers.iter().flat_map(|container| &container.environment));
    for (key, value) in of_function.chain(of_tasks) {
        if !changed(key) {
            found.push(Standing { key: key.clone(), value: value.clone() });
        }
    }
    if matches!(change.relation, Relation::Own | Relation::Shared)
        && let Some(logs) = logs
    {
        for (name, few) in fields(logs) {
            let all = |held: &Held| held.periods.iter().copied().map(u64::from).sum();
            if let Some((value, _)) = few.settled(all)
                && !changed(name)
                && !found.iter().any(|known| plain(&known.key) == plain(name))
            {
                found.push(Standing { key: name.to_owned(), value: value.text() });
            }
        }
    }
    found
}
