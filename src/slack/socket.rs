//! Socket Mode: the frames that Slack sends over a WebSocket, and the loop that keeps a connection open.
//!
//! The rule that is not obvious: an envelope is acknowledged only by what its handler returns, so never
//! before its row is on disk, and one slow handler keeps no other waiting. The library's own client is not
//! used: it reads envelopes into models that lose alerts, runs handlers one after another on each
//! connection, and waits for each before it acknowledges. What is left to write is this loop.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_tungstenite::tungstenite::protocol::{Message, WebSocketConfig};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::client::{Slack, SlackError};
use crate::config::Secret;

/// Far above any envelope (Slack's messages end at 40 kB of text); beyond it the connection is given up.
const FRAME_MAX: usize = 8 * 1024 * 1024;
/// Envelopes of one connection that are handled at the same time; more wait in the connection.
const AT_ONCE_MAX: usize = 64;
/// A connection that lived so long was a good one: the count of failures begins anew.
const STEADY: Duration = Duration::from_secs(10);
const BACK_OFF: Duration = Duration::from_millis(500);
/// Also the wait where only a person can mend it: Socket Mode switched off, a token refused.
const BACK_OFF_MAX: Duration = Duration::from_secs(60);
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// What one frame may take to leave, and what a farewell may: Slack leaves TCP open after its own close.
const SEND_WITHIN: Duration = Duration::from_secs(5);
const CLOSE_WITHIN: Duration = Duration::from_secs(1);

/// One frame of Socket Mode.
#[derive(Debug, Clone, PartialEq)]
pub enum Frame {
    /// Slack sends envelopes here from now on.
    Hello,
    /// This connection ends soon.
    Disconnect(Reason),
    Envelope(Envelope),
    /// An envelope of a type that nobody here knows: it is acknowledged, because it would only come again.
    Foreign {
        id: String,
    },
    /// Nothing that can be answered, with the reason for the log.
    Ignored {
        why: &'static str,
    },
}

/// Why Slack ends a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// `warning` or `refresh_requested`: another one is to be opened, this one still delivers for a moment.
    Refresh,
    /// `link_disabled`: somebody switched Socket Mode off.
    Disabled,
    /// `too_many_websockets`: ten at most.
    Crowded,
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnvelopeKind {
    Event,
    Command,
    Interaction,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    pub id: String,
    pub kind: EnvelopeKind,
    /// What the HTTP body would be.
    pub payload: Value,
    /// 0 at the first attempt.
    pub retry: u64,
    /// Whether an acknowledgement may carry an answer.
    pub takes_answer: bool,
}

/// Reads a frame. Never fails: what cannot be read is ignored, with a reason.
pub fn read_frame(text: &str) -> Frame {
    let Ok(mut frame) = serde_json::from_str::<Value>(text) else {
        return Frame::Ignored { why: "a frame that is no JSON" };
    };
    let kind = match frame["type"].as_str() {
        Some("hello") => return Frame::Hello,
        Some("disconnect") => {
            return Frame::Disconnect(match frame["reason"].as_str() {
                Some("warning" | "refresh_requested") => Reason::Refresh,
                Some("link_disabled") => Reason::Disabled,
                Some("too_many_websockets") => Reason::Crowded,
                _ => Reason::Other,
            });
        }
        Some("events_api") => Some(EnvelopeKind::Event),
        Some("slash_commands") => Some(EnvelopeKind::Command),
        Some("interactive") => Some(EnvelopeKind::Interaction),
        _ => None,
    };
    let Some(id) = frame["envelope_id"].as_str().filter(|id| !id.is_empty()).map(str::to_owned) else {
        return Frame::Ignored { why: "a frame without an envelope's id" };
    };
    let Some(kind) = kind else { return Frame::Foreign { id } };
    Frame::Envelope(Envelope {
        id,
        kind,
        retry: frame["retry_attempt"].as_u64().unwrap_or_default(),
        takes_answer: frame["accepts_response_payload"] == true,
        payload: frame["payload"].take(),
    })
}

/// What became of an envelope.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// It is on disk; with what whoever typed or clicked gets.
    Acknowledge(Option<Value>),
    /// It is not: Slack sends it again.
    Withhold,
}

/// When a connection is looked after.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    pub ping_every: Duration,
    /// Nothing was heard for so long, not even the answer to a ping: the connection is dead.
    pub silent_after: Duration,
    /// A connection that Slack said it would end, and did not, is left after so long.
    pub linger: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            ping_every: Duration::from_secs(10),
            silent_after: Duration::from_secs(30),
            linger: Duration::from_secs(30),
        }
    }
}

