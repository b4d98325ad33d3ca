//! SSM's parameters: every version of each, and what is told of them.
//!
//! Rule: a `SecureString` is told in clear only to who asks for decryption; CloudTrail has neither the
//! old nor the new value of one, and the history of any parameter goes back a hundred versions.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::identity::Identity;
use super::listing::page;
use super::trail::Entry;
use super::wire::{Answer, ApiError, epoch_seconds};
use super::world::{AwsWorld, Call, State};

/// Versions that Parameter Store keeps.
const VERSIONS: usize = 100;
/// What CloudTrail writes in the place of a secret.
const HIDDEN: &str = "HIDDEN_DUE_TO_SECURITY_REASONS";

#[derive(Debug, Clone)]
struct Version {
    number: i64,
    value: String,
    modified_at: Timestamp,
    modified_by: String,
}

#[derive(Debug)]
struct Parameter {
    kind: String,
    versions: Vec<Version>,
}

#[derive(Debug, Default)]
pub struct Parameters(BTreeMap<String, Parameter>);

fn not_found() -> ApiError {
    ApiError::new(400, "ParameterNotFound", "")
}

impl Parameters {
    fn put(
        &mut self,
        name: &str,
        kind: Option<&str>,
        value: &str,
        by: &str,
        at: Timestamp,
        overwrite: bool,
    ) -> Result<i64, ApiError> {
        let valid = |letter: char| letter.is_ascii_alphanumeric() || "._-/".contains(letter);
        if name.is_empty() || !name.chars().all(valid) {
            return Err(ApiError::new(
                400,
                "ValidationException",
                "Parameter name: only a-zA-Z0-9_.-/ are allowed",
            ));
        }
        if !overwrite && self.0.contains_key(name) {
            let message = "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.";
            return Err(ApiError::new(400, "ParameterAlreadyExists", message));
        }
        let parameter = self
            .0
            .entry(name.to_owned())
            .or_insert_with(|| Parameter { kind: kind.unwrap_or("String").to_owned(), versions: Vec::new() });
        if let Some(kind) = kind {
            kind.clone_into(&mut parameter.kind);
        }
        let number = parameter.versions.last().map_or(1, |version| version.number + 1);
        parameter.versions.push(Version {
            number,
            value: value.to_owned(),
            modified_at: at,
            modified_by: by.to_owned(),
        });
        let beyond = parameter.versions.len().saturating_sub(VERSIONS);
        parameter.versions.drain(..beyond);
        Ok(number)
    }

    fn value_of(kind: &str, value: &str, decrypt: bool) -> String {
        // What comes without decryption is the ciphertext.
        if kind == "SecureString" && !decrypt {
            format!("AQICAHh{:08x}", value.len())
        } else {
            value.to_owned()
        }
    }
}

/// # Errors
/// SSM's own.
pub fn run(state: &mut State, operation: &str, call: &Call) -> Result<Answer, ApiError> {
    let decrypt = call.input.get("WithDecryption").and_then(Value::as_bool).unwrap_or(false);
    let arn = |name: &str| {
        let slash = if name.starts_with('/') { "" } else { "/" };
        format!("arn:aws:ssm:{}:{}:parameter{slash}{name}", state.options.region, state.options.account)
    };
    match operation {
        "GetParameter" => {
            let name = call.text("Name").unwrap_or_default();
            // `name:3` is the third version.
            let (name, number) = match name.rsplit_once(':') {
                Some((name, number)) => (name, number.parse::<i64>().ok()),
                None => (name, None),
            };
            let parameter = state.parameters.0.get(name).ok_or_else(not_found)?;
            let version = match number {
                Some(number) => parameter.versions.iter().find(|version| version.number == number),
                None => parameter.versions.last(),
            };
            let version = version.ok_or_else(|| ApiError::new(400, "ParameterVersionNotFound", ""))?;
            Ok(Answer::ok(json!({"Parameter": {
                "Name": name, "Type": parameter.kind, "ARN": arn(name), "DataType": "text",
                "Value": Parameters::value_of(&parameter.kind, &version.value, decrypt),
                "Version": version.number, "LastModifiedDate": epoch_seconds(version.modified_at),
            }})))
        }
        "GetParameterHistory" => {
            let name = call.text("Name").unwrap_or_default();
            let parameter = state.parameters.0.get(name).ok_or_else(not_found)?;
            let versions: Vec<Value> = parameter
                .versions
                .iter()
                .map(|version| {
                    json!({
                        "Name": name, "Type": parameter.kind, "Version": version.number, "Tier": "Standard",
                        "Value": Parameters::value_of(&parameter.kind, &version.value, decrypt),
                        "LastModifiedDate": epoch_seconds(version.modified_at),
                        "LastModifiedUser": version.modified_by, "DataType": "text", "Labels": [], "Policies": [],
                    })
                })
                .collect();
            page(call, "Parameters", &versions, 50)
        }
        "DescribeParameters" => {
            let filters =
                call.input.get("ParameterFilters").and_then(Value::as_array).cloned().unwrap_or_default();
            let shown: Vec<Value> = state
                .parameters
                .0
                .iter()
                .filter(|(name, _)| filters.iter().all(|filter| admits(filter, name)))
                .filter_map(|(name, parameter)| {
                    let newest = parameter.versions.last()?;
                    Some(json!({
                        "Name": name, "Type": parameter.kind, "Version": newest.number, "ARN": arn(name),
                        "LastModifiedDate": epoch_seconds(newest.modified_at),
                        "LastModifiedUser": newest.modified_by, "Tier": "Standard", "DataType": "text", "Policies": [],
                    }))
                })
                .collect();
            page(call, "Parameters", &shown, 50)
        }
        "PutParameter" => put(state, call),
        other => Err(ApiError::new(404, "UnknownOperationException", other)),
    }
}

