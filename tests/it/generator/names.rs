//! Names: services, people, configuration keys.
//!
//! The rule that is not obvious: about a third of the configuration keys are made of invented
//! words, so that a verdict on them cannot come from knowing the key.

use super::random::Random;

const SERVICES: &[&str] = &[
    "harbor-desk",
    "ticket-vault",
    "meter-reader",
    "seat-broker",
    "crate-router",
    "lantern-feed",
    "pantry-stock",
    "tariff-desk",
    "gift-ledger",
    "parcel-mesh",
    "visa-checks",
    "freight-quote",
    "dock-planner",
    "claim-sorter",
    "bonus-points",
    "room-finder",
    "fare-builder",
    "menu-planner",
    "permit-desk",
    "carrier-link",
    "tower-status",
    "pump-control",
    "yard-manager",
    "deposit-flow",
    "invoice-mill",
    "subtitle-farm",
    "glossary",
    "price-watch",
    "kiosk-backend",
    "branch-locator",
    "courier-app",
    "donor-registry",
    "exam-booking",
    "field-notes",
    "grant-review",
    "hotel-sync",
    "intake-forms",
    "job-matcher",
    "key-escrow",
    "label-printer",
    "mill-orders",
    "night-audit",
    "onboarding",
    "policy-admin",
    "queue-board",
    "rental-desk",
    "sample-lab",
    "toll-events",
    "unit-convert",
    "vendor-portal",
    "waitlist",
    "xray-archive",
    "yield-model",
    "zone-mapper",
    "auction-house",
    "badge-issuer",
    "cargo-trace",
    "dunning",
    "escrow-flow",
    "fleet-bids",
    "geo-fence",
    "haul-planner",
    "importer",
    "jersey-shop",
];

const SUFFIXES: &[&str] = &["", "", "", "-api", "-worker", "-svc", "-prod", "-v2"];

const PEOPLE: &[&str] = &[
    "amara.diallo",
    "ben.oyelaran",
    "chiara.rossi",
    "dmitri.volkov",
    "eva.lund",
    "farid.aziz",
    "greta.holm",
    "hana.suzuki",
    "ivan.petrovic",
    "jo.mcallister",
    "kofi.mensah",
    "lena.vogel",
    "mateo.cruz",
    "nina.kaur",
];

const PIPELINES: &[&str] = &[
    "ci-deployer",
    "argo-release",
    "pipeline-exec",
    "buildkite-agent",
    "circle-oidc",
    "atlantis-runner",
    "teamcity-ship",
    "cfn-exec-role",
    "harness-delegate",
];

pub fn service(random: &mut Random, taken: &mut Vec<String>) -> String {
    loop {
        let name = format!("{}{}", random.pick(SERVICES), random.pick(SUFFIXES));
        let stem = |s: &str| s.split('-').next().map(str::to_owned);
        if !taken.iter().any(|other| stem(other) == stem(&name)) {
            taken.push(name.clone());
            return name;
        }
    }
}

pub fn person(random: &mut Random) -> &'static str {
    random.pick(PEOPLE)
}

pub fn pipeline(random: &mut Random) -> &'static str {
    random.pick(PIPELINES)
}

/// What a configuration key is about, as the program that reads it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Pool,
    Threads,
    ClientTimeout,
    CacheTime,
    Batch,
    Admitted,
    Endpoint,
    Store,
    Toggle,
    Audience,
    Harmless,
}

/// The words that programs use for such keys.
fn words(role: Role) -> &'static [&'static str] {
    match role {
        Role::Pool => &[
            "pg pool max",
            "hikari maximum pool size",
            "db max conns",
            "mysql connection limit",
            "max open connections",
            "datasource pool size",
            "sql alchemy pool size",
        ],
        Role::Threads => &[
            "worker threads",
            "gunicorn workers",
            "server max threads",
            "executor parallelism",
            "max inflight",
        ],
        Role::ClientTimeout => &[
            "upstream timeout ms",
            "http read timeout ms",
            "grpc deadline ms",
            "client request timeout ms",
            "carrier call timeout ms",
        ],
        Role::CacheTime => {
            &["cache ttl s", "lookup cache seconds", "memo expiry seconds", "catalogue ttl sec"]
        }
        Role::Batch => &["batch size", "chunk rows", "poll max records", "page items"],
        Role::Admitted => &["rate limit per minute", "max requests per minute", "ingress quota rpm"],
        Role::Endpoint => &["backend host", "primary db host", "search endpoint", "broker address"],
        Role::Store => &["orders table", "export bucket", "events topic", "archive bucket name"],
        Role::Toggle => &[
            "enable new matcher",
            "use streaming parser",
            "async writes enabled",
            "v3 rules active",
            "strict mode",
        ],
        Role::Audience => &["jwt audience", "oidc issuer", "token audience"],
        Role::Harmless => &[
            "banner text",
            "build label",
            "support phone",
            "docs url",
            "trace sample ratio",
            "theme colour",
            "release channel",
            "contact mail",
            "log format",
            "copyright year",
            "ui density",
            "metrics prefix",
        ],
    }
}

