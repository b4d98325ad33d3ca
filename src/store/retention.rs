//! What is let go: closed incidents after `retention`, and notes that nobody can ask for any more.
//!
//! The rule that is not obvious: a few rows at a time, so that nobody who writes waits long. The audit trail, the
//! verdicts and what people said of them stay: they are small, and they are what is asked for years later.

use jiff::{SignedDuration, Timestamp};

use super::{Result, Store, delete};
use crate::domain::incident::IncidentId;

/// Incidents in one transaction; each has some hundred rows.
const INCIDENTS_AT_ONCE: i64 = 20;
/// Small rows in one transaction.
const ROWS_AT_ONCE: i64 = 2_000;
/// A delivery is known again for so long. SNS tries for 23 days at most, Slack for hours.
const DELIVERIES_KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);
/// Delivered change events are evidence for seven days (`worker/investigate.rs`).
const EVENTS_KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);

/// What nothing else takes along, with the time before which it goes.
const OLD_ROWS: [(&str, Age); 8] = [
    (
        "DELETE FROM deliveries WHERE id IN (SELECT id FROM deliveries WHERE received_at < ?1 LIMIT ?2)",
        Age::Delivery,
    ),
    ("DELETE FROM aws_events WHERE id IN (SELECT id FROM aws_events WHERE at < ?1 LIMIT ?2)", Age::Event),
    // With what they held.
    ("DELETE FROM mutes WHERE id IN (SELECT id FROM mutes WHERE told_at < ?1 LIMIT ?2)", Age::Retention),
    (
        "DELETE FROM questions WHERE id IN (SELECT id FROM questions WHERE answered_at < ?1 LIMIT ?2)",
        Age::Retention,
    ),
    // Of what is still configured the newest state is seen again and again.
    (
        "DELETE FROM snapshots WHERE id IN (SELECT id FROM snapshots WHERE last_at < ?1 LIMIT ?2)",
        Age::Retention,
    ),
    // With what was counted of them.
    (
        "DELETE FROM watched_log_groups WHERE log_group IN (
         SELECT log_group FROM watched_log_groups WHERE last_at < ?1 LIMIT ?2)",
        Age::Retention,
    ),
    (
        "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox
         WHERE incident_id IS NULL AND state <> 'due' AND owed_at < ?1 LIMIT ?2)",
        Age::Retention,
    ),
    (
        "DELETE FROM jobs WHERE id IN (SELECT id FROM jobs
         WHERE incident_id IS NULL AND state = 'dead' AND dead_at < ?1 LIMIT ?2)",
        Age::Retention,
    ),
];

#[derive(Debug, Clone, Copy)]
enum Age {
    Delivery,
    Event,
    Retention,
}

impl Store {
    /// Lets go of some of what is older than `retention`; how many rows of its own kind. Zero: nothing is left to go.
    pub async fn prune(&self, retention: SignedDuration, now: Timestamp) -> Result<u64> {
        let before = |age: SignedDuration| now.saturating_sub(age).unwrap_or(Timestamp::MIN).as_millisecond();
        let mut gone = self.prune_incidents(before(retention)).await?;
        for (statement, age) in OLD_ROWS {
            let kept = match age {
                Age::Delivery => DELIVERIES_KEPT,
                Age::Event => EVENTS_KEPT,
                Age::Retention => retention,
            };
            let done =
                sqlx::query(statement).bind(before(kept)).bind(ROWS_AT_ONCE).execute(&self.writer).await?;
            gone += done.rows_affected();
        }
        Ok(gone)
    }

    async fn prune_incidents(&self, before: i64) -> Result<u64> {
        let mut transaction = self.begin().await?;
        let old: Vec<i64> = sqlx::query_scalar(
            "SELECT id FROM incidents WHERE closed_at < ?1 AND state = 'resolved' ORDER BY closed_at LIMIT ?2",
        )
        .bind(before)
        .bind(INCIDENTS_AT_ONCE)
        .fetch_all(&mut *transaction)
        .await?;
        for id in &old {
            delete::forget(&mut transaction, IncidentId(*id)).await?;
        }
        transaction.commit().await?;
        Ok(old.len() as u64)
    }
}
