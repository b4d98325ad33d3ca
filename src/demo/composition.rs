//! The whole system at four addresses: the bot with the page, the checkout service, AWS, Slack.
//!
//! The rule that is not obvious: one clock for all of them. It stands on the story's day and runs at
//! real speed; signatures, leases and deadlines use the machine's own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::aws::{AwsWorld, Identity, WorldClock, WorldOptions};
use super::slack::workspace::id;
use super::slack::{Options, SlackWorld};
use super::story::{self, ALIAS, DEPENDENCIES, LOG_GROUP, NAMESPACE, PEERS, Past, Stage, Story};
use super::tap::Tap;
use crate::app::Bot;
use crate::checkout::{self, SERVICE_NAME};
use crate::clock::Clock;
use crate::config::{AwsKey, Config, Secret, Settings};

/// What the reading role may do, and nothing else: what deploy/iam-read.json lets a team's own do, and no change. The test
/// of the whole story is that this suffices.
const READ_ACTIONS: [&str; 21] = [
    "appconfig:Get*",
    "appconfig:List*",
    "cloudformation:Describe*",
    "cloudtrail:LookupEvents",
    "cloudwatch:GetMetricData",
    "cloudwatch:ListMetrics",
    "codedeploy:BatchGet*",
    "codedeploy:List*",
    "ecs:Describe*",
    "ecs:List*",
    "lambda:Get*",
    "lambda:List*",
    "logs:DescribeLogGroups",
    "logs:FilterLogEvents",
    "logs:GetQueryResults",
    "logs:StartQuery",
    "logs:StopQuery",
    "ssm:Describe*",
    "ssm:Get*",
    "sts:GetCallerIdentity",
    "xray:GetServiceGraph",
];
/// What the writing role may do, and nothing else: it reads nothing.
const WRITE_ACTIONS: [&str; 4] = [
    "lambda:UpdateAlias",
    "lambda:UpdateFunctionConfiguration",
    "lambda:PutFunctionConcurrency",
    "lambda:DeleteFunctionConcurrency",
];

const BOT_TOKEN: &str = "xoxb-demo";
const APP_TOKEN: &str = "xapp-demo";
const SIGNING_SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
/// What still runs after the bot has stopped gets so long to end.
const STOP_WITHIN: Duration = Duration::from_secs(2);

/// The way on which Slack's events, commands and interactions come to the bot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// Signed requests to the bot's own address.
    Http,
    /// Connections that the bot opens itself: it has no signing secret then.
    SocketMode,
    /// Signed requests of somebody else's Slack, in which the story's channel has another id.
    Elsewhere(Elsewhere),
}

/// A Slack-compatible endpoint that is not the demo's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elsewhere {
    /// Includes `/api`.
    pub api_url: String,
    pub bot_token: String,
    pub signing_secret: String,
    pub channel: String,
}

/// Where everything listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    pub bot: SocketAddr,
    pub checkout: SocketAddr,
    pub aws: SocketAddr,
    pub slack: SocketAddr,
}

impl Addresses {
    /// The first and the three ports after it; all free ones where the first is 0.
    pub fn from(first: SocketAddr) -> Self {
        let next = |offset: u16| {
            let port = if first.port() == 0 { 0 } else { first.port().saturating_add(offset) };
            SocketAddr::new(first.ip(), port)
        };
        Self { bot: first, checkout: next(1), aws: next(2), slack: next(3) }
    }
}

/// A running demo.
pub struct Composition {
    pub addresses: Addresses,
    pub story: Story,
    pub past: Past,
    pub world: AwsWorld,
    pub slack: SlackWorld,
    pub stage: Arc<Stage>,
    /// How long the history took.
    pub history_took: Duration,
    /// When AWS and Slack were busy.
    pub tap: Tap,
    bot: Bot,
    database: PathBuf,
    stop: CancellationToken,
    tasks: TaskTracker,
    /// Last, so that it ends after everything that runs on it.
    _outside: Outside,
}

/// Threads of their own for the world outside the bot: shoppers and AWS do not wait while the bot
/// thinks, as they would where both shared a few threads.
struct Outside(Option<tokio::runtime::Runtime>);

/// Two are enough for a few hundred orders a minute and the bot's questions.
const OUTSIDE_THREADS: usize = 2;

