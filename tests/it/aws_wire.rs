//! The AWS-compatible endpoint as the real SDK sees it, one service after the other.

use std::time::Duration;

use aws_sdk_cloudtrail::error::ProvideErrorMetadata;
use aws_sdk_cloudtrail::types::{LookupAttribute, LookupAttributeKey};
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{
    Dimension, Metric, MetricDataQuery, MetricDataResult, MetricDatum, MetricStat, StandardUnit,
};
use aws_sdk_cloudwatchlogs::types::QueryStatus;
use aws_sdk_lambda::types::LastUpdateStatus;
use incident_commander::demo::aws::{Fault, Identity, QueryEnd, WorldClock, WorldOptions};
use serde_json::{Value, json};

use super::aws_account::{ACCOUNT, Account, FUNCTION, GROUP, at};

fn time(text: &str) -> DateTime {
    DateTime::from_millis(at(text).as_millisecond())
}

fn query(id: &str, stat: &str, period: i32) -> MetricDataQuery {
    let metric = Metric::builder()
        .namespace("DemoApp")
        .metric_name("Latency")
        .dimensions(Dimension::builder().name("service").value("checkout").build())
        .build();
    let stat = MetricStat::builder().metric(metric).period(period).stat(stat).build();
    MetricDataQuery::builder().id(id).metric_stat(stat).build()
}

#[tokio::test]
async fn measurements_that_were_put_can_be_got() {
    let account = Account::open().await;
    let cloudwatch = aws_sdk_cloudwatch::Client::new(&account.sdk().await);
    let dimension = Dimension::builder().name("service").value("checkout").build();
    let datum = |value: f64, at: &str| {
        MetricDatum::builder()
            .metric_name("Latency")
            .dimensions(dimension.clone())
            .timestamp(time(at))
            .value(value)
            .unit(StandardUnit::Milliseconds)
            .storage_resolution(1)
            .build()
    };
    cloudwatch
        .put_metric_data()
        .namespace("DemoApp")
        .metric_data(datum(150.0, "12:10:01"))
        .metric_data(datum(2100.0, "12:10:12"))
        .send()
        .await
        .unwrap();
    let answer = cloudwatch
        .get_metric_data()
        .metric_data_queries(query("fine", "p99", 10))
        .metric_data_queries(query("coarse", "Average", 60))
        .metric_data_queries(query("holes", "Sum", 1))
        .start_time(time("12:00:00"))
        .end_time(time("12:20:00"))
        .send()
        .await
        .unwrap();
    let values: Vec<&[f64]> = answer.metric_data_results().iter().map(MetricDataResult::values).collect();
    // Newest first unless asked otherwise; seconds without a measurement have no point.
    assert_eq!(values, [&[2100.0, 150.0][..], &[1125.0], &[2100.0, 150.0]]);
    assert_eq!(answer.metric_data_results()[0].timestamps()[1], time("12:10:00"));
    let listed = cloudwatch.list_metrics().namespace("DemoApp").send().await.unwrap();
    assert_eq!(listed.metrics()[0].metric_name(), Some("Latency"));
}

#[tokio::test]
async fn datapoints_come_in_pages_that_can_be_put_together() {
    let clock = WorldClock::manual(at("12:20:00"));
    let account = Account::with(WorldOptions { metrics_page: 7, ..WorldOptions::immediate(clock) }).await;
    for minute in 0..10 {
        let at = at("12:00:30") + Duration::from_mins(minute);
        account.world.put_metric(
            "DemoApp",
            "Latency",
            &[("service", "checkout")],
            at,
            minute as f64,
            "None",
            false,
        );
    }
    let cloudwatch = aws_sdk_cloudwatch::Client::new(&account.sdk().await);
    let mut pages = cloudwatch
        .get_metric_data()
        .metric_data_queries(query("a", "Sum", 60))
        .metric_data_queries(query("b", "Maximum", 60))
        .start_time(time("12:00:00"))
        .end_time(time("12:20:00"))
        .into_paginator()
        .send();
    let (mut points, mut count) = (Vec::new(), 0);
    while let Some(page) = pages.next().await {
        count += 1;
        for result in page.unwrap().metric_data_results() {
            points.extend(result.values().iter().map(|value| (result.id().unwrap().to_owned(), *value)));
        }
    }
    let of =
        |id: &str| -> Vec<f64> { points.iter().filter(|point| point.0 == id).map(|point| point.1).collect() };
    let expected: Vec<f64> = (0..10).rev().map(f64::from).collect();
    assert_eq!((count, of("a"), of("b")), (3, expected.clone(), expected));
}

