//! Causes that are not a change, by the signs that they leave: demand, a dependency, a resource that
//! runs out, a date that passed, the provider.
//!
//! The rule that is not obvious: a sign that comes after the onset is a consequence. A dependency
//! that fails later fails because of us, or for reasons of its own.

use super::logs::LogSurvey;
use super::logs::phrases::Mechanism;
use super::metrics::entities::{self, Entity, mean};
use super::metrics::measure::{counts_what_is_left, is_percent};
use super::metrics::{Gauge, Manner, Measure, Metrics, Role, Trouble, trouble};
use super::ratios;
use super::symptom::Symptom;
use super::words;
use crate::domain::evidence::Scope;

/// More requests than this hour's habit.
#[derive(Debug, Clone)]
pub struct Surge {
    pub before: f64,
    pub during: f64,
    /// During over before, after taking out what earlier days did at this hour.
    pub factor: f64,
    pub begin: usize,
    pub query: String,
    /// Other services with a rise of the same size in the same minutes.
    pub others: usize,
    pub rate: f64,
}

/// A dependency in trouble before or with the service.
#[derive(Debug, Clone)]
pub struct Outage {
    pub name: String,
    pub trouble: Trouble,
    pub rate: f64,
}

/// A resource that runs out.
#[derive(Debug, Clone)]
pub struct Drain {
    pub gauge: Gauge,
    pub query: String,
    pub from: f64,
    pub to: f64,
    /// Minutes that it has been going up.
    pub minutes: f64,
    /// Where the slope began, if it did so inside the window.
    pub knee: Option<usize>,
    pub rate: f64,
}

#[derive(Debug, Clone)]
pub struct Expiry {
    /// The error that says so.
    pub text: Option<String>,
    /// Days left by a metric, at its lowest.
    pub days_left: Option<f64>,
    pub rate: f64,
}

#[derive(Debug, Clone)]
pub struct ZoneTrouble {
    /// Peers that fail in the same minutes.
    pub peers: Vec<String>,
    pub of: usize,
    pub text: Option<String>,
    /// The zone that the failures come from, where a field says so.
    pub zone: Option<String>,
    pub rate: f64,
}

/// One tenant, path or client whose share of the work shifted.
#[derive(Debug, Clone)]
pub struct MixShift {
    pub field: String,
    pub value: String,
    pub before: f64,
    pub during: f64,
}

/// All signs found.
#[derive(Debug, Clone, Default)]
pub struct Triggers {
    pub surge: Option<Surge>,
    /// Demand was read and did not rise.
    pub demand_flat: Option<f64>,
    /// Demand rose, but as it does at this hour on other days: before, during, first period.
    pub usual_rise: Option<(f64, f64, usize)>,
    pub mix: Option<MixShift>,
    pub outages: Vec<Outage>,
    /// Dependencies whose series were read and show nothing.
    pub healthy: Vec<String>,
    /// Dependencies, and hosts outside, that the new errors name.
    pub blamed: Vec<String>,
    /// Somebody who is named has answered with a failure of its own: no mere silence.
    pub answered: bool,
    pub drain: Option<Drain>,
    /// Latency that crept up for long before requests failed.
    pub creep: Option<Drain>,
    /// Gauges were read and none is running out.
    pub gauges_calm: bool,
    pub expiry: Option<Expiry>,
    pub zone: Option<ZoneTrouble>,
    /// Failing lines and lines of the failing zone, and of the others.
    pub zone_split: Option<(f64, f64, f64, f64)>,
    /// What the errors say has run out, where that is never a matter of load: disk, a quota.
    pub spent: Option<Mechanism>,
    /// Peers were read and are calm.
    pub peers_calm: usize,
}

