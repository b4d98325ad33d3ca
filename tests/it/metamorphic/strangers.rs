//! What has nothing to do with the incident: changes of every kind, a service that works, a log group, all of somebody
//! whom nothing in the bundle names.
//!
//! The rule that is not obvious: a stranger is one that an honest reader would leave out as well. So the route and the
//! rule are added and take nothing away, since a route that is taken away may have been anybody's.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::Files;

/// Nobody's name.
const FUNCTION: &str = "quarry-tally";

/// Minutes between an unrelated change and the alert, besides the onset itself: the worst coincidence.
const BEFORE_ALERT: SignedDuration = SignedDuration::from_mins(25);

/// Account and Region of the bundle.
struct Place {
    account: String,
    region: String,
}

struct Call {
    kind: &'static str,
    /// The service's endpoint, without its domain.
    source: &'static str,
    name: &'static str,
    /// Request and answer.
    told: fn(&Place) -> [Value; 2],
}

/// One call of each kind of change that the engine tells apart.
const CALLS: [Call; 14] = [
    Call {
        kind: "code",
        source: "lambda",
        name: "UpdateFunctionCode20150331v2",
        told: |_| {
            [
                json!({"functionName": FUNCTION, "publish": false, "dryRun": false}),
                json!({"functionName": FUNCTION, "version": "$LATEST"}),
            ]
        },
    },
    Call {
        kind: "configuration",
        source: "lambda",
        name: "UpdateFunctionConfiguration20150331v2",
        told: |_| {
            [
                json!({"functionName": FUNCTION, "timeout": 3, "memorySize": 128}),
                json!({"functionName": FUNCTION, "timeout": 3, "memorySize": 128, "version": "$LATEST"}),
            ]
        },
    },
    Call {
        kind: "alias",
        source: "lambda",
        name: "UpdateAlias20150331",
        told: |_| {
            let alias = json!({"functionName": FUNCTION, "name": "live", "functionVersion": "8"});
            [alias.clone(), alias]
        },
    },
    Call {
        kind: "concurrency",
        source: "lambda",
        name: "PutFunctionConcurrency20171031",
        told: |_| {
            [
                json!({"functionName": FUNCTION, "reservedConcurrentExecutions": 2}),
                json!({"reservedConcurrentExecutions": 2}),
            ]
        },
    },
    Call {
        kind: "container service",
        source: "ecs",
        name: "UpdateService",
        told: |place| {
            let definition =
                format!("arn:aws:ecs:{}:{}:task-definition/quarry-tally:8", place.region, place.account);
            [
                json!({"cluster": "quarry", "service": FUNCTION, "taskDefinition": "quarry-tally:8"}),
                json!({"service": {"serviceName": FUNCTION, "taskDefinition": definition}}),
            ]
        },
    },
    Call {
        kind: "parameter",
        source: "ssm",
        name: "PutParameter",
        told: |_| {
            [
                json!({"name": "/quarry/tally/limit", "type": "String", "overwrite": true}),
                json!({"version": 8, "tier": "Standard"}),
            ]
        },
    },
    Call {
        kind: "AppConfig",
        source: "appconfig",
        name: "StartDeployment",
        told: |_| {
            [
                json!({
                    "ApplicationId": "qrry001", "EnvironmentId": "qrry002", "ConfigurationProfileId": "qrry003",
                    "ConfigurationVersion": "8", "DeploymentStrategyId": "AppConfig.AllAtOnce",
                }),
                json!({"deploymentNumber": 8}),
            ]
        },
    },
    Call {
        kind: "permission",
        source: "iam",
        name: "PutRolePolicy",
        told: |_| {
            let document = json!({"Version": "2012-10-17", "Statement": []}).to_string();
            [
                json!({"roleName": "quarry-role", "policyName": "tally", "policyDocument": document}),
                Value::Null,
            ]
        },
    },
    Call {
        kind: "security group",
        source: "ec2",
        name: "AuthorizeSecurityGroupIngress",
        told: |_| {
            let rule = json!({
                "ipProtocol": "tcp", "fromPort": 7443, "toPort": 7443,
                "ipRanges": {"items": [{"cidrIp": "10.9.0.0/16"}]},
            });
            [
                json!({"groupId": "sg-0a1b2c3d4e5f60718", "ipPermissions": {"items": [rule]}}),
                json!({"_return": true}),
            ]
        },
    },
    Call {
        kind: "network",
        source: "ec2",
        name: "CreateRoute",
        told: |_| {
            [
                json!({
                    "routeTableId": "rtb-0a1b2c3d4e5f60718", "destinationCidrBlock": "10.9.0.0/16",
                    "vpcPeeringConnectionId": "pcx-0a1b2c3d4e5f60718",
                }),
                json!({"_return": true}),
            ]
        },
    },
    Call {
        kind: "secret",
        source: "secretsmanager",
        name: "PutSecretValue",
        told: |place| {
            let arn = format!(
                "arn:aws:secretsmanager:{}:{}:secret:quarry/tally-AbCdEf",
                place.region, place.account
            );
            [json!({"secretId": "quarry/tally"}), json!({"arn": arn})]
        },
    },
    Call {
        kind: "database parameter",
        source: "rds",
        name: "ModifyDBParameterGroup",
        told: |_| {
            let parameter = json!({"parameterName": "max_connections", "parameterValue": "20", "applyMethod": "immediate"});
            [
                json!({"dBParameterGroupName": "quarry-pg", "parameters": [parameter]}),
                json!({"dBParameterGroupName": "quarry-pg"}),
            ]
        },
    },
    Call {
        kind: "stack",
        source: "cloudformation",
        name: "UpdateStack",
        told: |place| {
            let id =
                format!("arn:aws:cloudformation:{}:{}:stack/quarry-tally/1f", place.region, place.account);
            [json!({"stackName": FUNCTION, "parameters": []}), json!({"stackId": id})]
        },
    },
    Call {
        kind: "schedule",
        source: "events",
        name: "PutRule",
        told: |place| {
            let arn = format!("arn:aws:events:{}:{}:rule/quarry-nightly", place.region, place.account);
            [
                json!({"name": "quarry-nightly", "scheduleExpression": "rate(1 minute)"}),
                json!({"ruleArn": arn}),
            ]
        },
    },
];

