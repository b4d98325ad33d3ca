//! Taking an alert in: delivery, alert, incident and job in one transaction, or nothing.
//!
//! The rule that is not obvious: an open incident takes alerts of its own problem. One that recovered has none any
//! more: what fires next is a new incident. One that was reported has been looked at as its alerts were then: an
//! alert of another name is looked at anew.

use jiff::{SignedDuration, Timestamp};
use sqlx::{Sqlite, Transaction};

use super::{Closing, JobKind, Result, Store, StoreError, json, time, to_json};
use crate::domain::alert::{Alert, AlertState, Symptom};
use crate::domain::firing::{is_same_kind, name_of};
use crate::domain::incident::{Event, IncidentId, State};

/// Where an alert came from, so that the answer goes there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The sender's own id of this delivery; a second one of the same id is not a second alert.
    pub delivery: Option<String>,
    pub channel: Option<String>,
    /// The alert's own message, in whose thread the answer goes.
    pub thread_ts: Option<String>,
    /// Slack user id of the person who asked.
    pub requested_by: Option<String>,
}

#[derive(Debug, Clone)]
pub struct NewAlert {
    pub alert: Alert,
    pub origin: Origin,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// A new incident, and a job that investigates it.
    Opened(IncidentId),
    /// It belongs to an incident that is open.
    Joined(IncidentId),
    /// Its service is muted: it is kept, and listed when the mute ends.
    Held { until: Timestamp },
    /// This very delivery was accepted before.
    Duplicate,
}

impl Accepted {
    pub fn incident(self) -> Option<IncidentId> {
        match self {
            Self::Opened(id) | Self::Joined(id) => Some(id),
            Self::Held { .. } | Self::Duplicate => None,
        }
    }
}

impl Store {
    /// Begins a transaction that notes a delivery; `None` where it was noted before.
    pub(super) async fn begin_once(
        &self,
        delivery: Option<&str>,
        now: Timestamp,
    ) -> Result<Option<Transaction<'static, Sqlite>>> {
        let mut transaction = self.begin().await?;
        if let Some(delivery) = delivery
            && !note_delivery(&mut transaction, delivery, now).await?
        {
            return Ok(None);
        }
        Ok(Some(transaction))
    }

    /// Notes a delivery that is no alert; false where it was noted before.
    pub async fn note_delivery(&self, delivery: &str, now: Timestamp) -> Result<bool> {
        let mut transaction = self.begin().await?;
        let first = note_delivery(&mut transaction, delivery, now).await?;
        transaction.commit().await?;
        Ok(first)
    }
}

/// Takes an alert in within a transaction, whose delivery is noted already where it has one.
pub(super) async fn accept_in(
    transaction: &mut Transaction<'static, Sqlite>,
    new: &NewAlert,
    now: Timestamp,
) -> Result<Accepted> {
    let asked_for = new.origin.requested_by.is_some();
    // Whoever asks wants an answer; only what tools send is held back.
    if !asked_for
        && let Some(until) = super::mutes::hold(transaction, &new.alert, AlertState::Firing, now).await?
    {
        return Ok(Accepted::Held { until });
    }
    let symptom = new.alert.symptom();
    let (accepted, joined) = match open_incident(transaction, new, symptom).await? {
        Some((id, State::Recovered)) if !asked_for => {
            let closing = Closing::because("it fires again");
            super::states::close_in(transaction, id, Event::Closed, &closing, now).await?;
            (Accepted::Opened(open_new(transaction, new, symptom, Some(id), now).await?), None)
        }
        Some((id, state)) => {
            join(transaction, id, symptom, now).await?;
            (Accepted::Joined(id), Some(state))
        }
        None => (Accepted::Opened(open_new(transaction, new, symptom, None, now).await?), None),
    };
    let Some(id) = accepted.incident() else { return Ok(accepted) };
    if let Some(user) = &new.origin.requested_by {
        note_asker(transaction, id, user).await?;
    }
    let alert: i64 = sqlx::query_scalar(
        "INSERT INTO alerts (incident_id, received_at, body) VALUES (?1, ?2, ?3) RETURNING id",
    )
    .bind(id.0)
    .bind(now.as_millisecond())
    .bind(to_json(&new.alert)?)
    .fetch_one(&mut **transaction)
    .await?;
    if asked_for {
        return Ok(accepted);
    }
    // What had ended and fires again after a rollback that did not help has not been looked at as it is now.
    let is_back = joined == Some(State::NotRecovered) && super::resolve::is_over(transaction, id).await?;
    let is_new = note_firing(transaction, id, &name_of(&new.alert)).await?;
    if let Some(state) = joined.filter(|_| is_new || is_back) {
        look_at_new_alert(transaction, id, state, (alert, &new.alert), now).await?;
    }
    Ok(accepted)
}

