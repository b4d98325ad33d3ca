//! What time it is, as a value that can be set.
//!
//! The demo's world lives on another day but runs at real speed, so leases and deadlines may use
//! the same clock, and whoever waits waits by it. Only Slack's signatures are checked against the machine's own time.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

#[derive(Debug, Clone, Default)]
pub enum Clock {
    #[default]
    System,
    /// The system's clock, moved by a constant.
    Shifted(SignedDuration),
    /// Stands still until it is set: for tests. Epoch milliseconds.
    Manual(Arc<watch::Sender<i64>>),
}

impl Clock {
    /// A clock that shows `then` now and runs on at real speed.
    pub fn starting_at(then: Timestamp) -> Self {
        Self::Shifted(then.duration_since(Timestamp::now()))
    }

    pub fn manual(now: Timestamp) -> Self {
        Self::Manual(Arc::new(watch::Sender::new(now.as_millisecond())))
    }

    /// Now, to the millisecond, which is what the store keeps.
    pub fn now(&self) -> Timestamp {
        let now = match self {
            Self::System => Timestamp::now(),
            Self::Shifted(offset) => Timestamp::now().saturating_add(*offset).unwrap_or(Timestamp::MAX),
            Self::Manual(milliseconds) => {
                return Timestamp::from_millisecond(*milliseconds.borrow()).unwrap_or(Timestamp::UNIX_EPOCH);
            }
        };
        Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
    }

    /// Moves a manual clock; the others follow the machine and ignore it.
    pub fn advance(&self, by: SignedDuration) {
        if let Self::Manual(milliseconds) = self {
            let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
            milliseconds.send_modify(|now| *now = now.saturating_add(by));
        }
    }

    /// Waits until this clock has gone on by so much: a manual one has to be moved.
    pub async fn sleep(&self, wait: Duration) {
        let Self::Manual(milliseconds) = self else { return tokio::time::sleep(wait).await };
        let mut moved = milliseconds.subscribe();
        let wait = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
        let until = moved.borrow().saturating_add(wait);
        // An error would mean that the clock is gone, and this one holds it.
        drop(moved.wait_for(|now| *now >= until).await);
    }

    /// How many wait for a manual clock to move: where all do, nothing happens before it does.
    pub fn sleepers(&self) -> usize {
        match self {
            Self::Manual(milliseconds) => milliseconds.receiver_count(),
            Self::System | Self::Shifted(_) => 0,
        }
    }
}
