//! Slack's three routes: the signature first, then the body, then one transaction.
//!
//! The rule that is not obvious: a signed body that cannot be read is answered 200 and logged.
//! Slack would only send the same again.

use std::sync::atomic::Ordering;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use slack_morphism::SlackSigningSecret;
use slack_morphism::signature_verifier::{SlackEventSignatureVerifier, SlackEventSignatureVerifierError};

use super::gate::{Peer, UNSIGNED_MAX};
use super::{Edge, Shared, error};
use crate::domain::audit::{Entry, What};
use crate::intake::{Desk, Heard};
use crate::slack::calls::before_answering;
use crate::slack::inbound::{self, Command, CommandBody, Event};
use crate::store::{self, Accepted};
use crate::telemetry::Metrics;

/// What is done with an event, whichever way it came.
pub(super) async fn take_event(desk: &Desk, metrics: &Metrics, event: Event) -> store::Result<()> {
    match before_answering(desk.event(event)).await? {
        Heard::Incident(Accepted::Opened(id)) => {
            metrics.count("alerts_accepted");
            tracing::info!(incident = %id, "opened from Slack");
        }
        Heard::Incident(_) => metrics.count("alerts_accepted"),
        Heard::Closed(ids) => tracing::info!(count = ids.len(), "closed by a resolve from Slack"),
        Heard::Asked => tracing::debug!("somebody asked, and was answered"),
        Heard::Nothing(why) => tracing::debug!(why, "a Slack event that opens nothing"),
    }
    Ok(())
}

/// What is done with a command, whichever way it came.
pub(super) async fn take_command(desk: &Desk, command: Command) -> store::Result<Option<Value>> {
    before_answering(desk.command(command)).await
}

/// What is done with an interaction, whichever way it came.
pub(super) async fn take_interaction(desk: &Desk, payload: &Value) -> store::Result<Option<Value>> {
    before_answering(desk.interaction(payload)).await
}

/// Between two rows of the trail about forged clicks, in milliseconds.
const FORGED_EVERY_MS: i64 = 60_000;

pub(super) async fn events(State(edge): Shared, peer: Peer, headers: HeaderMap, body: Bytes) -> Response {
    let body = match verified(&edge, &headers, &body) {
        Ok(body) => body,
        Err(unverified) => return unverified.answer(&edge, peer),
    };
    let Ok(body) = serde_json::from_str::<Value>(body) else {
        return unreadable("an event that is no JSON");
    };
    let event = inbound::read_event(&body);
    if let Event::UrlVerification { challenge } = event {
        return axum::Json(json!({ "challenge": challenge })).into_response();
    }
    match take_event(&edge.desk, &edge.metrics, event).await {
        Ok(()) => StatusCode::OK.into_response(),
        Err(failure) => not_stored(&failure),
    }
}

pub(super) async fn commands(State(edge): Shared, peer: Peer, headers: HeaderMap, body: Bytes) -> Response {
    // Slack checks the certificate of the address without signing; nothing is done for it.
    let unsigned = Some(&body).filter(|body| body.len() <= UNSIGNED_MAX);
    let unsigned = unsigned.and_then(|body| std::str::from_utf8(body).ok()).map(url_decode);
    if inbound::read_command(&unsigned.unwrap_or_default()) == CommandBody::SslCheck {
        return super::last(StatusCode::OK.into_response());
    }
    let body = match verified(&edge, &headers, &body) {
        Ok(body) => body,
        Err(unverified) => return unverified.answer(&edge, peer),
    };
    let form: Vec<(String, String)> = url_decode(body);
    match inbound::read_command(&form) {
        CommandBody::SslCheck => StatusCode::OK.into_response(),
        CommandBody::Unreadable => unreadable("a command without user or channel"),
        CommandBody::Command(command) => match take_command(&edge.desk, command).await {
            Ok(answer) => answered(answer),
            Err(failure) => not_stored(&failure),
        },
    }
}

pub(super) async fn interactions(
    State(edge): Shared,
    peer: Peer,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let body = match verified(&edge, &headers, &body) {
        Ok(body) => body,
        Err(unverified) => {
            note_unverified(&edge, &unverified).await;
            return unverified.answer(&edge, peer);
        }
    };
    let Some(payload) = payload_of(body) else {
        return unreadable("an interaction without a payload");
    };
    match take_interaction(&edge.desk, &payload).await {
        Ok(answer) => answered(answer),
        Err(failure) => not_stored(&failure),
    }
}

