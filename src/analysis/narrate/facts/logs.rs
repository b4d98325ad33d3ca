//! What log lines say: new errors, whose lines fail, and what they claim of themselves.

use super::{Writer, quote};
use crate::analysis::logs::phrases::Mechanism;
use crate::analysis::narrate::figure;
use crate::analysis::words;
use crate::domain::report::{Agent, Cause};

/// So many lines that say no more than that something failed say at least how often.
const TELLING: u64 = 3;

/// What an error kind supports: causes that leave such words.
fn supported(mechanism: Option<Mechanism>, cause: Cause) -> Vec<Cause> {
    match mechanism {
        Some(Mechanism::Expired) => vec![Cause::Expiry],
        Some(Mechanism::Provider) => vec![Cause::Platform],
        _ if matches!(cause, Cause::Unknown | Cause::None) => Vec::new(),
        _ => vec![cause],
    }
}

pub(super) fn errors(writer: &mut Writer<'_>) {
    let findings = writer.findings;
    let Some(logs) = findings.logs else { return };
    if findings.symptom.primary.is_none() && findings.symptom.standing.is_none() {
        return;
    }
    for (kind, share) in findings.symptom.new_kinds(logs).into_iter().take(3) {
        if share < 0.1 || kind.example.is_empty() {
            continue;
        }
        let before = kind.between(0, findings.symptom.begin.saturating_sub(1));
        let count = kind.total - before;
        let novelty = match before {
            // What fails from the first minute on has no before.
            0 if findings.symptom.primary.is_none() => "in all that was read".to_owned(),
            0 => "never before in this window".to_owned(),
            before => format!("{before} before"),
        };
        let meaning =
            kind.mechanism.map(|mechanism| format!(" ({})", mechanism.describe())).unwrap_or_default();
        let times = if count == 1 { "once".to_owned() } else { format!("{count} times") };
        // Of a trace's heading the error's own name tells more.
        let named =
            kind.error_type.as_deref().filter(|name| says_nothing(&kind.example) && !says_nothing(name));
        let said = named.unwrap_or(&kind.example);
        if says_nothing(said) && count < TELLING {
            continue;
        }
        let say = if says_nothing(said) { "failing lines say no more than" } else { "the logs say" };
        let statement = format!(
            "Since {} UTC {say} {} {times}, {novelty}{meaning}.",
            writer.clock(kind.first.max(findings.symptom.grid.at(findings.symptom.begin.saturating_sub(1)))),
            quote(said)
        );
        let supports = supported(kind.mechanism, findings.cause());
        let groups = findings.evidence.scope.resources.log_groups.join(", ");
        writer.add(Agent::Logs, statement, &supports, (!groups.is_empty()).then_some(groups));
    }
}

/// Whether a quotation would tell nobody anything: the heading of a trace, or a bare word for that something failed.
fn says_nothing(line: &str) -> bool {
    const BARE: &[&str] = &[
        "error",
        "errors",
        "fail",
        "failed",
        "failure",
        "timeout",
        "exception",
        "fatal",
        "panic",
        "traceback",
        "most",
        "recent",
        "call",
        "last",
        "request",
        "an",
        "occurred",
        "unknown",
        "warning",
        "warn",
    ];
    words::split(line).iter().all(|word| BARE.contains(&word.as_str()))
}

pub(super) fn zone(writer: &mut Writer<'_>) {
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

pub(super) fn party(writer: &mut Writer<'_>) {
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

pub(super) fn claims(writer: &mut Writer<'_>) {
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
