//! Where fuzzing begins: one well-formed input or more for each target, most of them from the tests.

use std::io::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

const ALERTS: &[&str] = &[
    include_str!("../../tests/alerts/classic.json"),
    include_str!("../../tests/alerts/cloudwatch.json"),
    include_str!("../../tests/alerts/datadog.json"),
    include_str!("../../tests/alerts/errors.json"),
    include_str!("../../tests/alerts/grafana.json"),
    include_str!("../../tests/alerts/negative.json"),
    include_str!("../../tests/alerts/paging.json"),
    include_str!("../../tests/alerts/prometheus.json"),
    include_str!("../../tests/alerts/uptime.json"),
];
const SNS: &str = include_str!("../../tests/it/sns/messages.json");
const PRESS: &str = r#"{"type": "block_actions", "user": {"id": "U1"}, "channel": {"id": "C1"}, "trigger_id": "1.2.x",
    "container": {"type": "message", "message_ts": "1.2", "channel_id": "C1"}, "message": {"ts": "1.2"},
    "response_url": "https://hooks.slack.com/actions/T1/2/3",
    "actions": [{"action_id": "rollback_approve", "value": "a1", "type": "button", "action_ts": "1.3"}]}"#;
const FORM: &str = r#"{"type": "view_submission", "user": {"id": "U1"}, "view": {"id": "V1", "callback_id": "investigate",
    "private_metadata": "{\"channel\": \"C1\"}", "state": {"values": {"service": {"service": {"type":
    "external_select", "selected_option": {"value": "checkout"}}}, "when": {"when": {"value": "20 minutes ago"}}}}}}"#;
const RECORD: &str = r#"{"eventVersion": "1.08", "eventID": "e-1", "eventTime": "2026-02-06T12:00:00Z",
    "eventSource": "lambda.amazonaws.com", "eventName": "UpdateFunctionConfiguration20150331v2", "awsRegion": "us-east-1",
    "userIdentity": {"type": "AssumedRole", "arn": "arn:aws:sts::1:assumed-role/deploy/ci", "sessionContext":
    {"sessionIssuer": {"userName": "deploy"}}}, "requestParameters": {"functionName": "checkout", "environment": {}},
    "responseElements": {"functionName": "checkout", "version": "$LATEST"}}"#;
const LOGS: &str = "{\"timestamp\": 1770379200000, \"message\": \"2026-02-06T12:00:00Z ERROR pool exhausted id=7 after 5 s\", \
    \"logGroupName\": \"/aws/lambda/checkout\", \"logStreamName\": \"2026/02/06/[42]9f8e\"}\n\
    {\"timestamp\": 1770379260000, \"message\": \"{\\\"level\\\": \\\"error\\\", \\\"msg\\\": \\\"timeout\\\", \\\"ms\\\": 3000}\"}\n";
const METRICS: &str = r#"{"MetricDataQueries": [{"Id": "m0", "MetricStat": {"Metric": {"Namespace": "AWS/Lambda",
    "MetricName": "Errors", "Dimensions": [{"Name": "FunctionName", "Value": "checkout"}]}, "Period": 60, "Stat": "Sum"}}],
    "MetricDataResults": [{"Id": "m0", "Timestamps": ["2026-02-06T12:00:00Z", "2026-02-06T12:01:00Z"], "Values": [1, 40]}]}"#;
const VERSIONS: &str = r#"{"Versions": [{"FunctionName": "checkout", "Version": "$LATEST", "LastModified":
    "2026-02-06T12:00:00.000+0000", "CodeSha256": "a", "Timeout": 3, "Environment": {"Variables": {"DB_POOL_SIZE": "5"}}}]}"#;
const ALIASES: &str = r#"{"Aliases": [{"Name": "live", "FunctionVersion": "42", "RoutingConfig":
    {"AdditionalVersionWeights": {"43": 0.1}}}]}"#;
const ECS: &str = r#"{"serviceName": "checkout", "clusterArn": "arn:aws:ecs:us-east-1:1:cluster/prod", "taskDefinition":
    "arn:aws:ecs:us-east-1:1:task-definition/checkout:7", "desiredCount": 2, "runningCount": 2, "deployments": [{"id":
    "ecs-svc/1", "status": "PRIMARY", "taskDefinition": "arn:aws:ecs:us-east-1:1:task-definition/checkout:7",
    "createdAt": "2026-02-06T12:00:00Z"}], "events": [{"createdAt": "2026-02-06T12:00:00Z", "message": "steady"}]}"#;