#[tokio::test]
async fn metric_math_is_refused_rather_than_answered_with_nothing() {
    let account = Account::open().await;
    let cloudwatch = aws_sdk_cloudwatch::Client::new(&account.sdk().await);
    let math = MetricDataQuery::builder().id("rate").expression("m1/m2").build();
    let error = cloudwatch
        .get_metric_data()
        .metric_data_queries(math)
        .start_time(time("12:00:00"))
        .end_time(time("12:20:00"))
        .send()
        .await
        .unwrap_err();
    assert_eq!(error.code(), Some("ValidationError"));
}

#[tokio::test]
async fn a_page_of_lines_can_be_empty_and_still_carry_a_token() {
    let clock = WorldClock::manual(at("12:20:00"));
    let account = Account::with(WorldOptions { logs_scan_page: 3, ..WorldOptions::immediate(clock) }).await;
    for index in 0..9 {
        let message = if index == 7 { "ERROR pool exhausted" } else { "INFO done" };
        account.world.put_log(GROUP, "s", at("12:00:00") + Duration::from_secs(index), message.to_owned());
    }
    let logs = aws_sdk_cloudwatchlogs::Client::new(&account.sdk().await);
    let mut pages =
        logs.filter_log_events().log_group_name(GROUP).filter_pattern("ERROR").into_paginator().send();
    let mut sizes = Vec::new();
    while let Some(page) = pages.next().await {
        sizes.push(page.unwrap().events().len());
    }
    assert_eq!(sizes, [0, 0, 1]);
}

#[tokio::test]
async fn an_insights_query_is_scheduled_runs_and_completes() {
    let clock = WorldClock::manual(at("12:20:00"));
    let account = Account::with(WorldOptions {
        insights_scheduled: Duration::from_secs(1),
        insights_time: Duration::from_secs(2),
        ..WorldOptions::immediate(clock)
    })
    .await;
    for (second, level) in [(0, "INFO"), (1, "ERROR"), (61, "ERROR"), (62, "ERROR")] {
        let message = json!({"level": level, "message": "m"}).to_string();
        account.world.put_log(GROUP, "s", at("12:00:00") + Duration::from_secs(second), message);
    }
    let logs = aws_sdk_cloudwatchlogs::Client::new(&account.sdk().await);
    let started = logs
        .start_query()
        .log_group_name(GROUP)
        .start_time(at("12:00:00").as_second())
        .end_time(at("12:10:00").as_second())
        .query_string("filter level = 'ERROR' | stats count(*) as hits by bin(1m) | sort hits desc")
        .send()
        .await
        .unwrap();
    let look = || logs.get_query_results().query_id(started.query_id().unwrap()).send();
    assert_eq!(look().await.unwrap().status(), Some(&QueryStatus::Scheduled));
    account.clock.advance(Duration::from_secs(1));
    assert_eq!(look().await.unwrap().status(), Some(&QueryStatus::Running));
    account.clock.advance(Duration::from_secs(2));
    let done = look().await.unwrap();
    assert_eq!(done.status(), Some(&QueryStatus::Complete));
    let cells: Vec<&str> = done.results().iter().flatten().filter_map(|cell| cell.value()).collect();
    assert_eq!(cells, ["2026-02-06 12:01:00.000", "2", "2026-02-06 12:00:00.000", "1"]);
    let statistics = done.statistics().unwrap();
    assert_eq!((statistics.records_matched(), statistics.records_scanned()), (3.0, 4.0));
}

#[tokio::test]
async fn queries_fail_and_bad_ones_are_refused() {
    let account = Account::open().await;
    account.world.put_log(GROUP, "s", at("12:00:00"), "x".to_owned());
    account.world.script_queries([QueryEnd::Failed, QueryEnd::Timeout]);
    let logs = aws_sdk_cloudwatchlogs::Client::new(&account.sdk().await);
    let start = |text: &'static str| {
        let call = logs.start_query().log_group_name(GROUP).start_time(1).end_time(1_800_000_000);
        call.query_string(text).send()
    };
    for expected in [QueryStatus::Failed, QueryStatus::Timeout, QueryStatus::Complete] {
        let id = start("fields @message").await.unwrap().query_id().unwrap().to_owned();
        let answer = logs.get_query_results().query_id(id).send().await.unwrap();
        assert_eq!(answer.status(), Some(&expected));
    }
    let error = start("fields @message | parse @message '*' as rest").await.unwrap_err();
    assert_eq!(error.code(), Some("MalformedQueryException"));
}

