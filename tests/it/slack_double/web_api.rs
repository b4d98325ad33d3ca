//! What the Web API answers: messages, limits, tokens, scopes, pace, faults, files.

use super::*;

#[tokio::test]
async fn a_message_and_its_thread_are_read_back_with_metadata_only_when_asked() {
    let slack = Slack::unhurried().await;
    let metadata = json!({"event_type": "incident_headline", "event_payload": {"incident": "INC-7"}});
    let posted = slack
        .post(
            "chat.postMessage",
            json!({"channel": id::ALERTS, "text": "Headline", "blocks": [section("*Headline*")], "metadata": metadata}),
        )
        .await;
    let ts = posted["ts"].as_str().unwrap();
    slack.post("chat.postMessage", json!({"channel": id::ALERTS, "text": "Result", "thread_ts": ts})).await;

    let query = [("channel", id::ALERTS), ("ts", ts)];
    let plain = slack.get("conversations.replies", &query).await;
    assert_eq!(plain["messages"].as_array().unwrap().len(), 2);
    assert!(plain["messages"][0].get("metadata").is_none());
    assert_eq!(plain["messages"][0]["reply_count"], 1);
    assert_eq!(plain["messages"][1]["parent_user_id"], id::APP_USER);
    let full =
        slack.get("conversations.replies", &[query[0], query[1], ("include_all_metadata", "true")]).await;
    assert_eq!(full["messages"][0]["metadata"], metadata);

    let history = slack.get("conversations.history", &[("channel", id::ALERTS)]).await;
    assert_eq!(history["messages"].as_array().unwrap().len(), 1, "replies are not in the channel's history");
}

#[tokio::test]
async fn history_is_paged_newest_first() {
    let slack = Slack::unhurried().await;
    for number in 0..5 {
        slack.post_text(&format!("message {number}")).await;
    }
    let first = slack.get("conversations.history", &[("channel", id::ALERTS), ("limit", "3")]).await;
    assert_eq!(first["messages"][0]["text"], "message 4");
    assert_eq!(first["has_more"], true);
    let cursor = first["response_metadata"]["next_cursor"].as_str().unwrap();
    let query = [("channel", id::ALERTS), ("limit", "3"), ("cursor", cursor)];
    let second = slack.get("conversations.history", &query).await;
    assert_eq!(second["messages"].as_array().unwrap().len(), 2);
    assert_eq!(second["messages"][1]["text"], "message 0");
    assert_eq!(second["has_more"], false);
}

