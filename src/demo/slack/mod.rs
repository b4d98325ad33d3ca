//! A Slack workspace over HTTP: what the Web API answers, what events, commands and interactions send.
//!
//! It is a double, built from Slack's documents and recorded behaviour, for the demo and for tests.
//! The rule that is not obvious: it shares no code with the bot. Whatever the two agree on crosses the
//! wire, so a shape that only this side knows shows up as a failure.

mod api;
mod arguments;
mod content;
mod elements;
pub mod fault;
mod interaction;
pub mod limits;
mod links;
pub mod message;
mod methods;
mod outbound;
pub mod pace;
mod people;
mod reply;
mod state;
mod typed;
mod upload;
pub mod workspace;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::SignedDuration;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::aws::WorldClock;
use fault::Fault;
use links::Links;
use pace::Pace;
use state::{Effect, State};
use workspace::Workspace;

pub use message::{Author, Message, Reaction};
pub use outbound::sign;
pub use people::{Action, Chosen, Outcome, Place, Submitted, UserError};
pub use state::{Counter, Delivery, Ephemeral, Update, View};

/// Scopes of the bot token where nothing else is said: those of the app's manifest.
pub const SCOPES: [&str; 10] = [
    "chat:write",
    "commands",
    "app_mentions:read",
    "channels:history",
    "groups:history",
    "reactions:write",
    "users:read",
    "users:read.email",
    "usergroups:read",
    "files:write",
];

/// How this workspace behaves.
#[derive(Debug, Clone)]
pub struct Options {
    pub workspace: Workspace,
    pub bot_token: String,
    pub app_token: String,
    pub scopes: Vec<String>,
    /// Added to real time for message times; deadlines and signatures stay on real time.
    pub clock_offset: SignedDuration,
    /// Where set, message times and the pace follow this clock, which a test may move.
    pub clock: Option<WorldClock>,
    pub pace: Pace,
    /// How long the bot may take to acknowledge.
    pub ack_deadline: Duration,
    /// When an event that was not acknowledged is sent again.
    pub retry_after: Vec<Duration>,
    pub trigger_lifetime: Duration,
    pub response_url_lifetime: Duration,
    /// How long after its upload a file cannot be shown in blocks yet.
    pub file_processing: Duration,
    /// Of the chance in [`Fault::share`].
    pub seed: u64,
}

impl Default for Options {
    /// As Slack itself: its pace, its three seconds, its retries at once, after one and five minutes.
    fn default() -> Self {
        Self {
            workspace: Workspace::demo(),
            bot_token: "xoxb-demo".into(),
            app_token: "xapp-demo".into(),
            scopes: SCOPES.map(str::to_owned).to_vec(),
            clock_offset: SignedDuration::ZERO,
            clock: None,
            pace: Pace::real(),
            ack_deadline: Duration::from_secs(3),
            retry_after: vec![Duration::ZERO, Duration::from_mins(1), Duration::from_mins(5)],
            trigger_lifetime: Duration::from_secs(3),
            response_url_lifetime: Duration::from_mins(30),
            file_processing: Duration::ZERO,
            seed: 1,
        }
    }
}

/// Where the bot listens, and the secret that both sides know.
#[derive(Debug, Clone)]
struct BotAddress {
    base_url: String,
    signing_secret: String,
}

#[derive(Debug)]
struct Inner {
    options: Options,
    state: Mutex<State>,
    updates: broadcast::Sender<Update>,
    bot: Mutex<Option<BotAddress>>,
    links: Mutex<Links>,
    /// This endpoint's own address, for upload and response URLs.
    public_url: Mutex<String>,
    client: reqwest::Client,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// One workspace; clones share it.
#[derive(Debug, Clone)]
pub struct SlackWorld {
    inner: Arc<Inner>,
}

/// Updates that a slow reader may be behind before it has to look at everything anew.
const UPDATES_KEPT: usize = 4096;

impl SlackWorld {
    pub fn new(options: Options) -> Self {
        let (updates, _) = broadcast::channel(UPDATES_KEPT);
        let state = Mutex::new(State::new(&options));
        Self {
            inner: Arc::new(Inner {
                options,
                state,
                updates,
                bot: Mutex::new(None),
                links: Mutex::default(),
                public_url: Mutex::new("http://127.0.0.1".into()),
                client: reqwest::Client::new(),
                tasks: TaskTracker::new(),
                stop: CancellationToken::new(),
            }),
        }
    }

