//! The demo's world with a Slack that is not the demo's own: for `tests/emulate`.
//!
//! `cargo run --example story_elsewhere -- --slack-api URL --bot-token T --signing-secret S --channel C`. Prints one line
//! of JSON, with the bot's address and the alarm's message, and runs until its input ends.

use clap::Parser;
use incident_commander::demo::story::{self, Past};
use incident_commander::demo::{Addresses, Composition, Elsewhere, Transport};
use serde_json::json;

#[derive(Parser)]
struct Arguments {
    /// Slack's Web API, including `/api`.
    #[arg(long)]
    slack_api: String,
    #[arg(long)]
    bot_token: String,
    #[arg(long)]
    signing_secret: String,
    /// The id of the channel with the alarm.
    #[arg(long)]
    channel: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let elsewhere = Elsewhere {
        api_url: arguments.slack_api,
        bot_token: arguments.bot_token,
        signing_secret: arguments.signing_secret,
        channel: arguments.channel,
    };
    let story = story::find(story::DEFAULT).ok_or_else(|| anyhow::anyhow!("there is no story"))?;
    let free = Addresses::from(([127, 0, 0, 1], 0).into());
    let transport = Transport::Elsewhere(elsewhere);
    let demo =
        Box::pin(Composition::start_over(transport, story, Past::default(), free, &|_, _| None)).await?;
    println!("{}", json!({ "bot": demo.bot_url(), "alarm": demo.alarm_message() }));
    // Whatever is written is read over: only the end counts.
    tokio::task::spawn_blocking(|| std::io::read_to_string(std::io::stdin())).await??;
    demo.stop().await;
    Ok(())
}
