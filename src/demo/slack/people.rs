//! What people and other tools do in the workspace: write, command, click, fill in, and see the answer.
//!
//! The rule that is not obvious: a click's answer does not come back with the click. The bot
//! acknowledges at once and answers later; [`SlackWorld::private_answer`] waits for that.

use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::SlackWorld;
use super::arguments::form;
use super::content::complete_attachments;
use super::interaction::{
    action_json, channel_named, chosen_state, find_element, interaction, message_fields, require_channel,
    require_user, thread_root, view_at, view_values,
};
use super::message::{Author, Message};
use super::outbound::Acknowledgement;
use super::reply::{complain, follow, pop_modal, show_direct_answer};
use super::state::{Ephemeral, Reply, State, complete_blocks};
use super::typed::compose;
use super::workspace::BotStyle;

/// Why somebody could not even do it; Slack's own client would not have let them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UserError {
    #[error("there is no user {0}")]
    User(String),
    #[error("there is no channel {0}")]
    Channel(String),
    #[error("there is no message {0}")]
    Message(String),
    #[error("there is no bot {0}")]
    Bot(String),
    #[error("there is nothing with the action_id {0} there")]
    Element(String),
    #[error("{0} is not a valid command")]
    Command(String),
    #[error("there is no shortcut {0}")]
    Shortcut(String),
    #[error("no modal is open")]
    NoModal,
    #[error("{0} must be filled in")]
    Required(String),
    #[error("the payload says nothing")]
    Empty,
}

/// Where an interactive element is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A message, or one that only the clicker sees.
    Message {
        channel: String,
        ts: String,
    },
    /// The modal that is open.
    Modal,
    Home,
}

/// What was chosen there.
#[derive(Debug, Clone, PartialEq)]
pub enum Chosen {
    /// A button was pressed.
    Click,
    /// Text, a date (`2026-02-06`), a time (`14:05`), or the id of a person or channel.
    Text(String),
    /// An option, by its value.
    Option(String),
    /// Several options, by their values.
    Options(Vec<String>),
    /// An option that a type-ahead offered, whole.
    Offered(Value),
}

/// One element and what was chosen in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Action {
    pub action_id: String,
    /// Needed only where two blocks hold the same `action_id`.
    pub block_id: Option<String>,
    pub chosen: Chosen,
}

impl Action {
    pub fn click(action_id: &str) -> Self {
        Self { action_id: action_id.to_owned(), block_id: None, chosen: Chosen::Click }
    }
}

/// What a command or a click came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub user: String,
    /// The HTTP status of the bot's answer, or why there is none.
    pub status: Result<u16, String>,
    /// The time of the click as a message id: answers are later.
    pub since: String,
}

impl Outcome {
    pub fn acknowledged(&self) -> bool {
        matches!(self.status, Ok(status) if (200..300).contains(&status))
    }
}

/// What became of a submitted modal.
#[derive(Debug, Clone, PartialEq)]
pub enum Submitted {
    Closed,
    /// What is wrong, by block id; the modal stays.
    Errors(Map<String, Value>),
    /// It shows something else now, or another one stands on it.
    Changed,
    /// The bot did not answer well; the modal stays and says so.
    Failed(String),
}

impl SlackWorld {
    /// Somebody writes in a channel, or in a thread of it. Returns the message's `ts`.
    pub fn user_message(
        &self,
        user: &str,
        channel: &str,
        typed: &str,
        thread: Option<&str>,
    ) -> Result<String, UserError> {
        self.write(|state| {
            require_user(state, user)?;
            require_channel(state, channel)?;
            let thread_ts = thread_root(state, channel, thread)?;
            let (text, mut block) = compose(&state.workspace, typed);
            complete_blocks(std::slice::from_mut(&mut block), &mut || state.next_id("b"));
            let ts = state.next_ts();
            let mut message = Message::new(channel, ts.clone(), Author::User { user: user.to_owned() }, text);
            message.blocks = vec![block];
            message.thread_ts = thread_ts;
            state.post(message);
            Ok(ts)
        })
    }

