//! Values that a report names and nothing in the bundle shows.
//!
//! The rule that is not obvious: a value may stand in a file inside another text (the content of a
//! flag is JSON in JSON), so it is looked for as it is and as JSON escapes it. In log lines, which hold
//! every number there is, it counts only as the value of a field that is named like the key.

use std::path::Path;

use crate::domain::change::KeyChange;

/// What the engine says in words of its own: no limit, and whether a rule or a policy is there.
const STATES: [&str; 3] = ["unreserved", "allowed", "in place"];
/// What stands for a secret.
const MASK: &str = "***";

/// `KEY=value` of every value of a change's keys that no file of the bundle holds.
pub fn values(config: &[KeyChange], dir: &Path) -> Vec<String> {
    let named: Vec<(&str, &str)> = config
        .iter()
        .flat_map(|key| {
            [&key.before, &key.after].into_iter().flatten().map(|value| (key.key.as_str(), value.as_str()))
        })
        .filter(|(_, value)| !value.is_empty() && !STATES.contains(value) && !value.contains(MASK))
        .collect();
    if named.is_empty() {
        return Vec::new();
    }
    let mut text = String::new();
    read(dir, 0, &mut text);
    let plain = text.replace("\\\"", "\"").replace("\\\\", "\\");
    named
        .into_iter()
        .filter(|(_, value)| !text.contains(value) && !plain.contains(value))
        .filter(|(key, value)| !logged(dir, key, value))
        .map(|(key, value)| format!("{key}={value}"))
        .collect()
}

/// Whether a field of a log line holds the value under the key's name.
fn logged(dir: &Path, key: &str, value: &str) -> bool {
    let plain = |name: &str| -> String {
        name.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect()
    };
    let key = plain(key.rsplit('/').next().unwrap_or(key));
    let named = |name: &str| {
        let name = plain(name);
        name.len() >= 4 && (name.ends_with(&key) || key.ends_with(&name))
    };
    let logs = std::fs::read(dir.join("logs.ndjson")).unwrap_or_default();
    let logs = String::from_utf8_lossy(&logs);
    let mut before = "";
    for token in logs.split(|letter: char| " \"\\,{}:=[]()\n\t".contains(letter)) {
        if token.is_empty() {
            continue;
        }
        if token == value && named(before) {
            return true;
        }
        before = token;
    }
    false
}

/// All that shows a configuration: neither logs nor metrics, nor the truth.
fn read(dir: &Path, depth: usize, text: &mut String) {
    const DEEPEST: usize = 3;
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            if depth < DEEPEST {
                read(&path, depth + 1, text);
            }
        } else if !["logs.ndjson", "metrics.json", "truth.json"].iter().any(|name| path.ends_with(name)) {
            // What cannot be read shows nothing.
            text.push_str(&String::from_utf8_lossy(&std::fs::read(&path).unwrap_or_default()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_no_file_holds_is_invented() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("cloudtrail.json", r#"{"content": "{\"limit\": \"a b\", \"size\": 12}"}"#);
        write("truth.json", "77");
        let key = |key: &str, before: &str, after: &str| KeyChange {
            key: key.to_owned(),
            before: Some(before.to_owned()),
            after: Some(after.to_owned()),
        };
        let config = [key("limit", "a b", "unreserved"), key("size", "12", "77"), key("all", "\"a b\"", "")];
        assert_eq!(values(&config, folder.path()), ["size=77"]);
        write(
            "logs.ndjson",
            r#"{"message": "{\"pool_size\":12,\"took\":40}"}\n{"message": "order 77 poolSize=9 done"}"#,
        );
        let of_logs = [key("POOL_SIZE", "9", "12"), key("POOL_SIZE", "40", "77")];
        assert_eq!(values(&of_logs, folder.path()), ["POOL_SIZE=40", "POOL_SIZE=77"]);
    }
}
