//! The stories themselves: that each happens as it says, seen from what the service did.

use jiff::civil::time;

use super::*;
use crate::checkout::SERVICE_NAME;
use crate::demo::aws::{AwsWorld, WorldClock, WorldOptions};

/// Plays the story's past, from late in the morning, to the moment where it goes live.
fn play(name: &str, from: jiff::civil::Time) -> (Story, Past, AwsWorld, std::sync::Arc<Stage>) {
    let story = find(name).unwrap();
    let past = Past { from, earlier_days: Vec::new(), ..Past::default() };
    let clock = WorldClock::manual(on(past.day, story.live_from));
    let world = AwsWorld::new(WorldOptions::immediate(clock));
    let stage = make(&world, &story, &past).unwrap();
    (story, past, world, stage)
}

/// The share of failed orders from one time of the day to another.
fn failing(stage: &Stage, past: &Past, from: (i8, i8), until: (i8, i8)) -> f64 {
    let at = |(hour, minute)| on(past.day, time(hour, minute, 0, 0));
    let minutes = stage.tally.minutes(at(from), at(until));
    let (orders, failures) =
        minutes.iter().fold((0, 0), |sum, (_, minute)| (sum.0 + minute.orders, sum.1 + minute.failures));
    failures as f64 / orders as f64
}

#[test]
fn every_story_can_be_found_by_its_name_in_kebab_and_snake_case() {
    let all = stories();
    for story in &all {
        assert_eq!(find(story.name).unwrap().name, story.name);
        assert_eq!(find(&story.name.replace('-', "_")).unwrap().name, story.name);
        assert_eq!(all.iter().filter(|other| other.name == story.name).count(), 1);
        assert!(story.steps.is_sorted_by_key(|step| step.at), "{}", story.name);
        assert!(story.alarm.at < story.live_from, "{}", story.name);
    }
    assert!(find(DEFAULT).is_some() && find("no such story").is_none());
}

#[test]
fn the_bug_waits_a_quarter_of_an_hour_and_then_takes_four_orders_of_ten() {
    let (_, past, world, stage) = play(DEFAULT, time(11, 30, 0, 0));
    let before = failing(&stage, &past, (12, 1), (12, 14));
    let after = failing(&stage, &past, (12, 16), (12, 18));
    assert!(before < 0.09, "{before}");
    assert!((0.33..0.47).contains(&after), "{after}");
    let (version, live) = world.live_configuration(SERVICE_NAME, ALIAS).unwrap();
    let (_, earlier) = world.live_configuration(SERVICE_NAME, "38").unwrap();
    assert_eq!(version, "39");
    let changed: Vec<_> = live.iter().filter(|(key, value)| earlier.get(*key) != Some(value)).collect();
    let changed: Vec<_> = changed.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(changed, [("db_pool_size", "5"), ("max_concurrent", "8")]);
}

#[test]
fn the_alarm_quotes_what_was_measured_and_each_point_breaches() {
    for name in [DEFAULT, "normal", "cascading-failure", "payments-outage"] {
        let (story, past, _, stage) = play(name, time(11, 50, 0, 0));
        let message = alarm::message(&story, past.day, &stage.tally, "us-east-1");
        let reason = message["attachments"][0]["fields"][2]["value"].as_str().unwrap();
        let (_, points) = reason.split_once('[').unwrap();
        let (points, _) = points.split_once(']').unwrap();
        let values: Vec<f64> =
            points.split(", ").map(|point| point.split(' ').next().unwrap().parse().unwrap()).collect();
        assert_eq!(values.len(), story.alarm.datapoints as usize, "{name}: {reason}");
        assert!(values.iter().all(|value| *value > story.alarm.threshold), "{name}: {reason}");
    }
}

#[test]
fn an_ordinary_lunch_stays_ordinary() {
    let (_, past, _, stage) = play("normal", time(12, 0, 0, 0));
    let rate = failing(&stage, &past, (12, 15), (12, 18));
    assert!((0.02..0.09).contains(&rate), "{rate}");
}

#[test]
fn a_rollback_by_its_author_heals_before_anybody_looks() {
    let (_, past, world, stage) = play("already-rolled-back", time(11, 50, 0, 0));
    assert!(failing(&stage, &past, (12, 16), (12, 18)) > 0.3);
    assert!(failing(&stage, &past, (12, 20), (12, 24)) < 0.09);
    assert_eq!(world.live_configuration(SERVICE_NAME, ALIAS).unwrap().0, "38");
}

#[test]
fn a_slow_payment_service_takes_seven_orders_of_ten_from_a_pool_of_two() {
    let (_, past, _, stage) = play("cascading-failure", time(12, 0, 0, 0));
    let before = failing(&stage, &past, (12, 0), (12, 14));
    let after = failing(&stage, &past, (12, 16), (12, 18));
    assert!(before < 0.1, "{before}");
    assert!((0.55..0.9).contains(&after), "{after}");
}

#[test]
fn the_innocent_half_of_the_change_harms_nobody_until_payments_fail() {
    let (_, past, world, stage) = play("payments-outage", time(11, 50, 0, 0));
    let (_, live) = world.live_configuration(SERVICE_NAME, ALIAS).unwrap();
    assert_eq!((live["db_pool_size"].as_str(), live["max_concurrent"].as_str()), ("10", "8"));
    assert!(failing(&stage, &past, (12, 1), (12, 14)) < 0.09);
    assert!(failing(&stage, &past, (12, 16), (12, 18)) > 0.3);
}

#[test]
fn a_leak_slows_orders_over_the_hours_and_fails_none() {
    let (_, past, _, stage) = play("memory-leak", time(11, 0, 0, 0));
    let slowest = |hour, minute| {
        let at = on(past.day, time(hour, minute, 0, 0));
        let until = on(past.day, time(hour, minute + 5, 0, 0));
        stage.tally.minutes(at, until).iter().flat_map(|(_, minute)| minute.durations.clone()).max()
    };
    let (early, middle, late) = (slowest(11, 0), slowest(11, 35), slowest(12, 10));
    assert!(early < middle && middle < late, "{early:?} {middle:?} {late:?}");
    assert!(failing(&stage, &past, (12, 10), (12, 18)) < 0.09);
}
