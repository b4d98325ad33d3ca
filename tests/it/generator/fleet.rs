//! The service's own resources: versions, aliases, task definitions, and what a release does to them.
//!
//! The rule that is not obvious: a function without published versions keeps no history, so what it
//! was before its last change is shown by nothing in its files, as in AWS.

use serde_json::{Map, Value, json};

use super::clock;
use super::names::Entry;
use super::random::Random;
use super::trail::{Actor, Call, Trail};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Platform {
    /// Traffic goes through an alias on published versions.
    Alias,
    /// Traffic goes to `$LATEST`.
    Latest,
    Ecs,
}

#[derive(Clone)]
pub struct Version {
    pub number: i64,
    pub at: i64,
    pub sha: String,
    pub config: Vec<Entry>,
    pub memory: i64,
    pub timeout: i64,
    pub description: String,
}

pub struct Fleet {
    pub platform: Platform,
    pub name: String,
    pub alias: &'static str,
    pub cluster: &'static str,
    pub runtime: &'static str,
    pub versions: Vec<Version>,
    /// The version that traffic goes to, and another one with its weight.
    pub live: i64,
    pub canary: Option<(i64, f64)>,
    /// When the present deployment began and was complete.
    pub rolled: (i64, i64),
    /// Code that was put on `$LATEST` and never published: when, and its digest.
    pub unpublished: Option<(i64, String)>,
    history: Vec<(i64, String)>,
    role: String,
}

/// What is shipped.
pub struct Release {
    pub at: i64,
    pub config: Vec<Entry>,
    pub code: bool,
    pub memory: i64,
    pub timeout: i64,
    pub description: String,
    /// Share of traffic that gets it.
    pub weight: f64,
    pub by_person: bool,
}

pub struct Shipped {
    pub event_ids: Vec<String>,
    /// When it begins to reach traffic, and in how many seconds it has.
    pub effective: i64,
    pub ramp: i64,
    /// The label of the version in log streams.
    pub version: String,
}

impl Fleet {
    pub fn new(
        random: &mut Random,
        platform: Platform,
        name: &str,
        runtime: &'static str,
        first: Version,
    ) -> Self {
        let live = first.number;
        let at = first.at;
        let mut versions = vec![first];
        if platform != Platform::Latest {
            for _ in 0..random.whole(1, 3) {
                let mut older = versions[0].clone();
                older.number -= 1;
                older.at -= random.whole(86_400, 1_900_000);
                older.sha = random.digest();
                versions.insert(0, older);
            }
        }
        Self {
            platform,
            name: name.to_owned(),
            alias: random.pick(&["live", "prod", "current", "stable"]),
            cluster: random.pick(&["live", "tidal-prod", "shared", "services-eu"]),
            runtime,
            versions,
            live,
            canary: None,
            rolled: (at, at + 240),
            unpublished: None,
            history: Vec::new(),
            role: format!("{name}-{}", random.pick(&["runtime", "exec", "task"])),
        }
    }

    pub fn role(&self) -> &str {
        &self.role
    }

    pub fn current(&self) -> Version {
        self.versions.last().cloned().unwrap_or_else(|| unreachable!("a fleet has a version"))
    }

    pub fn label(&self, version: &Version) -> String {
        match self.platform {
            Platform::Latest if version.number <= 1 => "$LATEST".to_owned(),
            Platform::Latest => format!("$LATEST'{}", version.number),
            _ => version.number.to_string(),
        }
    }

