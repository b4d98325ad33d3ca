//! When one change happened, as a probability for each minute.
//!
//! The model has one change to another level and, perhaps, one back: the usual level holds before the
//! onset and again after the recovery. Every likelihood is closed (beta-binomial for failures out of
//! requests, Student's t by a normal-inverse-gamma prior for values), so the posterior is a sum over
//! all pairs of minutes and needs no sampling (Smith 1975, "A Bayesian approach to inference about a
//! change-point").
//!
//! The rule that is not obvious: real counts vary more than a binomial does and real values depend on
//! the one before, so the evidence is weakened by the measured overdispersion or autocorrelation.

use jiff::Timestamp;

use super::levels::median;
use super::segment::add_logs;
use crate::domain::report::Onset;

/// Prior probability that nothing changed.
const PRIOR_NONE: f64 = 0.5;
/// Moments of recovery that are tried besides 'not yet'.
const MOST_RECOVERIES: usize = 64;

/// Which way the change must go to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Up,
    Down,
    Either,
}

/// Failures among requests in one period, usually a minute.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trials {
    pub at: Timestamp,
    /// 0 to `total`.
    pub failed: f64,
    pub total: f64,
}

/// How probable each moment is as the onset.
#[derive(Debug, Clone, PartialEq)]
pub struct OnsetDistribution {
    /// The start of a period, in order of time, and the probability that the new level began with it.
    /// Together with `none` they sum to 1.
    pub moments: Vec<(Timestamp, f64)>,
    /// The probability that nothing changed.
    pub none: f64,
}

impl OnsetDistribution {
    /// The most probable moment with the central interval that holds `mass` (0 to 1) of the probability
    /// of a change. `None` where there is no moment.
    pub fn interval(&self, mass: f64) -> Option<Onset> {
        let total: f64 = self.moments.iter().map(|moment| moment.1).sum();
        if total <= 0.0 {
            return None;
        }
        let best =
            self.moments.iter().copied().reduce(|best, next| if next.1 > best.1 { next } else { best })?;
        let tail = (1.0 - mass.clamp(0.0, 1.0)) / 2.0 * total;
        let quantile = |goal: f64| {
            let mut sum = 0.0;
            self.moments.iter().find(|moment| {
                sum += moment.1;
                sum >= goal
            })
        };
        let earliest = quantile(tail.max(total * 1e-9)).map_or(best.0, |moment| moment.0);
        let latest = quantile(total - tail - total * 1e-9).map_or(best.0, |moment| moment.0);
        Some(Onset { at: best.0, earliest: earliest.min(best.0), latest: latest.max(best.0) })
    }

    /// The probability that the onset lies at or after `from` and before `to`.
    pub fn between(&self, from: Timestamp, to: Timestamp) -> f64 {
        self.moments.iter().filter(|moment| from <= moment.0 && moment.0 < to).map(|moment| moment.1).sum()
    }

    /// What two independent series say together about one onset that both share. Moments are those of
    /// the first; the second speaks for each by its own next moment, or its last.
    #[must_use]
    pub fn combined(&self, other: &Self) -> Self {
        if self.moments.is_empty() {
            return other.clone();
        }
        if other.moments.is_empty() {
            return self.clone();
        }
        // Posterior over prior is the likelihood, up to a factor.
        let likelihood = |one: &Self, probability: f64| {
            (probability * one.moments.len() as f64 / (1.0 - PRIOR_NONE)).max(f64::MIN_POSITIVE).ln()
        };
        let mut logs: Vec<f64> = self
            .moments
            .iter()
            .map(|moment| {
                let next = other.moments.partition_point(|theirs| theirs.0 < moment.0);
                let theirs = other.moments.get(next).or(other.moments.last()).map_or(0.0, |moment| moment.1);
                likelihood(self, moment.1) + likelihood(other, theirs)
            })
            .map(|sum| sum + ((1.0 - PRIOR_NONE) / self.moments.len() as f64).ln())
            .collect();
        let none = |one: &Self| (one.none / PRIOR_NONE).max(f64::MIN_POSITIVE).ln();
        logs.push(none(self) + none(other) + PRIOR_NONE.ln());
        normalise(self.moments.iter().map(|moment| moment.0), &logs)
    }
}

