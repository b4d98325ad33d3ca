//! Behaviour on series with known truth, and properties that hold for any series.

use fastrand::Rng;
use jiff::Timestamp;
use proptest::prelude::*;

use super::*;

const MINUTE: i64 = 60;
const DAY: i64 = 86_400;

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn normal(random: &mut Rng) -> f64 {
    (0..12).map(|_| random.f64()).sum::<f64>() - 6.0
}

fn noise(seed: u64, count: usize, correlation: f64) -> Vec<f64> {
    let mut random = Rng::with_seed(seed);
    let mut last = 0.0;
    (0..count)
        .map(|_| {
            last = correlation * last + (1.0 - correlation * correlation).sqrt() * normal(&mut random);
            last
        })
        .collect()
}

/// Minutes of four days and two hours with a daily habit; `also` adds to the value at a second from the end of day 4.
fn daily(seed: u64, also: impl Fn(i64) -> f64) -> Vec<(Timestamp, f64)> {
    noise(seed, 4 * 1440 + 120, 0.5)
        .into_iter()
        .enumerate()
        .map(|(minute, noise)| {
            let time = minute as i64 * MINUTE;
            let angle = std::f64::consts::TAU * time as f64 / DAY as f64;
            (second(time), 100.0 + 60.0 * angle.sin() + 3.0 * noise + also(time - 4 * DAY))
        })
        .collect()
}

#[test]
fn a_step_is_found_where_it_is() {
    let mut values = noise(1, 200, 0.0);
    values[120..].iter_mut().for_each(|value| *value += 4.0);
    let shifts = level_shifts(&values);
    assert_eq!(shifts.len(), 1, "{shifts:?}");
    assert!(shifts[0].index.abs_diff(120) <= 1 && shifts[0].probability > 0.95, "{shifts:?}");
    assert!(shifts[0].after - shifts[0].before > 3.0, "{shifts:?}");
}

#[test]
fn up_and_down_again_are_two_shifts() {
    let mut values = noise(2, 300, 0.2);
    values[100..160].iter_mut().for_each(|value| *value += 5.0);
    let found: Vec<usize> = level_shifts(&values).iter().map(|shift| shift.index).collect();
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].abs_diff(100) <= 2 && found[1].abs_diff(160) <= 2, "{found:?}");
}

#[test]
fn noise_that_wanders_rarely_looks_like_a_shift() {
    let wrong: usize =
        (0..20).map(|seed| usize::from(!level_shifts(&noise(seed, 200, 0.8)).is_empty())).sum();
    assert!(wrong <= 2, "{wrong} of 20");
}

#[test]
fn drift_and_season_are_no_shift() {
    let values: Vec<f64> = noise(3, 288, 0.3)
        .into_iter()
        .enumerate()
        .map(|(index, noise)| {
            let season = 6.0 * (std::f64::consts::TAU * index as f64 / 24.0).sin();
            0.05 * index as f64 + season + noise
        })
        .collect();
    assert_eq!(level_shifts(&values), []);
}

#[test]
fn a_long_daily_habit_is_no_shift_and_the_step_on_it_is_one() {
    let points = daily(11, |since| if since >= -DAY { 40.0 } else { 0.0 });
    let values: Vec<f64> = points.iter().map(|point| point.1).collect();
    let shifts = level_shifts(&values);
    assert!(shifts.len() == 1 && shifts[0].index.abs_diff(3 * 1440) <= 30, "{shifts:?}");
}

#[test]
fn holes_keep_their_place_in_the_index() {
    let mut values = noise(4, 200, 0.0);
    values[120..].iter_mut().for_each(|value| *value += 5.0);
    values[40..60].fill(f64::NAN);
    let shifts = level_shifts(&values);
    assert!(shifts.len() == 1 && shifts[0].index.abs_diff(120) <= 1, "{shifts:?}");
}

#[test]
fn a_long_series_is_cut_in_the_right_place_too() {
    let mut values = noise(5, 1301, 0.3);
    values[907..].iter_mut().for_each(|value| *value += 3.0);
    let shifts = level_shifts(&values);
    assert!(shifts.len() == 1 && shifts[0].index.abs_diff(907) <= 3, "{shifts:?}");
}

#[test]
fn the_daily_rise_is_no_change_and_a_step_on_it_is_one() {
    let at = second(4 * DAY);
    let quiet = changed_at(&daily(6, |_| 0.0), at).unwrap();
    assert!(!quiet.changed, "{quiet:?}");
    let step = changed_at(&daily(6, |since| if since >= 0 { 25.0 } else { 0.0 }), at).unwrap();
    assert!(step.changed && step.probability > 0.9, "{step:?}");
}

#[test]
fn what_happens_each_day_at_this_time_is_no_change() {
    let job = |since: i64| if since.rem_euclid(DAY) < 20 * MINUTE { 80.0 } else { 0.0 };
    let at = second(4 * DAY);
    assert!(!changed_at(&daily(7, job), at).unwrap().changed);
    let twice = |since: i64| job(since) * if since >= 0 { 3.0 } else { 1.0 };
    assert!(changed_at(&daily(7, twice), at).unwrap().changed);
}

