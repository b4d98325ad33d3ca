//! A report as plain text for a terminal.

use std::fmt::Write as _;

use super::markdown::{action_words, onset};
use crate::domain::report::Report;

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
    out.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).collect()
}
