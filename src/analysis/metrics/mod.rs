//! The metrics agent: which series is whose, what each measures, and what rose when.

pub mod entities;
pub mod trouble;

pub use crate::domain::measure::{self, Gauge, Measure};
pub use entities::{Entity, Metrics, Resource, Role, Track};
pub use trouble::{Manner, Trouble};
