//! Secrets in documents: leaves by the names of their keys, wherever a document keeps name and value.
//!
//! The rule that is not obvious: AWS often lists `{"name": "DB_PASSWORD", "value": "…"}`: there the name stands
//! beside the value and not above it.

use serde_json::{Map, Value};

use super::{MASK, mask_text, mask_value};

/// Masks secrets in a document.
pub fn json(document: &mut Value) {
    walk(document, &mut |_| MASK.to_owned());
}

pub(super) fn walk(document: &mut Value, replace: &mut dyn FnMut(&str) -> String) {
    leaf("", document, replace);
}

fn leaf(key: &str, value: &mut Value, replace: &mut dyn FnMut(&str) -> String) {
    match value {
        Value::Object(object) => {
            let beside = name_beside(object);
            for (inner, value) in object.iter_mut() {
                let is_value = inner.eq_ignore_ascii_case("value");
                let key = beside.as_deref().filter(|_| is_value).unwrap_or(inner);
                leaf(key, value, replace);
            }
        }
        Value::Array(values) => {
            for value in values {
                leaf(key, value, replace);
            }
        }
        Value::String(text) => {
            // A document within a document, as CloudTrail and AppConfig have them, is read as what it is.
            let inner =
                text.trim_start().starts_with(['{', '[']).then(|| serde_json::from_str::<Value>(text));
            if let Some(Ok(mut inner)) = inner
                && !super::names::is_secret(key)
            {
                let before = inner.clone();
                walk(&mut inner, replace);
                if inner != before {
                    *text = inner.to_string();
                }
                return;
            }
            let masked = if key.is_empty() {
                mask_text(text, replace).into_owned()
            } else {
                mask_value(key, text, replace)
            };
            *text = masked;
        }
        Value::Number(number) if super::names::is_secret(key) => {
            let text = number.to_string();
            let masked = mask_value(key, &text, replace);
            if masked != text {
                *value = Value::String(masked);
            }
        }
        Value::Number(_) | Value::Bool(_) | Value::Null => {}
    }
}

fn name_beside(object: &Map<String, Value>) -> Option<String> {
    let name = ["name", "Name", "key", "Key", "ParameterName", "parameterName"]
        .iter()
        .find_map(|key| object.get(*key));
    name.and_then(Value::as_str).map(str::to_owned)
}
