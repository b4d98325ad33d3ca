//! A call's arguments, whether they came in the query, a form or JSON.
//!
//! The rule that is not obvious: in a form every value is text, and structures (`blocks`, `view`) are
//! JSON within it; methods that read do not look at a JSON body at all.

use serde_json::{Map, Value};

#[derive(Debug, Default)]
pub(super) struct Arguments(Map<String, Value>);

impl Arguments {
    /// Reads query and body. The error is the API's own word.
    pub fn read(
        query: Option<&str>,
        content_type: &str,
        body: &[u8],
        takes_json: bool,
    ) -> Result<Self, &'static str> {
        let mut arguments = Map::new();
        for (key, value) in pairs(query.unwrap_or_default()) {
            arguments.insert(key, Value::String(value));
        }
        let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match kind.as_str() {
            "application/json" if takes_json && !body.is_empty() => {
                let json: Value = serde_json::from_slice(body).map_err(|_| "invalid_json")?;
                let Value::Object(json) = json else { return Err("json_not_object") };
                arguments.extend(json.into_iter().filter(|(_, value)| !value.is_null()));
            }
            "application/x-www-form-urlencoded" => {
                let body = std::str::from_utf8(body).map_err(|_| "invalid_form_data")?;
                for (key, value) in pairs(body) {
                    arguments.insert(key, Value::String(value));
                }
            }
            "" | "application/json" => {}
            _ => return Err("invalid_post_type"),
        }
        Ok(Self(arguments))
    }

    pub fn from_json(json: Map<String, Value>) -> Self {
        Self(json)
    }

    /// Text, also of numbers and booleans; absent where it is empty.
    pub fn text(&self, key: &str) -> Option<String> {
        match self.0.get(key)? {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(flag) => Some(flag.to_string()),
            _ => None,
        }
    }

    pub fn flag(&self, key: &str) -> bool {
        matches!(self.text(key).as_deref(), Some("true" | "1"))
    }

    pub fn number(&self, key: &str) -> Option<usize> {
        self.text(key)?.parse().ok()
    }

    /// A structure, as JSON or as text that holds JSON. `Err` where the text does not.
    pub fn structure(&self, key: &str) -> Result<Option<Value>, ()> {
        match self.0.get(key) {
            None => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => serde_json::from_str(text).map(Some).map_err(|_| ()),
            Some(other) => Ok(Some(other.clone())),
        }
    }
}

/// Decodes `a=1&b=2`.
pub(super) fn pairs(encoded: &str) -> Vec<(String, String)> {
    let Ok(mut url) = reqwest::Url::parse("http://form/") else { return Vec::new() };
    url.set_query(Some(encoded));
    url.query_pairs().into_owned().collect()
}

/// Encodes a form's body.
pub(super) fn form(pairs: &[(&str, &str)]) -> String {
    let Ok(mut url) = reqwest::Url::parse("http://form/") else { return String::new() };
    url.query_pairs_mut().extend_pairs(pairs);
    url.query().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_holds_structures_as_text() {
        let body = form(&[("blocks", r#"[{"type":"divider"}]"#), ("text", "a & b")]);
        let arguments =
            Arguments::read(None, "application/x-www-form-urlencoded; charset=utf-8", body.as_bytes(), true)
                .unwrap();
        assert_eq!(arguments.text("text").as_deref(), Some("a & b"));
        assert_eq!(arguments.structure("blocks").unwrap().unwrap()[0]["type"], "divider");
    }

    #[test]
    fn a_method_that_reads_does_not_see_a_json_body() {
        let arguments = Arguments::read(Some("a=1"), "application/json", br#"{"user":"U1"}"#, false).unwrap();
        assert_eq!(arguments.text("a").as_deref(), Some("1"));
        assert_eq!(arguments.text("user"), None);
    }
}
