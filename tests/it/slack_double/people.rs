//! What reaches the bot: events, commands, clicks, modals; and what its answers do.

use super::*;

#[tokio::test]
async fn an_alert_of_a_webhook_and_one_of_an_app_arrive_in_their_own_shapes() {
    let slack = Slack::unhurried().await;
    let mut bot = Receiver::start(&slack.world).await;
    let payload = json!({"attachments": [{"title": "HighErrorRate", "color": "danger"}]});
    slack.world.post_alert_message(id::ALERTS, id::ALERTMANAGER, &payload).unwrap();
    let webhook = bot.next().await.json();
    assert_eq!(webhook["type"], "event_callback");
    assert_eq!(webhook["event"]["subtype"], "bot_message");
    assert_eq!(webhook["event"]["username"], "Alertmanager");
    assert!(webhook["event"].get("user").is_none());
    assert_eq!(webhook["event"]["attachments"][0]["id"], 1);

    let ts = slack.world.post_alert_message(id::ALERTS, id::CLOUDWATCH, &payload).unwrap();
    let app = bot.next().await.json();
    assert!(app["event"].get("subtype").is_none());
    assert_eq!(app["event"]["bot_id"], id::CLOUDWATCH);
    assert_eq!(app["event"]["bot_profile"]["name"], "Amazon Q Developer");

    let resolved = json!({"attachments": [{"title": "Resolved: HighErrorRate"}]});
    slack.world.edit_alert_message(id::ALERTS, &ts, &resolved).unwrap();
    let edit = bot.next().await.json();
    assert_eq!(edit["event"]["subtype"], "message_changed");
    assert_eq!(edit["event"]["message"]["attachments"][0]["title"], "Resolved: HighErrorRate");
    assert_eq!(edit["event"]["previous_message"]["attachments"][0]["title"], "HighErrorRate");
}

#[tokio::test]
async fn requests_to_the_bot_are_signed_with_real_time() {
    let slack = Slack::start(Options {
        clock_offset: jiff::SignedDuration::from_hours(-24 * 200),
        pace: Pace::unlimited(),
        ..Options::default()
    })
    .await;
    let mut bot = Receiver::start(&slack.world).await;
    slack.world.user_message(id::ON_CALL, id::ALERTS, "hello", None).unwrap();
    let request = bot.next().await;
    let timestamp: i64 = request.header("x-slack-request-timestamp").unwrap().parse().unwrap();
    assert!((jiff::Timestamp::now().as_second() - timestamp).abs() < 60);
    let mac = {
        use hmac::Mac;
        let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
        mac.update(format!("v0:{timestamp}:{}", request.body).as_bytes());
        mac.finalize().into_bytes()
    };
    let hex: Vec<String> = mac.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(request.header("x-slack-signature"), Some(format!("v0={}", hex.concat()).as_str()));
    let age = timestamp - request.json()["event_time"].as_i64().unwrap();
    assert!(age > 199 * 86_400, "messages are dated on the demo's clock");
}

#[tokio::test]
async fn an_event_that_is_not_acknowledged_comes_again_with_its_number() {
    let slack = Slack::start(Options {
        pace: Pace::unlimited(),
        retry_after: vec![Duration::ZERO; 3],
        ..Options::default()
    })
    .await;
    let mut bot = Receiver::start(&slack.world).await;
    bot.answer(&[(500, Value::Null), (503, Value::Null)]);
    slack.world.user_message(id::ON_CALL, id::ALERTS, "hello", None).unwrap();
    let (first, second, third) = (bot.next().await, bot.next().await, bot.next().await);
    assert_eq!(first.header("x-slack-retry-num"), None);
    assert_eq!(second.header("x-slack-retry-num"), Some("1"));
    assert_eq!(second.header("x-slack-retry-reason"), Some("http_error"));
    assert_eq!(third.header("x-slack-retry-num"), Some("2"));
    assert_eq!(first.body, third.body, "the same event with the same id");
    let event = first.json()["event_id"].as_str().unwrap().to_owned();
    let delivery = slack
        .world
        .wait_for("the end of the delivery", LONG, |world| {
            world.deliveries().into_iter().find(|delivery| delivery.id == event && delivery.finished)
        })
        .await
        .unwrap();
    assert_eq!(delivery.attempts, [Ok(500), Ok(503), Ok(200)]);
    assert!(delivery.acknowledged);

    assert!(slack.world.redeliver(&event));
    assert_eq!(bot.next().await.body, first.body);
}

