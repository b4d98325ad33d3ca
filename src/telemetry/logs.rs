//! Structured logs to standard error.
//!
//! The rule that is not obvious: each line is masked as a whole right before it is written. Code that logs names
//! ids and figures only; what an error's own text brings along is masked here, wherever it came from.

use std::io::{self, Write};

use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use super::traces::{Traces, sending};
use crate::domain::redact;

/// Logs to standard error, as `RUST_LOG` says; JSON where nobody watches. A line of an investigation names its
/// incident, whichever part of the bot wrote it: the step's span does. Traces are sent where they are asked for.
pub fn log_to_stderr() -> Traces {
    use std::io::IsTerminal as _;
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,incident_commander=info"));
    let lines = fmt::layer().with_writer(Masked(io::stderr));
    let lines = if io::stderr().is_terminal() {
        lines.boxed()
    } else {
        lines.json().flatten_event(true).with_span_list(false).boxed()
    };
    let (sent, traces) = sending();
    // A second start in one process (tests) keeps the first one's subscriber.
    drop(tracing_subscriber::registry().with(lines.with_filter(filter)).with(sent).try_init());
    traces.tell();
    traces
}

/// Makes writers that mask secrets in what is written through them.
#[derive(Debug, Clone, Copy)]
pub struct Masked<M>(pub M);

impl<'a, M: MakeWriter<'a>> MakeWriter<'a> for Masked<M> {
    type Writer = MaskedWriter<M::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        MaskedWriter { inner: self.0.make_writer(), line: Vec::new() }
    }
}

/// Holds what is written until a line is whole, so that no secret passes in two halves.
#[derive(Debug)]
pub struct MaskedWriter<W: Write> {
    inner: W,
    line: Vec<u8>,
}

impl<W: Write> Write for MaskedWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.line.extend_from_slice(bytes);
        if bytes.ends_with(b"\n") {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let line = std::mem::take(&mut self.line);
        self.inner.write_all(redact::text(&String::from_utf8_lossy(&line)).as_bytes())?;
        self.inner.flush()
    }
}

impl<W: Write> Drop for MaskedWriter<W> {
    fn drop(&mut self) {
        // Nobody is left to tell that a log line could not be written.
        drop(self.flush());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::instrument::WithSubscriber as _;

    use super::*;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_line_names_its_incident_is_json_and_holds_no_secret() {
        let page = Page::default();
        let writer = page.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .with_writer(Masked(move || writer.clone()))
            .finish();
        let step = async {
            let span = tracing::error_span!("step", incident = "INC-7");
            let _inside = span.enter();
            let error = "POST failed: token=abc123def\nand \"forged\": xoxb-123456789012-abcdefABCDEF";
            tracing::warn!(error, "a step failed and is tried again");
        };
        step.with_subscriber(subscriber).await;
        let text = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["span"]["incident"], "INC-7");
        assert_eq!(line["error"], "POST failed: token=****\nand \"forged\": ****");
    }
}
