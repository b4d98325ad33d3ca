//! The question which service an alert is about, and how it was answered.
//!
//! The rule that is not obvious: it is one message that changes. Once somebody has answered, the buttons
//! are gone, and whoever comes later sees who said what.

use serde_json::{Value, json};

use super::messages::{Message, button, clock, context, section};
use super::text::{cut, escape};
use crate::domain::incident::IncidentId;

/// What every button's `action_id` begins with.
pub const CHOOSE: &str = "choose_service/";

/// So many services are offered; a message with more buttons is read by nobody.
const OFFERED_MAX: usize = 5;

#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    pub id: i64,
    /// What the alert calls itself.
    pub alert_name: Option<&'a str>,
    pub candidates: &'a [String],
}

/// How a question ended.
#[derive(Debug, Clone, Copy)]
pub struct Ended<'a> {
    pub service: Option<&'a str>,
    /// Slack user id; `None` where the alert resolved first.
    pub by: Option<&'a str>,
    pub at: jiff::Timestamp,
    pub incident: Option<IncidentId>,
}

/// The question, with buttons or with its answer.
pub fn question(asked: &Asked<'_>, ended: Option<&Ended<'_>>) -> Message {
    let name = asked.alert_name.map(|name| format!(" “{}”", cut(&escape(name), 200))).unwrap_or_default();
    let text = format!("The alert{name} fits more than one service. Which one is it about?");
    let mut blocks = vec![section(&text)];
    match ended {
        Some(ended) => blocks.push(context(&answer(ended))),
        None => blocks.push(json!({ "type": "actions", "elements": buttons(asked) })),
    }
    Message { text, blocks, about: None }
}

fn buttons(asked: &Asked<'_>) -> Vec<Value> {
    let value = |service: Option<&str>| json!({ "question": asked.id, "service": service }).to_string();
    let mut buttons: Vec<Value> = asked
        .candidates
        .iter()
        .take(OFFERED_MAX)
        .enumerate()
        .map(|(index, service)| button(&format!("{CHOOSE}{index}"), &cut(service, 70), &value(Some(service))))
        .collect();
    let none = if asked.candidates.len() > 2 { "None of these" } else { "Neither" };
    buttons.push(button(&format!("{CHOOSE}none"), none, &value(None)));
    buttons
}

fn answer(ended: &Ended<'_>) -> String {
    let at = clock(ended.at);
    let Some(by) = ended.by.map(escape) else {
        return format!("The alert resolved at {at}, before anybody answered.");
    };
    match (ended.service, ended.incident) {
        (Some(service), Some(incident)) => {
            format!("<@{by}> at {at}: *{}*, which is {incident}.", cut(&escape(service), 200))
        }
        (Some(service), None) => {
            format!("<@{by}> at {at}: *{}*, whose alerts are held back now.", cut(&escape(service), 200))
        }
        (None, _) => format!("<@{by}> at {at}: none of these. Nothing is investigated."),
    }
}

/// What somebody learns who answers after another.
pub fn too_late(ended: &Ended<'_>) -> Message {
    Message::plain(format!("This is answered already. {}", answer(ended)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_services_and_neither_are_offered_and_the_answer_takes_their_place() {
        let candidates = ["checkout-api".to_owned(), "checkout-worker".to_owned()];
        let asked = Asked { id: 3, alert_name: Some("<!channel> errors"), candidates: &candidates };
        let open = question(&asked, None).to_json();
        let buttons = open["blocks"][1]["elements"].as_array().unwrap();
        let labels: Vec<&str> =
            buttons.iter().map(|button| button["text"]["text"].as_str().unwrap()).collect();
        assert_eq!(labels, ["checkout-api", "checkout-worker", "Neither"]);
        assert!(!open.to_string().contains("<!channel>"), "{open}");
        let at = "2026-02-06T12:20:00Z".parse().unwrap();
        let ended =
            Ended { service: Some("checkout-api"), by: Some("U1"), at, incident: Some(IncidentId(7)) };
        let closed = question(&asked, Some(&ended)).to_json().to_string();
        assert!(closed.contains("<@U1> at 12:20 UTC: *checkout-api*, which is INC-7."), "{closed}");
        assert!(!closed.contains("actions"), "{closed}");
    }
}
