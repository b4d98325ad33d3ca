//! Stored measurements, and what a period of them amounts to.
//!
//! Rule: a measurement is visible only after the metric's delay, so the newest period is incomplete
//! and the one before may be; a period without measurements has no value, which is not zero.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;

use super::world::WorldOptions;

const MINUTE_MS: i64 = 60_000;
/// How long CloudWatch keeps values finer than a minute, minutes, and five minutes.
const KEEPS_SECONDS: Duration = Duration::from_hours(3);
const KEEPS_MINUTES: Duration = Duration::from_hours(15 * 24);
const KEEPS_FIVE_MINUTES: Duration = Duration::from_hours(63 * 24);

/// Namespace, name, and dimensions sorted by name: what one metric is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MetricKey {
    pub namespace: String,
    pub metric: String,
    pub dimensions: Vec<(String, String)>,
}

impl MetricKey {
    pub fn new(namespace: &str, metric: &str, dimensions: &[(&str, &str)]) -> Self {
        let mut dimensions: Vec<_> =
            dimensions.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        dimensions.sort();
        Self { namespace: namespace.to_owned(), metric: metric.to_owned(), dimensions }
    }
}

/// Measurements that came together: one value `count` times, or a statistic set.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    pub at_ms: i64,
    pub count: f64,
    pub sum: f64,
    pub minimum: f64,
    pub maximum: f64,
}

impl Sample {
    pub fn of(at_ms: i64, value: f64, count: f64) -> Self {
        Self { at_ms, count, sum: value * count, minimum: value, maximum: value }
    }
}

#[derive(Debug, Default)]
struct Stored {
    high_resolution: bool,
    newest_ms: i64,
    /// By minute; within one in order of arrival.
    minutes: BTreeMap<i64, Vec<Sample>>,
}

/// A statistic of a period.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Statistic {
    Sum,
    Average,
    Minimum,
    Maximum,
    SampleCount,
    /// 0 to 100.
    Percentile(f64),
}

impl Statistic {
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "Sum" => Self::Sum,
            "Average" => Self::Average,
            "Minimum" => Self::Minimum,
            "Maximum" => Self::Maximum,
            "SampleCount" => Self::SampleCount,
            _ => {
                let percentile: f64 = text.strip_prefix('p')?.parse().ok()?;
                (0.0..=100.0).contains(&percentile).then_some(Self::Percentile(percentile))?
            }
        })
    }

    /// The value of some measurements; `None` without any, and for a percentile of statistic sets,
    /// whose distribution nobody knows.
    fn of(self, samples: &[Sample]) -> Option<f64> {
        let count: f64 = samples.iter().map(|sample| sample.count).sum();
        if samples.is_empty() || count <= 0.0 {
            return None;
        }
        let sum = || samples.iter().map(|sample| sample.sum).sum::<f64>();
        Some(match self {
            Self::Sum => sum(),
            Self::Average => sum() / count,
            Self::SampleCount => count,
            Self::Minimum => samples.iter().map(|sample| sample.minimum).fold(f64::INFINITY, f64::min),
            Self::Maximum => samples.iter().map(|sample| sample.maximum).fold(f64::NEG_INFINITY, f64::max),
            Self::Percentile(percentile) => return nearest_rank(samples, count, percentile),
        })
    }
}

/// The smallest value that at least `percentile` percent of the measurements do not exceed.
fn nearest_rank(samples: &[Sample], count: f64, percentile: f64) -> Option<f64> {
    if samples.iter().any(|sample| sample.minimum < sample.maximum) {
        return None;
    }
    let mut sorted: Vec<(f64, f64)> = samples.iter().map(|sample| (sample.minimum, sample.count)).collect();
    sorted.sort_by(|one, other| one.0.total_cmp(&other.0));
    let rank = (percentile / 100.0 * count).ceil().max(1.0);
    let mut seen = 0.0;
    sorted.iter().find_map(|(value, count)| {
        seen += count;
        (seen >= rank).then_some(*value)
    })
}

