//! The command line: what people type, and where it goes.
//!
//! Exit codes: 0 done, 1 it failed (one line says why), 2 used wrongly. What is machine-readable
//! goes to standard output, everything else to standard error.

pub mod alert;
pub mod audit;
pub mod backup;
pub mod cloudtrail;
mod diff;
pub mod doctor;
pub mod eval;
mod export;
pub mod incidents;
pub mod investigate;
pub mod jobs;
pub mod live;
pub mod logs;
pub mod metrics;
pub mod mutes;
pub mod serve;
pub mod services;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::{Config, ConfigError, Secret, Settings};
use crate::store::{Store, StoreError};

const DEFAULT_DATABASE: &str = "sqlite://incident-commander.db";

/// Finds the change that broke production, proves it, and rolls it back with one approval.
#[derive(Debug, Parser)]
#[command(name = "incident-commander", version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The whole system on this machine, with nothing installed and no account.
    #[command(after_help = "Examples:\n  incident-commander demo\n  incident-commander demo --headless\n  \
        incident-commander demo --headless --scenario memory_leak --format json")]
    Demo(crate::demo::DemoArgs),
    /// The bot for real: Slack and AWS by configuration and environment.
    #[command(after_help = "Example:\n  SLACK_BOT_TOKEN=xoxb-… SLACK_SIGNING_SECRET=… \
        incident-commander serve --config commander.toml")]
    Serve(Common),
    /// One investigation: of a bundle offline, or of a service live.
    #[command(after_help = "Examples:\n  incident-commander investigate --bundle ./INC-7\n  \
        incident-commander investigate --service checkout --at 2026-02-06T12:15:00Z")]
    Investigate(live::InvestigateArgs),
    /// Scores the engine on bundles that have a truth.json.
    #[command(after_help = "Example:\n  incident-commander eval ./bundles --format json")]
    Eval(EvalArgs),
    /// What is stored: list, show, audit, diff, scorecard, postmortem, export, delete.
    #[command(after_help = "Examples:\n  incident-commander incidents list\n  \
        incident-commander incidents show INC-7 --format json\n  \
        incident-commander incidents audit INC-7\n  \
        incident-commander incidents postmortem INC-7\n  \
        incident-commander incidents export INC-7 ./INC-7")]
    Incidents(incidents::IncidentsArgs),
    /// Work and messages that failed too often and were put aside: see them, try them again.
    #[command(
        after_help = "Examples:\n  incident-commander jobs list\n  incident-commander jobs retry 12\n  \
        incident-commander jobs retry --all"
    )]
    Jobs(jobs::JobsArgs),
    /// Alerts that mutes and planned maintenance hold back.
    #[command(after_help = "Example:\n  incident-commander mutes list")]
    Mutes(mutes::MutesArgs),
    /// A copy of the database, safe while `serve` runs.
    #[command(after_help = "Example:\n  incident-commander backup ./incident-commander-2026-02-06.db")]
    Backup(backup::BackupArgs),
    /// Entries of the configuration, from what already describes the services.
    Services(services::ServicesArgs),
    /// Whether everything is there that `serve` needs, and what to do where it is not.
    #[command(after_help = "Example:\n  SLACK_BOT_TOKEN=xoxb-… SLACK_APP_TOKEN=xapp-… \
        incident-commander doctor --config commander.toml")]
    Doctor(doctor::DoctorArgs),
    /// Alerts, as the bot reads them.
    #[command(after_help = "Example:\n  incident-commander alert parse event.json")]
    Alert {
        #[command(subcommand)]
        command: AlertCommand,
    },
    /// CloudTrail records, as the engine reads them.
    #[command(after_help = "Example:\n  incident-commander cloudtrail read ./records")]
    Cloudtrail {
        #[command(subcommand)]
        command: CloudtrailCommand,
    },
    /// Log lines to templates.
    #[command(after_help = "Example:\n  incident-commander logs templates app.log")]
    Logs {
        #[command(subcommand)]
        command: LogsCommand,
    },
    /// Series to shifts.
    #[command(after_help = "Example:\n  incident-commander metrics shift p99.csv")]
    Metrics {
        #[command(subcommand)]
        command: MetricsCommand,
    },
}

