//! (being built)

pub mod aws;
pub mod slack;
