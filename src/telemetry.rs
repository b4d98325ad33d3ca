//! What the bot says about itself: structured logs, and counters for Prometheus.
//!
//! The rule that is not obvious: neither holds anybody's text. A log line has ids and figures; a
//! metric has a fixed name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

/// Counters of the process, by name.
#[derive(Debug, Default)]
pub struct Metrics {
    counters: Mutex<BTreeMap<&'static str, u64>>,
    /// Sum and count of seconds, by name.
    durations: Mutex<BTreeMap<&'static str, (f64, u64)>>,
    down: Mutex<BTreeSet<&'static str>>,
}

impl Metrics {
    /// Adds one to a counter. The name is without prefix and without `_total`.
    pub fn count(&self, name: &'static str) {
        *self.counters.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_default() += 1;
    }

    /// Notes how long something took. The name is without prefix and without `_seconds`.
    pub fn observe(&self, name: &'static str, seconds: f64) {
        let mut durations = self.durations.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = durations.entry(name).or_default();
        entry.0 += seconds;
        entry.1 += 1;
    }

    /// Notes whether a dependency (`slack`, `aws`) answered last time.
    pub fn dependency(&self, name: &'static str, up: bool) {
        let mut down = self.down.lock().unwrap_or_else(PoisonError::into_inner);
        if up {
            down.remove(name);
        } else {
            down.insert(name);
        }
    }

    pub fn dependencies_down(&self) -> Vec<String> {
        let down = self.down.lock().unwrap_or_else(PoisonError::into_inner);
        down.iter().map(|name| (*name).to_owned()).collect()
    }

    /// The exposition format of Prometheus. `gauges` are what is counted elsewhere: name without
    /// prefix, what it is, and how much.
    pub fn render(&self, gauges: &[(&str, &str, i64)]) -> String {
        let mut text = String::new();
        let mut gauge = |name: &str, help: &str, value: i64| {
            text.push_str(&format!(
                "# HELP incident_commander_{name} {help}\n# TYPE incident_commander_{name} gauge\n\
                 incident_commander_{name} {value}\n"
            ));
        };
        for (name, help, value) in gauges {
            gauge(name, help, *value);
        }
        for (name, value) in self.counters.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            text.push_str(&format!(
                "# TYPE incident_commander_{name}_total counter\nincident_commander_{name}_total {value}\n"
            ));
        }
        for (name, (sum, count)) in self.durations.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            text.push_str(&format!(
                "# TYPE incident_commander_{name}_seconds summary\n\
                 incident_commander_{name}_seconds_sum {sum}\nincident_commander_{name}_seconds_count {count}\n"
            ));
        }
        for name in self.dependencies_down() {
            text.push_str(&format!("incident_commander_dependency_down{{dependency=\"{name}\"}} 1\n"));
        }
        text.push_str(&format!(
            "# TYPE incident_commander_build_info gauge\nincident_commander_build_info{{version=\"{}\"}} 1\n",
            env!("CARGO_PKG_VERSION")
        ));
        text
    }
}

/// Logs to standard error, as `RUST_LOG` says; JSON where nobody watches.
pub fn log_to_stderr() {
    use std::io::IsTerminal as _;
    use tracing_subscriber::EnvFilter;
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,incident_commander=info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let done = if std::io::stderr().is_terminal() {
        builder.try_init()
    } else {
        builder.json().flatten_event(true).try_init()
    };
    // A second start in one process (tests) keeps the first one's subscriber.
    drop(done);
}
