//! `mutes`: what is held back, beside a running bot.

use clap::{Args, Subcommand};
use serde::Serialize;

use super::{DEFAULT_DATABASE, Format};
use crate::domain::alert::AlertState;
use crate::report;
use crate::store::{Held, Mute};

#[derive(Debug, Args)]
pub struct MutesArgs {
    #[arg(long, env = "DATABASE_URL", default_value = DEFAULT_DATABASE, global = true)]
    database_url: String,
    #[arg(long, value_enum, default_value_t, global = true)]
    format: Format,
    #[command(subcommand)]
    command: Option<MutesCommand>,
}

#[derive(Debug, Subcommand)]
enum MutesCommand {
    /// Each mute and planned maintenance whose end was not told yet, with the alerts that it held back.
    #[command(after_help = "Example:\n  incident-commander mutes list --all --format json")]
    List {
        /// Also those whose end was told, as long as they are kept.
        #[arg(long)]
        all: bool,
    },
}

/// A mute with what it held.
#[derive(Debug, Serialize)]
struct Line {
    #[serde(flatten)]
    mute: Mute,
    alerts: Vec<Held>,
}

pub async fn mutes(args: MutesArgs) -> anyhow::Result<()> {
    let store = super::open_beside(&args.database_url).await?;
    store.expect_current().await?;
    let MutesCommand::List { all } = args.command.unwrap_or(MutesCommand::List { all: false });
    let mut lines = Vec::new();
    for mute in store.mutes(all).await? {
        let alerts = store.held_alerts(mute.id).await?;
        lines.push(Line { mute, alerts });
    }
    match args.format {
        Format::Json => println!("{}", report::json(&lines)?),
        Format::Text => lines.iter().for_each(|line| print!("{}", text(line))),
    }
    Ok(())
}

/// The mute in a line, and one for each alert; nothing in them can move the cursor.
fn text(Line { mute, alerts }: &Line) -> String {
    let until = mute.ended_at.unwrap_or(mute.until).strftime("%Y-%m-%d %H:%M UTC");
    let word = if mute.ended_at.is_some() { "ended" } else { "until" };
    let Mute { service, by, reason, .. } = mute;
    let mut lines = vec![format!("{service}  {word} {until}  by {by}: {reason}")];
    lines.extend(alerts.iter().map(|Held { at, alert, state }| {
        let state = match state {
            AlertState::Firing => "firing",
            AlertState::Resolved => "resolved",
        };
        let name =
            alert.alert_name.as_deref().or(alert.metric.as_deref()).unwrap_or("an alert without a name");
        format!("  {}  {state}  {name}", at.strftime("%Y-%m-%d %H:%M:%S UTC"))
    }));
    let plain: Vec<String> = lines.iter().map(|line| report::plain(line)).collect();
    format!("{}\n", plain.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::alert::Alert;

    #[test]
    fn a_mute_is_a_line_with_its_alerts_below_and_moves_no_cursor() {
        let noon = "2026-02-06T12:00:00Z".parse().unwrap();
        let mute = Mute {
            id: 1,
            service: "checkout".into(),
            reason: "load\u{1b}[2J test".into(),
            by: "U1".into(),
            channel: None,
            began_at: noon,
            until: noon,
            ended_at: None,
            ended_by: None,
            told_at: None,
            held: 1,
        };
        let alert: Alert = serde_json::from_str(
            r#"{"service": "checkout", "alert_name": "High\nErrors", "at": "2026-02-06T12:00:00Z"}"#,
        )
        .unwrap();
        let line = Line { mute, alerts: vec![Held { at: noon, alert, state: AlertState::Firing }] };
        assert_eq!(
            text(&line),
            "checkout  until 2026-02-06 12:00 UTC  by U1: load [2J test\n\
             \x20 2026-02-06 12:00:00 UTC  firing  High Errors\n"
        );
        let json = serde_json::to_value(&line).unwrap();
        assert_eq!((&json["service"], &json["alerts"][0]["state"]), (&"checkout".into(), &"firing".into()));
    }
}
