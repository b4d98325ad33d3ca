//! CloudWatch Logs: groups, streams and lines, `FilterLogEvents` and its companions.
//!
//! Rule: a line is seen once it is ingested; a page looks through a bounded number of lines, so with a
//! pattern it can be empty and still carry a token.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::trail::Entry;
use super::wire::{Answer, ApiError};
use super::world::{Call, State};

/// What one `FilterLogEvents` page returns at most.
const PAGE_EVENTS: i64 = 10_000;
const PAGE_BYTES: usize = 1 << 20;
const GROUP_PAGE: i64 = 50;

#[derive(Debug, Clone)]
pub struct Line {
    pub at_ms: i64,
    pub stream: String,
    pub ingested: Timestamp,
    pub message: String,
    pub sequence: u64,
}

impl Line {
    /// An event id in AWS's shape: a long number that grows with time.
    pub fn event_id(&self) -> String {
        format!("{:020}{:036}", self.at_ms, self.sequence)
    }
}

#[derive(Debug, Default)]
pub struct Group {
    /// By time, then as written.
    pub lines: BTreeMap<(i64, u64), Line>,
    streams: BTreeSet<String>,
    bytes: u64,
    created_ms: i64,
}

#[derive(Debug, Default)]
pub struct LogStore {
    pub groups: BTreeMap<String, Group>,
    sequence: u64,
}

impl LogStore {
    pub fn put(&mut self, group: &str, stream: &str, at: Timestamp, ingested: Timestamp, message: String) {
        self.sequence += 1;
        let at_ms = at.as_millisecond();
        let fresh = || Group { created_ms: at_ms, ..Group::default() };
        let group = match self.groups.get_mut(group) {
            Some(group) => group,
            None => self.groups.entry(group.to_owned()).or_insert_with(fresh),
        };
        group.bytes += message.len() as u64 + 26;
        if !group.streams.contains(stream) {
            group.streams.insert(stream.to_owned());
        }
        let line = Line { at_ms, stream: stream.to_owned(), ingested, message, sequence: self.sequence };
        group.lines.insert((at_ms, self.sequence), line);
    }

    /// # Errors
    /// `ResourceNotFoundException` as AWS words it.
    pub fn group(&self, name: &str) -> Result<&Group, ApiError> {
        self.groups.get(name).ok_or_else(no_group)
    }
}

fn no_group() -> ApiError {
    ApiError::new(400, "ResourceNotFoundException", "The specified log group does not exist.")
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new(400, "InvalidParameterException", message)
}

/// The group's name in `logGroupName`, or in a `logGroupIdentifier` that is a name or an ARN.
pub fn group_name(identifier: &str) -> &str {
    match identifier.split_once(":log-group:") {
        Some((_, rest)) => rest.strip_suffix(":*").unwrap_or(rest),
        None => identifier,
    }
}

/// A filter pattern of plain terms; JSON and space-delimited patterns are refused, not guessed.
struct Pattern {
    all: Vec<String>,
    any: Vec<String>,
    none: Vec<String>,
}

impl Pattern {
    fn read(pattern: &str) -> Result<Self, ApiError> {
        let mut read = Self { all: Vec::new(), any: Vec::new(), none: Vec::new() };
        if pattern.trim_start().starts_with(['{', '[', '%']) {
            return Err(invalid("this endpoint filters by plain terms only"));
        }
        let mut rest = pattern.trim();
        while !rest.is_empty() {
            let (list, body) = match rest.split_at_checked(1) {
                Some(("?", body)) => (&mut read.any, body),
                Some(("-", body)) => (&mut read.none, body),
                _ => (&mut read.all, rest),
            };
            let (term, after) = match body.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"').ok_or_else(|| invalid("Invalid filter pattern"))?,
                None => body.split_once(char::is_whitespace).unwrap_or((body, "")),
            };
            list.push(term.to_owned());
            rest = after.trim_start();
        }
        Ok(read)
    }

    fn admits(&self, message: &str) -> bool {
        self.all.iter().all(|term| message.contains(term))
            && (self.any.is_empty() || self.any.iter().any(|term| message.contains(term)))
            && !self.none.iter().any(|term| message.contains(term))
    }
}

