//! What Slack sends to the bot: signed, with a deadline, and again where it was not acknowledged.
//!
//! The rule that is not obvious: events are sent again at once, after one and after five minutes;
//! commands and interactions never are, the person sees the failure instead.

use std::fmt::Write as _;
use std::time::Duration;

use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use super::SlackWorld;
use super::state::State;

/// What the bot answered to one request.
#[derive(Debug, Clone)]
pub(super) struct Acknowledgement {
    pub status: u16,
    pub body: Vec<u8>,
    is_json: bool,
    no_retry: bool,
}

impl Acknowledgement {
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// What a connection of Socket Mode brought; `null` where the acknowledgement has no answer.
    pub fn of_payload(payload: &Value) -> Self {
        let is_json = !payload.is_null();
        let body = if is_json { payload.to_string().into_bytes() } else { Vec::new() };
        Self { status: 200, body, is_json, no_retry: false }
    }

    /// The body as JSON, where it is some.
    pub fn json(&self) -> Option<Value> {
        if self.is_json { serde_json::from_slice(&self.body).ok() } else { None }
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).trim().to_owned()
    }
}

/// The signature of `body` at `timestamp`, as in `X-Slack-Signature`.
pub fn sign(secret: &str, timestamp: i64, body: &str) -> String {
    // A key of any length is fine for HMAC, so that this never fails.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return String::new() };
    mac.update(format!("v0:{timestamp}:{body}").as_bytes());
    let digest = mac.finalize().into_bytes();
    digest.iter().fold("v0=".to_owned(), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

impl SlackWorld {
    /// Wraps an event in its envelope and sends it, in the background and in as many attempts as it takes.
    /// Where no bot is set nothing is sent.
    pub(super) fn send_event(&self, event: &Value) {
        if self.bot_address().is_none() && !self.uses_socket_mode() {
            return;
        }
        let kind = event["type"].as_str().unwrap_or_default().to_owned();
        let (id, body) = self.write(|state| {
            let id = state.next_id("Ev");
            let body = envelope(state, &id, event).to_string();
            state.begin_delivery(&id, &kind, body.clone());
            (id, body)
        });
        let world = self.clone();
        self.inner.tasks.spawn(async move { world.deliver_event(&id, &body).await });
    }

    async fn deliver_event(&self, id: &str, body: &str) {
        let delays = &self.inner.options.retry_after;
        let mut reason = "unknown_error";
        for attempt in 0..=delays.len() {
            let mut headers = Vec::new();
            if attempt > 0 {
                let delay = delays.get(attempt - 1).copied().unwrap_or_default();
                let stopped = self.inner.stop.cancelled();
                if tokio::time::timeout(delay, stopped).await.is_ok() {
                    return;
                }
                headers.push(("x-slack-retry-num", attempt.to_string()));
                headers.push(("x-slack-retry-reason", reason.to_owned()));
            }
            let result = self.send("/slack/events", "application/json", body, &headers).await;
            let (done, outcome) = match result {
                Ok(answer) => {
                    reason = "http_error";
                    (answer.is_success() || answer.no_retry, Ok(answer.status))
                }
                Err(error) => {
                    reason = if error == TIMED_OUT { "http_timeout" } else { "connection_failed" };
                    (false, Err(error))
                }
            };
            let finished = done || attempt == delays.len();
            self.write(|state| state.note_attempt(id, outcome, finished));
            if finished {
                return;
            }
        }
    }

    /// Sends an event once more although it was acknowledged, as Slack sometimes does.
    /// `false` where no such event is known.
    pub fn redeliver(&self, event_id: &str) -> bool {
        let found = self.read(|state| {
            let delivery = state.deliveries.iter().find(|delivery| delivery.id == event_id);
            delivery.filter(|delivery| !delivery.body.is_empty()).map(|delivery| delivery.body.clone())
        });
        let Some(body) = found else { return false };
        let (world, id) = (self.clone(), event_id.to_owned());
        self.inner.tasks.spawn(async move {
            let headers =
                [("x-slack-retry-num", "1".to_owned()), ("x-slack-retry-reason", "http_timeout".to_owned())];
            let result = world.send("/slack/events", "application/json", &body, &headers).await;
            world.write(|state| state.note_attempt(&id, result.map(|answer| answer.status), true));
        });
        true
    }

    /// Asks the bot to prove its address, as Slack does when the URL is entered.
    ///
    /// # Errors
    /// Says what came instead of the challenge.
    pub async fn verify_url(&self) -> Result<(), String> {
        let challenge = uuid::Uuid::new_v4().simple().to_string();
        let body = json!({"token": "none", "challenge": challenge, "type": "url_verification"}).to_string();
        let answer = self.send("/slack/events", "application/json", &body, &[]).await?;
        let given = answer.json().and_then(|json| json["challenge"].as_str().map(str::to_owned));
        let given = given.unwrap_or_else(|| answer.text());
        if answer.is_success() && given == challenge {
            Ok(())
        } else {
            Err(format!("HTTP {} with {given:?} instead of the challenge", answer.status))
        }
    }

    /// Sends one request, signed or through a connection of Socket Mode as the app's settings say, and waits
    /// for its answer as long as Slack would.
    pub(super) async fn send(
        &self,
        path: &str,
        content_type: &str,
        body: &str,
        headers: &[(&'static str, String)],
    ) -> Result<Acknowledgement, String> {
        if self.uses_socket_mode() {
            let header = |wanted| headers.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value);
            let attempt = header("x-slack-retry-num").and_then(|attempt| attempt.parse().ok());
            let reason = header("x-slack-retry-reason").map_or("", String::as_str);
            return self.send_envelope(path, body, attempt.map(|attempt| (attempt, reason))).await;
        }
        let address = self.bot_address().ok_or("no bot is set")?;
        let timestamp = jiff::Timestamp::now().as_second();
        let mut request = self
            .inner
            .client
            .post(format!("{}{path}", address.base_url))
            .header("content-type", content_type)
            .header("user-agent", "Slackbot 1.0 (+https://api.slack.com/robots)")
            .header("x-slack-request-timestamp", timestamp.to_string())
            .header("x-slack-signature", sign(&address.signing_secret, timestamp, body))
            .body(body.to_owned());
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let exchange = async {
            let response = request.send().await.map_err(|error| describe(&error))?;
            let header = |name: &str| {
                let value = response.headers().get(name).and_then(|value| value.to_str().ok());
                value.unwrap_or_default().to_owned()
            };
            let is_json = header("content-type").starts_with("application/json");
            let no_retry = header("x-slack-no-retry") == "1";
            let status = response.status().as_u16();
            let body = response.bytes().await.map_err(|error| describe(&error))?.to_vec();
            Ok(Acknowledgement { status, body, is_json, no_retry })
        };
        let deadline: Duration = self.inner.options.ack_deadline;
        tokio::time::timeout(deadline, exchange).await.unwrap_or_else(|_| Err(TIMED_OUT.to_owned()))
    }
}

pub(super) const TIMED_OUT: &str = "timed out";

fn describe(error: &reqwest::Error) -> String {
    if error.is_connect() { "cannot connect".to_owned() } else { "the connection broke".to_owned() }
}

/// The outer event of the Events API.
fn envelope(state: &State, id: &str, event: &Value) -> Value {
    let workspace = &state.workspace;
    let seconds = event["event_ts"]
        .as_str()
        .and_then(|ts| ts.split('.').next()?.parse::<i64>().ok())
        .unwrap_or_default();
    json!({
        "token": "none", "team_id": workspace.id, "context_team_id": workspace.id,
        "context_enterprise_id": null, "api_app_id": workspace.app.id, "event": event,
        "type": "event_callback", "event_id": id, "event_time": seconds,
        "authorizations": [{"enterprise_id": null, "team_id": workspace.id, "user_id": workspace.app.user_id,
            "is_bot": true, "is_enterprise_install": false}],
        "is_ext_shared_channel": false, "event_context": format!("4-{id}"),
    })
}

#[cfg(test)]
mod tests {
    use super::sign;

    #[test]
    fn the_signature_is_that_of_slacks_own_example() {
        // docs.slack.dev/authentication/verifying-requests-from-slack
        let body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V\
            &channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=\
            &response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN\
            &trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
        assert_eq!(
            sign("8f742231b10e8888abcd99yyyzzz85a5", 1_531_420_618, body),
            "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
        );
    }
}
