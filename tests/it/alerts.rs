//! What an alerting channel brings, and what becomes of it: own messages, edits, acknowledgements, ends, and alerts
//! that name no service.

use std::sync::Arc;

use incident_commander::demo::slack::workspace::id;
use incident_commander::demo::slack::{Action, Chosen, Message, Place};
use incident_commander::domain::incident::State;
use incident_commander::intake::{Desk, Heard};
use incident_commander::slack::inbound;
use serde_json::{Value, json};

use crate::office::{Office, whole};

const HEADLINE: &str = "incident_headline";
const RESULT: &str = "incident_result";

/// A message of a tool, as Slack tells of it.
fn event(number: u32, change: impl FnOnce(&mut Value)) -> inbound::Event {
    let mut body = json!({
        "type": "event_callback", "event_id": format!("Ev{number}"), "api_app_id": id::APP,
        "event": {
            "type": "message", "channel": id::ALERTS, "ts": format!("17703801{number:02}.000100"),
            "bot_id": id::CLOUDWATCH, "app_id": "A0TOOL", "text": "[FIRING:1] HighErrorRate checkout",
        },
    });
    change(&mut body);
    inbound::read_event(&body)
}

async fn count(office: &Office) -> usize {
    office.bench.store.list(100).await.unwrap().len()
}

async fn state(office: &Office, number: i64) -> State {
    let id = incident_commander::domain::incident::IncidentId(number);
    office.bench.store.incident_row(id).await.unwrap().unwrap().state
}

#[tokio::test]
async fn its_own_messages_are_nothing_before_slack_has_said_who_it_is() {
    let office = Office::quiet().await;
    let unknown = Desk { identity: Arc::default(), ..office.desk.clone() };
    let own = |change: fn(&mut Value)| event(1, change);
    for heard in [
        unknown.event(own(|body| body["event"]["app_id"] = json!(id::APP))).await.unwrap(),
        unknown.event(own(|body| body["event"]["bot_profile"] = json!({ "app_id": id::APP }))).await.unwrap(),
        unknown
            .event(own(|body| {
                body["event"]["user"] = json!(id::APP_USER);
                body["authorizations"] = json!([{ "user_id": id::APP_USER, "is_bot": true }]);
            }))
            .await
            .unwrap(),
        // Where the event does not say whose app it is.
        office.desk.event(own(|body| body["event"]["bot_id"] = json!(id::APP_BOT))).await.unwrap(),
    ] {
        assert_eq!(heard, Heard::Nothing("our own message"));
    }
    assert!(matches!(unknown.event(event(2, |_| {})).await.unwrap(), Heard::Incident(_)));
}

#[tokio::test]
async fn replies_other_channels_and_bots_that_do_not_count_open_nothing() {
    let office = Office::quiet().await;
    let mut config = (*office.desk.config).clone();
    config.slack.alert_bots = vec![id::ALERTMANAGER.into()];
    let choosy = Desk { config: Arc::new(config), ..office.desk.clone() };
    let heard = [
        choosy.event(event(1, |_| {})).await.unwrap(),
        office
            .desk
            .event(event(2, |body| body["event"]["thread_ts"] = json!("1770380000.000100")))
            .await
            .unwrap(),
        office.desk.event(event(3, |body| body["event"]["channel"] = json!(id::CHECKOUT))).await.unwrap(),
        office.desk.event(event(4, |body| body["event"]["bot_id"] = Value::Null)).await.unwrap(),
    ];
    assert!(heard.iter().all(|heard| matches!(heard, Heard::Nothing(_))), "{heard:?}");
    let counts = event(5, |body| body["event"]["bot_id"] = json!(id::ALERTMANAGER));
    assert!(matches!(choosy.event(counts).await.unwrap(), Heard::Incident(_)));
}

fn titled(title: &str) -> Value {
    json!({ "attachments": [{ "title": title, "fields": [{ "title": "Service", "value": "checkout" }] }] })
}

async fn edited(office: &Office, ts: &str, payload: &Value) {
    let before = office.slack.deliveries().len();
    office.slack.edit_alert_message(id::ALERTS, ts, payload).unwrap();
    office.heard(before).await;
}

