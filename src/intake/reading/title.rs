//! The line that names the alert, with its state, numbers and addresses taken off.
//!
//! The rule that is not obvious: what is taken off is kept where it says something, because `Critical:`
//! before a title is the only word on severity that many tools write.

use std::sync::LazyLock;

use regex::Regex;

use super::parts::{Parts, pattern};
use super::state::is_label;
use super::subjects;
use super::words::{is_code, is_severity, state_of, words};

/// Words that any alert may begin with and that name none.
const GENERIC: &[&str] = &[
    "incident",
    "incidents",
    "alert",
    "alerts",
    "alarm",
    "alarms",
    "notification",
    "issue",
    "monitor",
    "monitoring",
    "check",
    "event",
    "service",
    "host",
    "website",
    "site",
    "url",
    "endpoint",
    "your",
    "the",
    "a",
    "an",
    "is",
    "has",
    "been",
    "was",
    "of",
    "new",
    "name",
    "in",
    "on",
    "aws",
    "azure",
    "cloudwatch",
    "grafana",
    "prometheus",
    "alertmanager",
    "redacted",
    "_redacted_",
    "priority",
    "state",
    "status",
    "update",
    "re",
    "re-triggered",
    "id",
    "from",
    "uptime",
    "trigger",
    "triggered",
    "still",
    "again",
    "now",
    "currently",
];

static NUMBER: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^(?:#\s?[0-9A-Za-z.]+\s*[:–-]?\s+|\d{2,}\s*:\s*)"));
static BRACKET: LazyLock<Regex> = LazyLock::new(|| pattern(r"^\[\s*(?P<inner>[^\[\]]{0,200}?)\s*\]\s*"));
static SENTENCE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\s+(?:(?:state|status)\s+)?(?:is|are|has|have|went|was|seems|appears)\s+(?:(?:now|still|currently|been|gone|back|again|in|an?)\s+){0,3}(?:up|down|offline|online|unreachable|unavailable|critical|warning|ok|alarm|alerting|failing|failed|recovered|recovering|resolved|triggered|acknowledged|ongoing|unhealthy|healthy|degraded|firing|active|inactive|activated|closed|breached|cleared|normal|operational|open|back (?:below|under|above|over|within|to))\b",
    )
});
/// `The API check Basket`, `Monitor basket`: what kind of thing watches, before its name.
static WATCHER: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i)^(?:the\s+)?(?:[a-z]+\s+)?(?:check|monitor|probe)\s+(?P<name>\S.*)$"));
static DEED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:triggered|closed|resolved|acknowledged|opened|created|recovered|escalated|reopened)\s+(?:the\s+)?(?:alert|alarm|incident|issue)\s+",
    )
});
static QUOTED: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#"["“'‘](?P<inner>[^"”“]{1,200}?)["”’'](?:\s|$|[.,:;)])"#));
/// `rule 'orders 5xx'`: what is quoted after such a word is its name.
const NAMED_THINGS: &[&str] =
    &["rule", "alert", "alarm", "monitor", "check", "trigger", "condition", "policy"];
/// `(https://…)`, `( shop.example/x )`, `- Reason: …`, `| Account: …` at the end.
static TAIL: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i:\s*\([^()]*\b(?:status|state):\s[^()]*\)|\s*[-–|]?\s*\b(?:status|state):\s*[a-z]+|\s+resolved\s+by\s+\S.*)$|(?:\s*\(\s*[^()\s]*[./][^()\s]*\s*\).*|\s*\((?:for\s+)?\d+\s?(?:s|sec|seconds?|m|min|mins|minutes?|h|hours?)\b[^()]{0,20}\)|\s+-\s+[A-Z][a-z]+:\s.*|\s+[-–|]\s+https?://\S+|\s+#\d+)$",
    )
});

/// `Resolved #12 … by Dana`: who did it, at the end of a title that says what was done.
static DONE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i)^\W*(?:resolved|acknowledged|closed|snoozed)\b"));
static BY: LazyLock<Regex> = LazyLock::new(|| pattern(r"\s+by\s+@?[A-Z][\w.-]*(?:\s+[A-Z][\w.-]*)?$"));

/// States of what is watched, not of the alert about it.
const THINGS_ARE: &[&str] = &[
    "up",
    "down",
    "offline",
    "online",
    "unreachable",
    "unavailable",
    "failing",
    "failed",
    "recovered",
    "recovering",
    "unhealthy",
    "healthy",
    "degraded",
    "operational",
];

