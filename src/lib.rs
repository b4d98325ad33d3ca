//! Incident Commander: finds the change that broke production, proves it, and rolls it back with
//! one approval. ARCHITECTURE.md shows the rooms and the way of an incident through them.

pub mod agents;
pub mod analysis;
pub mod app;
pub mod aws;
pub mod bundle;
pub mod chart;
pub mod checkout;
pub mod cli;
pub mod clock;
pub mod config;
pub mod demo;
pub mod domain;
pub mod fail_points;
pub mod http;
pub mod intake;
pub mod report;
pub mod roots;
pub mod slack;
pub mod store;
pub mod telemetry;
pub mod worker;
