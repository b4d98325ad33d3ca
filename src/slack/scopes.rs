//! Which scope each call needs, and each event: what the app's manifest asks for and `doctor` looks at.
//!
//! The rule that is not obvious: this table is all that a team grants. A call that is not in it fails a
//! test, and so does a scope in `deploy/slack-manifest.yaml` that no row here needs.

use std::collections::{BTreeMap, BTreeSet};

/// A method of the Web API that the bot calls, the scopes of the bot token that it needs, and what for.
/// Source: docs.slack.dev/reference/methods.
///
/// Messages are found again by their metadata: `include_all_metadata` of `conversations.history` gives it back under the
/// scopes for history alone. `metadata.message:read` is for triggers and events about metadata
/// (docs.slack.dev/reference/scopes/metadata.message.read), which are not subscribed to.
pub const METHODS: &[(&str, &[&str], &str)] = &[
    ("auth.test", &[], "to know its own messages"),
    ("chat.postEphemeral", &["chat:write"], "to answer one person"),
    ("chat.postMessage", &["chat:write"], "to post verdicts"),
    ("chat.update", &["chat:write"], "to keep the headline up to date"),
    (
        "conversations.history",
        HISTORY,
        "to find a message whose outcome is not known, and to see whether it was invited",
    ),
    ("conversations.replies", HISTORY, "to read the alert that a thread is about"),
    ("files.completeUploadExternal", &["files:write"], "to show charts"),
    ("files.getUploadURLExternal", &["files:write"], "to show charts"),
    ("usergroups.users.list", &["usergroups:read"], "to know who is in a group of approvers"),
    (
        "users.info",
        &["users:read", "users:read.email"],
        "to read times on people's clocks, and to know who made a change",
    ),
    ("views.open", &[], "to open forms"),
    ("views.publish", &[], "to show App Home"),
];

const HISTORY: &[&str] = &["channels:history", "groups:history"];

/// The one method that takes the app's token: `connections:write` is granted to that, not to the bot.
pub const OPEN_LINK: &str = "apps.connections.open";
pub const APP_SCOPE: &str = "connections:write";

/// An event that is subscribed to, the scopes that it needs, and what for.
/// Source: docs.slack.dev/reference/events.
pub const EVENTS: &[(&str, &[&str], &str)] = &[
    ("app_home_opened", &[], "to show App Home when it is opened"),
    ("app_mention", &["app_mentions:read"], "to hear mentions"),
    ("message.channels", &["channels:history"], "to hear alerts in public channels"),
    ("message.groups", &["groups:history"], "to hear alerts in private channels"),
];

/// What the app offers besides, and the scope for it.
pub const FEATURES: &[(&str, &[&str], &str)] =
    &[("/investigate", &["commands"], "for the slash command and the message shortcut")];

/// Every scope of the bot token, with what it is needed for.
pub fn needed() -> BTreeMap<&'static str, Vec<&'static str>> {
    let mut needed: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (_, scopes, what_for) in METHODS.iter().chain(EVENTS).chain(FEATURES) {
        for scope in *scopes {
            let reasons = needed.entry(scope).or_default();
            if !reasons.contains(what_for) {
                reasons.push(what_for);
            }
        }
    }
    needed
}

/// The scopes that are needed and not granted, each with what it is for.
pub fn missing(granted: &BTreeSet<String>) -> Vec<(&'static str, String)> {
    needed()
        .into_iter()
        .filter(|(scope, _)| !granted.contains(*scope))
        .map(|(scope, reasons)| (scope, reasons.join(", ")))
        .collect()
}

/// The scopes that are granted and that nothing needs.
pub fn superfluous(granted: &BTreeSet<String>) -> Vec<String> {
    let needed = needed();
    granted.iter().filter(|scope| !needed.contains_key(scope.as_str())).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_scope_says_what_it_is_for() {
        let mut granted: BTreeSet<String> = needed().into_keys().map(str::to_owned).collect();
        assert_eq!(missing(&granted), []);
        granted.remove("usergroups:read");
        granted.insert("chat:write.public".into());
        assert_eq!(missing(&granted), [("usergroups:read", "to know who is in a group of approvers".into())]);
        assert_eq!(superfluous(&granted), ["chat:write.public"]);
    }
}
