//! Alerts that resolve at a bad moment: while their investigation runs, and while the process dies.
//!
//! The rule that is not obvious: an alert that resolves ends its incident and not the question what it was; a person
//! who closes it ends both.

use incident_commander::demo::slack::fault::{Fault, FaultKind};
use incident_commander::demo::slack::workspace::id;
use incident_commander::demo::slack::{Message, SlackWorld};
use incident_commander::domain::alert::Alert;
use incident_commander::domain::incident::{IncidentId, State};
use incident_commander::domain::plan::Plan;
use incident_commander::domain::rollback::RollbackTarget;
use incident_commander::store::{JobKind, NewAlert, Origin, Resolve, Resolved};
use incident_commander::worker::deliver_once;
use serde_json::json;

use crate::aws_account::FUNCTION;
use crate::house::PATIENCE;
use crate::office::{Office, whole};
use crate::ward::Ward;

const HEADLINE: &str = "incident_headline";
const RESULT: &str = "incident_result";
const FIRST: IncidentId = IncidentId(1);

/// The message that fired is edited.
async fn resolve(office: &Office, ts: &str) {
    let payload = json!({ "attachments": [{
        "title": "[RESOLVED] HighErrorRate checkout", "fields": [{ "title": "Service", "value": "checkout" }],
    }] });
    let before = office.slack.deliveries().len();
    office.slack.edit_alert_message(id::ALERTS, ts, &payload).unwrap();
    office.heard(before).await;
}

async fn fire(office: &Office) -> String {
    office.alert("[FIRING:1] HighErrorRate checkout", "checkout").await
}

async fn state(office: &Office) -> State {
    office.bench.store.incident_row(FIRST).await.unwrap().unwrap().state
}

fn is_closed(message: &Message) -> bool {
    whole(message).contains("Closed: the alert resolved")
}

#[tokio::test]
async fn an_alert_that_resolves_while_it_is_investigated_is_told_of_with_its_cause() {
    let mut office = Office::quiet().await;
    let target = RollbackTarget::LambdaConcurrency { function: "checkout".into(), from: Some(1), to: None };
    office.plan = Some(Plan::of(target, None, String::new(), &|_, value| value.to_owned()));
    let ts = fire(&office).await;
    let (store, now) = (&office.bench.store, office.bench.clock.now());
    let job = store.claim(now).await.unwrap().unwrap();
    assert_eq!(job.kind, JobKind::Investigate);
    resolve(&office, &ts).await;
    assert_eq!(state(&office).await, State::Resolved);
    store.finish(job.id).await.unwrap();
    office.work().await;
    let said = whole(&office.newest(HEADLINE).unwrap());
    assert!(said.contains("Closed: the alert resolved") && said.contains("still being looked at"), "{said}");

    office.conclude(FIRST).await;
    office.pass(2);
    office.work().await;
    assert_eq!(state(&office).await, State::Resolved);
    let result = office.newest(RESULT).expect("the verdict in the thread");
    assert_eq!(result.thread_ts, Some(ts));
    assert!(whole(&result).contains("No button: the alert resolved before"), "{result:?}");
    assert!(!result.action_ids().contains(&"rollback_approve"), "nothing waits for approval of a closed one");
    let headline = office.newest(HEADLINE).unwrap();
    let said = whole(&headline);
    assert!(is_closed(&headline) && said.contains("Requests rose eightfold."), "{said}");
    assert!(!said.contains("still being looked at"), "{said}");
    office.pass(3 * 60 * 60);
    office.work().await;
    assert_eq!(office.posted().len(), 2, "and nothing more");
}

#[tokio::test]
async fn one_that_somebody_closes_while_it_is_investigated_is_told_of_no_more() {
    let office = Office::quiet().await;
    fire(&office).await;
    let (store, now) = (&office.bench.store, office.bench.clock.now());
    let job = store.claim(now).await.unwrap().unwrap();
    office.typed(id::ON_CALL, "close INC-1 false alarm").await;
    office.conclude(FIRST).await;
    store.finish(job.id).await.unwrap();
    office.work().await;
    assert!(office.newest(RESULT).is_none());
    assert!(whole(&office.newest(HEADLINE).unwrap()).contains("false alarm"));
}

#[tokio::test]
async fn an_investigation_that_begins_after_its_alert_resolved_is_made_all_the_same() {
    let ward = Ward::open(true, |_| {}).await;
    let bench = ward.bench().await;
    let alert =
        Alert { metric: Some("latency_p99".into()), ..Alert::about(FUNCTION.into(), ward.clock.now()) };
    let new = NewAlert { alert: alert.clone(), origin: Origin::default() };
    let id = bench.store.accept(new, ward.clock.now()).await.unwrap().incident().unwrap();
    let over = Resolve { alert: &alert, services: vec![FUNCTION.into()], delivery: None, doubt: None };
    let resolved = bench.store.resolve(&over, ward.clock.now()).await.unwrap();
    assert_eq!(resolved, Resolved::Incidents { closed: vec![id], open: vec![] });
    ward.live(&bench, 6).await;
    let row = bench.store.incident_row(id).await.unwrap().unwrap();
    assert_eq!((row.state, row.awaits_verdict), (State::Resolved, false));
    let verdict = row.report.expect("a report").verdict;
    let told = |message: &Message| {
        message.event_type() == Some(RESULT)
            && message.metadata.as_ref().unwrap()["event_payload"]["incident"] == id.to_string()
    };
    let messages = ward.slack.messages(id::ALERTS);
    assert_eq!(messages.iter().filter(|message| told(message)).count(), 1, "{verdict:?}: {messages:?}");
}

/// One that was reported, and whose alert has just resolved: nothing of that is told.
async fn just_resolved() -> Office {
    let office = Office::quiet().await;
    let ts = fire(&office).await;
    office.work().await;
    office.pass(2);
    resolve(&office, &ts).await;
    assert_eq!(state(&office).await, State::Resolved);
    assert!(!is_closed(&office.newest(HEADLINE).unwrap()));
    office
}

async fn is_told_once(office: &Office) {
    office.pass(10);
    office.work().await;
    assert!(is_closed(&office.newest(HEADLINE).unwrap()));
    assert_eq!(office.posted().len(), 2, "a headline and a result");
    let depth = office.bench.store.outbox_depth().await.unwrap();
    assert_eq!((depth.waiting, depth.dead), (0, 0));
    let incident = office.bench.store.incident(FIRST).await.unwrap().unwrap();
    let closings = incident.timeline.iter().filter(|event| event.what.starts_with("closed"));
    assert_eq!(closings.count(), 1);
}

#[tokio::test]
async fn who_dies_between_storing_an_end_and_telling_of_it_tells_of_it_afterwards() {
    let office = just_resolved().await;
    let event = office.slack.deliveries().pop().unwrap().id;
    let office = office.crash_and_restart().await;
    // Slack, whose answer may have been lost, says it again.
    office.again(&event).await;
    is_told_once(&office).await;
}

#[tokio::test]
async fn who_dies_before_it_hears_that_slack_shows_an_end_does_no_harm() {
    let office = just_resolved().await;
    office.do_jobs().await;
    office.slack.script(Fault::once("chat.update", FaultKind::AcceptedThenSilence));
    let bench = office.bench.clone();
    office.process.keep_running(async move { drop(deliver_once(&bench).await) });
    let shows = |slack: &SlackWorld| slack.messages(id::ALERTS).iter().any(is_closed).then_some(());
    office.slack.wait_for("Slack shows it", PATIENCE, shows).await.unwrap();
    let office = office.crash_and_restart().await;
    is_told_once(&office).await;
}
