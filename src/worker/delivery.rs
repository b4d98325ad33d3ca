//! From the outbox to Slack: each message once, in its incident's order, at Slack's pace.
//!
//! The rule that is not obvious: an answer that did not come says nothing. A post whose outcome nobody
//! knows (a timeout, a broken connection, a process that ended in between) is looked for in Slack by the
//! token in its metadata before it is posted anew; an image by its file's id. Edits are simply repeated.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tracing::Instrument as _;

use super::{Bench, DATABASE_AGAIN, report};
use crate::domain::incident::IncidentId;
use crate::fail_points::Point;
use crate::slack::client::Mark;
use crate::slack::fit::short_form;
use crate::slack::messages::Message;
use crate::slack::pace::Lane;
use crate::slack::{Posted, SlackError};
use crate::store::{Candidate, GRACE, Owed, Parcel, StoreError, UndeliveredCause as Cause, Way};

/// Calls to Slack at the same time: one that hangs must not hold up the others.
const AT_ONCE: usize = 4;
/// A look at the outbox at least so often.
const POLL: Duration = Duration::from_millis(500);
/// Between attempts at a message that Slack did not take.
const BACK_OFF: SignedDuration = SignedDuration::from_secs(1);
const BACK_OFF_MAX: SignedDuration = SignedDuration::from_secs(60);
/// An outage of Slack is waited for so long; a verdict that is older helps nobody.
const PATIENCE: SignedDuration = SignedDuration::from_hours(24);
/// A chart that is late is no chart.
const PATIENCE_WITH_IMAGES: SignedDuration = SignedDuration::from_mins(15);
/// A refusal that may pass (a token that is being replaced, a word of Slack's that we do not know) is
/// tried so often.
const REFUSALS_MAX: i64 = 6;
/// Slack's clock may differ from ours by so much.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// Owes a message of an incident, or another content of one that was owed before.
///
/// # Errors
/// Where it cannot be stored.
pub(super) async fn owe(
    bench: &Bench,
    incident: IncidentId,
    channel: &str,
    purpose: &str,
    message: &Message,
    approval: Option<&str>,
) -> Result<(), StoreError> {
    let owed = Owed {
        purpose: purpose.to_owned(),
        incident: Some(incident),
        channel: channel.to_owned(),
        thread_ts: None,
        body: message.to_json(),
        image: None,
        approval: approval.map(str::to_owned),
    };
    put(bench, &owed).await.map(drop)
}

/// An image with its names.
pub(super) struct Image {
    pub file_name: String,
    pub title: String,
    pub alternative_text: String,
    pub png: Vec<u8>,
}

/// Owes an image of an incident.
///
/// # Errors
/// Where it cannot be stored.
pub(super) async fn owe_image(
    bench: &Bench,
    incident: IncidentId,
    channel: &str,
    purpose: &str,
    image: Image,
) -> Result<(), StoreError> {
    let owed = Owed {
        purpose: purpose.to_owned(),
        incident: Some(incident),
        channel: channel.to_owned(),
        thread_ts: None,
        body: json!({
            "file_name": image.file_name, "title": image.title, "alternative_text": image.alternative_text,
        }),
        image: Some(image.png),
        approval: None,
    };
    put(bench, &owed).await.map(drop)
}

/// False where the same was owed before.
pub(super) async fn put(bench: &Bench, owed: &Owed) -> Result<bool, StoreError> {
    let news = bench.store.owe(owed, bench.clock.now()).await?;
    if news {
        bench.mail.notify_one();
    }
    Ok(news)
}

/// Delivers until it is to stop; a call that has begun is ended.
pub async fn run(bench: Bench) {
    if !bench.slack.is_configured() {
        return;
    }
    let (mut under_way, hands) = (JoinSet::new(), Arc::new(Semaphore::new(AT_ONCE)));
    while !bench.stop.is_cancelled() {
        let Ok(hand) = hands.clone().acquire_owned().await else { break };
        while under_way.try_join_next().is_some() {}
        // Registered before the look, so that a message owed during the look wakes us.
        let woken = bench.mail.notified();
        let wait = match claim(&bench).await {
            Ok(Next::Parcel(parcel)) => {
                let bench = bench.clone();
                let incident = parcel.incident.map(|id| id.to_string()).unwrap_or_default();
                under_way.spawn(async move {
                    if let Err(error) = deliver(&bench, *parcel).await {
                        tracing::error!(incident, %error, "the outbox cannot be written");
                    }
                    drop(hand);
                    bench.mail.notify_one();
                });
                continue;
            }
            Ok(Next::At(at)) => wait_until(&bench, at).min(POLL),
            Ok(Next::Nothing) => POLL,
            Err(error) => {
                tracing::error!(%error, "the outbox cannot be read");
                DATABASE_AGAIN
            }
        };
        drop(hand);
        tokio::select! {
            () = woken, if wait != DATABASE_AGAIN => {}
            () = bench.clock.sleep(wait) => {}
            () = bench.stop.cancelled() => {}
        }
    }
    while under_way.join_next().await.is_some() {}
}

