//! One rise in a series: when it began, when it ended, how sure that is.
//!
//! A single-change model over counts (binomial) or levels (Gaussian on standardised values), as in
//! Page 1954 and Killick & Eckley 2014: for every beginning, and a coarse choice of ends, the
//! likelihood of 'one level inside, another outside' against 'one level'. The rule that is not
//! obvious: production counts scatter more than a binomial says, so every likelihood is divided by
//! the dispersion of the quiet part (quasi-likelihood, McCullagh & Nelder 1989), else each busy
//! service would show a 'certain' change each hour.

/// Fewest periods that a rise of a level, and the quiet before and after any rise, must have.
const SHORTEST: usize = 2;
/// The same of a rise of counts: how many of how many they are tells what one period is worth.
const SHORTEST_OF_COUNTS: usize = 1;
/// Periods of a series in which a rise can be found at all.
pub const FEWEST: usize = 2 * SHORTEST + 1;
/// A standardised value counts at most this much, so that one outlier is not a change.
const CLIP: f64 = 8.0;

/// Neighbouring minutes of a level are not independent: what is left of that after differencing.
const AUTOCORRELATION: f64 = 1.5;

/// A rise from one level to another.
#[derive(Debug, Clone, PartialEq)]
pub struct Rise {
    /// The most probable first period of the rise.
    pub begin: usize,
    /// The period at which it was over, where it was over before the series ended.
    pub end: Option<usize>,
    pub before: f64,
    pub during: f64,
    /// Log-likelihood gain over 'no change' in nats, after dispersion.
    pub strength: f64,
    /// The probability of each period being the first of the rise.
    pub posterior: Vec<f64>,
}

impl Rise {
    /// The periods that hold the beginning with a probability of 95 %: (first, last).
    pub fn interval(&self) -> (usize, usize) {
        interval(&self.posterior, self.begin)
    }

    pub fn ratio(&self) -> f64 {
        if self.before > 0.0 { self.during / self.before } else { f64::INFINITY }
    }
}

/// The central 95 % of a distribution over periods.
pub fn interval(posterior: &[f64], fallback: usize) -> (usize, usize) {
    let mut sum = 0.0;
    let (mut first, mut last) = (fallback, fallback);
    let mut found_first = false;
    for (index, probability) in posterior.iter().enumerate() {
        sum += probability;
        if !found_first && sum >= 0.025 {
            first = index;
            found_first = true;
        }
        if sum >= 0.975 {
            last = index;
            break;
        }
    }
    (first.min(fallback), last.max(fallback))
}

/// A rise in the share `failures / requests`. Periods without requests say nothing.
pub fn rise_in_share(failures: &[f64], requests: &[f64]) -> Option<Rise> {
    let length = failures.len().min(requests.len());
    let mut hits = vec![0.0; length + 1];
    let mut tries = vec![0.0; length + 1];
    for index in 0..length {
        let n = requests[index].max(0.0);
        let k = failures[index].clamp(0.0, n);
        hits[index + 1] = hits[index] + k;
        tries[index + 1] = tries[index] + n;
    }
    if tries[length] < 1.0 || hits[length] < 1.0 {
        return None;
    }
    let likelihood = |k: f64, n: f64| {
        if n <= 0.0 {
            return 0.0;
        }
        let share = (k / n).clamp(1e-9, 1.0 - 1e-9);
        k * share.ln() + (n - k) * (1.0 - share).ln()
    };
    let whole = likelihood(hits[length], tries[length]);
    let gain = |begin: usize, end: usize| {
        let (k1, n1) = (hits[end] - hits[begin], tries[end] - tries[begin]);
        let (k0, n0) = (hits[length] - k1, tries[length] - n1);
        if n1 <= 0.0 || n0 <= 0.0 || k1 / n1 <= k0 / n0 {
            return 0.0;
        }
        likelihood(k1, n1) + likelihood(k0, n0) - whole
    };
    let (gains, best) = search(length, SHORTEST_OF_COUNTS, gain)?;
    let (begin, end, _) = best;
    let (k1, n1) = (hits[end] - hits[begin], tries[end] - tries[begin]);
    let (k0, n0) = (hits[length] - k1, tries[length] - n1);
    let before = k0 / n0;
    let dispersion = dispersion_of_counts(failures, requests, before, begin, end);
    Some(conclude(&gains, best, length, dispersion, before, k1 / n1))
}

