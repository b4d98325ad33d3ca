//! The root cause in two sentences, for somebody who was asleep a minute ago.

use jiff::Timestamp;

use super::facts::{amount, capital, fell, quote, stands, times, unit, way};
use super::{Findings, clock, figure, milliseconds, percent, shown, version, what};
use crate::analysis::metrics::Manner;
use crate::analysis::sag::Fallen;
use crate::analysis::suspects::Suspect;
use crate::analysis::triggers::events::Kind;
use crate::analysis::weigh::indistinct;
use crate::domain::change::{ChangeKind, Relation};
use crate::domain::redact;
use crate::domain::report::{Cause, Verdict};
use crate::domain::trial::TELLS;

/// So many keys are told in the sentence; the facts and the table hold all.
const TOLD_KEYS: usize = 4;

pub fn summary(findings: &Findings<'_>, verdict: &Verdict) -> String {
    let symptom = symptom(findings);
    let text = match verdict.cause {
        Cause::Deployment => match findings.blamed() {
            Some(suspect) => deployment(findings, suspect, &symptom),
            None => symptom,
        },
        Cause::Traffic => format!("{} {symptom}", traffic(findings)),
        Cause::Dependency => format!("{} {symptom}", dependency(findings)),
        Cause::Exhaustion => format!("{} {symptom}", exhaustion(findings)),
        Cause::Expiry => format!("{} {symptom}", expiry(findings)),
        Cause::Platform => format!("{} {symptom}", platform(findings)),
        Cause::Recurring => format!("{} {symptom}", recurring(findings)),
        Cause::None => none(findings, &symptom),
        Cause::Unknown => unknown(findings, &symptom),
    };
    redact::text(&text)
}

fn traffic(findings: &Findings<'_>) -> String {
    let service = &findings.evidence.scope.service;
    let triggers = findings.triggers;
    if let Some(surge) = &triggers.surge {
        let at = clock(findings.symptom.grid.at(surge.begin), findings.evidence.scope.now);
        let higher = times_higher(surge.factor);
        return format!("Demand on {service} rose {higher} from {at} UTC on, beyond this hour's habit.");
    }
    if let Some(mix) = &triggers.mix {
        let (value, share) = (quote(&mix.value), percent(mix.during));
        return format!(
            "The mix of requests to {service} shifted: {}={value} is now {share} of them.",
            mix.field
        );
    }
    if let Some(heavier) = &triggers.heavier {
        let (before, during) = (figure(heavier.before), figure(heavier.during));
        return format!(
            "Requests to {service} are heavier than before: {} went from {before} to {during}.",
            heavier.query
        );
    }
    format!("Demand on {service} is the likeliest cause.")
}

fn dependency(findings: &Findings<'_>) -> String {
    let service = &findings.evidence.scope.service;
    let Some(name) = findings.weighed.rows.first().and_then(|row| row.about.as_ref()) else {
        return format!("Something that {service} calls is the likeliest cause, but it cannot be named.");
    };
    let mut outages = findings.triggers.outages.iter();
    let Some(outage) = outages.find(|outage| outage.name.eq_ignore_ascii_case(name)) else {
        return format!(
            "{name}, which {service} calls, fails, as {service}'s own errors say, and no visible change explains it."
        );
    };
    let rise = &outage.trouble.rise;
    let how = match outage.trouble.manner {
        Manner::Failing => {
            format!("fails {} of its requests instead of {}", percent(rise.during), percent(rise.before))
        }
        Manner::Slow => {
            format!("takes {} instead of {}", milliseconds(rise.during), milliseconds(rise.before))
        }
    };
    let at = clock(findings.symptom.grid.at(rise.begin), findings.evidence.scope.now);
    format!("{name}, which {service} calls, {how} since {at} UTC, and no visible change explains it.")
}

fn exhaustion(findings: &Findings<'_>) -> String {
    let service = &findings.evidence.scope.service;
    let Some(drain) = &findings.triggers.drain else {
        return format!(
            "A resource of {service} ran out, as its errors say, and no change in the window started it."
        );
    };
    let what = capital(drain.what());
    if drain.sudden {
        let (from, to) = (amount(drain.from, &drain.query), amount(drain.to, &drain.query));
        return format!(
            "{what}, which {service} shares with others, jumped from {from} to its limit of {to}, and no visible change explains it."
        );
    }
    format!("{what} of {service} ran out: {}, and no change in the window started it.", way(drain))
}

