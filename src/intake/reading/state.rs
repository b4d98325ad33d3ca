//! Firing or resolved: said by a field, at a title's head or in a title's sentence.
//!
//! The rule that is not obvious: a word in running text decides nothing, and a colour or a pictograph
//! only beside fields that monitoring alone has. 'Build failed', 'all is fine' and 'OK' are no alerts.

use std::sync::LazyLock;

use regex::Regex;

use super::markup::Sign;
use super::measures;
use super::parts::{Line, Parts, pattern};
use super::subjects;
use super::words::{
    ALERT_STATE_FIELDS, STATE_FIELDS, Said, evidence, fields_of_work, is_code, is_severity, is_work,
    state_of, words,
};

/// `[FIRING:2] …`, `[OK] …`, `[Triggered on {…}] …`, and the same after another bracket.
static BRACKET: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"^(?:\[[^\[\]]{0,80}\]\s*){0,2}\[\s*(?P<word>[A-Za-z][A-Za-z-]*)(?P<rest>[^\[\]]{0,200})\]")
});
/// `Triggered: …`, `ALARM: "…"`, `Resolved in 3m: …`, `Triggered #12 …`, `Triggered 25367: …`.
static HEAD: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"(?i)^(?:incident |issue |alert |monitor |new |re-)?(?P<word>[a-z]+)(?:\s+(?:in|after|on|for)\s[^:"]{1,40})?(?:\s*(?P<mark>[:"\[(|#–—]|$)|\s+-\s|\s+\d+:|\s+(?:service|host)\s+alert)"#,
    )
});
/// `X is DOWN`, `X state is now ALARM`, `check "X" has failed`, `X is back up`.
static SENTENCE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:is|are|has|have|went|was|gone|seems|appears)\s+(?:(?:now|still|currently|been|gone|back|again|in|currently|triggered|an?)\s+){0,3}(?P<word>up|down|offline|online|unreachable|unavailable|critical|warning|ok|alarm|alerting|failing|failed|recovered|recovering|resolved|triggered|acknowledged|ongoing|unhealthy|healthy|degraded|firing|active|inactive|activated|closed|breached|cleared|normal|operational|open)\b",
    )
});
/// `X is back below 80 %`, `has been back to normal`.
static BACK: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:is|are|went|has been)\s+(?:now\s+)?back\s+(?:below|under|above|over|within|to normal)\b",
    )
});
/// `DOWN: mail-gateway`, `still down: mail-gateway`: how it is before what it is.
static STANDS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^(?P<still>(?i:still|again|now|currently)\s+)?(?P<word>(?i:down|up|offline|online|unreachable|unavailable|failing|unhealthy))\s*(?::|\s[-–—])\s*(?P<what>\S[^()]*)",
    )
});
/// `state changed from OK to ALARM`.
static CHANGED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"(?i)\b(?:state|status)\s+(?:has\s+|was\s+)?changed(?:\s+from\s+["']?(?P<from>[A-Za-z_]+)\S*)?\s+to\s+["']?(?P<word>[A-Za-z_]+)"#,
    )
});
/// States of tickets, from which no alarm changes.
const OF_TICKETS: &[&str] = &["open", "new", "todo", "reopened", "backlog", "assigned", "draft"];
/// `disk usage on build-4 is 96 % (limit 90 %)`: a value beside its limit.
static BEYOND: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)(?:\b(?:is|at|reached|hit|now)|[=:])\s*[~≈]?\d[^\n]*(?:[<>≥≤]|\b(?:limit|threshold|max(?:imum)?|above|below|over|under|exceeds|exceeded)\b)",
    )
});
/// `OK -> ALARM`, `Normal → Critical`.
static ARROW: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^[A-Za-z_ ]{1,24}\s*(?:->|=>|→|➜|➔|➡)\s*(?P<word>[A-Za-z_]+)"));
/// `Dana closed alert #12`, `alert "…" was acknowledged`, `incident has been triggered`.
static DEED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?P<word>triggered|closed|resolved|acknowledged|opened|created|recovered|snoozed|escalated|reopened)\s+(?:the\s+)?(?:alert|alarm|incident|issue)\b",
    )
});