/// The odds that a share rose at `begin` by something that matters, against that it stayed as it was, by the counts since
/// and before: far below 1 speaks for no change, about 1 says nothing either way. How far it would have risen is not known:
/// from half as much again to everything, each factor is as probable (a log-uniform prior).
pub fn odds_of_rise(failures: &[f64], requests: &[f64], begin: usize) -> f64 {
    /// Part of all requests below which nobody speaks of a rise.
    const LEAST: f64 = 0.003;
    const POINTS: i32 = 32;
    let length = failures.len().min(requests.len());
    let begin = begin.min(length);
    let sums = |from: usize, to: usize| {
        let hits: f64 =
            failures[from..to].iter().zip(&requests[from..to]).map(|(k, n)| k.clamp(0.0, n.max(0.0))).sum();
        (hits, requests[from..to].iter().map(|n| n.max(0.0)).sum::<f64>())
    };
    let ((k0, n0), (k1, n1)) = (sums(0, begin), sums(begin, length));
    if n0 < 1.0 || n1 < 1.0 {
        return 1.0;
    }
    // Half a failure more, so that none yet is not never (Jeffreys).
    let before = (k0 + 0.5) / (n0 + 1.0);
    let (low, high) = ((1.5 * before).max(before + LEAST).min(0.98_f64), 0.99_f64);
    let dispersion = dispersion_of_counts(failures, requests, before, begin, length);
    let nats = |share: f64| k1 * share.ln() + (n1 - k1) * (1.0 - share).ln();
    let each = (0..POINTS).map(|point| {
        let share = low * (high / low).powf((f64::from(point) + 0.5) / f64::from(POINTS));
        libm::exp(((nats(share) - nats(before.min(0.98))) / dispersion).min(700.0))
    });
    each.sum::<f64>() / f64::from(POINTS)
}

/// Pearson's chi-square by period outside the rise, its largest tenth left out.
fn dispersion_of_counts(failures: &[f64], requests: &[f64], share: f64, begin: usize, end: usize) -> f64 {
    let share = share.max(1e-6);
    let mut scatter: Vec<f64> = failures
        .iter()
        .zip(requests)
        .enumerate()
        .filter(|(index, (_, n))| (*index < begin || *index >= end) && **n > 0.0)
        .map(|(_, (k, n))| (k - n * share).powi(2) / (n * share * (1.0 - share).max(1e-6)).max(1e-6))
        .collect();
    trimmed_mean(&mut scatter).max(1.0)
}

/// The mean without the largest tenth.
pub fn trimmed_mean(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let kept = values.len() - values.len() / 10;
    if kept == 0 { 1.0 } else { values[..kept].iter().sum::<f64>() / kept as f64 }
}

/// A rise of a level. `None` in `values` is a hole. The scale is logarithmic where all is positive:
/// latencies and request counts move by factors.
pub fn rise_in_level(values: &[Option<f64>]) -> Option<Rise> {
    rise_in_level_by(values, false)
}

/// The same for a fall, where less is worse (free memory, availability).
pub fn fall_in_level(values: &[Option<f64>]) -> Option<Rise> {
    rise_in_level_by(values, true)
}

