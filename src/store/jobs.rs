//! The queue of work: what was promised and is not done yet.
//!
//! The rule that is not obvious: a job may run twice (its lease ran out, the process died after the
//! work and before the note of it). Each step looks at what is saved before it acts.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::{Sqlite, Transaction};

use super::{Result, Store, json, to_json};
use crate::domain::approval::Refusal;
use crate::domain::audit::What;
use crate::domain::incident::IncidentId;
use crate::domain::redact;

/// How long a worker may be silent about a job before another takes it. Longer than the slowest
/// step's own deadline (an investigation's 45 s), so that only a dead worker loses its job.
const LEASE: Duration = Duration::from_secs(90);
/// After so many attempts a job is put aside for a person to look at.
const ATTEMPTS_MAX: i64 = 8;
/// After so many beginnings whose end nobody saw a job is put aside too: the process may have died of it. More than
/// any series of ordinary restarts.
const ENDS_MAX: i64 = 40;
/// First and longest wait between attempts.
const BACK_OFF: Duration = Duration::from_secs(1);
const BACK_OFF_MAX: Duration = Duration::from_secs(300);
/// Investigations at the same time: each waits for AWS, whose limits they share, and holds its evidence in memory.
/// Fewer than there are workers, so that a click never waits for one.
pub const INVESTIGATIONS_AT_ONCE: i64 = 4;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "job")]
pub enum JobKind {
    /// Gather evidence, weigh it, save the verdict.
    Investigate,
    /// Post the verdict with its chart and, where there is a plan, the button.
    Report { round: i64 },
    /// Somebody clicked a button: decide whether that counts.
    Decide { click: ClickedButton },
    /// Make the approved change, once.
    RollBack { approval: String },
    /// See whether it helped.
    Verify { approval: String },
    /// See whose hand changed what is there, where no answer told.
    Settle { approval: String },
    /// End a test: its time is over, or somebody wants it to.
    EndTrial {
        approval: String,
        #[serde(default)]
        pressed: Option<EndPressed>,
    },
    /// Read what was counted in a test that is over.
    ReadTrial { approval: String },
    /// An approval nobody decided.
    Expire { approval: String },
    /// Close an incident of which nothing new was heard.
    CloseQuiet,
    /// Ask late sources again: the how-manieth time, from 0.
    LookAgain { round: i64, times: usize },
    /// Bring the headline up to date.
    Headline,
    /// Alerts were held back until now: tell which.
    EndMute { mute: i64 },
    /// Show the question which service an alert is about, as it stands.
    AskWhich { question: i64 },
    /// Show how a storm stands that began then.
    Storm { began_at: Timestamp },
    /// Look at what a service is configured like: something of it was changed.
    Record { service: String },
}

impl JobKind {
    /// Whether its step reads and weighs only: cut short, it is simply done anew.
    pub fn only_reads(&self) -> bool {
        matches!(self, Self::Investigate | Self::LookAgain { .. })
    }

    /// What it is called in the queue, in the log and in traces.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Investigate => "investigate",
            Self::Report { .. } => "report",
            Self::Decide { .. } => "decide",
            Self::RollBack { .. } => "roll_back",
            Self::Verify { .. } => "verify",
            Self::Settle { .. } => "settle",
            Self::EndTrial { .. } => "end_trial",
            Self::ReadTrial { .. } => "read_trial",
            Self::Expire { .. } => "expire",
            Self::CloseQuiet => "close_quiet",
            Self::LookAgain { .. } => "look_again",
            Self::Headline => "headline",
            Self::EndMute { .. } => "end_mute",
            Self::AskWhich { .. } => "ask_which",
            Self::Storm { .. } => "storm",
            Self::Record { .. } => "record",
        }
    }
}

/// Who ends a test before its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndPressed {
    /// Slack user id.
    pub by: String,
    /// Slack's delivery of the click.
    pub click: String,
}

/// A click as Slack told it, stored before it is acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClickedButton {
    /// Slack's delivery of it, the same in every retry; empty for clicks stored before it was kept.
    #[serde(default)]
    pub delivery: String,
    pub action_id: String,
    /// The approval's id, or the incident's for buttons that decide nothing.
    pub value: String,
    pub user: String,
    pub channel: String,
    pub message_ts: String,
    #[serde(default)]
    pub thread_ts: Option<String>,
    /// What the person wrote, where a button asks for a reason.
    #[serde(default)]
    pub reason: Option<String>,
}

impl ClickedButton {
    /// Whether its button decides about an approval or what was begun under one.
    pub fn decides(&self) -> bool {
        matches!(
            self.action_id.as_str(),
            "rollback_approve" | "rollback_reject" | "rollback_break_glass" | "trial_end"
        )
    }

