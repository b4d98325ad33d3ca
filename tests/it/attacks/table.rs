//! The rows of the attack table, route by route: what is sent, and what must come of it.
//!
//! The rule that is not obvious: what a stranger cannot sign, Amazon may have signed all the same: whoever names an
//! alarm or a function writes what SNS delivers. `tests/it/sns/sign.py` signed such messages once.

use std::io::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use incident_commander::demo::slack::sign;
use incident_commander::demo::slack::workspace::id;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::sns;

pub const TOKEN: &str = "alert-t0ken-of-the-table";
/// Stands in every attack: no log has it.
pub const CANARY: &str = "Canary7Zq";
const MIB: usize = 1024 * 1024;

/// Each class of attack that is looked at.
pub const CLASSES: [&str; 15] = [
    "forged",
    "replayed",
    "stale",
    "oversized",
    "bomb",
    "deep",
    "not UTF-8",
    "blocks",
    "links",
    "SQL",
    "log lines",
    "headers",
    "file names",
    "secrets",
    "directions",
];

/// Each route that reads what a stranger sends; all routes but health and metrics, which read nothing.
pub const ROUTES: [&str; 8] = [
    "/alert",
    "/",
    "/incidents/{id}",
    "/slack/events",
    "/slack/commands",
    "/slack/interactions",
    "/aws/sns",
    "/aws/logs",
];

/// Where an attack of a class cannot even be made on a route, and why.
const EXEMPT: [(&str, &str, &str); 4] = [
    ("/incidents/{id}", "replayed", "a read changes nothing, however often it is made"),
    ("/incidents/{id}", "stale", "nothing in it has a time"),
    ("/incidents/{id}", "bomb", "no body of it is parsed"),
    ("/incidents/{id}", "deep", "no body of it is parsed"),
];

/// What of the grid of routes and classes no row meets, or is exempt and met all the same.
pub fn holes(rows: &[Attack]) -> Vec<String> {
    let met = |route: &str, class: &str| rows.iter().any(|row| row.route() == route && row.class == class);
    let grid = ROUTES.iter().flat_map(|route| CLASSES.map(|class| (*route, class)));
    let wrong = grid.filter(|(route, class)| {
        let is_exempt = EXEMPT.iter().any(|(of, kind, _)| of == route && kind == class);
        met(route, class) == is_exempt
    });
    let mut wrong: Vec<String> = wrong.map(|(route, class)| format!("{class} on {route}")).collect();
    let stray = rows.iter().filter(|row| !ROUTES.contains(&row.route()) || !CLASSES.contains(&row.class));
    wrong.extend(stray.map(|row| format!("a row beyond the grid: {} on {}", row.class, row.path)));
    wrong
}

/// What must come of an attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Not let in: who asks is not who may.
    Refused,
    /// Let in, and the sender is told what is wrong with it.
    Unreadable,
    /// No message at all, where the message itself is what lets somebody in: told so, until it was told too often.
    NoMessage,
    TooLarge,
    /// Taken, and nothing but data.
    Inert,
}

impl Fate {
    pub fn fits(self, status: u16) -> bool {
        match self {
            // Also because the address failed too often before.
            Self::Refused => matches!(status, 401 | 403 | 429),
            Self::Unreadable => matches!(status, 400 | 404 | 405 | 415),
            Self::NoMessage => matches!(status, 400 | 429),
            Self::TooLarge => matches!(status, 413 | 414 | 431),
            Self::Inert => matches!(status, 200 | 202),
        }
    }
}

pub struct Attack {
    pub class: &'static str,
    pub path: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    pub fate: Fate,
}

impl Attack {
    fn new(class: &'static str, path: &str, body: impl Into<Vec<u8>>, fate: Fate) -> Self {
        Self { class, path: path.to_owned(), headers: Vec::new(), body: body.into(), fate }
    }

