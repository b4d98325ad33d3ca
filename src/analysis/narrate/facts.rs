//! Evidence items: one fact each, with figures, units, times and what was read.

use super::{Findings, clock, figure, links, milliseconds, percent, shown, what};
use crate::analysis::keys::Side;
use crate::analysis::logs::phrases::Mechanism;
use crate::analysis::metrics::{Manner, Trouble};
use crate::analysis::suspects::Suspect;
use crate::analysis::triggers::events::Kind;
use crate::domain::change::FieldSays;
use crate::domain::redact;
use crate::domain::report::{Agent, Cause, EvidenceItem};
use jiff::Timestamp;

/// Longest quotation from a log, in characters.
const QUOTED: usize = 160;

struct Writer<'f> {
    findings: &'f Findings<'f>,
    items: Vec<EvidenceItem>,
}

impl Writer<'_> {
    fn add(&mut self, source: Agent, statement: impl AsRef<str>, supports: &[Cause], query: Option<String>) {
        let link = links::link(self.findings, source, query.as_deref());
        self.items.push(EvidenceItem {
            id: String::new(),
            source,
            link,
            statement: redact::text(statement.as_ref()),
            supports: supports.to_vec(),
            query: query.map(|query| redact::text(&query)),
        });
    }

    fn clock(&self, at: Timestamp) -> String {
        clock(at, self.findings.evidence.scope.now)
    }

    fn at(&self, period: usize) -> String {
        self.clock(self.findings.symptom.grid.at(period))
    }
}

pub fn items(findings: &Findings<'_>) -> Vec<EvidenceItem> {
    let mut writer = Writer { findings, items: Vec::new() };
    symptoms(&mut writer);
    changes(&mut writer);
    errors(&mut writer);
    others(&mut writer);
    zone(&mut writer);
    party(&mut writer);
    controls(&mut writer);
    claims(&mut writer);
    numbered(writer.items)
}

/// In the order in which every form of the report prints them: what users see, what the logs say, what
/// changed; each with its number.
fn numbered(mut items: Vec<EvidenceItem>) -> Vec<EvidenceItem> {
    items.sort_by_key(|item| match item.source {
        Agent::Metrics => 0,
        Agent::Logs => 1,
        Agent::Deploy => 2,
    });
    for (at, item) in items.iter_mut().enumerate() {
        item.id = format!("E{}", at + 1);
    }
    items
}

/// A quotation that is safe to show: redacted, on one line, short, without quotation marks of its own.
pub fn quote(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let line = redact::text(line.trim());
    let mut short: String = line.chars().take(QUOTED).collect();
    if line.chars().count() > QUOTED {
        short.push('…');
    }
    format!("“{}”", short.replace(['“', '”'], "'"))
}

fn symptoms(writer: &mut Writer<'_>) {
    let findings = writer.findings;
    let symptom = findings.symptom;
    let cause = findings.cause();
    let supports: &[Cause] = if matches!(cause, Cause::None | Cause::Recurring) { &[] } else { &[cause] };
    for trouble in [symptom.primary.as_ref(), symptom.second.as_ref()].into_iter().flatten() {
        let since = writer.at(trouble.rise.begin);
        let until = trouble
            .rise
            .end
            .filter(|end| *end + 2 < symptom.grid.len)
            .map(|end| format!(", and it is over since {} UTC", writer.at(end)))
            .unwrap_or_default();
        let shape = shape(trouble);
        // Told as of the incident's onset, so that what came before it does not blur the level.
        let begin = trouble.rise.begin.max(symptom.begin);
        let (before, during) = trouble.levels_at(begin);
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
        writer.add(Agent::Metrics, statement, &[Cause::Recurring], None);
    }
    if symptom.primary.is_none() {
        if findings.metrics.is_some_and(|metrics| metrics.own().is_some()) {
            let requests = symptom.requests.map_or(String::new(), |requests| {
                format!(" ({} requests in the last half hour)", figure(requests))
            });
            let statement =
                format!("Neither failures nor latency of the service rose beyond their noise{requests}.");
            writer.add(Agent::Metrics, statement, &[Cause::None], None);
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

/// A gauge's value with the unit that its metric's name tells.
pub fn amount(value: f64, query: &str) -> String {
    let words = crate::analysis::words::split(query);
    let has = |names: &[&str]| words.iter().any(|word| names.contains(&word.as_str()));
    let unit = if has(&["percent", "utilization", "utilisation", "pct"]) {
        " %"
    } else if has(&["mb", "memory"]) && !has(&["bytes"]) {
        " MB"
    } else {
        ""
    };
    format!("{}{unit}", figure(value))
}

fn shape(trouble: &Trouble) -> &'static str {
    match trouble.steadiness {
        Some(steady) if steady < 0.45 => "grew",
        _ => "rose",
    }
}

pub fn times(ratio: f64) -> String {
    if ratio.is_finite() && ratio < 1000.0 {
        if ratio >= 10.0 { format!("{ratio:.0} times") } else { format!("{ratio:.1} times") }
    } else {
        "from nothing".to_owned()
    }
}

fn changes(writer: &mut Writer<'_>) {
    let findings = writer.findings;
    let Some(suspect) = findings.blamed() else { return };
    let change = suspect.change;
    let who = change
        .actor
        .as_ref()
        .map(|actor| actor.name.as_str())
        .filter(|name| !name.is_empty())
        .map(|name| format!(" by {name}"))
        .unwrap_or_default();
    let support = &[Cause::Deployment];
    let query = change.event_ids.first().map(|id| format!("CloudTrail event {id}"));
    if let Some((from, until)) = suspect.effect {
        let effect = Timestamp::from_second(from).unwrap_or(change.at);
        // In whole minutes of the clock, as a reader subtracts the two times.
        let lag =
            match findings.symptom.grid.second(findings.symptom.begin).div_euclid(60) - from.div_euclid(60) {
                minutes @ 1.. => format!("{minutes} min before the onset"),
                _ => "in the minute of the onset".to_owned(),
            };
        let spread = if until > from + 90 {
            Timestamp::from_second(until)
                .map(|until| format!("; its rollout ended by {} UTC", writer.clock(until)))
                .unwrap_or_default()
        } else {
            String::new()
        };
        let statement = format!(
            "{}{who} took effect at {} UTC, {lag}{spread}.",
            capital(&what(suspect)),
            writer.clock(effect)
        );
        writer.add(Agent::Deploy, statement, support, query);
    }
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
            "In the same minutes version {} logged {} of these failures in {} lines, the other versions {} in {}.",
            split.new_version,
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
                "The change was undone at {} UTC and the symptom ended {minutes:.0} min later.",
                writer.clock(reversal.at)
            ),
            Some(_) => format!(
                "The change was undone at {} UTC and the symptom ended with it.",
                writer.clock(reversal.at)
            ),
            None => format!(
                "The change was undone at {} UTC, but the symptom goes on.",
                writer.clock(reversal.at)
            ),
        };
        writer.add(Agent::Deploy, statement, support, None);
    }
}