const DEFINITIONS: &str = r#"{"taskDefinitions": [{"taskDefinitionArn": "arn:aws:ecs:us-east-1:1:task-definition/checkout:7",
    "family": "checkout", "revision": 7, "containerDefinitions": [{"name": "app", "image": "shop:1", "environment":
    [{"name": "POOL", "value": "5"}], "secrets": [{"name": "P", "valueFrom": "arn:aws:ssm:us-east-1:1:parameter/p"}]}]}]}"#;
const PARAMETERS: &str = r#"{"Parameters": [{"Name": "/checkout/pool", "Type": "String", "Value": "5", "Version": 2,
    "LastModifiedDate": "2026-02-06T12:00:00Z", "LastModifiedUser": "arn:aws:iam::1:user/a"}]}"#;
const APPCONFIG: &str = r#"{"Deployments": [{"DeploymentNumber": 3, "ApplicationName": "checkout", "EnvironmentName": "prod",
    "ConfigurationName": "flags", "ConfigurationVersion": "4", "State": "COMPLETE", "StartedAt": "2026-02-06T12:00:00Z",
    "EventLog": [], "ContentBefore": "{\"a\": 1}", "ContentAfter": {"a": 2}}]}"#;

const EVENTS: &str = r#"{"Events": [{"id": "e-1", "time": "2026-02-06T12:01:00Z", "detail-type": "Parameter Store Change",
    "source": "aws.ssm", "resources": ["arn:aws:ssm:us-east-1:1:parameter/checkout/limit"], "detail": {"name": "/checkout/limit",
    "operation": "Update"}}, {"deploymentId": "d-1", "status": "SUCCEEDED", "applicationName": "checkout", "completeTime":
    "Fri Feb 06 12:04:00 UTC 2026"}]}"#;
const DEPLOYMENTS: &str = r#"{"deploymentsInfo": [{"deploymentId": "d-1", "applicationName": "checkout", "deploymentGroupName":
    "live", "status": "Succeeded", "creator": "user", "createTime": "2026-02-06T12:00:00Z", "completeTime": 1770379440.0}]}"#;
const STACKS: &str = r#"{"StackEvents": [{"EventId": "s-1", "StackName": "checkout", "Timestamp": "2026-02-06T12:00:00Z",
    "LogicalResourceId": "Function", "PhysicalResourceId": "checkout", "ResourceType": "AWS::Lambda::Function",
    "ResourceStatus": "UPDATE_COMPLETE"}]}"#;
const BATCH: &str = r#"{"messageType": "DATA_MESSAGE", "owner": "1", "logGroup": "/aws/lambda/checkout", "logStream": "s",
    "subscriptionFilters": ["f"], "logEvents": [{"id": "1", "timestamp": 1770379200000, "message": "ERROR pool exhausted"},
    {"id": "2", "timestamp": 1770379260000, "message": "{\"level\": \"error\", \"msg\": \"timeout\", \"ms\": 3000}"}]}"#;

const SNAPSHOTS: &str = r#"{"Snapshots": [{"resource": "lambda/checkout/environment", "first_at": "2026-02-06T09:00:00Z",
    "last_at": "2026-02-06T11:50:00Z", "values": {"POOL": "10", "DB_PASSWORD": {"hash": "a"}}}, {"resource": "ecs/prod/checkout",
    "first_at": "2026-02-06T12:05:00Z", "last_at": "2026-02-06T12:20:00Z", "values": {"desiredCount": "2"}}]}"#;
const TRIALS: &str = r#"{"Trials": [{"function": "checkout", "alias": "live", "current": "2", "earlier": "1", "change":
    "alias move of checkout", "other": "parameter change of /checkout/limit", "if_change": 0.01, "if_other": 0.4, "needed": 10,
    "expected": 16, "begun_at": "2026-02-06T12:10:00Z", "ended_at": "2026-02-06T12:15:00Z", "earlier_count":
    {"requests": 24.0, "failures": 1.0}, "current_count": {"requests": 475.0, "failures": 190.0}}]}"#;
