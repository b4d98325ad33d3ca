//! A process of its own, as far as a test can have one: a runtime that can be killed in the middle of whatever it is at.
//!
//! The rule that is not obvious: killing ends every task where it waits, as `kill -9` does, and returns once the last
//! of them has let go of the database's lock.

use std::future::Future;

use tokio::runtime::{Builder, Runtime};

pub struct Process(Option<Runtime>);

impl Process {
    pub fn begin() -> Self {
        // One thread: what was begun first goes on first.
        Self(Some(Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()))
    }

    /// Runs this within the process to its end.
    pub async fn run<T: Send + 'static>(&self, what: impl Future<Output = T> + Send + 'static) -> T {
        self.0.as_ref().unwrap().spawn(what).await.unwrap()
    }

    /// Runs this within the process for as long as it lives.
    pub fn keep_running(&self, what: impl Future<Output = ()> + Send + 'static) {
        drop(self.0.as_ref().unwrap().spawn(what));
    }

    pub async fn kill(mut self) {
        let runtime = self.0.take().unwrap();
        tokio::task::spawn_blocking(move || drop(runtime)).await.unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // Within another runtime nobody may wait for this one.
            runtime.shutdown_background();
        }
    }
}
