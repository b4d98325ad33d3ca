//! What users see: is it real, since when, is it over, is it the habit of this hour?
//!
//! The rule that is not obvious: the alert's time is only an upper bound of the onset. The onset is a
//! distribution over periods, from the service's own failures and latencies, sharpened by the first
//! line of a kind never logged before.

use crate::analysis::canary::log_bayes_factor;
use crate::analysis::grid::Grid;
use crate::analysis::logs::{Kind, LogSurvey};
use crate::analysis::metrics::{Entity, Manner, Measure, Metrics, Trouble, trouble};
use crate::analysis::sag::{self, Sag};
use crate::analysis::{chance, steps};
use crate::domain::alert::{Alert, Symptom as Named};
use crate::domain::change::Change;

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
    /// Requests since the onset (or in the last half hour), where they are counted.
    pub requests: Option<f64>,
    /// The same hours of an earlier day looked the same: how many days ago, level before and during.
    pub habit: Option<Habit>,
    /// Series were read that would show failing or slow requests in the last half hour.
    pub measured: bool,
    /// Error lines rose while nothing that users see did.
    pub log_noise: Option<LogNoise>,
    /// The odds that failures rose with those lines, by what was counted: far below 1 they did not, at 1 nobody can tell.
    pub unmoved: f64,
    /// The likeliest rise that is too faint to be told from chance, where none is clear.
    pub faint: Option<Trouble>,
    /// Something that the service counts of its own work fell, while it was asked for as much and failed no more.
    pub sag: Option<Sag>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Habit {
    pub days_ago: u32,
    pub before: f64,
    pub during: f64,
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
/// Of alerts on which nothing that is counted moves, those about something that is not counted.
const QUIET: f64 = 0.08;
/// The same where there are too few requests to tell.
const FEW: f64 = 0.22;
/// The least odds of a rise that has a second witness.
const WITNESSED: f64 = 4.5;

pub fn observe(
    alert: &Alert,
    metrics: Option<&Metrics>,
    logs: Option<&LogSurvey>,
    changes: &[Change],
    grid: Grid,
) -> Symptom {
    let own = metrics.and_then(Metrics::own);
    let mut troubles = own.map(trouble::troubles).unwrap_or_default();
    troubles.retain(|one| ends_plausibly(one, grid));
    let from_metrics = !troubles.is_empty();
    let measured = own.is_some_and(|own| measured(own, grid));
    // Without series the logs are all there is of what users see: then every failing line counts.
    let by_logs = logs.and_then(|logs| {
        in_logs(logs, &logs.hard).or_else(|| in_logs(logs, &logs.failing).filter(|_| !measured))
    });
    let noise = logs.and_then(log_noise);
    if !troubles.iter().any(Trouble::matters) {
        // A count whose name says nothing, and that goes from hardly any to a good part of all requests.
        let counted = own.map(trouble::counted).unwrap_or_default();
        troubles.extend(counted.into_iter().filter(|one| noise.is_some() || is_named(alert, one)));
    }
    // An alert follows its symptom within the hour as a rule: of two rises the one near it is meant,
    // and the series that the alert names needs less to be believed.
    let fired = grid.index(alert.at).unwrap_or(grid.len);
    let weight = |one: &Trouble| {
        let periods = fired.saturating_sub(one.rise.begin) as f64;
        let minutes = periods * grid.step as f64 / 60.0;
        let named = if is_named(alert, one) { 2.0 } else { 1.0 };
        one.rise.strength * named * libm::exp(-minutes / 90.0)
    };
    let odds = |one: &Trouble| chance::odds(one, changes, grid);
    let witnessed = |one: &Trouble| is_named(alert, one) || chance::is_witnessed(one, noise, logs, grid);
    // What does not stand out by itself is looked at where an alert looks: shortly before it, and going on.
    let timely = |one: &Trouble| {
        one.is_large()
            && one.rise.begin + grid.periods(30) >= fired
            && one.rise.end.is_none_or(|end| end + 2 >= grid.len)
    };
    let believed = |one: &Trouble| {
        let looked_at = timely(one) && (witnessed(one) || odds(one) > 1.0);
        one.matters() || (one.hints() && (is_named(alert, one) || looked_at))
    };
    let pick = |manner: Manner| {
        troubles
            .iter()
            .filter(|one| one.manner == manner && believed(one))
            .max_by(|a, b| weight(a).total_cmp(&weight(b)).then_with(|| b.query.cmp(&a.query)))
            .cloned()
    };
    let failing = pick(Manner::Failing);
    let slow = pick(Manner::Slow);
    let wants_latency = alert.symptom() == Some(Named::Latency);
    let mut from_logs = false;
    let (primary, second) = match (failing, slow) {
        (Some(failing), Some(slow)) if wants_latency => (Some(slow), Some(failing)),
        (Some(failing), slow) => (Some(failing), slow),
        (None, Some(slow)) => (Some(slow), None),
        (None, None) => {
            from_logs = by_logs.is_some();
            (by_logs.clone(), None)
        }
    };
    // Slow and failing are one incident only where they began together.
    let second = second.filter(|second| {
        primary
            .as_ref()
            .is_some_and(|primary| second.rise.begin.abs_diff(primary.rise.begin) <= grid.periods(15))
    });
    let demand = own.and_then(|own| own.demand());
    let recent = grid.len.saturating_sub(grid.periods(30));
    let requests = demand.map(|track| {
        let from = primary.as_ref().map_or(recent, |one| one.rise.begin.min(recent));
        track.values[from.min(track.values.len())..].iter().flatten().sum::<f64>()
    });
    let mut symptom = Symptom {
        grid,
        onset: vec![0.0; grid.len],
        begin: 0,
        first: 0,
        last: 0,
        end: None,
        real: 0.0,
        requests,
        habit: primary.as_ref().and_then(habit),
        log_noise: noise,
        unmoved: 1.0,
        faint: None,
        sag: None,
        measured,
        primary,
        second,
        from_logs,
    };
    if symptom.primary.is_none() {
        symptom.sag = own.and_then(|own| sag::find(alert, own, grid));
        let faint = troubles.iter().filter(|one| timely(one) && !one.matters());
        symptom.faint =
            faint.max_by(|a, b| odds(a).total_cmp(&odds(b)).then_with(|| b.query.cmp(&a.query))).cloned();
        symptom.unmoved = own.and_then(|own| unmoved(own, noise, fired, grid)).unwrap_or(1.0);
    }
    let sure = symptom.primary.as_ref().or(symptom.faint.as_ref()).map(|one| {
        // A second witness is worth what an alert on this very series is: it need not stand out of the whole window.
        let odds = if symptom.primary.is_some() && !one.matters() && witnessed(one) {
            odds(one).max(WITNESSED)
        } else {
            odds(one)
        };
        odds / (1.0 + odds)
    });
    symptom.real = reality(&symptom, sure.unwrap_or(0.0), from_metrics, logs.is_some());
    symptom.locate(alert, logs);
    symptom
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

/// Whether the alert is about this very series.
fn is_named(alert: &Alert, one: &Trouble) -> bool {
    let says = |text: &Option<String>, word: &str| {
        text.as_deref().is_some_and(|text| text.to_lowercase().contains(&word.to_lowercase()))
    };
    let metric = one.metric.as_str();
    (says(&alert.metric, metric) || says(&alert.alert_name, metric))
        && (says(&alert.alert_name, &one.stat) || says(&alert.metric, &one.stat))
}

/// A rise that ended long before the alert and now is another incident; one that fills the window up
/// to its end is a fall, not a rise.
fn ends_plausibly(one: &Trouble, grid: Grid) -> bool {
    one.rise.end.is_none_or(|end| end + grid.periods(60) >= grid.len && one.rise.begin > grid.len / 12)
}

/// Whether series tell of failures or latency near now: an alert without them is neither confirmed nor
/// denied by their silence, nor by that of a service that is a few periods old.
fn measured(own: &Entity, grid: Grid) -> bool {
    let recent = grid.len.saturating_sub(grid.periods(30));
    own.tracks.iter().any(|track| {
        let tells = matches!(
            track.measure,
            Measure::Failures
                | Measure::Refusals
                | Measure::Availability
                | Measure::Latency
                | Measure::Throttles
        );
        let known = |values: &[Option<f64>]| values.iter().flatten().count();
        tells
            && known(track.values.get(recent..).unwrap_or_default()) >= 2
            && known(&track.values) >= steps::FEWEST
    })
}

/// A rise of failing lines among all lines.
fn in_logs(logs: &LogSurvey, bad: &[u32]) -> Option<Trouble> {
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

/// The same minutes a day or a week ago, risen alike.
fn habit(primary: &Trouble) -> Option<Habit> {
    let rise = &primary.rise;
    let end = rise.end.unwrap_or(primary.values.len());
    let elevation = rise.during - rise.before;
    [(1, &primary.day_ago), (7, &primary.week_ago)].into_iter().find_map(|(days_ago, values)| {
        let during_values = values.get(rise.begin..end.min(values.len()))?;
        if during_values.iter().flatten().count() < 3 {
            return None;
        }
        let during = crate::analysis::metrics::entities::mean(during_values)?;
        let before = trouble::level_then(values, rise.begin, end).map_or(rise.before, |(before, _)| before);
        let alike = during - before >= 0.4 * elevation || during >= 0.6 * rise.during;
        let risen = during >= 1.3 * before.min(rise.before).max(1e-9) && is_no_chance(primary, values, end);
        (alike && risen).then_some(Habit { days_ago, before, during })
    })
}

/// Whether what failed in these minutes of an earlier day is more than chance, had there been as many requests as today:
/// one failure of a handful is no habit, however alike its share.
fn is_no_chance(primary: &Trouble, then: &[Option<f64>], end: usize) -> bool {
    /// Nats.
    const SURE: f64 = 3.0;
    if primary.manner != Manner::Failing || primary.requests.is_empty() {
        return true;
    }
    let sums = |values: &[Option<f64>], from: usize, to: usize| {
        let known = values.iter().zip(&primary.requests).take(to).skip(from);
        known
            .filter_map(|(share, all)| share.map(|share| (share * all, *all)))
            .fold((0.0, 0.0), |sum: (f64, f64), (failed, all)| (sum.0 + failed, sum.1 + all))
    };
    let begin = primary.rise.begin;
    let (hour, before) = (begin.saturating_sub(60), begin.saturating_sub(1));
    let quiet = Some(sums(then, hour, before)).filter(|(_, all)| *all >= 1.0);
    let (quiet_failed, quiet_all) = quiet.unwrap_or_else(|| sums(&primary.values, hour, before));
    let (failed, all) = sums(then, begin, end);
    log_bayes_factor(failed, all, quiet_failed, quiet_all) >= SURE
}

/// Probability that users were hurt; `sure` is that the rise that was found is no chance.
fn reality(symptom: &Symptom, sure: f64, from_metrics: bool, with_logs: bool) -> f64 {
    if symptom.primary.is_some() {
        if symptom.requests.is_some_and(|requests| requests < ENOUGH_REQUESTS) {
            // A few requests of which some failed: not enough to call it an incident, whatever the share.
            return sure.min(FEW);
        }
        // Logs are a sample, chosen by somebody's log level.
        return if symptom.from_logs && from_metrics { sure.min(0.7) } else { sure.min(0.995) };
    }
    if !symptom.measured && symptom.requests.is_none_or(|requests| requests >= ENOUGH_REQUESTS) {
        // Nothing was read that could have shown it, but for lines that somebody chose to write.
        return if with_logs { 0.6 } else { 0.5 };
    }
    if symptom.requests.is_none_or(|requests| requests < ENOUGH_REQUESTS) {
        return FEW;
    }
    // What no count shows, and what the counts leave open: half of the alerts that show nothing clear are taken for
    // something before the counts are looked at.
    let open = 0.5 * symptom.unmoved;
    1.0 - (1.0 - QUIET) * (1.0 - sure.max(open / (1.0 + open)))
}

impl Symptom {
    /// The onset's distribution.
    fn locate(&mut self, alert: &Alert, logs: Option<&LogSurvey>) {
        let Some(primary) = &self.primary else { return };
        let mut weights = padded(&primary.rise.posterior, self.grid.len);
        if let Some(second) = &self.second
            && second.rise.begin.abs_diff(primary.rise.begin) <= self.grid.periods(10)
        {
            for (weight, other) in weights.iter_mut().zip(padded(&second.rise.posterior, self.grid.len)) {
                // Slow and failing are two views of one thing: each counts half.
                *weight = (*weight * (other + 1e-4)).sqrt();
            }
        }
        // The alert fired because the trouble was there already.
        if let Some(fired) = self.grid.index(alert.at)
            && fired + 1 >= primary.rise.begin
        {
            for weight in weights.iter_mut().skip(fired + 1) {
                *weight *= 0.02;
            }
        }
        // A kind of failure first logged then: whatever started it was there.
        if let Some(logs) = logs
            && let Some(index) = first_of_new_kind(logs, primary.rise.begin)
        {
            for weight in weights.iter_mut().skip(index + 1) {
                *weight *= 0.1;
            }
        }
        let sum: f64 = weights.iter().sum();
        if sum > 0.0 {
            for weight in &mut weights {
                *weight /= sum;
            }
        }
        self.begin = weights
            .iter()
            .enumerate()
            .max_by(|a, b| a.1.total_cmp(b.1))
            .map_or(primary.rise.begin, |(index, _)| index);
        (self.first, self.last) = steps::interval(&weights, self.begin);
        self.onset = weights;
        self.end = primary.rise.end.filter(|end| *end + 2 < self.grid.len);
    }

    /// Seconds of the earliest, likeliest and latest beginning.
    pub fn seconds(&self) -> (i64, i64, i64) {
        let latest = self.grid.second(self.last) + self.grid.step - 1;
        (self.grid.second(self.first), self.grid.second(self.begin), latest)
    }

    /// The expected density of the lag from an effect spread evenly over `from` to `until` (epoch
    /// seconds) to the onset.
    pub fn lag_density(&self, from: i64, until: i64, density: impl Fn(f64) -> f64) -> f64 {
        lag_density(self.grid, &self.onset, from, until, density)
    }

    /// Kinds of failing lines that are new since the onset, or far more frequent; most lines first.
    /// The share is of the excess over all of them.
    pub fn new_kinds<'l>(&self, logs: &'l LogSurvey) -> Vec<(&'l Kind, f64)> {
        let begin = if self.primary.is_some() {
            self.begin
        } else {
            self.log_noise.map_or(logs.grid.len.saturating_sub(logs.grid.periods(30)), |noise| noise.begin)
        };
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

/// The expected density of a lag: over a distribution of beginnings and an effect spread evenly from
/// `from` to `until` (epoch seconds).
pub fn lag_density(grid: Grid, onset: &[f64], from: i64, until: i64, density: impl Fn(f64) -> f64) -> f64 {
    const PARTS: i64 = 4;
    let effects: &[i64] = if until > from { &[1, 3, 5] } else { &[0] };
    let mut sum = 0.0;
    for (index, probability) in onset.iter().enumerate() {
        if *probability < 1e-6 {
            continue;
        }
        for part in 0..PARTS {
            let began = grid.second(index) + grid.step * (2 * part + 1) / (2 * PARTS);
            for sixth in effects {
                let effect = from + (until - from) * sixth / 6;
                sum += probability * density((began - effect) as f64 / 60.0)
                    / (PARTS as f64 * effects.len() as f64);
            }
        }
    }
    sum
}

fn padded(values: &[f64], length: usize) -> Vec<f64> {
    let mut padded = values.to_vec();
    padded.resize(length, 0.0);
    padded
}

/// The first period of the commonest kind that began around the rise and was never there before.
fn first_of_new_kind(logs: &LogSurvey, begin: usize) -> Option<usize> {
    let slack = logs.grid.periods(15);
    let from = begin.saturating_sub(slack);
    logs.kinds
        .iter()
        .filter(|kind| kind.hard && kind.total >= 3 && kind.between(0, from) == 0)
        .max_by(|a, b| a.total.cmp(&b.total).then_with(|| b.example.cmp(&a.example)))
        .and_then(|kind| logs.grid.index(kind.first))
}
