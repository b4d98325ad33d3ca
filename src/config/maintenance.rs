//! Times of planned work, in which a service's alerts are held back like those of a muted one.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::Period;

/// Planned work, once or again and again.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Maintenance {
    /// Whose alerts are held back; empty: everybody's.
    #[serde(default)]
    pub services: Vec<String>,
    /// When it begins, such as `2026-02-07T22:00:00Z`.
    pub from: Timestamp,
    /// When it ends.
    pub until: Timestamp,
    /// From one beginning to the next; absent: only once.
    pub every: Option<Period>,
    /// Told with what was held back.
    pub reason: String,
}

impl Maintenance {
    /// What cannot be meant.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn check(&self) -> Result<(), String> {
        let about = format!("the maintenance from {}", self.from);
        let lasts = self.until.duration_since(self.from);
        if lasts <= SignedDuration::ZERO {
            return Err(format!("{about} ends before it begins"));
        }
        if self.every.is_some_and(|every| every.0 < lasts) {
            return Err(format!("{about} lasts longer than `every`: it would never end"));
        }
        if self.reason.trim().is_empty() {
            return Err(format!("{about} has no reason"));
        }
        Ok(())
    }

    /// Beginning and end of the time that this moment is in.
    pub fn at(&self, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let since = now.duration_since(self.from);
        if since < SignedDuration::ZERO {
            return None;
        }
        let passed = match self.every {
            Some(every) => since.as_millis() / every.0.as_millis().max(1) * every.0.as_millis().max(1),
            None => 0,
        };
        let passed = SignedDuration::from_millis(i64::try_from(passed).ok()?);
        let (from, until) = (self.from.checked_add(passed).ok()?, self.until.checked_add(passed).ok()?);
        (now < until).then_some((from, until))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Config;
    use super::*;

    fn weekly() -> Maintenance {
        Maintenance {
            services: vec!["checkout".into()],
            from: "2026-02-07T22:00:00Z".parse().unwrap(),
            until: "2026-02-08T02:00:00Z".parse().unwrap(),
            every: Some(Period(SignedDuration::from_hours(7 * 24))),
            reason: "patches".into(),
        }
    }

    #[test]
    fn a_weekly_window_comes_again_and_ends_each_time() {
        let at = |text: &str| weekly().at(text.parse().unwrap()).map(|(from, _)| from.to_string());
        assert_eq!(at("2026-02-07T21:59:59Z"), None);
        assert_eq!(at("2026-02-07T22:00:00Z").as_deref(), Some("2026-02-07T22:00:00Z"));
        assert_eq!(at("2026-02-08T02:00:00Z"), None);
        assert_eq!(at("2026-02-22T01:59:59Z").as_deref(), Some("2026-02-21T22:00:00Z"));
        let once = Maintenance { every: None, ..weekly() };
        assert_eq!(once.at("2026-02-14T23:00:00Z".parse().unwrap()), None);
    }

    #[test]
    fn a_window_that_cannot_be_meant_is_refused() {
        for (wrong, why) in [
            (
                "from = \"2026-02-07T22:00:00Z\"\nuntil = \"2026-02-07T22:00:00Z\"\nreason = \"x\"",
                "ends before",
            ),
            (
                "from = \"2026-02-07T22:00:00Z\"\nuntil = \"2026-02-08T22:00:00Z\"\nreason = \" \"",
                "no reason",
            ),
            (
                "from = \"2026-02-07T22:00:00Z\"\nuntil = \"2026-02-08T22:00:00Z\"\nevery = \"2h\"\nreason = \"x\"",
                "never end",
            ),
            ("from = \"2026-02-07T22:00:00Z\"\nreason = \"x\"", "until"),
        ] {
            let error = Config::parse(&format!("[[maintenance]]\n{wrong}\n")).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }

    proptest! {
        #[test]
        fn the_time_that_a_moment_is_in_contains_it(seconds in -1_000_000i64..100_000_000) {
            let window = weekly();
            let now = window.from + SignedDuration::from_secs(seconds);
            if let Some((from, until)) = window.at(now) {
                prop_assert!(from <= now && now < until);
                prop_assert_eq!(until.duration_since(from), window.until.duration_since(window.from));
            }
        }
    }
}
