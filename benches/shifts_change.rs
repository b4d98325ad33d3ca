//! A controlled benchmark of `changed_at`: series with a daily and weekly habit, drift, bursts, timed
//! jobs, holes and counts near zero, half of them changed at the moment asked about.
//!
//! `cargo bench --bench shifts_change [-- SERIES [SEED]]` simulates everything itself and prints precision,
//! recall and F1 beside textbook tests, by kind of series and by kind of change. The simulation
//! shares nothing with the engine. Textbook tests are shown at their usual threshold, and at the one
//! that suits this very benchmark best, which nobody could have known beforehand. Fails below F1 0.92.

use std::collections::BTreeMap;

use fastrand::Rng;
use incident_commander::analysis::shifts::changed_at;
use jiff::Timestamp;

const DAY: f64 = 86_400.0;
/// The least F1 of `changed_at` at its usual threshold.
const LEAST_F1: f64 = 0.92;
const KINDS: [&str; 12] = [
    "requests",
    "requests, weekly",
    "errors near zero",
    "error bursts",
    "latency",
    "latency, spiky",
    "cpu",
    "memory saw",
    "success share",
    "timed jobs",
    "drifting queue",
    "sparse counts",
];
const CHANGES: [&str; 6] = ["step up", "step down", "ramp", "for a while", "wilder", "burst of spikes"];

struct Case {
    kind: usize,
    /// `None` for half of the cases.
    change: Option<usize>,
    points: Vec<(Timestamp, f64)>,
    at: Timestamp,
}

impl Case {
    /// How much history there is, in words.
    fn known(&self) -> &'static str {
        let days =
            self.points.first().map_or(0.0, |first| (self.at.as_second() - first.0.as_second()) as f64 / DAY);
        match days {
            ..1.0 => "history under 1 day",
            ..3.0 => "history 1 to 3 days",
            ..7.5 => "history 3 to 7 days",
            _ => "history over a week",
        }
    }
}

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|argument| argument.parse::<u64>().ok());
    let series = numbers.next().unwrap_or(1200) as usize;
    let seed = numbers.next().unwrap_or(7);
    let mut random = Rng::with_seed(seed);
    let cases: Vec<Case> = (0..series).map(|number| simulate(&mut random, number)).collect();
    let started = std::time::Instant::now();
    let ours: Vec<f64> = cases
        .iter()
        .map(|case| changed_at(&case.points, case.at).map_or(0.0, |changed| changed.probability))
        .collect();
    let each = started.elapsed().as_secs_f64() * 1000.0 / series.max(1) as f64;
    let truth: Vec<bool> = cases.iter().map(|case| case.change.is_some()).collect();

    println!("{series} series, seed {seed}, {each:.1} ms each\n");
    println!("{:<40}{:>10}{:>8}{:>8}{:>14}", "test", "precision", "recall", "F1", "best F1");
    row("changed_at", &truth, &ours, 0.5);
    row("always changed", &truth, &vec![1.0; series], 0.5);
    row(
        "Mann-Whitney before/after, p < .01",
        &truth,
        &cases.iter().map(mann_whitney).collect::<Vec<_>>(),
        2.576,
    );
    row("z of means before/after > 3", &truth, &cases.iter().map(z_of_means).collect::<Vec<_>>(), 3.0);
    row(
        "residual against earlier days, z > 3",
        &truth,
        &cases.iter().map(same_hours).collect::<Vec<_>>(),
        3.0,
    );

    let brier = ours.iter().zip(&truth).map(|(p, t)| (p - f64::from(u8::from(*t))).powi(2)).sum::<f64>()
        / series as f64;
    println!("\nBrier score {brier:.3}\n{:<22}{:>8}{:>14}", "said", "series", "changed");
    for tenth in 0..10 {
        let (low, high) = (f64::from(tenth) / 10.0, f64::from(tenth + 1) / 10.0);
        let inside: Vec<bool> = ours
            .iter()
            .zip(&truth)
            .filter(|(p, _)| **p >= low && (**p < high || tenth == 9))
            .map(|(_, t)| *t)
            .collect();
        let share = inside.iter().filter(|t| **t).count() as f64 / inside.len().max(1) as f64;
        println!("{:<22}{:>8}{:>13.2}", format!("{low:.1} to {high:.1}"), inside.len(), share);
    }

    let mut tables: BTreeMap<(u8, &str), (f64, f64)> = BTreeMap::new();
    for (case, said) in cases.iter().zip(&ours) {
        let right = f64::from(u8::from((*said > 0.5) == case.change.is_some()));
        let keys = [
            (0, KINDS[case.kind]),
            (1, case.change.map_or("unchanged", |change| CHANGES[change])),
            (2, case.known()),
        ];
        for key in keys {
            let entry = tables.entry(key).or_default();
            entry.0 += right;
            entry.1 += 1.0;
        }
    }
    println!("\n{:<40}{:>8}{:>10}", "kind", "series", "right");
    for ((_, name), (right, all)) in tables {
        println!("{name:<40}{all:>8}{:>10.3}", right / all);
    }
    let f1 = score(&truth, &ours, 0.5).2;
    if f1 < LEAST_F1 {
        eprintln!("shifts_change: F1 {f1:.3} is below {LEAST_F1}");
        std::process::exit(1);
    }
}

