//! What the routes answer to good and bad input, over the wire.

use incident_commander::config::Secret;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::house::House;

const ALERT: &str = r#"{"alert": {"service": "checkout", "triggered_at": "2026-02-06T12:15:00Z"}}"#;

#[tokio::test]
async fn a_plain_curl_opens_an_incident() {
    let house = House::open(|_| {}).await;
    let (status, body) = house.post("/", ALERT).await;
    assert_eq!(status, 202, "{body}");
    assert_eq!(body["incident"], "INC-1");
    assert_eq!(body["status"], "investigating");
    let (status, incident) = house.get("/incidents/INC-1").await;
    assert_eq!(status, 200);
    assert_eq!(incident["service"], "checkout");
    assert_eq!(incident["alerts_received"], 1);
}

#[tokio::test]
async fn a_bad_alert_gets_the_name_of_the_field() {
    let house = House::open(|_| {}).await;
    for (body, field) in [
        (r#"{"alert": {"triggered_at": "2026-02-06T12:15:00Z"}}"#, "service"),
        (r#"{"service": "checkout"}"#, "triggered_at"),
        (r#"{"service": "checkout", "timestamp": "the day before"}"#, "timestamp"),
        ("not json at all", "JSON"),
        ("", "JSON"),
        ("[1, 2]", "object"),
    ] {
        let (status, answer) = house.post("/alert", body).await;
        assert_eq!(status, 400, "{body}");
        assert!(answer["error"].as_str().unwrap().contains(field), "{body}: {answer}");
    }
    let (_, list) = house.get("/incidents/INC-1").await;
    assert!(list["error"].as_str().unwrap().contains("not known"), "{list}");
}

#[tokio::test]
async fn rubbish_of_five_megabytes_is_cut_off() {
    let house = House::open(|_| {}).await;
    let (status, _) = house.post("/alert", vec![b'x'; 5 * 1024 * 1024]).await;
    assert_eq!(status, 413);
    assert_eq!(house.post("/alert", ALERT).await.0, 202, "the next one is heard");
}

#[tokio::test]
async fn bytes_that_are_no_text_are_refused() {
    let house = House::open(|_| {}).await;
    assert_eq!(house.post("/alert", vec![0xff, 0xfe, 0x00]).await.0, 400);
}

#[tokio::test]
async fn an_unknown_service_is_investigated_and_the_gaps_are_said() {
    let house = House::open(|_| {}).await;
    let body = r#"{"service": "nobody-knows-it", "triggered_at": "2026-02-06T12:15:00Z"}"#;
    let (status, answer) = house.post("/alert?wait=25", body).await;
    assert_eq!(status, 200, "{answer}");
    assert!(answer["gaps"].as_array().is_some_and(|gaps| !gaps.is_empty()), "{answer}");
    assert!(
        ["unknown", "none"].contains(&answer["verdict"]["cause"].as_str().unwrap()),
        "nothing is known, so nothing is blamed: {answer}"
    );
}

#[tokio::test]
async fn the_report_is_read_as_markdown_too() {
    let house = House::open(|_| {}).await;
    assert_eq!(house.post("/alert?wait=25", ALERT).await.0, 200);
    let (status, markdown) = house.get("/incidents/INC-1?format=markdown").await;
    assert_eq!(status, 200);
    assert!(markdown.as_str().unwrap().starts_with("# checkout"), "{markdown}");
    assert_eq!(house.get("/incidents/INC-1?format=pdf").await.0, 400);
}

#[tokio::test]
async fn repeats_are_counted_in_one_incident() {
    let house = House::open(|_| {}).await;
    for _ in 0..5 {
        let (status, body) = house.post("/alert", ALERT).await;
        assert_eq!((status, body["incident"].as_str()), (202, Some("INC-1")));
    }
    assert_eq!(house.get("/incidents/INC-1").await.1["alerts_received"], 5);
}

#[tokio::test]
async fn a_body_that_says_resolved_closes_its_incident_and_opens_none() {
    let house = House::open(|_| {}).await;
    let body = |state: &str, name: &str| {
        json!({ "alert": { "service": "checkout", "alert_name": name, "status": state,
                           "triggered_at": "2026-02-06T12:15:00Z" } })
        .to_string()
    };
    let (status, answer) = house.post("/alert", body("resolved", "HighErrorRate")).await;
    assert_eq!((status, &answer["incident"]), (202, &json!(null)), "{answer}");
    assert_eq!(house.get("/incidents/INC-1").await.0, 404, "nothing fires");
    house.post("/alert", body("firing", "HighErrorRate")).await;
    house.post("/alert", body("firing", "Checkout5xx")).await;
    let (_, answer) = house.post("/alert", body("resolved", "HighErrorRate")).await;
    assert_eq!((&answer["incident"], &answer["status"]), (&json!("INC-1"), &json!("open")), "{answer}");
    let (_, answer) = house.post("/alert", body("resolved", "Checkout5xx")).await;
    assert_eq!((&answer["status"], &answer["closed"]), (&json!("resolved"), &json!(["INC-1"])), "{answer}");
    assert_eq!(house.get("/incidents/INC-1").await.1["state"], "resolved");
}

#[tokio::test]
async fn slack_checks_the_certificate_without_a_signature() {
    let house = House::open(|_| {}).await;
    assert_eq!(house.post("/slack/commands", "ssl_check=1&token=t").await.0, 200);
    assert_eq!(house.post("/slack/commands", "ssl_check=0&user_id=U1&channel_id=C1").await.0, 401);
}

#[tokio::test]
async fn once_a_token_is_set_nobody_passes_without_it() {
    let house = House::open(|settings| settings.alert_token = Some(Secret::Value("t0ken".into()))).await;
    assert_eq!(house.post("/alert", ALERT).await.0, 401);
    assert_eq!(house.get("/incidents/INC-1").await.0, 401);
    for (token, expected) in [("wrong", 401), ("t0ke", 401), ("t0ken", 202)] {
        let request = house.client.post(format!("{}/alert", house.url)).bearer_auth(token).body(ALERT);
        assert_eq!(House::answer(request).await.0, expected, "{token}");
    }
}

#[tokio::test]
async fn health_readiness_and_metrics_need_no_token() {
    let house = House::open(|settings| settings.alert_token = Some(Secret::Value("t0ken".into()))).await;
    assert_eq!(house.get("/healthz").await.0, 200);
    assert_eq!(house.get("/metrics").await.0, 200);
    let (_, metrics) = house.get("/metrics").await;
    let text = metrics.as_str().unwrap();
    assert!(
        text.lines().all(|line| line.starts_with('#') || line.starts_with("incident_commander_")),
        "{text}"
    );
}

/// How many of two requests on one connection are answered.
async fn answered(house: &House, asks: &str, header: &str) -> usize {
    let mut stream = TcpStream::connect(house.url.trim_start_matches("http://")).await.unwrap();
    let request = |more: &str| format!("{asks} HTTP/1.1\r\nHost: localhost\r\n{header}{more}\r\n");
    // Whoever keeps the connection is told to end it after the second.
    let both = request("") + &request("Connection: close\r\n");
    stream.write_all(both.as_bytes()).await.unwrap();
    let mut answers = Vec::new();
    drop(stream.read_to_end(&mut answers).await);
    String::from_utf8_lossy(&answers).matches("HTTP/1.1 ").count()
}

#[tokio::test]
async fn who_is_not_known_asks_once_on_a_connection() {
    let house = House::open(|settings| settings.alert_token = Some(Secret::Value("t0ken".into()))).await;
    for asks in
        ["GET /healthz", "GET /readyz", "GET /metrics", "POST /alert", "POST /slack/events", "GET /nowhere"]
    {
        assert_eq!(answered(&house, asks, "").await, 1, "{asks}");
    }
    let request = house.client.post(format!("{}/alert", house.url)).bearer_auth("t0ken").body(ALERT);
    assert_eq!(House::answer(request).await.0, 202);
    let known = answered(&house, "GET /incidents/INC-1", "Authorization: Bearer t0ken\r\n").await;
    assert_eq!(known, 2, "who is known needs no new connection for the next");
}

#[tokio::test]
async fn what_slack_did_not_sign_is_refused() {
    let house = House::open(|_| {}).await;
    for path in ["/slack/events", "/slack/commands", "/slack/interactions"] {
        assert_eq!(house.post(path, "{}").await.0, 401, "{path}");
        let forged = house
            .client
            .post(format!("{}{path}", house.url))
            .header("x-slack-signature", "v0=0000")
            .header("x-slack-request-timestamp", "1")
            .body("{}");
        assert_eq!(House::answer(forged).await.0, 401, "{path}");
    }
}

#[tokio::test]
async fn signed_rubbish_is_answered_and_changes_nothing() {
    let house = House::open(|_| {}).await;
    let now = jiff::Timestamp::now().as_second();
    for (path, body) in
        [("/slack/events", "rubbish"), ("/slack/interactions", "payload=%7B"), ("/slack/commands", "x=1")]
    {
        let signature = incident_commander::demo::slack::sign("signing", now, body);
        let request = house
            .client
            .post(format!("{}{path}", house.url))
            .header("x-slack-signature", signature)
            .header("x-slack-request-timestamp", now.to_string())
            .body(body);
        assert_eq!(House::answer(request).await.0, 200, "{path}");
    }
}

#[tokio::test]
async fn slack_learns_that_the_address_is_ours() {
    let house = House::open(|_| {}).await;
    let now = jiff::Timestamp::now().as_second();
    let body = json!({ "type": "url_verification", "challenge": "c123" }).to_string();
    let request = house
        .client
        .post(format!("{}/slack/events", house.url))
        .header("x-slack-signature", incident_commander::demo::slack::sign("signing", now, &body))
        .header("x-slack-request-timestamp", now.to_string())
        .body(body);
    assert_eq!(House::answer(request).await, (200, json!({ "challenge": "c123" })));
}
