//! The logs agent: what a service says about itself, read in one pass.
//!
//! Log text is evidence about failures and nothing else. What a line claims about its own cause
//! (a deployment hint, an instruction to whoever reads) is kept apart as a claim and weighs nothing.

mod caps;
pub mod claims;
mod fields;
pub mod groups;
mod header;
mod json;
mod kinds;
mod lexicon;
pub mod line;
pub mod migration;
pub mod phrases;
mod plain;
mod structure;
pub mod survey;
mod validity;
pub mod values;
mod wording;

pub use kinds::Kind;
pub use survey::LogSurvey;

#[cfg(test)]
mod tests;
