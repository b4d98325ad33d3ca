//! How much may be believed: is it real, is it habit, is it over, and what was not read.
//!
//! The rule that is not obvious: mass that is taken away goes to 'unknown', never to the runner-up.

use super::{Ceiling, Row, normalise};
use crate::analysis::failure::Failure;
use crate::analysis::logs::phrases::Mechanism;
use crate::analysis::metrics::Manner;
use crate::analysis::ratios;
use crate::analysis::sag::Fallen;
use crate::analysis::suspects::Suspect;
use crate::analysis::symptom::{self, Symptom};
use crate::analysis::triggers::Triggers;
use crate::analysis::triggers::events::Kind;
use crate::domain::change::{ChangeKind, Relation};
use crate::domain::evidence::Evidence;
use crate::domain::report::Cause;

/// Is it real, is it habit, is it over? Mass moves before the causes compete.
pub(super) fn gate(rows: &mut Vec<Row>, symptom: &Symptom, over: bool, evidence: &Evidence) {
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
        } else if let Some(sag) = &symptom.sag {
            only_changes(rows);
            (none, unknown) = match sag.of {
                Fallen::Demand { .. } => (ratios::NONE_BESIDE_A_COLLAPSE, 0.0),
                Fallen::Yield => {
                    let none = ratios::NONE_BESIDE_A_SAG;
                    (none, (1.0 - none) * ratios::OPEN_BESIDE_A_SAG)
                }
            };
        } else if symptom.standing.is_some() {
            (none, unknown) = (ratios::NONE_WHERE_IT_STANDS, 1.0 - ratios::NONE_WHERE_IT_STANDS);
        } else if symptom.log_noise.is_some() && symptom.measured.failing {
            // That no failures rose with the lines has to be seen: counts that are too few to show it leave it open.
            none = ratios::ONLY_TELEMETRY.min(1.0 / (1.0 + symptom.unmoved)).min(1.0 - symptom.real);
            unknown = 1.0 - none;
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

/// Where nothing fails, the signs of other causes were not looked for: only a change is timed by what fell.
fn only_changes(rows: &mut Vec<Row>) {
    let kept = |row: &Row| matches!(row.cause, Cause::Deployment | Cause::Unknown);
    let rest: f64 = rows.iter().filter(|row| !kept(row)).map(|row| row.probability).sum();
    rows.retain(kept);
    if let Some(unknown) = rows.iter_mut().find(|row| row.cause == Cause::Unknown) {
        unknown.probability += rest;
    }
}

pub(super) fn ceilings(
    rows: &mut [Row],
    suspects: &[Suspect<'_>],
    symptom: &Symptom,
    triggers: &Triggers,
    failure: &Failure,
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
                usize::from(triggers.surge.is_some())
                    + usize::from(fast || triggers.mix.is_some())
                    + usize::from(triggers.heavier.is_some())
            }
            Cause::Exhaustion => {
                let sudden = triggers.drain.as_ref().is_some_and(|drain| drain.sudden);
                usize::from(triggers.drain.is_some())
                    + usize::from(triggers.creep.is_some())
                    + 2 * usize::from(triggers.spent.is_some())
                    + usize::from(!sudden)
                    + usize::from(triggers.told.iter().any(|told| told.kind == Kind::Room))
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
            if leader.cause == Cause::Dependency
                && suspects.iter().any(|suspect| is_between(suspect, symptom))
            {
                lower(ratios::BESIDE_A_CHANGE, Ceiling::WithoutProof);
            }
        }
        lower(ratios::NO_CHANGE_PROVEN, Ceiling::WithoutProof);
        let share = |mechanism| {
            failure
                .mechanisms
                .iter()
                .filter(|(found, _)| *found == mechanism)
                .map(|(_, share)| share)
                .sum::<f64>()
        };
        if leader.cause == Cause::Platform && share(Mechanism::Throttled) > share(Mechanism::Provider) {
            lower(ratios::ONLY_THROTTLED, Ceiling::WithoutProof);
        }
        if leader.cause == Cause::None
            && symptom.requests.is_none_or(|requests| requests < symptom::ENOUGH_REQUESTS)
        {
            lower(ratios::TOO_FEW_REQUESTS, Ceiling::SourceMissing);
        }
    }
    // What a conclusion of this kind needs to have been read, and to its end.
    let torn = |source: &str| evidence.gaps.iter().any(|gap| gap.source == source && gap.is_torn());
    let no_changes = evidence.trail.is_none() || torn("cloudtrail");
    if evidence.series.is_none()
        || torn("metrics")
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

/// Whether a change right before the onset could make a service that works look as if it failed: one of
/// the caller, or one of what lies between the two.
fn is_between(suspect: &Suspect<'_>, symptom: &Symptom) -> bool {
    /// Seconds.
    const RIGHT_BEFORE: i64 = 10 * 60;
    let change = suspect.change;
    let near = matches!(change.relation, Relation::Own | Relation::Shared)
        || (matches!(change.kind, ChangeKind::Network | ChangeKind::SecurityGroup)
            && !matches!(change.relation, Relation::Peer(_)));
    let lag = suspect.effect.map(|(from, _)| symptom.grid.second(symptom.begin) - from);
    near && suspect.timing > 0.0
        && !change.no_op
        && suspect.harmless.is_none()
        && lag.is_some_and(|lag| lag <= RIGHT_BEFORE)
}

/// Where changes were not read, part of what is unknown may be one of them: nobody can say which.
pub(super) fn unseen_change(rows: &mut Vec<Row>, evidence: &Evidence) {
    if evidence.trail.is_some() {
        return;
    }
    let Some(unknown) = rows.iter_mut().find(|row| row.cause == Cause::Unknown) else { return };
    let moved = unknown.probability * ratios::UNSEEN_CHANGE;
    unknown.probability -= moved;
    rows.push(Row { cause: Cause::Deployment, suspect: None, about: None, probability: moved });
}

/// Where the history of what serves was not read, when its changes took effect is a guess.
pub(super) fn temper(rows: &mut [Row], evidence: &Evidence) {
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
