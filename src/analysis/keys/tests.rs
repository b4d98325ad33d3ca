//! Keys by their names, their values and the errors that they meet.
//!
//! The rule that is not obvious: each row of what a key explains is judged the other way round as well.

use super::*;
use crate::analysis::metrics::Manner;

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
    let fitting =
        fit(&change("DB_HOST", "orders-db.cluster-c1.internal", "orders-db-old.cluster-c1.internal"), &host);
    assert_eq!(fitting.named.as_deref(), Some("orders-db-old.cluster-c1.internal"));
    let cut = failing("Task timed out after 2.00 seconds");
    assert_eq!(fit(&change("Timeout", "30", "2"), &cut).named.as_deref(), Some("2"));
}

#[test]
fn a_name_in_the_error_decides_and_a_word_does_not() {
    let decisive = |key: &str, before: &str, after: &str, text: &str| {
        fit(&change(key, before, after), &failing(text)).decisive
    };
    assert!(decisive("LEDGER", "ledger-2.internal", "ledger-7.internal", "no route to ledger-7.internal"));
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
    assert!(!decisive("LEDGER", "ledger-2.internal", "ledger-7.internal", "ledger-7.internal returned 503"));
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

/// Key, the value that hurts not, the one that hurts, and what the errors say then.
const TURNED: [(&str, &str, &str, &str); 17] = [
    ("PG_POOL_MAX", "30", "3", "timed out waiting for a pooled connection"),
    ("RATE_LIMIT_RPS", "900", "100", "429 rate limit exceeded for caller, bucket empty"),
    ("NODE_HEAP_MB", "1024", "256", "JavaScript heap out of memory"),
    ("MemorySize", "1024", "128", "java.lang.OutOfMemoryError: Java heap space"),
    ("READ_TIMEOUT_MS", "3000", "300", "Timeout waiting for search: no response"),
    ("Timeout", "30", "2", "Task timed out after 2.00 seconds"),
    ("POOL_ACQUIRE_TIMEOUT_MS", "5000", "50", "timed out waiting for a pooled connection"),
    ("MAX_CONCURRENT", "4", "20", "timed out waiting for a pooled connection"),
    ("TOKEN_TTL", "3600", "60", "TokenExpiredError: jwt expired"),
    ("ITEM_CACHE_TTL", "900", "1", "request queue full, rejecting"),
    ("RETRY_MAX_ATTEMPTS", "2", "9", "request queue full, rejecting"),
    ("RETRY_BACKOFF_MS", "500", "10", "request queue full, rejecting"),
    ("mergeDocs.batch", "40", "9000", "Task timed out after 30.00 seconds"),
    ("/petstore/searchdelay", "0", "500", "Timeout waiting for search: no response"),
    // More callers with pools of their own are more than the server takes.
    ("DB_POOL_SIZE", "10", "60", "FATAL: sorry, too many clients already"),
    ("ReservedConcurrentExecutions", "100", "2", "the call was throttled"),
    ("ReservedConcurrentExecutions", "100", "unreserved", "FATAL: sorry, too many clients already"),
];

#[test]
fn what_a_setting_explains_the_same_setting_turned_the_other_way_eases() {
    for (key, well, ill, says) in TURNED {
        let hurt = fit(&change(key, well, ill), &failing(says));
        assert!(hurt.explains() && !hurt.eases, "{key} {well} to {ill}, {says}: {hurt:?}");
        let eased = fit(&change(key, ill, well), &failing(says));
        assert!(eased.eases && eased.ratio <= 0.3, "{key} {ill} to {well}, {says}: {eased:?}");
    }
}

#[test]
fn more_of_one_limit_meets_another() {
    for (key, before, after, says) in [
        ("NODE_HEAP_MB", "256", "4096", "upstream task closed connection (exit 137)"),
        ("PARTNER_RATE_LIMIT", "100", "900", "partner returned 429 too many requests"),
        ("WRITER_THREADS", "8", "64", "timed out waiting for a pooled connection"),
        ("HTTP_TIMEOUT_MS", "3000", "30000", "Task timed out after 10.00 seconds"),
    ] {
        let raised = fit(&change(key, before, after), &failing(says));
        assert!(!raised.eases && raised.ratio > 1.0, "{key}: {raised:?}");
    }
}

#[test]
fn less_of_one_limit_does_not_meet_another() {
    for (key, before, after, says) in [
        ("NODE_HEAP_MB", "4096", "256", "upstream task closed connection (exit 137)"),
        ("PARTNER_RATE_LIMIT", "900", "100", "partner returned 429 too many requests"),
        ("WRITER_THREADS", "64", "8", "timed out waiting for a pooled connection"),
        ("HTTP_TIMEOUT_MS", "30000", "3000", "Task timed out after 10.00 seconds"),
        // The number is the function's own limit, whose default is three seconds.
        ("HTTP_TIMEOUT_MS", "30000", "3000", "Task timed out after 3.00 seconds"),
    ] {
        let lowered = fit(&change(key, before, after), &failing(says));
        assert!(!lowered.eases && !lowered.explains(), "{key}: {lowered:?}");
    }
    // The limit that the words are about.
    for (key, before, after, says) in [
        ("NODE_HEAP_MB", "4096", "256", "JavaScript heap out of memory"),
        ("HTTP_TIMEOUT_MS", "30000", "3000", "no answer from search: timed out"),
        ("WORKER_DB_POOL_SIZE", "64", "8", "timed out waiting for a pooled connection"),
        ("DESIRED_TASKS", "10", "2", "timed out waiting for a pooled connection"),
        ("lambda_timeout", "30", "2", "Task timed out after 2.00 seconds"),
    ] {
        assert!(fit(&change(key, before, after), &failing(says)).explains(), "{key}");
    }
}

#[test]
fn more_connections_of_a_caller_are_too_many_for_the_server() {
    let refused = failing("FATAL: sorry, too many clients already");
    for key in ["DB_MAX_CONNECTIONS", "PG_MAX_CONN", "database.connection_limit"] {
        let raised = fit(&change(key, "10", "60"), &refused);
        assert!(!raised.eases && raised.explains(), "{key}: {raised:?}");
    }
    for key in ["max_connections", "max_user_connections"] {
        assert!(fit(&change(key, "10", "60"), &refused).eases, "{key}");
        assert!(fit(&change(key, "60", "10"), &refused).explains(), "{key}");
    }
}

#[test]
fn only_what_has_one_dimension_is_compared() {
    let went = |key: &str, before: &str, after: &str| {
        direction(&change(key, before, after), class(key, Some(before), Some(after)))
    };
    for (key, less, more) in [
        ("JVM_HEAP", "512m", "2g"),
        ("JVM_HEAP", "512m", "1024m"),
        ("NODE_HEAP", "900KB", "1MiB"),
        ("UPLOAD_LIMIT", "512MB", "2GB"),
        ("UPLOAD_LIMIT", "512m", "2g"),
        ("TOKEN_TTL", "1h", "7d"),
        ("TOKEN_TTL", "90 minutes", "2 hours"),
        ("READ_TIMEOUT", "30s", "5m"),
        ("READ_TIMEOUT", "900ms", "1s"),
        ("READ_TIMEOUT", "0", "1s"),
        ("RATE_LIMIT", "10/s", "20/s"),
        ("SAMPLE", "5%", "10%"),
        ("POOL_SIZE", "5", "10"),
    ] {
        assert!(matches!(went(key, less, more), Direction::Up(_)), "{key} {less} to {more}");
        assert!(matches!(went(key, more, less), Direction::Down(_)), "{key} {more} to {less}");
    }
    for (key, one, other) in [
        ("JVM_HEAP", "512", "2g"),
        ("READ_TIMEOUT", "5s", "512"),
        ("LIMIT", "10s", "2g"),
        ("LIMIT", "10%", "2"),
    ] {
        assert_eq!(went(key, one, other), Direction::Replaced, "{key} {one} to {other}");
        assert_eq!(went(key, other, one), Direction::Replaced, "{key} {other} to {one}");
    }
    assert_eq!(went("READ_TIMEOUT", "60s", "1m"), Direction::Replaced);
}

#[test]
fn a_limit_cut_in_a_smaller_unit_is_cut() {
    let heap = failing("java.lang.OutOfMemoryError: Java heap space");
    assert!(fit(&change("JVM_HEAP", "2g", "512m"), &heap).explains());
    assert!(fit(&change("JVM_HEAP", "512m", "2g"), &heap).eases);
    let expired = failing("TokenExpiredError: jwt expired");
    assert!(fit(&change("TOKEN_TTL", "7d", "1h"), &expired).explains());
    assert!(fit(&change("TOKEN_TTL", "1h", "7d"), &expired).eases);
}

#[test]
fn more_time_is_not_cleared_of_the_slowness_that_it_makes() {
    let slow = Failure { manner: Some(Manner::Slow), ..failing("no answer from prices after 30000 ms") };
    let longer = fit(&change("HTTP_TIMEOUT_MS", "3000", "30000"), &slow);
    // Whoever does not answer is to blame as well: that the limit's number is said proves nothing.
    assert!(!longer.eases && longer.ratio > 1.0 && longer.named.is_none(), "{longer:?}");
    let failed = failing("no answer from prices after 30000 ms");
    assert!(fit(&change("HTTP_TIMEOUT_MS", "3000", "30000"), &failed).eases);
}

#[test]
fn deliberate_trouble_that_comes_switched_off_is_none() {
    let failed = failing("Timeout waiting for search: no response");
    let unsaid = Failure { manner: Some(Manner::Failing), ..Failure::default() };
    for (key, off, on) in [("CHAOS_ENABLED", "false", "true"), ("INJECT_DELAY_MS", "0", "500")] {
        let added =
            |value: &str| KeyChange { key: key.to_owned(), before: None, after: Some(value.to_owned()) };
        assert!(fit(&added(off), &failed).eases, "{key}");
        assert!(fit(&added(off), &unsaid).ratio < 1.0, "{key}");
        assert!(fit(&added(on), &failed).explains() && fit(&added(on), &unsaid).explains(), "{key}");
        assert!(fit(&change(key, on, off), &unsaid).ratio < 1.0, "{key}");
    }
}

#[test]
fn a_number_in_the_errors_is_no_sign_against_who_raised_it() {
    let busy = failing("timed out waiting for a pooled connection (60 of 60 busy)");
    assert!(fit(&change("PG_POOL_MAX", "30", "60"), &busy).named.is_none());
    assert!(fit(&change("PG_POOL_MAX", "90", "60"), &busy).named.is_some());
}
