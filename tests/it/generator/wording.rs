//! What programs say when they fail, by mechanism, in the words of several languages and drivers.
//!
//! The rule that is not obvious: an incident uses one or two wordings of its mechanism, chosen once,
//! because one service logs with one driver; the next incident's service uses another.

use super::model::Failure;
use super::random::Random;

/// What the words may mention.
pub struct Mentions<'a> {
    pub dependency: &'a str,
    pub host: &'a str,
    pub store: &'a str,
    pub role: &'a str,
    pub pool: i64,
    pub acquire_ms: i64,
    pub client_timeout_ms: i64,
    pub handler_timeout_ms: i64,
}

/// The exception's type and its text, with `{…}` where a mention belongs.
fn phrases(failure: Failure) -> &'static [(&'static str, &'static str)] {
    match failure {
        Failure::PoolWait => &[
            ("TimeoutError", "timed out waiting for connection ({pool} in use)"),
            (
                "SQLTransientConnectionException",
                "main-pool - Connection is not available, request timed out after {acquire}ms.",
            ),
            (
                "PoolError",
                "could not obtain a database connection within {acquire} ms; active={pool} idle=0 waiting=17",
            ),
            ("KnexTimeoutError", "Knex: Timeout acquiring a connection. The pool is probably full."),
            ("DeadlineExceeded", "context deadline exceeded while waiting for a free conn"),
            ("ConnectionPoolExhausted", "all {pool} slots busy, gave up after {acquire}ms"),
        ],
        Failure::Overloaded => &[
            ("RejectedExecution", "task rejected: executor saturated, queue is at its bound"),
            ("ServiceBusy", "too many requests in flight, shedding load"),
            ("BackpressureError", "accept backlog exceeded; dropping request"),
            ("ServerOverloaded", "no worker became free in time"),
        ],
        Failure::UpstreamRefused => &[
            ("BadGateway", "{dependency} answered 503"),
            ("HttpError", "POST https://{dependency}.internal/v1: unexpected status 500"),
            (
                "StatusRuntimeException",
                "UNAVAILABLE: {dependency}: upstream connect error or disconnect/reset before headers",
            ),
            ("CircuitOpen", "circuit for {dependency} is open after 20 consecutive failures"),
            ("RemoteError", "call to {dependency} failed: Service Unavailable"),
            ("ECONNREFUSED", "connect ECONNREFUSED {dependency}.internal:8443"),
        ],
        Failure::UpstreamSlow => &[
            ("ReadTimeout", "no response from {dependency} within {client}ms"),
            ("SocketTimeoutException", "Read timed out calling {dependency}"),
            ("DEADLINE_EXCEEDED", "rpc to {dependency} exceeded its deadline of {client}ms"),
            ("AbortError", "request to {dependency} was aborted after {client} ms"),
        ],
        Failure::OutOfMemory => &[
            ("OutOfMemoryError", "Java heap space"),
            ("MemoryError", "unable to allocate 33554432 bytes"),
            ("FatalError", "Reached heap limit Allocation failed - JavaScript heap out of memory"),
            ("OOMKilled", "process was killed: cgroup memory limit reached"),
        ],
        Failure::HandlerTimeout => &[
            ("Timeout", "Task timed out after {handler} seconds"),
            ("RequestTimeout", "handler did not finish in {handler} s, cancelled"),
        ],
        Failure::Exception => &[
            ("TypeError", "Cannot read properties of undefined (reading 'lineItems')"),
            ("KeyError", "'billing_region'"),
            ("NullPointerException", "Cannot invoke \"Voucher.amount()\" because \"voucher\" is null"),
            ("panic", "runtime error: index out of range [3] with length 3"),
            ("AttributeError", "'NoneType' object has no attribute 'isoformat'"),
            ("ClassCastException", "class java.lang.Integer cannot be cast to class java.lang.Long"),
            ("DecodeError", "cannot unmarshal string into field Weight of type float64"),
            ("AssertionError", "expected schema v4, got v3"),
        ],
        Failure::Denied => &[
            (
                "AccessDeniedException",
                "User: arn:aws:sts::{role} is not authorized to perform: dynamodb:PutItem on resource: {store} because no identity-based policy allows the action",
            ),
            ("AccessDenied", "Access Denied when calling PutObject on {store}"),
            ("KmsAccessDenied", "The ciphertext refers to a key that {role} may not use (kms:Decrypt)"),
            ("AuthorizationError", "403 Forbidden: not authorized to perform sqs:SendMessage on {store}"),
        ],
        Failure::Unreachable => &[
            ("ConnectTimeout", "connect timed out: {host}:5432"),
            ("ETIMEDOUT", "connect ETIMEDOUT {host}:6379"),
            (
                "OperationalError",
                "could not connect to server: Connection timed out. Is the server running on host \"{host}\"?",
            ),
            ("i/o timeout", "dial tcp {host}:3306: i/o timeout"),
        ],
        Failure::Unresolved => &[
            ("ENOTFOUND", "getaddrinfo ENOTFOUND {host}"),
            ("UnknownHostException", "{host}: Name or service not known"),
            ("gaierror", "[Errno -2] Name or service not known: '{host}'"),
            ("LookupError", "lookup {host} on 10.0.0.2:53: no such host"),
        ],
        Failure::Missing => &[
            ("ResourceNotFoundException", "Requested resource not found: Table: {store} not found"),
            ("NoSuchBucket", "The specified bucket does not exist: {store}"),
            ("QueueDoesNotExist", "The specified queue does not exist: {store}"),
            ("NotFound", "topic {store} does not exist"),
        ],
        Failure::CredentialRejected => &[
            ("InvalidPassword", "password authentication failed for user \"app_rw\""),
            ("AuthenticationFailed", "Access denied for user 'app'@'10.2.8.14' (using password: YES)"),
            ("Unauthorized", "401 from identity provider: invalid client secret"),
            ("WRONGPASS", "WRONGPASS invalid username-password pair or user is disabled."),
        ],
        Failure::TooManySessions => &[
            (
                "OperationalError",
                "FATAL: remaining connection slots are reserved for non-replication superuser connections",
            ),
            ("SQLException", "Too many connections"),
            ("DatabaseError", "FATAL: sorry, too many clients already"),
        ],
        Failure::CertificateExpired => &[
            (
                "SSLHandshakeException",
                "PKIX path validation failed: validity check failed, NotAfter has passed",
            ),
            ("CERT_HAS_EXPIRED", "certificate has expired"),
            ("x509", "tls: failed to verify certificate: x509: certificate has expired or is not yet valid"),
            ("SSLCertVerificationError", "certificate verify failed: certificate has expired"),
        ],
        Failure::TokenExpired => &[
            ("ExpiredToken", "The security token included in the request is expired"),
            ("JWTExpired", "\"exp\" claim timestamp check failed: token expired at last renewal"),
            ("AuthError", "refresh token expired; sign in again"),
            ("invalid_grant", "invalid_grant: Token has been expired or revoked."),
        ],
        Failure::LicenceExpired => &[
            ("LicenseException", "license expired; engine refuses to start a session"),
            ("SubscriptionLapsed", "the subscription for this API key lapsed, renewal required"),
            ("LicenceError", "licence is no longer valid (expired today)"),
        ],
        Failure::DiskFull => &[
            ("OSError", "[Errno 28] No space left on device"),
            ("IOException", "No space left on device"),
            ("ENOSPC", "ENOSPC: no space left on device, write"),
            ("DiskFullError", "could not extend file \"base/16401/2619\": No space left on device"),
        ],
        Failure::QuotaUsedUp => &[
            ("LimitExceededException", "Account quota for stored objects reached; no further items accepted"),
            ("QuotaExceeded", "monthly quota used up: 0 units remaining"),
            (
                "ResourceLimitExceeded",
                "maximum number of file descriptors reached (EMFILE: too many open files)",
            ),
        ],
        Failure::ProviderThrottled => &[
            ("ThrottlingException", "Rate exceeded (Service: Kms, Status Code: 400)"),
            (
                "ServiceUnavailable",
                "Service is unavailable. Please retry. (Service: DynamoDb, Status Code: 503)",
            ),
            (
                "InternalServerError",
                "We encountered an internal error. Please try again. (Service: Amazon S3; Status Code: 500)",
            ),
            (
                "InternalFailure",
                "The request processing has failed because of an unknown error, exception or failure (Service: AmazonSQS, Status Code: 500)",
            ),
        ],
        Failure::ZoneLost => &[
            ("ConnectTimeout", "connection to {host}:5432 timed out"),
            ("EHOSTUNREACH", "connect EHOSTUNREACH {host}:6379"),
            ("NoRouteToHost", "No route to host: {host}"),
        ],
        Failure::Failover => &[
            ("ReadOnlyError", "cannot execute INSERT in a read-only transaction"),
            ("ConnectionTerminated", "FATAL: terminating connection due to administrator command"),
            ("DatabaseStarting", "FATAL: the database system is starting up"),
            ("READONLY", "READONLY You can't write against a read only replica."),
        ],
        Failure::RateLimited => &[
            ("TooManyRequests", "request rejected: allowance for this minute is used up"),
            ("RateLimitError", "429 sent to caller, bucket empty"),
            ("Throttled", "local limiter refused the request"),
        ],
        Failure::Opaque => &[
            ("InternalError", "request could not be completed"),
            ("UnexpectedCondition", "unhandled condition (code 70)"),
            ("ProcessingFailed", "processing stopped, see support bundle"),
            ("GenericFailure", "operation did not succeed"),
        ],
        Failure::Sporadic => &[
            ("Conflict", "write conflict, caller may retry"),
            ("ProtocolError", "peer closed the connection mid-stream"),
            ("RenderError", "template 'receipt-old' has no layout"),
            ("ParseWarning", "csv row 17 has 11 columns, wanted 12"),
        ],
        Failure::Validation => &[
            ("ValidationError", "postal code does not match the country"),
            ("BadRequest", "field 'quantity' must be positive"),
            ("DuplicateKey", "item was already recorded"),
            ("InvalidState", "basket is closed"),
        ],
    }
}

