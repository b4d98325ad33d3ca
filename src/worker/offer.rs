//! Whether approval is asked for: the plan that was tried without effect, or why there is no button.
//!
//! The rule that is not obvious: the report says what would be right to do and is derived from stored
//! evidence alone; whether it can be done now is looked up here, and kept beside the report.

use std::time::Duration;

use tokio::time::Instant;

use super::Bench;
use crate::analysis::{Investigation, redact};
use crate::aws::rollback;
use crate::domain::change::Relation;
use crate::domain::machine;
use crate::domain::plan::{Plan, expected_effect};
use crate::domain::report::ActionKind;
use crate::domain::rollback::RollbackTarget;

/// A handful of reads.
const TRY_WITHIN: Duration = Duration::from_secs(10);

pub enum Offer {
    Plan(Box<Plan>),
    /// No button; the reason where a rollback is recommended all the same.
    Not(Option<String>),
}

/// The plan for what the report recommends, where it can be carried out now.
pub async fn plan(bench: &Bench, service: &str, investigation: &Investigation) -> Offer {
    let Investigation { report, symptoms, change } = investigation;
    if report.action.kind != ActionKind::Rollback {
        return Offer::Not(None);
    }
    let Some(change) = change else { return Offer::Not(None) };
    let target = match &change.undo {
        Ok(target) => target,
        Err(reason) => return Offer::Not(Some(reason.clone())),
    };
    let theirs = match &change.relation {
        Relation::Dependency(name) | Relation::Peer(name) => Some(name.as_str()),
        _ => None,
    };
    let config = &bench.settings.config;
    let owner_of = |name: &str| config.service(name).and_then(|service| service.owner.as_deref());
    if let Some((name, owner)) = theirs.and_then(|name| Some((name, owner_of(name)?)))
        && owner_of(service) != Some(owner)
    {
        let reason = format!("the change is one of {name}, which belongs to {owner}: its owner decides");
        return Offer::Not(Some(reason));
    }
    let author = change.actor.as_ref().filter(|actor| {
        // Histories name an author's ARN and nothing else.
        !actor.automation && !actor.arn.is_empty() && !machine::is_one(&actor.arn)
    });
    let author = author.map(|actor| actor.arn.clone());
    match tried(bench, target).await {
        Ok((target, tried)) => {
            let mut plan = Plan::of(target, author, expected_effect(symptoms), &shown);
            plan.tried = Some(tried);
            plan.service = theirs.map(str::to_owned);
            Offer::Plan(Box::new(plan))
        }
        Err(reason) => Offer::Not(Some(reason)),
    }
}

/// A value of a plan for people: a secret, by its key or its look, is none of their business as a whole.
pub(super) fn shown(key: &str, value: &str) -> String {
    if redact::value(key, value) == value { value.to_owned() } else { "a secret, not shown".to_owned() }
}

/// Tries a step without effect, and says what that showed.
///
/// # Errors
/// Why the step cannot be taken, as a sentence.
pub async fn tried(bench: &Bench, target: &RollbackTarget) -> Result<(RollbackTarget, String), String> {
    match rollback::prepare(&bench.aws, target, bench.clock.now(), Instant::now() + TRY_WITHIN).await {
        Ok(target) => {
            let shown = format!(
                "Tried without effect at {}: what it starts from and what it goes back to are there.",
                bench.clock.now().strftime("%Y-%m-%d %H:%M:%S UTC")
            );
            Ok((target, shown))
        }
        Err(obstacle) => Err(redact::text(&obstacle.to_string())),
    }
}
