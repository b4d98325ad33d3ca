//! Alerts that come at the same time are stored by one commit: a sync of the disk costs as much for fifty as for one.
//!
//! The rule that is not obvious: nobody waits for company. Whoever finds nobody at it stores all that wait, which is
//! most often their own alone; who comes meanwhile is stored by the next. Each hears only after the commit. Storing is
//! a task of its own: a caller that goes away while it commits takes nobody's alert along, and leaves nobody in doubt
//! whether to store his own again.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use tokio::sync::oneshot;

use super::accept::{accept_in, note_delivery};
use super::{Accepted, NewAlert, Result, Store, StoreError};

/// So many are stored by one commit at most, so that the first of them does not wait long.
const TOGETHER_MAX: usize = 64;

/// Alerts that wait to be stored.
#[derive(Debug, Clone, Default)]
pub(super) struct Queue {
    pub(super) waiting: Arc<Mutex<Vec<Waiting>>>,
    /// Held by whoever stores.
    pub(super) turn: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Debug)]
pub(super) struct Waiting {
    new: NewAlert,
    now: Timestamp,
    tell: oneshot::Sender<Result<Accepted>>,
}

impl Queue {
    fn take(&self) -> Vec<Waiting> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let count = waiting.len().min(TOGETHER_MAX);
        // Whoever went away is not stored: nobody would hear of it.
        waiting.drain(..count).filter(|one| !one.tell.is_closed()).collect()
    }
}

impl Store {
    /// Stores an alert. When this returns it is on disk and its work is queued.
    pub async fn accept(&self, new: NewAlert, now: Timestamp) -> Result<Accepted> {
        let (tell, told) = oneshot::channel();
        self.queue.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(Waiting { new, now, tell });
        let store = self.clone();
        tokio::spawn(async move { store.store_those_that_wait().await });
        told.await.unwrap_or_else(|_| Err(StoreError::Content("an alert was lost on its way in".into())))
    }

    async fn store_those_that_wait(&self) {
        let _turn = self.queue.turn.lock().await;
        let batch = self.queue.take();
        if batch.is_empty() {
            // They were stored together with others.
            return;
        }
        match self.accept_together(&batch).await {
            Ok(accepted) => {
                for (one, accepted) in batch.into_iter().zip(accepted) {
                    // Whoever went away does not want to know.
                    drop(one.tell.send(Ok(accepted)));
                }
            }
            // None of them is the reason, and each for itself would wait as long again.
            Err(error @ (StoreError::Locked | StoreError::Crowded)) => {
                let is_locked = matches!(error, StoreError::Locked);
                for one in batch {
                    let error = if is_locked { StoreError::Locked } else { StoreError::Crowded };
                    drop(one.tell.send(Err(error)));
                }
            }
            // One of them may be the reason: each for itself.
            Err(_) if batch.len() > 1 => {
                for one in batch {
                    let alone = self.accept_together(std::slice::from_ref(&one)).await;
                    drop(one.tell.send(alone.and_then(|accepted| {
                        accepted
                            .first()
                            .copied()
                            .ok_or_else(|| StoreError::Content("nothing was stored".into()))
                    })));
                }
            }
            Err(error) => {
                if let Some(one) = batch.into_iter().next() {
                    drop(one.tell.send(Err(error)));
                }
            }
        }
    }

    async fn accept_together(&self, batch: &[Waiting]) -> Result<Vec<Accepted>> {
        let mut transaction = self.begin().await?;
        let mut all = Vec::with_capacity(batch.len());
        for one in batch {
            let is_known = match &one.new.origin.delivery {
                Some(delivery) => !note_delivery(&mut transaction, delivery, one.now).await?,
                None => false,
            };
            all.push(if is_known {
                Accepted::Duplicate
            } else {
                accept_in(&mut transaction, &one.new, one.now).await?
            });
        }
        transaction.commit().await?;
        Ok(all)
    }
}
