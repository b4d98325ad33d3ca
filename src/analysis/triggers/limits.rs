//! Series that come to an extreme with the onset and stay there: nothing left, a hundred percent, a cap.
//!
//! The rule that is not obvious: the shape decides, and names only hint. What fills up little by little
//! and is full exactly when requests begin to fail is no consequence of the failures, whatever it
//! counts; what jumps to its extreme with them may be one, so that it counts only where it is shared
//! with others and the service's own part of it did not grow.

use super::{Ceiling, Drain, Triggers, drains, lag};
use crate::analysis::metrics::measure::{counts_what_is_left, is_percent};
use crate::analysis::metrics::{Entity, Gauge, Measure, Metrics, Track};
use crate::analysis::ratios;
use crate::analysis::steps;
use crate::analysis::symptom::Symptom;

/// Fewest points of a series from which a shape can be read.
const FEWEST: usize = 8;
/// A level this close to its extreme, as a part of the way to it, is at it.
const NEAR: f64 = 0.02;
/// Memory and disks fail some percent before they are full.
const FULL_PERCENT: f64 = 95.0;

/// What AWS counts each time that a limit of one of its own parts was met. No name of these tells whose they are;
/// that they begin with the onset does (CloudWatch metrics of NAT gateways and load balancers in AWS's user guides).
const LIMITS_MET: &[(&str, &str)] = &[
    ("AWS/NATGateway", "ErrorPortAllocation"),
    ("AWS/NetworkELB", "PortAllocationErrorCount"),
    ("AWS/ApplicationELB", "RejectedConnectionCount"),
    ("AWS/ELB", "SpilloverCount"),
];

/// Whose a series is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    Service,
    Resource,
    Shared,
}

pub(super) fn limits(found: &mut Triggers, symptom: &Symptom, metrics: &Metrics) {
    if symptom.primary.is_none() {
        return;
    }
    let own = metrics.own();
    let of_service = own
        .into_iter()
        .flat_map(|own| &own.tracks)
        .filter(|track| fills(track))
        .map(|track| (Owner::Service, track));
    let of_resources = metrics
        .resources
        .iter()
        .filter(|resource| fills(&resource.track))
        .map(|resource| (if resource.own { Owner::Resource } else { Owner::Shared }, &resource.track));
    for (owner, track) in of_service.chain(of_resources) {
        if let Some(cap) = lowered_ceiling(symptom, track) {
            found.ceiling.get_or_insert(Ceiling { query: track.query(), cap });
            continue;
        }
        if owner != Owner::Shared
            && (own.is_some_and(|own| drains::follows(track, own)) || drains::usual(symptom, track))
        {
            continue;
        }
        if let Some(drain) = limit(symptom, owner, track)
            && found.drain.as_ref().is_none_or(|known| known.rate < drain.rate)
        {
            found.drain = Some(drain);
            found.gauges_calm = false;
        }
    }
    for resource in &metrics.resources {
        let track = &resource.track;
        let counts_a_limit = LIMITS_MET.contains(&(track.namespace.as_str(), track.metric.as_str()));
        if counts_a_limit
            && track.stat == "Sum"
            && let Some(drain) = limit_met(symptom, track)
            && found.drain.as_ref().is_none_or(|known| known.rate < drain.rate)
        {
            found.drain = Some(drain);
            found.gauges_calm = false;
        }
    }
    found.strain = own.and_then(|own| strain(symptom, own));
}

/// A count of refusals at a limit that begins with the onset.
fn limit_met(symptom: &Symptom, track: &Track) -> Option<Drain> {
    let values: Vec<f64> = track.values.iter().map(|value| value.unwrap_or(0.0)).collect();
    let begin = values.iter().position(|value| *value > 0.0)?;
    let met = values[begin..].iter().filter(|value| **value > 0.0).count();
    let lasts = met * 2 >= values.len() - begin && met >= 3;
    let during = values[begin..].iter().sum::<f64>() / (values.len() - begin) as f64;
    (lasts && with_onset(symptom, begin, 1)).then(|| Drain {
        gauge: Gauge::Other,
        query: track.query(),
        from: 0.0,
        to: during,
        minutes: (values.len() - begin) as f64 * symptom.grid.step as f64 / 60.0,
        knee: None,
        rate: ratios::LIMIT_HURTS
            * lag(symptom, begin, begin.min(symptom.last)).max(ratios::trigger_lag(20.0)),
        at_limit: true,
        cap: None,
        sudden: false,
    })
}

