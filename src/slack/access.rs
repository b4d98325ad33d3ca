//! What the tokens may do, as Slack tells it: for `doctor`, which asks before anything is needed.
//!
//! The rule that is not obvious: the granted scopes stand in a header of every answer, and the library
//! throws headers away, so `auth.test` is called by hand here.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{Request, header};
use http_body_util::{BodyExt as _, Full, Limited};
use jiff::Timestamp;
use serde_json::Value;

use super::client::{Slack, SlackError};

const METHOD: &str = "auth.test";
const WITHIN: Duration = Duration::from_secs(10);
/// Far above what `auth.test` answers.
const ANSWER_MAX: usize = 64 * 1024;

/// What Slack says of the bot token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    pub team: String,
    pub user: String,
    /// Such as `https://shop.slack.com/`.
    pub workspace_url: String,
    pub scopes: BTreeSet<String>,
    /// Slack's clock when it answered, to the second.
    pub date: Option<Timestamp>,
}

/// What Slack says of a user's id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// The handle, without its `@`.
    pub name: String,
    /// Nobody signs in as them any more.
    pub deactivated: bool,
    /// An app's or a workflow's: it presses nothing.
    pub is_bot: bool,
}

impl Slack {
    /// Asks what the bot token may do.
    pub async fn access(&self) -> Result<Access, SlackError> {
        tokio::time::timeout(WITHIN, self.ask_access())
            .await
            .unwrap_or(Err(SlackError::Deadline { method: METHOD }))
    }

    /// Whether the bot may read a channel, which it may where somebody invited it.
    pub async fn can_read(&self, channel: &str) -> Result<(), SlackError> {
        self.read("conversations.history", &[("channel", channel), ("limit", "1")]).await.map(drop)
    }

    /// Who a user's id is.
    pub async fn standing(&self, user: &str) -> Result<Standing, SlackError> {
        let answer = self.read("users.info", &[("user", user)]).await?;
        let user = &answer["user"];
        let is = |key: &str| user[key].as_bool().unwrap_or_default();
        Ok(Standing {
            name: user["name"].as_str().unwrap_or_default().to_owned(),
            deactivated: is("deleted"),
            is_bot: is("is_bot"),
        })
    }

    async fn ask_access(&self) -> Result<Access, SlackError> {
        let unreachable = |reason: String| SlackError::Unreachable { method: METHOD, reason };
        let token = self.token()?.token_value.0;
        let request = Request::post(format!("{}/{METHOD}", self.url()))
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Full::<Bytes>::default())
            // A token that no header can hold is none of Slack's.
            .map_err(|_| SlackError::Refused {
                method: METHOD,
                code: "invalid_auth".into(),
                detail: String::new(),
            })?;
        let response = self.http().request(request).await.map_err(|error| unreachable(chain(&error)))?;
        let header = |name: &str| {
            response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
        };
        let scopes = header("x-oauth-scopes");
        let scopes = scopes.split(',').map(str::trim).filter(|scope| !scope.is_empty()).map(str::to_owned);
        let scopes: BTreeSet<String> = scopes.collect();
        let date = jiff::fmt::rfc2822::parse(&header("date")).ok().map(|zoned| zoned.timestamp());
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_MAX).collect().await;
        let body = body.map_err(|error| unreachable(error.to_string()))?.to_bytes();
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        if answer["ok"] != true {
            return Err(match answer["error"].as_str() {
                Some(code) => {
                    SlackError::Refused { method: METHOD, code: code.to_owned(), detail: String::new() }
                }
                None => unreachable(format!("HTTP {} and no answer of Slack's", status.as_u16())),
            });
        }
        let text = |key: &str| answer[key].as_str().unwrap_or_default().to_owned();
        Ok(Access { team: text("team"), user: text("user"), workspace_url: text("url"), scopes, date })
    }
}

/// An error with what caused it: the outermost alone says only that it failed.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
