//! The approved change, made at most once.
//!
//! The rule that is not obvious: the mark 'sent' is on disk before the call leaves. Whoever finds it and no answer
//! reads back what AWS holds. It is sent again only after a crash, where nothing was changed, and where AWS itself
//! refuses the second of two calls; what is said of it afterwards is no more than what AWS shows.

use std::time::Duration;

use anyhow::Context as _;
use jiff::SignedDuration;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::{Bench, Done, delivery, headline, trial};
use crate::aws::rollback::{self, Obstacle, Outcome, State, Traced};
use crate::aws::{Clients, ReadError};
use crate::domain::approval::Decision;
use crate::domain::audit::What;
use crate::domain::execution::{self, APPLY_WITHIN, Answer, Effect, Finding, Guard, Hand, Next, Seen, Sent};
use crate::domain::incident::State as IncidentState;
use crate::domain::plan::Aim;
use crate::domain::redact;
use crate::fail_points::Point;
use crate::slack::messages;
use crate::store::{Approval, Ended, IncidentRow};

const READ_DEADLINE: Duration = Duration::from_secs(10);
/// How often AWS is asked again where it cannot be looked at before the change.
const ASK_AGAIN: SignedDuration = SignedDuration::from_secs(5);

/// How far a run of this step came.
enum Step {
    Ended(Ended),
    /// Not known yet: to be looked at again after this time.
    Open(SignedDuration),
}

impl Step {
    fn ended(effect: Effect, words: String) -> Self {
        Self::Ended(Ended { effect, words, look_again: false })
    }

    /// The world is not as the plan has it: it is looked at again, which is told with it.
    fn moved(effect: Effect, words: String) -> Self {
        Self::Ended(Ended { effect, words, look_again: true })
    }
}

pub async fn roll_back(bench: &Bench, approval: &str) -> anyhow::Result<Done> {
    let Some(mut approval) = bench.store.approval(approval).await? else { return Ok(Done::Finished) };
    let Some(row) = bench.store.incident_row(approval.incident).await? else { return Ok(Done::Finished) };
    if approval.decision != Some(Decision::Approved) {
        return Ok(Done::Finished);
    }
    if approval.outcome.is_none() {
        if row.state != under_way(&approval) {
            return Ok(Done::Finished);
        }
        bench.fail_points.pass(Point::Approved).await;
        let mut ended = match carry_out(bench, &approval).await? {
            Step::Ended(ended) => ended,
            Step::Open(wait) => return Ok(Done::Again(wait)),
        };
        if ended.look_again {
            let then = match approval.plan.aim {
                Aim::EndTrial => "Whether the test is over is looked at again.",
                Aim::Undo | Aim::Try(_) => "The investigation looks again.",
            };
            ended.words = format!("{} {then}", ended.words);
        }
        note_outcome(bench, &approval, &ended).await?;
        bench.fail_points.pass(Point::OutcomeStored).await;
        approval.outcome = Some(ended.words);
        approval.effect = Some(ended.effect);
    }
    tell(bench, &approval, &row).await?;
    bench.fail_points.pass(Point::OutcomeTold).await;
    Ok(Done::Finished)
}

/// How the incident of an approved change stands until its outcome is known.
fn under_way(approval: &Approval) -> IncidentState {
    match approval.plan.aim {
        Aim::EndTrial => IncidentState::Trying,
        Aim::Undo | Aim::Try(_) => IncidentState::RollingBack,
    }
}

/// Ends an approval whose step fails again and again, in words: an incident does not stay 'rolling back'.
///
/// # Errors
/// Where even that cannot be stored; it is tried again.
pub async fn give_up(bench: &Bench, approval: &str, error: &anyhow::Error) -> anyhow::Result<()> {
    let Some(mut approval) = bench.store.approval(approval).await? else { return Ok(()) };
    let Some(row) = bench.store.incident_row(approval.incident).await? else { return Ok(()) };
    if approval.outcome.is_none() && row.state == under_way(&approval) {
        let why = redact::text(&format!("{error:#}"));
        let what = &approval.plan.what;
        let ended = match (&approval.answer, approval.sent_at) {
            (Some(Answer::Made), _) => Ended {
                effect: Effect::Made,
                words: format!("{}: {what}. The bot failed to follow it up ({why}).", made(&approval)),
                look_again: false,
            },
            (None, None) => Ended {
                effect: Effect::NotMade,
                words: format!(
                    "Nothing was changed: the bot failed to carry it out, again and again ({why})."
                ),
                look_again: false,
            },
            _ => Ended {
                effect: Effect::Unknown,
                words: format!(
                    "The change was sent, and the bot failed to see what became of it ({why}). Look at it by hand: {what}."
                ),
                look_again: false,
            },
        };
        note_outcome(bench, &approval, &ended).await?;
        approval.outcome = Some(ended.words);
        approval.effect = Some(ended.effect);
    }
    tell(bench, &approval, &row).await
}

