//! Alerts that are held back for a time, and that they resolved in the meantime.
//!
//! The rule that is not obvious: a held alert is kept like any other, and its delivery is noted with
//! it; only the incident is missing. A service has one mute at a time: another one replaces its end.

use jiff::Timestamp;
use serde::Serialize;
use sqlx::{Sqlite, Transaction};

use super::{JobKind, Once, Result, Store, json, time, to_json};
use crate::domain::alert::{Alert, AlertState};

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mute {
    pub id: i64,
    pub service: String,
    pub reason: String,
    /// Slack user id, or whatever else muted it.
    pub by: String,
    pub channel: Option<String>,
    pub began_at: Timestamp,
    pub until: Timestamp,
    pub ended_at: Option<Timestamp>,
    pub ended_by: Option<String>,
    pub told_at: Option<Timestamp>,
    /// How many alerts were held so far.
    pub held: i64,
}

/// An alert that came while its service was muted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Held {
    /// When it was received.
    pub at: Timestamp,
    pub alert: Alert,
    pub state: AlertState,
}

/// A mute that is asked for.
#[derive(Debug, Clone)]
pub struct NewMute {
    pub service: String,
    pub reason: String,
    pub by: String,
    pub channel: Option<String>,
    pub until: Timestamp,
    /// The delivery that asks for it.
    pub delivery: Option<String>,
}

/// A mute's own row, with how many alerts it held.
macro_rules! mutes_that {
    ($condition:literal) => {
        concat!(
            "SELECT id, service, reason, muted_by, channel, began_at, until, ended_at, ended_by, told_at,
                    (SELECT count(*) FROM held_alerts WHERE mute_id = mutes.id AND NOT resolved) AS held
             FROM mutes WHERE ",
            $condition
        )
    };
}

#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    service: String,
    reason: String,
    muted_by: String,
    channel: Option<String>,
    began_at: i64,
    until: i64,
    ended_at: Option<i64>,
    ended_by: Option<String>,
    told_at: Option<i64>,
    held: i64,
}

impl From<Row> for Mute {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            service: row.service,
            reason: row.reason,
            by: row.muted_by,
            channel: row.channel,
            began_at: time(row.began_at),
            until: time(row.until),
            ended_at: row.ended_at.map(time),
            ended_by: row.ended_by,
            told_at: row.told_at.map(time),
            held: row.held,
        }
    }
}

/// Holds an alert back where its service is muted; the end of the mute where it was held.
pub(super) async fn hold(
    transaction: &mut Transaction<'static, Sqlite>,
    alert: &Alert,
    state: AlertState,
    now: Timestamp,
) -> Result<Option<Timestamp>> {
    let mute: Option<(i64, i64)> =
        sqlx::query_as("SELECT id, until FROM mutes WHERE service = ?1 AND ended_at IS NULL AND until > ?2")
            .bind(&alert.service)
            .bind(now.as_millisecond())
            .fetch_optional(&mut **transaction)
            .await?;
    let Some((id, until)) = mute else { return Ok(None) };
    sqlx::query("INSERT INTO held_alerts (mute_id, received_at, body, resolved) VALUES (?1, ?2, ?3, ?4)")
        .bind(id)
        .bind(now.as_millisecond())
        .bind(to_json(alert)?)
        .bind(state == AlertState::Resolved)
        .execute(&mut **transaction)
        .await?;
    Ok(Some(time(until)))
}

impl Store {
    /// Holds a service's alerts back until a time. False where it was muted already: then the end and
    /// the reason are the new ones.
    pub async fn mute(&self, new: &NewMute, now: Timestamp) -> Result<Once<bool>> {
        let Some(mut transaction) = self.begin_once(new.delivery.as_deref(), now).await? else {
            return Ok(Once::Before);
        };
        let active: Option<i64> =
            sqlx::query_scalar("SELECT id FROM mutes WHERE service = ?1 AND ended_at IS NULL")
                .bind(&new.service)
                .fetch_optional(&mut *transaction)
                .await?;
        let id: i64 = match active {
            Some(id) => {
                sqlx::query("UPDATE mutes SET reason = ?2, muted_by = ?3, until = ?4 WHERE id = ?1")
                    .bind(id)
                    .bind(&new.reason)
                    .bind(&new.by)
                    .bind(new.until.as_millisecond())
                    .execute(&mut *transaction)
                    .await?;
                id
            }
            None => {
                sqlx::query_scalar(
                    "INSERT INTO mutes (service, reason, muted_by, channel, began_at, until)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6) RETURNING id",
                )
                .bind(&new.service)
                .bind(&new.reason)
                .bind(&new.by)
                .bind(&new.channel)
                .bind(now.as_millisecond())
                .bind(new.until.as_millisecond())
                .fetch_one(&mut *transaction)
                .await?
            }
        };
        // The job of an earlier end finds that it is not time yet, or no more.
        super::jobs::enqueue(&mut transaction, &JobKind::EndMute { mute: id }, None, new.until).await?;
        transaction.commit().await?;
        Ok(Once::Done(active.is_none()))
    }

