//! One version of the service with its configuration: the pool, the callers, and what piled up in
//! memory since it started.
//!
//! A new configuration is a new release beside the old one. Orders that the old one has taken end
//! there; every order after it goes to the new one, whose pool and memory are fresh.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

use super::events::DeploymentHint;
use super::pool::Pool;
use super::settings::Settings;

/// What is put in place of the running release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollout {
    /// The function's version, such as `39`.
    pub version: String,
    pub settings: Settings,
    pub hint: DeploymentHint,
}

pub(super) struct Release {
    pub version: Arc<str>,
    pub settings: Settings,
    pub hint: DeploymentHint,
    pub pool: Pool,
    pub callers: Arc<Semaphore>,
    /// Orders that wait for a caller.
    pub queued: AtomicUsize,
    /// Orders that have one.
    pub in_progress: AtomicUsize,
    invocations: AtomicU64,
    /// What leaks: nothing ever takes it out again, and it ends at [`LEAK_LIMIT`].
    leaked: Mutex<Vec<Box<[u8]>>>,
    leaked_bytes: AtomicUsize,
}

/// The leak stops here, so that the demo cannot take the machine down with it: 64 MiB.
pub const LEAK_LIMIT: usize = 64 * 1024 * 1024;
/// What an order pays for reading through what leaked: 40 ms a MiB, as deserialising it would cost.
const LEAK_TIME_PER_MIB: f64 = 0.040;
/// Resident memory of the service before anything leaks.
const MEMORY_BASE_MIB: u64 = 82;

impl Release {
    pub fn new(rollout: Rollout, pool: Pool) -> Self {
        Self {
            version: rollout.version.into(),
            callers: Arc::new(Semaphore::new(rollout.settings.max_concurrent as usize)),
            settings: rollout.settings,
            hint: rollout.hint,
            pool,
            queued: AtomicUsize::new(0),
            in_progress: AtomicUsize::new(0),
            invocations: AtomicU64::new(0),
            leaked: Mutex::new(Vec::new()),
            leaked_bytes: AtomicUsize::new(0),
        }
    }

    /// Counts this order; the first one is 1.
    pub fn count(&self) -> u64 {
        self.invocations.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Leaves this order's share behind, and says how long reading through all of it takes.
    pub fn leak(&self) -> Duration {
        let bytes = self.settings.leak_bytes;
        if bytes > 0 {
            let mut leaked = self.leaked.lock().unwrap_or_else(PoisonError::into_inner);
            if self.leaked_bytes.load(Ordering::Relaxed) + bytes <= LEAK_LIMIT {
                // Not zero: pages of zeros would cost no memory.
                leaked.push(vec![0xA5; bytes].into_boxed_slice());
                self.leaked_bytes.fetch_add(bytes, Ordering::Relaxed);
            }
        }
        let mebibytes = self.leaked_bytes.load(Ordering::Relaxed) as f64 / (1024.0 * 1024.0);
        Duration::from_secs_f64(mebibytes * LEAK_TIME_PER_MIB)
    }

    pub fn memory_mib(&self) -> u64 {
        MEMORY_BASE_MIB + (self.leaked_bytes.load(Ordering::Relaxed) / (1024 * 1024)) as u64
    }

    /// The scenario's `pool_available`: what would be left if each order in progress took one
    /// connection. Below zero there are more orders than connections.
    pub fn pool_available(&self) -> i64 {
        i64::from(self.pool.size()) - self.in_progress.load(Ordering::Relaxed) as i64
    }
}

/// Counts one up while it lives.
pub(super) struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    pub fn new(counter: &'a AtomicUsize) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Self(counter)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
