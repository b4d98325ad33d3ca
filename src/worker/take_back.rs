//! A rollback that did not help can be taken back, by an approval of its own.
//!
//! The rule that is not obvious: the incident stays 'not recovered' meanwhile and afterwards. Taking a
//! rollback back restores what was there before it, and makes nobody well.

use super::{Bench, delivery, offer, report};
use crate::domain::incident::State;
use crate::domain::plan::Plan;
use crate::fail_points::Point;
use crate::slack::messages;
use crate::store::{Approval, Asked, IncidentRow};

/// Offers it once, in the thread; where it cannot be taken back, says why.
pub async fn offer(bench: &Bench, done: &Approval) -> anyhow::Result<()> {
    let Some(row) = bench.store.incident_row(done.incident).await? else { return Ok(()) };
    let purpose = format!("take_back/{}", done.id);
    if row.state != State::NotRecovered || bench.store.is_owed(row.id, &purpose).await? {
        return Ok(());
    }
    let asked = match asked_before(bench, done).await? {
        Some(asked) => Ok(asked),
        None => ask(bench, done).await?,
    };
    bench.fail_points.pass(Point::UndoAsked).await;
    let Some(channel) = row.channel.as_deref().filter(|_| bench.slack.is_configured()) else {
        return Ok(());
    };
    match asked {
        Ok(approval) => report::owe_undo_offer(bench, &approval, channel).await,
        Err(reason) => {
            let message = messages::notice(row.id, &not_possible(&row, &reason));
            delivery::owe(bench, row.id, channel, &purpose, &message, None).await?;
            Ok(())
        }
    }
}

fn not_possible(row: &IncidentRow, reason: &str) -> String {
    format!("{}: the rollback cannot be taken back from here: {}", row.id, reason.trim_end_matches('.'))
}

async fn asked_before(bench: &Bench, done: &Approval) -> anyhow::Result<Option<Approval>> {
    let all = bench.store.approvals_of(done.incident).await?;
    Ok(all.into_iter().find(|approval| approval.undoes.as_deref() == Some(&done.id)))
}

/// Asks for approval; the reason where there is nothing to ask for.
async fn ask(bench: &Bench, done: &Approval) -> anyhow::Result<Result<Approval, String>> {
    let target = match done.plan.target.reversed() {
        Ok(target) => target,
        Err(reason) => return Ok(Err(reason)),
    };
    let (target, tried) = match offer::tried(bench, &target).await {
        Ok(tried) => tried,
        Err(reason) => return Ok(Err(reason)),
    };
    let mut plan = Plan::of(target, None, String::new(), &offer::shown);
    plan.tried = Some(tried);
    plan.service.clone_from(&done.plan.service);
    let asked = Asked {
        plan: &plan,
        expires_after: bench.settings.config.approvals.expires_after.0,
        undoes: Some(&done.id),
    };
    bench.store.ask(done.incident, &asked, bench.clock.now()).await?;
    Ok(asked_before(bench, done).await?.ok_or_else(|| "the incident has moved on".to_owned()))
}
