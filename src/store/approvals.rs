//! Approvals: asked for once, decided once, carried out at most once.
//!
//! The rule that is not obvious: `sent_at` is written before the changing call leaves the process. Whoever finds
//! it set after a crash reads back what AWS holds, and sends again only what AWS itself would refuse twice.

use jiff::{SignedDuration, Timestamp};
use sqlx::{Sqlite, Transaction};

use super::accept::note;
use super::audit::append;
use super::incidents::ApprovalView;
use super::states::{move_state, state_in};
use super::{JobKind, Result, Store, StoreError, json, time, to_json};
use crate::domain::approval::Decision;
use crate::domain::audit::{BOT, Entry, What, digest_of};
use crate::domain::execution::{self, Answer, Effect, Sent};
use crate::domain::incident::{Event, IncidentId, State};
use crate::domain::plan::Plan;
use crate::domain::recovery::Word;
use crate::domain::rollback::RollbackTarget;

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
    /// What AWS answered to the call, once that is known.
    pub answer: Option<Answer>,
    /// What became of the call.
    pub effect: Option<Effect>,
    /// Since when the plan's state is there.
    pub applied_at: Option<Timestamp>,
    /// When it served everybody, once AWS said so.
    pub in_effect_at: Option<Timestamp>,
    pub outcome: Option<String>,
    pub break_glass: bool,
    /// The approval whose change this plan takes back, where it is such a plan.
    pub undoes: Option<String>,
    /// Whether the change helped, once that is decided.
    pub judged: Option<Word>,
    pub judged_at: Option<Timestamp>,
}

impl Approval {
    /// The call that left, where one did.
    pub fn sent(&self) -> Option<Sent> {
        Some(Sent {
            at: self.sent_at?,
            unanswered: self.answer.is_some(),
            guard: execution::guard(&self.plan.target),
        })
    }

    /// Whether this effect means that what was approved acts. A test that somebody else makes is not the bot's to end,
    /// and one of which nobody knows may have begun.
    pub fn is_applied(&self, effect: Effect) -> bool {
        match (self.plan.design().is_some(), effect) {
            (true, Effect::ByAnother) => false,
            (true, Effect::Unknown) => true,
            _ => effect.is_in_place(),
        }
    }

    /// Whether its call left and no answer is known, so that it may yet arrive.
    fn may_arrive(&self) -> bool {
        matches!(self.answer, None | Some(Answer::None { .. }))
    }

    pub(super) fn entry(&self, actor: &str, at: Timestamp, what: What) -> Entry {
        Entry {
            at,
            incident: Some(self.incident),
            approval: Some(self.id.clone()),
            actor: actor.to_owned(),
            what,
        }
    }

    pub(super) fn into_view(self) -> ApprovalView {
        ApprovalView {
            id: self.id,
            requested_at: self.requested_at,
            expires_at: self.expires_at,
            plan: self.plan.for_showing(),
            decision: self.decision.map(|decision| decision.as_str().to_owned()),
            by: self.decided_by,
            at: self.decided_at,
            reason: self.reason,
            effect: self.effect,
            outcome: self.outcome,
            break_glass: self.break_glass,
            applied_at: self.applied_at,
            judged: self.judged,
            judged_at: self.judged_at,
            undoes: self.undoes,
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
    answer: Option<String>,
    effect: Option<String>,
    applied_at: Option<i64>,
    in_effect_at: Option<i64>,
    outcome: Option<String>,
    break_glass: bool,
    undoes: Option<String>,
    judged: Option<String>,
    judged_at: Option<i64>,
}

impl TryFrom<Row> for Approval {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            id: row.id,
            incident: IncidentId(row.incident_id),
            requested_at: time(row.requested_at),
            expires_at: time(row.expires_at),
            plan: json(&row.plan)?,
            channel: row.channel,
            message_ts: row.message_ts,
            decision: row.decision.map(word).transpose()?,
            decided_by: row.decided_by,
            decided_at: row.decided_at.map(time),
            reason: row.reason,
            sent_at: row.sent_at.map(time),
            answer: row.answer.as_deref().map(json).transpose()?,
            effect: row.effect.map(word).transpose()?,
            applied_at: row.applied_at.map(time),
            in_effect_at: row.in_effect_at.map(time),
            outcome: row.outcome,
            break_glass: row.break_glass,
            undoes: row.undoes,
            judged: row.judged.map(word).transpose()?,
            judged_at: row.judged_at.map(time),
        })
    }
}

/// One of an enumeration's words, as it is stored.
fn word<T: serde::de::DeserializeOwned>(text: String) -> Result<T> {
    serde_json::from_value(serde_json::Value::String(text))
        .map_err(|error| StoreError::Content(error.to_string()))
}