    /// Another tool posts into a channel: `text`, `attachments`, `blocks`, `username` and `thread_ts` of
    /// `payload` are taken as they are. Returns the message's `ts`.
    pub fn post_alert_message(&self, channel: &str, bot: &str, payload: &Value) -> Result<String, UserError> {
        self.write(|state| {
            require_channel(state, channel)?;
            let bot = state.workspace.bot(bot).ok_or_else(|| UserError::Bot(bot.to_owned()))?;
            let shown = payload["username"].as_str().unwrap_or(&bot.name);
            let (user, username) = match &bot.style {
                BotStyle::App { user, .. } => (Some(user.clone()), None),
                BotStyle::Webhook => (None, Some(shown.to_owned())),
            };
            let author = Author::Bot { bot: bot.id.clone(), user, username };
            let thread_ts = thread_root(state, channel, payload["thread_ts"].as_str())?;
            let ts = state.next_ts();
            let mut message = Message::new(channel, ts.clone(), author, String::new());
            message.thread_ts = thread_ts;
            fill(state, &mut message, payload);
            if message.text.is_empty() && message.blocks.is_empty() && message.attachments.is_empty() {
                return Err(UserError::Empty);
            }
            state.post(message);
            Ok(ts)
        })
    }

    /// Another tool edits its message, as many do when an alert resolves.
    pub fn edit_alert_message(&self, channel: &str, ts: &str, payload: &Value) -> Result<(), UserError> {
        self.write(|state| {
            let mut edited =
                state.message(channel, ts).cloned().ok_or_else(|| UserError::Message(ts.to_owned()))?;
            fill(state, &mut edited, payload);
            state.change(channel, ts, |message| *message = edited);
            Ok(())
        })
    }

    /// Somebody deletes a message.
    pub fn delete_message(&self, channel: &str, ts: &str) -> Result<(), UserError> {
        self.write(|state| {
            state.message(channel, ts).ok_or_else(|| UserError::Message(ts.to_owned()))?;
            state.delete(channel, ts);
            Ok(())
        })
    }

    /// Somebody types a slash command. Its direct answer is shown where the bot gives one.
    pub async fn slash(
        &self,
        user: &str,
        channel: &str,
        command: &str,
        text: &str,
    ) -> Result<Outcome, UserError> {
        let public_url = self.public_url();
        let (id, since, reply, body) = self.write(|state| {
            let name = require_user(state, user)?;
            let channel_name = require_channel(state, channel)?;
            let known = state.workspace.app.commands.iter().any(|each| each == command);
            if !known || !state.has_scope("commands") {
                return Err(UserError::Command(command.to_owned()));
            }
            let trigger = state.new_trigger(user, Some(channel), None);
            let reply = Reply {
                user: user.to_owned(),
                channel: channel.to_owned(),
                thread: None,
                source: None,
                at: Instant::now(),
                uses: 0,
            };
            let response_url = format!("{public_url}/response/{}", state.new_reply(reply.clone()));
            let workspace = &state.workspace;
            let body = form(&[
                ("token", "none"),
                ("team_id", &workspace.id),
                ("team_domain", &workspace.domain),
                ("channel_id", channel),
                ("channel_name", &channel_name),
                ("user_id", user),
                ("user_name", &name),
                ("command", command),
                ("text", text.trim()),
                ("api_app_id", &workspace.app.id),
                ("is_enterprise_install", "false"),
                ("response_url", &response_url),
                ("trigger_id", &trigger),
            ]);
            let id = state.next_id("Cm");
            state.begin_delivery(&id, "command", String::new());
            Ok((id, state.next_ts(), reply, body))
        })?;
        let result = self.send("/slack/commands", "application/x-www-form-urlencoded", &body, &[]).await;
        self.write(|state| {
            state.note_attempt(&id, result.as_ref().map(|answer| answer.status).map_err(Clone::clone), true);
            match &result {
                Ok(answer) if answer.is_success() => show_direct_answer(state, &reply, answer),
                _ => complain(state, user, channel, command, &result),
            }
        });
        Ok(Outcome { user: user.to_owned(), status: result.map(|answer| answer.status), since })
    }

    /// Somebody presses a button of a message, and confirms where it asks.
    pub async fn click(
        &self,
        user: &str,
        channel: &str,
        ts: &str,
        action_id: &str,
    ) -> Result<Outcome, UserError> {
        let place = Place::Message { channel: channel.to_owned(), ts: ts.to_owned() };
        self.act(user, &place, &Action::click(action_id)).await
    }

