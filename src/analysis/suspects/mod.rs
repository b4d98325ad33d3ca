//! The deploy agent: every change as a suspect, with what speaks for and against it.
//!
//! The rule that is not obvious: a change counts from its effect, over an interval where it was
//! rolled out, and one that took effect after the onset counts nothing. What a suspect is stands here, how one is
//! assessed in `assess`, how well it explains the failures in `mechanism`.

mod assess;
mod mechanism;

use jiff::Timestamp;

use super::canary::{Dose, Split};
use super::keys::{Class, Fit, Starved};
use super::trial::Tried;
use crate::domain::change::{Change, ChangeKind, FieldSays, KeyChange, Relation};
use crate::domain::trial::TELLS;

pub use assess::suspects;

/// More keys than this, none of which stands out, are a list and no answer.
const NAMED_TOGETHER: usize = 3;
/// From this likelihood ratio on a key's mechanism, with its values before and after, stands as proof.
const PROVES: f64 = 8.0;

/// What undoing the change did.
#[derive(Debug, Clone, PartialEq)]
pub struct Reversal {
    pub at: Timestamp,
    /// Minutes from the undoing to the end of the symptom; `None` where it went on.
    pub minutes: Option<f64>,
}

/// What became of a change before the symptom began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Past {
    /// It was undone, and everybody had the time to read that.
    Undone,
    /// It undoes another one, after which the service is again what it had been until shortly before.
    Returns,
}

/// How a change cannot have done it, but by a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Harmless {
    /// It changed only what no request depends on.
    Inert,
    /// All that it changed moved away from what would bring these failures about: it gave more of what is short, or took
    /// what nobody misses.
    Eases,
}

/// What a change has to do with a database's schema.
#[derive(Debug, Clone, PartialEq)]
pub enum Schema {
    /// The release changed it, as its logs say: when, and the line.
    Migrated(Timestamp, String),
    /// The errors miss a column or table, and not because a changed value names it.
    Missing,
}

#[derive(Debug, Clone)]
pub struct Suspect<'c> {
    pub change: &'c Change,
    /// Epoch seconds from and until which it took effect.
    pub effect: Option<(i64, i64)>,
    /// Expected density of its lag to the onset, per minute.
    pub timing: f64,
    /// It took effect after the symptom began.
    pub after_onset: bool,
    /// By index into the change's keys.
    pub fits: Vec<Fit>,
    /// How well what it changed explains how requests fail.
    pub mechanism: f64,
    /// Callers over what they share: see [`keys::starved`].
    pub starved: Option<Starved>,
    pub split: Option<Split>,
    /// The version before it was given a share of the traffic, to see.
    pub tried: Option<Tried<'c>>,
    /// Failures against the share of traffic that it got.
    pub dose: Option<Dose>,
    pub reversal: Option<Reversal>,
    /// A current setting of the changed resource names what the errors name: key, value's part.
    pub names_error: Option<(String, String)>,
    /// A key that set the very limit at which a series is cut off at the onset: its index, the limit.
    pub cut_off: Option<(usize, f64)>,
    /// Why nothing that it changed can be what requests fail by, where that is so.
    pub harmless: Option<Harmless>,
    /// It acts no longer when the symptom begins, or brings back what ran before without it.
    pub past: Option<Past>,
    /// What ties the change to a state of the database that going back does not restore.
    pub schema: Option<Schema>,
    /// The failures could come from code: its own words, or no words at all.
    pub code_in_question: bool,
    /// Prior rate times all likelihood ratios.
    pub weight: f64,
    /// The same before soft evidence.
    pub prior: f64,
}

