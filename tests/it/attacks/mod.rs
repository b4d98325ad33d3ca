//! The attack table: each route and parser against each class of attack. What does not belong is refused, what cannot
//! be refused is inert, and nothing of it stands in a log in clear.
//!
//! The rule that is not obvious: one bot runs for the whole table, so that what one attack leaves behind meets the
//! next; and it runs on the test's own thread, so that everything that it logs is heard.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use incident_commander::bundle;
use incident_commander::config::Secret;
use incident_commander::demo::slack::pace::Pace;
use incident_commander::demo::slack::workspace::id;
use incident_commander::demo::slack::{Options, SlackWorld, sign};
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tracing_subscriber::fmt::MakeWriter;

use crate::house::{House, PATIENCE};
use crate::sns;

const TOKEN: &str = "alert-t0ken-of-the-table";
/// Stands in every attack: no log has it.
const CANARY: &str = "Canary7Zq";
const MIB: usize = 1024 * 1024;

/// What must come of an attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Not let in: who asks is not who may.
    Refused,
    /// Let in, and the sender is told what is wrong with it.
    Unreadable,
    TooLarge,
    /// Taken, and nothing but data.
    Inert,
}

impl Fate {
    fn fits(self, status: u16) -> bool {
        match self {
            // Also because the address failed too often before.
            Self::Refused => matches!(status, 401 | 403 | 429),
            Self::Unreadable => matches!(status, 400 | 404 | 405 | 415),
            Self::TooLarge => matches!(status, 413 | 414 | 431),
            Self::Inert => matches!(status, 200 | 202),
        }
    }
}

struct Attack {
    class: &'static str,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    fate: Fate,
}