#[tokio::test]
async fn blocks_over_a_limit_are_refused_and_the_field_is_named() {
    let slack = Slack::unhurried().await;
    let plain = |text: String| json!({"type": "plain_text", "text": text});
    let mut named = button("a");
    named["text"] = plain(long(76));
    let mut valued = button("a");
    valued["value"] = json!(long(2001));
    let mut confirmed = button("a");
    confirmed["confirm"] = json!({"title": plain(long(101)), "text": plain("t".into()),
        "confirm": plain("y".into()), "deny": plain("n".into())});
    let fields: Vec<Value> = (0..11).map(|_| json!({"type": "mrkdwn", "text": "f"})).collect();
    let divider = json!({"type": "divider"});
    let cases: Vec<(Vec<Value>, &str)> = vec![
        (vec![divider.clone(); 51], "/blocks]"),
        (vec![section(&long(3001))], "/blocks/0/text/text]"),
        (vec![section("")], "/blocks/0/text/text]"),
        (vec![json!({"type": "section", "fields": fields})], "/blocks/0/fields]"),
        (
            vec![json!({"type": "section", "fields": [{"type": "mrkdwn", "text": long(2001)}]})],
            "/blocks/0/fields/0/text]",
        ),
        (vec![json!({"type": "header", "text": plain(long(151))})], "/blocks/0/text/text]"),
        (vec![json!({"type": "header", "text": {"type": "mrkdwn", "text": "h"}})], "/blocks/0/text/type]"),
        (vec![actions(&[named])], "/blocks/0/elements/0/text/text]"),
        (vec![actions(&[valued])], "/blocks/0/elements/0/value]"),
        (vec![actions(&[confirmed])], "/blocks/0/elements/0/confirm/title/text]"),
        (vec![actions(&[button(&long(256))])], "/blocks/0/elements/0/action_id]"),
        (vec![actions(&[button("a"), button("a")])], "/blocks/0/elements/1/action_id]"),
        (vec![actions(&vec![json!({"type": "image"}); 26])], "/blocks/0/elements]"),
        (
            vec![json!({"type": "context", "elements": vec![json!({"type": "mrkdwn", "text": "c"}); 11]})],
            "/blocks/0/elements]",
        ),
        (
            vec![json!({"type": "divider", "block_id": "b"}), json!({"type": "divider", "block_id": "b"})],
            "/blocks/1/block_id]",
        ),
        (vec![json!({"type": "divider", "block_id": long(256)})], "/blocks/0/block_id]"),
        (vec![json!({"type": "divider", "colour": "red"})], "/blocks/0]"),
        (vec![json!({"type": "marquee"})], "/blocks/0/type]"),
        (
            vec![json!({"type": "image", "slack_file": {"id": "F404"}, "alt_text": "a"})],
            "/blocks/0/slack_file]",
        ),
        (vec![json!({"type": "image", "image_url": "https://a.example/b.png"})], "/blocks/0]"),
    ];
    for (blocks, pointer) in cases {
        let answer = slack
            .post("chat.postMessage", json!({"channel": id::ALERTS, "text": "t", "blocks": blocks}))
            .await;
        assert_eq!(answer["error"], "invalid_blocks", "{pointer}: {answer}");
        let messages = answer["response_metadata"]["messages"].as_array().unwrap();
        assert!(
            messages.iter().any(|message| message.as_str().unwrap().ends_with(pointer)),
            "{pointer} is not in {messages:?}"
        );
    }
    assert!(slack.world.messages(id::ALERTS).is_empty(), "nothing that was refused is shown");
}

#[tokio::test]
async fn blocks_at_their_limits_are_taken() {
    let slack = Slack::unhurried().await;
    let field = |length| json!({"type": "mrkdwn", "text": long(length)});
    let fields = [vec![field(2000)], vec![field(100); 9]].concat();
    let mut blocks = vec![
        section(&long(3000)),
        json!({"type": "header", "text": {"type": "plain_text", "text": long(150)}}),
        json!({"type": "section", "fields": fields}),
        actions(&(0..25).map(|number| button(&format!("a{number}"))).collect::<Vec<_>>()),
    ];
    blocks.resize(50, json!({"type": "divider"}));
    let answer =
        slack.post("chat.postMessage", json!({"channel": id::ALERTS, "text": "t", "blocks": blocks})).await;
    assert_eq!(answer["ok"], true, "{answer}");
}

#[tokio::test]
async fn blocks_that_say_too_much_together_are_refused() {
    let slack = Slack::unhurried().await;
    let post = async |blocks: Vec<Value>| {
        let body = json!({"channel": id::ALERTS, "text": "t", "blocks": blocks});
        slack.post("chat.postMessage", body).await
    };
    assert_eq!(post(vec![section(&long(2800)); 4]).await["ok"], true);
    assert_eq!(post(vec![section(&long(2900)); 4]).await["error"], "msg_blocks_too_long");
    let many = vec![actions(&(0..25).map(|number| button(&format!("a{number}"))).collect::<Vec<_>>()); 6];
    assert_eq!(post(many).await["error"], "msg_blocks_too_long", "buttons count too");
}

#[tokio::test]
async fn metadata_needs_its_shape() {
    let slack = Slack::unhurried().await;
    for (metadata, error) in [
        (json!({"event_type": "t"}), "invalid_metadata_format"),
        (json!({"event_type": 7, "event_payload": {}}), "invalid_metadata_format"),
        (json!({"event_type": "t", "event_payload": {}, "more": 1}), "invalid_metadata_schema"),
        (json!({"event_type": "t", "event_payload": {"a": long(17_000)}}), "metadata_too_large"),
    ] {
        let body = json!({"channel": id::ALERTS, "text": "t", "metadata": metadata});
        assert_eq!(slack.post("chat.postMessage", body).await["error"], error);
    }
}

