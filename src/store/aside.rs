//! What failed too often and was put aside: to see it, and to try it again.
//!
//! The rule that is not obvious: nothing here is lost or given up. A job that is put aside keeps what it was to do, a
//! message what it was to say, and both wait for a person who has mended what kept them. A chart is the exception: its
//! picture goes when Slack refuses it, the verdict stands without it, and nobody has to do anything about it.

use jiff::Timestamp;
use serde::Serialize;

use super::{JobKind, Result, Store, time};
use crate::domain::incident::IncidentId;

/// Work that was put aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Aside {
    /// `12` is a job, `INC-7/result/1` a message: what `jobs retry` takes.
    pub id: String,
    /// `investigate`, `report`, …; `message` where Slack refused it.
    pub kind: String,
    pub incident: Option<IncidentId>,
    /// Where a message was to stand.
    pub channel: Option<String>,
    /// Absent for what was put aside before that was noted.
    pub since: Option<Timestamp>,
    pub error: String,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    kind: String,
    incident_id: Option<i64>,
    channel: Option<String>,
    since: Option<i64>,
    error: Option<String>,
}

impl Store {
    /// All that was put aside, the oldest first.
    pub async fn put_aside(&self) -> Result<Vec<Aside>> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT CAST(id AS TEXT) AS id, kind, incident_id, NULL AS channel, dead_at AS since, last_error AS error
             FROM jobs WHERE state = 'dead'
             UNION ALL
             SELECT key, 'message', incident_id, channel, owed_at, error FROM outbox
             WHERE state = 'dead' AND NOT is_image
             ORDER BY since, id",
        )
        .fetch_all(&self.readers)
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| Aside {
                id: row.id,
                kind: row.kind,
                incident: row.incident_id.map(IncidentId),
                channel: row.channel,
                since: row.since.map(time),
                error: row.error.unwrap_or_default(),
            })
            .collect())
    }

    /// Puts one of these back into the queue, as if it had never failed. False where nothing of that name is aside.
    pub async fn retry(&self, id: &str, now: Timestamp) -> Result<bool> {
        let mut transaction = self.begin().await?;
        let jobs = sqlx::query(
            "UPDATE jobs SET state = 'ready', attempts = 0, run_at = ?2, leased_until = NULL, dead_at = NULL
             WHERE CAST(id AS TEXT) = ?1 AND state = 'dead'",
        )
        .bind(id)
        .bind(now.as_millisecond())
        .execute(&mut *transaction)
        .await?;
        let messages = sqlx::query(
            "UPDATE outbox SET state = 'due', cause = NULL, attempts = 0, not_before = ?2, owed_at = ?2
             WHERE key = ?1 AND state = 'dead' AND NOT is_image",
        )
        .bind(id)
        .bind(now.as_millisecond())
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(jobs.rows_affected() + messages.rows_affected() > 0)
    }

    /// Whether an incident's investigation was put aside: nobody works on it any more.
    pub async fn is_investigation_aside(&self, incident: IncidentId) -> Result<bool> {
        let aside = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM jobs WHERE incident_id = ?1 AND kind = ?2 AND state = 'dead')",
        )
        .bind(incident.0)
        .bind(JobKind::Investigate.name())
        .fetch_one(&self.readers)
        .await?;
        Ok(aside)
    }
}
