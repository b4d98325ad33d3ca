//! A copy of the database while it is in use.
//!
//! The rule that is not obvious: a copy is older than what happened since. A message that it still owes may stand in
//! Slack by the time it is restored, so the copy notes that each may have left: whoever starts from it looks for the
//! message in Slack before posting it.

use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use super::{MODE, Result, Store, StoreError};

impl Store {
    /// Writes a copy to `target`, for its owner alone, whole or not at all, and checks it. A file that is there is
    /// never replaced.
    ///
    /// # Errors
    /// Where the target exists or cannot be written, or the copy does not hold.
    pub async fn back_up(&self, target: &Path) -> Result<()> {
        let failed = |why: std::io::Error| StoreError::Copy { path: target.display().to_string(), why };
        if target.exists() {
            return Err(failed(std::io::ErrorKind::AlreadyExists.into()));
        }
        let part = beside(target);
        // What an interrupted copy left.
        match std::fs::remove_file(&part) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        // SQLite takes an empty file as it is, and would make its own for everybody to read.
        std::fs::OpenOptions::new().create_new(true).write(true).mode(MODE).open(&part).map_err(failed)?;
        let copied = self.copy_to(&part).await;
        if copied.is_err() {
            // The reason is told, and half a copy helps nobody.
            drop(std::fs::remove_file(&part));
            return copied;
        }
        let publish = || {
            std::fs::File::open(&part)?.sync_all()?;
            // Fails where somebody made the target in the meantime; `rename` would replace it.
            std::fs::hard_link(&part, target)?;
            std::fs::remove_file(&part)?;
            let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
            std::fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
        };
        publish().map_err(failed)
    }

    async fn copy_to(&self, part: &Path) -> Result<()> {
        // One reading transaction: whoever writes meanwhile neither waits nor shows.
        sqlx::query("VACUUM INTO ?1").bind(part.display().to_string()).execute(&self.readers).await?;
        let options = SqliteConnectOptions::new()
            .filename(part)
            .journal_mode(SqliteJournalMode::Delete)
            .synchronous(SqliteSynchronous::Full);
        let copy = SqlitePoolOptions::new().max_connections(1).connect_with(options).await?;
        let prepared = prepare(&copy).await;
        copy.close().await;
        prepared
    }
}

async fn prepare(copy: &sqlx::SqlitePool) -> Result<()> {
    // The outbox as every version since it began has it.
    let columns: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM pragma_table_info('outbox')
         WHERE name IN ('revision', 'sending', 'sending_since', 'ts', 'state', 'owed_at')",
    )
    .fetch_one(copy)
    .await?;
    if columns == 6 {
        sqlx::query(
            "UPDATE outbox SET sending = revision, sending_since = coalesce(sending_since, owed_at)
             WHERE state = 'due' AND ts IS NULL AND NOT is_image",
        )
        .execute(copy)
        .await?;
    }
    let said: String = sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(copy).await?;
    if said == "ok" { Ok(()) } else { Err(StoreError::Content(format!("the copy does not hold: {said}"))) }
}

fn beside(target: &Path) -> PathBuf {
    let mut name = target.as_os_str().to_owned();
    name.push(".part");
    PathBuf::from(name)
}