fn rise_in_level_by(values: &[Option<f64>], downward: bool) -> Option<Rise> {
    let length = values.len();
    let known: Vec<f64> = values.iter().flatten().copied().filter(|value| value.is_finite()).collect();
    if known.len() < 2 * SHORTEST + 2 {
        return None;
    }
    let positive = known.iter().all(|value| *value > 0.0);
    let scaled = |value: f64| {
        let value = if positive { value.ln() } else { value };
        if downward { -value } else { value }
    };
    let mut sorted: Vec<f64> = known.iter().map(|value| scaled(*value)).collect();
    let sigma = scatter(values, &scaled, &mut sorted);
    sorted.sort_by(f64::total_cmp);
    // The lower quartile stands for the quiet part: a rise may fill more than half of the window.
    let centre = sorted[sorted.len() / 4];
    let mut sums = vec![0.0; length + 1];
    let mut counts = vec![0.0; length + 1];
    for (index, value) in values.iter().enumerate() {
        let (mut sum, mut count) = (0.0, 0.0);
        if let Some(value) = value.filter(|value| value.is_finite()) {
            sum = ((scaled(value) - centre) / sigma).clamp(-CLIP, CLIP);
            count = 1.0;
        }
        sums[index + 1] = sums[index] + sum;
        counts[index + 1] = counts[index] + count;
    }
    let gain = |begin: usize, end: usize| {
        let (s1, n1) = (sums[end] - sums[begin], counts[end] - counts[begin]);
        let (s0, n0) = (sums[length] - s1, counts[length] - n1);
        if n1 <= 0.0 || n0 <= 0.0 || s1 / n1 <= s0 / n0 {
            return 0.0;
        }
        0.5 * n1 * n0 / (n1 + n0) * (s1 / n1 - s0 / n0).powi(2)
    };
    let (gains, best) = search(length, SHORTEST, gain)?;
    let (begin, end, _) = best;
    let mean = |inside: bool| {
        let part: Vec<f64> = values
            .iter()
            .enumerate()
            .filter(|(index, _)| (*index >= begin && *index < end) == inside)
            .filter_map(|(_, value)| *value)
            .collect();
        if part.is_empty() { 0.0 } else { part.iter().sum::<f64>() / part.len() as f64 }
    };
    Some(conclude(&gains, best, length, AUTOCORRELATION, mean(false), mean(true)))
}

/// A robust standard deviation of the noise, from differences of neighbours so that steps and slopes
/// do not count, but no less than a part of the spread around the lower half, which slow noise fills.
fn scatter(values: &[Option<f64>], scaled: &impl Fn(f64) -> f64, sorted: &mut [f64]) -> f64 {
    let mut differences: Vec<f64> = Vec::with_capacity(values.len());
    let mut last: Option<f64> = None;
    for value in values.iter().flatten().filter(|value| value.is_finite()) {
        let value = scaled(*value);
        if let Some(previous) = last {
            differences.push((value - previous).abs());
        }
        last = Some(value);
    }
    differences.sort_by(f64::total_cmp);
    sorted.sort_by(f64::total_cmp);
    let by_neighbours =
        differences.get(differences.len() / 2).copied().unwrap_or(0.0) / (0.6745 * std::f64::consts::SQRT_2);
    let quarter = sorted[sorted.len() / 4];
    let eighth = sorted[sorted.len() / 8];
    let by_spread = (quarter - eighth) / 0.476;
    let magnitude = quarter.abs().max(1e-9);
    by_neighbours.max(by_spread * 0.5).max(magnitude * 1e-3).max(1e-6)
}