/// Why another connection is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Asked(Reason),
    Broken,
}

#[derive(Debug, thiserror::Error)]
enum LinkError {
    #[error(transparent)]
    Slack(#[from] SlackError),
    #[error("the connection for Socket Mode cannot be made: {0}")]
    Connect(String),
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Keeps a connection open for as long as it runs.
#[derive(Clone)]
pub struct SocketMode<H> {
    pub slack: Slack,
    pub app_token: Secret,
    pub timing: Timing,
    /// Stores what came and says what Slack gets.
    pub handle: H,
    /// Hears whether Slack can reach us.
    pub reachable: Arc<dyn Fn(bool) + Send + Sync>,
    pub stop: CancellationToken,
}

impl<H, F> SocketMode<H>
where
    H: Fn(Envelope) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    /// Runs until it is stopped; what has begun is finished and acknowledged.
    pub async fn run(self) {
        let connections = TaskTracker::new();
        let greeted = Arc::new(AtomicUsize::new(0));
        let mut failures: u32 = 0;
        while !self.stop.is_cancelled() {
            let opened = tokio::select! {
                opened = self.open() => opened,
                () = self.stop.cancelled() => break,
            };
            let wait = match opened {
                Ok(socket) => {
                    let (leaving, left) = oneshot::channel();
                    let link = Link { mode: self.clone(), socket, greeted: greeted.clone() };
                    connections.spawn(link.serve(leaving));
                    let began = Instant::now();
                    let end = left.await.unwrap_or(End::Broken);
                    if !self.stop.is_cancelled() {
                        log_end(end);
                    }
                    let (wait, count) = wait_after(end, began.elapsed(), failures);
                    failures = count;
                    wait
                }
                Err(error) => {
                    (self.reachable)(greeted.load(Ordering::SeqCst) > 0);
                    failures = failures.saturating_add(1);
                    let wait = wait_after_refusal(&error, failures);
                    tracing::warn!(%error, wait_s = wait.as_secs_f64(), "Socket Mode has no connection");
                    wait
                }
            };
            // Up to a quarter less, so that many bots do not come back in the same moment.
            let wait = wait.mul_f64(1.0 - fastrand::f64() / 4.0);
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.stop.cancelled() => {}
            }
        }
        connections.close();
        connections.wait().await;
    }

    async fn open(&self) -> Result<Socket, LinkError> {
        let url = self.slack.open_link(&self.app_token).await?;
        let limits =
            WebSocketConfig::default().max_message_size(Some(FRAME_MAX)).max_frame_size(Some(FRAME_MAX));
        match tokio::time::timeout(CONNECT_WITHIN, connect_async_with_config(url, Some(limits), true)).await {
            Ok(Ok((socket, _))) => Ok(socket),
            Ok(Err(error)) => Err(LinkError::Connect(error.to_string())),
            Err(_) => Err(LinkError::Connect(format!("no answer within {} s", CONNECT_WITHIN.as_secs()))),
        }
    }
}

/// One connection.
struct Link<H> {
    mode: SocketMode<H>,
    socket: Socket,
    /// How many connections were greeted and are open.
    greeted: Arc<AtomicUsize>,
}

