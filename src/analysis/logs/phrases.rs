//! What an error message says went wrong, in the words of the field.
//!
//! A lexicon of mechanisms, each with the phrases that libraries, drivers and AWS use for it. The
//! rule that is not obvious: a phrase tells how something failed, not why. 'Connection refused' fits
//! a wrong address as well as a dead dependency; which of them is decided by the other evidence.

use super::wording::Wording;
use super::{lexicon, structure};

/// How something fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mechanism {
    /// A certificate, token or licence past its date.
    Expired,
    /// A handshake or trust failure that is not about a date.
    Tls,
    /// A name that does not resolve.
    Dns,
    /// An address that does not answer: refused, no route, connect timeout.
    Unreachable,
    /// A bucket, table, queue, topic, key or page that is not there.
    Missing,
    /// Not allowed: authentication or permission.
    Access,
    /// A pool, socket limit or connection limit is used up.
    Pool,
    Memory,
    Disk,
    /// File descriptors, threads, processes, addresses, identifiers, a quota.
    Handles,
    /// More work than can be taken: queue full, rejected, shed.
    Overload,
    /// A limit on the rate of calls.
    Throttled,
    /// Something took longer than allowed.
    Timeout,
    /// The function itself was cut off by its platform.
    FunctionTimeout,
    /// Another service answered with a failure of its own.
    Upstream,
    /// The provider speaks of itself: a zone, maintenance, failover.
    Provider,
    /// Program error: null, type, index, missing module.
    Code,
    /// Two sides disagree about a message's shape or version.
    Contract,
    /// A value that the program could not make sense of at its start or use.
    Setting,
    /// Locks, deadlocks, conflicting writes.
    Contention,
}

impl Mechanism {
    /// In a few words, for a sentence.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Expired => "something expired",
            Self::Tls => "a TLS handshake fails",
            Self::Dns => "a name does not resolve",
            Self::Unreachable => "an address cannot be reached",
            Self::Missing => "something that is asked for does not exist",
            Self::Access => "access is denied",
            Self::Pool => "a connection pool or limit is used up",
            Self::Memory => "memory runs out",
            Self::Disk => "disk space runs out",
            Self::Handles => "handles, threads, addresses, identifiers or a quota run out",
            Self::Overload => "more work arrives than can be taken",
            Self::Throttled => "calls are throttled",
            Self::Timeout => "calls take longer than allowed",
            Self::FunctionTimeout => "the function is cut off by its time limit",
            Self::Upstream => "another service answers with failures",
            Self::Provider => "the provider reports trouble",
            Self::Code => "the code fails on its own data",
            Self::Contract => "two sides disagree about a message's shape",
            Self::Setting => "a setting has a value that cannot be used",
            Self::Contention => "transactions wait for or break each other's locks",
        }
    }
}

/// What a message and its error type say. The type is consulted only where the message says nothing:
/// libraries wrap everything into `OperationalError`.
pub fn mechanism(text: &str, error_type: Option<&str>) -> Option<Mechanism> {
    of(text).or_else(|| error_type.and_then(of))
}

fn of(text: &str) -> Option<Mechanism> {
    let small = text.to_lowercase();
    // What a service answered itself, as its access log has it, says nothing of why.
    if small.starts_with('"') && small.contains(" http/") {
        return None;
    }
    if structure::lacks_a_variable(text) {
        return Some(Mechanism::Setting);
    }
    let said = Wording::of(text);
    structure::mechanism(&small, &said).or_else(|| lexicon::mechanism(&said))
}

/// Whether an AWS service answers, and not for a capacity that its account chose or was given: a table's
/// provisioned throughput, a quota, a reservation. Of those the provider does what it was told.
pub fn is_of_the_provider(text: &str) -> bool {
    let said = Wording::of(text);
    let own = ["provisioned", "configured", "quota*", "limit exceeded", "concurren*", "reserved", "maximum"];
    structure::speaks_of_aws(&text.to_lowercase(), &said) && !said.any(&own)
}

/// Whether a message says that somebody's login was not accepted: a name with its password, or a token; nothing of what
/// somebody known may do.
pub fn refuses_a_login(text: &str) -> bool {
    Wording::of(text).any(&[
        "wrongpass|noauth",
        "login|password|authentication|credential|credentials|sasl ..4 failed|failure|rejected|refused|invalid|incorrect|wrong",
        "invalid|incorrect|wrong|bad|unknown ..2 password|credential|credentials|login|username|user",
        "access denied for user",
        "could|cannot|can't|unable|failed ..3 authenticate|login",
        "not authenticate",
        "login|password ..3 denied",
        "ora 01017",
    ])
}

/// Whether a server says that it takes no more connections, which callers with larger pools bring about; none of a
/// caller's own pool is short then.
pub fn refuses_more_clients(text: &str) -> bool {
    Wording::of(text).any(&[
        "too many ..1 clients|connections !retries",
        "connection slots",
        "max|maximum ..2 number ..2 clients|connections ..3 reached|exceeded",
        "max user connections",
        "ora 12516|12519|12520|00020|00018",
    ])
}

/// Whether somebody else ended the process for what it took: a container's limit is met, not the program's own.
pub fn is_killed(text: &str) -> bool {
    Wording::of(text).any(&[
        "exit|exited|code|status ..2 137",
        "oom killed|killer|kill",
        "oomkilled",
        "sigkill",
        "signal ..1 killed|9",
        "killed ..3 memory",
        "cgroup|container ..4 memory|limit",
    ])
}