/// Unrelated changes at the onset and some time before the alert: of all kinds, or of one each that the seed chooses.
pub fn changes(
    files: &Files,
    seed: u64,
    onset: Option<Timestamp>,
    of_all_kinds: bool,
) -> Vec<(String, Files)> {
    let earlier = super::transform::alert_time(files).and_then(|at| at.checked_sub(BEFORE_ALERT).ok());
    let mut variants = Vec::new();
    for (turn, (when, at)) in [("before the alert", earlier), ("at the onset", onset)].into_iter().enumerate()
    {
        let Some(at) = at else { continue };
        let chosen = (seed as usize + turn) % CALLS.len();
        for (number, call) in CALLS.iter().enumerate() {
            if of_all_kinds || number == chosen {
                let property = format!("an unrelated change ({}) {when}", call.kind);
                variants.push((property, with_change(files, call, at)));
            }
        }
    }
    variants
}

fn with_change(files: &Files, call: &Call, at: Timestamp) -> Files {
    let bundle = super::transform::parsed(files, "bundle.json").unwrap_or_default();
    let text = |key: &str| bundle.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let place = Place { account: text("account"), region: text("region") };
    let [request, answer] = (call.told)(&place);
    let account = &place.account;
    let record = json!({
        "eventVersion": "1.08",
        "userIdentity": {
            "type": "AssumedRole", "principalId": "AROAUNRELATED:quarry", "accountId": account,
            "arn": format!("arn:aws:sts::{account}:assumed-role/quarry/quarry"),
        },
        "eventTime": at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "eventSource": format!("{}.amazonaws.com", call.source), "eventName": call.name,
        "awsRegion": place.region, "sourceIPAddress": "192.0.2.7", "userAgent": "aws-cli/2.15.0", "readOnly": false,
        "requestParameters": request, "responseElements": answer,
        "requestID": "6f1f0000-0000-4000-8000-0000000000aa", "eventID": "6f1f0000-0000-4000-8000-0000000000ab",
        "eventType": "AwsApiCall", "managementEvent": true, "recipientAccountId": account,
    });
    super::transform::edited(files, "cloudtrail.json", |trail| {
        if let Some(records) = trail.get_mut("Records").and_then(Value::as_array_mut) {
            records.push(record);
        }
    })
}

