//! Changes right before somebody else's trouble that cannot have caused it: they gave more of what is short, or were
//! undone before it began.
//!
//! The rule that is not obvious: the trouble meets the service as the change left it, so that errors and configuration agree,
//! and only the direction of the change, or its end, tells that it is innocent.

use super::super::model::{Failure, FaultKind, Knobs};
use super::super::names::{self, Role, Spelling};
use super::super::settings;
use super::super::stage::Stage;
use super::{Truth, world};

/// Ships a release of the settings alone that turned one key, some minutes before the onset.
fn settles(stage: &mut Stage, key: &str, after: &str, turn: impl Fn(&mut Knobs) + 'static) {
    let at = stage.onset - stage.random.whole(2, 25) * 60;
    let mut release = stage.like_now(at);
    for entry in release.config.iter_mut().filter(|entry| entry.key == key) {
        after.clone_into(&mut entry.value);
    }
    stage.ship_turned(release, turn);
}

/// Both values have to be known, or nobody could tell the direction.
fn versioned(stage: &mut Stage) {
    if !stage.versioned() {
        stage.become_aliased();
    }
}

/// A larger pool, and then more demand than even that one holds.
pub fn surge_on_a_larger_pool(stage: &mut Stage) -> Truth {
    versioned(stage);
    let truth = world::surge(stage);
    let size = stage.knobs.pool;
    let before = (size / stage.random.between(1.3, 1.9)).ceil().max(2.0);
    stage.knobs.pool = before;
    let key = stage.holds(Role::Pool, &before.to_string());
    settles(stage, &key, &size.to_string(), move |knobs| knobs.pool = size);
    truth
}

/// More patience with a service that then takes longer than even that.
pub fn slow_despite_patience(stage: &mut Stage) -> Truth {
    versioned(stage);
    let truth = world::dependency_slow(stage);
    let limit = stage.knobs.client_timeout_ms;
    let before =
        (limit / stage.random.between(1.2, 2.0)).max(stage.upstream_ms * 6.0).min(limit * 0.9).round();
    stage.knobs.client_timeout_ms = before;
    let key = stage.holds(Role::ClientTimeout, &before.to_string());
    settles(stage, &key, &limit.to_string(), move |knobs| knobs.client_timeout_ms = limit);
    truth
}

/// Connections are waited for, nothing shows why, and the last release brought more of them.
pub fn waits_despite_a_larger_pool(stage: &mut Stage) -> Truth {
    versioned(stage);
    let size = stage.knobs.pool;
    let before = (size / stage.random.between(1.5, 3.0)).ceil().max(2.0);
    let key = stage.holds_plainly(Role::Pool, &before.to_string());
    settles(stage, &key, &size.to_string(), |_| {});
    let share = stage.share(0.1, 0.6);
    stage.fault(FaultKind::Struck { failure: Failure::PoolWait, share }, 60);
    Truth::nobody(&["unknown", "exhaustion"], 0.75)
}

/// A change that did no harm was taken back, and then something else broke.
pub fn undone_before(stage: &mut Stage) -> Truth {
    let back = stage.onset - stage.random.whole(8, 30) * 60;
    let at = back - stage.random.whole(4, 20) * 60;
    if stage.random.chance(0.5) {
        versioned(stage);
        let mut release = stage.like_now(at);
        release.code = stage.random.chance(0.5);
        stage.sprinkle(&mut release);
        stage.ship_turned(release, |_| {});
        let taken = stage.fleet.back(&mut stage.random, &mut stage.trail, back);
        if let Some(transition) = stage.transitions.last_mut() {
            transition.until = Some(taken);
        }
    } else {
        let service = stage.fleet.name.clone();
        let key = names::key(&mut stage.random, Role::Toggle, Spelling::Camel);
        settings::flag_rolled_back(stage, &service, &key, at, back);
    }
    if stage.random.chance(0.6) { world::dependency_outage(stage) } else { world::unexplained(stage) }
}
