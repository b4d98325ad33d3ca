//! App Home: what is open, what waits for this person, what was found lately, how often it was right.
//!
//! The rule that is not obvious: nothing is decided here. A decision counts only on the message that asks
//! for it, where everybody sees it; Home links there.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::answers::ListLine;
use super::evidence;
use super::feedback;
use super::messages::{context, day_and_clock, header, section};
use super::text::{cut, escape};
use crate::domain::incident::IncidentId;
use crate::domain::scorecard::Scorecard;

/// So many of each kind are shown; App Home holds 100 blocks.
pub const OPEN_MAX: usize = 20;
pub const WAITING_MAX: usize = 10;
pub const VERDICTS_MAX: usize = 10;

/// A plan that this person may approve or reject.
#[derive(Debug, Clone)]
pub struct Waiting {
    pub id: IncidentId,
    pub service: String,
    pub what: String,
    pub expires_at: Timestamp,
    /// The message with the buttons.
    pub link: Option<String>,
}

/// What Home is made of.
#[derive(Debug, Clone)]
pub struct Home {
    /// The newest first; more may be open than are here.
    pub open: Vec<ListLine>,
    pub open_in_all: usize,
    pub waiting: Vec<Waiting>,
    /// Of incidents that are closed.
    pub verdicts: Vec<ListLine>,
    pub scorecard: Scorecard,
    pub now: Timestamp,
}

/// The view that `views.publish` takes.
pub fn home(home: &Home) -> Value {
    let mut blocks = Vec::new();
    if !home.waiting.is_empty() {
        blocks.push(header("Waits for your decision"));
        for waiting in home.waiting.iter().take(WAITING_MAX) {
            let place = match &waiting.link {
                Some(link) => format!("<{}|Decide in its thread>", escape(link)),
                None => "Decide in its thread".to_owned(),
            };
            blocks.push(section(&format!(
                "⏸️ *{} · {}*\n{}\n{place} until {}",
                waiting.id,
                cut(&escape(&waiting.service), 120),
                cut(&escape(&waiting.what), 600),
                day_and_clock(waiting.expires_at)
            )));
        }
    }
    blocks.push(header("Open incidents"));
    if home.open.is_empty() {
        blocks.push(section("Nothing is open."));
    }
    blocks.extend(home.open.iter().take(OPEN_MAX).map(line_of));
    let more = home.open_in_all.saturating_sub(home.open.len().min(OPEN_MAX));
    if more > 0 {
        blocks.push(context(&format!("and {more} more: `/investigate list` shows the newest")));
    }
    if !home.verdicts.is_empty() {
        blocks.push(header("Last verdicts"));
        blocks.extend(home.verdicts.iter().take(VERDICTS_MAX).map(line_of));
    }
    blocks.push(header("Scorecard"));
    blocks.push(section(&feedback::lines(&home.scorecard).join("\n")));
    blocks.push(context(&format!(
        "As of {}. `/investigate help` shows what can be typed.",
        day_and_clock(home.now)
    )));
    json!({ "type": "home", "blocks": blocks })
}

fn line_of(line: &ListLine) -> Value {
    let mut block = section(&line.to_mrkdwn());
    if line.verdict.is_some() {
        block["accessory"] = evidence::show(line.id);
    }
    block
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::incident::State;
    use crate::domain::report::{Cause, Verdict};
    use crate::domain::scorecard;

    fn line(number: i64) -> ListLine {
        ListLine {
            id: IncidentId(number),
            service: "<!channel> checkout".into(),
            state: State::Reported,
            opened_at: "2026-02-06T12:15:00Z".parse().unwrap(),
            verdict: Some(Verdict { cause: Cause::Traffic, change: None, confidence: 0.9 }),
            link: Some("https://shop.slack.com/archives/C1/p1".into()),
        }
    }

    fn a_home(count: i64) -> Home {
        let waiting = |number| Waiting {
            id: IncidentId(number),
            service: "<!channel>".into(),
            what: "x".repeat(9_000),
            expires_at: "2026-02-06T12:45:00Z".parse().unwrap(),
            link: None,
        };
        Home {
            open: (0..count).map(line).collect(),
            open_in_all: count as usize,
            waiting: (0..count).map(waiting).collect(),
            verdicts: (0..count).map(line).collect(),
            scorecard: scorecard::scorecard([], []),
            now: "2026-02-06T12:20:00Z".parse().unwrap(),
        }
    }

    #[test]
    fn a_thousand_of_everything_fit_and_are_inert() {
        let view = home(&a_home(1_000));
        assert!(view["blocks"].as_array().unwrap().len() <= 100);
        assert!(!view.to_string().contains("<!channel>"));
        assert!(view.to_string().contains("and 980 more"));
    }

    #[test]
    fn an_empty_home_says_so() {
        let view = home(&a_home(0)).to_string();
        assert!(view.contains("Nothing is open.") && view.contains("No verdicts yet."), "{view}");
        assert!(!view.contains("Waits for your decision"), "{view}");
    }
}
