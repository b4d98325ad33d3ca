//! An alert that fits more than one service: the question in its thread, and the answer.
//!
//! The rule that is not obvious: an answer holds for the same alert as long as an incident stays open
//! that nothing is heard of, so that a repeated alert does not ask again.

use serde_json::Value;

use super::ask::Asker;
use super::desk::{Desk, Heard};
use crate::domain::alert::{Alert, AlertState};
use crate::slack::inbound::IncomingMessage;
use crate::slack::interaction::Press;
use crate::slack::questions::{self, Ended};
use crate::store::{Accepted, Chosen, Doubt, Origin, Result, Settled};

impl Desk {
    /// An alert that fits more than one service.
    pub(super) async fn doubtful(
        &self,
        mut alert: Alert,
        state: AlertState,
        candidates: Vec<String>,
        message: IncomingMessage,
    ) -> Result<Heard> {
        let now = self.clock.now();
        let remembered = self.config.incidents.close_after.0;
        let doubt = Doubt {
            alert: alert.clone(),
            candidates,
            channel: message.channel.clone(),
            thread_ts: message.ts.clone(),
            delivery: message.event_id.clone(),
            answers_since: now.saturating_sub(remembered).unwrap_or(now),
        };
        if state == AlertState::Resolved {
            let service = self.store.resolve_doubt(&doubt, now).await?;
            self.wake.notify_one();
            let Some(service) = service else { return Ok(Heard::Closed(Vec::new())) };
            alert.service = service;
            return self.resolve(&alert, &message.event_id).await;
        }
        match self.store.ask_which(&doubt, now).await? {
            Settled::Known(Some(service)) => {
                alert.service = service;
                let origin = Origin {
                    delivery: Some(message.event_id),
                    channel: Some(message.channel),
                    thread_ts: Some(message.ts),
                    requested_by: None,
                };
                Ok(Heard::Incident(self.alert(alert, origin).await?))
            }
            Settled::Known(None) => Ok(Heard::Nothing("somebody said that it is about none of our services")),
            Settled::Waits => {
                self.wake.notify_one();
                Ok(Heard::Nothing("somebody is asked which service it is about"))
            }
            Settled::Duplicate => Ok(Heard::Incident(Accepted::Duplicate)),
        }
    }

    /// Somebody answers: the first answer counts, and later ones hear of it.
    pub(super) async fn choose_service(&self, press: Press) -> Result<()> {
        let value: Value = serde_json::from_str(&press.value).unwrap_or_default();
        let Some(question) = value["question"].as_i64() else { return Ok(()) };
        let service = value["service"].as_str();
        let now = self.clock.now();
        match self.store.choose(question, &press.channel, service, &press.user, now).await? {
            Chosen::Counts(_) => self.wake.notify_one(),
            // Slack sends a press again that was not acknowledged in time.
            Chosen::TooLate(given) if given.by.as_deref() == Some(&press.user) => {}
            Chosen::TooLate(given) => {
                let asker = Asker {
                    user: press.user,
                    channel: press.channel,
                    thread_ts: press.thread_ts,
                    delivery: None,
                };
                let ended = Ended {
                    service: given.service.as_deref(),
                    by: given.by.as_deref(),
                    at: given.at,
                    incident: given.incident,
                };
                self.whisper(&asker, questions::too_late(&ended));
            }
            Chosen::Foreign => tracing::warn!(question, "an answer to a question that was not asked here"),
        }
        Ok(())
    }
}
