//! A function's own settings: environment, timeout, memory.
//!
//! Rule: Lambda replaces the environment whole, so only the plan's keys are put back over the map that is
//! there now; the revision that this map belongs to is the precondition.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use aws_sdk_lambda::types::{Environment, LastUpdateStatus};
use tokio::time::{Instant, sleep};

use super::{Obstacle, Outcome, State, compare, moved, outcome};
use crate::aws::clients::{Clients, Writer};
use crate::aws::errors::{ReadError, within};
use crate::domain::rollback::RollbackTarget;

/// How often an update that is in progress is looked at: Lambda takes one to a few seconds.
const LOOK_AGAIN: Duration = Duration::from_millis(300);

/// The parts of a function's step.
struct Step<'a> {
    function: &'a str,
    keys: &'a BTreeMap<String, (Option<String>, Option<String>)>,
    settings: &'a BTreeMap<String, (String, String)>,
    revision_id: &'a str,
}

impl<'a> Step<'a> {
    fn of(target: &'a RollbackTarget) -> Option<Self> {
        let RollbackTarget::LambdaConfiguration { function, keys, settings, revision_id } = target else {
            return None;
        };
        Some(Self { function, keys, settings, revision_id })
    }
}

/// The step with the revision that is there now.
pub(super) async fn prepare(
    clients: &Clients,
    target: &RollbackTarget,
    deadline: Instant,
) -> Result<RollbackTarget, Obstacle> {
    let Some(step) = Step::of(target) else {
        return Err(Obstacle::NotSupported { what: target.describe() });
    };
    let now = current(&clients.lambda, step.function, deadline).await?;
    if let Some(why) = now.encrypted.as_ref().filter(|_| !step.keys.is_empty()) {
        return Err(undecipherable(step.function, why).into());
    }
    let mut target = target.clone();
    if let RollbackTarget::LambdaConfiguration { revision_id, .. } = &mut target {
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

/// How the plan's values compare with those that are there.
fn state(step: &Step<'_>, now: &Current) -> State {
    let variables = step
        .keys
        .iter()
        .map(|(key, (from, to))| (key, now.environment.get(key).cloned(), from.clone(), to.clone()));
    let settings = step.settings.iter().map(|(key, (from, to))| {
        (key, now.settings.get(key.as_str()).cloned(), Some(from.clone()), Some(to.clone()))
    });
    compare(step.function, now.revision_id == step.revision_id, variables.chain(settings))
}

pub(super) async fn read_back(
    clients: &Clients,
    target: &RollbackTarget,
    deadline: Instant,
) -> Result<State, ReadError> {
    let Some(step) = Step::of(target) else { return Ok(State::Other { what: target.describe() }) };
    Ok(state(&step, &current(&clients.lambda, step.function, deadline).await?))
}

/// One call for variables and settings. The environment is replaced whole: by the map that is there now, with only
/// these keys put back.
pub(super) async fn apply(
    clients: &Clients,
    writer: &Writer,
    target: &RollbackTarget,
    deadline: Instant,
) -> Outcome {
    let Some(step) = Step::of(target) else {
        return Outcome::NotSupported { what: target.describe() };
    };
    let function = step.function;
    let mut call =
        writer.lambda.update_function_configuration().function_name(function).revision_id(step.revision_id);
    for (key, (_, to)) in step.settings {
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
    if !step.keys.is_empty() {
        let now = match current(&clients.lambda, function, deadline).await {
            Ok(now) => now,
            Err(error) => return Outcome::Refused { error },
        };
        if let Some(why) = &now.encrypted {
            return Outcome::Refused { error: undecipherable(function, why) };
        }
        if let Some(moved) = moved(state(&step, &now)) {
            return moved;
        }
        let mut variables = now.environment;
        for (key, (_, to)) in step.keys {
            match to {
                Some(value) => variables.insert(key.clone(), value.clone()),
                None => variables.remove(key),
            };
        }
        call = call.environment(Environment::builder().set_variables(Some(variables)).build());
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
