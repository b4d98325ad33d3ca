//! Too little of something that the service counts of its own work: bookings of as many visitors, or visitors at all.
//!
//! The rule that is not obvious: it is looked for only where nothing fails and nothing is slow, for whatever keeps
//! customers from an end shows nowhere else, and each count is one more that may fall by chance. Demand goes and comes by
//! itself: that it vanished is a symptom only where something else says so, and what only follows it has not sunk.

use crate::analysis::grid::Grid;
use crate::analysis::logs::LogSurvey;
use crate::analysis::metrics::entities::mean;
use crate::analysis::metrics::trouble::{SIGNIFICANT, level_then};
use crate::analysis::metrics::{Entity, Measure, Track};
use crate::analysis::steps::{self, Rise};
use crate::analysis::symptom::{ENOUGH_REQUESTS, silent_since};
use crate::domain::alert::Alert;
use crate::domain::change::{Change, Relation};

/// What fell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallen {
    /// A count of the service's own work, for as many requests.
    Yield,
    /// The requests themselves; whether this hour of an earlier day is known.
    Demand { usual: bool },
}

/// A count before and since: for each hundred requests, or the requests of a period.
#[derive(Debug, Clone, PartialEq)]
pub struct Sag {
    pub of: Fallen,
    pub query: String,
    pub metric: String,
    pub before: f64,
    pub during: f64,
    pub begin: usize,
    /// The probability of each period being the first.
    pub onset: Vec<f64>,
}

/// A count of successes, or of something unknown, that fell against the requests and stays down. Whatever did that, no
/// failure shows it.
pub fn find(alert: &Alert, own: &Entity, grid: Grid) -> Option<Sag> {
    /// It has to lose a part that nobody calls noise.
    const PART: f64 = 0.8;
    // Nats for choosing among some twenty counts. An alert that something is too little has chosen: that something fell,
    // which way, and since when about.
    const CHOICE: f64 = 3.0;
    let enough = if alert.is_about_too_little() { SIGNIFICANT - CHOICE } else { SIGNIFICANT + CHOICE };
    let offered = own.offered()?;
    let per_hundred = |track: &Track, from: usize, to: usize| {
        let pairs = track.values.get(from..to)?.iter().zip(offered.get(from..to)?);
        let (count, all) = pairs
            .filter_map(|(count, all)| count.zip(*all))
            .fold((0.0, 0.0), |sum: (f64, f64), one| (sum.0 + one.0, sum.1 + one.1));
        (all > 0.0).then(|| 100.0 * count / all)
    };
    own.tracks
        .iter()
        .filter(|track| track.stat == "Sum" && matches!(track.measure, Measure::Successes | Measure::Other))
        .filter_map(|track| {
            let fall = fall(track, &offered)?;
            let lasting = fall.end.is_none_or(|end| end + 2 >= grid.len);
            let known = track.values[..fall.begin].iter().flatten().count();
            let before = per_hundred(track, 0, fall.begin)?;
            let during = per_hundred(track, fall.begin, track.values.len())?;
            // More requests that come for something else take nothing from anybody, unless somebody says so.
            let more = if alert.is_about_too_little() { 1.0 } else { growth(&offered, fall.begin) };
            let clear = fall.strength >= enough && during * more <= PART * before;
            (lasting && known >= 30 && clear).then(|| {
                let (query, metric) = (track.query(), track.metric.clone());
                let (strength, begin) = (fall.strength, fall.begin);
                let onset = fall.posterior;
                (strength, Sag { of: Fallen::Yield, query, metric, before, during, begin, onset })
            })
        })
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, sag)| sag)
}

/// How many times as many requests came since a period, at least once as many.
fn growth(offered: &[Option<f64>], begin: usize) -> f64 {
    match (mean(&offered[..begin]), mean(&offered[begin..])) {
        (Some(before), Some(during)) if before > 0.0 => (during / before).max(1.0),
        _ => 1.0,
    }
}

/// The fall of a count for each request. Where it counts some of the requests, it is the share of those that are missing
/// in it that rises, and so many of so many tell how sure that is; else it is a level like others.
fn fall(track: &Track, offered: &[Option<f64>]) -> Option<Rise> {
    /// Periods from which a level is told.
    const LEVEL: usize = 8;
    let pairs: Vec<(f64, f64)> = track
        .values
        .iter()
        .zip(offered)
        .map(|(count, all)| count.zip(*all).filter(|(_, all)| *all > 0.0).unwrap_or((0.0, 0.0)))
        .collect();
    let asked = pairs.iter().filter(|(_, all)| *all > 0.0).count();
    let parts = pairs.iter().filter(|(count, all)| *all > 0.0 && (0.0..=*all).contains(count)).count();
    if parts * 20 >= asked * 19 {
        let missing: Vec<f64> = pairs.iter().map(|(count, all)| (all - count).max(0.0)).collect();
        let all: Vec<f64> = pairs.iter().map(|(_, all)| *all).collect();
        return steps::rise_in_share(&missing, &all);
    }
    let share: Vec<Option<f64>> =
        pairs.iter().map(|(count, all)| (*all > 0.0).then(|| count / all)).collect();
    steps::fall_in_level(&share).filter(|fall| share[fall.begin..].iter().flatten().count() >= LEVEL)
}

