//! Metrics as log lines in CloudWatch's embedded metric format: CloudWatch makes metrics of them by itself, and the
//! function calls nobody.
//!
//! The rule that is not obvious: values are gathered until an invocation ends and told in few lines. One line a value
//! would cost more than the orders' own log.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::events::{Emission, METRIC_DIMENSION, METRIC_NAMESPACE, SERVICE_NAME, Sink, What};

/// CloudWatch takes so many values of a metric in one line.
const VALUES_MAX: usize = 100;

type Gathered = BTreeMap<&'static str, (&'static str, Vec<f64>)>;

/// Writes log lines as they come, and metrics when told to.
#[derive(Clone)]
pub struct EmbeddedMetrics {
    write: Arc<dyn Fn(&str) + Send + Sync>,
    gathered: Arc<Mutex<Gathered>>,
}

impl EmbeddedMetrics {
    /// `write` gets one line at a time, without a line end.
    pub fn new(write: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self { write: Arc::new(write), gathered: Arc::default() }
    }

    /// Where the service's emissions go.
    pub fn sink(&self) -> Sink {
        let metrics = self.clone();
        Sink::new(move |emission| metrics.receive(emission))
    }

    fn receive(&self, emission: Emission) {
        match emission.what {
            What::Log { line, .. } => (self.write)(&line),
            What::Metric { name, value, unit } => {
                let mut gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
                gathered.entry(name).or_insert_with(|| (unit, Vec::new())).1.push(value);
            }
            What::Started { .. } | What::Finished { .. } => {}
        }
    }

    /// Tells what was gathered since the last time.
    pub fn flush(&self, now: Timestamp) {
        let mut gathered = std::mem::take(&mut *self.gathered.lock().unwrap_or_else(PoisonError::into_inner));
        while !gathered.is_empty() {
            (self.write)(&document(now, &mut gathered).to_string());
            gathered.retain(|_, (_, values)| !values.is_empty());
        }
    }
}

/// One line with the next values of each metric, which are taken out.
fn document(now: Timestamp, gathered: &mut Gathered) -> Value {
    let directives: Vec<Value> =
        gathered.iter().map(|(name, (unit, _))| json!({ "Name": name, "Unit": unit })).collect();
    let mut document = Map::new();
    document.insert(
        "_aws".to_owned(),
        json!({
            "Timestamp": now.as_millisecond(),
            "CloudWatchMetrics": [{
                "Namespace": METRIC_NAMESPACE, "Dimensions": [[METRIC_DIMENSION]], "Metrics": directives,
            }],
        }),
    );
    document.insert(METRIC_DIMENSION.to_owned(), json!(SERVICE_NAME));
    for (name, (_, values)) in gathered {
        let rest = values.split_off(values.len().min(VALUES_MAX));
        document.insert((*name).to_owned(), json!(std::mem::replace(values, rest)));
    }
    Value::Object(document)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_told_once_and_a_hundred_a_line() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&lines);
        let metrics = EmbeddedMetrics::new(move |line| seen.lock().unwrap().push(line.to_owned()));
        let sink = metrics.sink();
        let now: Timestamp = "2026-02-06T12:00:00Z".parse().unwrap();
        let emit = |name, value| {
            let what = What::Metric { name, value, unit: "Count" };
            sink.emit(Emission { at: now, version: "1".into(), what });
        };
        for _ in 0..150 {
            emit("OrderRequests", 1.0);
        }
        emit("CheckoutFailures", 0.0);
        metrics.flush(now);
        metrics.flush(now);
        let lines: Vec<Value> =
            lines.lock().unwrap().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2, "nothing is told twice");
        let first = &lines[0]["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(first["Dimensions"], json!([["Service"]]));
        assert_eq!(first["Metrics"].as_array().unwrap().len(), 2);
        let count = |line: &Value| line["OrderRequests"].as_array().unwrap().len();
        assert_eq!((count(&lines[0]), count(&lines[1])), (100, 50));
        assert_eq!(lines[0]["CheckoutFailures"], json!([0.0]));
        assert!(lines[1]["_aws"]["Timestamp"].is_i64());
    }
}
