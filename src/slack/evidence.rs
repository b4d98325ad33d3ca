//! What a verdict rests on: a few facts in the message, all of them behind 'Show evidence'.
//!
//! The rule that is not obvious: a fact is one line whose link is whole or absent, so that no cut falls
//! into an address. A message shows as much as it has room for; what does not fit is counted, with a pointer to
//! where it stands.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::fit::{self, BLOCKS_MAX, MESSAGE_MAX, VIEW_MAX};
use super::messages::{
    Message, action, button, chunks, clock, context, day_and_clock, header, percent, section, setting,
};
use super::text::{cut, escape, shorten};
use super::views;
use crate::domain::incident::IncidentId;
use crate::domain::report::{Agent, EvidenceItem, Report};

/// A view holds 100 blocks; this many leave room for its frame, and are long to read anyway.
const VIEW_BLOCKS_MAX: usize = 80;
/// Characters of one line's own text, beside its link.
const LINE_MAX: usize = 1_200;
/// A section takes 3,000 characters.
const CHUNK_MAX: usize = 2_900;
/// A link that is longer than this would leave no room for words.
const LINK_MAX: usize = 1_500;
/// Characters of a fact in the message itself.
const SENTENCE_MAX: usize = 400;
/// How much of a report a message shows.
struct Shown {
    /// So many facts keep the link to where AWS shows them.
    links: usize,
    of_each_agent: usize,
    events: usize,
    gaps: usize,
}

/// From the most to nothing: addresses are long and say nothing by themselves, so they go first; then facts, then
/// the course of events and what is not known.
const SHOWN: [Shown; 7] = [
    Shown { links: 6, of_each_agent: 2, events: 5, gaps: 2 },
    Shown { links: 3, of_each_agent: 2, events: 5, gaps: 2 },
    Shown { links: 0, of_each_agent: 2, events: 5, gaps: 2 },
    Shown { links: 0, of_each_agent: 1, events: 5, gaps: 2 },
    Shown { links: 0, of_each_agent: 0, events: 3, gaps: 1 },
    Shown { links: 0, of_each_agent: 0, events: 0, gaps: 1 },
    Shown { links: 0, of_each_agent: 0, events: 0, gaps: 0 },
];
const AGENTS: [(Agent, &str); 3] =
    [(Agent::Metrics, "Metrics"), (Agent::Logs, "Logs"), (Agent::Deploy, "Deploy")];

/// A fact's id, as a link to where AWS's console shows it.
fn name(item: &EvidenceItem, linked: bool) -> String {
    let id = escape(&item.id);
    match &item.link {
        Some(link) if linked && link.len() <= LINK_MAX && is_address(link) => {
            format!("<{}|{id}>", link.replace('&', "&amp;"))
        }
        _ => format!("`{id}`"),
    }
}

/// Whether Slack reads this as one address: it is ours, but it was stored, and stored things are read with care.
fn is_address(link: &str) -> bool {
    link.starts_with("https://")
        && link.chars().all(|c| c.is_ascii_graphic() && !['<', '>', '|', '`'].contains(&c))
}

fn line(item: &EvidenceItem, length: usize, linked: bool) -> String {
    format!("• {} {}", name(item, linked), cut(&escape(&item.statement), length))
}

/// The facts that the message itself has room for (in characters of JSON), and a word on where the others are.
/// `is_cut` says that something else of the message is behind the button as well.
pub(super) fn in_short(report: &Report, room: usize, is_cut: bool) -> Vec<Value> {
    let mut fitting = SHOWN.iter().map(|shown| blocks_of(report, shown, is_cut));
    fitting.find(|blocks| fit::size(blocks) <= room).unwrap_or_default()
}