    /// The row of the trail that tells why it does not count.
    pub fn refused(&self, refusal: &Refusal) -> What {
        What::Refused {
            action: self.action_id.clone(),
            click: self.delivery.clone(),
            channel: self.channel.clone(),
            refusal: refusal.name().to_owned(),
            sentence: refusal.to_string(),
        }
    }

    /// Whether it can be told apart from other clicks.
    pub fn is_known(&self) -> bool {
        !self.delivery.is_empty()
    }
}

#[derive(Debug, Clone)]
pub struct Job {
    pub id: i64,
    pub incident: Option<IncidentId>,
    pub kind: JobKind,
    pub attempts: i64,
}

impl Job {
    /// Whether it is put aside where it fails once more.
    pub fn is_last_attempt(&self) -> bool {
        self.attempts >= ATTEMPTS_MAX
    }

    /// Whether the process ended so often while this was under way that it may be the reason.
    pub fn is_deadly(&self) -> bool {
        self.attempts > ENDS_MAX
    }
}

#[derive(sqlx::FromRow)]
struct JobRow {
    id: i64,
    incident_id: Option<i64>,
    payload: String,
    attempts: i64,
}

pub(super) async fn enqueue(
    transaction: &mut Transaction<'static, Sqlite>,
    kind: &JobKind,
    incident: Option<IncidentId>,
    run_at: Timestamp,
) -> Result<()> {
    sqlx::query("INSERT INTO jobs (kind, incident_id, payload, run_at) VALUES (?1, ?2, ?3, ?4)")
        .bind(kind.name())
        .bind(incident.map(|incident| incident.0))
        .bind(to_json(kind)?)
        .bind(run_at.as_millisecond())
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

/// Queues a look at the headline for that time, unless one waits already that comes no later: it will see what is
/// stored then.
pub(super) async fn enqueue_headline(
    transaction: &mut Transaction<'static, Sqlite>,
    incident: IncidentId,
    at: Timestamp,
) -> Result<()> {
    let waiting: Option<i64> = sqlx::query_scalar(
        "SELECT id FROM jobs WHERE incident_id = ?1 AND kind = ?2 AND state = 'ready'
         AND run_at <= ?3 AND leased_until IS NULL LIMIT 1",
    )
    .bind(incident.0)
    .bind(JobKind::Headline.name())
    .bind(at.as_millisecond())
    .fetch_optional(&mut **transaction)
    .await?;
    match waiting {
        Some(_) => Ok(()),
        None => enqueue(transaction, &JobKind::Headline, Some(incident), at).await,
    }
}

impl Store {
    /// Queues work on its own.
    pub async fn enqueue(
        &self,
        kind: &JobKind,
        incident: Option<IncidentId>,
        run_at: Timestamp,
    ) -> Result<()> {
        let mut transaction = self.begin().await?;
        enqueue(&mut transaction, kind, incident, run_at).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Stores a click once; false where this delivery was stored before.
    pub async fn accept_click(&self, delivery: &str, click: ClickedButton, now: Timestamp) -> Result<bool> {
        let mut transaction = self.begin().await?;
        if !super::accept::note_delivery(&mut transaction, delivery, now).await? {
            return Ok(false);
        }
        enqueue(&mut transaction, &JobKind::Decide { click }, None, now).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Takes the next job that is due and leases it.
    ///
    /// Jobs of one incident run one after another: a job waits while another of its incident is leased. What people
    /// wait for goes before investigations, and those before second looks. Of equal ones the service goes first on
    /// which the fewest workers are, so that one noisy service does not starve another. How an incident stands that
    /// waits for its investigation is told when that begins.
    ///
    /// A job that cannot be read, such as another version's, is put aside at once: it would only be claimed again.
    pub async fn claim(&self, now: Timestamp) -> Result<Option<Job>> {
        while let Some(row) = self.lease_next(now).await? {
            match json(&row.payload) {
                Ok(kind) => {
                    return Ok(Some(Job {
                        id: row.id,
                        incident: row.incident_id.map(IncidentId),
                        kind,
                        attempts: row.attempts,
                    }));
                }
                Err(error) => {
                    tracing::error!(job = row.id, %error, "a job that cannot be read is put aside");
                    self.put_job_aside(row.id, &error.to_string(), now).await?;
                }
            }
        }
        Ok(None)
    }

    async fn lease_next(&self, now: Timestamp) -> Result<Option<JobRow>> {
        let row: Option<JobRow> = sqlx::query_as(
            "UPDATE jobs SET leased_until = ?2, attempts = attempts + 1
             WHERE id = (
                 SELECT due.id FROM jobs AS due LEFT JOIN incidents AS mine ON mine.id = due.incident_id
                 WHERE due.state = 'ready' AND due.run_at <= ?1 AND coalesce(due.leased_until, 0) <= ?1
                   AND NOT EXISTS (SELECT 1 FROM jobs AS busy
                                   WHERE busy.incident_id = due.incident_id AND busy.id <> due.id
                                     AND busy.state = 'ready' AND busy.leased_until > ?1)
                   AND NOT (due.kind = 'headline'
                            AND EXISTS (SELECT 1 FROM jobs AS first
                                        WHERE first.incident_id = due.incident_id AND first.kind = 'investigate'
                                          AND first.state = 'ready' AND first.run_at <= ?1))
                   AND (due.kind NOT IN ('investigate', 'look_again')
                        OR ?3 > (SELECT count(*) FROM jobs AS busy
                                 WHERE busy.leased_until > ?1 AND busy.state = 'ready'
                                   AND busy.kind IN ('investigate', 'look_again')))
                 ORDER BY CASE due.kind WHEN 'look_again' THEN 2 WHEN 'investigate' THEN 1 ELSE 0 END,
                          (SELECT count(*) FROM jobs AS busy JOIN incidents AS theirs ON theirs.id = busy.incident_id
                           WHERE busy.leased_until > ?1 AND busy.state = 'ready' AND theirs.service = mine.service),
                          due.run_at, due.id
                 LIMIT 1)
             RETURNING id, incident_id, payload, attempts",
        )
        .bind(now.as_millisecond())
        .bind(now.as_millisecond() + LEASE.as_millis() as i64)
        .bind(INVESTIGATIONS_AT_ONCE)
        .fetch_optional(&self.writer)
        .await?;
        Ok(row)
    }

    async fn put_job_aside(&self, job: i64, error: &str, now: Timestamp) -> Result<()> {
        sqlx::query(
            "UPDATE jobs SET state = 'dead', leased_until = NULL, last_error = ?2, dead_at = ?3 WHERE id = ?1",
        )
        .bind(job)
        .bind(redact::text(error))
        .bind(now.as_millisecond())
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    /// When the next job is due; `None` where none waits.
    pub async fn next_due(&self) -> Result<Option<Timestamp>> {
        let next: Option<i64> = sqlx::query_scalar(
            "SELECT min(max(run_at, coalesce(leased_until, 0))) FROM jobs WHERE state = 'ready'",
        )
        .fetch_one(&self.readers)
        .await?;
        Ok(next.map(super::time))
    }

    /// The work is done.
    pub async fn finish(&self, job: i64) -> Result<()> {
        sqlx::query("DELETE FROM jobs WHERE id = ?1").bind(job).execute(&self.writer).await?;
        Ok(())
    }

    /// The work is to be done again at `run_at`, by plan and not because it failed.
    pub async fn again(&self, job: i64, run_at: Timestamp) -> Result<()> {
        sqlx::query("UPDATE jobs SET run_at = ?2, leased_until = NULL, attempts = 0 WHERE id = ?1")
            .bind(job)
            .bind(run_at.as_millisecond())
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    /// The work failed: it is tried again later, each time after a longer wait, and put aside at
    /// last. True where it was put aside.
    pub async fn fail(&self, job: &Job, error: &str, now: Timestamp) -> Result<bool> {
        if job.is_last_attempt() {
            self.put_job_aside(job.id, error, now).await?;
            return Ok(true);
        }
        let exponent = u32::try_from(job.attempts.clamp(1, 20) - 1).unwrap_or(0);
        let wait = BACK_OFF.saturating_mul(2u32.saturating_pow(exponent)).min(BACK_OFF_MAX);
        sqlx::query("UPDATE jobs SET run_at = ?2, leased_until = NULL, last_error = ?3 WHERE id = ?1")
            .bind(job.id)
            .bind(now.as_millisecond() + wait.as_millis() as i64)
            .bind(redact::text(error))
            .execute(&self.writer)
            .await?;
        Ok(false)
    }

    /// How many jobs wait, and how many were put aside.
    pub async fn queue_depth(&self) -> Result<(i64, i64)> {
        let depth = sqlx::query_as(
            "SELECT coalesce(sum(state = 'ready'), 0), coalesce(sum(state = 'dead'), 0) FROM jobs",
        )
        .fetch_one(&self.readers)
        .await?;
        Ok(depth)
    }

    /// Gives back every lease, for the one process that holds the lock: whoever held them is gone.
    pub async fn release_leases(&self, now: Timestamp) -> Result<()> {
        sqlx::query("UPDATE jobs SET leased_until = NULL").execute(&self.writer).await?;
        super::outbox::release(self, now).await
    }
}
