//! A small experiment: a share of the traffic goes to the earlier version for some minutes, to tell two causes apart.
//!
//! The rule that is not obvious: what each cause predicts and how many requests tell them apart is said before anything
//! is changed. The result is read against the version that serves in the same minutes, not against the incident's level:
//! trouble that ends by itself meanwhile clears nobody.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::recovery::percent;
use super::rollback::RollbackTarget;

/// The share of the traffic, 0 to 1, that goes to the earlier version: what is wrong with it hurts one request in twenty.
pub const SHARE: f64 = 0.05;
/// How long it goes there.
pub const LASTS: SignedDuration = SignedDuration::from_mins(5);

/// Both kinds of error of the decision, under what either cause predicts: one test in twenty misleads.
const ERROR_RATE: f64 = 0.05;
/// What a healthy version fails now and then, and what a broken one serves: below and above, shares cannot be told apart.
const SHARE_MIN: f64 = 0.005;
const SHARE_MAX: f64 = 0.99;
/// More requests than this are not looked for: a test that needs them is none for five minutes.
const REQUESTS_MAX: u32 = 2_000;
/// So many standard deviations below its mean a count of arrivals falls once in twenty times.
const ONE_IN_TWENTY: f64 = 1.645;

/// What is to be tried, and what each of two causes predicts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Design {
    pub function: String,
    pub alias: String,
    /// The version that serves, and the one before the change.
    pub current: String,
    pub earlier: String,
    /// The change that lies between the two, and the other one, in a few words.
    pub change: String,
    pub other: String,
    /// The share of requests, 0 to 1, that fail on the earlier version if the change is to blame (as before the
    /// incident), and if the other is (as during it).
    pub if_change: f64,
    pub if_other: f64,
    /// Requests on the earlier version that tell the two apart, and those that its share brings nineteen times in twenty.
    pub needed: u32,
    pub expected: u32,
}

impl Design {
    /// What the two causes predict, for people.
    pub fn predicts(&self) -> String {
        let Self { change, other, current, earlier, .. } = self;
        format!(
            "If the {change} is to blame, about {} of the requests to version {earlier} fail, as before the incident; \
             if the {other} is, about {}, as on version {current}. {} requests tell that apart, and {} come at least, \
             nineteen times in twenty.",
            percent(self.if_change),
            percent(self.if_other),
            self.needed,
            self.expected
        )
    }

    /// What is tried, in a few words.
    pub fn describe(&self) -> String {
        let Self { function, alias, earlier, .. } = self;
        format!("{function}:{alias}, {} to version {earlier} for {}", share(), minutes())
    }

    /// The step that begins it; what only AWS knows (the revision) has to be prepared.
    pub fn step(&self) -> RollbackTarget {
        RollbackTarget::LambdaAlias {
            function: self.function.clone(),
            alias: self.alias.clone(),
            from_version: self.current.clone(),
            to_version: self.current.clone(),
            from_weights: BTreeMap::new(),
            to_weights: [(self.earlier.clone(), SHARE)].into(),
            revision_id: String::new(),
        }
    }

    /// Under what Lambda counts the requests that a version served behind the alias: dimensions, sorted by name.
    pub fn dimensions(&self, version: &str) -> Vec<(String, String)> {
        let pair = |name: &str, value: String| (name.to_owned(), value);
        vec![
            pair("ExecutedVersion", version.to_owned()),
            pair("FunctionName", self.function.clone()),
            pair("Resource", format!("{}:{}", self.function, self.alias)),
        ]
    }

    /// What its button says.
    pub fn label(&self) -> String {
        format!("Try {} on version {} for {}", share_in_figures(), self.earlier, minutes())
    }
}

/// `5 %`.
pub fn share_in_figures() -> String {
    format!("{:.0} %", SHARE * 100.0)
}

/// `5 % of the traffic`.
pub fn share() -> String {
    format!("{} of the traffic", share_in_figures())
}

/// `5 minutes`.
pub fn minutes() -> String {
    format!("{} minutes", LASTS.as_mins())
}

/// Requests of one version, and those of them that failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Count {
    pub requests: f64,
    pub failures: f64,
}

impl Count {
    fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.failures += other.failures.min(other.requests);
    }

    /// `1 of 26 requests`.
    pub fn describe(self) -> String {
        format!("{:.0} of {:.0} requests", self.failures, self.requests)
    }
}

/// A test that was made, and what was counted in the minutes in which both versions served.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    #[serde(flatten)]
    pub design: Design,
    pub begun_at: Timestamp,
    pub ended_at: Timestamp,
    pub earlier_count: Count,
    pub current_count: Count,
}

/// How the result reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// The earlier version is well where the other one fails.
    PointsAtIt,
    /// The earlier version fails as the other one does.
    ClearsIt,
    Undecided,
}

impl Word {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PointsAtIt => "points_at_it",
            Self::ClearsIt => "clears_it",
            Self::Undecided => "undecided",
        }
    }
}

/// From so many to one on a result says something; below, chance would do as well.
pub const TELLS: f64 = 3.0;

