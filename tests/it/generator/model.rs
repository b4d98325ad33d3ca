//! What is simulated: a service with its knobs, the changes that turn them, the faults that strike it.
//!
//! The rule that is not obvious: nothing here says what the symptoms are. A family of incidents
//! turns knobs or adds faults; `physics.rs` alone decides who fails, how slowly, and from when.

/// Minutes of evidence before `now`, and of the same hours on earlier days.
pub const TODAY_MINUTES: i64 = 180;
pub const EARLIER_MINUTES: i64 = 90;
pub const DAY: i64 = 86_400;

/// How one request fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failure {
    PoolWait,
    Overloaded,
    UpstreamRefused,
    UpstreamSlow,
    OutOfMemory,
    HandlerTimeout,
    Exception,
    Denied,
    Unreachable,
    Unresolved,
    Missing,
    CredentialRejected,
    TooManySessions,
    CertificateExpired,
    TokenExpired,
    LicenceExpired,
    DiskFull,
    QuotaUsedUp,
    ProviderThrottled,
    ZoneLost,
    Failover,
    RateLimited,
    Opaque,
    Validation,
    Sporadic,
}

/// Everything about a version of the service that decides how requests fare.
#[derive(Clone, Copy, Debug)]
pub struct Knobs {
    /// Database connections that the whole fleet may hold.
    pub pool: f64,
    /// Milliseconds that a caller waits for one before it gives up.
    pub acquire_ms: f64,
    /// Requests that the fleet works on at once.
    pub threads: f64,
    pub cores: f64,
    pub cpu_ms: f64,
    /// Milliseconds that a request holds a connection when the cache does not answer it.
    pub db_ms: f64,
    /// Share of requests that the cache answers.
    pub hit: f64,
    /// Milliseconds of other work.
    pub base_ms: f64,
    /// Spread of latency: sigma of a log-normal.
    pub tail: f64,
    pub handler_timeout_ms: f64,
    pub client_timeout_ms: f64,
    pub memory_mb: f64,
    pub footprint_mb: f64,
    /// Megabytes an hour that an instance never gives back.
    pub leak_mb_hour: f64,
    /// Executions at once that the provider allows.
    pub concurrency: f64,
    /// Requests a minute that the service admits.
    pub admitted: f64,
    /// Items worked on per request.
    pub batch: f64,
    /// Share of requests that fail whatever the load, and how.
    pub broken: f64,
    pub broken_by: Failure,
}

/// A change of knobs that reaches traffic over time.
pub struct Transition {
    pub from: i64,
    /// Seconds until it has reached everybody whom it reaches.
    pub ramp: i64,
    /// The share of traffic that it reaches in the end.
    pub weight: f64,
    /// Taken back at this time, in the given number of seconds.
    pub until: Option<(i64, i64)>,
    /// The label of the version that runs with these knobs, where the change makes a version.
    pub version: Option<String>,
    pub turn: Box<dyn Fn(&mut Knobs)>,
}

/// Something that happens to the service without anybody changing it.
#[derive(Clone, Copy, Debug)]
pub enum FaultKind {
    /// Demand times this.
    Surge(f64),
    /// Work per request times this, at the same demand.
    Mix(f64),
    /// A service that it calls refuses this share of calls.
    DependencyFails { which: usize, share: f64 },
    /// A service that it calls takes this many times as long.
    DependencySlow { which: usize, factor: f64 },
    /// This share of requests fails in this way.
    Struck { failure: Failure, share: f64 },
    /// Connections that are never returned: share of the pool an hour.
    PoolLeak { per_hour: f64 },
    /// Memory that is never given back: megabytes an hour.
    MemoryLeak { mb_hour: f64 },
    /// A store that fills: starts at this percentage, grows by this many points an hour.
    Fills { start: f64, per_hour: f64, failure: Failure },
    /// The database takes this many times as long.
    DatabaseSlow(f64),
}

pub struct Fault {
    pub kind: FaultKind,
    pub from: i64,
    pub ramp: i64,
    pub until: Option<i64>,
    /// Also at the same time of day this many days before.
    pub repeats: &'static [i64],
}

impl Fault {
    /// How far it has come at `at`, 0 to 1.
    pub fn strength(&self, at: i64) -> f64 {
        let on = |from: i64, until: Option<i64>| {
            if at < from || until.is_some_and(|end| at >= end) {
                0.0
            } else {
                ((at - from) as f64 / self.ramp.max(1) as f64).min(1.0)
            }
        };
        self.repeats.iter().fold(on(self.from, self.until), |most, days| {
            most.max(on(self.from - days * DAY, self.until.map(|end| end - days * DAY)))
        })
    }

    pub fn hours(&self, at: i64) -> f64 {
        (at - self.from).max(0) as f64 / 3600.0
    }
}

impl Transition {
    /// The share of traffic that runs with the change at `at`, 0 to 1.
    pub fn share(&self, at: i64) -> f64 {
        let reach =
            |from: i64, ramp: i64| ((at - from).max(0) as f64 / ramp.max(1) as f64).min(1.0) * self.weight;
        let reached = if at < self.from { 0.0 } else { reach(self.from, self.ramp) };
        match self.until {
            Some((back, ramp)) if at >= back => {
                reached * (1.0 - ((at - back) as f64 / ramp.max(1) as f64).min(1.0))
            }
            _ => reached,
        }
    }
}

/// A service that the one under investigation calls, or one that has nothing to do with it.
pub struct Neighbour {
    pub name: String,
    pub lambda: bool,
    pub rate: f64,
    pub error_share: f64,
    pub latency_ms: f64,
    /// Whether CloudWatch holds series of it.
    pub measured: bool,
    /// Identifiers of its load balancer and target group.
    pub balancer: String,
    pub target: String,
    /// Strikes it too: extra error share, latency factor, demand factor, from, until.
    pub troubles: Vec<Trouble>,
}

#[derive(Clone, Copy)]
pub struct Trouble {
    pub from: i64,
    pub until: i64,
    pub errors: f64,
    pub slower: f64,
    pub demand: f64,
}
