//! What the container service says about its own tasks: killed, not placed, image not there.
//!
//! The rule that is not obvious: the scheduler's messages are facts about the platform or about the
//! service's own tasks, never about a dependency, and they count from the onset on only where the hours
//! before had none of their kind: a service on spot capacity loses a task now and then.

use super::{Triggers, ZoneTrouble, lag};
use crate::analysis::ratios;
use crate::analysis::symptom::Symptom;
use crate::analysis::words;
use crate::domain::evidence::{Evidence, TrailRecord};

/// What a message of the scheduler is about (<https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-event-messages-list.html>
/// and its page of stopped-task errors).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A container was killed for its memory (exit 137).
    Memory,
    /// The provider has no capacity, took back what it lent, or retires the host.
    Capacity,
    /// No address, CPU or memory is left in the customer's own subnet or cluster.
    Room,
    /// The image could not be pulled.
    Image,
    /// Tasks fail their health checks.
    Health,
}

/// Messages of one kind since the onset.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    pub kind: Kind,
    pub text: String,
    pub count: usize,
    pub first: usize,
}

pub(super) fn kind(message: &str) -> Option<Kind> {
    let text = message.to_lowercase();
    let any = |phrases: &[&str]| phrases.iter().any(|phrase| text.contains(phrase));
    if any(&[
        "outofmemory",
        "out of memory",
        "due to memory usage",
        "exit code 137",
        "exit 137",
        "exitcode: 137",
    ]) {
        return Some(Kind::Memory);
    }
    if any(&["cannotpullcontainer", "cannot pull container", "image not found", "manifest unknown"]) {
        return Some(Kind::Image);
    }
    if any(&[
        "capacity is unavailable",
        "spotinterruption",
        "spot interruption",
        "spot capacity interruption",
        "insufficient capacity",
        "no spot capacity",
        "no capacity was available",
        "insufficientinstancecapacity",
        "task retirement",
        "host maintenance",
        "underlying infrastructure",
        "underlying host",
        "underlying hardware",
        "scheduled for retirement",
        "instance retirement",
    ]) || (any(&["spot task", "spot instance"]) && any(&["interrupt", "reclaim", "terminat"]))
    {
        return Some(Kind::Capacity);
    }
    if any(&[
        "no available ip",
        "not enough free ip",
        "insufficient free addresses",
        "resource:eni",
        "resource:memory",
        "resource:cpu",
        "resource:ports",
        "insufficient memory available",
        "insufficient cpu units available",
        "insufficient memory",
    ]) || (any(&["unable to place"]) && any(&["limit", "quota"]))
    {
        return Some(Kind::Room);
    }
    if any(&["health check", "is unhealthy", "unhealthy in"]) {
        return Some(Kind::Health);
    }
    None
}

/// How many tasks a message stops: `has stopped 4 running tasks`; one where it does not say.
fn stopped(message: &str) -> usize {
    let after = message.split_once("has stopped ").map(|(_, rest)| rest);
    after.and_then(|rest| rest.split(' ').next()?.parse().ok()).unwrap_or(1)
}

/// Whether CloudTrail's record of something that AWS did by itself tells of a host, a database or capacity that it
/// took away: such records name no caller, and nobody here can undo them.
pub fn is_of_the_provider(record: &TrailRecord) -> bool {
    const TAKES: &[&str] =
        &["retire", "maintenance", "interrupt", "reclaim", "failover", "evacuat", "rebalance", "patching"];
    let by_itself =
        record.raw.get("eventType").and_then(serde_json::Value::as_str) == Some("AwsServiceEvent");
    let details = record.raw.get("serviceEventDetails").map(ToString::to_string).unwrap_or_default();
    let said = format!("{} {details}", record.name).to_lowercase();
    by_itself && TAKES.iter().any(|word| said.contains(word))
}

