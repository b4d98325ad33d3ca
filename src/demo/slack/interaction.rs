//! Payloads of interactions: who did what to which element, in Slack's words.

use std::time::Instant;

use serde_json::{Map, Value, json};

use super::message::{Message, elements_of};
use super::named;
use super::people::{Action, Chosen, Place, UserError};
use super::state::{Reply, State, View};

/// What every interaction says: its type, the person, the team and the app.
pub(super) fn interaction(state: &State, user: &str, kind: &str) -> Result<Map<String, Value>, UserError> {
    let name = require_user(state, user)?;
    let workspace = &state.workspace;
    let payload = json!({
        "type": kind,
        "user": {"id": user, "username": name, "name": name, "team_id": workspace.id},
        "api_app_id": workspace.app.id,
        "token": "none",
        "team": {"id": workspace.id, "domain": workspace.domain},
        "enterprise": null,
        "is_enterprise_install": false,
    });
    Ok(payload.as_object().cloned().unwrap_or_default())
}

/// A known user's handle.
pub(super) fn require_user(state: &State, user: &str) -> Result<String, UserError> {
    let found = state.workspace.user(user).map(|user| user.name.clone());
    found.ok_or_else(|| UserError::User(user.to_owned()))
}

/// A known channel's name.
pub(super) fn require_channel(state: &State, channel: &str) -> Result<String, UserError> {
    let found = state.workspace.channels.iter().find(|each| each.id == channel);
    found.map(|channel| channel.name.clone()).ok_or_else(|| UserError::Channel(channel.to_owned()))
}

/// The thread to write in, of any message of it.
pub(super) fn thread_root(
    state: &State,
    channel: &str,
    thread: Option<&str>,
) -> Result<Option<String>, UserError> {
    match thread {
        None => Ok(None),
        Some(ts) => state.thread_root(channel, ts).map(Some).ok_or_else(|| UserError::Message(ts.to_owned())),
    }
}

pub(super) fn channel_named(state: &State, channel: &str) -> Value {
    named(channel, state.workspace.channel(channel).map_or("", |channel| channel.name.as_str()))
}

/// A public message, or one that only `user` sees.
fn seen_message(state: &State, user: &str, channel: &str, ts: &str) -> Result<(Message, bool), UserError> {
    if let Some(message) = state.message(channel, ts) {
        return Ok((message.clone(), false));
    }
    let private = state.ephemeral(user, ts).filter(|each| each.message.channel == channel);
    private.map(|each| (each.message.clone(), true)).ok_or_else(|| UserError::Message(ts.to_owned()))
}

/// Container, channel, message, response URL and trigger of something done to a message.
///
/// A message that only one person sees is named but not included, as with Slack.
pub(super) fn message_fields(
    state: &mut State,
    user: &str,
    channel: &str,
    ts: &str,
    public_url: &str,
) -> Result<Map<String, Value>, UserError> {
    let (message, ephemeral) = seen_message(state, user, channel, ts)?;
    let mut container =
        json!({"type": "message", "message_ts": ts, "channel_id": channel, "is_ephemeral": ephemeral});
    if let Some(thread) = &message.thread_ts {
        container["thread_ts"] = json!(thread);
    }
    let trigger = state.new_trigger(user, Some(channel), None);
    let reply = state.new_reply(Reply {
        user: user.to_owned(),
        channel: channel.to_owned(),
        thread: None,
        source: Some((ts.to_owned(), ephemeral)),
        at: Instant::now(),
        uses: 0,
    });
    let mut fields = Map::new();
    fields.insert("container".into(), container);
    fields.insert("trigger_id".into(), json!(trigger));
    fields.insert("channel".into(), channel_named(state, channel));
    if !ephemeral {
        fields.insert("message".into(), Value::Object(state.message_json(&message, true)));
    }
    fields.insert("response_url".into(), json!(format!("{public_url}/response/{reply}")));
    Ok(fields)
}

/// The view that `user` sees there.
pub(super) fn view_at(state: &State, user: &str, place: &Place) -> Result<View, UserError> {
    let view = match place {
        Place::Home => state.homes.get(user).and_then(|id| state.views.get(id)),
        _ => state.open_modal(user),
    };
    view.cloned().ok_or(UserError::NoModal)
}

/// The element that an action names, with its block's id.
pub(super) fn find_element(
    state: &State,
    user: &str,
    place: &Place,
    action: &Action,
) -> Result<(String, Value), UserError> {
    let fits = |block: &str, element: &Value| {
        element["action_id"] == action.action_id.as_str()
            && action.block_id.as_deref().is_none_or(|wanted| wanted == block)
    };
    let found = match place {
        Place::Message { channel, ts } => {
            let (message, _) = seen_message(state, user, channel, ts)?;
            let mut elements = message.elements().into_iter();
            elements
                .find(|(block, element)| fits(block, element))
                .map(|(block, element)| (block.to_owned(), element.clone()))
        }
        Place::Modal | Place::Home => {
            let view = view_at(state, user, place)?;
            let blocks = view.body["blocks"].as_array().into_iter().flatten();
            let mut elements = elements_of(blocks).into_iter();
            elements
                .find(|(block, element)| fits(block, element))
                .map(|(block, element)| (block.to_owned(), element.clone()))
        }
    };
    found.ok_or_else(|| UserError::Element(action.action_id.clone()))
}

