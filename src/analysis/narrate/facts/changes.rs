//! The change that is blamed: who made it, what it set, and what proves that it acts.

use jiff::Timestamp;

use super::{Writer, capital, links};
use crate::analysis::keys::Side;
use crate::analysis::narrate::clearances::{WINDOW, competes};
use crate::analysis::narrate::{Findings, figure, lasting, percent, shown, version, what};
use crate::analysis::suspects::Suspect;
use crate::domain::change::{FieldSays, Relation};
use crate::domain::redact;
use crate::domain::report::{Agent, Cause};

/// So many changes that still compete are told of; so many keys of one that none of them explains.
const COMPETITORS: usize = 3;

pub(super) fn changes(writer: &mut Writer<'_>) {
    let findings = writer.findings;
    let blamed = findings.blamed();
    if let Some(suspect) = blamed {
        took_effect(writer, suspect);
        of_the_blamed(writer, suspect);
    }
    // Whatever still competes is told of, likeliest first, since it is not cleared.
    let others = findings.weighed.rows.iter().skip(usize::from(blamed.is_some()));
    let others = others.filter_map(|row| findings.suspects.get(row.suspect?));
    for suspect in others.filter(|suspect| competes(findings, suspect)).take(COMPETITORS) {
        took_effect(writer, suspect);
    }
    // Where nothing that was read tells of failures, nothing clears what was changed last: it is where to look first.
    if blamed.is_none() && findings.symptom.since().is_none() && !findings.symptom.measured.failing {
        for suspect in last_before_the_alert(findings) {
            took_effect(writer, suspect);
        }
    }
}

/// The last changes of the service's own, or of what it uses, in the hours before the alert.
fn last_before_the_alert<'a>(findings: &Findings<'a>) -> Vec<&'a Suspect<'a>> {
    let alert = findings.evidence.alert.at.as_second();
    let near = |suspect: &&Suspect<'_>| {
        matches!(suspect.change.relation, Relation::Own | Relation::Shared | Relation::Dependency(_))
            && !suspect.change.no_op
            && suspect.effect.is_some_and(|(from, _)| (alert - WINDOW..=alert).contains(&from))
            && !competes(findings, suspect)
    };
    let mut last: Vec<&Suspect<'_>> = findings.suspects.iter().filter(near).collect();
    last.sort_by_key(|suspect| std::cmp::Reverse(suspect.effect));
    last.truncate(COMPETITORS);
    last
}

/// What the blamed change set, and what proves that it acts.
fn of_the_blamed(writer: &mut Writer<'_>, suspect: &Suspect<'_>) {
    let findings = writer.findings;
    let change = suspect.change;
    let support = &[Cause::Deployment];
    code_as_well(writer, suspect);
    for index in suspect.guilty_keys() {
        if let Some(key) = change.keys.get(index) {
            let show = |value: &str| shown(&key.key, value);
            let name = &key.key;
            let statement = match (&key.before, &key.after) {
                (Some(before), Some(after)) => {
                    format!("The change set {name} from {} to {}.", show(before), show(after))
                }
                (None, Some(after)) => {
                    format!("The change set {name} to {}; no earlier value is recorded.", show(after))
                }
                (Some(before), None) => {
                    format!("The change took {name} away, or hid it; it was {}.", show(before))
                }
                (None, None) => format!("The change set {name}; its values are not recorded."),
            };
            let shown = change.shown.iter().find(|shown| shown.key == key.key);
            let alone = shown.is_some_and(|shown| shown.says == FieldSays::Alone);
            let source = if alone { "log lines".to_owned() } else { source_of_values(suspect) };
            writer.add(Agent::Deploy, statement, support, Some(source));
            if let Some(shown) = shown {
                let field = &shown.field;
                let lines = match shown.lines {
                    (0, after) => format!("{after} lines since"),
                    (before, after) => format!("{before} lines before it and {after} since"),
                };
                let statement = match shown.says {
                    FieldSays::Alone => format!(
                        "AWS does not show all of {name}: the field {field} of the service's own logs does, in {lines}."
                    ),
                    FieldSays::Agrees => format!(
                        "The service's own logs agree: their field {field} moved with the change, in {lines}."
                    ),
                    FieldSays::Stays => format!(
                        "The field {field} of the service's own logs stays at {} after it.",
                        key.before.as_deref().map_or_else(String::new, show)
                    ),
                };
                let supports: &[Cause] = if shown.says == FieldSays::Stays { &[] } else { support };
                writer.add(Agent::Logs, statement, supports, Some(format!("field {field} of log lines")));
            }
        }
    }
    if let Some(starved) = &suspect.starved {
        let name = |side: &Side| {
            let left = if side.changed.is_none() { ", which it left as it was" } else { "" };
            format!("{}{left}", side.key)
        };
        let before = |side: &Side| side.before.map_or_else(|| "?".to_owned(), figure);
        let statement = format!(
            "{} callers ({}) cannot share {} ({}): at least {} wait at full load; before the change {} shared {}.",
            figure(starved.callers.after),
            name(&starved.callers),
            figure(starved.pool.after),
            name(&starved.pool),
            figure(starved.callers.after - starved.pool.after),
            before(&starved.callers),
            before(&starved.pool)
        );
        writer.add(Agent::Deploy, statement, support, None);
    }
    if let Some((key, limit)) = suspect.cut_off
        && let Some(key) = change.keys.get(key)
    {
        let triggers = findings.triggers;
        let query = triggers.ceiling.as_ref().map(|ceiling| ceiling.query.clone());
        let query = query.or_else(|| triggers.drain.as_ref().map(|drain| drain.query.clone()));
        let statement = format!(
            "{} stands at {}, the very limit that the change gave {}.",
            query.as_deref().unwrap_or("A series"),
            figure(limit),
            key.key
        );
        writer.add(Agent::Metrics, statement, support, query);
    }
    if let Some(split) = &suspect.split {
        let statement = format!(
            "In the same minutes {} logged {} of these failures in {} lines, the other versions {} in {}.",
            version(&split.new_version),
            figure(split.new_bad),
            figure(split.new_lines),
            figure(split.old_bad),
            figure(split.old_lines)
        );
        let supports: &[Cause] = if split.ratio >= 1.0 { support } else { &[] };
        writer.add(Agent::Logs, statement, supports, Some("log stream names by version".to_owned()));
    }
    if let Some(dose) = &suspect.dose
        && dose.ratio >= 2.0
    {
        let told: Vec<String> = dose
            .steps
            .iter()
            .map(|(at, share, failing)| {
                format!(
                    "{} at {:.0} % of traffic since {} UTC",
                    percent(*failing),
                    share * 100.0,
                    writer.at(*at)
                )
            })
            .collect();
        let statement = format!("Failures followed its share of traffic: {}.", told.join(", "));
        writer.add(
            Agent::Metrics,
            statement,
            support,
            findings.symptom.primary.as_ref().map(|one| one.query.clone()),
        );
    }
    if let Some((key, token)) = &suspect.names_error {
        let statement =
            format!("The present value of {key} holds {}, which the errors name.", redact::value(key, token));
        writer.add(Agent::Deploy, statement, support, Some(format!("configuration of {}", change.resource)));
    }
    if let Some(reversal) = &suspect.reversal {
        let statement = match reversal.minutes {
            Some(minutes) if minutes >= 1.0 => format!(
                "The change was undone at {} UTC and the symptom ended {} later.",
                writer.clock(reversal.at),
                lasting(minutes)
            ),
            Some(_) => format!(
                "The change was undone at {} UTC and the symptom ended with it.",
                writer.clock(reversal.at)
            ),
            None if reversal.at < findings.symptom.grid.at(findings.symptom.begin) => format!(
                "The change was undone at {} UTC, before the symptom began.",
                writer.clock(reversal.at)
            ),
            None => format!(
                "The change was undone at {} UTC, but the symptom goes on.",
                writer.clock(reversal.at)
            ),
        };
        let supports: &[Cause] = if reversal.minutes.is_some() { support } else { &[] };
        writer.add(Agent::Deploy, statement, supports, None);
    }
}