fn row(name: &str, truth: &[bool], scores: &[f64], threshold: f64) {
    let (precision, recall, f1) = score(truth, scores, threshold);
    let mut thresholds = scores.to_vec();
    thresholds.sort_by(f64::total_cmp);
    thresholds.dedup();
    let best =
        thresholds.iter().map(|threshold| score(truth, scores, threshold - 1e-12).2).fold(0.0, f64::max);
    println!("{name:<40}{precision:>10.3}{recall:>8.3}{f1:>8.3}{best:>14.3}");
}

fn score(truth: &[bool], scores: &[f64], threshold: f64) -> (f64, f64, f64) {
    let said: Vec<bool> = scores.iter().map(|score| *score > threshold).collect();
    let both = said.iter().zip(truth).filter(|(said, truth)| **said && **truth).count() as f64;
    let precision = both / said.iter().filter(|said| **said).count().max(1) as f64;
    let recall = both / truth.iter().filter(|truth| **truth).count().max(1) as f64;
    (precision, recall, if both > 0.0 { 2.0 * precision * recall / (precision + recall) } else { 0.0 })
}

fn normal(random: &mut Rng) -> f64 {
    (-2.0 * random.f64().max(1e-300).ln()).sqrt() * (std::f64::consts::TAU * random.f64()).cos()
}

fn poisson(random: &mut Rng, mean: f64) -> f64 {
    if mean > 50.0 {
        return (mean + mean.sqrt() * normal(random)).round().max(0.0);
    }
    let (limit, mut product, mut count) = ((-mean).exp(), random.f64(), 0.0);
    while product > limit {
        product *= random.f64();
        count += 1.0;
    }
    count
}

fn between(random: &mut Rng, low: f64, high: f64) -> f64 {
    low + (high - low) * random.f64()
}

fn choose<T: Copy>(random: &mut Rng, choices: &[T]) -> T {
    choices[random.usize(..choices.len())]
}

/// What a change does at one moment: a factor, an addition in units of the noise, more noise, spikes.
struct Effect {
    factor: f64,
    noise: f64,
    spike: bool,
}