/// An option of a select, whole, by its value.
fn option_of(element: &Value, value: &str) -> Value {
    let groups = element["option_groups"].as_array().into_iter().flatten();
    let grouped = groups.flat_map(|group| group["options"].as_array().into_iter().flatten());
    let mut options = element["options"].as_array().into_iter().flatten().chain(grouped);
    options.find(|option| option["value"] == value).cloned().unwrap_or(Value::Null)
}

/// What a view's state or a message's action says about a choice, by the element's type.
pub(super) fn chosen_state(element: &Value, chosen: &Chosen) -> Value {
    let kind = element["type"].as_str().unwrap_or_default();
    let mut state = json!({"type": kind});
    let text = match chosen {
        Chosen::Text(text) | Chosen::Option(text) => json!(text),
        Chosen::Click | Chosen::Options(_) | Chosen::Offered(_) => Value::Null,
    };
    match (kind, chosen) {
        ("button", _) => {}
        (_, Chosen::Offered(option)) => state["selected_option"] = option.clone(),
        (_, Chosen::Options(values)) if kind == "multi_users_select" => {
            state["selected_users"] = json!(values);
        }
        (_, Chosen::Options(values)) => {
            let options: Vec<Value> = values.iter().map(|value| option_of(element, value)).collect();
            state["selected_options"] = json!(options);
        }
        ("static_select" | "radio_buttons" | "overflow", Chosen::Option(value) | Chosen::Text(value)) => {
            state["selected_option"] = option_of(element, value);
        }
        ("datepicker", _) => state["selected_date"] = text,
        ("timepicker", _) => state["selected_time"] = text,
        ("datetimepicker", Chosen::Text(text)) => {
            state["selected_date_time"] = json!(text.parse::<i64>().ok());
        }
        ("users_select", _) => state["selected_user"] = text,
        ("channels_select", _) => state["selected_channel"] = text,
        ("conversations_select", _) => state["selected_conversation"] = text,
        _ => state["value"] = text,
    }
    state
}

/// One entry of `actions`: the element as it was shown, and what was chosen in it.
pub(super) fn action_json(block_id: &str, element: &Value, chosen: &Value, action_ts: &str) -> Value {
    let mut action = Map::new();
    for key in ["type", "action_id", "text", "value", "style", "placeholder", "url"] {
        if let Some(value) = element.get(key) {
            action.insert(key.to_owned(), value.clone());
        }
    }
    for (key, value) in chosen.as_object().into_iter().flatten() {
        action.insert(key.clone(), value.clone());
    }
    action.insert("block_id".into(), json!(block_id));
    action.insert("action_ts".into(), json!(action_ts));
    Value::Object(action)
}

/// The state of a whole view: what was filled in, else what stood there from the start.
pub(super) fn view_values(view: &View, filled: &[Action]) -> Result<Value, UserError> {
    let mut values = Map::new();
    for block in view.body["blocks"].as_array().into_iter().flatten() {
        let optional = block["optional"] == true || block["type"] != "input";
        for (block_id, element) in elements_of(std::iter::once(block)) {
            let kind = element["type"].as_str().unwrap_or_default();
            if kind == "button" || kind == "overflow" {
                continue;
            }
            let action_id = element["action_id"].as_str().unwrap_or_default();
            let given = filled.iter().find(|action| {
                action.action_id == action_id
                    && action.block_id.as_deref().is_none_or(|wanted| wanted == block_id)
            });
            let earlier = &view.values[block_id][action_id];
            let state = match given {
                Some(action) => chosen_state(element, &action.chosen),
                None if earlier.is_object() => earlier.clone(),
                None => initial_state(element),
            };
            let empty = state
                .as_object()
                .is_none_or(|state| state.iter().all(|(key, value)| key == "type" || is_blank(value)));
            if empty && !optional {
                return Err(UserError::Required(block_id.to_owned()));
            }
            let block = values.entry(block_id.to_owned()).or_insert_with(|| json!({}));
            block[action_id] = state;
        }
    }
    Ok(Value::Object(values))
}

fn is_blank(value: &Value) -> bool {
    value.is_null() || value == "" || value.as_array().is_some_and(Vec::is_empty)
}

fn initial_state(element: &Value) -> Value {
    let mut state = json!({"type": element["type"]});
    for (from, to) in [
        ("initial_value", "value"),
        ("initial_option", "selected_option"),
        ("initial_options", "selected_options"),
        ("initial_date", "selected_date"),
        ("initial_time", "selected_time"),
        ("initial_date_time", "selected_date_time"),
        ("initial_user", "selected_user"),
        ("initial_users", "selected_users"),
        ("initial_channel", "selected_channel"),
        ("initial_conversation", "selected_conversation"),
    ] {
        if let Some(value) = element.get(from) {
            state[to] = value.clone();
        }
    }
    let kind = element["type"].as_str().unwrap_or_default();
    if kind.ends_with("text_input") && state.get("value").is_none() {
        state["value"] = Value::Null;
    }
    state
}
