//! The stories that the demo can tell, and the world that each needs: hours of ordinary life, a
//! cause, and what goes on while the bot looks.
//!
//! A story is data (`plot`, `catalogue`); `stage` plays it, `history` on virtual time and `live` at
//! real speed. What the bot may know of it, it reads from the account over the wire.

mod account;
pub mod alarm;
mod catalogue;
mod history;
mod live;
mod neighbours;
mod plot;
mod recorder;
mod stage;
#[cfg(test)]
mod tests;

pub use account::{DEVELOPER_ROLE, on};
pub use catalogue::{DEFAULT, bad_release, find, stories};
pub use history::{Past, make};
pub use live::start;
pub use neighbours::{DEPENDENCIES, PEERS};
pub use plot::{Action, Actor, Alarm, Defect, Health, HintRule, Release, RollbackOffer, Step, Story, Truth};
pub use recorder::{ALIAS, LOG_GROUP, NAMESPACE, Span, Tally};
pub use stage::{Stage, StageError};
