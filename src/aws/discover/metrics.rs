//! Which metrics are a service's, and which tell how the others fare.
//!
//! Rule: a small account is listed once for all incidents; in a large one the narrow questions are asked. What
//! counts the same calls again in parts (by zone, alias, method) is left out.

use std::collections::BTreeSet;

use aws_sdk_cloudwatch::types::{DimensionFilter, RecentlyActive};
use futures::FutureExt as _;
use tokio::time::Instant;

use super::{Metric, dedupe};
use crate::aws::clients::Clients;
use crate::aws::errors::ReadError;
use crate::aws::settings::{MetricRef, ServiceSettings};
use crate::domain::measure::{self, Measure};
use crate::domain::words;

/// Pages of 500 metrics that are looked through before the narrow questions are asked instead.
const METRIC_PAGES: usize = 4;
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

/// Metrics that were measured lately: all of them in a small account, else those that name the services.
pub(super) async fn active(
    clients: &Clients,
    names: &[String],
    (settings, called): (&ServiceSettings, &[String]),
    recent: bool,
    deadline: Instant,
) -> Result<Vec<Metric>, ReadError> {
    let (metrics, whole) = shared_metrics(clients, Listing::all(recent), METRIC_PAGES, deadline).await?;
    if whole {
        return Ok(metrics);
    }
    let functions = settings.lambda.iter().map(|lambda| lambda.function.clone());
    let own = dedupe(names.iter().cloned().chain(functions));
    let others = called.iter().chain(&settings.peers);
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
        let page = clients.within(deadline, "cloudwatch:ListMetrics", call.send()).await?;
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
pub(super) fn of_services(metrics: &[Metric], services: &[String], configured: &[MetricRef]) -> Vec<Metric> {
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
pub(super) fn used_resources(metrics: &[Metric], own: &[String]) -> Vec<Metric> {
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
pub(super) fn add_functions(metrics: &mut Vec<Metric>, functions: &[String]) {
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
}
