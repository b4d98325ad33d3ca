//! The demo's page with a message of every kind in it, for looking at it and for screenshots.
//!
//! `cargo run --example page_kinds -- --addr 127.0.0.1:3900`. What is said is what `slack` makes of incidents that
//! were simulated and weighed ([`samples`]); a few lines here stand in for the bot's other rooms: they post it through
//! the Web API and open forms.

#[path = "../../tests/it/generator/mod.rs"]
#[expect(dead_code, reason = "bundles and tests need more of an incident than a message tells")]
mod generator;
mod said;
mod samples;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use clap::Parser;
use incident_commander::chart;
use incident_commander::demo::page::{Mark, PageState, Scenario, ServicePoint, ServiceView, router};
use incident_commander::demo::slack::pace::Pace;
use incident_commander::demo::slack::workspace::id;
use incident_commander::demo::slack::{Options, SlackWorld};
use incident_commander::domain::scorecard::Voices;
use incident_commander::intake::command::COMMANDS;
use incident_commander::slack::messages::Message;
use incident_commander::slack::{answers, views};
use jiff::{SignedDuration, Timestamp};
use samples::Sample;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

#[derive(Parser)]
struct Arguments {
    /// Where the page is.
    #[arg(long, default_value = "127.0.0.1:3900")]
    addr: SocketAddr,
}

/// An app that says everything once.
#[derive(Clone)]
struct App {
    api: String,
    http: reqwest::Client,
    samples: Arc<[Sample]>,
}

impl App {
    async fn call(&self, method: &str, body: &Value) -> anyhow::Result<Value> {
        let url = format!("{}/{method}", self.api);
        let answer = self.http.post(url).bearer_auth("xoxb-demo").json(body).send().await?;
        let answer: Value = answer.json().await?;
        anyhow::ensure!(answer["ok"] == true, "{method}: {answer}");
        Ok(answer)
    }

    async fn post(&self, message: &Message, thread: Option<&str>) -> anyhow::Result<()> {
        let mut body = message.to_json();
        body["channel"] = json!(id::ALERTS);
        if let Some(thread) = thread {
            body["thread_ts"] = json!(thread);
        }
        self.call("chat.postMessage", &body).await.map(drop)
    }

    async fn open_form(&self, trigger_id: &str, action_id: &str, value: &str) {
        let Some(view) = said::form(&self.samples, action_id, value) else { return };
        if let Err(error) = self.call("views.open", &json!({"trigger_id": trigger_id, "view": view})).await {
            eprintln!("the form was not opened: {error}");
        }
    }

    async fn upload(&self, name: &str, thread: &str, content: Vec<u8>) -> anyhow::Result<()> {
        let query = [("filename", name.to_owned()), ("length", content.len().to_string())];
        let url = format!("{}/files.getUploadURLExternal", self.api);
        let place = self.http.get(url).bearer_auth("xoxb-demo").query(&query).send().await?;
        let place: Value = place.json().await?;
        let (url, file) = place["upload_url"].as_str().zip(place["file_id"].as_str()).context("no place")?;
        self.http.post(url).body(content).send().await?;
        let body =
            json!({"files": [{"id": file, "title": name}], "channel_id": id::ALERTS, "thread_ts": thread});
        self.call("files.completeUploadExternal", &body).await.map(drop)
    }
}

/// `POST /slack/commands`: the form, else a private answer.
async fn command(State(app): State<App>, body: String) -> Json<Value> {
    let fields = fields(&body);
    let field =
        |name: &str| fields.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str());
    if field("text").is_empty() {
        app.open_form(field("trigger_id"), "investigate", "").await;
        return Json(json!({}));
    }
    Json(answers::to_command(&answers::help(COMMANDS)))
}

/// `POST /slack/interactions`: options for the type-ahead, and the form behind a button.
async fn interaction(State(app): State<App>, body: String) -> Json<Value> {
    let payload = fields(&body).into_iter().find(|(key, _)| key == "payload").map(|(_, value)| value);
    let payload: Value = serde_json::from_str(&payload.unwrap_or_default()).unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match payload["type"].as_str() {
        Some("block_suggestion") => {
            let names = ["checkout-api", "checkout-worker", "payments"].map(str::to_owned);
            Json(views::options(&names, &text(&payload["value"])))
        }
        Some("view_submission") => {
            let sentence = "`teatime` is not a time: write 14:05 or 20 minutes ago.".to_owned();
            Json(views::errors(&[("words", sentence)]))
        }
        Some("block_actions") => {
            let action = &payload["actions"][0];
            app.open_form(
                &text(&payload["trigger_id"]),
                &text(&action["action_id"]),
                &text(&action["value"]),
            )
            .await;
            Json(json!({}))
        }
        _ => Json(json!({})),
    }
}

fn fields(form: &str) -> Vec<(String, String)> {
    let url = reqwest::Url::parse(&format!("http://form/?{form}"));
    url.map(|url| url.query_pairs().into_owned().collect()).unwrap_or_default()
}

/// What another tool says of a sample.
fn alert_of(sample: &Sample) -> Value {
    let alert = &sample.evidence.alert;
    let name = alert.alert_name.as_deref().unwrap_or("HighErrorRate");
    json!({"attachments": [{
        "color": "danger", "title": format!("[FIRING:1] {name} {}", alert.service),
        "text": format!("*Metric* {}\n*Severity* {}", alert.metric.as_deref().unwrap_or("errors"),
            alert.severity.as_deref().unwrap_or("critical")),
        "footer": "Alertmanager", "ts": alert.at.as_second(),
    }]})
}

