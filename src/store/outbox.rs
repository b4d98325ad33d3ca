//! The outbox: every message that is owed to a channel, and what Slack shows of it.
//!
//! The rule that is not obvious: a row is what a message should say, not an order to send it. Whoever
//! wants it otherwise replaces the content; the newest is sent, what was in between never is. `sending`
//! is set before a post leaves and cleared when its outcome is known: whoever finds it set looks for the
//! message in Slack before posting anew.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{Result, Store, json, time, to_json};
use crate::domain::incident::IncidentId;

/// Longer than all calls that one delivery makes together.
const LEASE: SignedDuration = SignedDuration::from_secs(120);
/// A message whose outcome is not known is looked for after so long: Slack may still be at it.
pub const GRACE: SignedDuration = SignedDuration::from_secs(5);
/// The same message is edited at most so often, so that one that changes all the time leaves turns to
/// others (chat.update: 50 a minute for all of them).
const EDIT_EVERY: SignedDuration = SignedDuration::from_millis(1_230);

/// A message that is owed.
#[derive(Debug, Clone)]
pub struct Owed {
    /// What it is, once, within its incident: `result/1`; or everywhere, where it belongs to none.
    pub purpose: String,
    pub incident: Option<IncidentId>,
    pub channel: String,
    /// `None`: the incident's own thread.
    pub thread_ts: Option<String>,
    /// The body of chat.postMessage without channel and thread; of an image its names.
    pub body: Value,
    /// PNG.
    pub image: Option<Vec<u8>>,
    /// The approval whose button it carries.
    pub approval: Option<String>,
}

/// A message that is ready to go, leased to whoever delivers it.
#[derive(Debug, Clone)]
pub struct Parcel {
    pub id: i64,
    pub key: String,
    pub token: String,
    pub incident: Option<IncidentId>,
    pub channel: String,
    /// `None`: it begins the thread.
    pub thread_ts: Option<String>,
    pub body: Value,
    /// Slack refused this content as it is: it goes in its short form.
    pub is_short: bool,
    pub revision: i64,
    /// An earlier attempt left with this revision, and nobody knows what became of it.
    pub sent_before: Option<i64>,
    /// When the first attempt left.
    pub sending_since: Option<Timestamp>,
    /// Where it stands already: this is an edit.
    pub ts: Option<String>,
    pub image: Option<Vec<u8>>,
    pub file_id: Option<String>,
    pub owed_at: Timestamp,
    pub attempts: i64,
}

/// What a parcel needs a turn for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Post,
    Edit,
    Image,
}

/// The first in its row: one for each channel and way.
#[derive(Debug, Clone)]
pub struct Candidate {
    pub id: i64,
    pub channel: String,
    pub way: Way,
    pub sent_before: Option<i64>,
}

/// Why a message is not tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The channel, or the bot's place in it.
    Place,
    /// The token or its scopes.
    Access,
    /// What the message says or how.
    Content,
    /// Slack did not take it for too long.
    Age,
    /// It was posted, and somebody deleted it.
    Deleted,
}

impl Cause {
    const ALL: [Self; 5] = [Self::Place, Self::Access, Self::Content, Self::Age, Self::Deleted];

    /// `place`, `access`, …: as it is stored and as `/readyz` names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Place => "place",
            Self::Access => "access",
            Self::Content => "content",
            Self::Age => "age",
            Self::Deleted => "deleted",
        }
    }
}

/// How many messages wait, and how many were refused for good.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct OutboxDepth {
    pub waiting: i64,
    /// Of those that wait, so many are on their way at this moment.
    pub leaving: i64,
    pub dead: i64,
}

#[derive(sqlx::FromRow)]
struct CandidateRow {
    id: i64,
    channel: String,
    is_edit: bool,
    is_image: bool,
    sending: Option<i64>,
}

#[derive(sqlx::FromRow)]
struct ParcelRow {
    id: i64,
    key: String,
    token: String,
    incident_id: Option<i64>,
    channel: String,
    thread: Option<String>,
    body: String,
    is_short: bool,
    revision: i64,
    sending_since: Option<i64>,
    ts: Option<String>,
    image: Option<Vec<u8>>,
    file_id: Option<String>,
    owed_at: i64,
    attempts: i64,
}

