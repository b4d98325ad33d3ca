//! What users see: how failures and latency moved, and whether they did so on earlier days.

use std::fmt::Display;

use super::{Writer, capital, times};
use crate::analysis::metrics::trouble::Standing;
use crate::analysis::metrics::{Manner, Trouble};
use crate::analysis::narrate::{figure, milliseconds, per, percent};
use crate::analysis::sag::{Fallen, Sag};
use crate::analysis::steps;
use crate::analysis::symptom::Symptom;
use crate::domain::report::{Agent, Cause};

pub(super) fn symptoms(writer: &mut Writer<'_>) {
    let findings = writer.findings;
    let symptom = findings.symptom;
    let cause = findings.cause();
    let supports: &[Cause] = if matches!(cause, Cause::None | Cause::Recurring) { &[] } else { &[cause] };
    let primary = symptom.primary.iter().map(|one| (one, true));
    for (trouble, is_primary) in primary.chain(symptom.second.iter().map(|one| (one, false))) {
        let since = writer.at(trouble.rise.begin);
        let until = trouble
            .rise
            .end
            .filter(|end| *end + 2 < symptom.grid.len)
            .map(|end| format!(", and it is over since {} UTC", writer.at(end)))
            .unwrap_or_default();
        let shape = shape(trouble);
        // Told as of the incident's onset, so that what came before it does not blur the level. The onset is what
        // began in this very series, whatever period its noise lets it be seen in.
        let later = trouble.rise.begin.max(symptom.begin);
        let begin = if is_primary { symptom.begin } else { later };
        let (before, during) = trouble.levels_at(later);
        let early = if trouble.rise.begin + symptom.grid.periods(4) < symptom.begin {
            format!(", after a first rise at {since} UTC")
        } else {
            String::new()
        };
        let since = if begin == symptom.begin { writer.clock(findings.began()) } else { writer.at(begin) };
        let few = is_primary && symptom.has_few_requests() && !symptom.from_logs;
        let statement = match trouble.manner {
            // A share of a handful says less than the handful.
            Manner::Failing if few => {
                let ((bad, all), (bad_since, all_since)) = trouble.counts();
                format!(
                    "Of {} requests since {since} UTC {} failed, of the {} before {}{until}.",
                    figure(all_since),
                    figure(bad_since),
                    figure(all),
                    figure(bad)
                )
            }
            Manner::Failing if symptom.from_logs => format!(
                "Failing lines {shape} from {} to {} of all log lines at {since} UTC{early}{until}.",
                percent(before),
                percent(during)
            ),
            Manner::Failing => format!(
                "Failures {shape} from {} to {} of requests at {since} UTC{early}{until}.",
                percent(before),
                percent(during)
            ),
            Manner::Slow => format!(
                "Latency ({}) {shape} from {} to {} ({}) at {since} UTC{early}{until}.",
                trouble.stat,
                milliseconds(before),
                milliseconds(during),
                times(if before > 0.0 { during / before } else { f64::INFINITY })
            ),
        };
        let agent = if symptom.from_logs { Agent::Logs } else { Agent::Metrics };
        writer.add(agent, statement, supports, Some(trouble.query.clone()));
    }
    if let Some(habit) = symptom.habit {
        let slow = symptom.primary.as_ref().is_some_and(|primary| primary.manner == Manner::Slow);
        let show = |value: f64| if slow { milliseconds(value) } else { percent(value) };
        let when = if habit.days_ago == 1 { "yesterday" } else { "a week ago" };
        let statement = format!(
            "In the same minutes {when} the same series went from {} to {}.",
            show(habit.before),
            show(habit.during)
        );
        let query = symptom.primary.as_ref().map(|primary| primary.query.clone());
        writer.add(Agent::Metrics, statement, &[Cause::Recurring], query);
    }
    if symptom.primary.is_none() {
        without_rise(writer);
    }
}

/// What is known of a symptom that no rise of failures or latency shows.
fn without_rise(writer: &mut Writer<'_>) {
    let symptom = writer.findings.symptom;
    if let Some(standing) = &symptom.standing {
        let statement = format!("{}.", capital(&stands(standing, writer.at(0))));
        writer.add(Agent::Metrics, statement, &[Cause::Unknown], Some(standing.query.clone()));
    } else if let Some(statement) = unrisen(symptom) {
        writer.add_of(statement, &[Cause::None], &[]);
    }
    if let Some(sag) = &symptom.sag {
        let beside = match sag.of {
            Fallen::Demand { usual: true } => ", which is not this hour's habit",
            Fallen::Demand { usual: false } => "; of this hour on earlier days nothing is known",
            Fallen::Yield => "",
        };
        let at = writer.at(sag.begin);
        let statement = format!("{} at {at} UTC{beside}.", fell(sag, symptom.grid.step));
        writer.add(Agent::Metrics, statement, &[], Some(sag.query.clone()));
    }
    if let Some(noise) = symptom.log_noise {
        let beside = match (symptom.measured.failing, symptom.measured.slow) {
            (true, true) => ", while failures and latency stayed as they were",
            (true, false) => ", while failures stayed as they were",
            _ => "",
        };
        let statement = format!(
            "Error lines rose from {} to {} a minute at {} UTC{beside}.",
            figure(noise.before * 60.0 / symptom.grid.step as f64),
            figure(noise.during * 60.0 / symptom.grid.step as f64),
            writer.at(noise.begin)
        );
        let supports: &[Cause] = if symptom.measured.failing { &[Cause::None] } else { &[] };
        writer.add(Agent::Logs, statement, supports, None);
    }
}

/// From where to where a count fell.
pub fn fell(sag: &Sag, step: i64) -> String {
    let (before, during) = (figure(sag.before), figure(sag.during));
    format!("{} fell from {before} to {during} {}", sag.metric, unit(sag, step))
}

/// What a count that fell is counted by.
pub fn unit(sag: &Sag, step: i64) -> String {
    match sag.of {
        Fallen::Yield => "per 100 requests".to_owned(),
        Fallen::Demand { .. } => per(step),
    }
}

/// What was read and did not rise.
fn unrisen(symptom: &Symptom) -> Option<String> {
    let requests = symptom
        .requests
        .map_or(String::new(), |requests| format!(" ({} requests in the last half hour)", figure(requests)));
    match (symptom.measured.failing, symptom.measured.slow) {
        (true, true) => {
            Some(format!("Neither failures nor latency of the service rose beyond their noise{requests}."))
        }
        (true, false) => Some(format!(
            "Failures of the service did not rise beyond their noise{requests}; its latency was not read."
        )),
        (false, true) => Some(format!(
            "Latency of the service did not rise beyond its noise{requests}; its failures were not read up to now."
        )),
        (false, false) => None,
    }
}

/// A level of failures that has no beginning.
pub fn stands(standing: &Standing, first: impl Display) -> String {
    let usual = match standing.usual {
        Some((1, then)) => format!(", against {} in the same minutes yesterday", percent(then)),
        Some((_, then)) => format!(", against {} in the same minutes a week ago", percent(then)),
        None => String::new(),
    };
    format!(
        "{} of requests fail, and did so when what was read begins, at {first} UTC{usual}",
        percent(standing.share)
    )
}

fn shape(trouble: &Trouble) -> &'static str {
    match trouble.steadiness {
        Some(steady) if steady < steps::GROWS => "grew",
        _ => "rose",
    }
}
