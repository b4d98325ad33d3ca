//! The deploy agent: what was changed, by CloudTrail, and what it was before, by versions, task
//! definitions, parameters' histories and AppConfig's hosted content.
//!
//! Rule: CloudTrail is read by name and by ARN, and everything that mutates beside it; a record that is
//! the same event is kept once, and nothing after `now` is known.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::aws::changes::{self, Found};
use crate::aws::configurations::ConfigurationsRead;
use crate::aws::discover::Finder;
use crate::aws::parameters::ParametersRead;
use crate::aws::{Clients, ServiceSettings, arn, configs, configurations, containers, parameters, releases};
use crate::bundle::{self, ecs, trail};
use crate::domain::evidence::{
    AppConfigDeployment, EcsRef, EcsService, Evidence, FunctionHistory, Gap, ParameterVersion, Releases,
    TaskDefinition, TrailRecord,
};

/// How far back changes of the service's own resources are sought: a bad deployment may wait for
/// Monday's traffic.
const OWN_CHANGES: Duration = Duration::from_hours(7 * 24);
/// How far back changes of anything are sought.
const ALL_CHANGES: Duration = Duration::from_hours(3);
/// Parameters, called services and roles whose changes of days ago are asked for: each is a question of half a second.
const USED: usize = 6;

pub struct DeploysRead {
    pub trail: Option<Vec<TrailRecord>>,
    pub functions: BTreeMap<String, FunctionHistory>,
    pub ecs_services: Vec<EcsService>,
    pub task_definitions: Option<Vec<TaskDefinition>>,
    pub parameters: Option<Vec<ParameterVersion>>,
    pub appconfig: Option<Vec<AppConfigDeployment>>,
    pub releases: Releases,
    pub gaps: Vec<Gap>,
}

pub async fn read(
    clients: &Clients,
    finder: &Finder<'_>,
    settings: &ServiceSettings,
    at: Timestamp,
    now: Timestamp,
    deadline: Instant,
) -> DeploysRead {
    let since = at - OWN_CHANGES;
    let ((trail, mut gaps), (histories, read), containers, parameters, configurations, released) = tokio::join!(
        Box::pin(read_trail(clients, finder, at, now, deadline)),
        Box::pin(histories(clients, finder, deadline)),
        Box::pin(async { containers::read(clients, finder.containers().await, since, deadline).await }),
        Box::pin(async {
            if !clients.reads("ssm") {
                return ParametersRead { versions: Some(Vec::new()), gaps: Vec::new() };
            }
            let names = (finder.names(), finder.called().await);
            parameters::read(clients, &settings.ssm_paths, names, since, deadline).await
        }),
        Box::pin(async {
            if !clients.reads("appconfig") {
                return ConfigurationsRead { deployments: Some(Vec::new()), gaps: Vec::new() };
            }
            let called = finder.called().await;
            let names: Vec<String> = finder.names().iter().chain(called).cloned().collect();
            configurations::read(clients, &settings.appconfig, &names, since, deadline).await
        }),
        Box::pin(async {
            let (functions, services, account) =
                tokio::join!(finder.functions(), finder.containers(), finder.account());
            let services = services.iter().map(|one| service_arn(one, clients.region(), account));
            let resources: Vec<String> = functions.iter().cloned().chain(services).collect();
            releases::read(clients, &resources, (since, now), deadline).await
        }),
    );
    let mut functions = BTreeMap::new();
    for (function, (mut history, trouble)) in histories.into_iter().zip(read) {
        if let Some(versions) = &mut history.versions {
            versions.retain(|version| version.last_modified.is_none_or(|at| at <= now));
        }
        functions.insert(function, history);
        gaps.extend(trouble);
    }
    gaps.extend(containers.gaps);
    gaps.extend(parameters.gaps);
    gaps.extend(configurations.gaps);
    gaps.extend(released.gaps);
    let releases = Releases {
        events: Vec::new(),
        deployments: released.deployments.map(|deployments| {
            let read = deployments.iter().filter_map(|one| bundle::releases::deployment(one, now));
            read.filter(|one| one.created_at.is_none_or(|at| at <= now)).collect()
        }),
        stack_events: released.stack_events.map(|events| {
            let read = events.iter().filter_map(bundle::releases::stack_event);
            read.filter(|one| one.at.is_none_or(|at| at <= now)).collect()
        }),
    };
    let ecs_services = containers
        .services
        .into_iter()
        .map(|(one, shown)| ecs::read_service(one.cluster, one.service, &shown, now))
        .collect();
    let task_definitions = containers.definitions.map(|definitions| {
        let read = definitions.iter().filter_map(ecs::task_definition);
        read.filter(|definition| definition.registered_at.is_none_or(|at| at <= now)).collect()
    });
    let parameters = parameters.versions.map(|versions| {
        let read = versions.iter().filter_map(bundle::parameters::parameter);
        read.filter(|version| version.modified_at.is_none_or(|at| at <= now)).collect()
    });
    let appconfig = configurations.deployments.map(|deployments| {
        let read = deployments.iter().map(|deployment| bundle::appconfig::deployment(deployment, now));
        read.filter(|deployment| deployment.started_at.is_none_or(|at| at <= now)).collect()
    });
    DeploysRead { trail, functions, ecs_services, task_definitions, parameters, appconfig, releases, gaps }
}

