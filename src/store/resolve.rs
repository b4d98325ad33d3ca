//! An alert that resolved: delivery, the question that waited for it, its alert and its incident in one transaction.
//!
//! The rule that is not obvious: an incident closes with the last of its alerts, and never over a person: one that
//! somebody asked for stays open until they or its silence close it.

use jiff::Timestamp;
use sqlx::{Sqlite, Transaction};

use super::accept::note;
use super::{Closing, Doubt, Result, Store, StoreError};
use crate::domain::alert::{Alert, AlertState};
use crate::domain::firing::{self, Ended, Firing, name_of};
use crate::domain::incident::{Event, IncidentId, State};

/// An alert that resolved.
#[derive(Debug, Clone)]
pub struct Resolve<'a> {
    pub alert: &'a Alert,
    /// The services that it may be about; empty where it names none that is known.
    pub services: Vec<String>,
    /// The sender's own id of this delivery.
    pub delivery: Option<&'a str>,
    /// The question that its firing put, where it is one that is asked about.
    pub doubt: Option<&'a Doubt>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolved {
    /// Of the incidents that it belongs to, these closed with it; others have alerts that fire still.
    Incidents { closed: Vec<IncidentId>, open: Vec<IncidentId> },
    /// This very delivery was taken in before.
    Duplicate,
}

impl Store {
    /// Takes in that an alert resolved. When this returns it is on disk.
    pub async fn resolve(&self, resolve: &Resolve<'_>, now: Timestamp) -> Result<Resolved> {
        let Some(mut transaction) = self.begin_once(resolve.delivery, now).await? else {
            return Ok(Resolved::Duplicate);
        };
        let mut services = resolve.services.clone();
        if let Some(doubt) = resolve.doubt
            && let Some(answered) = super::questions::end_in(&mut transaction, doubt, now).await?
        {
            services = vec![answered];
        }
        if let [service] = services.as_slice() {
            let alert = Alert { service: service.clone(), ..resolve.alert.clone() };
            super::mutes::hold(&mut transaction, &alert, AlertState::Resolved, now).await?;
        }
        let firing = firing_in(&mut transaction).await?;
        let name = name_of(resolve.alert);
        let Ended::These(ended) = firing::ended(&firing, &services, &name) else {
            transaction.commit().await?;
            return Ok(Resolved::Incidents { closed: Vec::new(), open: Vec::new() });
        };
        let (mut closed, mut open) = (Vec::new(), Vec::new());
        for firing in ended.into_iter().filter_map(|index| firing.get(index)) {
            let is_closed = end_firing(&mut transaction, firing, now).await?;
            if is_closed { closed.push(firing.incident) } else { open.push(firing.incident) }
        }
        // An incident of which two alerts ended is told of once.
        open.retain(|id| !closed.contains(id));
        open.dedup();
        transaction.commit().await?;
        Ok(Resolved::Incidents { closed, open })
    }

    /// Closes an incident whose alerts have all ended; false where one fires still, or a person asked for it.
    pub async fn close_if_over(&self, id: IncidentId, now: Timestamp) -> Result<bool> {
        let mut transaction = self.begin().await?;
        if !is_over(&mut transaction, id).await? {
            return Ok(false);
        }
        let closing = Closing::because("the alert resolved");
        let closed = super::states::close_in(&mut transaction, id, Event::Closed, &closing, now).await?;
        transaction.commit().await?;
        Ok(closed)
    }
}

/// Whether alerts opened this incident, and all of them have ended.
pub(super) async fn is_over(transaction: &mut Transaction<'static, Sqlite>, id: IncidentId) -> Result<bool> {
    let over: Option<bool> = sqlx::query_scalar(
        "SELECT requested_by IS NULL AND EXISTS (SELECT 1 FROM firing WHERE incident_id = ?1)
                AND NOT EXISTS (SELECT 1 FROM firing WHERE incident_id = ?1 AND fires)
         FROM incidents WHERE id = ?1",
    )
    .bind(id.0)
    .fetch_optional(&mut **transaction)
    .await?;
    Ok(over == Some(true))
}

async fn firing_in(transaction: &mut Transaction<'static, Sqlite>) -> Result<Vec<Firing>> {
    let rows: Vec<(i64, String, String)> = sqlx::query_as(
        "SELECT incidents.id, incidents.service, firing.name FROM firing
         JOIN incidents ON incidents.id = firing.incident_id
         WHERE firing.fires AND incidents.state <> 'resolved' ORDER BY incidents.id",
    )
    .fetch_all(&mut **transaction)
    .await?;
    let firing = rows.into_iter();
    Ok(firing.map(|(id, service, name)| Firing { incident: IncidentId(id), service, name }).collect())
}

/// Notes that an alert of an incident ended; true where the incident closed with it.
async fn end_firing(
    transaction: &mut Transaction<'static, Sqlite>,
    firing: &Firing,
    now: Timestamp,
) -> Result<bool> {
    let id = firing.incident;
    sqlx::query("UPDATE firing SET fires = 0 WHERE incident_id = ?1 AND name = ?2")
        .bind(id.0)
        .bind(&firing.name)
        .execute(&mut **transaction)
        .await?;
    let (still, asked_for): (i64, bool) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM firing WHERE incident_id = ?1 AND fires), requested_by IS NOT NULL
         FROM incidents WHERE id = ?1",
    )
    .bind(id.0)
    .fetch_one(&mut **transaction)
    .await?;
    let name = if firing.name.is_empty() { "the alert" } else { &firing.name };
    if still > 0 || asked_for {
        let rest = match still {
            0 => "the incident was asked for and stays open".to_owned(),
            1 => "another alert fires still".to_owned(),
            more => format!("{more} other alerts fire still"),
        };
        sqlx::query("UPDATE incidents SET heard_at = ?2 WHERE id = ?1")
            .bind(id.0)
            .bind(now.as_millisecond())
            .execute(&mut **transaction)
            .await?;
        note(transaction, id, now, &format!("{name} resolved; {rest}")).await?;
        super::jobs::enqueue_headline(transaction, id, now).await?;
        return Ok(false);
    }
    let closing = Closing::because("the alert resolved");
    match super::states::close_in(transaction, id, Event::AlertsEnded, &closing, now).await {
        Ok(closed) => Ok(closed),
        // A change is under way or was just made: its own verification says how it ends.
        Err(StoreError::Misfit(misfit)) => {
            let rest = match misfit.state {
                State::Verifying => "whether the change helped is measured all the same",
                _ => "a change is under way, and is finished first",
            };
            note(transaction, id, now, &format!("{name} resolved; {rest}")).await?;
            Ok(false)
        }
        Err(error) => Err(error),
    }
}
