//! What the bot says about itself: structured logs, and figures for Prometheus.
//!
//! The rule that is not obvious: neither holds anybody's text. A log line has ids and figures, and whatever looks
//! like a secret in it is masked as it is written; a metric and its labels come from a fixed table.

mod logs;
mod names;
mod traces;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

pub use self::logs::log_to_stderr;
pub use self::names::{Kind, METRICS, Metric, PREFIX, metric};
pub use self::traces::Traces;

/// Upper ends of the histograms' buckets, in seconds: from a single call to an investigation that its queue held up.
const BUCKETS: [f64; 13] = [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 900.0];

/// A metric's name without prefix and ending, and its label's value; empty where it has none.
type Key = (&'static str, &'static str);

#[derive(Debug, Clone, Default)]
struct Histogram {
    /// Observations up to each of [`BUCKETS`], cumulative.
    buckets: [u64; BUCKETS.len()],
    sum: f64,
    count: u64,
}

/// What is counted elsewhere and only told here: name without prefix and ending, label's value, and how much.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    pub name: &'static str,
    pub label: String,
    pub value: f64,
}

impl Measured {
    pub fn new(name: &'static str, value: f64) -> Self {
        Self { name, label: String::new(), value }
    }
}

/// Figures of the process.
#[derive(Debug, Default)]
pub struct Metrics {
    counters: Mutex<BTreeMap<Key, u64>>,
    durations: Mutex<BTreeMap<Key, Histogram>>,
    /// Dependencies that were called, and what became of it.
    dependencies: Mutex<BTreeMap<&'static str, Dependency>>,
}

#[derive(Debug, Clone, Copy)]
struct Dependency {
    /// It did not answer last time.
    down: bool,
    /// When that was, where nobody may ask it for long; `None` where it is asked until it answers.
    asked_at: Option<Timestamp>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Metrics {
    /// Adds one to a counter. The name is without prefix and without `_total`.
    pub fn count(&self, name: &'static str) {
        self.count_of(name, "");
    }

    /// Adds one to a counter that has a label.
    pub fn count_of(&self, name: &'static str, label: &'static str) {
        *lock(&self.counters).entry((name, label)).or_default() += 1;
    }

    /// Notes how long something took. The name is without prefix and without `_seconds`.
    pub fn observe(&self, name: &'static str, seconds: f64) {
        self.observe_of(name, "", seconds);
    }

    /// Notes how long something took that has a label.
    pub fn observe_of(&self, name: &'static str, label: &'static str, seconds: f64) {
        let mut durations = lock(&self.durations);
        let histogram = durations.entry((name, label)).or_default();
        for (count, end) in histogram.buckets.iter_mut().zip(BUCKETS) {
            *count += u64::from(seconds <= end);
        }
        histogram.sum += seconds;
        histogram.count += 1;
    }

    /// Notes whether a dependency that is asked until it answers (`slack`) did so last time.
    pub fn dependency(&self, name: &'static str, up: bool) {
        lock(&self.dependencies).insert(name, Dependency { down: !up, asked_at: None });
    }

    /// Notes whether a dependency that is asked now and then (`aws`, for an approved change) answered last time.
    pub fn dependency_at(&self, name: &'static str, up: bool, now: Timestamp) {
        lock(&self.dependencies).insert(name, Dependency { down: !up, asked_at: Some(now) });
    }

    /// What did not answer and was not asked for longer than `known_for` counts as up: nobody knows better.
    pub fn forget_outages(&self, known_for: SignedDuration, now: Timestamp) {
        for dependency in lock(&self.dependencies).values_mut() {
            // Either way: a clock that was ahead may have been put right.
            dependency.down &= dependency.asked_at.is_none_or(|at| now.duration_since(at).abs() <= known_for);
        }
    }

    pub fn dependencies_down(&self) -> Vec<String> {
        let dependencies = lock(&self.dependencies);
        dependencies.iter().filter(|(_, one)| one.down).map(|(name, _)| (*name).to_owned()).collect()
    }

    /// The exposition format of Prometheus, version 0.0.4. `measured` is what is counted elsewhere.
    pub fn render(&self, measured: &[Measured]) -> String {
        let mut page = Page::default();
        for metric in METRICS {
            page.announce(metric);
        }
        for (&(name, label), value) in lock(&self.counters).iter() {
            page.sample(name, Kind::Counter, label, &value.to_string());
        }
        for (&(name, label), histogram) in lock(&self.durations).iter() {
            page.histogram(name, label, histogram);
        }
        for Measured { name, label, value } in measured {
            let kind = metric(name).map_or(Kind::Gauge, |metric| metric.kind);
            page.sample(name, kind, label, &value.to_string());
        }
        for (name, dependency) in lock(&self.dependencies).iter() {
            page.sample("dependency_down", Kind::Gauge, name, if dependency.down { "1" } else { "0" });
        }
        page.sample("build_info", Kind::Gauge, env!("CARGO_PKG_VERSION"), "1");
        page.text()
    }
}

/// The page by metric: what each is, and its samples by their labels.
#[derive(Default)]
struct Page {
    metrics: BTreeMap<String, (Kind, &'static str, BTreeMap<String, String>)>,
}

impl Page {
    /// A metric that is in the table is there from the start, at nothing, so that a rate over it has a beginning.
    fn announce(&mut self, metric: &Metric) {
        let labels: &[&str] = match metric.label {
            None => &[""],
            Some((_, values)) => values,
        };
        self.metrics.insert(metric.full_name(), (metric.kind, metric.help, BTreeMap::new()));
        for label in labels {
            match metric.kind {
                Kind::Counter => self.sample(metric.name, metric.kind, label, "0"),
                Kind::Histogram => self.histogram(metric.name, label, &Histogram::default()),
                // Nobody measured it yet: nothing is more honest than 0.
                Kind::Gauge => {}
            }
        }
    }

