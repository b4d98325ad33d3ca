//! Incidents, jobs and approvals in SQLite: the only room with SQL.
//!
//! The rule that is not obvious: one connection writes, some read. Whatever reads and then writes
//! does so within one `BEGIN IMMEDIATE` on the writer, so that two of them cannot interleave. A
//! commit is on disk (`synchronous=FULL`) before anybody is told that their alert was accepted.

mod accept;
mod approvals;
mod aside;
mod audit;
mod aws_events;
mod backup;
mod clock;
mod conclusion;
mod course;
mod delete;
mod feedback;
mod figures;
mod incidents;
mod jobs;
mod log_counts;
mod mutes;
mod outbox;
mod questions;
mod resolve;
mod retention;
mod snapshots;
mod states;
mod storms;
mod together;
mod trials;

use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection as _, Sqlite, SqliteConnection, SqlitePool, Transaction};

pub use accept::{Accepted, NewAlert, Origin};
pub use approvals::{Approval, Asked, Claim, Decided};
pub use aside::Aside;
pub use aws_events::{AwsEvent, Delivered, TRAIL_RECORD};
pub use conclusion::Conclusion;
pub use course::Ended;
pub use delete::Deleted;
pub use feedback::{Feedback, NewFeedback};
pub use figures::Figures;
pub use incidents::{Incident, IncidentRow};
pub use jobs::{ClickedButton, EndPressed, INVESTIGATIONS_AT_ONCE, Job, JobKind};
pub use log_counts::GroupCounts;
pub use mutes::{Held, Mute, NewMute};
pub use outbox::{Candidate, Cause as UndeliveredCause, GRACE, HEADLINE, OutboxDepth, Owed, Parcel, Way};
pub use questions::{Chosen, Doubt, GivenAnswer, Question, Settled};
pub use resolve::{Resolve, Resolved};
pub use states::Closing;
pub use storms::{STORM_FROM, Throng};
pub use trials::TrialEnd;

/// How long a statement waits for a lock that another process holds (`incidents list` beside `serve`).
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const READERS: u32 = 4;
/// The database holds what a waiting rollback would put back: nobody reads it but its owner.
const MODE: u32 = 0o600;
/// The write-ahead log is cut back to so many bytes once it is folded in: a storm does not leave it large for ever.
const LOG_BYTES_KEPT: &str = "67108864";

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");

/// What keeps the database from doing its work. Each says the whole of it, so that none has a source that would be told
/// a second time.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error(
        "the database {path} is in use by another incident-commander; one `serve` or `demo` per database"
    )]
    InUse { path: String },
    #[error("DATABASE_URL {url:?} is not a SQLite URL such as sqlite://incident-commander.db")]
    Url { url: String },
    #[error("cannot open the database {path}: {why}")]
    Open { path: String, why: std::io::Error },
    #[error("the database: {0}")]
    Sql(sqlx::Error),
    /// Nothing more fits; what was acknowledged is safe.
    #[error("the disk is full, or the database may not grow")]
    Full,
    /// Somebody else held the database for longer than a statement waits.
    #[error("the database is locked by another program for more than {} s", BUSY_TIMEOUT.as_secs())]
    Locked,
    /// The disk does not do what it is told.
    #[error("the disk fails: {0}")]
    Disk(sqlx::Error),
    /// More is asked of it at once than it has connections for.
    #[error("every connection to the database was taken for longer than anybody waits for one")]
    Crowded,
    #[error("{path} cannot be written: {why}")]
    Copy { path: String, why: std::io::Error },
    #[error("the database is of version {found}, and this program knows {known}: {}", advice(*.found, *.known))]
    Version { found: i64, known: i64 },
    #[error("the database could not be migrated: {0}")]
    Migrate(sqlx::migrate::MigrateError),
    #[error("the database holds something unreadable: {0}")]
    Content(String),
    #[error(transparent)]
    Misfit(#[from] crate::domain::incident::Misfit),
}

pub type Result<T> = std::result::Result<T, StoreError>;

fn advice(found: i64, known: i64) -> &'static str {
    if found < known {
        "start `serve` once, which brings it up to date"
    } else {
        "it was written by a newer incident-commander"
    }
}

