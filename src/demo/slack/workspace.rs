//! Who and what is in the workspace: people, groups, channels, and the apps that post into it.
//!
//! The rule that is not obvious: the bot under test has no privileges here. It is one app with a
//! token and scopes, a member only of the channels it was invited to.

use serde::Serialize;
use serde_json::{Value, json};

/// What somebody may do in the stories that the demo tells; Slack itself knows no such roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    OnCall,
    Approver,
    /// Made the change that a story is about, and so cannot approve undoing it.
    Developer,
    Stranger,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct User {
    pub id: String,
    /// The handle, as in `@mira`.
    pub name: String,
    pub display_name: String,
    pub email: String,
    /// An IANA time zone with its offset in seconds.
    pub time_zone: (String, i32),
    pub role: Role,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UserGroup {
    pub id: String,
    pub handle: String,
    pub name: String,
    pub members: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Channel {
    pub id: String,
    pub name: String,
    pub private: bool,
    pub archived: bool,
    /// Whether the app was invited: without it nothing is heard and nothing can be posted.
    pub app_is_member: bool,
}

/// How another tool's messages arrive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BotStyle {
    /// An incoming webhook of the old kind: `subtype: bot_message`, a user name, no user.
    Webhook,
    /// An app with a bot user: no subtype, `user`, `bot_id`, `bot_profile`.
    App { app: String, user: String },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Bot {
    pub id: String,
    pub name: String,
    pub style: BotStyle,
}

/// The app under test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct App {
    pub id: String,
    pub bot_id: String,
    pub user_id: String,
    /// The bot user's handle.
    pub handle: String,
    pub name: String,
    /// Slash commands as its manifest declares them.
    pub commands: Vec<String>,
    /// Message shortcuts: callback id and what the menu says.
    pub shortcuts: Vec<(String, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Workspace {
    pub id: String,
    pub name: String,
    pub domain: String,
    pub users: Vec<User>,
    pub groups: Vec<UserGroup>,
    pub channels: Vec<Channel>,
    pub bots: Vec<Bot>,
    pub app: App,
}

/// Ids of [`Workspace::demo`], for drivers, configuration and tests.
pub mod id {
    pub const TEAM: &str = "T0DEMOTEAM";
    pub const ON_CALL: &str = "U0MIRAONCALL";
    pub const APPROVER: &str = "U0ALEXAPPROV";
    pub const DEVELOPER: &str = "U0DANADEVELO";
    pub const STRANGER: &str = "U0SAMSTRANGE";
    pub const APPROVERS: &str = "S0APPROVERS";
    pub const ALERTS: &str = "C0INCIDENTS1";
    pub const CHECKOUT: &str = "C0CHECKOUT01";
    pub const APP: &str = "A0COMMANDER1";
    pub const APP_BOT: &str = "B0COMMANDER1";
    pub const APP_USER: &str = "U0COMMANDER1";
    /// Posts as an app with a bot user.
    pub const CLOUDWATCH: &str = "B0CLOUDWATCH";
    /// Posts through an old incoming webhook.
    pub const ALERTMANAGER: &str = "B0ALERTMANAG";
}

impl Workspace {
    /// A small shop's workspace: four people, two channels, two alerting tools.
    pub fn demo() -> Self {
        let user = |id: &str, name: &str, display_name: &str, zone: (&str, i32), role| User {
            id: id.into(),
            name: name.into(),
            display_name: display_name.into(),
            email: format!("{name}@shop.example"),
            time_zone: (zone.0.into(), zone.1),
            role,
        };
        let channel = |id: &str, name: &str| Channel {
            id: id.into(),
            name: name.into(),
            private: false,
            archived: false,
            app_is_member: true,
        };
        Self {
            id: id::TEAM.into(),
            name: "Shop".into(),
            domain: "shop".into(),
            users: vec![
                user(id::ON_CALL, "mira", "Mira Okafor", ("Europe/Berlin", 3600), Role::OnCall),
                user(id::APPROVER, "alex", "Alex Lindqvist", ("Europe/Stockholm", 3600), Role::Approver),
                user(id::DEVELOPER, "dana", "Dana Reyes", ("America/New_York", -18_000), Role::Developer),
                user(id::STRANGER, "sam", "Sam Iwata", ("Asia/Tokyo", 32_400), Role::Stranger),
            ],
            groups: vec![UserGroup {
                id: id::APPROVERS.into(),
                handle: "checkout-approvers".into(),
                name: "Checkout approvers".into(),
                members: vec![id::APPROVER.into()],
            }],
            channels: vec![channel(id::ALERTS, "incidents"), channel(id::CHECKOUT, "team-checkout")],
            bots: vec![
                Bot {
                    id: id::CLOUDWATCH.into(),
                    name: "Amazon Q Developer".into(),
                    style: BotStyle::App { app: "A0AMAZONQ001".into(), user: "U0AMAZONQ001".into() },
                },
                Bot { id: id::ALERTMANAGER.into(), name: "Alertmanager".into(), style: BotStyle::Webhook },
            ],
            app: App {
                id: id::APP.into(),
                bot_id: id::APP_BOT.into(),
                user_id: id::APP_USER.into(),
                handle: "commander".into(),
                name: "Incident Commander".into(),
                commands: vec!["/investigate".into()],
                shortcuts: vec![("investigate_this".into(), "Investigate this".into())],
            },
        }
    }

    pub fn user(&self, id: &str) -> Option<&User> {
        self.users.iter().find(|user| user.id == id)
    }

    pub fn channel(&self, id_or_name: &str) -> Option<&Channel> {
        let name = id_or_name.strip_prefix('#').unwrap_or(id_or_name);
        self.channels.iter().find(|channel| channel.id == id_or_name || channel.name == name)
    }

    pub fn bot(&self, id: &str) -> Option<&Bot> {
        self.bots.iter().find(|bot| bot.id == id)
    }

    pub fn url(&self) -> String {
        format!("https://{}.slack.com/", self.domain)
    }

    /// A user as `users.info` tells of one; the address only for who may read addresses.
    pub(super) fn user_json(&self, user: &User, with_email: bool) -> Value {
        let mut profile = json!({
            "real_name": user.display_name, "real_name_normalized": user.display_name,
            "display_name": user.name, "display_name_normalized": user.name,
            "avatar_hash": "g000000", "status_text": "", "status_emoji": "", "title": "", "phone": "",
            "team": self.id,
        });
        if with_email {
            profile["email"] = json!(user.email);
        }
        json!({
            "id": user.id, "team_id": self.id, "name": user.name, "deleted": false, "color": "4bbe2e",
            "real_name": user.display_name, "tz": user.time_zone.0, "tz_label": user.time_zone.0,
            "tz_offset": user.time_zone.1, "profile": profile, "is_admin": false, "is_owner": false,
            "is_primary_owner": false, "is_restricted": false, "is_ultra_restricted": false,
            "is_bot": false, "is_app_user": false, "updated": 1_738_000_000,
        })
    }

    pub(super) fn app_user_json(&self) -> Value {
        json!({
            "id": self.app.user_id, "team_id": self.id, "name": self.app.handle, "deleted": false,
            "real_name": self.app.name, "tz": "America/Los_Angeles", "tz_offset": -28_800,
            "profile": {"real_name": self.app.name, "display_name": "", "bot_id": self.app.bot_id,
                "api_app_id": self.app.id, "team": self.id},
            "is_bot": true, "is_app_user": false, "updated": 1_738_000_000,
        })
    }

    pub(super) fn channel_json(&self, channel: &Channel) -> Value {
        json!({
            "id": channel.id, "name": channel.name, "name_normalized": channel.name,
            "created": 1_738_000_000, "creator": self.users.first().map(|user| &user.id),
            "is_channel": !channel.private, "is_group": channel.private, "is_im": false, "is_mpim": false,
            "is_private": channel.private, "is_archived": channel.archived, "is_general": false,
            "is_shared": false, "is_ext_shared": false, "is_org_shared": false,
            "is_member": channel.app_is_member, "num_members": self.users.len(),
            "topic": {"value": "", "creator": "", "last_set": 0},
            "purpose": {"value": "", "creator": "", "last_set": 0}, "previous_names": [],
        })
    }

    pub(super) fn bot_profile_json(&self, bot_id: &str) -> Option<Value> {
        let (name, app) = if bot_id == self.app.bot_id {
            (&self.app.name, Some(&self.app.id))
        } else {
            let bot = self.bot(bot_id)?;
            let app = match &bot.style {
                BotStyle::App { app, .. } => Some(app),
                BotStyle::Webhook => None,
            };
            (&bot.name, app)
        };
        Some(json!({
            "id": bot_id, "app_id": app, "name": name, "deleted": false, "updated": 1_738_000_000,
            "team_id": self.id, "icons": {"image_36": "https://a.slack-edge.com/bot_36.png",
                "image_48": "https://a.slack-edge.com/bot_48.png", "image_72": "https://a.slack-edge.com/bot_72.png"},
        }))
    }
}
