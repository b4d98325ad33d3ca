//! Is a rise more than chance?
//!
//! Chance is one candidate more: noise rises somewhere in every window of some hours, and the alert may have fired for it.
//! The rule that is not obvious: a rise that is short or small need not stand out of the whole window where something
//! else says when to look: a change that took effect right then, or a witness that is not the count itself.

use crate::analysis::canary::log_bayes_factor;
use crate::analysis::grid::Grid;
use crate::analysis::logs::LogSurvey;
use crate::analysis::metrics::Trouble;
use crate::analysis::ratios;
use crate::analysis::symptom::{LogNoise, lag_density};
use crate::domain::change::Change;

/// Minutes between a rise and what bears witness to it.
const NEAR: i64 = 2;

/// The odds that a rise is no chance: by its own strength, and the more, the more likely a change started something in
/// those very minutes. Who changes a service and sees it fail does not ask for the certainty of somebody who looks
/// through a night's figures.
pub fn odds(rise: &Trouble, changes: &[Change], grid: Grid) -> f64 {
    let rate: f64 = changes
        .iter()
        .filter(|change| !change.no_op)
        .filter_map(|change| {
            let (from, until) = change.took_effect()?;
            let lag = lag_density(grid, &rise.rise.posterior, from, until, ratios::change_lag);
            Some(ratios::hazard(&change.kind) * ratios::relevance(&change.relation) * lag)
        })
        .sum();
    rise.odds() * (1.0 + rate / ratios::UNPROMPTED)
}

/// Whether something else than the count itself says that it began then: error lines rose in the same minutes, or lines
/// of a kind that many lines before never held.
pub fn is_witnessed(rise: &Trouble, noise: Option<LogNoise>, logs: Option<&LogSurvey>, grid: Grid) -> bool {
    let begin = rise.rise.begin;
    let with = |at: usize| at.abs_diff(begin) <= grid.periods(NEAR);
    noise.is_some_and(|noise| with(noise.begin)) || logs.is_some_and(|logs| is_told(logs, begin, &with))
}

fn is_told(logs: &LogSurvey, begin: usize, with: &impl Fn(usize) -> bool) -> bool {
    /// Nats: one in twenty services writes its first line of some kind in such minutes by chance.
    const SURE: f64 = 3.0;
    let sum =
        |from: usize, to: usize| logs.lines[from..to].iter().map(|count| f64::from(*count)).sum::<f64>();
    let from = begin.saturating_sub(logs.grid.periods(NEAR)).min(logs.grid.len);
    let (before, since) = (sum(0, from), sum(from, logs.grid.len));
    logs.kinds.iter().any(|kind| {
        let lines = kind.between(from, logs.grid.len) as f64;
        kind.hard
            && lines >= 3.0
            && kind.between(0, from) == 0
            && logs.grid.index(kind.first).is_some_and(with)
            && log_bayes_factor(lines, since.max(lines), 0.0, before) >= SURE
    })
}
