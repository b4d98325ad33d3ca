//! `doctor`: whether everything is there that `serve` needs, and what to do where it is not.
//!
//! A check is a function that looks at one thing and returns findings; nothing is left changed by it. The rule
//! that is not obvious: only what keeps the bot from its work fails. What merely limits it is a note.

pub mod aws;
mod local;
mod slack;

use std::collections::BTreeSet;
use std::fmt;

use clap::Args;
use serde::Serialize;

use super::{Common, Format};
use crate::config::Settings;
use crate::report;

#[derive(Debug, Args)]
pub struct DoctorArgs {
    #[command(flatten)]
    common: Common,
    /// Shows what would be found of this service, and why.
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// Prints the policy that reading needs, by what the configuration switches on, and looks at nothing.
    #[arg(long, conflicts_with = "service")]
    policy: bool,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// How one thing stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    Good,
    /// It works without, with less.
    Note,
    Failed,
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at: `slack scopes`.
    pub check: &'static str,
    pub health: Health,
    pub what: String,
    /// What to do about it; absent where nothing is to be done.
    pub remedy: Option<String>,
}

impl Finding {
    pub fn good(check: &'static str, what: impl Into<String>) -> Self {
        Self { check, health: Health::Good, what: what.into(), remedy: None }
    }

    pub fn note(check: &'static str, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check, health: Health::Note, what: what.into(), remedy: Some(remedy.into()) }
    }

    pub fn failed(check: &'static str, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check, health: Health::Failed, what: what.into(), remedy: Some(remedy.into()) }
    }
}

impl fmt::Display for Finding {
    /// One line. What Slack or AWS said may hold anything, so nothing of it reaches the terminal's controls.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.health {
            Health::Good => "ok    ",
            Health::Note => "note  ",
            Health::Failed => "fail  ",
        };
        let remedy = self.remedy.as_deref().map(|remedy| format!(" → {remedy}")).unwrap_or_default();
        formatter.write_str(&report::plain(&format!("{mark}{}: {}{remedy}", self.check, self.what)))
    }
}

/// Everybody who may approve anything, once: ids of users and of user groups.
fn approvers(settings: &Settings) -> BTreeSet<&str> {
    let config = &settings.config;
    let own = config.services.iter().filter_map(|service| service.approvers.as_ref()).flatten();
    let all = config.approvals.approvers.iter().chain(&config.approvals.break_glass).chain(own);
    all.map(String::as_str).collect()
}

/// Looks at everything. The groups ask different systems, so they run at the same time.
pub async fn examine(settings: &Settings, service: Option<&str>) -> Vec<Finding> {
    let (local, slack, aws) =
        futures::join!(local::examine(settings), slack::examine(settings), aws::examine(settings, service));
    [local, slack, aws].concat()
}

/// # Errors
/// Where a check failed, and where the settings themselves cannot be read.
pub async fn doctor(args: DoctorArgs) -> anyhow::Result<()> {
    let settings = args.common.settings()?;
    crate::app::choose_tls();
    if args.policy {
        println!("{}", report::json(&aws::policy(&settings).await?)?);
        return Ok(());
    }
    let findings = examine(&settings, args.service.as_deref()).await;
    match args.format {
        Format::Text => findings.iter().for_each(|finding| println!("{finding}")),
        Format::Json => println!("{}", report::json(&findings)?),
    }
    let failed = findings.iter().filter(|finding| finding.health == Health::Failed).count();
    anyhow::ensure!(failed == 0, "{failed} of {} checks failed", findings.len());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_one_line_whatever_it_quotes() {
        let finding = Finding::failed("slack token", "Slack says \u{1b}[31mno\nreally", "mend it");
        assert_eq!(finding.to_string(), "fail  slack token: Slack says  [31mno really → mend it");
    }
}
