//! The HTTP side: which service and operation a request is, who makes it, what goes wrong with it,
//! and its answer.
//!
//! Rule: the order is AWS's own: known operation, known caller, allowed, not too fast, and then the
//! operation. Every request is counted, and one that may change something is noted as it arrives, before
//! anybody looks at whether it is allowed: an attempt that was refused is an attempt all the same.

use std::io;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State as Extract};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use futures::{StreamExt as _, stream};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

use super::faults::{Fault, throttled};
use super::wire::{Answer, ApiError, Encoded, Protocol, encode, json_of_cbor};
use super::world::{AwsWorld, Call, State};
use super::{
    appconfig, cloudwatch, containers, identity, insights, lambda, logs, parameters, releases, trail,
};

/// Larger requests are refused; `PutMetricData` and `PutLogEvents` end at 1 MB.
const BODY_LIMIT: usize = 2 << 20;

impl AwsWorld {
    /// All services at one address.
    pub fn router(&self) -> Router {
        Router::new().fallback(answer).with_state(self.clone())
    }

    /// Serves until the future is dropped.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn serve(self, listener: TcpListener) -> io::Result<()> {
        axum::serve(listener, self.router()).await
    }
}

/// What a request is, before anybody looks at who makes it.
struct Parsed {
    protocol: Protocol,
    /// `lambda:UpdateAlias`.
    operation: String,
    input: Value,
}

async fn answer(Extract(world): Extract<AwsWorld>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let request_id = world.state().next_id();
    let Ok(body) = axum::body::to_bytes(body, BODY_LIMIT).await else {
        let error = ApiError::new(413, "RequestEntityTooLargeException", "The request body is too large");
        return encode(Protocol::AwsJson, Err(error), &request_id).into_response(&request_id);
    };
    let parsed = match parse(&parts.method, parts.uri.path(), parts.uri.query(), &parts.headers, &body) {
        Ok(parsed) => parsed,
        Err((protocol, error)) => {
            if parts.method.is_safe() {
                return encode(protocol, Err(error), &request_id).into_response(&request_id);
            }
            // What nobody here knows may be a change all the same.
            let what = format!("{} {}", parts.method, parts.uri.path());
            let mut state = world.state();
            let attempt = state.attempted(&what, key_of(&parts.headers));
            state.came_to(attempt, Err(&error));
            drop(state);
            return encode(protocol, Err(error), &request_id).into_response(&request_id);
        }
    };
    let Parsed { protocol, operation, input } = parsed;
    let attempt = {
        let mut state = world.state();
        state.count(&operation, region_of(&parts.headers));
        if operation == "sts:AssumeRole" {
            let text = |key: &str| input[key].as_str().unwrap_or_default();
            let external_id = input["ExternalId"].as_str();
            state.asked_for_role(text("RoleArn"), text("RoleSessionName"), external_id);
        }
        (!only_reads(&operation)).then(|| state.attempted(&operation, key_of(&parts.headers)))
    };
    let (fault, latency) = {
        let mut faults = world.faults();
        (faults.next(&operation), faults.latency_of(&operation))
    };
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    match &fault {
        Some(Fault::Hang) => return std::future::pending().await,
        Some(Fault::Reset) => return broken(StatusCode::OK, "application/json", Vec::new()),
        Some(Fault::Page { status, body }) => return page(*status, body),
        Some(Fault::Delay(delay)) => tokio::time::sleep(*delay).await,
        _ => {}
    }
    let refused = match &fault {
        Some(Fault::Throttle) => Some(throttled(&operation)),
        Some(Fault::Error { status, code, message }) => Some(ApiError::new(*status, code, message)),
        _ => None,
    };
    let outcome = match refused {
        Some(error) => Err(error),
        None => carry_out(&world, &operation, input, &parts.headers, &request_id),
    };
    if let Some(attempt) = attempt {
        world.state().came_to(attempt, outcome.as_ref().map(|_| ()));
        if outcome.is_ok() && operation.starts_with("lambda:") {
            world.announce_configuration();
        }
    }
    let encoded = encode(protocol, outcome, &request_id);
    match fault {
        Some(Fault::Silence) => std::future::pending().await,
        Some(Fault::LostAnswer) => broken(encoded.status, encoded.content_type, Vec::new()),
        Some(Fault::Truncated) => {
            let half = encoded.body[..encoded.body.len() / 2].to_vec();
            broken(encoded.status, encoded.content_type, half)
        }
        Some(Fault::Malformed) => {
            let body = encoded.body[..encoded.body.len() / 2].to_vec();
            Encoded { body, ..encoded }.into_response(&request_id)
        }
        _ => encoded.into_response(&request_id),
    }
}

