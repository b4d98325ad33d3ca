//! One log line of any shape (JSON, logfmt, plain text with a header, Lambda's own) taken apart
//! without allocating.
//!
//! The rule that is not obvious: a line is somebody else's text. Nothing here fails; what cannot be
//! understood is message.

use std::borrow::Cow;

use super::json::Json;
use super::{fields, plain};

/// How loud a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Level {
    #[default]
    Unsaid,
    Debug,
    Info,
    Warning,
    Error,
}

impl Level {
    pub fn of(word: &str) -> Option<Self> {
        let word = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        if word.len() > 13 {
            return None;
        }
        let is = |names: &[&str]| names.iter().any(|name| word.eq_ignore_ascii_case(name));
        if is(&[
            "error",
            "err",
            "erro",
            "fatal",
            "fata",
            "ftl",
            "critical",
            "crit",
            "alert",
            "emerg",
            "emergency",
            "panic",
            "pani",
            "severe",
            "fail",
            "e",
            "f",
        ]) {
            Some(Self::Error)
        } else if is(&["warn", "warning", "wrn", "w"]) {
            Some(Self::Warning)
        } else if is(&["info", "inf", "notice", "information", "informational", "i"]) {
            Some(Self::Info)
        } else if is(&["debug", "dbg", "debu", "trace", "trac", "trc", "verbose", "fine", "d", "t"]) {
            Some(Self::Debug)
        } else {
            None
        }
    }
}

/// The value of a field: as it stands in the line, escapes and all.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scalar<'a> {
    Text(&'a str),
    Number(f64),
    Bool(bool),
}

/// A field of a line, by its name (the last part of a nested one).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Field<'a> {
    pub key: &'a str,
    pub value: Scalar<'a>,
    /// Only the program can have put it there: a member of an object that is not the request's, or a pair
    /// of a line that is nothing but pairs. A pair behind free text may be a stranger's.
    pub firm: bool,
}

/// What a line says, apart from its other fields.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Line<'a> {
    pub level: Level,
    /// The message: the first line of a plain text, the message field of a structured one.
    pub text: &'a str,
    /// What the message hides: the error in a field of its own, or an exception's first line.
    pub cause: Option<&'a str>,
    pub error_type: Option<&'a str>,
    /// HTTP-like status.
    pub status: Option<u16>,
    pub duration_ms: Option<f64>,
    /// `Some(false)` where a field says that the work failed.
    pub succeeded: Option<bool>,
    /// A stack trace hangs on the line.
    pub trace: bool,
    /// Lambda's own lines: START, END, REPORT, INIT_START.
    pub platform: bool,
}

impl Line<'_> {
    /// Whether work failed: said by more than the level, which somebody may have chosen carelessly.
    pub fn hard_failure(&self) -> bool {
        self.succeeded == Some(false)
            || self.status.is_some_and(|status| status >= 500)
            || (self.level == Level::Error
                && (self.error_type.is_some()
                    || self.trace
                    || self.status.is_some_and(|status| status >= 400)))
    }

    pub fn failing(&self) -> bool {
        self.level == Level::Error || self.hard_failure()
    }
}

/// Takes a line apart; `field` is called for every field.
pub fn read<'a>(message: &'a str, field: &mut dyn FnMut(Field<'a>)) -> Line<'a> {
    let text = message.trim_ascii();
    let mut line = Line::default();
    if text.starts_with('{') {
        let mut spoken = "";
        let mut reader = Json::within(text);
        let whole = reader.object(0, "", &mut |member| {
            fields::assign(&mut line, &member, &mut |found| {
                // Nobody's name for a message: the longest sentence will be it.
                if let Scalar::Text(text) = found.value
                    && fields::is_sentence(found.key, text)
                    && text.len() > spoken.len()
                {
                    spoken = text;
                }
                field(found);
            });
        });
        if whole {
            if line.text.is_empty() {
                line.text = [line.cause.unwrap_or(""), spoken, line.error_type.unwrap_or("")]
                    .into_iter()
                    .find(|text| !text.is_empty())
                    .unwrap_or("");
            }
            return line;
        }
        line = Line::default();
    }
    if platform(text, &mut line, field) {
        return line;
    }
    // A stack trace whose lines came as events of their own says nothing by itself.
    if message.starts_with([' ', '\t'])
        && ["at ", "File \"", "... ", "from "].iter().any(|head| text.starts_with(head))
    {
        line.platform = true;
        line.text = text;
        return line;
    }
    plain::read(text, &mut line, field);
    line
}

/// The line inside a line: a container's log driver wraps what a program wrote into an object of its own.
pub fn unwrapped(message: &str) -> Cow<'_, str> {
    #[derive(serde::Deserialize)]
    struct Wrapped {
        log: String,
    }
    let driven =
        ["\"container_id\"", "\"container_name\"", "\"ecs_task_arn\"", "\"stream\"", "\"kubernetes\""];
    if !message.starts_with('{')
        || !message.contains("\"log\"")
        || !driven.iter().any(|name| message.contains(name))
    {
        return Cow::Borrowed(message);
    }
    serde_json::from_str::<Wrapped>(message).map_or(Cow::Borrowed(message), |wrapped| Cow::Owned(wrapped.log))
}

/// Lambda's own lines.
fn platform<'a>(text: &'a str, line: &mut Line<'a>, field: &mut dyn FnMut(Field<'a>)) -> bool {
    if text.starts_with("REPORT RequestId:") {
        for part in text.split('\t') {
            let Some((name, value)) = part.split_once(": ") else { continue };
            let number = value.split(' ').next().and_then(|number| number.parse::<f64>().ok());
            match (name, number) {
                ("Duration", Some(number)) => line.duration_ms = Some(number),
                (key @ ("Max Memory Used" | "Memory Size"), Some(number)) => {
                    field(Field { key, value: Scalar::Number(number), firm: false });
                }
                ("Status", None) if value.starts_with("timeout") || value.starts_with("error") => {
                    line.level = Level::Error;
                    line.succeeded = Some(false);
                    line.text = value;
                }
                _ => {}
            }
        }
        line.platform = true;
        return true;
    }
    if ["START RequestId:", "END RequestId:", "INIT_START ", "EXTENSION\t", "LOGS\t"]
        .iter()
        .any(|head| text.starts_with(head))
    {
        line.platform = true;
        line.text = text;
        return true;
    }
    false
}

/// Undoes JSON's escapes for showing: what does not parse is shown as it stands.
pub fn unescape(text: &str) -> String {
    if !text.contains('\\') {
        return text.to_owned();
    }
    serde_json::from_str::<String>(&format!("\"{text}\"")).unwrap_or_else(|_| text.to_owned())
}
