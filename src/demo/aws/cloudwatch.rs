//! CloudWatch over rpc-v2-cbor: `GetMetricData`, `ListMetrics`, `PutMetricData`.
//!
//! Rule: metric math and statistics beyond the plain ones are refused, never answered with nothing.

use std::time::Duration;

use ciborium::Value as Cbor;
use jiff::Timestamp;
use serde_json::Value;

use super::metrics::{MetricKey, Sample, Statistic};
use super::wire::{Answer, ApiError, cbor_time, map, text};
use super::world::{Call, State};

/// AWS's own limits.
const QUERIES: usize = 500;
const DATAPOINTS: usize = 100_800;
const LIST_PAGE: usize = 500;
const LIST_REACH: Duration = Duration::from_hours(14 * 24);
const RECENTLY_ACTIVE: Duration = Duration::from_hours(3);

fn refuse(message: impl Into<String>) -> ApiError {
    ApiError::new(400, "ValidationError", message)
}

fn dimensions_of(value: Option<&Value>) -> Result<Vec<(String, Option<String>)>, ApiError> {
    let items = value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    items
        .iter()
        .map(|item| {
            let part = |key: &str| item.get(key).and_then(Value::as_str).map(str::to_owned);
            part("Name").map(|name| (name, part("Value"))).ok_or_else(|| refuse("A dimension needs a Name"))
        })
        .collect()
}

fn key_of(metric: &Value, namespace: Option<&str>) -> Result<MetricKey, ApiError> {
    let part = |key: &str| metric.get(key).and_then(Value::as_str);
    let namespace = namespace.or_else(|| part("Namespace")).ok_or_else(|| refuse("Namespace is required"))?;
    let name = part("MetricName").ok_or_else(|| refuse("MetricName is required"))?;
    let mut dimensions = Vec::new();
    for (name, value) in dimensions_of(metric.get("Dimensions"))? {
        dimensions.push((name, value.ok_or_else(|| refuse("A dimension needs a Value"))?));
    }
    dimensions.sort();
    Ok(MetricKey { namespace: namespace.to_owned(), metric: name.to_owned(), dimensions })
}

struct Query {
    id: String,
    key: MetricKey,
    statistic: Statistic,
    stat: String,
    period: u32,
    label: String,
}

fn read_query(query: &Value) -> Result<Option<Query>, ApiError> {
    let id = query.get("Id").and_then(Value::as_str).unwrap_or_default();
    let well_formed = id.starts_with(|first: char| first.is_ascii_lowercase())
        && id.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    if !well_formed {
        return Err(refuse(format!("The value {id:?} for Id must start with a lower-case letter")));
    }
    let Some(stat) = query.get("MetricStat").filter(|stat| !stat.is_null()) else {
        return Err(refuse("This endpoint does not compute metric math: MetricStat is required"));
    };
    let period = stat.get("Period").and_then(Value::as_u64).unwrap_or_default();
    if !(matches!(period, 1 | 5 | 10 | 20 | 30)
        || (period > 0 && period.is_multiple_of(60) && period <= 86_400))
    {
        return Err(refuse("Period must be 1, 5, 10, 20, 30 or a multiple of 60 seconds"));
    }
    let name = stat.get("Stat").and_then(Value::as_str).unwrap_or_default();
    let statistic =
        Statistic::parse(name).ok_or_else(|| refuse(format!("The statistic {name:?} is not known here")))?;
    let key = key_of(stat.get("Metric").unwrap_or(&Value::Null), None)?;
    if query.get("ReturnData").and_then(Value::as_bool) == Some(false) {
        return Ok(None);
    }
    let label = query.get("Label").and_then(Value::as_str).unwrap_or(&key.metric).to_owned();
    Ok(Some(Query { id: id.to_owned(), key, statistic, stat: name.to_owned(), period: period as u32, label }))
}

