//! The words that tools use for states, how bad it is, and what is about work instead of a condition.
//!
//! The rule that is not obvious: words come in two strengths. A strong one is said of alerts only and
//! decides where it stands in a field or at a head; a weak one (`open`, `error`, `ok`) is said of
//! tickets, builds and people too, and decides only beside evidence of monitoring.

use super::parts::Parts;
use crate::domain::alert::AlertState;

pub const FIRING_STRONG: &[&str] = &[
    "firing",
    "alarm",
    "alarming",
    "alerting",
    "triggered",
    "triggering",
    "retriggered",
    "breached",
    "breaching",
    "unacknowledged",
    "problem",
    "fired",
    "activated",
    "unresolved",
    "escalated",
    "renotified",
];
/// It fires still, and somebody has seen it.
pub const ACKNOWLEDGED_STRONG: &[&str] = &["acknowledged", "acknowledgement", "acked"];
pub const ACKNOWLEDGED_WEAK: &[&str] = &["acknowledge"];
pub const RESOLVED_STRONG: &[&str] =
    &["resolved", "recovered", "recovery", "recovering", "cleared", "deactivated", "autoresolved"];
pub const FIRING_WEAK: &[&str] = &[
    "open",
    "opened",
    "reopened",
    "active",
    "ongoing",
    "new",
    "created",
    "create",
    "down",
    "critical",
    "crit",
    "warn",
    "warning",
    "error",
    "unhealthy",
    "failing",
    "failed",
    "failure",
    "regressed",
    "regression",
    "escalating",
    "degraded",
    "offline",
    "unreachable",
    "unavailable",
    "red",
    "unknown",
    "investigating",
    "identified",
    "monitoring",
    "trigger",
    "nodata",
    "high",
    "outage",
    "disaster",
];
pub const RESOLVED_WEAK: &[&str] = &[
    "ok",
    "up",
    "closed",
    "close",
    "normal",
    "healthy",
    "green",
    "fixed",
    "operational",
    "online",
    "passing",
    "passed",
    "inactive",
    "resolve",
    "success",
    "restored",
];

/// Words for how bad it is, as tools spell them.
pub const SEVERITIES: &[&str] = &[
    "critical",
    "crit",
    "high",
    "warning",
    "warn",
    "error",
    "info",
    "informational",
    "major",
    "minor",
    "page",
    "fatal",
    "low",
    "medium",
    "moderate",
    "average",
    "disaster",
    "emergency",
    "urgent",
    "severe",
    "notice",
];

/// Fields whose value is the state of an alert and nothing else.
pub const ALERT_STATE_FIELDS: &[&str] = &[
    "currentstate",
    "newstate",
    "newstatevalue",
    "alarmstate",
    "alertstate",
    "alertstatus",
    "monitorstate",
    "monitorstatus",
    "monitorcondition",
    "alerttransition",
    "notificationtype",
    "incidentstate",
    "incidentstatus",
    "issuestate",
    "conditionstate",
    "currentstatus",
];
/// Fields that other tools have too, the most telling first.
pub const STATE_FIELDS: &[&str] =
    &["state", "status", "eventtype", "eventstate", "transition", "event", "eventaction", "action", "type"];

/// Whether a field of this name says a state.
pub fn is_state_field(name: &str) -> bool {
    let name = super::parts::compact(name);
    ALERT_STATE_FIELDS.contains(&name.as_str()) || STATE_FIELDS.contains(&name.as_str())
}

