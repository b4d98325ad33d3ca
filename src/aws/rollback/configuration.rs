//! An AppConfig profile back to what it served before.
//!
//! Rule: a deployment that is going on, or ended at most 72 hours ago, is stopped with a revert, which names
//! the deployment and so is its own precondition. Later on the earlier version is deployed anew, with the
//! number of the newest deployment as the precondition that AppConfig checks.

use aws_sdk_appconfig::types::{DeploymentState, DeploymentSummary};
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::{InEffect, Obstacle, Outcome, State, outcome};
use crate::aws::clients::{Clients, Writer};
use crate::aws::errors::{ReadError, within};
use crate::domain::rollback::{ALL_AT_ONCE, AppConfigIds, RollbackTarget};

/// `StopDeployment` with `AllowRevert` works for so long after a deployment ended.
const REVERTIBLE: SignedDuration = SignedDuration::from_hours(72);
/// Pages of a listing that are read: 50 items each.
const PAGES: usize = 20;

/// AppConfig's own ids of three names; each may be an id already.
async fn ids_of(
    clients: &Clients,
    application: &str,
    environment: &str,
    profile: &str,
    deadline: Instant,
) -> Result<AppConfigIds, ReadError> {
    let pick = |found: Option<String>, what: &str, name: &str, action: &str| {
        found.ok_or_else(|| ReadError::NotFound {
            action: action.to_owned(),
            message: format!("AppConfig has no {what} {name}"),
        })
    };
    macro_rules! id_of {
        ($action:literal, $what:literal, $name:expr, $call:expr) => {{
            let (mut token, mut found) = (None::<String>, None::<String>);
            for _ in 0..PAGES {
                let call = $call.max_results(50).set_next_token(token.take());
                let page = within(deadline, $action, call.send()).await?;
                let mut items = page.items().iter();
                found = items
                    .find(|one| one.id() == Some($name) || one.name() == Some($name))
                    .and_then(|one| one.id().map(str::to_owned));
                token = page.next_token().map(str::to_owned);
                if found.is_some() || token.is_none() {
                    break;
                }
            }
            pick(found, $what, $name, $action)?
        }};
    }
    let client = &clients.appconfig;
    let application =
        id_of!("appconfig:ListApplications", "application", application, client.list_applications());
    let environment = id_of!(
        "appconfig:ListEnvironments",
        "environment",
        environment,
        client.list_environments().application_id(&application)
    );
    let profile = id_of!(
        "appconfig:ListConfigurationProfiles",
        "configuration profile",
        profile,
        client.list_configuration_profiles().application_id(&application)
    );
    Ok(AppConfigIds { application, environment, profile })
}