/// `Health rule violation started`, `Anomaly has ended`.
static COURSE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:violation|anomaly|outage|(?P<common>alarm|alert|incident))\s+(?:has\s+)?(?P<word>started|begun|detected|continues|ended|ceased)\b",
    )
});

/// What the message states; `None` where it states nothing.
pub fn of(parts: &Parts) -> Option<Said> {
    if let Some(stated) =
        ALERT_STATE_FIELDS.iter().find_map(|name| parts.values(name).find_map(|value| field(value, true)))
    {
        return stated;
    }
    let heads = || heads(parts);
    if let Some(state) = heads().find_map(|line| bracket_state(&line.text, false)) {
        return Some(state);
    }
    if fields_of_work(parts) {
        return None;
    }
    let evidence = evidence(parts);
    let work = heads().next().is_some_and(|line| is_work(&line.text));
    let sign = sign(parts);
    let field_state = |weak: bool| {
        STATE_FIELDS.iter().find_map(|name| parts.values(name).find_map(|value| field(value, weak))).flatten()
    };
    if let Some(state) = field_state(false) {
        return Some(state);
    }
    if let Some(state) = heads().find_map(|line| strong_head(&line.text).or_else(|| standing(&line.text))) {
        return Some(state);
    }
    if heads().any(|line| ANNOUNCED.is_match(&line.text)) {
        return Some(Said::Firing);
    }
    if work && evidence < 2 {
        return None;
    }
    if let Some(state) = heads().find_map(|line| statement(line, sign, evidence)) {
        return Some(state);
    }
    let measured = heads().any(|line| measures::phrase(&line.text).is_some());
    // What is said to be open may be a ticket, unless it is measured and as urgent as alerts are.
    let urgent = || parts.values("priority").chain(heads().map(|line| line.text.as_str())).any(names_urgency);
    let pressing = measured && urgent() && !heads().any(|line| TICKET.is_match(&line.text));
    if (evidence > 0 || pressing)
        && let Some(state) = field_state(true)
    {
        return Some(state);
    }
    if let Some(said) = heads().find_map(|line| of_a_heartbeat(line, sign, evidence)) {
        return Some(said);
    }
    if heads().any(|line| does_not_run(line, sign)) {
        return Some(Said::Firing);
    }
    if (evidence > 0 || sign.is_some() || pressing)
        && let Some(said) = heads().find_map(|line| labelled(&line.text))
    {
        return Some(said);
    }
    if evidence > 0 || sign.is_some() || measured {
        let weak = heads().find_map(|line| bracket_state(&line.text, true).or_else(|| weak_head(&line.text)));
        if weak.is_some() {
            return weak;
        }
    }
    let enough =
        evidence >= 2 || (evidence == 1 && (measured || parts.has(&["severity", "urgency", "threshold"])));
    if let Some(sign) = sign.filter(|_| enough) {
        return Some(match sign {
            Sign::Alarm => Said::Firing,
            Sign::Fine => Said::Resolved,
        });
    }
    let beyond = |line: &Line| {
        line.sign == Some(Sign::Alarm)
            && measures::phrase(&line.text).is_some()
            && BEYOND.is_match(&line.text)
    };
    if heads().any(beyond) {
        return Some(Said::Firing);
    }
    // A template that says which rule, how bad and when, and no word on the state, tells of what fires.
    let ruled = parts.has(RULE_FIELDS) && parts.has(&["severity", "priority"]) && parts.has(TIME_FIELDS);
    if ruled && !work && !heads().any(|line| is_about_rules(&line.text)) {
        return Some(Said::Firing);
    }
    // A report of a provider about its own service states no condition, but names what it affects.
    parts.has(&["affectedservice", "affectedservices"]).then_some(Said::Firing)
}

