//! What AWS delivered and what the recorder saw: kept once, read by time, and let go.

use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::domain::snapshot::Recorded;

fn pool(value: &str) -> Vec<(String, BTreeMap<String, Recorded>)> {
    let values = BTreeMap::from([("POOL".to_owned(), Recorded::Plain(value.to_owned()))]);
    vec![("lambda/checkout/environment".to_owned(), values)]
}

#[tokio::test]
async fn a_state_that_is_seen_again_grows_longer_and_another_one_is_kept_beside_it() {
    let (_folder, store, _) = store().await;
    for (value, minute) in [("10", 0), ("10", 15), ("5", 30), ("10", 20), ("5", 45)] {
        store.record("checkout", &pool(value), noon() + minutes(minute)).await.unwrap();
    }
    let seen = store.snapshots("Checkout", noon(), noon() + minutes(60)).await.unwrap();
    let told: Vec<_> = seen
        .iter()
        .map(|one| (one.values["POOL"].shown().unwrap(), one.first_at - noon(), one.last_at - noon()))
        .map(|(value, first, last)| (value, first.get_seconds() / 60, last.get_seconds() / 60))
        .collect();
    assert_eq!(told, [("10", 0, 15), ("5", 30, 45)], "what was seen out of order changes nothing");
    assert_eq!(store.snapshots("checkout", noon() + minutes(16), noon() + minutes(20)).await.unwrap(), []);
    assert_eq!(store.prune(minutes(60), noon() + minutes(76)).await.unwrap(), 1);
}

#[tokio::test]
async fn a_resource_that_changes_all_the_time_keeps_its_newest_states() {
    let (_folder, store, _) = store().await;
    for minute in 0..400 {
        store.record("checkout", &pool(&minute.to_string()), noon() + minutes(minute)).await.unwrap();
    }
    let seen = store.snapshots("checkout", noon(), noon() + minutes(500)).await.unwrap();
    assert_eq!((seen.len(), seen[0].values["POOL"].shown()), (336, Some("64")));
}

#[tokio::test]
async fn the_key_of_hashes_is_made_once() {
    let (_folder, store, _) = store().await;
    assert_eq!(store.recorder_key("first").await.unwrap(), "first");
    assert_eq!(store.recorder_key("second").await.unwrap(), "first");
}

#[tokio::test]
async fn delivered_events_are_told_apart_from_records() {
    let (_folder, store, _) = store().await;
    for (id, kind, minute) in
        [("r", TRAIL_RECORD, 0), ("old", "ECS Deployment State Change", -60), ("e", "AWS Health Event", 1)]
    {
        let body = json!({ "id": id });
        let event = AwsEvent { id: id.into(), at: noon() + minutes(minute), kind: kind.into(), body };
        assert!(store.keep_aws_event(id, &event, &[], noon()).await.unwrap());
    }
    let delivered = store.delivered(noon() - minutes(90), noon() + minutes(5)).await.unwrap();
    assert_eq!(delivered.records, [json!({"id": "r"})]);
    assert_eq!(delivered.events, [json!({"id": "old"}), json!({"id": "e"})]);
}
