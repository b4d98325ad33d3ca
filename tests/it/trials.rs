//! A small test from its offer to its result: a share of the traffic for five minutes, begun once and ended once,
//! whatever happens meanwhile, and then weighed.
//!
//! The rule that is not obvious: all clocks stand until they are moved, and the minutes in which nothing is due are
//! skipped.

use std::collections::BTreeMap;

use incident_commander::analysis;
use incident_commander::bundle;
use incident_commander::config::Person;
use incident_commander::demo::aws::{Fault, Identity};
use incident_commander::demo::slack::Message;
use incident_commander::demo::slack::workspace::id;
use incident_commander::domain::incident::State;
use incident_commander::domain::plan::{Aim, Plan};
use incident_commander::domain::report::ActionKind;
use incident_commander::domain::rollback::RollbackTarget;
use incident_commander::domain::trial::{Design, Word};
use incident_commander::fail_points::Point;
use incident_commander::store::{Approval, ClickedButton};
use incident_commander::worker::Bench;
use jiff::SignedDuration;

use crate::aws_account::{ACCOUNT, Account, FUNCTION, GROUP, at};
use crate::crashes::{APPROVE, asked, die_at};
use crate::ward::{Set, Ward, trail};

const END: &str = "trial_end";
/// The minutes of a test, and until its result is read, in seconds.
const LASTS: u64 = 5 * 60;
const COUNTED: u64 = 120;

fn design() -> Design {
    Design {
        function: FUNCTION.into(),
        alias: "live".into(),
        current: "2".into(),
        earlier: "1".into(),
        change: "configuration change of checkout from version 1 to version 2".into(),
        other: "parameter change of /checkout/limit".into(),
        if_change: 0.0,
        if_other: 0.4,
        needed: 7,
        expected: 16,
    }
}

/// The step of a small test in this account.
pub fn shared_out(account: &Account) -> RollbackTarget {
    let _ = account;
    design().step()
}

/// The plan of a small test in place of a rollback.
pub fn as_test(plan: Plan) -> Plan {
    Plan::trying(design(), plan.target, plan.author)
}

fn a_test(set: &mut Set) {
    set.target = Some(shared_out);
    set.plan = as_test;
    set.afterwards = |_| (40.0, 100.0);
}

/// Of a hundred requests a minute from 12:20 on five go to version 1, of which so many fail; of the others 38 do.
pub fn by_version(account: &Account, failing: f64) {
    for minute in 0..12 {
        let at = at("12:20:00") + SignedDuration::from_mins(minute);
        for (version, requests, errors) in [("1", 5.0, failing), ("2", 95.0, 38.0)] {
            let dimensions =
                [("FunctionName", FUNCTION), ("Resource", "checkout:live"), ("ExecutedVersion", version)];
            account.world.put_metric("AWS/Lambda", "Invocations", &dimensions, at, requests, "Count", false);
            account.world.put_metric("AWS/Lambda", "Errors", &dimensions, at, errors, "Count", false);
        }
    }
}

/// Seconds in which nothing is due but what the test waits for.
async fn wait(ward: &Ward, bench: &Bench, seconds: u64) {
    for _ in 0..seconds / 20 {
        ward.pass(19);
        ward.live(bench, 1).await;
    }
}

/// The alias as it is: its version, and what goes elsewhere.
async fn alias(ward: &Ward) -> (String, Vec<(String, f64)>) {
    let sdk = aws_sdk_lambda::Client::new(&ward.account.sdk().await);
    let alias = sdk.get_alias().function_name(FUNCTION).name("live").send().await.unwrap();
    let weights = alias.routing_config().and_then(|routing| routing.additional_version_weights());
    let weights = weights.into_iter().flatten().map(|(version, weight)| (version.clone(), *weight)).collect();
    (alias.function_version().unwrap_or_default().to_owned(), weights)
}

fn all_on(version: &str) -> (String, Vec<(String, f64)>) {
    (version.to_owned(), Vec::new())
}

fn shared() -> (String, Vec<(String, f64)>) {
    ("2".to_owned(), vec![("1".to_owned(), 0.05)])
}

