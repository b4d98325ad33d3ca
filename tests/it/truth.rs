//! What is said about a change whose answer never came: only what AWS shows.
//!
//! The rule that is not obvious: all clocks stand until they are moved, and CloudTrail shows a record when the
//! test lets it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use incident_commander::demo::aws::{Fault, Identity};
use incident_commander::demo::slack::workspace::id;
use incident_commander::domain::execution::Effect;
use incident_commander::domain::incident::State;
use incident_commander::domain::rollback::RollbackTarget;
use incident_commander::fail_points::{FailPoints, Point};
use incident_commander::worker::Bench;
use serde_json::Value;
use tokio::sync::Notify;

use crate::aws_account::{ACCOUNT, Account, FUNCTION, at, environment};
use crate::aws_kinds::{deploy_flags, deploy_service, put_limit};
use crate::ward::{Set, Ward, trail};

const APPROVE: &str = "rollback_approve";

/// The request is in the channel, and somebody who may has pressed the button.
async fn pressed(change: impl FnOnce(&mut Set)) -> (Ward, Bench) {
    let ward = Ward::open(true, change).await;
    let bench = ward.bench().await;
    ward.live(&bench, 6).await;
    ward.clicked(&bench, "press/1", id::APPROVER, APPROVE).await;
    (ward, bench)
}

/// Lives on until this point, dies there, and another process is there to begin.
async fn dies_at(ward: &Ward, mut bench: Bench, point: Point) -> Bench {
    let reached = Arc::new(Notify::new());
    bench.fail_points = FailPoints::armed(point, reached.clone());
    tokio::select! {
        () = reached.notified() => {}
        () = ward.live(&bench, 60) => panic!("{point:?} was never reached"),
    }
    bench.store.close().await;
    drop(bench);
    ward.bench().await
}

/// Somebody else points the alias at this version.
fn bob_moves(ward: &Ward, version: &str) {
    let bob = Identity::user(ACCOUNT, "bob");
    let now = ward.account.clock.now();
    ward.account.world.update_alias(FUNCTION, "live", version, &BTreeMap::new(), &bob, now).unwrap();
}

fn said(ward: &Ward) -> String {
    let all = ward.slack.messages(id::ALERTS);
    all.iter().map(|message| message.text.as_str()).collect::<Vec<_>>().join("\n")
}

async fn last(bench: &Bench, kind: &str) -> Value {
    trail(&bench.store, &[kind]).await.pop().unwrap_or_default()
}

#[tokio::test]
async fn a_change_that_was_made_and_then_overtaken_is_told_as_both() {
    let (ward, bench) = pressed(|_| {}).await;
    let bench = dies_at(&ward, bench, Point::Answered).await;
    bob_moves(&ward, "2");
    ward.live(&bench, 60).await;
    assert_eq!(ward.changes(&bench.store).await.len(), 1);
    let ended = last(&bench, "ended").await;
    assert_eq!((&ended["effect"], &ended["applied"]), (&"overtaken".into(), &true.into()), "{ended}");
    assert!(said(&ward).contains("was made, and something else changed it since"), "{}", said(&ward));
    assert!(!said(&ward).contains("did not take place"), "{}", said(&ward));
}

#[tokio::test]
async fn what_somebody_else_restored_is_never_claimed() {
    let (ward, bench) = pressed(|_| {}).await;
    let bench = dies_at(&ward, bench, Point::Marked).await;
    bob_moves(&ward, "1");
    ward.live(&bench, 30).await;
    assert_eq!(ward.changes(&bench.store).await, []);
    let ended = last(&bench, "ended").await;
    assert_eq!((&ended["effect"], &ended["applied"]), (&"in_place".into(), &Value::Null), "{ended}");
    assert!(!said(&ward).contains("Rolled back"), "{}", said(&ward));
    assert!(said(&ward).contains("is not known"), "{}", said(&ward));
    // It is as the plan wants it, so whether it helps is looked at all the same.
    ward.live(&bench, 5 * 60).await;
    assert!(last(&bench, "judged").await["word"] == "recovered", "{}", said(&ward));
    ward.live(&bench, 12 * 60).await;
    assert_eq!(last(&bench, "settled").await["effect"], "by_another");
    assert!(said(&ward).contains("the bot's call changed nothing"), "{}", said(&ward));
    assert_eq!(ward.of(&bench).await.effect, Some(Effect::ByAnother));
}

