//! Answers that come by response URL, and the answer to a command itself: both say the same things.
//!
//! The rule that is not obvious: a response URL needs no token, and is good for five uses in 30 minutes.

use std::time::Instant;

use axum::body::Bytes;
use axum::extract::{Path, State as Extract};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::SlackWorld;
use super::api::ApiError;
use super::arguments::Arguments;
use super::content::Content;
use super::message::{Author, Message};
use super::methods::{checked_view, replace, show};
use super::outbound::{Acknowledgement, TIMED_OUT};
use super::people::Submitted;
use super::state::{Reply, State, Trigger, Update};

const USES_MAX: u32 = 5;

pub(super) async fn receive(
    Extract(world): Extract<SlackWorld>,
    Path((id, secret)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let key = format!("{id}/{secret}");
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let lifetime = world.options().response_url_lifetime;
    let refusal = |status: StatusCode, error: &str| {
        (status, axum::Json(json!({"ok": false, "error": error}))).into_response()
    };
    let arguments = if kind.starts_with("application/json") {
        match serde_json::from_slice::<Map<String, Value>>(&body) {
            Ok(json) => Arguments::from_json(json),
            Err(_) => return refusal(StatusCode::BAD_REQUEST, "invalid_payload"),
        }
    } else {
        return refusal(StatusCode::BAD_REQUEST, "invalid_payload");
    };
    world.write(|state| {
        let Some(reply) = state.replies.get_mut(&key) else {
            return refusal(StatusCode::NOT_FOUND, "no_service");
        };
        if reply.at.elapsed() > lifetime {
            return refusal(StatusCode::NOT_FOUND, "expired_url");
        }
        if reply.uses >= USES_MAX {
            return refusal(StatusCode::NOT_FOUND, "used_url");
        }
        reply.uses += 1;
        let reply = reply.clone();
        let result = deliver(state, &reply, &arguments);
        state.count("response_url", result.as_ref().copied().map_err(|error| &*error.error));
        match result {
            Ok(()) => axum::Json(json!({"ok": true})).into_response(),
            Err(error) => refusal(StatusCode::BAD_REQUEST, &error.error),
        }
    })
}

/// Does what an answer says: replaces or deletes its source, or says something to one or to all.
pub(super) fn deliver(state: &mut State, reply: &Reply, arguments: &Arguments) -> Result<(), ApiError> {
    let source = reply.source.as_ref();
    if arguments.flag("delete_original") {
        match source {
            Some((ts, true)) => forget(state, &reply.user, ts),
            Some((ts, false)) => state.delete(&reply.channel, ts),
            None => return Err(ApiError::new("message_not_found")),
        }
        return Ok(());
    }
    let content = Content::read(state, arguments)?;
    if content.is_empty() {
        return Err(ApiError::new("no_text"));
    }
    if arguments.flag("replace_original")
        && let Some((ts, ephemeral)) = source
    {
        if *ephemeral {
            rewrite(state, &reply.user, ts, content);
        } else {
            state.change(&reply.channel, ts, |message| content.apply(message));
        }
        return Ok(());
    }
    let ts = state.next_ts();
    let mut message = Message::new(&reply.channel, ts, Author::App, String::new());
    content.apply(&mut message);
    let thread = arguments.text("thread_ts").or_else(|| reply.thread.clone());
    message.thread_ts = thread.and_then(|thread| state.thread_root(&reply.channel, &thread));
    if arguments.text("response_type").as_deref() == Some("in_channel") {
        state.post(message);
    } else {
        state.whisper(&reply.user, message);
    }
    Ok(())
}

/// Takes a private message away from who sees it.
pub(super) fn forget(state: &mut State, user: &str, ts: &str) {
    let Some(channel) = state.ephemeral(user, ts).map(|each| each.message.channel.clone()) else { return };
    state.ephemerals.retain(|each| each.user != user || each.message.ts != ts);
    state.update(Update::EphemeralChanged { user: user.to_owned(), channel, ts: ts.to_owned() });
}

fn rewrite(state: &mut State, user: &str, ts: &str, content: Content) {
    let found = state.ephemerals.iter_mut().find(|each| each.user == user && each.message.ts == ts);
    let Some(ephemeral) = found else { return };
    content.apply(&mut ephemeral.message);
    let channel = ephemeral.message.channel.clone();
    state.update(Update::EphemeralChanged { user: user.to_owned(), channel, ts: ts.to_owned() });
}

/// Shows what the bot answered to a command directly: JSON like a response URL's, or plain text.
pub(super) fn show_direct_answer(state: &mut State, reply: &Reply, answer: &Acknowledgement) {
    let arguments = match answer.json() {
        Some(Value::Object(json)) => json,
        _ if answer.text().is_empty() => return,
        _ => Map::from_iter([("text".to_owned(), json!(answer.text()))]),
    };
    if arguments.is_empty() {
        return;
    }
    let result = deliver(state, reply, &Arguments::from_json(arguments));
    state.count("command_answer", result.as_ref().copied().map_err(|error| &*error.error));
}

/// What Slack itself says to somebody whose command or click was not acknowledged.
pub(super) fn complain(
    state: &mut State,
    user: &str,
    channel: &str,
    what: &str,
    result: &Result<Acknowledgement, String>,
) {
    let error = match result {
        Err(reason) if reason == TIMED_OUT => "operation_timeout".to_owned(),
        Err(_) => "dispatch_failed".to_owned(),
        Ok(answer) => format!("http_service_error {}", answer.status),
    };
    let ts = state.next_ts();
    let author = Author::Bot {
        bot: "USLACKBOT".to_owned(),
        user: Some("USLACKBOT".to_owned()),
        username: Some("Slackbot".to_owned()),
    };
    let text = format!("{what} failed with the error \"{error}\"");
    state.whisper(user, Message::new(channel, ts, author, text));
}

/// Takes the visible modal away.
pub(super) fn pop_modal(state: &mut State, user: &str) {
    if let Some(stack) = state.modals.get_mut(user) {
        if let Some(id) = stack.pop() {
            state.views.remove(&id);
        }
        if stack.is_empty() {
            state.modals.remove(user);
        }
    }
    state.update(Update::ModalChanged { user: user.to_owned() });
}

/// Does what the bot answered to a submitted modal.
pub(super) fn follow(state: &mut State, user: &str, view_id: &str, answer: &Acknowledgement) -> Submitted {
    let json = answer.json().unwrap_or_default();
    match json["response_action"].as_str() {
        None if answer.text().is_empty() || json == json!({}) => {
            pop_modal(state, user);
            Submitted::Closed
        }
        Some("clear") => {
            while state.modals.contains_key(user) {
                pop_modal(state, user);
            }
            Submitted::Closed
        }
        Some("errors") => Submitted::Errors(json["errors"].as_object().cloned().unwrap_or_default()),
        Some(action @ ("update" | "push")) => match checked_view(state, json["view"].clone()) {
            Ok(body) if action == "update" => {
                replace(state, view_id, body);
                Submitted::Changed
            }
            Ok(body) => {
                let trigger = Trigger {
                    user: user.to_owned(),
                    at: Instant::now(),
                    used: true,
                    channel: None,
                    view: Some(view_id.to_owned()),
                };
                show(state, &trigger, body);
                Submitted::Changed
            }
            Err(error) => Submitted::Failed(error.error.into_owned()),
        },
        _ => Submitted::Failed("the answer cannot be read".to_owned()),
    }
}