async fn join(
    transaction: &mut Transaction<'static, Sqlite>,
    id: IncidentId,
    symptom: Option<Symptom>,
    now: Timestamp,
) -> Result<()> {
    sqlx::query(
        "UPDATE incidents SET alerts_received = alerts_received + 1, heard_at = ?2,
                symptom = coalesce(symptom, ?3) WHERE id = ?1",
    )
    .bind(id.0)
    .bind(now.as_millisecond())
    .bind(symptom.map(Symptom::as_str))
    .execute(&mut **transaction)
    .await?;
    let soon = now.saturating_add(REPEATS_SHOWN_WITHIN).unwrap_or(now);
    super::jobs::enqueue_headline(transaction, id, soon).await
}

/// An alert that repeats shows in the headline's count, together with all that repeat in the same second: Slack takes
/// an edit in little more than that.
pub(super) const REPEATS_SHOWN_WITHIN: SignedDuration = SignedDuration::from_secs(1);

/// Notes that an alert fires. True where the incident heard of none of that kind before.
async fn note_firing(
    transaction: &mut Transaction<'static, Sqlite>,
    id: IncidentId,
    name: &str,
) -> Result<bool> {
    let known: Vec<String> = sqlx::query_scalar("SELECT name FROM firing WHERE incident_id = ?1")
        .bind(id.0)
        .fetch_all(&mut **transaction)
        .await?;
    sqlx::query(
        "INSERT INTO firing (incident_id, name, fires) VALUES (?1, ?2, 1)
         ON CONFLICT (incident_id, name) DO UPDATE SET fires = 1",
    )
    .bind(id.0)
    .bind(name)
    .execute(&mut **transaction)
    .await?;
    // An alert without a name is another one of whatever was heard already.
    Ok(!name.is_empty() && !known.iter().any(|known| is_same_kind(known, name)))
}

/// An alert of another name joined: what was reported before it is looked at anew, as of this alert. A button that
/// waits for somebody is not taken from under their finger, and a change under way is finished first.
async fn look_at_new_alert(
    transaction: &mut Transaction<'static, Sqlite>,
    id: IncidentId,
    state: State,
    (row, alert): (i64, &Alert),
    now: Timestamp,
) -> Result<()> {
    let name = alert.alert_name.as_deref().or(alert.metric.as_deref()).unwrap_or_default();
    let waits: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM approvals WHERE incident_id = ?1 AND decision IS NULL)",
    )
    .bind(id.0)
    .fetch_one(&mut **transaction)
    .await?;
    if waits || !matches!(state, State::Reported | State::NotRecovered) {
        return note(transaction, id, now, &format!("another alert: {name}")).await;
    }
    sqlx::query("UPDATE incidents SET about_alert = ?2 WHERE id = ?1")
        .bind(id.0)
        .bind(row)
        .execute(&mut **transaction)
        .await?;
    super::states::look_again(transaction, id, &format!("another alert: {name}"), now).await
}

