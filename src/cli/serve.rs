//! `serve`: the bot until SIGTERM or Ctrl-C.
//!
//! Rule: the database comes before the port. Of two on one database the second one says that, whichever port it has.

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::Common;
use crate::app::{self, Bot};
use crate::clock::Clock;

pub async fn serve(common: Common) -> anyhow::Result<()> {
    let bench = app::assemble(&common.settings()?, Clock::System).await?;
    let address = bench.settings.listen;
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    let bot = Bot::start_with(bench, listener, None)?;
    tracing::info!(address = %bot.address(), "listening");
    until_told_to_stop().await?;
    bot.stop().await;
    Ok(())
}

/// Returns at the first SIGTERM or Ctrl-C.
pub async fn until_told_to_stop() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
