//! Every story that the demo can tell.
//!
//! The five `FAULT_SCENARIO` values come first; only `deployment-config-bug` has a deployment to
//! blame among them. The others are that bug again with something in the way, or another cause
//! dressed up as a deployment.

use std::time::Duration;

use jiff::civil::{Time, time};

use super::plot::{
    Action, Actor, Alarm, Defect, Health, HintRule, Release, RollbackOffer, Step, Story, Truth,
};
use crate::checkout::{Demand, Payments, SERVICE_NAME};

/// What `demo` tells when nothing else is asked for.
pub const DEFAULT: &str = "deployment-config-bug";

const DANA: Actor = Actor::Person("dana");

/// All stories, in the order in which the page offers them.
pub fn stories() -> Vec<Story> {
    vec![
        deployment_config_bug(),
        normal(),
        db_pool_exhaustion(),
        memory_leak(),
        cascading_failure(),
        lying_hints(),
        innocent_deployment(),
        silent_cloudtrail(),
        payments_outage(),
        already_rolled_back(),
    ]
}

/// The story of that name, in kebab or snake case.
pub fn find(name: &str) -> Option<Story> {
    let name = name.trim().to_ascii_lowercase().replace('_', "-");
    stories().into_iter().find(|story| story.name == name)
}

fn environment(
    db_pool_size: &'static str,
    max_concurrent: &'static str,
) -> Vec<(&'static str, &'static str)> {
    vec![
        ("currency", "EUR"),
        ("db_pool_size", db_pool_size),
        ("feature_gift_cards", "off"),
        ("inventory_url", "https://inventory.shop.internal/v1"),
        ("log_level", "INFO"),
        ("max_concurrent", max_concurrent),
        ("payments_url", "https://payments.shop.internal/v2"),
    ]
}

fn step(at: Time, action: Action) -> Step {
    Step { at, action }
}

fn release(
    function: &'static str,
    changes: &[(&'static str, &'static str)],
    code: bool,
    description: &'static str,
    actor: Actor,
) -> Action {
    Action::Release(Release {
        function,
        changes: changes.to_vec(),
        code,
        description,
        actor,
        trail_delay: None,
    })
}

/// The deployment that everything is about: both halves of it.
pub fn bad_release() -> Release {
    Release {
        function: SERVICE_NAME,
        changes: vec![("db_pool_size", "5"), ("max_concurrent", "8")],
        code: true,
        description: "Performance optimization",
        actor: DANA,
        trail_delay: None,
    }
}

fn errors_alarm() -> Alarm {
    Alarm {
        name: "demo-checkout-service-errors",
        description: "More than 30 failed orders a minute",
        metric: "CheckoutFailures",
        statistic: "Sum",
        threshold: 30.0,
        datapoints: 1,
        at: time(12, 17, 12, 0),
    }
}

fn blames_the_configuration() -> Truth {
    Truth {
        causes: vec!["deployment"],
        keys: vec![("db_pool_size", "10", "5"), ("max_concurrent", "5", "8")],
        resource: Some(SERVICE_NAME),
        rollback: RollbackOffer::Must,
    }
}

