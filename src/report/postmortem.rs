//! The draft of a post-mortem: what is stored of an incident, in the order in which a team tells it.
//!
//! The rule that is not obvious: what only people know is a question in italics, never a guess. The draft says what was
//! measured, decided and seen to help, and asks for the rest.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::markdown::{escape, onset};
use crate::domain::recovery::{Word, percent};
use crate::domain::report::{Report, Symptoms, TimelineEntry};

/// What an incident's own record adds to its report.
#[derive(Debug, Clone)]
pub struct Story<'a> {
    /// `INC-7`.
    pub incident: &'a str,
    /// `recovered`, `resolved`, …
    pub state: &'a str,
    pub owner: Option<&'a str>,
    pub opened_at: Timestamp,
    pub alerts: usize,
    pub report: &'a Report,
    pub symptoms: &'a Symptoms,
    /// Everything that happened, in order of time.
    pub timeline: Vec<TimelineEntry>,
    pub decisions: Vec<Decision<'a>>,
    /// What people said of the verdict, a sentence each.
    pub said: Vec<String>,
    /// An earlier incident of the same problem.
    pub previous: Option<String>,
}

/// One rollback that was offered, and what became of it.
#[derive(Debug, Clone)]
pub struct Decision<'a> {
    pub plan: &'a str,
    pub command: &'a str,
    pub requested_at: Timestamp,
    /// `approved`, `rejected`, …; `None` where nobody decided.
    pub word: Option<&'a str>,
    pub by: Option<&'a str>,
    pub at: Option<Timestamp>,
    pub reason: Option<&'a str>,
    /// What became of the call, in words.
    pub outcome: Option<&'a str>,
    /// Whether it helped, once that is decided.
    pub judged: Option<Word>,
    /// What stays wrong and must be mended at its source.
    pub stays_wrong: &'a [String],
}

/// The draft, as Markdown.
pub fn postmortem(story: &Story<'_>) -> String {
    let report = story.report;
    let mut out = String::new();
    let _ = writeln!(
        out,
        "# {}: {}, {} (draft)\n",
        story.incident,
        escape(&report.service),
        escape(&report.title())
    );
    let _ = writeln!(out, "| | |\n| --- | --- |");
    let mut fact = |what: &str, value: &str| {
        let _ = writeln!(out, "| {what} | {} |", escape(value));
    };
    fact("Opened", &minute(story.opened_at));
    if let Some(words) = onset(report) {
        fact("Began", &words);
    }
    fact("State", &story.state.replace('_', " "));
    fact("Owner", story.owner.unwrap_or("nobody is configured"));
    fact("Alerts", &story.alerts.to_string());
    if let Some(previous) = &story.previous {
        fact("Same problem before", previous);
    }
    let _ = writeln!(out, "\n## Summary\n\n{}\n\n{}\n", escape(&report.summary), escape(&report.sureness()));
    let _ = writeln!(out, "## Impact\n");
    for line in impact(story.symptoms) {
        let _ = writeln!(out, "- {line}");
    }
    out.push_str("\n_Who noticed what, how many customers, what it cost?_\n\n## Timeline (UTC)\n\n");
    for entry in &story.timeline {
        let _ =
            writeln!(out, "- {} {}", entry.at.strftime("%Y-%m-%d %H:%M:%S"), escape(&people(&entry.what)));
    }
    out.push_str("\n## Evidence\n\n");
    for item in &report.evidence {
        let _ = writeln!(out, "- {}: {}", item.id, escape(&item.statement));
    }
    for cleared in report.cleared_by_reason() {
        let _ = writeln!(out, "- Cleared: {}: {}", escape(&cleared.names()), escape(cleared.reason));
    }
    for gap in report.gaps_by_reason() {
        let _ = writeln!(out, "- Not known: {}: {}", escape(&gap.what.join(", ")), escape(gap.reason));
    }
    out.push_str("\n## Decision\n\n");
    if story.decisions.is_empty() {
        let _ = writeln!(out, "No rollback was offered. {}", escape(&report.action.reason));
    }
    for decision in &story.decisions {
        let _ = writeln!(out, "- {}", decided(decision));
    }
    out.push_str("\n## What helped\n\n");
    let helped: Vec<String> = story.decisions.iter().filter_map(helped).collect();
    if helped.is_empty() {
        out.push_str("_Nothing that the bot did was seen to help. What did?_\n");
    }
    for line in &helped {
        let _ = writeln!(out, "- {line}");
    }
    for line in &story.said {
        let _ = writeln!(out, "- {}", escape(&people(line)));
    }
    out.push_str("\n## To do\n\n");
    let open: Vec<&String> = story.decisions.iter().flat_map(|decision| decision.stays_wrong).collect();
    for line in open {
        let _ = writeln!(out, "- [ ] {}", escape(line));
    }
    out.push_str(
        "- [ ] _What would have kept this from happening?_\n- [ ] _What would have shown it sooner?_\n",
    );
    out
}