/// One wording of `failure`: its type and its text.
pub fn phrase(random: &mut Random, failure: Failure, mentions: &Mentions) -> (String, String) {
    let (kind, text) = random.choose(phrases(failure));
    let text = text
        .replace("{dependency}", mentions.dependency)
        .replace("{host}", mentions.host)
        .replace("{store}", mentions.store)
        .replace("{role}", mentions.role)
        .replace("{pool}", &mentions.pool.to_string())
        .replace("{acquire}", &mentions.acquire_ms.to_string())
        .replace("{client}", &mentions.client_timeout_ms.to_string())
        .replace("{handler}", &format!("{:.2}", mentions.handler_timeout_ms as f64 / 1000.0));
    (kind.to_owned(), text)
}

/// The HTTP status that a caller sees.
pub fn status(failure: Failure) -> i64 {
    match failure {
        Failure::Validation => 400,
        Failure::RateLimited => 429,
        Failure::UpstreamRefused => 502,
        Failure::Overloaded => 503,
        Failure::UpstreamSlow | Failure::HandlerTimeout | Failure::PoolWait => 504,
        Failure::TokenExpired | Failure::CredentialRejected => 401,
        _ => 500,
    }
}

pub const SUCCESSES: &[&str] = &[
    "request served",
    "done",
    "completed",
    "handled event",
    "order accepted",
    "job finished",
    "item stored",
    "200 OK",
    "response sent",
    "message consumed",
];

pub const ARRIVALS: &[&str] = &["incoming request", "started", "received event", "begin", "dequeued message"];

pub const WARNINGS: &[&str] = &[
    "response larger than 1 MiB",
    "falling back to default locale",
    "client closed the stream early",
    "query took longer than 500 ms",
    "second attempt succeeded",
    "unknown header ignored",
    "feature probe skipped",
    "stale entry served while refreshing",
];
