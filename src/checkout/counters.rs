//! Request, error and latency counters of the running service, as `GET /metrics` shows them.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::order::Failure;

/// Upper bounds of the latency buckets, in milliseconds.
const BUCKETS: [u64; 9] = [100, 150, 200, 300, 500, 1000, 2000, 3000, 5000];
const KINDS: [&str; 5] = ["refused", "pool_exhausted", "row_locked", "payment", "database"];

#[derive(Debug, Default)]
pub struct Counters {
    orders: AtomicU64,
    failures: [AtomicU64; KINDS.len()],
    buckets: [AtomicU64; BUCKETS.len()],
    total_ms: AtomicU64,
}

impl Counters {
    pub(super) fn count(&self, took: Duration, failure: Option<&Failure>) {
        let milliseconds = took.as_millis() as u64;
        self.orders.fetch_add(1, Ordering::Relaxed);
        self.total_ms.fetch_add(milliseconds, Ordering::Relaxed);
        for (bucket, bound) in self.buckets.iter().zip(BUCKETS) {
            if milliseconds <= bound {
                bucket.fetch_add(1, Ordering::Relaxed);
            }
        }
        if let Some(failure) = failure {
            for (counter, kind) in self.failures.iter().zip(KINDS) {
                if kind == failure.kind() {
                    counter.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }

    pub fn orders(&self) -> u64 {
        self.orders.load(Ordering::Relaxed)
    }

    /// Failures by kind.
    pub fn failures(&self) -> impl Iterator<Item = (&'static str, u64)> {
        KINDS.into_iter().zip(self.failures.iter().map(|counter| counter.load(Ordering::Relaxed)))
    }

    /// Prometheus' text format.
    pub fn render(&self) -> String {
        let mut text = String::from("# TYPE checkout_orders_total counter\n");
        let orders = self.orders();
        let _ = writeln!(text, "checkout_orders_total {orders}");
        text.push_str("# TYPE checkout_order_failures_total counter\n");
        for (kind, count) in self.failures() {
            let _ = writeln!(text, "checkout_order_failures_total{{kind=\"{kind}\"}} {count}");
        }
        text.push_str("# TYPE checkout_order_duration_seconds histogram\n");
        for (bucket, bound) in self.buckets.iter().zip(BUCKETS) {
            let count = bucket.load(Ordering::Relaxed);
            let seconds = bound as f64 / 1000.0;
            let _ = writeln!(text, "checkout_order_duration_seconds_bucket{{le=\"{seconds}\"}} {count}");
        }
        let sum = self.total_ms.load(Ordering::Relaxed) as f64 / 1000.0;
        let _ = writeln!(text, "checkout_order_duration_seconds_bucket{{le=\"+Inf\"}} {orders}");
        let _ = writeln!(text, "checkout_order_duration_seconds_sum {sum}");
        let _ = writeln!(text, "checkout_order_duration_seconds_count {orders}");
        text
    }
}
