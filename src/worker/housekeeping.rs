//! Letting old things go, so that a database that lives for years does not grow for years; and what is done where the
//! machine's clock goes back.
//!
//! The rule that is not obvious: what is due is due by the clock. Where that goes back by an hour, all that was due
//! would wait for an hour; so whatever was planned is moved back with it. A clock that goes ahead only makes leases end
//! early, and every step may run twice.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::Bench;

/// Between two times of tidying up, at least and at most. What has grown too old in an hour is little.
const EVERY_MIN: Duration = Duration::from_mins(1);
const EVERY_MAX: Duration = Duration::from_hours(1);
/// Between two small transactions, so that alerts that come meanwhile do not wait.
const BREATH: Duration = Duration::from_millis(50);

/// Lets old things go, at once and then again and again, until it is to stop.
pub(super) async fn run(bench: Bench) {
    // What is kept for days is looked at hourly, what is kept for minutes more often.
    let retention = Duration::try_from(bench.settings.config.incidents.retention.0).unwrap_or(EVERY_MAX);
    let every = (retention / 24).clamp(EVERY_MIN, EVERY_MAX);
    while !bench.stop.is_cancelled() {
        let wait = match tidy(&bench).await {
            Ok(0) => every,
            Ok(_) => BREATH,
            Err(error) => {
                tracing::error!(%error, "what is too old cannot be let go");
                every
            }
        };
        tokio::select! {
            () = bench.clock.sleep(wait) => {}
            () = bench.stop.cancelled() => {}
        }
    }
}

async fn tidy(bench: &Bench) -> crate::store::Result<u64> {
    let retention = bench.settings.config.incidents.retention.0;
    let gone = bench.store.prune(retention, bench.clock.now()).await?;
    if gone > 0 {
        tracing::info!(rows = gone, "older than `retention`: let go");
    }
    Ok(gone)
}

/// How far a clock may go back unnoticed: as much as it is corrected in good times.
const STEP: SignedDuration = SignedDuration::from_secs(2);
/// Between two looks at the clock.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Watches the clock until it is to stop.
pub(super) async fn watch_the_clock(bench: Bench) {
    let (mut shown, mut at) = (bench.clock.now(), Instant::now());
    while !bench.stop.is_cancelled() {
        tokio::select! {
            () = bench.clock.sleep(LOOK_EVERY) => {}
            () = bench.stop.cancelled() => {}
        }
        let now = bench.clock.now();
        if let Some(back) = went_back(shown, at.elapsed(), now) {
            tracing::warn!(seconds = back.as_secs(), "the clock went back; what is due moves with it");
            if let Err(error) = bench.store.clock_went_back(back).await {
                tracing::error!(%error, "what is due cannot be moved");
            }
            bench.slack.forget_turns();
        }
        (shown, at) = (now, Instant::now());
    }
}

/// By how much a clock went back that showed `shown` so long ago.
fn went_back(shown: Timestamp, elapsed: Duration, now: Timestamp) -> Option<SignedDuration> {
    let elapsed = SignedDuration::try_from(elapsed).unwrap_or(SignedDuration::MAX);
    let expected = shown.saturating_add(elapsed).unwrap_or(Timestamp::MAX);
    let back = expected.duration_since(now);
    (back > STEP).then_some(back)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_goes_back_is_told_from_one_that_is_corrected_or_goes_ahead() {
        let noon: Timestamp = "2026-02-06T12:00:00Z".parse().unwrap();
        let minute = Duration::from_mins(1);
        assert_eq!(
            went_back(noon, minute, noon - SignedDuration::from_hours(1)),
            Some(SignedDuration::from_mins(61))
        );
        assert_eq!(went_back(noon, minute, noon + SignedDuration::from_secs(59)), None);
        assert_eq!(went_back(noon, minute, noon + SignedDuration::from_hours(9)), None);
    }
}