/// # Errors
/// `ValidationError` for what AWS refuses, and for what this endpoint cannot compute.
pub fn get_metric_data(state: &State, call: &Call) -> Result<Answer, ApiError> {
    let asked =
        call.input.get("MetricDataQueries").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if asked.is_empty() || asked.len() > QUERIES {
        return Err(refuse("MetricDataQueries must hold 1 to 500 queries"));
    }
    let queries: Vec<Query> =
        asked.iter().map(read_query).filter_map(Result::transpose).collect::<Result<_, _>>()?;
    let mut ids: Vec<&str> = queries.iter().map(|query| query.id.as_str()).collect();
    ids.sort_unstable();
    if ids.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(refuse("The values for Id must be unique"));
    }
    let (Some(start), Some(end)) = (call.time("StartTime"), call.time("EndTime")) else {
        return Err(refuse("StartTime and EndTime are required"));
    };
    if start >= end {
        return Err(refuse("The parameter StartTime must be less than the parameter EndTime"));
    }
    let most =
        call.integer("MaxDatapoints").and_then(|most| usize::try_from(most).ok()).unwrap_or(DATAPOINTS);
    let page = most.clamp(1, DATAPOINTS).min(state.options.metrics_page);
    let ascending = call.text("ScanBy") == Some("TimestampAscending");
    let mut skip = match call.text("NextToken") {
        None => 0,
        Some(token) => token
            .strip_prefix("points-")
            .and_then(|count| count.parse::<usize>().ok())
            .ok_or_else(|| ApiError::new(400, "InvalidNextToken", "The next token specified is invalid"))?,
    };
    let first_page = skip == 0;
    let given = skip;
    let mut room = page;
    let mut cut = false;
    let mut results = Vec::new();
    for query in &queries {
        let window = (start, end);
        let mut points =
            state.metrics.read(&query.key, query.statistic, query.period, window, &state.options, call.at);
        if !ascending {
            points.reverse();
        }
        let whole = points.len();
        let skipped = skip.min(whole);
        skip -= skipped;
        let shown = &points[skipped..];
        let taken = shown.len().min(room);
        room -= taken;
        let complete = taken == shown.len();
        cut |= !complete;
        // A later page holds only the series that go on in it.
        if first_page || (!shown.is_empty() && taken > 0) {
            results.push(show(query, &shown[..taken], complete));
        }
    }
    let mut answer =
        vec![(text("MetricDataResults"), Cbor::Array(results)), (text("Messages"), Cbor::Array(Vec::new()))];
    if cut {
        answer.push((text("NextToken"), text(format!("points-{}", given + page))));
    }
    Ok(Answer::Cbor(Cbor::Map(answer)))
}

fn show(query: &Query, points: &[(Timestamp, f64)], complete: bool) -> Cbor {
    map([
        ("Id", text(&query.id)),
        ("Label", text(format!("{} {}", query.label, query.stat))),
        ("Timestamps", Cbor::Array(points.iter().map(|(at, _)| cbor_time(*at)).collect())),
        ("Values", Cbor::Array(points.iter().map(|(_, value)| Cbor::Float(*value)).collect())),
        ("StatusCode", text(if complete { "Complete" } else { "PartialData" })),
    ])
}

