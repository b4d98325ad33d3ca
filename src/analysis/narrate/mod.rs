//! The report: facts with ids, a root cause in two sentences, what was cleared and why, what is
//! missing.
//!
//! The rule that is not obvious: a sentence is written from a fact, never from a verdict, so that
//! whoever doubts it can look at the query, the window and the value.

pub mod chart;
mod clearances;
mod facts;
mod gaps;
mod links;
mod summary;

use jiff::Timestamp;

use super::failure::Failure;
use super::logs::LogSurvey;
use super::metrics::Metrics;
use super::nearness;
use super::suspects::Suspect;
use super::symptom::Symptom;
use super::triggers::Triggers;
use super::weigh::Weighed;
use crate::domain::change::{Change, ChangeKind, KeyChange, readable};
use crate::domain::cost::Usage;
use crate::domain::evidence::Evidence;
use crate::domain::redact;
use crate::domain::report::{Action, Cause, Hypothesis, NamedChange, Onset, Report, TimelineEntry, Verdict};

/// Everything that was found, for writing about it.
pub struct Findings<'a> {
    pub evidence: &'a Evidence,
    pub metrics: Option<&'a Metrics>,
    pub logs: Option<&'a LogSurvey>,
    pub symptom: &'a Symptom,
    pub failure: &'a Failure,
    pub triggers: &'a Triggers,
    pub suspects: &'a [Suspect<'a>],
    pub weighed: &'a Weighed,
}

impl<'a> Findings<'a> {
    /// The suspect that the verdict names.
    pub fn blamed(&self) -> Option<&'a Suspect<'a>> {
        self.weighed.rows.first().and_then(|row| row.suspect).and_then(|index| self.suspects.get(index))
    }

    /// When the symptom began, as a time. What the blamed change did within the period of the onset it did after its effect.
    fn began(&self) -> Timestamp {
        let symptom = self.symptom;
        let began = symptom.grid.at(symptom.begin);
        let effect = self.blamed().and_then(|suspect| Timestamp::from_second(suspect.effect?.0).ok());
        let within = |at: &Timestamp| symptom.grid.index(*at) == Some(symptom.begin);
        effect.filter(within).map_or(began, |at| at.max(began))
    }

    pub fn cause(&self) -> Cause {
        self.weighed.rows.first().map_or(Cause::Unknown, |row| row.cause)
    }
}

pub fn report(findings: &Findings<'_>, action: Action) -> Report {
    let rows = &findings.weighed.rows;
    let event_of = |suspect: Option<usize>| {
        suspect
            .and_then(|index| findings.suspects.get(index))
            .and_then(|suspect| suspect.change.event_ids.first().cloned())
    };
    let hypotheses: Vec<Hypothesis> = rows
        .iter()
        .map(|row| Hypothesis {
            cause: row.cause,
            event_id: event_of(row.suspect),
            probability: row.probability,
            about: row
                .suspect
                .and_then(|index| findings.suspects.get(index))
                .map(|suspect| told_apart(findings, suspect))
                .or_else(|| row.about.clone())
                .map(|about| redact::text(&about)),
        })
        .collect();
    let cause = findings.cause();
    let verdict = Verdict {
        cause,
        change: findings.blamed().filter(|_| cause == Cause::Deployment).map(named),
        confidence: rows.first().map_or(0.0, |row| row.probability),
    };
    let evidence = facts::items(findings);
    Report {
        service: findings.evidence.scope.service.clone(),
        onset: onset(findings),
        summary: summary::summary(findings, &verdict),
        verdict,
        action,
        hypotheses,
        evidence,
        cleared: clearances::cleared(findings),
        gaps: gaps::gaps(findings),
        timeline: timeline(findings),
        cost: findings.evidence.cost.as_ref().map(Usage::priced),
    }
}

fn onset(findings: &Findings<'_>) -> Option<Onset> {
    let symptom = findings.symptom;
    if !symptom.is_timed() {
        return None;
    }
    let (earliest, _, latest) = symptom.seconds();
    let at = findings.began();
    let time = |second: i64| Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH);
    let earliest = if symptom.first == symptom.begin { at } else { time(earliest) };
    Some(Onset { at, earliest, latest: time(latest) })
}

