//! Series from CloudWatch: what to ask for, in few calls, and the answers joined.
//!
//! Rule: the newest period is incomplete and a partial sum looks like a collapse, so a period counts
//! only when it ended some time ago. A hole stays a hole: empty is not zero.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, Metric as SdkMetric, MetricDataQuery, MetricStat, ScanBy};
use futures::FutureExt as _;
use jiff::Timestamp;
use tokio::time::Instant;

use super::clients::Clients;
use super::discover::{Measured, Metric};
use super::errors::ReadError;
use super::ledger;
use super::sharing::{Brought, aligned};
use crate::domain::evidence::{Gap, Series};
use crate::domain::measure::statistics;
use crate::domain::trial::{Count, Design};

const ACTION: &str = "cloudwatch:GetMetricData";
/// AWS's own limits for one call.
const QUERIES: usize = 500;
const DATAPOINTS: usize = 100_800;
/// Pages of one call; a whole call's points fit into one or two.
const PAGES: usize = 8;
/// What is read around an alert, and at the same hours of earlier days.
const WINDOW: Duration = Duration::from_hours(3);
const EARLIER_DAYS: [u64; 2] = [1, 7];
/// Standard metrics arrive within about half a minute, high-resolution ones within seconds.
const SETTLES: Duration = Duration::from_secs(30);
const SETTLES_FINE: Duration = Duration::from_secs(3);

/// One statistic of one metric.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Query {
    pub metric: Metric,
    pub stat: String,
    /// Seconds.
    pub period: u32,
}

impl Query {
    /// The same series again, at another period. Metrics of AWS's own namespaces have no finer one than
    /// a minute.
    pub fn of(series: &Series, period: u32) -> Self {
        let metric = Metric {
            namespace: series.namespace.clone(),
            name: series.metric.clone(),
            dimensions: series.dimensions.clone(),
        };
        let period = if series.namespace.starts_with("AWS/") { period.max(60) } else { period };
        Self { metric, stat: series.stat.clone(), period }
    }
}

/// What is asked about a service.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// All of its own metrics.
    pub own: Vec<Query>,
    /// The few that tell how others fare.
    pub others: Vec<Query>,
}

/// What to ask about a service, of its own metrics and of others'.
pub fn plan(measured: &Measured) -> Plan {
    let mut plan = Plan::default();
    let add = |queries: &mut Vec<Query>, metric: &Metric, stats: &[&str]| {
        queries.extend(stats.iter().map(|stat| Query {
            metric: metric.clone(),
            stat: (*stat).to_owned(),
            period: 60,
        }));
    };
    for metric in &measured.own {
        add(&mut plan.own, metric, statistics(&metric.namespace, &metric.name));
    }
    for metric in measured.dependencies.iter().chain(&measured.peers) {
        let stats: &[&str] = match statistics(&metric.namespace, &metric.name) {
            ["p50", ..] => &["p99"],
            ["Maximum", ..] if metric.namespace == "AWS/Lambda" => continue,
            stats => &stats[..1],
        };
        add(&mut plan.others, metric, stats);
    }
    plan.others.retain(|query| !plan.own.contains(query));
    plan
}

/// Reads the plan around `at`, and the same hours one and seven days before. Never fails: what could
/// not be read is a gap, and nothing at all is `None`.
pub async fn read(
    clients: &Clients,
    plan: &Plan,
    at: Timestamp,
    now: Timestamp,
    deadline: Instant,
) -> (Option<Vec<Series>>, Vec<Gap>) {
    let mut gaps = Vec::new();
    let start = at - WINDOW;
    // An alert that is long past is looked at around its own time.
    let end = now.min(at + WINDOW);
    let earlier = EARLIER_DAYS.map(|days| {
        let back = Duration::from_hours(24 * days);
        (Some(days), start - back, end - back)
    });
    let windows: Vec<_> = std::iter::once((None, start, end)).chain(earlier).collect();
    let queries: Vec<Query> = plan.own.iter().chain(&plan.others).cloned().collect();
    let reads = windows.iter().map(|(_, start, end)| async move {
        let (own, others) = tokio::join!(
            fetch(clients, &plan.own, *start, *end, now, deadline),
            shared(clients, &plan.others, (*start, *end), now, deadline),
        );
        // Without its own series a service cannot be judged; without the others', it is judged with a gap.
        let mut fetched = own?;
        match others {
            Ok(points) => {
                let first = plan.own.len();
                fetched.points.extend(points.into_iter().map(|(index, points)| (first + index, points)));
            }
            Err(error) => fetched.gaps.push(error.gap("metrics", "other services")),
        }
        Ok::<Fetched, ReadError>(fetched)
    });
    let mut all: Option<BTreeMap<&Query, BTreeMap<Timestamp, f64>>> = None;
    for ((days, ..), answer) in windows.iter().zip(futures::future::join_all(reads).await) {
        match answer {
            Ok(fetched) => {
                let all = all.get_or_insert_default();
                for (index, points) in fetched.points {
                    if let Some(query) = queries.get(index) {
                        all.entry(query).or_default().extend(points);
                    }
                }
                gaps.extend(fetched.gaps);
            }
            Err(error) => {
                let what = days.map_or("the hours around the alert".to_owned(), |days| {
                    format!("the same hours {days} {} before", if days == 1 { "day" } else { "days" })
                });
                gaps.push(error.gap("metrics", what));
            }
        }
    }
    gaps.sort();
    gaps.dedup();
    (all.map(|all| all.into_iter().map(|(query, points)| series(query, points)).collect()), gaps)
}

