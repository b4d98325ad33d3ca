//! Whether a series changed at a given moment beyond its own habit.
//!
//! The series is its own control: the same comparison (after against before, with the habit of
//! earlier days and weeks taken out) is made at every earlier moment of its history. What the series
//! does there by itself, by noise, drift, bursts or timed jobs, is the yardstick of what it does now.
//!
//! The rule that is not obvious: of several habits (none, daily, weekly, in part) the one counts whose
//! comparisons were quietest in the history, so a habit that does not repeat is not taken out.

use jiff::Timestamp;

use super::grid::Grid;
use super::levels::median;

/// Whether a series changed at a moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Changed {
    /// Whether the probability is above one half.
    pub changed: bool,
    /// 0 to 1, with even odds beforehand.
    pub probability: f64,
    /// Mean before the moment, over as many values as `after`, in the series' own unit.
    pub before: f64,
    /// Mean after the moment over the stretch that speaks clearest.
    pub after: f64,
}

/// Lengths of the stretches compared, in minutes.
const LENGTHS: [f64; 7] = [5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0];
/// Comparisons in the history at most, per length.
const MOST_COMPARISONS: usize = 600;

/// Compares the series before and after `at` with what it did at every earlier time.
///
/// `None` where there is no finite value on one of the two sides.
pub fn changed_at(points: &[(Timestamp, f64)], at: Timestamp) -> Option<Changed> {
    let grid = Grid::around(points, at)?;
    let habits = habits(&grid);
    let mut strongest = (f64::NEG_INFINITY, 1);
    for length in lengths(&grid) {
        let Some(surprise) = surprise(&grid, &habits, length) else { continue };
        if surprise > strongest.0 {
            strongest = (surprise, length);
        }
    }
    let (surprise, length) = strongest;
    let mean = |from: usize, to: usize| {
        let values: Vec<f64> =
            grid.values[from..to.min(grid.values.len())].iter().copied().filter(|v| v.is_finite()).collect();
        values.iter().sum::<f64>() / values.len() as f64
    };
    let probability =
        if surprise.is_finite() { logistic(2.2 * (surprise.max(1e-3) / 4.5).ln() * 2.0) } else { 0.5 };
    Some(Changed {
        changed: probability > 0.5,
        probability,
        before: mean(grid.zero.saturating_sub(length), grid.zero),
        after: mean(grid.zero, grid.zero + length),
    })
}

/// Stretches in cells that fit into what there is on both sides.
fn lengths(grid: &Grid) -> Vec<usize> {
    let after = grid.values.len() - grid.zero;
    let most = after.min(grid.zero);
    let mut lengths: Vec<usize> =
        LENGTHS.iter().map(|minutes| grid.minutes(*minutes).max(3).min(most)).collect();
    lengths.dedup();
    lengths
}

/// The series less each candidate habit.
fn habits(grid: &Grid) -> Vec<Vec<f64>> {
    let mut residuals = vec![grid.values.clone()];
    let day = grid.days(1.0);
    let past = |index: usize, days: &[usize]| -> f64 {
        let reach = grid.minutes(10.0) / 2;
        let values: Vec<f64> = days
            .iter()
            .filter_map(|days| {
                let centre = index.checked_sub(grid.days(*days as f64))?;
                let window = &grid.values[centre.saturating_sub(reach)..(centre + reach + 1).min(index)];
                let known: Vec<f64> = window.iter().copied().filter(|value| value.is_finite()).collect();
                (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
            })
            .collect();
        if values.is_empty() { f64::NAN } else { median(&values) }
    };
    if day < 4 || grid.zero < day {
        return residuals;
    }
    for days in [&[1, 2, 3, 4, 5, 6, 7][..], &[7, 14, 21]] {
        if grid.zero < grid.days(days[0] as f64) + 10 {
            continue;
        }
        let habit: Vec<f64> = (0..grid.values.len()).map(|index| past(index, days)).collect();
        for part in [0.5, 1.0] {
            residuals
                .push(grid.values.iter().zip(&habit).map(|(value, habit)| value - part * habit).collect());
        }
    }
    residuals
}

/// How many times its usual size the difference at the moment has, under the quietest habit.
fn surprise(grid: &Grid, habits: &[Vec<f64>], length: usize) -> Option<f64> {
    let mut quietest: Option<(f64, f64)> = None;
    for residual in habits {
        let sums = Sums::of(residual);
        let difference = |at: usize| sums.difference(at, length);
        let Some(now) = difference(grid.zero) else { continue };
        let last = grid.zero.saturating_sub(length);
        let stride = (last / MOST_COMPARISONS).max(length / 4).max(1);
        let earlier: Vec<f64> = (length..=last).step_by(stride).filter_map(difference).collect();
        if earlier.len() < 8 {
            continue;
        }
        let centre = median(&earlier);
        let mut away: Vec<f64> = earlier.iter().map(|value| (value - centre).abs()).collect();
        away.sort_by(f64::total_cmp);
        let spread = away[away.len() * 9 / 10] / 1.645;
        let floor = 1e-9
            + 0.002
                * median(
                    &grid.values.iter().copied().filter(|v| v.is_finite()).map(f64::abs).collect::<Vec<_>>(),
                );
        let surprise = (now - centre).abs() / spread.max(floor);
        if quietest.is_none_or(|quietest| spread < quietest.0) {
            quietest = Some((spread, surprise));
        }
    }
    quietest.map(|quietest| quietest.1)
}

/// Cumulative sums and counts over a series with holes.
struct Sums {
    sums: Vec<f64>,
    counts: Vec<f64>,
}

impl Sums {
    fn of(values: &[f64]) -> Self {
        let mut sums = vec![0.0];
        let mut counts = vec![0.0];
        let (mut sum, mut count) = (0.0, 0.0);
        for value in values {
            if value.is_finite() {
                sum += value;
                count += 1.0;
            }
            sums.push(sum);
            counts.push(count);
        }
        Self { sums, counts }
    }

    /// Mean of the `length` cells from `at` on less that of the `length` before; `None` where either
    /// side is mostly holes.
    fn difference(&self, at: usize, length: usize) -> Option<f64> {
        let mean = |from: usize, to: usize| {
            let to = to.min(self.sums.len() - 1);
            let count = self.counts[to] - self.counts[from];
            (count * 2.0 >= length as f64).then(|| (self.sums[to] - self.sums[from]) / count)
        };
        Some(mean(at, at + length)? - mean(at.checked_sub(length)?, at)?)
    }
}

fn logistic(value: f64) -> f64 {
    1.0 / (1.0 + (-value).exp())
}