#[derive(Debug, Default)]
pub struct MetricStore {
    metrics: BTreeMap<MetricKey, Stored>,
    /// Invocations by function that may still run: start and end, in ms.
    running: BTreeMap<String, VecDeque<(i64, i64)>>,
}

impl MetricStore {
    #[expect(clippy::too_many_arguments, reason = "one measurement has these parts, as PutMetricData does")]
    pub fn put(
        &mut self,
        namespace: &str,
        metric: &str,
        dimensions: &[(&str, &str)],
        at: Timestamp,
        value: f64,
        _unit: &str,
        high_resolution: bool,
    ) {
        let key = MetricKey::new(namespace, metric, dimensions);
        self.put_sample(key, Sample::of(at.as_millisecond(), value, 1.0), high_resolution);
    }

    pub fn put_sample(&mut self, key: MetricKey, sample: Sample, high_resolution: bool) {
        let stored = self.metrics.entry(key).or_default();
        stored.high_resolution |= high_resolution;
        stored.newest_ms = stored.newest_ms.max(sample.at_ms);
        stored.minutes.entry(sample.at_ms.div_euclid(MINUTE_MS)).or_default().push(sample);
    }

    pub fn put_invocation(
        &mut self,
        function: &str,
        version: &str,
        alias: Option<&str>,
        at: Timestamp,
        duration_ms: f64,
        error: bool,
    ) {
        let start = at.as_millisecond();
        let running = self.running.entry(function.to_owned()).or_default();
        // Calls are written down in nearly the order of their starts; a minute's slack is plenty.
        while running.front().is_some_and(|(_, end)| *end < start - MINUTE_MS) {
            running.pop_front();
        }
        let concurrent = 1 + running.iter().filter(|(from, until)| *from <= start && *until > start).count();
        running.push_back((start, start + duration_ms as i64));
        let measured = [
            ("Invocations", 1.0, "Count"),
            ("Errors", f64::from(u8::from(error)), "Count"),
            ("Duration", duration_ms, "Milliseconds"),
            ("ConcurrentExecutions", concurrent as f64, "Count"),
            ("Throttles", 0.0, "Count"),
        ];
        let resource = format!("{function}:{}", alias.unwrap_or(version));
        let by_function = [("FunctionName", function)];
        let by_resource = [("FunctionName", function), ("Resource", resource.as_str())];
        let by_version =
            [("FunctionName", function), ("Resource", resource.as_str()), ("ExecutedVersion", version)];
        for (metric, value, unit) in measured {
            self.put("AWS/Lambda", metric, &by_function, at, value, unit, false);
            self.put("AWS/Lambda", metric, &by_resource, at, value, unit, false);
            if alias.is_some() {
                self.put("AWS/Lambda", metric, &by_version, at, value, unit, false);
            }
        }
    }

    /// Metrics with a measurement since `since`, in order of their keys.
    pub fn list(&self, since: Option<Timestamp>) -> impl Iterator<Item = &MetricKey> {
        let since = since.map_or(i64::MIN, Timestamp::as_millisecond);
        self.metrics.iter().filter(move |(_, stored)| stored.newest_ms >= since).map(|(key, _)| key)
    }

