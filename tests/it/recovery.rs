//! Whether a rollback helped, from the click on, with the account's metrics: recovered, not recovered, too early.
//!
//! The rule that is not obvious: all clocks stand until they are moved, so that minutes pass at once.

use incident_commander::demo::slack::Message;
use incident_commander::demo::slack::workspace::id;
use incident_commander::domain::incident::State;
use incident_commander::domain::recovery::Word;
use incident_commander::domain::rollback::RollbackTarget;
use incident_commander::worker::Bench;

use crate::aws_account::{Account, FUNCTION};
use crate::aws_kinds::{deploy_flags, deploy_service, put_limit};
use crate::truth::{concurrency_back, environment_back, old_flags_back, settings_back};
use crate::ward::{Set, Ward, trail};

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
    assert_eq!(row.state, State::NotRecovered, "taking it back makes nobody well");
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

/// The whole way of one kind of change: pressed, made by this call, in effect, judged; where it did not help,
/// offered back and taken back by the other call.
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
    };
    let (ward, bench) = approved(in_vain, 8 * 60).await;
    let done = ward.of(&bench).await;
    assert_eq!(
        (done.judged, done.in_effect_at.is_some()),
        (Some(Word::NotRecovered), true),
        "{:?}",
        said(&ward)
    );
    let all = bench.store.approvals_of(done.incident).await.unwrap();
    let Some(undo) = all.into_iter().find(|one| one.undoes.as_deref() == Some(&done.id)) else {
        assert_eq!(back, NOT_YET);
        let told = ward.slack.messages(id::ALERTS);
        assert!(told.iter().any(|message| message.text.contains(NOT_YET)), "it is said why");
        return;
    };
    ward.clicked_on(&bench, &undo, "press/2", id::ON_CALL, APPROVE).await;
    ward.live(&bench, 20).await;
    assert_eq!(calls(&ward, &bench).await, [there, back]);
}

/// AppConfig's own strategy for all at once bakes for ten minutes, and takes no other deployment meanwhile.
const NOT_YET: &str = "is still going on";

macro_rules! kinds {
    ($($test:ident: $target:expr, $there:literal, $back:expr;)*) => {
        $(#[tokio::test]
        async fn $test() {
            from_the_press_to_the_verdict($target, $there, $back).await;
        })*
    };
}

kinds! {
    an_environment: environment_back, "lambda:UpdateFunctionConfiguration", "lambda:UpdateFunctionConfiguration";
    a_setting: settings_back, "lambda:UpdateFunctionConfiguration", "lambda:UpdateFunctionConfiguration";
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
    an_old_configuration: old_flags_back, "appconfig:StartDeployment", NOT_YET;
}

#[tokio::test]
async fn a_parameter_that_processes_may_keep_is_never_said_to_have_failed() {
    let parameter = |account: &Account| put_limit(account, "String");
    let (ward, bench) = approved(
        |set| {
            set.target = Some(parameter);
            set.afterwards = |_| (40.0, 100.0);
        },
        8 * 60,
    )
    .await;
    let messages = said(&ward);
    assert_eq!(messages.len(), 1, "{messages:?}");
    for part in ["Too early to tell", "Error rate 40.0 %", "Processes that read /checkout/limit once"] {
        assert!(messages[0].text.contains(part), "{part}: {}", messages[0].text);
    }
    assert_eq!(ward.of(&bench).await.judged, None);
    // And where they did start again, it is seen.
    let (ward, bench) = approved(|set| set.target = Some(parameter), 3 * 60).await;
    assert_eq!(ward.of(&bench).await.judged, Some(Word::Recovered), "{:?}", said(&ward));
}
