//! Lambda's functions: `$LATEST`, published versions, aliases and reserved concurrency.
//!
//! Rule: a published version never changes; whatever changes gets a new `RevisionId`, and a caller who
//! names an old one is refused.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::wire::ApiError;

/// A function's settings other than its environment.
#[derive(Debug, Clone, PartialEq)]
pub struct FunctionSettings {
    pub runtime: String,
    pub handler: String,
    pub role: String,
    pub description: String,
    /// Seconds.
    pub timeout: i64,
    /// MB.
    pub memory_size: i64,
    /// Base64.
    pub code_sha256: String,
    /// Bytes.
    pub code_size: i64,
}

impl Default for FunctionSettings {
    fn default() -> Self {
        Self {
            runtime: "provided.al2023".to_owned(),
            handler: "bootstrap".to_owned(),
            role: "arn:aws:iam::123456789012:role/lambda-basic-execution".to_owned(),
            description: String::new(),
            timeout: 10,
            memory_size: 256,
            code_sha256: "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=".to_owned(),
            code_size: 1_830_027,
        }
    }
}

#[derive(Debug, Clone)]
struct Configuration {
    version: String,
    settings: FunctionSettings,
    environment: BTreeMap<String, String>,
    last_modified: Timestamp,
    revision_id: String,
}

#[derive(Debug, Clone)]
struct Alias {
    version: String,
    description: String,
    weights: BTreeMap<String, f64>,
    revision_id: String,
}

#[derive(Debug)]
struct Function {
    latest: Configuration,
    /// In order of publication.
    versions: Vec<Configuration>,
    aliases: BTreeMap<String, Alias>,
    reserved: Option<i64>,
}

impl Function {
    fn configuration(&self, qualifier: &str) -> Option<&Configuration> {
        if qualifier == "$LATEST" {
            return Some(&self.latest);
        }
        let version = self.aliases.get(qualifier).map_or(qualifier, |alias| &alias.version);
        self.versions.iter().find(|configuration| configuration.version == version)
    }
}

/// What CloudTrail writes down of a call: request and response.
pub type Recorded = (Value, Value);

#[derive(Debug)]
pub struct Functions {
    by_name: BTreeMap<String, Function>,
    place: Place,
}

/// Where the functions live, and how long an update of one is in progress.
#[derive(Debug, Clone)]
struct Place {
    /// `arn:aws:lambda:us-east-1:123456789012:function`.
    arn: String,
    update_time: Duration,
}

fn not_found(name: &str) -> ApiError {
    ApiError::new(404, "ResourceNotFoundException", format!("Function not found: {name}"))
}

fn moved() -> ApiError {
    ApiError::new(
        412,
        "PreconditionFailedException",
        "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve the latest Revision Id",
    )
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new(400, "InvalidParameterValueException", message)
}

/// The name in a name, a partial or a full ARN; a qualifier behind it falls away.
fn short_name(name: &str) -> &str {
    match name.split_once(":function:") {
        Some((_, rest)) => rest.split(':').next().unwrap_or(rest),
        None => name.split(':').next().unwrap_or(name),
    }
}

impl Functions {
    pub fn new(region: &str, account: &str, update_time: Duration) -> Self {
        let arn = format!("arn:aws:lambda:{region}:{account}:function");
        Self { by_name: BTreeMap::new(), place: Place { arn, update_time } }
    }

    fn get(&self, name: &str) -> Result<&Function, ApiError> {
        self.by_name.get(short_name(name)).ok_or_else(|| not_found(name))
    }

    fn get_mut(&mut self, name: &str) -> Result<&mut Function, ApiError> {
        self.by_name.get_mut(short_name(name)).ok_or_else(|| not_found(name))
    }

    pub fn create(
        &mut self,
        name: &str,
        environment: BTreeMap<String, String>,
        settings: FunctionSettings,
        at: Timestamp,
        revision_id: String,
    ) -> Result<Recorded, ApiError> {
        let place = self.place.clone();
        if self.by_name.contains_key(name) {
            return Err(ApiError::new(
                409,
                "ResourceConflictException",
                format!("Function already exist: {name}"),
            ));
        }
        let latest = Configuration {
            version: "$LATEST".to_owned(),
            settings,
            environment,
            last_modified: at,
            revision_id,
        };
        let response = recorded_configuration(&place, name, &latest);
        let function = Function { latest, versions: Vec::new(), aliases: BTreeMap::new(), reserved: None };
        self.by_name.insert(name.to_owned(), function);
        Ok((json!({"functionName": name, "environment": {}, "publish": false}), response))
    }

