//! Placing an order, from its arrival to its answer.
//!
//! An order waits for a caller (there are `max_concurrent`), takes a connection, writes itself, has
//! the payment authorised, and reserves the stock; nine orders of ten do that last step on a second
//! connection while they hold the first, because it must be seen by others before the order
//! commits. Every time-out and every long wait comes out of these queues (`pool` tells why). One
//! thing only is drawn by lot: which twenty-first order or so meets a stock row that a stocktaking
//! job has locked, the background of about 5 % on the best of days.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::counters::Counters;
use super::database::{ARTICLES, Database};
use super::events::{Emission, Level, Sink, What, line};
use super::order::{Failure, Order, Receipt};
use super::pool::Pool;
use super::release::{Counted, Release, Rollout};
use super::settings::PAYMENT_TIME;
use super::time::{Time, later};

/// An order that finds no caller for so long is refused, so that a queue cannot grow for ever.
const CALLER_TIMEOUT: Duration = Duration::from_millis(2500);
/// Beyond this queue an order is refused at once.
const QUEUE_LIMIT: usize = 512;
/// Share of orders that reserve their stock on a second connection.
const SECOND_CONNECTION_SHARE: f64 = 0.9;
/// Share of orders that meet the locked row.
const LOCKED_ROW_SHARE: f64 = 0.05;
/// How long a statement waits for a row's lock.
const LOCK_TIMEOUT: Duration = Duration::from_millis(110);
/// What a query beyond this is called a spike, in the scenario's words.
const SPIKE: Duration = Duration::from_secs(2);
/// Each row in the outbox lengthens the order's own write by this.
const OUTBOX_ROW_TIME: Duration = Duration::from_micros(51);
/// The relay empties the outbox at this length.
const OUTBOX_LOT: u64 = 100;
/// Beyond this the outbox takes no more, so that memory stays bounded.
const OUTBOX_LIMIT: u64 = 100_000;
/// Every so many orders the service says how much memory it uses.
const MEMORY_REPORT_EVERY: u64 = 50;

/// How the payment service behaves towards this one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Payments {
    /// How long it takes to answer.
    pub time: Duration,
    /// The share of calls, 0 to 1, that it answers with 503.
    pub failing: f64,
}

impl Default for Payments {
    fn default() -> Self {
        Self { time: PAYMENT_TIME, failing: 0.0 }
    }
}

pub struct Service {
    time: RwLock<Time>,
    sink: Sink,
    database: Database,
    release: RwLock<Arc<Release>>,
    payments: Mutex<Option<Payments>>,
    random: Mutex<fastrand::Rng>,
    outbox_rows: AtomicU64,
    counters: Counters,
}

/// What is decided about an order when it arrives.
struct Course {
    request_id: Arc<str>,
    write: Duration,
    reserve: Duration,
    article: u8,
    second_connection: bool,
    row_locked: bool,
    payment_luck: f64,
}

impl Service {
    /// Opens the database and the pool and is ready for orders.
    pub async fn start(time: Time, sink: Sink, rollout: Rollout, seed: u64) -> Result<Self, sqlx::Error> {
        let database = time.in_place(Database::open()).await?;
        let pool = time.in_place(Pool::open(&database, rollout.settings.db_pool_size)).await?;
        Ok(Self {
            time: RwLock::new(time),
            sink,
            database,
            release: RwLock::new(Arc::new(Release::new(rollout, pool))),
            payments: Mutex::new(None),
            random: Mutex::new(fastrand::Rng::with_seed(seed)),
            outbox_rows: AtomicU64::new(0),
            counters: Counters::default(),
        })
    }

