//! Hours of life before the story, made in seconds by the same service on virtual time: the day
//! itself with everything, the same hours of the day and of the week before as metrics.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::{Date, Time as TimeOfDay, time};

use super::account::{self, on};
use super::neighbours::Traces;
use super::plot::{Defect, Story};
use super::recorder::{self, ALIAS, Tally};
use super::stage::{Setting, Stage, StageError};
use crate::checkout::time::{Spawner, Time, VirtualTime, run};
use crate::checkout::{SERVICE_NAME, Sink};
use crate::clock::Clock;
use crate::demo::aws::{AwsWorld, WorldOptions};

/// Which part of the past is made.
#[derive(Debug, Clone)]
pub struct Past {
    pub day: Date,
    /// From here on the day is known.
    pub from: TimeOfDay,
    /// Days before, whose same hours are known as metrics.
    pub earlier_days: Vec<i64>,
    /// The hours of those days.
    pub earlier_hours: (TimeOfDay, TimeOfDay),
    /// How long CloudTrail usually takes.
    pub trail_delay: Duration,
    pub seed: u64,
}

impl Default for Past {
    fn default() -> Self {
        Self {
            day: jiff::civil::date(2026, 2, 6),
            from: time(9, 0, 0, 0),
            earlier_days: vec![1, 7],
            earlier_hours: (time(10, 0, 0, 0), time(12, 45, 0, 0)),
            trail_delay: WorldOptions::default().cloudtrail_delay,
            seed: 42,
        }
    }
}

/// Sets the account up, makes the past, and gives back the stage with the service on the world's own
/// clock, at the moment that the world shows. It blocks its thread for seconds.
///
/// # Errors
/// Where a step of the story is refused.
pub fn make(world: &AwsWorld, story: &Story, past: &Past) -> Result<Arc<Stage>, StageError> {
    account::set_up(world, story, past.day)?;
    let running = world.live_configuration(SERVICE_NAME, ALIAS).ok_or(StageError::NothingLive)?;
    let setting = |days: i64| Setting {
        world: world.clone(),
        story: story.clone(),
        day: past.day.saturating_sub(jiff::Span::new().days(days)),
        running: running.clone(),
        tally: Tally::default(),
        traces: Traces::new(past.seed.wrapping_add(days as u64), days == 0),
        trail_delay: past.trail_delay,
        seed: past.seed.wrapping_add(days as u64),
    };
    thread::scope(|scope| {
        let earlier: Vec<_> = past
            .earlier_days
            .iter()
            .map(|&days| {
                let setting = setting(days);
                scope.spawn(move || make_earlier_day(setting, past))
            })
            .collect();
        let stage = make_day(setting(0), past);
        for day in earlier {
            day.join().unwrap_or(Err(StageError::NothingLive))?;
        }
        stage
    })
}

fn make_day(setting: Setting, past: &Past) -> Result<Arc<Stage>, StageError> {
    let world = setting.world.clone();
    let live_from = on(past.day, setting.story.live_from);
    let clock = VirtualTime::starting_at(on(past.day, past.from));
    let sink = recorder::full(world.clone(), setting.tally.clone());
    let stage = Arc::new(set(&clock, setting, sink)?);
    // The world's clock runs while the past is made, so the past catches up with it.
    let outcome = play(&clock, || world.now().max(live_from), &stage);
    stage.service.continue_in(Time::Wall(Clock::starting_at(world.now())));
    outcome.map(|()| stage)
}

/// Metrics of the same hours on another day, on which nothing of the story happened.
fn make_earlier_day(mut setting: Setting, past: &Past) -> Result<(), StageError> {
    let (from, until) = (on(setting.day, past.earlier_hours.0), on(setting.day, past.earlier_hours.1));
    setting.story.steps.clear();
    setting.story.defect = Defect::default();
    let clock = VirtualTime::starting_at(from);
    let sink = recorder::metrics_only(setting.world.clone());
    let stage = Arc::new(set(&clock, setting, sink)?);
    play(&clock, || until, &stage)
}

/// Sets the stage on virtual time; nothing of it waits for anything but work in place.
fn set(clock: &Arc<VirtualTime>, setting: Setting, sink: Sink) -> Result<Stage, StageError> {
    let result = Rc::new(RefCell::new(None));
    let place = Rc::clone(&result);
    let now = clock.now();
    let time = Time::Virtual(Arc::clone(clock));
    run(
        clock,
        || now,
        |_| async move {
            *place.borrow_mut() = Some(Stage::set(setting, time, sink).await);
        },
    );
    result.take().unwrap_or(Err(StageError::NothingLive))
}

/// Lets everything go on until the virtual clock shows `until`.
fn play(
    clock: &Arc<VirtualTime>,
    until: impl Fn() -> Timestamp,
    stage: &Arc<Stage>,
) -> Result<(), StageError> {
    let failed = Rc::new(RefCell::new(None));
    let failure = Rc::clone(&failed);
    run(clock, until, |spawner: Spawner| {
        let stage = Arc::clone(stage);
        async move {
            let orders = spawner.clone();
            spawner.spawn(Arc::clone(&stage).take_orders(move |order| orders.spawn(order.run())));
            spawner.spawn(Arc::clone(&stage).let_neighbours_work());
            spawner.spawn(async move {
                if let Err(error) = stage.perform_steps().await {
                    *failure.borrow_mut() = Some(error);
                }
            });
        }
    });
    failed.take().map_or(Ok(()), Err)
}
