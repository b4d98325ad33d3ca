//! An ECS service back to an earlier task definition.
//!
//! Rule: a deployment that is still going on is stopped only where stopping it leads exactly to the plan's
//! revision; else the service is updated, and nothing but its task definition is named in that call, so that
//! the number of tasks stays whatever autoscaling made of it.

use aws_sdk_ecs::types::{
    Deployment, DeploymentControllerType, Service, ServiceDeployment, ServiceDeploymentStatus,
    StopServiceDeploymentStopType, TaskDefinitionStatus,
};
use tokio::time::Instant;

use super::{InEffect, Obstacle, Outcome, State, outcome};
use crate::aws::clients::{Clients, Writer};
use crate::aws::errors::{ReadError, within};
use crate::domain::rollback::{RollbackTarget, short_arn};

/// The parts of an ECS step.
#[derive(Debug, Clone, Copy)]
struct Move<'a> {
    cluster: &'a str,
    service: &'a str,
    from: &'a str,
    to: &'a str,
    deployment: Option<&'a str>,
    primary: Option<&'a str>,
}

impl<'a> Move<'a> {
    fn of(target: &'a RollbackTarget) -> Option<Self> {
        let RollbackTarget::EcsService {
            cluster,
            service,
            from_task_definition: from,
            to_task_definition: to,
            deployment,
            primary,
        } = target
        else {
            return None;
        };
        let (deployment, primary) = (deployment.as_deref(), primary.as_deref());
        Some(Self { cluster, service, from, to, deployment, primary })
    }
}

