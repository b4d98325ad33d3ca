//! An account to test in: the AWS-compatible endpoint on a free port, and the real SDK pointed at it.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use incident_commander::aws::{AwsSettings, Clients, Credentials};
use incident_commander::demo::aws::{AwsWorld, FunctionSettings, Identity, WorldClock, WorldOptions};
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::time::Instant;

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

    /// A function with two versions, of which `live` points at the second: pool 10, then pool 5.
    pub fn deploy_checkout(&self) {
        let alice = Identity::user(ACCOUNT, "alice");
        let none = BTreeMap::new();
        let world = &self.world;
        world
            .create_function(FUNCTION, environment("10"), FunctionSettings::default(), &alice, at("08:00:00"))
            .unwrap();
        world.publish_version(FUNCTION, "first", &alice, at("08:00:10")).unwrap();
        world.update_alias(FUNCTION, "live", "1", &none, &alice, at("08:00:20")).unwrap();
        world.update_function_environment(FUNCTION, environment("5"), &alice, at("11:59:00")).unwrap();
        world.publish_version(FUNCTION, "second", &alice, at("11:59:30")).unwrap();
        world.update_alias(FUNCTION, "live", "2", &none, &alice, at("12:00:00")).unwrap();
    }
}

pub fn environment(pool: &str) -> BTreeMap<String, String> {
    BTreeMap::from([
        ("DB_POOL_SIZE".to_owned(), pool.to_owned()),
        ("LOG_LEVEL".to_owned(), "INFO".to_owned()),
    ])
}
