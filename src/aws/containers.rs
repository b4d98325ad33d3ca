//! ECS now and earlier: services with their events, the deployments of the last days, and the
//! task-definition revisions between which they moved.
//!
//! Rule: `DescribeServices` forgets a deployment as soon as the next one is done; what came before is in
//! `ListServiceDeployments` for 90 days, and its revision in `DescribeServiceRevisions`. Both are put
//! into the service's own list of deployments, as `INACTIVE` ones.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ecs::primitives::DateTime;
use aws_sdk_ecs::types::CreatedAt;
use futures::FutureExt as _;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::answer::{Kept, list, text};
use super::clients::Clients;
use super::errors::ReadError;
use crate::domain::evidence::{EcsRef, Gap};

/// What one call takes.
const SERVICES_A_CALL: usize = 10;
const REVISIONS_A_CALL: usize = 20;
/// Clusters that are looked through for a service by its name: one call each, of which ECS takes twenty a second
/// and a hundred at once.
const CLUSTERS: usize = 60;
const CLUSTER_PAGES: usize = 5;
/// Task definitions that are read at most: a service that is deployed every few minutes names no more.
const DEFINITIONS: usize = 25;
/// A deployment's two records are written within this many seconds of each other.
const SAME: f64 = 60.0;

/// What was read, in the shapes that AWS returns.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ContainersRead {
    /// Elements of `DescribeServices`' `services`.
    pub services: Vec<(EcsRef, Value)>,
    /// Elements of `DescribeTaskDefinition`; `None` where none could be read.
    pub definitions: Option<Vec<Value>>,
    pub gaps: Vec<Gap>,
}

/// Finds services of these names in the account's clusters, and says what could not be looked through.
pub async fn find(clients: &Clients, names: &[String], deadline: Instant) -> (Vec<EcsRef>, Vec<Gap>) {
    const UNTOLD: &str = "the service's ECS services";
    const DESCRIBE: &str = "ecs:DescribeServices";
    let names: Vec<String> =
        names.iter().filter(|name| is_name(name)).take(SERVICES_A_CALL).cloned().collect();
    if names.is_empty() {
        return (Vec::new(), Vec::new());
    }
    let mut gaps = Vec::new();
    let clusters = match shared_clusters(clients, deadline).await {
        Ok((clusters, whole)) => {
            if !whole || clusters.len() > CLUSTERS {
                let more =
                    if whole { clusters.len().to_string() } else { format!("more than {}", clusters.len()) };
                let reason = format!("of {more} clusters the first {CLUSTERS} were looked through");
                gaps.push(Gap::new("ecs", reason));
            }
            clusters
        }
        Err(error) => return (Vec::new(), vec![error.gap("ecs", UNTOLD)]),
    };
    let clusters = clusters.iter().take(CLUSTERS);
    let names = &names;
    let asked = clusters.map(|cluster| async move {
        let call = clients.ecs.describe_services().cluster(cluster).set_services(Some(names.clone()));
        clients.within(deadline, DESCRIBE, call.send()).await
    });
    let mut found = BTreeSet::new();
    for answer in futures::future::join_all(asked).await {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                gaps.push(error.gap("ecs", UNTOLD));
                continue;
            }
        };
        for service in answer.services() {
            // A service that was deleted is shown for a while.
            if let (Some(cluster), Some(name)) = (service.cluster_arn(), service.service_name())
                && service.status() != Some("INACTIVE")
            {
                found.insert((short(cluster).to_owned(), name.to_owned()));
            }
        }
    }
    gaps.sort();
    gaps.dedup();
    (found.into_iter().map(|(cluster, service)| EcsRef { cluster, service }).collect(), gaps)
}

/// The account's clusters, which are the same for every incident, and whether these are all.
async fn shared_clusters(clients: &Clients, deadline: Instant) -> Result<(Vec<String>, bool), ReadError> {
    const ACTION: &str = "ecs:ListClusters";
    let ask = || {
        let clients = clients.clone();
        async move {
            let (mut found, mut token) = (Vec::new(), None);
            for _ in 0..CLUSTER_PAGES {
                let call = clients.ecs.list_clusters().max_results(100).set_next_token(token);
                let page = clients.within(deadline, ACTION, call.send()).await?;
                found.extend(page.cluster_arns().iter().cloned());
                token = page.next_token;
                if token.is_none() {
                    break;
                }
            }
            Ok(((found, token.is_none()), true))
        }
        .boxed()
    };
    clients.shared.clusters.one(String::new(), ACTION, deadline, ask).await
}

/// ECS's own rule for names.
fn is_name(name: &str) -> bool {
    (1..=255).contains(&name.len())
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_'))
}

