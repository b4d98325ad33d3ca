//! Modals and App Home.
//!
//! The rule that is not obvious: a modal opens only for a trigger that is younger than three seconds
//! and was not used before, and at most three stand on each other.

use serde_json::{Value, json};

use super::super::api::ApiError;
use super::super::limits::{self, Surface};
use super::super::state::{State, Trigger, Update, View, complete_blocks};
use super::{Answer, Call};

const STACK_MAX: usize = 3;

/// Reads and checks the `view` argument.
fn read_view(call: &mut Call<'_>, surface: Surface) -> Result<Value, ApiError> {
    let wrong = || ApiError::new("invalid_arguments");
    let view = call.arguments.structure("view").map_err(|()| wrong())?.ok_or_else(wrong)?;
    let view = checked_view(call.state, view)?;
    let right = if surface == Surface::Modal { "modal" } else { "home" };
    if view["type"] == right { Ok(view) } else { Err(wrong()) }
}

/// Checks a view and adds Slack's own block ids.
pub(in super::super) fn checked_view(state: &mut State, mut view: Value) -> Result<Value, ApiError> {
    if let Some(object) = view.as_object_mut() {
        object.retain(|_, value| !value.is_null());
    }
    limits::check_view(&view, &|file: &str| state.file_ready(file))
        .map_err(|problems| ApiError::invalid("invalid_arguments", &problems))?;
    if let Some(blocks) = view.get_mut("blocks").and_then(Value::as_array_mut) {
        complete_blocks(blocks, &mut || state.next_id("b"));
    }
    Ok(view)
}

fn use_trigger(call: &mut Call<'_>) -> Result<Trigger, ApiError> {
    let id = call.required("trigger_id")?;
    let lifetime = call.options.trigger_lifetime;
    let trigger = call.state.triggers.get_mut(&id).ok_or_else(|| ApiError::new("invalid_trigger_id"))?;
    if trigger.used {
        return Err(ApiError::new("exchanged_trigger_id"));
    }
    if trigger.at.elapsed() > lifetime {
        return Err(ApiError::new("expired_trigger_id"));
    }
    trigger.used = true;
    Ok(trigger.clone())
}

pub(super) fn open(call: &mut Call<'_>) -> Answer {
    let body = read_view(call, Surface::Modal)?;
    let trigger = use_trigger(call)?;
    call.state.modals.remove(&trigger.user);
    let json = show(call.state, &trigger, body);
    Ok(json!({"view": json}))
}

pub(super) fn push(call: &mut Call<'_>) -> Answer {
    let body = read_view(call, Surface::Modal)?;
    let trigger = use_trigger(call)?;
    if trigger.view.is_none() {
        return Err(ApiError::new("invalid_trigger_id"));
    }
    if call.state.modals.get(&trigger.user).is_some_and(|stack| stack.len() >= STACK_MAX) {
        return Err(ApiError::new("push_limit_reached"));
    }
    let json = show(call.state, &trigger, body);
    Ok(json!({"view": json}))
}

/// Puts a modal on top of `trigger`'s user's stack, and tells of it.
pub(in super::super) fn show(state: &mut State, trigger: &Trigger, body: Value) -> Value {
    let id = state.next_id("V");
    let stack = state.modals.entry(trigger.user.clone()).or_default();
    let view = View {
        id: id.clone(),
        user: trigger.user.clone(),
        body,
        hash: new_hash(),
        root_id: stack.first().cloned().unwrap_or_else(|| id.clone()),
        previous_id: stack.last().cloned(),
        values: json!({}),
        opened_from: trigger.channel.clone(),
    };
    stack.push(id.clone());
    let json = state.view_json(&view);
    state.views.insert(id, view);
    state.update(Update::ModalChanged { user: trigger.user.clone() });
    json
}

pub(super) fn publish(call: &mut Call<'_>) -> Answer {
    let user = call.required("user_id")?;
    if call.state.workspace.user(&user).is_none() {
        return Err(ApiError::new("user_not_found"));
    }
    let body = read_view(call, Surface::Home)?;
    let previous = call.state.homes.get(&user).and_then(|id| call.state.views.get(id));
    if let (Some(hash), Some(previous)) = (call.arguments.text("hash"), previous)
        && hash != previous.hash
    {
        return Err(ApiError::new("hash_conflict"));
    }
    let id = previous.map_or_else(String::new, |view| view.id.clone());
    let id = if id.is_empty() { call.state.next_id("V") } else { id };
    let view = View {
        id: id.clone(),
        user: user.clone(),
        body,
        hash: new_hash(),
        root_id: id.clone(),
        previous_id: None,
        values: json!({}),
        opened_from: None,
    };
    let json = call.state.view_json(&view);
    call.state.views.insert(id.clone(), view);
    call.state.homes.insert(user.clone(), id);
    call.state.update(Update::HomeChanged { user });
    Ok(json!({"view": json}))
}

pub(super) fn update(call: &mut Call<'_>) -> Answer {
    let id = match (call.arguments.text("view_id"), call.arguments.text("external_id")) {
        (Some(id), _) => Some(id),
        (None, Some(external)) => call
            .state
            .views
            .values()
            .find(|view| view.body["external_id"] == external.as_str())
            .map(|view| view.id.clone()),
        (None, None) => return Err(ApiError::new("invalid_arguments")),
    };
    let view = id.and_then(|id| call.state.views.get(&id)).cloned();
    let view = view.ok_or_else(|| ApiError::new("not_found"))?;
    let is_home = view.body["type"] == "home";
    let open = call.state.modals.get(&view.user).is_some_and(|stack| stack.contains(&view.id));
    if !is_home && !open {
        return Err(ApiError::new("not_found"));
    }
    if call.arguments.text("hash").is_some_and(|hash| hash != view.hash) {
        return Err(ApiError::new("hash_conflict"));
    }
    let body = read_view(call, if is_home { Surface::Home } else { Surface::Modal })?;
    let json = replace(call.state, &view.id, body);
    Ok(json!({"view": json}))
}

/// Gives an open view another body.
pub(in super::super) fn replace(state: &mut State, id: &str, body: Value) -> Value {
    let Some(view) = state.views.get_mut(id) else { return Value::Null };
    view.body = body;
    view.hash = new_hash();
    let view = view.clone();
    let user = view.user.clone();
    state.update(if view.body["type"] == "home" {
        Update::HomeChanged { user }
    } else {
        Update::ModalChanged { user }
    });
    state.view_json(&view)
}

fn new_hash() -> String {
    let random = uuid::Uuid::new_v4().simple().to_string();
    format!("1738000000.{}", &random[..8])
}
