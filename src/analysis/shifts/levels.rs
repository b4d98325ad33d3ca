//! Level shifts of one series, with the posterior probability of each.
//!
//! Exact Bayesian segmentation (Fearnhead 2006, "Exact and efficient Bayesian inference for multiple
//! changepoint problems"), averaged over the strength of the noise's autocorrelation: a series that
//! wanders is explained by correlated noise and a slope rather than by many small steps. A yearly,
//! weekly or daily habit is taken out first.

use super::season::without_season;
use super::segment::{Evidence, add_logs};

/// One lasting change of level or of slope.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shift {
    /// Index of the first value after the change.
    pub index: usize,
    /// The level between the previous shift and this one: the median of the values, and of small counts their mean.
    pub before: f64,
    /// The same between this shift and the next one.
    pub after: f64,
    /// 0 to 1: that the series changed here, or within a few values of here.
    pub probability: f64,
}

/// Coefficients of autocorrelation that are averaged over.
const AUTOCORRELATIONS: [f64; 8] = [0.0, 0.2, 0.4, 0.6, 0.75, 0.85, 0.92, 0.97];
/// Changes expected in a series before it was seen, whatever its length.
const EXPECTED_CHANGES: f64 = 1.0;
/// Share of the log likelihood that counts: real noise is neither normal nor of first order.
const TEMPER: f64 = 0.9;
/// Innovations beyond this many standard deviations lose weight.
const CUT: f64 = 3.0;
/// Values on each side that an innovation is measured against.
const NEAR: usize = 5;
/// Least variance of the noise, as a share of the whole series': nobody sees smaller steps.
const LEAST_NOISE: f64 = 1e-3;
/// Fewer values than this say nothing.
const LEAST_VALUES: usize = 8;
/// The least number of values between two changes.
const SHORTEST: usize = 3;
/// Values left and right of a change within which its posterior mass is summed.
const MARGIN: usize = 4;
/// Longer series are averaged to about this many values: the cost grows with the square.
const MOST_VALUES: usize = 1200;

/// Finds the shifts of `values`, which are taken as evenly spaced; values that are not finite are skipped.
///
/// Fewer than eight usable values give none. The cost is quadratic up to 1,200 values; longer series
/// are first averaged, and each change is then placed in the full series.
pub fn level_shifts(values: &[f64]) -> Vec<Shift> {
    let kept: Vec<(usize, f64)> =
        values.iter().copied().enumerate().filter(|(_, value)| value.is_finite()).collect();
    let Some(raw) = finite_squares(&kept) else { return Vec::new() };
    let together = raw.len().div_ceil(MOST_VALUES).max(1);
    let coarse: Vec<f64> =
        raw.chunks(together).map(|chunk| chunk.iter().sum::<f64>() / chunk.len() as f64).collect();
    let Some(series) = prepare(&coarse) else { return Vec::new() };
    let posterior = posterior(&series);
    let peaks = peaks(&posterior);
    let mut changes: Vec<(usize, f64)> = peaks
        .into_iter()
        .map(|(at, probability)| (place(&raw, at * together, together), probability))
        .collect();
    changes.dedup_by_key(|change| change.0);
    describe(&kept, &changes)
}

/// The values in units of their largest, so that their squares are finite; `None` where they are too
/// few or all zero.
fn finite_squares(kept: &[(usize, f64)]) -> Option<Vec<f64>> {
    let largest = kept.iter().map(|(_, value)| value.abs()).fold(0.0, f64::max);
    (kept.len() >= LEAST_VALUES && largest > 0.0)
        .then(|| kept.iter().map(|(_, value)| value / largest).collect())
}

/// The values with unit variance, without season and without lone spikes; `None` where nothing varies.
fn prepare(raw: &[f64]) -> Option<Vec<f64>> {
    let plain = without_spikes(&without_season(raw));
    let mean = plain.iter().sum::<f64>() / plain.len() as f64;
    let variance = plain.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / plain.len() as f64;
    let deviation = variance.sqrt();
    (deviation > 1e-12).then(|| plain.iter().map(|value| (value - mean) / deviation).collect())
}

