//! What is exported of a live incident re-derives its verdict, byte for byte, by the commands that people type.
//!
//! The rule that is not obvious: what is compared is what `incidents show` prints of the incident with what
//! `investigate --bundle` prints of its export, key by key as the contract names them.

use std::path::Path;
use std::process::Command;

use incident_commander::demo::aws::Identity;
use serde_json::Value;

use crate::aws_account::{ACCOUNT, Account, FUNCTION, GROUP, at, environment};
use crate::aws_reading::fill;
use crate::house::House;

/// What both print: the incident as it was stored, and the bundle as it is investigated anew.
const PROMISED: [&str; 8] =
    ["onset", "verdict", "action", "hypotheses", "evidence", "cleared", "gaps", "summary"];

fn printed(database: &str, words: &[&str]) -> Vec<u8> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_incident-commander"));
    let output = command.args(words).env_clear().env("DATABASE_URL", database).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test]
async fn an_exported_incident_comes_to_the_same_verdict_byte_for_byte() {
    let account = Account::open().await;
    fill(&account);
    // Secrets are masked before anything is weighed: their masks have to be the same on the way back.
    let alice = Identity::user(ACCOUNT, "alice");
    let mut with_password = environment("5");
    with_password.insert("DB_PASSWORD".to_owned(), "hunter2".to_owned());
    account.world.update_function_environment(FUNCTION, with_password, &alice, at("12:05:00")).unwrap();
    let line = "ERROR login failed: password=hunter2 request 7";
    account.world.put_log(GROUP, "2026/02/06/[2]abc", at("12:16:00"), line.to_owned());
    let mut database = String::new();
    let house = House::open(|settings| {
        settings.aws_endpoint_url = Some(account.url.clone());
        settings.aws_credentials.as_mut().unwrap().id.clone_from(&account.access_key);
        database.clone_from(&settings.database_url);
    })
    .await;
    let alert = format!(r#"{{"service": "{FUNCTION}", "triggered_at": "2026-02-06T12:17:00Z"}}"#);
    let (status, answer) = house.post("/alert?wait=60", alert).await;
    assert_eq!(status, 200, "{answer}");

    let folder = tempfile::tempdir().unwrap();
    let exported = folder.path().join("INC-1");
    printed(&database, &["incidents", "export", "INC-1", text(&exported)]);
    let told = printed(&database, &["investigate", "--bundle", text(&exported), "--format", "json"]);
    let again = printed(&database, &["investigate", "--bundle", text(&exported), "--format", "json"]);
    assert_eq!(told, again, "the same bundle is told in the same bytes");
    let stored = json(&printed(&database, &["incidents", "show", "INC-1", "--format", "json"]));
    let told = json(&told);
    assert!(told["evidence"].as_array().is_some_and(|facts| facts.len() > 3), "{told:#}");
    for key in PROMISED {
        let of = |report: &Value| serde_json::to_string_pretty(&report[key]).unwrap();
        assert_ne!(told[key], Value::Null, "{key}: {told:#}");
        assert_eq!(of(&told), of(&stored), "{key}");
    }
}
