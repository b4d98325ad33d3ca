//! What undoing a change means, exactly: resource, from, to, and the precondition that AWS checks.
//!
//! The rule that is not obvious: a step that is read off the evidence lacks what only a look at AWS gives
//! (revision ids, ids for names); `aws::rollback::prepare` fills these in before anybody is asked.

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
            Self::EcsService { cluster, service, from_task_definition, to_task_definition, .. } => format!(
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
            Self::AppConfigVersion {
                application, environment, profile, from_version, to_version, ..
            } => {
                format!("{application}/{environment}/{profile} from version {from_version} to {to_version}")
            }
            Self::LambdaConcurrency { function, to, .. } => match to {
                Some(to) => format!("{function}: reserved concurrency {to}"),
                None => format!("{function}: no reserved concurrency"),
            },
        }
    }
}

impl RollbackTarget {
    /// The same step by hand: a command for the `aws` command line, for people who want to see or
    /// run it themselves.
    pub fn as_command(&self) -> String {
        match self {
            Self::LambdaAlias { function, alias, to_version, revision_id, .. } => format!(
                "aws lambda update-alias --function-name {} --name {} --function-version {} \
                 --routing-config 'AdditionalVersionWeights={{}}' --revision-id {}",
                quote(function),
                quote(alias),
                quote(to_version),
                quote(revision_id)
            ),
            Self::LambdaEnvironment { function, keys, revision_id } => {
                let mut edit = String::new();
                for (key, (_, to)) in keys {
                    let key = serde_json::Value::from(key.as_str());
                    match to {
                        Some(value) => {
                            edit.push_str(&format!(
                                " | .[{key}] = {}",
                                serde_json::Value::from(value.as_str())
                            ));
                        }
                        None => edit.push_str(&format!(" | del(.[{key}])")),
                    }
                }
                let function = quote(function);
                let filter = quote(&format!(".Environment.Variables{edit} | {{Variables: .}}"));
                format!(
                    "aws lambda update-function-configuration --function-name {function} --revision-id {} \
                     --environment \"$(aws lambda get-function-configuration --function-name {function} | jq -c {filter})\"",
                    quote(revision_id)
                )
            }
            Self::LambdaSettings { function, settings, revision_id } => {
                let mut command = format!(
                    "aws lambda update-function-configuration --function-name {} --revision-id {}",
                    quote(function),
                    quote(revision_id)
                );
                for (key, (_, to)) in settings {
                    command.push_str(&format!(" --{} {}", kebab(key), quote(to)));
                }
                command
            }
            Self::EcsService { deployment: Some(deployment), .. } => format!(
                "aws ecs stop-service-deployment --service-deployment-arn {} --stop-type ROLLBACK",
                quote(deployment)
            ),
            Self::EcsService { cluster, service, to_task_definition, .. } => format!(
                "aws ecs update-service --cluster {} --service {} --task-definition {}",
                quote(cluster),
                quote(service),
                quote(short_arn(to_task_definition))
            ),
            Self::SsmParameter { name, to_value, .. } => {
                format!(
                    "aws ssm put-parameter --name {} --value {} --overwrite",
                    quote(name),
                    quote(to_value)
                )
            }
            Self::AppConfig { application, environment, deployment, ids, .. } => {
                let (application, environment) = ids
                    .as_ref()
                    .map_or((application, environment), |ids| (&ids.application, &ids.environment));
                format!(
                    "aws appconfig stop-deployment --application-id {} --environment-id {} \
                     --deployment-number {deployment} --allow-revert",
                    quote(application),
                    quote(environment)
                )
            }
            Self::AppConfigVersion { to_version, ids, latest, .. } => {
                let mut command = format!(
                    "aws appconfig start-deployment --application-id {} --environment-id {} \
                     --configuration-profile-id {} --configuration-version {} --deployment-strategy-id {ALL_AT_ONCE}",
                    quote(&ids.application),
                    quote(&ids.environment),
                    quote(&ids.profile),
                    quote(to_version)
                );
                if let Some(latest) = latest {
                    command.push_str(&format!(" --latest-deployment-number {latest}"));
                }
                command
            }
            Self::LambdaConcurrency { function, to, .. } => match to {
                Some(to) => format!(
                    "aws lambda put-function-concurrency --function-name {} --reserved-concurrent-executions {to}",
                    quote(function)
                ),
                None => format!("aws lambda delete-function-concurrency --function-name {}", quote(function)),
            },
        }
    }

