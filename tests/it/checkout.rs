//! The checkout service over HTTP: what it takes, and what it says to what it does not.

use std::sync::Arc;

use incident_commander::checkout::time::Time;
use incident_commander::checkout::{
    DeploymentHint, FaultScenario, Rollout, Service, Settings, Sink, router, run_local_test,
};
use incident_commander::clock::Clock;
use serde_json::Value;
use tokio::net::TcpListener;

/// A service on a free port, and its address.
async fn start(scenario: FaultScenario) -> String {
    let rollout = Rollout {
        version: "local".to_owned(),
        settings: Settings::of(scenario),
        hint: DeploymentHint::default(),
    };
    let sink = Sink::new(|_| {});
    let service = Service::start(Time::Wall(Clock::System), sink, rollout, 1).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = router(Arc::new(service));
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    format!("http://{address}/")
}

async fn post(url: &str, content_type: &str, body: impl Into<reqwest::Body>) -> (u16, Value) {
    let request = reqwest::Client::new().post(url).header("content-type", content_type).body(body);
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test]
async fn an_order_is_taken_whatever_its_content_type_says() {
    let url = start(FaultScenario::Normal).await;
    for content_type in ["application/x-www-form-urlencoded", "application/json", "text/plain"] {
        // One order of twenty-one or so meets the locked row; a retry is what a shopper would do.
        let mut last = 0;
        for _ in 0..5 {
            let (status, body) = post(&url, content_type, r#"{"order_id": "TEST-1"}"#).await;
            assert_eq!(body["order_id"], "TEST-1");
            last = status;
            if status == 200 {
                assert_eq!(body["status"], "confirmed");
                break;
            }
        }
        assert_eq!(last, 200, "{content_type}");
    }
}

#[tokio::test]
async fn what_is_no_order_is_refused_and_the_field_is_named() {
    let url = start(FaultScenario::Normal).await;
    for body in ["{}", r#"{"order_id": ""}"#, r#"{"order_id": {"a": 1}}"#] {
        let (status, answer) = post(&url, "text/plain", body).await;
        assert_eq!((status, answer["field"].as_str()), (400, Some("order_id")), "{body}");
    }
    for body in ["", "order_id=TEST-1", "[1]", "\u{0}\u{1}"] {
        let (status, answer) = post(&url, "text/plain", body).await;
        assert_eq!(status, 400, "{body}");
        assert!(answer["error"].as_str().unwrap().contains("JSON"), "{answer}");
    }
}

#[tokio::test]
async fn five_megabytes_of_rubbish_are_too_large_and_the_service_lives_on() {
    let url = start(FaultScenario::Normal).await;
    // The server may close the connection before it has read all of it; that is an answer as well.
    let sent = reqwest::Client::new().post(&url).body(vec![b'x'; 5 * 1024 * 1024]).send().await;
    if let Ok(answer) = sent {
        assert_eq!(answer.status().as_u16(), 413);
    }
    let (status, _) = post(&url, "text/plain", vec![b'x'; 65 * 1024]).await;
    assert_eq!(status, 413);
    let health = reqwest::get(format!("{url}healthz")).await.unwrap();
    assert_eq!(health.status().as_u16(), 200);
}

#[tokio::test]
async fn a_pool_of_two_for_ten_callers_fails_over_http_and_is_counted() {
    let url = start(FaultScenario::CascadingFailure).await;
    let summary = run_local_test(&url, 10).await.unwrap();
    assert_eq!(summary.requests, summary.confirmed + summary.failed);
    assert!(summary.timeouts >= 3, "{summary:?}");
    let metrics = reqwest::get(format!("{url}metrics")).await.unwrap().text().await.unwrap();
    assert!(metrics.contains("checkout_orders_total 10"), "{metrics}");
    assert!(!metrics.contains("checkout_order_failures_total{kind=\"pool_exhausted\"} 0"), "{metrics}");
}
