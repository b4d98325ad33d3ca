//! The picture in the incident's thread: error rate and p99 latency over one time axis, with the
//! deployments, the onset and the rollback marked.
//!
//! Invariant: pure. [`svg`] writes text, [`png`] turns it into pixels with an embedded font, so the
//! picture is the same on every machine and nothing is read from the system. What cannot be drawn
//! (a value that is no number, a mark outside the window) is left out of the picture and said in
//! words instead.

mod alt_text;
mod labels;
mod panel;
mod raster;
mod scale;
mod svg;

#[cfg(test)]
mod tests;

use jiff::Timestamp;

use crate::domain::report::{Onset, Symptoms};

pub use alt_text::describe;
pub use raster::png;
pub use svg::svg;

/// Width of the picture in CSS pixels. [`png`] renders twice as many for sharp text.
pub const WIDTH: f64 = 800.0;
/// Height of the picture in CSS pixels.
pub const HEIGHT: f64 = 450.0;

/// What one chart shows.
#[derive(Debug, Clone, PartialEq)]
pub struct ChartInput<'a> {
    /// Usually the incident and its service: `INC-7 checkout`.
    pub title: String,
    pub symptoms: &'a Symptoms,
    pub marks: Vec<Mark>,
    /// Shaded over both panels; its label is drawn unless a mark of kind onset has one.
    pub onset: Option<Onset>,
}

/// A moment with a vertical line and a label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    pub at: Timestamp,
    /// Without the time, which the chart adds: `v42 deployed`.
    pub label: String,
    pub kind: MarkKind,
}

/// What a mark stands for. The order is that of importance: the first get a label first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MarkKind {
    /// A change that is under suspicion.
    Deployment,
    /// The rollback, or the recovery that was verified after it.
    Rollback,
    /// The best estimate of when the trouble began.
    Onset,
    /// When the alert fired.
    Alert,
    /// A change that was looked at and found innocent.
    Cleared,
}