    /// What will be different afterwards, a sentence each.
    pub fn effects(&self) -> Vec<String> {
        match self {
            Self::LambdaAlias { alias, to_version, from_weights, .. } => {
                let mut effects = vec![format!("All traffic through {alias} goes to version {to_version}.")];
                if !from_weights.is_empty() {
                    effects.push("The alias's routing weights are cleared.".into());
                }
                effects
            }
            Self::LambdaEnvironment { keys, .. } => keys
                .iter()
                .map(|(key, (from, to))| {
                    let side = |value: &Option<String>| value.clone().unwrap_or_else(|| "unset".into());
                    format!("{key} goes from {} to {}.", side(from), side(to))
                })
                .collect(),
            Self::LambdaSettings { settings, .. } => {
                settings.iter().map(|(key, (from, to))| format!("{key} goes from {from} to {to}.")).collect()
            }
            Self::EcsService { service, to_task_definition, .. } => {
                vec![format!(
                    "{service} starts tasks of {} and drains the others.",
                    short_arn(to_task_definition)
                )]
            }
            Self::SsmParameter { name, from_value, to_value, .. } => {
                let from = from_value.as_ref().map(|value| format!(" from {value}")).unwrap_or_default();
                vec![format!("{name} goes{from} to {to_value}, in a new version.")]
            }
            Self::AppConfig { profile, .. } => vec![format!("{profile} goes back to its earlier content.")],
            Self::AppConfigVersion { profile, to_version, .. } => {
                vec![format!("{profile} serves version {to_version} everywhere at once.")]
            }
            Self::LambdaConcurrency { .. } => {
                vec!["The function's concurrency limit changes at once.".into()]
            }
        }
    }

    /// What stays wrong although traffic is well again.
    pub fn stays_wrong(&self) -> Vec<String> {
        let source = "The source of the change (pipeline, Terraform, CloudFormation) still holds it: mend it there, \
                      or the next deployment brings it back.";
        let mut wrong = match self {
            Self::LambdaAlias { from_version, .. } => {
                vec![format!("$LATEST and version {from_version} still hold the change.")]
            }
            Self::LambdaEnvironment { keys, .. } => {
                let each: Vec<String> = keys
                    .iter()
                    .filter_map(|(key, (from, _))| Some(format!("{key}={}", from.as_deref()?)))
                    .collect();
                if each.is_empty() {
                    Vec::new()
                } else {
                    vec![format!("Versions published since still hold {}.", each.join(", "))]
                }
            }
            Self::EcsService { from_task_definition, .. } => {
                vec![format!(
                    "{} stays registered and is the newest revision: whoever starts the family without a number \
                     gets it.",
                    short_arn(from_task_definition)
                )]
            }
            Self::SsmParameter { name, from_version, .. } => {
                vec![format!(
                    "{name} keeps version {from_version} in its history, and processes that read it once at their \
                     start keep its value until they start again."
                )]
            }
            Self::AppConfig { profile, .. } | Self::AppConfigVersion { profile, .. } => {
                vec![format!(
                    "{profile} keeps the other version; clients take up the change at their next poll."
                )]
            }
            Self::LambdaSettings { .. } | Self::LambdaConcurrency { .. } => Vec::new(),
        };
        wrong.push(source.into());
        wrong
    }

    /// What must still hold when it is carried out, a sentence each.
    pub fn preconditions(&self) -> Vec<String> {
        match self {
            Self::LambdaAlias { function, alias, from_version, to_version, revision_id, .. } => vec![
                format!("{function}:{alias} is at version {from_version}, revision {revision_id}."),
                format!("Version {to_version} exists and can be started."),
            ],
            Self::LambdaEnvironment { function, keys, revision_id } => vec![
                format!("{function} is at revision {revision_id}."),
                format!(
                    "{} still {} what the plan names.",
                    keys.keys().map(String::as_str).collect::<Vec<_>>().join(", "),
                    if keys.len() == 1 { "holds" } else { "hold" }
                ),
            ],
            Self::LambdaSettings { function, revision_id, .. } => {
                vec![format!("{function} is at revision {revision_id}.")]
            }
            Self::EcsService {
                service,
                from_task_definition,
                to_task_definition,
                deployment,
                primary,
                ..
            } => {
                let by = primary.as_ref().map(|id| format!(", by deployment {id}")).unwrap_or_default();
                let mut all = vec![
                    format!("{service} is at {}{by}.", short_arn(from_task_definition)),
                    format!("{} is ACTIVE.", short_arn(to_task_definition)),
                ];
                if deployment.is_some() {
                    all.push("Its deployment is still in progress.".into());
                }
                all
            }
            Self::SsmParameter { name, from_version, .. } => {
                vec![format!("{name} is at version {from_version}.")]
            }
            Self::AppConfig { deployment, .. } => {
                vec![format!("Deployment {deployment} is the newest, and not older than 72 hours.")]
            }
            Self::AppConfigVersion { from_version, latest, .. } => {
                let mut all =
                    vec![format!("Version {from_version} is served, and no deployment is going on.")];
                if let Some(latest) = latest {
                    all.push(format!("Deployment {latest} is the environment's newest."));
                }
                all
            }
            Self::LambdaConcurrency { function, from, .. } => vec![match from {
                Some(from) => format!("{function} has a reserved concurrency of {from}."),
                None => format!("{function} has no reserved concurrency."),
            }],
        }
    }

