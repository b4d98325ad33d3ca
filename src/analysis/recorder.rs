//! What is worth recording of a service's present configuration, with its secrets as keyed hashes.
//!
//! The rule that is not obvious: a value is secret where it would be masked for showing, by its key's name or by
//! its look. Only its hash leaves this function, so that no secret can reach the database.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use super::changes::{document, function_settings, task_settings};
use crate::domain::evidence::AppConfigDeployment;
use crate::domain::redact;
use crate::domain::snapshot::{self, Present, Recorded};

/// Bytes of a hash that are kept: enough to tell values of one key apart.
const HASH: usize = 16;
/// Bytes of a value that is kept as it is: as much as a parameter may hold. Of a whole file in AppConfig it is enough to
/// know that it changed.
const LONGEST: usize = 8 * 1024;

/// The states of everything that is configured now, by resource.
pub fn states(present: &Present, key: &[u8]) -> Vec<(String, BTreeMap<String, Recorded>)> {
    let mut found: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for (function, history) in &present.functions {
        let latest = history.versions.iter().flatten().find(|version| version.version == "$LATEST");
        if let Some(latest) = latest {
            // What AWS could not decrypt is not known to be empty.
            if !latest.settings.keys().any(|key| key.starts_with("Environment.Error")) {
                found.insert(snapshot::environment(function), latest.environment.clone());
            }
            let mut settings = function_settings(latest);
            settings.insert(CODE.to_owned(), latest.code_sha256.clone());
            found.insert(snapshot::settings(function), settings);
        }
        for alias in history.aliases.iter().flatten() {
            let mut values = BTreeMap::from([("FunctionVersion".to_owned(), alias.version.clone())]);
            values.extend(alias.weights.iter().map(|(version, weight)| {
                (format!("AdditionalVersionWeights.{version}"), weight.to_string())
            }));
            found.insert(snapshot::alias(function, &alias.name), values);
        }
    }
    for (function, limit) in &present.limits {
        let limit = limit.map_or_else(|| snapshot::UNRESERVED.to_owned(), |limit| limit.to_string());
        found.insert(snapshot::concurrency(function), [(snapshot::LIMIT.to_owned(), limit)].into());
    }
    for service in &present.ecs_services {
        let values = [
            ("taskDefinition".to_owned(), service.task_definition.clone()),
            (snapshot::DESIRED.to_owned(), service.desired.to_string()),
        ];
        found.insert(snapshot::service(&service.cluster, &service.name), values.into());
        let definition = present.task_definitions.iter().find(|one| one.arn == service.task_definition);
        if let Some(definition) = definition {
            found.insert(snapshot::tasks(&service.cluster, &service.name), task_settings(definition));
        }
    }
    // The newest version of each parameter; of a secret one AWS tells the number only.
    let mut newest: BTreeMap<&str, &crate::domain::evidence::ParameterVersion> = BTreeMap::new();
    for version in &present.parameters {
        let known = newest.entry(&version.name).or_insert(version);
        if known.version < version.version {
            *known = version;
        }
    }
    for (name, version) in newest {
        let (field, value) = match &version.value {
            Some(value) => (name, value.clone()),
            None => ("Version", version.version.to_string()),
        };
        found.insert(snapshot::parameter(name), [(field.to_owned(), value)].into());
    }
    // A deployment that goes on, or was rolled back, is not what is in force.
    let mut in_force: BTreeMap<String, &AppConfigDeployment> = BTreeMap::new();
    for deployment in present.configurations.iter().filter(|one| one.state == "COMPLETE") {
        let known = in_force.entry(snapshot::configuration(deployment)).or_insert(deployment);
        if known.number < deployment.number {
            *known = deployment;
        }
    }
    for (resource, deployment) in in_force {
        let mut values = deployment.after.as_ref().map(document).unwrap_or_default();
        values.insert("ConfigurationVersion".to_owned(), deployment.version.clone());
        found.insert(resource, values);
    }
    let sealed = |values: BTreeMap<String, String>| {
        values.into_iter().map(|(name, value)| (name.clone(), seal(&name, value, key))).collect()
    };
    found.into_iter().map(|(resource, values)| (resource, sealed(values))).collect()
}

