//! Undoing a change: prepare, apply, read back, one file for each kind of resource.
//!
//! Rule: a change is sent exactly once. What it starts from is looked at before anybody is asked and
//! again before it is sent; AWS checks the precondition where it can (`RevisionId`); an answer that
//! never came is told as *unknown*, and only reading back tells what became of it.

mod alias;
mod concurrency;
mod configuration;
mod function;
mod hand;
mod parameter;
mod service;

use jiff::Timestamp;
use tokio::time::Instant;

pub use self::hand::{Traced, hand};
use super::clients::{Clients, Writer};
use super::errors::ReadError;
use crate::domain::rollback::RollbackTarget;

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
    /// As it was when the plan was made: AWS's own mark (revision, version, deployment) is the plan's, so that
    /// nothing can have changed it since.
    Unchanged,
    /// The same values as when the plan was made, and changed in between by AWS's mark; or there is no mark.
    Alike { what: String },
    /// Neither.
    Other { what: String },
}

/// Whether a change that AWS took has reached those who are served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InEffect {
    Yes,
    /// AWS is still at it, and how far it is.
    NotYet {
        what: String,
    },
}

/// Why a step cannot be taken now, as a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    #[error("{what}")]
    Moved { what: String },
    /// AWS is at something that ends by itself: later it can be taken.
    #[error("{what}")]
    Busy { what: String },
    #[error("it is as the plan wants it already: {what}")]
    AlreadyThere { what: String },
    #[error("what it goes back to is not there: {what}")]
    Gone { what: String },
    #[error("it cannot be looked at: {error}")]
    Unreadable { error: ReadError },
    #[error("the bot does not make this change ({what})")]
    NotSupported { what: String },
}

impl From<ReadError> for Obstacle {
    fn from(error: ReadError) -> Self {
        Self::Unreadable { error }
    }
}

/// Tries a step without effect: looks whether what it starts from and what it goes back to are there,
/// and gives it back with all that only AWS knows (revisions, ids).
///
/// # Errors
/// Why the step cannot be taken.
pub async fn prepare(
    clients: &Clients,
    target: &RollbackTarget,
    now: Timestamp,
    deadline: Instant,
) -> Result<RollbackTarget, Obstacle> {
    if !matches!(target, RollbackTarget::LambdaAlias { .. }) {
        starts_from(read_back(clients, target, deadline).await?, target)?;
    }
    match target {
        // It looks for itself.
        RollbackTarget::LambdaAlias { .. } => alias::prepare(clients, target, deadline).await,
        RollbackTarget::LambdaConfiguration { .. } => function::prepare(clients, target, deadline).await,
        RollbackTarget::LambdaConcurrency { .. } => Ok(target.clone()),
        RollbackTarget::EcsService { .. } => service::prepare(clients, target, deadline).await,
        RollbackTarget::SsmParameter { .. } => parameter::prepare(clients, target, deadline).await,
        RollbackTarget::AppConfig { .. } | RollbackTarget::AppConfigVersion { .. } => {
            configuration::prepare(clients, target, now, deadline).await
        }
    }
}

/// Whether a step can be taken from what is there.
fn starts_from(state: State, target: &RollbackTarget) -> Result<(), Obstacle> {
    match state {
        State::Unchanged | State::Alike { .. } => Ok(()),
        State::Restored => Err(Obstacle::AlreadyThere { what: target.describe() }),
        State::Other { what } => Err(Obstacle::Moved { what }),
    }
}

/// Whether a step that was prepared before can still be taken exactly as it was posted.
///
/// # Errors
/// What moved, as a sentence.
pub async fn check(
    clients: &Clients,
    target: &RollbackTarget,
    now: Timestamp,
    deadline: Instant,
) -> Result<(), Obstacle> {
    let anew = prepare(clients, target, now, deadline).await?;
    if anew == *target {
        return Ok(());
    }
    let (before, after) = (target.preconditions(), anew.preconditions());
    let moved: Vec<String> = before
        .iter()
        .filter(|condition| !after.contains(condition))
        .map(|condition| condition.trim_end_matches('.').to_owned())
        .collect();
    Err(Obstacle::Moved {
        what: format!(
            "since the plan was made something moved; this does not hold any more: {}",
            moved.join("; ")
        ),
    })
}

/// Makes the change, if what it starts from is still there. Looks with the reading credentials, and
/// changes with the writing ones.
pub async fn apply(
    clients: &Clients,
    writer: &Writer,
    target: &RollbackTarget,
    deadline: Instant,
) -> Outcome {
    if is_looked_at_before(target) {
        match read_back(clients, target, deadline).await {
            // Of reserved concurrency Lambda keeps no mark: the same value is all that can be seen.
            Ok(State::Alike { .. }) if matches!(target, RollbackTarget::LambdaConcurrency { .. }) => {}
            Ok(state) => {
                if let Some(moved) = moved(state) {
                    return moved;
                }
            }
            Err(error) => return Outcome::Refused { error },
        }
    }
    match target {
        RollbackTarget::LambdaAlias { .. } => alias::apply(writer, target, deadline).await,
        RollbackTarget::LambdaConfiguration { .. } => {
            function::apply(clients, writer, target, deadline).await
        }
        RollbackTarget::LambdaConcurrency { function, to, .. } => {
            concurrency::apply(writer, function, *to, deadline).await
        }
        RollbackTarget::EcsService { .. } => service::apply(writer, target, deadline).await,
        RollbackTarget::SsmParameter { .. } => parameter::apply(writer, target, deadline).await,
        RollbackTarget::AppConfig { .. } | RollbackTarget::AppConfigVersion { .. } => {
            configuration::apply(writer, target, deadline).await
        }
    }
}

