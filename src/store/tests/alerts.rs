//! Which incident an alert belongs to, and which one its end closes.

use super::*;
use crate::domain::alert::AlertState;

fn named(service: &str, name: &str) -> NewAlert {
    let mut new = alert(service, None);
    new.alert.alert_name = Some(name.into());
    new
}

async fn fires(store: &Store, name: &str) -> IncidentId {
    store.accept(named("checkout", name), noon()).await.unwrap().incident().unwrap()
}

/// What a resolve of a service's alert closes, and what it leaves open.
async fn ends(store: &Store, services: &[&str], name: &str) -> (Vec<IncidentId>, Vec<IncidentId>) {
    let alert = named("", name).alert;
    let services = services.iter().map(|service| (*service).to_owned()).collect();
    let resolve = Resolve { alert: &alert, services, delivery: None, doubt: None };
    match store.resolve(&resolve, noon()).await.unwrap() {
        Resolved::Incidents { closed, open } => (closed, open),
        Resolved::Duplicate => panic!("it has no delivery"),
    }
}

async fn reported(store: &Store, id: IncidentId, round: i64) {
    assert!(store.conclude(id, round, &conclusion(false), noon()).await.unwrap());
}

async fn state(store: &Store, id: IncidentId) -> State {
    store.incident_row(id).await.unwrap().unwrap().state
}

#[tokio::test]
async fn an_incident_closes_with_the_last_of_its_alerts() {
    let (_folder, store, _) = store().await;
    let id = fires(&store, "HighErrorRate").await;
    assert_eq!(fires(&store, "Checkout5xx").await, id);
    assert_eq!(ends(&store, &["checkout"], "HighErrorRate").await, (vec![], vec![id]));
    assert_ne!(state(&store, id).await, State::Resolved, "another alert fires still");
    assert_eq!(ends(&store, &["checkout"], "Checkout5xx").await, (vec![id], vec![]));
    assert_eq!(state(&store, id).await, State::Resolved);
}

#[tokio::test]
async fn an_alert_that_fires_again_has_to_resolve_again() {
    let (_folder, store, _) = store().await;
    let id = fires(&store, "HighErrorRate").await;
    fires(&store, "Checkout5xx").await;
    ends(&store, &["checkout"], "HighErrorRate").await;
    fires(&store, "HighErrorRate").await;
    assert_eq!(ends(&store, &["checkout"], "Checkout5xx").await, (vec![], vec![id]));
}

#[tokio::test]
async fn a_resolve_that_names_no_service_is_known_by_its_alerts_name() {
    let (_folder, store, _) = store().await;
    let id = fires(&store, "checkout-errors").await;
    store.accept(named("payments", "payments-lag"), noon()).await.unwrap();
    assert_eq!(ends(&store, &[], "checkout-errors").await, (vec![id], vec![]));
    store.accept(named("checkout", "HighErrorRate"), noon()).await.unwrap();
    store.accept(named("payments", "HighErrorRate"), noon()).await.unwrap();
    assert_eq!(
        ends(&store, &[], "HighErrorRate").await,
        (vec![], vec![]),
        "two services have one of that name"
    );
}

#[tokio::test]
async fn what_somebody_asked_for_is_not_closed_by_an_alert() {
    let (_folder, store, _) = store().await;
    let mut asked = alert("checkout", None);
    asked.origin.requested_by = Some("U1".into());
    let id = store.accept(asked, noon()).await.unwrap().incident().unwrap();
    assert_eq!(ends(&store, &["checkout"], "HighErrorRate").await, (vec![], vec![]));
    assert_eq!(fires(&store, "HighErrorRate").await, id);
    assert_eq!(ends(&store, &["checkout"], "HighErrorRate").await, (vec![], vec![id]));
    assert_ne!(state(&store, id).await, State::Resolved);
}

#[tokio::test]
async fn a_resolve_is_taken_in_once_with_its_delivery() {
    let (_folder, store, _) = store().await;
    let id = fires(&store, "HighErrorRate").await;
    let alert = named("checkout", "HighErrorRate").alert;
    let resolve = Resolve { alert: &alert, services: vec![], delivery: Some("Ev1"), doubt: None };
    let closed = Resolved::Incidents { closed: vec![id], open: vec![] };
    assert_eq!(store.resolve(&resolve, noon()).await.unwrap(), closed);
    fires(&store, "HighErrorRate").await;
    assert_eq!(store.resolve(&resolve, noon()).await.unwrap(), Resolved::Duplicate);
}

#[tokio::test]
async fn a_change_under_way_is_not_closed_over_and_the_resolve_is_kept() {
    let (_folder, store, _) = store().await;
    let (id, approval) = awaiting_approval(&store).await;
    store.decide(&approval, &approved("U1"), noon()).await.unwrap();
    assert_eq!(ends(&store, &["checkout"], "").await, (vec![], vec![id]));
    assert_eq!(state(&store, id).await, State::RollingBack);
    let told = store.incident(id).await.unwrap().unwrap().timeline;
    assert!(
        told.iter().any(|event| event.what.contains("a change is under way, and is finished first")),
        "{told:?}"
    );
}

