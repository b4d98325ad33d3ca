//! What a person asks for, by whichever way: a command, a mention, a form, a menu, a button.
//!
//! The rule that is not obvious: a command is never sent twice by Slack, so whatever cannot be done is
//! said in the answer itself, and the only calls before the answer have a deadline of their own.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::command::{self, COMMANDS, Command};
use super::desk::Desk;
use super::services::{Directory, Fit};
use super::when;
use crate::domain::alert::Alert;
use crate::domain::incident::IncidentId;
use crate::domain::redact;
use crate::slack::answers::{self, ListLine, MuteLine, TimeRead};
use crate::slack::feedback;
use crate::slack::inbound;
use crate::slack::interaction::Press;
use crate::slack::messages::Message;
use crate::slack::text::escape;
use crate::slack::views;
use crate::store::{Accepted, Closing, NewMute, Once, Origin, Result, StoreError};

/// So many services of earlier incidents are known by name.
const SEEN_MAX: i64 = 200;
const LISTED: i64 = 10;

/// Who asks, and where the answer belongs.
#[derive(Debug, Clone)]
pub(super) struct Asker {
    pub user: String,
    pub channel: String,
    /// The thread in which an incident's messages go; a headline begins one where this is `None`.
    pub thread_ts: Option<String>,
    pub delivery: Option<String>,
    /// Answers them where the bot is not in the channel.
    pub response_url: Option<String>,
    /// Slack told of this as it tells members of a channel: the bot is one.
    pub is_member: bool,
}

/// Where an incident that somebody asks for is told of.
enum Place {
    Here,
    /// The bot is not where they asked; the service's channel is the next best.
    There(String),
    Nowhere,
}

impl Asker {
    /// Whoever pressed a button.
    pub fn of(press: Press) -> Self {
        Self {
            user: press.user,
            channel: press.channel,
            thread_ts: press.thread_ts,
            delivery: Some(press.delivery),
            response_url: press.response_url,
            is_member: false,
        }
    }

    fn origin(&self) -> Origin {
        Origin {
            delivery: self.delivery.clone(),
            channel: Some(self.channel.clone()),
            thread_ts: self.thread_ts.clone(),
            requested_by: Some(self.user.clone()),
        }
    }

    /// What a form carries along, so that its answer finds back.
    pub fn to_metadata(&self) -> String {
        json!({
            "channel": self.channel, "thread_ts": self.thread_ts, "response_url": self.response_url,
        })
        .to_string()
    }
}

/// What came of something that was asked.
#[derive(Debug)]
pub(super) enum Answer {
    /// An investigation was opened: its headline is the answer that everybody sees.
    Opened(Message),
    /// Something to tell the one who asked.
    Told(Message),
    /// A mistake, or a question back: nothing was done.
    Refused(Message),
}

impl Answer {
    pub fn into_message(self) -> Message {
        match self {
            Self::Opened(message) | Self::Told(message) | Self::Refused(message) => message,
        }
    }

    fn refused(sentence: impl Into<String>) -> Self {
        Self::Refused(Message::plain(sentence))
    }

    fn told(sentence: impl Into<String>) -> Self {
        Self::Told(Message::plain(sentence))
    }
}

impl Desk {
    /// A slash command: what Slack gets as its answer, which only whoever typed it sees. `None` where
    /// a form was opened instead.
    pub async fn command(&self, command: inbound::Command) -> Result<Option<Value>> {
        let asker = Asker {
            delivery: (!command.trigger_id.is_empty()).then(|| format!("command/{}", command.trigger_id)),
            user: command.user,
            channel: command.channel,
            thread_ts: None,
            response_url: command.response_url,
            is_member: false,
        };
        let directory = self.directory().await?;
        let answer = match command::read(&command.text, &|name| directory.knows(name)) {
            Err(sentence) => Answer::refused(sentence),
            Ok(Command::Form) => {
                let form = views::investigate_form(&asker.to_metadata());
                match self.slack.open_view(&command.trigger_id, &form).await {
                    Ok(()) => return Ok(None),
                    Err(error) => {
                        tracing::warn!(%error, "the form could not be opened");
                        Answer::Refused(answers::help(COMMANDS))
                    }
                }
            }
            Ok(read) => self.carry_out(&asker, read, &directory).await?,
        };
        Ok(Some(answers::to_command(&answer.into_message())))
    }

