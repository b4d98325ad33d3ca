//! What an alert is called, what it is about, and how bad it is.

use super::parts::Parts;
use super::state::heading_state;

#[derive(Debug, Default)]
pub struct Names {
    pub alert: Option<String>,
    pub service: Option<String>,
    pub metric: Option<String>,
    pub severity: Option<String>,
}

const ALERT_FIELDS: &[&str] = &[
    "alertname",
    "alarm name",
    "alarmname",
    "alert name",
    "monitor name",
    "monitor",
    "rule",
    "rule name",
    "policy",
    "policy name",
    "condition name",
    "condition",
    "check",
    "code",
    "alarm",
];
const SERVICE_FIELDS: &[&str] = &[
    "service",
    "service name",
    "services",
    "affected service",
    "affected services",
    "impacted service",
    "impacted services",
    "application",
    "app",
    "component",
    "function",
    "functionname",
    "function name",
    "servicename",
];
const METRIC_FIELDS: &[&str] = &["metric", "metric name", "metricname", "signal"];
const SEVERITY_FIELDS: &[&str] = &["severity", "sev", "priority", "level", "alert severity"];
/// Words for how bad it is, as tools spell them.
const SEVERITIES: &[&str] = &[
    "critical", "high", "warning", "warn", "error", "info", "major", "minor", "page", "fatal", "low",
    "medium", "p1", "p2", "p3", "p4", "p5", "sev1", "sev2", "sev3", "sev4", "sev-1", "sev-2", "sev-3",
];
/// Phrases that name a measure, the longer first.
const MEASURES: &[&str] = &[
    "p99 latency",
    "p95 latency",
    "p90 latency",
    "p50 latency",
    "error rate",
    "error count",
    "5xx rate",
    "4xx rate",
    "5xx errors",
    "response time",
    "cpu utilization",
    "memory utilization",
    "cpu usage",
    "memory usage",
    "disk usage",
    "queue depth",
    "success rate",
    "request rate",
    "failure rate",
    "latency",
    "throughput",
    "availability",
    "duration",
    "saturation",
];

pub fn of(parts: &Parts) -> Names {
    let title = title(parts);
    let labels = title.as_deref().map(labels).unwrap_or_default();
    let measure = title.as_deref().and_then(measure);
    let one = |value: Option<&str>| value.filter(|value| value.chars().count() <= 200).map(str::to_owned);
    let service = one(parts.value(SERVICE_FIELDS))
        .or_else(|| labels.service.clone())
        .or_else(|| measure.as_ref().and_then(|(before, _)| before.clone()))
        .or_else(|| {
            // `Production XDB Cluster - Laura Haley`: the service and who was paged.
            let footer = parts.footers.iter().find_map(|footer| footer.split_once(" - "))?;
            Some(footer.0.trim().to_owned()).filter(|name| !name.is_empty())
        });
    let severity = one(parts.value(SEVERITY_FIELDS))
        .map(|value| value.split_whitespace().next().unwrap_or_default().to_owned())
        .or_else(|| labels.severity.clone())
        .or_else(|| parts.headings.iter().chain(parts.lines.first()).find_map(|text| severity_at_head(text)))
        .filter(|value| !value.is_empty());
    Names {
        alert: one(parts.value(ALERT_FIELDS)).or(labels.name),
        service,
        metric: one(parts.value(METRIC_FIELDS)).or_else(|| measure.map(|(_, measure)| measure)),
        severity,
    }
}

/// The line that names the alert: the first heading or line that still says something once its
/// state is taken off.
fn title(parts: &Parts) -> Option<String> {
    let candidates = parts.headings.iter().chain(&parts.lines).chain(&parts.fallbacks);
    let said = |text: &str| {
        let bare = without_state(text);
        let generic = ["incident", "alert", "notification", "alarm", "redacted", "_redacted_"];
        let words: Vec<String> = bare
            .split(|c: char| !c.is_alphanumeric() && c != '_')
            .filter(|word| !word.is_empty())
            .map(str::to_lowercase)
            .collect();
        let empty =
            words.iter().all(|word| generic.contains(&word.as_str()) || SEVERITIES.contains(&word.as_str()));
        !bare.is_empty() && !empty
    };
    let found = candidates.clone().find(|text| said(text)).or_else(|| candidates.clone().next());
    // A title that is nothing but its state is still what the alert is called.
    found.cloned()
}

