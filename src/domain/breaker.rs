//! Whether somebody who does not answer is worth another call.
//!
//! The rule that is not obvious: only silence counts, and the word of whoever is out of order. Whoever refuses, or says
//! that it is too much, has answered. The time is a number of milliseconds on any one clock of the caller's.

/// One lost answer is nothing, and two may be one hiccup of the network; five in a row are an outage.
const OPENS_AFTER: u32 = 5;
/// How long nobody calls, first and at most. An outage that ends is noticed within a minute.
const PAUSE_MS: i64 = 5_000;
const PAUSE_MAX_MS: i64 = 60_000;
/// Whom nobody called for so long may answer again for all that is known. An outage that lasts is noticed by whoever works
/// on an incident, every minute; half of what the alert rule of `deploy/` waits for.
pub const KNOWN_FOR_MS: i64 = 300_000;

/// Opens after some calls in a row without an answer, lets nobody through for a while, and closes with the first answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Breaker {
    /// In a row.
    silent: u32,
    open_until: Option<i64>,
}

impl Breaker {
    /// Whether a call may be made.
    ///
    /// # Errors
    /// When the next one may, where none may now.
    pub fn admits(&self, now_ms: i64) -> Result<(), i64> {
        match self.open_until.filter(|until| now_ms < *until) {
            Some(until) => Err(until),
            None => Ok(()),
        }
    }

    /// How many calls in a row had no answer, once these are too many.
    pub fn outage(&self) -> Option<u32> {
        self.open_until.map(|_| self.silent)
    }

    /// Whether it is known that there is no answer: not long ago there was none.
    pub fn is_out(&self, now_ms: i64) -> bool {
        self.open_until.is_some_and(|until| now_ms < until.saturating_add(KNOWN_FOR_MS))
    }

    /// A call was answered, or it was not.
    pub fn note(&mut self, answered: bool, now_ms: i64) {
        if answered {
            *self = Self::default();
            return;
        }
        // Calls that left before it opened say nothing new.
        if self.admits(now_ms).is_err() {
            return;
        }
        self.silent = self.silent.saturating_add(1);
        if let Some(more) = self.silent.checked_sub(OPENS_AFTER) {
            let pause = PAUSE_MS.saturating_mul(1 << more.min(8)).min(PAUSE_MAX_MS);
            self.open_until = Some(now_ms.saturating_add(pause));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_opens_for_longer_and_longer_and_closes_with_an_answer() {
        let mut breaker = Breaker::default();
        for _ in 1..OPENS_AFTER {
            breaker.note(false, 0);
        }
        assert_eq!((breaker.admits(0), breaker.outage()), (Ok(()), None));
        breaker.note(false, 0);
        assert_eq!((breaker.admits(4_999), breaker.admits(5_000)), (Err(5_000), Ok(())));
        breaker.note(false, 1_000);
        assert_eq!(breaker.admits(5_000), Ok(()), "what left before says nothing new");
        breaker.note(false, 5_000);
        assert_eq!((breaker.admits(5_000), breaker.outage()), (Err(15_000), Some(6)));
        breaker.note(true, 6_000);
        assert_eq!((breaker.admits(6_000), breaker.outage()), (Ok(()), None));
    }

    #[test]
    fn an_outage_is_told_until_it_ends_or_nobody_knows() {
        let mut breaker = Breaker::default();
        for _ in 1..OPENS_AFTER {
            breaker.note(false, 0);
        }
        assert!(!breaker.is_out(0));
        breaker.note(false, 0);
        assert!(breaker.is_out(0) && breaker.is_out(5_000 + KNOWN_FOR_MS - 1));
        assert!(!breaker.is_out(5_000 + KNOWN_FOR_MS), "nobody asked for too long");
        breaker.note(false, 5_000 + KNOWN_FOR_MS);
        assert!(breaker.is_out(5_000 + KNOWN_FOR_MS), "it lasts still");
        breaker.note(true, 400_000);
        assert!(!breaker.is_out(400_000));
    }

    proptest! {
        /// Whatever happens, somebody may call within a minute, and an answer always closes it.
        #[test]
        fn nobody_waits_longer_than_a_minute(steps in prop::collection::vec((0i64..90_000, any::<bool>()), 1..200)) {
            let (mut breaker, mut now) = (Breaker::default(), 0);
            for (step, answered) in steps {
                now += step;
                breaker.note(answered, now);
                if let Err(until) = breaker.admits(now) {
                    prop_assert!(!answered && until - now <= PAUSE_MAX_MS);
                }
            }
            breaker.note(true, now);
            prop_assert_eq!(breaker, Breaker::default());
        }
    }
}
