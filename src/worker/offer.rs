//! Whether approval is asked for: the plan that was tried without effect, or why there is no button.
//!
//! The rule that is not obvious: the report says what would be right to do and is derived from stored
//! evidence alone; whether it can be done now is looked up here, and kept beside the report.

use std::time::Duration;

use tokio::time::Instant;

use super::Bench;
use crate::analysis::Investigation;
use crate::analysis::trial::Proposal;
use crate::aws::rollback::{self, Obstacle};
use crate::config::Config;
use crate::domain::change::{Change, Relation};
use crate::domain::machine;
use crate::domain::plan::{Plan, expected_effect};
use crate::domain::redact;
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
    let Investigation { report, symptoms, change, proposal } = investigation;
    if let Some(proposal) = proposal {
        return test(bench, service, proposal).await;
    }
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
    if let Some(reason) = theirs.and_then(|theirs| is_closed_to_us(&bench.settings.config, service, theirs)) {
        let what = target.with_values(&shown).describe();
        return Offer::Not(Some(format!("{reason}. What would be undone: {what}")));
    }
    let author = author_of(change);
    match tried(bench, service, target).await {
        Ok((target, tried)) => {
            let mut plan = Plan::of(target, author, expected_effect(symptoms), &shown).differing(
                &change.differences(),
                change.code_changed,
                &shown,
            );
            plan.tried = Some(tried);
            plan.service = theirs.map(str::to_owned);
            Offer::Plan(Box::new(plan))
        }
        Err(obstacle) => Offer::Not(Some(in_words(&obstacle))),
    }
}

/// The plan for a test that tells two changes apart, where it can be made now.
async fn test(bench: &Bench, service: &str, proposal: &Proposal) -> Offer {
    let Proposal { design, change } = proposal;
    match tried(bench, service, &design.step()).await {
        Ok((target, tried)) => {
            let mut plan = Plan::trying(design.clone(), target, author_of(change)).differing(
                &change.differences(),
                change.code_changed,
                &shown,
            );
            plan.tried = Some(tried);
            Offer::Plan(Box::new(plan))
        }
        Err(obstacle) => Offer::Not(Some(in_words(&obstacle))),
    }
}

/// ARN of the person who made a change; `None` for a machine, and where AWS names nobody.
fn author_of(change: &Change) -> Option<String> {
    let author = change.actor.as_ref().filter(|actor| {
        // Histories name an author's ARN and nothing else.
        !actor.automation && !actor.arn.is_empty() && !machine::is_one(&actor.arn)
    });
    author.map(|actor| actor.arn.clone())
}

/// Who owns a service, where that is another team than the one whose incident it is.
pub(super) fn other_owner<'a>(config: &'a Config, service: &str, theirs: &str) -> Option<&'a str> {
    let owner_of = |name: &str| config.service(name).and_then(|service| service.owner.as_deref());
    owner_of(theirs).filter(|owner| owner_of(service) != Some(*owner))
}

/// Why a change of another team's is not offered here: its own approvers decide, and it names none.
fn is_closed_to_us(config: &Config, service: &str, theirs: &str) -> Option<String> {
    let owner = other_owner(config, service, theirs)?;
    let its_own = config.service(theirs).and_then(|service| service.approvers.as_ref());
    its_own.is_none().then(|| {
        format!(
            "the change is one of {theirs}, which belongs to {owner}: its owner decides, and no `approvers` of \
             {theirs} are configured who could do so here"
        )
    })
}

/// A value of a plan for people: a secret, by its key or its look, is none of their business as a whole.
pub(super) fn shown(key: &str, value: &str) -> String {
    if redact::value(key, value) == value { value.to_owned() } else { "a secret, not shown".to_owned() }
}

/// Tries a step without effect where the incident's service lives, and says what that showed.
///
/// # Errors
/// Why the step cannot be taken now.
pub async fn tried(
    bench: &Bench,
    service: &str,
    target: &RollbackTarget,
) -> Result<(RollbackTarget, String), Obstacle> {
    let deadline = Instant::now() + TRY_WITHIN;
    let target = rollback::prepare(bench.aws_of(service), target, bench.clock.now(), deadline).await?;
    let shown = format!(
        "Tried without effect at {}: what it starts from and what it goes back to are there.",
        bench.clock.now().strftime("%Y-%m-%d %H:%M:%S UTC")
    );
    Ok((target, shown))
}

/// The reason for people.
pub(super) fn in_words(obstacle: &Obstacle) -> String {
    redact::text(&obstacle.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_another_team_is_decided_by_that_team_s_own_approvers_or_not_here() {
        let config = Config::parse(
            r##"
            [[service]]
            name = "checkout"
            owner = "#team-checkout"
            [[service]]
            name = "cart"
            owner = "#team-checkout"
            [[service]]
            name = "payments"
            owner = "#team-payments"
            [[service]]
            name = "ledger"
            owner = "#team-payments"
            approvers = ["U777"]
            "##,
        )
        .unwrap();
        let closed = |theirs| is_closed_to_us(&config, "checkout", theirs);
        let reason = closed("payments").unwrap();
        assert!(reason.contains("belongs to #team-payments"), "{reason}");
        assert_eq!(closed("ledger"), None, "its approvers decide");
        assert_eq!(other_owner(&config, "checkout", "ledger"), Some("#team-payments"));
        for ours in ["cart", "never-heard-of"] {
            assert_eq!((closed(ours), other_owner(&config, "checkout", ours)), (None, None), "{ours}");
        }
    }
}
