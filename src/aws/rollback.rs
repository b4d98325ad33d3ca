//! Undoing a change: one reversible step, its precondition, and what is there afterwards.
//!
//! Rule: a change is sent exactly once. AWS checks the precondition (`RevisionId`), an answer that
//! never came is told as *unknown*, and only reading back tells what became of it.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use aws_sdk_lambda::types::{AliasRoutingConfiguration, Environment, LastUpdateStatus};
use tokio::time::{Instant, sleep};

use super::clients::{Clients, Writer};
use super::errors::{ReadError, within};
use crate::domain::rollback::RollbackTarget;

/// How often an update that is in progress is looked at: Lambda takes one to a few seconds.
const LOOK_AGAIN: Duration = Duration::from_millis(300);

/// What became of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// AWS carried it out.
    Applied,
    /// Something else changed in between: nothing was done, and the plan does not hold any more.
    Moved { what: String },
    /// No answer came: it may have been carried out or not. Reading back tells.
    Unknown { reason: String },
    /// Nothing was done, for this reason.
    Refused { error: ReadError },
    /// Nothing was done: this kind of change is not made by the bot.
    NotSupported { what: String },
}

/// What is there now, seen from a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// As the plan wants it.
    Restored,
    /// As it was when the plan was made.
    Unchanged,
    /// Neither.
    Other { what: String },
}

/// Makes the change, if what it starts from is still there.
pub async fn apply(writer: &Writer, target: &RollbackTarget, deadline: Instant) -> Outcome {
    match target {
        RollbackTarget::LambdaAlias { function, alias, to_version, revision_id, .. } => {
            let none = AliasRoutingConfiguration::builder()
                .set_additional_version_weights(Some(HashMap::new()))
                .build();
            let call = writer
                .lambda
                .update_alias()
                .function_name(function)
                .name(alias)
                .function_version(to_version)
                .routing_config(none)
                .revision_id(revision_id);
            outcome(within(deadline, "lambda:UpdateAlias", call.send()).await, || {
                format!("{function}:{alias}")
            })
        }
        RollbackTarget::LambdaEnvironment { function, keys, revision_id } => {
            environment(writer, function, keys, revision_id, deadline).await
        }
        RollbackTarget::LambdaSettings { function, settings, revision_id } => {
            restore_settings(writer, function, settings, revision_id, deadline).await
        }
        RollbackTarget::LambdaConcurrency { function, from, to } => {
            concurrency(writer, function, *from, *to, deadline).await
        }
        RollbackTarget::EcsService { .. }
        | RollbackTarget::SsmParameter { .. }
        | RollbackTarget::AppConfig { .. } => Outcome::NotSupported { what: target.describe() },
    }
}

/// What is there now. Restored means: as the plan wants it, whoever did it.
///
/// # Errors
/// When it cannot be read, and for kinds of change that the bot does not make.
pub async fn read_back(
    clients: &Clients,
    target: &RollbackTarget,
    deadline: Instant,
) -> Result<State, ReadError> {
    match target {
        RollbackTarget::LambdaAlias { function, alias, from_version, to_version, from_weights, .. } => {
            let call = clients.lambda.get_alias().function_name(function).name(alias);
            let answer = within(deadline, "lambda:GetAlias", call.send()).await?;
            let version = answer.function_version().unwrap_or_default();
            let routing = answer.routing_config().and_then(|routing| routing.additional_version_weights());
            let weights: BTreeMap<String, f64> =
                routing.into_iter().flatten().map(|(version, weight)| (version.clone(), *weight)).collect();
            Ok(if version == to_version && weights.is_empty() {
                State::Restored
            } else if version == from_version && weights == *from_weights {
                State::Unchanged
            } else {
                State::Other {
                    what: format!("{function}:{alias} is at version {version}{}", tell_weights(&weights)),
                }
            })
        }
        RollbackTarget::LambdaEnvironment { function, keys, .. } => {
            let now = current(&clients.lambda, function, deadline).await?;
            let value = |key: &String| now.environment.get(key).cloned();
            Ok(compare(
                function,
                keys.iter().map(|(key, (from, to))| (key, value(key), from.clone(), to.clone())),
            ))
        }
        RollbackTarget::LambdaSettings { function, settings, .. } => {
            let now = current(&clients.lambda, function, deadline).await?;
            let value = |key: &String| now.settings.get(key.as_str()).cloned();
            Ok(compare(
                function,
                settings
                    .iter()
                    .map(|(key, (from, to))| (key, value(key), Some(from.clone()), Some(to.clone()))),
            ))
        }
        RollbackTarget::LambdaConcurrency { function, from, to } => {
            let now = reserved(&clients.lambda, function, deadline).await?;
            let key = "ReservedConcurrentExecutions".to_owned();
            let text = |number: Option<i64>| number.map(|number| number.to_string());
            Ok(compare(function, [(&key, text(now), text(*from), text(*to))].into_iter()))
        }
        RollbackTarget::EcsService { .. }
        | RollbackTarget::SsmParameter { .. }
        | RollbackTarget::AppConfig { .. } => Err(ReadError::Refused {
            action: "reading back".to_owned(),
            code: "NotSupported".to_owned(),
            message: target.describe(),
        }),
    }
}