fn expiry(findings: &Findings<'_>) -> String {
    let text = findings.triggers.expiry.as_ref().and_then(|expiry| expiry.text.as_deref());
    let said = text.map_or_else(
        || "a metric counts no days left".to_owned(),
        |text| format!("its errors say {}", quote(text)),
    );
    format!("Something that {} relies on has expired: {said}.", findings.evidence.scope.service)
}

fn platform(findings: &Findings<'_>) -> String {
    let service = &findings.evidence.scope.service;
    let zone = findings.triggers.zone.as_ref();
    if let Some(name) = zone.and_then(|zone| zone.zone.as_deref()) {
        return format!(
            "The failures of {service} come from availability zone {name}, while the other zones work."
        );
    }
    if let Some(peers) = zone.map(|zone| zone.peers.join(", ")).filter(|peers| !peers.is_empty()) {
        return format!(
            "The provider is the likeliest cause: {peers}, which have nothing to do with {service}, fail in the same minutes."
        );
    }
    let told = findings.triggers.told.iter().find(|told| told.kind == Kind::Capacity);
    let says = told.map_or_else(
        || format!("as {service}'s own errors say"),
        |told| format!("as AWS itself tells: {}", quote(&told.text)),
    );
    format!("The provider is the likeliest cause, {says}.")
}

fn recurring(findings: &Findings<'_>) -> String {
    let days = findings.symptom.habit.map(|habit| habit.days_ago);
    let when = days.map_or("earlier", |days| if days == 1 { "yesterday" } else { "a week ago" });
    format!("This is the habit of the hour: the same minutes {when} looked the same.")
}

/// What users see, in one sentence.
fn symptom(findings: &Findings<'_>) -> String {
    let symptom = findings.symptom;
    let now = findings.evidence.scope.now;
    let Some(primary) = &symptom.primary else { return without_rise(findings) };
    let since = clock(findings.began(), now);
    let failing = [Some(primary), symptom.second.as_ref()]
        .into_iter()
        .flatten()
        .find(|one| one.manner == Manner::Failing);
    let slow =
        [Some(primary), symptom.second.as_ref()].into_iter().flatten().find(|one| one.manner == Manner::Slow);
    let over = symptom.end.map(|end| clock(symptom.grid.at(end), now));
    let (fail, tell, is) = if over.is_some() { ("failed", "told", "was") } else { ("fail", "tell", "is") };
    let fails = failing.map(|one| {
        let (before, during) = one.levels_at(one.rise.begin.max(symptom.begin));
        if symptom.from_logs {
            return format!(
                "{} of log lines {tell} of failures instead of {}",
                percent(during),
                percent(before)
            );
        }
        format!("{} of requests {fail} instead of {}", percent(during), percent(before))
    });
    let slows = slow.map(|one| {
        let (before, during) = one.levels_at(one.rise.begin.max(symptom.begin));
        format!(
            "{} latency {is} {} instead of {}",
            stat_word(&one.stat),
            milliseconds(during),
            milliseconds(before)
        )
    });
    let what = match (fails, slows) {
        (Some(fails), Some(slows)) => format!("{fails} and {slows}"),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => return String::new(),
    };
    match over {
        Some(until) => format!("From {since} to {until} UTC {what}."),
        None => format!("Since {since} UTC {what}."),
    }
}

/// The same where neither failures nor latency rose for sure.
fn without_rise(findings: &Findings<'_>) -> String {
    let symptom = findings.symptom;
    let now = findings.evidence.scope.now;
    if let Some(sag) = &symptom.sag {
        let since = clock(symptom.grid.at(symptom.begin), now);
        let (before, during) = (figure(sag.before), figure(sag.during));
        let unit = unit(sag, symptom.grid.step);
        return format!("Since {since} UTC {} is {during} {unit} instead of {before}.", sag.metric);
    }
    if let Some(standing) = &symptom.standing {
        return format!("{}.", stands(standing, clock(symptom.grid.at(0), now)));
    }
    let Some(faint) = &symptom.faint else {
        return match (symptom.measured.failing, symptom.measured.slow) {
            (true, true) => "Neither failures nor latency have risen.".to_owned(),
            (true, false) => "Failures have not risen; latency was not read.".to_owned(),
            (false, true) => "Latency has not risen; failures were not read up to now.".to_owned(),
            (false, false) => "Neither failures nor latency were read up to now.".to_owned(),
        };
    };
    let since = clock(symptom.grid.at(faint.rise.begin), now);
    let (before, during) = (faint.rise.before, faint.rise.during);
    let how = match faint.manner {
        Manner::Failing => format!("{} of requests fail instead of {}", percent(during), percent(before)),
        Manner::Slow => {
            let stat = stat_word(&faint.stat);
            format!("{stat} latency is {} instead of {}", milliseconds(during), milliseconds(before))
        }
    };
    format!("Since {since} UTC {how}, but that is so short or so few that it may be chance.")
}

