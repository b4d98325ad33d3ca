//! CloudTrail: who called what, in the records that AWS delivers.
//!
//! The rule that is not obvious: values of environment variables and parameters are left out here as
//! AWS leaves them out; what they were stands in versions and histories only.

use serde_json::{Value, json};

use super::clock;
use super::names;
use super::random::Random;

#[derive(Clone)]
pub struct Actor {
    pub arn: String,
    identity: Value,
    agent: &'static str,
}

pub struct Trail {
    pub region: String,
    pub account: String,
    records: Vec<(i64, Value)>,
}

pub struct Call<'a> {
    pub at: i64,
    pub service: &'a str,
    pub name: &'a str,
    pub request: Value,
    pub response: Value,
    pub read_only: bool,
    pub error: Option<(&'a str, &'a str)>,
}

impl<'a> Call<'a> {
    pub fn write(at: i64, service: &'a str, name: &'a str, request: Value, response: Value) -> Self {
        Self { at, service, name, request, response, read_only: false, error: None }
    }

    pub fn read(at: i64, service: &'a str, name: &'a str, request: Value) -> Self {
        Self { at, service, name, request, response: Value::Null, read_only: true, error: None }
    }
}

const CLOUDFORMATION: &str = "cloudformation.amazonaws.com";

const AGENTS: &[&str] = &[
    "aws-cli/2.15.30 Python/3.11.8 Linux/5.10 exe/x86_64.amzn.2",
    "APN/1.0 HashiCorp/1.0 Terraform/1.7.4 (+https://www.terraform.io) terraform-provider-aws/5.40.0",
    "Boto3/1.34.60 md/Botocore#1.34.60 ua/2.0 os/linux",
    "aws-sdk-go-v2/1.25.2 os/linux lang/go#1.22.1",
    "aws-sdk-js/3.525.0 ua/2.0 os/linux lang/js md/nodejs#20.11.1",
];

impl Trail {
    pub fn new(region: &str, account: &str) -> Self {
        Self { region: region.to_owned(), account: account.to_owned(), records: Vec::new() }
    }

    pub fn pipeline(&self, random: &mut Random) -> Actor {
        let role = names::pipeline(random);
        let session = match random.whole(0, 3) {
            0 => format!("run-{}", random.digits(9)),
            1 => "release".to_owned(),
            2 => format!("aws-go-sdk-{}", random.digits(13)),
            _ => format!("job{}", random.hex(6)),
        };
        self.assumed(random, role, &session)
    }

    pub fn person(&self, random: &mut Random) -> Actor {
        let person = names::person(random);
        if random.chance(0.25) {
            let arn = format!("arn:aws:iam::{}:user/{person}", self.account);
            let identity = json!({
                "type": "IAMUser", "principalId": format!("AIDA{}", random.hex(16).to_uppercase()), "arn": arn,
                "accountId": self.account, "accessKeyId": format!("AKIA{}", random.hex(16).to_uppercase()), "userName": person,
            });
            return Actor { arn, identity, agent: random.pick(AGENTS) };
        }
        let role =
            format!("AWSReservedSSO_{}_{}", random.pick(&["Engineer", "Operator", "Admin"]), random.hex(16));
        self.assumed(random, &role, &format!("{person}@tidal.example"))
    }

    /// The same caller's calls as CloudFormation makes them on its behalf.
    pub fn through_stack(actor: &Actor) -> Actor {
        let mut stack = actor.clone();
        stack.identity["invokedBy"] = json!(CLOUDFORMATION);
        stack.agent = CLOUDFORMATION;
        stack
    }

    /// The service itself, under its own role.
    pub fn workload(&self, random: &mut Random, role: &str, session: &str) -> Actor {
        self.assumed(random, role, session)
    }

    fn assumed(&self, random: &mut Random, role: &str, session: &str) -> Actor {
        let arn = format!("arn:aws:sts::{}:assumed-role/{role}/{session}", self.account);
        let principal = format!("AROA{}", random.hex(17).to_uppercase());
        let identity = json!({
            "type": "AssumedRole", "principalId": format!("{principal}:{session}"), "arn": arn, "accountId": self.account,
            "accessKeyId": format!("ASIA{}", random.hex(16).to_uppercase()),
            "sessionContext": {"sessionIssuer": {
                "type": "Role", "principalId": principal, "arn": format!("arn:aws:iam::{}:role/{role}", self.account),
                "accountId": self.account, "userName": role,
            }, "attributes": {"mfaAuthenticated": "false"}},
        });
        Actor { arn, identity, agent: random.pick(AGENTS) }
    }

