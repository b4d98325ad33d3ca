//! Letting old things go, so that a database that lives for years does not grow for years; and what is done where the
//! machine's clock goes back.
//!
//! The rule that is not obvious: what is due is due by the clock. Where that goes back by an hour, all that was due
//! would wait for an hour; so whatever was planned is moved back with it. A clock that goes ahead only makes leases and
//! times end early: every step may run twice, and what ended without a decision changes nothing.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::Bench;
use crate::store::{Result, Store};

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

async fn tidy(bench: &Bench) -> Result<u64> {
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
    let mut watch = ClockWatch::begin(&bench);
    while !bench.stop.is_cancelled() {
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = bench.stop.cancelled() => {}
        }
        watch.look(&bench).await;
    }
}

/// Holds the clock against the machine's own count of seconds, which never goes back.
#[derive(Debug, Clone, Copy)]
pub struct ClockWatch {
    shown: Timestamp,
    at: Instant,
}

impl ClockWatch {
    pub fn begin(bench: &Bench) -> Self {
        Self { shown: bench.clock.now(), at: Instant::now() }
    }

    /// Moves what is due where the clock went back since the last look.
    pub async fn look(&mut self, bench: &Bench) {
        let now = bench.clock.now();
        if let Some(back) = went_back(self.shown, self.at.elapsed(), now) {
            if let Err(error) = move_what_is_due(&bench.store, back).await {
                tracing::error!(%error, "what is due cannot be moved");
                // The next look finds the same.
                return;
            }
            bench.slack.forget_turns();
        }
        *self = Self { shown: now, at: Instant::now() };
    }
}

/// Where a clock went back while nothing ran, what is due moves with it at the start.
///
/// # Errors
/// Where the database cannot be read or written.
pub async fn notice_the_clock(store: &Store, now: Timestamp) -> Result<()> {
    let Some(written) = store.last_written().await? else { return Ok(()) };
    match went_back(written, Duration::ZERO, now) {
        Some(back) => move_what_is_due(store, back).await,
        None => Ok(()),
    }
}

async fn move_what_is_due(store: &Store, back: SignedDuration) -> Result<()> {
    tracing::warn!(seconds = back.as_secs(), "the clock went back; what is due moves with it");
    store.clock_went_back(back).await
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