/// A function that nobody calls and that works as ever, measured in the same minutes.
pub fn with_service(files: &Files, seed: u64) -> Files {
    let mut random = fastrand::Rng::with_seed(seed);
    super::transform::edited(files, "metrics.json", |metrics| {
        let times: Vec<Value> = metrics
            .get("MetricDataResults")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|result| result.get("Timestamps")?.as_array())
            .max_by_key(|times| times.len())
            .cloned()
            .unwrap_or_default();
        let period = metrics.pointer("/MetricDataQueries/0/MetricStat/Period").cloned().unwrap_or(json!(60));
        for (metric, stat, base, spread) in [
            ("Invocations", "Sum", 300.0, 25.0),
            ("Errors", "Sum", 0.0, 2.0),
            ("Duration", "Average", 40.0, 4.0),
        ] {
            let id = format!("quarry{}", metric.to_lowercase());
            let values: Vec<f64> = times.iter().map(|_| (base + spread * random.f64()).floor()).collect();
            let query = json!({"Id": id, "ReturnData": true, "MetricStat": {"Period": period, "Stat": stat, "Metric": {
                "Namespace": "AWS/Lambda", "MetricName": metric,
                "Dimensions": [{"Name": "FunctionName", "Value": FUNCTION}],
            }}});
            let result = json!({"Id": id, "Label": metric, "StatusCode": "Complete", "Timestamps": times, "Values": values});
            for (list, one) in [("MetricDataQueries", query), ("MetricDataResults", result)] {
                if let Some(list) = metrics.get_mut(list).and_then(Value::as_array_mut) {
                    list.push(one);
                }
            }
        }
    })
}

/// Lines of somebody else's log group among the service's, half of them errors from the onset on.
pub fn with_log_group(files: &Files, onset: Option<Timestamp>) -> Files {
    const LINES: i64 = 400;
    let mut files = files.clone();
    let Some(logs) = files.get_mut("logs.ndjson") else { return files };
    let text = String::from_utf8_lossy(logs).into_owned();
    let at = |line: &str| serde_json::from_str::<Value>(line).ok()?.get("timestamp")?.as_i64();
    let times: Vec<i64> = text.lines().filter_map(at).collect();
    let (Some(first), Some(last)) = (times.iter().min(), times.iter().max()) else { return files };
    let onset = onset.map_or(i64::MAX, Timestamp::as_millisecond);
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for number in 0..LINES {
        let at = first + (last - first) * number / LINES;
        let message = if at >= onset && number % 2 == 0 {
            json!({"level": "ERROR", "message": "ledger page torn", "page": number})
        } else {
            json!({"level": "INFO", "message": "tally counted", "rows": number % 17})
        };
        let event = json!({
            "logGroupName": format!("/aws/lambda/{FUNCTION}"), "logStreamName": "2026/02/06/[3]9f8e7d6c",
            "timestamp": at, "ingestionTime": at + 500, "message": message.to_string(),
        });
        lines.push(event.to_string());
    }
    *logs = lines.join("\n").into_bytes();
    files
}
