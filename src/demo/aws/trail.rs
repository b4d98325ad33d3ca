//! CloudTrail: records in the shape that it delivers, and `LookupEvents`.
//!
//! Rule: a record is visible only once it is delivered, and environment values are in none of them,
//! neither where they changed nor where they did not.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::identity::Identity;
use super::wire::{Answer, ApiError, epoch_seconds};
use super::world::{Call, State, WorldOptions};

/// How far back `LookupEvents` sees.
const LOOKUP_REACH: Duration = Duration::from_hours(90 * 24);
/// Events a page.
const PAGE: i64 = 50;

/// A call to be written down.
pub struct Entry<'a> {
    pub source: &'a str,
    pub name: &'a str,
    pub actor: &'a Identity,
    /// `None`: the identity's own key.
    pub access_key: Option<&'a str>,
    pub at: Timestamp,
    pub request: Value,
    pub response: Value,
    pub error: Option<&'a ApiError>,
}

#[derive(Debug)]
struct Delivered {
    at: Timestamp,
    visible_from: Timestamp,
    event_id: String,
    name: String,
    source: String,
    username: String,
    access_key: String,
    read_only: bool,
    resources: Vec<(String, String)>,
    /// The whole record as JSON text, as `LookupEvents` carries it.
    record: String,
}

#[derive(Debug, Default)]
pub struct Trail {
    /// In order of time; of equal times, the later written comes later.
    events: Vec<Delivered>,
}

impl Trail {
    pub(super) fn deliver(&mut self, now: Timestamp) {
        for event in &mut self.events {
            event.visible_from = event.visible_from.min(now);
        }
    }

    pub(super) fn record(
        &mut self,
        entry: Entry<'_>,
        options: &WorldOptions,
        event_id: String,
        request_id: &str,
        visible_from: Timestamp,
    ) {
        let Entry { source, name, actor, access_key, at, request, response, error } = entry;
        let access_key = access_key.map_or_else(|| actor.access_key(), str::to_owned);
        let read_only = is_read_only(name);
        let resources = resources_of(source, &request, &response);
        // A refused call has no response.
        let response = if error.is_some() { Value::Null } else { response };
        let mut record = json!({
            "eventVersion": "1.11",
            "userIdentity": actor.record(&access_key, at),
            "eventTime": at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            "eventSource": source,
            "eventName": name,
            "awsRegion": options.region,
            "sourceIPAddress": "198.51.100.24",
            "userAgent": actor.user_agent,
            "requestParameters": request,
            "responseElements": response,
            "requestID": request_id,
            "eventID": event_id,
            "readOnly": read_only,
            "eventType": "AwsApiCall",
            "managementEvent": true,
            "recipientAccountId": options.account,
            "eventCategory": "Management",
        });
        if let (Some(error), Some(fields)) = (error, record.as_object_mut()) {
            fields.insert("errorCode".to_owned(), json!(error.code));
            fields.insert("errorMessage".to_owned(), json!(error.message));
        }
        let event = Delivered {
            at,
            visible_from,
            event_id,
            name: name.to_owned(),
            source: source.to_owned(),
            username: actor.name.clone(),
            access_key,
            read_only,
            resources,
            record: record.to_string(),
        };
        let index = self.events.partition_point(|other| other.at <= at);
        self.events.insert(index, event);
    }
}

/// CloudTrail decides by the API's model; for the names that occur here the verb tells.
fn is_read_only(name: &str) -> bool {
    ["Get", "List", "Describe", "Lookup", "AssumeRole", "Head", "Filter", "Query", "Scan"]
        .iter()
        .any(|verb| name.starts_with(verb))
}

/// What `LookupEvents` can be asked for by `ResourceName`: names and ARNs that the call itself carries.
fn resources_of(source: &str, request: &Value, response: &Value) -> Vec<(String, String)> {
    let mut resources = Vec::new();
    let mut add = |kind: &str, value: Option<&Value>| {
        if let Some(name) = value.and_then(Value::as_str) {
            let resource = (kind.to_owned(), name.to_owned());
            if !resources.contains(&resource) {
                resources.push(resource);
            }
        }
    };
    match source {
        "lambda.amazonaws.com" => {
            add("AWS::Lambda::Function", request.get("functionName"));
            add("AWS::Lambda::Function", response.get("functionArn"));
            add("AWS::Lambda::Alias", response.get("aliasArn"));
        }
        "ssm.amazonaws.com" => add("AWS::SSM::Parameter", request.get("name")),
        "appconfig.amazonaws.com" => {
            add("AWS::AppConfig::Application", request.get("applicationId"));
            add("AWS::AppConfig::Environment", request.get("environmentId"));
        }
        "ecs.amazonaws.com" => {
            add("AWS::ECS::Service", request.get("service"));
            add("AWS::ECS::Cluster", request.get("cluster"));
            add("AWS::ECS::TaskDefinition", request.get("taskDefinition"));
        }
        "logs.amazonaws.com" => add("AWS::Logs::LogGroup", request.get("logGroupName")),
        "monitoring.amazonaws.com" => add("AWS::CloudWatch::Alarm", request.get("alarmName")),
        "rds.amazonaws.com" => add("AWS::RDS::DBInstance", request.get("dBInstanceIdentifier")),
        "secretsmanager.amazonaws.com" => add("AWS::SecretsManager::Secret", request.get("secretId")),
        "iam.amazonaws.com" => {
            add("AWS::IAM::Role", request.get("roleName"));
            add("AWS::IAM::Policy", request.get("policyName"));
        }
        _ => {}
    }
    resources
}