    /// The services that are known by name.
    pub(super) async fn directory(&self) -> Result<Directory> {
        Ok(Directory::of(&self.config, &self.store.services_seen(SEEN_MAX).await?))
    }

    /// Does what was asked.
    pub(super) async fn carry_out(
        &self,
        asker: &Asker,
        command: Command,
        directory: &Directory,
    ) -> Result<Answer> {
        match command {
            Command::Form | Command::Help => Ok(Answer::Told(answers::help(COMMANDS))),
            Command::Investigate { service, when } => {
                let service = match directory.find(&service) {
                    Fit::Known(service) => service,
                    Fit::Unheard => service,
                    Fit::Nearly(near) => {
                        let question = answers::which_service(&service, &near, when.as_deref());
                        return Ok(Answer::Refused(question));
                    }
                };
                self.investigate_in_words(asker, service, when.as_deref()).await
            }
            Command::List => self.list().await,
            Command::Scorecard => Ok(Answer::Told(feedback::scorecard(&self.store.scorecard().await?))),
            Command::Status(id) => self.status(id).await,
            Command::Again(id) => self.again(asker, id).await,
            Command::Close { id, reason } => self.close(asker, id, &reason).await,
            Command::Mute { service, period, reason } => {
                let service = match directory.find(&service) {
                    Fit::Known(service) => service,
                    Fit::Nearly(near) => {
                        let near = near.iter().map(|name| format!("`{}`", escape(name))).collect::<Vec<_>>();
                        let typed = escape(&service);
                        return Ok(Answer::refused(format!(
                            "No service here is called {typed}. Do you mean {}?",
                            near.join(" or ")
                        )));
                    }
                    Fit::Unheard => service,
                };
                let now = self.clock.now();
                let until = now.saturating_add(period).unwrap_or(now);
                let new = NewMute {
                    delivery: asker.delivery.clone(),
                    service: service.clone(),
                    reason: redact::text(&reason),
                    by: asker.user.clone(),
                    channel: Some(asker.channel.clone()),
                    until,
                };
                Ok(match self.store.mute(&new, now).await? {
                    Once::Done(anew) => Answer::Told(answers::muted(&service, until, anew)),
                    Once::Before => done_before(),
                })
            }
            Command::Unmute { service } => {
                let service = match directory.find(&service) {
                    Fit::Known(known) => known,
                    Fit::Nearly(_) | Fit::Unheard => service,
                };
                let (now, delivery) = (self.clock.now(), asker.delivery.as_deref());
                let ended = self.store.unmute(&service, &asker.user, delivery, now).await?;
                self.wake.notify_one();
                let shown = escape(&service);
                Ok(match ended {
                    Once::Done(true) => Answer::told(format!(
                        "{shown} is no longer muted; what was held back is listed in a moment."
                    )),
                    Once::Done(false) => {
                        Answer::refused(format!("{shown} is not muted. `/investigate mutes` shows what is."))
                    }
                    Once::Before => done_before(),
                })
            }
            Command::Mutes => {
                let lines: Vec<MuteLine> = self
                    .store
                    .active_mutes(self.clock.now())
                    .await?
                    .into_iter()
                    .map(|mute| MuteLine {
                        service: mute.service,
                        until: mute.until,
                        by: mute.by,
                        reason: mute.reason,
                        held: mute.held,
                    })
                    .collect();
                Ok(Answer::Told(answers::mutes(&lines)))
            }
        }
    }

