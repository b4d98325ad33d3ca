//! From a service's name to its resources: functions, log groups, metrics, controls.
//!
//! Rule: configuration comes first and AWS's own naming adds to it; only what was seen to exist, or was
//! configured, is named, and what could not be asked is a gap.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_cloudwatch::types::{DimensionFilter, RecentlyActive};
use futures::FutureExt as _;
use jiff::Timestamp;
use tokio::time::Instant;

use super::clients::Clients;
use super::containers;
use super::errors::{ReadError, within};
use super::settings::ServiceSettings;
use crate::domain::evidence::{EcsRef, Gap, MetricScope, Resources, Scope};
use crate::domain::measure::{self, Measure};
use crate::domain::words;

/// Discovery is a handful of calls made at once, and the agents wait for it: AWS answers them within
/// a second, and whoever takes longer is left out.
pub const DEADLINE: Duration = Duration::from_secs(8);
/// Pages of 500 metrics that are looked through before the narrow questions are asked instead.
const METRIC_PAGES: usize = 4;
/// Pages of 50 functions that are looked through for controls.
const FUNCTION_PAGES: usize = 4;
/// Controls that are read: enough to tell a provider's trouble from the service's own.
const PEERS: usize = 6;
/// Dimension names under which services appear in metrics, for accounts too large to look through.
const SERVICE_DIMENSIONS: [&str; 9] = [
    "FunctionName",
    "service",
    "Service",
    "ServiceName",
    "service_name",
    "serviceName",
    "service.name",
    "Application",
    "app",
];

/// Dimensions that name a resource. Its own name often holds the service's: `checkout-db`.
const RESOURCE_DIMENSIONS: [&str; 11] = [
    "TargetGroup",
    "LoadBalancer",
    "LoadBalancerName",
    "ApiName",
    "QueueName",
    "DBInstanceIdentifier",
    "DBClusterIdentifier",
    "TableName",
    "CacheClusterId",
    "ReplicationGroupId",
    "StreamName",
];
/// Where resources are found by a part of their name in accounts too large to look through: one metric that each
/// of them has, so that a page of 500 holds 500 resources.
const FINDERS: [(&str, &str, &str); 8] = [
    ("AWS/ApplicationELB", "RequestCount", "TargetGroup"),
    ("AWS/ApplicationELB", "RequestCount", "LoadBalancer"),
    ("AWS/NetworkELB", "NewFlowCount", "LoadBalancer"),
    ("AWS/RDS", "DatabaseConnections", "DBInstanceIdentifier"),
    ("AWS/SQS", "NumberOfMessagesSent", "QueueName"),
    ("AWS/DynamoDB", "ConsumedReadCapacityUnits", "TableName"),
    ("AWS/ElastiCache", "CurrConnections", "CacheClusterId"),
    ("AWS/Kinesis", "IncomingRecords", "StreamName"),
];
/// These count the same again in parts: by zone, by method, by the role that an instance plays.
const PARTS: [&str; 5] = ["AvailabilityZone", "Method", "Resource", "Role", "CacheNodeId"];
/// `ListMetrics` can leave out what was not measured in three hours before now, which makes an account's list
/// much shorter. For an alert longer ago than this, a series that ended with its incident would be left out too.
const RECENT: Duration = Duration::from_hours(1);

/// Where ECS's metrics are, by cluster and service.
const ECS_NAMESPACES: [&str; 2] = ["AWS/ECS", "ECS/ContainerInsights"];

/// One metric: namespace, name, and dimensions sorted by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Metric {
    pub namespace: String,
    pub name: String,
    pub dimensions: Vec<(String, String)>,
}

/// What was found of a service.
#[derive(Debug, Clone, PartialEq)]
pub struct Discovered {
    pub scope: Scope,
    /// Every name that the service goes by.
    pub names: Vec<String>,
    /// The service's own metrics, those of AWS's namespaces among them.
    pub metrics: Vec<Metric>,
    /// Metrics of the services that it calls, and of the controls.
    pub dependency_metrics: Vec<Metric>,
    pub peer_metrics: Vec<Metric>,
    pub gaps: Vec<Gap>,
}

