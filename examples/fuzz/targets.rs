//! What is fuzzed: each parser that reads what a stranger wrote, as it is called in the bot.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::IpAddr;
use std::sync::LazyLock;

use axum::body::Body;
use axum::http::{HeaderValue, Request};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use incident_commander::analysis::{self, templates};
use incident_commander::aws::sns::{self, Envelope};
use incident_commander::bundle;
use incident_commander::bundle::{releases, trail};
use incident_commander::cli::{metrics, services};
use incident_commander::config::Config;
use incident_commander::domain::alert::{Alert, parse_time};
use incident_commander::domain::incident::IncidentId;
use incident_commander::domain::redact;
use incident_commander::http;
use incident_commander::intake::aws_event::Message;
use incident_commander::intake::{aws_event, aws_logs, command, mention, reading, when};
use incident_commander::slack::text::{cut, escape};
use incident_commander::slack::{inbound, interaction, socket};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

/// One parser.
pub struct Target {
    pub name: &'static str,
    /// Reads an input; what it says of it, for telling answers apart. It panics where something does not hold.
    pub parse: fn(&[u8]) -> String,
}

pub const TARGETS: &[Target] = &[
    Target { name: "alert", parse: alert },
    Target { name: "alert_reader", parse: alert_reader },
    Target {
        name: "slack_event",
        parse: |input| json(input, |body| format!("{:?}", inbound::read_event(body))),
    },
    Target { name: "slack_command", parse: slack_command },
    Target { name: "slack_action", parse: slack_interaction },
    Target { name: "slack_frame", parse: |input| format!("{:?}", socket::read_frame(&text(input))) },
    Target { name: "mention", parse: mention },
    Target { name: "request", parse: request },
    Target { name: "sns", parse: sns_body },
    Target { name: "aws_event", parse: signed_message },
    Target { name: "aws_logs", parse: delivered_lines },
    Target {
        name: "cloudtrail",
        parse: |input| json(input, |body| format!("{:?}", trail::record(body.clone()))),
    },
    Target { name: "bundle", parse: bundle_files },
    Target { name: "log_lines", parse: log_lines },
    Target { name: "csv", parse: csv },
    Target { name: "time_words", parse: time_words },
    Target { name: "redact", parse: redact },
    Target { name: "mrkdwn", parse: mrkdwn },
    Target { name: "services", parse: services_import },
    Target { name: "configuration", parse: |input| format!("{:?}", Config::parse(&text(input)).map(drop)) },
];

fn text(input: &[u8]) -> String {
    String::from_utf8_lossy(input).into_owned()
}

fn json(input: &[u8], read: impl Fn(&Value) -> String) -> String {
    match serde_json::from_slice(input) {
        Ok(value) => read(&value),
        Err(error) => format!("{:?}", error.classify()),
    }
}

fn now() -> Timestamp {
    Timestamp::from_second(1_770_380_100).expect("a time in 2026")
}

/// The body of `POST /alert`.
fn alert(input: &[u8]) -> String {
    let alert = Alert::from_body(input);
    if let Ok(alert) = &alert {
        let stored = serde_json::to_string(alert).expect("an alert can be written");
        let read: Alert = serde_json::from_str(&stored).expect("what was written can be read");
        assert_eq!(read.service, alert.service);
        let _ = alert.symptom();
    }
    format!("{alert:?}")
}

/// What the bot reads from a message of whichever tool.
fn alert_reader(input: &[u8]) -> String {
    json(input, |body| format!("{:?} {:?}", reading::read(body), reading::read_message(body).state))
}

fn slack_command(input: &[u8]) -> String {
    let form: Vec<(String, String)> =
        form_urlencoded::parse(input).map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
    let read = inbound::read_command(&form);
    let words = text(input);
    let command = command::read(&words, &|name| name == "checkout");
    format!("{read:?} {command:?}")
}

fn slack_interaction(input: &[u8]) -> String {
    json(input, |payload| {
        format!("{:?} {:?}", interaction::read_interaction(payload), interaction::read_press(payload))
    })
}

/// What somebody says to the bot: words, and a link to a message.
fn mention(input: &[u8]) -> String {
    let given = text(input);
    let link = mention::read_link(&given);
    if let Some(link) = &link {
        let is_time = |text: &str| text.chars().all(|c| c.is_ascii_digit() || c == '.');
        assert!(link.channel.chars().all(|c| c.is_ascii_alphanumeric()), "{link:?}");
        assert!(is_time(&link.ts) && link.thread_ts.as_deref().is_none_or(is_time), "{link:?}");
    }
    let words = mention::words_of(&given);
    format!("{link:?} {:?} {:?}", when::check(&words), command::read(&words, &|name| name == "checkout"))
}

