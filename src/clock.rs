//! What time it is, as a value that can be set.
//!
//! The demo's world lives on another day but runs at real speed, so leases and deadlines may use
//! the same clock. Only Slack's signatures are checked against the machine's own time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};

#[derive(Debug, Clone, Default)]
pub enum Clock {
    #[default]
    System,
    /// The system's clock, moved by a constant.
    Shifted(SignedDuration),
    /// Stands still until it is set: for tests. Epoch milliseconds.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that shows `then` now and runs on at real speed.
    pub fn starting_at(then: Timestamp) -> Self {
        Self::Shifted(then.duration_since(Timestamp::now()))
    }

    pub fn manual(now: Timestamp) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(now.as_millisecond())))
    }

    /// Now, to the millisecond, which is what the store keeps.
    pub fn now(&self) -> Timestamp {
        let now = match self {
            Self::System => Timestamp::now(),
            Self::Shifted(offset) => Timestamp::now().saturating_add(*offset).unwrap_or(Timestamp::MAX),
            Self::Manual(milliseconds) => {
                return Timestamp::from_millisecond(milliseconds.load(Ordering::SeqCst))
                    .unwrap_or(Timestamp::UNIX_EPOCH);
            }
        };
        Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
    }

    /// Moves a manual clock; the others follow the machine and ignore it.
    pub fn advance(&self, by: SignedDuration) {
        if let Self::Manual(milliseconds) = self {
            milliseconds.fetch_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX), Ordering::SeqCst);
        }
    }
}
