//! A version that gets its share of the traffic in steps, as pipelines give it: guilty, or only there when something
//! else breaks.
//!
//! The rule that is not obvious: each step is a call of its own, and what a version breaks grows with its share, while
//! what breaks elsewhere fails on the old version as much as on the new one.

use super::super::fleet::Platform;
use super::super::model::{Failure, Knobs, Transition};
use super::super::stage::Stage;
use super::{Truth, world};

const SHARES: [f64; 4] = [0.05, 0.25, 0.5, 1.0];

/// Traffic through an alias, and so much of it that a twentieth can be seen.
fn aliased(stage: &mut Stage) {
    if stage.fleet.platform != Platform::Alias {
        stage.become_aliased();
    }
    let rate = stage.rate.max(900.0);
    stage.load(rate);
}

/// Ships a version whose first share is in effect about at `first`, and widens it every `pause` seconds until now.
fn in_steps(
    stage: &mut Stage,
    first: i64,
    pause: i64,
    turn: impl Fn(&mut Knobs) + Copy + 'static,
) -> Vec<String> {
    let at = first - stage.random.whole(15, 60);
    let mut release = stage.like_now(at);
    release.code = true;
    let mut reached = SHARES[0];
    release.weight = reached;
    stage.sprinkle(&mut release);
    let shipped = stage.ship_turned(release, turn);
    let mut event_ids = shipped.event_ids;
    for (share, step) in SHARES[1..].iter().zip(1..) {
        let at = shipped.effective + step * pause;
        if at > stage.now - 60 {
            break;
        }
        event_ids.push(stage.fleet.widen(&mut stage.random, &mut stage.trail, at, *share));
        // Of what the old version still had.
        let weight = (share - reached) / (1.0 - reached);
        reached = *share;
        stage.transitions.push(Transition {
            from: at,
            ramp: 10,
            weight,
            until: None,
            version: Some(shipped.version.clone()),
            turn: Box::new(turn),
        });
    }
    event_ids
}

pub fn canary_in_steps(stage: &mut Stage) -> Truth {
    aliased(stage);
    let share = stage.random.between(0.3, 0.9);
    let failure = stage.random.choose(&[Failure::Exception, Failure::Exception, Failure::Missing]);
    let (first, pause) = (stage.onset, stage.random.whole(3, 8) * 60);
    let event_ids = in_steps(stage, first, pause, move |knobs| {
        knobs.broken = share;
        knobs.broken_by = failure;
    });
    Truth::change(event_ids, &[], "yes", 1.0)
}

/// One of the steps comes right before a service that it calls breaks.
pub fn outage_during_canary(stage: &mut Stage) -> Truth {
    aliased(stage);
    let pause = stage.random.whole(4, 10) * 60;
    let first = stage.onset - stage.random.whole(30, 200) - stage.random.whole(0, 2) * pause;
    in_steps(stage, first, pause, |_| {});
    if stage.random.chance(0.7) { world::dependency_outage(stage) } else { world::dependency_slow(stage) }
}
