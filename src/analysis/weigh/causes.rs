//! The rates of the causes that are not a change, each from the signs that it left.
//!
//! The rule that is not obvious: a sign that was looked for and is absent speaks against its cause.

use super::changes::starts_with;
use crate::analysis::failure::Failure;
use crate::analysis::keys::Direction;
use crate::analysis::logs::phrases::Mechanism;
use crate::analysis::metrics::entities::mean;
use crate::analysis::metrics::{Gauge, Manner};
use crate::analysis::ratios;
use crate::analysis::steps;
use crate::analysis::suspects::Suspect;
use crate::analysis::symptom::Symptom;
use crate::analysis::triggers::events::Kind;
use crate::analysis::triggers::{Drain, Surge, Triggers};
use crate::domain::change::Relation;
use crate::domain::evidence::Evidence;

/// What more than half of the new failing lines say is how the service fails.
const MOSTLY: f64 = 0.5;
/// What three in ten of them say is a part of it: below that, lines of other kinds are the rule and these the chance.
const IN_PART: f64 = 0.3;

/// A sign was looked for where something measures it, and is absent: of what a service calls, and of the ways in which a
/// provider fails, only a part is measured, so that one in five hides.
const ABSENT_WHERE_MEASURED: f64 = 4.0 * ratios::SIGN_ABSENT;

/// Failures that more requests do not make.
const UNRELATED_TO_LOAD: &[Mechanism] = &[
    Mechanism::Code,
    Mechanism::Contract,
    Mechanism::Dns,
    Mechanism::Expired,
    Mechanism::Missing,
    Mechanism::Access,
];

/// Errors of waiting and of room are what too much work looks like; releases and dependencies make them too.
const STRAIN_FITS_DEMAND: f64 = 3.0;
/// Errors of code, names, dates and permits are not made by more requests: one in five surges meets some anyhow.
const DEMAND_DOES_NOT_FIT: f64 = 0.2;
/// Requests are counted and no surge stands out: what is left is demand that is unusual in another way than in number.
const REQUESTS_AS_EVER: f64 = 0.3;
/// A shift in what is asked for, seen in log fields or sizes, per minute: as a surge that began five minutes before,
/// because its own beginning is not known better ([`ratios::SURGE_HURTS`] times [`ratios::trigger_lag`] of 5).
const MIX_SHIFTED: f64 = 0.02;
/// Heavier requests without a word of strain: a quarter, since work that is heavier and harmless is common.
const HEAVIER_UNFELT: f64 = MIX_SHIFTED / 4.0;

/// From this likelihood ratio on the limit that a change cut is the one that is met.
const CUT: f64 = 8.0;
/// Demand grew by less than a limit of it was cut: of resources that are used by a tenth to nine tenths, spread evenly over
/// their orders of magnitude, three in ten of those that a cut by four exhausts would have been by twice the demand as well.
const SMALLER_THAN_A_CUT: f64 = 0.3;

/// A gauge is at its end and the errors name that very resource: two witnesses of one thing.
const GAUGE_AND_ERRORS: f64 = 5.0;
/// A gauge is at its end and the errors tell of something else: one in seven resources runs out behind other words.
const GAUGE_ALONE: f64 = 0.15;
/// How the symptom grows, for what runs out: slowly as its resource does, or at once where the last piece is gone, which
/// is the rarer.
const GROWS_FITS: f64 = 3.0;
const AT_ONCE_FITS_LESS: f64 = 0.4;
/// A slope that began with a change, or stands at a limit that one set, and is nobody's doing: one in fifty.
const BEGUN_BY_A_CHANGE: f64 = 0.02;
/// Latency that creeps up with a quarter more demand is that demand's.
const DEMAND_GREW: f64 = 1.25;
/// AWS says more than once that there is no room, or the errors say that a quota is used up: of how long ago that began
/// nothing is known, so it acts as [`MIX_SHIFTED`] does, and a quota, which is used up over days, half as much.
const ROOM_IS_SHORT: f64 = ratios::LIMIT_HURTS * 0.02;
const QUOTA_IS_SPENT: f64 = ratios::LIMIT_HURTS * 0.01;
/// No gauge shows it, and the errors do not speak of room.
const NOT_SAID: f64 = 0.5;