impl Store {
    /// Owes a message, or another content of one that was owed before. False where nothing changed.
    pub async fn owe(&self, owed: &Owed, now: Timestamp) -> Result<bool> {
        // A message that was refused for good is tried once more with its new content; one that
        // somebody deleted stays deleted.
        let done = sqlx::query(
            "INSERT INTO outbox (key, token, incident_id, channel, thread_ts, body, is_image, image,
                                 approval_id, owed_at, not_before)
             VALUES (?1, ?2, ?3, ?4, ?10, ?5, ?6, ?7, ?8, ?9, ?9)
             ON CONFLICT (key) DO UPDATE SET
                 body = excluded.body, revision = revision + 1, is_short = 0,
                 approval_id = coalesce(approval_id, excluded.approval_id),
                 owed_at = CASE state WHEN 'due' THEN owed_at ELSE excluded.owed_at END,
                 attempts = CASE state WHEN 'due' THEN attempts ELSE 0 END,
                 not_before = CASE state WHEN 'dead' THEN excluded.not_before ELSE not_before END,
                 state = CASE state WHEN 'gone' THEN 'gone' ELSE 'due' END
             WHERE body <> excluded.body AND NOT is_image",
        )
        .bind(owed.incident.map_or_else(|| owed.purpose.clone(), |incident| key(incident, &owed.purpose)))
        .bind(uuid::Uuid::new_v4().simple().to_string())
        .bind(owed.incident.map(|incident| incident.0))
        .bind(&owed.channel)
        .bind(to_json(&owed.body)?)
        .bind(owed.image.is_some())
        .bind(&owed.image)
        .bind(&owed.approval)
        .bind(now.as_millisecond())
        .bind(&owed.thread_ts)
        .execute(&self.writer)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Whether a message was ever owed for this purpose.
    pub async fn is_owed(&self, incident: IncidentId, purpose: &str) -> Result<bool> {
        let found: Option<i64> = sqlx::query_scalar("SELECT id FROM outbox WHERE key = ?1")
            .bind(key(incident, purpose))
            .fetch_optional(&self.readers)
            .await?;
        Ok(found.is_some())
    }

    /// Channel and timestamp of the message that is shown for this purpose.
    pub async fn place_of(&self, incident: IncidentId, purpose: &str) -> Result<Option<(String, String)>> {
        let place: Option<(String, Option<String>)> =
            sqlx::query_as("SELECT channel, ts FROM outbox WHERE key = ?1")
                .bind(key(incident, purpose))
                .fetch_optional(&self.readers)
                .await?;
        Ok(place.and_then(|(channel, ts)| Some((channel, ts?))))
    }

    /// The approval whose button the message of this purpose carries.
    pub async fn approval_on(&self, incident: IncidentId, purpose: &str) -> Result<Option<String>> {
        let found: Option<Option<String>> =
            sqlx::query_scalar("SELECT approval_id FROM outbox WHERE key = ?1")
                .bind(key(incident, purpose))
                .fetch_optional(&self.readers)
                .await?;
        Ok(found.flatten())
    }

    /// Whether the message with this approval's button may be in the channel without our knowing yet.
    pub async fn is_under_way(&self, approval: &str) -> Result<bool> {
        let found: Option<i64> = sqlx::query_scalar(
            "SELECT id FROM outbox WHERE approval_id = ?1 AND ts IS NULL AND state = 'due'
             AND sending IS NOT NULL",
        )
        .bind(approval)
        .fetch_optional(&self.readers)
        .await?;
        Ok(found.is_some())
    }