impl<H, F> Link<H>
where
    H: Fn(Envelope) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    /// Serves the connection to its end, and says as soon as another one is needed.
    async fn serve(mut self, leaving: oneshot::Sender<End>) {
        let mut leaving = Some(leaving);
        let mut is_greeted = false;
        let mut handlers: JoinSet<(String, bool, Answer)> = JoinSet::new();
        let mut heard = Instant::now();
        let mut leave_by: Option<Instant> = None;
        let mut ping = tokio::time::interval(self.mode.timing.ping_every);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let stop = self.mode.stop.clone();
        loop {
            let stopping = stop.is_cancelled();
            if stopping && handlers.is_empty() {
                break;
            }
            tokio::select! {
                frame = self.socket.next(), if !stopping && handlers.len() < AT_ONCE_MAX => {
                    let Some(Ok(message)) = frame else { break };
                    heard = Instant::now();
                    let text = match message {
                        Message::Text(text) => text,
                        Message::Close(_) => break,
                        // Pings are answered by the library while we read.
                        _ => continue,
                    };
                    match read_frame(&text) {
                        Frame::Hello if !is_greeted => {
                            is_greeted = true;
                            self.greeted.fetch_add(1, Ordering::SeqCst);
                            (self.mode.reachable)(true);
                            tracing::info!("Socket Mode is connected");
                        }
                        Frame::Hello => {}
                        Frame::Disconnect(reason) => {
                            if let Some(leaving) = leaving.take() {
                                // Nobody who waits means that the bot ends.
                                let _ = leaving.send(End::Asked(reason));
                            }
                            leave_by = Some(Instant::now() + self.mode.timing.linger);
                        }
                        Frame::Envelope(envelope) => {
                            let (id, takes_answer) = (envelope.id.clone(), envelope.takes_answer);
                            let handled = (self.mode.handle)(envelope);
                            handlers.spawn(async move { (id, takes_answer, handled.await) });
                        }
                        Frame::Foreign { id } => {
                            tracing::warn!("an envelope of a type that nobody knows");
                            if self.acknowledge(&id, None).await.is_err() {
                                break;
                            }
                        }
                        Frame::Ignored { why } => tracing::warn!(why, "a frame of Socket Mode is not read"),
                    }
                }
                Some(done) = handlers.join_next(), if !handlers.is_empty() => match done {
                    Ok((id, takes_answer, Answer::Acknowledge(answer))) => {
                        if self.acknowledge(&id, answer.filter(|_| takes_answer)).await.is_err() {
                            break;
                        }
                    }
                    Ok((_, _, Answer::Withhold)) => {}
                    Err(error) => tracing::error!(%error, "an envelope could not be handled"),
                },
                _ = ping.tick(), if !stopping => {
                    let is_over = leave_by.is_some_and(|by| Instant::now() >= by);
                    // While handlers hold the reading up, silence means nothing.
                    let is_dead = handlers.len() < AT_ONCE_MAX
                        && heard.elapsed() >= self.mode.timing.silent_after;
                    if is_over || is_dead || self.send(Message::Ping(Vec::new().into())).await.is_err() {
                        break;
                    }
                }
                () = stop.cancelled(), if !stopping => {}
            }
        }
        // What has begun is stored all the same; Slack sends again what was not acknowledged.
        handlers.detach_all();
        if is_greeted {
            let left = self.greeted.fetch_sub(1, Ordering::SeqCst) - 1;
            (self.mode.reachable)(left > 0);
        }
        if let Some(leaving) = leaving {
            let _ = leaving.send(End::Broken);
        }
        // Nobody waits for it to succeed.
        let _ = tokio::time::timeout(CLOSE_WITHIN, self.socket.close(None)).await;
    }

    async fn acknowledge(&mut self, id: &str, answer: Option<Value>) -> Result<(), ()> {
        let mut body = json!({ "envelope_id": id });
        if let Some(answer) = answer {
            body["payload"] = answer;
        }
        self.send(Message::Text(body.to_string().into())).await
    }

    async fn send(&mut self, message: Message) -> Result<(), ()> {
        match tokio::time::timeout(SEND_WITHIN, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a connection of Socket Mode broke");
                Err(())
            }
            Err(_) => Err(()),
        }
    }
}

fn log_end(end: End) {
    match end {
        End::Asked(Reason::Disabled) => tracing::error!(
            "Socket Mode was switched off for this app: switch it on under 'Socket Mode' in the app's settings"
        ),
        End::Asked(Reason::Crowded) => tracing::error!(
            "Slack refuses another connection of this app: ten at most; is another commander running with its token?"
        ),
        End::Asked(reason) => tracing::info!(?reason, "Slack asks for another connection"),
        End::Broken => tracing::warn!("the connection of Socket Mode broke"),
    }
}

/// How long to wait before the next connection, and the failures in a row so far.
fn wait_after(end: End, lived: Duration, failures: u32) -> (Duration, u32) {
    let before = if lived >= STEADY { 0 } else { failures };
    match end {
        End::Asked(Reason::Disabled | Reason::Crowded) => (BACK_OFF_MAX, before.saturating_add(1)),
        // At once: the old connection still delivers. One that is ended right after its hello is not
        // followed without a pause a second time.
        End::Asked(_) if before == 0 => (Duration::ZERO, u32::from(lived < STEADY)),
        End::Asked(_) | End::Broken => (back_off(before.saturating_add(1)), before.saturating_add(1)),
    }
}

