//! `doctor` says what is missing and where to add it.

use incident_commander::cli::doctor::{Finding, Health, examine};
use incident_commander::config::{Secret, Settings};
use incident_commander::demo::slack::workspace::id;
use incident_commander::demo::slack::{Options, SlackWorld};
use incident_commander::slack::scopes;
use tokio::net::TcpListener;

use crate::house::settings;

/// A workspace in which everything is as it should be, and settings that fit it.
async fn healthy(folder: &std::path::Path) -> (SlackWorld, Settings) {
    let needed = scopes::needed().into_keys().map(str::to_owned).collect();
    let slack = SlackWorld::new(Options { scopes: needed, ..Options::default() });
    slack.use_socket_mode();
    let api = slack.serve(TcpListener::bind("127.0.0.1:0").await.unwrap()).unwrap();
    let mut settings = settings(folder);
    settings.slack_signing_secret = Some(Secret::Value("8f742231b10e8888abcd99yyyzzz85a5".into()));
    settings.slack_bot_token = Some(Secret::Value("xoxb-demo".into()));
    settings.slack_app_token = Some(Secret::Value("xapp-demo".into()));
    settings.slack_api_url = Some(api);
    settings.config.slack.alert_channels = vec![id::ALERTS.into()];
    settings.config.approvals.approvers = vec![id::APPROVERS.into()];
    (slack, settings)
}

async fn slack_findings(settings: &Settings) -> Vec<Finding> {
    let all = examine(settings).await.into_iter();
    all.filter(|finding| !["aws", "region"].iter().any(|other| finding.check.starts_with(other))).collect()
}

/// The one finding that failed.
async fn failure(settings: &Settings) -> Finding {
    let failed: Vec<Finding> = slack_findings(settings)
        .await
        .into_iter()
        .filter(|finding| finding.health == Health::Failed)
        .collect();
    assert_eq!(failed.len(), 1, "{failed:#?}");
    failed.into_iter().next().unwrap()
}

#[tokio::test]
async fn where_nothing_is_missing_nothing_fails() {
    let folder = tempfile::tempdir().unwrap();
    let (_slack, settings) = healthy(folder.path()).await;
    let findings = slack_findings(&settings).await;
    assert!(findings.iter().all(|finding| finding.health == Health::Good), "{findings:#?}");
    for check in
        ["slack token", "slack scopes", "slack socket mode", "slack channel", "slack approvers", "clock"]
    {
        assert!(findings.iter().any(|finding| finding.check == check), "{check}: {findings:#?}");
    }
}

#[tokio::test]
async fn a_missing_scope_is_named_with_the_place_to_add_it() {
    let folder = tempfile::tempdir().unwrap();
    let (slack, settings) = healthy(folder.path()).await;
    let scopes: Vec<&str> = scopes::needed().into_keys().filter(|scope| *scope != "files:write").collect();
    slack.set_scopes(&scopes);
    let line = failure(&settings).await.to_string();
    assert!(line.contains("files:write") && line.contains("OAuth & Permissions"), "{line}");
}

#[tokio::test]
async fn a_channel_without_the_bot_asks_for_an_invitation() {
    let folder = tempfile::tempdir().unwrap();
    let (slack, settings) = healthy(folder.path()).await;
    slack.set_membership(id::ALERTS, false);
    let line = failure(&settings).await.to_string();
    assert!(line.contains(id::ALERTS) && line.contains("/invite"), "{line}");
}

#[tokio::test]
async fn tokens_that_were_mixed_up_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let (_slack, mut settings) = healthy(folder.path()).await;
    settings.slack_app_token = Some(Secret::Value("xoxb-demo".into()));
    let line = failure(&settings).await.to_string();
    assert!(line.contains("xapp-") && line.contains("connections:write"), "{line}");
    settings.slack_app_token = Some(Secret::Value("xapp-demo".into()));
    settings.slack_bot_token = Some(Secret::Value("xapp-demo".into()));
    let line = failure(&settings).await.to_string();
    assert!(line.contains("slack token") && line.contains("xoxb-"), "{line}");
}

#[tokio::test]
async fn a_slack_that_cannot_be_reached_is_one_line_about_the_network() {
    let folder = tempfile::tempdir().unwrap();
    let (_slack, mut settings) = healthy(folder.path()).await;
    settings.slack_api_url = Some("http://127.0.0.1:9/api".into());
    settings.slack_app_token = None;
    let line = failure(&settings).await.to_string();
    assert!(line.contains("slack token") && line.contains("network"), "{line}");
}

#[tokio::test]
async fn half_of_what_slack_needs_fails_and_none_of_it_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let (_slack, mut settings) = healthy(folder.path()).await;
    settings.slack_app_token = None;
    settings.slack_signing_secret = None;
    assert_eq!(failure(&settings).await.check, "slack way in");
    settings.slack_bot_token = None;
    let findings = slack_findings(&settings).await;
    assert!(findings.iter().all(|finding| finding.health != Health::Failed), "{findings:#?}");
}
