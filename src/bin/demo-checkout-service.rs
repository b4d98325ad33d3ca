//! The demo's checkout service as a program of its own.
//!
//! Log events go to standard output, one JSON object a line; everything else to standard error. Where Lambda starts it,
//! which it tells by `AWS_LAMBDA_RUNTIME_API`, it takes invocations instead of listening, and tells metrics in log lines.
//! With `--requests` the last line of standard output is the summary, `{"summary": {…}}`.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Parser;
use incident_commander::checkout::time::Time;
use incident_commander::checkout::{
    DeploymentHint, EmbeddedMetrics, Emission, FaultScenario, Rollout, Service, Settings, SettingsError,
    Sink, What, lambda, router, run_local_test,
};
use incident_commander::clock::Clock;
use jiff::{SignedDuration, Timestamp};
use tokio::net::TcpListener;

/// A checkout service that takes orders through a bounded connection pool.
///
/// FAULT_SCENARIO chooses what goes wrong: normal, db_pool_exhaustion, deployment_config_bug,
/// memory_leak or cascading_failure. DB_POOL_SIZE, MAX_CONCURRENT, DB_ACQUIRE_TIMEOUT_MS,
/// LEAK_KIB_PER_ORDER, OUTBOX_RELAY and PAYMENT_TIME_MS set one thing each, in upper or lower case.
#[derive(Parser)]
#[command(name = "demo-checkout-service", version)]
struct Arguments {
    /// Where to listen; port 0 takes a free one. [default: 127.0.0.1:3001, with --requests a free port]
    #[arg(long)]
    addr: Option<SocketAddr>,
    /// Send this many orders to itself, print the events and a summary, and exit.
    #[arg(long, value_name = "N")]
    requests: Option<u64>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let variables: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let settings = Settings::from_environment(&variables);
    let runtime_api = variables.get(lambda::RUNTIME_API);
    if let (Err(error), None) = (&settings, runtime_api) {
        eprintln!("{error}");
        return ExitCode::from(2);
    }
    let work = async {
        match runtime_api {
            Some(api) => {
                let version = variables.get(lambda::VERSION).cloned().unwrap_or_default();
                take_invocations(&lambda::Runtime::at(api), settings, version).await
            }
            None => serve(arguments, settings?).await,
        }
    };
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be started")
        .and_then(|runtime| runtime.block_on(work));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::from(1)
        }
    }
}

async fn serve(arguments: Arguments, settings: Settings) -> anyhow::Result<()> {
    let default_port = if arguments.requests.is_some() { 0 } else { 3001 };
    let address = arguments.addr.unwrap_or(SocketAddr::from(([127, 0, 0, 1], default_port)));
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    let address = listener.local_addr()?;
    let hint = hint_of(settings.scenario, Timestamp::now());
    let rollout = Rollout { version: "local".to_owned(), settings, hint };
    let time = Time::Wall(Clock::System);
    let service = Arc::new(Service::start(time, Sink::new(print), rollout, fastrand::u64(..)).await?);
    let app = router(service);
    eprintln!("demo-checkout-service listens on http://{address}");
    match arguments.requests {
        None => Ok(axum::serve(listener, app).with_graceful_shutdown(stop_signal()).await?),
        Some(requests) => {
            let server = tokio::spawn(async move { axum::serve(listener, app).await });
            let summary = run_local_test(&format!("http://{address}/"), requests).await?;
            server.abort();
            write_line(&serde_json::json!({ "summary": summary }).to_string());
            Ok(())
        }
    }
}

/// The service as a function, until Lambda ends the environment.
async fn take_invocations(
    runtime: &lambda::Runtime,
    settings: Result<Settings, SettingsError>,
    version: String,
) -> anyhow::Result<()> {
    let settings = match settings {
        Ok(settings) => settings,
        Err(error) => {
            runtime.refuse(&error.to_string()).await?;
            return Err(error.into());
        }
    };
    let hint = hint_of(settings.scenario, Timestamp::now());
    let rollout = Rollout { version, settings, hint };
    let metrics = EmbeddedMetrics::new(write_line);
    let time = Time::Wall(Clock::System);
    let service = Arc::new(Service::start(time, metrics.sink(), rollout, fastrand::u64(..)).await?);
    runtime.serve(&service, &metrics).await
}

/// The scenario's own hint: a deployment a quarter of an hour ago, with a stamp that is older still.
fn hint_of(scenario: FaultScenario, now: Timestamp) -> DeploymentHint {
    if scenario != FaultScenario::DeploymentConfigBug {
        return DeploymentHint::default();
    }
    let before = |minutes| now.saturating_sub(SignedDuration::from_mins(minutes)).unwrap_or(now);
    DeploymentHint {
        related: true,
        stamp: Some(format!("{:.0}", before(30)).trim_end_matches('Z').to_owned()),
        counted_from: Some(before(15)),
    }
}

fn print(emission: Emission) {
    if let What::Log { line, .. } = emission.what {
        write_line(&line);
    }
}

/// A reader that went away ends the output, not the service.
fn write_line(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

async fn stop_signal() {
    let interrupt = tokio::signal::ctrl_c();
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = interrupt => {}
                _ = terminate.recv() => {}
            }
        }
        Err(_) => {
            let _ = interrupt.await;
        }
    }
}
