//! What undoing a change means, exactly: resource, from, to, and the precondition that AWS checks.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One reversible step. Each variant holds all that is needed to apply it, read it back and undo it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum RollbackTarget {
    /// Point an alias at the earlier version and clear its routing weights.
    LambdaAlias {
        function: String,
        alias: String,
        from_version: String,
        to_version: String,
        /// Additional version weights to clear.
        from_weights: BTreeMap<String, f64>,
        /// The alias's `RevisionId` when the plan was made: AWS answers 412 if it moved.
        revision_id: String,
    },
    /// Put only these environment variables back, over the function's current map.
    LambdaEnvironment {
        function: String,
        /// Key → (value now, value to restore; `None` removes the key).
        keys: BTreeMap<String, (Option<String>, Option<String>)>,
        revision_id: String,
    },
    /// Put a setting of the function back (`Timeout`, `MemorySize`).
    LambdaSettings { function: String, settings: BTreeMap<String, (String, String)>, revision_id: String },
    /// Point an ECS service at an earlier task definition revision.
    EcsService { cluster: String, service: String, from_task_definition: String, to_task_definition: String },
    /// Write an SSM parameter's earlier value again.
    SsmParameter { name: String, from_version: i64, from_value: Option<String>, to_value: String },
    /// Deploy the earlier AppConfig content again.
    AppConfig {
        application: String,
        environment: String,
        profile: String,
        deployment: i64,
        to_version: Option<String>,
    },
    /// Put a function's reserved concurrency back; `None` removes the reservation.
    LambdaConcurrency { function: String, from: Option<i64>, to: Option<i64> },
}

impl RollbackTarget {
    /// What it goes back to, in a few words: the `action.target` of a report.
    pub fn describe(&self) -> String {
        match self {
            Self::LambdaAlias { function, alias, from_version, to_version, .. } => {
                format!("{function}:{alias} from version {from_version} to version {to_version}")
            }
            Self::LambdaEnvironment { function, keys, .. } => {
                let keys: Vec<&str> = keys.keys().map(String::as_str).collect();
                format!("{function}: environment variables {}", keys.join(", "))
            }
            Self::LambdaSettings { function, settings, .. } => {
                let each: Vec<String> =
                    settings.iter().map(|(key, (from, to))| format!("{key} {from} to {to}")).collect();
                format!("{function}: {}", each.join(", "))
            }
            Self::EcsService { cluster, service, from_task_definition, to_task_definition } => format!(
                "{cluster}/{service} from {} to {}",
                short_arn(from_task_definition),
                short_arn(to_task_definition)
            ),
            Self::SsmParameter { name, from_version, .. } => {
                format!("{name} from version {from_version} to its earlier value")
            }
            Self::AppConfig { application, environment, profile, deployment, .. } => {
                format!("{application}/{environment}/{profile}: revert deployment {deployment}")
            }
            Self::LambdaConcurrency { function, to, .. } => match to {
                Some(to) => format!("{function}: reserved concurrency {to}"),
                None => format!("{function}: no reserved concurrency"),
            },
        }
    }
}

/// The last part of an ARN: `refunds:24` of `arn:aws:ecs:…:task-definition/refunds:24`.
pub fn short_arn(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}
