//! Reserved concurrency of functions.
//!
//! The rule that is not obvious: a call tells only the new limit; the one before it is known only from
//! an earlier call or from what the bot recorded, and «nobody had set one» is not the same as «nothing tells».

use super::super::call::Call;
use super::super::{World, of_call};
use crate::domain::change::{Change, ChangeKind, KeyChange};
use crate::domain::rollback::RollbackTarget;
use crate::domain::snapshot::{self, LIMIT as KEY, UNRESERVED as NONE};

/// Changes of reserved concurrency, each against the one before.
pub(super) fn changes(world: &World<'_>, name: &str, calls: &[Call<'_>]) -> Vec<Change> {
    let mut told: Option<Option<i64>> = None;
    let mut found: Vec<Change> = Vec::new();
    for call in calls {
        let mut change = of_call(ChangeKind::LambdaConcurrency, name.to_owned(), call);
        change.relation = world.owners.of_service(name);
        if !call.failed() {
            let after = match call.verb {
                "DeleteFunctionConcurrency" => Some(None),
                _ => {
                    call.text(&["reservedConcurrentExecutions"]).and_then(|text| text.parse().ok()).map(Some)
                }
            };
            let known = told.or_else(|| {
                let seen = snapshot::around(
                    &world.evidence.snapshots,
                    &snapshot::concurrency(name),
                    (None, call.record.at, None),
                );
                let value = seen?.0.values.get(KEY)?.shown()?;
                if value == NONE { Some(None) } else { value.parse().ok().map(Some) }
            });
            let shown = |value: Option<Option<i64>>| {
                value.map(|value| value.map_or_else(|| NONE.to_owned(), |number| number.to_string()))
            };
            change.keys = vec![KeyChange { key: KEY.to_owned(), before: shown(known), after: shown(after) }];
            change.no_op = known.is_some() && known == after;
            change.undo = match (known, after) {
                (Some(before), Some(after)) => Ok(RollbackTarget::LambdaConcurrency {
                    function: name.to_owned(),
                    from: after,
                    to: before,
                }),
                _ => Err("nothing shows what the limit was before".to_owned()),
            };
            if let Some(earlier) = found.last_mut().filter(|earlier| earlier.undo.is_ok()) {
                earlier.undo = Err("the limit was changed again since".to_owned());
            }
            told = after;
        }
        found.push(change);
    }
    found
}