#[tokio::test]
async fn a_mention_comes_as_message_and_as_mention() {
    let slack = Slack::unhurried().await;
    let mut bot = Receiver::start(&slack.world).await;
    slack.world.user_message(id::ON_CALL, id::ALERTS, "@commander checkout is slow", None).unwrap();
    let mut kinds = [
        bot.next().await.json()["event"]["type"].as_str().unwrap().to_owned(),
        bot.next().await.json()["event"]["type"].as_str().unwrap().to_owned(),
    ];
    kinds.sort();
    assert_eq!(kinds, ["app_mention", "message"]);
}

#[tokio::test]
async fn a_command_arrives_as_a_form_and_its_direct_answer_is_private() {
    let slack = Slack::unhurried().await;
    let mut bot = Receiver::start(&slack.world).await;
    bot.answer(&[(200, json!({"response_type": "ephemeral", "text": "On it."}))]);
    let outcome =
        slack.world.slash(id::ON_CALL, id::ALERTS, "/investigate", "checkout since 14:05").await.unwrap();
    assert!(outcome.acknowledged());
    let request = bot.next().await;
    assert_eq!(request.path, "/slack/commands");
    assert_eq!(request.field("text"), "checkout since 14:05");
    assert_eq!(request.field("user_id"), id::ON_CALL);
    let answer = slack.world.private_answer(&outcome, LONG).await.unwrap();
    assert_eq!(answer.message.text, "On it.");
    assert!(slack.world.messages(id::ALERTS).is_empty());

    let unknown = slack.world.slash(id::ON_CALL, id::ALERTS, "/deploy", "").await;
    assert_eq!(unknown, Err(UserError::Command("/deploy".into())));
    bot.answer(&[(500, Value::Null)]);
    let failed = slack.world.slash(id::ON_CALL, id::ALERTS, "/investigate", "x").await.unwrap();
    let complaint = slack.world.private_answer(&failed, LONG).await.unwrap();
    assert!(complaint.message.text.contains("http_service_error 500"), "{}", complaint.message.text);
    assert!(matches!(complaint.message.author, Author::Bot { .. }));
}

#[tokio::test]
async fn a_click_carries_message_and_value_and_its_url_answers_five_times() {
    let slack = Slack::unhurried().await;
    let mut bot = Receiver::start(&slack.world).await;
    let posted = slack
        .post(
            "chat.postMessage",
            json!({"channel": id::ALERTS, "text": "Roll back?", "blocks": [actions(&[button("rollback_approve")])]}),
        )
        .await;
    let ts = posted["ts"].as_str().unwrap();
    bot.next().await;
    let outcome = slack.world.click(id::STRANGER, id::ALERTS, ts, "rollback_approve").await.unwrap();
    let payload = bot.next().await.payload();
    assert_eq!(payload["type"], "block_actions");
    assert_eq!(payload["user"]["id"], id::STRANGER);
    assert_eq!(payload["actions"][0]["value"], "v1");
    assert_eq!(payload["container"]["message_ts"], ts);
    assert_eq!(payload["message"]["ts"], ts);

    let url = payload["response_url"].as_str().unwrap();
    let refusal = json!({"response_type": "ephemeral", "text": "You may not approve this."});
    for _ in 0..5 {
        assert_eq!(slack.client.post(url).json(&refusal).send().await.unwrap().status(), 200);
    }
    let sixth = slack.client.post(url).json(&refusal).send().await.unwrap();
    assert_eq!(sixth.status(), 404);
    assert_eq!(sixth.json::<Value>().await.unwrap()["error"], "used_url");
    let answer = slack.world.private_answer(&outcome, LONG).await.unwrap();
    assert_eq!(answer.user, id::STRANGER);
    assert_eq!(slack.world.ephemerals(id::APPROVER).len(), 0);

    let missing = slack.world.click(id::STRANGER, id::ALERTS, ts, "no_such_button").await;
    assert_eq!(missing, Err(UserError::Element("no_such_button".into())));
}

