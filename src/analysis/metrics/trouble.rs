//! What went wrong with one service by its own series: failing or slow, since when, how badly.

use super::Measure;
use super::entities::{Entity, Track, mean};
use crate::analysis::steps::{self, Rise};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    Failing,
    Slow,
}

/// A rise of a service's failures or latency.
#[derive(Debug, Clone)]
pub struct Trouble {
    pub manner: Manner,
    pub rise: Rise,
    /// What was read.
    pub query: String,
    pub metric: String,
    pub stat: String,
    /// The share of failures (0 to 1) or the milliseconds, by period.
    pub values: Vec<Option<f64>>,
    /// Requests by period; empty where none are counted.
    pub requests: Vec<f64>,
    /// The same a day and a week ago.
    pub day_ago: Vec<Option<f64>>,
    pub week_ago: Vec<Option<f64>>,
    /// Requests, in periods of the rise.
    pub requests_during: f64,
    /// Failures in excess of the level before.
    pub excess: f64,
    /// How gradual: 0 a ramp, 1 a step.
    pub steadiness: Option<f64>,
}

/// Fewest nats (after dispersion) for a rise to be more than noise: the beginning and the end are
/// chosen among some 200 by 40 possibilities, whose logarithm this covers.
pub const SIGNIFICANT: f64 = 9.0;

impl Trouble {
    /// Enough for a series that an alert has just named.
    pub fn hints(&self) -> bool {
        self.rise.strength >= 0.5 * SIGNIFICANT && self.rise.ratio() >= 1.05
    }

    /// Big and sure enough to speak of.
    pub fn matters(&self) -> bool {
        if self.rise.strength < SIGNIFICANT {
            return false;
        }
        match self.manner {
            Manner::Failing => {
                self.excess >= 3.0
                    && self.rise.during - self.rise.before >= 0.003
                    && self.rise.during >= 1.5 * self.rise.before
            }
            Manner::Slow => self.rise.ratio() >= 1.12,
        }
    }
}

impl Trouble {
    /// The level before a period and from it on, until it was over; the newest period, which may be
    /// incomplete, left out where there are others.
    pub fn levels_at(&self, begin: usize) -> (f64, f64) {
        let end = self.rise.end.unwrap_or(self.values.len()).min(self.values.len());
        let inside = self.values.get(begin.min(end)..end).unwrap_or_default();
        let inside =
            if inside.len() > 2 && self.rise.end.is_none() { &inside[..inside.len() - 1] } else { inside };
        let before = self.values.get(begin.saturating_sub(60)..begin).and_then(mean);
        (before.unwrap_or(self.rise.before), mean(inside).unwrap_or(self.rise.during))
    }
}

/// All rises of failures and latency of a service, strongest first.
pub fn troubles(entity: &Entity) -> Vec<Trouble> {
    let mut found: Vec<Trouble> = entity
        .tracks
        .iter()
        .filter_map(|track| match track.measure {
            Measure::Failures => failing(entity, track),
            Measure::Throttles => throttled(entity, track),
            Measure::Refusals => failing(entity, track).filter(|trouble| {
                // Callers err all the time; a fault of ours makes many of them do so at once.
                trouble.rise.during >= 0.05 && trouble.rise.during >= 3.0 * trouble.rise.before
            }),
            Measure::Availability => unavailable(entity, track),
            Measure::Latency => slow(track),
            _ => None,
        })
        .collect();
    found.sort_by(|a, b| b.rise.strength.total_cmp(&a.rise.strength).then_with(|| a.query.cmp(&b.query)));
    found
}

/// Counts of which nothing is known but that they were a few of a hundred requests and now are many:
/// degraded answers, fallbacks, whatever somebody thought worth counting.
pub fn counted(entity: &Entity) -> Vec<Trouble> {
    let of_unknown = entity.of_measure(Measure::Other).filter(|track| track.stat == "Sum");
    let mut found: Vec<Trouble> = of_unknown
        .filter(|track| {
            let Some(requests) = entity.requests_for(track) else { return false };
            let pairs: Vec<(f64, f64)> =
                track.values.iter().zip(&requests).filter_map(|(count, all)| count.zip(*all)).collect();
            let parts = pairs.iter().filter(|(count, all)| (0.0..=1.02 * all).contains(count)).count();
            parts * 20 >= pairs.len() * 19
        })
        .filter_map(|track| failing(entity, track))
        .filter(|one| {
            let known = one.values.get(..one.rise.begin).unwrap_or_default().iter().flatten().count();
            one.matters()
                && known >= 20
                && one.rise.during >= 0.05
                && one.rise.during >= 10.0 * one.rise.before
        })
        .collect();
    found.sort_by(|a, b| b.rise.strength.total_cmp(&a.rise.strength).then_with(|| a.query.cmp(&b.query)));
    found
}

