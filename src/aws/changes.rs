//! What CloudTrail knows of changes: records by resource name, by ARN, and of everything that mutates.
//!
//! Rule: `LookupEvents` takes one attribute a call and two calls a second for the whole account, so
//! the few questions are asked in order of worth, newest events first, until the time is up; what was
//! not reached is said.

use std::collections::HashSet;

use aws_sdk_cloudtrail::primitives::DateTime;
use aws_sdk_cloudtrail::types::{LookupAttribute, LookupAttributeKey};
use futures::FutureExt as _;
use jiff::Timestamp;
use serde_json::Value;
use tokio::time::Instant;

use super::clients::Clients;
use super::errors::{ReadError, within};
use super::sharing::aligned;
use crate::domain::evidence::{Gap, GapKind};

const ACTION: &str = "cloudtrail:LookupEvents";
/// Pages of 50 that one question may take: at two a second, ten pages are five seconds.
const PAGES: usize = 12;

/// Services whose changes reach what serves, the most telling first.
const SOURCES: [&str; 6] = ["lambda", "ecs", "ssm", "appconfig", "secretsmanager", "iam"];

/// What to look for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Names and ARNs of the service's own resources and of those that it depends on.
    pub resources: Vec<String>,
    /// Changes of the resources are sought from here on, days before the alert.
    pub resources_since: Timestamp,
    /// Changes of anything are sought from here on, hours before the alert.
    pub all_since: Timestamp,
    pub until: Timestamp,
}

/// What was found: the records as JSON, without duplicates, and what could not be asked.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Found {
    /// `None` where not a single question was answered.
    pub records: Option<Vec<Value>>,
    pub gaps: Vec<Gap>,
}

#[derive(Clone)]
struct Question {
    key: LookupAttributeKey,
    value: String,
    since: Timestamp,
    until: Timestamp,
    /// Where IAM writes its records, not in the Region itself.
    global: bool,
}

impl Found {
    /// Both together; an event that both hold is kept once.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        let known: HashSet<String> = self.records.iter().flatten().filter_map(event_id).collect();
        if let Some(records) = other.records {
            let fresh =
                records.into_iter().filter(|record| event_id(record).is_none_or(|id| !known.contains(&id)));
            self.records.get_or_insert_default().extend(fresh);
        }
        self.gaps.extend(other.gaps);
        self.gaps.sort();
        self.gaps.dedup();
        self
    }

    fn take(&mut self, question: &Question, answer: Answered) {
        if !answer.events.is_empty() || answer.trouble.is_none() {
            self.records.get_or_insert_default().extend(answer.events);
        }
        if let Some(trouble) = answer.trouble {
            let what = match question.key {
                LookupAttributeKey::ReadOnly => "changes in the account".to_owned(),
                _ if question.global => format!("changes of {} (of IAM's own Region)", question.value),
                _ => format!("changes of {}", question.value),
            };
            let reason = format!("{what}: {}", trouble.why);
            self.gaps.push(Gap::of(trouble.kind, "cloudtrail", reason));
        }
        if answer.unreadable > 0 {
            let reason = format!("{} events hold no record that can be read", answer.unreadable);
            self.gaps.push(Gap::new("cloudtrail", reason));
        }
    }
}

fn event_id(record: &Value) -> Option<String> {
    record.get("eventID").and_then(Value::as_str).map(str::to_owned)
}

/// Asks CloudTrail until everything is answered or the deadline comes.
pub async fn lookup(clients: &Clients, wanted: &Wanted, deadline: Instant) -> Found {
    let (all, own) = tokio::join!(
        everything(clients, wanted.all_since, wanted.until, deadline),
        of_resources(clients, &wanted.resources, wanted.resources_since, wanted.until, deadline),
    );
    all.and(own)
}

/// What anybody changed since a moment. Nothing need be known of the service for it.
pub async fn everything(clients: &Clients, since: Timestamp, until: Timestamp, deadline: Instant) -> Found {
    newest(clients, (since, until), deadline).await.0
}

