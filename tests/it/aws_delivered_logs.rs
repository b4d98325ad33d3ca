//! `POST /aws/logs` over the wire, as Firehose delivers what a subscription of CloudWatch Logs sends it.

use std::io::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use incident_commander::config::Secret;
use incident_commander::domain::surge::Minute;
use incident_commander::store::Store;
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::aws_account::{GROUP, at};
use super::house::House;

/// Lines of the last two minutes before the house's clock began.
fn delivery(errors: usize) -> Value {
    let start = at("12:16:30").as_millisecond();
    let events: Vec<Value> = (0..errors)
        .map(|index| {
            json!({"id": index.to_string(), "timestamp": start + index as i64 * 1000,
                "message": r#"{"level":"ERROR","message":"timed out waiting for a connection"}"#})
        })
        .collect();
    let batch = json!({"messageType": "DATA_MESSAGE", "owner": "123456789012", "logGroup": GROUP,
        "logStream": "2026/02/06/[2]abc", "subscriptionFilters": ["errors"], "logEvents": events});
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(batch.to_string().as_bytes()).unwrap();
    json!({"requestId": "r-1", "timestamp": start,
        "records": [{"data": BASE64_STANDARD.encode(packed.finish().unwrap())}]})
}

#[tokio::test]
async fn errors_that_surge_open_an_incident_once_and_a_stranger_is_refused_in_firehoses_words() {
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite://{}", folder.path().join("logs.db").display());
    let store = Store::open(&database).await.unwrap();
    // The group is known for a while, and was quiet.
    let began = at("12:18:00") - SignedDuration::from_hours(2);
    let quiet = Minute { minute: began.as_second() / 60, lines: 1, errors: 1 };
    store.count_lines("logs/r-0", &[(GROUP.to_owned(), vec![quiet])], began).await.unwrap();
    store.close().await;
    drop(store);
    let house = House::open(|settings| {
        settings.database_url = database;
        settings.alert_token = Some(Secret::Value("the-key".into()));
    })
    .await;
    let send = async |key: &str, request: &str, body: &Value| {
        let post = house.client.post(format!("{}/aws/logs", house.url));
        let post = post.header("x-amz-firehose-access-key", key).header("x-amz-firehose-request-id", request);
        House::answer(post.body(body.to_string())).await
    };
    let (status, answer) = send("another", "r-1", &delivery(30)).await;
    assert_eq!((status, &answer["requestId"]), (401, &json!("r-1")));
    assert!(answer["errorMessage"].is_string() && answer["timestamp"].is_i64(), "{answer}");
    for _ in 0..2 {
        let (status, answer) = send("the-key", "r-1", &delivery(30)).await;
        assert_eq!(
            (status, &answer["requestId"], &answer["errorMessage"]),
            (200, &json!("r-1"), &Value::Null)
        );
    }
    // While it surges, more of the same is no other alert.
    assert_eq!(send("the-key", "r-2", &delivery(30)).await.0, 200);
    let show = house.client.get(format!("{}/incidents/INC-1", house.url)).bearer_auth("the-key");
    let (_, incident) = House::answer(show).await;
    assert_eq!((&incident["service"], &incident["alerts_received"]), (&json!("checkout"), &json!(1)));
    assert_eq!(incident["alerts"][0]["alert_name"], format!("errors surge in {GROUP}"));
    assert_eq!(send("the-key", "r-3", &json!({"records": [{"data": "no base64!"}]})).await.0, 400);
}
