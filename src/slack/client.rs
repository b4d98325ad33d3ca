//! The Web API, with a deadline on every call and a pace per channel.
//!
//! The rule that is not obvious: Slack takes about one message a second in a channel, and
//! slack-morphism's own control is one bucket for all channels, so the pace is kept here. A 429
//! tells how long to wait; the wait is handed up, and the job comes back then.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use slack_morphism::errors::SlackClientError;
use slack_morphism::hyper_tokio::SlackClientHyperConnector;
use slack_morphism::{SlackApiToken, SlackApiTokenValue, SlackClient};
use tokio::time::Instant;

use super::messages::Message;
use crate::config::Secret;

/// Slack's own deadline for most methods is far below; beyond this nobody answers any more.
const CALL_DEADLINE: Duration = Duration::from_secs(10);
/// chat.postMessage: about one a second in a channel (Slack, 'Rate limits').
const POST_INTERVAL: Duration = Duration::from_millis(1_050);
/// chat.update: 50 and more a minute.
const UPDATE_INTERVAL: Duration = Duration::from_millis(1_100);

const SLACK_API_URL: &str = "https://slack.com/api";

type Connector = SlackClientHyperConnector<HttpsConnector<HttpConnector>>;

#[derive(Debug, thiserror::Error)]
pub enum SlackError {
    /// Slack's own word, such as `channel_not_found`.
    #[error("Slack answers {code} to {method}{detail}")]
    Refused { method: &'static str, code: String, detail: String },
    #[error("Slack asks to wait {} s before the next {method}", wait.as_secs())]
    TooFast { method: &'static str, wait: Duration },
    #[error("Slack did not answer {method} within {} s", CALL_DEADLINE.as_secs())]
    Deadline { method: &'static str },
    #[error("Slack could not be reached for {method}: {reason}")]
    Unreachable { method: &'static str, reason: String },
    #[error(transparent)]
    Secret(#[from] crate::config::ConfigError),
    #[error("no bot token is configured: set SLACK_BOT_TOKEN")]
    NoToken,
}

/// A message that is in the channel now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posted {
    pub channel: String,
    pub ts: String,
}

/// Who the bot is in this workspace.
#[derive(Debug, Clone, Default)]
pub struct Identity {
    pub user_id: String,
    pub bot_id: String,
}

#[derive(Clone)]
pub struct Slack {
    client: Arc<SlackClient<Connector>>,
    token: Option<Secret>,
    pace: Arc<Mutex<HashMap<String, Instant>>>,
}

impl Slack {
    /// # Errors
    /// Where the machine's root certificates cannot be read.
    pub fn connect(api_url: Option<&str>, token: Option<Secret>) -> std::io::Result<Self> {
        let builder = hyper_rustls::HttpsConnectorBuilder::new().with_native_roots()?;
        // Plain HTTP only where the address that was configured says so: a double on this machine.
        let https = if api_url.is_some_and(|url| url.starts_with("http://")) {
            builder.https_or_http().enable_http1().build()
        } else {
            builder.https_only().enable_http1().build()
        };
        let url = api_url.unwrap_or(SLACK_API_URL).trim_end_matches('/');
        let connector = SlackClientHyperConnector::with_connector(https).with_slack_api_url(url);
        Ok(Self { client: Arc::new(SlackClient::new(connector)), token, pace: Arc::default() })
    }

    /// Whether there is a token to post with.
    pub fn is_configured(&self) -> bool {
        self.token.is_some()
    }

    /// Posts a message, in a thread where one is named.
    pub async fn post(
        &self,
        channel: &str,
        thread_ts: Option<&str>,
        message: &Message,
    ) -> Result<Posted, SlackError> {
        self.wait_for_turn(format!("post:{channel}"), POST_INTERVAL).await;
        let mut body = message.to_json();
        body["channel"] = json!(channel);
        if let Some(thread_ts) = thread_ts {
            body["thread_ts"] = json!(thread_ts);
        }
        let answer = self.call("chat.postMessage", &body).await?;
        let ts = answer["ts"].as_str().unwrap_or_default().to_owned();
        let channel = answer["channel"].as_str().unwrap_or(channel).to_owned();
        Ok(Posted { channel, ts })
    }

    /// Replaces a message.
    pub async fn update(&self, place: &Posted, message: &Message) -> Result<(), SlackError> {
        self.wait_for_turn(format!("update:{}", place.channel), UPDATE_INTERVAL).await;
        let mut body = message.to_json();
        body["channel"] = json!(place.channel);
        body["ts"] = json!(place.ts);
        self.call("chat.update", &body).await.map(drop)
    }

    /// Says something that only one person sees.
    pub async fn tell(
        &self,
        channel: &str,
        thread_ts: Option<&str>,
        user: &str,
        message: &Message,
    ) -> Result<(), SlackError> {
        let mut body = message.to_json();
        body["channel"] = json!(channel);
        body["user"] = json!(user);
        if let Some(thread_ts) = thread_ts {
            body["thread_ts"] = json!(thread_ts);
        }
        // An ephemeral message cannot carry metadata.
        if let Some(body) = body.as_object_mut() {
            body.remove("metadata");
        }
        self.call("chat.postEphemeral", &body).await.map(drop)
    }

    /// Uploads an image into a thread.
    pub async fn upload_image(
        &self,
        place: &Posted,
        file_name: &str,
        title: &str,
        alternative_text: &str,
        png: Vec<u8>,
    ) -> Result<(), SlackError> {
        use slack_morphism::prelude as api;
        let token = self.token()?;
        let session = self.client.open_session(&token);
        let request = api::SlackApiFilesGetUploadUrlExternalRequest::new(file_name.to_owned(), png.len())
            .with_alt_txt(alternative_text.to_owned());
        let ticket = within("files.getUploadURLExternal", session.get_upload_url_external(&request)).await?;
        let upload =
            api::SlackApiFilesUploadViaUrlRequest::new(ticket.upload_url, png, "image/png".to_owned());
        within("files upload", session.files_upload_via_url(&upload)).await?;
        let body = json!({
            "files": [{ "id": ticket.file_id.0, "title": title }],
            "channel_id": place.channel,
            "thread_ts": place.ts,
        });
        self.call("files.completeUploadExternal", &body).await.map(drop)
    }

    /// The members of a user group.
    pub async fn group_members(&self, group: &str) -> Result<Vec<String>, SlackError> {
        use slack_morphism::prelude as api;
        let token = self.token()?;
        let session = self.client.open_session(&token);
        let request = api::SlackApiUserGroupsUsersListRequest::new(group.into());
        let answer = within("usergroups.users.list", session.usergroups_users_list(&request)).await?;
        Ok(answer.users.into_iter().map(|user| user.0).collect())
    }

    /// A person's e-mail address, where the workspace shows it.
    pub async fn email_of(&self, user: &str) -> Result<Option<String>, SlackError> {
        use slack_morphism::prelude as api;
        let token = self.token()?;
        let session = self.client.open_session(&token);
        let request = api::SlackApiUsersInfoRequest::new(user.into());
        let answer = within("users.info", session.users_info(&request)).await?;
        Ok(answer.user.profile.and_then(|profile| profile.email).map(|email| email.0))
    }

    /// Who the bot is.
    pub async fn identity(&self) -> Result<Identity, SlackError> {
        let answer = self.call("auth.test", &json!({})).await?;
        let text = |key: &str| answer[key].as_str().unwrap_or_default().to_owned();
        Ok(Identity { user_id: text("user_id"), bot_id: text("bot_id") })
    }

    fn token(&self) -> Result<SlackApiToken, SlackError> {
        let secret = self.token.as_ref().ok_or(SlackError::NoToken)?;
        Ok(SlackApiToken::new(SlackApiTokenValue(secret.read()?)))
    }

    async fn call(&self, method: &'static str, body: &Value) -> Result<Value, SlackError> {
        let token = self.token()?;
        let session = self.client.open_session(&token);
        within(method, session.http_session_api.http_post(method, body, None)).await
    }

    /// Waits until this channel may hear the next call, and takes that turn.
    async fn wait_for_turn(&self, key: String, interval: Duration) {
        let turn = {
            let mut pace = self.pace.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let now = Instant::now();
            // Channels that were quiet for long need no entry: the map stays as small as the traffic.
            pace.retain(|_, next| *next + Duration::from_secs(60) > now);
            let turn = pace.get(&key).copied().map_or(now, |next| next.max(now));
            pace.insert(key, turn + interval);
            turn
        };
        tokio::time::sleep_until(turn).await;
    }
}

async fn within<T>(
    method: &'static str,
    call: impl Future<Output = Result<T, SlackClientError>>,
) -> Result<T, SlackError> {
    match tokio::time::timeout(CALL_DEADLINE, call).await {
        Err(_) => Err(SlackError::Deadline { method }),
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(SlackClientError::ApiError(error))) => {
            let detail = error.errors.map(|errors| format!(": {}", errors.join("; "))).unwrap_or_default();
            Err(SlackError::Refused { method, code: error.code, detail })
        }
        Ok(Err(SlackClientError::RateLimitError(error))) => {
            let wait = error.retry_after.unwrap_or(Duration::from_secs(30));
            Err(SlackError::TooFast { method, wait })
        }
        // The body of an HTTP error is somebody's page; its status says enough.
        Ok(Err(SlackClientError::HttpError(error))) => {
            Err(SlackError::Unreachable { method, reason: format!("HTTP {}", error.status_code.as_u16()) })
        }
        Ok(Err(error)) => Err(SlackError::Unreachable { method, reason: first_line(&error.to_string()) }),
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().take(200).collect()
}
