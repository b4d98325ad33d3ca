//! Competing risks: every change and every other cause starts incidents at a rate; the posterior
//! shares the mass among them.
//!
//! No window has an edge, overlapping changes share, a busy account lowers everyone, and 'unknown'
//! is a candidate. The rule that is not obvious: ceilings come after the arithmetic and only ever
//! move mass to 'unknown', so that what could not be checked is not believed.

use super::keys::{self, Failure};
use super::logs::phrases::Mechanism;
use super::metrics::{Gauge, Manner};
use super::ratios;
use super::suspects::Suspect;
use super::symptom::{self, Symptom};
use super::triggers::Triggers;
use crate::domain::change::Relation;
use crate::domain::evidence::Evidence;
use crate::domain::report::Cause;

/// One row of the posterior.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub cause: Cause,
    /// Index into the suspects.
    pub suspect: Option<usize>,
    pub about: Option<String>,
    pub probability: f64,
}

/// Which ceiling held the leader down, for the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ceiling {
    TimingAlone,
    SourceMissing,
    WithoutProof,
}

#[derive(Debug, Clone)]
pub struct Weighed {
    /// Best first; sums to 1.
    pub rows: Vec<Row>,
    pub ceiling: Option<Ceiling>,
    /// The symptom was over before now, and not because a change was undone.
    pub over: bool,
}

