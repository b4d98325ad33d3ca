//! Who is let in, before anything of a body is read; and how much of a body is, for how long.
//!
//! The rule that is not obvious: a signature is of the body, so that Slack's and SNS's bodies are read before they are
//! believed. What can be told without them is told first: whether there is a signature at all and whether it looks
//! like one, whether the topic is ours.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use subtle::ConstantTimeEq;
use tokio::time::Instant;

use super::failures::Failures;
use super::{Edge, Shared, error};
use crate::slack::inbound::{SIGNATURE, SIGNED_AT, looks_signed};

/// Larger than any alert, SNS message or Slack body by far (Slack's own messages end at 40 kB of text).
pub(super) const BODY_MAX: usize = 1024 * 1024;
/// Firehose sends up to what its buffer holds, and a third more in base64: five megabytes unless it is told otherwise.
pub(super) const LOGS_BODY_MAX: usize = 8 * 1024 * 1024;
/// Where Firehose carries its key.
const ACCESS_KEY: &str = "x-amz-firehose-access-key";
/// Slack's check of a certificate, which it does not sign, is a handful of fields.
const UNSIGNED_MAX: usize = 4 * 1024;
/// A body of the largest size over a slow line; whoever needs longer holds a place that others need.
const BODY_WITHIN: Duration = Duration::from_secs(10);

/// Where a request came from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub Option<IpAddr>);

impl Peer {
    pub fn of(request: &Request) -> Self {
        Self(request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip()))
    }
}

/// Routes that need the token, once there is one.
pub(super) async fn token(State(edge): Shared, request: Request, next: Next) -> Response {
    let route = if request.uri().path().starts_with("/incidents") { "incidents" } else { "alert" };
    if let Err(refused) = authorise(&edge, request.headers(), Peer::of(&request), route) {
        return refused;
    }
    bounded(request, next, BODY_MAX).await
}

/// Routes that Slack signs.
pub(super) async fn slack(State(edge): Shared, request: Request, next: Next) -> Response {
    if is_signed(request.headers()) {
        return bounded(request, next, BODY_MAX).await;
    }
    // Slack checks the certificate without a signature, at the address of the commands alone.
    if request.uri().path() == "/slack/commands" {
        return bounded(request, next, UNSIGNED_MAX).await;
    }
    edge.refuse(Peer::of(&request), "slack", StatusCode::UNAUTHORIZED, "a request without Slack's signature")
}

fn is_signed(headers: &HeaderMap) -> bool {
    let given = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    looks_signed(given(SIGNATURE), given(SIGNED_AT))
}

/// The route that Amazon SNS posts to. Its messages are signed inside; the header that names the topic is not, and
/// spares a body that would be refused for it.
pub(super) async fn sns(State(edge): Shared, request: Request, next: Next) -> Response {
    let Some(inbox) = &edge.sns else {
        return error(StatusCode::NOT_FOUND, "no topic is configured: [aws] topics");
    };
    let topic = request.headers().get("x-amz-sns-topic-arn").map(|value| value.to_str().unwrap_or_default());
    if topic.is_some_and(|topic| !inbox.is_listed(topic)) {
        return edge.refuse(Peer::of(&request), "sns", StatusCode::FORBIDDEN, "the topic is not on the list");
    }
    bounded(request, next, BODY_MAX).await
}

/// The route of log subscriptions: the token comes as Firehose's access key, or as a forwarder's bearer token. What a
/// forwarder compresses is unpacked behind the gate, to a limit of its own.
pub(super) async fn logs(State(edge): Shared, request: Request, next: Next) -> Response {
    let key = request.headers().get(ACCESS_KEY).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let given = [key, bearer(request.headers())];
    let needed = "the access key is not the alert token";
    match let_in(&edge, request.headers(), given, Peer::of(&request), ("logs", needed)) {
        Ok(()) => bounded_to(request, next, LOGS_BODY_MAX).await,
        Err(refused) => super::logs::refused(&edge, request.headers(), &refused, needed),
    }
}