pub fn find(
    symptom: &Symptom,
    metrics: Option<&Metrics>,
    logs: Option<&LogSurvey>,
    scope: &Scope,
) -> Triggers {
    let mut found = Triggers::default();
    let texts: Vec<(String, Option<Mechanism>, f64)> = logs
        .map(|logs| {
            symptom
                .new_kinds(logs)
                .into_iter()
                .map(|(kind, share)| (kind.example.clone(), kind.mechanism, share))
                .collect()
        })
        .unwrap_or_default();
    if let Some(metrics) = metrics {
        demand(&mut found, symptom, metrics);
        dependencies(&mut found, symptom, metrics);
        peers(&mut found, symptom, metrics);
        if let Some(own) = metrics.own() {
            gauges(&mut found, symptom, own);
            found.creep = creep(symptom, own);
        }
    }
    if let Some(logs) = logs {
        memory_of_reports(&mut found, symptom, logs);
        found.mix = mix(symptom, logs);
    }
    phrases(&mut found, symptom, &texts, logs, scope);
    found
}

/// Density of a trigger's lag, for one that began somewhere in its own interval.
fn lag(symptom: &Symptom, first: usize, last: usize) -> f64 {
    let (from, until) = (symptom.grid.second(first), symptom.grid.second(last) + symptom.grid.step - 1);
    // Two things seen in the same period have no order: half a period of grace.
    let grace = symptom.grid.step / 2 + 30;
    symptom.lag_density(from - grace, until - grace, ratios::trigger_lag)
}

/// Demand around the onset against the hour before it and against the habit of this hour. A shift
/// hours earlier is no trigger, one after the onset is a consequence.
fn demand(found: &mut Triggers, symptom: &Symptom, metrics: &Metrics) {
    let Some((offered, track)) = metrics.own().and_then(|own| Some((own.offered()?, own.demand()?))) else {
        return;
    };
    if symptom.primary.is_none() {
        return;
    }
    let at = symptom.begin.min(offered.len());
    let Some((before, during)) = around(&offered, symptom, at) else { return };
    let ratio = if before > 0.0 { during / before } else { 1.0 };
    if symptom.requests.is_some_and(|requests| requests < 2.0 * super::symptom::ENOUGH_REQUESTS) {
        // A handful of requests more is no surge.
        return;
    }
    let habit = [&track.day_ago, &track.week_ago]
        .into_iter()
        .filter_map(|values| around(values, symptom, at))
        .map(|(before, during)| if before > 0.0 { during / before } else { 1.0 })
        .fold(1.0, f64::max);
    let factor = ratio / habit;
    // Where it was half-way up: retries that begin after the onset do not count.
    let from = at.saturating_sub(symptom.grid.periods(45));
    let half = before + 0.5 * (during - before);
    let begin = (from..offered.len())
        .rev()
        .take_while(|index| offered[*index].is_none_or(|value| value > half))
        .last();
    let with = begin.is_some_and(|begin| begin <= symptom.last + symptom.grid.periods(2));
    if factor < 1.4 || !with {
        found.demand_flat = Some(ratio);
        if habit >= 1.3 && ratio >= 1.3 {
            found.usual_rise = Some((before, during, begin.unwrap_or(at)));
        }
        return;
    }
    let begin = begin.unwrap_or(at);
    let others = metrics
        .entities
        .iter()
        .filter(|entity| entity.role != Role::Own)
        .filter_map(Entity::demand)
        .filter_map(|track| around(&track.values, symptom, at))
        .filter(|(before, during)| *before > 0.0 && during / before >= 1.3)
        .count();
    // A surge of 1.4 rarely hurts, one of 3 often does.
    let size = ((factor - 1.0) / 2.0).clamp(0.1, 1.0);
    let first = begin.saturating_sub(symptom.grid.periods(3)).min(symptom.last);
    let rate = ratios::SURGE_HURTS * size * lag(symptom, first, begin.min(symptom.last));
    found.surge = Some(Surge { before, during, factor, begin, query: track.query(), others, rate });
}

