//! Plain text lines: header words, `key=value` pairs and the message between them.
//!
//! The rule that is not obvious: the message is what stands before the pairs, or after them where they
//! come first.

use super::header;
use super::line::{Level, Line, Scalar, assign};

/// Header words, `key=value` pairs and the message between them.
pub(super) fn read<'a>(text: &'a str, line: &mut Line<'a>, field: &mut dyn FnMut(&'a str, Scalar<'a>)) {
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    // A Python trace names its exception last; everybody else's first.
    let head = if first.trim_start().starts_with("Traceback") {
        line.trace = true;
        line.level = Level::Error;
        rest.lines().rev().find(|candidate| !candidate.trim().is_empty()).unwrap_or(first)
    } else {
        line.trace = rest.lines().any(|candidate| {
            let candidate = candidate.trim_start();
            candidate.starts_with("at ")
                || candidate.starts_with("Caused by:")
                || candidate.starts_with("File \"")
        });
        line.cause = rest.lines().map(str::trim).next().filter(|candidate| names_exception(candidate));
        first
    };
    let message = of_dotnet(first, rest, line).unwrap_or_else(|| header::skip(head, line));
    line.status = line.status.or_else(|| status_of_access(message));
    let mut pairs = Pairs { text: message, at: 0 };
    let mut end = message.len();
    let mut begin = 0;
    let mut seen_pair = false;
    while let Some(pair) = pairs.next() {
        // The message ends where the pairs begin, or begins after them.
        let before = message.get(..pair.start).unwrap_or("").trim_end_matches([' ', '[', '(', '|', '\t']);
        if !seen_pair && !before.is_empty() {
            end = before.len();
        }
        seen_pair = true;
        if end == message.len() || before.is_empty() {
            begin = pair.end;
        }
        assign(line, pair.key, scalar(pair.value, pair.quoted), 0, field);
    }
    if line.text.is_empty() {
        let body = if end < message.len() { message.get(..end) } else { message.get(begin..) };
        line.text = unwrapped(body.unwrap_or(message));
    }
    if line.text.is_empty() && !seen_pair {
        line.text = head;
    }
    if line.level == Level::Unsaid && speaks_of_failure(line.text) {
        line.level = Level::Error;
    }
}

fn scalar(value: &str, quoted: bool) -> Scalar<'_> {
    if quoted {
        return Scalar::Text(value);
    }
    match value {
        "true" => Scalar::Bool(true),
        "false" => Scalar::Bool(false),
        _ => value
            .parse::<f64>()
            .ok()
            .filter(|number| number.is_finite())
            .map_or(Scalar::Text(value), Scalar::Number),
    }
}

/// Lines without a level that report a failure all the same.
fn speaks_of_failure(text: &str) -> bool {
    const SIGNS: [&str; 12] = [
        "Task timed out",
        "Error:",
        "error:",
        "ERROR",
        "Exception",
        "FATAL",
        "panic:",
        "Traceback",
        "Runtime exited",
        "Killed",
        "failed to ",
        "Failed to ",
    ];
    SIGNS.iter().any(|sign| text.contains(sign))
}

/// The status of an access log's line: `"GET /a HTTP/1.1" 502 157`.
fn status_of_access(text: &str) -> Option<u16> {
    let (_, rest) = text.split_once(" HTTP/")?;
    let (_, rest) = rest.split_once("\" ")?;
    let word = rest.split(' ').next().filter(|word| word.len() == 3)?;
    word.parse().ok().filter(|status| (100..600).contains(status))
}

/// .NET's `fail: Shop.Cart[0]` with the message on the next line.
fn of_dotnet<'a>(first: &str, rest: &'a str, line: &mut Line<'a>) -> Option<&'a str> {
    let (level, category) = first.trim().split_once(": ")?;
    let level = match level {
        "fail" | "crit" => Level::Error,
        "warn" => Level::Warning,
        "info" => Level::Info,
        "dbug" | "trce" => Level::Debug,
        _ => return None,
    };
    let message = rest.lines().next().map(str::trim).filter(|message| !message.is_empty())?;
    (category.ends_with(']') && !category.contains(' ')).then(|| {
        line.level = level;
        message
    })
}

/// `java.io.IOException: No space left on device`.
fn names_exception(text: &str) -> bool {
    text.split_once(": ").is_some_and(|(class, message)| {
        !message.is_empty()
            && !class.contains(' ')
            && ["Exception", "Error", "Failure", "Fault"].iter().any(|end| class.ends_with(end))
    })
}

/// Without brackets that belong to the fields beside it or that enclose the whole.
fn unwrapped(text: &str) -> &str {
    let text = text.trim_matches([' ', '\t']);
    let text = if text.contains('[') { text } else { text.trim_matches(']') };
    let text = if text.contains(']') { text } else { text.trim_start_matches('[').trim_end_matches('[') };
    let inner = text.strip_prefix('[').and_then(|inner| inner.strip_suffix(']'));
    inner.filter(|inner| !inner.contains(['[', ']'])).unwrap_or(text).trim_matches([' ', '\t'])
}

struct Pair<'a> {
    start: usize,
    end: usize,
    key: &'a str,
    value: &'a str,
    quoted: bool,
}

/// `key=value` and `key="quoted value"` within a text.
struct Pairs<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Pairs<'a> {
    fn next(&mut self) -> Option<Pair<'a>> {
        let bytes = self.text.as_bytes();
        loop {
            let equals = self.at + bytes.get(self.at..)?.iter().position(|byte| *byte == b'=')?;
            let named = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'@');
            let start = bytes[self.at..equals]
                .iter()
                .rposition(|byte| !named(byte))
                .map_or(self.at, |at| self.at + at + 1);
            let value_start = equals + 1;
            let alone = start == 0
                || matches!(bytes.get(start - 1), Some(b' ' | b'[' | b'(' | b'{' | b',' | b'\t' | b'|'));
            if start == equals || !alone || bytes.get(value_start).is_none_or(u8::is_ascii_whitespace) {
                self.at = value_start;
                if self.at >= bytes.len() {
                    return None;
                }
                continue;
            }
            let (from, to, end, quoted) = if bytes.get(value_start) == Some(&b'"') {
                let from = value_start + 1;
                let mut to = from;
                while to < bytes.len() && bytes[to] != b'"' {
                    to += if bytes[to] == b'\\' { 2 } else { 1 };
                }
                let to = to.min(bytes.len());
                (from, to, (to + 1).min(bytes.len()), true)
            } else {
                let to = bytes[value_start..]
                    .iter()
                    .position(|byte| byte.is_ascii_whitespace() || matches!(byte, b']' | b')' | b'}'))
                    .map_or(bytes.len(), |length| value_start + length);
                (value_start, to, to, false)
            };
            self.at = end;
            let (Some(key), Some(value)) = (self.text.get(start..equals), self.text.get(from..to)) else {
                continue;
            };
            return Some(Pair { start, end, key, value: value.trim_end_matches(','), quoted });
        }
    }
}
