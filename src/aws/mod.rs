//! AWS, through its own SDK: the only room that knows it.
//!
//! Invariant: what leaves this room is in the domain's words. A source that cannot be read becomes a
//! [`ReadError`] with a plain reason, or a gap; retries are the SDK's own and nothing is wrapped around
//! them; a change is sent once, and its outcome is read back.

mod accounts;
mod answer;
mod breakers;
pub mod changes;
mod clients;
pub mod configs;
pub mod configurations;
pub mod containers;
pub mod discover;
mod errors;
mod graph;
mod ledger;
pub mod logs;
pub mod metrics;
mod pace;
pub mod parameters;
mod partition;
pub mod permissions;
pub mod releases;
pub mod rollback;
pub mod settings;
mod sharing;
mod signed;
pub mod sns;

pub use accounts::Accounts;
pub use clients::{Caller, Clients, Writer};
pub use errors::ReadError;
pub use ledger::{called, counted};
pub use partition::{Partition, arn};
pub use settings::{AppConfigRef, AwsSettings, Credentials, LambdaRef, MetricRef, Place, ServiceSettings};
