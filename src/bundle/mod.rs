//! Incident bundles: one incident's evidence in a folder, in the shapes that AWS itself returns.
//!
//! The rule that is not obvious: a missing file means that a source was not read, an empty one that
//! it was read and held nothing. Whatever is truncated or malformed is read as far as it goes, and
//! what could not be read is counted in a [`Gap`]. Nothing later than the bundle's `now` is known.
//! `truth.json`, which holds the answers for scoring, is never opened here.

pub mod appconfig;
mod document;
pub mod ecs;
mod export;
mod lambda;
mod logs;
mod metrics;
pub mod parameters;
pub mod releases;
mod snapshots;
pub mod trail;
mod trials;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use serde::Deserialize as _;
use serde_json::Value;

use crate::domain::alert::{Alert, AlertError, parse_time};
use crate::domain::cost::Usage;
use crate::domain::evidence::{EcsRef, Evidence, FunctionHistory, Gap, MetricScope, Resources, Scope};

pub use export::{to_files, write};

/// Why a folder is not a bundle. Anything less than that is a gap in the evidence, not an error.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    #[error("{folder} is not a folder that can be read: {source}")]
    Folder { folder: String, source: io::Error },
    #[error("{0} is missing: without it this is not an incident bundle")]
    Missing(&'static str),
    #[error("{file} cannot be read: {source}")]
    Unreadable { file: String, source: io::Error },
    #[error("{file} is not what it should be: {reason}")]
    Broken { file: &'static str, reason: String },
    #[error("alert.json is not an alert: {0}")]
    Alert(#[from] AlertError),
    #[error("{0:?} is not a file name that a bundle may hold")]
    Name(String),
}

/// Reads a bundle from a folder. Logs are read line by line and never held as a whole file.
///
/// # Errors
/// When the folder, `bundle.json` or `alert.json` cannot be read or understood.
pub fn read(dir: &Path) -> Result<Evidence, BundleError> {
    let mut names = BTreeSet::new();
    list(dir, "", 0, &mut names)
        .map_err(|source| BundleError::Folder { folder: dir.display().to_string(), source })?;
    assemble(&names, &|name| {
        let file = File::open(dir.join(name))?;
        Ok(Box::new(BufReader::with_capacity(1 << 17, file)) as Box<dyn BufRead>)
    })
}

/// Reads a bundle from its files: path inside the bundle, with `/` between its parts, and bytes.
///
/// # Errors
/// When `bundle.json` or `alert.json` is missing or cannot be understood.
pub fn from_files(files: &BTreeMap<String, Vec<u8>>) -> Result<Evidence, BundleError> {
    let names = files.keys().cloned().collect();
    assemble(&names, &|name| match files.get(name) {
        Some(bytes) => Ok(Box::new(bytes.as_slice()) as Box<dyn BufRead + '_>),
        None => Err(io::Error::from(io::ErrorKind::NotFound)),
    })
}

/// The files of a bundle lie at most three levels deep: `ecs/<cluster>/<service>.json`.
const DEPTH: usize = 3;

fn list(dir: &Path, prefix: &str, depth: usize, names: &mut BTreeSet<String>) -> io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let name = format!("{prefix}{name}");
        let path = entry.path();
        if path.is_dir() {
            if depth + 1 < DEPTH {
                // A folder that cannot be listed is a source that cannot be read, not a broken bundle.
                if list(&path, &format!("{name}/"), depth + 1, names).is_err() {
                    names.insert(name);
                }
            }
        } else {
            names.insert(name);
        }
    }
    Ok(())
}

type Open<'a> = &'a dyn Fn(&str) -> io::Result<Box<dyn BufRead + 'a>>;

/// What is left of a bundle while it is being read: its files, and the gaps found so far.
struct Reading<'a> {
    names: &'a BTreeSet<String>,
    open: Open<'a>,
    gaps: Vec<Gap>,
    /// Sources whose gaps the bundle itself tells: its own words come before ours.
    told: BTreeSet<String>,
}

