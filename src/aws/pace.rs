//! Pacing below an API's rate limit, shared by all incidents that are investigated at once.
//!
//! Rule: the limit belongs to the account and Region, not to one investigation; whoever comes first
//! goes first.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Lets calls through at a rate, some of them at once.
#[derive(Debug)]
pub struct Pace {
    interval: Duration,
    burst: u32,
    /// When the bucket is full again.
    full_at: Mutex<Option<Instant>>,
}

impl Pace {
    /// `per_second` calls, `burst` of them at once.
    pub fn new(per_second: f64, burst: u32) -> Self {
        Self { interval: Duration::from_secs_f64(1.0 / per_second), burst, full_at: Mutex::new(None) }
    }

    /// Waits for this call's turn. A turn that is not waited for is gone.
    pub async fn turn(&self) {
        sleep_until(self.reserve(Instant::now())).await;
    }

    fn reserve(&self, now: Instant) -> Instant {
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let full = full_at.map_or(now, |at| at.max(now)) + self.interval;
        *full_at = Some(full);
        full.checked_sub(self.interval * self.burst).map_or(now, |turn| turn.max(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_goes_at_once_and_the_rest_at_the_rate() {
        let pace = Pace::new(2.0, 2);
        let start = Instant::now();
        let turns: Vec<u128> = (0..5).map(|_| (pace.reserve(start) - start).as_millis()).collect();
        assert_eq!(turns, [0, 0, 500, 1000, 1500]);
        // Rest fills the bucket again, and no further than full.
        let later = start + Duration::from_mins(1);
        let turns: Vec<u128> = (0..3).map(|_| (pace.reserve(later) - later).as_millis()).collect();
        assert_eq!(turns, [0, 0, 500]);
    }
}
