//! An alert that fits more than one service, or none: the question in its thread, and the answer.
//!
//! The rule that is not obvious: an answer holds for the same alert as long as an incident stays open
//! that nothing is heard of, so that a repeated alert does not ask again.

use super::ask::Asker;
use super::desk::{Came, Desk, Heard};
use crate::domain::alert::{Alert, AlertState};
use crate::domain::redact;
use crate::slack::interaction::Press;
use crate::slack::questions::{self, Ended};
use crate::store::{Accepted, Chosen, Doubt, Resolve, Result, Settled};

impl Desk {
    /// An alert that fits more than one service, or none that is known. Where nobody can be asked, it is about what
    /// it calls itself: that is investigated as far as AWS's own naming tells.
    pub(super) async fn doubtful(
        &self,
        mut alert: Alert,
        state: AlertState,
        candidates: Vec<String>,
        came: Came,
    ) -> Result<Heard> {
        let now = self.clock.now();
        redact::alert(&mut alert);
        let slack = &self.config.slack;
        let asked_in =
            came.channel.as_ref().or(slack.default_channel.as_ref()).or(slack.alert_channels.first());
        let doubt = asked_in.filter(|_| self.slack.is_configured()).map(|channel| Doubt {
            alert: alert.clone(),
            candidates: candidates.clone(),
            channel: channel.clone(),
            thread_ts: came.thread_ts.clone(),
            delivery: came.delivery.clone(),
            answers_since: now.saturating_sub(self.config.incidents.close_after.0).unwrap_or(now),
        });
        if state == AlertState::Resolved {
            let resolve = Resolve {
                alert: &alert,
                services: candidates,
                delivery: Some(&came.delivery),
                doubt: doubt.as_ref(),
            };
            return Ok(self.resolve_asked(resolve).await?.into());
        }
        let Some(doubt) = doubt else {
            return Ok(Heard::Incident(self.alert(alert, came.origin()).await?));
        };
        match self.store.ask_which(&doubt, now).await? {
            Settled::Known(Some(service)) => {
                alert.service = service;
                Ok(Heard::Incident(self.alert(alert, came.origin()).await?))
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
        let Some((question, named)) = questions::read_choice(&press) else { return Ok(()) };
        // A name that was typed may be an alias.
        let own = |name: &str| self.config.service(name).map(|service| service.name.clone());
        let service = named.map(|name| own(&name).unwrap_or(name));
        let service = service.as_deref();
        let now = self.clock.now();
        match self.store.choose(question, &press.channel, service, &press.user, now).await? {
            Chosen::Counts(_) => self.wake.notify_one(),
            // Slack sends a press again that was not acknowledged in time.
            Chosen::TooLate(given) if given.by.as_deref() == Some(&press.user) => {}
            Chosen::TooLate(given) => {
                let asker = Asker { delivery: None, ..Asker::of(press) };
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
