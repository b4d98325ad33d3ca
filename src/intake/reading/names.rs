//! What an alert is called, what it is about, and how bad it is.
//!
//! The rule that is not obvious: a value called `service` beside a host, and named like a check (`HTTP`,
//! `Disk`), is Nagios's word for the check; the host is what it is about.

use std::sync::LazyLock;

use regex::Regex;

use super::fields::{ALERT_FIELDS, CHECKS, HOST_FIELDS, PLACES, QUARTERS, SERVICE_FIELDS, SERVICE_TAGS};
use super::measures::{self, phrase};
use super::parts::{Parts, pattern};
use super::state::is_label;
use super::subjects;
use super::title::{self, Title};
use super::words::{is_code, is_severity, words};

#[derive(Debug, Default)]
pub struct Names {
    pub alert: Option<String>,
    pub service: Option<String>,
    pub metric: Option<String>,
    pub severity: Option<String>,
}

/// `… on basket-api`, `… for checkout` at the end of a title.
static AT_THE_END: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"(?i)\s(?:on|for|of|in|at)\s+(?:the\s+)?(?:(?:service|host|device|server|node|function|queue|group|instance|pod)[: ]\s*)?["'“‘]?(?P<slug>[A-Za-z][A-Za-z0-9_.-]{2,80}?)["'”’]?\s*(?:service)?:?$"#,
    )
});
static VALUE: LazyLock<Regex> = LazyLock::new(|| pattern(r"\s+(?:is|was|reached|hit|=)\s+[~≈<>]?\s?\d"));
/// `Error budget burning: search-api`.
static AFTER_COLON: LazyLock<Regex> =
    LazyLock::new(|| pattern(r":\s+(?P<slug>[a-z][a-z0-9]*(?:[-_][a-z0-9]+)+)$"));
/// `pay-db-01 [10.1.4.7]`, `web-03 (IP: 10.2.0.9)`: a name with its address.
static ADDRESSED: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^(?P<name>.*\S)\s*[\[(][^\])]*\d{1,3}(?:\.\d{1,3}){3}[^\])]*[\])]$"));
/// `X is critical`: the state of a condition that says how bad it is.
static IS_BAD: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?i)\b(?:is|are)\s+(?:now\s+|still\s+|again\s+)?(?P<word>critical|warning)\b")
});
static PREFIX: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^\[\s*(?P<inner>[A-Za-z][^\[\]:]{1,60}?)\s*\]\s*[^\s\[]"));
static REGION: LazyLock<Regex> = LazyLock::new(|| pattern(r"^[a-z]{2}(?:-[a-z]+)+-\d[a-z]?$"));
/// `web01/HTTP`: a host or a service, and a check of it.
static SLASHED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"^(?P<host>[A-Za-z0-9][A-Za-z0-9_.-]{1,80})/(?P<check>[A-Za-z][A-Za-z0-9_ .-]{1,60})$")
});

pub fn of(parts: &Parts) -> Names {
    let title = title::of(parts);
    let labels = labels(&title, parts);
    let one = |value: Option<&str>| value.filter(|value| is_name(value)).map(str::to_owned);
    let named = ALERT_FIELDS.iter().find_map(|field| {
        // A condition that says a limit describes the rule, and is not what it is called.
        let value = parts.value(&[field]).filter(|value| is_name(value))?;
        let described = field.starts_with("condition") && is_limit(value);
        // A policy of alerting has conditions; one without says whom to call.
        let called = *field == "policy" && !parts.has(&["condition", "conditionname"]);
        // `ALARM: "basket-errors" in EU (Ireland)`.
        let quoted = value.strip_prefix('"').and_then(|rest| rest.split_once('"')).map(|(inner, _)| inner);
        (!described && !called).then(|| quoted.unwrap_or(value).to_owned())
    });
    let host = one(parts.value(HOST_FIELDS)).filter(|host| !is_address(host));
    let slashed =
        SLASHED.captures(&title.bare).map(|found| (found["host"].to_owned(), found["check"].to_owned()));
    let check = one(parts.value(&["service", "servicedesc", "servicedescription"]))
        .filter(|service| host.is_some() && is_check(service))
        .or_else(|| {
            slashed
                .as_ref()
                .map(|(_, check)| check.clone())
                .filter(|check| (title.is_stated || title.is_subject) && is_check(check))
        });
    let reason =
        || parts.lines.iter().chain(&parts.fallbacks).take(4).find_map(|line| subjects::reason(&line.text));
    let is_pod = !title.written.starts_with('[') && subjects::workload(&title.bare).is_some();
    let reason = reason().filter(|_| is_pod).map(str::to_owned);
    let alert = named
        .or_else(|| check.clone())
        .or(reason)
        .or_else(|| labels.name.clone())
        .filter(|name| !name.is_empty());
    let alert = alert.map(|name| leading_identifier(&name).unwrap_or(name));
    let service = service(parts, &title, &labels, check.as_deref(), host, slashed.map(|(host, _)| host));
    let service = service.map(|name| match ADDRESSED.captures(&name) {
        Some(found) => found["name"].to_owned(),
        None => name,
    });
    let severity = severity(parts, &title, &labels);
    let metric = measures::of(
        parts,
        alert.as_deref(),
        Some(&title.bare).filter(|text| !is_identifier(text)).map(String::as_str),
    );
    Names { alert, service, metric, severity }
}

