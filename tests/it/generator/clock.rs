//! Times as AWS, loggers and alerting tools write them.
//!
//! The rule that is not obvious: the simulation counts whole seconds since 1970 and only this file
//! turns them into text, in the many spellings that a real account mixes.

/// Year, month, day, hour, minute, second of an epoch time, in UTC (Howard Hinnant's algorithm).
pub fn civil(at: i64) -> (i64, i64, i64, i64, i64, i64) {
    let (days, seconds) = (at.div_euclid(86_400), at.rem_euclid(86_400));
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day, seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// `2026-02-06T12:15:00Z`
pub fn iso(at: i64) -> String {
    let (y, mo, d, h, mi, s) = civil(at);
    format!("{y:04}-{mo:02}-{d:02}T{h:02}:{mi:02}:{s:02}Z")
}

/// `2026-02-06T12:15:00.123Z`
pub fn iso_millis(at_ms: i64) -> String {
    let (y, mo, d, h, mi, s) = civil(at_ms.div_euclid(1000));
    format!("{y:04}-{mo:02}-{d:02}T{h:02}:{mi:02}:{s:02}.{:03}Z", at_ms.rem_euclid(1000))
}

/// The same moment told in another zone: `2026-02-06T17:45:00+05:30`.
pub fn iso_offset(at: i64, offset_minutes: i64) -> String {
    let (y, mo, d, h, mi, s) = civil(at + offset_minutes * 60);
    let sign = if offset_minutes < 0 { '-' } else { '+' };
    let size = offset_minutes.abs();
    format!("{y:04}-{mo:02}-{d:02}T{h:02}:{mi:02}:{s:02}{sign}{:02}:{:02}", size / 60, size % 60)
}

/// `2026-02-06 12:15:00,123`, with any separator before the milliseconds.
pub fn spaced_millis(at_ms: i64, separator: char) -> String {
    let (y, mo, d, h, mi, s) = civil(at_ms.div_euclid(1000));
    format!("{y:04}-{mo:02}-{d:02} {h:02}:{mi:02}:{s:02}{separator}{:03}", at_ms.rem_euclid(1000))
}

/// `2026/02/06`, as Lambda's log streams begin.
pub fn slashed_date(at: i64) -> String {
    let (y, mo, d, ..) = civil(at);
    format!("{y:04}/{mo:02}/{d:02}")
}

/// `2026-02-06T12:15:00.000+0000`, as Lambda tells when a function was last changed.
pub fn lambda_modified(at: i64) -> String {
    let (y, mo, d, h, mi, s) = civil(at);
    format!("{y:04}-{mo:02}-{d:02}T{h:02}:{mi:02}:{s:02}.000+0000")
}