    /// Serves the Web API on `listener` until [`SlackWorld::stop`]; returns `…/api`, the base URL for a client.
    ///
    /// # Errors
    /// Where the listener has no address.
    pub fn serve(&self, listener: TcpListener) -> std::io::Result<String> {
        self.serve_through(listener, |router| router)
    }

    /// The same, with something around the routes that watches them.
    ///
    /// # Errors
    /// Where the listener has no address.
    pub fn serve_through(
        &self,
        listener: TcpListener,
        around: impl FnOnce(axum::Router) -> axum::Router,
    ) -> std::io::Result<String> {
        let address = listener.local_addr()?;
        self.set_public_url(&format!("http://{address}"));
        let (router, stop) = (around(self.router()), self.inner.stop.clone());
        self.inner.tasks.spawn(async move {
            let served = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned());
            if let Err(error) = served.await {
                tracing::error!(%error, "the Slack-compatible endpoint ended");
            }
        });
        Ok(format!("http://{address}/api"))
    }

    /// The same routes, to be merged into another server at `public_url`.
    pub fn router(&self) -> axum::Router {
        api::router(self.clone())
    }

    /// The address without a path at which this endpoint is reached.
    pub fn set_public_url(&self, url: &str) {
        url.trim_end_matches('/').clone_into(&mut unpoisoned(&self.inner.public_url));
    }

    /// Where the bot is: events, commands and interactions go to `{base_url}/slack/…`, signed.
    pub fn set_bot(&self, base_url: &str, signing_secret: &str) {
        *unpoisoned(&self.inner.bot) = Some(BotAddress {
            base_url: base_url.trim_end_matches('/').to_owned(),
            signing_secret: signing_secret.to_owned(),
        });
    }

    /// Cancelled once [`SlackWorld::stop`] is called: whoever holds a connection open ends it then.
    pub fn stopping(&self) -> CancellationToken {
        self.inner.stop.clone()
    }

    /// Ends serving, and the retries that are still to come.
    pub async fn stop(&self) {
        self.inner.stop.cancel();
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
    }

    pub fn options(&self) -> &Options {
        &self.inner.options
    }

    /// The workspace as it is now.
    pub fn workspace(&self) -> Workspace {
        self.read(|state| state.workspace.clone())
    }

    /// The demo clock's time, on which messages are dated.
    pub fn now(&self) -> jiff::Timestamp {
        self.read(State::now)
    }

    /// Adds a line to the script of faults.
    pub fn script(&self, fault: Fault) {
        self.write(|state| state.script.push(fault));
    }

    pub fn clear_faults(&self) {
        self.write(|state| state.script.clear());
    }

    pub fn set_pace(&self, pace: Pace) {
        self.write(|state| state.pace = pace);
    }

    pub fn set_scopes(&self, scopes: &[&str]) {
        self.write(|state| state.scopes = scopes.iter().map(|&scope| scope.to_owned()).collect());
    }

    /// Replaces the bot's token, as a rotation does: the old one is invalid from now on.
    pub fn set_bot_token(&self, token: &str) {
        self.write(|state| token.clone_into(&mut state.bot_token));
    }

    /// The app was removed from the workspace: every call is answered `token_revoked`.
    pub fn set_revoked(&self, revoked: bool) {
        self.write(|state| state.revoked = revoked);
    }

    /// Invites the app to a channel, or removes it.
    pub fn set_membership(&self, channel: &str, member: bool) {
        self.write(|state| {
            for each in state.workspace.channels.iter_mut().filter(|each| each.id == channel) {
                each.app_is_member = member;
            }
        });
    }

