//! Lines of real software: what each says, and what holds the same words and says something else.
//!
//! The rule that is not obvious: a line that means something else stands beside the wording that it could be taken for.

use crate::analysis::logs::phrases::{Mechanism, mechanism};

fn check(cases: &[(&str, Option<Mechanism>)]) {
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|(text, expected)| {
            let read = mechanism(text, None);
            (read != *expected).then(|| format!("{text}\n    is {read:?} and should be {expected:?}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn what_expired_and_what_is_invalid_or_disagrees_about_the_time() {
    use Mechanism::{Access, Contract, Expired, Pool, Timeout, Tls};
    check(&[
        ("ExpiredTokenException: The security token included in the request is expired", Some(Expired)),
        ("UnrecognizedClientException: The security token included in the request is invalid.", Some(Access)),
        ("\"exp\" claim timestamp check failed", Some(Expired)),
        ("jwt expired", Some(Expired)),
        ("the refresh token has exceeded its lifetime of 30 days", Some(Expired)),
        ("signer certificate outside its validity window", Some(Expired)),
        ("key kid=7a has passed exp, not used", Some(Expired)),
        ("licence file valid until 2026-01-31, module STUDIO denied", Some(Expired)),
        ("FLEXnet error -10,32: feature has expired", Some(Expired)),
        ("gpg: Note: signature key 7A0912 expired", Some(Expired)),
        ("SSL alert number 45", Some(Expired)),
        ("licence valid until 2027, no answer from its server in time", Some(Timeout)),
        ("JsonWebTokenError: jwt malformed", Some(Access)),
        ("JsonWebTokenError: invalid signature", Some(Access)),
        (
            "The remote certificate is invalid because of errors in the certificate chain: NotTimeValid",
            Some(Expired),
        ),
        ("current license is non-compliant for [security]", Some(Expired)),
        ("Signature expired: 20260206T120000Z is now earlier than 20260206T121500Z", Some(Access)),
        (
            "x509: certificate has expired or is not yet valid: current time 2026-02-06T12:15:00Z is before 2027-02-06T12:00:00Z",
            Some(Tls),
        ),
        ("SyntaxError: Unexpected token } in JSON at position 0", Some(Contract)),
        (
            "Batch Expired: Expiring 3 record(s) for orders-0:120000 ms has passed since batch creation",
            Some(Timeout),
        ),
        (
            "Timeout expired. The timeout period elapsed prior to obtaining a connection from the pool.",
            Some(Pool),
        ),
        ("verification code expired", None),
    ]);
}

#[test]
fn the_provider_speaks_of_itself() {
    use Mechanism::{Access, Code, Contract, Disk, Provider, Throttled, Upstream};
    check(&[
        ("ERROR: cannot execute INSERT in a read-only transaction", Some(Provider)),
        ("READONLY You can't write against a read only replica.", Some(Provider)),
        (
            "The MySQL server is running with the --read-only option so it cannot execute this statement",
            Some(Provider),
        ),
        ("FATAL: the database system is starting up", Some(Provider)),
        ("FATAL: terminating connection due to administrator command", Some(Provider)),
        ("LOADING Redis is loading the dataset in memory", Some(Provider)),
        ("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", Some(Provider)),
        ("CLUSTERDOWN The cluster is down", Some(Provider)),
        ("MongoServerError: not primary and secondaryOk=false", Some(Provider)),
        ("NotWritablePrimary: node is not in primary or recovering state", Some(Provider)),
        (
            "org.apache.kafka.common.errors.NotLeaderOrFollowerException: For requests intended only for the leader",
            Some(Provider),
        ),
        ("org.elasticsearch.discovery.MasterNotDiscoveredException", Some(Provider)),
        (
            "Service Unavailable (Service: Amazon S3; Status Code: 503; Error Code: 503 Service Unavailable)",
            Some(Provider),
        ),
        (
            "An error occurred (InternalServerError) when calling the PutItem operation (reached max retries: 4): Internal server error",
            Some(Provider),
        ),
        (
            "operation error DynamoDB: GetItem, https response error StatusCode: 500, RequestID: A1, InternalServerError: Internal server error",
            Some(Provider),
        ),
        (
            "We currently do not have sufficient m5.large capacity in the Availability Zone you requested (us-east-1a)",
            Some(Provider),
        ),
        // The same words of others.
        ("TypeError: Cannot assign to read only property 'total' of object '#<Cart>'", Some(Code)),
        ("field 'id' is read-only", None),
        (
            "java.sql.SQLException: Connection is read-only. Queries leading to data modification are not allowed",
            Some(Code),
        ),
        ("OSError: [Errno 30] Read-only file system: '/var/task/out.csv'", Some(Access)),
        ("attempt to write a readonly database", Some(Access)),
        (
            "index [orders] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark, index has read-only-allow-delete block]",
            Some(Disk),
        ),
        ("column 7 is not primary key of shard map", None),
        ("invalid availability zone eu-west-9z", None),
        ("order refused: outside the shop's maintenance window", None),
        ("partner answered 503: scheduled maintenance", Some(Upstream)),
        ("failing over to the second carrier", None),
        ("SQS consumer: internal error in our handler", None),
        ("aws-proxy: internal error while rendering", None),
        (
            "An error occurred (ThrottlingException) when calling the Publish operation: Rate exceeded",
            Some(Throttled),
        ),
        ("An error occurred (AccessDeniedException) when calling the Decrypt operation", Some(Access)),
        ("warehouse slot 12: insufficient capacity for pallet", None),
        ("leader election lost: failed to renew lease", None),
        ("Cannot deserialize: property is readonly", Some(Contract)),
    ]);
}

#[test]
fn names_that_do_not_resolve_and_others_that_do_not() {
    use Mechanism::{Access, Code, Contract, Dns, Setting, Timeout};
    check(&[
        ("getaddrinfo ENOTFOUND api.intrenal", Some(Dns)),
        ("dial tcp: lookup ledger.internal on 10.0.0.2:53: server misbehaving", Some(Dns)),
        ("dial tcp: lookup ledger.internal: i/o timeout", Some(Dns)),
        ("java.net.UnknownHostException: ledger.internal: Temporary failure in name resolution", Some(Dns)),
        ("php_network_getaddresses: getaddrinfo failed: Name or service not known", Some(Dns)),
        ("error trying to connect: dns error: failed to lookup address information", Some(Dns)),
        ("host not found in upstream \"ledger\"", Some(Dns)),
        ("curl: (6) Could not resolve host: ledger.internal", Some(Dns)),
        ("DNS resolution failed for ledger.internal:443: C-ares status is not ARES_SUCCESS", Some(Dns)),
        ("No resolvable bootstrap urls given in bootstrap.servers", Some(Dns)),
        ("Could not resolve placeholder 'LEDGER_URL' in value \"${LEDGER_URL}\"", Some(Setting)),
        (
            "Could not resolve type id 'refund' as a subtype of Payment: known type ids = [sale]: cannot deserialize",
            Some(Contract),
        ),
        ("Unable to resolve service for type 'ILedger' while attempting to activate 'Cart'", None),
        ("Failed to resolve module specifier: Cannot find module 'ledger'", Some(Code)),
        ("ssh: unknown host key for ledger", Some(Access)),
        ("could not resolve the dispute in time: timed out", Some(Timeout)),
    ]);
}

#[test]
fn trust_and_slowness_of_a_handshake_are_two_things() {
    use Mechanism::{Access, Timeout, Tls, Unreachable};
    check(&[
        ("remote error: tls: handshake failure", Some(Tls)),
        ("javax.net.ssl.SSLHandshakeException: Received fatal alert: handshake_failure", Some(Tls)),
        ("unable to find valid certification path to requested target", Some(Tls)),
        ("Could not create SSL/TLS secure channel.", Some(Tls)),
        ("Error: unable to verify the first certificate", Some(Tls)),
        ("error:1408F10B:SSL routines:ssl3_get_record:wrong version number", Some(Tls)),
        ("x509: certificate is valid for a.internal, not b.internal", Some(Tls)),
        ("Hostname/IP does not match certificate's altnames: ERR_TLS_CERT_ALTNAME_INVALID", Some(Tls)),
        ("The SSL connection could not be established, see inner exception.", Some(Tls)),
        ("net/http: TLS handshake timeout", Some(Timeout)),
        ("websocket: handshake failed: status 403", Some(Access)),
        ("handshake failed: connection refused", Some(Tls)),
        ("connect ECONNREFUSED 10.0.0.7:8443", Some(Unreachable)),
    ]);
}

#[test]
fn memory_that_runs_out_and_other_allocations() {
    use Mechanism::{Handles, Memory, Upstream};
    check(&[
        ("java.lang.OutOfMemoryError: Java heap space", Some(Memory)),
        (
            "java.lang.OutOfMemoryError: unable to create native thread: possibly out of memory or process/resource limits reached",
            Some(Handles),
        ),
        ("RuntimeError: can't start new thread", Some(Handles)),
        ("bash: fork: retry: Resource temporarily unavailable", Some(Handles)),
        ("FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory", Some(Memory)),
        ("Allowed memory size of 134217728 bytes exhausted (tried to allocate 20480 bytes)", Some(Memory)),
        ("OOM command not allowed when used memory > 'maxmemory'.", Some(Memory)),
        ("Out of memory: Killed process 812 (node) total-vm:1093548kB", Some(Memory)),
        ("Worker (pid:12) was sent SIGKILL! Perhaps out of memory?", Some(Memory)),
        (
            "circuit_breaking_exception: [parent] Data too large, data for [<http_request>] would be [1kb]",
            Some(Memory),
        ),
        ("RequestId: 1 Error: Runtime exited with error: signal: killed", Some(Memory)),
        ("container exited with code 137", Some(Memory)),
        ("fork/exec /bin/convert: cannot allocate memory", Some(Memory)),
        ("seat allocation failed for order 7", None),
        ("product code 137 is unknown", None),
        ("error code 1370 from terminal", None),
        ("cannot allocate a courier to order 7", None),
        ("memory of payment 7 was not kept", None),
        ("circuit breaker 'ledger' is OPEN and does not permit further calls", Some(Upstream)),
    ]);
}

#[test]
fn disks_and_what_else_can_be_full() {
    use Mechanism::{Disk, Handles, Overload, Provider};
    check(&[
        ("OSError: [Errno 28] No space left on device", Some(Disk)),
        ("could not extend file \"base/1/2\": No space left on device", Some(Disk)),
        ("ENOSPC: System limit for number of file watchers reached, watch '/app'", Some(Handles)),
        ("The table 'orders' is full", Some(Disk)),
        (
            "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
            Some(Disk),
        ),
        ("The transaction log for database 'shop' is full due to 'LOG_BACKUP'.", Some(Disk)),
        ("There is not enough space on the disk. : '/data/x'", Some(Disk)),
        ("sqlite3.OperationalError: database or disk is full", Some(Disk)),
        ("all replication slots are in use", Some(Handles)),
        ("Local: Queue full", Some(Overload)),
        ("the truck is full", None),
        ("disk 7 of the set was rejected", None),
        ("FATAL: the database system is shutting down", Some(Provider)),
    ]);
}

#[test]
fn handles_ports_addresses_and_identifiers_that_run_out() {
    use Mechanism::{Code, Contract, Handles, Overload, Setting, Throttled};
    check(&[
        ("accept4: too many open files", Some(Handles)),
        ("Error: EMFILE: too many open files, open '/tmp/x'", Some(Handles)),
        ("connect: cannot assign requested address", Some(Handles)),
        ("listen tcp 10.1.1.1:80: bind: cannot assign requested address", Some(Setting)),
        ("listen tcp :8080: bind: address already in use", Some(Setting)),
        (
            "InsufficientFreeAddressesInSubnet: The specified subnet does not have enough free addresses",
            Some(Handles),
        ),
        ("failed to assign an IP address to container", Some(Handles)),
        ("SubnetIPAddressLimitReachedException: Lambda was not able to set up VPC access", Some(Handles)),
        ("nextval: reached maximum value of sequence \"order_id_seq\" (2147483647)", Some(Handles)),
        ("Duplicate entry '2147483647' for key 'orders.PRIMARY'", Some(Handles)),
        ("Arithmetic overflow error converting IDENTITY to data type int.", Some(Handles)),
        ("ORA-08004: sequence ORDER_SEQ.NEXTVAL exceeds MAXVALUE and cannot be instantiated", Some(Handles)),
        (
            "database is not accepting commands to avoid wraparound data loss in database \"shop\"",
            Some(Handles),
        ),
        ("ORA-01000: maximum open cursors exceeded", Some(Handles)),
        ("Can't create more than max_prepared_stmt_count statements (current value: 16382)", Some(Handles)),
        (
            "this action would add [2] shards, but this cluster currently has [1000]/[1000] maximum normal shards open",
            Some(Handles),
        ),
        ("LimitExceededException: Subscriber exceeded the maximum number of streams", Some(Handles)),
        ("Daily message quota exceeded.", Some(Handles)),
        ("454 Throttling failure: Daily sending quota used", Some(Handles)),
        ("monthlyLimitExceeded: 500 of 500 calls used", Some(Handles)),
        ("runtime: failed to create new OS thread (have 2 already; errno=11)", Some(Handles)),
        ("ERROR: integer out of range", Some(Handles)),
        ("Out of range value for column 'id' at row 1", Some(Handles)),
        ("Out of range value for column 'weight' at row 1", Some(Contract)),
        ("no licences left for module billing", Some(Handles)),
        // The same words of others.
        ("RateLimitExceeded: slow consumer", Some(Throttled)),
        ("RequestLimitExceeded: Request limit exceeded.", Some(Throttled)),
        ("JSON serialization failed: value out of range", Some(Contract)),
        ("serial number 77 is out of range of the warranty", None),
        ("retry sequence exhausted", None),
        ("delay 2147483647 is not allowed", None),
        ("itemfile 7 not written", None),
        ("openfile dialog was closed", None),
        ("stale inode 7", None),
        ("customer has credits remaining: 5", None),
        ("account 7: withdrawal limit of the account exceeded", None),
        ("connect to region failed: Max retries exceeded, limit 5", None),
        (
            "connect() to unix:/run/php-fpm.sock failed (11: Resource temporarily unavailable) while connecting",
            Some(Overload),
        ),
        ("IndexError: list index out of range", Some(Code)),
    ]);
}

#[test]
fn a_pool_is_used_up_where_somebody_waits_for_it_or_its_limit_is_said() {
    use Mechanism::{Access, Code, Contention, Pool, Setting, Timeout, Unreachable, Upstream};
    check(&[
        (
            "HikariPool-1 - Connection is not available, request timed out after 30000ms (total=10, active=10, idle=0, waiting=23)",
            Some(Pool),
        ),
        ("QueuePool limit of size 5 overflow 10 reached, connection timed out, timeout 30.00", Some(Pool)),
        (
            "Knex: Timeout acquiring a connection. The pool is probably full. Are you missing a .transacting(trx) call?",
            Some(Pool),
        ),
        (
            "could not obtain a connection from the pool within 5.000 seconds (waited 5.001 seconds); all pooled connections were in use",
            Some(Pool),
        ),
        ("connection not available and request was dropped from queue after 2000ms", Some(Pool)),
        ("Timed out fetching a new connection from the connection pool", Some(Pool)),
        ("FATAL: sorry, too many clients already", Some(Pool)),
        ("ORA-12516: TNS:listener could not find available handler with matching protocol stack", Some(Pool)),
        (
            "FATAL: remaining connection slots are reserved for non-replication superuser connections",
            Some(Pool),
        ),
        ("ERROR 1040 (HY000): Too many connections", Some(Pool)),
        ("ERR max number of clients reached", Some(Pool)),
        (
            "org.apache.http.conn.ConnectionPoolTimeoutException: Timeout waiting for connection from pool",
            Some(Pool),
        ),
        ("Pending acquire queue has reached its maximum size of 1000", Some(Pool)),
        ("pool timed out while waiting for an open connection", Some(Pool)),
        (
            "MongoWaitQueueTimeoutError: Timed out while checking out a connection from connection pool",
            Some(Pool),
        ),
        ("Timed-out waiting to acquire database connection", Some(Pool)),
        ("Could not get a resource since the pool is exhausted", Some(Pool)),
        ("SequelizeConnectionAcquireTimeoutError", Some(Pool)),
        // What never came to the pool, and pools that are something else.
        ("database connection: connection refused", Some(Unreachable)),
        ("database connection: password authentication failed for user \"app\"", Some(Access)),
        ("lost database connection", Some(Upstream)),
        ("HikariPool-1 - Exception during pool initialization: Connection refused", Some(Unreachable)),
        (
            "HikariPool-1 - Failed to validate connection (No operations allowed after connection closed.)",
            Some(Upstream),
        ),
        ("java.lang.IllegalStateException: Connection pool shut down", Some(Code)),
        ("rejected a connection from 10.0.0.5", None),
        ("pool size must be positive", Some(Setting)),
        ("closing all connections", None),
        ("could not acquire lock on row 7", Some(Contention)),
        ("checkout timeout at payment step", Some(Timeout)),
        ("No connection could be made because the target machine actively refused it.", Some(Unreachable)),
        ("processed 5 of 5 active orders", None),
    ]);
}

#[test]
fn overload_and_other_things_that_are_full_or_shed() {
    use Mechanism::{Code, Contract, Overload, Throttled};
    check(&[
        ("request shed: too much work", Some(Overload)),
        ("shed 12 requests", Some(Overload)),
        (
            "java.util.concurrent.RejectedExecutionException: Task rejected from ThreadPoolExecutor[queued tasks = 100]",
            Some(Overload),
        ),
        ("server reached pm.max_children setting (5), consider raising it", Some(Overload)),
        ("1024 worker_connections are not enough", Some(Overload)),
        ("Bulkhead 'ledger' is full and does not permit further calls", Some(Overload)),
        ("child process crashed with code 1", None),
        ("batch finished with 3 errors", None),
        ("order published with errors", None),
        ("passenger is in flight 77", None),
        ("venue 7 is at capacity", None),
        ("validator rejecting order 7", None),
        ("Too Many Requests", Some(Throttled)),
        (
            "Please reduce your request rate. (Service: Amazon S3; Status Code: 503; Error Code: SlowDown)",
            Some(Throttled),
        ),
        ("RESOURCE_EXHAUSTED: grpc: received message larger than max (5242880 vs. 4194304)", Some(Contract)),
        ("throttle valve 7 does not answer", None),
        ("thread 'main' panicked at 'index out of bounds'", Some(Code)),
    ]);
}

#[test]
fn a_number_is_a_status_where_somebody_answers_with_it() {
    use Mechanism::{Access, Contract, Throttled, Upstream};
    check(&[
        ("pricing returned 503 Service Unavailable", Some(Upstream)),
        ("call to tokenizer failed: 500", Some(Upstream)),
        ("[503] during [GET] to [http://sms/v2]", Some(Upstream)),
        ("Request failed with status code 429", Some(Throttled)),
        ("ledger: HTTP 401", Some(Access)),
        ("unexpected response: 422 Unprocessable Entity", Some(Contract)),
        ("order 503 cannot be packed", None),
        ("customer 401 has no address", None),
        ("batch of 429 rows was dropped", None),
        ("took 503 ms and was dropped", None),
        ("http client: dropped 500 items", None),
    ]);
}

#[test]
fn not_allowed_is_about_permission() {
    use Mechanism::{Access, Code, Contract, Missing, Timeout};
    check(&[
        ("Access denied for user 'app'@'10.0.0.7' (using password: YES)", Some(Access)),
        ("no pg_hba.conf entry for host \"10.0.0.7\", user \"app\"", Some(Access)),
        ("NOAUTH Authentication required.", Some(Access)),
        ("NOPERM this user has no permissions to run the 'get' command", Some(Access)),
        (
            "org.apache.kafka.common.errors.TopicAuthorizationException: Not authorized to access topics: [orders]",
            Some(Access),
        ),
        ("KMSInvalidStateException: arn:aws:kms:eu-west-1:1:key/7 is pending deletion.", Some(Access)),
        ("User: arn:aws:sts::1:assumed-role/app is not authorized to perform: s3:GetObject", Some(Access)),
        ("Unable to locate credentials", Some(Access)),
        ("The request signature we calculated does not match the signature you provided.", Some(Access)),
        ("Host '10.0.0.5' is not allowed to connect to this MySQL server", Some(Access)),
        ("role \"app\" does not exist", Some(Access)),
        ("invalid audience: api.prd", Some(Access)),
        ("rpc error: code = PermissionDenied desc = permission denied", Some(Access)),
        ("audience 7 has no segment", None),
        ("coupon is not allowed to be combined", None),
        ("discount is not permitted for gold", None),
        ("forbidden character in name", None),
        ("kms call timed out", Some(Timeout)),
        ("parsing jwt timed out", Some(Timeout)),
        ("bucket reports-eu does not exist", Some(Missing)),
        ("customer 7 does not exist", None),
        ("TypeError: undefined is not a function", Some(Code)),
        ("SAML assertion failed schema validation", Some(Contract)),
    ]);
}

#[test]
fn what_others_do_and_what_cannot_be_reached() {
    use Mechanism::{Code, Contract, FunctionTimeout, Timeout, Unreachable, Upstream};
    check(&[
        ("read tcp 10.0.0.1:1->10.0.0.2:2: read: connection reset by peer", Some(Upstream)),
        ("An existing connection was forcibly closed by the remote host.", Some(Upstream)),
        ("MySQL server has gone away", Some(Upstream)),
        ("server closed the connection unexpectedly", Some(Upstream)),
        ("invalid character '<' looking for beginning of value", Some(Upstream)),
        ("body was <html><title>Back soon</title>", Some(Upstream)),
        ("421 4.3.2 Service not available, closing transmission channel", Some(Upstream)),
        ("ISO8583 RC=91 issuer inoperative", Some(Upstream)),
        ("authorisation host unreachable, response code 91", Some(Unreachable)),
        ("Communications link failure", Some(Unreachable)),
        (
            "rpc error: code = Unavailable desc = connection error: desc = \"transport: Error while dialing\"",
            Some(Unreachable),
        ),
        (
            "urllib3.exceptions.NewConnectionError: Failed to establish a new connection: [Errno 111] Connection refused",
            Some(Unreachable),
        ),
        ("Reached the max retries per request limit (which is 20).", Some(Unreachable)),
        ("dial tcp 10.0.0.7:5432: i/o timeout", Some(Unreachable)),
        ("read tcp 10.0.0.7:5432: i/o timeout", Some(Timeout)),
        ("connect to brass.internal refused", Some(Unreachable)),
        ("connect to gw.brass.example:443 timed out", Some(Unreachable)),
        (
            "connection to server at \"brass-db.internal\" (10.0.0.7), port 5432 failed: timeout expired",
            Some(Unreachable),
        ),
        ("connection desk open, 7 parcels of one customer were in the end refused", None),
        ("parse failure: got text/html from gw.brass.example", Some(Upstream)),
        ("no live upstreams while connecting to upstream", Some(Unreachable)),
        ("NetworkException: The server disconnected before a response was received.", Some(Upstream)),
        ("client closed connection while waiting for request", None),
        ("Unexpected EOF while parsing", Some(Contract)),
        ("unexpected end of JSON input", Some(Contract)),
        ("internal error: entered unreachable code", Some(Code)),
        ("item 7 marked down by 20 percent", None),
        ("Task timed out after 2.00 seconds", Some(FunctionTimeout)),
        (
            "2026-02-06T12:00:00.000Z 11111111-2222-4333-8444-555555555555 Task timed out after 3.01 seconds",
            Some(FunctionTimeout),
        ),
        ("background task timed out after 30 s", Some(Timeout)),
        ("canceling statement due to statement timeout", Some(Timeout)),
        ("System.Threading.Tasks.TaskCanceledException: A task was canceled.", Some(Timeout)),
        ("Maximum execution time of 30 seconds exceeded", Some(Timeout)),
        ("no match after 3 attempts", None),
    ]);
}

#[test]
fn locks_and_other_writers() {
    use Mechanism::{Code, Contention, Contract};
    check(&[
        ("Deadlock found when trying to get lock; try restarting transaction", Some(Contention)),
        (
            "Transaction (Process ID 52) was deadlocked on lock resources with another process",
            Some(Contention),
        ),
        ("fatal error: all goroutines are asleep - deadlock!", Some(Code)),
        ("canceling statement due to lock timeout", Some(Contention)),
        ("could not serialize access due to concurrent update", Some(Contention)),
        ("could not serialize object of type Order", Some(Contract)),
        ("sqlite3.OperationalError: database is locked", Some(Contention)),
        ("ConditionalCheckFailedException: The conditional request failed", Some(Contention)),
        ("version_conflict_engine_exception: [7]: version conflict, required seqNo [1]", Some(Contention)),
        (
            "Row was updated or deleted by another transaction (or unsaved-value mapping was incorrect)",
            Some(Contention),
        ),
        ("ERROR: canceling statement due to conflict with recovery", Some(Contention)),
        ("door lock 7 is offline", None),
        ("reindex holds table lock", Some(Contention)),
    ]);
}

#[test]
fn messages_settings_and_code() {
    use Mechanism::{Code, Contract, Missing, Setting, Timeout};
    check(&[
        ("json: cannot unmarshal string into Go struct field Order.total of type int", Some(Contract)),
        (
            "com.fasterxml.jackson.databind.exc.UnrecognizedPropertyException: Unrecognized field \"ref\"",
            Some(Contract),
        ),
        ("The JSON value could not be converted to System.Int32.", Some(Contract)),
        ("missing field `total` at line 1 column 20", Some(Contract)),
        ("org.apache.kafka.common.errors.SerializationException: Unknown magic byte!", Some(Contract)),
        ("UNIMPLEMENTED: unknown method Pay for service Ledger", Some(Contract)),
        ("value too long for type character varying(20)", Some(Contract)),
        ("null value in column \"ref\" violates not-null constraint", Some(Contract)),
        ("invalid input value for enum state: \"paused\"", Some(Contract)),
        ("schema registry timed out", Some(Timeout)),
        ("Table 'shop.orders' doesn't exist", Some(Missing)),
        ("ERROR: relation \"orders\" does not exist", Some(Missing)),
        ("UNKNOWN_TOPIC_OR_PARTITION: This server does not host this topic-partition.", Some(Missing)),
        ("NOT_FOUND - no queue 'orders' in vhost '/'", Some(Missing)),
        ("Secrets Manager can't find the specified secret.", Some(Missing)),
        ("required environment variable LEDGER_URL is not set", Some(Setting)),
        ("KeyError: 'LEDGER_URL'", Some(Setting)),
        ("KeyError: 'total'", Some(Code)),
        ("System.NullReferenceException: Object reference not set to an instance of an object.", Some(Code)),
        ("undefined method `total' for nil:NilClass (NoMethodError)", Some(Code)),
        ("Call to a member function total() on null", Some(Code)),
        ("panic: runtime error: invalid memory address or nil pointer dereference", Some(Code)),
        ("called `Option::unwrap()` on a `None` value", Some(Code)),
        ("Runtime.ImportModuleError: Error: Cannot find module 'ledger'", Some(Code)),
        ("segmentation service has no segment for customer 7", None),
        ("panic button pressed in store 7", None),
        ("delivery address is out of range", None),
        ("amount must be greater than 0", None),
        ("invalid timeout value", Some(Setting)),
        ("currency XYZ is undefined", Some(Code)),
        ("java.lang.IllegalStateException: Timeout on blocking read for 5000 MILLISECONDS", Some(Timeout)),
    ]);
}