/// Requests that nearly ceased, beyond what this hour of earlier days did, where an alert says so or a change of what feeds
/// the service took effect right then.
pub fn of_demand(
    alert: &Alert,
    own: &Entity,
    logs: Option<&LogSurvey>,
    changes: &[Change],
    grid: Grid,
) -> Option<Sag> {
    /// What is left of it, of what this hour of earlier days left: nobody's scatter takes two of three.
    const LEFT: f64 = 1.0 / 3.0;
    /// The same where no earlier day is known: visitors who go home for the night do not all go within minutes.
    const LEFT_OF_UNKNOWN: f64 = 0.05;
    let track = own.demand()?;
    let values = with_silence(track, logs, grid);
    let fall = steps::fall_in_level(&values)?;
    let hour = fall.begin.saturating_sub(grid.periods(60));
    let (before, during) = (mean(&values[hour..fall.begin])?, mean(&values[fall.begin..])?);
    let lasting = fall.end.is_none_or(|end| end + 2 >= grid.len);
    let many = before * (fall.begin - hour) as f64 >= ENOUGH_REQUESTS;
    let then = [&track.day_ago, &track.week_ago]
        .into_iter()
        .filter_map(|values| level_then(values, fall.begin, grid.len).filter(|(before, _)| *before > 0.0));
    let usual = then.map(|(before, during)| (during / before).min(1.0)).reduce(f64::min);
    let most = usual.map_or(LEFT_OF_UNKNOWN, |usual| LEFT * usual);
    if fall.strength < SIGNIFICANT || !lasting || !many || during > most * before {
        return None;
    }
    if !is_said(alert, own, fall.begin)
        && !changes.iter().any(|change| is_right_then(change, fall.begin, grid))
    {
        return None;
    }
    let (query, metric, begin) = (track.query(), track.metric.clone(), fall.begin);
    let of = Fallen::Demand { usual: usual.is_some() };
    Some(Sag { of, query, metric, before, during, begin, onset: fall.posterior })
}

/// AWS counts no zeros of what does not run: a series that stops while the service stops to write lines as well is one of
/// none. Where lines go on, it is not the requests that are missing.
fn with_silence(track: &Track, logs: Option<&LogSurvey>, grid: Grid) -> Vec<Option<f64>> {
    let mut values = track.values.clone();
    let wrote =
        |logs: &LogSurvey, from: usize, to: usize| logs.lines[from..to].iter().any(|lines| *lines > 0);
    if let Some(since) = silent_since(&values, grid)
        && logs.is_some_and(|logs| {
            wrote(logs, 0, since.min(logs.lines.len()))
                && !wrote(logs, (since + 1).min(logs.lines.len()), logs.lines.len())
        })
    {
        values[since..].fill(Some(0.0));
    }
    values
}

/// Whether the alert is about too little, or about a count of the service that fell as well.
fn is_said(alert: &Alert, own: &Entity, begin: usize) -> bool {
    let fell = |track: &&Track| {
        let (before, during) = (track.mean(0, begin), track.mean(begin, track.values.len()));
        before.zip(during).is_some_and(|(before, during)| 3.0 * during < before)
    };
    let counts = own.tracks.iter().filter(|track| {
        track.stat == "Sum"
            && matches!(track.measure, Measure::Requests | Measure::Successes | Measure::Other)
            && alert.names(&track.metric)
    });
    alert.is_about_too_little() || counts.filter(fell).count() > 0
}

/// Whether a change that can keep requests away took effect with it: of the service, of what it shares or of what it calls.
fn is_right_then(change: &Change, begin: usize, grid: Grid) -> bool {
    /// Minutes.
    const BEFORE: i64 = 15;
    let near = matches!(change.relation, Relation::Own | Relation::Shared | Relation::Dependency(_));
    let (earliest, latest) = (grid.second(begin) - BEFORE * 60, grid.second(begin + 1));
    near && !change.no_op && change.took_effect().is_some_and(|(from, _)| (earliest..latest).contains(&from))
}
