//! What else could be to blame, and what speaks for or against it: demand, what the service calls, what it uses up, its
//! neighbours.

use super::{Writer, amount, capital, quote, times};
use crate::analysis::metrics::Manner;
use crate::analysis::narrate::{figure, lasting, links, milliseconds, per, percent};
use crate::analysis::triggers::Drain;
use crate::analysis::triggers::events::Kind;
use crate::domain::report::{Agent, Cause};

/// How many requests came, and of what kind.
pub(super) fn demand(writer: &mut Writer<'_>) {
    let findings = writer.findings;
    let triggers = findings.triggers;
    if let Some(surge) = &triggers.surge {
        let others = if surge.others > 0 {
            format!("; {} other services see the same", surge.others)
        } else {
            String::new()
        };
        let statement = format!(
            "Requests rose from {} to {} {} at {} UTC ({} this hour's habit){others}.",
            figure(surge.before),
            figure(surge.during),
            per(findings.symptom.grid.step),
            writer.at(surge.begin),
            times(surge.factor)
        );
        writer.add(Agent::Metrics, statement, &[Cause::Traffic], Some(surge.query.clone()));
    } else if let Some((before, during, begin)) = triggers.usual_rise {
        let statement = format!(
            "Requests rose from {} to {} {} at {} UTC, as they do at this hour on earlier days{}.",
            figure(before),
            figure(during),
            per(findings.symptom.grid.step),
            writer.at(begin),
            if findings.symptom.habit.is_some() { "" } else { ", when it went well" }
        );
        writer.add(Agent::Metrics, statement, &[], triggers.demand.clone());
    } else if let Some(flat) = triggers.demand_flat {
        let other = triggers.mix.is_some() || triggers.heavier.is_some();
        let statement = if other {
            format!(
                "Requests are {:.0} % of what they were before the onset, and other ones than before.",
                flat * 100.0
            )
        } else if flat > 1.15 {
            format!(
                "Demand rose to {:.0} % of what it was before the onset: too little to explain it.",
                flat * 100.0
            )
        } else {
            format!(
                "Demand does not explain it: requests are {:.0} % of what they were before the onset.",
                flat * 100.0
            )
        };
        writer.add(Agent::Metrics, statement, &[], triggers.demand.clone());
    }
    if let Some(mix) = &triggers.mix {
        let statement = format!(
            "The mix of work shifted: {}={} went from {} to {} of log lines.",
            mix.field,
            quote(&mix.value),
            percent(mix.before),
            percent(mix.during)
        );
        writer.add(Agent::Logs, statement, &[Cause::Traffic], None);
    }
    if let Some(heavier) = &triggers.heavier {
        let statement = format!(
            "What comes in is heavier: {} went from {} to {} at the onset.",
            heavier.query,
            figure(heavier.before),
            figure(heavier.during)
        );
        writer.add(Agent::Metrics, statement, &[Cause::Traffic], Some(heavier.query.clone()));
    }
}

/// How those fare that the service calls.
pub(super) fn dependencies(writer: &mut Writer<'_>) {
    let findings = writer.findings;
    let triggers = findings.triggers;
    for outage in triggers.outages.iter().take(3) {
        if let Some((before, during, begin)) = outage.flood {
            let statement = format!(
                "{} gets {} requests {} instead of {} since {} UTC, before it fails, while the service has no more to do than before.",
                outage.name,
                figure(during),
                per(findings.symptom.grid.step),
                figure(before),
                writer.at(begin)
            );
            writer.add_of(statement, &[Cause::Deployment], std::slice::from_ref(&outage.name));
        }
        let rise = &outage.trouble.rise;
        let begin = writer.at(rise.begin);
        let statement = match outage.trouble.manner {
            Manner::Failing => format!(
                "{}, which the service calls, fails as well: {} of its requests instead of {} since {begin} UTC.",
                outage.name,
                percent(rise.during),
                percent(rise.before)
            ),
            Manner::Slow => format!(
                "{}, which the service calls, is slow as well: {} instead of {} ({}) since {begin} UTC.",
                outage.name,
                milliseconds(rise.during),
                milliseconds(rise.before),
                outage.trouble.stat
            ),
        };
        writer.add(Agent::Metrics, statement, &[Cause::Dependency], Some(outage.trouble.query.clone()));
    }
    if !triggers.healthy.is_empty() {
        let names: Vec<&str> = triggers.healthy.iter().take(4).map(String::as_str).collect();
        let more = triggers.healthy.len() - names.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let statement = match (names.as_slice(), more.is_empty()) {
            ([one], true) => {
                format!("{one}, which the service calls, shows no trouble of its own at the onset.")
            }
            _ => format!(
                "{}{more}, which the service calls, show no trouble of their own at the onset.",
                names.join(", ")
            ),
        };
        writer.add_of(statement, &[], &triggers.healthy);
    }
    if let Some(first) = triggers.untimed.first() {
        let statement = match triggers.untimed.len() - 1 {
            0 => format!(
                "{first}, which the service calls, fails no more than before; how slowly it answers was not read."
            ),
            more => format!(
                "{first} and {more} more that the service calls fail no more than before; how slowly they answer was not read."
            ),
        };
        writer.add_of(statement, &[], &triggers.untimed);
    }
}

