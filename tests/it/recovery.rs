//! Whether a rollback helped, from the click on, with the account's metrics: recovered, not recovered, too early.
//!
//! The rule that is not obvious: all clocks stand until they are moved, so that minutes pass at once.

use std::collections::BTreeMap;

use incident_commander::aws::rollback::{self, State};
use incident_commander::config::Period;
use incident_commander::demo::aws::Identity;
use incident_commander::demo::slack::Message;
use incident_commander::demo::slack::workspace::id;
use incident_commander::domain::incident::{IncidentId, State as IncidentState};
use incident_commander::domain::recovery::Word;
use incident_commander::domain::rollback::RollbackTarget;
use incident_commander::store::{Approval, NewAlert, Origin, Resolve, Resolved};
use incident_commander::worker::Bench;
use jiff::SignedDuration;

use crate::aws_account::{ACCOUNT, Account, FUNCTION, at, soon};
use crate::aws_kinds::{deploy_flags, deploy_service, put_limit};
use crate::truth::{concurrency_back, configuration_back, environment_back, old_flags_back};
use crate::ward::{self, Set, Ward, trail};

const APPROVE: &str = "rollback_approve";

/// Somebody who may has approved, and so many seconds have passed since.
pub async fn approved(change: impl FnOnce(&mut Set), seconds: u64) -> (Ward, Bench) {
    let ward = Ward::open(true, change).await;
    let bench = ward.bench().await;
    ward.live(&bench, 6).await;
    ward.clicked(&bench, "press/1", id::APPROVER, APPROVE).await;
    ward.live(&bench, seconds).await;
    (ward, bench)
}

/// What was said of the recovery, oldest first.
fn said(ward: &Ward) -> Vec<Message> {
    let all = ward.slack.messages(id::ALERTS).into_iter();
    all.filter(|message| message.event_type() == Some("incident_recovery")).collect()
}

#[tokio::test]
async fn a_recovery_is_told_once_with_its_figures() {
    let (ward, bench) = approved(|_| {}, 6 * 60).await;
    let said = said(&ward);
    assert_eq!(said.len(), 1, "{said:?}");
    for part in ["Recovered", "Error rate 0.0 %", "40.0 % during the incident"] {
        assert!(said[0].text.contains(part), "{part}: {}", said[0].text);
    }
    assert_eq!(ward.of(&bench).await.judged, Some(Word::Recovered));
}

async fn alert_resolves(bench: &Bench) -> Resolved {
    let alert = ward::alert(bench.clock.now());
    let resolve = Resolve { alert: &alert, services: vec![FUNCTION.into()], delivery: None, doubt: None };
    bench.store.resolve(&resolve, bench.clock.now()).await.unwrap()
}

async fn state_of(bench: &Bench, incident: IncidentId) -> IncidentState {
    bench.store.incident_row(incident).await.unwrap().unwrap().state
}

#[tokio::test]
async fn an_alert_that_resolves_before_it_is_known_whether_the_change_helped_hides_no_recovery() {
    let (ward, bench) = approved(|_| {}, 10).await;
    let incident = ward.of(&bench).await.incident;
    assert_eq!(state_of(&bench, incident).await, IncidentState::Verifying);
    let resolved = alert_resolves(&bench).await;
    assert_eq!(resolved, Resolved::Incidents { closed: vec![], open: vec![incident] });
    ward.live(&bench, 6 * 60).await;
    assert_eq!(ward.of(&bench).await.judged, Some(Word::Recovered));
    assert_eq!((said(&ward).len(), state_of(&bench, incident).await), (1, IncidentState::Recovered));
}

#[tokio::test]
async fn an_alert_that_fires_again_after_a_rollback_that_did_not_help_is_looked_at_anew() {
    let (ward, bench) = approved(|set| set.afterwards = |_| (40.0, 100.0), 10).await;
    let incident = ward.of(&bench).await.incident;
    alert_resolves(&bench).await;
    // The offer to take it back has run out too.
    ward.live(&bench, 50 * 60).await;
    assert_eq!(state_of(&bench, incident).await, IncidentState::NotRecovered);
    let fires = NewAlert { alert: ward::alert(bench.clock.now()), origin: Origin::default() };
    let accepted = bench.store.accept(fires, bench.clock.now()).await.unwrap();
    assert_eq!(
        (accepted.incident(), state_of(&bench, incident).await),
        (Some(incident), IncidentState::Investigating)
    );
}