/// The level from an hour to ten minutes before a period, and from it on (without the newest, which
/// may be incomplete, where there are others).
fn around(values: &[Option<f64>], symptom: &Symptom, at: usize) -> Option<(f64, f64)> {
    let hour = symptom.grid.periods(60);
    let margin = symptom.grid.periods(10);
    let before = values.get(at.saturating_sub(hour)..at.saturating_sub(margin))?;
    let end = symptom.end.unwrap_or(values.len()).min(values.len());
    let during = values.get(at..end)?;
    let during = if during.len() > 2 { &during[..during.len() - 1] } else { during };
    Some((mean(before)?, mean(during)?))
}

/// Troubles of another service that could have caused ours.
fn concurrent(symptom: &Symptom, entity: &Entity) -> Option<Trouble> {
    let grid = symptom.grid;
    trouble::troubles(entity)
        .into_iter()
        .filter(|one| {
            one.matters()
                && one.rise.strength >= trouble::SIGNIFICANT + 3.0
                && match one.manner {
                    Manner::Failing => one.rise.during >= 2.0 * one.rise.before,
                    Manner::Slow => one.rise.ratio() >= 1.3,
                }
        })
        .find(|one| {
            let (first, last) = one.rise.interval();
            let lasts = one.rise.end.is_none_or(|end| end > symptom.begin + grid.periods(3));
            first <= symptom.last + 1 && last + grid.periods(30) >= symptom.first && lasts
        })
}

fn dependencies(found: &mut Triggers, symptom: &Symptom, metrics: &Metrics) {
    for entity in metrics.others(Role::Dependency) {
        let measured = entity.tracks.iter().any(|track| {
            matches!(track.measure, Measure::Failures | Measure::Latency | Measure::Availability)
        });
        if symptom.primary.is_none() || !measured {
            continue;
        }
        match concurrent(symptom, entity) {
            Some(trouble) => {
                let (first, last) = trouble.rise.interval();
                let size = match trouble.manner {
                    Manner::Failing => ((trouble.rise.during - trouble.rise.before) / 0.05).clamp(0.2, 1.0),
                    Manner::Slow => ((trouble.rise.ratio() - 1.0) / 1.0).clamp(0.2, 1.0),
                };
                let rate =
                    ratios::DEPENDENCY_HURTS * size * lag(symptom, first, last.min(symptom.last.max(first)));
                found.outages.push(Outage { name: entity.name.clone(), trouble, rate });
            }
            None => found.healthy.push(entity.name.clone()),
        }
    }
    found.outages.sort_by(|a, b| b.rate.total_cmp(&a.rate).then_with(|| a.name.cmp(&b.name)));
}

fn peers(found: &mut Triggers, symptom: &Symptom, metrics: &Metrics) {
    if symptom.primary.is_none() {
        return;
    }
    let near = symptom.grid.periods(6);
    let mut failing = Vec::new();
    let mut count = 0;
    for entity in metrics.others(Role::Peer) {
        count += 1;
        if let Some(trouble) = concurrent(symptom, entity)
            && trouble.rise.begin.abs_diff(symptom.begin) <= near
        {
            failing.push(entity.name.clone());
        }
    }
    found.peers_calm = count - failing.len();
    if failing.len() >= 2 || (failing.len() == 1 && count == 1 && !found.outages.is_empty()) {
        let share = failing.len() as f64 / count.max(1) as f64;
        let rate = ratios::ZONE_HURTS * share * lag(symptom, symptom.first, symptom.last);
        found.zone = Some(ZoneTrouble { peers: failing, of: count, text: None, zone: None, rate });
    }
}

/// Resources that run out.
fn gauges(found: &mut Triggers, symptom: &Symptom, own: &Entity) {
    let mut read = false;
    for (gauge, track) in entities::gauges(own) {
        if gauge == Gauge::DaysLeft {
            days_left(found, symptom, track);
            continue;
        }
        if track.values.iter().flatten().count() < 20 {
            continue;
        }
        read = true;
        // What rises and falls with demand is used, not used up; so is what does so every day.
        if follows(&track.values, own) || usual(symptom, track) {
            continue;
        }
        if let Some(drain) = drain(
            symptom,
            gauge,
            &track.values,
            counts_what_is_left(&track.metric),
            None,
            is_percent(&track.metric),
            track.query(),
        ) && found.drain.as_ref().is_none_or(|known| known.rate < drain.rate)
        {
            found.drain = Some(drain);
        }
    }
    found.gauges_calm = read && found.drain.is_none();
}

