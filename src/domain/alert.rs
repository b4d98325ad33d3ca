//! An alert, wherever it came from, and the body of `POST /alert`.
//!
//! What the message does not say stays `None`; nothing is guessed here.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    Firing,
    Resolved,
}

/// The kind of trouble that an alert speaks of: alerts of one kind about one service are one problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Symptom {
    Errors,
    Latency,
    Saturation,
    Availability,
}

impl Symptom {
    pub fn as_str(self) -> &'static str {
        match self {
            Symptom::Errors => "errors",
            Symptom::Latency => "latency",
            Symptom::Saturation => "saturation",
            Symptom::Availability => "availability",
        }
    }

    /// Reads the symptom from a metric's or an alert's name; `None` where the words do not tell.
    ///
    /// Latency is looked for first: `request_error_latency` is about time.
    pub fn from_words(text: &str) -> Option<Self> {
        let text = text.to_lowercase();
        let any = |words: &[&str]| words.iter().any(|word| text.contains(word));
        if any(&[
            "latency",
            "duration",
            "p99",
            "p95",
            "p90",
            "p50",
            "response time",
            "responsetime",
            "slow",
            "processingtime",
        ]) {
            Some(Symptom::Latency)
        } else if any(&[
            "unreachable",
            "availability",
            "unavailable",
            "is down",
            "host down",
            "healthy",
            "heartbeat",
            "probe",
            "up == 0",
        ]) {
            Some(Symptom::Availability)
        } else if any(&[
            "error",
            "5xx",
            "4xx",
            "500",
            "502",
            "503",
            "504",
            "fail",
            "exception",
            "fault",
            "timeout",
        ]) {
            Some(Symptom::Errors)
        } else if any(&[
            "cpu",
            "memory",
            "disk",
            "saturat",
            "queue",
            "throttl",
            "connections",
            "concurren",
            "pool",
            "iteratorage",
            "backlog",
        ]) {
            Some(Symptom::Saturation)
        } else {
            None
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    pub service: String,
    /// When it fired: an upper bound of the onset, never the onset itself.
    pub at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert_name: Option<String>,
    /// The tool that sent it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

impl Alert {
    /// An alert that says nothing but what it is about and when: somebody asked.
    pub fn about(service: String, at: Timestamp) -> Self {
        Self {
            service,
            at,
            metric: None,
            value: None,
            threshold: None,
            severity: None,
            alert_name: None,
            source: None,
        }
    }

    /// Whether it fired because something is too little: what it measured lies below its threshold.
    pub fn is_about_too_little(&self) -> bool {
        self.value.zip(self.threshold).is_some_and(|(value, threshold)| value < threshold)
    }

    /// Whether its metric's or its own name holds a word, such as a series' name or statistic.
    pub fn names(&self, word: &str) -> bool {
        let word = word.to_lowercase();
        let says =
            |text: &Option<String>| text.as_deref().is_some_and(|text| text.to_lowercase().contains(&word));
        says(&self.metric) || says(&self.alert_name)
    }

    pub fn symptom(&self) -> Option<Symptom> {
        [self.metric.as_deref(), self.alert_name.as_deref()]
            .into_iter()
            .flatten()
            .find_map(Symptom::from_words)
    }
}

/// Why a body is not an alert; each names the field for the answer to the sender.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AlertError {
    #[error("the body is not JSON: {0}")]
    NotJson(String),
    #[error("the body is not a JSON object")]
    NotAnObject,
    #[error("`service` is missing or not a non-empty string")]
    Service,
    #[error(
        "`triggered_at` is missing: a time such as 2026-02-06T12:15:00Z is needed (`timestamp` and `startsAt` are read too)"
    )]
    TimeMissing,
    #[error("`{field}` is not a time that can be read: {value:?}; 2026-02-06T12:15:00Z or with an offset is")]
    Time { field: &'static str, value: String },
}

/// Longest service name that is accepted; AWS's own names end far below it.
const SERVICE_NAME_MAX: usize = 256;

impl Alert {
    /// Reads the body of `POST /alert`: `{"alert": {…}}` or the bare inner object.
    ///
    /// # Errors
    /// Names the first field that cannot be read.
    pub fn from_body(body: &[u8]) -> Result<Self, AlertError> {
        let value: Value =
            serde_json::from_slice(body).map_err(|error| AlertError::NotJson(error.to_string()))?;
        Self::from_json(&value)
    }

