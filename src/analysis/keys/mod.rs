//! An ontology of configuration keys: from the words of a name and the values before and after to
//! what the change does, and from that to how well it explains how requests fail.
//!
//! It works on keys that it has never seen: classes are found by words, effects by type and
//! direction of the value. The rule that is not obvious: a mismatch is evidence as well. A bucket's
//! name does not make a certificate expire, however close in time.

mod class;
mod compatibility;
mod quote;

use compatibility::{by_manner, compatibility};
use quote::quote;

use super::logs::phrases::Mechanism;
use super::metrics::Manner;
use super::quantities::Quantity;
use super::settings::Standing;
use super::words;
use crate::domain::change::KeyChange;

pub use class::{Class, class};
pub use quote::is_repeated;

/// Where the value went.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Direction {
    Up(f64),
    Down(f64),
    On,
    Off,
    Replaced,
    Added,
    Removed,
    /// One side or both are not known.
    Unknown,
}

/// `true`, `off`, … as truth values; numbers are not.
pub fn truth(value: &str) -> Option<bool> {
    match value.trim().to_ascii_lowercase().as_str() {
        "true" | "on" | "yes" | "enabled" => Some(true),
        "false" | "off" | "no" | "disabled" => Some(false),
        _ => None,
    }
}

/// A number with or without a unit: `30s`, `512MB`, `1.5`.
pub fn number(value: &str) -> Option<f64> {
    let value = value.trim();
    let end = value
        .char_indices()
        .find(|(index, c)| !(c.is_ascii_digit() || *c == '.' || (*index == 0 && matches!(c, '-' | '+'))))
        .map_or(value.len(), |(index, _)| index);
    let unit = value.get(end..)?.trim();
    if unit.len() > 7 || !unit.chars().all(|c| c.is_ascii_alphabetic() || c == '%' || c == '/') {
        return None;
    }
    let number: f64 = value.get(..end)?.parse().ok()?;
    let factor = match unit.to_ascii_lowercase().as_str() {
        "s" | "sec" | "secs" | "seconds" => 1000.0,
        "m" | "min" | "minutes" => 60_000.0,
        "h" => 3_600_000.0,
        _ => 1.0,
    };
    Some(number * factor)
}

pub fn direction(change: &KeyChange) -> Direction {
    match (change.before.as_deref(), change.after.as_deref()) {
        (Some(before), Some(after)) => {
            if let (Some(was), Some(is)) = (truth(before), truth(after)) {
                return match (was, is) {
                    (false, true) => Direction::On,
                    (true, false) => Direction::Off,
                    _ => Direction::Replaced,
                };
            }
            match (number(before), number(after)) {
                (Some(was), Some(is)) if is > was => Direction::Up(ratio(is, was)),
                (Some(was), Some(is)) if is < was => Direction::Down(ratio(was, is)),
                _ => Direction::Replaced,
            }
        }
        (None, Some(after)) if truth(after) == Some(true) => Direction::On,
        (None, Some(_)) => Direction::Added,
        (Some(_), None) => Direction::Removed,
        (None, None) => Direction::Unknown,
    }
}

fn ratio(large: f64, small: f64) -> f64 {
    if small > 0.0 { large / small } else { f64::INFINITY }
}

/// How requests fail: the mechanism of the new failures, the manner of the symptom, their words.
#[derive(Debug, Clone, Default)]
pub struct Failure {
    /// (mechanism, share of the new failing lines).
    pub mechanisms: Vec<(Mechanism, f64)>,
    /// The new failing lines, lower-case.
    pub texts: Vec<String>,
    /// What each of them says, and the numbers that all lines of its kind hold.
    pub said: Vec<(Option<Mechanism>, Vec<Quantity>)>,
    pub manner: Option<Manner>,
    /// The service's own tasks are killed or do not start: whatever else is said, it is not somebody else.
    pub own_tasks: bool,
}

impl Failure {
    fn mechanism_of(&self, text: usize) -> Option<Mechanism> {
        self.said.get(text).and_then(|(mechanism, _)| *mechanism)
    }

    fn steady_of(&self, text: usize) -> &[Quantity] {
        self.said.get(text).map_or(&[], |(_, steady)| steady)
    }
}

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
}

impl Fit {
    /// It explains the failure, rather than merely not contradicting it.
    pub fn explains(&self) -> bool {
        self.ratio >= 2.5
    }
}

