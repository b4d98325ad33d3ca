//! CloudWatch series: what `get-metric-data` would have returned for the simulated minutes.
//!
//! The rule that is not obvious: a load balancer publishes no point for a minute without errors,
//! Lambda publishes a zero, and both lose a point now and then.

use std::fmt::Write as _;

use super::clock;
use super::model::{DAY, EARLIER_MINUTES, Failure, Neighbour, TODAY_MINUTES};
use super::physics::{self, Minute};
use super::random::Random;
use super::wording;

/// A minute as it was counted.
pub struct Counted {
    pub at: i64,
    pub requests: f64,
    pub errors: f64,
    /// Failures that the caller's own fault explains (4xx).
    pub refused: f64,
    /// Invocations that Lambda itself counts as failed.
    pub crashes: f64,
    pub throttled: f64,
    pub p50: f64,
    pub p99: f64,
    pub mean: f64,
    /// Requests and errors of each version.
    pub versions: Vec<(String, f64, f64)>,
    pub minute: Minute,
}

/// Draws the counts of one minute from its expectation.
pub fn count(random: &mut Random, at: i64, minute: Minute, handled: bool) -> Counted {
    let mut counted = Counted {
        at,
        requests: 0.0,
        errors: 0.0,
        refused: 0.0,
        crashes: 0.0,
        throttled: random.poisson(minute.throttled),
        p50: 0.0,
        p99: 0.0,
        mean: 0.0,
        versions: Vec::new(),
        minute,
    };
    let mut latencies: Vec<(f64, f64)> = Vec::new();
    for outcome in &counted.minute.outcomes {
        let requests = random.poisson(outcome.requests);
        let mut errors = 0.0;
        for (failure, expected) in &outcome.failures {
            let failed = random.poisson(*expected).min(requests);
            if wording::status(*failure) < 500 && *failure == Failure::Validation {
                counted.refused += failed;
                continue;
            }
            if wording::status(*failure) < 500 {
                counted.refused += failed;
            }
            errors += failed;
            if !handled || matches!(failure, Failure::HandlerTimeout | Failure::OutOfMemory) {
                counted.crashes += failed;
            }
        }
        counted.requests += requests;
        counted.errors += errors.min(requests);
        counted.versions.push((outcome.version.clone(), requests, errors.min(requests)));
        latencies.extend(&outcome.latencies);
    }
    counted.crashes = counted.crashes.min(counted.requests);
    if counted.requests > 0.0 {
        let rough = 0.03 + 0.25 / counted.requests.sqrt();
        counted.p50 = physics::quantile(&mut latencies, 0.5) * (rough * random.normal()).exp();
        counted.p99 = physics::quantile(&mut latencies, 0.99) * (rough * 1.6 * random.normal()).exp();
        let total: f64 = latencies.iter().map(|(_, weight)| weight).sum();
        let sum: f64 = latencies.iter().map(|(value, weight)| value * weight).sum();
        counted.mean = sum / total.max(1e-9) * (rough * random.normal()).exp();
    }
    counted
}

/// The minutes that the metrics cover: the same hours seven days and one day before, then today.
/// Without `earlier`, nobody kept the earlier days.
pub fn minutes(now: i64, earlier: bool) -> Vec<i64> {
    let last = now.div_euclid(60) * 60;
    let mut all = Vec::new();
    for days in [7, 1].into_iter().filter(|_| earlier) {
        let end = last - days * DAY;
        all.extend((0..EARLIER_MINUTES).map(|i| end - (EARLIER_MINUTES - i) * 60));
    }
    all.extend((0..TODAY_MINUTES).map(|i| last - (TODAY_MINUTES - i) * 60));
    all
}

struct Series {
    namespace: String,
    name: String,
    dimensions: Vec<(&'static str, String)>,
    stat: &'static str,
    /// Index of the period and the value.
    points: Vec<(usize, f64)>,
}

pub struct Book {
    minutes: Vec<i64>,
    /// Seconds of a period, and when each whole one begins.
    period: i64,
    periods: Vec<i64>,
    series: Vec<Series>,
    lost: f64,
    descending: bool,
}

impl Book {
    pub fn new(random: &mut Random, minutes: Vec<i64>, period: i64) -> Self {
        let lost = random.choose(&[0.0, 0.0, 0.004, 0.015, 0.04]);
        let whole = |start: i64| {
            minutes
                .binary_search(&start)
                .is_ok_and(|i| minutes.get(i + (period / 60) as usize - 1) == Some(&(start + period - 60)))
        };
        let periods = minutes.iter().copied().filter(|at| at % period == 0 && whole(*at)).collect();
        Self { periods, minutes, period, series: Vec::new(), lost, descending: random.chance(0.5) }
    }

    /// One value for each whole period, from one for each minute.
    fn gather(&self, stat: &str, values: &[f64]) -> Vec<f64> {
        if self.period == 60 {
            return values.to_vec();
        }
        let steps = (self.period / 60) as usize;
        let gathered = self.periods.iter().filter_map(|start| {
            let first = self.minutes.binary_search(start).ok()?;
            let inside = values.get(first..first + steps)?;
            let sum: f64 = inside.iter().sum();
            Some(match stat {
                "Sum" => sum,
                "Maximum" => inside.iter().copied().fold(f64::MIN, f64::max),
                "Minimum" => inside.iter().copied().fold(f64::MAX, f64::min),
                _ => sum / steps as f64,
            })
        });
        gathered.collect()
    }

