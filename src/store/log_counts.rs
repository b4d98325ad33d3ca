//! Lines that subscriptions delivered, counted by minute and log group.

use jiff::{SignedDuration, Timestamp};

use super::accept::note_delivery;
use super::{Result, Store, time};
use crate::domain::surge::{BASELINE, Minute};

/// Minutes beyond the baseline are of no use; a little more, since the newest may be late.
const KEPT: SignedDuration = SignedDuration::from_hours(25);

/// One log group with what it wrote lately.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupCounts {
    pub log_group: String,
    /// When its first line was delivered.
    pub first_at: Timestamp,
    /// Whether it is known to surge.
    pub surges: bool,
    pub minutes: Vec<Minute>,
}

impl Store {
    /// Adds delivered minutes to their groups and returns these groups as they then are; `None` where this delivery was
    /// counted before.
    pub async fn count_lines(
        &self,
        delivery: &str,
        delivered: &[(String, Vec<Minute>)],
        now: Timestamp,
    ) -> Result<Option<Vec<GroupCounts>>> {
        let mut transaction = self.begin().await?;
        if !note_delivery(&mut transaction, delivery, now).await? {
            return Ok(None);
        }
        let oldest = (now - KEPT).as_second().div_euclid(60);
        let mut groups = Vec::new();
        for (group, minutes) in delivered {
            sqlx::query(
                "INSERT INTO watched_log_groups (log_group, first_at, last_at) VALUES (?1, ?2, ?2)
                 ON CONFLICT (log_group) DO UPDATE SET last_at = excluded.last_at",
            )
            .bind(group)
            .bind(now.as_millisecond())
            .execute(&mut *transaction)
            .await?;
            for one in minutes {
                sqlx::query(
                    "INSERT INTO log_counts (log_group, minute, lines, errors) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (log_group, minute)
                     DO UPDATE SET lines = lines + excluded.lines, errors = errors + excluded.errors",
                )
                .bind(group)
                .bind(one.minute)
                .bind(one.lines as i64)
                .bind(one.errors as i64)
                .execute(&mut *transaction)
                .await?;
            }
            sqlx::query("DELETE FROM log_counts WHERE log_group = ?1 AND minute < ?2")
                .bind(group)
                .bind(oldest)
                .execute(&mut *transaction)
                .await?;
            let (first_at, surges_at): (i64, Option<i64>) =
                sqlx::query_as("SELECT first_at, surges_at FROM watched_log_groups WHERE log_group = ?1")
                    .bind(group)
                    .fetch_one(&mut *transaction)
                    .await?;
            let from = (now - BASELINE).as_second().div_euclid(60);
            let rows: Vec<(i64, i64, i64)> = sqlx::query_as(
                "SELECT minute, lines, errors FROM log_counts WHERE log_group = ?1 AND minute >= ?2 ORDER BY minute",
            )
            .bind(group)
            .bind(from)
            .fetch_all(&mut *transaction)
            .await?;
            let minutes = rows.into_iter().map(|(minute, lines, errors)| Minute {
                minute,
                lines: lines as u64,
                errors: errors as u64,
            });
            groups.push(GroupCounts {
                log_group: group.clone(),
                first_at: time(first_at),
                surges: surges_at.is_some(),
                minutes: minutes.collect(),
            });
        }
        transaction.commit().await?;
        Ok(Some(groups))
    }

    /// Notes that a group's errors surge since a moment, or do not any more.
    pub async fn note_surge(&self, log_group: &str, since: Option<Timestamp>) -> Result<()> {
        sqlx::query("UPDATE watched_log_groups SET surges_at = ?2 WHERE log_group = ?1")
            .bind(log_group)
            .bind(since.map(Timestamp::as_millisecond))
            .execute(&self.writer)
            .await?;
        Ok(())
    }
}