async fn look_up(account: &Account, key: LookupAttributeKey, value: &str) -> Vec<Value> {
    let trail = aws_sdk_cloudtrail::Client::new(&account.sdk().await);
    let attribute = LookupAttribute::builder().attribute_key(key).attribute_value(value).build().unwrap();
    let answer = trail.lookup_events().lookup_attributes(attribute).send().await.unwrap();
    answer
        .events()
        .iter()
        .map(|event| serde_json::from_str(event.cloud_trail_event().unwrap()).unwrap())
        .collect()
}

#[tokio::test]
async fn records_of_functions_carry_a_suffix_and_hide_the_environment() {
    let account = Account::open().await;
    account.deploy_checkout();
    let records = look_up(&account, LookupAttributeKey::ResourceName, FUNCTION).await;
    let names: Vec<&str> = records.iter().filter_map(|record| record["eventName"].as_str()).collect();
    assert_eq!(
        names,
        [
            "UpdateAlias20150331",
            "PublishVersion20150331",
            "UpdateFunctionConfiguration20150331v2",
            "CreateAlias20150331",
            "PublishVersion20150331",
            "CreateFunction20150331"
        ]
    );
    for record in &records {
        assert!(!record.to_string().contains("DB_POOL_SIZE"), "{record}");
    }
    assert_eq!(records[2]["requestParameters"]["environment"], json!({}));
    assert_eq!(records[2]["responseElements"]["environment"], json!({}));
    assert_eq!(records[2]["userIdentity"]["userName"], "alice");
}

#[tokio::test]
async fn a_record_is_delivered_after_its_delay() {
    let clock = WorldClock::manual(at("12:01:00"));
    let options = WorldOptions { cloudtrail_delay: Duration::from_mins(5), ..WorldOptions::immediate(clock) };
    let account = Account::with(options).await;
    account.deploy_checkout();
    let count = async || look_up(&account, LookupAttributeKey::ResourceName, FUNCTION).await.len();
    assert_eq!(count().await, 3);
    account.clock.advance(Duration::from_mins(4));
    assert_eq!(count().await, 6);
}

#[tokio::test]
async fn events_come_fifty_a_page_and_two_calls_a_second() {
    let clock = WorldClock::manual(at("12:20:00"));
    let mut options = WorldOptions::immediate(clock);
    options.rate_limits.insert("cloudtrail:LookupEvents".to_owned(), 2.0);
    let account = Account::with(options).await;
    let noise = Identity::session(ACCOUNT, "ci", "deploy");
    for index in 0..60 {
        let at = at("11:00:00") + Duration::from_secs(index);
        account.world.record_event(
            "ssm.amazonaws.com",
            "PutParameter",
            &noise,
            at,
            json!({"name": "/x"}),
            json!({}),
            None,
        );
    }
    let trail = aws_sdk_cloudtrail::Client::new(&account.sdk().await);
    let first = trail.lookup_events().send().await.unwrap();
    assert_eq!(first.events().len(), 50);
    let second = trail.lookup_events().set_next_token(first.next_token).send().await.unwrap();
    assert_eq!((second.events().len(), second.next_token()), (10, None));
    let error = trail.lookup_events().send().await.unwrap_err();
    assert_eq!(error.code(), Some("ThrottlingException"));
}

#[tokio::test]
async fn an_alias_moves_only_for_who_knows_its_revision() {
    let account = Account::open().await;
    account.deploy_checkout();
    let lambda = aws_sdk_lambda::Client::new(&account.sdk().await);
    let alias = lambda.get_alias().function_name(FUNCTION).name("live").send().await.unwrap();
    assert_eq!(alias.function_version(), Some("2"));
    let moved = |revision: &str| {
        lambda
            .update_alias()
            .function_name(FUNCTION)
            .name("live")
            .function_version("1")
            .revision_id(revision)
            .send()
    };
    let error = moved("stale").await.unwrap_err();
    assert_eq!(error.code(), Some("PreconditionFailedException"));
    assert_eq!(error.raw_response().unwrap().status().as_u16(), 412);
    moved(alias.revision_id().unwrap()).await.unwrap();
    assert_eq!(account.world.live_configuration(FUNCTION, "live").unwrap().0, "1");
    let mutations = account.world.mutations();
    assert_eq!(mutations.len(), 2);
    assert_eq!(mutations[0].error_code.as_deref(), Some("PreconditionFailedException"));
    assert_eq!(mutations[1].arn, format!("arn:aws:iam::{ACCOUNT}:user/commander"));
    let records = look_up(&account, LookupAttributeKey::Username, "commander").await;
    assert_eq!(records[0]["eventName"], "UpdateAlias20150331");
    assert_eq!(records[1]["errorCode"], "PreconditionFailedException");
}

