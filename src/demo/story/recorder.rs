//! Writes what the checkout service tells into the account, as Lambda and its telemetry would.
//!
//! The rule that is not obvious: one order is one invocation. Its lines lie in a log stream that
//! carries the version, between `START` and `END`, as Lambda writes them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sha2::Digest as _;

use crate::checkout::{Emission, SERVICE_NAME, Sink, What};
use crate::demo::aws::AwsWorld;

pub const NAMESPACE: &str = "DemoApp";
pub const LOG_GROUP: &str = "/aws/lambda/demo-checkout-service";
pub const ALIAS: &str = "live";
/// Instances of one version that share its traffic, each with its own log stream.
const INSTANCES: usize = 3;
const MEMORY_SIZE_MB: u64 = 512;

/// Orders and failures of one minute.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Minute {
    pub orders: u64,
    pub failures: u64,
    /// Milliseconds of each.
    pub durations: Vec<u64>,
}

/// What was written, minute by minute: for the alarm's text and the page.
#[derive(Debug, Clone, Default)]
pub struct Tally(Arc<Mutex<BTreeMap<i64, Minute>>>);

/// Minutes that the tally keeps.
const TALLY_MINUTES: usize = 360;

impl Tally {
    fn count(&self, at: Timestamp, took: Duration, failed: bool) {
        let mut minutes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let minute = minutes.entry(at.as_second().div_euclid(60)).or_default();
        minute.orders += 1;
        minute.failures += u64::from(failed);
        minute.durations.push(took.as_millis() as u64);
        while minutes.len() > TALLY_MINUTES {
            minutes.pop_first();
        }
    }

    /// The minutes from `from` until before `until` in which orders ended, in order.
    pub fn minutes(&self, from: Timestamp, until: Timestamp) -> Vec<(Timestamp, Minute)> {
        let minutes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        minutes
            .range(from.as_second().div_euclid(60)..until.as_second().div_euclid(60))
            .filter_map(|(minute, tally)| Some((Timestamp::from_second(minute * 60).ok()?, tally.clone())))
            .collect()
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
    world.put_metric(NAMESPACE, name, &[("Service", SERVICE_NAME)], at, value, unit, true);
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
