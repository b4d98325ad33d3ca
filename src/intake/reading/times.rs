//! When it began, where a message says so; else when it ended.
//!
//! The rule that is not obvious: a time whose zone has two meanings (`IST`) or whose day and month cannot be
//! told apart is no time. One without any zone is UTC, which is what AWS and most tools mean by it.

use std::sync::LazyLock;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use regex::{Captures, Regex};

use super::parts::{Parts, pattern};
use crate::domain::alert::parse_time;

/// Names of fields that hold the beginning. An end or a 'last updated' is none.
const BEGINNINGS: &[&str] = &[
    "starttime",
    "startedat",
    "started",
    "startsat",
    "startdate",
    "firstseen",
    "firstoccurrence",
    "triggeredat",
    "triggertime",
    "triggered",
    "fireddatetime",
    "firedat",
    "statechangetime",
    "openedat",
    "opened",
    "createdat",
    "created",
    "occurredat",
    "detectedat",
    "since",
    "eventtime",
    "time",
    "when",
    "datetime",
    "timestamp",
    "date",
    "at",
    "start",
    "lasttriggered",
];
const ENDS: &[&str] = &[
    "resolvedat",
    "resolveddatetime",
    "recoveredat",
    "endedat",
    "endtime",
    "endsat",
    "closedat",
    "ended",
    "resolved",
];
/// Parts of the names of times at which nothing began.
const NO_BEGINNING: &[&str] = &[
    "end", "recover", "resolv", "clos", "clear", "updat", "response", "last", "next", "until", "expir", "up",
    "down", "run", "build", "deploy", "due",
];
/// Times before this are something else (a year, a counter, Go's zero time).
const EARLIEST: i64 = 1_262_304_000;

const CLOCK: &str = r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,]\d{1,9})?)?\s*(?P<half>[AaPp]\.?[Mm]\.?\b)?";
const ZONE: &str = r"(?:\s*\(?(?P<zone>Z\b|(?:UTC|GMT)?[+-]\d{1,2}(?::?\d{2})?\b|[A-Z]{2,5}\b|[A-Z][A-Za-z]+/[A-Z][A-Za-z_]+(?:/[A-Z][A-Za-z_]+)?))?";

/// Shapes of a moment, the year first, the day first, the month first, the clock first.
static SHAPES: LazyLock<[Regex; 7]> = LazyLock::new(|| {
    let month = r"(?P<name>Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\.?";
    [
        pattern(&format!(
            r"(?P<year>\d{{4}})[-/.](?P<month>\d{{1,2}})[-/.](?P<day>\d{{1,2}})(?:[T ,]|\s+at\s)\s*{CLOCK}{ZONE}"
        )),
        pattern(&format!(
            r"\b(?P<day>\d{{1,2}})(?:st|nd|rd|th)?[ -]{month}[ ,-]+(?P<year>\d{{4}})(?:,|\s+at)?\s+{CLOCK}{ZONE}"
        )),
        pattern(&format!(
            r"\b{month}\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th)?,?\s+(?P<year>\d{{4}})(?:,|\s+at)?\s+{CLOCK}{ZONE}"
        )),
        pattern(&format!(r"\b{month}\s+(?P<day>\d{{1,2}})\s+{CLOCK}{ZONE}\s+(?P<year>\d{{4}})\b")),
        // With dots the day comes first.
        pattern(&format!(r"\b(?P<day>\d{{1,2}})\.(?P<month>\d{{1,2}})\.(?P<year>\d{{4}}),?\s+{CLOCK}{ZONE}")),
        pattern(&format!(
            r"{CLOCK}{ZONE}\)?\s+(?P<day>\d{{1,2}})\.(?P<month>\d{{1,2}})\.(?P<year>\d{{4}})\b"
        )),
        pattern(&format!(
            r"{CLOCK}\s+on\s+(?P<year>\d{{4}})[-/.](?P<month>\d{{1,2}})[-/.](?P<day>\d{{1,2}}){ZONE}"
        )),
    ]
});
/// `1/5/2026 2:31:00 PM`: month and day can be told apart by the halves of the day, or by a number past 12.
static SLASHED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(&format!(r"\b(?P<first>\d{{1,2}})/(?P<next>\d{{1,2}})/(?P<year>\d{{4}}),?\s+{CLOCK}{ZONE}"))
});

