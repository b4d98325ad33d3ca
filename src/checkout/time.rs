//! The time that the service lives in: the machine's, or a virtual one that jumps.
//!
//! The rule that is not obvious: on virtual time nothing may wait for anything but virtual time.
//! [`run`] moves the clock to the next timer as soon as every task is stuck, so a task that waited
//! for a thread or a socket would see hours pass. Database work is therefore done in place there
//! ([`Time::in_place`]): it takes no virtual time at all, and the order of events is the same in
//! every run.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use futures::future::{self, Either};
use futures::stream::{FuturesUnordered, Stream};
use jiff::{SignedDuration, Timestamp};

use crate::clock::Clock;

#[derive(Debug, Clone)]
pub enum Time {
    /// Real speed, on the clock given, in a tokio runtime.
    Wall(Clock),
    /// As fast as the machine can, inside [`run`].
    Virtual(Arc<VirtualTime>),
}

impl Time {
    pub fn now(&self) -> Timestamp {
        match self {
            Self::Wall(clock) => clock.now(),
            Self::Virtual(time) => time.now(),
        }
    }

    pub async fn sleep(&self, duration: Duration) {
        match self {
            Self::Wall(_) => tokio::time::sleep(duration).await,
            Self::Virtual(time) => time.sleep_until(later(time.now(), duration)).await,
        }
    }

    /// Returns at once where `instant` is past.
    pub async fn sleep_until(&self, instant: Timestamp) {
        let left = instant.duration_since(self.now());
        if let Ok(left) = Duration::try_from(left)
            && !left.is_zero()
        {
            self.sleep(left).await;
        }
    }

    /// What the future gives, or `None` once the time is up.
    pub async fn within<F: Future>(&self, limit: Duration, future: F) -> Option<F::Output> {
        match future::select(pin!(future), pin!(self.sleep(limit))).await {
            Either::Left((output, _)) => Some(output),
            Either::Right(((), _)) => None,
        }
    }

    /// Awaits work that another thread does (the database's), which must take no virtual time.
    pub async fn in_place<F: Future>(&self, work: F) -> F::Output {
        match self {
            Self::Wall(_) => work.await,
            Self::Virtual(_) => block_on(work),
        }
    }
}

/// `at` and `duration` later; stays at the end of time rather than wrap.
pub fn later(at: Timestamp, duration: Duration) -> Timestamp {
    SignedDuration::try_from(duration)
        .ok()
        .and_then(|duration| at.checked_add(duration).ok())
        .unwrap_or(Timestamp::MAX)
}

/// A clock that stands still while anything can run, and then jumps to the next timer.
#[derive(Debug)]
pub struct VirtualTime {
    now: Mutex<Timestamp>,
    timers: Mutex<BTreeMap<(Timestamp, u64), Waker>>,
    next_timer: AtomicU64,
}

impl VirtualTime {
    pub fn starting_at(now: Timestamp) -> Arc<Self> {
        Arc::new(Self {
            now: Mutex::new(now),
            timers: Mutex::new(BTreeMap::new()),
            next_timer: AtomicU64::new(0),
        })
    }

    pub fn now(&self) -> Timestamp {
        *lock(&self.now)
    }

    fn sleep_until(self: &Arc<Self>, at: Timestamp) -> VirtualSleep {
        let number = self.next_timer.fetch_add(1, Ordering::Relaxed);
        VirtualSleep { time: Arc::clone(self), key: (at, number) }
    }

    /// Moves to the next timer that is due by `until` and wakes its task; false where there is none.
    fn advance(&self, until: Timestamp) -> bool {
        let timer = {
            let mut timers = lock(&self.timers);
            match timers.first_key_value() {
                Some((&(at, _), _)) if at <= until => timers.pop_first(),
                _ => None,
            }
        };
        let Some(((at, _), waker)) = timer else { return false };
        let mut now = lock(&self.now);
        *now = at.max(*now);
        drop(now);
        waker.wake();
        true
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct VirtualSleep {
    time: Arc<VirtualTime>,
    key: (Timestamp, u64),
}

impl Future for VirtualSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.time.now() >= self.key.0 {
            lock(&self.time.timers).remove(&self.key);
            Poll::Ready(())
        } else {
            lock(&self.time.timers).insert(self.key, context.waker().clone());
            Poll::Pending
        }
    }
}

