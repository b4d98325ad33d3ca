//! The phrases that libraries, drivers and AWS use for each way of failing.
//!
//! The rule that is not obvious: order is meaning. A message is what the first matching row says, so
//! rows go from the telling (a date, a zone) to the general (a timeout).

mod around;
mod program;
mod room;

use super::phrases::Mechanism;

/// Phrases in order of precedence: the first mechanism that matches is the message's.
pub(super) const LEXICON: &[(Mechanism, &[&str])] = &[
    (Mechanism::Expired, around::EXPIRED),
    (Mechanism::Provider, around::PROVIDER),
    (Mechanism::Dns, around::DNS),
    (Mechanism::Tls, around::TLS),
    (Mechanism::Memory, room::MEMORY),
    (Mechanism::Disk, room::DISK),
    (Mechanism::Handles, room::HANDLES),
    (Mechanism::Pool, room::POOL),
    (Mechanism::Overload, room::OVERLOAD),
    (Mechanism::Throttled, room::THROTTLED),
    (Mechanism::Access, around::ACCESS),
    (Mechanism::FunctionTimeout, around::FUNCTION_TIMEOUT),
    (Mechanism::Upstream, around::UPSTREAM),
    (Mechanism::Unreachable, around::UNREACHABLE),
    (Mechanism::Contention, room::CONTENTION),
    (Mechanism::Missing, program::MISSING),
    (Mechanism::Contract, program::CONTRACT),
    (Mechanism::Setting, program::SETTING),
    (Mechanism::Code, program::CODE),
    (Mechanism::Timeout, program::TIMEOUT),
];