/// The same of the service's own resources, around the onset.
fn recorded(found: &mut Triggers, symptom: &Symptom, evidence: &Evidence) {
    let scope = &evidence.scope;
    let mut own: Vec<String> = vec![scope.service.to_lowercase()];
    own.extend(scope.resources.ecs.iter().map(|ecs| ecs.service.to_lowercase()));
    own.extend(scope.resources.lambda.iter().map(|name| name.to_lowercase()));
    for record in evidence.trail.iter().flatten().filter(|record| is_of_the_provider(record)) {
        let details = record.raw.get("serviceEventDetails").map(ToString::to_string).unwrap_or_default();
        let named = own.iter().any(|name| words::contains_token(&details.to_lowercase(), name));
        let Some(first) = symptom.grid.index(record.at).filter(|_| named) else { continue };
        let words = words::split(&record.name).join(" ");
        let text = format!("{} of {}", words, scope.service);
        // That AWS writes it down is worth two messages of the scheduler.
        found.told.push(Told { kind: Kind::Capacity, text, count: 2, first });
    }
}

/// Messages around the onset, one entry for each kind that the hours before did not know.
pub(super) fn read(found: &mut Triggers, symptom: &Symptom, evidence: &Evidence) {
    if symptom.primary.is_none() {
        return;
    }
    let grid = symptom.grid;
    recorded(found, symptom, evidence);
    let own = &evidence.scope.resources.ecs;
    let from = symptom.first.saturating_sub(grid.periods(20));
    for service in &evidence.ecs_services {
        if !own.iter().any(|wanted| wanted.cluster == service.cluster && wanted.service == service.name) {
            continue;
        }
        for (at, message) in &service.events {
            let (Some(kind), Some(index)) = (kind(message), grid.index(*at)) else { continue };
            match found.told.iter_mut().find(|told| told.kind == kind) {
                Some(told) => {
                    told.count += stopped(message);
                    if index < told.first {
                        told.first = index;
                        told.text.clone_from(message);
                    }
                }
                None => {
                    let count = stopped(message);
                    found.told.push(Told { kind, text: message.clone(), count, first: index });
                }
            }
        }
    }
    // What went on long before is a habit of this service; what began after the onset, a consequence.
    let late = symptom.last + grid.periods(10);
    found.told.retain(|told| told.first >= from && told.first <= late);
    found.told.sort_by_key(|told| (told.first, told.count));
    let Some(told) = found.told.iter().find(|told| told.kind == Kind::Capacity) else { return };
    // A single interruption is replaced within a minute; placements that fail again and again are not.
    let size = if told.count >= 2 { 1.0 } else { 0.2 };
    let first = told.first.min(symptom.last);
    let rate = size * ratios::ZONE_HURTS * lag(symptom, first.min(symptom.first), first.max(symptom.first));
    let known =
        found.zone.get_or_insert(ZoneTrouble { peers: Vec::new(), of: 0, text: None, zone: None, rate: 0.0 });
    known.rate = known.rate.max(rate);
    known.text = Some(told.text.clone());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_the_scheduler_tell_whose_trouble_it_is() {
        for (message, expected) in [
            (
                "(service web) has stopped 1 running tasks: (task 1). OutOfMemoryError: Container killed",
                Some(Kind::Memory),
            ),
            (
                "(service web) was unable to place a task. Reason: Capacity is unavailable at this time.",
                Some(Kind::Capacity),
            ),
            (
                "(service web) was unable to place a task because no container instance met all of its requirements. The closest matching container-instance 1 has insufficient memory available.",
                Some(Kind::Room),
            ),
            (
                "(service web) (task 1) failed to start. CannotPullContainerError: pull image manifest has been retried",
                Some(Kind::Image),
            ),
            (
                "(service web) (port 80) is unhealthy in (target-group arn) due to (reason Health checks failed)",
                Some(Kind::Health),
            ),
            (
                "(service web) has stopped 4 running tasks: (task 1) reason: Your Spot Task was interrupted.",
                Some(Kind::Capacity),
            ),
            ("(service web) has stopped 2 running tasks: (task 1) (task retirement).", Some(Kind::Capacity)),
            (
                "(service web) was unable to place a task because no capacity was available.",
                Some(Kind::Capacity),
            ),
            ("(service web) has stopped 2 running tasks: (task 1).", None),
            ("(service spot-prices) has started 1 tasks: (task 1).", None),
            ("(service web) has reached a steady state.", None),
            ("(service web) has started 2 tasks: (task 1).", None),
        ] {
            assert_eq!(kind(message), expected, "{message}");
        }
    }
}
