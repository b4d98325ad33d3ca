//! An ontology of configuration keys: from the words of a name and the values before and after to
//! what the change does, and from that to how well it explains how requests fail.
//!
//! It works on keys that it has never seen: classes are found by words, effects by type and
//! direction of the value. The rule that is not obvious: a mismatch is evidence as well. A bucket's
//! name does not make a certificate expire, however close in time.

use super::logs::phrases::Mechanism;
use super::metrics::Manner;
use super::words;
use crate::domain::change::KeyChange;

/// What a key governs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Labels, banners, log levels, sampling: nothing that a request depends on.
    Inert,
    /// The time that something may take.
    Timeout,
    /// How much there is of something: connections, memory, threads, queue slots, calls per second.
    Capacity,
    Memory,
    RateLimit,
    /// How much is done at the same time.
    Concurrency,
    Retry,
    Batch,
    CacheLife,
    /// Where something is: a host, a bucket, a table.
    Place,
    Credential,
    /// Versions, formats, modes that two sides must agree on.
    Contract,
    Flag,
    /// Deliberate trouble: injected delays and errors.
    Fault,
    Schedule,
    Other,
}

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

/// Reads the class of a key from its words, and where the words leave it open from its values.
pub fn class(key: &str, before: Option<&str>, after: Option<&str>) -> Class {
    let words = words::split_deeply(key);
    let has = |names: &[&str]| {
        words.iter().any(|word| names.contains(&word.as_str()) || names.contains(&words::stem(word)))
    };
    // `searchdelay`, `searcherrorpercent`: names without any boundary.
    let ends = |names: &[&str]| {
        words.iter().any(|word| names.iter().any(|name| word.len() > name.len() && word.ends_with(name)))
    };
    let boolean = |value: Option<&str>| value.is_some_and(|value| truth(value).is_some());
    let numeric = before.or(after).is_some_and(|value| number(value).is_some());
    if inert(&has) {
        return Class::Inert;
    }
    if has(&["inject", "injection", "chaos", "fault", "simulate", "simulated", "sleep"])
        || (numeric
            && (has(&["error", "fail", "failure"])
                && has(&["rate", "percent", "ratio", "probability", "pct"])
                || has(&["delay", "lag"]) && !has(&["retry", "visibility", "queue", "message", "backoff"])
                || ends(&["delay", "errorpercent", "errorrate", "failrate", "latency"])))
    {
        return Class::Fault;
    }
    if has(&["timeout", "deadline", "budget", "ttfb", "patience"])
        || ends(&["timeout"])
        || (has(&["wait"]) && numeric)
    {
        return Class::Timeout;
    }
    if has(&["retry", "retries", "attempt", "redelivery", "backoff", "retr"]) {
        return Class::Retry;
    }
    if has(&["ttl", "cache", "expiry", "maxage", "staleness"])
        && (numeric || has(&["ttl", "life", "lifetime", "second"]))
    {
        return Class::CacheLife;
    }
    if has(&["batch", "chunk", "page", "bulk", "window"]) && numeric {
        return Class::Batch;
    }
    if has(&["memory", "heap", "mem", "memorysize", "xmx", "ram"]) {
        return Class::Memory;
    }
    if has(&["rps", "qps", "tps", "throttle", "burst"]) || (has(&["rate"]) && has(&["limit", "max", "quota"]))
    {
        return Class::RateLimit;
    }
    if has(&[
        "concurrent",
        "concurrency",
        "parallel",
        "parallelism",
        "inflight",
        "caller",
        "fanout",
        "prefetch",
    ]) && !has(&["reserved", "provisioned"])
    {
        return Class::Concurrency;
    }
    if numeric
        && has(&[
            "pool",
            "connection",
            "conn",
            "socket",
            "thread",
            "worker",
            "slot",
            "cpu",
            "replica",
            "desired",
            "buffer",
            "depth",
            "capacity",
            "limit",
            "quota",
            "size",
            "reserved",
            "provisioned",
            "executor",
            "consumer",
            "shard",
            "partition",
            "task",
            "count",
            "descriptor",
            "max",
            "maximum",
            "min",
            "minimum",
        ])
    {
        return Class::Capacity;
    }
    let switch = has(&[
        "enable",
        "enabled",
        "disable",
        "disabled",
        "use",
        "feature",
        "flag",
        "toggle",
        "rollout",
        "new",
        "beta",
        "experiment",
        "keepalive",
    ]);
    if (boolean(before) || boolean(after)) || (switch && !numeric) || has(&["rollout"]) {
        return Class::Flag;
    }
    if has(&[
        "password",
        "passwd",
        "secret",
        "token",
        "credential",
        "cert",
        "certificate",
        "role",
        "audience",
        "issuer",
        "jwt",
        "oauth",
        "scope",
        "permission",
        "policy",
        "principal",
        "kms",
        "apikey",
        "auth",
        "username",
    ]) || (has(&["key"]) && has(&["api", "access", "private", "signing"]))
    {
        return Class::Credential;
    }
    if has(&[
        "url",
        "uri",
        "host",
        "hostname",
        "endpoint",
        "addr",
        "address",
        "server",
        "broker",
        "bootstrap",
        "dsn",
        "port",
        "domain",
        "proxy",
        "bucket",
        "table",
        "topic",
        "stream",
        "index",
        "database",
        "cluster",
        "arn",
        "region",
        "queue",
        "path",
        "dns",
        "upstream",
        "origin",
        "gateway",
        "collection",
        "keyspace",
        "prefix",
    ]) || after.is_some_and(looks_like_a_place)
    {
        return Class::Place;
    }
    if has(&[
        "version",
        "schema",
        "protocol",
        "format",
        "encoding",
        "serializer",
        "codec",
        "mode",
        "dialect",
        "compat",
        "algorithm",
        "runtime",
        "handler",
        "locale",
        "currency",
    ]) {
        return Class::Contract;
    }
    if has(&["cron", "schedule", "interval", "period", "frequency"]) {
        return Class::Schedule;
    }
    if boolean(before) && boolean(after) { Class::Flag } else { Class::Other }
}

