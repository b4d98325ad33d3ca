//! Everything that the workspace holds, and what happens to it. No I/O: what has to be sent or told
//! is collected as effects, and the world sends it once the lock is free.
//!
//! The rule that is not obvious: message times are on the demo's clock (real time plus an offset), all
//! deadlines are on the real one.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::super::aws::WorldClock;
use super::Options;
use super::fault::Script;
use super::message::{Author, Message, Surroundings};
use super::pace::{Buckets, Pace};
use super::workspace::Workspace;

/// Something that changed, for the page and for tests that wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Update {
    MessagePosted {
        channel: String,
        ts: String,
    },
    MessageChanged {
        channel: String,
        ts: String,
    },
    MessageDeleted {
        channel: String,
        ts: String,
    },
    /// A message that only `user` sees came, changed or went.
    EphemeralChanged {
        user: String,
        channel: String,
        ts: String,
    },
    /// `user`'s modals changed.
    ModalChanged {
        user: String,
    },
    /// `user`'s App Home changed.
    HomeChanged {
        user: String,
    },
    /// A connection of Socket Mode came or went.
    LinksChanged,
    /// A request to the bot ended, well or not.
    Delivered {
        id: String,
        acknowledged: bool,
    },
}

/// A message that only one person sees.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ephemeral {
    pub user: String,
    pub message: Message,
}

#[derive(Debug, Clone, PartialEq)]
pub struct File {
    pub id: String,
    pub name: String,
    pub title: String,
    pub alt_text: String,
    pub content: Vec<u8>,
    /// Announced length in bytes.
    pub length: usize,
    pub shared_in: Vec<String>,
    /// The real time at which it was complete and can be shown in blocks.
    pub completed: Option<Instant>,
}

/// A modal or an App Home that the app showed to somebody.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct View {
    pub id: String,
    pub user: String,
    /// As the app sent it, with Slack's own block ids added.
    pub body: Value,
    pub hash: String,
    pub root_id: String,
    pub previous_id: Option<String>,
    /// What was filled in, by block and action.
    pub values: Value,
    /// Response URLs are made for modals that ask for one; the channel they were opened from.
    pub opened_from: Option<String>,
}

#[derive(Debug, Clone)]
pub(super) struct Trigger {
    pub user: String,
    pub at: Instant,
    pub used: bool,
    pub channel: Option<String>,
    /// The modal that was clicked in.
    pub view: Option<String>,
}

/// What a response URL answers to.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub user: String,
    pub channel: String,
    pub thread: Option<String>,
    /// The message that was clicked on, and whether only the clicker sees it.
    pub source: Option<(String, bool)>,
    pub at: Instant,
    pub uses: u32,
}

/// Calls of one method.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counter {
    pub calls: u64,
    pub ok: u64,
    /// By the API's word; `http 500` and the like for faults by script.
    pub errors: BTreeMap<String, u64>,
}

/// One request to the bot with all its attempts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Delivery {
    /// The event's id, or one made for a command or an interaction.
    pub id: String,
    /// The event's type (`message`, `app_mention`), `command`, or the interaction's type.
    pub kind: String,
    /// What each attempt came to: an HTTP status, or why there is none.
    pub attempts: Vec<Result<u16, String>>,
    pub acknowledged: bool,
    pub finished: bool,
    /// The body of an event, to send again.
    #[serde(skip)]
    pub(super) body: String,
}

#[derive(Debug)]
pub(super) enum Effect {
    Update(Update),
    /// The inner event; the envelope is made when it is sent.
    Event(Value),
}

/// Deliveries kept for reading back.
const DELIVERIES_KEPT: usize = 20_000;