/// Whether a gauge moves with demand: correlated by period, and demand itself moved.
fn follows(values: &[Option<f64>], own: &Entity) -> bool {
    let Some(offered) = own.offered() else { return false };
    let pairs: Vec<(f64, f64)> =
        values.iter().zip(&offered).filter_map(|(gauge, demand)| gauge.zip(*demand)).collect();
    if pairs.len() < 20 {
        return false;
    }
    let count = pairs.len() as f64;
    let (x, y) = pairs.iter().fold((0.0, 0.0), |sum, pair| (sum.0 + pair.0, sum.1 + pair.1));
    let (x, y) = (x / count, y / count);
    let (mut xy, mut xx, mut yy) = (0.0, 0.0, 0.0);
    for (gauge, demand) in &pairs {
        xy += (gauge - x) * (demand - y);
        xx += (gauge - x).powi(2);
        yy += (demand - y).powi(2);
    }
    let spread = (yy / count).sqrt() / y.abs().max(1e-9);
    xx > 0.0 && yy > 0.0 && spread > 0.08 && xy / (xx * yy).sqrt() > 0.75
}

/// Whether the same hours of an earlier day saw the same climb.
fn usual(symptom: &Symptom, track: &entities::Track) -> bool {
    let climb = |values: &[Option<f64>]| -> Option<f64> {
        let end = symptom.begin.min(values.len());
        let early = mean(values.get(..(end / 4).max(1))?)?;
        let late = mean(values.get(end.saturating_sub(end / 8 + 1)..end)?)?;
        Some(late - early)
    };
    let Some(today) = climb(&track.values) else { return false };
    [&track.day_ago, &track.week_ago]
        .into_iter()
        .filter_map(|values| climb(values))
        .any(|then| today > 0.0 && then > 0.5 * today)
}

/// Latency that climbs for half an hour and more before requests fail: something fills up, whether a
/// gauge shows it or not.
fn creep(symptom: &Symptom, own: &Entity) -> Option<Drain> {
    symptom.primary.as_ref()?;
    let block = symptom.grid.periods(10);
    let end = symptom.grid.len;
    own.of_measure(Measure::Latency)
        .filter(|track| track.stat != "Maximum")
        .filter_map(|track| {
            let levels: Vec<(usize, f64)> = (0..end / block)
                .filter_map(|index| {
                    let from = end - (end / block - index) * block;
                    let mut values: Vec<f64> =
                        track.values.get(from..from + block)?.iter().flatten().copied().collect();
                    values.sort_by(f64::total_cmp);
                    Some((from, values.get(values.len() / 2).copied().filter(|value| *value > 0.0)?.ln()))
                })
                .collect();
            let mut begin = levels.len().checked_sub(1)?;
            while begin > 0 && levels[begin - 1].1 < levels[begin].1 + 0.01 {
                begin -= 1;
            }
            // A flat stretch before it is not part of it.
            while begin + 2 < levels.len() && levels[begin + 1].1 - levels[begin].1 < 0.04 {
                begin += 1;
            }
            let rising: Vec<f64> = levels[begin..].windows(2).map(|pair| pair[1].1 - pair[0].1).collect();
            let whole = levels.last()?.1 - levels[begin].1;
            let largest = rising.iter().copied().fold(0.0, f64::max);
            let steps = rising.iter().filter(|step| **step > 0.04).count();
            let minutes = (rising.len() * block) as f64 * symptom.grid.step as f64 / 60.0;
            (steps >= 4 && minutes >= 40.0 && whole >= 0.5 && largest <= 0.6 * whole).then(|| Drain {
                gauge: Gauge::Queue,
                query: track.query(),
                from: levels[begin].1.exp(),
                to: levels.last().map_or(0.0, |level| level.1.exp()),
                minutes,
                knee: (begin > 1).then_some(levels[begin].0),
                rate: ratios::LIMIT_HURTS * 0.004,
            })
        })
        .max_by(|a, b| a.minutes.total_cmp(&b.minutes).then_with(|| b.query.cmp(&a.query)))
}

