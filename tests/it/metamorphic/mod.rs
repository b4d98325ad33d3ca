//! What must not change a verdict: shifted clocks, another name, another order, records that came twice, strangers'
//! changes, services and lines; and a source less, or a part of one, never makes the same verdict surer.
//!
//! The rule that is not obvious: everything is done to the files of a bundle, as bytes, and knows nothing
//! of how the engine reads them. So the same checks serve the generator's incidents and anybody's bundles.

mod strangers;
#[cfg(test)]
mod tests;
mod transform;

use std::collections::BTreeMap;
use std::fmt;

use incident_commander::domain::report::{Cause, Report};
use incident_commander::{analysis, bundle};

/// A bundle's files by their path inside it.
pub type Files = BTreeMap<String, Vec<u8>>;

/// How much surer the same verdict may be without a source: rounding, not evidence.
const TOLERANCE: f64 = 0.02;

/// A property that does not hold for a bundle.
#[derive(Debug)]
pub struct Breach {
    pub property: String,
    before: Answer,
    after: Answer,
}

impl fmt::Display for Breach {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {} became {}", self.property, self.before, self.after)
    }
}

/// What was checked, and what did not hold.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Investigations whose verdict had to stay.
    pub kept: usize,
    /// Investigations with a source less.
    pub removed: usize,
    pub breaches: Vec<Breach>,
}

#[derive(Debug, Clone, PartialEq)]
struct Answer {
    cause: Cause,
    /// The event that is blamed, or its resource where only a version shows it.
    change: Option<String>,
    confidence: f64,
}

impl fmt::Display for Answer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let change = self.change.as_deref().unwrap_or("no change");
        write!(out, "{} ({change}) {:.3}", self.cause.as_str(), self.confidence)
    }
}

impl Answer {
    fn to(files: &Files) -> Result<Self, bundle::BundleError> {
        Ok(Self::of(&report(files)?))
    }

    fn of(report: &Report) -> Self {
        let change = report.verdict.change.as_ref();
        Self {
            cause: report.verdict.cause,
            change: change.map(|change| {
                change.event_id.clone().unwrap_or_else(|| format!("{:?} without an event", change.kind))
            }),
            confidence: report.verdict.confidence,
        }
    }

    fn is_same_verdict(&self, other: &Self) -> bool {
        self.cause == other.cause && self.change == other.change
    }
}

fn report(files: &Files) -> Result<Report, bundle::BundleError> {
    Ok(analysis::investigate(&bundle::from_files(files)?).report)
}

/// How many kinds of unrelated changes are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strangers {
    /// Two that the seed chooses.
    Two,
    All,
}

/// Checks all properties on one bundle; `seed` chooses how it is shuffled and, of two strangers, which.
///
/// # Errors
/// When the files are no bundle.
pub fn check(files: &Files, seed: u64, which: Strangers) -> Result<Outcome, bundle::BundleError> {
    let report = report(files)?;
    let before = Answer::of(&report);
    let onset = report.onset.map(|onset| onset.at);
    let mut outcome = Outcome::default();
    let mut variants = transform::all(files, seed);
    variants.extend(strangers::changes(files, seed, onset, which == Strangers::All));
    variants.push(("an unrelated service that works".to_owned(), strangers::with_service(files, seed)));
    variants.push(("lines of an unrelated log group".to_owned(), strangers::with_log_group(files, onset)));
    for (property, changed) in variants {
        let after = Answer::to(&changed)?;
        outcome.kept += 1;
        if !after.is_same_verdict(&before) {
            outcome.breaches.push(Breach { property, before: before.clone(), after });
        }
    }
    let whole = transform::sources(files).into_iter().map(|name| {
        let mut poorer = files.clone();
        poorer.remove(&name);
        (format!("without {name}"), poorer)
    });
    for (less, poorer) in whole.chain(transform::parts(files, seed)) {
        let after = Answer::to(&poorer)?;
        outcome.removed += 1;
        if after.is_same_verdict(&before) && after.confidence > before.confidence + TOLERANCE {
            let property = format!("{less} it is surer");
            outcome.breaches.push(Breach { property, before: before.clone(), after });
        }
    }
    Ok(outcome)
}
