//! The deploy agent: what was changed, by CloudTrail, and what it was before, by versions, task
//! definitions, parameters' histories and AppConfig's hosted content.
//!
//! Rule: CloudTrail is read by name and by ARN, and everything that mutates beside it; a record that is
//! the same event is kept once, and nothing after `now` is known.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::aws::changes::{self, Wanted};
use crate::aws::discover::Discovered;
use crate::aws::{Clients, ServiceSettings, configs, configurations, containers, parameters};
use crate::bundle::{self, ecs, trail};
use crate::domain::evidence::{
    AppConfigDeployment, EcsService, FunctionHistory, Gap, ParameterVersion, Resources, Scope,
    TaskDefinition, TrailRecord,
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
    found: &Discovered,
    settings: &ServiceSettings,
    at: Timestamp,
    now: Timestamp,
    deadline: Instant,
) -> DeploysRead {
    let resources = &found.scope.resources;
    // Functions of the services that it calls have their changes too.
    let dependencies = found.dependency_metrics.iter().filter(|metric| metric.namespace == "AWS/Lambda");
    let dependencies =
        dependencies.flat_map(|metric| &metric.dimensions).map(|(_, function)| function.clone());
    let mut histories: Vec<String> = resources.lambda.iter().cloned().chain(dependencies).collect();
    histories.sort();
    histories.dedup();
    let since = at - OWN_CHANGES;
    let own_and_called: Vec<String> = found.names.iter().chain(&settings.depends_on).cloned().collect();
    let ((trail, mut gaps), read, containers, parameters, configurations) = tokio::join!(
        read_trail(clients, &found.scope, at, deadline),
        futures::future::join_all(
            histories.iter().map(|function| history(clients, function, resources, deadline))
        ),
        containers::read(clients, &resources.ecs, since, deadline),
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

/// The service's own functions are read anew each time.
async fn history(
    clients: &Clients,
    function: &String,
    own: &Resources,
    deadline: Instant,
) -> (FunctionHistory, Vec<Gap>) {
    if own.lambda.contains(function) {
        configs::function_history(clients, function, deadline).await
    } else {
        configs::shared_history(clients, function, deadline).await
    }
}

/// CloudTrail's records of an alert at `at`, as far as they are delivered; nothing after the scope's
/// own now is kept.
pub async fn read_trail(
    clients: &Clients,
    scope: &Scope,
    at: Timestamp,
    deadline: Instant,
) -> (Option<Vec<TrailRecord>>, Vec<Gap>) {
    let now = scope.now;
    let partition = partition(&scope.region);
    let arn = |function: &String| {
        format!("arn:{partition}:lambda:{}:{}:function:{function}", scope.region, scope.account)
    };
    let functions = &scope.resources.lambda;
    let mut resources: Vec<String> = functions.clone();
    if !scope.account.is_empty() {
        resources.extend(functions.iter().map(arn));
    }
    resources.extend(scope.resources.ecs.iter().map(|ecs| ecs.service.clone()));
    let wanted =
        Wanted { resources, resources_since: at - OWN_CHANGES, all_since: at - ALL_CHANGES, until: now };
    let looked_up = changes::lookup(clients, &wanted, deadline).await;
    let mut gaps = looked_up.gaps;
    let trail = looked_up.records.map(|records| {
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
