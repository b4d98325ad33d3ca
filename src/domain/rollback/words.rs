//! What a step is called, what it does and what it needs, in words; and the same by hand, as a command.
//!
//! The rule that is not obvious: whoever shows these makes them of values that may be shown, see
//! [`RollbackTarget::shown`]; here nothing is masked.

use std::collections::BTreeMap;

use super::{ALL_AT_ONCE, RollbackTarget, short_arn};

impl RollbackTarget {
    /// What it goes back to, in a few words: the `action.target` of a report.
    pub fn describe(&self) -> String {
        match self {
            Self::LambdaAlias {
                function, alias, from_version, to_version, from_weights, to_weights, ..
            } => {
                format!(
                    "{function}:{alias} from version {from_version}{} to version {to_version}{}",
                    beside(from_weights),
                    beside(to_weights)
                )
            }
            Self::LambdaConfiguration { function, keys, settings, .. } => {
                let mut each: Vec<String> =
                    settings.iter().map(|(key, (from, to))| format!("{key} {from} to {to}")).collect();
                if !keys.is_empty() {
                    let keys: Vec<&str> = keys.keys().map(String::as_str).collect();
                    each.insert(0, format!("environment variables {}", keys.join(", ")));
                }
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

    /// The same step by hand: a command for the `aws` command line, for people who want to see or
    /// run it themselves.
    pub fn as_command(&self) -> String {
        match self {
            Self::LambdaAlias { function, alias, to_version, to_weights, revision_id, .. } => {
                let weights: Vec<String> =
                    to_weights.iter().map(|(version, weight)| format!("\"{version}\"={weight}")).collect();
                format!(
                    "aws lambda update-alias --function-name {} --name {} --function-version {} \
                     --routing-config {} --revision-id {}",
                    quote(function),
                    quote(alias),
                    quote(to_version),
                    quote(&format!("AdditionalVersionWeights={{{}}}", weights.join(","))),
                    quote(revision_id)
                )
            }
            Self::LambdaConfiguration { function, keys, settings, revision_id } => {
                let function = quote(function);
                let mut command = format!(
                    "aws lambda update-function-configuration --function-name {function} --revision-id {}",
                    quote(revision_id)
                );
                for (key, (_, to)) in settings {
                    command.push_str(&format!(" --{} {}", kebab(key), quote(to)));
                }
                if !keys.is_empty() {
                    let filter = quote(&format!(".Environment.Variables{} | {{Variables: .}}", edit(keys)));
                    command.push_str(&format!(
                        " --environment \"$(aws lambda get-function-configuration --function-name {function} \
                         | jq -c {filter})\""
                    ));
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

    /// The same for a time whose revision nobody knows yet.
    pub fn without_revision(&self) -> String {
        let command = self.as_command();
        let Some((before, after)) = command.split_once(" --revision-id ") else { return command };
        // A revision is one word.
        let rest = after.find(' ').map_or("", |end| &after[end..]);
        format!("{before}{rest}")
    }

    /// What will be different afterwards, a sentence each.
    pub fn effects(&self) -> Vec<String> {
        match self {
            Self::LambdaAlias { alias, to_version, from_weights, to_weights, .. } => {
                if !to_weights.is_empty() {
                    let shares = shares(to_weights);
                    return vec![format!(
                        "The traffic through {alias} goes by shares: {shares}, the rest to version {to_version}."
                    )];
                }
                let mut effects = vec![format!("All traffic through {alias} goes to version {to_version}.")];
                if !from_weights.is_empty() {
                    effects.push("The alias's routing weights are cleared.".into());
                }
                effects
            }
            Self::LambdaConfiguration { keys, settings, .. } => {
                let variables =
                    keys.iter().map(|(key, (from, to))| goes(key, from.as_deref(), to.as_deref()));
                let settings = settings.iter().map(|(key, (from, to))| goes(key, Some(from), Some(to)));
                variables.chain(settings).collect()
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
            Self::LambdaAlias { from_version, to_version, from_weights, to_weights, .. } => {
                let left = std::iter::once(from_version)
                    .chain(from_weights.keys())
                    .filter(|version| *version != to_version && !to_weights.contains_key(*version));
                let left: Vec<String> = left.map(|version| format!("version {version}")).collect();
                if left.is_empty() {
                    Vec::new()
                } else {
                    vec![format!("$LATEST and {} still hold the change.", left.join(" and "))]
                }
            }
            Self::LambdaConfiguration { keys, settings, .. } => {
                let variables =
                    keys.iter().filter_map(|(key, (from, _))| Some(format!("{key}={}", from.as_deref()?)));
                let settings = settings.iter().map(|(key, (from, _))| format!("{key}={from}"));
                let each: Vec<String> = variables.chain(settings).collect();
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
            Self::LambdaConcurrency { .. } => Vec::new(),
        };
        wrong.push(source.into());
        wrong
    }

    /// What must still hold when it is carried out, a sentence each.
    pub fn preconditions(&self) -> Vec<String> {
        match self {
            Self::LambdaAlias {
                function,
                alias,
                from_version,
                to_version,
                from_weights,
                to_weights,
                revision_id,
            } => {
                let mut all = vec![format!(
                    "{function}:{alias} is at version {from_version}{}, revision {revision_id}.",
                    beside(from_weights)
                )];
                let starts = std::iter::once(to_version).chain(to_weights.keys());
                all.extend(starts.map(|version| format!("Version {version} exists and can be started.")));
                all
            }
            Self::LambdaConfiguration { function, keys, settings, revision_id } => {
                let named: Vec<&str> = keys.keys().chain(settings.keys()).map(String::as_str).collect();
                vec![
                    format!("{function} is at revision {revision_id}."),
                    format!(
                        "{} still {} what the plan names.",
                        named.join(", "),
                        if named.len() == 1 { "holds" } else { "hold" }
                    ),
                ]
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
}

/// A value that changes, as a sentence; a side without a value is one that is not set.
pub(in crate::domain) fn goes(key: &str, from: Option<&str>, to: Option<&str>) -> String {
    format!("{key} goes from {} to {}.", from.unwrap_or("unset"), to.unwrap_or("unset"))
}

/// The additional weights of an alias, after its version: ` (5 % to version 38)`.
fn beside(weights: &BTreeMap<String, f64>) -> String {
    if weights.is_empty() { String::new() } else { format!(" ({})", shares(weights)) }
}

fn shares(weights: &BTreeMap<String, f64>) -> String {
    let each = weights.iter().map(|(version, weight)| format!("{} % to version {version}", weight * 100.0));
    each.collect::<Vec<_>>().join(", ")
}

/// What `jq` does to a map of variables to put these keys back.
fn edit(keys: &BTreeMap<String, (Option<String>, Option<String>)>) -> String {
    let each = keys.iter().map(|(key, (_, to))| {
        let key = serde_json::Value::from(key.as_str());
        match to {
            Some(value) => format!(" | .[{key}] = {}", serde_json::Value::from(value.as_str())),
            None => format!(" | del(.[{key}])"),
        }
    });
    each.collect()
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
        let target = RollbackTarget::LambdaConfiguration {
            function: "f".into(),
            keys: BTreeMap::new(),
            settings,
            revision_id: "r".into(),
        };
        assert!(target.as_command().ends_with("--memory-size 512"), "{}", target.as_command());
    }

    #[test]
    fn a_command_for_later_names_no_revision() {
        let alias = RollbackTarget::LambdaAlias {
            function: "f".into(),
            alias: "live".into(),
            from_version: "2".into(),
            to_version: "1".into(),
            from_weights: BTreeMap::new(),
            to_weights: BTreeMap::new(),
            revision_id: "r-1".into(),
        };
        assert!(alias.as_command().contains("r-1") && !alias.without_revision().contains("revision"));
        let configuration = RollbackTarget::LambdaConfiguration {
            function: "f".into(),
            keys: BTreeMap::new(),
            settings: [("Timeout".to_owned(), ("3".to_owned(), "10".to_owned()))].into(),
            revision_id: "r-1".into(),
        };
        let later = "aws lambda update-function-configuration --function-name f --timeout 10";
        assert_eq!(configuration.without_revision(), later);
    }

    #[test]
    fn an_alias_says_what_stays_wrong() {
        let target = RollbackTarget::LambdaAlias {
            function: "checkout".into(),
            alias: "live".into(),
            from_version: "39".into(),
            to_version: "38".into(),
            from_weights: BTreeMap::new(),
            to_weights: BTreeMap::new(),
            revision_id: "r".into(),
        };
        assert!(target.stays_wrong()[0].contains("$LATEST"));
        assert_eq!(target.effects(), ["All traffic through live goes to version 38."]);
    }

    #[test]
    fn a_share_of_the_traffic_is_told_and_typed() {
        let canary = RollbackTarget::LambdaAlias {
            function: "checkout".into(),
            alias: "live".into(),
            from_version: "38".into(),
            to_version: "38".into(),
            from_weights: [("39".to_owned(), 0.1)].into(),
            to_weights: BTreeMap::new(),
            revision_id: "r".into(),
        };
        assert_eq!(canary.describe(), "checkout:live from version 38 (10 % to version 39) to version 38");
        assert!(canary.stays_wrong()[0].contains("version 39"), "{:?}", canary.stays_wrong());
        let back = canary.reversed().unwrap();
        assert!(
            back.as_command().contains("'AdditionalVersionWeights={\"39\"=0.1}'"),
            "{}",
            back.as_command()
        );
        assert_eq!(
            back.effects(),
            ["The traffic through live goes by shares: 10 % to version 39, the rest to version 38."]
        );
        assert_eq!(back.reversed().unwrap(), canary);
    }

    #[test]
    fn variables_and_settings_go_back_by_one_command() {
        let target = RollbackTarget::LambdaConfiguration {
            function: "f".into(),
            keys: [("POOL".to_owned(), (Some("5".to_owned()), None))].into(),
            settings: [("Timeout".to_owned(), ("3".to_owned(), "10".to_owned()))].into(),
            revision_id: "r".into(),
        };
        assert_eq!(target.effects(), ["POOL goes from 5 to unset.", "Timeout goes from 3 to 10."]);
        let command = target.as_command();
        assert_eq!(command.matches("update-function-configuration").count(), 1, "{command}");
        assert!(command.contains("--timeout 10") && command.contains("del(.[\"POOL\"])"), "{command}");
    }

    #[test]
    fn a_plan_of_an_earlier_release_is_read() {
        let stored =
            r#"{"kind":"lambda_environment","function":"f","keys":{"A":["1","2"]},"revision_id":"r"}"#;
        let target: RollbackTarget = serde_json::from_str(stored).unwrap();
        assert_eq!(target.effects(), ["A goes from 1 to 2."]);
    }
}
