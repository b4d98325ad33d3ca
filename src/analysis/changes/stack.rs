//! CloudFormation: a stack's operation and what it did are one change.
//!
//! The rule that is not obvious: the stack's call asks, its children act. Where children are seen, each
//! carries the stack's event too, since any of them names the change; the stack itself remains a
//! change only where none is seen.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;

use super::call::Call;
use super::relation::is_part;
use super::{DEPLOYMENT_GAP, World};
use crate::domain::change::{Change, ChangeKind, Effect};

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
            // CloudFormation acts as who asked, or with a role of the stack's own.
            let same = child.in_stack_session() || child.record.actor == operation.record.actor;
            same && after >= SignedDuration::ZERO && after <= OPERATION
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
    let acted: BTreeSet<String> = acted.into_iter().map(str::to_owned).chain(join_by_name(found)).collect();
    found.retain(|change| {
        change.kind != ChangeKind::Stack || !change.event_ids.iter().any(|id| acted.contains(id))
    });
}

/// Joins operations whose children do not say that a stack made them: the same hand, right after, on
/// what the stack is named for. Tells the events of the operations that were joined.
fn join_by_name(found: &mut [Change]) -> Vec<String> {
    let operations: Vec<(usize, String)> = found
        .iter()
        .enumerate()
        .filter(|(_, change)| {
            change.kind == ChangeKind::Stack && matches!(change.effect, Effect::Took { .. })
        })
        .filter_map(|(at, change)| Some((at, change.event_ids.first()?.clone())))
        .collect();
    let mut joined = Vec::new();
    for (operation, id) in operations {
        let Some(stack) = found.get(operation).cloned() else { continue };
        for change in found.iter_mut() {
            let after = change.at.duration_since(stack.at);
            let own = change.resource.rsplit('/').next().unwrap_or(&change.resource).to_lowercase();
            if change.kind != ChangeKind::Stack
                && !own.is_empty()
                && after >= SignedDuration::ZERO
                && after <= DEPLOYMENT_GAP
                && change.actor.is_some()
                && change.actor == stack.actor
                && is_part(&stack.resource.to_lowercase(), &own)
                && matches!(change.effect, Effect::Took { .. })
                && !change.event_ids.contains(&id)
            {
                change.event_ids.push(id.clone());
                joined.push(id.clone());
            }
        }
    }
    joined
}
