//! Plain text lines: header words, `key=value` pairs and the message between them.
//!
//! The rule that is not obvious: every framework has a header of its own, so a header is whatever
//! looks like time, level, process, thread or logger at the front, in any order.

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
        first
    };
    let message = header(head, line);
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
        line.text = body.unwrap_or(message).trim_matches([' ', '[', ']', '\t']);
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

/// Skips time, level, thread and logger at the front of a plain line; what remains is the message.
fn header<'a>(head: &'a str, line: &mut Line<'a>) -> &'a str {
    let mut rest = head.trim_start();
    let mut levelled = false;
    let mut glog = false;
    for position in 0..8 {
        let (word, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let bare = word.trim_matches(['[', ']', '(', ')', ':', '|', ',']);
        if bare.is_empty() && !word.is_empty() {
            rest = after.trim_start();
            continue;
        }
        if bare.contains('=') {
            break;
        }
        // Ruby's `E, [time #31]  ERROR -- :` and glog's `E0206`.
        let (letter, tail) = bare.split_at(bare.chars().next().map_or(0, char::len_utf8));
        let initial = position == 0 && letter.len() == 1 && Level::of(letter).is_some();
        if initial
            && ((tail.is_empty() && word.ends_with(','))
                || (tail.len() == 4 && tail.bytes().all(|byte| byte.is_ascii_digit())))
        {
            line.level = Level::of(letter).unwrap_or(line.level);
            glog = !tail.is_empty();
            rest = after.trim_start();
            continue;
        }
        let digits = bare.bytes().filter(u8::is_ascii_digit).count();
        let process = position > 0
            && digits > 0
            && digits + usize::from(bare.starts_with('#')) == bare.len()
            && (glog || bare.starts_with('#') || after.trim_start().starts_with('-'));
        if process {
            rest = after.trim_start();
            continue;
        }
        let timely = digits >= 4
            && bare.bytes().all(|byte| {
                byte.is_ascii_digit() || matches!(byte, b'-' | b':' | b'.' | b',' | b'T' | b'Z' | b'/' | b'+')
            });
        let identifier = bare.len() == 36 && bare.bytes().filter(|byte| *byte == b'-').count() == 4;
        if timely || identifier {
            rest = after.trim_start();
            continue;
        }
        if !levelled
            && bare.len() > 1
            && word
                .bytes()
                .filter(u8::is_ascii_alphabetic)
                .all(|byte| byte.is_ascii_uppercase() || word.starts_with('['))
            && let Some(level) = Level::of(bare)
        {
            line.level = level;
            levelled = true;
            rest = after.trim_start();
            continue;
        }
        // Thread in brackets, logger with dots, a dash: only between a level and the message.
        let bracketed = word.starts_with('[') && word.ends_with([']', ':']) && !after.is_empty();
        let dash = matches!(word, "-" | "--" | "---" | "|" | ":");
        let logger = levelled
            && bare.contains('.')
            && !bare.contains('/')
            && bare
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'$' | b'-'))
            && (word.ends_with(':') || after.trim_start().starts_with(['-', ':', '|']));
        if position > 0 && (bracketed || dash || logger) {
            rest = after.trim_start();
            continue;
        }
        break;
    }
    rest
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
