//! Finds what was changed of some services of an account and undoes it, each change once: for `tests/ministack`.
//!
//! `cargo run --example rollbacks_elsewhere -- --config FILE [--target JSON] [SERVICE…]`, with AWS's usual variables. A target
//! is undone as it is given, where the account has no record that the bot could find it by. Prints one line of JSON a
//! change; fails where one is not as the bot's plan wants it. Nobody is asked for approval.

use std::time::Duration;

use clap::Parser;
use incident_commander::agents::{self, Deadlines, Request};
use incident_commander::aws::rollback::{self, InEffect, Obstacle, Outcome, State};
use incident_commander::aws::{AwsSettings, Clients};
use incident_commander::config::Config;
use incident_commander::domain::alert::Alert;
use incident_commander::domain::change::{Change, Relation};
use incident_commander::domain::rollback::RollbackTarget;
use incident_commander::{analysis, app, bundle, worker};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;

#[derive(Parser)]
struct Arguments {
    /// The bot's configuration.
    #[arg(long)]
    config: std::path::PathBuf,
    #[arg(long, env = "AWS_ENDPOINT_URL")]
    aws_endpoint_url: String,
    /// A step of `domain::rollback`, as JSON.
    #[arg(long = "target")]
    targets: Vec<String>,
    services: Vec<String>,
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    app::choose_tls();
    let config = Config::load(&arguments.config)?;
    let settings = AwsSettings {
        endpoint_url: Some(arguments.aws_endpoint_url),
        region: config.aws.region.clone(),
        read_role_arn: config.aws.read_role_arn.clone(),
        write_role_arn: config.aws.write_role_arn.clone(),
        ..AwsSettings::default()
    };
    let clients = Clients::connect(&settings).await?;
    for target in &arguments.targets {
        let target: RollbackTarget = serde_json::from_str(target)?;
        println!("{}", json!({"undone": undo(&clients, &target).await?}));
    }
    for service in &arguments.services {
        let now = Timestamp::now();
        let alert = Alert::about(service.clone(), now);
        let known = worker::service_settings(&config, service);
        let request = Request { incident: None, alert, now, service: known };
        let evidence = agents::gather(&clients, request, Deadlines::default(), |_| {}).await;
        // Through the files, as the bot does it.
        let evidence = bundle::from_files(&bundle::to_files(&evidence))?;
        let changes = analysis::changes::changes(&evidence);
        for change in changes.iter().filter(|change| is_its(change)) {
            let undone = match &change.undo {
                Ok(target) => undo(&clients, target).await?,
                Err(why) => json!({"not": why}),
            };
            let keys: Vec<Value> =
                change.keys.iter().map(|key| json!([key.key, key.before, key.after])).collect();
            println!(
                "{}",
                json!({
                    "service": service, "kind": change.kind, "resource": change.resource, "keys": keys,
                    "undone": undone,
                })
            );
        }
    }
    Ok(())
}

/// Whether it is a change of the service's own resources, or of what it reads.
fn is_its(change: &Change) -> bool {
    matches!(change.relation, Relation::Own | Relation::Shared)
}

/// As the bot does it once somebody approved: plan, look again, one call, read back.
async fn undo(clients: &Clients, target: &RollbackTarget) -> anyhow::Result<Value> {
    let plan = match rollback::prepare(clients, target, Timestamp::now(), soon()).await {
        Ok(plan) => plan,
        Err(obstacle) => return Ok(json!({"not": obstacle.to_string()})),
    };
    rollback::check(clients, &plan, Timestamp::now(), soon()).await?;
    let writer = clients.writer("story").await;
    let outcome = rollback::apply(clients, &writer, &plan, soon()).await;
    anyhow::ensure!(outcome == Outcome::Applied, "{}: {outcome:?}", plan.describe());
    let state = rollback::read_back(clients, &plan, soon()).await?;
    anyhow::ensure!(state == State::Restored, "{}: read back as {state:?}", plan.describe());
    let end = soon();
    while rollback::in_effect(clients, &plan, soon()).await? != InEffect::Yes {
        anyhow::ensure!(Instant::now() < end, "{}: not in effect within 30 s", plan.describe());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let again = rollback::check(clients, &plan, Timestamp::now(), soon()).await;
    anyhow::ensure!(matches!(again, Err(Obstacle::AlreadyThere { .. })), "a second time: {again:?}");
    Ok(json!({"call": plan.call(), "plan": plan.describe(), "back": plan.reversed().ok()}))
}
