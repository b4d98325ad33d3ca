//! How the requests of an incident fail: in which ways, in which words, as the logs, the metrics and AWS itself tell.
//!
//! The rule that is not obvious: it is taken from the failures alone, before any change is looked at, so that no change is
//! judged by what it would explain.

use super::logs::LogSurvey;
use super::logs::phrases::Mechanism;
use super::metrics::Manner;
use super::quantities::Quantity;
use super::symptom::Symptom;
use super::triggers::{Triggers, events};

/// The least share of the new failing lines that a kind or a mechanism must have to be spoken of.
const TELLING: f64 = 0.1;
/// The share of them from which on a mechanism is one that a change has to explain.
const FREQUENT: f64 = 0.2;
/// The share that is given to what is counted or told by AWS and never logged by the service.
const UNLOGGED: f64 = 0.9;

/// How requests fail: the mechanism of the new failures, the manner of the symptom, their words.
#[derive(Debug, Clone, Default)]
pub struct Failure {
    /// (mechanism, share of the new failing lines).
    pub mechanisms: Vec<(Mechanism, f64)>,
    /// The new failing lines, lower-case.
    pub texts: Vec<String>,
    /// What each of them says, and the numbers that all lines of its kind hold.
    pub said: Vec<(Option<Mechanism>, Vec<Quantity>)>,
    pub manner: Option<Manner>,
    /// The service's own tasks are killed or do not start: whatever else is said, it is not somebody else.
    pub own_tasks: bool,
}

impl Failure {
    /// The failures of this incident, for matching changes against them.
    pub fn of(symptom: &Symptom, logs: Option<&LogSurvey>) -> Self {
        let mut failure =
            Self { manner: symptom.primary.as_ref().map(|primary| primary.manner), ..Self::default() };
        // Calls that the platform refused never log anything.
        let throttled = symptom.primary.as_ref().is_some_and(|primary| primary.query.contains("hrottle"));
        if throttled {
            failure.mechanisms.push((Mechanism::Throttled, UNLOGGED));
        }
        let Some(logs) = logs else { return failure };
        for (kind, share) in symptom.new_kinds(logs) {
            // Many rare kinds of one mechanism are as telling as one that is common.
            if let Some(mechanism) = kind.mechanism {
                match failure.mechanisms.iter_mut().find(|(known, _)| *known == mechanism) {
                    Some((_, sum)) => *sum += share,
                    None => failure.mechanisms.push((mechanism, share)),
                }
            }
            if share < TELLING {
                continue;
            }
            let mut text = kind.example.to_lowercase();
            if let Some(name) = &kind.error_type {
                text.push(' ');
                text.push_str(&name.to_lowercase());
            }
            failure.said.push((kind.mechanism, kind.steady.clone()));
            failure.texts.push(text);
        }
        failure.mechanisms.retain(|(_, share)| *share >= TELLING);
        failure
    }

    /// Adds what the container service says of its own tasks: a task that is killed writes no last line.
    pub fn hear(&mut self, triggers: &Triggers) {
        for told in &triggers.told {
            let mechanism = match told.kind {
                events::Kind::Memory => Mechanism::Memory,
                events::Kind::Image => Mechanism::Missing,
                events::Kind::Capacity | events::Kind::Room | events::Kind::Health => continue,
            };
            match self.mechanisms.iter_mut().find(|(known, _)| *known == mechanism) {
                Some((_, share)) => *share = share.max(UNLOGGED),
                None => self.mechanisms.push((mechanism, UNLOGGED)),
            }
            self.own_tasks = true;
        }
    }

    /// The mechanisms that a change has to explain.
    pub fn frequent(&self) -> impl Iterator<Item = Mechanism> + '_ {
        self.mechanisms.iter().filter(|(_, share)| *share >= FREQUENT).map(|(found, _)| *found)
    }

    /// Whether requests fail by something that all versions and callers share.
    pub fn is_about_sharing(&self) -> bool {
        self.frequent().any(|found| {
            matches!(
                found,
                Mechanism::Pool | Mechanism::Timeout | Mechanism::Overload | Mechanism::FunctionTimeout
            )
        })
    }

    /// What a text says.
    pub fn mechanism_of(&self, text: usize) -> Option<Mechanism> {
        self.said.get(text).and_then(|(mechanism, _)| *mechanism)
    }

    /// The numbers that all lines of a text's kind hold.
    pub fn steady_of(&self, text: usize) -> &[Quantity] {
        self.said.get(text).map_or(&[], |(_, steady)| steady)
    }

    /// Whether a text says so by one of these patterns of words.
    pub fn says(&self, is: impl Fn(&str) -> bool) -> bool {
        self.texts.iter().any(|text| is(text))
    }
}
