mod alerts;
mod keeping;
mod migrations;
mod recorded;
mod standing;

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::domain::alert::Alert;
use crate::domain::approval::Decision;
use crate::domain::audit::{self, What};
use crate::domain::incident::{IncidentId, State};
use crate::domain::plan::Plan;
use crate::domain::report::{Cause, Report, Symptoms};
use crate::domain::rollback::RollbackTarget;

impl Store {
    /// From now on the file may not grow: SQLite answers as on a full disk.
    pub(crate) async fn fill_the_disk(&self) {
        let pages: i64 = sqlx::query_scalar("PRAGMA page_count").fetch_one(&self.writer).await.unwrap();
        self.grow_to(pages).await;
    }

    pub(crate) async fn make_room(&self) {
        self.grow_to(1_000_000).await;
    }

    async fn grow_to(&self, pages: i64) {
        let statement = format!("PRAGMA max_page_count = {pages}");
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&self.writer).await.unwrap();
    }
}

const NOON: &str = "2026-02-06T12:00:00Z";

fn noon() -> Timestamp {
    NOON.parse().unwrap()
}

fn minutes(count: i64) -> SignedDuration {
    SignedDuration::from_mins(count)
}

async fn store() -> (tempfile::TempDir, Store, String) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("test.db").display());
    let store = Store::open(&url).await.unwrap();
    (folder, store, url)
}

fn alert(service: &str, metric: Option<&str>) -> NewAlert {
    let alert = Alert {
        service: service.into(),
        at: noon(),
        metric: metric.map(str::to_owned),
        value: None,
        threshold: None,
        severity: None,
        alert_name: None,
        source: None,
    };
    NewAlert { alert, origin: Origin::default() }
}

fn conclusion(with_plan: bool) -> Conclusion {
    let target = RollbackTarget::LambdaConcurrency { function: "checkout".into(), from: Some(1), to: None };
    let plan = Plan::of(target, None, String::new(), &|_, value| value.to_owned());
    Conclusion {
        report: Report {
            summary: "A pool is too small.".into(),
            ..Report::bare("checkout", Cause::Deployment, 0.97)
        },
        symptoms: Symptoms::default(),
        files: [("bundle.json".to_owned(), b"{}".to_vec())].into(),
        plan: with_plan.then_some(plan),
        not_offered: None,
        expires_after: minutes(30),
        close_after: minutes(120),
    }
}

async fn awaiting_approval(store: &Store) -> (IncidentId, Approval) {
    let id = store.accept(alert("checkout", None), noon()).await.unwrap().incident().unwrap();
    assert!(store.conclude(id, 1, &conclusion(true), noon()).await.unwrap());
    let approval = store.pending_approval(id).await.unwrap().unwrap();
    (id, approval)
}

fn approved(by: &str) -> Decided<'_> {
    Decided { decision: Decision::Approved, by: Some(by), reason: None, click: None, break_glass: false }
}

#[tokio::test]
async fn an_accepted_alert_survives_the_process_with_its_work() {
    let (_folder, store, url) = store().await;
    let id = store.accept(alert("checkout", None), noon()).await.unwrap().incident().unwrap();
    store.close().await;
    drop(store);
    let again = Store::open(&url).await.unwrap();
    assert_eq!(again.incident(id).await.unwrap().unwrap().alerts_received, 1);
    let job = again.claim(noon()).await.unwrap().unwrap();
    assert_eq!((job.kind, job.incident), (JobKind::Investigate, Some(id)));
}

#[tokio::test]
async fn a_second_worker_on_the_same_file_is_refused_and_a_reader_is_not() {
    let (_folder, _store, url) = store().await;
    assert!(matches!(Store::open(&url).await, Err(StoreError::InUse { .. })));
    assert!(Store::open_beside(&url).await.is_ok());
}

