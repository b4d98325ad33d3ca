//! Lambda over REST: which path is which operation, and the operations.
//!
//! Rule: a mutating call is written into CloudTrail whether it succeeds or is refused.

use axum::http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::trail::Entry;
use super::wire::{Answer, ApiError};
use super::world::{Call, State};

/// The operation behind a method and a path, with the path's own parameters.
pub fn route(method: &Method, path: &str) -> Option<(&'static str, Map<String, Value>)> {
    let segments: Vec<String> = path.split('/').filter(|part| !part.is_empty()).map(percent_decode).collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let (operation, parameters): (_, &[(&str, &str)]) = match (method.as_str(), segments.as_slice()) {
        ("GET", ["2015-03-31", "functions"]) => ("ListFunctions", &[]),
        ("GET", ["2015-03-31", "functions", name, "versions"]) => {
            ("ListVersionsByFunction", &[("FunctionName", name)])
        }
        ("POST", ["2015-03-31", "functions", name, "versions"]) => {
            ("PublishVersion", &[("FunctionName", name)])
        }
        ("GET", ["2015-03-31", "functions", name, "aliases"]) => ("ListAliases", &[("FunctionName", name)]),
        ("GET", ["2015-03-31", "functions", name, "aliases", alias]) => {
            ("GetAlias", &[("FunctionName", name), ("Name", alias)])
        }
        ("PUT", ["2015-03-31", "functions", name, "aliases", alias]) => {
            ("UpdateAlias", &[("FunctionName", name), ("Name", alias)])
        }
        ("GET", ["2015-03-31", "functions", name, "configuration"]) => {
            ("GetFunctionConfiguration", &[("FunctionName", name)])
        }
        ("PUT", ["2015-03-31", "functions", name, "configuration"]) => {
            ("UpdateFunctionConfiguration", &[("FunctionName", name)])
        }
        ("GET", ["2019-09-30", "functions", name, "concurrency"]) => {
            ("GetFunctionConcurrency", &[("FunctionName", name)])
        }
        ("PUT", ["2017-10-31", "functions", name, "concurrency"]) => {
            ("PutFunctionConcurrency", &[("FunctionName", name)])
        }
        ("DELETE", ["2017-10-31", "functions", name, "concurrency"]) => {
            ("DeleteFunctionConcurrency", &[("FunctionName", name)])
        }
        _ => return None,
    };
    Some((operation, parameters.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect()))
}