    /// Records a call and returns its event's id.
    pub fn record(&mut self, random: &mut Random, actor: &Actor, call: Call) -> String {
        let id = random.uuid();
        let address = if actor.agent == CLOUDFORMATION {
            CLOUDFORMATION.to_owned()
        } else {
            format!(
                "{}.{}.{}.{}",
                random.whole(11, 220),
                random.whole(0, 255),
                random.whole(0, 255),
                random.whole(1, 254)
            )
        };
        let mut record = json!({
            "eventVersion": "1.09",
            "userIdentity": actor.identity,
            "eventTime": clock::iso(call.at),
            "eventSource": format!("{}.amazonaws.com", call.service),
            "eventName": call.name,
            "awsRegion": self.region,
            "sourceIPAddress": address,
            "userAgent": actor.agent,
            "requestParameters": call.request,
            "responseElements": if call.error.is_some() { Value::Null } else { call.response },
            "requestID": random.uuid(),
            "eventID": id,
            "readOnly": call.read_only,
            "eventType": "AwsApiCall",
            "managementEvent": true,
            "recipientAccountId": self.account,
            "eventCategory": "Management",
        });
        if let Some((code, message)) = call.error {
            record["errorCode"] = json!(code);
            record["errorMessage"] = json!(message);
        }
        self.records.push((call.at, record));
        id
    }

    /// The file, newest first as often as not, without what had not been delivered by `until`.
    pub fn finish(mut self, random: &mut Random, until: i64) -> Vec<u8> {
        self.records.retain(|(at, _)| *at <= until);
        self.records.sort_by_key(|(at, _)| *at);
        if random.chance(0.5) {
            self.records.reverse();
        }
        let records: Vec<Value> = self.records.into_iter().map(|(_, record)| record).collect();
        serde_json::to_vec(&json!({ "Records": records })).unwrap_or_default()
    }

    /// A day's ordinary traffic of calls in an account: reads, sessions, and other teams' changes.
    pub fn background(&mut self, random: &mut Random, from: i64, now: i64, others: &[String], own: &str) {
        let calls = random.choose(&[8, 15, 30, 60, 110]);
        for _ in 0..calls {
            let at = random.whole(from, now - 20);
            let other = others[random.next() as usize % others.len()].clone();
            let actor = if random.chance(0.6) { self.pipeline(random) } else { self.person(random) };
            let what = random.whole(0, 13);
            match what {
                7 | 8 => {
                    self.other_function(random, &actor, at, &other);
                    continue;
                }
                9 | 10 => {
                    self.other_task(random, &actor, at, &other);
                    continue;
                }
                _ => {}
            }
            let arn = format!("arn:aws:lambda:{}:{}:function:{own}", self.region, self.account);
            let denied = format!(
                "User: {} is not authorized to perform: lambda:UpdateFunctionConfiguration",
                actor.arn
            );
            let call = match what {
                0 => Call::read(at, "lambda", "GetFunction20150331v2", json!({"functionName": other})),
                1 => {
                    Call::read(at, "ecs", "DescribeServices", json!({"cluster": "live", "services": [other]}))
                }
                2 => {
                    let role = format!("arn:aws:iam::{}:role/{}", self.account, names::pipeline(random));
                    Call::read(
                        at,
                        "sts",
                        "AssumeRole",
                        json!({"roleArn": role, "roleSessionName": random.hex(8)}),
                    )
                }
                3 => Call::read(
                    at,
                    "ssm",
                    "GetParametersByPath",
                    json!({"path": format!("/{other}/"), "withDecryption": true}),
                ),
                4 => {
                    let request = json!({"logGroupName": format!("/aws/lambda/{own}"), "logStreamName": random.hex(12)});
                    Call::write(at, "logs", "CreateLogStream", request, Value::Null)
                }
                5 => {
                    let request = json!({"alarmName": format!("{other}-p99"), "metricName": "Duration", "namespace": "AWS/Lambda", "threshold": random.whole(200, 4000), "comparisonOperator": "GreaterThanThreshold"});
                    Call::write(at, "monitoring", "PutMetricAlarm", request, Value::Null)
                }
                6 => {
                    let request = json!({"name": format!("/{other}/{}", random.hex(5)), "type": "String", "value": "HIDDEN_DUE_TO_SECURITY_REASONS", "overwrite": true});
                    let response = json!({"version": random.whole(2, 30), "tier": "Standard"});
                    Call::write(at, "ssm", "PutParameter", request, response)
                }
                11 => {
                    let name = if random.chance(0.4) { own } else { &other };
                    let request = json!({"functionName": name, "environment": {}});
                    let mut call = Call::write(
                        at,
                        "lambda",
                        "UpdateFunctionConfiguration20150331v2",
                        request,
                        Value::Null,
                    );
                    call.error = Some(("AccessDeniedException", &denied));
                    call
                }
                12 => {
                    let request =
                        json!({"resourceARNList": [arn], "tags": {"cost-centre": random.digits(4)}});
                    Call::write(at, "tagging", "TagResources", request, json!({"failedResourcesMap": {}}))
                }
                _ => {
                    let request = json!({"logGroupName": format!("/aws/lambda/{own}"), "retentionInDays": random.choose(&[14, 30, 90])});
                    Call::write(at, "logs", "PutRetentionPolicy", request, Value::Null)
                }
            };
            self.record(random, &actor, call);
        }
    }

