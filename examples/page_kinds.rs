//! The demo's page with a message of every kind in it, for looking at it and for screenshots.
//!
//! `cargo run --example page_kinds -- --addr 127.0.0.1:3900`. A few lines stand in for the bot: they
//! post through the Web API like any app, and answer commands and clicks.

use std::net::SocketAddr;
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
use jiff::{SignedDuration, Timestamp};
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
}

impl App {
    async fn call(&self, method: &str, body: &Value) -> anyhow::Result<Value> {
        let url = format!("{}/{method}", self.api);
        let answer = self.http.post(url).bearer_auth("xoxb-demo").json(body).send().await?;
        let answer: Value = answer.json().await?;
        anyhow::ensure!(answer["ok"] == true, "{method}: {answer}");
        Ok(answer)
    }

    async fn upload(&self, name: &str, content: Vec<u8>) -> anyhow::Result<String> {
        let query = [("filename", name.to_owned()), ("length", content.len().to_string())];
        let url = format!("{}/files.getUploadURLExternal", self.api);
        let place = self.http.get(url).bearer_auth("xoxb-demo").query(&query).send().await?;
        let place: Value = place.json().await?;
        let (url, file) = place["upload_url"].as_str().zip(place["file_id"].as_str()).context("no place")?;
        self.http.post(url).body(content).send().await?;
        self.call("files.completeUploadExternal", &json!({"files": [{"id": file, "title": name}]})).await?;
        Ok(file.to_owned())
    }
}

fn mrkdwn(text: &str) -> Value {
    json!({"type": "mrkdwn", "text": text})
}

fn plain(text: &str) -> Value {
    json!({"type": "plain_text", "text": text})
}

fn section(text: &str) -> Value {
    json!({"type": "section", "text": mrkdwn(text)})
}

fn button(action_id: &str, text: &str) -> Value {
    json!({"type": "button", "action_id": action_id, "value": "approval-1", "text": plain(text)})
}

/// `POST /slack/commands`: a modal where nothing was said, else a private answer.
async fn command(State(app): State<App>, body: String) -> Json<Value> {
    let fields = fields(&body);
    let field =
        |name: &str| fields.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str());
    if !field("text").is_empty() {
        let text = format!("Looking at *{}* :mag:", field("text"));
        return Json(json!({"response_type": "ephemeral", "text": text}));
    }
    let option = |text: &str, value: &str| json!({"text": plain(text), "value": value});
    let view = json!({
        "type": "modal", "title": plain("Investigate"), "submit": plain("Start"), "close": plain("Cancel"),
        "blocks": [
            section("Which service is in trouble? Logs, metrics and deployments are looked at."),
            {"type": "input", "block_id": "service", "label": plain("Service"), "element": {
                "type": "external_select", "action_id": "service", "min_query_length": 1,
                "placeholder": plain("Type a name")}},
            {"type": "input", "block_id": "since", "optional": true, "label": plain("Since"),
             "hint": plain("20 minutes ago, 14:05, or nothing for now"),
             "element": {"type": "plain_text_input", "action_id": "since"}},
            {"type": "input", "block_id": "impact", "label": plain("Impact"), "element": {
                "type": "radio_buttons", "action_id": "impact",
                "options": [option("Users notice", "high"), option("Nobody notices yet", "low")]}},
        ],
    });
    let opened = app.call("views.open", &json!({"trigger_id": field("trigger_id"), "view": view})).await;
    Json(opened.map_or_else(|error| json!({"text": error.to_string()}), |_| json!({})))
}

/// `POST /slack/interactions`: options for the type-ahead, and a private answer to every click.
async fn interaction(State(app): State<App>, body: String) -> Json<Value> {
    let payload = fields(&body).into_iter().find(|(key, _)| key == "payload").map(|(_, value)| value);
    let payload: Value = serde_json::from_str(&payload.unwrap_or_default()).unwrap_or_default();
    if payload["type"] == "block_suggestion" {
        let names = ["demo-checkout-service", "payments"];
        return Json(json!({"options": names.map(|name| json!({"text": plain(name), "value": name}))}));
    }
    if let (Some(url), Some(action)) =
        (payload["response_url"].as_str(), payload["actions"][0]["action_id"].as_str())
    {
        let answer = json!({
            "response_type": "ephemeral", "thread_ts": payload["container"]["thread_ts"],
            "text": format!("`{action}` was heard."),
        });
        if let Err(error) = app.http.post(url).json(&answer).send().await {
            eprintln!("the answer was lost: {error}");
        }
    }
    Json(json!({}))
}

