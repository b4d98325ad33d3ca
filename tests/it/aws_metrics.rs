//! Metrics of AWS's own namespaces over the wire: which are found of a service, by which statistics they are
//! asked for, and what the engine takes them for.

use std::time::Duration;

use incident_commander::agents::{Deadlines, Request, gather};
use incident_commander::aws::ServiceSettings;
use incident_commander::demo::aws::{WorldClock, WorldOptions};
use incident_commander::domain::alert::Alert;
use incident_commander::domain::evidence::Evidence;
use incident_commander::domain::report::Cause;
use incident_commander::{analysis, bundle};
use jiff::Timestamp;

use super::aws_account::{Account, at};

const BALANCER: (&str, &str) = ("LoadBalancer", "app/shop/50dc6c495c0c9188");
const TARGETS: (&str, &str) = ("TargetGroup", "targetgroup/checkout/73e2d6bc24d8a067");

type Row = (&'static str, &'static str, &'static [(&'static str, &'static str)], f64);

/// Each metric once a minute for twenty minutes, at this value.
const METRICS: &[Row] = &[
    ("AWS/ApplicationELB", "RequestCount", &[BALANCER, TARGETS], 600.0),
    ("AWS/ApplicationELB", "HTTPCode_Target_5XX_Count", &[BALANCER, TARGETS], 2.0),
    ("AWS/ApplicationELB", "TargetResponseTime", &[BALANCER, TARGETS], 0.1),
    ("AWS/ApplicationELB", "HealthyHostCount", &[BALANCER, TARGETS], 4.0),
    ("AWS/ApplicationELB", "UnHealthyHostCount", &[BALANCER, TARGETS], 0.0),
    ("AWS/ApplicationELB", "RequestCount", &[("AvailabilityZone", "us-east-1a"), BALANCER, TARGETS], 300.0),
    ("AWS/ApiGateway", "Count", &[("ApiName", "checkout")], 600.0),
    ("AWS/ApiGateway", "4XXError", &[("ApiName", "checkout")], 5.0),
    ("AWS/ApiGateway", "Latency", &[("ApiName", "checkout")], 90.0),
    ("AWS/SQS", "NumberOfMessagesSent", &[("QueueName", "checkout")], 60.0),
    ("AWS/SQS", "NumberOfMessagesDeleted", &[("QueueName", "checkout")], 60.0),
    ("AWS/SQS", "ApproximateAgeOfOldestMessage", &[("QueueName", "checkout")], 3.0),
    ("AWS/RDS", "CPUCreditBalance", &[("DBInstanceIdentifier", "checkout-db")], 144.0),
    ("AWS/RDS", "DatabaseConnections", &[("DBInstanceIdentifier", "checkout-db")], 20.0),
    ("AWS/RDS", "ReadIOPS", &[("DBInstanceIdentifier", "checkout-db")], 100.0),
    ("AWS/DynamoDB", "SuccessfulRequestLatency", &[("Operation", "GetItem"), ("TableName", "checkout")], 4.0),
    ("AWS/DynamoDB", "ReadThrottleEvents", &[("TableName", "checkout")], 0.0),
    ("AWS/SQS", "NumberOfMessagesSent", &[("QueueName", "mail")], 60.0),
];

fn put(account: &Account, (namespace, name, dimensions, value): Row, from: Timestamp, minutes: u64) {
    for minute in 0..minutes {
        let at = from + Duration::from_mins(minute) + Duration::from_secs(10);
        account.world.put_metric(namespace, name, dimensions, at, value, "None", false);
    }
}

async fn read(account: &Account, settings: ServiceSettings, triggered: &str, now: Timestamp) -> Evidence {
    let body = format!(r#"{{"service": "checkout", "triggered_at": "2026-02-06T{triggered}Z"}}"#);
    let alert = Alert::from_body(body.as_bytes()).unwrap();
    let request = Request { incident: None, alert, now, service: settings };
    gather(&account.clients().await, request, Deadlines::default(), |_| {}).await
}

/// Namespace, name and statistic of every series that has points.
fn asked(evidence: &Evidence) -> Vec<String> {
    let with_points = evidence.series.iter().flatten().filter(|series| !series.points.is_empty());
    let mut names: Vec<String> = with_points
        .map(|series| {
            format!("{} {} {}", series.namespace.trim_start_matches("AWS/"), series.metric, series.stat)
        })
        .collect();
    names.sort();
    names
}

const EXPECTED: [&str; 28] = [
    "ApiGateway 4XXError Sum",
    "ApiGateway Count Sum",
    "ApiGateway Latency Average",
    "ApiGateway Latency SampleCount",
    "ApiGateway Latency p50",
    "ApiGateway Latency p99",
    "ApplicationELB HTTPCode_Target_5XX_Count Sum",
    "ApplicationELB HealthyHostCount Average",
    "ApplicationELB HealthyHostCount Minimum",
    "ApplicationELB RequestCount Sum",
    "ApplicationELB TargetResponseTime Average",
    "ApplicationELB TargetResponseTime SampleCount",
    "ApplicationELB TargetResponseTime p50",
    "ApplicationELB TargetResponseTime p99",
    "ApplicationELB UnHealthyHostCount Average",
    "ApplicationELB UnHealthyHostCount Maximum",
    "DynamoDB ReadThrottleEvents Sum",
    "DynamoDB SuccessfulRequestLatency Average",
    "DynamoDB SuccessfulRequestLatency Maximum",
    "DynamoDB SuccessfulRequestLatency SampleCount",
    "RDS CPUCreditBalance Average",
    "RDS CPUCreditBalance Minimum",
    "RDS DatabaseConnections Average",
    "RDS DatabaseConnections Maximum",
    "SQS ApproximateAgeOfOldestMessage Average",
    "SQS ApproximateAgeOfOldestMessage Maximum",
    "SQS NumberOfMessagesDeleted Sum",
    "SQS NumberOfMessagesSent Sum",
];

#[tokio::test]
async fn load_balancers_apis_queues_databases_and_tables_of_a_service_are_read_by_what_they_measure() {
    let account = Account::open().await;
    for row in METRICS {
        put(&account, *row, at("12:00:00"), 20);
    }
    let evidence = read(&account, ServiceSettings::default(), "12:15:00", at("12:20:00")).await;
    assert_eq!(asked(&evidence), EXPECTED);
    // What a database is named says nothing of whose work it counts.
    let namespaces = &evidence.scope.resources.metrics.namespaces;
    assert!(!namespaces.iter().any(|namespace| namespace == "AWS/RDS"), "{namespaces:?}");
}

#[tokio::test]
async fn in_an_account_too_large_to_look_through_they_are_found_as_well() {
    let account = Account::open().await;
    for row in METRICS {
        put(&account, *row, at("12:00:00"), 20);
    }
    for number in 0..2100 {
        let host = format!("host-{number:04}");
        account.world.put_metric("AAA", "Load", &[("host", &host)], at("12:10:00"), 1.0, "None", false);
    }
    let evidence = read(&account, ServiceSettings::default(), "12:15:00", at("12:20:00")).await;
    assert_eq!(asked(&evidence), EXPECTED);
}

#[tokio::test]
async fn a_series_that_ended_with_an_incident_of_yesterday_is_found() {
    let account = Account::with(WorldOptions::immediate(WorldClock::manual(at("18:20:00")))).await;
    put(&account, ("App", "Orders", &[("service", "checkout")], 60.0), at("11:00:00"), 75);
    let evidence = read(&account, ServiceSettings::default(), "12:15:00", at("18:20:00")).await;
    assert_eq!(asked(&evidence), ["App Orders Sum"]);
}

#[tokio::test]
async fn targets_that_are_ill_and_tasks_that_run_are_no_requests() {
    let account = Account::open().await;
    let cluster = [("ClusterName", "prod"), ("ServiceName", "checkout")];
    let mut failing = [BALANCER, TARGETS];
    failing.sort_unstable();
    for minute in 0..140 {
        let at = at("10:00:00") + Duration::from_mins(minute);
        let put = |namespace: &str, name: &str, dimensions: &[(&str, &str)], value: f64| {
            account.world.put_metric(namespace, name, dimensions, at, value, "Count", false);
        };
        // More tasks than requests: whoever takes them for requests divides by them.
        put("ECS/ContainerInsights", "RunningTaskCount", &cluster, 900.0);
        put("AWS/ApplicationELB", "HealthyHostCount", &failing, 900.0);
        put("AWS/ApplicationELB", "RequestCount", &failing, 100.0);
        put(
            "AWS/ApplicationELB",
            "HTTPCode_Target_5XX_Count",
            &failing,
            if minute < 135 { 1.0 } else { 60.0 },
        );
    }
    let evidence = read(&account, ServiceSettings::default(), "12:17:00", at("12:20:00")).await;
    let evidence = bundle::from_files(&bundle::to_files(&evidence)).unwrap();
    let metrics = analysis::metrics::Metrics::of(evidence.series.as_deref().unwrap(), &evidence.scope);
    let own = metrics.own().unwrap();
    assert_eq!(own.demand().map(|track| track.metric.as_str()), Some("RequestCount"));
    let report = analysis::investigate(&evidence).report;
    assert_ne!(report.verdict.cause, Cause::None, "{:?}", report.verdict);
}
