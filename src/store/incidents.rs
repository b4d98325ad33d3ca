//! Incidents: what is stored of them, for steps and for people.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::accept::note;
use super::{Approval, Result, Store, StoreError, json, time};
use crate::domain::alert::{Alert, Symptom};
use crate::domain::cost::Cost;
use crate::domain::evidence::Gap;
use crate::domain::execution::Effect;
use crate::domain::incident::{IncidentId, State, TimelineEvent};
use crate::domain::plan::Plan;
use crate::domain::recovery::Word;
use crate::domain::report::{Action, Cleared, EvidenceItem, Hypothesis, Onset, Report, Symptoms, Verdict};

/// An incident's own row, with what steps need to go on.
#[derive(Debug, Clone)]
pub struct IncidentRow {
    pub id: IncidentId,
    pub service: String,
    pub symptom: Option<Symptom>,
    pub state: State,
    pub opened_at: Timestamp,
    pub heard_at: Timestamp,
    pub previous: Option<IncidentId>,
    pub alerts_received: i64,
    pub channel: Option<String>,
    pub thread_ts: Option<String>,
    pub headline_ts: Option<String>,
    pub requested_by: Option<String>,
    /// Counts the investigations of this incident, from 1.
    pub round: i64,
    /// The investigation of this round has no verdict yet and is to have one: also where the alert resolved meanwhile.
    pub awaits_verdict: bool,
    pub report: Option<Report>,
    pub symptoms: Symptoms,
    pub close_reason: Option<String>,
    /// Slack user id; `None` where nobody closed it.
    pub closed_by: Option<String>,
    /// Why a rollback that the report recommends has no button.
    pub not_offered: Option<String>,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    service: String,
    symptom: Option<String>,
    state: String,
    opened_at: i64,
    heard_at: i64,
    previous: Option<i64>,
    alerts_received: i64,
    channel: Option<String>,
    thread_ts: Option<String>,
    headline_ts: Option<String>,
    requested_by: Option<String>,
    round: i64,
    awaits_verdict: bool,
    report: Option<String>,
    symptoms: Option<String>,
    close_reason: Option<String>,
    closed_by: Option<String>,
    not_offered: Option<String>,
}

impl TryFrom<Row> for IncidentRow {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            id: IncidentId(row.id),
            service: row.service,
            symptom: row.symptom.as_deref().and_then(symptom_of),
            state: row.state.parse().map_err(StoreError::Content)?,
            opened_at: time(row.opened_at),
            heard_at: time(row.heard_at),
            previous: row.previous.map(IncidentId),
            alerts_received: row.alerts_received,
            channel: row.channel,
            thread_ts: row.thread_ts,
            headline_ts: row.headline_ts,
            requested_by: row.requested_by,
            round: row.round,
            awaits_verdict: row.awaits_verdict,
            report: row.report.as_deref().map(json).transpose()?,
            symptoms: row.symptoms.as_deref().map(json).transpose()?.unwrap_or_default(),
            close_reason: row.close_reason,
            closed_by: row.closed_by,
            not_offered: row.not_offered,
        })
    }
}

fn symptom_of(text: &str) -> Option<Symptom> {
    serde_json::from_value(Value::String(text.to_owned())).ok()
}

/// Whether an incident's round is to have a verdict. An alert that resolves ends its incident and not the question
/// what it was; a person who closes it ends both.
macro_rules! awaits_verdict {
    () => {
        "(state = 'investigating' OR state = 'resolved' AND closed_by IS NULL AND NOT EXISTS (
              SELECT 1 FROM verdicts WHERE verdicts.incident_id = incidents.id AND verdicts.round = incidents.round))"
    };
}
pub(super) use awaits_verdict;

const SELECT: &str = concat!(
    "SELECT id, service, symptom, state, opened_at, heard_at, previous, alerts_received, channel, thread_ts,
     headline_ts, requested_by, round, report, symptoms, close_reason, closed_by, not_offered, ",
    awaits_verdict!(),
    " AS awaits_verdict FROM incidents WHERE id = ?1"
);