#[tokio::test]
async fn what_fires_after_a_recovery_is_a_new_incident_that_names_it() {
    let (_folder, store, _) = store().await;
    let id = fires(&store, "HighErrorRate").await;
    reported(&store, id, 1).await;
    sqlx::query("UPDATE incidents SET state = 'recovered'").execute(&store.writer).await.unwrap();
    let next = fires(&store, "HighErrorRate").await;
    assert_ne!(next, id);
    assert_eq!(store.incident_row(next).await.unwrap().unwrap().previous, Some(id));
    assert_eq!(state(&store, id).await, State::Resolved, "one problem is one open incident");
    assert_eq!(fires(&store, "HighErrorRate").await, next);
}

#[tokio::test]
async fn an_alert_of_another_name_is_looked_at_anew_and_a_repeat_is_not() {
    let (_folder, store, _) = store().await;
    let id = fires(&store, "HighErrorRate on pod-7f9c").await;
    reported(&store, id, 1).await;
    fires(&store, "HighErrorRate on pod-a81b").await;
    assert_eq!(state(&store, id).await, State::Reported, "another pod is no other alert");
    let mut other = named("checkout", "Checkout5xx");
    other.alert.at = noon() + minutes(40);
    store.accept(other, noon() + minutes(40)).await.unwrap();
    let row = store.incident_row(id).await.unwrap().unwrap();
    assert_eq!((row.state, row.round, row.alerts_received), (State::Investigating, 2, 3));
    let about = store.alert_in_question(id).await.unwrap().unwrap();
    assert_eq!(about.alert_name.as_deref(), Some("Checkout5xx"), "the look is at what is new");
}

#[tokio::test]
async fn a_button_that_waits_is_not_taken_away_by_another_alert() {
    let (_folder, store, _) = store().await;
    let (id, approval) = awaiting_approval(&store).await;
    assert_eq!(fires(&store, "Checkout5xx").await, id);
    assert_eq!(state(&store, id).await, State::AwaitingApproval);
    assert_eq!(store.approval(&approval.id).await.unwrap().unwrap().decision, None);
    let told = store.incident(id).await.unwrap().unwrap().timeline;
    assert!(told.iter().any(|event| event.what == "another alert: Checkout5xx"), "{told:?}");
}

#[tokio::test]
async fn what_resolves_while_it_is_muted_is_held_too_and_closes_what_was_open() {
    let (_folder, store, _) = store().await;
    let id = fires(&store, "HighErrorRate").await;
    let mute = NewMute {
        service: "checkout".into(),
        reason: "load test".into(),
        by: "U1".into(),
        channel: None,
        until: noon() + minutes(120),
        delivery: Some("Ev1".into()),
    };
    assert_eq!(store.mute(&mute, noon()).await.unwrap(), Once::Done(true));
    assert_eq!(store.mute(&mute, noon()).await.unwrap(), Once::Before);
    store.accept(named("checkout", "Checkout5xx"), noon()).await.unwrap();
    assert_eq!(ends(&store, &["checkout"], "HighErrorRate").await, (vec![id], vec![]));
    let held = store.held_alerts(1).await.unwrap();
    let told: Vec<_> = held.iter().map(|held| (held.alert.alert_name.as_deref(), held.state)).collect();
    let expected = [(Some("Checkout5xx"), AlertState::Firing), (Some("HighErrorRate"), AlertState::Resolved)];
    assert_eq!(told, expected);
    assert_eq!(store.mute_of(1).await.unwrap().unwrap().held, 1, "an end is no alert that was held back");
}

#[tokio::test]
async fn what_a_person_asks_for_is_done_once_with_its_delivery() {
    let (_folder, store, _) = store().await;
    let id = fires(&store, "HighErrorRate").await;
    let closing = Closing { reason: "false alarm", by: Some("U1") };
    assert_eq!(store.close_once(id, &closing, Some("Ev1"), noon()).await.unwrap(), Once::Done(true));
    assert_eq!(store.close_once(id, &closing, Some("Ev1"), noon()).await.unwrap(), Once::Before);
    let row = store.incident_row(id).await.unwrap().unwrap();
    assert_eq!((row.close_reason.as_deref(), row.closed_by.as_deref()), (Some("false alarm"), Some("U1")));
    let other = fires(&store, "HighErrorRate").await;
    reported(&store, other, 1).await;
    let again =
        async || store.investigate_again_once(other, "U1", "asked for", Some("Ev2"), noon()).await.unwrap();
    assert_eq!(again().await, Once::Done(true));
    assert_eq!(again().await, Once::Before);
}
