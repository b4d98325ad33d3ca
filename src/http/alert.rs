//! `POST /alert` and `POST /`: any Content-Type, because `curl -d` sends a form's.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Edge, Shared, error};
use crate::domain::alert::{Alert, AlertError, AlertState};
use crate::domain::incident::IncidentId;
use crate::intake::reading;
use crate::store::{Accepted, Origin, Resolved};

/// Longer than any investigation; a client that waits longer is told to look again.
const WAIT_MAX: Duration = Duration::from_secs(120);

#[derive(Debug, Deserialize)]
pub(super) struct Options {
    /// Seconds to wait for the verdict.
    wait: Option<f64>,
}

pub(super) async fn accept(
    State(edge): Shared,
    options: Result<Query<Options>, QueryRejection>,
    body: Bytes,
) -> Response {
    let read = serde_json::from_slice(&body).map_err(|error| AlertError::NotJson(error.to_string()));
    let (alert, state) = match read
        .and_then(|body: Value| Alert::from_json(&body).map(|alert| (alert, reading::read(&body).state)))
    {
        Ok(read) => read,
        Err(reason) => {
            edge.metrics.count("alerts_refused");
            return error(StatusCode::BAD_REQUEST, &reason.to_string());
        }
    };
    if state == Some(AlertState::Resolved) {
        return resolved(&edge, &alert).await;
    }
    let accepted = match edge.desk.alert(alert, Origin::default()).await {
        Ok(accepted) => accepted,
        Err(failure) => {
            tracing::error!(error = %failure, "an alert cannot be stored");
            return error(StatusCode::SERVICE_UNAVAILABLE, "the alert could not be stored; send it again");
        }
    };
    edge.metrics.count("alerts_accepted");
    if let Accepted::Held { until } = accepted {
        edge.metrics.count("alerts_held");
        let body = json!({ "incident": null, "status": "muted", "until": until });
        return (StatusCode::ACCEPTED, axum::Json(body)).into_response();
    }
    let Some(id) = accepted.incident() else {
        return error(StatusCode::CONFLICT, "this delivery was accepted before");
    };
    // A `wait` that is no number is no reason to lose an alert that is stored already.
    let wait = options
        .ok()
        .and_then(|Query(options)| options.wait)
        .filter(|wait| wait.is_finite() && *wait > 0.0)
        .map(|wait| Duration::from_secs_f64(wait.min(WAIT_MAX.as_secs_f64())));
    if let Some(wait) = wait
        && let Some(answer) = verdict_within(&edge, id, wait).await
    {
        return answer;
    }
    let url = format!("{}/incidents/{id}", edge.public_url);
    let body = json!({ "incident": id, "status": "investigating", "url": url });
    (StatusCode::ACCEPTED, axum::Json(body)).into_response()
}

/// The alert is over: what became of the incident that it belongs to.
async fn resolved(edge: &Edge, alert: &Alert) -> Response {
    match edge.desk.resolve(alert, vec![alert.service.clone()], None).await {
        Ok(Resolved::Incidents { closed, open }) => {
            edge.metrics.count("alerts_accepted");
            let incident = closed.first().or(open.first());
            let status = if closed.is_empty() && !open.is_empty() { "open" } else { "resolved" };
            let body = json!({ "incident": incident, "status": status, "closed": closed });
            (StatusCode::ACCEPTED, axum::Json(body)).into_response()
        }
        Ok(Resolved::Duplicate) => error(StatusCode::CONFLICT, "this delivery was accepted before"),
        Err(failure) => {
            tracing::error!(error = %failure, "that an alert resolved cannot be stored");
            error(StatusCode::SERVICE_UNAVAILABLE, "the alert could not be stored; send it again")
        }
    }
}

/// The stored incident with its report as Markdown, as soon as it has a verdict.
async fn verdict_within(edge: &Arc<Edge>, id: IncidentId, wait: Duration) -> Option<Response> {
    let mut steps = edge.steps_done.clone();
    let deadline = tokio::time::Instant::now() + wait;
    loop {
        // Seen before the look: a step that ends during the look wakes the next wait.
        steps.borrow_and_update();
        let row = edge.desk.store.incident_row(id).await.ok().flatten()?;
        if !row.awaits_verdict
            && let Some(report) = &row.report
        {
            let markdown = crate::report::markdown(report);
            let incident = edge.desk.store.incident(id).await.ok().flatten()?;
            let mut body = serde_json::to_value(&incident).ok()?;
            body["incident"] = json!(id);
            body["status"] = json!(row.state);
            body["report"] = json!(markdown);
            body["url"] = json!(format!("{}/incidents/{id}", edge.public_url));
            return Some((StatusCode::OK, axum::Json(body)).into_response());
        }
        tokio::select! {
            changed = tokio::time::timeout_at(deadline, steps.changed()) => {
                if !matches!(changed, Ok(Ok(()))) {
                    return None;
                }
            }
            () = edge.stop.cancelled() => return None,
        }
    }
}
