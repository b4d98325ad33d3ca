//! What users see: is it real, since when, is it over, is it the habit of this hour?
//!
//! The rule that is not obvious: that nothing rose says nothing of what was not read up to now. Only series that count
//! failures vouch for failures, and a level that was high from the first period on never rises.

mod believed;
mod habit;
mod measured;
mod onset;
mod reality;

use crate::analysis::grid::Grid;
use crate::analysis::logs::{Kind, LogSurvey};
use crate::analysis::metrics::trouble::{self, Standing};
use crate::analysis::metrics::{Entity, Manner, Metrics, Trouble};
use crate::analysis::sag::{self, Sag};
use crate::analysis::steps;
use crate::domain::alert::Alert;
use crate::domain::change::Change;
use believed::View;
pub use habit::Habit;
pub use measured::{Measured, silent_since};
pub use onset::lag_density;

/// The symptom under investigation.
#[derive(Debug, Clone)]
pub struct Symptom {
    pub grid: Grid,
    /// The rise that stands for the incident, where one was found.
    pub primary: Option<Trouble>,
    /// Another manner of the same incident: slow beside failing.
    pub second: Option<Trouble>,
    /// The primary was found in the logs alone.
    pub from_logs: bool,
    /// The probability of each period being the first.
    pub onset: Vec<f64>,
    pub begin: usize,
    pub first: usize,
    pub last: usize,
    /// The period since which it is over.
    pub end: Option<usize>,
    /// Probability that users were hurt at all.
    pub real: f64,
    /// Requests since the onset (or in the last half hour), where they are counted up to now.
    pub requests: Option<f64>,
    /// The same hours of an earlier day looked the same: how many days ago, level before and during.
    pub habit: Option<Habit>,
    /// What of it was read up to now.
    pub measured: Measured,
    /// Error lines rose while nothing that users see did.
    pub log_noise: Option<LogNoise>,
    /// The odds that failures rose with those lines, by what was counted: far below 1 they did not, at 1 nobody can tell.
    pub unmoved: f64,
    /// The likeliest rise that is too faint to be told from chance, where none is clear.
    pub faint: Option<Trouble>,
    /// Something that the service counts of its own work fell, or what it is asked for did, while nothing failed.
    pub sag: Option<Sag>,
    /// Failures that were as high in the first period as in the last: when they began is not known.
    pub standing: Option<Standing>,
}

/// Error lines per period before and since.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogNoise {
    pub before: f64,
    pub during: f64,
    pub begin: usize,
}

/// Fewest requests from which a share can be told.
pub const ENOUGH_REQUESTS: f64 = 40.0;
/// Minutes that an alert comes after its symptom, at most as a rule.
const BEFORE_AN_ALERT: i64 = 10;
/// What is judged as it is now, in minutes.
const LATELY: i64 = 30;

pub fn observe(
    alert: &Alert,
    metrics: Option<&Metrics>,
    logs: Option<&LogSurvey>,
    changes: &[Change],
    grid: Grid,
) -> Symptom {
    let own = metrics.and_then(Metrics::own);
    let measured = own.map(|own| Measured::of(own, grid)).unwrap_or_default();
    let view = View { alert, logs, changes, noise: logs.and_then(log_noise), grid };
    let rises = view.rises(own);
    let (primary, second) = view.chosen(&rises);
    let from_logs = primary.is_none();
    let primary = primary.or_else(|| logs.and_then(|logs| in_logs(logs, &measured)));
    let mut symptom = Symptom {
        grid,
        onset: vec![0.0; grid.len],
        begin: 0,
        first: 0,
        last: 0,
        end: None,
        real: 0.0,
        requests: own.and_then(|own| requests(own, primary.as_ref(), grid)),
        habit: primary.as_ref().and_then(habit::of),
        log_noise: view.noise,
        unmoved: 1.0,
        faint: None,
        sag: None,
        standing: None,
        measured,
        from_logs: from_logs && primary.is_some(),
        primary,
        second,
    };
    if let Some(own) = own.filter(|_| symptom.primary.is_none()) {
        symptom.sag = sag::find(alert, own, grid).or_else(|| sag::of_demand(alert, own, logs, changes, grid));
        symptom.faint = view.faint(&rises);
        symptom.unmoved = unmoved(own, view.noise, view.fired(), grid).unwrap_or(1.0);
        symptom.standing = trouble::standing(own, grid.periods(LATELY));
    }
    symptom.real = symptom.reality(&view, !rises.is_empty());
    symptom.locate(alert, logs);
    symptom
}

/// Requests since a rise, or lately; `None` where they are not counted up to now.
fn requests(own: &Entity, primary: Option<&Trouble>, grid: Grid) -> Option<f64> {
    let track = own.demand().filter(|track| silent_since(&track.values, grid).is_none())?;
    let recent = grid.len.saturating_sub(grid.periods(LATELY));
    let from = primary.map_or(recent, |one| one.rise.begin.min(recent));
    Some(track.values[from.min(track.values.len())..].iter().flatten().sum())
}

