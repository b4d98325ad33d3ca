//! (being built)
pub mod changes;
pub mod shifts;
pub mod templates;
