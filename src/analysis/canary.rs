//! What a version does to the share of traffic that it gets: against the other versions in the same
//! minutes, and from step to step of its rollout.
//!
//! The rule that is not obvious: a dose that is answered in steps is evidence, a dose that is answered all
//! at once is not evidence against it: what breaks only under the whole load waits for the last step.

use super::failure::Failure;
use super::logs::LogSurvey;
use super::metrics::Manner;
use super::ratios;
use super::steps::trimmed_mean;
use super::symptom::Symptom;
use crate::domain::change::{Change, Relation};

/// Failures by version in the same minutes.
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    pub new_version: String,
    pub new_bad: f64,
    pub new_lines: f64,
    pub old_bad: f64,
    pub old_lines: f64,
    pub ratio: f64,
}

/// How failures answered the share of traffic that a change got.
#[derive(Debug, Clone, PartialEq)]
pub struct Dose {
    /// From which period on it had which share of traffic, and the share of requests that failed then.
    pub steps: Vec<(usize, f64, f64)>,
    pub ratio: f64,
    /// More requests fail than it gets: share failing beyond the level before, share of traffic.
    pub exceeds: Option<(f64, f64)>,
}

/// One period of the failing series.
struct Period {
    failed: f64,
    requests: f64,
    /// Which step of the rollout it lies in; 0 before the first.
    step: usize,
}

/// Failures against the share of traffic, step by step: as many levels as steps, none below the one before
/// it, against one level before and one after whatever moment fits best. Where the moment is a step itself
/// the two are the same, and timing has counted that already.
pub fn dose(
    change: &Change,
    effect: Option<(i64, i64)>,
    symptom: &Symptom,
    failure: &Failure,
) -> Option<Dose> {
    /// Fewest requests, and periods, from which the level of a step can be told.
    const REQUESTS: f64 = 40.0;
    const PERIODS: usize = 2;
    effect?;
    let own = change.relation == Relation::Own && !change.no_op;
    let trouble = [symptom.primary.as_ref(), symptom.second.as_ref()]
        .into_iter()
        .flatten()
        .find(|one| own && one.manner == Manner::Failing && !one.requests.is_empty())?;
    let grid = symptom.grid;
    let end = change.undone_at.and_then(|at| grid.index(at)).unwrap_or(grid.len);
    let end = symptom.end.map_or(end, |over| over.min(end));
    let began: Vec<(usize, f64)> =
        change.steps.iter().filter_map(|(at, share)| Some((grid.index(*at)?, *share))).collect();
    if began.is_empty() || began.len() != change.steps.len() {
        return None;
    }
    let mut periods: Vec<Period> = trouble
        .values
        .iter()
        .zip(&trouble.requests)
        .enumerate()
        .take(end)
        // A period in which the share changed belongs to neither side.
        .filter(|(at, _)| !began.iter().any(|(step, _)| step == at))
        .filter_map(|(at, (share, requests))| {
            let share = share.filter(|_| *requests > 0.0)?;
            let step = began.iter().filter(|(step, _)| *step < at).count();
            Some(Period { failed: share * requests, requests: *requests, step })
        })
        .collect();
    // Steps too short to have a level are left out.
    let counted = |step: usize, periods: &[Period]| {
        let mine = || periods.iter().filter(|period| period.step == step);
        mine().count() >= PERIODS && mine().map(|period| period.requests).sum::<f64>() >= REQUESTS
    };
    let kept: Vec<usize> = (0..=began.len()).filter(|step| counted(*step, &periods)).collect();
    periods.retain(|period| kept.contains(&period.step));
    if kept.first() != Some(&0) || kept.len() < 2 {
        return None;
    }
    let level = |step: usize| {
        let mine = || periods.iter().filter(move |period| period.step == step);
        mine().map(|period| period.failed).sum::<f64>() / mine().map(|period| period.requests).sum::<f64>()
    };
    let steps: Vec<(usize, f64, f64)> = kept
        .iter()
        .filter(|step| **step > 0)
        .map(|step| {
            let (at, share) = began[step - 1];
            (at, share, level(*step))
        })
        .collect();
    let mut dose = Dose { ratio: answered(&periods, &kept), exceeds: None, steps };
    // A canary alone cannot fail requests that it never got, unless by something that all versions share.
    let (_, share, failing) = *dose.steps.last()?;
    let excess = failing - level(0);
    if share < 0.9 && !failure.is_about_sharing() && excess > 1.5 * share + 0.02 && trouble.matters() {
        dose.ratio *= ratios::CANARY_EXCEEDED;
        dose.exceeds = Some((excess, share));
    }
    dose.ratio = dose.ratio.clamp(1.0 / ratios::CAP, ratios::CAP);
    Some(dose)
}

