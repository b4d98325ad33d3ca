//! The account: its state, its clock, and the Rust side by which a story is written into it.
//!
//! Rule: what the Rust side writes may lie in the past (`at`), and shows over HTTP exactly as if the
//! call had been made then: with its CloudTrail record, its delivery delay, and its late points.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use sha2::Digest;
use tokio::sync::watch;

use super::appconfig::Configurations;
use super::clock::WorldClock;
use super::containers::Containers;
use super::faults::{Fault, Faults};
use super::functions::{FunctionSettings, Functions};
use super::identity::{Identities, Identity};
use super::insights::{Queries, QueryEnd};
use super::logs::LogStore;
use super::metrics::MetricStore;
use super::parameters::Parameters;
use super::releases::Releases;
use super::trail::{Entry, Trail};
use super::wire::ApiError;

/// How the account behaves. The default is AWS's own measure; a test sets delays to zero.
#[derive(Debug, Clone)]
pub struct WorldOptions {
    pub account: String,
    pub region: String,
    pub clock: WorldClock,
    /// From a call to its record in CloudTrail.
    pub cloudtrail_delay: Duration,
    /// From a measurement to its visibility, standard resolution: the newest period is incomplete.
    pub metrics_delay: Duration,
    /// The same for high-resolution metrics.
    pub high_resolution_delay: Duration,
    /// From a log line's time to its ingestion.
    pub logs_delay: Duration,
    /// How long an Insights query is `Scheduled`, then `Running`.
    pub insights_scheduled: Duration,
    pub insights_time: Duration,
    /// Rows that an Insights query returns at most.
    pub insights_rows: usize,
    /// How long `LastUpdateStatus` stays `InProgress` after an update of a function.
    pub function_update_time: Duration,
    /// How long an ECS rollout takes until the service is steady.
    pub rollout_time: Duration,
    /// Calls per second and operation, by real time.
    pub rate_limits: BTreeMap<String, f64>,
    /// Items that one page of a function, version or alias listing holds at most.
    pub lambda_page: usize,
    /// Log events that one `FilterLogEvents` page looks through at most; with a pattern that few
    /// lines match, pages come back empty and still carry a token.
    pub logs_scan_page: usize,
    /// Datapoints that one `GetMetricData` page holds at most.
    pub metrics_page: usize,
    /// Seed of what happens at a rate.
    pub seed: u64,
}

impl Default for WorldOptions {
    fn default() -> Self {
        Self {
            account: "123456789012".to_owned(),
            region: "us-east-1".to_owned(),
            clock: WorldClock::real(),
            cloudtrail_delay: Duration::from_mins(5),
            metrics_delay: Duration::from_secs(20),
            high_resolution_delay: Duration::from_secs(2),
            logs_delay: Duration::from_secs(2),
            insights_scheduled: Duration::from_millis(200),
            insights_time: Duration::from_secs(2),
            insights_rows: 10_000,
            function_update_time: Duration::from_secs(1),
            rollout_time: Duration::from_mins(3),
            rate_limits: BTreeMap::from([
                ("cloudtrail:LookupEvents".to_owned(), 2.0),
                ("logs:FilterLogEvents".to_owned(), 5.0),
                ("cloudwatch:GetMetricData".to_owned(), 50.0),
            ]),
            lambda_page: 50,
            logs_scan_page: 10_000,
            metrics_page: 100_800,
            seed: 1,
        }
    }
}

impl WorldOptions {
    /// No delay and no rate limit: what is written shows at once.
    pub fn immediate(clock: WorldClock) -> Self {
        Self {
            clock,
            cloudtrail_delay: Duration::ZERO,
            metrics_delay: Duration::ZERO,
            high_resolution_delay: Duration::ZERO,
            logs_delay: Duration::ZERO,
            insights_scheduled: Duration::ZERO,
            insights_time: Duration::ZERO,
            function_update_time: Duration::ZERO,
            rollout_time: Duration::ZERO,
            rate_limits: BTreeMap::new(),
            ..Self::default()
        }
    }
}

