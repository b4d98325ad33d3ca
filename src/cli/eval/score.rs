//! One bundle's points, and all of them together.

use std::collections::BTreeMap;
use std::time::Duration;

use super::truth::{Offer, Truth};
use super::{Case, naive};
use crate::domain::report::{ActionKind, Cause, Hypothesis, Report};

/// A hypothesis, and whether the truth has it so.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    pub cause: Cause,
    pub is_right: bool,
    pub probability: f64,
}

/// One bundle, scored.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent findings about one answer, each counted by itself"
)]
pub struct Scored {
    pub name: String,
    pub truth: Truth,
    /// Why it could not be investigated.
    pub failed: Option<String>,
    pub said: Option<Cause>,
    pub event_id: Option<String>,
    pub confidence: f64,
    pub action: Option<ActionKind>,
    pub keys: Vec<String>,
    pub right: bool,
    pub change_right: Option<bool>,
    /// Changes that the report clears: innocent ones, and such as are to blame.
    pub cleared: (usize, usize),
    pub keys_found: usize,
    pub keys_extra: usize,
    /// Values that nothing in the bundle shows.
    pub invented: Vec<String>,
    pub harmful_offer: bool,
    pub missed_offer: bool,
    pub overconfident: bool,
    pub underconfident: bool,
    /// Squared error of the whole distribution over causes.
    pub brier: f64,
    pub nearest_right: bool,
    pub nearest_harmful: bool,
    pub unknown_right: bool,
    /// Every hypothesis, best first.
    pub rows: Vec<Row>,
    pub took: Duration,
}

impl Scored {
    fn of(case: Case) -> Self {
        let truth = case.truth;
        let mut scored = Self {
            name: case.name,
            failed: None,
            said: None,
            event_id: None,
            confidence: 1.0,
            action: None,
            keys: Vec::new(),
            right: false,
            change_right: None,
            cleared: (0, 0),
            keys_found: 0,
            keys_extra: 0,
            invented: Vec::new(),
            harmful_offer: false,
            missed_offer: truth.rollback == Offer::Yes,
            overconfident: false,
            underconfident: false,
            brier: 1.0,
            nearest_right: false,
            nearest_harmful: false,
            unknown_right: truth.cause.contains(&Cause::Unknown),
            rows: Vec::new(),
            took: case.took,
            truth,
        };
        match case.outcome {
            Err(error) => scored.failed = Some(error),
            Ok(outcome) => {
                scored.judge(&outcome.report, &outcome.nearest);
                scored.invented = outcome.invented;
            }
        }
        scored
    }

    /// A bundle of which nothing is known but its name.
    #[cfg(test)]
    pub fn unread(name: &str) -> Self {
        Self::of(Case {
            name: name.to_owned(),
            truth: Truth::unreadable(),
            outcome: Err("not read".to_owned()),
            took: Duration::ZERO,
        })
    }

    fn judge(&mut self, report: &Report, nearest: &naive::Guess) {
        let truth = &self.truth;
        let verdict = &report.verdict;
        self.said = Some(verdict.cause);
        self.confidence = verdict.confidence;
        self.action = Some(report.action.kind);
        self.event_id = verdict.change.as_ref().and_then(|change| change.event_id.clone());
        self.right = is_right(truth, verdict.cause, self.event_id.as_deref());
        if truth.cause.first() == Some(&Cause::Deployment) && verdict.cause == Cause::Deployment {
            self.change_right = Some(self.right);
        }
        let is_guilty = |id: &Option<String>| id.as_ref().is_some_and(|id| truth.event_ids.contains(id));
        let guilty = report.cleared.iter().filter(|cleared| is_guilty(&cleared.event_id)).count();
        self.cleared = (report.cleared.len() - guilty, guilty);
        if let Some(change) = &verdict.change {
            self.keys = change.config.iter().map(|key| key.key.clone()).collect();
        }
        self.keys_found = truth.config_keys.iter().filter(|key| self.keys.contains(key)).count();
        self.keys_extra = self.keys.iter().filter(|key| !truth.config_keys.contains(key)).count();
        let offered = report.action.kind == ActionKind::Rollback;
        self.harmful_offer = offered && truth.rollback == Offer::No;
        self.missed_offer = !offered && truth.rollback == Offer::Yes;
        self.overconfident = verdict.cause != Cause::Unknown && verdict.confidence > truth.max_confidence;
        self.underconfident = self.right && verdict.confidence < truth.min_confidence;
        self.rows = rows(report, truth);
        self.brier = brier(&self.rows);
        self.nearest_right = is_right(truth, nearest.cause, nearest.event_id.as_deref());
        self.nearest_harmful = nearest.cause == Cause::Deployment && truth.rollback == Offer::No;
    }
}