/// Peers fail while a surge reaches everybody: one time in ten the provider is in trouble beside it.
const EXPLAINED_BY_A_SURGE: f64 = 0.1;

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
    let peers = triggers.zone.as_ref().map_or(0, |zone| zone.peers.len());
    let many = peers >= 2 && triggers.surge.is_none();
    // Several that are called and several that are not, of whom nobody calls the others: not one of them is the cause.
    let all = many && triggers.outages.len() >= 2;
    let mut rate = ratios::BACKGROUND_DEPENDENCY;
    if !triggers.healthy.is_empty() && triggers.outages.is_empty() {
        rate *= ABSENT_WHERE_MEASURED;
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
        } else if is(&triggers.untimed) && share_of(failure, &[M::Timeout]) >= IN_PART {
            // It answers without failures, and nobody measures how slowly.
            rate += ratios::NAMED_BY_ERRORS;
            about.get_or_insert_with(|| name.clone());
        } else if is(&triggers.healthy) || is(&triggers.untimed) {
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
    } else if ours > MOSTLY {
        ratios::OWN_FAULT
    } else {
        1.0
    };
    let one_of_many = match (many, all) {
        (_, true) => ratios::ONE_OF_MANY * ratios::ONE_OF_MANY,
        (true, false) => ratios::ONE_OF_MANY,
        (false, false) => 1.0,
    };
    (rate * ours * one_of_many, about)
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
    let unrelated = share_of(failure, UNRELATED_TO_LOAD);
    let fit = if strained > MOSTLY {
        STRAIN_FITS_DEMAND
    } else if unrelated > MOSTLY {
        DEMAND_DOES_NOT_FIT
    } else {
        1.0
    };
    let mixed = triggers.mix.as_ref().map_or(0.0, |mix| MIX_SHIFTED * (mix.during - mix.before));
    // Fewer or as many requests, each of them several times heavier.
    let mixed = mixed
        + triggers
            .heavier
            .as_ref()
            .map_or(0.0, |_| if strained > IN_PART { MIX_SHIFTED } else { HEAVIER_UNFELT });
    match &triggers.surge {
        Some(surge) => surge.rate * fit + mixed,
        None if triggers.demand_flat.is_some() => ratios::BACKGROUND_TRAFFIC * ratios::SIGN_ABSENT + mixed,
        None => {
            ratios::BACKGROUND_TRAFFIC * if symptom.requests.is_some() { REQUESTS_AS_EVER } else { 1.0 }
                + mixed
        }
    }
}

/// Whether callers who try again are all that there is more of: the surge begins no sooner than the failures and is no
/// larger than they are.
fn is_made_of_retries(surge: &Surge, symptom: &Symptom) -> bool {
    let Some(primary) = symptom.primary.as_ref().filter(|primary| primary.manner == Manner::Failing) else {
        return false;
    };
    let failed: Vec<Option<f64>> = primary
        .values
        .iter()
        .zip(&primary.requests)
        .skip(symptom.begin)
        .map(|(share, all)| share.map(|share| share * all))
        .collect();
    surge.begin >= symptom.first && mean(&failed).is_some_and(|failed| surge.during - surge.before <= failed)
}

