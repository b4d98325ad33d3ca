//! A report for people: Markdown for post-mortems and threads, plain text for a terminal.
//!
//! The rule that is not obvious: every text in a report may hold somebody else's words. Here they are
//! escaped for the form that is written; redaction happened where the report was made.

mod markdown;
mod postmortem;
mod terminal;

pub use markdown::markdown;
pub use postmortem::{Decision, Story, postmortem};
pub use terminal::{json, plain, plain_json, plain_lines, text};