fn simulate(random: &mut Rng, number: usize) -> Case {
    let kind = random.usize(..KINDS.len());
    let change = (number.is_multiple_of(2)).then(|| random.usize(..CHANGES.len()));
    let period = choose(random, &[60.0, 60.0, 60.0, 60.0, 300.0, 300.0, 30.0, 600.0, 900.0]);
    let history = match random.u8(..10) {
        0 => between(random, 0.1, 0.9),
        1..=3 => between(random, 1.0, 3.0),
        4..=7 => between(random, 3.0, 9.0),
        _ => between(random, 9.0, 16.0),
    } * DAY;
    let history = if period < 60.0 { history.min(3.0 * DAY) } else { history };
    // Some ask days later.
    let hours = if random.u8(..8) == 0 { between(random, 12.0, 90.0) } else { between(random, 0.5, 5.0) };
    let after = (hours * 3600.0).max(period * 12.0);
    let now = 1_770_000_000.0 + (between(random, 0.0, 14.0) * DAY / 60.0).round() * 60.0;

    // The habit of the service.
    let peak = between(random, 0.0, DAY);
    let swing = between(random, 0.15, 0.85);
    let second = between(random, 0.0, 0.4);
    let weekend = if kind == 1 { between(random, 0.3, 0.7) } else { between(random, 0.85, 1.1) };
    let habit = |time: f64| {
        let angle = (time - peak) / DAY * std::f64::consts::TAU;
        let shape = 1.0 + swing * (angle.cos() + second * (2.0 * angle + 1.0).cos()) / (1.0 + second);
        // A weekend comes and goes within some hours.
        let weekday = (time / DAY + 4.0).rem_euclid(7.0);
        let resting = ((weekday - 4.9) / 0.25).clamp(0.0, 1.0) - ((weekday - 6.75) / 0.25).clamp(0.0, 1.0);
        shape * (1.0 + (weekend - 1.0) * resting)
    };
    let flat = |time: f64| 1.0 + 0.15 * (habit(time) - 1.0);
    let jobs: Vec<(f64, f64)> = (0..random.usize(1..4))
        .map(|_| (between(random, 0.0, DAY), between(random, 600.0, 3000.0)))
        .collect();
    // Often the moment asked about is when a job begins.
    let jobs: Vec<(f64, f64)> = if random.u8(..3) == 0 {
        jobs.iter().map(|job| (now % DAY + between(random, -120.0, 300.0), job.1)).collect()
    } else {
        jobs
    };
    let saw = between(random, 2.0, 30.0) * 3600.0;
    let saw_phase = between(random, 0.0, saw);

    // The change.
    let size = between(random, 1.0, 3.0);
    // Where there is next to nothing, nothing can be seen to become less.
    let rising = matches!(kind, 2 | 3 | 11);
    let up = random.bool() || rising;
    let change = change.map(|change| if rising && change == 1 { 0 } else { change });
    let lasts = between(random, 0.25, 0.7) * after;
    let delay = if random.u8(..3) == 0 { between(random, 0.0, 0.2) * after.min(18_000.0) } else { 0.0 };
    let drift = between(random, -0.02, 0.02);
    let scale = 10f64.powf(between(random, 0.0, 4.0));
    let correlated = between(random, 0.0, 0.9);
    let glitch_rate = if random.bool() { between(random, 0.0, 0.003) } else { 0.0 };

    let mut points = Vec::new();
    let mut wander = 0.0;
    let mut walk: f64 = 0.0;
    let mut burst = 0.0f64;
    let mut hole_until = 0.0;
    let mut time = now - history;
    while time < now + after {
        let since = time - now - delay;
        let effect = effect(random, change, since, after - delay, lasts, up);
        wander = correlated * wander + (1.0 - correlated * correlated).sqrt() * normal(random);
        walk += normal(random) * (period / DAY).sqrt();
        let shake = (0.6 * wander + 0.8 * normal(random)) * effect.noise;
        let noise = |own: f64| shake * own;
        let days = (time - now) / DAY;
        let trend = (1.0 + drift * days).max(0.2);
        // A change is as large as `size` says, relative to what is usual for this kind.
        let moved = |unit: f64| 1.0 + effect.factor * size * unit;
        let minutes = period / 60.0;
        let value = match kind {
            0 | 1 => poisson(
                random,
                (habit(time).max(0.05) * scale * 5.0 * trend * moved(0.22) * (1.0 + noise(0.06))).max(0.0),
            ),
            2 => poisson(
                random,
                0.15 * minutes * habit(time) * (1.0 + 8.0 * size * effect.factor.max(0.0)) * effect.noise,
            ),
            3 => {
                if random.f64() < 0.002 * minutes {
                    burst += between(random, 5.0, 25.0);
                }
                burst *= 0.6;
                poisson(
                    random,
                    (1.5 * habit(time) * minutes * (1.0 + 3.0 * size * effect.factor.max(-0.3)) + burst)
                        * effect.noise,
                )
            }
            4 => scale * (flat(time).ln() + noise(0.12)).exp() * trend * moved(0.25),
            5 => {
                let heavy = if random.f64() < 0.03 { between(random, 1.5, 6.0) } else { 1.0 };
                scale * (flat(time).ln() + noise(0.2)).exp() * heavy * moved(0.45)
            }
            6 => (35.0 * habit(time) * moved(0.3) + noise(3.5) + 2.0 * walk).clamp(0.0, 100.0),
            7 => {
                let rise = ((time + saw_phase) % saw) / saw;
                scale * (0.4 + 0.4 * rise) * moved(0.5) * (1.0 + noise(0.015))
            }
            8 => {
                let failing = (0.004
                    * (1.0 + noise(0.25)).max(0.05)
                    * (1.0 + 6.0 * size * effect.factor.abs())
                    * effect.noise)
                    .min(1.0);
                let total = (habit(time).max(0.1) * 300.0 * minutes).max(1.0);
                100.0 * (1.0 - (poisson(random, failing * total) / total).min(1.0))
            }
            9 => {
                let busy = jobs.iter().any(|job| (time - job.0).rem_euclid(DAY) < job.1);
                scale * (if busy { 2.6 } else { 1.0 } * moved(0.45) + noise(0.07)).max(0.0)
            }
            10 => (scale * (1.0 + 0.25 * walk + noise(0.06)).max(0.02) * moved(0.4)).max(0.0),
            _ => poisson(
                random,
                0.03 * minutes.max(2.0) * (1.0 + 15.0 * size * effect.factor.max(0.0)) * effect.noise,
            ),
        };
        let spikes = random.f64() < glitch_rate || effect.spike;
        let value = if spikes && kind != 8 {
            value * between(random, 1.8, 4.0) + f64::from(u8::from(matches!(kind, 2 | 3 | 11))) * 4.0
        } else if spikes {
            value - between(random, 2.0, 10.0)
        } else {
            value
        };
        if random.f64() < 0.0004 {
            hole_until = time + between(random, 300.0, 7200.0);
        }
        if (time >= hole_until || (time - now).abs() < 3600.0) && random.f64() > 0.01 {
            let jitter = if random.u8(..50) == 0 { between(random, -2.0, 2.0) } else { 0.0 };
            points.push((
                Timestamp::from_millisecond(((time + jitter) * 1000.0) as i64).unwrap_or_default(),
                value,
            ));
        }
        time += period;
    }
    Case { kind, change, points, at: Timestamp::from_second(now as i64).unwrap_or_default() }
}