#[tokio::test]
async fn one_problem_is_one_incident() {
    let (_folder, store, _) = store().await;
    let first = store.accept(alert("checkout", Some("5xx")), noon()).await.unwrap();
    let again = store.accept(alert("checkout", Some("ErrorRate")), noon()).await.unwrap();
    let unclear = store.accept(alert("checkout", None), noon()).await.unwrap();
    let other = store.accept(alert("checkout", Some("latency_p99")), noon()).await.unwrap();
    let id = first.incident().unwrap();
    assert_eq!(again, Accepted::Joined(id));
    assert_eq!(unclear, Accepted::Joined(id));
    assert!(matches!(other, Accepted::Opened(new) if new != id));
    assert_eq!(store.incident(id).await.unwrap().unwrap().alerts_received, 3);
}

#[tokio::test]
async fn the_next_firing_after_a_resolved_one_names_it() {
    let (_folder, store, _) = store().await;
    let first = store.accept(alert("checkout", Some("5xx")), noon()).await.unwrap().incident().unwrap();
    store.conclude(first, 1, &conclusion(false), noon()).await.unwrap();
    assert!(store.close_incident(first, "the alert resolved", noon()).await.unwrap());
    let second = store.accept(alert("checkout", Some("5xx")), noon()).await.unwrap().incident().unwrap();
    assert_ne!(first, second);
    assert_eq!(store.incident(second).await.unwrap().unwrap().previous, Some(first));
}

#[tokio::test]
async fn the_same_delivery_is_one_alert() {
    let (_folder, store, _) = store().await;
    let mut new = alert("checkout", None);
    new.origin.delivery = Some("Ev1".into());
    let id = store.accept(new.clone(), noon()).await.unwrap().incident().unwrap();
    assert_eq!(store.accept(new, noon()).await.unwrap(), Accepted::Duplicate);
    assert_eq!(store.incident(id).await.unwrap().unwrap().alerts_received, 1);
}

#[tokio::test]
async fn a_job_is_leased_to_one_and_comes_back_when_the_lease_runs_out() {
    let (_folder, store, _) = store().await;
    store.accept(alert("checkout", None), noon()).await.unwrap();
    let job = store.claim(noon()).await.unwrap().unwrap();
    assert!(store.claim(noon()).await.unwrap().is_none());
    let later = noon() + minutes(2);
    assert_eq!(store.claim(later).await.unwrap().unwrap().id, job.id);
}

#[tokio::test]
async fn jobs_of_one_incident_run_one_after_another() {
    let (_folder, store, _) = store().await;
    let id = store.accept(alert("checkout", None), noon()).await.unwrap().incident();
    store.enqueue(&JobKind::Headline, id, noon()).await.unwrap();
    let first = store.claim(noon()).await.unwrap().unwrap();
    assert!(store.claim(noon()).await.unwrap().is_none());
    store.finish(first.id).await.unwrap();
    assert_eq!(store.claim(noon()).await.unwrap().unwrap().kind, JobKind::Headline);
}

#[tokio::test]
async fn a_job_that_keeps_failing_is_put_aside() {
    let (_folder, store, _) = store().await;
    store.accept(alert("checkout", None), noon()).await.unwrap();
    let mut now = noon();
    let mut dead = false;
    for _ in 0..20 {
        now += minutes(10);
        match store.claim(now).await.unwrap() {
            Some(job) => dead = store.fail(&job, "no", now).await.unwrap(),
            None => break,
        }
    }
    assert!(dead);
    assert_eq!(store.queue_depth().await.unwrap(), (0, 1));
}

#[tokio::test]
async fn a_conclusion_is_saved_once() {
    let (_folder, store, _) = store().await;
    let (id, _) = awaiting_approval(&store).await;
    assert!(!store.conclude(id, 1, &conclusion(true), noon()).await.unwrap());
    assert_eq!(store.approvals_of(id).await.unwrap().len(), 1);
    assert_eq!(store.evidence(id).await.unwrap().len(), 1);
}

