//! Private answers to whoever typed or clicked, as pure functions.
//!
//! The rule that is not obvious: an answer says what was understood (which service, which time on whose
//! clock), so that a misreading is seen at once.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::messages::{self, Message, button, context, day_and_clock, percent, section};
use super::text::{cut, escape, who};
use crate::domain::incident::{IncidentId, State};
use crate::domain::report::{Report, Verdict};

/// The answer to a slash command, as Slack takes it.
pub fn to_command(message: &Message) -> Value {
    let mut body = message.to_json();
    body["response_type"] = json!("ephemeral");
    body
}

/// A link to a message, where the workspace's own address is known.
pub fn permalink(workspace_url: &str, channel: &str, ts: &str) -> Option<String> {
    let plain = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '.');
    let known = workspace_url.starts_with("http") && plain(channel) && plain(ts);
    let base = workspace_url.trim_end_matches('/');
    known.then(|| format!("{base}/archives/{channel}/p{}", ts.replace('.', "")))
}

/// `INC-7`, as a link to its thread where there is one.
fn name(id: IncidentId, link: Option<&str>) -> String {
    match link {
        Some(link) => format!("*<{}|{id}>*", escape(link)),
        None => format!("*{id}*"),
    }
}

/// A time that was typed, as it was understood.
#[derive(Debug, Clone)]
pub struct TimeRead {
    pub at: Timestamp,
    /// The clock of whoever typed it, where it was read on theirs.
    pub zone: Option<TimeZone>,
}

impl TimeRead {
    fn in_words(&self) -> String {
        let utc = day_and_clock(self.at);
        match &self.zone {
            Some(zone) if *zone != TimeZone::UTC => {
                format!("{utc} ({} on your clock)", self.at.to_zoned(zone.clone()).strftime("%H:%M"))
            }
            _ => utc,
        }
    }
}

/// An investigation has begun. `elsewhere` is the channel that its verdict comes in, where the bot is not in the one
/// in which it was asked for.
pub fn looking(id: IncidentId, service: &str, at: Option<&TimeRead>, elsewhere: Option<&str>) -> Message {
    let around = at.map(|at| format!(" as it was at {}", at.in_words())).unwrap_or_default();
    let place = match elsewhere {
        Some(channel) => format!("I am not in this channel, so the verdict comes in <#{}>.", escape(channel)),
        None => "The verdict comes in its thread.".to_owned(),
    };
    Message::plain(format!("*{id}*: looking at {}{around}. {place}", cut(&escape(service), 200)))
}

/// The service has an open incident already.
pub fn open_already(id: IncidentId, service: &str, state: State, link: Option<&str>) -> Message {
    let place = if link.is_some() { "" } else { " See its thread." };
    Message::plain(format!(
        "{} about {} is open already: {}.{place} `/investigate again {id}` looks anew.",
        name(id, link),
        escape(service),
        messages::state_in_words(state).1,
    ))
}

/// A name that is nearly a known one: which is meant?
pub fn which_service(typed: &str, near: &[String], when: Option<&str>) -> Message {
    let shown = cut(&escape(typed), 80);
    let text = format!("No service here is called {shown}. Which one do you mean?");
    let when = when.filter(|when| when.chars().count() <= 200);
    let value = |service: &str| json!({ "service": service, "when": when }).to_string();
    let mut buttons: Vec<Value> = near
        .iter()
        // A button's value holds 2,000 characters; nobody means a name of that length.
        .filter(|service| !service.is_empty() && service.chars().count() <= 200)
        .enumerate()
        .map(|(index, service)| {
            button(&format!("investigate_service/{index}"), &cut(service, 70), &value(service))
        })
        .collect();
    let anyway = format!("Look at {}", cut(typed, 60));
    buttons.push(button("investigate_service/typed", &anyway, &value(&cut(typed, 200))));
    let blocks = vec![section(&text), json!({ "type": "actions", "elements": buttons })];
    Message { text, blocks, about: None }
}

/// An alert that somebody points at fits more than one service: which is meant?
pub fn which_of(named: &str, fitting: &[String], when: Option<&str>) -> Message {
    let text = format!("More than one service fits {}. Which one do you mean?", cut(&escape(named), 200));
    let value = |service: &str| json!({ "service": service, "when": when }).to_string();
    let choices = fitting.iter().take(5).enumerate().map(|(index, service)| {
        button(&format!("investigate_service/{index}"), &cut(service, 70), &value(service))
    });
    let buttons: Vec<Value> = choices.collect();
    let blocks = vec![section(&text), json!({ "type": "actions", "elements": buttons })];
    Message { text, blocks, about: None }
}

/// What is shown of an incident in a list.
#[derive(Debug, Clone)]
pub struct ListLine {
    pub id: IncidentId,
    pub service: String,
    pub state: State,
    pub opened_at: Timestamp,
    pub verdict: Option<Verdict>,
    pub link: Option<String>,
}