fn stat_word(stat: &str) -> &str {
    match stat {
        "Average" => "average",
        "Maximum" => "maximum",
        other => other,
    }
}

fn times_higher(factor: f64) -> String {
    if factor.is_finite() { format!("to {} times its level", figure(factor)) } else { times(factor) }
}

fn deployment(findings: &Findings<'_>, suspect: &Suspect<'_>, symptom: &str) -> String {
    let change = suspect.change;
    let now = findings.evidence.scope.now;
    let at = suspect.effect.and_then(|(from, _)| Timestamp::from_second(from).ok()).unwrap_or(change.at);
    let guilty = suspect.guilty_keys();
    let (mut sets, mut takes) = (Vec::new(), Vec::new());
    for key in guilty.iter().filter_map(|index| change.keys.get(*index)).take(TOLD_KEYS) {
        let show = |value: &str| shown(&key.key, value);
        match (&key.before, &key.after) {
            (Some(before), Some(after)) => {
                sets.push(format!("{} from {} to {}", key.key, show(before), show(after)));
            }
            (None, Some(after)) => sets.push(format!("{} to {}", key.key, show(after))),
            // Where a route led before is in no call.
            (Some(_), None) if change.kind == ChangeKind::Network => takes.push(key.key.clone()),
            (Some(before), None) => takes.push(format!("{} (it was {})", key.key, show(before))),
            (None, None) => sets.push(format!("{} to a value that is not recorded", key.key)),
        }
    }
    // A rule that is gone is seen to be gone; a value may only not be shown any more.
    let rules =
        matches!(change.kind, ChangeKind::Network | ChangeKind::SecurityGroup | ChangeKind::IamPolicy);
    let took = if rules { "took away" } else { "took away or hid" };
    let did = [("set", sets), (took, takes)].into_iter().filter(|(_, keys)| !keys.is_empty());
    let did: Vec<String> = did.map(|(did, keys)| format!("{did} {}", listed(&keys))).collect();
    let verb = if did.is_empty() { "is the likeliest cause".to_owned() } else { did.join(" and ") };
    let interaction = suspect.starved.as_ref().map_or(String::new(), |starved| {
        let (calls, room) = (starved.callers.after, starved.pool.after);
        format!("; {} callers cannot share a pool of {}", figure(calls), figure(room))
    });
    let tried = suspect.tried.as_ref().filter(|tried| tried.ratio >= TELLS);
    let proof = match (&suspect.split, &suspect.reversal) {
        (_, Some(reversal)) if reversal.minutes.is_some() => {
            format!("; it was undone at {} UTC, and the symptom ended", clock(reversal.at, now))
        }
        _ if tried.is_some() => {
            let earlier = tried.map_or("", |tried| tried.trial.design.earlier.as_str());
            format!("; a share of the traffic went to version {earlier} as a test, and it did not fail there")
        }
        (Some(split), _) if split.ratio >= 3.0 => {
            format!("; in the same minutes {} fails and the others do not", version(&split.new_version))
        }
        _ => String::new(),
    };
    let mut text =
        format!("The {} at {} UTC {verb}{interaction}{proof}. {symptom}", what(suspect), clock(at, now));
    if indistinct(&findings.weighed.rows) {
        let second = findings.weighed.rows.get(1).and_then(|row| row.suspect);
        let other = second.and_then(|index| findings.suspects.get(index)).map_or_else(
            || "Another change".to_owned(),
            |other| format!("The {} at {} UTC", what(other), clock(other.change.at, now)),
        );
        text.push_str(&format!(" {other} fits nearly as well."));
    }
    text
}