#[tokio::test]
async fn of_two_deciders_one_wins() {
    let (_folder, store, _) = store().await;
    let (id, approval) = awaiting_approval(&store).await;
    let decide = |by: &'static str| {
        let (store, approval) = (store.clone(), approval.clone());
        async move { store.decide(&approval, &approved(by), noon()).await.unwrap() }
    };
    let (first, second) = tokio::join!(decide("U1"), decide("U2"));
    assert_eq!([first, second].iter().filter(|claim| **claim == Claim::Won).count(), 1);
    assert_eq!(store.incident_row(id).await.unwrap().unwrap().state, State::RollingBack);
}

#[tokio::test]
async fn a_change_is_marked_as_sent_only_once() {
    let (_folder, store, _) = store().await;
    let (_, approval) = awaiting_approval(&store).await;
    let sending = || What::Sending { call: "c".into(), resource: "r".into(), session: "s".into() };
    assert!(store.note_sending(&approval, sending(), noon()).await.unwrap());
    assert!(!store.note_sending(&approval, sending(), noon()).await.unwrap());
}

#[tokio::test]
async fn a_new_look_ends_the_open_approval() {
    let (_folder, store, _) = store().await;
    let (id, approval) = awaiting_approval(&store).await;
    assert!(store.investigate_again(id, "asked for", noon()).await.unwrap());
    let old = store.approval(&approval.id).await.unwrap().unwrap();
    assert_eq!(old.decision, Some(Decision::Superseded));
    assert_eq!(store.decide(&old, &approved("U1"), noon()).await.unwrap(), Claim::Lost);
    assert_eq!(store.incident_row(id).await.unwrap().unwrap().round, 2);
}

#[tokio::test]
async fn hostile_text_is_data() {
    let (_folder, store, _) = store().await;
    let name = "x'); DROP TABLE incidents; --";
    let id = store.accept(alert(name, None), noon()).await.unwrap().incident().unwrap();
    assert_eq!(store.incident(id).await.unwrap().unwrap().service, name);
}

#[tokio::test]
async fn every_decision_is_in_the_trail_and_its_chain_holds() {
    let (_folder, store, _) = store().await;
    let (_, approval) = awaiting_approval(&store).await;
    store.decide(&approval, &approved("U1"), noon()).await.unwrap();
    let trail = store.audit_trail().await.unwrap();
    let kinds: Vec<&str> = trail.iter().map(|row| row.what.split('"').nth(3).unwrap()).collect();
    assert_eq!(kinds, ["requested", "decided"]);
    assert_eq!(trail[1].actor, "U1");
    assert_eq!(audit::verify(&trail), Ok(trail[1].hash.clone()));
}

#[tokio::test]
async fn nothing_in_the_trail_can_be_changed_through_the_database() {
    let (_folder, store, _) = store().await;
    awaiting_approval(&store).await;
    for statement in [
        "UPDATE audit SET actor = 'nobody'",
        "DELETE FROM audit",
        "INSERT OR REPLACE INTO audit (sequence, at, actor, what, previous, hash) VALUES (1, 0, 'x', '{}', '', '')",
    ] {
        let refused = sqlx::query(statement).execute(&store.writer).await.unwrap_err();
        assert!(refused.to_string().contains("append-only"), "{statement}: {refused}");
    }
    assert_eq!(store.audit_trail().await.unwrap().len(), 1);
}

#[tokio::test]
async fn who_tampers_with_the_file_breaks_the_chain() {
    let (_folder, store, _) = store().await;
    let (_, approval) = awaiting_approval(&store).await;
    store.decide(&approval, &approved("U1"), noon()).await.unwrap();
    sqlx::query("DROP TRIGGER audit_is_not_changed").execute(&store.writer).await.unwrap();
    sqlx::query("UPDATE audit SET actor = 'U2' WHERE sequence = 2").execute(&store.writer).await.unwrap();
    let trail = store.audit_trail().await.unwrap();
    assert_eq!(audit::verify(&trail), Err(audit::Break::Changed(2)));
}