/// Finds the resources of `alerted`, the service as the alert calls it, as they were at `at`.
pub async fn discover(
    clients: &Clients,
    alerted: &str,
    settings: &ServiceSettings,
    (at, now): (Timestamp, Timestamp),
    deadline: Instant,
) -> Discovered {
    let recent = now.duration_since(at) <= jiff::SignedDuration::try_from(RECENT).unwrap_or_default();
    let names = names_of(alerted, settings);
    let (caller, functions, containers, groups, listed, metrics) = tokio::join!(
        clients.caller(deadline),
        own_functions(clients, &names, settings, deadline),
        own_containers(clients, &names, settings, deadline),
        log_groups(clients, &names, settings, deadline),
        shared_functions(clients, deadline),
        active_metrics(clients, &names, settings, recent, deadline),
    );
    let mut gaps = Vec::new();
    let account = match caller {
        Ok(caller) => caller.account,
        Err(error) => {
            gaps.push(Gap::new("account", format!("which account this is: {error}")));
            String::new()
        }
    };
    let mut unread = |source: &str, what: &str, error: &ReadError| {
        gaps.push(Gap::new(source, format!("{what}: {error}")));
    };
    let functions = functions.unwrap_or_else(|(known, error)| {
        unread("lambda", "the service's functions", &error);
        known
    });
    let containers = containers.unwrap_or_else(|error| {
        unread("ecs", "the service's ECS services", &error);
        Vec::new()
    });
    let groups = match groups {
        Ok(found) => {
            for missing in settings.log_groups.iter().filter(|group| !found.contains(group)) {
                gaps.push(Gap::new("logs", format!("there is no log group {missing}")));
            }
            found
        }
        Err(error) => {
            gaps.push(Gap::new("logs", format!("which log groups there are: {error}")));
            // The names are AWS's own for functions: they can be read without being listed.
            let own = functions.iter().map(|function| format!("/aws/lambda/{function}"));
            dedupe(settings.log_groups.iter().cloned().chain(own))
        }
    };
    let listed = listed.unwrap_or_else(|error| {
        gaps.push(Gap::new("lambda", format!("other functions, as controls: {error}")));
        Vec::new()
    });
    let all_metrics = metrics.unwrap_or_else(|error| {
        gaps.push(Gap::new("metrics", format!("which metrics there are: {error}")));
        Vec::new()
    });
    let peers = peers_of(settings, &names, &functions, &listed);
    let own: Vec<String> = names.iter().chain(&functions).cloned().collect();
    let mut mine = of_services(&all_metrics, &own, &settings.metrics);
    add_function_metrics(&mut mine, &functions);
    let namespaces = dedupe(mine.iter().map(|metric| metric.namespace.clone()));
    for metric in used_resources(&all_metrics, &own) {
        if !mine.contains(&metric) {
            mine.push(metric);
        }
    }
    let known_functions = |services: &[String]| -> Vec<String> {
        services.iter().filter(|name| listed.contains(name)).cloned().collect()
    };
    let mut of_dependencies = of_services(&all_metrics, &settings.depends_on, &[]);
    add_function_metrics(&mut of_dependencies, &known_functions(&settings.depends_on));
    let mut of_peers = of_services(&all_metrics, &peers, &[]);
    add_function_metrics(&mut of_peers, &known_functions(&peers));
    let scope = Scope {
        service: alerted.to_owned(),
        region: clients.region().to_owned(),
        account,
        now,
        resources: Resources {
            lambda: functions,
            ecs: containers_of(containers, &mine, &names),
            ssm_paths: settings.ssm_paths.clone(),
            appconfig: dedupe(settings.appconfig.iter().map(|one| one.application.clone())),
            log_groups: groups,
            metrics: MetricScope { namespaces },
        },
        depends_on: settings.depends_on.clone(),
        peers,
    };
    Discovered {
        scope,
        names,
        metrics: mine,
        dependency_metrics: of_dependencies,
        peer_metrics: of_peers,
        gaps,
    }
}

/// ECS services that are configured, else those that have one of the service's names.
async fn own_containers(
    clients: &Clients,
    names: &[String],
    settings: &ServiceSettings,
    deadline: Instant,
) -> Result<Vec<EcsRef>, ReadError> {
    if settings.ecs.is_empty() {
        return containers::find(clients, names, deadline).await;
    }
    let short = |one: &EcsRef| EcsRef {
        cluster: containers::short(&one.cluster).to_owned(),
        service: containers::short(&one.service).to_owned(),
    };
    Ok(settings.ecs.iter().map(short).collect())
}