fn blocks_of(report: &Report, show: &Shown, mut is_cut: bool) -> Vec<Value> {
    let mut blocks = Vec::new();
    let mut hidden = 0;
    let mut lines: Vec<String> = Vec::new();
    for (agent, _) in AGENTS {
        let mine: Vec<&EvidenceItem> = report.evidence.iter().filter(|item| item.source == agent).collect();
        hidden += mine.len().saturating_sub(show.of_each_agent);
        for item in mine.iter().take(show.of_each_agent) {
            is_cut |= item.statement.chars().count() > SENTENCE_MAX;
            lines.push(line(item, SENTENCE_MAX, lines.len() < show.links));
        }
    }
    for (index, chunk) in chunks(&lines, CHUNK_MAX).iter().enumerate() {
        let title = if index == 0 { "*Evidence*\n" } else { "" };
        blocks.push(section(&format!("{title}{chunk}")));
    }
    let events = timeline(report, show.events);
    if !events.is_empty() {
        blocks.push(section(&format!("*Timeline*\n{}", events.join("\n"))));
    }
    let (gaps, cleared) = (gaps(report), report.cleared_by_reason());
    if show.gaps > 0 && !gaps.is_empty() {
        let told = gaps.iter().take(show.gaps).map(|gap| cut(gap, 300)).collect::<Vec<_>>();
        blocks.push(section(&format!("*Not known*\n{}", told.join("\n"))));
    }
    let mut more = Vec::new();
    if is_cut {
        more.push("what is cut here".to_owned());
    }
    let mut count = |number: usize, one: &str, several: &str| match number {
        0 => {}
        1 => more.push(format!("1 {one}")),
        number => more.push(format!("{number} {several}")),
    };
    count(hidden, "more fact", "more facts");
    count(
        cleared.iter().map(|cleared| cleared.what.len()).sum(),
        "change that is cleared",
        "changes that are cleared",
    );
    count(report.timeline.len().saturating_sub(show.events), "more event", "more events");
    count(gaps.len().saturating_sub(show.gaps), "more gap", "more gaps");
    if !more.is_empty() {
        blocks.push(context(&format!("Behind *Show evidence*: {}.", more.join(", "))));
    }
    blocks
}

fn timeline(report: &Report, limit: usize) -> Vec<String> {
    // The day is said where it is not that of the last entry: changes may be older than their trouble.
    let last = report.timeline.last().map(|entry| entry.at);
    let same_day = |at: Timestamp| {
        last.is_some_and(|last| at.strftime("%F").to_string() == last.strftime("%F").to_string())
    };
    report
        .timeline
        .iter()
        .take(limit)
        .map(|entry| {
            let at = if same_day(entry.at) { clock(entry.at) } else { day_and_clock(entry.at) };
            format!("{at}  {}", cut(&escape(&entry.what), 300))
        })
        .collect()
}

/// One line for each reason.
fn gaps(report: &Report) -> Vec<String> {
    let told = report.gaps_by_reason();
    told.iter()
        .map(|gap| {
            format!("• {}: {}", cut(&escape(&gap.what.join(", ")), 300), cut(&escape(gap.reason), LINE_MAX))
        })
        .collect()
}

/// Everything, with ids, figures, times and what was read.
fn in_full(report: &Report) -> Vec<Value> {
    let mut lines: Vec<(&str, Vec<String>)> = Vec::new();
    if let Some(change) = &report.verdict.change {
        let settings = change.config.iter().map(|key| format!("• {}", setting(key, LINE_MAX / 3)));
        lines.push(("Configuration", settings.collect()));
    }
    for (agent, title) in AGENTS {
        let items = report.evidence.iter().filter(|item| item.source == agent);
        let told = items.map(|item| {
            let query = item.query.as_deref().map(|query| format!(" _({})_", cut(&escape(query), 200)));
            format!("{}{}", line(item, LINE_MAX, true), query.unwrap_or_default())
        });
        lines.push((title, told.collect()));
    }
    lines.push(("Timeline", timeline(report, usize::MAX)));
    let cleared = report.cleared_by_reason().into_iter().map(|cleared| {
        let what = cut(&escape(&cleared.what.join(", ")), LINE_MAX);
        format!("• {what}: {}", cut(&escape(cleared.reason), LINE_MAX))
    });
    lines.push(("Cleared", cleared.collect()));
    lines.push(("Not known", gaps(report)));
    let hypotheses = report.told_hypotheses().map(|hypothesis| {
        format!("• {}: {}", percent(hypothesis.probability), cut(&escape(&hypothesis.describe()), 300))
    });
    lines.push(("Hypotheses", hypotheses.collect()));
    let mut blocks = vec![action(report, CHUNK_MAX - 400)];
    for (title, lines) in lines {
        for (index, chunk) in chunks(&lines, CHUNK_MAX).iter().enumerate() {
            let title = if index == 0 { format!("*{title}*\n") } else { String::new() };
            blocks.push(section(&format!("{title}{chunk}")));
        }
    }
    blocks
}

