//! Which services a service calls, by X-Ray's service graph.
//!
//! Rule: it is asked only where the configuration names none, and what it shows is names as X-Ray has them: a function,
//! a table, a host. A service that is not traced has no node, which says nothing about what it calls.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::FutureExt as _;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::answer::{list, text};
use super::clients::Clients;
use super::errors::ReadError;
use super::sharing::aligned;
use super::signed::{Asked, Protocol};

const ACTION: &str = "xray:GetServiceGraph";
/// Calls of the hour before are enough to know whom a service calls; X-Ray answers for six at most.
const WINDOW: Duration = Duration::from_hours(1);
/// Dependencies that are read: a service that calls more is read without the rest.
const CALLED: usize = 12;

/// The services that are called by one of these names around a moment.
pub(super) async fn called(
    clients: &Clients,
    names: &[String],
    at: Timestamp,
    deadline: Instant,
) -> Result<Vec<String>, ReadError> {
    let (start, end) = aligned(at - WINDOW, at);
    let ask = || {
        let clients = clients.clone();
        async move {
            let seconds = |at: Timestamp| at.as_second();
            let body = json!({"StartTime": seconds(start), "EndTime": seconds(end)}).to_string();
            let asked = question(body);
            let mut answer = clients.signed.json(&asked, deadline).await?;
            Ok((list(&mut answer, "Services"), true))
        }
        .boxed()
    };
    let services = clients.shared.graphs.one(format!("{start} {end}"), ACTION, deadline, ask).await?;
    Ok(names_called(&services, names))
}

/// The call itself.
pub(super) fn question(body: String) -> Asked {
    Asked { service: "xray", action: ACTION, protocol: Protocol::RestJson("/ServiceGraph"), body }
}

fn names_called(services: &[Value], names: &[String]) -> Vec<String> {
    let is_own = |service: &Value| {
        let called = service.get("Names").and_then(Value::as_array);
        let mut called =
            called.into_iter().flatten().filter_map(Value::as_str).chain([text(service, "Name")]);
        called.any(|name| names.iter().any(|own| own.eq_ignore_ascii_case(name)))
    };
    let id = |value: &Value| value.get("ReferenceId").and_then(Value::as_i64);
    let edges = services.iter().filter(|service| is_own(service)).flat_map(|service| {
        service.get("Edges").and_then(Value::as_array).into_iter().flatten().filter_map(id)
    });
    let called: BTreeSet<i64> = edges.collect();
    // A function is two nodes, of the service Lambda and of itself: the one calls the other.
    let others = services.iter().filter(|one| id(one).is_some_and(|id| called.contains(&id)) && !is_own(one));
    let found: BTreeSet<String> = others
        .filter(|one| text(one, "Type") != "client")
        .map(|one| text(one, "Name"))
        // A host goes by its first label, as services do.
        .map(|name| name.split('.').next().unwrap_or(name).to_owned())
        .filter(|name| !name.is_empty())
        .collect();
    found.into_iter().take(CALLED).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_the_services_nodes_have_edges_to_are_called() {
        let node = |id: i64, name: &str, kind: &str, edges: &[i64]| {
            let edges: Vec<Value> = edges.iter().map(|id| json!({ "ReferenceId": id })).collect();
            json!({"ReferenceId": id, "Name": name, "Names": [name], "Type": kind, "Edges": edges})
        };
        let graph = [
            node(0, "checkout", "client", &[1]),
            node(1, "checkout", "AWS::Lambda", &[2]),
            node(2, "checkout", "AWS::Lambda::Function", &[3, 4, 5]),
            node(3, "payments.internal.example", "remote", &[]),
            node(4, "orders", "AWS::DynamoDB::Table", &[]),
            node(5, "checkout", "client", &[]),
            node(6, "search", "AWS::Lambda::Function", &[4, 2]),
        ];
        assert_eq!(names_called(&graph, &["Checkout".to_owned()]), ["orders", "payments"]);
        assert!(names_called(&graph, &["nobody".to_owned()]).is_empty());
    }
}
