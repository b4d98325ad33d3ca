//! `doctor` says what is missing and where to add it.

use std::collections::BTreeSet;
use std::time::Duration;

use incident_commander::app;
use incident_commander::aws::{Clients, permissions};
use incident_commander::cli::doctor::aws::policy;
use incident_commander::cli::doctor::{Finding, Health, examine};
use incident_commander::config::{AwsKey, Secret, Settings, Unused};
use incident_commander::demo::aws::Fault;
use incident_commander::demo::slack::workspace::id;
use incident_commander::demo::slack::{Options, SlackWorld};
use incident_commander::slack::scopes;
use incident_commander::store::Store;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::aws_account::{Account, GROUP, at};
use crate::deploy::granted;
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
    settings.config.approvals.approvers = vec![id::APPROVERS.into(), id::APPROVER.into()];
    (slack, settings)
}

async fn slack_findings(settings: &Settings) -> Vec<Finding> {
    let all = examine(settings, None).await.into_iter();
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
    for check in [
        "slack token",
        "slack scopes",
        "slack socket mode",
        "slack channel",
        "slack approvers",
        "slack people",
        "clock",
        "database",
    ] {
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

#[tokio::test]
async fn an_approver_who_does_not_exist_is_a_bot_or_has_no_id_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (_slack, mut settings) = healthy(folder.path()).await;
    for (listed, check, said) in [
        ("U0NOBODY", "slack people", "Copy member ID"),
        (id::APP_USER, "slack people", "is a bot"),
        ("@alex", "approvers", "no id"),
    ] {
        settings.config.approvals.approvers = vec![listed.into()];
        let finding = failure(&settings).await;
        let line = finding.to_string();
        assert_eq!(finding.check, check, "{line}");
        assert!(line.contains(listed) && line.contains(said), "{line}");
    }
    settings.config.approvals.approvers = vec![id::APPROVER.into()];
    settings.config.people =
        vec![incident_commander::config::Person { slack: "U0NOBODY".into(), aws: Vec::new() }];
    assert!(failure(&settings).await.to_string().contains("U0NOBODY"), "whoever is who in AWS is one too");
}

#[tokio::test]
async fn an_arn_that_is_none_fails_before_serve_starts() {
    let folder = tempfile::tempdir().unwrap();
    let (_slack, healthy) = healthy(folder.path()).await;
    let told = |settings: Settings| async move { failure(&settings).await.to_string() };
    let mut settings = healthy.clone();
    settings.config.aws.write_role_arn = Some("not-an-arn".to_owned());
    let line = told(settings).await;
    assert!(line.contains("[aws] write_role_arn") && line.contains("arn:aws:iam::"), "{line}");
    let mut settings = healthy.clone();
    settings.config.aws.topics = vec!["nonsense".to_owned()];
    let line = told(settings).await;
    assert!(line.contains("[aws] topics") && line.contains("arn:aws:sns:"), "{line}");
    let mut settings = healthy;
    settings.config.services = vec![incident_commander::config::Service {
        name: "payments".to_owned(),
        read_role_arn: Some("payments-read".to_owned()),
        ..Default::default()
    }];
    let line = told(settings).await;
    assert!(line.contains("read_role_arn of the service \"payments\""), "{line}");
}

#[tokio::test]
async fn a_database_of_a_newer_version_fails_and_one_of_an_older_is_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let (_slack, settings) = healthy(folder.path()).await;
    Store::open(&settings.database_url).await.unwrap().close().await;
    let of_database = || async {
        let all = slack_findings(&settings).await.into_iter();
        all.filter(|finding| finding.check == "database")
            .map(|finding| finding.to_string())
            .collect::<String>()
    };
    assert!(of_database().await.starts_with("ok"), "{}", of_database().await);
    let database = sqlx::SqlitePool::connect(&settings.database_url).await.unwrap();
    let newest = "(SELECT max(version) FROM _sqlx_migrations)";
    for (change, begins, says) in [
        (format!("UPDATE _sqlx_migrations SET version = 9999 WHERE version = {newest}"), "fail", "newer"),
        (format!("DELETE FROM _sqlx_migrations WHERE version = {newest}"), "note", "backup"),
    ] {
        sqlx::query(sqlx::AssertSqlSafe(change)).execute(&database).await.unwrap();
        let line = of_database().await;
        assert!(line.starts_with(begins) && line.contains(says), "{line}");
    }
}

