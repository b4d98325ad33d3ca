//! What was held back while a service was muted, as one message.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::answers::alerts;
use super::messages::{Message, chunks, clock, context, day_and_clock, section};
use super::text::{cut, escape, who};
use crate::domain::alert::{Alert, AlertState};

/// So many kinds of alert are listed; the rest is counted.
const KINDS_MAX: usize = 20;

/// An alert that came in the meantime.
#[derive(Debug, Clone, Copy)]
pub struct HeldAlert<'a> {
    /// When it was received.
    pub at: Timestamp,
    pub alert: &'a Alert,
    pub state: AlertState,
}

/// A mute that has ended.
#[derive(Debug, Clone)]
pub struct Ended<'a> {
    pub service: &'a str,
    pub reason: &'a str,
    /// Slack user id of who muted it.
    pub by: &'a str,
    pub began_at: Timestamp,
    pub ended_at: Timestamp,
    /// Slack user id of who ended it early.
    pub ended_by: Option<&'a str>,
    pub held: &'a [HeldAlert<'a>],
}

/// The list of what was held back, alerts of one name as one line.
pub fn digest(ended: &Ended<'_>) -> Message {
    let service = cut(&escape(ended.service), 120);
    let fired = ended.held.iter().filter(|held| held.state == AlertState::Firing).count();
    let count = i64::try_from(fired).unwrap_or(i64::MAX);
    let early = ended.ended_by.map(|by| format!(", ended early by <@{}>", escape(by))).unwrap_or_default();
    let begin = if count == 0 { "Nothing".to_owned() } else { alerts(count) };
    let text = format!("🔔 *{service}* is no longer muted{early}. {begin} came in the meantime.");
    let mut kinds: BTreeMap<String, Vec<&HeldAlert<'_>>> = BTreeMap::new();
    for held in ended.held {
        kinds.entry(name_of(held.alert)).or_default().push(held);
    }
    let mut kinds: Vec<(String, Vec<&HeldAlert<'_>>)> = kinds.into_iter().collect();
    // What fires still is what somebody has to look at.
    kinds.sort_by_key(|(_, held)| (has_ended(held), std::cmp::Reverse(held.len())));
    let mut lines: Vec<String> = kinds
        .iter()
        .take(KINDS_MAX)
        .map(|(name, held)| format!("• {}: {}", cut(&escape(name), 250), when(held)))
        .collect();
    if kinds.len() > KINDS_MAX {
        lines.push(format!("and {} more kinds", kinds.len() - KINDS_MAX));
    }
    let mut blocks: Vec<Value> = vec![section(&text)];
    blocks.extend(chunks(&lines, 2_900).iter().take(10).map(|chunk| section(chunk)));
    let after =
        if count == 0 { String::new() } else { format!(" · if it still goes on: `/investigate {service}`") };
    blocks.push(context(&format!(
        "Muted by {} from {} to {}: {}{after}",
        who(ended.by),
        day_and_clock(ended.began_at),
        day_and_clock(ended.ended_at),
        cut(&escape(ended.reason), 300)
    )));
    Message { text, blocks, about: None }
}

/// What an alert calls itself, else what it measures.
fn name_of(alert: &Alert) -> String {
    let name = alert.alert_name.as_deref().or(alert.metric.as_deref());
    name.unwrap_or("alert without a name").to_owned()
}

fn has_ended(held: &[&HeldAlert<'_>]) -> bool {
    held.last().is_some_and(|last| last.state == AlertState::Resolved)
}

/// How bad it was, how often it came, and whether it resolved.
fn when(held: &[&HeldAlert<'_>]) -> String {
    let fired: Vec<&&HeldAlert<'_>> = held.iter().filter(|held| held.state == AlertState::Firing).collect();
    let severity = fired.iter().rev().find_map(|held| held.alert.severity.as_deref());
    let severity = severity.map(|severity| format!("{}, ", cut(&escape(severity), 40))).unwrap_or_default();
    let times = match fired.as_slice() {
        [] => "began before".to_owned(),
        [once] => format!("once, at {}", clock(once.at)),
        [first, .., last] => format!("{} times, {} to {}", fired.len(), clock(first.at), clock(last.at)),
    };
    let end = match held.last() {
        Some(last) if last.state == AlertState::Resolved => format!(", resolved at {}", clock(last.at)),
        _ => String::new(),
    };
    format!("{severity}{times}{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn alert(name: &str) -> Alert {
        Alert {
            service: "checkout".into(),
            at: at("2026-02-06T12:15:00Z"),
            metric: None,
            value: None,
            threshold: None,
            severity: Some("critical".into()),
            alert_name: Some(name.into()),
            source: None,
        }
    }

    fn firing(at: Timestamp, alert: &Alert) -> HeldAlert<'_> {
        HeldAlert { at, alert, state: AlertState::Firing }
    }

    fn ended<'a>(held: &'a [HeldAlert<'a>]) -> Ended<'a> {
        Ended {
            service: "checkout",
            reason: "load test",
            by: "U1",
            began_at: at("2026-02-06T12:00:00Z"),
            ended_at: at("2026-02-06T14:00:00Z"),
            ended_by: None,
            held,
        }
    }

    #[test]
    fn alerts_of_one_name_are_one_line() {
        let (errors, slow) = (alert("HighErrorRate"), alert("SlowResponses"));
        let held = [
            firing(at("2026-02-06T12:15:00Z"), &errors),
            firing(at("2026-02-06T12:20:00Z"), &slow),
            firing(at("2026-02-06T12:25:00Z"), &errors),
            HeldAlert { state: AlertState::Resolved, ..firing(at("2026-02-06T12:40:00Z"), &errors) },
        ];
        let body = digest(&ended(&held)).to_json().to_string();
        assert!(body.contains("3 alerts came"), "{body}");
        let errors = "HighErrorRate: critical, 2 times, 12:15 UTC to 12:25 UTC, resolved at 12:40 UTC";
        let slow = "SlowResponses: critical, once, at 12:20 UTC";
        assert!(body.contains(errors) && body.contains(slow), "{body}");
        assert!(body.find(slow) < body.find(errors), "what fires still comes first: {body}");
    }

    #[test]
    fn a_thousand_hostile_names_fit_and_are_inert() {
        let alerts: Vec<Alert> =
            (0..1_000).map(|number| alert(&format!("<!channel> {number} {}", "x".repeat(500)))).collect();
        let held: Vec<HeldAlert<'_>> =
            alerts.iter().map(|alert| firing(at("2026-02-06T12:15:00Z"), alert)).collect();
        let body = digest(&ended(&held)).to_json();
        assert!(body["blocks"].as_array().unwrap().len() <= 50);
        assert!(!body.to_string().contains("<!channel>"));
        assert!(body.to_string().contains("and 980 more kinds"));
    }
}