#[tokio::test]
async fn tokens_scopes_and_methods_are_checked() {
    let slack = Slack::unhurried().await;
    let url = format!("{}/auth.test", slack.api);
    let anonymous: Value = slack.client.post(&url).send().await.unwrap().json().await.unwrap();
    assert_eq!(anonymous["error"], "not_authed");
    let wrong: Value =
        slack.client.post(&url).bearer_auth("xoxb-other").send().await.unwrap().json().await.unwrap();
    assert_eq!(wrong["error"], "invalid_auth");
    let right = slack.send("auth.test", &json!({})).await;
    assert!(right.headers()["x-oauth-scopes"].to_str().unwrap().contains("chat:write"));

    assert_eq!(slack.post("chat.shout", json!({})).await["error"], "unknown_method");
    let info = slack.get("conversations.info", &[("channel", id::ALERTS)]).await;
    assert_eq!(info["error"], "missing_scope");
    assert_eq!(info["needed"], "channels:read");
    slack.world.set_scopes(&["users:read"]);
    let post = slack.post("chat.postMessage", json!({"channel": id::ALERTS, "text": "t"})).await;
    assert_eq!((&post["error"], &post["provided"]), (&json!("missing_scope"), &json!("users:read")));
    let user = slack.get("users.info", &[("user", id::APPROVER)]).await;
    assert!(user["user"]["profile"].get("email").is_none(), "an address needs its own scope");

    slack.world.set_revoked(true);
    assert_eq!(slack.post("auth.test", json!({})).await["error"], "token_revoked");
}

#[tokio::test]
async fn a_channel_without_the_app_is_closed_to_it() {
    let slack = Slack::unhurried().await;
    slack.world.set_membership(id::ALERTS, false);
    let post = slack.post("chat.postMessage", json!({"channel": id::ALERTS, "text": "t"})).await;
    assert_eq!(post["error"], "not_in_channel");
    let unknown = slack.post("chat.postMessage", json!({"channel": "C404", "text": "t"})).await;
    assert_eq!(unknown["error"], "channel_not_found");
}

#[tokio::test]
async fn too_many_posts_to_one_channel_are_answered_429_with_the_wait() {
    let pace = Pace { posts: Some(Rate { per_second: 0.01, burst: 2.0 }), ..Pace::unlimited() };
    let slack = Slack::start(Options { pace, ..Options::default() }).await;
    slack.post_text("one").await;
    slack.post_text("two").await;
    let third = slack.send("chat.postMessage", &json!({"channel": id::ALERTS, "text": "three"})).await;
    assert_eq!(third.status(), 429);
    let wait: u64 = third.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((90..=100).contains(&wait), "{wait}");
    assert_eq!(third.json::<Value>().await.unwrap()["error"], "ratelimited");
    let elsewhere = slack.post("chat.postMessage", json!({"channel": id::CHECKOUT, "text": "t"})).await;
    assert_eq!(elsewhere["ok"], true);
    assert_eq!(slack.world.counters()["chat.postMessage"].errors["ratelimited"], 1);
}

#[tokio::test]
async fn a_scripted_fault_befalls_one_call_and_a_lost_answer_has_posted() {
    let slack = Slack::unhurried().await;
    let body = json!({"channel": id::ALERTS, "text": "t"});
    let method = "chat.postMessage";
    slack.world.script(Fault::once(method, FaultKind::Status(503)));
    assert_eq!(slack.send(method, &body).await.status(), 503);
    slack.world.script(Fault::once(method, FaultKind::Malformed));
    assert!(slack.send(method, &body).await.json::<Value>().await.is_err());
    slack.world.script(Fault::once(method, FaultKind::Reset));
    let url = format!("{}/{method}", slack.api);
    let broken = slack.client.post(&url).bearer_auth("xoxb-demo").json(&body).send().await;
    let lost = match broken {
        Ok(response) => response.text().await.is_err(),
        Err(_) => true,
    };
    assert!(lost);
    assert!(slack.world.messages(id::ALERTS).is_empty());

    slack.world.script(Fault::once(method, FaultKind::AcceptedThenReset));
    let lost = match slack.client.post(&url).bearer_auth("xoxb-demo").json(&body).send().await {
        Ok(response) => response.text().await.is_err(),
        Err(_) => true,
    };
    assert!(lost);
    assert_eq!(slack.world.messages(id::ALERTS).len(), 1);
}

