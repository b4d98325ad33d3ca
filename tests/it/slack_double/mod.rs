//! The Slack-compatible endpoint, over loopback, with plain HTTP on both sides.
//!
//! The rule that is not obvious: nothing here knows the bot. A small receiver stands in for it, so
//! that what is tested is what crosses the wire.

mod library;
mod people;
mod web_api;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use incident_commander::demo::slack::fault::{Fault, FaultKind};
use incident_commander::demo::slack::pace::{Pace, Rate};
use incident_commander::demo::slack::workspace::id;
use incident_commander::demo::slack::{
    Action, Author, Chosen, Options, Place, SlackWorld, Submitted, UserError,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// Far longer than anything takes; only a failure waits for it.
const LONG: Duration = Duration::from_secs(20);
const SECRET: &str = "signing-secret";

struct Slack {
    world: SlackWorld,
    api: String,
    client: reqwest::Client,
}

impl Slack {
    async fn start(options: Options) -> Self {
        let world = SlackWorld::new(options);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api = world.serve(listener).unwrap();
        Self { world, api, client: reqwest::Client::new() }
    }

    async fn unhurried() -> Self {
        Self::start(Options { pace: Pace::unlimited(), ..Options::default() }).await
    }

    async fn send(&self, method: &str, body: &Value) -> reqwest::Response {
        let request = self.client.post(format!("{}/{method}", self.api)).bearer_auth("xoxb-demo");
        request.json(body).send().await.unwrap()
    }

    async fn post(&self, method: &str, body: Value) -> Value {
        self.send(method, &body).await.json().await.unwrap()
    }

    async fn get(&self, method: &str, query: &[(&str, &str)]) -> Value {
        let request = self.client.get(format!("{}/{method}", self.api)).bearer_auth("xoxb-demo");
        request.query(query).send().await.unwrap().json().await.unwrap()
    }

    async fn post_text(&self, text: &str) -> String {
        let answer = self.post("chat.postMessage", json!({"channel": id::ALERTS, "text": text})).await;
        assert_eq!(answer["ok"], true, "{answer}");
        answer["ts"].as_str().unwrap().to_owned()
    }
}

/// One request that the bot's stand-in received.
#[derive(Debug)]
struct Received {
    path: String,
    headers: HeaderMap,
    body: String,
}

impl Received {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    fn form(&self) -> Vec<(String, String)> {
        let url = reqwest::Url::parse(&format!("http://form/?{}", self.body)).unwrap();
        url.query_pairs().into_owned().collect()
    }

    fn field(&self, name: &str) -> String {
        self.form().into_iter().find(|(key, _)| key == name).map(|(_, value)| value).unwrap()
    }

    fn payload(&self) -> Value {
        serde_json::from_str(&self.field("payload")).unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

type Answers = Arc<Mutex<Vec<(StatusCode, Value)>>>;

/// Stands in for the bot: keeps what comes, answers as scripted, else 200 without a body.
struct Receiver {
    requests: mpsc::UnboundedReceiver<Received>,
    answers: Answers,
}

impl Receiver {
    async fn start(world: &SlackWorld) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, requests) = mpsc::unbounded_channel();
        let answers = Answers::default();
        let scripted = answers.clone();
        let app = axum::Router::new().fallback(move |uri: Uri, headers: HeaderMap, body: Bytes| {
            let (sender, scripted) = (sender.clone(), scripted.clone());
            async move {
                let body = String::from_utf8(body.to_vec()).unwrap();
                sender.send(Received { path: uri.path().to_owned(), headers, body }).unwrap();
                let next = scripted.lock().unwrap().pop();
                let answer: Response = match next {
                    Some((status, Value::Null)) => status.into_response(),
                    Some((status, body)) => (status, axum::Json(body)).into_response(),
                    None => StatusCode::OK.into_response(),
                };
                answer
            }
        });
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        world.set_bot(&format!("http://{address}"), SECRET);
        Self { requests, answers }
    }

    /// Answers to the next requests, the first one first.
    fn answer(&self, answers: &[(u16, Value)]) {
        let answers = answers.iter().rev();
        *self.answers.lock().unwrap() =
            answers.map(|(status, body)| (StatusCode::from_u16(*status).unwrap(), body.clone())).collect();
    }

    async fn next(&mut self) -> Received {
        tokio::time::timeout(LONG, self.requests.recv()).await.expect("a request").unwrap()
    }
}

fn section(text: &str) -> Value {
    json!({"type": "section", "text": {"type": "mrkdwn", "text": text}})
}

fn button(action_id: &str) -> Value {
    json!({"type": "button", "action_id": action_id, "value": "v1", "text": {"type": "plain_text", "text": "Go"}})
}

fn actions(elements: &[Value]) -> Value {
    json!({"type": "actions", "elements": elements})
}

fn long(count: usize) -> String {
    "x".repeat(count)
}