/// The same, and in an account where more goes on than is read, what was changed of what serves before that. It takes
/// some seconds more: for a look that nobody waits for.
pub async fn everything_and_before(
    clients: &Clients,
    since: Timestamp,
    until: Timestamp,
    deadline: Instant,
) -> Found {
    let (found, reached) = newest(clients, (since, until), deadline).await;
    match reached.filter(|reached| *reached > since) {
        Some(until) => found.and(of_sources(clients, (since, until), deadline).await),
        None => found,
    }
}

/// What anybody changed, and the oldest event's time where there were more than are read.
async fn newest(
    clients: &Clients,
    (since, until): (Timestamp, Timestamp),
    deadline: Instant,
) -> (Found, Option<Timestamp>) {
    let (key, value) = (LookupAttributeKey::ReadOnly, "false".to_owned());
    let question = Question { key, value, since, until, global: false };
    let mut found = Found::default();
    let answered = everything_since(clients, &question, deadline).await;
    let reached = answered.cut_at;
    found.take(&question, answered);
    (found, reached)
}

/// What was changed of the services that run code and configuration, each in its turn.
async fn of_sources(clients: &Clients, (since, until): (Timestamp, Timestamp), deadline: Instant) -> Found {
    let questions = SOURCES.iter().map(|source| Question {
        key: LookupAttributeKey::EventSource,
        value: format!("{source}.amazonaws.com"),
        since,
        until,
        global: false,
    });
    ask_all(clients, questions.collect(), deadline).await
}

/// What was changed of anybody's permissions, where IAM writes its records in another Region than this.
pub async fn of_permissions(
    clients: &Clients,
    since: Timestamp,
    until: Timestamp,
    deadline: Instant,
) -> Found {
    if !clients.is_beside_iam() {
        return Found::default();
    }
    let (key, value) = (LookupAttributeKey::EventSource, "iam.amazonaws.com".to_owned());
    let question = Question { key, value, since, until, global: true };
    let mut found = Found::default();
    found.take(&question, everything_since(clients, &question, deadline).await);
    found
}

/// What was changed of roles since a moment.
pub async fn of_roles(
    clients: &Clients,
    roles: &[String],
    (since, until): (Timestamp, Timestamp),
    deadline: Instant,
) -> Found {
    let questions = roles.iter().map(|role| Question {
        key: LookupAttributeKey::ResourceName,
        value: role.clone(),
        since,
        until,
        global: true,
    });
    ask_all(clients, questions.collect(), deadline).await
}

/// What was changed of resources since a moment, by their names and ARNs.
pub async fn of_resources(
    clients: &Clients,
    resources: &[String],
    since: Timestamp,
    until: Timestamp,
    deadline: Instant,
) -> Found {
    let questions = resources.iter().map(|name| Question {
        key: LookupAttributeKey::ResourceName,
        value: name.clone(),
        since,
        until,
        global: false,
    });
    ask_all(clients, questions.collect(), deadline).await
}

async fn ask_all(clients: &Clients, questions: Vec<Question>, deadline: Instant) -> Found {
    // All at once: the pace lets them through one by one, and one slow answer holds up no other.
    let asked = questions.iter().map(|question| ask(clients, question, deadline));
    let mut found = Found::default();
    for (question, answer) in questions.iter().zip(futures::future::join_all(asked).await) {
        let mut one = Found::default();
        one.take(question, answer);
        found = found.and(one);
    }
    found
}

/// The records of one session's calls: an assumed role's name in CloudTrail is its session's.
///
/// # Errors
/// Why not all of them could be read.
pub(super) async fn of_session(
    clients: &Clients,
    session: &str,
    since: Timestamp,
    until: Timestamp,
    deadline: Instant,
) -> Result<Vec<Value>, String> {
    let (key, value) = (LookupAttributeKey::Username, session.to_owned());
    let question = Question { key, value, since, until, global: false };
    let answered = ask(clients, &question, deadline).await;
    match answered.trouble {
        Some(trouble) => Err(trouble.why),
        None => Ok(answered.events),
    }
}

