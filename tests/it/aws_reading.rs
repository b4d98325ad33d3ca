//! What the agents read from an account, and what becomes of it when AWS is slow, refuses or breaks.

use std::time::Duration;

use incident_commander::agents::{AgentProgress, AgentState, Deadlines, Request, gather};
use incident_commander::aws::discover::Metric;
use incident_commander::aws::metrics::{self, Query};
use incident_commander::aws::{Clients, MetricRef, ReadError, ServiceSettings, configs};
use incident_commander::bundle;
use incident_commander::demo::aws::{Fault, FunctionSettings, Identity, QueryEnd, WorldClock, WorldOptions};
use incident_commander::domain::alert::Alert;
use incident_commander::domain::evidence::{Evidence, Series};
use incident_commander::domain::report::Agent;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Mutex;

use super::aws_account::{ACCOUNT, Account, FUNCTION, GROUP, at, soon};

fn service() -> ServiceSettings {
    ServiceSettings {
        name: FUNCTION.to_owned(),
        depends_on: vec!["payments".to_owned()],
        metrics: vec![MetricRef {
            namespace: "DemoApp".to_owned(),
            dimensions: vec![("service".to_owned(), "checkout-service".to_owned())],
        }],
        ..ServiceSettings::default()
    }
}

fn request() -> Request {
    let alert =
        Alert::from_body(br#"{"service": "checkout", "triggered_at": "2026-02-06T12:15:00Z"}"#).unwrap();
    Request { incident: None, alert, now: at("12:20:00"), service: service() }
}

/// Twenty minutes of traffic, a deployment at 12:00 and errors from 12:15.
pub fn fill(account: &Account) {
    account.deploy_checkout();
    let alice = Identity::user(ACCOUNT, "alice");
    for name in ["payments", "search"] {
        let settings = FunctionSettings::default();
        account.world.create_function(name, BTreeMap::new(), settings, &alice, at("08:00:00")).unwrap();
    }
    for second in 0..1200 {
        let at = at("12:00:00") + Duration::from_secs(second);
        let failed = second >= 900 && second % 2 == 0;
        account.world.record_invocation(FUNCTION, "2", Some("live"), at, 150.0, failed);
        account.world.record_invocation("search", "1", None, at, 20.0, false);
        let dimensions = [("service", "checkout-service")];
        account.world.put_metric("DemoApp", "Latency", &dimensions, at, 150.0, "Milliseconds", true);
        let message = json!({"level": if failed { "ERROR" } else { "INFO" }, "n": second}).to_string();
        account.world.put_log(GROUP, "2026/02/06/[2]abc", at, message);
    }
}

async fn read(clients: &Clients) -> Evidence {
    gather(clients, request(), Deadlines::default(), |_| {}).await
}

fn series<'a>(evidence: &'a Evidence, metric: &str, value: &str, stat: &str) -> Option<&'a Series> {
    evidence.series.iter().flatten().find(|series| {
        series.metric == metric
            && series.stat == stat
            && series.dimensions.iter().any(|dimension| dimension.1 == value)
    })
}

fn gaps(evidence: &Evidence) -> Vec<&str> {
    evidence.gaps.iter().map(|gap| gap.source.as_str()).collect()
}

fn gap<'a>(evidence: &'a Evidence, source: &str) -> &'a str {
    let found = evidence.gaps.iter().find(|gap| gap.source == source);
    found.map(|gap| gap.reason.as_str()).unwrap_or_default()
}

