//! What one investigation uses of AWS, counted where the calls are made.
//!
//! Rule: the ledger belongs to the task that investigates, so that a call deep inside needs no word of
//! it; what is called outside of an investigation is counted nowhere.

use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::cost::Usage;

tokio::task_local! {
    static LEDGER: Arc<Mutex<Usage>>;
}

/// Runs a future and says what it used.
pub async fn counted<F: Future>(future: F) -> (F::Output, Usage) {
    let ledger = Arc::new(Mutex::new(Usage::default()));
    let output = LEDGER.scope(ledger.clone(), future).await;
    let usage = ledger.lock().unwrap_or_else(PoisonError::into_inner).clone();
    (output, usage)
}

/// Writes into the ledger of whoever investigates here.
pub(super) fn note(write: impl FnOnce(&mut Usage)) {
    // Without an investigation there is nobody to charge.
    let _ = LEDGER.try_with(|ledger| write(&mut ledger.lock().unwrap_or_else(PoisonError::into_inner)));
}

/// Writes down a call that is made outside of the task that investigates.
pub(super) fn note_call(action: &str) {
    note(|usage| *usage.calls.entry(action.to_owned()).or_default() += 1);
}
