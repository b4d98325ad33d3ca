//! Approvals: asked for once, decided once, carried out at most once.
//!
//! The rule that is not obvious: `sent_at` is written before the changing call leaves the process.
//! Whoever finds it set after a crash reads back what AWS holds; nobody sends again.

use jiff::{SignedDuration, Timestamp};
use sqlx::{Sqlite, Transaction};

use super::accept::note;
use super::incidents::{ApprovalView, move_state, state_in};
use super::{JobKind, Result, Store, StoreError, json, time, to_json};
use crate::domain::approval::{Decision, Plan};
use crate::domain::incident::{Event, IncidentId, State};

#[derive(Debug, Clone)]
pub struct Approval {
    pub id: String,
    pub incident: IncidentId,
    pub requested_at: Timestamp,
    pub expires_at: Timestamp,
    pub plan: Plan,
    /// The message that carries its button.
    pub channel: Option<String>,
    pub message_ts: Option<String>,
    pub decision: Option<Decision>,
    pub decided_by: Option<String>,
    pub decided_at: Option<Timestamp>,
    pub reason: Option<String>,
    pub sent_at: Option<Timestamp>,
    pub applied_at: Option<Timestamp>,
    pub outcome: Option<String>,
}

impl Approval {
    pub(super) fn into_view(self) -> ApprovalView {
        ApprovalView {
            id: self.id,
            requested_at: self.requested_at,
            expires_at: self.expires_at,
            plan: self.plan,
            decision: self.decision.map(|decision| decision.as_str().to_owned()),
            by: self.decided_by,
            at: self.decided_at,
            reason: self.reason,
            outcome: self.outcome,
        }
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    incident_id: i64,
    requested_at: i64,
    expires_at: i64,
    plan: String,
    channel: Option<String>,
    message_ts: Option<String>,
    decision: Option<String>,
    decided_by: Option<String>,
    decided_at: Option<i64>,
    reason: Option<String>,
    sent_at: Option<i64>,
    applied_at: Option<i64>,
    outcome: Option<String>,
}

impl TryFrom<Row> for Approval {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self> {
        let decision = row.decision.map(|text| {
            serde_json::from_value(serde_json::Value::String(text))
                .map_err(|error| StoreError::Content(error.to_string()))
        });
        Ok(Self {
            id: row.id,
            incident: IncidentId(row.incident_id),
            requested_at: time(row.requested_at),
            expires_at: time(row.expires_at),
            plan: json(&row.plan)?,
            channel: row.channel,
            message_ts: row.message_ts,
            decision: decision.transpose()?,
            decided_by: row.decided_by,
            decided_at: row.decided_at.map(time),
            reason: row.reason,
            sent_at: row.sent_at.map(time),
            applied_at: row.applied_at.map(time),
            outcome: row.outcome,
        })
    }
}

/// Whether this caller was the first to decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    Won,
    /// Somebody else was first, or the incident has moved on.
    Lost,
}

pub(super) async fn request(
    transaction: &mut Transaction<'static, Sqlite>,
    incident: IncidentId,
    plan: &Plan,
    now: Timestamp,
    expires_after: SignedDuration,
) -> Result<()> {
    let id = uuid::Uuid::new_v4().simple().to_string();
    let expires_at = now.saturating_add(expires_after).unwrap_or(now);
    sqlx::query(
        "INSERT INTO approvals (id, incident_id, requested_at, expires_at, plan) VALUES (?1, ?2, ?3, ?4, ?5)",
    )
    .bind(&id)
    .bind(incident.0)
    .bind(now.as_millisecond())
    .bind(expires_at.as_millisecond())
    .bind(to_json(plan)?)
    .execute(&mut **transaction)
    .await?;
    super::jobs::enqueue(transaction, &JobKind::Expire { approval: id }, Some(incident), expires_at).await
}

