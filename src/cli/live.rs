//! `investigate`: of a bundle offline, or of a service live, from the terminal and without Slack.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use jiff::Timestamp;

use super::{Common, Misuse, asynchronously, investigate};
use crate::agents::{self, AgentState, Deadlines, Request};
use crate::app;
use crate::aws::Clients;
use crate::domain::alert::{Alert, parse_time};
use crate::domain::redact;
use crate::{analysis, bundle, report};

#[derive(Debug, Args)]
pub struct InvestigateArgs {
    /// A folder with the evidence of one incident.
    #[arg(long, value_name = "DIR", conflicts_with = "service", required_unless_present = "service")]
    bundle: Option<PathBuf>,
    /// A service, investigated live with the usual AWS credentials.
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// When the trouble was noticed; now where absent.
    #[arg(long, value_name = "TIME", requires = "service")]
    at: Option<String>,
    #[arg(long, value_enum, default_value_t)]
    format: ReportFormat,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum ReportFormat {
    #[default]
    Text,
    Json,
    Markdown,
}

impl From<ReportFormat> for investigate::Format {
    fn from(format: ReportFormat) -> Self {
        match format {
            ReportFormat::Text => Self::Text,
            ReportFormat::Json => Self::Json,
            ReportFormat::Markdown => Self::Markdown,
        }
    }
}

pub fn investigate(args: InvestigateArgs) -> anyhow::Result<()> {
    let investigation = match (&args.bundle, args.service) {
        (Some(dir), _) => investigate::offline(dir)?,
        (None, Some(service)) => asynchronously(live(&args.common, service, args.at.as_deref()))?,
        (None, None) => return Err(Misuse("--bundle or --service is needed".into()).into()),
    };
    print!("{}", investigate::print(&investigation.report, args.format.into())?);
    Ok(())
}

async fn live(common: &Common, service: String, at: Option<&str>) -> anyhow::Result<analysis::Investigation> {
    let settings = common.settings()?;
    app::choose_tls();
    let now = Timestamp::now();
    let at = match at {
        None => now,
        Some(text) => parse_time(text)
            .ok_or_else(|| Misuse(format!("{text:?} is not a time: 2026-02-06T12:15:00Z is")))?,
    };
    if at > now {
        return Err(Misuse(format!("{at} is in the future")).into());
    }
    let known = crate::worker::service_settings(&settings.config, &service);
    let clients = Clients::connect(&app::aws_settings(&settings).at(&known.place)).await?;
    let alert = Alert::about(service.clone(), at);
    let request = Request { incident: None, alert, now, service: known };
    let mut evidence = agents::gather(&clients, request, Deadlines::default(), |progress| {
        let agent = format!("{:?}", progress.agent).to_lowercase();
        match progress.state {
            AgentState::Started => eprintln!("{agent}: reading"),
            AgentState::Done { summary } => eprintln!("{agent}: {summary}"),
            AgentState::Failed { reason } => eprintln!("{agent}: not read ({})", report::plain(&reason)),
        }
    })
    .await;
    redact::evidence(&mut evidence);
    // Through the files, as everywhere: what is weighed is what could be exported.
    let evidence = bundle::from_files(&bundle::to_files(&evidence))?;
    Ok(analysis::investigate(&evidence))
}
