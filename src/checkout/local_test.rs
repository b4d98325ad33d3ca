//! The scenario's local test: the service sends itself orders and sums up.
//!
//! The orders come in groups of ten within 150 ms, because a pool shows its size only to orders that
//! come together.

use std::time::Duration;

use futures::future::join_all;
use serde::Serialize;
use serde_json::json;

use super::demand::GROUP_INTERVAL;

const GROUP: u64 = 10;
const WITHIN_GROUP: Duration = Duration::from_millis(15);
/// Far beyond what an order can take: queueing and waiting for connections end at 4.5 s.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// What came of the orders, as seen by the client.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    pub requests: u64,
    pub confirmed: u64,
    /// Answers that were no confirmation, and requests without an answer.
    pub failed: u64,
    /// Of these, time-outs of the database: 503 for a connection, 504 for a row.
    pub timeouts: u64,
    pub error_rate: f64,
    pub p50_ms: u64,
    pub p99_ms: u64,
}

/// Sends `requests` orders to `url` and waits for every answer.
pub async fn run(url: &str, requests: u64) -> anyhow::Result<Summary> {
    let client = reqwest::Client::builder().timeout(REQUEST_TIMEOUT).build()?;
    let post = |body: String| {
        let request = client.post(url).body(body);
        async move { request.send().await.map(|answer| answer.status().as_u16()).ok() }
    };
    Ok(play(requests, post).await)
}

/// Sends orders as the shoppers do; `send` gives an order's body to the service and says the answer's status.
pub(super) async fn play<F>(requests: u64, send: impl Fn(String) -> F) -> Summary
where
    F: Future<Output = Option<u16>>,
{
    let send = &send;
    let sent = (1..=requests).map(|number| async move {
        let index = number - 1;
        let start = GROUP_INTERVAL * u32::try_from(index / GROUP).unwrap_or(u32::MAX)
            + WITHIN_GROUP * u32::try_from(index % GROUP).unwrap_or(0);
        tokio::time::sleep(start).await;
        let body = json!({ "order_id": format!("TEST-{number}") }).to_string();
        let begun = std::time::Instant::now();
        let status = send(body).await;
        (status, begun.elapsed().as_millis() as u64)
    });
    let answers = join_all(sent).await;
    let count = |wanted: fn(Option<u16>) -> bool| {
        answers.iter().filter(|&&(status, _)| wanted(status)).count() as u64
    };
    let confirmed = count(|status| status == Some(200));
    let mut durations: Vec<u64> = answers.iter().map(|&(_, took)| took).collect();
    durations.sort_unstable();
    let quantile = |share: f64| {
        let index = ((durations.len() as f64 * share).ceil() as usize).saturating_sub(1);
        durations.get(index).copied().unwrap_or(0)
    };
    let failed = requests - confirmed;
    Summary {
        requests,
        confirmed,
        failed,
        timeouts: count(|status| matches!(status, Some(503 | 504))),
        error_rate: if requests == 0 { 0.0 } else { failed as f64 / requests as f64 },
        p50_ms: quantile(0.5),
        p99_ms: quantile(0.99),
    }
}
