//! `lambda/<function>/versions.json` and `aliases.json`.
//!
//! The rule that is not obvious: a function whose environment AWS could not decrypt still has one.
//! Its settings then hold `Environment.Error.…`, and nobody may conclude that it has no variables.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::Reading;
use super::document::{flatten, plain, text, time};
use crate::domain::evidence::{FunctionAlias, FunctionHistory, FunctionVersion, Gap};

/// Fields of a version that have a place of their own, or that name it.
const NAMED: &[&str] = &[
    "FunctionName",
    "FunctionArn",
    "Version",
    "LastModified",
    "CodeSha256",
    "Description",
    "RevisionId",
    "Environment",
];

pub(super) fn history(reading: &mut Reading<'_>, function: &str, now: Timestamp) -> FunctionHistory {
    let versions = format!("lambda/{function}/versions.json");
    let aliases = format!("lambda/{function}/aliases.json");
    let versions = reading.elements("lambda", &versions, &["Versions"]).map(|values| {
        let read = values.iter().filter_map(version).collect::<Vec<_>>();
        unnamed(reading, &versions, values.len() - read.len(), "have no `Version`");
        read.into_iter().filter(|version| version.last_modified.is_none_or(|at| at <= now)).collect()
    });
    let aliases = reading.elements("lambda", &aliases, &["Aliases"]).map(|values| {
        let read = values.iter().filter_map(alias).collect::<Vec<_>>();
        unnamed(reading, &aliases, values.len() - read.len(), "have no name or version");
        read
    });
    FunctionHistory { versions, aliases }
}

fn unnamed(reading: &mut Reading<'_>, file: &str, count: usize, what: &str) {
    if count > 0 {
        reading.gaps.push(Gap::new("lambda", format!("{file}: {count} elements {what}")));
    }
}

fn version(value: &Value) -> Option<FunctionVersion> {
    let object = value.as_object()?;
    let version = text(value, "Version");
    if version.is_empty() {
        return None;
    }
    let mut settings = BTreeMap::new();
    let others: Map<String, Value> = object
        .iter()
        .filter(|(key, _)| !NAMED.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    flatten(&others, "", &mut settings);
    let mut environment = BTreeMap::new();
    if let Some(Value::Object(outer)) = object.get("Environment") {
        for (key, value) in outer {
            match value {
                Value::Object(variables) if key == "Variables" => {
                    environment = variables.iter().map(|(key, value)| (key.clone(), plain(value))).collect();
                }
                Value::Object(inner) => flatten(inner, &format!("Environment.{key}"), &mut settings),
                _ => {}
            }
        }
    }
    Some(FunctionVersion {
        version,
        last_modified: time(object.get("LastModified")),
        code_sha256: text(value, "CodeSha256"),
        description: text(value, "Description"),
        revision_id: text(value, "RevisionId"),
        environment,
        settings,
    })
}

fn alias(value: &Value) -> Option<FunctionAlias> {
    let (name, version) = (text(value, "Name"), text(value, "FunctionVersion"));
    if name.is_empty() || version.is_empty() {
        return None;
    }
    let weights = value
        .pointer("/RoutingConfig/AdditionalVersionWeights")
        .and_then(Value::as_object)
        .map(|weights| {
            weights
                .iter()
                .filter_map(|(version, weight)| {
                    let weight = weight.as_f64().or_else(|| weight.as_str()?.trim().parse().ok())?;
                    (0.0..=1.0).contains(&weight).then(|| (version.clone(), weight))
                })
                .collect()
        })
        .unwrap_or_default();
    Some(FunctionAlias { name, version, revision_id: text(value, "RevisionId"), weights })
}

/// The two documents that [`history`] reads back to the same history.
pub(super) fn export(function: &str, history: &FunctionHistory) -> [Option<Value>; 2] {
    let versions = history.versions.as_ref().map(|versions| {
        let versions: Vec<Value> = versions.iter().map(|version| export_version(function, version)).collect();
        serde_json::json!({ "Versions": versions })
    });
    let aliases = history.aliases.as_ref().map(|aliases| {
        let aliases: Vec<Value> = aliases
            .iter()
            .map(|alias| {
                serde_json::json!({
                    "Name": alias.name,
                    "FunctionVersion": alias.version,
                    "RevisionId": alias.revision_id,
                    "RoutingConfig": { "AdditionalVersionWeights": alias.weights },
                })
            })
            .collect();
        serde_json::json!({ "Aliases": aliases })
    });
    [versions, aliases]
}

fn export_version(function: &str, version: &FunctionVersion) -> Value {
    let mut object = Map::new();
    object.insert("FunctionName".to_owned(), function.into());
    object.insert("Version".to_owned(), version.version.clone().into());
    if let Some(at) = version.last_modified {
        object.insert("LastModified".to_owned(), at.to_string().into());
    }
    object.insert("CodeSha256".to_owned(), version.code_sha256.clone().into());
    object.insert("Description".to_owned(), version.description.clone().into());
    object.insert("RevisionId".to_owned(), version.revision_id.clone().into());
    let mut environment = Map::new();
    environment.insert("Variables".to_owned(), serde_json::json!(version.environment));
    for (key, value) in &version.settings {
        match key.strip_prefix("Environment.") {
            Some(inner) => super::export::put(&mut environment, inner, value),
            None => super::export::put(&mut object, key, value),
        }
    }
    object.insert("Environment".to_owned(), Value::Object(environment));
    Value::Object(object)
}
