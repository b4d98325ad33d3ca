//! Other services in trouble: those that are called, and those that have nothing to do with it.

use super::{Controls, Outage, Triggers, ZoneTrouble, lag};
use crate::analysis::metrics::{Entity, Manner, Measure, Metrics, Role, Track, Trouble, trouble};
use crate::analysis::symptom::{Symptom, silent_since};
use crate::analysis::{ratios, steps};

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
            // What grows slower and slower is felt only at somebody's deadline.
            let crawls = one.manner == Manner::Slow && one.rise.ratio() >= 2.0;
            let before = grid.periods(if crawls { 90 } else { 30 });
            first <= symptom.last + 1 && last + before >= symptom.first && lasts
        })
}

/// `timed`: the symptom is about time, so that whoever does not fail may still be to blame for how slowly he answers.
pub(super) fn dependencies(found: &mut Triggers, symptom: &Symptom, metrics: &Metrics, timed: bool) {
    if !symptom.is_timed() {
        return;
    }
    for entity in metrics.others(Role::Dependency) {
        // A series vouches for what it measures, and for no minute after its last value.
        let tells = |track: &Track| {
            track.values.iter().flatten().count() >= steps::FEWEST
                && silent_since(&track.values, symptom.grid).is_none()
        };
        let counted = |track: &Track| {
            matches!(track.measure, Measure::Failures | Measure::Availability) && tells(track)
        };
        match concurrent(symptom, entity) {
            Some(trouble) => {
                let (first, last) = trouble.rise.interval();
                let size = match trouble.manner {
                    Manner::Failing => ((trouble.rise.during - trouble.rise.before) / 0.05).clamp(0.2, 1.0),
                    Manner::Slow => ((trouble.rise.ratio() - 1.0) / 1.0).clamp(0.2, 1.0),
                };
                let rate =
                    ratios::DEPENDENCY_HURTS * size * lag(symptom, first, last.min(symptom.last.max(first)));
                let flood = found.demand_flat.and_then(|flat| flood(symptom, entity, &trouble, flat));
                found.outages.push(Outage { name: entity.name.clone(), trouble, rate, flood });
            }
            None if !entity.tracks.iter().any(counted) => {}
            None if timed && !entity.of_measure(Measure::Latency).any(tells) => {
                found.untimed.push(entity.name.clone());
            }
            None => found.healthy.push(entity.name.clone()),
        }
    }
    found.outages.sort_by(|a, b| b.rate.total_cmp(&a.rate).then_with(|| a.name.cmp(&b.name)));
}

/// A dependency whose requests jump before it fails, while those of the service that calls it stay level (`demand`: since
/// over before).
fn flood(symptom: &Symptom, entity: &Entity, trouble: &Trouble, demand: f64) -> Option<(f64, f64, usize)> {
    /// As many as clients and SDKs make of a call that fails.
    const RETRIES: f64 = 3.0;
    let offered = entity.offered()?;
    let rise = steps::rise_in_level(&offered)?;
    let (first, latest) = rise.interval();
    let (failing, last) = trouble.rise.interval();
    // More calls after it began to fail are retries.
    let before_it_failed = first <= last && rise.begin <= trouble.rise.begin + 1;
    let near = rise.begin + symptom.grid.periods(45) >= symptom.first;
    // Where anything may have failed before there were more of them, they have to be more than all retries.
    let failed = if trouble.manner == Manner::Failing { trouble.rise.during.clamp(0.0, 1.0) } else { 0.0 };
    let retried = 1.1 * demand.max(1.0) * (1.0 + RETRIES * failed);
    let clearly_first = latest < failing && latest < symptom.first;
    let enough = if clearly_first { 1.5 } else { retried.max(1.5) };
    (rise.ratio() >= enough && rise.strength >= trouble::SIGNIFICANT + 3.0 && before_it_failed && near)
        .then_some((rise.before, rise.during, rise.begin))
}

pub(super) fn peers(found: &mut Triggers, symptom: &Symptom, metrics: &Metrics) {
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
    found.controls = controls(symptom, metrics);
    if failing.len() >= 2 || (failing.len() == 1 && count == 1 && !found.outages.is_empty()) {
        let share = failing.len() as f64 / count.max(1) as f64;
        let rate = ratios::ZONE_HURTS * share * lag(symptom, symptom.first, symptom.last);
        found.zone = Some(ZoneTrouble { peers: failing, of: count, text: None, zone: None, rate });
    }
}

/// How far the peers rose with the service, in its own manner: the median of them, so that one with an
/// incident of its own does not stand for all.
fn controls(symptom: &Symptom, metrics: &Metrics) -> Option<Controls> {
    /// Fewer peers than this are no control group.
    const FEWEST: usize = 2;
    let primary = symptom.primary.as_ref()?;
    let end = symptom.end.unwrap_or(symptom.grid.len);
    let rise = |before: f64, during: f64| match primary.manner {
        Manner::Failing => during - before,
        Manner::Slow => (during.max(1e-9) / before.max(1e-9)).ln(),
    };
    let (before, during) = primary.levels_at(symptom.begin);
    let own = rise(before, during);
    if own <= 0.0 {
        return None;
    }
    let mut parts: Vec<f64> = metrics
        .others(Role::Peer)
        .filter_map(|entity| {
            // Of several series the one that rose most, so that a control is not called calm by the wrong one.
            trouble::levels(entity, primary.manner, symptom.begin, end)
                .into_iter()
                .map(|(before, during)| rise(before, during) / own)
                .max_by(f64::total_cmp)
        })
        .collect();
    parts.sort_by(f64::total_cmp);
    if parts.len() < FEWEST {
        return None;
    }
    let part = parts[(parts.len() - 1) / 2].clamp(0.0, 1.0);
    // From a tenth, which is noise, to seven tenths, which is as good as the whole, on a scale of odds.
    let way = ((part - 0.1) / 0.6).clamp(0.0, 1.0);
    let ratio = ratios::CONTROLS_CALM * (ratios::CONTROLS_RISE / ratios::CONTROLS_CALM).powf(way);
    Some(Controls { of: parts.len(), part, ratio })
}