/// An answer whose connection breaks after these bytes, short of the length it announced.
fn broken(status: StatusCode, content_type: &'static str, bytes: Vec<u8>) -> Response<Body> {
    let length = bytes.len() + 1024;
    let begins = !bytes.is_empty();
    let cut = stream::once(async move {
        if begins {
            // What is written leaves when there is nothing more for a moment; else not even the head would.
            tokio::task::yield_now().await;
        }
        Err(io::Error::new(io::ErrorKind::ConnectionReset, "a scripted fault"))
    });
    let body = Body::from_stream(stream::iter([Ok(Bytes::from(bytes))]).chain(cut));
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    response
}

fn page(status: u16, body: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
    response
}

fn parse(
    method: &axum::http::Method,
    path: &str,
    query: Option<&str>,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<Parsed, (Protocol, ApiError)> {
    if let Some(rest) = path.strip_prefix("/service/GraniteServiceVersion20100801/operation/") {
        let value: ciborium::Value = ciborium::from_reader(body.as_ref()).map_err(|error| {
            (Protocol::Cbor, ApiError::new(400, "SerializationException", format!("no CBOR: {error}")))
        })?;
        let input = json_of_cbor(&value);
        return Ok(Parsed { protocol: Protocol::Cbor, operation: format!("cloudwatch:{rest}"), input });
    }
    if let Some(target) = headers.get("x-amz-target").and_then(|target| target.to_str().ok()) {
        let service = match target.split_once('.') {
            Some(("Logs_20140328", name)) => Some(("logs", name)),
            Some(("AmazonEC2ContainerServiceV20141113", name)) => Some(("ecs", name)),
            Some(("AmazonSSM", name)) => Some(("ssm", name)),
            Some(("CodeDeploy_20141006", name)) => Some(("codedeploy", name)),
            Some(("ResourceGroupsTaggingAPI_20170126", name)) => Some(("tag", name)),
            _ => target.rsplit_once("CloudTrail_20131101.").map(|(_, name)| ("cloudtrail", name)),
        };
        let (service, name) = service.ok_or_else(|| (Protocol::AwsJson, unknown(target)))?;
        let input = serde_json::from_slice(body).map_err(|error| {
            (Protocol::AwsJson, ApiError::new(400, "SerializationException", error.to_string()))
        })?;
        return Ok(Parsed { protocol: Protocol::AwsJson, operation: format!("{service}:{name}"), input });
    }
    let routed = lambda::route(method, path).map(|(name, input)| (format!("lambda:{name}"), input));
    let routed = routed
        .or_else(|| appconfig::route(method, path).map(|(name, input)| (format!("appconfig:{name}"), input)));
    if let Some((operation, path_input)) = routed {
        let mut input = if body.is_empty() {
            Map::new()
        } else {
            serde_json::from_slice::<Map<String, Value>>(body).map_err(|error| {
                (Protocol::RestJson, ApiError::new(400, "SerializationException", error.to_string()))
            })?
        };
        input.extend(form_of(query.unwrap_or_default()));
        input.extend(path_input);
        if let Some(revert) = headers.get("allow-revert").and_then(|value| value.to_str().ok()) {
            input.insert("AllowRevert".to_owned(), json!(revert));
        }
        return Ok(Parsed { protocol: Protocol::RestJson, operation, input: Value::Object(input) });
    }
    if path == "/ServiceGraph" && method == axum::http::Method::POST {
        let input = serde_json::from_slice(body).map_err(|error| {
            (Protocol::RestJson, ApiError::new(400, "SerializationException", error.to_string()))
        })?;
        let operation = "xray:GetServiceGraph".to_owned();
        return Ok(Parsed { protocol: Protocol::RestJson, operation, input });
    }
    if path == "/" && method == axum::http::Method::POST {
        let input = form_of(&String::from_utf8_lossy(body));
        if let Some(action) = input.get("Action").and_then(Value::as_str) {
            let stacks = input.get("Version").and_then(Value::as_str) == Some("2010-05-15");
            let operation = format!("{}:{action}", if stacks { "cloudformation" } else { "sts" });
            return Ok(Parsed { protocol: Protocol::Query, operation, input: Value::Object(input) });
        }
    }
    Err((Protocol::RestJson, unknown(path)))
}

fn unknown(what: &str) -> ApiError {
    ApiError::new(404, "UnknownOperationException", format!("This endpoint does not know {what}"))
}

/// The members of a form or a query string.
fn form_of(text: &str) -> Map<String, Value> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let decode = |part: &str| lambda::percent_decode(&part.replace('+', " "));
            (decode(key), json!(decode(value)))
        })
        .collect()
}

