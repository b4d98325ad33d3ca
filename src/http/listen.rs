//! The listener: how many connections, how much of a request's head, and for how long it is waited for.
//!
//! The rule that is not obvious: whoever sends a head byte by byte is cut off by time, and whoever opens connections
//! and sends nothing, or reads nothing of his answer, by the same. The number of connections is bounded below what the system lets a process open.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tower::Service as _;

/// Most systems let a process open 1,024 files; the database, Slack and AWS need some of them.
const CONNECTIONS: usize = 768;
/// A head that is not whole by then is given up; so is a connection on which nothing more is asked, or of whose answer
/// nothing is taken.
const PATIENCE: Duration = Duration::from_secs(30);
/// The request line and all headers together. Slack's and SNS's have below 2 kB.
const HEAD_MAX: usize = 32 * 1024;
const HEADERS_MAX: usize = 64;
/// After a failure to accept, mostly for want of files: at once would be a busy loop.
const PAUSE: Duration = Duration::from_millis(100);

/// How many, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub connections: usize,
    pub patience: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: CONNECTIONS, patience: PATIENCE }
    }
}

/// Connections that are open.
#[derive(Debug, Clone, Default)]
pub struct Connections(Arc<AtomicUsize>);

impl Connections {
    pub fn open(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Serves until it is told to stop; requests that have begun are answered.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    connections: Connections,
    stop: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(limits.connections));
    let graceful = GracefulShutdown::new();
    let mut services = router.into_make_service_with_connect_info::<SocketAddr>();
    let mut builder = Builder::new(TokioExecutor::new()).http1_only();
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.patience)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_MAX);
    loop {
        let place = tokio::select! {
            place = places.clone().acquire_owned() => place,
            () = stop.cancelled() => break,
        };
        let Ok(place) = place else { break };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be accepted");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let service = match services.call(address).await {
            Ok(service) => TowerToHyperService::new(service),
            Err(never) => match never {},
        };
        let mut stream = TimeoutStream::new(stream);
        // Reading is timed by hyper, but while an answer cannot be written it reads nothing.
        stream.set_write_timeout(Some(limits.patience));
        let stream = TokioIo::new(Box::pin(stream));
        let connection = builder.serve_connection_with_upgrades(stream, service).into_owned();
        let connection = graceful.watch(connection);
        let open = connections.clone();
        open.0.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                // A peer that went away, or one that sent no HTTP: nothing that anybody here can mend.
                tracing::debug!(%error, "a connection ended early");
            }
            open.0.fetch_sub(1, Ordering::Relaxed);
            drop(place);
        });
    }
    drop(listener);
    graceful.shutdown().await;
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;

    async fn answer(address: SocketAddr, head: &[u8]) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(head).await.unwrap();
        let mut answer = Vec::new();
        // A reset is an end as well.
        drop(stream.read_to_end(&mut answer).await);
        String::from_utf8_lossy(&answer).into_owned()
    }

    #[tokio::test]
    async fn slow_heads_and_large_heads_are_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, open) = (CancellationToken::new(), Connections::default());
        let router = Router::new().route("/", get(|| async { "here" }));
        let limits = Limits { patience: Duration::from_millis(200), ..Limits::default() };
        let served = tokio::spawn(serve(listener, router, limits, open.clone(), stop.clone()));
        let whole = answer(address, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
        assert!(whole.starts_with("HTTP/1.1 200") && whole.ends_with("here"), "{whole}");
        let large = format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(2 * HEAD_MAX));
        assert!(answer(address, large.as_bytes()).await.starts_with("HTTP/1.1 431"));
        let many = format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "X: y\r\n".repeat(2 * HEADERS_MAX));
        assert!(answer(address, many.as_bytes()).await.starts_with("HTTP/1.1 431"));
        let mut slow = TcpStream::connect(address).await.unwrap();
        slow.write_all(b"GET / HTTP/1.1\r\nHost:").await.unwrap();
        let mut rest = Vec::new();
        drop(slow.read_to_end(&mut rest).await);
        assert!(!String::from_utf8_lossy(&rest).contains("200"), "a head that never ends is given up");
        stop.cancel();
        served.await.unwrap();
        assert_eq!(open.open(), 0, "no connection outlives the listener");
    }

    #[tokio::test]
    async fn who_takes_nothing_of_his_answer_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, open) = (CancellationToken::new(), Connections::default());
        // More than the system keeps for somebody who does not read.
        let router = Router::new().route("/", get(|| async { vec![b'x'; 64 * 1024 * 1024] }));
        let limits = Limits { patience: Duration::from_millis(200), ..Limits::default() };
        let served = tokio::spawn(serve(listener, router, limits, open.clone(), stop.clone()));
        let mut silent = TcpStream::connect(address).await.unwrap();
        silent.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        for is_open in [true, false] {
            while (open.open() > 0) != is_open {
                tokio::task::yield_now().await;
            }
        }
        drop(silent);
        stop.cancel();
        served.await.unwrap();
    }
}
