//! The stage that a story is played on: the account, the checkout service, its neighbours, and the
//! three things that go on at the same time: orders come, neighbours work, and somebody acts.
//!
//! The rule that is not obvious: the history and the live part are the same code. Each takes up
//! where the other stopped, because the next group, tick and step are kept here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};

use super::account::{self, code_sha256, identity, later, on};
use super::neighbours::{TICK, Traces};
use super::plot::{Action, Actor, Defect, HintRule, Release, Step, Story};
use super::recorder::{ALIAS, Tally};
use crate::checkout::time::{Time, later as after};
use crate::checkout::{Demand, DeploymentHint, Order, Rollout, SERVICE_NAME, Service, Settings, Sink};
use crate::demo::aws::{ApiError, AwsWorld};

/// From the change of `$LATEST` to the published version, and to the alias, in seconds.
const PUBLISH_AFTER: i64 = 14;
const ALIAS_AFTER: i64 = 21;

pub struct Stage {
    pub world: AwsWorld,
    pub service: Arc<Service>,
    pub traces: Traces,
    pub tally: Tally,
    demand: Demand,
    steps: Vec<Step>,
    day: Date,
    defect: Defect,
    hint: HintRule,
    trail_delay: Duration,
    place: Mutex<Place>,
}

/// A version and its environment.
pub type Running = (String, BTreeMap<String, String>);

/// What a stage begins with.
pub struct Setting {
    pub world: AwsWorld,
    pub story: Story,
    pub day: Date,
    pub running: Running,
    pub tally: Tally,
    pub traces: Traces,
    /// How long CloudTrail usually takes.
    pub trail_delay: Duration,
    pub seed: u64,
}

/// How far the story has come.
struct Place {
    next_group: Timestamp,
    next_tick: Timestamp,
    next_step: usize,
    random: fastrand::Rng,
    orders: u64,
    /// What each version believes about its own deployment; a version without an entry: nothing.
    hints: BTreeMap<String, DeploymentHint>,
    /// The version and environment that the service runs.
    running: Running,
    /// When which version came into service since the stage was set.
    releases: Vec<(Timestamp, String)>,
}

