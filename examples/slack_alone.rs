//! The demo's Slack on its own, for `tests/ministack`: there AWS and the bot are other processes.
//!
//! `cargo run --example slack_alone -- --bot URL --signing-secret S`. Prints one line of JSON with the workspace's ids,
//! then one for every message as it comes and changes. Each line of its input is a click:
//! `{"user": …, "ts": …, "action_id": …}`. Runs until its input ends.

use std::io::BufRead as _;

use clap::Parser;
use incident_commander::demo::slack::workspace::id;
use incident_commander::demo::slack::{Options, SlackWorld, Update};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;

#[derive(Parser)]
struct Arguments {
    /// Where the bot listens.
    #[arg(long)]
    bot: String,
    #[arg(long)]
    signing_secret: String,
    /// Whether the app has Socket Mode switched on.
    #[arg(long)]
    socket_mode: bool,
}

/// Somebody presses a button of a message.
#[derive(Deserialize)]
struct Click {
    user: String,
    ts: String,
    action_id: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let slack = SlackWorld::new(Options::default());
    slack.set_bot(&arguments.bot, &arguments.signing_secret);
    if arguments.socket_mode {
        slack.use_socket_mode();
    }
    let api = slack.serve(tokio::net::TcpListener::bind("127.0.0.1:0").await?)?;
    println!(
        "{}",
        json!({
            "api": api, "token": slack.options().bot_token, "app_token": slack.options().app_token, "channel": id::ALERTS,
            "approvers": id::APPROVERS, "approver": id::APPROVER, "stranger": id::STRANGER,
        })
    );
    let (send, mut typed) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                return;
            }
        }
    });
    let mut updates = slack.subscribe();
    loop {
        tokio::select! {
            line = typed.recv() => match line {
                Some(line) => println!("{}", press(&slack, &line).await?),
                None => break,
            },
            update = updates.recv() => match update {
                Ok(update) => {
                    if let Some(shown) = shown(&slack, &update) {
                        println!("{shown}");
                    }
                }
                Err(RecvError::Lagged(missed)) => anyhow::bail!("{missed} updates were not told"),
                Err(RecvError::Closed) => break,
            },
        }
    }
    slack.stop().await;
    Ok(())
}

/// Clicks, and tells what the bot's acknowledgement was.
async fn press(slack: &SlackWorld, line: &str) -> anyhow::Result<Value> {
    let click: Click = serde_json::from_str(line)?;
    let outcome = slack.click(&click.user, id::ALERTS, &click.ts, &click.action_id).await?;
    Ok(json!({"click": {"user": outcome.user, "acknowledged": outcome.acknowledged()}}))
}

/// A message as it is now; one that a single person sees names that person.
fn shown(slack: &SlackWorld, update: &Update) -> Option<Value> {
    match update {
        Update::MessagePosted { channel, ts } | Update::MessageChanged { channel, ts } => {
            Some(json!({"message": slack.message_json(&slack.message(channel, ts)?)}))
        }
        Update::EphemeralChanged { user, ts, .. } => {
            let own = slack.ephemerals(user).into_iter().find(|own| own.message.ts == *ts)?;
            Some(json!({"only_for": user, "message": slack.message_json(&own.message)}))
        }
        _ => None,
    }
}
