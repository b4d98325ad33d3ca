//! Socket Mode: connections that the bot opened, and envelopes that go to one of them.
//!
//! The rule that is not obvious: an envelope goes to one connection, whichever has its turn, and never to
//! one that was told to leave while another is there. What a connection loses is sent again elsewhere.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Query, State as Extract};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use super::api::ApiError;
use super::methods::{Answer, Call};
use super::outbound::{Acknowledgement, TIMED_OUT};
use super::state::Update;
use super::{SlackWorld, unpoisoned};

/// Slack takes ten connections of an app.
const LINKS_MAX: usize = 10;

/// What happens on a connection besides envelopes.
#[derive(Debug)]
enum Outgoing {
    Text(String),
    /// Ended as the protocol says.
    Close,
    /// The line breaks without a word.
    Cut,
    /// It stays open, and nothing is heard or answered any more.
    Freeze,
}

#[derive(Debug)]
struct Link {
    outbox: mpsc::UnboundedSender<Outgoing>,
    leaving: bool,
}

/// The connections of one app.
#[derive(Debug, Default)]
pub(super) struct Links {
    /// Whether the app's settings say Socket Mode; HTTP where not.
    enabled: bool,
    tickets: HashSet<String>,
    open: BTreeMap<u64, Link>,
    /// By envelope: its connection, and who waits for the acknowledgement.
    waiting: HashMap<String, (u64, oneshot::Sender<Value>)>,
    /// Acknowledgements that nobody waited for, as they came.
    strays: Vec<Value>,
    opened: u64,
    turn: u64,
}

impl Links {
    /// The connection that has its turn.
    fn next(&mut self) -> Option<(u64, mpsc::UnboundedSender<Outgoing>)> {
        let stay: Vec<u64> = self.open.iter().filter(|(_, link)| !link.leaving).map(|(id, _)| *id).collect();
        let among = if stay.is_empty() { self.open.keys().copied().collect() } else { stay };
        self.turn += 1;
        let id = *among.get(usize::try_from(self.turn).ok()? % among.len().max(1))?;
        Some((id, self.open.get(&id)?.outbox.clone()))
    }
}

/// `apps.connections.open`.
pub(super) fn open(call: &mut Call<'_>) -> Answer {
    let mut links = unpoisoned(call.links);
    if !links.enabled {
        // What the app's own settings do not allow.
        return Err(ApiError::new("access_denied"));
    }
    let ticket = uuid::Uuid::new_v4().simple().to_string();
    links.tickets.insert(ticket.clone());
    let host = call.public_url.trim_start_matches("http://");
    Ok(json!({"url": format!("ws://{host}/link?ticket={ticket}&app_id={}", call.state.workspace.app.id)}))
}

/// The upgrade to a WebSocket: a ticket is good once.
pub(super) async fn connect(
    Extract(world): Extract<SlackWorld>,
    Query(query): Query<HashMap<String, String>>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let known =
        query.get("ticket").is_some_and(|ticket| unpoisoned(&world.inner.links).tickets.remove(ticket));
    if !known {
        return StatusCode::FORBIDDEN.into_response();
    }
    upgrade.on_upgrade(move |socket| world.serve_link(socket))
}

impl SlackWorld {
    /// The app's settings say Socket Mode from now on.
    pub fn use_socket_mode(&self) {
        unpoisoned(&self.inner.links).enabled = true;
    }

    /// Connections that are open.
    pub fn links(&self) -> usize {
        unpoisoned(&self.inner.links).open.len()
    }

    /// Connections that were opened since the start.
    pub fn links_opened(&self) -> u64 {
        unpoisoned(&self.inner.links).opened
    }

    /// Acknowledgements of what [`SlackWorld::send_to_links`] sent, and of what came too late.
    pub fn strays(&self) -> Vec<Value> {
        unpoisoned(&self.inner.links).strays.clone()
    }

    /// Tells every open connection that it ends: `warning`, `refresh_requested` or `link_disabled`. The
    /// first two end once another connection is there; the last ends all of them at once, and no more are
    /// given.
    pub fn disconnect_links(&self, reason: &str) {
        let mut links = unpoisoned(&self.inner.links);
        let disabled = reason == "link_disabled";
        links.enabled &= !disabled;
        for link in links.open.values_mut() {
            link.leaving = true;
            let frame = json!({"type": "disconnect", "reason": reason, "debug_info": {"host": "applink-1"}});
            // A connection that ended by itself in this moment needs no telling.
            let _ = link.outbox.send(Outgoing::Text(frame.to_string()));
            if disabled {
                let _ = link.outbox.send(Outgoing::Close);
            }
        }
    }

    /// Every connection breaks without a word, with what was on its way.
    pub fn cut_links(&self) {
        self.tell_links(|| Outgoing::Cut);
    }

    /// Every connection stays open and is silent.
    pub fn freeze_links(&self) {
        self.tell_links(|| Outgoing::Freeze);
    }

    /// Sends text to every connection, whatever it says.
    pub fn send_to_links(&self, text: &str) {
        self.tell_links(|| Outgoing::Text(text.to_owned()));
    }

    fn tell_update(&self) {
        self.write(|state| state.update(Update::LinksChanged));
    }

