//! What the recorder saw of the configuration of services.
//!
//! The rule that is not obvious: a state that is seen again grows longer and is not stored again, so that what
//! never changes takes one row; and one part of a resource keeps its newest states only.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sqlx::Row as _;

use super::{Result, Store, json, time, to_json};
use crate::domain::snapshot::{Recorded, Snapshot};

/// States of one part of a resource that are kept: a deployment an hour for a fortnight.
const STATES_MAX: i64 = 336;
/// States that are read at once: of a service with many functions, those of a week.
const READ_MAX: i64 = 5_000;

impl Store {
    /// Notes what was seen of a service's resources.
    ///
    /// What was seen earlier than what is known already is left out: two looks may end in another order than they began.
    pub async fn record(
        &self,
        service: &str,
        states: &[(String, BTreeMap<String, Recorded>)],
        at: Timestamp,
    ) -> Result<()> {
        let mut transaction = self.begin().await?;
        for (resource, values) in states {
            let body = to_json(values)?;
            let newest = sqlx::query(
                "SELECT id, body, last_at FROM snapshots WHERE service = ?1 AND resource = ?2
                 ORDER BY first_at DESC, id DESC LIMIT 1",
            )
            .bind(service)
            .bind(resource)
            .fetch_optional(&mut *transaction)
            .await?;
            if let Some(row) = newest {
                if row.try_get::<i64, _>(2)? > at.as_millisecond() {
                    continue;
                }
                if row.try_get::<&str, _>(1)? == body {
                    sqlx::query("UPDATE snapshots SET last_at = ?2 WHERE id = ?1")
                        .bind(row.try_get::<i64, _>(0)?)
                        .bind(at.as_millisecond())
                        .execute(&mut *transaction)
                        .await?;
                    continue;
                }
            }
            sqlx::query(
                "INSERT INTO snapshots (service, resource, first_at, last_at, body) VALUES (?1, ?2, ?3, ?3, ?4)",
            )
            .bind(service)
            .bind(resource)
            .bind(at.as_millisecond())
            .bind(body)
            .execute(&mut *transaction)
            .await?;
            sqlx::query(
                "DELETE FROM snapshots WHERE service = ?1 AND resource = ?2 AND id NOT IN (
                     SELECT id FROM snapshots WHERE service = ?1 AND resource = ?2
                     ORDER BY first_at DESC, id DESC LIMIT ?3)",
            )
            .bind(service)
            .bind(resource)
            .bind(STATES_MAX)
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// What was seen of a service between two moments, by resource and time; the name in any case.
    pub async fn snapshots(&self, service: &str, from: Timestamp, to: Timestamp) -> Result<Vec<Snapshot>> {
        let rows = sqlx::query(
            "SELECT resource, first_at, last_at, body FROM snapshots
             WHERE service = ?1 COLLATE NOCASE AND last_at >= ?2 AND first_at <= ?3
             ORDER BY resource, first_at, id LIMIT ?4",
        )
        .bind(service)
        .bind(from.as_millisecond())
        .bind(to.as_millisecond())
        .bind(READ_MAX)
        .fetch_all(&self.readers)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(Snapshot {
                    resource: row.try_get(0)?,
                    first_at: time(row.try_get(1)?),
                    last_at: time(row.try_get(2)?),
                    values: json(row.try_get::<&str, _>(3)?)?,
                })
            })
            .collect()
    }

    /// The key that secrets are hashed with; `fresh` becomes it where there is none yet.
    pub async fn recorder_key(&self, fresh: &str) -> Result<String> {
        sqlx::query("INSERT INTO recorder_key (id, key) VALUES (1, ?1) ON CONFLICT DO NOTHING")
            .bind(fresh)
            .execute(&self.writer)
            .await?;
        Ok(sqlx::query_scalar("SELECT key FROM recorder_key WHERE id = 1").fetch_one(&self.writer).await?)
    }

    /// Services of incidents that were opened since a moment, the newest first.
    pub async fn services_since(&self, since: Timestamp, limit: i64) -> Result<Vec<String>> {
        let names = sqlx::query_scalar(
            "SELECT service FROM incidents WHERE opened_at >= ?1 GROUP BY service
             ORDER BY max(opened_at) DESC LIMIT ?2",
        )
        .bind(since.as_millisecond())
        .bind(limit)
        .fetch_all(&self.readers)
        .await?;
        Ok(names)
    }
}