/// The alert's own title.
#[derive(Debug, Default, PartialEq)]
pub struct Title {
    /// As the message writes it.
    pub written: String,
    /// Without state, number, address and the like.
    pub bare: String,
    /// How bad it is, where it stood before the title.
    pub severity: Option<String>,
    /// A sentence says of this that it is up or down: the title is what is watched.
    pub is_subject: bool,
    /// A sentence says how it is.
    pub is_stated: bool,
}

/// The first heading or line that still says something once its state is taken off.
pub fn of(parts: &Parts) -> Title {
    let candidates = || {
        let lines = parts.lines.iter().filter(|line| !is_pair(&line.text));
        parts.headings.iter().chain(lines).chain(&parts.fallbacks).chain(&parts.lines)
    };
    let own: Vec<String> = parts.source.iter().flat_map(|source| words(source)).collect();
    let mut severity = None;
    for line in candidates().take(24) {
        // `[PRTG] Sensor …`: the sender's own name before the title.
        let signed = line.text.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        let signed = signed
            .filter(|(name, _)| parts.source.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(name)));
        let title = bare(signed.map_or(line.text.as_str(), |(_, rest)| rest));
        severity = severity.or(title.severity.clone());
        let says = words(&title.bare).any(|word| !is_generic(&word) && !own.contains(&word));
        if says {
            return Title { severity, ..title };
        }
    }
    // A title that is nothing but its state is still what the alert is called.
    let written = candidates().next().map(|line| line.text.trim().to_owned()).unwrap_or_default();
    Title { bare: written.clone(), written, severity, ..Title::default() }
}

fn is_generic(word: &str) -> bool {
    GENERIC.contains(&word) || is_severity(word) || word.chars().all(|c| c.is_ascii_digit())
}

/// `Name: value` where the name is short: a value, not a title.
fn is_pair(text: &str) -> bool {
    text.split_once(": ").is_some_and(|(name, _)| {
        name.split_whitespace().count() <= 2
            && words(name).all(|word| !is_generic(&word) && state_of(&word, true).is_none())
    })
}

/// Takes a title's state, number and address off.
pub fn bare(written: &str) -> Title {
    let mut title = Title { written: written.trim().to_owned(), ..Title::default() };
    let mut text = written.trim();
    if let Some(subject) = subjects::bracketed(text) {
        subject.clone_into(&mut title.bare);
        title.is_subject = true;
        return title;
    }
    for _ in 0..6 {
        let before = text;
        text = text.trim_start_matches(['*', ' ', '-', '–', '|', ':']).trim_end_matches(['*', ' ']);
        text = without_number(text);
        text = without_bracket(text, &mut title.severity);
        text = without_head(text, &mut title.severity);
        if text == before {
            break;
        }
    }
    if text.contains(" | ") {
        let told = text.split(" | ").find(|part| words(part).any(|word| !is_generic(&word)));
        text = told.unwrap_or(text).trim();
    }
    if let Some(found) = DEED.find(text) {
        text = without_number(text.get(found.end()..).unwrap_or_default().trim());
    }
    if let Some(found) = SENTENCE.find(text) {
        let subject = text.get(..found.start()).unwrap_or_default();
        if words(subject).next().is_some() {
            let name =
                WATCHER.captures(subject).and_then(|found| found.name("name")).map(|name| name.as_str());
            // `Health check on basket` names no check.
            let name = name.filter(|name| {
                !["on", "of", "for", "in", "at", "to", "from", "by"]
                    .contains(&words(name).next().unwrap_or_default().as_str())
            });
            text = name.unwrap_or(subject);
            title.is_stated = true;
            // An alarm is triggered, a thing is down.
            let said = words(found.as_str()).last().unwrap_or_default();
            title.is_subject = THINGS_ARE.contains(&said.as_str());
        }
    } else if title_says_state_of(&title.written) {
        title.is_subject = true;
    }
    while let Some((rest, last)) = text.rsplit_once(' ')
        && last.split_once('=').is_some_and(|(name, value)| !name.is_empty() && !value.is_empty())
        && !rest.contains('(')
    {
        // `… severity=high app=basket`: labels after the title.
        text = rest.trim_end();
    }
    text = TAIL.find(text).and_then(|tail| text.get(..tail.start())).unwrap_or(text).trim();
    if DONE.is_match(&title.written) {
        text = BY.find(text).and_then(|by| text.get(..by.start())).unwrap_or(text);
    }
    if let Some(quoted) = QUOTED.captures(text)
        && let (Some(whole), Some(inner)) = (quoted.get(0), quoted.name("inner"))
    {
        let around = format!("{} {}", &text[..whole.start()], &text[whole.end()..]);
        let before_is_generic = words(&text[..whole.start()]).all(|word| is_generic(&word));
        let is_a_name =
            words(&text[..whole.start()]).last().is_some_and(|word| NAMED_THINGS.contains(&word.as_str()));
        if whole.start() == 0 && !text.starts_with('\'')
            || words(&around).all(|word| is_generic(&word)) && before_is_generic
            || is_a_name
        {
            text = inner.as_str();
        }
    }
    text.trim().trim_matches(['"', '“', '”', '*', ' ']).clone_into(&mut title.bare);
    title
}

