//! What undoing a change means, exactly: resource, from, to, and the precondition that AWS checks.
//!
//! The rule that is not obvious: a step that is read off the evidence lacks what only a look at AWS gives
//! (revision ids, ids for names); `aws::rollback::prepare` fills these in before anybody is asked.

pub(in crate::domain) mod words;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One reversible step. Each variant holds all that is needed to apply it, read it back and undo it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum RollbackTarget {
    /// Point an alias at the earlier version, with the routing weights of then.
    LambdaAlias {
        function: String,
        alias: String,
        from_version: String,
        to_version: String,
        /// The alias's version now and its additional weights; what is undone may be among these.
        from_weights: BTreeMap<String, f64>,
        /// Additional weights afterwards; empty: all traffic goes to the version.
        #[serde(default)]
        to_weights: BTreeMap<String, f64>,
        /// The alias's `RevisionId` when the plan was made: AWS answers 412 if it moved.
        revision_id: String,
    },
    /// Put only these environment variables and settings back, in one call: variables over the function's current
    /// map, settings (`Timeout`, `MemorySize`) by themselves. Earlier releases stored the two as kinds of their own.
    #[serde(alias = "lambda_environment", alias = "lambda_settings")]
    LambdaConfiguration {
        function: String,
        /// Key → (value now, value to restore; `None` removes the key).
        #[serde(default)]
        keys: BTreeMap<String, (Option<String>, Option<String>)>,
        #[serde(default)]
        settings: BTreeMap<String, (String, String)>,
        revision_id: String,
    },
    /// Point an ECS service at an earlier task definition revision; where the deployment is still going on,
    /// stop it, which starts the earlier revision as well.
    EcsService {
        cluster: String,
        service: String,
        from_task_definition: String,
        to_task_definition: String,
        /// ARN of the service deployment to stop, where one is in progress.
        #[serde(default)]
        deployment: Option<String>,
        /// ECS's id of the service's primary deployment when the plan was made: another one means that somebody
        /// has changed the service since.
        #[serde(default)]
        primary: Option<String>,
    },
    /// Write an SSM parameter's earlier value again.
    SsmParameter { name: String, from_version: i64, from_value: Option<String>, to_value: String },
    /// Revert an AppConfig deployment: the content before it is served again.
    AppConfig {
        application: String,
        environment: String,
        profile: String,
        deployment: i64,
        to_version: Option<String>,
        /// The version that the deployment brought, where it is known.
        #[serde(default)]
        from_version: Option<String>,
        /// AppConfig's own ids of the three names, once they were asked for.
        #[serde(default)]
        ids: Option<AppConfigIds>,
    },
    /// Deploy a version of an AppConfig profile at once: how a revert is taken back, and how a deployment is undone
    /// that is too old to be reverted.
    AppConfigVersion {
        application: String,
        environment: String,
        profile: String,
        from_version: String,
        to_version: String,
        ids: AppConfigIds,
        /// Number of the environment's newest deployment when the plan was made: AppConfig refuses if it moved.
        #[serde(default)]
        latest: Option<i64>,
    },
    /// Put a function's reserved concurrency back; `None` removes the reservation.
    LambdaConcurrency { function: String, from: Option<i64>, to: Option<i64> },
}

/// What AppConfig calls an application, its environment and its profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppConfigIds {
    pub application: String,
    pub environment: String,
    pub profile: String,
}

/// AWS's own strategy that reaches every target at once.
pub const ALL_AT_ONCE: &str = "AppConfig.AllAtOnce";

