//! The demo's page, as a browser meets it.

use std::time::Duration;

use incident_commander::demo::page::{Command, PageState, Scenario, ServiceView, router};
use incident_commander::demo::slack::workspace::id;
use incident_commander::demo::slack::{Options, SlackWorld};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

const LONG: Duration = Duration::from_secs(20);

struct Page {
    url: String,
    slack: SlackWorld,
    service: watch::Sender<ServiceView>,
    commands: mpsc::Receiver<Command>,
    client: reqwest::Client,
}

impl Page {
    async fn open() -> Self {
        let slack = SlackWorld::new(Options::default());
        let (service, view) = watch::channel(ServiceView::default());
        let (sender, commands) = mpsc::channel(1);
        let state = PageState {
            slack: slack.clone(),
            service: view,
            commands: sender,
            scenarios: vec![Scenario { name: "normal".into(), about: "Nothing happens.".into() }],
            channel: id::ALERTS.into(),
        };
        // As in the demo, something else answers `POST /` on the same address.
        let app = axum::Router::new().route("/", axum::routing::post(|| async { "an alert" }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = app.merge(router(state));
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, slack, service, commands, client: reqwest::Client::new() }
    }

    async fn get(&self, path: &str) -> reqwest::Response {
        self.client.get(format!("{}{path}", self.url)).send().await.unwrap()
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        let response =
            self.client.post(format!("{}/page/{path}", self.url)).json(&body).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap_or_default())
    }

    async fn live(&self, user: &str) -> Live {
        let response = self.get(&format!("/page/live?user={user}")).await;
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Live { response, text: String::new() }
    }
}

/// A stream of server-sent events.
struct Live {
    response: reqwest::Response,
    text: String,
}

impl Live {
    async fn next(&mut self) -> (String, Value) {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    event
                        .lines()
                        .find_map(|line| line.strip_prefix(name))
                        .unwrap_or_default()
                        .trim()
                        .to_owned()
                };
                let found = (field("event:"), field("data:"));
                let read = self.text.len() - rest.len();
                self.text.drain(..read);
                if !found.0.is_empty() {
                    return (found.0, serde_json::from_str(&found.1).unwrap());
                }
                continue;
            }
            let chunk = tokio::time::timeout(LONG, self.response.chunk()).await.expect("an event");
            self.text.push_str(std::str::from_utf8(&chunk.unwrap().unwrap()).unwrap());
        }
    }

    async fn named(&mut self, name: &str) -> Value {
        loop {
            let (event, data) = self.next().await;
            if event == name {
                return data;
            }
        }
    }
}

#[tokio::test]
async fn the_page_and_all_that_it_loads_come_from_here_under_a_strict_policy() {
    let page = Page::open().await;
    let index = page.get("/").await;
    let policy = index.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
    assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
    let html = index.text().await.unwrap();
    assert_eq!(html.matches("<script").count(), html.matches("<script type=\"module\" src=\"/page/").count());
    assert!(!html.contains("style="), "the policy would drop it");
    let mut wanted: Vec<String> =
        html.split('"').filter(|part| part.starts_with("/page/asset/")).map(str::to_owned).collect();
    assert!(wanted.len() >= 3);
    let mut seen = 0;
    while let Some(path) = wanted.get(seen).cloned() {
        seen += 1;
        let asset = page.get(&path).await;
        assert_eq!(asset.status(), 200, "{path}");
        let text = asset.text().await.unwrap();
        for import in text.lines().filter_map(|line| line.split_once("from './")) {
            let path = format!("/page/asset/{}", import.1.trim_end_matches("';"));
            if !wanted.contains(&path) {
                wanted.push(path);
            }
        }
    }
    assert!(seen >= 12, "{wanted:?}");
    assert_eq!(page.get("/page/asset/../Cargo.toml").await.status(), 404);
    let alert = page.client.post(&page.url).send().await.unwrap();
    assert_eq!(alert.text().await.unwrap(), "an alert");
}

#[tokio::test]
async fn another_sites_page_can_do_nothing_here() {
    let page = Page::open().await;
    let url = format!("{}/page/command", page.url);
    let body = json!({"kind": "deploy_bad_configuration"});
    let foreign = page.client.post(&url).header("origin", "https://elsewhere.example").json(&body);
    assert_eq!(foreign.send().await.unwrap().status(), 403);
    let form = page.client.post(&url).header("content-type", "text/plain").body(body.to_string());
    assert_eq!(form.send().await.unwrap().status(), 415, "what a plain form can send is not read");
    let own = page.client.post(&url).header("origin", &page.url).json(&body);
    assert_eq!(own.send().await.unwrap().status(), 202);
}

