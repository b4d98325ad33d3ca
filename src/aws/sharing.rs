//! Answers that several investigations want at the same time are asked for once.
//!
//! Rule: an answer is shared for at most a minute, errors are not, and only what does not belong to the
//! incident's own service is: its own lines and series are always read fresh. Windows are aligned, so that
//! incidents which begin within the same minutes ask for the same.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use jiff::Timestamp;
use tokio::time::Instant;

use super::errors::ReadError;
use super::ledger;

/// How long an answer may be handed on.
const FRESH: Duration = Duration::from_secs(60);
/// Windows begin at whole ten minutes and end at whole minutes.
const START_STEP: i64 = 600;
const END_STEP: i64 = 60;

/// The window of time that is asked for, around the one that is wanted.
pub(super) fn aligned(start: Timestamp, end: Timestamp) -> (Timestamp, Timestamp) {
    let whole = |at: Timestamp, second: i64| Timestamp::from_second(second).unwrap_or(at);
    let earlier = start.as_second().div_euclid(START_STEP) * START_STEP;
    let later = (end.as_second() + END_STEP - 1).div_euclid(END_STEP) * END_STEP;
    (whole(start, earlier), whole(end, later))
}

/// What a question brought: answers by key.
#[derive(Debug)]
pub(super) struct Brought<T> {
    pub answers: BTreeMap<String, T>,
    /// False where it is not all that there is: it is handed to nobody else then.
    pub whole: bool,
}

impl<T> Brought<T> {
    /// One answer.
    pub fn one(key: String, answer: T, whole: bool) -> Self {
        Self { answers: BTreeMap::from([(key, answer)]), whole }
    }
}

type Flight<T> = Shared<BoxFuture<'static, Result<Arc<Brought<T>>, ReadError>>>;

/// Answers by what was asked.
#[derive(Debug)]
pub(super) struct Sharing<T> {
    flights: Mutex<BTreeMap<String, (Instant, Flight<T>)>>,
}

impl<T> Default for Sharing<T> {
    fn default() -> Self {
        Self { flights: Mutex::new(BTreeMap::new()) }
    }
}

