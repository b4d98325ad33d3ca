//! What people say about verdicts, and what it adds up to.
//!
//! The rule that is not obvious: rows are only added. Somebody who thinks better of it says so again, and
//! their last word counts.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use sqlx::{Sqlite, Transaction};

use super::{Result, Store, time};
use crate::domain::incident::IncidentId;
use crate::domain::report::{Cause, Verdict};
use crate::domain::scorecard::{self, Judged, Scorecard, Voices, Word};

/// What somebody says about one verdict.
#[derive(Debug, Clone)]
pub struct NewFeedback<'a> {
    pub incident: IncidentId,
    pub round: i64,
    /// Slack user id.
    pub by: &'a str,
    pub word: Word,
    /// What it was instead.
    pub cause: Option<Cause>,
    pub note: Option<&'a str>,
    /// Slack's delivery of the click.
    pub click: &'a str,
}

/// The same as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Feedback {
    pub at: Timestamp,
    pub by: String,
    pub round: i64,
    pub word: String,
    pub cause: Option<String>,
    pub note: Option<String>,
}

fn word(text: &str) -> Option<Word> {
    [Word::Right, Word::Wrong, Word::Other].into_iter().find(|word| word.as_str() == text)
}

/// Keeps a verdict as it is told, for the scorecard.
pub(super) async fn note_verdict(
    transaction: &mut Transaction<'static, Sqlite>,
    incident: IncidentId,
    round: i64,
    verdict: &Verdict,
    now: Timestamp,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO verdicts (incident_id, round, at, cause, confidence) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (incident_id, round) DO UPDATE SET cause = excluded.cause, confidence = excluded.confidence",
    )
    .bind(incident.0)
    .bind(round)
    .bind(now.as_millisecond())
    .bind(verdict.cause.as_str())
    .bind(verdict.confidence)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

impl Store {
    /// Adds what somebody says; false where this click was stored before, or there is no such verdict.
    pub async fn note_feedback(&self, new: &NewFeedback<'_>, now: Timestamp) -> Result<bool> {
        let done = sqlx::query(
            "INSERT INTO feedback (incident_id, round, at, said_by, word, cause, note, click)
             SELECT incident_id, round, ?3, ?4, ?5, ?6, ?7, ?8 FROM verdicts
             WHERE incident_id = ?1 AND round = ?2
             ON CONFLICT (click) DO NOTHING",
        )
        .bind(new.incident.0)
        .bind(new.round)
        .bind(now.as_millisecond())
        .bind(new.by)
        .bind(new.word.as_str())
        .bind(new.cause.map(Cause::as_str))
        .bind(new.note)
        .bind(new.click)
        .execute(&self.writer)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// All that was said about an incident's verdicts, in the order in which it was said.
    pub async fn feedback_of(&self, incident: IncidentId) -> Result<Vec<Feedback>> {
        type Row = (i64, String, i64, String, Option<String>, Option<String>);
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT at, said_by, round, word, cause, note FROM feedback WHERE incident_id = ?1 ORDER BY id",
        )
        .bind(incident.0)
        .fetch_all(&self.readers)
        .await?;
        let read =
            |(at, by, round, word, cause, note): Row| Feedback { at: time(at), by, round, word, cause, note };
        Ok(rows.into_iter().map(read).collect())
    }

    /// How many people say what about the verdict of one round.
    pub async fn voices(&self, incident: IncidentId, round: i64) -> Result<Voices> {
        let said = self.feedback_of(incident).await?;
        let last: BTreeMap<String, Word> = said
            .into_iter()
            .filter(|feedback| feedback.round == round)
            .filter_map(|feedback| Some((feedback.by, word(&feedback.word)?)))
            .collect();
        Ok(Voices::of(last.into_values()))
    }

    /// How often verdicts were right, and whether rollbacks helped.
    pub async fn scorecard(&self) -> Result<Scorecard> {
        // SQLite takes the other columns of the row that max() found: each person's last word.
        let said: Vec<(i64, i64, String, i64)> = sqlx::query_as(
            "SELECT incident_id, round, word, max(id) FROM feedback GROUP BY incident_id, round, said_by",
        )
        .fetch_all(&self.readers)
        .await?;
        let mut voices: BTreeMap<(i64, i64), Vec<Word>> = BTreeMap::new();
        for (incident, round, text, _) in said {
            voices.entry((incident, round)).or_default().extend(word(&text));
        }
        let verdicts: Vec<(i64, i64, f64)> =
            sqlx::query_as("SELECT incident_id, round, confidence FROM verdicts")
                .fetch_all(&self.readers)
                .await?;
        let judged = verdicts.into_iter().map(|(incident, round, confidence)| Judged {
            confidence,
            voices: Voices::of(voices.remove(&(incident, round)).unwrap_or_default()),
        });
        // Taking a rollback back helps nobody and is no rollback.
        let outcomes: Vec<Option<String>> = sqlx::query_scalar(
            "SELECT judged FROM approvals WHERE applied_at IS NOT NULL AND undoes IS NULL AND effect IS NOT 'by_another'",
        )
        .fetch_all(&self.readers)
        .await?;
        let helped = outcomes.into_iter().map(|judged| match judged.as_deref() {
            Some("recovered") => Some(true),
            Some("not_recovered") => Some(false),
            _ => None,
        });
        Ok(scorecard::scorecard(judged, helped))
    }
}
