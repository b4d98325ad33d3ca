//! The same minutes a day or a week ago, risen alike.

use crate::analysis::canary::log_bayes_factor;
use crate::analysis::metrics::entities::mean;
use crate::analysis::metrics::{Manner, Trouble, trouble};

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Habit {
    pub days_ago: u32,
    pub before: f64,
    pub during: f64,
}

pub(super) fn of(primary: &Trouble) -> Option<Habit> {
    let rise = &primary.rise;
    let end = rise.end.unwrap_or(primary.values.len());
    let elevation = rise.during - rise.before;
    [(1, &primary.day_ago), (7, &primary.week_ago)].into_iter().find_map(|(days_ago, values)| {
        let during_values = values.get(rise.begin..end.min(values.len()))?;
        if during_values.iter().flatten().count() < 3 {
            return None;
        }
        let during = mean(during_values)?;
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
    if primary.manner == Manner::Slow {
        return is_no_scatter(primary, then, end);
    }
    if primary.requests.is_empty() {
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

/// The same of a level: whether it stood higher in these minutes than single minutes scatter, before them that day or today.
fn is_no_scatter(primary: &Trouble, then: &[Option<f64>], end: usize) -> bool {
    /// Standard errors of the difference of two means.
    const SURE: f64 = 3.0;
    /// Neighbouring minutes are not independent.
    const DEPENDENT: f64 = 1.5;
    /// Values from which a scatter is told.
    const FEWEST: f64 = 3.0;
    let moments = |values: &[Option<f64>], from: usize, to: usize| {
        let known = values.iter().take(to).skip(from).flatten().filter(|value| **value > 0.0);
        let sums = known.map(|value| value.ln()).fold((0.0, 0.0, 0.0), |sum: (f64, f64, f64), value| {
            (sum.0 + 1.0, sum.1 + value, sum.2 + value * value)
        });
        (sums.0 >= FEWEST).then(|| {
            let mean = sums.1 / sums.0;
            (sums.0, mean, (sums.2 / sums.0 - mean * mean).max(0.0))
        })
    };
    let begin = primary.rise.begin;
    let (hour, before) = (begin.saturating_sub(60), begin.saturating_sub(1));
    let quiet = moments(then, hour, before).or_else(|| moments(&primary.values, hour, before));
    let (Some(quiet), Some(during)) = (quiet, moments(then, begin, end)) else { return false };
    let error = (DEPENDENT * (quiet.2 / quiet.0 + during.2 / during.0)).sqrt();
    during.1 - quiet.1 >= SURE * error
}
