//! A report as Markdown.

use std::fmt::Write as _;

use crate::domain::change::readable;
use crate::domain::report::{ActionKind, Agent, Cause, Report};

/// The whole report.
pub fn markdown(report: &Report) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "# {}: {}\n", escape(&report.service), escape(&report.title()));
    let _ = writeln!(out, "## Root cause\n\n{}\n", escape(&report.summary));
    let _ = writeln!(
        out,
        "**{}** {}\n",
        escape(&report.sureness()),
        onset(report).unwrap_or_else(|| without_onset(report).to_owned())
    );
    let config = report.verdict.change.as_ref().map_or(&[][..], |change| &change.config);
    if !config.is_empty() {
        out.push_str("| key | before | after |\n| --- | --- | --- |\n");
        for key in config {
            let show = |value: &Option<String>| {
                value.as_deref().map_or_else(|| "not known".to_owned(), |value| cell(&readable(value)))
            };
            let _ = writeln!(out, "| `{}` | {} | {} |", cell(&key.key), show(&key.before), show(&key.after));
        }
        out.push('\n');
    }
    let _ = writeln!(out, "## Recommended action\n\n{}\n", action(report));
    out.push_str("## Evidence\n\n");
    for (agent, title) in [(Agent::Metrics, "Metrics"), (Agent::Logs, "Logs"), (Agent::Deploy, "Changes")] {
        let items: Vec<_> = report.evidence.iter().filter(|item| item.source == agent).collect();
        if items.is_empty() {
            continue;
        }
        let _ = writeln!(out, "**{title}**\n");
        for item in items {
            let query =
                item.query.as_deref().map(|query| format!(" ({})", escape(query))).unwrap_or_default();
            let _ = writeln!(out, "- {}: {}{query}", item.id, escape(&item.statement));
        }
        out.push('\n');
    }
    if !report.cleared.is_empty() {
        out.push_str("## Cleared\n\n");
        for cleared in report.cleared_by_reason() {
            let _ = writeln!(out, "- {}: {}", escape(&cleared.names()), escape(cleared.reason));
        }
        out.push('\n');
    }
    out.push_str("## Hypotheses\n\n");
    for hypothesis in report.told_hypotheses() {
        let _ = writeln!(
            out,
            "- {:.0} % {}: {}",
            hypothesis.probability * 100.0,
            hypothesis.cause.as_str(),
            escape(&hypothesis.describe())
        );
    }
    if !report.timeline.is_empty() {
        out.push_str("\n## Timeline (UTC)\n\n");
        for entry in &report.timeline {
            let _ = writeln!(out, "- {} {}", entry.at.strftime("%Y-%m-%d %H:%M:%S"), escape(&entry.what));
        }
    }
    if !report.gaps.is_empty() {
        out.push_str("\n## Gaps\n\n");
        for gap in report.gaps_by_reason() {
            let _ = writeln!(out, "- {}: {}", escape(&gap.what.join(", ")), escape(gap.reason));
        }
    }
    if let Some(cost) = &report.cost {
        let _ = writeln!(out, "\n## Cost\n\n{}", escape(&cost.describe()));
    }
    out
}

pub fn onset(report: &Report) -> Option<String> {
    report.onset.map(|onset| {
        let minute = |at: jiff::Timestamp| at.strftime("%H:%M").to_string();
        let at = onset.at.strftime("%Y-%m-%d %H:%M");
        if minute(onset.earliest) == minute(onset.latest) {
            format!("The symptom began at {at} UTC.")
        } else {
            format!(
                "The symptom began at {at} UTC (between {} and {}).",
                minute(onset.earliest),
                minute(onset.latest)
            )
        }
    })
}

/// Where nothing decides, nothing is known to be harmless either.
fn without_onset(report: &Report) -> &'static str {
    match report.verdict.cause {
        Cause::None => "Nothing shows a beginning.",
        _ => "Nothing that was read shows when it began.",
    }
}

fn action(report: &Report) -> String {
    let target =
        report.action.target.as_deref().map(|target| format!(" {}", escape(target))).unwrap_or_default();
    format!("**{}**{target}. {}", action_words(report.action.kind), escape(&report.action.reason))
}

pub fn action_words(kind: ActionKind) -> &'static str {
    match kind {
        ActionKind::Rollback => "Roll back",
        ActionKind::RollForward => "Roll forward",
        ActionKind::Escalate => "Escalate to",
        ActionKind::Watch => "Watch",
    }
}

/// Somebody else's words within a Markdown paragraph: no links, no emphasis, no HTML, one line.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '*' | '`' | '[' | ']' | '<' | '>' | '|' | '\\' => {
                out.push('\\');
                out.push(character);
            }
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// The same within a cell that may stand in backticks.
fn cell(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '|' => '¦',
            '`' => '\'',
            c if c.is_control() => ' ',
            c => c,
        })
        .collect()
}