/// The stored incident as the one JSON object that is promised to users.
#[derive(Debug, Clone, Serialize)]
pub struct Incident {
    pub id: IncidentId,
    pub service: String,
    pub state: State,
    pub opened_at: Timestamp,
    pub alerts_received: i64,
    pub alerts: Vec<Alert>,
    pub onset: Option<Onset>,
    pub summary: Option<String>,
    pub verdict: Option<Verdict>,
    pub action: Option<Action>,
    pub hypotheses: Vec<Hypothesis>,
    pub evidence: Vec<EvidenceItem>,
    pub cleared: Vec<Cleared>,
    pub gaps: Vec<Gap>,
    pub cost: Option<Cost>,
    pub timeline: Vec<TimelineEvent>,
    pub approvals: Vec<ApprovalView>,
    /// What people said about its verdicts; the last word of each counts.
    pub feedback: Vec<super::Feedback>,
    /// Why a rollback that `action` recommends is not offered for approval.
    pub not_offered: Option<String>,
    pub previous: Option<IncidentId>,
    /// Where its thread is in Slack, once it is anywhere.
    pub slack: Option<SlackPlace>,
}

#[derive(Debug, Clone, Serialize)]
pub struct SlackPlace {
    pub channel: String,
    pub thread_ts: String,
}

#[derive(Debug, Clone, Serialize)]
pub struct ApprovalView {
    pub id: String,
    pub requested_at: Timestamp,
    pub expires_at: Timestamp,
    pub plan: Plan,
    pub decision: Option<String>,
    pub by: Option<String>,
    pub at: Option<Timestamp>,
    pub reason: Option<String>,
    /// What became of the call: `made`, `overtaken`, `by_another`, `in_place`, `not_made`, `unclear`, `unknown`.
    pub effect: Option<Effect>,
    pub outcome: Option<String>,
    /// Approved alone, by somebody who may.
    pub break_glass: bool,
    pub applied_at: Option<Timestamp>,
    /// Whether the change helped: `recovered` or `not_recovered`, once that is decided.
    pub judged: Option<Word>,
    pub judged_at: Option<Timestamp>,
    /// The approval whose change this one takes back.
    pub undoes: Option<String>,
}

/// One line of `incidents list`.
#[derive(Debug, Clone, Serialize)]
pub struct IncidentLine {
    pub id: IncidentId,
    pub service: String,
    pub state: State,
    pub opened_at: Timestamp,
    pub alerts_received: i64,
    pub verdict: Option<Verdict>,
}

impl Store {
    pub async fn incident_row(&self, id: IncidentId) -> Result<Option<IncidentRow>> {
        let row: Option<Row> = sqlx::query_as(SELECT).bind(id.0).fetch_optional(&self.readers).await?;
        row.map(TryInto::try_into).transpose()
    }

    /// The whole incident, for people and scripts.
    pub async fn incident(&self, id: IncidentId) -> Result<Option<Incident>> {
        let Some(row) = self.incident_row(id).await? else { return Ok(None) };
        let alerts = self.alerts(id).await?;
        let mut timeline: Vec<TimelineEvent> = self.timeline(id).await?;
        let approvals = self.approvals_of(id).await?.into_iter().map(Approval::into_view).collect();
        let slack =
            row.channel.zip(row.thread_ts).map(|(channel, thread_ts)| SlackPlace { channel, thread_ts });
        let feedback = self.feedback_of(id).await?;
        let report = row.report;
        if let Some(report) = &report {
            let told = report.timeline.iter();
            timeline.extend(told.map(|entry| TimelineEvent { at: entry.at, what: entry.what.clone() }));
            timeline.sort_by_key(|event| event.at);
        }
        let mut incident = Incident {
            id,
            service: row.service,
            state: row.state,
            opened_at: row.opened_at,
            alerts_received: row.alerts_received,
            alerts,
            onset: None,
            summary: None,
            verdict: None,
            action: None,
            hypotheses: Vec::new(),
            evidence: Vec::new(),
            cleared: Vec::new(),
            gaps: Vec::new(),
            cost: None,
            timeline,
            approvals,
            feedback,
            not_offered: row.not_offered,
            previous: row.previous,
            slack,
        };
        if let Some(report) = report {
            incident.onset = report.onset;
            incident.summary = Some(report.summary);
            incident.verdict = Some(report.verdict);
            incident.action = Some(report.action);
            incident.hypotheses = report.hypotheses;
            incident.evidence = report.evidence;
            incident.cleared = report.cleared;
            incident.gaps = report.gaps;
            incident.cost = report.cost;
        }
        Ok(Some(incident))
    }

