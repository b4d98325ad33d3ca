//! `POST /aws/logs`: lines that a CloudWatch Logs subscription delivers, by Firehose or a forwarder.
//!
//! The rule that is not obvious: Firehose sends again whatever is not answered 200 with its own request id in JSON, so
//! every answer has that shape, refusals too.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::{Edge, Shared};
use crate::intake::Heard;
use crate::intake::aws_logs::{self, Refused};

const REQUEST_ID: &str = "x-amz-firehose-request-id";

pub(super) async fn receive(State(edge): Shared, headers: HeaderMap, body: Bytes) -> Response {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let now = edge.desk.clock.now();
    let answer =
        |status: StatusCode, request: &str, wrong: Option<&str>| shaped(&edge, status, request, wrong);
    let request = text(REQUEST_ID).to_owned();
    let packed = text(header::CONTENT_ENCODING.as_str()).eq_ignore_ascii_case("gzip");
    let fresh = uuid::Uuid::new_v4().to_string();
    // Unpacking and reading lines is work for a processor: it holds up nobody who waits for the network.
    let read = tokio::task::spawn_blocking(move || {
        let delivery = aws_logs::read(&body, packed)?;
        let counts = delivery.counts(now);
        Ok::<_, Refused>((delivery.request, counts))
    });
    let (named, counts) = match read.await {
        Ok(Ok(read)) => read,
        Ok(Err(refused)) => {
            edge.metrics.count("logs_refused");
            tracing::warn!(reason = %refused, "a delivery to /aws/logs is refused");
            let status = match refused {
                Refused::Unreadable(_) => StatusCode::BAD_REQUEST,
                Refused::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            };
            return answer(status, &request, Some(&refused.to_string()));
        }
        Err(failure) => {
            tracing::error!(error = %failure, "a delivery to /aws/logs could not be read");
            return answer(StatusCode::INTERNAL_SERVER_ERROR, &request, Some("it could not be read"));
        }
    };
    // A forwarder that names no request cannot deliver the same twice.
    let request = if request.is_empty() { named.unwrap_or(fresh) } else { request };
    match edge.desk.aws_logs(&request, &counts).await {
        Ok(heard) => {
            for one in &heard {
                if let Heard::Incident(_) = one {
                    edge.metrics.count("alerts_accepted");
                }
            }
            answer(StatusCode::OK, &request, None)
        }
        Err(failure) => {
            tracing::error!(error = %failure, "a delivery to /aws/logs cannot be stored");
            answer(StatusCode::SERVICE_UNAVAILABLE, &request, Some("not stored; send it again"))
        }
    }
}

/// An answer in the shape that Firehose reads.
fn shaped(edge: &Edge, status: StatusCode, request: &str, wrong: Option<&str>) -> Response {
    let now = edge.desk.clock.now().as_millisecond();
    (status, axum::Json(json!({"requestId": request, "timestamp": now, "errorMessage": wrong})))
        .into_response()
}

/// What the gate refused, in the same shape.
pub(super) fn refused(edge: &Edge, headers: &HeaderMap, refused: &Response, why: &str) -> Response {
    let request = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut answer = shaped(edge, refused.status(), request, Some(why));
    if let Some(wait) = refused.headers().get(header::RETRY_AFTER) {
        answer.headers_mut().insert(header::RETRY_AFTER, wait.clone());
    }
    answer
}
