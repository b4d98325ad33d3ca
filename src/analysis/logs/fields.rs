//! What a field of a structured line is, by its name.
//!
//! Every framework has names of its own for the same six things. The rule that is not obvious: names are
//! compared without their punctuation and case (`log.level`, `LogLevel`, `@l`), and a name inside an object
//! means what it means there (`err.name` is the error's type, `user.name` is not).

use super::json::Member;
use super::line::{Field, Level, Line, Scalar};

/// Longest name that is compared.
const LONGEST: usize = 32;

/// A field's name in small letters without punctuation.
struct Name {
    bytes: [u8; LONGEST],
    length: usize,
}

impl Name {
    fn of(key: &str) -> Self {
        let mut name = Self { bytes: [0; LONGEST], length: 0 };
        for byte in key.bytes().filter(u8::is_ascii_alphanumeric).take(LONGEST) {
            name.bytes[name.length] = byte.to_ascii_lowercase();
            name.length += 1;
        }
        name
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length]).unwrap_or("")
    }
}

/// Takes a field for what its name says it is, or hands it on.
pub(super) fn assign<'a>(line: &mut Line<'a>, member: &Member<'a>, field: &mut dyn FnMut(Field<'a>)) {
    let Member { parent, key, value, depth, firm } = *member;
    let name = Name::of(key);
    let taken = match value {
        Scalar::Text(text) => take_text(line, name.text(), key, parent, text, depth),
        Scalar::Number(number) => take_number(line, name.text(), number, depth),
        Scalar::Bool(truth) => {
            let says = matches!(name.text(), "success" | "ok" | "succeeded");
            if says {
                line.succeeded = Some(truth);
            }
            says
        }
    };
    if !taken {
        field(Field { key, value, firm });
    }
}

/// Whether an object holds what somebody sent.
pub(super) fn is_of_request(key: &str) -> bool {
    matches!(
        Name::of(key).text(),
        "request"
            | "req"
            | "headers"
            | "header"
            | "query"
            | "querystring"
            | "querystringparameters"
            | "params"
            | "parameters"
            | "args"
            | "body"
            | "payload"
            | "form"
            | "cookies"
            | "input"
            | "event"
            | "data"
    )
}

fn take_text<'a>(
    line: &mut Line<'a>,
    name: &str,
    key: &str,
    parent: &str,
    text: &'a str,
    depth: usize,
) -> bool {
    let marked = key.starts_with('@');
    let of_error = is_error(Name::of(parent).text());
    match name {
        "level" | "severity" | "lvl" | "levelname" | "loglevel" | "severitytext" | "sev" | "levelstr"
        | "logseverity" | "loglvl" => take_level(line, text),
        "l" if marked => take_level(line, text),
        "message" | "msg" | "body" | "shortmessage" | "textpayload" | "logmessage" | "renderedmessage"
        | "formattedmessage" | "eventmessage" | "errormessage" | "exceptionmessage" => {
            take_message(line, text, depth, name.len() <= 16 && !is_error_text(name))
        }
        "m" | "mt" if marked => take_message(line, text, depth, true),
        // The full one only repeats the short one, with a trace.
        "fullmessage" => {
            if line.text.is_empty() {
                line.text = telling(text);
            } else if !telling(text).contains(line.text) {
                line.cause.get_or_insert(telling(text));
            }
            true
        }
        "event" | "text" | "log" | "messagetemplate" if line.text.is_empty() => {
            line.text = text;
            true
        }
        "error" | "err" | "exception" | "exc" | "reason" | "detail" | "details" | "cause" | "errors"
        | "errordetail" | "errmsg" | "failure" | "throwable" | "thrown" => take_cause(line, name, text),
        "stack" | "stacktrace" | "traceback" | "exceptionstacktrace" | "errorstack" | "errorstacktrace" => {
            take_trace(line, text)
        }
        "x" if marked => take_trace(line, text),
        _ if names_error_type(name)
            || (of_error && matches!(name, "type" | "name" | "class" | "kind" | "code")) =>
        {
            line.error_type = Some(text).filter(|text| !text.is_empty()).or(line.error_type);
            true
        }
        "kind" | "code" if line.error_type.is_none() => {
            line.error_type = Some(text).filter(|text| !text.is_empty());
            true
        }
        "outcome" | "result" => {
            let says = |names: &[&str]| names.iter().any(|name| text.eq_ignore_ascii_case(name));
            if says(&["failure", "failed", "error", "timeout", "rejected"]) {
                line.succeeded = Some(false);
            } else if says(&["success", "succeeded", "ok"]) {
                line.succeeded = Some(true);
            }
            false
        }
        "status" | "statuscode" | "httpstatus" | "responsestatus" | "httpresponsestatuscode" => {
            let status = text.parse().ok().filter(|status| (100..600).contains(status));
            line.status = status.or(line.status);
            status.is_some()
        }
        _ => false,
    }
}

fn take_level(line: &mut Line<'_>, text: &str) -> bool {
    line.level = Level::of(text).unwrap_or(line.level);
    true
}

/// The outer message comes first, a nested error's after it.
fn take_message<'a>(line: &mut Line<'a>, text: &'a str, depth: usize, plain: bool) -> bool {
    if line.text.is_empty() {
        line.text = text;
        return true;
    }
    let hidden = if depth == 0 && plain { std::mem::replace(&mut line.text, text) } else { text };
    if hidden.contains(' ') {
        line.cause.get_or_insert(telling(hidden));
    }
    true
}