#[tokio::test]
async fn a_lost_answer_is_settled_when_cloudtrail_shows_the_call() {
    let (ward, bench) = pressed(|_| {}).await;
    ward.account.world.set_cloudtrail_delay(Duration::from_mins(4));
    ward.account.world.script_faults("lambda:UpdateAlias", [Some(Fault::LostAnswer)]);
    ward.live(&bench, 60).await;
    assert_eq!(last(&bench, "ended").await["effect"], "in_place", "{}", said(&ward));
    ward.live(&bench, 5 * 60).await;
    assert_eq!(last(&bench, "settled").await["effect"], "made", "{}", said(&ward));
    assert_eq!(ward.changes(&bench.store).await.len(), 1);
}

pub fn environment_back(account: &Account) -> RollbackTarget {
    let _ = account;
    let pool = (Some("5".to_owned()), Some("10".to_owned()));
    RollbackTarget::LambdaConfiguration {
        function: FUNCTION.into(),
        keys: [("DB_POOL_SIZE".to_owned(), pool)].into(),
        settings: BTreeMap::new(),
        revision_id: String::new(),
    }
}

pub fn settings_back(account: &Account) -> RollbackTarget {
    let alice = Identity::user(ACCOUNT, "alice");
    let input = serde_json::json!({"Timeout": 3});
    account.world.update_function_configuration(FUNCTION, &input, &alice, at("12:00:30")).unwrap();
    RollbackTarget::LambdaConfiguration {
        function: FUNCTION.into(),
        keys: BTreeMap::new(),
        settings: [("Timeout".to_owned(), ("3".to_owned(), "10".to_owned()))].into(),
        revision_id: String::new(),
    }
}

/// Variables and settings that were changed by one call.
pub fn configuration_back(account: &Account) -> RollbackTarget {
    let RollbackTarget::LambdaConfiguration { keys, function, revision_id, .. } = environment_back(account)
    else {
        unreachable!("it is a function's")
    };
    let RollbackTarget::LambdaConfiguration { settings, .. } = settings_back(account) else {
        unreachable!("it is a function's")
    };
    RollbackTarget::LambdaConfiguration { function, keys, settings, revision_id }
}

pub fn concurrency_back(account: &Account) -> RollbackTarget {
    let alice = Identity::user(ACCOUNT, "alice");
    account.world.set_function_concurrency(FUNCTION, Some(1), &alice, at("12:00:00")).unwrap();
    RollbackTarget::LambdaConcurrency { function: FUNCTION.into(), from: Some(1), to: None }
}

pub fn old_flags_back(account: &Account) -> RollbackTarget {
    deploy_flags(account, 0, "2026-02-02T12:00:00Z")
}

#[tokio::test]
async fn an_interrupted_change_is_made_after_all_where_aws_itself_checks_what_it_starts_from() {
    let kinds: [fn(&Account) -> RollbackTarget; 5] = [
        environment_back,
        configuration_back,
        |account| deploy_service(account, "12:19:50"),
        |account| deploy_flags(account, 60, "2026-02-06T12:10:00Z"),
        old_flags_back,
    ];
    for target in std::iter::once(None).chain(kinds.map(Some)) {
        let (ward, bench) = pressed(|set| set.target = target).await;
        let call = ward.of(&bench).await.plan.call;
        let bench = dies_at(&ward, bench, Point::Marked).await;
        ward.live(&bench, 30).await;
        let made: Vec<String> =
            ward.changes(&bench.store).await.into_iter().map(|one| one.operation).collect();
        assert_eq!(made, std::slice::from_ref(&call), "{call}");
        let ended = last(&bench, "ended").await;
        assert_eq!(ended["effect"], "made", "{call}: {}", said(&ward));
        assert_eq!(trail(&bench.store, &["sending"]).await.len(), 2, "{call}: each call has its row");
    }
}

#[tokio::test]
async fn an_interrupted_change_that_nobody_guards_is_not_sent_again_and_says_so() {
    let kinds: [fn(&Account) -> RollbackTarget; 3] = [
        |account| deploy_service(account, "11:00:00"),
        |account| put_limit(account, "String"),
        concurrency_back,
    ];
    for target in kinds {
        let (ward, bench) = pressed(|set| set.target = Some(target)).await;
        let call = ward.of(&bench).await.plan.call;
        let bench = dies_at(&ward, bench, Point::Marked).await;
        ward.live(&bench, 60).await;
        // As long as a signed request can still arrive, nothing is certain and nothing else is sent.
        assert_eq!(ward.of(&bench).await.effect, None, "{call}");
        assert!(said(&ward).contains("was interrupted"), "{call}: {}", said(&ward));
        assert!(said(&ward).contains("12:25:46 UTC"), "{call}: {}", said(&ward));
        ward.live(&bench, 6 * 60).await;
        assert_eq!(ward.changes(&bench.store).await, [], "{call}");
        let ended = last(&bench, "ended").await;
        let unseen = call.ends_with("FunctionConcurrency");
        assert_eq!(ended["effect"], if unseen { "unclear" } else { "not_made" }, "{call}: {}", said(&ward));
        assert_eq!(trail(&bench.store, &["sending"]).await.len(), 1, "{call}");
    }
}

