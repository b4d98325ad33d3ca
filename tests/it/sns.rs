//! `POST /aws/sns` over the wire: who is believed, and what becomes of it.
//!
//! `sns/messages.json` and `sns/hostile.json` were signed once by `sns/sign.py` with the key of `sns/certificate.pem`, which
//! nobody keeps; the address of the certificate is not part of what SNS signs, so each test fills in its own.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::CONTENT_LENGTH;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::house::House;

const CERTIFICATE: &str = include_str!("sns/certificate.pem");
const MESSAGES: &str = include_str!("sns/messages.json");
const HOSTILE: &str = include_str!("sns/hostile.json");
pub const TOPIC: &str = "arn:aws:sns:eu-west-1:123456789012:alarms";

/// What befalls whoever fetches the certificate.
#[derive(Debug, Clone)]
pub enum Trouble {
    Late(Duration),
    Status(u16),
    /// Something that is no certificate.
    Malformed,
    /// The connection breaks after this many bytes.
    BreaksAfter(usize),
    /// No answer ever comes.
    Silent,
}

impl Trouble {
    async fn answer(self) -> Response {
        match self {
            Self::Late(by) => {
                tokio::time::sleep(by).await;
                CERTIFICATE.into_response()
            }
            Self::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
            Self::Malformed => "no certificate".into_response(),
            Self::BreaksAfter(bytes) => {
                let parts = [Ok(&CERTIFICATE[..bytes]), Err(std::io::Error::other("the connection breaks"))];
                let body = Body::from_stream(futures::stream::iter(parts));
                ([(CONTENT_LENGTH, CERTIFICATE.len())], body).into_response()
            }
            Self::Silent => std::future::pending().await,
        }
    }
}

/// Amazon's side: a certificate, at whatever address, and the API that confirms.
pub struct Amazon {
    pub url: String,
    /// While it is set.
    pub trouble: Arc<Mutex<Option<Trouble>>>,
    fetched: Arc<Mutex<usize>>,
    confirmed: Arc<Mutex<Vec<String>>>,
}

pub async fn amazon() -> Amazon {
    let fetched = Arc::new(Mutex::new(0));
    let confirmed = Arc::new(Mutex::new(Vec::new()));
    let trouble = Arc::new(Mutex::new(None::<Trouble>));
    let (count, calls, befalls) = (fetched.clone(), confirmed.clone(), trouble.clone());
    let router = Router::new()
        .route(
            "/{file}",
            get(move |Path(file): Path<String>| async move {
                // The API of another service has this address as well.
                if file.split('.').next_back() != Some("pem") {
                    return StatusCode::NOT_FOUND.into_response();
                }
                *count.lock().unwrap() += 1;
                let trouble = befalls.lock().unwrap().clone();
                match trouble {
                    Some(trouble) => trouble.answer().await,
                    None => CERTIFICATE.into_response(),
                }
            }),
        )
        .route(
            "/",
            post(move |body: String| async move {
                if !body.contains("Action=ConfirmSubscription") {
                    let denied = json!({"__type": "AccessDeniedException", "message": "not here"});
                    return (StatusCode::BAD_REQUEST, denied.to_string());
                }
                calls.lock().unwrap().push(body);
                let answer = "<ConfirmSubscriptionResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\">\
                    <ConfirmSubscriptionResult><SubscriptionArn>arn:aws:sns:eu-west-1:123456789012:alarms:1\
                    </SubscriptionArn></ConfirmSubscriptionResult></ConfirmSubscriptionResponse>";
                (StatusCode::OK, answer.to_owned())
            }),
        );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    Amazon { url, trouble, fetched, confirmed }
}

pub async fn house(amazon: &Amazon) -> House {
    House::open(|settings| {
        settings.aws_endpoint_url = Some(amazon.url.clone());
        settings.config.aws.topics = vec![TOPIC.to_owned()];
    })
    .await
}

pub fn message(name: &str, amazon: &Amazon) -> Value {
    let messages: Value = serde_json::from_str(MESSAGES).unwrap();
    let mut message = messages[name].clone();
    message["SigningCertURL"] = json!(format!("{}/sns.pem", amazon.url));
    message
}

/// What an attacker would say who could make Amazon sign it: the class of attack, and the message.
pub fn hostile(amazon: &Amazon) -> Vec<(String, Value)> {
    let all: Vec<Value> = serde_json::from_str(HOSTILE).unwrap();
    let messages = all.into_iter().map(|mut one| {
        one["envelope"]["SigningCertURL"] = json!(format!("{}/sns.pem", amazon.url));
        (one["class"].as_str().unwrap().to_owned(), one["envelope"].take())
    });
    messages.collect()
}

