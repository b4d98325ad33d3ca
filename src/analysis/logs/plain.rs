//! Plain text lines: header words, `key=value` pairs and the message between them.
//!
//! The rule that is not obvious: a line is fields only where pairs open or close it. Free text is the
//! message, however many pairs and objects hang on it, and no `error=` ever takes its place.

use super::fields::assign;
use super::header;
use super::json::{Json, Member};
use super::line::{Field, Level, Line, Scalar};

/// Header words, `key=value` pairs and the message between them.
pub(super) fn read<'a>(text: &'a str, line: &mut Line<'a>, field: &mut dyn FnMut(Field<'a>)) {
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
        line.cause = rest
            .lines()
            .map(str::trim)
            .find(|candidate| !candidate.is_empty())
            .filter(|candidate| names_exception(candidate));
        first
    };
    let message = of_dotnet(first, rest, line)
        .or_else(|| columns(head, line))
        .unwrap_or_else(|| header::skip(head, line));
    // What a request was answered with is the line's own failure and nobody else's.
    if let Some((request, status)) = access(message) {
        line.status = Some(status);
        line.text = request;
    }
    let whole = message.len();
    let message = exception(listed(objects(tail_of_proxy(message, field), line, field), line, field), line);
    let (sentence, pairs) = sentence(message);
    // Where anything stands beside the pairs, a stranger's words may have made one.
    let firm = sentence.is_empty() && line.text.is_empty() && message.len() == whole;
    if line.text.is_empty() {
        line.text = undecorated(unwrapped(sentence), line);
    }
    let mut seen_pair = false;
    for at in pairs {
        let mut pairs = Pairs { text: at, at: 0 };
        while let Some(pair) = pairs.next() {
            seen_pair = true;
            let value = scalar(pair.value, pair.quoted);
            assign(line, &Member { parent: "", key: pair.key, value, depth: 0, firm }, field);
        }
    }
    if line.text.is_empty() {
        line.text = line.cause.or(line.error_type).unwrap_or("");
    }
    if line.text.is_empty() && !seen_pair {
        line.text = head;
    }
    if line.level == Level::Unsaid && speaks_of_failure(line.text) {
        line.level = Level::Error;
    }
}

/// The message and the texts that hold its pairs. Pairs are fields where they come first or last; a pair
/// within the sentence belongs to the sentence.
fn sentence(message: &str) -> (&str, [&str; 2]) {
    // klog and others put the whole message in quotes before the pairs.
    if let Some(inner) = message.strip_prefix('"')
        && let Some((quoted, rest)) = inner.split_once('"')
        && !quoted.ends_with('\\')
        && (rest.trim().is_empty() || rest.starts_with(' ') && rest.contains('='))
    {
        return (quoted, [rest, ""]);
    }
    let mut pairs = Pairs { text: message, at: 0 };
    let gap = |from: usize, to: usize| {
        message.get(from..to).is_some_and(|gap| gap.chars().all(|letter| " \t,;|[](){}".contains(letter)))
    };
    // Where the pairs that open the line end, and where those begin that close it.
    let (mut opening, mut closing, mut end) = (0, None, 0);
    while let Some(pair) = pairs.next() {
        if gap(opening, pair.start) && opening == end {
            opening = pair.end;
        } else if closing.is_none() || !gap(end, pair.start) {
            closing = Some(pair.start);
        }
        end = pair.end;
    }
    let closing = closing.filter(|_| gap(end, message.len())).unwrap_or(message.len());
    if opening >= message.len() || gap(opening, message.len()) {
        return ("", [message, ""]);
    }
    let (before, rest) = message.split_at(opening);
    let (sentence, after) = rest.split_at(closing.max(opening) - opening);
    (sentence.trim_matches([' ', '\t', '|', ',']).trim_end_matches(['[', '(', '{', ' ']), [before, after])
}

/// `call failed (path: /pay, tenant: ann)`: fields that somebody lists in brackets at the end.
fn listed<'a>(message: &'a str, line: &mut Line<'a>, field: &mut dyn FnMut(Field<'a>)) -> &'a str {
    /// One pair in brackets may be part of the sentence: `(code: 7)`.
    const LIST: usize = 3;
    let is_name = |key: &str| {
        !key.is_empty()
            && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
    };
    let Some((sentence, list)) = message.strip_suffix(')').and_then(|text| {
        // A value may hold brackets of its own; the list opens with a name.
        text.match_indices(" (")
            .map(|(at, _)| (&text[..at], &text[at + 2..]))
            .find(|(_, list)| list.split_once(": ").is_some_and(|(key, _)| is_name(key)))
    }) else {
        return message;
    };
    let pairs: Vec<(&str, &str)> =
        list.split(", ").filter_map(|pair| pair.split_once(": ")).filter(|(key, _)| is_name(key)).collect();
    if pairs.len() < LIST || sentence.trim().is_empty() {
        return message;
    }
    for (key, value) in pairs {
        let value = scalar(value, false);
        assign(line, &Member { parent: "", key, value, depth: 0, firm: false }, field);
    }
    sentence
}