/// What one question brought.
#[derive(Debug, Clone, Default)]
pub(super) struct Answered {
    /// Newest first.
    events: Vec<Value>,
    unreadable: usize,
    /// Why not everything was answered.
    trouble: Option<Trouble>,
    /// The oldest event's time, where there were more than are read.
    cut_at: Option<Timestamp>,
}

#[derive(Debug, Clone)]
struct Trouble {
    why: String,
    kind: GapKind,
}

impl Trouble {
    fn of(error: &ReadError, oldest: Option<i64>) -> Self {
        Self { why: reached(&error.to_string(), oldest), kind: error.kind() }
    }
}

/// Changes of anything are the same for every incident of the same minutes.
async fn everything_since(clients: &Clients, question: &Question, deadline: Instant) -> Answered {
    let (since, until) = aligned(question.since, question.until);
    let ask = || {
        let (clients, question) = (clients.clone(), Question { since, until, ..question.clone() });
        async move {
            let answered = ask(&clients, &question, deadline).await;
            let whole = answered.trouble.is_none();
            Ok((answered, whole))
        }
        .boxed()
    };
    let shared = clients
        .shared
        .lookups
        .one(format!("{} {since} {until}", question.value), ACTION, deadline, ask)
        .await;
    shared
        .unwrap_or_else(|error| Answered { trouble: Some(Trouble::of(&error, None)), ..Answered::default() })
}

async fn ask(clients: &Clients, question: &Question, deadline: Instant) -> Answered {
    let mut answered = Answered::default();
    let mut token = None;
    let mut oldest: Option<i64> = None;
    for _ in 0..PAGES {
        let page = match page(clients, question, token, deadline).await {
            Ok(page) => page,
            Err(error) => {
                answered.trouble = Some(Trouble::of(&error, oldest));
                return answered;
            }
        };
        for event in page.events() {
            oldest = event.event_time().map(DateTime::secs).or(oldest);
            match event.cloud_trail_event().and_then(|text| serde_json::from_str::<Value>(text).ok()) {
                Some(record) => answered.events.push(record),
                None => answered.unreadable += 1,
            }
        }
        token = page.next_token;
        if token.is_none() {
            return answered;
        }
    }
    let why = reached(&format!("more than {} events", PAGES * 50), oldest);
    answered.trouble = Some(Trouble { why, kind: GapKind::Lasting });
    answered.cut_at = oldest.and_then(|seconds| Timestamp::from_second(seconds).ok());
    answered
}

fn reached(why: &str, oldest: Option<i64>) -> String {
    match oldest.and_then(|seconds| Timestamp::from_second(seconds).ok()) {
        Some(at) => format!("{why}; only those since {} UTC are known", at.strftime("%Y-%m-%d %H:%M")),
        None => why.to_owned(),
    }
}

async fn page(
    clients: &Clients,
    question: &Question,
    token: Option<String>,
    deadline: Instant,
) -> Result<aws_sdk_cloudtrail::operation::lookup_events::LookupEventsOutput, ReadError> {
    let trail = if question.global { &clients.global_trail } else { &clients.trail };
    let attribute = LookupAttribute::builder()
        .attribute_key(question.key.clone())
        .attribute_value(&question.value)
        .build();
    let attribute = attribute
        .map_err(|error| ReadError::Unreachable { action: ACTION.to_owned(), message: error.to_string() })?;
    let call = trail
        .client
        .lookup_events()
        .lookup_attributes(attribute)
        .start_time(DateTime::from_millis(question.since.as_millisecond()))
        .end_time(DateTime::from_millis(question.until.as_millisecond()))
        .max_results(50)
        .set_next_token(token);
    trail.limits.turn(ACTION, deadline).await?;
    within(deadline, ACTION, call.send()).await
}