async fn note_outcome(bench: &Bench, approval: &Approval, ended: &Ended) -> anyhow::Result<()> {
    let stored = bench.store.note_outcome(approval, ended, bench.clock.now()).await?;
    // A test is no rollback.
    if stored && approval.plan.aim == Aim::Undo {
        let in_place = ended.effect.is_in_place();
        bench.metrics.count(if in_place { "rollbacks_applied" } else { "rollbacks_not_applied" });
    }
    bench.wake.notify_one();
    Ok(())
}

/// Says in the thread what became of it, once, also where an earlier run did not come to that.
async fn tell(bench: &Bench, approval: &Approval, row: &IncidentRow) -> anyhow::Result<()> {
    let words = approval.outcome.as_deref().unwrap_or_default();
    let in_vain = approval.effect.is_some_and(|effect| !effect.is_in_place());
    if approval.plan.design().is_some() && approval.effect.is_some_and(|effect| approval.is_applied(effect)) {
        if !bench.store.is_owed(row.id, &trial::purpose(approval)).await? {
            trial::show(bench, approval, row, None).await?;
            headline::refresh(bench, row.id, &[], Some(words)).await?;
        }
        return Ok(());
    }
    let purpose = match (&approval.plan.aim, &approval.undoes) {
        // Its end is tried until it is made, and that it was not made is said once.
        (Aim::EndTrial, Some(trial)) if in_vain => format!("not_ended/{trial}"),
        _ => format!("outcome/{}", approval.id),
    };
    if in_vain && !bench.store.is_owed(row.id, &purpose).await? {
        whisper(bench, approval, row, words).await;
    }
    if say_once(bench, row, &purpose, words).await? {
        headline::refresh(bench, row.id, &[], Some(words)).await?;
    }
    Ok(())
}

/// Whoever approved is told privately that nothing came of it. The thread says so too, so that this is tried once.
async fn whisper(bench: &Bench, approval: &Approval, row: &IncidentRow, words: &str) {
    let (Some(by), Some(channel)) = (&approval.decided_by, &approval.channel) else { return };
    let message = messages::notice(row.id, words);
    if let Err(error) = bench.slack.tell(channel, row.thread_ts.as_deref(), by, &message).await {
        tracing::warn!(incident = %row.id, %error, "a private answer could not be given");
    }
}

/// Owes a notice in the thread; false where it was owed before.
pub(super) async fn say_once(
    bench: &Bench,
    row: &IncidentRow,
    purpose: &str,
    words: &str,
) -> anyhow::Result<bool> {
    if bench.store.is_owed(row.id, purpose).await? {
        return Ok(false);
    }
    if let Some(channel) = row.channel.as_deref().filter(|_| bench.slack.is_configured()) {
        delivery::owe(bench, row.id, channel, purpose, &messages::notice(row.id, words), None).await?;
    }
    Ok(true)
}

/// What this approval's calls are called in CloudTrail, where the role for writing is one of its own: no two
/// approvals share it.
fn session(approval: &Approval) -> String {
    let by = approval.decided_by.as_deref().unwrap_or("nobody");
    let short = approval.id.get(..8).unwrap_or(&approval.id);
    format!("{}-{by}-{short}", approval.incident)
}

/// Where the incident's service lives: what was read there is changed there.
pub(super) async fn reach<'a>(bench: &'a Bench, approval: &Approval) -> anyhow::Result<&'a Clients> {
    let row = bench.store.incident_row(approval.incident).await?;
    Ok(bench.aws_of(&row.context("the incident of an approval is gone")?.service))
}

