//! One message, and how Slack writes it on the wire.
//!
//! The rule that is not obvious: blocks, attachments and metadata are kept as the JSON that was
//! posted. What the page shows and what `conversations.replies` returns is then exactly what was sent.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::workspace::Workspace;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Author {
    User {
        user: String,
    },
    /// The app under test.
    App,
    /// Another tool; its name is what the message shows, which a webhook may choose.
    Bot {
        bot: String,
        user: Option<String>,
        username: Option<String>,
    },
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reaction {
    pub name: String,
    pub users: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Message {
    pub channel: String,
    /// Slack's id of a message within its channel: seconds with six decimals.
    pub ts: String,
    /// The thread's first message; absent for a message that is in no thread.
    pub thread_ts: Option<String>,
    pub author: Author,
    /// As stored: `&`, `<` and `>` escaped, mentions and links in angle brackets.
    pub text: String,
    pub blocks: Vec<Value>,
    pub attachments: Vec<Value>,
    pub metadata: Option<Value>,
    /// Ids of shared files.
    pub files: Vec<String>,
    pub reactions: Vec<Reaction>,
    pub edited: Option<String>,
    /// A reply that is shown in the channel as well.
    pub broadcast: bool,
    /// A deleted first message of a thread that still has replies.
    pub tombstone: bool,
}

impl Message {
    pub(super) fn new(channel: &str, ts: String, author: Author, text: String) -> Self {
        Self {
            channel: channel.to_owned(),
            ts,
            thread_ts: None,
            author,
            text,
            blocks: Vec::new(),
            attachments: Vec::new(),
            metadata: None,
            files: Vec::new(),
            reactions: Vec::new(),
            edited: None,
            broadcast: false,
            tombstone: false,
        }
    }

    /// Whether it is a reply in somebody's thread.
    pub fn is_reply(&self) -> bool {
        self.thread_ts.as_ref().is_some_and(|parent| *parent != self.ts)
    }

    /// The metadata's `event_type`, where the message has one.
    pub fn event_type(&self) -> Option<&str> {
        self.metadata.as_ref()?.get("event_type")?.as_str()
    }

    /// Every interactive element with its block's id, in order: blocks, then attachments' blocks.
    pub fn elements(&self) -> Vec<(&str, &Value)> {
        let nested = self
            .attachments
            .iter()
            .filter_map(|attachment| attachment.get("blocks").and_then(Value::as_array))
            .flatten();
        elements_of(self.blocks.iter().chain(nested))
    }

    /// The `action_id`s that somebody could click, in order.
    pub fn action_ids(&self) -> Vec<&str> {
        self.elements()
            .into_iter()
            .filter_map(|(_, element)| element.get("action_id").and_then(Value::as_str))
            .collect()
    }
}

/// Interactive elements of `blocks` with the id of the block that holds each.
pub(super) fn elements_of<'a>(blocks: impl Iterator<Item = &'a Value>) -> Vec<(&'a str, &'a Value)> {
    let mut found = Vec::new();
    for block in blocks {
        let block_id = block.get("block_id").and_then(Value::as_str).unwrap_or_default();
        let many = block.get("elements").and_then(Value::as_array).into_iter().flatten();
        let single = [block.get("accessory"), block.get("element")].into_iter().flatten();
        found.extend(
            many.chain(single)
                .filter(|element| element.get("action_id").is_some())
                .map(|element| (block_id, element)),
        );
    }
    found
}

/// What else a message's JSON says, known only to the whole channel.
#[derive(Debug, Default)]
pub(super) struct Surroundings {
    /// Authors and times of its thread's replies.
    pub replies: Vec<(String, String)>,
    pub parent_user: Option<String>,
    pub files: Vec<Value>,
}

