//! The bounded connection pool that everything in the service's story hangs on.
//!
//! Waiting is first come, first served, for an order's first connection and for its second alike.
//! The rule that is not obvious: where an order takes a second connection while it holds the first,
//! the pool is safe only from `callers × (connections each − 1) + 1` connections on. Below that all
//! connections can be held by orders that wait for another one, and nobody moves until somebody
//! gives up. So 10 connections hold 5 or 8 callers (6 and 9 are needed), 5 connections hold 5
//! callers nearly always and 8 callers only while few come at once.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::database::{Connection, Database};
use super::time::Time;

#[derive(Clone)]
pub struct Pool {
    size: u32,
    permits: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Pool {
    /// Opens all `size` connections at once, so that no order pays for it.
    pub async fn open(database: &Database, size: u32) -> Result<Self, sqlx::Error> {
        let mut connections = Vec::with_capacity(size as usize);
        for _ in 0..size {
            connections.push(database.connect().await?);
        }
        Ok(Self {
            size,
            permits: Arc::new(Semaphore::new(size as usize)),
            idle: Arc::new(Mutex::new(connections)),
        })
    }

    pub fn size(&self) -> u32 {
        self.size
    }

    /// A connection, or `None` where none came free until `deadline`.
    pub async fn acquire(&self, time: &Time, deadline: jiff::Timestamp) -> Option<Lease> {
        let limit = std::time::Duration::try_from(deadline.duration_since(time.now())).unwrap_or_default();
        let permit = time.within(limit, Arc::clone(&self.permits).acquire_owned()).await?.ok()?;
        let connection = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
        Some(Lease { connection: Some(connection), idle: Arc::clone(&self.idle), _permit: permit })
    }
}

/// A connection on loan; it goes back when this is dropped.
pub struct Lease {
    connection: Option<Connection>,
    idle: Arc<Mutex<Vec<Connection>>>,
    /// Freed after the connection is back, because fields are dropped after `drop`.
    _permit: OwnedSemaphorePermit,
}

impl Deref for Lease {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection.as_ref().expect("a lease holds its connection until it is dropped")
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut Connection {
        self.connection.as_mut().expect("a lease holds its connection until it is dropped")
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
    }
}