/// The hash of a package: it looks like a secret and is none.
const CODE: &str = "CodeSha256";

fn seal(name: &str, value: String, key: &[u8]) -> Recorded {
    let shown = name == CODE || redact::value(name, &value) == value;
    if shown && value.len() <= LONGEST {
        return Recorded::Plain(value);
    }
    // HMAC takes a key of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return Recorded::Secret { hash: String::new() };
    };
    mac.update(name.as_bytes());
    mac.update(&[0]);
    mac.update(value.as_bytes());
    let hash = mac.finalize().into_bytes();
    let hash = hash.get(..HASH).unwrap_or(&hash);
    Recorded::Secret { hash: BASE64_STANDARD.encode(hash) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::evidence::{FunctionHistory, FunctionVersion};

    #[test]
    fn of_appconfig_what_is_in_force_is_recorded_by_its_keys() {
        let deployment = |number: i64, state: &str, content: serde_json::Value| AppConfigDeployment {
            number,
            application: "shop".to_owned(),
            environment: "prod".to_owned(),
            profile: "limits".to_owned(),
            version: number.to_string(),
            state: state.to_owned(),
            started_at: None,
            completed_at: None,
            events: Vec::new(),
            before: None,
            after: Some(content),
        };
        let long = "x ".repeat(LONGEST);
        let configurations = vec![
            deployment(1, "COMPLETE", serde_json::json!({"pool": 5})),
            deployment(
                2,
                "COMPLETE",
                serde_json::json!({"pool": 10, "db": {"password": "hunter2"}, "text": long}),
            ),
            deployment(3, "ROLLED_BACK", serde_json::json!({"pool": 1})),
        ];
        let told = states(&Present { configurations, ..Present::default() }, b"key");
        let [(resource, values)] = &told[..] else { panic!("{told:?}") };
        assert_eq!(resource, "appconfig/shop/prod/limits");
        assert_eq!(values["pool"], Recorded::Plain("10".to_owned()));
        assert_eq!(values["ConfigurationVersion"], Recorded::Plain("2".to_owned()));
        for sealed in ["db.password", "text"] {
            assert!(matches!(values[sealed], Recorded::Secret { .. }), "{sealed}: {values:?}");
        }
    }

    fn present(password: &str) -> Present {
        let environment = [("POOL", "10"), ("DB_PASSWORD", password), ("DSN", "postgres://app:hunter2@db/x")];
        let latest = FunctionVersion {
            version: "$LATEST".to_owned(),
            code_sha256: "q1w2e3r4t5y6u7i8o9p0a1s2d3f4g5h6j7k8l9z0x1c=".to_owned(),
            environment: environment.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
            settings: [("Timeout".to_owned(), "30".to_owned())].into(),
            ..FunctionVersion::default()
        };
        let history = FunctionHistory { versions: Some(vec![latest]), aliases: None };
        Present { functions: [("checkout".to_owned(), history)].into(), ..Present::default() }
    }

    #[test]
    fn a_secret_is_recorded_as_a_hash_that_tells_whether_it_changed_and_not_what_it_is() {
        let told = states(&present("hunter2"), b"key");
        let text = serde_json::to_string(&told).unwrap();
        assert!(!text.contains("hunter2"), "{text}");
        let of = |states: &[(String, BTreeMap<String, Recorded>)], key: &str| states[0].1[key].clone();
        assert_eq!(of(&told, "POOL"), Recorded::Plain("10".to_owned()));
        assert!(matches!(of(&told, "DSN"), Recorded::Secret { .. }), "by its look: {told:?}");
        assert_eq!(of(&told, "DB_PASSWORD"), of(&states(&present("hunter2"), b"key"), "DB_PASSWORD"));
        assert_ne!(of(&told, "DB_PASSWORD"), of(&states(&present("hunter3"), b"key"), "DB_PASSWORD"));
        assert_ne!(of(&told, "DB_PASSWORD"), of(&states(&present("hunter2"), b"another"), "DB_PASSWORD"));
        assert_eq!(told[1].1["Timeout"], Recorded::Plain("30".to_owned()));
        assert!(told[1].1["CodeSha256"].shown().is_some(), "the hash of a package is no secret");
    }
}
