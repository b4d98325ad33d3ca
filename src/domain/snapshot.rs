//! What a resource was configured like at a time, as the bot recorded it: the history of what AWS keeps none of.
//!
//! The rule that is not obvious: of a secret there is only a keyed hash. Whether it changed can be told, what it
//! is cannot, and a side that is secret is a value that nobody knows.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::change::KeyChange;
use super::evidence::{
    AppConfigDeployment, EcsService, Evidence, FunctionHistory, ParameterVersion, TaskDefinition,
};

/// Keys of what has no name of its own in AWS's answers to a look.
pub const LIMIT: &str = "ReservedConcurrentExecutions";
pub const UNRESERVED: &str = "unreserved";
pub const DESIRED: &str = "desiredCount";

/// A configuration that is asked for is read within so long of it: what is seen later than this after a call is
/// what the call left.
const SETTLED: SignedDuration = SignedDuration::from_secs(60);

/// What is configured now, as AWS tells it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Present {
    pub functions: BTreeMap<String, FunctionHistory>,
    /// Reserved concurrency by function; `None` where a function has none.
    pub limits: BTreeMap<String, Option<i64>>,
    pub ecs_services: Vec<EcsService>,
    pub task_definitions: Vec<TaskDefinition>,
    pub parameters: Vec<ParameterVersion>,
    /// Deployments of AppConfig; those that were completed are in force until the next of their profile is.
    pub configurations: Vec<AppConfigDeployment>,
}

impl Present {
    /// The service's own part of what an investigation read.
    pub fn of(evidence: &Evidence) -> Self {
        let own = &evidence.scope.resources;
        let functions = evidence.functions.iter().filter(|(name, _)| own.lambda.contains(name));
        let services = evidence.ecs_services.iter().filter(|service| {
            own.ecs.iter().any(|one| one.cluster == service.cluster && one.service == service.name)
        });
        // What it calls has configurations too; an application of its own is configured, or called as it is.
        let service = &evidence.scope.service;
        let deployed = evidence.appconfig.iter().flatten();
        let deployed =
            deployed.filter(|one| own.appconfig.contains(&one.application) || one.application == *service);
        Self {
            functions: functions.map(|(name, history)| (name.clone(), history.clone())).collect(),
            limits: BTreeMap::new(),
            ecs_services: services.cloned().collect(),
            task_definitions: evidence.task_definitions.clone().unwrap_or_default(),
            parameters: evidence.parameters.clone().unwrap_or_default(),
            configurations: deployed.cloned().collect(),
        }
    }
}

/// One state of one part of a resource, and when it was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// `lambda/checkout/environment`, `ecs/prod/checkout`, `ssm/checkout/limit`, `appconfig/shop/prod/flags`, as the functions
    /// below name them.
    pub resource: String,
    /// When it was first and last seen so.
    pub first_at: Timestamp,
    pub last_at: Timestamp,
    pub values: BTreeMap<String, Recorded>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Recorded {
    Plain(String),
    /// A secret, as a keyed hash.
    Secret {
        hash: String,
    },
}

impl Recorded {
    pub fn shown(&self) -> Option<&str> {
        match self {
            Self::Plain(value) => Some(value),
            Self::Secret { .. } => None,
        }
    }
}

/// The variables of a function's `$LATEST`.
pub fn environment(function: &str) -> String {
    format!("lambda/{function}/environment")
}

/// Everything else of a function's `$LATEST`, its code's hash among it.
pub fn settings(function: &str) -> String {
    format!("lambda/{function}/settings")
}

/// A function's reserved concurrency.
pub fn concurrency(function: &str) -> String {
    format!("lambda/{function}/concurrency")
}

pub fn alias(function: &str, alias: &str) -> String {
    format!("lambda/{function}/alias/{alias}")
}

/// A container service: its revision and number of tasks.
pub fn service(cluster: &str, service: &str) -> String {
    format!("ecs/{cluster}/{service}")
}

/// The task definition that a container service runs.
pub fn tasks(cluster: &str, service: &str) -> String {
    format!("ecs/{cluster}/{service}/tasks")
}

pub fn parameter(name: &str) -> String {
    format!("ssm/{}", name.trim_start_matches('/'))
}

/// What AppConfig serves of a profile in an environment: the version, and the content's values where it is known.
pub fn configuration(deployment: &AppConfigDeployment) -> String {
    format!("appconfig/{}/{}/{}", deployment.application, deployment.environment, deployment.profile)
}

/// What was seen of a resource last before a call at `at`, and first after it.
///
/// `since` is the call before this one, `until` the one after it: what was seen beyond them is the state of
/// another time. `None` where one of both was not seen.
pub fn around<'s>(
    snapshots: &'s [Snapshot],
    resource: &str,
    (since, at, until): (Option<Timestamp>, Timestamp, Option<Timestamp>),
) -> Option<(&'s Snapshot, &'s Snapshot)> {
    let of = || snapshots.iter().filter(|snapshot| snapshot.resource == resource);
    let before = of().filter(|snapshot| snapshot.first_at <= at).max_by_key(|snapshot| snapshot.first_at)?;
    if since.is_some_and(|since| before.last_at < since) {
        return None;
    }
    if before.last_at.duration_since(at) > SETTLED {
        return Some((before, before));
    }
    let after = of().filter(|snapshot| snapshot.first_at > at).min_by_key(|snapshot| snapshot.first_at)?;
    until.is_none_or(|until| after.first_at <= until).then_some((before, after))
}