/// Fields that name the rule that an alert came by, and when it came.
const RULE_FIELDS: &[&str] = &[
    "alertname",
    "alarmname",
    "alertrule",
    "rulename",
    "alerttitle",
    "alertdefinition",
    "eventdefinition",
    "alerteventdefinition",
    "monitorname",
    "checkname",
];
const TIME_FIELDS: &[&str] =
    &["timestamp", "time", "eventtime", "startsat", "startedat", "triggeredat", "since"];

/// Whether a title tells of what somebody does to rules and alerts, not of a condition.
fn is_about_rules(title: &str) -> bool {
    words(title).any(|word| {
        [
            "silence",
            "silenced",
            "silences",
            "muted",
            "mute",
            "unmuted",
            "snoozed",
            "updated",
            "changed",
            "edited",
            "added",
            "removed",
            "deleted",
            "disabled",
            "enabled",
            "expired",
            "suppressed",
            "renamed",
        ]
        .contains(&word.as_str())
    })
}

/// Where a title may stand, the most telling first.
fn heads(parts: &Parts) -> impl Iterator<Item = &Line> {
    parts.headings.iter().chain(&parts.fallbacks).chain(parts.lines.iter().take(3))
}

/// What pictographs at the heads say, else the first colour.
fn sign(parts: &Parts) -> Option<Sign> {
    heads(parts).find_map(|line| line.sign).or_else(|| parts.colours.first().copied())
}

/// The state that a field's value is: `ALARM`, `OK → ALARM`, `firing (2)`, `incident.triggered`. The inner
/// `None` is a state that is neither firing nor resolved.
#[expect(clippy::option_option, reason = "a value that is no state is not the state that is neither")]
fn field(value: &str, weak: bool) -> Option<Option<Said>> {
    let value =
        ARROW.captures(value).and_then(|found| found.name("word")).map_or(value, |word| word.as_str());
    let compacted = super::parts::compact(value);
    const NEITHER: [&str; 8] = [
        "insufficientdata",
        "pending",
        "muted",
        "paused",
        "suppressed",
        "maintenance",
        "downtimestart",
        "downtimeend",
    ];
    if NEITHER.contains(&compacted.as_str()) {
        return Some(None);
    }
    let list: Vec<String> = value
        .split(|c: char| !c.is_alphanumeric() && c != '-')
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    if list.is_empty() || list.len() > 4 {
        return None;
    }
    let state = state_of(value, weak)
        .or_else(|| list.iter().find_map(|word| state_of(word, false)))
        .or_else(|| {
            // 'Error rate' is what is watched.
            let first = list.first().filter(|_| weak && measures::phrase(value).is_none())?;
            state_of(first, true)
        })?;
    Some(Some(state))
}

/// A state in brackets at a title's head. `[OK]` and `[Warning]` are weak, `[FIRING:1]` is not.
fn bracket_state(text: &str, weak: bool) -> Option<Said> {
    let found = BRACKET.captures(text.trim_start_matches(['*', ' ']))?;
    let word = found.name("word")?.as_str();
    let short = found.name("rest").is_none_or(|rest| words(rest.as_str()).count() <= 12);
    state_of(word, weak).filter(|_| short)
}

/// A strong state at a title's head, followed by what is in that state.
fn strong_head(text: &str) -> Option<Said> {
    let text = text.trim_start_matches(['*', ' ', '#']);
    let found = HEAD.captures(text)?;
    let word = found.name("word")?.as_str();
    let alone =
        found.get(0)?.end() == text.len() && found.name("mark").is_none_or(|mark| mark.as_str().is_empty());
    // 'Triggered' alone says that something is; 'Resolved' alone is an answer in a conversation.
    let incident = text.to_lowercase().starts_with("incident ");
    state_of(word, false).filter(|_| !alone || incident)
}