/// SQLite's result codes (sqlite.org/rescode.html); an extended code has them in its low byte.
const SQLITE_BUSY: u32 = 5;
const SQLITE_LOCKED: u32 = 6;
const SQLITE_IOERR: u32 = 10;
const SQLITE_FULL: u32 = 13;

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        if matches!(error, sqlx::Error::PoolTimedOut) {
            return Self::Crowded;
        }
        let code = error.as_database_error().and_then(|error| error.code()?.parse::<u32>().ok());
        match code.map(|code| code & 0xff) {
            Some(SQLITE_FULL) => Self::Full,
            Some(SQLITE_BUSY | SQLITE_LOCKED) => Self::Locked,
            Some(SQLITE_IOERR) => Self::Disk(error),
            _ => Self::Sql(error),
        }
    }
}

impl StoreError {
    /// Whether nothing can be written at the moment, whoever tries: the same is tried again and counts as no failure.
    pub fn is_of_the_moment(&self) -> bool {
        matches!(self, Self::Full | Self::Locked | Self::Disk(_) | Self::Crowded)
    }
}

/// What came of something that somebody asked for: it is noted with its delivery, so that it is done once, however
/// often it is delivered and wherever the process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Once<T> {
    Done(T),
    /// This very delivery was taken in before.
    Before,
}

/// The database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    writer: SqlitePool,
    readers: SqlitePool,
    queue: together::Queue,
    /// Held by the one process that works on the jobs; released when the last clone goes.
    _lock: Option<std::sync::Arc<Lock>>,
}

impl Store {
    /// Opens the database for work: makes the file where it is missing, for its owner alone, migrates it, and takes
    /// the lock that only one working process may hold, by whichever of its names it opens it.
    ///
    /// # Errors
    /// [`StoreError::InUse`] where another process works on it.
    pub async fn open(url: &str) -> Result<Self> {
        let path = path_of(url)?;
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder)
                .map_err(|why| StoreError::Open { path: path.display().to_string(), why })?;
        }
        let lock = take_lock(&whole_path(&path)?)?;
        let store = Self::connect(url, Some(lock)).await?;
        store.refuse_a_newer_one().await?;
        MIGRATIONS.run(&store.writer).await.map_err(StoreError::Migrate)?;
        Ok(store)
    }

    /// Opens the database beside a working process, to look or to note something down.
    ///
    /// # Errors
    /// Where the file does not exist or cannot be read.
    pub async fn open_beside(url: &str) -> Result<Self> {
        let path = path_of(url)?;
        if !path.exists() {
            let why = std::io::Error::from(std::io::ErrorKind::NotFound);
            return Err(StoreError::Open { path: path.display().to_string(), why });
        }
        Self::connect(url, None).await
    }

    /// Refuses a database that another version of this program made: its tables may differ.
    ///
    /// # Errors
    /// [`StoreError::Version`], which says what to do.
    pub async fn expect_current(&self) -> Result<()> {
        let (found, known) = (self.version().await?, known_version());
        if found == known { Ok(()) } else { Err(StoreError::Version { found, known }) }
    }

    async fn refuse_a_newer_one(&self) -> Result<()> {
        let (found, known) = (self.version().await?, known_version());
        if found > known { Err(StoreError::Version { found, known }) } else { Ok(()) }
    }

    /// The newest migration that was made; 0 for an empty file.
    async fn version(&self) -> Result<i64> {
        let is_new: bool = sqlx::query_scalar(
            "SELECT NOT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = '_sqlx_migrations')",
        )
        .fetch_one(&self.readers)
        .await?;
        if is_new {
            return Ok(0);
        }
        let found: Option<i64> =
            sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations").fetch_one(&self.readers).await?;
        Ok(found.unwrap_or_default())
    }

    async fn connect(url: &str, lock: Option<Lock>) -> Result<Self> {
        let options = SqliteConnectOptions::from_str(url)?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .pragma("journal_size_limit", LOG_BYTES_KEPT)
            .busy_timeout(BUSY_TIMEOUT);
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .after_release(|connection, _| Box::pin(is_at_rest(connection)))
            .connect_with(options.clone())
            .await?;
        let readers = SqlitePoolOptions::new().max_connections(READERS).connect_with(options).await?;
        Ok(Self { writer, readers, queue: together::Queue::default(), _lock: lock.map(std::sync::Arc::new) })
    }

    async fn begin(&self) -> Result<Transaction<'static, Sqlite>> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }

    /// Writes one small row to the disk: what `/readyz` asks.
    ///
    /// # Errors
    /// Why nothing can be written, such as [`StoreError::Full`].
    pub async fn pulse(&self, now: Timestamp) -> Result<()> {
        // As alerts are stored: what stands in their way stands in its way.
        let mut transaction = self.begin().await?;
        sqlx::query(
            "INSERT INTO pulse (id, written_at) VALUES (1, ?1)
             ON CONFLICT (id) DO UPDATE SET written_at = excluded.written_at",
        )
        .bind(now.as_millisecond())
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Whether this user may write to the database, without writing.
    pub async fn can_write(&self) -> bool {
        match self.begin().await {
            Ok(transaction) => transaction.rollback().await.is_ok(),
            Err(_) => false,
        }
    }

    /// Ends all connections, so that the write-ahead log is folded back into the file.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

fn known_version() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or_default()
}