/// How the values there now compare with those of the plan: key, now, from, to.
fn compare<'a>(
    function: &str,
    keys: impl Iterator<Item = (&'a String, Option<String>, Option<String>, Option<String>)>,
) -> State {
    let (mut restored, mut unchanged, mut others) = (true, true, Vec::new());
    for (key, now, from, to) in keys {
        restored &= now == to;
        unchanged &= now == from;
        if now != to && now != from {
            others.push(key.as_str());
        }
    }
    if restored {
        State::Restored
    } else if unchanged {
        State::Unchanged
    } else if others.is_empty() {
        State::Other { what: format!("{function} is restored only in part") }
    } else {
        State::Other { what: format!("{function} has another value of {}", others.join(", ")) }
    }
}

fn tell_weights(weights: &BTreeMap<String, f64>) -> String {
    let each: Vec<String> = weights
        .iter()
        .map(|(version, weight)| {
            format!(", with {:.0} % of the traffic at version {version}", weight * 100.0)
        })
        .collect();
    each.concat()
}

/// Sorts the answers to a change. A refusal is certain; silence and a broken connection are not.
fn outcome<T>(answer: Result<T, ReadError>, what: impl Fn() -> String) -> Outcome {
    match answer {
        Ok(_) => Outcome::Applied,
        Err(ReadError::Refused { code, message, .. })
            if matches!(code.as_str(), "PreconditionFailedException" | "ResourceConflictException") =>
        {
            Outcome::Moved { what: format!("{} was changed in between: {message}", what()) }
        }
        Err(
            error @ (ReadError::TimedOut { .. }
            | ReadError::Unreachable { .. }
            | ReadError::Unreadable { .. }),
        ) => Outcome::Unknown { reason: error.to_string() },
        Err(error) => Outcome::Refused { error },
    }
}

/// `$LATEST` as it is now, as far as a rollback is concerned with it.
struct Current {
    revision_id: String,
    environment: HashMap<String, String>,
    /// Why AWS could not decrypt the environment, where it could not.
    encrypted: Option<String>,
    settings: BTreeMap<&'static str, String>,
}

async fn current(
    lambda: &aws_sdk_lambda::Client,
    function: &str,
    deadline: Instant,
) -> Result<Current, ReadError> {
    let call = lambda.get_function_configuration().function_name(function);
    let answer = within(deadline, "lambda:GetFunctionConfiguration", call.send()).await?;
    let settings = [
        ("Timeout", answer.timeout().map(|seconds| seconds.to_string())),
        ("MemorySize", answer.memory_size().map(|megabytes| megabytes.to_string())),
        ("Description", answer.description().map(str::to_owned)),
        ("Handler", answer.handler().map(str::to_owned)),
        ("Runtime", answer.runtime().map(|runtime| runtime.as_str().to_owned())),
        ("Role", answer.role().map(str::to_owned)),
    ];
    let environment = answer.environment();
    Ok(Current {
        revision_id: answer.revision_id().unwrap_or_default().to_owned(),
        environment: environment.and_then(|environment| environment.variables()).cloned().unwrap_or_default(),
        encrypted: environment
            .and_then(|environment| environment.error())
            .map(|error| error.message().unwrap_or("no reason given").to_owned()),
        settings: settings.into_iter().filter_map(|(key, value)| Some((key, value?))).collect(),
    })
}

