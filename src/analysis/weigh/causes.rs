//! The rates of the causes that are not a change, each from the signs that it left.
//!
//! The rule that is not obvious: a sign that was looked for and is absent speaks against its cause.

use super::changes::starts_with;
use crate::analysis::keys::Failure;
use crate::analysis::logs::phrases::Mechanism;
use crate::analysis::metrics::Gauge;
use crate::analysis::ratios;
use crate::analysis::suspects::Suspect;
use crate::analysis::symptom::Symptom;
use crate::analysis::triggers::events::Kind;
use crate::analysis::triggers::{Drain, Triggers};
use crate::domain::evidence::Evidence;

fn share_of(failure: &Failure, mechanisms: &[Mechanism]) -> f64 {
    failure.mechanisms.iter().filter(|(found, _)| mechanisms.contains(found)).map(|(_, share)| share).sum()
}

/// Whether one name is the other or a part of it: a host with its port, a host's first label.
fn overlaps(a: &str, b: &str) -> bool {
    a.contains(b) || b.contains(a)
}

pub(super) fn dependency(
    suspects: &[Suspect<'_>],
    outages: &[(String, f64)],
    triggers: &Triggers,
    failure: &Failure,
    evidence: &Evidence,
) -> (f64, Option<String>) {
    use Mechanism as M;
    let ours = share_of(failure, &[M::Code, M::Contract, M::Expired]);
    // Where unrelated services fail as well, a dependency that fails is one of many.
    let many = triggers.zone.as_ref().is_some_and(|zone| zone.peers.len() >= 2) && triggers.surge.is_none();
    let mut rate = ratios::BACKGROUND_DEPENDENCY;
    if !triggers.healthy.is_empty() && triggers.outages.is_empty() {
        rate *= ratios::SIGN_ABSENT * 4.0;
    }
    let mut about = None;
    let best = outages.iter().max_by(|a, b| a.1.total_cmp(&b.1).then_with(|| b.0.cmp(&a.0)));
    if let Some((name, _)) = best {
        about = Some(name.clone());
    }
    for (name, share) in outages {
        let blamed = triggers.blamed.iter().any(|blamed| blamed.eq_ignore_ascii_case(name));
        rate += share * if blamed { ratios::SEEN_AND_NAMED } else { 1.0 };
    }
    let ours_now = |name: &str| {
        suspects.iter().any(|suspect| {
            suspect.timing > 0.0
                && (suspect
                    .fits
                    .iter()
                    .any(|fit| fit.named.as_deref().is_some_and(|value| overlaps(value, name)))
                    || suspect.names_error.as_ref().is_some_and(|(_, value)| overlaps(value, name)))
        })
    };
    // Strangers rarely fail in the same minute: what they share is the way to them.
    let unmeasured = if triggers.scattered { ratios::SCATTERED } else { 1.0 };
    for name in triggers.blamed.iter().filter(|name| !ours_now(name)) {
        let is = |list: &[String]| list.iter().any(|known| known.eq_ignore_ascii_case(name));
        if outages.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
            about = Some(name.clone());
        } else if is(&triggers.untimed) && share_of(failure, &[M::Timeout]) >= 0.3 {
            // It answers without failures, and nobody measures how slowly.
            rate += ratios::NAMED_BY_ERRORS;
            about.get_or_insert_with(|| name.clone());
        } else if is(&triggers.healthy) {
            // It is named and works: the caller's side of the wire is at fault.
        } else if is(&evidence.scope.depends_on) || !name.contains('/') {
            // Nothing measures it; the errors point at it, most of all where it answered.
            let named =
                if triggers.answered { ratios::ANSWERED_WITH_A_FAILURE } else { ratios::NAMED_BY_ERRORS };
            rate += unmeasured * named;
            about.get_or_insert_with(|| name.clone());
        }
    }
    // Tasks that are killed look to their neighbours like a service that does not answer.
    let ours = if failure.own_tasks {
        ratios::SIGN_ABSENT
    } else if ours > 0.5 {
        ratios::OWN_FAULT
    } else {
        1.0
    };
    (rate * ours * if many { ratios::ONE_OF_MANY } else { 1.0 }, about)
}

pub(super) fn traffic(symptom: &Symptom, triggers: &Triggers, failure: &Failure) -> f64 {
    use Mechanism as M;
    let strained = share_of(
        failure,
        &[
            M::Overload,
            M::Throttled,
            M::Pool,
            M::Timeout,
            M::FunctionTimeout,
            M::Upstream,
            M::Memory,
            M::Handles,
        ],
    );
    let unrelated = share_of(failure, &[M::Code, M::Contract, M::Dns, M::Expired, M::Missing, M::Access]);
    let fit = if strained > 0.5 {
        3.0
    } else if unrelated > 0.5 {
        0.2
    } else {
        1.0
    };
    let mixed = triggers.mix.as_ref().map_or(0.0, |mix| 0.02 * (mix.during - mix.before));
    // Fewer or as many requests, each of them several times heavier.
    let mixed = mixed + triggers.heavier.as_ref().map_or(0.0, |_| if strained > 0.3 { 0.02 } else { 0.005 });
    match &triggers.surge {
        Some(surge) => surge.rate * fit + mixed,
        None if triggers.demand_flat.is_some() => ratios::BACKGROUND_TRAFFIC * ratios::SIGN_ABSENT + mixed,
        None => ratios::BACKGROUND_TRAFFIC * if symptom.requests.is_some() { 0.3 } else { 1.0 } + mixed,
    }
}

