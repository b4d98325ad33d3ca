//! Who may press what, over the wire and with Slack's own signatures: what each is told, and what is written down.

use incident_commander::app::Bot;
use incident_commander::config::Person;
use incident_commander::demo::slack::fault::{Fault, FaultKind};
use incident_commander::demo::slack::workspace::id;
use incident_commander::demo::slack::{Action, Chosen, Submitted};
use jiff::SignedDuration;

use crate::ward::{Set, Ward, trail};

const APPROVE: &str = "rollback_approve";

async fn open(change: impl FnOnce(&mut Set)) -> (Ward, Bot) {
    let ward = Ward::open(false, change).await;
    let bot = ward.start().await;
    (ward, bot)
}

/// Asserts that exactly these attempts were refused, and that nothing was changed.
async fn refused(ward: &Ward, bot: &Bot, expected: &[&str]) {
    let rows = trail(bot.store(), &["refused"]).await;
    let names: Vec<&str> = rows.iter().map(|row| row["refusal"].as_str().unwrap()).collect();
    assert_eq!(names, expected, "{rows:?}");
    assert_eq!(ward.changes(bot.store()).await, []);
}

/// Somebody presses 'Roll back', is told these words, and the trail tells it by this name.
async fn presses_in_vain(ward: &Ward, bot: &Bot, user: &str, words: &str, name: &str) {
    let asked = ward.asked().await;
    let outcome = ward.slack.click(user, id::ALERTS, &asked.ts, APPROVE).await.unwrap();
    assert!(outcome.acknowledged());
    ward.told(user, words).await;
    refused(ward, bot, &[name]).await;
}

