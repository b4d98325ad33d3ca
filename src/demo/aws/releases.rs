//! CodeDeploy's deployments and CloudFormation's stacks: what was released, resource by resource; and X-Ray's graph.
//!
//! Rule: both are read only here; a story writes them as they ended, and what lies after `now` is not
//! told yet.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::listing::page;
use super::wire::{Answer, ApiError, epoch_seconds, xml_text};
use super::world::{AwsWorld, Call, State};

/// Events a page of `DescribeStackEvents`.
const STACK_PAGE: usize = 100;

/// One deployment by CodeDeploy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CodeDeployment {
    /// `d-A1B2C3D4E`.
    pub id: String,
    pub application: String,
    pub group: String,
    /// `Succeeded`, `Failed`, `Stopped`.
    pub status: String,
    /// `user`, `autoscaling`, `codeDeployRollback`, `CodeDeploy`.
    pub creator: String,
    /// `Lambda`, `ECS` or `Server`.
    pub platform: String,
    pub created_at: Timestamp,
    pub completed_at: Timestamp,
    /// The deployment whose release this one brings back.
    pub rolls_back: Option<String>,
    pub error: Option<String>,
}

/// One event of a stack.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StackEvent {
    pub stack: String,
    pub at: Timestamp,
    pub logical_id: String,
    pub physical_id: String,
    /// `AWS::Lambda::Function`.
    pub kind: String,
    /// `UPDATE_COMPLETE`.
    pub status: String,
    pub reason: Option<String>,
}

#[derive(Debug, Default)]
pub struct Releases {
    deployments: Vec<CodeDeployment>,
    /// In order of time.
    events: BTreeMap<String, Vec<StackEvent>>,
    /// By ARN: key and value of the tags of resources.
    tags: Vec<(String, String, String)>,
    /// Who calls whom, as X-Ray has traced it.
    traced: Vec<(String, String)>,
}

/// Resources with one of the wanted values under the wanted key.
pub fn tagged(state: &State, call: &Call) -> Answer {
    let filter = call.input.pointer("/TagFilters/0").cloned().unwrap_or_default();
    let wanted =
        |value: &str| filter["Values"].as_array().is_some_and(|values| values.contains(&json!(value)));
    let tags = state.releases.tags.iter();
    let found = tags.filter(|(_, key, value)| filter["Key"] == json!(key) && wanted(value));
    let found: Vec<Value> = found.map(|(arn, ..)| json!({ "ResourceARN": arn })).collect();
    Answer::ok(json!({ "ResourceTagMappingList": found, "PaginationToken": "" }))
}

/// X-Ray's graph of what was traced: a node for each name, an edge for each call.
pub fn service_graph(state: &State) -> Answer {
    let traced = &state.releases.traced;
    let names: std::collections::BTreeSet<&String> =
        traced.iter().flat_map(|(caller, called)| [caller, called]).collect();
    let place = |name: &String| names.iter().position(|known| *known == name);
    let services: Vec<Value> = names
        .iter()
        .map(|name| {
            let edges = traced.iter().filter(|(caller, _)| caller == *name);
            let edges: Vec<Value> = edges.map(|(_, called)| json!({"ReferenceId": place(called)})).collect();
            json!({"ReferenceId": place(name), "Name": name, "Names": [name], "Type": "AWS::Lambda::Function",
                "Edges": edges})
        })
        .collect();
    Answer::ok(json!({ "Services": services }))
}

