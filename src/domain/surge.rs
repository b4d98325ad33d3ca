//! Whether a log group's errors surge, against what it usually writes.
//!
//! The rule that is not obvious: a subscription may deliver error lines only. Silence then is no line, so the
//! baseline is counted by time; where ordinary lines come too, more errors among as many more lines are no surge.

use jiff::{SignedDuration, Timestamp};

/// What is looked at.
const WINDOW: i64 = 5;
/// Between baseline and window lies what may belong to the trouble already: errors that creep up are its beginning.
const APART: i64 = 10;
/// The baseline: a day has every hour of it.
pub const BASELINE: SignedDuration = SignedDuration::from_hours(24);
/// Less than half an hour of a group's life is no baseline.
const KNOWN: i64 = 30;
/// Fewer errors than this in five minutes wake nobody, however quiet the group was.
const ERRORS: u64 = 10;
/// Errors come in bunches, which the chance below does not know: a surge is also so many times the usual.
const TIMES: f64 = 4.0;
/// Chance of so many errors in one window by accident. A group has 105,000 windows of five minutes in a year: at one in
/// a million, independent errors raise a false alarm once in ten years.
const CHANCE: f64 = 1e-6;
/// Firehose holds lines back for up to 900 seconds, by its buffer's interval.
const HELD_BACK: i64 = 15;
/// A surge is over once ten minutes have at most twice the usual.
const CALM: i64 = 10;
const CALM_TIMES: f64 = 2.0;

/// Lines of one minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Minute {
    /// Since the epoch.
    pub minute: i64,
    pub lines: u64,
    pub errors: u64,
}

/// What the counts say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Verdict {
    /// So many errors in five minutes, where so many are usual.
    Surges {
        errors: u64,
        usual: f64,
    },
    /// It surged, and does not any more.
    Over,
    Nothing,
}

/// Judges a group's minutes; `first` is when its first line was delivered, `surges` whether it is known to surge.
pub fn judge(minutes: &[Minute], first: Timestamp, now: Timestamp, surges: bool) -> Verdict {
    let now = now.as_second().div_euclid(60);
    let newest = minutes.iter().map(|one| one.minute).max().unwrap_or(now).min(now);
    // What was held back is judged as of when it was written.
    let end = if now - newest <= HELD_BACK { newest } else { now };
    let begin = first.as_second().div_euclid(60).max(end - BASELINE.as_mins());
    let (window, until) = (end - WINDOW + 1, end - WINDOW - APART + 1);
    if until - begin < KNOWN {
        return Verdict::Nothing;
    }
    let sum = |from: i64, until: i64| {
        let inside = minutes.iter().filter(|one| (from..until).contains(&one.minute));
        inside.fold((0, 0), |(lines, errors), one| (lines + one.lines, errors + one.errors))
    };
    let (lines, errors) = sum(begin, until);
    let by_time = errors as f64 / (until - begin) as f64;
    let usual = |from: i64| {
        let (now_lines, now_errors) = sum(from, end + 1);
        let by_time = by_time * (end + 1 - from) as f64;
        // Only where ordinary lines are delivered too is there a share of errors among them.
        let by_share = if lines > errors { errors as f64 / lines as f64 * now_lines as f64 } else { 0.0 };
        (now_errors, by_time.max(by_share))
    };
    let (errors, expected) = usual(window);
    // A group that never failed yet may fail a little: one error in a window is not unheard of.
    let expected = expected.max(1.0);
    if surges {
        let (errors, expected) = usual(end - CALM + 1);
        let calm = errors as f64 <= CALM_TIMES * expected.max(1.0);
        return if calm { Verdict::Over } else { Verdict::Nothing };
    }
    let surge = errors >= ERRORS && errors as f64 >= TIMES * expected && tail(errors, expected) < CHANCE;
    if surge { Verdict::Surges { errors, usual: expected } } else { Verdict::Nothing }
}