fn source_of_values(suspect: &Suspect<'_>) -> String {
    match (&suspect.change.from_version, &suspect.change.to_version) {
        (Some(from), Some(to)) if from != to => {
            format!("configuration of {}, {from} against {to}", suspect.change.resource)
        }
        _ => format!("configuration of {}", suspect.change.resource),
    }
}

pub fn capital(text: &str) -> String {
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => first.to_uppercase().chain(characters).collect(),
        None => String::new(),
    }
}

/// What an error kind supports: causes that leave such words.
fn supported(mechanism: Option<Mechanism>, cause: Cause) -> Vec<Cause> {
    match mechanism {
        Some(Mechanism::Expired) => vec![Cause::Expiry],
        Some(Mechanism::Provider) => vec![Cause::Platform],
        _ if matches!(cause, Cause::Unknown | Cause::None) => Vec::new(),
        _ => vec![cause],
    }
}

fn errors(writer: &mut Writer<'_>) {
    let findings = writer.findings;
    let Some(logs) = findings.logs else { return };
    if findings.symptom.primary.is_none() {
        return;
    }
    for (kind, share) in findings.symptom.new_kinds(logs).into_iter().take(3) {
        if share < 0.1 || kind.example.is_empty() {
            continue;
        }
        let before = kind.between(0, findings.symptom.begin.saturating_sub(1));
        let count = kind.total - before;
        let novelty =
            if before == 0 { "never before in this window".to_owned() } else { format!("{before} before") };
        let meaning =
            kind.mechanism.map(|mechanism| format!(" ({})", mechanism.describe())).unwrap_or_default();
        let statement = format!(
            "Since {} UTC the logs say {} {count} times, {novelty}{meaning}.",
            writer.clock(kind.first.max(findings.symptom.grid.at(findings.symptom.begin.saturating_sub(1)))),
            quote(&kind.example)
        );
        let supports = supported(kind.mechanism, findings.cause());
        let groups = findings.evidence.scope.resources.log_groups.join(", ");
        writer.add(Agent::Logs, statement, &supports, (!groups.is_empty()).then_some(groups));
    }
}