fn wait_until(bench: &Bench, at: Timestamp) -> Duration {
    // At least a moment, or a clock that stands still would make this spin.
    Duration::try_from(at.duration_since(bench.clock.now()))
        .unwrap_or_default()
        .max(Duration::from_millis(10))
}

/// Delivers the next message whose turn it is; false where there is none now. Tests step by hand with
/// this.
///
/// # Errors
/// Where the outbox cannot be read or written; Slack's failures are noted with their message.
pub async fn deliver_once(bench: &Bench) -> Result<bool, StoreError> {
    match claim(bench).await? {
        Next::Parcel(parcel) => deliver(bench, *parcel).await.map(|()| true),
        Next::At(_) | Next::Nothing => Ok(false),
    }
}

enum Next {
    Parcel(Box<Parcel>),
    /// Something waits for its turn, which comes then.
    At(Timestamp),
    Nothing,
}

async fn claim(bench: &Bench) -> Result<Next, StoreError> {
    let now = bench.clock.now();
    let mut earliest: Option<Timestamp> = None;
    for candidate in bench.store.candidates(now).await? {
        match take_turns(bench, &candidate, now) {
            Ok(()) => {
                if let Some(parcel) = bench.store.lease(&candidate, now).await? {
                    return Ok(Next::Parcel(Box::new(parcel)));
                }
            }
            Err(turn) => earliest = Some(earliest.map_or(turn, |known| known.min(turn))),
        }
    }
    let earliest = match earliest {
        Some(turn) => Some(turn),
        None => bench.store.next_delivery().await?.filter(|next| *next > now),
    };
    Ok(earliest.map_or(Next::Nothing, Next::At))
}

fn take_turns(bench: &Bench, candidate: &Candidate, now: Timestamp) -> Result<(), Timestamp> {
    if candidate.sent_before.is_some() && candidate.way != Way::Edit {
        bench.slack.take_turn(Lane::Read, &candidate.channel, now)?;
    }
    let lane = lane(candidate.way);
    bench.slack.take_turn(lane, &candidate.channel, now)
}

fn lane(way: Way) -> Lane {
    match way {
        Way::Post => Lane::Post,
        Way::Edit => Lane::Update,
        Way::Image => Lane::Upload,
    }
}

/// What became of one attempt.
enum Outcome {
    /// Slack shows this revision here.
    Shown {
        channel: String,
        ts: String,
        revision: i64,
    },
    Failed(SlackError),
    /// An earlier attempt cannot be looked for: nothing was sent now.
    NotLookedFor(SlackError),
}

async fn deliver(bench: &Bench, parcel: Parcel) -> Result<(), StoreError> {
    let incident = parcel.incident.map(|id| id.to_string()).unwrap_or_default();
    let span = tracing::error_span!("delivery", incident);
    attempt(bench, parcel).instrument(span).await
}

async fn attempt(bench: &Bench, mut parcel: Parcel) -> Result<(), StoreError> {
    bench.fail_points.pass(Point::Leaving).await;
    let outcome = if let Some(ts) = parcel.ts.clone() {
        edit(bench, &parcel, ts).await
    } else {
        match look_for(bench, &parcel).await {
            Err(error) => Outcome::NotLookedFor(error),
            Ok(Some((ts, revision))) => {
                bench.metrics.count("messages_found_again");
                tracing::info!(message = parcel.key, "Slack had taken it: found again, not posted anew");
                Outcome::Shown { channel: parcel.channel.clone(), ts, revision }
            }
            Ok(None) => {
                parcel.sent_before = None;
                if parcel.image.is_some() {
                    show_image(bench, &mut parcel).await?
                } else {
                    post(bench, &parcel).await
                }
            }
        }
    };
    bench.fail_points.pass(Point::Arrived).await;
    let now = bench.clock.now();
    match outcome {
        Outcome::Shown { channel, ts, revision } => {
            note_call(bench, true, true);
            bench.metrics.count(if parcel.ts.is_some() { "messages_edited" } else { "messages_posted" });
            bench.store.note_shown(&parcel, &channel, &ts, revision, now).await?;
            if parcel.ts.is_none() {
                bench.store.revive(Some(&channel), now).await?;
                bench.steps_done.send_modify(|count| *count += 1);
            }
        }
        Outcome::Failed(error) => note_failure(bench, &parcel, &error, !error.is_uncertain(), now).await?,
        Outcome::NotLookedFor(error) => note_failure(bench, &parcel, &error, true, now).await?,
    }
    Ok(())
}

