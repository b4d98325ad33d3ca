//! What is waiting, and how long already: figures for whoever watches the bot from outside.

use jiff::{SignedDuration, Timestamp};

use super::{Result, Store, time};

/// Counts and ages at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    pub jobs_waiting: i64,
    pub jobs_dead: i64,
    /// How long the oldest job that is due has waited.
    pub jobs_oldest: SignedDuration,
    pub messages_waiting: i64,
    pub messages_dead: i64,
    /// How long the oldest message that Slack does not show yet is owed.
    pub messages_oldest: SignedDuration,
    pub incidents_open: i64,
    pub approvals_waiting: i64,
}

#[derive(sqlx::FromRow)]
struct FiguresRow {
    jobs_waiting: i64,
    jobs_dead: i64,
    jobs_since: Option<i64>,
    messages_waiting: i64,
    messages_dead: i64,
    messages_since: Option<i64>,
    incidents_open: i64,
    approvals_waiting: i64,
}

impl Store {
    /// Counts what waits at `now`.
    pub async fn figures(&self, now: Timestamp) -> Result<Figures> {
        let row: FiguresRow = sqlx::query_as(
            "SELECT (SELECT count(*) FROM jobs WHERE state = 'ready') AS jobs_waiting,
                    (SELECT count(*) FROM jobs WHERE state = 'dead') AS jobs_dead,
                    (SELECT min(run_at) FROM jobs WHERE state = 'ready' AND run_at <= ?1) AS jobs_since,
                    (SELECT count(*) FROM outbox WHERE state = 'due') AS messages_waiting,
                    (SELECT count(*) FROM outbox WHERE state = 'dead' AND NOT is_image) AS messages_dead,
                    (SELECT min(owed_at) FROM outbox WHERE state = 'due') AS messages_since,
                    (SELECT count(*) FROM incidents WHERE state <> 'resolved') AS incidents_open,
                    (SELECT count(*) FROM approvals WHERE decision IS NULL) AS approvals_waiting",
        )
        .bind(now.as_millisecond())
        .fetch_one(&self.readers)
        .await?;
        let age = |since: Option<i64>| {
            let age = since.map_or(SignedDuration::ZERO, |since| now.duration_since(time(since)));
            age.max(SignedDuration::ZERO)
        };
        Ok(Figures {
            jobs_waiting: row.jobs_waiting,
            jobs_dead: row.jobs_dead,
            jobs_oldest: age(row.jobs_since),
            messages_waiting: row.messages_waiting,
            messages_dead: row.messages_dead,
            messages_oldest: age(row.messages_since),
            incidents_open: row.incidents_open,
            approvals_waiting: row.approvals_waiting,
        })
    }
}