/// Whether others turn calls away, and no limit of the service's own: an AWS service, or somebody who answers.
pub fn is_turned_away_by_others(text: &str) -> bool {
    let said = Wording::of(text);
    structure::speaks_of_aws(&text.to_lowercase(), &said)
        || said.any(&["answered|responded|returned|replied|upstream|remote|partner|vendor"])
}

/// Whether a refusal is somebody's rule rather than that nobody allowed it.
pub fn is_denied_outright(text: &str) -> bool {
    Wording::of(text).any(&[
        "explicit|explicitly ..1 deny|denied|denies",
        "service control policy",
        "permissions boundary",
    ])
}

/// Whether a refusal is that nobody allowed it: no rule that forbids was met.
pub fn is_allowed_by_nobody(text: &str) -> bool {
    Wording::of(text).any(&["no ..3 policy|policies allows|allow", "because no"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_login_is_no_missing_permission() {
        for text in [
            "WRONGPASS invalid username-password pair or user is disabled.",
            "FATAL: password authentication failed for user \"app\"",
            "Access denied for user 'app'@'10.0.0.1' (using password: YES)",
            "Login failed for user 'archive_rw'.",
            "SASL authentication failed",
            "ORA-01017: invalid username/password; logon denied",
        ] {
            assert!(refuses_a_login(text), "{text}");
        }
        for text in [
            "User: arn:aws:sts::1:assumed-role/app/1 is not authorized to perform: s3:GetObject",
            "AccessDeniedException: no identity-based policy allows it",
            "key 1f is pending deletion",
            "payment declined: wrong cvv",
            // Whoever was known has to say again who he is: no password was refused.
            "session not found, forcing re-login",
        ] {
            assert!(!refuses_a_login(text), "{text}");
        }
    }

    #[test]
    fn messages_of_many_libraries_tell_their_mechanism() {
        for (text, expected) in [
            ("x509: certificate has expired or is not yet valid", Mechanism::Expired),
            ("getaddrinfo ENOTFOUND api.intrenal", Mechanism::Dns),
            ("Connection refused: cache-b.internal:6380", Mechanism::Unreachable),
            ("Database connection timeout - pool exhausted", Mechanism::Pool),
            ("FATAL: remaining connection slots are reserved for superuser", Mechanism::Pool),
            ("java.lang.OutOfMemoryError: Java heap space", Mechanism::Memory),
            ("Task timed out after 2.00 seconds", Mechanism::FunctionTimeout),
            ("pricing returned 503 Service Unavailable", Mechanism::Upstream),
            ("Timeout waiting for search: no response after 5000ms", Mechanism::Timeout),
            ("request queue full, rejecting", Mechanism::Overload),
            ("An error occurred (NoSuchBucket)", Mechanism::Missing),
            ("Cannot read properties of undefined (reading 'total')", Mechanism::Code),
            ("notifier rejected request: 400 unknown field 'legacy_ref'", Mechanism::Contract),
            ("write failed: no space left on device", Mechanism::Disk),
            ("nextval: reached maximum value of sequence \"order_id_seq\" (2147483647)", Mechanism::Handles),
            (
                "Timeout expired. The timeout period elapsed prior to obtaining a connection from the pool.",
                Mechanism::Pool,
            ),
            ("refresh token lifetime is past its end", Mechanism::Expired),
            ("partner-maps: unexpected status 500", Mechanism::Upstream),
            ("Throttled (Service: AmazonDynamoDBv2; Status Code: 400; Rate exceeded)", Mechanism::Throttled),
            ("the server is running with the --read-only option", Mechanism::Provider),
            ("account quota of messages reached", Mechanism::Handles),
            ("the account maximum of open orders is reached", Mechanism::Handles),
            ("Failed to obtain JDBC Connection", Mechanism::Pool),
            ("none left: 9 of 9 taken, 27 waiting", Mechanism::Pool),
            (
                "An error occurred (Throttling) when calling the Send operation: monthly quota reached",
                Mechanism::Handles,
            ),
            ("Could not get JDBC Connection; Connection refused", Mechanism::Unreachable),
            ("seat entitlement ended and the module is locked", Mechanism::Expired),
            ("internal failure of AWS Secretsmanager, status 500", Mechanism::Provider),
            ("circuit to ledger stays open (12 failures)", Mechanism::Upstream),
            ("no bytes from ledger: did not finish within 4000 ms", Mechanism::Timeout),
            ("socket error ESOCKETTIMEDOUT after 1503ms", Mechanism::Timeout),
        ] {
            assert_eq!(mechanism(text, None), Some(expected), "{text}");
        }
        for own in ["hold lapsed after 6s", "the cart has expired", "\"GET /a http/1.1\" 502"] {
            assert_eq!(mechanism(own, None), None, "{own}");
        }
        assert_eq!(mechanism("upstream task closed connection (exit 137)", None), Some(Mechanism::Memory));
        assert_eq!(mechanism("session not found, forcing re-login", None), None);
        assert_eq!(mechanism("it broke", Some("ReadTimeout")), Some(Mechanism::Timeout));
    }
}
