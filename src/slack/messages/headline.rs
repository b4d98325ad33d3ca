//! The headline: the one message of an incident that is edited as it goes on.
//!
//! The rule that is not obvious: it says how the incident stands, never how it came to it; that is the thread's.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    Kind, Message, NAME_MAX, SMALL_MAX, button, context, day_and_clock, rest_of, section, state_in_words,
};
use crate::domain::incident::{IncidentId, State};
use crate::domain::report::Report;
use crate::slack::text::{cut, escape, shorten};

/// What the headline is made of.
#[derive(Debug, Clone)]
pub struct Headline<'a> {
    pub id: IncidentId,
    pub service: &'a str,
    pub state: State,
    /// An investigation is under way.
    pub awaits_verdict: bool,
    pub opened_at: Timestamp,
    pub alerts_received: i64,
    pub previous: Option<IncidentId>,
    /// Whose service it is, by the configuration.
    pub owner: Option<&'a str>,
    pub report: Option<&'a Report>,
    /// What the agents do now, a line each; already plain text of ours.
    pub progress: &'a [String],
    /// What happened last, such as an approval or the figures of the recovery.
    pub latest: Option<&'a str>,
    /// Why it is closed, and the Slack user id of who closed it; once it is.
    pub closed: Option<(&'a str, Option<&'a str>)>,
}

/// `action_id` of the button under a headline; its value is the incident's name.
pub const CLOSE: &str = "close_incident";

/// Each agent says one line.
const PROGRESS_MAX: usize = 4;

/// The one message that is edited as the incident goes on.
pub fn headline(view: &Headline<'_>) -> Message {
    let service = cut(&escape(view.service), NAME_MAX);
    let (mark, state) = state_in_words(view.state);
    let mut lines = vec![format!("{mark} *{} · {service}* · {state}", view.id)];
    if let Some(report) = view.report.filter(|_| !view.awaits_verdict) {
        lines.push(shorten(&escape(&report.summary), 1_000, "The result in the thread says more."));
        lines.push(escape(&report.sureness()));
        lines.extend(seen_in_part(report));
    }
    if let Some(latest) = view.latest {
        lines.push(shorten(&escape(latest), SMALL_MAX, &rest_of(view.id)));
    }
    if let Some((reason, by)) = view.closed {
        let by = by.map(|by| format!(" by <@{}>", escape(by))).unwrap_or_default();
        let why = shorten(&escape(reason), SMALL_MAX, &rest_of(view.id));
        let why = if why.trim().is_empty() { ".".to_owned() } else { format!(": {why}") };
        lines.push(format!("Closed{by}{why}"));
    }
    if view.awaits_verdict {
        if !view.state.is_open() {
            lines.push("What it was is still being looked at; the verdict comes in the thread.".to_owned());
        }
        let progress = view.progress.iter().take(PROGRESS_MAX);
        lines.extend(progress.map(|line| format!("• {}", cut(&escape(line), NAME_MAX))));
    }
    let mut small = format!("Opened {}", day_and_clock(view.opened_at));
    if view.alerts_received > 1 {
        small.push_str(&format!(" · {} alerts", view.alerts_received));
    }
    if let Some(owner) = view.owner {
        small.push_str(&format!(" · owner {}", cut(&escape(owner), 200)));
    }
    if let Some(previous) = view.previous {
        small.push_str(&format!(" · seen before as {previous}"));
    }
    let text = format!("{} {service}: {state}", view.id);
    let mut blocks = vec![section(&lines.join("\n")), context(&small)];
    // A change under way is ended first.
    if view.state.is_open() && !matches!(view.state, State::RollingBack | State::Trying) {
        blocks.push(json!({ "type": "actions", "elements": [close(view.id)] }));
    }
    Message { text, blocks, about: None }.of(Kind::Headline, view.id)
}

/// Which sources did not answer as they do in good times. What is forbidden or not there is no outage.
fn seen_in_part(report: &Report) -> Option<String> {
    let mut sources: Vec<&str> =
        report.gaps.iter().filter(|gap| gap.may_pass()).map(|gap| gap.source.as_str()).collect();
    sources.sort_unstable();
    sources.dedup();
    let shown = cut(&escape(&sources.join(", ")), NAME_MAX);
    (!sources.is_empty()).then(|| format!("⚠️ Seen in part: {shown} could not be read as usual."))
}

/// The button that closes an incident, which asks once more.
fn close(id: IncidentId) -> Value {
    let mut close = button(CLOSE, "Close", &id.to_string());
    close["confirm"] = json!({
        "title": { "type": "plain_text", "text": format!("Close {id}?") },
        "text": { "type": "plain_text", "text": "Nothing is changed in AWS. What fires after this is a new incident." },
        "confirm": { "type": "plain_text", "text": "Close" },
        "deny": { "type": "plain_text", "text": "Not now" },
    });
    close
}
