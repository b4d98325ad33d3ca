//! A report as plain text for a terminal.

use std::fmt::Write as _;

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

fn inert(c: char) -> char {
    let reorders = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if (c.is_control() && c != '\n') || reorders { ' ' } else { c }
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
}
