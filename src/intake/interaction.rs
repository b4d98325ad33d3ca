//! Buttons, forms and menus: one line per id, and who does it.
//!
//! The rule that is not obvious: what decides something is stored before it is acknowledged and done by
//! a job. What only shows something is done at once, while the trigger lives.

use serde_json::{Value, json};

use super::approvals::click_of;
use super::ask::{Answer, Asker};
use super::command::Command;
use super::desk::Desk;
use crate::domain::incident::IncidentId;
use crate::slack::approvals;
use crate::slack::evidence;
use crate::slack::feedback::{self, About};
use crate::slack::interaction::{self, Interaction, Press, Shortcut, Submission, Suggestion};
use crate::slack::messages::{self, Message};
use crate::slack::{SlackError, questions, views};
use crate::store::{ClickedButton, Result};

/// `callback_id` of 'Investigate this' in a message's menu.
const INVESTIGATE_THIS: &str = "investigate_this";
/// `action_id` of the button that shows what a verdict rests on; its value is the incident's name.
const SHOW_EVIDENCE: &str = "show_evidence";
/// Names in a select; Slack takes up to 100.
const SUGGESTED: usize = 50;

impl Desk {
    /// An interaction: what Slack gets as its answer; `None` is a bare 200.
    pub async fn interaction(&self, payload: &Value) -> Result<Option<Value>> {
        match interaction::read_interaction(payload) {
            Interaction::Press(press) => self.press(press).await.map(|()| None),
            Interaction::ViewPress(press) if press.action_id == SHOW_EVIDENCE => {
                self.show_evidence(&press.value, &press.trigger_id).await.map(|_| None)
            }
            Interaction::ViewPress(press) if press.action_id == "try_plan" => {
                self.try_plan(press).await.map(|()| None)
            }
            Interaction::ViewPress(_) => {
                tracing::debug!("a button of a view that does nothing");
                Ok(None)
            }
            Interaction::Shortcut(shortcut) if shortcut.callback_id == INVESTIGATE_THIS => {
                self.investigate_this(*shortcut).await.map(|()| None)
            }
            Interaction::Submission(form) if form.callback_id == views::INVESTIGATE => {
                self.investigate_form(form).await
            }
            Interaction::Submission(form) if form.callback_id == feedback::FORM => {
                self.feedback_form(form).await
            }
            Interaction::Submission(form) if form.callback_id == approvals::REASON_FORM => {
                self.reason_given(&form).await
            }
            Interaction::Suggestion(suggestion)
                if ["service", questions::CHOOSE_OTHER].contains(&suggestion.action_id.as_str()) =>
            {
                self.suggest(&suggestion).await.map(Some)
            }
            Interaction::Shortcut(_) | Interaction::Submission(_) | Interaction::Suggestion(_) => {
                tracing::warn!("an interaction with an id that nobody knows");
                Ok(None)
            }
            Interaction::Ignored { why } => {
                tracing::debug!(why, "an interaction that does nothing");
                Ok(None)
            }
        }
    }

    async fn press(&self, press: Press) -> Result<()> {
        if press.action_id.starts_with("investigate_service/") {
            return self.investigate_choice(press).await;
        }
        if press.action_id == "feedback_other" && self.ask_what_it_was(&press).await {
            return Ok(());
        }
        // Where the form does not open in time, a job shows the same as a private message.
        if press.action_id == SHOW_EVIDENCE && self.show_evidence(&press.value, &press.trigger_id).await? {
            return Ok(());
        }
        if press.action_id.starts_with(questions::CHOOSE) {
            return self.choose_service(press).await;
        }
        match press.action_id.as_str() {
            "rollback_reject" | "rollback_break_glass" | "show_plan" => self.press_on_plan(press).await,
            messages::CLOSE => self.press_close(press).await,
            _ => self.store_click(press).await,
        }
    }

    /// 'Close' under a headline, confirmed.
    async fn press_close(&self, press: Press) -> Result<()> {
        let Ok(id) = press.value.parse::<IncidentId>() else { return Ok(()) };
        let asker = Asker::of(press);
        let answer = self.close(&asker, id, "").await?;
        self.whisper(&asker, answer.into_message());
        Ok(())
    }

