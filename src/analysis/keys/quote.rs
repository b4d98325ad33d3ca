//! Whether the new value of a key stands verbatim in the errors that came with the incident.
//!
//! A host, a bucket or a role that was in no configuration before and now stands in an error never seen
//! before got there through that configuration: whenever the change was made, and whoever else fails by
//! it. Three rules keep chance out. A word that is no name (`strict`, `true`) may stand in any sentence, so
//! it supports and does not decide. A number counts only where it stands in all lines of the kind and the
//! key's own words stand beside it. And a host that answers, if with a failure, exists: then it is that
//! host's own trouble as likely as the change's.

use super::class::is_label;
use super::{Class, Direction, Failure, direction};
use crate::analysis::logs::phrases::Mechanism;
use crate::analysis::{quantities, words};
use crate::domain::change::KeyChange;

/// A new value that the errors repeat.
#[derive(Debug, Clone, PartialEq)]
pub struct Quote {
    pub value: String,
    /// It is a name of its own or a number with the key's words: no chance.
    pub decisive: bool,
}

/// The part of the new value, absent from the old, that the errors name.
pub fn quote(change: &KeyChange, class: Class, failure: &Failure) -> Option<Quote> {
    if is_label(&change.key) {
        return None;
    }
    let after = change.after.as_deref()?;
    let old = change.before.as_deref().map(words::tokens).unwrap_or_default();
    let named = words::tokens(after)
        .into_iter()
        .filter(|token| !old.contains(token))
        .filter_map(|token| {
            let at = failure.texts.iter().position(|text| words::contains_token(text, &token))?;
            let answered = matches!(
                failure.mechanism_of(at),
                Some(Mechanism::Upstream | Mechanism::Throttled | Mechanism::Overload)
            );
            Some(Quote { decisive: is_name(&token) && !answered, value: token })
        })
        .max_by_key(|quote| quote.decisive);
    named.or_else(|| number(change, class, failure))
}

/// A name that no sentence holds by chance: letters with digits or with parts.
fn is_name(token: &str) -> bool {
    token.len() >= 5
        && token.chars().any(char::is_alphabetic)
        && token.chars().any(|letter| letter.is_ascii_digit() || matches!(letter, '-' | '_' | '.'))
}

fn number(change: &KeyChange, class: Class, failure: &Failure) -> Option<Quote> {
    let after = change.after.as_deref()?;
    let value = quantities::of_value(after, &change.key)?;
    let before = change.before.as_deref().and_then(|before| quantities::of_value(before, &change.key));
    if value.number < 2.0 || before.is_some_and(|before| before.is(&value)) {
        return None;
    }
    // How often and how long somebody tries is said whenever he gives up. More room is never too little.
    let relaxed = matches!(direction(change, class), Direction::Up(_))
        && matches!(class, Class::Capacity | Class::Memory | Class::RateLimit);
    let told = !relaxed && !matches!(class, Class::Retry | Class::Timeout);
    if told && stands_beside(&change.key, &value, failure) {
        return Some(Quote { value: after.to_owned(), decisive: true });
    }
    let fits = |mechanism: Mechanism| match class {
        Class::Timeout => {
            matches!(mechanism, Mechanism::Timeout | Mechanism::FunctionTimeout | Mechanism::Pool)
        }
        Class::Capacity | Class::Concurrency | Class::Memory | Class::RateLimit => matches!(
            mechanism,
            Mechanism::Pool | Mechanism::Memory | Mechanism::Overload | Mechanism::Throttled
        ),
        _ => false,
    };
    let timed = class == Class::Timeout;
    let same = |found: &quantities::Quantity| {
        found.is(&value)
            || timed
                && ((found.number * 1000.0 - value.number).abs() < 1e-6
                    || (found.number - value.number * 1000.0).abs() < 1e-6)
    };
    let supported = change.before.is_some()
        && failure.mechanisms.iter().any(|(mechanism, share)| *share >= 0.2 && fits(*mechanism))
        && (0..failure.texts.len()).any(|at| failure.steady_of(at).iter().any(same));
    supported.then(|| Quote { value: after.to_owned(), decisive: false })
}

/// Whether the errors hold a setting's number beside the words of its name.
pub fn is_repeated(key: &str, value: &str, failure: &Failure) -> bool {
    quantities::of_value(value, key)
        .is_some_and(|value| value.number >= 2.0 && stands_beside(key, &value, failure))
}

fn stands_beside(key: &str, value: &quantities::Quantity, failure: &Failure) -> bool {
    failure.texts.iter().enumerate().any(|(at, text)| {
        failure.steady_of(at).iter().any(|found| found.is(value)) && shares_words(key, text)
    })
}

/// Whether a telling word of the key stands in a text.
pub(super) fn shares_words(key: &str, text: &str) -> bool {
    const COMMON: [&str; 40] = [
        "max", "min", "size", "count", "limit", "enable", "enabled", "use", "new", "feature", "flag", "the",
        "time", "timeout", "seconds", "second", "ms", "http", "https", "url", "api", "service", "client",
        "server", "request", "default", "prod", "app", "config", "mode", "version", "name", "host", "port",
        "rate", "number", "level", "type", "id", "key",
    ];
    let own = words::split(key);
    let telling = own.iter().filter(|word| {
        word.len() >= 4 && !COMMON.contains(&word.as_str()) && !COMMON.contains(&words::stem(word))
    });
    let said = words::split(text);
    telling.into_iter().any(|word| said.iter().any(|other| words::stem(other) == words::stem(word)))
}
