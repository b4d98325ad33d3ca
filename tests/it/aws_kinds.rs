//! Every kind of change that is no function's, undone through the real SDK: tried, made once, read back, and
//! taken back.

use std::time::Duration;

use incident_commander::aws::Clients;
use incident_commander::aws::rollback::{
    InEffect, Obstacle, Outcome, State, apply, check, in_effect, prepare, read_back,
};
use incident_commander::demo::aws::{Fault, Identity, WorldClock, WorldOptions};
use incident_commander::domain::rollback::RollbackTarget;
use jiff::Timestamp;
use serde_json::json;

use super::aws_account::{ACCOUNT, Account, at, soon};

const CLUSTER: &str = "prod";
const SERVICE: &str = "refunds";

fn alice() -> Identity {
    Identity::user(ACCOUNT, "alice")
}

/// An account in which a rollout takes three minutes.
async fn account_with_rollouts() -> Account {
    let options = WorldOptions::immediate(WorldClock::manual(at("12:20:00")));
    Account::with(WorldOptions { rollout_time: Duration::from_mins(3), ..options }).await
}

/// A service with two revisions, of which it was moved to the second at this time.
pub fn deploy_service(account: &Account, moved_at: &str) -> RollbackTarget {
    let world = &account.world;
    for pool in ["10", "5"] {
        let members = json!({"family": SERVICE, "containerDefinitions": [{
            "name": "app", "image": "refunds:1", "environment": [{"name": "DB_POOL_SIZE", "value": pool}],
        }]});
        world.register_task_definition(&members, &alice(), at("08:00:00")).unwrap();
    }
    world.create_service(CLUSTER, SERVICE, "refunds:1", 4, &alice(), at("08:00:00")).unwrap();
    world.deploy_service(CLUSTER, SERVICE, "refunds:2", false, &alice(), at(moved_at)).unwrap();
    RollbackTarget::EcsService {
        cluster: CLUSTER.into(),
        service: SERVICE.into(),
        from_task_definition: format!("arn:aws:ecs:us-east-1:{ACCOUNT}:task-definition/refunds:2"),
        to_task_definition: format!("arn:aws:ecs:us-east-1:{ACCOUNT}:task-definition/refunds:1"),
        deployment: None,
        primary: None,
    }
}

/// Somebody else moves that service.
pub fn move_service(account: &Account, revision: &str, now: Timestamp) {
    let bob = Identity::user(ACCOUNT, "bob");
    let world = &account.world;
    let members = json!({"family": SERVICE, "containerDefinitions": [{"name": "app", "image": "refunds:3"}]});
    if revision == "refunds:3" {
        world.register_task_definition(&members, &bob, now).unwrap();
    }
    world.deploy_service(CLUSTER, SERVICE, revision, false, &bob, now).unwrap();
}

pub fn put_limit(account: &Account, kind: &str) -> RollbackTarget {
    for (value, time) in [("50", "08:00:00"), ("5", "12:00:00")] {
        account.world.put_parameter("/checkout/limit", kind, value, &alice(), at(time)).unwrap();
    }
    RollbackTarget::SsmParameter {
        name: "/checkout/limit".into(),
        from_version: 2,
        from_value: Some("5".into()),
        to_value: "50".into(),
    }
}

