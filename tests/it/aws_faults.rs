//! What goes wrong with AWS, each with its stated outcome: whatever happens to a call, the investigation ends,
//! says in the report's gaps what it lacks, and goes on with the rest.

use std::collections::BTreeMap;
use std::time::Duration;

use incident_commander::agents::{Deadlines, Request, gather};
use incident_commander::aws::changes::{self, Wanted};
use incident_commander::aws::{AppConfigRef, AwsSettings, Clients, ServiceSettings, permissions};
use incident_commander::bundle;
use incident_commander::demo::aws::{
    CodeDeployment, Fault, FunctionSettings, Identity, StackEvent, WorldClock, WorldOptions,
};
use incident_commander::domain::alert::Alert;
use incident_commander::domain::evidence::Evidence;
use serde_json::json;
use tokio::time::Instant;

use super::aws_account::{ACCOUNT, Account, FUNCTION, GROUP, at, soon};

/// Every action that an investigation of this account needs, and the source whose gap tells of it.
const READS: [(&str, &str); 29] = [
    ("sts:GetCallerIdentity", "account"),
    ("lambda:GetFunctionConfiguration", "lambda"),
    ("lambda:ListFunctions", "lambda"),
    ("lambda:ListVersionsByFunction", "lambda"),
    ("lambda:ListAliases", "lambda"),
    ("logs:DescribeLogGroups", "logs"),
    ("logs:StartQuery", "logs"),
    ("logs:GetQueryResults", "logs"),
    ("cloudwatch:ListMetrics", "metrics"),
    ("cloudwatch:GetMetricData", "metrics"),
    ("cloudtrail:LookupEvents", "cloudtrail"),
    ("ecs:ListClusters", "ecs"),
    ("ecs:DescribeServices", "ecs"),
    ("ecs:ListServiceDeployments", "ecs"),
    ("ecs:DescribeServiceRevisions", "ecs"),
    ("ecs:DescribeTaskDefinition", "ecs"),
    ("ssm:DescribeParameters", "ssm"),
    ("ssm:GetParameterHistory", "ssm"),
    ("appconfig:ListApplications", "appconfig"),
    ("appconfig:ListEnvironments", "appconfig"),
    ("appconfig:ListDeployments", "appconfig"),
    ("appconfig:GetDeployment", "appconfig"),
    ("appconfig:GetHostedConfigurationVersion", "appconfig"),
    ("xray:GetServiceGraph", "xray"),
    ("codedeploy:ListDeployments", "codedeploy"),
    ("codedeploy:BatchGetDeployments", "codedeploy"),
    ("cloudformation:DescribeStackResources", "cloudformation"),
    ("cloudformation:DescribeStackEvents", "cloudformation"),
    // Without Insights, lines are read by this.
    ("logs:FilterLogEvents", "logs"),
];

