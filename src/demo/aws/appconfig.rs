//! AppConfig: hosted versions of a configuration, and the deployments that put one in force.
//!
//! Rule: a deployment's state follows from its start and the clock; one that is over can be reverted for
//! 72 hours, and the version that it reverts to is the one in force before it. Names and ids both name
//! an application, an environment and a profile.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::{Method, StatusCode};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::identity::Identity;
use super::lambda::percent_decode;
use super::listing::page;
use super::trail::Entry;
use super::wire::{Answer, ApiError};
use super::world::{AwsWorld, Call, State};

/// How long a deployment can be reverted after its end.
const REVERTIBLE: Duration = Duration::from_hours(72);
/// For so long `AppConfig.AllAtOnce` watches alarms once it has reached everybody ('Predefined deployment strategies',
/// AppConfig User Guide).
const BAKES: Duration = Duration::from_mins(10);

#[derive(Debug, Clone)]
struct Hosted {
    number: i64,
    content: String,
    content_type: String,
}

#[derive(Debug, Clone)]
struct Deployment {
    number: i64,
    profile: String,
    version: String,
    started_at: Timestamp,
    minutes: i64,
    bakes: Duration,
    stopped_at: Option<Timestamp>,
    reverted_at: Option<Timestamp>,
}

#[derive(Debug, Default)]
struct Application {
    id: String,
    /// Name and id.
    environments: BTreeMap<String, String>,
    profiles: BTreeMap<String, String>,
    hosted: BTreeMap<String, Vec<Hosted>>,
    deployments: BTreeMap<String, Vec<Deployment>>,
}

#[derive(Debug, Default)]
pub struct Configurations(BTreeMap<String, Application>);

fn not_found(what: &str, name: &str) -> ApiError {
    ApiError::new(404, "ResourceNotFoundException", format!("Could not find {what} {name}"))
}

fn bad(message: impl Into<String>) -> ApiError {
    ApiError::new(400, "BadRequestException", message)
}

/// The operation behind a method and a path, with the path's own parameters.
pub fn route(method: &Method, path: &str) -> Option<(&'static str, Map<String, Value>)> {
    let segments: Vec<String> = path.split('/').filter(|part| !part.is_empty()).map(percent_decode).collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let ["applications", inside @ ..] = segments.as_slice() else { return None };
    let (operation, names): (_, &[&str]) = match (method.as_str(), inside) {
        ("GET", []) => ("ListApplications", &[]),
        ("GET", [_, "environments"]) => ("ListEnvironments", &["ApplicationId"]),
        ("GET", [_, "configurationprofiles"]) => ("ListConfigurationProfiles", &["ApplicationId"]),
        ("GET", [_, "environments", _, "deployments"]) => {
            ("ListDeployments", &["ApplicationId", "EnvironmentId"])
        }
        ("POST", [_, "environments", _, "deployments"]) => {
            ("StartDeployment", &["ApplicationId", "EnvironmentId"])
        }
        ("GET", [_, "environments", _, "deployments", _]) => {
            ("GetDeployment", &["ApplicationId", "EnvironmentId", "DeploymentNumber"])
        }
        ("DELETE", [_, "environments", _, "deployments", _]) => {
            ("StopDeployment", &["ApplicationId", "EnvironmentId", "DeploymentNumber"])
        }
        ("GET", [_, "configurationprofiles", _, "hostedconfigurationversions"]) => {
            ("ListHostedConfigurationVersions", &["ApplicationId", "ConfigurationProfileId"])
        }
        ("GET", [_, "configurationprofiles", _, "hostedconfigurationversions", _]) => {
            ("GetHostedConfigurationVersion", &["ApplicationId", "ConfigurationProfileId", "VersionNumber"])
        }
        _ => return None,
    };
    let values = inside.iter().step_by(2);
    let named = names.iter().zip(values).map(|(name, value)| ((*name).to_owned(), json!(value)));
    Some((operation, named.collect()))
}

impl Configurations {
    fn application(&self, name: &str) -> Result<(&String, &Application), ApiError> {
        let found = self.0.iter().find(|(known, one)| *known == name || one.id == name);
        found.ok_or_else(|| not_found("application", name))
    }

    /// The name behind a name or an id.
    fn name_in(names: &BTreeMap<String, String>, wanted: &str, what: &str) -> Result<String, ApiError> {
        let found = names.iter().find(|(name, id)| *name == wanted || *id == wanted);
        found.map(|(name, _)| name.clone()).ok_or_else(|| not_found(what, wanted))
    }
}

