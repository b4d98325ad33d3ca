//! What the service tells the world: log lines, metric values, and the beginning and end of every
//! invocation, through one [`Sink`] that its owner chooses.
//!
//! A log line is one JSON object. Its claims about a deployment are the service's own guess
//! ([`DeploymentHint`]); they may be wrong, as such guesses are in production.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

pub const SERVICE_NAME: &str = "demo-checkout-service";
/// CloudWatch's namespace of the service's own metrics.
pub const METRIC_NAMESPACE: &str = "DemoApp";
/// Their one dimension, whose value is [`SERVICE_NAME`].
pub const METRIC_DIMENSION: &str = "Service";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Info,
    Warn,
    Error,
}

impl Level {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
        }
    }
}

/// Something that the service told, with the version of it that did.
#[derive(Debug, Clone)]
pub struct Emission {
    pub at: Timestamp,
    /// The function's version, such as `39`; `local` where there is none.
    pub version: Arc<str>,
    pub what: What,
}

#[derive(Debug, Clone)]
pub enum What {
    /// An order arrived.
    Started {
        request_id: Arc<str>,
    },
    /// One JSON object, without a line end.
    Log {
        level: Level,
        request_id: Option<Arc<str>>,
        line: String,
    },
    /// The order's answer is on its way; `failed` where it is not a confirmation.
    Finished {
        request_id: Arc<str>,
        took: Duration,
        failed: bool,
        memory_mib: u64,
    },
    Metric {
        name: &'static str,
        value: f64,
        unit: &'static str,
    },
}

/// Where emissions go. It is called on the thread that emits, so it must not block for long.
#[derive(Clone)]
pub struct Sink(Arc<dyn Fn(Emission) + Send + Sync>);

impl Sink {
    pub fn new(receive: impl Fn(Emission) + Send + Sync + 'static) -> Self {
        Self(Arc::new(receive))
    }

    pub fn emit(&self, emission: Emission) {
        (self.0)(emission);
    }
}

impl std::fmt::Debug for Sink {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Sink")
    }
}

/// What the service believes about its own last deployment and writes into its error lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeploymentHint {
    /// What `possibly_deployment_related` says.
    pub related: bool,
    /// What `recent_deployment_time` says: the build's stamp, which is not when it took effect.
    pub stamp: Option<String>,
    /// From when `minutes_since_deployment` counts.
    pub counted_from: Option<Timestamp>,
}

impl DeploymentHint {
    pub(super) fn write_into(&self, fields: &mut Map<String, Value>, now: Timestamp) {
        fields.insert("possibly_deployment_related".to_owned(), Value::Bool(self.related));
        if let Some(stamp) = &self.stamp {
            fields.insert("recent_deployment_time".to_owned(), json!(stamp));
        }
        if let Some(from) = self.counted_from {
            let minutes = (now.duration_since(from).as_secs() / 60).max(0);
            fields.insert("minutes_since_deployment".to_owned(), json!(minutes));
        }
    }
}

/// One line: level, message, time, service and request first, then the fields given.
pub(super) fn line(
    at: Timestamp,
    level: Level,
    message: &str,
    request_id: Option<&str>,
    fields: Map<String, Value>,
) -> String {
    let mut object = Map::new();
    object.insert("level".to_owned(), json!(level.as_str()));
    object.insert("message".to_owned(), json!(message));
    object.insert("timestamp".to_owned(), json!(format!("{at:.3}")));
    object.insert("service".to_owned(), json!(SERVICE_NAME));
    if let Some(id) = request_id {
        object.insert("request_id".to_owned(), json!(id));
    }
    object.extend(fields);
    Value::Object(object).to_string()
}
