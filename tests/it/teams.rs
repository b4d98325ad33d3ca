//! What a team takes out of an incident that is over: the post-mortem's draft, a table of all, and nothing at all.

use std::process::{Command, Output};

use incident_commander::domain::alert::Alert;
use incident_commander::domain::incident::IncidentId;
use incident_commander::store::{NewAlert, Origin, Store};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::recovery::approved;

/// A command beside the bot, on the same database.
fn incidents(database: &str, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_incident-commander"))
        .arg("incidents")
        .args(words)
        .env_clear()
        .env("DATABASE_URL", database)
        .output()
        .unwrap()
}

fn printed(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[tokio::test]
async fn an_incident_becomes_a_post_mortem_and_a_row_and_can_be_forgotten() {
    let (ward, bench) = approved(|_| {}, 6 * 60).await;
    let database = ward.settings.database_url.as_str();
    let draft = printed(&incidents(database, &["postmortem", "INC-1"]));
    for part in [
        "# INC-1: ",
        "## Impact\n\n- ",
        "## Timeline (UTC)\n\n- 2026-02-06 ",
        "## Decision\n\n- ",
        ", approved by @",
        "By hand: aws lambda update-alias",
        "## What helped\n\n- ",
        "the service recovered after it.",
        "- [ ] ",
    ] {
        assert!(draft.contains(part), "{part}: {draft}");
    }
    let table = printed(&incidents(database, &["export", "--all", "--format", "csv"]));
    let mut rows = csv::Reader::from_reader(table.as_bytes());
    let head = rows.headers().unwrap().clone();
    let row = rows.records().next().unwrap().unwrap();
    let cell = |name: &str| &row[head.iter().position(|column| column == name).unwrap()];
    assert_eq!((cell("id"), cell("decision"), cell("judged")), ("INC-1", "approved", "recovered"));
    let all: Value =
        serde_json::from_str(&printed(&incidents(database, &["export", "--all", "--format", "json"])))
            .unwrap();
    let shown: Value =
        serde_json::from_str(&printed(&incidents(database, &["show", "INC-1", "--format", "json"]))).unwrap();
    assert_eq!(all, Value::Array(vec![shown]), "each is what `show` prints");

    let open = incidents(database, &["delete", "INC-1"]);
    assert_eq!(open.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&open.stderr).contains("close it first"), "{open:?}");
    bench.store.close_incident(IncidentId(1), "done", bench.clock.now()).await.unwrap();
    printed(&incidents(database, &["delete", "INC-1"]));
    assert_eq!(incidents(database, &["show", "INC-1"]).status.code(), Some(1));
    let trail = printed(&incidents(database, &["audit"]));
    assert!(trail.contains("command line  deletes all of INC-1") && trail.contains("holds"), "{trail}");
    assert_eq!(printed(&incidents(database, &["export", "--all", "--format", "json"])), "[]\n");
    assert_eq!(incidents(database, &["list", "--format", "csv"]).status.code(), Some(2));
}

#[tokio::test]
async fn nothing_that_a_stranger_wrote_moves_the_cursor_of_who_lists_it() {
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite://{}", folder.path().join("bot.db").display());
    let store = Store::open(&database).await.unwrap();
    let mut now: Timestamp = "2026-02-06T12:17:00Z".parse().unwrap();
    let alert = json!({ "service": "check\u{1b}[2J\u{9b}2J\u{202e}out", "at": "2026-02-06T12:17:00Z" });
    let alert: Alert = serde_json::from_value(alert).unwrap();
    let id =
        store.accept(NewAlert { alert, origin: Origin::default() }, now).await.unwrap().incident().unwrap();
    while let Some(job) = store.claim(now).await.unwrap() {
        store.fail(&job, "no\u{1b}[2J\nreally", now).await.unwrap();
        now += SignedDuration::from_mins(10);
    }
    store.close_incident(id, "\u{1b}]0;title\u{7}", now).await.unwrap();
    for words in [
        ["incidents", "list"].as_slice(),
        &["incidents", "list", "--format", "json"],
        &["incidents", "show", "INC-1"],
        &["incidents", "export", "--all"],
        &["incidents", "export", "--all", "--format", "csv"],
        &["jobs", "list"],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_incident-commander"))
            .args(words)
            .env_clear()
            .env("DATABASE_URL", &database)
            .output()
            .unwrap();
        let shown = printed(&output);
        assert!(shown.contains("check") || shown.contains("really"), "{words:?}: {shown:?}");
        let moves = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!shown.contains(moves), "{words:?}: {shown:?}");
    }
}
