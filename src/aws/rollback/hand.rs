//! Whose call changed what is there now, by what AWS has written down.
//!
//! Rule: a call of the bot's is known by its session, which is named after the incident, the person and the
//! approval. Parameter Store keeps the author of each version; of all others only CloudTrail tells, minutes
//! later. That it shows nothing is believed after a while, and said as what it is.

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::parameter;
use crate::aws::changes;
use crate::aws::clients::Clients;
use crate::domain::execution::Hand;
use crate::domain::rollback::RollbackTarget;

/// CloudTrail delivers about five minutes after a call on average, and promises nothing: three times that.
const DELIVERED_WITHIN: SignedDuration = SignedDuration::from_mins(15);
/// Clocks differ.
const SKEW: SignedDuration = SignedDuration::from_mins(1);

/// Whose hand it was, and what tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traced {
    pub hand: Hand,
    pub told: String,
}

/// Looks for a call of this session that left at `sent_at` and took effect.
pub async fn hand(
    clients: &Clients,
    target: &RollbackTarget,
    session: Option<&str>,
    sent_at: Timestamp,
    now: Timestamp,
    deadline: Instant,
) -> Traced {
    let unknown = |told: String| Traced { hand: Hand::Unknown, told };
    if let RollbackTarget::SsmParameter { .. } = target {
        return match parameter::written_by(clients, target, session, deadline).await {
            Ok(traced) => traced,
            Err(error) => unknown(error.to_string()),
        };
    }
    let Some(session) = session else {
        return unknown(
            "without `write_role_arn` the bot's calls have no session of their own in CloudTrail".to_owned(),
        );
    };
    let since = sent_at.saturating_sub(SKEW).unwrap_or(sent_at);
    let records = match changes::of_session(clients, session, since, now, deadline).await {
        Ok(records) => records,
        Err(trouble) => return unknown(format!("CloudTrail cannot be asked: {trouble}")),
    };
    let call = target.call().split(':').next_back().unwrap_or_default();
    let made = records.iter().find(|record| {
        let text = |key: &str| record.get(key).and_then(serde_json::Value::as_str);
        // `UpdateAlias20150331` is a version of `UpdateAlias`.
        text("errorCode").is_none() && text("eventName").is_some_and(|name| name.starts_with(call))
    });
    if let Some(record) = made {
        let id = record.get("eventID").and_then(serde_json::Value::as_str).unwrap_or("without an id");
        return Traced {
            hand: Hand::Ours,
            told: format!("CloudTrail's event {id} is the call of {session}"),
        };
    }
    if now.duration_since(sent_at) < DELIVERED_WITHIN {
        return unknown(format!("CloudTrail shows no call of {session} yet; it is minutes late as a rule"));
    }
    let told = format!(
        "CloudTrail shows no call of {session} that changed anything by {}",
        now.strftime("%H:%M UTC")
    );
    Traced { hand: Hand::Another, told }
}