/// The onset of a change in the share of failures. Periods without requests say nothing and are left
/// out, as is whatever is not finite, negative, or has more failures than requests.
/// `None` with fewer than four usable periods.
pub fn onset_of_rate(trials: &[Trials], direction: Direction) -> Option<OnsetDistribution> {
    let mut usable: Vec<Trials> = trials
        .iter()
        .copied()
        .filter(|trial| {
            trial.total.is_finite() && trial.total > 0.0 && (0.0..=trial.total).contains(&trial.failed)
        })
        .collect();
    usable.sort_by_key(|trial| trial.at);
    usable.dedup_by_key(|trial| trial.at);
    if usable.len() < 4 {
        return None;
    }
    let failed = cumulative(usable.iter().map(|trial| trial.failed));
    let total = cumulative(usable.iter().map(|trial| trial.total));
    let run = |weaken: f64| {
        search(
            usable.len(),
            |from, to| {
                let (hits, tries) = (failed[to] - failed[from], total[to] - total[from]);
                let (all_hits, all_tries) = (failed[usable.len()], total[usable.len()]);
                let inside = beta_binomial(hits / weaken, tries / weaken);
                let outside = beta_binomial((all_hits - hits) / weaken, (all_tries - tries) / weaken);
                let higher = {
                    let (a, b) = (hits / weaken + 0.5, (tries - hits).max(0.0) / weaken + 0.5);
                    let (c, d) = (
                        (all_hits - hits) / weaken + 0.5,
                        (all_tries - tries - all_hits + hits).max(0.0) / weaken + 0.5,
                    );
                    let variance = |a: f64, b: f64| a * b / ((a + b).powi(2) * (a + b + 1.0));
                    (a / (a + b) - c / (c + d)) / (variance(a, b) + variance(c, d)).sqrt()
                };
                inside + outside + direction_log(direction, higher)
            },
            beta_binomial(failed[usable.len()] / weaken, total[usable.len()] / weaken),
        )
    };
    let first = run(1.0);
    let (from, to) = first.best;
    let level = |index: usize| {
        let inside = (from..to).contains(&index);
        let (hits, tries) = (failed[to] - failed[from], total[to] - total[from]);
        let (hits, tries) =
            if inside { (hits, tries) } else { (failed[usable.len()] - hits, total[usable.len()] - tries) };
        (hits + 0.5) / (tries + 1.0)
    };
    let pearson: Vec<f64> = usable
        .iter()
        .enumerate()
        .map(|(index, trial)| {
            let share = level(index);
            (trial.failed - trial.total * share).powi(2) / (trial.total * share * (1.0 - share)).max(1e-9)
        })
        .collect();
    let mean =
        pearson.iter().map(|square| square.min(25.0)).sum::<f64>() / (usable.len() as f64 - 2.0).max(1.0);
    let weaken = mean.max(1.0);
    let last = if weaken > 1.0 { run(weaken) } else { first };
    Some(normalise(usable.iter().skip(1).map(|trial| trial.at), &last.logs))
}

