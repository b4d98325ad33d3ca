//! What the new errors say about causes that are not a change.

use super::{Expiry, Triggers, ZoneTrouble, lag};
use crate::analysis::logs::LogSurvey;
use crate::analysis::logs::phrases::{self, Mechanism};
use crate::analysis::suspects::log_bayes_factor;
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
        phrases::speaks_of_aws(&text.to_lowercase()) && found.surge.is_none() && found.demand_flat.is_some()
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
        if !(about_others && *share >= 0.2 || unclear) {
            continue;
        }
        if named.is_empty() {
            named.extend(
                words::tokens(&lower)
                    .into_iter()
                    .filter(|token| is_party(token, scope) && acts(&lower, token)),
            );
            named.extend(provider_of_an_api(&lower));
        }
        found.answered |= !named.is_empty() && *mechanism == Some(Mechanism::Upstream);
        for name in named {
            if !found.blamed.contains(&name) {
                found.blamed.push(name);
            }
        }
    }
    if let Some(logs) = logs {
        one_zone(found, symptom, logs);
    }
}

/// A host or another service: a name with parts, not an address, a file or the service itself.
fn is_party(token: &str, scope: &Scope) -> bool {
    let parts: Vec<&str> = token.split(['.', '-']).collect();
    let lettered =
        parts.iter().filter(|part| part.len() >= 2 && part.chars().any(char::is_alphabetic)).count();
    let file = ["py", "java", "js", "go", "rb", "rs", "ts", "cs", "php"]
        .contains(&parts.last().copied().unwrap_or(""));
    let word = [
        "read-only",
        "time-out",
        "re-",
        "non-",
        "self-",
        "retry-after",
        "x-",
        "content-type",
        "end-of",
        "up-to",
        "in-flight",
    ]
    .iter()
    .any(|head| token.starts_with(head));
    parts.len() >= 2
        && lettered >= 2
        && lettered == parts.iter().filter(|part| !part.is_empty()).count()
        && !file
        && !word
        && !token.eq_ignore_ascii_case(&scope.service)
        && !scope.peers.iter().any(|peer| peer.eq_ignore_ascii_case(token))
}

/// Whether the text says that this name did something or had something done to it. Host names need
/// no such sign.
fn acts(text: &str, token: &str) -> bool {
    if token.contains('.') {
        return true;
    }
    let Some(at) = text.find(token) else { return false };
    let before = text.get(..at).unwrap_or("").trim_end_matches([' ', '\'', '"', ':', '/', '(']);
    let after = text.get(at + token.len()..).unwrap_or("").trim_start_matches([' ', '\'', '"', ':', ')']);
    let calls = [
        "to", "from", "for", "calling", "upstream", "service", "by", "with", "against", "circuit", "via",
        "on",
    ];
    let does = [
        "returned",
        "responded",
        "answered",
        "replied",
        "rejected",
        "refused",
        "failed",
        "unavailable",
        "is ",
        "timed",
        "did not",
        "gave",
        "said",
        "closed",
        "status",
        "error",
        "5",
        "4",
    ];
    before.rsplit(' ').next().is_some_and(|word| calls.contains(&word))
        || does.iter().any(|verb| after.starts_with(verb))
}

/// `acme API: too many requests`: the word before `api`, where it is a name.
fn provider_of_an_api(text: &str) -> Option<String> {
    const NO_NAMES: [&str; 14] = [
        "the", "our", "rest", "internal", "http", "json", "public", "this", "that", "partner", "remote",
        "external", "upstream", "aws",
    ];
    let at = text.find(" api")?;
    if text.get(at + 4..).and_then(|rest| rest.chars().next()).is_some_and(char::is_alphanumeric) {
        return None;
    }
    let name = text.get(..at)?.rsplit(|c: char| !c.is_alphanumeric()).next()?;
    (name.len() >= 4 && !NO_NAMES.contains(&name)).then(|| name.to_owned())
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