fn said(ward: &Ward, part: &str) -> Vec<Message> {
    let notices = ward.slack.messages(id::ALERTS).into_iter();
    let notices = notices.filter(|message| message.event_type() == Some("incident_notice"));
    notices.filter(|message| serde_json::json!(message.blocks).to_string().contains(part)).collect()
}

async fn state(bench: &Bench, approval: &Approval) -> State {
    bench.store.incident_row(approval.incident).await.unwrap().unwrap().state
}

/// A press on the message of the test that runs.
async fn end_now(ward: &Ward, bench: &Bench, delivery: &str, user: &str) {
    let approval = ward.of(bench).await;
    let running = said(ward, "Test begun").pop().unwrap();
    let click = ClickedButton {
        delivery: delivery.to_owned(),
        action_id: END.to_owned(),
        value: approval.id,
        user: user.to_owned(),
        channel: id::ALERTS.to_owned(),
        message_ts: running.ts,
        thread_ts: None,
        reason: None,
    };
    bench.store.accept_click(delivery, click, ward.clock.now()).await.unwrap();
}

/// Two changes, of which the later one breaks less often as a rule, and then two of five requests that fail; so many a
/// minute.
pub fn two_changes_in(account: &Account, requests: f64) {
    let erin = Identity::user(ACCOUNT, "erin");
    for (value, time) in [("c", "08:00:00"), ("d", "12:02:40")] {
        account.world.put_parameter("/checkout/vouchers", "String", value, &erin, at(time)).unwrap();
    }
    for minute in 0..80 {
        let at = at("11:00:00") + SignedDuration::from_mins(minute);
        let errors = if minute < 64 { 0.0 } else { requests * 0.4 };
        for (metric, value) in [("Invocations", requests), ("Errors", errors)] {
            account.world.put_metric(
                "AWS/Lambda",
                metric,
                &[("FunctionName", FUNCTION)],
                at,
                value,
                "Count",
                false,
            );
        }
    }
    // What it says of itself tells of neither change.
    for minute in 0..80 {
        let (version, level, message) = match minute {
            ..60 => ("1", "INFO", "order stored"),
            60..64 => ("2", "INFO", "order stored"),
            _ => ("2", "ERROR", "a voucher could not be read"),
        };
        let line = serde_json::json!({ "level": level, "message": message }).to_string();
        let stream = format!("2026/02/06/[{version}]0123456789abcdef");
        for second in [5, 35] {
            let at = at("11:00:00") + SignedDuration::from_secs(minute * 60 + second);
            account.world.put_log(GROUP, &stream, at, line.clone());
        }
    }
}

/// An incident after two changes, of which the later one breaks less often as a rule, investigated for real; so many
/// requests a minute.
async fn two_changes(requests: f64, afterwards: fn(i64) -> (f64, f64)) -> (Ward, Bench) {
    let (ward, bench) = asked(|set| {
        set.afterwards = afterwards;
        let alice = "arn:aws:iam::123456789012:user/alice".to_owned();
        set.config.people = vec![Person { slack: id::DEVELOPER.into(), aws: vec![alice] }];
    })
    .await;
    two_changes_in(&ward.account, requests);
    let incident = ward.of(&bench).await.incident;
    bench.store.investigate_again(incident, "asked for again", ward.clock.now()).await.unwrap();
    ward.live(&bench, 10).await;
    (ward, bench)
}

async fn pending(ward: &Ward, bench: &Bench) -> Option<Approval> {
    let incident = ward.of(bench).await.incident;
    bench.store.pending_approval(incident).await.unwrap()
}

