//! The deploy agent: what was changed, by CloudTrail, and what it was before, by versions.
//!
//! Rule: CloudTrail is read by name and by ARN, and everything that mutates beside it; a record that is
//! the same event is kept once, and nothing after `now` is known.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::aws::changes::{self, Wanted};
use crate::aws::discover::Discovered;
use crate::aws::{Clients, configs};
use crate::bundle::trail;
use crate::domain::evidence::{FunctionHistory, Gap, Scope, TrailRecord};

/// How far back changes of the service's own resources are sought: a bad deployment may wait for
/// Monday's traffic.
const OWN_CHANGES: Duration = Duration::from_hours(7 * 24);
/// How far back changes of anything are sought.
const ALL_CHANGES: Duration = Duration::from_hours(3);

pub struct DeploysRead {
    pub trail: Option<Vec<TrailRecord>>,
    pub functions: BTreeMap<String, FunctionHistory>,
    pub gaps: Vec<Gap>,
}

pub async fn read(
    clients: &Clients,
    found: &Discovered,
    at: Timestamp,
    now: Timestamp,
    deadline: Instant,
) -> DeploysRead {
    let functions = &found.scope.resources.lambda;
    // Functions of the services that it calls have their changes too.
    let dependencies = found.dependency_metrics.iter().filter(|metric| metric.namespace == "AWS/Lambda");
    let dependencies =
        dependencies.flat_map(|metric| &metric.dimensions).map(|(_, function)| function.clone());
    let mut histories: Vec<String> = functions.iter().cloned().chain(dependencies).collect();
    histories.sort();
    histories.dedup();
    let ((trail, mut gaps), read) = tokio::join!(
        read_trail(clients, &found.scope, at, deadline),
        futures::future::join_all(
            histories.iter().map(|function| configs::function_history(clients, function, deadline))
        ),
    );
    let mut functions = BTreeMap::new();
    for (function, (mut history, trouble)) in histories.into_iter().zip(read) {
        if let Some(versions) = &mut history.versions {
            versions.retain(|version| version.last_modified.is_none_or(|at| at <= now));
        }
        functions.insert(function, history);
        gaps.extend(trouble);
    }
    DeploysRead { trail, functions, gaps }
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
    let arn =
        |function: &String| format!("arn:aws:lambda:{}:{}:function:{function}", scope.region, scope.account);
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
        let mut read: Vec<TrailRecord> =
            records.into_iter().filter_map(trail::record).filter(|record| record.at <= now).collect();
        if read.len() < whole {
            gaps.push(Gap::new(
                "cloudtrail",
                format!("{} of {whole} records could not be read", whole - read.len()),
            ));
        }
        read.sort_by(|one, other| (one.at, &one.event_id).cmp(&(other.at, &other.event_id)));
        read
    });
    (trail, gaps)
}
