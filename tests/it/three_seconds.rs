//! What Slack waits for is answered however slow Slack's own API is, and however much comes at once.
//!
//! The rule that is not obvious: how long an answer takes is not measured here, because that would measure the
//! machine. `slack/calls.rs` shows on a clock of its own that all calls of one answer share one deadline.

use incident_commander::demo::slack::fault::{Fault, FaultKind};
use incident_commander::demo::slack::workspace::id;
use incident_commander::demo::slack::{Action, Chosen, SlackWorld, Submitted};
use serde_json::json;

use crate::house::PATIENCE;
use crate::office::Office;

const AT_ONCE: usize = 200;

/// Every call from now on is done, and never answered.
fn silent(slack: &SlackWorld, methods: &[&str]) {
    for method in methods {
        let fault = Fault::once(method, FaultKind::AcceptedThenSilence);
        slack.script(Fault { times: None, ..fault });
    }
}

fn typed(action_id: &str, text: &str) -> Action {
    Action { action_id: action_id.into(), block_id: None, chosen: Chosen::Text(text.into()) }
}

#[tokio::test]
async fn a_form_with_words_and_a_link_is_answered_although_slack_answers_neither_call() {
    let office = Office::quiet().await;
    let ts = office.alert("[FIRING:1] HighErrorRate checkout", "checkout").await;
    office.slack.slash(id::ON_CALL, id::ALERTS, "/investigate", "").await.unwrap();
    silent(&office.slack, &["users.info", "conversations.replies"]);
    let link = format!("https://shop.slack.com/archives/{}/p{}", id::ALERTS, ts.replace('.', ""));
    let filled = [typed("words", "14:05"), typed("link", &link)];
    let answer = office.slack.submit_view(id::ON_CALL, &filled).await.unwrap();
    assert!(matches!(&answer, Submitted::Errors(errors) if errors.contains_key("link")), "{answer:?}");
}

#[tokio::test]
async fn a_mention_with_a_time_under_an_alert_is_acknowledged_although_slack_answers_no_call() {
    let office = Office::quiet().await;
    let thread = office.slack.user_message(id::DEVELOPER, id::ALERTS, "checkout is odd", None).unwrap();
    silent(&office.slack, &["users.info", "conversations.replies"]);
    let before = office.slack.deliveries().len();
    let text = format!("<@{}> 14:05", id::APP_USER);
    office.slack.user_message(id::ON_CALL, id::ALERTS, &text, Some(&thread)).unwrap();
    office.heard(before).await;
    let deliveries = office.slack.deliveries();
    assert!(deliveries[before..].iter().all(|delivery| delivery.attempts.len() == 1), "{deliveries:?}");
}

#[tokio::test]
async fn two_hundred_alerts_at_once_are_each_taken_in_the_first_time() {
    let office = Office::quiet().await;
    let before = office.slack.deliveries().len();
    for number in 0..AT_ONCE {
        let service = ["checkout", "payments"][number % 2];
        let payload = json!({ "attachments": [{
            "title": format!("[FIRING:1] HighErrorRate {service}"),
            "fields": [{ "title": "Service", "value": service, "short": true }],
        }] });
        office.slack.post_alert_message(id::ALERTS, id::CLOUDWATCH, &payload).unwrap();
    }
    let taken = |slack: &SlackWorld| {
        let all = slack.deliveries();
        let finished = all.iter().skip(before).filter(|delivery| delivery.finished).count();
        (finished == AT_ONCE).then_some(all)
    };
    let deliveries = office.slack.wait_for("200 answers", PATIENCE, taken).await.unwrap();
    let again: Vec<_> = deliveries[before..].iter().filter(|delivery| delivery.attempts.len() > 1).collect();
    assert!(again.is_empty(), "{again:?}");
    let incidents = office.bench.store.list(10).await.unwrap();
    let received: i64 = incidents.iter().map(|line| line.alerts_received).sum();
    assert_eq!((incidents.len(), received as usize), (2, AT_ONCE));
}