#[tokio::test]
async fn an_edit_is_an_alert_only_where_the_state_changes() {
    let office = Office::quiet().await;
    let ts = office.alert("[FIRING:1] HighErrorRate checkout", "checkout").await;
    let mut unfurled = titled("[FIRING:1] HighErrorRate checkout");
    unfurled["attachments"].as_array_mut().unwrap().push(json!({ "title": "Dashboard of checkout" }));
    edited(&office, &ts, &unfurled).await;
    edited(&office, &ts, &titled("Acknowledged: HighErrorRate checkout")).await;
    let received = office.bench.store.list(1).await.unwrap()[0].alerts_received;
    assert_eq!(received, 1, "neither is another firing");
    edited(&office, &ts, &titled("[RESOLVED] HighErrorRate checkout")).await;
    assert_eq!(state(&office, 1).await, State::Resolved);
    edited(&office, &ts, &titled("[RESOLVED] HighErrorRate checkout (archived)")).await;
    assert_eq!(count(&office).await, 1);
    edited(&office, &ts, &titled("[FIRING:1] HighErrorRate checkout")).await;
    assert_eq!(count(&office).await, 2, "it fires again");
}

#[tokio::test]
async fn an_acknowledgement_opens_nothing() {
    let office = Office::quiet().await;
    office.alert("Acknowledged: HighErrorRate checkout", "checkout").await;
    let ts = office.alert("[FIRING:1] HighErrorRate checkout", "checkout").await;
    edited(&office, &ts, &titled("[RESOLVED] HighErrorRate checkout")).await;
    edited(&office, &ts, &titled("Acknowledged: HighErrorRate checkout")).await;
    assert_eq!(count(&office).await, 1, "the one that fired");
}

#[tokio::test]
async fn an_end_that_names_no_service_closes_the_incident_of_its_alert() {
    let office = Office::quiet().await;
    let cases: Value = serde_json::from_str(include_str!("../alerts/cloudwatch.json")).unwrap();
    let message = |name: &str| {
        let all = cases["cases"].as_array().unwrap();
        all.iter().find(|case| case["name"] == name).unwrap()["message"].clone()
    };
    for name in ["amazon-q-firing", "amazon-q-resolved"] {
        let before = office.slack.deliveries().len();
        office.slack.post_alert_message(id::ALERTS, id::CLOUDWATCH, &message(name)).unwrap();
        office.heard(before).await;
    }
    assert_eq!(state(&office, 1).await, State::Resolved);
}

/// The question in an alert's thread.
fn question(office: &Office, ts: &str) -> Message {
    let mut all = office.slack.thread(id::ALERTS, ts);
    all.retain(|reply| reply.text.contains("Which one is it about?"));
    all.pop().expect("a question")
}

async fn unnamed(office: &Office) -> String {
    let before = office.slack.deliveries().len();
    let payload = json!({ "text": "[FIRING:1] HighErrorRate" });
    let ts = office.slack.post_alert_message(id::ALERTS, id::CLOUDWATCH, &payload).unwrap();
    office.heard(before).await;
    office.work().await;
    ts
}

#[tokio::test]
async fn an_alert_that_names_no_service_is_asked_about_and_any_service_may_be_named() {
    let office = Office::quiet().await;
    let ts = unnamed(&office).await;
    assert_eq!(count(&office).await, 0, "an alert's name is no service");
    let asked = question(&office, &ts);
    let said = whole(&asked);
    assert!(
        said.contains("names no service that I know") && said.contains("is investigated at 12:33 UTC"),
        "{said}"
    );
    let place = Place::Message { channel: id::ALERTS.into(), ts: asked.ts.clone() };
    let select = Action { action_id: "choose_service/other".into(), block_id: None, chosen: Chosen::Click };
    let offered = office.slack.suggest(id::ON_CALL, &place, &select, "search-indexer").await.unwrap();
    let chosen = Action { chosen: Chosen::Offered(offered[0].clone()), ..select };
    assert!(office.slack.act(id::ON_CALL, &place, &chosen).await.unwrap().acknowledged());
    office.pass(2);
    office.work().await;
    let list = office.bench.store.list(10).await.unwrap();
    assert_eq!((list.len(), list[0].service.as_str()), (1, "search-indexer"));
    assert!(whole(&question(&office, &ts)).contains("which is INC-1"));
}

