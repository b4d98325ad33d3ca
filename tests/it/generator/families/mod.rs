//! The families of incidents, how often each occurs, and what is true of each.
//!
//! The rule that is not obvious: a family says what happened and what an honest expert could know
//! from the evidence; where the evidence cannot decide, `unknown` is right and confidence is capped.

mod bystanders;
pub mod disguises;
mod fleet_changes;
mod releases;
mod steps;
mod world;

use super::stage::Stage;

/// What is true of an incident (`truth.json`).
#[derive(Clone, Debug)]
pub struct Truth {
    /// Any of these is right; best first.
    pub cause: Vec<&'static str>,
    pub event_ids: Vec<String>,
    pub config_keys: Vec<String>,
    pub rollback: &'static str,
    pub max_confidence: f64,
}

impl Truth {
    /// Nobody's change: nothing is to be named, nothing to be undone.
    pub fn nobody(cause: &[&'static str], max_confidence: f64) -> Self {
        Self {
            cause: cause.to_vec(),
            event_ids: Vec::new(),
            config_keys: Vec::new(),
            rollback: "no",
            max_confidence,
        }
    }

    pub fn change(
        event_ids: Vec<String>,
        config_keys: &[&str],
        rollback: &'static str,
        max_confidence: f64,
    ) -> Self {
        let config_keys = config_keys.iter().map(|key| (*key).to_owned()).collect();
        Self { cause: vec!["deployment"], event_ids, config_keys, rollback, max_confidence }
    }
}

pub struct Family {
    pub name: &'static str,
    /// How many of a hundred incidents.
    pub weight: usize,
    pub act: fn(&mut Stage) -> Truth,
    /// Which misleading circumstances may be added without making the truth unfair.
    pub disguise: Disguise,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Disguise {
    /// Anything: releases before and after, claims, injected orders.
    Any,
    /// Nothing that could really have caused it.
    Harmless,
    /// A harmless release of the service some minutes before the guilty change, which the words or the values clear.
    Beside,
    /// Only what is said about it, no further change of the service.
    Words,
}

const fn family(
    name: &'static str,
    weight: usize,
    act: fn(&mut Stage) -> Truth,
    disguise: Disguise,
) -> Family {
    Family { name, weight, act, disguise }
}

/// One hundred incidents: 38 caused by a change, 62 not.
pub const FAMILIES: &[Family] = &[
    family("pool-shrunk", 2, releases::pool_shrunk, Disguise::Beside),
    family("pool-shrunk-until-peak", 2, releases::pool_shrunk_until_peak, Disguise::Words),
    family("handler-timeout-cut", 2, releases::handler_timeout_cut, Disguise::Words),
    family("client-timeout-cut", 2, releases::client_timeout_cut, Disguise::Beside),
    family("memory-cut", 1, releases::memory_cut, Disguise::Words),
    family("cache-disabled", 2, releases::cache_disabled, Disguise::Beside),
    family("misdirected", 2, releases::misdirected, Disguise::Beside),
    family("limiter-lowered", 1, releases::limiter_lowered, Disguise::Beside),
    family("batch-raised", 1, releases::batch_raised, Disguise::Words),
    family("defect-shipped", 3, releases::defect_shipped, Disguise::Words),
    family("defect-without-words", 1, releases::defect_without_words, Disguise::Words),
    family("canary-defect", 2, releases::canary_defect, Disguise::Words),
    family("canary-in-steps", 1, steps::canary_in_steps, Disguise::Words),
    family("value-in-the-logs", 1, releases::value_in_the_logs, Disguise::Words),
    family("leak-shipped", 1, releases::leak_shipped, Disguise::Words),
    family("trail-late", 1, releases::trail_late, Disguise::Words),
    family("two-releases", 1, releases::two_releases, Disguise::Words),
    family("indistinct-pair", 1, releases::indistinct_pair, Disguise::Words),
    family("undone-already", 2, releases::undone_already, Disguise::Words),
    family("flag-turned", 2, fleet_changes::flag_turned, Disguise::Beside),
    family("parameter-put", 1, fleet_changes::parameter_put, Disguise::Beside),
    family("secret-replaced", 1, fleet_changes::secret_replaced, Disguise::Beside),
    family("permission-removed", 1, fleet_changes::permission_removed, Disguise::Beside),
    family("network-closed", 1, fleet_changes::network_closed, Disguise::Beside),
    family("database-limited", 1, fleet_changes::database_limited, Disguise::Beside),
    family("concurrency-reserved", 1, fleet_changes::concurrency_reserved, Disguise::Words),
    family("dependency-released", 1, fleet_changes::dependency_released, Disguise::Words),
    family("dependency-outage", 5, world::dependency_outage, Disguise::Any),
    family("undone-before", 1, bystanders::undone_before, Disguise::Words),
    family("outage-during-canary", 1, steps::outage_during_canary, Disguise::Words),
    family("dependency-slow", 3, world::dependency_slow, Disguise::Any),
    family("slow-despite-patience", 1, bystanders::slow_despite_patience, Disguise::Words),
    family("third-party-outage", 3, world::third_party_outage, Disguise::Any),
    family("surge", 5, world::surge, Disguise::Any),
    family("surge-on-a-larger-pool", 1, bystanders::surge_on_a_larger_pool, Disguise::Words),
    family("mix-shift", 3, world::mix_shift, Disguise::Words),
    family("memory-leak", 3, world::memory_leak, Disguise::Words),
    family("pool-leak", 3, world::pool_leak, Disguise::Words),
    family("disk-full", 3, world::disk_full, Disguise::Any),
    family("quota-used-up", 2, world::quota_used_up, Disguise::Any),
    family("certificate-expired", 3, world::certificate_expired, Disguise::Any),
    family("token-expired", 2, world::token_expired, Disguise::Any),
    family("licence-expired", 1, world::licence_expired, Disguise::Any),
    family("zone-lost", 3, world::zone_lost, Disguise::Any),
    family("failover", 2, world::failover, Disguise::Any),
    family("provider-errors", 3, world::provider_errors, Disguise::Any),
    family("nightly-job", 2, world::nightly_job, Disguise::Any),
    family("weekly-job", 2, world::weekly_job, Disguise::Any),
    family("telemetry-only", 3, world::telemetry_only, Disguise::Words),
    family("low-traffic", 2, world::low_traffic, Disguise::Harmless),
    family("over-already", 2, world::over_already, Disguise::Harmless),
    family("unexplained", 2, world::unexplained, Disguise::Harmless),
    family("waits-despite-a-larger-pool", 1, bystanders::waits_despite_a_larger_pool, Disguise::Words),
];
