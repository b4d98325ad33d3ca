//! `incidents`: what is stored, for people and scripts, beside a running bot.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;

use super::{DEFAULT_DATABASE, Misuse};
use crate::config::Config;
use crate::domain::incident::IncidentId;
use crate::domain::report::TimelineEntry;
use crate::report;
use crate::store::{Deleted, Incident, Store};

#[derive(Debug, Args)]
pub struct IncidentsArgs {
    #[arg(long, env = "DATABASE_URL", default_value = DEFAULT_DATABASE, global = true)]
    database_url: String,
    /// Markdown is the report alone, without the incident's own history; CSV is for `export --all`.
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
    Csv,
}

#[derive(Debug, Subcommand)]
enum IncidentsCommand {
    /// The newest incidents first.
    #[command(after_help = "Example:\n  incident-commander incidents list --limit 10 --format json")]
    List {
        /// How many.
        #[arg(long, default_value_t = 50)]
        limit: i64,
    },
    /// One incident, whole.
    #[command(after_help = "Example:\n  incident-commander incidents show INC-7 --format markdown")]
    Show { id: String },
    /// Who decided and tried what, which calls left and what came of them; checks that nothing was altered.
    #[command(after_help = "Example:\n  incident-commander incidents audit INC-7")]
    Audit {
        /// One incident; the whole trail where absent.
        id: Option<String>,
    },
    /// How often verdicts were said to be right, by confidence, and whether rollbacks helped.
    #[command(after_help = "Example:\n  incident-commander incidents scorecard")]
    Scorecard,
    /// What of a service's configuration differs between two times, as the bot recorded it.
    #[command(
        after_help = "Example:\n  incident-commander incidents diff checkout 2026-02-06T11:00:00Z 2026-02-06T12:30:00Z"
    )]
    Diff { service: String, from: String, to: String },
    /// The draft of a post-mortem, in Markdown: timeline, evidence, decision, what helped.
    #[command(after_help = "Example:\n  incident-commander incidents postmortem INC-7 > INC-7.md")]
    Postmortem {
        id: String,
        /// The configuration file: says who the service's owner is.
        #[arg(long, env = "COMMANDER_CONFIG")]
        config: Option<PathBuf>,
    },
    /// Writes the evidence of an incident as a bundle that `investigate --bundle` reads; with --all,
    /// prints all incidents as JSON or CSV.
    #[command(after_help = "Examples:\n  incident-commander incidents export INC-7 ./INC-7\n  \
        incident-commander incidents export --all --format csv > incidents.csv")]
    Export {
        #[arg(required_unless_present = "all")]
        id: Option<String>,
        #[arg(required_unless_present = "all")]
        directory: Option<PathBuf>,
        /// All incidents instead of one, to standard output.
        #[arg(long, conflicts_with_all = ["id", "directory"])]
        all: bool,
    },
    /// Deletes a closed incident: all of it but the audit trail. What Slack shows stays there.
    #[command(after_help = "Example:\n  incident-commander incidents delete INC-7")]
    Delete { id: String },
}

fn incident_id(text: &str) -> Result<IncidentId, Misuse> {
    text.parse().map_err(Misuse)
}

pub async fn incidents(args: IncidentsArgs) -> anyhow::Result<()> {
    let command = args.command.unwrap_or(IncidentsCommand::List { limit: 50 });
    if args.format == Format::Csv && !matches!(command, IncidentsCommand::Export { all: true, .. }) {
        return Err(Misuse("--format csv is for `incidents export --all`".to_owned()).into());
    }
    let store = super::open_beside(&args.database_url).await?;
    store.expect_current().await?;
    let as_json = args.format == Format::Json;
    match command {
        IncidentsCommand::List { limit } => list(&store, limit, as_json).await,
        IncidentsCommand::Show { id } => show(&store, incident_id(&id)?, args.format).await,
        IncidentsCommand::Audit { id } => {
            let id = id.as_deref().map(incident_id).transpose()?;
            super::audit::audit(&store, id, as_json).await
        }
        IncidentsCommand::Scorecard => scorecard(&store, as_json).await,
        IncidentsCommand::Postmortem { id, config } => {
            let config = config.map_or_else(|| Ok(Config::default()), |path| Config::load(&path))?;
            postmortem(&store, incident_id(&id)?, &config).await
        }
        IncidentsCommand::Diff { service, from, to } => {
            super::diff::diff(&store, &service, [&from, &to], as_json).await
        }
        IncidentsCommand::Export { all: true, .. } => {
            super::export::all(&store, args.format == Format::Csv).await
        }
        IncidentsCommand::Export { id, directory, all: false } => {
            let id = incident_id(id.as_deref().unwrap_or_default())?;
            super::export::bundle(&store, id, &directory.unwrap_or_default()).await
        }
        IncidentsCommand::Delete { id } => delete(&store, incident_id(&id)?).await,
    }
}

