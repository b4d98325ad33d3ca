//! Messages of our own making for each tool, each following a public template that its file names.

use serde_json::Value;

use super::*;

/// Every case: file, name, body and expected reading.
pub(super) fn cases() -> Vec<(String, Value, Value)> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/alerts");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut cases = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let tool: Value =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let stem = file.file_stem().unwrap().to_string_lossy().into_owned();
        for case in tool["cases"].as_array().unwrap() {
            let name = format!("{stem}/{}", case["name"].as_str().unwrap());
            let expected = case
                .get("expected")
                .cloned()
                .unwrap_or_else(|| serde_json::to_value(Reading::default()).unwrap());
            cases.push((name, case["message"].clone(), expected));
        }
    }
    cases
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
