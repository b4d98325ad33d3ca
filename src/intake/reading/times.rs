//! When it began, where a message says so.

use jiff::Timestamp;

use super::parts::Parts;
use crate::domain::alert::parse_time;

/// Names of fields that hold the beginning. An end or a 'last updated' is none.
const FIELDS: &[&str] = &[
    "start time",
    "started at",
    "started",
    "starts at",
    "startsat",
    "triggered at",
    "triggered",
    "time",
    "timestamp",
    "date",
    "date/time",
    "at",
    "state change time",
    "statechangetime",
    "occurred at",
    "since",
    "event time",
    "when",
    "created at",
    "start",
];
/// Attachments' times before this are something else (a year, a counter).
const EARLIEST: i64 = 1_262_304_000;

pub fn of(parts: &Parts) -> Option<Timestamp> {
    if let Some(at) = FIELDS.iter().filter_map(|field| parts.value(&[field])).find_map(read) {
        return Some(at);
    }
    if let Some(at) = parts.dates.iter().find_map(|epoch| Timestamp::from_second(*epoch).ok()) {
        return Some(at);
    }
    let told = parts.lines.iter().find_map(|line| {
        let lower = line.to_lowercase();
        ["triggered ", "started ", "since "].iter().find_map(|word| {
            let at = lower.find(word)? + word.len();
            read(line.get(at..)?)
        })
    });
    told.or_else(|| {
        let stamp = parts.stamps.iter().find(|stamp| **stamp >= EARLIEST)?;
        Timestamp::from_second(*stamp).ok()
    })
}

/// Reads a time at the head of a text, as tools write it.
fn read(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Some(at) = parse_time(text) {
        return Some(at);
    }
    // RFC 2822; the weekday is left out, because tools that write a wrong one mean the date.
    let date = text.split_once(", ").filter(|(day, _)| day.len() == 3).map_or(text, |(_, date)| date);
    if let Ok(at) = jiff::fmt::rfc2822::parse(date) {
        return Some(at.timestamp());
    }
    // `2025-11-05 14:11:00 UTC · …`
    let head: String = text.chars().take(19).collect();
    let rest = text.get(head.len()..).unwrap_or_default().trim_start();
    let utc = rest.is_empty()
        || ["UTC", "Z", "GMT", "(UTC)", "+0000", "+00:00"].iter().any(|zone| rest.starts_with(zone));
    (head.len() == 19 && utc).then(|| parse_time(&head.replace(' ', "T"))).flatten()
}