/// What a surface takes.
struct Room {
    blocks: usize,
    size: usize,
    size_of: fn(&[Value]) -> usize,
}

const MODAL: Room = Room { blocks: VIEW_BLOCKS_MAX, size: VIEW_MAX, size_of: fit::size_in_view };
const MESSAGE: Room = Room { blocks: BLOCKS_MAX, size: MESSAGE_MAX, size_of: fit::size };

/// The first blocks, as many as there is room for, and where the rest stands.
fn fitting(id: IncidentId, blocks: Vec<Value>, room: &Room) -> Vec<Value> {
    if blocks.len() <= room.blocks && (room.size_of)(&blocks) <= room.size {
        return blocks;
    }
    let pointer =
        context(&format!("More than fits here: `incident-commander incidents show {id}` tells all of it."));
    let mut left = room.size.saturating_sub((room.size_of)(std::slice::from_ref(&pointer)));
    let mut kept = Vec::new();
    for block in blocks.into_iter().take(room.blocks - 1) {
        let Some(after) = left.checked_sub((room.size_of)(std::slice::from_ref(&block))) else { break };
        left = after;
        kept.push(block);
    }
    kept.push(pointer);
    kept
}

/// The form without fields that opens behind 'Show evidence', at any age of the incident.
pub fn modal(id: IncidentId, service: &str, report: Option<&Report>) -> Value {
    let mut blocks = vec![section(&format!("*{id} · {}*", cut(&escape(service), 120)))];
    match report {
        Some(report) => {
            let rest = format!("`incident-commander incidents show {id}` has the rest.");
            blocks.push(section(&shorten(&escape(&report.summary), CHUNK_MAX, &rest)));
            blocks.extend(in_full(report));
        }
        None => {
            blocks.push(section("There is no verdict yet. The thread shows how far the investigation is."));
        }
    }
    let blocks = fitting(id, blocks, &MODAL);
    views::modal("evidence", &format!("{id}: evidence"), None, "", &blocks)
}

/// The same as a private message, where a form cannot be opened any more.
pub fn message(id: IncidentId, report: &Report) -> Message {
    let mut blocks = vec![header(&format!("{id}: evidence"))];
    blocks.extend(in_full(report));
    Message { text: format!("{id}: evidence"), blocks: fitting(id, blocks, &MESSAGE), about: None }
}

/// The button that opens it.
pub(super) fn show(id: IncidentId) -> Value {
    button("show_evidence", "Show evidence", &id.to_string())
}