/// The keys that differ, in order of their names.
pub fn between(before: &BTreeMap<String, Recorded>, after: &BTreeMap<String, Recorded>) -> Vec<KeyChange> {
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let shown = |side: &BTreeMap<String, Recorded>, key: &str| {
        side.get(key).and_then(Recorded::shown).map(str::to_owned)
    };
    keys.into_iter()
        .filter(|key| before.get(*key) != after.get(*key))
        .map(|key| KeyChange { key: key.clone(), before: shown(before, key), after: shown(after, key) })
        .collect()
}

/// One resource at two times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    pub resource: String,
    /// When the earlier and the later state were last and first seen; `None` where it was not recorded by then.
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    pub keys: Vec<KeyDifference>,
}

/// One key at two times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyDifference {
    pub key: String,
    /// Absent where it was not set, or is secret.
    pub before: Option<String>,
    pub after: Option<String>,
    /// It differs, and one side is a secret of which only that is known.
    pub secret: bool,
}

/// What differs between two times, resource by resource. What was first recorded in between is told as such,
/// without keys: nothing shows what it was before.
pub fn differences(snapshots: &[Snapshot], from: Timestamp, to: Timestamp) -> Vec<Difference> {
    let resources: BTreeSet<&str> = snapshots.iter().map(|snapshot| snapshot.resource.as_str()).collect();
    let seen = |resource: &str, at: Timestamp| {
        let of = snapshots.iter().filter(|one| one.resource == resource && one.first_at <= at);
        of.max_by_key(|snapshot| snapshot.first_at)
    };
    let compare = |resource: &str| {
        let after = seen(resource, to)?;
        let Some(before) = seen(resource, from) else {
            let resource = resource.to_owned();
            return Some(Difference { resource, from: None, to: Some(after.first_at), keys: Vec::new() });
        };
        let is_secret = |key: &str| {
            [before, after].iter().any(|one| matches!(one.values.get(key), Some(Recorded::Secret { .. })))
        };
        let keys: Vec<KeyDifference> = between(&before.values, &after.values)
            .into_iter()
            .map(|KeyChange { key, before, after }| {
                let secret = is_secret(&key);
                KeyDifference { key, before, after, secret }
            })
            .collect();
        (!keys.is_empty()).then(|| Difference {
            resource: resource.to_owned(),
            from: Some(before.last_at),
            to: Some(after.first_at),
            keys,
        })
    };
    resources.into_iter().filter_map(compare).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(time: &str) -> Timestamp {
        format!("2026-02-06T{time}:00Z").parse().unwrap()
    }

    fn seen(first: &str, last: &str, pool: &str) -> Snapshot {
        let secret = Recorded::Secret { hash: format!("hash of {pool}") };
        let values = [("POOL".to_owned(), Recorded::Plain(pool.to_owned())), ("PASSWORD".to_owned(), secret)];
        Snapshot {
            resource: environment("checkout"),
            first_at: at(first),
            last_at: at(last),
            values: values.into(),
        }
    }

    #[test]
    fn a_call_is_between_what_was_seen_before_it_and_what_was_seen_first_after_it() {
        let seen = [seen("09:00", "11:50", "10"), seen("12:05", "12:20", "5"), seen("12:30", "12:40", "7")];
        let name = environment("checkout");
        let pools = |times| {
            around(&seen, &name, times).map(|(before, after)| {
                [before, after].map(|one| one.values["POOL"].shown().unwrap_or_default().to_owned())
            })
        };
        assert_eq!(pools((None, at("12:00"), None)), Some(["10".to_owned(), "5".to_owned()]));
        // Another call came between what was seen and this one, on either side.
        assert_eq!(pools((Some(at("11:55")), at("12:00"), None)), None);
        assert_eq!(pools((None, at("12:00"), Some(at("12:02")))), None);
        // It was seen unchanged after the call: the call changed nothing of it.
        assert_eq!(pools((None, at("11:00"), None)), Some(["10".to_owned(), "10".to_owned()]));
        assert_eq!(pools((None, at("08:00"), None)), None);
    }

    #[test]
    fn a_secret_that_changed_is_told_without_its_value() {
        let seen = [seen("09:00", "11:50", "10"), seen("12:05", "12:20", "5")];
        let [difference] = &differences(&seen, at("10:00"), at("12:10"))[..] else { panic!() };
        assert_eq!((difference.from, difference.to), (Some(at("11:50")), Some(at("12:05"))));
        let told: Vec<_> =
            difference.keys.iter().map(|key| (key.key.as_str(), key.before.as_deref(), key.secret)).collect();
        assert_eq!(told, [("PASSWORD", None, true), ("POOL", Some("10"), false)]);
        assert_eq!(differences(&seen, at("12:06"), at("12:10")), []);
        // Nothing was recorded at the earlier time: no value is made up for it.
        assert_eq!(differences(&seen, at("08:00"), at("12:10"))[0].keys, []);
    }
}
