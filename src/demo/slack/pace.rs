//! How often a method may be called: Slack's tiers and its one message a second and channel.
//!
//! The rule that is not obvious: a token bucket per key refills while nobody looks, and the answer to
//! a call too many is the whole number of seconds after which it would have passed.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// One bucket's shape.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    pub per_second: f64,
    /// Calls that may come at once after a pause.
    pub burst: f64,
}

impl Rate {
    pub const fn per_minute(calls: f64) -> Self {
        // A minute's allowance may be used up at once, as Slack's tiers allow.
        Self { per_second: calls / 60.0, burst: calls }
    }
}

/// Which limits hold. `None` never answers 429.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// `chat.postMessage` by channel.
    pub posts: Option<Rate>,
    /// `chat.postMessage` in the whole workspace: "several hundred a minute".
    pub workspace_posts: Option<Rate>,
    /// Every method's own tier.
    pub tiers: bool,
}

impl Pace {
    /// docs.slack.dev/apis/web-api/rate-limits: one message a second and channel, short bursts allowed.
    pub const fn real() -> Self {
        Self {
            posts: Some(Rate { per_second: 1.0, burst: 3.0 }),
            workspace_posts: Some(Rate::per_minute(300.0)),
            tiers: true,
        }
    }

    pub const fn unlimited() -> Self {
        Self { posts: None, workspace_posts: None, tiers: false }
    }
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

/// The buckets of one workspace.
#[derive(Debug, Default)]
pub(super) struct Buckets(HashMap<String, Bucket>);

impl Buckets {
    /// Takes one token of `key`'s bucket, or tells after how long there is one.
    pub fn take(&mut self, key: &str, rate: Rate, now: Instant) -> Result<(), Duration> {
        let bucket = self.0.entry(key.to_owned()).or_insert(Bucket { tokens: rate.burst, at: now });
        let passed = now.saturating_duration_since(bucket.at).as_secs_f64();
        bucket.tokens = (bucket.tokens + passed * rate.per_second).min(rate.burst);
        bucket.at = now;
        if bucket.tokens >= 1.0 {
            bucket.tokens -= 1.0;
            Ok(())
        } else {
            let seconds = ((1.0 - bucket.tokens) / rate.per_second).ceil().max(1.0);
            Err(Duration::from_secs(seconds as u64))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_one_call_a_second() {
        let mut buckets = Buckets::default();
        let rate = Rate { per_second: 1.0, burst: 2.0 };
        let start = Instant::now();
        assert_eq!(buckets.take("C1", rate, start), Ok(()));
        assert_eq!(buckets.take("C1", rate, start), Ok(()));
        assert_eq!(buckets.take("C1", rate, start), Err(Duration::from_secs(1)));
        assert_eq!(buckets.take("C2", rate, start), Ok(()), "another channel has its own");
        assert_eq!(buckets.take("C1", rate, start + Duration::from_secs(1)), Ok(()));
    }

    #[test]
    fn a_slow_tier_says_how_long_to_wait() {
        let mut buckets = Buckets::default();
        let rate = Rate { per_second: 0.1, burst: 1.0 };
        let start = Instant::now();
        assert_eq!(buckets.take("m", rate, start), Ok(()));
        assert_eq!(buckets.take("m", rate, start), Err(Duration::from_secs(10)));
    }
}
