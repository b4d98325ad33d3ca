//! Every message that the bot posts, as a pure function of what is stored.
//!
//! The rule that is not obvious: text that came from logs, alerts or AWS passes [`escape`] here and
//! nowhere else, and [`Message::to_json`] enforces Slack's limits once more, so that no message can
//! be refused for its length. What is cut says where the rest is.

mod headline;
mod result;

use jiff::Timestamp;
use serde_json::{Value, json};

pub use self::headline::{CLOSE, Headline, headline};
pub use self::result::{ResultView, result};
pub(super) use self::result::{action, setting};
use super::fit;
use super::text::{cut, escape, shorten, unbroken};
use crate::domain::incident::{IncidentId, State};
use crate::domain::report::Verdict;

/// Slack's limits (docs.slack.dev, 'Block Kit reference'), in characters or items.
const SECTION_MAX: usize = 3_000;
const FIELD_MAX: usize = 2_000;
const HEADER_MAX: usize = 150;
/// chat.update takes less than chat.postMessage.
const TEXT_MAX: usize = 4_000;
const FIELDS_MAX: usize = 10;

/// What a result takes of each, in characters: together they leave room for a few facts, even where all of
/// them are as long as this. Whole they stand behind 'Show evidence'.
const SUMMARY_MAX: usize = 1_500;
const SMALL_MAX: usize = 600;
const NAME_MAX: usize = 200;

/// What a message is, for whoever reads its metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Headline,
    Result,
    Recovery,
    Notice,
}

impl Kind {
    fn event_type(self) -> &'static str {
        match self {
            Self::Headline => "incident_headline",
            Self::Result => "incident_result",
            Self::Recovery => "incident_recovery",
            Self::Notice => "incident_notice",
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// What notifications and screen readers say.
    pub text: String,
    pub blocks: Vec<Value>,
    pub about: Option<(Kind, IncidentId)>,
}

impl Message {
    /// A message of one paragraph, already escaped.
    pub fn plain(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { blocks: vec![section(&text)], text, about: None }
    }

    pub(super) fn of(self, kind: Kind, incident: IncidentId) -> Self {
        Self { about: Some((kind, incident)), ..self }
    }

