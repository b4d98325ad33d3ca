//! The service's own database: orders, stock and an outbox, in SQLite in memory.
//!
//! The statements are real and take microseconds; the time that a busy production database takes
//! for them is slept by the caller, who holds the connection meanwhile. No statement holds a lock
//! across such a sleep.

use std::str::FromStr;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection as _};

const SCHEMA: [&str; 4] = [
    "CREATE TABLE orders (number INTEGER PRIMARY KEY, order_id TEXT NOT NULL, placed_at INTEGER NOT NULL) STRICT",
    "CREATE TABLE stock (article INTEGER PRIMARY KEY, reserved INTEGER NOT NULL) STRICT",
    "CREATE TABLE outbox (number INTEGER PRIMARY KEY, order_number INTEGER NOT NULL) STRICT",
    "INSERT INTO stock (article, reserved) WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 99) SELECT i, 0 FROM n",
];
const INSERT_ORDER: &str = "INSERT INTO orders (order_id, placed_at) VALUES (?1, ?2)";
const INSERT_OUTBOX: &str = "INSERT INTO outbox (order_number) VALUES (?1)";
const RESERVE_STOCK: &str = "UPDATE stock SET reserved = reserved + 1 WHERE article = ?1";
const PURGE_ORDERS: &str = "DELETE FROM orders WHERE number <= ?1";
const EMPTY_OUTBOX: &str = "DELETE FROM outbox";

/// How many articles the shop sells.
pub const ARTICLES: u8 = 100;
/// Orders are archived in lots of this size, and one lot is kept.
const ARCHIVE_LOT: i64 = 1000;

pub struct Database {
    options: SqliteConnectOptions,
    /// Keeps the database alive: one in memory ends with its last connection.
    _anchor: SqliteConnection,
}

impl Database {
    /// A database of its own, with nothing in it.
    pub async fn open() -> Result<Self, sqlx::Error> {
        let options = SqliteConnectOptions::from_str("sqlite::memory:")?.disable_statement_logging();
        let mut anchor = SqliteConnection::connect_with(&options).await?;
        for statement in SCHEMA {
            sqlx::query(statement).execute(&mut anchor).await?;
        }
        Ok(Self { options, _anchor: anchor })
    }

    pub async fn connect(&self) -> Result<Connection, sqlx::Error> {
        Ok(Connection(SqliteConnection::connect_with(&self.options).await?))
    }
}

pub struct Connection(SqliteConnection);

impl Connection {
    /// Writes the order and, where the outbox has room, its message for other services; gives the order's number.
    pub async fn insert_order(
        &mut self,
        order_id: &str,
        placed_at_ms: i64,
        keep_outbox: bool,
    ) -> Result<i64, sqlx::Error> {
        let done = sqlx::query(INSERT_ORDER).bind(order_id).bind(placed_at_ms).execute(&mut self.0).await?;
        let number = done.last_insert_rowid();
        if keep_outbox {
            sqlx::query(INSERT_OUTBOX).bind(number).execute(&mut self.0).await?;
        }
        if number % ARCHIVE_LOT == 0 {
            sqlx::query(PURGE_ORDERS).bind(number - ARCHIVE_LOT).execute(&mut self.0).await?;
        }
        Ok(number)
    }

    /// What the relay does once it has sent the messages on.
    pub async fn empty_outbox(&mut self) -> Result<(), sqlx::Error> {
        sqlx::query(EMPTY_OUTBOX).execute(&mut self.0).await?;
        Ok(())
    }

    pub async fn reserve_stock(&mut self, article: u8) -> Result<(), sqlx::Error> {
        sqlx::query(RESERVE_STOCK).bind(i64::from(article % ARTICLES)).execute(&mut self.0).await?;
        Ok(())
    }
}
