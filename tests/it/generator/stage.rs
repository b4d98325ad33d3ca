//! The stage on which an incident is played: one account, one service, its neighbours, its clock.
//!
//! The rule that is not obvious: at the onset the service carries exactly `rate`; the daily shape is
//! scaled to that, so that a family can reckon its knobs against the load that they will meet.

use serde_json::Value;

use super::fleet::{Fleet, Platform, Release, Shipped, Version};
use super::model::{DAY, Failure, Fault, FaultKind, Knobs, Neighbour, Transition, Trouble};
use super::names::{self, Entry, Role, Spelling};
use super::random::Random;
use super::trail::Trail;

/// A quantity that the service or its database publishes beside the usual ones.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Gauge {
    PoolUsed,
    Backlog,
    CacheHit,
    Filled,
    MemoryUsed,
    CertificateDays,
    DatabaseSessions,
    DatabaseCpu,
}

#[expect(clippy::struct_excessive_bools, reason = "independent circumstances, each of them on or off")]
pub struct Stage {
    pub random: Random,
    pub now: i64,
    pub onset: i64,
    pub alert_at: i64,
    /// The service as alerts call it.
    pub called: String,
    pub fleet: Fleet,
    pub trail: Trail,
    pub spelling: Spelling,
    pub knobs: Knobs,
    pub first_label: String,
    pub rate: f64,
    pub upstream_ms: f64,
    pub background: (f64, f64),
    pub handled: bool,
    /// How much of the usual strength a fault has; below 1 in some incidents of busy services.
    pub faint: f64,
    /// Whether the same hours of earlier days were kept.
    pub earlier: bool,
    /// Seconds of a metric's period.
    pub period: i64,
    /// How often it repeats a call that failed.
    pub retries: f64,
    pub amplitude: f64,
    pub phase: f64,
    pub weekend: f64,
    pub dependencies: Vec<Neighbour>,
    pub peers: Vec<Neighbour>,
    /// Names of services that only CloudTrail knows.
    pub strangers: Vec<String>,
    pub transitions: Vec<Transition>,
    pub faults: Vec<Fault>,
    pub gauges: Vec<Gauge>,
    pub parameters: Vec<Value>,
    pub flags: Vec<Value>,
    /// CloudTrail has delivered what happened until then.
    pub delivered: i64,
    /// The application claims that a deployment is to blame.
    pub claims: Option<i64>,
    /// Somebody writes orders into the logs.
    pub injected: bool,
    /// From then on the logger writes more lines for a request.
    pub chatter: Option<(i64, Vec<(&'static str, &'static str)>)>,
    /// From then on one tenant sends this share of requests.
    pub heavy: Option<(i64, f64)>,
    pub zones: bool,
    pub tenants: bool,
    /// Wordings that a family insists on; others are drawn.
    pub fixed_words: Option<(Failure, String, String)>,
    /// The host and store that errors name.
    pub host: String,
    pub store: String,
    pub echo: Option<String>,
    /// The value that days-to-expiry shows now.
    pub certificate_days: f64,
}

const REGIONS: &[(&str, i64)] = &[
    ("us-east-1", -300),
    ("us-east-2", -300),
    ("us-west-2", -480),
    ("eu-west-1", 0),
    ("eu-west-3", 60),
    ("eu-north-1", 60),
    ("ap-northeast-1", 540),
    ("ap-south-1", 330),
    ("ap-southeast-2", 600),
    ("sa-east-1", -180),
    ("ca-central-1", -300),
];

pub fn region_offset(region: &str) -> i64 {
    REGIONS.iter().find(|(name, _)| *name == region).map_or(0, |(_, offset)| *offset)
}