/// Those that were found, and those that the dimensions of the service's own metrics name.
fn containers_of(mut found: Vec<EcsRef>, own: &[Metric], names: &[String]) -> Vec<EcsRef> {
    for metric in own.iter().filter(|metric| ECS_NAMESPACES.contains(&metric.namespace.as_str())) {
        let value = |wanted: &str| {
            metric.dimensions.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone())
        };
        if let Some((cluster, service)) = value("ClusterName").zip(value("ServiceName")) {
            let one = EcsRef { cluster, service };
            // A cluster may have the service's name too.
            if names.contains(&one.service) && !found.contains(&one) {
                found.push(one);
            }
        }
    }
    found
}

/// Every name that the service goes by, the configured one first.
fn names_of(alerted: &str, settings: &ServiceSettings) -> Vec<String> {
    let configured = Some(settings.name.clone()).filter(|name| !name.is_empty());
    dedupe(configured.into_iter().chain([alerted.to_owned()]).chain(settings.aliases.iter().cloned()))
}

fn dedupe(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    names.filter(|name| !name.is_empty() && seen.insert(name.clone())).collect()
}

/// Functions that are configured, or that have one of the service's names. With an error, those that
/// are known nonetheless.
async fn own_functions(
    clients: &Clients,
    names: &[String],
    settings: &ServiceSettings,
    deadline: Instant,
) -> Result<Vec<String>, (Vec<String>, ReadError)> {
    let configured = settings.lambda.iter().map(|lambda| lambda.function.clone());
    let mut found: Vec<String> = dedupe(configured);
    let candidates: Vec<&String> =
        names.iter().filter(|name| !found.contains(name) && is_function_name(name)).collect();
    let asked = candidates.iter().map(|name| {
        let call = clients.lambda.get_function_configuration().function_name(name.as_str());
        within(deadline, "lambda:GetFunctionConfiguration", call.send())
    });
    let mut trouble = None;
    for (name, answer) in candidates.iter().zip(futures::future::join_all(asked).await) {
        match answer {
            Ok(_) => found.push((*name).clone()),
            Err(ReadError::NotFound { .. }) => {}
            Err(error) => trouble = Some(error),
        }
    }
    match trouble {
        Some(error) => Err((found, error)),
        None => Ok(found),
    }
}

/// Lambda's own rule for names; anything else would only be refused.
fn is_function_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_'))
}

async fn log_groups(
    clients: &Clients,
    names: &[String],
    settings: &ServiceSettings,
    deadline: Instant,
) -> Result<Vec<String>, ReadError> {
    let functions = settings.lambda.iter().map(|lambda| &lambda.function).chain(names);
    let functions = functions.filter(|name| is_function_name(name)).map(|name| format!("/aws/lambda/{name}"));
    let exact = dedupe(settings.log_groups.iter().cloned().chain(functions));
    // A pattern finds `/aws/lambda/checkout` and `/ecs/checkout` alike; it takes 3 to 512 characters.
    let patterns = names.iter().filter(|name| (3..=512).contains(&name.len()) && is_pattern(name));
    let by_pattern = patterns.map(|name| {
        let call = clients.logs.describe_log_groups().log_group_name_pattern(name.as_str()).limit(50);
        within(deadline, "logs:DescribeLogGroups", call.send())
    });
    let by_name = exact.iter().map(|name| {
        let call = clients.logs.describe_log_groups().log_group_name_prefix(name.as_str()).limit(50);
        within(deadline, "logs:DescribeLogGroups", call.send())
    });
    let (by_pattern, by_name) =
        tokio::join!(futures::future::join_all(by_pattern), futures::future::join_all(by_name));
    let mut found = Vec::new();
    for page in by_name {
        let page = page?;
        found.extend(page.log_groups().iter().filter_map(|group| group.log_group_name()).map(str::to_owned));
    }
    found.retain(|group| exact.contains(group));
    for page in by_pattern {
        let page = page?;
        let groups = page.log_groups().iter().filter_map(|group| group.log_group_name());
        found.extend(groups.filter(|group| names.iter().any(|name| is_of(group, name))).map(str::to_owned));
    }
    Ok(dedupe(found.into_iter()))
}

fn is_pattern(name: &str) -> bool {
    name.chars().all(|letter| letter.is_ascii_alphanumeric() || "._/#-".contains(letter))
}

/// Whether one part of the group's path is the service's name.
fn is_of(group: &str, name: &str) -> bool {
    group == name || group.split('/').any(|part| part == name)
}

