//! An alert that fits two services is asked about, and what is about another time is another incident.

use incident_commander::demo::slack::workspace::id;
use incident_commander::demo::slack::{Message, SlackWorld};

use crate::house::PATIENCE;
use crate::socket_mode::Room;

const TWO: &str = "[[service]]\nname = \"checkout-api\"\n[[service]]\nname = \"checkout-worker\"\n";

/// The question in an alert's thread, as it stands when `fits`.
async fn question(slack: &SlackWorld, alarm: &str, fits: impl Fn(&Message) -> bool) -> Message {
    let look = |slack: &SlackWorld| {
        let replies = slack.thread(id::ALERTS, alarm).into_iter();
        replies.filter(|reply| reply.text.contains("Which one is it about?")).find(&fits)
    };
    slack.wait_for("the question", PATIENCE, look).await.unwrap()
}

fn is_open(message: &Message) -> bool {
    message.action_ids() == ["choose_service/0", "choose_service/1", "choose_service/none"]
}

fn is_answered(message: &Message) -> bool {
    message.action_ids().is_empty()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_answer_opens_the_incident_of_the_service_that_was_chosen() {
    let room = Room::open_with(TWO).await;
    let alarm = room.alert("FIRING:1", "checkout");
    let asked = question(&room.slack, &alarm, is_open).await;
    room.alert("FIRING:1", "checkout");
    room.settled().await;
    assert_eq!(room.incidents().await, [], "nobody has said yet which service it is");
    let room = room.restart().await;
    let pressed = room.slack.click(id::STRANGER, id::ALERTS, &asked.ts, "choose_service/1").await.unwrap();
    assert!(pressed.acknowledged());
    assert_eq!(room.incidents().await, [("checkout-worker".into(), 2)], "both alerts waited for the answer");
    let told = question(&room.slack, &alarm, is_answered).await;
    let shown = serde_json::to_string(&told.blocks).unwrap();
    assert!(shown.contains(id::STRANGER) && shown.contains("INC-1"), "{shown}");
    room.alert("FIRING:1", "checkout");
    room.settled().await;
    assert_eq!(room.incidents().await, [("checkout-worker".into(), 3)], "the answer holds for repeats");
    let figures = room.bot.bench().metrics.render(&[]);
    assert!(figures.contains("incident_commander_questions_answered_total 1\n"), "{figures}");
    room.bot.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_and_a_resolve_close_the_question_and_open_nothing() {
    let room = Room::open_with(TWO).await;
    let alarm = room.alert("FIRING:1", "checkout");
    let asked = question(&room.slack, &alarm, is_open).await;
    room.slack.click(id::APPROVER, id::ALERTS, &asked.ts, "choose_service/none").await.unwrap();
    question(&room.slack, &alarm, is_answered).await;
    let other = room.slack.post_alert_message(
        id::ALERTS,
        id::CLOUDWATCH,
        &serde_json::json!({ "text": "[FIRING:1] SlowResponses (checkout critical)\nservice: checkout" }),
    );
    let other = other.unwrap();
    question(&room.slack, &other, is_open).await;
    room.slack
        .post_alert_message(
            id::ALERTS,
            id::CLOUDWATCH,
            &serde_json::json!({ "text": "[RESOLVED] SlowResponses (checkout critical)\nservice: checkout" }),
        )
        .unwrap();
    let told = question(&room.slack, &other, is_answered).await;
    assert!(serde_json::to_string(&told.blocks).unwrap().contains("resolved"), "{:?}", told.blocks);
    assert_eq!(room.incidents().await, []);
    room.bot.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_about_another_day_is_an_incident_of_its_own() {
    let room = Room::open_with("").await;
    room.alert("FIRING:1", "payments");
    room.settled().await;
    let ask = async |words: &str| {
        let typed = format!("payments {words}");
        assert!(
            room.slack.slash(id::APPROVER, id::ALERTS, "/investigate", &typed).await.unwrap().acknowledged()
        );
    };
    ask("20 minutes ago").await;
    assert_eq!(room.incidents().await, [("payments".into(), 2)], "that is within the open one");
    ask("yesterday 23:10 UTC").await;
    assert_eq!(room.incidents().await, [("payments".into(), 1), ("payments".into(), 2)]);
    room.alert("FIRING:1", "payments");
    room.settled().await;
    assert_eq!(room.incidents().await, [("payments".into(), 1), ("payments".into(), 3)], "now is today's");
    room.bot.stop().await;
}