#[derive(Debug)]
pub(super) struct State {
    pub workspace: Workspace,
    pub scopes: Vec<String>,
    pub bot_token: String,
    pub app_token: String,
    pub revoked: bool,
    pub pace: Pace,
    pub file_processing: Duration,
    pub messages: BTreeMap<String, BTreeMap<String, Message>>,
    pub ephemerals: Vec<Ephemeral>,
    pub files: BTreeMap<String, File>,
    /// By the secret part of the upload URL.
    pub uploads: HashMap<String, String>,
    pub views: BTreeMap<String, View>,
    /// Open modals by user, the visible one last.
    pub modals: BTreeMap<String, Vec<String>>,
    /// App Home's view by user.
    pub homes: BTreeMap<String, String>,
    pub triggers: HashMap<String, Trigger>,
    pub replies: HashMap<String, Reply>,
    pub counters: BTreeMap<String, Counter>,
    pub deliveries: VecDeque<Delivery>,
    pub buckets: Buckets,
    pub script: Script,
    pub effects: Vec<Effect>,
    clock_offset: SignedDuration,
    clock: Option<WorldClock>,
    /// What the pace counts from where the clock is a test's.
    started: (Instant, Timestamp),
    last_micros: i64,
    next_id: u64,
}

impl State {
    pub fn new(options: &Options) -> Self {
        Self {
            workspace: options.workspace.clone(),
            scopes: options.scopes.clone(),
            bot_token: options.bot_token.clone(),
            app_token: options.app_token.clone(),
            revoked: false,
            pace: options.pace,
            file_processing: options.file_processing,
            messages: BTreeMap::new(),
            ephemerals: Vec::new(),
            files: BTreeMap::new(),
            uploads: HashMap::new(),
            views: BTreeMap::new(),
            modals: BTreeMap::new(),
            homes: BTreeMap::new(),
            triggers: HashMap::new(),
            replies: HashMap::new(),
            counters: BTreeMap::new(),
            deliveries: VecDeque::new(),
            buckets: Buckets::default(),
            script: Script::new(options.seed),
            effects: Vec::new(),
            clock_offset: options.clock_offset,
            started: (Instant::now(), options.clock.as_ref().map_or_else(Timestamp::now, WorldClock::now)),
            clock: options.clock.clone(),
            last_micros: 0,
            next_id: 0,
        }
    }

    /// The demo clock's time.
    pub fn now(&self) -> Timestamp {
        if let Some(clock) = &self.clock {
            return clock.now();
        }
        Timestamp::now().checked_add(self.clock_offset).unwrap_or(Timestamp::MAX)
    }

    /// The instant that the pace is kept by.
    pub fn instant(&self) -> Instant {
        let (start, shown) = self.started;
        match &self.clock {
            Some(clock) => start + Duration::try_from(clock.now().duration_since(shown)).unwrap_or_default(),
            None => Instant::now(),
        }
    }