    /// What may go now, the one that waits longest first: for each channel one post, one edit and one
    /// image. A message waits while an earlier one of its incident was not posted; an image that is
    /// late holds nothing up.
    pub async fn candidates(&self, now: Timestamp) -> Result<Vec<Candidate>> {
        let rows: Vec<CandidateRow> = sqlx::query_as(
            "SELECT id, channel, is_edit, is_image, sending FROM (
                 SELECT id, channel, ts IS NOT NULL AS is_edit, is_image, sending, owed_at,
                        row_number() OVER (PARTITION BY channel, ts IS NULL, is_image ORDER BY owed_at, id) AS place
                 FROM outbox AS due
                 WHERE state = 'due' AND not_before <= ?1 AND coalesce(leased_until, 0) <= ?1
                   AND (ts IS NOT NULL OR NOT EXISTS (
                       SELECT 1 FROM outbox AS earlier
                       WHERE earlier.incident_id = due.incident_id AND earlier.id < due.id
                         AND earlier.state = 'due' AND earlier.ts IS NULL AND NOT earlier.is_image)))
             WHERE place = 1 ORDER BY owed_at, id",
        )
        .bind(now.as_millisecond())
        .fetch_all(&self.readers)
        .await?;
        let way = |row: &CandidateRow| match (row.is_edit, row.is_image) {
            (true, _) => Way::Edit,
            (false, true) => Way::Image,
            (false, false) => Way::Post,
        };
        Ok(rows
            .into_iter()
            .map(|row| Candidate {
                way: way(&row),
                id: row.id,
                channel: row.channel,
                sent_before: row.sending,
            })
            .collect())
    }

    /// Leases a candidate and notes, before anything leaves, that it is about to. `None` where somebody
    /// was faster or it is not due any more.
    pub async fn lease(&self, candidate: &Candidate, now: Timestamp) -> Result<Option<Parcel>> {
        let row: Option<ParcelRow> = sqlx::query_as(
            "UPDATE outbox SET leased_until = ?2, attempts = attempts + 1, sending = revision,
                    sending_since = coalesce(sending_since, ?1)
             WHERE id = ?3 AND state = 'due' AND coalesce(leased_until, 0) <= ?1 AND sending IS ?4
             RETURNING id, key, token, incident_id, channel, body, is_short, revision, sending_since, ts, image,
                       file_id, owed_at, attempts,
                       coalesce(thread_ts, (SELECT thread_ts FROM incidents
                                            WHERE incidents.id = outbox.incident_id)) AS thread",
        )
        .bind(now.as_millisecond())
        .bind(now.saturating_add(LEASE).unwrap_or(now).as_millisecond())
        .bind(candidate.id)
        .bind(candidate.sent_before)
        .fetch_optional(&self.writer)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let body = match json(&row.body) {
            Ok(body) => body,
            Err(error) => {
                self.put_message_aside(row.id, &error.to_string()).await?;
                return Ok(None);
            }
        };
        Ok(Some(Parcel {
            id: row.id,
            key: row.key,
            token: row.token,
            incident: row.incident_id.map(IncidentId),
            channel: row.channel,
            thread_ts: row.thread,
            body,
            is_short: row.is_short,
            revision: row.revision,
            sent_before: candidate.sent_before.filter(|_| row.ts.is_none()),
            sending_since: row.sending_since.map(time),
            ts: row.ts,
            image: row.image,
            file_id: row.file_id,
            owed_at: time(row.owed_at),
            attempts: row.attempts,
        }))
    }

    /// A row that cannot be read would only be leased again.
    async fn put_message_aside(&self, id: i64, error: &str) -> Result<()> {
        sqlx::query(
            "UPDATE outbox SET state = 'dead', cause = ?2, error = ?3, leased_until = NULL, sending = NULL
             WHERE id = ?1",
        )
        .bind(id)
        .bind(Cause::Content.as_str())
        .bind(error)
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    /// Notes Slack's id of an image, before the call that shows it.
    pub async fn note_file(&self, parcel: &Parcel, file_id: &str) -> Result<()> {
        sqlx::query("UPDATE outbox SET file_id = ?2 WHERE id = ?1")
            .bind(parcel.id)
            .bind(file_id)
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    /// Slack shows `revision` of it at this place. With it goes what others need of it: the incident's
    /// thread, and the place where an approval's button counts.
    pub async fn note_shown(
        &self,
        parcel: &Parcel,
        channel: &str,
        ts: &str,
        revision: i64,
        now: Timestamp,
    ) -> Result<()> {
        let mut transaction = self.begin().await?;
        sqlx::query(
            "UPDATE outbox SET channel = ?2, ts = ?3, shown = ?4, sending = NULL, sending_since = NULL,
                    leased_until = NULL, attempts = 0, error = NULL, image = NULL, not_before = ?5,
                    owed_at = CASE WHEN revision = ?4 THEN owed_at ELSE ?6 END,
                    state = CASE WHEN revision = ?4 THEN 'shown' ELSE 'due' END
             WHERE id = ?1",
        )
        .bind(parcel.id)
        .bind(channel)
        .bind(ts)
        .bind(revision)
        .bind(now.saturating_add(EDIT_EVERY).unwrap_or(now).as_millisecond())
        .bind(now.as_millisecond())
        .execute(&mut *transaction)
        .await?;
        if let Some(incident) = parcel.incident.filter(|_| parcel.ts.is_none() && parcel.image.is_none()) {
            // An alert's own message is the thread; else the first message begins one.
            let root = parcel.thread_ts.as_deref().unwrap_or(ts);
            let is_headline = parcel.key == key(incident, HEADLINE);
            sqlx::query(
                "UPDATE incidents SET channel = ?2, thread_ts = coalesce(thread_ts, ?3),
                        headline_ts = CASE WHEN ?5 THEN ?4 ELSE headline_ts END WHERE id = ?1",
            )
            .bind(incident.0)
            .bind(channel)
            .bind(root)
            .bind(ts)
            .bind(is_headline)
            .execute(&mut *transaction)
            .await?;
            sqlx::query(
                "UPDATE approvals SET channel = ?2, message_ts = ?3
                 WHERE id = (SELECT approval_id FROM outbox WHERE id = ?1)",
            )
            .bind(parcel.id)
            .bind(channel)
            .bind(ts)
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// It did not arrive, or nobody knows: it is tried again at `at`. `is_certain` says that Slack did
    /// not take it.
    pub async fn put_off(
        &self,
        parcel: &Parcel,
        at: Timestamp,
        is_certain: bool,
        counts: bool,
        error: &str,
    ) -> Result<()> {
        sqlx::query(
            "UPDATE outbox SET leased_until = NULL, not_before = ?2, error = ?3,
                    attempts = attempts - ?4,
                    sending = CASE WHEN ?5 THEN ?6 ELSE sending END,
                    sending_since = CASE WHEN ?5 AND ?6 IS NULL THEN NULL ELSE sending_since END
             WHERE id = ?1",
        )
        .bind(parcel.id)
        .bind(at.as_millisecond())
        .bind(error)
        .bind(i64::from(!counts))
        .bind(is_certain)
        .bind(parcel.sent_before)
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    /// Slack refuses what it says as it is: the next attempt is in its short form. Another content that came in
    /// the meantime is tried as it is.
    pub async fn take_short_form(&self, parcel: &Parcel, at: Timestamp, error: &str) -> Result<()> {
        sqlx::query("UPDATE outbox SET is_short = 1 WHERE id = ?1 AND revision = ?2")
            .bind(parcel.id)
            .bind(parcel.revision)
            .execute(&self.writer)
            .await?;
        self.put_off(parcel, at, true, false, error).await
    }

    /// Why Slack took no message of this purpose that belongs to no incident; `None` where it did, or may yet.
    pub async fn refusal(&self, purpose: &str) -> Result<Option<String>> {
        let found: Option<Option<String>> =
            sqlx::query_scalar("SELECT error FROM outbox WHERE key = ?1 AND state = 'dead'")
                .bind(purpose)
                .fetch_optional(&self.readers)
                .await?;
        Ok(found.map(Option::unwrap_or_default))
    }

    /// It is not tried again: Slack will never take it as it is, or somebody deleted it. Where it is not certain that the
    /// last attempt failed, whoever tries it again all the same looks for it first.
    pub async fn give_up(&self, parcel: &Parcel, cause: Cause, is_certain: bool, error: &str) -> Result<()> {
        sqlx::query(
            "UPDATE outbox SET state = ?2, cause = ?3, error = ?4, leased_until = NULL, image = NULL,
                    sending = CASE WHEN ?6 THEN ?5 ELSE sending END
             WHERE id = ?1",
        )
        .bind(parcel.id)
        .bind(if cause == Cause::Deleted { "gone" } else { "dead" })
        .bind(cause.as_str())
        .bind(error)
        .bind(parcel.sent_before)
        .bind(is_certain)
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    /// The message that the thread hangs on was deleted: what follows begins a new one.
    pub async fn forget_thread(&self, parcel: &Parcel) -> Result<()> {
        let mut transaction = self.begin().await?;
        sqlx::query("UPDATE outbox SET thread_ts = NULL WHERE id = ?1")
            .bind(parcel.id)
            .execute(&mut *transaction)
            .await?;
        sqlx::query("UPDATE incidents SET thread_ts = NULL WHERE id = ?1 AND thread_ts = ?2")
            .bind(parcel.incident.map(|incident| incident.0))
            .bind(&parcel.thread_ts)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Tries once more what was refused for good, of incidents that are open: the bot was started anew,
    /// or `channel` took a message again. Returns how many.
    pub async fn revive(&self, channel: Option<&str>, now: Timestamp) -> Result<u64> {
        let done = sqlx::query(
            "UPDATE outbox SET state = 'due', attempts = 0, not_before = ?2, owed_at = ?2
             WHERE state = 'dead' AND NOT is_image AND cause <> 'content' AND (?1 IS NULL OR channel = ?1)
               AND incident_id IN (SELECT id FROM incidents WHERE state <> 'resolved')",
        )
        .bind(channel)
        .bind(now.as_millisecond())
        .execute(&self.writer)
        .await?;
        Ok(done.rows_affected())
    }

    /// When the next message may go, were it its turn.
    pub async fn next_delivery(&self) -> Result<Option<Timestamp>> {
        let next: Option<i64> = sqlx::query_scalar(
            "SELECT min(max(not_before, coalesce(leased_until, 0))) FROM outbox WHERE state = 'due'",
        )
        .fetch_one(&self.readers)
        .await?;
        Ok(next.map(time))
    }

    pub async fn outbox_depth(&self) -> Result<OutboxDepth> {
        let depth = sqlx::query_as(
            "SELECT count(*) FILTER (WHERE state = 'due') AS waiting,
                    count(*) FILTER (WHERE state = 'due' AND leased_until IS NOT NULL) AS leaving,
                    count(*) FILTER (WHERE state = 'dead' AND NOT is_image) AS dead FROM outbox",
        )
        .fetch_one(&self.readers)
        .await?;
        Ok(depth)
    }

    /// How many messages Slack refused for good, by why.
    pub async fn undelivered(&self) -> Result<Vec<(Cause, u64)>> {
        let rows: Vec<(String, i64)> = sqlx::query_as(
            "SELECT cause, count(*) FROM outbox
             WHERE state = 'dead' AND NOT is_image AND cause IS NOT NULL GROUP BY cause",
        )
        .fetch_all(&self.readers)
        .await?;
        let known = |word: &str| Cause::ALL.into_iter().find(|cause| cause.as_str() == word);
        Ok(rows
            .iter()
            .filter_map(|(word, count)| Some((known(word)?, u64::try_from(*count).unwrap_or_default())))
            .collect())
    }
}

/// The purpose of the one message that is edited as the incident goes on.
pub const HEADLINE: &str = "headline";

fn key(incident: IncidentId, purpose: &str) -> String {
    format!("{incident}/{purpose}")
}

/// Gives back what a process that is gone had begun; what had left may still arrive.
pub(super) async fn release(store: &Store, now: Timestamp) -> Result<()> {
    let later = now.saturating_add(GRACE).unwrap_or(now);
    sqlx::query(
        "UPDATE outbox SET leased_until = NULL,
                not_before = CASE WHEN sending IS NOT NULL AND ts IS NULL THEN max(not_before, ?1) ELSE not_before END
         WHERE state = 'due'",
    )
    .bind(later.as_millisecond())
    .execute(&store.writer)
    .await?;
    Ok(())
}
