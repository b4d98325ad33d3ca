//! Undoing a change through the real SDK: once, only where nothing moved, and read back.

use std::collections::BTreeMap;
use std::time::Duration;

use incident_commander::aws::rollback::{Outcome, State, apply, read_back};
use incident_commander::aws::{Clients, ReadError, configs};
use incident_commander::demo::aws::{Fault, Identity, WorldClock, WorldOptions};
use incident_commander::domain::rollback::RollbackTarget;

use super::aws_account::{ACCOUNT, Account, FUNCTION, at, environment, soon};

async fn alias_plan(clients: &Clients) -> RollbackTarget {
    let (history, _) = configs::function_history(clients, FUNCTION, soon()).await;
    let alias = history.aliases.unwrap().remove(0);
    RollbackTarget::LambdaAlias {
        function: FUNCTION.to_owned(),
        alias: alias.name,
        from_version: alias.version,
        to_version: "1".to_owned(),
        from_weights: alias.weights,
        to_weights: BTreeMap::new(),
        revision_id: alias.revision_id,
    }
}

async fn environment_plan(clients: &Clients) -> RollbackTarget {
    let (history, _) = configs::function_history(clients, FUNCTION, soon()).await;
    let latest = history.versions.unwrap().remove(0);
    let keys = BTreeMap::from([("DB_POOL_SIZE".to_owned(), (Some("5".to_owned()), Some("10".to_owned())))]);
    RollbackTarget::LambdaConfiguration {
        function: FUNCTION.to_owned(),
        keys,
        settings: BTreeMap::new(),
        revision_id: latest.revision_id,
    }
}

#[tokio::test]
async fn an_alias_goes_back_and_loses_its_weights() {
    let account = Account::open().await;
    account.deploy_checkout();
    let weights = BTreeMap::from([("1".to_owned(), 0.1)]);
    let alice = Identity::user(ACCOUNT, "alice");
    account.world.update_alias(FUNCTION, "live", "2", &weights, &alice, at("12:01:00")).unwrap();
    let clients = account.clients().await;
    let plan = alias_plan(&clients).await;
    assert_eq!(read_back(&clients, &plan, soon()).await, Ok(State::Unchanged));
    let mut watch = account.world.watch_configuration();
    watch.mark_unchanged();
    assert_eq!(apply(&clients, &clients.writer("INC-7").await, &plan, soon()).await, Outcome::Applied);
    assert!(watch.has_changed().unwrap());
    assert_eq!(read_back(&clients, &plan, soon()).await, Ok(State::Restored));
    assert_eq!(account.world.live_configuration(FUNCTION, "live"), Some(("1".to_owned(), environment("10"))));
}

#[tokio::test]
async fn an_alias_that_moved_in_between_is_left_alone() {
    let account = Account::open().await;
    account.deploy_checkout();
    let clients = account.clients().await;
    let plan = alias_plan(&clients).await;
    let alice = Identity::user(ACCOUNT, "alice");
    account.world.update_alias(FUNCTION, "live", "2", &BTreeMap::new(), &alice, at("12:19:00")).unwrap();
    let outcome = apply(&clients, &clients.writer("INC-7").await, &plan, soon()).await;
    assert!(matches!(outcome, Outcome::Moved { .. }), "{outcome:?}");
    assert_eq!(account.world.live_configuration(FUNCTION, "live").unwrap().0, "2");
}

#[tokio::test]
async fn a_lost_answer_is_unknown_and_reading_back_tells() {
    let account = Account::open().await;
    account.deploy_checkout();
    let clients = account.clients().await;
    let plan = alias_plan(&clients).await;
    let writer = clients.writer("INC-7").await;
    account.world.script_faults("lambda:UpdateAlias", [Some(Fault::Reset), Some(Fault::LostAnswer)]);
    let outcome = apply(&clients, &writer, &plan, soon()).await;
    assert!(matches!(outcome, Outcome::Unknown { .. }), "{outcome:?}");
    assert_eq!(read_back(&clients, &plan, soon()).await, Ok(State::Unchanged));
    let outcome = apply(&clients, &writer, &plan, soon()).await;
    assert!(matches!(outcome, Outcome::Unknown { .. }), "{outcome:?}");
    assert_eq!(read_back(&clients, &plan, soon()).await, Ok(State::Restored));
    // Never more than one call each: nothing was repeated behind our back.
    assert_eq!(account.world.calls("lambda:UpdateAlias"), 2);
}

