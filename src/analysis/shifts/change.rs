//! Whether a series changed at a given moment beyond its own habit.
//!
//! The series is its own control: the same comparisons (after against before, with the habit of
//! earlier days and weeks taken out) are made at many earlier moments of its history. What the series
//! does there by itself, by noise, drift, bursts or timed jobs, is the yardstick of what it does now
//! (a placebo test in time; FUNNEL, Zhang et al. 2015, uses the same hours of earlier days likewise).
//!
//! The rule that is not obvious: of several habits (none, daily, weekly, in part) and stretches before,
//! each comparison takes the one that was quietest in the history, above all at the same time of day, so
//! that a habit that does not repeat is not taken out.

use jiff::Timestamp;

use super::grid::Grid;
use super::habit::{Sums, residuals, stabilise};
use super::levels::median;

/// Whether a series changed at a moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Changed {
    /// Whether the probability is above one half.
    pub changed: bool,
    /// 0 to 1, with even odds beforehand.
    pub probability: f64,
    /// Mean just before the moment, in the series' own unit.
    pub before: f64,
    /// Mean of the stretch after the moment that speaks clearest.
    pub after: f64,
}

/// Lengths of the stretches compared, in minutes.
const LENGTHS: [f64; 7] = [5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0];
/// The stretch before is this many times as long as the one after.
const BEFORE: [usize; 2] = [1, 3];
/// Stretches after the moment at most, per length: a change may come late, climb, or pass.
const MOST_LAGS: usize = 6;
/// Moments in the history at most.
const MOST_MOMENTS: usize = 500;
/// Fewer comparisons in the history than this say nothing about what is usual.
const LEAST_MOMENTS: usize = 8;
/// How many lengths of a comparison the history's moments must span.
const LEAST_SPAN: usize = 2;
/// Hours after the moment that are looked at; what comes later has other causes.
const LATEST: f64 = 12.0;
/// How much the same time of earlier days decides on which habit is quietest.
const SAME_HOUR: f64 = 0.6;
/// The surprise that this share of the history's moments stays below is usual.
const USUAL_SHARE: f64 = 0.98;
/// What is usual in a series of independent normal noise.
const USUAL: f64 = 4.0;
/// How fast the odds grow with the surprise: their exponent.
const STEEPNESS: f64 = 3.0;

/// What is compared, with the surprise that makes even odds where the history is like normal noise, and
/// how much a restless history raises that.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Figure {
    Level,
    Wildness,
}

impl Figure {
    fn threshold(self, usual: f64) -> f64 {
        let restless = (usual / USUAL).max(0.8);
        match self {
            Figure::Level => 3.6 * restless.sqrt(),
            Figure::Wildness => 6.0 * restless,
        }
    }

    fn series(self, residual: &[f64], known: usize) -> Sums {
        let (centre, spread) = centre_and_spread(&residual[..known]);
        let reach = 10.0 * spread;
        let values: Vec<f64> = match self {
            // A lone spike is not a level. NaN stays NaN.
            Figure::Level => {
                residual.iter().map(|value| value.clamp(centre - reach, centre + reach)).collect()
            }
            Figure::Wildness => {
                let mut last = f64::NAN;
                let step = |value: &f64| {
                    let step = (value - last).abs().clamp(0.0, reach);
                    last = if value.is_finite() { *value } else { last };
                    step
                };
                residual.iter().map(step).collect()
            }
        };
        Sums::of(&values)
    }
}

/// One comparison: cells `lag..lag + length` after a moment against those before it.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Comparison {
    length: usize,
    lag: usize,
}