/// Two deployments of a profile; the second begins at this time and takes so many minutes.
pub fn deploy_flags(account: &Account, minutes: i64, begins: &str) -> RollbackTarget {
    let deploy = |content: &str, minutes: i64, begins: &str| {
        let begins = begins.parse().unwrap();
        account.world.deploy_configuration("shop", "prod", "flags", content, minutes, &alice(), begins)
    };
    deploy(r#"{"limit": 50}"#, 0, "2026-02-01T08:00:00Z");
    let (_, number) = deploy(r#"{"limit": 5}"#, minutes, begins);
    RollbackTarget::AppConfig {
        application: "shop".into(),
        environment: "prod".into(),
        profile: "flags".into(),
        deployment: number,
        to_version: Some("1".into()),
        from_version: Some("2".into()),
        ids: None,
    }
}

async fn prepared(clients: &Clients, account: &Account, target: &RollbackTarget) -> RollbackTarget {
    prepare(clients, target, account.clock.now(), soon()).await.unwrap()
}

/// Makes a change that was prepared: it applies, reads back as restored, and a second time nothing is sent.
async fn carry_out(clients: &Clients, account: &Account, target: &RollbackTarget) {
    let now = account.clock.now();
    assert_eq!(check(clients, target, now, soon()).await, Ok(()));
    assert_eq!(read_back(clients, target, soon()).await, Ok(State::Unchanged));
    let before = account.world.mutations().len();
    let writer = clients.writer("INC-7").await;
    assert_eq!(apply(clients, &writer, target, soon()).await, Outcome::Applied, "{target:?}");
    assert_eq!(read_back(clients, target, soon()).await, Ok(State::Restored), "{target:?}");
    let again = check(clients, target, now, soon()).await;
    assert!(matches!(again, Err(Obstacle::AlreadyThere { .. })), "{again:?}");
    let sent: Vec<String> =
        account.world.mutations().iter().skip(before).map(|one| one.operation.clone()).collect();
    assert_eq!(sent, [target.call()], "one call, and the one that the plan names");
}

#[tokio::test]
async fn a_service_goes_back_to_its_revision_and_keeps_its_number_of_tasks() {
    let account = account_with_rollouts().await;
    let target = deploy_service(&account, "11:00:00");
    let clients = account.clients().await;
    let target = prepared(&clients, &account, &target).await;
    assert!(matches!(&target, RollbackTarget::EcsService { deployment: None, .. }), "{target:?}");
    carry_out(&clients, &account, &target).await;
    assert_eq!(account.world.service_definition(CLUSTER, SERVICE).as_deref(), Some("refunds:1"));
    assert_eq!(account.world.desired_count(CLUSTER, SERVICE), Some(4));
    let starting = in_effect(&clients, &target, soon()).await.unwrap();
    assert_eq!(starting, InEffect::NotYet { what: "0 of 4 tasks of refunds run refunds:1".into() });
    account.clock.advance(Duration::from_mins(10));
    assert_eq!(in_effect(&clients, &target, soon()).await, Ok(InEffect::Yes));
    // And back again.
    let undo = prepared(&clients, &account, &target.reversed().unwrap()).await;
    carry_out(&clients, &account, &undo).await;
    assert_eq!(account.world.service_definition(CLUSTER, SERVICE).as_deref(), Some("refunds:2"));
}

#[tokio::test]
async fn a_deployment_in_progress_is_stopped() {
    let account = account_with_rollouts().await;
    let target = deploy_service(&account, "12:19:50");
    let clients = account.clients().await;
    let target = prepared(&clients, &account, &target).await;
    assert_eq!(target.call(), "ecs:StopServiceDeployment", "{target:?}");
    carry_out(&clients, &account, &target).await;
    account.clock.advance(Duration::from_mins(10));
    assert_eq!(account.world.service_definition(CLUSTER, SERVICE).as_deref(), Some("refunds:1"));
    assert_eq!(in_effect(&clients, &target, soon()).await, Ok(InEffect::Yes));
}

#[tokio::test]
async fn a_deployment_that_ended_since_the_plan_is_told_and_not_stopped() {
    let account = account_with_rollouts().await;
    let target = deploy_service(&account, "12:19:50");
    let clients = account.clients().await;
    let target = prepared(&clients, &account, &target).await;
    account.clock.advance(Duration::from_mins(10));
    let obstacle = check(&clients, &target, account.clock.now(), soon()).await.unwrap_err();
    assert!(obstacle.to_string().contains("Its deployment is still in progress"), "{obstacle}");
    // Who sends it all the same is refused by ECS.
    let outcome = apply(&clients, &clients.writer("INC-7").await, &target, soon()).await;
    assert!(matches!(outcome, Outcome::Moved { .. }), "{outcome:?}");
    assert_eq!(read_back(&clients, &target, soon()).await, Ok(State::Unchanged));
}

#[tokio::test]
async fn a_revision_or_service_that_cannot_be_started_is_no_target() {
    let account = Account::open().await;
    let target = deploy_service(&account, "11:00:00");
    account.world.deregister_task_definition("refunds:1");
    let clients = account.clients().await;
    let obstacle = prepare(&clients, &target, account.clock.now(), soon()).await.unwrap_err();
    assert_eq!(
        obstacle.to_string(),
        "what it goes back to is not there: revision refunds:1 is INACTIVE and cannot be started"
    );
    let RollbackTarget::EcsService { cluster, from_task_definition, to_task_definition, .. } = target else {
        unreachable!("it is a service's")
    };
    let gone = RollbackTarget::EcsService {
        cluster,
        service: "never-heard-of".into(),
        from_task_definition,
        to_task_definition,
        deployment: None,
        primary: None,
    };
    let obstacle = prepare(&clients, &gone, account.clock.now(), soon()).await.unwrap_err();
    assert!(obstacle.to_string().contains("there is no service never-heard-of"), "{obstacle}");
}

#[tokio::test]
async fn a_service_that_was_moved_in_between_is_left_alone() {
    let account = Account::open().await;
    let target = deploy_service(&account, "11:00:00");
    let clients = account.clients().await;
    let target = prepared(&clients, &account, &target).await;
    let members = json!({"family": SERVICE, "containerDefinitions": [{"name": "app", "image": "refunds:3"}]});
    account.world.register_task_definition(&members, &alice(), at("12:19:00")).unwrap();
    account.world.deploy_service(CLUSTER, SERVICE, "refunds:3", false, &alice(), at("12:19:30")).unwrap();
    let outcome = apply(&clients, &clients.writer("INC-7").await, &target, soon()).await;
    assert!(matches!(outcome, Outcome::Moved { .. }), "{outcome:?}");
    assert_eq!(account.world.calls("ecs:UpdateService"), 0);
    let state = read_back(&clients, &target, soon()).await;
    assert_eq!(state, Ok(State::Other { what: "refunds is at refunds:3".into() }));
}

#[tokio::test]
async fn a_parameter_gets_its_value_back() {
    let account = Account::open().await;
    let target = put_limit(&account, "String");
    let clients = account.clients().await;
    let target = prepared(&clients, &account, &target).await;
    carry_out(&clients, &account, &target).await;
    assert_eq!(account.world.parameter_value("/checkout/limit").as_deref(), Some("50"));
    let undo = prepared(&clients, &account, &target.reversed().unwrap()).await;
    carry_out(&clients, &account, &undo).await;
    assert_eq!(account.world.parameter_value("/checkout/limit").as_deref(), Some("5"));
}

#[tokio::test]
async fn a_parameter_that_was_written_in_between_is_left_alone() {
    let account = Account::open().await;
    let target = put_limit(&account, "String");
    account.world.put_parameter("/checkout/limit", "String", "7", &alice(), at("12:19:00")).unwrap();
    let clients = account.clients().await;
    let outcome = apply(&clients, &clients.writer("INC-7").await, &target, soon()).await;
    assert_eq!(outcome, Outcome::Moved { what: "/checkout/limit is at version 3 with another value".into() });
    assert_eq!(account.world.calls("ssm:PutParameter"), 0);
}

#[tokio::test]
async fn a_secret_is_neither_read_nor_written() {
    let account = Account::open().await;
    let target = put_limit(&account, "SecureString");
    let RollbackTarget::SsmParameter { name, from_version, to_value, .. } = target else {
        unreachable!("it is a parameter's")
    };
    let target = RollbackTarget::SsmParameter { name, from_version, from_value: None, to_value };
    let clients = account.clients().await;
    let obstacle = prepare(&clients, &target, account.clock.now(), soon()).await.unwrap_err();
    assert!(obstacle.to_string().contains("is a SecureString"), "{obstacle}");
}

#[tokio::test]
async fn a_value_that_the_parameter_never_had_is_not_put_back() {
    let account = Account::open().await;
    put_limit(&account, "String");
    let masked = RollbackTarget::SsmParameter {
        name: "/checkout/limit".into(),
        from_version: 2,
        from_value: Some("5".into()),
        to_value: "****".into(),
    };
    let clients = account.clients().await;
    let obstacle = prepare(&clients, &masked, account.clock.now(), soon()).await.unwrap_err();
    assert!(matches!(obstacle, Obstacle::Gone { .. }), "{obstacle:?}");
}

#[tokio::test]
async fn a_configuration_in_progress_and_one_that_ended_are_reverted() {
    for (minutes, begins) in [(60, "2026-02-06T12:10:00Z"), (0, "2026-02-06T12:00:00Z")] {
        let account = Account::open().await;
        let target = deploy_flags(&account, minutes, begins);
        let clients = account.clients().await;
        let target = prepared(&clients, &account, &target).await;
        assert!(matches!(&target, RollbackTarget::AppConfig { ids: Some(_), .. }), "{target:?}");
        carry_out(&clients, &account, &target).await;
        let live = account.world.live_configuration_content("shop", "prod", "flags");
        assert_eq!(live.as_deref(), Some(r#"{"limit": 50}"#), "{minutes}");
        assert_eq!(in_effect(&clients, &target, soon()).await, Ok(InEffect::Yes));
        // A revert is taken back by deploying the version again.
        let undo = prepared(&clients, &account, &target.reversed().unwrap()).await;
        assert_eq!(undo.call(), "appconfig:StartDeployment");
        carry_out(&clients, &account, &undo).await;
        let live = account.world.live_configuration_content("shop", "prod", "flags");
        assert_eq!(live.as_deref(), Some(r#"{"limit": 5}"#), "{minutes}");
    }
}

#[tokio::test]
async fn a_configuration_that_bakes_serves_everybody_and_ends_later() {
    let account = Account::open().await;
    let clients = account.clients().await;
    let target = deploy_flags(&account, 0, "2026-02-02T12:00:00Z");
    let target = prepared(&clients, &account, &target).await;
    carry_out(&clients, &account, &target).await;
    assert_eq!(in_effect(&clients, &target, soon()).await, Ok(InEffect::Yes));
    // The environment takes no other deployment until it has ended.
    let undo = target.reversed().unwrap();
    let obstacle = prepare(&clients, &undo, account.clock.now(), soon()).await.unwrap_err();
    assert!(matches!(&obstacle, Obstacle::Busy { what } if what.contains("still going on")), "{obstacle:?}");
    account.clock.advance(Duration::from_mins(10));
    assert!(prepare(&clients, &undo, account.clock.now(), soon()).await.is_ok());
}

#[tokio::test]
async fn a_configuration_older_than_three_days_is_deployed_in_its_earlier_version() {
    let account = Account::open().await;
    let target = deploy_flags(&account, 0, "2026-02-02T12:00:00Z");
    let clients = account.clients().await;
    let target = prepared(&clients, &account, &target).await;
    assert!(matches!(&target, RollbackTarget::AppConfigVersion { latest: Some(2), .. }), "{target:?}");
    carry_out(&clients, &account, &target).await;
    let live = account.world.live_configuration_content("shop", "prod", "flags");
    assert_eq!(live.as_deref(), Some(r#"{"limit": 50}"#));
}

#[tokio::test]
async fn a_newer_deployment_stops_the_revert() {
    let account = Account::open().await;
    let target = deploy_flags(&account, 0, "2026-02-06T12:00:00Z");
    let clients = account.clients().await;
    let target = prepared(&clients, &account, &target).await;
    account.world.deploy_configuration("shop", "prod", "flags", "{}", 0, &alice(), at("12:19:00"));
    let outcome = apply(&clients, &clients.writer("INC-7").await, &target, soon()).await;
    assert_eq!(outcome, Outcome::Moved { what: "deployment 3 is newer than the plan".into() });
    assert_eq!(account.world.calls("appconfig:StopDeployment"), 0);
}

#[tokio::test]
async fn a_lost_answer_is_unknown_and_reading_back_tells_for_every_kind() {
    let account = Account::open().await;
    let targets = [
        deploy_service(&account, "11:00:00"),
        put_limit(&account, "String"),
        deploy_flags(&account, 0, "2026-02-06T12:00:00Z"),
    ];
    let clients = account.clients().await;
    let writer = clients.writer("INC-7").await;
    for target in targets {
        let target = prepared(&clients, &account, &target).await;
        let call = target.call();
        account.world.script_faults(call, [Some(Fault::Reset), Some(Fault::LostAnswer)]);
        for expected in [State::Unchanged, State::Restored] {
            let outcome = apply(&clients, &writer, &target, soon()).await;
            assert!(matches!(outcome, Outcome::Unknown { .. }), "{call}: {outcome:?}");
            assert_eq!(read_back(&clients, &target, soon()).await, Ok(expected), "{call}");
        }
        assert_eq!(account.world.calls(call), 2, "{call}: nothing was repeated behind our back");
    }
}
