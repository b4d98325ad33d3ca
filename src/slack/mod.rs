//! Slack: its Web API through slack-morphism, every outgoing text as a pure function, and what
//! comes in as plain values.
//!
//! Invariant: the only room with Block Kit. Nothing here decides; a message is made of a stored
//! incident, and whatever came from logs or alerts is escaped on its way in.

mod access;
pub mod answers;
pub mod approvals;
pub mod calls;
pub mod client;
pub mod digest;
pub mod evidence;
pub mod feedback;
pub mod fit;
pub mod home;
pub mod inbound;
pub mod interaction;
pub mod messages;
pub mod pace;
pub mod questions;
pub mod scopes;
pub mod socket;
pub mod storm;
pub mod text;
pub mod views;

pub use access::{Access, Standing};
pub use client::{Posted, Slack, SlackError};