impl Trial {
    /// How many times likelier the counts are if the change is to blame than if anything else is that both versions
    /// meet: binomial, at the level before the incident against the level of the version that serves in the same minutes.
    pub fn likelihood_ratio(&self) -> f64 {
        let (earlier, current) = (self.earlier_count, self.current_count);
        if earlier.requests <= 0.0 || current.requests <= 0.0 {
            return 1.0;
        }
        let bound = |share: f64| share.clamp(SHARE_MIN, SHARE_MAX);
        let well = bound(self.design.if_change);
        // Laplace's rule: a level from few requests is nearer to a half than what was counted.
        let ill = bound((current.failures + 1.0) / (current.requests + 2.0)).max(well);
        let failed = earlier.failures.clamp(0.0, earlier.requests);
        let served = earlier.requests - failed;
        let log = failed * (well / ill).ln() + served * ((1.0 - well) / (1.0 - ill)).ln();
        libm::exp(log.clamp(-20.0, 20.0))
    }

    pub fn word(&self) -> Word {
        match self.likelihood_ratio() {
            ratio if ratio >= TELLS => Word::PointsAtIt,
            ratio if ratio <= 1.0 / TELLS => Word::ClearsIt,
            _ => Word::Undecided,
        }
    }

    /// What was counted, as part of a sentence.
    pub fn counted(&self) -> String {
        let Design { earlier, current, .. } = &self.design;
        if self.earlier_count.requests <= 0.0 {
            return format!("no request to version {earlier} was counted beside version {current}");
        }
        format!(
            "{} to version {earlier} failed, and {} to version {current} in the same minutes",
            self.earlier_count.describe(),
            self.current_count.describe()
        )
    }

    /// The result for people, with the figures that it rests on.
    pub fn describe(&self) -> String {
        let Design { change, other, .. } = &self.design;
        let means = match self.word() {
            Word::PointsAtIt => format!("That points at the {change}"),
            Word::ClearsIt => {
                format!("That speaks against the {change}, and leaves the {other} or what else both meet")
            }
            Word::Undecided => "That does not tell the two apart".to_owned(),
        };
        format!("The test is over: {}. {means}.", self.counted())
    }
}

/// Requests of two versions in the minutes in which both served: what was counted of only one of them, before the test
/// reached everybody or after somebody moved the alias, is of other minutes.
pub fn beside(earlier: &[(Timestamp, Count)], current: &[(Timestamp, Count)]) -> (Count, Count) {
    let (mut one, mut other) = (Count::default(), Count::default());
    for (at, mine) in earlier.iter().filter(|(_, count)| count.requests > 0.0) {
        let theirs = current.iter().find(|(minute, count)| minute == at && count.requests > 0.0);
        let Some((_, theirs)) = theirs else { continue };
        one.add(*mine);
        other.add(*theirs);
    }
    (one, other)
}

/// How many requests on the earlier version tell two shares of failing ones apart: the fewest for which some count
/// divides them with at most [`ERROR_RATE`] on either side (exact binomial). `None` where none are enough.
pub fn requests_needed(if_change: f64, if_other: f64) -> Option<u32> {
    let bound = |share: f64| share.clamp(SHARE_MIN, SHARE_MAX);
    let (low, high) = (bound(if_change), bound(if_other));
    if low >= high {
        return None;
    }
    (1..=REQUESTS_MAX).find(|requests| divides(*requests, low, high))
}

/// Whether some count of failures is reached once in twenty times at most under the lower share, and missed so often
/// at most under the higher one.
fn divides(requests: u32, low: f64, high: f64) -> bool {
    let (mut below_low, mut below_high) = (0.0, 0.0);
    let (mut at_low, mut at_high) = (none_of(requests, low), none_of(requests, high));
    for failures in 0..=requests {
        // So far: the probability of fewer failures than this.
        if 1.0 - below_low <= ERROR_RATE {
            return below_high <= ERROR_RATE;
        }
        below_low += at_low;
        below_high += at_high;
        let odds = |share: f64| share / (1.0 - share);
        let next = f64::from(requests - failures) / f64::from(failures + 1);
        at_low *= next * odds(low);
        at_high *= next * odds(high);
    }
    false
}

/// The probability that none of so many requests fails.
fn none_of(requests: u32, share: f64) -> f64 {
    libm::exp(f64::from(requests) * libm::log1p(-share))
}

