//! What lives for years: work that fails, a disk that is full, copies, and old things that go.

use super::*;
use crate::domain::alert::AlertState;

async fn claimed(store: &Store, now: Timestamp) -> Option<(JobKind, Option<IncidentId>)> {
    store.claim(now).await.unwrap().map(|job| (job.kind, job.incident))
}

/// An incident of this service whose investigation is due.
async fn opened(store: &Store, service: &str, metric: &str) -> IncidentId {
    store.accept(alert(service, Some(metric)), noon()).await.unwrap().incident().unwrap()
}

async fn resolved(store: &Store, service: &str) -> IncidentId {
    let id = opened(store, service, "5xx").await;
    store.conclude(id, 1, &conclusion(true), noon()).await.unwrap();
    assert!(store.close_incident(id, "the alert resolved", noon()).await.unwrap());
    id
}

#[tokio::test]
async fn every_connection_writes_ahead_and_syncs_each_commit() {
    let (_folder, store, _) = store().await;
    for pool in [&store.writer, &store.readers] {
        let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(pool).await.unwrap();
        let level: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(pool).await.unwrap();
        assert_eq!((mode.as_str(), level), ("wal", 2), "2 is FULL");
    }
}

#[tokio::test]
async fn one_noisy_service_does_not_starve_another() {
    let (_folder, store, _) = store().await;
    for metric in ["5xx", "latency_p99", "cpu_utilization"] {
        opened(&store, "noisy", metric).await;
    }
    let quiet = opened(&store, "quiet", "5xx").await;
    claimed(&store, noon()).await.unwrap();
    let second = claimed(&store, noon()).await.unwrap();
    assert_eq!(second, (JobKind::Investigate, Some(quiet)), "before the rest of the noisy one's");
}

#[tokio::test]
async fn investigations_are_bounded_and_a_click_does_not_wait_for_them() {
    let (_folder, store, _) = store().await;
    for number in 0..10 {
        opened(&store, &format!("service-{number}"), "5xx").await;
    }
    let mut begun = 0;
    while let Some((kind, _)) = claimed(&store, noon()).await {
        assert_eq!(kind, JobKind::Investigate);
        begun += 1;
    }
    assert_eq!(begun, INVESTIGATIONS_AT_ONCE);
    store.enqueue(&JobKind::Expire { approval: "a".into() }, None, noon()).await.unwrap();
    assert!(matches!(claimed(&store, noon()).await, Some((JobKind::Expire { .. }, None))));
}

#[tokio::test]
async fn ten_thousand_identical_alerts_cost_one_investigation_and_one_look_at_the_headline() {
    let (_folder, store, _) = store().await;
    let id = opened(&store, "checkout", "5xx").await;
    // A thousand at a time share their commits.
    for part in [1..1_000, 1_000..2_000, 2_000..3_000, 3_000..4_000, 4_000..5_000, 5_000..10_000] {
        let all = part.map(|_| store.accept(alert("checkout", Some("5xx")), noon()));
        let accepted = futures::future::join_all(all).await;
        assert!(accepted.iter().all(|one| matches!(one, Ok(Accepted::Joined(joined)) if *joined == id)));
    }
    assert_eq!(store.incident_row(id).await.unwrap().unwrap().alerts_received, 10_000);
    assert_eq!(store.queue_depth().await.unwrap(), (2, 0));
    assert_eq!(claimed(&store, noon()).await, Some((JobKind::Investigate, Some(id))));
    assert_eq!(store.alerts(id).await.unwrap().len(), 10_000, "each is kept");
}

#[tokio::test]
async fn what_was_put_aside_is_listed_and_tried_again() {
    let (_folder, store, _) = store().await;
    let id = opened(&store, "checkout", "5xx").await;
    let mut now = noon();
    while let Some(job) = store.claim(now).await.unwrap() {
        store.fail(&job, "AWS says no", now).await.unwrap();
        now += minutes(10);
    }
    let aside = store.put_aside().await.unwrap();
    assert_eq!(aside.len(), 1);
    assert_eq!((aside[0].kind.as_str(), aside[0].incident), ("investigate", Some(id)));
    assert_eq!(aside[0].error, "AWS says no");
    assert!(store.is_investigation_aside(id).await.unwrap());
    assert!(!store.retry("99", now).await.unwrap());
    assert!(store.retry(&aside[0].id, now).await.unwrap());
    assert_eq!(store.put_aside().await.unwrap(), []);
    let again = store.claim(now).await.unwrap().unwrap();
    assert_eq!((again.kind, again.attempts), (JobKind::Investigate, 1));
}

