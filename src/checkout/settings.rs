//! What the function's configuration says: the fault scenario, the pool, the callers.
//!
//! The rule that is not obvious: a scenario only chooses defaults. Every key can be set by itself,
//! in lower or upper case (`db_pool_size`, `DB_POOL_SIZE`), and then wins; so a deployment that
//! changes one key changes what the service does, and a rollback of it heals.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

/// What goes wrong; `FAULT_SCENARIO`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FaultScenario {
    /// About 5 % of the orders time out on a locked row; queries take about 150 ms.
    #[default]
    Normal,
    /// A pool of 3 for 5 callers.
    DbPoolExhaustion,
    /// A pool of 5 for 8 callers, as the deployment of 12:00 left it.
    DeploymentConfigBug,
    /// Every order leaves something in memory that every later order has to read through.
    MemoryLeak,
    /// A pool of 2 for 10 callers, while the payment service answers slowly.
    CascadingFailure,
}

impl FaultScenario {
    pub const ALL: [Self; 5] = [
        Self::Normal,
        Self::DbPoolExhaustion,
        Self::DeploymentConfigBug,
        Self::MemoryLeak,
        Self::CascadingFailure,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::DbPoolExhaustion => "db_pool_exhaustion",
            Self::DeploymentConfigBug => "deployment_config_bug",
            Self::MemoryLeak => "memory_leak",
            Self::CascadingFailure => "cascading_failure",
        }
    }
}

impl FromStr for FaultScenario {
    type Err = SettingsError;

    /// Kebab and snake case are the same.
    fn from_str(text: &str) -> Result<Self, SettingsError> {
        let name = text.trim().to_ascii_lowercase().replace('-', "_");
        Self::ALL
            .into_iter()
            .find(|scenario| scenario.as_str() == name)
            .ok_or_else(|| SettingsError::Scenario(text.to_owned()))
    }
}

/// Why a configuration is refused; the service then keeps what it has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    #[error(
        "FAULT_SCENARIO is {0:?}: normal, db_pool_exhaustion, deployment_config_bug, memory_leak and cascading_failure exist"
    )]
    Scenario(String),
    #[error("{key} is {value:?}: a whole number from {least} to {most} is needed")]
    Number { key: &'static str, value: String, least: u64, most: u64 },
    #[error("{key} is {value:?}: on or off is needed")]
    Switch { key: &'static str, value: String },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub scenario: FaultScenario,
    /// Connections in the pool, 1 to 64.
    pub db_pool_size: u32,
    /// Orders that are handled at the same time, 1 to 256; the others queue.
    pub max_concurrent: u32,
    /// How long one order may wait for connections, all its waiting together.
    pub acquire_timeout: Duration,
    /// What each order leaves behind in memory, in bytes; 0 without a leak.
    pub leak_bytes: usize,
    /// Whether the relay empties the outbox table. While it does not, the table grows and every
    /// query takes longer.
    pub outbox_relay: bool,
    /// How long the payment service takes to answer. An order waits for it while it holds its
    /// connection.
    pub payment_time: Duration,
}

/// An answer of the payment service on an ordinary day.
pub const PAYMENT_TIME: Duration = Duration::from_millis(15);
const SLOW_PAYMENT_TIME: Duration = Duration::from_millis(400);
/// Ten orders leave 10 MiB: enough to see latency grow within the scenario's own local test.
const LEAK_BYTES: usize = 1024 * 1024;

impl Settings {
    pub fn of(scenario: FaultScenario) -> Self {
        let (db_pool_size, max_concurrent) = match scenario {
            FaultScenario::Normal | FaultScenario::MemoryLeak => (10, 5),
            FaultScenario::DbPoolExhaustion => (3, 5),
            FaultScenario::DeploymentConfigBug => (5, 8),
            FaultScenario::CascadingFailure => (2, 10),
        };
        Self {
            scenario,
            db_pool_size,
            max_concurrent,
            acquire_timeout: Duration::from_secs(2),
            leak_bytes: if scenario == FaultScenario::MemoryLeak { LEAK_BYTES } else { 0 },
            outbox_relay: true,
            payment_time: if scenario == FaultScenario::CascadingFailure {
                SLOW_PAYMENT_TIME
            } else {
                PAYMENT_TIME
            },
        }
    }

    /// Reads a function's environment (or the process's); other keys are nobody's business here.
    ///
    /// # Errors
    /// Names the first key whose value cannot be used.
    pub fn from_environment(variables: &BTreeMap<String, String>) -> Result<Self, SettingsError> {
        let scenario = match find(variables, "fault_scenario") {
            Some(text) => text.parse()?,
            None => FaultScenario::Normal,
        };
        let defaults = Self::of(scenario);
        let milliseconds = |key, default: Duration, least| {
            number(variables, key, default.as_millis() as u64, least, 60_000).map(Duration::from_millis)
        };
        let leak_default = (defaults.leak_bytes / 1024) as u64;
        Ok(Self {
            scenario,
            db_pool_size: number(variables, "db_pool_size", defaults.db_pool_size.into(), 1, 64)? as u32,
            max_concurrent: number(variables, "max_concurrent", defaults.max_concurrent.into(), 1, 256)?
                as u32,
            acquire_timeout: milliseconds("db_acquire_timeout_ms", defaults.acquire_timeout, 1)?,
            leak_bytes: number(variables, "leak_kib_per_order", leak_default, 0, 4096)? as usize * 1024,
            outbox_relay: switch(variables, "outbox_relay", defaults.outbox_relay)?,
            payment_time: milliseconds("payment_time_ms", defaults.payment_time, 0)?,
        })
    }
}

fn find<'a>(variables: &'a BTreeMap<String, String>, key: &str) -> Option<&'a str> {
    variables
        .get(key)
        .or_else(|| variables.get(&key.to_ascii_uppercase()))
        .map(|value| value.trim())
        .filter(|value| !value.is_empty())
}