/// The requests that [`SHARE`] of this traffic brings within [`LASTS`], nineteen times in twenty. `a_minute`: requests.
pub fn requests_expected(a_minute: f64) -> u32 {
    let mean = (a_minute * SHARE * LASTS.as_secs_f64() / 60.0).max(0.0);
    (mean - ONE_IN_TWENTY * mean.sqrt()).max(0.0) as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn trial(earlier: (f64, f64), current: (f64, f64)) -> Trial {
        let at = |text: &str| -> Timestamp { text.parse().unwrap() };
        let count = |(failures, requests)| Count { requests, failures };
        Trial {
            design: Design {
                function: "checkout".into(),
                alias: "live".into(),
                current: "2".into(),
                earlier: "1".into(),
                change: "alias move of checkout".into(),
                other: "parameter change of /checkout/limit".into(),
                if_change: 0.01,
                if_other: 0.4,
                needed: 7,
                expected: 16,
            },
            begun_at: at("2026-02-06T12:20:00Z"),
            ended_at: at("2026-02-06T12:25:00Z"),
            earlier_count: count(earlier),
            current_count: count(current),
        }
    }

    #[test]
    fn an_earlier_version_that_is_well_points_at_the_change_and_one_that_fails_clears_it() {
        assert_eq!(trial((0.0, 25.0), (190.0, 475.0)).word(), Word::PointsAtIt);
        assert_eq!(trial((11.0, 25.0), (190.0, 475.0)).word(), Word::ClearsIt);
        assert_eq!(trial((0.0, 2.0), (190.0, 475.0)).word(), Word::Undecided, "two requests tell nothing");
        assert_eq!(trial((0.0, 0.0), (190.0, 475.0)).word(), Word::Undecided);
    }

    #[test]
    fn trouble_that_ended_meanwhile_clears_nobody_and_blames_nobody() {
        assert_eq!(trial((0.0, 25.0), (2.0, 475.0)).word(), Word::Undecided);
        assert_eq!(trial((1.0, 25.0), (5.0, 475.0)).word(), Word::Undecided);
    }

    #[test]
    fn people_are_told_the_counts_and_what_they_mean() {
        assert_eq!(
            trial((0.0, 25.0), (190.0, 475.0)).describe(),
            "The test is over: 0 of 25 requests to version 1 failed, and 190 of 475 requests to version 2 in the \
             same minutes. That points at the alias move of checkout."
        );
        assert!(trial((0.0, 0.0), (1.0, 9.0)).describe().contains("no request to version 1 was counted"));
    }

    #[test]
    fn the_nearer_two_levels_are_the_more_requests_tell_them_apart() {
        // Of 7 requests at 1 % two fail in 500 times once; at 60 % fewer than two do in 50.
        let clear = requests_needed(0.01, 0.6).unwrap();
        assert!((4..=8).contains(&clear), "{clear}");
        let near = requests_needed(0.01, 0.05).unwrap();
        assert!((100..=300).contains(&near), "{near}");
        assert_eq!(requests_needed(0.4, 0.4), None);
        assert_eq!(requests_needed(0.2, 0.1), None);
        assert_eq!(requests_needed(0.1, 0.105), None, "no five minutes bring these");
    }

    #[test]
    fn what_comes_at_least_is_less_than_what_comes_on_average() {
        assert_eq!(requests_expected(100.0), 16);
        assert_eq!(requests_expected(4.0), 0);
        assert_eq!(requests_expected(0.0), 0);
    }

    #[test]
    fn only_minutes_in_which_both_served_are_compared() {
        let at = |minute: i64| -> Timestamp {
            "2026-02-06T12:20:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_mins(minute)
        };
        let count = |requests, failures| Count { requests, failures };
        let earlier = [(at(0), count(5.0, 0.0)), (at(2), count(0.0, 0.0)), (at(3), count(400.0, 9.0))];
        let current = [(at(0), count(95.0, 40.0)), (at(1), count(100.0, 41.0)), (at(2), count(99.0, 39.0))];
        assert_eq!(beside(&earlier, &current), (count(5.0, 0.0), count(95.0, 40.0)));
    }

    proptest! {
        #[test]
        fn so_many_requests_hold_both_errors_below_one_in_twenty(low in 0.0f64..0.3, rise in 0.05f64..0.6) {
            let high = low + rise;
            if let Some(requests) = requests_needed(low, high) {
                let reach = |share: f64, from: u32| -> f64 {
                    let share = share.clamp(SHARE_MIN, SHARE_MAX);
                    let choose = |failures: u32| {
                        let count = f64::from(requests);
                        let failed = f64::from(failures);
                        libm::lgamma(count + 1.0) - libm::lgamma(failed + 1.0) - libm::lgamma(count - failed + 1.0)
                    };
                    let at = |failures: u32| {
                        let failed = f64::from(failures);
                        let served = f64::from(requests) - failed;
                        libm::exp(choose(failures) + failed * share.ln() + served * (1.0 - share).ln())
                    };
                    (from..=requests).map(at).sum()
                };
                let divided = (0..=requests).any(|from| reach(low, from) <= 0.0501 && reach(high, from) >= 0.9499);
                prop_assert!(divided, "{low} {high} {requests}");
            }
        }

        #[test]
        fn a_likelihood_ratio_is_finite_and_falls_with_each_failure(
            requests in 1u32..400, failures in 0u32..400, current in 0u32..5_000, failed in 0u32..5_000,
        ) {
            let failures = failures.min(requests - 1);
            let ratio = |failures: u32| {
                let current = (f64::from(failed.min(current)), f64::from(current));
                trial((f64::from(failures), f64::from(requests)), current).likelihood_ratio()
            };
            prop_assert!(ratio(failures).is_finite() && ratio(failures) > 0.0);
            prop_assert!(ratio(failures + 1) <= ratio(failures) * (1.0 + 1e-9));
        }
    }
}