/// The account's functions are the same for every incident.
async fn shared_functions(clients: &Clients, deadline: Instant) -> Result<Vec<String>, ReadError> {
    let ask = || {
        let clients = clients.clone();
        async move { account_functions(&clients, deadline).await.map(|names| (names, true)) }.boxed()
    };
    clients.shared.functions.one(String::new(), "lambda:ListFunctions", deadline, ask).await
}

/// Names of the account's functions, as far as a few pages go.
async fn account_functions(clients: &Clients, deadline: Instant) -> Result<Vec<String>, ReadError> {
    let (mut names, mut marker) = (Vec::new(), None);
    for _ in 0..FUNCTION_PAGES {
        let call = clients.lambda.list_functions().set_marker(marker);
        let page = within(deadline, "lambda:ListFunctions", call.send()).await?;
        names.extend(
            page.functions().iter().filter_map(|function| function.function_name()).map(str::to_owned),
        );
        marker = page.next_marker;
        if marker.is_none() {
            break;
        }
    }
    Ok(names)
}

fn peers_of(settings: &ServiceSettings, names: &[String], own: &[String], listed: &[String]) -> Vec<String> {
    if !settings.peers.is_empty() {
        return settings.peers.clone();
    }
    let unrelated = listed
        .iter()
        .filter(|name| !names.contains(name) && !own.contains(name) && !settings.depends_on.contains(name));
    unrelated.take(PEERS).cloned().collect()
}

/// Metrics that were measured lately: all of them in a small account, else those that name the services.
async fn active_metrics(
    clients: &Clients,
    names: &[String],
    settings: &ServiceSettings,
    recent: bool,
    deadline: Instant,
) -> Result<Vec<Metric>, ReadError> {
    let (metrics, whole) = shared_metrics(clients, Listing::all(recent), METRIC_PAGES, deadline).await?;
    if whole {
        return Ok(metrics);
    }
    let functions = settings.lambda.iter().map(|lambda| lambda.function.clone());
    let own = dedupe(names.iter().cloned().chain(functions));
    let others = settings.depends_on.iter().chain(&settings.peers);
    let of_resources =
        own.iter().flat_map(|name| RESOURCE_DIMENSIONS.map(|dimension| (dimension, name.as_str())));
    let of_services = own
        .iter()
        .chain(others)
        .flat_map(|name| SERVICE_DIMENSIONS.map(|dimension| (dimension, name.as_str())));
    let configured = settings.metrics.iter().flat_map(|metric| &metric.dimensions);
    let configured = configured.map(|(name, value)| (name.as_str(), value.as_str()));
    let exact: BTreeSet<(&str, &str)> = of_resources.chain(of_services).chain(configured).collect();
    let exact = exact.into_iter().map(|(name, value)| Listing::of(recent, name, value));
    let exact = exact.map(|listing| shared_metrics(clients, listing, 1, deadline));
    let finders =
        FINDERS.map(|finder| shared_metrics(clients, Listing::finding(recent, finder), 1, deadline));
    let (exact, finders) = tokio::join!(futures::future::join_all(exact), futures::future::join_all(finders));
    let mut found: BTreeSet<Metric> = metrics.into_iter().collect();
    for answer in exact {
        found.extend(answer?.0);
    }
    let mut resources: BTreeSet<(String, String)> = BTreeSet::new();
    for answer in finders {
        let listed = answer?.0;
        let named = listed.into_iter().flat_map(|metric| metric.dimensions);
        resources.extend(named.filter(|(name, value)| {
            RESOURCE_DIMENSIONS.contains(&name.as_str()) && own.iter().any(|own| holds(value, own))
        }));
    }
    let listings = resources.iter().map(|(name, value)| Listing::of(recent, name, value));
    let listings = listings.map(|listing| shared_metrics(clients, listing, 1, deadline));
    for answer in futures::future::join_all(listings).await {
        found.extend(answer?.0);
    }
    Ok(found.into_iter().collect())
}

/// Which metrics are listed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Listing {
    /// Only those that were measured in the last three hours.
    recent: bool,
    namespace: Option<&'static str>,
    metric: Option<&'static str>,
    /// A dimension, and its value unless any will do.
    dimension: Option<(String, Option<String>)>,
}

impl Listing {
    fn all(recent: bool) -> Self {
        Self { recent, namespace: None, metric: None, dimension: None }
    }

