//! What of that which users see was read, whole and up to now.
//!
//! The rule that is not obvious: latency does not vouch for failures, nor a series for the minutes after its last value.
//! A series of hardly any requests is silent most of the time; one that told something each minute and stops is not read.

use super::LATELY;
use crate::analysis::grid::Grid;
use crate::analysis::metrics::{Entity, Measure, Track};
use crate::analysis::steps;
use crate::domain::alert::{Alert, Symptom as Named};

/// By manner, whether series tell of it near now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Measured {
    pub failing: bool,
    pub slow: bool,
    /// Where the series that would tell of failures stop before now: the first period of which they tell nothing.
    pub until: Option<usize>,
}

impl Measured {
    pub(super) fn of(own: &Entity, grid: Grid) -> Self {
        let failing = |track: &&Track| matches!(track.measure, Measure::Failures | Measure::Availability);
        let slow = |track: &&Track| track.measure == Measure::Latency;
        let tells = |track: &Track| {
            let recent = grid.len.saturating_sub(grid.periods(LATELY));
            let known = |values: &[Option<f64>]| values.iter().flatten().count();
            // A service that is a few periods old is neither confirmed nor denied by its silence.
            known(track.values.get(recent..).unwrap_or_default()) >= 2
                && known(&track.values) >= steps::FEWEST
                && silent_since(&track.values, grid).is_none()
        };
        let fails = own.tracks.iter().filter(failing).any(tells);
        let stops = own.tracks.iter().filter(failing).filter_map(|track| silent_since(&track.values, grid));
        Self {
            failing: fails,
            slow: own.tracks.iter().filter(slow).any(tells),
            until: stops.max().filter(|_| !fails),
        }
    }

    /// Whether what the alert speaks of would have been seen; failures, where it does not say.
    pub fn shows(self, alert: &Alert) -> bool {
        match alert.symptom() {
            Some(Named::Latency) => self.slow,
            _ => self.failing,
        }
    }
}

/// The first period of a silence up to now that is no chance, by how many of the periods before it told something.
pub fn silent_since(values: &[Option<f64>], grid: Grid) -> Option<usize> {
    /// Minutes that a value may be late: CloudWatch has most within three.
    const LATE: i64 = 10;
    /// Of silences that begin by chance, those that are called none.
    const CHANCE: f64 = 0.01;
    let first = values.iter().position(Option::is_some)?;
    let last = values.iter().rposition(Option::is_some)?;
    let silent = values.len() - 1 - last;
    let part = values.iter().flatten().count() as f64 / (last + 1 - first) as f64;
    let chance = libm::pow(1.0 - part, silent as f64);
    (silent > grid.periods(LATE) && chance < CHANCE).then_some(last + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_that_told_something_each_minute_and_stops_is_not_read_up_to_now() {
        let grid = Grid { start: 0, step: 60, len: 100 };
        let until = |last: usize, each: usize| -> Vec<Option<f64>> {
            (0..100).map(|minute| (minute < last && minute % each == 0).then_some(1.0)).collect()
        };
        assert_eq!(silent_since(&until(80, 1), grid), Some(80));
        // The newest minutes are late.
        assert_eq!(silent_since(&until(95, 1), grid), None);
        // One request in ten minutes: twenty silent ones are nothing.
        assert_eq!(silent_since(&until(81, 10), grid), None);
        assert_eq!(silent_since(&[None; 100], grid), None);
        // Periods of five minutes are late by two of them.
        let coarse = Grid { start: 0, step: 300, len: 100 };
        assert_eq!(silent_since(&until(97, 1), coarse), Some(97));
        assert_eq!(silent_since(&until(98, 1), coarse), None);
    }
}