fn service(
    parts: &Parts,
    title: &Title,
    labels: &Labels,
    check: Option<&str>,
    host: Option<String>,
    slashed: Option<String>,
) -> Option<String> {
    let field = SERVICE_FIELDS.iter().find_map(|field| {
        let value = parts.value(&[field]).map(first_of_list).filter(|value| is_name(value))?;
        (Some(value) != check && !value.starts_with('#')).then(|| value.to_owned())
    });
    // `Components affected`, `Impacted system`: in any order of the words.
    let affected = || {
        let is_affected = |name: &str| {
            ["affected", "impacted"].iter().any(|word| name.contains(word))
                && ["service", "component", "resource", "entit", "application", "system", "workload"]
                    .iter()
                    .any(|word| name.contains(word))
        };
        let mut values = parts.pairs.iter().filter(|(name, _)| is_affected(name));
        values.find_map(|(_, value)| {
            Some(first_of_list(value)).filter(|value| is_name(value)).map(str::to_owned)
        })
    };
    let tag = || parts.tag(SERVICE_TAGS).filter(|value| is_name(value)).map(str::to_owned);
    let prefix = || {
        let heads = parts.headings.iter().chain(&parts.fallbacks).chain(parts.lines.iter().take(2));
        std::iter::once(title.bare.as_str()).chain(heads.map(|line| line.text.as_str())).find_map(|text| {
            let inner = PREFIX.captures(text)?.name("inner")?.as_str();
            let fits =
                words(inner).count() <= 4 && !is_label(inner) && words(inner).all(|word| !is_place(&word));
            let sender = parts.source.as_deref().is_some_and(|source| source.eq_ignore_ascii_case(inner));
            (fits && !sender).then(|| inner.to_owned())
        })
    };
    // Trackers of errors have one project a service; clouds have one for all.
    let project = || {
        let tracked = parts.has(&["shortid", "firstseen", "events", "occurrences", "level", "issue"]);
        parts.value(&["project", "projectname"]).filter(|value| tracked && is_name(value)).map(str::to_owned)
    };
    let at_the_end = || {
        // `disk usage on build-4 is 96 %`: the value stands after what it is of.
        let valueless = VALUE.split(&title.bare).next().unwrap_or_default();
        let all = [title.bare.as_str(), title.written.as_str(), valueless];
        let found = all.into_iter().find_map(|text| AT_THE_END.captures(text))?;
        let slug = found.name("slug")?.as_str();
        let named = slug.contains(['-', '_']) || slug.chars().all(|c| c.is_ascii_lowercase());
        (named && !is_place(slug) && !is_severity(slug) && phrase(slug).is_none()).then(|| slug.to_owned())
    };
    let after_colon = || AFTER_COLON.captures(&title.bare).map(|found| found["slug"].to_owned());
    // A title that is the host of an address in the message.
    let addressed = || {
        let host = format!("://{}", title.bare);
        let is_host = title.bare.contains('.') && !title.bare.contains(char::is_whitespace);
        (is_host && parts.lines.iter().any(|line| line.text.contains(&host))).then(|| title.bare.clone())
    };
    let watched = || (title.is_subject && words(&title.bare).count() <= 5).then(|| title.bare.clone());
    let paged = || {
        // `Production XDB Cluster - Laura Haley`: the service and who was paged.
        let footer = parts.footers.iter().find_map(|footer| footer.split_once(" - "))?;
        Some(footer.0.trim().to_owned()).filter(|name| !name.is_empty())
    };
    let heads = || {
        let lines = parts.headings.iter().chain(&parts.fallbacks).chain(parts.lines.iter().take(3));
        lines.map(|line| line.text.as_str())
    };
    let bracketed = || heads().find_map(subjects::bracketed).map(str::to_owned);
    let beating = || heads().find_map(|text| subjects::heartbeat(text)?.1).map(str::to_owned);
    let workload = || {
        let pod = parts.value(&["pod", "podname"]).into_iter().chain(heads()).find_map(subjects::workload);
        pod.map(str::to_owned)
    };
    let job = || parts.value(&["job"]).filter(|value| is_name(value)).map(str::to_owned);
    // `netdata on web-01`: where the sender runs is a host.
    let own_host =
        parts.source.as_deref().and_then(|source| source.rsplit_once(" on ")).map(|(_, host)| host);
    let found = field
        .or_else(affected)
        .or_else(|| labels.service.clone())
        .or_else(project)
        .or_else(tag)
        .or_else(|| slashed.filter(|_| check.is_some() || parts.has(&["state", "policy"])))
        .or_else(|| host.clone().filter(|_| check.is_some()))
        .or_else(prefix)
        .or_else(at_the_end)
        .or_else(after_colon)
        .or_else(bracketed)
        .or_else(beating)
        .or_else(workload)
        .or_else(|| before_measure(&title.bare))
        .or_else(job)
        .or_else(watched)
        .or_else(addressed)
        .or_else(paged)
        .or(host);
    found.filter(|name| own_host.is_none_or(|host| !name.eq_ignore_ascii_case(host)))
}