    /// Every message of a channel with its threads' replies, oldest first.
    pub fn messages(&self, channel: &str) -> Vec<Message> {
        self.read(|state| {
            state.messages.get(channel).map(|all| all.values().cloned().collect()).unwrap_or_default()
        })
    }

    pub fn message(&self, channel: &str, ts: &str) -> Option<Message> {
        self.read(|state| state.message(channel, ts).cloned())
    }

    /// A thread's replies, oldest first, without its first message.
    pub fn thread(&self, channel: &str, ts: &str) -> Vec<Message> {
        self.read(|state| state.replies_of(channel, ts).cloned().collect())
    }

    /// Messages that only `user` sees, in the order in which they came.
    pub fn ephemerals(&self, user: &str) -> Vec<Ephemeral> {
        self.read(|state| state.ephemerals.iter().filter(|each| each.user == user).cloned().collect())
    }

    /// The modal that `user` sees.
    pub fn modal(&self, user: &str) -> Option<View> {
        self.read(|state| state.open_modal(user).cloned())
    }

    /// What the app published on `user`'s App Home.
    pub fn home(&self, user: &str) -> Option<View> {
        self.read(|state| state.homes.get(user).and_then(|id| state.views.get(id)).cloned())
    }

    /// A message as Slack writes it on the wire, with its metadata.
    pub fn message_json(&self, message: &Message) -> Value {
        self.read(|state| Value::Object(state.message_json(message, true)))
    }

    /// An uploaded file's MIME type and bytes.
    pub fn file(&self, id: &str) -> Option<(&'static str, Vec<u8>)> {
        self.read(|state| {
            let file = state.files.get(id)?;
            Some((state::kind_of_file(&file.name).0, file.content.clone()))
        })
    }

    /// Calls by method since the start.
    pub fn counters(&self) -> std::collections::BTreeMap<String, Counter> {
        self.read(|state| state.counters.clone())
    }

    /// Requests to the bot, oldest first, with what each attempt came to.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.read(|state| state.deliveries.iter().cloned().collect())
    }

    /// Everything that changes from now on. A reader that falls behind by thousands is told so and looks anew.
    pub fn subscribe(&self) -> broadcast::Receiver<Update> {
        self.inner.updates.subscribe()
    }

    /// Waits until `look` finds something; it is asked now and after every change.
    ///
    /// # Errors
    /// After `within`, in words that name `what` was waited for.
    pub async fn wait_for<T>(
        &self,
        what: &str,
        within: Duration,
        mut look: impl FnMut(&Self) -> Option<T>,
    ) -> Result<T, String> {
        let mut updates = self.subscribe();
        let waiting = async {
            loop {
                if let Some(found) = look(self) {
                    return Ok(found);
                }
                if matches!(updates.recv().await, Err(broadcast::error::RecvError::Closed)) {
                    return Err(format!("the workspace ended before {what}"));
                }
            }
        };
        tokio::time::timeout(within, waiting)
            .await
            .unwrap_or_else(|_| Err(format!("{what} did not come within {} s", within.as_secs_f32())))
    }

    fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&unpoisoned(&self.inner.state))
    }

    /// Changes the state, then tells subscribers and sends the events that follow.
    fn write<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let (result, effects) = {
            let mut state = unpoisoned(&self.inner.state);
            let result = change(&mut state);
            (result, std::mem::take(&mut state.effects))
        };
        for effect in effects {
            match effect {
                Effect::Update(update) => {
                    // Nobody listening is fine.
                    let _ = self.inner.updates.send(update);
                }
                Effect::Event(event) => self.send_event(&event),
            }
        }
        result
    }

    fn bot_address(&self) -> Option<BotAddress> {
        unpoisoned(&self.inner.bot).clone()
    }

    fn public_url(&self) -> String {
        unpoisoned(&self.inner.public_url).clone()
    }
}

/// A panic elsewhere must not take the workspace with it: the state is changed in whole steps.
fn unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `{"id": …, "name": …}`, as interactions name people, channels and teams.
fn named(id: &str, name: &str) -> Value {
    json!({"id": id, "name": name})
}
