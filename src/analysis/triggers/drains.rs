//! What runs out: gauges that climb to their limit, latency that creeps, days that are counted down.
//!
//! The rule that is not obvious: a gauge that moves with demand, or climbs like this every day, is
//! used and not used up.

use super::{Drain, Expiry, Triggers, lag};
use crate::analysis::logs::LogSurvey;
use crate::analysis::metrics::entities::{self, Entity, mean};
use crate::analysis::metrics::measure::{counts_what_is_left, is_percent};
use crate::analysis::metrics::{Gauge, Measure, Metrics, Resource};
use crate::analysis::ratios;
use crate::analysis::symptom::Symptom;

/// Resources that run out.
pub(super) fn gauges(found: &mut Triggers, symptom: &Symptom, own: &Entity) {
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
        if follows(track, own) || usual(symptom, track) {
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

/// The same for what is no service, but named after this one or after nobody: databases, disks,
/// certificates.
pub(super) fn resources(found: &mut Triggers, symptom: &Symptom, metrics: &Metrics) {
    let own = metrics.own();
    for Resource { track, own: named } in &metrics.resources {
        match track.measure {
            Measure::Gauge(Gauge::DaysLeft) => days_left(found, symptom, track),
            Measure::Gauge(gauge)
                if *named
                    && track.values.iter().flatten().count() >= 20
                    && !own.is_some_and(|own| follows(track, own))
                    && !usual(symptom, track) =>
            {
                let falling = counts_what_is_left(&track.metric);
                let percent = is_percent(&track.metric);
                if let Some(drain) =
                    drain(symptom, gauge, &track.values, falling, None, percent, track.query())
                    && found.drain.as_ref().is_none_or(|known| known.rate < drain.rate)
                {
                    found.drain = Some(drain);
                    found.gauges_calm = false;
                }
            }
            _ => {}
        }
    }
}

/// Whether a gauge moves with demand: correlated by period, and demand itself moved. More work leaves less of what is
/// left: a balance that falls while less is asked for is not used by those who ask.
pub(super) fn follows(track: &entities::Track, own: &Entity) -> bool {
    let Some(offered) = own.offered() else { return false };
    let way = if counts_what_is_left(&track.metric) { -1.0 } else { 1.0 };
    let pairs: Vec<(f64, f64)> = track
        .values
        .iter()
        .zip(&offered)
        .filter_map(|(gauge, demand)| gauge.map(|gauge| way * gauge).zip(*demand))
        .collect();
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
    /// What chance alone does to some 150 requests a period: demand that spreads less has not moved.
    const MOVES: f64 = 0.08;
    /// More than half of what the gauge does is then told by demand (the square of it).
    const CORRELATED: f64 = 0.75;
    xx > 0.0 && yy > 0.0 && spread > MOVES && xy / (xx * yy).sqrt() > CORRELATED
}

/// Whether the same hours of an earlier day saw the same climb to the same level. The same climb at
/// another level every day is one climb that lasts for days.
pub(super) fn usual(symptom: &Symptom, track: &entities::Track) -> bool {
    /// An earlier day climbed alike from half of today's climb on.
    const ALIKE: f64 = 0.5;
    /// To the same level: three climbs apart, and days of the same climb lie between.
    const CLIMBS_APART: f64 = 3.0;
    let climb = |values: &[Option<f64>]| -> Option<(f64, f64)> {
        let end = symptom.begin.min(values.len());
        let early = mean(values.get(..(end / 4).max(1))?)?;
        let late = mean(values.get(end.saturating_sub(end / 8 + 1)..end)?)?;
        Some((late - early, late))
    };
    let Some((today, level)) = climb(&track.values) else { return false };
    [&track.day_ago, &track.week_ago].into_iter().filter_map(|values| climb(values)).any(|(then, late)| {
        today > 0.0 && then > ALIKE * today && (level - late).abs() < CLIMBS_APART * today
    })
}

/// Latency that climbs for half an hour and more before requests fail: something fills up, whether a
/// gauge shows it or not.
pub(super) fn creep(symptom: &Symptom, own: &Entity) -> Option<Drain> {
    // Levels are logarithms of medians of ten minutes.
    /// What falls back by less goes on climbing: the noise of a median.
    const FALLS_BACK: f64 = 0.01;
    /// What climbs by less in ten minutes is flat: four percent.
    const FLAT: f64 = 0.04;
    /// So many steps up, none of which is most of the way: a jump and its noise make three.
    const STEPS: usize = 4;
    const LARGEST_STEP: f64 = 0.6;
    /// Minutes. Anything shorter is a rise like any other.
    const LONG: f64 = 40.0;
    /// In all by two thirds and more: latency wanders by some tenths in any hour.
    const CLIMBS: f64 = 0.5;
    /// No gauge shows it: a tenth of what one at its limit is worth.
    const UNSEEN: f64 = 0.004;
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
            while begin > 0 && levels[begin - 1].1 < levels[begin].1 + FALLS_BACK {
                begin -= 1;
            }
            // A flat stretch before it is not part of it.
            while begin + 2 < levels.len() && levels[begin + 1].1 - levels[begin].1 < FLAT {
                begin += 1;
            }
            let rising: Vec<f64> = levels[begin..].windows(2).map(|pair| pair[1].1 - pair[0].1).collect();
            let whole = levels.last()?.1 - levels[begin].1;
            let largest = rising.iter().copied().fold(0.0, f64::max);
            let steps = rising.iter().filter(|step| **step > FLAT).count();
            let minutes = (rising.len() * block) as f64 * symptom.grid.step as f64 / 60.0;
            (steps >= STEPS && minutes >= LONG && whole >= CLIMBS && largest <= LARGEST_STEP * whole).then(
                || Drain {
                    gauge: Gauge::Queue,
                    query: track.query(),
                    from: levels[begin].1.exp(),
                    to: levels.last().map_or(0.0, |level| level.1.exp()),
                    minutes,
                    knee: (begin > 1).then_some(levels[begin].0),
                    rate: ratios::LIMIT_HURTS * UNSEEN,
                    at_limit: false,
                    cap: None,
                    sudden: false,
                },
            )
        })
        .max_by(|a, b| a.minutes.total_cmp(&b.minutes).then_with(|| b.query.cmp(&a.query)))
}