    /// Another team ships a function.
    pub fn other_function(&mut self, random: &mut Random, actor: &Actor, at: i64, name: &str) -> Vec<String> {
        let version = random.whole(3, 200).to_string();
        let sha = random.digest();
        let package = format!("{name}/{}.zip", random.hex(10));
        let revision = random.uuid();
        let mut ids = Vec::new();
        ids.push(self.record(random, actor, Call::write(at, "lambda", "UpdateFunctionCode20150331v2", json!({"functionName": name, "s3Bucket": "release-packages", "s3Key": package, "publish": false, "dryRun": false}), json!({"functionName": name, "codeSha256": sha, "version": "$LATEST", "environment": {}}))));
        ids.push(self.record(
            random,
            actor,
            Call::write(
                at + 4,
                "lambda",
                "PublishVersion20150331",
                json!({"functionName": name}),
                json!({"functionName": name, "codeSha256": sha, "version": version, "environment": {}}),
            ),
        ));
        ids.push(self.record(
            random,
            actor,
            Call::write(
                at + 9,
                "lambda",
                "UpdateAlias20150331",
                json!({"functionName": name, "name": "live", "functionVersion": version}),
                json!({"name": "live", "functionVersion": version, "revisionId": revision}),
            ),
        ));
        ids
    }

    /// Another team ships a task.
    pub fn other_task(&mut self, random: &mut Random, actor: &Actor, at: i64, name: &str) -> Vec<String> {
        let revision = random.whole(3, 300);
        let arn = format!("arn:aws:ecs:{}:{}:task-definition/{name}:{revision}", self.region, self.account);
        let image =
            format!("{}.dkr.ecr.{}.amazonaws.com/{name}:{}", self.account, self.region, random.hex(7));
        let mut ids = Vec::new();
        ids.push(self.record(random, actor, Call::write(at, "ecs", "RegisterTaskDefinition", json!({"family": name, "cpu": "1024", "memory": "2048", "containerDefinitions": [{"name": name, "image": image, "environment": "HIDDEN_DUE_TO_SECURITY_REASONS"}]}), json!({"taskDefinition": {"taskDefinitionArn": arn, "family": name, "revision": revision, "status": "ACTIVE"}}))));
        ids.push(self.record(
            random,
            actor,
            Call::write(
                at + 6,
                "ecs",
                "UpdateService",
                json!({"cluster": "live", "service": name, "taskDefinition": arn}),
                json!({"service": {"serviceName": name, "taskDefinition": arn, "status": "ACTIVE"}}),
            ),
        ));
        ids
    }
}