/// What a request was signed for, `KEY/20260206/eu-central-1/lambda/aws4_request`, by place; empty where there is none.
fn scope_of(headers: &HeaderMap, place: usize) -> &str {
    let signature = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let scope = signature.and_then(|text| text.split_once("Credential=")).map(|(_, scope)| scope);
    scope.and_then(|scope| scope.split('/').nth(place)).unwrap_or_default()
}

fn region_of(headers: &HeaderMap) -> &str {
    scope_of(headers, 2)
}

/// The access key that signed the request.
fn access_key(headers: &HeaderMap) -> Result<&str, ApiError> {
    Some(key_of(headers)).filter(|key| !key.is_empty()).ok_or_else(|| {
        ApiError::new(403, "MissingAuthenticationTokenException", "Missing Authentication Token")
    })
}

/// The same, empty where there is none.
fn key_of(headers: &HeaderMap) -> &str {
    scope_of(headers, 0)
}

fn carry_out(
    world: &AwsWorld,
    operation: &str,
    input: Value,
    headers: &HeaderMap,
    request_id: &str,
) -> Result<Answer, ApiError> {
    let mut state = world.state();
    let access_key = access_key(headers)?.to_owned();
    let identity = state.identities.by_key(&access_key)?;
    identity.authorise(operation)?;
    world.faults().admit(operation)?;
    let call = Call {
        operation: operation.to_owned(),
        input,
        identity,
        access_key,
        request_id: request_id.to_owned(),
        at: state.now(),
    };
    run(&mut state, &call)
}

/// Whether an operation is known to change nothing. Whoever assumes a role is noted on its own.
fn only_reads(operation: &str) -> bool {
    let verb = operation.split_once(':').map_or(operation, |(_, verb)| verb);
    matches!(operation, "logs:StartQuery" | "logs:StopQuery" | "sts:AssumeRole")
        || ["Get", "BatchGet", "List", "Describe", "Lookup", "Filter"]
            .iter()
            .any(|reads| verb.starts_with(reads))
}

fn run(state: &mut State, call: &Call) -> Result<Answer, ApiError> {
    match call.operation.as_str() {
        "cloudwatch:GetMetricData" => cloudwatch::get_metric_data(state, call),
        "cloudwatch:ListMetrics" => cloudwatch::list_metrics(state, call),
        "cloudwatch:PutMetricData" => cloudwatch::put_metric_data(state, call),
        "logs:FilterLogEvents" => logs::filter_log_events(state, call),
        "logs:DescribeLogGroups" => logs::describe_log_groups(state, call),
        "logs:PutLogEvents" => logs::put_log_events(state, call),
        "logs:CreateLogGroup" => logs::create(state, "CreateLogGroup", call),
        "logs:CreateLogStream" => logs::create(state, "CreateLogStream", call),
        "logs:StartQuery" => insights::start_query(state, call),
        "logs:GetQueryResults" => insights::get_query_results(state, call),
        "logs:StopQuery" => insights::stop_query(state, call),
        "cloudtrail:LookupEvents" => trail::lookup_events(state, call),
        "tag:GetResources" => Ok(releases::tagged(state, call)),
        "xray:GetServiceGraph" => Ok(releases::service_graph(state)),
        "sts:GetCallerIdentity" => Ok(identity::get_caller_identity(call)),
        "sts:AssumeRole" => identity::assume_role(state, call),
        operation => match operation.split_once(':') {
            Some(("lambda", name)) => lambda::run(state, name, call),
            Some(("ecs", name)) => containers::run(state, name, call),
            Some(("ssm", name)) => parameters::run(state, name, call),
            Some(("appconfig", name)) => appconfig::run(state, name, call),
            Some(("codedeploy", name)) => releases::code_deploy(state, name, call),
            Some(("cloudformation", name)) => releases::stacks(state, name, call),
            _ => Err(unknown(operation)),
        },
    }
}
