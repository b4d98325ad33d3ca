//! Who is who: the app itself, people, groups and other bots.

use serde_json::{Value, json};

use super::super::api::ApiError;
use super::super::workspace::UserGroup;
use super::{Answer, Call, page};

#[expect(clippy::unnecessary_wraps, reason = "every method in the table has this shape")]
pub(super) fn auth_test(call: &mut Call<'_>) -> Answer {
    let workspace = &call.state.workspace;
    Ok(json!({
        "url": workspace.url(), "team": workspace.name, "team_id": workspace.id, "user": workspace.app.handle,
        "user_id": workspace.app.user_id, "bot_id": workspace.app.bot_id, "is_enterprise_install": false,
    }))
}

pub(super) fn bot_info(call: &mut Call<'_>) -> Answer {
    let id = call.required("bot")?;
    let mut profile =
        call.state.workspace.bot_profile_json(&id).ok_or_else(|| ApiError::new("bot_not_found"))?;
    if profile["app_id"].is_null() {
        // Incoming webhooks of the old kind all belong to one app of Slack's own.
        profile["app_id"] = json!("A0F7XDUAZ");
    }
    Ok(json!({"bot": profile}))
}

pub(super) fn user_info(call: &mut Call<'_>) -> Answer {
    let id = call.required("user")?;
    let workspace = &call.state.workspace;
    if id == workspace.app.user_id {
        return Ok(json!({"user": workspace.app_user_json()}));
    }
    let user = workspace.user(&id).ok_or_else(|| ApiError::new("user_not_found"))?;
    Ok(json!({"user": workspace.user_json(user, call.state.has_scope("users:read.email"))}))
}

pub(super) fn users(call: &mut Call<'_>) -> Answer {
    let with_email = call.state.has_scope("users:read.email");
    let workspace = &call.state.workspace;
    let mut users: Vec<Value> =
        workspace.users.iter().map(|user| workspace.user_json(user, with_email)).collect();
    users.push(workspace.app_user_json());
    let (users, next) = page(users, call.arguments, 200, 1000)?;
    Ok(json!({"members": users, "cache_ts": 1_738_000_000, "response_metadata": {"next_cursor": next}}))
}

pub(super) fn user_by_email(call: &mut Call<'_>) -> Answer {
    let email = call.required("email")?;
    let workspace = &call.state.workspace;
    let user = workspace
        .users
        .iter()
        .find(|user| user.email.eq_ignore_ascii_case(&email))
        .ok_or_else(|| ApiError::new("users_not_found"))?;
    Ok(json!({"user": workspace.user_json(user, true)}))
}

fn group_json(call: &Call<'_>, group: &UserGroup) -> Value {
    let mut json = json!({
        "id": group.id, "team_id": call.state.workspace.id, "is_usergroup": true, "name": group.name,
        "description": "", "handle": group.handle, "is_external": false, "date_create": 1_738_000_000,
        "date_update": 1_738_000_000, "date_delete": 0, "auto_type": null,
        "created_by": group.members.first(), "updated_by": group.members.first(), "deleted_by": null,
        "prefs": {"channels": [], "groups": []}, "user_count": group.members.len(),
    });
    if call.arguments.flag("include_users") {
        json["users"] = json!(group.members);
    }
    json
}

#[expect(clippy::unnecessary_wraps, reason = "every method in the table has this shape")]
pub(super) fn groups(call: &mut Call<'_>) -> Answer {
    let groups: Vec<Value> =
        call.state.workspace.groups.iter().map(|group| group_json(call, group)).collect();
    Ok(json!({"usergroups": groups}))
}

pub(super) fn group_members(call: &mut Call<'_>) -> Answer {
    let id = call.required("usergroup")?;
    let group = call.state.workspace.groups.iter().find(|group| group.id == id);
    let group = group.ok_or_else(|| ApiError::new("no_such_subteam"))?;
    Ok(json!({"users": group.members}))
}