/// Decodes `%3A`; what is no valid escape stays as it is.
pub fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while index < bytes.len() {
        let escape = (bytes[index] == b'%')
            .then(|| text.get(index + 1..index + 3))
            .flatten()
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        decoded.push(escape.unwrap_or(bytes[index]));
        index += if escape.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// # Errors
/// Lambda's own.
pub fn run(state: &mut State, operation: &str, call: &Call) -> Result<Answer, ApiError> {
    let function = call.text("FunctionName").unwrap_or_default();
    match operation {
        "ListFunctions" => page(state, call, "Functions", &state.functions.show_all(call.at)),
        "ListVersionsByFunction" => {
            page(state, call, "Versions", &state.functions.show_versions(function, call.at)?)
        }
        "ListAliases" => {
            let mut aliases = state.functions.show_aliases(function)?;
            if let Some(version) = call.text("FunctionVersion") {
                aliases.retain(|alias| alias["FunctionVersion"] == version);
            }
            page(state, call, "Aliases", &aliases)
        }
        "GetAlias" => {
            let name = call.text("Name").unwrap_or_default();
            let mut aliases = state.functions.show_aliases(function)?;
            let index = aliases.iter().position(|alias| alias["Name"] == name).ok_or_else(|| {
                ApiError::new(
                    404,
                    "ResourceNotFoundException",
                    format!("Cannot find alias arn: {function}:{name}"),
                )
            })?;
            Ok(Answer::ok(aliases.swap_remove(index)))
        }
        "GetFunctionConfiguration" => {
            let qualifier = call.text("Qualifier").unwrap_or("$LATEST");
            Ok(Answer::ok(state.functions.show(function, qualifier, call.at)?))
        }
        "GetFunctionConcurrency" => Ok(Answer::ok(match state.functions.concurrency(function)? {
            Some(reserved) => json!({"ReservedConcurrentExecutions": reserved}),
            None => json!({}),
        })),
        _ => change(state, operation, function, call),
    }
}

/// The mutating operations, each with its record under the versioned name.
fn change(state: &mut State, operation: &str, function: &str, call: &Call) -> Result<Answer, ApiError> {
    let revision = state.next_id();
    let expected = call.text("RevisionId");
    let (name, outcome) = match operation {
        "UpdateAlias" => (
            "UpdateAlias20150331",
            state
                .functions
                .update_alias(function, call.text("Name").unwrap_or_default(), &call.input, revision)
                .map(|(shown, recorded)| (Answer::ok(shown), recorded)),
        ),
        "UpdateFunctionConfiguration" => (
            "UpdateFunctionConfiguration20150331v2",
            state
                .functions
                .update_configuration(function, &call.input, call.at, revision, expected)
                .map(|(shown, recorded)| (Answer::ok(shown), recorded)),
        ),
        "PublishVersion" => (
            "PublishVersion20150331",
            state
                .functions
                .publish(function, call.text("Description").unwrap_or_default(), call.at, revision)
                .map(|(_, shown, recorded)| (Answer::Json(StatusCode::CREATED, shown), recorded)),
        ),
        "PutFunctionConcurrency" => (
            "PutFunctionConcurrency20171031",
            match call.integer("ReservedConcurrentExecutions").filter(|reserved| *reserved >= 0) {
                None => Err(ApiError::new(
                    400,
                    "InvalidParameterValueException",
                    "ReservedConcurrentExecutions must be 0 or more",
                )),
                Some(reserved) => {
                    state.functions.set_concurrency(function, Some(reserved)).map(|(_, recorded)| {
                        (Answer::ok(json!({"ReservedConcurrentExecutions": reserved})), recorded)
                    })
                }
            },
        ),
        "DeleteFunctionConcurrency" => (
            "DeleteFunctionConcurrency20171031",
            state
                .functions
                .set_concurrency(function, None)
                .map(|(_, recorded)| (Answer::Json(StatusCode::NO_CONTENT, Value::Null), recorded)),
        ),
        other => return Err(ApiError::new(404, "UnknownOperationException", other)),
    };
    let (answer, (request, response)) = match outcome {
        Ok((answer, recorded)) => (Ok(answer), recorded),
        Err(error) => (Err(error), (json!({"functionName": function, "environment": {}}), Value::Null)),
    };
    state.record(Entry {
        source: "lambda.amazonaws.com",
        name,
        actor: &call.identity,
        access_key: Some(&call.access_key),
        at: call.at,
        request,
        response,
        error: answer.as_ref().err(),
    });
    answer
}

/// One page of a listing; the marker is the index of the next item.
fn page(state: &State, call: &Call, key: &str, items: &[Value]) -> Result<Answer, ApiError> {
    let start = match call.text("Marker") {
        None => 0,
        Some(marker) => marker
            .strip_prefix("item-")
            .and_then(|index| index.parse::<usize>().ok())
            .filter(|index| *index <= items.len())
            .ok_or_else(|| ApiError::new(400, "InvalidParameterValueException", "Invalid Marker"))?,
    };
    let most = state.options.lambda_page;
    let size = call
        .integer("MaxItems")
        .and_then(|size| usize::try_from(size).ok())
        .map_or(most, |size| size.min(most));
    let end = (start + size.max(1)).min(items.len());
    let mut answer = json!({ key: items[start..end] });
    if end < items.len() {
        answer["NextMarker"] = json!(format!("item-{end}"));
    }
    Ok(Answer::ok(answer))
}
