//! Firing or resolved: said by a field, a bracket or a heading, never by a colour alone.
//!
//! The rule that is not obvious: a word in running text decides nothing. 'Build failed' and 'all is
//! fine' are no alerts; `Current State: ALARM`, `[FIRING:2]` and 'Triggered: …' are.

use super::parts::Parts;
use crate::domain::alert::AlertState;

/// What tools write where they state a condition.
const FIRING: &[&str] = &[
    "firing",
    "alarm",
    "alerting",
    "triggered",
    "triggering",
    "problem",
    "down",
    "critical",
    "open",
    "opened",
    "active",
    "activated",
    "unhealthy",
    "failing",
    "breached",
    "warn",
    "warning",
    "error",
    "unresolved",
];
const RESOLVED: &[&str] = &[
    "resolved",
    "ok",
    "recovered",
    "recovery",
    "up",
    "closed",
    "cleared",
    "normal",
    "healthy",
    "green",
    "fixed",
];
/// The same at the head of a title: fewer words, because titles begin with many.
const FIRING_HEADS: &[&str] = &[
    "firing",
    "alarm",
    "alerting",
    "alert",
    "triggered",
    "problem",
    "critical",
    "warning",
    "down",
    "incident triggered",
    "new alert",
    "incident opened",
    "opened",
    "p1",
    "p2",
    "p3",
    "sev1",
    "sev2",
    "sev-1",
    "sev-2",
    "outage",
];
const RESOLVED_HEADS: &[&str] =
    &["resolved", "ok", "recovered", "recovery", "closed", "cleared", "incident resolved", "up", "fixed"];

/// Names of fields that hold the condition, the most telling first.
const STATE_FIELDS: &[&str] = &[
    "current state",
    "new state",
    "newstatevalue",
    "alarm state",
    "alert state",
    "alertstate",
    "state",
    "status",
    "monitor status",
    "incident state",
    "current status",
    "condition state",
    "event state",
    "event",
];

/// What the message states; `None` where it states nothing.
pub fn of(parts: &Parts) -> Option<AlertState> {
    for field in STATE_FIELDS {
        if let Some(state) = parts.value(&[field]).and_then(word_state) {
            return Some(state);
        }
    }
    let heads = parts.headings.iter().chain(&parts.fallbacks).chain(parts.lines.first());
    heads.into_iter().find_map(|text| heading_state(text))
}

/// A value that is a state, alone or first of a few words: `ALARM`, `OK → ALARM`, `firing (2)`.
fn word_state(value: &str) -> Option<AlertState> {
    let value = value.rsplit(['→', '➜']).next().unwrap_or(value);
    let value = value.rsplit("->").next().unwrap_or(value);
    let mut words = value.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let first = words.next()?.to_lowercase();
    if words.count() > 3 {
        return None;
    }
    state_among(&first, FIRING, RESOLVED)
}

fn state_among(word: &str, firing: &[&str], resolved: &[&str]) -> Option<AlertState> {
    if firing.contains(&word) {
        Some(AlertState::Firing)
    } else if resolved.contains(&word) {
        Some(AlertState::Resolved)
    } else {
        None
    }
}

/// A state at the head of a title: `[FIRING:2] …`, `Triggered: …`, `ALARM: "…"`, `[OK] …`, or a
/// closing 'is DOWN', 'is back up'.
pub fn heading_state(text: &str) -> Option<AlertState> {
    let text = text.trim();
    if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
        let word = inner.split([':', ' ']).next().unwrap_or_default().to_lowercase();
        if let Some(state) = state_among(&word, FIRING, RESOLVED) {
            return Some(state);
        }
    }
    let lower = text.to_lowercase();
    // A head ends at a colon, a bracket or a quote, or is the whole title, or is written in capitals.
    let head_at = |head: &&str| {
        lower.strip_prefix(*head).is_some_and(|rest| {
            let capitals = text
                .get(..head.len())
                .is_some_and(|shown| shown.chars().any(char::is_alphabetic) && shown == shown.to_uppercase());
            rest.is_empty()
                || rest.starts_with([':', '[', '(', '"', '|', '-'])
                || rest.starts_with(" [")
                || (rest.starts_with(' ')
                    && (capitals
                        || rest
                            .trim_start()
                            .starts_with(|c: char| "#\"':-–|(".contains(c) || c.is_ascii_digit())))
        })
    };
    if RESOLVED_HEADS.iter().any(&head_at) {
        return Some(AlertState::Resolved);
    }
    if FIRING_HEADS.iter().any(head_at) {
        return Some(AlertState::Firing);
    }
    for (ending, state) in [
        ("is back up", AlertState::Resolved),
        ("is up", AlertState::Resolved),
        ("is down", AlertState::Firing),
        ("triggered", AlertState::Firing),
        ("resolved", AlertState::Resolved),
        ("is critical", AlertState::Firing),
        ("is ok", AlertState::Resolved),
        ("recovered", AlertState::Resolved),
    ] {
        if lower.trim_end_matches(['.', '!', '*', ' ']).ends_with(ending) {
            return Some(state);
        }
    }
    None
}
