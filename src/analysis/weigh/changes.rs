//! Signs that change hands: an outage or a slope that a change explains is that change's.
//!
//! The rule that is not obvious: what a change explains is taken from the cause that would have it
//! otherwise, so that nothing counts twice.

use super::causes::drained;
use crate::analysis::failure::Failure;
use crate::analysis::keys::{self, Class, Direction};
use crate::analysis::quantities;
use crate::analysis::ratios;
use crate::analysis::suspects::{Harmless, Past, Suspect};
use crate::analysis::symptom::{self, Symptom};
use crate::analysis::triggers::{Drain, Outage, Triggers};
use crate::domain::change::{ChangeKind, Relation};

/// Shares each dependency's outage between that dependency's own changes and 'nobody knows'. What
/// stays unexplained is returned: (name, rate).
pub(super) fn explain_outages(
    suspects: &mut [Suspect<'_>],
    symptom: &Symptom,
    triggers: &Triggers,
    failure: &Failure,
) -> Vec<(String, f64)> {
    let mut unexplained = Vec::new();
    for suspect in suspects.iter_mut() {
        if let Relation::Dependency(name) = &suspect.change.relation
            && triggers.healthy.iter().any(|healthy| healthy.eq_ignore_ascii_case(name))
        {
            // What it changed runs without a scratch.
            suspect.weight *= ratios::SIGN_ABSENT;
        }
    }
    // Outages of the same minutes are one story: whoever calls the one that broke is slow as well.
    let mut left: Vec<&Outage> = triggers.outages.iter().collect();
    while let Some(first) = left.first().copied() {
        let near = symptom.grid.periods(10);
        let (cluster, rest): (Vec<_>, Vec<_>) = left
            .into_iter()
            .partition(|other| other.trouble.rise.begin.abs_diff(first.trouble.rise.begin) <= near);
        left = rest;
        explain_cluster(suspects, symptom, failure, &cluster, &mut unexplained);
    }
    unexplained
}

/// One cluster of outages against the changes of those who are in it. The heaviest stands for all.
fn explain_cluster(
    suspects: &mut [Suspect<'_>],
    symptom: &Symptom,
    failure: &Failure,
    cluster: &[&Outage],
    unexplained: &mut Vec<(String, f64)>,
) {
    let whole_rate = cluster.iter().map(|outage| outage.rate).fold(0.0, f64::max);
    let flooded = cluster.iter().any(|outage| outage.flood.is_some());
    let background = ratios::BACKGROUND_DEPENDENCY * if flooded { 2.0 } else { 20.0 };
    let rates: Vec<f64> = suspects
        .iter()
        .map(|suspect| {
            cluster.iter().map(|outage| explanation(suspect, outage, symptom, failure)).fold(0.0, f64::max)
        })
        .collect();
    let whole = background + rates.iter().sum::<f64>();
    for (suspect, rate) in suspects.iter_mut().zip(&rates) {
        let share = whole_rate * rate / whole;
        let reversal = suspect.reversal.as_ref().map_or(1.0, |reversal| {
            if reversal.minutes.is_some() { ratios::REVERSAL } else { ratios::REVERSAL_FAILED }
        });
        suspect.weight += share * reversal;
        // The dependency's trouble in between is a mechanism, though a weak one.
        if share > suspect.prior && rate / whole > 0.5 {
            suspect.mechanism = suspect.mechanism.max(2.5);
        }
    }
    let all: f64 = cluster.iter().map(|outage| outage.rate).sum();
    for outage in cluster {
        unexplained
            .push((outage.name.clone(), whole_rate * outage.rate / all.max(1e-12) * background / whole));
    }
}

/// The rate at which a change would have caused this outage.
fn explanation(suspect: &Suspect<'_>, outage: &Outage, symptom: &Symptom, failure: &Failure) -> f64 {
    let flooded = outage.flood.filter(|_| suspect.change.relation == Relation::Own);
    let near = match &suspect.change.relation {
        Relation::Dependency(name) if name.eq_ignore_ascii_case(&outage.name) => 1.0,
        // A change of the caller makes it call more, and what is called breaks under it: the called one is
        // the victim, which more calls at a level demand betray.
        Relation::Own if flooded.is_some() => 1.0,
        Relation::Shared => 0.3,
        _ => return 0.0,
    };
    let Some((from, until)) = suspect.effect else { return 0.0 };
    let rise = &outage.trouble.rise;
    let lag = match flooded {
        // Code that calls more calls more as soon as it runs: the calls begin with it, whenever they break something.
        Some((.., begin)) => {
            let began = symptom.grid.second(begin) + symptom.grid.step;
            ratios::trigger_lag((began - until.min(began).max(from)) as f64 / 60.0)
        }
        None => symptom::lag_density(symptom.grid, &rise.posterior, from, until, ratios::change_lag),
    };
    let view = Failure { manner: Some(outage.trouble.manner), ..Failure::default() };
    let fit = suspect
        .change
        .keys
        .iter()
        .map(|key| keys::fit(key, &view).ratio.max(keys::fit(key, failure).ratio))
        .fold(None, |best: Option<f64>, ratio| Some(best.map_or(ratio, |best| best.max(ratio))))
        .unwrap_or(1.0);
    let fit = if suspect.change.no_op {
        ratios::NO_OP
    } else if suspect.harmless == Some(Harmless::Inert) {
        ratios::INERT
    } else if suspect.past == Some(Past::Undone) {
        ratios::UNDONE_BEFORE
    } else {
        fit
    };
    near * ratios::hazard(&suspect.change.kind) * lag * fit
}

/// A slope that began with a change is the change's. How well it explains the failures is the same
/// whoever began it.
pub(super) fn explain_drain(
    suspects: &mut [Suspect<'_>],
    symptom: &Symptom,
    triggers: &Triggers,
    failure: &Failure,
) {
    let drain = triggers.drain.as_ref().map(|drain| (drain, drained(drain, symptom, failure)));
    let creep = triggers.creep.as_ref().map(|creep| (creep, creep.rate));
    // What serves the same work with less since a change has nothing left at the height of the day.
    let strain = triggers.strain.as_ref().map(|strain| (strain, drained(strain, symptom, failure)));
    for (slope, rate) in [drain, creep, strain].into_iter().flatten() {
        for suspect in suspects.iter_mut() {
            if starts_with(slope, suspect, symptom) {
                suspect.weight += rate * 0.5;
                suspect.mechanism = suspect.mechanism.max(4.0);
            }
        }
    }
    let cap = triggers.ceiling.as_ref().map(|ceiling| ceiling.cap);
    let cap = cap.or_else(|| triggers.drain.as_ref().and_then(|drain| drain.cap));
    if let Some(cap) = cap {
        for suspect in suspects.iter_mut() {
            if let Some(key) = sets(suspect, cap) {
                suspect.weight += ratios::LIMIT_HURTS * ratios::trigger_lag(5.0);
                suspect.mechanism = ratios::CAP;
                suspect.cut_off = Some((key, cap));
            }
        }
    }
}

/// Settings of a queue that decide when a message that is being worked on is handed out once more.
const REDELIVERY: &[&str] = &[
    "Attributes.VisibilityTimeout",
    "VisibilityTimeout",
    "Attributes.RedrivePolicy",
    "Attributes.DelaySeconds",
];

/// More work because a schedule or a mapping now starts it more often, or a queue hands its messages out again, is the
/// change's surge, not the customers'. What is left for demand is returned, as a part of it.
pub(super) fn explain_surge(suspects: &mut [Suspect<'_>], symptom: &Symptom, triggers: &Triggers) -> f64 {
    let Some(surge) = &triggers.surge else { return 1.0 };
    let began = symptom.grid.second(surge.begin);
    let slack = 60 + symptom.grid.step;
    let mut left = 1.0;
    for suspect in suspects.iter_mut() {
        let redelivers = suspect.change.keys.iter().any(|key| REDELIVERY.contains(&key.key.as_str()));
        let starts = (suspect.change.kind == ChangeKind::Schedule || redelivers)
            && matches!(suspect.change.relation, Relation::Own | Relation::Shared)
            && !suspect.change.no_op;
        let Some((from, _)) = suspect.effect.filter(|_| starts) else { continue };
        // The next run of a schedule may be some minutes off.
        if from <= began + slack && began - from <= 15 * 60 {
            suspect.weight += surge.rate;
            suspect.mechanism = suspect.mechanism.max(4.0);
            left = ratios::SIGN_ABSENT;
        }
    }
    left
}

/// What expires because a change made it good for a shorter time is the change's. What is left for a date that
/// passed by itself is returned, as a part of it.
pub(super) fn explain_expiry(suspects: &mut [Suspect<'_>], symptom: &Symptom, triggers: &Triggers) -> f64 {
    // The newest of what was given out before the change lives its old life; the first given out since dies young.
    const SLACK: i64 = 15 * 60;
    let Some(expiry) = &triggers.expiry else { return 1.0 };
    let (_, began, latest) = symptom.seconds();
    let mut left = 1.0;
    for suspect in suspects.iter_mut() {
        let near =
            matches!(suspect.change.relation, Relation::Own | Relation::Shared) && !suspect.change.no_op;
        let Some((from, _)) = suspect.effect.filter(|_| near) else { continue };
        let shortened =
            suspect.fits.iter().zip(&suspect.change.keys).filter(|(fit, _)| {
                fit.class == Class::Lifetime && matches!(fit.direction, Direction::Down(_))
            });
        let lives = shortened.map(|(_, key)| {
            let lifetime = key.after.as_deref().and_then(|after| quantities::of_value(after, &key.key));
            // A bare number counts seconds as a rule.
            lifetime.map_or(0, |life| life.milliseconds.map_or(life.number, |millis| millis / 1000.0) as i64)
        });
        let Some(life) = lives.max() else { continue };
        if from <= latest && began - from <= life.max(0) + SLACK {
            suspect.weight += expiry.rate;
            suspect.mechanism = ratios::CAP;
            left = ratios::SIGN_ABSENT;
        }
    }
    left
}

/// The key by which a change set the very limit at which a series is cut off, whenever that was: a pool
/// of nine is felt only at the hour that needs ten.
fn sets(suspect: &Suspect<'_>, cap: f64) -> Option<usize> {
    let near = matches!(suspect.change.relation, Relation::Own | Relation::Shared);
    if !near || suspect.effect.is_none() || suspect.after_onset || suspect.change.no_op {
        return None;
    }
    suspect.change.keys.iter().position(|key| {
        let value = |text: &Option<String>| text.as_deref().and_then(keys::number);
        key.before != key.after && value(&key.after).is_some_and(|after| (after - cap).abs() < 1e-6 * cap)
    })
}

/// Whether a slope began when this change of the service took effect.
pub(super) fn starts_with(drain: &Drain, suspect: &Suspect<'_>, symptom: &Symptom) -> bool {
    // A slope's beginning is known to some minutes only.
    const SLACK: i64 = 20 * 60;
    let (Some(knee), Some((from, until))) = (drain.knee, suspect.effect) else { return false };
    let began = symptom.grid.second(knee);
    suspect.change.relation == Relation::Own
        && !suspect.change.no_op
        && suspect.harmless.is_none()
        && from <= began + SLACK
        && until >= began - SLACK
}
