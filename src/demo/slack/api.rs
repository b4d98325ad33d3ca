//! The way of one call of the Web API: fault, method, token, scope, pace, and then the method itself.
//!
//! The rule that is not obvious: an error is HTTP 200 with `ok: false`; only 429 has a status of its own.

use std::borrow::Cow;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, RawQuery, State as Extract};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use futures::{StreamExt as _, stream};
use serde_json::{Map, Value, json};

use super::arguments::Arguments;
use super::fault::FaultKind;
use super::methods::{Call, Method, OPEN_LINK, find};
use super::state::State;
use super::{SlackWorld, links, pace, reply, upload};

/// The largest body that is read, of an upload too.
const BODY_MAX: usize = 64 * 1024 * 1024;

pub(super) fn router(world: SlackWorld) -> Router {
    Router::new()
        .route("/api/{method}", any(call))
        .route("/upload/v1/{secret}", post(upload::receive))
        .route("/files-pri/{file}/{name}", get(upload::download))
        .route("/response/{id}/{secret}", post(reply::receive))
        .route("/link", get(links::connect))
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .with_state(world)
}

/// An error as the API words it.
#[derive(Debug, Clone)]
pub(super) struct ApiError {
    pub error: Cow<'static, str>,
    more: Map<String, Value>,
    retry_after: Option<Duration>,
}

impl ApiError {
    pub fn new(error: impl Into<Cow<'static, str>>) -> Self {
        Self { error: error.into(), more: Map::new(), retry_after: None }
    }

    /// A refused payload, with every reason.
    pub fn invalid(error: &'static str, problems: &[String]) -> Self {
        let mut more = Map::new();
        let plain: Vec<&str> =
            problems.iter().map(|problem| problem.trim_start_matches("[ERROR] ")).collect();
        more.insert("errors".into(), json!(plain));
        more.insert("response_metadata".into(), json!({"messages": problems}));
        Self { error: error.into(), more, retry_after: None }
    }

    pub fn missing_scope(needed: &str, state: &State) -> Self {
        let mut more = Map::new();
        more.insert("needed".into(), json!(needed));
        more.insert("provided".into(), json!(state.scopes.join(",")));
        Self { error: "missing_scope".into(), more, retry_after: None }
    }

    fn rate_limited(after: Duration) -> Self {
        Self { error: "ratelimited".into(), more: Map::new(), retry_after: Some(after) }
    }
}

