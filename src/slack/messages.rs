//! Every message that the bot posts, as a pure function of what is stored.
//!
//! The rule that is not obvious: text that came from logs, alerts or AWS passes [`escape`] here and
//! nowhere else, and [`Message::to_json`] enforces Slack's limits once more, so that no message can
//! be refused for its length. What is cut says where the rest is.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::approvals::{self, Asked};
use super::evidence;
use super::feedback;
use super::fit::{self, MESSAGE_MAX};
use super::text::{cut, escape, shorten};
use crate::domain::change::{KeyChange, readable};
use crate::domain::incident::{IncidentId, State};
use crate::domain::report::{ActionKind, Cause, Hypothesis, Report, Verdict};
use crate::domain::scorecard::Voices;

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
const REASON_MAX: usize = 900;
const SMALL_MAX: usize = 600;
const NAME_MAX: usize = 200;
/// One side of a setting's change.
const SIDE_MAX: usize = 80;

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
    let text = if text.trim().is_empty() { "–".to_owned() } else { cut(text, limit) };
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
    json!({ "type": "header", "text": { "type": "plain_text", "text": cut(text, HEADER_MAX) } })
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
        State::RollingBack => ("↩️", "rolling back"),
        State::Trying => ("🧪", "a small test is under way"),
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

/// What the result is made of.
#[derive(Debug, Clone)]
pub struct ResultView<'a> {
    pub id: IncidentId,
    /// Which investigation of the incident it is, from 1.
    pub round: i64,
    /// What people said about the verdict so far.
    pub voices: Voices,
    pub report: &'a Report,
    /// The plan, where approval of one is asked for.
    pub plan: Option<Asked<'a>>,
    /// Why there is none although a rollback is recommended.
    pub not_offered: Option<&'a str>,
    /// How the approval ended, as a line that replaces the buttons.
    pub decided: Option<&'a str>,
}

/// The root cause with its evidence, posted once as a message of its own.
pub fn result(view: &ResultView<'_>) -> Message {
    let report = view.report;
    let summary = escape(&report.summary);
    let mut blocks = vec![header(&title(&report.verdict)), section(&cut(&summary, SUMMARY_MAX))];
    let facts = facts_at_a_glance(report);
    if !facts.is_empty() {
        blocks.push(fields(&facts));
    }
    let mut after = vec![action(report, REASON_MAX)];
    if let Some(decided) = view.decided {
        after.push(context(&shorten(decided, SMALL_MAX, &rest_of(view.id))));
    }
    if let Some(reason) = view.not_offered {
        let reason = shorten(&escape(reason.trim_end_matches('.')), SMALL_MAX, &rest_of(view.id));
        after.push(context(&format!("No button: {}.", reason.trim_end_matches('.'))));
    }
    let mut buttons = match view.plan {
        Some(asked) if view.decided.is_none() => approvals::buttons(&asked),
        _ => Vec::new(),
    };
    buttons.push(evidence::show(view.id));
    after.push(json!({ "type": "actions", "elements": buttons }));
    after.extend(feedback::blocks(view.id, view.round, view.voices));
    // Facts have what room the others leave: the cause, what to do and the buttons are dearer.
    let room = MESSAGE_MAX.saturating_sub(fit::size(&blocks) + fit::size(&after));
    blocks.extend(evidence::in_short(report, room, is_cut(report)));
    blocks.extend(after);
    let text = format!("{}: {}", view.id, shorten(&summary, SMALL_MAX, "The message says more."));
    Message { text, blocks, about: None }.of(Kind::Result, view.id)
}

/// Whether something beside the facts does not stand in a result as a whole.
fn is_cut(report: &Report) -> bool {
    let long = |text: &str, limit: usize| escape(text).chars().count() > limit;
    let change = report.verdict.change.as_ref();
    long(&report.summary, SUMMARY_MAX)
        || long(&report.action.reason, REASON_MAX)
        || report.action.target.as_ref().is_some_and(|target| long(target, NAME_MAX))
        || change.is_some_and(|change| {
            long(&change.resource, NAME_MAX)
                || change.actor.as_ref().is_some_and(|actor| long(actor, NAME_MAX))
                || change.config.iter().any(|key| {
                    [Some(&key.key), key.before.as_ref(), key.after.as_ref()]
                        .into_iter()
                        .flatten()
                        .any(|text| long(text, SIDE_MAX))
                })
        })
}