fn others(writer: &mut Writer<'_>) {
    let findings = writer.findings;
    let triggers = findings.triggers;
    if let Some(surge) = &triggers.surge {
        let others = if surge.others > 0 {
            format!("; {} other services see the same", surge.others)
        } else {
            String::new()
        };
        let statement = format!(
            "Requests rose from {} to {} per {} s at {} UTC ({} this hour's habit){others}.",
            figure(surge.before),
            figure(surge.during),
            findings.symptom.grid.step,
            writer.at(surge.begin),
            times(surge.factor)
        );
        writer.add(Agent::Metrics, statement, &[Cause::Traffic], Some(surge.query.clone()));
    } else if let Some((before, during, begin)) = triggers.usual_rise {
        let statement = format!(
            "Requests rose from {} to {} per {} s at {} UTC, as they do at this hour on earlier days{}.",
            figure(before),
            figure(during),
            findings.symptom.grid.step,
            writer.at(begin),
            if findings.symptom.habit.is_some() { "" } else { ", when it went well" }
        );
        writer.add(Agent::Metrics, statement, &[], triggers.demand.clone());
    } else if let Some(flat) = triggers.demand_flat {
        let statement = if flat > 1.15 {
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
    for outage in triggers.outages.iter().take(3) {
        if let Some((before, during, begin)) = outage.flood {
            let statement = format!(
                "{} gets {} requests per {} s instead of {} since {} UTC, before it fails, while the service has no more to do than before.",
                outage.name,
                figure(during),
                findings.symptom.grid.step,
                figure(before),
                writer.at(begin)
            );
            writer.add(Agent::Metrics, statement, &[Cause::Deployment], None);
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
    if findings.symptom.primary.is_some() && !triggers.healthy.is_empty() {
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
        writer.add(Agent::Metrics, statement, &[], None);
    }
    if let Some(drain) = &triggers.drain {
        let (from, to) = (amount(drain.from, &drain.query), amount(drain.to, &drain.query));
        let statement = if drain.sudden {
            format!("{} jumped from {from} to {to} with the onset and stays there.", capital(drain.what()))
        } else if drain.minutes >= 1000.0 {
            format!("{} has gone from {from} on earlier days to {to} at the onset.", capital(drain.what()))
        } else {
            format!(
                "{} went from {from} to {to} over {:.0} min, into the onset.",
                capital(drain.what()),
                drain.minutes
            )
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
        writer.add(Agent::Deploy, statement, &[Cause::Platform], Some(admitted.code.clone()));
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
        writer.add(Agent::Deploy, statement, supports, Some("events of the service".to_owned()));
    }
    if let Some(creep) = &triggers.creep {
        let statement = format!(
            "Latency crept up from {} to {} over {:.0} min.",
            milliseconds(creep.from),
            milliseconds(creep.to),
            creep.minutes
        );
        writer.add(Agent::Metrics, statement, &[Cause::Exhaustion], Some(creep.query.clone()));
    }
    if let Some(days) = triggers.expiry.as_ref().and_then(|expiry| expiry.days_left) {
        let statement = format!("The days left until expiry have come down to {}.", figure(days));
        writer.add(Agent::Metrics, statement, &[Cause::Expiry], None);
    }
    if let Some(zone) = &triggers.zone
        && !zone.peers.is_empty()
    {
        let statement = format!(
            "{} of {} services that have nothing to do with it fail in the same minutes: {}.",
            zone.peers.len(),
            zone.of,
            zone.peers.join(", ")
        );
        writer.add(Agent::Metrics, statement, &[Cause::Platform], None);
    }
}

/// The services that have nothing to do with it, as a control group.
fn controls(writer: &mut Writer<'_>) {
    let Some(controls) = &writer.findings.triggers.controls else { return };
    let of = controls.of;
    if controls.part >= 0.5 {
        let statement = format!(
            "{of} services that have nothing to do with it rose as well in the same minutes, half of them by {} of its own rise and more: a change of its own does not reach them.",
            percent(controls.part)
        );
        writer.add(Agent::Metrics, statement, &[Cause::Platform], None);
    } else if controls.part <= 0.1 && writer.findings.blamed().is_some() {
        let statement = format!(
            "{of} services that have nothing to do with it stayed calm in the same minutes: the trouble is not everybody's."
        );
        writer.add(Agent::Metrics, statement, &[Cause::Deployment], None);
    }
}

fn zone(writer: &mut Writer<'_>) {
    let triggers = writer.findings.triggers;
    let Some((failing, lines, other_failing, other_lines)) = triggers.zone_split else { return };
    let Some(name) = triggers.zone.as_ref().and_then(|zone| zone.zone.as_deref()) else { return };
    let statement = format!(
        "Of the lines from zone {name}, {} of {} fail; of those from the other zones {} of {}.",
        figure(failing),
        figure(lines),
        figure(other_failing),
        figure(other_lines)
    );
    writer.add(Agent::Logs, statement, &[Cause::Platform], None);
}

fn party(writer: &mut Writer<'_>) {
    let Some((field, value, failing, lines, other_failing, other_lines)) =
        &writer.findings.triggers.party_split
    else {
        return;
    };
    let statement = format!(
        "Of the lines with {field} {}, {} of {} fail; of those with another {field} {} of {}.",
        quote(value),
        figure(*failing),
        figure(*lines),
        figure(*other_failing),
        figure(*other_lines)
    );
    writer.add(Agent::Logs, statement, &[Cause::Dependency], None);
}

fn claims(writer: &mut Writer<'_>) {
    let Some(logs) = writer.findings.logs else { return };
    if logs.claim_lines == 0 {
        return;
    }
    let example =
        logs.claims.first().map(|text| format!(", for example {}", quote(text))).unwrap_or_default();
    let statement = format!(
        "{} log lines claim a cause or a deployment of their own accord{example}; such claims are quoted and weigh nothing.",
        logs.claim_lines
    );
    writer.add(Agent::Logs, statement, &[], None);
}
