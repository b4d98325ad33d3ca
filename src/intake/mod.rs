//! What comes in, from wherever: read, matched to a service, stored, answered.
//!
//! HTTP and Socket Mode meet here. The rule that is not obvious: nothing slow happens here, because
//! Slack wants its answer within three seconds. What takes time is a job.

mod aws;
mod aws_event;
mod command;
mod desk;
pub mod reading;

pub use desk::{Desk, Heard};