/// An invented word: two or three syllables that mean nothing.
pub fn invented(random: &mut Random) -> String {
    const HEADS: &[&str] =
        &["br", "qu", "sk", "v", "z", "thr", "gl", "m", "pl", "kr", "dw", "fn", "h", "sn", "tw", "ny"];
    const HEARTS: &[&str] = &["a", "e", "o", "u", "ai", "ou", "ee", "y"];
    const TAILS: &[&str] = &[
        "ndle", "rvok", "lmit", "xby", "sk", "rrow", "zzel", "mf", "ntik", "bbot", "lk", "ggar", "pshaw",
        "vvet",
    ];
    let mut word = format!("{}{}", random.pick(HEADS), random.pick(HEARTS));
    if random.chance(0.5) {
        word.push_str(random.pick(&["l", "r", "n", "z"]));
        word.push_str(random.pick(HEARTS));
    }
    word.push_str(random.pick(TAILS));
    word
}

/// How a team spells its keys.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Spelling {
    Upper,
    Snake,
    Camel,
}

pub fn spelling(random: &mut Random) -> Spelling {
    random.choose(&[Spelling::Upper, Spelling::Upper, Spelling::Snake, Spelling::Camel])
}

pub fn spell(words: &[&str], spelling: Spelling) -> String {
    match spelling {
        Spelling::Upper => words.join("_").to_uppercase(),
        Spelling::Snake => words.join("_"),
        Spelling::Camel => words
            .iter()
            .enumerate()
            .map(|(i, word)| {
                let mut letters = word.chars();
                match letters.next() {
                    Some(first) if i > 0 => first.to_uppercase().chain(letters).collect(),
                    _ => (*word).to_owned(),
                }
            })
            .collect(),
    }
}

#[derive(Clone)]
pub struct Entry {
    pub role: Role,
    pub key: String,
    pub value: String,
}

/// The share of keys whose words are invented.
const INVENTED_SHARE: f64 = 0.36;

pub fn key(random: &mut Random, role: Role, spelling: Spelling) -> String {
    if random.chance(INVENTED_SHARE) {
        let (first, second) = (invented(random), invented(random));
        return spell(&[&first, &second], spelling);
    }
    telling_key(random, role, spelling)
}

/// A key whose words say what it is about.
pub fn telling_key(random: &mut Random, role: Role, spelling: Spelling) -> String {
    let phrase = random.pick(words(role));
    let parts: Vec<&str> = phrase.split(' ').collect();
    spell(&parts, spelling)
}

/// An ordinary value of a key.
pub fn value(random: &mut Random, role: Role) -> String {
    match role {
        Role::Pool => random.choose(&[10, 12, 16, 20, 24, 30, 40, 60]).to_string(),
        Role::Threads => random.choose(&[16, 32, 48, 64, 96]).to_string(),
        Role::ClientTimeout => random.choose(&[1500, 2000, 2500, 4000, 6000]).to_string(),
        Role::CacheTime => random.choose(&[120, 300, 600, 1800, 7200]).to_string(),
        Role::Batch => random.choose(&[5, 8, 20, 25, 50]).to_string(),
        Role::Admitted => random.choose(&[2000, 5000, 12000, 30000]).to_string(),
        Role::Endpoint => format!(
            "{}-{}.svc.cluster.internal",
            random.pick(&["primary", "main", "core", "blue"]),
            random.hex(3)
        ),
        Role::Store => {
            format!("{}-{}-live", random.pick(&["orders", "exports", "ledger", "events"]), random.hex(4))
        }
        Role::Toggle => random.pick(&["false", "off", "0", "disabled"]).to_owned(),
        Role::Audience => format!("https://login.{}.example/", random.pick(&["north", "acorn", "tidal"])),
        Role::Harmless => match random.whole(0, 4) {
            0 => format!("build-{}", random.whole(300, 9000)),
            1 => random.pick(&["Autumn offers", "Welcome back", "Scheduled works on Sunday", ""]).to_owned(),
            2 => {
                format!("https://docs.{}.example/{}", random.pick(&["acme", "tidal", "north"]), random.hex(4))
            }
            3 => format!("0.{}", random.whole(1, 60)),
            _ => random.pick(&["stable", "beta", "dense", "teal", "json"]).to_owned(),
        },
    }
}

/// The configuration of a service: one key of each role in `needed`, and some more.
pub fn configuration(random: &mut Random, spelling: Spelling, needed: &[Role]) -> Vec<Entry> {
    const OTHERS: &[Role] = &[
        Role::Pool,
        Role::Threads,
        Role::ClientTimeout,
        Role::CacheTime,
        Role::Batch,
        Role::Endpoint,
        Role::Store,
        Role::Toggle,
        Role::Harmless,
        Role::Harmless,
        Role::Harmless,
        Role::Harmless,
    ];
    let mut roles = needed.to_vec();
    for _ in 0..random.whole(4, 9) {
        roles.push(random.choose(OTHERS));
    }
    let mut entries: Vec<Entry> = Vec::new();
    for role in roles {
        if role != Role::Harmless && entries.iter().any(|entry| entry.role == role) {
            continue;
        }
        let key = key(random, role, spelling);
        if entries.iter().all(|entry| entry.key != key) {
            let value = value(random, role);
            entries.push(Entry { role, key, value });
        }
    }
    if !entries.iter().any(|entry| entry.role == Role::Harmless) {
        let key = key(random, Role::Harmless, spelling);
        entries.push(Entry { role: Role::Harmless, key, value: "stable".to_owned() });
    }
    random.shuffle(&mut entries);
    entries
}
