//! The services beside the checkout: two that it calls and three that it does not, with traffic of
//! their own, so that there are dependencies to suspect and controls to compare with.
//!
//! They are no programs, only their traces: metrics and a few log lines, drawn from a seed.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::plot::Health;
use crate::demo::aws::AwsWorld;

/// How often traces are written.
pub const TICK: Duration = Duration::from_secs(5);

pub struct Neighbour {
    pub name: &'static str,
    /// Calls a minute at noon.
    pub per_minute: f64,
    /// Median duration of a call, in milliseconds.
    pub duration_ms: f64,
    pub environment: &'static [(&'static str, &'static str)],
}

/// Called by the checkout.
pub const DEPENDENCIES: [&str; 2] = ["inventory", "payments"];
/// Not called by the checkout.
pub const PEERS: [&str; 3] = ["notifications", "profile", "search"];

pub const NEIGHBOURS: [Neighbour; 5] = [
    Neighbour {
        name: "payments",
        per_minute: 28.0,
        duration_ms: 85.0,
        environment: &[("acquirer", "north"), ("receipt_language", "en"), ("retry_max", "3")],
    },
    Neighbour {
        name: "inventory",
        per_minute: 24.0,
        duration_ms: 40.0,
        environment: &[("batch_size", "50"), ("warehouse", "ams1")],
    },
    Neighbour {
        name: "search",
        per_minute: 34.0,
        duration_ms: 120.0,
        environment: &[("ranking_model", "r12"), ("synonyms", "2025-11")],
    },
    Neighbour {
        name: "profile",
        per_minute: 20.0,
        duration_ms: 30.0,
        environment: &[("cache_ttl_seconds", "300"), ("export_format", "csv")],
    },
    Neighbour {
        name: "notifications",
        per_minute: 14.0,
        duration_ms: 60.0,
        environment: &[("sender_name", "Shop orders")],
    },
];

/// The traces of all neighbours.
pub struct Traces {
    payments: Mutex<Health>,
    random: Mutex<fastrand::Rng>,
    /// Whether log lines are written as well; days long ago have metrics only.
    logs: bool,
}

impl Traces {
    pub fn new(seed: u64, logs: bool) -> Self {
        Self { payments: Mutex::new(Health::WELL), random: Mutex::new(fastrand::Rng::with_seed(seed)), logs }
    }

    pub fn set_payments(&self, health: Health) {
        *self.payments.lock().unwrap_or_else(PoisonError::into_inner) = health;
    }

    /// Writes what happened in the tick that begins at `from`.
    pub fn write(&self, world: &AwsWorld, from: Timestamp) {
        let payments = *self.payments.lock().unwrap_or_else(PoisonError::into_inner);
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        for neighbour in &NEIGHBOURS {
            let health = if neighbour.name == "payments" { payments } else { Health::WELL };
            let mean = neighbour.per_minute * TICK.as_secs_f64() / 60.0;
            for _ in 0..poisson(&mut random, mean) {
                let at = within_tick(from, &mut random);
                self.write_call(world, neighbour, health, at, &mut random);
            }
        }
    }

    fn write_call(
        &self,
        world: &AwsWorld,
        neighbour: &Neighbour,
        health: Health,
        at: Timestamp,
        random: &mut fastrand::Rng,
    ) {
        let failed = random.f64() < health.failing;
        // A product of uniform factors has the long right tail of a service's durations.
        let spread = (0.6 + 0.8 * random.f64()) * (0.7 + 0.6 * random.f64());
        let duration = neighbour.duration_ms * spread * health.slower;
        let dimensions = [("FunctionName", neighbour.name)];
        let error = f64::from(u8::from(failed));
        for (metric, value, unit) in [
            ("Invocations", 1.0, "Count"),
            ("Errors", error, "Count"),
            ("Duration", duration, "Milliseconds"),
        ] {
            world.put_metric("AWS/Lambda", metric, &dimensions, at, value, unit, false);
        }
        if self.logs && (failed || random.u8(..10) == 0) {
            let (level, message) = match (failed, neighbour.name) {
                (true, "payments") => ("ERROR", "acquirer did not answer: connection refused"),
                (true, _) => ("ERROR", "request failed"),
                (false, _) => ("INFO", "request completed"),
            };
            let line = json!({
                "level": level, "message": message, "timestamp": format!("{at:.3}"),
                "service": neighbour.name, "duration_ms": duration.round(),
            });
            let group = format!("/aws/lambda/{}", neighbour.name);
            let stream = format!("{}/[12]{:032x}", at.strftime("%Y/%m/%d"), neighbour.per_minute.to_bits());
            world.put_log(&group, &stream, at, line.to_string());
        }
    }
}

/// A moment within the tick that begins at `from`.
fn within_tick(from: Timestamp, random: &mut fastrand::Rng) -> Timestamp {
    let offset = SignedDuration::from_millis(random.i64(0..TICK.as_millis() as i64));
    from.saturating_add(offset).unwrap_or(from)
}

/// A Poisson number by Knuth's product of uniforms, which is fine for small means.
fn poisson(random: &mut fastrand::Rng, mean: f64) -> u32 {
    let limit = (-mean).exp();
    let (mut product, mut count) = (random.f64(), 0);
    while product > limit {
        product *= random.f64();
        count += 1;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_lie_within_their_tick() {
        let mut random = fastrand::Rng::with_seed(3);
        let from: Timestamp = "2026-02-06T12:00:00Z".parse().unwrap();
        for _ in 0..1000 {
            let at = within_tick(from, &mut random);
            assert!(at >= from && at < crate::checkout::time::later(from, TICK), "{at}");
        }
    }
}
