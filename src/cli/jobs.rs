//! `jobs`: what failed too often and was put aside, beside a running bot.

use clap::{Args, Subcommand};
use jiff::Timestamp;

use super::{DEFAULT_DATABASE, Format, Misuse};
use crate::report;

#[derive(Debug, Args)]
pub struct JobsArgs {
    #[arg(long, env = "DATABASE_URL", default_value = DEFAULT_DATABASE, global = true)]
    database_url: String,
    #[arg(long, value_enum, default_value_t, global = true)]
    format: Format,
    #[command(subcommand)]
    command: Option<JobsCommand>,
}

#[derive(Debug, Subcommand)]
enum JobsCommand {
    /// What was put aside, the oldest first, each with the error of its last attempt.
    #[command(after_help = "Example:\n  incident-commander jobs list --format json")]
    List,
    /// Puts it back into the queue; a running bot takes it up within a second.
    #[command(after_help = "Example:\n  incident-commander jobs retry --all")]
    Retry {
        /// As `jobs list` names them.
        ids: Vec<String>,
        /// All of them.
        #[arg(long, conflicts_with = "ids")]
        all: bool,
    },
}

pub async fn jobs(args: JobsArgs) -> anyhow::Result<()> {
    let store = super::open_beside(&args.database_url).await?;
    store.expect_current().await?;
    let aside = store.put_aside().await?;
    match args.command.unwrap_or(JobsCommand::List) {
        JobsCommand::List if args.format == Format::Json => {
            println!("{}", report::json(&aside)?);
        }
        JobsCommand::List => {
            for one in aside {
                let incident = one.incident.map_or_else(|| "-".to_owned(), |id| id.to_string());
                let since = one.since.map_or_else(
                    || "time not known".to_owned(),
                    |at| at.strftime("%Y-%m-%d %H:%M UTC").to_string(),
                );
                let channel = one.channel.map(|channel| format!("  {channel}")).unwrap_or_default();
                let line = format!("{}  {}  {incident}{channel}  {since}  {}", one.id, one.kind, one.error);
                println!("{}", report::plain(&line));
            }
        }
        JobsCommand::Retry { ids, all } => {
            let ids = if all { aside.into_iter().map(|one| one.id).collect() } else { ids };
            if ids.is_empty() && !all {
                return Err(Misuse("which one? `jobs list` names them, `--all` takes all".to_owned()).into());
            }
            // Each of them, whatever becomes of the others.
            let mut unknown = Vec::new();
            for id in ids {
                if store.retry(&id, Timestamp::now()).await? {
                    eprintln!("{}: tried again", report::plain(&id));
                } else {
                    unknown.push(format!("{id:?}"));
                }
            }
            anyhow::ensure!(unknown.is_empty(), "nothing is put aside as {}", unknown.join(", "));
        }
    }
    Ok(())
}
