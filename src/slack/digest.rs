//! What was held back while a service was muted, as one message.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::answers::alerts;
use super::messages::{Message, chunks, clock, context, day_and_clock, section};
use super::text::{cut, escape};
use crate::domain::alert::Alert;

/// So many kinds of alert are listed; the rest is counted.
const KINDS_MAX: usize = 20;

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
    /// With the time at which each was received.
    pub held: &'a [(Timestamp, Alert)],
}

/// The list of what was held back, alerts of one name as one line.
pub fn digest(ended: &Ended<'_>) -> Message {
    let service = cut(&escape(ended.service), 120);
    let count = i64::try_from(ended.held.len()).unwrap_or(i64::MAX);
    let early = ended.ended_by.map(|by| format!(", ended early by <@{}>", escape(by))).unwrap_or_default();
    let begin = if count == 0 { "Nothing".to_owned() } else { alerts(count) };
    let text = format!("🔔 *{service}* is no longer muted{early}. {begin} came in the meantime.");
    let mut kinds: BTreeMap<String, Vec<Timestamp>> = BTreeMap::new();
    for (at, alert) in ended.held {
        kinds.entry(name_of(alert)).or_default().push(*at);
    }
    let mut kinds: Vec<(String, Vec<Timestamp>)> = kinds.into_iter().collect();
    kinds.sort_by_key(|(_, times)| std::cmp::Reverse(times.len()));
    let mut lines: Vec<String> = kinds
        .iter()
        .take(KINDS_MAX)
        .map(|(name, times)| format!("• {}: {}", cut(&escape(name), 250), when(times)))
        .collect();
    if kinds.len() > KINDS_MAX {
        lines.push(format!("and {} more kinds", kinds.len() - KINDS_MAX));
    }
    let mut blocks: Vec<Value> = vec![section(&text)];
    blocks.extend(chunks(&lines, 2_900).iter().take(10).map(|chunk| section(chunk)));
    let after =
        if count == 0 { String::new() } else { format!(" · if it still goes on: `/investigate {service}`") };
    blocks.push(context(&format!(
        "Muted by <@{}> from {} to {}: {}{after}",
        escape(ended.by),
        day_and_clock(ended.began_at),
        day_and_clock(ended.ended_at),
        cut(&escape(ended.reason), 300)
    )));
    Message { text, blocks, about: None }
}

/// What an alert calls itself, else what it measures.
fn name_of(alert: &Alert) -> String {
    let name = alert.alert_name.as_deref().or(alert.metric.as_deref()).unwrap_or("alert without a name");
    match &alert.severity {
        Some(severity) => format!("{name} ({severity})"),
        None => name.to_owned(),
    }
}

fn when(times: &[Timestamp]) -> String {
    match times {
        [] => "never".to_owned(),
        [once] => format!("once, at {}", clock(*once)),
        [first, .., last] => format!("{} times, {} to {}", times.len(), clock(*first), clock(*last)),
    }
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

    fn ended(held: &[(Timestamp, Alert)]) -> Ended<'_> {
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
        let held = [
            (at("2026-02-06T12:15:00Z"), alert("HighErrorRate")),
            (at("2026-02-06T12:20:00Z"), alert("SlowResponses")),
            (at("2026-02-06T12:25:00Z"), alert("HighErrorRate")),
        ];
        let body = digest(&ended(&held)).to_json().to_string();
        assert!(body.contains("3 alerts came"), "{body}");
        assert!(body.contains("HighErrorRate (critical): 2 times, 12:15 UTC to 12:25 UTC"), "{body}");
        assert!(body.contains("SlowResponses (critical): once, at 12:20 UTC"), "{body}");
    }

    #[test]
    fn a_thousand_hostile_names_fit_and_are_inert() {
        let held: Vec<(Timestamp, Alert)> = (0..1_000)
            .map(|number| {
                (at("2026-02-06T12:15:00Z"), alert(&format!("<!channel> {number} {}", "x".repeat(500))))
            })
            .collect();
        let body = digest(&ended(&held)).to_json();
        assert!(body["blocks"].as_array().unwrap().len() <= 50);
        assert!(!body.to_string().contains("<!channel>"));
        assert!(body.to_string().contains("and 980 more kinds"));
    }
}