#[tokio::test]
async fn a_database_that_cannot_be_made_fails_and_looking_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let (_slack, mut settings) = healthy(folder.path()).await;
    let at = |path: &str| format!("sqlite://{}", folder.path().join(path).display());
    std::fs::write(folder.path().join("a-file"), "").unwrap();
    settings.database_url = at("a-file/bot.db");
    let line = failure(&settings).await.to_string();
    assert!(line.contains("cannot be made") && line.contains("DATABASE_URL"), "{line}");
    settings.database_url = at("later/and/deeper/bot.db");
    let findings = slack_findings(&settings).await;
    assert!(findings.iter().all(|finding| finding.health == Health::Good), "{findings:#?}");
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(left, [folder.path().join("a-file")]);
}

/// Settings that reach an account in which a function, its log group and an ECS service are `checkout`'s.
async fn in_aws(folder: &std::path::Path) -> (Account, Settings) {
    let account = Account::open().await;
    account.deploy_checkout();
    account.world.put_log(GROUP, "s", at("12:00:00"), "hello".to_owned());
    let mut settings = settings(folder);
    settings.aws_endpoint_url = Some(account.url.clone());
    settings.aws_credentials = Some(AwsKey { id: account.access_key.clone(), secret: "any".to_owned() });
    settings.config.aws.region = Some("us-east-1".to_owned());
    (account, settings)
}

fn lines(findings: &[Finding]) -> Vec<String> {
    findings.iter().filter(|finding| finding.check.starts_with("aws")).map(Finding::to_string).collect()
}

#[tokio::test]
async fn what_is_found_of_a_service_is_shown_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let (_account, settings) = in_aws(folder.path()).await;
    let told = lines(&examine(&settings, Some("checkout")).await);
    let policy: Value = serde_json::from_str(include_str!("../../deploy/iam-read.json")).unwrap();
    let reads = policy["Statement"][0]["Action"].as_array().unwrap().len();
    for expected in [
        "aws account: arn:aws:iam::123456789012:user/commander in 123456789012 (us-east-1)",
        &format!("aws permissions: all {reads} reads are allowed"),
        "aws service: function checkout: a function of the service's name",
        "aws service: log group /aws/lambda/checkout: where Lambda writes the function's lines",
    ] {
        assert!(told.iter().any(|line| line.ends_with(expected)), "{expected}: {told:#?}");
    }
    let told = lines(&examine(&settings, Some("nobody")).await);
    assert!(told.iter().any(|line| line.contains("nothing of nobody was found")), "{told:#?}");
}

#[tokio::test]
async fn each_read_of_the_policy_is_tried_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let (_account, settings) = in_aws(folder.path()).await;
    let clients = Clients::connect(&app::aws_settings(&settings)).await.unwrap();
    let deadline = Instant::now() + Duration::from_mins(1);
    let tried = permissions::try_all(&clients, at("12:00:00"), deadline).await;
    let tried: BTreeSet<String> = tried.iter().map(|one| one.action.to_owned()).collect();
    assert_eq!(tried, granted("iam-read.json"));
}

#[tokio::test]
async fn the_policy_names_what_is_switched_on_and_the_rest_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let (account, mut settings) = in_aws(folder.path()).await;
    let whole = policy(&settings).await.unwrap();
    let shipped: Value = serde_json::from_str(include_str!("../../deploy/iam-read.json")).unwrap();
    assert_eq!(whole, shipped, "`doctor --policy` prints what is shipped");
    settings.config.aws.without = vec![Unused::Appconfig, Unused::Codedeploy];
    let actions = policy(&settings).await.unwrap()["Statement"][0]["Action"].to_string();
    for gone in ["appconfig:", "codedeploy:"] {
        assert!(!actions.contains(gone) && whole.to_string().contains(gone), "{actions}");
    }
    assert!(actions.contains("ssm:DescribeParameters"), "{actions}");
    let told = lines(&examine(&settings, None).await);
    assert!(told.iter().any(|line| line.contains("reads are allowed")), "{told:#?}");
    assert_eq!(account.world.calls("appconfig:ListApplications"), 0);
    assert_eq!(account.world.calls("codedeploy:ListDeployments"), 0);
}

