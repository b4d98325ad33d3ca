//! What three agents read about one incident, whether live from AWS or from a bundle on disk.
//!
//! The rule that is not obvious: absent is not empty. `None` means that a source could not be read
//! (and a [`Gap`] says why); `Some` of nothing means that it was read and held nothing. The engine
//! treats the two very differently: silence of a source that answered is evidence, silence of one
//! that did not is a gap.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::alert::Alert;
use super::cost::Usage;
use super::snapshot::Snapshot;
use super::trial::Trial;

/// Everything that is known about one incident at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    pub scope: Scope,
    pub alert: Alert,
    /// Log events in order of time, then as read.
    pub logs: Option<Vec<LogEvent>>,
    pub series: Option<Vec<Series>>,
    /// CloudTrail records, in order of time, without duplicates.
    pub trail: Option<Vec<TrailRecord>>,
    /// By function name.
    pub functions: BTreeMap<String, FunctionHistory>,
    pub ecs_services: Vec<EcsService>,
    pub task_definitions: Option<Vec<TaskDefinition>>,
    pub parameters: Option<Vec<ParameterVersion>>,
    pub appconfig: Option<Vec<AppConfigDeployment>>,
    pub releases: Releases,
    /// What the bot itself recorded of the service's configuration, in order of resource and time.
    pub snapshots: Vec<Snapshot>,
    /// Tests that the bot made in this incident, in order of time.
    pub trials: Vec<Trial>,
    /// What could not be read, or only in part.
    pub gaps: Vec<Gap>,
    /// What reading it used; `None` where nobody counted.
    pub cost: Option<Usage>,
}

/// What is being investigated, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// The service's name, as the alert calls it.
    pub service: String,
    #[serde(default)]
    pub region: String,
    #[serde(default)]
    pub account: String,
    /// The investigation's clock: nothing after it is known.
    pub now: Timestamp,
    #[serde(default)]
    pub resources: Resources,
    /// Services that it calls, by name.
    #[serde(default)]
    pub depends_on: Vec<String>,
    /// Services in the account that do not call it; their metrics are controls.
    #[serde(default)]
    pub peers: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// Lambda function names.
    #[serde(default)]
    pub lambda: Vec<String>,
    #[serde(default)]
    pub ecs: Vec<EcsRef>,
    /// Paths of parameters that are the service's, whatever their names say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ssm_paths: Vec<String>,
    /// AppConfig applications that are the service's, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub appconfig: Vec<String>,
    #[serde(default)]
    pub log_groups: Vec<String>,
    #[serde(default)]
    pub metrics: MetricScope,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EcsRef {
    pub cluster: String,
    pub service: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetricScope {
    #[serde(default)]
    pub namespaces: Vec<String>,
}

/// A source that was not read, or not wholly, and why.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Gap {
    /// `logs`, `metrics`, `cloudtrail`, `lambda`, `ecs`, `ssm`, `appconfig`, `codedeploy`, `cloudformation`.
    pub source: String,
    pub reason: String,
    /// Gaps that were stored before it was noted count as lasting.
    #[serde(default, skip_serializing_if = "GapKind::is_lasting")]
    pub kind: GapKind,
}

/// Whether the source may answer when it is asked once more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GapKind {
    /// It is forbidden, absent, or says no more however often it is asked.
    #[default]
    Lasting,
    /// It was slow, overloaded, out of order or out of reach.
    Passing,
}

impl GapKind {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
    fn is_lasting(&self) -> bool {
        *self == Self::Lasting
    }
}

impl Gap {
    /// One that lasts.
    pub fn new(source: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { source: source.into(), reason: reason.into(), kind: GapKind::Lasting }
    }

    /// One that is of this kind.
    pub fn of(kind: GapKind, source: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { source: source.into(), reason: reason.into(), kind }
    }

    pub fn may_pass(&self) -> bool {
        self.kind == GapKind::Passing
    }

    /// Whether an unknown part of the source is missing: nobody can say what of it would have spoken against what the rest
    /// shows. The words are those of the bundle's reader.
    pub fn is_torn(&self) -> bool {
        self.reason.contains("ends in the middle")
    }
}

/// One CloudWatch Logs event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEvent {
    pub at: Timestamp,
    pub ingested_at: Option<Timestamp>,
    /// Shared by all the lines of a group: a million lines name a handful of groups and streams.
    pub group: Arc<str>,
    pub stream: Arc<str>,
    pub event_id: String,
    /// The raw line: JSON, logfmt or plain text, as the application wrote it.
    pub message: String,
}

impl LogEvent {
    /// The function version that wrote this line, which Lambda puts into the stream's name:
    /// `2026/02/06/[42]9f…`. `$LATEST` is a version too. `None` for other streams.
    pub fn version(&self) -> Option<&str> {
        let start = self.stream.find('[')? + 1;
        let length = self.stream[start..].find(']')?;
        Some(&self.stream[start..start + length])
    }
}

/// One CloudWatch time series: what `GetMetricData` was asked and what it answered, joined.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    pub namespace: String,
    pub metric: String,
    /// Name and value, sorted by name.
    pub dimensions: Vec<(String, String)>,
    /// `Sum`, `Average`, `Maximum`, `Minimum`, `SampleCount` or a percentile such as `p99`.
    pub stat: String,
    /// Seconds.
    pub period: u32,
    /// The start of each period and its value; sorted by time, no duplicates, holes stay holes.
    pub points: Vec<(Timestamp, f64)>,
}

/// One CloudTrail record, with the fields that everybody needs already read.
#[derive(Debug, Clone, PartialEq)]
pub struct TrailRecord {
    pub event_id: String,
    pub at: Timestamp,
    /// `lambda.amazonaws.com`.
    pub source: String,
    /// `UpdateFunctionConfiguration20150331v2`: with the API version, as recorded.
    pub name: String,
    pub actor: Actor,
    /// A record with an error code changed nothing.
    pub error_code: Option<String>,
    pub read_only: bool,
    /// The record as CloudTrail delivered it.
    pub raw: Value,
}

