//! Which measure an alert is about, where the message says what was measured.
//!
//! The rule that is not obvious: what was measured goes before what the rule is called, and an identifier
//! (`HighErrorRate`) names a rule, not a measure. A count of things is a measure: '523 events in the last 5
//! minutes' measures `events (count)`.

use std::sync::LazyLock;

use regex::Regex;

use super::parts::{Parts, pattern};
use super::words::words;

const FIELDS: &[&str] = &["metric", "metricname", "metrictype", "signal", "measure"];
/// Phrases that name a measure, the longer first.
const PHRASES: &[&str] = &[
    "p99.9 latency",
    "p99 latency",
    "p95 latency",
    "p90 latency",
    "p75 latency",
    "p50 latency",
    "p99 response time",
    "p95 response time",
    "p99 duration",
    "p95 duration",
    "request latency",
    "read latency",
    "write latency",
    "replication lag",
    "consumer lag",
    "replica lag",
    "error rate",
    "error count",
    "error ratio",
    "error percentage",
    "error budget",
    "5xx rate",
    "4xx rate",
    "5xx errors",
    "4xx errors",
    "5xx count",
    "5xx responses",
    "response time",
    "cpu utilization",
    "cpu utilisation",
    "cpu usage",
    "cpu load",
    "load average",
    "memory utilization",
    "memory utilisation",
    "memory usage",
    "heap usage",
    "disk usage",
    "disk utilization",
    "disk space",
    "free disk space",
    "queue depth",
    "queue length",
    "queue size",
    "queue age",
    "message age",
    "iterator age",
    "packet loss",
    "success rate",
    "request rate",
    "request count",
    "failure rate",
    "timeout rate",
    "hit rate",
    "crash free session rate",
    "crash free user rate",
    "connection count",
    "connection pool",
    "apdex",
    "latency",
    "throughput",
    "availability",
    "duration",
    "saturation",
    "throttles",
    "p99",
    "p95",
    "p90",
];

/// `523 events in the last 5 minutes`, `97.2 % crash free rate in the past hour`.
static WINDOW: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)(?:^|\s)(?P<value>[0-9][0-9.,]*)\s?(?P<unit>%|ms|s)?\s+(?P<what>[a-z0-9][a-z0-9 _.()-]{1,60}?)\s+(?:in|over|during|for|within)\s+the\s+(?:last|past)\b",
    )
});
/// `avg(last_5m):sum:trace.http.request.errors{service:x}`: the name before the braces.
static QUERY: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"[:(](?P<name>[A-Za-z][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)+)\s?\{"));
/// `P99(duration_ms)`, `avg(cpu.idle)`, `p95(transaction.duration)`.
static AGGREGATE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?P<name>(?:avg|sum|min|max|count|p\d{2,3}|rate|heatmap|count_distinct|concurrency)\([a-z_][a-z0-9_.:]*\)|count\(\))",
    )
});
/// Grafana's `[ var='A' metric='cpu' labels={} value=1 ]`.
static VARIABLE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"var='(?P<var>[^']{1,80})'(?:\s+metric='(?P<metric>[^']{1,120})')?"));
/// `couldn't be scraped`, `scrape failed`: the series `up` of Prometheus is 0 then
/// (prometheus.io, 'Automatically generated labels and time series').
static SCRAPE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)(?:could\s?n[o']t|could not|can\s?not|can't|failed to|unable to)\s+(?:be\s+)?scraped?\b|\bscrap(?:e|ing)\s+(?:has\s+)?(?:failed|is failing)|\bup\s*==\s*0",
    )
});

/// The measure that the message names.
pub fn of(parts: &Parts, name: Option<&str>, title: Option<&str>) -> Option<String> {
    if let Some(value) = parts.value(FIELDS).filter(|value| value.len() <= 200 && !value.contains('\n')) {
        return Some(value.to_owned());
    }
    let texts = || {
        let told =
            ["summary", "description", "message", "alarmdescription", "reason", "details", "alarmreason"];
        let told = told.into_iter().filter_map(|name| parts.value(&[name]));
        let lines = parts.lines.iter().map(|line| line.text.as_str());
        told.chain(lines)
    };
    texts()
        .find_map(counted)
        .or_else(|| texts().any(|text| SCRAPE.is_match(text)).then(|| "up (scrape)".to_owned()))
        .or_else(|| texts().find_map(queried))
        .or_else(|| {
            let named = title.and_then(phrase).or_else(|| name.and_then(phrase));
            let told = || sentences(parts).filter_map(phrase);
            match named {
                // 'latency' in the title, 'p95 latency' in the sentence: the same, more exactly.
                Some(named) => {
                    let ending = named.written.to_lowercase();
                    told().find(|told| told.written.to_lowercase().ends_with(&ending)).or(Some(named))
                }
                None => told().next(),
            }
            .map(|found| found.written)
        })
        .or_else(|| texts().find_map(variable))
        .or_else(|| name.and_then(|name| in_a_state(parts, name)))
        .or_else(|| plotted(parts))
}

