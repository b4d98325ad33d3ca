//! What `deploy/` holds must fit the code.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use incident_commander::checkout::{FaultScenario, Settings};
use incident_commander::config::Config;
use incident_commander::slack::scopes;
use serde_json::Value;

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

#[test]
fn the_example_configuration_is_accepted() {
    let text = fs::read_to_string(root().join("deploy/commander.example.toml")).unwrap();
    let config = Config::parse(&text).unwrap();
    assert_eq!(config.incidents, Config::default().incidents, "the example shows the defaults");
    assert!(config.service("checkout-service").is_some());
}

/// Actions of a policy.
pub fn granted(file: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(root().join("deploy").join(file)).unwrap();
    let policy: Value = serde_json::from_str(&text).unwrap();
    let actions = policy["Statement"][0]["Action"].as_array().unwrap();
    actions.iter().map(|action| action.as_str().unwrap().to_owned()).collect()
}

pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

/// Every `service:Action` that the AWS room names as a call of its own.
fn called() -> BTreeSet<String> {
    let mut called = BTreeSet::new();
    for entry in files_below(&root().join("src/aws")) {
        let text = fs::read_to_string(entry).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        for quoted in code.split('"').skip(1).step_by(2) {
            let Some((service, action)) = quoted.split_once(':') else { continue };
            let plain = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric());
            if plain(service) && plain(action) && action.starts_with(|c: char| c.is_ascii_uppercase()) {
                called.insert(quoted.to_owned());
            }
        }
    }
    called
}

#[test]
fn the_policies_grant_what_the_code_calls_and_no_more() {
    let granted: BTreeSet<String> =
        granted("iam-read.json").union(&granted("iam-write.json")).cloned().collect();
    let mut called = called();
    // Asked only where `[aws] service_tag` names a key: `doctor --policy` grants it then, and the file that is shipped does not.
    assert!(called.remove("tag:GetResources"), "tags are read where a key is configured");
    assert_eq!(granted, called);
}

#[test]
fn writing_grants_nothing_that_reads() {
    for action in granted("iam-write.json") {
        let verb = action.split(':').nth(1).unwrap();
        assert!(!["Get", "List", "Describe"].iter().any(|read| verb.starts_with(read)), "{action}");
    }
}

#[test]
fn reading_grants_nothing_that_changes_anything() {
    for action in granted("iam-read.json") {
        let verb = action.split(':').nth(1).unwrap();
        let reads = ["Get", "BatchGet", "List", "Describe", "Lookup", "Filter", "StartQuery", "StopQuery"];
        assert!(reads.iter().any(|read| verb.starts_with(read)), "{action}");
    }
}

/// CloudFormation has no tables whose keys hold a `_`: its conditions are read by hand, and pinned here.
#[test]
fn the_demo_stacks_set_what_each_scenario_of_the_service_is() {
    let terraform = fs::read_to_string(root().join("deploy/terraform/demo/main.tf")).unwrap();
    let stack = fs::read_to_string(root().join("deploy/cloudformation/demo.yaml")).unwrap();
    for scenario in FaultScenario::ALL {
        let Settings { db_pool_size, max_concurrent, .. } = Settings::of(scenario);
        let row = format!("{{ size = \"{db_pool_size}\", callers = \"{max_concurrent}\" }}");
        let told = terraform.lines().any(|line| {
            line.trim_start().split(' ').next() == Some(scenario.as_str()) && line.ends_with(&row)
        });
        assert!(told, "{}: {row}", scenario.as_str());
    }
    let sizes: Vec<u32> = FaultScenario::ALL.map(|scenario| Settings::of(scenario).db_pool_size).into();
    assert_eq!(sizes, [10, 3, 5, 10, 2]);
    for line in [
        "AllowedValues: [normal, db_pool_exhaustion, deployment_config_bug, memory_leak, cascading_failure]",
        "db_pool_size: !If [ConnectionsAreFew, \"3\", !If [DeploymentIsBad, \"5\", !If [FailureSpreads, \"2\", \"10\"]]]",
        "max_concurrent: !If [DeploymentIsBad, \"8\", !If [FailureSpreads, \"10\", \"5\"]]",
    ] {
        assert!(stack.contains(line), "{line}");
    }
}

#[test]
fn the_page_of_commands_tells_every_command_that_help_tells() {
    let page = fs::read_to_string(root().join("docs/commands.md")).unwrap();
    for (typed, does) in incident_commander::intake::command::COMMANDS {
        assert!(page.contains(&format!("| `{typed}` | {does} |")), "{typed}");
    }
}

/// The methods of Slack's Web API that the Slack room names as calls of its own.
fn slack_methods() -> BTreeSet<String> {
    let mut called = BTreeSet::new();
    for entry in files_below(&root().join("src/slack")) {
        // The table itself calls nothing.
        if entry.ends_with("scopes.rs") {
            continue;
        }
        let text = fs::read_to_string(entry).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        for quoted in code.split('"').skip(1).step_by(2) {
            let families =
                ["apps", "auth", "bots", "chat", "conversations", "files", "pins", "reactions", "team"];
            let more = ["usergroups", "users", "views"];
            let Some((family, method)) = quoted.split_once('.') else { continue };
            let known = families.iter().chain(&more).any(|one| *one == family);
            if known && !method.is_empty() && method.chars().all(|c| c.is_ascii_alphabetic() || c == '.') {
                called.insert(quoted.to_owned());
            }
        }
    }
    called
}

#[test]
fn every_call_to_slack_stands_in_the_table_of_scopes() {
    let table: BTreeSet<String> = scopes::METHODS.iter().map(|(method, ..)| (*method).to_owned()).collect();
    assert_eq!(table, slack_methods());
}

/// The entries of a list in the manifest, without the remarks after them.
fn listed(manifest: &str, key: &str) -> BTreeSet<String> {
    let lines = manifest.lines().map(|line| line.split(" #").next().unwrap().trim_end());
    let after = lines.skip_while(|line| line.trim() != format!("{key}:")).skip(1);
    let entries = after.map(str::trim).take_while(|line| line.starts_with("- ") || line.is_empty());
    entries.filter_map(|line| line.strip_prefix("- ")).map(str::to_owned).collect()
}

#[test]
fn the_manifest_asks_for_what_the_code_needs_and_no_more() {
    let manifest = fs::read_to_string(root().join("deploy/slack-manifest.yaml")).unwrap();
    let needed: BTreeSet<String> = scopes::needed().into_keys().map(str::to_owned).collect();
    assert_eq!(listed(&manifest, "bot"), needed);
    let heard: BTreeSet<String> = scopes::EVENTS.iter().map(|(event, ..)| (*event).to_owned()).collect();
    assert_eq!(listed(&manifest, "bot_events"), heard);
    let intake = fs::read_to_string(root().join("src/intake/interaction.rs")).unwrap();
    assert!(manifest.contains("callback_id: investigate_this") && intake.contains("\"investigate_this\""));
    assert!(manifest.contains("- command: /investigate\n"));
}
