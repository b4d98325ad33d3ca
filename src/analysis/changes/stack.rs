//! CloudFormation: a stack's operation and what it did are one change.
//!
//! The rule that is not obvious: the stack's call asks, its children act. Where children are seen, each
//! carries the stack's event too, since any of them names the change; the stack itself remains a
//! change only where none is seen.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;

use super::World;
use super::call::Call;
use crate::domain::change::{Change, ChangeKind};

/// Children of one operation come within this time.
const OPERATION: SignedDuration = SignedDuration::from_mins(60);

pub(super) fn join(found: &mut Vec<Change>, world: &World<'_>) {
    let children: Vec<&Call<'_>> = world
        .calls
        .iter()
        .filter(|call| call.by_stack() && call.service != "cloudformation" && !call.failed())
        .collect();
    let operations: Vec<&Call<'_>> = world
        .calls
        .iter()
        .filter(|call| {
            call.service == "cloudformation"
                && !call.failed()
                && matches!(
                    call.verb,
                    "CreateStack"
                        | "UpdateStack"
                        | "ExecuteChangeSet"
                        | "DeleteStack"
                        | "RollbackStack"
                        | "ContinueUpdateRollback"
                        | "CancelUpdateStack"
                )
        })
        .collect();
    let mut holding: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, change) in found.iter().enumerate().filter(|(_, change)| change.kind != ChangeKind::Stack) {
        for id in &change.event_ids {
            holding.entry(id.clone()).or_default().push(at);
        }
    }
    let mut acted: BTreeSet<&str> = BTreeSet::new();
    for child in children {
        // The nearest operation before it: two that overlap cannot be told apart.
        let Some(operation) = operations.iter().rev().find(|operation| {
            let after = child.record.at.duration_since(operation.record.at);
            after >= SignedDuration::ZERO && after <= OPERATION
        }) else {
            continue;
        };
        let id = &operation.record.event_id;
        for at in holding.get(&child.record.event_id).into_iter().flatten() {
            if let Some(change) = found.get_mut(*at)
                && !change.event_ids.contains(id)
            {
                change.event_ids.push(id.clone());
                // Who asked for the stack is who made the change; the stack's role only carried it out.
                change.actor = super::actor(operation).or(change.actor.take());
                acted.insert(id);
            }
        }
    }
    found.retain(|change| {
        change.kind != ChangeKind::Stack || !change.event_ids.iter().any(|id| acted.contains(id.as_str()))
    });
}
