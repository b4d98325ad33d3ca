//! What a series usually does at this time of the day or week, from its own earlier days.
//!
//! The rule that is not obvious: a habit is a claim that has to prove itself. Every candidate (none,
//! daily, weekly, half of each) gives one residual series; the caller takes the one that was quietest
//! in the history.

use super::grid::Grid;
use super::levels::median;

/// Minutes left and right of the same time of day that are averaged.
const NEIGHBOURHOOD: f64 = 5.0;
/// Which earlier days make a daily and a weekly habit.
const HABITS: [&[u32]; 3] = [&[1, 2, 3, 4, 5, 6, 7, 8], &[7, 14, 21], &[1]];
/// How much of a habit is taken out.
const PARTS: [f64; 2] = [0.5, 1.0];

/// The series itself, then the series less each candidate habit. Holes where either is missing.
pub(super) fn residuals(grid: &Grid) -> Vec<Vec<f64>> {
    let mut residuals = vec![grid.values.clone()];
    let day = grid.days(1.0);
    if day < 4 {
        return residuals;
    }
    let smooth = smooth(&grid.values, grid.minutes(NEIGHBOURHOOD).min(day / 8));
    for days in HABITS {
        let nearest = days.first().map_or(0, |days| grid.days(f64::from(*days)));
        // At least some history must have its habit known, else there is nothing to compare with.
        if grid.zero < nearest + day / 4 {
            continue;
        }
        let habit: Vec<f64> = (0..grid.values.len())
            .map(|index| {
                let past: Vec<f64> = days
                    .iter()
                    .filter_map(|days| smooth.get(index.checked_sub(grid.days(f64::from(*days)))?).copied())
                    .filter(|value| value.is_finite())
                    .collect();
                if past.is_empty() { f64::NAN } else { median(&past) }
            })
            .collect();
        for part in PARTS {
            residuals
                .push(grid.values.iter().zip(&habit).map(|(value, habit)| value - part * habit).collect());
        }
    }
    residuals
}

/// Means over `reach` cells on both sides; holes where all of these are holes.
fn smooth(values: &[f64], reach: usize) -> Vec<f64> {
    let sums = Sums::of(values);
    (0..values.len())
        .map(|index| {
            let (from, to) = (index.saturating_sub(reach), (index + reach + 1).min(values.len()));
            sums.mean(from, to, 0.0).unwrap_or(f64::NAN)
        })
        .collect()
}

/// Puts values that scatter more where they are larger on a scale where they do not: the logarithm,
/// the square root, or the values themselves (Tukey's spread-against-level plot).
pub(super) fn stabilise(values: &mut [f64], known: usize) {
    let history: Vec<f64> = values[..known].iter().copied().filter(|value| value.is_finite()).collect();
    if values.iter().any(|value| *value < 0.0) || history.len() < 40 {
        return;
    }
    let blocks: Vec<(f64, f64)> = history
        .chunks(12)
        .filter(|block| block.len() == 12)
        .map(|block| {
            let level = block.iter().sum::<f64>() / 12.0;
            let steps = block.windows(2).map(|pair| (pair[1] - pair[0]).abs()).sum::<f64>() / 11.0;
            (level, steps)
        })
        .filter(|(level, steps)| *level > 0.0 && *steps > 0.0)
        .map(|(level, steps)| (level.ln(), steps.ln()))
        .collect();
    if blocks.len() < 8 {
        return;
    }
    let count = blocks.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| blocks.iter().map(of).sum::<f64>() / count;
    let (level, step) = (mean(|block| block.0), mean(|block| block.1));
    let spread: f64 = blocks.iter().map(|block| (block.0 - level).powi(2)).sum();
    if spread / count < 0.02 {
        return;
    }
    let power = blocks.iter().map(|block| (block.0 - level) * (block.1 - step)).sum::<f64>() / spread;
    let usual = history.iter().sum::<f64>() / history.len() as f64;
    for value in values.iter_mut() {
        if power > 0.75 {
            *value = usual * (*value / usual + 0.05).ln();
        } else if power > 0.25 {
            *value = (usual * *value).sqrt();
        }
    }
}

/// Cumulative sums over a series with holes.
pub(super) struct Sums {
    sums: Vec<f64>,
    counts: Vec<f64>,
}

impl Sums {
    pub(super) fn of(values: &[f64]) -> Self {
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

    /// Mean of the cells `from..to`; `None` where no more than `share` of them are known, or they end
    /// beyond the series.
    pub(super) fn mean(&self, from: usize, to: usize, share: f64) -> Option<f64> {
        if to >= self.sums.len() || from >= to {
            return None;
        }
        let count = self.counts[to] - self.counts[from];
        (count > share * (to - from) as f64).then(|| (self.sums[to] - self.sums[from]) / count)
    }
}
