//! What waits for a time, where the machine's clock goes back.
//!
//! The rule that is not obvious: a clock that goes back was ahead before, and whatever it planned is as much too late.
//! So all that waits moves with it, and what waits is counted from then on as it was meant. What only tells (alerts,
//! history, decisions, the audit trail) stays as it was written, and so does what is held against AWS's own times.

use jiff::{SignedDuration, Timestamp};

use super::{Result, Store, time};

/// Each takes how far it goes back, in milliseconds.
const WAITING: [&str; 4] = [
    "UPDATE jobs SET run_at = run_at - ?1, leased_until = leased_until - ?1 WHERE state = 'ready'",
    // With what says in which order messages go, since when they wait, and from when on Slack is asked for one that
    // may be there. Those that Slack shows as well: they wait when they are edited next.
    "UPDATE outbox SET not_before = not_before - ?1, leased_until = leased_until - ?1, owed_at = owed_at - ?1,
            sending_since = sending_since - ?1",
    // Alerts are held back as long as somebody asked for.
    "UPDATE mutes SET until = until - ?1 WHERE ended_at IS NULL",
    "UPDATE questions SET asked_at = asked_at - ?1 WHERE answered_at IS NULL",
];

impl Store {
    /// The clock went back by so much: whatever waits for a time waits for the same moment as before.
    pub async fn clock_went_back(&self, by: SignedDuration) -> Result<()> {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        let mut transaction = self.begin().await?;
        for statement in WAITING {
            sqlx::query(statement).bind(by).execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// The newest time at which anything was written; `None` for an empty database. A clock that shows less went back.
    pub async fn last_written(&self) -> Result<Option<Timestamp>> {
        let newest: Option<i64> = sqlx::query_scalar(
            "SELECT max(at) FROM (
                 SELECT written_at AS at FROM pulse
                 UNION ALL SELECT * FROM (SELECT received_at FROM alerts ORDER BY id DESC LIMIT 1)
                 UNION ALL SELECT * FROM (SELECT at FROM timeline ORDER BY id DESC LIMIT 1))",
        )
        .fetch_one(&self.readers)
        .await?;
        Ok(newest.map(time))
    }
}