#[tokio::test]
async fn a_stream_begins_with_everything_and_goes_on_with_what_changes() {
    let mut page = Page::open().await;
    page.slack.user_message(id::DEVELOPER, id::ALERTS, "before", None).unwrap();
    let mut live = page.live(id::ON_CALL).await;
    let (first, all) = live.next().await;
    assert_eq!(first, "everything");
    assert_eq!(all["messages"][0]["text"], "before");
    assert_eq!(all["you"], id::ON_CALL);

    let sent = json!({"user": id::ON_CALL, "channel": id::ALERTS, "text": "<b>after</b>"});
    let (status, answer) = page.post("message", sent).await;
    assert_eq!(status, 200, "{answer}");
    let messages = live.named("messages").await;
    assert_eq!(messages[0]["text"], "&lt;b&gt;after&lt;/b&gt;");

    let ts = answer["ts"].as_str().unwrap();
    page.slack.user_message(id::APPROVER, id::ALERTS, "a reply", Some(ts)).unwrap();
    let both = live.named("messages").await;
    assert_eq!((&both[0]["reply_count"], &both[1]["text"]), (&json!(1), &json!("a reply")));

    let view = ServiceView { name: "checkout".into(), ..ServiceView::default() };
    page.service.send(view).unwrap();
    assert_eq!(live.named("service").await["name"], "checkout");
    assert!(page.commands.try_recv().is_err());
}

#[tokio::test]
async fn a_stream_ends_with_the_workspace() {
    let page = Page::open().await;
    let mut live = page.live(id::ON_CALL).await;
    live.named("everything").await;
    page.slack.stop().await;
    let rest = tokio::time::timeout(LONG, live.response.chunk()).await.expect("the end");
    assert_eq!(rest.unwrap(), None);
}

#[tokio::test]
async fn only_the_person_meant_is_sent_a_private_message() {
    let page = Page::open().await;
    let (mut hers, mut his) = (page.live(id::ON_CALL).await, page.live(id::STRANGER).await);
    hers.named("everything").await;
    his.named("everything").await;
    // No bot is set, so that Slack's own complaint is the private message.
    let typed = json!({"user": id::ON_CALL, "channel": id::ALERTS, "text": "/investigate checkout"});
    assert_eq!(page.post("message", typed).await, (200, json!({"acknowledged": false})));
    let private = hers.named("ephemerals").await;
    assert!(private[0]["text"].as_str().unwrap().contains("/investigate failed"), "{private}");
    page.slack.user_message(id::ON_CALL, id::ALERTS, "to all", None).unwrap();
    assert_eq!(his.next().await.0, "messages", "nothing came to him before");
}

#[tokio::test]
async fn what_cannot_be_done_is_said_in_words() {
    let page = Page::open().await;
    let ts = page.slack.user_message(id::ON_CALL, id::ALERTS, "first", None).unwrap();
    let in_thread =
        json!({"user": id::ON_CALL, "channel": id::ALERTS, "text": "/investigate x", "thread_ts": ts});
    let (status, answer) = page.post("message", in_thread).await;
    assert_eq!(status, 422);
    assert!(answer["error"].as_str().unwrap().contains("does not work in threads"));
    let unknown = json!({"user": id::ON_CALL, "channel": id::ALERTS, "text": "/deploy x"});
    assert_eq!(page.post("message", unknown).await.1["error"], "/deploy is not a valid command");
    let gone = json!({"user": id::ON_CALL, "place": {"kind": "message", "channel": id::ALERTS, "ts": ts},
        "deed": {"action_id": "rollback_approve"}});
    assert_eq!(page.post("action", gone).await.0, 422);
}

#[tokio::test]
async fn a_command_reaches_the_driver_and_a_busy_driver_says_so() {
    let mut page = Page::open().await;
    for refused in [
        json!({"kind": "send_orders", "count": 0}),
        json!({"kind": "send_orders", "count": 100_000}),
        json!({"kind": "start_scenario", "name": "no-such"}),
    ] {
        assert_eq!(page.post("command", refused).await.0, 422);
    }
    assert_eq!(page.post("command", json!({"kind": "send_orders", "count": 50})).await.0, 202);
    let (status, busy) = page.post("command", json!({"kind": "start_scenario", "name": "normal"})).await;
    assert_eq!(status, 422);
    assert!(busy["error"].as_str().unwrap().contains("busy"));
    assert_eq!(page.commands.recv().await, Some(Command::SendOrders { count: 50 }));
    assert_eq!(page.post("command", json!({"kind": "start_scenario", "name": "normal"})).await.0, 202);
}
