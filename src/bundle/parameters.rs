//! `ssm/parameters.json`: versions of parameters, as `aws ssm get-parameter-history` returns them.
//!
//! The rule that is not obvious: a `SecureString`'s value is dropped even where the file holds one.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::Reading;
use super::document::{integer, plain, text, time};
use crate::domain::evidence::{Gap, ParameterVersion};

const FILE: &str = "ssm/parameters.json";

pub(super) fn read(reading: &mut Reading<'_>, now: Timestamp) -> Option<Vec<ParameterVersion>> {
    let values = reading.elements("ssm", FILE, &["Parameters"])?;
    let read: Vec<ParameterVersion> = values.iter().filter_map(parameter).collect();
    let unnamed = values.len() - read.len();
    if unnamed > 0 {
        reading.gaps.push(Gap::new("ssm", format!("{FILE}: {unnamed} elements have no name")));
    }
    Some(read.into_iter().filter(|version| version.modified_at.is_none_or(|at| at <= now)).collect())
}

/// One version; `None` where it has no name.
pub fn parameter(value: &Value) -> Option<ParameterVersion> {
    let name = text(value, "Name");
    if name.is_empty() {
        return None;
    }
    let kind = text(value, "Type");
    Some(ParameterVersion {
        value: value
            .get("Value")
            .filter(|value| kind != "SecureString" && !value.is_null())
            .map(plain)
            .filter(|value| value != "HIDDEN_DUE_TO_SECURITY_REASONS"),
        version: integer(value, "Version").unwrap_or(0),
        modified_at: time(value.get("LastModifiedDate")),
        modified_by: text(value, "LastModifiedUser"),
        name,
        kind,
    })
}

pub(super) fn export(parameters: &[ParameterVersion]) -> Value {
    let parameters: Vec<Value> = parameters
        .iter()
        .map(|parameter| {
            let mut object = Map::new();
            object.insert("Name".to_owned(), parameter.name.clone().into());
            object.insert("Type".to_owned(), parameter.kind.clone().into());
            object.insert("Version".to_owned(), parameter.version.into());
            if let Some(at) = parameter.modified_at {
                object.insert("LastModifiedDate".to_owned(), at.to_string().into());
            }
            object.insert("LastModifiedUser".to_owned(), parameter.modified_by.clone().into());
            if let Some(value) = &parameter.value {
                object.insert("Value".to_owned(), value.clone().into());
            }
            Value::Object(object)
        })
        .collect();
    serde_json::json!({ "Parameters": parameters })
}
