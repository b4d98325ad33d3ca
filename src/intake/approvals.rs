//! Buttons of a plan that need an answer while the trigger lives: why not, why alone, and what exactly.
//!
//! The rule that is not obvious: a form is a courtesy. Where it cannot be opened the press itself is stored
//! and decided: a rejection counts without a reason, and an approval alone is refused for want of one. What never
//! comes to be decided (it came twice, too late, or without what it needs) is an attempt too, and is written down.

use serde_json::{Value, json};

use super::ask::Asker;
use super::desk::Desk;
use crate::domain::approval::Refusal;
use crate::domain::redact;
use crate::fail_points::Point;
use crate::slack::approvals::{self, Asked};
use crate::slack::interaction::{self, Interaction, Press, Submission, ViewPress};
use crate::slack::messages::Message;
use crate::slack::views;
use crate::store::{ClickedButton, Result};

impl Desk {
    /// Reject, Approve alone, Show plan.
    pub(super) async fn press_on_plan(&self, press: Press) -> Result<()> {
        let Some(approval) = self.store.approval(&press.value).await? else {
            return self.store_click(press).await;
        };
        let open = approval.decision.is_none();
        let alone = press.action_id == "rollback_break_glass";
        let view = if press.action_id == "show_plan" {
            let asked = Asked {
                approval: &approval.id,
                plan: &approval.plan,
                expires_at: approval.expires_at,
                undoing: approval.undoes.is_some(),
                break_glass: false,
            };
            approvals::plan_view(&asked, approval.incident, open)
        } else if open && !(alone && self.is_surely_not_alone(&press.user)) {
            let metadata = json!({
                "action": press.action_id, "approval": approval.id, "channel": press.channel,
                "message_ts": press.message_ts, "thread_ts": press.thread_ts,
            });
            approvals::reason_form(alone, &approval.plan, &metadata.to_string())
        } else {
            // Nobody is asked for a reason only to be refused.
            return self.store_click(press).await;
        };
        if let Err(error) = self.slack.open_view(&press.trigger_id, &view).await {
            tracing::warn!(%error, action = press.action_id, "the form could not be opened");
            return self.store_click(press).await;
        }
        self.fail_points.pass(Point::FormOpened).await;
        Ok(())
    }

    /// Whether somebody is not among those who may approve alone, without asking Slack who is in a group.
    fn is_surely_not_alone(&self, user: &str) -> bool {
        let list = &self.config.approvals.break_glass;
        !list.iter().any(|one| one == user || one.starts_with('S'))
    }

    /// A reason was given: the click that it belongs to, stored before it is acknowledged.
    pub(super) async fn reason_given(&self, form: &Submission) -> Result<Option<Value>> {
        let click = click_of_form(form);
        if !click.decides() {
            tracing::warn!("a reason for nothing that is known");
            return Ok(None);
        }
        if click.reason.is_none() && click.action_id == "rollback_break_glass" {
            // The form stays open and says so. It may be sent again with a reason, which is another attempt.
            let attempt = ClickedButton { delivery: format!("{}/empty", click.delivery), ..click };
            self.store.audit_unheeded(&attempt, &Refusal::NoReason, self.clock.now()).await?;
            return Ok(Some(views::errors(&[(approvals::REASON, Refusal::NoReason.to_string())])));
        }
        self.take_click(click).await.map(|()| None)
    }

    /// Stores a click before it is acknowledged. One that comes again, where it could decide something, is an
    /// attempt that is written down.
    pub(super) async fn take_click(&self, mut click: ClickedButton) -> Result<()> {
        click.reason = click.reason.as_deref().map(redact::text);
        let delivery = click.delivery.clone();
        self.fail_points.pass(Point::ClickArrived).await;
        if self.store.accept_click(&delivery, click.clone(), self.clock.now()).await? {
            self.fail_points.pass(Point::ClickStored).await;
            self.wake.notify_one();
        } else if click.decides() {
            self.unheeded(&click, &Refusal::Replayed).await?;
        }
        Ok(())
    }

    /// A request that Slack did sign, and too long ago. False where it is none that could decide something.
    pub async fn too_old(&self, payload: &Value) -> Result<bool> {
        let click = match interaction::read_interaction(payload) {
            Interaction::Press(press) => click_of(press),
            Interaction::Submission(form) => click_of_form(&form),
            _ => return Ok(false),
        };
        if click.decides() {
            self.unheeded(&click, &Refusal::TooOld).await?;
        }
        Ok(click.decides())
    }

    /// Writes an attempt down, and tells whoever made it why it does not count: once.
    async fn unheeded(&self, click: &ClickedButton, refusal: &Refusal) -> Result<()> {
        if self.store.audit_unheeded(click, refusal, self.clock.now()).await? {
            let asker = Asker {
                user: click.user.clone(),
                channel: click.channel.clone(),
                thread_ts: click.thread_ts.clone(),
                delivery: None,
                response_url: None,
                is_member: false,
            };
            self.whisper(&asker, Message::plain(refusal.to_string()));
        }
        Ok(())
    }

    /// 'Try it without effect' in the plan.
    pub(super) async fn try_plan(&self, press: ViewPress) -> Result<()> {
        let click = ClickedButton {
            delivery: format!("try/{}/{}/{}", press.value, press.user, press.trigger_id),
            action_id: press.action_id,
            value: press.value,
            user: press.user,
            channel: String::new(),
            message_ts: String::new(),
            thread_ts: None,
            reason: None,
        };
        self.take_click(click).await
    }
}

/// A press of a button in a message, as it is stored.
pub(super) fn click_of(press: Press) -> ClickedButton {
    ClickedButton {
        delivery: press.delivery,
        action_id: press.action_id,
        value: press.value,
        user: press.user,
        channel: press.channel,
        message_ts: press.message_ts,
        thread_ts: press.thread_ts,
        reason: None,
    }
}

/// A form with a reason, as the click that it belongs to.
fn click_of_form(form: &Submission) -> ClickedButton {
    let metadata: Value = serde_json::from_str(&form.private_metadata).unwrap_or_default();
    let text = |key: &str| metadata[key].as_str().unwrap_or_default().to_owned();
    ClickedButton {
        delivery: form.delivery.clone(),
        action_id: text("action"),
        value: text("approval"),
        user: form.user.clone(),
        channel: text("channel"),
        message_ts: text("message_ts"),
        thread_ts: metadata["thread_ts"].as_str().map(str::to_owned),
        reason: form.text(approvals::REASON, approvals::REASON),
    }
}