fn blames_nobody(causes: &[&'static str]) -> Truth {
    Truth { causes: causes.to_vec(), keys: Vec::new(), resource: None, rollback: RollbackOffer::MustNot }
}

/// The scenario itself.
pub fn deployment_config_bug() -> Story {
    let mut steps = innocent_releases();
    steps.push(step(time(12, 0, 0, 0), Action::Release(bad_release())));
    Story {
        name: DEFAULT,
        title: "A configuration bug waits for lunch",
        about: "At 12:00 a release makes the connection pool smaller and lets more callers in. Nothing \
                happens until the lunch crowd comes at 12:15; then about 40 % of the orders time out.",
        environment: environment("10", "5"),
        released_this_morning: true,
        demand: Demand::working_day(),
        defect: Defect::default(),
        hint: HintRule::Scenario,
        steps: in_order(steps),
        alarm: errors_alarm(),
        live_from: time(12, 18, 0, 0),
        truth: blames_the_configuration(),
    }
}

fn normal() -> Story {
    Story {
        name: "normal",
        title: "An alarm about nothing",
        about: "An ordinary noon: about 5 % of the orders time out on a locked row, as on every day. \
                An alarm with a careless threshold goes off all the same.",
        released_this_morning: false,
        demand: Demand { points: vec![(540.0, 5.0), (735.0, 6.0)], ..Demand::working_day() },
        steps: in_order(innocent_releases()),
        alarm: Alarm { description: "More than 2 failed orders a minute", threshold: 2.0, ..errors_alarm() },
        truth: blames_nobody(&["none"]),
        ..deployment_config_bug()
    }
}

fn db_pool_exhaustion() -> Story {
    Story {
        name: "db-pool-exhaustion",
        title: "A pool of three runs dry",
        about: "Three connections for five callers have sufficed for weeks. Today the outbox is not \
                emptied, every write takes longer than the one before, and by a quarter past twelve the \
                connections no longer suffice. Nobody changed anything.",
        environment: environment("3", "5"),
        released_this_morning: false,
        demand: Demand { points: vec![(0.0, 1.5)], interval: Duration::from_secs(1) },
        defect: Defect { outbox_stuck: true, ..Defect::default() },
        steps: in_order(innocent_releases()),
        alarm: Alarm {
            description: "More than 15 failed orders a minute",
            threshold: 15.0,
            ..errors_alarm()
        },
        truth: blames_nobody(&["exhaustion"]),
        ..deployment_config_bug()
    }
}

fn memory_leak() -> Story {
    Story {
        name: "memory-leak",
        title: "Every order leaves something behind",
        about: "Memory grows by a few KiB an order, and every order reads through all of it: latency \
                climbs over hours until the alarm goes off. No deployment is near.",
        released_this_morning: false,
        demand: Demand { points: vec![(540.0, 2.6), (735.0, 3.2)], ..Demand::working_day() },
        defect: Defect { leak_kib_per_order: 3, ..Defect::default() },
        steps: in_order(innocent_releases()),
        alarm: Alarm {
            name: "demo-checkout-service-latency-p99",
            description: "p99 latency of an order above 1500 ms",
            metric: "ProcessingTime",
            statistic: "p99",
            threshold: 1500.0,
            datapoints: 3,
            at: time(12, 17, 12, 0),
        },
        truth: blames_nobody(&["exhaustion"]),
        ..deployment_config_bug()
    }
}

fn cascading_failure() -> Story {
    let mut steps = innocent_releases();
    steps.push(step(
        time(12, 14, 30, 0),
        Action::Payments {
            towards_checkout: Payments { time: Duration::from_millis(900), failing: 0.0 },
            health: Health { failing: 0.10, slower: 9.0 },
        },
    ));
    Story {
        name: "cascading-failure",
        title: "A slow payment service takes the checkout down",
        about: "Two connections for ten callers are just enough while payments answer in 15 ms. At a \
                quarter past twelve payments become slow; orders hold their connections meanwhile, and \
                about 70 % of them time out. Nothing was deployed.",
        environment: environment("2", "10"),
        released_this_morning: false,
        demand: Demand { points: vec![(0.0, 0.5)], interval: Duration::from_millis(450) },
        steps: in_order(steps),
        truth: blames_nobody(&["dependency"]),
        ..deployment_config_bug()
    }
}

fn lying_hints() -> Story {
    Story {
        name: "lying-hints",
        title: "The logs deny it",
        about: "The configuration bug again, but the service's own log lines say that it is not \
                deployment related and that the last deployment was yesterday.",
        hint: HintRule::Denies,
        ..deployment_config_bug()
    }
}

fn innocent_deployment() -> Story {
    let mut story = deployment_config_bug();
    let innocent = release("inventory", &[], true, "Shorter stock summaries", Actor::Pipeline);
    story.steps.push(step(time(12, 13, 0, 0), innocent));
    Story {
        name: "innocent-deployment",
        title: "The nearest deployment is innocent",
        about: "The configuration bug again, and two minutes before the trouble begins the inventory \
                service, which the checkout calls, is deployed without any harm.",
        steps: in_order(story.steps.clone()),
        ..story
    }
}

fn silent_cloudtrail() -> Story {
    let mut steps = innocent_releases();
    let late = Release { trail_delay: Some(18 * 60 + 15), ..bad_release() };
    steps.push(step(time(12, 0, 0, 0), Action::Release(late)));
    Story {
        name: "silent-cloudtrail",
        title: "CloudTrail is still silent",
        about: "The configuration bug again, but CloudTrail delivers the release only after 18 minutes. \
                The versions tell of it all the same.",
        steps: in_order(steps),
        ..deployment_config_bug()
    }
}

fn payments_outage() -> Story {
    let mut steps = innocent_releases();
    let half = Release { changes: vec![("max_concurrent", "8")], ..bad_release() };
    steps.push(step(time(12, 0, 0, 0), Action::Release(half)));
    steps.push(step(
        time(12, 14, 30, 0),
        Action::Payments {
            towards_checkout: Payments { time: Duration::from_millis(800), failing: 0.45 },
            health: Health { failing: 0.55, slower: 6.0 },
        },
    ));
    Story {
        name: "payments-outage",
        title: "Half of the change, and somebody else's outage",
        about: "The release of 12:00 lets eight callers in and leaves the pool at ten, which holds them. \
                At a quarter past twelve the payment service fails, and with it the orders.",
        steps: in_order(steps),
        truth: blames_nobody(&["dependency"]),
        ..deployment_config_bug()
    }
}

fn already_rolled_back() -> Story {
    let mut story = deployment_config_bug();
    let undo = Action::RollBack { function: SERVICE_NAME, actor: DANA };
    story.steps.push(step(time(12, 18, 40, 0), undo));
    Story {
        name: "already-rolled-back",
        title: "Somebody was faster",
        about: "The configuration bug again, but its author has rolled it back by the time anybody \
                looks, and the orders go through again.",
        steps: in_order(story.steps.clone()),
        live_from: time(12, 24, 0, 0),
        truth: Truth {
            rollback: RollbackOffer::MustNot,
            causes: vec!["none", "deployment"],
            ..blames_the_configuration()
        },
        ..story
    }
}

/// A dozen deployments that did no harm, and the noise of an account. Nothing of the checkout's and
/// nothing that it depends on is released in the hour before noon.
fn innocent_releases() -> Vec<Step> {
    let at = |hour: i8, minute: i8, second: i8| time(hour, minute, second, 0);
    let person = Actor::Person;
    vec![
        step(at(9, 12, 5), release("search", &[], true, "Faster suggestions", Actor::Pipeline)),
        step(at(9, 31, 40), release("profile", &[("cache_ttl_seconds", "600")], false, "", person("lee"))),
        step(at(10, 5, 12), release("inventory", &[("batch_size", "100")], false, "", Actor::Pipeline)),
        step(at(10, 24, 33), release("payments", &[], true, "New receipt layout", Actor::Pipeline)),
        step(at(10, 47, 2), release("search", &[("ranking_model", "r13")], false, "", person("noor"))),
        step(at(10, 52, 21), release("payments", &[("receipt_language", "auto")], false, "", person("ines"))),
        step(at(11, 3, 50), release("profile", &[], true, "Avatar sizes", Actor::Pipeline)),
        step(at(11, 18, 9), release("notifications", &[("sender_name", "Shop")], false, "", person("lee"))),
        step(at(11, 29, 44), release("search", &[], true, "Typo tolerance", Actor::Pipeline)),
        step(at(11, 44, 18), release("profile", &[("export_format", "json")], false, "", person("noor"))),
        step(at(11, 56, 31), release("notifications", &[], true, "Plain text fallback", Actor::Pipeline)),
        step(at(12, 8, 26), release("search", &[("synonyms", "2026-02")], false, "", Actor::Pipeline)),
        step(
            at(11, 21, 3),
            Action::EditLatest { function: SERVICE_NAME, changes: vec![("log_level", "DEBUG")], actor: DANA },
        ),
        step(
            at(11, 33, 47),
            Action::EditLatest { function: SERVICE_NAME, changes: vec![("log_level", "INFO")], actor: DANA },
        ),
        noise(
            at(10, 14, 55),
            "monitoring.amazonaws.com",
            "PutMetricAlarm",
            person("noor"),
            r#"{"alarmName":"search-errors","metricName":"Errors","namespace":"AWS/Lambda","threshold":5.0}"#,
        ),
        noise(at(11, 8, 30), "rds.amazonaws.com", "DescribeDBInstances", person("lee"), "{}"),
        noise(
            at(11, 51, 12),
            "logs.amazonaws.com",
            "CreateLogGroup",
            Actor::Pipeline,
            r#"{"logGroupName":"/aws/lambda/wishlist"}"#,
        ),
        noise(at(12, 5, 41), "ec2.amazonaws.com", "DescribeSecurityGroups", person("ines"), "{}"),
    ]
}

fn noise(at: Time, source: &'static str, name: &'static str, actor: Actor, request: &'static str) -> Step {
    step(at, Action::Noise { source, name, actor, request })
}

fn in_order(mut steps: Vec<Step>) -> Vec<Step> {
    steps.sort_by_key(|step| step.at);
    steps
}