    /// A new message id: later than every one before it.
    pub fn next_ts(&mut self) -> String {
        let micros = self.now().as_microsecond().max(self.last_micros + 1);
        self.last_micros = micros;
        format!("{}.{:06}", micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000))
    }

    /// A new id in Slack's fashion: a letter or two, then ten capitals and digits.
    pub fn next_id(&mut self, prefix: &str) -> String {
        self.next_id += 1;
        let mut number = self.next_id;
        let mut digits = Vec::new();
        while number > 0 {
            digits.push(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[(number % 36) as usize]);
            number /= 36;
        }
        digits.reverse();
        format!("{prefix}0{:0>9}", String::from_utf8_lossy(&digits))
    }

    pub fn update(&mut self, update: Update) {
        self.effects.push(Effect::Update(update));
    }

    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes.iter().any(|held| held == scope)
    }

    pub fn message(&self, channel: &str, ts: &str) -> Option<&Message> {
        self.messages.get(channel)?.get(ts)
    }

    pub fn ephemeral(&self, user: &str, ts: &str) -> Option<&Ephemeral> {
        self.ephemerals.iter().find(|each| each.user == user && each.message.ts == ts)
    }

    /// A message's replies, oldest first.
    pub fn replies_of<'s>(&'s self, channel: &str, ts: &'s str) -> impl Iterator<Item = &'s Message> {
        self.messages
            .get(channel)
            .into_iter()
            .flat_map(|messages| messages.values())
            .filter(move |message| message.is_reply() && message.thread_ts.as_deref() == Some(ts))
    }

    /// The first message of the thread that `ts` is in or would begin.
    pub fn thread_root(&self, channel: &str, ts: &str) -> Option<String> {
        let message = self.message(channel, ts)?;
        Some(message.thread_ts.clone().unwrap_or_else(|| ts.to_owned()))
    }

    /// One message as Slack writes it.
    pub fn message_json(&self, message: &Message, with_metadata: bool) -> Map<String, Value> {
        let mut around = Surroundings {
            files: message.files.iter().filter_map(|id| self.file_json(id)).collect(),
            ..Surroundings::default()
        };
        if message.is_reply() {
            let parent = message.thread_ts.as_deref().and_then(|ts| self.message(&message.channel, ts));
            around.parent_user = parent.map(|parent| parent.author_id(&self.workspace));
        } else {
            around.replies = self
                .replies_of(&message.channel, &message.ts)
                .map(|reply| (reply.author_id(&self.workspace), reply.ts.clone()))
                .collect();
        }
        message.to_json(&self.workspace, &around, with_metadata)
    }

    pub fn file_json(&self, id: &str) -> Option<Value> {
        let file = self.files.get(id)?;
        let (mimetype, filetype, pretty) = kind_of_file(&file.name);
        let url = format!("https://files.slack.com/files-pri/{}-{id}/{}", self.workspace.id, file.name);
        Some(json!({
            "id": file.id, "created": 1_738_000_000, "timestamp": 1_738_000_000, "name": file.name,
            "title": file.title, "mimetype": mimetype, "filetype": filetype, "pretty_type": pretty,
            "user": self.workspace.app.user_id, "editable": false, "size": file.content.len(),
            "mode": "hosted", "is_external": false, "is_public": true, "public_url_shared": false,
            "alt_txt": file.alt_text, "url_private": url, "url_private_download": url,
            "permalink": format!("{}files/{}/{id}/{}", self.workspace.url(), self.workspace.app.user_id, file.name),
            "channels": file.shared_in,
        }))
    }

    /// Whether blocks can show this file: Slack takes a moment after the upload is complete.
    pub fn file_ready(&self, id: &str) -> bool {
        self.files
            .get(id)
            .and_then(|file| file.completed)
            .is_some_and(|completed| completed.elapsed() >= self.file_processing)
    }

    /// Adds a message to its channel, tells everybody, and sends the events that follow from it.
    pub fn post(&mut self, message: Message) {
        let (channel, ts) = (message.channel.clone(), message.ts.clone());
        if let Some(root) = message.thread_ts.clone()
            && let Some(parent) = self.messages.get_mut(&channel).and_then(|all| all.get_mut(&root))
        {
            parent.thread_ts = Some(root);
        }
        let event = self.message_event(&message);
        let mention = self.mention_event(&message, &event);
        self.messages.entry(channel.clone()).or_default().insert(ts.clone(), message);
        self.update(Update::MessagePosted { channel: channel.clone(), ts });
        if self.hears(&channel) {
            self.effects.push(Effect::Event(event));
        }
        if let Some(mention) = mention {
            self.effects.push(Effect::Event(mention));
        }
    }

    /// Changes a message in place; nothing happens where it does not exist.
    pub fn change(&mut self, channel: &str, ts: &str, change: impl FnOnce(&mut Message)) {
        let Some(before) = self.message(channel, ts).cloned() else { return };
        let edited = self.next_ts();
        let Some(message) = self.messages.get_mut(channel).and_then(|all| all.get_mut(ts)) else { return };
        change(message);
        message.edited = Some(edited.clone());
        let after = message.clone();
        self.update(Update::MessageChanged { channel: channel.to_owned(), ts: ts.to_owned() });
        if self.hears(channel) {
            let event = json!({
                "type": "message", "subtype": "message_changed", "hidden": true, "channel": channel,
                "channel_type": self.channel_type(channel), "ts": edited, "event_ts": edited,
                "message": self.message_json(&after, true), "previous_message": self.message_json(&before, true),
            });
            self.effects.push(Effect::Event(event));
        }
    }

    pub fn delete(&mut self, channel: &str, ts: &str) {
        let Some(before) = self.message(channel, ts).cloned() else { return };
        let has_replies = self.replies_of(channel, ts).next().is_some();
        let deleted = self.next_ts();
        if let Some(messages) = self.messages.get_mut(channel) {
            if has_replies && let Some(message) = messages.get_mut(ts) {
                let mut left = Message::new(
                    channel,
                    ts.to_owned(),
                    message.author.clone(),
                    "This message was deleted.".to_owned(),
                );
                left.thread_ts.clone_from(&message.thread_ts);
                left.tombstone = true;
                *message = left;
            } else {
                messages.remove(ts);
            }
        }
        self.update(Update::MessageDeleted { channel: channel.to_owned(), ts: ts.to_owned() });
        if self.hears(channel) {
            let event = json!({
                "type": "message", "subtype": "message_deleted", "hidden": true, "channel": channel,
                "channel_type": self.channel_type(channel), "ts": deleted, "event_ts": deleted,
                "deleted_ts": ts, "previous_message": self.message_json(&before, true),
            });
            self.effects.push(Effect::Event(event));
        }
    }

    /// Shows `message` to `user` alone.
    pub fn whisper(&mut self, user: &str, message: Message) {
        let update = Update::EphemeralChanged {
            user: user.to_owned(),
            channel: message.channel.clone(),
            ts: message.ts.clone(),
        };
        self.ephemerals.push(Ephemeral { user: user.to_owned(), message });
        self.update(update);
    }

    /// Whether the app is told of messages in this channel.
    fn hears(&self, channel: &str) -> bool {
        self.workspace.channel(channel).is_some_and(|channel| {
            let scope = if channel.private { "groups:history" } else { "channels:history" };
            channel.app_is_member && self.has_scope(scope)
        })
    }

    fn channel_type(&self, channel: &str) -> &'static str {
        match self.workspace.channel(channel) {
            Some(channel) if channel.private => "group",
            _ => "channel",
        }
    }

    fn message_event(&self, message: &Message) -> Value {
        let mut event = self.message_json(message, true);
        event.insert("channel".into(), json!(message.channel));
        event.insert("channel_type".into(), json!(self.channel_type(&message.channel)));
        event.insert("event_ts".into(), json!(message.ts));
        Value::Object(event)
    }

    fn mention_event(&self, message: &Message, event: &Value) -> Option<Value> {
        let app = &self.workspace.app;
        let invited = self.workspace.channel(&message.channel)?.app_is_member;
        let mentioned = message.text.contains(&format!("<@{}>", app.user_id));
        if !mentioned || message.author == Author::App || !invited || !self.has_scope("app_mentions:read") {
            return None;
        }
        let mut event = event.clone();
        event["type"] = json!("app_mention");
        event.as_object_mut()?.remove("channel_type");
        Some(event)
    }

    /// A trigger for `user`, good for three seconds and one view.
    pub fn new_trigger(&mut self, user: &str, channel: Option<&str>, view: Option<&str>) -> String {
        self.next_id += 1;
        let id = format!("{}.{}.{:032x}", self.next_id, 1_738_000_000, u128::from(self.next_id) << 64);
        self.triggers.insert(
            id.clone(),
            Trigger {
                user: user.to_owned(),
                at: Instant::now(),
                used: false,
                channel: channel.map(str::to_owned),
                view: view.map(str::to_owned),
            },
        );
        id
    }

    pub fn new_reply(&mut self, reply: Reply) -> String {
        let key = format!("{}/{}", self.next_id("R"), uuid::Uuid::new_v4().simple());
        self.replies.insert(key.clone(), reply);
        key
    }

    pub fn view_json(&self, view: &View) -> Value {
        let mut json = Map::new();
        json.insert("id".into(), json!(view.id));
        json.insert("team_id".into(), json!(self.workspace.id));
        for (key, value) in view.body.as_object().into_iter().flatten() {
            json.insert(key.clone(), value.clone());
        }
        for (key, value) in [
            ("private_metadata", json!("")),
            ("callback_id", json!("")),
            ("external_id", json!("")),
            ("clear_on_close", json!(false)),
            ("notify_on_close", json!(false)),
            ("close", Value::Null),
            ("submit", Value::Null),
        ] {
            json.entry(key).or_insert(value);
        }
        json.insert("state".into(), json!({"values": view.values}));
        json.insert("hash".into(), json!(view.hash));
        json.insert("previous_view_id".into(), json!(view.previous_id));
        json.insert("root_view_id".into(), json!(view.root_id));
        json.insert("app_id".into(), json!(self.workspace.app.id));
        json.insert("app_installed_team_id".into(), json!(self.workspace.id));
        json.insert("bot_id".into(), json!(self.workspace.app.bot_id));
        Value::Object(json)
    }

    /// The modal that `user` sees, if one is open.
    pub fn open_modal(&self, user: &str) -> Option<&View> {
        self.views.get(self.modals.get(user)?.last()?)
    }

    pub fn count(&mut self, method: &str, outcome: Result<(), &str>) {
        let counter = self.counters.entry(method.to_owned()).or_default();
        counter.calls += 1;
        match outcome {
            Ok(()) => counter.ok += 1,
            Err(error) => *counter.errors.entry(error.to_owned()).or_default() += 1,
        }
    }

    pub fn begin_delivery(&mut self, id: &str, kind: &str, body: String) {
        if self.deliveries.len() >= DELIVERIES_KEPT {
            self.deliveries.pop_front();
        }
        self.deliveries.push_back(Delivery {
            id: id.to_owned(),
            kind: kind.to_owned(),
            attempts: Vec::new(),
            acknowledged: false,
            finished: false,
            body,
        });
    }

    pub fn note_attempt(&mut self, id: &str, outcome: Result<u16, String>, finished: bool) {
        let Some(delivery) = self.deliveries.iter_mut().rev().find(|delivery| delivery.id == id) else {
            return;
        };
        delivery.acknowledged |= matches!(outcome, Ok(status) if (200..300).contains(&status));
        delivery.attempts.push(outcome);
        delivery.finished = finished;
        let acknowledged = delivery.acknowledged;
        if finished {
            self.update(Update::Delivered { id: id.to_owned(), acknowledged });
        }
    }
}