/// Pulls values that stand alone towards their four neighbours (Hampel's filter).
fn without_spikes(values: &[f64]) -> Vec<f64> {
    let local: Vec<f64> = (0..values.len())
        .map(|index| {
            let window = &values[index.saturating_sub(2)..(index + 3).min(values.len())];
            median(window)
        })
        .collect();
    let away: Vec<f64> = values.iter().zip(&local).map(|(value, local)| (value - local).abs()).collect();
    let usual = 1.4826 * median(&away);
    if usual <= 0.0 {
        return values.to_vec();
    }
    values
        .iter()
        .zip(&local)
        .map(|(value, local)| value.clamp(local - 5.0 * usual, local + 5.0 * usual))
        .collect()
}

/// The probability that a change lies right before each value, averaged over autocorrelations.
fn posterior(values: &[f64]) -> Vec<f64> {
    let runs: Vec<(f64, Vec<f64>)> = AUTOCORRELATIONS
        .iter()
        .map(|coefficient| {
            let evidence = {
                let (noise, weights) = innovations(values, *coefficient);
                Evidence::new(values, *coefficient, noise, &weights)
            };
            segment(values.len(), &evidence)
        })
        .collect();
    let best = runs.iter().map(|(evidence, _)| *evidence).fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = runs.iter().map(|(evidence, _)| (evidence - best).exp()).collect();
    let total: f64 = weights.iter().sum();
    (0..values.len())
        .map(|index| {
            runs.iter().zip(&weights).map(|((_, mass), weight)| mass[index] * weight / total).sum::<f64>()
        })
        .map(|probability| probability.clamp(0.0, 1.0))
        .collect()
}

/// Variance of what is new in each value, and the weight of each: what lies far from its neighbourhood
/// counts little, so that a single jump of a wandering series is not yet a change (Huber's proposal 2).
fn innovations(values: &[f64], coefficient: f64) -> (f64, Vec<f64>) {
    let new: Vec<f64> =
        std::iter::once(0.0).chain(values.windows(2).map(|pair| pair[1] - coefficient * pair[0])).collect();
    let away: Vec<f64> = (1..new.len())
        .map(|index| {
            new[index] - median(&new[index.saturating_sub(NEAR).max(1)..(index + NEAR + 1).min(new.len())])
        })
        .collect();
    let mut variance = away.iter().map(|away| away * away).sum::<f64>() / away.len() as f64;
    let weight = |away: f64, variance: f64| (CUT * CUT * variance / (away * away)).min(1.0);
    for _ in 0..30 {
        let weights: f64 = away.iter().map(|away| weight(*away, variance)).sum();
        let squares: f64 = away.iter().map(|away| weight(*away, variance) * away * away).sum();
        variance = (squares / weights).max(LEAST_NOISE);
    }
    let weights = std::iter::once(1.0).chain(away.iter().map(|away| weight(*away, variance))).collect();
    (variance, weights)
}

/// Log evidence of the whole, and the probability of a change before each value.
fn segment(count: usize, evidence: &Evidence) -> (f64, Vec<f64>) {
    let hazard = (EXPECTED_CHANGES / count as f64).min(0.5);
    let (change, stay) = (hazard.ln(), (1.0 - hazard).ln());
    let cost = |from: usize, to: usize| TEMPER * evidence.of(from, to) + stay * (to - from - 1) as f64;
    // forward[t]: everything before t, with a boundary at t. backward[t]: everything from t on.
    let mut forward = vec![f64::NEG_INFINITY; count + 1];
    forward[0] = 0.0;
    let mut table = vec![f64::NEG_INFINITY; count * (count + 1)];
    for to in 1..=count {
        let mut sum = f64::NEG_INFINITY;
        for from in 0..to {
            if to - from < SHORTEST || forward[from] == f64::NEG_INFINITY {
                continue;
            }
            let cost = cost(from, to);
            table[from * (count + 1) + to] = cost;
            let boundary = if from == 0 { 0.0 } else { change };
            sum = add_logs(sum, forward[from] + boundary + cost);
        }
        forward[to] = sum;
    }
    let mut backward = vec![f64::NEG_INFINITY; count + 1];
    backward[count] = 0.0;
    for from in (0..count).rev() {
        let mut sum = f64::NEG_INFINITY;
        for to in from + SHORTEST..=count {
            if backward[to] == f64::NEG_INFINITY {
                continue;
            }
            let boundary = if to == count { 0.0 } else { change };
            sum = add_logs(sum, table[from * (count + 1) + to] + boundary + backward[to]);
        }
        backward[from] = sum;
    }
    let whole = forward[count];
    let mass = (0..count)
        .map(|at| if at == 0 { 0.0 } else { (forward[at] + change + backward[at] - whole).exp() })
        .collect();
    (whole, mass)
}

