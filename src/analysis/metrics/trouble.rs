//! What went wrong with one service by its own series: failing or slow, since when, how badly.

use super::Measure;
use super::entities::{Entity, Track, mean};
use crate::analysis::canary::log_bayes_factor;
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
        self.rise.strength >= SIGNIFICANT && self.is_large()
    }

    /// The odds that it is no chance. One nat less than [`SIGNIFICANT`] is even: to be called sure it has to be likelier
    /// than that.
    pub fn odds(&self) -> f64 {
        libm::exp((self.rise.strength - SIGNIFICANT + 1.0).min(700.0))
    }

    /// Big enough to speak of, were it sure.
    pub fn is_large(&self) -> bool {
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
    /// Failed requests and all of them: outside of the rise, and in it.
    pub fn counts(&self) -> ((f64, f64), (f64, f64)) {
        let (begin, end) = (self.rise.begin, self.rise.end.unwrap_or(self.values.len()));
        let mut sums = ((0.0, 0.0), (0.0, 0.0));
        for (period, (share, all)) in self.values.iter().zip(&self.requests).enumerate() {
            let sum: &mut (f64, f64) = if (begin..end).contains(&period) { &mut sums.1 } else { &mut sums.0 };
            if let Some(share) = share {
                sum.0 += share * all;
                sum.1 += all;
            }
        }
        sums
    }

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
            Measure::Throttles => failing(entity, track),
            Measure::Blocked => failing(entity, track).filter(|trouble| goes_missing(entity, track, trouble)),
            Measure::Refusals => failing(entity, track).filter(|trouble| {
                // Callers err all the time; a fault of ours makes many of them do so at once.
                trouble.rise.during >= 0.05 && trouble.rise.during >= 3.0 * trouble.rise.before
            }),
            Measure::Availability => failing(entity, track),
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

/// Failures that are as high in the first periods as in the last.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    pub query: String,
    /// Of all requests that were read, 0 to 1.
    pub share: f64,
    /// The same minutes of an earlier day: how many days ago, and the share then.
    pub usual: Option<(u32, f64)>,
}

/// A share of failures that was high before the first period that was read, so that no rise shows it: far above the same
/// minutes of an earlier day or, where none is known, more than anybody calls well. `lately`: periods from which a level at
/// either end is told.
pub fn standing(entity: &Entity, lately: usize) -> Option<Standing> {
    /// Of requests. A service of which one in ten fails is not well, whatever its habit.
    const HIGH: f64 = 0.1;
    /// Beside an earlier day: so many times as much, and so much more, that no wandering level is taken for it.
    const TIMES: f64 = 3.0;
    const MORE: f64 = 0.02;
    /// Nats, as much as choosing among a service's counts and days may cost.
    const SURE: f64 = 5.0;
    /// Fewest requests from which a share can be told.
    const REQUESTS: f64 = 40.0;
    let sums = |shares: &[Option<f64>], tries: &[f64]| {
        let known = shares.iter().zip(tries).filter_map(|(share, all)| Some((share.as_ref()? * all, *all)));
        known.fold((0.0, 0.0), |sum, (failed, all)| (sum.0 + failed, sum.1 + all))
    };
    let level = |(failed, all): (f64, f64)| (all >= REQUESTS).then(|| failed / all);
    let counted = |track: &&Track| {
        matches!(track.measure, Measure::Failures | Measure::Throttles | Measure::Availability)
    };
    let found = entity.tracks.iter().filter(counted).filter_map(|track| {
        let today = shares(entity, track)?;
        let (_, tries) = counts(&today);
        let whole = sums(&today.failed, &tries);
        let (share, lately) = (level(whole)?, lately.min(tries.len()));
        let late = tries.len() - lately;
        let first = level(sums(&today.failed[..lately], &tries))?;
        let last = level(sums(&today.failed[late..], &tries[late..]))?;
        let (day_ago, week_ago) = earlier(entity, track);
        let usual = [(1, day_ago), (7, week_ago)].into_iter().find_map(|(days, then)| {
            let then = sums(&then, &tries);
            Some((days, level(then)?, log_bayes_factor(whole.0, whole.1, then.0, then.1)))
        });
        let high = match usual {
            Some((_, then, nats)) => share >= TIMES * then && share >= then + MORE && nats >= SURE,
            None => share >= HIGH,
        };
        let stands = high && first.min(last) >= 0.5 * share;
        let usual = usual.map(|(days, then, _)| (days, then));
        Some((whole.1, stands.then(|| Standing { query: track.query(), share, usual })))
    });
    let found: Vec<(f64, Option<Standing>)> = found.collect();
    // What counts few of the requests says little of the service.
    let most = found.iter().map(|(all, _)| *all).fold(0.0, f64::max);
    let found = found.into_iter().filter(|(all, _)| 2.0 * all >= most).filter_map(|(_, standing)| standing);
    found.max_by(|a, b| a.share.total_cmp(&b.share).then_with(|| b.query.cmp(&a.query)))
}

