//! `metrics.json`: the request and the response of `aws cloudwatch get-metric-data`, joined by `Id`.
//!
//! The rule that is not obvious: a period that had not begun by `now` is not known, holes stay
//! holes, and a value that is not a finite number is a hole too.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::Reading;
use super::document::{self, Number, Text, Time};
use crate::domain::evidence::{Gap, Series};

const FILE: &str = "metrics.json";
const QUERIES: &str = "MetricDataQueries";
const RESULTS: &str = "MetricDataResults";

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow, default, rename = "MetricDataQueries")]
    queries: Option<Vec<Query<'a>>>,
    #[serde(borrow, default, rename = "MetricDataResults")]
    results: Option<Vec<Answer<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Query<'a> {
    #[serde(borrow, default)]
    id: Text<'a>,
    #[serde(borrow)]
    metric_stat: Option<MetricStat<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MetricStat<'a> {
    #[serde(borrow)]
    metric: Metric<'a>,
    #[serde(default)]
    period: Number,
    #[serde(borrow, default)]
    stat: Text<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Metric<'a> {
    #[serde(borrow, default)]
    namespace: Text<'a>,
    #[serde(borrow, default, rename = "MetricName")]
    name: Text<'a>,
    #[serde(borrow, default)]
    dimensions: Option<Vec<Dimension<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Dimension<'a> {
    #[serde(borrow, default)]
    name: Text<'a>,
    #[serde(borrow, default)]
    value: Text<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer<'a> {
    #[serde(borrow, default)]
    id: Text<'a>,
    #[serde(default)]
    timestamps: Option<Vec<Time>>,
    #[serde(default)]
    values: Option<Vec<Number>>,
    #[serde(borrow, default)]
    status_code: Text<'a>,
}

/// What came out of the file, before it is joined.
#[derive(Default)]
struct Joined {
    /// By `Id`, in the order of the request.
    order: Vec<String>,
    answered: BTreeSet<String>,
    series: BTreeMap<String, Series>,
    /// Queries that are not of a metric, or cannot be read.
    broken_queries: usize,
    broken_results: usize,
    /// Answers to no question, and answers that CloudWatch itself calls incomplete.
    unasked: usize,
    partial: usize,
    unreadable_points: usize,
}

pub(super) fn read(reading: &mut Reading<'_>, now: Timestamp) -> Option<Vec<Series>> {
    let bytes = reading.bytes("metrics", FILE)?;
    let bytes = document::without_mark(&bytes);
    let mut joined = Joined::default();
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Some(Vec::new());
    }
    let whole = serde_json::from_slice::<Document<'_>>(bytes);
    let damaged = whole.is_err();
    match whole {
        Ok(document) => {
            for query in document.queries.unwrap_or_default() {
                joined.ask(query);
            }
            for answer in document.results.unwrap_or_default() {
                joined.answer(answer, now);
            }
        }
        Err(_) => joined.salvage(reading, bytes, now),
    }
    let series = joined.finish(reading);
    // Where not one point could be saved, metrics were not read; that nothing was measured is another statement.
    (!damaged || series.iter().any(|series| !series.points.is_empty())).then_some(series)
}

impl Joined {
    fn salvage(&mut self, reading: &mut Reading<'_>, bytes: &[u8], now: Timestamp) {
        // An object without either list is no answer at all; one without results is an answer of nothing.
        let queries = document::elements(bytes, &[QUERIES]);
        let results = document::elements(bytes, &[RESULTS]);
        if queries.truncated || results.truncated || (results.values.is_empty() && results.broken > 0) {
            reading.gaps.push(Gap::new(
                "metrics",
                format!(
                    "{FILE} ends in the middle or is not JSON: {} series could be read, the rest is missing",
                    results.values.len()
                ),
            ));
        }
        if queries.damaged || results.damaged {
            reading.gaps.push(Gap::new(
                "metrics",
                format!("{FILE} is damaged: {} series could be read", results.values.len()),
            ));
        }
        if !results.values.is_empty() {
            self.broken_results += results.broken;
        }
        if !queries.values.is_empty() {
            self.broken_queries += queries.broken;
        }
        for value in &queries.values {
            match Query::deserialize(value) {
                Ok(query) => self.ask(query),
                Err(_) => self.broken_queries += 1,
            }
        }
        for value in &results.values {
            match Answer::deserialize(value) {
                Ok(answer) => self.answer(answer, now),
                Err(_) => self.broken_results += 1,
            }
        }
    }

