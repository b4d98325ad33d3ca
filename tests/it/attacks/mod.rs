//! The attack table: each route and parser against each class of attack. What does not belong is refused, what cannot
//! be refused is inert, and nothing of it stands in a log in clear.
//!
//! The rule that is not obvious: one bot runs for the whole table, so that what one attack leaves behind meets the
//! next (over Socket Mode another); and it runs on the test's own thread, so that everything that it logs is heard.

mod files;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};

use incident_commander::bundle;
use incident_commander::config::Secret;
use incident_commander::demo::slack::pace::Pace;
use incident_commander::demo::slack::workspace::id;
use incident_commander::demo::slack::{Message, Options, SlackWorld};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;

use self::table::{Attack, CANARY, ROUTES, TOKEN, alert, injections};
use crate::house::{House, PATIENCE};
use crate::sns;
use crate::socket_mode::Room;

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

impl Log {
    /// What this thread logs from now on, and what makes it so for as long as it is held.
    fn hear() -> (Self, DefaultGuard) {
        let log = Self::default();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .with_env_filter("warn,incident_commander=debug,incident_commander::demo=off")
            .with_writer(log.clone())
            .finish();
        (log, crate::house::listen(subscriber))
    }

    /// The bot was heard, none of its lines is forged, and nothing stands in them in clear.
    fn is_inert(&self) {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        assert!(text.lines().count() > 20, "the bot is heard: {text}");
        for line in text.lines() {
            assert!(serde_json::from_str::<Value>(line).is_ok(), "no line is forged: {line}");
            assert!(!line.contains(CANARY) && !line.contains("hunter2"), "in clear: {line}");
            assert!(
                !line.contains(TOKEN) && !line.contains("signing\""),
                "a secret of the bot's own: {line}"
            );
        }
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Nothing of what somebody wrote lives in a message, and no secret is in it.
fn is_inert(message: &Message) {
    is_inert_in_slack(&format!("{} {}", message.text, json!(message.blocks)));
}

fn is_inert_in_slack(shown: &str) {
    for live in ["<!channel>", "<@U1>", "<https://evil", "hunter2", "xoxb-123456789012", "\u{202e}", "\u{1b}"]
    {
        assert!(!shown.contains(live), "{live:?} lives in {shown}");
    }
}

#[test]
fn the_table_knows_every_route_but_those_that_read_nothing() {
    const OPEN: [&str; 3] = ["/healthz", "/readyz", "/metrics"];
    let router = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http/mod.rs");
    let router = std::fs::read_to_string(router).unwrap();
    let routes = router.split(".route(\"").skip(1).filter_map(|rest| rest.split('"').next());
    let routes: BTreeSet<&str> = routes.collect();
    assert_eq!(routes, ROUTES.into_iter().chain(OPEN).collect());
}

#[tokio::test]
async fn each_attack_on_each_route_is_refused_or_inert_and_in_no_log() {
    let (log, _heard) = Log::hear();
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
    let rows = [
        table::on_the_alert_routes(),
        table::on_the_slack_routes(),
        table::on_the_route_of_log_lines(),
        table::under_amazons_signature(&amazon),
        table::on_the_route_of_amazon(&amazon),
        table::on_the_route_of_incidents(),
    ];
    let rows: Vec<Attack> = rows.into_iter().flatten().collect();
    assert_eq!(table::holes(&rows), Vec::<String>::new(), "each route meets each class");
    let mut wrong = Vec::new();
    for attack in rows {
        let method = if attack.path.starts_with("/incidents") { Method::GET } else { Method::POST };
        let mut request =
            house.client.request(method, format!("{}{}", house.url, attack.path)).body(attack.body);
        for (name, value) in &attack.headers {
            request = request.header(*name, value);
        }
        let (status, answer) = House::answer(request).await;
        if !attack.fate.fits(status) {
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
        is_inert(&message);
    }
    log.is_inert();
}

/// What a text can try in envelopes of each kind: in each of its fields, and in the place of all of them.
fn envelopes(number: usize, text: &str) -> Vec<(&'static str, Value)> {
    let event: Value = serde_json::from_str(&table::event(number, text)).unwrap();
    let typed = table::commands(text).map(|fields| fields.into_iter().collect::<BTreeMap<_, _>>());
    let mut all = vec![("events_api", event)];
    all.extend(typed.into_iter().map(|fields| ("slash_commands", json!(fields))));
    all.push(("slash_commands", json!({ "user_id": [text], "channel_id": { text: text }, "text": 7 })));
    all.extend(table::interactions(text).into_iter().map(|payload| ("interactive", payload)));
    all.extend(["events_api", "slash_commands", "interactive"].map(|kind| (kind, json!(text))));
    all
}

#[tokio::test]
async fn each_attack_over_socket_mode_is_ignored_or_inert_and_the_line_holds() {
    // Forged: who is no holder of the app token has no line to send on. Stale: what comes late counts all the same, and once.
    let (log, _heard) = Log::hear();
    let room = Room::open_with("").await;
    for broken in [
        "[".repeat(100_000),
        format!("{{\"type\": \"events_api\", \"envelope_id\": \"E1\", \"payload\": {}", "[".repeat(100_000)),
        format!("[{}1]", "[],".repeat(200_000)),
        "{\"type\": \"events_api\", \"envelope_id\": \"\\ud800\"}".to_owned(),
        "x".repeat(1024 * 1024),
    ] {
        room.slack.send_to_links(&broken);
    }
    let mut sent = 0;
    for (number, (_, text)) in injections().into_iter().enumerate() {
        let mut all = envelopes(number, &text);
        all.push((text.as_str(), json!(text)));
        for (kind, payload) in all {
            for id in [text.as_str(), "replayed"] {
                let frame = json!({ "type": kind, "envelope_id": id, "retry_attempt": 3,
                    "accepts_response_payload": true, "payload": payload });
                room.slack.send_to_links(&frame.to_string());
                sent += 1;
            }
        }
    }
    // One of the texts mutes `checkout`.
    room.alert("FIRING:1", "payments");
    room.settled().await;
    // None of them would be sent again, and what is answered to whoever typed lives as little.
    let all = |slack: &SlackWorld| Some(slack.strays()).filter(|strays| strays.len() >= sent);
    let answers = room.slack.wait_for("each acknowledgement", PATIENCE, all).await.unwrap();
    assert_eq!(answers.len(), sent);
    for answer in answers {
        is_inert_in_slack(&answer["payload"].to_string());
    }
    // What came last is told, and so is what came before it.
    let told = |slack: &SlackWorld| {
        let all: Vec<Message> = slack.messages(id::ALERTS);
        all.iter()
            .any(|message| {
                message.event_type() == Some("incident_headline") && message.text.contains("payments")
            })
            .then_some(all)
    };
    for message in room.slack.wait_for("the headline", PATIENCE, told).await.unwrap() {
        if message.metadata.is_some() {
            is_inert(&message);
        }
    }
    // Of two that name the same service one joins the other.
    let incidents = room.incidents().await;
    let counted: i64 = incidents.iter().map(|(_, alerts)| alerts).sum();
    assert!(counted <= injections().len() as i64 + 1, "what came twice counts once: {incidents:?}");
    assert_eq!(room.slack.links_opened(), 1, "the line holds");
    room.bot.stop().await;
    log.is_inert();
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

/// The answer to a head whose body never comes.
async fn answer_to(house: &House, path: &str, headers: &str) -> String {
    let mut stream = TcpStream::connect(house.url.trim_start_matches("http://")).await.unwrap();
    let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\n{headers}Connection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    answer
}

#[tokio::test]
async fn without_the_token_no_byte_of_a_body_is_waited_for() {
    let house = House::open(|settings| settings.alert_token = Some(Secret::Value(TOKEN.into()))).await;
    for path in ["/alert", "/aws/logs"] {
        let answer = answer_to(&house, path, "Content-Length: 1000000\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 401"), "{path}: {answer}");
    }
    let too_large = format!("X-Amz-Firehose-Access-Key: {TOKEN}\r\nContent-Length: 8388609\r\n");
    let answer = answer_to(&house, "/aws/logs", &too_large).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[tokio::test]
async fn a_page_of_another_site_cannot_raise_an_alert_where_there_is_no_token() {
    let house = House::open(|_| {}).await;
    let from = |site: &str| {
        let request = house.client.post(format!("{}/alert", house.url)).header("sec-fetch-site", site);
        House::answer(request.body(alert("checkout")))
    };
    assert_eq!(from("cross-site").await.0, 403);
    assert_eq!(from("same-site").await.0, 403, "another port of this machine is somebody else");
    assert_eq!(from("same-origin").await.0, 202);
    // A name of its own that leads here makes a page one of the same origin: it still says which name it asked for.
    for path in ["/alert", "/incidents/INC-1"] {
        let method = if path == "/alert" { Method::POST } else { Method::GET };
        let asked_of = |host: &str| {
            let request = house.client.request(method.clone(), format!("{}{path}", house.url));
            House::answer(request.header("host", host).body(alert("checkout")))
        };
        assert_eq!(asked_of("evil.example").await.0, 403, "{path}");
        assert_ne!(asked_of("localhost:3000").await.0, 403, "{path}");
    }
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