/// Who did it, as CloudTrail tells.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Actor {
    /// The full ARN; empty where the record has none.
    pub arn: String,
    /// What a person recognises: a user's name, or `role/session`.
    pub name: String,
    /// True where this is a role of a pipeline or a service, which is nobody for the two-person rule.
    pub automation: bool,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct FunctionHistory {
    /// `ListVersionsByFunction`, `$LATEST` among them; `None` where it could not be read.
    pub versions: Option<Vec<FunctionVersion>>,
    /// `ListAliases`; `None` where it could not be read.
    pub aliases: Option<Vec<FunctionAlias>>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct FunctionVersion {
    pub version: String,
    pub last_modified: Option<Timestamp>,
    pub code_sha256: String,
    pub description: String,
    pub revision_id: String,
    pub environment: BTreeMap<String, String>,
    /// Every other setting, under AWS's own names (`Timeout`, `MemorySize`, `Runtime`, `Handler`, …).
    pub settings: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct FunctionAlias {
    pub name: String,
    pub version: String,
    pub revision_id: String,
    /// Additional versions and the share of traffic, 0 to 1, that goes to each.
    pub weights: BTreeMap<String, f64>,
}

/// `DescribeServices`: one service with its deployments.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EcsService {
    pub cluster: String,
    pub name: String,
    pub task_definition: String,
    pub desired: i64,
    pub running: i64,
    pub deployments: Vec<EcsDeployment>,
    /// The service's own event messages with their times.
    pub events: Vec<(Timestamp, String)>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct EcsDeployment {
    pub id: String,
    /// `PRIMARY`, `ACTIVE` or `INACTIVE`.
    pub status: String,
    pub task_definition: String,
    pub created_at: Option<Timestamp>,
    pub updated_at: Option<Timestamp>,
    pub running: i64,
    pub desired: i64,
    /// `COMPLETED`, `IN_PROGRESS`, `FAILED`, or empty.
    pub rollout_state: String,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct TaskDefinition {
    pub arn: String,
    pub family: String,
    pub revision: i64,
    /// `ACTIVE` or `INACTIVE`.
    pub status: String,
    pub registered_at: Option<Timestamp>,
    pub registered_by: String,
    pub cpu: String,
    pub memory: String,
    /// Every other task-level setting by its AWS name (`taskRoleArn`, `executionRoleArn`, `networkMode`, …).
    pub settings: BTreeMap<String, String>,
    pub containers: Vec<Container>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Container {
    pub name: String,
    pub image: String,
    pub environment: BTreeMap<String, String>,
    /// Name and `valueFrom`: where a secret comes from, never the secret.
    pub secrets: BTreeMap<String, String>,
    /// Every other scalar setting by its AWS name (`cpu`, `memory`, `command`, …).
    pub settings: BTreeMap<String, String>,
}

/// One version of an SSM parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct ParameterVersion {
    pub name: String,
    pub kind: String,
    pub version: i64,
    /// `None` for a SecureString, whose value AWS keeps.
    pub value: Option<String>,
    pub modified_at: Option<Timestamp>,
    pub modified_by: String,
}

/// One AppConfig deployment, with its content before and after where it is known.
#[derive(Debug, Clone, PartialEq)]
pub struct AppConfigDeployment {
    pub number: i64,
    pub application: String,
    pub environment: String,
    pub profile: String,
    pub version: String,
    /// `COMPLETE`, `ROLLED_BACK`, `DEPLOYING`, …
    pub state: String,
    pub started_at: Option<Timestamp>,
    pub completed_at: Option<Timestamp>,
    /// Event type and time.
    pub events: Vec<(String, Option<Timestamp>)>,
    pub before: Option<Value>,
    pub after: Option<Value>,
}

/// What AWS's services tell of their releases themselves, beside the calls that asked for them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Releases {
    /// What they said of their own accord (EventBridge), in order of time, each once.
    pub events: Vec<ServiceEvent>,
    /// `BatchGetDeployments` of CodeDeploy; `None` where they were not read.
    pub deployments: Option<Vec<CodeDeployment>>,
    /// `DescribeStackEvents` of the stacks that hold the service's resources; `None` where they were not read.
    pub stack_events: Option<Vec<StackEvent>>,
}

/// One event of EventBridge that is no CloudTrail record: a step of a release, or trouble that AWS admits.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceEvent {
    pub id: String,
    pub at: Timestamp,
    /// Its detail-type: `ECS Deployment State Change`, `AWS Health Event`, …
    pub kind: String,
    /// The event as it was delivered.
    pub raw: Value,
}

/// One deployment by CodeDeploy.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CodeDeployment {
    pub id: String,
    pub application: String,
    pub group: String,
    /// `Succeeded`, `Failed`, `Stopped`, `InProgress`, …
    pub status: String,
    /// What started it: `user`, `autoscaling`, `codeDeployRollback`, …
    pub creator: String,
    pub created_at: Option<Timestamp>,
    pub completed_at: Option<Timestamp>,
    /// The deployment that it brings back to what was before, where it is a rollback.
    pub rolls_back: Option<String>,
}

/// One event of a stack, or of a resource in it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StackEvent {
    pub id: String,
    pub stack: String,
    pub at: Option<Timestamp>,
    pub logical_id: String,
    /// A name or an ARN; the stack's own ARN where the event is about the stack.
    pub physical_id: String,
    /// `AWS::Lambda::Function`.
    pub kind: String,
    /// `UPDATE_COMPLETE`.
    pub status: String,
}