impl Stage {
    pub fn new(mut random: Random) -> Self {
        let now = random.whole(1_735_700_000, 1_798_700_000);
        let onset = now - random.whole(7 * 60, 34 * 60);
        let alert_at = (onset + random.whole(120, 640)).min(now - random.whole(30, 200));
        let (region, _) = random.choose(REGIONS);
        let account = random.digits(12);
        let mut taken = Vec::new();
        let name = names::service(&mut random, &mut taken);
        let platform = random.choose(&[
            Platform::Alias,
            Platform::Alias,
            Platform::Latest,
            Platform::Ecs,
            Platform::Ecs,
        ]);
        let runtime = random.choose(&["python3.12", "nodejs20.x", "java21", "go1.22", "ruby3.3"]);
        let rate = (random.between(60.0_f64.ln(), 3500.0_f64.ln())).exp();
        let spelling = names::spelling(&mut random);
        let config = names::configuration(&mut random, spelling, &[]);
        let first = Version {
            number: if platform == Platform::Latest { 1 } else { random.whole(5, 160) },
            at: now - random.whole(2 * DAY, 40 * DAY),
            sha: random.digest(),
            config,
            memory: random.choose(&[512, 1024, 1536, 2048]),
            timeout: random.choose(&[6, 10, 15, 30, 60]),
            description: String::new(),
        };
        let memory = first.memory as f64;
        let timeout_ms = if platform == Platform::Ecs { 60_000.0 } else { first.timeout as f64 * 1000.0 };
        let fleet = Fleet::new(&mut random, platform, &name, runtime, first);
        let first_label = fleet.label(&fleet.current());
        let mut trail = Trail::new(region, &account);
        let knobs = base_knobs(&mut random, platform, rate, memory, timeout_ms);
        let upstream_ms = random.between(25.0, 160.0);
        let dependencies: Vec<Neighbour> =
            (0..random.whole(1, 4)).map(|_| neighbour(&mut random, &mut taken, rate)).collect();
        let peers: Vec<Neighbour> =
            (0..random.whole(2, 5)).map(|_| neighbour(&mut random, &mut taken, 300.0)).collect();
        let strangers: Vec<String> = (0..9).map(|_| names::service(&mut random, &mut taken)).collect();
        trail.background(&mut random, now - 4 * 3600, now, &strangers, &name);
        let called = if name.ends_with("-prod") || random.chance(0.85) {
            name.clone()
        } else {
            name.trim_end_matches("-svc").to_owned()
        };
        let host = format!("10.{}.{}.{}", random.whole(0, 60), random.whole(0, 255), random.whole(2, 250));
        let store = format!(
            "arn:aws:dynamodb:{region}:{account}:table/{}-{}",
            name,
            random.pick(&["orders", "state", "events"])
        );
        let mut stage = Self {
            now,
            onset,
            alert_at,
            called,
            fleet,
            trail,
            spelling,
            knobs,
            first_label,
            rate,
            upstream_ms,
            background: (
                random.choose(&[0.0, 0.004, 0.015, 0.03]),
                random.choose(&[0.0, 0.0005, 0.003, 0.01, 0.03]),
            ),
            handled: random.chance(0.45),
            earlier: random.chance(0.88),
            period: if random.chance(0.1) { 300 } else { 60 },
            faint: if rate > 600.0 && random.chance(0.3) { random.between(0.2, 0.5) } else { 1.0 },
            retries: random.choose(&[0.0, 0.0, 1.0, 2.0]),
            amplitude: random.between(0.05, 0.4),
            phase: random.between(0.0, 24.0),
            weekend: random.choose(&[1.0, 1.0, 1.0, 0.85, 0.7]),
            dependencies,
            peers,
            strangers,
            transitions: Vec::new(),
            faults: Vec::new(),
            gauges: Vec::new(),
            parameters: Vec::new(),
            flags: Vec::new(),
            delivered: now,
            claims: None,
            injected: false,
            chatter: None,
            heavy: None,
            zones: random.chance(0.35),
            tenants: random.chance(0.5),
            fixed_words: None,
            host,
            store,
            echo: None,
            certificate_days: random.between(20.0, 300.0),
            random,
        };
        stage.furnish();
        stage
    }