/// The step, by stopping the deployment where one is in progress that started from the plan's revision.
pub(super) async fn prepare(
    clients: &Clients,
    target: &RollbackTarget,
    deadline: Instant,
) -> Result<RollbackTarget, Obstacle> {
    let Some(step) = Move::of(target) else {
        return Err(Obstacle::NotSupported { what: target.describe() });
    };
    let now = describe(clients, step, deadline).await?;
    if now.status() != Some("ACTIVE") {
        let status = now.status().unwrap_or("gone");
        return Err(Obstacle::Gone { what: format!("{} is {status}", step.service) });
    }
    let controller = now.deployment_controller().map(aws_sdk_ecs::types::DeploymentController::r#type);
    if let Some(other) = controller.filter(|kind| **kind != DeploymentControllerType::Ecs) {
        let what = format!("{} is deployed by {}, which has to go back itself", step.service, other.as_str());
        return Err(Obstacle::NotSupported { what });
    }
    let call = clients.ecs.describe_task_definition().task_definition(step.to);
    let to = short_arn(step.to);
    match within(deadline, "ecs:DescribeTaskDefinition", call.send()).await {
        Ok(answer) => match answer.task_definition().and_then(|definition| definition.status()) {
            Some(TaskDefinitionStatus::Active) => {}
            status => {
                let status = status.map_or("in an unknown state", |status| status.as_str());
                return Err(Obstacle::Gone {
                    what: format!("revision {to} is {status} and cannot be started"),
                });
            }
        },
        // ECS has no code of its own for a revision that is not there.
        Err(ReadError::Refused { code, .. }) if code == "ClientException" => {
            return Err(Obstacle::Gone { what: format!("revision {to} was deleted") });
        }
        Err(error) => return Err(error.into()),
    }
    let mut prepared = target.clone();
    if let RollbackTarget::EcsService { deployment, primary, .. } = &mut prepared {
        *deployment = going_on(clients, step, deadline).await?;
        *primary = first(&now).and_then(Deployment::id).map(str::to_owned);
    }
    Ok(prepared)
}

/// The deployment in progress whose rollback starts the plan's revision again, if there is one.
async fn going_on(clients: &Clients, step: Move<'_>, deadline: Instant) -> Result<Option<String>, ReadError> {
    let call = clients
        .ecs
        .list_service_deployments()
        .cluster(step.cluster)
        .service(step.service)
        .status(ServiceDeploymentStatus::InProgress);
    let listed = within(deadline, "ecs:ListServiceDeployments", call.send()).await?;
    let Some(arn) =
        listed.service_deployments().iter().find_map(|one| one.service_deployment_arn().map(str::to_owned))
    else {
        return Ok(None);
    };
    let Some(found) = deployment(clients, &arn, deadline).await? else { return Ok(None) };
    let revision = |summary: &aws_sdk_ecs::types::ServiceRevisionSummary| summary.arn().map(str::to_owned);
    let target = found.target_service_revision().and_then(revision);
    // With several sources it is ECS that chooses where a rollback leads.
    let [source] = found.source_service_revisions() else { return Ok(None) };
    let (Some(target), Some(source)) = (target, revision(source)) else { return Ok(None) };
    let call = clients
        .ecs
        .describe_service_revisions()
        .service_revision_arns(&target)
        .service_revision_arns(&source);
    let answer = within(deadline, "ecs:DescribeServiceRevisions", call.send()).await?;
    let definition = |wanted: &str| {
        let mut all = answer.service_revisions().iter();
        all.find(|one| one.service_revision_arn() == Some(wanted)).and_then(|one| one.task_definition())
    };
    let leads_back = definition(&target).is_some_and(|definition| is_same(definition, step.from))
        && definition(&source).is_some_and(|definition| is_same(definition, step.to));
    Ok(leads_back.then_some(arn))
}

async fn deployment(
    clients: &Clients,
    arn: &str,
    deadline: Instant,
) -> Result<Option<ServiceDeployment>, ReadError> {
    let call = clients.ecs.describe_service_deployments().service_deployment_arns(arn);
    let answer = within(deadline, "ecs:DescribeServiceDeployments", call.send()).await?;
    Ok(answer.service_deployments().first().cloned())
}

pub(super) async fn apply(writer: &Writer, target: &RollbackTarget, deadline: Instant) -> Outcome {
    let Some(step) = Move::of(target) else {
        return Outcome::NotSupported { what: target.describe() };
    };
    if let Some(arn) = step.deployment {
        let call = writer
            .ecs
            .stop_service_deployment()
            .service_deployment_arn(arn)
            .stop_type(StopServiceDeploymentStopType::Rollback);
        let answer = within(deadline, "ecs:StopServiceDeployment", call.send()).await;
        return outcome(answer, || format!("the deployment of {}", step.service));
    }
    let call = writer.ecs.update_service().cluster(step.cluster).service(step.service);
    let call = call.task_definition(step.to);
    outcome(within(deadline, "ecs:UpdateService", call.send()).await, || step.service.to_owned())
}

pub(super) async fn read_back(
    clients: &Clients,
    target: &RollbackTarget,
    deadline: Instant,
) -> Result<State, ReadError> {
    let Some(step) = Move::of(target) else { return Ok(State::Other { what: target.describe() }) };
    if let Some(arn) = step.deployment
        && let Some(found) = deployment(clients, arn, deadline).await?
    {
        use ServiceDeploymentStatus as Status;
        match found.status() {
            // Asked for is as good as done: ECS carries it out by itself.
            Some(
                Status::StopRequested
                | Status::RollbackRequested
                | Status::RollbackInProgress
                | Status::RollbackSuccessful,
            ) => return Ok(State::Restored),
            Some(Status::RollbackFailed) => {
                let why = found.status_reason().unwrap_or("no reason given");
                return Ok(State::Other { what: format!("the rollback of {} failed: {why}", step.service) });
            }
            _ => {}
        }
    }
    let now = describe(clients, step, deadline).await?;
    Ok(match primary(&now) {
        Some(there) if is_same(there, step.to) => State::Restored,
        Some(there) if is_same(there, step.from) && is_untouched(&now, step) => State::Unchanged,
        Some(there) if is_same(there, step.from) => {
            let service = step.service;
            State::Alike { what: format!("{service} is at {} by another deployment", short_arn(there)) }
        }
        other => {
            let there = other.map_or("no task definition", short_arn);
            State::Other { what: format!("{} is at {there}", step.service) }
        }
    })
}

/// Whether the tasks of the earlier revision have taken over.
pub(super) async fn in_effect(
    clients: &Clients,
    target: &RollbackTarget,
    deadline: Instant,
) -> Result<InEffect, ReadError> {
    let Some(step) = Move::of(target) else { return Ok(InEffect::Yes) };
    let now = describe(clients, step, deadline).await?;
    let to = short_arn(step.to);
    let Some(first) = first(&now).filter(|one| one.task_definition().is_some_and(|at| is_same(at, step.to)))
    else {
        return Ok(InEffect::NotYet {
            what: format!("{} has not begun to start tasks of {to}", step.service),
        });
    };
    // Without a deployment circuit breaker ECS may tell no rollout state: then the tasks tell.
    let others = now.deployments().iter().filter(|one| one.id() != first.id());
    let draining: i32 = others.map(Deployment::running_count).sum();
    let complete = match first.rollout_state().map(aws_sdk_ecs::types::DeploymentRolloutState::as_str) {
        Some(state) => state == "COMPLETED",
        None => first.running_count() >= first.desired_count() && draining == 0,
    };
    if complete {
        return Ok(InEffect::Yes);
    }
    Ok(InEffect::NotYet {
        what: format!(
            "{} of {} tasks of {} run {to}",
            first.running_count(),
            first.desired_count(),
            step.service
        ),
    })
}

async fn describe(clients: &Clients, step: Move<'_>, deadline: Instant) -> Result<Service, ReadError> {
    let call = clients.ecs.describe_services().cluster(step.cluster).services(step.service);
    let answer = within(deadline, "ecs:DescribeServices", call.send()).await?;
    answer.services().first().cloned().ok_or_else(|| ReadError::NotFound {
        action: "ecs:DescribeServices".to_owned(),
        message: format!("there is no service {} in {}", step.service, step.cluster),
    })
}

fn first(service: &Service) -> Option<&Deployment> {
    service.deployments().iter().find(|deployment| deployment.status() == Some("PRIMARY"))
}

/// What the service starts tasks of now.
fn primary(service: &Service) -> Option<&str> {
    first(service).and_then(Deployment::task_definition).or_else(|| service.task_definition())
}

/// Whether the service is at the plan's revision by the very deployment that was there when the plan was made.
fn is_untouched(now: &Service, step: Move<'_>) -> bool {
    primary(now).is_some_and(|there| is_same(there, step.from))
        && step.primary.is_none_or(|id| first(now).and_then(Deployment::id) == Some(id))
}

/// One of the two may be an ARN and the other `family:revision`.
fn is_same(one: &str, other: &str) -> bool {
    short_arn(one) == short_arn(other)
}
