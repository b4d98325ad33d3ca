//! The result of an investigation, in the shape that is promised to users and scripts.
//!
//! Every sentence comes from an [`EvidenceItem`] with an id, so that it can be traced to a query,
//! a window and a value.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::change::{ChangeKind, KeyChange};
use super::cost::Cost;
use super::evidence::Gap;

/// Why a service is in trouble. The names are the contract's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// A change that somebody or something made, to this service or one that it calls.
    Deployment,
    /// Demand: a surge, or a shift in its mix.
    Traffic,
    /// Something that the service calls failed, and no visible change explains it.
    Dependency,
    /// A resource ran out gradually, and no change in the window started it.
    Exhaustion,
    /// A certificate, token or licence expired.
    Expiry,
    /// The provider.
    Platform,
    /// The same hours on earlier days look the same.
    Recurring,
    /// No real incident.
    None,
    /// The evidence does not decide.
    Unknown,
}

impl Cause {
    pub const ALL: [Cause; 9] = [
        Cause::Deployment,
        Cause::Traffic,
        Cause::Dependency,
        Cause::Exhaustion,
        Cause::Expiry,
        Cause::Platform,
        Cause::Recurring,
        Cause::None,
        Cause::Unknown,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Cause::Deployment => "deployment",
            Cause::Traffic => "traffic",
            Cause::Dependency => "dependency",
            Cause::Exhaustion => "exhaustion",
            Cause::Expiry => "expiry",
            Cause::Platform => "platform",
            Cause::Recurring => "recurring",
            Cause::None => "none",
            Cause::Unknown => "unknown",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    pub service: String,
    /// `None` when nothing started.
    pub onset: Option<Onset>,
    pub verdict: Verdict,
    pub action: Action,
    /// Sums to 1, best first; the verdict is its first row.
    pub hypotheses: Vec<Hypothesis>,
    pub evidence: Vec<EvidenceItem>,
    pub cleared: Vec<Cleared>,
    pub gaps: Vec<Gap>,
    /// The root cause in two sentences.
    pub summary: String,
    pub timeline: Vec<TimelineEntry>,
    /// What the reading cost; absent where nobody counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
}

/// When the trouble began: the best estimate and the interval that it lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Onset {
    pub at: Timestamp,
    pub earliest: Timestamp,
    pub latest: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    pub cause: Cause,
    /// `None` unless the cause is a deployment.
    pub change: Option<NamedChange>,
    /// The probability of the first hypothesis, 0 to 1.
    pub confidence: f64,
}

/// The change that is blamed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NamedChange {
    /// The CloudTrail `eventID`; `None` where only a version shows the change.
    pub event_id: Option<String>,
    pub kind: ChangeKind,
    pub resource: String,
    /// When it took effect.
    pub at: Timestamp,
    pub actor: Option<String>,
    pub config: Vec<KeyChange>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionKind {
    /// Undo the named change; only where that is possible, safe and still applies.
    Rollback,
    /// The named change is to blame, but undoing it is unsafe or impossible.
    RollForward,
    /// Page the owner named.
    Escalate,
    /// Nothing to undo: already undone, recovering, or not proven.
    Watch,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    pub kind: ActionKind,
    pub target: Option<String>,
    pub reason: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hypothesis {
    pub cause: Cause,
    pub event_id: Option<String>,
    /// 0 to 1.
    pub probability: f64,
    /// The resource or the service that this hypothesis is about, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
}

/// Which of the three agents found a fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Agent {
    Logs,
    Metrics,
    Deploy,
}

#[cfg(test)]
impl Report {
    /// A verdict and nothing beside it.
    pub(crate) fn bare(service: &str, cause: Cause, confidence: f64) -> Self {
        Self {
            service: service.to_owned(),
            onset: None,
            verdict: Verdict { cause, change: None, confidence },
            action: Action { kind: ActionKind::Watch, target: None, reason: String::new() },
            hypotheses: vec![],
            evidence: vec![],
            cleared: vec![],
            gaps: vec![],
            summary: String::new(),
            timeline: vec![],
            cost: None,
        }
    }
}

/// One fact with its figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvidenceItem {
    /// `E1`, `E2`, … in the order of the report.
    pub id: String,
    pub source: Agent,
    pub statement: String,
    pub supports: Vec<Cause>,
    /// What was read to get it: a query, a metric with its statistic, an event id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// Where AWS's console shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
}

/// A change that is innocent, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cleared {
    pub event_id: Option<String>,
    /// What the change was, in a few words.
    pub what: String,
    pub reason: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimelineEntry {
    pub at: Timestamp,
    pub what: String,
}

/// The two series that the chart draws, and that recovery is judged by.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Symptoms {
    /// Share of requests that failed, 0 to 1, by minute.
    pub error_rate: Vec<(Timestamp, f64)>,
    /// Milliseconds, by minute.
    pub latency_p99: Vec<(Timestamp, f64)>,
    /// Requests per minute.
    pub requests: Vec<(Timestamp, f64)>,
    /// Levels before the onset, for comparison.
    pub baseline_error_rate: Option<f64>,
    pub baseline_latency_p99: Option<f64>,
    /// Levels after the onset.
    pub incident_error_rate: Option<f64>,
    pub incident_latency_p99: Option<f64>,
}