fn days_left(found: &mut Triggers, symptom: &Symptom, track: &entities::Track) {
    /// A day that passed hours before: it is felt where a connection is made anew, at any minute of the day and night.
    const LONG_PAST: f64 = 1e-3;
    if symptom.primary.is_none() {
        return;
    }
    let lowest = track.values.iter().flatten().copied().fold(f64::INFINITY, f64::min);
    if lowest <= 0.0 {
        let crossed =
            track.values.iter().position(|value| value.is_some_and(|value| value <= 0.0)).unwrap_or(0);
        let rate = ratios::EXPIRY_HURTS * lag(symptom, crossed.min(symptom.last), symptom.last.max(crossed));
        let rate = rate.max(if crossed <= symptom.last { LONG_PAST } else { 0.0 });
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
    /// Minutes: what climbs for less is a rise, and no slope.
    const LONG: f64 = 30.0;
    /// It moved by so many times its noise, and by so much of its level: less is what levels do by themselves.
    const BEYOND_NOISE: f64 = 4.0;
    const OF_ITS_LEVEL: f64 = 0.04;
    /// Where no limit is known, how near it a level is by how much it grew: doubled; grown by a seventh and come to a
    /// stand; grown by a third; or, of connections, by a twelfth. From `NEAR` on it is worth a word, and at `AT_LIMIT`
    /// as much as a limit that is reached.
    const DOUBLED: (f64, f64) = (2.0, 0.9);
    const AT_A_STAND: (f64, f64) = (1.15, 0.8);
    const BY_A_THIRD: (f64, f64) = (1.3, 0.72);
    const OF_CONNECTIONS: (f64, f64) = (1.08, NEAR);
    const NEAR: f64 = 0.7;
    const FROM: f64 = 0.65;
    const AT_LIMIT: f64 = 0.9;
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
    let little = moved < BEYOND_NOISE * noise || moved < OF_ITS_LEVEL * from.abs().max(to.abs());
    if slope <= 0.0 || minutes < LONG || little {
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
        _ if growth >= DOUBLED.0 => DOUBLED.1,
        _ if growth >= AT_A_STAND.0 && stands(&points) => AT_A_STAND.1,
        // It climbs and may be near: worth something where the errors speak of it.
        _ if growth >= BY_A_THIRD.0 => BY_A_THIRD.1,
        // Connections that are never given back stand at the server for days: a window of hours sees a
        // tenth of it.
        _ if gauge == Gauge::Connections && growth >= OF_CONNECTIONS.0 => OF_CONNECTIONS.1,
        _ => 0.0,
    };
    if near < NEAR {
        return None;
    }
    let nearness = ((near - FROM) / (AT_LIMIT - FROM)).clamp(0.1, 1.0);
    let rate = ratios::LIMIT_HURTS * nearness * ratios::trigger_lag(5.0);
    let (from, to) = if falling { (-from, -to) } else { (from, to) };
    if knee > symptom.last {
        return None;
    }
    let inside = knee > points.len() / 12 + 3;
    let knee = inside.then_some(knee);
    Some(Drain { gauge, query, from, to, minutes, knee, rate, at_limit: false, cap: None, sudden: false })
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
    /// A straight line goes on by a ninth of its way.
    const OF_THE_WAY: f64 = 0.08;
    (last - previous).abs() <= OF_THE_WAY * (last - first).abs()
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
    /// Three of four differences of a normal variable are smaller, in its standard deviations; of two points each has half.
    const THREE_OF_FOUR: f64 = 1.15;
    let noise = differences.get(differences.len() * 3 / 4)? / THREE_OF_FOUR / std::f64::consts::SQRT_2;
    (variance > 0.0).then(|| (covariance / variance, noise.max(1e-6)))
}

/// Where the way up begins, the level there and at the end: medians of tenths that never fall back.
fn trend(points: &[(f64, f64)], noise: f64) -> Option<(usize, f64, f64)> {
    /// A median of a part falls back by less than that for noise alone.
    const FALLS_BACK: f64 = 0.6;
    /// What adds less to the way up is flat, of twenty parts each of which has a twentieth.
    const FLAT: f64 = 0.02;
    /// A step goes most of the way at once.
    const LARGEST_STEP: f64 = 0.6;
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
    while begin > 0 && levels[begin - 1].1 <= levels[begin].1 + FALLS_BACK * noise {
        begin -= 1;
    }
    // A flat stretch before the slope is not part of it.
    while begin + 1 < levels.len() && levels[begin + 1].1 - levels[begin].1 < FLAT * (last - levels[begin].1)
    {
        begin += 1;
    }
    begin = knee_of(&levels).filter(|knee| *knee > begin).unwrap_or(begin);
    // At least a quarter of the parts go up: a step has one.
    let steps_up = levels[begin..].windows(2).filter(|pair| pair[1].1 > pair[0].1 + 1e-9).count();
    let largest = levels[begin..].windows(2).map(|pair| pair[1].1 - pair[0].1).fold(0.0, f64::max);
    let whole = last - levels[begin].1;
    (steps_up >= 3 && largest < LARGEST_STEP * whole).then_some((levels[begin].0, levels[begin].1, last))
}

/// The part from which a flat line turns into a slope, by least squares over both; `None` where no
/// flat line comes first.
fn knee_of(levels: &[(usize, f64)]) -> Option<usize> {
    let error = |from: usize, to: usize, sloped: bool| -> f64 {
        let part = &levels[from..to];
        let count = part.len() as f64;
        let (x, y) = part.iter().fold((0.0, 0.0), |sum, level| (sum.0 + level.0 as f64, sum.1 + level.1));
        let (x, y) = (x / count, y / count);
        let (mut xy, mut xx) = (0.0, 0.0);
        for level in part {
            xy += (level.0 as f64 - x) * (level.1 - y);
            xx += (level.0 as f64 - x).powi(2);
        }
        let slope = if sloped && xx > 0.0 { xy / xx } else { 0.0 };
        part.iter().map(|level| (level.1 - y - slope * (level.0 as f64 - x)).powi(2)).sum()
    };
    let count = levels.len();
    if count < 7 {
        return None;
    }
    let whole = error(0, count, true);
    let (best, knee) = (2..count - 3)
        .map(|knee| (error(0, knee, false) + error(knee, count, true), knee))
        .min_by(|a, b| a.0.total_cmp(&b.0))?;
    /// The bend has to explain two fifths and more of what a straight line leaves.
    const LEFT: f64 = 0.6;
    (best < LEFT * whole).then_some(knee)
}

/// Lambda's REPORT lines tell the memory used where no metric does.
pub(super) fn memory_of_reports(found: &mut Triggers, symptom: &Symptom, logs: &LogSurvey) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::metrics::{Role, Track};

    fn track(namespace: &str, metric: &str, measure: Measure, value: impl Fn(usize) -> f64) -> Track {
        Track {
            namespace: namespace.to_owned(),
            metric: metric.to_owned(),
            stat: "Average".to_owned(),
            dimensions: Vec::new(),
            measure,
            values: (0..120).map(|index| Some(value(index))).collect(),
            day_ago: Vec::new(),
            week_ago: Vec::new(),
        }
    }

    #[test]
    fn more_work_uses_more_and_leaves_less() {
        let falls = |index: usize| 200.0 - index as f64;
        let demand = track("AWS/Lambda", "Invocations", Measure::Requests, falls);
        let own = Entity { name: "checkout".to_owned(), role: Role::Own, tracks: vec![demand] };
        let gauge = |metric: &str, value: &dyn Fn(usize) -> f64| {
            follows(&track("AWS/RDS", metric, Measure::Gauge(Gauge::Other), value), &own)
        };
        assert!(gauge("MemoryUsed", &falls));
        // The less is asked for, the less of the balance should go.
        assert!(!gauge("CPUCreditBalance", &falls));
        assert!(gauge("CPUCreditBalance", &|index| index as f64));
    }
}
