//! What investigations cost, and what they share when several run at the same time.

use std::collections::BTreeMap;
use std::time::Duration;

use incident_commander::agents::{Deadlines, Request, gather};
use incident_commander::analysis;
use incident_commander::aws::{Clients, ServiceSettings};
use incident_commander::bundle;
use incident_commander::demo::aws::{Fault, FunctionSettings, Identity};
use incident_commander::domain::alert::Alert;
use incident_commander::domain::cost::Usage;
use incident_commander::domain::evidence::Evidence;

use super::aws_account::{ACCOUNT, Account, at};

/// Services that all call `payments` and none of which `search` calls.
fn open_shop(account: &Account, services: &[String]) {
    let alice = Identity::user(ACCOUNT, "alice");
    for name in services.iter().map(String::as_str).chain(["payments", "search"]) {
        let settings = FunctionSettings::default();
        account.world.create_function(name, BTreeMap::new(), settings, &alice, at("08:00:00")).unwrap();
        for minute in 0..20 {
            let at = at("12:00:30") + Duration::from_mins(minute);
            account.world.record_invocation(name, "1", None, at, 100.0, false);
        }
        account.world.put_log(&format!("/aws/lambda/{name}"), "s", at("12:10:00"), "hello".to_owned());
    }
}

async fn read(clients: &Clients, service: &str, second: u64) -> Evidence {
    let body = format!(r#"{{"service": "{service}", "triggered_at": "2026-02-06T12:15:{second:02}Z"}}"#);
    let settings = ServiceSettings {
        name: service.to_owned(),
        depends_on: vec!["payments".to_owned()],
        peers: vec!["search".to_owned()],
        ..ServiceSettings::default()
    };
    let now = at("12:20:01") + Duration::from_secs(second);
    let request =
        Request { incident: None, alert: Alert::from_body(body.as_bytes()).unwrap(), now, service: settings };
    gather(clients, request, Deadlines::default(), |_| {}).await
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("shop-{number}")).collect()
}

#[tokio::test]
async fn an_investigation_says_what_it_cost_and_a_bundle_keeps_it() {
    let account = Account::open().await;
    open_shop(&account, &names(1));
    let evidence = read(&account.clients().await, "shop-0", 0).await;
    let usage = evidence.cost.clone().unwrap();
    assert_eq!(usage.calls, account.world.all_calls(), "every call that arrived was counted");
    assert_eq!(usage.shared, 0);
    assert!(usage.metrics_requested > 0 && usage.bytes_scanned > 0, "{usage:?}");
    let again = bundle::from_files(&bundle::to_files(&evidence)).unwrap();
    assert_eq!(again, evidence);
    let cost = analysis::investigate(&again).report.cost.unwrap();
    assert_eq!(cost.usage, usage);
    assert!(cost.estimated_usd > 0.0 && cost.describe().contains("cloudtrail:LookupEvents"), "{cost:?}");
}

#[tokio::test]
async fn ten_incidents_within_a_minute_share_the_calls_that_they_have_in_common() {
    let account = Account::open().await;
    let services = names(10);
    open_shop(&account, &services);
    let clients = account.clients().await;
    let reads = services.iter().zip(0..).map(|(service, index)| read(&clients, service, index * 5));
    let read = futures::future::join_all(reads).await;
    let calls = |operation: &str| account.world.calls(operation);
    // Whose credentials and which metrics: once for all. Functions are listed where no controls are configured.
    assert_eq!((calls("sts:GetCallerIdentity"), calls("lambda:ListFunctions")), (1, 0));
    // Each by its own name; the service that all of them call and the control once.
    assert_eq!(calls("lambda:GetFunctionConfiguration"), 10 + 2);
    assert_eq!((calls("ecs:ListClusters"), calls("appconfig:ListApplications")), (1, 1));
    assert_eq!(calls("cloudwatch:ListMetrics"), 1);
    // Parameters by each one's own name, and once by that of the service that all of them call; CodeDeploy once for all.
    assert_eq!((calls("ssm:DescribeParameters"), calls("codedeploy:ListDeployments")), (10 + 1, 1));
    // What was changed in the account once; what was changed of each service by its name and its ARN.
    assert_eq!(calls("cloudtrail:LookupEvents"), 1 + 2 * 10);
    // The versions of each, and once those of the function that all of them call.
    assert_eq!(calls("lambda:ListVersionsByFunction"), 10 + 1);
    // Three windows of time of each, and once three windows of what is common.
    assert_eq!(calls("cloudwatch:GetMetricData"), 3 * 10 + 3);
    let usages: Vec<&Usage> = read.iter().filter_map(|evidence| evidence.cost.as_ref()).collect();
    assert!(usages[1..].iter().all(|usage| usage.shared > 0), "{usages:?}");
    for evidence in &read {
        assert!(evidence.trail.as_ref().is_some_and(|trail| !trail.is_empty()));
        assert!(evidence.functions.contains_key("payments"));
        let payments = evidence.series.iter().flatten().find(|series| {
            series.metric == "Invocations" && series.dimensions.iter().any(|(_, value)| value == "payments")
        });
        assert_eq!(payments.map(|series| series.points.len()), Some(19), "{:?}", evidence.scope.service);
    }
}

#[tokio::test]
async fn an_answer_that_failed_is_not_handed_on() {
    let account = Account::open().await;
    open_shop(&account, &names(2));
    let clients = account.clients().await;
    let action = "ecs:ListClusters";
    account.world.rate_fault(action, 1.0, Fault::access_denied(action));
    let first = read(&clients, "shop-0", 0).await;
    assert!(first.gaps.iter().any(|gap| gap.reason.contains(action)), "{:?}", first.gaps);
    account.world.clear_faults();
    let second = read(&clients, "shop-1", 0).await;
    assert_eq!(second.gaps, []);
}