impl Outside {
    fn new() -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(OUTSIDE_THREADS)
            .thread_name("outside")
            .enable_all()
            .build()
            .context("starting the world's threads")?;
        Ok(Self(Some(runtime)))
    }

    /// What is spawned while the guard lives runs outside.
    fn enter(&self) -> Option<tokio::runtime::EnterGuard<'_>> {
        self.0.as_ref().map(tokio::runtime::Runtime::enter)
    }

    /// Binds there, because a listener wakes the threads that it was bound on.
    async fn bind(&self, address: SocketAddr) -> anyhow::Result<TcpListener> {
        let runtime = self.0.as_ref().context("the world has ended")?;
        runtime.spawn(bind(address)).await.context("binding an address")?
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        // A runtime that is dropped plainly would block, which asynchronous code must not.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Makes the routes that stand beside the bot's own, once the world is there.
pub type MoreRoutes<'a> = &'a (dyn Fn(&SlackWorld, &Arc<Stage>) -> Option<axum::Router> + Send + Sync);

impl Composition {
    /// Starts everything; the story goes on at once, and nobody has raised an alarm yet.
    ///
    /// # Errors
    /// Where an address is taken, or something cannot be started.
    pub async fn start(
        story: Story,
        past: Past,
        addresses: Addresses,
        more: MoreRoutes<'_>,
    ) -> anyhow::Result<Self> {
        Self::start_over(Transport::Http, story, past, addresses, more).await
    }

    /// The same, over either way.
    ///
    /// # Errors
    /// Where an address is taken, or something cannot be started.
    pub async fn start_over(
        transport: Transport,
        story: Story,
        past: Past,
        addresses: Addresses,
        more: MoreRoutes<'_>,
    ) -> anyhow::Result<Self> {
        let outside = Outside::new()?;
        let bot_listener = bind(addresses.bot).await?;
        let checkout_listener = outside.bind(addresses.checkout).await?;
        let aws_listener = outside.bind(addresses.aws).await?;
        let slack_listener = outside.bind(addresses.slack).await?;
        let addresses = Addresses {
            bot: bot_listener.local_addr()?,
            checkout: checkout_listener.local_addr()?,
            aws: aws_listener.local_addr()?,
            slack: slack_listener.local_addr()?,
        };
        let world = AwsWorld::new(WorldOptions {
            clock: WorldClock::starting_at(story::on(past.day, story.live_from)),
            cloudtrail_delay: past.trail_delay,
            ..WorldOptions::default()
        });
        let (stage, history_took) = make_history(&world, &story, &past).await?;
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let slack = SlackWorld::new(Options {
            clock_offset: world.now().duration_since(Timestamp::now()),
            ..Options::default()
        });
        let tap = Tap::default();
        let slack_api = {
            let _inside = outside.enter();
            story::start(&stage, &stop, &tasks);
            let shop = axum::serve(checkout_listener, checkout::router(Arc::clone(&stage.service)));
            let stopped = stop.clone();
            tasks.spawn(async move { stopped.run_until_cancelled(shop.into_future()).await.is_some() });
            let account = axum::serve(aws_listener, tap.around(world.router()));
            let stopped = stop.clone();
            tasks.spawn(async move { stopped.run_until_cancelled(account.into_future()).await.is_some() });
            slack.serve_through(slack_listener, |router| tap.around(router))?
        };
        match &transport {
            Transport::Http => slack.set_bot(&format!("http://{}", addresses.bot), SIGNING_SECRET),
            Transport::SocketMode => slack.use_socket_mode(),
            Transport::Elsewhere(_) => {}
        }
        let database =
            std::env::temp_dir().join(format!("incident-commander-demo-{}.db", uuid::Uuid::new_v4()));
        let mut settings = settings(&world, addresses, &slack_api, &database)?;
        match transport {
            Transport::Http => {}
            Transport::SocketMode => {
                settings.slack_signing_secret = None;
                settings.slack_app_token = Some(Secret::Value(APP_TOKEN.to_owned()));
            }
            Transport::Elsewhere(elsewhere) => {
                settings.slack_api_url = Some(elsewhere.api_url);
                settings.slack_bot_token = Some(Secret::Value(elsewhere.bot_token));
                settings.slack_signing_secret = Some(Secret::Value(elsewhere.signing_secret));
                settings.config.slack.alert_channels = vec![elsewhere.channel.clone()];
                settings.config.slack.default_channel = Some(elsewhere.channel);
            }
        }
        let routes = more(&slack, &stage);
        let bot = Bot::start(settings, Clock::starting_at(world.now()), bot_listener, routes).await?;
        Ok(Self {
            addresses,
            story,
            past,
            world,
            slack,
            stage,
            history_took,
            tap,
            bot,
            database,
            stop,
            tasks,
            _outside: outside,
        })
    }

    /// What its workers work with, to ask AWS as they do.
    pub fn bench(&self) -> &crate::worker::Bench {
        self.bot.bench()
    }

    /// The bot's own database, to look into.
    pub fn store(&self) -> &crate::store::Store {
        self.bot.store()
    }

    /// Changes whenever the bot finished a step: something to wait for.
    pub fn steps_done(&self) -> tokio::sync::watch::Receiver<u64> {
        self.bot.bench().steps_done.subscribe()
    }

    pub fn bot_url(&self) -> String {
        format!("http://{}", self.addresses.bot)
    }

    pub fn checkout_url(&self) -> String {
        format!("http://{}", self.addresses.checkout)
    }

    /// Lets the other bot post its alarm into the channel. Returns the message's `ts`.
    ///
    /// # Errors
    /// Where the workspace does not take it.
    pub fn raise_alarm(&self) -> anyhow::Result<String> {
        Ok(self.slack.post_alert_message(id::ALERTS, id::CLOUDWATCH, &self.alarm_message())?)
    }

    /// What the other bot posts.
    pub fn alarm_message(&self) -> serde_json::Value {
        story::alarm::message(&self.story, self.past.day, &self.stage.tally, &self.world.region())
    }

    /// Stops everything and takes its database away.
    pub async fn stop(self) {
        self.bot.stop().await;
        self.stop.cancel();
        self.tasks.close();
        // Orders that are under way are cut short: they belong to a world that ends.
        let _ = tokio::time::timeout(STOP_WITHIN, self.tasks.wait()).await;
        let _ = tokio::time::timeout(STOP_WITHIN, self.slack.stop()).await;
        for suffix in ["", "-wal", "-shm", "-lock", ".lock"] {
            let mut path = self.database.clone().into_os_string();
            path.push(suffix);
            // One that was never made is fine.
            let _ = std::fs::remove_file(path);
        }
    }
}

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
}

