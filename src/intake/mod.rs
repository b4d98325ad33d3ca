//! What comes in, from wherever: read, matched to a service, stored, answered.
//!
//! HTTP and Socket Mode meet here. The rule that is not obvious: nothing slow happens here, because
//! Slack wants its answer within three seconds. What takes time is a job; the few calls that an answer
//! needs (a form, somebody's clock, a message that was pointed at) have a deadline below that.

mod approvals;
mod ask;
mod aws;
pub mod aws_event;
pub mod aws_logs;
pub mod command;
mod desk;
mod home;
mod interaction;
pub mod matching;
pub mod mention;
mod question;
pub mod reading;
pub mod services;
pub mod when;

pub use desk::{Desk, Heard};
