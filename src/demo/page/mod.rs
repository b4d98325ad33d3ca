//! The page that `demo` serves: the channel as Slack would show it, beside the checkout service's
//! live figures, with buttons that start things.
//!
//! The rule that is not obvious: it reads and writes the Slack-compatible workspace only, as a Slack
//! client would. It knows no message of the bot's; what it draws is decided by block type alone.

mod deeds;
mod live;

use std::collections::BTreeMap;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};

use super::slack::SlackWorld;

/// One moment of the checkout service.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ServicePoint {
    pub at: Timestamp,
    /// Requests in this interval.
    pub requests: f64,
    /// Share of them that failed, 0 to 1.
    pub error_rate: f64,
    /// Milliseconds.
    pub p99_ms: f64,
}

/// A moment worth a line in the charts: a deployment, a rollback.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mark {
    pub at: Timestamp,
    pub label: String,
}

/// The checkout service as the driver sees it now.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ServiceView {
    pub name: String,
    pub version: String,
    /// Oldest first, at even intervals; the page draws all of them.
    pub points: Vec<ServicePoint>,
    pub marks: Vec<Mark>,
    pub config: BTreeMap<String, String>,
    /// The scenario that is being played.
    pub scenario: String,
    /// What the driver is doing at the moment, in a few words.
    pub activity: Option<String>,
}

/// What somebody asks the driver for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Command {
    SendOrders { count: u32 },
    DeployBadConfiguration,
    StartScenario { name: String },
}

/// A scenario that the page offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Scenario {
    /// As after `demo --scenario`.
    pub name: String,
    /// One sentence on what happens in it.
    pub about: String,
}

#[derive(Debug, Clone)]
pub struct PageState {
    pub slack: SlackWorld,
    pub service: watch::Receiver<ServiceView>,
    pub commands: mpsc::Sender<Command>,
    pub scenarios: Vec<Scenario>,
    /// The channel that is shown first.
    pub channel: String,
}

/// The page's files: path, type, content.
const ASSETS: [(&str, &str, &str); 13] = [
    ("style.css", CSS, include_str!("style.css")),
    ("layout.css", CSS, include_str!("layout.css")),
    ("main.js", JS, include_str!("main.js")),
    ("dom.js", JS, include_str!("dom.js")),
    ("channel.js", JS, include_str!("channel.js")),
    ("message.js", JS, include_str!("message.js")),
    ("blocks.js", JS, include_str!("blocks.js")),
    ("elements.js", JS, include_str!("elements.js")),
    ("text.js", JS, include_str!("text.js")),
    ("emoji.js", JS, include_str!("emoji.js")),
    ("composer.js", JS, include_str!("composer.js")),
    ("dialogs.js", JS, include_str!("dialogs.js")),
    ("service.js", JS, include_str!("service.js")),
];
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";

/// Nothing from elsewhere, nothing inline: text of a message could not run even if it became markup.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// `GET /` and everything under `/page/`.
pub fn router(state: PageState) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/page/asset/{name}", get(asset))
        .route("/page/file/{id}", get(file))
        .route("/page/live", get(live::stream))
        .route("/page/message", post(deeds::message))
        .route("/page/action", post(deeds::action))
        .route("/page/suggest", post(deeds::suggest))
        .route("/page/shortcut", post(deeds::shortcut))
        .route("/page/view/submit", post(deeds::submit_view))
        .route("/page/view/close", post(deeds::close_view))
        .route("/page/home", post(deeds::open_home))
        .route("/page/command", post(deeds::command))
        .layer(from_fn(guard))
        .with_state(state)
}

/// Refuses what another site's page sends through this browser, and adds the policy to every answer.
async fn guard(request: Request, next: Next) -> Response {
    if is_foreign(request.headers()) {
        return (StatusCode::FORBIDDEN, "this page answers only to itself").into_response();
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

fn is_foreign(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    text(header::ORIGIN).is_some_and(|origin| {
        let host = origin.split_once("://").map_or(origin, |(_, host)| host);
        Some(host) != text(header::HOST)
    })
}

async fn index() -> Response {
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], include_str!("index.html")).into_response()
}

async fn asset(Path(name): Path<String>) -> Response {
    match ASSETS.iter().find(|(path, ..)| *path == name) {
        Some((_, kind, content)) => ([(header::CONTENT_TYPE, *kind)], *content).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// An uploaded file. Only images are given as what they are: anything else could be a page.
async fn file(State(page): State<PageState>, Path(id): Path<String>) -> Response {
    let Some((kind, content)) = page.slack.file(&id) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let kind = if kind.starts_with("image/") { kind } else { "application/octet-stream" };
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    (headers, content).into_response()
}
