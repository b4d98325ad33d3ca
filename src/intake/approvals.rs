//! Buttons of a plan that need an answer while the trigger lives: why not, why alone, and what exactly.
//!
//! The rule that is not obvious: a form is a courtesy. Where it cannot be opened the press itself is stored
//! and decided: a rejection counts without a reason, and an approval alone is refused for want of one.

use serde_json::{Value, json};

use super::desk::Desk;
use crate::slack::approvals::{self, Asked};
use crate::slack::interaction::{Press, Submission, ViewPress};
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
        Ok(())
    }

    /// Whether somebody is not among those who may approve alone, without asking Slack who is in a group.
    fn is_surely_not_alone(&self, user: &str) -> bool {
        let list = &self.config.approvals.break_glass;
        !list.iter().any(|one| one == user || one.starts_with('S'))
    }

    /// A reason was given: the click that it belongs to, stored before it is acknowledged.
    pub(super) async fn reason_given(&self, form: Submission) -> Result<Option<Value>> {
        let metadata: Value = serde_json::from_str(&form.private_metadata).unwrap_or_default();
        let text = |key: &str| metadata[key].as_str().unwrap_or_default().to_owned();
        let action_id = text("action");
        if !matches!(action_id.as_str(), "rollback_reject" | "rollback_break_glass") {
            tracing::warn!("a reason for nothing that is known");
            return Ok(None);
        }
        let reason = form.text(approvals::REASON, approvals::REASON);
        if reason.is_none() && action_id == "rollback_break_glass" {
            let sentence = "Approving alone needs a reason: it is posted and kept.".to_owned();
            return Ok(Some(views::errors(&[(approvals::REASON, sentence)])));
        }
        let click = ClickedButton {
            delivery: form.delivery.clone(),
            action_id,
            value: text("approval"),
            user: form.user,
            channel: text("channel"),
            message_ts: text("message_ts"),
            thread_ts: metadata["thread_ts"].as_str().map(str::to_owned),
            reason,
        };
        self.store.accept_click(&form.delivery, click, self.clock.now()).await?;
        self.wake.notify_one();
        Ok(None)
    }

    /// 'Try it without effect' in the plan.
    pub(super) async fn try_plan(&self, press: ViewPress) -> Result<()> {
        let delivery = format!("try/{}/{}/{}", press.value, press.user, press.trigger_id);
        let click = ClickedButton {
            delivery: delivery.clone(),
            action_id: press.action_id,
            value: press.value,
            user: press.user,
            channel: String::new(),
            message_ts: String::new(),
            thread_ts: None,
            reason: None,
        };
        self.store.accept_click(&delivery, click, self.clock.now()).await?;
        self.wake.notify_one();
        Ok(())
    }
}
