//! Which room may import which. ARCHITECTURE.md draws the same picture.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use incident_commander::telemetry::metric;

/// Room → the rooms that it may name. Whatever is not listed is forbidden.
const ALLOWED: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("clock", &[]),
    ("config", &[]),
    ("telemetry", &["domain"]),
    ("fail_points", &[]),
    ("roots", &[]),
    ("checkout", &["clock"]),
    ("analysis", &["domain"]),
    ("report", &["domain"]),
    ("bundle", &["domain"]),
    ("chart", &["domain"]),
    ("store", &["domain"]),
    ("slack", &["domain", "config", "roots"]),
    ("aws", &["domain", "roots"]),
    ("agents", &["domain", "aws", "bundle"]),
    ("intake", &["analysis", "domain", "clock", "config", "fail_points", "slack", "store"]),
    ("http", &["aws", "domain", "config", "intake", "report", "slack", "store", "telemetry"]),
    (
        "worker",
        &[
            "agents",
            "analysis",
            "aws",
            "bundle",
            "chart",
            "clock",
            "config",
            "domain",
            "fail_points",
            "report",
            "slack",
            "store",
            "telemetry",
        ],
    ),
    (
        "app",
        &["aws", "clock", "config", "fail_points", "http", "intake", "slack", "store", "telemetry", "worker"],
    ),
    // The demo and the command line sit on top and may see everything but each other's insides.
    ("demo", &["app", "bundle", "checkout", "cli", "clock", "config", "domain", "report", "store", "worker"]),
    (
        "cli",
        &[
            "agents",
            "analysis",
            "app",
            "aws",
            "bundle",
            "clock",
            "config",
            "demo",
            "domain",
            "intake",
            "report",
            "slack",
            "store",
            "telemetry",
            "worker",
        ],
    ),
];

/// Text that only one room may contain.
const ONLY_IN: &[(&str, &str)] =
    &[("aws_sdk_", "aws"), ("sqlx::query", "store"), ("slack_morphism::hyper_tokio", "slack")];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn is_test(path: &Path) -> bool {
    path.ends_with("tests.rs") || path.components().any(|part| part.as_os_str() == "tests")
}

fn all_sources() -> Vec<(String, PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    sources(&root, &mut found);
    found
        .into_iter()
        .map(|path| {
            let inside = path.strip_prefix(&root).unwrap();
            let first = inside.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
            let room = first.trim_end_matches(".rs").to_owned();
            let text = fs::read_to_string(&path).unwrap();
            (room, path, text)
        })
        .filter(|(room, _, _)| !["lib", "main", "bin"].contains(&room.as_str()))
        .collect()
}

/// Rooms named after `crate::`, one line at a time, comments left out.
fn rooms_named(text: &str) -> Vec<String> {
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| line.split("crate::").skip(1))
        .map(|rest| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect())
        .collect()
}

#[test]
fn no_room_imports_what_it_must_not_know() {
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.iter().copied().collect();
    let mut wrong = Vec::new();
    // Tests may reach further: they make evidence of files, for instance.
    for (room, path, text) in all_sources().into_iter().filter(|(_, path, _)| !is_test(path)) {
        let Some(may) = allowed.get(room.as_str()) else {
            wrong.push(format!("{}: the room {room} is not in the plan", path.display()));
            continue;
        };
        for named in rooms_named(&text) {
            if named != room && !may.contains(&named.as_str()) && allowed.contains_key(named.as_str()) {
                wrong.push(format!("{}: {room} must not know {named}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_belongs_to_one_room_stays_there() {
    let mut wrong = Vec::new();
    for (room, path, text) in all_sources() {
        for (needle, home) in ONLY_IN {
            let text = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            let here = text.into_iter().any(|line| line.contains(needle));
            // The checkout service is a program of its own, with a database of its own.
            if here && room != *home && room != "checkout" {
                wrong.push(format!("{}: {needle} belongs to {home}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_domain_and_the_analysis_have_no_clock_and_no_input() {
    let forbidden =
        ["std::fs", "std::net", "std::env", "SystemTime::now", "Instant::now", "Timestamp::now", "tokio::"];
    let mut wrong = Vec::new();
    for (room, path, text) in all_sources() {
        if room != "domain" && room != "analysis" {
            continue;
        }
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
            if let Some(word) = forbidden.iter().find(|word| line.contains(**word)) {
                wrong.push(format!("{}: {word}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_file_says_what_it_is_for_and_can_be_read_in_a_sitting() {
    let mut wrong = Vec::new();
    for (_, path, text) in all_sources() {
        if !is_test(&path) && !text.starts_with("//!") {
            wrong.push(format!("{}: no purpose", path.display()));
        }
        if text.lines().count() > 700 {
            wrong.push(format!("{}: {} lines", path.display(), text.lines().count()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_the_code_counts_has_a_line_in_the_table() {
    let mut missing = Vec::new();
    let calls = [".count(\"", ".count_of(\"", ".observe(\"", ".observe_of(\"", "Measured::new(\""];
    // The demo's Slack counts what it answers, for itself.
    for (_, path, text) in all_sources().into_iter().filter(|(room, ..)| room != "demo") {
        for call in calls {
            for rest in text.split(call).skip(1) {
                let name = rest.split('"').next().unwrap_or_default();
                if metric(name).is_none() {
                    missing.push(format!("{}: {name}", path.display()));
                }
            }
        }
    }
    assert!(missing.is_empty(), "no line in src/telemetry/names.rs: {}", missing.join(", "));
}

#[test]
fn sql_is_written_in_the_code_and_values_are_its_parameters() {
    // The library takes a text that was put together only under these names.
    let ways = ["AssertSqlSafe", "raw_sql", "QueryBuilder", "into_sql_str"];
    let mut wrong = Vec::new();
    for (_, path, text) in all_sources().into_iter().filter(|(_, path, _)| !is_test(path)) {
        wrong.extend(
            ways.iter().filter(|way| text.contains(**way)).map(|way| format!("{}: {way}", path.display())),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
