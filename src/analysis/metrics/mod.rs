//! The metrics agent: which series is whose, what each measures, and what rose when.

pub mod entities;
pub mod measure;
pub mod trouble;

pub use entities::{Entity, Metrics, Resource, Role, Track};
pub use measure::{Gauge, Measure};
pub use trouble::{Manner, Trouble};
