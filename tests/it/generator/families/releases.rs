//! Incidents that a release of the service itself caused.
//!
//! The rule that is not obvious: each shrinks, cuts or breaks something measured against the load of
//! the moment; whether and how badly it shows is left to the simulation.

use super::super::fleet::Platform;
use super::super::model::{Failure, Fault, FaultKind, Transition};
use super::super::names::{self, Role};
use super::super::settings;
use super::super::stage::{Gauge, Stage};
use super::Truth;

/// Connections that the load at the onset keeps busy.
fn busy(stage: &Stage) -> f64 {
    stage.rate / 60.0 * (1.0 - stage.knobs.hit) * stage.knobs.db_ms / 1000.0
}

/// A pool with room to spare, as the configuration names it; returns its key.
fn pool(stage: &mut Stage) -> String {
    let rate = stage.random.between(1500.0, 9000.0);
    stage.load(rate);
    stage.knobs.hit = 0.0;
    stage.knobs.db_ms = stage.random.between(80.0, 260.0);
    stage.knobs.pool = (busy(stage) * stage.random.between(2.0, 3.6)).ceil().max(5.0);
    stage.knobs.threads = 1e9;
    stage.knobs.concurrency = 1e9;
    let size = stage.knobs.pool.to_string();
    let key = stage.holds(Role::Pool, &size);
    if stage.random.chance(0.35) {
        stage.echo = Some(key.clone());
    }
    if stage.random.chance(0.5) {
        stage.gauges.push(Gauge::PoolUsed);
    }
    stage.gauges.dedup();
    key
}

/// The best that can be known of a change whose values AWS keeps, or does not keep.
fn truth(stage: &Stage, event_ids: Vec<String>, keys: &[&str]) -> Truth {
    if stage.versioned() {
        Truth::change(event_ids, keys, "yes", 1.0)
    } else {
        Truth::change(event_ids, &[], "either", 0.97)
    }
}

fn set(config: &mut [names::Entry], key: &str, value: &str) {
    for entry in config.iter_mut().filter(|entry| entry.key == key) {
        value.clone_into(&mut entry.value);
    }
}

pub fn pool_shrunk(stage: &mut Stage) -> Truth {
    let key = pool(stage);
    let size = (busy(stage) * stage.random.between(0.3, 0.8)).floor().max(1.0);
    let at = stage.before_onset();
    let mut release = stage.like_now(at);
    set(&mut release.config, &key, &size.to_string());
    release.code = stage.random.chance(0.4);
    stage.sprinkle(&mut release);
    let shipped = stage.ship_turned(release, move |knobs| knobs.pool = size);
    truth(stage, shipped.event_ids, &[&key])
}

/// Harmless when it is shipped; the daily peak, which the old pool took every day, exposes it.
pub fn pool_shrunk_until_peak(stage: &mut Stage) -> Truth {
    let key = pool(stage);
    stage.earlier = true;
    let peak = stage.random.between(1.45, 1.8);
    let size = (busy(stage) * stage.random.between(1.02, 1.15)).round().max(2.0);
    stage.knobs.pool = stage.knobs.pool.max((busy(stage) * peak * 1.4).ceil());
    let before = stage.knobs.pool.to_string();
    for version in &mut stage.fleet.versions {
        set(&mut version.config, &key, &before);
    }
    let ramp = stage.random.whole(240, 900);
    stage.faults.push(Fault {
        kind: FaultKind::Surge(peak),
        from: stage.onset - ramp / 4,
        ramp,
        until: None,
        repeats: &[1, 7],
    });
    let at = stage.onset - stage.random.whole(18, 100) * 60;
    let mut release = stage.like_now(at);
    set(&mut release.config, &key, &size.to_string());
    stage.sprinkle(&mut release);
    let shipped = stage.ship_turned(release, move |knobs| knobs.pool = size);
    truth(stage, shipped.event_ids, &[&key])
}

fn serverless(stage: &mut Stage) {
    if stage.fleet.platform == Platform::Ecs {
        stage.become_function();
    }
}

