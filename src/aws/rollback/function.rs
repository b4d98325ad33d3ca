//! A function's own settings: environment, timeout, memory.
//!
//! Rule: Lambda replaces the environment whole, so only the plan's keys are put back over the map that is
//! there now; the revision that this map belongs to is the precondition.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use aws_sdk_lambda::types::{Environment, LastUpdateStatus};
use tokio::time::{Instant, sleep};

use super::{Obstacle, Outcome, outcome};
use crate::aws::clients::{Clients, Writer};
use crate::aws::errors::{ReadError, within};
use crate::domain::rollback::RollbackTarget;

/// How often an update that is in progress is looked at: Lambda takes one to a few seconds.
const LOOK_AGAIN: Duration = Duration::from_millis(300);

/// The step with the revision that is there now.
pub(super) async fn prepare(
    clients: &Clients,
    target: &RollbackTarget,
    deadline: Instant,
) -> Result<RollbackTarget, Obstacle> {
    let (RollbackTarget::LambdaEnvironment { function, .. }
    | RollbackTarget::LambdaSettings { function, .. }) = target
    else {
        return Err(Obstacle::NotSupported { what: target.describe() });
    };
    let now = current(&clients.lambda, function, deadline).await?;
    if let Some(why) = now.encrypted {
        return Err(undecipherable(function, &why).into());
    }
    let mut target = target.clone();
    if let RollbackTarget::LambdaEnvironment { revision_id, .. }
    | RollbackTarget::LambdaSettings { revision_id, .. } = &mut target
    {
        *revision_id = now.revision_id;
    }
    Ok(target)
}

fn undecipherable(function: &str, why: &str) -> ReadError {
    ReadError::Unreadable {
        action: "lambda:GetFunctionConfiguration".to_owned(),
        message: format!(
            "the environment of {function} cannot be decrypted, so it cannot be put back: {why}"
        ),
    }
}

/// `$LATEST` as it is now, as far as a rollback is concerned with it.
pub(super) struct Current {
    pub revision_id: String,
    pub environment: HashMap<String, String>,
    /// Why AWS could not decrypt the environment, where it could not.
    pub encrypted: Option<String>,
    pub settings: BTreeMap<&'static str, String>,
}

pub(super) async fn current(
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
pub(super) async fn restore_environment(
    clients: &Clients,
    writer: &Writer,
    function: &str,
    keys: &BTreeMap<String, (Option<String>, Option<String>)>,
    revision_id: &str,
    deadline: Instant,
) -> Outcome {
    let now = match current(&clients.lambda, function, deadline).await {
        Ok(now) => now,
        Err(error) => return Outcome::Refused { error },
    };
    if let Some(why) = now.encrypted {
        return Outcome::Refused { error: undecipherable(function, &why) };
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
    settle(clients, function, sent, deadline).await
}

pub(super) async fn restore_settings(
    clients: &Clients,
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
    settle(clients, function, sent, deadline).await
}

/// Waits until Lambda has finished an update that it took.
async fn settle(clients: &Clients, function: &str, sent: Outcome, deadline: Instant) -> Outcome {
    if sent != Outcome::Applied {
        return sent;
    }
    loop {
        let call = clients.lambda.get_function_configuration().function_name(function);
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
