//! The audit trail in the database: append, read, and nothing else.
//!
//! The rule that is not obvious: what is decided and its row are one transaction. The triggers of the
//! table refuse every change of a row, so that only somebody with the file itself can tamper, and the
//! chain of hashes shows it then.

use jiff::Timestamp;
use sqlx::{Sqlite, Transaction};

use super::{ClickedButton, Result, Store, StoreError};
use crate::domain::approval::Refusal;
use crate::domain::audit::{Entry, GENESIS, Row, What};
use crate::domain::incident::IncidentId;

#[derive(sqlx::FromRow)]
struct Stored {
    sequence: i64,
    at: i64,
    incident_id: Option<i64>,
    approval: Option<String>,
    actor: String,
    what: String,
    previous: String,
    hash: String,
}

impl From<Stored> for Row {
    fn from(stored: Stored) -> Self {
        Self {
            sequence: stored.sequence,
            at_millisecond: stored.at,
            incident: stored.incident_id.map(IncidentId),
            approval: stored.approval,
            actor: stored.actor,
            what: stored.what,
            previous: stored.previous,
            hash: stored.hash,
        }
    }
}

/// Appends a row within a transaction that holds the write lock.
pub(super) async fn append(transaction: &mut Transaction<'static, Sqlite>, entry: &Entry) -> Result<()> {
    let last: Option<(i64, String)> =
        sqlx::query_as("SELECT sequence, hash FROM audit ORDER BY sequence DESC LIMIT 1")
            .fetch_optional(&mut **transaction)
            .await?;
    let (sequence, previous) = last.unwrap_or_else(|| (0, GENESIS.to_owned()));
    let row =
        Row::following(sequence, &previous, entry).map_err(|error| StoreError::Content(error.to_string()))?;
    sqlx::query(
        "INSERT INTO audit (sequence, at, incident_id, approval, actor, what, previous, hash)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )
    .bind(row.sequence)
    .bind(row.at_millisecond)
    .bind(row.incident.map(|incident| incident.0))
    .bind(&row.approval)
    .bind(&row.actor)
    .bind(&row.what)
    .bind(&row.previous)
    .bind(&row.hash)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

impl Store {
    /// Appends one row on its own.
    pub async fn audit(&self, entry: &Entry) -> Result<()> {
        let mut transaction = self.begin().await?;
        append(&mut transaction, entry).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Writes a refusal down with a line in the incident's history, once per click: a step that runs twice
    /// finds what it said the first time, and that stands.
    pub async fn audit_refusal(&self, entry: &Entry, line: &str, now: Timestamp) -> Result<()> {
        let mut transaction = self.begin().await?;
        append(&mut transaction, entry).await?;
        if let Some(incident) = entry.incident {
            super::accept::note(&mut transaction, incident, now, line).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Writes down that a press does not count before anybody has looked at what it decides: it came again, or
    /// too late. Once per press and refusal, because whoever replays decides how often; false where the trail
    /// tells it already.
    pub async fn audit_unheeded(
        &self,
        click: &ClickedButton,
        refusal: &Refusal,
        now: Timestamp,
    ) -> Result<bool> {
        let mut transaction = self.begin().await?;
        let told: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM audit WHERE what ->> 'click' = ?1 AND what ->> 'refusal' = ?2)",
        )
        .bind(&click.delivery)
        .bind(refusal.name())
        .fetch_one(&mut *transaction)
        .await?;
        if told {
            return Ok(false);
        }
        let incident: Option<i64> = sqlx::query_scalar("SELECT incident_id FROM approvals WHERE id = ?1")
            .bind(&click.value)
            .fetch_optional(&mut *transaction)
            .await?;
        let entry = Entry {
            at: now,
            incident: incident.map(IncidentId),
            approval: incident.map(|_| click.value.clone()),
            actor: click.user.clone(),
            what: click.refused(refusal),
        };
        append(&mut transaction, &entry).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Whether this very click decided this approval.
    pub async fn is_decided_by(&self, approval: &str, click: &str) -> Result<bool> {
        let decided = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM audit
                            WHERE what ->> 'click' = ?2 AND what ->> 'kind' = 'decided' AND approval = ?1)",
        )
        .bind(approval)
        .bind(click)
        .fetch_one(&self.readers)
        .await?;
        Ok(decided)
    }

    /// What this click was refused with, if it was: that it came again later says nothing about it.
    pub async fn refusal_of(&self, click: &str) -> Result<Option<String>> {
        let what: Option<String> = sqlx::query_scalar(
            "SELECT what FROM audit WHERE what ->> 'kind' = 'refused' AND what ->> 'click' = ?1
             AND what ->> 'refusal' NOT IN ('replayed', 'too_old') LIMIT 1",
        )
        .bind(click)
        .fetch_optional(&self.readers)
        .await?;
        Ok(match what.as_deref().map(super::json).transpose()? {
            Some(What::Refused { sentence, .. }) => Some(sentence),
            _ => None,
        })
    }

    /// The whole trail, in order.
    pub async fn audit_trail(&self) -> Result<Vec<Row>> {
        let rows: Vec<Stored> = sqlx::query_as(
            "SELECT sequence, at, incident_id, approval, actor, what, previous, hash FROM audit ORDER BY sequence",
        )
        .fetch_all(&self.readers)
        .await?;
        Ok(rows.into_iter().map(Row::from).collect())
    }

    /// What the approvals say happened and the trail does not tell, a sentence each: rows at the end of a
    /// chain can be cut off without breaking it.
    pub async fn untold(&self) -> Result<Vec<String>> {
        let missing: Vec<(i64, String, String)> = sqlx::query_as(
            "WITH happened (incident_id, id, kind, since) AS (
                 SELECT incident_id, id, 'requested', requested_at FROM approvals
                 UNION ALL SELECT incident_id, id, 'decided', requested_at FROM approvals WHERE decision IS NOT NULL
                 UNION ALL SELECT incident_id, id, 'sending', requested_at FROM approvals WHERE sent_at IS NOT NULL
                 UNION ALL SELECT incident_id, id, 'ended', requested_at FROM approvals WHERE applied_at IS NOT NULL
                 UNION ALL SELECT incident_id, id, 'judged', requested_at FROM approvals WHERE judged IS NOT NULL)
             SELECT incident_id, id, kind FROM happened
             WHERE since >= (SELECT coalesce(min(at), 0) FROM audit)
               AND NOT EXISTS (SELECT 1 FROM audit WHERE approval = id
                               AND CASE WHEN json_valid(what) THEN what ->> 'kind' END = kind)
             ORDER BY incident_id, id",
        )
        .fetch_all(&self.readers)
        .await?;
        Ok(missing
            .into_iter()
            .map(|(incident, approval, kind)| {
                format!("{}: approval {approval} has no row '{kind}'", IncidentId(incident))
            })
            .collect())
    }
}