async fn edit(bench: &Bench, parcel: &Parcel, ts: String) -> Outcome {
    let place = Posted { channel: parcel.channel.clone(), ts };
    match bench.slack.update(&place, marked(parcel)).await {
        Ok(()) => Outcome::Shown { channel: place.channel, ts: place.ts, revision: parcel.revision },
        Err(error) => Outcome::Failed(error),
    }
}

async fn post(bench: &Bench, parcel: &Parcel) -> Outcome {
    match bench.slack.post(&parcel.channel, parcel.thread_ts.as_deref(), marked(parcel)).await {
        Ok(Posted { channel, ts }) => Outcome::Shown { channel, ts, revision: parcel.revision },
        Err(error) => Outcome::Failed(error),
    }
}

/// The body with the token by which the message is found again.
fn marked(parcel: &Parcel) -> Value {
    let short = if parcel.is_short { short_form(&parcel.body) } else { None };
    let mut body = short.unwrap_or_else(|| parcel.body.clone());
    if body["metadata"].is_object() {
        body["metadata"]["event_payload"]["delivery"] = json!(parcel.token);
    } else {
        body["metadata"] =
            json!({ "event_type": "incident_notice", "event_payload": { "delivery": parcel.token } });
    }
    body
}

async fn show_image(bench: &Bench, parcel: &mut Parcel) -> Result<Outcome, StoreError> {
    let text = |key: &str| parcel.body[key].as_str().unwrap_or_default();
    let png = parcel.image.clone().unwrap_or_default();
    let announced = bench.slack.announce_image(text("file_name"), text("alternative_text"), png.len()).await;
    let ticket = match announced {
        Ok(ticket) => ticket,
        Err(error) => return Ok(Outcome::Failed(error)),
    };
    if let Err(error) = bench.slack.send_image(&ticket, png).await {
        return Ok(Outcome::Failed(error));
    }
    // Before it is shown: a later look finds it by this id.
    bench.store.note_file(parcel, &ticket.file_id).await?;
    let thread = parcel.thread_ts.as_deref();
    Ok(match bench.slack.share_image(&parcel.channel, thread, &ticket.file_id, text("title")).await {
        Ok(()) => Outcome::Shown {
            channel: parcel.channel.clone(),
            ts: ticket.file_id.clone(),
            revision: parcel.revision,
        },
        Err(error) => Outcome::Failed(error),
    })
}

/// The message of an earlier attempt whose outcome nobody knows, with the revision that left then.
async fn look_for(bench: &Bench, parcel: &Parcel) -> Result<Option<(String, i64)>, SlackError> {
    let Some(revision) = parcel.sent_before else { return Ok(None) };
    let mark = match (&parcel.image, &parcel.file_id) {
        (None, _) => Mark::Token(&parcel.token),
        (Some(_), Some(file)) => Mark::File(file),
        // It was never shown: the attempt ended before that.
        (Some(_), None) => return Ok(None),
    };
    let since = parcel.sending_since.unwrap_or(parcel.owed_at);
    let oldest = since.saturating_sub(SKEW).unwrap_or(since);
    let found = bench.slack.find(&parcel.channel, parcel.thread_ts.as_deref(), mark, oldest).await?;
    Ok(found.map(|ts| (ts, revision)))
}

