//! What the new errors say about causes that are not a change.
//!
//! The provider is blamed by its own words only: it says that it fails, or fails over, or a zone does. That a
//! call is refused for want of permission is somebody's policy, that it exceeds a capacity which the account
//! chose or was given is a limit of one's own, and a name that does not resolve is whoever wrote it. A
//! dependency is blamed where it is named, or where a host of somebody else stands in the error, with whatever
//! verb: nobody knows all words for failing. The rule that is not obvious: `upstream` is no name, and a proxy's
//! own `server:` is the service itself.

use super::{Expiry, Triggers, ZoneTrouble, lag, parties};
use crate::analysis::canary::log_bayes_factor;
use crate::analysis::logs::LogSurvey;
use crate::analysis::logs::phrases::{self, Mechanism};
use crate::analysis::symptom::Symptom;
use crate::analysis::{ratios, words};
use crate::domain::evidence::Scope;

/// What the new errors say about causes that are not a change.
pub(super) fn read(
    found: &mut Triggers,
    symptom: &Symptom,
    texts: &[(String, Option<Mechanism>, f64)],
    logs: Option<&LogSurvey>,
    scope: &Scope,
) {
    // All lines of a mechanism together, and the commonest of them for the report.
    let said = |mechanism: Mechanism| {
        texts.iter().filter(|(_, said, _)| *said == Some(mechanism)).fold(None, |best, (text, _, share)| {
            Some(best.map_or((text.clone(), *share), |(first, sum): (String, f64)| (first, sum + share)))
        })
    };
    if let Some((text, share)) = said(Mechanism::Expired)
        && share >= 0.3
    {
        let expiry = found.expiry.get_or_insert(Expiry { text: None, days_left: None, rate: 0.0 });
        expiry.text = Some(text);
        expiry.rate = expiry.rate.max(ratios::EXPIRY_HURTS * share * ratios::trigger_lag(1.0));
    }
    found.spent = [Mechanism::Disk, Mechanism::Handles]
        .into_iter()
        .find(|mechanism| said(*mechanism).is_some_and(|(_, share)| share >= 0.3));
    // A call that AWS throttles is the provider's doing only where nobody here calls more or differently:
    // a weaker sign than its own failure.
    let throttled = said(Mechanism::Throttled).filter(|(text, _)| {
        phrases::is_of_the_provider(text) && found.surge.is_none() && found.demand_flat.is_some()
    });
    for ((text, share), weight) in
        said(Mechanism::Provider).map(|said| (said, 1.0)).into_iter().chain(throttled.map(|said| (said, 0.3)))
    {
        if share < 0.2 {
            continue;
        }
        let rate = weight * ratios::ZONE_HURTS * share * lag(symptom, symptom.first, symptom.last);
        let known =
            found.zone.get_or_insert(ZoneTrouble { peers: Vec::new(), of: 0, text: None, zone: None, rate });
        known.rate = known.rate.max(rate);
        known.text = Some(text);
    }
    for (text, mechanism, share) in texts {
        let about_others = matches!(
            mechanism,
            Some(
                Mechanism::Upstream
                    | Mechanism::Timeout
                    | Mechanism::Unreachable
                    | Mechanism::Throttled
                    | Mechanism::Overload
            )
        );
        if *share < 0.1 {
            continue;
        }
        let lower = text.to_lowercase();
        let mut named: Vec<String> = scope
            .depends_on
            .iter()
            .filter(|name| words::contains_token(&lower, &name.to_lowercase()))
            .cloned()
            .collect();
        // Whatever is said about a service that is called, unless it is about the message itself.
        let unclear = mechanism.is_none() && !named.is_empty();
        let outside = matches!(mechanism, None | Some(Mechanism::Dns | Mechanism::Tls)) && *share >= 0.2;
        if !(about_others && *share >= 0.2 || unclear || outside) {
            continue;
        }
        if named.is_empty() && outside {
            named.extend(
                words::tokens(&lower).into_iter().filter(|token| parties::is_foreign(&lower, token, scope)),
            );
        } else if named.is_empty() {
            named.extend(
                words::tokens(&lower)
                    .into_iter()
                    .filter(|token| parties::is_party(token, scope) && parties::acts(&lower, token)),
            );
            named.extend(parties::provider_of_an_api(&lower));
        }
        found.answered |= !named.is_empty() && *mechanism == Some(Mechanism::Upstream);
        for name in named {
            if !found.blamed.contains(&name) {
                found.blamed.push(name);
            }
        }
    }
    if let Some(logs) = logs {
        one_party(found, symptom, logs, scope);
        breakers(found, symptom, logs, scope);
    }
    let mut owners: Vec<&str> =
        found.blamed.iter().filter(|name| name.contains('.')).map(|host| parties::owner(host)).collect();
    owners.sort_unstable();
    owners.dedup();
    found.scattered = owners.len() > 1;
    if let Some(logs) = logs {
        one_zone(found, symptom, logs);
    }
}