/// The payload of an interaction, whoever sent it.
fn payload_of(body: &str) -> Option<Value> {
    let form = url_decode(body);
    let payload = form.iter().find(|(name, _)| name == "payload").map(|(_, value)| value.as_str())?;
    serde_json::from_str(payload).ok()
}

/// Writes down that a click came that does not count. What Slack signed is believed as to who pressed what, however
/// long ago; what it did not sign is noted once a minute at most: the trail only grows, and whoever forges decides
/// how often.
async fn note_unverified(edge: &Edge, unverified: &Unverified<'_>) {
    if let Unverified::TooOld { body } = unverified
        && let Some(payload) = payload_of(body)
    {
        if let Err(failure) = edge.desk.too_old(&payload).await {
            tracing::error!(error = %failure, "a click that came too late cannot be written down");
        }
        return;
    }
    if matches!(unverified, Unverified::NoSecret) {
        return;
    }
    let now = edge.desk.clock.now();
    let last = edge.forged_at.load(Ordering::SeqCst);
    let due = now.as_millisecond().saturating_sub(last) >= FORGED_EVERY_MS;
    if !due
        || edge
            .forged_at
            .compare_exchange(last, now.as_millisecond(), Ordering::SeqCst, Ordering::SeqCst)
            .is_err()
    {
        return;
    }
    let entry = Entry {
        at: now,
        incident: None,
        approval: None,
        actor: "unknown".to_owned(),
        what: What::Refused {
            action: "interaction".to_owned(),
            click: String::new(),
            channel: String::new(),
            refusal: "bad_signature".to_owned(),
            sentence: "the signature is not Slack's".to_owned(),
        },
    };
    if let Err(failure) = edge.desk.store.audit(&entry).await {
        tracing::error!(error = %failure, "a forged click cannot be written down");
    }
}

/// What Slack gets: the answer's JSON, or a bare 200.
fn answered(answer: Option<Value>) -> Response {
    answer.map_or_else(|| StatusCode::OK.into_response(), |body| axum::Json(body).into_response())
}

/// Why a body is not believed.
enum Unverified<'a> {
    /// The secret to check it with cannot be read here.
    NoSecret,
    /// Slack did not sign it.
    Forged,
    /// Slack signed it, more than five minutes from now.
    TooOld { body: &'a str },
}

impl Unverified<'_> {
    fn answer(&self, edge: &Edge, peer: Peer) -> Response {
        let message = match self {
            Self::NoSecret => {
                return error(StatusCode::INTERNAL_SERVER_ERROR, "the signing secret is not readable here");
            }
            Self::Forged => "the signature is not Slack's",
            Self::TooOld { .. } => "the signature is older than five minutes",
        };
        edge.refuse(peer, "slack", StatusCode::UNAUTHORIZED, message)
    }
}

/// The body, if Slack signed it within the last five minutes of the machine's own clock.
fn verified<'a>(edge: &Edge, headers: &HeaderMap, body: &'a Bytes) -> Result<&'a str, Unverified<'a>> {
    let secret = edge.slack_signing_secret.as_ref().ok_or(Unverified::Forged)?;
    let secret = secret.read().map_err(|failure| {
        tracing::error!(error = %failure, "the signing secret cannot be read");
        Unverified::NoSecret
    })?;
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let text = std::str::from_utf8(body).map_err(|_| Unverified::Forged)?;
    SlackEventSignatureVerifier::new(&SlackSigningSecret::new(secret))
        .verify(
            header(SlackEventSignatureVerifier::SLACK_SIGNED_HASH_HEADER),
            text,
            header(SlackEventSignatureVerifier::SLACK_SIGNED_TIMESTAMP),
        )
        .map_err(|error| match error {
            // Told only after the signature itself was found to be right.
            SlackEventSignatureVerifierError::IncorrectOrExpiredTimestampError(_) => {
                Unverified::TooOld { body: text }
            }
            _ => Unverified::Forged,
        })?;
    Ok(text)
}

fn url_decode(body: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(body.as_bytes())
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect()
}

fn unreadable(what: &'static str) -> Response {
    tracing::warn!(what, "a signed body from Slack cannot be read");
    StatusCode::OK.into_response()
}

/// Slack sends again what is answered with an error: nothing is lost.
fn not_stored(failure: &crate::store::StoreError) -> Response {
    tracing::error!(error = %failure, "something from Slack cannot be stored");
    error(StatusCode::INTERNAL_SERVER_ERROR, "not stored; send it again")
}
