//! What one message says about an alert, and nothing that it does not say.
//!
//! One reader for all tools: a message is taken apart into headings, lines and named values, and each
//! question (state, name, service, …) is asked of those in a fixed order. No tool is special.

mod body;
mod fields;
mod markup;
mod measures;
mod names;
mod parts;
mod state;
mod subjects;
mod times;
mod title;
mod words;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use self::parts::Parts;
use self::words::Said;
use crate::domain::alert::{Alert, AlertState};
use crate::slack::inbound;

/// What was read from one message or webhook body; `None` where it says nothing.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Reading {
    pub is_alert: bool,
    pub state: Option<AlertState>,
    /// It fires, and says no more than that somebody has seen it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub acknowledged: bool,
    pub service: Option<String>,
    pub metric: Option<String>,
    pub severity: Option<String>,
    pub alert_name: Option<String>,
    pub at: Option<Timestamp>,
    pub source: Option<String>,
}

/// Reads whatever arrived: a Slack event, a bare message, the body of `POST /alert`, a tool's webhook.
pub fn read(body: &Value) -> Reading {
    let event = body.get("slack_event").unwrap_or(body);
    let inner = &event["event"];
    if event["type"] == "event_callback" || inner["type"] == "message" || inner["type"] == "app_mention" {
        return read_event(event);
    }
    if ["text", "attachments", "blocks"].iter().any(|key| !event[*key].is_null()) {
        let reading = read_message(event);
        if reading.is_alert || event["attachments"].is_array() || event["blocks"].is_array() {
            return reading;
        }
    }
    let parts = body::of(event);
    match Alert::from_json(event) {
        Ok(alert) => Reading {
            is_alert: true,
            // A body of `POST /alert` fires unless it says otherwise.
            state: state::of(&parts)
                .map(Said::state)
                .filter(|state| *state == AlertState::Resolved)
                .or(Some(AlertState::Firing)),
            acknowledged: false,
            service: Some(alert.service),
            metric: alert.metric,
            severity: alert.severity,
            alert_name: alert.alert_name,
            at: Some(alert.at),
            source: alert.source,
        },
        Err(_) => read_parts(&parts),
    }
}

fn read_event(event: &Value) -> Reading {
    let inner = &event["event"];
    let message = inner.get("message").filter(|message| message.is_object()).unwrap_or(inner);
    let by_a_person = message.get("bot_id").is_none_or(Value::is_null);
    if inbound::is_own(event, message) || by_a_person { Reading::default() } else { read_message(message) }
}

/// Reads a Slack message of another bot.
pub fn read_message(message: &Value) -> Reading {
    read_parts(&Parts::of(message))
}

fn read_parts(parts: &Parts) -> Reading {
    let source = parts.source.clone();
    let Some(said) = state::of(parts) else { return Reading { source, ..Reading::default() } };
    let named = names::of(parts);
    Reading {
        is_alert: true,
        state: Some(said.state()),
        acknowledged: said == Said::Acknowledged,
        service: named.service,
        metric: named.metric,
        severity: named.severity,
        alert_name: named.alert,
        at: times::of(parts),
        source,
    }
}

#[cfg(test)]
mod tests;
