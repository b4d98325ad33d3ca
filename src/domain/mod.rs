//! The words of the field, as types: alerts, evidence, changes, findings, verdicts, incidents.
//!
//! Invariant: pure. No I/O, no clock, no randomness, and nothing from another room of this crate;
//! `now` is always an argument. Whatever is serialisable here has the shape that is promised to
//! users, so a field is renamed only with a reason.

pub mod alert;
pub mod approval;
pub mod audit;
pub mod breaker;
pub mod change;
pub mod console;
pub mod cost;
pub mod evidence;
pub mod execution;
pub mod firing;
pub mod incident;
pub mod machine;
pub mod measure;
pub mod plan;
pub mod recovery;
pub mod redact;
pub mod report;
pub mod rollback;
pub mod scorecard;
pub mod snapshot;
pub mod surge;
pub mod trial;
mod wording;
pub mod words;