#[tokio::test]
async fn a_decision_whose_row_is_gone_is_missed() {
    let (_folder, store, _) = store().await;
    let (_, approval) = awaiting_approval(&store).await;
    store.decide(&approval, &approved("U1"), noon()).await.unwrap();
    assert_eq!(store.untold().await.unwrap(), Vec::<String>::new());
    sqlx::query("DROP TRIGGER audit_is_not_deleted").execute(&store.writer).await.unwrap();
    sqlx::query("DELETE FROM audit WHERE sequence = 2").execute(&store.writer).await.unwrap();
    let untold = store.untold().await.unwrap();
    assert_eq!(untold.len(), 1, "{untold:?}");
    assert!(untold[0].contains("decided"), "{untold:?}");
}

#[tokio::test]
async fn alerts_that_join_bring_the_headline_up_to_date_with_one_look() {
    let (_folder, store, _) = store().await;
    let opened = store.accept(alert("checkout", None), noon()).await.unwrap().incident().unwrap();
    let investigation = store.claim(noon()).await.unwrap().unwrap();
    store.finish(investigation.id).await.unwrap();
    for _ in 0..20 {
        assert_eq!(store.accept(alert("checkout", None), noon()).await.unwrap(), Accepted::Joined(opened));
    }
    assert!(store.claim(noon()).await.unwrap().is_none(), "more may come in the same second");
    let soon = noon() + SignedDuration::from_secs(1);
    let look = store.claim(soon).await.unwrap().unwrap();
    assert_eq!((look.kind.clone(), look.incident), (JobKind::Headline, Some(opened)));
    assert!(store.claim(soon).await.unwrap().is_none(), "one look sees all twenty");
    // What joins while that look is under way is seen by the next.
    store.accept(alert("checkout", None), noon()).await.unwrap();
    store.finish(look.id).await.unwrap();
    assert_eq!(store.claim(soon).await.unwrap().unwrap().kind, JobKind::Headline);
}

#[tokio::test]
async fn what_is_deleted_leaves_nothing_but_a_trail_that_holds() {
    let (_folder, store, _) = store().await;
    let id = store.accept(alert("checkout", None), noon()).await.unwrap().incident().unwrap();
    assert_eq!(
        store.delete_incident(id, "command line", noon()).await.unwrap(),
        Deleted::Open(State::Investigating)
    );
    assert!(store.conclude(id, 1, &conclusion(true), noon()).await.unwrap());
    let said = NewFeedback {
        incident: id,
        round: 1,
        by: "U1",
        word: crate::domain::scorecard::Word::Right,
        cause: None,
        note: Some("it was the pool"),
        click: "c1",
    };
    assert!(store.note_feedback(&said, noon()).await.unwrap());
    store.close_incident(id, "done", noon()).await.unwrap();
    let before = store.audit_trail().await.unwrap().len();
    assert!(before > 0);

    assert_eq!(store.delete_incident(id, "command line", noon()).await.unwrap(), Deleted::Done);
    assert!(store.incident(id).await.unwrap().is_none());
    assert!(store.feedback_of(id).await.unwrap().is_empty());
    assert!(store.evidence(id).await.unwrap().is_empty());
    assert_eq!(store.queue_depth().await.unwrap(), (0, 0));
    let trail = store.audit_trail().await.unwrap();
    assert_eq!(trail.len(), before + 1);
    assert!(audit::verify(&trail).is_ok());
    assert_eq!(store.untold().await.unwrap(), Vec::<String>::new());
    assert_eq!(store.delete_incident(id, "command line", noon()).await.unwrap(), Deleted::Unknown);
    // Its number is not given again.
    let next = store.accept(alert("checkout", None), noon()).await.unwrap().incident().unwrap();
    assert!(next.0 > id.0);
}