#[tokio::test]
async fn versions_come_in_pages_with_their_environments() {
    let clock = WorldClock::manual(at("12:20:00"));
    let account = Account::with(WorldOptions { lambda_page: 2, ..WorldOptions::immediate(clock) }).await;
    account.deploy_checkout();
    let lambda = aws_sdk_lambda::Client::new(&account.sdk().await);
    let first = lambda.list_versions_by_function().function_name(FUNCTION).send().await.unwrap();
    assert_eq!(first.versions().len(), 2);
    let second = lambda
        .list_versions_by_function()
        .function_name(FUNCTION)
        .set_marker(first.next_marker)
        .send()
        .await
        .unwrap();
    assert_eq!(second.next_marker(), None);
    let all: Vec<_> = first.versions.into_iter().chain(second.versions).flatten().collect();
    let pools: Vec<(&str, &str)> = all
        .iter()
        .map(|version| {
            let variables = version.environment().unwrap().variables().unwrap();
            (version.version().unwrap(), variables["DB_POOL_SIZE"].as_str())
        })
        .collect();
    assert_eq!(pools, [("$LATEST", "5"), ("1", "10"), ("2", "5")]);
}

#[tokio::test]
async fn an_update_is_in_progress_for_a_while_and_others_have_to_wait() {
    let clock = WorldClock::manual(at("12:20:00"));
    let options =
        WorldOptions { function_update_time: Duration::from_secs(2), ..WorldOptions::immediate(clock) };
    let account = Account::with(options).await;
    account.deploy_checkout();
    let lambda = aws_sdk_lambda::Client::new(&account.sdk().await);
    let update = || lambda.update_function_configuration().function_name(FUNCTION).timeout(20);
    let updated = update().send().await.unwrap();
    assert_eq!(updated.last_update_status(), Some(&LastUpdateStatus::InProgress));
    let error = update().revision_id(updated.revision_id().unwrap()).send().await.unwrap_err();
    assert_eq!(error.code(), Some("ResourceConflictException"));
    account.clock.advance(Duration::from_secs(2));
    update().revision_id(updated.revision_id().unwrap()).send().await.unwrap();
}

#[tokio::test]
async fn an_assumed_role_may_do_only_what_it_allows() {
    let account = Account::open().await;
    account.deploy_checkout();
    let role = account.world.add_role("commander-read", &["lambda:Get*", "lambda:List*"]);
    let sts = aws_sdk_sts::Client::new(&account.sdk().await);
    let caller = sts.get_caller_identity().send().await.unwrap();
    assert_eq!(caller.account(), Some(ACCOUNT));
    let assumed = sts.assume_role().role_arn(role).role_session_name("test").send().await.unwrap();
    let key = assumed.credentials().unwrap().access_key_id().to_owned();
    let restricted = Account { access_key: key, ..account };
    let lambda = aws_sdk_lambda::Client::new(&restricted.sdk().await);
    lambda.get_alias().function_name(FUNCTION).name("live").send().await.unwrap();
    let error = lambda.update_alias().function_name(FUNCTION).name("live").send().await.unwrap_err();
    assert_eq!(error.code(), Some("AccessDeniedException"));
    assert!(error.message().unwrap().contains("lambda:UpdateAlias"));
}

#[tokio::test]
async fn unknown_callers_and_unknown_operations_are_refused() {
    let account = Account::open().await;
    let cloudwatch = aws_sdk_cloudwatch::Client::new(&account.sdk().await);
    let error = cloudwatch.describe_alarms().send().await.unwrap_err();
    assert_eq!(error.code(), Some("UnknownOperationException"));
    let stranger = Account { access_key: "AKIANOBODY".to_owned(), ..account };
    let lambda = aws_sdk_lambda::Client::new(&stranger.sdk().await);
    let error = lambda.list_functions().send().await.unwrap_err();
    assert_eq!(error.code(), Some("UnrecognizedClientException"));
}

#[tokio::test]
async fn every_kind_of_fault_reaches_the_sdk() {
    let account = Account::open().await;
    account.deploy_checkout();
    let lambda = aws_sdk_lambda::Client::new(&account.sdk().await);
    let faults = [Fault::Reset, Fault::Truncated, Fault::Malformed, Fault::Throttle, Fault::LostAnswer];
    account.world.script_faults("lambda:ListAliases", faults.map(Some));
    let mut seen = Vec::new();
    for _ in 0..6 {
        let answer = lambda.list_aliases().function_name(FUNCTION).send().await;
        seen.push(match answer {
            Ok(_) => "answer".to_owned(),
            Err(error) => error.code().unwrap_or("broken").to_owned(),
        });
    }
    assert_eq!(seen, ["broken", "broken", "broken", "TooManyRequestsException", "broken", "answer"]);
    assert_eq!(account.world.calls("lambda:ListAliases"), 6);
}