/// A decision, and what it was made by.
#[derive(Debug, Clone, Copy)]
pub struct Decided<'a> {
    pub decision: Decision,
    /// Slack user id; `None` where time or a newer look decided.
    pub by: Option<&'a str>,
    pub reason: Option<&'a str>,
    /// The click's delivery, where one decided.
    pub click: Option<&'a str>,
    pub break_glass: bool,
}

impl Decided<'_> {
    /// Decided by nobody: it expired, or something newer replaced it.
    pub fn by_nobody(decision: Decision) -> Self {
        Self { decision, by: None, reason: None, click: None, break_glass: false }
    }

    pub(super) fn as_row(&self) -> What {
        What::Decided {
            decision: self.decision.as_str().to_owned(),
            click: self.click.map(str::to_owned),
            reason: self.reason.map(str::to_owned),
            break_glass: self.break_glass,
        }
    }
}

/// Whether this caller was the first to decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    Won,
    /// Somebody else was first, or the incident has moved on.
    Lost,
}

/// What approval is asked for, and until when.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    pub plan: &'a Plan,
    pub expires_after: SignedDuration,
    /// The approval whose change this plan takes back.
    pub undoes: Option<&'a str>,
}

pub(super) async fn request(
    transaction: &mut Transaction<'static, Sqlite>,
    incident: IncidentId,
    asked: &Asked<'_>,
    now: Timestamp,
) -> Result<String> {
    let id = uuid::Uuid::new_v4().simple().to_string();
    let expires_at = now.saturating_add(asked.expires_after).unwrap_or(now);
    let plan = to_json(asked.plan)?;
    sqlx::query(
        "INSERT INTO approvals (id, incident_id, requested_at, expires_at, plan, undoes)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )
    .bind(&id)
    .bind(incident.0)
    .bind(now.as_millisecond())
    .bind(expires_at.as_millisecond())
    .bind(&plan)
    .bind(asked.undoes)
    .execute(&mut **transaction)
    .await?;
    let entry = Entry {
        at: now,
        incident: Some(incident),
        approval: Some(id.clone()),
        actor: BOT.to_owned(),
        what: What::Requested {
            plan: asked.plan.what.clone(),
            command: asked.plan.command.clone(),
            expires_at,
            digest: digest_of(&plan),
        },
    };
    append(transaction, &entry).await?;
    let job = JobKind::Expire { approval: id.clone() };
    super::jobs::enqueue(transaction, &job, Some(incident), expires_at).await?;
    Ok(id)
}

/// Ends approvals that nobody decided because the incident moved on.
pub(super) async fn supersede(
    transaction: &mut Transaction<'static, Sqlite>,
    incident: IncidentId,
    now: Timestamp,
) -> Result<()> {
    let ended: Vec<String> = sqlx::query_scalar(
        "UPDATE approvals SET decision = ?2, decided_at = ?3 WHERE incident_id = ?1 AND decision IS NULL
         RETURNING id",
    )
    .bind(incident.0)
    .bind(Decision::Superseded.as_str())
    .bind(now.as_millisecond())
    .fetch_all(&mut **transaction)
    .await?;
    for id in ended {
        let entry = Entry {
            at: now,
            incident: Some(incident),
            approval: Some(id),
            actor: BOT.to_owned(),
            what: Decided::by_nobody(Decision::Superseded).as_row(),
        };
        append(transaction, &entry).await?;
    }
    Ok(())
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, incident_id, requested_at, expires_at, plan, channel, message_ts, decision, decided_by,
             decided_at, reason, sent_at, answer, effect, applied_at, in_effect_at, outcome, break_glass, undoes,
             judged, judged_at FROM approvals ",
            $rest
        )
    };
}

impl Store {
    pub async fn approval(&self, id: &str) -> Result<Option<Approval>> {
        let row: Option<Row> =
            sqlx::query_as(select!("WHERE id = ?1")).bind(id).fetch_optional(&self.readers).await?;
        row.map(TryInto::try_into).transpose()
    }

    /// All approvals of an incident, in the order in which they were asked for.
    pub async fn approvals_of(&self, incident: IncidentId) -> Result<Vec<Approval>> {
        let rows: Vec<Row> = sqlx::query_as(select!("WHERE incident_id = ?1 ORDER BY requested_at, rowid"))
            .bind(incident.0)
            .fetch_all(&self.readers)
            .await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// The approval that waits for a decision, if one does.
    pub async fn pending_approval(&self, incident: IncidentId) -> Result<Option<Approval>> {
        Ok(self.approvals_of(incident).await?.into_iter().find(|approval| approval.decision.is_none()))
    }

    /// Asks for approval of one more plan in an incident that has its verdict: to take a rollback back.
    /// `None` where the incident has moved on, or a plan waits already.
    pub async fn ask(
        &self,
        incident: IncidentId,
        asked: &Asked<'_>,
        now: Timestamp,
    ) -> Result<Option<String>> {
        let mut transaction = self.begin().await?;
        let state = state_in(&mut transaction, incident).await?;
        let open: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM approvals WHERE incident_id = ?1 AND (decision IS NULL OR undoes = ?2)",
        )
        .bind(incident.0)
        .bind(asked.undoes)
        .fetch_one(&mut *transaction)
        .await?;
        if state != Some(State::NotRecovered) || open > 0 {
            return Ok(None);
        }
        let id = request(&mut transaction, incident, asked, now).await?;
        transaction.commit().await?;
        Ok(Some(id))
    }

