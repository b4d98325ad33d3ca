//! Incidents that no change caused: demand, dependencies, exhaustion, expiry, the provider, habit, noise.
//!
//! The rule that is not obvious: how strong a fault is follows from the headroom of the simulated
//! service, so that every one of them can be seen by somebody who looks at the right series.

use super::super::fleet::Platform;
use super::super::model::{Failure, Fault, FaultKind, Trouble};
use super::super::names::Role;
use super::super::stage::{Gauge, Stage};
use super::Truth;

pub fn dependency_outage(stage: &mut Stage) -> Truth {
    let share = stage.share(0.12, 0.9);
    let ramp = stage.random.choose(&[5, 60, 180]);
    stage.fault(FaultKind::DependencyFails { which: 0, share }, ramp);
    Truth::nobody(&["dependency"], 1.0)
}

pub fn dependency_slow(stage: &mut Stage) -> Truth {
    let factor = stage.knobs.client_timeout_ms / stage.upstream_ms * stage.random.between(0.35, 1.5);
    let ramp = stage.random.choose(&[5, 120, 300]);
    stage.fault(FaultKind::DependencySlow { which: 0, factor }, ramp);
    Truth::nobody(&["dependency"], 1.0)
}

/// Somebody else's service: no series of it in this account, only what the callers say.
pub fn third_party_outage(stage: &mut Stage) -> Truth {
    let name = stage
        .random
        .pick(&["acquirer-gateway", "maps-partner", "sms-provider", "bureau-score", "carrier-label-api"])
        .to_owned();
    stage.dependencies[0].name = name;
    stage.dependencies[0].measured = false;
    dependency_outage(stage)
}

/// How many times more demand the service can take.
fn headroom(stage: &Stage) -> f64 {
    let per_second = stage.rate / 60.0;
    let knobs = &stage.knobs;
    let pool = knobs.pool / (per_second * (1.0 - knobs.hit) * knobs.db_ms / 1000.0);
    let cpu = knobs.cores / (per_second * knobs.cpu_ms / 1000.0);
    let in_flight =
        per_second * (knobs.base_ms + stage.upstream_ms + (1.0 - knobs.hit) * knobs.db_ms) / 1000.0;
    pool.min(cpu).min(knobs.concurrency / in_flight).min(knobs.threads / in_flight)
}

pub fn surge(stage: &mut Stage) -> Truth {
    let rate = stage.random.between(600.0, 6000.0);
    stage.load(rate);
    let busy = rate / 60.0 * (1.0 - stage.knobs.hit) * stage.knobs.db_ms / 1000.0;
    stage.knobs.pool = stage.knobs.pool.min((busy * 2.6).ceil()).max(3.0);
    if headroom(stage) > 4.0 {
        stage.knobs.pool = (busy / (1.0 - stage.knobs.hit) * 2.2).ceil().max(2.0);
        stage.knobs.hit = 0.0;
    }
    let factor = (headroom(stage) * stage.random.between(1.25, 2.2)).max(1.8);
    let ramp = stage.random.choose(&[20, 120, 420]);
    stage.fault(FaultKind::Surge(factor), ramp);
    Truth::nobody(&["traffic"], 1.0)
}

/// The same number of requests, but heavier ones, most of them from one tenant.
pub fn mix_shift(stage: &mut Stage) -> Truth {
    stage.become_tasks();
    let rate = stage.random.between(600.0, 4000.0);
    stage.load(rate);
    let cpu = rate / 60.0 * stage.knobs.cpu_ms / 1000.0 / stage.knobs.cores;
    let factor = stage.random.between(1.3, 2.0) / cpu;
    stage.fault(FaultKind::Mix(factor), 180);
    stage.heavy = Some((stage.onset, stage.random.between(0.6, 0.85)));
    Truth::nobody(&["traffic"], 0.97)
}

