//! More problems at once than can be looked at: one message for all of them.

use jiff::Timestamp;

use super::messages::{Message, chunks, clock, context, section};
use super::text::{cut, escape};
use crate::domain::incident::IncidentId;

/// So many of those that wait are named; the rest is counted.
const NAMED_MAX: usize = 30;

/// An incident whose investigation has not begun.
#[derive(Debug, Clone)]
pub struct Waiting<'a> {
    pub id: IncidentId,
    pub service: &'a str,
    pub alerts_received: i64,
}

/// How a storm stands.
#[derive(Debug, Clone)]
pub struct StormView<'a> {
    pub began_at: Timestamp,
    /// Since then.
    pub incidents: i64,
    pub services: i64,
    pub alerts: i64,
    pub under_way: i64,
    /// In the order in which they come about.
    pub waiting: &'a [Waiting<'a>],
    /// When the last one's turn had come.
    pub over_at: Option<Timestamp>,
}

/// The one message that a storm has in a channel, edited as it goes on.
pub fn storm(view: &StormView<'_>) -> Message {
    let (problems, services, alerts) = (
        many(view.incidents, "problem", "problems"),
        many(view.services, "service", "services"),
        many(view.alerts, "alert", "alerts"),
    );
    let began = clock(view.began_at);
    if let Some(over) = view.over_at {
        let text = format!(
            "⛈️ *Many alerts at once*, from {began} to {}: {problems} of {services}, {alerts}. Every one is kept, and each \
             problem has its own thread by now.",
            clock(over)
        );
        return Message { blocks: vec![section(&text)], text, about: None };
    }
    let waiting = i64::try_from(view.waiting.len()).unwrap_or(i64::MAX);
    let text = format!(
        "⛈️ *Many alerts at once*, since {began}: {problems} of {services}, {alerts}. {} looked at now, {} for their turn.",
        are(view.under_way),
        if waiting == 1 { "1 waits".to_owned() } else { format!("{waiting} wait") },
    );
    let mut lines: Vec<String> = view
        .waiting
        .iter()
        .take(NAMED_MAX)
        .map(|one| {
            let repeats = if one.alerts_received > 1 {
                format!(", {} alerts", one.alerts_received)
            } else {
                String::new()
            };
            format!("• {} {}{repeats}", one.id, cut(&escape(one.service), 120))
        })
        .collect();
    if view.waiting.len() > NAMED_MAX {
        lines.push(format!("and {} more", view.waiting.len() - NAMED_MAX));
    }
    let mut blocks = vec![section(&text)];
    blocks.extend(chunks(&lines, 2_900).iter().map(|chunk| section(chunk)));
    blocks.push(context(
        "Every alert is kept and counted. Services take turns. Until this is over there are no charts, no progress in \
         the headlines and no second looks at late evidence.",
    ));
    Message { text, blocks, about: None }
}

fn are(count: i64) -> String {
    if count == 1 { "1 is".to_owned() } else { format!("{count} are") }
}

fn many(count: i64, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_thousand_that_wait_are_one_message_that_fits() {
        let waiting: Vec<Waiting<'_>> = (0..1_000)
            .map(|number| Waiting {
                id: IncidentId(number),
                service: "<!channel> checkout",
                alerts_received: 12,
            })
            .collect();
        let view = StormView {
            began_at: at("2026-02-06T12:00:00Z"),
            incidents: 1_004,
            services: 40,
            alerts: 10_000,
            under_way: 4,
            waiting: &waiting,
            over_at: None,
        };
        let body = storm(&view).to_json();
        let said = body.to_string();
        assert!(said.contains("4 are looked at now, 1000 wait for their turn"), "{said}");
        assert!(
            said.contains("and 970 more") && said.contains("no charts"),
            "what is left out is said: {said}"
        );
        assert!(!said.contains("<!channel>") && body["blocks"].as_array().unwrap().len() <= 10);
        let over = storm(&StormView { over_at: Some(at("2026-02-06T12:14:00Z")), waiting: &[], ..view });
        assert!(
            over.text.contains("from 12:00 UTC to 12:14 UTC: 1004 problems of 40 services, 10000 alerts")
        );
    }
}
