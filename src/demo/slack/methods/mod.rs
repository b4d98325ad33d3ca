//! The methods of the Web API that this endpoint knows, in one table.
//!
//! Scopes and tiers are those of docs.slack.dev/reference/methods.

mod chat;
mod conversations;
mod files;
mod people;
mod views;

pub(super) use views::{checked_view, replace, show};

use std::sync::Mutex;

use serde_json::Value;

use super::Options;
use super::api::ApiError;
use super::arguments::Arguments;
use super::links::{self, Links};
use super::state::State;

/// One authorised call.
pub(super) struct Call<'a> {
    pub state: &'a mut State,
    pub arguments: &'a Arguments,
    pub public_url: &'a str,
    pub options: &'a Options,
    pub links: &'a Mutex<Links>,
}

impl Call<'_> {
    fn required(&self, key: &str) -> Result<String, ApiError> {
        self.arguments.text(key).ok_or_else(|| {
            ApiError::invalid("invalid_arguments", &[format!("[ERROR] missing required field: {key}")])
        })
    }
}

pub(super) type Answer = Result<Value, ApiError>;

pub(super) struct Method {
    pub name: &'static str,
    /// One of them is needed; the first is named where none is held.
    pub scopes: &'static [&'static str],
    /// Whether a JSON body is looked at: only by methods that write.
    pub takes_json: bool,
    /// The tier's calls a minute.
    pub per_minute: f64,
    pub run: fn(&mut Call<'_>) -> Answer,
}

const TIER_2: f64 = 20.0;
const TIER_3: f64 = 50.0;
const TIER_4: f64 = 100.0;
const SPECIAL: f64 = 600.0;

const fn writes(
    name: &'static str,
    scopes: &'static [&'static str],
    per_minute: f64,
    run: fn(&mut Call<'_>) -> Answer,
) -> Method {
    Method { name, scopes, takes_json: true, per_minute, run }
}

const fn reads(
    name: &'static str,
    scopes: &'static [&'static str],
    per_minute: f64,
    run: fn(&mut Call<'_>) -> Answer,
) -> Method {
    Method { name, scopes, takes_json: false, per_minute, run }
}

/// The one method here that takes the app's token instead of the bot's.
pub(super) const OPEN_LINK: &str = "apps.connections.open";

static METHODS: [Method; 27] = [
    writes(OPEN_LINK, &[], TIER_3, links::open),
    writes("auth.test", &[], SPECIAL, people::auth_test),
    reads("bots.info", &["users:read"], TIER_3, people::bot_info),
    writes("chat.delete", &["chat:write"], TIER_3, chat::delete),
    reads("chat.getPermalink", &[], SPECIAL, chat::permalink),
    writes("chat.postEphemeral", &["chat:write"], TIER_4, chat::post_ephemeral),
    writes("chat.postMessage", &["chat:write"], SPECIAL, chat::post_message),
    writes("chat.update", &["chat:write"], TIER_3, chat::update),
    reads("conversations.history", &["channels:history", "groups:history"], TIER_3, conversations::history),
    reads("conversations.info", &["channels:read", "groups:read"], TIER_3, conversations::info),
    reads("conversations.list", &["channels:read", "groups:read"], TIER_2, conversations::list),
    reads("conversations.members", &["channels:read", "groups:read"], TIER_4, conversations::members),
    reads("conversations.replies", &["channels:history", "groups:history"], TIER_3, conversations::replies),
    writes("files.completeUploadExternal", &["files:write"], TIER_4, files::complete_upload),
    reads("files.getUploadURLExternal", &["files:write"], TIER_4, files::upload_url),
    reads("files.info", &["files:read"], TIER_4, files::info),
    writes("reactions.add", &["reactions:write"], TIER_3, chat::add_reaction),
    writes("reactions.remove", &["reactions:write"], TIER_2, chat::remove_reaction),
    reads("usergroups.list", &["usergroups:read"], TIER_2, people::groups),
    reads("usergroups.users.list", &["usergroups:read"], TIER_2, people::group_members),
    reads("users.info", &["users:read"], TIER_4, people::user_info),
    reads("users.list", &["users:read"], TIER_2, people::users),
    reads("users.lookupByEmail", &["users:read.email"], TIER_3, people::user_by_email),
    writes("views.open", &[], TIER_4, views::open),
    writes("views.publish", &[], TIER_4, views::publish),
    writes("views.push", &[], TIER_4, views::push),
    writes("views.update", &[], TIER_4, views::update),
];

pub(super) fn find(name: &str) -> Option<&'static Method> {
    METHODS.iter().find(|method| method.name == name)
}

/// A page of `items`: those from the cursor on, and the next cursor where more are left.
fn page<T>(
    items: Vec<T>,
    arguments: &Arguments,
    usual: usize,
    max: usize,
) -> Result<(Vec<T>, String), ApiError> {
    let limit = match arguments.number("limit") {
        Some(0) | None => usual,
        Some(limit) => limit.min(max),
    };
    let start = match arguments.text("cursor") {
        None => 0,
        Some(cursor) => cursor
            .strip_prefix("next:")
            .and_then(|offset| offset.parse().ok())
            .filter(|&offset: &usize| offset <= items.len())
            .ok_or_else(|| ApiError::new("invalid_cursor"))?,
    };
    let left = items.len() - start;
    let next = if left > limit { format!("next:{}", start + limit) } else { String::new() };
    Ok((items.into_iter().skip(start).take(limit).collect(), next))
}
