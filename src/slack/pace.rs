//! How fast Slack may be called: a token bucket for each channel and each method's tier.
//!
//! The rule that is not obvious: nobody waits here. Whoever has no turn is told when there is one and
//! does something else until then; a 429 bars its method for as long as Slack says.
//!
//! Source: docs.slack.dev, 'Rate limits': one message a second and channel with short bursts, several
//! hundred a minute in the workspace, 50 calls a minute in tier 3, 100 in tier 4.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::domain::breaker::Breaker;

/// Calls that share a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// chat.postMessage.
    Post,
    /// chat.update, tier 3.
    Update,
    /// files.getUploadURLExternal and files.completeUploadExternal, tier 4.
    Upload,
    /// conversations.history and conversations.replies, tier 3.
    Read,
}

/// One turn every `every`, and as many as `burst` at once after a pause.
#[derive(Debug, Clone, Copy)]
struct Rate {
    every: SignedDuration,
    burst: i32,
}

/// A little slower than Slack counts, because the way there is not always equally long.
const CHANNEL: Rate = Rate { every: SignedDuration::from_millis(1_050), burst: 3 };
const WORKSPACE: Rate = Rate { every: SignedDuration::from_millis(250), burst: 20 };
const TIER_3: Rate = Rate { every: SignedDuration::from_millis(1_230), burst: 10 };
const TIER_4: Rate = Rate { every: SignedDuration::from_millis(630), burst: 10 };

/// The state of all buckets. Each is one time: when it would be full again.
#[derive(Debug, Default)]
pub struct Pace {
    full_at: BTreeMap<(Lane, Option<String>), Timestamp>,
    barred: BTreeMap<Lane, Timestamp>,
    /// Slack as a whole, where it does not answer.
    breaker: Breaker,
}

impl Pace {
    /// Takes a turn.
    ///
    /// # Errors
    /// When the next turn is, where there is none now; nothing is taken then.
    pub fn take(&mut self, lane: Lane, channel: &str, now: Timestamp) -> Result<(), Timestamp> {
        if let Err(until) = self.breaker.admits(now.as_millisecond()) {
            return Err(Timestamp::from_millisecond(until).unwrap_or(now));
        }
        // Buckets that are full again need no entry: the map stays as small as the traffic.
        self.full_at.retain(|_, full_at| *full_at > now);
        self.barred.retain(|_, until| *until > now);
        let buckets = match lane {
            Lane::Post => vec![((lane, Some(channel.to_owned())), CHANNEL), ((lane, None), WORKSPACE)],
            Lane::Update | Lane::Read => vec![((lane, None), TIER_3)],
            Lane::Upload => vec![((lane, None), TIER_4)],
        };
        let mut next = self.barred.get(&lane).copied();
        for (key, rate) in &buckets {
            let full_at = self.full_at.get(key).copied().unwrap_or(now);
            let turn = later(full_at, -(rate.every * (rate.burst - 1)));
            if turn > now {
                next = next.max(Some(turn));
            }
        }
        if let Some(next) = next {
            return Err(next);
        }
        for (key, rate) in buckets {
            let full_at = self.full_at.get(&key).copied().unwrap_or(now).max(now);
            self.full_at.insert(key, later(full_at, rate.every));
        }
        Ok(())
    }

    /// Slack answered a call, whatever it said, or it did not.
    pub fn note(&mut self, answered: bool, now: Timestamp) {
        self.breaker.note(answered, now.as_millisecond());
    }

    /// The clock went back: what was counted on it means nothing any more.
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// Slack answered 429: nobody calls these methods before `until`.
    pub fn bar(&mut self, lane: Lane, until: Timestamp) {
        let barred = self.barred.entry(lane).or_insert(until);
        *barred = (*barred).max(until);
    }
}

fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.saturating_add(by).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn noon() -> Timestamp {
        "2026-02-06T12:00:00Z".parse().unwrap()
    }

    fn after(milliseconds: i64) -> Timestamp {
        later(noon(), SignedDuration::from_millis(milliseconds))
    }

    #[test]
    fn a_burst_passes_and_then_a_message_a_second() {
        let mut pace = Pace::default();
        for _ in 0..CHANNEL.burst {
            assert_eq!(pace.take(Lane::Post, "C1", noon()), Ok(()));
        }
        assert_eq!(pace.take(Lane::Post, "C1", noon()), Err(after(1_050)));
        assert_eq!(pace.take(Lane::Post, "C2", noon()), Ok(()), "another channel has its own pace");
        assert_eq!(pace.take(Lane::Post, "C1", after(1_050)), Ok(()));
    }

    #[test]
    fn what_slack_says_bars_the_method_and_no_other() {
        let mut pace = Pace::default();
        pace.bar(Lane::Post, after(30_000));
        pace.bar(Lane::Post, after(10_000));
        assert_eq!(pace.take(Lane::Post, "C1", after(29_000)), Err(after(30_000)));
        assert_eq!(pace.take(Lane::Update, "C1", noon()), Ok(()));
        assert_eq!(pace.take(Lane::Post, "C1", after(30_000)), Ok(()));
    }

    #[test]
    fn while_slack_is_silent_nobody_calls_and_one_answer_lets_all_call_again() {
        let mut pace = Pace::default();
        for _ in 0..5 {
            assert_eq!(pace.take(Lane::Update, "C1", noon()), Ok(()));
            pace.note(false, noon());
        }
        for lane in [Lane::Post, Lane::Update, Lane::Upload, Lane::Read] {
            assert_eq!(pace.take(lane, "C2", after(4_999)), Err(after(5_000)), "{lane:?}");
        }
        pace.note(true, after(4_999));
        assert_eq!(pace.take(Lane::Post, "C2", after(4_999)), Ok(()));
    }

    proptest! {
        /// Whatever the order of calls, no span holds more turns than burst and rate allow.
        #[test]
        fn no_span_holds_too_many_turns(steps in prop::collection::vec(0i64..2_000, 1..120)) {
            let mut pace = Pace::default();
            let (mut now, mut taken) = (0i64, Vec::new());
            for step in steps {
                now += step;
                if pace.take(Lane::Update, "C1", after(now)).is_ok() {
                    taken.push(now);
                }
            }
            for (first, from) in taken.iter().enumerate() {
                for (last, to) in taken.iter().enumerate().skip(first) {
                    let allowed = i64::from(TIER_3.burst) + (to - from) / 1_230;
                    prop_assert!((last - first + 1) as i64 <= allowed, "{taken:?}");
                }
            }
        }
    }
}
