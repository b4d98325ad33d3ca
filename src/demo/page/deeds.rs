//! What people do on the page, handed on to the workspace or to the driver.

use std::collections::BTreeMap;
use std::fmt::Display;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc::error::TrySendError;

use super::{Command, PageState};
use crate::demo::slack::{Action, Chosen, Outcome, Place, Submitted, UserError};

/// The most orders that one click may send.
const ORDERS_MAX: u32 = 500;

#[derive(Debug, Deserialize)]
pub(super) struct Typed {
    user: String,
    channel: String,
    text: String,
    thread_ts: Option<String>,
}

/// `POST /page/message`: a message, or a command where it begins with one.
pub(super) async fn message(State(page): State<PageState>, Json(typed): Json<Typed>) -> Response {
    let text = typed.text.trim();
    if text.is_empty() {
        return refuse(&"there is nothing to send");
    }
    if !text.starts_with('/') {
        let sent = page.slack.user_message(&typed.user, &typed.channel, text, typed.thread_ts.as_deref());
        return sent.map_or_else(|error| refuse(&error), |ts| Json(json!({"ts": ts})).into_response());
    }
    let (command, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    if typed.thread_ts.is_some() {
        return refuse(&format!("{command} does not work in threads. Mention the app here instead."));
    }
    outcome(page.slack.slash(&typed.user, &typed.channel, command, rest).await)
}

/// Where somebody acts, as the page says it.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Where {
    Message { channel: String, ts: String },
    Modal,
    Home,
}

impl From<Where> for Place {
    fn from(place: Where) -> Self {
        match place {
            Where::Message { channel, ts } => Place::Message { channel, ts },
            Where::Modal => Place::Modal,
            Where::Home => Place::Home,
        }
    }
}

/// What was chosen; one of the fields, none for a button.
#[derive(Debug, Default, Deserialize)]
struct Choice {
    text: Option<String>,
    option: Option<String>,
    options: Option<Vec<String>>,
    offered: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Deed {
    action_id: String,
    block_id: Option<String>,
    #[serde(default)]
    choice: Choice,
}

impl From<Deed> for Action {
    fn from(deed: Deed) -> Self {
        let choice = deed.choice;
        let chosen = if let Some(text) = choice.text {
            Chosen::Text(text)
        } else if let Some(option) = choice.option {
            Chosen::Option(option)
        } else if let Some(options) = choice.options {
            Chosen::Options(options)
        } else if let Some(offered) = choice.offered {
            Chosen::Offered(offered)
        } else {
            Chosen::Click
        };
        Action { action_id: deed.action_id, block_id: deed.block_id, chosen }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Acted {
    user: String,
    place: Where,
    deed: Deed,
}

/// `POST /page/action`: a button, a select, a date.
pub(super) async fn action(State(page): State<PageState>, Json(acted): Json<Acted>) -> Response {
    outcome(page.slack.act(&acted.user, &acted.place.into(), &acted.deed.into()).await)
}

#[derive(Debug, Deserialize)]
pub(super) struct Suggest {
    user: String,
    place: Where,
    deed: Deed,
    typed: String,
}

/// `POST /page/suggest`: the options for what was typed so far.
pub(super) async fn suggest(State(page): State<PageState>, Json(asked): Json<Suggest>) -> Response {
    let offered =
        page.slack.suggest(&asked.user, &asked.place.into(), &asked.deed.into(), &asked.typed).await;
    match offered {
        Ok(options) => Json(json!({"options": options})).into_response(),
        // The field may have gone with its form while somebody typed: nobody waits for options any more.
        Err(UserError::NoModal | UserError::Element(_)) => Json(json!({"options": []})).into_response(),
        Err(error) => refuse(&error),
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Shortcut {
    user: String,
    channel: String,
    ts: String,
    callback_id: String,
}

/// `POST /page/shortcut`: an entry of a message's menu.
pub(super) async fn shortcut(State(page): State<PageState>, Json(used): Json<Shortcut>) -> Response {
    outcome(page.slack.message_shortcut(&used.user, &used.channel, &used.ts, &used.callback_id).await)
}

#[derive(Debug, Deserialize)]
pub(super) struct Filled {
    user: String,
    filled: Vec<Deed>,
}

/// `POST /page/view/submit`: the open modal with what was filled in.
pub(super) async fn submit_view(State(page): State<PageState>, Json(form): Json<Filled>) -> Response {
    let filled: Vec<Action> = form.filled.into_iter().map(Action::from).collect();
    match page.slack.submit_view(&form.user, &filled).await {
        Ok(Submitted::Closed | Submitted::Changed) => Json(json!({})).into_response(),
        Ok(Submitted::Errors(errors)) => Json(json!({"errors": errors})).into_response(),
        Ok(Submitted::Failed(reason)) => refuse(&format!("The app did not take it ({reason}). Try again.")),
        Err(UserError::Required(block)) => {
            let errors = BTreeMap::from([(block, "Please fill in this field.")]);
            Json(json!({"errors": errors})).into_response()
        }
        Err(error) => refuse(&error),
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Person {
    user: String,
}

/// `POST /page/view/close`: the open modal is closed without submitting.
pub(super) async fn close_view(State(page): State<PageState>, Json(person): Json<Person>) -> Response {
    match page.slack.close_view(&person.user).await {
        // It may have been closed by the app in the same moment.
        Ok(()) | Err(UserError::NoModal) => Json(json!({})).into_response(),
        Err(error) => refuse(&error),
    }
}

/// `POST /page/home`: the app's home tab was opened.
pub(super) async fn open_home(State(page): State<PageState>, Json(person): Json<Person>) -> Response {
    page.slack
        .open_home(&person.user)
        .map_or_else(|error| refuse(&error), |()| Json(json!({})).into_response())
}

/// `POST /page/command`: something for the driver to do.
pub(super) async fn command(State(page): State<PageState>, Json(command): Json<Command>) -> Response {
    match &command {
        Command::SendOrders { count } if *count == 0 || *count > ORDERS_MAX => {
            return refuse(&format!("between 1 and {ORDERS_MAX} orders can be sent at once"));
        }
        Command::StartScenario { name } if !page.scenarios.iter().any(|each| each.name == *name) => {
            return refuse(&format!("there is no scenario {name}"));
        }
        _ => {}
    }
    match page.commands.try_send(command) {
        Ok(()) => (StatusCode::ACCEPTED, Json(json!({}))).into_response(),
        Err(TrySendError::Full(_)) => refuse(&"the demo is busy with what was asked before; try again soon"),
        Err(TrySendError::Closed(_)) => refuse(&"the demo has ended"),
    }
}

fn outcome(result: Result<Outcome, UserError>) -> Response {
    match result {
        Ok(outcome) => Json(json!({"acknowledged": outcome.acknowledged()})).into_response(),
        Err(error) => refuse(&error),
    }
}

/// An answer that the page shows to the person as it is.
fn refuse(reason: &dyn Display) -> Response {
    (StatusCode::UNPROCESSABLE_ENTITY, Json(json!({"error": reason.to_string()}))).into_response()
}