/// Ends approvals that nobody decided because the incident moved on.
pub(super) async fn supersede(
    transaction: &mut Transaction<'static, Sqlite>,
    incident: IncidentId,
    now: Timestamp,
) -> Result<()> {
    sqlx::query(
        "UPDATE approvals SET decision = ?2, decided_at = ?3 WHERE incident_id = ?1 AND decision IS NULL",
    )
    .bind(incident.0)
    .bind(Decision::Superseded.as_str())
    .bind(now.as_millisecond())
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

impl Store {
    pub async fn approval(&self, id: &str) -> Result<Option<Approval>> {
        let row: Option<Row> = sqlx::query_as(
            "SELECT id, incident_id, requested_at, expires_at, plan, channel, message_ts, decision, decided_by,
                    decided_at, reason, sent_at, applied_at, outcome FROM approvals WHERE id = ?1",
        )
        .bind(id)
        .fetch_optional(&self.readers)
        .await?;
        row.map(TryInto::try_into).transpose()
    }

    pub async fn approvals_of(&self, incident: IncidentId) -> Result<Vec<Approval>> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT id, incident_id, requested_at, expires_at, plan, channel, message_ts, decision, decided_by,
                    decided_at, reason, sent_at, applied_at, outcome FROM approvals
             WHERE incident_id = ?1 ORDER BY requested_at, id",
        )
        .bind(incident.0)
        .fetch_all(&self.readers)
        .await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// The approval that waits for a decision, if one does.
    pub async fn pending_approval(&self, incident: IncidentId) -> Result<Option<Approval>> {
        Ok(self.approvals_of(incident).await?.into_iter().find(|approval| approval.decision.is_none()))
    }

    /// Decides an approval, once: the decision, the incident's state and the next job together.
    pub async fn decide(
        &self,
        approval: &Approval,
        decision: Decision,
        by: Option<&str>,
        reason: Option<&str>,
        now: Timestamp,
    ) -> Result<Claim> {
        let mut transaction = self.begin().await?;
        let done = sqlx::query(
            "UPDATE approvals SET decision = ?2, decided_by = ?3, decided_at = ?4, reason = ?5
             WHERE id = ?1 AND decision IS NULL",
        )
        .bind(&approval.id)
        .bind(decision.as_str())
        .bind(by)
        .bind(now.as_millisecond())
        .bind(reason)
        .execute(&mut *transaction)
        .await?;
        let state = state_in(&mut transaction, approval.incident).await?;
        if done.rows_affected() != 1 || state != Some(State::AwaitingApproval) {
            return Ok(Claim::Lost);
        }
        let (event, what) = match decision {
            Decision::Approved => (Event::Approved, "rollback approved"),
            Decision::Rejected => (Event::Rejected, "rollback rejected"),
            Decision::Expired | Decision::Superseded => (Event::Expired, "approval expired"),
        };
        move_state(&mut transaction, approval.incident, event).await?;
        let mut line = what.to_owned();
        if let Some(by) = by {
            line.push_str(&format!(" by <@{by}>"));
        }
        if let Some(reason) = reason {
            line.push_str(&format!(": {reason}"));
        }
        note(&mut transaction, approval.incident, now, &line).await?;
        if decision == Decision::Approved {
            let job = JobKind::RollBack { approval: approval.id.clone() };
            super::jobs::enqueue(&mut transaction, &job, Some(approval.incident), now).await?;
        }
        super::jobs::enqueue(&mut transaction, &JobKind::Headline, Some(approval.incident), now).await?;
        transaction.commit().await?;
        Ok(Claim::Won)
    }

    /// Notes, before the call leaves, that it is about to be sent. False where it was sent before.
    pub async fn note_sending(&self, approval: &str, now: Timestamp) -> Result<bool> {
        let done = sqlx::query("UPDATE approvals SET sent_at = ?2 WHERE id = ?1 AND sent_at IS NULL")
            .bind(approval)
            .bind(now.as_millisecond())
            .execute(&self.writer)
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Saves what became of the change: applied, and then verification follows; or not.
    pub async fn note_outcome(
        &self,
        approval: &Approval,
        applied: bool,
        outcome: &str,
        now: Timestamp,
    ) -> Result<()> {
        let mut transaction = self.begin().await?;
        sqlx::query("UPDATE approvals SET applied_at = ?2, outcome = ?3 WHERE id = ?1")
            .bind(&approval.id)
            .bind(applied.then(|| now.as_millisecond()))
            .bind(outcome)
            .execute(&mut *transaction)
            .await?;
        let event = if applied { Event::Applied } else { Event::NotApplied };
        move_state(&mut transaction, approval.incident, event).await?;
        note(&mut transaction, approval.incident, now, outcome).await?;
        if applied {
            let job = JobKind::Verify { approval: approval.id.clone() };
            super::jobs::enqueue(&mut transaction, &job, Some(approval.incident), now).await?;
        }
        super::jobs::enqueue(&mut transaction, &JobKind::Headline, Some(approval.incident), now).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Saves whether the change helped. False where that was decided before.
    pub async fn note_recovery(
        &self,
        approval: &Approval,
        recovered: bool,
        what: &str,
        now: Timestamp,
    ) -> Result<bool> {
        let mut transaction = self.begin().await?;
        if state_in(&mut transaction, approval.incident).await? != Some(State::Verifying) {
            return Ok(false);
        }
        let event = if recovered { Event::Recovered } else { Event::NotRecovered };
        move_state(&mut transaction, approval.incident, event).await?;
        sqlx::query("UPDATE approvals SET outcome = ?2 WHERE id = ?1")
            .bind(&approval.id)
            .bind(what)
            .execute(&mut *transaction)
            .await?;
        note(&mut transaction, approval.incident, now, what).await?;
        super::jobs::enqueue(&mut transaction, &JobKind::Headline, Some(approval.incident), now).await?;
        transaction.commit().await?;
        Ok(true)
    }
}
