//! Writes evidence as a bundle that reads back to the same evidence.
//!
//! The rule that is not obvious: gaps that reading would find again by itself (a missing file) are
//! told nonetheless, since the reason why a source could not be read live is worth more than
//! «there is no file».

use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path};

use serde_json::{Map, Value, json};

use super::{BundleError, appconfig, ecs, lambda, metrics, parameters, releases, snapshots, trials};
use crate::domain::alert::Alert;
use crate::domain::evidence::{Evidence, LogEvent};

/// The files of a bundle: path inside it and bytes. [`super::from_files`] reads the same evidence back.
pub fn to_files(evidence: &Evidence) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    files.insert("bundle.json".to_owned(), scope(evidence).to_string().into_bytes());
    files.insert("alert.json".to_owned(), alert(&evidence.alert).to_string().into_bytes());
    if let Some(logs) = &evidence.logs {
        files.insert("logs.ndjson".to_owned(), log_lines(logs));
    }
    let mut put = |name: String, value: Option<Value>| {
        if let Some(value) = value {
            files.insert(name, value.to_string().into_bytes());
        }
    };
    put("metrics.json".to_owned(), evidence.series.as_ref().map(|series| metrics::export(series)));
    put(
        "cloudtrail.json".to_owned(),
        evidence.trail.as_ref().map(|trail| {
            let records: Vec<&Value> = trail.iter().map(|record| &record.raw).collect();
            json!({ "Records": records })
        }),
    );
    for (function, history) in &evidence.functions {
        let [versions, aliases] = lambda::export(function, history);
        put(format!("lambda/{function}/versions.json"), versions);
        put(format!("lambda/{function}/aliases.json"), aliases);
    }
    for service in &evidence.ecs_services {
        let name = format!("ecs/{}/{}.json", service.cluster, service.name);
        put(name, Some(ecs::export_service(service)));
    }
    // A service that was asked for and is not there was read: its file is empty, not missing.
    if !evidence.gaps.iter().any(|gap| gap.source == "ecs") {
        for wanted in &evidence.scope.resources.ecs {
            let name = format!("ecs/{}/{}.json", wanted.cluster, wanted.service);
            files.entry(name).or_default();
        }
    }
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            files.insert(name.to_owned(), value.to_string().into_bytes());
        }
    };
    put(
        "ecs/task-definitions.json",
        evidence.task_definitions.as_ref().map(|definitions| ecs::export_task_definitions(definitions)),
    );
    put("ssm/parameters.json", evidence.parameters.as_ref().map(|parameters| parameters::export(parameters)));
    put(
        "appconfig/deployments.json",
        evidence.appconfig.as_ref().map(|deployments| appconfig::export(deployments)),
    );
    for (name, value) in releases::export(&evidence.releases) {
        put(name, value);
    }
    put("snapshots.json", snapshots::export(&evidence.snapshots));
    put("trials.json", trials::export(&evidence.trials));
    files
}

/// Writes a bundle into a folder, which is made where it is missing.
///
/// # Errors
/// When a file cannot be written, or a resource has a name that would leave the folder.
pub fn write(dir: &Path, evidence: &Evidence) -> Result<(), BundleError> {
    let failed = |name: &str| {
        let file = name.to_owned();
        move |source: io::Error| BundleError::Unreadable { file, source }
    };
    for (name, bytes) in to_files(evidence) {
        let inside = Path::new(&name).components().all(|part| matches!(part, Component::Normal(_)));
        if !inside || name.is_empty() {
            return Err(BundleError::Name(name));
        }
        let path = dir.join(&name);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(failed(&name))?;
        }
        std::fs::write(&path, bytes).map_err(failed(&name))?;
    }
    Ok(())
}

fn scope(evidence: &Evidence) -> Value {
    let scope = &evidence.scope;
    let mut whole = json!({
        "service": scope.service,
        "region": scope.region,
        "account": scope.account,
        "now": scope.now.to_string(),
        "resources": scope.resources,
        "depends_on": scope.depends_on,
        "peers": scope.peers,
        "gaps": evidence.gaps,
    });
    if let Some(cost) = &evidence.cost {
        whole["cost"] = json!(cost);
    }
    whole
}

fn alert(alert: &Alert) -> Value {
    let mut object = Map::new();
    object.insert("service".to_owned(), alert.service.clone().into());
    object.insert("triggered_at".to_owned(), alert.at.to_string().into());
    for (key, text) in [
        ("metric", &alert.metric),
        ("severity", &alert.severity),
        ("alert_name", &alert.alert_name),
        ("source", &alert.source),
    ] {
        if let Some(text) = text {
            object.insert(key.to_owned(), text.clone().into());
        }
    }
    for (key, number) in [("current_value", alert.value), ("threshold", alert.threshold)] {
        if let Some(number) = number {
            object.insert(key.to_owned(), number.into());
        }
    }
    json!({ "alert": object })
}

fn log_lines(logs: &[LogEvent]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for event in logs {
        let mut object = Map::new();
        object.insert("logGroupName".to_owned(), event.group.as_ref().into());
        object.insert("logStreamName".to_owned(), event.stream.as_ref().into());
        object.insert("timestamp".to_owned(), event.at.as_millisecond().into());
        if let Some(at) = event.ingested_at {
            object.insert("ingestionTime".to_owned(), at.as_millisecond().into());
        }
        if !event.event_id.is_empty() {
            object.insert("eventId".to_owned(), event.event_id.clone().into());
        }
        object.insert("message".to_owned(), event.message.clone().into());
        bytes.extend_from_slice(Value::Object(object).to_string().as_bytes());
        bytes.push(b'\n');
    }
    bytes
}

/// Puts a setting whose path is dotted back where AWS has it; whole numbers and truth values as such.
pub(super) fn put(object: &mut Map<String, Value>, path: &str, value: &str) {
    let typed = match value {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        text => match text.parse::<i64>() {
            Ok(number) if number.to_string() == text => Value::from(number),
            _ => Value::String(text.to_owned()),
        },
    };
    if let Some((first, rest)) = path.split_once('.')
        && !first.is_empty()
        && !rest.is_empty()
        && !rest.starts_with('.')
        && !rest.ends_with('.')
        && matches!(object.get(first), None | Some(Value::Object(_)))
    {
        let inner = object.entry(first).or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(inner) = inner {
            put(inner, rest, value);
        }
        return;
    }
    object.insert(path.to_owned(), typed);
}
