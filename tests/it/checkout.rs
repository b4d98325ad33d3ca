//! The checkout service over HTTP: what it takes, and what it says to what it does not.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::{get, post as posted};
use incident_commander::checkout::time::Time;
use incident_commander::checkout::{
    DeploymentHint, EmbeddedMetrics, FaultScenario, Rollout, Service, Settings, Sink, lambda, router,
    run_local_test,
};
use incident_commander::clock::Clock;
use serde_json::{Value, json};
use tokio::net::TcpListener;

async fn service(scenario: FaultScenario, sink: Sink) -> Arc<Service> {
    let rollout = Rollout {
        version: "local".to_owned(),
        settings: Settings::of(scenario),
        hint: DeploymentHint::default(),
    };
    Arc::new(Service::start(Time::Wall(Clock::System), sink, rollout, 1).await.unwrap())
}

/// A service on a free port, and its address.
async fn start(scenario: FaultScenario) -> String {
    let service = service(scenario, Sink::new(|_| {})).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = router(service);
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

/// Lambda's Runtime API.
#[derive(Clone, Default)]
struct RuntimeApi {
    /// The events that wait, the next one first.
    events: Arc<Mutex<Vec<Value>>>,
    /// Where something was told, and what.
    told: Arc<Mutex<Vec<(String, Value)>>>,
}

impl RuntimeApi {
    /// Serves on a free port; its host and port.
    async fn serve(&self) -> String {
        async fn next(State(api): State<RuntimeApi>) -> ([(&'static str, &'static str); 1], String) {
            let event = api.events.lock().unwrap().remove(0);
            ([("lambda-runtime-aws-request-id", "request-1")], event.to_string())
        }
        async fn told(State(api): State<RuntimeApi>, Path(place): Path<String>, body: String) {
            let body = serde_json::from_str(&body).unwrap();
            api.told.lock().unwrap().push((place, body));
        }
        let app = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/{*place}", posted(told))
            .with_state(self.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        address.to_string()
    }

    fn take_told(&self) -> Vec<(String, Value)> {
        std::mem::take(&mut self.told.lock().unwrap())
    }
}

#[tokio::test]
async fn as_a_function_it_takes_batches_that_share_the_pool_and_tells_metrics_in_its_log() {
    let api = RuntimeApi::default();
    let order = |number: usize| format!(r#"{{"order_id": "TEST-{number}"}}"#);
    let message = |number| json!({ "messageId": format!("m{number}"), "body": order(number) });
    let batch: Vec<Value> = (0..10).map(message).collect();
    let url = json!({ "requestContext": { "http": {} }, "body": "{}", "isBase64Encoded": false });
    *api.events.lock().unwrap() = vec![json!({ "Records": batch }), url, json!({ "no": "order" })];
    let lines = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&lines);
    let metrics = EmbeddedMetrics::new(move |line| seen.lock().unwrap().push(line.to_owned()));
    let service = service(FaultScenario::CascadingFailure, metrics.sink()).await;
    let runtime = lambda::Runtime::at(&api.serve().await);
    for _ in 0..3 {
        runtime.serve_next(&service, &metrics).await.unwrap();
    }
    runtime.refuse("db_pool_size is \"0\"").await.unwrap();

    let told = api.take_told();
    let places: Vec<&str> = told.iter().map(|(place, _)| place.as_str()).collect();
    let answered = "invocation/request-1/response";
    assert_eq!(places, [answered, answered, "invocation/request-1/error", "init/error"]);
    let failed = told[0].1["batchItemFailures"].as_array().unwrap();
    assert!(failed.len() >= 3, "ten orders at once starve a pool of two: {failed:?}");
    assert_eq!(told[1].1["statusCode"], 400, "{:?}", told[1]);
    assert!(told[2].1["errorMessage"].as_str().unwrap().contains("order_id"), "{:?}", told[2]);

    let lines: Vec<Value> =
        lines.lock().unwrap().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let exhausted = |line: &&Value| line["message"] == "Database connection timeout - pool exhausted";
    assert!(lines.iter().filter(exhausted).count() >= 3, "the same lines as over HTTP");
    let of_metrics: Vec<&Value> = lines.iter().filter(|line| line["_aws"].is_object()).collect();
    assert_eq!(of_metrics.len(), 1, "one line for the invocation that took orders");
    assert_eq!(of_metrics[0]["OrderRequests"].as_array().unwrap().len(), 10);
}
