//! `demo`: everything runs, the page is served, and whoever looks at it drives the story.
//!
//! The rule that is not obvious: to start another scenario is to start everything anew at the same
//! addresses. The page's connection breaks for a moment and heals by itself.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::{mpsc, watch};

use super::composition::{Addresses, Composition};
use super::page::{self, Command, PageState, Scenario, ServiceView};
use super::slack::SlackWorld;
use super::slack::workspace::id;
use super::story::{self, Action, Past, Stage, Story};
use super::{headless, live_view};
use crate::checkout::run_local_test;
use crate::cli::serve::until_told_to_stop;

/// The alarm goes off this long after everything runs.
const ALARM_AFTER: Duration = Duration::from_secs(3);
/// Commands from the page that may wait.
const COMMANDS_WAITING: usize = 16;

/// Serves until it is told to stop.
pub async fn serve(mut story: Story, past: Past, first: SocketAddr) -> anyhow::Result<()> {
    let mut addresses = Addresses::from(first);
    loop {
        let (view, seen) = watch::channel(ServiceView::default());
        let (commands, received) = mpsc::channel(COMMANDS_WAITING);
        let routes = move |slack: &SlackWorld, _: &Arc<Stage>| {
            Some(page::router(PageState {
                slack: slack.clone(),
                service: seen.clone(),
                commands: commands.clone(),
                scenarios: scenarios(),
                channel: id::ALERTS.to_owned(),
            }))
        };
        eprintln!("{}: making {} hours of history …", story.title, headless::hours(&past, &story));
        let demo = Box::pin(Composition::start(story.clone(), past.clone(), addresses, &routes)).await?;
        drop(routes);
        addresses = demo.addresses;
        announce(&demo);
        let next = tokio::select! {
            stopped = until_told_to_stop() => { stopped?; None }
            next = drive(&demo, received, view) => Some(next?),
        };
        demo.stop().await;
        match next {
            Some(next) => story = next,
            None => return Ok(()),
        }
    }
}

fn scenarios() -> Vec<Scenario> {
    story::stories()
        .into_iter()
        .map(|story| Scenario { name: story.name.to_owned(), about: story.about.to_owned() })
        .collect()
}

fn announce(demo: &Composition) {
    let Addresses { aws, slack, .. } = demo.addresses;
    println!("page and bot      {}", demo.bot_url());
    println!("checkout service  {}", demo.checkout_url());
    println!("AWS endpoint      http://{aws}");
    println!("Slack endpoint    http://{slack}/api");
    println!();
    println!("export DEMO_URL={} COMMANDER_URL={}", demo.checkout_url(), demo.bot_url());
}

/// Raises the alarm and does what the page asks for, until it asks for another story.
async fn drive(
    demo: &Composition,
    mut commands: mpsc::Receiver<Command>,
    view: watch::Sender<ServiceView>,
) -> anyhow::Result<Story> {
    let shown = live_view::keep(Arc::clone(&demo.stage), demo.story.clone(), view.clone());
    let driven = async {
        let alarm = tokio::time::sleep(ALARM_AFTER);
        tokio::pin!(alarm);
        let mut alarmed = false;
        loop {
            tokio::select! {
                () = &mut alarm, if !alarmed => {
                    alarmed = true;
                    demo.raise_alarm()?;
                }
                command = commands.recv() => {
                    let command = command.context("the page is gone")?;
                    if let Some(next) = obey(demo, command, &view) {
                        return Ok(next);
                    }
                }
            }
        }
    };
    tokio::select! {
        next = driven => next,
        () = shown => anyhow::bail!("the page is gone"),
    }
}

fn obey(demo: &Composition, command: Command, view: &watch::Sender<ServiceView>) -> Option<Story> {
    match command {
        Command::StartScenario { name } => {
            say(view, Some(format!("Starting {name}")));
            return story::find(&name);
        }
        Command::SendOrders { count } => {
            say(view, Some(format!("Sending {count} orders")));
            let url = demo.checkout_url();
            let view = view.clone();
            tokio::spawn(async move {
                let said = match run_local_test(&url, count.into()).await {
                    Ok(summary) => {
                        format!("{} of {} orders were placed", summary.confirmed, summary.requests)
                    }
                    Err(error) => format!("The orders could not be sent: {error:#}"),
                };
                say(&view, Some(said));
            });
        }
        Command::DeployBadConfiguration => {
            say(view, Some("Deploying the bad configuration".to_owned()));
            let stage = Arc::clone(&demo.stage);
            let view = view.clone();
            tokio::spawn(async move {
                let at = stage.world.now();
                let said = match stage.perform(&Action::Release(story::bad_release()), at).await {
                    Ok(()) => "The bad configuration is live".to_owned(),
                    Err(error) => format!("The deployment failed: {error}"),
                };
                say(&view, Some(said));
            });
        }
    }
    None
}

fn say(view: &watch::Sender<ServiceView>, activity: Option<String>) {
    view.send_modify(|view| view.activity = activity);
}