/// Compares the series before and after `at` with what it did at every earlier time.
///
/// `None` where there is no finite value on one of the two sides. With too little history to tell
/// what is usual the probability is one half.
pub fn changed_at(points: &[(Timestamp, f64)], at: Timestamp) -> Option<Changed> {
    let grid = Grid::around(points, at)?;
    let mut steady = grid.clone();
    stabilise(&mut steady.values, grid.zero);
    let residuals = residuals(&steady);
    let comparisons = comparisons(&steady);
    let rarity = Rarity::of(&steady);
    let mut strongest: Option<(f64, Comparison)> = None;
    for figure in [Figure::Level, Figure::Wildness] {
        let series: Vec<Sums> =
            residuals.iter().map(|residual| figure.series(residual, steady.zero)).collect();
        let mut history = History::of(&steady);
        let mut best: Option<(f64, Comparison)> = None;
        for comparison in &comparisons {
            if let Some(surprise) = history.surprise(&steady, &series, *comparison, &rarity)
                && best.is_none_or(|best| surprise > best.0)
            {
                best = Some((surprise, *comparison));
            }
        }
        if let Some((surprise, comparison)) = best {
            let ratio = surprise / figure.threshold(history.usual());
            if strongest.is_none_or(|strongest| ratio > strongest.0) {
                strongest = Some((ratio, comparison));
            }
        }
    }
    let (ratio, comparison) = strongest.unwrap_or((1.0, Comparison { length: 1, lag: 0 }));
    let probability = logistic(STEEPNESS * ratio.max(1e-6).ln());
    let sums = Sums::of(&grid.values);
    let start = grid.zero + comparison.lag;
    let after = sums.mean(start, start + comparison.length, 0.0);
    let before = sums.mean(grid.zero.saturating_sub(comparison.length), grid.zero, 0.0);
    let all = |from, to| sums.mean(from, to, 0.0).unwrap_or(0.0);
    Some(Changed {
        changed: probability > 0.5,
        probability,
        before: before.unwrap_or_else(|| all(0, grid.zero)) * grid.scale,
        after: after.unwrap_or_else(|| all(grid.zero, grid.values.len())) * grid.scale,
    })
}

/// Every stretch that fits into what there is after the moment.
fn comparisons(grid: &Grid) -> Vec<Comparison> {
    let after = (grid.values.len() - grid.zero).min(grid.minutes(LATEST * 60.0).max(60));
    let mut lengths: Vec<usize> = LENGTHS
        .iter()
        .map(|minutes| grid.minutes(*minutes).max(3).min(after))
        .filter(|length| *length <= grid.zero)
        .collect();
    lengths.dedup();
    lengths
        .into_iter()
        .flat_map(|length| {
            let last = after - length;
            let stride = (last / MOST_LAGS).max(length);
            (0..=last).step_by(stride).map(move |lag| Comparison { length, lag })
        })
        .collect()
}

/// The history's own comparisons.
struct History {
    /// Cells between two moments.
    stride: usize,
    moments: Vec<usize>,
    /// The largest surprise at each moment so far.
    worst: Vec<f64>,
}

impl History {
    fn of(grid: &Grid) -> Self {
        let stride = (grid.zero / MOST_MOMENTS).max(1);
        let moments: Vec<usize> = (3..grid.zero.saturating_sub(2)).step_by(stride).collect();
        Self { stride, worst: vec![0.0; moments.len()], moments }
    }

    /// How many times its usual size a comparison has at the moment in question, under the quietest habit.
    fn surprise(
        &mut self,
        grid: &Grid,
        series: &[Sums],
        comparison: Comparison,
        rarity: &Rarity,
    ) -> Option<f64> {
        let mut quietest: Option<Placebo> = None;
        for sums in series {
            for ratio in BEFORE {
                if let Some(placebo) = self.placebo(grid, sums, comparison, ratio)
                    && quietest.as_ref().is_none_or(|quietest| placebo.noise < quietest.noise)
                {
                    quietest = Some(placebo);
                }
            }
        }
        let Placebo { spread, now, earlier, .. } = quietest?;
        let spread = spread.hypot(rarity.floor(comparison.length));
        for (index, value) in earlier {
            if let Some(worst) = self.worst.get_mut(index) {
                *worst = worst.max(value.abs() / spread);
            }
        }
        Some(now.abs() / spread)
    }

