//! Socket Mode: the same edge as the three routes, over a connection that the bot opens itself.
//!
//! The rule that is not obvious: there is no signature here. The connection's address is told only to the
//! holder of the app token, over TLS, and that is what vouches for what comes through it.

use std::sync::Arc;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::slack::{take_command, take_event, take_interaction};
use crate::config::Secret;
use crate::intake::Desk;
use crate::slack::inbound::{self, CommandBody};
use crate::slack::socket::{Answer, Envelope, EnvelopeKind, SocketMode, Timing};
use crate::store::Result;
use crate::telemetry::Metrics;

/// Takes in what Slack sends over Socket Mode until it is stopped.
pub async fn receive(desk: Desk, metrics: Arc<Metrics>, app_token: Secret, stop: CancellationToken) {
    let (slack, noted) = (desk.slack.clone(), metrics.clone());
    let mode = SocketMode {
        slack,
        app_token,
        timing: Timing::default(),
        handle: move |envelope: Envelope| {
            let (desk, metrics) = (desk.clone(), metrics.clone());
            async move { take(&desk, &metrics, envelope).await }
        },
        reachable: Arc::new(move |reachable| noted.dependency("slack_socket", reachable)),
        stop,
    };
    mode.run().await;
}

async fn take(desk: &Desk, metrics: &Metrics, envelope: Envelope) -> Answer {
    if envelope.retry > 0 {
        metrics.count("slack_envelopes_redelivered");
    }
    match store(desk, metrics, envelope.kind, &envelope.payload).await {
        Ok(answer) => Answer::Acknowledge(answer),
        Err(failure) => {
            tracing::error!(error = %failure, "something from Slack cannot be stored");
            Answer::Withhold
        }
    }
}

async fn store(desk: &Desk, metrics: &Metrics, kind: EnvelopeKind, payload: &Value) -> Result<Option<Value>> {
    match kind {
        EnvelopeKind::Event => take_event(desk, metrics, inbound::read_event(payload)).await.map(|()| None),
        EnvelopeKind::Command => match inbound::read_command(&fields_of(payload)) {
            CommandBody::SslCheck => Ok(None),
            CommandBody::Unreadable => {
                tracing::warn!("a command without user or channel");
                Ok(None)
            }
            CommandBody::Command(command) => take_command(desk, command).await,
        },
        EnvelopeKind::Interaction => take_interaction(desk, payload).await,
    }
}

/// The fields of a command, which come as a form over HTTP and as an object here.
fn fields_of(payload: &Value) -> Vec<(String, String)> {
    let fields = payload.as_object().into_iter().flatten();
    fields.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
}