/// `a, b and c`.
fn listed(all: &[String]) -> String {
    match all {
        [] => String::new(),
        [one] => one.clone(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}

fn none(findings: &Findings<'_>, symptom: &str) -> String {
    let service = &findings.evidence.scope.service;
    if findings.weighed.over {
        return format!("It is over already. {symptom}");
    }
    let measured = findings.symptom.measured;
    if let Some(noise) = findings.symptom.log_noise
        && findings.symptom.primary.is_none()
    {
        let at = clock(findings.symptom.grid.at(noise.begin), findings.evidence.scope.now);
        let beside = match (measured.failing, measured.slow) {
            (true, true) => {
                "but its failures and latency have not changed: telemetry changed, not the service"
            }
            (true, false) => "but its failures have not changed: telemetry changed, not the service",
            (false, true) => "and its latency has not changed; its failures were not read up to now",
            (false, false) => "and neither its failures nor its latency were read up to now",
        };
        return format!("{service} logs more error lines since {at} UTC, {beside}.");
    }
    match findings.symptom.requests {
        Some(requests) if findings.symptom.has_few_requests() => format!(
            "{service} had {} requests in the last half hour: too few to call a failure or two an incident.",
            figure(requests)
        ),
        _ if findings.symptom.primary.is_some() => {
            format!("{symptom} That is so short or so few that it may well be chance.")
        }
        _ => match (measured.failing, measured.slow) {
            (true, true) => format!("Failures and latency of {service} are within their noise."),
            (true, false) => format!("Failures of {service} are within their noise."),
            (false, true) => {
                format!("Latency of {service} is within its noise; its failures were not read up to now.")
            }
            (false, false) => format!("Neither failures nor latency of {service} were read up to now."),
        },
    }
}

fn unknown(findings: &Findings<'_>, symptom: &str) -> String {
    let evidence = findings.evidence;
    if let Some(sag) = &findings.symptom.sag {
        let measured = findings.symptom.measured;
        let beside = match (sag.of, measured.failing, measured.slow) {
            (Fallen::Yield, true, true) => "while failures and latency stayed as they were",
            (Fallen::Yield, true, false) => "while failures stayed as they were; latency was not read",
            (Fallen::Yield, false, true) => {
                "while latency stayed as it was; failures were not read up to now"
            }
            (Fallen::Yield, false, false) => "and neither failures nor latency were read up to now",
            (Fallen::Demand { usual: true }, ..) => "which is not this hour's habit",
            (Fallen::Demand { usual: false }, ..) => "and of this hour on earlier days nothing is known",
        };
        let at = clock(findings.symptom.grid.at(sag.begin), evidence.scope.now);
        return format!(
            "{} at {at} UTC, {beside}: what keeps it down is not decided.",
            fell(sag, findings.symptom.grid.step)
        );
    }
    if findings.symptom.standing.is_some() {
        let last = last_before(findings).map_or_else(String::new, |suspect| {
            let at = clock(suspect.change.at, evidence.scope.now);
            format!(" The last change before that is the {} at {at} UTC.", what(suspect))
        });
        return format!("{symptom} When it began, and so what began it, is not in the evidence.{last}");
    }
    if let Some(until) = findings.symptom.measured.until.filter(|_| findings.symptom.primary.is_none()) {
        let until = clock(findings.symptom.grid.at(until), evidence.scope.now);
        return format!(
            "What counts failures of {} ends at {until} UTC: whether it fails since is not known.",
            evidence.scope.service
        );
    }
    let looked = looked_at(findings);
    let looked = if looked.is_empty() {
        String::new()
    } else {
        format!(" Looked at without finding: {}.", listed(&looked))
    };
    format!("The evidence does not decide what caused this. {symptom}{looked}")
}

/// The last change of the service's own, or of what it uses, that was there before the first period that was read.
fn last_before<'a>(findings: &Findings<'a>) -> Option<&'a Suspect<'a>> {
    let first = findings.symptom.grid.start;
    let near = |suspect: &&Suspect<'_>| {
        matches!(suspect.change.relation, Relation::Own | Relation::Shared | Relation::Dependency(_))
            && !suspect.change.no_op
            && suspect.effect.is_some_and(|(_, until)| until <= first)
    };
    findings.suspects.iter().filter(near).max_by_key(|suspect| suspect.effect)
}

/// What was read and shows nothing.
fn looked_at(findings: &Findings<'_>) -> Vec<String> {
    let triggers = findings.triggers;
    let found = [
        ("demand", triggers.demand_flat.is_some()),
        ("dependencies", !triggers.healthy.is_empty() && triggers.outages.is_empty()),
        ("the provider", triggers.peers_calm > 0 && triggers.zone.is_none()),
        ("resources", triggers.gauges_calm),
    ];
    found.into_iter().filter(|(_, looked)| *looked).map(|(what, _)| what.to_owned()).collect()
}
