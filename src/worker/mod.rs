//! The work that was promised: claim a job, do one step of an incident's story, note that it is done.
//!
//! `steps.rs` is the story from top to bottom. The rule that is not obvious: every step may run
//! twice, so each looks at what is stored before it acts, and whatever it must not do twice is
//! marked before it leaves the process.

mod decide;
mod delivery;
mod failure;
mod feedback;
mod headline;
mod housekeeping;
mod investigate;
mod known;
mod look_again;
mod mute;
mod offer;
mod question;
mod record;
mod report;
mod roll_back;
mod settle;
pub mod steps;
mod storm;
mod take_back;
#[cfg(test)]
mod tests;
mod trial;
mod verify;

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::FutureExt as _;
use jiff::SignedDuration;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

pub use self::delivery::{deliver_once, run as deliver};
pub use self::housekeeping::{ClockWatch, notice_the_clock};
pub use self::known::{place_of, places, service_settings};
pub use self::record::look;
use crate::aws::{Accounts, Clients};
use crate::clock::Clock;
use crate::config::Settings;
use crate::fail_points::{FailPoints, Point};
use crate::slack::Slack;
use crate::store::{INVESTIGATIONS_AT_ONCE, Store, StoreError};
use crate::telemetry::Metrics;

/// How many incidents are worked on at the same time. Two more than may investigate, for what people wait for.
const WORKERS: usize = INVESTIGATIONS_AT_ONCE as usize + 2;
/// A look at the queue at least so often, should a wake-up be missed.
const POLL: Duration = Duration::from_millis(500);
/// Where the database cannot be read or written, so long until the next look: a full disk is not filled with complaints.
const DATABASE_AGAIN: Duration = Duration::from_secs(5);

/// What the steps need.
#[derive(Clone)]
pub struct Bench {
    pub store: Store,
    pub slack: Slack,
    pub aws: Arc<Accounts>,
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
    /// Cancelled where the process is to end.
    pub stop: CancellationToken,
}

impl Bench {
    /// What AWS is read with where a service lives.
    pub fn aws_of(&self, service: &str) -> &Clients {
        self.aws.at(&place_of(&self.settings.config, service))
    }

    /// Whether AWS answered what an approved change asked of it.
    fn note_aws(&self, answered: bool) {
        self.metrics.dependency_at("aws", answered, self.clock.now());
    }
}

/// How a step ends, short of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    Finished,
    /// To be looked at again after this time: by plan, not because it failed.
    Again(SignedDuration),
}

/// Runs workers until they are to stop; a step that has begun is finished, unless it only reads.
///
/// Whoever drops this ends them where they are: what they were at is leased, and done at the next start.
pub async fn run(bench: Bench, alive: Arc<AtomicBool>) {
    alive.store(true, Ordering::SeqCst);
    let mut tasks = JoinSet::new();
    tasks.spawn(delivery::run(bench.clone()));
    tasks.spawn(housekeeping::run(bench.clone()));
    tasks.spawn(record::run(bench.clone()));
    // A clock that is moved by hand goes ahead of the machine's, and never back.
    if !matches!(bench.clock, Clock::Manual(_)) {
        tasks.spawn(housekeeping::watch_the_clock(bench.clone()));
    }
    for _ in 0..WORKERS {
        tasks.spawn(work(bench.clone()));
    }
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended {
            // One of them is gone: whoever watches `/readyz` starts the process anew.
            tracing::error!(%error, "a worker ended");
            alive.store(false, Ordering::SeqCst);
        }
    }
    alive.store(false, Ordering::SeqCst);
}

async fn work(bench: Bench) {
    while !bench.stop.is_cancelled() {
        // Registered before the look, so that a job queued during the look wakes us.
        let woken = bench.wake.notified();
        let wait = match step_once(&bench).await {
            Ok(true) => {
                // Others may find work too.
                bench.wake.notify_one();
                continue;
            }
            Ok(false) => POLL,
            Err(error) => {
                tracing::error!(%error, "the queue cannot be read");
                bench.metrics.count("database_failures");
                DATABASE_AGAIN
            }
        };
        tokio::select! {
            () = woken, if wait == POLL => {}
            () = bench.clock.sleep(wait) => {}
            () = bench.stop.cancelled() => {}
        }
    }
}

/// Does the next job that is due; false where none is. Tests step the queue by hand with this.
///
/// # Errors
/// Where the queue itself cannot be read or written; a step's own failure is noted with its job.
pub async fn step_once(bench: &Bench) -> Result<bool, StoreError> {
    let Some(job) = bench.store.claim(bench.clock.now()).await? else { return Ok(false) };
    if job.is_deadly() {
        let error = anyhow::anyhow!("the process ended {} times while this was under way", job.attempts - 1);
        failure::note(bench, &job, &error).await?;
        return Ok(true);
    }
    let started = tokio::time::Instant::now();
    // Whatever a step logs, and whoever logs it on its behalf, names the incident. An error's span, so that it is
    // there however little is logged.
    let incident = job.incident.map(|id| id.to_string()).unwrap_or_default();
    let span = tracing::error_span!("step", incident, job = job.id, kind = job.kind.name());
    // A step that panics is one that failed: it is tried again, and put aside in the end, while the others go on.
    let step = AssertUnwindSafe(steps::run(bench, &job).instrument(span)).catch_unwind();
    let outcome = tokio::select! {
        biased;
        outcome = step => outcome.unwrap_or_else(|panic| Err(anyhow::anyhow!("the step panicked: {}", said(&*panic)))),
        () = bench.stop.cancelled(), if job.kind.only_reads() => {
            bench.store.again(job.id, bench.clock.now()).await?;
            return Ok(false);
        }
    };
    bench.fail_points.pass(Point::StepDone).await;
    match outcome {
        Ok(done) => failure::end(bench, &job, done).await?,
        Err(error) => failure::note(bench, &job, &error).await?,
    }
    bench.metrics.observe("step", started.elapsed().as_secs_f64());
    bench.steps_done.send_modify(|count| *count += 1);
    Ok(true)
}

/// What a panic said.
fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a word")
}
