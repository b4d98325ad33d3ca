//! `FilterLogEvents`: lines without Insights, and the newest ones before it shows them.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::{LinesRead, Names};
use crate::aws::clients::Clients;
use crate::aws::errors::ReadError;
use crate::domain::evidence::{Gap, GapKind, LogEvent};

/// `FilterLogEvents` reads backwards from now in windows of this length.
const FILTER_WINDOW: Duration = Duration::from_mins(15);
/// Pages of one such window; one holds 1 MB.
const FILTER_PAGES: usize = 20;

/// Reads backwards from the end, window by window, until everything is read or the time is up.
pub(super) async fn read(
    clients: &Clients,
    groups: &[String],
    start: Timestamp,
    end: Timestamp,
    deadline: Instant,
) -> LinesRead {
    let each = groups.iter().map(|group| filter_group(clients, group, start, end, deadline));
    let mut read = LinesRead::default();
    for (group, (events, trouble)) in groups.iter().zip(futures::future::join_all(each).await) {
        if let Some(events) = events {
            read.events.get_or_insert_default().extend(events);
        }
        if let Some((trouble, kind)) = trouble {
            read.gaps.push(Gap::of(kind, "logs", format!("{group}: {trouble}")));
        }
    }
    read
}

/// The lines of one group, and why not all of them.
async fn filter_group(
    clients: &Clients,
    group: &str,
    start: Timestamp,
    end: Timestamp,
    deadline: Instant,
) -> (Option<Vec<LogEvent>>, Option<(String, GapKind)>) {
    let mut names = Names::default();
    let mut events: Option<Vec<LogEvent>> = None;
    let mut until = end;
    while until > start {
        let from = start.max(until - FILTER_WINDOW);
        match filter_window(clients, group, from, until, deadline, &mut names).await {
            Ok((window, whole)) => {
                events.get_or_insert_default().extend(window);
                if !whole {
                    let since = from.strftime("%H:%M");
                    let trouble = format!("more than {FILTER_PAGES} pages since {since} UTC were not read");
                    return (events, Some((trouble, GapKind::Lasting)));
                }
            }
            Err(error) => {
                let trouble = match &events {
                    None => error.to_string(),
                    Some(_) => format!("{error}; only lines since {} UTC are known", until.strftime("%H:%M")),
                };
                return (events, Some((trouble, error.kind())));
            }
        }
        until = from;
    }
    (events, None)
}

/// `[from, until)` of one group, and whether that is all of it.
async fn filter_window(
    clients: &Clients,
    group: &str,
    from: Timestamp,
    until: Timestamp,
    deadline: Instant,
    names: &mut Names,
) -> Result<(Vec<LogEvent>, bool), ReadError> {
    const ACTION: &str = "logs:FilterLogEvents";
    let (mut events, mut token) = (Vec::new(), None);
    for _ in 0..FILTER_PAGES {
        let call = clients
            .logs
            .filter_log_events()
            .log_group_name(group)
            .start_time(from.as_millisecond())
            .end_time(until.as_millisecond() - 1)
            .set_next_token(token);
        let page = clients.within(deadline, ACTION, call.send()).await?;
        let own = page.events().iter().filter(|event| !is_platform_line(event.message().unwrap_or_default()));
        events.extend(own.filter_map(|event| {
            let time = |milliseconds: Option<i64>| Timestamp::from_millisecond(milliseconds?).ok();
            Some(LogEvent {
                at: time(event.timestamp())?,
                ingested_at: time(event.ingestion_time()),
                group: names.share(group),
                stream: names.share(event.log_stream_name().unwrap_or_default()),
                event_id: event.event_id().unwrap_or_default().to_owned(),
                message: event.message().unwrap_or_default().to_owned(),
            })
        }));
        // A page may be empty and still carry a token: only its absence is the end.
        token = page.next_token;
        if token.is_none() {
            return Ok((events, true));
        }
    }
    Ok((events, false))
}

/// As the query leaves them out.
fn is_platform_line(message: &str) -> bool {
    message.starts_with("START RequestId: ") || message.starts_with("END RequestId: ")
}
