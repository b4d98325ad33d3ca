//! Competing risks: every change and every other cause starts incidents at a rate; the posterior
//! shares the mass among them.
//!
//! No window has an edge, overlapping changes share, a busy account lowers everyone, and 'unknown'
//! is a candidate. The rule that is not obvious: ceilings come after the arithmetic and only ever
//! move mass to 'unknown', so that what could not be checked is not believed.

mod causes;
mod ceilings;
mod changes;

use super::failure::Failure;
use super::ratios;
use super::suspects::Suspect;
use super::symptom::Symptom;
use super::triggers::Triggers;
use crate::domain::change::Relation;
use crate::domain::evidence::Evidence;
use crate::domain::report::Cause;
use causes::{dependency, exhaustion, expiry, left_of_surge, platform, traffic};
use ceilings::{ceilings, gate, temper, unseen_change};
use changes::{explain_drain, explain_expiry, explain_outages, explain_surge};

/// One row of the posterior.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub cause: Cause,
    /// Index into the suspects.
    pub suspect: Option<usize>,
    pub about: Option<String>,
    pub probability: f64,
}

/// Which ceiling held the leader down, for the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ceiling {
    TimingAlone,
    SourceMissing,
    WithoutProof,
}

#[derive(Debug, Clone)]
pub struct Weighed {
    /// Best first; sums to 1.
    pub rows: Vec<Row>,
    pub ceiling: Option<Ceiling>,
    /// The symptom was over before now, and not because a change was undone.
    pub over: bool,
}

pub fn weigh(
    suspects: &mut [Suspect<'_>],
    symptom: &Symptom,
    triggers: &Triggers,
    failure: &Failure,
    evidence: &Evidence,
) -> Weighed {
    if let Some(controls) = &triggers.controls {
        for suspect in suspects.iter_mut().filter(|suspect| suspect.change.relation == Relation::Own) {
            suspect.weight *= controls.ratio;
        }
    }
    let outages = explain_outages(suspects, symptom, triggers, failure);
    explain_drain(suspects, symptom, triggers, failure);
    let surge_left =
        explain_surge(suspects, symptom, triggers) * left_of_surge(suspects, symptom, triggers, failure);
    let expiry_left = explain_expiry(suspects, symptom, triggers);
    let mut rows: Vec<Row> = suspects
        .iter()
        .enumerate()
        .filter(|(_, suspect)| suspect.weight > 0.0)
        .map(|(index, suspect)| Row {
            cause: Cause::Deployment,
            suspect: Some(index),
            about: Some(suspect.change.resource.clone()),
            probability: suspect.weight,
        })
        .collect();
    let other = |cause: Cause, about: Option<String>, rate: f64| Row {
        cause,
        suspect: None,
        about,
        probability: rate,
    };
    let (dependency, named) = dependency(suspects, &outages, triggers, failure, evidence);
    rows.push(other(Cause::Dependency, named, dependency));
    rows.push(other(Cause::Traffic, None, surge_left * traffic(symptom, triggers, failure)));
    let drained = triggers.drain.as_ref().map(|drain| drain.what().to_owned());
    rows.push(other(Cause::Exhaustion, drained, exhaustion(suspects, symptom, triggers, failure)));
    rows.push(other(Cause::Expiry, None, expiry_left * expiry(triggers, evidence)));
    rows.push(other(Cause::Platform, None, platform(suspects, triggers)));
    let prior: f64 = suspects.iter().map(|suspect| suspect.prior).sum::<f64>()
        + triggers.outages.iter().map(|outage| outage.rate).fold(0.0, f64::max)
        + triggers.surge.as_ref().map_or(0.0, |surge| surge_left * surge.rate);
    let unknown =
        ratios::BACKGROUND_UNKNOWN.max(prior * ratios::UNKNOWN_FLOOR / (1.0 - ratios::UNKNOWN_FLOOR));
    rows.push(other(Cause::Unknown, None, unknown));
    normalise(&mut rows);
    let over = over(symptom, suspects);
    gate(&mut rows, symptom, over, evidence);
    unseen_change(&mut rows, evidence);
    temper(&mut rows, evidence);
    sort(&mut rows, suspects);
    let ceiling = ceilings(&mut rows, suspects, symptom, triggers, failure, evidence);
    fold_small(&mut rows);
    sort(&mut rows, suspects);
    Weighed { rows, ceiling, over }
}

fn over(symptom: &Symptom, suspects: &[Suspect<'_>]) -> bool {
    let quiet = symptom.grid.periods(8);
    symptom.end.is_some_and(|end| end + quiet <= symptom.grid.len) && !suspects.iter().any(Suspect::reversed)
}

fn normalise(rows: &mut [Row]) {
    let sum: f64 = rows.iter().map(|row| row.probability).sum();
    if sum > 0.0 {
        for row in rows {
            row.probability /= sum;
        }
    }
}

/// Rows too small to read become part of 'unknown'.
fn fold_small(rows: &mut Vec<Row>) {
    const SMALLEST: f64 = 0.002;
    let mut folded = 0.0;
    rows.retain(|row| {
        let keep = row.probability >= SMALLEST || row.cause == Cause::Unknown;
        if !keep {
            folded += row.probability;
        }
        keep
    });
    if let Some(unknown) = rows.iter_mut().find(|row| row.cause == Cause::Unknown) {
        unknown.probability += folded;
    }
    for row in rows.iter_mut() {
        row.probability = (row.probability * 10_000.0).round() / 10_000.0;
    }
    let sum: f64 = rows.iter().map(|row| row.probability).sum();
    if let Some(unknown) = rows.iter_mut().find(|row| row.cause == Cause::Unknown) {
        unknown.probability = ((unknown.probability + 1.0 - sum).max(0.0) * 10_000.0).round() / 10_000.0;
    }
}

fn sort(rows: &mut [Row], suspects: &[Suspect<'_>]) {
    let name = |row: &Row| {
        row.suspect.and_then(|index| suspects.get(index)).map(|suspect| suspect.change.id.clone())
    };
    rows.sort_by(|a, b| {
        b.probability
            .total_cmp(&a.probability)
            .then_with(|| a.cause.cmp(&b.cause))
            .then_with(|| name(a).cmp(&name(b)))
    });
}

/// Whether two suspects lead and nothing tells them apart: the second has a third of the first's
/// mass or more.
pub fn indistinct(rows: &[Row]) -> bool {
    match rows {
        [first, second, ..] => {
            first.suspect.is_some()
                && second.suspect.is_some()
                && second.probability >= 0.33 * first.probability
        }
        _ => false,
    }
}
