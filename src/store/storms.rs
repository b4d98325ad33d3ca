//! When more investigations wait than can be made soon.

use jiff::Timestamp;
use sqlx::{Sqlite, Transaction};

use super::{INVESTIGATIONS_AT_ONCE, JobKind, Result, Store};
use crate::domain::incident::IncidentId;

/// So many investigations wait before it is called a storm: three rounds of those that are made at once, which is
/// when the last one waits for half a minute or more.
pub const STORM_FROM: i64 = 3 * INVESTIGATIONS_AT_ONCE;

/// An incident that was opened while the storm went on, or waited when it began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Throng {
    pub id: IncidentId,
    pub service: String,
    pub channel: Option<String>,
    pub alerts_received: i64,
    /// Its investigation has begun or needs none any more.
    pub begun: bool,
    pub under_way: bool,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    service: String,
    channel: Option<String>,
    alerts_received: i64,
    waits: bool,
    under_way: bool,
}

/// An investigation was queued: where too many wait, somebody has to say so.
pub(super) async fn note_queued(
    transaction: &mut Transaction<'static, Sqlite>,
    now: Timestamp,
) -> Result<()> {
    let (waiting, is_told): (i64, bool) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM jobs WHERE state = 'ready' AND kind = 'investigate' AND run_at <= ?1
                 AND leased_until IS NULL),
                EXISTS (SELECT 1 FROM jobs WHERE state = 'ready' AND kind = 'storm')",
    )
    .bind(now.as_millisecond())
    .fetch_one(&mut **transaction)
    .await?;
    if waiting > STORM_FROM && !is_told {
        super::jobs::enqueue(transaction, &JobKind::Storm { began_at: now }, None, now).await?;
    }
    Ok(())
}

impl Store {
    /// Whether a storm goes on.
    pub async fn is_storm(&self) -> Result<bool> {
        let storm =
            sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM jobs WHERE state = 'ready' AND kind = 'storm')")
                .fetch_one(&self.readers)
                .await?;
        Ok(storm)
    }

    /// What a storm that began then is made of, in the order in which it came.
    pub async fn throng(&self, began_at: Timestamp, now: Timestamp) -> Result<Vec<Throng>> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT incidents.id, service, channel, alerts_received,
                    jobs.id IS NOT NULL AND coalesce(jobs.leased_until, 0) <= ?2 AS waits,
                    coalesce(jobs.leased_until, 0) > ?2 AS under_way
             FROM incidents LEFT JOIN jobs
                  ON jobs.incident_id = incidents.id AND jobs.kind = 'investigate' AND jobs.state = 'ready'
                     AND jobs.run_at <= ?2
             WHERE incidents.opened_at >= ?1 OR jobs.id IS NOT NULL
             GROUP BY incidents.id ORDER BY incidents.id",
        )
        .bind(began_at.as_millisecond())
        .bind(now.as_millisecond())
        .fetch_all(&self.readers)
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| Throng {
                id: IncidentId(row.id),
                service: row.service,
                channel: row.channel,
                alerts_received: row.alerts_received,
                begun: !row.waits,
                under_way: row.under_way,
            })
            .collect())
    }
}
