//! Channels, and the messages in them.
//!
//! The rule that is not obvious: metadata is left out unless `include_all_metadata` asks for it.

use serde_json::{Value, json};

use super::super::api::ApiError;
use super::super::message::Message;
use super::super::state::State;
use super::super::workspace::Channel;
use super::{Answer, Call, page};

fn known_channel(call: &Call<'_>) -> Result<Channel, ApiError> {
    let id = call.required("channel")?;
    let channel = call.state.workspace.channels.iter().find(|channel| channel.id == id).cloned();
    channel
        .filter(|channel| !channel.private || channel.app_is_member)
        .ok_or_else(|| ApiError::new("channel_not_found"))
}

/// A channel whose messages the app may read.
fn readable_channel(call: &Call<'_>) -> Result<Channel, ApiError> {
    let channel = known_channel(call)?;
    let scope = if channel.private { "groups:history" } else { "channels:history" };
    if !call.state.has_scope(scope) {
        Err(ApiError::missing_scope(scope, call.state))
    } else if !channel.app_is_member {
        Err(ApiError::new("not_in_channel"))
    } else {
        Ok(channel)
    }
}

/// Whether a message's time is in the window that was asked for.
fn in_window(call: &Call<'_>, message: &Message) -> bool {
    let inclusive = call.arguments.flag("inclusive");
    let bound = |key: &str| call.arguments.text(key).filter(|bound| bound != "0");
    let after = bound("oldest")
        .is_none_or(|oldest| message.ts.as_str() > oldest.as_str() || (inclusive && message.ts == oldest));
    let before = bound("latest")
        .is_none_or(|latest| message.ts.as_str() < latest.as_str() || (inclusive && message.ts == latest));
    after && before
}

fn listing(call: &Call<'_>, messages: Vec<Message>) -> Answer {
    let with_metadata = call.arguments.flag("include_all_metadata");
    let (messages, next) = page(messages, call.arguments, 100, 999)?;
    let json: Vec<Value> = messages
        .iter()
        .map(|message| Value::Object(call.state.message_json(message, with_metadata)))
        .collect();
    Ok(json!({
        "messages": json, "has_more": !next.is_empty(), "response_metadata": {"next_cursor": next},
    }))
}

pub(super) fn history(call: &mut Call<'_>) -> Answer {
    let channel = readable_channel(call)?;
    let messages = call
        .state
        .messages
        .get(&channel.id)
        .into_iter()
        .flat_map(|all| all.values().rev())
        .filter(|message| !message.is_reply() || message.broadcast)
        .filter(|message| in_window(call, message))
        .cloned()
        .collect();
    listing(call, messages)
}

pub(super) fn replies(call: &mut Call<'_>) -> Answer {
    let channel = readable_channel(call)?;
    let ts = call.required("ts")?;
    let root = call.state.thread_root(&channel.id, &ts).ok_or_else(|| ApiError::new("thread_not_found"))?;
    // The first message comes on every page, whatever the window.
    let mut messages: Vec<Message> = call.state.message(&channel.id, &root).cloned().into_iter().collect();
    messages.extend(
        call.state.replies_of(&channel.id, &root).filter(|message| in_window(call, message)).cloned(),
    );
    listing(call, messages)
}

pub(super) fn info(call: &mut Call<'_>) -> Answer {
    let channel = known_channel(call)?;
    require_read(call.state, &channel)?;
    Ok(json!({"channel": call.state.workspace.channel_json(&channel)}))
}

fn require_read(state: &State, channel: &Channel) -> Result<(), ApiError> {
    let scope = if channel.private { "groups:read" } else { "channels:read" };
    if state.has_scope(scope) { Ok(()) } else { Err(ApiError::missing_scope(scope, state)) }
}

pub(super) fn list(call: &mut Call<'_>) -> Answer {
    let types = call.arguments.text("types").unwrap_or_else(|| "public_channel".to_owned());
    let workspace = &call.state.workspace;
    let channels = workspace
        .channels
        .iter()
        .filter(|channel| {
            let kind = if channel.private { "private_channel" } else { "public_channel" };
            types.split(',').any(|wanted| wanted.trim() == kind)
                && (!channel.private || channel.app_is_member)
                && !(channel.archived && call.arguments.flag("exclude_archived"))
        })
        .map(|channel| workspace.channel_json(channel))
        .collect();
    let (channels, next) = page(channels, call.arguments, 100, 1000)?;
    Ok(json!({"channels": channels, "response_metadata": {"next_cursor": next}}))
}

pub(super) fn members(call: &mut Call<'_>) -> Answer {
    let channel = known_channel(call)?;
    require_read(call.state, &channel)?;
    let members = call.state.workspace.users.iter().map(|user| user.id.clone()).collect();
    let (members, next) = page(members, call.arguments, 100, 1000)?;
    Ok(json!({"members": members, "response_metadata": {"next_cursor": next}}))
}