fn number(
    variables: &BTreeMap<String, String>,
    key: &'static str,
    default: u64,
    least: u64,
    most: u64,
) -> Result<u64, SettingsError> {
    let Some(text) = find(variables, key) else { return Ok(default) };
    text.parse().ok().filter(|number| (least..=most).contains(number)).ok_or_else(|| SettingsError::Number {
        key,
        value: text.to_owned(),
        least,
        most,
    })
}

fn switch(
    variables: &BTreeMap<String, String>,
    key: &'static str,
    default: bool,
) -> Result<bool, SettingsError> {
    match find(variables, key).map(str::to_ascii_lowercase).as_deref() {
        None => Ok(default),
        Some("on" | "true" | "1" | "yes") => Ok(true),
        Some("off" | "false" | "0" | "no") => Ok(false),
        Some(value) => Err(SettingsError::Switch { key, value: value.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn each_scenario_has_its_pool_and_callers() {
        let sizes = FaultScenario::ALL.map(|scenario| {
            let read =
                Settings::from_environment(&environment(&[("FAULT_SCENARIO", scenario.as_str())])).unwrap();
            (read.db_pool_size, read.max_concurrent)
        });
        assert_eq!(sizes, [(10, 5), (3, 5), (5, 8), (10, 5), (2, 10)]);
    }

    #[test]
    fn a_key_of_its_own_wins_over_the_scenario_in_either_case() {
        let variables = environment(&[
            ("FAULT_SCENARIO", "deployment-config-bug"),
            ("db_pool_size", "10"),
            ("MAX_CONCURRENT", "5"),
        ]);
        let read = Settings::from_environment(&variables).unwrap();
        assert_eq!((read.db_pool_size, read.max_concurrent), (10, 5));
    }

    #[test]
    fn a_value_that_cannot_be_used_is_named() {
        let error =
            |pairs: &[(&str, &str)]| Settings::from_environment(&environment(pairs)).unwrap_err().to_string();
        assert!(error(&[("db_pool_size", "0")]).starts_with("db_pool_size is \"0\""));
        assert!(error(&[("MAX_CONCURRENT", "many")]).starts_with("max_concurrent is \"many\""));
        assert!(error(&[("fault_scenario", "storm")]).starts_with("FAULT_SCENARIO is \"storm\""));
        assert!(error(&[("outbox_relay", "maybe")]).contains("on or off"));
    }
}