/// Gains by beginning (the best end for each), and the best (begin, end, gain) of all.
#[expect(clippy::needless_range_loop, reason = "`begin` is an argument of the gain as well as an index")]
fn search(
    length: usize,
    shortest: usize,
    gain: impl Fn(usize, usize) -> f64,
) -> Option<(Vec<f64>, (usize, usize, f64))> {
    if length < FEWEST {
        return None;
    }
    let stride = (length / 36).max(1);
    let mut gains = vec![0.0; length];
    let mut best = (0, length, 0.0);
    for begin in SHORTEST..=length - shortest {
        let mut best_here = (length, gain(begin, length));
        // A rise that ended long ago is another incident's.
        let mut end = (begin + shortest.max(stride)).max(length - length / 3);
        while end + SHORTEST <= length {
            // An end is one more thing to choose: it must earn its keep.
            let here = gain(begin, end) - 3.0;
            if here > best_here.1 {
                best_here = (end, here);
            }
            end += stride;
        }
        if begin < length {
            gains[begin] = best_here.1;
        }
        if best_here.1 > best.2 {
            best = (begin, best_here.0, best_here.1);
        }
    }
    if best.2 <= 0.0 {
        return None;
    }
    // The coarse end is refined around where it was found, and every beginning is judged by it.
    if best.1 < length {
        let (begin, coarse, _) = best;
        for end in coarse.saturating_sub(stride).max(begin + shortest)..=(coarse + stride).min(length - 1) {
            let here = gain(begin, end) - 3.0;
            if here > best.2 {
                best = (begin, end, here);
            }
        }
        for (begin, known) in gains.iter_mut().enumerate().take(best.1) {
            *known = known.max(gain(begin, best.1) - 3.0);
            if *known > best.2 {
                best = (begin, best.1, *known);
            }
        }
    }
    Some((gains, best))
}

fn conclude(
    gains: &[f64],
    best: (usize, usize, f64),
    length: usize,
    dispersion: f64,
    before: f64,
    during: f64,
) -> Rise {
    let (begin, end, top) = best;
    let mut posterior: Vec<f64> =
        gains.iter().map(|gain| if *gain > 0.0 { ((gain - top) / dispersion).exp() } else { 0.0 }).collect();
    let sum: f64 = posterior.iter().sum();
    if sum > 0.0 {
        for probability in &mut posterior {
            *probability /= sum;
        }
    }
    Rise { begin, end: (end < length).then_some(end), before, during, strength: top / dispersion, posterior }
}

/// Below this [`steadiness`] a rise grows: a straight ramp has 0.2, a step 1, and noise moves either by some tenths.
pub const GROWS: f64 = 0.45;
/// Above this one it came at once.
pub const AT_ONCE: f64 = 0.8;