    /// Decides an approval, once: the decision, the incident's state, the trail and the next job together.
    pub async fn decide(&self, approval: &Approval, decided: &Decided<'_>, now: Timestamp) -> Result<Claim> {
        let mut transaction = self.begin().await?;
        let done = sqlx::query(
            "UPDATE approvals SET decision = ?2, decided_by = ?3, decided_at = ?4, reason = ?5, break_glass = ?6
             WHERE id = ?1 AND decision IS NULL",
        )
        .bind(&approval.id)
        .bind(decided.decision.as_str())
        .bind(decided.by)
        .bind(now.as_millisecond())
        .bind(decided.reason)
        .bind(decided.break_glass)
        .execute(&mut *transaction)
        .await?;
        let waiting = match state_in(&mut transaction, approval.incident).await? {
            Some(State::AwaitingApproval) => true,
            // Taking a rollback back is asked for where it did not help; the state says that until then.
            Some(State::NotRecovered) => approval.undoes.is_some(),
            _ => false,
        };
        if done.rows_affected() != 1 || !waiting {
            return Ok(Claim::Lost);
        }
        let noun = approval.plan.noun();
        let (event, mut line) = match decided.decision {
            Decision::Approved if decided.break_glass => (Event::Approved, format!("{noun} approved alone")),
            Decision::Approved => (Event::Approved, format!("{noun} approved")),
            Decision::Rejected => (Event::Rejected, format!("{noun} rejected")),
            Decision::Expired | Decision::Superseded => (Event::Expired, "approval expired".to_owned()),
        };
        move_state(&mut transaction, approval.incident, event).await?;
        if let Some(by) = decided.by {
            line.push_str(&format!(" by <@{by}>"));
        }
        if let Some(reason) = decided.reason {
            line.push_str(&format!(": {reason}"));
        }
        note(&mut transaction, approval.incident, now, &line).await?;
        append(&mut transaction, &approval.entry(decided.by.unwrap_or(BOT), now, decided.as_row())).await?;
        if decided.decision == Decision::Approved {
            let job = JobKind::RollBack { approval: approval.id.clone() };
            super::jobs::enqueue(&mut transaction, &job, Some(approval.incident), now).await?;
        }
        super::jobs::enqueue(&mut transaction, &JobKind::Headline, Some(approval.incident), now).await?;
        transaction.commit().await?;
        Ok(Claim::Won)
    }

    /// Whether the plan that is stored is, byte for byte, the one that was asked for: the trail keeps its digest.
    pub async fn is_sealed(&self, approval: &Approval) -> Result<bool> {
        let stored: Option<String> = sqlx::query_scalar("SELECT plan FROM approvals WHERE id = ?1")
            .bind(&approval.id)
            .fetch_optional(&self.readers)
            .await?;
        let asked: Option<String> = sqlx::query_scalar(
            "SELECT what FROM audit WHERE approval = ?1 AND what ->> 'kind' = 'requested' ORDER BY sequence LIMIT 1",
        )
        .bind(&approval.id)
        .fetch_optional(&self.readers)
        .await?;
        Ok(match (stored, asked.as_deref().map(json).transpose()?) {
            // Plans of earlier releases have no digest.
            (Some(stored), Some(What::Requested { digest, .. })) => {
                digest.is_empty() || digest == digest_of(&stored)
            }
            _ => false,
        })
    }

    /// Until when a call of another approval may still arrive that changes the same thing, where one may.
    pub async fn on_its_way(
        &self,
        target: &RollbackTarget,
        but: &str,
        now: Timestamp,
    ) -> Result<Option<Timestamp>> {
        // A signed request lives for minutes; what was sent longer ago is not read.
        let since = now.saturating_sub(SignedDuration::from_hours(1)).unwrap_or(now);
        let rows: Vec<Row> = sqlx::query_as(select!("WHERE sent_at > ?1 AND id <> ?2"))
            .bind(since.as_millisecond())
            .bind(but)
            .fetch_all(&self.readers)
            .await?;
        let mut until = None;
        for row in rows {
            let other = Approval::try_from(row)?;
            let certain = other.sent().filter(|_| other.may_arrive()).map(|sent| sent.certain_at());
            if other.plan.target.resource() == target.resource() {
                until = until.max(certain.filter(|certain| *certain > now));
            }
        }
        Ok(until)
    }
}
