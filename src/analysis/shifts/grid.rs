//! An irregular series laid on an even grid that starts at the moment in question.
//!
//! Cell 0 begins at that moment, so that no cell mixes values from before and after. Cells without
//! values are holes (`NaN`) and stay holes.

use jiff::Timestamp;

use super::levels::median;

/// Cells at most before the moment; older history is left out.
const MOST_BEFORE: usize = 60_000;
/// Cells at most from the moment on.
const MOST_AFTER: usize = 20_000;
/// Shorter periods are averaged to this one: seconds.
const SHORTEST_PERIOD: f64 = 60.0;
/// Seconds of a day.
const DAY: f64 = 86_400.0;

/// Evenly spaced values around a moment.
#[derive(Debug, Clone)]
pub(super) struct Grid {
    /// Seconds between cells.
    pub(super) period: f64,
    /// Oldest first, in units of `scale`; holes are `NaN`.
    pub(super) values: Vec<f64>,
    /// Index of the first cell from the moment on.
    pub(super) zero: usize,
    /// The largest size of any value, so that no sum or square overflows.
    pub(super) scale: f64,
}

impl Grid {
    /// `None` without a finite value on each side of the moment.
    pub(super) fn around(points: &[(Timestamp, f64)], at: Timestamp) -> Option<Self> {
        let largest =
            points.iter().map(|point| point.1.abs()).filter(|size| size.is_finite()).fold(0.0, f64::max);
        let scale = if largest > 0.0 { largest } else { 1.0 };
        let offset = |time: Timestamp| (time.as_millisecond() as f64 - at.as_millisecond() as f64) / 1000.0;
        let mut usable: Vec<(f64, f64)> = points
            .iter()
            .filter(|point| point.1.is_finite())
            .map(|point| (offset(point.0), point.1 / scale))
            .collect();
        usable.sort_by(|one, other| one.0.total_cmp(&other.0));
        let (first, last) = (usable.first()?.0, usable.last()?.0);
        if first >= 0.0 || last < 0.0 {
            return None;
        }
        let steps: Vec<f64> =
            usable.windows(2).map(|pair| pair[1].0 - pair[0].0).filter(|step| *step > 0.0).collect();
        let period = period(median(&steps));
        let before = ((-first / period).ceil() as usize).clamp(1, MOST_BEFORE);
        let after = ((last / period).floor() as usize + 1).min(MOST_AFTER);
        let mut sums = vec![(0.0, 0.0); before + after];
        for (offset, value) in usable {
            let cell = (offset / period).floor() + before as f64;
            if cell >= 0.0
                && let Some(sum) = sums.get_mut(cell as usize)
            {
                sum.0 += value;
                sum.1 += 1.0;
            }
        }
        let values = sums.into_iter().map(|(sum, count)| sum / count).collect();
        Some(Self { period, values, zero: before, scale })
    }

    /// Cells in that many days, to the nearest.
    pub(super) fn days(&self, days: f64) -> usize {
        (days * DAY / self.period).round() as usize
    }

    /// Cells in that many minutes, to the nearest, at least one.
    pub(super) fn minutes(&self, minutes: f64) -> usize {
        ((minutes * 60.0 / self.period).round() as usize).max(1)
    }
}

/// The usual step, as a divisor or multiple of a minute where it nearly is one.
fn period(step: f64) -> f64 {
    let step = step.max(SHORTEST_PERIOD);
    let minutes = (step / 60.0).round() * 60.0;
    if (step - minutes).abs() < 0.1 * step { minutes } else { step }
}