    /// Applies the members of an `UpdateFunctionConfiguration` request; those absent stay.
    pub fn update_configuration(
        &mut self,
        name: &str,
        input: &Value,
        at: Timestamp,
        revision_id: String,
        expected: Option<&str>,
    ) -> Result<(Value, Recorded), ApiError> {
        let place = self.place.clone();
        let function = self.get_mut(name)?;
        let latest = &mut function.latest;
        if expected.is_some_and(|expected| expected != latest.revision_id) {
            return Err(moved());
        }
        if expected.is_some() && at < latest.last_modified + place.update_time {
            return Err(in_progress(name));
        }
        let mut request = Map::new();
        request.insert("functionName".to_owned(), json!(name));
        for (key, value) in input.as_object().into_iter().flatten() {
            let settings = &mut latest.settings;
            let text = || {
                value.as_str().map(str::to_owned).ok_or_else(|| invalid(format!("{key} must be a string")))
            };
            let number = |least: i64, most: i64| {
                let number = value.as_i64().filter(|number| (least..=most).contains(number));
                number.ok_or_else(|| invalid(format!("{key} must be between {least} and {most}")))
            };
            match key.as_str() {
                "Environment" => {
                    let variables =
                        value.get("Variables").and_then(Value::as_object).cloned().unwrap_or_default();
                    let variables = variables.into_iter().map(|(key, value)| match value {
                        Value::String(text) => Ok((key, text)),
                        _ => Err(invalid(format!("environment variable {key} must be a string"))),
                    });
                    latest.environment = variables.collect::<Result<_, _>>()?;
                }
                "Timeout" => settings.timeout = number(1, 900)?,
                "MemorySize" => settings.memory_size = number(128, 10_240)?,
                "Description" => settings.description = text()?,
                "Handler" => settings.handler = text()?,
                "Runtime" => settings.runtime = text()?,
                "Role" => settings.role = text()?,
                "FunctionName" | "RevisionId" => continue,
                other => return Err(invalid(format!("this endpoint does not know the setting {other}"))),
            }
            let shown = if key == "Environment" { json!({}) } else { value.clone() };
            request.insert(lower_camel(key), shown);
        }
        // `environment` is `{}` in the record also where nothing in it was asked for.
        request.entry("environment").or_insert_with(|| json!({}));
        latest.last_modified = at;
        latest.revision_id = revision_id;
        let response = recorded_configuration(&place, name, latest);
        Ok((show(&place, short_name(name), latest, at), (Value::Object(request), response)))
    }

    pub fn update_code(
        &mut self,
        name: &str,
        code_sha256: &str,
        at: Timestamp,
        revision_id: String,
    ) -> Result<Recorded, ApiError> {
        let place = self.place.clone();
        let latest = &mut self.get_mut(name)?.latest;
        code_sha256.clone_into(&mut latest.settings.code_sha256);
        latest.last_modified = at;
        latest.revision_id = revision_id;
        let request = json!({
            "functionName": name, "s3Bucket": "deploy-artifacts", "s3Key": format!("{name}.zip"),
            "dryRun": false, "publish": false,
        });
        Ok((request, recorded_configuration(&place, name, latest)))
    }

    /// Publishes `$LATEST`: number, configuration as shown, and record.
    pub fn publish(
        &mut self,
        name: &str,
        description: &str,
        at: Timestamp,
        revision_id: String,
    ) -> Result<(String, Value, Recorded), ApiError> {
        let place = self.place.clone();
        let function = self.get_mut(name)?;
        let latest = function.latest.clone();
        let unchanged = function.versions.last().is_some_and(|last| {
            last.environment == latest.environment
                && FunctionSettings { description: String::new(), ..last.settings.clone() }
                    == FunctionSettings { description: String::new(), ..latest.settings.clone() }
        });
        if !unchanged {
            let number = function.versions.len() + 1;
            let mut settings = latest.settings;
            if !description.is_empty() {
                description.clone_into(&mut settings.description);
            }
            function.versions.push(Configuration {
                version: number.to_string(),
                settings,
                environment: latest.environment,
                last_modified: at,
                revision_id,
            });
        }
        let published = function.versions.last().ok_or_else(|| not_found(name))?;
        let request = json!({"functionName": name, "description": description});
        let response = recorded_configuration(&place, name, published);
        let shown = show(&place, short_name(name), published, at);
        Ok((published.version.clone(), shown, (request, response)))
    }