/// Reads some series since a moment, to see how they are now: for verifying a recovery. Only whole
/// periods count: one that began before `since` would mix before and after.
///
/// # Errors
/// When CloudWatch cannot be read until the deadline.
pub async fn recent(
    clients: &Clients,
    queries: &[Query],
    since: Timestamp,
    now: Timestamp,
    deadline: Instant,
) -> Result<Vec<Series>, ReadError> {
    if since >= now {
        return Ok(queries.iter().map(|query| series(query, BTreeMap::new())).collect());
    }
    let mut points = fetch(clients, queries, since, now, now, deadline).await?.points;
    for points in points.values_mut() {
        points.retain(|at, _| *at >= since);
    }
    Ok(queries
        .iter()
        .enumerate()
        .map(|(index, query)| series(query, points.remove(&index).unwrap_or_default()))
        .collect())
}

/// Requests and failures by minute of one version behind an alias, as Lambda counts them by the version that it executed.
/// Minutes without a request are left out.
///
/// # Errors
/// When CloudWatch cannot be read until the deadline.
pub async fn executed(
    clients: &Clients,
    design: &Design,
    version: &str,
    (since, until): (Timestamp, Timestamp),
    now: Timestamp,
    deadline: Instant,
) -> Result<Vec<(Timestamp, Count)>, ReadError> {
    let query = |name: &str| Query {
        metric: Metric {
            namespace: "AWS/Lambda".to_owned(),
            name: name.to_owned(),
            dimensions: design.dimensions(version),
        },
        stat: "Sum".to_owned(),
        period: 60,
    };
    // The minute in which it began is counted whole.
    let begin = Timestamp::from_second(since.as_second().div_euclid(60) * 60).unwrap_or(since);
    let read = recent(clients, &[query("Invocations"), query("Errors")], begin, now, deadline).await?;
    let [requests, errors] = read.as_slice() else { return Ok(Vec::new()) };
    let failed: BTreeMap<Timestamp, f64> = errors.points.iter().copied().collect();
    let minutes = requests.points.iter().filter(|(at, requests)| *at <= until && *requests > 0.0);
    let counts = minutes.map(|(at, requests)| {
        let failures = failed.get(at).copied().unwrap_or_default();
        (*at, Count { requests: *requests, failures })
    });
    Ok(counts.collect())
}

fn series(query: &Query, points: BTreeMap<Timestamp, f64>) -> Series {
    Series {
        namespace: query.metric.namespace.clone(),
        metric: query.metric.name.clone(),
        dimensions: query.metric.dimensions.clone(),
        stat: query.stat.clone(),
        period: query.period,
        points: points.into_iter().collect(),
    }
}

#[derive(Default)]
struct Fetched {
    /// By the query's index. A series without points in the window has none here.
    points: BTreeMap<usize, BTreeMap<Timestamp, f64>>,
    gaps: Vec<Gap>,
}

/// One series' points.
pub(super) type Points = BTreeMap<Timestamp, f64>;

