//! One mutating CloudTrail record, with its odd spellings put straight.
//!
//! The rule that is not obvious: Lambda's event names carry an API version, and the same parameter is
//! written `functionName` here and `FunctionName` there, so names are compared without either.

use serde_json::Value;

use crate::domain::evidence::TrailRecord;

/// What AWS writes where it hides a value.
const HIDDEN: &str = "HIDDEN_DUE_TO_SECURITY_REASONS";

#[derive(Debug, Clone, Copy)]
pub(super) struct Call<'a> {
    pub record: &'a TrailRecord,
    /// `lambda` of `lambda.amazonaws.com`.
    pub service: &'a str,
    /// `UpdateFunctionCode` of `UpdateFunctionCode20150331v2`.
    pub verb: &'a str,
}

impl<'a> Call<'a> {
    pub fn new(record: &'a TrailRecord) -> Self {
        let service = record.source.split('.').next().unwrap_or_default();
        Self { record, service, verb: without_version(&record.name) }
    }

    pub fn failed(&self) -> bool {
        self.record.error_code.is_some()
    }

    pub fn request(&self) -> &'a Value {
        self.record.raw.get("requestParameters").unwrap_or(&Value::Null)
    }

    pub fn response(&self) -> &'a Value {
        self.record.raw.get("responseElements").unwrap_or(&Value::Null)
    }

    /// The request's field under the first of the names that it has, however it is capitalised.
    pub fn field(&self, names: &[&str]) -> Option<&'a Value> {
        names.iter().find_map(|name| field(self.request(), name))
    }

    /// The same as text, where it is a text or a number that is not hidden.
    pub fn text(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| field(self.request(), name).and_then(scalar))
    }

    /// True where CloudFormation made the call for a stack.
    pub fn by_stack(&self) -> bool {
        const STACKS: &str = "cloudformation.amazonaws.com";
        let raw = &self.record.raw;
        // What a caller says of itself as its user agent proves nothing.
        [raw.pointer("/userIdentity/invokedBy"), raw.get("sourceIPAddress")]
            .into_iter()
            .flatten()
            .any(|value| value.as_str() == Some(STACKS))
            || self.in_stack_session()
    }

    /// True where the call was made in the session in which CloudFormation takes a stack's own role.
    pub fn in_stack_session(&self) -> bool {
        self.record.actor.name.ends_with("/AWSCloudFormation")
    }
}

/// A field of an object, whatever the case of its first letter.
pub(super) fn field<'a>(object: &'a Value, name: &str) -> Option<&'a Value> {
    let object = object.as_object()?;
    object
        .get(name)
        .or_else(|| object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value))
        .filter(|value| !value.is_null())
}

/// A scalar as text; `None` for what is hidden, and for lists and objects.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if text == HIDDEN => None,
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}

/// `UpdateFunctionCode` of `UpdateFunctionCode20150331v2`: eight digits, and perhaps `v` and a number.
fn without_version(name: &str) -> &str {
    let bare = match name.rsplit_once('v') {
        Some((bare, number)) if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) => {
            bare
        }
        _ => name,
    };
    match bare.len().checked_sub(8).and_then(|at| bare.split_at_checked(at)) {
        Some((stem, date)) if !stem.is_empty() && date.bytes().all(|byte| byte.is_ascii_digit()) => stem,
        _ => name,
    }
}

/// A function's short name: of its ARN, of a partial ARN, or of a name with a version or an alias.
pub(super) fn function_name(text: &str) -> &str {
    let after = match text.rsplit_once(":function:") {
        Some((_, name)) => name,
        None => text.strip_prefix("function:").unwrap_or(text),
    };
    after.split(':').next().unwrap_or(after)
}

/// Every scalar of a request under its dotted path, each part as AWS's API spells it.
pub(super) fn settings(value: &Value, skip: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    if let Some(object) = value.as_object() {
        for (key, value) in object {
            if !skip.iter().any(|skipped| skipped.eq_ignore_ascii_case(key)) {
                collect(&capitalised(key), value, &mut found);
            }
        }
    }
    found
}

fn collect(path: &str, value: &Value, found: &mut Vec<(String, String)>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                collect(&format!("{path}.{}", capitalised(key)), value, found);
            }
        }
        Value::Array(values) if values.iter().all(|value| !value.is_object() && !value.is_array()) => {
            let each: Vec<String> = values.iter().filter_map(scalar).collect();
            found.push((path.to_owned(), each.join(", ")));
        }
        Value::Array(_) | Value::Null => {}
        other => found.extend(scalar(other).map(|text| (path.to_owned(), text))),
    }
}

fn capitalised(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_version_is_no_part_of_the_name() {
        for (name, verb) in [
            ("UpdateFunctionConfiguration20150331v2", "UpdateFunctionConfiguration"),
            ("PublishVersion20150331", "PublishVersion"),
            ("UpdateAlias", "UpdateAlias"),
            ("PutServerlessRepov2", "PutServerlessRepov2"),
            ("20150331", "20150331"),
            ("", ""),
        ] {
            assert_eq!(without_version(name), verb);
        }
    }

    #[test]
    fn a_function_is_known_by_any_of_its_names() {
        for text in [
            "checkout",
            "checkout:live",
            "arn:aws:lambda:us-east-1:123456789012:function:checkout",
            "arn:aws:lambda:us-east-1:123456789012:function:checkout:42",
            "123456789012:function:checkout",
            "function:checkout",
        ] {
            assert_eq!(function_name(text), "checkout");
        }
    }
}
