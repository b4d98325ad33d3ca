//! The story at real speed: orders, neighbours, the steps that are left, and a service that follows
//! its function's configuration, so that whoever moves the alias breaks or heals it.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::stage::{Stage, StageError};

/// Starts everything that goes on; it ends when `stop` is cancelled.
pub fn start(stage: &Arc<Stage>, stop: &CancellationToken, tasks: &TaskTracker) {
    let orders = tasks.clone();
    spawn(tasks, stop, {
        let stage = Arc::clone(stage);
        let stop = stop.clone();
        async move {
            stage
                .take_orders(move |order| {
                    let stop = stop.clone();
                    orders.spawn(async move {
                        let _ = stop.run_until_cancelled(order.run()).await;
                    });
                })
                .await;
        }
    });
    spawn(tasks, stop, Arc::clone(stage).let_neighbours_work());
    spawn(tasks, stop, {
        let stage = Arc::clone(stage);
        async move { report(stage.perform_steps().await) }
    });
    spawn(tasks, stop, follow_configuration(Arc::clone(stage)));
}

async fn follow_configuration(stage: Arc<Stage>) {
    let mut changes = stage.world.watch_configuration();
    loop {
        changes.borrow_and_update();
        report(stage.follow_configuration().await);
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// A configuration that cannot be used leaves the service as it is, as Lambda's failed update would.
fn report(outcome: Result<(), StageError>) {
    if let Err(error) = outcome {
        tracing::warn!(%error, "the story met an obstacle");
    }
}

fn spawn(tasks: &TaskTracker, stop: &CancellationToken, work: impl Future<Output = ()> + Send + 'static) {
    let stop = stop.clone();
    tasks.spawn(async move {
        let _ = stop.run_until_cancelled(work).await;
    });
}
