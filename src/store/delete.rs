//! Forgetting an incident: everything of it but the audit trail.
//!
//! The rule that is not obvious: the trail's rows stay, and one more says that the incident went. A chain with a gap
//! could not be told from one that somebody tampered with.

use jiff::Timestamp;
use sqlx::{Sqlite, Transaction};

use super::states::state_in;
use super::{Result, Store};
use crate::domain::audit::{Entry, What};
use crate::domain::incident::{IncidentId, State};

/// What came of the wish to delete an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deleted {
    Done,
    /// It is not stored.
    Unknown,
    /// It is not closed: a worker may be at it.
    Open(State),
}

impl Store {
    /// Deletes a closed incident: alerts, evidence, report, history, approvals, what people said of it, and its messages
    /// that Slack does not show yet. What Slack shows stays there. `by` is who asked for it.
    pub async fn delete_incident(&self, id: IncidentId, by: &str, now: Timestamp) -> Result<Deleted> {
        let mut transaction = self.begin().await?;
        match state_in(&mut transaction, id).await? {
            None => return Ok(Deleted::Unknown),
            Some(State::Resolved) => {}
            Some(state) => return Ok(Deleted::Open(state)),
        }
        forget(&mut transaction, id).await?;
        // Verdicts and what people said of them outlive `retention`; who deletes wants nothing of it left.
        for statement in
            ["DELETE FROM feedback WHERE incident_id = ?1", "DELETE FROM verdicts WHERE incident_id = ?1"]
        {
            sqlx::query(statement).bind(id.0).execute(&mut *transaction).await?;
        }
        let what = What::Deleted { incident: id.to_string() };
        let entry = Entry { at: now, incident: Some(id), approval: None, actor: by.to_owned(), what };
        super::audit::append(&mut transaction, &entry).await?;
        transaction.commit().await?;
        Ok(Deleted::Done)
    }
}

/// Forgets an incident with whatever belongs to it alone: what is deleted, and what is older than `retention`. Alerts,
/// evidence, timeline, approvals, jobs, outbox, names of alerts and askers go with their incident (ON DELETE CASCADE).
pub(super) async fn forget(transaction: &mut Transaction<'static, Sqlite>, id: IncidentId) -> Result<()> {
    for statement in [
        "UPDATE incidents SET previous = NULL WHERE previous = ?1",
        "DELETE FROM questions WHERE incident_id = ?1",
        "DELETE FROM incidents WHERE id = ?1",
    ] {
        sqlx::query(statement).bind(id.0).execute(&mut **transaction).await?;
    }
    Ok(())
}
