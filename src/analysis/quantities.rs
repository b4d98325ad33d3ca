//! Numbers with their units, in a text and in a configuration value: `6s` in an error is the `6` of a key
//! that counts seconds.
//!
//! The rule that is not obvious: a number that is part of a name (`relay-9`, `v2`, `9f3a`, an address) is
//! no quantity.

use super::words;

/// A number as it stands, and in milliseconds where its unit says that it is a time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantity {
    pub number: f64,
    pub milliseconds: Option<f64>,
}

impl Quantity {
    /// Whether both say the same: the same time where both are times, else the same number.
    pub fn is(&self, other: &Self) -> bool {
        let same = |a: f64, b: f64| (a - b).abs() <= 1e-6 * a.abs().max(b.abs());
        match (self.milliseconds, other.milliseconds) {
            (Some(a), Some(b)) => same(a, b),
            _ => same(self.number, other.number),
        }
    }
}

/// The quantities in a text, in order.
pub fn read(text: &str) -> Vec<Quantity> {
    let mut found = Vec::new();
    let bytes = text.as_bytes();
    let part = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let mut at = 0;
    while at < bytes.len() {
        if !bytes[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let start = at;
        while bytes.get(at).is_some_and(|byte| {
            byte.is_ascii_digit() || *byte == b'.' && bytes.get(at + 1).is_some_and(u8::is_ascii_digit)
        }) {
            at += 1;
        }
        let before = start.checked_sub(1).and_then(|index| bytes.get(index));
        // `relay-9` and `a.9` are names, `range 5-9` is none.
        let named = part(before)
            || matches!(before, Some(b'-' | b'.'))
                && start
                    .checked_sub(2)
                    .and_then(|index| bytes.get(index))
                    .is_some_and(u8::is_ascii_alphabetic);
        let rest = text.get(at..).unwrap_or("");
        let letters = rest.strip_prefix(' ').unwrap_or(rest);
        let unit: &str = letters.split(|letter: char| !letter.is_alphabetic()).next().unwrap_or("");
        let factor = milliseconds(unit);
        let joined = part(bytes.get(at)) && factor.is_none();
        if !named
            && !joined
            && let Some(number) = text.get(start..at).and_then(|number| number.parse::<f64>().ok())
        {
            found.push(Quantity { number, milliseconds: factor.map(|factor| number * factor) });
        }
    }
    found
}

/// The quantity that a configuration value is: its unit stands in the value or in the key's name.
pub fn of_value(value: &str, key: &str) -> Option<Quantity> {
    let value = value.trim().to_lowercase();
    let digits =
        value.find(|letter: char| !(letter.is_ascii_digit() || letter == '.')).unwrap_or(value.len());
    let number: f64 = value.get(..digits)?.parse().ok()?;
    let unit = value.get(digits..)?.trim();
    if !unit.chars().all(|letter| letter.is_alphabetic() || letter == '%') || unit.len() > 8 {
        return None;
    }
    let by_name =
        || words::split(key).iter().rev().find_map(|word| milliseconds(word).filter(|_| word.len() > 1));
    let factor = match unit {
        "" => by_name(),
        "d" => milliseconds("day"),
        unit => milliseconds(unit),
    };
    Some(Quantity { number, milliseconds: factor.map(|factor| number * factor) })
}

/// How many milliseconds a unit of time has. `m`, `min` and `d` are left out: metres, millions, the least, hexadecimal digits.
pub(super) fn milliseconds(unit: &str) -> Option<f64> {
    Some(match unit {
        "ms" | "millis" | "msec" | "millisecond" | "milliseconds" => 1.0,
        "s" | "sec" | "secs" | "second" | "seconds" => 1000.0,
        "mins" | "minute" | "minutes" => 60_000.0,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3_600_000.0,
        "day" | "days" => 86_400_000.0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(text: &str) -> Vec<f64> {
        read(text).iter().map(|found| found.number).collect()
    }

    #[test]
    fn numbers_in_names_are_no_quantities() {
        assert_eq!(numbers("relay-9.mail at 10.0.0.1 took 80ms, 9 of 9 busy (v2, 9f3a)"), [80.0, 9.0, 9.0]);
        assert_eq!(numbers("batch of 500000 docs, 1.5 s"), [500_000.0, 1.5]);
    }

    #[test]
    fn a_time_is_the_same_in_every_unit() {
        let said = read("voucher held for 6s");
        assert!(said[0].is(&of_value("6", "HOLD_SECONDS").unwrap()));
        assert!(said[0].is(&of_value("6000ms", "hold").unwrap()));
        assert!(!said[0].is(&of_value("6", "HOLD_MINUTES").unwrap()));
        assert!(of_value("https://a", "URL").is_none());
    }
}
