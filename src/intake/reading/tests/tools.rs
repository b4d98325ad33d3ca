//! Messages of our own making for each tool, each following a public template that its file names.

use serde_json::Value;

use super::*;

/// Every case as its file has it, its name after the file's.
fn samples() -> Vec<Value> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/alerts");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut samples = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let mut tool: Value =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let stem = file.file_stem().unwrap().to_string_lossy().into_owned();
        for case in tool["cases"].as_array_mut().unwrap() {
            case["name"] = format!("{stem}/{}", case["name"].as_str().unwrap()).into();
            samples.push(case.take());
        }
    }
    samples
}

/// Every case: name, body and expected reading.
fn cases() -> Vec<(String, Value, Value)> {
    let nothing = || serde_json::to_value(Reading::default()).unwrap();
    let case = |case: Value| {
        let expected = case.get("expected").cloned().unwrap_or_else(nothing);
        (case["name"].as_str().unwrap().to_owned(), case["message"].clone(), expected)
    };
    samples().into_iter().map(case).collect()
}

#[test]
fn every_tools_messages_are_read_as_they_say() {
    let mut wrong = Vec::new();
    for (name, body, expected) in cases() {
        let reading = serde_json::to_value(read(&body)).unwrap();
        for field in ["state", "service", "metric", "severity", "alert_name", "at"] {
            if reading[field] != expected[field] {
                wrong.push(format!("{name}: {field} is {}, expected {}", reading[field], expected[field]));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn an_acknowledgement_is_known_as_one_and_nothing_else_is() {
    for case in samples() {
        let acknowledged = read(&case["message"]).acknowledged;
        assert_eq!(acknowledged, case["shows"] == "acknowledged", "{}", case["name"]);
    }
}

/// The states that a tool's messages have; a tool that edits none of its own is seen through Slack, which edits a
/// message when it shows what a link leads to.
const SHOWN: [&str; 4] = ["firing", "repeated", "resolved", "edited"];
const TOOLS: [&str; 13] = [
    "Alertmanager custom",
    "Alertmanager default",
    "Amazon Q Developer",
    "Datadog",
    "Grafana dashboard alerting",
    "Grafana unified alerting",
    "Nagios",
    "New Relic",
    "Opsgenie",
    "PagerDuty",
    "Sentry",
    "SNS relay",
    "Uptime monitor",
];

#[test]
fn every_tool_is_there_in_each_state_that_it_has_and_names_what_it_follows() {
    let mut missing = Vec::new();
    let samples = samples();
    for tool in TOOLS {
        for shown in SHOWN {
            let fits = |case: &&Value| case["of"] == tool && case["shows"] == shown;
            match samples.iter().find(fits) {
                Some(case) if case["template"].is_string() => {}
                _ => missing.push(format!("{tool}: {shown}")),
            }
        }
    }
    assert!(missing.is_empty(), "{missing:?}");
}
