//! Why each innocent change is innocent.

use jiff::Timestamp;

use super::{Findings, clock, lasting, percent, version, what};
use crate::analysis::keys::Class;
use crate::analysis::suspects::{Harmless, Past, Suspect};
use crate::domain::change::{ChangeKind, Effect, FieldSays, LogField, Relation};
use crate::domain::redact;
use crate::domain::report::{Cause, Cleared};
use crate::domain::trial::Word;

/// Most changes that are listed; in a busy account the rest are strangers'.
const LISTED: usize = 20;
/// From so many percent on, as they are printed, a change still competes with the verdict.
const COMPETES: f64 = 5.0;
/// How long before the onset a change still asks for a word, in seconds.
const WINDOW: i64 = 4 * 3600;

pub fn cleared(findings: &Findings<'_>) -> Vec<Cleared> {
    let blamed = findings.blamed().map(|suspect| suspect.change.id.as_str());
    let onset = if findings.symptom.primary.is_some() {
        findings.symptom.grid.second(findings.symptom.begin)
    } else {
        findings.evidence.alert.at.as_second()
    };
    let mut near: Vec<&Suspect<'_>> = findings
        .suspects
        .iter()
        .filter(|suspect| Some(suspect.change.id.as_str()) != blamed)
        // What still competes with the verdict is not cleared.
        .filter(|suspect| {
            !findings.weighed.rows.iter().any(|row| {
                (row.probability * 100.0).round() >= COMPETES
                    && row
                        .suspect
                        .and_then(|index| findings.suspects.get(index))
                        .is_some_and(|other| other.change.id == suspect.change.id)
            })
        })
        .filter(|suspect| {
            let at = suspect.effect.map_or(suspect.change.at.as_second(), |(from, _)| from);
            at >= onset - WINDOW
        })
        // Strangers' changes that never acted, or not in the last hour, are nobody's question.
        .filter(|suspect| {
            closeness(&suspect.change.relation) > 1
                || (suspect.effect.is_some_and(|(from, _)| (onset - 3600..onset + 900).contains(&from)))
        })
        .collect();
    near.sort_by(|a, b| {
        closeness(&b.change.relation)
            .cmp(&closeness(&a.change.relation))
            .then_with(|| b.weight.total_cmp(&a.weight))
            .then_with(|| a.change.at.cmp(&b.change.at))
            .then_with(|| a.change.id.cmp(&b.change.id))
    });
    near.truncate(LISTED);
    near.into_iter()
        .map(|suspect| Cleared {
            event_id: suspect.change.event_ids.first().cloned(),
            what: redact::text(&what(suspect)),
            reason: redact::text(&reason(findings, suspect, onset)),
        })
        .collect()
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

fn reason(findings: &Findings<'_>, suspect: &Suspect<'_>, onset: i64) -> String {
    let change = suspect.change;
    let now = findings.evidence.scope.now;
    if let Effect::None { reason } = &change.effect {
        return format!("It never reached traffic: {}.", reason.trim_end_matches('.'));
    }
    if findings.symptom.primary.is_none() {
        return "Nothing that users see rose after it.".to_owned();
    }
    let from = suspect.effect.map_or(change.at.as_second(), |(from, _)| from);
    match &change.relation {
        Relation::Peer(_) | Relation::Unconnected => {
            return "Nothing connects it with this service or one that it calls.".to_owned();
        }
        Relation::Dependency(name)
            if findings.triggers.healthy.iter().any(|healthy| healthy.eq_ignore_ascii_case(name)) =>
        {
            return format!("It belongs to {name}, whose own failures and latency did not move.");
        }
        _ => {}
    }
    if suspect.after_onset {
        let at = Timestamp::from_second(from).map(|at| clock(at, now)).unwrap_or_default();
        return format!(
            "It took effect at {at} UTC, {} after the onset.",
            lasting(((from - onset) as f64 / 60.0).max(1.0))
        );
    }
    if change.no_op {
        return "It changed nothing but labels: code and configuration are the same as before.".to_owned();
    }
    if suspect.harmless == Some(Harmless::Inert) {
        let keys: Vec<&str> = change.keys.iter().map(|key| key.key.as_str()).collect();
        return format!("It changed only {}, which no request depends on.", keys.join(", "));
    }
    match suspect.past {
        Some(Past::Undone) => {
            let at = change.undone_at.map(|at| clock(at, now)).unwrap_or_default();
            return format!("It was undone at {at} UTC, before the symptom began.");
        }
        Some(Past::Returns) => return "It brought back what had run before without this symptom.".to_owned(),
        None => {}
    }
    if suspect.harmless == Some(Harmless::Eases) {
        return eased(suspect);
    }
    if let Some(tried) = &suspect.tried
        && tried.trial.word() == Word::ClearsIt
    {
        return format!(
            "The version before it fails as well: in the test from {} to {} UTC {}.",
            clock(tried.trial.begun_at, now),
            clock(tried.trial.ended_at, now),
            tried.trial.counted()
        );
    }
    if let Some(split) = &suspect.split
        && split.ratio < 0.5
    {
        return format!(
            "Versions before it fail in the same minutes just as {} does.",
            version(&split.new_version)
        );
    }
    if let Some(reversal) = &suspect.reversal
        && reversal.minutes.is_none()
    {
        return "It was undone, and the symptom went on.".to_owned();
    }
    if let Some(dose) = &suspect.dose
        && dose.ratio < 0.5
    {
        let told: Vec<String> = dose
            .steps
            .iter()
            .map(|(_, share, failing)| format!("{} at {:.0} %", percent(*failing), share * 100.0))
            .collect();
        return match dose.exceeds {
            Some((excess, share)) => format!(
                "It gets {:.0} % of traffic, and {} of requests fail: it cannot have hurt those that it never got.",
                share * 100.0,
                percent(excess)
            ),
            None => format!(
                "Failures did not follow its share of traffic: {}, with their rise between two steps.",
                told.join(", ")
            ),
        };
    }
    let unread = |shown: &&LogField| shown.says == FieldSays::Stays;
    if let Some(shown) = change.shown.iter().find(unread) {
        return format!(
            "The service has not read it: the field {} of its own lines shows the earlier value in {} lines since.",
            shown.field, shown.lines.1
        );
    }
    let minutes = (onset - from) as f64 / 60.0;
    if suspect.mechanism < 0.5 {
        let keys: Vec<&str> = suspect
            .fits
            .iter()
            .zip(&change.keys)
            .filter(|(fit, _)| fit.class != Class::Inert)
            .map(|(_, key)| key.key.as_str())
            .collect();
        let changed = if keys.is_empty() {
            "What it changed".to_owned()
        } else {
            format!("What it changed ({})", keys.join(", "))
        };
        return format!("{changed} does not explain how requests fail.");
    }
    if minutes > 60.0 {
        return format!("It ran for {} without this symptom before the onset.", lasting(minutes));
    }
    better(findings)
}

/// Why nothing that a change moved can have brought these failures about.
fn eased(suspect: &Suspect<'_>) -> String {
    let change = suspect.change;
    let takes = change.keys.iter().any(|key| key.before.is_some());
    let keys = suspect.fits.iter().zip(&change.keys).filter(|(fit, _)| fit.eases);
    let keys: Vec<&str> = keys.map(|(_, key)| key.key.as_str()).collect();
    match change.kind {
        _ if !keys.is_empty() => format!("It moved {} away from what fails.", keys.join(", ")),
        ChangeKind::IamPolicy => "It granted something and took nothing away.".to_owned(),
        _ if takes => "What it closed are other ports than those that the errors name.".to_owned(),
        _ => "It opened a way and closed none.".to_owned(),
    }
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
