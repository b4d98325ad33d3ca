//! The question which service an alert is about, and how it was answered. It says beforehand what is done if nobody
//! answers.
//!
//! The rule that is not obvious: it is one message that changes. Once somebody has answered, the buttons
//! are gone, and whoever comes later sees who said what.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::interaction::Press;
use super::messages::{Message, button, clock, context, section};
use super::text::{cut, escape};
use super::views::plain;
use crate::domain::incident::IncidentId;

/// What every button's `action_id` begins with.
pub const CHOOSE: &str = "choose_service/";
/// The select that offers every other service.
pub const CHOOSE_OTHER: &str = "choose_service/other";
/// What the select's block is called, before the question's number: an option carries nothing but the service.
const BLOCK: &str = "question/";

/// So many services are offered; a message with more buttons is read by nobody.
pub const OFFERED_MAX: usize = 5;
/// No service is called longer than this.
const SERVICE_MAX: usize = 200;

#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    pub id: i64,
    /// What the alert calls itself.
    pub alert_name: Option<&'a str>,
    /// Those that fit; where none does, some that are known.
    pub offered: &'a [String],
    /// None of those that are known fits: any may be named.
    pub is_open: bool,
    /// What it is taken to be about where nobody answers.
    pub otherwise: &'a str,
    /// Until when an answer is waited for.
    pub until: Timestamp,
}

/// How a question ended.
#[derive(Debug, Clone, Copy)]
pub struct Ended<'a> {
    pub service: Option<&'a str>,
    /// Slack user id; `None` where the alert resolved first, or nobody answered in time.
    pub by: Option<&'a str>,
    pub at: Timestamp,
    pub incident: Option<IncidentId>,
}

/// The question, with buttons or with its answer.
pub fn question(asked: &Asked<'_>, ended: Option<&Ended<'_>>) -> Message {
    let name = named(asked);
    let why = if asked.is_open { "names no service that I know" } else { "fits more than one service" };
    let text = format!("The alert{name} {why}. Which one is it about?");
    let mut blocks = vec![section(&text)];
    match ended {
        Some(ended) => blocks.push(context(&answer(ended))),
        None => {
            let block = format!("{BLOCK}{}", asked.id);
            blocks.push(json!({ "type": "actions", "block_id": block, "elements": buttons(asked) }));
            blocks.push(context(&format!("If nobody answers: {}.", otherwise(asked))));
        }
    }
    Message { text, blocks, about: None }
}

/// Said once more, as a message of its own: an edited one notifies nobody.
pub fn reminder(asked: &Asked<'_>) -> Message {
    Message::plain(format!(
        "Nobody has said yet which service the alert{} is about. Without an answer above: {}.",
        named(asked),
        otherwise(asked)
    ))
}

fn named(asked: &Asked<'_>) -> String {
    asked.alert_name.map(|name| format!(" “{}”", cut(&escape(name), 200))).unwrap_or_default()
}

fn otherwise(asked: &Asked<'_>) -> String {
    format!("*{}* is investigated at {}", cut(&escape(asked.otherwise), 200), clock(asked.until))
}

fn buttons(asked: &Asked<'_>) -> Vec<Value> {
    let value = |service: Option<&str>| json!({ "question": asked.id, "service": service }).to_string();
    let mut buttons: Vec<Value> = asked
        .offered
        .iter()
        .filter(|service| !service.trim().is_empty() && service.chars().count() <= SERVICE_MAX)
        .take(OFFERED_MAX)
        .enumerate()
        .map(|(index, service)| button(&format!("{CHOOSE}{index}"), &cut(service, 70), &value(Some(service))))
        .collect();
    if asked.is_open {
        buttons.push(json!({
            "type": "external_select", "action_id": CHOOSE_OTHER, "min_query_length": 0,
            "placeholder": plain("Another one"),
        }));
    }
    let none = if asked.is_open || asked.offered.len() > 2 { "None of ours" } else { "Neither" };
    buttons.push(button(&format!("{CHOOSE}none"), none, &value(None)));
    buttons
}

/// Which question a press answers, and with which service.
pub fn read_choice(press: &Press) -> Option<(i64, Option<String>)> {
    let (question, service) = if press.action_id == CHOOSE_OTHER {
        (press.block_id.strip_prefix(BLOCK)?.parse().ok()?, Some(press.value.clone()))
    } else {
        let value: Value = serde_json::from_str(&press.value).ok()?;
        (value["question"].as_i64()?, value["service"].as_str().map(str::to_owned))
    };
    let is_name = |service: &String| !service.trim().is_empty() && service.chars().count() <= SERVICE_MAX;
    service.as_ref().is_none_or(is_name).then_some((question, service))
}

fn answer(ended: &Ended<'_>) -> String {
    let at = clock(ended.at);
    let by = ended.by.map(|by| format!("<@{}>", escape(by)));
    let Some(service) = ended.service.map(|service| cut(&escape(service), 200)) else {
        return match by {
            Some(by) => format!("{by} at {at}: none of these. Nothing is investigated."),
            None => format!("The alert resolved at {at}, before anybody answered."),
        };
    };
    let by = by.unwrap_or_else(|| "Nobody answered".to_owned());
    match ended.incident {
        Some(incident) => format!("{by} at {at}: *{service}*, which is {incident}."),
        None => format!("{by} at {at}: *{service}*, whose alerts are held back now."),
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
        let asked = Asked {
            id: 3,
            alert_name: Some("<!channel> errors"),
            offered: &candidates,
            is_open: false,
            otherwise: "checkout-api",
            until: "2026-02-06T12:33:00Z".parse().unwrap(),
        };
        let open = question(&asked, None).to_json();
        let buttons = open["blocks"][1]["elements"].as_array().unwrap();
        let labels: Vec<&str> =
            buttons.iter().map(|button| button["text"]["text"].as_str().unwrap()).collect();
        assert_eq!(labels, ["checkout-api", "checkout-worker", "Neither"]);
        assert!(!open.to_string().contains("<!channel>"), "{open}");
        assert!(open.to_string().contains("*checkout-api* is investigated at 12:33 UTC"), "{open}");
        let at = "2026-02-06T12:20:00Z".parse().unwrap();
        let ended =
            Ended { service: Some("checkout-api"), by: Some("U1"), at, incident: Some(IncidentId(7)) };
        let closed = question(&asked, Some(&ended)).to_json().to_string();
        assert!(closed.contains("<@U1> at 12:20 UTC: *checkout-api*, which is INC-7."), "{closed}");
        assert!(!closed.contains("actions"), "{closed}");
        let late = question(&asked, Some(&Ended { by: None, ..ended })).to_json().to_string();
        assert!(late.contains("Nobody answered at 12:20 UTC: *checkout-api*, which is INC-7."), "{late}");
    }
}
