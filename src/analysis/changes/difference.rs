//! What differs between two states of a configuration, and whether it matters.
//!
//! The rule that is not obvious: a value that a source masks is not a value. Where both sides are
//! masked nothing is known to differ; where one is, the side that is masked is unknown.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::domain::change::KeyChange;

/// The keys whose values differ, in order of their names.
pub(super) fn between(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<KeyChange> {
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    keys.into_iter()
        .filter(|key| before.get(*key) != after.get(*key))
        .map(|key| KeyChange {
            key: key.clone(),
            before: before.get(key).filter(|value| !masked(value)).cloned(),
            after: after.get(key).filter(|value| !masked(value)).cloned(),
        })
        .collect()
}

/// The same of two documents, their scalars named by dotted paths. A feature flag of which only
/// `enabled` differs goes by the flag's own name; flags are the document's first level (AppConfig's
/// format of feature flags), so that deeper keys of that name are keys like others.
pub(super) fn between_documents(before: &Value, after: &Value) -> Vec<KeyChange> {
    let changes = between(&document(before), &document(after));
    let named: Vec<String> = changes.iter().map(|change| change.key.clone()).collect();
    changes
        .into_iter()
        .map(|mut change| {
            if let Some(flag) = change.key.strip_suffix(".enabled").filter(|flag| !flag.contains('.')) {
                let inside = format!("{flag}.");
                if named.iter().filter(|key| key.starts_with(&inside)).count() == 1 {
                    change.key = flag.to_owned();
                }
            }
            change
        })
        .collect()
}

/// A document's scalars by their dotted paths; text that is no document is all of it `content`.
pub(in crate::analysis) fn document(value: &Value) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    leaves("", value, &mut found);
    found
}

fn leaves(path: &str, value: &Value, found: &mut BTreeMap<String, String>) {
    let join = |part: &str| if path.is_empty() { part.to_owned() } else { format!("{path}.{part}") };
    match value {
        Value::Object(object) if !object.is_empty() => {
            for (key, value) in object {
                leaves(&join(key), value, found);
            }
        }
        Value::Array(values) if values.iter().any(|value| value.is_object() || value.is_array()) => {
            for (at, value) in values.iter().enumerate() {
                leaves(&join(&at.to_string()), value, found);
            }
        }
        Value::String(text) => {
            found.insert(if path.is_empty() { "content".to_owned() } else { path.to_owned() }, text.clone());
        }
        Value::Null => {}
        other => {
            found.insert(
                if path.is_empty() { "content".to_owned() } else { path.to_owned() },
                other.to_string(),
            );
        }
    }
}

/// True for what stands in a secret's place.
pub(super) fn masked(value: &str) -> bool {
    value == "HIDDEN_DUE_TO_SECURITY_REASONS" || (value.len() >= 3 && value.bytes().all(|byte| byte == b'*'))
}

/// True for a key that only tells people what runs, such as `RELEASE_TAG` or `support_email`:
/// changing it changes nothing that the service does.
pub(super) fn is_label(key: &str) -> bool {
    let words = words(key);
    let has = |any: &[&str]| words.iter().any(|word| any.contains(&word.as_str()));
    let marks_release =
        has(&["release", "build", "git", "commit", "deploy", "deployed", "deployment", "artifact"])
            && has(&[
                "tag", "id", "number", "num", "sha", "hash", "label", "time", "at", "date", "name", "rev",
                "ref", "revision", "version", "by", "branch", "url",
            ]);
    let is_whole = |name: &[&str]| words.iter().map(String::as_str).eq(name.iter().copied());
    marks_release
        || is_whole(&["description"])
        || is_whole(&["release"])
        || is_whole(&["app", "version"])
        || is_whole(&["owner"])
        || is_whole(&["team"])
        || is_whole(&["cost", "center"])
        || (has(&["support", "contact", "owner", "team"]) && has(&["email", "mail", "name", "phone", "tag"]))
}

/// The words of a key in lower case, at separators and where a capital follows a small letter.
fn words(key: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut small_before = false;
    for letter in key.chars() {
        if !letter.is_alphanumeric() {
            words.push(String::new());
            small_before = false;
            continue;
        }
        if letter.is_uppercase() && small_before {
            words.push(String::new());
        }
        small_before = letter.is_lowercase();
        if let Some(last) = words.last_mut() {
            last.extend(letter.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn keys(changes: &[KeyChange]) -> Vec<(&str, Option<&str>, Option<&str>)> {
        changes
            .iter()
            .map(|change| (change.key.as_str(), change.before.as_deref(), change.after.as_deref()))
            .collect()
    }

    #[test]
    fn a_flag_goes_by_its_name_when_only_its_switch_moves() {
        let before =
            json!({"newPricing": {"enabled": false}, "a": {"enabled": false, "share": 1}, "same": [1, 2]});
        let after =
            json!({"newPricing": {"enabled": true}, "a": {"enabled": true, "share": 2}, "same": [1, 2]});
        assert_eq!(
            keys(&between_documents(&before, &after)),
            [
                ("a.enabled", Some("false"), Some("true")),
                ("a.share", Some("1"), Some("2")),
                ("newPricing", Some("false"), Some("true")),
            ]
        );
    }

    #[test]
    fn a_masked_value_is_no_value() {
        let map = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let changes = between(
            &map(&[("A", "****"), ("B", "HIDDEN_DUE_TO_SECURITY_REASONS"), ("C", "1")]),
            &map(&[("A", "****"), ("B", "2"), ("D", "*")]),
        );
        assert_eq!(keys(&changes), [("B", None, Some("2")), ("C", Some("1"), None), ("D", None, Some("*"))]);
    }

    #[test]
    fn labels_are_told_from_settings() {
        for label in ["RELEASE_TAG", "support_email", "gitSha", "BUILD_NUMBER", "deployed_at", "ownerEmail"] {
            assert!(is_label(label), "{label}");
        }
        for setting in
            ["PARTNER_API_VERSION", "db_pool_size", "TAG_CACHE_TTL", "TEAM_QUOTA", "DB_HOST", "LOG_LEVEL"]
        {
            assert!(!is_label(setting), "{setting}");
        }
    }
}
