//! `incidents`: what is stored, for people and scripts, beside a running bot.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};

use super::{DEFAULT_DATABASE, Misuse};
use crate::domain::incident::IncidentId;
use crate::store::Store;

#[derive(Debug, Args)]
pub struct IncidentsArgs {
    #[arg(long, env = "DATABASE_URL", default_value = DEFAULT_DATABASE, global = true)]
    database_url: String,
    /// Markdown is the report alone, without the incident's own history.
    #[arg(long, value_enum, default_value_t, global = true)]
    format: Format,
    #[command(subcommand)]
    command: Option<IncidentsCommand>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Format {
    #[default]
    Text,
    Json,
    Markdown,
}

#[derive(Debug, Subcommand)]
enum IncidentsCommand {
    /// The newest incidents first.
    List {
        /// How many.
        #[arg(long, default_value_t = 50)]
        limit: i64,
    },
    /// One incident, whole.
    Show { id: String },
    /// Who decided and tried what, which calls left and what came of them; checks that nothing was altered.
    Audit {
        /// One incident; the whole trail where absent.
        id: Option<String>,
    },
    /// How often verdicts were said to be right, by confidence, and whether rollbacks helped.
    Scorecard,
    /// Writes the evidence of an incident as a bundle that `investigate --bundle` reads.
    Export { id: String, directory: PathBuf },
}

fn incident_id(text: &str) -> Result<IncidentId, Misuse> {
    text.parse().map_err(Misuse)
}

pub async fn incidents(args: IncidentsArgs) -> anyhow::Result<()> {
    let store = Store::open_beside(&args.database_url).await?;
    store.expect_current().await?;
    match args.command.unwrap_or(IncidentsCommand::List { limit: 50 }) {
        IncidentsCommand::List { limit } => {
            let lines = store.list(limit).await?;
            if args.format == Format::Json {
                println!("{}", serde_json::to_string_pretty(&lines)?);
                return Ok(());
            }
            for line in lines {
                let verdict = line.verdict.map_or_else(
                    || "no verdict yet".to_owned(),
                    |verdict| format!("{} {:.0} %", verdict.cause.as_str(), verdict.confidence * 100.0),
                );
                println!(
                    "{}  {}  {}  {}  {verdict}",
                    line.id,
                    line.opened_at.strftime("%Y-%m-%d %H:%M UTC"),
                    line.service,
                    line.state.as_str()
                );
            }
        }
        IncidentsCommand::Show { id } => {
            let id = incident_id(&id)?;
            let incident = store.incident(id).await?.with_context(|| format!("{id} is not known"))?;
            if args.format == Format::Json {
                println!("{}", serde_json::to_string_pretty(&incident)?);
                return Ok(());
            }
            let row = store.incident_row(id).await?.with_context(|| format!("{id} is not known"))?;
            if args.format == Format::Markdown {
                let report = row.report.as_ref().with_context(|| format!("{id} has no verdict yet"))?;
                print!("{}", crate::report::markdown(report));
                return Ok(());
            }
            println!("# {id} {}: {}\n", incident.service, incident.state.as_str());
            if let Some(report) = &row.report {
                println!("{}", crate::report::markdown(report));
            }
            println!("## History\n");
            for event in &incident.timeline {
                println!("- {}  {}", event.at.strftime("%H:%M:%S UTC"), event.what);
            }
        }
        IncidentsCommand::Audit { id } => {
            let id = id.as_deref().map(incident_id).transpose()?;
            super::audit::audit(&store, id, args.format == Format::Json).await?;
        }
        IncidentsCommand::Scorecard => {
            let card = store.scorecard().await?;
            if args.format == Format::Json {
                println!("{}", serde_json::to_string_pretty(&card)?);
                return Ok(());
            }
            println!("confidence from  verdicts  right  wrong  not said");
            for band in &card.bands {
                println!(
                    "{:>13.0} %  {:>8}  {:>5}  {:>5}  {:>8}",
                    band.from * 100.0,
                    band.verdicts,
                    band.right,
                    band.wrong,
                    band.unsaid
                );
            }
            let rollbacks = card.rollbacks;
            println!(
                "rollbacks: {}, {} helped, {} did not, {} undecided",
                rollbacks.made, rollbacks.helped, rollbacks.did_not_help, rollbacks.undecided
            );
        }
        IncidentsCommand::Export { id, directory } => {
            let id = incident_id(&id)?;
            let files = store.evidence(id).await?;
            anyhow::ensure!(!files.is_empty(), "{id} has no evidence stored");
            for (path, body) in &files {
                let target = directory.join(path);
                if let Some(folder) = target.parent() {
                    std::fs::create_dir_all(folder)
                        .with_context(|| format!("cannot make {}", folder.display()))?;
                }
                std::fs::write(&target, body)
                    .with_context(|| format!("cannot write {}", target.display()))?;
            }
            eprintln!("{id}: {} files in {}", files.len(), directory.display());
        }
    }
    Ok(())
}