    /// Opens the short form behind 'It was something else'; where it does not open, the press itself counts.
    async fn ask_what_it_was(&self, press: &Press) -> bool {
        let metadata = json!({
            "about": press.value, "channel": press.channel, "message_ts": press.message_ts,
            "thread_ts": press.thread_ts,
        });
        let opened = self.slack.open_view(&press.trigger_id, &feedback::form(&metadata.to_string())).await;
        if let Err(error) = &opened {
            tracing::warn!(%error, "the form could not be opened");
        }
        opened.is_ok()
    }

    /// What it was instead, as the form says it: stored like a click.
    async fn feedback_form(&self, form: Submission) -> Result<Option<Value>> {
        let metadata: Value = serde_json::from_str(&form.private_metadata).unwrap_or_default();
        let text = |key: &str| metadata[key].as_str().unwrap_or_default().to_owned();
        let Some(about) = About::read(&text("about")) else { return Ok(None) };
        let cause = form.option(feedback::CAUSE, feedback::CAUSE).as_deref().and_then(feedback::cause);
        let note = form.text(feedback::NOTE, feedback::NOTE);
        if cause.is_none() && note.is_none() {
            let sentence = "Choose one, or say it in your words.".to_owned();
            return Ok(Some(views::errors(&[(feedback::NOTE, sentence)])));
        }
        let click = ClickedButton {
            delivery: form.delivery.clone(),
            action_id: "feedback_other".to_owned(),
            value: About { cause, ..about }.to_value(),
            user: form.user,
            channel: text("channel"),
            message_ts: text("message_ts"),
            thread_ts: metadata["thread_ts"].as_str().map(str::to_owned),
            reason: note,
        };
        self.store.accept_click(&form.delivery, click, self.clock.now()).await?;
        self.wake.notify_one();
        Ok(None)
    }

    /// Opens an incident's evidence as it is stored; false where that did not work.
    async fn show_evidence(&self, incident: &str, trigger_id: &str) -> Result<bool> {
        let Ok(id) = incident.parse::<IncidentId>() else { return Ok(false) };
        let Some(row) = self.store.incident_row(id).await? else { return Ok(false) };
        let view = evidence::modal(id, &row.service, row.report.as_ref());
        match self.slack.open_view(trigger_id, &view).await {
            Ok(()) => Ok(true),
            Err(error) => {
                tracing::warn!(incident = %id, %error, "the evidence could not be opened");
                Ok(false)
            }
        }
    }

    /// A click, stored before it is acknowledged; whether it counts is decided by a job.
    pub(super) async fn store_click(&self, press: Press) -> Result<()> {
        self.take_click(click_of(press)).await
    }

    /// 'Did you mean': the service that was chosen, or the name as it was typed.
    async fn investigate_choice(&self, press: Press) -> Result<()> {
        let value: Value = serde_json::from_str(&press.value).unwrap_or_default();
        let Some(service) = value["service"].as_str().filter(|service| !service.is_empty()) else {
            return Ok(());
        };
        let asker = Asker::of(press);
        let answer = self.investigate_in_words(&asker, service.to_owned(), value["when"].as_str()).await?;
        self.whisper(&asker, answer.into_message());
        Ok(())
    }

    async fn suggest(&self, suggestion: &Suggestion) -> Result<Value> {
        let names = self.directory().await?.suggest(&suggestion.typed, SUGGESTED);
        Ok(views::options(&names, &suggestion.typed))
    }