impl Drop for VirtualSleep {
    fn drop(&mut self) {
        lock(&self.time.timers).remove(&self.key);
    }
}

type Task = Pin<Box<dyn Future<Output = ()>>>;

/// Starts further tasks inside [`run`].
#[derive(Clone, Default)]
pub struct Spawner(Rc<RefCell<Vec<Task>>>);

impl Spawner {
    pub fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        self.0.borrow_mut().push(Box::pin(task));
    }
}

/// Runs `main` and every task that it spawns on this thread, until all are done or the clock would
/// pass what `until` says, which is asked before every step. What is not done then is dropped.
pub fn run<F>(time: &VirtualTime, until: impl Fn() -> Timestamp, main: impl FnOnce(Spawner) -> F)
where
    F: Future<Output = ()> + 'static,
{
    let spawner = Spawner::default();
    let mut tasks: FuturesUnordered<Task> = FuturesUnordered::new();
    tasks.push(Box::pin(main(spawner.clone())));
    let woken = Arc::new(Woken(AtomicBool::new(false)));
    let waker = Waker::from(Arc::clone(&woken));
    let mut context = Context::from_waker(&waker);
    loop {
        tasks.extend(spawner.0.borrow_mut().drain(..));
        woken.0.store(false, Ordering::Release);
        match Pin::new(&mut tasks).poll_next(&mut context) {
            Poll::Ready(None) if spawner.0.borrow().is_empty() => return,
            Poll::Ready(_) => {}
            Poll::Pending => {
                let stuck = spawner.0.borrow().is_empty() && !woken.0.load(Ordering::Acquire);
                if stuck && !time.advance(until()) {
                    return;
                }
            }
        }
    }
}

/// Says whether a task became ready while the others were polled.
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

/// Blocks this thread until the future is ready: for work that another thread does.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noon() -> Timestamp {
        "2026-02-06T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn hours_pass_in_the_order_of_their_timers() {
        let time = VirtualTime::starting_at(noon());
        let seen = Rc::new(RefCell::new(Vec::new()));
        let record = Rc::clone(&seen);
        run(
            &time,
            || later(noon(), Duration::from_hours(5)),
            |spawner| {
                let time = Time::Virtual(Arc::clone(&time));
                async move {
                    for hours in [3, 1, 2] {
                        let (time, record) = (time.clone(), Rc::clone(&record));
                        spawner.spawn(async move {
                            time.sleep(Duration::from_hours(hours)).await;
                            record.borrow_mut().push(hours);
                        });
                    }
                }
            },
        );
        assert_eq!(*seen.borrow(), [1, 2, 3]);
        assert_eq!(time.now(), later(noon(), Duration::from_hours(3)));
    }

    #[test]
    fn what_comes_too_late_is_given_up_and_what_lies_beyond_the_end_is_not_reached() {
        let time = VirtualTime::starting_at(noon());
        let seen = Rc::new(RefCell::new(None));
        let record = Rc::clone(&seen);
        run(
            &time,
            || later(noon(), Duration::from_mins(1)),
            |_| {
                let time = Time::Virtual(Arc::clone(&time));
                async move {
                    let late = time.within(Duration::from_secs(2), time.sleep(Duration::from_secs(3))).await;
                    *record.borrow_mut() = Some((late, time.now()));
                    time.sleep(Duration::from_hours(1)).await;
                    *record.borrow_mut() = None;
                }
            },
        );
        assert_eq!(*seen.borrow(), Some((None, later(noon(), Duration::from_secs(2)))));
    }

    #[test]
    fn work_of_another_thread_takes_no_virtual_time() {
        let time = VirtualTime::starting_at(noon());
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let worker = thread::spawn(move || sender.send(7));
        let seen = Rc::new(RefCell::new(None));
        let record = Rc::clone(&seen);
        run(
            &time,
            || later(noon(), Duration::from_hours(1)),
            |spawner| {
                let time = Time::Virtual(Arc::clone(&time));
                let other = time.clone();
                spawner.spawn(async move { other.sleep(Duration::from_mins(1)).await });
                async move {
                    let answer = time.in_place(receiver).await;
                    *record.borrow_mut() = Some((answer, time.now()));
                }
            },
        );
        assert!(worker.join().unwrap().is_ok());
        assert_eq!(*seen.borrow(), Some((Ok(7), noon())));
    }
}
