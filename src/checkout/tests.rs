//! The pool model on virtual time: which pool holds which callers, and how the service tells it.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::time::{Time, VirtualTime, later, run};
use super::*;

fn noon() -> Timestamp {
    "2026-02-06T12:00:00Z".parse().unwrap()
}

fn rollout(settings: Settings) -> Rollout {
    Rollout { version: "39".to_owned(), settings, hint: DeploymentHint::default() }
}

fn sized(db_pool_size: u32, max_concurrent: u32) -> Settings {
    Settings { db_pool_size, max_concurrent, ..Settings::of(FaultScenario::Normal) }
}

/// What came of a stretch of steady demand.
#[derive(Debug, Default)]
struct Outcome {
    failures: Vec<(Timestamp, Failure)>,
    /// Arrival and milliseconds, of every order.
    latencies: Vec<(Timestamp, u64)>,
    lines: Vec<Value>,
}

impl Outcome {
    fn failure_rate(&self) -> f64 {
        self.failures.len() as f64 / self.latencies.len() as f64
    }

    fn p99(&self) -> u64 {
        let mut sorted: Vec<u64> = self.latencies.iter().map(|&(_, took)| took).collect();
        sorted.sort_unstable();
        sorted[sorted.len() * 99 / 100]
    }
}

/// Orders in groups of `size` for `minutes`; `changes` are rolled out when their minute comes.
fn simulate(first: Rollout, size: f64, minutes: u64, changes: Vec<(u64, Rollout)>) -> Outcome {
    let outcome = Rc::new(RefCell::new(Outcome::default()));
    let lines = Arc::new(Mutex::new(Vec::new()));
    let sink = {
        let lines = Arc::clone(&lines);
        Sink::new(move |emission| {
            if let What::Log { line, .. } = emission.what {
                lines.lock().unwrap().push(serde_json::from_str(&line).unwrap());
            }
        })
    };
    let clock = VirtualTime::starting_at(noon());
    let end = later(noon(), Duration::from_mins(minutes));
    run(
        &clock,
        || later(end, Duration::from_mins(1)),
        |spawner| {
            let time = Time::Virtual(Arc::clone(&clock));
            let outcome = Rc::clone(&outcome);
            async move {
                let service = Rc::new(Service::start(time.clone(), sink, first, 7).await.unwrap());
                for (minute, change) in changes {
                    let (service, time) = (Rc::clone(&service), time.clone());
                    spawner.spawn(async move {
                        time.sleep_until(later(noon(), Duration::from_mins(minute))).await;
                        service.roll_out(change).await.unwrap();
                    });
                }
                let (demand, mut random) = (Demand::steady(size), fastrand::Rng::with_seed(11));
                let mut at = noon();
                while at < end {
                    for arrival in demand.group(at, &mut random).arrivals {
                        let (service, time, outcome) =
                            (Rc::clone(&service), time.clone(), Rc::clone(&outcome));
                        spawner.spawn(async move {
                            time.sleep_until(arrival).await;
                            let placed = service.place(Order { id: "TEST".to_owned() }).await;
                            let took = time.now().duration_since(arrival).as_millis() as u64;
                            let mut outcome = outcome.borrow_mut();
                            outcome.latencies.push((arrival, took));
                            outcome.failures.extend(placed.err().map(|failure| (arrival, failure)));
                        });
                    }
                    at = later(at, demand.interval);
                    time.sleep_until(at).await;
                }
            }
        },
    );
    let mut outcome = Rc::try_unwrap(outcome).unwrap().into_inner();
    outcome.lines = std::mem::take(&mut *lines.lock().unwrap());
    outcome
}

fn steady(settings: Settings, size: f64) -> Outcome {
    simulate(rollout(settings), size, 20, Vec::new())
}

/// The load of a quiet morning, and of the lunch break.
const QUIET: f64 = 3.5;
const LUNCH: f64 = 10.3;

#[test]
fn ten_connections_hold_five_and_eight_callers_at_any_load() {
    for callers in [5, 8] {
        for size in [QUIET, LUNCH] {
            let outcome = steady(sized(10, callers), size);
            let rate = outcome.failure_rate();
            assert!((0.02..0.08).contains(&rate), "10 for {callers} at {size}: {rate}");
            assert!(outcome.p99() < 400, "10 for {callers} at {size}: {} ms", outcome.p99());
            assert!(outcome.failures.iter().all(|(_, failure)| *failure == Failure::RowLocked));
        }
    }
}

#[test]
fn five_connections_hold_five_callers_nearly_always() {
    let rate = steady(sized(5, 5), LUNCH).failure_rate();
    assert!((0.04..0.14).contains(&rate), "{rate}");
}

#[test]
fn five_connections_for_eight_callers_fail_only_once_the_load_has_grown() {
    let quiet = steady(sized(5, 8), QUIET);
    assert!(quiet.failures.iter().all(|(_, failure)| *failure == Failure::RowLocked));
    let lunch = steady(sized(5, 8), LUNCH);
    let rate = lunch.failure_rate();
    assert!((0.34..0.46).contains(&rate), "{rate}");
    assert!((2000..2400).contains(&lunch.p99()), "{} ms", lunch.p99());
}