/// The file that a database's URL names.
pub fn path_of(url: &str) -> Result<PathBuf> {
    let rest = url.strip_prefix("sqlite:").ok_or_else(|| StoreError::Url { url: url.to_owned() })?;
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    let path = rest.split('?').next().unwrap_or_default();
    if path.is_empty() || path == ":memory:" {
        return Err(StoreError::Url { url: url.to_owned() });
    }
    // As SQLite opens it: `%20` is a space.
    Ok(SqliteConnectOptions::from_str(url)?.get_filename().to_owned())
}

/// The one path that all names of a database lead to; its file is made where it is missing. SQLite gives the files
/// beside it the same mode.
fn whole_path(path: &Path) -> Result<PathBuf> {
    let made = || {
        // Never opened where it is there: closing it again would drop SQLite's own locks of this process.
        if !path.exists() {
            std::fs::OpenOptions::new().create(true).truncate(false).write(true).mode(MODE).open(path)?;
        }
        path.canonicalize()
    };
    made().map_err(|why| StoreError::Open { path: path.display().to_string(), why })
}

/// Whether no transaction is under way on the writer's connection, which comes back from whoever wrote. Where COMMIT
/// itself fails, as on a full disk, SQLite rolls back by itself: the ROLLBACK that follows fails, and the connection
/// would be taken to be in a transaction for ever. It is given up, and the next one is fresh.
async fn is_at_rest(connection: &mut SqliteConnection) -> sqlx::Result<bool> {
    if connection.is_in_transaction() {
        // A ROLLBACK that was begun and not waited for is over when this is answered.
        connection.ping().await?;
    }
    Ok(!connection.is_in_transaction())
}

/// An advisory lock on a file beside the database, released by the system even after `kill -9`.
#[derive(Debug)]
struct Lock(std::fs::File);

impl Drop for Lock {
    /// Closing the file is not enough: a child of this process that was begun and does not run its own program yet has the
    /// file open as well.
    fn drop(&mut self) {
        if let Err(error) = self.0.unlock() {
            tracing::warn!(%error, "the database's lock is kept until the process ends");
        }
    }
}

fn take_lock(database: &Path) -> Result<Lock> {
    let mut name = database.as_os_str().to_owned();
    name.push(".lock");
    let path = PathBuf::from(name);
    let file = std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|why| StoreError::Open { path: path.display().to_string(), why })?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(std::fs::TryLockError::WouldBlock) => {
            Err(StoreError::InUse { path: database.display().to_string() })
        }
        Err(std::fs::TryLockError::Error(why)) => {
            Err(StoreError::Open { path: path.display().to_string(), why })
        }
    }
}

fn time(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| StoreError::Content(error.to_string()))
}

fn to_json<T: serde::Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| StoreError::Content(error.to_string()))
}

#[cfg(test)]
mod tests;