    /// Gauges that happen to exist, blips of neighbours, records of other people's settings.
    fn furnish(&mut self) {
        for gauge in [
            Gauge::PoolUsed,
            Gauge::Backlog,
            Gauge::CacheHit,
            Gauge::DatabaseSessions,
            Gauge::DatabaseCpu,
            Gauge::CertificateDays,
            Gauge::MemoryUsed,
        ] {
            if self.random.chance(0.22) {
                self.gauges.push(gauge);
            }
        }
        let now = self.now;
        let mut lately = 0;
        for peer in &mut self.peers {
            if self.random.chance(0.3) && lately == 0 {
                lately += 1;
                let from = now - self.random.whole(20, 170) * 60;
                let until = from + self.random.whole(2, 9) * 60;
                let errors = self.random.between(0.01, 0.12);
                peer.troubles.push(Trouble { from, until, errors, slower: 1.2, demand: 1.0 });
            }
        }
        let strangers = self.strangers.clone();
        for stranger in strangers.iter().take(2) {
            if self.random.chance(0.5) {
                let at = now - self.random.whole(DAY, 30 * DAY);
                super::settings::parameter(self, &format!("/{stranger}/limits/upper"), &["64", "72"], at);
            }
            if self.random.chance(0.4) {
                let at = now - self.random.whole(2 * 3600, 20 * DAY);
                super::settings::flag(self, stranger, "palette", at, 120, ("light", "dark"));
            }
        }
    }

    /// A load that gives the pool and the processors something to do.
    pub fn load(&mut self, rate: f64) {
        let timeout_ms = self.knobs.handler_timeout_ms;
        let memory = self.knobs.memory_mb;
        self.rate = rate;
        self.knobs = base_knobs(&mut self.random, self.fleet.platform, rate, memory, timeout_ms);
        for dependency in &mut self.dependencies {
            dependency.rate = rate * self.random.between(0.3, 1.2);
        }
    }

    /// Traffic through an alias on versions, or through tasks: something that can be undone.
    pub fn versioned(&self) -> bool {
        self.fleet.platform != Platform::Latest
    }

    /// Makes sure that the configuration has a key of this role with this value; returns its key.
    pub fn holds(&mut self, role: Role, value: &str) -> String {
        let key = names::key(&mut self.random, role, self.spelling);
        self.holds_as(role, key, value)
    }

    /// The same under a key whose words say what it is about.
    pub fn holds_plainly(&mut self, role: Role, value: &str) -> String {
        let key = names::telling_key(&mut self.random, role, self.spelling);
        self.holds_as(role, key, value)
    }

    fn holds_as(&mut self, role: Role, key: String, value: &str) -> String {
        for version in &mut self.fleet.versions {
            match version.config.iter_mut().find(|entry| entry.role == role) {
                Some(entry) => {
                    value.clone_into(&mut entry.value);
                    entry.key.clone_from(&key);
                }
                None => version.config.push(Entry { role, key: key.clone(), value: value.to_owned() }),
            }
        }
        key
    }

    /// A release like the one before it, shipped at `at`.
    pub fn like_now(&mut self, at: i64) -> Release {
        let now = self.fleet.current();
        Release {
            at,
            config: now.config,
            code: false,
            memory: now.memory,
            timeout: now.timeout,
            description: now.description,
            weight: 1.0,
            by_person: self.random.chance(0.3),
        }
    }

    /// Turns some harmless keys in a release, as releases do.
    pub fn sprinkle(&mut self, release: &mut Release) {
        for entry in &mut release.config {
            if entry.role == Role::Harmless && self.random.chance(0.3) {
                entry.value =
                    format!("{}{}", entry.value.trim_end_matches(char::is_numeric), self.random.whole(2, 99));
            }
        }
    }

    pub fn ship(&mut self, release: Release) -> Shipped {
        self.fleet.ship(&mut self.random, &mut self.trail, release)
    }

    /// Ships a release whose knobs are turned by `turn`.
    pub fn ship_turned(&mut self, release: Release, turn: impl Fn(&mut Knobs) + 'static) -> Shipped {
        let weight = release.weight;
        let shipped = self.ship(release);
        self.transitions.push(Transition {
            from: shipped.effective,
            ramp: shipped.ramp,
            weight,
            until: None,
            version: Some(shipped.version.clone()),
            turn: Box::new(turn),
        });
        shipped
    }

    /// A share of requests between the two, less in an incident that is faint.
    pub fn share(&mut self, low: f64, high: f64) -> f64 {
        self.random.between(low, high) * self.faint
    }

    pub fn fault(&mut self, kind: FaultKind, ramp: i64) {
        let from = self.onset;
        self.faults.push(Fault { kind, from, ramp, until: None, repeats: &[] });
    }

