//! What users see: is it real, since when, is it over, is it the habit of this hour?
//!
//! The rule that is not obvious: the alert's time is only an upper bound of the onset. The onset is a
//! distribution over periods, from the service's own failures and latencies, sharpened by the first
//! line of a kind never logged before.

use crate::analysis::grid::Grid;
use crate::analysis::logs::{Kind, LogSurvey};
use crate::analysis::metrics::{Entity, Manner, Measure, Metrics, Trouble, trouble};
use crate::analysis::steps;
use crate::domain::alert::{Alert, Symptom as Named};

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
    /// Something that the service counts of its own work fell, while it was asked for as much and failed no more.
    pub sag: Option<Sag>,
}

/// A count for each request, before and since.
#[derive(Debug, Clone, PartialEq)]
pub struct Sag {
    pub query: String,
    pub metric: String,
    /// Per period.
    pub before: f64,
    pub during: f64,
    pub begin: usize,
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

pub fn observe(alert: &Alert, metrics: Option<&Metrics>, logs: Option<&LogSurvey>, grid: Grid) -> Symptom {
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
    let believed = |one: &Trouble| one.matters() || (is_named(alert, one) && one.hints());
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
        sag: None,
        measured,
        primary,
        second,
        from_logs,
    };
    if symptom.primary.is_none() {
        symptom.sag = own.and_then(|own| sag(own, grid));
    }
    symptom.real = reality(&symptom, from_metrics, logs.is_some(), troubles.first());
    symptom.locate(alert, logs);
    symptom
}

/// A count of successes, or of something unknown, that fell against the requests and stays down: bookings of as many
/// visitors. Whatever did that, no failure shows it.
fn sag(own: &Entity, grid: Grid) -> Option<Sag> {
    /// It has to lose a part that nobody calls noise.
    const PART: f64 = 0.8;
    let offered = own.offered()?;
    own.tracks
        .iter()
        .filter(|track| track.stat == "Sum" && matches!(track.measure, Measure::Successes | Measure::Other))
        .filter_map(|track| {
            let share: Vec<Option<f64>> = track
                .values
                .iter()
                .zip(&offered)
                .map(|(count, all)| {
                    count.zip(*all).filter(|(_, all)| *all > 0.0).map(|(count, all)| count / all)
                })
                .collect();
            let fall = steps::fall_in_level(&share)?;
            let known = |from: usize, to: usize| share[from..to].iter().flatten().count();
            let lasting = fall.end.is_none_or(|end| end + 2 >= grid.len);
            let long = known(fall.begin, share.len()) >= 8 && known(0, fall.begin) >= 30;
            let level =
                |from: usize, to: usize| crate::analysis::metrics::entities::mean(&track.values[from..to]);
            let (before, during) = (level(0, fall.begin)?, level(fall.begin, share.len())?);
            let clear = fall.strength >= trouble::SIGNIFICANT + 3.0 && during <= PART * before;
            (lasting && long && clear).then(|| {
                let sag = Sag {
                    query: track.query(),
                    metric: track.metric.clone(),
                    before,
                    during,
                    begin: fall.begin,
                };
                (fall.strength, sag)
            })
        })
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, sag)| sag)
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
        (alike && during >= 1.3 * before.min(rise.before).max(1e-9)).then_some(Habit {
            days_ago,
            before,
            during,
        })
    })
}

/// Probability that users were hurt.
fn reality(symptom: &Symptom, from_metrics: bool, with_logs: bool, strongest: Option<&Trouble>) -> f64 {
    if let Some(primary) = &symptom.primary {
        // That an alert fired on this is evidence of its own.
        let margin =
            (primary.rise.strength - trouble::SIGNIFICANT).max(if primary.matters() { -1.0 } else { 0.5 });
        let sure = 1.0 / (1.0 + (-margin - 1.0).exp());
        if symptom.requests.is_some_and(|requests| requests < ENOUGH_REQUESTS) {
            // A few requests of which some failed: not enough to call it an incident, whatever the share.
            return sure.min(0.25);
        }
        // Logs are a sample, chosen by somebody's log level.
        return if symptom.from_logs && from_metrics { sure.min(0.7) } else { sure.min(0.995) };
    }
    if !symptom.measured && symptom.requests.is_none_or(|requests| requests >= ENOUGH_REQUESTS) {
        // Nothing was read that could have shown it, but for lines that somebody chose to write.
        return if with_logs { 0.6 } else { 0.5 };
    }
    let hint = strongest.map_or(0.0, |one| one.rise.strength / trouble::SIGNIFICANT).clamp(0.0, 1.0);
    let quiet = if symptom.requests.is_none_or(|requests| requests < ENOUGH_REQUESTS) { 0.22 } else { 0.08 };
    quiet + 0.1 * hint
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