#[tokio::test]
async fn a_response_url_replaces_and_deletes_its_message_until_it_expires() {
    let slack = Slack::unhurried().await;
    let mut bot = Receiver::start(&slack.world).await;
    let posted = slack
        .post(
            "chat.postMessage",
            json!({"channel": id::ALERTS, "text": "old", "blocks": [actions(&[button("a")])]}),
        )
        .await;
    let ts = posted["ts"].as_str().unwrap();
    bot.next().await;
    slack.world.click(id::ON_CALL, id::ALERTS, ts, "a").await.unwrap();
    let url = bot.next().await.payload()["response_url"].as_str().unwrap().to_owned();
    let replace = json!({"replace_original": true, "text": "new", "blocks": []});
    slack.client.post(&url).json(&replace).send().await.unwrap();
    assert_eq!(slack.world.message(id::ALERTS, ts).unwrap().text, "new");
    slack.client.post(&url).json(&json!({"delete_original": true})).send().await.unwrap();
    assert_eq!(slack.world.message(id::ALERTS, ts), None);

    let expired = Slack::start(Options {
        pace: Pace::unlimited(),
        response_url_lifetime: Duration::ZERO,
        ..Options::default()
    })
    .await;
    let mut bot = Receiver::start(&expired.world).await;
    expired.world.slash(id::ON_CALL, id::ALERTS, "/investigate", "x").await.unwrap();
    let url = bot.next().await.field("response_url");
    let late = expired.client.post(&url).json(&json!({"text": "late"})).send().await.unwrap();
    assert_eq!(late.json::<Value>().await.unwrap()["error"], "expired_url");
}

fn modal() -> Value {
    json!({
        "type": "modal", "callback_id": "investigate",
        "title": {"type": "plain_text", "text": "Investigate"},
        "submit": {"type": "plain_text", "text": "Start"},
        "blocks": [
            {"type": "input", "block_id": "service", "label": {"type": "plain_text", "text": "Service"},
             "element": {"type": "plain_text_input", "action_id": "name"}},
            {"type": "input", "block_id": "since", "optional": true, "label": {"type": "plain_text", "text": "Since"},
             "element": {"type": "static_select", "action_id": "when", "options": [
                 {"text": {"type": "plain_text", "text": "10 minutes"}, "value": "10m"}]}}
        ]
    })
}