/// Columns between bars: time, level, logger and ids are one word each (or a time), the message is the
/// first that is a sentence, and what follows it are the error's type, a duration, fields.
fn columns<'a>(text: &'a str, line: &mut Line<'a>) -> Option<&'a str> {
    if text.matches(" | ").count() < 2 {
        return None;
    }
    let mut header = header::Header::default();
    let mut rest = text;
    let mut last = "";
    loop {
        let (column, after) =
            rest.split_once(" | ").map_or((rest, None), |(column, rest)| (column, Some(rest)));
        let word = column.trim();
        if !header.takes_all(word, line) {
            if word.contains(' ') || after.is_none() {
                // A single word at the end is better than none.
                let message = if word.contains(' ') || last.is_empty() { rest } else { last };
                if !header.began() {
                    return None;
                }
                return Some(header::skip_logger(message));
            }
            // A logger or an id, unless it is all the message that there is.
            last = rest;
        }
        rest = after?;
    }
}

/// Without the objects at the end, which are fields: `message\t{"a": 1}`, `message {"a":1} []`.
fn objects<'a>(message: &'a str, line: &mut Line<'a>, field: &mut dyn FnMut(Field<'a>)) -> &'a str {
    const TRIES: usize = 8;
    let end = message.trim_end();
    if !end.ends_with(['}', ']']) {
        return message;
    }
    let whole = |from: usize| -> bool {
        let mut rest = end.get(from..).unwrap_or("");
        while rest.starts_with('{') {
            let mut reader = Json::within(rest);
            if !reader.object(0, "", &mut |_| ()) {
                return false;
            }
            rest = rest.get(reader.end()..).unwrap_or("").trim_start();
        }
        matches!(rest, "" | "[]")
    };
    let Some(from) = end
        .match_indices('{')
        .map(|(at, _)| at)
        .filter(|at| *at > 0 && end.as_bytes()[at - 1].is_ascii_whitespace())
        .take(TRIES)
        .find(|at| whole(*at))
    else {
        return message;
    };
    let (before, mut rest) = end.split_at(from);
    // The text comes first, so that no field is taken for it.
    line.text = undecorated(unwrapped(sentence(before).0), line);
    while rest.starts_with('{') {
        let mut reader = Json::within(rest);
        reader.object(0, "", &mut |member| assign(line, &Member { firm: false, ..member }, field));
        rest = rest.get(reader.end()..).unwrap_or("").trim_start();
    }
    before
}

/// Elixir's `** (Type) message`.
fn exception<'a>(message: &'a str, line: &mut Line<'a>) -> &'a str {
    let Some((class, rest)) = message.strip_prefix("** (").and_then(|rest| rest.split_once(')')) else {
        return message;
    };
    line.error_type = Some(class);
    rest.trim_start()
}

/// A proxy's line ends with the request that it is about: `…, client: A, server: B, request: "C"`.
fn tail_of_proxy<'a>(message: &'a str, field: &mut dyn FnMut(Field<'a>)) -> &'a str {
    let Some((before, tail)) = message.split_once(", client: ") else { return message };
    for part in tail.split(", ").skip(1) {
        if let Some((key, value)) = part.split_once(": ")
            && matches!(key, "server" | "request" | "upstream" | "host")
        {
            field(Field { key, value: Scalar::Text(value.trim_matches('"')), firm: false });
        }
    }
    before
}

/// Without what loggers hang on: the error's class in brackets, then how long it took.
fn undecorated<'a>(text: &'a str, line: &mut Line<'a>) -> &'a str {
    let mut text = text.trim_end();
    // A duration is decoration only behind a bracket or a bar: 'no response after 5000ms' ends with one.
    if let Some(at) = text.rfind([')', ']', '|'])
        && text.get(at + 1..).is_some_and(is_duration)
    {
        text = text.get(..=at).unwrap_or(text).trim_end_matches('|').trim_end();
    }
    let class = |name: &str| {
        let inner = name.chars().skip(1).any(|letter| letter.is_ascii_uppercase() || letter == '.');
        name.len() >= 4
            && inner
            && name.starts_with(|letter: char| letter.is_ascii_alphabetic())
            && name.chars().any(|letter| letter.is_ascii_lowercase())
            && name.chars().all(|letter| letter.is_ascii_alphanumeric() || "._$:".contains(letter))
    };
    for (open, close) in [(" (", ")"), (" [", "]"), (" | ", "")] {
        if let Some((before, name)) = text.strip_suffix(close).and_then(|text| text.rsplit_once(open))
            && class(name)
        {
            line.error_type.get_or_insert(name);
            text = before.trim_end();
        }
    }
    text
}

/// `145ms`, `196 ms`, `0.05s`, and nothing else.
fn is_duration(text: &str) -> bool {
    let text = text.trim();
    let digits = text.trim_end_matches(|letter: char| letter.is_alphabetic()).trim_end();
    let unit = text.get(digits.len()..).unwrap_or("").trim();
    matches!(unit, "ms" | "s" | "us" | "µs" | "sec") && digits.parse::<f64>().is_ok()
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

/// The request and the status of an access log's line: `"GET /a HTTP/1.1" 502 157`.
fn access(text: &str) -> Option<(&str, u16)> {
    let version = text.find(" HTTP/")?;
    let begin = text.get(..version)?.rfind('"')?;
    let close = version + text.get(version..)?.find("\" ")?;
    let word = text.get(close + 2..)?.split(' ').next().filter(|word| word.len() == 3)?;
    let status = word.parse().ok().filter(|status| (100..600).contains(status))?;
    Some((text.get(begin..close + 2 + word.len())?, status))
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
        line.cause = rest.lines().skip(1).map(str::trim).find(|next| names_exception(next)).or(line.cause);
        message
    })
}

/// `java.io.IOException: No space left on device`, `** (RuntimeError) no space left`.
fn names_exception(text: &str) -> bool {
    if text.starts_with("** (") {
        return true;
    }
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
