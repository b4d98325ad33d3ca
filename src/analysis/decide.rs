//! What to do about it: decided by what a wrong step would cost.
//!
//! The rule that is not obvious: not offering a rollback costs minutes, offering a wrong one costs an
//! outage. So a rollback needs a change that is likelier than all else together, that can be undone,
//! still stands, and has nothing newer on top; and more than its time: that something shows how it did it, or that
//! whatever else comes right after releases by chance was looked at and is well.

use jiff::Timestamp;

use super::ratios;
use super::suspects::{Schema, Suspect};
use super::trial::Proposal;
use super::triggers::Triggers;
use super::weigh::{Weighed, indistinct};
use crate::domain::change::Effect;
use crate::domain::evidence::Scope;
use crate::domain::redact;
use crate::domain::report::{Action, ActionKind, Cause};

/// An undecided cause that is at least this likely is worth a look.
const LOOK_AT: f64 = 0.05;

/// Seconds in which a service recovers from a change that is undone: rollouts take some minutes, caches and pools ten.
const RECOVERS: i64 = 15 * 60;

/// `proposal`: a test that tells two changes apart that fit equally well, or why there is none.
pub fn decide(
    weighed: &Weighed,
    suspects: &[Suspect<'_>],
    triggers: &Triggers,
    scope: &Scope,
    proposal: Option<&Result<Proposal, String>>,
) -> Action {
    let watch = |reason: &str| Action { kind: ActionKind::Watch, target: None, reason: reason.to_owned() };
    let Some(leader) = weighed.rows.first() else {
        return watch("Nothing was found that could be acted on.");
    };
    let owner = |name: &str, why: &str| Action {
        kind: ActionKind::Escalate,
        target: Some(redact::text(name)),
        reason: why.to_owned(),
    };
    // Whoever reads this is at the service already: who can free or renew its things is meant.
    let own = format!("the owner of {}", scope.service);
    match leader.cause {
        Cause::Deployment => {
            let Some(suspect) = leader.suspect.and_then(|index| suspects.get(index)) else {
                return watch("The change that is blamed is not known well enough to undo it.");
            };
            let about = about_change(suspect, suspects, weighed, scope.now, proposal);
            match left_open(suspect, triggers, scope) {
                Some(open) if about.kind == ActionKind::Rollback => watch(&format!(
                    "Nothing but its time speaks for the change, and {open}. Look there before it is undone."
                )),
                _ => about,
            }
        }
        Cause::Dependency => match &leader.about {
            Some(name) => owner(name, "It is in trouble and no change explains it: its owner has to look."),
            None => watch("A dependency is suspected, but none can be named."),
        },
        Cause::Exhaustion => owner(
            &own,
            "A resource has run out and no change in the window started it: free or raise it; there is nothing to undo.",
        ),
        Cause::Expiry => owner(&own, "Something expired: renew it; there is nothing to undo."),
        Cause::Platform => owner(
            "AWS",
            if leader.probability >= ratios::OFFER {
                "The provider is in trouble: look at its health dashboard, and move traffic away if you can."
            } else {
                "The provider may be in trouble: look at its health dashboard before anything is changed."
            },
        ),
        Cause::Traffic
            if triggers.surge.is_none() && (triggers.mix.is_some() || triggers.heavier.is_some()) =>
        {
            watch(
                "What is asked for is other work than before: add capacity for it or limit who sends it; there is nothing to undo.",
            )
        }
        Cause::Traffic => watch(
            "Demand is above what the service holds: add capacity or shed load; there is nothing to undo.",
        ),
        Cause::Recurring => watch("The same hours of earlier days look the same: nothing new to undo."),
        Cause::None if weighed.over => watch("It is over already: nothing to undo."),
        Cause::None => watch("No incident is under way: nothing to undo."),
        Cause::Unknown => watch(&undecided(weighed)),
    }
}

/// What could have come right after the change by chance and was not seen to be well, where nothing shows how the change
/// did it.
fn left_open(suspect: &Suspect<'_>, triggers: &Triggers, scope: &Scope) -> Option<String> {
    if suspect.shows_how() {
        return None;
    }
    let is = |list: &[String], name: &String| list.iter().any(|known| known.eq_ignore_ascii_case(name));
    let unseen: Vec<String> = scope
        .depends_on
        .iter()
        .chain(&triggers.blamed)
        .filter(|name| !is(&triggers.healthy, name))
        .map(|name| redact::text(name))
        .collect();
    let first = unseen.first()?;
    Some(match unseen.len() {
        1 => format!("how {first} does was not seen"),
        more => format!("how {first} and {} others do was not seen", more - 1),
    })
}

/// What to look at where nothing is proven.
fn undecided(weighed: &Weighed) -> String {
    let mut next: Vec<String> = Vec::new();
    for row in weighed.rows.iter().filter(|row| row.cause != Cause::Unknown && row.probability >= LOOK_AT) {
        let about = row.about.as_deref().map(redact::text);
        let look = match (row.cause, about) {
            (Cause::Deployment, Some(about)) => format!("what changed in {about}"),
            (Cause::Dependency, Some(about)) => format!("how {about} is doing"),
            (Cause::Dependency, None) => "the services that it calls".to_owned(),
            (Cause::Traffic, _) => "who sends the requests".to_owned(),
            (Cause::Exhaustion, _) => "memory, disk, pools and quotas".to_owned(),
            (Cause::Expiry, _) => "certificates and tokens".to_owned(),
            (Cause::Platform, _) => "the provider's health dashboard".to_owned(),
            _ => continue,
        };
        if !next.contains(&look) {
            next.push(look);
        }
    }
    next.truncate(2);
    if next.is_empty() {
        return "The evidence does not decide: nothing is proven enough to undo.".to_owned();
    }
    format!(
        "The evidence does not decide: nothing is proven enough to undo. Look at {} first.",
        next.join(" and ")
    )
}

fn about_change(
    suspect: &Suspect<'_>,
    suspects: &[Suspect<'_>],
    weighed: &Weighed,
    now: Timestamp,
    proposal: Option<&Result<Proposal, String>>,
) -> Action {
    let change = suspect.change;
    let probability = weighed.rows.first().map_or(0.0, |leader| leader.probability);
    let watch = |reason: String| Action { kind: ActionKind::Watch, target: None, reason };
    if let Some(undone_at) = change.undone_at {
        let reason = if suspect.reversed() {
            "The change is undone already, and the symptom ended with that: nothing to undo."
        } else if now.as_second() - undone_at.as_second() > RECOVERS {
            "The change is undone already, and the service fails on: look at what it left behind, or at another cause."
        } else {
            "The change is undone already; whether the service recovers is to be seen."
        };
        return watch(reason.to_owned());
    }
    if weighed.over {
        return watch("The symptom is over; nothing needs to be undone now.".to_owned());
    }
    if indistinct(&weighed.rows) {
        let guess =
            "Two changes fit equally well and nothing tells them apart; undoing one of them is a guess.";
        return watch(match proposal {
            Some(Ok(Proposal { design, .. })) => {
                format!("{guess} A small test would tell: {}. {}", design.describe(), design.predicts())
            }
            Some(Err(why)) => format!("{guess} No small test is offered: {}.", redact::text(why)),
            None => guess.to_owned(),
        });
    }
    if probability <= ratios::OFFER {
        return watch(format!(
            "The change is the likeliest cause, but at {:.0} % it is not proven enough to undo it.",
            probability * 100.0
        ));
    }
    if let Some(newer) = newer_on_top(suspect, suspects) {
        return Action {
            kind: ActionKind::RollForward,
            target: Some(redact::text(&change.resource)),
            reason: format!(
                "A newer change of {} ({}) sits on top; going back would undo that as well.",
                change.resource, newer
            ),
        };
    }
    // What was written by the new schema cannot be read by the old code, and what was dropped is gone.
    if let Some(Schema::Migrated(at, line)) = &suspect.schema {
        return Action {
            kind: ActionKind::RollForward,
            target: Some(redact::text(&change.resource)),
            reason: format!(
                "The release changed the database's schema at {} UTC (“{}”): the earlier version may not work with it. Mend it forward.",
                at.strftime("%H:%M"),
                redact::text(line)
            ),
        };
    }
    // Where a part of the traffic still goes to the earlier version, that version works with what is there.
    if suspect.schema == Some(Schema::Missing) && !suspect.has_split() && change.share >= 1.0 {
        return Action {
            kind: ActionKind::RollForward,
            target: Some(redact::text(&change.resource)),
            reason: "The errors miss a column or table of the database: going back to the earlier code does not bring it back. Mend it forward, or restore it first.".to_owned(),
        };
    }
    match &change.undo {
        Ok(target) => Action {
            kind: ActionKind::Rollback,
            target: Some(redact::text(&target.describe())),
            reason: "The change is to blame, it can be undone, its earlier state exists, and nothing newer sits on top."
                .to_owned(),
        },
        Err(reason) => Action {
            kind: ActionKind::RollForward,
            target: Some(redact::text(&change.resource)),
            reason: format!(
                "The change is to blame but cannot be undone safely: {}.",
                redact::text(reason).trim_end_matches('.')
            ),
        },
    }
}

/// A later change of the same resource that did something.
pub(super) fn newer_on_top(suspect: &Suspect<'_>, suspects: &[Suspect<'_>]) -> Option<String> {
    suspects
        .iter()
        .find(|other| {
            other.change.resource == suspect.change.resource
                && other.change.kind == suspect.change.kind
                && other.change.id != suspect.change.id
                && !other.change.no_op
                && matches!(other.change.effect, Effect::Took { .. })
                && other.effect > suspect.effect
        })
        .map(|other| other.change.event_ids.first().unwrap_or(&other.change.id).clone())
}