/// The histories of the service's own functions, which are read anew each time, and of those that it calls, whose
/// changes are its own trouble.
async fn histories(
    clients: &Clients,
    finder: &Finder<'_>,
    deadline: Instant,
) -> (Vec<String>, Vec<(FunctionHistory, Vec<Gap>)>) {
    let (own, called) = tokio::join!(finder.functions(), finder.called_functions());
    let mut all: Vec<String> = own.iter().chain(called).cloned().collect();
    all.sort();
    all.dedup();
    let read = all.iter().map(|function| async {
        if own.contains(function) {
            configs::function_history(clients, function, deadline).await
        } else {
            configs::shared_history(clients, function, deadline).await
        }
    });
    let read = futures::future::join_all(read).await;
    (all, read)
}

/// CloudTrail's records of an alert at `at`, as far as they are delivered. What was changed in the account is asked at
/// once; what was changed of each resource as soon as it is known.
async fn read_trail(
    clients: &Clients,
    finder: &Finder<'_>,
    at: Timestamp,
    now: Timestamp,
    deadline: Instant,
) -> (Option<Vec<TrailRecord>>, Vec<Gap>) {
    let own = async |names: Vec<String>| {
        changes::of_resources(clients, &names, at - OWN_CHANGES, now, deadline).await
    };
    let of_functions = async {
        let (functions, account) = tokio::join!(finder.functions(), finder.account());
        own(function_names(functions, clients.region(), account)).await
    };
    let of_containers = async {
        let (services, account) = tokio::join!(finder.containers(), finder.account());
        own(container_names(services, clients.region(), account)).await
    };
    let all = changes::everything(clients, at - ALL_CHANGES, now, deadline);
    let permissions = changes::of_permissions(clients, at - ALL_CHANGES, now, deadline);
    let (all, permissions, of_functions, of_containers) =
        tokio::join!(all, permissions, of_functions, of_containers);
    records(all.and(permissions).and(of_functions).and(of_containers), now)
}

/// The same once more, of what an earlier reading found; and, since nobody waits for it any more, what was changed days
/// ago of the parameters, roles and services that the service uses.
pub async fn read_trail_again(
    clients: &Clients,
    evidence: &Evidence,
    deadline: Instant,
) -> (Option<Vec<TrailRecord>>, Vec<Gap>) {
    let (scope, at) = (&evidence.scope, evidence.alert.at);
    let now = scope.now;
    let mut names = function_names(&scope.resources.lambda, &scope.region, &scope.account);
    names.extend(container_names(&scope.resources.ecs, &scope.region, &scope.account));
    names.extend(used_names(evidence));
    let window = (at - OWN_CHANGES, now);
    let roles = roles(evidence);
    let (all, own, permissions, roles) = tokio::join!(
        changes::everything_and_before(clients, at - ALL_CHANGES, now, deadline),
        changes::of_resources(clients, &names, at - OWN_CHANGES, now, deadline),
        changes::of_permissions(clients, at - ALL_CHANGES, now, deadline),
        changes::of_roles(clients, &roles, window, deadline),
    );
    records(all.and(own).and(permissions).and(roles), now)
}