    /// The call that changes something, as IAM names it.
    pub fn call(&self) -> &'static str {
        match self {
            Self::LambdaAlias { .. } => "lambda:UpdateAlias",
            Self::LambdaEnvironment { .. } | Self::LambdaSettings { .. } => {
                "lambda:UpdateFunctionConfiguration"
            }
            Self::EcsService { deployment: Some(_), .. } => "ecs:StopServiceDeployment",
            Self::EcsService { deployment: None, .. } => "ecs:UpdateService",
            Self::SsmParameter { .. } => "ssm:PutParameter",
            Self::AppConfig { .. } => "appconfig:StopDeployment",
            Self::AppConfigVersion { .. } => "appconfig:StartDeployment",
            Self::LambdaConcurrency { to: Some(_), .. } => "lambda:PutFunctionConcurrency",
            Self::LambdaConcurrency { to: None, .. } => "lambda:DeleteFunctionConcurrency",
        }
    }

    /// The same with each value as it may be shown: `show` gets a key (a parameter's name) and its value.
    #[must_use]
    pub fn shown(&self, show: &dyn Fn(&str, &str) -> String) -> Self {
        let mut shown = self.clone();
        match &mut shown {
            Self::LambdaEnvironment { keys, .. } => {
                for (key, (from, to)) in keys {
                    for side in [from, to] {
                        *side = side.as_deref().map(|value| show(key, value));
                    }
                }
            }
            Self::LambdaSettings { settings, .. } => {
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
            Self::LambdaEnvironment { function, .. } | Self::LambdaSettings { function, .. } => {
                format!("lambda {function}")
            }
            Self::LambdaConcurrency { function, .. } => format!("lambda concurrency {function}"),
            Self::EcsService { cluster, service, .. } => format!("ecs {cluster}/{service}"),
            Self::SsmParameter { name, .. } => format!("ssm {name}"),
            Self::AppConfig { application, environment, profile, .. }
            | Self::AppConfigVersion { application, environment, profile, .. } => {
                format!("appconfig {application}/{environment}/{profile}")
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
            Self::LambdaEnvironment { .. } | Self::LambdaSettings { .. } => "lambda:GetFunctionConfiguration",
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
        let swap = |pair: &(String, String)| (pair.1.clone(), pair.0.clone());
        Ok(match self.clone() {
            Self::LambdaAlias { function, alias, from_version, to_version, from_weights, revision_id } => {
                if !from_weights.is_empty() {
                    return Err("The alias's earlier routing weights are not put back by the bot.".into());
                }
                Self::LambdaAlias {
                    function,
                    alias,
                    from_version: to_version,
                    to_version: from_version,
                    from_weights,
                    revision_id,
                }
            }
            Self::LambdaEnvironment { function, keys, revision_id } => Self::LambdaEnvironment {
                function,
                keys: keys.into_iter().map(|(key, (from, to))| (key, (to, from))).collect(),
                revision_id,
            },
            Self::LambdaSettings { function, settings, revision_id } => Self::LambdaSettings {
                function,
                settings: settings.iter().map(|(key, pair)| (key.clone(), swap(pair))).collect(),
                revision_id,
            },
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

/// One argument for a POSIX shell.
fn quote(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@,=+".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// `MemorySize` as the command line spells it: `memory-size`.
fn kebab(name: &str) -> String {
    let mut kebab = String::new();
    for (index, character) in name.chars().enumerate() {
        if character.is_ascii_uppercase() && index > 0 {
            kebab.push('-');
        }
        kebab.push(character.to_ascii_lowercase());
    }
    kebab
}

/// The last part of an ARN: `refunds:24` of `arn:aws:ecs:…:task-definition/refunds:24`.
pub fn short_arn(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_safe_to_paste() {
        let target = RollbackTarget::SsmParameter {
            name: "/checkout/limit".into(),
            from_version: 2,
            from_value: None,
            to_value: "5'; rm -rf /".into(),
        };
        assert_eq!(
            target.as_command(),
            "aws ssm put-parameter --name /checkout/limit --value '5'\\''; rm -rf /' --overwrite"
        );
    }

    #[test]
    fn settings_are_spelt_as_the_command_line_does() {
        let settings = [("MemorySize".to_owned(), ("128".to_owned(), "512".to_owned()))].into();
        let target =
            RollbackTarget::LambdaSettings { function: "f".into(), settings, revision_id: "r".into() };
        assert!(target.as_command().ends_with("--memory-size 512"), "{}", target.as_command());
    }

    #[test]
    fn an_alias_says_what_stays_wrong() {
        let target = RollbackTarget::LambdaAlias {
            function: "checkout".into(),
            alias: "live".into(),
            from_version: "39".into(),
            to_version: "38".into(),
            from_weights: BTreeMap::new(),
            revision_id: "r".into(),
        };
        assert!(target.stays_wrong()[0].contains("$LATEST"));
        assert_eq!(target.effects(), ["All traffic through live goes to version 38."]);
    }
}