/// `Path` below which, `Name` equal to one of or beginning with: what the bot asks for.
fn admits(filter: &Value, name: &str) -> bool {
    let text = |key: &str| filter.get(key).and_then(Value::as_str).unwrap_or_default();
    let mut values =
        filter.get("Values").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    match (text("Key"), text("Option")) {
        ("Path", option) => values.any(|path| {
            let below = name.strip_prefix(path.trim_end_matches('/')).and_then(|rest| rest.strip_prefix('/'));
            below.is_some_and(|rest| option == "Recursive" || !rest.contains('/'))
        }),
        ("Name", "BeginsWith") => values.any(|start| name.starts_with(start)),
        ("Name", "Contains") => values.any(|part| name.contains(part)),
        ("Name", _) => values.any(|one| one == name),
        _ => false,
    }
}

fn put(state: &mut State, call: &Call) -> Result<Answer, ApiError> {
    let name = call.text("Name").unwrap_or_default().to_owned();
    let overwrite = call.input.get("Overwrite").and_then(Value::as_bool).unwrap_or(false);
    let (kind, value) = (call.text("Type"), call.text("Value").unwrap_or_default());
    let by = call.identity.arn.clone();
    let outcome = state.parameters.put(&name, kind, value, &by, call.at, overwrite);
    let mut request = call.input.clone();
    hide(&mut request, kind == Some("SecureString"));
    state.record(Entry {
        source: "ssm.amazonaws.com",
        name: "PutParameter",
        actor: &call.identity,
        access_key: Some(&call.access_key),
        at: call.at,
        request: lower(&request),
        response: outcome
            .as_ref()
            .map_or(Value::Null, |version| json!({"version": version, "tier": "Standard"})),
        error: outcome.as_ref().err(),
    });
    Ok(Answer::ok(json!({"Version": outcome?, "Tier": "Standard"})))
}

/// CloudTrail leaves out the value of any parameter.
fn hide(request: &mut Value, secret: bool) {
    if let Some(members) = request.as_object_mut() {
        if secret {
            members.insert("Value".to_owned(), json!(HIDDEN));
        } else {
            members.remove("Value");
        }
    }
}

/// The members as CloudTrail writes them: with a small first letter.
pub(super) fn lower(members: &Value) -> Value {
    let lowered = members.as_object().into_iter().flatten().map(|(key, value)| {
        let mut letters = key.chars();
        let first = letters.next().map(|first| first.to_ascii_lowercase());
        (first.into_iter().chain(letters).collect::<String>(), value.clone())
    });
    Value::Object(lowered.collect())
}

impl AwsWorld {
    /// Writes a version of a parameter: its first one, or one over the last.
    ///
    /// # Errors
    /// SSM's own for names that it refuses.
    pub fn put_parameter(
        &self,
        name: &str,
        kind: &str,
        value: &str,
        actor: &Identity,
        at: Timestamp,
    ) -> Result<i64, ApiError> {
        let mut state = self.state();
        let version = state.parameters.put(name, Some(kind), value, &actor.arn, at, true)?;
        let mut request = json!({"Name": name, "Type": kind, "Value": value, "Overwrite": true});
        hide(&mut request, kind == "SecureString");
        state.record(Entry {
            source: "ssm.amazonaws.com",
            name: "PutParameter",
            actor,
            access_key: None,
            at,
            request: lower(&request),
            response: json!({"version": version, "tier": "Standard"}),
            error: None,
        });
        Ok(version)
    }

    /// A parameter's newest value.
    pub fn parameter_value(&self, name: &str) -> Option<String> {
        self.state().parameters.0.get(name)?.versions.last().map(|version| version.value.clone())
    }
}