#[tokio::test]
async fn a_parameter_s_history_tells_whose_hand_it_was() {
    let (ward, bench) = pressed(|set| set.target = Some(|account| put_limit(account, "String"))).await;
    let bench = dies_at(&ward, bench, Point::Answered).await;
    ward.account.world.set_cloudtrail_delay(Duration::from_hours(1));
    let bob = Identity::user(ACCOUNT, "bob");
    ward.account
        .world
        .put_parameter("/checkout/limit", "String", "7", &bob, ward.account.clock.now())
        .unwrap();
    ward.live(&bench, 30).await;
    assert_eq!(last(&bench, "ended").await["effect"], "overtaken", "{}", said(&ward));
}

#[tokio::test]
async fn a_call_that_may_still_arrive_keeps_the_next_one_back() {
    let (ward, bench) = pressed(|set| set.target = Some(concurrency_back)).await;
    ward.account.world.script_faults("lambda:DeleteFunctionConcurrency", [Some(Fault::Reset)]);
    ward.live(&bench, 30).await;
    // Somebody else does the same by hand: it is in place, and the lost call may still be on its way.
    let bob = Identity::user(ACCOUNT, "bob");
    ward.account.world.set_function_concurrency(FUNCTION, None, &bob, ward.account.clock.now()).unwrap();
    ward.live(&bench, 30).await;
    assert_eq!(last(&bench, "ended").await["effect"], "in_place", "{}", said(&ward));
    let plan = ward.of(&bench).await.plan;
    let waits = bench.store.on_its_way(&plan.target, "another", ward.clock.now()).await.unwrap();
    assert_eq!(waits, Some(at("12:25:46")));
}

#[tokio::test]
async fn a_change_that_can_never_be_carried_out_ends_in_words() {
    let (ward, bench) = pressed(|_| {}).await;
    let block =
        "CREATE TRIGGER broken BEFORE UPDATE OF sent_at ON approvals BEGIN SELECT raise(ABORT, 'disk'); END";
    ward.run_sql(block).await;
    ward.live(&bench, 20 * 60).await;
    assert_eq!(ward.changes(&bench.store).await, []);
    let row = bench.store.incident_row(ward.of(&bench).await.incident).await.unwrap().unwrap();
    assert_ne!(row.state, State::RollingBack);
    assert_eq!(last(&bench, "ended").await["effect"], "not_made");
    assert!(said(&ward).contains("Nothing was changed: the bot failed"), "{}", said(&ward));
}

#[tokio::test]
async fn the_environment_s_other_keys_stay() {
    let (ward, bench) = pressed(|set| set.target = Some(environment_back)).await;
    let bench = dies_at(&ward, bench, Point::Marked).await;
    ward.live(&bench, 30).await;
    let (_, variables) = ward.account.world.live_configuration(FUNCTION, "$LATEST").unwrap();
    assert_eq!(variables, environment("10"));
}

#[tokio::test]
async fn who_asks_again_asked_for_it_too() {
    let ward = Ward::open(true, |set| set.requested_by = Some(id::DEVELOPER.into())).await;
    let bench = ward.bench().await;
    let incident = ward.of(&bench).await.incident;
    let now = ward.clock.now();
    bench.store.investigate_again_once(incident, id::APPROVER, "asked for", None, now).await.unwrap();
    let askers = bench.store.askers(incident).await.unwrap();
    assert_eq!(askers, [id::APPROVER.to_owned(), id::DEVELOPER.to_owned()].into());
}

#[tokio::test]
async fn a_plan_that_was_changed_behind_the_bot_s_back_is_not_carried_out() {
    let (ward, bench) = pressed(|_| {}).await;
    ward.run_sql("UPDATE approvals SET plan = replace(plan, '\"to_version\":\"1\"', '\"to_version\":\"2\"')")
        .await;
    ward.live(&bench, 10).await;
    assert_eq!(ward.changes(&bench.store).await, []);
    assert!(said(&ward).contains("is not the one that approval was asked for"), "{}", said(&ward));
}