/// AppConfig's ids: seven small letters and digits that depend on nothing but the name.
fn id_of(name: &str) -> String {
    use sha2::Digest;
    let digest = sha2::Sha256::digest(name.as_bytes());
    digest
        .iter()
        .take(7)
        .map(|byte| char::from(b"abcdefghijklmnopqrstuvwxyz012345"[usize::from(byte % 32)]))
        .collect()
}

impl Deployment {
    fn state(&self, now: Timestamp) -> (&'static str, Option<Timestamp>) {
        let reached = self.started_at + Duration::from_secs(self.minutes.unsigned_abs() * 60);
        let end = reached + self.bakes;
        match (self.reverted_at, self.stopped_at) {
            (Some(at), _) if at <= now => ("REVERTED", Some(at)),
            (_, Some(at)) if at <= now => ("ROLLED_BACK", Some(at)),
            _ if end <= now => ("COMPLETE", Some(end)),
            _ if reached <= now => ("BAKING", None),
            _ => ("DEPLOYING", None),
        }
    }

    fn show(&self, application: &Application, environment: &str, now: Timestamp) -> Value {
        let (state, ended) = self.state(now);
        let mut log = vec![json!({"EventType": "DEPLOYMENT_STARTED", "TriggeredBy": "USER",
                                  "Description": "Deployment started", "OccurredAt": self.started_at.to_string()})];
        if let Some(at) = ended {
            let kind = match state {
                "COMPLETE" => "DEPLOYMENT_COMPLETED",
                "REVERTED" => "REVERT_COMPLETED",
                _ => "ROLLBACK_COMPLETED",
            };
            log.insert(
                0,
                json!({"EventType": kind, "TriggeredBy": "APPCONFIG", "Description": kind,
                                 "OccurredAt": at.to_string()}),
            );
        }
        let mut shown = json!({
            "ApplicationId": application.id,
            "EnvironmentId": application.environments.get(environment),
            "ConfigurationProfileId": application.profiles.get(&self.profile),
            "DeploymentNumber": self.number,
            "ConfigurationName": self.profile,
            "ConfigurationVersion": self.version,
            "DeploymentDurationInMinutes": self.minutes,
            "GrowthType": "LINEAR", "GrowthFactor": 100.0, "FinalBakeTimeInMinutes": self.bakes.as_secs() / 60,
            "State": state,
            "PercentageComplete": if state == "DEPLOYING" { 50.0 } else { 100.0 },
            "StartedAt": self.started_at.to_string(),
            "EventLog": log,
        });
        if let Some(at) = ended {
            shown["CompletedAt"] = json!(at.to_string());
        }
        shown
    }
}

/// # Errors
/// AppConfig's own.
pub fn run(state: &mut State, operation: &str, call: &Call) -> Result<Answer, ApiError> {
    let configurations = &state.configurations;
    if operation == "ListApplications" {
        let shown: Vec<Value> =
            configurations.0.iter().map(|(name, one)| json!({"Id": one.id, "Name": name})).collect();
        return listed(call, &shown);
    }
    let (_, application) = configurations.application(call.text("ApplicationId").unwrap_or_default())?;
    let named = |names: &BTreeMap<String, String>| -> Vec<Value> {
        let application = application.id.as_str();
        names.iter().map(|(name, id)| json!({"ApplicationId": application, "Id": id, "Name": name})).collect()
    };
    let environment = || {
        let wanted = call.text("EnvironmentId").unwrap_or_default();
        Configurations::name_in(&application.environments, wanted, "environment")
    };
    let profile = || {
        let wanted = call.text("ConfigurationProfileId").unwrap_or_default();
        Configurations::name_in(&application.profiles, wanted, "configuration profile")
    };
    match operation {
        "ListEnvironments" => listed(call, &named(&application.environments)),
        "ListConfigurationProfiles" => listed(call, &named(&application.profiles)),
        "ListDeployments" => {
            let environment = environment()?;
            let deployments = application.deployments.get(&environment).into_iter().flatten().rev();
            let shown: Vec<Value> = deployments
                .map(|one| {
                    let mut summary = one.show(application, &environment, call.at);
                    if let Some(members) = summary.as_object_mut() {
                        members.remove("EventLog");
                    }
                    summary
                })
                .collect();
            listed(call, &shown)
        }
        "GetDeployment" => {
            let environment = environment()?;
            let number = call.integer("DeploymentNumber").unwrap_or_default();
            let mut deployments = application.deployments.get(&environment).into_iter().flatten();
            let found = deployments.find(|one| one.number == number);
            let found = found.ok_or_else(|| not_found("deployment", &number.to_string()))?;
            Ok(Answer::ok(found.show(application, &environment, call.at)))
        }
        "ListHostedConfigurationVersions" => {
            let name = profile()?;
            let versions = application.hosted.get(&name).into_iter().flatten().rev();
            let shown: Vec<Value> = versions
                .map(|version| {
                    json!({"ApplicationId": application.id, "ConfigurationProfileId": application.profiles[&name],
                           "VersionNumber": version.number, "ContentType": version.content_type})
                })
                .collect();
            listed(call, &shown)
        }
        "GetHostedConfigurationVersion" => {
            let name = profile()?;
            let number = call.integer("VersionNumber").unwrap_or_default();
            let mut versions = application.hosted.get(&name).into_iter().flatten();
            let found = versions.find(|version| version.number == number);
            let found =
                found.ok_or_else(|| not_found("hosted configuration version", &number.to_string()))?;
            Ok(Answer::Blob {
                content: found.content.clone().into_bytes(),
                headers: vec![
                    ("application-id", application.id.clone()),
                    ("configuration-profile-id", application.profiles[&name].clone()),
                    ("version-number", number.to_string()),
                    ("content-type", found.content_type.clone()),
                ],
            })
        }
        _ => change(state, operation, call),
    }
}

