//! An SSM parameter back to its earlier value.
//!
//! Rule: Parameter Store checks no version when it writes, so the version is looked at right before. A value
//! is written only where the parameter's own history holds it: a masked or cut value can never be put back.
//! A `SecureString` is refused: the bot neither reads nor writes secrets.

use aws_sdk_ssm::types::{Parameter, ParameterType};
use tokio::time::Instant;

use super::{Obstacle, Outcome, State, Traced, outcome};
use crate::aws::clients::{Clients, Writer};
use crate::aws::errors::{ReadError, within};
use crate::domain::execution::Hand;
use crate::domain::rollback::RollbackTarget;

/// Versions that Parameter Store keeps, and asks for in pages of 50.
const PAGES: usize = 3;

/// The parts of a parameter's step.
#[derive(Debug, Clone, Copy)]
struct Write<'a> {
    name: &'a str,
    from_version: i64,
    from_value: Option<&'a str>,
    to_value: &'a str,
}

impl<'a> Write<'a> {
    fn of(target: &'a RollbackTarget) -> Option<Self> {
        let RollbackTarget::SsmParameter { name, from_version, from_value, to_value } = target else {
            return None;
        };
        Some(Self { name, from_version: *from_version, from_value: from_value.as_deref(), to_value })
    }
}

pub(super) async fn prepare(
    clients: &Clients,
    target: &RollbackTarget,
    deadline: Instant,
) -> Result<RollbackTarget, Obstacle> {
    let Some(step) = Write::of(target) else {
        return Err(Obstacle::NotSupported { what: target.describe() });
    };
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

pub(super) async fn apply(writer: &Writer, target: &RollbackTarget, deadline: Instant) -> Outcome {
    let Some(step) = Write::of(target) else {
        return Outcome::NotSupported { what: target.describe() };
    };
    let call = writer.ssm.put_parameter().name(step.name).value(step.to_value).overwrite(true);
    outcome(within(deadline, "ssm:PutParameter", call.send()).await, || step.name.to_owned())
}

pub(super) async fn read_back(
    clients: &Clients,
    target: &RollbackTarget,
    deadline: Instant,
) -> Result<State, ReadError> {
    let Some(step) = Write::of(target) else { return Ok(State::Other { what: target.describe() }) };
    let now = current(clients, step.name, deadline).await?;
    Ok(if is_unchanged(&now, step) {
        State::Unchanged
    } else if now.version() > step.from_version && now.value() == Some(step.to_value) {
        State::Restored
    } else {
        State::Other { what: format!("{} is at version {} with another value", step.name, now.version()) }
    })
}

/// Whose version came after the plan's: Parameter Store keeps the author of each.
pub(super) async fn written_by(
    clients: &Clients,
    target: &RollbackTarget,
    session: Option<&str>,
    deadline: Instant,
) -> Result<Traced, ReadError> {
    let unknown = |told: String| Traced { hand: Hand::Unknown, told };
    let Some(step) = Write::of(target) else { return Ok(unknown(target.describe())) };
    // Without a role for writing it is the bot's own identity that writes.
    let own = match session {
        Some(session) => format!("/{session}"),
        None => clients.caller(deadline).await?.arn,
    };
    let (mut token, mut newest) = (None::<String>, None);
    for _ in 0..PAGES {
        let call = clients.ssm.get_parameter_history().name(step.name).set_next_token(token.take());
        let page = within(deadline, "ssm:GetParameterHistory", call.send()).await?;
        for one in page.parameters().iter().filter(|one| one.version() > step.from_version) {
            let author = one.last_modified_user().unwrap_or("nobody that Parameter Store names");
            let told = format!("version {} was written by {author}", one.version());
            if author.ends_with(&own) {
                return Ok(Traced { hand: Hand::Ours, told });
            }
            newest = Some(told);
        }
        token = page.next_token().map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    Ok(match newest {
        Some(told) => Traced { hand: Hand::Another, told },
        None => unknown(format!("{} has no version after the plan's", step.name)),
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
        Err(ReadError::NotFound { .. }) => Err(missing()),
        Err(error) => Err(error),
    }
}
