//! Writes what the checkout service tells into the account, as Lambda and its telemetry would.
//!
//! The rule that is not obvious: one order is one invocation. Its lines lie in a log stream that
//! carries the version, between `START` and `END`, as Lambda writes them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sha2::Digest as _;

pub use crate::checkout::METRIC_NAMESPACE as NAMESPACE;
use crate::checkout::{Emission, METRIC_DIMENSION, SERVICE_NAME, Sink, What};
use crate::demo::aws::AwsWorld;

pub const LOG_GROUP: &str = "/aws/lambda/demo-checkout-service";
pub const ALIAS: &str = "live";
/// Instances of one version that share its traffic, each with its own log stream.
const INSTANCES: usize = 3;
const MEMORY_SIZE_MB: u64 = 512;

/// Orders that ended within a span of time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Span {
    pub orders: u64,
    pub failures: u64,
    /// Milliseconds of each.
    pub durations: Vec<u64>,
}

impl Span {
    /// The duration, in milliseconds, that `share` (0 to 1) of the orders do not exceed; 0 without any.
    pub fn percentile(&self, share: f64) -> u64 {
        let mut sorted = self.durations.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() as f64 * share).ceil() as usize;
        sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0)
    }
}

/// What was written, by ten seconds: for the alarm's text and the page.
#[derive(Debug, Clone, Default)]
pub struct Tally(Arc<Mutex<BTreeMap<i64, Span>>>);

/// Seconds of one entry.
const GRAIN: i64 = 10;
/// Entries that the tally keeps: six hours.
const ENTRIES_KEPT: usize = 6 * 360;

impl Tally {
    fn count(&self, at: Timestamp, took: Duration, failed: bool) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.entry(at.as_second().div_euclid(GRAIN)).or_default();
        entry.orders += 1;
        entry.failures += u64::from(failed);
        entry.durations.push(took.as_millis() as u64);
        while entries.len() > ENTRIES_KEPT {
            entries.pop_first();
        }
    }

    /// Spans of `seconds` (a multiple of 10) that lie wholly from `from` until `until`, in order, those
    /// without any order included.
    pub fn spans(&self, from: Timestamp, until: Timestamp, seconds: i64) -> Vec<(Timestamp, Span)> {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first = from.as_second().div_euclid(seconds) * seconds;
        let mut spans = Vec::new();
        let mut start = first;
        while start + seconds <= until.as_second() {
            let mut span = Span::default();
            for (_, entry) in entries.range(start / GRAIN..(start + seconds) / GRAIN) {
                span.orders += entry.orders;
                span.failures += entry.failures;
                span.durations.extend(&entry.durations);
            }
            spans.extend(Timestamp::from_second(start).ok().map(|at| (at, span)));
            start += seconds;
        }
        spans
    }

    pub fn minutes(&self, from: Timestamp, until: Timestamp) -> Vec<(Timestamp, Span)> {
        self.spans(from, until, 60)
    }
}

/// Everything: logs, metrics, invocations.
pub fn full(world: AwsWorld, tally: Tally) -> Sink {
    Sink::new(move |emission| record(&world, &tally, &emission))
}

/// Metrics alone, as they are left of a day that is gone.
pub fn metrics_only(world: AwsWorld) -> Sink {
    Sink::new(move |emission| match emission.what {
        What::Metric { name, value, unit } => put_metric(&world, name, emission.at, value, unit),
        What::Finished { took, failed, .. } => {
            let dimensions = [("FunctionName", SERVICE_NAME)];
            let error = f64::from(u8::from(failed));
            let milliseconds = took.as_secs_f64() * 1000.0;
            for (metric, value, unit) in [
                ("Invocations", 1.0, "Count"),
                ("Errors", error, "Count"),
                ("Duration", milliseconds, "Milliseconds"),
            ] {
                world.put_metric("AWS/Lambda", metric, &dimensions, emission.at, value, unit, false);
            }
        }
        What::Started { .. } | What::Log { .. } => {}
    })
}

fn put_metric(world: &AwsWorld, name: &str, at: Timestamp, value: f64, unit: &str) {
    world.put_metric(NAMESPACE, name, &[(METRIC_DIMENSION, SERVICE_NAME)], at, value, unit, true);
}

fn record(world: &AwsWorld, tally: &Tally, emission: &Emission) {
    let Emission { at, version, what } = emission;
    let log = |request_id: Option<&str>, message: String| {
        world.put_log(LOG_GROUP, &stream(*at, version, request_id), *at, message);
    };
    match what {
        What::Started { request_id } => {
            log(Some(request_id), format!("START RequestId: {request_id} Version: {version}\n"));
        }
        What::Log { request_id, line, .. } => log(request_id.as_deref(), format!("{line}\n")),
        What::Metric { name, value, unit } => put_metric(world, name, *at, *value, unit),
        What::Finished { request_id, took, failed, memory_mib } => {
            let milliseconds = took.as_secs_f64() * 1000.0;
            log(Some(request_id), format!("END RequestId: {request_id}\n"));
            log(
                Some(request_id),
                format!(
                    "REPORT RequestId: {request_id}\tDuration: {milliseconds:.2} ms\tBilled Duration: {} ms\tMemory Size: {MEMORY_SIZE_MB} MB\tMax Memory Used: {memory_mib} MB\t\n",
                    milliseconds.ceil()
                ),
            );
            let started = SignedDuration::try_from(*took).ok().and_then(|took| at.checked_sub(took).ok());
            let started = started.unwrap_or(*at);
            world.record_invocation(SERVICE_NAME, version, Some(ALIAS), started, milliseconds, *failed);
            tally.count(*at, *took, *failed);
        }
    }
}

/// `2026/02/06/[39]` and 32 hexadecimal digits: one of the version's instances, always the same for
/// the same request.
fn stream(at: Timestamp, version: &str, request_id: Option<&str>) -> String {
    let instance =
        request_id.and_then(|id| id.bytes().next()).map_or(0, |byte| usize::from(byte) % INSTANCES);
    let day = at.strftime("%Y/%m/%d").to_string();
    let digest = sha2::Sha256::digest(format!("{day}/{version}/{instance}").as_bytes());
    let instance = digest.iter().take(16).fold(0_u128, |number, &byte| (number << 8) | u128::from(byte));
    format!("{day}/[{version}]{instance:032x}")
}
