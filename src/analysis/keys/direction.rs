//! Which way a value went: more or less, on or off.
//!
//! The rule that is not obvious: only what has one dimension is compared. Times are held against times and sizes against
//! sizes, whatever their units; of `512` beside `2g`, and of `5s` beside `512m`, nobody knows which is more. `m` is minutes
//! beside times and megabytes beside sizes.

use super::Class;
use crate::analysis::quantities;
use crate::domain::change::KeyChange;
use crate::domain::snapshot::UNRESERVED;

/// Where the value went.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Direction {
    Up(f64),
    Down(f64),
    On,
    Off,
    Replaced,
    Added,
    Removed,
    /// One side or both are not known.
    Unknown,
}

/// `true`, `off`, … as truth values; numbers are not.
pub fn truth(value: &str) -> Option<bool> {
    match value.trim().to_ascii_lowercase().as_str() {
        "true" | "on" | "yes" | "enabled" => Some(true),
        "false" | "off" | "no" | "disabled" => Some(false),
        _ => None,
    }
}

/// A number with or without a unit: `30s`, `512MB`, `1.5`; times in milliseconds.
pub fn number(value: &str) -> Option<f64> {
    let (number, unit) = parts(value)?;
    Some(number * milliseconds(&unit).unwrap_or(1.0))
}

/// A number and its unit in lower case, which may be empty.
fn parts(value: &str) -> Option<(f64, String)> {
    let value = value.trim();
    let end = value
        .char_indices()
        .find(|(index, c)| !(c.is_ascii_digit() || *c == '.' || (*index == 0 && matches!(c, '-' | '+'))))
        .map_or(value.len(), |(index, _)| index);
    let unit = value.get(end..)?.trim();
    if unit.len() > 7 || !unit.chars().all(|c| c.is_ascii_alphabetic() || c == '%' || c == '/') {
        return None;
    }
    Some((value.get(..end)?.parse().ok()?, unit.to_ascii_lowercase()))
}

fn milliseconds(unit: &str) -> Option<f64> {
    match unit {
        "m" | "min" => Some(60_000.0),
        "d" => Some(86_400_000.0),
        unit => quantities::milliseconds(unit),
    }
}

fn bytes(unit: &str) -> Option<f64> {
    let power = match unit {
        "b" | "byte" | "bytes" => 0,
        "k" | "kb" | "ki" | "kib" => 1,
        "m" | "mb" | "mi" | "mib" => 2,
        "g" | "gb" | "gi" | "gib" => 3,
        "t" | "tb" | "ti" | "tib" => 4,
        _ => return None,
    };
    Some(1024_f64.powi(power))
}

/// Two values on one scale, where both are of one dimension.
fn compared(before: &str, after: &str, class: Class) -> Option<(f64, f64)> {
    let ((was, unit_before), (is, unit_after)) = (parts(before)?, parts(after)?);
    // Nothing is nothing in every unit.
    if unit_before == unit_after || was == 0.0 || is == 0.0 {
        return Some((was, is));
    }
    let is_size = |unit: &str| unit != "m" && bytes(unit).is_some();
    let sizes = class == Class::Memory || is_size(&unit_before) || is_size(&unit_after);
    let scale = if sizes { bytes } else { milliseconds };
    Some((was * scale(&unit_before)?, is * scale(&unit_after)?))
}

pub fn direction(change: &KeyChange, class: Class) -> Direction {
    match (change.before.as_deref(), change.after.as_deref()) {
        // No limit is more than any.
        (before, Some(UNRESERVED)) if before != Some(UNRESERVED) => Direction::Up(f64::INFINITY),
        (Some(UNRESERVED), Some(after)) if number(after).is_some() => Direction::Down(f64::INFINITY),
        (Some(before), Some(after)) => {
            if let (Some(was), Some(is)) = (truth(before), truth(after)) {
                return match (was, is) {
                    (false, true) => Direction::On,
                    (true, false) => Direction::Off,
                    _ => Direction::Replaced,
                };
            }
            match compared(before, after, class) {
                Some((was, is)) if is > was => Direction::Up(ratio(is, was)),
                Some((was, is)) if is < was => Direction::Down(ratio(was, is)),
                _ => Direction::Replaced,
            }
        }
        (None, Some(after)) => match truth(after) {
            Some(true) => Direction::On,
            Some(false) => Direction::Off,
            // What comes as none of it is as good as switched off.
            None if number(after) == Some(0.0) => Direction::Off,
            None => Direction::Added,
        },
        (Some(_), None) => Direction::Removed,
        (None, None) => Direction::Unknown,
    }
}

fn ratio(large: f64, small: f64) -> f64 {
    if small > 0.0 { large / small } else { f64::INFINITY }
}