impl Suspect<'_> {
    /// Evidence beyond timing speaks for it.
    pub fn has_mechanism(&self) -> bool {
        self.mechanism >= 2.5 || self.names_error.is_some()
    }

    /// Something beyond its time shows how it did it: what it changed fits the errors, or its share of the traffic tells it
    /// from the rest.
    pub fn shows_how(&self) -> bool {
        self.has_mechanism()
            || self.has_split()
            || self.has_values()
            || self.reversed()
            || self.dose.as_ref().is_some_and(|dose| dose.ratio >= 3.0)
    }

    /// The mechanism stands with its values: in the error itself, or in an arithmetic that cannot
    /// hold. Values of which only the program itself tells are no proof, though a good sign.
    pub fn has_values(&self) -> bool {
        let by_aws =
            |index: usize| self.change.keys.get(index).is_some_and(|key| !only_logged(self.change, key));
        let sides = |starved: &Starved| {
            [starved.callers.changed, starved.pool.changed].into_iter().flatten().all(by_aws)
        };
        self.starved.as_ref().is_some_and(sides)
            || self.cut_off.is_some()
            || self.fits.iter().enumerate().any(|(index, fit)| fit.named.is_some() && by_aws(index))
            || (self.mechanism >= PROVES
                && self.fits.iter().zip(&self.change.keys).any(|(fit, key)| {
                    fit.ratio >= PROVES
                        && key.before.is_some()
                        && key.after.is_some()
                        && !only_logged(self.change, key)
                }))
    }

    /// The new errors repeat its new value, which only it can have put there.
    pub fn is_quoted(&self) -> bool {
        self.fits.iter().any(|fit| fit.decisive) && reads(self.change)
    }

    /// Versions served in the same minutes, by chance or in a test, and this one fails where the others do not.
    pub fn has_split(&self) -> bool {
        self.split.as_ref().is_some_and(|split| split.ratio >= 3.0)
            || self.tried.as_ref().is_some_and(|tried| tried.ratio >= TELLS)
    }

    pub fn reversed(&self) -> bool {
        self.reversal.as_ref().is_some_and(|reversal| reversal.minutes.is_some())
    }

    /// Indexes of the keys that matter: those that explain the failure, or the only one that could.
    pub fn guilty_keys(&self) -> Vec<usize> {
        let best = self.fits.iter().map(|fit| fit.ratio).fold(0.0, f64::max);
        let named = self.fits.iter().any(|fit| fit.named.is_some());
        let mut guilty: Vec<usize> = self
            .fits
            .iter()
            .enumerate()
            .filter(|(_, fit)| fit.explains() && fit.ratio >= best * 0.45 && (!named || fit.named.is_some()))
            .map(|(index, _)| index)
            .collect();
        if let Some(starved) = &self.starved {
            guilty.extend([starved.callers.changed, starved.pool.changed].into_iter().flatten());
            guilty.sort_unstable();
            guilty.dedup();
        }
        if let Some((key, _)) = self.cut_off {
            guilty = vec![key];
        }
        if guilty.is_empty() {
            let live: Vec<usize> = self
                .fits
                .iter()
                .enumerate()
                .filter(|(_, fit)| fit.class != Class::Inert && fit.ratio >= 0.2)
                .map(|(index, _)| index)
                .collect();
            // With the code unchanged, or not in question, the living keys are what changed; where nothing
            // tells them apart they are named together.
            if !self.change.code_changed || !self.code_in_question {
                let best = live.iter().map(|index| self.fits[*index].ratio).fold(0.0, f64::max);
                let alike: Vec<usize> =
                    live.into_iter().filter(|index| self.fits[*index].ratio >= 0.9 * best).collect();
                if alike.len() <= NAMED_TOGETHER {
                    return alike;
                }
            }
        }
        guilty
    }
}

/// Whether nothing but the service's own log lines shows a key's values.
fn only_logged(change: &Change, key: &KeyChange) -> bool {
    change.shown.iter().any(|shown| shown.key == key.key && shown.says == FieldSays::Alone)
}

/// Whether a change's values can reach this service: somebody else's own configuration cannot.
fn reads(change: &Change) -> bool {
    match change.relation {
        Relation::Own | Relation::Shared | Relation::Dependency(_) => true,
        Relation::Peer(_) => false,
        Relation::Unconnected => {
            matches!(change.kind, ChangeKind::SsmParameter | ChangeKind::Appconfig | ChangeKind::Secret)
        }
    }
}