#[tokio::test]
async fn an_edit_keeps_what_it_does_not_name_and_only_touches_own_messages() {
    let slack = Slack::unhurried().await;
    let metadata = json!({"event_type": "incident_headline", "event_payload": {"incident": "INC-1"}});
    let posted = slack
        .post(
            "chat.postMessage",
            json!({"channel": id::ALERTS, "text": "old", "blocks": [section("b")], "metadata": metadata}),
        )
        .await;
    let ts = posted["ts"].as_str().unwrap();
    let edited = slack.post("chat.update", json!({"channel": id::ALERTS, "ts": ts, "text": "new"})).await;
    assert_eq!(edited["text"], "new");
    let message = slack.world.message(id::ALERTS, ts).unwrap();
    assert_eq!(message.blocks.len(), 1);
    assert_eq!(message.event_type(), Some("incident_headline"));
    assert!(message.edited.is_some());

    let theirs = slack.world.user_message(id::ON_CALL, id::ALERTS, "hello", None).unwrap();
    let refused =
        slack.post("chat.update", json!({"channel": id::ALERTS, "ts": theirs, "text": "mine"})).await;
    assert_eq!(refused["error"], "cant_update_message");
    let missing = slack.post("chat.update", json!({"channel": id::ALERTS, "ts": "1.0", "text": "x"})).await;
    assert_eq!(missing["error"], "message_not_found");
}

#[tokio::test]
async fn a_reaction_counts_once() {
    let slack = Slack::unhurried().await;
    let ts = slack.post_text("look").await;
    let body = json!({"channel": id::ALERTS, "timestamp": ts, "name": "eyes"});
    assert_eq!(slack.post("reactions.add", body.clone()).await["ok"], true);
    assert_eq!(slack.post("reactions.add", body).await["error"], "already_reacted");
    assert_eq!(slack.world.message(id::ALERTS, &ts).unwrap().reactions.len(), 1);
}

#[tokio::test]
async fn a_file_is_uploaded_in_three_steps_and_shown_in_a_block() {
    let slack = Slack::unhurried().await;
    let place = slack.get("files.getUploadURLExternal", &[("filename", "chart.png"), ("length", "4")]).await;
    let upload = place["upload_url"].as_str().unwrap();
    let file = place["file_id"].as_str().unwrap().to_owned();
    let image = json!({"type": "image", "slack_file": {"id": file}, "alt_text": "error rate"});
    let early =
        slack.post("chat.postMessage", json!({"channel": id::ALERTS, "text": "t", "blocks": [image]})).await;
    assert_eq!(early["error"], "invalid_blocks", "the upload is not complete");
    let short = slack.client.post(upload).body("png").send().await.unwrap();
    assert_eq!(short.status(), 400, "three bytes are not the four that were announced");

    let place = slack.get("files.getUploadURLExternal", &[("filename", "chart.png"), ("length", "4")]).await;
    let file = place["file_id"].as_str().unwrap().to_owned();
    let sent =
        slack.client.post(place["upload_url"].as_str().unwrap()).body("\u{89}PN").send().await.unwrap();
    assert_eq!(sent.status(), 200);
    let complete = json!({"files": [{"id": file, "title": "Error rate"}]});
    assert_eq!(slack.post("files.completeUploadExternal", complete).await["files"][0]["title"], "Error rate");
    let image = json!({"type": "image", "slack_file": {"id": file}, "alt_text": "error rate"});
    let posted =
        slack.post("chat.postMessage", json!({"channel": id::ALERTS, "text": "t", "blocks": [image]})).await;
    assert_eq!(posted["ok"], true, "{posted}");
    assert_eq!(slack.world.file(&file).unwrap().0, "image/png");
}
