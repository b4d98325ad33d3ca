//! What the bot tells about itself, and what `deploy/` makes of it: dashboards and alert rules name no metric that
//! the code does not register, and the code tells none that it does not.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use incident_commander::telemetry::{Kind, METRICS, PREFIX};
use serde_json::Value;

use crate::house::House;

fn deploy(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name)).unwrap()
}

/// All names of metrics in a text.
fn named(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| word.starts_with(PREFIX) && word.len() > PREFIX.len())
        .map(str::to_owned)
        .collect()
}

/// Whether `/metrics` can show a name.
pub fn is_registered(name: &str) -> bool {
    METRICS.iter().any(|metric| {
        let full = metric.full_name();
        let of_histogram =
            ["_bucket", "_sum", "_count"].iter().any(|ending| name == format!("{full}{ending}"));
        name == full || (metric.kind == Kind::Histogram && of_histogram)
    })
}

#[test]
fn dashboards_and_alert_rules_name_only_what_the_code_registers() {
    for file in ["grafana/incident-commander.json", "prometheus/rules.yml"] {
        let names = named(&deploy(file));
        assert!(names.len() > 8, "{file} is read: {names:?}");
        let unknown: Vec<&String> = names.iter().filter(|name| !is_registered(name)).collect();
        assert!(unknown.is_empty(), "{file}: {unknown:?}");
    }
    let dashboard: Value = serde_json::from_str(&deploy("grafana/incident-commander.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    assert!(
        panels.iter().all(|panel| panel["targets"].as_array().is_some_and(|targets| !targets.is_empty()))
    );
}

#[test]
fn operations_tells_what_each_alert_means_and_what_to_do_first() {
    let rules = deploy("prometheus/rules.yml");
    let alerts: BTreeSet<&str> =
        rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md")).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| `IncidentCommander"));
    let mut told = BTreeSet::new();
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [name, means, first] = cells.as_slice() else { panic!("three cells: {row}") };
        assert!(means.len() > 20 && first.len() > 20, "{row}");
        assert!(told.insert(name.trim_matches('`')), "told twice: {name}");
    }
    assert_eq!(told, alerts);
    assert!(alerts.len() > 5, "the rules are read: {alerts:?}");
}

#[tokio::test]
async fn the_page_of_metrics_is_well_formed_and_holds_no_text_of_anybodys() {
    let house = House::open(|_| {}).await;
    let alert = r#"{"service": "canary-of-somebody", "alert_name": "canary", "triggered_at": "2026-02-06T12:15:00Z"}"#;
    assert_eq!(house.post("/alert?wait=30", alert).await.0, 200);
    let (status, page) = house.get("/metrics").await;
    assert_eq!(status, 200);
    let page = page.as_str().unwrap();
    assert!(!page.contains("canary"), "{page}");
    let mut typed: BTreeSet<&str> = BTreeSet::new();
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            assert!(typed.insert(rest.split(' ').next().unwrap()), "told twice: {line}");
        } else if !line.starts_with('#') {
            let name = line.split(['{', ' ']).next().unwrap();
            assert!(is_registered(name), "{line}");
            assert!(line.rsplit(' ').next().unwrap().parse::<f64>().is_ok(), "{line}");
        }
    }
    for expected in [
        "incident_commander_alerts_accepted_total 1",
        "incident_commander_time_to_first_verdict_seconds_count 1",
        "incident_commander_agent_seconds_count{agent=\"logs\"} 1",
        "incident_commander_incidents_open 1",
        "incident_commander_jobs_dead 0",
    ] {
        assert!(page.lines().any(|line| line == expected), "{expected}\n{page}");
    }
    let failed = |line: &&str| line.starts_with("incident_commander_aws_failures_total{service=");
    assert!(
        page.lines().any(|line| failed(&line) && !line.ends_with(" 0")),
        "AWS is out of reach here: {page}"
    );
}