pub fn memory_leak(stage: &mut Stage) -> Truth {
    let hours = stage.random.between(5.0, 20.0);
    stage.knobs.footprint_mb = stage.knobs.memory_mb * stage.random.between(0.3, 0.45);
    let mb_hour = (stage.knobs.memory_mb * 0.98 - stage.knobs.footprint_mb) / hours;
    stage.faults.push(Fault {
        kind: FaultKind::MemoryLeak { mb_hour },
        from: stage.onset - (hours * 3600.0) as i64,
        ramp: 1,
        until: None,
        repeats: &[],
    });
    stage.gauges.push(Gauge::MemoryUsed);
    stage.gauges.dedup();
    Truth::nobody(&["exhaustion"], 1.0)
}

pub fn pool_leak(stage: &mut Stage) -> Truth {
    let rate = stage.random.between(900.0, 6000.0);
    stage.load(rate);
    let hours = stage.random.between(3.0, 12.0);
    let busy = rate / 60.0 * (1.0 - stage.knobs.hit) * stage.knobs.db_ms / 1000.0;
    let per_hour = (1.0 - busy / stage.knobs.pool * 1.02).max(0.05) / hours;
    stage.faults.push(Fault {
        kind: FaultKind::PoolLeak { per_hour },
        from: stage.onset - (hours * 3600.0) as i64,
        ramp: 1,
        until: None,
        repeats: &[],
    });
    let size = stage.knobs.pool.to_string();
    stage.holds(Role::Pool, &size);
    stage.gauges.push(Gauge::PoolUsed);
    stage.gauges.dedup();
    Truth::nobody(&["exhaustion"], 1.0)
}

fn fills(stage: &mut Stage, failure: Failure) -> Truth {
    let per_hour = stage.random.between(1.5, 12.0);
    let hours = stage.random.between(6.0, 40.0).min(70.0 / per_hour);
    let start = 99.0 - per_hour * hours;
    stage.faults.push(Fault {
        kind: FaultKind::Fills { start, per_hour, failure },
        from: stage.onset - (hours * 3600.0) as i64,
        ramp: 1,
        until: None,
        repeats: &[],
    });
    if stage.random.chance(0.85) {
        stage.gauges.push(Gauge::Filled);
    }
    Truth::nobody(&["exhaustion"], 1.0)
}

pub fn disk_full(stage: &mut Stage) -> Truth {
    fills(stage, Failure::DiskFull)
}

pub fn quota_used_up(stage: &mut Stage) -> Truth {
    fills(stage, Failure::QuotaUsedUp)
}

fn struck(stage: &mut Stage, failure: Failure, low: f64, high: f64, ramp: i64) {
    let share = stage.share(low, high);
    stage.fault(FaultKind::Struck { failure, share }, ramp);
}

pub fn certificate_expired(stage: &mut Stage) -> Truth {
    stage.onset = stage.onset.div_euclid(60) * 60;
    struck(stage, Failure::CertificateExpired, 0.2, 1.0, 240);
    stage.certificate_days = 0.0;
    Truth::nobody(&["expiry"], 1.0)
}

pub fn token_expired(stage: &mut Stage) -> Truth {
    struck(stage, Failure::TokenExpired, 0.2, 0.9, 60);
    Truth::nobody(&["expiry"], 1.0)
}

pub fn licence_expired(stage: &mut Stage) -> Truth {
    struck(stage, Failure::LicenceExpired, 0.2, 0.9, 60);
    Truth::nobody(&["expiry"], 1.0)
}

/// The provider's trouble is not this service's alone: others have it in the same minutes.
fn shared(stage: &mut Stage, errors: f64) {
    let (from, until) = (stage.onset, stage.now + 3600);
    for (i, peer) in stage.peers.iter_mut().enumerate() {
        if i == 0 || stage.random.chance(0.5) {
            peer.troubles.push(Trouble {
                from,
                until,
                errors: errors * stage.random.between(0.5, 1.2),
                slower: 1.3,
                demand: 1.0,
            });
        }
    }
}

pub fn zone_lost(stage: &mut Stage) -> Truth {
    stage.zones = true;
    struck(stage, Failure::ZoneLost, 0.2, 0.38, 60);
    shared(stage, 0.25);
    Truth::nobody(&["platform"], 1.0)
}

