//! JSON as it comes from outside: truncated, with `NaN`, with numbers where text should be.
//!
//! The rule that is not obvious: what is well formed is parsed once, at serde_json's own speed. Only
//! a file that fails is looked at again, element by element, to save what can be saved.

use std::borrow::Cow;
use std::fmt;

use jiff::Timestamp;
use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::domain::alert::parse_time;

/// What a list in a file holds.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Elements {
    pub values: Vec<Value>,
    /// Elements that are there and cannot be read.
    pub broken: usize,
    /// True where the file ends before the list does.
    pub truncated: bool,
    /// True where the file is no JSON though the list in it is whole: something else in it is lost.
    pub damaged: bool,
}

impl Elements {
    fn join(&mut self, other: Self) {
        self.values.extend(other.values);
        self.broken += other.broken;
        self.truncated |= other.truncated;
        self.damaged |= other.damaged;
    }
}

/// Text without the byte order mark that some editors put before it.
pub(super) fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// The elements of the list under the first of `keys` that the document has, or of the document
/// itself where it is a list. A blank file holds nothing.
pub(super) fn elements(bytes: &[u8], keys: &[&str]) -> Elements {
    let bytes = without_mark(bytes);
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Elements::default();
    }
    if let Ok(value) = serde_json::from_slice(bytes) {
        return of_value(value, keys);
    }
    // Pages that were written one after the other are several documents.
    let mended = mend(bytes);
    let mut found = Elements::default();
    let mut documents = serde_json::Deserializer::from_slice(&mended).into_iter::<Value>();
    let mut read = 0;
    while let Some(document) = documents.next() {
        if let Ok(value) = document {
            found.join(of_value(value, keys));
            read = documents.byte_offset();
        } else {
            found.join(salvage(mended.get(read..).unwrap_or_default(), keys));
            break;
        }
    }
    found
}

/// One value, mended where that is needed; `None` where it cannot be read at all.
pub(super) fn value(bytes: &[u8]) -> Option<Value> {
    let bytes = without_mark(bytes);
    serde_json::from_slice(bytes).or_else(|_| serde_json::from_slice(&mend(bytes))).ok()
}

fn of_value(value: Value, keys: &[&str]) -> Elements {
    let whole = |values| Elements { values, ..Elements::default() };
    match value {
        Value::Array(values) => whole(values),
        Value::Null => Elements::default(),
        Value::Object(mut object) => match keys.iter().find_map(|key| object.remove(*key)) {
            Some(Value::Array(values)) => whole(values),
            Some(Value::Null) => Elements::default(),
            None if object.is_empty() => Elements::default(),
            Some(_) | None => Elements { broken: 1, ..Elements::default() },
        },
        _ => Elements { broken: 1, ..Elements::default() },
    }
}

/// Makes JSON of what almost is: bytes that are not UTF-8 become replacement characters, and the
/// `NaN` and `Infinity` that Python writes become `null`.
pub(super) fn mend(bytes: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(bytes);
    let bytes = text.as_bytes();
    let mut mended = Vec::with_capacity(bytes.len());
    let mut at = 0;
    let mut quoted = false;
    while let Some(&byte) = bytes.get(at) {
        let rest = bytes.get(at..).unwrap_or_default();
        if quoted {
            if byte == b'\\' {
                mended.extend_from_slice(rest.get(..2).unwrap_or(rest));
                at += 2;
                continue;
            }
            quoted = byte != b'"';
        } else if byte == b'"' {
            quoted = true;
        } else if let Some(word) =
            [b"NaN".as_slice(), b"-Infinity", b"Infinity", b"nan"].iter().find(|word| rest.starts_with(word))
        {
            mended.extend_from_slice(b"null");
            at += word.len();
            continue;
        }
        mended.push(byte);
        at += 1;
    }
    mended
}

/// Reads the elements of a list one at a time, each for itself.
fn salvage(bytes: &[u8], keys: &[&str]) -> Elements {
    let mut found = Elements::default();
    let Some(mut at) = list_start(bytes, keys) else {
        found.broken = 1;
        return found;
    };
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b']' => {
                found.damaged = found.broken == 0;
                return found;
            }
            b'{' | b'[' => {
                let Some(length) = bracketed(bytes.get(at..).unwrap_or_default()) else {
                    found.truncated = true;
                    return found;
                };
                match serde_json::from_slice(bytes.get(at..at + length).unwrap_or_default()) {
                    Ok(value) => found.values.push(value),
                    Err(_) => found.broken += 1,
                }
                at += length;
            }
            b',' => at += 1,
            byte if byte.is_ascii_whitespace() => at += 1,
            _ => {
                found.broken += 1;
                while bytes.get(at).is_some_and(|byte| !matches!(byte, b',' | b']' | b'{' | b'[')) {
                    at += 1;
                }
            }
        }
    }
    found.truncated = true;
    found
}

/// Where the first element of the list may begin.
fn list_start(bytes: &[u8], keys: &[&str]) -> Option<usize> {
    for key in keys {
        let quoted = format!("\"{key}\"");
        let mut from = 0;
        while let Some(found) = position(bytes.get(from..)?, quoted.as_bytes()) {
            let after = from + found + quoted.len();
            let rest = bytes.get(after..)?;
            let skipped = rest.iter().take_while(|byte| byte.is_ascii_whitespace() || **byte == b':').count();
            if rest.get(skipped) == Some(&b'[') {
                return Some(after + skipped + 1);
            }
            from = after;
        }
    }
    let blank = bytes.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    (bytes.get(blank) == Some(&b'[')).then_some(blank + 1)
}