#[tokio::test]
async fn where_it_is_too_early_to_tell_and_no_alert_fires_any_more_the_incident_closes() {
    let (ward, bench) = approved(|set| set.afterwards = |_| (0.0, 4.0), 10).await;
    let incident = ward.of(&bench).await.incident;
    alert_resolves(&bench).await;
    ward.live(&bench, 6 * 60).await;
    // Else the next trouble of the service would be told as a rollback that did not help.
    assert_eq!(state_of(&bench, incident).await, IncidentState::Resolved);
    let said = said(&ward);
    assert!(said.len() == 1 && said[0].text.contains("Too early to tell"), "{said:?}");
}

#[tokio::test]
async fn what_did_not_help_is_said_offered_back_and_makes_its_cause_less_likely() {
    let (ward, bench) = approved(|set| set.afterwards = |_| (40.0, 100.0), 6 * 60).await;
    let messages = said(&ward);
    assert_eq!(messages.len(), 1, "{messages:?}");
    let words = &messages[0].text;
    for part in ["Not recovered", "Error rate 40.0 %", "speaks against the cause that was undone", "Next:"] {
        assert!(words.contains(part), "{part}: {words}");
    }
    // It is kept, and `incidents show` tells it.
    let done = ward.of(&bench).await;
    let incident = bench.store.incident(done.incident).await.unwrap().unwrap();
    let kept = |text: &str| text.contains("Error rate 40.0 %") && text.contains("speaks against");
    assert!(incident.timeline.iter().any(|line| kept(&line.what)), "{:?}", incident.timeline);
    let judged = trail(&bench.store, &["judged"]).await;
    assert!(judged.len() == 1 && kept(judged[0]["figures"].as_str().unwrap()), "{judged:?}");
    // Taking it back is offered, and done by an approval of its own.
    let all = bench.store.approvals_of(done.incident).await.unwrap();
    let undo = all.into_iter().find(|one| one.undoes.as_deref() == Some(&done.id)).unwrap();
    let shown = ward.slack.message(id::ALERTS, undo.message_ts.as_deref().unwrap()).unwrap();
    assert!(shown.action_ids().contains(&APPROVE), "{:?}", shown.action_ids());
    ward.clicked_on(&bench, &undo, "press/2", id::ON_CALL, APPROVE).await;
    ward.live(&bench, 60).await;
    assert_eq!(ward.changes(&bench.store).await.len(), 2);
    assert_eq!(ward.account.world.live_configuration(FUNCTION, "live").unwrap().0, "2");
    let row = bench.store.incident_row(done.incident).await.unwrap().unwrap();
    assert_eq!(row.state, IncidentState::NotRecovered, "taking it back makes nobody well");
}

#[tokio::test]
async fn calm_that_nobody_asks_for_is_too_early_until_the_traffic_is_back() {
    let back = |minute| (0.0, if minute < 6 { 4.0 } else { 100.0 });
    let (ward, bench) = approved(|set| set.afterwards = back, 6 * 60).await;
    let messages = said(&ward);
    assert_eq!(messages.len(), 1, "{messages:?}");
    for part in ["Too early to tell", "only 4 requests a minute arrive where 100 are usual"] {
        assert!(messages[0].text.contains(part), "{part}: {}", messages[0].text);
    }
    assert_eq!(ward.of(&bench).await.judged, None);
    ward.live(&bench, 6 * 60).await;
    assert_eq!(ward.of(&bench).await.judged, Some(Word::Recovered));
    assert!(said(&ward)[1].text.contains("Recovered"), "{:?}", said(&ward));
}