/// Whether a series may count something that is used up, rather than work done or failed.
fn fills(track: &Track) -> bool {
    match track.measure {
        Measure::Gauge(gauge) => gauge != Gauge::DaysLeft,
        Measure::Concurrency => true,
        // A count of what happened in a period is not a level.
        Measure::Other => !matches!(track.stat.as_str(), "Sum" | "SampleCount"),
        _ => false,
    }
}

/// The extreme that a series came to.
#[derive(Debug, Clone, Copy)]
struct Extreme {
    value: f64,
    /// The first period at it.
    reached: usize,
    /// A level that is met exactly, time and again, with nothing in its name to say that it is the end.
    cap: bool,
}

fn limit(symptom: &Symptom, owner: Owner, track: &Track) -> Option<Drain> {
    let end = symptom.end.unwrap_or(track.values.len()).min(track.values.len());
    let points: Vec<(usize, f64)> = track.values[..end]
        .iter()
        .enumerate()
        .filter_map(|(index, value)| value.map(|v| (index, v)))
        .collect();
    if points.len() < FEWEST {
        return None;
    }
    let spacing = spacing(&points);
    let start = median(points.iter().take(FEWEST).map(|point| point.1))?;
    let usual = median(track.day_ago.iter().chain(&track.week_ago).flatten().copied());
    let extreme =
        [nothing_left(&points, start, usual), full(track, &points, start, usual), cap(&points, start)]
            .into_iter()
            .flatten()
            .find(|extreme| {
                (with_onset(symptom, extreme.reached, spacing) && extreme.reached >= points[FEWEST / 2].0)
                    || (extreme.reached <= symptom.last && made_in_days(extreme.value, start, usual))
            })?;
    let range = extreme.value - start;
    // Where a straight line through a quarter and three quarters of the way begins.
    let crossing = |part: f64| {
        let level = start + part * range;
        let beyond = |value: f64| (value - level) * range.signum() >= 0.0;
        let at = points.iter().position(|point| point.0 >= extreme.reached)?;
        let last_short = points[..=at].iter().rposition(|point| !beyond(point.1))?;
        points.get(last_short + 1).map(|point| point.0)
    };
    let over_days = made_in_days(extreme.value, start, usual);
    let (knee, minutes) = match (crossing(0.25), crossing(0.75)) {
        _ if over_days => (None, 24.0 * 60.0),
        (Some(quarter), Some(most)) => {
            let knee = quarter.saturating_sub((most - quarter.min(most)) / 2);
            let minutes =
                (extreme.reached - knee.min(extreme.reached)) as f64 * symptom.grid.step as f64 / 60.0;
            (Some(knee), minutes)
        }
        _ => return None,
    };
    let sudden =
        !over_days && (minutes < 8.0 || knee.is_some_and(|knee| extreme.reached < knee + 3 * spacing));
    // What jumps with the onset may be an effect of it, unless it is others who fill it.
    if sudden && owner != Owner::Shared {
        return None;
    }
    let rate = ratios::LIMIT_HURTS
        * if over_days {
            ratios::trigger_lag(10.0)
        } else {
            lag(symptom, extreme.reached.saturating_sub(spacing), extreme.reached.min(symptom.last))
                .max(ratios::trigger_lag(20.0))
        };
    let gauge = match track.measure {
        Measure::Gauge(gauge) if !(gauge == Gauge::Cpu && counts_what_is_left(&track.metric)) => gauge,
        _ => Gauge::Other,
    };
    let inside = knee.filter(|knee| *knee > symptom.grid.len / 12 + 3);
    Some(Drain {
        gauge,
        query: track.query(),
        from: if over_days { usual.unwrap_or(start) } else { start },
        to: extreme.value,
        minutes,
        knee: inside,
        rate,
        at_limit: true,
        cap: extreme.cap.then_some(extreme.value),
        sudden,
    })
}

