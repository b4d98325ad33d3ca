//! What a story is made of, as plain data: who does what at which time of the day, how the shop's
//! day goes, which alarm fires, and what a right answer looks like.
//!
//! The rule that is not obvious: nothing here is read by the bot. The truth is for the demo's own
//! check at the end; the bot sees the world only over the wire.

use jiff::civil::Time;

use crate::checkout::{Demand, Payments};

/// One story.
#[derive(Debug, Clone)]
pub struct Story {
    /// How `--scenario` calls it, in kebab case.
    pub name: &'static str,
    pub title: &'static str,
    /// What happens, in a sentence or two.
    pub about: &'static str,
    /// The checkout service's environment on the morning of the day.
    pub environment: Vec<(&'static str, &'static str)>,
    /// Whether the version of the morning was released that morning, or days before.
    pub released_this_morning: bool,
    pub demand: Demand,
    /// What is wrong in the code all day long, whatever the configuration says.
    pub defect: Defect,
    /// What the service believes about its last deployment.
    pub hint: HintRule,
    /// In order of time.
    pub steps: Vec<Step>,
    pub alarm: Alarm,
    /// The story runs at real speed from here on.
    pub live_from: Time,
    pub truth: Truth,
}

/// A defect that grows slowly, without anybody changing anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Defect {
    /// What every order leaves in memory.
    pub leak_kib_per_order: usize,
    /// The outbox is not emptied any more.
    pub outbox_stuck: bool,
}

/// How the service's own hint about its last deployment comes about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HintRule {
    /// As in the scenario: related, counted from when the release took effect, with the build's
    /// stamp, which is a quarter of an hour older.
    Scenario,
    /// It lies: not related, and the time is that of the afternoon before.
    Denies,
}

#[derive(Debug, Clone)]
pub struct Step {
    pub at: Time,
    pub action: Action,
}

#[derive(Debug, Clone)]
pub enum Action {
    /// Changes `$LATEST`, publishes a version, and points the alias at it.
    Release(Release),
    /// Changes `$LATEST` only; traffic through the alias does not notice.
    EditLatest { function: &'static str, changes: Vec<(&'static str, &'static str)>, actor: Actor },
    /// Points the alias back at the version before.
    RollBack { function: &'static str, actor: Actor },
    /// From now on the payment service behaves so towards the checkout service, and fares so itself.
    Payments { towards_checkout: Payments, health: Health },
    /// A call that changes nothing of what the story is about.
    Noise { source: &'static str, name: &'static str, actor: Actor, request: &'static str },
}

#[derive(Debug, Clone)]
pub struct Release {
    pub function: &'static str,
    /// Environment variables that it sets.
    pub changes: Vec<(&'static str, &'static str)>,
    /// Whether the code changes as well.
    pub code: bool,
    pub description: &'static str,
    pub actor: Actor,
    /// How long CloudTrail keeps it back; `None`: as long as always. Seconds.
    pub trail_delay: Option<u64>,
}

/// Who acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// The deployment pipeline's role, which is nobody.
    Pipeline,
    /// A person of the team, signed in through SSO, by the name before `@shop.example`.
    Person(&'static str),
}

/// How a neighbouring service fares.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Health {
    /// The share of its calls, 0 to 1, that fail.
    pub failing: f64,
    /// Its usual duration is multiplied by this.
    pub slower: f64,
}

impl Health {
    pub const WELL: Self = Self { failing: 0.004, slower: 1.0 };
}

/// The CloudWatch alarm that starts it.
#[derive(Debug, Clone)]
pub struct Alarm {
    pub name: &'static str,
    pub description: &'static str,
    pub metric: &'static str,
    pub statistic: &'static str,
    pub threshold: f64,
    /// Minutes that must breach, which is also how late the alarm is.
    pub datapoints: u32,
    /// When it went off.
    pub at: Time,
}

/// What a right answer looks like.
#[derive(Debug, Clone)]
pub struct Truth {
    /// Any of these causes is right; best first. Words as in the verdict's JSON.
    pub causes: Vec<&'static str>,
    /// Keys that a right answer names with their values before and after.
    pub keys: Vec<(&'static str, &'static str, &'static str)>,
    /// The resource whose change is to blame; none where no change is.
    pub resource: Option<&'static str>,
    pub rollback: RollbackOffer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RollbackOffer {
    Must,
    MustNot,
}

impl Story {
    /// Whether the story ends with a rollback that heals.
    pub fn heals_by_rollback(&self) -> bool {
        self.truth.rollback == RollbackOffer::Must
    }
}