    /// Ships `release`: records its calls and changes the resources.
    pub fn ship(&mut self, random: &mut Random, trail: &mut Trail, release: Release) -> Shipped {
        let before = self.current();
        let config_changed = keys_differ(&before.config, &release.config)
            || before.memory != release.memory
            || before.timeout != release.timeout
            || before.description != release.description;
        let version = Version {
            number: before.number + 1,
            at: release.at,
            sha: if release.code { random.digest() } else { before.sha.clone() },
            config: release.config,
            memory: release.memory,
            timeout: release.timeout,
            description: release.description,
        };
        let mut actor = if release.by_person { trail.person(random) } else { trail.pipeline(random) };
        let mut at = release.at;
        let mut event_ids = Vec::new();
        if random.chance(0.12) {
            let stack = format!(
                "arn:aws:cloudformation:{}:{}:stack/{}-stack/{}",
                trail.region,
                trail.account,
                self.name,
                random.uuid()
            );
            let request = json!({"stackName": format!("{}-stack", self.name), "capabilities": ["CAPABILITY_IAM"], "parameters": [{"parameterKey": "Build"}]});
            event_ids.push(trail.record(
                random,
                &actor,
                Call::write(at - 8, "cloudformation", "UpdateStack", request, json!({"stackId": stack})),
            ));
            actor = Trail::through_stack(&actor);
        }
        if self.platform == Platform::Ecs {
            let arn = self.task_arn(trail, version.number);
            let container = json!([{"name": "app", "image": self.image(trail, &version), "environment": "HIDDEN_DUE_TO_SECURITY_REASONS"}]);
            event_ids.push(trail.record(random, &actor, Call::write(at, "ecs", "RegisterTaskDefinition", json!({"family": self.name, "networkMode": "awsvpc", "cpu": "1024", "memory": version.memory.to_string(), "containerDefinitions": container}), json!({"taskDefinition": {"taskDefinitionArn": arn, "family": self.name, "revision": version.number, "status": "ACTIVE"}}))));
            at += random.whole(2, 25);
            event_ids.push(trail.record(
                random,
                &actor,
                Call::write(
                    at,
                    "ecs",
                    "UpdateService",
                    json!({"cluster": self.cluster, "service": self.name, "taskDefinition": arn}),
                    json!({"service": {"serviceName": self.name, "taskDefinition": arn, "status": "ACTIVE"}}),
                ),
            ));
            let wait = random.whole(30, 90);
            let ramp = random.whole(60, 300);
            self.live = version.number;
            self.rolled = (at, at + wait + ramp);
            self.history
                .push((at + wait + ramp, format!("(service {}) has reached a steady state.", self.name)));
            self.history.push((
                at + wait,
                format!("(service {}) has started 3 tasks: (task {}).", self.name, random.hex(32)),
            ));
            let label = self.label(&version);
            self.versions.push(version);
            return Shipped { event_ids, effective: at + wait, ramp, version: label };
        }
        let name = if random.chance(0.2) {
            format!("arn:aws:lambda:{}:{}:function:{}", trail.region, trail.account, self.name)
        } else {
            self.name.clone()
        };
        if config_changed {
            let mut request = json!({"functionName": name});
            if keys_differ(&before.config, &version.config) {
                request["environment"] = json!({});
            }
            if before.memory != version.memory {
                request["memorySize"] = json!(version.memory);
            }
            if before.timeout != version.timeout {
                request["timeout"] = json!(version.timeout);
            }
            if before.description != version.description {
                request["description"] = json!(version.description);
            }
            let response = self.configuration_response(trail, &version, "$LATEST");
            event_ids.push(trail.record(
                random,
                &actor,
                Call::write(at, "lambda", "UpdateFunctionConfiguration20150331v2", request, response),
            ));
            at += random.whole(2, 12);
        }
        if release.code {
            let response = self.configuration_response(trail, &version, "$LATEST");
            let package = format!("{}/{}.zip", self.name, random.hex(12));
            event_ids.push(trail.record(random, &actor, Call::write(at, "lambda", "UpdateFunctionCode20150331v2", json!({"functionName": name, "s3Bucket": "release-packages", "s3Key": package, "publish": false, "dryRun": false}), response)));
            at += random.whole(2, 12);
        }
        let label = self.label(&version);
        if self.platform == Platform::Alias {
            let number = version.number.to_string();
            let response = self.configuration_response(trail, &version, &number);
            event_ids.push(trail.record(
                random,
                &actor,
                Call::write(at, "lambda", "PublishVersion20150331", json!({"functionName": name}), response),
            ));
            at += random.whole(1, 30);
            event_ids.push(self.route(random, trail, &actor, &name, at, (version.number, release.weight)));
        }
        self.versions.push(version);
        Shipped { event_ids, effective: at, ramp: random.whole(1, 20), version: label }
    }

    /// Gives the newest version a larger share of the traffic, in the end all of it; returns the event's id.
    pub fn widen(&mut self, random: &mut Random, trail: &mut Trail, at: i64, weight: f64) -> String {
        let actor = trail.pipeline(random);
        let (name, number) = (self.name.clone(), self.current().number);
        self.route(random, trail, &actor, &name, at, (number, weight))
    }

    /// Moves the alias: a version and its share of the traffic.
    fn route(
        &mut self,
        random: &mut Random,
        trail: &mut Trail,
        actor: &Actor,
        name: &str,
        at: i64,
        (number, weight): (i64, f64),
    ) -> String {
        let weights = if weight < 1.0 {
            self.canary = Some((number, weight));
            json!({number.to_string(): weight})
        } else {
            self.live = number;
            self.canary = None;
            json!({})
        };
        let live = self.live.to_string();
        let request = json!({"functionName": name, "name": self.alias, "functionVersion": live, "routingConfig": {"additionalVersionWeights": weights}});
        let response = json!({"aliasArn": format!("arn:aws:lambda:{}:{}:function:{}:{}", trail.region, trail.account, self.name, self.alias), "name": self.alias, "functionVersion": live, "revisionId": random.uuid()});
        trail.record(random, actor, Call::write(at, "lambda", "UpdateAlias20150331", request, response))
    }

