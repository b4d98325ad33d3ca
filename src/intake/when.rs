//! Times as people type them: `20 minutes ago`, `14:05`, `yesterday 23:10`, `at 9pm`, ISO 8601, epoch.
//!
//! The rule that is not obvious: a clock time without a day is the last such time that has been, never
//! one to come; without a zone it is on the clock of whoever typed it. What can mean two things is a
//! question, not a guess.

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _, Zoned};

use crate::domain::redact;

/// CloudTrail's event history and the metrics of one minute reach about so far back.
const OLDEST_DAYS: i64 = 90;
/// Clocks differ: a time that is so little ahead is now.
const AHEAD: SignedDuration = SignedDuration::from_mins(2);

/// Why a time cannot be used, as a sentence for the person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WhenError {
    #[error("I cannot read {0:?} as a time. {EXAMPLES}")]
    Unread(String),
    #[error("At what time {0}? For example `{0} 23:10`.")]
    NoClock(String),
    #[error("{0} is still to come; I can look only at what has been.")]
    Future(String),
    #[error("{0} is more than {OLDEST_DAYS} days ago; CloudTrail and the metrics do not reach back so far.")]
    TooOld(String),
}

/// What a person may type, for whoever typed something else.
pub const EXAMPLES: &str =
    "`20 minutes ago`, `14:05`, `yesterday 23:10`, `9pm` and `2026-02-06T12:15:00Z` can be read.";

/// Whether reading this text takes to know the clock of whoever typed it.
pub fn needs_zone(text: &str) -> bool {
    matches!(parse(text), Ok(Spoken::Civil { zone: None, .. }))
}

/// Whether this can be a time at all, on anybody's clock and on any day.
///
/// # Errors
/// A sentence that says what is wrong and how to do it right.
pub fn check(text: &str) -> Result<(), WhenError> {
    parse(text).map(drop)
}

/// The time that `text` means when it is typed at `now` by somebody whose clock is `zone`.
///
/// # Errors
/// A sentence that says what is wrong and how to do it right.
pub fn read(text: &str, now: Timestamp, zone: &TimeZone) -> Result<Timestamp, WhenError> {
    let at = match parse(text)? {
        Spoken::At(at) => at,
        Spoken::Ago(ago) => now.saturating_sub(ago).map_err(|_| WhenError::TooOld(shown(text)))?,
        Spoken::Civil { day, clock, zone: named } => {
            resolve(&day, clock, now, named.as_ref().unwrap_or(zone))
                .ok_or_else(|| WhenError::Unread(shown(text)))?
        }
    };
    if at > now {
        let ahead = at.duration_since(now) <= AHEAD;
        return if ahead { Ok(now) } else { Err(WhenError::Future(shown(text))) };
    }
    if now.duration_since(at) > SignedDuration::from_hours(24 * OLDEST_DAYS) {
        return Err(WhenError::TooOld(shown(text)));
    }
    Ok(at)
}

