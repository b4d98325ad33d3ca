//! Questions which service an alert is about, and the alerts that wait for the answer.
//!
//! The rule that is not obvious: the first answer wins in the database, and the alerts that waited are
//! accepted in the same transaction, so that an answer that was acknowledged is never half done. Where nobody
//! answers, the same is done for the service that the question named beforehand.

use jiff::Timestamp;
use sqlx::{Sqlite, Transaction};

use super::accept::{accept_in, note, note_delivery};
use super::{Accepted, JobKind, NewAlert, Origin, Result, Store, json, time, to_json};
use crate::domain::alert::Alert;
use crate::domain::incident::IncidentId;

/// An alert that fits more than one service, or none that is known.
#[derive(Debug, Clone)]
pub struct Doubt {
    /// Its service is open still; whatever it holds is replaced by the answer.
    pub alert: Alert,
    /// Empty: it names none that is known.
    pub candidates: Vec<String>,
    pub channel: String,
    /// The alert's own message; `None` where it came otherwise.
    pub thread_ts: Option<String>,
    /// The sender's delivery of it.
    pub delivery: String,
    /// An answer to the same question since then holds for this alert too.
    pub answers_since: Timestamp,
}

impl Doubt {
    /// What makes a repeated alert the same question.
    fn key(&self) -> String {
        let name = self.alert.alert_name.as_deref().or(self.alert.metric.as_deref()).unwrap_or_default();
        format!("{}\n{}\n{name}", self.channel, self.candidates.join(","))
    }
}

/// What became of a doubt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// A question was put, or the alert joined one that waits.
    Waits,
    /// The same question was answered a short time ago: this service, or none of them.
    Known(Option<String>),
    Duplicate,
}

/// A question as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    pub id: i64,
    pub asked_at: Timestamp,
    pub channel: String,
    pub thread_ts: Option<String>,
    pub candidates: Vec<String>,
    /// The first alert that waited for it.
    pub alert: Option<Alert>,
    pub answer: Option<GivenAnswer>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenAnswer {
    /// `None`: none of them.
    pub service: Option<String>,
    /// Slack user id; `None` where the alert resolved first, or where nobody answered in time.
    pub by: Option<String>,
    pub at: Timestamp,
    pub incident: Option<IncidentId>,
}

/// What an answer came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chosen {
    /// It counts; with what the alerts came to, where a service was named.
    Counts(Option<Accepted>),
    /// Somebody was first.
    TooLate(GivenAnswer),
    /// No such question in this channel, or no such answer to it.
    Foreign,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    asked_at: i64,
    channel: String,
    thread_ts: String,
    candidates: String,
    answered_at: Option<i64>,
    answered_by: Option<String>,
    service: Option<String>,
    incident_id: Option<i64>,
}

impl Row {
    fn thread(&self) -> Option<String> {
        (!self.thread_ts.is_empty()).then(|| self.thread_ts.clone())
    }

    fn answer(&self) -> Option<GivenAnswer> {
        Some(GivenAnswer {
            service: self.service.clone(),
            by: self.answered_by.clone(),
            at: time(self.answered_at?),
            incident: self.incident_id.map(IncidentId),
        })
    }
}

impl Store {
    /// Puts a question, or adds the alert to the one that waits. When this returns the alert is on disk.
    pub async fn ask_which(&self, doubt: &Doubt, now: Timestamp) -> Result<Settled> {
        let key = doubt.key();
        let mut transaction = self.begin().await?;
        let answered: Option<(Option<String>,)> = sqlx::query_as(
            "SELECT service FROM questions WHERE key = ?1 AND answered_at >= ?2
               AND (answered_by IS NOT NULL OR service IS NOT NULL)
             ORDER BY answered_at DESC LIMIT 1",
        )
        .bind(&key)
        .bind(doubt.answers_since.as_millisecond())
        .fetch_optional(&mut *transaction)
        .await?;
        if let Some((service,)) = answered {
            return Ok(Settled::Known(service));
        }
        if !note_delivery(&mut transaction, &doubt.delivery, now).await? {
            return Ok(Settled::Duplicate);
        }
        let open: Option<i64> =
            sqlx::query_scalar("SELECT id FROM questions WHERE key = ?1 AND answered_at IS NULL")
                .bind(&key)
                .fetch_optional(&mut *transaction)
                .await?;
        let id = match open {
            Some(id) => id,
            None => {
                let question: i64 = sqlx::query_scalar(
                    "INSERT INTO questions (key, asked_at, channel, thread_ts, candidates)
                     VALUES (?1, ?2, ?3, ?4, ?5) RETURNING id",
                )
                .bind(&key)
                .bind(now.as_millisecond())
                .bind(&doubt.channel)
                .bind(doubt.thread_ts.as_deref().unwrap_or_default())
                .bind(to_json(&doubt.candidates)?)
                .fetch_one(&mut *transaction)
                .await?;
                super::jobs::enqueue(&mut transaction, &JobKind::AskWhich { question }, None, now).await?;
                question
            }
        };
        sqlx::query("INSERT INTO question_alerts (question_id, received_at, body) VALUES (?1, ?2, ?3)")
            .bind(id)
            .bind(now.as_millisecond())
            .bind(to_json(&doubt.alert)?)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(Settled::Waits)
    }

