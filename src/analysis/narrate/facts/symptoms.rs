//! What users see: how failures and latency moved, and whether they did so on earlier days.

use super::{Writer, times};
use crate::analysis::metrics::{Manner, Trouble};
use crate::analysis::narrate::{figure, milliseconds, per, percent};
use crate::analysis::steps;
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
        let since = writer.at(begin);
        let statement = match trouble.manner {
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
        if findings.metrics.is_some_and(|metrics| metrics.own().is_some()) {
            let requests = symptom.requests.map_or(String::new(), |requests| {
                format!(" ({} requests in the last half hour)", figure(requests))
            });
            let statement =
                format!("Neither failures nor latency of the service rose beyond their noise{requests}.");
            writer.add_of(statement, &[Cause::None], &[]);
        }
        if let Some(sag) = &symptom.sag {
            let statement = format!(
                "{} fell from {} to {} {} at {} UTC, for about as many requests.",
                sag.metric,
                figure(sag.before),
                figure(sag.during),
                per(symptom.grid.step),
                writer.at(sag.begin)
            );
            writer.add(Agent::Metrics, statement, &[], Some(sag.query.clone()));
        }
        if let Some(noise) = symptom.log_noise {
            let statement = format!(
                "Error lines rose from {} to {} a minute at {} UTC, while what users see did not change.",
                figure(noise.before * 60.0 / symptom.grid.step as f64),
                figure(noise.during * 60.0 / symptom.grid.step as f64),
                writer.at(noise.begin)
            );
            writer.add(Agent::Logs, statement, &[Cause::None], None);
        }
    }
}

fn shape(trouble: &Trouble) -> &'static str {
    match trouble.steadiness {
        Some(steady) if steady < steps::GROWS => "grew",
        _ => "rose",
    }
}
