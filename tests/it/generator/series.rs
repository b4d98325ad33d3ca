//! Which series CloudWatch holds of the simulated service and its neighbours.
//!
//! The rule that is not obvious: what a platform cannot see is not published; a function that answers
//! with an error of its own making has no `Errors`.

use super::fleet::Platform;
use super::metrics::{Book, Counted};
use super::model::{Failure, FaultKind};
use super::physics;
use super::random::Random;
use super::stage::{Gauge, Stage};
use super::wording;

/// The namespace of the service's own metrics.
pub fn namespace(stage: &Stage) -> String {
    let stem = stage.fleet.name.split('-').next().unwrap_or("app");
    let title: String =
        stem.chars().enumerate().map(|(i, c)| if i == 0 { c.to_ascii_uppercase() } else { c }).collect();
    format!("Tidal/{title}")
}

/// What CloudWatch holds of the service itself.
pub fn own(stage: &Stage, random: &mut Random, book: &mut Book, counted: &[Counted]) {
    let name = stage.fleet.name.as_str();
    let custom = namespace(stage);
    if stage.fleet.platform == Platform::Ecs {
        let balancer = format!("app/{}-public/{}", stage.fleet.cluster, random.hex(16));
        let target = format!("targetgroup/{}/{}", &name[..name.len().min(28)], random.hex(16));
        let task = [("ClusterName", stage.fleet.cluster), ("ServiceName", name)];
        let door = [("LoadBalancer", balancer.as_str()), ("TargetGroup", target.as_str())];
        let rough: Vec<f64> = counted.iter().map(|_| (random.normal() * 0.03).exp()).collect();
        book.add(
            random,
            ("AWS/ECS", "CPUUtilization", "Average"),
            &task,
            false,
            counted.iter().zip(&rough).map(|(c, r)| (c.minute.cpu * 100.0 * r).min(100.0)),
        );
        book.add(
            random,
            ("AWS/ECS", "MemoryUtilization", "Average"),
            &task,
            false,
            counted.iter().zip(&rough).map(|(c, r)| (c.minute.memory * 100.0 * r.powf(0.3)).min(100.0)),
        );
        book.add(
            random,
            ("AWS/ApplicationELB", "RequestCount", "Sum"),
            &door,
            false,
            counted.iter().map(|c| c.requests),
        );
        book.add(
            random,
            ("AWS/ApplicationELB", "HTTPCode_Target_5XX_Count", "Sum"),
            &door,
            true,
            counted.iter().map(|c| (c.errors - client_errors(c)).max(0.0)),
        );
        book.add(
            random,
            ("AWS/ApplicationELB", "HTTPCode_Target_4XX_Count", "Sum"),
            &door,
            true,
            counted.iter().map(|c| c.refused),
        );
        book.add(
            random,
            ("AWS/ApplicationELB", "TargetResponseTime", "p99"),
            &door,
            false,
            counted.iter().map(|c| c.p99 / 1000.0),
        );
        book.add(
            random,
            ("AWS/ApplicationELB", "TargetResponseTime", "p50"),
            &door,
            false,
            counted.iter().map(|c| c.p50 / 1000.0),
        );
    } else {
        let function = [("FunctionName", name)];
        book.add(
            random,
            ("AWS/Lambda", "Invocations", "Sum"),
            &function,
            false,
            counted.iter().map(|c| c.requests),
        );
        book.add(
            random,
            ("AWS/Lambda", "Errors", "Sum"),
            &function,
            false,
            counted.iter().map(|c| c.crashes),
        );
        book.add(random, ("AWS/Lambda", "Duration", "p50"), &function, false, counted.iter().map(|c| c.p50));
        book.add(random, ("AWS/Lambda", "Duration", "p99"), &function, false, counted.iter().map(|c| c.p99));
        book.add(
            random,
            ("AWS/Lambda", "Throttles", "Sum"),
            &function,
            false,
            counted.iter().map(|c| c.throttled),
        );
        book.add(
            random,
            ("AWS/Lambda", "ConcurrentExecutions", "Maximum"),
            &function,
            false,
            counted
                .iter()
                .map(|c| (c.minute.concurrency + 2.0 * c.minute.concurrency.sqrt()).ceil().max(1.0)),
        );
        if stage.fleet.canary.is_some() && random.chance(0.6) {
            let resource = format!("{name}:{}", stage.fleet.alias);
            for version in stage.fleet.versions.iter().rev().take(2) {
                let label = version.number.to_string();
                let of = |c: &Counted, which: usize| {
                    c.versions
                        .iter()
                        .find(|v| v.0 == label)
                        .map_or(0.0, |v| if which == 0 { v.1 } else { v.2 })
                };
                let dimensions = [
                    ("FunctionName", name),
                    ("Resource", resource.as_str()),
                    ("ExecutedVersion", label.as_str()),
                ];
                book.add(
                    random,
                    ("AWS/Lambda", "Invocations", "Sum"),
                    &dimensions,
                    true,
                    counted.iter().map(|c| of(c, 0)),
                );
                let handled = stage.handled;
                book.add(
                    random,
                    ("AWS/Lambda", "Errors", "Sum"),
                    &dimensions,
                    true,
                    counted.iter().map(|c| if handled { 0.0 } else { of(c, 1) }),
                );
            }
        }
    }
    let service = [("Service", name)];
    let word = random.pick(&["FailedOperations", "RequestsFailed", "Rejections", "Unsuccessful"]);
    book.add(random, (&custom, word, "Sum"), &service, false, counted.iter().map(|c| c.errors));
    if random.chance(0.6) {
        let word = random.pick(&["OperationsOk", "Processed", "RequestsServed"]);
        book.add(
            random,
            (&custom, word, "Sum"),
            &service,
            false,
            counted.iter().map(|c| (c.requests - c.errors).max(0.0)),
        );
    }
    if random.chance(0.5) {
        book.add(random, (&custom, "HandleTime", "Average"), &service, false, counted.iter().map(|c| c.mean));
    }
    gauges(stage, random, book, counted, &custom);
}