    /// Somebody uses any interactive element anywhere.
    pub async fn act(&self, user: &str, place: &Place, action: &Action) -> Result<Outcome, UserError> {
        let public_url = self.public_url();
        let (since, payload) = self.write(|state| {
            let mut payload = interaction(state, user, "block_actions")?;
            let (block_id, element) = find_element(state, user, place, action)?;
            let action_ts = state.next_ts();
            let chosen = chosen_state(&element, &action.chosen);
            match place {
                Place::Message { channel, ts } => {
                    let fields = message_fields(state, user, channel, ts, &public_url)?;
                    payload.extend(fields);
                    payload
                        .insert("state".into(), json!({"values": {&block_id: {&action.action_id: chosen}}}));
                }
                Place::Modal | Place::Home => {
                    let view = view_at(state, user, place)?;
                    let id = view.id.clone();
                    if let Some(view) = state.views.get_mut(&id)
                        && element["type"] != "button"
                    {
                        view.values[&block_id] = json!({&action.action_id: chosen});
                    }
                    let trigger = state.new_trigger(user, None, Some(&id));
                    payload.insert("trigger_id".into(), json!(trigger));
                    payload.insert("container".into(), json!({"type": "view", "view_id": id}));
                    let json = state.views.get(&id).map(|view| state.view_json(view));
                    payload.insert("view".into(), json!(json));
                }
            }
            payload.insert("actions".into(), json!([action_json(&block_id, &element, &chosen, &action_ts)]));
            Ok((action_ts, payload))
        })?;
        let result = self.interact("block_actions", &Value::Object(payload)).await;
        if let Place::Message { channel, .. } = place
            && !result.as_ref().is_ok_and(Acknowledgement::is_success)
        {
            self.write(|state| complain(state, user, channel, "This button", &result));
        }
        Ok(Outcome { user: user.to_owned(), status: result.map(|answer| answer.status), since })
    }

    /// Somebody uses a shortcut from a message's menu.
    pub async fn message_shortcut(
        &self,
        user: &str,
        channel: &str,
        ts: &str,
        callback_id: &str,
    ) -> Result<Outcome, UserError> {
        let public_url = self.public_url();
        let (since, payload) = self.write(|state| {
            if !state.workspace.app.shortcuts.iter().any(|(id, _)| id == callback_id) {
                return Err(UserError::Shortcut(callback_id.to_owned()));
            }
            let mut payload = interaction(state, user, "message_action")?;
            payload.extend(message_fields(state, user, channel, ts, &public_url)?);
            payload.remove("container");
            payload.insert("callback_id".into(), json!(callback_id));
            payload.insert("message_ts".into(), json!(ts));
            let since = state.next_ts();
            payload.insert("action_ts".into(), json!(since));
            Ok((since, payload))
        })?;
        let result = self.interact("message_action", &Value::Object(payload)).await;
        if !result.as_ref().is_ok_and(Acknowledgement::is_success) {
            self.write(|state| complain(state, user, channel, "The shortcut", &result));
        }
        Ok(Outcome { user: user.to_owned(), status: result.map(|answer| answer.status), since })
    }

    /// Somebody submits the modal that they see, with what they filled in.
    pub async fn submit_view(&self, user: &str, filled: &[Action]) -> Result<Submitted, UserError> {
        let (view_id, payload) = self.write(|state| {
            let mut payload = interaction(state, user, "view_submission")?;
            let view = view_at(state, user, &Place::Modal)?;
            let id = view.id.clone();
            let values = view_values(&view, filled)?;
            if let Some(view) = state.views.get_mut(&id) {
                view.values = values;
            }
            let trigger = state.new_trigger(user, view.opened_from.as_deref(), Some(&id));
            payload.insert("trigger_id".into(), json!(trigger));
            payload.insert("view".into(), json!(state.views.get(&id).map(|view| state.view_json(view))));
            payload.insert("response_urls".into(), json!([]));
            Ok((id, payload))
        })?;
        let result = self.interact("view_submission", &Value::Object(payload)).await;
        Ok(self.write(|state| match result {
            Ok(answer) if answer.is_success() => follow(state, user, &view_id, &answer),
            Ok(answer) => Submitted::Failed(format!("HTTP {}", answer.status)),
            Err(error) => Submitted::Failed(error),
        }))
    }