    /// Puts another version or configuration in place; orders already taken end in the old one.
    pub async fn roll_out(&self, rollout: Rollout) -> Result<(), sqlx::Error> {
        let pool = self.time().in_place(Pool::open(&self.database, rollout.settings.db_pool_size)).await?;
        let release = Arc::new(Release::new(rollout, pool));
        let fields = Map::from_iter([
            ("version".to_owned(), json!(&*release.version)),
            ("db_pool_size".to_owned(), json!(release.settings.db_pool_size)),
            ("max_concurrent".to_owned(), json!(release.settings.max_concurrent)),
        ]);
        *self.release.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&release);
        self.log(&release, Level::Info, "Configuration loaded", None, fields);
        Ok(())
    }

    /// From now on the payment service behaves so; `None`: as the configuration says.
    pub fn set_payments(&self, payments: Option<Payments>) {
        *self.payments.lock().unwrap_or_else(PoisonError::into_inner) = payments;
    }

    pub fn time(&self) -> Time {
        self.time.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets the service go on in another time: out of a virtual one into the machine's. Its pool,
    /// its database and its memory stay. Orders that waited in the old time must be gone.
    pub fn continue_in(&self, time: Time) {
        *self.time.write().unwrap_or_else(PoisonError::into_inner) = time;
    }

    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    fn release(&self) -> Arc<Release> {
        Arc::clone(&self.release.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes one order to its end.
    ///
    /// # Errors
    /// Says why it was not placed.
    pub async fn place(&self, order: Order) -> Result<Receipt, Failure> {
        let release = self.release();
        let course = self.course();
        let arrived = self.time().now();
        self.emit(&release, What::Started { request_id: Arc::clone(&course.request_id) });
        let outcome = self.handle(&release, &order, &course).await;
        let took = since(arrived, self.time().now());
        self.tell_outcome(&release, &course, took, outcome.as_ref().err());
        outcome.map(|number| Receipt { number, took })
    }

    async fn handle(&self, release: &Arc<Release>, order: &Order, course: &Course) -> Result<i64, Failure> {
        let _caller = {
            let queue = Counted::new(&release.queued);
            if release.queued.load(Ordering::Relaxed) > QUEUE_LIMIT {
                return Err(self.fail(release, course, Failure::Refused, Duration::ZERO));
            }
            let waiting_since = self.time().now();
            let caller =
                self.time().within(CALLER_TIMEOUT, Arc::clone(&release.callers).acquire_owned()).await;
            drop(queue);
            let Some(Ok(permit)) = caller else {
                let waited = since(waiting_since, self.time().now());
                return Err(self.fail(release, course, Failure::Refused, waited));
            };
            permit
        };
        let _in_progress = Counted::new(&release.in_progress);
        self.metric(release, "PoolAvailable", release.pool_available() as f64, "Count");
        let admitted = self.time().now();
        let leak_time = release.leak();
        if !leak_time.is_zero() {
            self.time().sleep(leak_time).await;
        }
        let outcome = self.write(release, order, course).await;
        let query_time = since(admitted, self.time().now());
        match outcome {
            Ok(number) => {
                let mut fields = Self::saturation(release);
                fields.insert("order_id".to_owned(), json!(order.id));
                fields.insert("query_duration_ms".to_owned(), json!(query_time.as_millis() as u64));
                self.log(release, Level::Info, "Order completed", Some(&course.request_id), fields);
                if query_time >= SPIKE {
                    self.tell_spike(release, course, query_time);
                }
                Ok(number)
            }
            Err(failure) => Err(self.fail(release, course, failure, query_time)),
        }
    }

    /// The part that holds connections.
    async fn write(&self, release: &Release, order: &Order, course: &Course) -> Result<i64, Failure> {
        let deadline = later(self.time().now(), release.settings.acquire_timeout);
        let mut first = release.pool.acquire(&self.time(), deadline).await.ok_or(Failure::PoolExhausted)?;
        let now = self.time().now().as_millisecond();
        let keep_outbox = self.outbox_rows.load(Ordering::Relaxed) < OUTBOX_LIMIT;
        let number = self
            .time()
            .in_place(first.insert_order(&order.id, now, keep_outbox))
            .await
            .map_err(|error| Failure::Database(error.to_string()))?;
        let outbox_rows =
            if keep_outbox { self.outbox_rows.fetch_add(1, Ordering::Relaxed) + 1 } else { OUTBOX_LIMIT };
        self.time()
            .sleep(course.write + OUTBOX_ROW_TIME * u32::try_from(outbox_rows).unwrap_or(u32::MAX))
            .await;
        self.authorise_payment(release, course).await?;
        if course.row_locked {
            self.time().sleep(LOCK_TIMEOUT).await;
            return Err(Failure::RowLocked);
        }
        if course.second_connection {
            let mut second =
                release.pool.acquire(&self.time(), deadline).await.ok_or(Failure::PoolExhausted)?;
            self.reserve(&mut second, course).await?;
        } else {
            self.reserve(&mut first, course).await?;
        }
        if release.settings.outbox_relay && outbox_rows >= OUTBOX_LOT {
            self.time()
                .in_place(first.empty_outbox())
                .await
                .map_err(|error| Failure::Database(error.to_string()))?;
            self.outbox_rows.store(0, Ordering::Relaxed);
        }
        Ok(number)
    }

    async fn reserve(
        &self,
        connection: &mut super::database::Connection,
        course: &Course,
    ) -> Result<(), Failure> {
        self.time()
            .in_place(connection.reserve_stock(course.article))
            .await
            .map_err(|error| Failure::Database(error.to_string()))?;
        self.time().sleep(course.reserve).await;
        Ok(())
    }

    async fn authorise_payment(&self, release: &Release, course: &Course) -> Result<(), Failure> {
        let payments = self
            .payments
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .unwrap_or(Payments { time: release.settings.payment_time, failing: 0.0 });
        self.time().sleep(payments.time).await;
        if course.payment_luck < payments.failing { Err(Failure::Payment) } else { Ok(()) }
    }

    fn course(&self) -> Course {
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        let bits = random.u128(..);
        Course {
            request_id: uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid().to_string().into(),
            write: Duration::from_micros(random.u64(5_000..45_000)),
            reserve: Duration::from_micros(random.u64(90_000..130_000)),
            article: random.u8(..ARTICLES),
            second_connection: random.f64() < SECOND_CONNECTION_SHARE,
            row_locked: random.f64() < LOCKED_ROW_SHARE,
            payment_luck: random.f64(),
        }
    }

    /// The fields that show how full the service is.
    fn saturation(release: &Release) -> Map<String, Value> {
        Map::from_iter([
            ("db_pool_size".to_owned(), json!(release.pool.size())),
            ("concurrent_calls".to_owned(), json!(release.in_progress.load(Ordering::Relaxed))),
            ("pool_available".to_owned(), json!(release.pool_available())),
        ])
    }

    /// Writes the error lines of a failure and gives it back.
    fn fail(&self, release: &Release, course: &Course, failure: Failure, query_time: Duration) -> Failure {
        let mut fields = Self::saturation(release);
        fields.insert("query_duration_ms".to_owned(), json!(query_time.as_millis() as u64));
        release.hint.write_into(&mut fields, self.time().now());
        self.log(release, Level::Error, &failure.to_string(), Some(&course.request_id), fields);
        if query_time >= SPIKE {
            self.tell_spike(release, course, query_time);
        }
        failure
    }

    fn tell_spike(&self, release: &Release, course: &Course, query_time: Duration) {
        let mut fields = Map::from_iter([
            ("query_duration_ms".to_owned(), json!(query_time.as_millis() as u64)),
            ("latency_threshold_exceeded".to_owned(), json!(format!("{}ms", SPIKE.as_millis()))),
        ]);
        release.hint.write_into(&mut fields, self.time().now());
        let message = "LATENCY SPIKE - Query took 2000ms+";
        self.log(release, Level::Error, message, Some(&course.request_id), fields);
    }

    fn tell_outcome(&self, release: &Release, course: &Course, took: Duration, failure: Option<&Failure>) {
        self.counters.count(took, failure);
        let flag = |condition: bool| f64::from(u8::from(condition));
        self.metric(release, "OrderRequests", 1.0, "Count");
        self.metric(release, "CheckoutFailures", flag(failure.is_some()), "Count");
        self.metric(release, "db_timeout", flag(failure.is_some_and(Failure::is_timeout)), "Count");
        self.metric(release, "ProcessingTime", took.as_secs_f64() * 1000.0, "Milliseconds");
        if release.count().is_multiple_of(MEMORY_REPORT_EVERY) {
            let memory = release.memory_mib();
            self.metric(release, "MemoryUsed", memory as f64, "Megabytes");
            let fields = Map::from_iter([
                ("memory_used_mb".to_owned(), json!(memory)),
                ("outbox_rows".to_owned(), json!(self.outbox_rows.load(Ordering::Relaxed))),
            ]);
            self.log(release, Level::Info, "Resource use", None, fields);
        }
        self.emit(
            release,
            What::Finished {
                request_id: Arc::clone(&course.request_id),
                took,
                failed: failure.is_some(),
                memory_mib: release.memory_mib(),
            },
        );
    }

    fn log(
        &self,
        release: &Release,
        level: Level,
        message: &str,
        request_id: Option<&Arc<str>>,
        fields: Map<String, Value>,
    ) {
        let line = line(self.time().now(), level, message, request_id.map(|id| &**id), fields);
        self.emit(release, What::Log { level, request_id: request_id.cloned(), line });
    }

    fn metric(&self, release: &Release, name: &'static str, value: f64, unit: &'static str) {
        self.emit(release, What::Metric { name, value, unit });
    }

    fn emit(&self, release: &Release, what: What) {
        self.sink.emit(Emission { at: self.time().now(), version: Arc::clone(&release.version), what });
    }
}

fn since(start: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(start)).unwrap_or_default()
}