#[test]
fn one_error_after_none_is_no_change_and_an_error_each_minute_is() {
    let points = |errors: &dyn Fn(i64) -> f64| -> Vec<(Timestamp, f64)> {
        (-2000..60).map(|minute| (second(minute * MINUTE), errors(minute))).collect()
    };
    let at = second(0);
    let one = changed_at(&points(&|minute| f64::from(u8::from(minute == 5))), at).unwrap();
    assert!(!one.changed, "{one:?}");
    let many = changed_at(&points(&|minute| f64::from(u8::from(minute >= 5))), at).unwrap();
    assert!(many.changed && many.probability > 0.9, "{many:?}");
}

#[test]
fn one_side_only_is_no_answer() {
    let points: Vec<(Timestamp, f64)> = (0..50).map(|minute| (second(minute * MINUTE), 1.0)).collect();
    assert_eq!(changed_at(&points, second(-60)), None);
    assert_eq!(changed_at(&points, second(DAY)), None);
    assert_eq!(changed_at(&[], second(0)), None);
}

/// Any series: tame, wild, holed, of any spacing and order.
fn any_points() -> impl Strategy<Value = Vec<(Timestamp, f64)>> {
    let value = prop_oneof![
        4 => (0u8..5).prop_map(f64::from),
        4 => -1e3f64..1e3,
        1 => proptest::num::f64::ANY,
    ];
    let time =
        prop_oneof![6 => (0i64..600).prop_map(|minute| minute * 60), 1 => -2_000_000_000i64..4_000_000_000];
    proptest::collection::vec((time.prop_map(second), value), 0..90)
}

fn chance(probability: f64) -> bool {
    (0.0..=1.0 + 1e-9).contains(&probability)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_series_gives_probabilities_and_no_panic(points in any_points(), at in 0i64..40_000) {
        let values: Vec<f64> = points.iter().map(|point| point.1).collect();
        for shift in level_shifts(&values) {
            prop_assert!(chance(shift.probability) && shift.index < values.len());
        }
        if let Some(changed) = changed_at(&points, second(at)) {
            prop_assert!(chance(changed.probability));
            prop_assert_eq!(changed.changed, changed.probability > 0.5);
        }
    }

    #[test]
    fn later_clocks_change_nothing(
        values in proptest::collection::vec(0f64..100.0, 20..60), minutes in 1i64..1_000_000,
    ) {
        let series = |offset: i64| -> Vec<(Timestamp, f64)> {
            values.iter().enumerate().map(|(m, v)| (second((m as i64 + offset) * MINUTE), *v)).collect()
        };
        let at = |offset: i64| second((15 + offset) * MINUTE);
        prop_assert_eq!(changed_at(&series(0), at(0)), changed_at(&series(minutes), at(minutes)));
    }

    #[test]
    fn another_unit_changes_no_probability(
        values in proptest::collection::vec(0.5f64..100.0, 20..60), power in -20i32..20,
    ) {
        let unit = 2f64.powi(power);
        let scaled: Vec<f64> = values.iter().map(|value| value * unit).collect();
        let (one, other) = (level_shifts(&values), level_shifts(&scaled));
        prop_assert_eq!(one.len(), other.len());
        for (one, other) in one.iter().zip(&other) {
            prop_assert_eq!(one.index, other.index);
            prop_assert!((one.probability - other.probability).abs() < 1e-6);
            prop_assert!((one.before * unit - other.before).abs() <= 1e-9 * other.before.abs());
        }
        let series = |values: &[f64]| -> Vec<(Timestamp, f64)> {
            values.iter().enumerate().map(|(m, v)| (second(m as i64 * MINUTE), *v)).collect()
        };
        let changed = |values: &[f64]| changed_at(&series(values), second(15 * MINUTE)).map_or(0.5, |c| c.probability);
        prop_assert!((changed(&values) - changed(&scaled)).abs() < 1e-6);
    }

    #[test]
    fn another_zero_moves_no_shift(values in proptest::collection::vec(0f64..100.0, 20..60), offset in -1e3f64..1e3) {
        let moved: Vec<f64> = values.iter().map(|value| value + offset).collect();
        let places = |values: &[f64]| level_shifts(values).iter().map(|shift| shift.index).collect::<Vec<_>>();
        prop_assert_eq!(places(&values), places(&moved));
    }
}

#[test]
fn levels_of_small_counts_are_their_means() {
    // One in ten minutes, then one in three: the middle one is 0 before and after.
    let values: Vec<f64> =
        (0..600).map(|minute| f64::from(u8::from(minute % if minute < 300 { 10 } else { 3 } == 0))).collect();
    let shifts = level_shifts(&values);
    assert_eq!(shifts.len(), 1, "{shifts:?}");
    assert!((shifts[0].before - 0.1).abs() < 0.02 && (shifts[0].after - 0.33).abs() < 0.02, "{shifts:?}");
}