/// # Errors
/// Logs' own, for an unknown group, pattern, limit or token.
pub fn filter_log_events(state: &State, call: &Call) -> Result<Answer, ApiError> {
    let name = call.text("logGroupName").or_else(|| call.text("logGroupIdentifier").map(group_name));
    let group = state.logs.group(name.ok_or_else(|| invalid("logGroupName is required"))?)?;
    let pattern = Pattern::read(call.text("filterPattern").unwrap_or_default())?;
    let limit = call.integer("limit").unwrap_or(PAGE_EVENTS);
    if !(1..=PAGE_EVENTS).contains(&limit) {
        return Err(invalid("limit must be between 1 and 10000"));
    }
    let start = call.integer("startTime").unwrap_or(0);
    let end = call.integer("endTime").unwrap_or_else(|| call.at.as_millisecond());
    if start > end {
        return Err(invalid("startTime must not be after endTime"));
    }
    let from = match call.text("nextToken") {
        None => (start, 0),
        Some(token) => read_token(token).ok_or_else(|| invalid("The specified nextToken is invalid."))?,
    };
    let streams: Vec<&str> = call
        .input
        .get("logStreamNames")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let prefix = call.text("logStreamNamePrefix").unwrap_or_default();
    let (mut events, mut bytes, mut next) = (Vec::new(), 0, None);
    let visible = group.lines.range(from..).filter(|(_, line)| line.ingested <= call.at);
    for (scanned, (position, line)) in visible.take_while(|((at, _), _)| *at <= end).enumerate() {
        if scanned >= state.options.logs_scan_page || events.len() as i64 >= limit || bytes >= PAGE_BYTES {
            next = Some(*position);
            break;
        }
        let wanted = (streams.is_empty() || streams.contains(&line.stream.as_str()))
            && line.stream.starts_with(prefix);
        if wanted && pattern.admits(&line.message) {
            bytes += line.message.len();
            events.push(json!({
                "logStreamName": line.stream,
                "timestamp": line.at_ms,
                "message": line.message,
                "ingestionTime": line.ingested.as_millisecond(),
                "eventId": line.event_id(),
            }));
        }
    }
    let mut answer = json!({"events": events, "searchedLogStreams": []});
    if let Some((at, sequence)) = next {
        answer["nextToken"] = json!(format!("at-{at}-{sequence}"));
    }
    Ok(Answer::ok(answer))
}

fn read_token(token: &str) -> Option<(i64, u64)> {
    let (at, sequence) = token.strip_prefix("at-")?.split_once('-')?;
    Some((at.parse().ok()?, sequence.parse().ok()?))
}

/// # Errors
/// `InvalidParameterException` for a token that nobody gave out.
pub fn describe_log_groups(state: &State, call: &Call) -> Result<Answer, ApiError> {
    let prefix = call.text("logGroupNamePrefix").unwrap_or_default();
    let part = call.text("logGroupNamePattern").unwrap_or_default().to_lowercase();
    let limit = call.integer("limit").unwrap_or(GROUP_PAGE);
    if !(1..=GROUP_PAGE).contains(&limit) {
        return Err(invalid("limit must be between 1 and 50"));
    }
    let after = call.text("nextToken").map(|token| token.strip_prefix("after-").unwrap_or_default());
    if after == Some("") {
        return Err(invalid("The specified nextToken is invalid."));
    }
    let mut found = state.logs.groups.iter().filter(|(name, _)| {
        name.starts_with(prefix)
            && name.to_lowercase().contains(&part)
            && after.is_none_or(|after| name.as_str() > after)
    });
    let shown: Vec<(&String, &Group)> = found.by_ref().take(limit as usize).collect();
    let arn = |name: &str| {
        format!("arn:aws:logs:{}:{}:log-group:{name}", state.options.region, state.options.account)
    };
    let groups: Vec<Value> = shown
        .iter()
        .map(|(name, group)| {
            json!({
                "logGroupName": name, "creationTime": group.created_ms, "metricFilterCount": 0,
                "arn": format!("{}:*", arn(name)), "logGroupArn": arn(name),
                "storedBytes": group.bytes, "logGroupClass": "STANDARD",
            })
        })
        .collect();
    let mut answer = json!({"logGroups": groups});
    if found.next().is_some()
        && let Some((last, _)) = shown.last()
    {
        answer["nextToken"] = json!(format!("after-{last}"));
    }
    Ok(Answer::ok(answer))
}

