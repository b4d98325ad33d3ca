//! An account to test in: the AWS-compatible endpoint on a free port, and the real SDK pointed at it.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use incident_commander::aws::{AwsSettings, Clients, Credentials};
use incident_commander::demo::aws::{AwsWorld, FunctionSettings, Identity, WorldClock, WorldOptions};
use jiff::{SignedDuration, Timestamp};
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::credentials::{READ, WRITE};
use crate::deploy::granted;

pub const ACCOUNT: &str = "123456789012";
pub const FUNCTION: &str = "checkout";
pub const GROUP: &str = "/aws/lambda/checkout";

pub fn at(text: &str) -> Timestamp {
    format!("2026-02-06T{text}Z").parse().unwrap()
}

/// A deadline that a healthy endpoint never reaches.
pub fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

pub struct Account {
    pub world: AwsWorld,
    pub clock: WorldClock,
    pub url: String,
    pub access_key: String,
}

impl Account {
    /// An account in which everything shows at once, at 12:20 on a clock that stands.
    pub async fn open() -> Self {
        Self::with(WorldOptions::immediate(WorldClock::manual(at("12:20:00")))).await
    }

    pub async fn with(options: WorldOptions) -> Self {
        let clock = options.clock.clone();
        let world = AwsWorld::new(options);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(world.clone().serve(listener));
        let access_key = world.issue_access_key(Identity::user(ACCOUNT, "commander"));
        Self { world, clock, url, access_key }
    }

    pub fn settings(&self) -> AwsSettings {
        AwsSettings {
            endpoint_url: Some(self.url.clone()),
            region: Some("us-east-1".to_owned()),
            credentials: Some(Credentials {
                access_key_id: self.access_key.clone(),
                secret_access_key: "any".to_owned(),
                session_token: None,
            }),
            initial_backoff: Duration::from_millis(1),
            ..AwsSettings::default()
        }
    }

    pub async fn clients(&self) -> Clients {
        Clients::connect(&self.settings()).await.unwrap()
    }

    /// The SDK as anybody would set it up, without retries.
    pub async fn sdk(&self) -> SdkConfig {
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .build_https();
        aws_config::defaults(BehaviorVersion::latest())
            .http_client(http)
            .endpoint_url(&self.url)
            .region(Region::from_static("us-east-1"))
            .retry_config(RetryConfig::disabled())
            .credentials_provider(aws_sdk_lambda::config::Credentials::new(
                &self.access_key,
                "any",
                None,
                None,
                "test",
            ))
            .load()
            .await
    }

    /// A function with two versions, of which `live` points at the second since noon: pool 10, then pool 5.
    pub fn deploy_checkout(&self) {
        self.deploy(FUNCTION, at("12:00:00"));
    }

    /// The same with this name, and since then.
    pub fn deploy(&self, function: &str, since: Timestamp) {
        let alice = Identity::user(ACCOUNT, "alice");
        let none = BTreeMap::new();
        let world = &self.world;
        let before = |seconds: i64| since - SignedDuration::from_secs(seconds);
        let hours = 4 * 3600;
        world
            .create_function(function, environment("10"), FunctionSettings::default(), &alice, before(hours))
            .unwrap();
        world.publish_version(function, "first", &alice, before(hours - 10)).unwrap();
        world.update_alias(function, "live", "1", &none, &alice, before(hours - 20)).unwrap();
        world.update_function_environment(function, environment("5"), &alice, before(60)).unwrap();
        world.publish_version(function, "second", &alice, before(30)).unwrap();
        world.update_alias(function, "live", "2", &none, &alice, since).unwrap();
    }

    /// Ten requests a minute, of which seven fail from this time on, because of the pool; `live` moved then.
    pub fn serve_requests(
        &self,
        function: &str,
        from: Timestamp,
        minutes: u64,
        moved: Timestamp,
        failing: Timestamp,
    ) {
        for call in 0..minutes * 10 {
            let at = from + Duration::from_secs(call * 6);
            let version = if at < moved { "1" } else { "2" };
            let failed = at >= failing && call % 10 < 7;
            self.world.record_invocation(function, version, Some("live"), at, 150.0, failed);
            let message = if failed {
                r#"{"level":"ERROR","message":"timed out waiting for a connection from the pool: 5 of 5 in use"}"#
            } else {
                r#"{"level":"INFO","message":"served"}"#
            };
            let (group, stream) = (format!("/aws/lambda/{function}"), format!("2026/02/06/[{version}]abc"));
            self.world.put_log(&group, &stream, at, message.to_owned());
        }
    }

    /// The roles of `deploy/`, for reading and for writing, with what their policies grant and nothing more.
    pub fn roles(&self) -> [String; 2] {
        [(READ, "iam-read.json"), (WRITE, "iam-write.json")].map(|(name, file)| {
            let actions = granted(file);
            let actions: Vec<&str> = actions.iter().map(String::as_str).collect();
            self.world.add_role(name, &actions)
        })
    }
}

pub fn environment(pool: &str) -> BTreeMap<String, String> {
    BTreeMap::from([
        ("DB_POOL_SIZE".to_owned(), pool.to_owned()),
        ("LOG_LEVEL".to_owned(), "INFO".to_owned()),
    ])
}