/// How bad it is: a field of that name, a label, the word before the title, the state itself.
fn severity(parts: &Parts, title: &Title, labels: &Labels) -> Option<String> {
    let first = |value: &str| -> Option<String> {
        value
            .split([' ', ',', '(', '/'])
            .next()
            .map(|word| word.trim_matches([':', '`']).to_owned())
            .filter(|word| !word.is_empty())
    };
    let of = |fields: &[&str], fits: &dyn Fn(&str) -> bool| {
        fields.iter().find_map(|field| parts.values(field).filter_map(first).find(|word| fits(word)))
    };
    let any = |word: &str| word.len() <= 20;
    let known = |word: &str| is_severity(word) && !word.eq_ignore_ascii_case("normal");
    of(&["severity", "sev", "alertseverity", "severitylevel", "alarmseverity"], &any)
        .or_else(|| of(&["priority", "alertpriority", "issuepriority", "incidentpriority"], &known))
        .or_else(|| parts.tag(&["severity", "priority"]).and_then(first).filter(|word| is_severity(word)))
        .or_else(|| labels.severity.clone())
        .or_else(|| title.severity.clone())
        .or_else(|| of(&["level", "alertlevel", "loglevel", "alerttype", "impact", "urgency"], &known))
        .or_else(|| {
            of(&["state", "status", "servicestate", "hoststate", "alerttransition"], &|word| {
                ["critical", "warning", "warn", "crit"].contains(&word.to_lowercase().as_str())
            })
        })
        .or_else(|| labelled(parts))
        .or_else(|| shouted(parts))
        .map(|word| normal(&word))
}

/// `… (Priority: P1, Status: Open)`: how bad it is, as a label within a title.
static LABELLED: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i)\b(?:priority|severity):\s*(?P<word>[a-z][a-z0-9-]{0,12})\b"));

fn labelled(parts: &Parts) -> Option<String> {
    let heads = parts.headings.iter().chain(&parts.fallbacks).chain(parts.lines.first());
    let mut words = heads.filter_map(|line| Some(LABELLED.captures(&line.text)?["word"].to_owned()));
    words.find(|word| is_severity(word))
}

/// `X is CRITICAL` in a title.
fn shouted(parts: &Parts) -> Option<String> {
    let heads = || parts.headings.iter().chain(&parts.fallbacks).chain(parts.lines.first());
    let mut all = heads().flat_map(|line| line.text.split(|c: char| !c.is_alphanumeric()));
    all.find(|word| ["CRITICAL", "WARNING"].contains(word)).map(str::to_owned).or_else(|| {
        heads().find_map(|line| Some(IS_BAD.captures(&line.text)?.name("word")?.as_str().to_lowercase()))
    })
}

/// Words in lower case and whole, codes as they are written.
fn normal(word: &str) -> String {
    if is_code(word) {
        return word.to_owned();
    }
    match word.to_lowercase().as_str() {
        "warn" => "warning".to_owned(),
        "crit" => "critical".to_owned(),
        other => other.to_owned(),
    }
}

#[derive(Debug, Default)]
struct Labels {
    name: Option<String>,
    service: Option<String>,
    severity: Option<String>,
}

