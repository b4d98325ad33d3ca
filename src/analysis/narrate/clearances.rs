//! Why each innocent change is innocent.
//!
//! The rule that is not obvious: a change is cleared by a fact, not by its rank. What still competes is not cleared, and
//! that nothing rose clears a change only where what would have risen was read.

use jiff::Timestamp;

use super::{Findings, clock, lasting, percent, version, what};
use crate::analysis::canary::Dose;
use crate::analysis::changes::GRANTED;
use crate::analysis::keys::Class;
use crate::analysis::ratios;
use crate::analysis::steps::FEWEST;
use crate::analysis::suspects::{Harmless, Past, Suspect};
use crate::domain::change::{ChangeKind, Effect, FieldSays, Relation};
use crate::domain::redact;
use crate::domain::report::{Cause, Cleared};
use crate::domain::trial::Word;

/// Most changes that are listed; in a busy account the rest are strangers'.
const LISTED: usize = 20;
/// From so many percent of what is not 'nothing' on, as they are printed, a change still competes with the verdict.
const COMPETES: f64 = 5.0;
/// Less than this is no probability to divide by.
const SMALLEST: f64 = 1e-3;
/// A likelihood ratio from which on evidence does not speak against a change: two in one is no argument.
const AGAINST: f64 = 0.5;
/// How long before the onset a change still asks for a word, in seconds.
pub(super) const WINDOW: i64 = 4 * 3600;

pub fn cleared(findings: &Findings<'_>) -> Vec<Cleared> {
    let onset = findings
        .symptom
        .since()
        .map_or(findings.evidence.alert.at.as_second(), |begin| findings.symptom.grid.second(begin));
    let asked = |suspect: &&Suspect<'_>| {
        let at = suspect.effect.map_or(suspect.change.at.as_second(), |(from, _)| from);
        at >= onset - WINDOW
    };
    // Strangers' changes that never acted, or not in the last hour, are nobody's question.
    let somebodys = |suspect: &&Suspect<'_>| {
        closeness(&suspect.change.relation) > 1
            || (suspect.effect.is_some_and(|(from, _)| (onset - 3600..onset + 900).contains(&from)))
    };
    let mut near: Vec<(&Suspect<'_>, String)> = findings
        .suspects
        .iter()
        .filter(|suspect| !competes(findings, suspect))
        .filter(asked)
        .filter(somebodys)
        .filter_map(|suspect| Some((suspect, reason(findings, suspect, onset)?)))
        .collect();
    near.sort_by(|(a, _), (b, _)| {
        closeness(&b.change.relation)
            .cmp(&closeness(&a.change.relation))
            .then_with(|| b.weight.total_cmp(&a.weight))
            .then_with(|| a.change.at.cmp(&b.change.at))
            .then_with(|| a.change.id.cmp(&b.change.id))
    });
    near.truncate(LISTED);
    near.into_iter()
        .map(|(suspect, reason)| Cleared {
            event_id: suspect.change.event_ids.first().cloned(),
            what: redact::text(&what(suspect)),
            reason: redact::text(&reason),
        })
        .collect()
}

/// Whether it is the verdict, or still competes with it: then it is not cleared, and the evidence tells of it.
pub(super) fn competes(findings: &Findings<'_>, suspect: &Suspect<'_>) -> bool {
    let is =
        |index: usize| findings.suspects.get(index).is_some_and(|one| one.change.id == suspect.change.id);
    let rows = &findings.weighed.rows;
    let nothing: f64 = rows.iter().filter(|row| row.cause == Cause::None).map(|row| row.probability).sum();
    // That it may be nothing, or is over, clears no change of what it was, were it something.
    let percent = |probability: f64| (100.0 * probability / (1.0 - nothing).max(SMALLEST)).round();
    rows.iter().enumerate().any(|(place, row)| {
        row.suspect.is_some_and(is) && (place == 0 || percent(row.probability) >= COMPETES)
    })
}

fn closeness(relation: &Relation) -> u8 {
    match relation {
        Relation::Own => 4,
        Relation::Shared => 3,
        Relation::Dependency(_) => 2,
        Relation::Peer(_) => 1,
        Relation::Unconnected => 0,
    }
}

/// Why a change is innocent, from the strongest reason to the weakest; `None` where nothing says that it is.
fn reason(findings: &Findings<'_>, suspect: &Suspect<'_>, onset: i64) -> Option<String> {
    if let Effect::None { reason } = &suspect.change.effect {
        return Some(format!("It never reached traffic: {}.", reason.trim_end_matches('.')));
    }
    elsewhere(findings, suspect)
        .or_else(|| afterwards(findings, suspect, onset))
        .or_else(|| of_nothing(suspect))
        .or_else(|| of_the_past(findings, suspect))
        .or_else(|| (suspect.harmless == Some(Harmless::Eases)).then(|| eased(suspect)))
        .or_else(|| {
            if findings.symptom.primary.is_none() {
                // That nothing rose clears a change of nothing that was not measured, or that has sunk.
                return nothing_moved(findings, suspect);
            }
            let told = lightest(findings, suspect, onset).or_else(|| long_before(findings, suspect, onset));
            Some(told.unwrap_or_else(|| better(findings)))
        })
}

