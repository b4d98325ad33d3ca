//! What becomes of an approved change, as it is saved: sent, answered, ended, in effect, judged.
//!
//! The rule that is not obvious: each of these is saved once, with its row of the trail and whatever follows from it, in
//! one transaction. Whoever comes second hears that it was saved before.

use jiff::{SignedDuration, Timestamp};

use super::accept::note;
use super::audit::append;
use super::states::{move_state, state_in};
use super::{Approval, JobKind, Result, Store, to_json};
use crate::domain::audit::{BOT, What};
use crate::domain::execution::{Answer, Effect};
use crate::domain::incident::{Event, State};
use crate::domain::plan::Aim;
use crate::domain::recovery::Word;
use crate::domain::trial;

/// The end of a test that was not made is tried again after this time: AWS may refuse it for a moment only.
const END_AGAIN: SignedDuration = SignedDuration::from_mins(1);

/// What became of an approved change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    pub effect: Effect,
    /// What people are told.
    pub words: String,
    /// Nothing was changed because the world is not as the plan has it: a new investigation follows.
    pub look_again: bool,
}

impl Store {
    /// Notes, before the call leaves, that it is about to be sent. False where it was sent or answered since
    /// `approval` was read: somebody else is at it.
    pub async fn note_sending(&self, approval: &Approval, what: What, now: Timestamp) -> Result<bool> {
        let mut transaction = self.begin().await?;
        let done = sqlx::query(
            "UPDATE approvals SET sent_at = ?2 WHERE id = ?1 AND sent_at IS ?3 AND answer IS NULL AND outcome IS NULL",
        )
        .bind(&approval.id)
        .bind(now.as_millisecond())
        .bind(approval.sent_at.map(Timestamp::as_millisecond))
        .execute(&mut *transaction)
        .await?;
        if done.rows_affected() != 1 {
            return Ok(false);
        }
        append(&mut transaction, &approval.entry(BOT, now, what)).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Notes what AWS answered to the call, or that it did not in time.
    pub async fn note_answer(
        &self,
        approval: &Approval,
        answer: &Answer,
        what: What,
        now: Timestamp,
    ) -> Result<()> {
        let mut transaction = self.begin().await?;
        sqlx::query("UPDATE approvals SET answer = ?2 WHERE id = ?1")
            .bind(&approval.id)
            .bind(to_json(answer)?)
            .execute(&mut *transaction)
            .await?;
        append(&mut transaction, &approval.entry(BOT, now, what)).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Writes down what was seen on the way of an approval; `by` is a person, where it was not the bot on its way.
    pub async fn note_step(
        &self,
        approval: &Approval,
        by: Option<&str>,
        what: What,
        now: Timestamp,
    ) -> Result<()> {
        self.audit(&approval.entry(by.unwrap_or(BOT), now, what)).await
    }

    /// Saves what became of the change: applied, and then verification follows, or the end of a test; or not. False
    /// where that was saved before.
    pub async fn note_outcome(&self, approval: &Approval, ended: &Ended, now: Timestamp) -> Result<bool> {
        let Ended { effect, words, look_again } = ended;
        let in_place = approval.is_applied(*effect);
        let mut transaction = self.begin().await?;
        let done = sqlx::query(
            "UPDATE approvals SET applied_at = ?2, outcome = ?3, effect = ?4 WHERE id = ?1 AND outcome IS NULL",
        )
        .bind(&approval.id)
        .bind(in_place.then(|| now.as_millisecond()))
        .bind(words)
        .bind(effect.as_str())
        .execute(&mut *transaction)
        .await?;
        if done.rows_affected() != 1 {
            return Ok(false);
        }
        let undoing = approval.undoes.is_some();
        let event = match (&approval.plan.aim, undoing, in_place) {
            // What AWS shows then says whether the test is over.
            (Aim::EndTrial, ..) => None,
            (Aim::Try(_), _, true) => Some(Event::TrialBegun),
            (Aim::Undo, true, _) => Some(Event::TakenBack),
            (Aim::Undo, false, true) => Some(Event::Applied),
            (_, _, false) => Some(Event::NotApplied),
        };
        if let Some(event) = event {
            move_state(&mut transaction, approval.incident, event).await?;
        }
        note(&mut transaction, approval.incident, now, words).await?;
        let what = What::Ended { applied: effect.was_made(), effect: Some(*effect), words: words.clone() };
        append(&mut transaction, &approval.entry(BOT, now, what)).await?;
        if effect.is_open() {
            let job = JobKind::Settle { approval: approval.id.clone() };
            super::jobs::enqueue(&mut transaction, &job, Some(approval.incident), now).await?;
        }
        let sent_at = approval.sent_at.unwrap_or(now);
        let later = |at: Timestamp, wait: SignedDuration| at.saturating_add(wait).unwrap_or(now);
        let follows = match (&approval.plan.aim, &approval.undoes) {
            (Aim::EndTrial, Some(trial)) => {
                let wait = if in_place { SignedDuration::ZERO } else { END_AGAIN };
                Some((JobKind::EndTrial { approval: trial.clone(), pressed: None }, later(now, wait)))
            }
            (Aim::Try(_), _) if in_place => {
                let end = JobKind::EndTrial { approval: approval.id.clone(), pressed: None };
                Some((end, later(sent_at, trial::LASTS)))
            }
            (Aim::Undo, _) if in_place => Some((JobKind::Verify { approval: approval.id.clone() }, now)),
            _ => None,
        };
        if let Some((job, at)) = follows {
            super::jobs::enqueue(&mut transaction, &job, Some(approval.incident), at).await?;
        }
        if *look_again && !undoing {
            let why = "the plan did not hold any more when it was carried out";
            super::states::look_again(&mut transaction, approval.incident, why, now).await?;
        }
        super::jobs::enqueue(&mut transaction, &JobKind::Headline, Some(approval.incident), now).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Saves what became of a call once it is known whose hand it was. False where that was known before.
    pub async fn settle(
        &self,
        approval: &Approval,
        effect: Effect,
        words: &str,
        now: Timestamp,
    ) -> Result<bool> {
        let mut transaction = self.begin().await?;
        let done = sqlx::query("UPDATE approvals SET effect = ?2 WHERE id = ?1 AND effect IS ?3")
            .bind(&approval.id)
            .bind(effect.as_str())
            .bind(approval.effect.map(Effect::as_str))
            .execute(&mut *transaction)
            .await?;
        if done.rows_affected() != 1 {
            return Ok(false);
        }
        note(&mut transaction, approval.incident, now, words).await?;
        let what = What::Settled { effect, words: words.to_owned() };
        append(&mut transaction, &approval.entry(BOT, now, what)).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Saves when a change that was made served everybody; the first word stands.
    pub async fn note_in_effect(&self, approval: &Approval, at: Timestamp) -> Result<()> {
        let mut transaction = self.begin().await?;
        sqlx::query("UPDATE approvals SET in_effect_at = ?2 WHERE id = ?1 AND in_effect_at IS NULL")
            .bind(&approval.id)
            .bind(at.as_millisecond())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Saves whether the change helped; of one that took a rollback back, how the service fares since, and then the
    /// incident stays as it is. False where that was decided before, or the incident has moved on.
    pub async fn note_judgement(
        &self,
        approval: &Approval,
        word: Word,
        what: &str,
        now: Timestamp,
    ) -> Result<bool> {
        let event = match word {
            Word::Recovered => Event::Recovered,
            Word::NotRecovered => Event::NotRecovered,
            Word::TooEarly => return Ok(false),
        };
        let undoing = approval.undoes.is_some();
        let waits = if undoing { State::NotRecovered } else { State::Verifying };
        let word = word.as_str();
        let mut transaction = self.begin().await?;
        if state_in(&mut transaction, approval.incident).await? != Some(waits) {
            return Ok(false);
        }
        let done = sqlx::query(
            "UPDATE approvals SET outcome = ?2, judged = ?3, judged_at = ?4 WHERE id = ?1 AND judged IS NULL",
        )
        .bind(&approval.id)
        .bind(what)
        .bind(word)
        .bind(now.as_millisecond())
        .execute(&mut *transaction)
        .await?;
        if done.rows_affected() != 1 {
            return Ok(false);
        }
        if !undoing {
            move_state(&mut transaction, approval.incident, event).await?;
        }
        note(&mut transaction, approval.incident, now, what).await?;
        let judged = What::Judged { word: word.to_owned(), figures: what.to_owned() };
        append(&mut transaction, &approval.entry(BOT, now, judged)).await?;
        super::jobs::enqueue(&mut transaction, &JobKind::Headline, Some(approval.incident), now).await?;
        transaction.commit().await?;
        Ok(true)
    }
}