fn days_left(found: &mut Triggers, symptom: &Symptom, track: &entities::Track) {
    if symptom.primary.is_none() {
        return;
    }
    let lowest = track.values.iter().flatten().copied().fold(f64::INFINITY, f64::min);
    if lowest <= 0.0 {
        let crossed =
            track.values.iter().position(|value| value.is_some_and(|value| value <= 0.0)).unwrap_or(0);
        let rate = ratios::EXPIRY_HURTS * lag(symptom, crossed.min(symptom.last), symptom.last.max(crossed));
        let rate = rate.max(if crossed <= symptom.last { 1e-3 } else { 0.0 });
        let known = found.expiry.get_or_insert(Expiry { text: None, days_left: None, rate: 0.0 });
        known.days_left = Some(lowest);
        known.rate = known.rate.max(rate);
    }
}

/// A level that goes one way for long and nears its limit by the onset.
fn drain(
    symptom: &Symptom,
    gauge: Gauge,
    values: &[Option<f64>],
    falling: bool,
    limit: Option<f64>,
    is_percent: bool,
    query: String,
) -> Option<Drain> {
    symptom.primary.as_ref()?;
    // A leak is felt while it still goes on: what counts is up to an hour after the onset.
    let end = (symptom.last + 1 + symptom.grid.periods(60)).min(values.len());
    let points: Vec<(f64, f64)> = values[..end]
        .iter()
        .enumerate()
        .filter_map(|(index, value)| value.map(|value| (index as f64, if falling { -value } else { value })))
        .collect();
    if points.len() < 20 {
        return None;
    }
    // CPU follows demand minute by minute; only what accumulates can be drained.
    if gauge == Gauge::Cpu {
        return None;
    }
    let (slope, noise) = slope(&points)?;
    let (knee, from, to) = trend(&points, noise)?;
    let span = points.last()?.0 - knee as f64;
    let minutes = span * symptom.grid.step as f64 / 60.0;
    let moved = to - from;
    if slope <= 0.0 || minutes < 30.0 || moved < 4.0 * noise || moved < 0.04 * from.abs().max(to.abs()) {
        return None;
    }
    let level = if falling { -to } else { to };
    // Percentages have their limit at 100. Of other gauges it is not known: the level must have come
    // to a stand at its own maximum, or have grown to a multiple.
    let growth = if from.abs() > 1e-9 {
        (to / from).abs().max((from / to.abs().max(1e-9)).abs())
    } else {
        f64::INFINITY
    };
    let near = match (limit, falling) {
        (Some(limit), _) if limit > 0.0 => (level / limit).clamp(0.0, 1.0),
        (_, true) => (1.0 - level / (-from).max(1e-9)).clamp(0.0, 1.0),
        _ if is_percent && (0.0..=100.5).contains(&level) => level / 100.0,
        _ if growth >= 2.0 => 0.9,
        _ if growth >= 1.15 && stands(&points) => 0.8,
        _ => 0.0,
    };
    if near < 0.7 {
        return None;
    }
    let nearness = ((near - 0.65) / 0.25).clamp(0.1, 1.0);
    let rate = ratios::LIMIT_HURTS * nearness * ratios::trigger_lag(5.0);
    let (from, to) = if falling { (-from, -to) } else { (from, to) };
    if knee > symptom.last {
        return None;
    }
    let inside = knee > points.len() / 12 + 3;
    Some(Drain { gauge, query, from, to, minutes, knee: inside.then_some(knee), rate })
}

