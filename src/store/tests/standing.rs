//! What the database withstands: commits that fail, callers that go, rows that nobody can read, a second name.

use std::os::unix::fs::{MetadataExt as _, symlink};
use std::sync::mpsc;

use super::*;

impl Store {
    /// From now on every COMMIT fails as one does for which the disk has no room: SQLite rolls back by itself.
    pub(crate) async fn refuse_commits(&self) {
        let mut connection = self.writer.acquire().await.unwrap();
        connection.lock_handle().await.unwrap().set_commit_hook(|| false);
    }
}

#[tokio::test]
async fn after_a_commit_that_failed_the_next_one_is_stored() {
    let (_folder, store, _) = store().await;
    for _ in 0..3 {
        store.refuse_commits().await;
        assert!(store.accept(alert("checkout", None), noon()).await.is_err());
        store.refuse_commits().await;
        assert!(store.pulse(noon()).await.is_err(), "what keeps alerts out is seen from outside");
    }
    // The disk has room again.
    let id = store.accept(alert("checkout", None), noon()).await.unwrap().incident().unwrap();
    store.pulse(noon()).await.unwrap();
    assert_eq!(store.incident(id).await.unwrap().unwrap().alerts_received, 1, "what was acknowledged");
}

#[tokio::test]
async fn who_hangs_up_while_alerts_are_stored_has_nobodys_stored_twice() {
    let (_folder, store, _) = store().await;
    let (begun, commits) = tokio::sync::oneshot::channel();
    let (go, held) = mpsc::channel::<()>();
    let mut begun = Some(begun);
    let mut connection = store.writer.acquire().await.unwrap();
    connection.lock_handle().await.unwrap().set_commit_hook(move || {
        // The first COMMIT waits until it may go on.
        if let Some(begun) = begun.take() {
            begun.send(()).unwrap();
            held.recv().unwrap_err();
        }
        true
    });
    drop(connection);
    // Both come together, the one that will go away in front.
    let turn = store.queue.turn.clone().lock_owned().await;
    let mut both = Vec::new();
    for (waiting, service) in ["payments", "checkout"].into_iter().enumerate() {
        let own = store.clone();
        both.push(tokio::spawn(async move { own.accept(alert(service, None), noon()).await }));
        while store.queue.waiting.lock().unwrap().len() == waiting {
            tokio::task::yield_now().await;
        }
    }
    drop(turn);
    commits.await.unwrap();
    both[0].abort();
    drop(go);
    let stays = both.remove(1).await.unwrap().unwrap();
    assert!(matches!(stays, Accepted::Opened(_)), "{stays:?}");
    let stored: Vec<i64> = store.list(10).await.unwrap().iter().map(|line| line.alerts_received).collect();
    assert_eq!(stored, [1, 1], "each once");
}

#[tokio::test]
async fn a_job_that_cannot_be_read_is_put_aside_and_the_others_go_on() {
    let (_folder, store, _) = store().await;
    let id = store.accept(alert("checkout", None), noon()).await.unwrap().incident();
    sqlx::query("UPDATE jobs SET payload = '{\"job\": \"of_another_version\"}'")
        .execute(&store.writer)
        .await
        .unwrap();
    assert!(store.claim(noon()).await.unwrap().is_none());
    let aside = store.put_aside().await.unwrap();
    assert_eq!((aside.len(), aside[0].kind.as_str()), (1, "investigate"), "{aside:?}");
    assert!(aside[0].error.contains("of_another_version"), "{aside:?}");
    assert_eq!(aside[0].since, Some(noon()));
    store.enqueue(&JobKind::CloseQuiet, id, noon()).await.unwrap();
    assert_eq!(store.claim(noon()).await.unwrap().unwrap().kind, JobKind::CloseQuiet);
}

fn owed(purpose: &str, image: Option<Vec<u8>>) -> Owed {
    Owed {
        purpose: purpose.into(),
        incident: None,
        channel: "C1".into(),
        thread_ts: None,
        body: serde_json::json!({ "text": "x" }),
        image,
        approval: None,
    }
}

#[tokio::test]
async fn a_message_that_cannot_be_read_is_put_aside_and_the_others_go_on() {
    let (_folder, store, _) = store().await;
    store.owe(&owed("mute/1", None), noon()).await.unwrap();
    sqlx::query("UPDATE outbox SET body = 'no'").execute(&store.writer).await.unwrap();
    let candidate = store.candidates(noon()).await.unwrap().remove(0);
    assert!(store.lease(&candidate, noon()).await.unwrap().is_none());
    assert_eq!(store.put_aside().await.unwrap()[0].id, "mute/1");
    assert_eq!(store.undelivered().await.unwrap(), [(UndeliveredCause::Content, 1)]);
    store.owe(&owed("mute/2", None), noon()).await.unwrap();
    let next = store.candidates(noon()).await.unwrap().remove(0);
    assert_eq!(store.lease(&next, noon()).await.unwrap().unwrap().key, "mute/2");
}

#[tokio::test]
async fn a_chart_that_slack_refused_is_nobodys_work() {
    let (_folder, store, _) = store().await;
    store.owe(&owed("chart/1", Some(vec![1])), noon()).await.unwrap();
    let candidate = store.candidates(noon()).await.unwrap().remove(0);
    let parcel = store.lease(&candidate, noon()).await.unwrap().unwrap();
    store.give_up(&parcel, UndeliveredCause::Access, true, "missing_scope").await.unwrap();
    assert_eq!(store.put_aside().await.unwrap(), [], "its picture is gone: there is nothing to try again");
    assert_eq!(
        store.figures(noon()).await.unwrap().messages_dead,
        0,
        "an alert about it could not be cleared"
    );
    assert_eq!(store.undelivered().await.unwrap(), []);
}

#[tokio::test]
async fn by_whichever_name_it_is_opened_one_works_on_a_database() {
    let (folder, _store, _) = store().await;
    symlink(folder.path().join("test.db"), folder.path().join("link.db")).unwrap();
    symlink(folder.path(), folder.path().join("there")).unwrap();
    for name in ["link.db", "there/test.db", "there/./test.db", "there/link.db"] {
        let url = format!("sqlite://{}", folder.path().join(name).display());
        let refused = Store::open(&url).await.map(|_| ());
        assert!(matches!(refused, Err(StoreError::InUse { .. })), "{name}: {refused:?}");
    }
    // A link to a place where nothing is yet is a name like any other.
    symlink(folder.path().join("new one.db"), folder.path().join("new-link.db")).unwrap();
    let url = format!("sqlite://{}", folder.path().join("new-link.db").display());
    let _held = Store::open(&url).await.unwrap();
    let url = format!("sqlite://{}", folder.path().join("new%20one.db").display());
    assert!(matches!(Store::open(&url).await, Err(StoreError::InUse { .. })));
}

#[tokio::test]
async fn the_database_and_its_copies_are_their_owners_alone() {
    let (folder, store, _) = store().await;
    store.accept(alert("checkout", None), noon()).await.unwrap();
    store.back_up(&folder.path().join("copy.db")).await.unwrap();
    for name in ["test.db", "test.db-wal", "test.db-shm", "copy.db"] {
        let mode = folder.path().join(name).metadata().unwrap().mode() & 0o777;
        assert_eq!(mode, 0o600, "{name}: {mode:o}");
    }
}
