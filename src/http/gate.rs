//! Who is let in, before anything of a body is read; and how much of a body is, for how long.
//!
//! The rule that is not obvious: a signature is of the body, so that Slack's and SNS's bodies are read before they are
//! believed. What can be told without them is told first: whether there is a signature at all and whether it looks
//! like one, whether the topic is ours. What strangers' bodies hold together is bounded ([`Bodies`]).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt as _;
use subtle::ConstantTimeEq;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
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
pub(super) const UNSIGNED_MAX: usize = 4 * 1024;
/// What all bodies hold together whose senders are not known yet, beyond what each may: sixteen of the largest.
const UNKNOWN_MAX: usize = 16 * 1024 * 1024;
/// So much each of them may hold whoever else sends, so that nobody who floods keeps Slack's own bodies out, which are
/// smaller almost always. The number of connections bounds it.
const UNKNOWN_EACH: usize = 32 * 1024;
/// A body of the largest size over a slow line; whoever needs longer holds a place that others need.
const BODY_WITHIN: Duration = Duration::from_secs(10);

/// What bodies hold that are read before their senders are known. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Bodies(Arc<Semaphore>);

impl Default for Bodies {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(UNKNOWN_MAX)))
    }
}

/// A body as it is read, and its share of what strangers may hold together.
struct Held<'a> {
    bytes: Vec<u8>,
    of: Option<&'a Bodies>,
    share: Option<OwnedSemaphorePermit>,
}

impl<'a> Held<'a> {
    fn new(of: Option<&'a Bodies>) -> Self {
        Self { bytes: Vec::new(), of, share: None }
    }

    /// Takes more of it in; false where strangers hold too much. Nobody waits for room: those who hold some would wait
    /// for each other.
    fn take(&mut self, more: &[u8]) -> bool {
        let length = self.bytes.len() + more.len();
        if let Some(Bodies(room)) = self.of {
            let held = self.share.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
            let wanted = length.saturating_sub(UNKNOWN_EACH).saturating_sub(held);
            let Ok(more) = room.clone().try_acquire_many_owned(u32::try_from(wanted).unwrap_or(u32::MAX))
            else {
                return false;
            };
            match &mut self.share {
                Some(share) => share.merge(more),
                none => *none = Some(more),
            }
        }
        self.bytes.extend_from_slice(more);
        true
    }
}

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
    let needed = "an Authorization header with the right bearer token is needed";
    if let Err((refused, _)) = let_in(&edge, &request, [bearer(request.headers())], (route, needed)) {
        return refused;
    }
    bounded(request, next, BODY_MAX, None).await
}

/// Routes that Slack signs.
pub(super) async fn slack(State(edge): Shared, request: Request, next: Next) -> Response {
    if is_signed(request.headers()) {
        return bounded(request, next, BODY_MAX, Some(&edge.bodies)).await;
    }
    // Slack checks the certificate without a signature, at the address of the commands alone.
    if request.uri().path() == "/slack/commands" {
        return bounded(request, next, UNSIGNED_MAX, Some(&edge.bodies)).await;
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
    bounded(request, next, BODY_MAX, Some(&edge.bodies)).await
}

/// The route of log subscriptions: the token comes as Firehose's access key, or as a forwarder's bearer token. What a
/// forwarder compresses is unpacked behind the gate, to a limit of its own.
pub(super) async fn logs(State(edge): Shared, request: Request, next: Next) -> Response {
    let key = request.headers().get(ACCESS_KEY).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let given = [key, bearer(request.headers())];
    let needed = "the access key is not the alert token";
    match let_in(&edge, &request, given, ("logs", needed)) {
        Ok(()) => bounded_to(request, next, LOGS_BODY_MAX, None).await,
        Err((refused, why)) => super::logs::refused(&edge, request.headers(), &refused, why),
    }
}

/// Lets a request on with its body read, or answers why it was not: too large, too slow, compressed.
/// `unknown` bounds what it holds together with others', where nobody knows yet who sends it.
async fn bounded(request: Request, next: Next, limit: usize, unknown: Option<&Bodies>) -> Response {
    let encoding = request.headers().get(header::CONTENT_ENCODING).map(|value| value.to_str().unwrap_or("?"));
    if encoding.is_some_and(|encoding| !encoding.trim().eq_ignore_ascii_case("identity")) {
        // Nobody whom this serves compresses; what is unpacked could be of any size.
        return error(StatusCode::UNSUPPORTED_MEDIA_TYPE, "compressed bodies are not read");
    }
    bounded_to(request, next, limit, unknown).await
}

async fn bounded_to(request: Request, next: Next, limit: usize, unknown: Option<&Bodies>) -> Response {
    let (mut parts, body) = request.into_parts();
    let declared =
        parts.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|declared| declared > limit as u64) {
        return too_large(limit);
    }
    let mut held = Held::new(unknown);
    match tokio::time::timeout(BODY_WITHIN, read(body, &mut held, limit)).await {
        Ok(Ok(())) => {}
        Ok(Err(refused)) => return refused,
        Err(_) => return error(StatusCode::REQUEST_TIMEOUT, "the body took longer than 10 s"),
    }
    parts.headers.remove(header::TRANSFER_ENCODING);
    let Held { bytes, share, .. } = held;
    let answer = next.run(Request::from_parts(parts, Body::from(bytes))).await;
    // Its share is held until it is answered: whether it was signed is known by then.
    drop(share);
    answer
}

