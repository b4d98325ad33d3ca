//! The composition root: settings in, a running bot out.

use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::aws::sns::Inbox;
use crate::aws::{Accounts, AwsSettings, Credentials};
use crate::clock::Clock;
use crate::config::{ConfigError, Settings};
use crate::fail_points::FailPoints;
use crate::http::{self, Edge};
use crate::intake::Desk;
use crate::slack::Slack;
use crate::store::Store;
use crate::worker::{self, Bench};

/// SIGTERM ends within 10 s: what has begun gets so long to end; what has not is in the database.
const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(7);
/// Folding the write-ahead log into the file.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);
/// How long AWS may take to say who the bot is; two calls of a tenth of a second.
const CALLER_WITHIN: Duration = Duration::from_secs(10);

/// Picks the TLS implementation for the whole process. Two of them are linked in, and without a
/// choice the first connection panics. Harmless when called again.
pub fn choose_tls() {
    // An error means that it was chosen before.
    drop(rustls::crypto::ring::default_provider().install_default());
}

/// How AWS is reached, by the settings.
pub fn aws_settings(settings: &Settings) -> AwsSettings {
    let section = &settings.config.aws;
    AwsSettings {
        endpoint_url: settings.aws_endpoint_url.clone(),
        region: section.region.clone(),
        credentials: settings.aws_credentials.as_ref().map(|key| Credentials {
            access_key_id: key.id.clone(),
            secret_access_key: key.secret.clone(),
            session_token: None,
        }),
        read_role_arn: section.read_role_arn.clone(),
        write_role_arn: section.write_role_arn.clone(),
        external_id: section.external_id.clone(),
        service_tag: section.service_tag.clone(),
        without: section.without.iter().map(|unused| unused.prefix()).collect(),
        places: worker::places(&settings.config),
        ..AwsSettings::default()
    }
}

/// Opens the database and prepares the ways to Slack and AWS: everything that the steps need, with
/// nothing running yet.
///
/// # Errors
/// Where the configuration does not hold or the database cannot be opened.
pub async fn assemble(settings: &Settings, clock: Clock) -> anyhow::Result<Bench> {
    settings.check()?;
    choose_tls();
    // Slack and AWS read the system's certificates, which takes longer than opening the database: all at once.
    let (url, token) = (settings.slack_api_url.clone(), settings.slack_bot_token.clone());
    let slack = tokio::task::spawn_blocking(move || Slack::connect(url.as_deref(), token));
    let reached = aws_settings(settings);
    let aws = tokio::spawn(async move { Accounts::connect(&reached).await });
    let store = Store::open(&settings.database_url).await?;
    worker::notice_the_clock(&store, clock.now()).await?;
    store.release_leases(clock.now()).await?;
    // What was refused for good is tried once more: whoever started this anew may have mended it.
    store.revive(None, clock.now()).await?;
    let slack = slack.await?.context("preparing the connection to Slack")?;
    let aws = aws.await?.map_err(|error| ConfigError::Invalid(error.to_string()))?;
    let (steps_done, _) = watch::channel(0);
    Ok(Bench {
        store,
        slack,
        aws: Arc::new(aws),
        settings: Arc::new(settings.clone()),
        clock,
        wake: Arc::default(),
        mail: Arc::default(),
        steps_done,
        metrics: Arc::default(),
        fail_points: FailPoints::default(),
        stop: CancellationToken::new(),
    })
}