/// MIME type, Slack's short type, and its name for people.
pub(super) fn kind_of_file(name: &str) -> (&'static str, &'static str, &'static str) {
    let extension = name.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    match extension.as_str() {
        "png" => ("image/png", "png", "PNG"),
        "jpg" | "jpeg" => ("image/jpeg", "jpg", "JPEG"),
        "gif" => ("image/gif", "gif", "GIF"),
        "csv" => ("text/csv", "csv", "CSV"),
        "json" => ("application/json", "json", "JSON"),
        "md" => ("text/markdown", "markdown", "Markdown"),
        "txt" | "log" => ("text/plain", "text", "Plain Text"),
        _ => ("application/octet-stream", "binary", "Binary"),
    }
}

/// Adds what Slack adds to blocks: ids where the sender gave none, and the defaults of text objects.
pub(super) fn complete_blocks(blocks: &mut [Value], new_id: &mut impl FnMut() -> String) {
    for block in blocks {
        let Some(object) = block.as_object_mut() else { continue };
        if !object.contains_key("block_id") {
            object.insert("block_id".into(), json!(new_id()));
        }
        for key in ["accessory", "element"] {
            if let Some(element) = object.get_mut(key) {
                complete_element(element, new_id);
            }
        }
        if object.get("type").is_some_and(|kind| kind == "actions" || kind == "context_actions") {
            for element in object.get_mut("elements").and_then(Value::as_array_mut).into_iter().flatten() {
                complete_element(element, new_id);
            }
        }
        complete_texts(block);
    }
}

fn complete_element(element: &mut Value, new_id: &mut impl FnMut() -> String) {
    if let Some(object) = element.as_object_mut()
        && object.get("type").is_some_and(|kind| kind != "image")
        && !object.contains_key("action_id")
    {
        object.insert("action_id".into(), json!(new_id()));
    }
}

fn complete_texts(value: &mut Value) {
    match value {
        Value::Object(object) => {
            match object.get("type").and_then(Value::as_str) {
                Some("plain_text") => {
                    object.entry("emoji").or_insert(json!(true));
                }
                Some("mrkdwn") => {
                    object.entry("verbatim").or_insert(json!(false));
                }
                _ => {}
            }
            object.values_mut().for_each(complete_texts);
        }
        Value::Array(items) => items.iter_mut().for_each(complete_texts),
        _ => {}
    }
}