/// # Errors
/// CodeDeploy's own.
pub fn code_deploy(state: &mut State, operation: &str, call: &Call) -> Result<Answer, ApiError> {
    let known = || state.releases.deployments.iter().filter(|one| one.created_at <= call.at);
    match operation {
        "ListApplications" => {
            let names: std::collections::BTreeSet<&str> =
                known().map(|one| one.application.as_str()).collect();
            let names: Vec<Value> = names.into_iter().map(Value::from).collect();
            page(call, "applications", &names, 100)
        }
        "ListDeployments" => {
            let (application, group) = (call.text("applicationName"), call.text("deploymentGroupName"));
            if group.is_some() != application.is_some() {
                let message = "Application name and deployment group name go together";
                return Err(ApiError::new(400, "InvalidRequestException", message));
            }
            if let Some(wanted) = application
                && !known().any(|one| one.application == wanted)
            {
                let message = format!("No application found for name: {wanted}");
                return Err(ApiError::new(400, "ApplicationDoesNotExistException", message));
            }
            let edge =
                |key: &str| call.input.pointer(&format!("/createTimeRange/{key}")).and_then(Value::as_f64);
            let (start, end) = (edge("start").unwrap_or(f64::MIN), edge("end").unwrap_or(f64::MAX));
            let mut found: Vec<&CodeDeployment> = known()
                .filter(|one| application.is_none_or(|wanted| one.application == wanted))
                .filter(|one| group.is_none_or(|wanted| one.group == wanted))
                .filter(|one| (start..=end).contains(&epoch_seconds(one.created_at)))
                .collect();
            found.sort_by_key(|one| std::cmp::Reverse(one.created_at));
            let ids: Vec<Value> = found.into_iter().map(|one| one.id.clone().into()).collect();
            page(call, "deployments", &ids, 100)
        }
        "BatchGetDeployments" => {
            let wanted =
                call.input.get("deploymentIds").and_then(Value::as_array).cloned().unwrap_or_default();
            if wanted.is_empty() || wanted.len() > 25 {
                let message = "The maximum number of deployment ids is 25";
                return Err(ApiError::new(400, "BatchLimitExceededException", message));
            }
            let found: Vec<Value> =
                known().filter(|one| wanted.contains(&json!(one.id))).map(|one| show(one, call.at)).collect();
            Ok(Answer::ok(json!({"deploymentsInfo": found})))
        }
        other => Err(ApiError::new(404, "UnknownOperationException", other)),
    }
}

fn show(one: &CodeDeployment, now: Timestamp) -> Value {
    let over = one.completed_at <= now;
    let mut shown = json!({
        "deploymentId": one.id,
        "applicationName": one.application,
        "deploymentGroupName": one.group,
        "deploymentConfigName": "CodeDeployDefault.AllAtOnce",
        "status": if over { one.status.as_str() } else { "InProgress" },
        "createTime": epoch_seconds(one.created_at),
        "startTime": epoch_seconds(one.created_at),
        "creator": one.creator,
        "computePlatform": one.platform,
        "ignoreApplicationStopFailures": false,
        "rollbackInfo": one.rolls_back.as_ref().map(|id| json!({"rollbackTriggeringDeploymentId": id})),
        "errorInformation": one.error.as_ref().map(|text| json!({"code": "ALARM_ACTIVE", "message": text})),
    });
    if over {
        shown["completeTime"] = json!(epoch_seconds(one.completed_at));
    }
    shown
}