#[tokio::test]
async fn a_modal_opens_once_for_a_trigger_and_is_submitted_with_its_values() {
    let slack = Slack::unhurried().await;
    let mut bot = Receiver::start(&slack.world).await;
    slack.world.slash(id::ON_CALL, id::ALERTS, "/investigate", "").await.unwrap();
    let trigger = bot.next().await.field("trigger_id");
    let body = json!({"trigger_id": trigger, "view": modal()});
    let opened = slack.post("views.open", body.clone()).await;
    assert_eq!(opened["ok"], true, "{opened}");
    assert_eq!(slack.post("views.open", body).await["error"], "exchanged_trigger_id");

    let empty = slack.world.submit_view(id::ON_CALL, &[]).await;
    assert_eq!(empty, Err(UserError::Required("service".into())));
    let filled = [
        Action { action_id: "name".into(), block_id: None, chosen: Chosen::Text("checkout".into()) },
        Action { action_id: "when".into(), block_id: None, chosen: Chosen::Option("10m".into()) },
    ];
    bot.answer(&[(200, json!({"response_action": "errors", "errors": {"service": "unknown"}}))]);
    let refused = slack.world.submit_view(id::ON_CALL, &filled).await.unwrap();
    assert!(matches!(refused, Submitted::Errors(errors) if errors["service"] == "unknown"));
    let payload = bot.next().await.payload();
    assert_eq!(payload["view"]["state"]["values"]["service"]["name"]["value"], "checkout");
    assert_eq!(payload["view"]["state"]["values"]["since"]["when"]["selected_option"]["value"], "10m");

    assert_eq!(slack.world.submit_view(id::ON_CALL, &filled).await, Ok(Submitted::Closed));
    assert!(slack.world.modal(id::ON_CALL).is_none());
}

#[tokio::test]
async fn a_trigger_expires() {
    let slack = Slack::start(Options {
        pace: Pace::unlimited(),
        trigger_lifetime: Duration::ZERO,
        ..Options::default()
    })
    .await;
    let mut bot = Receiver::start(&slack.world).await;
    slack.world.slash(id::ON_CALL, id::ALERTS, "/investigate", "").await.unwrap();
    let trigger = bot.next().await.field("trigger_id");
    let late = slack.post("views.open", json!({"trigger_id": trigger, "view": modal()})).await;
    assert_eq!(late["error"], "expired_trigger_id");
}

#[tokio::test]
async fn a_modal_over_its_limits_is_refused() {
    let slack = Slack::unhurried().await;
    let mut view = modal();
    view["title"]["text"] = json!(long(25));
    view["private_metadata"] = json!(long(3001));
    let refused = slack.post("views.open", json!({"trigger_id": "t", "view": view})).await;
    let messages = refused["response_metadata"]["messages"].to_string();
    assert!(
        messages.contains("/view/title/text]") && messages.contains("/view/private_metadata]"),
        "{messages}"
    );
}

#[tokio::test]
async fn app_home_is_published_and_its_buttons_work() {
    let slack = Slack::unhurried().await;
    let mut bot = Receiver::start(&slack.world).await;
    slack.world.open_home(id::ON_CALL).unwrap();
    assert_eq!(bot.next().await.json()["event"]["type"], "app_home_opened");
    let view =
        json!({"type": "home", "blocks": [section("Nothing is open."), actions(&[button("refresh")])]});
    slack.post("views.publish", json!({"user_id": id::ON_CALL, "view": view})).await;
    assert!(slack.world.home(id::ON_CALL).is_some());
    slack.world.act(id::ON_CALL, &Place::Home, &Action::click("refresh")).await.unwrap();
    assert_eq!(bot.next().await.payload()["container"]["type"], "view");
}

#[tokio::test]
async fn a_message_shortcut_carries_the_message() {
    let slack = Slack::unhurried().await;
    let mut bot = Receiver::start(&slack.world).await;
    let ts = slack.world.user_message(id::ON_CALL, id::ALERTS, "checkout is slow", None).unwrap();
    bot.next().await;
    slack.world.message_shortcut(id::ON_CALL, id::ALERTS, &ts, "investigate_this").await.unwrap();
    let payload = bot.next().await.payload();
    assert_eq!(payload["type"], "message_action");
    assert_eq!(payload["message"]["text"], "checkout is slow");
}

#[tokio::test]
async fn the_bot_proves_its_address() {
    let slack = Slack::unhurried().await;
    let bot = Receiver::start(&slack.world).await;
    assert!(slack.world.verify_url().await.is_err(), "an empty 200 is no proof");
    bot.answer(&[(401, Value::Null)]);
    assert!(slack.world.verify_url().await.unwrap_err().contains("HTTP 401"));
}