/// What `services import` reads: a stack, a state as it is shown and as it is stored, and tags.
const DECLARED: [&str; 4] = [
    r#"{"StackResources": [{"ResourceType": "AWS::Lambda::Function", "PhysicalResourceId": "checkout"}, {"ResourceType":
    "AWS::Lambda::Alias", "PhysicalResourceId": "arn:aws:lambda:us-east-1:1:function:checkout:live"}, {"ResourceType":
    "AWS::ECS::Service", "PhysicalResourceId": "arn:aws:ecs:us-east-1:1:service/prod/refunds"}, {"ResourceType":
    "AWS::Logs::LogGroup", "PhysicalResourceId": "/prod/refunds/app"}, {"ResourceType": "AWS::SSM::Parameter",
    "PhysicalResourceId": "/checkout/limit"}]}"#,
    r#"{"format_version": "1.0", "values": {"root_module": {"child_modules": [{"resources": [{"mode": "managed", "type":
    "aws_lambda_function", "values": {"function_name": "shop", "tags_all": {"Service": "shop", "Team": "a"}}}, {"mode":
    "managed", "type": "aws_lambda_alias", "values": {"function_name": "shop", "name": "live"}}]}]}}}"#,
    r#"{"version": 4, "resources": [{"mode": "managed", "type": "aws_ecs_service", "instances": [{"attributes": {"name":
    "shop", "cluster": "arn:aws:ecs:us-east-1:1:cluster/prod", "tags": {"app": "shop"}}}]}, {"mode": "managed", "type":
    "aws_ssm_parameter", "instances": [{"attributes": {"name": "/shop/limit"}}]}]}"#,
    r#"{"ResourceTagMappingList": [{"ResourceARN": "arn:aws:lambda:us-east-1:1:function:shop-a", "Tags": [{"Key": "service",
    "Value": "shop"}, {"Key": "owner", "Value": "a"}]}, {"ResourceARN": "arn:aws:logs:us-east-1:1:log-group:/shop/app:*",
    "Tags": []}, {"ResourceARN": "arn:aws:ssm:us-east-1:1:parameter/shop/limit", "Tags": []}]}"#,
];