/// An upper bound of the chance of at least `count` where `expected` are usual and come independently (Poisson): the
/// first term of the tail, times the geometric series that lies above the rest.
fn tail(count: u64, expected: f64) -> f64 {
    let count = count as f64;
    if count <= expected {
        return 1.0;
    }
    let first = count * expected.ln() - expected - libm::lgamma(count + 1.0);
    (first.exp() * (count + 1.0) / (count + 1.0 - expected)).min(1.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn now() -> Timestamp {
        "2026-02-06T12:00:00Z".parse().unwrap()
    }

    /// By minutes before now: lines and errors.
    fn minutes(count: i64, of: impl Fn(i64) -> (u64, u64)) -> Vec<Minute> {
        let end = now().as_second() / 60;
        (0..count)
            .map(|ago| (ago, of(ago)))
            .map(|(ago, (lines, errors))| Minute { minute: end - ago, lines, errors })
            .collect()
    }

    fn hours_ago(hours: i64) -> Timestamp {
        now() - SignedDuration::from_hours(hours)
    }

    #[test]
    fn many_times_the_usual_errors_are_a_surge() {
        let told = minutes(240, |ago| if ago < 5 { (100, 8) } else { (100, 1) });
        let Verdict::Surges { errors, usual } = judge(&told, hours_ago(4), now(), false) else { panic!() };
        assert_eq!((errors, usual.round()), (40, 5.0));
    }

    #[test]
    fn errors_alone_are_held_against_the_time_in_which_none_came() {
        let told = minutes(5, |_| (3, 3));
        assert!(matches!(judge(&told, hours_ago(24), now(), false), Verdict::Surges { errors: 15, .. }));
        // A group that is known for ten minutes has no usual yet.
        let fresh = now() - SignedDuration::from_mins(10);
        assert_eq!(judge(&told, fresh, now(), false), Verdict::Nothing);
    }

    #[test]
    fn lines_that_were_held_back_are_judged_as_of_when_they_were_written() {
        let told =
            minutes(240, |ago| if (6..11).contains(&ago) { (100, 8) } else { (100, u64::from(ago > 5)) });
        let told: Vec<Minute> = told.into_iter().skip(6).collect();
        assert!(matches!(judge(&told, hours_ago(4), now(), false), Verdict::Surges { errors: 40, .. }));
        assert_eq!(
            judge(&told[30..], hours_ago(4), now(), false),
            Verdict::Nothing,
            "half an hour old is the past"
        );
    }

    #[test]
    fn as_many_more_errors_as_lines_are_traffic_and_no_surge() {
        let told = minutes(240, |ago| if ago < 5 { (1000, 10) } else { (100, 1) });
        assert_eq!(judge(&told, hours_ago(4), now(), false), Verdict::Nothing);
    }

    #[test]
    fn what_comes_in_bunches_of_a_usual_size_is_no_surge() {
        let told = minutes(1440, |ago| if ago % 60 < 3 { (20, 12) } else { (20, 2) });
        assert_eq!(judge(&told, hours_ago(24), now(), false), Verdict::Nothing);
    }

    #[test]
    fn a_surge_is_over_after_ten_calm_minutes() {
        let calm_for = |calm: i64| {
            let told = minutes(240, |ago| if (calm..40).contains(&ago) { (100, 50) } else { (100, 1) });
            judge(&told, hours_ago(4), now(), true)
        };
        assert_eq!(calm_for(5), Verdict::Nothing);
        assert_eq!(calm_for(10), Verdict::Over);
    }

    proptest! {
        #[test]
        fn fewer_errors_than_are_usual_never_surge(errors in 0_u64..50, usual in 1_u64..50) {
            let told = minutes(240, |ago| if ago < 5 { (100, errors.min(usual)) } else { (100, usual) });
            prop_assert_eq!(judge(&told, hours_ago(4), now(), false), Verdict::Nothing);
        }

        #[test]
        fn more_errors_are_never_likelier(count in 1_u64..500, expected in 0.1_f64..300.0) {
            prop_assert!(tail(count + 1, expected) <= tail(count, expected) + 1e-12);
        }
    }
}
