//! Mentions, and messages that people point at: what they say about an alert.
//!
//! The rule that is not obvious: a mention stands in a thread, and the thread's first message is what it
//! is about. What the mention itself says comes first; only what is missing is read from there.

use jiff::Timestamp;
use serde_json::Value;

use super::ask::{Answer, Asker};
use super::command::{self, COMMANDS, Command};
use super::desk::{Desk, Heard};
use super::matching::Meant;
use super::reading::{self, Reading};
use crate::domain::alert::Alert;
use crate::slack::answers;
use crate::slack::inbound::IncomingMessage;
use crate::slack::messages::Message;
use crate::store::{Accepted, Result};

/// What a message says about an alert.
#[derive(Debug, Clone, Default)]
pub(super) struct Said {
    /// Under the service's own name.
    pub service: Option<String>,
    /// More than one service fits: which is meant must be asked.
    candidates: Vec<String>,
    pub at: Option<Timestamp>,
    reading: Reading,
}

impl Said {
    /// Which of the services that fit is meant, for whoever points at the message.
    pub fn question(&self) -> Option<Message> {
        let named = self.reading.service.as_deref().or(self.reading.alert_name.as_deref());
        let when = self.at.map(|at| at.as_second().to_string());
        (!self.candidates.is_empty())
            .then(|| answers::which_of(named.unwrap_or("the alert"), &self.candidates, when.as_deref()))
    }

    /// Adds to an alert what else the message says.
    pub fn complete(self, alert: &mut Alert) {
        alert.metric = self.reading.metric;
        alert.severity = self.reading.severity;
        alert.alert_name = self.reading.alert_name;
        alert.source = self.reading.source;
    }
}

/// Where a link points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkedMessage {
    pub channel: String,
    pub ts: String,
    pub thread_ts: Option<String>,
}

/// Reads `https://shop.slack.com/archives/C0123/p1770380100000200?thread_ts=1770380000.000100`.
pub fn read_link(link: &str) -> Option<LinkedMessage> {
    // A link in a message stands in angle brackets, with a label perhaps.
    let link = link.trim().trim_start_matches('<').trim_end_matches('>');
    let link = link.split('|').next()?.replace("&amp;", "&");
    let (_, path) = link.split_once("/archives/")?;
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let (channel, message) = path.trim_end_matches('/').split_once('/')?;
    let digits = message.strip_prefix('p')?;
    let plain = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric());
    let whole = plain(channel) && digits.len() > 6 && digits.chars().all(|c| c.is_ascii_digit());
    let (seconds, micros) = whole.then(|| digits.split_at(digits.len() - 6))?;
    let thread_ts = form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == "thread_ts")
        .map(|(_, value)| value.into_owned())
        .filter(|value| !value.is_empty() && value.chars().all(|c| c.is_ascii_digit() || c == '.'));
    Some(LinkedMessage { channel: channel.to_owned(), ts: format!("{seconds}.{micros}"), thread_ts })
}

impl Desk {
    /// What a message says, whoever wrote it: as an alert, else by a known service's name in its text.
    pub(super) fn said_by(&self, message: &Value) -> Said {
        let reading = reading::read_message(message);
        let (named, candidates) = match self.meant(&reading) {
            Meant::One(service) => (Some(service), Vec::new()),
            Meant::Several(candidates) => (None, candidates),
            Meant::Nobody => (None, Vec::new()),
        };
        let in_text = || self.service_in(message["text"].as_str().unwrap_or_default());
        let service = named.or_else(|| if candidates.is_empty() { in_text() } else { None });
        // A message without a time of its own is about the time at which it was written.
        let written = message["ts"].as_str().and_then(crate::domain::alert::parse_time);
        let at = reading.at.or(written).filter(|at| *at <= self.clock.now());
        Said { service, candidates, at, reading }
    }

    /// The configured service that some text names.
    fn service_in(&self, text: &str) -> Option<String> {
        text.split(|c: char| !(c.is_alphanumeric() || c == '-' || c == '_' || c == '.'))
            .filter(|word| !word.is_empty())
            .find_map(|word| self.config.service(word.trim_end_matches('.')))
            .map(|service| service.name.clone())
    }

