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
            Self::AppConfig { application, environment, deployment, .. } => format!(
                "aws appconfig stop-deployment --application-id {} --environment-id {} \
                 --deployment-number {deployment} --allow-revert",
                quote(application),
                quote(environment)
            ),
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
            Self::SsmParameter { name, .. } => {
                vec![format!("{name} gets a new version with its earlier value.")]
            }
            Self::AppConfig { profile, .. } => vec![format!("{profile} goes back to its earlier content.")],
            Self::LambdaConcurrency { .. } => {
                vec!["The function's concurrency limit changes at once.".into()]
            }
        }
    }

    /// What stays wrong although traffic is well again.
    pub fn stays_wrong(&self) -> Vec<String> {
        let source = "The source of the change (pipeline, Terraform, CloudFormation) still holds it: mend it there, \
                      or the next deployment brings it back.";
        match self {
            Self::LambdaAlias { from_version, .. } => {
                vec![format!("$LATEST and version {from_version} still hold the change."), source.into()]
            }
            _ => vec![source.into()],
        }
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