/// A title without its state: `[FIRING:2] X` → `X`, `Triggered: X` → `X`.
fn without_state(text: &str) -> &str {
    let mut text = text.trim();
    if text.starts_with('[')
        && let Some(end) = text.find(']')
        && heading_state(&text[..=end]).is_some()
    {
        text = text[end + 1..].trim();
    }
    if let Some((head, rest)) = text.split_once(':')
        && head.split_whitespace().count() <= 2
        && (heading_state(&format!("{head}:")).is_some() || is_severity(head))
    {
        text = rest.trim();
    }
    text.trim_matches(['"', '\''])
}

#[derive(Debug, Default)]
struct Labels {
    name: Option<String>,
    service: Option<String>,
    severity: Option<String>,
}

/// Alertmanager's title: `[FIRING:1] Name group labels (other label values)`; keys may be there or
/// not. Any other title is the name as a whole.
fn labels(title: &str) -> Labels {
    let bare = without_state(title);
    if bare.is_empty() {
        return Labels { name: Some(title.trim().to_owned()), ..Labels::default() };
    }
    let counted = title.trim_start().strip_prefix('[').is_some_and(|rest| {
        rest.split(']')
            .next()
            .is_some_and(|inner| inner.contains(':') || heading_state(&format!("[{inner}]")).is_some())
    });
    if !counted {
        return Labels { name: Some(bare.to_owned()), ..Labels::default() };
    }
    let (head, values) = match bare.rsplit_once(" (") {
        Some((head, values)) if values.ends_with(')') => (head, values.trim_end_matches(')')),
        _ => (bare, ""),
    };
    let mut words = head.split_whitespace();
    let Some(first) = words.next() else { return Labels::default() };
    let rest: Vec<&str> = words.collect();
    // An alert's name in one word, then group labels; a sentence is a name as a whole.
    let one_word = first.chars().any(char::is_lowercase) && rest.len() <= 3;
    let service = match rest.as_slice() {
        ["for", service] => Some(*service),
        [service] => Some(*service),
        _ => None,
    };
    let keyed = |key: &str| {
        let at = values.find(&format!("{key}=\""))? + key.len() + 2;
        values[at..].split('"').next().map(str::to_owned)
    };
    let severity = keyed("severity").or_else(|| {
        values
            .split([' ', ','])
            .map(|word| word.trim_matches('"'))
            .find(|word| is_severity(word))
            .map(str::to_owned)
    });
    Labels {
        name: Some(if one_word { first.to_owned() } else { head.to_owned() }),
        service: keyed("service").or_else(|| service.filter(|_| one_word).map(str::to_owned)),
        severity,
    }
}

/// A measure that the title names, and the one to three words before it.
fn measure(title: &str) -> Option<(Option<String>, String)> {
    let bare = without_state(title);
    let lower = bare.to_lowercase();
    let (at, phrase) = MEASURES.iter().find_map(|phrase| lower.find(phrase).map(|at| (at, *phrase)))?;
    let before = bare.get(..at)?.trim();
    let is_name = (1..=3).contains(&before.split_whitespace().count())
        && before.chars().all(|c| c.is_alphanumeric() || " -_./".contains(c))
        && !["high", "low", "elevated", "increased", "the"].contains(&before.to_lowercase().as_str());
    Some((is_name.then(|| before.to_owned()), phrase.to_owned()))
}

fn severity_at_head(text: &str) -> Option<String> {
    text.split(|c: char| !c.is_alphanumeric() && c != '-')
        .filter(|word| !word.is_empty())
        .take(3)
        .find(|word| is_severity(word))
        .map(|word| if word.len() <= 4 { word.to_owned() } else { word.to_lowercase() })
}

fn is_severity(word: &str) -> bool {
    SEVERITIES.contains(&word.trim().to_lowercase().as_str())
}
