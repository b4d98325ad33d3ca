//! The generator's own promises: the same seed the same bytes, honest shares, no word of the engine.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use serde_json::Value;

use crate::generator::families::FAMILIES;
use crate::generator::{Incident, generate};

/// A hundred incidents, made once for all tests that only look at them.
fn hundred() -> &'static [Incident] {
    static HUNDRED: OnceLock<Vec<Incident>> = OnceLock::new();
    HUNDRED.get_or_init(|| generate(8, 100).collect())
}

fn parsed(files: &BTreeMap<String, Vec<u8>>, path: &str) -> Value {
    serde_json::from_slice(&files[path]).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn a_seed_makes_the_same_incidents_again() {
    for (one, other) in generate(11, 4).zip(generate(11, 4)) {
        assert_eq!(one.name, other.name);
        assert_eq!(one.files, other.files);
        assert_eq!(one.truth_json(), other.truth_json());
    }
}

#[test]
fn at_least_sixty_in_a_hundred_incidents_are_nobodys_change() {
    let innocent = hundred().iter().filter(|incident| incident.truth.cause[0] != "deployment").count();
    assert!(innocent >= 60, "{innocent}");
}

#[test]
fn every_line_and_file_is_what_aws_would_have_returned() {
    for incident in &hundred()[..40] {
        let metrics = parsed(&incident.files, "metrics.json");
        let queries = metrics["MetricDataQueries"].as_array().map_or(0, Vec::len);
        assert_eq!(queries, metrics["MetricDataResults"].as_array().map_or(1, Vec::len), "{}", incident.name);
        assert!(parsed(&incident.files, "bundle.json")["now"].is_string());
        let logs = std::str::from_utf8(&incident.files["logs.ndjson"]).expect("logs are text");
        for line in logs.lines() {
            let event: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
            assert!(event["message"].is_string() && event["timestamp"].is_i64(), "{line}");
        }
        for path in incident
            .files
            .keys()
            .filter(|path| Path::new(path).extension().is_some_and(|extension| extension == "json"))
        {
            parsed(&incident.files, path);
        }
    }
}

#[test]
fn every_event_that_the_truth_names_is_in_the_trail() {
    for incident in hundred() {
        let trail = parsed(&incident.files, "cloudtrail.json");
        let known: BTreeSet<&str> = trail["Records"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|record| record["eventID"].as_str())
            .collect();
        for id in &incident.truth.event_ids {
            assert!(known.contains(id.as_str()), "{}: {id}", incident.name);
        }
    }
}

/// All sources of the engine as one lower-case text.
fn engine_text(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            engine_text(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(&path).unwrap_or_default().to_lowercase());
        }
    }
}

/// The words of a key, however it is spelled.
fn words(key: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let upper = key.chars().all(|c| !c.is_lowercase());
    for c in key.chars() {
        if c == '_' || (c.is_uppercase() && !upper) {
            words.push(String::new());
        }
        if c != '_' {
            words.last_mut().expect("there is a word").extend(c.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[test]
fn a_quarter_of_the_keys_have_no_word_that_the_engine_knows() {
    let mut text = String::new();
    engine_text(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/analysis"), &mut text);
    let keys: Vec<&String> = hundred().iter().flat_map(|incident| &incident.keys).collect();
    let strange =
        keys.iter().filter(|key| words(key).iter().all(|word| !text.contains(word.as_str()))).count();
    assert!(strange * 4 >= keys.len(), "{strange} of {}", keys.len());
}

#[test]
fn a_hundred_incidents_hold_every_family_as_often_as_it_weighs() {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for incident in hundred() {
        *seen.entry(incident.family).or_default() += 1;
    }
    let wanted = FAMILIES.iter().map(|family| (family.name, family.weight)).collect();
    assert_eq!(seen, wanted);
}

#[test]
fn a_written_incident_holds_its_files_and_its_truth() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    for incident in generate(10, 2) {
        incident.write(folder.path()).expect("it can be written");
        let home = folder.path().join(&incident.name);
        for (path, content) in &incident.files {
            assert_eq!(&fs::read(home.join(path)).expect("the file is there"), content);
        }
        let truth = fs::read(home.join("truth.json")).expect("the truth is there");
        assert_eq!(serde_json::from_slice::<Value>(&truth).expect("it is JSON"), incident.truth_json());
    }
}