fn fields(form: &str) -> Vec<(String, String)> {
    let url = reqwest::Url::parse(&format!("http://form/?{form}"));
    url.map(|url| url.query_pairs().into_owned().collect()).unwrap_or_default()
}

async fn say_everything(slack: &SlackWorld, app: &App) -> anyhow::Result<()> {
    let typed = "Deployed to #team-checkout, see https://ci.example/77 <b>not bold</b> & *not bold either";
    slack.user_message(id::DEVELOPER, id::ALERTS, typed, None)?;
    let alarm = json!({"attachments": [{
        "color": "danger", "title": "ALARM: demo-checkout-service-error-rate", "title_link": "https://aws.example",
        "text": "*ErrorRate* &gt; 0.1 for 3 of 3 datapoints (`0.41`, `0.39`, `0.37`)",
        "fields": [{"title": "Service", "value": "demo-checkout-service", "short": true},
            {"title": "Region", "value": "eu-central-1", "short": true},
            {"title": "Reason", "value": "3 datapoints were greater than the threshold", "short": false}],
        "footer": "CloudWatch", "ts": 1_770_380_100,
    }]});
    let alarm = slack.post_alert_message(id::ALERTS, id::CLOUDWATCH, &alarm)?;
    let firing = json!({"attachments": [{
        "color": "warning", "title": "[FIRING:1] HighLatency payments",
        "text": "p99 is *1.2 s* <https://prom.example/graph|graph>\n&gt; runbook: wait and look\n• first\n• second",
    }]});
    slack.post_alert_message(id::ALERTS, id::ALERTMANAGER, &firing)?;
    let eyes = json!({"channel": id::ALERTS, "timestamp": alarm, "name": "eyes"});
    app.call("reactions.add", &eyes).await?;
    let headline = json!([
        section(":rotating_light: *INC-7* · demo-checkout-service · *deployment, 97 %*"),
        {"type": "context", "elements": [
            mrkdwn("Logs :white_check_mark: · Metrics :white_check_mark: · Deploys :white_check_mark: · 4.2 s"),
            mrkdwn(&format!("asked by <@{}>", id::ON_CALL))]},
    ]);
    let body = json!({"channel": id::ALERTS, "thread_ts": alarm, "text": "INC-7", "blocks": headline});
    app.call("chat.postMessage", &body).await?;
    let picture = app.upload("error-rate.png", chart::png(DRAWING)?).await?;
    let body =
        json!({"channel": id::ALERTS, "thread_ts": alarm, "text": "Root cause", "blocks": report(&picture)});
    app.call("chat.postMessage", &body).await?;
    let body = json!({"channel": id::ALERTS, "text": "Other kinds", "blocks": other_kinds(), "attachments": [
        {"color": "#2eb67d", "blocks": [section(":white_check_mark: *Recovered.* Error rate 4.6 %.")]}]});
    app.call("chat.postMessage", &body).await?;
    let whisper = "`INC-7` is being investigated already. `/investigate help` says what else can be asked.";
    let body = json!({"channel": id::ALERTS, "user": id::ON_CALL, "text": whisper});
    app.call("chat.postEphemeral", &body).await?;
    let mut open = section("*INC-7* demo-checkout-service · deployment, 97 % · _awaiting approval_");
    open["accessory"] = button("open", "Open");
    let home = json!({"type": "home", "blocks": [
        {"type": "header", "text": plain("Open incidents")}, open, {"type": "divider"},
        {"type": "header", "text": plain("Scorecard")},
        {"type": "section", "fields": [mrkdwn("*Right*\n12"), mrkdwn("*Wrong*\n1")]}]});
    app.call("views.publish", &json!({"user_id": id::ON_CALL, "view": home})).await?;
    Ok(())
}