impl Attack {
    fn new(class: &'static str, path: &str, body: impl Into<Vec<u8>>, fate: Fate) -> Self {
        Self { class, path: path.to_owned(), headers: Vec::new(), body: body.into(), fate }
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
fn injections() -> Vec<(&'static str, String)> {
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

fn alert(service: &str) -> String {
    json!({ "service": service, "triggered_at": "2026-02-06T12:15:00Z", "alert_name": service, "severity": service })
        .to_string()
}

fn form(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// An event as Slack tells it: a message of the alerting tool.
fn event(number: usize, text: &str) -> String {
    let event = json!({ "type": "message", "subtype": "bot_message", "channel": id::ALERTS, "bot_id": "B0MONITOR",
        "ts": format!("1770380100.{number:06}"), "text": "", "attachments": [{ "color": "danger",
        "title": format!("[FIRING:1] HighErrorRate {text}"), "fields": [{ "title": "service", "value": text }] }] });
    json!({ "type": "event_callback", "event_id": format!("Ev{number}"), "event": event }).to_string()
}

fn on_the_alert_route() -> Vec<Attack> {
    let good = alert("checkout");
    let mut all = vec![
        Attack::new("forged", "/alert", good.clone(), Fate::Refused),
        Attack::new("forged", "/", good.clone(), Fate::Refused)
            .with("authorization", format!("Bearer {CANARY}")),
        Attack::new("forged", "/alert", good.clone(), Fate::Refused)
            .with("authorization", format!("Basic {CANARY}")),
        Attack::new("forged", "/alert", vec![b'x'; 2 * MIB], Fate::Refused),
        Attack::new("oversized", "/alert", vec![b'x'; MIB + 1], Fate::TooLarge).tokened(),
        Attack::new("oversized", "/alert", good.clone(), Fate::TooLarge)
            .tokened()
            .with("x-long", CANARY.repeat(8_000)),
        Attack::new("bomb", "/alert", vec![0x1f, 0x8b, 8, 0], Fate::Unreadable)
            .tokened()
            .with("content-encoding", "gzip"),
        Attack::new("bomb", "/alert", format!("[{}1]", "[],".repeat(200_000)), Fate::Unreadable).tokened(),
        Attack::new("deep", "/alert", "[".repeat(MIB - 1), Fate::Unreadable).tokened(),
        Attack::new(
            "deep",
            "/alert",
            format!("{}1{}", "{\"a\":".repeat(5_000), "}".repeat(5_000)),
            Fate::Unreadable,
        )
        .tokened(),
        Attack::new("not UTF-8", "/alert", b"{\"service\": \"\xff\xfe\"}".to_vec(), Fate::Unreadable)
            .tokened(),
        Attack::new("not UTF-8", "/alert?wait=%ff%fe", good, Fate::Inert).tokened(),
        Attack::new(
            "stale",
            "/alert",
            json!({"service": CANARY, "triggered_at": "0001-01-01"}).to_string(),
            Fate::Inert,
        )
        .tokened(),
    ];
    let inject = |(class, text): (&'static str, String)| {
        Attack::new(class, "/alert", alert(&text), Fate::Inert).tokened()
    };
    all.extend(injections().into_iter().map(inject));
    all
}

fn on_the_slack_routes() -> Vec<Attack> {
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
        for typed in [
            text.clone(),
            format!("mute checkout 1h {text}"),
            format!("status {text}"),
            format!("close INC-1 {text}"),
        ] {
            let body = form(&[
                ("user_id", id::ON_CALL),
                ("channel_id", id::ALERTS),
                ("text", &typed),
                ("response_url", "http://169.254.169.254/latest/meta-data/"),
                ("trigger_id", &text),
            ]);
            all.push(Attack::new(class, "/slack/commands", body, Fate::Inert).signed("signing", 0));
        }
        let press = json!({ "type": "block_actions", "user": { "id": text }, "channel": { "id": text },
            "container": { "type": "message", "message_ts": text, "channel_id": text }, "message": { "ts": text },
            "response_url": "http://169.254.169.254/", "trigger_id": text,
            "actions": [{ "action_id": text, "value": text, "type": "button", "action_ts": text }] });
        let submitted = json!({ "type": "view_submission", "user": { "id": text }, "view": { "id": text,
            "callback_id": "investigate", "private_metadata": text, "state": { "values": {} } } });
        for payload in [press, submitted] {
            let body = form(&[("payload", &payload.to_string())]);
            all.push(Attack::new(class, "/slack/interactions", body, Fate::Inert).signed("signing", 0));
        }
    }
    all
}

fn on_the_other_routes(amazon: &sns::Amazon) -> Vec<Attack> {
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
        Attack::new("file names", &format!("/incidents/..%2f..%2f{CANARY}"), "", Fate::Refused),
        Attack::new("file names", &format!("/incidents/..%2f..%2f{CANARY}"), "", Fate::Unreadable).tokened(),
        Attack::new("SQL", &format!("/incidents/INC-1'%20OR%20{CANARY}"), "", Fate::Unreadable).tokened(),
        Attack::new("headers", &format!("/incidents/INC-1%0d%0aX:%20{CANARY}"), "", Fate::Unreadable)
            .tokened(),
        Attack::new("links", &format!("/incidents/INC-1?format={CANARY}"), "", Fate::Unreadable).tokened(),
    ];
    // Bodies that are no message are told so until there were too many of them.
    for (class, body) in [
        ("deep", "[".repeat(100_000).into_bytes()),
        ("not UTF-8", vec![0xff; 100]),
        ("log lines", format!("{{\"Type\": \"{CANARY}\\n2026 ERROR forged\"}}").into_bytes()),
    ] {
        all.push(Attack::new(class, "/aws/sns", body, Fate::Refused));
    }
    all
}

/// Everything that is logged on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn each_attack_on_each_route_is_refused_or_inert_and_in_no_log() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_env_filter("incident_commander=debug,incident_commander::demo=off")
        .with_writer(log.clone())
        .finish();
    let _heard = tracing::subscriber::set_default(subscriber);
    let amazon = sns::amazon().await;
    let slack =
        SlackWorld::new(Options { ack_deadline: PATIENCE, pace: Pace::unlimited(), ..Options::default() });
    let api = slack.serve(TcpListener::bind("127.0.0.1:0").await.unwrap()).unwrap();
    let house = House::open(|settings| {
        settings.alert_token = Some(Secret::Value(TOKEN.into()));
        settings.aws_endpoint_url = Some(amazon.url.clone());
        settings.config.aws.topics = vec![sns::TOPIC.to_owned()];
        settings.config.slack.alert_channels = vec![id::ALERTS.into()];
        settings.slack_bot_token = Some(Secret::Value("xoxb-demo".into()));
        settings.slack_api_url = Some(api);
    })
    .await;
    let mut wrong = Vec::new();
    for attack in
        on_the_alert_route().into_iter().chain(on_the_slack_routes()).chain(on_the_other_routes(&amazon))
    {
        let method = if attack.path.starts_with("/incidents") { Method::GET } else { Method::POST };
        let mut request =
            house.client.request(method, format!("{}{}", house.url, attack.path)).body(attack.body);
        for (name, value) in &attack.headers {
            request = request.header(*name, value);
        }
        let (status, answer) = House::answer(request).await;
        let fits = attack.fate.fits(status) || (attack.path == "/aws/sns" && status == 400);
        if !fits || status >= 500 {
            let shown: String = answer.to_string().chars().take(200).collect();
            wrong.push(format!(
                "{} on {}: {status} {shown}, not {:?}",
                attack.class, attack.path, attack.fate
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // What follows is taken as ever, from the same address.
    let request =
        house.client.post(format!("{}/alert", house.url)).bearer_auth(TOKEN).body(alert("checkout"));
    assert_eq!(
        House::answer(request).await.0,
        202,
        "a valid caller behind the same address is not locked out"
    );
    let request = house.client.get(format!("{}/incidents/INC-1", house.url)).bearer_auth(TOKEN);
    assert_eq!(House::answer(request).await.0, 200, "the table of incidents is there");
    // The alert route alone gave one incident a service; their headlines come in any order.
    let posted = |slack: &SlackWorld| {
        let all = slack.messages(id::ALERTS);
        (all.iter().filter(|message| message.event_type() == Some("incident_headline")).count()
            >= injections().len())
        .then_some(all)
    };
    let messages = slack.wait_for("the headlines", PATIENCE, posted).await.unwrap();
    for message in messages {
        let shown = format!("{} {}", message.text, json!(message.blocks));
        for live in
            ["<!channel>", "<@U1>", "<https://evil", "hunter2", "xoxb-123456789012", "\u{202e}", "\u{1b}"]
        {
            assert!(!shown.contains(live), "{live:?} lives in {shown}");
        }
    }
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(text.lines().count() > 20, "the bot is heard: {text}");
    for line in text.lines() {
        assert!(serde_json::from_str::<Value>(line).is_ok(), "no line is forged: {line}");
        assert!(!line.contains(CANARY) && !line.contains("hunter2"), "in clear: {line}");
        assert!(!line.contains(TOKEN) && !line.contains("signing\""), "a secret of the bot's own: {line}");
    }
}

#[tokio::test]
async fn who_fails_too_often_is_told_to_wait_and_who_is_right_never_is() {
    let house = House::open(|settings| settings.alert_token = Some(Secret::Value(TOKEN.into()))).await;
    let forged = || house.client.post(format!("{}/alert", house.url)).bearer_auth("guess").body("{}");
    let mut statuses = Vec::new();
    for _ in 0..40 {
        statuses.push(House::answer(forged()).await.0);
    }
    assert_eq!(statuses[..20], [401; 20]);
    assert!(statuses.ends_with(&[429; 3]), "{statuses:?}");
    let limited = forged().send().await.unwrap();
    assert!(limited.headers().contains_key("retry-after"));
    let right = house.client.post(format!("{}/alert", house.url)).bearer_auth(TOKEN).body(alert("checkout"));
    assert_eq!(House::answer(right).await.0, 202);
    let (_, metrics) = house.get("/metrics").await;
    let metrics = metrics.as_str().unwrap();
    assert!(
        metrics.contains("incident_commander_authentications_failed_total{route=\"alert\"} 41"),
        "{metrics}"
    );
}

#[tokio::test]
async fn without_the_token_no_byte_of_a_body_is_waited_for() {
    let house = House::open(|settings| settings.alert_token = Some(Secret::Value(TOKEN.into()))).await;
    let mut stream = TcpStream::connect(house.url.trim_start_matches("http://")).await.unwrap();
    let head = "POST /alert HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\nConnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
}

#[tokio::test]
async fn a_page_of_another_site_cannot_raise_an_alert_where_there_is_no_token() {
    let house = House::open(|_| {}).await;
    let from = |site: &str| {
        let request = house.client.post(format!("{}/alert", house.url)).header("sec-fetch-site", site);
        House::answer(request.body(alert("checkout")))
    };
    assert_eq!(from("cross-site").await.0, 403);
    assert_eq!(from("same-origin").await.0, 202);
}

#[test]
fn an_exported_name_never_leaves_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let scope = json!({ "service": "checkout", "now": "2026-02-06T12:20:00Z",
        "resources": { "lambda": ["../../outside"], "ecs": [{ "cluster": "..", "service": "/etc/passwd" }] } });
    let files = [
        ("bundle.json".to_owned(), scope.to_string().into_bytes()),
        ("alert.json".to_owned(), alert("checkout").into_bytes()),
        ("lambda/../../outside/versions.json".to_owned(), b"{\"Versions\": []}".to_vec()),
    ];
    let evidence = bundle::from_files(&files.into_iter().collect()).unwrap();
    assert!(bundle::write(&folder.path().join("inner"), &evidence).is_err());
    let outside: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(outside.iter().all(|name| name == "inner"), "{outside:?}");
}