#[tokio::test]
async fn a_message_that_slack_refused_is_tried_again_too() {
    let (_folder, store, _) = store().await;
    let owed = Owed {
        purpose: "mute/1".into(),
        incident: None,
        channel: "C1".into(),
        thread_ts: None,
        body: serde_json::json!({ "text": "x" }),
        image: None,
        approval: None,
    };
    store.owe(&owed, noon()).await.unwrap();
    let candidate = store.candidates(noon()).await.unwrap().remove(0);
    let parcel = store.lease(&candidate, noon()).await.unwrap().unwrap();
    store.give_up(&parcel, UndeliveredCause::Place, true, "channel_not_found").await.unwrap();
    assert_eq!(store.put_aside().await.unwrap()[0].id, "mute/1");
    assert!(store.retry("mute/1", noon()).await.unwrap());
    assert_eq!(store.candidates(noon()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn on_a_full_disk_nothing_is_acknowledged_and_nothing_is_lost() {
    let (_folder, store, _) = store().await;
    let id = opened(&store, "checkout", "5xx").await;
    store.pulse(noon()).await.unwrap();
    store.fill_the_disk().await;
    let mut accepted = 1;
    let refused = loop {
        match store.accept(alert("checkout", Some("5xx")), noon()).await {
            Ok(_) => accepted += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, StoreError::Full), "{refused}");
    assert!(refused.to_string().contains("disk is full"));
    store.make_room().await;
    assert_eq!(store.accept(alert("checkout", Some("5xx")), noon()).await.unwrap(), Accepted::Joined(id));
    assert_eq!(store.alerts(id).await.unwrap().len(), accepted + 1, "what was acknowledged, and no more");
}

#[tokio::test]
async fn a_database_that_somebody_else_locks_says_so_and_works_afterwards() {
    let (_folder, store, url) = store().await;
    let other = Store::open_beside(&url).await.unwrap();
    let held = other.begin().await.unwrap();
    let refused = store.accept(alert("checkout", None), noon()).await.unwrap_err();
    assert!(matches!(refused, StoreError::Locked), "{refused}");
    held.rollback().await.unwrap();
    store.accept(alert("checkout", None), noon()).await.unwrap();
}

#[tokio::test]
async fn a_clock_that_went_back_keeps_nothing_waiting() {
    let (_folder, store, _) = store().await;
    let id = opened(&store, "checkout", "5xx").await;
    store.enqueue(&JobKind::CloseQuiet, Some(id), noon() + minutes(120)).await.unwrap();
    let earlier = noon() - minutes(60);
    assert_eq!(claimed(&store, earlier).await, None);
    store.clock_went_back(minutes(60)).await.unwrap();
    let job = store.claim(earlier).await.unwrap().unwrap();
    store.finish(job.id).await.unwrap();
    assert_eq!(claimed(&store, earlier + minutes(119)).await, None);
    assert_eq!(claimed(&store, earlier + minutes(120)).await, Some((JobKind::CloseQuiet, Some(id))));
}

#[tokio::test]
async fn a_clock_that_went_back_holds_alerts_no_longer_than_was_asked_for() {
    let (_folder, store, _) = store().await;
    let new = NewMute {
        service: "checkout".into(),
        reason: "load test".into(),
        by: "U1".into(),
        channel: None,
        until: noon() + minutes(30),
        delivery: None,
    };
    store.mute(&new, noon()).await.unwrap();
    assert_eq!(store.last_written().await.unwrap(), None, "nothing came yet");
    let other = opened(&store, "payments", "5xx").await;
    assert_eq!(store.last_written().await.unwrap(), Some(noon()));
    store.clock_went_back(minutes(60)).await.unwrap();
    let end = noon() - minutes(30);
    assert!(store.is_muted("checkout", end - minutes(1)).await.unwrap());
    assert!(!store.is_muted("checkout", end).await.unwrap());
    assert_eq!(store.incident(other).await.unwrap().unwrap().opened_at, noon(), "what tells stays as it was");
}

#[tokio::test]
async fn alerts_that_come_together_are_each_stored_once_also_where_somebody_goes_away() {
    let (_folder, store, _) = store().await;
    let together: Vec<_> = (0..200)
        .map(|number| {
            let mut new = alert(&format!("service-{}", number % 5), Some("5xx"));
            new.origin.delivery = Some(format!("Ev{}", number / 2));
            let store = store.clone();
            tokio::spawn(async move { store.accept(new, noon()).await.unwrap() })
        })
        .collect();
    // Some callers hang up, whoever is storing then.
    for gone in together.iter().skip(150) {
        gone.abort();
    }
    let mut first_of_two = 0;
    for one in together.into_iter().take(150) {
        first_of_two += i64::from(one.await.unwrap() != Accepted::Duplicate);
    }
    assert_eq!(first_of_two, 75, "each delivery counts once");
    let stored: i64 = store.list(10).await.unwrap().iter().map(|line| line.alerts_received).sum();
    assert!(
        (75..=100).contains(&stored),
        "{stored}: what was acknowledged, and of the others each at most once"
    );
}

#[tokio::test]
async fn a_copy_is_whole_while_others_write_and_replaces_nothing() {
    let (folder, store, url) = store().await;
    let id = opened(&store, "checkout", "5xx").await;
    let owed = Owed {
        purpose: HEADLINE.into(),
        incident: Some(id),
        channel: "C1".into(),
        thread_ts: None,
        body: serde_json::json!({ "text": "x" }),
        image: None,
        approval: None,
    };
    store.owe(&owed, noon()).await.unwrap();
    let beside = Store::open_beside(&url).await.unwrap();
    let target = folder.path().join("copy.db");
    let writing = async {
        for _ in 0..50 {
            opened(&store, "checkout", "5xx").await;
        }
    };
    let (copied, ()) = tokio::join!(beside.back_up(&target), writing);
    copied.unwrap();
    assert!(matches!(beside.back_up(&target).await, Err(StoreError::Copy { .. })), "it is there");
    let copy = Store::open(&format!("sqlite://{}", target.display())).await.unwrap();
    let kept = copy.incident(id).await.unwrap().unwrap();
    assert_eq!(kept.alerts.len() as i64, kept.alerts_received);
    // Slack may show it by now: it is looked for before it is posted.
    let candidate = copy.candidates(noon()).await.unwrap().remove(0);
    assert_eq!(candidate.sent_before, Some(1));
}

#[tokio::test]
async fn what_is_older_than_the_retention_goes_with_all_that_belongs_to_it() {
    let (_folder, store, _) = store().await;
    let retention = minutes(60 * 24 * 30);
    let old = resolved(&store, "checkout").await;
    // It names the old one as the previous, and is open.
    let open = opened(&store, "checkout", "5xx").await;
    let new = resolved(&store, "payments").await;
    assert_eq!(store.prune(retention, noon()).await.unwrap(), 0);
    sqlx::query("UPDATE incidents SET closed_at = closed_at + 60000 WHERE service = 'payments'")
        .execute(&store.writer)
        .await
        .unwrap();
    let later = noon() + retention + SignedDuration::from_secs(30);
    assert!(store.prune(retention, later).await.unwrap() > 0);
    assert!(store.incident(old).await.unwrap().is_none());
    assert_eq!(store.incident_row(open).await.unwrap().unwrap().previous, None);
    assert!(store.incident(new).await.unwrap().is_some());
    for table in ["alerts", "evidence", "approvals", "timeline", "firing", "jobs"] {
        let query = format!("SELECT count(*) FROM {table} WHERE incident_id = {}", old.0);
        let rest: i64 =
            sqlx::query_scalar(sqlx::AssertSqlSafe(query)).fetch_one(&store.readers).await.unwrap();
        assert_eq!(rest, 0, "{table}");
    }
    assert!(!store.audit_trail().await.unwrap().is_empty(), "who decided what is kept");
}

#[tokio::test]
async fn a_year_of_incidents_takes_no_more_room_than_its_retention() {
    let (_folder, store, _) = store().await;
    let (retention, mut now) = (minutes(60 * 24 * 10), noon());
    let mut sizes = Vec::new();
    for day in 0..60 {
        for number in 0..3 {
            let mut new = alert(&format!("service-{number}"), Some("5xx"));
            new.origin.delivery = Some(format!("{day}/{number}"));
            let id = store.accept(new, now).await.unwrap().incident().unwrap();
            store.conclude(id, 1, &conclusion(false), now).await.unwrap();
            store.close_incident(id, "over", now).await.unwrap();
        }
        while store.prune(retention, now).await.unwrap() > 0 {}
        now += minutes(60 * 24);
        let used: i64 = sqlx::query_scalar(
            "SELECT page_count - freelist_count FROM pragma_page_count, pragma_freelist_count",
        )
        .fetch_one(&store.writer)
        .await
        .unwrap();
        sizes.push(used);
    }
    // Verdicts and the trail stay, a few hundred bytes each.
    assert!(sizes[59] <= sizes[40] + 3, "{sizes:?}");
}

#[tokio::test]
async fn a_held_alert_outlives_nothing_but_the_retention() {
    let (_folder, store, _) = store().await;
    let new = NewMute {
        service: "checkout".into(),
        reason: "load test".into(),
        by: "U1".into(),
        channel: None,
        until: noon() + minutes(60),
        delivery: None,
    };
    store.mute(&new, noon()).await.unwrap();
    assert!(matches!(store.accept(alert("checkout", None), noon()).await.unwrap(), Accepted::Held { .. }));
    let retention = minutes(60 * 24);
    store.prune(retention, noon() + retention * 2).await.unwrap();
    assert_eq!(store.held_alerts(1).await.unwrap().len(), 1, "nobody was told of it yet");
    assert_eq!(store.held_alerts(1).await.unwrap()[0].state, AlertState::Firing);
    assert_eq!(store.mutes(false).await.unwrap().len(), 1);
    store.note_mute_told(1, noon()).await.unwrap();
    assert_eq!((store.mutes(false).await.unwrap().len(), store.mutes(true).await.unwrap().len()), (0, 1));
    store.prune(retention, noon() + retention * 2).await.unwrap();
    assert_eq!(store.held_alerts(1).await.unwrap().len(), 0);
}

#[test]
fn want_of_a_connection_passes_and_counts_as_nobodys_failure() {
    let error = StoreError::from(sqlx::Error::PoolTimedOut);
    assert!(matches!(error, StoreError::Crowded) && error.is_of_the_moment(), "{error}");
    assert!(!StoreError::from(sqlx::Error::RowNotFound).is_of_the_moment());
}
