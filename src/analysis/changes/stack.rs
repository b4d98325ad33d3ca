//! CloudFormation: a stack's operation and what it did are one change.
//!
//! The rule that is not obvious: the stack's call asks, its children act. Where children are seen, each
//! carries the stack's event too, since any of them names the change; the stack itself remains a
//! change only where none is seen.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp};

use super::call::Call;
use super::{DEPLOYMENT_GAP, World};
use crate::domain::change::{Change, ChangeKind, Effect};
use crate::domain::evidence::Actor;

/// Children of one operation come within this time.
const OPERATION: SignedDuration = SignedDuration::from_mins(60);

pub(super) fn join(found: &mut Vec<Change>, world: &World<'_>) {
    let children: Vec<&Call<'_>> = world
        .calls
        .iter()
        .filter(|call| call.by_stack() && call.service != "cloudformation" && !call.failed())
        .collect();
    let operations = Operations::new(world.calls.iter().filter(|call| {
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
    }));
    let mut holding: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, change) in found.iter().enumerate().filter(|(_, change)| change.kind != ChangeKind::Stack) {
        for id in &change.event_ids {
            holding.entry(id.clone()).or_default().push(at);
        }
    }
    let mut acted: BTreeSet<&str> = BTreeSet::new();
    for child in children {
        // The nearest operation before it: two that overlap cannot be told apart.
        let Some(operation) = operations.of(child) else { continue };
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

/// Operations in order of time, and the same by who asked for them.
struct Operations<'w, 'a> {
    all: Vec<&'w Call<'a>>,
    by_actor: HashMap<&'a Actor, Vec<&'w Call<'a>>>,
}

impl<'w, 'a> Operations<'w, 'a> {
    fn new(operations: impl Iterator<Item = &'w Call<'a>>) -> Self {
        let all: Vec<&Call<'_>> = operations.collect();
        let mut by_actor: HashMap<&Actor, Vec<&Call<'_>>> = HashMap::new();
        for operation in &all {
            by_actor.entry(&operation.record.actor).or_default().push(*operation);
        }
        Self { all, by_actor }
    }

    /// The last operation before a call that may have made it.
    fn of(&self, child: &Call<'_>) -> Option<&'w Call<'a>> {
        // CloudFormation acts as who asked, or with a role of the stack's own.
        let candidates =
            if child.in_stack_session() { &self.all } else { self.by_actor.get(&child.record.actor)? };
        let before = candidates.partition_point(|operation| operation.record.at <= child.record.at);
        let last = before.checked_sub(1).and_then(|last| candidates.get(last))?;
        (child.record.at.duration_since(last.record.at) <= OPERATION).then_some(*last)
    }
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
    // By their own name and who made them, in order of time.
    let mut candidates: HashMap<(String, Actor), Vec<(Timestamp, usize)>> = HashMap::new();
    for (at, change) in found.iter().enumerate() {
        let own = change.resource.rsplit('/').next().unwrap_or(&change.resource).to_lowercase();
        if change.kind != ChangeKind::Stack
            && !own.is_empty()
            && matches!(change.effect, Effect::Took { .. })
            && let Some(actor) = &change.actor
        {
            candidates.entry((own, actor.clone())).or_default().push((change.at, at));
        }
    }
    for same in candidates.values_mut() {
        same.sort_unstable();
    }
    let mut joined = Vec::new();
    for (operation, id) in operations {
        let Some(stack) = found.get(operation) else { continue };
        let (asked, Some(actor)) = (stack.at, stack.actor.clone()) else { continue };
        for part in whole_parts(&stack.resource.to_lowercase()) {
            let Some(same) = candidates.get(&(part, actor.clone())) else { continue };
            let from = same.partition_point(|(at, _)| *at < asked);
            let soon = same.get(from..).unwrap_or_default();
            for (_, at) in soon.iter().take_while(|(at, _)| at.duration_since(asked) <= DEPLOYMENT_GAP) {
                if let Some(change) = found.get_mut(*at)
                    && !change.event_ids.contains(&id)
                {
                    change.event_ids.push(id.clone());
                    joined.push(id.clone());
                }
            }
        }
    }
    joined
}

/// Every run of whole parts of a name: of `shop-checkout-prod` also `checkout` and `shop-checkout`.
fn whole_parts(name: &str) -> BTreeSet<String> {
    /// A stack's name has at most 128 letters, and hardly more parts than these.
    const PARTS: usize = 24;
    let is_start = |at: usize| {
        let free = |letter: Option<char>| letter.is_none_or(|letter| !letter.is_alphanumeric());
        let (before, after) = name.split_at(at);
        free(before.chars().next_back()) || free(after.chars().next())
    };
    let edges: Vec<usize> = name
        .char_indices()
        .map(|(at, _)| at)
        .chain([name.len()])
        .filter(|at| is_start(*at))
        .take(2 * PARTS)
        .collect();
    let mut parts = BTreeSet::new();
    for (place, from) in edges.iter().enumerate() {
        for until in edges.get(place + 1..).unwrap_or_default() {
            parts.extend(name.get(*from..*until).map(str::to_owned));
        }
    }
    parts
}