    /// One comparison now and at the history's moments.
    fn placebo(&self, grid: &Grid, sums: &Sums, comparison: Comparison, ratio: usize) -> Option<Placebo> {
        let now = difference(sums, grid.zero, comparison, ratio)?;
        // A moment counts where its stretch ends before the change.
        let earlier: Vec<(usize, f64)> = self
            .moments
            .iter()
            .enumerate()
            .filter(|(_, moment)| **moment + comparison.lag + comparison.length <= grid.zero)
            .filter_map(|(index, moment)| Some((index, difference(sums, *moment, comparison, ratio)?)))
            .collect();
        // Moments close together are one observation: they must span more than one comparison does.
        let span = earlier.last()?.0.abs_diff(earlier.first()?.0) * self.stride;
        if earlier.len() < LEAST_MOMENTS || span < LEAST_SPAN * comparison.length + comparison.lag {
            return None;
        }
        let mut away: Vec<f64> = earlier.iter().map(|value| value.1.abs()).collect();
        away.sort_by(f64::total_cmp);
        // 2.326 is the 98 % quantile of a normal distribution's one side; both sides make it cautious.
        let wide = away.get(away.len() * 98 / 100).copied().unwrap_or(0.0) / 2.326;
        let typical = (away.iter().map(|value| value * value).sum::<f64>() / away.len() as f64).sqrt();
        let same: Vec<f64> = (1..15)
            .filter_map(|days| grid.zero.checked_sub(grid.days(f64::from(days))))
            .filter_map(|moment| difference(sums, moment, comparison, ratio))
            .map(f64::abs)
            .collect();
        // 1.25 mean absolute deviations are a normal distribution's standard deviation.
        let same =
            if same.is_empty() { typical } else { 1.25 * same.iter().sum::<f64>() / same.len() as f64 };
        let noise = (1.0 - SAME_HOUR) * typical + SAME_HOUR * same;
        Some(Placebo { spread: wide.max(0.5 * same), now, earlier, noise })
    }

    /// The surprise that [`USUAL_SHARE`] of the history's moments stay below.
    fn usual(&self) -> f64 {
        let mut worst: Vec<f64> = self.worst.iter().copied().filter(|worst| *worst > 0.0).collect();
        worst.sort_by(f64::total_cmp);
        worst.get((worst.len() as f64 * USUAL_SHARE) as usize).copied().unwrap_or(USUAL)
    }
}

/// One comparison at the moment in question and at earlier ones.
struct Placebo {
    /// The usual size of the difference.
    spread: f64,
    now: f64,
    /// Index of the history's moment, and the difference there.
    earlier: Vec<(usize, f64)>,
    /// How restless the history is under this habit.
    noise: f64,
}

/// What makes single events count as such: a series that nearly always has one value, and at times
/// another, varies at least like the Poisson number of these times.
struct Rarity {
    /// The usual size of such an event.
    unit: f64,
    /// Its share of the history's cells.
    rate: f64,
    /// Smaller differences are rounding.
    least: f64,
}

impl Rarity {
    fn of(grid: &Grid) -> Self {
        let known = |values: &[f64]| -> Vec<f64> {
            values.iter().copied().filter(|value| value.is_finite()).collect()
        };
        let history = known(&grid.values[..grid.zero]);
        let usual = median(&history);
        let level = history.iter().map(|value| value.abs()).sum::<f64>() / history.len().max(1) as f64;
        let least = (0.002 * level).max(1e-12);
        let events: Vec<f64> = known(&grid.values)
            .into_iter()
            .map(|value| (value - usual).abs())
            .filter(|away| *away > least)
            .collect();
        let rare = history.iter().filter(|value| (**value - usual).abs() > least).count() as f64;
        Self { unit: median(&events), rate: rare / history.len().max(1) as f64, least }
    }

    fn floor(&self, length: usize) -> f64 {
        let length = length as f64;
        let events =
            if self.rate < 0.5 { self.unit * (self.rate * length + 1.0).sqrt() / length } else { 0.0 };
        events.max(self.least)
    }
}

fn difference(sums: &Sums, moment: usize, comparison: Comparison, ratio: usize) -> Option<f64> {
    let start = moment + comparison.lag;
    let before = moment.checked_sub(comparison.length * ratio)?;
    let after = sums.mean(start, start + comparison.length, 0.5)?;
    Some(after - sums.mean(before, moment, 0.5)?)
}

/// The median, and the largest of three robust guesses of the standard deviation: a series that is
/// quiet most of the time is not quiet.
fn centre_and_spread(values: &[f64]) -> (f64, f64) {
    let known: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    let centre = median(&known);
    let mut away: Vec<f64> = known.iter().map(|value| (value - centre).abs()).collect();
    away.sort_by(f64::total_cmp);
    let quantile = |share: f64| away.get((away.len() as f64 * share) as usize).copied().unwrap_or(0.0);
    let spread = (quantile(0.5) * 1.4826).max(quantile(0.9) / 1.645).max(quantile(0.99) / 2.576);
    // Without any spread every value counts as it is: all lie within -1 to 1.
    (centre, if spread > 0.0 { spread } else { 1e6 })
}

fn logistic(value: f64) -> f64 {
    1.0 / (1.0 + (-value).exp())
}
