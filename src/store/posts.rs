//! Which messages were posted, so that none is posted twice.

use jiff::Timestamp;

use super::{Result, Store};
use crate::domain::incident::IncidentId;

impl Store {
    /// The message that was posted for this purpose, as channel and `ts`.
    pub async fn posted(&self, incident: IncidentId, purpose: &str) -> Result<Option<(String, String)>> {
        let found = sqlx::query_as("SELECT channel, ts FROM posts WHERE incident_id = ?1 AND purpose = ?2")
            .bind(incident.0)
            .bind(purpose)
            .fetch_optional(&self.readers)
            .await?;
        Ok(found)
    }

    /// Notes that a message was posted.
    pub async fn note_post(
        &self,
        incident: IncidentId,
        purpose: &str,
        channel: &str,
        ts: &str,
        now: Timestamp,
    ) -> Result<()> {
        sqlx::query(
            "INSERT INTO posts (incident_id, purpose, channel, ts, posted_at) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT DO NOTHING",
        )
        .bind(incident.0)
        .bind(purpose)
        .bind(channel)
        .bind(ts)
        .bind(now.as_millisecond())
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    /// Notes where the incident's thread is and which message is its headline.
    pub async fn note_headline(
        &self,
        incident: IncidentId,
        channel: &str,
        thread_ts: &str,
        headline_ts: &str,
    ) -> Result<()> {
        sqlx::query("UPDATE incidents SET channel = ?2, thread_ts = ?3, headline_ts = ?4 WHERE id = ?1")
            .bind(incident.0)
            .bind(channel)
            .bind(thread_ts)
            .bind(headline_ts)
            .execute(&self.writer)
            .await?;
        Ok(())
    }
}