/// How gradual a rise is: the mean of its first third over the mean of its last third, 0 (a ramp that
/// starts at nothing) to 1 (a step). `None` where it is too short to tell.
pub fn steadiness(values: &[Option<f64>], rise: &Rise) -> Option<f64> {
    let end = rise.end.unwrap_or(values.len()).min(values.len());
    let inside = values.get(rise.begin..end)?;
    let third = inside.len() / 3;
    if third < 2 {
        return None;
    }
    let mean = |part: &[Option<f64>]| {
        let known: Vec<f64> = part.iter().flatten().copied().collect();
        (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
    };
    let first = mean(&inside[..third])? - rise.before;
    let last = mean(&inside[inside.len() - third..])? - rise.before;
    (last > 0.0).then(|| (first / last).clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(seed: u64, length: usize) -> Vec<f64> {
        let mut random = fastrand::Rng::with_seed(seed);
        (0..length).map(|_| random.f64() - 0.5).collect()
    }

    #[test]
    fn a_step_in_a_share_is_found_where_it_is() {
        let requests = vec![60.0; 120];
        let failures: Vec<f64> = (0..120).map(|index| if index < 90 { 2.0 } else { 25.0 }).collect();
        let rise = rise_in_share(&failures, &requests).unwrap();
        assert_eq!((rise.begin, rise.end), (90, None));
        assert!(rise.strength > 50.0);
        assert_eq!(rise.interval(), (90, 90));
    }

    #[test]
    fn a_rise_that_is_over_has_an_end() {
        let requests = vec![100.0; 120];
        let failures: Vec<f64> =
            (0..120).map(|index| if (70..95).contains(&index) { 30.0 } else { 1.0 }).collect();
        let rise = rise_in_share(&failures, &requests).unwrap();
        assert_eq!(rise.begin, 70);
        assert!(rise.end.is_some_and(|end| (94..=96).contains(&end)));
    }

    #[test]
    fn no_change_has_little_strength() {
        for seed in 0..20 {
            let requests = vec![60.0; 180];
            let failures: Vec<f64> =
                noise(seed, 180).iter().map(|value| (3.0 + value * 5.0).round()).collect();
            let strength = rise_in_share(&failures, &requests).map_or(0.0, |rise| rise.strength);
            assert!(strength < 8.0, "seed {seed}: {strength}");
            let levels: Vec<Option<f64>> =
                noise(seed, 180).iter().map(|value| Some(100.0 + 20.0 * value)).collect();
            let strength = rise_in_level(&levels).map_or(0.0, |rise| rise.strength);
            assert!(strength < 10.0, "seed {seed}: {strength}");
        }
    }

    #[test]
    fn a_level_rises_through_noise_and_holes() {
        let levels: Vec<Option<f64>> = noise(7, 180)
            .iter()
            .enumerate()
            .map(|(index, value)| {
                (index % 17 != 0)
                    .then(|| if index < 150 { 300.0 + 80.0 * value } else { 900.0 + 80.0 * value })
            })
            .collect();
        let rise = rise_in_level(&levels).unwrap();
        assert!((149..=151).contains(&rise.begin), "{}", rise.begin);
        assert!(rise.strength > 20.0);
    }

    #[test]
    fn one_bad_minute_of_many_requests_is_a_rise() {
        let requests = vec![100.0; 120];
        for bad in [118, 119] {
            let failures: Vec<f64> = (0..120).map(|index| if index < bad { 5.0 } else { 30.0 }).collect();
            let rise = rise_in_share(&failures, &requests).unwrap();
            assert_eq!((rise.begin, rise.end), (bad, None));
            assert!(rise.strength > 20.0, "{}", rise.strength);
        }
    }

    #[test]
    fn counts_speak_for_no_rise_only_where_they_are_enough_to_show_one() {
        let odds = |requests: f64, usual: f64, since: f64| {
            let all = vec![requests; 120];
            let failed: Vec<f64> =
                (0..120).map(|index| requests * if index < 110 { usual } else { since }).collect();
            odds_of_rise(&failed, &all, 110)
        };
        assert!(odds(100.0, 0.05, 0.05) < 0.02, "{}", odds(100.0, 0.05, 0.05));
        assert!(odds(100.0, 0.05, 0.25) > 1e6, "{}", odds(100.0, 0.05, 0.25));
        // A fall is no rise.
        assert!(odds(100.0, 0.05, 0.01) < 0.01, "{}", odds(100.0, 0.05, 0.01));
        // With two requests a minute hardly anything would have been seen.
        assert!((0.1..0.7).contains(&odds(2.0, 0.05, 0.05)), "{}", odds(2.0, 0.05, 0.05));
        assert!((odds_of_rise(&[0.0; 10], &[0.0; 10], 5) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn nothing_is_said_about_nothing() {
        assert!(rise_in_share(&[], &[]).is_none());
        assert!(rise_in_share(&[0.0; 50], &[10.0; 50]).is_none());
        assert!(rise_in_level(&[None; 50]).is_none());
    }

    #[test]
    fn a_ramp_is_less_steady_than_a_step() {
        let ramp: Vec<Option<f64>> = (0..120)
            .map(|index| Some(if index < 60 { 1.0 } else { 1.0 + f64::from(index - 60) * 0.5 }))
            .collect();
        let rise = rise_in_level(&ramp).unwrap();
        let step: Vec<Option<f64>> =
            (0..120).map(|index| Some(if index < 60 { 1.0 } else { 20.0 })).collect();
        let flat = rise_in_level(&step).unwrap();
        assert!(steadiness(&ramp, &rise).unwrap() < 0.6);
        assert!(steadiness(&step, &flat).unwrap() > 0.95);
    }
}