fn listed(call: &Call, items: &[Value]) -> Result<Answer, ApiError> {
    // Numbers and tokens of a REST listing stand in the query: `max_results`, `next_token`.
    let mut input = call.input.clone();
    for (from, to) in [("max_results", "MaxResults"), ("next_token", "NextToken")] {
        if let Some(value) = call.input.get(from) {
            input[to] = value.clone();
        }
    }
    let call = Call {
        input,
        operation: call.operation.clone(),
        identity: call.identity.clone(),
        access_key: call.access_key.clone(),
        request_id: call.request_id.clone(),
        at: call.at,
    };
    page(&call, "Items", items, 50)
}

fn change(state: &mut State, operation: &str, call: &Call) -> Result<Answer, ApiError> {
    let outcome = match operation {
        "StartDeployment" => start(&mut state.configurations, call),
        "StopDeployment" => stop(&mut state.configurations, call),
        other => return Err(ApiError::new(404, "UnknownOperationException", other)),
    };
    state.record(Entry {
        source: "appconfig.amazonaws.com",
        name: operation,
        actor: &call.identity,
        access_key: Some(&call.access_key),
        at: call.at,
        request: call.input.clone(),
        response: outcome.clone().unwrap_or(Value::Null),
        error: outcome.as_ref().err(),
    });
    let status = if operation == "StartDeployment" { StatusCode::CREATED } else { StatusCode::ACCEPTED };
    outcome.map(|shown| Answer::Json(status, shown))
}

/// The application and environment that a call names, and the name of the environment.
fn place<'a>(
    configurations: &'a mut Configurations,
    call: &Call,
) -> Result<(&'a mut Application, String), ApiError> {
    let wanted = call.text("ApplicationId").unwrap_or_default();
    let found = configurations.0.iter_mut().find(|(name, one)| *name == wanted || one.id == wanted);
    let (_, application) = found.ok_or_else(|| not_found("application", wanted))?;
    let wanted = call.text("EnvironmentId").unwrap_or_default();
    let environment = Configurations::name_in(&application.environments, wanted, "environment")?;
    Ok((application, environment))
}

fn start(configurations: &mut Configurations, call: &Call) -> Result<Value, ApiError> {
    let (application, environment) = place(configurations, call)?;
    let wanted = call.text("ConfigurationProfileId").unwrap_or_default();
    let profile = Configurations::name_in(&application.profiles, wanted, "configuration profile")?;
    let version = call.text("ConfigurationVersion").ok_or_else(|| bad("ConfigurationVersion is required"))?;
    let strategy =
        call.text("DeploymentStrategyId").ok_or_else(|| bad("DeploymentStrategyId is required"))?;
    let bakes = if strategy == "AppConfig.AllAtOnce" { BAKES } else { Duration::ZERO };
    let known = application.hosted.get(&profile).into_iter().flatten();
    if !known.into_iter().any(|one| one.number.to_string() == version) {
        return Err(bad(format!("Configuration version {version} does not exist")));
    }
    let deployments = application.deployments.entry(environment.clone()).or_default();
    if deployments.iter().any(|one| matches!(one.state(call.at).0, "DEPLOYING" | "BAKING")) {
        return Err(ApiError::new(
            409,
            "ConflictException",
            "A deployment is in progress in this environment",
        ));
    }
    let latest = deployments.len() as i64;
    if call.integer("LatestDeploymentNumber").is_some_and(|expected| expected != latest) {
        return Err(ApiError::new(409, "ConflictException", format!("The latest deployment is {latest}")));
    }
    let deployment = Deployment {
        number: latest + 1,
        profile,
        version: version.to_owned(),
        started_at: call.at,
        minutes: 0,
        bakes,
        stopped_at: None,
        reverted_at: None,
    };
    deployments.push(deployment.clone());
    Ok(deployment.show(application, &environment, call.at))
}