/// The rate at which a slope that reached the onset starts an incident like this one.
pub(super) fn drained(drain: &Drain, symptom: &Symptom, failure: &Failure) -> f64 {
    use Mechanism as M;
    let said = match drain.gauge {
        Gauge::Memory => share_of(failure, &[M::Memory]),
        Gauge::Disk => share_of(failure, &[M::Disk]),
        Gauge::Connections => share_of(failure, &[M::Pool, M::Handles, M::Timeout, M::Unreachable]),
        Gauge::Queue => share_of(failure, &[M::Overload, M::Timeout]),
        Gauge::Cpu => share_of(failure, &[M::Overload, M::Timeout, M::FunctionTimeout, M::Throttled]),
        Gauge::DaysLeft => 0.0,
        Gauge::Other => share_of(
            failure,
            &[
                M::Handles,
                M::Throttled,
                M::Overload,
                M::Pool,
                M::Memory,
                M::Disk,
                M::Timeout,
                M::FunctionTimeout,
                M::Unreachable,
            ],
        ),
    };
    let fit = if said > 0.3 {
        5.0
    } else if drain.sudden {
        // It jumped with the onset, and nothing says that it is what fails.
        0.0
    } else if failure.mechanisms.is_empty() || drain.at_limit {
        1.0
    } else {
        0.15
    };
    drain.rate * fit * gradual(symptom)
}

/// A slow beginning speaks for what runs out slowly.
fn gradual(symptom: &Symptom) -> f64 {
    let ramp = symptom.primary.as_ref().and_then(|primary| primary.steadiness);
    match ramp {
        Some(steady) if steady < 0.45 => 3.0,
        Some(steady) if steady > 0.8 => 0.4,
        _ => 1.0,
    }
}

pub(super) fn exhaustion(
    suspects: &[Suspect<'_>],
    symptom: &Symptom,
    triggers: &Triggers,
    failure: &Failure,
) -> f64 {
    use Mechanism as M;
    let shape = gradual(symptom);
    // Somebody else's slope, or a slope that a change of the service began, is not exhaustion.
    let begun = |drain: &Drain| {
        let set = drain.cap.is_some() && suspects.iter().any(|suspect| suspect.cut_off.is_some());
        if set || suspects.iter().any(|suspect| starts_with(drain, suspect, symptom)) { 0.02 } else { 1.0 }
    };
    let crept = triggers.creep.as_ref().filter(|_| {
        triggers.surge.is_none()
            && triggers.outages.is_empty()
            // Whoever is named as the one who does not answer is slow, and nothing of the service's own.
            && triggers.blamed.is_empty()
            && triggers.demand_flat.is_none_or(|flat| flat < 1.25)
            && share_of(failure, &[M::Code, M::Contract, M::Expired, M::Provider, M::Dns, M::Access]) < 0.3
    });
    let crept = crept.map_or(0.0, |creep| creep.rate * begun(creep));
    let Some(drain) = &triggers.drain else {
        if triggers.told.iter().any(|told| told.kind == Kind::Room && told.count >= 2) {
            return ratios::LIMIT_HURTS * 0.02 + crept;
        }
        if triggers.spent.is_some() {
            // Space and quotas are used up little by little; the errors say it outright.
            return ratios::LIMIT_HURTS * 0.01 + crept;
        }
        // A pool or memory that fills slowly shows as a slowly growing symptom, gauge or no gauge.
        let said = share_of(failure, &[M::Memory, M::Pool]) > 0.5;
        let hidden = match (triggers.gauges_calm, said && shape > 1.0) {
            (_, true) | (false, _) => 1.0,
            (true, false) => ratios::SIGN_ABSENT,
        };
        return crept + ratios::BACKGROUND_EXHAUSTION * hidden * shape * if said { ratios::CAP } else { 0.5 };
    };
    // What creeps up beside a slope that a change began is that slope's effect.
    (crept + drained(drain, symptom, failure)) * begun(drain)
}

pub(super) fn expiry(triggers: &Triggers, evidence: &Evidence) -> f64 {
    match &triggers.expiry {
        Some(expiry) => expiry.rate,
        None if evidence.logs.is_some() => ratios::BACKGROUND_EXPIRY * ratios::SIGN_ABSENT,
        None => ratios::BACKGROUND_EXPIRY,
    }
}

/// The provider: several unrelated peers fail in the same minutes, or one zone does, or it says so itself.
///
/// Peers alone are weak where something else explains them all: a surge that reaches everybody, or a changed
/// value that the errors repeat, which they read as well or which broke what they call.
pub(super) fn platform(suspects: &[Suspect<'_>], triggers: &Triggers) -> f64 {
    let quoted = suspects.iter().any(|suspect| suspect.timing > 0.0 && suspect.is_quoted());
    match &triggers.zone {
        Some(zone) => {
            let peers_alone = zone.text.is_none() && zone.zone.is_none();
            let explained = match (triggers.surge.is_some(), quoted) {
                _ if !peers_alone => 1.0,
                (_, true) => ratios::SIGN_ABSENT,
                (true, false) => 0.1,
                (false, false) => 1.0,
            };
            zone.rate * explained
        }
        None if triggers.peers_calm > 0 => ratios::BACKGROUND_PLATFORM * ratios::SIGN_ABSENT * 4.0,
        None => ratios::BACKGROUND_PLATFORM,
    }
}
