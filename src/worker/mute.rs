//! The end of a mute: people are told what was held back.

use super::{Bench, Done, delivery};
use crate::slack::digest::{self, Ended, HeldAlert};
use crate::store::Owed;

/// Ends a mute whose time is up and tells, once, what it held.
///
/// # Errors
/// Where the database does not take it; it is tried again.
pub async fn end(bench: &Bench, id: i64) -> anyhow::Result<Done> {
    let Some(mute) = bench.store.mute_of(id).await? else { return Ok(Done::Finished) };
    let now = bench.clock.now();
    if mute.told_at.is_some() {
        return Ok(Done::Finished);
    }
    if now < mute.until {
        // It was made longer, or the clock is not where it was.
        return Ok(Done::Again(mute.until.duration_since(now)));
    }
    bench.store.end_mute(id, now).await?;
    let channel = mute.channel.as_deref().or_else(|| bench.settings.config.channel_for(&mute.service));
    if let Some(channel) = channel.filter(|_| bench.slack.is_configured()) {
        let held = bench.store.held_alerts(id).await?;
        let held: Vec<HeldAlert<'_>> = held
            .iter()
            .map(|held| HeldAlert { at: held.at, alert: &held.alert, state: held.state })
            .collect();
        let message = digest::digest(&Ended {
            service: &mute.service,
            reason: &mute.reason,
            by: &mute.by,
            began_at: mute.began_at,
            ended_at: mute.ended_at.unwrap_or(mute.until),
            ended_by: mute.ended_by.as_deref(),
            held: &held,
        });
        let owed = Owed {
            purpose: format!("mute/{id}"),
            incident: None,
            channel: channel.to_owned(),
            thread_ts: None,
            body: message.to_json(),
            image: None,
            approval: None,
        };
        delivery::put(bench, &owed).await?;
    }
    bench.store.note_mute_told(id, now).await?;
    Ok(Done::Finished)
}
