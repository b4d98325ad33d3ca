//! How well what was changed explains how requests fail: by a setting's class and the way that it moved, by the kind of a
//! change, and by code.
//!
//! Likelihood ratios between 0.1 and 10, by what operators know of these settings; none is fitted. The rule that is not
//! obvious: a setting has a direction. Twice the connections are no reason to wait for one, however close in time: what
//! gives more of what is short [eases](Judged::eases) the failure, and is as little suspect as a label.

use super::keys::{Class, Direction};
use super::logs::phrases::Mechanism;
use super::metrics::Manner;
use super::ratios;
use crate::domain::change::ChangeKind;

/// How well one thing that was changed explains one way of failing.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Judged {
    /// How likely this mechanism is under such a change, over how likely it is otherwise.
    pub ratio: f64,
    /// It moved away from what would bring this failure about.
    pub eases: bool,
    /// The words tell of another limit of the same mechanism, which less of this one does not bring nearer.
    pub beside: bool,
}

/// What a setting does to one way of failing as it moves up, as it moves down, and where it moved is not known.
#[derive(Debug, Clone, Copy)]
struct Turn {
    /// `None` where that eases the failure.
    up: Option<f64>,
    down: Option<f64>,
    open: f64,
}

/// It hurts to have less of it: ratio as it moves down, and where it moved is not known.
const fn less(down: f64, open: f64) -> Turn {
    Turn { up: None, down: Some(down), open }
}

/// It hurts to have more of it.
const fn more(up: f64, open: f64) -> Turn {
    Turn { up: Some(up), down: None, open }
}

/// Both ways may hurt.
const fn both(up: f64, down: f64, open: f64) -> Turn {
    Turn { up: Some(up), down: Some(down), open }
}

/// It has no direction.
const fn either(ratio: f64) -> Turn {
    both(ratio, ratio, ratio)
}

/// How well a setting of this class that moved this way explains this mechanism.
pub fn of_key(class: Class, direction: Direction, mechanism: Mechanism) -> Judged {
    let turn = turn(class, mechanism);
    let went = match direction {
        Direction::Up(_) => turn.up,
        Direction::Down(_) => turn.down,
        // Only deliberate trouble is worse for being switched on; of other switches it is not known which side hurts.
        Direction::On | Direction::Added if class == Class::Fault => turn.up,
        Direction::Off | Direction::Removed if class == Class::Fault => turn.down,
        Direction::On
        | Direction::Off
        | Direction::Replaced
        | Direction::Added
        | Direction::Removed
        | Direction::Unknown => Some(turn.open),
    };
    match went {
        Some(ratio) => Judged { ratio, ..Judged::default() },
        None => Judged { ratio: 1.0 / ratios::CAP, eases: true, beside: false },
    }
}

#[expect(clippy::match_same_arms, reason = "a table: each row is a pair with its reason, equal or not")]
fn turn(class: Class, mechanism: Mechanism) -> Turn {
    use Mechanism as M;
    match (class, mechanism) {
        (Class::Inert, _) => either(0.1),
        // What is good for a shorter time is past its date sooner; what somebody else's clock judges is refused.
        (Class::Lifetime, M::Expired) => less(10.0, 10.0),
        (Class::Lifetime, M::Access) => either(6.0),
        // Dates and the provider's own troubles are nobody's setting.
        (Class::Credential, M::Expired | M::Tls) => either(3.0),
        (_, M::Expired | M::Provider) => either(0.1),
        (Class::Timeout, M::Timeout | M::FunctionTimeout) => less(10.0, 4.0),
        // Who fails by himself fails no sooner for being given more time.
        (Class::Timeout, M::Upstream | M::Unreachable) => less(3.0, 1.0),
        // Who waits longer holds what he has for longer.
        (Class::Timeout, M::Pool | M::Overload) => both(4.0, 1.5, 1.5),
        (Class::Capacity, M::Pool) => less(10.0, 4.0),
        (Class::Capacity, M::Overload | M::Throttled) => less(8.0, 2.0),
        // More connections, threads and tasks are more work at once for whatever lies behind.
        (Class::Capacity, M::Timeout | M::FunctionTimeout | M::Handles) => both(1.0, 4.0, 1.5),
        (Class::Capacity, M::Memory) => both(4.0, 1.0, 1.5),
        (Class::Memory, M::Memory) => less(10.0, 4.0),
        // A function's processor grows with its memory.
        (Class::Memory, M::Timeout | M::FunctionTimeout) => less(4.0, 0.7),
        (Class::RateLimit, M::Throttled) => less(8.0, 8.0),
        // A low limit turns away, a high one lets in more than can be taken.
        (Class::RateLimit, M::Overload) => either(8.0),
        (Class::RateLimit, M::Upstream) => both(2.0, 0.3, 0.3),
        (Class::Concurrency, M::Pool | M::Handles | M::Contention) => more(8.0, 4.0),
        (Class::Concurrency, M::Memory | M::Upstream) => more(3.0, 3.0),
        // More at once is more than others take; fewer at once is a queue of one's own, or its own refusals.
        (Class::Concurrency, M::Overload | M::Throttled) => both(8.0, 4.0, 4.0),
        (Class::Concurrency, M::Timeout | M::FunctionTimeout) => either(3.0),
        (Class::Retry, M::Upstream | M::Timeout | M::Unreachable | M::Contention) => both(2.5, 6.0, 2.5),
        (Class::Retry, M::Overload | M::Throttled | M::Pool | M::FunctionTimeout) => more(6.0, 1.5),
        (Class::Batch, M::Timeout | M::FunctionTimeout | M::Memory) => more(8.0, 2.0),
        (Class::Batch, M::Throttled | M::Overload | M::Contract | M::Pool) => either(2.5),
        (Class::CacheLife, M::Overload | M::Timeout | M::Upstream | M::Throttled | M::Pool) => less(5.0, 1.0),
        // What is kept for longer is out of date for longer, and fills more room.
        (Class::CacheLife, M::Missing | M::Contract | M::Access | M::Memory) => more(3.0, 1.0),
        (Class::Network, M::Unreachable | M::Timeout | M::FunctionTimeout | M::Dns) => either(10.0),
        (Class::Network, M::Upstream | M::Pool) => either(2.0),
        (Class::Place, M::Dns | M::Unreachable | M::Missing) => either(6.0),
        (Class::Place, M::Access | M::Tls) => either(4.0),
        (Class::Place, M::Timeout | M::Upstream | M::Contract) => either(2.0),
        (Class::Credential, M::Access) => either(10.0),
        (Class::Contract, M::Contract) => either(8.0),
        (Class::Contract, M::Code | M::Upstream | M::Setting) => either(2.5),
        (Class::Flag, M::Code | M::Contract) => either(5.0),
        (Class::Flag, M::Pool | M::Unreachable | M::Handles | M::Contention | M::Missing | M::Access) => {
            either(1.5)
        }
        (
            Class::Flag,
            M::Timeout | M::FunctionTimeout | M::Memory | M::Overload | M::Upstream | M::Throttled,
        ) => either(1.5),
        // Less of what was put in on purpose.
        (Class::Fault, _) => more(4.0, 4.0),
        (_, M::Setting) => either(4.0),
        // Nothing is known about what it governs; failures that point elsewhere speak against it.
        (Class::Other, M::Upstream | M::Unreachable | M::Disk | M::Throttled) => either(0.4),
        (Class::Other, _) => either(1.0),
        (Class::Schedule, M::Overload | M::Pool | M::Contention | M::Timeout | M::Throttled) => either(2.0),
        (
            Class::Capacity | Class::Memory | Class::Timeout | Class::Concurrency | Class::Batch,
            M::Code | M::Contract,
        ) => either(0.3),
        (_, M::Disk) => either(0.3),
        _ => either(0.25),
    }
}