pub(super) async fn note_delivery(
    transaction: &mut Transaction<'static, Sqlite>,
    delivery: &str,
    now: Timestamp,
) -> Result<bool> {
    let done = sqlx::query("INSERT INTO deliveries (id, received_at) VALUES (?1, ?2) ON CONFLICT DO NOTHING")
        .bind(delivery)
        .bind(now.as_millisecond())
        .execute(&mut **transaction)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// One problem is one incident: same service and same kind of symptom while it is open. An alert
/// whose symptom is not clear joins the service's newest open incident; one that is clear also
/// joins an incident whose own symptom nobody has said yet. What is about another time is another problem.
async fn open_incident(
    transaction: &mut Transaction<'static, Sqlite>,
    new: &NewAlert,
    symptom: Option<Symptom>,
) -> Result<Option<(IncidentId, State)>> {
    let open: Vec<(i64, String, i64, bool, Option<String>)> = sqlx::query_as(
        "SELECT id, state, opened_at, requested_by IS NOT NULL,
                (SELECT body FROM alerts WHERE incident_id = incidents.id ORDER BY id LIMIT 1)
         FROM incidents
         WHERE service = ?1 AND state <> 'resolved' AND (?2 IS NULL OR symptom IS NULL OR symptom = ?2)
         ORDER BY (symptom IS ?2) DESC, id DESC",
    )
    .bind(&new.alert.service)
    .bind(symptom.map(Symptom::as_str))
    .fetch_all(&mut **transaction)
    .await?;
    for (id, state, opened_at, asked_for, first) in open {
        let about =
            first.map(|body| json::<Alert>(&body)).transpose()?.map_or(time(opened_at), |alert| alert.at);
        let is_past = asked_for && time(opened_at).duration_since(about) > NEAR;
        if is_same_time(new, about, is_past) {
            return Ok(Some((IncidentId(id), state.parse().map_err(StoreError::Content)?)));
        }
    }
    Ok(None)
}

/// An investigation weighs the hour before its time, so what is further off is not seen by it.
const NEAR: SignedDuration = SignedDuration::from_hours(1);

/// Whether an alert is about the time that an open incident is about. One that tools raised, or that was
/// asked about as it happened, reaches from shortly before its beginning until now; one that somebody asked
/// about afterwards (`is_past`) is about that time alone. A tool that tells when it all began means now.
fn is_same_time(new: &NewAlert, about: Timestamp, is_past: bool) -> bool {
    let after = new.alert.at.duration_since(about);
    match (new.origin.requested_by.is_some(), is_past) {
        (_, true) => after.abs() <= NEAR,
        (true, false) => after >= -NEAR,
        (false, false) => true,
    }
}

async fn open_new(
    transaction: &mut Transaction<'static, Sqlite>,
    new: &NewAlert,
    symptom: Option<Symptom>,
    follows: Option<IncidentId>,
    now: Timestamp,
) -> Result<IncidentId> {
    let closed: Option<i64> = sqlx::query_scalar(
        "SELECT id FROM incidents
         WHERE service = ?1 AND state = 'resolved' AND (?2 IS NULL OR symptom IS NULL OR symptom = ?2)
         ORDER BY id DESC LIMIT 1",
    )
    .bind(&new.alert.service)
    .bind(symptom.map(Symptom::as_str))
    .fetch_optional(&mut **transaction)
    .await?;
    let previous = follows.map(|id| id.0).or(closed);
    let id: i64 = sqlx::query_scalar(
        "INSERT INTO incidents (service, symptom, state, opened_at, heard_at, previous, alerts_received,
                                channel, thread_ts, requested_by)
         VALUES (?1, ?2, ?3, ?4, ?4, ?5, 1, ?6, ?7, ?8) RETURNING id",
    )
    .bind(&new.alert.service)
    .bind(symptom.map(Symptom::as_str))
    .bind(State::Investigating.as_str())
    .bind(now.as_millisecond())
    .bind(previous)
    .bind(&new.origin.channel)
    .bind(&new.origin.thread_ts)
    .bind(&new.origin.requested_by)
    .fetch_one(&mut **transaction)
    .await?;
    let id = IncidentId(id);
    let from = match (&new.origin.requested_by, &new.alert.source) {
        (Some(user), _) => format!("asked for by <@{user}>"),
        (None, Some(source)) => format!("alert from {source}"),
        (None, None) => "alert received".to_owned(),
    };
    note(transaction, id, now, &format!("opened: {from}")).await?;
    super::jobs::enqueue(transaction, &JobKind::Investigate, Some(id), now).await?;
    super::storms::note_queued(transaction, now).await?;
    Ok(id)
}

/// Notes who asked for an investigation.
pub(super) async fn note_asker(
    transaction: &mut Transaction<'static, Sqlite>,
    incident: IncidentId,
    user: &str,
) -> Result<()> {
    sqlx::query("INSERT INTO askers (incident_id, user) VALUES (?1, ?2) ON CONFLICT DO NOTHING")
        .bind(incident.0)
        .bind(user)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

/// Adds a line to an incident's own history.
pub(super) async fn note(
    transaction: &mut Transaction<'static, Sqlite>,
    incident: IncidentId,
    at: Timestamp,
    what: &str,
) -> std::result::Result<(), StoreError> {
    sqlx::query("INSERT INTO timeline (incident_id, at, what) VALUES (?1, ?2, ?3)")
        .bind(incident.0)
        .bind(at.as_millisecond())
        .bind(what)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}
