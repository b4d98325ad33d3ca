//! Socket Mode: the same story as over HTTP, on lines that break, refresh and bring things twice.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use incident_commander::app::Bot;
use incident_commander::clock::Clock;
use incident_commander::config::{Config, Secret, Settings};
use incident_commander::demo::headless::tell_story;
use incident_commander::demo::slack::workspace::id;
use incident_commander::demo::slack::{Options, SlackWorld};
use incident_commander::demo::story::{self, Past};
use incident_commander::demo::{Addresses, Composition, Transport};
use incident_commander::slack::Slack;
use incident_commander::slack::socket::{Answer, Envelope, SocketMode, Timing};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::house::{PATIENCE, settings};

/// A workspace that sends again quickly, so that no test waits for minutes.
pub fn hurried() -> Options {
    Options { retry_after: vec![Duration::from_millis(200); 50], ..Options::default() }
}

async fn linked(slack: &SlackWorld, count: u64) {
    let what = format!("connection number {count}");
    slack.wait_for(&what, PATIENCE, |slack| (slack.links_opened() >= count).then_some(())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_story_is_told_over_lines_that_break() {
    let story = story::find("deployment-config-bug").unwrap();
    let free = Addresses::from(SocketAddr::from(([127, 0, 0, 1], 0)));
    let past = Past::default();
    let demo = Composition::start_over(Transport::SocketMode, story, past, free, &|_, _| None).await.unwrap();
    let slack = demo.slack.clone();
    linked(&slack, 1).await;
    let events = AtomicUsize::new(0);
    // The line breaks as soon as the alarm is taken in, while the bot investigates.
    let breaking = async {
        let taken = |slack: &SlackWorld| {
            slack.deliveries().iter().any(|each| each.kind == "message" && each.acknowledged).then_some(())
        };
        slack.wait_for("the alarm to be taken in", PATIENCE, taken).await.unwrap();
        slack.cut_links();
    };
    let disturb = |_: &str| match events.fetch_add(1, Ordering::SeqCst) {
        // The result is there: the line is refreshed, and Slack tells of the alarm once more.
        0 => {
            slack.disconnect_links("refresh_requested");
            let alarm = slack.deliveries().into_iter().find(|each| each.kind == "message").unwrap();
            assert!(slack.redeliver(&alarm.id));
        }
        // After the stranger's click: the approver's goes through while yet another line is being opened.
        2 => {
            let slack = slack.clone();
            tokio::spawn(async move {
                linked(&slack, 3).await;
                slack.disconnect_links("warning");
            });
        }
        _ => {}
    };
    let told = tell_story(&demo, &disturb);
    let (ending, ()) = tokio::join!(told, breaking);
    let opened = slack.links_opened();
    demo.stop().await;
    let ending = ending.unwrap();
    let failing: Vec<_> = ending.criteria.iter().filter(|criterion| !criterion.holds).collect();
    assert!(failing.is_empty(), "{failing:#?}\n{:#}", ending.incident);
    assert_eq!(ending.incident["alerts_received"], 1, "what came twice counts once");
    assert!(opened >= 4, "each end of a line is followed by another one: {opened}");
}

/// A bot with Socket Mode and nothing else, and its workspace.
pub struct Room {
    pub slack: SlackWorld,
    pub bot: Bot,
    settings: Settings,
    clock: Clock,
    /// Held, because the database is in it.
    folder: tempfile::TempDir,
}

impl Room {
    async fn open() -> Self {
        Self::open_with("").await
    }

    /// With more in the configuration file.
    pub async fn open_with(config: &str) -> Self {
        let slack = SlackWorld::new(hurried());
        slack.use_socket_mode();
        let api = slack.serve(TcpListener::bind("127.0.0.1:0").await.unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut settings = settings(folder.path());
        settings.slack_signing_secret = None;
        settings.slack_bot_token = Some(Secret::Value("xoxb-demo".into()));
        settings.slack_app_token = Some(Secret::Value("xapp-demo".into()));
        settings.slack_api_url = Some(api);
        settings.config.services = Config::parse(config).unwrap().services;
        settings.config.slack.alert_channels = vec![id::ALERTS.into()];
        let clock = Clock::starting_at("2026-02-06T12:18:00Z".parse().unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let bot = Bot::start(settings.clone(), clock.clone(), listener, None).await.unwrap();
        linked(&slack, 1).await;
        Self { slack, bot, settings, clock, folder }
    }

    /// The bot ends, and another one starts on the same database.
    pub async fn restart(self) -> Self {
        let Self { slack, bot, settings, clock, folder } = self;
        let before = slack.links_opened();
        bot.stop().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let bot = Bot::start(settings.clone(), clock.clone(), listener, None).await.unwrap();
        linked(&slack, before + 1).await;
        Self { slack, bot, settings, clock, folder }
    }

    fn alarm(&self, service: &str) {
        self.alert("FIRING:1", service);
    }

    /// Another bot posts an alert; its message's `ts`.
    pub fn alert(&self, state: &str, service: &str) -> String {
        let text = format!("[{state}] HighErrorRate ({service} critical)\nservice: {service}");
        self.slack.post_alert_message(id::ALERTS, id::CLOUDWATCH, &json!({ "text": text })).unwrap()
    }

    /// Waits until everything that Slack sent so far was acknowledged.
    pub async fn settled(&self) {
        let all = |slack: &SlackWorld| slack.deliveries().iter().all(|each| each.acknowledged).then_some(());
        self.slack.wait_for("the acknowledgements", PATIENCE, all).await.unwrap();
    }

    pub async fn incidents(&self) -> Vec<(String, i64)> {
        let list = self.bot.store().list(100).await.unwrap();
        let mut found: Vec<(String, i64)> =
            list.into_iter().map(|line| (line.service, line.alerts_received)).collect();
        found.sort();
        found
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_acknowledged_is_on_disk_and_counted_once() {
    let room = Room::open().await;
    room.alarm("checkout");
    room.settled().await;
    assert_eq!(room.incidents().await, [("checkout".into(), 1)]);
    let event = room.slack.deliveries().into_iter().find(|each| each.kind == "message").unwrap();
    assert!(room.slack.redeliver(&event.id));
    let twice = |slack: &SlackWorld| {
        slack.deliveries().into_iter().find(|each| each.id == event.id && each.attempts.len() == 2)
    };
    room.slack.wait_for("the second delivery", PATIENCE, twice).await.unwrap();
    assert_eq!(room.incidents().await, [("checkout".into(), 1)]);
    room.bot.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_while_lines_break_under_load() {
    let room = Room::open().await;
    for number in 0..20 {
        room.alarm(&format!("service-{number:02}"));
        if number % 5 == 2 {
            room.slack.cut_links();
        }
    }
    room.settled().await;
    let expected: Vec<(String, i64)> = (0..20).map(|number| (format!("service-{number:02}"), 1)).collect();
    assert_eq!(room.incidents().await, expected);
    assert!(room.slack.links_opened() >= 2);
    room.bot.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_and_forms_get_their_answers_in_the_acknowledgement() {
    let room = Room::open().await;
    let outcome = room.slack.slash(id::APPROVER, id::ALERTS, "/investigate", "help").await.unwrap();
    assert!(outcome.acknowledged());
    let answer = room.slack.private_answer(&outcome, PATIENCE).await.unwrap();
    assert!(answer.message.blocks.iter().any(|block| block.to_string().contains("/investigate list")));
    room.slack.slash(id::APPROVER, id::ALERTS, "/investigate", "").await.unwrap();
    let form = room.slack.modal(id::APPROVER).expect("the form is open");
    assert_eq!(form.body["callback_id"], "investigate");
    room.bot.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_that_make_no_sense_change_nothing() {
    let room = Room::open().await;
    for frame in ["", "[1", "{}", "null", r#"{"type":"events_api"}"#, r#"{"type":"tea","envelope_id":"E1"}"#]
    {
        room.slack.send_to_links(frame);
    }
    room.slack
        .send_to_links(&json!({ "type": "events_api", "envelope_id": "E2", "payload": [1] }).to_string());
    room.alarm("checkout");
    room.settled().await;
    assert_eq!(room.slack.links_opened(), 1, "the line holds");
    room.bot.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn once_it_is_switched_off_slack_is_left_in_peace() {
    let room = Room::open().await;
    let before = room.slack.counters()["apps.connections.open"].calls;
    room.slack.disconnect_links("link_disabled");
    room.slack
        .wait_for("the end of the line", PATIENCE, |slack| (slack.links() == 0).then_some(()))
        .await
        .unwrap();
    // The bot ends at once although it waits a minute before it asks again.
    tokio::time::timeout(PATIENCE, room.bot.stop()).await.unwrap();
    assert_eq!(room.slack.counters()["apps.connections.open"].calls, before);
}

/// A line without a bot behind it: what it does with envelopes is the test's.
pub struct Line {
    pub slack: SlackWorld,
    /// Whether Slack can reach us.
    pub reachable: watch::Receiver<bool>,
    pub stop: CancellationToken,
}

impl Line {
    async fn open<H, F>(timing: Timing, handle: H) -> Self
    where
        H: Fn(Envelope) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Answer> + Send + 'static,
    {
        let line = Self::begin(SlackWorld::new(hurried()), timing, handle).await;
        linked(&line.slack, 1).await;
        line
    }

    /// It begins to open a connection, whatever comes of that.
    pub async fn begin<H, F>(slack: SlackWorld, timing: Timing, handle: H) -> Self
    where
        H: Fn(Envelope) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Answer> + Send + 'static,
    {
        slack.use_socket_mode();
        let api = slack.serve(TcpListener::bind("127.0.0.1:0").await.unwrap()).unwrap();
        let stop = CancellationToken::new();
        let (tell, reachable) = watch::channel(false);
        let mode = SocketMode {
            slack: Slack::connect(Some(&api), None).unwrap(),
            app_token: Secret::Value("xapp-demo".into()),
            timing,
            handle,
            reachable: Arc::new(move |is_reachable| {
                tell.send_replace(is_reachable);
            }),
            stop: stop.clone(),
        };
        tokio::spawn(mode.run());
        Self { slack, reachable, stop }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_handler_keeps_nobody_waiting() {
    let go_on = Arc::new(Notify::new());
    let held = go_on.clone();
    let line = Line::open(Timing::default(), move |envelope: Envelope| {
        let held = held.clone();
        async move {
            if envelope.payload["text"] == "slow" {
                held.notified().await;
            }
            Answer::Acknowledge(None)
        }
    })
    .await;
    let slow = line.slack.slash(id::APPROVER, id::ALERTS, "/investigate", "slow");
    let quick = async {
        let outcome = line.slack.slash(id::STRANGER, id::ALERTS, "/investigate", "quick").await.unwrap();
        go_on.notify_one();
        outcome
    };
    let (slow, quick) = tokio::join!(slow, quick);
    assert!(quick.acknowledged() && slow.unwrap().acknowledged());
    line.stop.cancel();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_could_not_be_stored_is_not_acknowledged_and_comes_again() {
    let seen = Arc::new(AtomicUsize::new(0));
    let count = seen.clone();
    let line = Line::open(Timing::default(), move |envelope: Envelope| {
        let attempt = count.fetch_add(1, Ordering::SeqCst);
        async move {
            assert_eq!(envelope.retry, attempt as u64);
            if attempt == 0 { Answer::Withhold } else { Answer::Acknowledge(None) }
        }
    })
    .await;
    line.slack.open_home(id::APPROVER).unwrap();
    let done = |slack: &SlackWorld| slack.deliveries().into_iter().find(|each| each.finished);
    let delivery = line.slack.wait_for("the acknowledgement", PATIENCE, done).await.unwrap();
    assert_eq!(delivery.attempts, [Err("timed out".to_owned()), Ok(200)]);
    line.stop.cancel();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_went_silent_is_replaced() {
    let timing = Timing {
        ping_every: Duration::from_millis(50),
        silent_after: Duration::from_millis(300),
        ..Timing::default()
    };
    let line = Line::open(timing, |_: Envelope| async { Answer::Acknowledge(None) }).await;
    line.slack.freeze_links();
    linked(&line.slack, 2).await;
    line.stop.cancel();
}
