//! The Web API, with a deadline on every call.
//!
//! The rule that is not obvious: an error says whether Slack may have done it all the same
//! ([`SlackError::is_uncertain`]). Whoever posts looks for the message then, and does not post again.
//! slack-morphism's own rate control is one bucket for all channels; [`Pace`] is used instead.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::Uri;
use http_body_util::Full;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use jiff::Timestamp;
use serde_json::{Value, json};
use slack_morphism::errors::SlackClientError;
use slack_morphism::hyper_tokio::SlackClientHyperConnector;
use slack_morphism::{SlackApiToken, SlackApiTokenValue, SlackClient};

use super::messages::Message;
use super::pace::{Lane, Pace};
use crate::config::Secret;
use crate::roots;

/// Slack's own deadline for most methods is far below; beyond this nobody answers any more.
const CALL_DEADLINE: Duration = Duration::from_secs(10);
/// Pages of a channel that are looked through for a message of ours, at 200 messages each: beyond
/// this it is older than anything that could still be on its way.
const PAGES_MAX: usize = 10;

/// Where Slack says 'too fast' and not for how long.
const WAIT_UNSAID: Duration = Duration::from_secs(30);

const SLACK_API_URL: &str = "https://slack.com/api";

type Connector = SlackClientHyperConnector<HttpsConnector<HttpConnector>>;
/// For what the library does not show: an answer's headers.
type PlainClient = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

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
    /// An address in a payload that is none of Slack's: nothing is sent there.
    #[error("the address for {method} is none of Slack's")]
    NotSlack { method: &'static str },
    #[error(transparent)]
    Secret(#[from] crate::config::ConfigError),
    #[error("no bot token is configured: set SLACK_BOT_TOKEN")]
    NoToken,
}

impl SlackError {
    /// Whether Slack may have done what it was asked for all the same.
    pub fn is_uncertain(&self) -> bool {
        match self {
            Self::Deadline { .. } | Self::Unreachable { .. } => true,
            // 'It is possible some aspect of the operation succeeded before the error was raised.'
            Self::Refused { code, .. } => {
                ["fatal_error", "internal_error", "service_unavailable", "request_timeout"]
                    .contains(&code.as_str())
            }
            Self::TooFast { .. } | Self::NotSlack { .. } | Self::Secret(_) | Self::NoToken => false,
        }
    }

    /// Slack's own word, where it gave one.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            _ => None,
        }
    }
}

/// A message that is in the channel now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posted {
    pub channel: String,
    pub ts: String,
}

/// Slack's id of a file that was announced, and the address that takes its bytes.
#[derive(Debug, Clone)]
pub struct UploadTicket {
    pub file_id: String,
    upload_url: slack_morphism::prelude::SlackFileUploadUrl,
}

/// What a message of ours is recognised by.
#[derive(Debug, Clone, Copy)]
pub enum Mark<'a> {
    /// `delivery` in its metadata.
    Token(&'a str),
    /// The file that it shows.
    File(&'a str),
}

/// Who the bot is in this workspace.
#[derive(Debug, Clone, Default)]
pub struct Identity {
    pub user_id: String,
    pub bot_id: String,
    /// The workspace's own address, such as `https://shop.slack.com/`: what links to messages begin with.
    pub workspace_url: String,
}

#[derive(Clone)]
pub struct Slack {
    client: Arc<SlackClient<Connector>>,
    http: PlainClient,
    url: String,
    token: Option<Secret>,
    pace: Arc<Mutex<Pace>>,
}

impl std::fmt::Debug for Slack {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Slack").field("is_configured", &self.is_configured()).finish_non_exhaustive()
    }
}

impl Slack {
    /// # Errors
    /// Where the machine's root certificates cannot be read.
    pub fn connect(api_url: Option<&str>, token: Option<Secret>) -> std::io::Result<Self> {
        let builder = hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(roots::tls()?);
        // Plain HTTP only where the address that was configured says so: a double on this machine.
        let https = if api_url.is_some_and(|url| url.starts_with("http://")) {
            builder.https_or_http().enable_http1().build()
        } else {
            builder.https_only().enable_http1().build()
        };
        let url = api_url.unwrap_or(SLACK_API_URL).trim_end_matches('/');
        let http = Client::builder(TokioExecutor::new()).build(https.clone());
        let connector = SlackClientHyperConnector::with_connector(https).with_slack_api_url(url);
        let client = Arc::new(SlackClient::new(connector));
        Ok(Self { client, http, url: url.to_owned(), token, pace: Arc::default() })
    }

    /// Whether there is a token to post with.
    pub fn is_configured(&self) -> bool {
        self.token.is_some()
    }

    /// Whether an address that came in a payload is one of Slack's: its own host for answers over TLS, or, where another
    /// API is configured, the same place.
    pub(super) fn is_slacks(&self, address: &str) -> bool {
        let (Ok(address), Ok(api)) = (address.parse::<Uri>(), self.url.parse::<Uri>()) else { return false };
        let Some(authority) = address.authority() else { return false };
        let own = address.scheme() == api.scheme() && Some(authority) == api.authority();
        let slacks = ["hooks.slack.com", "hooks.slack-gov.com"].contains(&authority.as_str());
        if self.url == SLACK_API_URL { slacks && address.scheme_str() == Some("https") } else { own }
    }

