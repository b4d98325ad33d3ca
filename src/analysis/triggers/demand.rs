//! More work than usual, or other work than usual.

use super::{Heavier, MixShift, Surge, Triggers, lag};
use crate::analysis::canary::log_bayes_factor;
use crate::analysis::logs::LogSurvey;
use crate::analysis::logs::claims;
use crate::analysis::metrics::entities::{Entity, mean};
use crate::analysis::metrics::{Metrics, Role};
use crate::analysis::symptom::{ENOUGH_REQUESTS, Symptom};
use crate::analysis::{ratios, steps, words};

/// Demand around the onset against the hour before it and against the habit of this hour. A shift
/// hours earlier is no trigger, one after the onset is a consequence.
pub(super) fn demand(found: &mut Triggers, symptom: &Symptom, metrics: &Metrics) {
    let Some((offered, track)) = metrics.own().and_then(|own| Some((own.offered()?, own.demand()?))) else {
        return;
    };
    if symptom.primary.is_none() {
        return;
    }
    let at = symptom.begin.min(offered.len());
    let Some((before, during)) = around(&offered, symptom, at) else { return };
    let ratio = if before > 0.0 { during / before } else { 1.0 };
    if symptom.requests.is_some_and(|requests| requests < 2.0 * ENOUGH_REQUESTS) {
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
    // The newest periods may be incomplete: they do not end the run.
    let newest = offered.len().saturating_sub(2);
    let begin = (from..offered.len())
        .rev()
        .take_while(|index| *index >= newest || offered[*index].is_none_or(|value| value > half))
        .last()
        .filter(|begin| *begin < newest);
    let with = begin.is_some_and(|begin| begin <= symptom.last + symptom.grid.periods(2));
    if factor < 1.4 || !with {
        found.demand_flat = Some(ratio);
        found.demand = Some(track.query());
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

/// A mean size of what is asked for that jumps with the onset: the same number of requests, and other
/// ones. Sizes of what is answered are an effect; those of the service's own batches are its own.
pub(super) fn heavier(symptom: &Symptom, own: &Entity) -> Option<Heavier> {
    own.tracks
        .iter()
        .filter(|track| !matches!(track.stat.as_str(), "Sum" | "SampleCount") && is_size(&track.metric))
        .find_map(|track| grown(symptom, &track.values, track.query()))
}

/// The same of a field of the service's own lines.
pub(super) fn heavier_in_logs(symptom: &Symptom, logs: &LogSurvey) -> Option<Heavier> {
    logs.numeric.iter().filter(|(name, _)| is_size(name)).find_map(|(name, field)| {
        let means: Vec<Option<f64>> = field
            .sum
            .iter()
            .zip(&field.count)
            .map(|(sum, count)| (*count > 0).then(|| sum / f64::from(*count)))
            .collect();
        grown(symptom, &means, format!("field {name} of log lines"))
    })
}

fn grown(symptom: &Symptom, values: &[Option<f64>], query: String) -> Option<Heavier> {
    symptom.primary.as_ref()?;
    let rise = steps::rise_in_level(values)?;
    let with = rise.begin <= symptom.last + symptom.grid.periods(2)
        && rise.begin + symptom.grid.periods(10) >= symptom.first;
    (with && rise.ratio() >= 2.0 && rise.strength >= 15.0).then_some(Heavier {
        query,
        before: rise.before,
        during: rise.during,
    })
}

/// Whether a name speaks of the size of something that comes in.
fn is_size(name: &str) -> bool {
    let words = words::split(name);
    let has = |names: &[&str]| {
        words.iter().any(|word| names.contains(&word.as_str()) || names.contains(&words::stem(word)))
    };
    has(&[
        "bytes", "byte", "size", "kb", "mb", "kib", "mib", "length", "payload", "pixels", "pages", "rows",
        "items",
    ]) && !has(&[
        "response", "sent", "out", "output", "memory", "heap", "batch", "pool", "queue", "disk", "free",
        "used", "limit", "max", "storage", "cache", "billed",
    ])
}

/// A value of a field whose share of all lines rose by much at the onset.
pub(super) fn mix(symptom: &Symptom, logs: &LogSurvey) -> Option<MixShift> {
    /// Lines before, and since the onset, from which a share can be told.
    const FEWEST_BEFORE: f64 = 50.0;
    const FEWEST_SINCE: f64 = 15.0;
    /// So many that a jump of a quarter is no chance.
    const MANY: f64 = 50.0;
    /// Nats, where they are fewer: a dozen values of a few dozen fields are looked at, and one in ten
    /// incidents with so few lines may show such a jump by chance without it.
    const SURE: f64 = 8.0;
    symptom.primary.as_ref()?;
    let (begin, len) = (symptom.begin, logs.grid.len);
    let sum = |counts: &[u32], from: usize, to: usize| -> f64 {
        counts[from..to].iter().map(|count| f64::from(*count)).sum()
    };
    let mut best: Option<MixShift> = None;
    for (name, field) in &logs.choices {
        if field.crowded || field.held.len() < 3 || !is_of_the_caller(name) {
            continue;
        }
        let total = |from, to| field.held.iter().map(|held| sum(&held.periods, from, to)).sum::<f64>();
        let (before_all, during_all) = (total(0, begin), total(begin, len));
        if before_all < FEWEST_BEFORE || during_all < FEWEST_SINCE {
            continue;
        }
        for held in &field.held {
            let value = held.value.text();
            let before = sum(&held.periods, 0, begin) / before_all;
            let during = sum(&held.periods, begin, len) / during_all;
            let jump = during - before;
            let larger = best.as_ref().is_none_or(|best| {
                jump > best.during - best.before
                    || (jump >= best.during - best.before && (name, &value) < (&best.field, &best.value))
            });
            let (hits, hits_before) = (sum(&held.periods, begin, len), sum(&held.periods, 0, begin));
            let sure =
                during_all >= MANY || log_bayes_factor(hits, during_all, hits_before, before_all) >= SURE;
            // From nothing to everything is a switch, not a mix.
            if sure && before >= 0.01 && during <= 0.97 && jump >= 0.25 && during >= 2.5 * before && larger {
                best = Some(MixShift { field: name.clone(), value, before, during });
            }
        }
    }
    best
}

/// Fields that tell callers or their work apart; not those of the service itself or its release.
pub fn is_of_the_caller(name: &str) -> bool {
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
    ]) && !claims::is_deployment_hint(name)
}
