//! The spans of an incident's way: each names its incident, from the alert to the rollback.
//!
//! The rule that is not obvious: what is looked at is what any subscriber hears on this thread. The feature `otel` sends
//! the same spans, and adds none; what arrives of them is looked at where the tests are built with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use incident_commander::demo::slack::workspace::id;
use incident_commander::domain::alert::Alert;
use incident_commander::store::Origin;
use incident_commander::worker::{deliver_once, step_once};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

use crate::crashes::{APPROVE, asked};
use crate::house::desk;

#[derive(Debug, Clone, Default)]
struct Span {
    name: &'static str,
    fields: BTreeMap<&'static str, String>,
}

impl Visit for Span {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.fields.insert(field.name(), format!("{value:?}").trim_matches('"').to_owned());
    }
}

/// Every span of the program that began on this thread, in its order.
#[derive(Debug, Clone, Default)]
struct Heard(Arc<Mutex<Vec<Span>>>);

impl<S: tracing::Subscriber + for<'span> LookupSpan<'span>> Layer<S> for Heard {
    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        if attributes.metadata().target().starts_with("incident_commander") {
            let mut span = Span { name: attributes.metadata().name(), ..Span::default() };
            attributes.record(&mut span);
            self.0.lock().unwrap().push(span);
        }
    }

    fn on_record(&self, _: &Id, values: &Record<'_>, _: Context<'_, S>) {
        // Only the newest span learns of something later.
        if let Some(span) = self.0.lock().unwrap().last_mut() {
            values.record(span);
        }
    }
}

impl Heard {
    fn listen() -> (Self, DefaultGuard) {
        let heard = Self::default();
        let subscriber = tracing_subscriber::registry().with(heard.clone());
        (heard, crate::house::listen(subscriber))
    }

    /// Names of the spans that name this incident, with what kind of step or which agent it is.
    fn of(&self, incident: &str) -> BTreeSet<String> {
        let all = self.0.lock().unwrap();
        let own = all.iter().filter(|span| span.fields.get("incident").is_some_and(|id| id == incident));
        let name = |span: &Span| {
            let kind = span.fields.get("kind").or(span.fields.get("agent"));
            kind.map_or_else(|| span.name.to_owned(), |kind| format!("{} {kind}", span.name))
        };
        own.map(name).collect()
    }
}

#[tokio::test]
async fn from_the_alert_to_the_delivered_verdict_every_span_names_its_incident() {
    let (ward, bench) = asked(|_| {}).await;
    let desk = desk(&bench, &ward.settings).await;
    let (heard, _listening) = Heard::listen();
    let alert: Alert = serde_json::from_str(
        r#"{"service": "orders", "alert_name": "HighErrorRate", "at": "2026-02-06T12:17:00Z"}"#,
    )
    .unwrap();
    desk.alert(alert, Origin::default()).await.unwrap();
    for _ in 0..10 {
        while step_once(&bench).await.unwrap() {}
        while deliver_once(&bench).await.unwrap() {}
        ward.pass(1);
    }
    let spans = heard.of("INC-2");
    for expected in [
        "intake",
        "step investigate",
        "agent logs",
        "agent metrics",
        "agent deploy",
        "verdict",
        "step report",
        "delivery",
    ] {
        assert!(spans.contains(expected), "{expected}: {spans:?}");
    }
}

#[tokio::test]
async fn from_the_click_to_the_recovery_every_span_names_its_incident() {
    let (ward, bench) = asked(|_| {}).await;
    let (heard, _listening) = Heard::listen();
    ward.clicked(&bench, "press/1", id::APPROVER, APPROVE).await;
    ward.live(&bench, 60).await;
    let spans = heard.of("INC-1");
    for expected in ["step roll_back", "change", "step verify", "delivery"] {
        assert!(spans.contains(expected), "{expected}: {spans:?}");
    }
}

#[cfg(feature = "otel")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spans_arrive_at_the_collector_with_their_incident_and_without_anybodys_words() {
    use axum::body::Bytes;
    use axum::http::StatusCode;
    use axum::routing::post;

    use crate::kills::serve::{Serve, command, surroundings};

    const WORDS: &str = "Canary7Zq";
    let received = Arc::new(Mutex::new(Vec::new()));
    let heard = received.clone();
    let collect = async move |body: Bytes| {
        heard.lock().unwrap().push(body);
        StatusCode::OK
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let collector = format!("http://{}", listener.local_addr().unwrap());
    let router = axum::Router::new().route("/v1/traces", post(collect));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let folder = tempfile::tempdir().unwrap();
    let (_account, at) = surroundings(folder.path(), "", None).await;
    let mut program = command(&at, &["serve"]);
    program.env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector);
    let serve = Serve::run(program).await;
    let alert = format!(
        r#"{{"service": "orders", "alert_name": "{WORDS}", "triggered_at": "2026-02-06T12:17:00Z"}}"#
    );
    let request = reqwest::Client::new().post(format!("{}/alert?wait=60", serve.url)).body(alert);
    assert_eq!(request.send().await.unwrap().status().as_u16(), 200);
    // What was not sent yet is sent at its end.
    serve.end().await;
    // Strings stand in OTLP's protobuf as they are, behind their tag and length.
    let sent = received.lock().unwrap().concat();
    let holds = |text: &str| sent.windows(text.len()).any(|part| part == text.as_bytes());
    let field = |text: &str| holds(&format!("{}{text}", char::from(text.len() as u8)));
    for expected in [
        "incident-commander",
        "intake",
        "step",
        "investigate",
        "agent",
        "logs",
        "verdict",
        "incident",
        "INC-1",
    ] {
        assert!(field(expected), "{expected} is not sent: {}", String::from_utf8_lossy(&sent));
    }
    assert!(!holds(WORDS), "an alert's words are sent");
}
