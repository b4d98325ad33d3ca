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

    /// Waits for this call's turn, and says whether it comes before the deadline.
    ///
    /// A turn that would come too late is not taken: fifty incidents at once would otherwise fill the
    /// queue with turns that nobody waits for any more, and the ones after them would find it full.
    pub async fn turn(&self, deadline: Instant) -> bool {
        match self.reserve(Instant::now(), deadline) {
            Some(turn) => {
                sleep_until(turn).await;
                true
            }
            None => false,
        }
    }

    fn reserve(&self, now: Instant, deadline: Instant) -> Option<Instant> {
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let full = full_at.map_or(now, |at| at.max(now)) + self.interval;
        let turn = full.checked_sub(self.interval * self.burst).map_or(now, |turn| turn.max(now));
        if turn > deadline {
            return None;
        }
        *full_at = Some(full);
        Some(turn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(pace: &Pace, calls: usize, start: Instant, within: Duration) -> Vec<u128> {
        let turns = (0..calls).filter_map(|_| pace.reserve(start, start + within));
        turns.map(|turn| (turn - start).as_millis()).collect()
    }

    #[test]
    fn a_burst_goes_at_once_and_the_rest_at_the_rate() {
        let pace = Pace::new(2.0, 2);
        let (start, long) = (Instant::now(), Duration::from_mins(1));
        assert_eq!(turns(&pace, 5, start, long), [0, 0, 500, 1000, 1500]);
        // Rest fills the bucket again, and no further than full.
        assert_eq!(turns(&pace, 3, start + long, long), [0, 0, 500]);
    }

    #[test]
    fn a_turn_that_comes_too_late_is_left_to_others() {
        let pace = Pace::new(2.0, 1);
        let start = Instant::now();
        assert_eq!(turns(&pace, 50, start, Duration::from_secs(2)), [0, 500, 1000, 1500, 2000]);
        // Whoever comes when the queue has run down finds it free, however many gave up before.
        let later = start + Duration::from_millis(2500);
        assert_eq!(turns(&pace, 2, later, Duration::from_secs(2)), [0, 500]);
    }
}