/// Whether those who are turned away are missing behind the door: a firewall that keeps out who never came before does
/// its work.
fn goes_missing(entity: &Entity, track: &Track, trouble: &Trouble) -> bool {
    /// The part of those turned away that has to be missing: the rest may be others, or the same who try again.
    const PART: f64 = 0.3;
    let Some(served) = entity.demand() else { return false };
    let begin = trouble.rise.begin;
    let hour = begin.saturating_sub(60);
    let end = trouble.rise.end.unwrap_or(served.values.len());
    let moved = |track: &Track| Some(track.mean(begin, end)? - track.mean(hour, begin)?);
    matches!((moved(served), moved(track)), (Some(fewer), Some(more)) if -fewer >= PART * more)
}

/// The odds that failures rose since a period by something that matters, against that they did not, by what was counted
/// before and since; see [`steps::odds_of_rise`]. `None` where nothing counts failures.
pub fn odds_since(entity: &Entity, begin: usize) -> Option<f64> {
    let counted: Vec<(f64, f64)> = entity
        .tracks
        .iter()
        .filter(|track| {
            matches!(track.measure, Measure::Failures | Measure::Throttles | Measure::Availability)
        })
        .filter_map(|track| {
            let (hits, tries) = counts(&shares(entity, track)?);
            let since: f64 = tries.get(begin..).unwrap_or_default().iter().sum();
            Some((since, steps::odds_of_rise(&hits, &tries, begin)))
        })
        .collect();
    // What counts few of the requests says little of the others, and is not asked.
    let most = counted.iter().map(|(since, _)| *since).fold(0.0, f64::max);
    counted.iter().filter(|(since, _)| 2.0 * since >= most).map(|(_, odds)| *odds).reduce(f64::max)
}

/// Shares of failed requests by period, and the requests.
struct Shares {
    failed: Vec<Option<f64>>,
    requests: Vec<Option<f64>>,
}

fn part(bad: Option<f64>, all: Option<f64>) -> Option<f64> {
    bad.zip(all).filter(|(_, all)| *all > 0.0).map(|(bad, all)| (bad / all).clamp(0.0, 1.0))
}

fn parts(bad: &[Option<f64>], all: &[Option<f64>]) -> Vec<Option<f64>> {
    bad.iter().zip(all).map(|(bad, all)| part(*bad, *all)).collect()
}

/// Of an availability in percent.
fn missing(values: &[Option<f64>]) -> Vec<Option<f64>> {
    values.iter().map(|value| value.map(|value| (1.0 - value / 100.0).clamp(0.0, 1.0))).collect()
}

fn shares(entity: &Entity, track: &Track) -> Option<Shares> {
    let requests = entity.requests_for(track)?;
    Some(match track.measure {
        Measure::Availability => Shares { failed: missing(&track.values), requests },
        // Whoever was throttled or turned away is not among the requests: both together are what callers tried.
        Measure::Throttles | Measure::Blocked => {
            let both = |(refused, done): (&Option<f64>, &Option<f64>)| {
                refused.zip(*done).map(|(refused, done)| refused + done)
            };
            let tried: Vec<Option<f64>> = track.values.iter().zip(&requests).map(both).collect();
            Shares { failed: parts(&track.values, &tried), requests: tried }
        }
        _ => Shares { failed: parts(&track.values, &requests), requests },
    })
}

/// Failed requests and all of them, where both are known.
fn counts(shares: &Shares) -> (Vec<f64>, Vec<f64>) {
    let pairs = shares.failed.iter().zip(&shares.requests);
    let tries: Vec<f64> = pairs.map(|(share, all)| share.and(*all).unwrap_or(0.0)).collect();
    let hits = shares.failed.iter().zip(&tries).map(|(share, all)| share.unwrap_or(0.0) * all).collect();
    (hits, tries)
}

/// Shares of the same minutes a day and a week ago; empty where they are not told.
fn earlier(entity: &Entity, track: &Track) -> (Vec<Option<f64>>, Vec<Option<f64>>) {
    match track.measure {
        Measure::Availability => (missing(&track.day_ago), missing(&track.week_ago)),
        Measure::Throttles | Measure::Blocked => (Vec::new(), Vec::new()),
        _ => {
            let old = |pick: fn(&Track) -> &Vec<Option<f64>>| {
                entity.demand().map(|total| parts(pick(track), pick(total))).unwrap_or_default()
            };
            (old(|track| &track.day_ago), old(|track| &track.week_ago))
        }
    }
}

fn failing(entity: &Entity, track: &Track) -> Option<Trouble> {
    let shares = shares(entity, track)?;
    let (day_ago, week_ago) = earlier(entity, track);
    let (hits, tries) = counts(&shares);
    let rise = steps::rise_in_share(&hits, &tries)?;
    let end = rise.end.unwrap_or(tries.len());
    let requests_during: f64 = tries[rise.begin..end].iter().sum();
    let excess = hits[rise.begin..end].iter().sum::<f64>() - requests_during * rise.before;
    let steadiness = steps::steadiness(&shares.failed, &rise);
    Some(Trouble {
        manner: Manner::Failing,
        rise,
        query: track.query(),
        metric: track.metric.clone(),
        stat: track.stat.clone(),
        values: shares.failed,
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