#[derive(Debug)]
enum Spoken {
    At(Timestamp),
    Ago(SignedDuration),
    Civil { day: Day, clock: Time, zone: Option<TimeZone> },
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Day {
    /// Today, or yesterday where that is still to come.
    Latest,
    DaysAgo(i64),
    Last(Weekday),
    On(Date),
    /// A date without a year: the last such one.
    Of {
        month: i8,
        day: i8,
    },
}

/// What was typed, short and inert: it goes into sentences that Slack reads as its markup, without a secret that was
/// pasted in the wrong place.
fn shown(text: &str) -> String {
    let masked = redact::text(text.trim());
    let plain: String = masked.chars().filter(|c| !c.is_control() && *c != '`').take(60).collect();
    crate::slack::text::escape(&plain)
}

const FILLERS: &[&str] = &[
    "at", "around", "about", "since", "from", "on", "ca", "ca.", "circa", "@", "~", "the", "of", "and",
    "o'clock", "oclock", "time",
];

fn parse(text: &str) -> Result<Spoken, WhenError> {
    let unread = || WhenError::Unread(shown(text));
    let trimmed = text.trim().trim_matches('`');
    if let Some(at) = whole(trimmed) {
        return Ok(at);
    }
    let lower = trimmed.to_lowercase().replace(',', " ");
    let words: Vec<&str> = lower.split_whitespace().filter(|word| !FILLERS.contains(word)).collect();
    match words.as_slice() {
        [] => return Err(unread()),
        ["now" | "just"] | ["just" | "right", "now"] => return Ok(Spoken::Ago(SignedDuration::ZERO)),
        _ => {}
    }
    if let Some(ago) = relative(&words) {
        return Ok(Spoken::Ago(ago));
    }
    civil(text, &words)
}

/// What is one thing as a whole: epoch, a time with an offset, a date and time, Slack's own date.
fn whole(text: &str) -> Option<Spoken> {
    let text = text.strip_prefix("<!date^").map_or(text, |rest| rest.split('^').next().unwrap_or_default());
    if text.chars().all(|c| c.is_ascii_digit() || c == '.') {
        let digits = text.chars().take_while(char::is_ascii_digit).count();
        return if digits >= 10 { crate::domain::alert::parse_time(text).map(Spoken::At) } else { None };
    }
    // With an offset it is a time; without one it is on the clock of whoever typed it.
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(Spoken::At(at));
    }
    if let Some(at) =
        text.ends_with(|c: char| c.is_ascii_digit()).then(|| offset_without_colon(text)).flatten()
    {
        return Some(Spoken::At(at));
    }
    let bare = text.strip_suffix(" UTC").or_else(|| text.strip_suffix(" utc"));
    let zone = bare.map(|_| TimeZone::UTC);
    let bare = bare.unwrap_or(text);
    // A date alone is a day without a time, which is asked for further on.
    let has_clock = bare.contains(':') && bare.contains('-');
    let civil = has_clock.then(|| bare.parse::<jiff::civil::DateTime>().ok()).flatten()?;
    Some(Spoken::Civil { day: Day::On(civil.date()), clock: civil.time(), zone })
}

fn offset_without_colon(text: &str) -> Option<Timestamp> {
    jiff::fmt::strtime::parse("%Y-%m-%dT%H:%M:%S%.f%z", text).and_then(|time| time.to_timestamp()).ok()
}

/// `20 minutes ago`, `1h30m ago`, `half an hour ago`, `last hour`, `-20m`, `20m`.
fn relative(words: &[&str]) -> Option<SignedDuration> {
    let mut seconds = 0.0_f64;
    let mut number: Option<f64> = None;
    let mut half = false;
    let mut any = false;
    for word in words {
        let word = word.trim_start_matches('-');
        match word {
            "ago" | "back" | "earlier" | "before" => {}
            "last" | "past" if number.is_none() => number = Some(1.0),
            "a" | "an" | "one" => number = Some(1.0),
            "two" | "couple" => number = Some(2.0),
            "few" => return None,
            "half" => {
                half = true;
                number.get_or_insert(1.0);
            }
            _ => {
                if let Ok(value) = word.parse::<f64>() {
                    number = Some(value);
                } else if let Some(unit) = unit(word) {
                    seconds += number.take()? * unit * if std::mem::take(&mut half) { 0.5 } else { 1.0 };
                    any = true;
                } else {
                    seconds += compound(word)?;
                    any = true;
                }
            }
        }
    }
    let fits = any && number.is_none() && !half && seconds.is_finite() && (0.0..1e9).contains(&seconds);
    fits.then(|| SignedDuration::from_millis((seconds * 1000.0).round() as i64))
}

fn unit(word: &str) -> Option<f64> {
    Some(match word {
        "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
        "m" | "min" | "mins" | "min." | "minute" | "minutes" => 60.0,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3_600.0,
        "d" | "day" | "days" => 86_400.0,
        "w" | "week" | "weeks" => 604_800.0,
        _ => return None,
    })
}