pub fn handler_timeout_cut(stage: &mut Stage) -> Truth {
    serverless(stage);
    stage.knobs.base_ms = stage.random.between(1400.0, 6000.0);
    stage.knobs.tail = stage.random.between(0.4, 0.6);
    stage.knobs.concurrency = 1e9;
    stage.knobs.handler_timeout_ms = 60_000.0;
    for version in &mut stage.fleet.versions {
        version.timeout = 60;
    }
    let usual = (stage.knobs.base_ms + stage.knobs.db_ms + stage.upstream_ms) / 1000.0;
    let seconds = (usual * stage.random.between(1.15, 1.7)).round().max(1.0);
    let at = stage.before_onset();
    let mut release = stage.like_now(at);
    release.timeout = seconds as i64;
    release.code = stage.random.chance(0.2);
    let shipped = stage.ship_turned(release, move |knobs| knobs.handler_timeout_ms = seconds * 1000.0);
    let rollback = if stage.versioned() { "yes" } else { "either" };
    Truth::change(shipped.event_ids, &["Timeout"], rollback, 1.0)
}

pub fn client_timeout_cut(stage: &mut Stage) -> Truth {
    let before = stage.knobs.client_timeout_ms.to_string();
    let key = stage.holds(Role::ClientTimeout, &before);
    let limit = (stage.upstream_ms * stage.random.between(0.9, 1.6)).round();
    let at = stage.before_onset();
    let mut release = stage.like_now(at);
    set(&mut release.config, &key, &limit.to_string());
    stage.sprinkle(&mut release);
    if stage.random.chance(0.3) {
        stage.echo = Some(key.clone());
    }
    let shipped = stage.ship_turned(release, move |knobs| knobs.client_timeout_ms = limit);
    truth(stage, shipped.event_ids, &[&key])
}

pub fn memory_cut(stage: &mut Stage) -> Truth {
    serverless(stage);
    for version in &mut stage.fleet.versions {
        version.memory = 1536;
    }
    stage.knobs.memory_mb = 1536.0;
    let left = stage.random.choose(&[256.0, 384.0, 512.0]);
    stage.knobs.footprint_mb = left * stage.random.between(1.0, 1.06);
    stage.gauges.push(Gauge::MemoryUsed);
    stage.gauges.dedup();
    let at = stage.before_onset();
    let mut release = stage.like_now(at);
    release.memory = left as i64;
    let shipped = stage.ship_turned(release, move |knobs| knobs.memory_mb = left);
    let rollback = if stage.versioned() { "yes" } else { "either" };
    Truth::change(shipped.event_ids, &["MemorySize"], rollback, 1.0)
}

pub fn cache_disabled(stage: &mut Stage) -> Truth {
    pool(stage);
    stage.knobs.hit = stage.random.between(0.8, 0.92);
    stage.knobs.pool = (busy(stage) * stage.random.between(1.8, 2.8)).ceil().max(3.0);
    let size = stage.knobs.pool.to_string();
    stage.echo = None;
    stage.holds(Role::Pool, &size);
    let key = stage.holds(Role::CacheTime, "900");
    let left = stage.random.choose(&[0_i64, 1, 2]);
    stage.gauges.push(Gauge::CacheHit);
    let at = stage.before_onset();
    let mut release = stage.like_now(at);
    set(&mut release.config, &key, &left.to_string());
    stage.sprinkle(&mut release);
    let hit = stage.random.between(0.0, 0.08);
    let shipped = stage.ship_turned(release, move |knobs| knobs.hit = hit);
    truth(stage, shipped.event_ids, &[&key])
}

/// An address, a name of a store, an audience or a switch that is wrong.
pub fn misdirected(stage: &mut Stage) -> Truth {
    let role = stage.random.choose(&[Role::Endpoint, Role::Store, Role::Audience, Role::Toggle]);
    let before = names::value(&mut stage.random, role);
    let key = stage.holds(role, &before);
    let (after, failure) = match role {
        Role::Endpoint => (
            format!("{}-old.svc.cluster.internal", stage.random.hex(5)),
            stage.random.choose(&[Failure::Unresolved, Failure::Unreachable]),
        ),
        Role::Store => (format!("{}-stage", before.trim_end_matches("-live")), Failure::Missing),
        Role::Audience => (format!("{before}v2"), Failure::CredentialRejected),
        _ => (if before == "0" { "1" } else { "true" }.to_owned(), Failure::Exception),
    };
    match role {
        Role::Endpoint => stage.host.clone_from(&after),
        Role::Store => stage.store.clone_from(&after),
        _ => {}
    }
    let share = stage.share(0.12, 0.9);
    let at = stage.before_onset();
    let mut release = stage.like_now(at);
    set(&mut release.config, &key, &after);
    release.code = stage.random.chance(0.2);
    stage.sprinkle(&mut release);
    let shipped = stage.ship_turned(release, move |knobs| {
        knobs.broken = share;
        knobs.broken_by = failure;
    });
    truth(stage, shipped.event_ids, &[&key])
}