/// Whether most of the way from the level of earlier days to the extreme was made before the window.
fn made_in_days(extreme: f64, start: f64, usual: Option<f64>) -> bool {
    usual.is_some_and(|usual| {
        let whole = extreme - usual;
        whole.abs() > 0.1 * extreme.abs().max(usual.abs()) && (start - usual) / whole >= 0.5
    })
}

/// Whether an extreme was reached with the onset: not long before it, not after it.
fn with_onset(symptom: &Symptom, reached: usize, spacing: usize) -> bool {
    let grid = symptom.grid;
    reached + grid.periods(30) >= symptom.first && reached <= symptom.last + spacing + grid.periods(2)
}

/// What counts something that is left has come to nothing.
fn nothing_left(points: &[(usize, f64)], start: f64, usual: Option<f64>) -> Option<Extreme> {
    let from = usual.map_or(start, |usual| usual.max(start));
    if from <= 0.0 || points.iter().any(|point| point.1 < 0.0) {
        return None;
    }
    stays(points, |value| value <= NEAR * from).map(|reached| Extreme { value: 0.0, reached, cap: false })
}

/// A percentage of its own limit has come to it. CPU is left out: it follows the work of the minute.
fn full(track: &Track, points: &[(usize, f64)], start: f64, usual: Option<f64>) -> Option<Extreme> {
    let from = usual.map_or(start, |usual| usual.min(start));
    if !is_percent(&track.metric)
        || counts_what_is_left(&track.metric)
        || track.measure == Measure::Gauge(Gauge::Cpu)
        || from >= 90.0
        || points.iter().any(|point| !(0.0..=100.5).contains(&point.1))
    {
        return None;
    }
    stays(points, |value| value >= FULL_PERCENT).map(|reached| Extreme { value: 100.0, reached, cap: false })
}

/// A level that moved freely and then is the same number again and again: it is cut off there.
fn cap(points: &[(usize, f64)], start: f64) -> Option<Extreme> {
    let highest = points.iter().map(|point| point.1).fold(f64::NEG_INFINITY, f64::max);
    // Of ones and twos every level is met time and again.
    if highest < 4.0 || start >= 0.9 * highest {
        return None;
    }
    let reached = stays(points, |value| value >= highest * (1.0 - 1e-4))?;
    let before: Vec<f64> = points.iter().filter(|point| point.0 < reached).map(|point| point.1).collect();
    let moved = before.windows(2).filter(|pair| (pair[1] - pair[0]).abs() > 1e-9).count();
    (moved * 3 >= before.len()).then_some(Extreme { value: highest, reached, cap: true })
}

/// The first period from which a series is there most of the time, at least three points of it.
fn stays(points: &[(usize, f64)], there: impl Fn(f64) -> bool) -> Option<usize> {
    let mut after: Vec<usize> = vec![0; points.len() + 1];
    for (index, point) in points.iter().enumerate().rev() {
        after[index] = after[index + 1] + usize::from(there(point.1));
    }
    let first = points.iter().enumerate().find(|(index, point)| {
        let left = points.len() - index;
        there(point.1) && after[*index] >= 3.min(left.max(2)) && after[*index] * 10 >= left * 7
    })?;
    Some(first.1.0)
}

/// A level at which a series is cut off today, though it went beyond it at these hours of earlier days:
/// somebody has lowered the limit.
fn lowered_ceiling(symptom: &Symptom, track: &Track) -> Option<f64> {
    let during: Vec<f64> = track.values.get(symptom.begin..)?.iter().flatten().copied().collect();
    let highest = track.values.iter().flatten().copied().fold(f64::NEG_INFINITY, f64::max);
    let at = during.iter().filter(|value| **value >= highest * (1.0 - 1e-4)).count();
    let earlier = track.day_ago.iter().chain(&track.week_ago).flatten().copied();
    let beyond = earlier.fold(f64::NEG_INFINITY, f64::max) >= 1.15 * highest;
    let distinct = track.values.iter().flatten().any(|value| *value < 0.9 * highest);
    (highest >= 4.0 && at >= 3 && at * 2 >= during.len() && beyond && distinct).then_some(highest)
}

