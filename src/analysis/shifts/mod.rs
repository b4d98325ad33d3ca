//! Did a series change, when, and by how much: level shifts, and whether it changed at
//! a given time beyond its own habit. The onset of an incident, as a distribution, is in `steps`, and what
//! climbs slowly to its limit in `triggers::drains`.
//!
//! Invariant: pure arithmetic over numbers and times. A value that is no finite number is a hole, and
//! a hole is never filled with an invented value.

mod change;
mod grid;
mod habit;
mod levels;
mod season;
mod segment;
#[cfg(test)]
mod tests;

pub use change::{Changed, changed_at};
pub use levels::{Shift, level_shifts};
