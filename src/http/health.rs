//! `/readyz` and `/metrics`: what the bot says of itself to whoever asks.
//!
//! The rule that is not obvious: a stranger may ask, as often as he likes. Whether the disk takes anything costs a sync
//! of it, and a figure a query, so that all who ask within a second share one answer; and nothing that is said is
//! anybody's text.

use std::future::Future;
use std::sync::{Mutex, PoisonError};

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, json};
use tokio::sync::watch;

use super::{Edge, Shared};
use crate::domain::breaker::KNOWN_FOR_MS;
use crate::store::{Figures, Store, StoreError, UndeliveredCause};
use crate::telemetry::Measured;

/// Anything is looked up at most so often, however many ask.
const LOOK_EVERY: SignedDuration = SignedDuration::from_secs(1);

/// Why the database cannot be written, for anybody to read; `None` where it can.
type Trouble = Option<&'static str>;

/// What strangers ask the database for. What it does not tell, nobody knows.
#[derive(Debug, Default)]
pub struct Pulse {
    trouble: Newest<Trouble>,
    undelivered: Newest<Option<Vec<(UndeliveredCause, u64)>>>,
    figures: Newest<Option<Figures>>,
}

/// The newest look at something, shared by all who ask meanwhile and for a second after.
#[derive(Debug)]
struct Newest<T>(Mutex<Option<Look<T>>>);

impl<T> Default for Newest<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

#[derive(Debug)]
struct Look<T> {
    begun_at: Timestamp,
    /// `None` until it is known.
    said: watch::Receiver<Option<T>>,
}

impl<T> Look<T> {
    /// Whether its answer is what somebody hears who asks now: the newest there will be, or new enough.
    fn holds(&self, now: Timestamp) -> bool {
        let is_over = self.said.borrow().is_some();
        // One whose task is gone without a word will never say anything.
        let is_under_way = !is_over && self.said.has_changed().is_ok();
        is_under_way || (is_over && now.duration_since(self.begun_at).abs() < LOOK_EVERY)
    }
}

impl<T: Clone + Send + Sync + 'static> Newest<T> {
    /// What the newest look said; `look` is made where that is a second old. It is a task of its own, so that who hangs
    /// up makes nobody look again. `None` where that ended without a word.
    async fn ask(&self, now: Timestamp, look: impl Future<Output = T> + Send + 'static) -> Option<T> {
        let mut said = self.look(now, look);
        let known = said.wait_for(Option::is_some).await;
        known.ok().and_then(|known| known.clone())
    }

    fn look(
        &self,
        now: Timestamp,
        look: impl Future<Output = T> + Send + 'static,
    ) -> watch::Receiver<Option<T>> {
        let mut newest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(look) = newest.as_ref().filter(|look| look.holds(now)) {
            return look.said.clone();
        }
        let (tell, said) = watch::channel(None);
        tokio::spawn(async move {
            let found = look.await;
            tell.send_replace(Some(found));
        });
        *newest = Some(Look { begun_at: now, said: said.clone() });
        said
    }
}

/// Writes to the database, and says why it cannot be. What SQLite says beyond that is in the log.
async fn trouble(store: Store, now: Timestamp) -> Trouble {
    match store.pulse(now).await {
        Ok(()) => None,
        Err(StoreError::Full) => Some("the disk is full, or the database may not grow"),
        Err(StoreError::Locked) => Some("the database is locked by another program"),
        Err(error) => {
            tracing::error!(%error, "the database cannot be written");
            Some("the database cannot be written: the log says why")
        }
    }
}

pub(super) async fn ready(State(edge): Shared) -> Response {
    let now = edge.desk.clock.now();
    let store = &edge.desk.store;
    let trouble = edge.pulse.trouble.ask(now, trouble(store.clone(), now)).await;
    let trouble = trouble.unwrap_or(Some("it is not known whether it can be written"));
    let workers = edge.workers.load(std::sync::atomic::Ordering::SeqCst);
    let is_ready = trouble.is_none() && workers;
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    note_aws(&edge);
    let mut body = json!({
        "database": trouble.is_none(),
        "workers": workers,
        "down": edge.metrics.dependencies_down(),
    });
    // Not known is not nothing.
    let store = store.clone();
    let undelivered = edge.pulse.undelivered.ask(now, async move { store.undelivered().await.ok() });
    if let Some(undelivered) = undelivered.await.flatten() {
        body["undelivered"] = undelivered
            .into_iter()
            .map(|(cause, count)| (cause.as_str().to_owned(), json!(count)))
            .collect::<Map<_, _>>()
            .into();
    }
    if let Some(trouble) = trouble {
        body["database_says"] = json!(trouble);
    }
    (status, axum::Json(body)).into_response()
}