async fn make_history(
    world: &AwsWorld,
    story: &Story,
    past: &Past,
) -> anyhow::Result<(Arc<Stage>, Duration)> {
    let begun = Instant::now();
    let (world, story, past) = (world.clone(), story.clone(), past.clone());
    let stage = tokio::task::spawn_blocking(move || story::make(&world, &story, &past))
        .await
        .context("making the history")??;
    Ok((stage, begun.elapsed()))
}

/// The bot's settings, as a team would write them, with the two endpoints in place of AWS and Slack.
fn settings(
    world: &AwsWorld,
    addresses: Addresses,
    slack_api: &str,
    database: &std::path::Path,
) -> anyhow::Result<Settings> {
    let account = world.account();
    let read_role = world.add_role("commander-read", &READ_ACTIONS);
    let write_role = world.add_role("commander-write", &WRITE_ACTIONS);
    let own =
        Identity::user(&account, "incident-commander").allowing(&["sts:AssumeRole", "sts:GetCallerIdentity"]);
    let key = world.issue_access_key(own);
    let dana = Identity::session(&account, story::DEVELOPER_ROLE, "dana@shop.example").arn;
    let config = format!(
        r##"
        [slack]
        alert_channels = ["{alerts}"]
        default_channel = "{alerts}"

        [incidents]
        look_again = ["20s", "1m", "5m"]

        [aws]
        region = "{region}"
        read_role_arn = "{read_role}"
        write_role_arn = "{write_role}"

        [approvals]
        approvers = ["{approvers}"]

        [[person]]
        slack = "{developer}"
        aws = ["{dana}"]

        [[service]]
        name = "{SERVICE_NAME}"
        aliases = ["checkout", "checkout-service"]
        lambda = [{{ function = "{SERVICE_NAME}", alias = "{ALIAS}" }}]
        log_groups = ["{LOG_GROUP}"]
        metrics = [{{ namespace = "{NAMESPACE}", dimensions = {{ Service = "{SERVICE_NAME}" }} }}]
        depends_on = {dependencies:?}
        peers = {peers:?}
        owner = "#team-checkout"

        [[service]]
        name = "payments"
        lambda = [{{ function = "payments", alias = "{ALIAS}" }}]
        owner = "#team-payments"
        "##,
        alerts = id::ALERTS,
        region = world.region(),
        approvers = id::APPROVERS,
        developer = id::DEVELOPER,
        dependencies = DEPENDENCIES,
        peers = PEERS,
    );
    Ok(Settings {
        config: Config::parse(&config).map_err(anyhow::Error::msg)?,
        database_url: format!("sqlite://{}", database.display()),
        listen: addresses.bot,
        slack_bot_token: Some(Secret::Value(BOT_TOKEN.to_owned())),
        slack_signing_secret: Some(Secret::Value(SIGNING_SECRET.to_owned())),
        slack_app_token: None,
        slack_api_url: Some(slack_api.to_owned()),
        aws_endpoint_url: Some(format!("http://{}", addresses.aws)),
        aws_credentials: Some(AwsKey { secret: format!("secret-of-{key}"), id: key }),
        alert_token: None,
        public_url: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demos_bot_may_read_what_the_shipped_policy_lets_a_teams_own_read() {
        let shipped: serde_json::Value =
            serde_json::from_str(include_str!("../../deploy/iam-read.json")).unwrap();
        let role = Identity::session("123456789012", "commander-read", "any").allowing(&READ_ACTIONS);
        for action in shipped["Statement"][0]["Action"].as_array().unwrap() {
            let action = action.as_str().unwrap();
            assert_eq!(role.authorise(action), Ok(()), "{action}");
        }
    }
}
