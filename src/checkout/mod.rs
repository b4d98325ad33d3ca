//! The demo's checkout service: a real service over a real bounded pool, which fails because of its
//! configuration and heals when that is rolled back.
//!
//! The same code runs live (`server`), as a Lambda function (`lambda`) and on a virtual clock that makes hours of history in seconds
//! (`time`). What it tells goes through one [`Sink`]. It knows nothing of AWS, Slack or the bot.

mod counters;
mod database;
mod demand;
mod embedded_metrics;
mod events;
pub mod lambda;
mod local_test;
mod order;
mod pool;
mod release;
mod server;
mod service;
mod settings;
#[cfg(test)]
mod tests;
pub mod time;

pub use counters::Counters;
pub use demand::{Demand, GROUP_INTERVAL, Group};
pub use embedded_metrics::EmbeddedMetrics;
pub use events::{
    DeploymentHint, Emission, Level, METRIC_DIMENSION, METRIC_NAMESPACE, SERVICE_NAME, Sink, What,
};
pub use local_test::{Summary, run as run_local_test};
pub use order::{Failure, Order, OrderError, Receipt};
pub use release::{LEAK_LIMIT, Rollout};
pub use server::router;
pub use service::{Payments, Service};
pub use settings::{FaultScenario, PAYMENT_TIME, Settings, SettingsError};
