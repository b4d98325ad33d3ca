//! Change events that AWS delivered, kept until an investigation asks for them.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use sqlx::Row as _;

use super::accept::note_delivery;
use super::{JobKind, Result, Store, to_json};
use crate::domain::incident::IncidentId;

/// The detail-type of events that carry a CloudTrail record.
pub const TRAIL_RECORD: &str = "AWS API Call via CloudTrail";
/// Records, and other events, that one investigation takes from here: the newest ones of its window.
const EVENTS_MAX: i64 = 2_000;
/// One deployment is told in several events within seconds: they are looked at together.
const GATHER_FOR: SignedDuration = SignedDuration::from_secs(5);

/// A change event, as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct AwsEvent {
    /// AWS's own id of the event.
    pub id: String,
    pub at: Timestamp,
    pub kind: String,
    pub body: Value,
}

/// What AWS delivered of its own accord, as it came.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Delivered {
    /// CloudTrail records.
    pub records: Vec<Value>,
    /// Events of EventBridge, and notifications of CodeDeploy.
    pub events: Vec<Value>,
}

impl Store {
    /// Keeps an event, and lets the open incidents look again; false where the event was known.
    ///
    /// `delivery` is the sender's id of this message, `looks` what is to be done for which incident, or for none.
    pub async fn keep_aws_event(
        &self,
        delivery: &str,
        event: &AwsEvent,
        looks: &[(Option<IncidentId>, JobKind)],
        now: Timestamp,
    ) -> Result<bool> {
        let mut transaction = self.begin().await?;
        if !note_delivery(&mut transaction, delivery, now).await? {
            return Ok(false);
        }
        let kept = sqlx::query(
            "INSERT INTO aws_events (id, at, received_at, kind, body) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT DO NOTHING",
        )
        .bind(&event.id)
        .bind(event.at.as_millisecond())
        .bind(now.as_millisecond())
        .bind(&event.kind)
        .bind(to_json(&event.body)?)
        .execute(&mut *transaction)
        .await?;
        let first = kept.rows_affected() == 1;
        if first {
            let run_at = now.saturating_add(GATHER_FOR).unwrap_or(now);
            for (id, job) in looks {
                // One look takes in everything that came before it.
                let waiting: i64 = sqlx::query_scalar(
                    "SELECT count(*) FROM jobs WHERE incident_id IS ?1 AND kind = ?2 AND state = 'ready'
                     AND leased_until IS NULL AND run_at <= ?3 AND (?1 IS NOT NULL OR payload = ?4)",
                )
                .bind(id.map(|id| id.0))
                .bind(job.name())
                .bind(run_at.as_millisecond())
                .bind(to_json(job)?)
                .fetch_one(&mut *transaction)
                .await?;
                if waiting == 0 {
                    super::jobs::enqueue(&mut transaction, job, *id, run_at).await?;
                }
            }
        }
        transaction.commit().await?;
        Ok(first)
    }

    /// What AWS delivered for a stretch of time, oldest first.
    pub async fn delivered(&self, from: Timestamp, to: Timestamp) -> Result<Delivered> {
        Ok(Delivered {
            records: self.bodies(true, from, to).await?,
            events: self.bodies(false, from, to).await?,
        })
    }

    /// The newest bodies of records, or of everything else.
    async fn bodies(&self, records: bool, from: Timestamp, to: Timestamp) -> Result<Vec<Value>> {
        let rows = sqlx::query(
            "SELECT body FROM aws_events WHERE (kind = ?1) = ?5 AND at BETWEEN ?2 AND ?3
             ORDER BY at DESC, id LIMIT ?4",
        )
        .bind(TRAIL_RECORD)
        .bind(from.as_millisecond())
        .bind(to.as_millisecond())
        .bind(EVENTS_MAX)
        .bind(records)
        .fetch_all(&self.readers)
        .await?;
        let mut bodies =
            rows.iter().map(|row| super::json(row.try_get::<&str, _>(0)?)).collect::<Result<Vec<Value>>>()?;
        bodies.reverse();
        Ok(bodies)
    }
}
