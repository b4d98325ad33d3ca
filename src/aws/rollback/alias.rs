//! An alias back to an earlier version.
//!
//! Rule: the routing weights are set with it, mostly to none, or a share of the traffic would stay where it was.

use std::collections::BTreeMap;

use aws_sdk_lambda::types::AliasRoutingConfiguration;
use tokio::time::Instant;

use super::{Obstacle, Outcome, State, outcome, starts_from};
use crate::aws::clients::{Clients, Writer};
use crate::aws::errors::{ReadError, within};
use crate::domain::rollback::RollbackTarget;

/// The step with the alias's revision of now; the version to go back to must exist.
///
/// State and revision come from one answer: of two, the later could be of what somebody moved in between.
pub(super) async fn prepare(
    clients: &Clients,
    target: &RollbackTarget,
    deadline: Instant,
) -> Result<RollbackTarget, Obstacle> {
    let (seen, served) =
        tokio::join!(look(clients, target, deadline), can_be_served(clients, target, deadline));
    let (state, revision) = seen?;
    starts_from(state, target)?;
    served?;
    let mut target = target.clone();
    if let RollbackTarget::LambdaAlias { revision_id, .. } = &mut target {
        *revision_id = revision;
    }
    Ok(target)
}

/// Whether each version that the alias will serve exists and can be started.
async fn can_be_served(
    clients: &Clients,
    target: &RollbackTarget,
    deadline: Instant,
) -> Result<(), Obstacle> {
    let RollbackTarget::LambdaAlias { function, to_version, to_weights, .. } = target else {
        return Err(Obstacle::NotSupported { what: target.describe() });
    };
    for version in std::iter::once(to_version).chain(to_weights.keys()) {
        let call =
            clients.lambda.get_function_configuration().function_name(function).qualifier(version).send();
        match within(deadline, "lambda:GetFunctionConfiguration", call).await {
            Ok(found) if found.state().is_some_and(|state| state.as_str() == "Failed") => {
                let why = found.state_reason().unwrap_or("no reason given");
                return Err(Obstacle::Gone { what: format!("version {version} cannot be started: {why}") });
            }
            Ok(_) => {}
            Err(ReadError::NotFound { .. }) => {
                return Err(Obstacle::Gone { what: format!("version {version} of {function} was deleted") });
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

pub(super) async fn apply(writer: &Writer, target: &RollbackTarget, deadline: Instant) -> Outcome {
    let RollbackTarget::LambdaAlias { function, alias, to_version, to_weights, revision_id, .. } = target
    else {
        return Outcome::NotSupported { what: target.describe() };
    };
    let weights = to_weights.iter().map(|(version, weight)| (version.clone(), *weight)).collect();
    let routing = AliasRoutingConfiguration::builder().set_additional_version_weights(Some(weights)).build();
    let call = writer
        .lambda
        .update_alias()
        .function_name(function)
        .name(alias)
        .function_version(to_version)
        .routing_config(routing)
        .revision_id(revision_id);
    outcome(within(deadline, "lambda:UpdateAlias", call.send()).await, || format!("{function}:{alias}"))
}

pub(super) async fn read_back(
    clients: &Clients,
    target: &RollbackTarget,
    deadline: Instant,
) -> Result<State, ReadError> {
    look(clients, target, deadline).await.map(|(state, _)| state)
}

/// How the alias stands, and under which revision.
async fn look(
    clients: &Clients,
    target: &RollbackTarget,
    deadline: Instant,
) -> Result<(State, String), ReadError> {
    let RollbackTarget::LambdaAlias {
        function,
        alias,
        from_version,
        to_version,
        from_weights,
        to_weights,
        revision_id,
    } = target
    else {
        return Ok((State::Other { what: target.describe() }, String::new()));
    };
    let call = clients.lambda.get_alias().function_name(function).name(alias);
    let answer = within(deadline, "lambda:GetAlias", call.send()).await?;
    let version = answer.function_version().unwrap_or_default();
    let routing = answer.routing_config().and_then(|routing| routing.additional_version_weights());
    let weights: BTreeMap<String, f64> =
        routing.into_iter().flatten().map(|(version, weight)| (version.clone(), *weight)).collect();
    let there = || format!("{function}:{alias} is at version {version}{}", tell_weights(&weights));
    let state = if version == to_version && weights == *to_weights {
        State::Restored
    } else if version != from_version || weights != *from_weights {
        State::Other { what: there() }
    } else if answer.revision_id() == Some(revision_id) {
        State::Unchanged
    } else {
        State::Alike { what: format!("{} under another revision", there()) }
    };
    Ok((state, answer.revision_id().unwrap_or_default().to_owned()))
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
