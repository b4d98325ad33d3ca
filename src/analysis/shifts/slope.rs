//! Whether a series climbs or falls steadily, and when it reaches a limit: leaks and slow exhaustion.
//!
//! The slope is the median of the slopes between all pairs of points (Theil 1950, Sen 1968), which a
//! quarter of wild values does not move; its certainty is Kendall's test (Mann 1945), weakened where
//! neighbours resemble each other (Hamed and Rao 1998, first lag).

use jiff::Timestamp;

use super::levels::median;

/// More points are averaged to this many: the number of pairs grows with the square.
const MOST_POINTS: usize = 400;

/// A straight line through a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slope {
    /// Change of the value in an hour.
    pub per_hour: f64,
    /// The line's value at the last point.
    pub last: f64,
    pub last_at: Timestamp,
    /// The usual distance of a value from the line.
    pub noise: f64,
    /// 0 to 1: that the series really goes the way of the slope's sign.
    pub probability: f64,
}

impl Slope {
    /// Hours after the last point until the line reaches `limit`: 0 where it is there already, `None`
    /// where it never gets there.
    pub fn hours_to(&self, limit: f64) -> Option<f64> {
        let missing = limit - self.last;
        if missing.abs() < f64::MIN_POSITIVE {
            return Some(0.0);
        }
        let hours = missing / self.per_hour;
        (hours.is_finite() && hours > 0.0).then_some(hours)
    }
}

/// The slope of a series; `None` with fewer than five finite values or no two times.
pub fn slope(points: &[(Timestamp, f64)]) -> Option<Slope> {
    let mut usable: Vec<(Timestamp, f64)> =
        points.iter().copied().filter(|point| point.1.is_finite()).collect();
    usable.sort_by_key(|point| point.0);
    usable.dedup_by_key(|point| point.0);
    let (first, last) = (usable.first()?.0, usable.last()?.0);
    if usable.len() < 5 || first == last {
        return None;
    }
    let together = usable.len().div_ceil(MOST_POINTS);
    let hours = |at: Timestamp| (at.as_millisecond() - last.as_millisecond()) as f64 / 3.6e6;
    let series: Vec<(f64, f64)> = usable
        .chunks(together)
        .map(|chunk| {
            let count = chunk.len() as f64;
            (
                chunk.iter().map(|point| hours(point.0)).sum::<f64>() / count,
                chunk.iter().map(|point| point.1 / count).sum::<f64>(),
            )
        })
        .collect();
    let mut slopes = Vec::with_capacity(series.len() * series.len() / 2);
    let mut concordance = 0.0;
    for (index, one) in series.iter().enumerate() {
        for other in &series[index + 1..] {
            let rise = (other.1 - one.1) / (other.0 - one.0);
            if rise.is_finite() {
                slopes.push(rise);
            }
            concordance += f64::from(u8::from(other.1 > one.1)) - f64::from(u8::from(other.1 < one.1));
        }
    }
    let per_hour = median(&slopes);
    let height = median(&series.iter().map(|(at, value)| value - per_hour * at).collect::<Vec<_>>());
    let left: Vec<f64> = series.iter().map(|(at, value)| value - per_hour * at - height).collect();
    let noise = 1.4826 * median(&left.iter().map(|value| value.abs()).collect::<Vec<_>>());
    let count = series.len() as f64;
    let variance = count * (count - 1.0) * (2.0 * count + 5.0) / 18.0 * inflation(&left);
    let z = (concordance.abs() - 1.0).max(0.0) / variance.sqrt();
    let probability = if per_hour == 0.0 { 0.5 } else { normal_share(z) };
    Some(Slope { per_hour, last: height, last_at: last, noise, probability })
}

/// By how much the dependence of neighbours widens the test's variance.
fn inflation(left: &[f64]) -> f64 {
    let scale = left.iter().map(|value| value.abs()).fold(0.0, f64::max);
    if scale == 0.0 {
        return 1.0;
    }
    let power: f64 = left.iter().map(|value| (value / scale).powi(2)).sum();
    let product: f64 = left.windows(2).map(|pair| pair[0] / scale * (pair[1] / scale)).sum();
    let correlation = (product / power).clamp(0.0, 0.95);
    (1.0 + correlation) / (1.0 - correlation)
}

/// The share of a standard normal distribution below `z`.
fn normal_share(z: f64) -> f64 {
    if z.is_nan() { 0.5 } else { 0.5 * libm::erfc(-z / std::f64::consts::SQRT_2) }
}