    fn ask(&mut self, query: Query<'_>) {
        let id = query.id.0.into_owned();
        let Some(stat) = query.metric_stat else {
            self.broken_queries += 1;
            return;
        };
        let mut dimensions: Vec<(String, String)> = stat
            .metric
            .dimensions
            .unwrap_or_default()
            .into_iter()
            .map(|dimension| (dimension.name.0.into_owned(), dimension.value.0.into_owned()))
            .collect();
        dimensions.sort();
        let series = Series {
            namespace: stat.metric.namespace.0.into_owned(),
            metric: stat.metric.name.0.into_owned(),
            dimensions,
            stat: stat.stat.0.into_owned(),
            period: stat.period.0.filter(|period| *period >= 1.0).map_or(60, |period| period as u32),
            points: Vec::new(),
        };
        if series.metric.is_empty() || self.series.contains_key(&id) {
            self.broken_queries += 1;
            return;
        }
        self.order.push(id.clone());
        self.series.insert(id, series);
    }

    fn answer(&mut self, answer: Answer<'_>, now: Timestamp) {
        let Some(series) = self.series.get_mut(answer.id.0.as_ref()) else {
            self.unasked += 1;
            return;
        };
        self.answered.insert(answer.id.0.into_owned());
        if !matches!(answer.status_code.0.as_ref(), "" | "Complete") {
            self.partial += 1;
        }
        let times = answer.timestamps.unwrap_or_default();
        let values = answer.values.unwrap_or_default();
        self.unreadable_points += times.len().abs_diff(values.len());
        for (time, value) in times.into_iter().zip(values) {
            match (time.0, value.0) {
                (Some(at), Some(value)) if at < now => series.points.push((at, value)),
                (Some(_), Some(_)) => {}
                _ => self.unreadable_points += 1,
            }
        }
    }

    fn finish(mut self, reading: &mut Reading<'_>) -> Vec<Series> {
        // A question without an answer was not read. As a series of no values it would tell that nothing failed.
        let asked = self.order.len();
        self.order.retain(|id| self.answered.contains(id));
        for (count, what) in [
            (asked - self.order.len(), "queries have no result"),
            (self.broken_queries, "queries are not of a metric or could not be read"),
            (self.broken_results, "results could not be read"),
            (self.unasked, "results answer no query"),
            (self.partial, "results are incomplete, as CloudWatch itself says"),
            (self.unreadable_points, "data points have no readable time or value"),
        ] {
            if count > 0 {
                reading.gaps.push(Gap::new("metrics", format!("{FILE}: {count} {what}")));
            }
        }
        self.order
            .iter()
            .filter_map(|id| self.series.remove(id))
            .map(|mut series| {
                series.points.sort_by_key(|(at, _)| *at);
                series.points.dedup_by_key(|(at, _)| *at);
                series
            })
            .collect()
    }
}

/// The document that [`read`] reads back to the same series.
pub(super) fn export(series: &[Series]) -> Value {
    let mut queries = Vec::with_capacity(series.len());
    let mut results = Vec::with_capacity(series.len());
    for (at, series) in series.iter().enumerate() {
        let id = format!("m{}", at + 1);
        let dimensions: Vec<Value> = series
            .dimensions
            .iter()
            .map(|(name, value)| serde_json::json!({ "Name": name, "Value": value }))
            .collect();
        let times: Vec<String> = series.points.iter().map(|(at, _)| at.to_string()).collect();
        let values: Vec<f64> = series.points.iter().map(|(_, value)| *value).collect();
        queries.push(serde_json::json!({
            "Id": id,
            "MetricStat": {
                "Metric": {
                    "Namespace": series.namespace,
                    "MetricName": series.metric,
                    "Dimensions": dimensions,
                },
                "Period": series.period,
                "Stat": series.stat,
            },
            "ReturnData": true,
        }));
        results.push(serde_json::json!({
            "Id": id,
            "Label": series.metric,
            "Timestamps": times,
            "Values": values,
            "StatusCode": "Complete",
        }));
    }
    serde_json::json!({ QUERIES: queries, RESULTS: results })
}