pub fn limiter_lowered(stage: &mut Stage) -> Truth {
    let generous = (stage.rate * stage.random.between(2.5, 6.0)).round().max(20.0);
    let tight = (stage.rate * stage.random.between(0.35, 0.75)).round().max(5.0);
    stage.knobs.admitted = generous;
    let key = stage.holds(Role::Admitted, &generous.to_string());
    let at = stage.before_onset();
    let mut release = stage.like_now(at);
    set(&mut release.config, &key, &tight.to_string());
    stage.sprinkle(&mut release);
    let shipped = stage.ship_turned(release, move |knobs| knobs.admitted = tight);
    truth(stage, shipped.event_ids, &[&key])
}

pub fn batch_raised(stage: &mut Stage) -> Truth {
    serverless(stage);
    stage.knobs.concurrency = 1e9;
    let key = stage.holds(Role::Batch, "10");
    let factor = (stage.knobs.handler_timeout_ms / stage.knobs.base_ms * stage.random.between(0.7, 1.6))
        .round()
        .clamp(4.0, 400.0);
    stage.knobs.base_ms = stage.knobs.base_ms.max(stage.knobs.handler_timeout_ms / factor * 0.7);
    let at = stage.before_onset();
    let mut release = stage.like_now(at);
    set(&mut release.config, &key, &format!("{}", 10.0 * factor));
    stage.sprinkle(&mut release);
    let shipped = stage.ship_turned(release, move |knobs| knobs.batch = factor);
    truth(stage, shipped.event_ids, &[&key])
}

fn defect(stage: &mut Stage, failure: Failure, weight: f64) -> Vec<String> {
    let share = stage.share(0.08, 0.8);
    let at = stage.before_onset();
    let mut release = stage.like_now(at);
    release.code = true;
    release.weight = weight;
    stage.sprinkle(&mut release);
    let shipped = stage.ship_turned(release, move |knobs| {
        knobs.broken = share;
        knobs.broken_by = failure;
    });
    shipped.event_ids
}

pub fn defect_shipped(stage: &mut Stage) -> Truth {
    let ids = defect(stage, Failure::Exception, 1.0);
    truth(stage, ids, &[])
}

/// Nothing but its time speaks against the release, and that it was a real one.
pub fn defect_without_words(stage: &mut Stage) -> Truth {
    let ids = defect(stage, Failure::Opaque, 1.0);
    let rollback = if stage.versioned() { "yes" } else { "either" };
    Truth::change(ids, &[], rollback, 0.97)
}

pub fn canary_defect(stage: &mut Stage) -> Truth {
    serverless(stage);
    if !stage.versioned() {
        stage.become_aliased();
    }
    stage.rate = stage.rate.max(300.0);
    let rate = stage.rate;
    stage.load(rate);
    let weight = stage.random.choose(&[0.1, 0.15, 0.2, 0.25, 0.3, 0.5]);
    let failure =
        stage.random.choose(&[Failure::Exception, Failure::Exception, Failure::Missing, Failure::Opaque]);
    let at = stage.before_onset();
    let mut release = stage.like_now(at);
    release.code = true;
    release.weight = weight;
    let share = stage.random.between(0.4, 0.95);
    let shipped = stage.ship_turned(release, move |knobs| {
        knobs.broken = share;
        knobs.broken_by = failure;
    });
    Truth::change(shipped.event_ids, &[], "yes", 1.0)
}

pub fn leak_shipped(stage: &mut Stage) -> Truth {
    let hours = stage.random.between(1.2, 2.3);
    let at = stage.onset - (hours * 3600.0) as i64;
    let mut release = stage.like_now(at);
    release.code = true;
    stage.gauges.push(Gauge::MemoryUsed);
    stage.gauges.dedup();
    stage.knobs.footprint_mb = stage.knobs.memory_mb * 0.4;
    let leak = (stage.knobs.memory_mb * 0.985 - stage.knobs.footprint_mb) / hours;
    let shipped = stage.ship_turned(release, move |knobs| knobs.leak_mb_hour = leak);
    let rollback = if stage.versioned() { "yes" } else { "either" };
    Truth::change(shipped.event_ids, &[], rollback, 0.97)
}