/// # Errors
/// `ResourceNotFoundException` where group or stream do not exist.
pub fn put_log_events(state: &mut State, call: &Call) -> Result<Answer, ApiError> {
    let name = call.text("logGroupName").ok_or_else(|| invalid("logGroupName is required"))?;
    let stream = call.text("logStreamName").ok_or_else(|| invalid("logStreamName is required"))?;
    if !state.logs.group(name)?.streams.contains(stream) {
        return Err(ApiError::new(
            400,
            "ResourceNotFoundException",
            "The specified log stream does not exist.",
        ));
    }
    let events = call.input.get("logEvents").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut lines = Vec::new();
    for event in events {
        let at = event
            .get("timestamp")
            .and_then(Value::as_i64)
            .and_then(|at| Timestamp::from_millisecond(at).ok());
        let message = event.get("message").and_then(Value::as_str);
        let (Some(at), Some(message)) = (at, message) else {
            return Err(invalid("each log event needs a timestamp and a message"));
        };
        lines.push((at, message.to_owned()));
    }
    let delay = state.options.logs_delay;
    for (at, message) in lines {
        state.logs.put(name, stream, at, call.at + delay, message);
    }
    Ok(Answer::ok(json!({})))
}

/// `CreateLogGroup` and `CreateLogStream`.
///
/// # Errors
/// `ResourceAlreadyExistsException`, and `ResourceNotFoundException` for a stream without its group.
pub fn create(state: &mut State, operation: &str, call: &Call) -> Result<Answer, ApiError> {
    let name = call.text("logGroupName").ok_or_else(|| invalid("logGroupName is required"))?.to_owned();
    let exists = |what: &str| {
        ApiError::new(400, "ResourceAlreadyExistsException", format!("The specified {what} already exists"))
    };
    if operation == "CreateLogGroup" {
        if state.logs.groups.contains_key(&name) {
            return Err(exists("log group"));
        }
        let group = Group { created_ms: call.at.as_millisecond(), ..Group::default() };
        state.logs.groups.insert(name, group);
    } else {
        let stream = call.text("logStreamName").ok_or_else(|| invalid("logStreamName is required"))?;
        let group = state.logs.groups.get_mut(&name).ok_or_else(no_group)?;
        if !group.streams.insert(stream.to_owned()) {
            return Err(exists("log stream"));
        }
    }
    state.record(Entry {
        source: "logs.amazonaws.com",
        name: operation,
        actor: &call.identity,
        access_key: Some(&call.access_key),
        at: call.at,
        request: call.input.clone(),
        response: Value::Null,
        error: None,
    });
    Ok(Answer::ok(Value::Null))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_patterns_admit_what_their_terms_say() {
        let pattern = Pattern::read("ERROR \"pool exhausted\" -retry").ok().unwrap();
        assert!(pattern.admits("ERROR pool exhausted"));
        assert!(!pattern.admits("ERROR pool exhausted, retry"));
        assert!(!pattern.admits("pool exhausted"));
        let any = Pattern::read("?ERROR ?WARN").ok().unwrap();
        assert!(any.admits("WARN slow") && !any.admits("INFO done"));
        assert!(Pattern::read("{ $.level = \"ERROR\" }").is_err());
    }
}