#[tokio::test]
async fn three_agents_read_what_an_account_holds() {
    let account = Account::open().await;
    fill(&account);
    let evidence = read(&account.clients().await).await;
    assert_eq!(gaps(&evidence), [""; 0]);
    assert_eq!(evidence.scope.account, ACCOUNT);
    assert_eq!(evidence.scope.resources.lambda, [FUNCTION]);
    assert_eq!(evidence.scope.resources.log_groups, [GROUP]);
    assert_eq!(evidence.scope.resources.metrics.namespaces, ["AWS/Lambda", "DemoApp"]);
    assert_eq!(evidence.scope.peers, ["search"]);
    let logs = evidence.logs.as_ref().unwrap();
    assert_eq!(logs.len(), 1200);
    assert_eq!(logs[0].version(), Some("2"));
    assert_eq!(logs[0].message, r#"{"level":"INFO","n":0}"#);
    // The last minute before 12:20 is complete only half a minute later.
    let invocations = series(&evidence, "Invocations", FUNCTION, "Sum").unwrap();
    assert_eq!(invocations.points.len(), 19);
    assert!(invocations.points.iter().all(|(_, value)| *value as i64 == 60));
    let errors = series(&evidence, "Errors", FUNCTION, "Sum").unwrap();
    assert_eq!(errors.points.iter().map(|point| point.1 as i64).sum::<i64>(), 120);
    assert_eq!(series(&evidence, "Latency", "checkout-service", "p99").unwrap().points[0].1 as i64, 150);
    assert_eq!(series(&evidence, "Duration", "search", "p99").unwrap().points.len(), 19);
    assert!(series(&evidence, "Invocations", "payments", "Sum").is_some());
    let trail = evidence.trail.as_ref().unwrap();
    let own = trail.iter().filter(|record| record.raw.to_string().contains("checkout")).count();
    assert_eq!(own, 6);
    assert_eq!(evidence.functions[FUNCTION].versions.as_ref().unwrap().len(), 3);
    assert_eq!(evidence.functions[FUNCTION].aliases.as_ref().unwrap()[0].version, "2");
    assert!(evidence.functions.contains_key("payments"));
}

#[tokio::test]
async fn a_record_after_now_is_left_out_and_is_no_gap() {
    let account = Account::open().await;
    fill(&account);
    let now = at("11:59:10");
    let request =
        Request { incident: None, alert: Alert::about(FUNCTION.to_owned(), now), now, service: service() };
    let evidence = gather(&account.clients().await, request, Deadlines::default(), |_| {}).await;
    let trail = evidence.trail.as_ref().unwrap();
    assert!(trail.iter().any(|record| record.name.starts_with("UpdateFunctionConfiguration")));
    assert!(trail.iter().all(|record| record.at <= now));
    assert_eq!(gap(&evidence, "cloudtrail"), "");
}

#[tokio::test]
async fn what_was_read_is_exactly_what_a_bundle_holds() {
    let account = Account::open().await;
    fill(&account);
    let evidence = read(&account.clients().await).await;
    let again = bundle::from_files(&bundle::to_files(&evidence)).unwrap();
    assert_eq!(again, evidence);
}

#[tokio::test]
async fn an_agent_that_fails_is_a_gap_and_the_others_go_on() {
    let account = Account::open().await;
    fill(&account);
    let denied = |action: &str| std::iter::repeat_n(Some(Fault::access_denied(action)), 20);
    account.world.script_faults("logs:StartQuery", denied("logs:StartQuery"));
    account.world.script_faults("logs:FilterLogEvents", denied("logs:FilterLogEvents"));
    account.world.rate_fault("cloudtrail:LookupEvents", 1.0, Fault::Throttle);
    let progress = Mutex::new(Vec::new());
    let clients = account.clients().await;
    let evidence = gather(&clients, request(), Deadlines::default(), |step: AgentProgress| {
        progress.lock().unwrap().push(step);
    })
    .await;
    assert_eq!(evidence.logs, None);
    assert!(gap(&evidence, "logs").contains("logs:FilterLogEvents is not allowed"), "{:?}", evidence.gaps);
    assert_eq!(evidence.trail, None);
    assert!(gap(&evidence, "cloudtrail").contains("throttled"), "{:?}", evidence.gaps);
    assert!(evidence.series.is_some());
    let steps = progress.into_inner().unwrap();
    assert_eq!(steps.iter().filter(|step| step.state == AgentState::Started).count(), 3);
    let of = |agent: Agent| steps.iter().rfind(|step| step.agent == agent).map(|step| step.state.clone());
    assert!(matches!(of(Agent::Logs), Some(AgentState::Failed { .. })));
    assert!(matches!(of(Agent::Metrics), Some(AgentState::Done { .. })));
}

#[tokio::test]
async fn lines_are_read_without_insights_where_it_is_denied() {
    let account = Account::open().await;
    fill(&account);
    account.world.rate_fault("logs:StartQuery", 1.0, Fault::access_denied("logs:StartQuery"));
    let evidence = read(&account.clients().await).await;
    assert_eq!(evidence.logs.as_ref().map(Vec::len), Some(1200));
    let told = "Logs Insights: access denied: logs:StartQuery is not allowed to these credentials; \
                {\"Effect\": \"Allow\", \"Action\": \"logs:StartQuery\", \"Resource\": \"*\"} would allow it";
    assert_eq!(gap(&evidence, "logs"), told);
}

#[tokio::test]
async fn what_lambda_writes_around_an_invocation_is_left_out_either_way() {
    let account = Account::open().await;
    account.deploy_checkout();
    for (line, message) in
        ["START RequestId: a Version: 2\n", "{}\n", "END RequestId: a\n", "REPORT RequestId: a\n"]
            .into_iter()
            .enumerate()
    {
        account.world.put_log(
            GROUP,
            "s",
            at("12:10:00") + Duration::from_secs(line as u64),
            message.to_owned(),
        );
    }
    let clients = account.clients().await;
    let by_query = read(&clients).await;
    account.world.rate_fault("logs:StartQuery", 1.0, Fault::access_denied("logs:StartQuery"));
    let by_filter = read(&clients).await;
    for evidence in [by_query, by_filter] {
        let lines: Vec<&str> = evidence.logs.iter().flatten().map(|event| event.message.as_str()).collect();
        assert_eq!(lines, ["{}\n", "REPORT RequestId: a\n"]);
    }
}

#[tokio::test]
async fn a_query_that_never_ends_is_stopped_at_the_deadline() {
    let account = Account::open().await;
    fill(&account);
    account.world.script_queries([QueryEnd::Never; 6]);
    account.world.rate_fault("logs:FilterLogEvents", 1.0, Fault::Hang);
    let deadlines = Deadlines { logs: Duration::from_millis(1500), ..Deadlines::default() };
    let evidence = gather(&account.clients().await, request(), deadlines, |_| {}).await;
    assert_eq!(evidence.logs, None);
    assert!(gap(&evidence, "logs").contains("no answer in time"), "{:?}", evidence.gaps);
    assert!(account.world.calls("logs:GetQueryResults") > 0);
    tokio::time::timeout(Duration::from_secs(5), async {
        while account.world.calls("logs:StopQuery") < 6 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the queries are stopped");
}

#[tokio::test]
async fn a_window_with_more_lines_than_a_query_returns_is_read_in_parts() {
    let account = account_with_rows(100).await;
    for index in 0..480 {
        let at = at("11:40:00") + Duration::from_secs(index * 2);
        account.world.put_log(GROUP, "s", at, "x".to_owned());
    }
    let evidence = read(&account.clients().await).await;
    assert_eq!(evidence.logs.as_ref().map(Vec::len), Some(480), "{:?}", evidence.gaps);
}

#[tokio::test]
async fn lines_beyond_the_limit_are_counted() {
    let account = account_with_rows(100).await;
    for index in 0..120 {
        account.world.put_log(GROUP, "s", at("12:10:00"), format!("{index}"));
    }
    let evidence = read(&account.clients().await).await;
    assert_eq!(evidence.logs.as_ref().map(Vec::len), Some(100));
    assert_eq!(gap(&evidence, "logs"), "100 of 120 lines were read, the first of each window of time");
}

async fn account_with_rows(rows: usize) -> Account {
    let clock = WorldClock::manual(at("12:20:00"));
    let account = Account::with(WorldOptions { insights_rows: rows, ..WorldOptions::immediate(clock) }).await;
    account.deploy_checkout();
    account
}

#[tokio::test]
async fn passing_trouble_is_repeated_by_the_sdk_and_leaves_no_gap() {
    let account = Account::open().await;
    fill(&account);
    for operation in ["cloudwatch:GetMetricData", "lambda:ListVersionsByFunction", "logs:DescribeLogGroups"] {
        account.world.script_faults(operation, [Some(Fault::Throttle), Some(Fault::Reset)]);
    }
    let evidence = read(&account.clients().await).await;
    assert_eq!(gaps(&evidence), [""; 0]);
}

#[tokio::test]
async fn half_an_answer_is_a_gap_and_not_a_shorter_answer() {
    let account = Account::open().await;
    fill(&account);
    account.world.rate_fault("cloudwatch:GetMetricData", 1.0, Fault::Malformed);
    account.world.rate_fault("lambda:ListAliases", 1.0, Fault::Truncated);
    let evidence = read(&account.clients().await).await;
    assert_eq!(evidence.series, None);
    assert!(gap(&evidence, "metrics").contains("cannot be read"), "{:?}", evidence.gaps);
    assert_eq!(evidence.functions[FUNCTION].aliases, None);
    assert!(evidence.functions[FUNCTION].versions.is_some());
}

#[tokio::test]
async fn a_service_that_nobody_knows_is_told_and_breaks_nothing() {
    let account = Account::open().await;
    fill(&account);
    let body = br#"{"service": "no such/service \u0000", "triggered_at": "2026-02-06T12:15:00Z"}"#;
    let request = Request {
        incident: None,
        alert: Alert::from_body(body).unwrap(),
        now: at("12:20:00"),
        service: ServiceSettings::default(),
    };
    let evidence = gather(&account.clients().await, request, Deadlines::default(), |_| {}).await;
    assert_eq!(evidence.logs, None);
    assert_eq!(gap(&evidence, "logs"), "no log group of the service is known");
    assert!(gap(&evidence, "metrics").starts_with("no metric of"), "{:?}", evidence.gaps);
    assert!(evidence.trail.is_some());
}

#[tokio::test]
async fn wrong_credentials_are_named_as_such() {
    let account = Account::open().await;
    let mut settings = account.settings();
    settings.read_role_arn = Some(format!("arn:aws:iam::{ACCOUNT}:role/nobody-made-this"));
    let clients = Clients::connect(&settings).await.unwrap();
    let error = clients.caller(soon()).await.unwrap_err();
    assert!(matches!(error, ReadError::Credentials { .. }), "{error:?}");
    account.world.rate_fault(
        "sts:GetCallerIdentity",
        1.0,
        Fault::Error {
            status: 403,
            code: "ExpiredToken".to_owned(),
            message: "The security token included in the request is expired".to_owned(),
        },
    );
    let error = account.clients().await.caller(soon()).await.unwrap_err();
    assert!(error.to_string().contains("expired"), "{error}");
}

#[tokio::test]
async fn an_endpoint_that_is_not_there_is_named_as_such() {
    let account = Account::open().await;
    let mut settings = account.settings();
    settings.endpoint_url = Some("http://127.0.0.1:9".to_owned());
    let clients = Clients::connect(&settings).await.unwrap();
    let error = clients.caller(soon()).await.unwrap_err();
    assert!(matches!(error, ReadError::Unreachable { .. }), "{error:?}");
}

#[tokio::test]
async fn versions_are_read_through_all_pages() {
    let clock = WorldClock::manual(at("12:20:00"));
    let account = Account::with(WorldOptions { lambda_page: 1, ..WorldOptions::immediate(clock) }).await;
    account.deploy_checkout();
    let (history, gaps) = configs::function_history(&account.clients().await, FUNCTION, soon()).await;
    assert_eq!(gaps, []);
    let versions = history.versions.unwrap();
    let pools: Vec<&str> =
        versions.iter().map(|version| version.environment["DB_POOL_SIZE"].as_str()).collect();
    assert_eq!(pools, ["5", "10", "5"]);
    assert_eq!(versions[0].settings["Timeout"], "10");
}

#[tokio::test]
async fn the_same_hours_of_earlier_days_are_read_beside_the_alert() {
    let account = Account::open().await;
    fill(&account);
    for days in [1, 7] {
        let before = at("12:05:30") - Duration::from_hours(24 * days);
        for name in [FUNCTION, "search"] {
            account.world.record_invocation(name, "1", None, before, 100.0, false);
        }
    }
    let evidence = read(&account.clients().await).await;
    let invocations = series(&evidence, "Invocations", FUNCTION, "Sum").unwrap();
    let first: Vec<String> = invocations.points.iter().take(3).map(|point| point.0.to_string()).collect();
    assert_eq!(first, ["2026-01-30T12:05:00Z", "2026-02-05T12:05:00Z", "2026-02-06T12:00:00Z"]);
    // Three windows, of the service itself and of what it shares with others.
    assert_eq!(account.world.calls("cloudwatch:GetMetricData"), 6);
}

#[tokio::test]
async fn a_recovery_is_judged_by_whole_periods_after_the_change() {
    let clock = WorldClock::manual(at("12:20:00"));
    let delay = Duration::from_secs(4);
    let options = WorldOptions { high_resolution_delay: delay, ..WorldOptions::immediate(clock) };
    let account = Account::with(options).await;
    let dimensions = [("service", "checkout-service")];
    for second in 0..60 {
        let at = at("12:20:00") + Duration::from_secs(second);
        account.world.put_metric("DemoApp", "Latency", &dimensions, at, 150.0, "Milliseconds", true);
    }
    let dimensions = dimensions.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let metric = Metric { namespace: "DemoApp".to_owned(), name: "Latency".to_owned(), dimensions };
    let query = Query { metric, stat: "SampleCount".to_owned(), period: 10 };
    let clients = account.clients().await;
    let mut seen = Vec::new();
    for _ in 0..4 {
        account.clock.advance(Duration::from_secs(10));
        let queries = std::slice::from_ref(&query);
        let recent =
            metrics::recent(&clients, queries, at("12:20:05"), account.clock.now(), soon()).await.unwrap();
        seen.push(recent[0].points.iter().map(|point| point.1 as i64).collect::<Vec<_>>());
    }
    // From 12:20:10 on; the newest period is left out until it is complete, or nearly so.
    assert_eq!(seen, [vec![], vec![], vec![10], vec![10, 10]]);
}

#[tokio::test]
async fn lookups_of_many_incidents_share_two_calls_a_second() {
    let clock = WorldClock::manual(at("12:20:00"));
    let mut options = WorldOptions::immediate(clock);
    options.rate_limits.insert("cloudtrail:LookupEvents".to_owned(), 2.0);
    let account = Account::with(options).await;
    fill(&account);
    let mut settings = account.settings();
    settings.initial_backoff = Duration::from_millis(500);
    let clients = Clients::connect(&settings).await.unwrap();
    let (one, other) = tokio::join!(read(&clients), read(&clients));
    for evidence in [one, other] {
        assert_eq!(gaps(&evidence), [""; 0]);
        assert!(evidence.trail.is_some());
    }
}
