//! A world to try the bot in, on one machine and with no account: the checkout service, an
//! AWS-compatible and a Slack-compatible endpoint, and a page that shows the channel.
//!
//! The rule that is not obvious: the bot here is the one that `serve` runs. It reaches this world
//! over the wire alone, and nothing in it knows of the demo.

pub mod aws;
mod composition;
pub mod criteria;
pub mod headless;
mod live_view;
pub mod page;
mod run;
pub mod slack;
pub mod story;
pub mod tap;

use std::net::SocketAddr;

use clap::Args;
use jiff::civil::Date;

pub use composition::{Addresses, Composition, Elsewhere, Transport};

use crate::cli::{Format, Misuse};

#[derive(Debug, Clone, Args)]
pub struct DemoArgs {
    /// Where the page and the bot listen; the checkout service takes the next port, AWS and Slack the
    /// two after it. Port 0 takes four free ones.
    #[arg(long, default_value = "127.0.0.1:3000")]
    pub addr: SocketAddr,
    /// Which story is told, in kebab or snake case.
    #[arg(long, default_value = story::DEFAULT)]
    pub scenario: String,
    /// No browser: play the story to its end, and fail unless its criteria hold.
    #[arg(long)]
    pub headless: bool,
    /// What `--headless` prints: what happens, or the incident with its thread and the criteria.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// The story's day; `today` puts it on this one.
    #[arg(long, default_value = "2026-02-06", value_parser = read_day)]
    pub day: Date,
}

fn read_day(text: &str) -> Result<Date, String> {
    if text == "today" {
        return Ok(jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date());
    }
    text.parse().map_err(|_| format!("{text:?} is not a day: 2026-02-06 and today are"))
}

/// Runs the demo until it is told to stop, or, headless, until the story has ended.
///
/// # Errors
/// Where something cannot be started, and headless where a criterion does not hold.
pub async fn run(args: DemoArgs) -> anyhow::Result<()> {
    let Some(story) = story::find(&args.scenario) else {
        let names: Vec<&str> = story::stories().iter().map(|story| story.name).collect();
        let message = format!("there is no scenario {:?}: there are {}", args.scenario, names.join(", "));
        return Err(Misuse(message).into());
    };
    let past = story::Past { day: args.day, ..story::Past::default() };
    if args.headless {
        headless::play(story, past, args.format).await
    } else {
        run::serve(story, past, args.addr).await
    }
}
