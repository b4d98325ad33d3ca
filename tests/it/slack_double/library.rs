//! The bot's own client library reads every answer and every event of the endpoint.

use slack_morphism::prelude as api;
use slack_morphism::prelude::{SlackClient, SlackClientHyperConnector};

use super::*;

#[tokio::test]
async fn the_client_library_reads_every_answer() {
    let world = SlackWorld::new(Options {
        pace: Pace::unlimited(),
        scopes: ["chat:write", "channels:history", "channels:read", "users:read", "users:read.email"]
            .into_iter()
            .chain(["usergroups:read", "files:write", "files:read", "reactions:write"])
            .map(str::to_owned)
            .collect(),
        ..Options::default()
    });
    let url = world.serve(TcpListener::bind("127.0.0.1:0").await.unwrap()).unwrap();
    let connector = hyper_util::client::legacy::connect::HttpConnector::new();
    let connector = SlackClientHyperConnector::with_connector(connector).with_slack_api_url(&url);
    let (client, token) = (SlackClient::new(connector), api::SlackApiToken::new("xoxb-demo".into()));
    let slack = client.open_session(&token);

    assert_eq!(slack.auth_test().await.unwrap().user_id.0, id::APP_USER);
    let person = api::SlackApiUsersInfoRequest::new(id::APPROVER.into());
    let person = slack.users_info(&person).await.unwrap().user;
    assert!(person.profile.unwrap().email.is_some());
    assert_eq!(slack.users_list(&api::SlackApiUsersListRequest::new()).await.unwrap().members.len(), 5);
    let group = api::SlackApiUserGroupsUsersListRequest::new(id::APPROVERS.into());
    assert_eq!(slack.usergroups_users_list(&group).await.unwrap().users.len(), 1);
    slack.usergroups_list(&api::SlackApiUserGroupsListRequest::new()).await.unwrap();
    slack.conversations_info(&api::SlackApiConversationsInfoRequest::new(id::ALERTS.into())).await.unwrap();
    slack.conversations_list(&api::SlackApiConversationsListRequest::new()).await.unwrap();
    let bot = api::SlackApiBotsInfoRequest::new().with_bot(id::ALERTMANAGER.into());
    assert_eq!(slack.bots_info(&bot).await.unwrap().bot.name, "Alertmanager");

    let metadata = api::SlackMessageMetadata::new("incident_headline".into())
        .with_event_payload([("incident".to_owned(), "INC-1".to_owned())].into());
    let content = api::SlackMessageContent::new().with_text("one".into()).with_metadata(metadata);
    let posted = api::SlackApiChatPostMessageRequest::new(id::ALERTS.into(), content);
    let ts = slack.chat_post_message(&posted).await.unwrap().ts;
    let content = api::SlackMessageContent::new().with_text("two".into());
    let edit = api::SlackApiChatUpdateRequest::new(id::ALERTS.into(), content, ts.clone());
    slack.chat_update(&edit).await.unwrap();
    let link = api::SlackApiChatGetPermalinkRequest::new(id::ALERTS.into(), ts.clone());
    slack.chat_get_permalink(&link).await.unwrap();
    let eyes = api::SlackReactionName::new("eyes".into());
    let reaction = api::SlackApiReactionsAddRequest::new(id::ALERTS.into(), eyes, ts.clone());
    slack.reactions_add(&reaction).await.unwrap();
    let payload = json!({"attachments": [{"title": "HighErrorRate"}]});
    world.post_alert_message(id::ALERTS, id::CLOUDWATCH, &payload).unwrap();
    world.post_alert_message(id::ALERTS, id::ALERTMANAGER, &payload).unwrap();
    let history = api::SlackApiConversationsHistoryRequest::new()
        .with_channel(id::ALERTS.into())
        .with_include_all_metadata(true);
    let history = slack.conversations_history(&history).await.unwrap().messages;
    assert_eq!(history[2].content.metadata.as_ref().unwrap().event_type, "incident_headline");
    assert_eq!(history[2].content.text.as_deref(), Some("two"));
    assert!(history[..2].iter().all(|message| message.content.attachments.is_some()));
    let replies = api::SlackApiConversationsRepliesRequest::new(id::ALERTS.into(), ts);
    slack.conversations_replies(&replies).await.unwrap();

    let place = api::SlackApiFilesGetUploadUrlExternalRequest::new("chart.png".into(), 3);
    let place = slack.get_upload_url_external(&place).await.unwrap();
    let bytes =
        api::SlackApiFilesUploadViaUrlRequest::new(place.upload_url, vec![1, 2, 3], "image/png".into());
    slack.files_upload_via_url(&bytes).await.unwrap();
    let files = vec![api::SlackApiFilesComplete::new(place.file_id.clone())];
    let complete = api::SlackApiFilesCompleteUploadExternalRequest::new(files);
    slack.files_complete_upload_external(&complete).await.unwrap();
    slack.files_info(&api::SlackApiFilesInfoRequest::new(place.file_id)).await.unwrap();
    let home = api::SlackHomeView::new(vec![api::SlackDividerBlock::new().into()]);
    let home = api::SlackApiViewsPublishRequest::new(id::ON_CALL.into(), api::SlackView::Home(home));
    slack.views_publish(&home).await.unwrap();
}

#[tokio::test]
async fn the_client_library_reads_every_event_and_interaction() {
    let slack = Slack::unhurried().await;
    let mut bot = Receiver::start(&slack.world).await;
    let blocks = [actions(&[button("a")])];
    let posted =
        slack.post("chat.postMessage", json!({"channel": id::ALERTS, "text": "t", "blocks": blocks})).await;
    let ts = posted["ts"].as_str().unwrap();
    let payload = json!({"attachments": [{"title": "HighErrorRate"}]});
    slack.world.post_alert_message(id::ALERTS, id::CLOUDWATCH, &payload).unwrap();
    slack.world.post_alert_message(id::ALERTS, id::ALERTMANAGER, &payload).unwrap();
    slack.world.user_message(id::ON_CALL, id::ALERTS, "@commander hello", Some(ts)).unwrap();
    slack.world.open_home(id::ON_CALL).unwrap();
    for _ in 0..6 {
        let body = bot.next().await.body;
        let event: Result<api::SlackPushEvent, _> = serde_json::from_str(&body);
        assert!(matches!(event, Ok(api::SlackPushEvent::EventCallback(_))), "{body}");
    }
    slack.world.click(id::ON_CALL, id::ALERTS, ts, "a").await.unwrap();
    slack.world.message_shortcut(id::ON_CALL, id::ALERTS, ts, "investigate_this").await.unwrap();
    for _ in 0..2 {
        let payload = bot.next().await.field("payload");
        let event: Result<api::SlackInteractionEvent, _> = serde_json::from_str(&payload);
        assert!(event.is_ok(), "{event:?} of {payload}");
    }
}