/// Right: the cause is among the truth's, and a deployment names the right change.
pub fn is_right(truth: &Truth, cause: Cause, event_id: Option<&str>) -> bool {
    if !truth.cause.contains(&cause) {
        return false;
    }
    if cause != Cause::Deployment {
        return true;
    }
    match event_id {
        Some(id) => truth.event_ids.is_empty() || truth.event_ids.iter().any(|known| known == id),
        None => truth.event_ids.is_empty(),
    }
}

fn rows(report: &Report, truth: &Truth) -> Vec<Row> {
    let row = |hypothesis: &Hypothesis| Row {
        cause: hypothesis.cause,
        is_right: is_right(truth, hypothesis.cause, hypothesis.event_id.as_deref()),
        probability: hypothesis.probability,
    };
    report.hypotheses.iter().map(row).collect()
}

/// Brier's score over the hypotheses: 0 is perfect, 2 is certain and wrong.
fn brier(rows: &[Row]) -> f64 {
    let right: f64 = rows.iter().filter(|row| row.is_right).map(|row| row.probability).sum();
    let wrong: f64 = rows.iter().filter(|row| !row.is_right).map(|row| row.probability.powi(2)).sum();
    (1.0 - right).powi(2) + wrong
}

/// All bundles.
#[derive(Debug, Clone)]
pub struct Scoreboard {
    pub scored: Vec<Scored>,
}

/// A share with its 95 % interval (Wilson 1927).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    pub hits: usize,
    pub of: usize,
    pub low: f64,
    pub high: f64,
}

impl Share {
    pub fn of(hits: usize, of: usize) -> Self {
        const Z: f64 = 1.96;
        if of == 0 {
            return Self { hits, of, low: 0.0, high: 1.0 };
        }
        let (k, n) = (hits as f64, of as f64);
        let share = k / n;
        let scale = 1.0 + Z * Z / n;
        let centre = (share + Z * Z / (2.0 * n)) / scale;
        let half = Z / scale * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
        Self { hits, of, low: (centre - half).max(0.0), high: (centre + half).min(1.0) }
    }

    pub fn value(self) -> f64 {
        if self.of == 0 { 0.0 } else { self.hits as f64 / self.of as f64 }
    }
}

/// Verdicts of one band of confidence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Band {
    pub from: f64,
    pub to: f64,
    pub count: usize,
    pub confidence: f64,
    pub right: f64,
}

impl Scoreboard {
    pub fn of(cases: Vec<Case>) -> Self {
        Self { scored: cases.into_iter().map(Scored::of).collect() }
    }

    pub fn count(&self, is: impl Fn(&Scored) -> bool) -> usize {
        self.scored.iter().filter(|one| is(one)).count()
    }

    pub fn right(&self) -> Share {
        Share::of(self.count(|one| one.right), self.scored.len())
    }

    /// By the truth's first cause: right of all.
    pub fn by_cause(&self) -> BTreeMap<Cause, Share> {
        let mut counts: BTreeMap<Cause, (usize, usize)> = BTreeMap::new();
        for one in &self.scored {
            let Some(cause) = one.truth.cause.first() else { continue };
            let entry = counts.entry(*cause).or_insert((0, 0));
            entry.0 += usize::from(one.right);
            entry.1 += 1;
        }
        counts.into_iter().map(|(cause, (hits, of))| (cause, Share::of(hits, of))).collect()
    }

    /// Where a change is to blame: the right one named, a wrong one, and none.
    pub fn named_change(&self) -> (Share, Share, Share) {
        let of = self.count(|one| one.truth.cause.first() == Some(&Cause::Deployment));
        let count = |named: Option<bool>| {
            let guilty = |one: &Scored| one.truth.cause.first() == Some(&Cause::Deployment);
            Share::of(self.count(|one| guilty(one) && one.change_right == named), of)
        };
        (count(Some(true)), count(Some(false)), count(None))
    }

    /// Changes that reports clear: how many of them innocent, of all.
    pub fn cleared(&self) -> Share {
        let innocent: usize = self.scored.iter().map(|one| one.cleared.0).sum();
        let guilty: usize = self.scored.iter().map(|one| one.cleared.1).sum();
        Share::of(innocent, innocent + guilty)
    }