/// Failing lines that all name one counterpart in a field: while lines that name others go well, or where nobody else
/// is named and it is somebody else's host.
fn one_party(found: &mut Triggers, symptom: &Symptom, logs: &LogSurvey, scope: &Scope) {
    /// The least part of all failing lines that has to name it.
    const MOST: f64 = 0.5;
    if symptom.primary.is_none() {
        return;
    }
    let to = symptom.end.unwrap_or(logs.grid.len).min(logs.grid.len);
    let from = symptom.begin.min(to);
    let sums = |counts: &[(u32, u32)], from: usize, to: usize| {
        counts[from..to]
            .iter()
            .fold((0.0, 0.0), |sum, count| (sum.0 + f64::from(count.0), sum.1 + f64::from(count.1)))
    };
    let all_failing: f64 = logs.failing[from..to].iter().map(|count| f64::from(*count)).sum();
    for ((field, value), counts) in &logs.parties {
        let (lines, failing) = sums(counts, from, to);
        if failing < 5.0 || failing < MOST * all_failing {
            continue;
        }
        let before = sums(counts, 0, from);
        // It failed as much before: that is no news.
        if before.0 >= 8.0 && before.1 / before.0 > 0.25 * failing / lines {
            continue;
        }
        let (others, others_failing) = logs
            .parties
            .iter()
            .filter(|((other_field, other), _)| other_field == field && other != value)
            .map(|(_, counts)| sums(counts, from, to))
            .fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        let others_work = others >= 8.0
            && others_failing / others <= 0.1_f64.min(0.25 * failing / lines)
            && log_bayes_factor(failing, lines, others_failing, others) >= 3.0;
        let lower = value.to_lowercase();
        let strangers = others < 1.0 && parties::is_foreign(&lower, &lower, scope);
        if !(others_work || strangers) || is_blamed(found, value) {
            continue;
        }
        found.blamed.push(value.clone());
        if others_work {
            // The same program, the same minutes, another counterpart: as good as an answer of its own.
            found.answered = true;
            found.party_split = Some((field.clone(), value.clone(), failing, lines, others_failing, others));
        }
    }
}

fn is_blamed(found: &Triggers, name: &str) -> bool {
    found.blamed.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// Hosts and services that are called, whose circuit breaker opened around the onset and not before.
fn breakers(found: &mut Triggers, symptom: &Symptom, logs: &LogSurvey, scope: &Scope) {
    if symptom.primary.is_none() {
        return;
    }
    let from = symptom.first.saturating_sub(symptom.grid.periods(5)).min(logs.grid.len);
    for (host, counts) in &logs.breakers {
        let sum = |counts: &[u32]| counts.iter().sum::<u32>();
        let (before, since) = (sum(&counts[..from]), sum(&counts[from..]));
        let called = scope.depends_on.iter().any(|name| name.eq_ignore_ascii_case(host));
        if before == 0
            && since >= 2
            && (called || parties::is_foreign(host, host, scope))
            && !is_blamed(found, host)
        {
            found.blamed.push(host.clone());
        }
    }
}

/// Failures that come from one availability zone while the others work.
fn one_zone(found: &mut Triggers, symptom: &Symptom, logs: &LogSurvey) {
    if symptom.primary.is_none() || logs.zones.len() < 2 {
        return;
    }
    let to = symptom.end.unwrap_or(logs.grid.len).min(logs.grid.len);
    let sums: Vec<(&String, f64, f64)> = logs
        .zones
        .iter()
        .map(|(name, counts)| {
            let (lines, failing) = counts[symptom.begin.min(to)..to]
                .iter()
                .fold((0.0, 0.0), |sum, count| (sum.0 + f64::from(count.0), sum.1 + f64::from(count.1)));
            (name, lines, failing)
        })
        .collect();
    let all_lines: f64 = sums.iter().map(|sum| sum.1).sum();
    let all_failing: f64 = sums.iter().map(|sum| sum.2).sum();
    let Some((name, lines, failing)) = sums.iter().max_by(|a, b| a.2.total_cmp(&b.2)).copied() else {
        return;
    };
    let (other_lines, other_failing) = (all_lines - lines, all_failing - failing);
    if failing < 5.0 || other_lines < 8.0 {
        return;
    }
    let factor = log_bayes_factor(failing, lines.max(failing), other_failing, other_lines.max(other_failing));
    // The other zones have to work, not merely to fail less.
    let others = other_failing / other_lines;
    if others > 0.1 && others > 0.12 * failing / lines || failing / lines < 4.0 * others || factor < 3.0 {
        return;
    }
    let rate = ratios::ZONE_HURTS * ratios::trigger_lag(1.0);
    let known =
        found.zone.get_or_insert(ZoneTrouble { peers: Vec::new(), of: 0, text: None, zone: None, rate });
    known.rate = known.rate.max(rate);
    known.zone = Some(name.clone());
    found.zone_split = Some((failing, lines, other_failing, other_lines));
}