    /// The form behind a bare `/investigate`.
    async fn investigate_form(&self, form: Submission) -> Result<Option<Value>> {
        let wrong = |block: &str, sentence: String| Ok(Some(views::errors(&[(block, sentence)])));
        let metadata: Value = serde_json::from_str(&form.private_metadata).unwrap_or_default();
        let mut asker = Asker {
            user: form.user.clone(),
            channel: metadata["channel"].as_str().unwrap_or_default().to_owned(),
            thread_ts: metadata["thread_ts"].as_str().map(str::to_owned),
            delivery: Some(form.delivery.clone()),
            response_url: metadata["response_url"].as_str().map(str::to_owned),
            is_member: false,
        };
        let picked = form.date_time("at", "at");
        let words = form.text("words", "words");
        let mut service = form.option("service", "service");
        let mut read = match (picked, &words) {
            (Some(_), Some(_)) => {
                return wrong("words", "Choose a time or write one, not both.".to_owned());
            }
            (Some(second), None) => match self.read_time(&form.user, &second.to_string()).await {
                Ok(read) => Some(read),
                Err(_) => return wrong("at", "That is still to come, or too long ago.".to_owned()),
            },
            (None, Some(words)) => match self.read_time(&form.user, words).await {
                Ok(read) => Some(read),
                Err(sentence) => return wrong("words", sentence),
            },
            (None, None) => None,
        };
        let mut alert = None;
        if let Some(link) = form.text("link", "link") {
            let Some(place) = super::mention::read_link(&link) else {
                return wrong(
                    "link",
                    "That is no link to a message: 'Copy link' in its menu gives one.".to_owned(),
                );
            };
            let found = self.slack.message_at(&place.channel, &place.ts, place.thread_ts.as_deref()).await;
            let message = match found {
                Ok(Some(message)) => message,
                Ok(None) => return wrong("link", "There is no message there.".to_owned()),
                Err(error) => {
                    tracing::warn!(%error, "a linked message cannot be read");
                    return wrong("link", "I cannot read that message. Am I in its channel?".to_owned());
                }
            };
            let said = self.said_by(&message);
            service = service.or(said.service.clone());
            read = read.or(said.at.map(|at| crate::slack::answers::TimeRead { at, zone: None }));
            alert = Some(said);
            asker.thread_ts = Some(place.thread_ts.unwrap_or(place.ts));
            asker.channel = place.channel;
        }
        let Some(service) = service else {
            let sentence = if alert.is_some() {
                "The message names no service that I know. Which one is it?"
            } else {
                "Which service?"
            };
            return wrong("service", sentence.to_owned());
        };
        let mut asked = self.asked(service, read.as_ref().map(|read| read.at));
        if let Some(said) = alert {
            said.complete(&mut asked);
        }
        match self.investigate(&asker, asked, read.as_ref()).await? {
            // The headline in the channel says it.
            Answer::Opened(_) => {}
            answer => self.whisper(&asker, answer.into_message()),
        }
        Ok(None)
    }

    /// 'Investigate this' in a message's menu.
    async fn investigate_this(&self, shortcut: Shortcut) -> Result<()> {
        let asker = Asker {
            user: shortcut.user,
            channel: shortcut.channel,
            thread_ts: Some(shortcut.thread_ts.unwrap_or(shortcut.message_ts)),
            delivery: Some(shortcut.delivery),
            response_url: shortcut.response_url,
            is_member: false,
        };
        let said = self.said_by(&shortcut.message);
        if let Some(question) = said.question() {
            self.whisper(&asker, question);
            return Ok(());
        }
        let Some(service) = said.service.clone() else {
            // What the message does not say, a form asks.
            let form = views::investigate_form(&asker.to_metadata());
            if let Err(error) = self.slack.open_view(&shortcut.trigger_id, &form).await {
                tracing::warn!(%error, "the form could not be opened");
                let sentence = "The message names no service that I know. Mention me here with one: `@me investigate SERVICE`.";
                self.whisper(&asker, Message::plain(sentence));
            }
            return Ok(());
        };
        let mut asked = self.asked(service, said.at);
        said.complete(&mut asked);
        match self.investigate(&asker, asked, None).await? {
            Answer::Opened(_) => {}
            answer => self.whisper(&asker, answer.into_message()),
        }
        Ok(())
    }

    /// Does what a mention asks, and answers in its thread, privately but for what everybody sees anyway.
    pub(super) async fn mentioned(&self, asker: &Asker, command: Command) -> Result<Answer> {
        let directory = self.directory().await?;
        self.carry_out(asker, command, &directory).await
    }

    /// Tells whoever asked, so that only they see it. It is not worth a retry: nothing hangs on it.
    pub(super) fn whisper(&self, asker: &Asker, message: Message) {
        let (slack, asker) = (self.slack.clone(), asker.clone());
        tokio::spawn(async move {
            let mut told =
                slack.tell(&asker.channel, asker.thread_ts.as_deref(), &asker.user, &message).await;
            // Where the bot is not in the channel, Slack takes its answer at the address that came along.
            if let (Err(SlackError::Refused { .. }), Some(url)) = (&told, &asker.response_url) {
                told = slack.respond(url, &message).await;
            }
            if let Err(error) = told {
                tracing::warn!(%error, "a private answer could not be given");
            }
        });
    }
}