impl<'a> Reading<'a> {
    /// The file's bytes; `None`, with a gap, where there is no such file or it cannot be read.
    fn bytes(&mut self, source: &str, name: &str) -> Option<Vec<u8>> {
        let mut reader = self.reader(source, name)?;
        let mut bytes = Vec::new();
        match reader.read_to_end(&mut bytes) {
            Ok(_) => Some(bytes),
            Err(error) => {
                self.gaps.push(Gap::new(source, format!("{name} cannot be read: {error}")));
                None
            }
        }
    }

    fn reader(&mut self, source: &str, name: &str) -> Option<Box<dyn BufRead + 'a>> {
        if !self.names.contains(name) {
            if !self.told.contains(source) {
                self.gaps.push(Gap::new(source, MISSING));
            }
            return None;
        }
        match (self.open)(name) {
            Ok(reader) => Some(reader),
            Err(error) => {
                self.gaps.push(Gap::new(source, format!("{name} cannot be read: {error}")));
                None
            }
        }
    }

    /// The elements of a list that the file holds under one of `keys`; `None` also where it holds something and
    /// nothing of it can be read: that is a source that was not read, not one that had nothing to tell.
    fn elements(&mut self, source: &str, name: &str, keys: &[&str]) -> Option<Vec<Value>> {
        let bytes = self.bytes(source, name)?;
        let elements = document::elements(&bytes, keys);
        self.count(source, name, elements.values.len(), elements.broken, elements.truncated);
        if elements.damaged {
            self.gaps.push(Gap::new(
                source,
                format!("{name} is damaged: {} elements were read", elements.values.len()),
            ));
        }
        let lost = elements.broken > 0 || elements.truncated || elements.damaged;
        (!lost || !elements.values.is_empty()).then_some(elements.values)
    }

    /// Tells what of a file could not be read.
    fn count(&mut self, source: &str, name: &str, read: usize, broken: usize, truncated: bool) {
        if truncated {
            self.gaps.push(Gap::new(
                source,
                format!("{name} ends in the middle: {read} elements were read, the rest is missing"),
            ));
        }
        if broken > 0 {
            let whole = read + broken;
            self.gaps
                .push(Gap::new(source, format!("{name}: {broken} of {whole} elements could not be read")));
        }
    }
}

/// One reason for all absent files, so that a report can tell of them in one line; `source` names the file.
const MISSING: &str = "not read: the bundle has no file of it";

fn assemble<'a>(names: &'a BTreeSet<String>, open: Open<'a>) -> Result<Evidence, BundleError> {
    let (scope, told, cost) = scope_of(&whole(names, open, "bundle.json")?)?;
    let alert = Alert::from_body(&whole(names, open, "alert.json")?)?;
    let now = scope.now;
    let told_sources = told.iter().map(|gap| gap.source.clone()).collect();
    let mut reading = Reading { names, open, gaps: told, told: told_sources };

    let logs = logs::read(&mut reading, now);
    let series = metrics::read(&mut reading, now);
    let trail = trail::read(&mut reading, now);
    let functions = functions(&mut reading, &scope);
    let ecs_services = ecs::services(&mut reading, &scope);
    let task_definitions = ecs::task_definitions(&mut reading, &scope);
    let parameters = parameters::read(&mut reading, now);
    let appconfig = appconfig::read(&mut reading, now);
    let releases = releases::read(&mut reading, now);
    let snapshots = snapshots::read(&mut reading, now);
    let trials = trials::read(&mut reading, now);

    let mut gaps = reading.gaps;
    gaps.sort();
    gaps.dedup();
    Ok(Evidence {
        scope,
        alert,
        logs,
        series,
        trail,
        functions,
        ecs_services,
        task_definitions,
        parameters,
        appconfig,
        releases,
        snapshots,
        trials,
        gaps,
        cost,
    })
}

/// One of the two files without which there is nothing to investigate.
fn whole(names: &BTreeSet<String>, open: Open<'_>, name: &'static str) -> Result<Vec<u8>, BundleError> {
    if !names.contains(name) {
        return Err(BundleError::Missing(name));
    }
    let unreadable = |source| BundleError::Unreadable { file: name.to_owned(), source };
    let mut bytes = Vec::new();
    open(name).map_err(unreadable)?.read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(document::without_mark(&bytes).to_vec())
}

