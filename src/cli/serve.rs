//! `serve`: the bot until SIGTERM or Ctrl-C.

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::Common;
use crate::app::Bot;
use crate::clock::Clock;

pub async fn serve(common: Common) -> anyhow::Result<()> {
    let settings = common.settings()?;
    settings.check()?;
    let listener = TcpListener::bind(settings.listen)
        .await
        .with_context(|| format!("cannot listen on {}", settings.listen))?;
    let bot = Bot::start(settings, Clock::System, listener, None).await?;
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