/// A release that turned code and keys, where the errors speak of none of the keys: which of both it was is open.
fn code_as_well(writer: &mut Writer<'_>, suspect: &Suspect<'_>) {
    let change = suspect.change;
    if !change.code_changed || change.keys.is_empty() || !suspect.guilty_keys().is_empty() {
        return;
    }
    let keys: Vec<&str> = change.keys.iter().map(|key| key.key.as_str()).take(COMPETITORS).collect();
    let more = change.keys.len() - keys.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let statement = format!(
        "The release changed code as well as {}{more}, and the errors point at none of these.",
        keys.join(", ")
    );
    writer.add(Agent::Deploy, statement, &[], Some(source_of_values(suspect)));
}

/// Who made a change, when it began to act, and how long before the onset.
fn took_effect(writer: &mut Writer<'_>, suspect: &Suspect<'_>) {
    let Some((from, until)) = suspect.effect else { return };
    let change = suspect.change;
    let who = change
        .actor
        .as_ref()
        .map(|actor| actor.name.as_str())
        .filter(|name| !name.is_empty())
        .map(|name| format!(" by {name}"))
        .unwrap_or_default();
    let effect = Timestamp::from_second(from).unwrap_or(change.at);
    let symptom = writer.findings.symptom;
    // In whole minutes of the clock, as a reader subtracts the two times.
    let began = symptom.since().map(|begin| {
        let began = if symptom.is_timed() { writer.findings.began() } else { symptom.grid.at(begin) };
        began.as_second().div_euclid(60) - from.div_euclid(60)
    });
    let lag = match began {
        Some(minutes @ 1..) => format!(", {} before the onset", lasting(minutes as f64)),
        Some(0) => ", in the minute of the onset".to_owned(),
        Some(_) => ", among the minutes in one of which the onset was".to_owned(),
        None => String::new(),
    };
    let spread = if until > from + 90 {
        Timestamp::from_second(until)
            .map(|until| format!("; its rollout ended by {} UTC", writer.clock(until)))
            .unwrap_or_default()
    } else {
        String::new()
    };
    let statement =
        format!("{}{who} took effect at {} UTC{lag}{spread}.", capital(&what(suspect)), writer.clock(effect));
    let query = change.event_ids.first().map(|id| format!("CloudTrail event {id}"));
    let link = links::of_change(change, &writer.findings.evidence.scope.region);
    writer.push(Agent::Deploy, statement, &[Cause::Deployment], query, link);
}

fn source_of_values(suspect: &Suspect<'_>) -> String {
    match (&suspect.change.from_version, &suspect.change.to_version) {
        (Some(from), Some(to)) if from != to => {
            format!("configuration of {}, {from} against {to}", suspect.change.resource)
        }
        _ => format!("configuration of {}", suspect.change.resource),
    }
}