/// Whose hand it was, by what AWS has written down until now.
pub(super) async fn trace(bench: &Bench, approval: &Approval) -> anyhow::Result<Traced> {
    let now = bench.clock.now();
    let aws = reach(bench, approval).await?;
    let session = aws.session(&session(approval));
    let target = &approval.plan.target;
    let sent_at = approval.sent_at.unwrap_or(now);
    let deadline = Instant::now() + READ_DEADLINE;
    Ok(rollback::hand(aws, target, session.as_deref(), sent_at, now, deadline).await)
}

async fn carry_out(bench: &Bench, approval: &Approval) -> anyhow::Result<Step> {
    match &approval.answer {
        None | Some(Answer::None { .. }) => {}
        Some(Answer::Made) => return after_made(bench, approval).await,
        Some(answer) => return Ok(refused(answer)),
    }
    match execution::next(approval.sent(), approval.expires_at, bench.clock.now()) {
        Next::ReadBack(sent) => read_back(bench, approval, sent).await,
        Next::TooLate => Ok(Step::ended(
            Effect::NotMade,
            "The approval was interrupted and has expired; nothing was changed.".into(),
        )),
        Next::Send => look_and_send(bench, approval).await,
    }
}

async fn look_and_send(bench: &Bench, approval: &Approval) -> anyhow::Result<Step> {
    let now = bench.clock.now();
    let target = &approval.plan.target;
    if let Some(until) = bench.store.on_its_way(target, &approval.id, now).await? {
        // An earlier call that was never answered could arrive after this one.
        return Ok(Step::Open(until.duration_since(now)));
    }
    if !bench.store.is_sealed(approval).await? {
        let words = "Nothing was changed: the plan that is stored is not the one that approval was asked for. Look at \
                     the audit trail and at who can write to the database.";
        return Ok(Step::ended(Effect::NotMade, words.into()));
    }
    match look(bench, approval, None).await? {
        Ok(()) => {
            bench.fail_points.pass(Point::Checked).await;
            send(bench, approval).await
        }
        Err(Obstacle::Unreadable { error: error @ ReadError::AccessDenied { .. } }) => {
            Ok(Step::ended(Effect::NotMade, format!("Nothing was changed: {error}.")))
        }
        Err(Obstacle::Unreadable { error }) => {
            // Nothing left yet: it is tried again until the approval expires.
            tracing::warn!(incident = %approval.incident, %error, "cannot look before the change");
            bench.note_aws(false);
            Ok(Step::Open(ASK_AGAIN))
        }
        Err(obstacle) => Ok(Step::moved(Effect::NotMade, format!("Nothing was changed: {obstacle}."))),
    }
}

/// Whether the plan still holds exactly as it was posted. `by` is the person who wants to know, where it is not
/// the bot on its way.
pub(super) async fn look(
    bench: &Bench,
    approval: &Approval,
    by: Option<&str>,
) -> anyhow::Result<Result<(), Obstacle>> {
    let target = &approval.plan.target;
    let aws = reach(bench, approval).await?;
    let found = rollback::check(aws, target, bench.clock.now(), Instant::now() + READ_DEADLINE).await;
    let answer = match &found {
        Ok(()) => "all that the plan starts from is still there".to_owned(),
        Err(obstacle) => redact::text(&obstacle.to_string()),
    };
    let what = What::Checked { call: target.reading_call().to_owned(), answer };
    bench.store.note_step(approval, by, what, bench.clock.now()).await?;
    Ok(found)
}

