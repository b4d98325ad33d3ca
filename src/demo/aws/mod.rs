//! An AWS-compatible endpoint: a double of the few services that the bot reads and writes, over HTTP,
//! for the demo and for tests through the real SDK.
//!
//! Rule: it behaves as AWS does where the bot could notice (hidden environment values, delays, paging,
//! limits, conflicts, late points), and answers with AWS's own error where it does not know how.
//! It is built from recorded facts and is no substitute for an account. Invariant: no AWS SDK in here.

mod appconfig;
mod clock;
mod cloudwatch;
mod containers;
mod endpoint;
mod faults;
mod functions;
mod identity;
mod insights;
mod insights_language;
mod lambda;
mod listing;
mod logs;
mod metrics;
mod parameters;
mod releases;
mod trail;
mod wire;
mod world;

pub use clock::WorldClock;
pub use faults::Fault;
pub use functions::FunctionSettings;
pub use identity::Identity;
pub use insights::QueryEnd;
pub use releases::{CodeDeployment, StackEvent};
pub use wire::ApiError;
pub use world::{AssumedRole, AwsWorld, Mutation, WorldOptions};