/// What is read of a request while nobody knows who makes it. A line each: the name that it is asked for by, the page that
/// asks, how a browser calls that, and the incident in the path.
fn request(input: &[u8]) -> String {
    let mut lines = input.split(|byte| *byte == b'\n');
    let mut request = Request::new(Body::empty());
    for name in ["host", "origin", "sec-fetch-site"] {
        let line = lines.next().filter(|line| !line.is_empty());
        if let Some(value) = line.and_then(|line| HeaderValue::from_bytes(line).ok()) {
            request.headers_mut().insert(name, value);
        }
    }
    let told = http::foreign(&request, "https://bot.example");
    let host = request.headers().get("host").map(|host| text(host.as_bytes()));
    assert!(told.is_some() || host.as_deref().is_none_or(is_the_bots), "{host:?} is let in");
    let id = text(lines.next().unwrap_or_default()).parse::<IncidentId>();
    if let Ok(id) = &id {
        assert_eq!(id.to_string().parse().as_ref(), Ok(id));
    }
    format!("{told:?} {id:?}")
}

/// Whether a browser that asks by this name asks this machine, or the bot by its own name.
fn is_the_bots(host: &str) -> bool {
    // What stands before an `@` is a user.
    let host = host.rsplit('@').next().unwrap_or_default();
    let name = match host.strip_prefix('[') {
        Some(address) => address.split(']').next(),
        None => host.split(':').next(),
    };
    let name = name.unwrap_or_default().to_lowercase();
    let is_loopback = name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    is_loopback || name == "localhost" || name == "bot.example"
}

/// The body of `POST /aws/sns`, up to what is behind a signature that holds: whatever of an envelope is not signed can
/// still be anything.
fn sns_body(input: &[u8]) -> String {
    static CERTIFICATE: LazyLock<Vec<u8>> = LazyLock::new(|| {
        sns::certificate(include_bytes!("../../tests/it/sns/certificate.pem")).expect("a certificate")
    });
    let envelope = Envelope::read(input);
    let checked = envelope.as_ref().map(|envelope| {
        let topics = [envelope.topic_arn.clone()];
        envelope.check(&topics, None, now())?;
        sns::verify(envelope, &CERTIFICATE)?;
        Ok::<_, sns::Refused>(aws_event::read(&envelope.message))
    });
    format!("{checked:?}")
}

/// What Amazon delivers under its signature, whatever it says.
fn signed_message(input: &[u8]) -> String {
    let message = text(input);
    let envelope = json!({
        "Type": "Notification", "MessageId": "m-1", "TopicArn": "arn:aws:sns:eu-west-1:123456789012:alarms",
        "Message": message, "Timestamp": "2026-02-06T12:15:00.000Z", "SignatureVersion": "2", "Signature": "",
        "SigningCertURL": "https://sns.eu-west-1.amazonaws.com/a.pem",
    });
    let envelope = Envelope::read(envelope.to_string().as_bytes()).expect("what SNS writes can be read");
    assert_eq!(envelope.message, message);
    match aws_event::read(&envelope.message) {
        Message::Change(event) => {
            let record = trail::record(event.body.clone());
            format!(
                "{:?} {record:?} {:?} {event:?}",
                aws_event::names_in(&event),
                releases::event(event.body.clone())
            )
        }
        other => format!("{other:?}"),
    }
}

/// The body of `POST /aws/logs`. The first byte says how it comes: as it is, or as a batch within what a forwarder or
/// Firehose makes of it.
fn delivered_lines(input: &[u8]) -> String {
    let Some((how, content)) = input.split_first() else { return String::new() };
    let packed = || {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(content).expect("memory can be written");
        encoder.finish().expect("memory can be written")
    };
    let firehose =
        |bytes: &[u8]| json!({ "requestId": "r-1", "records": [{ "data": BASE64_STANDARD.encode(bytes) }] });
    let read = match how % 6 {
        0 => aws_logs::read(content, false),
        1 => aws_logs::read(content, true),
        2 => aws_logs::read(&packed(), true),
        3 => aws_logs::read(firehose(content).to_string().as_bytes(), false),
        4 => aws_logs::read(firehose(&packed()).to_string().as_bytes(), false),
        _ => {
            let forwarded = json!({ "awslogs": { "data": BASE64_STANDARD.encode(packed()) } });
            aws_logs::read(forwarded.to_string().as_bytes(), false)
        }
    };
    let counts = read.as_ref().map(|delivery| {
        let counts = delivery.counts(now());
        for (group, minutes) in &counts {
            let counted: u64 = minutes.iter().map(|minute| minute.lines).sum();
            assert!(counted <= delivery.lines[group].len() as u64, "no line counts twice");
            assert!(minutes.iter().all(|minute| minute.errors <= minute.lines), "{minutes:?}");
        }
        counts
    });
    format!("{counts:?} {read:?}")
}