    /// The same, of a value that is JSON already.
    ///
    /// # Errors
    /// Names the first field that cannot be read.
    pub fn from_json(value: &Value) -> Result<Self, AlertError> {
        let outer = value.as_object().ok_or(AlertError::NotAnObject)?;
        let alert = match outer.get("alert") {
            Some(inner) => inner.as_object().ok_or(AlertError::NotAnObject)?,
            None => outer,
        };
        let text = |keys: &[&str]| {
            keys.iter()
                .find_map(|key| alert.get(*key))
                .and_then(Value::as_str)
                .map(str::trim)
                .filter(|text| !text.is_empty())
                .map(str::to_owned)
        };
        let number = |keys: &[&str]| {
            keys.iter().find_map(|key| alert.get(*key)).and_then(|value| match value {
                Value::Number(number) => number.as_f64(),
                Value::String(text) => text.trim().parse().ok(),
                _ => None,
            })
        };
        let service =
            text(&["service"]).filter(|name| name.len() <= SERVICE_NAME_MAX).ok_or(AlertError::Service)?;
        Ok(Self {
            service,
            at: time_of(alert)?,
            metric: text(&["metric", "metric_name"]),
            value: number(&["current_value", "value"]),
            threshold: number(&["threshold"]),
            severity: text(&["severity"]),
            alert_name: text(&["alert_name", "alertname", "name"]),
            source: text(&["source"]),
        })
    }
}

fn time_of(alert: &serde_json::Map<String, Value>) -> Result<Timestamp, AlertError> {
    for field in ["triggered_at", "timestamp", "startsAt"] {
        match alert.get(field) {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) => {
                return parse_time(text).ok_or_else(|| AlertError::Time { field, value: shorten(text) });
            }
            Some(Value::Number(number)) => {
                return epoch(number.as_f64().unwrap_or(f64::NAN))
                    .ok_or_else(|| AlertError::Time { field, value: number.to_string() });
            }
            Some(other) => return Err(AlertError::Time { field, value: shorten(&other.to_string()) }),
        }
    }
    Err(AlertError::TimeMissing)
}

fn shorten(text: &str) -> String {
    text.chars().take(80).collect()
}

/// Reads a time as the tools of the field write it: RFC 3339 with any offset, the same without an
/// offset (read as UTC, which is what AWS means by it), or epoch seconds.
pub fn parse_time(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(at);
    }
    // `+0000`, which AWS writes for Lambda's LastModified and Python for log times.
    if let Ok(at) =
        jiff::fmt::strtime::parse("%Y-%m-%dT%H:%M:%S%.f%z", text).and_then(|time| time.to_timestamp())
    {
        return Some(at);
    }
    // `Mon Apr 23 21:26:40 UTC 2018`, which CodeDeploy writes.
    let usual = text.parse().or_else(|_| jiff::civil::DateTime::strptime("%a %b %d %H:%M:%S UTC %Y", text));
    if let Ok(civil) = usual {
        return civil.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    }
    text.parse::<f64>().ok().and_then(epoch)
}

/// Epoch seconds, or milliseconds where seconds would be past the year 5000. Years outside
/// 2000 to 2100 are refused: they are another unit or another thing.
fn epoch(number: f64) -> Option<Timestamp> {
    const YEAR_2000: f64 = 946_684_800.0;
    const YEAR_2100: f64 = 4_102_444_800.0;
    let seconds = if number > 1e11 { number / 1000.0 } else { number };
    if !(YEAR_2000..YEAR_2100).contains(&seconds) {
        return None;
    }
    Timestamp::from_millisecond((seconds * 1000.0).round() as i64).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn wrapped_and_bare_bodies_are_the_same_alert() {
        let wrapped =
            Alert::from_body(br#"{"alert":{"service":"checkout","triggered_at":"2026-02-06T12:15:00Z"}}"#);
        let bare = Alert::from_body(br#"{"service":"checkout","triggered_at":"2026-02-06T12:15:00Z"}"#);
        assert_eq!(wrapped, bare);
        assert_eq!(wrapped.unwrap().at, at("2026-02-06T12:15:00Z"));
    }

    #[test]
    fn any_offset_is_read() {
        for text in [
            "2026-02-06T17:45:00+05:30",
            "2026-02-06T12:15:00.000+0000",
            "2026-02-06T12:15:00",
            "1770380100",
            "1770380100000",
        ] {
            assert_eq!(parse_time(text), Some(at("2026-02-06T12:15:00Z")), "{text}");
        }
    }

    #[test]
    fn the_field_that_cannot_be_read_is_named() {
        assert_eq!(Alert::from_body(br#"{"triggered_at":"2026-02-06T12:15:00Z"}"#), Err(AlertError::Service));
        assert_eq!(Alert::from_body(br#"{"service":"a"}"#), Err(AlertError::TimeMissing));
        assert!(matches!(
            Alert::from_body(br#"{"service":"a","startsAt":"yesterday-ish"}"#),
            Err(AlertError::Time { field: "startsAt", .. })
        ));
        assert!(matches!(Alert::from_body(b"\xff\xfe"), Err(AlertError::NotJson(_))));
        assert_eq!(Alert::from_body(b"[]"), Err(AlertError::NotAnObject));
    }

    #[test]
    fn a_symptom_is_read_from_words() {
        assert_eq!(Symptom::from_words("latency_p99"), Some(Symptom::Latency));
        assert_eq!(Symptom::from_words("HTTPCode_Target_5XX_Count"), Some(Symptom::Errors));
        assert_eq!(Symptom::from_words("MemoryUtilization"), Some(Symptom::Saturation));
        assert_eq!(Symptom::from_words("orders placed"), None);
    }
}
