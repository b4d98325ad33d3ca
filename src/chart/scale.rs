//! Axes: from values and times to pixels, round ticks, and figures with their units.
//!
//! Only finite values that are not negative take part: an error rate or a latency below zero is no
//! measurement, and becomes a hole in the line.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Larger values are drawn at this one, so that arithmetic on pixels stays finite.
const LARGEST: f64 = 1e15;

/// A linear map from `[low, high]` to pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Scale {
    /// `low` must be below `high`; both finite.
    pub(super) fn new(low: f64, high: f64, from: f64, to: f64) -> Self {
        Self { low, high, from, to }
    }

    /// The pixel of a value; values outside the domain stay on its edge.
    pub(super) fn pixel(&self, value: f64) -> f64 {
        let share = ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        self.from + share * (self.to - self.from)
    }

    pub(super) fn contains(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }
}

/// What a panel measures, which decides how its figures are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// A share from 0 to 1, written as per cent.
    Share,
    /// Milliseconds, written as ms or s.
    Milliseconds,
}

impl Unit {
    /// The figure with its unit: `4.9 %`, `150 ms`, `2.1 s`.
    pub(super) fn figure(self, value: f64) -> String {
        match self {
            Unit::Share => format!("{}\u{a0}%", short(value * 100.0)),
            Unit::Milliseconds if value >= 1000.0 => format!("{}\u{a0}s", short(value / 1000.0)),
            Unit::Milliseconds => format!("{}\u{a0}ms", short(value)),
        }
    }

    /// The smallest top of an axis: below it a line of zeros would look like a mountain range.
    fn least_top(self) -> f64 {
        match self {
            Unit::Share => 0.01,
            Unit::Milliseconds => 10.0,
        }
    }

    /// Ticks from zero to the first round one that is not below any of the values, at most six.
    pub(super) fn ticks(self, values: impl Iterator<Item = f64>) -> Vec<f64> {
        let top = values.filter_map(drawable).fold(self.least_top(), f64::max);
        let rough = top / 3.0;
        let decade = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 2.5, 5.0, 10.0]
            .into_iter()
            .map(|factor| factor * decade)
            .find(|step| *step >= rough * 0.999)
            .unwrap_or(10.0 * decade);
        let mut ticks = vec![0.0];
        while ticks.last().is_some_and(|last| *last < top * 0.999) && ticks.len() < 6 {
            ticks.push(ticks.len() as f64 * step);
        }
        ticks
    }
}

/// The value to draw; `None` for what is no measurement.
pub(super) fn drawable(value: f64) -> Option<f64> {
    (value.is_finite() && value >= 0.0).then(|| value.min(LARGEST))
}

/// As many digits as people compare by, without needless zeros: `0.05`, `4.9`, `41`, `1200`, `2.5e9`.
fn short(value: f64) -> String {
    let size = value.abs();
    if size >= 1e6 {
        return format!("{value:.1e}");
    }
    let decimals = if size == 0.0 || size >= 9.95 {
        0
    } else if size >= 0.0995 {
        1 + usize::from(size < 0.995)
    } else {
        3
    };
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// Steps of a time axis in seconds: those that people read on a clock.
const STEPS: [i64; 19] = [
    60,
    120,
    300,
    600,
    900,
    1800,
    3600,
    7200,
    10_800,
    21_600,
    43_200,
    86_400,
    172_800,
    604_800,
    1_209_600,
    2_592_000,
    7_776_000,
    31_536_000,
    315_360_000,
];

/// Seconds of the ticks between `low` and `high`, at most `most` of them, and the step.
pub(super) fn time_ticks(low: f64, high: f64, most: usize) -> (Vec<i64>, i64) {
    let fits = |step: i64| (high - low) / step as f64 <= most as f64;
    let step = STEPS.into_iter().find(|step| fits(*step)).unwrap_or(3_153_600_000);
    let first = (low / step as f64).ceil() as i64;
    let ticks = (first..).map(|tick| tick.saturating_mul(step)).take_while(|at| *at as f64 <= high);
    (ticks.take(most + 1).collect(), step)
}

/// `12:15`, or `6 Feb` where ticks are days apart, or the year.
pub(super) fn tick_label(second: i64, step: i64) -> String {
    let format = match step {
        ..86_400 => "%H:%M",
        86_400..31_536_000 => "%-d %b",
        _ => "%Y",
    };
    Timestamp::from_second(second).map_or_else(|_| String::new(), |at| written(at, format))
}

/// `12:15`.
pub(super) fn clock(at: Timestamp) -> String {
    written(at, "%H:%M")
}

/// `6 Feb 2026`.
pub(super) fn day(at: Timestamp) -> String {
    written(at, "%-d %b %Y")
}

fn written(at: Timestamp, format: &str) -> String {
    at.to_zoned(TimeZone::UTC).strftime(format).to_string()
}

/// Seconds since the epoch.
pub(super) fn seconds(at: Timestamp) -> f64 {
    at.as_millisecond() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_units_and_few_digits() {
        assert_eq!(Unit::Share.figure(0.4), "40\u{a0}%");
        assert_eq!(Unit::Share.figure(0.0493), "4.9\u{a0}%");
        assert_eq!(Unit::Share.figure(0.0005), "0.05\u{a0}%");
        assert_eq!(Unit::Milliseconds.figure(150.0), "150\u{a0}ms");
        assert_eq!(Unit::Milliseconds.figure(2100.0), "2.1\u{a0}s");
        assert_eq!(Unit::Milliseconds.figure(1e12), "1.0e9\u{a0}s");
    }

    #[test]
    fn ticks_start_at_zero_and_reach_the_largest_value() {
        assert_eq!(Unit::Milliseconds.ticks([2100.0].into_iter()), [0.0, 1000.0, 2000.0, 3000.0]);
        assert_eq!(Unit::Share.ticks([0.31].into_iter()), [0.0, 0.2, 0.4]);
        assert_eq!(Unit::Share.ticks([f64::NAN, f64::INFINITY, -3.0].into_iter()), [0.0, 0.005, 0.01]);
    }

    #[test]
    fn time_ticks_are_round_and_few() {
        let (ticks, step) = time_ticks(1_770_377_400.0, 1_770_382_800.0, 8);
        assert_eq!(step, 900);
        assert!(ticks.iter().all(|tick| tick % 900 == 0) && ticks.len() <= 8, "{ticks:?}");
        let (far, _) = time_ticks(-3e11, 2.5e11, 8);
        assert!(far.len() <= 9, "{far:?}");
    }
}
