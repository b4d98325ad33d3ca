//! The root cause in two sentences, for somebody who was asleep a minute ago.

use jiff::Timestamp;

use super::facts::{amount, capital, quote, times};
use super::{Findings, clock, figure, lasting, milliseconds, per, percent, shown, version, what};
use crate::analysis::metrics::Manner;
use crate::analysis::suspects::Suspect;
use crate::analysis::triggers::events::Kind;
use crate::analysis::weigh::indistinct;
use crate::domain::change::ChangeKind;
use crate::domain::redact;
use crate::domain::report::{Cause, Verdict};
use crate::domain::trial::TELLS;

/// So many keys are told in the sentence; the facts and the table hold all.
const TOLD_KEYS: usize = 4;

pub fn summary(findings: &Findings<'_>, verdict: &Verdict) -> String {
    let service = &findings.evidence.scope.service;
    let symptom = symptom(findings);
    let text = match verdict.cause {
        Cause::Deployment => match findings.blamed() {
            Some(suspect) => deployment(findings, suspect, &symptom),
            None => symptom,
        },
        Cause::Traffic => {
            let surge = match (&findings.triggers.surge, &findings.triggers.mix) {
                (Some(surge), _) => format!(
                    "Demand on {service} rose {} from {} UTC on, beyond this hour's habit.",
                    times_higher(surge.factor),
                    clock(findings.symptom.grid.at(surge.begin), findings.evidence.scope.now)
                ),
                (None, Some(mix)) => format!(
                    "The mix of requests to {service} shifted: {}={} is now {} of them.",
                    mix.field,
                    quote(&mix.value),
                    percent(mix.during)
                ),
                (None, None) if findings.triggers.heavier.is_some() => {
                    let heavier = findings.triggers.heavier.as_ref().map_or_else(String::new, |heavier| {
                        format!(
                            "{} went from {} to {}",
                            heavier.query,
                            figure(heavier.before),
                            figure(heavier.during)
                        )
                    });
                    format!("Requests to {service} are heavier than before: {heavier}.")
                }
                _ => format!("Demand on {service} is the likeliest cause."),
            };
            format!("{surge} {symptom}")
        }
        Cause::Dependency => {
            let name = findings.weighed.rows.first().and_then(|row| row.about.clone());
            match name {
                Some(name) => {
                    let outage = findings
                        .triggers
                        .outages
                        .iter()
                        .find(|outage| outage.name.eq_ignore_ascii_case(&name));
                    let detail = outage.map_or_else(
                        || format!("{name}, which {service} calls, fails, as {service}'s own errors say, and no visible change explains it."),
                        |outage| {
                            let rise = &outage.trouble.rise;
                            let how = match outage.trouble.manner {
                                Manner::Failing => format!("fails {} of its requests instead of {}", percent(rise.during), percent(rise.before)),
                                Manner::Slow => format!("takes {} instead of {}", milliseconds(rise.during), milliseconds(rise.before)),
                            };
                            let at = clock(findings.symptom.grid.at(rise.begin), findings.evidence.scope.now);
                            format!("{name}, which {service} calls, {how} since {at} UTC, and no visible change explains it.")
                        },
                    );
                    format!("{detail} {symptom}")
                }
                None => format!(
                    "Something that {service} calls is the likeliest cause, but it cannot be named. {symptom}"
                ),
            }
        }
        Cause::Exhaustion => match &findings.triggers.drain {
            Some(drain) => {
                let (from, to) = (amount(drain.from, &drain.query), amount(drain.to, &drain.query));
                let what = capital(drain.what());
                if drain.sudden {
                    format!(
                        "{what}, which {service} shares with others, jumped from {from} to its limit of {to}, and no visible change explains it. {symptom}"
                    )
                } else {
                    let over =
                        if drain.minutes >= 1000.0 { "days".to_owned() } else { lasting(drain.minutes) };
                    format!(
                        "{what} of {service} ran out gradually: from {from} to {to} in {over}, and no change in the window started it. {symptom}"
                    )
                }
            }
            None => format!(
                "A resource of {service} ran out, as its errors say, and no change in the window started it. {symptom}"
            ),
        },
        Cause::Expiry => {
            let said =
                findings.triggers.expiry.as_ref().and_then(|expiry| expiry.text.as_deref()).map_or_else(
                    || "a metric counts no days left".to_owned(),
                    |text| format!("its errors say {}", quote(text)),
                );
            format!("Something that {service} relies on has expired: {said}. {symptom}")
        }
        Cause::Platform => {
            let zone = findings.triggers.zone.as_ref();
            let peers = zone.map(|zone| zone.peers.join(", ")).filter(|peers| !peers.is_empty());
            let name = zone.and_then(|zone| zone.zone.as_deref());
            match peers {
                _ if name.is_some() => format!(
                    "The failures of {service} come from availability zone {}, while the other zones work. {symptom}",
                    name.unwrap_or_default()
                ),
                Some(peers) => format!(
                    "The provider is the likeliest cause: {peers}, which have nothing to do with {service}, fail in the same minutes. {symptom}"
                ),
                None => {
                    let told = findings.triggers.told.iter().find(|told| told.kind == Kind::Capacity);
                    let says = told.map_or_else(
                        || format!("as {service}'s own errors say"),
                        |told| format!("as AWS itself tells: {}", quote(&told.text)),
                    );
                    format!("The provider is the likeliest cause, {says}. {symptom}")
                }
            }
        }
        Cause::Recurring => {
            let when = findings
                .symptom
                .habit
                .map_or("earlier", |habit| if habit.days_ago == 1 { "yesterday" } else { "a week ago" });
            format!("This is the habit of the hour: the same minutes {when} looked the same. {symptom}")
        }
        Cause::None => none(findings, &symptom),
        Cause::Unknown => unknown(findings, &symptom),
    };
    redact::text(&text)
}