/// Alertmanager's title: `[FIRING:1] Name group labels (other label values)`; keys may be there or
/// not. Any other title is the name as a whole.
fn labels(title: &Title, parts: &Parts) -> Labels {
    let counted = title.written.trim_start().starts_with('[') && !title.bare.starts_with('[');
    if !counted || title.bare.is_empty() {
        return Labels { name: Some(title.bare.clone()), ..Labels::default() };
    }
    let (head, values) = match title.bare.rsplit_once(" (") {
        Some((head, values)) if values.ends_with(')') => (head, values.trim_end_matches(')')),
        _ => (title.bare.as_str(), ""),
    };
    let severity = values.split([' ', ',']).map(|word| word.trim_matches('"')).find(|word| is_severity(word));
    let severity = severity.map(str::to_owned);
    let known = parts.value(&["alertname"]).filter(|name| head.starts_with(name));
    let (name, rest) = match known {
        Some(name) => (name, head.get(name.len()..).unwrap_or_default()),
        None => match head.split_once(' ') {
            // An alert's name in one word, then group labels; a sentence is a name as a whole.
            Some((first, rest)) if is_identifier(first) && rest.split_whitespace().count() <= 3 => {
                (first, rest)
            }
            _ => (head, ""),
        },
    };
    let service = match rest.split_whitespace().collect::<Vec<_>>().as_slice() {
        ["for" | "on" | "in", service] | [service] => Some((*service).to_owned()),
        _ => None,
    };
    Labels { name: Some(name.to_owned()), service: service.filter(|name| !is_place(name)), severity }
}

/// The one to three words before a measure that a title names.
fn before_measure(title: &str) -> Option<String> {
    let found = phrase(title)?;
    let before = title.get(..found.at)?.trim();
    let list: Vec<String> = words(before).collect();
    let is_name = (1..=3).contains(&list.len())
        && before.chars().all(|c| c.is_alphanumeric() || " -_./".contains(c))
        && !list.iter().any(|word| {
            [
                "high",
                "low",
                "free",
                "elevated",
                "increased",
                "the",
                "request",
                "average",
                "slow",
                "no",
                "critical",
                "too",
            ]
            .contains(&word.as_str())
        });
    is_name.then(|| before.to_owned())
}

/// `HighLatency (service=ledger) …`, `basket-cpu on basket`: an identifier, and what is said of it.
fn leading_identifier(name: &str) -> Option<String> {
    let (first, rest) = name.split_once(' ')?;
    let said =
        rest.starts_with(['(', '{', '-', '–', ':']) || rest.starts_with("on ") || rest.starts_with("for ");
    (said && is_identifier(first)).then(|| first.to_owned())
}

/// One word of several: `HighErrorRate`, `pod_crash_looping`, `basket-5xx`.
fn is_identifier(text: &str) -> bool {
    let inner_capital = text.chars().skip(1).any(char::is_uppercase) && text.chars().any(char::is_lowercase);
    !text.contains(char::is_whitespace) && (inner_capital || text.contains(['_', '-']))
}

fn is_name(value: &str) -> bool {
    let value = value.trim();
    !value.is_empty()
        && value.chars().count() <= 200
        && !value.contains('\n')
        && !["none", "n/a", "null", "unknown", "<unknown>", "-", "no value", "<no value>", "undefined"]
            .contains(&value.to_lowercase().as_str())
}

fn is_place(word: &str) -> bool {
    let word = word.to_lowercase();
    let part = |part: &str| {
        let part = part.trim_end_matches(|c: char| c.is_ascii_digit());
        part.is_empty() || PLACES.contains(&part) || QUARTERS.contains(&part)
    };
    REGION.is_match(&word) || PLACES.contains(&word.as_str()) || word.split(['-', '_']).all(part)
}

/// An address or an instance's id says where, not what.
fn is_address(host: &str) -> bool {
    let numeric = host.chars().all(|c| c.is_ascii_digit() || ".:".contains(c));
    numeric || (host.starts_with("i-") && host.chars().skip(2).all(|c| c.is_ascii_hexdigit()))
}

fn is_check(service: &str) -> bool {
    phrase(&service.replace(['-', '_'], " ")).is_some()
        || words(service).any(|word| word.split(['-', '_']).any(|part| CHECKS.contains(&part)))
}

/// `p99 above 2 s`, `> 5`: a limit.
fn is_limit(text: &str) -> bool {
    text.contains(['>', '<', '≥', '≤'])
        || words(text).any(|word| {
            ["above", "below", "over", "under", "exceeds", "greater", "less"].contains(&word.as_str())
        })
}

/// `a, b` → `a`; a dimension's `Name: value` → `value`.
fn first_of_list(value: &str) -> &str {
    let first = value.split([',', '\n']).next().unwrap_or_default().trim();
    // `app/basket/50dc6c495c0c9188`, as a load balancer's dimension is written.
    match first.split('/').collect::<Vec<_>>().as_slice() {
        ["app" | "net", name, _] => name,
        ["targetgroup", name, _] => name,
        _ => first,
    }
}
