//! What is done with what was read: one transaction each, then an answer.

use std::sync::{Arc, OnceLock};

use tokio::sync::Notify;

use super::command::{self, Command};
use super::reading;
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::alert::{Alert, AlertState, Symptom};
use crate::domain::incident::IncidentId;
use crate::slack::client::Identity;
use crate::slack::inbound::{self, Event, IncomingMessage, Press};
use crate::store::{Accepted, ClickedButton, NewAlert, Origin, Result, Store, StoreError};

/// Takes in alerts, commands and clicks.
#[derive(Debug, Clone)]
pub struct Desk {
    pub store: Store,
    pub config: Arc<Config>,
    pub clock: Clock,
    /// Wakes the workers: something is due.
    pub wake: Arc<Notify>,
    /// Who the bot is, once Slack has said so: its own messages are nothing new.
    pub identity: Arc<OnceLock<Identity>>,
}

/// What became of something that was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    Incident(Accepted),
    Closed(Vec<IncidentId>),
    /// Not for us, with the reason for the log.
    Nothing(&'static str),
}

impl Desk {
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
            Event::HomeOpened { .. } => Ok(Heard::Nothing("the home tab")),
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
        let service = [&reading.service, &reading.alert_name]
            .into_iter()
            .flatten()
            .find_map(|name| self.known_service(name));
        let Some(service) = service else {
            return Ok(Heard::Nothing("an alert that names no service"));
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

    /// The service that a name in an alert means: a configured one, or one that AWS's own naming
    /// gives away.
    pub(super) fn known_service(&self, name: &str) -> Option<String> {
        if let Some(service) = self.config.service(name) {
            return Some(service.name.clone());
        }
        let lower = name.to_lowercase();
        let mentioned = self.config.services.iter().find(|service| {
            std::iter::once(&service.name)
                .chain(&service.aliases)
                .any(|known| lower.contains(&known.to_lowercase()))
        });
        mentioned
            .map(|service| service.name.clone())
            .or_else(|| (!name.contains(char::is_whitespace)).then(|| name.to_owned()))
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

    async fn mention(&self, message: IncomingMessage) -> Result<Heard> {
        let Some(user) = message.user.clone().filter(|_| !self.is_own(&message)) else {
            return Ok(Heard::Nothing("a mention by nobody"));
        };
        let words: Vec<&str> =
            message.text.split_whitespace().filter(|word| !word.starts_with("<@")).collect();
        let Ok(Command::Investigate { service }) = command::read(&words.join(" ")) else {
            return Ok(Heard::Nothing("a mention that asks for nothing we know"));
        };
        let thread = message.thread_ts.clone().unwrap_or_else(|| message.ts.clone());
        let origin = Origin {
            delivery: Some(message.event_id),
            channel: Some(message.channel),
            thread_ts: Some(thread),
            requested_by: Some(user),
        };
        Ok(Heard::Incident(self.alert(self.asked(service), origin).await?))
    }

    /// A slash command; the answer is seen only by whoever typed it.
    pub async fn command(&self, command: inbound::Command) -> Result<String> {
        let now = self.clock.now();
        let read = match command::read(&command.text) {
            Ok(read) => read,
            Err(sentence) => return Ok(sentence),
        };
        match read {
            Command::Help => Ok(command::HELP.to_owned()),
            Command::Investigate { service } => {
                let origin = Origin {
                    delivery: (!command.trigger_id.is_empty())
                        .then(|| format!("command/{}", command.trigger_id)),
                    channel: Some(command.channel),
                    thread_ts: None,
                    requested_by: Some(command.user),
                };
                Ok(match self.alert(self.asked(service.clone()), origin).await? {
                    Accepted::Opened(id) => format!("{id}: looking at {}.", safe(&service)),
                    Accepted::Joined(id) => {
                        format!("{id} about {} is open already; see its thread.", safe(&service))
                    }
                    Accepted::Duplicate => "Already on it.".to_owned(),
                })
            }
            Command::List => {
                let lines: Vec<String> = self
                    .store
                    .list(10)
                    .await?
                    .iter()
                    .map(|line| format!("{} · {} · {}", line.id, safe(&line.service), line.state.as_str()))
                    .collect();
                Ok(if lines.is_empty() { "No incidents yet.".to_owned() } else { lines.join("\n") })
            }
            Command::Status(id) => Ok(match self.store.incident_row(id).await? {
                None => format!("{id} is not known."),
                Some(row) => {
                    let summary = row.report.map(|report| report.summary).unwrap_or_default();
                    format!("{id} · {} · {}\n{}", safe(&row.service), row.state.as_str(), safe(&summary))
                }
            }),
            Command::Again(id) => {
                let why = format!("asked for by <@{}>", command.user);
                let answer = match self.store.investigate_again(id, &why, now).await {
                    Ok(true) => format!("{id}: looking again."),
                    Ok(false) => format!("{id} is not known."),
                    Err(StoreError::Misfit(misfit)) => {
                        format!("{id} is {} and cannot be looked at again now.", misfit.state.as_str())
                    }
                    Err(error) => return Err(error),
                };
                self.wake.notify_one();
                Ok(answer)
            }
            Command::Close { id, reason } => {
                let reason = if reason.is_empty() { "no reason given".to_owned() } else { reason };
                let why = format!("{reason} (<@{}>)", command.user);
                let answer = match self.store.close_incident(id, &why, now).await {
                    Ok(true) => format!("{id} is closed."),
                    Ok(false) => format!("{id} is not open."),
                    Err(StoreError::Misfit(_)) => {
                        format!("{id} is being rolled back; close it when that is done.")
                    }
                    Err(error) => return Err(error),
                };
                self.wake.notify_one();
                Ok(answer)
            }
        }
    }

    /// A click, stored before it is acknowledged; whether it counts is decided by a job.
    pub async fn press(&self, press: Press) -> Result<bool> {
        let delivery = press.delivery.clone();
        let click = ClickedButton {
            delivery: delivery.clone(),
            action_id: press.action_id,
            value: press.value,
            user: press.user,
            channel: press.channel,
            message_ts: press.message_ts,
            thread_ts: press.thread_ts,
            reason: None,
        };
        let first = self.store.accept_click(&delivery, click, self.clock.now()).await?;
        self.wake.notify_one();
        Ok(first)
    }

    fn asked(&self, service: String) -> Alert {
        Alert {
            service,
            at: self.clock.now(),
            metric: None,
            value: None,
            threshold: None,
            severity: None,
            alert_name: None,
            source: None,
        }
    }

    fn is_own(&self, message: &IncomingMessage) -> bool {
        self.identity.get().is_some_and(|own| {
            let same =
                |mine: &str, theirs: &Option<String>| !mine.is_empty() && theirs.as_deref() == Some(mine);
            same(&own.bot_id, &message.bot_id) || same(&own.user_id, &message.user)
        })
    }
}

fn safe(text: &str) -> String {
    crate::slack::text::escape(text)
}
