//! (being built)
pub mod templates;