#[tokio::test]
async fn a_denied_read_is_a_note_with_the_statement_that_allows_it() {
    let folder = tempfile::tempdir().unwrap();
    let (account, settings) = in_aws(folder.path()).await;
    let action = "ecs:DescribeServices";
    account.world.rate_fault(action, 1.0, Fault::access_denied(action));
    let told = lines(&examine(&settings, None).await);
    assert_eq!(told.len(), 2, "{told:#?}");
    let statement = r#"{"Effect": "Allow", "Action": "ecs:DescribeServices", "Resource": "*"}"#;
    assert!(told[1].starts_with("note") && told[1].contains(statement), "{told:#?}");
}

#[tokio::test]
async fn each_place_where_a_service_runs_is_looked_at_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let (account, mut settings) = in_aws(folder.path()).await;
    let reads = account.world.add_role("payments-read", &["*"]).replace("123456789012", "222222222222");
    let service = |name: &str, role: &str| incident_commander::config::Service {
        name: name.to_owned(),
        region: Some("eu-central-1".to_owned()),
        read_role_arn: Some(role.to_owned()),
        ..Default::default()
    };
    settings.config.services = vec![service("payments", &reads), service("refunds", &reads)];
    let told = lines(&examine(&settings, None).await);
    let expected = "arn:aws:sts::222222222222:assumed-role/payments-read/incident-commander in 222222222222 \
                    (eu-central-1) for payments, refunds";
    assert!(told.iter().any(|line| line.ends_with(expected)), "{told:#?}");
    assert!(
        told.iter().any(|line| line.contains("reads are allowed in eu-central-1 for payments")),
        "{told:#?}"
    );
    settings.config.services = vec![service("payments", "arn:aws:iam::222222222222:role/nobody-made-this")];
    let told = lines(&examine(&settings, None).await);
    assert!(told.iter().any(|line| line.starts_with("fail") && line.contains("sts:AssumeRole")), "{told:#?}");
}

#[tokio::test]
async fn the_writing_role_is_assumed_and_one_that_cannot_be_fails() {
    let folder = tempfile::tempdir().unwrap();
    let (account, mut settings) = in_aws(folder.path()).await;
    settings.config.approvals.approvers = vec![id::APPROVER.into()];
    let mut told_of = async |role: Option<String>| {
        settings.config.aws.write_role_arn = role;
        let told = lines(&examine(&settings, None).await).into_iter();
        told.filter(|line| line.contains("aws writing role")).collect::<String>()
    };
    let role = account.world.add_role("commander-write", &["lambda:UpdateAlias"]);
    let line = told_of(Some(role.clone())).await;
    assert!(
        line.starts_with("ok") && line.contains("assumed-role/commander-write/incident-commander"),
        "{line}"
    );
    let line = told_of(Some(role.replace("commander-write", "comander-write"))).await;
    assert!(line.starts_with("fail") && line.contains("sts:AssumeRole"), "{line}");
    let line = told_of(Some(role.replace("123456789012", "222222222222"))).await;
    assert!(line.starts_with("fail") && line.contains("services are read in 123456789012"), "{line}");
    let line = told_of(None).await;
    assert!(line.starts_with("note") && line.contains("deploy/iam-write.json"), "{line}");
    assert!(account.world.mutations().is_empty(), "nothing is changed by looking");
}

#[tokio::test]
async fn without_credentials_that_aws_knows_it_fails() {
    let folder = tempfile::tempdir().unwrap();
    let (_account, mut settings) = in_aws(folder.path()).await;
    settings.aws_credentials = Some(AwsKey { id: "AKIANOBODY".to_owned(), secret: "any".to_owned() });
    let told = lines(&examine(&settings, None).await);
    assert!(told.len() == 1 && told[0].starts_with("fail") && told[0].contains("AWS_PROFILE"), "{told:#?}");
}