#[tokio::test]
async fn silence_until_the_deadline_is_unknown() {
    let account = Account::open().await;
    account.deploy_checkout();
    let clients = account.clients().await;
    let plan = alias_plan(&clients).await;
    account.world.script_faults("lambda:UpdateAlias", [Some(Fault::Hang)]);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(2);
    let outcome = apply(&clients, &clients.writer("INC-7").await, &plan, deadline).await;
    assert!(matches!(outcome, Outcome::Unknown { .. }), "{outcome:?}");
    assert_eq!(account.world.calls("lambda:UpdateAlias"), 1);
}

#[tokio::test]
async fn only_the_changed_variables_are_put_back() {
    let clock = WorldClock::manual(at("12:20:00"));
    let account = Account::with(WorldOptions::immediate(clock)).await;
    account.deploy_checkout();
    let mut now = environment("5");
    now.insert("ADDED_SINCE".to_owned(), "kept".to_owned());
    let alice = Identity::user(ACCOUNT, "alice");
    account.world.update_function_environment(FUNCTION, now, &alice, at("12:10:00")).unwrap();
    let clients = account.clients().await;
    let plan = environment_plan(&clients).await;
    assert_eq!(apply(&clients, &clients.writer("INC-7").await, &plan, soon()).await, Outcome::Applied);
    let (_, variables) = account.world.live_configuration(FUNCTION, "$LATEST").unwrap();
    assert_eq!(variables["DB_POOL_SIZE"], "10");
    assert_eq!(variables["ADDED_SINCE"], "kept");
    assert_eq!(read_back(&clients, &plan, soon()).await, Ok(State::Restored));
}

#[tokio::test]
async fn a_variable_that_has_another_value_by_now_is_left_alone() {
    let account = Account::open().await;
    account.deploy_checkout();
    let clients = account.clients().await;
    let plan = environment_plan(&clients).await;
    let alice = Identity::user(ACCOUNT, "alice");
    account.world.update_function_environment(FUNCTION, environment("7"), &alice, at("12:19:00")).unwrap();
    let outcome = apply(&clients, &clients.writer("INC-7").await, &plan, soon()).await;
    assert!(matches!(outcome, Outcome::Moved { .. }), "{outcome:?}");
    assert_eq!(account.world.calls("lambda:UpdateFunctionConfiguration"), 0);
    let state = read_back(&clients, &plan, soon()).await;
    assert_eq!(state, Ok(State::Other { what: "checkout has another value of DB_POOL_SIZE".to_owned() }));
}

#[tokio::test]
async fn a_reserved_concurrency_goes_back_to_none() {
    let account = Account::open().await;
    account.deploy_checkout();
    let alice = Identity::user(ACCOUNT, "alice");
    account.world.set_function_concurrency(FUNCTION, Some(1), &alice, at("12:00:00")).unwrap();
    let clients = account.clients().await;
    let plan = RollbackTarget::LambdaConcurrency { function: FUNCTION.to_owned(), from: Some(1), to: None };
    assert_eq!(apply(&clients, &clients.writer("INC-7").await, &plan, soon()).await, Outcome::Applied);
    assert_eq!(read_back(&clients, &plan, soon()).await, Ok(State::Restored));
    let outcome = apply(&clients, &clients.writer("INC-7").await, &plan, soon()).await;
    assert!(matches!(outcome, Outcome::Moved { .. }), "{outcome:?}");
}

#[tokio::test]
async fn a_change_is_made_with_the_writing_role_and_reading_never_is() {
    let account = Account::open().await;
    account.deploy_checkout();
    let mut settings = account.settings();
    settings.read_role_arn = Some(account.world.add_role("commander-read", &["lambda:Get*", "lambda:List*"]));
    settings.write_role_arn = Some(account.world.add_role("commander-write", &["lambda:UpdateAlias"]));
    let clients = Clients::connect(&settings).await.unwrap();
    let plan = alias_plan(&clients).await;
    assert_eq!(account.world.calls("sts:AssumeRole"), 1);
    assert_eq!(apply(&clients, &clients.writer("INC-7").await, &plan, soon()).await, Outcome::Applied);
    let mutations = account.world.mutations();
    assert_eq!(mutations.len(), 1);
    assert_eq!(mutations[0].arn, format!("arn:aws:sts::{ACCOUNT}:assumed-role/commander-write/INC-7"));
}

#[tokio::test]
async fn a_missing_permission_is_named() {
    let account = Account::open().await;
    account.deploy_checkout();
    let mut settings = account.settings();
    settings.write_role_arn = Some(account.world.add_role("commander-write", &["lambda:Get*"]));
    let clients = Clients::connect(&settings).await.unwrap();
    let plan = alias_plan(&clients).await;
    let outcome = apply(&clients, &clients.writer("INC-7").await, &plan, soon()).await;
    let error = ReadError::AccessDenied { action: "lambda:UpdateAlias".to_owned() };
    assert_eq!(outcome, Outcome::Refused { error });
}