    /// Creates or updates an alias: the event's name and its record.
    pub fn put_alias(
        &mut self,
        name: &str,
        alias: &str,
        version: &str,
        weights: &BTreeMap<String, f64>,
        revision_id: String,
    ) -> Result<(&'static str, Recorded), ApiError> {
        let input =
            json!({"FunctionVersion": version, "RoutingConfig": {"AdditionalVersionWeights": weights}});
        let function = self.get_mut(name)?;
        let event =
            if function.aliases.contains_key(alias) { "UpdateAlias20150331" } else { "CreateAlias20150331" };
        if event == "CreateAlias20150331" {
            let fresh = Alias {
                version: version.to_owned(),
                description: String::new(),
                weights: BTreeMap::new(),
                revision_id: String::new(),
            };
            function.aliases.insert(alias.to_owned(), fresh);
        }
        let (_, recorded) = self.update_alias(name, alias, &input, revision_id)?;
        Ok((event, recorded))
    }

    /// `UpdateAlias`: the alias as shown, and its record.
    pub fn update_alias(
        &mut self,
        name: &str,
        alias_name: &str,
        input: &Value,
        revision_id: String,
    ) -> Result<(Value, Recorded), ApiError> {
        let place = self.place.clone();
        let function = self.get_mut(name)?;
        let known = |version: &str| function.configuration(version).is_some();
        let version = input.get("FunctionVersion").and_then(Value::as_str).map(str::to_owned);
        if let Some(version) = &version
            && !known(version)
        {
            return Err(not_found(&format!("{name}:{version}")));
        }
        let weights = match input.get("RoutingConfig") {
            None | Some(Value::Null) => None,
            Some(routing) => Some(read_weights(routing, &known)?),
        };
        let alias = function.aliases.get_mut(alias_name).ok_or_else(|| {
            ApiError::new(404, "ResourceNotFoundException", format!("Alias not found: {name}:{alias_name}"))
        })?;
        if input
            .get("RevisionId")
            .and_then(Value::as_str)
            .is_some_and(|expected| expected != alias.revision_id)
        {
            return Err(moved());
        }
        let mut request = Map::new();
        request.insert("functionName".to_owned(), json!(name));
        request.insert("name".to_owned(), json!(alias_name));
        if let Some(version) = version {
            request.insert("functionVersion".to_owned(), json!(version));
            alias.version = version;
        }
        if let Some(weights) = weights {
            request.insert("routingConfig".to_owned(), json!({"additionalVersionWeights": weights}));
            alias.weights = weights;
        }
        if let Some(description) = input.get("Description").and_then(Value::as_str) {
            request.insert("description".to_owned(), json!(description));
            description.clone_into(&mut alias.description);
        }
        alias.revision_id = revision_id;
        let shown = show_alias(&place, short_name(name), alias_name, alias);
        let response = json!({
            "aliasArn": shown["AliasArn"], "name": alias_name, "functionVersion": alias.version,
            "description": alias.description, "revisionId": alias.revision_id,
        });
        Ok((shown, (Value::Object(request), response)))
    }

    /// Sets or removes reserved concurrency: the event's name and its record.
    pub fn set_concurrency(
        &mut self,
        name: &str,
        reserved: Option<i64>,
    ) -> Result<(&'static str, Recorded), ApiError> {
        let function = self.get_mut(name)?;
        function.reserved = reserved;
        Ok(match reserved {
            Some(reserved) => (
                "PutFunctionConcurrency20171031",
                (
                    json!({"functionName": name, "reservedConcurrentExecutions": reserved}),
                    json!({"reservedConcurrentExecutions": reserved}),
                ),
            ),
            None => ("DeleteFunctionConcurrency20171031", (json!({"functionName": name}), Value::Null)),
        })
    }

    pub fn concurrency(&self, name: &str) -> Result<Option<i64>, ApiError> {
        Ok(self.get(name)?.reserved)
    }

    pub fn live(&self, function: &str, qualifier: &str) -> Option<(String, BTreeMap<String, String>)> {
        let configuration = self.by_name.get(function)?.configuration(qualifier)?;
        Some((configuration.version.clone(), configuration.environment.clone()))
    }

