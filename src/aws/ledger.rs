//! What is used of AWS, counted where the calls are made: by each investigation, and by the whole process.
//!
//! Rule: an investigation's ledger belongs to its task, so that a call deep inside needs no word of it. The
//! process's figures are one for all, as Prometheus asks for them.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::errors::ReadError;
use crate::domain::cost::Usage;

tokio::task_local! {
    static LEDGER: Arc<Mutex<Usage>>;
}

/// What the process called since it started, by service.
static CALLED: LazyLock<Mutex<BTreeMap<String, Called>>> = LazyLock::new(Mutex::default);

/// Calls of one service, a call that the SDK repeated counted once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Called {
    pub calls: u64,
    /// Throttled ones among them.
    pub failures: u64,
    pub throttles: u64,
    /// Calls that waited for their turn below AWS's limits, and how long together.
    pub waits: u64,
    pub waited: Duration,
}

/// What the process called since it started, by the service's IAM prefix: `lambda`.
pub fn called() -> BTreeMap<String, Called> {
    lock(&CALLED).clone()
}

/// Runs a future and says what it used.
pub async fn counted<F: Future>(future: F) -> (F::Output, Usage) {
    let ledger = Arc::new(Mutex::new(Usage::default()));
    let output = LEDGER.scope(ledger.clone(), future).await;
    let usage = lock(&ledger).clone();
    (output, usage)
}

/// Writes into the ledger of whoever investigates here.
pub(super) fn note(write: impl FnOnce(&mut Usage)) {
    // Without an investigation there is nobody to charge.
    let _ = LEDGER.try_with(|ledger| write(&mut lock(ledger)));
}

/// Writes down a call that is made.
pub(super) fn note_call(action: &str) {
    note(|usage| *usage.calls.entry(action.to_owned()).or_default() += 1);
    of_service(action, |called| called.calls += 1);
}

/// Writes down that a call waited for its turn.
pub(super) fn note_wait(action: &str, waited: Duration) {
    of_service(action, |called| {
        called.waits += 1;
        called.waited += waited;
    });
}

/// Writes down why a call failed.
pub(super) fn note_failure(action: &str, error: &ReadError) {
    of_service(action, |called| {
        called.failures += 1;
        called.throttles += u64::from(matches!(error, ReadError::Throttled { .. }));
    });
}

fn of_service(action: &str, write: impl FnOnce(&mut Called)) {
    // `logs:StartQuery`; what has no policy is called by words, the service's name last.
    let service =
        action.split_once(':').map_or_else(|| action.rsplit(' ').next(), |(service, _)| Some(service));
    let service = service.unwrap_or_default().to_ascii_lowercase();
    write(lock(&CALLED).entry(service).or_default());
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throttled_calls_are_told_apart_by_service() {
        // A service of the test's own: other tests count in the same process.
        let action = "testonly:Read";
        note_call(action);
        note_call(action);
        note_failure(action, &ReadError::Throttled { action: action.to_owned() });
        note_failure(action, &ReadError::timed_out(action));
        note_wait(action, Duration::from_millis(500));
        let waited = Duration::from_millis(500);
        assert_eq!(called()["testonly"], Called { calls: 2, failures: 2, throttles: 1, waits: 1, waited });
    }
}