    /// Somebody mentions the bot: a command in words, or just 'look at this'.
    pub(super) async fn mention(&self, message: IncomingMessage) -> Result<Heard> {
        let Some(user) = message.user.clone().filter(|_| !self.is_own(&message)) else {
            return Ok(Heard::Nothing("a mention by nobody"));
        };
        // Slack sends a mention again that was not acknowledged; what is answered is answered once.
        let thread = message.thread_ts.clone();
        let asker = Asker {
            user,
            channel: message.channel.clone(),
            thread_ts: Some(thread.clone().unwrap_or_else(|| message.ts.clone())),
            delivery: Some(message.event_id.clone()),
            response_url: None,
            is_member: true,
        };
        let words = words_of(&message.text);
        let directory = self.directory().await?;
        let known = |name: &str| directory.knows(name);
        let bare = words.strip_prefix("investigate").unwrap_or(&words).trim();
        // `@bot 20 minutes ago` under an alert: the words are a time, the thread names the service.
        if thread.is_some() && !known(bare) && super::when::check(bare).is_ok() {
            return self.mention_under(&asker, thread.as_deref(), Some(bare)).await;
        }
        let command = match command::read(&words, &known) {
            Ok(Command::Form) => return self.mention_under(&asker, thread.as_deref(), None).await,
            Ok(command) => command,
            Err(sentence) => {
                self.whisper(&asker, Message::plain(sentence));
                return Ok(Heard::Nothing("a mention that cannot be read"));
            }
        };
        // What changes something notes its own delivery with the change; an answer is given once.
        if !command.changes_something()
            && !self.store.note_delivery(&message.event_id, self.clock.now()).await?
        {
            return Ok(Heard::Incident(Accepted::Duplicate));
        }
        let answer = self.mentioned(&asker, command).await?;
        Ok(self.answered(&asker, answer))
    }

    /// A mention that names no service: the thread's first message says what it is about.
    async fn mention_under(&self, asker: &Asker, thread: Option<&str>, when: Option<&str>) -> Result<Heard> {
        let Some(thread) = thread else {
            self.whisper(asker, answers::help(COMMANDS));
            return Ok(Heard::Nothing("a mention that asks for nothing"));
        };
        let said = match self.store.incident_in_thread(&asker.channel, thread).await? {
            // The thread is an incident's: what it is about is known.
            Some(id) => {
                Said { service: self.store.incident_row(id).await?.map(|row| row.service), ..Said::default() }
            }
            None => match self.slack.message_at(&asker.channel, thread, None).await {
                Ok(message) => self.said_by(&message.unwrap_or_default()),
                Err(error) => {
                    tracing::warn!(%error, "a thread's first message cannot be read");
                    Said::default()
                }
            },
        };
        if let Some(question) = said.question() {
            self.whisper(asker, question);
            return Ok(Heard::Asked);
        }
        let Some(service) = said.service.clone() else {
            let sentence = "The first message of this thread names no service that I know. \
                            Name it: `@me investigate SERVICE`, with a time where you like.";
            self.whisper(asker, Message::plain(sentence));
            return Ok(Heard::Nothing("a mention under a message that names no service"));
        };
        let read = match when {
            None => None,
            Some(words) => match self.read_time(&asker.user, words).await {
                Ok(read) => Some(read),
                Err(sentence) => {
                    self.whisper(asker, Message::plain(sentence));
                    return Ok(Heard::Nothing("a mention whose time cannot be read"));
                }
            },
        };
        let mut asked = self.asked(service, read.as_ref().map(|read| read.at).or(said.at));
        said.complete(&mut asked);
        let answer = self.investigate(asker, asked, read.as_ref()).await?;
        Ok(self.answered(asker, answer))
    }

    /// Tells what a mention came to, where the headline does not tell it.
    fn answered(&self, asker: &Asker, answer: Answer) -> Heard {
        match answer {
            Answer::Opened(_) => Heard::Asked,
            Answer::Told(message) | Answer::Refused(message) => {
                self.whisper(asker, message);
                Heard::Asked
            }
        }
    }
}

/// The words of a mention without whom it mentions, entities undone.
pub fn words_of(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().filter(|word| !word.starts_with("<@")).collect();
    words.join(" ").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_to_a_message_is_read() {
        let link = "https://shop.slack.com/archives/C0123/p1770380100000200";
        let plain = read_link(link).unwrap();
        assert_eq!((plain.channel.as_str(), plain.ts.as_str()), ("C0123", "1770380100.000200"));
        assert_eq!(plain.thread_ts, None);
        let reply = read_link(&format!("<{link}?thread_ts=1770380000.000100&amp;cid=C0123|there>")).unwrap();
        assert_eq!(reply.thread_ts.as_deref(), Some("1770380000.000100"));
        for wrong in [
            "",
            "https://example.com",
            "https://x/archives/C1",
            "https://x/archives/C1/p12",
            "/archives/../p1234567890",
        ] {
            assert_eq!(read_link(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_mention_is_its_words() {
        assert_eq!(words_of("<@U1> investigate  a&amp;b  20m ago"), "investigate a&b 20m ago");
    }
}
