//! The inbound edge: verify, store, answer. Nothing here waits for anybody but the database.
//!
//! Invariant: an answer of 2xx to an alert, an event or a click means that it is on disk.

mod alert;
mod failures;
mod gate;
pub mod health;
pub mod listen;
mod logs;
mod slack;
mod sns;
pub mod socket;

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::json;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use self::failures::Failures;
pub use self::gate::{Bodies, foreign};
use self::health::Pulse;
use self::listen::Connections;
use crate::aws::Accounts;
use crate::config::Secret;
use crate::domain::incident::IncidentId;
use crate::intake::Desk;

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
    /// What links in answers begin with; without a token its host is one by which the bot may be asked.
    pub public_url: String,
    /// Changes whenever a worker finished a step.
    pub steps_done: watch::Receiver<u64>,
    /// True while the workers live.
    pub workers: Arc<std::sync::atomic::AtomicBool>,
    pub metrics: Arc<crate::telemetry::Metrics>,
    /// Cancelled where the process is to end: nobody waits for a verdict any more.
    pub stop: CancellationToken,
    /// Of authentications, by address.
    pub failures: Arc<Failures>,
    /// Of whoever is not known yet.
    pub bodies: Bodies,
    pub pulse: Arc<Pulse>,
    /// Knows which services of AWS answer.
    pub aws: Arc<Accounts>,
    pub connections: Connections,
    pub started_at: jiff::Timestamp,
}

/// All routes of the bot. Each but the last three passes a gate before its body is read.
pub fn router(edge: Edge) -> Router {
    let edge = Arc::new(edge);
    let tokened = Router::new()
        .route("/alert", post(alert::accept))
        .route("/", post(alert::accept))
        .route("/incidents/{id}", get(incident))
        .route_layer(from_fn_with_state(edge.clone(), gate::token));
    let from_sns = Router::new()
        .route("/aws/sns", post(sns::receive))
        .route_layer(from_fn_with_state(edge.clone(), gate::sns));
    let lines = Router::new()
        .route("/aws/logs", post(logs::receive))
        .layer(DefaultBodyLimit::max(gate::LOGS_BODY_MAX))
        .route_layer(from_fn_with_state(edge.clone(), gate::logs));
    let open = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .layer(map_response(async |answer| last(answer)));
    let mut router = tokened.merge(from_sns).merge(lines).merge(open);
    if edge.slack_signing_secret.is_some() {
        let from_slack = Router::new()
            .route("/slack/events", post(slack::events))
            .route("/slack/commands", post(slack::commands))
            .route("/slack/interactions", post(slack::interactions))
            .route_layer(from_fn_with_state(edge.clone(), gate::slack));
        router = router.merge(from_slack);
    }
    let unless_well =
        async |answer: Response| if answer.status().is_success() { answer } else { last(answer) };
    router.layer(map_response(unless_well)).with_state(edge)
}

/// Nothing follows on this connection: a stranger would hold its place, asking now and then.
fn last(mut answer: Response) -> Response {
    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    answer
}

type Shared = State<Arc<Edge>>;

#[derive(Debug, serde::Deserialize)]
struct Shown {
    /// `json`, which is the default, or `markdown`.
    format: Option<String>,
}

async fn incident(
    State(edge): Shared,
    Path(id): Path<String>,
    shown: Result<Query<Shown>, QueryRejection>,
) -> Response {
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

fn error(status: StatusCode, message: &str) -> Response {
    (status, axum::Json(json!({ "error": message }))).into_response()
}