    /// Adds a series; `sparse` ones have no point where the value is zero.
    pub fn add(
        &mut self,
        random: &mut Random,
        (namespace, name, stat): (&str, &str, &'static str),
        dimensions: &[(&'static str, &str)],
        sparse: bool,
        values: impl Iterator<Item = f64>,
    ) {
        let hole = if random.chance(self.lost * 5.0) {
            random.whole(0, self.periods.len() as i64) as usize
        } else {
            usize::MAX
        };
        let hole_length = (540 / self.period) as usize;
        let values: Vec<f64> = values.collect();
        let points = self
            .gather(stat, &values)
            .into_iter()
            .enumerate()
            .filter(|(i, value)| {
                (!sparse || *value != 0.0)
                    && !random.chance(self.lost)
                    && (*i < hole || *i >= hole.saturating_add(hole_length))
            })
            .collect();
        let dimensions = dimensions.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
        self.series.push(Series {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            dimensions,
            stat,
            points,
        });
    }

    /// The series of a service that is not the one under investigation.
    pub fn neighbour(
        &mut self,
        random: &mut Random,
        neighbour: &Neighbour,
        extra_demand: &dyn Fn(i64) -> f64,
        refused: &dyn Fn(i64) -> (f64, f64),
    ) {
        let mut drift = 1.0;
        let (amplitude, phase) = (random.between(0.05, 0.35), random.between(0.0, 24.0));
        let samples: Vec<(f64, f64, f64)> = self
            .minutes
            .iter()
            .map(|at| {
                drift = 1.0 + (drift - 1.0) * 0.9 + random.normal() * 0.015;
                let hour = at.rem_euclid(DAY) as f64 / 3600.0;
                let mut rate = neighbour.rate
                    * drift
                    * (1.0 + amplitude * ((hour - phase) / 24.0 * std::f64::consts::TAU).sin())
                    * extra_demand(*at);
                let (mut errors, mut slower) = (neighbour.error_share, 1.0);
                for trouble in
                    neighbour.troubles.iter().filter(|trouble| *at >= trouble.from && *at < trouble.until)
                {
                    errors += trouble.errors;
                    slower *= trouble.slower;
                    rate *= trouble.demand;
                }
                let (share, factor) = refused(*at);
                let requests = random.poisson(rate);
                let failed = random.poisson(requests * (errors + share).min(1.0)).min(requests);
                let latency = neighbour.latency_ms * 2.6 * slower * factor * (random.normal() * 0.06).exp();
                (requests, failed, latency)
            })
            .collect();
        if neighbour.lambda {
            let dimensions = [("FunctionName", neighbour.name.as_str())];
            self.add(
                random,
                ("AWS/Lambda", "Invocations", "Sum"),
                &dimensions,
                false,
                samples.iter().map(|s| s.0),
            );
            self.add(
                random,
                ("AWS/Lambda", "Errors", "Sum"),
                &dimensions,
                false,
                samples.iter().map(|s| s.1),
            );
            self.add(
                random,
                ("AWS/Lambda", "Duration", "p99"),
                &dimensions,
                false,
                samples.iter().map(|s| s.2),
            );
        } else {
            let dimensions =
                [("LoadBalancer", neighbour.balancer.as_str()), ("TargetGroup", neighbour.target.as_str())];
            self.add(
                random,
                ("AWS/ApplicationELB", "RequestCount", "Sum"),
                &dimensions,
                false,
                samples.iter().map(|s| s.0),
            );
            self.add(
                random,
                ("AWS/ApplicationELB", "HTTPCode_Target_5XX_Count", "Sum"),
                &dimensions,
                true,
                samples.iter().map(|s| s.1),
            );
            self.add(
                random,
                ("AWS/ApplicationELB", "TargetResponseTime", "p99"),
                &dimensions,
                false,
                samples.iter().map(|s| s.2 / 1000.0),
            );
        }
    }

    /// `metrics.json`
    pub fn finish(self) -> Vec<u8> {
        let stamps: Vec<String> = self.periods.iter().map(|at| clock::iso(*at)).collect();
        let mut queries = String::from("{\"MetricDataQueries\":[");
        let mut results = String::from("],\"MetricDataResults\":[");
        for (i, series) in self.series.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            let dimensions: Vec<String> = series
                .dimensions
                .iter()
                .map(|(key, value)| format!("{{\"Name\":\"{key}\",\"Value\":\"{value}\"}}"))
                .collect();
            let _ = write!(
                queries,
                "{comma}{{\"Id\":\"q{i}\",\"MetricStat\":{{\"Metric\":{{\"Namespace\":\"{}\",\"MetricName\":\"{}\",\"Dimensions\":[{}]}},\"Period\":{},\"Stat\":\"{}\"}},\"ReturnData\":true}}",
                series.namespace,
                series.name,
                dimensions.join(","),
                self.period,
                series.stat
            );
            let _ =
                write!(results, "{comma}{{\"Id\":\"q{i}\",\"Label\":\"{}\",\"Timestamps\":[", series.name);
            let mut order: Vec<&(usize, f64)> = series.points.iter().collect();
            if self.descending {
                order.reverse();
            }
            for (n, (minute, _)) in order.iter().enumerate() {
                let _ = write!(results, "{}\"{}\"", if n == 0 { "" } else { "," }, stamps[*minute]);
            }
            results.push_str("],\"Values\":[");
            for (n, (_, value)) in order.iter().enumerate() {
                let rounded = (value * 10_000.0).round() / 10_000.0;
                let _ = write!(results, "{}{rounded}", if n == 0 { "" } else { "," });
            }
            results.push_str("],\"StatusCode\":\"Complete\"}");
        }
        queries.push_str(&results);
        queries.push_str("]}");
        queries.into_bytes()
    }
}
