//! One minute of a service's life: who arrives, who fails and how, how long it takes.
//!
//! The rule that is not obvious: versions share the load in proportion, and each brings its own part
//! of the fleet, so a version's fate depends on the demand and its knobs, not on its share.

use super::model::{Failure, Fault, FaultKind, Knobs, Transition};

/// What one version did in one minute.
pub struct Outcome {
    pub version: String,
    /// Requests that began, without those that the provider turned away.
    pub requests: f64,
    /// Expected failures by kind.
    pub failures: Vec<(Failure, f64)>,
    /// Latencies in milliseconds with their weights, ascending.
    pub latencies: Vec<(f64, f64)>,
    /// Median of the requests that succeed, in milliseconds.
    pub success_ms: f64,
    pub knobs: Knobs,
}

pub struct Minute {
    pub outcomes: Vec<Outcome>,
    pub throttled: f64,
    /// Shares 0 to 1 (CPU may exceed it when more is asked for than there is).
    pub cpu: f64,
    pub memory: f64,
    pub hit: f64,
    pub filled: f64,
    pub concurrency: f64,
    pub pool_used: f64,
    pub backlog: f64,
    /// Connections that the database sees.
    pub sessions: f64,
    pub database_cpu: f64,
}

/// What the world does to the service at one moment.
struct Conditions {
    mix: f64,
    refuse: f64,
    upstream_factor: f64,
    struck: Vec<(Failure, f64)>,
    leaked_pool: f64,
    leaked_mb: f64,
    filled: f64,
    full: Option<Failure>,
    database: f64,
}

/// The factor on demand that faults cause at `at`.
pub fn demand_factor(faults: &[Fault], at: i64) -> f64 {
    faults.iter().fold(1.0, |factor, fault| match fault.kind {
        FaultKind::Surge(times) => factor * (1.0 + (times - 1.0) * fault.strength(at)),
        _ => factor,
    })
}

fn conditions(faults: &[Fault], at: i64) -> Conditions {
    let mut now = Conditions {
        mix: 1.0,
        refuse: 0.0,
        upstream_factor: 1.0,
        struck: Vec::new(),
        leaked_pool: 0.0,
        leaked_mb: 0.0,
        filled: 0.0,
        full: None,
        database: 1.0,
    };
    for fault in faults {
        let strength = fault.strength(at);
        match fault.kind {
            FaultKind::Mix(times) => now.mix *= 1.0 + (times - 1.0) * strength,
            FaultKind::DependencyFails { share, .. } => now.refuse = share * strength,
            FaultKind::DependencySlow { factor, .. } => {
                now.upstream_factor *= 1.0 + (factor - 1.0) * strength;
            }
            FaultKind::Struck { failure, share } if strength > 0.0 => {
                now.struck.push((failure, share * strength));
            }
            FaultKind::PoolLeak { per_hour } if strength > 0.0 => {
                now.leaked_pool = per_hour * fault.hours(at);
            }
            FaultKind::MemoryLeak { mb_hour } if strength > 0.0 => now.leaked_mb = mb_hour * fault.hours(at),
            FaultKind::Struck { .. }
            | FaultKind::Surge(_)
            | FaultKind::PoolLeak { .. }
            | FaultKind::MemoryLeak { .. } => {}
            FaultKind::Fills { start, per_hour, failure } => {
                now.filled = (start + per_hour * (at - fault.from) as f64 / 3600.0).clamp(0.0, 100.0);
                if now.filled >= 99.0 {
                    now.full = Some(failure);
                }
            }
            FaultKind::DatabaseSlow(times) => now.database *= 1.0 + (times - 1.0) * strength,
        }
    }
    now
}

/// The part of a log-normal with this median and sigma that lies above `limit`.
fn above(limit: f64, median: f64, sigma: f64) -> f64 {
    if limit <= 0.0 {
        return 1.0;
    }
    0.5 * libm::erfc((limit / median).ln() / (sigma * std::f64::consts::SQRT_2))
}

/// Twenty equally likely values of a log-normal, as multiples of its median with sigma 1 (quantiles
/// of the standard normal).
const NORMAL_QUANTILES: [f64; 20] = [
    -1.96, -1.44, -1.15, -0.93, -0.76, -0.6, -0.45, -0.32, -0.19, -0.06, 0.06, 0.19, 0.32, 0.45, 0.6, 0.76,
    0.93, 1.15, 1.6, 2.33,
];