/// A verdict, one way or the other, after three minutes.
fn hurried(set: &mut Set) {
    set.config.approvals.verify_within = Period(SignedDuration::from_mins(3));
}

/// The request to take this change back, once it is in the channel; minutes may pass until then.
async fn undo_of(ward: &Ward, bench: &Bench, done: &Approval, minutes: u64) -> Approval {
    for _ in 0..minutes {
        let all = bench.store.approvals_of(done.incident).await.unwrap();
        let undo = all.into_iter().find(|one| one.undoes.as_deref() == Some(&done.id));
        if let Some(undo) = undo.filter(|undo| undo.message_ts.is_some()) {
            return undo;
        }
        ward.live(bench, 60).await;
    }
    panic!("taking it back was not offered");
}

/// The whole way of one kind of change: pressed, made by this call, in effect, judged; where it did not help,
/// offered back, taken back by the other call, in effect, and judged again.
async fn from_the_press_to_the_verdict(target: fn(&Account) -> RollbackTarget, there: &str, back: &str) {
    let (ward, bench) = approved(|set| set.target = Some(target), 3 * 60).await;
    let calls = async |ward: &Ward, bench: &Bench| -> Vec<String> {
        ward.changes(&bench.store).await.into_iter().map(|one| one.operation).collect()
    };
    let done = ward.of(&bench).await;
    assert_eq!(
        (done.judged, done.in_effect_at.is_some()),
        (Some(Word::Recovered), true),
        "{:?}",
        said(&ward)
    );
    assert_eq!(calls(&ward, &bench).await, [there]);

    let in_vain = |set: &mut Set| {
        set.target = Some(target);
        set.afterwards = |_| (40.0, 100.0);
        hurried(set);
    };
    let (ward, bench) = approved(in_vain, 4 * 60).await;
    let done = ward.of(&bench).await;
    assert_eq!(
        (done.judged, done.in_effect_at.is_some()),
        (Some(Word::NotRecovered), true),
        "{:?}",
        said(&ward)
    );
    let undo = undo_of(&ward, &bench, &done, 10).await;
    let told = ward.slack.messages(id::ALERTS);
    let waits = told.iter().any(|message| message.text.contains("cannot be taken back yet"));
    assert_eq!(waits, there == "appconfig:StartDeployment", "what bakes takes no other deployment meanwhile");
    ward.clicked_on(&bench, &undo, "press/2", id::ON_CALL, APPROVE).await;
    ward.live(&bench, 5 * 60).await;
    assert_eq!(calls(&ward, &bench).await, [there, back]);
    assert_eq!(rollback::read_back(bench.aws.own(), &undo.plan.target, soon()).await, Ok(State::Restored));
    let undone = bench.store.approval(&undo.id).await.unwrap().unwrap();
    assert_eq!((undone.judged, undone.in_effect_at.is_some()), (Some(Word::NotRecovered), true));
    let told = ward.slack.messages(id::ALERTS);
    let fares = |text: &str| text.contains("Taken back and in effect since") && text.contains("40.0 %");
    assert_eq!(told.iter().filter(|message| fares(&message.text)).count(), 1, "{told:?}");
    assert_eq!(said(&ward).len(), 1, "what was taken back is no second recovery");
    let row = bench.store.incident_row(done.incident).await.unwrap().unwrap();
    assert_eq!(row.state, IncidentState::NotRecovered);
}

macro_rules! kinds {
    ($($test:ident: $target:expr, $there:literal, $back:literal;)*) => {
        $(#[tokio::test]
        async fn $test() {
            from_the_press_to_the_verdict($target, $there, $back).await;
        })*
    };
}