pub fn weigh(
    suspects: &mut [Suspect<'_>],
    symptom: &Symptom,
    triggers: &Triggers,
    failure: &Failure,
    evidence: &Evidence,
) -> Weighed {
    let outages = explain_outages(suspects, symptom, triggers, failure);
    explain_drain(suspects, symptom, triggers, failure);
    let mut rows: Vec<Row> = suspects
        .iter()
        .enumerate()
        .filter(|(_, suspect)| suspect.weight > 0.0)
        .map(|(index, suspect)| Row {
            cause: Cause::Deployment,
            suspect: Some(index),
            about: Some(suspect.change.resource.clone()),
            probability: suspect.weight,
        })
        .collect();
    let other = |cause: Cause, about: Option<String>, rate: f64| Row {
        cause,
        suspect: None,
        about,
        probability: rate,
    };
    let (dependency, named) = dependency(suspects, &outages, triggers, failure, evidence);
    rows.push(other(Cause::Dependency, named, dependency));
    rows.push(other(Cause::Traffic, None, traffic(symptom, triggers, failure)));
    let drained = triggers.drain.as_ref().map(|drain| drain.gauge.describe().to_owned());
    rows.push(other(Cause::Exhaustion, drained, exhaustion(suspects, symptom, triggers, failure)));
    rows.push(other(Cause::Expiry, None, expiry(triggers, evidence)));
    rows.push(other(Cause::Platform, None, platform(triggers)));
    let prior: f64 = suspects.iter().map(|suspect| suspect.prior).sum::<f64>()
        + triggers.outages.iter().map(|outage| outage.rate).fold(0.0, f64::max)
        + triggers.surge.as_ref().map_or(0.0, |surge| surge.rate);
    let unknown =
        ratios::BACKGROUND_UNKNOWN.max(prior * ratios::UNKNOWN_FLOOR / (1.0 - ratios::UNKNOWN_FLOOR));
    rows.push(other(Cause::Unknown, None, unknown));
    normalise(&mut rows);
    let over = over(symptom, suspects);
    gate(&mut rows, symptom, over, evidence);
    unseen_change(&mut rows, evidence);
    temper(&mut rows, evidence);
    sort(&mut rows, suspects);
    let ceiling = ceilings(&mut rows, suspects, symptom, triggers, evidence);
    fold_small(&mut rows);
    sort(&mut rows, suspects);
    Weighed { rows, ceiling, over }
}

/// Shares each dependency's outage between that dependency's own changes and 'nobody knows'. What
/// stays unexplained is returned: (name, rate).
fn explain_outages(
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
    let mut left: Vec<&super::triggers::Outage> = triggers.outages.iter().collect();
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
    cluster: &[&super::triggers::Outage],
    unexplained: &mut Vec<(String, f64)>,
) {
    let whole_rate = cluster.iter().map(|outage| outage.rate).fold(0.0, f64::max);
    let background = ratios::BACKGROUND_DEPENDENCY * 20.0;
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
fn explanation(
    suspect: &Suspect<'_>,
    outage: &super::triggers::Outage,
    symptom: &Symptom,
    failure: &Failure,
) -> f64 {
    let near = match &suspect.change.relation {
        Relation::Dependency(name) if name.eq_ignore_ascii_case(&outage.name) => 1.0,
        Relation::Shared => 0.3,
        _ => return 0.0,
    };
    let Some((from, until)) = suspect.effect else { return 0.0 };
    let rise = &outage.trouble.rise;
    let lag = symptom::lag_density(symptom.grid, &rise.posterior, from, until, ratios::change_lag);
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
    } else if suspect.only_inert {
        ratios::INERT
    } else {
        fit
    };
    near * ratios::hazard(&suspect.change.kind) * lag * fit
}

/// A slope that began with a change is the change's. How well it explains the failures is the same
/// whoever began it.
fn explain_drain(suspects: &mut [Suspect<'_>], symptom: &Symptom, triggers: &Triggers, failure: &Failure) {
    let drain = triggers.drain.as_ref().map(|drain| (drain, drained(drain, symptom, failure)));
    let creep = triggers.creep.as_ref().map(|creep| (creep, creep.rate));
    for (slope, rate) in [drain, creep].into_iter().flatten() {
        for suspect in suspects.iter_mut() {
            if starts_with(slope, suspect, symptom) {
                suspect.weight += rate * 0.5;
                suspect.mechanism = suspect.mechanism.max(4.0);
            }
        }
    }
}

/// Whether a slope began when this change of the service took effect.
fn starts_with(drain: &super::triggers::Drain, suspect: &Suspect<'_>, symptom: &Symptom) -> bool {
    // A slope's beginning is known to some minutes only.
    const SLACK: i64 = 20 * 60;
    let (Some(knee), Some((from, until))) = (drain.knee, suspect.effect) else { return false };
    let began = symptom.grid.second(knee);
    suspect.change.relation == Relation::Own
        && !suspect.change.no_op
        && !suspect.only_inert
        && from <= began + SLACK
        && until >= began - SLACK
}

fn share_of(failure: &Failure, mechanisms: &[Mechanism]) -> f64 {
    failure.mechanisms.iter().filter(|(found, _)| mechanisms.contains(found)).map(|(_, share)| share).sum()
}

/// Whether one name is the other or a part of it: a host with its port, a host's first label.
fn overlaps(a: &str, b: &str) -> bool {
    a.contains(b) || b.contains(a)
}

fn dependency(
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
        rate += share * if blamed { 4.0 } else { 1.0 };
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
    for name in triggers.blamed.iter().filter(|name| !ours_now(name)) {
        let is = |list: &[String]| list.iter().any(|known| known.eq_ignore_ascii_case(name));
        if outages.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
            about = Some(name.clone());
        } else if is(&triggers.healthy) {
            // It is named and works: the caller's side of the wire is at fault.
        } else if is(&evidence.scope.depends_on) || !name.contains('/') {
            // Nothing measures it; the errors point at it, most of all where it answered.
            rate += if triggers.answered { 8e-3 } else { 2e-3 };
            about.get_or_insert_with(|| name.clone());
        }
    }
    (rate * if ours > 0.5 { 0.3 } else { 1.0 } * if many { 0.1 } else { 1.0 }, about)
}

fn traffic(symptom: &Symptom, triggers: &Triggers, failure: &Failure) -> f64 {
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
    match &triggers.surge {
        Some(surge) => surge.rate * fit + mixed,
        None if triggers.demand_flat.is_some() => ratios::BACKGROUND_TRAFFIC * ratios::SIGN_ABSENT + mixed,
        None => ratios::BACKGROUND_TRAFFIC * if symptom.requests.is_some() { 0.3 } else { 1.0 } + mixed,
    }
}

/// The rate at which a slope that reached the onset starts an incident like this one.
fn drained(drain: &super::triggers::Drain, symptom: &Symptom, failure: &Failure) -> f64 {
    use Mechanism as M;
    let said = match drain.gauge {
        Gauge::Memory => share_of(failure, &[M::Memory]),
        Gauge::Disk => share_of(failure, &[M::Disk]),
        Gauge::Connections => share_of(failure, &[M::Pool, M::Handles, M::Timeout, M::Unreachable]),
        Gauge::Queue => share_of(failure, &[M::Overload, M::Timeout]),
        Gauge::Cpu | Gauge::DaysLeft => 0.0,
    };
    let fit = if said > 0.3 {
        5.0
    } else if failure.mechanisms.is_empty() {
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

fn exhaustion(suspects: &[Suspect<'_>], symptom: &Symptom, triggers: &Triggers, failure: &Failure) -> f64 {
    use Mechanism as M;
    let shape = gradual(symptom);
    // Somebody else's slope, or a slope that a change of the service began, is not exhaustion.
    let begun = |drain: &super::triggers::Drain| {
        if suspects.iter().any(|suspect| starts_with(drain, suspect, symptom)) { 0.02 } else { 1.0 }
    };
    let crept = triggers.creep.as_ref().filter(|_| {
        triggers.surge.is_none()
            && triggers.outages.is_empty()
            && triggers.demand_flat.is_none_or(|flat| flat < 1.25)
            && share_of(failure, &[M::Code, M::Contract, M::Expired, M::Provider, M::Dns, M::Access]) < 0.3
    });
    let crept = crept.map_or(0.0, |creep| creep.rate * begun(creep));
    let Some(drain) = &triggers.drain else {
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

fn expiry(triggers: &Triggers, evidence: &Evidence) -> f64 {
    match &triggers.expiry {
        Some(expiry) => expiry.rate,
        None if evidence.logs.is_some() => ratios::BACKGROUND_EXPIRY * ratios::SIGN_ABSENT,
        None => ratios::BACKGROUND_EXPIRY,
    }
}

fn platform(triggers: &Triggers) -> f64 {
    match &triggers.zone {
        // Peers that only got more work are the surge's.
        Some(zone) => {
            zone.rate
                * if triggers.surge.is_some() && zone.text.is_none() && zone.zone.is_none() {
                    0.1
                } else {
                    1.0
                }
        }
        None if triggers.peers_calm > 0 => ratios::BACKGROUND_PLATFORM * ratios::SIGN_ABSENT * 4.0,
        None => ratios::BACKGROUND_PLATFORM,
    }
}

fn over(symptom: &Symptom, suspects: &[Suspect<'_>]) -> bool {
    let quiet = symptom.grid.periods(8);
    symptom.end.is_some_and(|end| end + quiet <= symptom.grid.len) && !suspects.iter().any(Suspect::reversed)
}

/// Is it real, is it habit, is it over? Mass moves before the causes compete.
fn gate(rows: &mut Vec<Row>, symptom: &Symptom, over: bool, evidence: &Evidence) {
    let mut none = 1.0 - symptom.real;
    let mut recurring = 0.0;
    if symptom.habit.is_some() {
        recurring = ratios::HABIT_SEEN * symptom.real;
    }
    let mut unknown = 0.0;
    if symptom.primary.is_none() {
        // Nothing rose. What is left of 'real' is unknown: no onset, so no cause can be timed.
        let unread = evidence.series.is_none() && evidence.logs.is_none();
        unknown = symptom.real;
        if unread {
            (none, unknown) = (0.25, 0.75);
        } else if symptom.log_noise.is_some() {
            (none, unknown) = (ratios::ONLY_TELEMETRY, 1.0 - ratios::ONLY_TELEMETRY);
        }
    } else if over {
        none += ratios::OVER_ALREADY * (1.0 - none - recurring);
    }
    let rest = (1.0 - none - recurring - unknown).max(0.0);
    for row in rows.iter_mut() {
        row.probability *= rest;
        if row.cause == Cause::Unknown {
            row.probability += unknown;
        }
    }
    rows.push(Row { cause: Cause::None, suspect: None, about: None, probability: none });
    rows.push(Row { cause: Cause::Recurring, suspect: None, about: None, probability: recurring });
    normalise(rows);
}

fn ceilings(
    rows: &mut [Row],
    suspects: &[Suspect<'_>],
    symptom: &Symptom,
    triggers: &Triggers,
    evidence: &Evidence,
) -> Option<Ceiling> {
    let leader = rows.first()?.clone();
    if leader.cause == Cause::Unknown {
        return None;
    }
    let (mut ceiling, mut reason) = (ratios::HIGHEST, Ceiling::WithoutProof);
    let mut lower = |value: f64, why: Ceiling| {
        if value < ceiling {
            (ceiling, reason) = (value, why);
        }
    };
    let fast = symptom.primary.as_ref().is_some_and(|primary| primary.manner == Manner::Failing);
    if let Some(suspect) = leader.suspect.and_then(|index| suspects.get(index)) {
        let proof = suspect.has_split() || suspect.has_values() || suspect.reversed();
        // Without its CloudTrail event a change is half a witness: who, and what else, is open.
        if !proof || suspect.change.event_ids.is_empty() {
            lower(ratios::WITHOUT_PROOF, Ceiling::WithoutProof);
        }
        // Somebody else's change, tied to us by the hour alone.
        let distant = !matches!(suspect.change.relation, Relation::Own);
        if distant && !proof && suspect.mechanism < 4.0 && evidence.logs.is_none() {
            lower(ratios::DISTANT, Ceiling::TimingAlone);
        }
        if !proof && !suspect.has_mechanism() {
            // Code and configuration act at once on the traffic that they reach. The longer it ran
            // well, the less its timing alone is worth.
            let lag = suspect
                .effect
                .map_or(0.0, |(_, until)| (symptom.grid.second(symptom.begin) - until) as f64 / 60.0);
            lower(ratios::timing_alone(lag), Ceiling::TimingAlone);
        }
    } else {
        let signs = match leader.cause {
            Cause::Dependency => {
                usize::from(!triggers.outages.is_empty()) + usize::from(!triggers.blamed.is_empty())
            }
            Cause::Traffic => {
                usize::from(triggers.surge.is_some()) + usize::from(fast || triggers.mix.is_some())
            }
            Cause::Exhaustion => {
                usize::from(triggers.drain.is_some())
                    + usize::from(triggers.creep.is_some())
                    + 2 * usize::from(triggers.spent.is_some())
                    + 1
            }
            Cause::Expiry => triggers.expiry.as_ref().map_or(0, |expiry| {
                usize::from(expiry.text.is_some()) + usize::from(expiry.days_left.is_some()) + 1
            }),
            Cause::Platform => triggers.zone.as_ref().map_or(0, |zone| {
                1 + usize::from(zone.peers.len() > 1 || zone.text.is_some() || zone.zone.is_some())
            }),
            Cause::Recurring | Cause::None => 2,
            Cause::Deployment | Cause::Unknown => 0,
        };
        if signs < 2 {
            lower(ratios::ONE_SIGN, Ceiling::WithoutProof);
        }
        lower(ratios::NO_CHANGE_PROVEN, Ceiling::WithoutProof);
        if leader.cause == Cause::None
            && symptom.requests.is_none_or(|requests| requests < symptom::ENOUGH_REQUESTS)
        {
            lower(ratios::TOO_FEW_REQUESTS, Ceiling::SourceMissing);
        }
    }
    // What a conclusion of this kind needs to have been read.
    let no_changes = evidence.trail.is_none();
    if evidence.series.is_none()
        || (no_changes && leader.cause != Cause::Recurring && leader.cause != Cause::None)
    {
        lower(ratios::SOURCE_MISSING, Ceiling::SourceMissing);
    }
    if evidence.logs.is_none() && !matches!(leader.cause, Cause::Recurring | Cause::None | Cause::Traffic) {
        lower(ratios::WITHOUT_LOGS, Ceiling::SourceMissing);
    }
    let over = leader.probability - ceiling;
    if over <= 0.0 {
        return None;
    }
    rows[0].probability = ceiling;
    if let Some(unknown) = rows.iter_mut().find(|row| row.cause == Cause::Unknown) {
        unknown.probability += over;
    }
    Some(reason)
}

/// Where changes were not read, part of what is unknown may be one of them: nobody can say which.
fn unseen_change(rows: &mut Vec<Row>, evidence: &Evidence) {
    if evidence.trail.is_some() {
        return;
    }
    let Some(unknown) = rows.iter_mut().find(|row| row.cause == Cause::Unknown) else { return };
    let moved = unknown.probability * ratios::UNSEEN_CHANGE;
    unknown.probability -= moved;
    rows.push(Row { cause: Cause::Deployment, suspect: None, about: None, probability: moved });
}

/// Where the history of what serves was not read, when its changes took effect is a guess.
fn temper(rows: &mut [Row], evidence: &Evidence) {
    let own = &evidence.scope.resources;
    let versions = |name: &String| evidence.functions.get(name).and_then(|known| known.versions.as_ref());
    let unread_function = own.lambda.iter().any(|name| versions(name).is_none());
    let unread_service = own.ecs.iter().any(|wanted| {
        let is = |cluster: &str, name: &str| cluster == wanted.cluster && name == wanted.service;
        !evidence.ecs_services.iter().any(|known| is(&known.cluster, &known.name))
    });
    if !unread_function && !unread_service {
        return;
    }
    let Some(unknown) = rows.iter().position(|row| row.cause == Cause::Unknown) else { return };
    let mut moved = 0.0;
    // Whether something happened at all does not hang on who changed what.
    let about_changes = |cause| !matches!(cause, Cause::Unknown | Cause::None | Cause::Recurring);
    for row in rows.iter_mut().filter(|row| about_changes(row.cause)) {
        moved += row.probability * ratios::UNREAD_HISTORY;
        row.probability *= 1.0 - ratios::UNREAD_HISTORY;
    }
    rows[unknown].probability += moved;
}

fn normalise(rows: &mut [Row]) {
    let sum: f64 = rows.iter().map(|row| row.probability).sum();
    if sum > 0.0 {
        for row in rows {
            row.probability /= sum;
        }
    }
}

/// Rows too small to read become part of 'unknown'.
fn fold_small(rows: &mut Vec<Row>) {
    const SMALLEST: f64 = 0.002;
    let mut folded = 0.0;
    rows.retain(|row| {
        let keep = row.probability >= SMALLEST || row.cause == Cause::Unknown;
        if !keep {
            folded += row.probability;
        }
        keep
    });
    if let Some(unknown) = rows.iter_mut().find(|row| row.cause == Cause::Unknown) {
        unknown.probability += folded;
    }
    for row in rows.iter_mut() {
        row.probability = (row.probability * 10_000.0).round() / 10_000.0;
    }
    let sum: f64 = rows.iter().map(|row| row.probability).sum();
    if let Some(unknown) = rows.iter_mut().find(|row| row.cause == Cause::Unknown) {
        unknown.probability = ((unknown.probability + 1.0 - sum).max(0.0) * 10_000.0).round() / 10_000.0;
    }
}

fn sort(rows: &mut [Row], suspects: &[Suspect<'_>]) {
    let name = |row: &Row| {
        row.suspect.and_then(|index| suspects.get(index)).map(|suspect| suspect.change.id.clone())
    };
    rows.sort_by(|a, b| {
        b.probability
            .total_cmp(&a.probability)
            .then_with(|| a.cause.cmp(&b.cause))
            .then_with(|| name(a).cmp(&name(b)))
    });
}

/// Whether two suspects lead and nothing tells them apart: the second has a third of the first's
/// mass or more.
pub fn indistinct(rows: &[Row]) -> bool {
    match rows {
        [first, second, ..] => {
            first.suspect.is_some()
                && second.suspect.is_some()
                && second.probability >= 0.33 * first.probability
        }
        _ => false,
    }
}
