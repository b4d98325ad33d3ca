//! What `/readyz` and `/metrics` say to anybody who asks, while things are broken and after.

use std::process::Command;

use futures::future::join_all;
use incident_commander::app;
use incident_commander::aws::permissions;
use incident_commander::clock::Clock;
use incident_commander::demo::aws::{Fault, WorldClock, WorldOptions};
use incident_commander::demo::slack::pace::Pace;
use incident_commander::demo::slack::{Options, SlackWorld};
use incident_commander::domain::alert::Alert;
use incident_commander::store::{INVESTIGATIONS_AT_ONCE, NewAlert, Origin, Owed, Store, UndeliveredCause};
use incident_commander::worker::{Bench, step_once};
use jiff::SignedDuration;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::aws_account::{Account, at};
use crate::house::{House, between, serve};

/// A bot whose work is stepped by hand, and its address.
struct Stepped {
    bench: Bench,
    url: String,
    _slack: SlackWorld,
    _folder: tempfile::TempDir,
}

impl Stepped {
    async fn open(account: &Account) -> Self {
        let slack = SlackWorld::new(Options {
            clock: Some(WorldClock::manual(at("12:20:00"))),
            pace: Pace::unlimited(),
            ..Options::default()
        });
        let folder = tempfile::tempdir().unwrap();
        let settings = between(folder.path(), account, &slack).await;
        let bench = app::assemble(&settings, Clock::manual(at("12:20:00"))).await.unwrap();
        let url = serve(&bench, &settings).await;
        Self { bench, url, _slack: slack, _folder: folder }
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        House::answer(reqwest::Client::new().get(format!("{}{path}", self.url))).await
    }

