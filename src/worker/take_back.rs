//! A rollback that did not help can be taken back, by an approval of its own.
//!
//! The rule that is not obvious: the incident stays 'not recovered' meanwhile and afterwards. Taking a
//! rollback back restores what was there before it, and makes nobody well.

use jiff::SignedDuration;

use super::roll_back::say_once;
use super::{Bench, Done, delivery, offer, report};
use crate::aws::rollback::Obstacle;
use crate::domain::change::KeyChange;
use crate::domain::incident::State;
use crate::domain::plan::{NOTHING_EXPECTED, Plan};
use crate::fail_points::Point;
use crate::slack::messages;
use crate::store::{Approval, Asked, IncidentRow};

/// How often what is in the way for a while is looked at: a deployment that bakes takes minutes.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_mins(1);

/// Why it is not asked for.
enum Not {
    Ever(String),
    /// It will be possible later.
    Yet(String),
}

/// Offers it once, in the thread; where it cannot be taken back, says why, and where that passes, comes again.
pub async fn offer(bench: &Bench, done: &Approval) -> anyhow::Result<Done> {
    let Some(row) = bench.store.incident_row(done.incident).await? else { return Ok(Done::Finished) };
    let purpose = format!("take_back/{}", done.id);
    if row.state != State::NotRecovered || bench.store.is_owed(row.id, &purpose).await? {
        return Ok(Done::Finished);
    }
    let asked = match asked_before(bench, done).await? {
        Some(asked) => Ok(asked),
        None => ask(bench, &row.service, done).await?,
    };
    bench.fail_points.pass(Point::UndoAsked).await;
    let Some(channel) = row.channel.as_deref().filter(|_| bench.slack.is_configured()) else {
        return Ok(Done::Finished);
    };
    match asked {
        Ok(approval) => report::owe_undo_offer(bench, &row, &approval, channel).await?,
        Err(Not::Ever(reason)) => {
            let message = messages::notice(row.id, &not_possible(&row, &reason));
            delivery::owe(bench, row.id, channel, &purpose, &message, None).await?;
        }
        Err(Not::Yet(reason)) => {
            let words = format!(
                "{}: the rollback cannot be taken back yet: {}. It is offered as soon as it can.",
                row.id,
                reason.trim_end_matches('.')
            );
            say_once(bench, &row, &format!("take_back_later/{}", done.id), &words).await?;
            return Ok(Done::Again(LOOK_AGAIN));
        }
    }
    Ok(Done::Finished)
}

fn not_possible(row: &IncidentRow, reason: &str) -> String {
    format!("{}: the rollback cannot be taken back from here: {}", row.id, reason.trim_end_matches('.'))
}

async fn asked_before(bench: &Bench, done: &Approval) -> anyhow::Result<Option<Approval>> {
    let all = bench.store.approvals_of(done.incident).await?;
    Ok(all.into_iter().find(|approval| approval.undoes.as_deref() == Some(&done.id)))
}

/// Asks for approval; the reason where there is nothing to ask for.
async fn ask(bench: &Bench, service: &str, done: &Approval) -> anyhow::Result<Result<Approval, Not>> {
    let target = match done.plan.target.reversed() {
        Ok(target) => target,
        Err(reason) => return Ok(Err(Not::Ever(reason))),
    };
    let (target, tried) = match offer::tried(bench, service, &target).await {
        Ok(tried) => tried,
        Err(obstacle) => return Ok(Err(not(&obstacle))),
    };
    let differs: Vec<KeyChange> = done.plan.differs.iter().cloned().map(KeyChange::reversed).collect();
    let mut plan = Plan::of(target, None, NOTHING_EXPECTED.into(), &offer::shown).differing(
        &differs,
        done.plan.code_differs,
        &offer::shown,
    );
    plan.tried = Some(tried);
    plan.service.clone_from(&done.plan.service);
    let asked = Asked {
        plan: &plan,
        expires_after: bench.settings.config.approvals.expires_after.0,
        undoes: Some(&done.id),
    };
    bench.store.ask(done.incident, &asked, bench.clock.now()).await?;
    Ok(asked_before(bench, done).await?.ok_or_else(|| Not::Ever("the incident has moved on".to_owned())))
}

fn not(obstacle: &Obstacle) -> Not {
    let words = offer::in_words(obstacle);
    match obstacle {
        Obstacle::Busy { .. } => Not::Yet(words),
        // What AWS does not answer now it may answer in a minute; what it refuses stays refused.
        Obstacle::Unreadable { error } if error.may_pass() => Not::Yet(words),
        _ => Not::Ever(words),
    }
}