    /// Investigates a service at a time that was typed, on the clock of whoever typed it.
    pub(super) async fn investigate_in_words(
        &self,
        asker: &Asker,
        service: String,
        when: Option<&str>,
    ) -> Result<Answer> {
        let read = match when {
            None => None,
            Some(words) => match self.read_time(&asker.user, words).await {
                Ok(read) => Some(read),
                Err(sentence) => return Ok(Answer::refused(sentence)),
            },
        };
        self.investigate(asker, self.asked(service, read.as_ref().map(|read| read.at)), read.as_ref()).await
    }

    /// Opens an incident for an alert that a person names or points at.
    pub(super) async fn investigate(
        &self,
        asker: &Asker,
        alert: Alert,
        read: Option<&TimeRead>,
    ) -> Result<Answer> {
        let service = alert.service.clone();
        let place = self.place_of(asker, &service).await;
        let origin = match &place {
            Place::Here => asker.origin(),
            Place::There(channel) => {
                Origin { channel: Some(channel.clone()), thread_ts: None, ..asker.origin() }
            }
            Place::Nowhere => {
                return Ok(Answer::refused(
                    "I am not in this channel, and no other is configured for that service. Invite me here, \
                     and ask again.",
                ));
            }
        };
        Ok(match (self.alert(alert, origin).await?, place) {
            (Accepted::Opened(id), Place::There(channel)) => {
                Answer::Told(answers::looking(id, &service, read, Some(&channel)))
            }
            (Accepted::Opened(id), _) => Answer::Opened(answers::looking(id, &service, read, None)),
            (Accepted::Joined(id), _) => {
                let row = self.store.incident_row(id).await?;
                let state =
                    row.as_ref().map_or(crate::domain::incident::State::Investigating, |row| row.state);
                let link = row.and_then(|row| self.link(row.channel.as_deref(), row.thread_ts.as_deref()));
                Answer::Told(answers::open_already(id, &service, state, link.as_deref()))
            }
            // Somebody who asks is never held back.
            (Accepted::Held { .. } | Accepted::Duplicate, _) => Answer::told("Already on it."),
        })
    }

    /// Where the verdict for whoever asks can be posted. Where Slack does not say in time whether the bot is there,
    /// it is tried.
    async fn place_of(&self, asker: &Asker, service: &str) -> Place {
        if asker.is_member
            || self.config.slack.alert_channels.contains(&asker.channel)
            || self.slack.is_in(&asker.channel).await != Some(false)
        {
            return Place::Here;
        }
        match self.config.channel_for(service) {
            Some(channel) if channel != asker.channel => Place::There(channel.to_owned()),
            _ => Place::Nowhere,
        }
    }

    /// A time as typed, on the clock of whoever typed it.
    pub(super) async fn read_time(&self, user: &str, words: &str) -> std::result::Result<TimeRead, String> {
        let zone = if when::needs_zone(words) { Some(self.zone_of(user).await) } else { None };
        let utc = TimeZone::UTC;
        let at = when::read(words, self.clock.now(), zone.as_ref().unwrap_or(&utc))
            .map_err(|error| error.to_string())?;
        Ok(TimeRead { at, zone })
    }

    /// A person's time zone; UTC where Slack does not tell in time. Asked once and kept.
    async fn zone_of(&self, user: &str) -> TimeZone {
        if let Some(zone) = self.zones().get(user) {
            return zone.clone();
        }
        let name = match self.slack.time_zone_of(user).await {
            Ok(name) => name,
            Err(error) => {
                tracing::warn!(%error, "Slack does not tell a person's time zone; their times are read as UTC");
                return TimeZone::UTC;
            }
        };
        let zone = name.and_then(|name| TimeZone::get(&name).ok()).unwrap_or(TimeZone::UTC);
        self.zones().insert(user.to_owned(), zone.clone());
        zone
    }

    /// A link to a message of ours or of others, once Slack has told the workspace's address.
    pub(super) fn link(&self, channel: Option<&str>, ts: Option<&str>) -> Option<String> {
        answers::permalink(&self.identity.get()?.workspace_url, channel?, ts?)
    }