/// Whom it belongs to.
fn elsewhere(findings: &Findings<'_>, suspect: &Suspect<'_>) -> Option<String> {
    match &suspect.change.relation {
        Relation::Peer(_) | Relation::Unconnected => {
            Some("Nothing connects it with this service or one that it calls.".to_owned())
        }
        Relation::Dependency(name)
            if findings.triggers.healthy.iter().any(|healthy| healthy.eq_ignore_ascii_case(name)) =>
        {
            Some(format!("It belongs to {name}, which shows no trouble of its own."))
        }
        _ => None,
    }
}

/// It came too late to have begun it; where it is how another change was undone, it is rather the cure.
fn afterwards(findings: &Findings<'_>, suspect: &Suspect<'_>, onset: i64) -> Option<String> {
    /// Seconds between an undoing and the call that made it.
    const SAME: i64 = 120;
    let symptom = findings.symptom;
    let (from, _) = suspect.effect?;
    let noted = |begin: usize| from >= symptom.grid.second(begin + 1);
    let late = if symptom.is_timed() { suspect.after_onset } else { symptom.since().is_some_and(noted) };
    if !late {
        return None;
    }
    let after = lasting(((from - onset) as f64 / 60.0).max(1.0));
    let undoes = |other: &&Suspect<'_>| {
        other.change.id != suspect.change.id
            && other.change.resource == suspect.change.resource
            && other.change.undone_at.is_some_and(|at| (at.as_second() - from).abs() <= SAME)
    };
    if let Some(undone) = findings.suspects.iter().find(undoes) {
        return Some(format!("It is how the {} was undone, {after} after the onset.", what(undone)));
    }
    let at = Timestamp::from_second(from).ok()?;
    let at = clock(at, findings.evidence.scope.now);
    Some(match (&symptom.sag, symptom.is_timed()) {
        (Some(sag), _) => format!("It took effect at {at} UTC, {after} after {} fell.", sag.metric),
        (None, true) => format!("It took effect at {at} UTC, {after} after the onset."),
        (None, false) => format!("It took effect at {at} UTC, {after} after the error lines rose."),
    })
}

/// It turned nothing that a request depends on.
fn of_nothing(suspect: &Suspect<'_>) -> Option<String> {
    if suspect.change.no_op {
        return Some(
            "It changed nothing but labels: code and configuration are the same as before.".to_owned(),
        );
    }
    (suspect.harmless == Some(Harmless::Inert)).then(|| {
        let keys: Vec<&str> = suspect.change.keys.iter().map(|key| key.key.as_str()).collect();
        format!("It changed only {}, which no request depends on.", keys.join(", "))
    })
}

/// What it set was gone again, or had run before.
fn of_the_past(findings: &Findings<'_>, suspect: &Suspect<'_>) -> Option<String> {
    Some(match suspect.past.as_ref()? {
        Past::Undone => {
            let at = clock(suspect.change.undone_at?, findings.evidence.scope.now);
            format!("It was undone at {at} UTC, before the symptom began.")
        }
        Past::Returns => "It brought back what had run before without this symptom.".to_owned(),
    })
}

/// Why nothing that a change moved can have brought these failures about.
fn eased(suspect: &Suspect<'_>) -> String {
    let change = suspect.change;
    let takes = change.keys.iter().any(|key| key.before.is_some());
    let keys = suspect.fits.iter().zip(&change.keys).filter(|(fit, _)| fit.eases);
    let keys: Vec<&str> = keys.map(|(_, key)| key.key.as_str()).collect();
    match change.kind {
        _ if !keys.is_empty() => format!("It moved {} away from what fails.", keys.join(", ")),
        ChangeKind::IamPolicy if change.keys.iter().all(|key| key.after.as_deref() == Some(GRANTED)) => {
            "It granted something and took nothing away.".to_owned()
        }
        ChangeKind::IamPolicy => "It attached a policy and took none away.".to_owned(),
        _ if takes => "What it closed are other ports than those that the errors name.".to_owned(),
        _ => "It opened a way and closed none.".to_owned(),
    }
}

/// Failures and latency were both read from before the change until now, and neither moved.
fn nothing_moved(findings: &Findings<'_>, suspect: &Suspect<'_>) -> Option<String> {
    let symptom = findings.symptom;
    let (from, _) = suspect.effect?;
    let seen =
        symptom.grid.index_of_second(from).is_some_and(|at| at >= FEWEST && at + FEWEST <= symptom.grid.len);
    let whole = symptom.measured.failing && symptom.measured.slow && !symptom.has_few_requests();
    let still = symptom.sag.is_none() && symptom.standing.is_none() && findings.cause() == Cause::None;
    (seen && whole && still).then(|| "Neither failures nor latency rose after it.".to_owned())
}

