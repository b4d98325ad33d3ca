//! How well each class of key, moved in each direction, explains each way of failing.
//!
//! Likelihood ratios between 0.1 and 10, by what operators know of these settings; none is fitted.

use super::{Class, Direction};
use crate::analysis::logs::phrases::Mechanism;
use crate::analysis::metrics::Manner;

/// How likely this mechanism is under such a change, over how likely it is otherwise.
#[expect(clippy::match_same_arms, reason = "a table: each row is a pair with its reason, equal or not")]
pub(super) fn compatibility(class: Class, direction: Direction, mechanism: Mechanism) -> f64 {
    use Mechanism as M;
    let up = matches!(direction, Direction::Up(_));
    let down = matches!(direction, Direction::Down(_));
    let unsure = !up && !down;
    match (class, mechanism) {
        (Class::Inert, _) => 0.1,
        // What is good for a shorter time is past its date sooner; what somebody else's clock judges is refused.
        (Class::Lifetime, M::Expired) => {
            if up {
                1.0
            } else {
                10.0
            }
        }
        (Class::Lifetime, M::Access) => 6.0,
        // Dates and the provider's own troubles are nobody's setting.
        (Class::Credential, M::Expired | M::Tls) => 3.0,
        (_, M::Expired | M::Provider) => 0.1,
        (Class::Timeout, M::Timeout | M::FunctionTimeout) => {
            if down {
                10.0
            } else if unsure {
                4.0
            } else {
                1.5
            }
        }
        (Class::Timeout, M::Upstream | M::Unreachable) => {
            if down {
                3.0
            } else {
                1.0
            }
        }
        (Class::Timeout, M::Pool | M::Overload) => {
            if up {
                4.0
            } else {
                1.5
            }
        }
        (Class::Capacity, M::Pool) => {
            if down {
                10.0
            } else {
                4.0
            }
        }
        (Class::Capacity, M::Overload | M::Throttled) => {
            if down {
                8.0
            } else {
                2.0
            }
        }
        (Class::Capacity, M::Timeout | M::FunctionTimeout | M::Handles) => {
            if down {
                4.0
            } else {
                1.5
            }
        }
        (Class::Capacity, M::Memory) => {
            if up {
                4.0
            } else {
                1.5
            }
        }
        (Class::Memory, M::Memory) => {
            if down {
                10.0
            } else if unsure {
                4.0
            } else {
                1.0
            }
        }
        (Class::Memory, M::Timeout | M::FunctionTimeout) => {
            if down {
                4.0
            } else {
                0.7
            }
        }
        (Class::RateLimit, M::Throttled | M::Overload) => 8.0,
        (Class::RateLimit, M::Upstream) => {
            if up {
                2.0
            } else {
                0.3
            }
        }
        (Class::Concurrency, M::Pool | M::Overload | M::Throttled | M::Handles | M::Contention) => {
            if up {
                8.0
            } else {
                4.0
            }
        }
        (Class::Concurrency, M::Timeout | M::FunctionTimeout | M::Memory | M::Upstream) => 3.0,
        (Class::Retry, M::Upstream | M::Timeout | M::Unreachable | M::Contention) => {
            if down {
                6.0
            } else {
                2.5
            }
        }
        (Class::Retry, M::Overload | M::Throttled | M::Pool | M::FunctionTimeout) => {
            if up {
                6.0
            } else {
                1.5
            }
        }
        (Class::Batch, M::Timeout | M::FunctionTimeout | M::Memory) => {
            if up {
                8.0
            } else {
                2.0
            }
        }
        (Class::Batch, M::Throttled | M::Overload | M::Contract | M::Pool) => 2.5,
        (Class::CacheLife, M::Overload | M::Timeout | M::Upstream | M::Throttled | M::Pool) => {
            if down {
                5.0
            } else {
                1.0
            }
        }
        (Class::CacheLife, M::Missing | M::Contract | M::Access | M::Memory) => {
            if up {
                3.0
            } else {
                1.0
            }
        }
        (Class::Network, M::Unreachable | M::Timeout | M::FunctionTimeout | M::Dns) => 10.0,
        (Class::Network, M::Upstream | M::Pool) => 2.0,
        (Class::Place, M::Dns | M::Unreachable | M::Missing) => 6.0,
        (Class::Place, M::Access | M::Tls) => 4.0,
        (Class::Place, M::Timeout | M::Upstream | M::Contract) => 2.0,
        (Class::Credential, M::Access) => 10.0,
        (Class::Contract, M::Contract) => 8.0,
        (Class::Contract, M::Code | M::Upstream | M::Setting) => 2.5,
        (Class::Flag, M::Code | M::Contract) => 5.0,
        (Class::Flag, M::Pool | M::Unreachable | M::Handles | M::Contention | M::Missing | M::Access) => 1.5,
        (
            Class::Flag,
            M::Timeout | M::FunctionTimeout | M::Memory | M::Overload | M::Upstream | M::Throttled,
        ) => 1.5,
        (Class::Fault, _) => 4.0,
        (_, M::Setting) => 4.0,
        // Nothing is known about what it governs; failures that point elsewhere speak against it.
        (Class::Other, M::Upstream | M::Unreachable | M::Disk | M::Throttled) => 0.4,
        (Class::Other, _) => 1.0,
        (Class::Schedule, M::Overload | M::Pool | M::Contention | M::Timeout | M::Throttled) => 2.0,
        (
            Class::Capacity | Class::Memory | Class::Timeout | Class::Concurrency | Class::Batch,
            M::Code | M::Contract,
        ) => 0.3,
        (_, M::Disk) => 0.3,
        _ => 0.25,
    }
}

/// Without words in the errors: what the symptom's manner says.
#[expect(clippy::match_same_arms, reason = "a table: each row is a pair with its reason, equal or not")]
#[expect(clippy::collapsible_match, reason = "the guard would let the row fall through to a later one")]
pub(super) fn by_manner(class: Class, direction: Direction, manner: Option<Manner>) -> f64 {
    let down = matches!(direction, Direction::Down(_));
    let up = matches!(direction, Direction::Up(_) | Direction::On | Direction::Added);
    match (class, manner) {
        (Class::Fault, _) => {
            if up {
                6.0
            } else {
                1.0
            }
        }
        (Class::Inert, _) => 0.1,
        (_, None) => 1.0,
        (Class::Capacity | Class::Memory | Class::RateLimit | Class::CacheLife, _) if down => 2.4,
        (Class::Timeout, Some(Manner::Failing)) if down => 2.4,
        (Class::Timeout, Some(Manner::Slow)) => {
            if down {
                0.5
            } else {
                2.0
            }
        }
        (Class::Retry | Class::Batch | Class::Concurrency, Some(Manner::Slow)) if up => 2.4,
        (Class::Place | Class::Network | Class::Credential | Class::Contract, Some(Manner::Failing)) => 2.0,
        (Class::Flag, _) => 1.5,
        _ => 1.0,
    }
}
