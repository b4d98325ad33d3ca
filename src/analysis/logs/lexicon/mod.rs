//! The wordings that libraries, drivers and AWS use for each way of failing, as patterns of [`Wording`].
//!
//! The rule that is not obvious: order is meaning. A message is what the first matching row says, so
//! rows go from the telling (a date, a zone) to the general (a timeout). A row names who speaks and about
//! what, because a word alone proves little: a property is read-only, and so is a database that lost its role.

mod around;
mod program;
mod room;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use super::phrases::Mechanism;
use super::wording::{Pattern, Wording};

/// Rows in order of precedence: the first mechanism that matches is the message's.
const ROWS: &[(Mechanism, &[&str])] = &[
    (Mechanism::Expired, around::EXPIRED),
    // `OutOfMemoryError: unable to create native thread` is about threads.
    (Mechanism::Handles, room::THREADS),
    (Mechanism::Disk, room::DISK),
    (Mechanism::Provider, around::PROVIDER),
    (Mechanism::Dns, around::DNS),
    (Mechanism::Tls, around::TLS),
    (Mechanism::Memory, room::MEMORY),
    (Mechanism::Throttled, room::THROTTLED),
    (Mechanism::Handles, room::HANDLES),
    (Mechanism::Pool, room::POOL),
    (Mechanism::Contention, room::CONTENTION),
    (Mechanism::Overload, room::OVERLOAD),
    (Mechanism::Access, around::ACCESS),
    (Mechanism::FunctionTimeout, around::FUNCTION_TIMEOUT),
    (Mechanism::Contract, program::CUT_OFF),
    (Mechanism::Unreachable, around::UNREACHABLE),
    (Mechanism::Upstream, around::UPSTREAM),
    (Mechanism::Missing, program::MISSING),
    (Mechanism::Setting, program::SETTING),
    (Mechanism::Contract, program::CONTRACT),
    (Mechanism::Code, program::CODE),
    (Mechanism::Timeout, program::TIMEOUT),
    (Mechanism::Code, program::WRAPPERS),
];

static LEXICON: LazyLock<Vec<(Mechanism, Vec<Pattern>)>> = LazyLock::new(|| {
    ROWS.iter().map(|(mechanism, patterns)| (*mechanism, Pattern::read_all(patterns))).collect()
});

static ALLOWANCE: LazyLock<Vec<Pattern>> = LazyLock::new(|| Pattern::read_all(room::ALLOWANCE));

/// Whether somebody has used what he may in a day or a month.
pub(super) fn is_allowance_used_up(said: &Wording) -> bool {
    said.holds_any(&ALLOWANCE)
}

/// What the first row says that matches.
pub(super) fn mechanism(said: &Wording) -> Option<Mechanism> {
    LEXICON.iter().find(|(_, patterns)| said.holds_any(patterns)).map(|(mechanism, _)| *mechanism)
}
