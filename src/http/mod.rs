//! The inbound edge: verify, store, answer. Nothing here waits for anybody but the database.
//!
//! Invariant: an answer of 2xx to an alert, an event or a click means that it is on disk.

mod alert;
mod logs;
mod slack;
mod sns;
pub mod socket;

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::json;
use subtle::ConstantTimeEq;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tower_http::limit::RequestBodyLimitLayer;

use crate::config::Secret;
use crate::domain::incident::IncidentId;
use crate::intake::Desk;

/// Larger than any alert or Slack body by far (Slack's own messages end at 40 kB of text).
const BODY_MAX: usize = 1024 * 1024;

/// Firehose sends up to what its buffer holds, and a third more in base64: five megabytes unless it is told otherwise.
const LOGS_BODY_MAX: usize = 8 * 1024 * 1024;

/// Messages that Slack refused for good, as `/readyz` names them: the newest.
const UNDELIVERED_SHOWN: i64 = 5;

/// What the routes need.
#[derive(Debug, Clone)]
pub struct Edge {
    pub desk: Desk,
    pub alert_token: Option<Secret>,
    pub slack_signing_secret: Option<Secret>,
    /// Present where a topic is configured.
    pub sns: Option<crate::aws::sns::Inbox>,
    /// When the trail last told of a forged click, in epoch milliseconds.
    pub forged_at: Arc<std::sync::atomic::AtomicI64>,
    /// What links in answers begin with.
    pub public_url: String,
    /// Changes whenever a worker finished a step.
    pub steps_done: watch::Receiver<u64>,
    /// True while the workers live.
    pub workers: Arc<std::sync::atomic::AtomicBool>,
    pub metrics: Arc<crate::telemetry::Metrics>,
    /// Cancelled where the process is to end: nobody waits for a verdict any more.
    pub stop: CancellationToken,
}

/// All routes of the bot.
pub fn router(edge: Edge) -> Router {
    let mut router = Router::new()
        .route("/alert", post(alert::accept))
        .route("/", post(alert::accept))
        .route("/aws/sns", post(sns::receive))
        .route("/incidents/{id}", get(incident))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics));
    if edge.slack_signing_secret.is_some() {
        router = router
            .route("/slack/events", post(slack::events))
            .route("/slack/commands", post(slack::commands))
            .route("/slack/interactions", post(slack::interactions));
    }
    // Outside everything: a body is cut off before anybody reads it, signed or not.
    let lines = Router::new()
        .route("/aws/logs", post(logs::receive))
        .layer(DefaultBodyLimit::max(LOGS_BODY_MAX))
        .layer(RequestBodyLimitLayer::new(LOGS_BODY_MAX));
    router.layer(RequestBodyLimitLayer::new(BODY_MAX)).merge(lines).with_state(Arc::new(edge))
}

type Shared = State<Arc<Edge>>;

#[derive(Debug, serde::Deserialize)]
struct Shown {
    /// `json`, which is the default, or `markdown`.
    format: Option<String>,
}

async fn incident(
    State(edge): Shared,
    headers: HeaderMap,
    Path(id): Path<String>,
    shown: Result<Query<Shown>, QueryRejection>,
) -> Response {
    if let Err(refused) = authorise(&edge, &headers) {
        return refused;
    }
    let Ok(id) = id.parse::<IncidentId>() else {
        return error(StatusCode::NOT_FOUND, "that is no incident's name: INC-7 is");
    };
    match shown.ok().and_then(|Query(shown)| shown.format).as_deref() {
        None | Some("json") => {}
        Some("markdown") => return markdown(&edge, id).await,
        Some(_) => return error(StatusCode::BAD_REQUEST, "`format` is json or markdown"),
    }
    match edge.desk.store.incident(id).await {
        Ok(Some(incident)) => axum::Json(incident).into_response(),
        Ok(None) => error(StatusCode::NOT_FOUND, &format!("{id} is not known")),
        Err(failure) => {
            tracing::error!(error = %failure, incident = %id, "an incident cannot be read");
            error(StatusCode::INTERNAL_SERVER_ERROR, "the database cannot be read")
        }
    }
}

/// The report as a person reads it.
async fn markdown(edge: &Edge, id: IncidentId) -> Response {
    match edge.desk.store.incident_row(id).await {
        Ok(Some(row)) => match &row.report {
            Some(report) => {
                let body = crate::report::markdown(report);
                ([(header::CONTENT_TYPE, "text/markdown; charset=utf-8")], body).into_response()
            }
            None => error(StatusCode::NOT_FOUND, &format!("{id} has no verdict yet")),
        },
        Ok(None) => error(StatusCode::NOT_FOUND, &format!("{id} is not known")),
        Err(failure) => {
            tracing::error!(error = %failure, incident = %id, "an incident cannot be read");
            error(StatusCode::INTERNAL_SERVER_ERROR, "the database cannot be read")
        }
    }
}

async fn ready(State(edge): Shared) -> Response {
    let written = edge.desk.store.pulse(edge.desk.clock.now()).await;
    let database = written.is_ok();
    let workers = edge.workers.load(std::sync::atomic::Ordering::SeqCst);
    let status = if database && workers { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let down: Vec<String> = edge.metrics.dependencies_down();
    let undelivered = edge.desk.store.undelivered(UNDELIVERED_SHOWN).await.unwrap_or_default();
    let mut body =
        json!({ "database": database, "workers": workers, "down": down, "undelivered": undelivered });
    if let Err(failure) = written {
        body["database_says"] = json!(failure.to_string());
    }
    (status, axum::Json(body)).into_response()
}

async fn metrics(State(edge): Shared) -> Response {
    let store = &edge.desk.store;
    let jobs = store.queue_depth().await.unwrap_or_default();
    let messages = store.outbox_depth().await.unwrap_or_default();
    let body = edge.metrics.render(&[
        ("jobs_waiting", "Jobs that wait to be done.", jobs.0),
        ("jobs_dead", "Jobs that were put aside after too many attempts.", jobs.1),
        ("messages_waiting", "Messages that Slack does not show yet.", messages.waiting),
        ("messages_dead", "Messages that Slack refused for good.", messages.dead),
    ]);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], body).into_response()
}

/// Lets through whoever carries the token, and anybody where none is configured.
fn authorise(edge: &Edge, headers: &HeaderMap) -> Result<(), Response> {
    let given = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .unwrap_or_default();
    if carries(edge, [given])? {
        Ok(())
    } else {
        Err(error(StatusCode::UNAUTHORIZED, "an Authorization header with the right bearer token is needed"))
    }
}

/// Whether one of these is the token; everything is where none is configured.
fn carries<const N: usize>(edge: &Edge, given: [&str; N]) -> Result<bool, Response> {
    let Some(secret) = &edge.alert_token else { return Ok(true) };
    let token = secret.read().map_err(|failure| {
        tracing::error!(error = %failure, "the alert token cannot be read");
        error(StatusCode::INTERNAL_SERVER_ERROR, "the token is not readable here")
    })?;
    Ok(given.iter().any(|given| bool::from(given.as_bytes().ct_eq(token.as_bytes()))))
}

fn error(status: StatusCode, message: &str) -> Response {
    (status, axum::Json(json!({ "error": message }))).into_response()
}
