//! More problems at once than can be looked at: one message says so, and what can be done without is left out.
//!
//! The rule that is not obvious: nothing is turned away here. Every incident keeps its place in the queue; what is
//! shed is what nobody misses in a storm: charts, progress, second looks, and a headline before there is news.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::{Bench, Done, delivery};
use crate::slack::storm::{StormView, Waiting, storm};
use crate::store::{Owed, Throng};

/// How often the message is brought up to date: chat.update allows 50 a minute for all messages together.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_secs(10);

/// Shows how a storm stands, until the last incident's turn has come.
///
/// # Errors
/// Where it cannot be stored.
pub async fn show(bench: &Bench, began_at: Timestamp) -> anyhow::Result<Done> {
    let now = bench.clock.now();
    let throng = bench.store.throng(began_at, now).await?;
    let over_at = throng.iter().all(|one| one.begun).then_some(now);
    if bench.slack.is_configured() {
        let mut channels: BTreeMap<&str, Vec<&Throng>> = BTreeMap::new();
        for one in &throng {
            let own = one.channel.as_deref().or_else(|| bench.settings.config.channel_for(&one.service));
            if let Some(channel) = own {
                channels.entry(channel).or_default().push(one);
            }
        }
        for (channel, throng) in channels {
            tell(bench, began_at, channel, &throng, over_at).await?;
        }
    }
    Ok(if over_at.is_some() { Done::Finished } else { Done::Again(LOOK_AGAIN) })
}

async fn tell(
    bench: &Bench,
    began_at: Timestamp,
    channel: &str,
    throng: &[&Throng],
    over_at: Option<Timestamp>,
) -> anyhow::Result<()> {
    let waiting: Vec<Waiting<'_>> = throng
        .iter()
        .filter(|one| !one.begun)
        .map(|one| Waiting { id: one.id, service: &one.service, alerts_received: one.alerts_received })
        .collect();
    let mut services: Vec<&str> = throng.iter().map(|one| one.service.as_str()).collect();
    services.sort_unstable();
    services.dedup();
    let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let message = storm(&StormView {
        began_at,
        incidents: count(throng.len()),
        services: count(services.len()),
        alerts: throng.iter().map(|one| one.alerts_received).sum(),
        under_way: count(throng.iter().filter(|one| one.under_way).count()),
        waiting: &waiting,
        over_at,
    });
    let owed = Owed {
        purpose: format!("storm/{}/{channel}", began_at.as_millisecond()),
        incident: None,
        channel: channel.to_owned(),
        thread_ts: None,
        body: message.to_json(),
        image: None,
        approval: None,
    };
    delivery::put(bench, &owed).await?;
    Ok(())
}