async fn send(bench: &Bench, approval: &Approval) -> anyhow::Result<Step> {
    let session = session(approval);
    let aws = reach(bench, approval).await?;
    let writer = aws.writer(&session).await;
    let plan = &approval.plan;
    let call = plan.target.call().to_owned();
    let leaving = What::Sending { call: call.clone(), resource: plan.what.clone(), session };
    if !bench.store.note_sending(approval, leaving, bench.clock.now()).await? {
        // Somebody else is at it: the next run sees how far that came.
        return Ok(Step::Open(ASK_AGAIN));
    }
    bench.fail_points.pass(Point::Marked).await;
    let deadline = Instant::now() + APPLY_WITHIN;
    let incident = approval.incident.to_string();
    let span = tracing::error_span!("change", incident, call = plan.target.call());
    let outcome = rollback::apply(aws, &writer, &plan.target, deadline).instrument(span).await;
    let answered = match &outcome {
        Outcome::Unknown { .. } => false,
        Outcome::Refused { error } => !error.may_pass(),
        Outcome::Applied | Outcome::Moved { .. } | Outcome::NotSupported { .. } => true,
    };
    bench.note_aws(answered);
    bench.fail_points.pass(Point::Answered).await;
    let answer = if approval.sent_at.is_some() { answer(&outcome).of_second() } else { answer(&outcome) };
    let answered = What::Answered { call, answer: in_words(&answer) };
    bench.store.note_answer(approval, &answer, answered, bench.clock.now()).await?;
    bench.fail_points.pass(Point::AnswerNoted).await;
    match answer {
        Answer::Made => Ok(Step::ended(Effect::Made, format!("{}: {}.", made(approval), plan.what))),
        Answer::None { why } => {
            tracing::warn!(incident = %approval.incident, why, "no answer to a change; reading back");
            // The next run finds the mark, and no answer.
            Ok(Step::Open(SignedDuration::ZERO))
        }
        other => Ok(refused(&other)),
    }
}

/// What the bot's call did, in words.
fn made(approval: &Approval) -> &'static str {
    match approval.plan.aim {
        Aim::Try(_) => "Test begun",
        Aim::EndTrial => "Test ended",
        Aim::Undo if approval.undoes.is_some() => "Taken back",
        Aim::Undo => "Rolled back",
    }
}

/// AWS's answer as it is kept, secrets masked.
fn answer(outcome: &Outcome) -> Answer {
    match outcome {
        Outcome::Applied => Answer::Made,
        Outcome::Moved { what } => Answer::Moved { what: redact::text(what) },
        Outcome::Unknown { reason } => Answer::None { why: redact::text(reason) },
        Outcome::Refused { error } => Answer::Refused { why: redact::text(&error.to_string()) },
        Outcome::NotSupported { what } => {
            Answer::Refused { why: redact::text(&format!("the bot does not make this change ({what})")) }
        }
    }
}

fn in_words(answer: &Answer) -> String {
    match answer {
        Answer::Made => "carried out".into(),
        Answer::Moved { what } => format!("refused, something moved: {what}"),
        Answer::None { why } => format!("no certain answer: {why}"),
        Answer::Refused { why } => format!("refused: {why}"),
    }
}

fn refused(answer: &Answer) -> Step {
    match answer {
        Answer::Moved { what } => Step::moved(Effect::NotMade, format!("Nothing was changed: {what}.")),
        other => Step::ended(
            Effect::NotMade,
            match other {
                Answer::Refused { why } => format!("Nothing was changed: {why}."),
                _ => "Nothing was changed.".into(),
            },
        ),
    }
}

/// What AWS holds now, and the same in words.
async fn see(bench: &Bench, approval: &Approval) -> anyhow::Result<(Seen, String)> {
    let target = &approval.plan.target;
    let aws = reach(bench, approval).await?;
    let read = rollback::read_back(aws, target, Instant::now() + READ_DEADLINE).await;
    let (seen, told) = match read {
        Ok(State::Restored) => (Seen::Restored, "as the plan wants it".to_owned()),
        Ok(State::Unchanged) => (Seen::Untouched, "untouched since the plan was made".to_owned()),
        Ok(State::Alike { what } | State::Other { what }) => (Seen::Changed, redact::text(&what)),
        Err(error) => (Seen::Unreadable, redact::text(&error.to_string())),
    };
    if seen == Seen::Unreadable {
        tracing::warn!(incident = %approval.incident, told, "cannot read back what became of a change");
        bench.note_aws(false);
    }
    Ok((seen, told))
}

async fn note_read(bench: &Bench, approval: &Approval, told: String) -> anyhow::Result<()> {
    let read = What::ReadBack { call: approval.plan.target.reading_call().to_owned(), answer: told };
    Ok(bench.store.note_step(approval, None, read, bench.clock.now()).await?)
}

/// AWS had answered that it made the change, and then the process died: does it still stand?
async fn after_made(bench: &Bench, approval: &Approval) -> anyhow::Result<Step> {
    let (seen, told) = see(bench, approval).await?;
    note_read(bench, approval, told.clone()).await?;
    let what = &approval.plan.what;
    Ok(match seen {
        Seen::Changed => overtaken(&told),
        _ => Step::ended(Effect::Made, format!("{}: {what}.", made(approval))),
    })
}

