//! An ontology of configuration keys: from the words of a name and the values before and after to
//! what the change does, and from that to how well it explains how requests fail.
//!
//! It works on keys that it has never seen: classes are found by words, effects by type and
//! direction of the value. The rule that is not obvious: a mismatch is evidence as well. A bucket's
//! name does not make a certificate expire, however close in time.

mod class;
mod direction;
mod judge;
mod quote;
#[cfg(test)]
mod tests;

use judge::judge;
use quote::quote;

use super::compatibility::{Judged, of_key_by_manner};
use super::failure::Failure;
use super::metrics::Manner;
use super::settings::Standing;
use super::words;
use crate::domain::change::KeyChange;

pub use class::{Class, class};
pub use direction::{Direction, direction, number, truth};
pub use quote::is_repeated;

/// How well one key explains the failure.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    pub class: Class,
    pub direction: Direction,
    /// Likelihood ratio, 0.1 to 10.
    pub ratio: f64,
    /// The new value itself stands in the error: a host, a number of seconds.
    pub named: Option<String>,
    /// It can stand there only by this change: see [`quote`].
    pub decisive: bool,
    /// It moved away from what would bring these failures about.
    pub eases: bool,
}

impl Fit {
    /// It explains the failure, rather than merely not contradicting it.
    pub fn explains(&self) -> bool {
        self.ratio >= 2.5
    }
}

pub fn fit(change: &KeyChange, failure: &Failure) -> Fit {
    let mut class = class(&change.key, change.before.as_deref(), change.after.as_deref());
    let direction = direction(change, class);
    let mut quote = quote(change, class, failure);
    if class == Class::Inert {
        // Its name says that nothing depends on it; a new error that repeats its value, that something does.
        quote = quote.filter(|quote| quote.decisive);
        if quote.is_none() {
            return Fit { class, direction, ratio: 0.1, named: None, decisive: false, eases: false };
        }
        class = Class::Other;
    }
    let by_mechanism = failure
        .frequent()
        .map(|mechanism| judge(change, class, direction, mechanism, failure))
        .reduce(|best, other| if other.ratio > best.ratio { other } else { best });
    let unsaid = || Judged { ratio: of_key_by_manner(class, direction, failure.manner), ..Judged::default() };
    let said = by_mechanism.unwrap_or_else(unsaid);
    // That the errors speak of what there is more of now, or of another limit, or hold its number, is no reason to suspect it.
    let quote = quote.filter(|quote| quote.decisive || !(said.eases || said.beside));
    // What is given more time fails no sooner, and is slower: that the errors are eased does not clear it of that.
    let slows = said.eases && failure.manner == Some(Manner::Slow) && unsaid().ratio > 1.0;
    let Judged { mut ratio, eases, beside } = if slows { unsaid() } else { said };
    let eases = eases && quote.is_none();
    let shared = || failure.texts.iter().any(|text| quote::shares_words(&change.key, text));
    if !eases && !beside && shared() {
        ratio = (ratio * 3.0).max(3.0);
    }
    // A large move is likelier to hurt than a small one, whatever it governs.
    if let Direction::Up(factor) | Direction::Down(factor) = direction
        && ratio >= 1.0
    {
        ratio *= if factor >= 4.0 {
            1.3
        } else if factor < 1.3 {
            0.6
        } else {
            1.0
        };
    }
    if quote.is_some() {
        ratio = 10.0;
    }
    let decisive = quote.as_ref().is_some_and(|quote| quote.decisive);
    let named = quote.map(|quote| quote.value);
    Fit { class, direction, ratio: ratio.clamp(0.1, 10.0), named, decisive, eases }
}

/// Callers over what they share, where they were not over it before.
#[derive(Debug, Clone, PartialEq)]
pub struct Starved {
    pub callers: Side,
    pub pool: Side,
}

/// One of the two settings whose interaction hurts.
#[derive(Debug, Clone, PartialEq)]
pub struct Side {
    pub key: String,
    /// Its place among the changed keys; `None` where the change left it as it is.
    pub changed: Option<usize>,
    pub before: Option<f64>,
    pub after: f64,
}

/// Two settings that hurt together, at least one of them changed: callers who now exceed what they share
/// and did not before.
pub fn starved(changes: &[KeyChange], standing: &[Standing]) -> Option<Starved> {
    let value = |text: &Option<String>| text.as_deref().and_then(number);
    let of_changes = changes.iter().enumerate().filter_map(|(index, one)| {
        let class = class(&one.key, one.before.as_deref(), one.after.as_deref());
        let after = value(&one.after)?;
        Some((class, Side { key: one.key.clone(), changed: Some(index), before: value(&one.before), after }))
    });
    let of_others = standing.iter().filter_map(|one| {
        let class = class(&one.key, Some(&one.value), Some(&one.value));
        let after = number(&one.value)?;
        Some((class, Side { key: one.key.clone(), changed: None, before: Some(after), after }))
    });
    let sides: Vec<(Class, Side)> = of_changes.chain(of_others).collect();
    let pooled = |key: &str| {
        words::split(key).iter().any(|word| {
            matches!(
                words::stem(word),
                "pool" | "connection" | "conn" | "socket" | "slot" | "thread" | "worker"
            )
        })
    };
    let callers = || sides.iter().filter(|(class, _)| *class == Class::Concurrency).map(|(_, side)| side);
    let pools = || {
        let capacity = |(class, side): &&(Class, Side)| *class == Class::Capacity && pooled(&side.key);
        sides.iter().filter(capacity).map(|(_, side)| side)
    };
    // Where the change set both, the pair is told as one.
    for together in [true, false] {
        for callers in callers() {
            for pool in pools() {
                let changed = (callers.changed.is_some(), pool.changed.is_some());
                let asked = if together { changed == (true, true) } else { changed != (false, false) };
                let fitted = match (callers.before, pool.before) {
                    (Some(calls), Some(room)) => calls <= room,
                    _ => true,
                };
                if asked && callers.after > pool.after && fitted {
                    return Some(Starved { callers: callers.clone(), pool: pool.clone() });
                }
            }
        }
    }
    None
}