/// The name at the end of an ARN.
pub(super) fn short(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

/// Reads services, their deployments since a moment, and the revisions that these name.
pub async fn read(
    clients: &Clients,
    wanted: &[EcsRef],
    since: Timestamp,
    deadline: Instant,
) -> ContainersRead {
    let mut read = ContainersRead::default();
    if wanted.is_empty() {
        return read;
    }
    let (services, histories) = tokio::join!(
        services(clients, wanted, deadline),
        futures::future::join_all(wanted.iter().map(|service| history(clients, service, since, deadline)))
    );
    let (mut services, gaps) = services;
    read.gaps.extend(gaps);
    for (reference, answer) in wanted.iter().zip(histories) {
        match answer {
            Ok(earlier) => {
                if let Some((_, service)) = services.iter_mut().find(|(one, _)| one == reference) {
                    add_earlier(service, earlier);
                }
            }
            Err(error) => {
                let what = format!("earlier deployments of {}", reference.service);
                read.gaps.push(error.gap("ecs", what));
            }
        }
    }
    let (definitions, gaps) = definitions(clients, &services, deadline).await;
    read.gaps.extend(gaps);
    read.definitions = definitions;
    services
        .sort_by(|(one, _), (other, _)| (&one.cluster, &one.service).cmp(&(&other.cluster, &other.service)));
    read.services = services;
    read
}

async fn services(
    clients: &Clients,
    wanted: &[EcsRef],
    deadline: Instant,
) -> (Vec<(EcsRef, Value)>, Vec<Gap>) {
    let mut by_cluster: BTreeMap<&str, Vec<&EcsRef>> = BTreeMap::new();
    for service in wanted {
        by_cluster.entry(&service.cluster).or_default().push(service);
    }
    let calls: Vec<(&str, Vec<&EcsRef>)> = by_cluster
        .into_iter()
        .flat_map(|(cluster, services)| {
            services
                .chunks(SERVICES_A_CALL)
                .map(|chunk| (cluster, chunk.to_vec()))
                .collect::<Vec<(&str, Vec<&EcsRef>)>>()
        })
        .collect();
    let asked = calls.iter().map(|(cluster, services)| async move {
        const ACTION: &str = "ecs:DescribeServices";
        let kept = Kept::default();
        let names = services.iter().map(|service| service.service.clone()).collect();
        let call = clients.ecs.describe_services().cluster(*cluster).set_services(Some(names));
        clients.within(deadline, ACTION, call.customize().interceptor(kept.clone()).send()).await?;
        kept.json(ACTION).map(|mut answer| list(&mut answer, "services"))
    });
    let (mut found, mut gaps) = (Vec::new(), Vec::new());
    for ((_, services), answer) in calls.iter().zip(futures::future::join_all(asked).await) {
        let mut shown = match answer {
            Ok(shown) => shown,
            Err(error) => {
                let names: Vec<&str> = services.iter().map(|service| service.service.as_str()).collect();
                gaps.push(error.gap("ecs", format!("the services {}", names.join(", "))));
                continue;
            }
        };
        for service in services {
            match shown.iter().position(|one| text(one, "serviceName") == service.service) {
                Some(at) => found.push(((*service).clone(), shown.swap_remove(at))),
                None => {
                    let reason =
                        format!("there is no service {} in the cluster {}", service.service, service.cluster);
                    gaps.push(Gap::new("ecs", reason));
                }
            }
        }
    }
    (found, gaps)
}

/// Deployments since a moment, as elements of a service's `deployments`.
async fn history(
    clients: &Clients,
    service: &EcsRef,
    since: Timestamp,
    deadline: Instant,
) -> Result<Vec<Value>, ReadError> {
    const LIST: &str = "ecs:ListServiceDeployments";
    const DESCRIBE: &str = "ecs:DescribeServiceRevisions";
    let after = CreatedAt::builder().after(DateTime::from_millis(since.as_millisecond())).build();
    // The newest hundred: more than a deployment an hour for a week is told by CloudTrail.
    let kept = Kept::default();
    let call = clients
        .ecs
        .list_service_deployments()
        .cluster(&service.cluster)
        .service(&service.service)
        .created_at(after)
        .max_results(100);
    clients.within(deadline, LIST, call.customize().interceptor(kept.clone()).send()).await?;
    let deployments = list(&mut kept.json(LIST)?, "serviceDeployments");
    // What ran before the oldest of them is named by it, and by nothing else.
    let named: BTreeSet<String> = deployments
        .iter()
        .map(|deployment| text(deployment, "targetServiceRevisionArn").to_owned())
        .filter(|arn| !arn.is_empty())
        .collect();
    let named: Vec<String> = named.into_iter().collect();
    let asked = named.chunks(REVISIONS_A_CALL).map(|arns| {
        let call = clients.ecs.describe_service_revisions().set_service_revision_arns(Some(arns.to_vec()));
        clients.within(deadline, DESCRIBE, call.send())
    });
    let mut definitions: BTreeMap<String, String> = BTreeMap::new();
    for answer in futures::future::join_all(asked).await {
        for revision in answer?.service_revisions() {
            if let (Some(arn), Some(definition)) =
                (revision.service_revision_arn(), revision.task_definition())
            {
                definitions.insert(arn.to_owned(), definition.to_owned());
            }
        }
    }
    let shown = deployments.iter().filter_map(|deployment| {
        let definition = definitions.get(text(deployment, "targetServiceRevisionArn"))?;
        Some(json!({
            "id": short(text(deployment, "serviceDeploymentArn")),
            "status": "INACTIVE",
            "taskDefinition": definition,
            "createdAt": deployment.get("createdAt"),
            "updatedAt": deployment.get("finishedAt").or_else(|| deployment.get("updatedAt")),
            "rolloutState": rollout_state(text(deployment, "status")),
        }))
    });
    Ok(shown.collect())
}

/// A service deployment's status in the words of a service's own list. One that was rolled back, by
/// the circuit breaker or by somebody, failed.
fn rollout_state(status: &str) -> &'static str {
    match status {
        "SUCCESSFUL" => "COMPLETED",
        "PENDING" | "IN_PROGRESS" | "STOP_REQUESTED" | "ROLLBACK_REQUESTED" | "ROLLBACK_IN_PROGRESS" => {
            "IN_PROGRESS"
        }
        "ROLLBACK_SUCCESSFUL" | "ROLLBACK_FAILED" => "FAILED",
        _ => "",
    }
}