/// The chart of a sample, as the bot draws it.
fn chart_of(sample: &Sample) -> anyhow::Result<Vec<u8>> {
    let report = sample.report();
    let mut marks = vec![chart::Mark {
        at: sample.evidence.alert.at,
        label: "alert".into(),
        kind: chart::MarkKind::Alert,
    }];
    marks.extend(report.verdict.change.iter().map(|change| chart::Mark {
        at: change.at,
        label: change.resource.clone(),
        kind: chart::MarkKind::Deployment,
    }));
    let input = chart::ChartInput {
        title: format!("{} {}", sample.id, sample.service()),
        symptoms: &sample.investigation.symptoms,
        marks,
        onset: report.onset,
    };
    chart::png(&chart::svg(&input))
}

async fn say_everything(slack: &SlackWorld, app: &App) -> anyhow::Result<()> {
    let first = app.samples.first().context("there are samples")?;
    let plan = first.plan().context("the first sample can be undone")?;
    let now = first.evidence.scope.now;
    let typed = "Deployed to #team-checkout, see https://ci.example/77 <b>not bold</b> & *not bold either";
    slack.user_message(id::DEVELOPER, id::ALERTS, typed, None)?;
    for sample in app.samples.iter() {
        let thread = slack.post_alert_message(id::ALERTS, id::ALERTMANAGER, &alert_of(sample))?;
        let plan = Some(&plan).filter(|_| sample.id == first.id);
        for message in said::verdict(sample, plan, Voices::default()) {
            app.post(&message, Some(&thread)).await?;
        }
        if let Some(plan) = plan {
            app.upload(&format!("{}.png", sample.id), &thread, chart_of(sample)?).await?;
            let eyes = json!({"channel": id::ALERTS, "timestamp": thread, "name": "eyes"});
            app.call("reactions.add", &eyes).await?;
            for message in said::after_the_verdict(sample, plan) {
                app.post(&message, Some(&thread)).await?;
            }
        }
    }
    for message in said::headlines(first).iter().chain(&said::in_the_channel(now)) {
        app.post(message, None).await?;
    }
    for message in said::in_private(&app.samples, now) {
        let mut body = message.to_json();
        body["channel"] = json!(id::ALERTS);
        body["user"] = json!(id::ON_CALL);
        app.call("chat.postEphemeral", &body).await?;
    }
    let home = said::at_home(&app.samples, &plan, now);
    app.call("views.publish", &json!({"user_id": id::ON_CALL, "view": home})).await?;
    Ok(())
}

/// A service that broke half an hour ago.
fn service_at(now: Timestamp) -> ServiceView {
    let at = |steps: i32| now - SignedDuration::from_secs(i64::from(90 - steps) * 20);
    let points = (0..=90).map(|step| {
        let wave = (f64::from(step) * 0.9).sin() * 0.01;
        let (error_rate, p99_ms) = if step > 55 { (0.39 + 3.0 * wave, 1980.0) } else { (0.05 + wave, 310.0) };
        ServicePoint { at: at(step), requests: 120.0, error_rate, p99_ms: p99_ms + 2000.0 * wave }
    });
    ServiceView {
        name: "demo-checkout-service".into(),
        version: "42".into(),
        points: points.collect(),
        marks: vec![Mark { at: at(38), label: "version 42".into() }],
        config: [("db_pool_size", "5"), ("max_concurrent", "8")]
            .map(|(key, value)| (key.into(), value.into()))
            .into(),
        scenario: "deployment_config_bug".into(),
        activity: Some("Ordinary traffic, 2 orders a second".into()),
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let noon: Timestamp = "2026-02-06T12:16:00Z".parse()?;
    let slack = SlackWorld::new(Options {
        pace: Pace::unlimited(),
        clock_offset: noon.duration_since(Timestamp::now()),
        ..Options::default()
    });
    let app = App {
        api: slack.serve(TcpListener::bind("127.0.0.1:0").await?)?,
        http: reqwest::Client::builder().timeout(Duration::from_secs(10)).build()?,
        samples: samples::of_each_cause()?.into(),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    slack.set_bot(&format!("http://{}", listener.local_addr()?), "secret");
    let routes = Router::new()
        .route("/slack/events", post(|| async {}))
        .route("/slack/commands", post(command))
        .route("/slack/interactions", post(interaction))
        .with_state(app.clone());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    say_everything(&slack, &app).await?;

    let (service, view) = watch::channel(service_at(slack.now()));
    let (commands, mut commanded) = mpsc::channel(4);
    tokio::spawn(async move {
        while let Some(command) = commanded.recv().await {
            let activity = Some(format!("{command:?}"));
            service.send_modify(|view| view.activity = activity);
        }
    });
    let scenarios = ["normal", "deployment_config_bug", "memory_leak"]
        .map(|name| Scenario { name: name.into(), about: format!("The story of {name}.") });
    let page =
        PageState { slack, service: view, commands, scenarios: scenarios.into(), channel: id::ALERTS.into() };
    let listener = TcpListener::bind(arguments.addr).await?;
    println!("every kind of message: http://{}", listener.local_addr()?);
    axum::serve(listener, router(page)).await?;
    Ok(())
}