fn inert(has: &dyn Fn(&[&str]) -> bool) -> bool {
    (has(&["log", "logging", "logger"]) && has(&["level", "format", "verbosity", "color", "prefix"]))
        || has(&[
            "banner",
            "email",
            "motd",
            "otel",
            "telemetry",
            "sampler",
            "sampling",
            "tracing",
            "theme",
            "colour",
            "owner",
            "contact",
            "description",
            "comment",
            "copyright",
            "greeting",
            "tagline",
        ])
        || (has(&["tag", "label", "name"])
            && has(&["release", "build", "git", "image", "app", "display", "owner", "cost", "deploy"]))
        || has(&[
            "sha",
            "gitsha",
            "changelog",
            "docs",
            "metrics",
            "statsd",
            "prometheus",
            "palette",
            "copyright",
            "density",
            "font",
            "ui",
        ])
        || (has(&["build", "release"]) && has(&["id", "number", "date", "version"]))
        || (has(&["trace", "traces"]) && has(&["rate", "ratio", "sample"]))
        || (has(&["support", "help"]) && has(&["url", "phone", "text"]))
}

fn looks_like_a_place(value: &str) -> bool {
    value.contains("://")
        || value.starts_with("arn:")
        || value.contains(".internal")
        || value.contains(".amazonaws.com")
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
    pub manner: Option<Manner>,
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
}

impl Fit {
    /// It explains the failure, rather than merely not contradicting it.
    pub fn explains(&self) -> bool {
        self.ratio >= 2.5
    }
}

