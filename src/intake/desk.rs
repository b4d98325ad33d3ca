//! What is done with what was read: one transaction each, then an answer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use jiff::tz::TimeZone;
use serde_json::Value;
use tokio::sync::Notify;
use tracing::Instrument as _;

use super::matching::{self, Meant};
use super::reading::{self, Reading};
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::alert::{Alert, AlertState};
use crate::domain::incident::IncidentId;
use crate::domain::redact;
use crate::fail_points::{FailPoints, Point};
use crate::slack::Slack;
use crate::slack::client::Identity;
use crate::slack::inbound::{Event, IncomingMessage};
use crate::store::{Accepted, NewAlert, NewMute, Origin, Resolve, Resolved, Result, Store};

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
    /// Nothing is armed but in tests of what a crash leaves.
    pub fail_points: FailPoints,
}

/// Who muted a service where no person did.
const BY_CONFIGURATION: &str = "the configuration";

/// How an alert came, so that it is taken in once and answered where it is.
#[derive(Debug, Clone)]
pub(super) struct Came {
    /// The sender's own id of this delivery.
    pub delivery: String,
    /// Of the alert's own message, where it is one.
    pub channel: Option<String>,
    pub thread_ts: Option<String>,
}

impl Came {
    pub fn origin(self) -> Origin {
        Origin {
            delivery: Some(self.delivery),
            channel: self.channel,
            thread_ts: self.thread_ts,
            requested_by: None,
        }
    }
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

impl From<Resolved> for Heard {
    fn from(resolved: Resolved) -> Self {
        match resolved {
            Resolved::Incidents { closed, .. } => Self::Closed(closed),
            Resolved::Duplicate => Self::Incident(Accepted::Duplicate),
        }
    }
}

impl Desk {
    pub(super) fn zones(&self) -> MutexGuard<'_, HashMap<String, TimeZone>> {
        self.time_zones.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores an alert, under the service's own name where it came under an alias.
    pub async fn alert(&self, mut alert: Alert, origin: Origin) -> Result<Accepted> {
        redact::alert(&mut alert);
        if let Some(service) = self.config.service(&alert.service) {
            alert.service.clone_from(&service.name);
        }
        if origin.requested_by.is_none() {
            self.begin_maintenance(&alert.service).await?;
        }
        // Which incident it belongs to is known once it is stored.
        let span = tracing::error_span!("intake", incident = tracing::field::Empty);
        let stored = self.store.accept(NewAlert { alert, origin }, self.clock.now());
        let accepted = stored.instrument(span.clone()).await?;
        if let Some(id) = accepted.incident() {
            span.record("incident", tracing::field::display(id));
        }
        self.fail_points.pass(Point::AlertStored).await;
        // One that repeats has nothing due before the workers look anyway.
        if !matches!(accepted, Accepted::Joined(_) | Accepted::Duplicate) {
            self.wake.notify_one();
        }
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
        if message.edit.as_ref().is_some_and(|edit| !is_news(&edit.previous, state)) {
            return Ok(Heard::Nothing("an edit that says nothing new of the alert's state"));
        }
        if reading.acknowledged {
            return Ok(Heard::Nothing("somebody has seen an alert: nothing new fires"));
        }
        let meant = self.meant(&reading);
        let alert = Alert {
            // Until somebody says which it is, the alert bears the name that it came with.
            service: reading.service.or(reading.alert_name.clone()).unwrap_or_default(),
            at: reading.at.unwrap_or_else(|| self.clock.now()),
            metric: reading.metric,
            value: None,
            threshold: None,
            severity: reading.severity,
            alert_name: reading.alert_name,
            source: reading.source,
        };
        let came =
            Came { delivery: message.event_id, channel: Some(message.channel), thread_ts: Some(message.ts) };
        self.heard(alert, state, meant, came).await
    }

    /// Takes in an alert, whatever it came by, once it is read and it is known whom it may be about.
    pub(super) async fn heard(
        &self,
        mut alert: Alert,
        state: AlertState,
        meant: Meant,
        came: Came,
    ) -> Result<Heard> {
        let services = match meant {
            Meant::One(service) => {
                alert.service.clone_from(&service);
                if state == AlertState::Resolved {
                    return Ok(self.resolve(&alert, vec![service], Some(&came.delivery)).await?.into());
                }
                return Ok(Heard::Incident(self.alert(alert, came.origin()).await?));
            }
            Meant::Several(services) => services,
            Meant::Nobody => Vec::new(),
        };
        self.doubtful(alert, state, services, came).await
    }

    /// The service that an alert means: a configured one, or one that AWS's own naming gives away.
    pub(super) fn meant(&self, reading: &Reading) -> Meant {
        matching::meant(&self.config, reading.service.as_deref(), reading.alert_name.as_deref())
    }

    /// An alert that resolved: its incident closes where none of its alerts fires any more. `services` are those
    /// that it may be about, under any of their names; empty where it names none.
    pub async fn resolve(
        &self,
        alert: &Alert,
        services: Vec<String>,
        delivery: Option<&str>,
    ) -> Result<Resolved> {
        self.resolve_asked(Resolve { alert, services, delivery, doubt: None }).await
    }

    pub(super) async fn resolve_asked(&self, mut resolve: Resolve<'_>) -> Result<Resolved> {
        for service in &mut resolve.services {
            *service = redact::text(service);
            if let Some(known) = self.config.service(service) {
                service.clone_from(&known.name);
            }
        }
        if let [service] = resolve.services.as_slice() {
            self.begin_maintenance(service).await?;
        }
        // Under the words that its firing was stored with.
        let mut alert = resolve.alert.clone();
        redact::alert(&mut alert);
        let resolve = Resolve { alert: &alert, ..resolve };
        let resolved = self.store.resolve(&resolve, self.clock.now()).await?;
        self.wake.notify_one();
        Ok(resolved)
    }

    /// Mutes a service for the rest of a maintenance that is planned for now. Somebody's own mute is left as it is,
    /// and who ended this one early has ended it.
    async fn begin_maintenance(&self, service: &str) -> Result<()> {
        let now = self.clock.now();
        let Some((maintenance, from, until)) = self.config.maintenance(service, now) else { return Ok(()) };
        if self.store.is_muted(service, now).await? {
            return Ok(());
        }
        let mute = NewMute {
            service: service.to_owned(),
            reason: maintenance.reason.clone(),
            by: BY_CONFIGURATION.to_owned(),
            channel: None,
            until,
            delivery: Some(format!("maintenance/{service}/{}", from.as_millisecond())),
        };
        self.store.mute(&mute, from).await?;
        Ok(())
    }

    /// Slack's event says whose app wrote it; what it leaves open is told by who the bot is, once that is known.
    pub(super) fn is_own(&self, message: &IncomingMessage) -> bool {
        message.is_own
            || self.identity.get().is_some_and(|own| {
                let same =
                    |mine: &str, theirs: &Option<String>| !mine.is_empty() && theirs.as_deref() == Some(mine);
                same(&own.bot_id, &message.bot_id) || same(&own.user_id, &message.user)
            })
    }
}

/// Whether an edit says something new: another state than before. A link that was unfolded, a name of somebody who
/// has seen it, a count: none of these is an alert. Where Slack does not say what it was before, only an end is
/// believed: it can close too early, but a firing that is told again and again would open for ever.
fn is_news(previous: &Value, state: AlertState) -> bool {
    if previous.is_null() {
        return state == AlertState::Resolved;
    }
    let before = reading::read_message(previous);
    before.state != Some(state)
}
