//! The deploy agent: what was changed, by CloudTrail, and what it was before, by versions, task
//! definitions, parameters' histories and AppConfig's hosted content.
//!
//! Rule: CloudTrail is read by name and by ARN, and everything that mutates beside it; a record that is
//! the same event is kept once, and nothing after `now` is known.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::aws::changes::{self, Found};
use crate::aws::discover::Finder;
use crate::aws::{Clients, ServiceSettings, configs, configurations, containers, parameters};
use crate::bundle::{self, ecs, trail};
use crate::domain::evidence::{
    AppConfigDeployment, EcsRef, EcsService, FunctionHistory, Gap, ParameterVersion, Scope, TaskDefinition,
    TrailRecord,
};

/// How far back changes of the service's own resources are sought: a bad deployment may wait for
/// Monday's traffic.
const OWN_CHANGES: Duration = Duration::from_hours(7 * 24);
/// How far back changes of anything are sought.
const ALL_CHANGES: Duration = Duration::from_hours(3);

pub struct DeploysRead {
    pub trail: Option<Vec<TrailRecord>>,
    pub functions: BTreeMap<String, FunctionHistory>,
    pub ecs_services: Vec<EcsService>,
    pub task_definitions: Option<Vec<TaskDefinition>>,
    pub parameters: Option<Vec<ParameterVersion>>,
    pub appconfig: Option<Vec<AppConfigDeployment>>,
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
    let own_and_called: Vec<String> = finder.names().iter().chain(&settings.depends_on).cloned().collect();
    let ((trail, mut gaps), (histories, read), containers, parameters, configurations) = tokio::join!(
        read_trail(clients, finder, at, now, deadline),
        histories(clients, finder, deadline),
        async { containers::read(clients, finder.containers().await, since, deadline).await },
        parameters::read(clients, &settings.ssm_paths, &own_and_called, since, deadline),
        configurations::read(clients, &settings.appconfig, &own_and_called, since, deadline),
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
    DeploysRead { trail, functions, ecs_services, task_definitions, parameters, appconfig, gaps }
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
    let of_functions = async {
        let (functions, account) = tokio::join!(finder.functions(), finder.account());
        let names = function_names(functions, clients.region(), account);
        changes::of_resources(clients, &names, at - OWN_CHANGES, now, deadline).await
    };
    let of_containers = async {
        let names = container_names(finder.containers().await);
        changes::of_resources(clients, &names, at - OWN_CHANGES, now, deadline).await
    };
    let all = changes::everything(clients, at - ALL_CHANGES, now, deadline);
    let (all, of_functions, of_containers) = tokio::join!(all, of_functions, of_containers);
    records(all.and(of_functions).and(of_containers), now)
}

/// The same once more, of what an earlier reading found.
pub async fn read_trail_again(
    clients: &Clients,
    scope: &Scope,
    at: Timestamp,
    deadline: Instant,
) -> (Option<Vec<TrailRecord>>, Vec<Gap>) {
    let now = scope.now;
    let mut names = function_names(&scope.resources.lambda, &scope.region, &scope.account);
    names.extend(container_names(&scope.resources.ecs));
    let (all, own) = tokio::join!(
        changes::everything(clients, at - ALL_CHANGES, now, deadline),
        changes::of_resources(clients, &names, at - OWN_CHANGES, now, deadline),
    );
    records(all.and(own), now)
}

/// Functions by name and by ARN: records have the one or the other.
fn function_names(functions: &[String], region: &str, account: &str) -> Vec<String> {
    let partition = partition(region);
    let arn = |function: &String| format!("arn:{partition}:lambda:{region}:{account}:function:{function}");
    let arns: Vec<String> = if account.is_empty() { Vec::new() } else { functions.iter().map(arn).collect() };
    functions.iter().cloned().chain(arns).collect()
}

fn container_names(services: &[EcsRef]) -> Vec<String> {
    services.iter().map(|ecs| ecs.service.clone()).collect()
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

/// The partition of a Region, which ARNs begin with.
fn partition(region: &str) -> &'static str {
    match region.split('-').collect::<Vec<_>>().as_slice() {
        ["cn", ..] => "aws-cn",
        [_, "gov", ..] => "aws-us-gov",
        [_, "iso", ..] => "aws-iso",
        [_, "isob", ..] => "aws-iso-b",
        _ => "aws",
    }
}

#[cfg(test)]
mod tests {
    use super::partition;

    #[test]
    fn a_regions_name_tells_its_partition() {
        for (region, expected) in [
            ("us-east-1", "aws"),
            ("us-gov-west-1", "aws-us-gov"),
            ("cn-north-1", "aws-cn"),
            ("us-iso-east-1", "aws-iso"),
            ("us-isob-east-1", "aws-iso-b"),
        ] {
            assert_eq!(partition(region), expected, "{region}");
        }
    }
}
