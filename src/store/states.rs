//! How an incident's state moves: looked at anew, closed, and what a step makes of it.
//!
//! The rule that is not obvious: each move is checked by the domain within the transaction that makes it; a move that
//! does not fit is refused, whoever asked for it.

use jiff::Timestamp;
use sqlx::{Sqlite, Transaction};

use super::accept::note;
use super::{JobKind, Once, Result, Store, StoreError};
use crate::domain::incident::{Event, IncidentId, State};

/// Why an incident is closed, and by whom.
#[derive(Debug, Clone, Copy)]
pub struct Closing<'a> {
    pub reason: &'a str,
    /// Slack user id; `None` where nobody decided it.
    pub by: Option<&'a str>,
}

impl<'a> Closing<'a> {
    pub fn because(reason: &'a str) -> Self {
        Self { reason, by: None }
    }
}

impl Store {
    /// Takes a new look: the verdict stays in sight until the next one replaces it.
    ///
    /// # Errors
    /// [`StoreError::Misfit`] where a change is under way or the incident is closed.
    pub async fn investigate_again(&self, id: IncidentId, why: &str, now: Timestamp) -> Result<bool> {
        let mut transaction = self.begin().await?;
        if state_in(&mut transaction, id).await?.is_none() {
            return Ok(false);
        }
        look_again(&mut transaction, id, why, now).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// The same, asked for by a person (a Slack user id) with a delivery.
    ///
    /// # Errors
    /// [`StoreError::Misfit`] where a change is under way or the incident is closed.
    pub async fn investigate_again_once(
        &self,
        id: IncidentId,
        by: &str,
        why: &str,
        delivery: Option<&str>,
        now: Timestamp,
    ) -> Result<Once<bool>> {
        let Some(mut transaction) = self.begin_once(delivery, now).await? else { return Ok(Once::Before) };
        if state_in(&mut transaction, id).await?.is_none() {
            return Ok(Once::Done(false));
        }
        super::accept::note_asker(&mut transaction, id, by).await?;
        look_again(&mut transaction, id, why, now).await?;
        transaction.commit().await?;
        Ok(Once::Done(true))
    }

    /// Closes an incident; false where it is closed already or unknown.
    ///
    /// # Errors
    /// [`StoreError::Misfit`] where a change is under way.
    pub async fn close_incident(&self, id: IncidentId, reason: &str, now: Timestamp) -> Result<bool> {
        let mut transaction = self.begin().await?;
        let closing = Closing::because(reason);
        let closed = close_in(&mut transaction, id, Event::Closed, &closing, now).await?;
        transaction.commit().await?;
        Ok(closed)
    }

    /// The same, asked for by a delivery.
    ///
    /// # Errors
    /// [`StoreError::Misfit`] where a change is under way.
    pub async fn close_once(
        &self,
        id: IncidentId,
        closing: &Closing<'_>,
        delivery: Option<&str>,
        now: Timestamp,
    ) -> Result<Once<bool>> {
        let Some(mut transaction) = self.begin_once(delivery, now).await? else { return Ok(Once::Before) };
        let closed = close_in(&mut transaction, id, Event::Closed, closing, now).await?;
        transaction.commit().await?;
        Ok(Once::Done(closed))
    }
}

/// Closes an incident by an event that ends one, within a transaction; false where it is closed already.
pub(super) async fn close_in(
    transaction: &mut Transaction<'static, Sqlite>,
    id: IncidentId,
    event: Event,
    closing: &Closing<'_>,
    now: Timestamp,
) -> Result<bool> {
    let Some(state) = state_in(transaction, id).await? else { return Ok(false) };
    if state == State::Resolved {
        return Ok(false);
    }
    let next = state.after(event)?;
    sqlx::query(
        "UPDATE incidents SET state = ?2, closed_at = ?3, close_reason = ?4, closed_by = ?5 WHERE id = ?1",
    )
    .bind(id.0)
    .bind(next.as_str())
    .bind(now.as_millisecond())
    .bind(closing.reason)
    .bind(closing.by)
    .execute(&mut **transaction)
    .await?;
    super::approvals::supersede(transaction, id, now).await?;
    let by = closing.by.map(|by| format!(" by <@{by}>")).unwrap_or_default();
    note(transaction, id, now, &format!("closed{by}: {}", closing.reason)).await?;
    super::jobs::enqueue(transaction, &JobKind::Headline, Some(id), now).await?;
    Ok(true)
}

/// Begins a new round of an incident within a transaction.
pub(super) async fn look_again(
    transaction: &mut Transaction<'static, Sqlite>,
    id: IncidentId,
    why: &str,
    now: Timestamp,
) -> Result<()> {
    move_state(transaction, id, Event::InvestigatedAgain).await?;
    sqlx::query("UPDATE incidents SET round = round + 1, heard_at = ?2 WHERE id = ?1")
        .bind(id.0)
        .bind(now.as_millisecond())
        .execute(&mut **transaction)
        .await?;
    super::approvals::supersede(transaction, id, now).await?;
    note(transaction, id, now, &format!("investigated again: {why}")).await?;
    super::jobs::enqueue(transaction, &JobKind::Investigate, Some(id), now).await
}

pub(super) async fn state_in(
    transaction: &mut Transaction<'static, Sqlite>,
    id: IncidentId,
) -> Result<Option<State>> {
    let state: Option<String> = sqlx::query_scalar("SELECT state FROM incidents WHERE id = ?1")
        .bind(id.0)
        .fetch_optional(&mut **transaction)
        .await?;
    state.map(|state| state.parse().map_err(StoreError::Content)).transpose()
}

/// Moves an incident's state within a transaction.
pub(super) async fn move_state(
    transaction: &mut Transaction<'static, Sqlite>,
    id: IncidentId,
    event: Event,
) -> Result<State> {
    let state =
        state_in(transaction, id).await?.ok_or_else(|| StoreError::Content(format!("{id} is not stored")))?;
    let next = state.after(event)?;
    sqlx::query("UPDATE incidents SET state = ?2 WHERE id = ?1")
        .bind(id.0)
        .bind(next.as_str())
        .execute(&mut **transaction)
        .await?;
    Ok(next)
}