fn report(picture: &str) -> Value {
    let mut approve = button("rollback_approve", "Roll back");
    approve["style"] = json!("danger");
    approve["confirm"] = json!({
        "title": plain("Roll back demo-checkout-service?"), "style": "danger",
        "text": mrkdwn("The alias `live` moves from version *42* to version *41*."),
        "confirm": plain("Roll back"), "deny": plain("Not now"),
    });
    let cell = |text: &str| json!({"type": "raw_text", "text": text});
    let text = |text: &str| json!({"type": "text", "text": text});
    json!([
        {"type": "header", "text": plain("Root cause: deployment at 12:00 UTC")},
        section("The deployment lowered `db_pool_size` from 10 to 5 and raised `max_concurrent` from 5 to 8."),
        {"type": "section", "fields": [mrkdwn("*Confidence*\n97 %"), mrkdwn("*Onset*\n12:15 UTC"),
            mrkdwn("*Error rate*\n4.8 % → 41 %"), mrkdwn("*p99*\n310 ms → 2040 ms")]},
        {"type": "image", "slack_file": {"id": picture}, "title": plain("Error rate"),
         "alt_text": "Error rate, 5 % until 12:15 UTC and about 40 % from then on"},
        {"type": "divider"},
        section("*Evidence*\n• `E1` logs: _pool exhausted_ 0 → 212 a minute\n• `E2` metrics: p99 *6.6 times* its level\n\
            • `E3` deploy: <https://aws.example|UpdateAlias> at 12:00:04"),
        {"type": "table", "column_settings": [{"align": "left"}, {"align": "right"}, {"align": "right"}], "rows": [
            [cell("Key"), cell("Before"), cell("After")], [cell("db_pool_size"), cell("10"), cell("5")],
            [cell("max_concurrent"), cell("5"), cell("8")]]},
        {"type": "rich_text", "elements": [
            {"type": "rich_text_section", "elements": [
                {"type": "text", "text": "Timeline", "style": {"bold": true}}]},
            {"type": "rich_text_list", "style": "ordered", "elements": [
                {"type": "rich_text_section", "elements": [
                    text("12:00 deployed by "), {"type": "user", "user_id": id::DEVELOPER}]},
                {"type": "rich_text_section", "elements": [text("12:15 pool exhausted")]}]},
            {"type": "rich_text_preformatted", "elements": [text("pool_available=-3 db_pool_size=5")]},
            {"type": "rich_text_quote", "elements": [text("the application's own guess")]}]},
        {"type": "actions", "elements": [approve, button("rollback_reject", "Reject"),
            button("show_evidence", "Show evidence"), button("show_plan", "Show plan")]},
        {"type": "context", "elements": [mrkdwn("Cleared: 3 other deployments · <!date^1770380100^{date} {time}|then>")]},
    ])
}

fn other_kinds() -> Value {
    let option = |text: &str| json!({"text": plain(text), "value": text});
    json!([
        {"type": "markdown", "text": "## A markdown block\nWith **bold**, *italic*, `code`, [a link](https://a.example).\n\
            - one\n- two\n\n> quoted\n```\nlet pool = 5;\n```"},
        {"type": "section", "text": mrkdwn("A select, *nested _styles_*, ~gone~, 2*3*4, snake_case_name"), "accessory": {
            "type": "static_select", "action_id": "service", "placeholder": plain("Which service?"),
            "options": [option("demo-checkout-service"), option("payments")]}},
        {"type": "section", "text": mrkdwn("A menu"), "accessory": {
            "type": "overflow", "action_id": "more", "options": [option("Mute for 2 h"), option("Close")]}},
        {"type": "alert", "level": "warning", "text": plain("CloudTrail is silent for this window.")},
        {"type": "context_actions", "elements": [{"type": "feedback_buttons", "action_id": "feedback",
            "positive_button": option("Right"), "negative_button": option("Wrong")}]},
        {"type": "image", "image_url": "https://elsewhere.example/a.png", "alt_text": "An image from elsewhere"},
    ])
}

const DRAWING: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" width="900" height="320">
    <rect width="900" height="320" fill="#fff"/><path d="M0 290h520l14-200h366" fill="none" stroke="#b3264a" stroke-width="4"/>
    <path d="M300 0v320" stroke="#8f5a00" stroke-width="2" stroke-dasharray="8 6"/></svg>"##;

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