    /// Takes a turn to call.
    ///
    /// # Errors
    /// When the next turn is, where there is none now.
    pub fn take_turn(&self, lane: Lane, channel: &str, now: Timestamp) -> Result<(), Timestamp> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner).take(lane, channel, now)
    }

    /// Slack answered a call, whatever it said, or it did not.
    pub fn note_answer(&self, answered: bool, now: Timestamp) {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner).note(answered, now);
    }

    /// The clock went back: turns that were counted on it mean nothing any more.
    pub fn forget_turns(&self) {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner).forget();
    }

    /// Slack answered 429: nobody calls before `until`.
    pub fn bar(&self, lane: Lane, until: Timestamp) {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner).bar(lane, until);
    }

    /// Posts a message, in a thread where one is named. `body` is what [`Message::to_json`] gives.
    pub async fn post(
        &self,
        channel: &str,
        thread_ts: Option<&str>,
        mut body: Value,
    ) -> Result<Posted, SlackError> {
        const METHOD: &str = "chat.postMessage";
        body["channel"] = json!(channel);
        if let Some(thread_ts) = thread_ts {
            body["thread_ts"] = json!(thread_ts);
        }
        let answer = self.call(METHOD, &body).await?;
        let Some(ts) = answer["ts"].as_str() else {
            // An answer without the message's id is no answer: a proxy's page, for instance.
            return Err(SlackError::Unreachable { method: METHOD, reason: "an answer without ts".into() });
        };
        let channel = answer["channel"].as_str().unwrap_or(channel).to_owned();
        Ok(Posted { channel, ts: ts.to_owned() })
    }

    /// Replaces a message.
    pub async fn update(&self, place: &Posted, mut body: Value) -> Result<(), SlackError> {
        body["channel"] = json!(place.channel);
        body["ts"] = json!(place.ts);
        self.call("chat.update", &body).await.map(drop)
    }

    /// The `ts` of the message of ours that carries `mark`, among those of a thread, or of the channel
    /// where none is named, since `oldest`.
    pub async fn find(
        &self,
        channel: &str,
        thread_ts: Option<&str>,
        mark: Mark<'_>,
        oldest: Timestamp,
    ) -> Result<Option<String>, SlackError> {
        let token = self.token()?;
        let session = self.client.open_session(&token);
        let oldest = format!("{}.000000", oldest.as_second());
        let mut cursor: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let (method, thread) = match thread_ts {
                Some(thread) => ("conversations.replies", Some(thread)),
                None => ("conversations.history", None),
            };
            // By hand, because the library's own model of a message drops metadata that it cannot read.
            let query = [
                ("channel", Some(channel)),
                ("ts", thread),
                ("oldest", Some(oldest.as_str())),
                ("limit", Some("200")),
                ("include_all_metadata", Some("true")),
                ("cursor", cursor.as_deref()),
            ];
            let answer: Value =
                within(method, session.http_session_api.http_get(method, &query, None)).await?;
            let Some(messages) = answer["messages"].as_array() else {
                return Err(SlackError::Unreachable { method, reason: "an answer without messages".into() });
            };
            if let Some(message) = messages.iter().find(|message| carries(message, mark)) {
                return Ok(message["ts"].as_str().map(str::to_owned));
            }
            match answer["response_metadata"]["next_cursor"].as_str() {
                Some(next) if !next.is_empty() => cursor = Some(next.to_owned()),
                _ => return Ok(None),
            }
        }
        Ok(None)
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

    /// Announces an image; nobody sees it yet.
    pub async fn announce_image(
        &self,
        file_name: &str,
        alternative_text: &str,
        bytes: usize,
    ) -> Result<UploadTicket, SlackError> {
        use slack_morphism::prelude as api;
        let token = self.token()?;
        let session = self.client.open_session(&token);
        let request = api::SlackApiFilesGetUploadUrlExternalRequest::new(file_name.to_owned(), bytes)
            .with_alt_txt(alternative_text.to_owned());
        let ticket = within("files.getUploadURLExternal", session.get_upload_url_external(&request)).await?;
        Ok(UploadTicket { file_id: ticket.file_id.0, upload_url: ticket.upload_url })
    }

    /// Sends an announced image's bytes; nobody sees it yet.
    pub async fn send_image(&self, ticket: &UploadTicket, png: Vec<u8>) -> Result<(), SlackError> {
        use slack_morphism::prelude as api;
        let token = self.token()?;
        let session = self.client.open_session(&token);
        let url = ticket.upload_url.clone();
        let upload = api::SlackApiFilesUploadViaUrlRequest::new(url, png, "image/png".to_owned());
        within("files upload", session.files_upload_via_url(&upload)).await.map(drop)
    }

    /// Shows an image that was sent: in a thread where one is named.
    pub async fn share_image(
        &self,
        channel: &str,
        thread_ts: Option<&str>,
        file_id: &str,
        title: &str,
    ) -> Result<(), SlackError> {
        let mut body = json!({ "files": [{ "id": file_id, "title": title }], "channel_id": channel });
        if let Some(thread_ts) = thread_ts {
            body["thread_ts"] = json!(thread_ts);
        }
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
        Ok(Identity { user_id: text("user_id"), bot_id: text("bot_id"), workspace_url: text("url") })
    }

    /// Asks for the address of a connection for Socket Mode, which is good for one connection.
    pub async fn open_link(&self, app_token: &Secret) -> Result<String, SlackError> {
        const METHOD: &str = super::scopes::OPEN_LINK;
        let token = SlackApiToken::new(SlackApiTokenValue(app_token.read()?));
        let answer = self.call_as(&token, METHOD, &json!({})).await?;
        answer["url"].as_str().filter(|url| url.starts_with("ws")).map(str::to_owned).ok_or_else(|| {
            SlackError::Unreachable { method: METHOD, reason: "an answer without an address".into() }
        })
    }

    pub(super) fn http(&self) -> &PlainClient {
        &self.http
    }

    /// Where the Web API is, without a slash at its end.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn token(&self) -> Result<SlackApiToken, SlackError> {
        let secret = self.token.as_ref().ok_or(SlackError::NoToken)?;
        Ok(SlackApiToken::new(SlackApiTokenValue(secret.read()?)))
    }

    pub(super) async fn call(&self, method: &'static str, body: &Value) -> Result<Value, SlackError> {
        self.call_as(&self.token()?, method, body).await
    }

    async fn call_as(
        &self,
        token: &SlackApiToken,
        method: &'static str,
        body: &Value,
    ) -> Result<Value, SlackError> {
        let session = self.client.open_session(token);
        let answer: Value = within(method, session.http_session_api.http_post(method, body, None)).await?;
        // The library reads a page that is no JSON as an empty answer.
        if answer["ok"] != true {
            return Err(SlackError::Unreachable { method, reason: "an answer that is not Slack's".into() });
        }
        Ok(answer)
    }

    /// A method that reads: Slack looks at no JSON body there.
    pub(super) async fn read(
        &self,
        method: &'static str,
        query: &[(&str, &str)],
    ) -> Result<Value, SlackError> {
        let token = self.token()?;
        let session = self.client.open_session(&token);
        let query: Vec<(&str, Option<&str>)> =
            query.iter().map(|(name, value)| (*name, Some(*value))).collect();
        within(method, session.http_session_api.http_get(method, &query, None)).await
    }
}