/// Whether the last tenth goes no further than the tenth before it: a ceiling is reached.
fn stands(points: &[(f64, f64)]) -> bool {
    let tenth = (points.len() / 10).max(3);
    let median = |part: &[(f64, f64)]| {
        let mut values: Vec<f64> = part.iter().map(|point| point.1).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    };
    let end = points.len();
    let (Some(last), Some(previous), Some(first)) = (
        median(&points[end - tenth..]),
        median(&points[end.saturating_sub(2 * tenth)..end - tenth]),
        median(&points[..tenth]),
    ) else {
        return false;
    };
    (last - previous).abs() <= 0.08 * (last - first).abs()
}

/// Least squares over the whole, and the noise around a running median of differences.
fn slope(points: &[(f64, f64)]) -> Option<(f64, f64)> {
    let count = points.len() as f64;
    let mean_x = points.iter().map(|point| point.0).sum::<f64>() / count;
    let mean_y = points.iter().map(|point| point.1).sum::<f64>() / count;
    let covariance: f64 = points.iter().map(|point| (point.0 - mean_x) * (point.1 - mean_y)).sum();
    let variance: f64 = points.iter().map(|point| (point.0 - mean_x).powi(2)).sum();
    let mut differences: Vec<f64> = points.windows(2).map(|pair| (pair[1].1 - pair[0].1).abs()).collect();
    differences.sort_by(f64::total_cmp);
    let noise = differences.get(differences.len() * 3 / 4)? / 1.15 / std::f64::consts::SQRT_2;
    (variance > 0.0).then(|| (covariance / variance, noise.max(1e-6)))
}

/// Where the way up begins, the level there and at the end: medians of tenths that never fall back.
fn trend(points: &[(f64, f64)], noise: f64) -> Option<(usize, f64, f64)> {
    let part = (points.len() / 20).max(3);
    let levels: Vec<(usize, f64)> = points
        .chunks(part)
        .filter(|chunk| chunk.len() * 2 > part)
        .map(|chunk| {
            let mut values: Vec<f64> = chunk.iter().map(|point| point.1).collect();
            values.sort_by(f64::total_cmp);
            (chunk[0].0 as usize, values[values.len() / 2])
        })
        .collect();
    let (_, last) = *levels.last()?;
    let mut begin = levels.len() - 1;
    while begin > 0 && levels[begin - 1].1 <= levels[begin].1 + 0.6 * noise {
        begin -= 1;
    }
    // A flat stretch before the slope is not part of it.
    while begin + 1 < levels.len() && levels[begin + 1].1 - levels[begin].1 < 0.02 * (last - levels[begin].1)
    {
        begin += 1;
    }
    // At least a quarter of the parts go up: a step has one.
    let steps_up = levels[begin..].windows(2).filter(|pair| pair[1].1 > pair[0].1 + 1e-9).count();
    let largest = levels[begin..].windows(2).map(|pair| pair[1].1 - pair[0].1).fold(0.0, f64::max);
    let whole = last - levels[begin].1;
    (steps_up >= 3 && largest < 0.6 * whole).then_some((levels[begin].0, levels[begin].1, last))
}

/// Lambda's REPORT lines tell the memory used where no metric does.
fn memory_of_reports(found: &mut Triggers, symptom: &Symptom, logs: &LogSurvey) {
    let Some(field) = logs.numeric.get("Max Memory Used") else { return };
    let values: Vec<Option<f64>> = field
        .sum
        .iter()
        .zip(&field.count)
        .map(|(sum, count)| (*count > 0).then(|| sum / f64::from(*count)))
        .collect();
    if let Some(drain) = drain(
        symptom,
        Gauge::Memory,
        &values,
        false,
        logs.memory_limit,
        false,
        "Max Memory Used of REPORT lines".to_owned(),
    ) && found.drain.as_ref().is_none_or(|known| known.rate < drain.rate)
    {
        found.drain = Some(drain);
        found.gauges_calm = false;
    }
}