/// The blamed change with the keys that matter, secrets masked.
fn named(suspect: &Suspect<'_>) -> NamedChange {
    let change = suspect.change;
    // Rules of a network or a policy are no configuration keys, and a secret's value is none to show.
    let keyed = !matches!(
        change.kind,
        ChangeKind::IamPolicy | ChangeKind::SecurityGroup | ChangeKind::Network | ChangeKind::Secret
    );
    let config = suspect
        .guilty_keys()
        .into_iter()
        .filter(|_| keyed)
        .filter_map(|index| change.keys.get(index))
        .map(|key| KeyChange {
            key: key.key.clone(),
            before: key.before.as_deref().map(|value| redact::value(&key.key, value)),
            after: key.after.as_deref().map(|value| redact::value(&key.key, value)),
        })
        .collect();
    let at = suspect.effect.and_then(|(from, _)| Timestamp::from_second(from).ok()).unwrap_or(change.at);
    NamedChange {
        event_id: change.event_ids.first().cloned(),
        kind: change.kind.clone(),
        resource: change.resource.clone(),
        at,
        actor: change.actor.as_ref().map(|actor| actor.name.clone()).filter(|name| !name.is_empty()),
        config,
    }
}

fn timeline(findings: &Findings<'_>) -> Vec<TimelineEntry> {
    let mut entries = Vec::new();
    for suspect in findings.suspects {
        let told = suspect.timing > 0.0 && suspect.prior > 1e-6
            || findings.blamed().is_some_and(|blamed| blamed.change.id == suspect.change.id);
        if !told {
            continue;
        }
        if let Some(at) = suspect.effect.and_then(|(from, _)| Timestamp::from_second(from).ok()) {
            entries.push(TimelineEntry { at, what: redact::text(&facts::capital(&what(suspect))) });
        }
        if let Some(at) = suspect.change.undone_at {
            entries.push(TimelineEntry {
                at,
                what: format!("This change of {} is undone", suspect.change.resource),
            });
        }
    }
    for trial in &findings.evidence.trials {
        let design = &trial.design;
        entries.push(TimelineEntry {
            at: trial.begun_at,
            what: redact::text(&format!("A test begins: {}", design.describe())),
        });
        entries.push(TimelineEntry {
            at: trial.ended_at,
            what: format!("The test of version {} ends", design.earlier),
        });
    }
    if let Some(onset) = onset(findings) {
        entries.push(TimelineEntry { at: onset.at, what: "The symptom begins".to_owned() });
    }
    if let Some(end) = findings.symptom.end {
        entries
            .push(TimelineEntry { at: findings.symptom.grid.at(end), what: "The symptom ends".to_owned() });
    }
    entries.push(TimelineEntry { at: findings.evidence.alert.at, what: "The alert fires".to_owned() });
    entries.sort_by(|a, b| a.at.cmp(&b.at).then_with(|| a.what.cmp(&b.what)));
    entries.dedup();
    entries
}

/// A change in a few words.
pub fn what(suspect: &Suspect<'_>) -> String {
    let change = suspect.change;
    if only_tasks(change) {
        return format!("change of the number of tasks of {}", change.resource);
    }
    let version = |name: &str| match change.kind {
        // A task definition says its own name.
        ChangeKind::EcsDeployment => name.to_owned(),
        _ => version(name),
    };
    let versions = match (change.from_version.as_deref(), change.to_version.as_deref()) {
        (_, Some("$LATEST")) => " ($LATEST)".to_owned(),
        (Some(from), Some(to)) if from != to => format!(" from {} to {to}", version(from)),
        (None, Some(to)) => format!(" to {}", version(to)),
        _ => String::new(),
    };
    let share = if change.share < 0.995 {
        format!(" for {:.0} % of traffic", change.share * 100.0)
    } else {
        String::new()
    };
    if change.kind == ChangeKind::Secret && nearness::is_key(&change.resource) {
        return format!("change of the encryption key {}", change.resource);
    }
    let kind = match change.kind {
        // A release that turned both is no mere change of configuration.
        ChangeKind::LambdaConfig if change.code_changed => "code and configuration change",
        ref kind => kind.describe(),
    };
    format!("{kind} of {}{versions}{share}", change.resource)
}