/// `Monitor is DOWN: Basket`: what follows is what is watched.
fn title_says_state_of(written: &str) -> bool {
    let stands = |head: &str| {
        let mut said = words(head).filter(|word| !is_generic(word));
        let word = said.next().unwrap_or_default();
        let of_things = ["up", "down", "offline", "online", "unreachable", "unavailable"];
        of_things.contains(&word.as_str()) && said.next().is_none()
    };
    written.split_once(':').is_some_and(|(head, _)| SENTENCE.is_match(head) || stands(head))
}

fn without_number(text: &str) -> &str {
    NUMBER
        .find(text)
        .and_then(|found| text.get(found.end()..))
        .filter(|rest| !rest.is_empty())
        .unwrap_or(text)
}

fn without_bracket<'a>(text: &'a str, severity: &mut Option<String>) -> &'a str {
    let Some(found) = BRACKET.captures(text) else { return text };
    let (Some(whole), Some(inner)) = (found.get(0), found.name("inner")) else { return text };
    if !is_label(inner.as_str()) {
        return text;
    }
    keep_severity(inner.as_str(), severity);
    text.get(whole.end()..).unwrap_or_default()
}

/// Takes `Triggered:`, `PROBLEM Service Alert:`, `Resolved in 3m:`, `Sev2 Azure Monitor Alert` off.
fn without_head<'a>(text: &'a str, severity: &mut Option<String>) -> &'a str {
    let label = |word: &str| {
        is_generic(word)
            || state_of(word, true).is_some()
            || (word.starts_with(|c: char| c.is_ascii_digit()) && word.len() <= 4)
            || word.split_once('-').is_some_and(|(letters, digits)| {
                letters.chars().all(char::is_alphabetic) && digits.chars().all(|c| c.is_ascii_digit())
            })
    };
    let colon = text.match_indices(':').map(|(at, _)| at).find(|at| {
        let after = text.get(at + 1..).unwrap_or_default();
        !after.starts_with("//") && !text[..*at].contains('"')
    });
    if let Some(at) = colon
        && at <= 60
        && words(&text[..at]).next().is_some()
        && words(&text[..at]).all(|word| label(&word))
        && !text[at + 1..].trim().is_empty()
    {
        keep_severity(&text[..at], severity);
        return text[at + 1..].trim_start();
    }
    let first: &str = text.split_whitespace().next().unwrap_or_default();
    let rest = text.get(first.len()..).unwrap_or_default().trim_start();
    let state = state_of(first, false).is_some() || is_code(first);
    let weak = state_of(first, true).is_some() || is_severity(first);
    let marked = rest.starts_with(['#', '[', '"', '“', '-', '–', '|']);
    let coded = is_code(first) && words(rest).next().is_some_and(|word| label(&word));
    let shouted = first.len() > 2 && first.chars().all(char::is_uppercase) && label(&first.to_lowercase());
    if (shouted && !rest.is_empty())
        || (state && marked)
        || (weak && rest.starts_with(['-', '–', '|', '[']))
        || coded
    {
        keep_severity(first, severity);
        let mut rest = rest;
        while coded
            && let Some(word) = rest.split_whitespace().next()
            && label(&word.to_lowercase())
            && rest.split_whitespace().count() > 1
        {
            rest = rest.get(word.len()..).unwrap_or_default().trim_start();
        }
        return rest;
    }
    text
}

fn keep_severity(text: &str, severity: &mut Option<String>) {
    if severity.is_none() {
        let split = |c: char| !(c.is_alphanumeric() || c == '-');
        *severity = text.split(split).find(|word| is_severity(word)).map(str::to_owned);
    }
}
