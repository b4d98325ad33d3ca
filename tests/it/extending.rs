//! The examples of `docs/extending.md`, which shows them as they stand here.

use std::fs;
use std::path::Path;

use incident_commander::cli::cloudtrail::{Becomes, tell};
use incident_commander::domain::alert::AlertState;
use incident_commander::intake::reading;
use serde_json::json;

#[test]
fn a_tool_of_our_own_is_read_by_the_general_reader() {
    let message = json!({
        "username": "Lighthouse",
        "text": "Lighthouse: basket-api burns its error budget",
        "attachments": [{ "color": "danger", "fields": [
            { "title": "Service", "value": "basket-api" },
            { "title": "Severity", "value": "page" },
            { "title": "Started", "value": "2026-01-05 14:11 UTC" },
        ] }],
    });
    let reading = reading::read(&message);
    assert!(reading.is_alert);
    assert_eq!(reading.state, Some(AlertState::Firing));
    assert_eq!(reading.service.as_deref(), Some("basket-api"));
    assert_eq!(reading.severity.as_deref(), Some("page"));
    assert_eq!(reading.at, Some("2026-01-05T14:11:00Z".parse().unwrap()));
}

#[test]
fn a_schedule_that_was_changed_is_a_change_of_the_kind_schedule() {
    let record = json!({
        "eventVersion": "1.11", "eventID": "6f1c", "eventTime": "2026-02-06T12:00:04Z",
        "eventSource": "scheduler.amazonaws.com", "eventName": "UpdateSchedule", "readOnly": false,
        "userIdentity": { "type": "IAMUser", "userName": "ana", "arn": "arn:aws:iam::123456789012:user/ana" },
        "requestParameters": { "name": "nightly-export", "groupName": "default", "scheduleExpression": "rate(1 minute)" },
    });
    let told = tell(vec![record]).remove(0);
    assert_eq!((told.who.as_str(), told.what.as_str()), ("ana", "scheduler:UpdateSchedule"));
    let Becomes::Change { kind, no_effect } = told.becomes else { panic!("no change: {told:?}") };
    assert_eq!((kind.as_str(), no_effect), ("schedule change", None));
}

/// Every block of Rust on the page stands so in this file or in the engine's table of kinds.
#[test]
fn the_page_shows_what_is_compiled() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/extending.md")).unwrap();
    let here = fs::read_to_string(root.join("tests/it/extending.rs")).unwrap();
    let kinds = fs::read_to_string(root.join("src/analysis/changes/kinds.rs")).unwrap();
    let blocks: Vec<&str> =
        page.split("```rust\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(blocks.len() >= 3);
    for block in blocks {
        assert!(here.contains(block) || kinds.contains(block), "{block}");
    }
}