/// The likelihood ratio of levels that follow the steps against one rise at the best moment.
fn answered(periods: &[Period], kept: &[usize]) -> f64 {
    if kept.len() < 3 {
        // With one step there is no second one that could have been answered.
        return 1.0;
    }
    // Levels that never fall: neighbours that do are one (pool adjacent violators).
    let mut levels: Vec<(f64, f64)> = Vec::new();
    for step in kept {
        let mine = || periods.iter().filter(|period| period.step == *step);
        levels.push((mine().map(|period| period.failed).sum(), mine().map(|period| period.requests).sum()));
        while let [.., below, above] = levels.as_slice()
            && below.0 / below.1 > above.0 / above.1
        {
            let joined = (below.0 + above.0, below.1 + above.1);
            levels.truncate(levels.len() - 2);
            levels.push(joined);
        }
    }
    let by_steps: f64 = levels.iter().map(|(failed, requests)| likelihood(*failed, *requests)).sum();
    let (mut failed, mut requests) = (0.0, 0.0);
    let all = periods.iter().fold((0.0, 0.0), |sum, one| (sum.0 + one.failed, sum.1 + one.requests));
    let mut by_moment = likelihood(all.0, all.1);
    for period in periods {
        failed += period.failed;
        requests += period.requests;
        let (later, rest) = (all.0 - failed, all.1 - requests);
        if rest > 0.0 && later / rest > failed / requests {
            by_moment = by_moment.max(likelihood(failed, requests) + likelihood(later, rest));
        }
    }
    // Production counts scatter more than a binomial says.
    let mut scatter: Vec<f64> = periods
        .iter()
        .filter(|period| period.step == 0)
        .map(|period| {
            let quiet = periods.iter().filter(|one| one.step == 0);
            let sum = quiet.fold((0.0, 0.0), |sum, one| (sum.0 + one.failed, sum.1 + one.requests));
            let share = (sum.0 / sum.1).clamp(1e-4, 0.99);
            (period.failed - period.requests * share).powi(2) / (period.requests * share * (1.0 - share))
        })
        .collect();
    let dispersion = trimmed_mean(&mut scatter).max(1.0);
    // A level for each step, against two levels and a moment.
    let more = (levels.len() as f64 - 3.0).max(0.0) * 0.5 * (periods.len() as f64).ln();
    libm::exp(((by_steps - by_moment) / dispersion - more).clamp(-20.0, 20.0))
}

fn likelihood(failed: f64, requests: f64) -> f64 {
    if requests <= 0.0 {
        return 0.0;
    }
    let share = (failed / requests).clamp(1e-9, 1.0 - 1e-9);
    failed * share.ln() + (requests - failed) * (1.0 - share).ln()
}

/// Failures of the new version against the others in the same minutes.
pub fn split(
    change: &Change,
    effect: Option<(i64, i64)>,
    symptom: &Symptom,
    logs: &LogSurvey,
) -> Option<Split> {
    let (from, _) = effect?;
    let new = version_of(change, from, logs)?;
    let kinds = symptom.new_kinds(logs);
    let start = symptom.begin.max(logs.grid.index_of_second(from).unwrap_or(0));
    let end = symptom.end.unwrap_or(logs.grid.len);
    let (mut new_bad, mut new_lines, mut old_bad, mut old_lines) = (0.0, 0.0, 0.0, 0.0);
    // Minutes in tens: sampled logs rarely show two versions within one.
    let block = logs.grid.periods(10);
    let mut at = start;
    while at < end {
        let stop = (at + block).min(end);
        let lines = |index: usize| -> f64 {
            logs.versions[index].1[at..stop].iter().map(|count| f64::from(*count)).sum()
        };
        let fresh = lines(new);
        let stale: f64 = (0..logs.versions.len()).filter(|index| *index != new).map(lines).sum();
        if fresh >= 3.0 && stale >= 3.0 {
            new_lines += fresh;
            old_lines += stale;
            for (kind, _) in &kinds {
                for ((period, version), count) in &kind.counts {
                    if (at..stop).contains(&(*period as usize)) {
                        if usize::from(*version) == new {
                            new_bad += f64::from(*count);
                        } else if usize::from(*version) < logs.versions.len() {
                            // A line that names no version belongs to neither side.
                            old_bad += f64::from(*count);
                        }
                    }
                }
            }
        }
        at = stop;
    }
    if new_lines < 10.0 || old_lines < 10.0 || new_bad + old_bad < 3.0 {
        return None;
    }
    let factor = libm::exp(
        log_bayes_factor(new_bad, new_lines.max(new_bad), old_bad, old_lines.max(old_bad)).clamp(-20.0, 20.0),
    );
    let worse = new_bad / new_lines > old_bad / old_lines;
    let ratio = if worse { factor } else { 1.0 / factor.max(1.0 / factor) };
    Some(Split {
        new_version: logs.versions[new].0.clone(),
        new_bad,
        new_lines,
        old_bad,
        old_lines,
        ratio: ratio.clamp(1.0 / ratios::SPLIT_CAP, ratios::SPLIT_CAP),
    })
}

/// 'Two shares' against 'one share', uniform priors (Kass & Raftery 1995).
pub fn log_bayes_factor(k1: f64, n1: f64, k2: f64, n2: f64) -> f64 {
    let beta = |k: f64, n: f64| libm::lgamma(k + 1.0) + libm::lgamma(n - k + 1.0) - libm::lgamma(n + 2.0);
    beta(k1, n1) + beta(k2, n2) - beta(k1 + k2, n1 + n2)
}

/// The logs' version that this change brought: by name, else the one first seen when it took effect.
pub fn version_of(change: &Change, effect: i64, logs: &LogSurvey) -> Option<usize> {
    if change.relation != Relation::Own || logs.versions.len() < 2 {
        return None;
    }
    if let Some(to) = &change.to_version
        && let Some(index) = logs.versions.iter().position(|(name, _)| name == to)
    {
        return Some(index);
    }
    let at = logs.grid.index_of_second(effect)?;
    let slack = logs.grid.periods(8);
    let first = |counts: &[u32]| counts.iter().position(|count| *count > 0);
    let mut fresh = logs.versions.iter().enumerate().filter(|(_, (_, counts))| {
        first(counts).is_some_and(|index| index + 1 >= at && index <= at + slack && index > 3)
    });
    let (index, _) = fresh.next()?;
    fresh.next().is_none().then_some(index)
}