    fn of(recent: bool, name: &str, value: &str) -> Self {
        Self { dimension: Some((name.to_owned(), Some(value.to_owned()))), ..Self::all(recent) }
    }

    fn finding(recent: bool, (namespace, metric, dimension): (&'static str, &'static str, &str)) -> Self {
        let dimension = Some((dimension.to_owned(), None));
        Self { recent, namespace: Some(namespace), metric: Some(metric), dimension }
    }
}

/// Which metrics there are is the same for every incident.
async fn shared_metrics(
    clients: &Clients,
    listing: Listing,
    pages: usize,
    deadline: Instant,
) -> Result<(Vec<Metric>, bool), ReadError> {
    let ask = || {
        let (clients, listing) = (clients.clone(), listing.clone());
        async move { list_metrics(&clients, &listing, pages, deadline).await.map(|listed| (listed, true)) }
            .boxed()
    };
    clients.shared.metrics.one(format!("{listing:?}"), "cloudwatch:ListMetrics", deadline, ask).await
}

/// Some pages of metrics, and whether these are all.
async fn list_metrics(
    clients: &Clients,
    listing: &Listing,
    pages: usize,
    deadline: Instant,
) -> Result<(Vec<Metric>, bool), ReadError> {
    let filter = listing
        .dimension
        .as_ref()
        .map(|(name, value)| vec![DimensionFilter::builder().name(name).set_value(value.clone()).build()]);
    let (mut metrics, mut token) = (Vec::new(), None);
    for _ in 0..pages {
        let call = clients
            .cloudwatch
            .list_metrics()
            .set_namespace(listing.namespace.map(str::to_owned))
            .set_metric_name(listing.metric.map(str::to_owned))
            .set_recently_active(listing.recent.then_some(RecentlyActive::Pt3H))
            .set_dimensions(filter.clone())
            .set_next_token(token);
        let page = within(deadline, "cloudwatch:ListMetrics", call.send()).await?;
        metrics.extend(page.metrics().iter().filter_map(metric_of));
        token = page.next_token;
        if token.is_none() {
            return Ok((metrics, true));
        }
    }
    Ok((metrics, false))
}

fn metric_of(metric: &aws_sdk_cloudwatch::types::Metric) -> Option<Metric> {
    let mut dimensions: Vec<(String, String)> = metric
        .dimensions()
        .iter()
        .map(|one| (one.name().unwrap_or_default().to_owned(), one.value().unwrap_or_default().to_owned()))
        .collect();
    dimensions.sort();
    Some(Metric {
        namespace: metric.namespace()?.to_owned(),
        name: metric.metric_name()?.to_owned(),
        dimensions,
    })
}

/// The metrics that belong to one of the services by a dimension's value, or to a configured source.
///
/// Lambda's own are read by function alone: those by alias and version count the same calls again.
fn of_services(
    metrics: &[Metric],
    services: &[String],
    configured: &[super::settings::MetricRef],
) -> Vec<Metric> {
    let named = |value: &str| {
        services.iter().any(|service| {
            value == service
                // Load balancers and target groups: `app/checkout/50dc6c495c0c9188`.
                || value.split('/').nth(1) == Some(service)
                    && ["app/", "net/", "targetgroup/"].iter().any(|kind| value.starts_with(kind))
        })
    };
    let mut found: Vec<Metric> = metrics
        .iter()
        .filter(|metric| metric.namespace != "AWS/Lambda" || metric.dimensions.len() == 1)
        .filter(|metric| !is_part(metric))
        .filter(|metric| {
            let by_configuration = configured.iter().any(|source| {
                source.namespace == metric.namespace
                    && source.dimensions.iter().all(|dimension| metric.dimensions.contains(dimension))
            });
            by_configuration || metric.dimensions.iter().any(|(_, value)| named(value))
        })
        .cloned()
        .collect();
    found.sort();
    found
}

/// Whether a metric of AWS's own counts in parts what another one counts as a whole.
fn is_part(metric: &Metric) -> bool {
    metric.namespace.starts_with("AWS/")
        && metric.dimensions.iter().any(|(name, _)| PARTS.contains(&name.as_str()))
}