/// Puts earlier deployments behind the service's own, which tell the same ones in more detail.
fn add_earlier(service: &mut Value, earlier: Vec<Value>) {
    let Some(known) = service.get_mut("deployments").and_then(Value::as_array_mut) else { return };
    let same = |one: &Value, other: &Value| {
        let created = |value: &Value| value.get("createdAt").and_then(Value::as_f64);
        let near = created(one).zip(created(other)).is_some_and(|(one, other)| (one - other).abs() <= SAME);
        near && text(one, "taskDefinition") == text(other, "taskDefinition")
    };
    let fresh: Vec<Value> =
        earlier.into_iter().filter(|one| !known.iter().any(|other| same(one, other))).collect();
    known.extend(fresh);
}

/// The revisions that the services' deployments name; where they name only one of a family, the one
/// before it too.
async fn definitions(
    clients: &Clients,
    services: &[(EcsRef, Value)],
    deadline: Instant,
) -> (Option<Vec<Value>>, Vec<Gap>) {
    const ACTION: &str = "ecs:DescribeTaskDefinition";
    let mut named: BTreeSet<(String, i64)> = BTreeSet::new();
    for (_, service) in services {
        let deployments = service.get("deployments").and_then(Value::as_array);
        let of_deployments = deployments.into_iter().flatten();
        for one in of_deployments.chain([service]) {
            if let Some((family, revision)) = short(text(one, "taskDefinition")).rsplit_once(':')
                && let Ok(revision) = revision.parse()
            {
                named.insert((family.to_owned(), revision));
            }
        }
    }
    let mut guessed = BTreeSet::new();
    for (family, revision) in &named {
        if *revision > 1 && named.iter().filter(|(other, _)| other == family).count() == 1 {
            guessed.insert((family.clone(), revision - 1));
        }
    }
    let whole = named.len();
    let wanted: Vec<(String, i64)> =
        named.into_iter().rev().take(DEFINITIONS).chain(guessed.iter().cloned()).collect();
    let asked = wanted.iter().map(|(family, revision)| async move {
        let kept = Kept::default();
        let call = clients.ecs.describe_task_definition().task_definition(format!("{family}:{revision}"));
        clients.within(deadline, ACTION, call.customize().interceptor(kept.clone()).send()).await?;
        kept.json(ACTION).map(|mut answer| answer["taskDefinition"].take())
    });
    let (mut read, mut gaps) = (Vec::new(), Vec::new());
    for (name, answer) in wanted.iter().zip(futures::future::join_all(asked).await) {
        match answer {
            Ok(definition) => read.push(definition),
            // A revision that was only supposed to be there need not be.
            Err(ReadError::Refused { .. }) if guessed.contains(name) => {}
            Err(error) => {
                gaps.push(error.gap("ecs", format!("the task definition {}:{}", name.0, name.1)));
            }
        }
    }
    if whole > DEFINITIONS {
        let reason = format!("{DEFINITIONS} of {whole} task definitions were read");
        gaps.push(Gap::new("ecs", reason));
    }
    if read.is_empty() && gaps.is_empty() {
        gaps.push(Gap::new("ecs", "no task definition is named by a service that was read"));
    }
    (Some(read).filter(|read| !read.is_empty()), gaps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_earlier_deployment_is_added_once() {
        let current = json!({"id": "ecs-svc/2", "taskDefinition": "a:2", "createdAt": 1000.4});
        let mut service = json!({"deployments": [current]});
        let earlier = vec![
            json!({"id": "x", "taskDefinition": "a:2", "createdAt": 1001.0}),
            json!({"id": "y", "taskDefinition": "a:1", "createdAt": 500.0}),
        ];
        add_earlier(&mut service, earlier);
        let ids: Vec<&str> =
            service["deployments"].as_array().unwrap().iter().map(|one| text(one, "id")).collect();
        assert_eq!(ids, ["ecs-svc/2", "y"]);
    }
}