/// Fields that only monitoring has.
const EVIDENCE: &[&str] = &[
    "severity",
    "sev",
    "alertseverity",
    "urgency",
    "alertname",
    "alarmname",
    "alert",
    "alertid",
    "alarm",
    "alertrule",
    "rulename",
    "monitor",
    "monitorname",
    "check",
    "checkname",
    "condition",
    "conditionname",
    "conditionsmet",
    "policyname",
    "escalationpolicy",
    "threshold",
    "metric",
    "metricname",
    "runbook",
    "silence",
    "startsat",
    "triggeredat",
    "incidentid",
    "incident",
    "incidentkey",
    "impactedentities",
    "impactedentity",
    "firstseen",
    "occurrences",
    "host",
    "hostname",
    "instance",
    "dataset",
    "affectedservice",
    "affectedservices",
    "affectedcomponents",
    "components",
    "impact",
    "alertlevel",
    "problemname",
    "originalproblemid",
    "findingtype",
    "additionalinfo",
    "url",
    "impactedservices",
    "heartbeat",
    "projectedimpact",
    "shortid",
    "level",
    "output",
    "firing",
];
/// Fields that speak of work: a ticket, a build, a change.
const WORK: &[&str] = &[
    "assignee",
    "branch",
    "commit",
    "commits",
    "author",
    "pullrequest",
    "build",
    "buildnumber",
    "buildpipeline",
    "buildstatus",
    "pipeline",
    "repository",
    "repo",
    "sprint",
    "storypoints",
    "issuetype",
    "reporter",
    "requester",
    "requestedby",
    "ticket",
    "ticketid",
    "deployedby",
    "deployer",
    "release",
    "artifact",
    "changeset",
    "triggeredby",
    "ranby",
    "invoice",
    "customer",
];
/// Words of a title that is about work, not about a condition.
const WORK_WORDS: &[&str] = &[
    "deploy",
    "deployed",
    "deploying",
    "deployment",
    "deployments",
    "build",
    "builds",
    "pipeline",
    "release",
    "released",
    "rollout",
    "merge",
    "merged",
    "pull",
    "pr",
    "commit",
    "commits",
    "workflow",
    "job",
    "cron",
    "cronjob",
    "backup",
    "report",
    "digest",
    "summary",
    "standup",
    "reminder",
    "survey",
    "invoice",
    "ticket",
    "maintenance",
    "scheduled",
    "tests",
    "test",
    "migration",
    "task",
    "todo",
    "shift",
    "on-call",
    "oncall",
    "rotation",
    "import",
    "export",
    "sync",
    "review",
    "preview",
];

/// Lower-case words of a text: runs of letters, digits, hyphens and underscores.
pub fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-'))
        .filter(|word| word.chars().any(char::is_alphanumeric))
        .map(str::to_lowercase)
}

/// What a word says of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    Firing,
    Acknowledged,
    Resolved,
}

impl Said {
    pub fn state(self) -> AlertState {
        match self {
            Self::Firing | Self::Acknowledged => AlertState::Firing,
            Self::Resolved => AlertState::Resolved,
        }
    }
}

/// What a word says in any strength.
pub fn state_of(word: &str, weak_too: bool) -> Option<Said> {
    let word = super::parts::compact(word);
    let among = |list: &[&str]| list.contains(&word.as_str());
    if among(FIRING_STRONG) || (weak_too && among(FIRING_WEAK)) {
        Some(Said::Firing)
    } else if among(ACKNOWLEDGED_STRONG) || (weak_too && among(ACKNOWLEDGED_WEAK)) {
        Some(Said::Acknowledged)
    } else if among(RESOLVED_STRONG) || (weak_too && among(RESOLVED_WEAK)) {
        Some(Said::Resolved)
    } else {
        None
    }
}

/// `P1`, `sev-2`, `S3`.
pub fn is_code(word: &str) -> bool {
    let word = word.to_lowercase();
    let digits =
        word.strip_prefix("sev").or_else(|| word.strip_prefix('p')).map(|rest| rest.trim_start_matches('-'));
    digits.is_some_and(|digits| digits.len() == 1 && digits.chars().all(|c| ('0'..='5').contains(&c)))
}

pub fn is_severity(word: &str) -> bool {
    is_code(word) || SEVERITIES.contains(&word.to_lowercase().as_str())
}

/// How many different fields only monitoring has.
pub fn evidence(parts: &Parts) -> usize {
    let heads = parts.headings.iter().chain(parts.lines.first());
    let said = heads
        .flat_map(|line| words(&line.text))
        .any(|word| ["alarm", "alert", "incident"].contains(&word.as_str()));
    EVIDENCE.iter().filter(|name| parts.has(&[name])).count() + usize::from(said)
}

/// Whether the fields say that this is a ticket, a build or a change.
pub fn fields_of_work(parts: &Parts) -> bool {
    let work = WORK.iter().filter(|name| parts.has(&[name])).count();
    work > 0 && work >= evidence(parts)
}

/// Whether a title is about work.
pub fn is_work(title: &str) -> bool {
    words(title).any(|word| WORK_WORDS.contains(&word.as_str()))
}