/// CPU that serves the same work with less since some time before the onset, and has none left at it:
/// fewer tasks, or dearer requests, which hurt only once demand has risen to its daily height.
fn strain(symptom: &Symptom, own: &Entity) -> Option<Drain> {
    let offered = own.offered()?;
    let soon = symptom.last + symptom.grid.periods(15);
    own.of_measure(Measure::Gauge(Gauge::Cpu))
        .filter(|track| is_percent(&track.metric) && !counts_what_is_left(&track.metric))
        .find_map(|track| {
            let at = track.values.get(symptom.begin..soon.min(track.values.len()))?;
            let at = median(at.iter().flatten().copied())?;
            let per_request: Vec<Option<f64>> = track
                .values
                .iter()
                .zip(&offered)
                .map(|(cpu, work)| {
                    cpu.zip(*work).filter(|(_, work)| *work > 0.0).map(|(cpu, work)| cpu / work)
                })
                .collect();
            let rise = steps::rise_in_level(&per_request)?;
            let (_, last) = rise.interval();
            let early = last + symptom.grid.periods(15) <= symptom.first;
            let lasts = rise.end.is_none_or(|end| end > symptom.begin);
            let level =
                |from: usize, to: usize| median(track.values.get(from..to)?.iter().flatten().copied());
            ((90.0..=100.5).contains(&at) && early && lasts && rise.ratio() >= 1.2 && rise.strength >= 12.0)
                .then_some(Drain {
                    gauge: Gauge::Cpu,
                    query: track.query(),
                    from: level(0, rise.begin)?,
                    to: at,
                    minutes: symptom.begin.saturating_sub(rise.begin) as f64 * symptom.grid.step as f64
                        / 60.0,
                    knee: Some(rise.begin),
                    rate: ratios::LIMIT_HURTS * ratios::trigger_lag(5.0),
                    at_limit: true,
                    cap: None,
                    sudden: false,
                })
        })
}

fn spacing(points: &[(usize, f64)]) -> usize {
    let mut gaps: Vec<usize> = points.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    gaps.sort_unstable();
    gaps.get(gaps.len() / 2).copied().unwrap_or(1).max(1)
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut sorted: Vec<f64> = values.filter(|value| value.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(values: impl IntoIterator<Item = f64>) -> Vec<(usize, f64)> {
        values.into_iter().enumerate().collect()
    }

    #[test]
    fn a_level_met_again_and_again_after_it_moved_freely_is_a_cap() {
        let climbs = (0..40).map(|minute| 300.0 + 17.5 * f64::from(minute)).chain([1000.0; 20]);
        let found = cap(&points(climbs), 310.0).map(|found| (found.value, found.reached));
        assert_eq!(found, Some((1000.0, 40)));
        let free = (0..60).map(|minute| 300.0 + 40.0 * f64::from(minute * 7 % 11));
        assert!(cap(&points(free), 310.0).is_none());
    }

    #[test]
    fn what_comes_to_nothing_and_stays_there_is_used_up() {
        let falls = (0..40).map(|minute| 80.0 - 2.0 * f64::from(minute)).chain([0.0; 20]);
        assert_eq!(nothing_left(&points(falls), 72.0, None).map(|found| found.reached), Some(40));
        let dips = (0..60).map(|minute| if minute % 9 == 0 { 0.0 } else { 80.0 });
        assert!(nothing_left(&points(dips), 80.0, None).is_none());
    }

    #[test]
    fn a_way_made_before_the_window_is_told_by_earlier_days() {
        assert!(made_in_days(100.0, 95.0, Some(60.0)));
        assert!(!made_in_days(100.0, 95.0, Some(94.0)));
        assert!(!made_in_days(100.0, 50.0, Some(50.0)));
    }
}
