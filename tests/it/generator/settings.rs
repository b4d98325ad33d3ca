//! Settings outside the service's own versions: parameters, flags, permissions, networks, secrets.
//!
//! The rule that is not obvious: each function returns the event ids that name the change, and
//! leaves the histories that AWS keeps of it, which for most of them is nothing but the record.

use serde_json::{Value, json};

use super::clock;
use super::stage::Stage;
use super::trail::Call;

/// A parameter with a value for each version, the last one put at `at`.
pub fn parameter(stage: &mut Stage, name: &str, values: &[&str], at: i64) -> String {
    let actor = stage.trail.person(&mut stage.random);
    let mut put_at = at;
    let mut history = Vec::new();
    for (i, value) in values.iter().enumerate().rev() {
        history.push(json!({
            "Name": name, "Type": "String", "LastModifiedDate": clock::iso(put_at), "LastModifiedUser": actor.arn,
            "Value": value, "Version": i + 1, "Labels": [], "Tier": "Standard", "Policies": [], "DataType": "text",
        }));
        put_at -= stage.random.whole(90_000, 4_000_000);
    }
    history.reverse();
    stage.parameters.extend(history);
    let request =
        json!({"name": name, "type": "String", "value": "HIDDEN_DUE_TO_SECURITY_REASONS", "overwrite": true});
    let response = json!({"version": values.len(), "tier": "Standard"});
    stage.trail.record(&mut stage.random, &actor, Call::write(at, "ssm", "PutParameter", request, response))
}

/// The service fetches its parameters now and then, and CloudTrail sees it.
pub fn parameter_reads(stage: &mut Stage, name: &str, around: i64) {
    let path = name.rsplit_once('/').map_or(name, |(path, _)| path).to_owned();
    let session = format!("{}-{}", stage.fleet.name, stage.random.hex(6));
    for step in 0..3 {
        let at = around - 7200 + step * 3600;
        if at < stage.now {
            let actor = stage.trail.workload(&mut stage.random, stage.fleet.role(), &session);
            let request = json!({"path": path, "recursive": true, "withDecryption": true});
            stage.trail.record(
                &mut stage.random,
                &actor,
                Call::read(at, "ssm", "GetParametersByPath", request),
            );
        }
    }
}

/// A deployment of a feature flag of `application`.
pub fn flag(
    stage: &mut Stage,
    application: &str,
    key: &str,
    at: i64,
    seconds: i64,
    values: (&str, &str),
) -> String {
    let done = (at + seconds <= stage.now).then_some(("DEPLOYMENT_COMPLETED", at + seconds));
    flag_deployment(stage, application, key, at, values, done)
}

/// A deployment of a flag that AppConfig took back again at `back`, because an alarm of its own fired.
pub fn flag_rolled_back(stage: &mut Stage, application: &str, key: &str, at: i64, back: i64) -> String {
    flag_deployment(stage, application, key, at, ("false", "true"), Some(("ROLLBACK_COMPLETED", back)))
}

/// `end` is the event that ended the deployment, and when; `None` while it goes on.
fn flag_deployment(
    stage: &mut Stage,
    application: &str,
    key: &str,
    at: i64,
    (before, after): (&str, &str),
    end: Option<(&str, i64)>,
) -> String {
    let number = stage.random.whole(4, 90);
    let content = |value: &str| -> Value {
        let typed = match value {
            "true" => json!(true),
            "false" => json!(false),
            other => other.parse::<i64>().map_or_else(|_| json!(other), |number| json!(number)),
        };
        // A dotted key is a field inside an object.
        match key.split_once('.') {
            Some((outer, inner)) => {
                json!({outer: {inner: typed, "owner": "growth"}, "retention": {"days": 30}})
            }
            None => json!({key: typed, "retention": {"days": 30}}),
        }
    };
    let (before, after) = (content(before), content(after));
    let as_text = stage.random.chance(0.3);
    let shown = |value: Value| if as_text { json!(value.to_string()) } else { value };
    let mut log = vec![json!({"EventType": "DEPLOYMENT_STARTED", "OccurredAt": clock::iso(at)})];
    if let Some((event, at)) = end {
        log.push(json!({"EventType": event, "OccurredAt": clock::iso(at)}));
    }
    let state = match end {
        None => "DEPLOYING",
        Some(("ROLLBACK_COMPLETED", _)) => "ROLLED_BACK",
        Some(_) => "COMPLETE",
    };
    let mut deployment = json!({
        "DeploymentNumber": number, "ApplicationName": application, "EnvironmentName": "live", "ConfigurationName": "features",
        "ConfigurationVersion": number.to_string(), "State": state, "StartedAt": clock::iso(at),
        "EventLog": log, "ContentBefore": shown(before), "ContentAfter": shown(after),
    });
    if let Some((_, at)) = end {
        deployment["CompletedAt"] = json!(clock::iso(at));
    }
    stage.flags.push(deployment);
    let actor = stage.trail.person(&mut stage.random);
    let request = json!({"ApplicationId": application, "EnvironmentId": "live", "ConfigurationProfileId": "features", "ConfigurationVersion": number.to_string(), "DeploymentStrategyId": "AppConfig.Linear50PercentEvery30Seconds"});
    let response = json!({"DeploymentNumber": number, "State": "DEPLOYING", "ConfigurationName": "features", "ApplicationId": application});
    stage.trail.record(
        &mut stage.random,
        &actor,
        Call::write(at, "appconfig", "StartDeployment", request, response),
    )
}