/// What is left of a surge that is no demand: callers who try again where code fails, or what a change left no room for.
pub(super) fn left_of_surge(
    suspects: &[Suspect<'_>],
    symptom: &Symptom,
    triggers: &Triggers,
    failure: &Failure,
) -> f64 {
    let Some(surge) = &triggers.surge else { return 1.0 };
    let retried = share_of(failure, UNRELATED_TO_LOAD) > MOSTLY && is_made_of_retries(surge, symptom);
    left_by_cuts(surge, suspects) * if retried { ratios::SIGN_ABSENT } else { 1.0 }
}

/// What is left of a surge where a change cut the very limit that requests fail by. Demand met what the change had left of
/// it; that the errors hold the new limit says that the old one was not reached. Where they hold none, the larger of the
/// two moves is the likelier.
fn left_by_cuts(surge: &Surge, suspects: &[Suspect<'_>]) -> f64 {
    let cuts = |suspect: &&Suspect<'_>| {
        suspect.timing > 0.0
            && !suspect.after_onset
            && suspect.past.is_none()
            && matches!(suspect.change.relation, Relation::Own | Relation::Shared)
    };
    let fits = suspects.iter().filter(cuts).flat_map(|suspect| &suspect.fits);
    fits.filter(|fit| fit.explains())
        .filter_map(|fit| match fit.direction {
            Direction::Down(_) if fit.named.is_some() => Some(ratios::SIGN_ABSENT),
            Direction::Down(factor) if fit.ratio >= CUT && factor >= surge.factor => Some(SMALLER_THAN_A_CUT),
            _ => None,
        })
        .fold(1.0, f64::min)
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
    let fit = if said > IN_PART {
        GAUGE_AND_ERRORS
    } else if drain.sudden {
        // It jumped with the onset, and nothing says that it is what fails.
        0.0
    } else if failure.mechanisms.is_empty() || drain.at_limit {
        1.0
    } else {
        GAUGE_ALONE
    };
    drain.rate * fit * gradual(symptom)
}

/// A slow beginning speaks for what runs out slowly.
fn gradual(symptom: &Symptom) -> f64 {
    let ramp = symptom.primary.as_ref().and_then(|primary| primary.steadiness);
    match ramp {
        Some(steady) if steady < steps::GROWS => GROWS_FITS,
        Some(steady) if steady > steps::AT_ONCE => AT_ONCE_FITS_LESS,
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
        let set = set || suspects.iter().any(|suspect| starts_with(drain, suspect, symptom));
        if set { BEGUN_BY_A_CHANGE } else { 1.0 }
    };
    let crept = triggers.creep.as_ref().filter(|_| {
        triggers.surge.is_none()
            && triggers.outages.is_empty()
            // Whoever is named as the one who does not answer is slow, and nothing of the service's own.
            && triggers.blamed.is_empty()
            && triggers.demand_flat.is_none_or(|flat| flat < DEMAND_GREW)
            && share_of(failure, &[M::Code, M::Contract, M::Expired, M::Provider, M::Dns, M::Access]) < IN_PART
    });
    let crept = crept.map_or(0.0, |creep| creep.rate * begun(creep));
    let Some(drain) = &triggers.drain else {
        if triggers.told.iter().any(|told| told.kind == Kind::Room && told.count >= 2) {
            return ROOM_IS_SHORT + crept;
        }
        if triggers.spent.is_some() {
            // Space and quotas are used up little by little; the errors say it outright.
            return QUOTA_IS_SPENT + crept;
        }
        // A pool or memory that fills slowly shows as a slowly growing symptom, gauge or no gauge.
        let said = share_of(failure, &[M::Memory, M::Pool]) > MOSTLY;
        let hidden = match (triggers.gauges_calm, said && shape > 1.0) {
            (_, true) | (false, _) => 1.0,
            (true, false) => ratios::SIGN_ABSENT,
        };
        return crept
            + ratios::BACKGROUND_EXHAUSTION * hidden * shape * if said { ratios::CAP } else { NOT_SAID };
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
                (true, false) => EXPLAINED_BY_A_SURGE,
                (false, false) => 1.0,
            };
            zone.rate * explained
        }
        None if triggers.peers_calm > 0 => ratios::BACKGROUND_PLATFORM * ABSENT_WHERE_MEASURED,
        None => ratios::BACKGROUND_PLATFORM,
    }
}