impl Message {
    /// As in `conversations.history`, events and interactions; metadata only where it was asked for.
    pub(super) fn to_json(
        &self,
        workspace: &Workspace,
        around: &Surroundings,
        with_metadata: bool,
    ) -> Map<String, Value> {
        let mut json = Map::new();
        let mut put = |key: &str, value: Value| {
            json.insert(key.to_owned(), value);
        };
        put("type", json!("message"));
        if self.tombstone {
            put("subtype", json!("tombstone"));
        }
        match &self.author {
            Author::User { user } => {
                put("user", json!(user));
                put("client_msg_id", json!(client_message_id(&self.ts)));
                put("team", json!(workspace.id));
            }
            Author::App => {
                put("user", json!(workspace.app.user_id));
                put("bot_id", json!(workspace.app.bot_id));
                put("app_id", json!(workspace.app.id));
                put("team", json!(workspace.id));
                put("bot_profile", json!(workspace.bot_profile_json(&workspace.app.bot_id)));
            }
            Author::Bot { bot, user: Some(user), .. } => {
                put("user", json!(user));
                put("bot_id", json!(bot));
                let profile = workspace.bot_profile_json(bot);
                put("app_id", profile.as_ref().map_or(Value::Null, |profile| profile["app_id"].clone()));
                put("team", json!(workspace.id));
                put("bot_profile", json!(profile));
            }
            Author::Bot { bot, user: None, username } => {
                put("subtype", json!("bot_message"));
                put("bot_id", json!(bot));
                if let Some(username) = username {
                    put("username", json!(username));
                }
            }
        }
        put("text", json!(self.text));
        put("ts", json!(self.ts));
        if !self.blocks.is_empty() {
            put("blocks", json!(self.blocks));
        }
        if !self.attachments.is_empty() {
            put("attachments", json!(self.attachments));
        }
        if !around.files.is_empty() {
            put("files", json!(around.files));
            put("upload", json!(false));
        }
        if !self.reactions.is_empty() {
            let reactions: Vec<Value> = self
                .reactions
                .iter()
                .map(
                    |reaction| json!({"name": reaction.name, "users": reaction.users, "count": reaction.users.len()}),
                )
                .collect();
            put("reactions", json!(reactions));
        }
        if let Some(at) = &self.edited {
            let by = match &self.author {
                Author::User { user } | Author::Bot { user: Some(user), .. } => user,
                Author::App => &workspace.app.user_id,
                Author::Bot { bot, user: None, .. } => bot,
            };
            put("edited", json!({"user": by, "ts": at}));
        }
        if let Some(thread) = &self.thread_ts {
            put("thread_ts", json!(thread));
            if let Some(parent) = &around.parent_user
                && self.is_reply()
            {
                put("parent_user_id", json!(parent));
            }
        }
        if let Some((_, latest)) = around.replies.last() {
            let mut users: Vec<&String> = Vec::new();
            for (user, _) in &around.replies {
                if !users.contains(&user) {
                    users.push(user);
                }
            }
            put("reply_count", json!(around.replies.len()));
            put("reply_users_count", json!(users.len()));
            put("reply_users", json!(users));
            put("latest_reply", json!(latest));
            put("is_locked", json!(false));
            put("subscribed", json!(true));
        }
        if with_metadata && let Some(metadata) = &self.metadata {
            put("metadata", metadata.clone());
        }
        json
    }

    pub(super) fn author_id(&self, workspace: &Workspace) -> String {
        match &self.author {
            Author::User { user } | Author::Bot { user: Some(user), .. } => user.clone(),
            Author::App => workspace.app.user_id.clone(),
            Author::Bot { bot, user: None, .. } => bot.clone(),
        }
    }
}

/// Slack's clients number their messages with a UUID; here it is made of the message's time.
fn client_message_id(ts: &str) -> String {
    let digits: String = ts.chars().filter(char::is_ascii_digit).collect();
    let padded = format!("{digits:0>32}");
    format!(
        "{}-{}-4{}-8{}-{}",
        &padded[0..8],
        &padded[8..12],
        &padded[13..16],
        &padded[17..20],
        &padded[20..32]
    )
}