struct Fate {
    shares: Vec<(Failure, f64)>,
    throttled: f64,
    success_ms: f64,
    cpu: f64,
    memory: f64,
    concurrency: f64,
    pool_used: f64,
    backlog: f64,
    sessions: f64,
    database_cpu: f64,
}

fn fate(
    knobs: &Knobs,
    upstream_ms: f64,
    background: (f64, f64),
    per_minute: f64,
    hours_up: f64,
    now: &Conditions,
) -> Fate {
    let rate = per_minute / 60.0;
    let mut remaining = 1.0;
    let mut shares: Vec<(Failure, f64)> = Vec::new();
    let mut fail = |failure: Failure, share: f64| {
        let share = share.clamp(0.0, 1.0) * remaining;
        if share > 1e-6 {
            shares.push((failure, share));
            remaining -= share;
        }
    };

    // Connections: offered load in erlangs against the pool.
    let hold_ms = knobs.db_ms * now.database * now.mix.sqrt();
    let demand = rate * (1.0 - knobs.hit) * hold_ms / 1000.0 * knobs.batch.sqrt();
    let free = (knobs.pool * (1.0 - now.leaked_pool)).max(0.3);
    let busy = demand / free;
    let wait_ms =
        if busy < 0.6 { 0.0 } else { (hold_ms * busy / (1.0 - busy.min(0.96)) / free).min(knobs.acquire_ms) };
    let starved = if busy > 1.0 { 1.0 - 1.0 / busy } else { ((busy - 0.9) * 0.3).max(0.0) };

    // Processor and workers.
    let cpu = rate * knobs.cpu_ms * knobs.batch * now.mix / 1000.0 / knobs.cores;
    let squeezed = if cpu < 0.6 { 1.0 } else { 1.0 + (cpu.min(0.97) - 0.6) / (1.0 - cpu.min(0.97)) };
    let memory_mb = knobs.footprint_mb + knobs.leak_mb_hour * hours_up + now.leaked_mb;
    let memory = memory_mb / knobs.memory_mb;
    let collecting = if memory > 0.88 { 1.0 + (memory.min(1.05) - 0.88) * 14.0 } else { 1.0 };

    let upstream = upstream_ms * now.upstream_factor;
    let success_ms = (knobs.base_ms * knobs.batch * now.mix.sqrt() * squeezed) * collecting
        + upstream.min(knobs.client_timeout_ms)
        + (1.0 - knobs.hit) * hold_ms
        + wait_ms;
    let concurrency = rate * success_ms / 1000.0;

    fail(Failure::Validation, background.0);
    fail(Failure::Sporadic, background.1);
    if per_minute > knobs.admitted {
        fail(Failure::RateLimited, 1.0 - knobs.admitted / per_minute);
    }
    fail(knobs.broken_by, knobs.broken);
    for (failure, share) in &now.struck {
        fail(*failure, *share);
    }
    if let Some(failure) = now.full {
        fail(failure, 0.35);
    }
    fail(Failure::UpstreamRefused, now.refuse);
    fail(Failure::UpstreamSlow, above(knobs.client_timeout_ms, upstream, 0.7));
    fail(Failure::PoolWait, starved);
    fail(Failure::Overloaded, if cpu > 1.0 { 1.0 - 1.0 / cpu } else { 0.0 });
    fail(
        Failure::Overloaded,
        if concurrency > knobs.threads { 1.0 - knobs.threads / concurrency } else { 0.0 },
    );
    fail(Failure::OutOfMemory, ((memory - 0.97) * 5.0).clamp(0.0, 0.4));
    fail(Failure::HandlerTimeout, above(knobs.handler_timeout_ms, success_ms, knobs.tail));

    Fate {
        shares,
        throttled: if concurrency > knobs.concurrency { 1.0 - knobs.concurrency / concurrency } else { 0.0 },
        success_ms,
        cpu,
        memory: memory.min(1.0),
        concurrency: concurrency.min(knobs.concurrency),
        pool_used: demand.min(free) + knobs.pool - free,
        backlog: per_minute * (1.0 - 1.0 / cpu.max(1.0)) + (concurrency - knobs.threads).max(0.0),
        sessions: (demand * 1.3 + 2.0).min(knobs.pool) + knobs.pool * now.leaked_pool.min(1.0),
        database_cpu: (0.12 + demand * 0.012 * now.database.sqrt()).min(0.99),
    }
}