pub fn of(parts: &Parts) -> Option<Timestamp> {
    let named = |names: &[&str]| names.iter().find_map(|name| parts.values(name).find_map(read));
    if let Some(at) = named(BEGINNINGS) {
        return Some(at);
    }
    // `Fired time`, `Alarm Time`, `problem date`: whatever else it is called, as long as it says a date.
    let dated = parts.pairs.iter().find_map(|(name, value)| {
        let is_time = name.ends_with("time") || name.ends_with("date") || name.ends_with("timestamp");
        let begins = is_time && !NO_BEGINNING.iter().any(|word| name.contains(word));
        read(value).filter(|_| begins)
    });
    if dated.is_some() {
        return dated;
    }
    if let Some(at) = parts.dates.iter().find_map(|epoch| sane(Timestamp::from_second(*epoch).ok()?)) {
        return Some(at);
    }
    let told = |words: &[&str]| {
        parts.lines.iter().chain(&parts.headings).chain(&parts.fallbacks).find_map(|line| {
            let lower = line.text.to_ascii_lowercase();
            words.iter().find_map(|word| {
                let at = lower.find(word)? + word.len();
                // `since: 14 March 2026 08:11`.
                read(line.text.get(at..)?.trim_start_matches([':', ' ']))
            })
        })
    };
    told(&[
        "triggered ",
        "started ",
        "since ",
        "since:",
        "began ",
        "fired ",
        "opened ",
        "detected ",
        "occurred ",
        "starting ",
    ])
    .or_else(|| {
        let stamp = parts.stamps.iter().find(|stamp| **stamp >= EARLIEST)?;
        Timestamp::from_second(*stamp).ok()
    })
    .or_else(|| named(ENDS))
    .or_else(|| {
        let ended =
            |name: &str| ["recover", "resol", "clos", "clear"].iter().any(|word| name.starts_with(word));
        parts.pairs.iter().find_map(|(name, value)| read(value).filter(|_| ended(name)))
    })
    .or_else(|| told(&[" at ", "resolved ", "recovered "]))
    .or_else(|| {
        // A time that stands by itself between bars.
        let all = parts.lines.iter().flat_map(|line| line.text.split(['|', '·'])).map(str::trim);
        all.filter(|part| part.len() <= 40 && part.starts_with(|c: char| c.is_ascii_digit())).find_map(read)
    })
}

fn sane(at: Timestamp) -> Option<Timestamp> {
    (EARLIEST..4_102_444_800).contains(&at.as_second()).then_some(at)
}

/// Reads a time at the head of a text, as tools write it.
pub fn read(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Some(at) = parse_time(text) {
        return sane(at);
    }
    let head: String = text.chars().take(90).collect();
    // The earliest shape in the text is the one that the field begins with.
    let shaped = SHAPES
        .iter()
        .filter_map(|shape| shape.captures(&head))
        .min_by_key(|found| found.get(0).map_or(0, |whole| whole.start()));
    if let Some(found) = shaped {
        let month = match number(&found, "month") {
            Some(month) => month,
            None => month_of(found.name("name")?.as_str())?,
        };
        return assemble(&found, month, number(&found, "day")?, &head);
    }
    let found = SLASHED.captures(&head)?;
    let (first, next) = (number(&found, "first")?, number(&found, "next")?);
    let (month, day) = match (first > 12, next > 12, found.name("half").is_some()) {
        (true, false, _) => (next, first),
        (false, true, _) | (false, false, true) => (first, next),
        _ => return None,
    };
    assemble(&found, month, day, &head)
}

fn number(found: &Captures<'_>, name: &str) -> Option<i64> {
    found.name(name)?.as_str().parse().ok()
}

fn month_of(name: &str) -> Option<i64> {
    const MONTHS: &str = "janfebmaraprmayjunjulaugsepoctnovdec";
    MONTHS.find(&name.to_lowercase()).map(|at| at as i64 / 3 + 1)
}