    /// Somebody closes the modal that they see; the app is told where it asked for that.
    pub async fn close_view(&self, user: &str) -> Result<(), UserError> {
        let payload = self.write(|state| {
            let view = view_at(state, user, &Place::Modal)?;
            let json = state.view_json(&view);
            pop_modal(state, user);
            if view.body["notify_on_close"] != true {
                return Ok(None);
            }
            let mut payload = interaction(state, user, "view_closed")?;
            payload.insert("view".into(), json);
            payload.insert("is_cleared".into(), json!(false));
            Ok(Some(payload))
        })?;
        if let Some(payload) = payload {
            // Slack shows nothing to the person where this goes wrong.
            let _ = self.interact("view_closed", &Value::Object(payload)).await;
        }
        Ok(())
    }

    /// Somebody types in a select with type-ahead: the options that the app offers.
    pub async fn suggest(
        &self,
        user: &str,
        place: &Place,
        action: &Action,
        typed: &str,
    ) -> Result<Vec<Value>, UserError> {
        let payload = self.write(|state| {
            let mut payload = interaction(state, user, "block_suggestion")?;
            let (block_id, _) = find_element(state, user, place, action)?;
            payload.insert("action_id".into(), json!(action.action_id));
            payload.insert("block_id".into(), json!(block_id));
            payload.insert("value".into(), json!(typed));
            if let Place::Message { channel, ts } = place {
                payload.insert(
                    "container".into(),
                    json!({"type": "message", "message_ts": ts, "channel_id": channel}),
                );
                payload.insert("channel".into(), channel_named(state, channel));
            } else {
                let view = view_at(state, user, place)?;
                payload.insert("container".into(), json!({"type": "view", "view_id": view.id}));
                payload.insert("view".into(), state.view_json(&view));
            }
            Ok(payload)
        })?;
        let answer = self.interact("block_suggestion", &Value::Object(payload)).await;
        let json = answer.ok().and_then(|answer| answer.json()).unwrap_or_default();
        let groups = json["option_groups"].as_array().into_iter().flatten();
        let grouped = groups.flat_map(|group| group["options"].as_array().into_iter().flatten());
        Ok(json["options"].as_array().into_iter().flatten().chain(grouped).cloned().collect())
    }

    /// Somebody opens the app's home tab.
    pub fn open_home(&self, user: &str) -> Result<(), UserError> {
        let event = self.write(|state| {
            require_user(state, user)?;
            let event_ts = state.next_ts();
            Ok(json!({
                "type": "app_home_opened", "user": user, "tab": "home", "event_ts": event_ts,
                "channel": format!("D{}", user.trim_start_matches('U')),
            }))
        })?;
        self.send_event(&event);
        Ok(())
    }

    /// The private answer to a command or click, once it is there.
    ///
    /// # Errors
    /// Where none comes within `within`.
    pub async fn private_answer(&self, outcome: &Outcome, within: Duration) -> Result<Ephemeral, String> {
        self.wait_for("the private answer", within, |world| {
            world.ephemerals(&outcome.user).into_iter().find(|each| each.message.ts > outcome.since)
        })
        .await
    }

    /// Sends an interaction as it is given, whether or not anybody here could have done it. The status of the
    /// answer, or why there is none.
    pub async fn send_interaction(&self, payload: &Value) -> Result<u16, String> {
        let kind = payload["type"].as_str().unwrap_or_default();
        self.interact(kind, payload).await.map(|answer| answer.status)
    }

    async fn interact(&self, kind: &str, payload: &Value) -> Result<Acknowledgement, String> {
        let id = self.write(|state| {
            let id = state.next_id("In");
            state.begin_delivery(&id, kind, String::new());
            id
        });
        let body = form(&[("payload", &payload.to_string())]);
        let result = self.send("/slack/interactions", "application/x-www-form-urlencoded", &body, &[]).await;
        self.write(|state| {
            let status = result.as_ref().map(|answer| answer.status).map_err(Clone::clone);
            state.note_attempt(&id, status, true);
        });
        result
    }
}

/// Puts another tool's payload into a message; what it does not name stays.
fn fill(state: &mut State, message: &mut Message, payload: &Value) {
    if let Some(text) = payload["text"].as_str() {
        text.clone_into(&mut message.text);
    }
    if let Some(attachments) = payload["attachments"].as_array() {
        message.attachments.clone_from(attachments);
        complete_attachments(state, &mut message.attachments);
    }
    if let Some(blocks) = payload["blocks"].as_array() {
        message.blocks.clone_from(blocks);
        complete_blocks(&mut message.blocks, &mut || state.next_id("b"));
    }
}