    fn entry(&mut self, name: &str, kind: Kind) -> &mut BTreeMap<String, String> {
        let entry = self.metrics.entry(names::full_name(name, kind));
        &mut entry.or_insert_with(|| (kind, "", BTreeMap::new())).2
    }

    fn sample(&mut self, name: &str, kind: Kind, label: &str, value: &str) {
        let full = names::full_name(name, kind);
        let line = format!("{full}{} {value}\n", labels(name, label, None));
        self.entry(name, kind).insert(label.to_owned(), line);
    }

    fn histogram(&mut self, name: &str, label: &str, histogram: &Histogram) {
        let full = names::full_name(name, Kind::Histogram);
        let mut lines = String::new();
        for (end, count) in BUCKETS.iter().zip(histogram.buckets) {
            lines
                .push_str(&format!("{full}_bucket{} {count}\n", labels(name, label, Some(&end.to_string()))));
        }
        let Histogram { sum, count, .. } = histogram;
        let (infinite, plain) = (labels(name, label, Some("+Inf")), labels(name, label, None));
        lines.push_str(&format!(
            "{full}_bucket{infinite} {count}\n{full}_sum{plain} {sum}\n{full}_count{plain} {count}\n"
        ));
        self.entry(name, Kind::Histogram).insert(label.to_owned(), lines);
    }

    fn text(self) -> String {
        let mut text = String::new();
        for (name, (kind, help, samples)) in self.metrics {
            if samples.is_empty() {
                continue;
            }
            if !help.is_empty() {
                text.push_str(&format!("# HELP {name} {help}\n"));
            }
            let kind = match kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
                Kind::Histogram => "histogram",
            };
            text.push_str(&format!("# TYPE {name} {kind}\n"));
            text.extend(samples.into_values());
        }
        text
    }
}

/// `{service="lambda",le="0.5"}`; nothing where there is neither.
fn labels(name: &str, value: &str, end: Option<&str>) -> String {
    let label = metric(name).and_then(|metric| metric.label).map_or("label", |(label, _)| label);
    let own = (!value.is_empty()).then(|| format!("{label}=\"{}\"", escape(value)));
    let end = end.map(|end| format!("le=\"{end}\""));
    let all: Vec<String> = own.into_iter().chain(end).collect();
    if all.is_empty() { String::new() } else { format!("{{{}}}", all.join(",")) }
}

fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_told_before_it_counts_and_by_its_label() {
        let metrics = Metrics::default();
        assert!(metrics.render(&[]).contains("incident_commander_verdicts_total 0\n"));
        metrics.count("verdicts");
        metrics.count_of("agent_failures", "logs");
        let page = metrics.render(&[]);
        assert!(page.contains("\nincident_commander_verdicts_total 1\n"), "{page}");
        assert!(page.contains("incident_commander_agent_failures_total{agent=\"logs\"} 1\n"), "{page}");
        assert!(page.contains("incident_commander_agent_failures_total{agent=\"deploy\"} 0\n"), "{page}");
    }

    #[test]
    fn a_histogram_has_cumulative_buckets_and_ends_with_all() {
        let metrics = Metrics::default();
        metrics.observe("step", 0.2);
        metrics.observe("step", 40.0);
        let page = metrics.render(&[]);
        for line in [
            "# TYPE incident_commander_step_seconds histogram",
            "incident_commander_step_seconds_bucket{le=\"0.1\"} 0",
            "incident_commander_step_seconds_bucket{le=\"0.25\"} 1",
            "incident_commander_step_seconds_bucket{le=\"60\"} 2",
            "incident_commander_step_seconds_bucket{le=\"+Inf\"} 2",
            "incident_commander_step_seconds_sum 40.2",
            "incident_commander_step_seconds_count 2",
        ] {
            assert!(page.lines().any(|found| found == line), "{line}\n{page}");
        }
    }

    #[test]
    fn what_is_measured_elsewhere_is_told_with_its_kind_and_an_inert_label() {
        let throttled = Measured { name: "aws_throttles", label: "a\"b\nc".to_owned(), value: 3.0 };
        let page = Metrics::default().render(&[Measured::new("jobs_waiting", 2.0), throttled]);
        assert!(
            page.contains(
                "# TYPE incident_commander_jobs_waiting gauge\nincident_commander_jobs_waiting 2\n"
            )
        );
        assert!(
            page.contains("incident_commander_aws_throttles_total{service=\"a\\\"b\\nc\"} 3\n"),
            "{page}"
        );
    }

    #[test]
    fn a_dependency_that_answers_again_is_told_as_up() {
        let metrics = Metrics::default();
        metrics.dependency("slack", false);
        assert_eq!(metrics.dependencies_down(), ["slack"]);
        metrics.dependency("slack", true);
        assert!(metrics.dependencies_down().is_empty());
        assert!(metrics.render(&[]).contains("incident_commander_dependency_down{dependency=\"slack\"} 0\n"));
    }

    #[test]
    fn an_outage_is_forgotten_where_nobody_asks_any_more_and_only_there() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let metrics = Metrics::default();
        metrics.dependency("slack", false);
        metrics.dependency_at("aws", false, at(100));
        let minute = SignedDuration::from_mins(1);
        for second in [40, 160] {
            metrics.forget_outages(minute, at(second));
            assert_eq!(metrics.dependencies_down(), ["aws", "slack"]);
        }
        metrics.forget_outages(minute, at(161));
        assert_eq!(metrics.dependencies_down(), ["slack"]);
        metrics.dependency_at("aws", false, at(100));
        metrics.forget_outages(minute, at(39));
        assert_eq!(metrics.dependencies_down(), ["slack"], "the clock was ahead");
    }
}