async fn note_failure(
    bench: &Bench,
    parcel: &Parcel,
    error: &SlackError,
    is_certain: bool,
    now: Timestamp,
) -> Result<(), StoreError> {
    let reached = !matches!(error, SlackError::Deadline { .. } | SlackError::Unreachable { .. });
    note_call(bench, false, reached);
    let said = error.to_string();
    let later = |wait: SignedDuration| now.saturating_add(wait).unwrap_or(now);
    if let SlackError::TooFast { method, wait } = error {
        let until = later(SignedDuration::try_from(*wait).unwrap_or(BACK_OFF_MAX));
        bench.slack.bar(lane_of(method), until);
        return bench.store.put_off(parcel, until, true, false, &said).await;
    }
    if error.code() == Some("thread_not_found") && parcel.thread_ts.is_some() {
        tracing::warn!(message = parcel.key, "the thread's first message is gone; a new thread begins");
        bench.store.forget_thread(parcel).await?;
        return bench.store.put_off(parcel, now, is_certain, true, &said).await;
    }
    if error.code().is_some_and(is_about_blocks) && !parcel.is_short && short_form(&parcel.body).is_some() {
        bench.metrics.count("messages_shortened");
        tracing::error!(
            message = parcel.key,
            error = said,
            "Slack refuses a message; its short form is tried"
        );
        return bench.store.take_short_form(parcel, now, &said).await;
    }
    let patience = if parcel.image.is_some() { PATIENCE_WITH_IMAGES } else { PATIENCE };
    let too_old = now.duration_since(parcel.owed_at) > patience;
    let cause = match error.code() {
        Some(code) => cause_of(code, parcel.ts.is_some(), parcel.attempts),
        None => None,
    };
    if let Some(cause) = cause.or(too_old.then_some(Cause::Age)) {
        bench.metrics.count("messages_undelivered");
        tracing::error!(
            message = parcel.key,
            channel = parcel.channel,
            error = said,
            "a message is given up"
        );
        // Told before it is given up, so that whoever ends in between tells it again.
        report::owner_not_reached(bench, &parcel.key, &said).await?;
        return bench.store.give_up(parcel, cause, is_certain, &said).await;
    }
    let exponent = u32::try_from(parcel.attempts.clamp(1, 16) - 1).unwrap_or(0);
    let wait = (BACK_OFF * 2i32.saturating_pow(exponent)).min(BACK_OFF_MAX);
    let wait = if is_certain || parcel.ts.is_some() { wait } else { wait.max(GRACE) };
    tracing::warn!(message = parcel.key, error = said, "a message did not arrive and is tried again");
    bench.store.put_off(parcel, later(wait), is_certain, true, &said).await
}

/// Why Slack will not take this message, by its own word; `None` where it is worth another attempt.
///
/// Source: the errors that docs.slack.dev lists for chat.postMessage, chat.update and the files methods.
fn cause_of(code: &str, is_edit: bool, attempts: i64) -> Option<Cause> {
    match code {
        "message_not_found" | "cant_update_message" | "edit_window_closed" if is_edit => Some(Cause::Deleted),
        "channel_not_found"
        | "not_in_channel"
        | "is_archived"
        | "restricted_action"
        | "restricted_action_read_only_channel"
        | "restricted_action_thread_only_channel"
        | "restricted_action_non_threadable_channel"
        | "cannot_reply_to_message"
        | "team_access_not_granted" => Some(Cause::Place),
        "missing_scope"
        | "no_permission"
        | "not_allowed_token_type"
        | "ekm_access_denied"
        | "token_revoked"
        | "account_inactive" => Some(Cause::Access),
        "invalid_blocks"
        | "invalid_blocks_format"
        | "msg_too_long"
        | "msg_blocks_too_long"
        | "no_text"
        | "too_many_attachments"
        | "metadata_too_large"
        | "metadata_too_long"
        | "invalid_metadata_format"
        | "invalid_metadata_schema"
        | "invalid_arguments"
        | "alt_txt_too_large"
        | "file_upload_size_restricted" => Some(Cause::Content),
        "fatal_error" | "internal_error" | "service_unavailable" | "request_timeout" => None,
        // A token that is being replaced in its file; whatever Slack may say one day.
        "invalid_auth" | "token_expired" | "not_authed" => {
            (attempts >= REFUSALS_MAX).then_some(Cause::Access)
        }
        _ => (attempts >= REFUSALS_MAX).then_some(Cause::Content),
    }
}

/// Whether Slack refuses what is in the blocks, or how much of it.
fn is_about_blocks(code: &str) -> bool {
    ["invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "msg_too_long"].contains(&code)
}

fn lane_of(method: &str) -> Lane {
    match method {
        "chat.postMessage" => Lane::Post,
        "chat.update" => Lane::Update,
        "conversations.history" | "conversations.replies" => Lane::Read,
        _ => Lane::Upload,
    }
}

/// Notes for `/readyz` whether Slack answered.
fn note_call(bench: &Bench, succeeded: bool, reached: bool) {
    bench.slack.note_answer(reached, bench.clock.now());
    bench.metrics.dependency("slack", reached);
    bench.metrics.count(if succeeded { "slack_calls" } else { "slack_calls_failed" });
}
