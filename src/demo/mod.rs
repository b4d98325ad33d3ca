//! (being built)

pub mod aws;
pub mod page;
pub mod slack;
pub mod story;