    /// `GetFunctionConfiguration`.
    pub fn show(&self, name: &str, qualifier: &str, now: Timestamp) -> Result<Value, ApiError> {
        let configuration = self.get(name)?.configuration(qualifier).ok_or_else(|| not_found(name))?;
        Ok(show(&self.place, short_name(name), configuration, now))
    }

    /// `ListVersionsByFunction`: `$LATEST` first.
    pub fn show_versions(&self, name: &str, now: Timestamp) -> Result<Vec<Value>, ApiError> {
        let function = self.get(name)?;
        let all = std::iter::once(&function.latest).chain(&function.versions);
        Ok(all.map(|configuration| show(&self.place, short_name(name), configuration, now)).collect())
    }

    /// `ListFunctions`.
    pub fn show_all(&self, now: Timestamp) -> Vec<Value> {
        self.by_name.iter().map(|(name, function)| show(&self.place, name, &function.latest, now)).collect()
    }

    /// `ListAliases`.
    pub fn show_aliases(&self, name: &str) -> Result<Vec<Value>, ApiError> {
        let function = self.get(name)?;
        Ok(function
            .aliases
            .iter()
            .map(|(alias, state)| show_alias(&self.place, short_name(name), alias, state))
            .collect())
    }
}

fn in_progress(name: &str) -> ApiError {
    ApiError::new(
        409,
        "ResourceConflictException",
        format!(
            "The operation cannot be performed at this time. An update is in progress for resource: {name}"
        ),
    )
}

fn read_weights(routing: &Value, known: &dyn Fn(&str) -> bool) -> Result<BTreeMap<String, f64>, ApiError> {
    let weights =
        routing.get("AdditionalVersionWeights").and_then(Value::as_object).cloned().unwrap_or_default();
    if weights.len() > 1 {
        return Err(invalid("An alias routes to at most one additional version"));
    }
    let mut read = BTreeMap::new();
    for (version, weight) in weights {
        let weight = weight.as_f64().filter(|weight| (0.0..=1.0).contains(weight));
        let weight = weight.ok_or_else(|| invalid("A weight must be between 0.0 and 1.0"))?;
        if !known(&version) {
            return Err(not_found(&version));
        }
        read.insert(version, weight);
    }
    Ok(read)
}

fn show(place: &Place, name: &str, configuration: &Configuration, now: Timestamp) -> Value {
    let Configuration { version, settings, environment, last_modified, revision_id } = configuration;
    let updating = version == "$LATEST" && now < *last_modified + place.update_time;
    json!({
        "FunctionName": name,
        "FunctionArn": format!("{}:{name}:{version}", place.arn),
        "Runtime": settings.runtime,
        "Role": settings.role,
        "Handler": settings.handler,
        "CodeSize": settings.code_size,
        "Description": settings.description,
        "Timeout": settings.timeout,
        "MemorySize": settings.memory_size,
        "LastModified": last_modified.strftime("%Y-%m-%dT%H:%M:%S.%3f+0000").to_string(),
        "CodeSha256": settings.code_sha256,
        "Version": version,
        "Environment": {"Variables": environment},
        "TracingConfig": {"Mode": "PassThrough"},
        "RevisionId": revision_id,
        "State": "Active",
        "LastUpdateStatus": if updating { "InProgress" } else { "Successful" },
        "PackageType": "Zip",
        "Architectures": ["x86_64"],
    })
}

fn show_alias(place: &Place, function: &str, name: &str, alias: &Alias) -> Value {
    let mut shown = json!({
        "AliasArn": format!("{}:{function}:{name}", place.arn),
        "Name": name,
        "FunctionVersion": alias.version,
        "Description": alias.description,
        "RevisionId": alias.revision_id,
    });
    if !alias.weights.is_empty() {
        shown["RoutingConfig"] = json!({"AdditionalVersionWeights": alias.weights});
    }
    shown
}

/// `responseElements` as CloudTrail writes them: camel case, and the environment empty.
fn recorded_configuration(place: &Place, name: &str, configuration: &Configuration) -> Value {
    let shown = show(place, short_name(name), configuration, Timestamp::MAX);
    let mut recorded = Map::new();
    for (key, value) in shown.as_object().into_iter().flatten() {
        let value = match key.as_str() {
            "Environment" => json!({}),
            "TracingConfig" => json!({"mode": "PassThrough"}),
            _ => value.clone(),
        };
        recorded.insert(lower_camel(key), value);
    }
    Value::Object(recorded)
}

fn lower_camel(key: &str) -> String {
    let mut letters = key.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}