/// The same among the hypotheses: where two read alike, each says when it was.
fn told_apart(findings: &Findings<'_>, suspect: &Suspect<'_>) -> String {
    let words = what(suspect);
    let rows = findings.weighed.rows.iter().filter_map(|row| findings.suspects.get(row.suspect?));
    if rows.filter(|other| what(other) == words).count() < 2 {
        return words;
    }
    let at =
        suspect.effect.and_then(|(from, _)| Timestamp::from_second(from).ok()).unwrap_or(suspect.change.at);
    format!("{words} at {} UTC", clock(at, findings.evidence.scope.now))
}

/// An update of an ECS service that asks for another number of tasks and nothing else.
fn only_tasks(change: &Change) -> bool {
    change.kind == ChangeKind::EcsDeployment
        && !change.code_changed
        && change.from_version == change.to_version
        && !change.keys.is_empty()
        && change.keys.iter().all(|key| key.key == "desiredCount")
}

/// A configuration value as it is shown: secrets masked, and a list of layers by their names.
pub fn shown(key: &str, value: &str) -> String {
    readable(&redact::value(key, value)).into_owned()
}

/// A version as people say it: `$LATEST` is none that has a number.
pub fn version(name: &str) -> String {
    if name == "$LATEST" { name.to_owned() } else { format!("version {name}") }
}

/// `12:15` UTC, with the day from half a day on: nearer, the time alone can mean one moment only.
pub fn clock(at: Timestamp, now: Timestamp) -> String {
    const HALF_A_DAY: i64 = 12 * 3600;
    let near = (now.as_second() - at.as_second()).abs() < HALF_A_DAY;
    at.strftime(if near { "%H:%M" } else { "%Y-%m-%d %H:%M" }).to_string()
}

/// A time that something took or lasted, of minutes: hours from two on.
pub fn lasting(minutes: f64) -> String {
    let whole = minutes.round().max(0.0) as i64;
    match (whole / 60, whole % 60) {
        (hours @ 2.., 0) => format!("{hours} h"),
        (hours @ 2.., rest) => format!("{hours} h {rest} min"),
        _ => format!("{whole} min"),
    }
}

/// What a count is counted over, of the seconds of one period.
pub fn per(seconds: i64) -> String {
    match (seconds, seconds % 60) {
        (60, _) => "per minute".to_owned(),
        (_, 0) => format!("per {} min", seconds / 60),
        _ => format!("per {seconds} s"),
    }
}

/// A share as a percentage with as many digits as it deserves.
pub fn percent(share: f64) -> String {
    let value = share * 100.0;
    if value >= 10.0 || value == 0.0 {
        format!("{value:.0} %")
    } else if value >= 1.0 {
        format!("{value:.1} %")
    } else {
        format!("{value:.2} %")
    }
}

/// A duration for people, of milliseconds: seconds from one second on.
pub fn milliseconds(value: f64) -> String {
    if value >= 9_950.0 {
        format!("{:.0} s", value / 1_000.0)
    } else if value >= 999.5 {
        format!("{:.1} s", value / 1_000.0)
    } else if value >= 10.0 {
        format!("{value:.0} ms")
    } else {
        format!("{value:.1} ms")
    }
}

/// A number without noise digits.
pub fn figure(value: f64) -> String {
    if value.abs() >= 100.0 {
        return format!("{value:.0}");
    }
    let tenths = format!("{value:.1}");
    tenths.strip_suffix(".0").unwrap_or(&tenths).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_no_noise_digits_and_times_the_unit_that_people_use() {
        assert_eq!([0.0, 46.0, 7.14, 98.12, 901.4].map(figure), ["0", "46", "7.1", "98.1", "901"]);
        assert_eq!(
            [0.0, 59.6, 119.0, 120.0, 179.0].map(lasting),
            ["0 min", "60 min", "119 min", "2 h", "2 h 59 min"]
        );
        assert_eq!([10, 60, 300].map(per), ["per 10 s", "per minute", "per 5 min"]);
    }

    #[test]
    fn a_time_of_the_last_half_day_needs_no_date() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let now = at("2026-02-13T00:05:00Z");
        assert_eq!(clock(at("2026-02-12T23:46:00Z"), now), "23:46");
        assert_eq!(clock(at("2026-02-12T12:04:00Z"), now), "2026-02-12 12:04");
    }
}
