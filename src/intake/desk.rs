//! What is done with what was read: one transaction each, then an answer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use jiff::tz::TimeZone;
use tokio::sync::Notify;

use super::matching::{self, Meant};
use super::reading::{self, Reading};
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::alert::{Alert, AlertState, Symptom};
use crate::domain::incident::IncidentId;
use crate::slack::Slack;
use crate::slack::client::Identity;
use crate::slack::inbound::{Event, IncomingMessage};
use crate::store::{Accepted, NewAlert, Origin, Result, Store, StoreError};

/// Takes in alerts, commands and clicks.
#[derive(Debug, Clone)]
pub struct Desk {
    pub store: Store,
    /// For what must be asked or shown before the answer.
    pub slack: Slack,
    pub config: Arc<Config>,
    pub clock: Clock,
    /// Wakes the workers: something is due.
    pub wake: Arc<Notify>,
    /// Who the bot is, once Slack has said so: its own messages are nothing new.
    pub identity: Arc<OnceLock<Identity>>,
    /// Whose clock is which, as far as it was asked.
    pub time_zones: Arc<Mutex<HashMap<String, TimeZone>>>,
}

/// What became of something that was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    Incident(Accepted),
    Closed(Vec<IncidentId>),
    /// A person asked for something and was answered.
    Asked,
    /// Not for us, with the reason for the log.
    Nothing(&'static str),
}

impl Desk {
    pub(super) fn zones(&self) -> MutexGuard<'_, HashMap<String, TimeZone>> {
        self.time_zones.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores an alert, under the service's own name where it came under an alias.
    pub async fn alert(&self, mut alert: Alert, origin: Origin) -> Result<Accepted> {
        if let Some(service) = self.config.service(&alert.service) {
            alert.service.clone_from(&service.name);
        }
        let accepted = self.store.accept(NewAlert { alert, origin }, self.clock.now()).await?;
        self.wake.notify_one();
        Ok(accepted)
    }

    /// An event of the Events API.
    pub async fn event(&self, event: Event) -> Result<Heard> {
        match event {
            Event::Message(message) => self.message(*message).await,
            Event::Mention(message) => self.mention(*message).await,
            Event::UrlVerification { .. } => Ok(Heard::Nothing("a url_verification is answered, not stored")),
            Event::HomeOpened { user } => {
                self.open_home(user);
                Ok(Heard::Asked)
            }
            Event::Ignored { why } => Ok(Heard::Nothing(why)),
        }
    }

    async fn message(&self, message: IncomingMessage) -> Result<Heard> {
        if self.is_own(&message) {
            return Ok(Heard::Nothing("our own message"));
        }
        let Some(bot_id) = &message.bot_id else {
            return Ok(Heard::Nothing("a person who does not mention us"));
        };
        let slack = &self.config.slack;
        if !slack.alert_channels.contains(&message.channel) {
            return Ok(Heard::Nothing("not an alert channel"));
        }
        if !slack.alert_bots.is_empty() && !slack.alert_bots.contains(bot_id) {
            return Ok(Heard::Nothing("a bot whose messages do not count"));
        }
        if message.thread_ts.as_ref().is_some_and(|thread| *thread != message.ts) {
            return Ok(Heard::Nothing("a reply in a thread"));
        }
        let reading = reading::read_message(&message.raw);
        let Some(state) = reading.state.filter(|_| reading.is_alert) else {
            return Ok(Heard::Nothing("not an alert"));
        };
        let meant = self.meant(&reading);
        let service = match &meant {
            Meant::One(service) => service.clone(),
            // Which one is not known yet; until then the alert bears the name that it came with.
            Meant::Several(_) => reading.service.clone().or(reading.alert_name.clone()).unwrap_or_default(),
            Meant::Nobody => return Ok(Heard::Nothing("an alert that names no service")),
        };
        let alert = Alert {
            service,
            at: reading.at.unwrap_or_else(|| self.clock.now()),
            metric: reading.metric,
            value: None,
            threshold: None,
            severity: reading.severity,
            alert_name: reading.alert_name,
            source: reading.source,
        };
        if let Meant::Several(candidates) = meant {
            return self.doubtful(alert, state, candidates, message).await;
        }
        if state == AlertState::Resolved {
            return self.resolve(&alert, &message.event_id).await;
        }
        let origin = Origin {
            delivery: Some(message.event_id),
            channel: Some(message.channel),
            thread_ts: Some(message.ts),
            requested_by: None,
        };
        Ok(Heard::Incident(self.alert(alert, origin).await?))
    }

    /// The service that an alert means: a configured one, or one that AWS's own naming gives away.
    pub(super) fn meant(&self, reading: &Reading) -> Meant {
        let names: Vec<&str> =
            [&reading.service, &reading.alert_name].into_iter().flatten().map(String::as_str).collect();
        matching::meant(&self.config, &names)
    }

    /// The service that one name means, where it is one.
    pub(super) fn known_service(&self, name: &str) -> Option<String> {
        match matching::meant(&self.config, &[name]) {
            Meant::One(service) => Some(service),
            Meant::Several(_) | Meant::Nobody => None,
        }
    }

    /// An alert that resolved closes its incidents.
    pub(super) async fn resolve(&self, alert: &Alert, delivery: &str) -> Result<Heard> {
        let now = self.clock.now();
        if !self.store.note_delivery(delivery, now).await? {
            return Ok(Heard::Incident(Accepted::Duplicate));
        }
        let symptom: Option<Symptom> = alert.symptom();
        let mut closed = Vec::new();
        for id in self.store.open_incidents(Some(&alert.service)).await? {
            let Some(row) = self.store.incident_row(id).await? else { continue };
            if symptom.is_some() && row.symptom.is_some() && row.symptom != symptom {
                continue;
            }
            match self.store.close_incident(id, "the alert resolved", now).await {
                Ok(true) => closed.push(id),
                Ok(false) => {}
                // A change is under way: its own verification says how it ends.
                Err(StoreError::Misfit(_)) => {
                    self.store.note(id, "the alert resolved while the change was under way", now).await?;
                }
                Err(error) => return Err(error),
            }
        }
        self.wake.notify_one();
        Ok(Heard::Closed(closed))
    }

    pub(super) fn is_own(&self, message: &IncomingMessage) -> bool {
        self.identity.get().is_some_and(|own| {
            let same =
                |mine: &str, theirs: &Option<String>| !mine.is_empty() && theirs.as_deref() == Some(mine);
            same(&own.bot_id, &message.bot_id) || same(&own.user_id, &message.user)
        })
    }
}