async fn known(store: &Store, id: IncidentId) -> anyhow::Result<Incident> {
    store.incident(id).await?.with_context(|| format!("{id} is not known"))
}

async fn list(store: &Store, limit: i64, as_json: bool) -> anyhow::Result<()> {
    let lines = store.list(limit).await?;
    if as_json {
        println!("{}", report::json(&lines)?);
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
            report::plain(&line.service),
            line.state.as_str()
        );
    }
    Ok(())
}

async fn show(store: &Store, id: IncidentId, format: Format) -> anyhow::Result<()> {
    let incident = known(store, id).await?;
    if format == Format::Json {
        println!("{}", report::json(&incident)?);
        return Ok(());
    }
    let row = store.incident_row(id).await?.with_context(|| format!("{id} is not known"))?;
    if format == Format::Markdown {
        let report = row.report.as_ref().with_context(|| format!("{id} has no verdict yet"))?;
        print!("{}", report::plain_lines(&report::markdown(report)));
        return Ok(());
    }
    println!("# {id} {}: {}\n", report::plain(&incident.service), incident.state.as_str());
    if let Some(report) = &row.report {
        println!("{}", report::plain_lines(&report::markdown(report)));
    }
    println!("## History\n");
    for event in &incident.timeline {
        println!("- {}  {}", event.at.strftime("%H:%M:%S UTC"), report::plain(&event.what));
    }
    Ok(())
}

async fn scorecard(store: &Store, as_json: bool) -> anyhow::Result<()> {
    let card = store.scorecard().await?;
    if as_json {
        println!("{}", report::json(&card)?);
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
    Ok(())
}

async fn postmortem(store: &Store, id: IncidentId, config: &Config) -> anyhow::Result<()> {
    let incident = known(store, id).await?;
    let row = store.incident_row(id).await?.with_context(|| format!("{id} is not known"))?;
    let told = row.report.as_ref().with_context(|| format!("{id} has no verdict yet"))?;
    let name = id.to_string();
    let decisions = incident.approvals.iter().map(|approval| report::Decision {
        plan: &approval.plan.what,
        command: &approval.plan.command,
        requested_at: approval.requested_at,
        word: approval.decision.as_deref(),
        by: approval.by.as_deref(),
        at: approval.at,
        reason: approval.reason.as_deref(),
        outcome: approval.outcome.as_deref(),
        judged: approval.judged,
        stays_wrong: &approval.plan.stays_wrong,
    });
    let said = incident.feedback.iter().map(|feedback| {
        let cause = feedback.cause.as_ref().map(|cause| format!(", it was {cause}")).unwrap_or_default();
        let note = feedback.note.as_ref().map(|note| format!(": {note}")).unwrap_or_default();
        format!("<@{}> said of the verdict: {}{cause}{note}", feedback.by, feedback.word)
    });
    let story = report::Story {
        incident: &name,
        state: incident.state.as_str(),
        owner: config.service(&incident.service).and_then(|service| service.owner.as_deref()),
        opened_at: incident.opened_at,
        alerts: incident.alerts.len(),
        report: told,
        symptoms: &row.symptoms,
        timeline: incident
            .timeline
            .iter()
            .map(|event| TimelineEntry { at: event.at, what: event.what.clone() })
            .collect(),
        decisions: decisions.collect(),
        said: said.collect(),
        previous: incident.previous.map(|previous| previous.to_string()),
    };
    print!("{}", report::plain_lines(&report::postmortem(&story)));
    Ok(())
}

async fn delete(store: &Store, id: IncidentId) -> anyhow::Result<()> {
    match store.delete_incident(id, "command line", Timestamp::now()).await? {
        Deleted::Done => {
            eprintln!("{id} is deleted; its audit trail stays, and so does what Slack shows");
            Ok(())
        }
        Deleted::Unknown => bail!("{id} is not known"),
        Deleted::Open(state) => {
            bail!(
                "{id} is {}: close it first (/investigate close {id} reason)",
                state.as_str().replace('_', " ")
            )
        }
    }
}
