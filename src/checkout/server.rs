//! The service over HTTP: `POST /` takes an order, whatever its Content-Type says.
//!
//! An order that was read is taken to its end even if the client goes away: it runs as a task of
//! its own, as a payment would.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use serde_json::json;

use super::order::{Failure, Order};
use super::service::Service;

/// An order is a few hundred bytes; what is beyond 64 KiB is none.
const BODY_LIMIT: usize = 64 * 1024;

pub fn router(service: Arc<Service>) -> Router {
    Router::new()
        .route("/", post(place))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/metrics", get(metrics))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(service)
}

async fn place(State(service): State<Arc<Service>>, body: Result<Bytes, BytesRejection>) -> Response {
    let body = match body {
        Ok(body) => body,
        Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            let error = format!("the body is larger than {BODY_LIMIT} bytes");
            return answer(StatusCode::PAYLOAD_TOO_LARGE, json!({ "error": error }));
        }
        Err(rejection) => return answer(rejection.status(), json!({ "error": rejection.body_text() })),
    };
    let (status, body) = take(&service, &body).await;
    answer(status, body)
}

/// Reads an order, takes it to its end and says what came of it, by whichever way it came.
pub(super) async fn take(service: &Arc<Service>, body: &[u8]) -> (StatusCode, serde_json::Value) {
    let order = match Order::from_body(body) {
        Ok(order) => order,
        Err(error) => {
            let body = json!({ "error": error.to_string(), "field": error.field() });
            return (StatusCode::BAD_REQUEST, body);
        }
    };
    let order_id = order.id.clone();
    let service = Arc::clone(service);
    let outcome = tokio::spawn(async move { service.place(order).await }).await;
    match outcome {
        Ok(Ok(receipt)) => {
            let took = receipt.took.as_millis() as u64;
            let body = json!({ "order_id": order_id, "status": "confirmed", "number": receipt.number, "duration_ms": took });
            (StatusCode::OK, body)
        }
        Ok(Err(failure)) => {
            let body = json!({ "order_id": order_id, "status": "failed", "error": failure.to_string() });
            (status_of(&failure), body)
        }
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, json!({ "error": "the order was cut short" })),
    }
}

fn status_of(failure: &Failure) -> StatusCode {
    match failure {
        Failure::Refused | Failure::PoolExhausted => StatusCode::SERVICE_UNAVAILABLE,
        Failure::RowLocked => StatusCode::GATEWAY_TIMEOUT,
        Failure::Payment => StatusCode::BAD_GATEWAY,
        Failure::Database(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

async fn metrics(State(service): State<Arc<Service>>) -> String {
    service.counters().render()
}

fn answer(status: StatusCode, body: serde_json::Value) -> Response {
    (status, Json(body)).into_response()
}
