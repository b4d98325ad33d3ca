//! The body of a tool's webhook, as named values and titles.
//!
//! The rule that is not obvious: what stands nearer the outside comes first, JSON within a string is read
//! like the rest, and of a list of alerts the firing ones come before those that are over.

use std::collections::VecDeque;

use serde_json::{Map, Value};

use super::parts::{Parts, compact};

/// Values read at most: no tool's body has more.
const VALUES_MAX: usize = 2_000;
const DEPTH_MAX: usize = 16;

/// Keys that hold what an alert is called, in prose.
const TITLES: &[&str] =
    &["title", "eventtitle", "subject", "msg", "message", "headline", "name", "summary", "shortmessage"];
/// Keys that hold a sentence about it.
const SENTENCES: &[&str] = &[
    "summary",
    "description",
    "message",
    "body",
    "text",
    "reason",
    "newstatereason",
    "details",
    "valuestring",
    "eventmsg",
    "shortdescription",
];
/// Keys within an object that say what the object is called or has come to.
const OWN_NAME: &[&str] = &["value", "summary", "name", "displayName", "display_name", "title"];

/// Reads a webhook's body.
pub fn of(body: &Value) -> Parts {
    let mut parts = Parts::default();
    let mut titles: Vec<(usize, String)> = Vec::new();
    let mut sentences = Vec::new();
    let mut waiting: VecDeque<(Map<String, Value>, usize)> = VecDeque::new();
    if let Some(object) = unfolded(body) {
        waiting.push_back((object, 0));
    }
    let mut room = VALUES_MAX;
    while let Some((object, depth)) = waiting.pop_front() {
        if let (Some(name), Some(value)) = (text_of(&object, "name"), object.get("value").and_then(scalar)) {
            // `{"name": "FunctionName", "value": "basket"}`: a dimension or a label.
            parts.pair(&name, &value);
        }
        for (key, value) in &object {
            room = room.saturating_sub(1);
            if room == 0 {
                break;
            }
            let name = compact(key);
            if let Some(text) = scalar(value) {
                let rank = TITLES.iter().position(|title| *title == name);
                if let Some(rank) = rank.filter(|_| unfolded(value).is_none()) {
                    titles.push((depth * TITLES.len() + rank, text.clone()));
                }
                if SENTENCES.contains(&name.as_str()) {
                    sentences.push(text.clone());
                }
                parts.tags_of(&text);
                if unfolded(value).is_none() {
                    parts.pair(key, &text);
                }
            }
            if depth >= DEPTH_MAX {
                continue;
            }
            if let Some(inner) = unfolded(value) {
                if let Some(own) = OWN_NAME.iter().find_map(|own| inner.get(*own).and_then(scalar)) {
                    parts.pair(key, &own);
                }
                waiting.push_back((inner, depth + 1));
            } else if let Value::Array(items) = value {
                let mut inner: Vec<Map<String, Value>> = items.iter().filter_map(unfolded).collect();
                inner.sort_by_key(|item| {
                    item.get("status").and_then(Value::as_str).is_some_and(|status| status == "resolved")
                });
                waiting.extend(inner.into_iter().map(|item| (item, depth + 1)));
                let words: Vec<String> = items.iter().filter_map(scalar).collect();
                if let Some(first) = words.first() {
                    parts.pair(key, first);
                    parts.tags_of(&words.join(", "));
                }
            }
        }
    }
    titles.sort_by_key(|(rank, _)| *rank);
    for (_, title) in titles {
        parts.heading(title.lines().next().unwrap_or_default());
    }
    for sentence in sentences {
        parts.paragraph(&sentence);
    }
    parts
}

/// An object, or the one that a string holds.
fn unfolded(value: &Value) -> Option<Map<String, Value>> {
    match value {
        Value::Object(object) => Some(object.clone()),
        Value::String(text) if text.trim_start().starts_with('{') => {
            serde_json::from_str::<Value>(text).ok().and_then(|value| match value {
                Value::Object(object) => Some(object),
                _ => None,
            })
        }
        _ => None,
    }
}

fn text_of(object: &Map<String, Value>, key: &str) -> Option<String> {
    object.get(key).and_then(Value::as_str).map(str::to_owned)
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.trim().is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