fn scope_of(bytes: &[u8]) -> Result<(Scope, Vec<Gap>, Option<Usage>), BundleError> {
    let broken = |reason: String| BundleError::Broken { file: "bundle.json", reason };
    let value: Value = serde_json::from_slice(bytes).map_err(|error| broken(format!("not JSON: {error}")))?;
    if !value.is_object() {
        return Err(broken("not a JSON object".to_owned()));
    }
    let service = document::text(&value, "service");
    if service.is_empty() {
        return Err(broken("`service` is missing".to_owned()));
    }
    let now = match value.get("now") {
        Some(now) => document::time(Some(now)).or_else(|| now.as_str().and_then(parse_time)),
        None => return Err(broken("`now` is missing: a time such as 2026-02-06T12:20:00Z".to_owned())),
    };
    let now = now.ok_or_else(|| broken("`now` is not a time that can be read".to_owned()))?;
    let names = |key: &str| -> Vec<String> {
        document::list(&value, key).iter().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let mut gaps: Vec<Gap> = document::list(&value, "gaps")
        .iter()
        .map(|gap| {
            let kind = gap.get("kind").and_then(|kind| serde_json::from_value(kind.clone()).ok());
            Gap::of(kind.unwrap_or_default(), document::text(gap, "source"), document::text(gap, "reason"))
        })
        .filter(|gap| !gap.source.is_empty())
        .collect();
    let resources = resources_of(value.get("resources").unwrap_or(&Value::Null), &mut gaps);
    let scope = Scope {
        service,
        region: document::text(&value, "region"),
        account: document::text(&value, "account"),
        now,
        resources,
        depends_on: names("depends_on"),
        peers: names("peers"),
    };
    let cost = value.get("cost").and_then(|cost| Usage::deserialize(cost).ok());
    Ok((scope, gaps, cost))
}

/// What belongs to the service; an element that is not what it should be is counted, not guessed.
fn resources_of(value: &Value, gaps: &mut Vec<Gap>) -> Resources {
    let mut unreadable = 0;
    let mut texts = |value: &Value, key: &str| -> Vec<String> {
        let elements = document::list(value, key);
        let read: Vec<String> = elements.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        unreadable += elements.len() - read.len();
        read
    };
    let resources = Resources {
        lambda: texts(value, "lambda"),
        ssm_paths: texts(value, "ssm_paths"),
        appconfig: texts(value, "appconfig"),
        log_groups: texts(value, "log_groups"),
        metrics: MetricScope {
            namespaces: value.get("metrics").map(|metrics| texts(metrics, "namespaces")).unwrap_or_default(),
        },
        ecs: document::list(value, "ecs")
            .iter()
            .map(|service| EcsRef {
                cluster: document::text(service, "cluster"),
                service: document::text(service, "service"),
            })
            .filter(|service| !service.cluster.is_empty() && !service.service.is_empty())
            .collect(),
    };
    unreadable += document::list(value, "ecs").len() - resources.ecs.len();
    if unreadable > 0 {
        gaps.push(Gap::new("bundle", format!("bundle.json: {unreadable} of `resources` could not be read")));
    }
    resources
}

/// Every function that the scope names or that has a folder of its own.
fn functions(reading: &mut Reading<'_>, scope: &Scope) -> BTreeMap<String, FunctionHistory> {
    let mut wanted: BTreeSet<String> = scope.resources.lambda.iter().cloned().collect();
    for name in reading.names {
        if let Some((function, file)) = name.strip_prefix("lambda/").and_then(|rest| rest.split_once('/'))
            && matches!(file, "versions.json" | "aliases.json")
        {
            wanted.insert(function.to_owned());
        }
    }
    wanted
        .into_iter()
        .map(|function| {
            let history = lambda::history(reading, &function, scope.now);
            (function, history)
        })
        .collect()
}

#[cfg(test)]
mod tests;