async fn read(mut body: Body, held: &mut Held<'_>, limit: usize) -> Result<(), Response> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| error(StatusCode::BAD_REQUEST, "the body broke off"))?;
        let Ok(more) = frame.into_data() else { continue };
        if held.bytes.len() + more.len() > limit {
            return Err(too_large(limit));
        }
        if !held.take(&more) {
            return Err(error(
                StatusCode::SERVICE_UNAVAILABLE,
                "too many bodies come at once: send it again",
            ));
        }
    }
    Ok(())
}

fn too_large(limit: usize) -> Response {
    error(StatusCode::PAYLOAD_TOO_LARGE, &format!("a body may have {limit} bytes"))
}

fn bearer(headers: &HeaderMap) -> &str {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    given.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default()
}

/// Lets through whoever carries the token. Where none is configured, the listener is reached from this machine alone,
/// and a page in a browser on it is still a stranger: browsers say so. Else the answer, and what it says.
fn let_in<const N: usize>(
    edge: &Edge,
    request: &Request,
    given: [&str; N],
    (route, needed): (&'static str, &'static str),
) -> Result<(), (Response, &'static str)> {
    let peer = Peer::of(request);
    let Some(secret) = &edge.alert_token else {
        return match foreign(request, &edge.public_url) {
            Some(why) => Err((edge.refuse(peer, route, StatusCode::FORBIDDEN, why), why)),
            None => Ok(()),
        };
    };
    let token = secret.read().map_err(|failure| {
        tracing::error!(error = %failure, "the alert token cannot be read");
        let why = "the token is not readable here";
        (error(StatusCode::INTERNAL_SERVER_ERROR, why), why)
    })?;
    let is_token = |given: &&str| bool::from(given.as_bytes().ct_eq(token.as_bytes()));
    if !token.is_empty() && given.iter().any(is_token) {
        Ok(())
    } else {
        Err((edge.refuse(peer, route, StatusCode::UNAUTHORIZED, needed), needed))
    }
}

/// Whether a browser says that a page of somebody else's asks, and how. A name that somebody else gives to this machine
/// (DNS rebinding) makes a page of his one of the same origin: only the name that was asked for tells then.
pub fn foreign(request: &Request, public_url: &str) -> Option<&'static str> {
    let headers = request.headers();
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    // `same-site` is another port or a neighbour's name; what somebody typed or a program sends is `none` or nothing.
    if text("sec-fetch-site").is_some_and(|site| !matches!(site, "same-origin" | "none")) {
        return Some("a page of another site asks for this");
    }
    let public = public_url.parse::<Uri>().ok();
    let public = public.as_ref().and_then(Uri::host);
    let is_ours =
        |host: &str| is_here(host) || public.is_some_and(|public| public.eq_ignore_ascii_case(host));
    // `null` is the origin of a page that hides it. Programs name none.
    let origin = text("origin").map(|origin| origin.parse::<Uri>().ok());
    if origin.is_some_and(|origin| !origin.as_ref().and_then(Uri::host).is_some_and(is_ours)) {
        return Some("a page of another site asks for this");
    }
    // No browser leaves it out.
    let asked = request.uri().host().map(str::to_owned).or_else(|| host_of(text("host")?));
    if (asked.is_some() || headers.contains_key(header::HOST)) && !asked.as_deref().is_some_and(is_ours) {
        return Some("this is asked for by a name that is not the bot's: COMMANDER_PUBLIC_URL tells it");
    }
    None
}

