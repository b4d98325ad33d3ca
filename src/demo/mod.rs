//! (being built)

pub mod aws;
