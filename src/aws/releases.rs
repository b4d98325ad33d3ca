//! Releases by CodeDeploy and CloudFormation: the account's newest deployments, and the events of the stacks that
//! hold the service's resources.
//!
//! Rule: CloudTrail tells who asked for a release and is late; these tell at once how it went and what it touched. An
//! account that uses neither says so in one call each, and a resource that is in no stack is no gap.

use std::fmt::Write as _;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::answer::list;
use super::clients::Clients;
use super::errors::ReadError;
use super::sharing::aligned;
use super::signed::{Asked, Protocol};
use crate::domain::evidence::Gap;

const LIST: &str = "CodeDeploy_20141006.ListDeployments";
const GET: &str = "CodeDeploy_20141006.BatchGetDeployments";
/// Deployments that are read, newest first; CodeDeploy tells of 25 a call.
const DEPLOYMENTS: usize = 50;
const DEPLOYMENTS_A_CALL: usize = 25;
/// Resources whose stack is asked for: those of one service are in one or two.
const RESOURCES: usize = 6;
/// Pages of a stack's events, a hundred each, newest first.
const PAGES: usize = 3;

/// What was read, in the shapes that AWS's command line tells it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ReleasesRead {
    /// Elements of `deploymentsInfo`; `None` where they could not be read.
    pub deployments: Option<Vec<Value>>,
    /// Elements of `StackEvents`; `None` where they could not be read.
    pub stack_events: Option<Vec<Value>>,
    pub gaps: Vec<Gap>,
}

/// Reads what was released since a moment. `resources` are functions by name and ECS services by ARN.
pub async fn read(
    clients: &Clients,
    resources: &[String],
    (since, now): (Timestamp, Timestamp),
    deadline: Instant,
) -> ReleasesRead {
    let (deployments, stacks) = tokio::join!(
        async {
            if !clients.reads("codedeploy") {
                return Ok(Vec::new());
            }
            shared_deployments(clients, since, now, deadline).await
        },
        async {
            if !clients.reads("cloudformation") {
                return Ok(Vec::new());
            }
            stack_events(clients, resources, since, deadline).await
        }
    );
    let mut read = ReleasesRead::default();
    match deployments {
        Ok(deployments) => read.deployments = Some(deployments),
        Err(error) => {
            read.gaps.push(error.gap("codedeploy", "which deployments there were"));
        }
    }
    match stacks {
        Ok(events) => read.stack_events = Some(events),
        Err(error) => {
            read.gaps.push(error.gap("cloudformation", "what the service's stack did"));
        }
    }
    read
}

/// The account's deployments are the same for every incident of the same minutes.
async fn shared_deployments(
    clients: &Clients,
    since: Timestamp,
    now: Timestamp,
    deadline: Instant,
) -> Result<Vec<Value>, ReadError> {
    let (since, now) = aligned(since, now);
    let ask = || {
        let clients = clients.clone();
        async move { Ok((deployments(&clients, since, now, deadline).await?, true)) }.boxed()
    };
    let key = format!("{since} {now}");
    clients.shared.deployments.one(key, "codedeploy:ListDeployments", deadline, ask).await
}

async fn deployments(
    clients: &Clients,
    since: Timestamp,
    now: Timestamp,
    deadline: Instant,
) -> Result<Vec<Value>, ReadError> {
    let asked = |action, target, input: &Value| Asked {
        service: "codedeploy",
        action,
        protocol: Protocol::AwsJson(target),
        body: input.to_string(),
    };
    let seconds = |at: Timestamp| at.as_millisecond() as f64 / 1000.0;
    let input = json!({"createTimeRange": {"start": seconds(since), "end": seconds(now)}});
    let list_them = asked("codedeploy:ListDeployments", LIST, &input);
    let mut listed = clients.signed.json(&list_them, deadline).await?;
    let ids = list(&mut listed, "deployments");
    let ids: Vec<&Value> = ids.iter().take(DEPLOYMENTS).collect();
    let calls = ids.chunks(DEPLOYMENTS_A_CALL).map(|ids| async move {
        let input = json!({ "deploymentIds": ids });
        let get = asked("codedeploy:BatchGetDeployments", GET, &input);
        let mut answer = clients.signed.json(&get, deadline).await?;
        Ok::<_, ReadError>(list(&mut answer, "deploymentsInfo"))
    });
    let mut found = Vec::new();
    for answer in futures::future::join_all(calls).await {
        found.extend(answer?);
    }
    Ok(found)
}

/// The events since a moment of the stacks that some resources are in.
async fn stack_events(
    clients: &Clients,
    resources: &[String],
    since: Timestamp,
    deadline: Instant,
) -> Result<Vec<Value>, ReadError> {
    let asked = resources.iter().take(RESOURCES).map(|resource| stack_of(clients, resource, deadline));
    let mut stacks: Vec<String> = Vec::new();
    for answer in futures::future::join_all(asked).await {
        if let Some(stack) = answer?.filter(|stack| !stacks.contains(stack)) {
            stacks.push(stack);
        }
    }
    let asked = stacks.iter().map(|stack| events_of(clients, stack, since, deadline));
    let mut found = Vec::new();
    for answer in futures::future::join_all(asked).await {
        found.extend(answer?);
    }
    Ok(found)
}