/// From the offer to the second verdict: what was approved, and what is asked for then.
async fn from_offer_to_verdict(failing: f64) -> (Ward, Bench, Approval, Approval) {
    let (ward, bench) = two_changes(100.0, |_| (40.0, 100.0)).await;
    by_version(&ward.account, failing);
    let asked = pending(&ward, &bench).await.expect("a test is offered");
    assert!(matches!(&asked.plan.aim, Aim::Try(_)), "{:?}", asked.plan);
    let shown = ward.slack.message(id::ALERTS, asked.message_ts.as_deref().unwrap()).unwrap();
    let body = serde_json::json!(shown.blocks).to_string();
    for part in
        ["Try 5 % on version 1 for 5 minutes", "show_plan", "rollback_reject", "A small test would tell"]
    {
        assert!(body.contains(part), "{part}: {body}");
    }
    ward.clicked_on(&bench, &asked, "press/1", id::APPROVER, APPROVE).await;
    ward.live(&bench, 5).await;
    assert_eq!(alias(&ward).await, shared());
    assert_eq!(state(&bench, &asked).await, State::Trying);
    assert_eq!(said(&ward, "End it now").len(), 1);
    wait(&ward, &bench, LASTS - 40).await;
    assert_eq!(alias(&ward).await, shared(), "it lasts its time");
    wait(&ward, &bench, 60).await;
    assert_eq!(alias(&ward).await, all_on("2"));
    wait(&ward, &bench, COUNTED).await;
    ward.live(&bench, 10).await;
    let next = pending(&ward, &bench).await.expect("a rollback is offered");
    (ward, bench, asked, next)
}

#[tokio::test]
async fn a_result_that_points_at_the_change_is_told_and_its_rollback_is_offered() {
    let (ward, bench, asked, next) = from_offer_to_verdict(0.0).await;
    assert!(matches!(&next.plan.target, RollbackTarget::LambdaAlias { to_version, .. } if to_version == "1"));
    assert_eq!(next.plan.aim, Aim::Undo);
    let told = said(&ward, "That points at");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].text.contains("requests to version 1 failed, and"), "{}", told[0].text);
    assert_eq!(trail(&bench.store, &["judged"]).await[0]["word"], Word::PointsAtIt.as_str());
    assert_eq!(ward.changes(&bench.store).await.len(), 2, "begun once and ended once");
    // What is kept derives the same verdict again.
    let incident = bench.store.incident(asked.incident).await.unwrap().unwrap();
    let files = bench.store.evidence(asked.incident).await.unwrap();
    let evidence = bundle::from_files(&files).unwrap();
    assert_eq!(evidence.trials.len(), 1);
    let again = analysis::investigate(&evidence).report;
    assert_eq!((Some(again.verdict), again.evidence), (incident.verdict, incident.evidence));
    assert_eq!(again.action.kind, ActionKind::Rollback);
    // And the rollback that follows is made as every other.
    ward.clicked_on(&bench, &next, "press/2", id::APPROVER, APPROVE).await;
    ward.live(&bench, 5).await;
    assert_eq!(alias(&ward).await, all_on("1"));
}

#[tokio::test]
async fn a_result_that_clears_the_change_leads_to_the_other_one() {
    let (ward, bench, _, next) = from_offer_to_verdict(2.0).await;
    assert!(matches!(&next.plan.target, RollbackTarget::SsmParameter { .. }), "{:?}", next.plan);
    assert_eq!(said(&ward, "That speaks against").len(), 1);
    assert_eq!(trail(&bench.store, &["judged"]).await[0]["word"], Word::ClearsIt.as_str());
}

#[tokio::test]
async fn where_the_traffic_could_not_tell_no_test_is_offered_and_the_thread_says_why() {
    let (ward, bench) = two_changes(10.0, |_| (4.0, 10.0)).await;
    assert!(pending(&ward, &bench).await.is_none());
    let mut results = ward.slack.messages(id::ALERTS).into_iter();
    let result = results.rfind(|message| message.event_type() == Some("incident_result")).unwrap();
    // A number and its `%` are kept together.
    let body = serde_json::json!(result.blocks).to_string().replace('\u{a0}', " ");
    assert!(
        body.contains("No small test is offered: of 5 % of the traffic no more than 0 requests"),
        "{body}"
    );
    assert!(!body.contains(APPROVE), "{body}");
}