#[derive(Debug, Subcommand)]
enum AlertCommand {
    /// What the bot reads from one Slack event or webhook body.
    #[command(after_help = "Example:\n  incident-commander alert parse event.json")]
    Parse {
        /// A JSON file; `-` reads standard input.
        file: PathBuf,
        /// The configuration: adds the services that fit, more than one where the bot would ask.
        #[arg(long, env = "COMMANDER_CONFIG")]
        config: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
enum CloudtrailCommand {
    /// Who, what, which resource, whether it succeeded, and which become changes of what kind.
    #[command(after_help = "Example:\n  incident-commander cloudtrail read ./records --format json")]
    Read(cloudtrail::ReadArgs),
}

#[derive(Debug, Subcommand)]
enum LogsCommand {
    /// Mines templates from raw lines.
    #[command(after_help = "Example:\n  incident-commander logs templates app.log --format ndjson")]
    Templates(logs::TemplatesArgs),
}

#[derive(Debug, Subcommand)]
enum MetricsCommand {
    /// Level shifts of one series; with --at, whether it changed there beyond its own habit.
    #[command(after_help = "Example:\n  incident-commander metrics shift p99.csv --at 2026-02-06T12:00:00Z")]
    Shift(metrics::ShiftArgs),
}

/// What every command that works with the stored incidents, Slack or AWS takes.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// The configuration file.
    #[arg(long, env = "COMMANDER_CONFIG")]
    pub config: Option<PathBuf>,
    /// The SQLite database: a file on a local disk, made where it is missing.
    #[arg(long, env = "DATABASE_URL", default_value = DEFAULT_DATABASE)]
    pub database_url: String,
    /// Where the bot listens.
    #[arg(long, env = "COMMANDER_LISTEN", default_value = "127.0.0.1:3000")]
    pub listen: SocketAddr,
    /// Slack's Web API, including `/api`; Slack's own where absent.
    #[arg(long, env = "SLACK_API_URL")]
    pub slack_api_url: Option<String>,
    /// Every AWS service, where it is not AWS's own.
    #[arg(long, env = "AWS_ENDPOINT_URL")]
    pub aws_endpoint_url: Option<String>,
    /// What links in answers begin with, and by whose host it may be asked where there is no alert token; the listening
    /// address where absent.
    #[arg(long, env = "COMMANDER_PUBLIC_URL")]
    pub public_url: Option<String>,
}

impl Common {
    /// The settings: file, environment and flags together.
    ///
    /// # Errors
    /// What is wrong with them, before anything listens.
    pub fn settings(&self) -> Result<Settings, ConfigError> {
        let config = match &self.config {
            Some(path) => Config::load(path)?,
            None => Config::default(),
        };
        Ok(Settings {
            config,
            database_url: self.database_url.clone(),
            listen: self.listen,
            slack_bot_token: Secret::from_env("SLACK_BOT_TOKEN")?,
            slack_signing_secret: Secret::from_env("SLACK_SIGNING_SECRET")?,
            slack_app_token: Secret::from_env("SLACK_APP_TOKEN")?,
            slack_api_url: self.slack_api_url.clone(),
            aws_endpoint_url: self.aws_endpoint_url.clone(),
            aws_credentials: None,
            alert_token: Secret::from_env("COMMANDER_ALERT_TOKEN")?,
            public_url: self.public_url.clone(),
        })
    }
}

/// Opens the database beside `serve`, for a command that looks into it or notes something down.
///
/// # Errors
/// Where there is none, with what would name it: whoever types this is seldom in the service's environment.
async fn open_beside(database_url: &str) -> anyhow::Result<Store> {
    Store::open_beside(database_url).await.map_err(|error| match error {
        StoreError::Open { path, why } if why.kind() == std::io::ErrorKind::NotFound => anyhow::anyhow!(
            "there is no database {path}: name the one that `serve` works with by DATABASE_URL or --database-url"
        ),
        other => other.into(),
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    #[default]
    Text,
    Json,
}

#[derive(Debug, Args)]
struct EvalArgs {
    /// Folders; every bundle with a truth.json below them is scored.
    #[arg(required = true)]
    directories: Vec<PathBuf>,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Also judge each family of incidents (a name up to its number) with odds that were fitted to all the others.
    #[arg(long)]
    leave_families_out: bool,
}

fn evaluate(args: &EvalArgs) -> anyhow::Result<()> {
    let board = eval::run(&args.directories)?;
    let left_out = args.leave_families_out.then(|| eval::LeftOut::of(&board));
    match args.format {
        Format::Text => print!("{}", eval::text(&board, left_out.as_ref())),
        Format::Json => {
            println!("{}", crate::report::json(&eval::json(&board, left_out.as_ref()))?);
        }
    }
    Ok(())
}

/// Every command with its flags, for whoever checks what documents say of them.
pub fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

/// Runs the command that was typed.
pub fn main() -> ExitCode {
    // clap prints its own errors and exits 2.
    let cli = Cli::parse();
    let traces = crate::telemetry::log_to_stderr();
    let done = run(cli.command);
    traces.end();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("incident-commander: {}", crate::report::plain_lines(&format!("{error:#}")));
            let misused =
                error.downcast_ref::<ConfigError>().is_some() || error.downcast_ref::<Misuse>().is_some();
            ExitCode::from(if misused { 2 } else { 1 })
        }
    }
}

/// The command was used wrongly: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Misuse(pub String);

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Demo(args) => asynchronously(crate::demo::run(args)),
        Command::Serve(common) => asynchronously(serve::serve(common)),
        Command::Investigate(args) => live::investigate(args),
        Command::Eval(args) => evaluate(&args),
        Command::Incidents(args) => asynchronously(incidents::incidents(args)),
        Command::Jobs(args) => asynchronously(jobs::jobs(args)),
        Command::Mutes(args) => asynchronously(mutes::mutes(args)),
        Command::Backup(args) => asynchronously(backup::backup(args)),
        Command::Services(args) => services::services(&args),
        Command::Doctor(args) => asynchronously(doctor::doctor(args)),
        Command::Alert { command: AlertCommand::Parse { file, config } } => {
            alert::parse(&file, config.as_deref())
        }
        Command::Cloudtrail { command: CloudtrailCommand::Read(args) } => cloudtrail::read(&args),
        Command::Logs { command: LogsCommand::Templates(args) } => logs::templates(&args),
        Command::Metrics { command: MetricsCommand::Shift(args) } => metrics::shift(&args),
    }
}

/// Whatever computes still gets so long once everything else has ended.
const THREADS_WITHIN: std::time::Duration = std::time::Duration::from_millis(500);

/// Runs something asynchronous to its end on a runtime of its own.
pub(crate) fn asynchronously<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let done = runtime.block_on(future);
    // Threads that still compute (a chart, an analysis) are not waited for: what they were for is stored as not done.
    runtime.shutdown_timeout(THREADS_WITHIN);
    done
}