#[tokio::test]
async fn a_question_is_said_once_more_and_then_answers_itself() {
    let office = Office::quiet().await;
    let ts = unnamed(&office).await;
    office.pass(5 * 60);
    office.work().await;
    let replies = office.slack.thread(id::ALERTS, &ts);
    assert!(replies.iter().any(|reply| reply.text.contains("Nobody has said yet")), "{replies:?}");
    assert_eq!(count(&office).await, 0);
    office.pass(60);
    office.work().await;
    assert_eq!(office.slack.thread(id::ALERTS, &ts).len(), replies.len(), "once");
    office.pass(9 * 60);
    office.work().await;
    let list = office.bench.store.list(10).await.unwrap();
    assert_eq!((list.len(), list[0].service.as_str()), (1, "HighErrorRate"), "what was said beforehand");
    office.pass(2);
    office.work().await;
    assert!(whole(&question(&office, &ts)).contains("Nobody answered at 12:33 UTC"));
    unnamed(&office).await;
    assert_eq!(
        office.bench.store.list(10).await.unwrap()[0].alerts_received,
        2,
        "a repeat is not asked about"
    );
}

#[tokio::test]
async fn where_the_bot_is_no_member_the_verdict_comes_in_the_services_channel_and_it_says_so() {
    let office = Office::quiet().await;
    office.slack.set_membership(id::CHECKOUT, false);
    let typed = office.slack.slash(id::ON_CALL, id::CHECKOUT, "/investigate", "checkout").await.unwrap();
    let answer = office.answer(&typed).await;
    assert!(answer.contains(&format!("<#{}>", id::ALERTS)), "{answer}");
    office.work().await;
    assert!(office.newest(HEADLINE).is_some() && office.newest(RESULT).is_some());
    assert_eq!(office.bench.store.outbox_depth().await.unwrap().dead, 0);
    // A name that is nearly right is asked about; the answer to the button comes where the bot is not.
    let typed = office.slack.slash(id::ON_CALL, id::CHECKOUT, "/investigate", "paymnts").await.unwrap();
    let asked = office.slack.private_answer(&typed, crate::house::PATIENCE).await.unwrap();
    let pressed = office
        .slack
        .click(id::ON_CALL, id::CHECKOUT, &asked.message.ts, "investigate_service/0")
        .await
        .unwrap();
    let answer = office.answer(&pressed).await;
    assert!(
        answer.contains("looking at payments") && answer.contains("I am not in this channel"),
        "{answer}"
    );
}

#[tokio::test]
async fn an_incident_is_closed_with_its_button_and_the_headline_says_by_whom() {
    let office = Office::quiet().await;
    office.alert("[FIRING:1] HighErrorRate checkout", "checkout").await;
    office.work().await;
    let headline = office.newest(HEADLINE).unwrap();
    let pressed = office.slack.click(id::STRANGER, id::ALERTS, &headline.ts, "close_incident").await.unwrap();
    assert!(office.answer(&pressed).await.contains("INC-1* is closed"));
    office.pass(2);
    office.work().await;
    let headline = office.newest(HEADLINE).unwrap();
    let said = whole(&headline);
    assert!(said.contains(&format!("Closed by <@{}>.", id::STRANGER)), "{said}");
    assert!(headline.action_ids().is_empty(), "there is nothing left to close");
    office.typed(id::ON_CALL, "payments").await;
    office.work().await;
    office.typed(id::ON_CALL, "close INC-2 false alarm").await;
    office.pass(2);
    office.work().await;
    let said = whole(&office.newest(HEADLINE).unwrap());
    assert!(said.contains(&format!("Closed by <@{}>: false alarm", id::ON_CALL)), "{said}");
}

#[tokio::test]
async fn a_mention_that_slack_tells_of_twice_is_carried_out_once() {
    let office = Office::quiet().await;
    office.alert("[FIRING:1] HighErrorRate checkout", "checkout").await;
    office.work().await;
    let mention = || {
        event(7, |body| {
            body["event"]["type"] = json!("app_mention");
            body["event"]["bot_id"] = Value::Null;
            body["event"]["user"] = json!(id::ON_CALL);
            body["event"]["text"] = json!(format!("<@{}> again INC-1", id::APP_USER));
        })
    };
    for _ in 0..2 {
        office.desk.event(mention()).await.unwrap();
        office.work().await;
    }
    let row = office.bench.store.incident_row("INC-1".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(row.round, 2, "one look more, not two");
}