/// A story cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    #[error("the account refused a step of the story: {0:?}")]
    Account(ApiError),
    #[error("the function has no live version")]
    NothingLive,
    #[error("the function's configuration cannot be used: {0}")]
    Settings(#[from] crate::checkout::SettingsError),
    #[error("the checkout service's database failed: {0}")]
    Database(#[from] sqlx::Error),
}

impl From<ApiError> for StageError {
    fn from(error: ApiError) -> Self {
        Self::Account(error)
    }
}

impl Stage {
    /// Sets everything up at the moment that `time` shows; nothing goes on yet.
    pub async fn set(setting: Setting, time: Time, sink: Sink) -> Result<Self, StageError> {
        let Setting { world, story, day, running, tally, traces, trail_delay, seed } = setting;
        let from = time.now();
        let rollout = rollout_of(&running, story.defect, DeploymentHint::default())?;
        let service = Service::start(time, sink, rollout, seed).await?;
        Ok(Self {
            world,
            service: Arc::new(service),
            traces,
            tally,
            demand: story.demand,
            steps: story.steps,
            day,
            defect: story.defect,
            hint: story.hint,
            trail_delay,
            place: Mutex::new(Place {
                next_group: from,
                next_tick: from,
                next_step: 0,
                random: fastrand::Rng::with_seed(seed ^ 0x5eed),
                orders: 0,
                hints: BTreeMap::new(),
                running,
                releases: Vec::new(),
            }),
        })
    }

    fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the orders come, for ever. `spawn` takes each of them to its end.
    pub async fn take_orders(self: Arc<Self>, spawn: impl Fn(OrderTask)) {
        loop {
            let at = self.place().next_group;
            self.service.time().sleep_until(at).await;
            let group = {
                let mut place = self.place();
                place.next_group = after(at, self.demand.interval);
                self.demand.group(at, &mut place.random)
            };
            for arrival in group.arrivals {
                let number = {
                    let mut place = self.place();
                    place.orders += 1;
                    place.orders
                };
                spawn(OrderTask { service: Arc::clone(&self.service), number, arrival });
            }
        }
    }

    /// Writes the neighbours' traces, for ever.
    pub async fn let_neighbours_work(self: Arc<Self>) {
        loop {
            let at = self.place().next_tick;
            let end = after(at, TICK);
            self.service.time().sleep_until(end).await;
            self.traces.write(&self.world, at);
            self.place().next_tick = end;
        }
    }

    /// Performs the story's steps as their times come.
    pub async fn perform_steps(self: Arc<Self>) -> Result<(), StageError> {
        loop {
            let index = self.place().next_step;
            let Some(step) = self.steps.get(index) else { return Ok(()) };
            let at = on(self.day, step.at);
            self.service.time().sleep_until(at).await;
            self.place().next_step = index + 1;
            self.perform(&step.action, at).await?;
        }
    }

    /// Does one thing, beginning at `at`.
    pub async fn perform(&self, action: &Action, at: Timestamp) -> Result<(), StageError> {
        match action {
            Action::Release(release) => self.release(release, at).await,
            Action::EditLatest { function, changes, actor } => {
                self.edit_latest(function, changes, *actor, at)?;
                Ok(())
            }
            Action::RollBack { function, actor } => self.roll_back(function, *actor, at).await,
            Action::Payments { towards_checkout, health } => {
                self.service.set_payments(Some(*towards_checkout));
                self.traces.set_payments(*health);
                Ok(())
            }
            Action::Noise { source, name, actor, request } => {
                let request = serde_json::from_str(request).unwrap_or_default();
                let actor = identity(&self.world, *actor);
                self.world.record_event(source, name, &actor, at, request, serde_json::Value::Null, None);
                Ok(())
            }
        }
    }

    async fn release(&self, release: &Release, at: Timestamp) -> Result<(), StageError> {
        let time = self.service.time();
        let actor = identity(&self.world, release.actor);
        let function = release.function;
        if let Some(seconds) = release.trail_delay {
            self.world.set_cloudtrail_delay(Duration::from_secs(seconds));
        }
        if !release.changes.is_empty() {
            self.edit_latest(function, &release.changes, release.actor, at)?;
        }
        if release.code {
            let code = code_sha256(&format!("{function} {at}"));
            self.world.update_function_code(function, &code, &actor, later(at, 4))?;
        }
        let version =
            self.world.publish_version(function, release.description, &actor, later(at, PUBLISH_AFTER))?;
        let effective = later(at, ALIAS_AFTER);
        if function == SERVICE_NAME {
            let hint = self.hint_about(effective);
            self.place().hints.insert(version.clone(), hint);
        }
        time.sleep_until(effective).await;
        self.world.update_alias(function, ALIAS, &version, &BTreeMap::new(), &actor, effective)?;
        self.world.set_cloudtrail_delay(self.trail_delay);
        self.follow_configuration().await
    }

    fn edit_latest(
        &self,
        function: &str,
        changes: &[(&str, &str)],
        actor: Actor,
        at: Timestamp,
    ) -> Result<(), ApiError> {
        let (_, mut environment) = self.world.live_configuration(function, "$LATEST").unwrap_or_default();
        environment.extend(account::variables(changes));
        self.world.update_function_environment(function, environment, &identity(&self.world, actor), at)
    }

    async fn roll_back(&self, function: &str, actor: Actor, at: Timestamp) -> Result<(), StageError> {
        let (version, _) = self.world.live_configuration(function, ALIAS).ok_or(StageError::NothingLive)?;
        let before = version.parse::<u32>().ok().and_then(|version| version.checked_sub(1));
        let before = before.ok_or(StageError::NothingLive)?.to_string();
        let actor = identity(&self.world, actor);
        self.world.update_alias(function, ALIAS, &before, &BTreeMap::new(), &actor, at)?;
        self.follow_configuration().await
    }

    fn hint_about(&self, effective: Timestamp) -> DeploymentHint {
        let local = |at: Timestamp| format!("{at:.0}").trim_end_matches('Z').to_owned();
        let before = |hours: SignedDuration| effective.saturating_sub(hours).unwrap_or(effective);
        match self.hint {
            HintRule::Scenario => DeploymentHint {
                related: true,
                stamp: Some(local(before(SignedDuration::from_secs(15 * 60 + ALIAS_AFTER)))),
                counted_from: Some(effective),
            },
            HintRule::Denies => DeploymentHint {
                related: false,
                stamp: Some(local(before(SignedDuration::from_mins(18 * 60 + 40)))),
                counted_from: Some(before(SignedDuration::from_mins(18 * 60 + 40))),
            },
        }
    }

    /// Runs what the alias points at, if that is something else than before. Somebody may have
    /// changed it from outside: that is how a rollback heals.
    pub async fn follow_configuration(&self) -> Result<(), StageError> {
        let live = self.world.live_configuration(SERVICE_NAME, ALIAS).ok_or(StageError::NothingLive)?;
        let hint = {
            let place = self.place();
            if place.running == live {
                return Ok(());
            }
            place.hints.get(&live.0).cloned().unwrap_or_default()
        };
        self.service.roll_out(rollout_of(&live, self.defect, hint)?).await?;
        let now = self.service.time().now();
        let mut place = self.place();
        place.releases.push((now, live.0.clone()));
        place.running = live;
        Ok(())
    }

    /// When which version came into service since the stage was set.
    pub fn releases(&self) -> Vec<(Timestamp, String)> {
        self.place().releases.clone()
    }
}

/// One order on its way to the service.
pub struct OrderTask {
    service: Arc<Service>,
    number: u64,
    arrival: Timestamp,
}

impl OrderTask {
    pub async fn run(self) {
        self.service.time().sleep_until(self.arrival).await;
        // A failure is told by the service itself; the shopper tries again later.
        let _ = self.service.place(Order { id: format!("A-{}", self.number) }).await;
    }
}

fn rollout_of(live: &Running, defect: Defect, hint: DeploymentHint) -> Result<Rollout, StageError> {
    let mut settings = Settings::from_environment(&live.1)?;
    if defect.leak_kib_per_order > 0 {
        settings.leak_bytes = defect.leak_kib_per_order * 1024;
    }
    settings.outbox_relay &= !defect.outbox_stuck;
    Ok(Rollout { version: live.0.clone(), settings, hint })
}