/// The environment is replaced whole: the map that is there now, with only these keys put back.
async fn environment(
    writer: &Writer,
    function: &str,
    keys: &BTreeMap<String, (Option<String>, Option<String>)>,
    revision_id: &str,
    deadline: Instant,
) -> Outcome {
    let now = match current(&writer.lambda, function, deadline).await {
        Ok(now) => now,
        Err(error) => return Outcome::Refused { error },
    };
    if let Some(why) = now.encrypted {
        let message =
            format!("the environment of {function} cannot be decrypted, so it cannot be put back: {why}");
        return Outcome::Refused {
            error: ReadError::Unreadable { action: "lambda:GetFunctionConfiguration".to_owned(), message },
        };
    }
    if now.revision_id != revision_id {
        return Outcome::Moved { what: format!("{function} was changed in between") };
    }
    for (key, (from, _)) in keys {
        if now.environment.get(key) != from.as_ref() {
            return Outcome::Moved { what: format!("{function} has another value of {key}") };
        }
    }
    let mut variables = now.environment;
    for (key, (_, to)) in keys {
        match to {
            Some(value) => variables.insert(key.clone(), value.clone()),
            None => variables.remove(key),
        };
    }
    let call = writer
        .lambda
        .update_function_configuration()
        .function_name(function)
        .environment(Environment::builder().set_variables(Some(variables)).build())
        .revision_id(revision_id);
    let sent = outcome(within(deadline, "lambda:UpdateFunctionConfiguration", call.send()).await, || {
        function.to_owned()
    });
    settle(writer, function, sent, deadline).await
}

async fn restore_settings(
    writer: &Writer,
    function: &str,
    settings: &BTreeMap<String, (String, String)>,
    revision_id: &str,
    deadline: Instant,
) -> Outcome {
    let mut call =
        writer.lambda.update_function_configuration().function_name(function).revision_id(revision_id);
    for (key, (_, to)) in settings {
        call = match (key.as_str(), to.parse::<i32>()) {
            ("Timeout", Ok(seconds)) => call.timeout(seconds),
            ("MemorySize", Ok(megabytes)) => call.memory_size(megabytes),
            ("Description", _) => call.description(to),
            ("Handler", _) => call.handler(to),
            ("Runtime", _) => call.runtime(to.as_str().into()),
            ("Role", _) => call.role(to),
            _ => return Outcome::NotSupported { what: format!("{function}: {key} back to {to}") },
        };
    }
    let sent = outcome(within(deadline, "lambda:UpdateFunctionConfiguration", call.send()).await, || {
        function.to_owned()
    });
    settle(writer, function, sent, deadline).await
}

/// Waits until Lambda has finished an update that it took.
async fn settle(writer: &Writer, function: &str, sent: Outcome, deadline: Instant) -> Outcome {
    if sent != Outcome::Applied {
        return sent;
    }
    loop {
        let call = writer.lambda.get_function_configuration().function_name(function);
        match within(deadline, "lambda:GetFunctionConfiguration", call.send()).await {
            Ok(answer) => match answer.last_update_status() {
                Some(LastUpdateStatus::InProgress) => {}
                Some(LastUpdateStatus::Failed) => {
                    let why = answer.last_update_status_reason().unwrap_or("no reason given");
                    return Outcome::Unknown {
                        reason: format!("Lambda took the update and then failed: {why}"),
                    };
                }
                _ => return Outcome::Applied,
            },
            Err(error) => {
                return Outcome::Unknown {
                    reason: format!("Lambda took the update; whether it finished: {error}"),
                };
            }
        }
        if Instant::now() + LOOK_AGAIN > deadline {
            return Outcome::Unknown {
                reason: "Lambda took the update and has not finished it in time".to_owned(),
            };
        }
        sleep(LOOK_AGAIN).await;
    }
}

async fn reserved(
    lambda: &aws_sdk_lambda::Client,
    function: &str,
    deadline: Instant,
) -> Result<Option<i64>, ReadError> {
    let call = lambda.get_function_concurrency().function_name(function);
    let answer = within(deadline, "lambda:GetFunctionConcurrency", call.send()).await?;
    Ok(answer.reserved_concurrent_executions().map(i64::from))
}

/// Lambda checks no revision here, so the value is looked at right before.
async fn concurrency(
    writer: &Writer,
    function: &str,
    from: Option<i64>,
    to: Option<i64>,
    deadline: Instant,
) -> Outcome {
    match reserved(&writer.lambda, function, deadline).await {
        Ok(now) if now != from => {
            return Outcome::Moved {
                what: format!("the reserved concurrency of {function} was changed in between"),
            };
        }
        Ok(_) => {}
        Err(error) => return Outcome::Refused { error },
    }
    let what = || function.to_owned();
    if let Some(reserved) = to {
        let reserved = i32::try_from(reserved).unwrap_or(i32::MAX);
        let call = writer.lambda.put_function_concurrency().function_name(function);
        let call = call.reserved_concurrent_executions(reserved);
        outcome(within(deadline, "lambda:PutFunctionConcurrency", call.send()).await, what)
    } else {
        let call = writer.lambda.delete_function_concurrency().function_name(function);
        outcome(within(deadline, "lambda:DeleteFunctionConcurrency", call.send()).await, what)
    }
}
