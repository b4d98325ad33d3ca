//! A bot on a port of its own, with a database of its own, for tests over the wire.

use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Duration;

use incident_commander::app::Bot;
use incident_commander::clock::Clock;
use incident_commander::config::{AwsKey, Config, Secret, Settings};
use incident_commander::demo::slack::SlackWorld;
use incident_commander::demo::slack::workspace::id;
use incident_commander::http::{self, Edge};
use incident_commander::intake::Desk;
use incident_commander::worker::Bench;
use serde_json::Value;
use tokio::net::TcpListener;
use tracing::subscriber::{DefaultGuard, NoSubscriber};
use tracing::{Dispatch, Subscriber};

use crate::aws_account::Account;

/// Nothing in a test takes longer unless something is broken.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// Lets this subscriber hear all of this thread while it is held.
///
/// The rule that is not obvious: a subscriber that is the only one of the process is not asked whether it listens, but the
/// thread that comes by a place in the code first is, which may be another test's; what that does not hear, nobody hears
/// from then on. So there are always two.
pub fn listen(subscriber: impl Subscriber + Send + Sync + 'static) -> DefaultGuard {
    static OTHER: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(NoSubscriber::new()));
    LazyLock::force(&OTHER);
    tracing::subscriber::set_default(subscriber)
}

pub struct House {
    /// Held so that it runs as long as the house stands.
    _bot: Bot,
    pub url: String,
    pub client: reqwest::Client,
    _folder: tempfile::TempDir,
}

/// Settings for a bot without Slack, whose AWS is a port where nobody listens.
pub fn settings(folder: &std::path::Path) -> Settings {
    let mut config = Config::default();
    config.aws.region = Some("us-east-1".into());
    Settings {
        config,
        database_url: format!("sqlite://{}", folder.join("house.db").display()),
        listen: "127.0.0.1:0".parse().unwrap(),
        slack_bot_token: None,
        slack_signing_secret: Some(Secret::Value("signing".into())),
        slack_app_token: None,
        slack_api_url: None,
        aws_endpoint_url: Some("http://127.0.0.1:9".into()),
        aws_credentials: Some(AwsKey { id: "AKIATEST".into(), secret: "secret".into() }),
        alert_token: None,
        public_url: None,
    }
}

/// Settings for a bot between an account and a workspace, which reads the channel of alerts.
pub async fn between(folder: &std::path::Path, account: &Account, slack: &SlackWorld) -> Settings {
    let mut settings = settings(folder);
    settings.slack_bot_token = Some(Secret::Value("xoxb-demo".into()));
    settings.slack_api_url = Some(slack.serve(TcpListener::bind("127.0.0.1:0").await.unwrap()).unwrap());
    settings.aws_endpoint_url = Some(account.url.clone());
    settings.aws_credentials.as_mut().unwrap().id.clone_from(&account.access_key);
    settings.config.slack.alert_channels = vec![id::ALERTS.into()];
    settings
}

/// What takes in for a bot whose work is stepped by hand.
pub async fn desk(bench: &Bench, settings: &Settings) -> Desk {
    let identity = Arc::new(OnceLock::new());
    identity.set(bench.slack.identity().await.unwrap()).unwrap();
    Desk {
        store: bench.store.clone(),
        slack: bench.slack.clone(),
        config: Arc::new(settings.config.clone()),
        clock: bench.clock.clone(),
        wake: bench.wake.clone(),
        identity,
        time_zones: Arc::default(),
        fail_points: bench.fail_points.clone(),
    }
}

/// The routes of such a bot, on a port of their own; their address.
pub async fn serve(bench: &Bench, settings: &Settings) -> String {
    let desk = desk(bench, settings).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = http::router(Edge {
        desk,
        alert_token: None,
        slack_signing_secret: settings.slack_signing_secret.clone(),
        sns: None,
        forged_at: Arc::default(),
        public_url: url.clone(),
        steps_done: bench.steps_done.subscribe(),
        workers: Arc::default(),
        metrics: bench.metrics.clone(),
        stop: bench.stop.clone(),
        failures: Arc::default(),
        bodies: http::Bodies::default(),
        pulse: Arc::default(),
        aws: bench.aws.clone(),
        connections: http::listen::Connections::default(),
        started_at: bench.clock.now(),
    });
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

impl House {
    pub async fn open(change: impl FnOnce(&mut Settings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = settings(folder.path());
        change(&mut settings);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let clock = Clock::starting_at("2026-02-06T12:18:00Z".parse().unwrap());
        let bot = Bot::start(settings, clock, listener, None).await.unwrap();
        let url = format!("http://{}", bot.address());
        Self { _bot: bot, url, client: reqwest::Client::new(), _folder: folder }
    }

    /// Posts a body as plain `curl -d` would.
    pub async fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> (u16, Value) {
        let request = self
            .client
            .post(format!("{}{path}", self.url))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body);
        Self::answer(request).await
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        Self::answer(self.client.get(format!("{}{path}", self.url))).await
    }

    pub async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
        let response = request.timeout(PATIENCE).send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }
}
