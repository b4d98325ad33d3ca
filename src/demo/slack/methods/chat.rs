//! Messages that the app posts, edits, deletes and reacts to.

use serde_json::{Value, json};

use super::super::api::ApiError;
use super::super::content::Content;
use super::super::message::{Author, Message, Reaction};
use super::super::state::Update;
use super::super::workspace::Channel;
use super::{Answer, Call};

/// `chat.update` takes less text than `chat.postMessage`.
const UPDATE_TEXT_MAX: usize = 4000;

/// The channel to write to: known, not archived, and with the app in it.
fn writable_channel(call: &Call<'_>) -> Result<Channel, ApiError> {
    let id = call.required("channel")?;
    let channel =
        call.state.workspace.channel(&id).cloned().ok_or_else(|| ApiError::new("channel_not_found"))?;
    if channel.archived {
        Err(ApiError::new("is_archived"))
    } else if !channel.app_is_member {
        // A private channel that the app is not in does not exist for it.
        Err(ApiError::new(if channel.private { "channel_not_found" } else { "not_in_channel" }))
    } else {
        Ok(channel)
    }
}

/// The thread to answer in: a reply's own thread where a reply is named.
fn thread(call: &Call<'_>, channel: &str) -> Result<Option<String>, ApiError> {
    match call.arguments.text("thread_ts") {
        None => Ok(None),
        Some(ts) => {
            call.state.thread_root(channel, &ts).map(Some).ok_or_else(|| ApiError::new("thread_not_found"))
        }
    }
}

pub(super) fn post_message(call: &mut Call<'_>) -> Answer {
    let channel = writable_channel(call)?;
    let thread_ts = thread(call, &channel.id)?;
    let content = Content::read(call.state, call.arguments)?;
    if content.is_empty() {
        return Err(ApiError::new("no_text"));
    }
    let ts = call.state.next_ts();
    let mut message = Message::new(&channel.id, ts.clone(), Author::App, String::new());
    content.apply(&mut message);
    message.broadcast = thread_ts.is_some() && call.arguments.flag("reply_broadcast");
    message.thread_ts = thread_ts;
    let json = call.state.message_json(&message, true);
    call.state.post(message);
    Ok(json!({"channel": channel.id, "ts": ts, "message": json}))
}

pub(super) fn post_ephemeral(call: &mut Call<'_>) -> Answer {
    let channel = writable_channel(call)?;
    let user = call.required("user")?;
    if call.state.workspace.user(&user).is_none() {
        return Err(ApiError::new("user_not_in_channel"));
    }
    let thread_ts = thread(call, &channel.id)?;
    let content = Content::read(call.state, call.arguments)?;
    if content.is_empty() {
        return Err(ApiError::new("no_text"));
    }
    let ts = call.state.next_ts();
    let mut message = Message::new(&channel.id, ts.clone(), Author::App, String::new());
    content.apply(&mut message);
    message.thread_ts = thread_ts;
    call.state.whisper(&user, message);
    Ok(json!({"message_ts": ts}))
}

/// The named message, where the app wrote it; `other` is the error where somebody else did.
fn own_message(call: &Call<'_>, channel: &str, ts: &str, other: &'static str) -> Result<(), ApiError> {
    let message = call
        .state
        .message(channel, ts)
        .filter(|message| !message.tombstone)
        .ok_or_else(|| ApiError::new("message_not_found"))?;
    if message.author == Author::App { Ok(()) } else { Err(ApiError::new(other)) }
}

pub(super) fn update(call: &mut Call<'_>) -> Answer {
    let channel = writable_channel(call)?;
    let ts = call.required("ts")?;
    own_message(call, &channel.id, &ts, "cant_update_message")?;
    let content = Content::read(call.state, call.arguments)?;
    if content.text.as_ref().is_some_and(|text| text.chars().count() > UPDATE_TEXT_MAX) {
        return Err(ApiError::new("msg_too_long"));
    }
    if content.text.is_none() && content.blocks.is_none() && content.attachments.is_none() {
        return Err(ApiError::new("no_text"));
    }
    call.state.change(&channel.id, &ts, |message| content.apply(message));
    let message = call.state.message(&channel.id, &ts).ok_or_else(|| ApiError::new("message_not_found"))?;
    Ok(json!({
        "channel": channel.id, "ts": ts, "text": message.text, "message": call.state.message_json(message, true),
    }))
}

pub(super) fn delete(call: &mut Call<'_>) -> Answer {
    let channel = writable_channel(call)?;
    let ts = call.required("ts")?;
    own_message(call, &channel.id, &ts, "cant_delete_message")?;
    call.state.delete(&channel.id, &ts);
    Ok(json!({"channel": channel.id, "ts": ts}))
}

pub(super) fn permalink(call: &mut Call<'_>) -> Answer {
    let id = call.required("channel")?;
    let ts = call.required("message_ts")?;
    let channel = call.state.workspace.channel(&id).ok_or_else(|| ApiError::new("channel_not_found"))?;
    let message = call.state.message(&channel.id, &ts).ok_or_else(|| ApiError::new("message_not_found"))?;
    let mut link = format!("{}archives/{}/p{}", call.state.workspace.url(), channel.id, ts.replace('.', ""));
    if let Some(thread) = message.thread_ts.as_ref().filter(|_| message.is_reply()) {
        link = format!("{link}?thread_ts={thread}&cid={}", channel.id);
    }
    Ok(json!({"channel": channel.id, "permalink": link}))
}

/// The reaction's name and the message that it is about.
fn reacted(call: &Call<'_>) -> Result<(String, String, String), ApiError> {
    let channel = writable_channel(call)?.id;
    let name = call.required("name")?.trim_matches(':').to_owned();
    let ts = call.required("timestamp")?;
    let valid =
        |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "_-+'".contains(letter);
    if name.is_empty() || !name.chars().all(valid) {
        return Err(ApiError::new("invalid_name"));
    }
    if call.state.message(&channel, &ts).is_none() {
        return Err(ApiError::new("message_not_found"));
    }
    Ok((channel, ts, name))
}

pub(super) fn add_reaction(call: &mut Call<'_>) -> Answer {
    let (channel, ts, name) = reacted(call)?;
    let by = call.state.workspace.app.user_id.clone();
    let message = call.state.messages.get_mut(&channel).and_then(|all| all.get_mut(&ts));
    let Some(message) = message else { return Err(ApiError::new("message_not_found")) };
    match message.reactions.iter_mut().find(|reaction| reaction.name == name) {
        Some(reaction) if reaction.users.contains(&by) => return Err(ApiError::new("already_reacted")),
        Some(reaction) => reaction.users.push(by),
        None => message.reactions.push(Reaction { name, users: vec![by] }),
    }
    call.state.update(Update::MessageChanged { channel, ts });
    Ok(Value::Null)
}

pub(super) fn remove_reaction(call: &mut Call<'_>) -> Answer {
    let (channel, ts, name) = reacted(call)?;
    let by = call.state.workspace.app.user_id.clone();
    let message = call.state.messages.get_mut(&channel).and_then(|all| all.get_mut(&ts));
    let Some(message) = message else { return Err(ApiError::new("message_not_found")) };
    let reaction = message.reactions.iter_mut().find(|each| each.name == name && each.users.contains(&by));
    let Some(reaction) = reaction else { return Err(ApiError::new("no_reaction")) };
    reaction.users.retain(|user| *user != by);
    message.reactions.retain(|reaction| !reaction.users.is_empty());
    call.state.update(Update::MessageChanged { channel, ts });
    Ok(Value::Null)
}
