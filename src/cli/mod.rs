//! (being built)
pub mod logs;