fn effect(random: &mut Rng, change: Option<usize>, since: f64, after: f64, lasts: f64, up: bool) -> Effect {
    let quiet = Effect { factor: 0.0, noise: 1.0, spike: false };
    let Some(change) = change.filter(|_| since >= 0.0) else { return quiet };
    let sign = if up { 1.0 } else { -0.45 };
    match change {
        0 => Effect { factor: 1.0, ..quiet },
        1 => Effect { factor: -0.45, ..quiet },
        2 => Effect { factor: sign * 1.6 * (since / after.min(18_000.0)).min(1.0), ..quiet },
        3 => Effect { factor: if since < lasts { sign * 1.4 } else { 0.0 }, ..quiet },
        4 => Effect { factor: 0.3 * sign.max(0.0), noise: 4.0, ..quiet },
        _ => Effect { spike: random.u8(..6) == 0, ..quiet },
    }
}

/// Values of the hour or more before and after, as many on each side.
fn sides(case: &Case) -> (Vec<f64>, Vec<f64>) {
    let after: Vec<f64> =
        case.points.iter().filter(|point| point.0 >= case.at).map(|point| point.1).collect();
    let before: Vec<f64> =
        case.points.iter().filter(|point| point.0 < case.at).map(|point| point.1).collect();
    let from = before.len().saturating_sub(after.len());
    (before[from..].to_vec(), after)
}

fn mean_and_variance(values: &[f64]) -> (f64, f64) {
    let count = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / count;
    (mean, values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0).max(1.0))
}

fn z_of_means(case: &Case) -> f64 {
    let (before, after) = sides(case);
    let ((one, wide), (other, wider)) = (mean_and_variance(&before), mean_and_variance(&after));
    let error = (wide / before.len().max(1) as f64 + wider / after.len().max(1) as f64).sqrt();
    (one - other).abs() / error.max(1e-12)
}

fn mann_whitney(case: &Case) -> f64 {
    let (before, after) = sides(case);
    let mut all: Vec<(f64, bool)> =
        before.iter().map(|v| (*v, false)).chain(after.iter().map(|v| (*v, true))).collect();
    all.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (mut rank_sum, mut from) = (0.0, 0);
    while from < all.len() {
        let to = all[from..].iter().take_while(|next| next.0 <= all[from].0).count() + from;
        let rank = f64::midpoint(from as f64 + 1.0, to as f64);
        rank_sum += rank * all[from..to].iter().filter(|next| next.1).count() as f64;
        from = to;
    }
    let (n, m) = (after.len() as f64, before.len() as f64);
    let u = rank_sum - n * (n + 1.0) / 2.0;
    (u - n * m / 2.0).abs() / (n * m * (n + m + 1.0) / 12.0).sqrt().max(1e-12)
}

/// Mean residual after the moment against the same hours of earlier days, in standard deviations of the
/// same figure on those days.
fn same_hours(case: &Case) -> f64 {
    let at = case.at.as_second();
    let length = case.points.last().map_or(0, |point| point.0.as_second()) - at;
    let mean = |from: i64| {
        let inside: Vec<f64> = case
            .points
            .iter()
            .filter(|point| (from..=from + length).contains(&point.0.as_second()))
            .map(|point| point.1)
            .collect();
        (inside.len() > 2).then(|| mean_and_variance(&inside).0)
    };
    let days: Vec<f64> = (1..15).filter_map(|day| mean(at - day * 86_400)).collect();
    let (usual, variance) = mean_and_variance(&days);
    match mean(at) {
        Some(now) if days.len() > 1 => (now - usual).abs() / variance.sqrt().max(1e-12),
        _ => z_of_means(case),
    }
}