/// A value of a field whose share of all lines rose by much at the onset.
fn mix(symptom: &Symptom, logs: &LogSurvey) -> Option<MixShift> {
    symptom.primary.as_ref()?;
    let (begin, len) = (symptom.begin, logs.grid.len);
    let sum = |counts: &[u32], from: usize, to: usize| -> f64 {
        counts[from..to].iter().map(|count| f64::from(*count)).sum()
    };
    let mut best: Option<MixShift> = None;
    for (name, field) in &logs.choices {
        if field.overflow || field.values.len() < 3 || !is_of_the_caller(name) {
            continue;
        }
        let total = |from, to| field.values.values().map(|counts| sum(counts, from, to)).sum::<f64>();
        let (before_all, during_all) = (total(0, begin), total(begin, len));
        if before_all < 50.0 || during_all < 50.0 {
            continue;
        }
        for (value, counts) in &field.values {
            let before = sum(counts, 0, begin) / before_all;
            let during = sum(counts, begin, len) / during_all;
            let jump = during - before;
            let larger = best.as_ref().is_none_or(|best| {
                jump > best.during - best.before
                    || (jump >= best.during - best.before && (name, value) < (&best.field, &best.value))
            });
            // From nothing to everything is a switch, not a mix.
            if before >= 0.01 && during <= 0.97 && jump >= 0.25 && during >= 2.5 * before && larger {
                best = Some(MixShift { field: name.clone(), value: value.clone(), before, during });
            }
        }
    }
    best
}

/// Fields that tell callers or their work apart; not those of the service itself or its release.
fn is_of_the_caller(name: &str) -> bool {
    let words = words::split(name);
    let has = |names: &[&str]| words.iter().any(|word| names.contains(&word.as_str()));
    has(&[
        "tenant",
        "customer",
        "client",
        "path",
        "route",
        "endpoint",
        "operation",
        "method",
        "agent",
        "account",
        "user",
        "partner",
        "channel",
        "country",
        "plan",
        "tier",
        "org",
        "organisation",
        "organization",
        "category",
        "kind",
        "action",
    ]) && !super::logs::phrases::is_deployment_hint(name)
}

/// What the new errors say about causes that are not a change.
fn phrases(
    found: &mut Triggers,
    symptom: &Symptom,
    texts: &[(String, Option<Mechanism>, f64)],
    logs: Option<&LogSurvey>,
    scope: &Scope,
) {
    let said = |mechanism: Mechanism| {
        texts
            .iter()
            .filter(|(_, said, _)| *said == Some(mechanism))
            .map(|(text, _, share)| (text.clone(), *share))
            .reduce(|a, b| if b.1 > a.1 { b } else { a })
    };
    if let Some((text, share)) = said(Mechanism::Expired)
        && share >= 0.3
    {
        let expiry = found.expiry.get_or_insert(Expiry { text: None, days_left: None, rate: 0.0 });
        expiry.text = Some(text);
        expiry.rate = expiry.rate.max(ratios::EXPIRY_HURTS * share * ratios::trigger_lag(1.0));
    }
    found.spent = [Mechanism::Disk, Mechanism::Handles].into_iter().find(|mechanism| {
        texts.iter().filter(|(_, said, _)| *said == Some(*mechanism)).map(|(_, _, share)| share).sum::<f64>()
            >= 0.3
    });
    if let Some((text, share)) = said(Mechanism::Provider)
        && share >= 0.2
    {
        let rate = ratios::ZONE_HURTS * share * lag(symptom, symptom.first, symptom.last);
        let known =
            found.zone.get_or_insert(ZoneTrouble { peers: Vec::new(), of: 0, text: None, zone: None, rate });
        known.rate = known.rate.max(rate);
        known.text = Some(text);
    }
    for (text, mechanism, share) in texts {
        let about_others = matches!(
            mechanism,
            Some(
                Mechanism::Upstream
                    | Mechanism::Timeout
                    | Mechanism::Unreachable
                    | Mechanism::Throttled
                    | Mechanism::Overload
            )
        );
        if !about_others || *share < 0.2 {
            continue;
        }
        let lower = text.to_lowercase();
        let mut named: Vec<String> = scope
            .depends_on
            .iter()
            .filter(|name| words::contains_token(&lower, &name.to_lowercase()))
            .cloned()
            .collect();
        if named.is_empty() {
            named.extend(words::tokens(&lower).into_iter().filter(|token| is_party(token, scope)));
        }
        found.answered |= !named.is_empty() && *mechanism == Some(Mechanism::Upstream);
        for name in named {
            if !found.blamed.contains(&name) {
                found.blamed.push(name);
            }
        }
    }
    if let Some(logs) = logs {
        one_zone(found, symptom, logs);
    }
}