    /// Whether a service's alerts are held back now.
    pub async fn is_muted(&self, service: &str, now: Timestamp) -> Result<bool> {
        let muted = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM mutes WHERE service = ?1 AND ended_at IS NULL AND until > ?2)",
        )
        .bind(service)
        .bind(now.as_millisecond())
        .fetch_one(&self.readers)
        .await?;
        Ok(muted)
    }

    /// Ends a service's mute now; false where there is none.
    pub async fn unmute(
        &self,
        service: &str,
        by: &str,
        delivery: Option<&str>,
        now: Timestamp,
    ) -> Result<Once<bool>> {
        let Some(mut transaction) = self.begin_once(delivery, now).await? else { return Ok(Once::Before) };
        let id: Option<i64> = sqlx::query_scalar(
            "UPDATE mutes SET until = ?2, ended_at = ?2, ended_by = ?3
             WHERE service = ?1 AND ended_at IS NULL RETURNING id",
        )
        .bind(service)
        .bind(now.as_millisecond())
        .bind(by)
        .fetch_optional(&mut *transaction)
        .await?;
        if let Some(mute) = id {
            super::jobs::enqueue(&mut transaction, &JobKind::EndMute { mute }, None, now).await?;
        }
        transaction.commit().await?;
        Ok(Once::Done(id.is_some()))
    }

    /// Notes that a mute's time is up.
    pub async fn end_mute(&self, id: i64, now: Timestamp) -> Result<()> {
        sqlx::query("UPDATE mutes SET ended_at = ?2 WHERE id = ?1 AND ended_at IS NULL")
            .bind(id)
            .bind(now.as_millisecond())
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    /// Notes that people were told what was held.
    pub async fn note_mute_told(&self, id: i64, now: Timestamp) -> Result<()> {
        sqlx::query("UPDATE mutes SET told_at = ?2 WHERE id = ?1")
            .bind(id)
            .bind(now.as_millisecond())
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    pub async fn mute_of(&self, id: i64) -> Result<Option<Mute>> {
        let row: Option<Row> =
            sqlx::query_as(mutes_that!("id = ?1")).bind(id).fetch_optional(&self.readers).await?;
        Ok(row.map(Into::into))
    }

    /// What is held back now, the first to end first.
    pub async fn active_mutes(&self, now: Timestamp) -> Result<Vec<Mute>> {
        let rows: Vec<Row> =
            sqlx::query_as(mutes_that!("ended_at IS NULL AND until > ?1 ORDER BY until, id"))
                .bind(now.as_millisecond())
                .fetch_all(&self.readers)
                .await?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    /// Mutes whose end was not told yet, and with `told` those as well whose end was and that are kept still; the first
    /// to end first.
    pub async fn mutes(&self, told: bool) -> Result<Vec<Mute>> {
        let rows: Vec<Row> = sqlx::query_as(mutes_that!("?1 OR told_at IS NULL ORDER BY until, id"))
            .bind(told)
            .fetch_all(&self.readers)
            .await?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    /// What a mute held, in the order in which it came.
    pub async fn held_alerts(&self, mute: i64) -> Result<Vec<Held>> {
        let rows: Vec<(i64, String, bool)> = sqlx::query_as(
            "SELECT received_at, body, resolved FROM held_alerts WHERE mute_id = ?1 ORDER BY id",
        )
        .bind(mute)
        .fetch_all(&self.readers)
        .await?;
        let held = rows.into_iter().map(|(at, body, resolved)| {
            let state = if resolved { AlertState::Resolved } else { AlertState::Firing };
            Ok(Held { at: time(at), alert: json(&body)?, state })
        });
        held.collect()
    }

    /// Names of services that had incidents, the latest first.
    pub async fn services_seen(&self, limit: i64) -> Result<Vec<String>> {
        let names = sqlx::query_scalar(
            "SELECT service FROM incidents GROUP BY service ORDER BY max(id) DESC LIMIT ?1",
        )
        .bind(limit)
        .fetch_all(&self.readers)
        .await?;
        Ok(names)
    }
}