    /// The newest incidents first.
    pub async fn list(&self, limit: i64) -> Result<Vec<IncidentLine>> {
        let rows: Vec<(i64, String, String, i64, i64, Option<String>)> = sqlx::query_as(
            "SELECT id, service, state, opened_at, alerts_received, report FROM incidents
             ORDER BY id DESC LIMIT ?1",
        )
        .bind(limit)
        .fetch_all(&self.readers)
        .await?;
        rows.into_iter()
            .map(|(id, service, state, opened_at, alerts_received, report)| {
                let report: Option<Report> = report.as_deref().map(json).transpose()?;
                Ok(IncidentLine {
                    id: IncidentId(id),
                    service,
                    state: state.parse().map_err(StoreError::Content)?,
                    opened_at: time(opened_at),
                    alerts_received,
                    verdict: report.map(|report| report.verdict),
                })
            })
            .collect()
    }

    /// All alerts of an incident, as received.
    pub async fn alerts(&self, id: IncidentId) -> Result<Vec<Alert>> {
        let bodies: Vec<String> =
            sqlx::query_scalar("SELECT body FROM alerts WHERE incident_id = ?1 ORDER BY id")
                .bind(id.0)
                .fetch_all(&self.readers)
                .await?;
        bodies.iter().map(|body| json(body)).collect()
    }

    /// The alert that the newest investigation is about: the first one, or the one for which it was looked anew.
    pub async fn alert_in_question(&self, id: IncidentId) -> Result<Option<Alert>> {
        let body: Option<String> = sqlx::query_scalar(
            "SELECT body FROM alerts WHERE incident_id = ?1
             ORDER BY id = (SELECT about_alert FROM incidents WHERE id = ?1) DESC, id LIMIT 1",
        )
        .bind(id.0)
        .fetch_optional(&self.readers)
        .await?;
        body.map(|body| json(&body)).transpose()
    }

    async fn timeline(&self, id: IncidentId) -> Result<Vec<TimelineEvent>> {
        let rows: Vec<(i64, String)> =
            sqlx::query_as("SELECT at, what FROM timeline WHERE incident_id = ?1 ORDER BY id")
                .bind(id.0)
                .fetch_all(&self.readers)
                .await?;
        Ok(rows.into_iter().map(|(at, what)| TimelineEvent { at: time(at), what }).collect())
    }

    /// The evidence of the newest investigation, file by file.
    pub async fn evidence(&self, id: IncidentId) -> Result<BTreeMap<String, Vec<u8>>> {
        let rows: Vec<(String, Vec<u8>)> =
            sqlx::query_as("SELECT path, body FROM evidence WHERE incident_id = ?1")
                .bind(id.0)
                .fetch_all(&self.readers)
                .await?;
        Ok(rows.into_iter().collect())
    }

    /// Slack user ids of all who asked for an incident's investigation, first or again.
    pub async fn askers(&self, id: IncidentId) -> Result<BTreeSet<String>> {
        let users: Vec<String> = sqlx::query_scalar("SELECT user FROM askers WHERE incident_id = ?1")
            .bind(id.0)
            .fetch_all(&self.readers)
            .await?;
        Ok(users.into_iter().collect())
    }

    /// The open incidents of a service, the newest first; of all services where none is named.
    pub async fn open_incidents(&self, service: Option<&str>) -> Result<Vec<IncidentId>> {
        let ids: Vec<i64> = sqlx::query_scalar(
            "SELECT id FROM incidents WHERE state <> 'resolved' AND (?1 IS NULL OR service = ?1)
             ORDER BY id DESC",
        )
        .bind(service)
        .fetch_all(&self.readers)
        .await?;
        Ok(ids.into_iter().map(IncidentId).collect())
    }

    /// The newest incident whose messages stand in this thread.
    pub async fn incident_in_thread(&self, channel: &str, thread_ts: &str) -> Result<Option<IncidentId>> {
        let id: Option<i64> = sqlx::query_scalar(
            "SELECT id FROM incidents WHERE channel = ?1 AND thread_ts = ?2 ORDER BY id DESC LIMIT 1",
        )
        .bind(channel)
        .bind(thread_ts)
        .fetch_optional(&self.readers)
        .await?;
        Ok(id.map(IncidentId))
    }

    /// Adds a line to an incident's own history.
    pub async fn note(&self, id: IncidentId, what: &str, now: Timestamp) -> Result<()> {
        let mut transaction = self.begin().await?;
        note(&mut transaction, id, now, what).await?;
        transaction.commit().await?;
        Ok(())
    }
}