/// `20m`, `1h30m`, `90min`: each number with its unit behind it.
fn compound(word: &str) -> Option<f64> {
    let mut rest = word;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(digits);
        let end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (name, next) = after.split_at(end);
        seconds += number.parse::<f64>().ok()? * unit(name)?;
        rest = next;
    }
    Some(seconds)
}

/// A day and a clock time, in any order, with or without a zone.
fn civil(text: &str, words: &[&str]) -> Result<Spoken, WhenError> {
    let unread = || WhenError::Unread(shown(text));
    let mut day: Option<Day> = None;
    let mut clock: Option<Time> = None;
    let mut named: Option<TimeZone> = None;
    let mut month: Option<i8> = None;
    let mut number: Option<i16> = None;
    let mut year: Option<i16> = None;
    let mut set_day = |new: Day| if day.replace(new).is_some() { Err(unread()) } else { Ok(()) };
    let mut index = 0;
    while let Some(word) = words.get(index).copied() {
        let next = words.get(index + 1).copied();
        index += 1;
        if let Some(read) = clock_of(word, next) {
            index += usize::from(read.1);
            if word.ends_with(['z', 'c']) {
                named = Some(TimeZone::UTC);
            }
            if clock.replace(read.0).is_some() {
                return Err(unread());
            }
        } else if let Some(read) = day_of(word) {
            set_day(read)?;
        } else if word == "last" && next.is_some_and(|next| weekday(next).is_some()) {
            // 'last monday' is the monday that was last.
        } else if let Some(found) = zone_of(word) {
            named = Some(found);
        } else if let Some(found) = month_of(word) {
            month = Some(found);
        } else if let Ok(found) = word.trim_end_matches(['.']).trim_end_matches("th").parse::<i16>() {
            match found {
                1..=31 if number.is_none() => number = Some(found),
                2000..=2100 => year = Some(found),
                _ => return Err(unread()),
            }
        } else {
            return Err(unread());
        }
    }
    match (month, number, year) {
        (Some(month), Some(number), None) => {
            set_day(Day::Of { month, day: i8::try_from(number).map_err(|_| unread())? })?;
        }
        (Some(month), Some(number), Some(year)) => {
            let date = Date::new(year, month, i8::try_from(number).map_err(|_| unread())?);
            set_day(Day::On(date.map_err(|_| unread())?))?;
        }
        (None, None, None) => {}
        _ => return Err(unread()),
    }
    match (day, clock) {
        (day, Some(clock)) => Ok(Spoken::Civil { day: day.unwrap_or(Day::Latest), clock, zone: named }),
        (Some(_), None) => Err(WhenError::NoClock(shown(text))),
        (None, None) => Err(unread()),
    }
}

/// `14:05`, `14:05:30`, `9pm`, `9:30pm`, `9 pm`, `14h`, `noon`; true where the next word belongs to it.
fn clock_of(word: &str, next: Option<&str>) -> Option<(Time, bool)> {
    match word {
        "noon" | "midday" => return Some((Time::constant(12, 0, 0, 0), false)),
        "midnight" => return Some((Time::midnight(), false)),
        _ => {}
    }
    let half_of = |text: &str| match text {
        "am" | "a.m." | "a.m" => Some(false),
        "pm" | "p.m." | "p.m" => Some(true),
        _ => None,
    };
    let split = word.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(word.len());
    let (digits, letters) = word.split_at(split);
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let (half, took) = match (letters, next.and_then(half_of)) {
        ("", Some(half)) => (Some(half), true),
        ("" | "h" | "z" | "utc", _) => (None, false),
        (letters, _) => (Some(half_of(letters)?), false),
    };
    let mut parts = digits.split([':', '.']);
    let hour: i8 = parts.next()?.parse().ok()?;
    let minute = parts.next();
    let second = parts.next();
    if parts.next().is_some() || (minute.is_none() && half.is_none() && letters != "h") {
        return None;
    }
    // A dot is read as in '14.05', never as in '2.5 hours', which was read before.
    let two = |part: Option<&str>| -> Option<i8> {
        match part {
            None | Some("") => Some(0),
            Some(part) if part.len() == 2 => part.parse().ok(),
            Some(_) => None,
        }
    };
    let hour = match half {
        Some(_) if !(1..=12).contains(&hour) => return None,
        Some(true) => hour % 12 + 12,
        Some(false) => hour % 12,
        None => hour,
    };
    Time::new(hour, two(minute)?, two(second)?, 0).ok().map(|time| (time, took))
}

