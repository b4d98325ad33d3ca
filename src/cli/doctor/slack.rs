//! Slack: tokens, scopes, the way in, channels, and the clock that signatures hang on.
//!
//! The rule that is not obvious: without any token this is a bot for `POST /alert` alone, which is no
//! mistake. Half of what Slack needs is one.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::Finding;
use crate::config::{Secret, Settings};
use crate::slack::{Slack, SlackError, Standing, scopes};

/// Slack's signatures hold for five minutes on either side; from here on little is left of them.
const SKEW_MAX: SignedDuration = SignedDuration::from_secs(120);

const APP_PAGE: &str = "https://api.slack.com/apps";

pub(super) async fn examine(settings: &Settings) -> Vec<Finding> {
    let mut findings = vec![way_in(settings)];
    findings.extend(signing_secret(settings));
    if settings.slack_bot_token.is_none() {
        if settings.slack_app_token.is_some() || settings.slack_signing_secret.is_some() {
            let where_from = format!("set SLACK_BOT_TOKEN (xoxb-…, 'OAuth & Permissions' at {APP_PAGE})");
            findings.push(Finding::failed("slack token", "there is no bot token to post with", where_from));
        }
        return findings;
    }
    let slack = match Slack::connect(settings.slack_api_url.as_deref(), settings.slack_bot_token.clone()) {
        Ok(slack) => slack,
        Err(error) => {
            let remedy = "the machine's root certificates are needed (package ca-certificates)";
            findings.push(Finding::failed("slack token", error.to_string(), remedy));
            return findings;
        }
    };
    let (token, link) = futures::join!(token(&slack), link(&slack, settings.slack_app_token.as_ref()));
    let usable =
        token.iter().all(|finding| finding.health != super::Health::Failed || finding.check != TOKEN);
    findings.extend(token);
    findings.extend(link);
    if usable {
        // One after another: each is a call of a method with a pace of its own.
        for channel in channels(settings) {
            findings.push(membership(&slack, &channel).await);
        }
        let listed = super::approvers(settings);
        for group in listed.iter().filter(|id| id.starts_with('S')) {
            findings.push(members(&slack, group).await);
        }
        let known = settings.config.people.iter().map(|person| person.slack.as_str());
        let people: BTreeSet<&str> =
            listed.iter().copied().filter(|id| id.starts_with(['U', 'W'])).chain(known).collect();
        for person in people {
            findings.push(standing(person, slack.standing(person).await));
        }
    }
    findings
}

/// How Slack's events, commands and clicks reach the bot.
fn way_in(settings: &Settings) -> Finding {
    const CHECK: &str = "slack way in";
    let remedy = "set SLACK_APP_TOKEN (xapp-…, Socket Mode), or SLACK_SIGNING_SECRET (HTTP)";
    match (&settings.slack_app_token, &settings.slack_signing_secret) {
        (Some(_), Some(_)) => Finding::good(CHECK, "Socket Mode and HTTP"),
        (Some(_), None) => Finding::good(CHECK, "Socket Mode; no public address is needed"),
        (None, Some(_)) => Finding::good(CHECK, "HTTP; Slack must reach this bot at a public HTTPS address"),
        (None, None) if settings.slack_bot_token.is_some() => {
            Finding::failed(CHECK, "the bot can post, and hears nothing", remedy)
        }
        (None, None) => Finding::note(CHECK, "Slack is not set up; alerts come by POST /alert alone", remedy),
    }
}

fn signing_secret(settings: &Settings) -> Option<Finding> {
    const CHECK: &str = "slack signing secret";
    let secret = settings.slack_signing_secret.as_ref()?.read();
    let remedy = format!("copy it from 'Basic Information' → 'App Credentials' at {APP_PAGE}");
    Some(match secret {
        Ok(secret) if secret.starts_with("xox") || secret.starts_with("xapp-") => {
            Finding::failed(CHECK, "SLACK_SIGNING_SECRET holds a token", remedy)
        }
        Ok(secret) if secret.len() < 16 || !secret.chars().all(|c| c.is_ascii_alphanumeric()) => {
            Finding::failed(
                CHECK,
                "SLACK_SIGNING_SECRET does not look like Slack's, 32 letters and digits",
                remedy,
            )
        }
        Ok(_) => {
            Finding::good(CHECK, "present; only a request of Slack's own tells whether it is the right one")
        }
        Err(error) => Finding::failed(CHECK, error.to_string(), remedy),
    })
}