    /// The body of chat.postMessage, without channel and thread.
    pub fn to_json(&self) -> Value {
        let rest = match self.about {
            Some((_, id)) => rest_of(id),
            None => "More is stored than fits here.".to_owned(),
        };
        let blocks = fit::fit(self.blocks.clone(), &rest);
        let mut body = json!({
            "text": cut(&self.text, TEXT_MAX),
            "blocks": blocks,
            "unfurl_links": false,
            "unfurl_media": false,
        });
        if let Some((kind, incident)) = self.about {
            body["metadata"] = json!({
                "event_type": kind.event_type(),
                "event_payload": { "incident": incident.to_string() },
            });
        }
        body
    }
}

/// Where the whole of an incident is.
fn rest_of(id: IncidentId) -> String {
    format!("`incident-commander incidents show {id}` has the rest.")
}

/// Text with markup of ours. `verbatim` keeps Slack from making links of what looks like an address or a
/// channel in somebody else's words; and Slack refuses a whole message for one text that is empty.
fn mrkdwn(text: &str, limit: usize) -> Value {
    let text = if text.trim().is_empty() { "–".to_owned() } else { unbroken(&cut(text, limit)) };
    json!({ "type": "mrkdwn", "text": text, "verbatim": true })
}

pub(super) fn section(text: &str) -> Value {
    json!({ "type": "section", "text": mrkdwn(text, SECTION_MAX) })
}

fn fields(pairs: &[(&str, String)]) -> Value {
    let shown = if pairs.len() > FIELDS_MAX { FIELDS_MAX - 1 } else { pairs.len() };
    let mut fields: Vec<Value> = pairs
        .iter()
        .take(shown)
        .map(|(name, value)| mrkdwn(&format!("*{name}*\n{value}"), FIELD_MAX))
        .collect();
    if pairs.len() > shown {
        fields.push(mrkdwn(&format!("and {} more behind *Show evidence*", pairs.len() - shown), FIELD_MAX));
    }
    json!({ "type": "section", "fields": fields })
}

pub(super) fn header(text: &str) -> Value {
    json!({ "type": "header", "text": { "type": "plain_text", "text": unbroken(&cut(text, HEADER_MAX)) } })
}

pub(super) fn context(text: &str) -> Value {
    json!({ "type": "context", "elements": [mrkdwn(text, FIELD_MAX)] })
}

pub(super) fn button(action_id: &str, label: &str, value: &str) -> Value {
    json!({
        "type": "button",
        "action_id": action_id,
        "text": { "type": "plain_text", "text": label },
        "value": value,
    })
}

/// `12:15 UTC` of the day that the reader knows, with the date where it is another.
pub(super) fn clock(at: Timestamp) -> String {
    at.strftime("%H:%M UTC").to_string()
}

pub(super) fn day_and_clock(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

pub(super) fn percent(share: f64) -> String {
    if share > 0.0 && share < 0.005 {
        return "under 1 %".into();
    }
    format!("{:.0} %", share * 100.0)
}

/// A mark and a few words for how an incident stands.
pub fn state_in_words(state: State) -> (&'static str, &'static str) {
    match state {
        State::Investigating => ("🔎", "investigating"),
        State::Reported => ("📌", "verdict given, nothing to approve"),
        State::AwaitingApproval => ("⏸️", "waiting for approval"),
        State::Trying => ("🧪", "a small test is under way"),
        State::RollingBack => ("↩️", "rolling back"),
        State::Verifying => ("⏳", "the change is undone, watching whether that helps"),
        State::Recovered => ("✅", "recovered"),
        State::NotRecovered => ("❗", "not recovered"),
        State::Resolved => ("☑️", "closed"),
    }
}

/// What a verdict blames, in a few words.
fn cause_words(verdict: &Verdict) -> String {
    match &verdict.change {
        Some(change) => format!("{} of {}", change.kind.describe(), change.resource),
        None => verdict.cause.describe().to_owned(),
    }
}

/// The same, safe within a message.
pub fn cause_in_words(verdict: &Verdict) -> String {
    cut(&escape(&cause_words(verdict)), 140)
}

pub(super) fn bullets(lines: &[String]) -> String {
    lines.iter().map(|line| format!("• {}", escape(line))).collect::<Vec<_>>().join("\n")
}

pub(super) fn chunks(lines: &[String], limit: usize) -> Vec<String> {
    let mut chunks: Vec<String> = Vec::new();
    for line in lines {
        let line = cut(line, limit);
        match chunks.last_mut() {
            Some(last) if last.chars().count() + line.chars().count() < limit => {
                last.push('\n');
                last.push_str(&line);
            }
            _ => chunks.push(line),
        }
    }
    chunks
}

/// What became of the change, and whether it helped.
pub fn recovery(id: IncidentId, recovered: Option<bool>, figures: &str) -> Message {
    let (mark, word) = match recovered {
        Some(true) => ("✅", "Recovered"),
        Some(false) => ("❗", "Not recovered"),
        None => ("⏳", "Too early to tell"),
    };
    let figures = shorten(&escape(figures), SUMMARY_MAX, &rest_of(id));
    let text = format!("{mark} *{word}.* {figures}");
    Message { text: format!("{id}: {word}. {figures}"), blocks: vec![section(&text)], about: None }
        .of(Kind::Recovery, id)
}

/// Something that people in the thread should know.
pub fn notice(id: IncidentId, text: &str) -> Message {
    Message::plain(shorten(&escape(text), SUMMARY_MAX, &rest_of(id))).of(Kind::Notice, id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_names_its_incident() {
        let body = notice(IncidentId(7), "hello").to_json();
        assert_eq!(body["metadata"]["event_type"], "incident_notice");
        assert_eq!(body["metadata"]["event_payload"]["incident"], "INC-7");
    }
}