    /// As the router knows it.
    pub fn route(&self) -> &str {
        let path = self.path.split('?').next().unwrap_or_default();
        if path.starts_with("/incidents/") { "/incidents/{id}" } else { path }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn tokened(self) -> Self {
        self.with("authorization", format!("Bearer {TOKEN}"))
    }

    /// Signed as Slack would, so many seconds ago.
    fn signed(self, secret: &str, seconds_ago: i64) -> Self {
        let at = Timestamp::now().as_second() - seconds_ago;
        let signature = sign(secret, at, std::str::from_utf8(&self.body).unwrap());
        self.with("x-slack-signature", signature).with("x-slack-request-timestamp", at.to_string())
    }
}

/// What text can try: each is a service's name, a person's words or an alert's title once.
pub fn injections() -> Vec<(&'static str, String)> {
    vec![
        ("blocks", format!("{CANARY} <!channel> <@U1> *bold* `code` &lt;!here&gt;")),
        ("links", format!("{CANARY} <https://evil.example|Roll back> https://evil.example/{CANARY}")),
        ("SQL", format!("{CANARY}'; DROP TABLE incidents; --")),
        (
            "log lines",
            format!("{CANARY}\n2026-02-06T12:00:00Z ERROR forged\u{1b}[2J\r\n{{\"level\":\"ERROR\"}}"),
        ),
        ("headers", format!("{CANARY}\r\nSet-Cookie: a=b\r\n\r\n<script>")),
        ("file names", format!("../../{CANARY}/etc/passwd\0.json")),
        ("secrets", format!("{CANARY} password=hunter2 xoxb-123456789012-{CANARY}")),
        ("directions", format!("{CANARY}\u{202e}gnp.exe\u{2066}")),
    ]
}

pub fn alert(service: &str) -> String {
    json!({ "service": service, "triggered_at": "2026-02-06T12:15:00Z", "alert_name": service, "severity": service })
        .to_string()
}

fn form(fields: &[(&str, String)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// An event as Slack tells it: a message of the alerting tool.
pub fn event(number: usize, text: &str) -> String {
    let event = json!({ "type": "message", "subtype": "bot_message", "channel": id::ALERTS, "bot_id": "B0MONITOR",
        "ts": format!("1770380100.{number:06}"), "text": "", "attachments": [{ "color": "danger",
        "title": format!("[FIRING:1] HighErrorRate {text}"), "fields": [{ "title": "service", "value": text }] }] });
    json!({ "type": "event_callback", "event_id": format!("Ev{number}"), "event": event }).to_string()
}

/// What somebody types in which a text stands, as the fields that Slack tells of it.
pub fn commands(text: &str) -> [Vec<(&'static str, String)>; 4] {
    let typed = [
        text.to_owned(),
        format!("mute checkout 1h {text}"),
        format!("status {text}"),
        format!("close INC-1 {text}"),
    ];
    typed.map(|typed| {
        vec![
            ("user_id", id::ON_CALL.to_owned()),
            ("channel_id", id::ALERTS.to_owned()),
            ("text", typed),
            ("response_url", "http://169.254.169.254/latest/meta-data/".to_owned()),
            ("trigger_id", text.to_owned()),
        ]
    })
}

/// What somebody presses and sends in, with a text wherever Slack tells one.
pub fn interactions(text: &str) -> [Value; 2] {
    let press = json!({ "type": "block_actions", "user": { "id": text }, "channel": { "id": text },
        "container": { "type": "message", "message_ts": text, "channel_id": text }, "message": { "ts": text },
        "response_url": "http://169.254.169.254/", "trigger_id": text,
        "actions": [{ "action_id": text, "value": text, "type": "button", "action_ts": text }] });
    let submitted = json!({ "type": "view_submission", "user": { "id": text }, "view": { "id": text,
        "callback_id": "investigate", "private_metadata": text, "state": { "values": {} } } });
    [press, submitted]
}

/// One handler behind two addresses.
pub fn on_the_alert_routes() -> Vec<Attack> {
    ["/alert", "/"].into_iter().flat_map(on_the_alert_route).collect()
}

fn on_the_alert_route(path: &'static str) -> Vec<Attack> {
    let good = alert("checkout");
    let forged = |body: Vec<u8>| Attack::new("forged", path, body, Fate::Refused);
    let tokened = |class, body: Vec<u8>, fate| Attack::new(class, path, body, fate).tokened();
    let nested = format!("{}1{}", "{\"a\":".repeat(5_000), "}".repeat(5_000));
    let old = json!({ "service": CANARY, "triggered_at": "0001-01-01" }).to_string();
    let mut all = vec![
        forged(good.clone().into_bytes()),
        forged(good.clone().into_bytes()).with("authorization", format!("Bearer {CANARY}")),
        forged(good.clone().into_bytes()).with("authorization", format!("Basic {CANARY}")),
        forged(vec![b'x'; 2 * MIB]),
        tokened("replayed", good.clone().into_bytes(), Fate::Inert),
        tokened("replayed", good.clone().into_bytes(), Fate::Inert),
        tokened("oversized", vec![b'x'; MIB + 1], Fate::TooLarge),
        tokened("oversized", good.clone().into_bytes(), Fate::TooLarge).with("x-long", CANARY.repeat(8_000)),
        tokened("bomb", vec![0x1f, 0x8b, 8, 0], Fate::Unreadable).with("content-encoding", "gzip"),
        tokened("bomb", format!("[{}1]", "[],".repeat(200_000)).into_bytes(), Fate::Unreadable),
        tokened("deep", "[".repeat(MIB - 1).into_bytes(), Fate::Unreadable),
        tokened("deep", nested.into_bytes(), Fate::Unreadable),
        tokened("not UTF-8", b"{\"service\": \"\xff\xfe\"}".to_vec(), Fate::Unreadable),
        Attack::new("not UTF-8", &format!("{path}?wait=%ff%fe"), good, Fate::Inert).tokened(),
        tokened("stale", old.into_bytes(), Fate::Inert),
    ];
    let inject =
        |(class, text): (&'static str, String)| tokened(class, alert(&text).into_bytes(), Fate::Inert);
    all.extend(injections().into_iter().map(inject));
    all
}

pub fn on_the_slack_routes() -> Vec<Attack> {
    let mut all = Vec::new();
    for path in ["/slack/events", "/slack/commands", "/slack/interactions"] {
        let body = format!("text={CANARY}&user_id=U1&channel_id=C1&payload=%7B%7D");
        let signed = |class, body: Vec<u8>, fate| Attack::new(class, path, body, fate).signed("signing", 0);
        all.extend([
            Attack::new("forged", path, body.clone(), Fate::Refused),
            Attack::new("forged", path, body.clone(), Fate::Refused).signed("another secret", 0),
            Attack::new("forged", path, body.clone(), Fate::Refused)
                .with("x-slack-signature", format!("v0={CANARY}"))
                .with("x-slack-request-timestamp", CANARY),
            Attack::new("stale", path, body.clone(), Fate::Refused).signed("signing", 600),
            Attack::new("stale", path, body.clone(), Fate::Refused).signed("signing", -600),
            signed("oversized", vec![b'x'; MIB + 1], Fate::TooLarge),
            signed("bomb", body.clone().into_bytes(), Fate::Unreadable).with("content-encoding", "deflate"),
            signed("bomb", format!("{CANARY}=1&").repeat(60_000).into_bytes(), Fate::Inert),
            signed("deep", format!("payload={}", "[".repeat(100_000)).into_bytes(), Fate::Inert),
            signed("deep", "[".repeat(100_000).into_bytes(), Fate::Inert),
            Attack::new("not UTF-8", path, vec![0xff; 200], Fate::Refused)
                .with("x-slack-signature", format!("v0={}", "0".repeat(64)))
                .with("x-slack-request-timestamp", Timestamp::now().as_second().to_string()),
        ]);
    }
    all.push(Attack::new("oversized", "/slack/commands", vec![b'x'; 5_000], Fate::TooLarge));
    for (number, (class, text)) in injections().into_iter().enumerate() {
        let told = event(number, &text);
        all.push(Attack::new(class, "/slack/events", told.clone(), Fate::Inert).signed("signing", 0));
        all.push(Attack::new("replayed", "/slack/events", told, Fate::Inert).signed("signing", 0));
        for typed in commands(&text) {
            let body = form(&typed);
            for class in [class, "replayed"] {
                let typed = Attack::new(class, "/slack/commands", body.clone(), Fate::Inert);
                all.push(typed.signed("signing", 0));
            }
        }
        for payload in interactions(&text) {
            let body = form(&[("payload", payload.to_string())]);
            for class in [class, "replayed"] {
                let pressed = Attack::new(class, "/slack/interactions", body.clone(), Fate::Inert);
                all.push(pressed.signed("signing", 0));
            }
        }
    }
    all
}

pub fn on_the_route_of_amazon(amazon: &sns::Amazon) -> Vec<Attack> {
    let real = sns::message("alarm_v2", amazon);
    let changed = |field: &str, value: &str| {
        let mut message = real.clone();
        message[field] = json!(value);
        message.to_string()
    };
    let sns = |class, body: String, fate| Attack::new(class, "/aws/sns", body, fate);
    let mut all = vec![
        sns("forged", changed("Message", &format!("{{\"AlarmName\": \"{CANARY}\"}}")), Fate::Refused),
        sns(
            "forged",
            changed("SigningCertURL", &format!("http://169.254.169.254/{CANARY}.pem")),
            Fate::Refused,
        ),
        sns(
            "forged",
            changed("SigningCertURL", &format!("https://sns.{CANARY}.amazonaws.com/a.pem")),
            Fate::Refused,
        ),
        sns("forged", real.to_string(), Fate::Refused)
            .with("x-amz-sns-topic-arn", format!("arn:aws:sns:us-east-1:1:{CANARY}")),
        sns("replayed", changed("MessageId", CANARY), Fate::Refused),
        sns("stale", changed("Timestamp", "2026-02-05T12:00:00.000Z"), Fate::Refused),
        sns("oversized", "x".repeat(MIB + 1), Fate::TooLarge),
        sns("bomb", real.to_string(), Fate::Unreadable).with("content-encoding", "br"),
    ];
    for (class, body) in [
        ("deep", "[".repeat(100_000).into_bytes()),
        ("not UTF-8", vec![0xff; 100]),
        ("log lines", format!("{{\"Type\": \"{CANARY}\\n2026 ERROR forged\"}}").into_bytes()),
    ] {
        all.push(Attack::new(class, "/aws/sns", body, Fate::NoMessage));
    }
    all
}

pub fn on_the_route_of_incidents() -> Vec<Attack> {
    let of = |class, id: &str, fate| Attack::new(class, &format!("/incidents/{id}"), "", fate);
    let encoded =
        |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20");
    let mut all = vec![
        of("forged", "INC-1", Fate::Refused),
        of("forged", &format!("..%2f..%2f{CANARY}"), Fate::Refused)
            .with("authorization", format!("Bearer {CANARY}")),
        of("oversized", "INC-1", Fate::TooLarge).tokened().with("x-long", CANARY.repeat(8_000)),
        of("not UTF-8", "INC-1%ff%fe", Fate::Unreadable).tokened(),
        of("SQL", &format!("INC-1'%20OR%20{CANARY}"), Fate::Unreadable).tokened(),
        of("headers", &format!("INC-1%0d%0aX:%20{CANARY}"), Fate::Unreadable).tokened(),
        of("links", &format!("INC-1?format={CANARY}"), Fate::Unreadable).tokened(),
    ];
    let inject =
        |(class, text): (&'static str, String)| of(class, &encoded(&text), Fate::Unreadable).tokened();
    all.extend(injections().into_iter().map(inject));
    all
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Lines of a log group, as CloudWatch Logs sends them.
fn lines(group: &str, at: Timestamp, message: &str) -> Value {
    json!({ "messageType": "DATA_MESSAGE", "owner": group, "logGroup": group, "logStream": message,
        "subscriptionFilters": [message],
        "logEvents": [{ "id": message, "timestamp": at.as_millisecond(), "message": message }] })
}

/// As Firehose delivers them.
fn firehose(request: &str, datas: &[&[u8]]) -> String {
    let records: Vec<Value> =
        datas.iter().map(|data| json!({ "data": BASE64_STANDARD.encode(data) })).collect();
    json!({ "requestId": request, "timestamp": 1, "records": records }).to_string()
}

pub fn on_the_route_of_log_lines() -> Vec<Attack> {
    const PATH: &str = "/aws/logs";
    const KEY: &str = "x-amz-firehose-access-key";
    let at: Timestamp = "2026-02-06T12:17:00Z".parse().unwrap();
    let line = |message: &str| lines("/aws/lambda/checkout", at, message).to_string();
    let good = firehose("r-1", &[&packed(line("ERROR no").as_bytes())]);
    let tokened = |class, body: Vec<u8>, fate| Attack::new(class, PATH, body, fate).with(KEY, TOKEN);
    let carried =
        |class, content: &[u8], fate| tokened(class, firehose(class, &[content]).into_bytes(), fate);
    // 32 MiB are what a delivery may unpack to.
    let half = packed(&vec![b' '; 17 * MIB]);
    let many = packed(format!("{{\"a\":[{}1]}}", "[],".repeat(4 * MIB)).as_bytes());
    let years = |at: &str| lines("/aws/lambda/checkout", at.parse().unwrap(), CANARY).to_string();
    let mut all = vec![
        Attack::new("forged", PATH, good.clone(), Fate::Refused),
        Attack::new("forged", PATH, good.clone(), Fate::Refused).with(KEY, CANARY),
        Attack::new("forged", PATH, good.clone(), Fate::Refused)
            .with("authorization", format!("Bearer {CANARY}")),
        Attack::new("forged", PATH, vec![b'x'; 2 * MIB], Fate::Refused),
        tokened("replayed", good.clone().into_bytes(), Fate::Inert),
        tokened("replayed", good.clone().into_bytes(), Fate::Inert),
        carried("stale", years("0001-01-01T00:00:00Z").as_bytes(), Fate::Inert),
        carried("stale", years("9999-01-01T00:00:00Z").as_bytes(), Fate::Inert),
        carried(
            "stale",
            line(CANARY).replace("1770380220000", "9223372036854775807").as_bytes(),
            Fate::Inert,
        ),
        tokened("oversized", good.into_bytes(), Fate::TooLarge).with("x-long", CANARY.repeat(8_000)),
        tokened("bomb", packed(&vec![b' '; 33 * MIB]), Fate::TooLarge).with("content-encoding", "gzip"),
        tokened("bomb", firehose("bombs", &[&half, &half]).into_bytes(), Fate::TooLarge),
        tokened("bomb", packed(&packed(line(CANARY).as_bytes())), Fate::Unreadable)
            .with("content-encoding", "gzip"),
        tokened("bomb", line(CANARY).into_bytes(), Fate::Unreadable).with("content-encoding", "gzip"),
        tokened("bomb", packed(line(CANARY).as_bytes()), Fate::Unreadable).with("content-encoding", "br"),
        carried("bomb", &many, Fate::Unreadable),
        tokened("bomb", many.clone(), Fate::Unreadable).with("content-encoding", "gzip"),
        carried("bomb", &half[..half.len() / 2], Fate::Unreadable),
        tokened("deep", "[".repeat(MIB).into_bytes(), Fate::Unreadable),
        carried("deep", format!("{}1", "{\"a\":".repeat(50_000)).as_bytes(), Fate::Unreadable),
        carried(
            "deep",
            &packed(format!("{{\"logEvents\":{}", "[".repeat(50_000)).as_bytes()),
            Fate::Unreadable,
        ),
        tokened("not UTF-8", b"{\"logGroup\": \"\xff\xfe\"}".to_vec(), Fate::Unreadable),
        carried("not UTF-8", b"{\"messageType\": \"\xff\xfe\"}", Fate::Unreadable),
        tokened(
            "forged",
            json!({ "records": [{ "data": CANARY.repeat(3) }] }).to_string().into_bytes(),
            Fate::Unreadable,
        ),
        tokened(
            "forged",
            json!({ "records": [{ "data": { "a": CANARY } }] }).to_string().into_bytes(),
            Fate::Unreadable,
        ),
        tokened(
            "forged",
            json!({ "records": CANARY, "messageType": [CANARY] }).to_string().into_bytes(),
            Fate::Unreadable,
        ),
        carried("forged", json!({ "messageType": { CANARY: 1 } }).to_string().as_bytes(), Fate::Unreadable),
    ];
    for (class, text) in injections() {
        let body =
            firehose(&text, &[&packed(lines(&text, at, &format!("ERROR {text}")).to_string().as_bytes())]);
        all.push(tokened(class, body.into_bytes(), Fate::Inert));
    }
    all
}

/// Messages that Amazon signed, with words of whoever names alarms and functions; and what can be put around them
/// without breaking the signature.
pub fn under_amazons_signature(amazon: &sns::Amazon) -> Vec<Attack> {
    const PATH: &str = "/aws/sns";
    let hostile = sns::hostile(amazon);
    for (class, text) in injections() {
        let quoted = json!(text).to_string();
        let said = |(of, message): &&(String, Value)| {
            let inner: Value = serde_json::from_str(message["Message"].as_str().unwrap()).unwrap_or_default();
            of == class && inner.to_string().contains(&quoted)
        };
        assert_eq!(hostile.iter().filter(said).count(), 2, "{class}: sign.py says what this table says");
    }
    let mut all = Vec::new();
    for (class, message) in hostile {
        let fate = if class == "stale" { Fate::Refused } else { Fate::Inert };
        // A table's row lives as long as the test.
        let class: &'static str = class.leak();
        all.push(Attack::new(class, PATH, message.to_string(), fate));
        if fate == Fate::Inert {
            all.push(Attack::new("replayed", PATH, message.to_string(), Fate::Inert));
        }
    }
    let signed = sns::message("alarm_v2", amazon).to_string();
    let around = |more: &[u8]| {
        let mut body = signed.clone().into_bytes();
        body.pop();
        body.extend_from_slice(b", ");
        body.extend_from_slice(more);
        body.push(b'}');
        body
    };
    all.extend([
        Attack::new("forged", PATH, around(format!("\"Message\": \"{CANARY}\"").as_bytes()), Fate::NoMessage),
        Attack::new("forged", PATH, around(format!("\"Subject\": \"{CANARY}\"").as_bytes()), Fate::NoMessage),
        Attack::new(
            "forged",
            PATH,
            around(format!("\"SubscribeURL\": \"http://169.254.169.254/{CANARY}\"").as_bytes()),
            Fate::Inert,
        ),
        Attack::new(
            "oversized",
            PATH,
            around(format!("\"Padding\": \"{}\"", "x".repeat(MIB)).as_bytes()),
            Fate::TooLarge,
        ),
        Attack::new(
            "bomb",
            PATH,
            around(format!("\"Padding\": [{}1]", "[],".repeat(300_000)).as_bytes()),
            Fate::Inert,
        ),
        Attack::new(
            "deep",
            PATH,
            around(format!("\"Padding\": {}", "[".repeat(100_000)).as_bytes()),
            Fate::NoMessage,
        ),
        Attack::new(
            "deep",
            PATH,
            around(format!("\"Padding\": {}1{}", "[".repeat(120), "]".repeat(120)).as_bytes()),
            Fate::Inert,
        ),
    ]);
    all
}
