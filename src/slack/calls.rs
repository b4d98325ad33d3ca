//! Calls of the Web API that an answer to a person needs: forms, App Home, who and what was meant.
//!
//! The rule that is not obvious: whoever types or clicks waits three seconds at most, so all calls that are made
//! before one answer share one deadline well below that ([`before_answering`]), and their failure is a sentence.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::{Request, header};
use http_body_util::Full;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use super::answers;
use super::client::{Slack, SlackError};
use super::messages::Message;

/// What is left of Slack's three seconds after the way here and the database.
const ANSWER_WITHIN: Duration = Duration::from_millis(1_800);

/// A look at a channel leaves time for a look at somebody's clock.
const LOOK_WITHIN: Duration = Duration::from_millis(900);
/// Nobody waits for an answer that goes to an address of Slack's.
const RESPOND_WITHIN: Duration = Duration::from_secs(10);

tokio::task_local! {
    /// When the calls before the answer that is being worked on must have ended.
    static ANSWER_BY: Instant;
}

/// Does what Slack waits for: however many calls that takes, together they take no longer than one may.
pub async fn before_answering<T>(work: impl Future<Output = T>) -> T {
    ANSWER_BY.scope(Instant::now() + ANSWER_WITHIN, work).await
}

impl Slack {
    /// Whether the bot is in a channel; `None` where Slack does not say in time. Asked with the scopes that are
    /// granted anyway: whoever may read a channel is in it.
    pub async fn is_in(&self, channel: &str) -> Option<bool> {
        let read = tokio::time::timeout(LOOK_WITHIN, self.can_read(channel)).await.ok()?;
        match read {
            Ok(()) => Some(true),
            // Between two people: the bot is in no such conversation.
            Err(SlackError::Refused { code, .. }) => (["not_in_channel", "channel_not_found"]
                .contains(&code.as_str())
                || (code == "missing_scope" && channel.starts_with('D')))
            .then_some(false),
            Err(_) => None,
        }
    }

    /// Answers whoever typed or pressed, at the address that Slack sent along: it works in channels that the bot is
    /// not in, five times within half an hour.
    pub async fn respond(&self, response_url: &str, message: &Message) -> Result<(), SlackError> {
        const METHOD: &str = "response_url";
        let unreachable = |reason: String| SlackError::Unreachable { method: METHOD, reason };
        if !self.is_slacks(response_url) {
            return Err(SlackError::NotSlack { method: METHOD });
        }
        let mut body = answers::to_command(message);
        body["replace_original"] = json!(false);
        let request = Request::post(response_url)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::<Bytes>::from(body.to_string()))
            .map_err(|error| unreachable(error.to_string()))?;
        let answer = tokio::time::timeout(RESPOND_WITHIN, self.http().request(request)).await;
        let answer = answer.map_err(|_| SlackError::Deadline { method: METHOD })?;
        let status = answer.map_err(|error| unreachable(error.to_string()))?.status();
        if status.is_success() { Ok(()) } else { Err(unreachable(format!("HTTP {}", status.as_u16()))) }
    }

    /// Opens a form for whoever triggered it.
    pub async fn open_view(&self, trigger_id: &str, view: &Value) -> Result<(), SlackError> {
        let body = json!({ "trigger_id": trigger_id, "view": view });
        soon("views.open", self.call("views.open", &body)).await.map(drop)
    }

    /// Shows somebody their App Home. Nobody waits for it.
    pub async fn publish_home(&self, user: &str, view: &Value) -> Result<(), SlackError> {
        self.call("views.publish", &json!({ "user_id": user, "view": view })).await.map(drop)
    }

    /// A person's time zone by its IANA name; `None` where Slack names none.
    pub async fn time_zone_of(&self, user: &str) -> Result<Option<String>, SlackError> {
        let answer = soon("users.info", self.read("users.info", &[("user", user)])).await?;
        Ok(answer["user"]["tz"].as_str().map(str::to_owned))
    }

    /// One message as Slack tells of it, a reply in a thread too; `None` where there is none.
    pub async fn message_at(
        &self,
        channel: &str,
        ts: &str,
        thread_ts: Option<&str>,
    ) -> Result<Option<Value>, SlackError> {
        // `conversations.replies` finds a message by its own ts only where it is a thread's first one.
        let thread = thread_ts.unwrap_or(ts);
        let query = [
            ("channel", channel),
            ("ts", thread),
            ("latest", ts),
            ("oldest", ts),
            ("inclusive", "true"),
            ("limit", "2"),
        ];
        let method = "conversations.replies";
        let answer = soon(method, self.read(method, &query)).await?;
        let found = answer["messages"].as_array().into_iter().flatten().find(|message| message["ts"] == ts);
        Ok(found.cloned())
    }
}

/// Outside of an answer nobody else has used any of the time.
fn deadline() -> Instant {
    ANSWER_BY.try_with(|by| *by).unwrap_or_else(|_| Instant::now() + ANSWER_WITHIN)
}

async fn soon<T>(
    method: &'static str,
    call: impl Future<Output = Result<T, SlackError>>,
) -> Result<T, SlackError> {
    timeout_at(deadline(), call).await.unwrap_or(Err(SlackError::Deadline { method }))
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[tokio::test]
    async fn calls_before_one_answer_share_its_deadline() {
        let begin = Instant::now();
        let (first, second) = before_answering(async {
            let first = deadline();
            tokio::task::yield_now().await;
            (first, deadline())
        })
        .await;
        assert_eq!(first, second);
        assert!(first >= begin + ANSWER_WITHIN);
        assert!(deadline() > first, "what is not waited for has a deadline of its own");
    }

    #[tokio::test]
    async fn once_the_time_is_used_up_a_call_that_hangs_is_not_waited_for() {
        let used_up = Instant::now();
        ANSWER_BY
            .scope(used_up, async {
                for method in ["users.info", "conversations.replies"] {
                    let answer = soon::<()>(method, pending()).await;
                    assert!(matches!(answer, Err(SlackError::Deadline { .. })), "{method}: {answer:?}");
                }
            })
            .await;
    }
}