#[test]
fn the_other_pools_of_the_scenario_fail_as_it_says() {
    let exhausted = steady(Settings::of(FaultScenario::DbPoolExhaustion), 5.0).failure_rate();
    assert!((0.3..0.55).contains(&exhausted), "{exhausted}");
    let cascading = steady(Settings::of(FaultScenario::CascadingFailure), QUIET).failure_rate();
    assert!((0.6..0.85).contains(&cascading), "{cascading}");
}

#[test]
fn rolling_the_configuration_back_heals_and_the_bad_one_breaks_again() {
    let good = || rollout(sized(10, 5));
    let bad = || rollout(sized(5, 8));
    let outcome = simulate(good(), LUNCH, 30, vec![(10, bad()), (20, good())]);
    let rate = |from: u64, until: u64| {
        let inside = |at: Timestamp| {
            (later(noon(), Duration::from_mins(from))..later(noon(), Duration::from_mins(until)))
                .contains(&at)
        };
        let failed = outcome.failures.iter().filter(|&&(at, _)| inside(at)).count();
        failed as f64 / outcome.latencies.iter().filter(|&&(at, _)| inside(at)).count() as f64
    };
    assert!(rate(0, 10) < 0.1, "before: {}", rate(0, 10));
    assert!(rate(10, 20) > 0.3, "with the bad configuration: {}", rate(10, 20));
    assert!(rate(20, 30) < 0.1, "rolled back: {}", rate(20, 30));
}

#[test]
fn the_same_seed_tells_the_same_story() {
    let first = simulate(rollout(sized(5, 8)), LUNCH, 3, Vec::new());
    let second = simulate(rollout(sized(5, 8)), LUNCH, 3, Vec::new());
    assert_eq!(first.lines, second.lines);
}

#[test]
fn an_exhausted_pool_is_told_in_the_scenarios_words_and_fields() {
    let hint = DeploymentHint {
        related: true,
        stamp: Some("2026-02-06T11:45:00".to_owned()),
        counted_from: Some("2026-02-06T11:45:00Z".parse().unwrap()),
    };
    let outcome = simulate(Rollout { hint, ..rollout(sized(5, 8)) }, LUNCH, 2, Vec::new());
    let timeout = outcome
        .lines
        .iter()
        .find(|line| {
            line["message"] == "Database connection timeout - pool exhausted" && line["concurrent_calls"] == 8
        })
        .unwrap();
    assert_eq!(timeout["level"], "ERROR");
    assert_eq!(timeout["db_pool_size"], 5);
    assert_eq!(timeout["pool_available"], -3);
    assert_eq!(timeout["possibly_deployment_related"], true);
    assert_eq!(timeout["recent_deployment_time"], "2026-02-06T11:45:00");
    assert!([15, 16].map(Value::from).contains(&timeout["minutes_since_deployment"]));
    let spike =
        outcome.lines.iter().find(|line| line["message"] == "LATENCY SPIKE - Query took 2000ms+").unwrap();
    assert!(spike["query_duration_ms"].as_u64().unwrap() >= 2000);
    assert_eq!(spike["latency_threshold_exceeded"], "2000ms");
}

#[test]
fn an_ordinary_order_is_told_with_the_fields_of_an_ordinary_day() {
    let outcome = steady(Settings::of(FaultScenario::Normal), 2.0);
    let completed: Vec<_> =
        outcome.lines.iter().filter(|line| line["message"] == "Order completed").collect();
    let mean = completed.iter().map(|line| line["query_duration_ms"].as_f64().unwrap()).sum::<f64>()
        / completed.len() as f64;
    assert!((130.0..175.0).contains(&mean), "{mean} ms");
    for line in completed {
        assert_eq!((line["level"].as_str(), line["db_pool_size"].as_u64()), (Some("INFO"), Some(10)));
        let calls = line["concurrent_calls"].as_i64().unwrap();
        assert!((1..=3).contains(&calls), "{calls}");
        assert!((7..=9).contains(&line["pool_available"].as_i64().unwrap()));
    }
}

#[test]
fn a_leak_makes_every_order_slower_until_its_stated_limit() {
    let settings = Settings { leak_bytes: 256 * 1024, ..Settings::of(FaultScenario::MemoryLeak) };
    let outcome = simulate(rollout(settings), 1.0, 20, Vec::new());
    let mean = |range: std::ops::Range<usize>| {
        let part = &outcome.latencies[range];
        part.iter().map(|&(_, took)| took).sum::<u64>() / part.len() as u64
    };
    assert!(mean(0..20) < 500);
    assert!(mean(100..120) > mean(0..20) + 500);
    let memory = |line: &Value| line["memory_used_mb"].as_u64();
    let used: Vec<u64> = outcome.lines.iter().filter_map(memory).collect();
    assert!(used.is_sorted() && used.len() >= 5, "{used:?}");
    let limit = (LEAK_LIMIT / (1024 * 1024)) as u64;
    assert!(used.last().unwrap() - used.first().unwrap() <= limit, "{used:?}");
}

#[test]
fn an_outbox_that_nobody_empties_slows_every_write_down() {
    let stuck = Settings { outbox_relay: false, ..Settings::of(FaultScenario::Normal) };
    let last_orders = |settings| {
        let outcome = steady(settings, QUIET);
        outcome.latencies.iter().rev().take(200).map(|&(_, took)| took).sum::<u64>() / 200
    };
    let (slow, well) = (last_orders(stuck), last_orders(Settings::of(FaultScenario::Normal)));
    assert!(slow >= well + 15, "{slow} ms and {well} ms");
}
