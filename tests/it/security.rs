//! The threat model in `docs/security.md` names tests that exist, dependencies come from the registry, and no secret
//! of the evidence goes further than the call that needs it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use incident_commander::demo::aws::Identity;
use incident_commander::domain::incident::IncidentId;
use incident_commander::store::Store;

use crate::aws_account::{ACCOUNT, Account, FUNCTION, GROUP, at, environment};
use crate::house::House;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn each_test_that_the_threat_model_names_exists() {
    let mut files = Vec::new();
    for folder in ["src", "tests/it"] {
        rust_files(&root().join(folder), &mut files);
    }
    let all: String = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    let page = fs::read_to_string(root().join("docs/security.md")).unwrap();
    // Names of tests are sentences.
    let is_name = |text: &&str| {
        text.matches('_').count() >= 3 && text.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase())
    };
    let names: BTreeSet<&str> = page.split('`').skip(1).step_by(2).filter(is_name).collect();
    assert!(names.len() > 20, "{names:?}");
    let missing: Vec<&&str> = names.iter().filter(|name| !all.contains(&format!("fn {name}("))).collect();
    assert!(missing.is_empty(), "{missing:?}");
    let rows = page.lines().filter(|line| line.starts_with("| ") && line.matches('|').count() == 5);
    let bare: Vec<&str> =
        rows.skip(1).filter(|row| !row.starts_with("| ---") && !row.contains('`')).collect();
    assert!(bare.is_empty(), "no boundary without a test: {bare:?}");
    for file in page
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|text| text.starts_with("tests/") || text.starts_with("src/"))
    {
        assert!(root().join(file).exists(), "{file}");
    }
}

#[test]
fn every_dependency_comes_from_the_registry() {
    for file in ["Cargo.lock", "fuzz/Cargo.lock"] {
        let lock: toml::Table = fs::read_to_string(root().join(file)).unwrap().parse().unwrap();
        let packages = lock["package"].as_array().unwrap();
        let foreign: Vec<&toml::Value> = packages
            .iter()
            .filter(|package| match package.get("source").and_then(toml::Value::as_str) {
                Some(source) => source != "registry+https://github.com/rust-lang/crates.io-index",
                None => !package["name"].as_str().unwrap().starts_with(env!("CARGO_PKG_NAME")),
            })
            .collect();
        assert!(packages.len() > 100 && foreign.is_empty(), "{file}: {foreign:?}");
    }
}

/// `fuzz/` has a lock file of its own; where it falls behind, other code is fuzzed than is handed out.
#[test]
fn what_is_fuzzed_by_coverage_is_made_of_the_same_versions() {
    let table = |file: &str| fs::read_to_string(root().join(file)).unwrap().parse::<toml::Table>().unwrap();
    let versions = |lock: &toml::Table| -> BTreeSet<(String, String)> {
        let text = |package: &toml::Value, key: &str| package[key].as_str().unwrap().to_owned();
        let packages = lock["package"].as_array().unwrap().iter();
        packages.map(|package| (text(package, "name"), text(package, "version"))).collect()
    };
    let lock = table("fuzz/Cargo.lock");
    let (shipped, fuzzed) = (versions(&table("Cargo.lock")), versions(&lock));
    let names = |locked: &BTreeSet<(String, String)>| -> BTreeSet<String> {
        locked.iter().map(|(name, _)| name.clone()).collect()
    };
    let of_its_own = &names(&fuzzed) - &names(&shipped);
    let other: Vec<_> =
        (&fuzzed - &shipped).into_iter().filter(|(name, _)| !of_its_own.contains(name)).collect();
    assert!(other.is_empty(), "{other:?}");
    let own = |package: &&toml::Value| package["name"].as_str() == Some(env!("CARGO_PKG_NAME"));
    let known =
        lock["package"].as_array().unwrap().iter().find(own).unwrap()["dependencies"].as_array().unwrap();
    // Where there are several of a name, its version follows.
    let known: BTreeSet<&str> =
        known.iter().filter_map(|dependency| dependency.as_str()?.split(' ').next()).collect();
    let manifest = table("Cargo.toml");
    let is_needed = |(_, of): &(&String, &toml::Value)| of.get("optional").is_none();
    let needed: BTreeSet<&str> = manifest["dependencies"]
        .as_table()
        .unwrap()
        .iter()
        .filter(is_needed)
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(needed, known, "`cargo fuzz build` brings them in");
}

#[tokio::test]
async fn no_secret_of_the_evidence_is_stored_shown_or_exported() {
    let account = Account::open().await;
    account.deploy_checkout();
    let alice = Identity::user(ACCOUNT, "alice");
    let with_password = |password: &str| {
        let mut environment = environment("5");
        environment.insert("DB_PASSWORD".to_owned(), password.to_owned());
        environment.insert("DB_URL".to_owned(), format!("postgres://app:{password}@db.internal/orders"));
        environment
    };
    let world = &account.world;
    for (password, hour) in [("hunter2-before", "12:05:00"), ("hunter2-after", "12:10:00")] {
        world.update_function_environment(FUNCTION, with_password(password), &alice, at(hour)).unwrap();
    }
    let line = "ERROR login failed: password=hunter2-after key xoxb-123456789012-abcdefABCDEF request 7";
    world.put_log(GROUP, "2026/02/06/[2]9f8e", at("12:14:00"), line.to_owned());
    let mut database = String::new();
    let house = House::open(|settings| {
        settings.aws_endpoint_url = Some(account.url.clone());
        let key = settings.aws_credentials.as_mut().unwrap();
        key.id.clone_from(&account.access_key);
        database.clone_from(&settings.database_url);
    })
    .await;
    let alert = format!(
        r#"{{"service": "{FUNCTION}", "alert_name": "Login token=hunter2-alert", "triggered_at": "2026-02-06T12:15:00Z"}}"#
    );
    let (status, answer) = house.post("/alert?wait=60", alert).await;
    assert_eq!(status, 200, "{answer}");
    let store = Store::open_beside(&database).await.unwrap();
    let files = store.evidence(IncidentId(1)).await.unwrap();
    let versions = String::from_utf8(files[&format!("lambda/{FUNCTION}/versions.json")].clone()).unwrap();
    assert!(versions.contains("\"DB_PASSWORD\"") && versions.contains("app:****"), "it was read: {versions}");
    assert!(files.get("logs.ndjson").is_some_and(|lines| !lines.is_empty()), "lines were read");
    let mut everything = answer.to_string();
    everything.extend(files.values().map(|file| String::from_utf8_lossy(file).into_owned()));
    everything.push_str(&house.get("/incidents/INC-1?format=markdown").await.1.to_string());
    let file = database.trim_start_matches("sqlite://");
    for part in [file.to_owned(), format!("{file}-wal")] {
        everything.push_str(&String::from_utf8_lossy(&fs::read(part).unwrap_or_default()));
    }
    for secret in ["hunter2", "xoxb-123456789012"] {
        let at = everything
            .find(secret)
            .map(|at| everything[at.saturating_sub(80)..].chars().take(200).collect::<String>());
        assert_eq!(at, None, "{secret} is in clear");
    }
}
