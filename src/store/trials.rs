//! Small tests under way: how they end, and what was counted in them.
//!
//! The rule that is not obvious: the end of a test is an approval of its own, decided with the test or by whoever ends
//! it early, so that it is made once and under the same marks as every change. Until AWS shows that all of the traffic
//! is back, or that somebody else has moved it, the test is under way.

use jiff::{SignedDuration, Timestamp};

use super::accept::note;
use super::approvals::request;
use super::audit::append;
use super::states::{look_again, move_state, state_in};
use super::{Approval, Asked, Decided, JobKind, Result, Store, json, time, to_json};
use crate::domain::approval::Decision;
use crate::domain::audit::{BOT, What};
use crate::domain::incident::{Event, IncidentId, State};
use crate::domain::plan::Plan;
use crate::domain::trial::Trial;

/// An end that could not be sent for so long is looked at anew, as every approval that is too old.
const END_WITHIN: SignedDuration = SignedDuration::from_hours(1);

/// When and how a test ended, and its result once that is read.
#[derive(Debug, Clone, PartialEq)]
pub struct TrialEnd {
    pub at: Timestamp,
    /// For people.
    pub how: String,
    pub result: Option<Trial>,
}

impl Store {
    /// The ends of a test that were asked for, in order.
    pub async fn ends_of(&self, trial: &Approval) -> Result<Vec<Approval>> {
        let all = self.approvals_of(trial.incident).await?;
        Ok(all.into_iter().filter(|one| one.undoes.as_deref() == Some(&trial.id)).collect())
    }

    /// Has a test ended by this plan: its approval, which is decided already, and the job that carries it out. False
    /// where that is under way, or the test is over.
    pub async fn end_trial(
        &self,
        trial: &Approval,
        plan: &Plan,
        decided: &Decided<'_>,
        now: Timestamp,
    ) -> Result<bool> {
        let mut transaction = self.begin().await?;
        let busy: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM approvals WHERE undoes = ?1 AND outcome IS NULL)
                 OR EXISTS (SELECT 1 FROM trials WHERE approval_id = ?1)",
        )
        .bind(&trial.id)
        .fetch_one(&mut *transaction)
        .await?;
        if busy || state_in(&mut transaction, trial.incident).await? != Some(State::Trying) {
            return Ok(false);
        }
        let asked = Asked { plan, expires_after: END_WITHIN, undoes: Some(&trial.id) };
        let id = request(&mut transaction, trial.incident, &asked, now).await?;
        sqlx::query(
            "UPDATE approvals SET decision = ?2, decided_by = ?3, decided_at = ?4, reason = ?5 WHERE id = ?1",
        )
        .bind(&id)
        .bind(decided.decision.as_str())
        .bind(decided.by)
        .bind(now.as_millisecond())
        .bind(decided.reason)
        .execute(&mut *transaction)
        .await?;
        let mut entry = trial.entry(decided.by.unwrap_or(BOT), now, decided.as_row());
        entry.approval = Some(id.clone());
        append(&mut transaction, &entry).await?;
        if decided.decision == Decision::Approved {
            let job = JobKind::RollBack { approval: id };
            super::jobs::enqueue(&mut transaction, &job, Some(trial.incident), now).await?;
        }
        transaction.commit().await?;
        Ok(true)
    }

    /// Notes that a test is over, and when its result is read; the first word stands.
    pub async fn note_trial_over(
        &self,
        trial: &Approval,
        how: &str,
        read_at: Timestamp,
        now: Timestamp,
    ) -> Result<()> {
        let mut transaction = self.begin().await?;
        let done = sqlx::query(
            "INSERT INTO trials (approval_id, incident_id, ended_at, how) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO NOTHING",
        )
        .bind(&trial.id)
        .bind(trial.incident.0)
        .bind(now.as_millisecond())
        .bind(how)
        .execute(&mut *transaction)
        .await?;
        if done.rows_affected() == 1 {
            note(&mut transaction, trial.incident, now, how).await?;
            let job = JobKind::ReadTrial { approval: trial.id.clone() };
            super::jobs::enqueue(&mut transaction, &job, Some(trial.incident), read_at).await?;
            transaction.commit().await?;
        }
        Ok(())
    }

    /// How a test ended; `None` while it is under way.
    pub async fn trial_end(&self, trial: &Approval) -> Result<Option<TrialEnd>> {
        let row: Option<(i64, String, Option<String>)> =
            sqlx::query_as("SELECT ended_at, how, result FROM trials WHERE approval_id = ?1")
                .bind(&trial.id)
                .fetch_optional(&self.readers)
                .await?;
        row.map(|(at, how, result)| {
            Ok(TrialEnd { at: time(at), how, result: result.as_deref().map(json).transpose()? })
        })
        .transpose()
    }

    /// Keeps what was counted, and has the incident investigated anew with it. False where it was kept before.
    pub async fn note_trial_result(
        &self,
        approval: &Approval,
        trial: &Trial,
        words: &str,
        now: Timestamp,
    ) -> Result<bool> {
        let mut transaction = self.begin().await?;
        let done = sqlx::query("UPDATE trials SET result = ?2 WHERE approval_id = ?1 AND result IS NULL")
            .bind(&approval.id)
            .bind(to_json(trial)?)
            .execute(&mut *transaction)
            .await?;
        if done.rows_affected() != 1 {
            return Ok(false);
        }
        sqlx::query("UPDATE approvals SET outcome = ?2 WHERE id = ?1")
            .bind(&approval.id)
            .bind(words)
            .execute(&mut *transaction)
            .await?;
        let what = What::Judged { word: trial.word().as_str().to_owned(), figures: words.to_owned() };
        append(&mut transaction, &approval.entry(BOT, now, what)).await?;
        note(&mut transaction, approval.incident, now, words).await?;
        move_state(&mut transaction, approval.incident, Event::TrialOver).await?;
        look_again(&mut transaction, approval.incident, "the test has a result", now).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// The results of an incident's tests, in order of time.
    pub async fn trials_of(&self, incident: IncidentId) -> Result<Vec<Trial>> {
        let results: Vec<String> = sqlx::query_scalar(
            "SELECT result FROM trials WHERE incident_id = ?1 AND result IS NOT NULL ORDER BY ended_at",
        )
        .bind(incident.0)
        .fetch_all(&self.readers)
        .await?;
        results.iter().map(|result| json(result)).collect()
    }
}
