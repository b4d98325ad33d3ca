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
            (
                "PoolTimeout",
                "QueuePool limit of size {pool} overflow 0 reached, connection timed out, timeout 30.00",
            ),
            (
                "InvalidOperationException",
                "Timeout expired. The timeout period elapsed prior to obtaining a connection from the pool.",
            ),
            ("MongoWaitQueueTimeoutError", "Timed out while checking out a connection from connection pool"),
            ("ERR_POOL", "no idle session after {acquire} ms, {pool} checked out"),
            ("CannotGetJdbcConnection", "Unable to acquire JDBC Connection"),
            ("RedisConnectionException", "Could not get a resource from the pool"),
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
            ("QueueFull", "bounded queue of 256 is full"),
            ("Overload", "server is at capacity, try later"),
            ("ThreadStarvation", "thread starvation: 64 active, 512 queued"),
            ("Busy", "event loop lag 4100 ms, refusing work"),
            ("HTTP503", "listener refused: max concurrent streams reached"),
            ("RejectedExecution", "task rejected: executor saturated, queue is at its bound"),
            ("ServiceBusy", "too many requests in flight, shedding load"),
            ("BackpressureError", "accept backlog exceeded; dropping request"),
            ("ServerOverloaded", "no worker became free in time"),
        ],
        Failure::UpstreamRefused => &[
            ("ClientError", "{dependency} responded with status code 502"),
            ("FeignException", "[503] during [GET] to [http://{dependency}/v2/items]"),
            ("AxiosError", "Request failed with status code 500 ({dependency})"),
            ("ConnectionReset", "{dependency}: connection reset by peer"),
            ("NoHealthyUpstream", "no healthy upstream for cluster {dependency}"),
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
            ("ReadTimeoutException", "{dependency}: did not observe any item within {client}ms"),
            ("HTTPXTimeout", "timed out waiting on {dependency}"),
            ("ETIMEDOUT", "ESOCKETTIMEDOUT {dependency} {client}"),
            (
                "ClientTimeout",
                "net/http: request canceled (Client.Timeout exceeded while awaiting headers) for {dependency}",
            ),
            ("ReadTimeout", "no response from {dependency} within {client}ms"),
            ("SocketTimeoutException", "Read timed out calling {dependency}"),
            ("DEADLINE_EXCEEDED", "rpc to {dependency} exceeded its deadline of {client}ms"),
            ("AbortError", "request to {dependency} was aborted after {client} ms"),
        ],
        Failure::OutOfMemory => &[
            ("OutOfMemoryError", "GC overhead limit exceeded"),
            ("Killed", "worker was sent SIGKILL! Perhaps out of memory?"),
            ("bad_alloc", "std::bad_alloc"),
            ("NoMemoryError", "failed to allocate memory"),
            ("OutOfMemoryError", "Java heap space"),
            ("MemoryError", "unable to allocate 33554432 bytes"),
            ("FatalError", "Reached heap limit Allocation failed - JavaScript heap out of memory"),
            ("OOMKilled", "process was killed: cgroup memory limit reached"),
        ],
        Failure::HandlerTimeout => &[
            ("Timeout", "execution exceeded {handler}s and was stopped"),
            ("Timeout", "Task timed out after {handler} seconds"),
            ("RequestTimeout", "handler did not finish in {handler} s, cancelled"),
        ],
        Failure::Exception => &[
            ("ReferenceError", "discountTable is not defined"),
            ("IndexOutOfBounds", "Index 5 out of bounds for length 5"),
            ("NoMethodError", "undefined method `total' for nil:NilClass"),
            ("ArgumentException", "An item with the same key has already been added. Key: EUR"),
            ("SyntaxError", "Unexpected token u in JSON at position 0"),
            ("UnboundLocalError", "local variable 'quote' referenced before assignment"),
            ("SerializationException", "Unrecognized field \"carrierCode\""),
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
            ("S3Exception", "Forbidden; caller lacks s3:GetObject on {store}"),
            ("UnauthorizedOperation", "You are not authorized to perform this operation ({role})"),
            ("PermissionDenied", "PERMISSION_DENIED: role {role} has no access to {store}"),
            (
                "AccessDeniedException",
                "User: arn:aws:sts::{role} is not authorized to perform: dynamodb:PutItem on resource: {store} because no identity-based policy allows the action",
            ),
            ("AccessDenied", "Access Denied when calling PutObject on {store}"),
            ("KmsAccessDenied", "The ciphertext refers to a key that {role} may not use (kms:Decrypt)"),
            ("AuthorizationError", "403 Forbidden: not authorized to perform sqs:SendMessage on {store}"),
        ],
        Failure::Unreachable => &[
            ("ConnectException", "Connection timed out (Connection timed out) {host}"),
            (
                "CommunicationsException",
                "Communications link failure: the driver has not received any packets from {host}",
            ),
            ("ServerSelectionTimeout", "Server selection timed out after 30000 ms: {host}:27017"),
            ("ConnectTimeout", "connect timed out: {host}:5432"),
            ("ETIMEDOUT", "connect ETIMEDOUT {host}:6379"),
            (
                "OperationalError",
                "could not connect to server: Connection timed out. Is the server running on host \"{host}\"?",
            ),
            ("i/o timeout", "dial tcp {host}:3306: i/o timeout"),
        ],
        Failure::Unresolved => &[
            ("SocketError", "getaddrinfo: nodename nor servname provided, or not known ({host})"),
            ("DnsError", "NXDOMAIN for {host}"),
            ("ENOTFOUND", "getaddrinfo ENOTFOUND {host}"),
            ("UnknownHostException", "{host}: Name or service not known"),
            ("gaierror", "[Errno -2] Name or service not known: '{host}'"),
            ("LookupError", "lookup {host} on 10.0.0.2:53: no such host"),
        ],
        Failure::Missing => &[
            ("TableNotFound", "relation \"{store}\" does not exist"),
            ("InvalidQueue", "AWS.SimpleQueueService.NonExistentQueue {store}"),
            ("UnknownTopic", "This server does not host this topic-partition: {store}"),
            ("ResourceNotFoundException", "Requested resource not found: Table: {store} not found"),
            ("NoSuchBucket", "The specified bucket does not exist: {store}"),
            ("QueueDoesNotExist", "The specified queue does not exist: {store}"),
            ("NotFound", "topic {store} does not exist"),
        ],
        Failure::CredentialRejected => &[
            ("Error1045", "ERROR 1045 (28000): Access denied for user 'svc_app'"),
            ("InvalidSignature", "jwt audience invalid"),
            ("AuthFailure", "SASL authentication failed: bad credentials"),
            ("LoginFailed", "Login failed for user 'app_reader'."),
            ("InvalidPassword", "password authentication failed for user \"app_rw\""),
            ("AuthenticationFailed", "Access denied for user 'app'@'10.2.8.14' (using password: YES)"),
            ("Unauthorized", "401 from identity provider: invalid client secret"),
            ("WRONGPASS", "WRONGPASS invalid username-password pair or user is disabled."),
        ],
        Failure::TooManySessions => &[
            ("Error1040", "ERROR 1040 (HY000): Too many connections"),
            ("MaxClients", "ERR max number of clients reached"),
            ("PSQLException", "FATAL: too many connections for role \"app\""),
            (
                "OperationalError",
                "FATAL: remaining connection slots are reserved for non-replication superuser connections",
            ),
            ("SQLException", "Too many connections"),
            ("DatabaseError", "FATAL: sorry, too many clients already"),
        ],
        Failure::CertificateExpired => &[
            ("TlsAlert", "tls alert: certificate expired"),
            ("CertificateExpiredException", "NotAfter: certificate validity ended"),
            ("UNABLE_TO_VERIFY", "peer certificate is past its validity period"),
            (
                "SSLHandshakeException",
                "PKIX path validation failed: validity check failed, NotAfter has passed",
            ),
            ("CERT_HAS_EXPIRED", "certificate has expired"),
            ("x509", "tls: failed to verify certificate: x509: certificate has expired or is not yet valid"),
            ("SSLCertVerificationError", "certificate verify failed: certificate has expired"),
        ],
        Failure::TokenExpired => &[
            ("ExpiredTokenException", "The provided token has expired."),
            ("TokenExpiredError", "jwt expired"),
            ("SessionExpired", "session credential is past its lifetime, renew it"),
            ("ExpiredToken", "The security token included in the request is expired"),
            ("JWTExpired", "\"exp\" claim timestamp check failed: token expired at last renewal"),
            ("AuthError", "refresh token expired; sign in again"),
            ("invalid_grant", "invalid_grant: Token has been expired or revoked."),
        ],
        Failure::LicenceExpired => &[
            ("LicensingError", "product key expired, running in restricted mode"),
            ("EntitlementError", "entitlement ended, feature is locked"),
            ("LicenseException", "license expired; engine refuses to start a session"),
            ("SubscriptionLapsed", "the subscription for this API key lapsed, renewal required"),
            ("LicenceError", "licence is no longer valid (expired today)"),
        ],
        Failure::DiskFull => &[
            ("WriteError", "write failed: disk quota exceeded"),
            ("KafkaStorageException", "Error while writing to log dir: No space left on device"),
            ("RocksDBException", "IO error: no space left"),
            ("Error1114", "The table 'audit' is full"),
            ("OSError", "[Errno 28] No space left on device"),
            ("IOException", "No space left on device"),
            ("ENOSPC", "ENOSPC: no space left on device, write"),
            ("DiskFullError", "could not extend file \"base/16401/2619\": No space left on device"),
        ],
        Failure::QuotaUsedUp => &[
            ("TooManyOpenFiles", "accept: too many open files"),
            ("LimitReached", "number of active subscriptions has reached the account maximum"),
            ("UsageLimit", "daily allowance consumed"),
            ("LimitExceededException", "Account quota for stored objects reached; no further items accepted"),
            ("QuotaExceeded", "monthly quota used up: 0 units remaining"),
            (
                "ResourceLimitExceeded",
                "maximum number of file descriptors reached (EMFILE: too many open files)",
            ),
        ],
        Failure::ProviderThrottled => &[
            (
                "AmazonServiceException",
                "Internal Service Error (Service: AmazonDynamoDBv2; Status Code: 500; Error Code: InternalServerError)",
            ),
            ("SlowDown", "Please reduce your request rate. (Service: Amazon S3; Status Code: 503)"),
            ("KMSInternal", "The request failed because of an internal AWS KMS error (Status Code: 500)"),
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
            ("SocketException", "Network is unreachable: {host}"),
            ("HealthCheck", "node {host} marked down by 3 probes"),
            ("ConnectTimeout", "connection to {host}:5432 timed out"),
            ("EHOSTUNREACH", "connect EHOSTUNREACH {host}:6379"),
            ("NoRouteToHost", "No route to host: {host}"),
        ],
        Failure::Failover => &[
            ("PSQLException", "ERROR: cannot execute UPDATE in a read-only transaction"),
            ("NotWritablePrimary", "not primary: node is stepping down"),
            (
                "Error1290",
                "The MySQL server is running with the --read-only option so it cannot execute this statement",
            ),
            (
                "AdminShutdown",
                "server closed the connection unexpectedly: the database system is shutting down",
            ),
            ("ReadOnlyError", "cannot execute INSERT in a read-only transaction"),
            ("ConnectionTerminated", "FATAL: terminating connection due to administrator command"),
            ("DatabaseStarting", "FATAL: the database system is starting up"),
            ("READONLY", "READONLY You can't write against a read only replica."),
        ],
        Failure::RateLimited => &[
            ("Limited", "quota of calls per minute exceeded for this key"),
            ("HTTP429", "Too Many Requests"),
            ("TooManyRequests", "request rejected: allowance for this minute is used up"),
            ("RateLimitError", "429 sent to caller, bucket empty"),
            ("Throttled", "local limiter refused the request"),
        ],
        Failure::Opaque => &[
            ("Failure", "unexpected outcome, giving up"),
            ("Error", "step 4 did not complete"),
            ("Aborted", "pipeline aborted"),
            ("E_FAIL", "Unspecified error"),
            ("InternalError", "request could not be completed"),
            ("UnexpectedCondition", "unhandled condition (code 70)"),
            ("ProcessingFailed", "processing stopped, see support bundle"),
            ("GenericFailure", "operation did not succeed"),
        ],
        Failure::Sporadic => &[
            ("EPIPE", "write EPIPE"),
            ("OptimisticLock", "row was updated by another transaction"),
            ("Truncated", "body shorter than Content-Length"),
            ("Conflict", "write conflict, caller may retry"),
            ("ProtocolError", "peer closed the connection mid-stream"),
            ("RenderError", "template 'receipt-old' has no layout"),
            ("ParseWarning", "csv row 17 has 11 columns, wanted 12"),
        ],
        Failure::Validation => &[
            ("SchemaError", "'iban' is required"),
            ("UnprocessableEntity", "start date lies after end date"),
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
