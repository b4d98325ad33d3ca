//! What a configuration key governs, by the words of its name.

use super::{number, truth};
use crate::analysis::words;

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
    /// How long a token, a session or a signature is good for.
    Lifetime,
    /// Where something is: a host, a bucket, a table.
    Place,
    /// The way to all that is elsewhere: subnets, security groups.
    Network,
    Credential,
    /// Versions, formats, modes that two sides must agree on.
    Contract,
    Flag,
    /// Deliberate trouble: injected delays and errors.
    Fault,
    Schedule,
    Other,
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
    let numeric = [before, after].into_iter().flatten().any(|value| number(value).is_some());
    // A link to the docs is a label; a number of docs is how many documents.
    if is_link_for_people(&has) || has(&["docs"]) && !numeric || names_a_release(&has) || is_of_the_log(&has)
    {
        return Class::Inert;
    }
    let address = |value: Option<&str>| value.is_none_or(|value| value.contains('@'));
    let mail = has(&["email", "mail"]) && address(before) && address(after);
    // A word for something that no request depends on, and none beside it for something that it does.
    if (mail || inert(&has)) && !works(&has, numeric) {
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
    if has(&["vpc", "subnet"]) || (has(&["security"]) && has(&["group"])) {
        return Class::Network;
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
    if has(&[
        "token",
        "session",
        "jwt",
        "credential",
        "signature",
        "cookie",
        "presign",
        "presigned",
        "ticket",
        "sts",
        "assume",
        "clock",
    ]) && (has(&[
        "ttl",
        "expiry",
        "expiration",
        "expire",
        "expires",
        "lifetime",
        "life",
        "validity",
        "maxage",
        "age",
        "duration",
        "skew",
        "leeway",
        "tolerance",
    ]) || has(&["second", "minute", "hour"]) && numeric)
    {
        return Class::Lifetime;
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
    ]) || has(&["db"]) && has(&["name"])
        || after.is_some_and(looks_like_a_place)
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

/// Labels of a release, which the logs may repeat in every line.
fn names_a_release(has: &dyn Fn(&[&str]) -> bool) -> bool {
    (has(&["tag", "label", "name"])
        && has(&["release", "build", "git", "image", "app", "display", "owner", "cost", "deploy"]))
        && !has(&["db", "database", "table", "bucket", "queue", "topic", "host"])
        || has(&["sha", "gitsha", "changelog"])
        || (has(&["build", "release"]) && has(&["id", "number", "date", "version"]))
}

/// Whether a key's value is a release's label: that an error repeats it says who wrote the line.
pub(super) fn is_label(key: &str) -> bool {
    let words = words::split_deeply(key);
    let has = |names: &[&str]| {
        words.iter().any(|word| names.contains(&word.as_str()) || names.contains(&words::stem(word)))
    };
    names_a_release(&has) || is_of_the_log(&has)
}

fn is_of_the_log(has: &dyn Fn(&[&str]) -> bool) -> bool {
    has(&["log", "logging", "logger"]) && has(&["level", "format", "verbosity", "color", "prefix"])
        || has(&["trace", "traces"]) && has(&["rate", "ratio", "sample"])
}

fn is_link_for_people(has: &dyn Fn(&[&str]) -> bool) -> bool {
    has(&["support", "help"]) && has(&["url", "phone", "text"])
}

fn inert(has: &dyn Fn(&[&str]) -> bool) -> bool {
    has(&[
        "banner",
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
        "metrics",
        "statsd",
        "prometheus",
        "palette",
        "density",
        "font",
        "ui",
    ])
}

/// Words for a place, a capacity, a time limit or a credential: what work depends on, whatever it is for.
fn works(has: &dyn Fn(&[&str]) -> bool, numeric: bool) -> bool {
    has(&[
        "host",
        "hostname",
        "endpoint",
        "url",
        "uri",
        "server",
        "broker",
        "bootstrap",
        "dsn",
        "bucket",
        "table",
        "topic",
        "database",
        "db",
        "queue",
        "upstream",
        "gateway",
        "proxy",
        "domain",
        "timeout",
        "deadline",
        "password",
        "secret",
        "token",
        "credential",
        "cert",
        "certificate",
        "apikey",
        "auth",
        "pool",
        "connection",
        "retry",
        "ttl",
    ]) || numeric
        && has(&[
            "port",
            "limit",
            "max",
            "thread",
            "worker",
            "concurrency",
            "batch",
            "memory",
            "rate",
            "buffer",
        ])
}

fn looks_like_a_place(value: &str) -> bool {
    value.contains("://")
        || value.starts_with("arn:")
        || value.contains(".internal")
        || value.contains(".amazonaws.com")
}
