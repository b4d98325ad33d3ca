//! The service as an AWS Lambda function on a custom runtime (`provided.al2023`): the same orders, pool and log lines
//! as over HTTP, taken from Lambda's Runtime API, which is plain HTTP.
//!
//! The rule that is not obvious: an execution environment holds one invocation at a time, and a pool shows its size
//! only to orders that come together. So an invocation may carry many: a batch of SQS, or `{"requests": N}`, the
//! scenario's local test inside the environment.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::future::join_all;
use serde_json::{Value, json};

use super::embedded_metrics::EmbeddedMetrics;
use super::local_test;
use super::order::OrderError;
use super::server::take;
use super::service::Service;

/// Where Lambda says its Runtime API is: host and port. A process that has it runs as a function.
pub const RUNTIME_API: &str = "AWS_LAMBDA_RUNTIME_API";
/// Which version of the function an environment runs.
pub const VERSION: &str = "AWS_LAMBDA_FUNCTION_VERSION";
/// More orders than these in one invocation would outlast any time-out.
const REQUESTS_MAX: u64 = 1000;

/// Lambda's Runtime API, version 2018-06-01.
#[derive(Debug, Clone)]
pub struct Runtime {
    client: reqwest::Client,
    base: String,
}

/// What an invocation brings.
#[derive(Debug, Clone, PartialEq)]
enum Event {
    /// One order, as `aws lambda invoke` sends it.
    Order(Vec<u8>),
    /// One order by a function URL or an API Gateway.
    Http(Vec<u8>),
    /// A batch of SQS: message ids and bodies. All are taken at the same time.
    Batch(Vec<(String, Vec<u8>)>),
    /// So many orders of the local test.
    Demand(u64),
}

/// What came of an invocation; an error is one of the function's own, not of the runtime.
type Outcome = Result<Value, Value>;

impl Runtime {
    /// The API at this host and port.
    pub fn at(api: &str) -> Self {
        // Without a time-out: the next invocation may be hours away, and Lambda freezes who waits.
        Self { client: reqwest::Client::new(), base: format!("http://{api}/2018-06-01/runtime") }
    }

    /// Takes invocations until the API is gone.
    ///
    /// # Errors
    /// Where the API does not answer as it should: Lambda then starts the environment anew.
    pub async fn serve(&self, service: &Arc<Service>, metrics: &EmbeddedMetrics) -> anyhow::Result<()> {
        loop {
            self.serve_next(service, metrics).await?;
        }
    }

    /// Waits for one invocation and takes it to its end.
    ///
    /// # Errors
    /// Where the API does not answer as it should.
    pub async fn serve_next(&self, service: &Arc<Service>, metrics: &EmbeddedMetrics) -> anyhow::Result<()> {
        let next = self.client.get(format!("{}/invocation/next", self.base)).send().await;
        let next = next.and_then(reqwest::Response::error_for_status).context("the next invocation")?;
        let Some(id) = next.headers().get("lambda-runtime-aws-request-id") else {
            bail!("an invocation came without its request id");
        };
        let id = id.to_str().context("the request id")?.to_owned();
        let payload = next.bytes().await.context("an invocation's payload")?;
        let outcome = match Event::read(&payload) {
            Ok(event) => handle(service, event).await,
            Err(error) => Err(failure("order", &error.to_string())),
        };
        metrics.flush(service.time().now());
        match outcome {
            Ok(answer) => self.tell(&format!("invocation/{id}/response"), &answer).await,
            Err(error) => self.tell(&format!("invocation/{id}/error"), &error).await,
        }
    }

    /// Tells that the function cannot start, with the reason.
    ///
    /// # Errors
    /// Where the API does not answer as it should.
    pub async fn refuse(&self, reason: &str) -> anyhow::Result<()> {
        self.tell("init/error", &failure("settings", reason)).await
    }