/// # Errors
/// `InvalidParameterValue` for a token that nobody gave out.
pub fn list_metrics(state: &State, call: &Call) -> Result<Answer, ApiError> {
    let wanted = dimensions_of(call.input.get("Dimensions"))?;
    let reach = if call.text("RecentlyActive") == Some("PT3H") { RECENTLY_ACTIVE } else { LIST_REACH };
    let offset = match call.text("NextToken") {
        None => 0,
        Some(token) => {
            token.strip_prefix("metrics-").and_then(|count| count.parse::<usize>().ok()).ok_or_else(|| {
                ApiError::new(400, "InvalidParameterValue", "The next token specified is invalid")
            })?
        }
    };
    let mut found = state
        .metrics
        .list(Some(call.at - reach))
        .filter(|key| {
            call.text("Namespace").is_none_or(|namespace| namespace == key.namespace)
                && call.text("MetricName").is_none_or(|metric| metric == key.metric)
                && wanted.iter().all(|(name, value)| {
                    let same = |(own, own_value): &(String, String)| {
                        own == name && value.as_ref().is_none_or(|value| value == own_value)
                    };
                    key.dimensions.iter().any(same)
                })
        })
        .skip(offset);
    let metrics: Vec<Cbor> = found.by_ref().take(LIST_PAGE).map(show_metric).collect();
    let mut answer = vec![(text("Metrics"), Cbor::Array(metrics))];
    if found.next().is_some() {
        answer.push((text("NextToken"), text(format!("metrics-{}", offset + LIST_PAGE))));
    }
    Ok(Answer::Cbor(Cbor::Map(answer)))
}

fn show_metric(key: &MetricKey) -> Cbor {
    let dimensions =
        key.dimensions.iter().map(|(name, value)| map([("Name", text(name)), ("Value", text(value))]));
    map([
        ("Namespace", text(&key.namespace)),
        ("MetricName", text(&key.metric)),
        ("Dimensions", Cbor::Array(dimensions.collect())),
    ])
}

/// # Errors
/// `InvalidParameterValue` for a datum without a value, or with a namespace of AWS's own.
pub fn put_metric_data(state: &mut State, call: &Call) -> Result<Answer, ApiError> {
    let refuse = |message: &str| ApiError::new(400, "InvalidParameterValue", message);
    let namespace = call.text("Namespace").ok_or_else(|| refuse("Namespace is required"))?.to_owned();
    if namespace.starts_with("AWS/") {
        return Err(refuse("The value AWS/ for parameter Namespace is invalid."));
    }
    let data = call.input.get("MetricData").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut samples = Vec::new();
    for datum in data {
        let key = key_of(datum, Some(&namespace))?;
        let number = |value: Option<&Value>| value.and_then(Value::as_f64).filter(|value| value.is_finite());
        let at_ms = match number(datum.get("Timestamp")) {
            Some(seconds) => (seconds * 1000.0).round() as i64,
            None => call.at.as_millisecond(),
        };
        let high_resolution = datum.get("StorageResolution").and_then(Value::as_u64) == Some(1);
        let before = samples.len();
        if let Some(value) = number(datum.get("Value")) {
            samples.push((key.clone(), Sample::of(at_ms, value, 1.0), high_resolution));
        }
        if let Some(values) = datum.get("Values").and_then(Value::as_array) {
            let counts = datum.get("Counts").and_then(Value::as_array);
            for (index, value) in values.iter().enumerate() {
                let value = number(Some(value)).ok_or_else(|| refuse("Values must be numbers"))?;
                let count = counts.map_or(Some(1.0), |counts| number(counts.get(index)));
                let count = count.ok_or_else(|| refuse("Values and Counts must be of the same size"))?;
                samples.push((key.clone(), Sample::of(at_ms, value, count), high_resolution));
            }
        }
        if let Some(set) = datum.get("StatisticValues").filter(|set| !set.is_null()) {
            let part =
                |key: &str| number(set.get(key)).ok_or_else(|| refuse("StatisticValues are incomplete"));
            let sample = Sample {
                at_ms,
                count: part("SampleCount")?,
                sum: part("Sum")?,
                minimum: part("Minimum")?,
                maximum: part("Maximum")?,
            };
            samples.push((key, sample, high_resolution));
        }
        if samples.len() == before {
            return Err(refuse("A datum needs a Value, Values or StatisticValues"));
        }
    }
    for (key, sample, high_resolution) in samples {
        state.metrics.put_sample(key, sample, high_resolution);
    }
    Ok(Answer::Cbor(Cbor::Map(Vec::new())))
}