impl ListLine {
    pub(super) fn to_mrkdwn(&self) -> String {
        let (mark, state) = messages::state_in_words(self.state);
        let verdict = match &self.verdict {
            Some(verdict) if self.state != State::Investigating => {
                format!(" · {}, {}", messages::cause_in_words(verdict), percent(verdict.confidence))
            }
            _ => String::new(),
        };
        format!(
            "{mark} {} {} · {state}{verdict} · {}",
            name(self.id, self.link.as_deref()),
            cut(&escape(&self.service), 120),
            day_and_clock(self.opened_at)
        )
    }
}

/// The newest incidents.
pub fn list(lines: &[ListLine]) -> Message {
    if lines.is_empty() {
        return Message::plain("No incidents yet. `/investigate SERVICE` looks at one.");
    }
    let mut blocks: Vec<Value> = lines.iter().map(|line| section(&line.to_mrkdwn())).collect();
    blocks.push(context("`/investigate status INC-7` tells more of one."));
    Message { text: format!("The newest {} incidents", lines.len()), blocks, about: None }
}

/// How one incident stands, with the way to everything else.
pub fn status(
    line: &ListLine,
    report: Option<&Report>,
    alerts_received: i64,
    owner: Option<&str>,
) -> Message {
    let mut lines = vec![line.to_mrkdwn()];
    if let Some(report) = report.filter(|_| line.state != State::Investigating) {
        lines.push(cut(&escape(&report.summary), 1_500));
    }
    let mut small = alerts(alerts_received);
    if let Some(owner) = owner {
        small.push_str(&format!(" · owner {}", cut(&escape(owner), 200)));
    }
    let mut blocks = vec![section(&lines.join("\n")), context(&small)];
    if report.is_some() {
        blocks.push(super::evidence::show_alone(line.id));
    }
    Message { text: format!("{}: {}", line.id, messages::state_in_words(line.state).1), blocks, about: None }
}

/// Alerts that are held back.
#[derive(Debug, Clone)]
pub struct MuteLine {
    pub service: String,
    pub until: Timestamp,
    pub by: String,
    pub reason: String,
    pub held: i64,
}

/// So many are listed; a message holds no more of them.
const MUTES_MAX: usize = 20;

/// What is held back now.
pub fn mutes(lines: &[MuteLine]) -> Message {
    if lines.is_empty() {
        return Message::plain(
            "No service is muted. `/investigate mute SERVICE 2h reason` holds alerts back.",
        );
    }
    let more = lines.len().saturating_sub(MUTES_MAX);
    let mut lines: Vec<String> = lines
        .iter()
        .take(MUTES_MAX)
        .map(|line| {
            format!(
                "🔕 *{}* until {} by {}: {} · {} held so far",
                cut(&escape(&line.service), 120),
                day_and_clock(line.until),
                who(&line.by),
                cut(&escape(&line.reason), 200),
                alerts(line.held)
            )
        })
        .collect();
    if more > 0 {
        lines.push(format!("and {more} more, which end later"));
    }
    let blocks = messages::chunks(&lines, 2_900).iter().map(|chunk| section(chunk)).collect();
    Message { text: "Services whose alerts are held back".to_owned(), blocks, about: None }
}

/// A service's alerts are held back from now on.
pub fn muted(service: &str, until: Timestamp, anew: bool) -> Message {
    let word = if anew { "is muted" } else { "was muted already; that now lasts" };
    Message::plain(format!(
        "🔕 {} {word} until {}. Its alerts are kept and listed then; `/investigate unmute {}` ends it early.",
        escape(service),
        day_and_clock(until),
        escape(service)
    ))
}

pub(super) fn alerts(count: i64) -> String {
    if count == 1 { "1 alert".to_owned() } else { format!("{count} alerts") }
}

/// Everything that can be typed.
pub fn help(commands: &[(&str, &str)]) -> Message {
    let lines: Vec<String> = commands.iter().map(|(typed, does)| format!("`{typed}` {does}")).collect();
    let more = "In a thread, mention me with the same words (slash commands do not work there), or use \
                *Investigate this* in a message's menu. Times without a zone are on your own clock.";
    let blocks = vec![section(&lines.join("\n")), context(more)];
    Message { text: "What can be typed after /investigate".to_owned(), blocks, about: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_time_is_repeated_on_both_clocks() {
        let read =
            TimeRead { at: at("2026-02-06T12:05:00Z"), zone: Some(TimeZone::get("Europe/Berlin").unwrap()) };
        let answer = looking(IncidentId(8), "checkout", Some(&read), None).text;
        assert!(answer.contains("2026-02-06 12:05 UTC (13:05 on your clock)"), "{answer}");
    }

    #[test]
    fn a_link_needs_an_address_and_ids() {
        let link = permalink("https://shop.slack.com/", "C1", "1770380100.000200");
        assert_eq!(link.as_deref(), Some("https://shop.slack.com/archives/C1/p1770380100000200"));
        assert_eq!(permalink("", "C1", "1.2"), None);
        assert_eq!(permalink("https://shop.slack.com", "C1|<!here>", "1.2"), None);
    }

    #[test]
    fn what_was_typed_is_inert_in_the_question() {
        let body = which_service("<!channel>*", &["checkout".into()], None).to_json().to_string();
        assert!(!body.contains("called <!channel>"), "{body}");
    }
}