    /// Goes back to the version before the last one; returns when that takes effect and how fast.
    pub fn back(&mut self, random: &mut Random, trail: &mut Trail, at: i64) -> (i64, i64) {
        let before = self.versions[self.versions.len().saturating_sub(2)].number;
        let actor = trail.person(random);
        self.live = before;
        self.canary = None;
        if self.platform == Platform::Ecs {
            let arn = self.task_arn(trail, before);
            trail.record(
                random,
                &actor,
                Call::write(
                    at,
                    "ecs",
                    "UpdateService",
                    json!({"cluster": self.cluster, "service": self.name, "taskDefinition": arn}),
                    json!({"service": {"serviceName": self.name, "taskDefinition": arn, "status": "ACTIVE"}}),
                ),
            );
            self.rolled = (at, at + 200);
            self.history.push((
                at + 60,
                format!("(service {}) has started 3 tasks: (task {}).", self.name, random.hex(32)),
            ));
            return (at + 60, 120);
        }
        trail.record(random, &actor, Call::write(at, "lambda", "UpdateAlias20150331", json!({"functionName": self.name, "name": self.alias, "functionVersion": before.to_string(), "routingConfig": {"additionalVersionWeights": {}}}), json!({"name": self.alias, "functionVersion": before.to_string()})));
        (at, 10)
    }

    fn task_arn(&self, trail: &Trail, revision: i64) -> String {
        format!("arn:aws:ecs:{}:{}:task-definition/{}:{revision}", trail.region, trail.account, self.name)
    }

    fn image(&self, trail: &Trail, version: &Version) -> String {
        format!(
            "{}.dkr.ecr.{}.amazonaws.com/{}:{}",
            trail.account,
            trail.region,
            self.name,
            tag(&version.sha)
        )
    }

    fn configuration_response(&self, trail: &Trail, version: &Version, label: &str) -> Value {
        json!({
            "functionName": self.name,
            "functionArn": format!("arn:aws:lambda:{}:{}:function:{}", trail.region, trail.account, self.name),
            "runtime": self.runtime, "role": format!("arn:aws:iam::{}:role/{}", trail.account, self.role), "handler": "main.handler",
            "codeSize": 2_400_118, "timeout": version.timeout, "memorySize": version.memory,
            "lastModified": clock::lambda_modified(version.at), "codeSha256": version.sha, "version": label, "environment": {},
            "tracingConfig": {"mode": "Active"}, "state": "Active", "lastUpdateStatus": "InProgress", "packageType": "Zip",
        })
    }

    /// The files that `list-versions-by-function`, `list-aliases`, `describe-services` and
    /// `describe-task-definition` would have given.
    pub fn files(&self, random: &mut Random, trail: &Trail, now: i64) -> Vec<(String, Vec<u8>)> {
        if self.platform == Platform::Ecs {
            return self.task_files(random, trail, now);
        }
        let mut latest = self.current();
        if let Some((at, sha)) = &self.unpublished {
            latest.at = *at;
            latest.sha.clone_from(sha);
        }
        let mut listed = vec![self.function(random, trail, &latest, "$LATEST")];
        let mut aliases = Vec::new();
        if self.platform == Platform::Alias {
            for version in &self.versions {
                listed.push(self.function(random, trail, version, &version.number.to_string()));
            }
            let mut alias = json!({
                "AliasArn": format!("arn:aws:lambda:{}:{}:function:{}:{}", trail.region, trail.account, self.name, self.alias),
                "Name": self.alias, "FunctionVersion": self.live.to_string(), "Description": "", "RevisionId": random.uuid(),
            });
            if let Some((version, weight)) = self.canary {
                alias["RoutingConfig"] = json!({"AdditionalVersionWeights": {version.to_string(): weight}});
            }
            aliases.push(alias);
        }
        vec![
            (
                format!("lambda/{}/versions.json", self.name),
                serde_json::to_vec(&json!({ "Versions": listed })).unwrap_or_default(),
            ),
            (
                format!("lambda/{}/aliases.json", self.name),
                serde_json::to_vec(&json!({ "Aliases": aliases })).unwrap_or_default(),
            ),
        ]
    }