fn carries(message: &Value, mark: Mark<'_>) -> bool {
    match mark {
        Mark::Token(token) => message["metadata"]["event_payload"]["delivery"] == token,
        Mark::File(id) => {
            message["files"].as_array().is_some_and(|files| files.iter().any(|file| file["id"] == id))
        }
    }
}

async fn within<T>(
    method: &'static str,
    call: impl Future<Output = Result<T, SlackClientError>>,
) -> Result<T, SlackError> {
    match tokio::time::timeout(CALL_DEADLINE, call).await {
        Err(_) => Err(SlackError::Deadline { method }),
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(SlackClientError::ApiError(error))) if error.code == "ratelimited" => {
            Err(SlackError::TooFast { method, wait: WAIT_UNSAID })
        }
        Ok(Err(SlackClientError::ApiError(error))) => {
            let detail = error.errors.map(|errors| format!(": {}", errors.join("; "))).unwrap_or_default();
            Err(SlackError::Refused { method, code: error.code, detail })
        }
        Ok(Err(SlackClientError::RateLimitError(error))) => {
            let wait = error.retry_after.unwrap_or(WAIT_UNSAID);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_slacks_own_address_is_answered_to() {
        // An error means that it was chosen before.
        drop(rustls::crypto::ring::default_provider().install_default());
        let real = Slack::connect(None, None).unwrap();
        assert!(real.is_slacks("https://hooks.slack.com/commands/T1/2/3"));
        for foreign in [
            "http://hooks.slack.com/commands/T1/2/3",
            "https://hooks.slack.com:8443/commands/T1",
            "https://hooks.slack.com@evil.example/commands/T1",
            "https://user@hooks.slack.com/commands/T1",
            "https://hooks.slack.com.evil.example/commands/T1",
            "https://evil.example/hooks.slack.com",
            "http://169.254.169.254/latest/meta-data/",
            "http://127.0.0.1:3000/alert",
            "https://[::1]/",
            "file:///etc/passwd",
            "gopher://hooks.slack.com/",
            "//hooks.slack.com/",
            "",
        ] {
            assert!(!real.is_slacks(foreign), "{foreign}");
        }
        let double = Slack::connect(Some("http://127.0.0.1:4001/api"), None).unwrap();
        assert!(double.is_slacks("http://127.0.0.1:4001/response/7"));
        assert!(!double.is_slacks("http://127.0.0.1:4002/response/7"));
        assert!(!double.is_slacks("http://169.254.169.254/response/7"));
    }
}