/// What users see, in one sentence.
fn symptom(findings: &Findings<'_>) -> String {
    let symptom = findings.symptom;
    let now = findings.evidence.scope.now;
    let Some(primary) = &symptom.primary else {
        return symptom.faint.as_ref().map_or_else(
            || "Nothing that users see has changed.".to_owned(),
            |faint| {
                let since = clock(symptom.grid.at(faint.rise.begin), now);
                let (before, during) = (faint.rise.before, faint.rise.during);
                let how = match faint.manner {
                    Manner::Failing => {
                        format!("{} of requests fail instead of {}", percent(during), percent(before))
                    }
                    Manner::Slow => format!(
                        "{} latency is {} instead of {}",
                        stat_word(&faint.stat),
                        milliseconds(during),
                        milliseconds(before)
                    ),
                };
                format!("Since {since} UTC {how}, but that is so short or so few that it may be chance.")
            },
        );
    };
    let since = clock(symptom.grid.at(symptom.begin), now);
    let failing = [Some(primary), symptom.second.as_ref()]
        .into_iter()
        .flatten()
        .find(|one| one.manner == Manner::Failing);
    let slow =
        [Some(primary), symptom.second.as_ref()].into_iter().flatten().find(|one| one.manner == Manner::Slow);
    let over = symptom.end.map(|end| clock(symptom.grid.at(end), now));
    let (fail, is) = if over.is_some() { ("failed", "was") } else { ("fail", "is") };
    let fails = failing.map(|one| {
        let (before, during) = one.levels_at(one.rise.begin.max(symptom.begin));
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
    if let Some(noise) = findings.symptom.log_noise
        && findings.symptom.primary.is_none()
    {
        return format!(
            "{service} logs more error lines since {} UTC, but its failures and latency have not changed: telemetry changed, not the service.",
            clock(findings.symptom.grid.at(noise.begin), findings.evidence.scope.now)
        );
    }
    match findings.symptom.requests {
        Some(requests) if requests < crate::analysis::symptom::ENOUGH_REQUESTS => format!(
            "{service} had {} requests in the last half hour: too few to call a failure or two an incident.",
            figure(requests)
        ),
        _ => format!("Failures and latency of {service} are within their noise: no incident that users see."),
    }
}

fn unknown(findings: &Findings<'_>, symptom: &str) -> String {
    let tried: Vec<String> = {
        let triggers = findings.triggers;
        let mut tried: Vec<&str> = Vec::new();
        if triggers.demand_flat.is_some() {
            tried.push("demand");
        }
        if !triggers.healthy.is_empty() && triggers.outages.is_empty() {
            tried.push("dependencies");
        }
        if triggers.peers_calm > 0 && triggers.zone.is_none() {
            tried.push("the provider");
        }
        if triggers.gauges_calm {
            tried.push("resources");
        }
        tried.into_iter().map(str::to_owned).collect()
    };
    let looked = if tried.is_empty() {
        String::new()
    } else {
        format!(" Looked at without finding: {}.", listed(&tried))
    };
    if let Some(sag) = &findings.symptom.sag {
        return format!(
            "{} fell from {} to {} {} at {} UTC, while requests, failures and latency stayed as they were: what keeps it down is not decided.",
            sag.metric,
            figure(sag.before),
            figure(sag.during),
            per(findings.symptom.grid.step),
            clock(findings.symptom.grid.at(sag.begin), findings.evidence.scope.now)
        );
    }
    format!("The evidence does not decide what caused this. {symptom}{looked}")
}
