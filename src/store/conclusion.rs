//! What an investigation came to: saved once, with the approval that it asks for and the job that tells people.
//!
//! The rule that is not obvious: an alert that resolves ends its incident and not the question what it was. Such a
//! verdict is saved and told, and nothing is offered for approval.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use sqlx::{Sqlite, Transaction};

use super::accept::note;
use super::incidents::awaits_verdict;
use super::{Asked, JobKind, Result, Store, StoreError, to_json};
use crate::domain::audit::{BOT, Entry, What};
use crate::domain::incident::{Event, IncidentId, State};
use crate::domain::plan::Plan;
use crate::domain::report::{Cause, Report, Symptoms};

/// Why nothing is offered for approval where the alert resolved before the verdict was there.
const RESOLVED_MEANWHILE: &str = "the alert resolved before the verdict was there; if the trouble comes back, \
                                  `/investigate` with the service's name looks anew and offers what fits then";

/// What an investigation came to.
#[derive(Debug)]
pub struct Conclusion {
    pub report: Report,
    pub symptoms: Symptoms,
    /// The evidence, file by file, as a bundle holds it.
    pub files: BTreeMap<String, Vec<u8>>,
    pub plan: Option<Plan>,
    /// Why there is no plan although the report recommends a rollback.
    pub not_offered: Option<String>,
    pub expires_after: SignedDuration,
    pub close_after: SignedDuration,
}

impl Store {
    /// Saves what an investigation came to, with the approval that it asks for and the job that
    /// tells people. False where this round was concluded before or somebody closed the incident. Where its alert
    /// resolved meanwhile it stays closed, and no approval is asked for.
    pub async fn conclude(
        &self,
        id: IncidentId,
        round: i64,
        conclusion: &Conclusion,
        now: Timestamp,
    ) -> Result<bool> {
        let mut transaction = self.begin().await?;
        let current: Option<String> = sqlx::query_scalar(concat!(
            "SELECT state FROM incidents WHERE id = ?1 AND round = ?2 AND ",
            awaits_verdict!()
        ))
        .bind(id.0)
        .bind(round)
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(state) = current else { return Ok(false) };
        let state: State = state.parse().map_err(StoreError::Content)?;
        let plan = conclusion.plan.as_ref().filter(|_| state.is_open());
        let not_offered = match &conclusion.plan {
            Some(_) if plan.is_none() => Some(RESOLVED_MEANWHILE),
            _ => conclusion.not_offered.as_deref(),
        };
        let next = state.after(Event::Concluded { with_plan: plan.is_some() })?;
        sqlx::query(
            "UPDATE incidents SET state = ?2, report = ?3, symptoms = ?4, not_offered = ?5 WHERE id = ?1",
        )
        .bind(id.0)
        .bind(next.as_str())
        .bind(to_json(&conclusion.report)?)
        .bind(to_json(&conclusion.symptoms)?)
        .bind(not_offered)
        .execute(&mut *transaction)
        .await?;
        save_evidence(&mut transaction, id, &conclusion.files).await?;
        let verdict = &conclusion.report.verdict;
        super::feedback::note_verdict(&mut transaction, id, round, verdict, now).await?;
        let what = format!(
            "verdict: {}, confidence {:.0} %",
            cause_in_words(verdict.cause),
            verdict.confidence * 100.0
        );
        note(&mut transaction, id, now, &what).await?;
        if let Some(plan) = plan {
            let asked = Asked { plan, expires_after: conclusion.expires_after, undoes: None };
            super::approvals::request(&mut transaction, id, &asked, now).await?;
        }
        if let Some(reason) = not_offered {
            let plan = conclusion.report.action.target.clone().unwrap_or_default();
            let what = What::NotOffered { plan, reason: reason.to_owned() };
            let entry = Entry { at: now, incident: Some(id), approval: None, actor: BOT.to_owned(), what };
            super::audit::append(&mut transaction, &entry).await?;
        }
        super::jobs::enqueue(&mut transaction, &JobKind::Report { round }, Some(id), now).await?;
        if next.is_open() {
            let quiet = now.saturating_add(conclusion.close_after).unwrap_or(now);
            super::jobs::enqueue(&mut transaction, &JobKind::CloseQuiet, Some(id), quiet).await?;
        }
        transaction.commit().await?;
        Ok(true)
    }

    /// Replaces the report of a round by one that late evidence gave, and the evidence with it.
    /// False where the incident has moved on to another round.
    pub async fn revise(
        &self,
        id: IncidentId,
        round: i64,
        report: &Report,
        files: &BTreeMap<String, Vec<u8>>,
        now: Timestamp,
    ) -> Result<bool> {
        let mut transaction = self.begin().await?;
        let done = sqlx::query("UPDATE incidents SET report = ?3 WHERE id = ?1 AND round = ?2")
            .bind(id.0)
            .bind(round)
            .bind(to_json(report)?)
            .execute(&mut *transaction)
            .await?;
        if done.rows_affected() != 1 {
            return Ok(false);
        }
        save_evidence(&mut transaction, id, files).await?;
        super::feedback::note_verdict(&mut transaction, id, round, &report.verdict, now).await?;
        note(&mut transaction, id, now, "late evidence arrived; the verdict stands").await?;
        transaction.commit().await?;
        Ok(true)
    }
}

async fn save_evidence(
    transaction: &mut Transaction<'static, Sqlite>,
    id: IncidentId,
    files: &BTreeMap<String, Vec<u8>>,
) -> Result<()> {
    sqlx::query("DELETE FROM evidence WHERE incident_id = ?1").bind(id.0).execute(&mut **transaction).await?;
    for (path, body) in files {
        sqlx::query("INSERT INTO evidence (incident_id, path, body) VALUES (?1, ?2, ?3)")
            .bind(id.0)
            .bind(path)
            .bind(body)
            .execute(&mut **transaction)
            .await?;
    }
    Ok(())
}

fn cause_in_words(cause: Cause) -> &'static str {
    match cause {
        Cause::None => "no real incident",
        cause => cause.as_str(),
    }
}