/// Levels in the hour before a period and from it to another one, of every series of a manner: the share of
/// failed requests, or milliseconds.
pub fn levels(entity: &Entity, manner: Manner, begin: usize, end: usize) -> Vec<(f64, f64)> {
    /// Fewest requests from which a share can be told.
    const REQUESTS: f64 = 40.0;
    let sums = |values: &[Option<f64>], from: usize, to: usize| -> f64 {
        values.get(from..to.min(values.len())).unwrap_or_default().iter().flatten().sum()
    };
    let hour_before = begin.saturating_sub(60);
    let of_track = |track: &Track| match (manner, track.measure) {
        (Manner::Failing, Measure::Failures | Measure::Throttles) => {
            let requests = entity.requests_for(track)?;
            let (before, during) = (sums(&requests, hour_before, begin), sums(&requests, begin, end));
            (before >= REQUESTS && during >= REQUESTS).then(|| {
                let failed = |from, to| sums(&track.values, from, to);
                (failed(hour_before, begin) / before, failed(begin, end) / during)
            })
        }
        (Manner::Slow, Measure::Latency) if !matches!(track.stat.as_str(), "Minimum" | "SampleCount") => {
            Some((track.mean(hour_before, begin)?, track.mean(begin, end)?))
        }
        _ => None,
    };
    entity.tracks.iter().filter_map(of_track).collect()
}

fn failing(entity: &Entity, track: &Track) -> Option<Trouble> {
    let requests = entity.requests_for(track)?;
    let shares = |failures: &[Option<f64>], requests: &[Option<f64>]| -> Vec<Option<f64>> {
        failures
            .iter()
            .zip(requests)
            .map(|(bad, all)| {
                bad.zip(*all).filter(|(_, all)| *all > 0.0).map(|(bad, all)| (bad / all).clamp(0.0, 1.0))
            })
            .collect()
    };
    let busiest = entity.demand();
    let old = |pick: fn(&Track) -> &Vec<Option<f64>>| {
        busiest.map(|total| shares(pick(track), pick(total))).unwrap_or_default()
    };
    share_trouble(
        track,
        shares(&track.values, &requests),
        &requests,
        old(|track| &track.day_ago),
        old(|track| &track.week_ago),
    )
}

/// Throttled calls are not among the invocations: both together are what callers tried.
fn throttled(entity: &Entity, track: &Track) -> Option<Trouble> {
    let requests = entity.requests_for(track)?;
    let tried = |refused: &[Option<f64>], done: &[Option<f64>]| -> Vec<Option<f64>> {
        refused
            .iter()
            .zip(done)
            .map(|(refused, done)| refused.zip(*done).map(|(refused, done)| refused + done))
            .collect()
    };
    let tried = tried(&track.values, &requests);
    let shares: Vec<Option<f64>> = track
        .values
        .iter()
        .zip(&tried)
        .map(|(refused, tried)| {
            refused.zip(*tried).filter(|(_, tried)| *tried > 0.0).map(|(refused, tried)| refused / tried)
        })
        .collect();
    share_trouble(track, shares, &tried, Vec::new(), Vec::new())
}

fn unavailable(entity: &Entity, track: &Track) -> Option<Trouble> {
    let missing = |values: &[Option<f64>]| -> Vec<Option<f64>> {
        values.iter().map(|value| value.map(|value| (1.0 - value / 100.0).clamp(0.0, 1.0))).collect()
    };
    let requests = entity.requests_for(track)?;
    share_trouble(track, missing(&track.values), &requests, missing(&track.day_ago), missing(&track.week_ago))
}

fn share_trouble(
    track: &Track,
    shares: Vec<Option<f64>>,
    requests: &[Option<f64>],
    day_ago: Vec<Option<f64>>,
    week_ago: Vec<Option<f64>>,
) -> Option<Trouble> {
    let tries: Vec<f64> =
        shares.iter().zip(requests).map(|(share, all)| share.and(*all).unwrap_or(0.0)).collect();
    let hits: Vec<f64> = shares.iter().zip(&tries).map(|(share, all)| share.unwrap_or(0.0) * all).collect();
    let rise = steps::rise_in_share(&hits, &tries)?;
    let end = rise.end.unwrap_or(tries.len());
    let requests_during: f64 = tries[rise.begin..end].iter().sum();
    let excess = hits[rise.begin..end].iter().sum::<f64>() - requests_during * rise.before;
    let steadiness = steps::steadiness(&shares, &rise);
    Some(Trouble {
        manner: Manner::Failing,
        rise,
        query: track.query(),
        metric: track.metric.clone(),
        stat: track.stat.clone(),
        values: shares,
        requests: tries,
        day_ago,
        week_ago,
        requests_during,
        excess,
        steadiness,
    })
}

fn slow(track: &Track) -> Option<Trouble> {
    if track.stat == "Minimum" || track.stat == "SampleCount" {
        return None;
    }
    let rise = steps::rise_in_level(&track.values)?;
    let steadiness = steps::steadiness(&track.values, &rise);
    Some(Trouble {
        manner: Manner::Slow,
        rise,
        query: track.query(),
        metric: track.metric.clone(),
        stat: track.stat.clone(),
        values: track.values.clone(),
        requests: Vec::new(),
        day_ago: track.day_ago.clone(),
        week_ago: track.week_ago.clone(),
        requests_during: f64::INFINITY,
        excess: f64::INFINITY,
        steadiness,
    })
}

/// The level of the same minutes on an earlier day: (before, during), where both are known.
pub fn level_then(values: &[Option<f64>], begin: usize, end: usize) -> Option<(f64, f64)> {
    let before = mean(values.get(begin.saturating_sub(60)..begin.saturating_sub(1))?)?;
    let during = mean(values.get(begin..end.min(values.len()))?)?;
    Some((before, during))
}