pub fn fit(change: &KeyChange, failure: &Failure) -> Fit {
    let class = class(&change.key, change.before.as_deref(), change.after.as_deref());
    let direction = direction(change);
    if class == Class::Inert {
        return Fit { class, direction, ratio: 0.1, named: None };
    }
    let named = value_in_error(change, class, failure);
    let by_mechanism = failure
        .mechanisms
        .iter()
        .filter(|(_, share)| *share >= 0.2)
        .map(|(mechanism, _)| compatibility(class, direction, *mechanism))
        .fold(None, |best: Option<f64>, ratio| Some(best.map_or(ratio, |best| best.max(ratio))));
    let mut ratio = by_mechanism.unwrap_or_else(|| by_manner(class, direction, failure.manner));
    if shares_words(change, failure) {
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
    if named.is_some() {
        ratio = 10.0;
    }
    Fit { class, direction, ratio: ratio.clamp(0.1, 10.0), named }
}

/// The part of the new value, absent from the old, that the errors name.
fn value_in_error(change: &KeyChange, class: Class, failure: &Failure) -> Option<String> {
    let after = change.after.as_deref()?;
    let old = change.before.as_deref().map(words::tokens).unwrap_or_default();
    for token in words::tokens(after) {
        if !old.contains(&token) && failure.texts.iter().any(|text| words::contains_token(text, &token)) {
            return Some(token);
        }
    }
    if matches!(
        class,
        Class::Timeout | Class::Capacity | Class::Concurrency | Class::Memory | Class::RateLimit
    ) && change.before.is_some()
        && let Some(value) = number(after)
        && value > 0.0
    {
        let timed = class == Class::Timeout;
        let mechanism_fits = failure.mechanisms.iter().any(|(mechanism, share)| {
            *share >= 0.2
                && match class {
                    Class::Timeout => {
                        matches!(mechanism, Mechanism::Timeout | Mechanism::FunctionTimeout | Mechanism::Pool)
                    }
                    _ => matches!(
                        mechanism,
                        Mechanism::Pool | Mechanism::Memory | Mechanism::Overload | Mechanism::Throttled
                    ),
                }
        });
        let same = |found: f64| {
            (found - value).abs() < 1e-6
                || (timed && ((found * 1000.0 - value).abs() < 1e-6 || (found - value * 1000.0).abs() < 1e-6))
        };
        if mechanism_fits && failure.texts.iter().any(|text| words::numbers(text).into_iter().any(same)) {
            return Some(after.to_owned());
        }
    }
    None
}

/// The key's telling words stand in the errors.
fn shares_words(change: &KeyChange, failure: &Failure) -> bool {
    const COMMON: [&str; 40] = [
        "max", "min", "size", "count", "limit", "enable", "enabled", "use", "new", "feature", "flag", "the",
        "time", "timeout", "seconds", "second", "ms", "http", "https", "url", "api", "service", "client",
        "server", "request", "default", "prod", "app", "config", "mode", "version", "name", "host", "port",
        "rate", "number", "level", "type", "id", "key",
    ];
    let own: Vec<String> = words::split(&change.key)
        .into_iter()
        .filter(|word| {
            word.len() >= 4 && !COMMON.contains(&word.as_str()) && !COMMON.contains(&words::stem(word))
        })
        .collect();
    own.iter().any(|word| {
        let stem = words::stem(word);
        failure.texts.iter().any(|text| words::split(text).iter().any(|other| words::stem(other) == stem))
    })
}

/// How likely this mechanism is under such a change, over how likely it is otherwise.
fn compatibility(class: Class, direction: Direction, mechanism: Mechanism) -> f64 {
    use Mechanism as M;
    let up = matches!(direction, Direction::Up(_));
    let down = matches!(direction, Direction::Down(_));
    let unsure = !up && !down;
    match (class, mechanism) {
        (Class::Inert, _) => 0.1,
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
fn by_manner(class: Class, direction: Direction, manner: Option<Manner>) -> f64 {
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
        (Class::Capacity | Class::Memory | Class::RateLimit | Class::CacheLife, _) if down => 3.0,
        (Class::Timeout, Some(Manner::Failing)) if down => 3.0,
        (Class::Timeout, Some(Manner::Slow)) => {
            if down {
                0.5
            } else {
                2.0
            }
        }
        (Class::Retry | Class::Batch | Class::Concurrency, Some(Manner::Slow)) if up => 3.0,
        (Class::Place | Class::Credential | Class::Contract, Some(Manner::Failing)) => 2.0,
        (Class::Flag, _) => 1.5,
        _ => 1.0,
    }
}

/// Two keys that hurt together: callers over what they share. (callers' key index, capacity's key
/// index, callers, capacity) where callers now exceed the capacity and did not before.
pub fn starved(changes: &[KeyChange]) -> Option<(usize, usize, f64, f64)> {
    let classes: Vec<Class> =
        changes.iter().map(|one| class(&one.key, one.before.as_deref(), one.after.as_deref())).collect();
    let value = |text: &Option<String>| text.as_deref().and_then(number);
    for (callers, caller) in changes.iter().enumerate() {
        if classes[callers] != Class::Concurrency {
            continue;
        }
        for (pool, capacity) in changes.iter().enumerate() {
            let pooled = words::split(&capacity.key).iter().any(|word| {
                matches!(
                    words::stem(word),
                    "pool" | "connection" | "conn" | "socket" | "slot" | "thread" | "worker"
                )
            });
            if classes[pool] != Class::Capacity || !pooled {
                continue;
            }
            if let (Some(calls), Some(room)) = (value(&caller.after), value(&capacity.after)) {
                let fitted = match (value(&caller.before), value(&capacity.before)) {
                    (Some(calls), Some(room)) => calls <= room,
                    _ => true,
                };
                if calls > room && fitted {
                    return Some((callers, pool, calls, room));
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
            manner: Some(Manner::Failing),
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
            ("INVOICE_BUCKET", "a-prod", "a-prd", Class::Place),
            ("partner_api_version", "2024-10", "2025-01", Class::Contract),
            ("newPricing.enabled", "false", "true", Class::Flag),
            ("/petstore/searchdelay", "0", "500", Class::Fault),
            ("/petstore/searcherrorpercent", "0", "40", Class::Fault),
            ("JWT_AUDIENCE", "api.prod", "api.prd", Class::Credential),
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
    fn eight_callers_starve_a_pool_of_five() {
        let keys = [change("DB_POOL_SIZE", "10", "5"), change("MAX_CONCURRENT", "5", "8")];
        assert_eq!(starved(&keys), Some((1, 0, 8.0, 5.0)));
        assert_eq!(starved(&[change("DB_POOL_SIZE", "10", "9"), change("MAX_CONCURRENT", "5", "8")]), None);
    }

    #[test]
    fn numbers_carry_units() {
        assert_eq!(number("30s"), Some(30_000.0));
        assert_eq!(number("512"), Some(512.0));
        assert_eq!(number("https://a"), None);
        assert_eq!(number("1e400"), None);
    }
}
