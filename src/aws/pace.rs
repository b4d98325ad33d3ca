//! Pacing below an API's rate limit, shared by all incidents that are investigated at once.
//!
//! Rule: the limit belongs to the account and Region, not to one investigation; whoever comes first
//! goes first.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

/// Lets calls through at a rate, a second's worth of them at once.
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

    /// Waits for this call's turn.
    pub async fn turn(&self) {
        let turn = {
            let mut full_at = self.full_at.lock().await;
            let now = Instant::now();
            let full = full_at.map_or(now, |at| at.max(now)) + self.interval;
            *full_at = Some(full);
            full.checked_sub(self.interval * self.burst).unwrap_or(now)
        };
        sleep_until(turn).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_goes_at_once_and_the_rest_at_the_rate() {
        let pace = Pace::new(2.0, 2);
        let start = Instant::now();
        let mut turns = Vec::new();
        for _ in 0..5 {
            pace.turn().await;
            turns.push(start.elapsed().as_millis());
        }
        assert_eq!(turns, [0, 0, 500, 1000, 1500]);
    }
}
