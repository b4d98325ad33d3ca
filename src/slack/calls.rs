//! Calls of the Web API that an answer to a person needs: forms, App Home, who and what was meant.
//!
//! The rule that is not obvious: whoever types or clicks waits three seconds at most, so each call
//! here that is made before the answer has a deadline well below that, and its failure is a sentence.

use std::time::Duration;

use serde_json::{Value, json};

use super::client::{Slack, SlackError};

/// What is left of Slack's three seconds after the way here and the database.
const ANSWER_WITHIN: Duration = Duration::from_millis(1_800);

impl Slack {
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

async fn soon<T>(
    method: &'static str,
    call: impl Future<Output = Result<T, SlackError>>,
) -> Result<T, SlackError> {
    tokio::time::timeout(ANSWER_WITHIN, call).await.unwrap_or(Err(SlackError::Deadline { method }))
}
