//! Takes a repeating habit out of an evenly spaced series whose period is not known.
//!
//! For each candidate period the series loses its moving average of that length, and the phases'
//! medians are measured against what is left. The habit is taken out only where it explains a good part.

use super::levels::median;

/// Share of the variance around the moving average that a habit must explain.
const LEAST_EXPLAINED: f64 = 0.5;
/// A period must be seen this many times.
const LEAST_CYCLES: usize = 4;
/// Longer habits than this many values are not looked for here.
const LONGEST: usize = 400;

/// The series without its habit; unchanged where it has none.
pub(super) fn without_season(values: &[f64]) -> Vec<f64> {
    let longest = (values.len() / LEAST_CYCLES).min(LONGEST);
    let candidates: Vec<(usize, f64)> =
        (3..=longest).map(|period| (period, explained(values, period).0)).collect();
    let best = candidates.iter().map(|candidate| candidate.1).fold(0.0, f64::max);
    if best < LEAST_EXPLAINED {
        return values.to_vec();
    }
    // Multiples of a period explain as much, and so do its neighbours where few cycles are seen: the
    // period is the best of its neighbourhood, and the first such that is nearly as good as any.
    let period = candidates
        .iter()
        .find(|(period, share)| {
            let near = |other: usize| other.abs_diff(*period) <= (*period / 5).max(1);
            *share >= best - 0.1 && candidates.iter().all(|other| !near(other.0) || other.1 <= *share)
        })
        .map_or(0, |found| found.0);
    if period == 0 {
        return values.to_vec();
    }
    let (_, phases) = explained(values, period);
    let plain: Vec<f64> =
        values.iter().enumerate().map(|(index, value)| value - phases[index % period]).collect();
    // A step blurs the moving average and so the phases. The running median of what is left keeps a
    // step sharp: against it the phases are measured once more.
    let half = (period / 2).max(2);
    let mut phases: Vec<Vec<f64>> = vec![Vec::new(); period];
    for (index, value) in values.iter().enumerate() {
        let window = &plain[index.saturating_sub(half)..(index + half + 1).min(plain.len())];
        phases[index % period].push(value - median(window));
    }
    let levels: Vec<f64> = phases.iter().map(|phase| median(phase)).collect();
    values.iter().enumerate().map(|(index, value)| value - levels[index % period]).collect()
}

/// Adjusted share of variance that the phases of this period explain, and the phases' levels.
fn explained(values: &[f64], period: usize) -> (f64, Vec<f64>) {
    let half = period / 2;
    let mut sums = vec![0.0; values.len() + 1];
    for (index, value) in values.iter().enumerate() {
        sums[index + 1] = sums[index] + value;
    }
    let mean = |from: usize, to: usize| (sums[to] - sums[from]) / (to - from) as f64;
    let mut phases: Vec<Vec<f64>> = vec![Vec::new(); period];
    for index in half..values.len().saturating_sub(half) {
        let around = if period % 2 == 1 {
            mean(index - half, index + half + 1)
        } else {
            // An even window is centred by averaging its two neighbours.
            let last = (index + half + 1).min(values.len());
            f64::midpoint(mean(index - half, last - 1), mean(index - half + 1, last))
        };
        phases[index % period].push(values[index] - around);
    }
    let count = phases.iter().map(Vec::len).sum::<usize>();
    if count <= 2 * period {
        return (0.0, vec![0.0; period]);
    }
    let mut levels: Vec<f64> = phases.iter().map(|phase| median(phase)).collect();
    let centre = levels.iter().sum::<f64>() / period as f64;
    let total: f64 = phases.iter().flatten().map(|value| value * value).sum();
    let left: f64 = phases
        .iter()
        .zip(&levels)
        .map(|(phase, level)| phase.iter().map(|value| (value - level).powi(2)).sum::<f64>())
        .sum();
    for level in &mut levels {
        *level -= centre;
    }
    if total <= 0.0 {
        return (0.0, levels);
    }
    let share = 1.0 - (left / (count - period) as f64) / (total / count as f64);
    (share, levels)
}
