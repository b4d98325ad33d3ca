//! An SSM parameter back to its earlier value.
//!
//! Rule: Parameter Store checks no version when it writes, so the version is looked at right before. A value
//! is written only where the parameter's own history holds it: a masked or cut value can never be put back.
//! A `SecureString` is refused: the bot neither reads nor writes secrets.

use aws_sdk_ssm::types::{Parameter, ParameterType};
use tokio::time::Instant;

use super::{Obstacle, Outcome, State, outcome};
use crate::aws::clients::{Clients, Writer};
use crate::aws::errors::{ReadError, within};
use crate::domain::rollback::RollbackTarget;

/// Versions that Parameter Store keeps, and asks for in pages of 50.
const PAGES: usize = 3;

/// The parts of a parameter's step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Write<'a> {
    pub name: &'a str,
    pub from_version: i64,
    pub from_value: Option<&'a str>,
    pub to_value: &'a str,
}

pub(super) async fn prepare(
    clients: &Clients,
    target: &RollbackTarget,
    step: Write<'_>,
    deadline: Instant,
) -> Result<RollbackTarget, Obstacle> {
    let now = current(clients, step.name, deadline).await?;
    if now.r#type() == Some(&ParameterType::SecureString) {
        let what = format!("{} is a SecureString; the bot neither reads nor writes secrets", step.name);
        return Err(Obstacle::NotSupported { what });
    }
    let mut token: Option<String> = None;
    for _ in 0..PAGES {
        let call = clients.ssm.get_parameter_history().name(step.name).set_next_token(token.take());
        let page = within(deadline, "ssm:GetParameterHistory", call.send()).await?;
        let mut earlier = page.parameters().iter().filter(|one| one.version() < step.from_version);
        if earlier.any(|one| one.value() == Some(step.to_value)) {
            return Ok(target.clone());
        }
        token = page.next_token().map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    Err(Obstacle::Gone { what: format!("no earlier version of {} holds that value any more", step.name) })
}

pub(super) async fn apply(clients: &Clients, writer: &Writer, step: Write<'_>, deadline: Instant) -> Outcome {
    match current(clients, step.name, deadline).await {
        Ok(now) if !is_unchanged(&now, step) => {
            return Outcome::Moved { what: format!("{} is at version {} by now", step.name, now.version()) };
        }
        Ok(_) => {}
        Err(error) => return Outcome::Refused { error },
    }
    let call = writer.ssm.put_parameter().name(step.name).value(step.to_value).overwrite(true);
    outcome(within(deadline, "ssm:PutParameter", call.send()).await, || step.name.to_owned())
}

pub(super) async fn read_back(
    clients: &Clients,
    step: Write<'_>,
    deadline: Instant,
) -> Result<State, ReadError> {
    let now = current(clients, step.name, deadline).await?;
    Ok(if is_unchanged(&now, step) {
        State::Unchanged
    } else if now.version() > step.from_version && now.value() == Some(step.to_value) {
        State::Restored
    } else {
        State::Other { what: format!("{} is at version {} with another value", step.name, now.version()) }
    })
}

fn is_unchanged(now: &Parameter, step: Write<'_>) -> bool {
    now.version() == step.from_version && step.from_value.is_none_or(|value| now.value() == Some(value))
}

async fn current(clients: &Clients, name: &str, deadline: Instant) -> Result<Parameter, ReadError> {
    let action = "ssm:GetParameter";
    let missing = || ReadError::NotFound {
        action: action.to_owned(),
        message: format!("there is no parameter {name}"),
    };
    // Without decryption: what is secret stays so.
    let call = clients.ssm.get_parameter().name(name);
    match within(deadline, action, call.send()).await {
        Ok(answer) => answer.parameter().cloned().ok_or_else(missing),
        Err(ReadError::Refused { code, .. }) if code == "ParameterNotFound" => Err(missing()),
        Err(error) => Err(error),
    }
}