fn position(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

/// The length of the object or list that begins here, brackets inside strings aside; `None` where
/// it does not end.
fn bracketed(bytes: &[u8]) -> Option<usize> {
    let mut depth = 0_usize;
    let mut quoted = false;
    let mut escaped = false;
    for (at, byte) in bytes.iter().enumerate() {
        if quoted {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => quoted = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => quoted = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// The field as text; empty where it is absent or null.
pub(super) fn text(value: &Value, key: &str) -> String {
    value.get(key).map(plain).unwrap_or_default()
}

/// A value as a person would write it: strings without quotes, the rest as JSON.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

pub(super) fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

pub(super) fn integer(value: &Value, key: &str) -> Option<i64> {
    match value.get(key)? {
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().map(|number| number as i64)),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// A time as AWS and the tools around it write one: ISO 8601 with any offset, epoch seconds or milliseconds.
pub(super) fn time(value: Option<&Value>) -> Option<Timestamp> {
    match value? {
        Value::String(text) => parse_time(text),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => epoch(whole),
            None => epoch_fraction(number.as_f64()?),
        },
        _ => None,
    }
}

const YEAR_2000: i64 = 946_684_800;
const YEAR_2100: i64 = 4_102_444_800;

/// Epoch milliseconds where the number is too large for seconds; years outside 2000 to 2100 are refused.
fn epoch(number: i64) -> Option<Timestamp> {
    let milliseconds = if number > 100_000_000_000 { number } else { number.checked_mul(1000)? };
    if !(YEAR_2000..YEAR_2100).contains(&milliseconds.div_euclid(1000)) {
        return None;
    }
    Timestamp::from_millisecond(milliseconds).ok()
}

fn epoch_fraction(number: f64) -> Option<Timestamp> {
    if !number.is_finite() {
        return None;
    }
    if number > 1e11 { epoch(number as i64) } else { epoch((number * 1000.0).round() as i64) }
}

/// Every scalar of an object under its own name, of objects inside it under a dotted path; lists as JSON.
pub(super) fn flatten(
    object: &serde_json::Map<String, Value>,
    prefix: &str,
    into: &mut impl Extend<(String, String)>,
) {
    for (key, value) in object {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match value {
            Value::Null => {}
            Value::Object(inner) => flatten(inner, &path, into),
            other => into.extend([(path, plain(other))]),
        }
    }
}

/// Text where text should be, or whatever stands there instead, as text.
#[derive(Debug, Default)]
pub(super) struct Text<'a>(pub Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsText;
        impl<'de> Visitor<'de> for AsText {
            type Value = Text<'de>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("text")
            }
            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
            fn visit_string<E: de::Error>(self, text: String) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text)))
            }
            fn visit_bool<E: de::Error>(self, value: bool) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(value.to_string())))
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(value.to_string())))
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(value.to_string())))
            }
            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(Value::from(value).to_string())))
            }
            fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
                Ok(Text::default())
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                let value = Value::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(Text(Cow::Owned(value.to_string())))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                let value = Value::deserialize(de::value::SeqAccessDeserializer::new(seq))?;
                Ok(Text(Cow::Owned(value.to_string())))
            }
        }
        deserializer.deserialize_any(AsText)
    }
}

/// A time in any of the forms of [`time`], or `None` where none can be read.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Time(pub Option<Timestamp>);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsTime;
        impl<'de> Visitor<'de> for AsTime {
            type Value = Time;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a time")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Time, E> {
                Ok(Time(parse_time(text)))
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Time, E> {
                Ok(Time(epoch(value)))
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Time, E> {
                Ok(Time(i64::try_from(value).ok().and_then(epoch)))
            }
            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Time, E> {
                Ok(Time(epoch_fraction(value)))
            }
            fn visit_bool<E: de::Error>(self, _: bool) -> Result<Time, E> {
                Ok(Time(None))
            }
            fn visit_unit<E: de::Error>(self) -> Result<Time, E> {
                Ok(Time(None))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Time, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Time(None))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Time, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Time(None))
            }
        }
        deserializer.deserialize_any(AsTime)
    }
}

/// A finite number, also where it is written as text; `None` for anything else.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Number(pub Option<f64>);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsNumber;
        impl<'de> Visitor<'de> for AsNumber {
            type Value = Number;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a number")
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Number, E> {
                Ok(Number(Some(value as f64)))
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Number, E> {
                Ok(Number(Some(value as f64)))
            }
            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Number, E> {
                Ok(Number(value.is_finite().then_some(value)))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Number, E> {
                Ok(Number(text.trim().parse().ok().filter(|number: &f64| number.is_finite())))
            }
            fn visit_bool<E: de::Error>(self, _: bool) -> Result<Number, E> {
                Ok(Number(None))
            }
            fn visit_unit<E: de::Error>(self) -> Result<Number, E> {
                Ok(Number(None))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Number, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Number(None))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Number, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Number(None))
            }
        }
        deserializer.deserialize_any(AsNumber)
    }
}
