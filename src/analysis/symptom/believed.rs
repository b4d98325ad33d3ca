//! Which rise is meant, and whether it is believed.
//!
//! The rule that is not obvious: an alert follows its symptom within the hour as a rule, so that of two rises the one
//! near it is meant, and the series that it names needs less to be believed.

use super::LogNoise;
use crate::analysis::chance;
use crate::analysis::grid::Grid;
use crate::analysis::logs::LogSurvey;
use crate::analysis::metrics::trouble;
use crate::analysis::metrics::{Entity, Manner, Trouble};
use crate::analysis::ratios::WITNESSED;
use crate::domain::alert::{Alert, Symptom as Named};
use crate::domain::change::Change;

/// What a rise is held against.
pub(super) struct View<'a> {
    pub alert: &'a Alert,
    pub logs: Option<&'a LogSurvey>,
    pub changes: &'a [Change],
    pub noise: Option<LogNoise>,
    pub grid: Grid,
}

impl View<'_> {
    /// The period in which the alert fired; after the last one where that is not among them.
    pub fn fired(&self) -> usize {
        self.grid.index(self.alert.at).unwrap_or(self.grid.len)
    }

    /// What rose of the service's own series.
    pub fn rises(&self, own: Option<&Entity>) -> Vec<Trouble> {
        let mut rises = own.map(trouble::troubles).unwrap_or_default();
        rises.retain(|one| ends_plausibly(one, self.grid));
        if !rises.iter().any(Trouble::matters) {
            // A count whose name says nothing, and that goes from hardly any to a good part of all requests.
            let counted = own.map(trouble::counted).unwrap_or_default();
            let asked_for = |one: &Trouble| self.noise.is_some() || is_named(self.alert, one);
            rises.extend(counted.into_iter().filter(asked_for));
        }
        rises
    }

    /// The rise that stands for the incident, and another manner of the same.
    pub fn chosen(&self, rises: &[Trouble]) -> (Option<Trouble>, Option<Trouble>) {
        let (failing, slow) = (self.pick(rises, Manner::Failing), self.pick(rises, Manner::Slow));
        let (primary, second) = match (failing, slow) {
            (Some(failing), Some(slow)) if self.alert.symptom() == Some(Named::Latency) => {
                (Some(slow), Some(failing))
            }
            (Some(failing), slow) => (Some(failing), slow),
            (None, slow) => (slow, None),
        };
        // Slow and failing are one incident only where they began together.
        let together = |one: &Trouble| {
            primary
                .as_ref()
                .is_some_and(|primary| one.rise.begin.abs_diff(primary.rise.begin) <= self.grid.periods(15))
        };
        let second = second.filter(together);
        (primary, second)
    }

    fn pick(&self, rises: &[Trouble], manner: Manner) -> Option<Trouble> {
        rises
            .iter()
            .filter(|one| one.manner == manner && self.is_believed(one))
            .max_by(|a, b| self.weight(a).total_cmp(&self.weight(b)).then_with(|| b.query.cmp(&a.query)))
            .cloned()
    }

    /// The likeliest of those that none believes.
    pub fn faint(&self, rises: &[Trouble]) -> Option<Trouble> {
        rises
            .iter()
            .filter(|one| self.is_timely(one) && !one.matters())
            .max_by(|a, b| self.odds(a).total_cmp(&self.odds(b)).then_with(|| b.query.cmp(&a.query)))
            .cloned()
    }

    fn weight(&self, one: &Trouble) -> f64 {
        let periods = self.fired().saturating_sub(one.rise.begin) as f64;
        let minutes = periods * self.grid.step as f64 / 60.0;
        let named = if is_named(self.alert, one) { 2.0 } else { 1.0 };
        one.rise.strength * named * libm::exp(-minutes / 90.0)
    }

    fn is_believed(&self, one: &Trouble) -> bool {
        let looked_at = || self.is_timely(one) && (self.is_witnessed(one) || self.odds(one) > 1.0);
        one.matters() || (one.hints() && (is_named(self.alert, one) || looked_at()))
    }

    /// What does not stand out by itself is looked at where an alert looks: shortly before it, and going on.
    fn is_timely(&self, one: &Trouble) -> bool {
        one.is_large()
            && one.rise.begin + self.grid.periods(30) >= self.fired()
            && one.rise.end.is_none_or(|end| end + 2 >= self.grid.len)
    }

    fn is_witnessed(&self, one: &Trouble) -> bool {
        is_named(self.alert, one) || chance::is_witnessed(one, self.noise, self.logs, self.grid)
    }

    fn odds(&self, one: &Trouble) -> f64 {
        chance::odds(one, self.changes, self.grid)
    }

    /// The probability that a rise is no chance. A second witness of one that is believed is worth what an alert on this
    /// very series is: it need not stand out of the whole window.
    pub fn sure(&self, one: &Trouble, believed: bool) -> f64 {
        let odds = self.odds(one);
        let odds =
            if believed && !one.matters() && self.is_witnessed(one) { odds.max(WITNESSED) } else { odds };
        odds / (1.0 + odds)
    }
}

/// Whether the alert is about this very series.
fn is_named(alert: &Alert, one: &Trouble) -> bool {
    alert.names(&one.metric) && alert.names(&one.stat)
}

/// A rise that ended long before the alert and now is another incident; one that fills the window up
/// to its end is a fall, not a rise.
fn ends_plausibly(one: &Trouble, grid: Grid) -> bool {
    one.rise.end.is_none_or(|end| end + grid.periods(60) >= grid.len && one.rise.begin > grid.len / 12)
}
