//! Loggers: how ten of them print one line.
//!
//! The rule that is not obvious: a field's value is JSON already (quoted text or a bare number), so
//! each style only decides where it stands and whether the quotes stay.

use std::fmt::Write as _;

use super::clock;
use super::random::Random;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Style {
    Powertools,
    Pino,
    Zap,
    Structlog,
    Serilog,
    Logfmt,
    SpringBoot,
    PythonLogging,
    Ruby,
    GoStandard,
}

pub struct Line<'a> {
    pub level: &'a str,
    pub text: &'a str,
    pub fields: &'a [(String, String)],
    pub trace: Option<&'a str>,
}

/// A style that programs of this runtime are written in.
pub fn of_runtime(random: &mut Random, runtime: &str) -> Style {
    match runtime {
        r if r.starts_with("python") => {
            random.choose(&[Style::Powertools, Style::Structlog, Style::PythonLogging, Style::Logfmt])
        }
        r if r.starts_with("java") => random.choose(&[Style::SpringBoot, Style::SpringBoot, Style::Serilog]),
        r if r.starts_with("node") => random.choose(&[Style::Pino, Style::Powertools, Style::Logfmt]),
        r if r.starts_with("ruby") => random.choose(&[Style::Ruby, Style::Logfmt]),
        _ => random.choose(&[Style::Zap, Style::Logfmt, Style::GoStandard]),
    }
}

fn json(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

fn joined(fields: &[(String, String)], separator: &str, quotes: bool) -> String {
    let mut text = String::new();
    for (key, value) in fields {
        if !text.is_empty() {
            text.push_str(separator);
        }
        let bare = value.trim_matches('"');
        let plain = !quotes || !bare.contains([' ', '=']);
        let _ = write!(text, "{key}={}", if plain { bare } else { value });
    }
    text
}

fn object(mut start: String, fields: &[(String, String)]) -> String {
    for (key, value) in fields {
        let _ = write!(start, ",\"{key}\":{value}");
    }
    start
}

impl Style {
    pub fn render(self, random: &mut Random, at_ms: i64, service: &str, line: &Line) -> String {
        let Line { level, text, fields, trace } = *line;
        let upper = level.to_uppercase();
        match self {
            Style::Powertools => {
                let start = format!(
                    "{{\"level\":\"{upper}\",\"location\":\"process:{}\",\"message\":{},\"timestamp\":\"{}+0000\",\"service\":\"{service}\"",
                    random.choose(&[31, 58, 77]),
                    json(text),
                    clock::spaced_millis(at_ms, ',')
                );
                let mut whole = object(start, fields);
                if let Some(trace) = trace {
                    let _ = write!(whole, ",\"exception\":{}", json(trace));
                }
                whole + "}"
            }
            Style::Pino => {
                let number = match level {
                    "error" => 50,
                    "warn" => 40,
                    "debug" => 20,
                    _ => 30,
                };
                let start = format!(
                    "{{\"level\":{number},\"time\":{at_ms},\"pid\":{},\"hostname\":\"ip-10-0-{}-{}\"",
                    random.choose(&[1, 8, 17]),
                    random.whole(0, 3),
                    random.whole(2, 9)
                );
                let mut whole = object(start, fields);
                if let Some(trace) = trace {
                    let _ =
                        write!(whole, ",\"err\":{{\"message\":{},\"stack\":{}}}", json(text), json(trace));
                }
                let _ = write!(whole, ",\"msg\":{}}}", json(text));
                whole
            }
            Style::Zap => {
                let start = format!(
                    "{{\"level\":\"{level}\",\"ts\":{:.3},\"caller\":\"server/{}.go:{}\",\"msg\":{}",
                    at_ms as f64 / 1000.0,
                    random.pick(&["handler", "store", "client"]),
                    random.choose(&[64, 118, 203]),
                    json(text)
                );
                let mut whole = object(start, fields);
                if let Some(trace) = trace {
                    let _ = write!(whole, ",\"stacktrace\":{}", json(trace));
                }
                whole + "}"
            }
            Style::Structlog => {
                let start = format!(
                    "{{\"event\":{},\"level\":\"{level}\",\"logger\":\"app\",\"timestamp\":\"{}\"",
                    json(text),
                    clock::iso_millis(at_ms)
                );
                let mut whole = object(start, fields);
                if let Some(trace) = trace {
                    let _ = write!(whole, ",\"exc_info\":{}", json(trace));
                }
                whole + "}"
            }
            Style::Serilog => {
                let name = match level {
                    "error" => ",\"@l\":\"Error\"",
                    "warn" => ",\"@l\":\"Warning\"",
                    "debug" => ",\"@l\":\"Debug\"",
                    _ => "",
                };
                let start = format!("{{\"@t\":\"{}\",\"@mt\":{}{name}", clock::iso_millis(at_ms), json(text));
                let mut whole = object(start, fields);
                if let Some(trace) = trace {
                    let _ = write!(whole, ",\"@x\":{}", json(trace));
                }
                whole + "}"
            }
            Style::Logfmt => {
                let mut whole = format!(
                    "time={} level={level} service={service} msg={}",
                    clock::iso_millis(at_ms),
                    json(text)
                );
                let _ = write!(whole, " {}", joined(fields, " ", true));
                with_trace(whole, trace)
            }
            Style::SpringBoot => with_trace(
                format!(
                    "{}  {upper:>5} 1 --- [nio-8080-exec-{}] i.t.{}.{} : {text} ({})",
                    clock::iso_millis(at_ms),
                    random.whole(1, 12),
                    service.split('-').next().unwrap_or("app"),
                    random.pick(&["Endpoint", "Gateway", "Worker"]),
                    joined(fields, ", ", false)
                ),
                trace,
            ),
            Style::PythonLogging => with_trace(
                format!(
                    "{} - {} - {} - {text} {}",
                    clock::spaced_millis(at_ms, ','),
                    random.pick(&["app.views", "app.tasks", "app.clients"]),
                    python_level(level),
                    joined(fields, " ", true)
                ),
                trace,
            ),
            Style::Ruby => with_trace(
                format!(
                    "{}, [{} #{}] {upper:>5} -- : {text} [{}]",
                    &upper[..1],
                    clock::iso_millis(at_ms).trim_end_matches('Z'),
                    random.choose(&[7, 12, 31]),
                    joined(fields, " ", true)
                ),
                trace,
            ),
            Style::GoStandard => with_trace(
                format!(
                    "{} [{upper}] {text} {}",
                    clock::spaced_millis(at_ms, '.').replace('-', "/"),
                    joined(fields, " ", true)
                ),
                trace,
            ),
        }
    }
}

fn python_level(level: &str) -> &'static str {
    match level {
        "error" => "ERROR",
        "warn" => "WARNING",
        "debug" => "DEBUG",
        _ => "INFO",
    }
}

fn with_trace(mut line: String, trace: Option<&str>) -> String {
    if let Some(trace) = trace {
        line.push('\n');
        line.push_str(trace);
    }
    line
}