fn wait_after_refusal(error: &LinkError, failures: u32) -> Duration {
    match error {
        LinkError::Slack(SlackError::TooFast { wait, .. }) => *wait,
        // A token that is refused is mended by a person, who may have written it into its file meanwhile.
        LinkError::Slack(SlackError::Refused { .. } | SlackError::Secret(_) | SlackError::NoToken)
            if failures > 1 =>
        {
            BACK_OFF_MAX
        }
        LinkError::Slack(_) | LinkError::Connect(_) => back_off(failures),
    }
}

/// Doubles with each failure.
fn back_off(failures: u32) -> Duration {
    BACK_OFF.saturating_mul(2u32.saturating_pow(failures.saturating_sub(1).min(16))).min(BACK_OFF_MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_envelope_is_what_http_would_have_brought() {
        let frame = json!({
            "envelope_id": "E1", "type": "slash_commands", "accepts_response_payload": true,
            "payload": { "command": "/investigate", "user_id": "U1" }
        });
        let Frame::Envelope(envelope) = read_frame(&frame.to_string()) else { panic!("no envelope") };
        assert_eq!((envelope.id.as_str(), envelope.kind, envelope.retry), ("E1", EnvelopeKind::Command, 0));
        assert!(envelope.takes_answer);
        assert_eq!(envelope.payload["user_id"], "U1");
    }

    #[test]
    fn what_is_no_envelope_is_told_apart() {
        for (text, expected) in [
            (r#"{"type":"hello","num_connections":1}"#, Frame::Hello),
            (r#"{"type":"disconnect","reason":"warning"}"#, Frame::Disconnect(Reason::Refresh)),
            (r#"{"type":"disconnect","reason":"refresh_requested"}"#, Frame::Disconnect(Reason::Refresh)),
            (r#"{"type":"disconnect","reason":"link_disabled"}"#, Frame::Disconnect(Reason::Disabled)),
            (r#"{"type":"disconnect","reason":"too_many_websockets"}"#, Frame::Disconnect(Reason::Crowded)),
            (r#"{"type":"disconnect"}"#, Frame::Disconnect(Reason::Other)),
            (r#"{"type":"tea_time","envelope_id":"E9"}"#, Frame::Foreign { id: "E9".into() }),
            (r#"{"type":"events_api"}"#, Frame::Ignored { why: "a frame without an envelope's id" }),
            ("[", Frame::Ignored { why: "a frame that is no JSON" }),
        ] {
            assert_eq!(read_frame(text), expected, "{text}");
        }
    }

    #[test]
    fn slack_is_followed_at_once_and_a_broken_line_with_a_growing_pause() {
        let long = STEADY * 2;
        assert_eq!(wait_after(End::Asked(Reason::Refresh), long, 5), (Duration::ZERO, 0));
        assert_eq!(wait_after(End::Asked(Reason::Refresh), Duration::ZERO, 0), (Duration::ZERO, 1));
        assert!(wait_after(End::Asked(Reason::Refresh), Duration::ZERO, 1).0 >= BACK_OFF);
        let waits: Vec<Duration> =
            (0..12).map(|failures| wait_after(End::Broken, Duration::ZERO, failures).0).collect();
        assert!(waits.is_sorted() && waits[0] == BACK_OFF && waits[11] == BACK_OFF_MAX, "{waits:?}");
        assert_eq!(wait_after(End::Broken, long, 9).0, BACK_OFF, "one that lived long was a good one");
    }

    #[test]
    fn what_only_a_person_can_mend_is_not_hammered_at() {
        assert_eq!(wait_after(End::Asked(Reason::Disabled), STEADY * 2, 0).0, BACK_OFF_MAX);
        assert_eq!(wait_after(End::Asked(Reason::Crowded), Duration::ZERO, 0).0, BACK_OFF_MAX);
        let refused = SlackError::Refused { method: "m", code: "invalid_auth".into(), detail: String::new() };
        assert_eq!(wait_after_refusal(&refused.into(), 2), BACK_OFF_MAX);
        let too_fast = SlackError::TooFast { method: "m", wait: Duration::from_secs(7) };
        assert_eq!(wait_after_refusal(&too_fast.into(), 1), Duration::from_secs(7));
    }

    proptest! {
        #[test]
        fn any_text_is_a_frame_or_ignored(text in "\\PC{0,60}|[{}\":,a-z_\\[\\]0-9]{0,60}") {
            let _ = read_frame(&text);
        }
    }
}