/// How long a failed request took, in milliseconds.
pub fn failed_after(failure: Failure, knobs: &Knobs, success_ms: f64) -> f64 {
    match failure {
        Failure::PoolWait => knobs.acquire_ms + success_ms * 0.2,
        Failure::UpstreamSlow => knobs.client_timeout_ms + success_ms * 0.2,
        Failure::HandlerTimeout => knobs.handler_timeout_ms,
        Failure::Unreachable | Failure::ZoneLost => knobs.client_timeout_ms.min(5_000.0),
        Failure::Overloaded => success_ms * 1.5,
        Failure::OutOfMemory => success_ms * 2.0,
        Failure::Denied | Failure::TokenExpired | Failure::CredentialRejected | Failure::RateLimited => 12.0,
        Failure::Validation => success_ms * 0.15,
        _ => success_ms * 0.5,
    }
    .min(knobs.handler_timeout_ms)
}

/// Everything that a service is and that happens to it.
pub struct Course<'a> {
    pub base: Knobs,
    pub base_version: &'a str,
    pub upstream_ms: f64,
    /// Shares of requests that always fail: by bad input, and by the service's own old faults.
    pub background: (f64, f64),
    pub transitions: &'a [Transition],
    pub faults: &'a [Fault],
}

impl Course<'_> {
    /// The minute that begins at `at` with `per_minute` requests offered.
    pub fn minute(&self, at: i64, per_minute: f64) -> Minute {
        let now = conditions(self.faults, at);
        let mut cohorts = vec![(self.base_version.to_owned(), 1.0, self.base, f64::from(0_u8))];
        for transition in self.transitions {
            let share = transition.share(at);
            if share <= 0.0 {
                continue;
            }
            let mut next = Vec::with_capacity(cohorts.len() * 2);
            for (version, part, knobs, up) in cohorts {
                let mut turned = knobs;
                (transition.turn)(&mut turned);
                let label = transition.version.clone().unwrap_or_else(|| version.clone());
                let hours =
                    if transition.version.is_some() { (at - transition.from) as f64 / 3600.0 } else { up };
                if share < 1.0 {
                    next.push((version, part * (1.0 - share), knobs, up));
                }
                next.push((label, part * share, turned, hours));
            }
            cohorts = next;
        }
        let mut minute = Minute {
            outcomes: Vec::new(),
            throttled: 0.0,
            cpu: 0.0,
            memory: 0.0,
            hit: 0.0,
            filled: now.filled,
            concurrency: 0.0,
            pool_used: 0.0,
            backlog: 0.0,
            sessions: 0.0,
            database_cpu: 0.0,
        };
        for (version, part, knobs, hours_up) in cohorts {
            let fate = fate(&knobs, self.upstream_ms, self.background, per_minute, hours_up, &now);
            let requests = per_minute * part * (1.0 - fate.throttled);
            let failed: f64 = fate.shares.iter().map(|(_, share)| share).sum();
            let mut latencies: Vec<(f64, f64)> = NORMAL_QUANTILES
                .iter()
                .map(|z| {
                    (
                        (fate.success_ms * (knobs.tail * z).exp()).min(knobs.handler_timeout_ms),
                        requests * (1.0 - failed) / 20.0,
                    )
                })
                .collect();
            for (failure, share) in &fate.shares {
                latencies.push((failed_after(*failure, &knobs, fate.success_ms), requests * share));
            }
            minute.throttled += per_minute * part * fate.throttled;
            minute.cpu += part * fate.cpu.min(1.0);
            minute.memory += part * fate.memory;
            minute.hit += part * knobs.hit;
            minute.concurrency += part * fate.concurrency;
            minute.pool_used += part * fate.pool_used;
            minute.backlog += part * fate.backlog;
            minute.sessions += part * fate.sessions;
            minute.database_cpu += part * fate.database_cpu;
            minute.outcomes.push(Outcome {
                version,
                requests,
                failures: fate.shares.iter().map(|(failure, share)| (*failure, requests * share)).collect(),
                latencies,
                success_ms: fate.success_ms,
                knobs,
            });
        }
        minute
    }
}

/// The value below which `share` of the weight lies.
pub fn quantile(latencies: &mut [(f64, f64)], share: f64) -> f64 {
    latencies.sort_by(|a, b| a.0.total_cmp(&b.0));
    let total: f64 = latencies.iter().map(|(_, weight)| weight).sum();
    let mut seen = 0.0;
    for (value, weight) in latencies.iter() {
        seen += weight;
        if seen >= total * share {
            return *value;
        }
    }
    latencies.last().map_or(0.0, |(value, _)| *value)
}
