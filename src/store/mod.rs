//! Incidents, jobs and approvals in SQLite: the only room with SQL.
//!
//! The rule that is not obvious: one connection writes, some read. Whatever reads and then writes
//! does so within one `BEGIN IMMEDIATE` on the writer, so that two of them cannot interleave. A
//! commit is on disk (`synchronous=FULL`) before anybody is told that their alert was accepted.

mod accept;
mod approvals;
mod audit;
mod aws_events;
mod feedback;
mod incidents;
mod jobs;
mod mutes;
mod outbox;
mod questions;
mod resolve;

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Sqlite, SqlitePool, Transaction};

pub use accept::{Accepted, NewAlert, Origin};
pub use approvals::{Approval, Asked, Claim, Decided, Ended};
pub use aws_events::{AwsEvent, Delivered, TRAIL_RECORD};
pub use feedback::{Feedback, NewFeedback};
pub use incidents::{Closing, Conclusion, Incident, IncidentRow};
pub use jobs::{ClickedButton, Job, JobKind};
pub use mutes::{Held, Mute, NewMute};
pub use outbox::{
    Candidate, Cause as UndeliveredCause, GRACE, HEADLINE, OutboxDepth, Owed, Parcel, Undelivered, Way,
};
pub use questions::{Chosen, Doubt, GivenAnswer, Question, Settled};
pub use resolve::{Resolve, Resolved};

/// How long a statement waits for a lock that another process holds (`incidents list` beside `serve`).
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const READERS: u32 = 4;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error(
        "the database {path} is in use by another incident-commander; one `serve` or `demo` per database"
    )]
    InUse { path: String },
    #[error("DATABASE_URL {url:?} is not a SQLite URL such as sqlite://incident-commander.db")]
    Url { url: String },
    #[error("cannot open the database {path}: {source}")]
    Open { path: String, source: std::io::Error },
    #[error("the database: {0}")]
    Sql(#[from] sqlx::Error),
    #[error("the database could not be migrated: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    #[error("the database holds something unreadable: {0}")]
    Content(String),
    #[error(transparent)]
    Misfit(#[from] crate::domain::incident::Misfit),
}

pub type Result<T> = std::result::Result<T, StoreError>;

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
    /// Held by the one process that works on the jobs; released when the last clone goes.
    _lock: Option<std::sync::Arc<std::fs::File>>,
}

impl Store {
    /// Opens the database for work: makes the file where it is missing, migrates it, and takes the
    /// lock that only one working process may hold.
    ///
    /// # Errors
    /// [`StoreError::InUse`] where another process works on it.
    pub async fn open(url: &str) -> Result<Self> {
        let path = path_of(url)?;
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder)
                .map_err(|source| StoreError::Open { path: path.display().to_string(), source })?;
        }
        let lock = take_lock(&path)?;
        let store = Self::connect(url, Some(lock)).await?;
        sqlx::migrate!("./migrations").run(&store.writer).await?;
        Ok(store)
    }

    /// Opens the database beside a working process, to look or to note something down.
    ///
    /// # Errors
    /// Where the file does not exist or cannot be read.
    pub async fn open_beside(url: &str) -> Result<Self> {
        let path = path_of(url)?;
        if !path.exists() {
            let source = std::io::Error::from(std::io::ErrorKind::NotFound);
            return Err(StoreError::Open { path: path.display().to_string(), source });
        }
        Self::connect(url, None).await
    }

    async fn connect(url: &str, lock: Option<std::fs::File>) -> Result<Self> {
        let options = SqliteConnectOptions::from_str(url)?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT);
        let writer = SqlitePoolOptions::new().max_connections(1).connect_with(options.clone()).await?;
        let readers = SqlitePoolOptions::new().max_connections(READERS).connect_with(options).await?;
        Ok(Self { writer, readers, _lock: lock.map(std::sync::Arc::new) })
    }

    async fn begin(&self) -> Result<Transaction<'static, Sqlite>> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }

    /// Whether a row can be written: what `/readyz` asks.
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

fn path_of(url: &str) -> Result<PathBuf> {
    let rest = url.strip_prefix("sqlite:").ok_or_else(|| StoreError::Url { url: url.to_owned() })?;
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    let path = rest.split('?').next().unwrap_or_default();
    if path.is_empty() || path == ":memory:" {
        return Err(StoreError::Url { url: url.to_owned() });
    }
    Ok(PathBuf::from(path))
}

/// An advisory lock on a file beside the database, released by the system even after `kill -9`.
fn take_lock(database: &Path) -> Result<std::fs::File> {
    let mut name = database.as_os_str().to_owned();
    name.push(".lock");
    let path = PathBuf::from(name);
    let file = std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|source| StoreError::Open { path: path.display().to_string(), source })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            Err(StoreError::InUse { path: database.display().to_string() })
        }
        Err(std::fs::TryLockError::Error(source)) => {
            Err(StoreError::Open { path: path.display().to_string(), source })
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