impl State {
    /// Writes down a Lambda call that came by the Rust side.
    pub(super) fn record_lambda(
        &mut self,
        name: &str,
        actor: &Identity,
        at: Timestamp,
        recorded: (Value, Value),
    ) {
        let (request, response) = recorded;
        self.record(Entry {
            source: "lambda.amazonaws.com",
            name,
            actor,
            access_key: None,
            at,
            request,
            response,
            error: None,
        });
    }
}

/// # Errors
/// AWS's own for attributes, ranges, page sizes and tokens that it refuses.
pub fn lookup_events(state: &State, call: &Call) -> Result<Answer, ApiError> {
    let filter = Filter::read(call)?;
    let page = call.integer("MaxResults").unwrap_or(PAGE);
    if !(1..=PAGE).contains(&page) {
        return Err(ApiError::new(400, "InvalidMaxResultsException", "MaxResults must be between 1 and 50"));
    }
    let now = state.now();
    let oldest = now - LOOKUP_REACH;
    let (start, end) = (call.time("StartTime").unwrap_or(oldest), call.time("EndTime").unwrap_or(now));
    if start > end {
        return Err(ApiError::new(400, "InvalidTimeRangeException", "StartTime is after EndTime"));
    }
    let start = start.max(oldest);
    // The token names the last event of the page before, so that a delivery in between shifts nothing.
    let after = match call.text("NextToken") {
        None => None,
        Some(token) => {
            let position =
                state.trail.events.iter().position(|event| token == format!("after-{}", event.event_id));
            Some(position.ok_or_else(|| {
                ApiError::new(400, "InvalidNextTokenException", "The NextToken is invalid or no longer valid")
            })?)
        }
    };
    let newest = after.unwrap_or(state.trail.events.len());
    // Times of records have whole seconds, and both ends of the range are inside.
    let mut found = state.trail.events[..newest].iter().rev().filter(|event| {
        event.visible_from <= now
            && event.at.as_second() >= start.as_second()
            && event.at.as_second() <= end.as_second()
            && filter.admits(event)
    });
    let shown: Vec<&Delivered> = found.by_ref().take(page as usize).collect();
    let mut answer = Map::new();
    answer.insert("Events".to_owned(), shown.iter().map(|event| event.show()).collect());
    if found.next().is_some()
        && let Some(last) = shown.last()
    {
        answer.insert("NextToken".to_owned(), json!(format!("after-{}", last.event_id)));
    }
    Ok(Answer::ok(Value::Object(answer)))
}

impl Delivered {
    fn show(&self) -> Value {
        json!({
            "EventId": self.event_id,
            "EventName": self.name,
            "ReadOnly": self.read_only.to_string(),
            "AccessKeyId": self.access_key,
            "EventTime": epoch_seconds(self.at).floor(),
            "EventSource": self.source,
            "Username": self.username,
            "Resources": self.resources.iter()
                .map(|(kind, name)| json!({"ResourceType": kind, "ResourceName": name}))
                .collect::<Vec<_>>(),
            "CloudTrailEvent": self.record,
        })
    }
}

/// The one attribute that a call may filter by.
struct Filter(Option<(String, String)>);

impl Filter {
    fn read(call: &Call) -> Result<Self, ApiError> {
        let attributes = call.input.get("LookupAttributes").and_then(Value::as_array);
        let attributes = attributes.map(Vec::as_slice).unwrap_or_default();
        let refuse = |why: &str| ApiError::new(400, "InvalidLookupAttributesException", why);
        let [attribute] = attributes else {
            return if attributes.is_empty() {
                Ok(Self(None))
            } else {
                Err(refuse("You may only specify one lookup attribute"))
            };
        };
        let part = |key: &str| attribute.get(key).and_then(Value::as_str).map(str::to_owned);
        let (Some(key), Some(value)) = (part("AttributeKey"), part("AttributeValue")) else {
            return Err(refuse("AttributeKey and AttributeValue are required"));
        };
        let known = [
            "EventId",
            "EventName",
            "ReadOnly",
            "Username",
            "ResourceType",
            "ResourceName",
            "EventSource",
            "AccessKeyId",
        ];
        if known.contains(&key.as_str()) {
            Ok(Self(Some((key, value))))
        } else {
            Err(refuse("Unknown AttributeKey"))
        }
    }

    fn admits(&self, event: &Delivered) -> bool {
        let Some((key, value)) = &self.0 else { return true };
        match key.as_str() {
            "EventId" => event.event_id == *value,
            "EventName" => event.name == *value,
            "ReadOnly" => event.read_only.to_string() == *value,
            "Username" => event.username == *value,
            "EventSource" => event.source == *value,
            "AccessKeyId" => event.access_key == *value,
            "ResourceType" => event.resources.iter().any(|(kind, _)| kind == value),
            _ => event.resources.iter().any(|(_, name)| name == value),
        }
    }
}