const TOKEN: &str = "slack token";

async fn token(slack: &Slack) -> Vec<Finding> {
    let access = match slack.access().await {
        Ok(access) => access,
        Err(error) => return vec![Finding::failed(TOKEN, error.to_string(), remedy_of(&error))],
    };
    let who = format!("@{} in {} ({})", access.user, access.team, access.workspace_url);
    let mut findings = vec![Finding::good(TOKEN, who)];
    findings.extend(granted(&access.scopes));
    findings.extend(access.date.map(|date| skew(date, Timestamp::now())));
    findings
}

fn granted(scopes: &BTreeSet<String>) -> Vec<Finding> {
    const CHECK: &str = "slack scopes";
    let missing = scopes::missing(scopes);
    let add = format!(
        "add it under 'OAuth & Permissions' → 'Bot Token Scopes' at {APP_PAGE}, then 'Reinstall to Workspace'"
    );
    let mut findings: Vec<Finding> = missing
        .iter()
        .map(|(scope, why)| Finding::failed(CHECK, format!("{scope} is missing, {why}"), add.clone()))
        .collect();
    if missing.is_empty() {
        findings.push(Finding::good(CHECK, format!("all {} are granted", scopes::needed().len())));
    }
    let more = scopes::superfluous(scopes);
    if !more.is_empty() {
        let what = format!("granted and not needed: {}", more.join(", "));
        findings.push(Finding::note(CHECK, what, "take them away, and the token can do less harm"));
    }
    findings
}

/// How far this machine's clock is from Slack's.
fn skew(slack: Timestamp, here: Timestamp) -> Finding {
    const CHECK: &str = "clock";
    let skew = here.duration_since(slack);
    let seconds = skew.as_secs();
    if skew.abs() > SKEW_MAX {
        let what = format!("{seconds:+} s from Slack's; signatures hold for 300 s");
        Finding::failed(CHECK, what, "let the machine keep its time (chrony, systemd-timesyncd)")
    } else {
        Finding::good(CHECK, format!("{seconds:+} s from Slack's"))
    }
}

async fn link(slack: &Slack, app_token: Option<&Secret>) -> Option<Finding> {
    const CHECK: &str = "slack socket mode";
    Some(match slack.open_link(app_token?).await {
        Ok(_) => Finding::good(CHECK, "Slack gives connections"),
        Err(error) => {
            let remedy = match error.code() {
                Some("not_allowed_token_type" | "invalid_auth" | "missing_scope") => format!(
                    "SLACK_APP_TOKEN is an app-level token (xapp-…) with {}: 'Basic Information' → 'App-Level Tokens' at {APP_PAGE}",
                    scopes::APP_SCOPE
                ),
                Some(_) => format!("switch Socket Mode on under 'Socket Mode' at {APP_PAGE}"),
                None => remedy_of(&error),
            };
            Finding::failed(CHECK, error.to_string(), remedy)
        }
    })
}

/// Every channel that the settings name, once.
fn channels(settings: &Settings) -> BTreeSet<String> {
    let config = &settings.config;
    let own = config.services.iter().filter_map(|service| service.channel.clone());
    config
        .slack
        .alert_channels
        .iter()
        .cloned()
        .chain(config.slack.default_channel.clone())
        .chain(own)
        .collect()
}

async fn membership(slack: &Slack, channel: &str) -> Finding {
    const CHECK: &str = "slack channel";
    match slack.can_read(channel).await {
        Ok(()) => Finding::good(CHECK, format!("{channel}: the bot is in it")),
        Err(error) => {
            let remedy = match error.code() {
                Some("not_in_channel") => "invite it there: /invite @ and its name".to_owned(),
                Some("channel_not_found") => {
                    "it is private and the bot is not in it (/invite it there), or the id is wrong".to_owned()
                }
                _ => remedy_of(&error),
            };
            Finding::failed(CHECK, format!("{channel}: {error}"), remedy)
        }
    }
}