    /// Somebody chose a service, or none of them.
    pub async fn choose(
        &self,
        id: i64,
        channel: &str,
        service: Option<&str>,
        by: &str,
        now: Timestamp,
    ) -> Result<Chosen> {
        let mut transaction = self.begin().await?;
        let row = row_in(&mut transaction, id).await?.filter(|row| row.channel == channel);
        let Some(row) = row else { return Ok(Chosen::Foreign) };
        let candidates: Vec<String> = json(&row.candidates)?;
        let offered = |service: &str| candidates.is_empty() || candidates.iter().any(|one| one == service);
        if service.is_some_and(|service| !offered(service)) {
            return Ok(Chosen::Foreign);
        }
        if let Some(answer) = row.answer() {
            return Ok(Chosen::TooLate(answer));
        }
        let first = settle(&mut transaction, &row, service, Some(by), now).await?;
        transaction.commit().await?;
        Ok(Chosen::Counts(first))
    }

    /// Nobody answered in time: the alerts are about the service that the question named for that. False where
    /// it was answered.
    pub async fn fall_back(&self, id: i64, service: &str, now: Timestamp) -> Result<bool> {
        let mut transaction = self.begin().await?;
        let row = row_in(&mut transaction, id).await?.filter(|row| row.answered_at.is_none());
        let Some(row) = row else { return Ok(false) };
        settle(&mut transaction, &row, Some(service), None, now).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// A question as it stands.
    pub async fn question(&self, id: i64) -> Result<Option<Question>> {
        let row: Option<Row> = sqlx::query_as(
            "SELECT id, asked_at, channel, thread_ts, candidates, answered_at, answered_by, service, incident_id
             FROM questions WHERE id = ?1",
        )
        .bind(id)
        .fetch_optional(&self.readers)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let first: Option<String> =
            sqlx::query_scalar("SELECT body FROM question_alerts WHERE question_id = ?1 ORDER BY id LIMIT 1")
                .bind(id)
                .fetch_optional(&self.readers)
                .await?;
        Ok(Some(Question {
            answer: row.answer(),
            candidates: json(&row.candidates)?,
            alert: first.map(|body| json(&body)).transpose()?,
            id: row.id,
            asked_at: time(row.asked_at),
            thread_ts: row.thread(),
            channel: row.channel,
        }))
    }
}

async fn row_in(transaction: &mut Transaction<'static, Sqlite>, id: i64) -> Result<Option<Row>> {
    Ok(sqlx::query_as(
        "SELECT id, asked_at, channel, thread_ts, candidates, answered_at, answered_by, service, incident_id
         FROM questions WHERE id = ?1",
    )
    .bind(id)
    .fetch_optional(&mut **transaction)
    .await?)
}

/// Answers a question within a transaction: the alerts that waited are accepted with it.
async fn settle(
    transaction: &mut Transaction<'static, Sqlite>,
    row: &Row,
    service: Option<&str>,
    by: Option<&str>,
    now: Timestamp,
) -> Result<Option<Accepted>> {
    let mut first = None;
    if let Some(service) = service {
        let waiting: Vec<String> =
            sqlx::query_scalar("SELECT body FROM question_alerts WHERE question_id = ?1 ORDER BY id")
                .bind(row.id)
                .fetch_all(&mut **transaction)
                .await?;
        for body in waiting {
            let alert = Alert { service: service.to_owned(), ..json(&body)? };
            let origin =
                Origin { channel: Some(row.channel.clone()), thread_ts: row.thread(), ..Origin::default() };
            let accepted = accept_in(transaction, &NewAlert { alert, origin }, now).await?;
            first = first.or(Some(accepted));
        }
    }
    let incident = first.and_then(Accepted::incident);
    if let Some(incident) = incident {
        let line = match by {
            Some(by) => format!("<@{by}> said which service the alert is about"),
            None => "nobody said which service the alert is about; it is taken to be this one".to_owned(),
        };
        note(transaction, incident, now, &line).await?;
    }
    sqlx::query(
        "UPDATE questions SET answered_at = ?2, answered_by = ?3, service = ?4, incident_id = ?5 WHERE id = ?1",
    )
    .bind(row.id)
    .bind(now.as_millisecond())
    .bind(by)
    .bind(service)
    .bind(incident.map(|incident| incident.0))
    .execute(&mut **transaction)
    .await?;
    super::jobs::enqueue(transaction, &JobKind::AskWhich { question: row.id }, None, now).await?;
    Ok(first)
}

/// The alert resolved: a question that waits is not asked any more. With the service of the last answer, whose
/// incident resolves with it, however long ago that was: the incident may be open as long.
pub(super) async fn end_in(
    transaction: &mut Transaction<'static, Sqlite>,
    doubt: &Doubt,
    now: Timestamp,
) -> Result<Option<String>> {
    let key = doubt.key();
    let open: Option<i64> = sqlx::query_scalar(
        "UPDATE questions SET answered_at = ?2 WHERE key = ?1 AND answered_at IS NULL RETURNING id",
    )
    .bind(&key)
    .bind(now.as_millisecond())
    .fetch_optional(&mut **transaction)
    .await?;
    if let Some(question) = open {
        super::jobs::enqueue(transaction, &JobKind::AskWhich { question }, None, now).await?;
    }
    let service: Option<Option<String>> = sqlx::query_scalar(
        "SELECT service FROM questions WHERE key = ?1 AND (answered_by IS NOT NULL OR service IS NOT NULL)
         ORDER BY answered_at DESC LIMIT 1",
    )
    .bind(&key)
    .fetch_optional(&mut **transaction)
    .await?;
    Ok(service.flatten())
}
