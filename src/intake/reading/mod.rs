//! What one message says about an alert, and nothing that it does not say.
//!
//! One reader for all tools: a message is taken apart into headings, lines and named values, and each
//! question (state, name, service, …) is asked of those in a fixed order. No tool is special.

mod markup;
mod names;
mod parts;
mod state;
mod times;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use self::parts::Parts;
use crate::domain::alert::{Alert, AlertState};

/// What was read from one message or webhook body; `None` where it says nothing.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Reading {
    pub is_alert: bool,
    pub state: Option<AlertState>,
    pub service: Option<String>,
    pub metric: Option<String>,
    pub severity: Option<String>,
    pub alert_name: Option<String>,
    pub at: Option<Timestamp>,
    pub source: Option<String>,
}

/// Reads whatever arrived: a Slack event, a bare message, or the body of `POST /alert`.
pub fn read(body: &Value) -> Reading {
    let event = body.get("slack_event").unwrap_or(body);
    if let Some(inner) = event.get("event") {
        let message = inner.get("message").filter(|message| message.is_object()).unwrap_or(inner);
        let ours = |field: &Value, own: &Value| field.is_string() && field == own;
        let own = ours(&message["app_id"], &event["api_app_id"])
            || event["authorizations"].as_array().into_iter().flatten().any(|authorization| {
                authorization["is_bot"] == true && ours(&message["user"], &authorization["user_id"])
            });
        let by_a_person = message.get("bot_id").is_none_or(Value::is_null);
        return if own || by_a_person { Reading::default() } else { read_message(message) };
    }
    match Alert::from_json(body) {
        Ok(alert) => Reading {
            is_alert: true,
            state: Some(AlertState::Firing),
            service: Some(alert.service),
            metric: alert.metric,
            severity: alert.severity,
            alert_name: alert.alert_name,
            at: Some(alert.at),
            source: alert.source,
        },
        Err(_) => read_message(body),
    }
}

/// Reads a Slack message of another bot.
pub fn read_message(message: &Value) -> Reading {
    let parts = Parts::of(message);
    let named = names::of(&parts);
    // A report of the provider about its own service states no condition, but names what it affects.
    let state = state::of(&parts).or_else(|| {
        let affects = parts.value(&["affected service", "affected services"]).is_some();
        affects.then_some(AlertState::Firing)
    });
    let source =
        message["username"].as_str().or_else(|| message["bot_profile"]["name"].as_str()).map(str::to_owned);
    let Some(state) = state else { return Reading { source, ..Reading::default() } };
    Reading {
        is_alert: true,
        state: Some(state),
        service: named.service,
        metric: named.metric,
        severity: named.severity,
        alert_name: named.alert,
        at: times::of(&parts),
        source,
    }
}

#[cfg(test)]
mod tests;