fn day_of(word: &str) -> Option<Day> {
    match word {
        "today" | "this" | "tonight" => return Some(Day::DaysAgo(0)),
        "yesterday" => return Some(Day::DaysAgo(1)),
        _ => {}
    }
    if let Some(weekday) = weekday(word) {
        return Some(Day::Last(weekday));
    }
    let date: Option<Date> = (word.matches('-').count() == 2).then(|| word.parse().ok()).flatten();
    date.map(Day::On)
}

fn weekday(word: &str) -> Option<Weekday> {
    Some(match word.trim_end_matches('.') {
        "mon" | "monday" => Weekday::Monday,
        "tue" | "tues" | "tuesday" => Weekday::Tuesday,
        "wed" | "wednesday" => Weekday::Wednesday,
        "thu" | "thur" | "thurs" | "thursday" => Weekday::Thursday,
        "fri" | "friday" => Weekday::Friday,
        "sat" | "saturday" => Weekday::Saturday,
        "sun" | "sunday" => Weekday::Sunday,
        _ => return None,
    })
}

fn month_of(word: &str) -> Option<i8> {
    const MONTHS: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    let word = word.trim_end_matches('.');
    let found =
        MONTHS.iter().position(|month| *month == word || (word.len() >= 3 && month.starts_with(word)))?;
    i8::try_from(found + 1).ok()
}

fn zone_of(word: &str) -> Option<TimeZone> {
    match word {
        "utc" | "z" | "gmt" => return Some(TimeZone::UTC),
        _ => {}
    }
    if let Some(name) = word.contains('/').then_some(word) {
        return TimeZone::get(name).ok();
    }
    let sign = match word.chars().next()? {
        '+' => 1,
        '-' => -1,
        _ => return None,
    };
    let (hours, minutes) = word.get(1..)?.split_once(':')?;
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    let within = (0..=14).contains(&hours) && (0..60).contains(&minutes);
    let offset =
        within.then(|| jiff::tz::Offset::from_seconds(sign * (hours * 3_600 + minutes * 60)).ok())??;
    Some(TimeZone::fixed(offset))
}