/// How something stands, said before its name: shouted as tools do, or still so.
fn standing(text: &str) -> Option<Said> {
    let text = text.trim_start_matches(['*', ' ', '#']);
    let found = STANDS.captures(text)?;
    let word = found.name("word")?.as_str();
    let state = state_of(word, true)?;
    let what = words(found.name("what")?.as_str()).count();
    let shouted = word.chars().all(char::is_uppercase);
    let still = found.name("still").is_some() && state == Said::Firing;
    ((shouted || still) && (1..=6).contains(&what) && !text.trim_end().ends_with('?')).then_some(state)
}

/// `New alert: …`, `New incident "…"`.
static ANNOUNCED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r#"(?i)^(?:a\s+)?new\s+(?:[a-z0-9]+\s+){0,2}(?:alert|alarm|incident|problem)\b\s*[#:("]"#)
});

/// `… (Priority: P1, Status: Open)`, `… - Status: Closed`: a label at the end of a title.
static LABELLED: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i)[\s(|,;–—-](?:status|state):\s*(?P<word>[a-z]+)\)?\s*$"));
/// `SHOP-412`: the key of a ticket.
static TICKET: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?:^|[\s\[(#])[A-Z][A-Z0-9]+-\d+\b"));

fn labelled(title: &str) -> Option<Said> {
    let word = LABELLED.captures(title)?.name("word")?.as_str();
    state_of(word, true).filter(|_| !TICKET.is_match(title))
}

fn names_urgency(text: &str) -> bool {
    words(text).any(|word| is_code(&word))
}

/// A heartbeat that stopped or is back, said by a title alone or beside something that monitoring shows.
fn of_a_heartbeat(line: &Line, sign: Option<Sign>, evidence: usize) -> Option<Said> {
    let (said, whose) = subjects::heartbeat(&line.text)?;
    let shown = whose.is_some() || sign.is_some() || evidence > 0 || line.text.starts_with("HEARTBEAT");
    (shown && words(&line.text).count() <= 16 && !line.text.trim_end().ends_with('?')).then_some(said)
}

/// `is in CrashLoopBackOff`, `entered status ImagePullBackOff`.
static ENTERED: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i)\b(?:is|are|in|entered|status|state|reason|times)\b[^.!?]{0,40}$"));

/// A container that does not run, as Kubernetes has it: said as its state, or beside a sign of alarm.
fn does_not_run(line: &Line, sign: Option<Sign>) -> bool {
    let Some(reason) = subjects::reason(&line.text) else { return false };
    let before = line.text.split(reason).next().unwrap_or_default();
    // Without a sign the pod itself is named, where people speak of such states in general.
    sign == Some(Sign::Alarm) || (ENTERED.is_match(before) && subjects::workload(&line.text).is_some())
}

/// A weak state at a title's head: `OK: "…"`, `Warn: …`, `CRITICAL - …`, `P1: …`, `Alert: …`.
fn weak_head(text: &str) -> Option<Said> {
    let text = text.trim_start_matches(['*', ' ', '#']);
    let word: String = text.chars().take_while(|c| c.is_alphanumeric() || *c == '-').collect();
    let rest = text.get(word.len()..)?.trim_start();
    let shouted = word.chars().all(|c| c.is_uppercase() || c.is_ascii_digit()) && word.len() > 1;
    let headed = rest.starts_with([':', '-', '|', '"', '[', '(', '–', '—']);
    if !(headed || (shouted && !rest.is_empty())) || rest.len() < 2 {
        return None;
    }
    if is_code(&word)
        || is_severity(&word)
        || ["alert", "outage", "incident"].contains(&word.to_lowercase().as_str())
    {
        return Some(Said::Firing);
    }
    state_of(&word, true)
}

/// A state said in a sentence of a title: shouted, of a check, of an alert, or beside a sign that agrees.
fn statement(line: &Line, sign: Option<Sign>, evidence: usize) -> Option<Said> {
    let text = line.text.as_str();
    if let Some(found) = CHANGED.captures(text)
        && let Some(word) = found.name("word")
    {
        let of_a_ticket = found
            .name("from")
            .is_some_and(|from| OF_TICKETS.contains(&from.as_str().to_lowercase().as_str()));
        return state_of(word.as_str(), true).filter(|_| !of_a_ticket || evidence > 1);
    }
    if BACK.is_match(text) && (evidence > 0 || sign == Some(Sign::Fine)) && measures::phrase(text).is_some() {
        return Some(Said::Resolved);
    }
    if let Some(word) = DEED.captures(text).and_then(|found| found.name("word"))
        && words(text).count() <= 24
    {
        return match word.as_str().to_lowercase().as_str() {
            "snoozed" => None,
            word => state_of(word, true),
        };
    }
    if let Some(found) = COURSE.captures(text)
        && let Some(word) = found.name("word")
        // A field of monitoring, beside the word itself.
        && evidence > usize::from(found.name("common").is_some())
        && words(text).count() <= 16
    {
        let over = ["ended", "ceased"].contains(&word.as_str().to_lowercase().as_str());
        return Some(if over { Said::Resolved } else { Said::Firing });
    }
    if let Some(said) = by_somebody(text, sign, evidence).or_else(|| in_short(text, sign)) {
        return Some(said);
    }
    let found = SENTENCE.captures(text)?;
    let word = found.name("word")?;
    let state = state_of(word.as_str(), true)?;
    let before = text.get(..found.get(0)?.start())?;
    // `DOWN`, `Down`: a tool's word, where a person would write it small.
    let shouted = word.as_str().starts_with(char::is_uppercase);
    let checked = words(before).any(|word| {
        [
            "monitor", "check", "probe", "alarm", "alert", "site", "website", "endpoint", "state",
            "incident", "url", "sensor", "device", "host", "server", "service",
        ]
        .contains(&word.as_str())
    });
    // 'Rule' is said of much; beside a field of monitoring it is one of alerts.
    let ruled = evidence > 0 && words(before).any(|word| word == "rule");
    let signed = sign.is_some_and(|sign| (sign == Sign::Alarm) == (state != Said::Resolved));
    let asked = text.trim_end().ends_with('?');
    ((shouted || checked || ruled || signed || evidence > 1) && !asked && words(before).count() <= 16)
        .then_some(state)
}

/// `… resolved by Dana`, `Dana marked #412 … as resolved`: what trackers of errors say of an item.
static BY: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i)(?:\bresolved\s+by\s+\S|\bmarked\b.{1,200}\bas\s+resolved\b)"));
/// `NoMethodError`, `java.lang.NullPointerException`: the name of an error's class.
static ERROR_CLASS: LazyLock<Regex> = LazyLock::new(|| pattern(r"\b[A-Z][A-Za-z]+(?:Error|Exception)\b"));

fn by_somebody(text: &str, sign: Option<Sign>, evidence: usize) -> Option<Said> {
    let shown = evidence > 0 || sign == Some(Sign::Fine) || ERROR_CLASS.is_match(text);
    (BY.is_match(text) && shown && !TICKET.is_match(text) && words(text).count() <= 24)
        .then_some(Said::Resolved)
}

/// `basket-db-01 needs attention, …`, `basket-db-01 recovered, …`: short sentences, beside a sign that agrees.
static NEEDS: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)^\S+(?:\s+\S+){0,3}?\s+needs\s+attention\b"));
static RECOVERED: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i)^\S+(?:\s+\S+){0,3}?\s+(?:recovered|resolved|cleared)(?:$|[,.:;])"));

fn in_short(text: &str, sign: Option<Sign>) -> Option<Said> {
    match sign? {
        Sign::Alarm => NEEDS.is_match(text).then_some(Said::Firing),
        Sign::Fine => RECOVERED.is_match(text).then_some(Said::Resolved),
    }
}

/// Whether a bracket or a head is nothing but a state or how bad it is.
pub fn is_label(text: &str) -> bool {
    let mut list = words(text).peekable();
    let Some(first) = list.peek().cloned() else { return true };
    let known = |word: &str| is_severity(word) || state_of(word, true).is_some();
    first == "triggered"
        || first == "re-triggered"
        || list.all(|word| known(&word) || word.chars().all(|c| c.is_ascii_digit()))
}