/// The onset of a change in a value such as a latency. Values that are all positive are compared by
/// their logarithms. `None` with fewer than four finite values.
pub fn onset_of_values(points: &[(Timestamp, f64)], direction: Direction) -> Option<OnsetDistribution> {
    let mut usable: Vec<(Timestamp, f64)> =
        points.iter().copied().filter(|point| point.1.is_finite()).collect();
    usable.sort_by_key(|point| point.0);
    usable.dedup_by_key(|point| point.0);
    let count = usable.len();
    if count < 4 {
        return None;
    }
    let positive = usable.iter().all(|point| point.1 > 0.0);
    let raw: Vec<f64> = usable.iter().map(|point| if positive { point.1.ln() } else { point.1 }).collect();
    let values = unit_scale(&raw)?;
    let sums = cumulative(values.iter().copied());
    let squares = cumulative(values.iter().map(|value| value * value));
    let steps: Vec<f64> = values.windows(2).map(|pair| (pair[1] - pair[0]).abs()).collect();
    let noise = (1.4826 * median(&steps) / std::f64::consts::SQRT_2).max(0.02).powi(2);
    let evidence = |points: f64, sum: f64, square: f64| student(points, sum, square, noise);
    let run = |weaken: f64| {
        let all = evidence(count as f64 / weaken, sums[count] / weaken, squares[count] / weaken);
        search(
            count,
            |from, to| {
                let (sum, square, points) =
                    (sums[to] - sums[from], squares[to] - squares[from], (to - from) as f64);
                let rest = (count - (to - from)) as f64;
                let (left_sum, left_square) = (sums[count] - sum, squares[count] - square);
                let inside = evidence(points / weaken, sum / weaken, square / weaken);
                let outside = evidence(rest / weaken, left_sum / weaken, left_square / weaken);
                let spread = |points: f64, sum: f64, square: f64| {
                    ((square - sum * sum / points).max(0.0) + noise) / points * weaken / points
                };
                let error = (spread(points, sum, square) + spread(rest, left_sum, left_square)).sqrt();
                let higher = (sum / points - left_sum / rest) / error;
                inside + outside + direction_log(direction, higher)
            },
            all,
        )
    };
    let first = run(1.0);
    let (from, to) = first.best;
    let mean = |inside: bool| {
        let (sum, points) = (sums[to] - sums[from], (to - from) as f64);
        if inside { sum / points } else { (sums[count] - sum) / (count as f64 - points).max(1.0) }
    };
    let left: Vec<f64> =
        values.iter().enumerate().map(|(index, value)| value - mean((from..to).contains(&index))).collect();
    let power: f64 = left.iter().map(|value| value * value).sum();
    let product: f64 = left.windows(2).map(|pair| pair[0] * pair[1]).sum();
    let correlation = if power > 0.0 { (product / power).clamp(0.0, 0.9) } else { 0.0 };
    let weaken = (1.0 + correlation) / (1.0 - correlation);
    let last = if weaken > 1.05 { run(weaken) } else { first };
    Some(normalise(usable.iter().skip(1).map(|point| point.0), &last.logs))
}

struct Search {
    /// For each onset 1.. the log weight, then that of no change.
    logs: Vec<f64>,
    /// First and end index of the likeliest changed stretch.
    best: (usize, usize),
}

/// Sums over onsets and recoveries; `weigh(from, to)` is the log likelihood of a changed stretch.
fn search(count: usize, weigh: impl Fn(usize, usize) -> f64, unchanged: f64) -> Search {
    let stride = count.div_ceil(MOST_RECOVERIES);
    let mut best = (f64::NEG_INFINITY, (1, count));
    let mut logs: Vec<f64> = (1..count)
        .map(|from| {
            // Half of the prior says 'not over yet'; the rest is shared by the moments of recovery.
            let recoveries: Vec<usize> = (from + 2..count).filter(|to| to % stride == 0).collect();
            let share = if recoveries.is_empty() { 0.0 } else { 0.5f64.ln() };
            let each = 0.5f64.ln() - (recoveries.len().max(1) as f64).ln();
            let candidates =
                std::iter::once((count, share)).chain(recoveries.into_iter().map(|to| (to, each)));
            candidates.fold(f64::NEG_INFINITY, |sum, (to, prior)| {
                let weight = weigh(from, to) + prior;
                if weight > best.0 {
                    best = (weight, (from, to));
                }
                add_logs(sum, weight)
            })
        })
        .map(|weight| weight + ((1.0 - PRIOR_NONE) / (count - 1) as f64).ln())
        .collect();
    logs.push(unchanged + PRIOR_NONE.ln());
    Search { logs, best: best.1 }
}

