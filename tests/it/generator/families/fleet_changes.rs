//! Incidents that a change outside the service's own versions caused.
//!
//! The rule that is not obvious: no version tells these apart, so what speaks for them is the
//! resource that they touch, the error that fits it, and the time.

use super::super::model::{Failure, Fault, FaultKind, Knobs, Transition};
use super::super::names::{self, Role, Spelling};
use super::super::settings;
use super::super::stage::{Gauge, Stage};
use super::Truth;

type Turn = Box<dyn Fn(&mut Knobs)>;

/// From `from` on, within `ramp` seconds, everything runs with other knobs.
fn overlay(stage: &mut Stage, from: i64, ramp: i64, turn: impl Fn(&mut Knobs) + 'static) {
    stage.transitions.push(Transition {
        from,
        ramp,
        weight: 1.0,
        until: None,
        version: None,
        turn: Box::new(turn),
    });
}

fn breaks(failure: Failure, share: f64) -> impl Fn(&mut Knobs) + 'static {
    move |knobs| {
        knobs.broken = share;
        knobs.broken_by = failure;
    }
}

pub fn flag_turned(stage: &mut Stage) -> Truth {
    let leaf = names::key(&mut stage.random, Role::Toggle, Spelling::Camel);
    let key = if stage.random.chance(0.35) { format!("rollout.{leaf}") } else { leaf };
    let service = stage.fleet.name.clone();
    let seconds = stage.random.choose(&[30, 60, 120, 300]);
    let at = stage.onset - stage.random.whole(5, 60);
    let share = stage.share(0.1, 0.7);
    let failure = stage.random.choose(&[Failure::Exception, Failure::Exception, Failure::Opaque]);
    let id = settings::flag(stage, &service, &key, at, seconds, ("false", "true"));
    overlay(stage, at, seconds, breaks(failure, share));
    let most = if failure == Failure::Opaque { 0.97 } else { 1.0 };
    Truth::change(vec![id], &[&key], "yes", most)
}

pub fn parameter_put(stage: &mut Stage) -> Truth {
    let role = stage.random.choose(&[Role::Endpoint, Role::Store, Role::ClientTimeout]);
    let before = names::value(&mut stage.random, role);
    let leaf = names::key(&mut stage.random, role, Spelling::Snake).replace('_', "-");
    let name = format!("/{}/{leaf}", stage.fleet.name);
    let (after, turn): (String, Turn) = match role {
        Role::Endpoint => {
            stage.host = format!("{}-retired.internal", stage.random.hex(5));
            (stage.host.clone(), Box::new(breaks(Failure::Unresolved, stage.random.between(0.2, 0.9))))
        }
        Role::Store => {
            stage.store = format!("{}-copy", before.trim_end_matches("-live"));
            (stage.store.clone(), Box::new(breaks(Failure::Missing, stage.random.between(0.2, 0.9))))
        }
        _ => {
            let limit = (stage.upstream_ms * stage.random.between(0.8, 1.5)).round();
            (limit.to_string(), Box::new(move |knobs: &mut Knobs| knobs.client_timeout_ms = limit))
        }
    };
    let refresh = stage.random.choose(&[20, 60, 180, 300]);
    let at = stage.onset - stage.random.whole(5, 60);
    let id = settings::parameter(stage, &name, &[&before, &after], at);
    settings::parameter_reads(stage, &name, stage.onset);
    overlay(stage, at, refresh, turn);
    Truth::change(vec![id], &[&name], "yes", 1.0)
}

pub fn secret_replaced(stage: &mut Stage) -> Truth {
    let at = stage.onset - stage.random.whole(20, 120);
    let id = settings::secret(stage, at);
    let share = stage.share(0.2, 0.9);
    overlay(stage, stage.onset, 180, breaks(Failure::CredentialRejected, share));
    Truth::change(vec![id], &[], "either", 0.97)
}

pub fn permission_removed(stage: &mut Stage) -> Truth {
    let at = stage.onset - stage.random.whole(10, 60);
    let id = settings::permission(stage, at);
    let share = stage.share(0.2, 0.95);
    overlay(stage, stage.onset, 60, breaks(Failure::Denied, share));
    Truth::change(vec![id], &[], "either", 0.97)
}

pub fn network_closed(stage: &mut Stage) -> Truth {
    let at = stage.onset - stage.random.whole(2, 30);
    let id = settings::network(stage, at);
    let share = stage.share(0.3, 0.95);
    overlay(stage, stage.onset, 90, breaks(Failure::Unreachable, share));
    Truth::change(vec![id], &[], "either", 0.97)
}

pub fn database_limited(stage: &mut Stage) -> Truth {
    let at = stage.onset - stage.random.whole(10, 90);
    let sessions = stage.random.choose(&[20, 30, 50]);
    let id = settings::database(stage, at, sessions);
    stage.gauges.push(Gauge::DatabaseSessions);
    stage.gauges.dedup();
    let share = stage.share(0.15, 0.6);
    overlay(stage, stage.onset, 120, breaks(Failure::TooManySessions, share));
    Truth::change(vec![id], &["max_connections"], "either", 0.97)
}

pub fn concurrency_reserved(stage: &mut Stage) -> Truth {
    stage.become_function();
    let rate = stage.random.between(900.0, 5000.0);
    stage.load(rate);
    stage.knobs.concurrency = 1e9;
    let in_flight = rate / 60.0
        * (stage.knobs.base_ms + stage.upstream_ms + (1.0 - stage.knobs.hit) * stage.knobs.db_ms)
        / 1000.0;
    let limit = (in_flight * stage.random.between(0.3, 0.75)).floor().max(1.0);
    let at = stage.onset - stage.random.whole(2, 20);
    let id = settings::concurrency(stage, at, limit as i64);
    overlay(stage, at, 5, move |knobs| knobs.concurrency = limit);
    Truth::change(vec![id], &["ReservedConcurrentExecutions"], "either", 1.0)
}

/// A service that this one calls shipped something bad.
pub fn dependency_released(stage: &mut Stage) -> Truth {
    let name = stage.dependencies[0].name.clone();
    let actor = stage.trail.pipeline(&mut stage.random);
    let at = stage.onset - stage.random.whole(15, 120);
    let ids = if stage.dependencies[0].lambda {
        stage.trail.other_function(&mut stage.random, &actor, at, &name)
    } else {
        stage.trail.other_task(&mut stage.random, &actor, at, &name)
    };
    let share = stage.share(0.2, 0.8);
    stage.faults.push(Fault {
        kind: FaultKind::DependencyFails { which: 0, share },
        from: stage.onset,
        ramp: 60,
        until: None,
        repeats: &[],
    });
    Truth::change(ids, &[], "either", 0.97)
}