fn assemble(found: &Captures<'_>, month: i64, day: i64, text: &str) -> Option<Timestamp> {
    let hour = number(found, "hour")?;
    let hour = match found.name("half").map(|half| half.as_str().to_lowercase()) {
        Some(_) if !(1..=12).contains(&hour) => return None,
        Some(half) if half.starts_with('p') => hour % 12 + 12,
        Some(_) => hour % 12,
        None => hour,
    };
    let civil = DateTime::new(
        i16::try_from(number(found, "year")?).ok()?,
        i8::try_from(month).ok()?,
        i8::try_from(day).ok()?,
        i8::try_from(hour).ok()?,
        i8::try_from(number(found, "minute")?).ok()?,
        i8::try_from(number(found, "second").unwrap_or(0)).ok()?,
        fraction(found, text),
    )
    .ok()?;
    let zone = zone_of(found.name("zone").map(|zone| zone.as_str()))?;
    sane(civil.to_zoned(zone).ok()?.timestamp())
}

/// Nanoseconds after the seconds.
fn fraction(found: &Captures<'_>, text: &str) -> i32 {
    let rest = found.name("second").and_then(|second| text.get(second.end()..)).unwrap_or_default();
    let digits: String = rest
        .strip_prefix(['.', ','])
        .unwrap_or_default()
        .chars()
        .take_while(char::is_ascii_digit)
        .take(9)
        .collect();
    format!("{digits:0<9}").parse().unwrap_or(0)
}

/// The zone that a word means: UTC where there is none, `None` where it has two meanings.
fn zone_of(word: Option<&str>) -> Option<TimeZone> {
    let Some(word) = word else { return Some(TimeZone::UTC) };
    let hours = match word {
        "Z" | "UTC" | "GMT" | "UT" | "WET" => 0,
        // RFC 2822, section 4.3, says what these are.
        "EST" | "CDT" => -5,
        "EDT" => -4,
        "CST" | "MDT" => -6,
        "MST" | "PDT" => -7,
        "PST" => -8,
        "CET" | "BST" | "WEST" => 1,
        "CEST" | "EET" => 2,
        "EEST" | "MSK" => 3,
        "SGT" | "HKT" | "AWST" => 8,
        "JST" | "KST" => 9,
        "AEST" => 10,
        "AEDT" => 11,
        "NZST" => 12,
        "NZDT" => 13,
        "IST" | "AST" | "ADT" | "ECT" | "GST" | "PYT" | "SST" => return None,
        _ if word.contains('/') => return TimeZone::get(word).ok(),
        _ => {
            let Some(at) = word.find(['+', '-']) else { return Some(TimeZone::UTC) };
            let digits: String = word.get(at + 1..)?.chars().filter(char::is_ascii_digit).collect();
            let (hours, minutes) =
                if digits.len() > 2 { digits.split_at(digits.len() - 2) } else { (digits.as_str(), "0") };
            let seconds = hours.parse::<i32>().ok()? * 3600 + minutes.parse::<i32>().ok()? * 60;
            let seconds = if word.get(at..=at) == Some("-") { -seconds } else { seconds };
            return Offset::from_seconds(seconds).ok().map(TimeZone::fixed);
        }
    };
    Offset::from_seconds(hours * 3600).ok().map(TimeZone::fixed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_is_the_same_moment() {
        for text in [
            "2026-01-05T14:11:00Z",
            "2026-01-05 14:11:00 UTC · status triggered",
            "2026-01-05 14:11:00.000 +0000 UTC",
            "2026-01-05 14:11 (UTC)",
            "2026-01-05T09:11:00-05:00",
            "2026-01-05 15:11:00 Europe/Berlin",
            "2026/01/05 15:11:00 CET",
            "Mon, 05 Jan 2026 14:11:00 GMT",
            "Wed, 05 Jan 2026 14:11:00 GMT",
            "Monday 05 January, 2026 14:11:00 UTC",
            "Mon Jan 5 14:11:00 UTC 2026",
            "Jan 5, 2026 at 2:11PM UTC",
            "January 5th, 2026 2:11 pm",
            "14:11:00 on 2026.01.05",
            "05.01.2026 14:11",
            "14:11 (UTC) 05.01.2026",
            "05-Jan-2026 14:11:00",
            "1/5/2026 2:11:00 PM",
            "1767622260",
            "1767622260000",
        ] {
            assert_eq!(read(text), Some("2026-01-05T14:11:00Z".parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn what_has_two_meanings_is_no_time() {
        for text in [
            "2026-01-05 14:11:00 IST",
            "05/01/2026 14:11:00",
            "yesterday",
            "2016",
            "0001-01-01T00:00:00Z",
            "25:99 on 2026.13.40",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