/// # Errors
/// CloudFormation's own.
pub fn stacks(state: &mut State, operation: &str, call: &Call) -> Result<Answer, ApiError> {
    match operation {
        "DescribeStackEvents" => {
            let name = call.text("StackName").unwrap_or_default();
            let stack = name.strip_prefix("arn:").and_then(|arn| arn.split('/').nth(1)).unwrap_or(name);
            let events = state.releases.events.get(stack).ok_or_else(|| {
                ApiError::new(400, "ValidationError", format!("Stack [{name}] does not exist"))
            })?;
            let known: Vec<&StackEvent> = events.iter().rev().filter(|event| event.at <= call.at).collect();
            let start = match call.text("NextToken") {
                None => 0,
                Some(token) => token
                    .parse::<usize>()
                    .ok()
                    .filter(|start| *start <= known.len())
                    .ok_or_else(|| ApiError::new(400, "ValidationError", "The NextToken is not valid"))?,
            };
            let end = (start + STACK_PAGE).min(known.len());
            let members: Vec<String> = known[start..end]
                .iter()
                .enumerate()
                .map(|(place, event)| member(state, event, known.len() - start - place))
                .collect();
            let members = members.concat();
            let token =
                if end < known.len() { format!("<NextToken>{end}</NextToken>") } else { String::new() };
            let body = format!("<StackEvents>{members}</StackEvents>{token}");
            Ok(Answer::Xml(envelope(operation, &body, &call.request_id)))
        }
        "DescribeStackResources" => {
            let wanted = call.text("PhysicalResourceId").unwrap_or_default();
            let stack = state.releases.events.iter().find(|(_, events)| {
                events.iter().any(|event| event.physical_id == wanted && event.at <= call.at)
            });
            let (stack, events) = stack.ok_or_else(|| {
                ApiError::new(400, "ValidationError", format!("Stack for {wanted} does not exist"))
            })?;
            let newest: BTreeMap<&str, &StackEvent> =
                events.iter().map(|event| (event.logical_id.as_str(), event)).collect();
            let members: Vec<String> = newest
                .values()
                .map(|event| {
                    format!(
                        "<member><StackName>{}</StackName><LogicalResourceId>{}</LogicalResourceId>\
                         <PhysicalResourceId>{}</PhysicalResourceId><ResourceType>{}</ResourceType>\
                         <Timestamp>{}</Timestamp><ResourceStatus>{}</ResourceStatus></member>",
                        xml_text(stack),
                        xml_text(&event.logical_id),
                        xml_text(&event.physical_id),
                        xml_text(&event.kind),
                        event.at,
                        event.status
                    )
                })
                .collect();
            let body = format!("<StackResources>{}</StackResources>", members.concat());
            Ok(Answer::Xml(envelope(operation, &body, &call.request_id)))
        }
        other => Err(ApiError::new(404, "InvalidAction", format!("Could not find operation {other}"))),
    }
}

fn member(state: &State, event: &StackEvent, number: usize) -> String {
    let reason = event.reason.as_ref().map_or_else(String::new, |reason| {
        format!("<ResourceStatusReason>{}</ResourceStatusReason>", xml_text(reason))
    });
    format!(
        "<member><StackId>arn:aws:cloudformation:{}:{}:stack/{stack}/1</StackId><EventId>{stack}-{number}</EventId>\
         <StackName>{stack}</StackName><LogicalResourceId>{}</LogicalResourceId>\
         <PhysicalResourceId>{}</PhysicalResourceId><ResourceType>{}</ResourceType><Timestamp>{}</Timestamp>\
         <ResourceStatus>{}</ResourceStatus>{reason}</member>",
        state.options.region,
        state.options.account,
        xml_text(&event.logical_id),
        xml_text(&event.physical_id),
        xml_text(&event.kind),
        event.at,
        event.status,
        stack = xml_text(&event.stack),
    )
}

fn envelope(operation: &str, body: &str, request_id: &str) -> String {
    format!(
        "<{operation}Response xmlns=\"http://cloudformation.amazonaws.com/doc/2010-05-15/\"><{operation}Result>{body}\
         </{operation}Result><ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{operation}Response>"
    )
}

impl AwsWorld {
    /// Writes a deployment by CodeDeploy.
    pub fn record_deployment(&self, deployment: CodeDeployment) {
        self.state().releases.deployments.push(deployment);
    }

    /// Tags a resource.
    pub fn tag(&self, arn: &str, key: &str, value: &str) {
        self.state().releases.tags.push((arn.to_owned(), key.to_owned(), value.to_owned()));
    }

    /// Writes that one service was traced as it called another.
    pub fn record_trace(&self, caller: &str, called: &str) {
        self.state().releases.traced.push((caller.to_owned(), called.to_owned()));
    }

    /// Writes an event of a stack.
    pub fn record_stack_event(&self, event: StackEvent) {
        let mut state = self.state();
        let events = state.releases.events.entry(event.stack.clone()).or_default();
        let place = events.partition_point(|other| other.at <= event.at);
        events.insert(place, event);
    }
}