/// Probabilities from log weights; the last weight is that of no change.
fn normalise(times: impl Iterator<Item = Timestamp>, logs: &[f64]) -> OnsetDistribution {
    let highest = logs.iter().copied().filter(|log| log.is_finite()).fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> =
        logs.iter().map(|log| if log.is_finite() { (log - highest).exp() } else { 0.0 }).collect();
    let total: f64 = weights.iter().sum();
    if total <= 0.0 {
        return OnsetDistribution { moments: Vec::new(), none: 1.0 };
    }
    let none = weights.last().map_or(1.0, |weight| weight / total);
    let moments = times.zip(weights.iter().map(|weight| weight / total)).collect();
    OnsetDistribution { moments, none }
}

fn cumulative(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut sum = 0.0;
    std::iter::once(0.0)
        .chain(values.map(|value| {
            sum += value;
            sum
        }))
        .collect()
}

/// Log marginal likelihood of `hits` in `tries` with a share that was Beta(1/2, 1/2) before.
fn beta_binomial(hits: f64, tries: f64) -> f64 {
    let (hits, misses) = (hits.max(0.0), (tries - hits).max(0.0));
    libm::lgamma(hits + 0.5) + libm::lgamma(misses + 0.5)
        - libm::lgamma(hits + misses + 1.0)
        - std::f64::consts::PI.ln()
}

/// Log marginal likelihood of values with unknown mean and variance, given their number, sum and sum of
/// squares; `noise` is the prior guess of the variance, the values are of unit scale.
fn student(points: f64, sum: f64, square: f64, noise: f64) -> f64 {
    const STRENGTH: f64 = 0.05;
    const SHAPE: f64 = 1.5;
    if points <= 0.0 {
        return 0.0;
    }
    let mean = sum / points;
    let within = (square - sum * mean).max(0.0);
    let scale = SHAPE * noise + 0.5 * within + 0.5 * STRENGTH * points / (STRENGTH + points) * mean * mean;
    let shape = SHAPE + points / 2.0;
    libm::lgamma(shape) - libm::lgamma(SHAPE) + SHAPE * (SHAPE * noise).ln() - shape * scale.ln()
        + 0.5 * (STRENGTH / (STRENGTH + points)).ln()
        - points / 2.0 * std::f64::consts::TAU.ln()
}

/// The values around their median in units of their mean distance from it; `None` where nothing varies.
fn unit_scale(values: &[f64]) -> Option<Vec<f64>> {
    let largest = values.iter().map(|value| value.abs()).fold(f64::MIN_POSITIVE, f64::max);
    let centre = median(values);
    let centred: Vec<f64> = values.iter().map(|value| value / largest - centre / largest).collect();
    let scale = centred.iter().map(|value| value.abs()).sum::<f64>() / centred.len() as f64;
    (scale > 1e-12).then(|| centred.iter().map(|value| (value / scale).clamp(-50.0, 50.0)).collect())
}

/// Log of twice the probability that the change goes the wanted way, from its size in standard errors.
fn direction_log(direction: Direction, z: f64) -> f64 {
    let z = match direction {
        Direction::Either => return 0.0,
        Direction::Up => z,
        Direction::Down => -z,
    };
    if z.is_nan() {
        return 0.0;
    }
    // Far out the share is too small for a number, its logarithm is not.
    if z < -8.0 {
        std::f64::consts::LN_2 - z * z / 2.0 - (-z * std::f64::consts::TAU.sqrt()).ln()
    } else {
        (2.0 * normal_share(z)).ln()
    }
}

/// The share of a standard normal distribution below `z`.
pub(super) fn normal_share(z: f64) -> f64 {
    if z.is_nan() { 0.5 } else { 0.5 * libm::erfc(-z / std::f64::consts::SQRT_2) }
}