fn overtaken(told: &str) -> Step {
    let words = format!("The change was made, and something else changed it since: {told}.");
    Step::moved(Effect::Overtaken, words)
}

/// What became of a call that left and whose answer is not known.
async fn read_back(bench: &Bench, approval: &Approval, sent: Sent) -> anyhow::Result<Step> {
    let (seen, told) = see(bench, approval).await?;
    bench.fail_points.pass(Point::ReadBack).await;
    // Only what was changed has an author.
    let traced = match seen {
        Seen::Restored | Seen::Changed => Some(trace(bench, approval).await?),
        Seen::Untouched | Seen::Unreadable => None,
    };
    let hand = traced.as_ref().map_or(Hand::Unknown, |traced| traced.hand);
    let now = bench.clock.now();
    let mut finding = execution::find(seen, hand, sent, approval.expires_at, now);
    if finding == Finding::SendAgain {
        match look(bench, approval, None).await? {
            Ok(()) if bench.store.is_sealed(approval).await? => return send(bench, approval).await,
            // As it cannot be sent again, what was sent is waited for.
            _ => {
                let sent = Sent { unanswered: true, ..sent };
                finding = execution::find(seen, hand, sent, approval.expires_at, now);
            }
        }
    }
    let effect = match finding {
        Finding::Ended(effect) => effect,
        Finding::Open(wait) => {
            if sent.guard == Guard::Nobody && seen != Seen::Unreadable {
                tell_waiting(bench, approval, sent).await?;
            }
            return Ok(Step::Open(wait));
        }
        Finding::SendAgain => return Ok(Step::Open(ASK_AGAIN)),
    };
    let traced = traced.map(|traced| traced.told);
    let noted = [Some(told.clone()), traced.clone()].into_iter().flatten().collect::<Vec<_>>().join("; ");
    note_read(bench, approval, noted).await?;
    let what = &approval.plan.what;
    let how = how(sent);
    let because = traced.map(|told| format!(" ({told})")).unwrap_or_default();
    Ok(match effect {
        Effect::Made => Step::ended(effect, format!("{}: {what} (read back from AWS).", made(approval))),
        Effect::ByAnother if approval.plan.design().is_some() => Step::moved(
            effect,
            format!("Somebody else makes the same test, which is theirs to end{because}: {what}."),
        ),
        Effect::ByAnother => Step::ended(
            effect,
            format!(
                "As the plan wants it by somebody else's hand, and the bot's call changed nothing{because}: {what}."
            ),
        ),
        Effect::InPlace => Step::ended(
            effect,
            format!(
                "As the plan wants it: {what}. No answer came to the bot's call, and by whose hand it was is not known{because}."
            ),
        ),
        Effect::Overtaken => overtaken(&told),
        Effect::NotMade if seen == Seen::Untouched => {
            Step::moved(effect, format!("{how} and did not take place: {what}."))
        }
        Effect::NotMade => Step::moved(
            effect,
            format!("The change did not take place, and something else moved: {told}{because}."),
        ),
        Effect::Unclear => Step::moved(
            effect,
            format!("{how}. By now: {told}. Whether it was made in between is not known{because}."),
        ),
        Effect::Unknown => Step::ended(
            effect,
            format!(
                "The change was sent, and nothing tells what became of it ({told}). Look at it by hand: {what}."
            ),
        ),
    })
}

/// Why nobody knows what AWS made of the call.
fn how(sent: Sent) -> &'static str {
    if sent.unanswered { "The change got no answer" } else { "The change was interrupted" }
}

/// Tells the thread at once that it has to wait, and until when.
async fn tell_waiting(bench: &Bench, approval: &Approval, sent: Sent) -> anyhow::Result<()> {
    let Some(row) = bench.store.incident_row(approval.incident).await? else { return Ok(()) };
    let words = format!(
        "{}: {}. AWS may take the call that left until {}, because nothing but the call's \
         own signature ends it; until then it is looked for, and nothing else is sent.",
        how(sent),
        approval.plan.what,
        sent.certain_at().strftime("%H:%M:%S UTC")
    );
    if say_once(bench, &row, &format!("interrupted/{}", approval.id), &words).await? {
        headline::refresh(bench, row.id, &[], Some(&words)).await?;
    }
    Ok(())
}