/// The time of `clock` on `day`, on the clock of `zone`.
fn resolve(day: &Day, clock: Time, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let today = now.to_zoned(zone.clone()).date();
    let on = |date: Date| -> Option<Timestamp> {
        date.to_datetime(clock).to_zoned(zone.clone()).ok().map(|zoned: Zoned| zoned.timestamp())
    };
    // The last of these that has been; a little ahead counts, because clocks differ.
    let last_of = |first: Date, earlier: Date| -> Option<Timestamp> {
        let at = on(first)?;
        if at.duration_since(now) <= AHEAD { Some(at) } else { on(earlier) }
    };
    match day {
        Day::Latest => last_of(today, today.yesterday().ok()?),
        Day::DaysAgo(days) => on(today.checked_sub(days.days()).ok()?),
        Day::Last(weekday) => {
            let since = weekday.since(today.weekday());
            let back = (7 - i64::from(since)) % 7;
            let first = today.checked_sub(back.days()).ok()?;
            last_of(first, first.checked_sub(7.days()).ok()?)
        }
        Day::On(date) => on(*date),
        Day::Of { month, day } => {
            let this = Date::new(today.year(), *month, *day).ok()?;
            let before = Date::new(today.year() - 1, *month, *day).ok()?;
            last_of(this, before)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn berlin() -> TimeZone {
        TimeZone::get("Europe/Berlin").unwrap()
    }

    /// A Friday, 13:20 in Berlin.
    fn now() -> Timestamp {
        "2026-02-06T12:20:00Z".parse().unwrap()
    }

    fn at(text: &str) -> String {
        read(text, now(), &berlin()).map_or_else(|error| error.to_string(), |at| at.to_string())
    }

    #[test]
    fn what_people_type_is_read() {
        for (typed, expected) in [
            ("20 minutes ago", "2026-02-06T12:00:00Z"),
            ("20m ago", "2026-02-06T12:00:00Z"),
            ("20m", "2026-02-06T12:00:00Z"),
            ("-20m", "2026-02-06T12:00:00Z"),
            ("about 20 min ago", "2026-02-06T12:00:00Z"),
            ("1h30m ago", "2026-02-06T10:50:00Z"),
            ("2 hours and 5 minutes ago", "2026-02-06T10:15:00Z"),
            ("an hour ago", "2026-02-06T11:20:00Z"),
            ("half an hour ago", "2026-02-06T11:50:00Z"),
            ("2.5 hours ago", "2026-02-06T09:50:00Z"),
            ("last hour", "2026-02-06T11:20:00Z"),
            ("two days ago", "2026-02-04T12:20:00Z"),
            ("now", "2026-02-06T12:20:00Z"),
            ("13:05", "2026-02-06T12:05:00Z"),
            ("at 13:05", "2026-02-06T12:05:00Z"),
            ("13.05", "2026-02-06T12:05:00Z"),
            ("14:05", "2026-02-05T13:05:00Z"),
            ("14:05 UTC", "2026-02-05T14:05:00Z"),
            ("12:05Z", "2026-02-06T12:05:00Z"),
            ("12:05 z", "2026-02-06T12:05:00Z"),
            ("9am", "2026-02-06T08:00:00Z"),
            ("at 9pm", "2026-02-05T20:00:00Z"),
            ("9:30 pm", "2026-02-05T20:30:00Z"),
            ("12am", "2026-02-05T23:00:00Z"),
            ("noon", "2026-02-06T11:00:00Z"),
            ("yesterday 23:10", "2026-02-05T22:10:00Z"),
            ("yesterday at 9pm", "2026-02-05T20:00:00Z"),
            ("23:10 yesterday", "2026-02-05T22:10:00Z"),
            ("today 09:00", "2026-02-06T08:00:00Z"),
            ("monday 14:05", "2026-02-02T13:05:00Z"),
            ("last friday 14:05", "2026-01-30T13:05:00Z"),
            ("fri 13:05", "2026-02-06T12:05:00Z"),
            ("5 feb 14:05", "2026-02-05T13:05:00Z"),
            ("Feb 5, 2026 14:05", "2026-02-05T13:05:00Z"),
            ("24 dec 18:00", "2025-12-24T17:00:00Z"),
            ("2026-02-06T12:15:00Z", "2026-02-06T12:15:00Z"),
            ("2026-02-06T17:45:00+05:30", "2026-02-06T12:15:00Z"),
            ("2026-02-06T12:15:00.000+0000", "2026-02-06T12:15:00Z"),
            ("2026-02-06 13:15", "2026-02-06T12:15:00Z"),
            ("2026-02-06 12:15 UTC", "2026-02-06T12:15:00Z"),
            ("1770380100", "2026-02-06T12:15:00Z"),
            ("1770380100000", "2026-02-06T12:15:00Z"),
            ("<!date^1770380100^{date_short}|then>", "2026-02-06T12:15:00Z"),
            ("14:05 america/new_york", "2026-02-05T19:05:00Z"),
            ("14:05 +02:00", "2026-02-06T12:05:00Z"),
        ] {
            assert_eq!(at(typed), expected, "{typed}");
        }
    }

    #[test]
    fn what_is_unclear_is_asked() {
        for (typed, part) in [
            ("yesterday", "At what time yesterday?"),
            ("2026-02-05", "At what time"),
            ("soonish", "I cannot read"),
            ("25:00", "I cannot read"),
            ("13pm", "I cannot read"),
            ("14", "I cannot read"),
            ("", "I cannot read"),
            ("a few minutes ago", "I cannot read"),
            ("14:05 15:05", "I cannot read"),
            ("2026-02-07T00:00:00Z", "still to come"),
            ("today 23:00", "still to come"),
            ("2019-02-07T00:00:00Z", "90 days"),
            ("200 days ago", "90 days"),
            ("99999999 weeks ago", "I cannot read"),
        ] {
            assert!(at(typed).contains(part), "{typed}: {}", at(typed));
        }
    }

    #[test]
    fn only_a_bare_clock_needs_to_know_whose() {
        for typed in ["14:05", "yesterday 9pm", "2026-02-06 13:15"] {
            assert!(needs_zone(typed), "{typed}");
        }
        for typed in ["20m ago", "14:05 UTC", "2026-02-06T12:15:00Z", "1770380100", "rubbish"] {
            assert!(!needs_zone(typed), "{typed}");
        }
    }

    fn zones() -> impl Strategy<Value = TimeZone> {
        prop::sample::select(vec![
            "UTC",
            "Europe/Berlin",
            "America/New_York",
            "Asia/Kathmandu",
            "Pacific/Apia",
        ])
        .prop_map(|name| TimeZone::get(name).unwrap())
    }

    fn moments() -> impl Strategy<Value = Timestamp> {
        (1_600_000_000_i64..1_900_000_000).prop_map(|second| Timestamp::from_second(second).unwrap())
    }

    proptest! {
        #[test]
        fn anything_typed_is_read_or_refused(text in "\\PC{0,40}", now in moments(), zone in zones()) {
            if let Ok(at) = read(&text, now, &zone) {
                prop_assert!(at <= now);
            }
        }

        #[test]
        fn words_of_the_language_in_any_order_never_panic_and_never_name_the_future(
            words in prop::collection::vec(
                "yesterday|today|monday|last|ago|14:05|9pm|9|pm|20|minutes|1h30m|feb|half|an|hour|UTC|\\+99:99|-1|31|2024|noon", 0..6),
            now in moments(), zone in zones(),
        ) {
            if let Ok(at) = read(&words.join(" "), now, &zone) {
                prop_assert!(at <= now);
            }
        }

        #[test]
        fn minutes_ago_are_exact(minutes in 0_i64..50_000, now in moments(), zone in zones()) {
            let expected = now.saturating_sub(SignedDuration::from_mins(minutes)).unwrap();
            prop_assert_eq!(read(&format!("{minutes} minutes ago"), now, &zone), Ok(expected));
            prop_assert_eq!(read(&format!("{minutes}m"), now, &zone), Ok(expected));
        }

        #[test]
        fn a_clock_time_is_the_last_one_that_has_been(
            hour in 0_i8..24, minute in 0_i8..60, now in moments(), zone in zones(),
        ) {
            let at = read(&format!("{hour:02}:{minute:02}"), now, &zone).unwrap();
            prop_assert!(at <= now);
            // Within a day, and two hours for a night on which the clocks change.
            prop_assert!(now.duration_since(at) <= SignedDuration::from_hours(26));
            let there = at.to_zoned(zone).time();
            // Clock times that a change of clocks leaves out move on by an hour; a time just ahead is now.
            let close = now.duration_since(at) <= AHEAD;
            prop_assert!(there.minute() == minute || close || there.minute() == (minute + 30) % 60, "{there}");
        }

        #[test]
        fn an_instant_is_read_as_it_is_written(now in moments(), back in 0_i64..7_000_000, zone in zones()) {
            let then = Timestamp::from_second(now.as_second() - back).unwrap();
            prop_assert_eq!(read(&then.to_string(), now, &zone), Ok(then));
            prop_assert_eq!(read(&then.as_second().to_string(), now, &zone), Ok(then));
        }
    }
}