#[tokio::test]
async fn an_approver_may_and_the_change_is_made_once_with_the_writing_role() {
    let (ward, bot) = open(|_| {}).await;
    let asked = ward.asked().await;
    assert_eq!(ward.changes(bot.store()).await, [], "nothing is changed before an approval");
    ward.slack.click(id::APPROVER, id::ALERTS, &asked.ts, APPROVE).await.unwrap();
    ward.wait("the outcome", |message| message.text.contains("Rolled back: checkout:live")).await;
    let changes = ward.changes(bot.store()).await;
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert_eq!(changes[0].operation, "lambda:UpdateAlias");
    let rows = trail(bot.store(), &["decided", "sending", "answered", "ended"]).await;
    let kinds: Vec<&str> = rows.iter().map(|row| row["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["decided", "sending", "answered", "ended"]);
    assert_eq!(rows[0]["actor"], id::APPROVER);
    assert_eq!(rows[0]["break_glass"], false);
}

#[tokio::test]
async fn a_stranger_may_not() {
    let (ward, bot) = open(|_| {}).await;
    presses_in_vain(&ward, &bot, id::STRANGER, "not on the list of approvers", "not_an_approver").await;
}

#[tokio::test]
async fn who_asked_may_not_under_the_two_person_rule() {
    let (ward, bot) = open(|set| set.requested_by = Some(id::ON_CALL.into())).await;
    presses_in_vain(&ward, &bot, id::ON_CALL, "You asked for this investigation", "requester").await;
}

#[tokio::test]
async fn who_made_the_change_may_not() {
    let arn = "arn:aws:iam::123456789012:user/dana";
    let (ward, bot) = open(|set| {
        set.author = Some(arn.into());
        set.config.people = vec![Person { slack: id::DEVELOPER.into(), aws: vec![arn.into()] }];
    })
    .await;
    presses_in_vain(&ward, &bot, id::DEVELOPER, "You made the change", "author").await;
}

#[tokio::test]
async fn who_made_the_change_is_known_by_the_address_that_is_the_session() {
    let (ward, bot) = open(|set| {
        let arn = "arn:aws:sts::123456789012:assumed-role/developer/dana@shop.example";
        set.author = Some(arn.into());
    })
    .await;
    presses_in_vain(&ward, &bot, id::DEVELOPER, "You made the change", "author").await;
}

#[tokio::test]
async fn nobody_may_once_it_has_expired() {
    let (ward, bot) = open(|set| set.expires_after = SignedDuration::from_secs(10)).await;
    ward.asked().await;
    let asked = ward
        .wait("the end of the request", |message| {
            message.event_type() == Some("incident_result") && !message.action_ids().contains(&APPROVE)
        })
        .await;
    let body = ward.press(id::APPROVER, id::ALERTS, &asked.ts, APPROVE);
    assert_eq!(ward.send(&bot, "signing", &body).await, 200);
    ward.told(id::APPROVER, "This request is expired").await;
    refused(&ward, &bot, &["closed"]).await;
}

#[tokio::test]
async fn the_second_one_learns_who_was_first() {
    let (ward, bot) = open(|_| {}).await;
    let asked = ward.asked().await;
    ward.slack.click(id::APPROVER, id::ALERTS, &asked.ts, APPROVE).await.unwrap();
    ward.wait("the outcome", |message| message.text.contains("Rolled back")).await;
    let body = ward.press(id::ON_CALL, id::ALERTS, &asked.ts, APPROVE);
    assert_eq!(ward.send(&bot, "signing", &body).await, 200);
    ward.told(id::ON_CALL, &format!("Already approved by <@{}>", id::APPROVER)).await;
    assert_eq!(ward.changes(bot.store()).await.len(), 1);
    let rows = trail(bot.store(), &["refused"]).await;
    assert_eq!(rows[0]["refusal"], "already_decided");
}

#[tokio::test]
async fn a_plan_that_a_newer_deployment_overtook_is_not_carried_out() {
    let (ward, bot) = open(|_| {}).await;
    let asked = ward.asked().await;
    ward.drift();
    ward.slack.click(id::APPROVER, id::ALERTS, &asked.ts, APPROVE).await.unwrap();
    let told = ward.wait("what moved", |message| message.text.contains("Nothing was changed")).await;
    assert!(told.text.contains("The investigation looks again"), "{}", told.text);
    assert_eq!(ward.changes(bot.store()).await, []);
    let rows = trail(bot.store(), &["sending", "ended"]).await;
    assert_eq!((rows.len(), &rows[0]["applied"]), (1, &false.into()), "{rows:?}");
}

#[tokio::test]
async fn what_slack_did_not_sign_decides_nothing_and_is_written_down() {
    let (ward, bot) = open(|_| {}).await;
    let asked = ward.asked().await;
    let body = ward.press(id::APPROVER, id::ALERTS, &asked.ts, APPROVE);
    for _ in 0..3 {
        assert_eq!(ward.send(&bot, "another secret", &body).await, 401);
    }
    refused(&ward, &bot, &["bad_signature"]).await;
    assert_eq!(trail(bot.store(), &["decided"]).await.len(), 0);
}

#[tokio::test]
async fn a_request_that_is_sent_again_is_the_same_click() {
    let (ward, bot) = open(|_| {}).await;
    let asked = ward.asked().await;
    let body = ward.press(id::APPROVER, id::ALERTS, &asked.ts, APPROVE);
    for _ in 0..3 {
        assert_eq!(ward.send(&bot, "signing", &body).await, 200);
    }
    ward.wait("the outcome", |message| message.text.contains("Rolled back")).await;
    assert_eq!(ward.send(&bot, "signing", &body).await, 200);
    assert_eq!(ward.changes(bot.store()).await.len(), 1);
    assert_eq!(trail(bot.store(), &["decided"]).await.len(), 1);
    assert_eq!(trail(bot.store(), &["refused"]).await.len(), 0);
}

#[tokio::test]
async fn a_click_in_another_channel_does_not_count() {
    let (ward, bot) = open(|_| {}).await;
    let asked = ward.asked().await;
    let body = ward.press(id::APPROVER, id::CHECKOUT, &asked.ts, APPROVE);
    assert_eq!(ward.send(&bot, "signing", &body).await, 200);
    ward.told(id::APPROVER, "belongs to another message").await;
    refused(&ward, &bot, &["wrong_message"]).await;
}

#[tokio::test]
async fn a_message_that_was_deleted_asks_for_nothing_any_more() {
    let (ward, bot) = open(|_| {}).await;
    let asked = ward.asked().await;
    let body = ward.press(id::APPROVER, id::ALERTS, &asked.ts, APPROVE);
    ward.slack.delete_message(id::ALERTS, &asked.ts).unwrap();
    assert_eq!(ward.send(&bot, "signing", &body).await, 200);
    ward.told(id::APPROVER, "was deleted").await;
    refused(&ward, &bot, &["message_gone"]).await;
}

#[tokio::test]
async fn a_group_that_slack_does_not_tell_lets_nobody_through() {
    let (ward, bot) = open(|set| set.config.approvals.approvers = vec![id::APPROVERS.into()]).await;
    let fault = FaultKind::Error("fatal_error".into());
    ward.slack.script(Fault { times: None, ..Fault::once("usergroups.users.list", fault) });
    let words = format!("does not say who is in {}", id::APPROVERS);
    presses_in_vain(&ward, &bot, id::APPROVER, &words, "group_unknown").await;
}

/// What a form is filled with.
fn reason(text: &str) -> Action {
    Action { action_id: "reason".into(), block_id: None, chosen: Chosen::Text(text.into()) }
}

#[tokio::test]
async fn who_may_break_the_glass_does_so_with_a_reason_that_everybody_reads() {
    let (ward, bot) = open(|set| {
        set.config.approvals.break_glass = vec![id::ON_CALL.into()];
        set.requested_by = Some(id::ON_CALL.into());
    })
    .await;
    let asked = ward.asked().await;
    ward.slack.click(id::ON_CALL, id::ALERTS, &asked.ts, "rollback_break_glass").await.unwrap();
    let form = ward.slack.submit_view(id::ON_CALL, &[reason("alone at night")]).await.unwrap();
    assert_eq!(form, Submitted::Closed);
    ward.wait("the reason", |message| message.text.contains("alone (break-glass). Reason: alone at night"))
        .await;
    ward.wait("the outcome", |message| message.text.contains("Rolled back")).await;
    assert_eq!(ward.changes(bot.store()).await.len(), 1);
    let rows = trail(bot.store(), &["decided"]).await;
    assert_eq!((&rows[0]["break_glass"], &rows[0]["reason"]), (&true.into(), &"alone at night".into()));
}

#[tokio::test]
async fn who_is_not_on_the_list_does_not_break_the_glass() {
    let (ward, bot) = open(|set| set.config.approvals.break_glass = vec![id::ON_CALL.into()]).await;
    let asked = ward.asked().await;
    ward.slack.click(id::APPROVER, id::ALERTS, &asked.ts, "rollback_break_glass").await.unwrap();
    ward.told(id::APPROVER, "not on the list of those who may approve alone").await;
    refused(&ward, &bot, &["may_not_break_glass"]).await;
}

#[tokio::test]
async fn a_rejection_says_why() {
    let (ward, bot) = open(|_| {}).await;
    let asked = ward.asked().await;
    ward.slack.click(id::APPROVER, id::ALERTS, &asked.ts, "rollback_reject").await.unwrap();
    ward.slack.submit_view(id::APPROVER, &[reason("we go forward")]).await.unwrap();
    ward.wait("the decision", |message| {
        let body = serde_json::to_string(&message.blocks).unwrap();
        body.contains("Rejected by") && body.contains("we go forward")
    })
    .await;
    let rows = trail(bot.store(), &["decided"]).await;
    assert_eq!((&rows[0]["decision"], &rows[0]["reason"]), (&"rejected".into(), &"we go forward".into()));
    assert_eq!(ward.changes(bot.store()).await, []);
}

#[tokio::test]
async fn a_stranger_s_reason_rejects_nothing() {
    let (ward, bot) = open(|_| {}).await;
    let asked = ward.asked().await;
    ward.slack.click(id::STRANGER, id::ALERTS, &asked.ts, "rollback_reject").await.unwrap();
    ward.slack.submit_view(id::STRANGER, &[reason("I say so")]).await.unwrap();
    ward.told(id::STRANGER, "not on the list of approvers").await;
    refused(&ward, &bot, &["not_an_approver"]).await;
}

#[tokio::test]
async fn the_plan_is_shown_whole_and_tried_without_effect() {
    let (ward, bot) = open(|_| {}).await;
    let asked = ward.asked().await;
    ward.slack.click(id::STRANGER, id::ALERTS, &asked.ts, "show_plan").await.unwrap();
    let view = ward.slack.modal(id::STRANGER).unwrap();
    let body = view.body["blocks"].to_string();
    for part in ["aws lambda update-alias", "What stays wrong", "Only while", "--revision-id"] {
        assert!(body.contains(part), "{part}: {body}");
    }
    let place = incident_commander::demo::slack::Place::Modal;
    ward.slack.act(id::STRANGER, &place, &Action::click("try_plan")).await.unwrap();
    ward.told(id::STRANGER, "tried without effect").await;
    assert_eq!(ward.changes(bot.store()).await, []);
}