    fn function(&self, random: &mut Random, trail: &Trail, version: &Version, label: &str) -> Value {
        let variables: Map<String, Value> =
            version.config.iter().map(|entry| (entry.key.clone(), json!(entry.value))).collect();
        json!({
            "FunctionName": self.name,
            "FunctionArn": format!("arn:aws:lambda:{}:{}:function:{}:{label}", trail.region, trail.account, self.name),
            "Runtime": self.runtime, "Role": format!("arn:aws:iam::{}:role/{}", trail.account, self.role), "Handler": "main.handler",
            "CodeSize": 2_400_118, "Description": version.description, "Timeout": version.timeout, "MemorySize": version.memory,
            "LastModified": clock::lambda_modified(version.at), "CodeSha256": version.sha, "Version": label,
            "Environment": {"Variables": variables}, "TracingConfig": {"Mode": "Active"}, "RevisionId": random.uuid(),
            "PackageType": "Zip", "Architectures": ["arm64"],
        })
    }

    fn task_files(&self, random: &mut Random, trail: &Trail, now: i64) -> Vec<(String, Vec<u8>)> {
        let definitions: Vec<Value> = self
            .versions
            .iter()
            .map(|version| {
                let environment: Vec<Value> = version.config.iter().map(|entry| json!({"name": entry.key, "value": entry.value})).collect();
                json!({
                    "taskDefinitionArn": self.task_arn(trail, version.number), "family": self.name, "revision": version.number, "status": "ACTIVE",
                    "networkMode": "awsvpc", "cpu": "1024", "memory": version.memory.to_string(),
                    "taskRoleArn": format!("arn:aws:iam::{}:role/{}", trail.account, self.role), "registeredAt": clock::iso(version.at),
                    "containerDefinitions": [{"name": "app", "image": self.image(trail, version), "essential": true, "environment": environment,
                        "logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": format!("/ecs/{}", self.name), "awslogs-stream-prefix": "svc"}}}],
                })
            })
            .collect();
        let (started, finished) = self.rolled;
        let done = finished <= now;
        let arn = self.task_arn(trail, self.live);
        let mut deployments = vec![json!({
            "id": format!("ecs-svc/{}", random.digits(19)), "status": "PRIMARY", "taskDefinition": arn, "desiredCount": 4, "runningCount": if done { 4 } else { 2 },
            "pendingCount": 0, "failedTasks": 0, "createdAt": clock::iso(started), "updatedAt": clock::iso(finished.min(now)), "launchType": "FARGATE",
            "rolloutState": if done { "COMPLETED" } else { "IN_PROGRESS" },
        })];
        if !done && self.versions.len() > 1 {
            let older = self.versions[self.versions.len() - 2].number;
            deployments.push(json!({"id": format!("ecs-svc/{}", random.digits(19)), "status": "ACTIVE", "taskDefinition": self.task_arn(trail, older), "desiredCount": 4, "runningCount": 2, "pendingCount": 0, "failedTasks": 0, "createdAt": clock::iso(started - 400_000), "updatedAt": clock::iso(started), "launchType": "FARGATE", "rolloutState": "COMPLETED"}));
        }
        let mut events: Vec<(i64, Value)> = self
            .history
            .iter()
            .filter(|(at, _)| *at <= now)
            .map(|(at, message)| {
                (*at, json!({"id": random.uuid(), "createdAt": clock::iso(*at), "message": message}))
            })
            .collect();
        let steady = now - random.whole(600, 20_000);
        events.push((steady, json!({"id": random.uuid(), "createdAt": clock::iso(steady), "message": format!("(service {}) has reached a steady state.", self.name)})));
        events.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        let events: Vec<Value> = events.into_iter().map(|(_, event)| event).collect();
        let service = json!({
            "serviceArn": format!("arn:aws:ecs:{}:{}:service/{}/{}", trail.region, trail.account, self.cluster, self.name), "serviceName": self.name,
            "clusterArn": format!("arn:aws:ecs:{}:{}:cluster/{}", trail.region, trail.account, self.cluster), "status": "ACTIVE",
            "desiredCount": 4, "runningCount": 4, "pendingCount": 0, "launchType": "FARGATE", "taskDefinition": arn,
            "deployments": deployments, "events": events,
        });
        vec![
            (
                format!("ecs/{}/{}.json", self.cluster, self.name),
                serde_json::to_vec(&service).unwrap_or_default(),
            ),
            (
                "ecs/task-definitions.json".to_owned(),
                serde_json::to_vec(&json!({ "taskDefinitions": definitions })).unwrap_or_default(),
            ),
        ]
    }
}

/// The short commit that a build calls itself by: it changes with the code and only with it.
pub fn tag(sha: &str) -> String {
    let mixed = sha.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{:07x}", mixed & 0x0fff_ffff)
}

fn keys_differ(before: &[Entry], after: &[Entry]) -> bool {
    before.len() != after.len() || before.iter().zip(after).any(|(a, b)| a.key != b.key || a.value != b.value)
}