/// Which services of AWS answer is known to whoever calls them, and asked for when somebody wants to know. What nobody
/// called for long is not told as down, by a change as by a reading.
fn note_aws(edge: &Edge) {
    let known_for = SignedDuration::from_millis(KNOWN_FOR_MS);
    edge.metrics.forget_outages(known_for, edge.desk.clock.now());
    for (service, answers) in edge.aws.answering() {
        edge.metrics.dependency(service, answers);
    }
}

pub(super) async fn metrics(State(edge): Shared) -> Response {
    note_aws(&edge);
    let mut measured = vec![
        Measured::new("connections", edge.connections.open() as f64),
        Measured::new("start_time_seconds", edge.started_at.as_second() as f64),
    ];
    let (store, counted, now) = (edge.desk.store.clone(), edge.metrics.clone(), edge.desk.clock.now());
    let look = async move {
        let figures = store.figures(now).await;
        if let Err(error) = &figures {
            tracing::error!(%error, "the figures cannot be read");
            counted.count("database_failures");
        }
        figures.ok()
    };
    // Not known is not zero: an alert that fires would resolve itself.
    if let Some(figures) = edge.pulse.figures.ask(now, look).await.flatten() {
        measured.extend([
            Measured::new("approvals_waiting", figures.approvals_waiting as f64),
            Measured::new("incidents_open", figures.incidents_open as f64),
            Measured::new("jobs_dead", figures.jobs_dead as f64),
            Measured::new("jobs_oldest_seconds", figures.jobs_oldest.as_secs_f64()),
            Measured::new("jobs_waiting", figures.jobs_waiting as f64),
            Measured::new("messages_dead", figures.messages_dead as f64),
            Measured::new("messages_oldest_seconds", figures.messages_oldest.as_secs_f64()),
            Measured::new("messages_waiting", figures.messages_waiting as f64),
        ]);
    }
    for (service, called) in crate::aws::called() {
        for (name, value) in [
            ("aws_calls", called.calls as f64),
            ("aws_failures", called.failures as f64),
            ("aws_throttles", called.throttles as f64),
            ("aws_waits", called.waits as f64),
            ("aws_waited_seconds", called.waited.as_secs_f64()),
        ] {
            measured.push(Measured { name, label: service.clone(), value });
        }
    }
    let body = edge.metrics.render(&measured);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], body).into_response()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::future::join_all;
    use tokio::sync::Notify;

    use super::*;

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_millisecond(milliseconds).unwrap()
    }

    #[tokio::test]
    async fn however_many_ask_the_disk_is_tried_once_a_second() {
        let (newest, looks) = (Arc::new(Newest::<Trouble>::default()), Arc::new(AtomicUsize::new(0)));
        let go = Arc::new(Notify::new());
        let ask = |now: Timestamp| {
            let (newest, looks, go) = (newest.clone(), looks.clone(), go.clone());
            async move {
                let look = async move {
                    looks.fetch_add(1, Ordering::SeqCst);
                    go.notified().await;
                    Some("no")
                };
                newest.ask(now, look).await
            }
        };
        // The first of them hangs up while the disk is at it, and it takes longer than a second.
        let first = tokio::spawn(ask(at(0)));
        while looks.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        first.abort();
        let mut many = std::pin::pin!(join_all((0..300).map(|number| ask(at(10 * number)))));
        assert!(futures::poll!(many.as_mut()).is_pending());
        go.notify_one();
        assert_eq!(many.await, [Some(Some("no")); 300]);
        assert_eq!(ask(at(999)).await, Some(Some("no")));
        assert_eq!(looks.load(Ordering::SeqCst), 1);
        go.notify_one();
        ask(at(1_000)).await;
        assert_eq!(looks.load(Ordering::SeqCst), 2, "what is older than a second is looked at anew");
        // So it is where the clock goes back.
        go.notify_one();
        ask(at(-5_000)).await;
        assert_eq!(looks.load(Ordering::SeqCst), 3);
    }
}
