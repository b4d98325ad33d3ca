//! Since when: the onset as a distribution over periods.
//!
//! The rule that is not obvious: the alert's time is only an upper bound of the onset. It is sharpened by the first line of
//! a kind never logged before.

use super::Symptom;
use crate::analysis::grid::Grid;
use crate::analysis::logs::LogSurvey;
use crate::analysis::metrics::Trouble;
use crate::analysis::metrics::trouble::SIGNIFICANT;
use crate::analysis::steps;
use crate::domain::alert::Alert;

impl Symptom {
    /// The onset's distribution.
    pub(super) fn locate(&mut self, alert: &Alert, logs: Option<&LogSurvey>) {
        let weights = match (&self.primary, &self.sag) {
            (Some(primary), _) => self.weights(primary, alert, logs),
            (None, Some(sag)) => padded(&sag.onset, self.grid.len),
            (None, None) => return,
        };
        let fallback = match (&self.primary, &self.sag) {
            (Some(primary), _) => primary.rise.begin,
            (None, sag) => sag.as_ref().map_or(0, |sag| sag.begin),
        };
        self.onset = weights;
        self.settle(fallback);
        self.end =
            self.primary.as_ref().and_then(|primary| primary.rise.end).filter(|end| *end + 2 < self.grid.len);
    }

    fn weights(&self, primary: &Trouble, alert: &Alert, logs: Option<&LogSurvey>) -> Vec<f64> {
        let mut weights = padded(&primary.rise.posterior, self.grid.len);
        if let Some(second) = &self.second
            && second.rise.begin.abs_diff(primary.rise.begin) <= self.grid.periods(10)
        {
            for (weight, other) in weights.iter_mut().zip(padded(&second.rise.posterior, self.grid.len)) {
                // Slow and failing are two views of one thing: each counts half.
                *weight = (*weight * (other + 1e-4)).sqrt();
            }
        }
        if let Some(fired) = self.grid.index(alert.at) {
            let doubt = after_the_alert(primary, fired);
            for weight in weights.iter_mut().skip(fired + 1) {
                *weight *= doubt;
            }
        }
        // A kind of failure first logged then: whatever started it was there.
        if let Some(logs) = logs
            && let Some(index) = first_of_new_kind(logs, primary.rise.begin)
        {
            for weight in weights.iter_mut().skip(index + 1) {
                *weight *= 0.1;
            }
        }
        let sum: f64 = weights.iter().sum();
        if sum > 0.0 {
            for weight in &mut weights {
                *weight /= sum;
            }
        }
        weights
    }

    /// Given that what took effect at an epoch second began it, it began no earlier.
    pub fn begun_by(&mut self, from: i64) {
        let Some(at) = self.grid.index_of_second(from).filter(|at| *at > self.begin) else { return };
        let rest: f64 = self.onset.iter().skip(at).sum();
        if rest <= 0.0 {
            return;
        }
        self.onset[..at].fill(0.0);
        for weight in &mut self.onset {
            *weight /= rest;
        }
        self.settle(at);
    }

    /// The likeliest period of the onset's distribution, and those that hold 95 % of it.
    fn settle(&mut self, fallback: usize) {
        let likeliest = self.onset.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0)));
        self.begin = likeliest.filter(|(_, weight)| **weight > 0.0).map_or(fallback, |(index, _)| index);
        (self.first, self.last) = steps::interval(&self.onset, self.begin);
    }

    /// Seconds of the earliest, likeliest and latest beginning.
    pub fn seconds(&self) -> (i64, i64, i64) {
        let latest = self.grid.second(self.last) + self.grid.step - 1;
        (self.grid.second(self.first), self.grid.second(self.begin), latest)
    }

    /// The expected density of the lag from an effect spread evenly over `from` to `until` (epoch
    /// seconds) to the onset.
    pub fn lag_density(&self, from: i64, until: i64, density: impl Fn(f64) -> f64) -> f64 {
        lag_density(self.grid, &self.onset, from, until, density)
    }
}

/// What a beginning after the alert keeps of its weight: the alert fired because the trouble was there already. A rise that
/// grew on after the alert is told best by its later, greater step; where the first one is clear by itself, the alert saw that.
fn after_the_alert(primary: &Trouble, fired: usize) -> f64 {
    /// Alerts that fire for something else shortly before.
    const BY_CHANCE: f64 = 0.02;
    let posterior = &primary.rise.posterior;
    let most = |weights: &[f64]| weights.iter().copied().fold(0.0, f64::max);
    let (by_then, ever) = (most(&posterior[..posterior.len().min(fired + 1)]), most(posterior));
    let strength = primary.rise.strength + libm::log((by_then / ever).max(f64::MIN_POSITIVE));
    if primary.rise.begin <= fired + 1 {
        BY_CHANCE
    } else if by_then > 0.0 && strength >= SIGNIFICANT {
        0.0
    } else {
        1.0
    }
}

/// The expected density of a lag: over a distribution of beginnings and an effect spread evenly from
/// `from` to `until` (epoch seconds).
pub fn lag_density(grid: Grid, onset: &[f64], from: i64, until: i64, density: impl Fn(f64) -> f64) -> f64 {
    const PARTS: i64 = 4;
    let effects: &[i64] = if until > from { &[1, 3, 5] } else { &[0] };
    let mut sum = 0.0;
    for (index, probability) in onset.iter().enumerate() {
        if *probability < 1e-6 {
            continue;
        }
        for part in 0..PARTS {
            let began = grid.second(index) + grid.step * (2 * part + 1) / (2 * PARTS);
            for sixth in effects {
                let effect = from + (until - from) * sixth / 6;
                sum += probability * density((began - effect) as f64 / 60.0)
                    / (PARTS as f64 * effects.len() as f64);
            }
        }
    }
    sum
}

fn padded(values: &[f64], length: usize) -> Vec<f64> {
    let mut padded = values.to_vec();
    padded.resize(length, 0.0);
    padded
}

/// The first period of the commonest kind that began around the rise and was never there before.
fn first_of_new_kind(logs: &LogSurvey, begin: usize) -> Option<usize> {
    let slack = logs.grid.periods(15);
    let from = begin.saturating_sub(slack);
    logs.kinds
        .iter()
        .filter(|kind| kind.hard && kind.total >= 3 && kind.between(0, from) == 0)
        .max_by(|a, b| a.total.cmp(&b.total).then_with(|| b.example.cmp(&a.example)))
        .and_then(|kind| logs.grid.index(kind.first))
}