/// Inputs of a target to begin with.
pub fn of(target: &str) -> Vec<Vec<u8>> {
    match target {
        "alert" => owned(&[
            r#"{"alert": {"service": "checkout", "triggered_at": "2026-02-06T12:15:00Z", "metric": "p99", "current_value": "2.5"}}"#,
            r#"{"service": "checkout", "startsAt": 1770380100, "alertname": "HighErrorRate", "severity": "critical"}"#,
        ]),
        "alert_reader" => messages(),
        "slack_event" => messages()
            .into_iter()
            .filter_map(|message| {
                let message: Value = serde_json::from_slice(&message).ok()?;
                let mut event =
                    serde_json::json!({"type": "message", "channel": "C1", "ts": "1.2", "bot_id": "B1"});
                event.as_object_mut()?.extend(message.as_object()?.clone());
                let body = serde_json::json!({"type": "event_callback", "event_id": "Ev1", "event": event});
                Some(body.to_string().into_bytes())
            })
            .collect(),
        "slack_command" => owned(&[
            "user_id=U1&channel_id=C1&text=checkout+20+minutes+ago&trigger_id=1.2.x&response_url=https%3A%2F%2Fhooks.slack.com%2Fa",
            "mute checkout 2h deploy",
            "close INC-7 it was the cache",
        ]),
        "slack_action" => owned(&[PRESS, FORM]),
        "slack_frame" => owned(&[
            r#"{"type": "hello", "num_connections": 1, "debug_info": {"approximate_connection_time": 18060}}"#,
            r#"{"type": "disconnect", "reason": "refresh_requested"}"#,
            r#"{"type": "events_api", "envelope_id": "e1", "payload": {}, "retry_attempt": 1, "accepts_response_payload": false}"#,
        ]),
        "mention" => owned(&[
            "<@U0BOT> investigate checkout 20 minutes ago",
            "<@U0BOT> close INC-7 it was a&amp;b",
            "<https://shop.slack.com/archives/C0123/p1770380100000200?thread_ts=1770380000.000100&amp;cid=C0123|there>",
        ]),
        "request" => owned(&[
            "localhost:3000\nhttp://127.0.0.1:3000\nsame-origin\nINC-7",
            "[::1]:3000\n\nnone\n12",
            "bot.example\nhttps://bot.example\ncross-site\ninc-1",
            "127.0.0.1\nnull",
        ]),
        "sns" => sns_bodies(),
        "aws_logs" => delivered_lines(),
        "aws_event" => parts(SNS)
            .into_iter()
            .filter_map(|message| {
                let message: Value = serde_json::from_slice(&message).ok()?;
                Some(message["Message"].as_str()?.as_bytes().to_vec())
            })
            .collect(),
        "cloudtrail" => owned(&[RECORD]),
        "bundle" => {
            let record = format!("{{\"Records\": [{RECORD}]}}");
            let files = [
                LOGS,
                METRICS,
                &record,
                VERSIONS,
                ALIASES,
                ECS,
                DEFINITIONS,
                PARAMETERS,
                APPCONFIG,
                EVENTS,
                DEPLOYMENTS,
                STACKS,
                SNAPSHOTS,
                TRIALS,
            ];
            files.iter().zip(2_u8..).map(|(file, which)| [&[which][..], file.as_bytes()].concat()).collect()
        }
        "log_lines" => owned(&[
            "2026-02-06 12:00:00,123 INFO [pool-1] c.shop.Orders - order 17 took 35 ms\n2026-02-06 12:00:01,123 WARN x\n",
            "{\"level\": \"error\", \"msg\": \"timeout after 3 s\"}\nlevel=info msg=\"a b\" n=1\n",
        ]),
        "csv" => {
            owned(&["timestamp,value\n1770379200,1.5\n2026-02-06T12:01:00Z,2\n", "a;b\n1;2\n\"3\";4,5\n"])
        }
        "time_words" => owned(&[
            "20 minutes ago",
            "yesterday 9pm",
            "2026-02-06T12:15:00+05:30",
            "14:05 CET",
            "6 Feb 14:05",
        ]),
        "redact" => owned(&[
            "password=hunter2 postgres://app:s3cr3t@db/x Authorization: Bearer abc.def xoxb-123456789012-abcdef",
            "{\"name\": \"DB_PASSWORD\", \"value\": \"x\", \"tokens\": [\"a\", \"b\"]}",
            "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\n",
        ]),
        "mrkdwn" => owned(&["<!channel> see <https://evil|docs> & `x` *bold*"]),
        "services" => owned(&DECLARED),
        "configuration" => owned(&[include_str!("../../deploy/commander.example.toml")]),
        _ => Vec::new(),
    }
}

/// The signed messages of the tests, whose certificate is where Amazon's are: that is not signed.
fn sns_bodies() -> Vec<Vec<u8>> {
    let with_certificate = |body: Vec<u8>| {
        let mut message: Value = serde_json::from_slice(&body).unwrap_or_default();
        message["SigningCertURL"] = json!("https://sns.eu-west-1.amazonaws.com/a.pem");
        message.to_string().into_bytes()
    };
    parts(SNS).into_iter().map(with_certificate).collect()
}

/// A batch however it comes, a body of Firehose as it is, and one that is packed.
fn delivered_lines() -> Vec<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let packed = encoder.write_all(BATCH.as_bytes()).and_then(|()| encoder.finish()).unwrap_or_default();
    let firehose = json!({ "requestId": "r-1", "timestamp": 1, "records": [{ "data": BASE64_STANDARD.encode(&packed) }] });
    let batches = [0_u8, 2, 3, 4, 5].map(|how| (how, BATCH.as_bytes().to_vec()));
    let whole = [(0, firehose.to_string().into_bytes()), (1, packed)];
    batches.into_iter().chain(whole).map(|(how, body)| [&[how][..], &body].concat()).collect()
}

fn owned(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// The messages of the alert corpus.
fn messages() -> Vec<Vec<u8>> {
    let of_file = |file: &&str| {
        let file: Value = serde_json::from_str(file).unwrap_or_default();
        let cases = file["cases"].as_array().cloned().unwrap_or_default();
        cases.into_iter().map(|case| case["message"].to_string().into_bytes())
    };
    ALERTS.iter().flat_map(of_file).collect()
}

/// Each value of an object, as a text of its own.
fn parts(object: &str) -> Vec<Vec<u8>> {
    let object: Value = serde_json::from_str(object).unwrap_or_default();
    object.as_object().into_iter().flatten().map(|(_, value)| value.to_string().into_bytes()).collect()
}