/// A bot that runs until it is stopped.
pub struct Bot {
    address: SocketAddr,
    store: Store,
    bench: Bench,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Bot {
    /// Starts the bot on a listener that is bound already.
    ///
    /// `more` are routes beside the bot's own: the demo's page.
    ///
    /// # Errors
    /// Where the configuration does not hold or the database cannot be opened.
    pub async fn start(
        settings: Settings,
        clock: Clock,
        listener: TcpListener,
        more: Option<axum::Router>,
    ) -> anyhow::Result<Self> {
        Self::start_with(assemble(&settings, clock).await?, listener, more)
    }

    /// The same, with everything assembled already.
    ///
    /// # Errors
    /// Where the listener has no address, or the configured topics cannot be served.
    pub fn start_with(
        bench: Bench,
        listener: TcpListener,
        more: Option<axum::Router>,
    ) -> anyhow::Result<Self> {
        let address = listener.local_addr().context("reading the address that was bound")?;
        let settings = bench.settings.clone();
        let (store, slack, wake) = (bench.store.clone(), bench.slack.clone(), bench.wake.clone());
        let metrics = bench.metrics.clone();
        let topics = &settings.config.aws.topics;
        let sns = (!topics.is_empty())
            .then(|| Inbox::new(&aws_settings(&settings), topics, bench.aws.own().clone()))
            .transpose()
            .context("preparing to take in messages of SNS")?;
        let identity = Arc::new(OnceLock::new());
        let desk = Desk {
            store: store.clone(),
            slack: slack.clone(),
            config: Arc::new(settings.config.clone()),
            clock: bench.clock.clone(),
            wake,
            identity: identity.clone(),
            time_zones: Arc::default(),
            fail_points: bench.fail_points.clone(),
        };
        let alive = Arc::new(AtomicBool::new(false));
        let stop = bench.stop.clone();
        let socket = settings
            .slack_app_token
            .clone()
            .map(|token| http::socket::receive(desk.clone(), metrics.clone(), token, stop.clone()));
        let connections = http::listen::Connections::default();
        let edge = Edge {
            started_at: desk.clock.now(),
            failures: Arc::default(),
            bodies: http::Bodies::default(),
            pulse: Arc::default(),
            aws: bench.aws.clone(),
            connections: connections.clone(),
            desk,
            alert_token: settings.alert_token.clone(),
            slack_signing_secret: settings.slack_signing_secret.clone(),
            sns,
            forged_at: Arc::default(),
            public_url: settings.public_url.clone().unwrap_or_else(|| format!("http://{address}")),
            steps_done: bench.steps_done.subscribe(),
            workers: alive.clone(),
            metrics,
            stop: stop.clone(),
        };
        let mut router = http::router(edge);
        if let Some(more) = more {
            router = router.merge(more);
        }
        let mut tasks = vec![tokio::spawn(worker::run(bench.clone(), alive))];
        // Roles are assumed before the first alert, not while somebody waits; where that fails, the investigation says so.
        let (aws, ended) = (bench.aws.clone(), stop.clone());
        tasks.push(tokio::spawn(async move {
            let within = tokio::time::Instant::now() + CALLER_WITHIN;
            let _ = ended.run_until_cancelled(aws.warm_up(within)).await;
        }));
        tasks.push(tokio::spawn(http::listen::serve(
            listener,
            router,
            http::listen::Limits::default(),
            connections,
            stop.clone(),
        )));
        tasks.extend(socket.map(tokio::spawn));
        if slack.is_configured() {
            let stop = stop.clone();
            tasks.push(tokio::spawn(async move { learn_identity(&slack, &identity, &stop).await }));
        }
        Ok(Self { address, store, bench, stop, tasks })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn store(&self) -> &Store {
        &self.store
    }

    /// What its workers work with: the demo watches steps through it.
    pub fn bench(&self) -> &Bench {
        &self.bench
    }

    /// Takes nothing new, ends what has begun, and folds the database.
    pub async fn stop(self) {
        self.stop.cancel();
        // One deadline for all of them: whoever waits for the process counts once.
        let deadline = Instant::now() + SHUTDOWN_DEADLINE;
        for mut task in self.tasks {
            if tokio::time::timeout_at(deadline, &mut task).await.is_err() {
                // Whatever it was doing is leased and comes back at the next start.
                task.abort();
            }
        }
        // It waits for whoever still holds a connection; without it the log is folded in at the next start.
        let _ = tokio::time::timeout(CLOSE_WITHIN, self.store.close()).await;
    }
}

/// Asks Slack who the bot is, until it answers: only then can it tell its own messages.
async fn learn_identity(
    slack: &Slack,
    identity: &OnceLock<crate::slack::client::Identity>,
    stop: &CancellationToken,
) {
    let mut wait = Duration::from_secs(1);
    loop {
        match slack.identity().await {
            Ok(known) => {
                drop(identity.set(known));
                return;
            }
            Err(error) => tracing::warn!(%error, "Slack does not say who this bot is yet"),
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => wait = (wait * 2).min(Duration::from_secs(60)),
            () = stop.cancelled() => return,
        }
    }
}