    async fn tell(&self, place: &str, body: &Value) -> anyhow::Result<()> {
        let told = self.client.post(format!("{}/{place}", self.base)).json(body).send().await;
        told.and_then(reqwest::Response::error_for_status).with_context(|| format!("telling {place}"))?;
        Ok(())
    }
}

impl Event {
    /// # Errors
    /// Says what is no event and no order.
    fn read(payload: &[u8]) -> Result<Self, OrderError> {
        let value: Value =
            serde_json::from_slice(payload).map_err(|error| OrderError::NotJson(error.to_string()))?;
        if let Some(records) = value["Records"].as_array() {
            let text = |record: &Value, key: &str| record[key].as_str().unwrap_or_default().to_owned();
            let message = |record| (text(record, "messageId"), text(record, "body").into_bytes());
            return Ok(Self::Batch(records.iter().map(message).collect()));
        }
        if let Some(requests) = value["requests"].as_u64() {
            return Ok(Self::Demand(requests.min(REQUESTS_MAX)));
        }
        if value["requestContext"].is_object() {
            let body = value["body"].as_str().unwrap_or_default();
            let plain = || body.as_bytes().to_vec();
            let encoded = value["isBase64Encoded"] == true;
            return Ok(Self::Http(if encoded {
                STANDARD.decode(body).unwrap_or_else(|_| plain())
            } else {
                plain()
            }));
        }
        Ok(Self::Order(payload.to_vec()))
    }
}

async fn handle(service: &Arc<Service>, event: Event) -> Outcome {
    match event {
        Event::Order(body) => match take(service, &body).await {
            (StatusCode::OK, answer) => Ok(answer),
            (status, answer) => {
                let words = answer["error"].as_str().unwrap_or("the order failed");
                Err(failure(status.canonical_reason().unwrap_or("failed"), words))
            }
        },
        Event::Http(body) => {
            let (status, answer) = take(service, &body).await;
            Ok(json!({
                "statusCode": status.as_u16(),
                "headers": { "content-type": "application/json" },
                "body": answer.to_string(),
            }))
        }
        Event::Batch(messages) => {
            let taken = messages.iter().map(|(id, body)| async move {
                let (status, _) = take(service, body).await;
                (status != StatusCode::OK).then(|| json!({ "itemIdentifier": id }))
            });
            let failed: Vec<Value> = join_all(taken).await.into_iter().flatten().collect();
            Ok(json!({ "batchItemFailures": failed }))
        }
        Event::Demand(requests) => {
            let summary = local_test::play(requests, |body| async move {
                Some(take(service, body.as_bytes()).await.0.as_u16())
            });
            Ok(json!({ "summary": summary.await }))
        }
    }
}

/// As Lambda shows errors of a function.
fn failure(kind: &str, words: &str) -> Value {
    json!({ "errorType": kind, "errorMessage": words })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(event: &Value) -> Event {
        Event::read(event.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn each_way_in_is_told_by_its_shape() {
        let order = r#"{"order_id": "TEST-1"}"#;
        assert_eq!(Event::read(order.as_bytes()), Ok(Event::Order(order.into())));
        let http = json!({ "requestContext": {}, "body": order });
        assert_eq!(read(&http), Event::Http(order.into()));
        // A function URL encodes what `curl -d` calls a form.
        let encoded =
            json!({ "requestContext": {}, "isBase64Encoded": true, "body": STANDARD.encode(order) });
        assert_eq!(read(&encoded), Event::Http(order.into()));
        let batch = json!({ "Records": [{ "messageId": "m1", "body": order }] });
        assert_eq!(read(&batch), Event::Batch(vec![("m1".to_owned(), order.into())]));
        assert_eq!(read(&json!({ "requests": 50 })), Event::Demand(50));
        assert_eq!(read(&json!({ "requests": 1_000_000 })), Event::Demand(REQUESTS_MAX));
        assert!(matches!(Event::read(b"order"), Err(OrderError::NotJson(_))));
    }
}
