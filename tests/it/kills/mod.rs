//! Processes that are really killed (SIGKILL), and others that go on with what they left.
//!
//! The rule that is not obvious: nothing here rests on how fast the machine is. A process that is to die at a
//! numbered point says that it has come there; one that dies at random dies after so many acknowledged alerts. What is
//! waited for is the other process, which is asked again and again.

mod random;
pub mod serve;
mod story;
mod victim;

use std::time::Duration;

/// Between two looks at another process.
const GLANCE: Duration = Duration::from_millis(10);

/// How many stories or kills the script asks for; a sample where it asks for none.
fn asked_for(variable: &str, sample: usize) -> usize {
    std::env::var(variable).ok().and_then(|count| count.parse().ok()).unwrap_or(sample)
}