/// Lets a request on with its body read, or answers why it was not: too large, too slow, compressed.
async fn bounded(request: Request, next: Next, limit: usize) -> Response {
    let encoding = request.headers().get(header::CONTENT_ENCODING).map(|value| value.to_str().unwrap_or("?"));
    if encoding.is_some_and(|encoding| !encoding.trim().eq_ignore_ascii_case("identity")) {
        // Nobody whom this serves compresses; what is unpacked could be of any size.
        return error(StatusCode::UNSUPPORTED_MEDIA_TYPE, "compressed bodies are not read");
    }
    bounded_to(request, next, limit).await
}

async fn bounded_to(request: Request, next: Next, limit: usize) -> Response {
    let (mut parts, body) = request.into_parts();
    let declared =
        parts.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|declared| declared > limit as u64) {
        return too_large(limit);
    }
    let read = Limited::new(body, limit).collect();
    let bytes = match tokio::time::timeout(BODY_WITHIN, read).await {
        Ok(Ok(collected)) => collected.to_bytes(),
        Ok(Err(failure)) if failure.downcast_ref::<LengthLimitError>().is_some() => return too_large(limit),
        Ok(Err(_)) => return error(StatusCode::BAD_REQUEST, "the body broke off"),
        Err(_) => return error(StatusCode::REQUEST_TIMEOUT, "the body took longer than 10 s"),
    };
    parts.headers.remove(header::TRANSFER_ENCODING);
    next.run(Request::from_parts(parts, Body::from(bytes))).await
}

fn too_large(limit: usize) -> Response {
    error(StatusCode::PAYLOAD_TOO_LARGE, &format!("a body may have {limit} bytes"))
}

fn bearer(headers: &HeaderMap) -> &str {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    given.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default()
}

fn authorise(edge: &Edge, headers: &HeaderMap, peer: Peer, route: &'static str) -> Result<(), Response> {
    let needed = "an Authorization header with the right bearer token is needed";
    let_in(edge, headers, [bearer(headers)], peer, (route, needed))
}

/// Lets through whoever carries the token. Where none is configured, the listener is reached from this machine alone,
/// and a page in a browser on it is still a stranger: browsers say so.
fn let_in<const N: usize>(
    edge: &Edge,
    headers: &HeaderMap,
    given: [&str; N],
    peer: Peer,
    (route, needed): (&'static str, &str),
) -> Result<(), Response> {
    let Some(secret) = &edge.alert_token else {
        let foreign = headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site");
        return if foreign {
            Err(edge.refuse(peer, route, StatusCode::FORBIDDEN, "a page of another site asks for this"))
        } else {
            Ok(())
        };
    };
    let token = secret.read().map_err(|failure| {
        tracing::error!(error = %failure, "the alert token cannot be read");
        error(StatusCode::INTERNAL_SERVER_ERROR, "the token is not readable here")
    })?;
    let is_token = |given: &&str| bool::from(given.as_bytes().ct_eq(token.as_bytes()));
    if !token.is_empty() && given.iter().any(is_token) {
        Ok(())
    } else {
        Err(edge.refuse(peer, route, StatusCode::UNAUTHORIZED, needed))
    }
}

impl Edge {
    /// Answers a request that is not let in. Beyond what one address may fail, the answer says nothing but that.
    pub(super) fn refuse(
        self: &Edge,
        peer: Peer,
        route: &'static str,
        status: StatusCode,
        message: &str,
    ) -> Response {
        self.metrics.count_of("authentications_failed", route);
        if self.failures.allow(peer.0, Instant::now()) {
            tracing::warn!(route, reason = message, "a request is not let in");
            return error(status, message);
        }
        self.metrics.count_of("requests_limited", route);
        let wait = Failures::retry_after().as_secs().to_string();
        let mut answer = error(StatusCode::TOO_MANY_REQUESTS, "too many failed attempts from this address");
        if let Ok(wait) = wait.parse() {
            answer.headers_mut().insert(header::RETRY_AFTER, wait);
        }
        answer.into_response()
    }
}

/// The peer of a request, for handlers that learn from the body that it is not believed.
impl<S: Send + Sync> axum::extract::FromRequestParts<S> for Peer {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut axum::http::request::Parts,
        _: &S,
    ) -> Result<Self, std::convert::Infallible> {
        Ok(Self(parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip())))
    }
}
