//! (being built)
pub mod shifts;
pub mod templates;