    fn tell_links(&self, what: impl Fn() -> Outgoing) {
        for link in unpoisoned(&self.inner.links).open.values() {
            let _ = link.outbox.send(what());
        }
    }

    pub(super) fn uses_socket_mode(&self) -> bool {
        unpoisoned(&self.inner.links).enabled
    }

    async fn serve_link(self, mut socket: WebSocket) {
        let (outbox, mut outgoing) = mpsc::unbounded_channel();
        let app = self.read(|state| state.workspace.app.id.clone());
        let id = {
            let mut links = unpoisoned(&self.inner.links);
            let count = links.open.len() + 1;
            links.opened += 1;
            let id = links.opened;
            let first = if count > LINKS_MAX {
                json!({"type": "disconnect", "reason": "too_many_websockets"})
            } else {
                json!({
                    "type": "hello", "num_connections": count,
                    "debug_info": {"host": "applink-1", "build_number": 1, "approximate_connection_time": 18060},
                    "connection_info": {"app_id": app},
                })
            };
            let _ = outbox.send(Outgoing::Text(first.to_string()));
            if count > LINKS_MAX {
                let _ = outbox.send(Outgoing::Close);
            }
            // Those that were told to leave have somebody to follow them now.
            for old in links.open.values().filter(|old| old.leaving) {
                let _ = old.outbox.send(Outgoing::Close);
            }
            links.open.insert(id, Link { outbox, leaving: count > LINKS_MAX });
            id
        };
        self.tell_update();
        let stop = self.stopping();
        loop {
            tokio::select! {
                out = outgoing.recv() => match out {
                    Some(Outgoing::Text(text)) => {
                        if socket.send(Message::Text(text.into())).await.is_err() { break }
                    }
                    Some(Outgoing::Freeze) => {
                        self.forget_link(id);
                        stop.cancelled().await;
                        break;
                    }
                    Some(Outgoing::Close) => {
                        let _ = socket.send(Message::Close(None)).await;
                        break;
                    }
                    Some(Outgoing::Cut) | None => break,
                },
                heard = socket.recv() => match heard {
                    Some(Ok(Message::Text(text))) => self.hear(&text),
                    Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                    Some(Ok(_)) => {}
                },
                () = stop.cancelled() => break,
            }
        }
        self.forget_link(id);
    }

    /// Nobody hears from this connection again: whoever waits for it learns that it broke.
    fn forget_link(&self, id: u64) {
        let mut links = unpoisoned(&self.inner.links);
        links.open.remove(&id);
        links.waiting.retain(|_, (link, _)| *link != id);
        drop(links);
        self.tell_update();
    }

    fn hear(&self, text: &str) {
        let body: Value = serde_json::from_str(text).unwrap_or_default();
        let id = body["envelope_id"].as_str().unwrap_or_default();
        let mut links = unpoisoned(&self.inner.links);
        if let Some((_, waiting)) = links.waiting.remove(id) {
            // Nobody waits any more where it came too late.
            let _ = waiting.send(body);
        } else {
            links.strays.push(body);
            drop(links);
            self.tell_update();
        }
    }

    /// Sends one envelope and waits for its acknowledgement as long as Slack would.
    pub(super) async fn send_envelope(
        &self,
        path: &str,
        body: &str,
        retry: Option<(u64, &str)>,
    ) -> Result<Acknowledgement, String> {
        let (kind, payload) = match path {
            "/slack/events" => ("events_api", serde_json::from_str(body).unwrap_or_default()),
            "/slack/commands" => {
                let form = form_urlencoded::parse(body.as_bytes());
                ("slash_commands", form.map(|(name, value)| (name.into_owned(), json!(value))).collect())
            }
            _ => {
                let payload = form_urlencoded::parse(body.as_bytes()).find(|(name, _)| name == "payload");
                let payload = payload.and_then(|(_, text)| serde_json::from_str(&text).ok());
                ("interactive", payload.unwrap_or(Value::Null))
            }
        };
        let id = uuid::Uuid::new_v4().to_string();
        let mut envelope = json!({
            "envelope_id": id, "type": kind, "payload": payload,
            "accepts_response_payload": kind != "events_api",
        });
        if kind == "events_api" {
            envelope["retry_attempt"] = json!(retry.map_or(0, |(attempt, _)| attempt));
            envelope["retry_reason"] = json!(retry.map_or("", |(_, reason)| reason));
        }
        let answered = {
            let mut links = unpoisoned(&self.inner.links);
            let (link, outbox) = links.next().ok_or("cannot connect")?;
            let (sender, answered) = oneshot::channel();
            links.waiting.insert(id.clone(), (link, sender));
            outbox.send(Outgoing::Text(envelope.to_string())).map_err(|_| "the connection broke")?;
            answered
        };
        let deadline: Duration = self.inner.options.ack_deadline;
        match tokio::time::timeout(deadline, answered).await {
            Ok(Ok(body)) => Ok(Acknowledgement::of_payload(&body["payload"])),
            Ok(Err(_)) => Err("the connection broke".to_owned()),
            Err(_) => {
                unpoisoned(&self.inner.links).waiting.remove(&id);
                Err(TIMED_OUT.to_owned())
            }
        }
    }
}