kinds! {
    a_canary_s_share: canary_back, "lambda:UpdateAlias", "lambda:UpdateAlias";
    an_environment: environment_back, "lambda:UpdateFunctionConfiguration", "lambda:UpdateFunctionConfiguration";
    variables_and_settings:
        configuration_back, "lambda:UpdateFunctionConfiguration", "lambda:UpdateFunctionConfiguration";
    a_concurrency_limit: concurrency_back, "lambda:DeleteFunctionConcurrency", "lambda:PutFunctionConcurrency";
    a_deployment_in_progress:
        |account| deploy_service(account, "12:19:50"), "ecs:StopServiceDeployment", "ecs:UpdateService";
    a_revision: |account| deploy_service(account, "11:00:00"), "ecs:UpdateService", "ecs:UpdateService";
    a_configuration_in_progress:
        |account| deploy_flags(account, 60, "2026-02-06T12:10:00Z"),
        "appconfig:StopDeployment", "appconfig:StartDeployment";
    a_configuration_that_ended:
        |account| deploy_flags(account, 0, "2026-02-06T12:00:00Z"),
        "appconfig:StopDeployment", "appconfig:StartDeployment";
    an_old_configuration: old_flags_back, "appconfig:StartDeployment", "appconfig:StartDeployment";
}

/// A tenth of the traffic goes to the new version.
fn canary_back(account: &Account) -> RollbackTarget {
    let (world, alice) = (&account.world, Identity::user(ACCOUNT, "alice"));
    let share = BTreeMap::from([("2".to_owned(), 0.1)]);
    world.update_alias(FUNCTION, "live", "1", &share, &alice, at("12:00:30")).unwrap();
    RollbackTarget::LambdaAlias {
        function: FUNCTION.into(),
        alias: "live".into(),
        from_version: "1".into(),
        to_version: "1".into(),
        from_weights: share,
        to_weights: BTreeMap::new(),
        revision_id: String::new(),
    }
}

#[tokio::test]
async fn a_parameter_that_processes_may_keep_has_not_failed_until_they_had_time_and_then_it_can_be_taken_back()
 {
    let parameter = |account: &Account| put_limit(account, "String");
    let (ward, bench) = approved(
        |set| {
            set.target = Some(parameter);
            set.afterwards = |_| (40.0, 100.0);
            hurried(set);
        },
        4 * 60,
    )
    .await;
    let messages = said(&ward);
    assert_eq!(messages.len(), 1, "{messages:?}");
    for part in ["Too early to tell", "Error rate 40.0 %", "Processes that read /checkout/limit once"] {
        assert!(messages[0].text.contains(part), "{part}: {}", messages[0].text);
    }
    assert_eq!(ward.of(&bench).await.judged, None);
    ward.live(&bench, 3 * 60).await;
    let words = said(&ward).pop().unwrap().text;
    for part in
        ["Not recovered", "Processes that read /checkout/limit once", "says nothing against the cause"]
    {
        assert!(words.contains(part), "{part}: {words}");
    }
    let undo = undo_of(&ward, &bench, &ward.of(&bench).await, 1).await;
    assert_eq!(undo.plan.call, "ssm:PutParameter");
    // And where they did start again, it is seen.
    let (ward, bench) = approved(|set| set.target = Some(parameter), 3 * 60).await;
    assert_eq!(ward.of(&bench).await.judged, Some(Word::Recovered), "{:?}", said(&ward));
}

#[tokio::test]
async fn a_look_that_fails_again_and_again_is_told_once_and_goes_on() {
    let (ward, bench) = approved(|_| {}, 3).await;
    let block =
        "CREATE TRIGGER broken BEFORE UPDATE OF judged ON approvals BEGIN SELECT raise(ABORT, 'disk'); END";
    ward.run_sql(block).await;
    ward.live(&bench, 12 * 60).await;
    let told = ward.slack.messages(id::ALERTS);
    let cannot = told.iter().filter(|message| message.text.contains("the bot fails at looking")).count();
    // In the thread, and in the headline.
    assert_eq!(told.iter().filter(|one| one.event_type() == Some("incident_notice")).count(), 2, "{told:?}");
    assert!(cannot >= 1, "{told:?}");
    ward.run_sql("DROP TRIGGER broken").await;
    ward.live(&bench, 6 * 60).await;
    assert_eq!(ward.of(&bench).await.judged, Some(Word::Recovered), "{:?}", said(&ward));
}
