//! `serve` itself, as people start it: beside others, and until it is told to end.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use incident_commander::demo::aws::{Fault, WorldClock, WorldOptions};
use incident_commander::demo::slack::SlackWorld;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::aws_account::Account;
use crate::house::PATIENCE;

/// The program that was built.
pub struct Serve {
    pub child: Child,
    pub url: String,
}

/// What it is started with.
#[derive(Clone)]
pub struct Surroundings {
    pub folder: PathBuf,
    pub aws: String,
    pub access_key: String,
    pub slack_api: Option<String>,
}

/// Any command of the program, in these surroundings.
pub fn command(at: &Surroundings, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_incident-commander"));
    command
        .args(arguments)
        .env_clear()
        .env("DATABASE_URL", format!("sqlite://{}", at.folder.join("bot.db").display()))
        .env("COMMANDER_LISTEN", "127.0.0.1:0")
        .env("COMMANDER_CONFIG", at.folder.join("commander.toml"))
        .env("AWS_ENDPOINT_URL", &at.aws)
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", &at.access_key)
        .env("AWS_SECRET_ACCESS_KEY", "any")
        .env("RUST_LOG", "incident_commander=info")
        .kill_on_drop(true);
    if let Some(api) = &at.slack_api {
        command
            .env("SLACK_API_URL", api)
            .env("SLACK_BOT_TOKEN", "xoxb-demo")
            .env("SLACK_SIGNING_SECRET", "signing");
    }
    command
}

impl Serve {
    pub async fn start(at: &Surroundings) -> Self {
        Self::run(command(at, &["serve"])).await
    }

    /// Runs this command until it listens.
    pub async fn run(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let listening = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                let line: Value = serde_json::from_str(&line).unwrap_or_default();
                if line["message"] == "listening" {
                    return line["address"].as_str().unwrap().to_owned();
                }
            }
            panic!("it ended before it listened");
        };
        let address = tokio::time::timeout(PATIENCE, listening).await.expect("it listens");
        // Whoever writes to a full pipe waits.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { child, url: format!("http://{address}") }
    }

    /// `kill -9`.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// It is told to end, and does.
    pub async fn end(mut self) {
        let told = format!("kill -TERM {}", self.child.id().unwrap());
        assert!(std::process::Command::new("sh").args(["-c", &told]).status().unwrap().success());
        // Ten seconds are what is promised to whoever manages the process.
        let ended = tokio::time::timeout(Duration::from_secs(10), self.child.wait()).await;
        assert_eq!(ended.expect("it ends").unwrap().code(), Some(0));
    }
}

/// Surroundings with an account in which nothing is, and without Slack.
pub async fn surroundings(
    folder: &Path,
    config: &str,
    slack: Option<&SlackWorld>,
) -> (Account, Surroundings) {
    std::fs::write(folder.join("commander.toml"), config).unwrap();
    let account = Account::with(WorldOptions::immediate(WorldClock::real())).await;
    let slack_api = match slack {
        Some(slack) => {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            Some(slack.serve(listener).unwrap())
        }
        None => None,
    };
    let at = Surroundings {
        folder: folder.to_owned(),
        aws: account.url.clone(),
        access_key: account.access_key.clone(),
        slack_api,
    };
    (account, at)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_serves_a_database_the_others_look_and_it_ends_when_it_is_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let (account, at) = surroundings(folder.path(), "", None).await;
    let serve = Serve::start(&at).await;

    let second = command(&at, &["serve"]).output().await.unwrap();
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(said.contains("in use by another incident-commander"), "{said}");

    // Nothing of AWS ever answers, and somebody waits for the verdict.
    account.world.rate_fault("*", 1.0, Fault::Hang);
    let body = r#"{"service": "checkout", "triggered_at": "2026-02-06T12:07:00Z"}"#;
    let waiting = reqwest::Client::new().post(format!("{}/alert?wait=100", serve.url)).body(body).send();
    let waiting = tokio::spawn(waiting);
    let copy = folder.path().join("copy.db");
    let begun = async {
        // Who it is itself is asked at its start.
        while account.world.all_calls().keys().all(|name| name.starts_with("sts:")) {
            tokio::time::sleep(super::GLANCE).await;
        }
    };
    tokio::time::timeout(PATIENCE, begun).await.expect("the investigation begins");
    for arguments in [
        &["incidents", "list"][..],
        &["incidents", "show", "INC-1"],
        &["jobs", "list"],
        &["mutes", "list"],
        &["jobs", "retry", "--all"],
        &["backup", copy.to_str().unwrap()],
    ] {
        let done = command(&at, arguments).output().await.unwrap();
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    }
    let again = command(&at, &["backup", copy.to_str().unwrap()]).output().await.unwrap();
    assert_eq!(again.status.code(), Some(1), "a copy that is there is not replaced");
    let nothing = command(&at, &["jobs", "retry", "99"]).output().await.unwrap();
    assert_eq!(nothing.status.code(), Some(1));
    let misused = command(&at, &["jobs", "retry"]).output().await.unwrap();
    assert_eq!(misused.status.code(), Some(2));

    serve.end().await;
    assert_eq!(waiting.await.unwrap().unwrap().status().as_u16(), 202, "who waited is told where to look");
    let again = Serve::start(&at).await;
    let incident = reqwest::get(format!("{}/incidents/INC-1", again.url)).await.unwrap();
    assert_eq!(incident.json::<Value>().await.unwrap()["state"], "investigating", "it goes on");
}