/// CloudTrail has not delivered the release yet; versions show it.
pub fn trail_late(stage: &mut Stage) -> Truth {
    if !stage.versioned() {
        stage.become_aliased();
    }
    stage.onset = stage.now - stage.random.whole(7 * 60, 11 * 60);
    stage.alert_at = stage.onset + stage.random.whole(120, 300);
    let mut truth = if stage.random.chance(0.5) { pool_shrunk(stage) } else { misdirected(stage) };
    let shipped_at = stage.fleet.current().at;
    stage.delivered = shipped_at - 1;
    truth.event_ids.clear();
    truth.max_confidence = 0.97;
    truth
}

/// Two releases a few minutes apart; the words and the values speak against one of them.
pub fn two_releases(stage: &mut Stage) -> Truth {
    if !stage.versioned() {
        stage.become_aliased();
    }
    let key = pool(stage);
    let earlier = stage.onset - stage.random.whole(260, 900);
    let mut innocent = stage.like_now(earlier);
    innocent.code = true;
    stage.sprinkle(&mut innocent);
    stage.ship_turned(innocent, |_| {});
    let size = (busy(stage) * stage.random.between(0.3, 0.7)).floor().max(1.0);
    let at = stage.before_onset();
    let mut release = stage.like_now(at);
    set(&mut release.config, &key, &size.to_string());
    let shipped = stage.ship_turned(release, move |knobs| knobs.pool = size);
    Truth::change(shipped.event_ids, &[&key], "yes", 1.0)
}

/// A release and a flag in the same seconds, and errors that fit both and come with both.
pub fn indistinct_pair(stage: &mut Stage) -> Truth {
    if stage.fleet.platform != Platform::Alias {
        stage.become_aliased();
    }
    let share = stage.random.between(0.1, 0.5);
    let at = stage.before_onset();
    let mut release = stage.like_now(at);
    release.code = true;
    let shipped = stage.ship_turned(release, |_| {});
    let key = names::key(&mut stage.random, Role::Toggle, names::Spelling::Camel);
    let service = stage.fleet.name.clone();
    let flag_at = shipped.effective - stage.random.whole(-10, 10);
    let id = settings::flag(stage, &service, &key, flag_at, 30, ("false", "true"));
    stage.transitions.push(Transition {
        from: shipped.effective.max(flag_at) + shipped.ramp,
        ramp: 20,
        weight: 1.0,
        until: None,
        version: None,
        turn: Box::new(move |knobs| {
            knobs.broken = share;
            knobs.broken_by = Failure::Opaque;
        }),
    });
    let mut event_ids = shipped.event_ids;
    event_ids.push(id);
    Truth {
        cause: vec!["deployment", "unknown"],
        event_ids,
        config_keys: Vec::new(),
        rollback: "no",
        max_confidence: 0.7,
    }
}

/// Somebody went back already, and it helped.
pub fn undone_already(stage: &mut Stage) -> Truth {
    if !stage.versioned() {
        stage.become_aliased();
    }
    let lasted = stage.random.whole(7, 14) * 60;
    stage.onset = stage.now - lasted - stage.random.whole(5, 20) * 60;
    stage.alert_at = stage.onset + stage.random.whole(120, 300);
    let ids = match stage.random.whole(0, 2) {
        0 => pool_shrunk(stage).event_ids,
        1 => misdirected(stage).event_ids,
        _ => defect(stage, Failure::Exception, 1.0),
    };
    let back = stage.onset + lasted;
    let taken = stage.fleet.back(&mut stage.random, &mut stage.trail, back);
    if let Some(transition) = stage.transitions.last_mut() {
        transition.until = Some(taken);
    }
    Truth {
        cause: vec!["deployment"],
        event_ids: ids,
        config_keys: Vec::new(),
        rollback: "no",
        max_confidence: 1.0,
    }
}

/// A function that keeps no versions: AWS has forgotten what the value was, and the service's own lines still say it.
pub fn value_in_the_logs(stage: &mut Stage) -> Truth {
    stage.become_unversioned();
    let (role, mut truth) = if stage.random.chance(0.5) {
        (Role::Pool, pool_shrunk(stage))
    } else {
        (Role::ClientTimeout, client_timeout_cut(stage))
    };
    let entry = stage.fleet.current().config.into_iter().find(|entry| entry.role == role);
    stage.echo = entry.map(|entry| entry.key);
    truth.config_keys = stage.echo.iter().cloned().collect();
    truth.max_confidence = 1.0;
    truth
}