    async fn list(&self) -> Result<Answer> {
        let mut lines = Vec::new();
        for line in self.store.list(LISTED).await? {
            let row = self.store.incident_row(line.id).await?;
            let link = row.and_then(|row| self.link(row.channel.as_deref(), row.thread_ts.as_deref()));
            lines.push(ListLine {
                id: line.id,
                service: line.service,
                state: line.state,
                opened_at: line.opened_at,
                verdict: line.verdict,
                link,
            });
        }
        Ok(Answer::Told(answers::list(&lines)))
    }

    async fn status(&self, id: IncidentId) -> Result<Answer> {
        let Some(row) = self.store.incident_row(id).await? else { return Ok(unknown(id)) };
        let link = self.link(row.channel.as_deref(), row.thread_ts.as_deref());
        let owner = self.config.service(&row.service).and_then(|service| service.owner.as_deref());
        Ok(Answer::Told(answers::status(
            &ListLine {
                id,
                service: row.service.clone(),
                state: row.state,
                opened_at: row.opened_at,
                verdict: row.report.as_ref().map(|report| report.verdict.clone()),
                link,
            },
            row.report.as_ref(),
            row.alerts_received,
            owner,
        )))
    }

    async fn again(&self, asker: &Asker, id: IncidentId) -> Result<Answer> {
        let why = format!("asked for by <@{}>", asker.user);
        let (now, delivery) = (self.clock.now(), asker.delivery.as_deref());
        let answer = match self.store.investigate_again_once(id, &asker.user, &why, delivery, now).await {
            Ok(Once::Before) => done_before(),
            Ok(Once::Done(true)) => {
                Answer::told(format!("*{id}*: looking again. The verdict comes in its thread."))
            }
            Ok(Once::Done(false)) => unknown(id),
            Err(StoreError::Misfit(misfit)) => Answer::refused(cannot_look_again(id, misfit.state)),
            Err(error) => return Err(error),
        };
        self.wake.notify_one();
        Ok(answer)
    }

    /// Closes an incident, by words or by its button.
    pub(super) async fn close(&self, asker: &Asker, id: IncidentId, reason: &str) -> Result<Answer> {
        let reason = &redact::text(reason);
        let closing = Closing { reason, by: Some(&asker.user) };
        let (now, delivery) = (self.clock.now(), asker.delivery.as_deref());
        let answer = match self.store.close_once(id, &closing, delivery, now).await {
            Ok(Once::Before) => done_before(),
            Ok(Once::Done(true)) => Answer::told(format!("*{id}* is closed.")),
            Ok(Once::Done(false)) if self.store.incident_row(id).await?.is_some() => {
                Answer::refused(format!("*{id}* is closed already."))
            }
            Ok(Once::Done(false)) => unknown(id),
            Err(StoreError::Misfit(_)) => Answer::refused(format!(
                "*{id}* is being rolled back at the moment. Close it once the thread says how that ended."
            )),
            Err(error) => return Err(error),
        };
        self.wake.notify_one();
        Ok(answer)
    }

    pub(super) fn asked(&self, service: String, at: Option<Timestamp>) -> Alert {
        Alert::about(service, at.unwrap_or_else(|| self.clock.now()))
    }
}

/// Slack tells of it once more.
fn done_before() -> Answer {
    Answer::told("That is done already.")
}

fn unknown(id: IncidentId) -> Answer {
    Answer::refused(format!("{id} is not known here. `/investigate list` shows the newest."))
}

fn cannot_look_again(id: IncidentId, state: crate::domain::incident::State) -> String {
    use crate::domain::incident::State;
    match state {
        State::Investigating => format!("*{id}* is being investigated at this moment."),
        State::Resolved => {
            format!("*{id}* is closed and stays as it is. `/investigate SERVICE` opens a new one.")
        }
        _ => format!("*{id}*: a rollback is under way. Ask again once the thread says how it ended."),
    }
}
