//! What one message says about an alert, and nothing that it does not say.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::domain::alert::{Alert, AlertState, parse_time};

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
        let by_a_person = message.get("bot_id").is_none();
        return if by_a_person { Reading::default() } else { read_message(message) };
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
    let mut lines = Vec::new();
    let mut fields = BTreeMap::new();
    gather(message, &mut lines, &mut fields);
    let text = lines.join("\n");
    let state = fields
        .get("current state")
        .or_else(|| fields.get("state"))
        .or_else(|| fields.get("status"))
        .and_then(|value| state_of(value))
        .or_else(|| state_of(&text));
    let field = |names: &[&str]| names.iter().find_map(|name| fields.get(*name)).cloned();
    Reading {
        is_alert: state.is_some(),
        state,
        service: field(&["service", "affected service", "functionname", "function"]),
        metric: field(&["metric", "metric name", "metricname"]),
        severity: field(&["severity", "priority"]),
        alert_name: field(&["alarm name", "alarm", "alertname", "alert name", "alert"]),
        at: field(&["start time", "started", "time", "timestamp", "at"]).as_deref().and_then(parse_time),
        source: message["username"]
            .as_str()
            .or_else(|| message["bot_profile"]["name"].as_str())
            .map(str::to_owned),
    }
}

/// Collects all texts of a message and its titled fields, names in lower case.
fn gather(value: &Value, lines: &mut Vec<String>, fields: &mut BTreeMap<String, String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| gather(item, lines, fields)),
        Value::Object(object) => {
            if let (Some(title), Some(text)) = (object.get("title").and_then(Value::as_str), object.get("value"))
            {
                let text = text.as_str().map_or_else(|| text.to_string(), str::to_owned);
                fields.entry(title.to_lowercase()).or_insert_with(|| clean(&text));
            }
            for key in ["text", "pretext", "title", "fallback"] {
                if let Some(text) = object.get(key).and_then(Value::as_str) {
                    for line in text.lines() {
                        if let Some((name, rest)) = line.split_once(':') {
                            let name = clean(name).to_lowercase();
                            fields.entry(name).or_insert_with(|| clean(rest));
                        }
                        lines.push(clean(line));
                    }
                }
            }
            for key in ["attachments", "blocks", "fields", "elements", "text"] {
                if let Some(inner) = object.get(key) {
                    gather(inner, lines, fields);
                }
            }
        }
        _ => {}
    }
}

fn clean(text: &str) -> String {
    text.trim().trim_matches(|c| matches!(c, '`' | '*' | '_')).trim().to_owned()
}

fn state_of(text: &str) -> Option<AlertState> {
    let words: Vec<String> = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    let any = |names: &[&str]| words.iter().any(|word| names.contains(&word.as_str()));
    if any(&["resolved", "recovered", "ok"]) {
        Some(AlertState::Resolved)
    } else if any(&["firing", "alarm", "triggered", "critical"]) {
        Some(AlertState::Firing)
    } else {
        None
    }
}