/// Functions by name and by ARN: records have the one or the other.
fn function_names(functions: &[String], region: &str, account: &str) -> Vec<String> {
    let whole = |function: &String| arn("lambda", region, account, &format!("function:{function}"));
    let arns: Vec<String> =
        if account.is_empty() { Vec::new() } else { functions.iter().map(whole).collect() };
    functions.iter().cloned().chain(arns).collect()
}

/// Container services by name and by ARN.
fn container_names(services: &[EcsRef], region: &str, account: &str) -> Vec<String> {
    let arns = services.iter().map(|one| service_arn(one, region, account));
    let arns: Vec<String> = if account.is_empty() { Vec::new() } else { arns.collect() };
    services.iter().map(|ecs| ecs.service.clone()).chain(arns).collect()
}

fn service_arn(one: &EcsRef, region: &str, account: &str) -> String {
    arn("ecs", region, account, &format!("service/{}/{}", one.cluster, one.service))
}

/// The parameters that the service reads and the services that it calls.
fn used_names(evidence: &Evidence) -> Vec<String> {
    let parameters: BTreeSet<&String> =
        evidence.parameters.iter().flatten().map(|version| &version.name).collect();
    let parameters = parameters.into_iter().take(USED);
    parameters.chain(evidence.scope.depends_on.iter().take(USED)).cloned().collect()
}

/// The roles that the service runs as, by name.
fn roles(evidence: &Evidence) -> Vec<String> {
    let own = |name: &&String| evidence.scope.resources.lambda.contains(name);
    let functions = evidence.functions.iter().filter(|(name, _)| own(name));
    let of_functions = functions
        .flat_map(|(_, history)| history.versions.iter().flatten())
        .filter_map(|version| version.settings.get("Role"));
    let of_tasks = evidence.task_definitions.iter().flatten().flat_map(|definition| {
        ["taskRoleArn", "executionRoleArn"].into_iter().filter_map(|key| definition.settings.get(key))
    });
    let names: BTreeSet<String> = of_functions
        .chain(of_tasks)
        .filter_map(|arn| arn.rsplit('/').next())
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect();
    names.into_iter().take(USED).collect()
}

/// What was found as records in order of time; nothing after `now` is kept.
fn records(found: Found, now: Timestamp) -> (Option<Vec<TrailRecord>>, Vec<Gap>) {
    let mut gaps = found.gaps;
    let trail = found.records.map(|records| {
        let whole = records.len();
        let mut read: Vec<TrailRecord> = records.into_iter().filter_map(trail::record).collect();
        if read.len() < whole {
            gaps.push(Gap::new(
                "cloudtrail",
                format!("{} of {whole} records could not be read", whole - read.len()),
            ));
        }
        // Answers that incidents share reach to the end of the minute.
        read.retain(|record| record.at <= now);
        read.sort_by(|one, other| (one.at, &one.event_id).cmp(&(other.at, &other.event_id)));
        read
    });
    (trail, gaps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_service_is_asked_for_by_name_and_by_arn_of_its_partition() {
        let one = EcsRef { cluster: "prod".to_owned(), service: "orders".to_owned() };
        assert_eq!(
            container_names(std::slice::from_ref(&one), "us-gov-west-1", "123456789012"),
            ["orders", "arn:aws-us-gov:ecs:us-gov-west-1:123456789012:service/prod/orders"]
        );
        assert_eq!(container_names(&[one], "us-gov-west-1", ""), ["orders"]);
    }
}
