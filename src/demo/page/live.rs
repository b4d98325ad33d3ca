//! What the page shows, sent as it changes.
//!
//! The rule that is not obvious: a stream begins with everything, and a reader that fell behind gets
//! everything again. The page never has to ask, and a broken connection heals itself.

use std::convert::Infallible;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio_util::sync::CancellationToken;

use super::{PageState, ServiceView};
use crate::demo::slack::{Message, Update, View};

#[derive(Debug, Deserialize)]
pub(super) struct Viewer {
    user: Option<String>,
}

struct Feed {
    page: PageState,
    stopping: CancellationToken,
    user: String,
    updates: broadcast::Receiver<Update>,
    /// Whether everything has to be sent, as at the start.
    anew: bool,
}

/// `GET /page/live?user=U…`: server-sent events for one person's eyes, the first person's where nobody
/// known is named.
pub(super) async fn stream(State(page): State<PageState>, Query(viewer): Query<Viewer>) -> Response {
    let workspace = page.slack.workspace();
    let named = viewer.user.and_then(|id| workspace.user(&id));
    let Some(user) = named.or(workspace.users.first()).map(|user| user.id.clone()) else {
        return (StatusCode::NOT_FOUND, "nobody is in this workspace").into_response();
    };
    let updates = page.slack.subscribe();
    let stopping = page.slack.stopping();
    let feed = Feed { page, stopping, user, updates, anew: true };
    let events = stream::unfold(feed, |mut feed| async move {
        let (name, data) = feed.next().await?;
        Some((Ok::<_, Infallible>(Event::default().event(name).data(data.to_string())), feed))
    });
    Sse::new(events).keep_alive(KeepAlive::default()).into_response()
}

impl Feed {
    async fn next(&mut self) -> Option<(&'static str, Value)> {
        loop {
            if self.anew {
                self.anew = false;
                self.page.service.mark_unchanged();
                return Some(("everything", self.everything()));
            }
            tokio::select! {
                // An open stream would hold up the end of the server that it runs in.
                () = self.stopping.cancelled() => return None,
                update = self.updates.recv() => match update {
                    Ok(update) => {
                        if let Some(event) = self.event(update) {
                            return Some(event);
                        }
                    }
                    Err(RecvError::Lagged(_)) => {
                        self.updates = self.page.slack.subscribe();
                        self.anew = true;
                    }
                    Err(RecvError::Closed) => return None,
                },
                changed = self.page.service.changed() => {
                    // The driver ended: nothing new will come, and the browser tries again.
                    changed.ok()?;
                    let service = self.page.service.borrow_and_update().clone();
                    return Some(("service", service_json(&service)));
                }
            }
        }
    }

    fn event(&self, update: Update) -> Option<(&'static str, Value)> {
        let slack = &self.page.slack;
        match update {
            Update::MessagePosted { channel, ts } | Update::MessageChanged { channel, ts } => {
                let message = slack.message(&channel, &ts)?;
                // A reply changes what its first message says about its thread.
                let parent = message.thread_ts.as_ref().filter(|_| message.is_reply());
                let parent = parent.and_then(|parent| slack.message(&channel, parent));
                let both: Vec<Value> =
                    parent.iter().chain([&message]).map(|message| self.message_json(message)).collect();
                Some(("messages", json!(both)))
            }
            Update::MessageDeleted { channel, ts } => match slack.message(&channel, &ts) {
                Some(left) => Some(("messages", json!([self.message_json(&left)]))),
                None => Some(("deleted", json!({"channel": channel, "ts": ts}))),
            },
            Update::EphemeralChanged { user, .. } if user == self.user => {
                Some(("ephemerals", self.ephemerals()))
            }
            Update::ModalChanged { user } if user == self.user => Some(("modal", self.modal())),
            Update::HomeChanged { user } if user == self.user => Some(("home", self.home())),
            _ => None,
        }
    }

    fn everything(&self) -> Value {
        let slack = &self.page.slack;
        let workspace = slack.workspace();
        let messages: Vec<Value> = workspace
            .channels
            .iter()
            .flat_map(|channel| slack.messages(&channel.id))
            .map(|message| self.message_json(&message))
            .collect();
        json!({
            "you": self.user,
            "workspace": {"id": workspace.id, "name": workspace.name},
            "users": workspace.users,
            "groups": workspace.groups,
            "channels": workspace.channels,
            "app": workspace.app,
            "first_channel": self.page.channel,
            "messages": messages,
            "ephemerals": self.ephemerals(),
            "modal": self.modal(),
            "home": self.home(),
            "service": service_json(&self.page.service.borrow()),
            "scenarios": self.page.scenarios,
        })
    }

    /// As Slack writes it, with its channel: in the API that is known from the call.
    fn message_json(&self, message: &Message) -> Value {
        let mut json = self.page.slack.message_json(message);
        json["channel"] = json!(message.channel);
        json["broadcast"] = json!(message.broadcast);
        json
    }

    fn ephemerals(&self) -> Value {
        let all = self.page.slack.ephemerals(&self.user);
        json!(all.iter().map(|each| self.message_json(&each.message)).collect::<Vec<_>>())
    }

    fn modal(&self) -> Value {
        view_json(self.page.slack.modal(&self.user))
    }

    fn home(&self) -> Value {
        view_json(self.page.slack.home(&self.user))
    }
}

fn view_json(view: Option<View>) -> Value {
    view.map_or(
        Value::Null,
        |view| json!({"id": view.id, "hash": view.hash, "body": view.body, "values": view.values}),
    )
}

fn service_json(service: &ServiceView) -> Value {
    json!(service)
}