/// Points of other services' series, which incidents of the same minutes share, by the query's index.
async fn shared(
    clients: &Clients,
    queries: &[Query],
    (start, end): (Timestamp, Timestamp),
    now: Timestamp,
    deadline: Instant,
) -> Result<BTreeMap<usize, Points>, ReadError> {
    if queries.is_empty() {
        return Ok(BTreeMap::new());
    }
    let (first, last) = aligned(start, end);
    let keys: Vec<String> =
        queries.iter().map(|query| format!("{} {} {query:?}", first.as_second(), last.as_second())).collect();
    let by_key: Arc<BTreeMap<String, Query>> =
        Arc::new(keys.iter().cloned().zip(queries.iter().cloned()).collect());
    let ask = |missing: Vec<String>| {
        let (clients, by_key) = (clients.clone(), by_key.clone());
        async move {
            let asked: Vec<Query> = missing.iter().filter_map(|key| by_key.get(key).cloned()).collect();
            let mut fetched = fetch(&clients, &asked, first, last, now, deadline).await?;
            let points = |(index, key)| (key, fetched.points.remove(&index).unwrap_or_default());
            let answers = missing.into_iter().enumerate().map(points).collect();
            Ok(Brought { answers, whole: fetched.gaps.is_empty() })
        }
        .boxed()
    };
    let mut answers = clients.shared.series.all(keys.clone(), ACTION, deadline, ask).await?;
    let wanted = keys.iter().enumerate().filter_map(|(index, key)| {
        let mut points = answers.remove(key)?;
        points.retain(|at, _| (start..=end).contains(at));
        Some((index, points))
    });
    Ok(wanted.collect())
}

/// Reads one window in as few calls as the limits allow.
async fn fetch(
    clients: &Clients,
    queries: &[Query],
    start: Timestamp,
    end: Timestamp,
    now: Timestamp,
    deadline: Instant,
) -> Result<Fetched, ReadError> {
    let seconds = (end.as_second() - start.as_second()).max(1);
    let finest = queries.iter().map(|query| query.period).min().unwrap_or(60).max(1);
    let points_each = usize::try_from(seconds / i64::from(finest)).unwrap_or(usize::MAX).saturating_add(2);
    let per_call = (DATAPOINTS / points_each).clamp(1, QUERIES);
    let calls = queries.chunks(per_call).enumerate().map(|(index, chunk)| {
        let first = index * per_call;
        async move { call(clients, chunk, first, (start, end), now, deadline).await }
    });
    let mut all = Fetched::default();
    for fetched in futures::future::try_join_all(calls).await? {
        all.points.extend(fetched.points);
        all.gaps.extend(fetched.gaps);
    }
    Ok(all)
}

async fn call(
    clients: &Clients,
    queries: &[Query],
    first: usize,
    (start, end): (Timestamp, Timestamp),
    now: Timestamp,
    deadline: Instant,
) -> Result<Fetched, ReadError> {
    let asked: Vec<MetricDataQuery> =
        queries.iter().enumerate().map(|(index, query)| request(query, first + index)).collect();
    let mut fetched = Fetched::default();
    let mut token = None;
    for page in 1.. {
        let call = clients
            .cloudwatch
            .get_metric_data()
            .set_metric_data_queries(Some(asked.clone()))
            .start_time(DateTime::from_millis(start.as_millisecond()))
            .end_time(DateTime::from_millis(end.as_millisecond()))
            .scan_by(ScanBy::TimestampAscending)
            .set_next_token(token);
        ledger::note(|usage| usage.metrics_requested += asked.len() as u64);
        let answer = clients.within(deadline, ACTION, call.send()).await?;
        for result in answer.metric_data_results() {
            let index = result.id().and_then(|id| id.strip_prefix('m')?.parse::<usize>().ok());
            let Some((index, query)) =
                index.and_then(|index| Some((index, queries.get(index.checked_sub(first)?)?)))
            else {
                continue;
            };
            let points = fetched.points.entry(index).or_default();
            for (at, value) in result.timestamps().iter().zip(result.values()) {
                if let Some(at) = at.to_millis().ok().and_then(|at| Timestamp::from_millisecond(at).ok())
                    && value.is_finite()
                    && settled(at, query, now)
                {
                    points.insert(at, *value);
                }
            }
        }
        token = answer.next_token;
        if token.is_none() {
            break;
        }
        if page == PAGES {
            fetched.gaps.push(Gap::new("metrics", "CloudWatch had more points than were read"));
            break;
        }
    }
    Ok(fetched)
}

/// Whether a period that began at `at` is complete.
fn settled(at: Timestamp, query: &Query, now: Timestamp) -> bool {
    let settles = if query.period < 60 { SETTLES_FINE } else { SETTLES };
    at + Duration::from_secs(u64::from(query.period)) + settles <= now
}

fn request(query: &Query, index: usize) -> MetricDataQuery {
    let dimensions = query
        .metric
        .dimensions
        .iter()
        .map(|(name, value)| Dimension::builder().name(name).value(value).build())
        .collect();
    let metric = SdkMetric::builder()
        .namespace(&query.metric.namespace)
        .metric_name(&query.metric.name)
        .set_dimensions(Some(dimensions))
        .build();
    let period = i32::try_from(query.period).unwrap_or(60);
    let stat = MetricStat::builder().metric(metric).period(period).stat(&query.stat).build();
    MetricDataQuery::builder().id(format!("m{index}")).metric_stat(stat).return_data(true).build()
}