fn impact(symptoms: &Symptoms) -> Vec<String> {
    let mut lines = Vec::new();
    if let (Some(before), Some(after)) = (symptoms.baseline_error_rate, symptoms.incident_error_rate) {
        lines.push(format!("Failing requests went from {} to {}.", percent(before), percent(after)));
    }
    if let (Some(before), Some(after)) = (symptoms.baseline_latency_p99, symptoms.incident_latency_p99) {
        lines.push(format!(
            "The slowest one in a hundred requests went from {before:.0} ms to {after:.0} ms."
        ));
    }
    if lines.is_empty() {
        lines.push("Neither error rate nor latency was measured on both sides of the onset.".to_owned());
    }
    lines
}

fn decided(decision: &Decision<'_>) -> String {
    let word = match (decision.word, decision.by) {
        (Some(word), Some(by)) => format!("{} by @{by}", word.replace('_', " ")),
        (Some(word), None) => word.replace('_', " "),
        (None, _) => "not decided".to_owned(),
    };
    let at = decision.at.map(|at| format!(" at {}", minute(at))).unwrap_or_default();
    let reason = decision.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
    let outcome = decision.outcome.map(|outcome| format!(" {outcome}")).unwrap_or_default();
    escape(&format!(
        "{}: asked for at {}, {word}{at}{reason}.{outcome} By hand: {}",
        decision.plan,
        minute(decision.requested_at),
        decision.command
    ))
}

fn helped(decision: &Decision<'_>) -> Option<String> {
    let what = escape(decision.plan);
    match decision.judged? {
        Word::Recovered => Some(format!("{what}: the service recovered after it.")),
        Word::NotRecovered => Some(format!("{what}: the service did not recover after it.")),
        Word::TooEarly => None,
    }
}

fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// Slack's way to name somebody, as it is written outside Slack.
fn people(text: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once("<@") {
        out.push_str(before);
        rest = match after.split_once('>') {
            Some((user, after)) if user.chars().all(|c| c.is_ascii_alphanumeric()) => {
                out.push('@');
                out.push_str(user);
                after
            }
            _ => {
                out.push_str("<@");
                after
            }
        };
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_measured_on_both_sides_of_the_onset_is_the_impact() {
        let symptoms = Symptoms {
            baseline_error_rate: Some(0.051),
            incident_error_rate: Some(0.402),
            baseline_latency_p99: Some(153.0),
            ..Symptoms::default()
        };
        assert_eq!(impact(&symptoms), ["Failing requests went from 5.1 % to 40.2 %."]);
        assert!(impact(&Symptoms::default())[0].contains("Neither"));
    }

    #[test]
    fn people_are_named_as_outside_slack() {
        assert_eq!(people("closed by <@U123>: done > later"), "closed by @U123: done > later");
        assert_eq!(people("mail a@b.example"), "mail a@b.example");
    }
}
