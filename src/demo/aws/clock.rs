//! The world's clock: real time moved by a constant, or a time that only a test moves.
//!
//! Rule: everything that a world shows (which event is delivered, which point is complete, how far
//! a query is) is decided by this clock when somebody asks. Nothing in the world sleeps by it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;

/// Cheaply clonable; all clones show the same time.
#[derive(Debug, Clone)]
pub struct WorldClock {
    /// Milliseconds: since the epoch for a clock that stands, to add to real time for one that runs.
    milliseconds: Arc<AtomicI64>,
    runs: bool,
}

impl WorldClock {
    /// Real time.
    pub fn real() -> Self {
        Self { milliseconds: Arc::new(AtomicI64::new(0)), runs: true }
    }

    /// Shows `at` now, and runs at real speed from there.
    pub fn starting_at(at: Timestamp) -> Self {
        let ahead = at.as_millisecond() - Timestamp::now().as_millisecond();
        Self { milliseconds: Arc::new(AtomicI64::new(ahead)), runs: true }
    }

    /// Stands at `at` until it is advanced.
    pub fn manual(at: Timestamp) -> Self {
        Self { milliseconds: Arc::new(AtomicI64::new(at.as_millisecond())), runs: false }
    }

    pub fn now(&self) -> Timestamp {
        let mut milliseconds = self.milliseconds.load(Ordering::SeqCst);
        if self.runs {
            milliseconds += Timestamp::now().as_millisecond();
        }
        Timestamp::from_millisecond(milliseconds).unwrap_or(Timestamp::MAX)
    }

    /// Moves the clock forward; one that runs goes on running from there.
    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX / 4);
        self.milliseconds.fetch_add(by, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_advanced_and_shows_all_clones_the_same() {
        let at: Timestamp = "2026-02-06T12:15:00Z".parse().unwrap();
        let clock = WorldClock::manual(at);
        let other = clock.clone();
        assert_eq!(other.now(), at);
        clock.advance(Duration::from_secs(90));
        assert_eq!(other.now().to_string(), "2026-02-06T12:16:30Z");
    }

    #[test]
    fn a_running_clock_starts_where_it_was_told() {
        let at: Timestamp = "2026-02-06T12:15:00Z".parse().unwrap();
        let shown = WorldClock::starting_at(at).now();
        assert!(shown >= at && shown.as_second() - at.as_second() < 60, "{shown}");
    }
}
