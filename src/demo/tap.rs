//! When an endpoint was busy: so that the bot's own share of an investigation's time can be told
//! apart from the time that it waited for AWS and Slack.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;

/// Requests that are remembered; a demo that runs for days forgets the oldest.
const KEPT: usize = 20_000;

/// The times at which requests were being answered. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Tap {
    busy: Arc<Mutex<VecDeque<(Instant, Instant)>>>,
}

impl Tap {
    /// The same routes, watched.
    pub fn around(&self, router: Router) -> Router {
        router.layer(from_fn_with_state(self.clone(), watch))
    }

    /// How long at least one request was being answered between two moments.
    pub fn busy_between(&self, from: Instant, until: Instant) -> Duration {
        let mut spans: Vec<(Instant, Instant)> = {
            let busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
            busy.iter().map(|(begin, end)| (*begin.max(&from), *end.min(&until))).collect()
        };
        spans.retain(|(begin, end)| begin < end);
        spans.sort();
        let mut total = Duration::ZERO;
        let mut covered = from;
        for (begin, end) in spans {
            total += end.saturating_duration_since(begin.max(covered));
            covered = covered.max(end);
        }
        total
    }
}

async fn watch(tap: axum::extract::State<Tap>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let response = next.run(request).await;
    let mut busy = tap.busy.lock().unwrap_or_else(PoisonError::into_inner);
    if busy.len() == KEPT {
        busy.pop_front();
    }
    busy.push_back((begun, Instant::now()));
    drop(busy);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_that_two_requests_share_counts_once() {
        let tap = Tap::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        tap.busy.lock().unwrap().extend([(at(4), at(6)), (at(1), at(3)), (at(2), at(5)), (at(9), at(12))]);
        assert_eq!(tap.busy_between(at(2), at(10)), Duration::from_secs(5));
    }
}