/// Places where more than half of the posterior mass lies within [`MARGIN`] values.
fn peaks(posterior: &[f64]) -> Vec<(usize, f64)> {
    let mut left = posterior.to_vec();
    let mut found = Vec::new();
    loop {
        let best = (0..left.len())
            .map(|at| {
                let window = at.saturating_sub(MARGIN)..(at + MARGIN + 1).min(left.len());
                (at, left[window].iter().sum::<f64>())
            })
            .fold((0, 0.0), |best, next| {
                let better = next.1 > best.1 + 1e-9 || next.1 > best.1 - 1e-9 && left[next.0] > left[best.0];
                if better { next } else { best }
            });
        if best.1 < 0.5 {
            break;
        }
        let window = best.0.saturating_sub(MARGIN)..(best.0 + MARGIN + 1).min(left.len());
        let at = window
            .clone()
            .fold(best.0, |highest, index| if left[index] > left[highest] { index } else { highest });
        found.push((at, best.1.min(1.0)));
        left[window].fill(0.0);
    }
    found.sort_by_key(|peak| peak.0);
    found
}

/// The best place of a change in the full series, near where the averaged one has it.
fn place(series: &[f64], near: usize, together: usize) -> usize {
    if together == 1 {
        return near;
    }
    let reach = 20 * together;
    let window = near.saturating_sub(reach)..(near + reach).min(series.len());
    let values = &series[window.clone()];
    let total: f64 = values.iter().sum();
    let mut before = 0.0;
    let mut best = (near, 0.0);
    for (offset, value) in values.iter().enumerate() {
        if offset > 0 && (window.start + offset).abs_diff(near) <= 2 * together {
            let (left, right) = (offset as f64, (values.len() - offset) as f64);
            let step = before / left - (total - before) / right;
            let gain = step * step * left * right;
            if gain > best.1 {
                best = (window.start + offset, gain);
            }
        }
        before += value;
    }
    best.0
}

fn describe(kept: &[(usize, f64)], changes: &[(usize, f64)]) -> Vec<Shift> {
    /// The middle one of counts below it is one of a few numbers, whatever their mean.
    const SMALL: f64 = 10.0;
    let values: Vec<f64> = kept.iter().map(|(_, value)| *value).collect();
    let counted = values.iter().all(|value| *value >= 0.0 && value.fract() == 0.0);
    // Most of what is hardly ever counted is 0 before and after.
    let small = counted && median(&values) < SMALL;
    let level = |from: usize, to: usize| match &values[from..to] {
        values if small => values.iter().sum::<f64>() / values.len() as f64,
        values => median(values),
    };
    let mut shifts = Vec::new();
    for (order, (at, probability)) in changes.iter().enumerate() {
        let from = if order == 0 { 0 } else { changes[order - 1].0 };
        let to = changes.get(order + 1).map_or(kept.len(), |next| next.0);
        if from < *at && *at < to {
            let (before, after) = (level(from, *at), level(*at, to));
            shifts.push(Shift { index: kept[*at].0, before, after, probability: *probability });
        }
    }
    shifts
}

/// The middle value; 0 for none.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        count if count % 2 == 1 => sorted[count / 2],
        count => f64::midpoint(sorted[count / 2 - 1], sorted[count / 2]),
    }
}
