//! What every form of a report says in the same words: its title, how sure it is, lists folded to what
//! somebody reads who was asleep a minute ago.
//!
//! The rule that is not obvious: nothing is dropped from the report itself. JSON holds each cleared
//! change and each gap; here they are put together where one sentence holds for several.

use super::report::{Cause, Hypothesis, Report};

/// A hypothesis below this probability is not worth a line.
const TOLD: f64 = 0.01;
/// An unknown cause's best guesses are named from this probability on.
const GUESS: f64 = 0.05;
/// So many of several are named; the rest is counted.
const NAMED: usize = 3;

/// Several things of which one sentence holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Together<'a> {
    pub what: Vec<&'a str>,
    pub reason: &'a str,
}

impl Together<'_> {
    /// The names in one line: `a, b, c and 4 more`.
    pub fn names(&self) -> String {
        let named = self.what.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
        match self.what.len().saturating_sub(NAMED) {
            0 => named,
            more => format!("{named} and {more} more"),
        }
    }
}

impl Cause {
    /// The cause as somebody would say it.
    pub fn describe(self) -> &'static str {
        match self {
            Cause::Deployment => "a change",
            Cause::Traffic => "more demand than usual",
            Cause::Dependency => "a dependency in trouble",
            Cause::Exhaustion => "a resource ran out",
            Cause::Expiry => "something expired",
            Cause::Platform => "trouble at the provider",
            Cause::Recurring => "the same as on earlier days",
            Cause::None => "no incident under way",
            Cause::Unknown => "cause not decided",
        }
    }
}

impl Hypothesis {
    /// The cause and what it is about, in a few words.
    pub fn describe(&self) -> String {
        match (self.cause, &self.about) {
            (Cause::Deployment, Some(about)) => about.clone(),
            (Cause::Dependency, Some(about)) => format!("{about} is in trouble"),
            // Beside others it stands for what nobody thought of.
            (Cause::Unknown, _) => "something else".to_owned(),
            (cause, Some(about)) => format!("{} ({about})", cause.describe()),
            (cause, None) => cause.describe().to_owned(),
        }
    }
}

impl Report {
    /// A few words for a title, without the service's name.
    pub fn title(&self) -> String {
        match (&self.verdict.change, self.hypotheses.first()) {
            (Some(change), _) => {
                // The service is named before the title already.
                let whose = if change.resource == self.service {
                    String::new()
                } else {
                    format!(" of {}", change.resource)
                };
                // A parameter is its own only key.
                let told = change.config.iter().map(|key| key.key.as_str());
                let told = told.filter(|key| *key != change.resource);
                let keys = Together { what: told.collect(), reason: "" };
                let keys = if keys.what.is_empty() { String::new() } else { format!(" ({})", keys.names()) };
                format!("{}{whose}{keys}", change.kind.describe())
            }
            (None, Some(leader)) if leader.about.is_some() => leader.describe(),
            (None, _) => self.verdict.cause.describe().to_owned(),
        }
    }

    /// How sure the verdict is, as a sentence; of an unknown cause, what is likeliest.
    pub fn sureness(&self) -> String {
        if self.verdict.cause != Cause::Unknown {
            return format!("Confidence: {}.", whole_percent(self.verdict.confidence));
        }
        let guesses: Vec<String> = self
            .hypotheses
            .iter()
            .filter(|guess| guess.cause != Cause::Unknown && guess.probability >= GUESS)
            .take(2)
            .map(|guess| format!("{} ({})", guess.describe(), whole_percent(guess.probability)))
            .collect();
        match guesses.as_slice() {
            [] => "Nothing that was weighed comes near.".to_owned(),
            guesses => format!("Likeliest of what was weighed: {}.", guesses.join(", ")),
        }
    }

    /// The hypotheses that are worth a line.
    pub fn told_hypotheses(&self) -> impl Iterator<Item = &Hypothesis> {
        self.hypotheses.iter().filter(|hypothesis| hypothesis.probability >= TOLD)
    }

    /// What was cleared, in the report's order, put together by reason.
    pub fn cleared_by_reason(&self) -> Vec<Together<'_>> {
        together(self.cleared.iter().map(|cleared| (cleared.what.as_str(), cleared.reason.as_str())))
    }

    /// What was missing, put together by reason.
    pub fn gaps_by_reason(&self) -> Vec<Together<'_>> {
        together(self.gaps.iter().map(|gap| (gap.source.as_str(), gap.reason.as_str())))
    }
}

fn together<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<Together<'a>> {
    let mut found: Vec<Together<'a>> = Vec::new();
    for (what, reason) in pairs {
        match found.iter_mut().find(|known| known.reason == reason) {
            Some(known) if known.what.contains(&what) => {}
            Some(known) => known.what.push(what),
            None => found.push(Together { what: vec![what], reason }),
        }
    }
    found
}

/// A probability in whole percent.
fn whole_percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::change::{ChangeKind, KeyChange};
    use crate::domain::report::NamedChange;

    #[test]
    fn a_title_names_the_keys_and_says_no_name_twice() {
        let named = |resource: &str, keys: &[&str]| {
            let key = |key: &&str| KeyChange { key: (*key).into(), before: None, after: None };
            let mut report = Report::bare("checkout", Cause::Deployment, 0.97);
            report.verdict.change = Some(NamedChange {
                event_id: None,
                kind: ChangeKind::LambdaConfig,
                resource: resource.into(),
                at: jiff::Timestamp::UNIX_EPOCH,
                actor: None,
                config: keys.iter().map(key).collect(),
            });
            report.title()
        };
        assert_eq!(named("checkout", &[]), "configuration change");
        assert_eq!(named("/shop/limit", &["/shop/limit"]), "configuration change of /shop/limit");
        assert_eq!(named("checkout", &["POOL", "CALLERS"]), "configuration change (POOL, CALLERS)");
        assert_eq!(
            named("payments", &["A", "B", "C", "D"]),
            "configuration change of payments (A, B, C and 1 more)"
        );
    }

    #[test]
    fn one_sentence_tells_of_all_that_it_holds_for() {
        let pairs =
            [("a", "late"), ("b", "early"), ("c", "late"), ("a", "late"), ("d", "late"), ("e", "late")];
        let folded = together(pairs.into_iter());
        assert_eq!(folded.len(), 2);
        assert_eq!(folded.first().map(Together::names).as_deref(), Some("a, c, d and 1 more"));
    }
}
