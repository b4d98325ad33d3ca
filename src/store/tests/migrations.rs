//! Every earlier schema, with rows as it held them, brought up to date.

use std::borrow::Cow;

use sqlx::migrate::Migrator;

use super::*;

/// Rows as a version of the schema holds them, once that version is reached.
const ROWS: &[(i64, &str)] = &[
    (
        1,
        "INSERT INTO incidents (service, state, opened_at, heard_at, alerts_received, channel, thread_ts, headline_ts,
                                requested_by)
         VALUES ('checkout', 'awaiting_approval', 1000, 1000, 2, 'C1', '1.1', '1.2', 'U1');
         INSERT INTO incidents (service, state, opened_at, heard_at, closed_at, previous, alerts_received)
         VALUES ('payments', 'resolved', 2000, 2000, 3000, 1, 1);
         INSERT INTO alerts (incident_id, received_at, body)
         VALUES (1, 1000, '{\"service\": \"checkout\", \"at\": \"2026-02-06T12:00:00Z\"}'),
                (1, 1001, '{\"service\": \"checkout\", \"at\": \"2026-02-06T12:00:01Z\"}'),
                (2, 2000, '{\"service\": \"payments\", \"at\": \"2026-02-06T12:00:00Z\"}');
         INSERT INTO deliveries (id, received_at) VALUES ('Ev1', 1000);
         INSERT INTO timeline (incident_id, at, what) VALUES (1, 1000, 'opened: alert received');
         INSERT INTO evidence (incident_id, path, body) VALUES (1, 'bundle.json', x'7b7d');
         INSERT INTO jobs (kind, incident_id, payload, run_at)
         VALUES ('investigate', 1, '{\"job\": \"investigate\"}', 1000),
                ('report', 1, '{\"job\": \"report\", \"round\": 1}', 1001);
         INSERT INTO jobs (kind, payload, run_at, attempts, state, last_error)
         VALUES ('headline', '{\"job\": \"headline\"}', 1000, 8, 'dead', 'no');
         INSERT INTO approvals (id, incident_id, requested_at, expires_at, channel, message_ts, plan)
         VALUES ('waits', 1, 1000, 9000000000000, 'C1', '1.3',
                 '{\"target\": {\"kind\": \"lambda_environment\", \"function\": \"checkout\", \"revision_id\": \"r1\",
                                \"keys\": {\"POOL\": [\"5\", \"20\"]}},
                   \"what\": \"POOL back to 20\", \"effects\": [], \"stays_wrong\": [], \"author\": null}');
         INSERT INTO approvals (id, incident_id, requested_at, expires_at, decision, decided_by, decided_at, sent_at,
                                applied_at, outcome, plan)
         VALUES ('made', 2, 2000, 9000000000000, 'approved', 'U2', 2100, 2200, 2300, 'It recovered.',
                 '{\"target\": {\"kind\": \"ssm_parameter\", \"name\": \"/payments/limit\", \"from_version\": 2,
                                \"from_value\": \"5\", \"to_value\": \"20\"},
                   \"what\": \"/payments/limit back to 20\", \"effects\": [], \"stays_wrong\": [], \"author\": null}')",
    ),
    (
        20,
        "INSERT INTO mutes (service, reason, muted_by, channel, began_at, until)
         VALUES ('search', 'load test', 'U1', 'C1', 1000, 9000000000000);
         INSERT INTO held_alerts (mute_id, received_at, body)
         VALUES (1, 1000, '{\"service\": \"search\", \"at\": \"2026-02-06T12:00:00Z\"}')",
    ),
    (
        30,
        "INSERT INTO outbox (key, token, incident_id, channel, body, owed_at, not_before)
         VALUES ('INC-1/result/1', 'ab', 1, 'C1', '{\"text\": \"x\"}', 1000, 1000)",
    ),
    (
        50,
        "INSERT INTO audit (sequence, at, incident_id, approval, actor, what, previous, hash)
         VALUES (1, 5000, 2, 'made', 'U9',
                 '{\"kind\":\"refused\",\"action\":\"rollback_approve\",\"click\":\"Ev9\",\"channel\":\"C1\",\
                 \"refusal\":\"not_an_approver\",\"sentence\":\"Only approvers decide.\"}',
                 '0000000000000000000000000000000000000000000000000000000000000000',
                 '9ed9afe4214abc5c3296b1c90652b3d28556da386d8644fb2a8be2535b36b960')",
    ),
    (
        70,
        "INSERT INTO questions (key, asked_at, channel, thread_ts, candidates)
         VALUES ('k', 1000, 'C1', '1.1', '[\"a\", \"b\"]')",
    ),
    (
        75,
        "INSERT INTO feedback (incident_id, round, at, said_by, word, click)
         VALUES (2, 1, 3000, 'U2', 'right', 'Ev10')",
    ),
    (
        210,
        "INSERT INTO trials (approval_id, incident_id, ended_at, how) VALUES ('made', 2, 2900, 'its time was over')",
    ),
];

/// A database as the version `last` made it, with the rows of its time.
async fn of_version(url: &str, last: i64) {
    let options = SqliteConnectOptions::from_str(url).unwrap().create_if_missing(true).foreign_keys(true);
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
    let all: Vec<_> = MIGRATIONS.iter().cloned().collect();
    for (index, migration) in all.iter().enumerate().filter(|(_, one)| one.version <= last) {
        let so_far = Migrator { migrations: Cow::Owned(all[..=index].to_vec()), ..Migrator::DEFAULT };
        so_far.run(&pool).await.unwrap();
        for (_, rows) in ROWS.iter().filter(|(version, _)| *version == migration.version) {
            sqlx::raw_sql(*rows).execute(&pool).await.unwrap();
        }
    }
    pool.close().await;
}

#[tokio::test]
async fn what_every_earlier_version_held_is_there_after_the_start_of_this_one() {
    for earlier in MIGRATIONS.iter().map(|migration| migration.version) {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("old.db").display());
        of_version(&url, earlier).await;
        if earlier < known_version() {
            let beside = Store::open_beside(&url).await.unwrap();
            let advice = beside.expect_current().await.unwrap_err().to_string();
            assert!(advice.contains("start `serve` once"), "{advice}");
            beside.close().await;
        }
        let store = Store::open(&url).await.unwrap();
        store.expect_current().await.unwrap();
        let checkout = store.incident(IncidentId(1)).await.unwrap().unwrap();
        assert_eq!((checkout.state, checkout.alerts.len()), (State::AwaitingApproval, 2), "{earlier}");
        assert_eq!(checkout.slack.unwrap().thread_ts, "1.1");
        assert_eq!(store.askers(IncidentId(1)).await.unwrap().len(), 1, "{earlier}: who asked");
        assert_eq!(store.incident_row(IncidentId(2)).await.unwrap().unwrap().previous, Some(IncidentId(1)));
        assert_eq!(store.evidence(IncidentId(1)).await.unwrap().len(), 1);
        assert!(
            store.is_owed(IncidentId(1), HEADLINE).await.unwrap(),
            "{earlier}: what Slack shows is known"
        );
        let mut again = alert("checkout", None);
        again.origin.delivery = Some("Ev1".into());
        assert_eq!(store.accept(again, noon()).await.unwrap(), Accepted::Duplicate, "{earlier}");
        assert_eq!(store.queue_depth().await.unwrap(), (2, 1), "{earlier}");
        assert_eq!(store.put_aside().await.unwrap().len(), 1);
        assert_eq!(store.claim(noon()).await.unwrap().unwrap().incident, Some(IncidentId(1)));
        let muted = i64::from(earlier >= 20);
        assert_eq!(store.active_mutes(noon()).await.unwrap().len() as i64, muted, "{earlier}");
        // What people decided and said is as it was, and what waits for them can be decided.
        let waits = store.pending_approval(IncidentId(1)).await.unwrap().unwrap();
        assert_eq!((waits.id.as_str(), waits.message_ts.as_deref()), ("waits", Some("1.3")), "{earlier}");
        let made = store.approval("made").await.unwrap().unwrap();
        assert_eq!((made.decision, made.decided_by.as_deref()), (Some(Decision::Approved), Some("U2")));
        assert!(made.sent_at.is_some() && made.judged.is_none(), "{earlier}: {made:?}");
        assert_eq!(store.refusal_of("Ev9").await.unwrap().is_some(), earlier >= 50, "{earlier}");
        assert_eq!(store.feedback_of(IncidentId(2)).await.unwrap().len(), usize::from(earlier >= 75));
        let ended = store.trial_end(&made).await.unwrap().map(|end| end.how);
        assert_eq!(ended.is_some(), earlier >= 210, "{earlier}: {ended:?}");
        let rejected = Decided { decision: Decision::Rejected, ..approved("U3") };
        assert_eq!(store.decide(&waits, &rejected, noon()).await.unwrap(), Claim::Won, "{earlier}");
        let trail = store.audit_trail().await.unwrap();
        assert_eq!(trail.len(), 1 + usize::from(earlier >= 50), "{earlier}");
        assert!(audit::verify(&trail).is_ok(), "{earlier}: {trail:?}");
        assert_eq!(store.untold().await.unwrap(), Vec::<String>::new(), "{earlier}");
        // What fits it still can be done with it.
        assert!(store.close_incident(IncidentId(1), "done", noon()).await.unwrap());
        let broken: Vec<(String,)> = sqlx::query_as("SELECT \"table\" FROM pragma_foreign_key_check")
            .fetch_all(&store.readers)
            .await
            .unwrap();
        assert_eq!(broken, [], "{earlier}");
    }
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused_untouched() {
    let (_folder, store, url) = store().await;
    sqlx::query("UPDATE _sqlx_migrations SET version = 9999 WHERE version = 1")
        .execute(&store.writer)
        .await
        .unwrap();
    store.close().await;
    drop(store);
    let refused = Store::open(&url).await.unwrap_err();
    assert!(refused.to_string().contains("newer incident-commander"), "{refused}");
}