/// An account in which the service is everything at once.
async fn account() -> Account {
    let account = Account::open().await;
    account.deploy_checkout();
    let (world, alice) = (&account.world, Identity::user(ACCOUNT, "alice"));
    let definition = json!({"family": FUNCTION, "containerDefinitions": [{"name": "app", "image": "a:1"}]});
    let one = world.register_task_definition(&definition, &alice, at("08:00:00")).unwrap();
    world.create_service("prod", FUNCTION, &one, 1, &alice, at("08:00:00")).unwrap();
    world.put_parameter("/checkout/size", "String", "5", &alice, at("12:00:00")).unwrap();
    world.deploy_configuration(FUNCTION, "prod", "flags", "{}", 0, &alice, at("12:00:00"));
    world.record_deployment(CodeDeployment {
        id: "d-1".to_owned(),
        application: FUNCTION.to_owned(),
        status: "Succeeded".to_owned(),
        created_at: at("11:00:00"),
        completed_at: at("11:01:00"),
        ..CodeDeployment::default()
    });
    world.record_stack_event(StackEvent {
        stack: "shop".to_owned(),
        at: at("11:00:00"),
        physical_id: FUNCTION.to_owned(),
        status: "UPDATE_COMPLETE".to_owned(),
        ..StackEvent::default()
    });
    for minute in 0..15 {
        let at = at("12:00:30") + Duration::from_mins(minute);
        world.record_invocation(FUNCTION, "2", Some("live"), at, 150.0, minute > 10);
        world.put_log(GROUP, "2026/02/06/[2]abc", at, format!(r#"{{"level": "INFO", "n": {minute}}}"#));
    }
    account
}

fn request(service: ServiceSettings) -> Request {
    let body = br#"{"service": "checkout", "triggered_at": "2026-02-06T12:15:00Z"}"#;
    Request { incident: None, alert: Alert::from_body(body).unwrap(), now: at("12:20:00"), service }
}

async fn read(account: &Account, deadlines: Deadlines) -> Evidence {
    let evidence =
        gather(&account.clients().await, request(ServiceSettings::default()), deadlines, |_| {}).await;
    let again = bundle::from_files(&bundle::to_files(&evidence)).unwrap();
    assert_eq!(again, evidence, "what was read in part is kept as it was read");
    evidence
}

/// Longer than any machine needs, since nothing here hangs: what is not answered then was never asked.
fn patient() -> Deadlines {
    let minute = Duration::from_mins(1);
    Deadlines { discovery: minute, logs: minute, metrics: minute, deploys: minute }
}

/// The fault on every action, one account each: the source's gap says `words`.
async fn each_read_meets(fault: impl Fn(&str) -> Fault, words: &str, deadlines: Deadlines) {
    let rows = READS.iter().map(|(action, source)| {
        let fault = fault(action);
        Box::pin(async move {
            let account = account().await;
            if *action == "logs:FilterLogEvents" {
                account.world.rate_fault("logs:StartQuery", 1.0, Fault::access_denied("logs:StartQuery"));
            }
            account.world.rate_fault(action, 1.0, fault);
            let evidence = read(&account, deadlines).await;
            let told = evidence.gaps.iter().filter(|gap| gap.source == *source);
            let said: Vec<&str> = told.map(|gap| gap.reason.as_str()).collect();
            assert!(
                said.iter().any(|reason| reason.contains(words)),
                "{action}: {words:?} is not in {said:?}"
            );
            assert!(account.world.calls(action) > 0, "{action} is called");
            // The sources that nothing is wrong with were read.
            for (other, was_read) in [
                ("metrics", evidence.series.is_some()),
                ("cloudtrail", evidence.trail.is_some()),
                ("ssm", evidence.parameters.is_some()),
                ("appconfig", evidence.appconfig.is_some()),
            ] {
                assert!(was_read || other == *source, "{action}: {other} was not read: {:?}", evidence.gaps);
            }
        })
    });
    // A few at a time: all at once would keep each other from an answer on a slow machine, and silence is another fault.
    let mut rows: Vec<_> = rows.collect();
    while !rows.is_empty() {
        let few = rows.split_off(rows.len().saturating_sub(5));
        futures::future::join_all(few).await;
    }
}

#[tokio::test]
async fn throttling_on_any_api_is_a_gap_that_says_so() {
    each_read_meets(|_| Fault::Throttle, "throttled", patient()).await;
}

#[tokio::test]
async fn a_denial_of_any_action_is_a_gap_with_the_statement_that_allows_it() {
    each_read_meets(Fault::access_denied, r#""Effect": "Allow""#, patient()).await;
}

#[tokio::test]
async fn half_an_answer_of_any_api_is_a_gap_and_nothing_shorter() {
    each_read_meets(|_| Fault::Malformed, "cannot be read", patient()).await;
}

#[tokio::test]
async fn credentials_that_expire_at_any_call_are_named() {
    let expired = |_: &str| Fault::Error {
        status: 400,
        code: "ExpiredTokenException".to_owned(),
        message: "The security token included in the request is expired".to_owned(),
    };
    each_read_meets(expired, "expired", patient()).await;
}

#[tokio::test]
async fn silence_of_any_api_is_a_gap_that_says_so() {
    // What an agent finds out first has to end before the agent's own time does. Here nobody looks at the others: a slow
    // machine may keep them from an answer in so short a time.
    let (first, then) = (Duration::from_secs(1), Duration::from_secs(2));
    let deadlines = Deadlines { discovery: first, logs: then, metrics: then, deploys: then };
    // A stack is asked for once the function is known, and without one there is no question to be silent on.
    let asked = READS.iter().filter(|(_, source)| *source != "cloudformation");
    let rows = asked.map(|(action, source)| async move {
        let account = account().await;
        if *action == "logs:FilterLogEvents" {
            account.world.rate_fault("logs:StartQuery", 1.0, Fault::access_denied("logs:StartQuery"));
        }
        account.world.rate_fault(action, 1.0, Fault::Hang);
        let evidence = read(&account, deadlines).await;
        let mut told = evidence.gaps.iter().filter(|gap| gap.source == *source);
        assert!(told.any(|gap| gap.reason.contains("no answer in time")), "{action}: {:?}", evidence.gaps);
    });
    futures::future::join_all(rows).await;
}

#[tokio::test]
async fn a_stack_that_cloudformation_is_silent_about_is_a_gap_that_says_so() {
    // It is asked once the function is known, so that its time begins later than the others'.
    let deadlines = Deadlines { deploys: Duration::from_secs(4), ..patient() };
    let actions = READS.iter().filter(|(_, source)| *source == "cloudformation");
    let rows = actions.map(|(action, _)| async move {
        let account = account().await;
        account.world.rate_fault(action, 1.0, Fault::Hang);
        let evidence = read(&account, deadlines).await;
        assert!(account.world.calls(action) > 0, "{action} is called");
        let mut told = evidence.gaps.iter().filter(|gap| gap.source == "cloudformation");
        assert!(told.any(|gap| gap.reason.contains("no answer in time")), "{action}: {:?}", evidence.gaps);
        assert!(evidence.trail.is_some() && evidence.series.is_some(), "{:?}", evidence.gaps);
        assert!(evidence.functions.contains_key(FUNCTION), "{:?}", evidence.gaps);
    });
    futures::future::join_all(rows).await;
}

#[tokio::test]
async fn what_only_a_configuration_makes_it_ask_for_fails_as_plainly() {
    let expired = Fault::Error {
        status: 400,
        code: "ExpiredTokenException".to_owned(),
        message: "The security token included in the request is expired".to_owned(),
    };
    for (action, source) in
        [("tag:GetResources", "tags"), ("appconfig:ListConfigurationProfiles", "appconfig")]
    {
        for (fault, words) in [
            (Fault::Throttle, "throttled"),
            (Fault::access_denied(action), r#""Effect": "Allow""#),
            (Fault::Malformed, "cannot be read"),
            (expired.clone(), "expired"),
        ] {
            let account = account().await;
            account.world.rate_fault(action, 1.0, fault);
            // An id that no deployment goes by.
            let profile = AppConfigRef {
                application: FUNCTION.to_owned(),
                environment: "prod".to_owned(),
                profile: "abc1234".to_owned(),
            };
            let service = ServiceSettings { appconfig: vec![profile], ..ServiceSettings::default() };
            let settings = AwsSettings { service_tag: Some("service".to_owned()), ..account.settings() };
            let clients = Clients::connect(&settings).await.unwrap();
            let evidence = gather(&clients, request(service), patient(), |_| {}).await;
            let mut told = evidence.gaps.iter().filter(|gap| gap.source == source);
            assert!(told.any(|gap| gap.reason.contains(words)), "{action}: {words}: {:?}", evidence.gaps);
            assert!(evidence.trail.is_some() && evidence.series.is_some(), "{:?}", evidence.gaps);
        }
    }
}

#[tokio::test]
async fn an_api_that_never_answers_costs_its_own_deadline_and_no_more() {
    let account = account().await;
    account.world.rate_fault("ssm:*", 1.0, Fault::Hang);
    let deadlines = Deadlines { deploys: Duration::from_millis(1500), ..Deadlines::default() };
    let evidence = read(&account, deadlines).await;
    assert!(evidence.gaps.iter().any(|gap| gap.source == "ssm"), "{:?}", evidence.gaps);
    assert!(evidence.series.is_some() && evidence.logs.is_some(), "{:?}", evidence.gaps);
}

#[tokio::test]
async fn a_region_without_a_service_lacks_that_service_alone() {
    for service in ["appconfig", "cloudformation", "codedeploy", "ecs", "ssm", "xray"] {
        let account = account().await;
        account.world.rate_fault(&format!("{service}:*"), 1.0, Fault::Reset);
        let evidence = read(&account, patient()).await;
        let sources: Vec<&str> = evidence.gaps.iter().map(|gap| gap.source.as_str()).collect();
        assert!(
            !sources.is_empty() && sources.iter().all(|source| *source == service),
            "{:?}",
            evidence.gaps
        );
        let reason = &evidence.gaps[0].reason;
        assert!(reason.contains("cannot be reached"), "{:?}", evidence.gaps);
    }
}

#[tokio::test]
async fn with_a_clock_an_hour_off_nothing_later_than_it_is_known() {
    let account = account().await;
    for now in ["11:20:00", "13:20:00"] {
        let now = at(now);
        let request = Request { now, ..request(ServiceSettings::default()) };
        let evidence = gather(&account.clients().await, request, Deadlines::default(), |_| {}).await;
        assert!(evidence.trail.iter().flatten().all(|record| record.at <= now));
        assert!(evidence.logs.iter().flatten().all(|event| event.at <= now));
        assert!(
            evidence.series.iter().flatten().flat_map(|series| &series.points).all(|point| point.0 <= now)
        );
        assert!(evidence.parameters.iter().flatten().all(|one| one.modified_at.is_none_or(|at| at <= now)));
        assert!(evidence.gaps.iter().all(|gap| !gap.reason.contains("refused")), "{:?}", evidence.gaps);
    }
    // Where AWS itself refuses a signature for its time, that is what is said.
    let skewed = Fault::Error {
        status: 403,
        code: "InvalidSignatureException".to_owned(),
        message: "Signature expired: 20260206T112000Z is now earlier than 20260206T121500Z".to_owned(),
    };
    account.world.rate_fault("ssm:*", 1.0, skewed);
    let evidence = read(&account, Deadlines::default()).await;
    assert!(evidence.gaps.iter().any(|gap| gap.source == "ssm" && gap.reason.contains("Signature expired")));
}

#[tokio::test]
async fn an_account_with_three_thousand_functions_is_not_listed_to_its_end() {
    let account = account().await;
    let alice = Identity::user(ACCOUNT, "alice");
    let long_ago = at("08:00:00") - Duration::from_hours(24 * 30);
    for number in 0..3000 {
        let (name, settings) = (format!("a-{number:04}"), FunctionSettings::default());
        account.world.create_function(&name, BTreeMap::new(), settings, &alice, long_ago).unwrap();
    }
    let evidence = read(&account, Deadlines::default()).await;
    assert_eq!(evidence.gaps, []);
    assert_eq!(evidence.scope.resources.lambda, [FUNCTION], "found by its name, not by the listing");
    assert_eq!(evidence.scope.peers.len(), 6);
    assert!(account.world.calls("lambda:ListFunctions") <= 4);
}

#[tokio::test]
async fn a_log_group_that_does_not_exist_is_told_and_the_others_are_read() {
    let account = account().await;
    let groups = vec!["/ecs/no-such-group".to_owned(), GROUP.to_owned()];
    let service = ServiceSettings { log_groups: groups, ..ServiceSettings::default() };
    let clients = account.clients().await;
    let evidence = gather(&clients, request(service), Deadlines::default(), |_| {}).await;
    assert!(evidence.gaps.iter().any(|gap| gap.reason == "there is no log group /ecs/no-such-group"));
    assert_eq!(evidence.logs.as_ref().map(Vec::len), Some(15));
}

#[tokio::test]
async fn fifty_incidents_at_once_stay_below_cloudtrails_two_calls_a_second() {
    let options = WorldOptions {
        rate_limits: BTreeMap::from([("cloudtrail:LookupEvents".to_owned(), 2.0)]),
        ..WorldOptions::immediate(WorldClock::manual(at("12:20:00")))
    };
    let account = Account::with(options).await;
    account.deploy_checkout();
    let clients: Clients = account.clients().await;
    let deadline = Instant::now() + Duration::from_secs(3);
    let wanted: Vec<Wanted> = (0..50)
        .map(|number| Wanted {
            resources: vec![format!("service-{number}")],
            resources_since: at("08:00:00"),
            all_since: at("09:15:00"),
            until: at("12:20:00"),
        })
        .collect();
    let lookups = wanted.iter().map(|wanted| changes::lookup(&clients, wanted, deadline));
    let found = futures::future::join_all(lookups).await;
    for one in &found {
        let records = one.records.as_ref().expect("what changed in the account is shared by all");
        assert!(!records.is_empty());
        // Whose own question had no turn in time says so; none was refused as too frequent.
        assert!(one.gaps.iter().all(|gap| gap.reason.contains("no answer in time")), "{:?}", one.gaps);
    }
    let unanswered = found.iter().filter(|one| !one.gaps.is_empty()).count();
    assert!((35..50).contains(&unanswered), "{unanswered} of 50 could not ask for their own");
    assert!(account.world.calls("cloudtrail:LookupEvents") <= 8);
}

#[tokio::test]
async fn every_read_of_the_policy_is_tried_and_a_denied_one_is_named() {
    let account = account().await;
    let policy = include_str!("../../deploy/iam-read.json");
    let policy: serde_json::Value = serde_json::from_str(policy).unwrap();
    let granted: Vec<&str> = policy["Statement"][0]["Action"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(serde_json::Value::as_str)
        .collect();
    let tried = permissions::try_all(&account.clients().await, at("12:20:00"), soon()).await;
    let mut actions: Vec<&str> = tried.iter().map(|one| one.action).collect();
    actions.sort_unstable();
    assert_eq!(actions, granted);
    assert!(tried.iter().all(|one| one.trouble.is_none()), "{tried:?}");
    for denied in granted {
        account.world.rate_fault(denied, 1.0, Fault::access_denied(denied));
        let tried = permissions::try_all(&account.clients().await, at("12:20:00"), soon()).await;
        let named: Vec<&str> =
            tried.iter().filter(|one| one.trouble.is_some()).map(|one| one.action).collect();
        assert_eq!(named, [denied]);
        account.world.clear_faults();
    }
    assert_eq!(account.world.mutations(), [], "nothing is changed by looking");
}