fn stop(configurations: &mut Configurations, call: &Call) -> Result<Value, ApiError> {
    let (application, environment) = place(configurations, call)?;
    let number = call.integer("DeploymentNumber").unwrap_or_default();
    let revert = call.text("AllowRevert") == Some("true");
    let mut deployments = application.deployments.get_mut(&environment).into_iter().flatten();
    let found = deployments.find(|one| one.number == number);
    let found = found.ok_or_else(|| not_found("deployment", &number.to_string()))?;
    match found.state(call.at) {
        ("DEPLOYING", _) => found.stopped_at = Some(call.at),
        ("BAKING", _) if revert => found.stopped_at = Some(call.at),
        ("COMPLETE", Some(ended)) if revert && call.at <= ended + REVERTIBLE => {
            found.reverted_at = Some(call.at);
        }
        ("COMPLETE", _) if revert => return Err(bad("The deployment is older than 72 hours")),
        (state, _) => return Err(bad(format!("A deployment in the state {state} cannot be stopped"))),
    }
    let shown = found.clone();
    Ok(shown.show(application, &environment, call.at))
}

impl AwsWorld {
    /// The id of a profile, which AppConfig's calls take instead of its name.
    pub fn configuration_profile_id(&self, application: &str, profile: &str) -> Option<String> {
        self.state().configurations.0.get(application)?.profiles.get(profile).cloned()
    }

    /// Writes a hosted version, and with `minutes` deploys it from `at` on. What is named comes into being.
    /// Returns version and deployment.
    #[expect(clippy::too_many_arguments, reason = "a deployment has these parts, as StartDeployment does")]
    pub fn deploy_configuration(
        &self,
        application: &str,
        environment: &str,
        profile: &str,
        content: &str,
        minutes: i64,
        actor: &Identity,
        at: Timestamp,
    ) -> (i64, i64) {
        let mut state = self.state();
        let account = &mut state.configurations.0;
        let one = account
            .entry(application.to_owned())
            .or_insert_with(|| Application { id: id_of(application), ..Application::default() });
        let inside = |name: &str| id_of(&format!("{application}/{name}"));
        one.environments.entry(environment.to_owned()).or_insert_with(|| inside(environment));
        one.profiles.entry(profile.to_owned()).or_insert_with(|| inside(profile));
        let versions = one.hosted.entry(profile.to_owned()).or_default();
        let version = versions.len() as i64 + 1;
        let content_type =
            if serde_json::from_str::<Value>(content).is_ok() { "application/json" } else { "text/plain" };
        versions.push(Hosted {
            number: version,
            content: content.to_owned(),
            content_type: content_type.to_owned(),
        });
        let deployments = one.deployments.entry(environment.to_owned()).or_default();
        let deployment = Deployment {
            number: deployments.len() as i64 + 1,
            profile: profile.to_owned(),
            version: version.to_string(),
            started_at: at,
            minutes,
            bakes: Duration::ZERO,
            stopped_at: None,
            reverted_at: None,
        };
        deployments.push(deployment.clone());
        let (ids, number) = (
            json!({"applicationId": one.id, "environmentId": one.environments.get(environment),
                   "configurationProfileId": one.profiles.get(profile),
                   "configurationVersion": version.to_string()}),
            deployment.number,
        );
        let shown = super::parameters::lower(&deployment.show(one, environment, at));
        state.record(Entry {
            source: "appconfig.amazonaws.com",
            name: "StartDeployment",
            actor,
            access_key: None,
            at,
            request: ids,
            response: shown,
            error: None,
        });
        (version, number)
    }

    /// The content that is in force: that of the newest deployment that was not taken back.
    pub fn live_configuration_content(
        &self,
        application: &str,
        environment: &str,
        profile: &str,
    ) -> Option<String> {
        let state = self.state();
        let now = state.now();
        let (_, one) = state.configurations.application(application).ok()?;
        let deployments = one.deployments.get(environment)?.iter().rev();
        let live = deployments
            .filter(|deployment| deployment.profile == profile && deployment.started_at <= now)
            .find(|deployment| !matches!(deployment.state(now).0, "REVERTED" | "ROLLED_BACK"))?;
        let versions = one.hosted.get(profile)?;
        versions
            .iter()
            .find(|version| version.number.to_string() == live.version)
            .map(|version| version.content.clone())
    }
}