#[tokio::test]
async fn an_alarm_of_either_signature_opens_an_incident_and_a_second_delivery_does_not_count() {
    let amazon = amazon().await;
    let house = house(&amazon).await;
    for name in ["alarm_v1", "alarm_v1", "alarm_v2"] {
        let (status, answer) = house.post("/aws/sns", message(name, &amazon).to_string()).await;
        assert_eq!(status, 200, "{name}: {answer}");
    }
    let (_, incident) = house.get("/incidents/INC-1").await;
    assert_eq!(incident["service"], "booking", "the function is the service: {incident}");
    assert_eq!(incident["alerts_received"], 2, "the same message twice is one alert");
    assert_eq!(*amazon.fetched.lock().unwrap(), 1, "the certificate is kept");
}

#[tokio::test]
async fn an_alarm_that_is_ok_again_closes_its_incident() {
    let amazon = amazon().await;
    let house = house(&amazon).await;
    for name in ["alarm_v2", "ok_v2"] {
        assert_eq!(house.post("/aws/sns", message(name, &amazon).to_string()).await.0, 200);
    }
    assert_eq!(house.get("/incidents/INC-1").await.1["state"], "resolved");
}

#[tokio::test]
async fn what_amazon_did_not_sign_is_refused_and_stored_nowhere() {
    let amazon = amazon().await;
    let house = house(&amazon).await;
    let good = message("alarm_v2", &amazon);
    let with = |field: &str, value: Value| {
        let mut changed = good.clone();
        changed[field] = value;
        changed
    };
    for (why, changed) in [
        ("another message under the signature", with("Message", json!("{\"AlarmName\": \"x\"}"))),
        ("another id: a replay that counts anew", with("MessageId", json!("m-99"))),
        ("the weaker algorithm for this signature", with("SignatureVersion", json!("1"))),
        ("an unknown version", with("SignatureVersion", json!("3"))),
        ("no signature", with("Signature", json!(""))),
        ("a topic that is not ours", with("TopicArn", json!("arn:aws:sns:eu-west-1:999999999999:alarms"))),
        ("a certificate of somebody", with("SigningCertURL", json!("https://evil.example/sns.pem"))),
        ("a certificate inside the network", with("SigningCertURL", json!("http://169.254.169.254/sns.pem"))),
        ("an old time", with("Timestamp", json!("2026-02-06T10:00:00.000Z"))),
    ] {
        let (status, answer) = house.post("/aws/sns", changed.to_string()).await;
        assert_eq!(status, 403, "{why}: {answer}");
    }
    for (why, body) in
        [("no JSON", "Type=Notification"), ("another shape", "{\"Type\": \"Notification\"}"), ("empty", "")]
    {
        assert_eq!(house.post("/aws/sns", body).await.0, 400, "{why}");
    }
    assert_eq!(house.get("/incidents/INC-1").await.0, 404);
}

#[tokio::test]
async fn a_subscription_is_confirmed_with_its_token_by_the_api() {
    let amazon = amazon().await;
    let house = house(&amazon).await;
    let (status, answer) = house.post("/aws/sns", message("confirmation_v1", &amazon).to_string()).await;
    assert_eq!(status, 200, "{answer}");
    let calls = amazon.confirmed.lock().unwrap().clone();
    assert_eq!(calls.len(), 1);
    assert!(
        calls[0].contains("Action=ConfirmSubscription") && calls[0].contains("Token=2336412f37"),
        "{calls:?}"
    );
}

#[tokio::test]
async fn a_change_that_eventbridge_delivered_is_evidence_of_the_next_investigation() {
    let amazon = amazon().await;
    let house = house(&amazon).await;
    for _ in 0..2 {
        assert_eq!(house.post("/aws/sns", message("change_v2", &amazon).to_string()).await.0, 200);
    }
    let alert = r#"{"service": "booking", "triggered_at": "2026-02-06T12:15:00Z"}"#;
    let (status, answer) = house.post("/alert?wait=60", alert).await;
    assert_eq!(status, 200, "{answer}");
    let told = answer.to_string();
    assert!(told.contains("11111111-2222-3333-4444-555555555555"), "the delivered record is weighed: {told}");
}

#[tokio::test]
async fn without_a_topic_the_route_believes_nobody() {
    let amazon = amazon().await;
    let house = House::open(|settings| settings.aws_endpoint_url = Some(amazon.url.clone())).await;
    assert_eq!(house.post("/aws/sns", message("alarm_v2", &amazon).to_string()).await.0, 404);
}