    /// The service is a function after all: its versions stay what they are.
    pub fn become_function(&mut self) {
        if self.fleet.platform == Platform::Ecs {
            self.refit(Platform::Alias);
        }
    }

    pub fn become_aliased(&mut self) {
        self.refit(Platform::Alias);
    }

    pub fn become_unversioned(&mut self) {
        self.refit(Platform::Latest);
    }

    pub fn become_tasks(&mut self) {
        self.refit(Platform::Ecs);
    }

    /// Puts the service on another platform, with the load that it had.
    fn refit(&mut self, platform: Platform) {
        if self.fleet.platform == platform {
            return;
        }
        let mut first = self.fleet.current();
        if platform != Platform::Latest && first.number < 5 {
            first.number = self.random.whole(5, 160);
        }
        if platform == Platform::Latest {
            first.number = 1;
        }
        let timeout_ms = if platform == Platform::Ecs { 60_000.0 } else { first.timeout as f64 * 1000.0 };
        let memory = first.memory as f64;
        self.fleet =
            Fleet::new(&mut self.random, platform, &self.fleet.name.clone(), self.fleet.runtime, first);
        self.first_label = self.fleet.label(&self.fleet.current());
        self.transitions.clear();
        self.knobs = base_knobs(&mut self.random, platform, self.rate, memory, timeout_ms);
    }

    /// When a release must be made to take effect about at the onset.
    pub fn before_onset(&mut self) -> i64 {
        let lead = if self.fleet.platform == Platform::Ecs {
            self.random.whole(70, 160)
        } else {
            self.random.whole(15, 90)
        };
        self.onset - lead
    }
}

/// Knobs under which the service does well at `rate` requests a minute.
fn base_knobs(
    random: &mut Random,
    platform: Platform,
    rate: f64,
    memory_mb: f64,
    handler_timeout_ms: f64,
) -> Knobs {
    let db_ms = random.between(20.0, 160.0);
    let base_ms = random.between(15.0, 120.0);
    let hit = random.choose(&[0.0, 0.3, 0.6, 0.85]);
    let per_second = rate / 60.0;
    let busy = per_second * (1.0 - hit) * db_ms / 1000.0;
    let in_flight = per_second * (base_ms + db_ms + 120.0) / 1000.0;
    let cpu_ms = random.between(4.0, 30.0);
    let serverless = platform != Platform::Ecs;
    Knobs {
        pool: (busy * random.between(2.5, 5.0)).ceil().max(4.0),
        acquire_ms: random.choose(&[800.0, 1500.0, 2500.0, 5000.0]),
        threads: if serverless { 1e9 } else { (in_flight * random.between(4.0, 8.0)).ceil().max(8.0) },
        cores: if serverless {
            1e9
        } else {
            (per_second * cpu_ms / 1000.0 / random.between(0.2, 0.5)).max(0.1)
        },
        cpu_ms,
        db_ms,
        hit,
        base_ms,
        tail: random.between(0.3, 0.5),
        handler_timeout_ms,
        client_timeout_ms: random.choose(&[1500.0, 2500.0, 4000.0]),
        memory_mb,
        footprint_mb: memory_mb * random.between(0.3, 0.62),
        leak_mb_hour: 0.0,
        concurrency: if serverless && random.chance(0.5) {
            (in_flight * random.between(3.0, 6.0)).ceil().max(5.0)
        } else {
            1e9
        },
        admitted: 1e12,
        batch: 1.0,
        broken: 0.0,
        broken_by: Failure::Exception,
    }
}

fn neighbour(random: &mut Random, taken: &mut Vec<String>, rate: f64) -> Neighbour {
    let name = names::service(random, taken);
    Neighbour {
        lambda: random.chance(0.5),
        rate: rate * random.between(0.2, 2.5),
        error_share: random.choose(&[0.0, 0.001, 0.004, 0.02]),
        latency_ms: random.between(25.0, 200.0),
        measured: true,
        balancer: format!("app/{name}/{}", random.hex(16)),
        target: format!("targetgroup/{name}/{}", random.hex(16)),
        troubles: Vec::new(),
        name,
    }
}