/// Levels of resources whose name holds the service's: what may run out. What such a resource counts is not
/// the service's own work, since others may use it too.
fn used_resources(metrics: &[Metric], own: &[String]) -> Vec<Metric> {
    let named = |(name, value): &(String, String)| {
        RESOURCE_DIMENSIONS.contains(&name.as_str()) && own.iter().any(|own| holds(value, own))
    };
    let level = |metric: &&Metric| {
        let (namespace, name) = (&metric.namespace, &metric.name);
        let first = measure::statistics(namespace, name).first().copied().unwrap_or_default();
        matches!(measure::of(namespace, name, first), Measure::Gauge(_) | Measure::Concurrency)
    };
    let found = metrics.iter().filter(|metric| !is_part(metric) && metric.dimensions.iter().any(named));
    found.filter(level).cloned().collect()
}

fn holds(value: &str, name: &str) -> bool {
    !name.is_empty() && words::holds_part(&value.to_lowercase(), &name.to_lowercase())
}

/// Lambda's metrics exist for every function, listed or not: a function without traffic has no recent ones.
fn add_function_metrics(metrics: &mut Vec<Metric>, functions: &[String]) {
    for function in functions {
        for name in ["Invocations", "Errors", "Throttles", "Duration", "ConcurrentExecutions"] {
            let metric = Metric {
                namespace: "AWS/Lambda".to_owned(),
                name: name.to_owned(),
                dimensions: vec![("FunctionName".to_owned(), function.clone())],
            };
            if !metrics.contains(&metric) {
                metrics.push(metric);
            }
        }
    }
    metrics.sort();
}

#[cfg(test)]
mod tests {
    use super::super::settings::MetricRef;
    use super::*;

    fn metric(namespace: &str, dimensions: &[(&str, &str)]) -> Metric {
        let dimensions =
            dimensions.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Metric { namespace: namespace.to_owned(), name: "Requests".to_owned(), dimensions }
    }

    #[test]
    fn metrics_are_found_by_dimension_value_and_by_configuration() {
        let all = [
            metric("App", &[("service", "checkout")]),
            metric("App", &[("service", "search")]),
            metric("AWS/ApplicationELB", &[("LoadBalancer", "app/checkout/50dc6c495c0c9188")]),
            metric("AWS/Lambda", &[("FunctionName", "checkout"), ("Resource", "checkout:live")]),
            metric("DemoApp", &[("kind", "slow"), ("service", "checkout-service")]),
            metric(
                "AWS/ApiGateway",
                &[("ApiName", "checkout"), ("Method", "GET"), ("Resource", "/"), ("Stage", "v1")],
            ),
        ];
        let configured = [MetricRef {
            namespace: "DemoApp".to_owned(),
            dimensions: vec![("service".to_owned(), "checkout-service".to_owned())],
        }];
        let found = of_services(&all, &["checkout".to_owned()], &configured);
        let namespaces: Vec<&str> = found.iter().map(|metric| metric.namespace.as_str()).collect();
        assert_eq!(namespaces, ["AWS/ApplicationELB", "App", "DemoApp"]);
    }

    #[test]
    fn of_a_resource_that_is_named_after_the_service_its_levels_are_read() {
        let one = |namespace: &str, name: &str, dimension: &str, value: &str| Metric {
            name: name.to_owned(),
            ..metric(namespace, &[(dimension, value)])
        };
        let all = [
            one("AWS/RDS", "DatabaseConnections", "DBInstanceIdentifier", "prod-checkout-db"),
            one("AWS/RDS", "ReadLatency", "DBInstanceIdentifier", "prod-checkout-db"),
            one("AWS/RDS", "DatabaseConnections", "DBInstanceIdentifier", "checkouts-db"),
            one("AWS/SQS", "NumberOfMessagesSent", "QueueName", "checkout-mail"),
            one("AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", "checkout-mail"),
            one("App", "QueueDepth", "host", "checkout-mail"),
        ];
        let found = used_resources(&all, &["checkout".to_owned()]);
        let names: Vec<&str> = found.iter().map(|metric| metric.name.as_str()).collect();
        assert_eq!(names, ["DatabaseConnections", "ApproximateAgeOfOldestMessage"]);
    }

    #[test]
    fn a_log_group_is_the_services_when_one_part_of_its_path_is_its_name() {
        assert!(is_of("/aws/lambda/checkout", "checkout"));
        assert!(is_of("/ecs/checkout/app", "checkout"));
        assert!(!is_of("/aws/lambda/checkout-worker", "checkout"));
    }
}
