//! Small tests that were made: what was counted in each, whichever of the two causes leads now.

use super::{Writer, links};
use crate::domain::report::{Agent, Cause};
use crate::domain::trial::Word;

pub(super) fn trials(writer: &mut Writer<'_>) {
    let findings = writer.findings;
    for trial in &findings.evidence.trials {
        let design = &trial.design;
        let (from, until) = (writer.clock(trial.begun_at), writer.clock(trial.ended_at));
        let means = match trial.word() {
            Word::PointsAtIt => format!("which points at the {}", design.change),
            Word::ClearsIt => format!("which speaks against the {}", design.change),
            Word::Undecided => "which tells nothing".to_owned(),
        };
        let statement = format!(
            "In the test of version {} from {from} to {until} UTC {}, {means}.",
            design.earlier,
            trial.counted()
        );
        let supports: &[Cause] = if trial.word() == Word::PointsAtIt { &[Cause::Deployment] } else { &[] };
        let query = format!(
            "AWS/Lambda Errors and Invocations of {}:{} by ExecutedVersion",
            design.function, design.alias
        );
        writer.add(Agent::Metrics, statement, supports, Some(query));
        if let Some(item) = writer.items.last_mut() {
            item.link = links::of_trial(trial, &findings.evidence.scope);
        }
    }
}