/// Lines and values that are sentences, not names and values of other things.
fn sentences(parts: &Parts) -> impl Iterator<Item = &str> {
    let told = ["summary", "description", "alarmdescription", "message", "condition", "conditionname"];
    let told = told.into_iter().filter_map(|name| parts.value(&[name]));
    let lines = parts.lines.iter().map(|line| line.text.as_str());
    told.chain(lines.filter(|line| !line.contains(": ") || words(line).count() > 6))
}

/// A measure that was found in a text.
#[derive(Debug, Clone, PartialEq)]
pub struct Phrase {
    /// As the message writes it.
    pub written: String,
    /// Byte position of its start.
    pub at: usize,
}

/// The first of the measures that a text names as words of their own.
pub fn phrase(text: &str) -> Option<Phrase> {
    let lower = text.to_ascii_lowercase();
    PHRASES.iter().find_map(|phrase| {
        let edge = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != '-');
        lower.match_indices(phrase).find_map(|(at, _)| {
            let after = lower.get(at + phrase.len()..)?;
            let after = after.strip_prefix('s').unwrap_or(after);
            let stands = edge(lower.get(..at)?.chars().next_back()) && edge(after.chars().next());
            let written = text.get(at..at + phrase.len()).filter(|_| stands)?;
            // A capital that only begins the sentence is not part of the name; that of `CPU` is.
            let begins = written.chars().nth(1).is_some_and(char::is_lowercase);
            let written = if begins { written.to_lowercase() } else { written.to_owned() };
            Some(Phrase { written, at })
        })
    })
}

/// What a sentence counts within a window.
fn counted(text: &str) -> Option<String> {
    let found = WINDOW.captures(text)?;
    let what = found.name("what")?.as_str().trim();
    let measured =
        found.name("unit").is_some() || !what.ends_with('s') || phrase(what).is_some() || what.contains('(');
    Some(if measured { what.to_owned() } else { format!("{what} (count)") })
}

fn queried(text: &str) -> Option<String> {
    let found = QUERY.captures(text).or_else(|| AGGREGATE.captures(text))?;
    // `avg(last_5m)` says over what, not of what.
    found.name("name").map(|name| name.as_str().to_owned()).filter(|name| !name.contains("(last_"))
}

fn variable(text: &str) -> Option<String> {
    let found = VARIABLE.captures(text)?;
    found.name("metric").or_else(|| found.name("var")).map(|name| name.as_str().to_owned())
}

/// `FailedTemporalExecutions` with a body that counts `temporal executions`: the rule counts things in a
/// state, and the body says which.
fn in_a_state(parts: &Parts, name: &str) -> Option<String> {
    let split = camel_words(name);
    let (state, things) = split.split_first()?;
    let of_things = things.len() >= 2 || things.first().is_some_and(|thing| thing.len() > 3);
    let told =
        ["failed", "stuck", "pending", "dropped", "rejected", "delayed", "blocked", "expired", "missing"];
    if !of_things || !told.contains(&state.as_str()) {
        return None;
    }
    let things = things.join(" ");
    let counts = |text: &str| {
        let text = text.trim_start_matches(['-', '•', '*', ' ']).to_lowercase();
        text.starts_with(|c: char| c.is_ascii_digit()) && text.contains(&things)
    };
    parts.lines.iter().any(|line| counts(&line.text)).then(|| format!("{things} {state}"))
}

fn camel_words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for character in name.chars() {
        match words.last_mut() {
            Some(last) if !character.is_uppercase() => last.push(character),
            _ => words.push(character.to_lowercase().collect()),
        }
    }
    words
}

/// A field that holds a bare number under the name of a series, as old Grafana lists what it evaluated.
fn plotted(parts: &Parts) -> Option<String> {
    let number = |value: &str| value.parse::<f64>().is_ok_and(f64::is_finite) && value.contains('.');
    let of_series = |name: &str| phrase(name).is_some_and(|found| found.written.len() == name.len());
    parts.pairs.iter().find(|(name, value)| number(value) && of_series(name)).map(|(name, _)| name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_in_a_window_is_the_measure() {
        for (text, measure) in [
            ("523 events in the last 5 minutes", "events (count)"),
            ("0.98 apdex in the last 10 minutes", "apdex"),
            ("97.2% crash free session rate in the last hour", "crash free session rate"),
            ("2500ms p95(transaction.duration) in the last 10 minutes", "p95(transaction.duration)"),
        ] {
            assert_eq!(counted(text).as_deref(), Some(measure), "{text}");
        }
        assert_eq!(counted("we had 3 meetings last week"), None);
    }

    #[test]
    fn a_phrase_is_a_word_of_its_own() {
        assert_eq!(phrase("Search P95 latency above 1s").unwrap().written, "P95 latency");
        assert_eq!(phrase("elevated error rates").unwrap().written, "error rate");
        assert_eq!(phrase("request_error_latency_total"), None);
    }
}