pub fn fit(change: &KeyChange, failure: &Failure) -> Fit {
    let mut class = class(&change.key, change.before.as_deref(), change.after.as_deref());
    let direction = direction(change);
    let mut quote = quote(change, class, failure);
    if class == Class::Inert {
        // Its name says that nothing depends on it; a new error that repeats its value, that something does.
        quote = quote.filter(|quote| quote.decisive);
        if quote.is_none() {
            return Fit { class, direction, ratio: 0.1, named: None, decisive: false };
        }
        class = Class::Other;
    }
    let by_mechanism = failure
        .mechanisms
        .iter()
        .filter(|(_, share)| *share >= 0.2)
        .map(|(mechanism, _)| compatibility(class, direction, *mechanism))
        .fold(None, |best: Option<f64>, ratio| Some(best.map_or(ratio, |best| best.max(ratio))));
    let mut ratio = by_mechanism.unwrap_or_else(|| by_manner(class, direction, failure.manner));
    if failure.texts.iter().any(|text| quote::shares_words(&change.key, text)) {
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
    Fit { class, direction, ratio: ratio.clamp(0.1, 10.0), named: quote.map(|quote| quote.value), decisive }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn change(key: &str, before: &str, after: &str) -> KeyChange {
        KeyChange { key: key.to_owned(), before: Some(before.to_owned()), after: Some(after.to_owned()) }
    }

    fn failing(text: &str) -> Failure {
        let mechanism = crate::analysis::logs::phrases::mechanism(text, None);
        Failure {
            mechanisms: mechanism.map(|mechanism| vec![(mechanism, 1.0)]).unwrap_or_default(),
            texts: vec![text.to_lowercase()],
            said: vec![(mechanism, crate::analysis::quantities::read(&text.to_lowercase()))],
            manner: Some(Manner::Failing),
            own_tasks: false,
        }
    }

    #[test]
    fn keys_never_seen_are_classed_by_their_words() {
        for (key, before, after, expected) in [
            ("DB_POOL_SIZE", "10", "5", Class::Capacity),
            ("ledgerWriterThreads", "16", "2", Class::Capacity),
            ("upstream.read-timeout", "5s", "200ms", Class::Timeout),
            ("MAX_CONCURRENT", "5", "8", Class::Concurrency),
            ("/shop/checkout/rate-limit", "800", "20", Class::RateLimit),
            ("NODE_HEAP_MB", "768", "96", Class::Memory),
            ("LOG_LEVEL", "INFO", "DEBUG", Class::Inert),
            ("releaseTag", "r1", "r2", Class::Inert),
            ("DOCS_LINK", "/v1", "/v2", Class::Inert),
            ("mergeDocs.batch", "40", "9000", Class::Batch),
            ("INVOICE_BUCKET", "a-prod", "a-prd", Class::Place),
            ("partner_api_version", "2024-10", "2025-01", Class::Contract),
            ("newPricing.enabled", "false", "true", Class::Flag),
            ("/petstore/searchdelay", "0", "500", Class::Fault),
            ("/petstore/searcherrorpercent", "0", "40", Class::Fault),
            ("JWT_AUDIENCE", "api.prod", "api.prd", Class::Credential),
            ("EMAIL_HOST", "mail-1.internal", "mail-2.internal", Class::Place),
            ("OWNER_EMAIL", "a@shop.example", "b@shop.example", Class::Inert),
            ("COMMENT_TABLE", "notes-a", "notes-b", Class::Place),
            ("COMMENT", "first", "second", Class::Inert),
            ("UI_TIMEOUT_MS", "900", "90", Class::Timeout),
            ("UI_PALETTE", "warm", "cold", Class::Inert),
            ("METRICS_POOL_SIZE", "9", "2", Class::Capacity),
            ("APP_DB_NAME", "shop", "shop2", Class::Place),
            ("TOKEN_TTL", "3600", "60", Class::Lifetime),
            ("session.maxAge", "3600", "60", Class::Lifetime),
            ("CATALOG_TTL", "3600", "60", Class::CacheLife),
            ("retry_max_attempts", "3", "0", Class::Retry),
            ("ReservedConcurrentExecutions", "100", "2", Class::Capacity),
        ] {
            assert_eq!(class(key, Some(before), Some(after)), expected, "{key}");
        }
    }

    #[test]
    fn a_key_that_explains_beats_one_that_does_not() {
        let pool = failing("Database connection timeout - pool exhausted");
        assert!(fit(&change("DB_POOL_SIZE", "10", "5"), &pool).explains());
        assert!(fit(&change("MAX_CONCURRENT", "5", "8"), &pool).explains());
        assert!(!fit(&change("LOG_LEVEL", "INFO", "WARN"), &pool).explains());
        let expired = failing("x509: certificate has expired or is not yet valid");
        assert!(fit(&change("S3_BUCKET", "prod-artifacts-1", "prod-artifact-1"), &expired).ratio < 0.2);
        let host = failing("no route to host orders-db-old.cluster-c1.internal");
        let fitting = fit(
            &change("DB_HOST", "orders-db.cluster-c1.internal", "orders-db-old.cluster-c1.internal"),
            &host,
        );
        assert_eq!(fitting.named.as_deref(), Some("orders-db-old.cluster-c1.internal"));
        let cut = failing("Task timed out after 2.00 seconds");
        assert_eq!(fit(&change("Timeout", "30", "2"), &cut).named.as_deref(), Some("2"));
    }

    #[test]
    fn a_name_in_the_error_decides_and_a_word_does_not() {
        let decisive = |key: &str, before: &str, after: &str, text: &str| {
            fit(&change(key, before, after), &failing(text)).decisive
        };
        assert!(decisive(
            "LEDGER",
            "ledger-2.internal",
            "ledger-7.internal",
            "no route to ledger-7.internal"
        ));
        assert!(decisive(
            "Role",
            "arn:aws:iam::1:role/app-a",
            "arn:aws:iam::1:role/app-b",
            "role app-b is not allowed"
        ));
        assert!(decisive("tileCache.entries", "9000", "70", "tile cache turns over: 70 entries"));
        assert!(decisive("HOLD_SECONDS", "900", "9", "hold was over after 9s"));
        // A word of every day, a number without the key's words, or one that somebody always says.
        assert!(!decisive("CHECK", "loose", "strict", "strict check failed"));
        assert!(!decisive("tileCache.entries", "9000", "70", "order 70 was refused"));
        assert!(!decisive("giveUpRetries", "9", "70", "no answer after 70 retries"));
        assert!(!decisive("renderSlots", "3", "7", "render slots: 7 of 7 in use"));
        // A host that answers exists.
        assert!(!decisive(
            "LEDGER",
            "ledger-2.internal",
            "ledger-7.internal",
            "ledger-7.internal returned 503"
        ));
    }

    #[test]
    fn an_inert_name_never_beats_what_the_errors_repeat() {
        let told = failing("no route to brass-7.internal");
        let fitting = fit(&change("MOTD", "brass-2.internal", "brass-7.internal"), &told);
        assert!(fitting.decisive && fitting.ratio > 9.0 && fitting.class != Class::Inert, "{fitting:?}");
        // A word of every day is no evidence, nor is the release's label that every line repeats.
        assert_eq!(
            fit(&change("BANNER", "summer", "winter"), &failing("winter coats are sold out")).class,
            Class::Inert
        );
        let label = failing("release r-2026-41: connection refused");
        assert!(!fit(&change("RELEASE_TAG", "r-2026-40", "r-2026-41"), &label).decisive);
    }

    #[test]
    fn a_shorter_lifetime_explains_what_expires() {
        let expired = failing("TokenExpiredError: jwt expired");
        assert!(fit(&change("TOKEN_TTL", "3600", "60"), &expired).explains());
        assert!(!fit(&change("TOKEN_TTL", "60", "3600"), &expired).explains());
        assert!(!fit(&change("PRICE_HOST", "a.internal", "b.internal"), &expired).explains());
    }

    #[test]
    fn eight_callers_starve_a_pool_of_five() {
        let keys = [change("DB_POOL_SIZE", "10", "5"), change("MAX_CONCURRENT", "5", "8")];
        let found = starved(&keys, &[]).unwrap();
        assert_eq!((found.callers.changed, found.pool.changed), (Some(1), Some(0)));
        assert_eq!((found.callers.after, found.pool.after, found.pool.before), (8.0, 5.0, Some(10.0)));
        let enough = [change("DB_POOL_SIZE", "10", "9"), change("MAX_CONCURRENT", "5", "8")];
        assert_eq!(starved(&enough, &[]), None);
    }

    #[test]
    fn one_setting_starves_callers_that_the_change_left_alone() {
        let standing = |key: &str, value: &str| [Standing { key: key.to_owned(), value: value.to_owned() }];
        let lowered = [change("DB_POOL_SIZE", "10", "5")];
        let found = starved(&lowered, &standing("max_concurrent", "8")).unwrap();
        assert_eq!((found.callers.changed, found.callers.after, found.pool.after), (None, 8.0, 5.0));
        let raised = [change("MAX_CONCURRENT", "5", "12")];
        let found = starved(&raised, &standing("db_pool_size", "10")).unwrap();
        assert_eq!((found.pool.changed, found.callers.after, found.pool.after), (None, 12.0, 10.0));
        // Room for all of them, callers who were too many before, and what is no pool.
        assert_eq!(starved(&lowered, &standing("max_concurrent", "5")), None);
        assert_eq!(starved(&lowered, &standing("max_concurrent", "64")), None);
        assert_eq!(starved(&raised, &standing("page_size", "10")), None);
        // Two settings that nobody touched are nobody's fault.
        let untouched = [standing("max_concurrent", "8"), standing("db_pool_size", "5")].concat();
        assert_eq!(starved(&[change("GREETING", "a", "b")], &untouched), None);
    }

    #[test]
    fn numbers_carry_units() {
        assert_eq!(number("30s"), Some(30_000.0));
        assert_eq!(number("512"), Some(512.0));
        assert_eq!(number("https://a"), None);
        assert_eq!(number("1e400"), None);
    }
}