/// What to do and why, with at most so many characters of reason.
pub(super) fn action(report: &Report, reason_max: usize) -> Value {
    let target = report.action.target.as_ref();
    let target = target.map(|target| format!(": {}", cut(&escape(target), NAME_MAX))).unwrap_or_default();
    section(&format!(
        "*{}*{target}\n{}",
        action_in_words(report.action.kind),
        cut(&escape(&report.action.reason), reason_max)
    ))
}

/// `pool_size` 10 → 5, with at most so many characters of each part.
pub(super) fn setting(key: &KeyChange, part_max: usize) -> String {
    let side = |value: &Option<String>| match value {
        Some(value) => format!("`{}`", cut(&escape(&readable(value)), part_max)),
        None => "not known".to_owned(),
    };
    format!("`{}` {} → {}", cut(&escape(&key.key), part_max), side(&key.before), side(&key.after))
}

/// Plain text, as a header wants it.
fn title(verdict: &Verdict) -> String {
    let words = cause_words(verdict);
    match (verdict.cause, &verdict.change) {
        (Cause::Recurring | Cause::None | Cause::Unknown, _) => {
            let mut letters = words.chars();
            letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
        }
        (Cause::Deployment, Some(change)) => {
            format!("Root cause: {} at {}", cut(&words, 110), clock(change.at))
        }
        _ => format!("Root cause: {words}"),
    }
}

fn facts_at_a_glance(report: &Report) -> Vec<(&'static str, String)> {
    let guess = |hypothesis: &Hypothesis| {
        format!("{}, {}", cut(&escape(&hypothesis.describe()), NAME_MAX), percent(hypothesis.probability))
    };
    let unknown = report.verdict.cause == Cause::Unknown;
    // How sure it is that nothing decides would be read as how sure somebody is of a cause.
    let mut facts = Vec::new();
    if !unknown {
        facts.push(("Confidence", percent(report.verdict.confidence)));
    }
    if let Some(onset) = report.onset {
        let (earliest, latest) = (clock(onset.earliest), clock(onset.latest));
        let interval = if earliest == latest { String::new() } else { format!(" ({earliest} to {latest})") };
        facts.push(("Began", format!("{}{interval}", clock(onset.at))));
    }
    if let Some(change) = &report.verdict.change {
        let part = |text: &str| cut(&escape(text), NAME_MAX);
        let by = change.actor.as_deref().map(|actor| format!(", by {}", part(actor))).unwrap_or_default();
        facts.push(("Change", format!("{} at {}{by}", part(&change.resource), clock(change.at))));
        facts.extend(change.config.iter().map(|key| ("Configuration", setting(key, SIDE_MAX))));
    } else if unknown {
        let weighed = report.hypotheses.iter().find(|one| one.cause != Cause::Unknown);
        facts.extend(weighed.map(|weighed| ("Likeliest", guess(weighed))));
    } else if let Some(second) = report.hypotheses.get(1) {
        facts.push(("Next best", guess(second)));
    }
    facts
}