/// A log, and everything that weighs it: the last step of what a stranger's lines reach.
fn bundle_files(input: &[u8]) -> String {
    const SCOPE: &[u8] = br#"{"service": "checkout", "now": "2026-02-06T12:20:00Z",
        "resources": {"lambda": ["checkout"], "ecs": [{"cluster": "prod", "service": "checkout"}],
        "log_groups": ["/aws/lambda/checkout"]}}"#;
    const ALERT: &[u8] = br#"{"service": "checkout", "triggered_at": "2026-02-06T12:15:00Z"}"#;
    const NAMES: &[&str] = &[
        "bundle.json",
        "alert.json",
        "logs.ndjson",
        "metrics.json",
        "cloudtrail.json",
        "lambda/checkout/versions.json",
        "lambda/checkout/aliases.json",
        "ecs/prod/checkout.json",
        "ecs/task-definitions.json",
        "ssm/parameters.json",
        "appconfig/deployments.json",
        "events.json",
        "codedeploy/deployments.json",
        "cloudformation/stack-events.json",
        "snapshots.json",
        "trials.json",
    ];
    // The first byte says which file it is.
    let Some((which, content)) = input.split_first() else { return String::new() };
    let name = NAMES[usize::from(*which) % NAMES.len()];
    let mut files = BTreeMap::from([
        ("bundle.json".to_owned(), SCOPE.to_vec()),
        ("alert.json".to_owned(), ALERT.to_vec()),
    ]);
    files.insert(name.to_owned(), content.to_vec());
    match bundle::from_files(&files) {
        Ok(mut evidence) => {
            redact::evidence(&mut evidence);
            let again =
                bundle::from_files(&bundle::to_files(&evidence)).expect("what is written can be read");
            let report = analysis::investigate(&again).report;
            let sum: f64 = report.hypotheses.iter().map(|hypothesis| hypothesis.probability).sum();
            assert!((sum - 1.0).abs() < 1e-6, "{sum}");
            format!("{name} {:?} {:?}", report.verdict, report.gaps)
        }
        Err(error) => format!("{name} {error}"),
    }
}

fn log_lines(input: &[u8]) -> String {
    let mut miner = templates::Miner::new(templates::Options::default());
    let ids: Vec<_> = input.split(|byte| *byte == b'\n').map(|line| miner.learn(line)).collect();
    miner.settle();
    let told: Vec<String> = ids.iter().take(50).map(|id| miner.template(miner.resolve(*id))).collect();
    format!("{} {told:?}", miner.len())
}

fn csv(input: &[u8]) -> String {
    match metrics::read_series(input) {
        Ok(points) => {
            let finite = points.iter().filter(|(_, value)| value.is_finite()).count();
            format!("{finite} of {} points", points.len())
        }
        Err(error) => format!("{error:#}"),
    }
}

fn time_words(input: &[u8]) -> String {
    let words = text(input);
    let zone = TimeZone::get("Europe/Berlin").unwrap_or(TimeZone::UTC);
    format!("{:?} {:?} {:?}", when::check(&words), when::read(&words, now(), &zone), parse_time(&words))
}

/// A stack, a state of Terraform or tags. What is made of it can be appended to a configuration.
fn services_import(input: &[u8]) -> String {
    json(input, |file| match services::import(file, &Config::default()) {
        Ok(Some(entries)) => {
            if let Err(error) = Config::parse(&entries) {
                panic!("{error:#}: {entries}");
            }
            entries
        }
        other => format!("{other:?}"),
    })
}

fn redact(input: &[u8]) -> String {
    let given = text(input);
    let mut masks = redact::Masks::default();
    let masked = masks.value("note", &given);
    assert_eq!(masks.original(&masked), given, "masks lead back");
    json(input, |body| {
        let mut document = body.clone();
        redact::json(&mut document);
        document.to_string()
    }) + &redact::text(&given)
}

fn mrkdwn(input: &[u8]) -> String {
    let given = text(input);
    let escaped = escape(&given);
    assert!(!escaped.contains(['<', '>']), "{escaped}");
    cut(&escaped, 150)
}