async fn call(
    Extract(world): Extract<SlackWorld>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let fault = world.write(|state| state.script.next(&name));
    let count = |outcome: Result<(), &str>| world.write(|state| state.count(&name, outcome));
    match fault {
        Some(FaultKind::Latency(delay)) => tokio::time::sleep(delay).await,
        Some(FaultKind::Status(status)) => {
            count(Err(&format!("http {status}")));
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            return (status, "upstream request failed").into_response();
        }
        Some(FaultKind::RateLimited(after)) => {
            count(Err("ratelimited"));
            return answer(&world, Err(ApiError::rate_limited(after)), "");
        }
        Some(FaultKind::Error(error)) => {
            count(Err(&error));
            return answer(&world, Err(ApiError::new(error)), "");
        }
        Some(FaultKind::Malformed) => {
            count(Err("malformed"));
            return (
                [(header::CONTENT_TYPE, "application/json; charset=utf-8")],
                r#"{"ok":true,"channel":"C"#,
            )
                .into_response();
        }
        Some(FaultKind::Reset) => {
            count(Err("reset"));
            return broken();
        }
        Some(FaultKind::Truncated | FaultKind::AcceptedThenReset | FaultKind::AcceptedThenSilence) | None => {
        }
    }
    let method = find(&name);
    let result = world.write(|state| {
        let result = method
            .ok_or_else(|| ApiError::new("unknown_method"))
            .and_then(|method| run(&world, state, method, query.as_deref(), &headers, &body));
        state.count(&name, result.as_ref().map(|_| ()).map_err(|error| &*error.error));
        result
    });
    match fault {
        Some(FaultKind::AcceptedThenReset) => return broken(),
        Some(FaultKind::Truncated) => return broken_after(r#"{"ok":true,"channel":"C"#),
        Some(FaultKind::AcceptedThenSilence) => {
            world.stopping().cancelled().await;
            return broken();
        }
        _ => {}
    }
    answer(&world, result, method.map_or("", |method| method.scopes.first().copied().unwrap_or_default()))
}

fn run(
    world: &SlackWorld,
    state: &mut State,
    method: &Method,
    query: Option<&str>,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Value, ApiError> {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let content_type = header(header::CONTENT_TYPE);
    let arguments = Arguments::read(query, content_type, body, method.takes_json).map_err(ApiError::new)?;
    authorize(state, method, header(header::AUTHORIZATION), &arguments)?;
    if !method.scopes.is_empty() && !method.scopes.iter().any(|scope| state.has_scope(scope)) {
        return Err(ApiError::missing_scope(method.scopes[0], state));
    }
    keep_pace(state, method, &arguments)?;
    let public_url = world.public_url();
    (method.run)(&mut Call {
        state,
        arguments: &arguments,
        public_url: &public_url,
        options: world.options(),
        links: &world.inner.links,
    })
}

fn authorize(state: &State, method: &Method, header: &str, arguments: &Arguments) -> Result<(), ApiError> {
    let given = header
        .strip_prefix("Bearer ")
        .map(str::to_owned)
        .or_else(|| arguments.text("token"))
        .ok_or_else(|| ApiError::new("not_authed"))?;
    let (wanted, other) = if method.name == OPEN_LINK {
        (&state.app_token, &state.bot_token)
    } else {
        (&state.bot_token, &state.app_token)
    };
    if given == *other {
        Err(ApiError::new("not_allowed_token_type"))
    } else if given != *wanted {
        Err(ApiError::new("invalid_auth"))
    } else if state.revoked {
        Err(ApiError::new("token_revoked"))
    } else {
        Ok(())
    }
}

fn keep_pace(state: &mut State, method: &Method, arguments: &Arguments) -> Result<(), ApiError> {
    let (limits, now) = (state.pace, state.instant());
    let mut buckets: Vec<(String, pace::Rate)> = Vec::new();
    if method.name == "chat.postMessage" {
        let channel = arguments.text("channel").unwrap_or_default();
        buckets.extend(limits.posts.map(|rate| (format!("post {channel}"), rate)));
        buckets.extend(limits.workspace_posts.map(|rate| ("post".to_owned(), rate)));
    } else if limits.tiers {
        buckets.push((method.name.to_owned(), pace::Rate::per_minute(method.per_minute)));
    }
    for (key, rate) in buckets {
        state.buckets.take(&key, rate, now).map_err(ApiError::rate_limited)?;
    }
    Ok(())
}

fn answer(world: &SlackWorld, result: Result<Value, ApiError>, accepted: &str) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    let scopes = world.read(|state| state.scopes.join(","));
    for (name, value) in [
        ("x-oauth-scopes", scopes),
        ("x-accepted-oauth-scopes", accepted.to_owned()),
        ("x-slack-req-id", uuid::Uuid::new_v4().simple().to_string()),
    ] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    let mut status = StatusCode::OK;
    let mut body = Map::new();
    match result {
        Ok(value) => {
            body.insert("ok".into(), json!(true));
            if let Value::Object(fields) = value {
                body.extend(fields);
            }
        }
        Err(error) => {
            body.insert("ok".into(), json!(false));
            body.insert("error".into(), json!(error.error));
            body.extend(error.more);
            if let Some(after) = error.retry_after {
                status = StatusCode::TOO_MANY_REQUESTS;
                headers.insert(header::RETRY_AFTER, HeaderValue::from(after.as_secs().max(1)));
            }
        }
    }
    (status, headers, Value::Object(body).to_string()).into_response()
}

/// An answer whose body never begins, which ends the connection.
fn broken() -> Response {
    broken_after("")
}

/// An answer whose body breaks off after this much.
fn broken_after(begin: &'static str) -> Response {
    let cut = stream::once(async move {
        if !begin.is_empty() {
            // What is written leaves when there is nothing more for a moment; else not even the head would.
            tokio::task::yield_now().await;
        }
        Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset))
    });
    let begin = stream::iter([Ok(Bytes::from_static(begin.as_bytes()))]);
    let mut response = Response::new(Body::from_stream(begin.chain(cut)));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    response
}