async fn members(slack: &Slack, group: &str) -> Finding {
    const CHECK: &str = "slack approvers";
    match slack.group_members(group).await {
        Ok(members) if members.is_empty() => Finding::failed(
            CHECK,
            format!("{group} has no members"),
            "nobody in it can approve: add people to the group",
        ),
        Ok(members) => Finding::good(CHECK, format!("{group}: {} people", members.len())),
        Err(error) => Finding::failed(CHECK, format!("{group}: {error}"), remedy_of(&error)),
    }
}

/// Whether somebody whom the settings name by their own id can press a button at all.
fn standing(id: &str, found: Result<Standing, SlackError>) -> Finding {
    const CHECK: &str = "slack people";
    let another = "name somebody else in the configuration";
    match found {
        Ok(Standing { name, deactivated: true, .. }) => {
            Finding::failed(CHECK, format!("{id}: @{name} is deactivated, and can press nothing"), another)
        }
        Ok(Standing { name, is_bot: true, .. }) => {
            Finding::failed(CHECK, format!("{id}: @{name} is a bot, and presses nothing"), another)
        }
        Ok(Standing { name, .. }) => Finding::good(CHECK, format!("{id}: @{name}")),
        Err(error) => Finding::failed(CHECK, format!("{id}: {error}"), remedy_of(&error)),
    }
}

fn remedy_of(error: &SlackError) -> String {
    match error.code() {
        Some("invalid_auth" | "not_authed" | "token_revoked" | "token_expired" | "account_inactive") => {
            format!(
                "install the app anew and set SLACK_BOT_TOKEN (xoxb-…, 'OAuth & Permissions' at {APP_PAGE})"
            )
        }
        Some("not_allowed_token_type") => "SLACK_BOT_TOKEN is the one that begins with xoxb-".to_owned(),
        Some("missing_scope") => format!("see the line about scopes; they are granted at {APP_PAGE}"),
        Some("user_not_found" | "user_not_visible") => {
            "a user's id stands in their profile, under '⋮' → 'Copy member ID'".to_owned()
        }
        Some("no_such_subteam") => {
            "the group's id begins with S; see 'People & user groups' in Slack".to_owned()
        }
        Some(_) => "Slack's word for it is explained at https://docs.slack.dev/reference/methods".to_owned(),
        None => {
            "is the network open to Slack (port 443), and SLACK_API_URL right where it is set?".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::Health;

    #[test]
    fn a_clock_that_goes_wrong_fails_before_signatures_do() {
        let noon: Timestamp = "2026-02-06T12:00:00Z".parse().unwrap();
        let off = |seconds| skew(noon, noon + SignedDuration::from_secs(seconds)).health;
        assert_eq!(
            [off(0), off(-100), off(150), off(-299)],
            [Health::Good, Health::Good, Health::Failed, Health::Failed]
        );
    }

    #[test]
    fn who_signs_in_no_more_and_what_is_no_person_cannot_approve() {
        let person = Standing { name: "alex".to_owned(), ..Standing::default() };
        assert_eq!(standing("U1", Ok(person.clone())).to_string(), "ok    slack people: U1: @alex");
        let gone = standing("U1", Ok(Standing { deactivated: true, ..person.clone() }));
        let bot = standing("U1", Ok(Standing { is_bot: true, ..person }));
        assert_eq!([gone.health, bot.health], [Health::Failed; 2]);
        assert!(gone.what.contains("deactivated") && bot.what.contains("is a bot"), "{gone} {bot}");
    }

    #[test]
    fn every_missing_scope_is_a_line_of_its_own() {
        let findings = granted(&["chat:write".to_owned()].into());
        assert_eq!(findings.len(), scopes::needed().len() - 1);
        assert!(findings.iter().all(|finding| finding.health == Health::Failed));
    }
}