/// All deployments of an environment, newest first.
async fn deployments(
    clients: &Clients,
    ids: &AppConfigIds,
    deadline: Instant,
) -> Result<Vec<DeploymentSummary>, ReadError> {
    let (mut all, mut token) = (Vec::new(), None::<String>);
    for _ in 0..PAGES {
        let call = clients
            .appconfig
            .list_deployments()
            .application_id(&ids.application)
            .environment_id(&ids.environment)
            .max_results(50)
            .set_next_token(token.take());
        let page = within(deadline, "appconfig:ListDeployments", call.send()).await?;
        all.extend_from_slice(page.items());
        token = page.next_token().map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    all.sort_by_key(|one| -i64::from(one.deployment_number()));
    Ok(all)
}

fn is_of(one: &DeploymentSummary, profile: &str, id: &str) -> bool {
    match one.configuration_profile_id() {
        Some(known) => known == id,
        None => one.configuration_name() == Some(profile),
    }
}

fn is_taken_back(one: &DeploymentSummary) -> bool {
    matches!(
        one.state(),
        Some(DeploymentState::RolledBack | DeploymentState::RollingBack | DeploymentState::Reverted)
    )
}

fn is_going_on(one: &DeploymentSummary) -> bool {
    matches!(
        one.state(),
        Some(
            DeploymentState::Deploying
                | DeploymentState::Baking
                | DeploymentState::Validating
                | DeploymentState::RollingBack
        )
    )
}

/// The step with AppConfig's ids; where the deployment is too old to be reverted, the step that deploys the
/// earlier version instead.
pub(super) async fn prepare(
    clients: &Clients,
    target: &RollbackTarget,
    now: Timestamp,
    deadline: Instant,
) -> Result<RollbackTarget, Obstacle> {
    match target {
        RollbackTarget::AppConfig {
            application,
            environment,
            profile,
            deployment,
            from_version,
            to_version,
            ..
        } => {
            let known = ids(clients, target, deadline).await?;
            let all = deployments(clients, &known, deadline).await?;
            let own = all.iter().find(|one| i64::from(one.deployment_number()) == *deployment);
            let own =
                own.ok_or_else(|| Obstacle::Gone { what: format!("there is no deployment {deployment}") })?;
            let ended = own.completed_at().and_then(|at| Timestamp::from_second(at.secs()).ok());
            let revertible =
                is_going_on(own) || ended.is_none_or(|ended| now.duration_since(ended) < REVERTIBLE);
            if revertible {
                let mut prepared = target.clone();
                if let RollbackTarget::AppConfig { ids, .. } = &mut prepared {
                    *ids = Some(known);
                }
                return Ok(prepared);
            }
            let (Some(from), Some(to)) = (from_version, to_version) else {
                let what = format!(
                    "deployment {deployment} ended more than 72 hours ago, and the version before it is not known"
                );
                return Err(Obstacle::Gone { what });
            };
            let anew = RollbackTarget::AppConfigVersion {
                application: application.clone(),
                environment: environment.clone(),
                profile: profile.clone(),
                from_version: from.clone(),
                to_version: to.clone(),
                ids: known,
                latest: None,
            };
            version_step(clients, &anew, &all, deadline).await
        }
        RollbackTarget::AppConfigVersion { ids, .. } => {
            let all = deployments(clients, ids, deadline).await?;
            version_step(clients, target, &all, deadline).await
        }
        other => Err(Obstacle::NotSupported { what: other.describe() }),
    }
}

/// A step that deploys a version, with the number of the newest deployment of now.
async fn version_step(
    clients: &Clients,
    target: &RollbackTarget,
    all: &[DeploymentSummary],
    deadline: Instant,
) -> Result<RollbackTarget, Obstacle> {
    let mut prepared = target.clone();
    let RollbackTarget::AppConfigVersion { profile, to_version, ids, latest, .. } = &mut prepared else {
        return Err(Obstacle::NotSupported { what: target.describe() });
    };
    if let Some(busy) = all.iter().find(|one| is_going_on(one)) {
        let what = format!("deployment {} of the environment is still going on", busy.deployment_number());
        return Err(Obstacle::Busy { what });
    }
    if let Ok(number) = to_version.parse::<i64>()
        && !is_there(clients, ids, number, deadline).await?
    {
        return Err(Obstacle::Gone { what: format!("version {number} of {profile} was deleted") });
    }
    *latest = all.first().map(|one| i64::from(one.deployment_number()));
    Ok(prepared)
}

/// Whether a hosted version is still there; a profile whose content lies elsewhere lists none.
async fn is_there(
    clients: &Clients,
    ids: &AppConfigIds,
    number: i64,
    deadline: Instant,
) -> Result<bool, ReadError> {
    let (mut token, mut any) = (None::<String>, false);
    for _ in 0..PAGES {
        let call = clients
            .appconfig
            .list_hosted_configuration_versions()
            .application_id(&ids.application)
            .configuration_profile_id(&ids.profile)
            .max_results(50)
            .set_next_token(token.take());
        let page = within(deadline, "appconfig:ListHostedConfigurationVersions", call.send()).await?;
        any |= !page.items().is_empty();
        if page.items().iter().any(|one| i64::from(one.version_number()) == number) {
            return Ok(true);
        }
        token = page.next_token().map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    Ok(!any)
}

/// AppConfig's ids of a step: known from its preparation, else asked for.
async fn ids(
    clients: &Clients,
    target: &RollbackTarget,
    deadline: Instant,
) -> Result<AppConfigIds, ReadError> {
    match target {
        RollbackTarget::AppConfigVersion { ids, .. } | RollbackTarget::AppConfig { ids: Some(ids), .. } => {
            Ok(ids.clone())
        }
        RollbackTarget::AppConfig { application, environment, profile, .. } => {
            ids_of(clients, application, environment, profile, deadline).await
        }
        other => Err(ReadError::NotFound {
            action: "appconfig:ListApplications".to_owned(),
            message: other.describe(),
        }),
    }
}

pub(super) async fn apply(writer: &Writer, target: &RollbackTarget, deadline: Instant) -> Outcome {
    match target {
        RollbackTarget::AppConfig { profile, deployment, ids: Some(ids), .. } => {
            let call = writer
                .appconfig
                .stop_deployment()
                .application_id(&ids.application)
                .environment_id(&ids.environment)
                .deployment_number(i32::try_from(*deployment).unwrap_or(i32::MAX))
                // Also while it is going on: it may end before this arrives.
                .allow_revert(true);
            outcome(within(deadline, "appconfig:StopDeployment", call.send()).await, || profile.clone())
        }
        RollbackTarget::AppConfigVersion { profile, to_version, ids, latest, .. } => {
            let call = writer
                .appconfig
                .start_deployment()
                .application_id(&ids.application)
                .environment_id(&ids.environment)
                .configuration_profile_id(&ids.profile)
                .configuration_version(to_version)
                .deployment_strategy_id(ALL_AT_ONCE)
                .set_latest_deployment_number(latest.and_then(|latest| i32::try_from(latest).ok()));
            outcome(within(deadline, "appconfig:StartDeployment", call.send()).await, || profile.clone())
        }
        other => Outcome::NotSupported { what: other.describe() },
    }
}

pub(super) async fn read_back(
    clients: &Clients,
    target: &RollbackTarget,
    deadline: Instant,
) -> Result<State, ReadError> {
    let known = ids(clients, target, deadline).await?;
    let all = deployments(clients, &known, deadline).await?;
    Ok(match target {
        RollbackTarget::AppConfig { profile, deployment, from_version, to_version, .. } => {
            let mut of_same = all.iter().filter(|one| is_of(one, profile, &known.profile));
            match of_same.next() {
                Some(newest) if i64::from(newest.deployment_number()) != *deployment => {
                    // A newer one may have brought the earlier version back already.
                    let there = newest.configuration_version();
                    let back = to_version.is_some() && there == to_version.as_deref();
                    if back && from_version != to_version && !is_taken_back(newest) {
                        State::Restored
                    } else {
                        let number = newest.deployment_number();
                        State::Other { what: format!("deployment {number} is newer than the plan") }
                    }
                }
                Some(own) if is_taken_back(own) => State::Restored,
                Some(_) => State::Unchanged,
                None => State::Other { what: format!("{profile} has no deployment {deployment} any more") },
            }
        }
        RollbackTarget::AppConfigVersion { profile, from_version, to_version, latest, .. } => {
            let newest = all.first().map(|one| i64::from(one.deployment_number()));
            let mut live =
                all.iter().filter(|one| is_of(one, profile, &known.profile) && !is_taken_back(one));
            let served = live.next().and_then(DeploymentSummary::configuration_version);
            if served == Some(to_version) {
                State::Restored
            } else if served == Some(from_version) && newest == *latest {
                State::Unchanged
            } else if served == Some(from_version) {
                State::Alike {
                    what: format!("{profile} serves version {from_version} by a newer deployment"),
                }
            } else {
                State::Other { what: format!("{profile} serves version {}", served.unwrap_or("none")) }
            }
        }
        other => State::Other { what: other.describe() },
    })
}

/// Whether AppConfig serves the earlier content everywhere.
pub(super) async fn in_effect(
    clients: &Clients,
    target: &RollbackTarget,
    deadline: Instant,
) -> Result<InEffect, ReadError> {
    let known = ids(clients, target, deadline).await?;
    let all = deployments(clients, &known, deadline).await?;
    let (RollbackTarget::AppConfig { profile, .. } | RollbackTarget::AppConfigVersion { profile, .. }) =
        target
    else {
        return Ok(InEffect::Yes);
    };
    let newest = all.iter().find(|one| is_of(one, profile, &known.profile));
    // While it bakes everybody is served already, and only alarms are watched.
    let spreads =
        |one: &&DeploymentSummary| is_going_on(one) && one.state() != Some(&DeploymentState::Baking);
    Ok(match newest.filter(spreads) {
        None => InEffect::Yes,
        Some(one) => InEffect::NotYet {
            what: format!(
                "{profile} is at {:.0} % of its deployment {}",
                one.percentage_complete().unwrap_or_default(),
                one.deployment_number()
            ),
        },
    })
}