    /// Of the truth's keys, those named.
    pub fn key_recall(&self) -> Share {
        let known: usize = self.scored.iter().map(|one| one.truth.config_keys.len()).sum();
        Share::of(self.scored.iter().map(|one| one.keys_found).sum(), known)
    }

    /// Of the keys named, those that are the truth's, over bundles whose truth knows keys.
    pub fn key_precision(&self) -> Share {
        let told = || self.scored.iter().filter(|one| !one.truth.config_keys.is_empty());
        let found: usize = told().map(|one| one.keys_found).sum();
        let extra: usize = told().map(|one| one.keys_extra).sum();
        Share::of(found, found + extra)
    }

    /// Values named that nothing in the bundle shows.
    pub fn invented(&self) -> usize {
        self.scored.iter().map(|one| one.invented.len()).sum()
    }

    /// Keys named where the truth knows none.
    pub fn keys_unasked(&self) -> usize {
        self.scored.iter().filter(|one| one.truth.config_keys.is_empty()).map(|one| one.keys_extra).sum()
    }

    /// A deployment blamed where none is to blame, or the wrong one.
    pub fn false_blame(&self) -> Share {
        Share::of(self.count(|one| one.said == Some(Cause::Deployment) && !one.right), self.scored.len())
    }

    pub fn brier(&self) -> f64 {
        self.scored.iter().map(|one| one.brier).sum::<f64>() / self.scored.len().max(1) as f64
    }

    pub fn bands(&self) -> Vec<Band> {
        const EDGES: [f64; 8] = [0.0, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.000_001];
        EDGES
            .windows(2)
            .map(|pair| {
                let inside: Vec<&Scored> = self
                    .scored
                    .iter()
                    .filter(|one| one.confidence >= pair[0] && one.confidence < pair[1])
                    .collect();
                let count = inside.len();
                let mean = |value: &dyn Fn(&Scored) -> f64| {
                    if count == 0 {
                        0.0
                    } else {
                        inside.iter().map(|one| value(one)).sum::<f64>() / count as f64
                    }
                };
                Band {
                    from: pair[0],
                    to: pair[1].min(1.0),
                    count,
                    confidence: mean(&|one| one.confidence),
                    right: mean(&|one| f64::from(u8::from(one.right))),
                }
            })
            .collect()
    }

    /// Expected calibration error over [`Self::bands`].
    pub fn calibration_error(&self) -> f64 {
        let all = self.scored.len().max(1) as f64;
        self.bands().iter().map(|band| band.count as f64 / all * (band.confidence - band.right).abs()).sum()
    }

    /// Verdicts at 0.8 and more, 'unknown' aside: how many, and how many of them right.
    pub fn confident(&self) -> (Share, Share) {
        let sure =
            |one: &Scored| one.confidence >= 0.8 && one.said.is_some_and(|said| said != Cause::Unknown);
        let count = self.count(sure);
        (Share::of(count, self.scored.len()), Share::of(self.count(|one| sure(one) && one.right), count))
    }

    pub fn time(&self) -> Duration {
        self.scored.iter().map(|one| one.took).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn truth(cause: Cause, events: &[&str]) -> Truth {
        Truth {
            cause: vec![cause],
            event_ids: events.iter().map(|id| (*id).to_owned()).collect(),
            config_keys: Vec::new(),
            rollback: Offer::Either,
            max_confidence: 1.0,
            min_confidence: 0.0,
        }
    }

    #[test]
    fn a_deployment_is_right_only_with_the_right_change() {
        let told = truth(Cause::Deployment, &["a", "b"]);
        assert!(is_right(&told, Cause::Deployment, Some("b")));
        assert!(!is_right(&told, Cause::Deployment, Some("c")));
        assert!(!is_right(&told, Cause::Deployment, None));
        assert!(!is_right(&told, Cause::Dependency, None));
        assert!(is_right(&truth(Cause::Deployment, &[]), Cause::Deployment, None));
    }

    #[test]
    fn wilson_knows_that_small_numbers_say_little() {
        let all = Share::of(10, 10);
        assert!(all.low > 0.70 && all.low < 0.75 && all.high > 0.999);
        let half = Share::of(50, 100);
        assert!((half.low - 0.404).abs() < 0.002 && (half.high - 0.596).abs() < 0.002);
    }
}