impl RollbackTarget {
    /// The call that changes something, as IAM names it.
    pub fn call(&self) -> &'static str {
        match self {
            Self::LambdaAlias { .. } => "lambda:UpdateAlias",
            Self::LambdaConfiguration { .. } => "lambda:UpdateFunctionConfiguration",
            Self::EcsService { deployment: Some(_), .. } => "ecs:StopServiceDeployment",
            Self::EcsService { deployment: None, .. } => "ecs:UpdateService",
            Self::SsmParameter { .. } => "ssm:PutParameter",
            Self::AppConfig { .. } => "appconfig:StopDeployment",
            Self::AppConfigVersion { .. } => "appconfig:StartDeployment",
            Self::LambdaConcurrency { to: Some(_), .. } => "lambda:PutFunctionConcurrency",
            Self::LambdaConcurrency { to: None, .. } => "lambda:DeleteFunctionConcurrency",
        }
    }

    /// The same with each value replaced: as it may be shown, or as it is behind its mask. `show` gets a key (a
    /// parameter's name) and its value.
    #[must_use]
    pub fn with_values(&self, show: &dyn Fn(&str, &str) -> String) -> Self {
        let mut shown = self.clone();
        match &mut shown {
            Self::LambdaConfiguration { keys, settings, .. } => {
                for (key, (from, to)) in keys {
                    for side in [from, to] {
                        *side = side.as_deref().map(|value| show(key, value));
                    }
                }
                for (key, (from, to)) in settings {
                    (*from, *to) = (show(key, from), show(key, to));
                }
            }
            Self::SsmParameter { name, from_value, to_value, .. } => {
                *from_value = from_value.as_deref().map(|value| show(name, value));
                *to_value = show(name, to_value);
            }
            Self::LambdaAlias { .. }
            | Self::EcsService { .. }
            | Self::AppConfig { .. }
            | Self::AppConfigVersion { .. }
            | Self::LambdaConcurrency { .. } => {}
        }
        shown
    }

    /// The one thing that the call changes: calls that name the same get into each other's way.
    pub fn resource(&self) -> String {
        match self {
            Self::LambdaAlias { function, alias, .. } => format!("lambda {function}:{alias}"),
            Self::LambdaConfiguration { function, .. } => format!("lambda {function}"),
            Self::LambdaConcurrency { function, .. } => format!("lambda concurrency {function}"),
            Self::EcsService { cluster, service, .. } => format!("ecs {cluster}/{service}"),
            Self::SsmParameter { name, .. } => format!("ssm {name}"),
            Self::AppConfig { application, environment, profile, .. }
            | Self::AppConfigVersion { application, environment, profile, .. } => {
                format!("appconfig {application}/{environment}/{profile}")
            }
        }
    }

    /// Whether it names versions and not the values that differ between them.
    pub fn names_versions(&self) -> bool {
        match self {
            Self::LambdaAlias { .. }
            | Self::EcsService { .. }
            | Self::AppConfig { .. }
            | Self::AppConfigVersion { .. } => true,
            Self::LambdaConfiguration { .. } | Self::SsmParameter { .. } | Self::LambdaConcurrency { .. } => {
                false
            }
        }
    }

    /// Whether everybody is served by it as soon as AWS has answered.
    pub fn is_immediate(&self) -> bool {
        !matches!(self, Self::EcsService { .. } | Self::AppConfig { .. } | Self::AppConfigVersion { .. })
    }

    /// The call that reads back what it changes, as IAM names it.
    pub fn reading_call(&self) -> &'static str {
        match self {
            Self::LambdaAlias { .. } => "lambda:GetAlias",
            Self::LambdaConfiguration { .. } => "lambda:GetFunctionConfiguration",
            Self::LambdaConcurrency { .. } => "lambda:GetFunctionConcurrency",
            Self::EcsService { .. } => "ecs:DescribeServices",
            Self::SsmParameter { .. } => "ssm:GetParameter",
            Self::AppConfig { .. } | Self::AppConfigVersion { .. } => "appconfig:ListDeployments",
        }
    }

    /// Why some may be served as before although it is in effect, where nothing in AWS tells who is; a sentence.
    pub fn may_reach_late(&self) -> Option<String> {
        match self {
            Self::SsmParameter { name, .. } => Some(format!(
                "Processes that read {name} once, at their start, keep the value of before until they start again."
            )),
            _ => None,
        }
    }

    /// The step that takes this one back, once it was carried out. What only AWS knows (revisions) is as it
    /// was before and has to be prepared anew.
    ///
    /// # Errors
    /// Why it cannot be taken back, as a sentence.
    pub fn reversed(&self) -> Result<Self, String> {
        Ok(match self.clone() {
            Self::LambdaAlias {
                function,
                alias,
                from_version,
                to_version,
                from_weights,
                to_weights,
                revision_id,
            } => Self::LambdaAlias {
                function,
                alias,
                from_version: to_version,
                to_version: from_version,
                from_weights: to_weights,
                to_weights: from_weights,
                revision_id,
            },
            Self::LambdaConfiguration { function, keys, settings, revision_id } => {
                Self::LambdaConfiguration {
                    function,
                    keys: keys.into_iter().map(|(key, (from, to))| (key, (to, from))).collect(),
                    settings: settings.into_iter().map(|(key, (from, to))| (key, (to, from))).collect(),
                    revision_id,
                }
            }
            Self::EcsService { cluster, service, from_task_definition, to_task_definition, .. } => {
                Self::EcsService {
                    cluster,
                    service,
                    from_task_definition: to_task_definition,
                    to_task_definition: from_task_definition,
                    deployment: None,
                    primary: None,
                }
            }
            Self::SsmParameter { name, from_version, from_value, to_value } => {
                let Some(value) = from_value else {
                    return Err(format!("The value that {name} had is secret and not known."));
                };
                // The rollback itself made one more version.
                Self::SsmParameter {
                    name,
                    from_version: from_version + 1,
                    from_value: Some(to_value),
                    to_value: value,
                }
            }
            Self::AppConfig { application, environment, profile, to_version, from_version, ids, .. } => {
                match (ids, to_version, from_version) {
                    (Some(ids), Some(served), Some(deployed)) => Self::AppConfigVersion {
                        application,
                        environment,
                        profile,
                        from_version: served,
                        to_version: deployed,
                        ids,
                        latest: None,
                    },
                    _ => return Err("The version that was deployed is not known.".into()),
                }
            }
            Self::AppConfigVersion {
                application,
                environment,
                profile,
                from_version,
                to_version,
                ids,
                ..
            } => Self::AppConfigVersion {
                application,
                environment,
                profile,
                from_version: to_version,
                to_version: from_version,
                ids,
                latest: None,
            },
            Self::LambdaConcurrency { function, from, to } => {
                Self::LambdaConcurrency { function, from: to, to: from }
            }
        })
    }
}

/// The last part of an ARN: `refunds:24` of `arn:aws:ecs:…:task-definition/refunds:24`.
pub fn short_arn(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}