/// What took most of its weight from it, by the very ratio that was weighed.
fn lightest(findings: &Findings<'_>, suspect: &Suspect<'_>, onset: i64) -> Option<String> {
    let told = [
        suspect.tried.as_ref().filter(|tried| tried.trial.word() == Word::ClearsIt).map(|tried| {
            let now = findings.evidence.scope.now;
            let (from, until) = (clock(tried.trial.begun_at, now), clock(tried.trial.ended_at, now));
            let counted = tried.trial.counted();
            let told = format!(
                "The version before it fails as well: in the test from {from} to {until} UTC {counted}."
            );
            (tried.ratio, told)
        }),
        suspect.split.as_ref().map(|split| {
            let new = version(&split.new_version);
            (split.ratio, format!("Versions before it fail in the same minutes just as {new} does."))
        }),
        suspect.reversal.as_ref().filter(|reversal| reversal.minutes.is_none()).map(|reversal| {
            let at = clock(reversal.at, findings.evidence.scope.now);
            let told = if reversal.at.as_second() < onset {
                format!("It was undone at {at} UTC, before the symptom began.")
            } else {
                format!("It was undone at {at} UTC, and the symptom went on.")
            };
            (ratios::REVERSAL_FAILED, told)
        }),
        suspect.dose.as_ref().map(|dose| (dose.ratio, followed_nothing(dose))),
        suspect.change.shown.iter().find(|shown| shown.says == FieldSays::Stays).map(|shown| {
            let (field, lines) = (&shown.field, shown.lines.1);
            let told = format!(
                "The service has not read it: the field {field} of its own lines shows the earlier value in {lines} lines since."
            );
            (ratios::SETTING_STAYS, told)
        }),
        Some((suspect.mechanism, explains_nothing(suspect))),
    ];
    let against = told.into_iter().flatten().filter(|(ratio, _)| *ratio < AGAINST);
    against.min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, told)| told)
}

fn followed_nothing(dose: &Dose) -> String {
    if let Some((excess, share)) = dose.exceeds {
        return format!(
            "It gets {:.0} % of traffic, and {} of requests fail: it cannot have hurt those that it never got.",
            share * 100.0,
            percent(excess)
        );
    }
    let told: Vec<String> = dose
        .steps
        .iter()
        .map(|(_, share, failing)| format!("{} at {:.0} %", percent(*failing), share * 100.0))
        .collect();
    format!(
        "Failures did not follow its share of traffic: {}, with their rise between two steps.",
        told.join(", ")
    )
}

fn explains_nothing(suspect: &Suspect<'_>) -> String {
    let keys: Vec<&str> = suspect
        .fits
        .iter()
        .zip(&suspect.change.keys)
        .filter(|(fit, _)| fit.class != Class::Inert)
        .map(|(_, key)| key.key.as_str())
        .collect();
    let keys = if keys.is_empty() { String::new() } else { format!(" ({})", keys.join(", ")) };
    format!("What it changed{keys} does not explain how requests fail.")
}

/// It ran well for long before.
fn long_before(findings: &Findings<'_>, suspect: &Suspect<'_>, onset: i64) -> Option<String> {
    /// Minutes.
    const LONG: f64 = 60.0;
    // What was never timed is not known to have run.
    let (from, _) = suspect.effect.filter(|_| findings.symptom.is_timed())?;
    let minutes = (onset - from) as f64 / 60.0;
    (minutes > LONG)
        .then(|| format!("It ran for {} without this symptom before the onset.", lasting(minutes)))
}

/// What explains the symptom better than a change that could have done it.
fn better(findings: &Findings<'_>) -> String {
    let triggers = findings.triggers;
    let evidence = match findings.cause() {
        Cause::Deployment => {
            findings.blamed().map(|suspect| format!("the {} explains it better", what(suspect)))
        }
        Cause::Dependency => findings
            .weighed
            .rows
            .first()
            .and_then(|row| row.about.as_ref())
            .map(|name| format!("{name} is in trouble in the same minutes")),
        Cause::Platform => triggers.zone.as_ref().filter(|zone| !zone.peers.is_empty()).map(|zone| {
            format!("{} fail in the same minutes, which it does not touch", zone.peers.join(", "))
        }),
        Cause::Traffic => triggers.surge.as_ref().map(|surge| {
            format!(
                "demand rose at {} UTC",
                clock(findings.symptom.grid.at(surge.begin), findings.evidence.scope.now)
            )
        }),
        Cause::Exhaustion => triggers
            .drain
            .as_ref()
            .map(|drain| format!("{} ran out, which began without it", drain.gauge.describe())),
        Cause::Expiry => Some("the errors tell of something that expired".to_owned()),
        Cause::Recurring => Some("the same minutes of earlier days looked the same without it".to_owned()),
        Cause::None | Cause::Unknown => None,
    };
    match evidence {
        Some(evidence) => format!("It could have done this, but {evidence}."),
        None => "Nothing but its time speaks for it.".to_owned(),
    }
}