    /// The periods of `[start, end)` that have a value now, oldest first.
    pub fn read(
        &self,
        key: &MetricKey,
        statistic: Statistic,
        period: u32,
        (start, end): (Timestamp, Timestamp),
        options: &WorldOptions,
        now: Timestamp,
    ) -> Vec<(Timestamp, f64)> {
        let Some(stored) = self.metrics.get(key) else { return Vec::new() };
        let period_ms = i64::from(period) * 1000;
        let delay =
            if stored.high_resolution { options.high_resolution_delay } else { options.metrics_delay };
        let visible = (now - delay).as_millisecond();
        let kept = match period {
            ..60 => KEEPS_SECONDS,
            60..300 => KEEPS_MINUTES,
            _ => KEEPS_FIVE_MINUTES,
        };
        let from = start.max(now - kept).as_millisecond().div_euclid(period_ms) * period_ms;
        let until = end.as_millisecond();
        let mut periods: BTreeMap<i64, Vec<Sample>> = BTreeMap::new();
        let minutes = from.div_euclid(MINUTE_MS)..=until.div_euclid(MINUTE_MS);
        for sample in stored.minutes.range(minutes).flat_map(|(_, samples)| samples) {
            // Standard resolution has no finer place than its minute.
            let place = if stored.high_resolution { 1000 } else { MINUTE_MS };
            let at = sample.at_ms.div_euclid(place) * place;
            let begin = at.div_euclid(period_ms) * period_ms;
            if sample.at_ms <= visible && begin >= from && begin < until {
                periods.entry(begin).or_default().push(*sample);
            }
        }
        periods
            .into_iter()
            .filter_map(|(begin, samples)| {
                let begin = Timestamp::from_millisecond(begin).ok()?;
                Some((begin, statistic.of(&samples)?))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::clock::WorldClock;
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn read(store: &MetricStore, statistic: &str, period: u32, options: &WorldOptions) -> Vec<(String, f64)> {
        let key = MetricKey::new("App", "Latency", &[("service", "checkout")]);
        let window = (at("2026-02-06T12:00:00Z"), at("2026-02-06T13:00:00Z"));
        let statistic = Statistic::parse(statistic).unwrap();
        let points = store.read(&key, statistic, period, window, options, options.clock.now());
        points.into_iter().map(|(at, value)| (at.to_string(), value)).collect()
    }

    fn sums(store: &MetricStore, period: u32, options: &WorldOptions) -> Vec<i64> {
        read(store, "Sum", period, options).into_iter().map(|(_, value)| value as i64).collect()
    }

    #[test]
    fn percentiles_come_from_the_values_and_holes_stay_holes() {
        let mut store = MetricStore::default();
        for (second, value) in [(0, 100.0), (10, 200.0), (59, 900.0), (130, 50.0)] {
            let at = at("2026-02-06T12:00:00Z") + Duration::from_secs(second);
            store.put("App", "Latency", &[("service", "checkout")], at, value, "Milliseconds", false);
        }
        let options = WorldOptions::immediate(WorldClock::manual(at("2026-02-06T12:30:00Z")));
        assert_eq!(
            read(&store, "p50", 60, &options),
            [("2026-02-06T12:00:00Z".to_owned(), 200.0), ("2026-02-06T12:02:00Z".to_owned(), 50.0)]
        );
        assert_eq!(read(&store, "p99", 300, &options), [("2026-02-06T12:00:00Z".to_owned(), 900.0)]);
    }

    #[test]
    fn the_newest_period_is_incomplete_until_the_delay_has_passed() {
        let mut store = MetricStore::default();
        for second in 0..60 {
            let at = at("2026-02-06T12:00:00Z") + Duration::from_secs(second);
            store.put("App", "Latency", &[("service", "checkout")], at, 1.0, "Count", false);
        }
        let clock = WorldClock::manual(at("2026-02-06T12:00:45Z"));
        let options =
            WorldOptions { metrics_delay: Duration::from_secs(20), ..WorldOptions::immediate(clock.clone()) };
        assert_eq!(sums(&store, 60, &options), [26]);
        clock.advance(Duration::from_mins(1));
        assert_eq!(sums(&store, 60, &options), [60]);
    }

    #[test]
    fn only_high_resolution_shows_seconds() {
        let mut store = MetricStore::default();
        for second in [1, 12, 14, 31] {
            let at = at("2026-02-06T12:00:00Z") + Duration::from_secs(second);
            store.put("App", "Latency", &[("service", "checkout")], at, 1.0, "Count", true);
        }
        let options = WorldOptions::immediate(WorldClock::manual(at("2026-02-06T12:30:00Z")));
        assert_eq!(sums(&store, 10, &options), [1, 2, 1]);
    }
}