#[tokio::test]
async fn only_who_may_begins_a_test_and_only_who_may_ends_it() {
    let (ward, bench) = asked(|set| {
        a_test(set);
        set.requested_by = Some(id::ON_CALL.into());
    })
    .await;
    for (delivery, user) in [("press/1", id::STRANGER), ("press/2", id::ON_CALL)] {
        ward.clicked(&bench, delivery, user, APPROVE).await;
    }
    ward.live(&bench, 5).await;
    let refusals = |rows: &[serde_json::Value]| -> Vec<String> {
        rows.iter().map(|row| row["refusal"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(refusals(&trail(&bench.store, &["refused"]).await), ["not_an_approver", "requester"]);
    assert_eq!(ward.changes(&bench.store).await, []);
    ward.clicked(&bench, "press/3", id::APPROVER, APPROVE).await;
    ward.live(&bench, 30).await;
    assert_eq!(alias(&ward).await, shared());
    end_now(&ward, &bench, "press/4", id::STRANGER).await;
    ward.live(&bench, 5).await;
    assert_eq!(alias(&ward).await, shared());
    let rows = trail(&bench.store, &["refused"]).await;
    assert_eq!(
        (rows.len(), &rows[2]["action"], &rows[2]["refusal"]),
        (3, &END.into(), &"not_an_approver".into())
    );
    let sentence = "You are not on the list of approvers of this service.";
    ward.told(id::STRANGER, id::ALERTS, &[sentence, sentence]).await;
    // Who asked for it may end it: that restores what was there.
    end_now(&ward, &bench, "press/5", id::ON_CALL).await;
    ward.live(&bench, 5).await;
    assert_eq!(alias(&ward).await, all_on("2"));
    let decided = trail(&bench.store, &["decided"]).await;
    assert_eq!(decided.len(), 2, "{decided:?}");
    assert_eq!((&decided[1]["actor"], &decided[1]["click"]), (&id::ON_CALL.into(), &"press/5".into()));
    ward.live(&bench, 10).await;
    // The button is gone, and a press that was under way finds that.
    assert_eq!(said(&ward, END).len(), 0);
    end_now(&ward, &bench, "press/6", id::ON_CALL).await;
    ward.live(&bench, 5).await;
    assert_eq!(trail(&bench.store, &["refused"]).await[3]["refusal"], "trial_over");
    assert_eq!(ward.changes(&bench.store).await.len(), 2);
}

/// Lives until a test that was begun is weighed.
async fn lives_until_weighed(ward: &Ward, bench: &Bench) {
    for _ in 0..60 {
        wait(ward, bench, 20).await;
        if !trail(&bench.store, &["judged"]).await.is_empty() {
            break;
        }
    }
    ward.live(bench, 5).await;
}

#[tokio::test]
async fn wherever_the_process_dies_a_test_is_begun_once_ended_once_and_read_once() {
    let to_its_begin = &Point::OF_A_RECOVERY[..11];
    for point in to_its_begin.iter().chain(&Point::OF_A_TRIAL).copied() {
        let (ward, bench) = asked(a_test).await;
        by_version(&ward.account, 0.0);
        ward.clicked(&bench, "press/1", id::APPROVER, APPROVE).await;
        if Point::OF_A_TRIAL.contains(&point) {
            ward.live(&bench, 5).await;
            wait(&ward, &bench, LASTS - 20).await;
        }
        let (bench, died) = die_at(&ward, bench, point, 140).await;
        assert!(died, "{point:?} was never reached");
        lives_until_weighed(&ward, &bench).await;
        assert_eq!(alias(&ward).await, all_on("2"), "{point:?}");
        let made: Vec<_> =
            ward.changes(&bench.store).await.into_iter().filter(|one| one.error_code.is_none()).collect();
        assert_eq!(made.len(), 2, "{point:?}: {made:?}");
        let ended = trail(&bench.store, &["ended"]).await;
        assert_eq!(ended.len(), 2, "{point:?}: {ended:?}");
        let judged = trail(&bench.store, &["judged"]).await;
        assert!(judged.len() == 1 && judged[0]["word"] == "points_at_it", "{point:?}: {judged:?}");
        for part in ["Test begun", "Test ended", "The test is over"] {
            assert_eq!(said(&ward, part).len(), 1, "{point:?}: {part}");
        }
        assert_ne!(state(&bench, &ward.of(&bench).await).await, State::Trying, "{point:?}");
    }
}

#[tokio::test]
async fn a_process_that_was_away_for_longer_than_a_test_lasts_ends_it_first_thing() {
    let (ward, bench) = asked(a_test).await;
    ward.clicked(&bench, "press/1", id::APPROVER, APPROVE).await;
    ward.live(&bench, 5).await;
    assert_eq!(alias(&ward).await, shared());
    bench.store.close().await;
    drop(bench);
    ward.pass(20 * 60);
    let bench = ward.bench().await;
    ward.live(&bench, 3).await;
    assert_eq!(alias(&ward).await, all_on("2"));
}

#[tokio::test]
async fn what_somebody_else_moved_meanwhile_stands_and_is_said() {
    let (ward, bench) = asked(a_test).await;
    by_version(&ward.account, 0.0);
    ward.clicked(&bench, "press/1", id::APPROVER, APPROVE).await;
    ward.live(&bench, 5).await;
    let half = BTreeMap::from([("1".to_owned(), 0.5)]);
    let bob = Identity::user(ACCOUNT, "bob");
    ward.account.world.update_alias(FUNCTION, "live", "2", &half, &bob, ward.account.clock.now()).unwrap();
    wait(&ward, &bench, LASTS + 20).await;
    assert_eq!(alias(&ward).await, ("2".to_owned(), vec![("1".to_owned(), 0.5)]));
    assert_eq!(ward.changes(&bench.store).await.len(), 1, "it was begun, and nothing else was sent");
    let told = said(&ward, "Somebody else has moved it while the test ran, and that is left as it is");
    assert_eq!(told.len(), 1, "{told:?}");
    lives_until_weighed(&ward, &bench).await;
    assert_ne!(state(&bench, &ward.of(&bench).await).await, State::Trying);
}

#[tokio::test]
async fn an_end_that_aws_refuses_is_told_once_and_tried_until_it_is_made() {
    let (ward, bench) = asked(a_test).await;
    by_version(&ward.account, 0.0);
    let denied = || Some(Fault::access_denied("lambda:UpdateAlias"));
    ward.account.world.script_faults("lambda:UpdateAlias", [None, denied(), denied()]);
    ward.clicked(&bench, "press/1", id::APPROVER, APPROVE).await;
    ward.live(&bench, 5).await;
    wait(&ward, &bench, LASTS + 40).await;
    assert_eq!(alias(&ward).await, shared());
    assert_eq!(state(&bench, &ward.of(&bench).await).await, State::Trying);
    wait(&ward, &bench, 160).await;
    assert_eq!(alias(&ward).await, all_on("2"));
    let refused = said(&ward, "Nothing was changed");
    assert_eq!(refused.len(), 1, "{refused:?}");
    lives_until_weighed(&ward, &bench).await;
    assert_eq!(said(&ward, "That points at").len(), 1);
}

#[tokio::test]
async fn a_silence_of_aws_is_read_back_and_never_answered_by_another_call() {
    // Each of the two waits for the SDK's own patience with one attempt.
    let silent = async |fault: Fault, made: usize, effect: &str, words: &str| {
        let (ward, bench) = asked(|_| {}).await;
        ward.account.world.script_faults("lambda:UpdateAlias", [Some(fault)]);
        ward.clicked(&bench, "press/1", id::APPROVER, APPROVE).await;
        ward.live(&bench, 60).await;
        let left = ward.changes(&bench.store).await;
        assert_eq!(left.len(), 1, "sent once: {left:?}");
        assert_eq!(left.iter().filter(|one| one.error_code.is_none()).count(), made);
        assert_eq!(trail(&bench.store, &["sending"]).await.len(), 1);
        assert!(!trail(&bench.store, &["read_back"]).await.is_empty());
        let ended = trail(&bench.store, &["ended"]).await;
        assert_eq!((ended.len(), &ended[0]["effect"]), (1, &effect.into()), "{ended:?}");
        assert_eq!(said(&ward, words).len(), 1, "{words}");
    };
    tokio::join!(
        silent(Fault::Silence, 1, "made", "(read back from AWS)"),
        silent(Fault::Hang, 0, "not_made", "The change got no answer and did not take place"),
    );
}
