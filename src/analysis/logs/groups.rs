//! Whose lines they are: those of the groups that the investigation names, and of groups that bear a name of the
//! service's own.
//!
//! The rule that is not obvious: only where lines of a named group are there. Else the names are wrong, and whoever
//! wrote the bundle meant the lines that it holds.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::analysis::words;
use crate::domain::evidence::{Evidence, Gap, LogEvent, Scope};

/// The evidence without lines of groups that are somebody else's; a gap names them.
pub fn own(evidence: &Evidence) -> Cow<'_, Evidence> {
    let Some(events) = &evidence.logs else { return Cow::Borrowed(evidence) };
    let scope = &evidence.scope;
    let named = |event: &LogEvent| scope.resources.log_groups.iter().any(|group| **group == *event.group);
    let mut others: BTreeSet<&str> = BTreeSet::new();
    // Lines of a group stand together and share its name: it is looked at once for many.
    let mut last: Option<&Arc<str>> = None;
    for event in events {
        if last.is_none_or(|last| !Arc::ptr_eq(last, &event.group)) {
            last = Some(&event.group);
            if !is_own(&event.group, scope) {
                others.insert(&event.group);
            }
        }
    }
    if others.is_empty() || !events.iter().any(named) {
        return Cow::Borrowed(evidence);
    }
    let kept: Vec<LogEvent> =
        events.iter().filter(|event| !others.contains(&*event.group)).cloned().collect();
    let lines = events.len() - kept.len();
    let names = others.iter().copied().collect::<Vec<_>>().join(", ");
    let reason = format!("{lines} lines of {names} were left out: they are none of {}'s.", scope.service);
    let mut evidence = Evidence { logs: Some(kept), ..evidence.clone() };
    evidence.gaps.push(Gap::new("logs", reason));
    Cow::Owned(evidence)
}

fn is_own(group: &str, scope: &Scope) -> bool {
    let resources = &scope.resources;
    if group.is_empty() || resources.log_groups.iter().any(|named| named == group) {
        return true;
    }
    let group = group.to_lowercase();
    let services = resources.ecs.iter().map(|ecs| &ecs.service);
    let mut names = std::iter::once(&scope.service).chain(&resources.lambda).chain(services);
    names.any(|name| words::holds_part(&group, &name.to_lowercase()))
}
