//! The engine: evidence in, ranked hypotheses with probabilities out, every sentence backed by a
//! fact with an id.
//!
//! Three agents look at the same evidence, each a pure function: `logs` (what the service says about
//! itself), `metrics` (what rose, whose and when), `changes` and `suspects` (what was changed and
//! how it fits). `weigh` lets the causes compete, `decide` chooses the action, `narrate` writes the
//! report. Invariant: no I/O, no clock, no randomness, and nothing depends on the order of lines.

pub mod aftermath;
pub mod canary;
pub mod chance;
pub mod changes;
pub mod compatibility;
pub mod decide;
pub mod failure;
pub mod grid;
pub mod keys;
mod kin;
pub mod logs;
pub mod metrics;
pub mod narrate;
pub mod nearness;
mod permits;
pub mod quantities;
pub mod ratios;
pub mod recorder;
pub mod sag;
pub mod settings;
pub mod shifts;
pub mod steps;
pub mod suspects;
pub mod symptom;
pub mod templates;
pub mod trial;
pub mod triggers;
pub mod weigh;

#[cfg(test)]
mod tests;

use crate::domain::change::Change;
use crate::domain::evidence::Evidence;
use crate::domain::report::{Report, Symptoms};
use crate::domain::words;
use grid::Grid;
use metrics::Metrics;

/// What an investigation leaves behind.
#[derive(Debug, Clone, PartialEq)]
pub struct Investigation {
    pub report: Report,
    /// The series that the chart draws and recovery is judged by.
    pub symptoms: Symptoms,
    /// The change that is blamed, with what undoing it means.
    pub change: Option<Change>,
    /// A test that would tell two changes apart which fit equally well, where one would.
    pub proposal: Option<trial::Proposal>,
}

/// Investigates. Pure and deterministic: the same evidence gives the same report, whatever the order
/// of its log lines.
pub fn investigate(evidence: &Evidence) -> Investigation {
    let evidence = &*logs::groups::own(evidence);
    let metrics = evidence.series.as_ref().map(|series| Metrics::of(series, &evidence.scope));
    let grid = metrics.as_ref().map_or_else(|| grid_of_logs(evidence), |metrics| metrics.grid);
    let logs = evidence.logs.as_ref().map(|events| logs::survey::survey(events, grid));
    let mut changes = changes::changes(evidence);
    let mut symptom = symptom::observe(&evidence.alert, metrics.as_ref(), logs.as_ref(), &changes, grid);
    let mut failure = failure::Failure::of(&symptom, logs.as_ref());
    let triggers = triggers::find(&symptom, metrics.as_ref(), logs.as_ref(), evidence);
    failure.hear(&triggers);
    if let Some(logs) = &logs {
        settings::complete(&mut changes, logs, evidence);
    }
    let mut suspects = suspects::suspects(&changes, &symptom, &failure, logs.as_ref(), evidence);
    let weighed = weigh::weigh(&mut suspects, &symptom, &triggers, &failure, evidence);
    let blamed = weighed.rows.first().and_then(|row| suspects.get(row.suspect?));
    if let Some((from, _)) = blamed.and_then(|suspect| suspect.effect) {
        symptom.begun_by(from);
    }
    let proposal = trial::propose(&weighed, &suspects, &symptom, metrics.as_ref(), evidence);
    let action = decide::decide(&weighed, &suspects, &triggers, &evidence.scope, proposal.as_ref());
    let findings = narrate::Findings {
        evidence,
        metrics: metrics.as_ref(),
        logs: logs.as_ref(),
        symptom: &symptom,
        failure: &failure,
        triggers: &triggers,
        suspects: &suspects,
        weighed: &weighed,
    };
    let change = weighed
        .rows
        .first()
        .and_then(|row| row.suspect)
        .and_then(|index| suspects.get(index))
        .map(|suspect| suspect.change.clone());
    Investigation {
        report: narrate::report(&findings, action),
        symptoms: narrate::chart::symptoms(&findings),
        change,
        proposal: proposal.and_then(Result::ok),
    }
}

/// Without metrics, time is cut by the logs: minutes, at most the last six hours.
fn grid_of_logs(evidence: &Evidence) -> Grid {
    const LONGEST: i64 = 6 * 3600;
    let now = evidence.scope.now.as_second();
    let first = evidence
        .logs
        .iter()
        .flatten()
        .map(|event| event.at.as_second())
        .filter(|second| *second >= now - LONGEST)
        .min()
        .unwrap_or(now - 7200);
    Grid::covering(first.min(now), now, 60)
}