/// As a row of its own, where a message has no other buttons.
pub(super) fn show_alone(id: IncidentId) -> Value {
    json!({ "type": "actions", "elements": [show(id)] })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::report::{Cause, TimelineEntry};

    const ROOM: usize = 9_000;

    fn item(id: usize, statement: &str, link: Option<&str>) -> EvidenceItem {
        EvidenceItem {
            id: format!("E{id}"),
            source: Agent::Metrics,
            statement: statement.into(),
            supports: vec![],
            query: Some("AWS/Lambda Errors Sum".into()),
            link: link.map(str::to_owned),
        }
    }

    fn report(evidence: Vec<EvidenceItem>) -> Report {
        Report { evidence, ..Report::bare("checkout", Cause::Unknown, 0.4) }
    }

    #[test]
    fn a_fact_links_to_what_was_read() {
        let link =
            "https://us-east-1.console.aws.amazon.com/cloudwatch/home?region=us-east-1#metricsV2:graph=x";
        let blocks =
            json!(in_short(&report(vec![item(1, "Failures rose.", Some(link))]), ROOM, false)).to_string();
        assert!(blocks.contains(&format!("<{link}|E1> Failures rose.")), "{blocks}");
        for hostile in
            ["https://x|<!channel>", "javascript:alert(1)", &format!("https://{}", "x".repeat(3_000))]
        {
            let blocks =
                json!(in_short(&report(vec![item(1, "Failures rose.", Some(hostile))]), ROOM, false))
                    .to_string();
            assert!(blocks.contains("`E1` Failures rose.") && !blocks.contains("channel"), "{blocks}");
        }
    }

    #[test]
    fn the_message_shows_a_few_facts_and_says_where_the_others_are() {
        let facts = (1..=9).map(|id| item(id, "Failures rose.", None)).collect();
        let blocks = json!(in_short(&report(facts), ROOM, false)).to_string();
        assert!(blocks.contains("`E2`") && !blocks.contains("`E3`"), "{blocks}");
        assert!(blocks.contains("Behind *Show evidence*: 7 more facts."), "{blocks}");
    }

    #[test]
    fn where_room_is_short_links_go_first_then_facts_and_all_of_it_is_counted() {
        let link = format!("https://aws.example/{}", "x".repeat(1_300));
        let facts = (1..=2).map(|id| item(id, "Failures rose.", Some(&link))).collect();
        let report = report(facts);
        let shown = |room| json!(in_short(&report, room, false)).to_string();
        assert!(shown(ROOM).contains("aws.example"));
        assert!(shown(1_000).contains("`E2` Failures rose.") && !shown(1_000).contains("aws.example"));
        assert!(shown(120).contains("Behind *Show evidence*: 2 more facts."), "{}", shown(120));
    }

    #[test]
    fn the_form_shows_all_of_them_and_points_to_the_rest_where_they_do_not_fit() {
        let facts: Vec<EvidenceItem> = (1..=40).map(|id| item(id, "Failures rose.", None)).collect();
        let shown = modal(IncidentId(7), "checkout", Some(&report(facts))).to_string();
        assert!(shown.contains("`E40` Failures rose. _(AWS/Lambda Errors Sum)_"), "{shown}");
        let huge: Vec<EvidenceItem> = (1..=2_000).map(|id| item(id, &"word ".repeat(2_000), None)).collect();
        let view = modal(IncidentId(7), "checkout", Some(&report(huge)));
        assert!(view["blocks"].as_array().unwrap().len() <= 100);
        assert!(view.to_string().len() < 250_000, "{}", view.to_string().len());
        assert!(view.to_string().contains("incidents show INC-7"));
    }

    #[test]
    fn a_form_of_letters_beyond_ascii_is_small_enough_however_slack_writes_them() {
        let huge: Vec<EvidenceItem> = (1..=200).map(|id| item(id, &"🔥".repeat(1_000), None)).collect();
        let view = modal(IncidentId(7), "checkout", Some(&report(huge)));
        let escaped: usize =
            view.to_string().chars().map(|c| if c.is_ascii() { 1 } else { 6 * c.len_utf16() }).sum();
        assert!(escaped <= 250_000, "{escaped}");
        assert!(view.to_string().contains("incidents show INC-7"));
    }

    #[test]
    fn an_event_of_another_day_says_which() {
        let entry = |at: &str| TimelineEntry { at: at.parse().unwrap(), what: "deployed".into() };
        let mut old = report(vec![]);
        old.timeline = vec![entry("2026-02-04T09:00:00Z"), entry("2026-02-06T12:15:00Z")];
        let blocks = json!(in_short(&old, ROOM, false)).to_string();
        assert!(blocks.contains("2026-02-04 09:00 UTC  deployed\\n12:15 UTC  deployed"), "{blocks}");
    }
}