/// A permission of the service's role goes away.
pub fn permission(stage: &mut Stage, at: i64) -> String {
    let actor = if stage.random.chance(0.5) {
        stage.trail.pipeline(&mut stage.random)
    } else {
        stage.trail.person(&mut stage.random)
    };
    let role = stage.fleet.role().to_owned();
    let account = stage.trail.account.clone();
    let (name, request) = match stage.random.whole(0, 2) {
        0 => (
            "DetachRolePolicy",
            json!({"roleName": role, "policyArn": format!("arn:aws:iam::{account}:policy/{role}-data")}),
        ),
        1 => ("DeleteRolePolicy", json!({"roleName": role, "policyName": "data-access"})),
        _ => {
            let document = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["dynamodb:GetItem", "logs:*"], "Resource": "*"}]});
            (
                "PutRolePolicy",
                json!({"roleName": role, "policyName": "data-access", "policyDocument": document.to_string()}),
            )
        }
    };
    stage.trail.record(&mut stage.random, &actor, Call::write(at, "iam", name, request, Value::Null))
}

/// A rule that lets the service reach its database goes away.
pub fn network(stage: &mut Stage, at: i64) -> String {
    let actor = stage.trail.person(&mut stage.random);
    let group = format!("sg-{}", stage.random.hex(17));
    let service = stage.fleet.name.clone();
    let port = stage.random.choose(&[5432, 3306, 6379]);
    let description = format!("{service} to its database");
    let permission = json!({"items": [{"ipProtocol": "tcp", "fromPort": port, "toPort": port, "ipRanges": {"items": [{"cidrIp": "10.0.0.0/16", "description": description}]}}]});
    let name = stage.random.pick(&["RevokeSecurityGroupIngress", "RevokeSecurityGroupEgress"]);
    let request =
        json!({"groupId": group, "groupName": format!("{service}-db"), "ipPermissions": permission});
    stage.trail.record(
        &mut stage.random,
        &actor,
        Call::write(at, "ec2", name, request, json!({"_return": true})),
    )
}

/// The service's secret gets a new value.
pub fn secret(stage: &mut Stage, at: i64) -> String {
    let actor = stage.trail.person(&mut stage.random);
    let arn = format!(
        "arn:aws:secretsmanager:{}:{}:secret:{}/database-{}",
        stage.trail.region,
        stage.trail.account,
        stage.fleet.name,
        stage.random.hex(6)
    );
    let request = json!({"secretId": arn, "clientRequestToken": stage.random.uuid()});
    stage.trail.record(
        &mut stage.random,
        &actor,
        Call::write(at, "secretsmanager", "PutSecretValue", request, json!({"arn": arn})),
    )
}

/// The database's own parameters change.
pub fn database(stage: &mut Stage, at: i64, sessions: i64) -> String {
    let actor = stage.trail.person(&mut stage.random);
    let request = json!({
        "dBParameterGroupName": format!("{}-pg15", stage.fleet.name),
        "parameters": [{"parameterName": "max_connections", "parameterValue": sessions.to_string(), "applyMethod": "immediate"}],
    });
    stage.trail.record(
        &mut stage.random,
        &actor,
        Call::write(
            at,
            "rds",
            "ModifyDBParameterGroup",
            request,
            json!({"dBParameterGroupName": format!("{}-pg15", stage.fleet.name)}),
        ),
    )
}

/// How many executions at once the function may have.
pub fn concurrency(stage: &mut Stage, at: i64, limit: i64) -> String {
    let actor = stage.trail.person(&mut stage.random);
    let request = json!({"functionName": stage.fleet.name, "reservedConcurrentExecutions": limit});
    stage.trail.record(
        &mut stage.random,
        &actor,
        Call::write(
            at,
            "lambda",
            "PutFunctionConcurrency20171031",
            request,
            json!({"reservedConcurrentExecutions": limit}),
        ),
    )
}