/// A call that came over HTTP and is not known to only read, and whose credentials made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mutation {
    /// `lambda:UpdateAlias`; method and path where nobody here knows the operation.
    pub operation: String,
    pub access_key: String,
    /// Of whoever holds the key; empty where nobody does.
    pub arn: String,
    /// When it arrived.
    pub at: Timestamp,
    /// Why it changed nothing: the error's code, or [`Mutation::NOT_CARRIED_OUT`]; `None` where it was made.
    pub error_code: Option<String>,
}

impl Mutation {
    /// It arrived, and the connection ended before anything came of it.
    pub const NOT_CARRIED_OUT: &str = "not carried out";
}

/// A role that somebody asked STS for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssumedRole {
    /// Its name, the last part of its ARN.
    pub role: String,
    pub session: String,
    pub external_id: Option<String>,
    pub at: Timestamp,
}

/// Which of the noted attempts one is.
#[derive(Debug, Clone, Copy)]
pub struct Attempt(usize);

/// One call over HTTP, parsed and authenticated.
pub struct Call {
    pub operation: String,
    /// The body's members; for REST also what the path and the query name.
    pub input: Value,
    pub identity: Identity,
    pub access_key: String,
    pub request_id: String,
    pub at: Timestamp,
}

impl Call {
    pub fn text(&self, key: &str) -> Option<&str> {
        self.input.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    /// A number, whether it came as one or as text in a URL.
    pub fn integer(&self, key: &str) -> Option<i64> {
        match self.input.get(key)? {
            Value::Number(number) => number.as_i64().or_else(|| number.as_f64().map(|value| value as i64)),
            Value::String(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// A time in epoch seconds.
    pub fn time(&self, key: &str) -> Option<Timestamp> {
        let seconds = self.input.get(key)?.as_f64()?;
        Timestamp::from_millisecond((seconds * 1000.0).round() as i64).ok()
    }
}

#[derive(Debug)]
pub struct State {
    pub options: WorldOptions,
    pub identities: Identities,
    pub logs: LogStore,
    pub queries: Queries,
    pub metrics: MetricStore,
    pub trail: Trail,
    pub functions: Functions,
    pub containers: Containers,
    pub parameters: Parameters,
    pub configurations: Configurations,
    pub releases: Releases,
    calls: BTreeMap<String, u64>,
    /// By operation and Region.
    calls_by_region: BTreeMap<(String, String), u64>,
    mutations: Vec<Mutation>,
    assumed: Vec<AssumedRole>,
    ids: u64,
}

impl State {
    /// An id in the shape of a UUID. The same calls in the same order give the same ids.
    pub fn next_id(&mut self) -> String {
        self.ids += 1;
        let digest = sha2::Sha256::digest(format!("{}/{}", self.options.account, self.ids).as_bytes());
        let mut hex = String::with_capacity(32);
        for byte in digest.iter().take(16) {
            let _ = write!(hex, "{byte:02x}");
        }
        format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32])
    }

    pub fn now(&self) -> Timestamp {
        self.options.clock.now()
    }

    /// Writes a call into CloudTrail, delivered after the delay.
    pub fn record(&mut self, entry: Entry<'_>) {
        let event_id = self.next_id();
        let request_id = self.next_id();
        let delivered = entry.at + self.options.cloudtrail_delay;
        self.trail.record(entry, &self.options, event_id, &request_id, delivered);
    }

    /// `region` is the one that the request was signed for; empty where it was not signed.
    pub fn count(&mut self, operation: &str, region: &str) {
        *self.calls.entry(operation.to_owned()).or_default() += 1;
        *self.calls_by_region.entry((operation.to_owned(), region.to_owned())).or_default() += 1;
    }

    /// Notes a call that may change something, as it arrives.
    pub fn attempted(&mut self, operation: &str, access_key: &str) -> Attempt {
        let arn = self.identities.by_key(access_key).map(|identity| identity.arn).unwrap_or_default();
        self.mutations.push(Mutation {
            operation: operation.to_owned(),
            access_key: access_key.to_owned(),
            arn,
            at: self.now(),
            error_code: Some(Mutation::NOT_CARRIED_OUT.to_owned()),
        });
        Attempt(self.mutations.len() - 1)
    }

    /// Notes what came of an attempt.
    pub fn came_to(&mut self, attempt: Attempt, outcome: Result<(), &ApiError>) {
        if let Some(mutation) = self.mutations.get_mut(attempt.0) {
            mutation.error_code = outcome.err().map(|error| error.code.clone());
        }
    }

    /// Notes that somebody asks for a role, whether STS gives it or not.
    pub fn asked_for_role(&mut self, role_arn: &str, session: &str, external_id: Option<&str>) {
        let role = role_arn.rsplit('/').next().unwrap_or_default().to_owned();
        let (at, external_id) = (self.now(), external_id.map(str::to_owned));
        self.assumed.push(AssumedRole { role, session: session.to_owned(), external_id, at });
    }
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    faults: Mutex<Faults>,
    configuration: watch::Sender<u64>,
}

/// One AWS account in one Region. Clones share it.
#[derive(Debug, Clone)]
pub struct AwsWorld {
    shared: Arc<Shared>,
}

impl AwsWorld {
    pub fn new(options: WorldOptions) -> Self {
        let faults = Faults::new(&options.rate_limits, options.seed);
        let functions = Functions::new(&options.region, &options.account, options.function_update_time);
        let containers = Containers::new(&options.region, &options.account, options.rollout_time);
        let state = State {
            options,
            identities: Identities::default(),
            logs: LogStore::default(),
            queries: Queries::default(),
            metrics: MetricStore::default(),
            trail: Trail::default(),
            functions,
            containers,
            parameters: Parameters::default(),
            configurations: Configurations::default(),
            releases: Releases::default(),
            calls: BTreeMap::new(),
            calls_by_region: BTreeMap::new(),
            mutations: Vec::new(),
            assumed: Vec::new(),
            ids: 0,
        };
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(state),
                faults: Mutex::new(faults),
                configuration: watch::Sender::new(0),
            }),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn faults(&self) -> MutexGuard<'_, Faults> {
        self.shared.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the running services that a function's configuration or alias changed.
    pub(super) fn announce_configuration(&self) {
        self.shared.configuration.send_modify(|generation| *generation += 1);
    }

    pub fn clock(&self) -> WorldClock {
        self.state().options.clock.clone()
    }

    pub fn now(&self) -> Timestamp {
        self.clock().now()
    }

    pub fn account(&self) -> String {
        self.state().options.account.clone()
    }

    pub fn region(&self) -> String {
        self.state().options.region.clone()
    }

    // Who may call.

    /// Issues an access key for the identity; any secret goes with it, signatures are not verified.
    pub fn issue_access_key(&self, identity: Identity) -> String {
        self.state().identities.issue(identity)
    }

    /// Adds a role that `AssumeRole` gives out, and the IAM actions that it allows. Returns its ARN.
    pub fn add_role(&self, name: &str, allowed: &[&str]) -> String {
        let mut state = self.state();
        state.identities.add_role(name, allowed);
        format!("arn:aws:iam::{}:role/{name}", state.options.account)
    }

    // What goes wrong.

    /// What happens to the next calls of an operation (`lambda:UpdateAlias`, `logs:*`, `*`), in order.
    pub fn script_faults(&self, pattern: &str, faults: impl IntoIterator<Item = Option<Fault>>) {
        self.faults().script(pattern, faults);
    }

    /// From now on this share (0 to 1) of an operation's calls meets the fault.
    pub fn rate_fault(&self, pattern: &str, rate: f64, fault: Fault) {
        self.faults().rate(pattern, rate, fault);
    }

    /// Every answer of these operations takes this long, in real time.
    pub fn set_latency(&self, pattern: &str, latency: Duration) {
        self.faults().latency(pattern, latency);
    }

    pub fn clear_faults(&self) {
        self.faults().clear();
    }

    /// How the next Insights queries end, in order; afterwards they complete.
    pub fn script_queries(&self, ends: impl IntoIterator<Item = QueryEnd>) {
        self.state().queries.script(ends);
    }

    /// The delivery delay of the CloudTrail records that follow.
    pub fn set_cloudtrail_delay(&self, delay: Duration) {
        self.state().options.cloudtrail_delay = delay;
    }

    /// CloudTrail delivers now what it has kept back.
    pub fn deliver_cloudtrail(&self) {
        let mut state = self.state();
        let now = state.now();
        state.trail.deliver(now);
    }

    /// Insights does not show lines from this moment on yet, though `FilterLogEvents` does.
    pub fn hide_from_insights(&self, from: Timestamp) {
        self.state().queries.unindexed_from = Some(from);
    }

    /// How many Insights queries ran at once at most.
    pub fn most_queries_at_once(&self) -> usize {
        self.state().queries.most_at_once
    }

    /// How long the Insights queries that follow take, from their start.
    pub fn set_insights_time(&self, time: Duration) {
        let options = &mut self.state().options;
        options.insights_scheduled = time.min(options.insights_scheduled);
        options.insights_time = time.saturating_sub(options.insights_scheduled);
    }

    // What was called.

    /// How often an operation was called, refused calls included.
    pub fn calls(&self, operation: &str) -> u64 {
        self.state().calls.get(operation).copied().unwrap_or_default()
    }

    /// How often an operation was called in one Region, by the request's own signature.
    pub fn calls_in(&self, region: &str, operation: &str) -> u64 {
        let key = (operation.to_owned(), region.to_owned());
        self.state().calls_by_region.get(&key).copied().unwrap_or_default()
    }

    /// All calls by operation.
    pub fn all_calls(&self) -> BTreeMap<String, u64> {
        self.state().calls.clone()
    }

    /// Calls over HTTP that are not known to only read, in the order in which they arrived, whatever came of
    /// them.
    pub fn mutations(&self) -> Vec<Mutation> {
        self.state().mutations.clone()
    }

    /// Roles that STS was asked for, in order.
    pub fn assumed_roles(&self) -> Vec<AssumedRole> {
        self.state().assumed.clone()
    }

    // What happens in the account.

    /// Writes a log line; its group and stream come into being with it.
    pub fn put_log(&self, group: &str, stream: &str, at: Timestamp, message: String) {
        let mut state = self.state();
        let ingested = at + state.options.logs_delay;
        state.logs.put(group, stream, at, ingested, message);
    }

    /// Writes one measurement. High resolution keeps seconds, standard keeps minutes.
    #[expect(clippy::too_many_arguments, reason = "one measurement has these parts, as PutMetricData does")]
    pub fn put_metric(
        &self,
        namespace: &str,
        metric: &str,
        dimensions: &[(&str, &str)],
        at: Timestamp,
        value: f64,
        unit: &str,
        high_resolution: bool,
    ) {
        self.state().metrics.put(namespace, metric, dimensions, at, value, unit, high_resolution);
    }

    /// Writes Lambda's own metrics for one invocation that started at `at`: `Invocations`, `Errors`,
    /// `Duration` and `ConcurrentExecutions`, by function and, where it came through one, by alias.
    pub fn record_invocation(
        &self,
        function: &str,
        version: &str,
        alias: Option<&str>,
        at: Timestamp,
        duration_ms: f64,
        error: bool,
    ) {
        self.state().metrics.put_invocation(function, version, alias, at, duration_ms, error);
    }

    /// Writes one measurement of Lambda's `Throttles`: a call that was refused and is no invocation.
    pub fn record_throttle(&self, function: &str, at: Timestamp) {
        let dimensions = [("FunctionName", function)];
        self.put_metric("AWS/Lambda", "Throttles", &dimensions, at, 1.0, "Count", false);
    }

    /// Writes a CloudTrail record of any call: the innocent noise of an account.
    #[expect(clippy::too_many_arguments, reason = "one CloudTrail record has these parts")]
    pub fn record_event(
        &self,
        source: &str,
        name: &str,
        actor: &Identity,
        at: Timestamp,
        request: Value,
        response: Value,
        error_code: Option<&str>,
    ) {
        let error = error_code.map(|code| ApiError::new(400, code, code));
        self.state().record(Entry {
            source,
            name,
            actor,
            access_key: None,
            at,
            request,
            response,
            error: error.as_ref(),
        });
    }

    // Functions.

    /// # Errors
    /// `ResourceConflictException` where the function exists.
    pub fn create_function(
        &self,
        name: &str,
        environment: BTreeMap<String, String>,
        settings: FunctionSettings,
        actor: &Identity,
        at: Timestamp,
    ) -> Result<(), ApiError> {
        let mut state = self.state();
        let revision = state.next_id();
        let entry = state.functions.create(name, environment, settings, at, revision)?;
        state.record_lambda("CreateFunction20150331", actor, at, entry);
        drop(state);
        self.announce_configuration();
        Ok(())
    }

    /// Replaces `$LATEST`'s environment.
    ///
    /// # Errors
    /// `ResourceNotFoundException` where there is no such function.
    pub fn update_function_environment(
        &self,
        name: &str,
        environment: BTreeMap<String, String>,
        actor: &Identity,
        at: Timestamp,
    ) -> Result<(), ApiError> {
        let variables: Value = environment.into_iter().collect();
        let input = serde_json::json!({"Environment": {"Variables": variables}});
        self.update_function_configuration(name, &input, actor, at)
    }

    /// Changes `$LATEST`'s configuration as `UpdateFunctionConfiguration` does (`Timeout`, `MemorySize`, …).
    ///
    /// # Errors
    /// `ResourceNotFoundException` where there is no such function.
    pub fn update_function_configuration(
        &self,
        name: &str,
        input: &Value,
        actor: &Identity,
        at: Timestamp,
    ) -> Result<(), ApiError> {
        let mut state = self.state();
        let revision = state.next_id();
        let (_, recorded) = state.functions.update_configuration(name, input, at, revision, None)?;
        state.record_lambda("UpdateFunctionConfiguration20150331v2", actor, at, recorded);
        drop(state);
        self.announce_configuration();
        Ok(())
    }

    /// Replaces `$LATEST`'s code by a package with this SHA-256 (base64).
    ///
    /// # Errors
    /// `ResourceNotFoundException` where there is no such function.
    pub fn update_function_code(
        &self,
        name: &str,
        code_sha256: &str,
        actor: &Identity,
        at: Timestamp,
    ) -> Result<(), ApiError> {
        let mut state = self.state();
        let revision = state.next_id();
        let recorded = state.functions.update_code(name, code_sha256, at, revision)?;
        state.record_lambda("UpdateFunctionCode20150331v2", actor, at, recorded);
        drop(state);
        self.announce_configuration();
        Ok(())
    }

    /// Publishes `$LATEST` as a version and returns its number; unchanged since the last one, that one.
    ///
    /// # Errors
    /// `ResourceNotFoundException` where there is no such function.
    pub fn publish_version(
        &self,
        name: &str,
        description: &str,
        actor: &Identity,
        at: Timestamp,
    ) -> Result<String, ApiError> {
        let mut state = self.state();
        let revision = state.next_id();
        let (version, _, recorded) = state.functions.publish(name, description, at, revision)?;
        state.record_lambda("PublishVersion20150331", actor, at, recorded);
        Ok(version)
    }

    /// Points an alias at a version; `weights` send shares (0 to 1) of the traffic to others. An alias
    /// that does not exist is created.
    ///
    /// # Errors
    /// `ResourceNotFoundException` where function or version do not exist.
    pub fn update_alias(
        &self,
        name: &str,
        alias: &str,
        version: &str,
        weights: &BTreeMap<String, f64>,
        actor: &Identity,
        at: Timestamp,
    ) -> Result<(), ApiError> {
        let mut state = self.state();
        let revision = state.next_id();
        let (event, recorded) = state.functions.put_alias(name, alias, version, weights, revision)?;
        state.record_lambda(event, actor, at, recorded);
        drop(state);
        self.announce_configuration();
        Ok(())
    }

    /// Sets or removes a function's reserved concurrency.
    ///
    /// # Errors
    /// `ResourceNotFoundException` where there is no such function.
    pub fn set_function_concurrency(
        &self,
        name: &str,
        reserved: Option<i64>,
        actor: &Identity,
        at: Timestamp,
    ) -> Result<(), ApiError> {
        let mut state = self.state();
        let (event, recorded) = state.functions.set_concurrency(name, reserved)?;
        state.record_lambda(event, actor, at, recorded);
        drop(state);
        self.announce_configuration();
        Ok(())
    }

    /// The version and environment that an alias (or `$LATEST`) serves now; additional weights aside.
    pub fn live_configuration(
        &self,
        function: &str,
        alias: &str,
    ) -> Option<(String, BTreeMap<String, String>)> {
        self.state().functions.live(function, alias)
    }

    /// Changes whenever a function's configuration or alias does: a running service then looks at
    /// [`live_configuration`](Self::live_configuration) again.
    pub fn watch_configuration(&self) -> watch::Receiver<u64> {
        self.shared.configuration.subscribe()
    }
}