/// Without words in the errors: what the symptom's manner says of a setting.
#[expect(clippy::match_same_arms, reason = "a table: each row is a pair with its reason, equal or not")]
pub fn of_key_by_manner(class: Class, direction: Direction, manner: Option<Manner>) -> f64 {
    let down = matches!(direction, Direction::Down(_));
    let grew = matches!(direction, Direction::Up(_));
    let up = grew || matches!(direction, Direction::On | Direction::Added);
    match (class, manner) {
        (Class::Fault, _) => {
            if up {
                6.0
            } else if down || matches!(direction, Direction::Off | Direction::Removed) {
                // Less of what was put in on purpose: nobody says what fails, but it is hardly this.
                0.3
            } else {
                1.0
            }
        }
        (Class::Inert, _) => 0.1,
        (_, None) => 1.0,
        (Class::Capacity | Class::Memory | Class::RateLimit | Class::CacheLife, _) if down => 2.4,
        // Nobody says what fails, but it is hardly this.
        (Class::Memory | Class::CacheLife, _) if grew => 0.3,
        (Class::Timeout, Some(Manner::Failing)) if down => 2.4,
        (Class::Timeout, Some(Manner::Failing)) if grew => 0.3,
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

/// How well a change of this kind explains a mechanism, whatever its settings are called. `None` where its kind says nothing.
pub fn of_kind(kind: &ChangeKind, mechanism: Mechanism) -> Option<f64> {
    use Mechanism as M;
    Some(match kind {
        ChangeKind::IamPolicy => match mechanism {
            M::Access => 10.0,
            _ => 0.15,
        },
        ChangeKind::Secret => match mechanism {
            M::Access => 10.0,
            M::Expired | M::Tls => 2.0,
            _ => 0.3,
        },
        ChangeKind::SecurityGroup | ChangeKind::Network => match mechanism {
            M::Unreachable => 10.0,
            M::Timeout | M::FunctionTimeout => 6.0,
            M::Dns | M::Upstream | M::Pool => 2.0,
            _ => 0.15,
        },
        ChangeKind::DatabaseParameter => match mechanism {
            // A table's capacity is a database's setting as well.
            M::Pool | M::Contention | M::Throttled => 8.0,
            M::Timeout | M::FunctionTimeout | M::Unreachable | M::Memory | M::Disk => 3.0,
            _ => 0.3,
        },
        // A job that runs more often takes locks and room from everybody.
        ChangeKind::Schedule => match mechanism {
            M::Contention => 6.0,
            M::Pool | M::Overload | M::Timeout | M::Throttled => 2.5,
            _ => 0.6,
        },
        ChangeKind::LambdaConcurrency => match mechanism {
            M::Throttled | M::Overload => 10.0,
            M::Pool | M::Timeout | M::Upstream => 2.5,
            _ => 0.4,
        },
        _ => return None,
    })
}

/// How well new code explains a mechanism.
pub fn of_code(mechanism: Mechanism) -> f64 {
    use Mechanism as M;
    match mechanism {
        M::Code | M::Contract => 5.0,
        M::Setting | M::Contention => 2.0,
        M::Timeout | M::FunctionTimeout | M::Memory | M::Pool | M::Missing | M::Access | M::Handles => 1.0,
        M::Overload | M::Throttled | M::Unreachable | M::Dns | M::Tls => 0.6,
        M::Upstream => 0.4,
        M::Disk => 0.2,
        M::Expired | M::Provider => 0.1,
    }
}