/// The odds that failures rose unseen: with the error lines where those rose, else at any moment in the minutes before the
/// alert, which nobody knows better. `None` where nothing counts failures.
fn unmoved(own: &Entity, noise: Option<LogNoise>, fired: usize, grid: Grid) -> Option<f64> {
    let fired = fired.min(grid.len.saturating_sub(1));
    let moments = noise
        .map_or(fired.saturating_sub(grid.periods(BEFORE_AN_ALERT))..=fired, |one| one.begin..=one.begin);
    let count = moments.clone().count() as f64;
    let odds: Option<Vec<f64>> = moments.map(|begin| trouble::odds_since(own, begin)).collect();
    Some(odds?.iter().sum::<f64>() / count)
}

/// A rise of failing lines among all lines. Where no series counts failures the logs are all there is of what users see:
/// then every failing line counts.
fn in_logs(logs: &LogSurvey, measured: &Measured) -> Option<Trouble> {
    rise_of_lines(logs, &logs.hard)
        .or_else(|| rise_of_lines(logs, &logs.failing).filter(|_| !measured.failing))
}

fn rise_of_lines(logs: &LogSurvey, bad: &[u32]) -> Option<Trouble> {
    let hits: Vec<f64> = bad.iter().map(|count| f64::from(*count)).collect();
    let tries: Vec<f64> = logs.lines.iter().map(|count| f64::from(*count)).collect();
    let rise = steps::rise_in_share(&hits, &tries)?;
    let end = rise.end.unwrap_or(tries.len());
    let requests_during: f64 = tries[rise.begin..end].iter().sum();
    let excess = hits[rise.begin..end].iter().sum::<f64>() - requests_during * rise.before;
    let values: Vec<Option<f64>> =
        hits.iter().zip(&tries).map(|(bad, all)| (*all > 0.0).then(|| bad / all)).collect();
    let steadiness = steps::steadiness(&values, &rise);
    let trouble = Trouble {
        manner: Manner::Failing,
        rise,
        query: "error lines among all lines".to_owned(),
        metric: "error lines".to_owned(),
        stat: "Sum".to_owned(),
        values,
        requests: tries,
        day_ago: Vec::new(),
        week_ago: Vec::new(),
        requests_during,
        excess,
        steadiness,
    };
    trouble.matters().then_some(trouble)
}

fn log_noise(logs: &LogSurvey) -> Option<LogNoise> {
    let hits: Vec<f64> = logs.failing.iter().map(|count| f64::from(*count)).collect();
    let tries: Vec<f64> = logs.lines.iter().map(|count| f64::from(*count)).collect();
    let rise = steps::rise_in_share(&hits, &tries)?;
    if rise.strength < trouble::SIGNIFICANT {
        return None;
    }
    let per_period = |from: usize, to: usize| hits[from..to].iter().sum::<f64>() / (to - from).max(1) as f64;
    let end = rise.end.unwrap_or(hits.len());
    Some(LogNoise {
        before: per_period(0, rise.begin),
        during: per_period(rise.begin, end),
        begin: rise.begin,
    })
}

impl Symptom {
    /// Whether it has a beginning that can be held against the times of changes.
    pub fn is_timed(&self) -> bool {
        self.primary.is_some() || self.sag.is_some()
    }

    /// The period from which on things are not as they were, as far as anything tells; of error lines as well.
    pub fn since(&self) -> Option<usize> {
        if self.is_timed() { Some(self.begin) } else { self.log_noise.map(|noise| noise.begin) }
    }

    /// Too few requests to tell a share of failures from them.
    pub fn has_few_requests(&self) -> bool {
        self.requests.is_some_and(|requests| requests < ENOUGH_REQUESTS)
    }

    /// Kinds of failing lines that are new since the onset, or far more frequent; most lines first.
    /// The share is of the excess over all of them.
    pub fn new_kinds<'l>(&self, logs: &'l LogSurvey) -> Vec<(&'l Kind, f64)> {
        let lately = logs.grid.len.saturating_sub(logs.grid.periods(LATELY));
        // What failed from the first period on is new in all of it.
        let begin = if self.standing.is_some() { 0 } else { self.since().unwrap_or(lately) };
        // One period of grace: lines are stamped when work ended or began.
        let from = begin.saturating_sub(1);
        let to = self.end.map_or(logs.grid.len, |end| (end + 2).min(logs.grid.len));
        let mut kinds: Vec<(&Kind, f64)> = logs
            .kinds
            .iter()
            .filter_map(|kind| {
                let before = kind.between(0, from) as f64;
                let during = kind.between(from, to) as f64;
                let expected = (before + 0.5) / from.max(1) as f64 * (to - from).max(1) as f64;
                // A kind that was there before has to exceed its own chance as well.
                let chance = before >= 1.0 && during - expected <= 3.0 * (expected + 1.0).sqrt();
                let more = during >= 1.0 && during > 3.0 * expected.min(before * 2.0 + 0.3);
                (more && !chance).then_some((kind, during - expected.min(during)))
            })
            .collect();
        let total: f64 = kinds.iter().map(|(_, excess)| excess).sum();
        for (_, excess) in &mut kinds {
            *excess /= total.max(1e-9);
        }
        kinds.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.example.cmp(&b.0.example)));
        kinds
    }
}