/// An error in a field of its own: its words, or its class where it is one word.
fn take_cause<'a>(line: &mut Line<'a>, name: &str, text: &'a str) -> bool {
    if text.is_empty() {
        return true;
    }
    if text.contains(' ') {
        if line.text.is_empty() && is_error(name) {
            line.text = telling(text);
        } else {
            line.cause.get_or_insert(telling(text));
        }
        return true;
    }
    if is_error(name) {
        line.error_type.get_or_insert(text);
        return true;
    }
    false
}

fn take_trace<'a>(line: &mut Line<'a>, text: &'a str) -> bool {
    line.trace = !text.is_empty();
    if line.trace {
        line.cause.get_or_insert(telling(text));
    }
    true
}

fn take_number(line: &mut Line<'_>, name: &str, number: f64, depth: usize) -> bool {
    match name {
        "level" | "severity" | "lvl" | "loglevel" | "sev" | "levelno" | "severitynumber" | "levelvalue"
        | "priority"
            if depth == 0 =>
        {
            if line.level == Level::Unsaid {
                line.level = level_of_number(name, number).unwrap_or(Level::Unsaid);
            }
            line.level != Level::Unsaid
        }
        "status" | "statuscode" | "httpstatus" | "responsestatus" | "httpresponsestatuscode"
            if (100.0..600.0).contains(&number) =>
        {
            line.status = Some(number as u16);
            true
        }
        // Some call the status of the answer a code.
        "code" if depth == 0 && line.status.is_none() && (200.0..600.0).contains(&number) => {
            line.status = Some(number as u16);
            true
        }
        "durationms" | "latencyms" | "elapsedms" | "tookms" | "responsetimems" | "duration" => {
            line.duration_ms = Some(number);
            false
        }
        _ => false,
    }
}

/// Levels as numbers, by the scales in use: syslog counts down (0 emergency to 7 debug, RFC 5424; GELF has
/// the same), pino and bunyan up in tens (10 to 60), Python with other names for the tens, OpenTelemetry to
/// 24, Monolog and Google's logging in hundreds, java.util.logging to 1000, logback in ten thousands.
fn level_of_number(name: &str, number: f64) -> Option<Level> {
    let scale = |error: f64, warning: f64, info: f64| {
        if number >= error {
            Level::Error
        } else if number >= warning {
            Level::Warning
        } else if number >= info {
            Level::Info
        } else {
            Level::Debug
        }
    };
    if number.fract() != 0.0 || number < 0.0 {
        return None;
    }
    Some(match name {
        "levelno" => scale(40.0, 30.0, 20.0),
        "severitynumber" => scale(17.0, 13.0, 9.0),
        _ if number <= 7.0 => match number as u8 {
            // Google's logging calls an entry without severity 0.
            0 if name == "severity" => return None,
            0..=3 => Level::Error,
            4 => Level::Warning,
            5 | 6 => Level::Info,
            _ => Level::Debug,
        },
        _ if number < 10.0 => return None,
        _ if number <= 60.0 => scale(50.0, 40.0, 30.0),
        _ if number < 100.0 => return None,
        "severity" if number <= 800.0 => scale(500.0, 400.0, 200.0),
        _ if number <= 600.0 => scale(400.0, 300.0, 200.0),
        _ if number <= 1000.0 => scale(1000.0, 900.0, 800.0),
        _ if (5000.0..=60_000.0).contains(&number) => scale(40_000.0, 30_000.0, 20_000.0),
        _ => return None,
    })
}

fn is_error(name: &str) -> bool {
    matches!(
        name,
        "error"
            | "err"
            | "errors"
            | "exception"
            | "exc"
            | "excinfo"
            | "throwable"
            | "thrown"
            | "fault"
            | "cause"
            | "failure"
    )
}

fn is_error_text(name: &str) -> bool {
    matches!(name, "errormessage" | "exceptionmessage")
}

/// `error_type`, `errorKind`, `exception.class`, `err_name`, …
fn names_error_type(name: &str) -> bool {
    ["err", "exc", "fault"].iter().any(|head| name.starts_with(head))
        && ["type", "kind", "class", "name", "code"].iter().any(|tail| name.ends_with(tail))
}

/// Whether a value is somebody's sentence: words, and not what is known to be none.
pub(super) fn is_sentence(key: &str, text: &str) -> bool {
    let name = Name::of(key);
    let name = name.text();
    let other = [
        "agent", "time", "date", "path", "url", "uri", "query", "sql", "host", "header", "address", "stack",
        "hint", "deploy", "name", "title", "request", "thread",
    ];
    text.bytes().filter(|byte| *byte == b' ').count() >= 2 && !other.iter().any(|part| name.contains(part))
}

/// The part of an error's text that says what went wrong: Python's traces end with it, all others begin
/// with it. The text may still hold its line breaks as escapes.
pub(super) fn telling(text: &str) -> &str {
    if !text.trim_start().starts_with("Traceback") {
        return text;
    }
    text.rsplit('\n').flat_map(|part| part.rsplit("\\n")).find(|line| !line.trim().is_empty()).unwrap_or(text)
}