fn action_in_words(kind: ActionKind) -> &'static str {
    match kind {
        ActionKind::Rollback => "Recommended: roll back",
        ActionKind::RollForward => "Recommended: roll forward",
        ActionKind::Escalate => "Recommended: escalate",
        ActionKind::Watch => "Recommended: watch",
    }
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
    use crate::domain::report::{Action, Agent, EvidenceItem};

    fn report() -> Report {
        Report {
            action: Action { kind: ActionKind::Watch, target: None, reason: "Nothing is proven.".into() },
            evidence: vec![EvidenceItem {
                id: "E1".into(),
                source: Agent::Logs,
                statement: "<!channel> *urgent* `rm -rf`".into(),
                supports: vec![],
                query: None,
                link: None,
            }],
            summary: "Nobody knows <@U1>.".into(),
            ..Report::bare("checkout", Cause::Unknown, 0.4)
        }
    }

    #[test]
    fn what_logs_say_is_inert() {
        let message = result(&ResultView {
            id: IncidentId(7),
            round: 1,
            voices: Voices::default(),
            report: &report(),
            plan: None,
            not_offered: None,
            decided: None,
        });
        let body = message.to_json().to_string();
        assert!(!body.contains("<!channel>") && !body.contains("<@U1>"), "{body}");
    }

    #[test]
    fn without_a_plan_there_is_no_button_that_changes_anything() {
        let message = result(&ResultView {
            id: IncidentId(7),
            round: 1,
            voices: Voices::default(),
            report: &report(),
            plan: None,
            not_offered: None,
            decided: None,
        });
        let body = message.to_json().to_string();
        assert!(!body.contains("rollback_approve"), "{body}");
    }

    #[test]
    fn a_cause_that_is_not_decided_shows_what_was_likeliest_and_no_confidence() {
        let mut undecided = report();
        undecided.hypotheses = [(Cause::Unknown, 0.59), (Cause::Traffic, 0.22)]
            .map(|(cause, probability)| Hypothesis { cause, event_id: None, probability, about: None })
            .into();
        let at = |text: &str| -> Timestamp { text.parse().unwrap() };
        undecided.onset = Some(crate::domain::report::Onset {
            at: at("2026-02-06T12:15:20Z"),
            earliest: at("2026-02-06T12:15:00Z"),
            latest: at("2026-02-06T12:15:40Z"),
        });
        let facts = facts_at_a_glance(&undecided);
        assert_eq!(
            facts,
            [("Began", "12:15 UTC".to_owned()), ("Likeliest", "more demand than usual, 22 %".to_owned())]
        );
    }

    #[test]
    fn a_message_names_its_incident() {
        let body = notice(IncidentId(7), "hello").to_json();
        assert_eq!(body["metadata"]["event_type"], "incident_notice");
        assert_eq!(body["metadata"]["event_payload"]["incident"], "INC-7");
    }

    #[test]
    fn where_all_of_it_is_long_cause_action_and_buttons_stay_and_the_rest_is_pointed_to() {
        let mut long = report();
        long.summary = "The pool is exhausted. ".repeat(300);
        long.action.reason = "It has to be larger. ".repeat(300);
        let item = long.evidence[0].clone();
        let link = Some(format!("https://console.aws.amazon.com/{}", "x".repeat(1_300)));
        long.evidence = [Agent::Logs, Agent::Metrics, Agent::Deploy]
            .into_iter()
            .cycle()
            .take(9)
            .map(|source| EvidenceItem { source, link: link.clone(), ..item.clone() })
            .collect();
        let target = crate::domain::rollback::RollbackTarget::LambdaConcurrency {
            function: "checkout".into(),
            from: Some(1),
            to: None,
        };
        let plan = crate::domain::plan::Plan::of(target, None, String::new(), &|_, value| value.to_owned());
        let asked = Asked {
            approval: "a-1",
            plan: &plan,
            expires_at: "2026-02-06T12:50:00Z".parse().unwrap(),
            undoing: false,
            break_glass: true,
        };
        let view = ResultView {
            id: IncidentId(7),
            round: 1,
            voices: Voices::default(),
            report: &long,
            plan: Some(asked),
            not_offered: None,
            decided: None,
        };
        let body = result(&view).to_json();
        let blocks = body["blocks"].as_array().unwrap();
        assert!(fit::size(blocks) <= MESSAGE_MAX);
        let said = body["blocks"].to_string();
        for part in ["exhausted. …", "larger. …", "rollback_approve", "feedback_right", "what is cut here"]
        {
            assert!(said.contains(part), "{part}: {said}");
        }
        let headline = headline(&Headline {
            id: IncidentId(7),
            service: "checkout",
            state: State::Reported,
            awaits_verdict: false,
            opened_at: "2026-02-06T12:15:00Z".parse().unwrap(),
            alerts_received: 1,
            previous: None,
            owner: None,
            report: Some(&long),
            progress: &[],
            latest: None,
            closed: None,
        });
        let said = headline.to_json()["blocks"].to_string();
        assert!(said.contains("exhausted. … The result in the thread says more."), "{said}");
    }

    #[test]
    fn nothing_exceeds_a_limit() {
        let mut huge = report();
        huge.summary = "word ".repeat(5_000);
        let item = huge.evidence[0].clone();
        huge.evidence =
            (0..500).map(|_| EvidenceItem { statement: "x".repeat(9_000), ..item.clone() }).collect();
        for message in [
            result(&ResultView {
                id: IncidentId(1),
                round: 1,
                voices: Voices::default(),
                report: &huge,
                plan: None,
                not_offered: None,
                decided: None,
            }),
            evidence::message(IncidentId(1), &huge),
        ] {
            let body = message.to_json();
            let blocks = body["blocks"].as_array().unwrap();
            assert!(blocks.len() <= fit::BLOCKS_MAX && fit::size(blocks) <= MESSAGE_MAX);
            for block in blocks {
                let text = block["text"]["text"].as_str().unwrap_or_default();
                assert!(text.chars().count() <= SECTION_MAX, "{}", text.len());
            }
        }
    }
}