/// The host of `host:port`.
fn host_of(authority: &str) -> Option<String> {
    Some(authority.parse::<axum::http::uri::Authority>().ok()?.host().to_owned())
}

/// Whether a host is this machine whoever resolves it.
fn is_here(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
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

#[cfg(test)]
mod tests {
    use futures::{StreamExt as _, stream};

    use super::*;

    fn request(headers: &[(&str, &str)]) -> Request {
        let mut request = Request::builder().uri("/alert");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Body::empty()).unwrap()
    }

    #[test]
    fn without_a_token_a_name_that_is_not_the_bots_own_is_a_strangers() {
        let ours = [
            "127.0.0.1:3000",
            "127.8.0.1",
            "localhost:3000",
            "LOCALHOST",
            "[::1]:3000",
            "bot.example:3000",
            "Bot.Example",
        ];
        for host in ours {
            assert_eq!(foreign(&request(&[("host", host)]), "https://bot.example"), None, "{host}");
        }
        let theirs = [
            "evil.example",
            "evil.example:3000",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "10.0.0.7:3000",
            "bot.example.evil.example",
            "",
            "a b",
            "[::2]",
        ];
        for host in theirs {
            let told = foreign(&request(&[("host", host)]), "https://bot.example");
            assert!(told.is_some(), "{host}");
        }
        assert_eq!(foreign(&request(&[]), "https://bot.example"), None, "no browser leaves it out");
    }

    #[test]
    fn without_a_token_a_page_of_another_origin_is_a_strangers() {
        let told = |name: &str, value: &str| {
            foreign(&request(&[("host", "localhost:3000"), (name, value)]), "http://127.0.0.1:3000")
        };
        for site in ["same-origin", "none"] {
            assert_eq!(told("sec-fetch-site", site), None, "{site}");
        }
        for site in ["cross-site", "same-site", "", "new"] {
            assert!(told("sec-fetch-site", site).is_some(), "{site}");
        }
        assert_eq!(told("origin", "http://localhost:3000"), None);
        for origin in ["https://evil.example", "null", "", "http://evil.example:3000"] {
            assert!(told("origin", origin).is_some(), "{origin}");
        }
    }

    /// A body of so many bytes, of which the last never comes.
    fn unfinished(length: usize) -> Body {
        let chunk = || Ok::<_, std::io::Error>(vec![b'x'; 64 * 1024]);
        let chunks = stream::iter(std::iter::repeat_with(chunk).take(length / (64 * 1024)));
        Body::from_stream(chunks.chain(stream::pending()))
    }

    #[tokio::test]
    async fn what_strangers_bodies_hold_together_is_bounded_and_small_ones_pass_all_the_same() {
        let bodies = Bodies::default();
        let mut all: Vec<Held<'_>> = (0..60).map(|_| Held::new(Some(&bodies))).collect();
        let mut refused = 0;
        let mut reading: Vec<_> =
            all.iter_mut().map(|held| Box::pin(read(unfinished(BODY_MAX), held, BODY_MAX))).collect();
        for one in &mut reading {
            refused += usize::from(futures::poll!(one.as_mut()).is_ready());
        }
        drop(reading);
        assert!(refused > 40, "{refused} of 60 are sent away");
        let held: usize = all.iter().map(|held| held.bytes.len()).sum();
        assert!(held <= UNKNOWN_MAX + 60 * UNKNOWN_EACH, "{held} bytes");
        let mut small = Held::new(Some(&bodies));
        assert!(read(Body::from(vec![b'x'; UNKNOWN_EACH]), &mut small, BODY_MAX).await.is_ok());
        let mut large = Held::new(Some(&bodies));
        let answer = read(Body::from(vec![b'x'; BODY_MAX]), &mut large, BODY_MAX).await.unwrap_err();
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        drop(large);
        drop(all);
        let mut large = Held::new(Some(&bodies));
        assert!(
            read(Body::from(vec![b'x'; BODY_MAX]), &mut large, BODY_MAX).await.is_ok(),
            "all is given back"
        );
        drop(large);
        assert_eq!(bodies.0.available_permits(), UNKNOWN_MAX);
    }
}
