//! Did a series change, when, and by how much: level shifts, slopes, the onset as a distribution, and
//! whether it changed at a given time beyond its own habit.
//!
//! Invariant: pure arithmetic over numbers and times. A value that is no finite number is a hole, and
//! a hole is never filled with an invented value.

mod change;
mod grid;
mod habit;
mod levels;
mod onset;
mod season;
mod segment;
mod slope;
#[cfg(test)]
mod tests;

pub use change::{Changed, changed_at};
pub use levels::{Shift, level_shifts};
pub use onset::{Direction, OnsetDistribution, Trials, onset_of_rate, onset_of_values};
pub use slope::{Slope, slope};
