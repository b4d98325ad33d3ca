//! The work that was promised: claim a job, do one step of an incident's story, note that it is done.
//!
//! `steps.rs` is the story from top to bottom. The rule that is not obvious: every step may run
//! twice, so each looks at what is stored before it acts, and whatever it must not do twice is
//! marked before it leaves the process.

mod decide;
mod delivery;
mod fail_points;
mod feedback;
mod headline;
mod investigate;
mod look_again;
mod mute;
mod offer;
mod question;
mod report;
mod roll_back;
mod settle;
pub mod steps;
mod take_back;
mod verify;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::SignedDuration;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::delivery::{deliver_once, run as deliver};
pub use self::fail_points::{FailPoints, Point};
pub use self::investigate::service_settings;
use crate::aws::Clients;
use crate::clock::Clock;
use crate::config::Settings;
use crate::slack::{Slack, SlackError};
use crate::store::{Job, JobKind, Store};
use crate::telemetry::Metrics;

/// How many incidents are worked on at the same time. An investigation waits mostly for AWS.
const WORKERS: usize = 4;
/// When an end that cannot be stored is tried again.
const END_AGAIN: SignedDuration = SignedDuration::from_mins(5);
/// A look at the queue at least so often, should a wake-up be missed.
const POLL: Duration = Duration::from_millis(500);

/// What the steps need.
#[derive(Clone)]
pub struct Bench {
    pub store: Store,
    pub slack: Slack,
    pub aws: Arc<Clients>,
    pub settings: Arc<Settings>,
    pub clock: Clock,
    pub wake: Arc<Notify>,
    /// Wakes whoever delivers: a message is owed.
    pub mail: Arc<Notify>,
    /// Counts finished steps, for whoever waits for a verdict.
    pub steps_done: watch::Sender<u64>,
    pub metrics: Arc<Metrics>,
    /// Nothing is armed but in tests of what a crash leaves.
    pub fail_points: FailPoints,
}

/// How a step ends, short of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    Finished,
    /// To be looked at again after this time: by plan, not because it failed.
    Again(SignedDuration),
}

/// Runs workers until the token is cancelled; a step that has begun is finished.
pub async fn run(bench: Bench, stop: CancellationToken, alive: Arc<AtomicBool>) {
    alive.store(true, Ordering::SeqCst);
    let tracker = TaskTracker::new();
    tracker.spawn(delivery::run(bench.clone(), stop.clone()));
    for _ in 0..WORKERS {
        let (bench, stop) = (bench.clone(), stop.clone());
        tracker.spawn(async move {
            while !stop.is_cancelled() {
                // Registered before the look, so that a job queued during the look wakes us.
                let woken = bench.wake.notified();
                match step_once(&bench).await {
                    Ok(true) => {
                        // Others may find work too.
                        bench.wake.notify_one();
                        continue;
                    }
                    Ok(false) => {}
                    Err(error) => tracing::error!(%error, "the queue cannot be read"),
                }
                tokio::select! {
                    () = woken => {}
                    () = bench.clock.sleep(POLL) => {}
                    () = stop.cancelled() => {}
                }
            }
        });
    }
    tracker.close();
    tracker.wait().await;
    alive.store(false, Ordering::SeqCst);
}

/// Does the next job that is due; false where none is. Tests step the queue by hand with this.
///
/// # Errors
/// Where the queue itself cannot be read or written; a step's own failure is noted with its job.
pub async fn step_once(bench: &Bench) -> Result<bool, crate::store::StoreError> {
    let Some(job) = bench.store.claim(bench.clock.now()).await? else { return Ok(false) };
    let started = tokio::time::Instant::now();
    match steps::run(bench, &job).await {
        Ok(Done::Finished) => bench.store.finish(job.id).await?,
        Ok(Done::Again(after)) => {
            let run_at = bench.clock.now().saturating_add(after).unwrap_or_else(|_| bench.clock.now());
            bench.store.again(job.id, run_at).await?;
        }
        Err(error) => note_failure(bench, &job, &error).await?,
    }
    bench.metrics.observe("step", started.elapsed().as_secs_f64());
    bench.steps_done.send_modify(|count| *count += 1);
    Ok(true)
}

async fn note_failure(
    bench: &Bench,
    job: &Job,
    error: &anyhow::Error,
) -> Result<(), crate::store::StoreError> {
    let now = bench.clock.now();
    if let Some(SlackError::TooFast { wait, .. }) = error.downcast_ref::<SlackError>() {
        // Slack named the time; that is no failure of ours.
        let wait = SignedDuration::try_from(*wait).unwrap_or(SignedDuration::from_secs(30));
        return bench.store.again(job.id, now.saturating_add(wait).unwrap_or(now)).await;
    }
    if let JobKind::RollBack { approval } = &job.kind
        && job.is_last_attempt()
    {
        match roll_back::give_up(bench, approval, error).await {
            Ok(()) => return bench.store.finish(job.id).await,
            // Not even that can be stored: it is never put aside, and tried again much later.
            Err(trouble) => {
                tracing::error!(job = job.id, %trouble, "a change that failed cannot be ended");
                return bench.store.again(job.id, now.saturating_add(END_AGAIN).unwrap_or(now)).await;
            }
        }
    }
    let dead = bench.store.fail(job, &format!("{error:#}"), now).await?;
    let incident = job.incident.map(|id| id.to_string()).unwrap_or_default();
    bench.metrics.count("steps_failed");
    if dead {
        tracing::error!(incident, job = job.id, error = %format!("{error:#}"), "a job is put aside");
    } else {
        tracing::warn!(incident, job = job.id, error = %format!("{error:#}"), "a step failed and is tried again");
    }
    Ok(())
}