impl<T: Clone + Send + Sync + 'static> Sharing<T> {
    /// The answer to one question, see [`Sharing::all`].
    pub async fn one(
        &self,
        key: String,
        action: &str,
        deadline: Instant,
        ask: impl Fn() -> BoxFuture<'static, Result<(T, bool), ReadError>>,
    ) -> Result<T, ReadError> {
        let asking = |keys: Vec<String>| {
            let key = keys.into_iter().next().unwrap_or_default();
            ask().map(|answer| answer.map(|(answer, whole)| Brought::one(key, answer, whole))).boxed()
        };
        let mut answers = self.all(vec![key.clone()], action, deadline, asking).await?;
        answers.remove(&key).ok_or_else(|| ReadError::timed_out(action))
    }

    /// The answers to `keys`: those that are there or on their way, and for the others what `ask` brings,
    /// in one question. Whoever finds that another's question ended early, before its own deadline, asks
    /// itself.
    pub async fn all(
        &self,
        keys: Vec<String>,
        action: &str,
        deadline: Instant,
        ask: impl Fn(Vec<String>) -> BoxFuture<'static, Result<Brought<T>, ReadError>>,
    ) -> Result<BTreeMap<String, T>, ReadError> {
        let mut answers = BTreeMap::new();
        let mut open = keys;
        loop {
            let (flights, own) = self.board(&open, &ask);
            let others = flights.len() - usize::from(own);
            ledger::note(|usage| usage.shared += others as u64);
            let landed = futures::future::join_all(flights.iter().cloned());
            let Ok(landed) = tokio::time::timeout_at(deadline, landed).await else {
                return Err(ReadError::timed_out(action));
            };
            let mut again = false;
            for (index, (flight, brought)) in flights.iter().zip(landed).enumerate() {
                let mine = own && index + 1 == flights.len();
                match brought {
                    Ok(brought) => {
                        if !brought.whole {
                            self.forget(flight);
                        }
                        if brought.whole || mine || Instant::now() >= deadline {
                            let wanted = brought.answers.iter().filter(|(key, _)| open.contains(key));
                            answers.extend(wanted.map(|(key, answer)| (key.clone(), answer.clone())));
                        } else {
                            again = true;
                        }
                    }
                    Err(error) => {
                        self.forget(flight);
                        if mine || !matches!(error, ReadError::TimedOut { .. }) || Instant::now() >= deadline
                        {
                            return Err(error);
                        }
                        again = true;
                    }
                }
            }
            open.retain(|key| !answers.contains_key(key));
            if !again || open.is_empty() {
                return Ok(answers);
            }
        }
    }

    /// The flights for some keys, the one that begins here last, and whether one does.
    fn board(
        &self,
        keys: &[String],
        ask: &impl Fn(Vec<String>) -> BoxFuture<'static, Result<Brought<T>, ReadError>>,
    ) -> (Vec<Flight<T>>, bool) {
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        flights.retain(|_, (began, _)| now.saturating_duration_since(*began) < FRESH);
        let mut found: Vec<Flight<T>> = Vec::new();
        let mut missing = Vec::new();
        for key in keys {
            match flights.get(key) {
                Some((_, flight)) if found.iter().any(|known| known.ptr_eq(flight)) => {}
                Some((_, flight)) => found.push(flight.clone()),
                None => missing.push(key.clone()),
            }
        }
        if missing.is_empty() {
            return (found, false);
        }
        let flight = ask(missing.clone()).map(|brought| brought.map(Arc::new)).boxed().shared();
        flights.extend(missing.into_iter().map(|key| (key, (now, flight.clone()))));
        found.push(flight);
        (found, true)
    }

    fn forget(&self, flight: &Flight<T>) {
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        flights.retain(|_, (_, known)| !known.ptr_eq(flight));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const ACTION: &str = "x:Y";

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(5)
    }

    #[tokio::test]
    async fn what_is_on_its_way_is_not_asked_again_and_an_error_is() {
        let (sharing, asked) = (Sharing::<usize>::default(), Arc::new(AtomicUsize::new(0)));
        let ask = || {
            let asked = asked.clone();
            async move {
                let count = asked.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                if count == 0 { Err(ReadError::timed_out(ACTION)) } else { Ok((count, true)) }
            }
            .boxed()
        };
        let get = |key: &str| sharing.one(key.to_owned(), ACTION, soon(), ask);
        assert!(get("a").await.is_err());
        assert_eq!(tokio::join!(get("a"), get("a")), (Ok(1), Ok(1)));
        assert_eq!((get("b").await, asked.load(Ordering::SeqCst)), (Ok(2), 3));
    }

    #[tokio::test]
    async fn one_that_has_more_time_asks_again_where_anothers_question_ended_early() {
        let sharing = Sharing::<u8>::default();
        let early = || async { Err(ReadError::timed_out(ACTION)) }.boxed();
        let part = || async { Ok((1, false)) }.boxed();
        let whole = || async { Ok((7, true)) }.boxed();
        for first in [&early as &(dyn Fn() -> _ + Sync), &part] {
            let key = "a".to_owned();
            let asked = tokio::join!(
                sharing.one(key.clone(), ACTION, soon(), first),
                sharing.one(key.clone(), ACTION, soon(), whole)
            );
            assert_eq!(asked.1, Ok(7));
            sharing.flights.lock().unwrap().clear();
        }
    }

    #[tokio::test]
    async fn of_many_only_those_are_asked_that_nobody_asked() {
        let (sharing, asked) = (Sharing::<String>::default(), Arc::new(Mutex::new(Vec::new())));
        let ask = |keys: Vec<String>| {
            asked.lock().unwrap().push(keys.join(""));
            async move {
                let answers = keys.into_iter().map(|key| (key.clone(), key.to_uppercase())).collect();
                Ok(Brought { answers, whole: true })
            }
            .boxed()
        };
        let get = |keys: &str| {
            let keys = keys.chars().map(String::from).collect();
            sharing.all(keys, ACTION, soon(), ask)
        };
        let (one, other) = tokio::join!(get("abc"), get("bcd"));
        let shown = |answers: BTreeMap<String, String>| answers.into_values().collect::<String>();
        assert_eq!((shown(one.unwrap()), shown(other.unwrap())), ("ABC".to_owned(), "BCD".to_owned()));
        assert_eq!(*asked.lock().unwrap(), ["abc", "d"]);
    }

    #[test]
    fn windows_of_the_same_minute_are_the_same() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let one = aligned(at("2026-02-06T09:11:07Z"), at("2026-02-06T12:11:07Z"));
        let other = aligned(at("2026-02-06T09:11:48Z"), at("2026-02-06T12:11:48Z"));
        assert_eq!(one, other);
        assert_eq!(one, (at("2026-02-06T09:10:00Z"), at("2026-02-06T12:12:00Z")));
    }
}