/// What ran out or expired, and what AWS says of it.
pub(super) fn resources(writer: &mut Writer<'_>) {
    let triggers = writer.findings.triggers;
    if let Some(drain) = &triggers.drain {
        let statement = if drain.sudden {
            let (from, to) = (amount(drain.from, &drain.query), amount(drain.to, &drain.query));
            format!("{} jumped from {from} to {to} with the onset and stays there.", capital(drain.what()))
        } else {
            format!("{} went {}, into the onset.", capital(drain.what()), way(drain))
        };
        writer.add(Agent::Metrics, statement, &[Cause::Exhaustion], Some(drain.query.clone()));
    }
    if let Some(admitted) = &triggers.admitted {
        let statement = format!(
            "AWS Health tells of trouble with {} since {} UTC: {}",
            admitted.service,
            writer.at(admitted.first),
            quote(&admitted.text)
        );
        let (query, link) = (Some(admitted.code.clone()), links::of_provider(writer.findings));
        writer.push(Agent::Deploy, statement, &[Cause::Platform], query, link);
    }
    for told in triggers.told.iter().take(3) {
        let supports: &[Cause] = match told.kind {
            Kind::Capacity => &[Cause::Platform],
            Kind::Room => &[Cause::Exhaustion],
            Kind::Memory | Kind::Image | Kind::Health => &[],
        };
        let more = if told.count > 1 { format!(" {} times", told.count) } else { String::new() };
        let statement = format!(
            "Since {} UTC the container service says{more}: {}",
            writer.at(told.first),
            quote(&told.text)
        );
        let (query, link) = (Some("events of the service".to_owned()), links::of_events(writer.findings));
        writer.push(Agent::Deploy, statement, supports, query, link);
    }
    if let Some(creep) = &triggers.creep {
        let statement = format!(
            "Latency crept up from {} to {} over {}.",
            milliseconds(creep.from),
            milliseconds(creep.to),
            lasting(creep.minutes)
        );
        writer.add(Agent::Metrics, statement, &[Cause::Exhaustion], Some(creep.query.clone()));
    }
    if let Some(days) = triggers.expiry.as_ref().and_then(|expiry| expiry.days_left) {
        let statement = format!("The days left until expiry have come down to {}.", figure(days));
        writer.add_of(statement, &[Cause::Expiry], &[]);
    }
}

/// How far a resource went, and in which time as far as it was read: `from 70 to 100 in the 2 h 59 min that were read`.
pub fn way(drain: &Drain) -> String {
    /// Minutes. The first level is that of earlier days.
    const DAYS: f64 = 1000.0;
    let (from, to) = (amount(drain.from, &drain.query), amount(drain.to, &drain.query));
    match (drain.minutes >= DAYS, drain.knee) {
        (true, _) => format!("from {from} on earlier days to {to}"),
        (false, Some(_)) => format!("from {from} to {to} in {}", lasting(drain.minutes)),
        // It had begun before: how long it took nobody saw.
        (false, None) => format!("from {from} to {to} in the {} that were read", lasting(drain.minutes)),
    }
}

/// Unrelated services that fail in the same minutes.
pub(super) fn neighbours(writer: &mut Writer<'_>) {
    let triggers = writer.findings.triggers;
    if let Some(zone) = &triggers.zone
        && !zone.peers.is_empty()
    {
        let statement = format!(
            "{} of {} services that have nothing to do with it fail in the same minutes: {}.",
            zone.peers.len(),
            zone.of,
            zone.peers.join(", ")
        );
        writer.add_of(statement, &[Cause::Platform], &zone.peers);
    }
}

/// The services that have nothing to do with it, as a control group.
pub(super) fn controls(writer: &mut Writer<'_>) {
    let findings = writer.findings;
    let Some(controls) = &findings.triggers.controls else { return };
    let (of, peers) = (controls.of, &findings.evidence.scope.peers);
    if controls.part >= 0.5 {
        let statement = format!(
            "{of} services that have nothing to do with it rose as well in the same minutes, half of them by {} of its own rise and more: a change of its own does not reach them.",
            percent(controls.part)
        );
        writer.add_of(statement, &[Cause::Platform], peers);
    } else if controls.part <= 0.1 && writer.findings.blamed().is_some() {
        let statement = format!(
            "{of} services that have nothing to do with it stayed calm in the same minutes: the trouble is not everybody's."
        );
        writer.add_of(statement, &[Cause::Deployment], peers);
    }
}
