//! One log line of any shape (JSON, logfmt, plain text with a header, Lambda's own) taken apart
//! without allocating.
//!
//! The rule that is not obvious: a line is somebody else's text. Nothing here fails; what cannot be
//! understood is message.

use super::json::Json;
use super::plain;

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
        if word.len() > 9 {
            return None;
        }
        let is = |names: &[&str]| names.iter().any(|name| word.eq_ignore_ascii_case(name));
        if is(&["error", "err", "fatal", "critical", "crit", "alert", "emerg", "panic", "severe", "e", "f"]) {
            Some(Self::Error)
        } else if is(&["warn", "warning", "w"]) {
            Some(Self::Warning)
        } else if is(&["info", "notice", "information", "i"]) {
            Some(Self::Info)
        } else if is(&["debug", "trace", "verbose", "fine", "d", "t"]) {
            Some(Self::Debug)
        } else {
            None
        }
    }

    /// Numbers as pino and bunyan write them: 10 trace to 60 fatal.
    fn of_number(number: f64) -> Option<Self> {
        match number {
            n if n >= 50.0 => Some(Self::Error),
            n if n >= 40.0 => Some(Self::Warning),
            n if n >= 30.0 => Some(Self::Info),
            n if n >= 10.0 => Some(Self::Debug),
            _ => None,
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

/// Takes a line apart; `field` is called for every field with its name (the last part of a nested
/// one) and value.
pub fn read<'a>(message: &'a str, field: &mut dyn FnMut(&'a str, Scalar<'a>)) -> Line<'a> {
    let text = message.trim_ascii();
    let mut line = Line::default();
    if text.starts_with('{') {
        let mut reader = Json::within(text);
        if reader.object(0, &mut |key, value, depth| assign(&mut line, key, value, depth, field)) {
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

/// Takes a field for what its name says it is, or hands it on.
pub(super) fn assign<'a>(
    line: &mut Line<'a>,
    key: &'a str,
    value: Scalar<'a>,
    depth: usize,
    field: &mut dyn FnMut(&'a str, Scalar<'a>),
) {
    let is = |names: &[&str]| names.iter().any(|name| key.eq_ignore_ascii_case(name));
    match value {
        Scalar::Text(text) => {
            if is(&[
                "level",
                "severity",
                "lvl",
                "levelname",
                "log.level",
                "loglevel",
                "@l",
                "@level",
                "log_level",
            ]) {
                line.level = Level::of(text).unwrap_or(line.level);
                return;
            }
            if is(&["message", "msg", "@m", "@mt", "@message", "body", "short_message"])
                || (line.text.is_empty() && is(&["event", "error", "err", "exception", "text", "log"]))
            {
                // The outer message comes first, a nested error's after it.
                let hidden = if line.text.is_empty() {
                    line.text = text;
                    return;
                } else if depth == 0 {
                    std::mem::replace(&mut line.text, text)
                } else {
                    text
                };
                if hidden.contains(' ') {
                    line.cause.get_or_insert(hidden);
                }
                return;
            }
            if text.contains(' ')
                && is(&[
                    "error",
                    "err",
                    "exception",
                    "reason",
                    "detail",
                    "details",
                    "cause",
                    "error_message",
                    "errormessage",
                    "error.message",
                    "exception.message",
                    "exception_message",
                ])
            {
                line.cause.get_or_insert(text);
                return;
            }
            if names_error_type(key) || (is(&["kind", "code"]) && line.error_type.is_none()) {
                line.error_type = Some(text).filter(|text| !text.is_empty());
                return;
            }
            if is(&["stack", "stacktrace", "stack_trace", "traceback", "@x"]) {
                line.trace = !text.is_empty();
                if line.trace {
                    line.cause.get_or_insert(text);
                }
                return;
            }
            if is(&["outcome", "result"]) {
                let says = |names: &[&str]| names.iter().any(|name| text.eq_ignore_ascii_case(name));
                if says(&["failure", "failed", "error", "timeout", "rejected"]) {
                    line.succeeded = Some(false);
                } else if says(&["success", "succeeded", "ok"]) {
                    line.succeeded = Some(true);
                }
            }
            if is(&["status", "status_code", "statuscode", "http_status"])
                && let Ok(status) = text.parse()
            {
                line.status = Some(status);
                return;
            }
        }
        Scalar::Number(number) => {
            if is(&["level", "severity"]) {
                line.level = Level::of_number(number).unwrap_or(line.level);
                return;
            }
            if is(&["status", "status_code", "statuscode", "http_status"]) && (100.0..600.0).contains(&number)
            {
                line.status = Some(number as u16);
                return;
            }
            if is(&["duration_ms", "latency_ms", "elapsed_ms", "took_ms", "response_time_ms", "duration"]) {
                line.duration_ms = Some(number);
            }
        }
        Scalar::Bool(truth) => {
            if is(&["success", "ok", "succeeded"]) {
                line.succeeded = Some(truth);
                return;
            }
        }
    }
    field(key, value);
}

/// `error_type`, `errorKind`, `exception.class`, `err_name`, …
fn names_error_type(key: &str) -> bool {
    let ends = |tail: &str| {
        key.len() >= tail.len()
            && key.as_bytes()[key.len() - tail.len()..].eq_ignore_ascii_case(tail.as_bytes())
    };
    let starts = |head: &str| {
        key.len() > head.len() && key.as_bytes()[..head.len()].eq_ignore_ascii_case(head.as_bytes())
    };
    (starts("err") || starts("exc") || starts("fault"))
        && (ends("type") || ends("kind") || ends("class") || ends("name") || ends("code"))
}

/// Lambda's own lines.
fn platform<'a>(text: &'a str, line: &mut Line<'a>, field: &mut dyn FnMut(&'a str, Scalar<'a>)) -> bool {
    if text.starts_with("REPORT RequestId:") {
        for part in text.split('\t') {
            let Some((name, value)) = part.split_once(": ") else { continue };
            let number = value.split(' ').next().and_then(|number| number.parse::<f64>().ok());
            match (name, number) {
                ("Duration", Some(number)) => line.duration_ms = Some(number),
                ("Max Memory Used", Some(number)) => field("Max Memory Used", Scalar::Number(number)),
                ("Memory Size", Some(number)) => field("Memory Size", Scalar::Number(number)),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(message: &str) -> (Line<'_>, Vec<(&str, Scalar<'_>)>) {
        let mut fields = Vec::new();
        let line = read(message, &mut |key, value| fields.push((key, value)));
        (line, fields)
    }

    #[test]
    fn a_json_line_gives_level_message_and_fields() {
        let (line, fields) = parse(
            r#"{"level":"ERROR","message":"pool \"a\" empty","error":{"type":"x"},"status":503,"db_pool_size":5,"tags":[1,{"a":"}"}],"ok_flag":true}"#,
        );
        assert_eq!(line.level, Level::Error);
        assert_eq!(line.text, r#"pool \"a\" empty"#);
        assert_eq!(line.status, Some(503));
        assert!(line.hard_failure());
        assert!(fields.contains(&("db_pool_size", Scalar::Number(5.0))));
        assert!(fields.contains(&("ok_flag", Scalar::Bool(true))));
    }

    #[test]
    fn a_logfmt_line_gives_the_same() {
        let (line, fields) = parse(
            r#"ts=2026-02-11T03:15:13.405Z level=warn msg="retrying request (attempt 2)" path=/v1/create pool=5"#,
        );
        assert_eq!(line.level, Level::Warning);
        assert_eq!(line.text, "retrying request (attempt 2)");
        assert!(fields.contains(&("pool", Scalar::Number(5.0))));
    }

    #[test]
    fn a_plain_line_loses_its_header_and_trailing_fields() {
        let (line, fields) = parse(
            "2026-08-18 21:01:10,853 ERROR [exec-9] c.corp.export.Handler - x509: certificate has expired [tenant=umbrella error_type=SSLError duration_ms=86]\nSSLError: x\n    at a.b.C(D.java:1)",
        );
        assert_eq!(line.level, Level::Error);
        assert_eq!(line.text, "x509: certificate has expired");
        assert_eq!(line.error_type, Some("SSLError"));
        assert!(line.trace);
        assert_eq!(line.duration_ms, Some(86.0));
        assert!(fields.contains(&("tenant", Scalar::Text("umbrella"))));
    }

    #[test]
    fn a_python_trace_names_its_exception() {
        let (line, _) =
            parse("Traceback (most recent call last):\n  File \"a.py\", line 1\nKeyError: 'total'");
        assert_eq!((line.level, line.text), (Level::Error, "KeyError: 'total'"));
    }

    #[test]
    fn lambda_reports_give_duration_and_memory() {
        let (line, fields) = parse(
            "REPORT RequestId: e2d6\tDuration: 124.39 ms\tBilled Duration: 125 ms\tMemory Size: 1024 MB\tMax Memory Used: 467 MB\t\n",
        );
        assert!(line.platform);
        assert_eq!(line.duration_ms, Some(124.39));
        assert!(fields.contains(&("Max Memory Used", Scalar::Number(467.0))));
    }

    #[test]
    fn headers_of_many_frameworks_are_not_message() {
        for (given, level, text) in [
            (
                "E, [2025-08-02T18:03:19.235 #31] ERROR -- : main-pool - Connection is not available [request_id=1 status=504]",
                Level::Error,
                "main-pool - Connection is not available",
            ),
            (
                "2026-10-28T18:36:30.633Z  ERROR 1 --- [nio-8080-exec-8] i.t.key.Endpoint : monthly quota used up: 0 left (request_id=7, status=500)",
                Level::Error,
                "monthly quota used up: 0 left",
            ),
            (
                "2026-02-20 15:33:10,096 - app.tasks - ERROR - Unable to acquire JDBC Connection request_id=b7d7 status=504",
                Level::Error,
                "Unable to acquire JDBC Connection",
            ),
            (
                "2025-04-20T22:43:32Z  ERROR 1 --- [exec-1] i.t.Worker : [503] during [GET] to [http://sms/v2] (request_id=1)",
                Level::Error,
                "[503] during [GET] to [http://sms/v2]",
            ),
            (
                "{\"@t\":\"2025-10-06T09:17:19Z\",\"@mt\":\"item stored\",\"@l\":\"Error\",\"error_kind\":\"X\"}",
                Level::Error,
                "item stored",
            ),
            (
                "{\"level\":50,\"err\":{\"type\":\"X\",\"message\":\"inner\"},\"msg\":\"outer\"}",
                Level::Error,
                "outer",
            ),
            (
                "E0206 12:00:01.123456 7 server.go:31] disk on fire",
                Level::Error,
                "server.go:31] disk on fire",
            ),
        ] {
            let (line, _) = parse(given);
            assert_eq!((line.level, line.text), (level, text), "{given}");
        }
        assert!(parse("    at serve (/srv/app/dist/server.js:89:7)").0.platform);
    }

    #[test]
    fn what_a_general_message_hides_is_its_cause() {
        for given in [
            r#"{"level":"error","msg":"request failed","err":{"type":"E","message":"pool is empty"}}"#,
            r#"{"level":"error","err":{"message":"pool is empty"},"msg":"request failed"}"#,
            r#"{"level":"error","error":"pool is empty","message":"request failed"}"#,
            r#"level=error msg="request failed" error="pool is empty""#,
            "2026-02-06T12:00:00Z ERROR request failed\njava.io.IOException: pool is empty\n\tat a.B.c(D.java:1)",
        ] {
            let (line, _) = parse(given);
            assert_eq!(line.text, "request failed", "{given}");
            assert!(line.cause.is_some_and(|cause| cause.ends_with("pool is empty")), "{given}");
        }
    }

    #[test]
    fn the_message_is_found_behind_any_header() {
        for (given, text) in [
            (
                "2026-08-25 17:33:12,101 ERROR [nio-8080-exec-3] com.acme.index.Api [trace=ab12] No space left\njava.io.IOException: No space left\n\tat a.B",
                "No space left",
            ),
            (
                "2026/06/24 11:57:01 [error] 31#31: *385729 upstream timed out (110)",
                "upstream timed out (110)",
            ),
            (
                "Jun 20 01:28:49 payout-batch[22]: ERROR: call to tokenizer failed: 500",
                "call to tokenizer failed: 500",
            ),
            ("<11>Jun  2 01:28:49 ip-10-0-0-1 payout[22]: ERROR call failed", "call failed"),
            ("ERROR:root:call failed", "call failed"),
            (
                "[ERROR]\t2026-02-06T12:00:00.000Z\t11111111-2222-4333-8444-555555555555\tcall failed",
                "call failed",
            ),
            (
                "2026-02-06T12:00:00.000Z\t11111111-2222-4333-8444-555555555555\tERROR\tcall failed",
                "call failed",
            ),
            ("2026/02/06 12:00:00 main.go:31: ERROR call failed", "call failed"),
            ("2026-02-06T12:00:00Z ERROR shop::cart: call failed retries=3", "call failed"),
            ("[12:00:00 ERR] call failed", "call failed"),
            ("[2026-02-06T12:00:00+00:00] app.ERROR: call failed {\"a\":1} []", "call failed {\"a\":1} []"),
            (
                "2026-02-06 12:00:00 UTC [123]: [1-1] FATAL:  remaining connection slots",
                "remaining connection slots",
            ),
            ("12:00:01.123 [main] ERROR c.a.Cart - call failed", "call failed"),
            ("[2026-02-06T12:00:00.123Z] ERROR (shop/7): call failed", "call failed"),
            ("fail: Shop.Cart[0]\n      call failed", "call failed"),
            ("2026-02-06 12:00:00,1 | ERROR | shop.cart | call failed", "call failed"),
            ("2026-02-06T12:00:00Z stdout F ERROR call failed", "call failed"),
        ] {
            let (line, _) = parse(given);
            assert_eq!((line.level, line.text), (Level::Error, text), "{given}");
        }
        let (access, _) =
            parse("10.0.0.7 - - [06/Feb/2026:12:00:00 +0000] \"POST /pay HTTP/1.1\" 502 157 \"-\" \"curl\"");
        assert_eq!(access.status, Some(502));
        let (host, _) = parse("2026-02-06T12:00:00Z ERROR smpp.telvox.example: bind refused");
        assert_eq!(host.text, "smpp.telvox.example: bind refused");
    }

    #[test]
    fn rubbish_is_message() {
        for rubbish in ["{", "{\"a\":", "{\"a\":}", "=", "a==b", "\u{0}", "{\"a\":\"\\", "[[[[", "level="] {
            let (line, _) = parse(rubbish);
            assert!(!line.platform, "{rubbish:?}");
        }
        assert_eq!(parse("2026-02-06T12:00:00Z Task timed out after 2.00 seconds").0.level, Level::Error);
    }
}