/// Failures among the errors that callers see as 4xx.
fn client_errors(counted: &Counted) -> f64 {
    let share = |c: &Counted| {
        let (mut client, mut all) = (0.0, 1e-9);
        for (failure, expected) in c.minute.outcomes.iter().flat_map(|outcome| &outcome.failures) {
            if *failure != Failure::Validation {
                all += expected;
                if wording::status(*failure) < 500 {
                    client += expected;
                }
            }
        }
        client / all
    };
    (counted.errors * share(counted)).round()
}

fn gauges(stage: &Stage, random: &mut Random, book: &mut Book, counted: &[Counted], custom: &str) {
    let name = stage.fleet.name.clone();
    let service = [("Service", name.as_str())];
    let database = format!("{name}-db-{}", random.pick(&["1", "writer", "a"]));
    let instance = [("DBInstanceIdentifier", database.as_str())];
    for gauge in &stage.gauges {
        let rough: Vec<f64> = counted.iter().map(|_| random.normal()).collect();
        let each = counted.iter().zip(&rough);
        match gauge {
            Gauge::PoolUsed => {
                let word = random.pick(&["ConnectionsInUse", "PoolBusy", "CheckedOutConnections"]);
                book.add(
                    random,
                    (custom, word, "Maximum"),
                    &service,
                    false,
                    each.map(|(c, r)| (c.minute.pool_used * (0.05 * r).exp()).ceil()),
                );
            }
            Gauge::Backlog => {
                let word = random.pick(&["PendingJobs", "WaitingRequests", "InboxSize"]);
                book.add(
                    random,
                    (custom, word, "Maximum"),
                    &service,
                    false,
                    each.map(|(c, r)| (c.minute.backlog + 3.0 + r).max(0.0).round()),
                );
            }
            Gauge::CacheHit => book.add(
                random,
                (custom, "CacheHitShare", "Average"),
                &service,
                false,
                each.map(|(c, r)| (c.minute.hit + 0.01 * r).clamp(0.0, 1.0)),
            ),
            Gauge::Filled => {
                let word = random.pick(&["VolumeUsedPercent", "AllowanceUsedPercent", "StorageUtilisation"]);
                book.add(
                    random,
                    (custom, word, "Maximum"),
                    &service,
                    false,
                    each.map(|(c, r)| (c.minute.filled + 0.05 * r).clamp(0.0, 100.0)),
                );
            }
            Gauge::MemoryUsed => book.add(
                random,
                (custom, "ResidentMemoryMb", "Maximum"),
                &service,
                false,
                each.map(|(c, r)| c.minute.memory * stage.knobs.memory_mb * (0.01 * r).exp()),
            ),
            Gauge::CertificateDays => {
                let (days, now) = (stage.certificate_days, stage.now);
                book.add(
                    random,
                    (custom, "DaysUntilCertificateExpiry", "Minimum"),
                    &service,
                    false,
                    counted.iter().map(|c| ((days + (now - c.at) as f64 / 86_400.0).floor()).max(0.0)),
                );
            }
            Gauge::DatabaseSessions => book.add(
                random,
                ("AWS/RDS", "DatabaseConnections", "Average"),
                &instance,
                false,
                each.map(|(c, r)| c.minute.sessions * (0.03 * r).exp()),
            ),
            Gauge::DatabaseCpu => book.add(
                random,
                ("AWS/RDS", "CPUUtilization", "Average"),
                &instance,
                false,
                each.map(|(c, r)| c.minute.database_cpu * 100.0 * (0.04 * r).exp()),
            ),
        }
    }
}

/// What it holds of the services that this one calls, and of those that it does not.
pub fn neighbours(stage: &Stage, random: &mut Random, book: &mut Book) {
    for (i, dependency) in stage.dependencies.iter().enumerate() {
        // Calls that fail are repeated, so a failing dependency is asked more often.
        let demand = |at: i64| {
            let repeated: f64 = stage
                .faults
                .iter()
                .map(|fault| match fault.kind {
                    FaultKind::DependencyFails { which, share } if which == i => {
                        share * stage.retries * fault.strength(at)
                    }
                    _ => 0.0,
                })
                .sum();
            physics::demand_factor(&stage.faults, at) * (1.0 + repeated)
        };
        let struck = |at: i64| {
            let (mut share, mut factor) = (0.0, 1.0);
            for fault in &stage.faults {
                match fault.kind {
                    FaultKind::DependencyFails { which, share: most } if which == i => {
                        share += most * fault.strength(at);
                    }
                    FaultKind::DependencySlow { which, factor: most } if which == i => {
                        factor *= 1.0 + (most - 1.0) * fault.strength(at);
                    }
                    _ => {}
                }
            }
            (share, factor)
        };
        if dependency.measured {
            book.neighbour(random, dependency, &demand, &struck);
        }
    }
    for peer in &stage.peers {
        book.neighbour(random, peer, &|_| 1.0, &|_| (0.0, 1.0));
    }
}
