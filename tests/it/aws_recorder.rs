//! The recorder over the wire: what `$LATEST` was before, of which AWS itself keeps nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use incident_commander::analysis::changes::changes;
use incident_commander::app;
use incident_commander::bundle;
use incident_commander::clock::Clock;
use incident_commander::demo::aws::{FunctionSettings, Identity, WorldClock, WorldOptions};
use incident_commander::domain::alert::Alert;
use incident_commander::domain::snapshot;
use incident_commander::store::{AwsEvent, JobKind, NewAlert, Origin};
use incident_commander::worker::{look, step_once};
use jiff::SignedDuration;

use super::aws_account::{ACCOUNT, Account, FUNCTION, at};
use super::house::settings;

fn variables(pool: &str, password: &str) -> BTreeMap<String, String> {
    BTreeMap::from([
        ("DB_POOL_SIZE".to_owned(), pool.to_owned()),
        ("DB_PASSWORD".to_owned(), password.to_owned()),
    ])
}

#[tokio::test]
async fn what_appconfig_served_before_and_after_is_told_by_its_keys() {
    let account = Account::with(WorldOptions::immediate(WorldClock::manual(at("11:50:00")))).await;
    let (world, alice) = (&account.world, Identity::user(ACCOUNT, "alice"));
    let deploy = |content: &str, when: &str| {
        world.deploy_configuration(FUNCTION, "prod", "limits", content, 0, &alice, at(when));
    };
    deploy(r#"{"pool": 10, "db": {"password": "hunter2"}}"#, "11:00:00");
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(folder.path());
    settings.aws_endpoint_url = Some(account.url.clone());
    settings.aws_credentials.as_mut().unwrap().id.clone_from(&account.access_key);
    let clock = Clock::manual(at("11:50:00"));
    let bench = app::assemble(&settings, clock.clone()).await.unwrap();
    look(&bench, FUNCTION).await.unwrap();
    deploy(r#"{"pool": 5, "db": {"password": "hunter3"}}"#, "12:00:00");
    clock.advance(SignedDuration::from_mins(15));
    account.clock.advance(Duration::from_mins(15));
    look(&bench, FUNCTION).await.unwrap();
    let seen = bench.store.snapshots(FUNCTION, at("00:00:00"), clock.now()).await.unwrap();
    let differences = snapshot::differences(&seen, at("11:55:00"), at("12:10:00"));
    let [difference] = &differences[..] else { panic!("{differences:#?}") };
    assert_eq!(difference.resource, "appconfig/checkout/prod/limits");
    let told: Vec<_> = difference
        .keys
        .iter()
        .map(|key| (key.key.as_str(), key.before.as_deref(), key.after.as_deref(), key.secret))
        .collect();
    assert_eq!(
        told,
        [
            ("ConfigurationVersion", Some("1"), Some("2"), false),
            ("db.password", None, None, true),
            ("pool", Some("10"), Some("5"), false),
        ]
    );
    assert!(!serde_json::to_string(&seen).unwrap().contains("hunter"));
}

#[tokio::test]
async fn what_was_seen_before_a_change_gives_its_old_value_and_secrets_are_nowhere() {
    let account = Account::with(WorldOptions::immediate(WorldClock::manual(at("11:50:00")))).await;
    let (world, alice) = (&account.world, Identity::user(ACCOUNT, "alice"));
    let plain = FunctionSettings::default();
    world.create_function(FUNCTION, variables("20", "hunter2"), plain, &alice, at("08:00:00")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(folder.path());
    settings.aws_endpoint_url = Some(account.url.clone());
    settings.aws_credentials.as_mut().unwrap().id.clone_from(&account.access_key);
    let clock = Clock::manual(at("11:50:00"));
    let bench = app::assemble(&settings, clock.clone()).await.unwrap();
    let pass = |minutes: u64| {
        clock.advance(SignedDuration::from_mins(minutes as i64));
        account.clock.advance(Duration::from_mins(minutes));
    };
    look(&bench, FUNCTION).await.unwrap();
    pass(10);
    world.update_function_environment(FUNCTION, variables("2", "hunter3"), &alice, at("12:00:00")).unwrap();
    pass(5);
    // AWS tells of a change, and the recorder looks at once.
    let event = AwsEvent {
        id: "e-1".to_owned(),
        at: at("12:00:00"),
        kind: "ECS Deployment State Change".to_owned(),
        body: serde_json::json!({"id": "e-1"}),
    };
    let looks = [(None, JobKind::Record { service: FUNCTION.to_owned() })];
    for delivery in ["d-1", "d-2"] {
        let event = AwsEvent { id: delivery.to_owned(), ..event.clone() };
        assert!(bench.store.keep_aws_event(delivery, &event, &looks, clock.now()).await.unwrap());
    }
    assert_eq!(bench.store.queue_depth().await.unwrap().0, 1, "one look takes in both");
    pass(1);
    assert!(step_once(&bench).await.unwrap());
    pass(4);
    let body = format!(r#"{{"service": "{FUNCTION}", "triggered_at": "2026-02-06T12:08:00Z"}}"#);
    let alert = Alert::from_body(body.as_bytes()).unwrap();
    let accepted =
        bench.store.accept(NewAlert { alert, origin: Origin::default() }, clock.now()).await.unwrap();
    while step_once(&bench).await.unwrap() {}
    let files = bench.store.evidence(accepted.incident().unwrap()).await.unwrap();
    let evidence = bundle::from_files(&files).unwrap();
    let found = changes(&evidence);
    let change = found.iter().find(|change| change.at == at("12:00:00")).expect("the change is known");
    let keys: Vec<_> = change
        .keys
        .iter()
        .map(|key| (key.key.as_str(), key.before.as_deref(), key.after.as_deref()))
        .collect();
    assert_eq!(keys, [("DB_PASSWORD", None, None), ("DB_POOL_SIZE", Some("20"), Some("2"))]);
    assert!(change.undo.is_err(), "a secret that changed beside it is known to nobody");
    // `incidents diff` reads the same.
    let seen = bench.store.snapshots(FUNCTION, at("00:00:00"), clock.now()).await.unwrap();
    let differences = snapshot::differences(&seen, at("11:55:00"), at("12:10:00"));
    assert_eq!(differences.len(), 1, "{differences:#?}");
    assert_eq!(differences[0].keys.iter().map(|key| key.secret).collect::<Vec<_>>(), [true, false]);
    let recorded = serde_json::to_string(&seen).unwrap();
    assert!(!recorded.contains("hunter"), "{recorded}");
}