/// Whether AWS does not compare all that the plan starts from when the call arrives, so that it is looked at right
/// before. A function's variables are read with the map into which they go.
fn is_looked_at_before(target: &RollbackTarget) -> bool {
    match target {
        RollbackTarget::LambdaAlias { .. }
        | RollbackTarget::LambdaConfiguration { .. }
        | RollbackTarget::EcsService { deployment: Some(_), .. } => false,
        RollbackTarget::EcsService { deployment: None, .. }
        | RollbackTarget::SsmParameter { .. }
        | RollbackTarget::LambdaConcurrency { .. }
        // That a newer deployment is on top is nothing to AppConfig.
        | RollbackTarget::AppConfig { .. }
        | RollbackTarget::AppConfigVersion { .. } => true,
    }
}

/// Why a step is not sent: what it starts from is not there any more.
fn moved(state: State) -> Option<Outcome> {
    match state {
        State::Unchanged => None,
        State::Restored => {
            Some(Outcome::Moved { what: "it is as the plan wants it already, by another hand".to_owned() })
        }
        State::Alike { what } | State::Other { what } => Some(Outcome::Moved { what }),
    }
}

/// Whether a change that AWS took serves everybody by now: tasks have to start, and configurations to spread.
///
/// # Errors
/// When it cannot be read.
pub async fn in_effect(
    clients: &Clients,
    target: &RollbackTarget,
    deadline: Instant,
) -> Result<InEffect, ReadError> {
    match target {
        RollbackTarget::EcsService { .. } => service::in_effect(clients, target, deadline).await,
        RollbackTarget::AppConfig { .. } | RollbackTarget::AppConfigVersion { .. } => {
            configuration::in_effect(clients, target, deadline).await
        }
        RollbackTarget::LambdaAlias { .. }
        | RollbackTarget::LambdaConfiguration { .. }
        | RollbackTarget::LambdaConcurrency { .. }
        | RollbackTarget::SsmParameter { .. } => Ok(InEffect::Yes),
    }
}

/// What is there now. Restored means: as the plan wants it, whoever did it.
///
/// # Errors
/// When it cannot be read.
pub async fn read_back(
    clients: &Clients,
    target: &RollbackTarget,
    deadline: Instant,
) -> Result<State, ReadError> {
    match target {
        RollbackTarget::LambdaAlias { .. } => alias::read_back(clients, target, deadline).await,
        RollbackTarget::LambdaConfiguration { .. } => function::read_back(clients, target, deadline).await,
        RollbackTarget::LambdaConcurrency { function, from, to } => {
            let now = concurrency::reserved(&clients.lambda, function, deadline).await?;
            let key = "ReservedConcurrentExecutions".to_owned();
            let text = |number: Option<i64>| number.map(|number| number.to_string());
            // Lambda keeps no revision of it.
            Ok(compare(function, false, [(&key, text(now), text(*from), text(*to))].into_iter()))
        }
        RollbackTarget::EcsService { .. } => service::read_back(clients, target, deadline).await,
        RollbackTarget::SsmParameter { .. } => parameter::read_back(clients, target, deadline).await,
        RollbackTarget::AppConfig { .. } | RollbackTarget::AppConfigVersion { .. } => {
            configuration::read_back(clients, target, deadline).await
        }
    }
}

/// How the values there now compare with those of the plan: key, now, from, to. `untouched` where AWS's mark is
/// still the plan's.
fn compare<'a>(
    what: &str,
    untouched: bool,
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
    } else if unchanged && untouched {
        State::Unchanged
    } else if unchanged {
        State::Alike { what: format!("{what} has the values of before") }
    } else if others.is_empty() {
        State::Other { what: format!("{what} is restored only in part") }
    } else {
        State::Other { what: format!("{what} has another value of {}", others.join(", ")) }
    }
}

/// Sorts the answers to a change. A refusal is certain; silence and a broken connection are not.
fn outcome<T>(answer: Result<T, ReadError>, what: impl Fn() -> String) -> Outcome {
    match answer {
        Ok(_) => Outcome::Applied,
        Err(ReadError::Refused { code, message, .. })
            if matches!(
                code.as_str(),
                "PreconditionFailedException"
                    | "ResourceConflictException"
                    | "ConflictException"
                    | "ServiceDeploymentNotFoundException"
            ) =>
        {
            Outcome::Moved { what: format!("{} was changed in between: {message}", what()) }
        }
        // An error inside AWS says nothing about whether the change was made before it.
        Err(
            error @ (ReadError::TimedOut { .. }
            | ReadError::Unreachable { .. }
            | ReadError::Unreadable { .. }
            | ReadError::Failing { .. }),
        ) => Outcome::Unknown { reason: error.to_string() },
        Err(error) => Outcome::Refused { error },
    }
}