/// Each of these reads with something that does not exist.
pub(super) fn trials<'a>(
    clients: &'a Clients,
    nothing: &'a str,
    deadline: Instant,
) -> [(&'static str, BoxFuture<'a, Result<(), ReadError>>); 4] {
    let json = |action, target, input: Value| {
        let asked = Asked {
            service: "codedeploy",
            action,
            protocol: Protocol::AwsJson(target),
            body: input.to_string(),
        };
        (action, async move { clients.signed.json(&asked, deadline).await.map(drop) }.boxed())
    };
    let xml = |action, operation, parameter| {
        let asked = query(action, operation, &[(parameter, nothing)]);
        (action, async move { clients.signed.xml(&asked, deadline).await.map(drop) }.boxed())
    };
    [
        json(
            "codedeploy:ListDeployments",
            LIST,
            json!({"applicationName": nothing, "deploymentGroupName": nothing}),
        ),
        json("codedeploy:BatchGetDeployments", GET, json!({"deploymentIds": ["d-000000000"]})),
        xml("cloudformation:DescribeStackResources", "DescribeStackResources", "PhysicalResourceId"),
        xml("cloudformation:DescribeStackEvents", "DescribeStackEvents", "StackName"),
    ]
}

fn query(action: &'static str, operation: &str, parameters: &[(&str, &str)]) -> Asked {
    let mut body = format!("Action={operation}&Version=2010-05-15");
    for (name, value) in parameters {
        let value: String = form_urlencoded::byte_serialize(value.as_bytes()).collect();
        let _ = write!(body, "&{name}={value}");
    }
    Asked { service: "cloudformation", action, protocol: Protocol::Query, body }
}

/// The stack that a resource is in, if it is in one.
async fn stack_of(clients: &Clients, resource: &str, deadline: Instant) -> Result<Option<String>, ReadError> {
    const ACTION: &str = "cloudformation:DescribeStackResources";
    let asked = query(ACTION, "DescribeStackResources", &[("PhysicalResourceId", resource)]);
    match clients.signed.xml(&asked, deadline).await {
        Ok(xml) => Ok(members(&xml, "StackResources", ACTION)?
            .into_iter()
            .find_map(|one| one.get("StackName").and_then(Value::as_str).map(str::to_owned))),
        // `Stack for checkout does not exist`.
        Err(ReadError::Refused { code, .. }) if code == "ValidationError" => Ok(None),
        Err(error) => Err(error),
    }
}

async fn events_of(
    clients: &Clients,
    stack: &str,
    since: Timestamp,
    deadline: Instant,
) -> Result<Vec<Value>, ReadError> {
    const ACTION: &str = "cloudformation:DescribeStackEvents";
    let at = |event: &Value| event["Timestamp"].as_str().and_then(|text| text.parse::<Timestamp>().ok());
    let (mut found, mut token) = (Vec::new(), None::<String>);
    for _ in 0..PAGES {
        let mut parameters = vec![("StackName", stack)];
        parameters.extend(token.as_deref().map(|token| ("NextToken", token)));
        let xml = clients.signed.xml(&query(ACTION, "DescribeStackEvents", &parameters), deadline).await?;
        let page = members(&xml, "StackEvents", ACTION)?;
        // The newest come first: a page that reaches further back than what is wanted is the last.
        let reached = page.last().and_then(at).is_some_and(|at| at < since);
        found.extend(page.into_iter().filter(|event| at(event).is_none_or(|at| at >= since)));
        token = next_token(&xml);
        if token.is_none() || reached {
            break;
        }
    }
    Ok(found)
}

/// The members of a list in an answer, each with its scalar fields.
fn members(xml: &str, list: &str, action: &str) -> Result<Vec<Value>, ReadError> {
    let document = roxmltree::Document::parse(xml).map_err(|error| ReadError::Unreadable {
        action: action.to_owned(),
        message: format!("it is not XML: {error}"),
    })?;
    let found = document.descendants().find(|node| node.tag_name().name() == list);
    let members = found.into_iter().flat_map(|list| list.children().filter(roxmltree::Node::is_element));
    let read = members.map(|member| {
        let fields = member.children().filter(roxmltree::Node::is_element);
        let fields = fields
            .map(|field| (field.tag_name().name().to_owned(), Value::from(field.text().unwrap_or_default())));
        Value::Object(fields.collect())
    });
    Ok(read.collect())
}

fn next_token(xml: &str) -> Option<String> {
    let document = roxmltree::Document::parse(xml).ok()?;
    let node = document.descendants().find(|node| node.tag_name().name() == "NextToken")?;
    node.text().filter(|token| !token.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_an_answer_are_read_with_their_fields() {
        let xml = "<R xmlns=\"http://cloudformation.amazonaws.com/doc/2010-05-15/\"><X><StackEvents>\
            <member><StackName>shop</StackName><ResourceStatus>UPDATE_COMPLETE</ResourceStatus></member>\
            <member><StackName>a &amp; b</StackName></member></StackEvents><NextToken>7</NextToken></X></R>";
        let read = members(xml, "StackEvents", "x").unwrap();
        assert_eq!(read[0], json!({"StackName": "shop", "ResourceStatus": "UPDATE_COMPLETE"}));
        assert_eq!(read[1]["StackName"], "a & b");
        assert_eq!(next_token(xml).as_deref(), Some("7"));
        assert!(members("half <", "StackEvents", "x").is_err());
    }

    #[test]
    fn a_resource_is_written_so_that_the_form_keeps_it_whole() {
        let asked = query("a:B", "DescribeStackResources", &[("PhysicalResourceId", "a&b=c d")]);
        assert_eq!(
            asked.body,
            "Action=DescribeStackResources&Version=2010-05-15&PhysicalResourceId=a%26b%3Dc+d"
        );
    }
}