/// A host or another service: a name with parts, not an address, a file or the service itself.
fn is_party(token: &str, scope: &Scope) -> bool {
    let parts: Vec<&str> = token.split(['.', '-']).collect();
    let lettered =
        parts.iter().filter(|part| part.len() >= 2 && part.chars().any(char::is_alphabetic)).count();
    let file = ["py", "java", "js", "go", "rb", "rs", "ts", "cs", "php"]
        .contains(&parts.last().copied().unwrap_or(""));
    let word = [
        "read-only",
        "time-out",
        "re-",
        "non-",
        "self-",
        "retry-after",
        "x-",
        "content-type",
        "end-of",
        "up-to",
        "in-flight",
    ]
    .iter()
    .any(|head| token.starts_with(head));
    parts.len() >= 2
        && lettered >= 2
        && lettered == parts.iter().filter(|part| !part.is_empty()).count()
        && !file
        && !word
        && !token.eq_ignore_ascii_case(&scope.service)
        && !scope.peers.iter().any(|peer| peer.eq_ignore_ascii_case(token))
}

/// Failures that come from one availability zone while the others work.
fn one_zone(found: &mut Triggers, symptom: &Symptom, logs: &LogSurvey) {
    if symptom.primary.is_none() || logs.zones.len() < 2 {
        return;
    }
    let to = symptom.end.unwrap_or(logs.grid.len).min(logs.grid.len);
    let sums: Vec<(&String, f64, f64)> = logs
        .zones
        .iter()
        .map(|(name, counts)| {
            let (lines, failing) = counts[symptom.begin.min(to)..to]
                .iter()
                .fold((0.0, 0.0), |sum, count| (sum.0 + f64::from(count.0), sum.1 + f64::from(count.1)));
            (name, lines, failing)
        })
        .collect();
    let all_lines: f64 = sums.iter().map(|sum| sum.1).sum();
    let all_failing: f64 = sums.iter().map(|sum| sum.2).sum();
    let Some((name, lines, failing)) = sums.iter().max_by(|a, b| a.2.total_cmp(&b.2)).copied() else {
        return;
    };
    let (other_lines, other_failing) = (all_lines - lines, all_failing - failing);
    if failing < 5.0 || other_lines < 15.0 {
        return;
    }
    let factor = super::suspects::log_bayes_factor(
        failing,
        lines.max(failing),
        other_failing,
        other_lines.max(other_failing),
    );
    // The other zones have to work, not merely to fail less.
    let others = other_failing / other_lines;
    if others > 0.1 && others > 0.12 * failing / lines || failing / lines < 4.0 * others || factor < 3.0 {
        return;
    }
    let rate = ratios::ZONE_HURTS * ratios::trigger_lag(1.0);
    let known =
        found.zone.get_or_insert(ZoneTrouble { peers: Vec::new(), of: 0, text: None, zone: None, rate });
    known.rate = known.rate.max(rate);
    known.zone = Some(name.clone());
    found.zone_split = Some((failing, lines, other_failing, other_lines));
}