pub fn failover(stage: &mut Stage) -> Truth {
    struck(stage, Failure::Failover, 0.35, 0.95, 20);
    stage.gauges.push(Gauge::DatabaseSessions);
    stage.gauges.dedup();
    Truth::nobody(&["platform"], 1.0)
}

pub fn provider_errors(stage: &mut Stage) -> Truth {
    struck(stage, Failure::ProviderThrottled, 0.15, 0.7, 120);
    shared(stage, 0.2);
    Truth::nobody(&["platform"], 1.0)
}

/// A job that slows the database at its hour, on each of the days.
fn habit(stage: &mut Stage, repeats: &'static [i64]) -> Truth {
    let rate = stage.random.between(900.0, 6000.0);
    stage.load(rate);
    stage.knobs.threads = 1e9;
    stage.knobs.concurrency = 1e9;
    stage.earlier = true;
    stage.amplitude *= 0.5;
    stage.weekend = 1.0;
    let busy = rate / 60.0 * (1.0 - stage.knobs.hit) * stage.knobs.db_ms / 1000.0;
    let factor = stage.knobs.pool / busy * stage.random.between(1.2, 1.7);
    let ramp = stage.random.choose(&[60, 300]);
    stage.faults.push(Fault {
        kind: FaultKind::DatabaseSlow(factor),
        from: stage.onset,
        ramp,
        until: Some(stage.onset + 7200),
        repeats,
    });
    Truth::nobody(&["recurring"], 1.0)
}

pub fn nightly_job(stage: &mut Stage) -> Truth {
    habit(stage, &[1, 7])
}

pub fn weekly_job(stage: &mut Stage) -> Truth {
    habit(stage, &[7])
}

/// A release that makes the logger louder and nothing worse.
pub fn telemetry_only(stage: &mut Stage) -> Truth {
    let at = stage.before_onset();
    let mut release = stage.like_now(at);
    stage.sprinkle(&mut release);
    if let Some(entry) = release.config.iter_mut().find(|entry| entry.role == Role::Harmless) {
        "verbose".clone_into(&mut entry.value);
    }
    release.code = stage.random.chance(0.3);
    let shipped = stage.ship_turned(release, |_| {});
    let level = stage.random.pick(&["error", "error", "warn"]);
    stage.chatter = Some((
        shipped.effective,
        vec![
            (level, "probe: lookup took the slow path"),
            (level, "statement prepared: select id, state from items where id = $1"),
        ],
    ));
    Truth::nobody(&["none"], 1.0)
}

pub fn low_traffic(stage: &mut Stage) -> Truth {
    let rate = stage.random.between(0.2, 0.8);
    stage.load(rate);
    stage.background = (0.0, 0.0);
    let share = stage.random.between(0.3, 0.7);
    stage.fault(FaultKind::Struck { failure: Failure::Opaque, share }, 1);
    Truth::nobody(&["none", "unknown"], 0.8)
}

/// A few bad minutes, and nothing since.
pub fn over_already(stage: &mut Stage) -> Truth {
    let lasted = stage.random.whole(2, 5) * 60;
    stage.onset = stage.now - lasted - stage.random.whole(14, 35) * 60;
    stage.alert_at = stage.onset + lasted + stage.random.whole(30, 240);
    let share = stage.random.between(0.08, 0.4);
    let until = Some(stage.onset + lasted);
    stage.faults.push(Fault {
        kind: FaultKind::Struck { failure: Failure::Opaque, share },
        from: stage.onset,
        ramp: 10,
        until,
        repeats: &[],
    });
    Truth::nobody(&["none", "unknown"], 0.9)
}

/// Errors that name no mechanism, and nothing anywhere that fits their time.
pub fn unexplained(stage: &mut Stage) -> Truth {
    struck(stage, Failure::Opaque, 0.08, 0.6, 90);
    if stage.fleet.platform == Platform::Ecs {
        stage.handled = true;
    }
    Truth::nobody(&["unknown"], 0.7)
}
