//! What the container service says about its own tasks: killed, not placed, image not there.
//!
//! The rule that is not obvious: the scheduler's messages are facts about the platform or about the
//! service's own tasks, never about a dependency, and they count from the onset on only where the hours
//! before had none of their kind: a service on spot capacity loses a task now and then.

use super::{Triggers, ZoneTrouble, lag};
use crate::analysis::ratios;
use crate::analysis::symptom::Symptom;
use crate::domain::evidence::Evidence;

/// What a message of the scheduler is about (<https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-event-messages-list.html>
/// and its page of stopped-task errors).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A container was killed for its memory (exit 137).
    Memory,
    /// The provider has no capacity, or took back what it lent.
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
        "insufficientinstancecapacity",
    ]) {
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

/// Messages around the onset, one entry for each kind that the hours before did not know.
pub(super) fn read(found: &mut Triggers, symptom: &Symptom, evidence: &Evidence) {
    if symptom.primary.is_none() {
        return;
    }
    let grid = symptom.grid;
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
                    told.count += 1;
                    if index < told.first {
                        told.first = index;
                        told.text.clone_from(message);
                    }
                }
                None => found.told.push(Told { kind, text: message.clone(), count: 1, first: index }),
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
            ("(service web) has reached a steady state.", None),
            ("(service web) has started 2 tasks: (task 1).", None),
        ] {
            assert_eq!(kind(message), expected, "{message}");
        }
    }
}
