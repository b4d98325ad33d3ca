//! A report as plain text for a terminal.

use std::fmt::Write as _;

use serde::Serialize;

use super::markdown::{action_words, onset};
use crate::domain::report::Report;

/// Somebody else's words as one line of a terminal: nothing in them moves the cursor, ends the line or turns round
/// what a reader sees.
pub fn plain(line: &str) -> String {
    line.chars().map(|c| if c == '\n' { ' ' } else { inert(c) }).collect()
}

/// The same of a whole text, which keeps its lines.
pub fn plain_lines(text: &str) -> String {
    text.chars().map(inert).collect()
}

/// A value as JSON over several lines, safe to look at in a terminal.
///
/// # Errors
/// Where the value cannot be said in JSON.
pub fn json(value: &impl Serialize) -> serde_json::Result<String> {
    Ok(plain_json(&serde_json::to_string_pretty(value)?))
}

/// The same JSON, in which nothing moves the cursor or turns round what a reader sees: JSON itself escapes only some of
/// that, and whoever parses it reads the same.
pub fn plain_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if is_active(c) {
            // All of them are in the basic plane, and JSON has them in strings alone.
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

fn inert(c: char) -> char {
    if is_active(c) { ' ' } else { c }
}

fn is_active(c: char) -> bool {
    let reorders = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    (c.is_control() && c != '\n') || reorders
}

/// The report in lines; nothing in it can move the cursor.
pub fn text(report: &Report) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "{}: {}. {}\n", report.service, report.title(), report.sureness());
    let _ = writeln!(out, "{}", report.summary);
    if let Some(onset) = onset(report) {
        let _ = writeln!(out, "{onset}");
    }
    let target = report.action.target.as_deref().map(|target| format!(" {target}")).unwrap_or_default();
    let _ = writeln!(out, "\n{}{target}: {}\n", action_words(report.action.kind), report.action.reason);
    for item in &report.evidence {
        let _ = writeln!(out, "  {:<4} {}", item.id, item.statement);
    }
    if !report.cleared.is_empty() {
        let _ = writeln!(out, "\ncleared");
        for cleared in report.cleared_by_reason() {
            let _ = writeln!(out, "  {}: {}", cleared.names(), cleared.reason);
        }
    }
    let _ = writeln!(out, "\nhypotheses");
    for hypothesis in report.told_hypotheses() {
        let _ = writeln!(
            out,
            "  {:>3.0} % {}: {}",
            hypothesis.probability * 100.0,
            hypothesis.cause.as_str(),
            hypothesis.describe()
        );
    }
    if !report.gaps.is_empty() {
        let _ = writeln!(out, "\ngaps");
        for gap in report.gaps_by_reason() {
            let _ = writeln!(out, "  {}: {}", gap.what.join(", "), gap.reason);
        }
    }
    if let Some(cost) = &report.cost {
        let _ = writeln!(out, "\ncost\n  {}", cost.describe());
    }
    plain_lines(&out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_line_moves_the_cursor_or_turns_it_round() {
        assert_eq!(plain("a\u{1b}[2Jb\nc\r\u{9b}d\u{202e}e"), "a [2Jb c  d e");
        assert_eq!(plain_lines("a\u{7}\nb\t"), "a \nb ");
    }

    #[test]
    fn nothing_in_json_moves_the_cursor_and_it_reads_the_same() {
        let value = serde_json::json!({ "a\u{9b}2J": ["b\u{202e}c", "d\u{7f}\u{1b}[2J\n"] });
        let shown = json(&value).unwrap();
        assert!(!shown.chars().any(is_active), "{shown:?}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
    }
}