    /// As many alerts as are investigated at once, each of another service.
    async fn investigate(&self, kind: &str) {
        let all = 0..INVESTIGATIONS_AT_ONCE;
        for number in all.clone() {
            let body = format!(r#"{{"service": "{kind}-{number}", "at": "2026-02-06T12:17:00Z"}}"#);
            let alert: Alert = serde_json::from_str(&body).unwrap();
            let new = NewAlert { alert, origin: Origin::default() };
            self.bench.store.accept(new, self.bench.clock.now()).await.unwrap();
        }
        let step = async |_| step_once(&self.bench).await.unwrap();
        while join_all(all.clone().map(step)).await.contains(&true) {}
    }
}

async fn account() -> Account {
    Account::with(WorldOptions::immediate(WorldClock::manual(at("12:20:00")))).await
}

fn out_of_order() -> Fault {
    Fault::Error { status: 500, code: "InternalFailure".into(), message: "no".into() }
}

#[tokio::test]
async fn aws_that_is_out_of_order_is_told_as_it_is_when_somebody_asks() {
    let account = account().await;
    let bot = Stepped::open(&account).await;
    bot.investigate("well").await;
    assert_eq!(bot.get("/readyz").await.1["down"], json!([]));
    let (_, page) = bot.get("/metrics").await;
    assert!(
        page.as_str().unwrap().contains("incident_commander_dependency_down{dependency=\"aws_ssm\"} 0\n")
    );

    account.world.rate_fault("*", 1.0, out_of_order());
    bot.investigate("ill").await;
    let (_, ready) = bot.get("/readyz").await;
    let down: Vec<&str> = ready["down"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(down.contains(&"aws_logs"), "each investigation asks for its own lines in two ways: {ready}");
    let (_, page) = bot.get("/metrics").await;
    for service in down {
        let line = format!("incident_commander_dependency_down{{dependency=\"{service}\"}} 1");
        assert!(page.as_str().unwrap().lines().any(|told| told == line), "{line}\n{page}");
    }
}

/// What was missing in each incident of these services, in words.
async fn gaps_of(bot: &Stepped, kind: &str) -> Vec<String> {
    let store = &bot.bench.store;
    let all = store.list(100).await.unwrap().into_iter().filter(|line| line.service.starts_with(kind));
    let all = all.map(async |line| store.incident(line.id).await.unwrap().unwrap().gaps);
    join_all(all).await.concat().into_iter().map(|gap| gap.reason).collect()
}

#[tokio::test]
async fn a_service_of_aws_that_is_out_of_order_is_not_called_and_the_report_says_so() {
    // By the SDK, and by hand.
    const SERVICES: [&str; 2] = ["logs", "codedeploy"];
    // A pause grows to a minute while they stay silent: in one of so many rounds a slow machine is within it too.
    const ROUNDS: usize = 6;
    let account = account().await;
    let bot = Stepped::open(&account).await;
    account.world.rate_fault("*", 1.0, out_of_order());
    let arrived = |service: &str| -> u64 {
        let all = account.world.all_calls().into_iter();
        all.filter(|(action, _)| action.starts_with(&format!("{service}:"))).map(|(_, calls)| calls).sum()
    };
    let mut left = Vec::from(SERVICES);
    for round in 0..ROUNDS {
        let before = SERVICES.map(arrived);
        bot.investigate(&format!("ill-{round}")).await;
        let gaps = gaps_of(&bot, &format!("ill-{round}")).await;
        for (service, before) in SERVICES.into_iter().zip(before) {
            let says = |gap: &String| gap.contains(&format!("is not asked: {service} gave no answer"));
            if arrived(service) == before {
                assert!(gaps.iter().any(says), "{service}: {gaps:#?}");
                left.retain(|one| *one != service);
            }
        }
        if left.is_empty() {
            assert!(
                SERVICES.map(arrived).into_iter().all(|calls| calls >= 5),
                "it was asked before it was spared"
            );
            return;
        }
    }
    panic!("called in each of {ROUNDS} rounds: {left:?}");
}

#[tokio::test]
async fn every_service_of_aws_that_is_read_is_told_of() {
    let account = account().await;
    let clients = account.clients().await;
    let told: Vec<&str> = clients.answering().into_iter().map(|(name, _)| name).collect();
    let policy = permissions::policy(&clients);
    let actions = policy["Statement"][0]["Action"].as_array().unwrap();
    assert!(actions.len() > 20, "{policy}");
    for action in actions {
        let service = action.as_str().unwrap().split(':').next().unwrap();
        assert!(told.contains(&format!("aws_{service}").as_str()), "{action} is not among {told:?}");
    }
}

/// Slack refuses a message for good.
async fn refused(bot: &Stepped, purpose: &str) {
    let store = &bot.bench.store;
    let owed = Owed {
        purpose: purpose.into(),
        incident: None,
        channel: "C0CANARY".into(),
        thread_ts: None,
        body: json!({ "text": "canary" }),
        image: None,
        approval: None,
    };
    store.owe(&owed, bot.bench.clock.now()).await.unwrap();
    let candidate = store.candidates(bot.bench.clock.now()).await.unwrap().remove(0);
    let parcel = store.lease(&candidate, bot.bench.clock.now()).await.unwrap().unwrap();
    store.give_up(&parcel, UndeliveredCause::Place, true, "canary says channel_not_found").await.unwrap();
}

#[tokio::test]
async fn what_slack_refused_is_told_by_its_cause_and_in_nobodys_words() {
    let account = account().await;
    let bot = Stepped::open(&account).await;
    for purpose in ["mute/1", "mute/2"] {
        refused(&bot, purpose).await;
    }
    let (_, ready) = bot.get("/readyz").await;
    assert_eq!(ready["undelivered"], json!({ "place": 2 }), "{ready}");
    assert!(!ready.to_string().to_lowercase().contains("canary"), "{ready}");
}

#[tokio::test]
async fn what_cannot_be_counted_is_not_told_as_nothing() {
    let account = account().await;
    let bot = Stepped::open(&account).await;
    let line =
        |name: &'static str| move |line: &str| line.starts_with(&format!("incident_commander_{name} "));
    let (_, page) = bot.get("/metrics").await;
    assert!(page.as_str().unwrap().lines().any(line("jobs_dead")), "{page}");
    bot.bench.store.close().await;
    bot.bench.clock.advance(SignedDuration::from_secs(1));
    let (status, page) = bot.get("/metrics").await;
    let page = page.as_str().unwrap();
    assert_eq!(status, 200);
    for name in ["jobs_dead", "jobs_waiting", "messages_dead", "incidents_open", "approvals_waiting"] {
        assert!(!page.lines().any(line(name)), "{name}: {page}");
    }
    assert!(page.lines().any(line("database_failures_total")), "{page}");
    assert_eq!(bot.get("/readyz").await.1["database"], json!(false));
}

#[tokio::test]
async fn however_often_strangers_ask_the_database_is_asked_once_a_second() {
    let account = account().await;
    let bot = Stepped::open(&account).await;
    let told = async || {
        let (_, page) = bot.get("/metrics").await;
        let waiting = "incident_commander_jobs_waiting ";
        let waiting = page.as_str().unwrap().lines().find_map(|line| line.strip_prefix(waiting));
        (waiting.map(str::to_owned), bot.get("/readyz").await.1["undelivered"].clone())
    };
    let before = told().await;
    assert_eq!(before, (Some("0".to_owned()), json!({})));
    let body = r#"{"service": "checkout", "at": "2026-02-06T12:17:00Z"}"#;
    let alert: Alert = serde_json::from_str(body).unwrap();
    let (store, clock) = (&bot.bench.store, &bot.bench.clock);
    store.accept(NewAlert { alert, origin: Origin::default() }, clock.now()).await.unwrap();
    refused(&bot, "mute/1").await;
    assert_eq!(told().await, before);
    clock.advance(SignedDuration::from_secs(1));
    let (waiting, undelivered) = told().await;
    assert_ne!(waiting, before.0);
    assert_eq!(undelivered, json!({ "place": 1 }));
}

#[tokio::test]
async fn of_two_on_one_database_the_second_says_so_whichever_port_it_was_given() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("bot.db");
    let _first = Store::open(&format!("sqlite://{}", database.display())).await.unwrap();
    let link = folder.path().join("link.db");
    std::os::unix::fs::symlink(&database, &link).unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_incident-commander"))
        .arg("serve")
        .env_clear()
        .env("DATABASE_URL", format!("sqlite://{}", link.display()))
        .env("COMMANDER_LISTEN", taken.local_addr().unwrap().to_string())
        .env("AWS_REGION", "us-east-1")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("in use by another incident-commander"), "{said}");
}
