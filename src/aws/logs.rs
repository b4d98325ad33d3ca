//! Log lines from CloudWatch: by Insights queries over bounded windows, else by `FilterLogEvents`.
//!
//! Rule: a query is stopped at the deadline, what was read until then is kept, and whatever is missing
//! is said with its numbers. Lines keep their text as the application wrote it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_cloudwatchlogs::types::{QueryStatistics, QueryStatus, ResultField};
use jiff::Timestamp;
use tokio::time::{Instant, sleep};

use super::clients::Clients;
use super::errors::{ReadError, within};
use super::ledger;
use crate::domain::evidence::{Gap, LogEvent};

/// What is read before an alert: hours of ordinary life to compare with.
const WINDOW: Duration = Duration::from_hours(3);
/// Lines arrive seconds late, and clocks differ: the end is padded.
const PAD: Duration = Duration::from_mins(1);
/// Log groups of one query.
const GROUPS: usize = 50;
/// Windows that are queried at once to begin with: a busy service's minutes fit into one query each.
const SLICES: i64 = 8;
/// A window with more lines than a query returns is cut and asked once more. Each round takes as long
/// as a query does, and somebody waits.
const ROUNDS: usize = 2;
/// Queries of one round: AWS runs a hundred at once for the whole account.
const QUERIES: usize = 24;
/// Rows that one query returns at most.
const ROWS: i32 = 10_000;
/// Lines that are read at most: what an investigation can look through in a second or two.
const LINES: usize = 100_000;
/// Polling begins often and slows down: most queries end within two or three seconds.
const FIRST_POLL: Duration = Duration::from_millis(250);
const LAST_POLL: Duration = Duration::from_secs(1);
/// The share of the time that Insights gets before the fallback begins.
const INSIGHTS_SHARE: f64 = 0.65;
/// `FilterLogEvents` reads backwards from now in windows of this length.
const FILTER_WINDOW: Duration = Duration::from_mins(15);
/// Pages of one such window; one holds 1 MB.
const FILTER_PAGES: usize = 20;
/// Stopping a query is a courtesy with a time limit of its own.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// Lambda writes `START` and `END` around every invocation, which is half of many logs and says nothing
/// that the stream's name and `REPORT` do not.
const QUERY: &str = "fields @timestamp, @ingestionTime, @log, @logStream, @message \
    | filter @message not like /^(START|END) RequestId: / | sort @timestamp asc";

/// What was read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LinesRead {
    /// In order of time; `None` where no group could be read.
    pub events: Option<Vec<LogEvent>>,
    pub gaps: Vec<Gap>,
    /// What Insights charges for.
    pub bytes_scanned: u64,
}

/// Reads the lines of some log groups from three hours before `at` until `now`.
pub async fn read(
    clients: &Clients,
    groups: &[String],
    at: Timestamp,
    now: Timestamp,
    deadline: Instant,
) -> LinesRead {
    if groups.is_empty() {
        let gap = Gap::new("logs", "no log group of the service is known");
        return LinesRead { gaps: vec![gap], ..LinesRead::default() };
    }
    let (groups, beyond) = groups.split_at(groups.len().min(GROUPS));
    let (start, end) = (at - WINDOW, now.min(at + WINDOW) + PAD);
    let time = deadline.saturating_duration_since(Instant::now());
    let insights_until = Instant::now() + time.mul_f64(INSIGHTS_SHARE);
    let mut read = match insights(clients, groups, start, end, insights_until).await {
        Ok(read) => read,
        Err((partial, error)) => {
            let filtered = filter(clients, groups, start, end, deadline).await;
            let mut kept = more_of(partial, filtered);
            kept.gaps.insert(0, Gap::new("logs", format!("Logs Insights: {error}")));
            kept
        }
    };
    if !beyond.is_empty() {
        let reason = format!("{} log groups beyond the first {GROUPS} were not read", beyond.len());
        read.gaps.push(Gap::new("logs", reason));
    }
    read.gaps.dedup();
    finish(read, now)
}

/// The reading with more lines. Both were of the same window, so they are never mixed.
fn more_of(queried: LinesRead, filtered: LinesRead) -> LinesRead {
    let lines = |read: &LinesRead| read.events.as_ref().map(Vec::len);
    if lines(&filtered) >= lines(&queried) {
        LinesRead { bytes_scanned: queried.bytes_scanned, ..filtered }
    } else {
        LinesRead { gaps: queried.gaps.into_iter().chain(filtered.gaps).collect(), ..queried }
    }
}

fn finish(mut read: LinesRead, now: Timestamp) -> LinesRead {
    if let Some(events) = &mut read.events {
        // Nothing after `now` is known, whatever a service's clock says.
        events.retain(|event| event.at <= now);
        events.sort_by_key(|event| event.at);
    }
    read
}

/// One query's window, both ends in epoch seconds and inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slice {
    start: i64,
    end: i64,
}

impl Slice {
    /// Cuts the slice into at most `parts` without gaps and overlaps.
    fn cut(self, parts: i64) -> Vec<Slice> {
        let length = self.end - self.start + 1;
        let parts = parts.clamp(1, length.max(1));
        let edge = |part: i64| self.start + length * part / parts;
        (0..parts).map(|part| Slice { start: edge(part), end: edge(part + 1) - 1 }).collect()
    }
}

struct Answer {
    events: Vec<LogEvent>,
    matched: u64,
    bytes: u64,
}

impl Answer {
    fn is_whole(&self) -> bool {
        self.matched <= self.events.len() as u64
    }
}

/// Queries the window in slices, all at once; those that hold more lines than a query returns are cut
/// and asked again. With an error, what was read nonetheless.
async fn insights(
    clients: &Clients,
    groups: &[String],
    start: Timestamp,
    end: Timestamp,
    until: Instant,
) -> Result<LinesRead, (LinesRead, ReadError)> {
    let mut asked = Slice { start: start.as_second(), end: end.as_second() }.cut(SLICES);
    let mut read = LinesRead::default();
    let (mut trouble, mut missing) = (None, 0);
    for round in 1..=ROUNDS {
        let limit = i32::try_from(LINES / asked.len().max(1)).unwrap_or(i32::MAX);
        let queries = asked.iter().map(|slice| query(clients, groups, *slice, limit, until));
        let answers = futures::future::join_all(queries).await;
        let mut full = Vec::new();
        for (slice, answer) in asked.iter().zip(answers) {
            match answer {
                Ok(answer) if !answer.is_whole() && round < ROUNDS => full.push((*slice, answer)),
                Ok(answer) => read.take(answer, &mut missing),
                Err(error) => trouble = Some(error),
            }
        }
        asked = cut_full(&full);
        if Instant::now() >= until {
            asked.clear();
        }
        if asked.is_empty() {
            for (_, answer) in full {
                read.take(answer, &mut missing);
            }
            break;
        }
        read.bytes_scanned += full.iter().map(|(_, answer)| answer.bytes).sum::<u64>();
    }
    if missing > 0 {
        let kept = read.events.as_ref().map_or(0, Vec::len) as u64;
        let reason =
            format!("{kept} of {} lines were read, the first of each window of time", kept + missing);
        read.gaps.push(Gap::new("logs", reason));
    }
    match trouble {
        Some(error) => Err((read, error)),
        None => Ok(read),
    }
}

impl LinesRead {
    fn take(&mut self, answer: Answer, missing: &mut u64) {
        *missing += answer.matched.saturating_sub(answer.events.len() as u64);
        self.bytes_scanned += answer.bytes;
        self.events.get_or_insert_default().extend(answer.events);
    }
}

/// Cuts slices that were full into parts that should not be: half more parts than needed, since lines
/// are not spread evenly, and no more than a round has queries.
fn cut_full(full: &[(Slice, Answer)]) -> Vec<Slice> {
    let needed = |answer: &Answer| (answer.matched * 3 / 2).div_ceil((answer.events.len() as u64).max(1));
    let all: u64 = full.iter().map(|(_, answer)| needed(answer)).sum();
    let share = (QUERIES as f64 / all.max(1) as f64).min(1.0);
    let parts = full.iter().flat_map(|(slice, answer)| slice.cut((needed(answer) as f64 * share) as i64));
    let parts: Vec<Slice> = parts.collect();
    // Asking the same again would bring the same.
    if parts.len() > full.len() { parts } else { Vec::new() }
}

/// Starts one query, waits for its end, and stops it at the deadline.
async fn query(
    clients: &Clients,
    groups: &[String],
    slice: Slice,
    limit: i32,
    until: Instant,
) -> Result<Answer, ReadError> {
    const ACTION: &str = "logs:StartQuery";
    let call = clients
        .logs
        .start_query()
        .set_log_group_names(Some(groups.to_vec()))
        .start_time(slice.start)
        .end_time(slice.end)
        .query_string(QUERY)
        .limit(limit.min(ROWS));
    let started = within(until, ACTION, call.send()).await?;
    let id = started.query_id().unwrap_or_default().to_owned();
    let stopping = StopOnDrop { clients, id: Some(id.clone()) };
    let answer = poll(clients, &id, until).await;
    // An ended query needs no stopping; one that nobody waits for any more does.
    if !matches!(answer, Err(ReadError::TimedOut { .. })) {
        stopping.ended();
    }
    answer
}

/// Stops a query that nobody waits for any more, however the waiting ended.
struct StopOnDrop<'a> {
    clients: &'a Clients,
    id: Option<String>,
}

impl StopOnDrop<'_> {
    fn ended(mut self) {
        self.id = None;
    }
}

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id.take() {
            let call = self.clients.logs.stop_query().query_id(id);
            tokio::spawn(async move {
                if let Err(error) = within(Instant::now() + STOP_TIMEOUT, "logs:StopQuery", call.send()).await
                {
                    tracing::warn!(%error, "an Insights query could not be stopped");
                }
            });
        }
    }
}

async fn poll(clients: &Clients, id: &str, until: Instant) -> Result<Answer, ReadError> {
    const ACTION: &str = "logs:GetQueryResults";
    let mut wait = FIRST_POLL;
    loop {
        if Instant::now() + wait > until {
            return Err(ReadError::timed_out(ACTION));
        }
        sleep(wait).await;
        wait = (wait * 3 / 2).min(LAST_POLL);
        // Few results are taken in at once: one holds ten thousand rows, and the SDK builds them all.
        let Ok(permit) = tokio::time::timeout_at(until, clients.results.acquire()).await else {
            return Err(ReadError::timed_out(ACTION));
        };
        let answer = within(until, ACTION, clients.logs.get_query_results().query_id(id).send()).await?;
        match answer.status() {
            Some(QueryStatus::Complete) => {
                let statistics = answer.statistics();
                let number = |value: Option<f64>| value.unwrap_or_default().max(0.0) as u64;
                let bytes = number(statistics.map(QueryStatistics::bytes_scanned));
                ledger::note(|usage| usage.bytes_scanned += bytes);
                let mut names = Names::default();
                return Ok(Answer {
                    events: answer.results().iter().filter_map(|row| event_of(row, &mut names)).collect(),
                    matched: number(statistics.map(QueryStatistics::records_matched)),
                    bytes,
                });
            }
            Some(status @ (QueryStatus::Failed | QueryStatus::Timeout | QueryStatus::Cancelled)) => {
                return Err(ReadError::Refused {
                    action: ACTION.to_owned(),
                    code: status.as_str().to_owned(),
                    message: "the query ended without a result".to_owned(),
                });
            }
            _ => drop(permit),
        }
    }
}

/// Names that many lines share.
#[derive(Default)]
struct Names(HashMap<String, Arc<str>>);

impl Names {
    fn share(&mut self, name: &str) -> Arc<str> {
        match self.0.get(name) {
            Some(shared) => Arc::clone(shared),
            None => Arc::clone(self.0.entry(name.to_owned()).or_insert_with(|| Arc::from(name))),
        }
    }
}

/// A row of the query; `None` without a time.
fn event_of(row: &[ResultField], names: &mut Names) -> Option<LogEvent> {
    let (mut at, mut ingested_at, mut group, mut stream, mut message) = (None, None, "", "", "");
    for cell in row {
        let value = cell.value().unwrap_or_default();
        match cell.field().unwrap_or_default() {
            "@timestamp" => at = insights_time(value),
            "@ingestionTime" => ingested_at = insights_time(value),
            // `123456789012:/aws/lambda/checkout`
            "@log" => group = value.split_once(':').map_or(value, |(_, group)| group),
            "@logStream" => stream = value,
            "@message" => message = value,
            _ => {}
        }
    }
    Some(LogEvent {
        at: at?,
        ingested_at,
        group: names.share(group),
        stream: names.share(stream),
        event_id: String::new(),
        message: message.to_owned(),
    })
}

/// `2026-02-06 12:15:00.123`, which is UTC, or epoch milliseconds, as some fields have them.
fn insights_time(text: &str) -> Option<Timestamp> {
    if let Ok(milliseconds) = text.parse::<i64>() {
        return Timestamp::from_millisecond(milliseconds).ok();
    }
    let civil: jiff::civil::DateTime = text.parse().ok()?;
    civil.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

/// Reads backwards from the end, window by window, until everything is read or the time is up.
async fn filter(
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
        if let Some(trouble) = trouble {
            read.gaps.push(Gap::new("logs", format!("{group}: {trouble}")));
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
) -> (Option<Vec<LogEvent>>, Option<String>) {
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
                    return (
                        events,
                        Some(format!("more than {FILTER_PAGES} pages since {since} UTC were not read")),
                    );
                }
            }
            Err(error) => {
                let trouble = match &events {
                    None => error.to_string(),
                    Some(_) => format!("{error}; only lines since {} UTC are known", until.strftime("%H:%M")),
                };
                return (events, Some(trouble));
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
        if !clients.filters.turn(deadline).await {
            return Err(ReadError::timed_out(ACTION));
        }
        let call = clients
            .logs
            .filter_log_events()
            .log_group_name(group)
            .start_time(from.as_millisecond())
            .end_time(until.as_millisecond() - 1)
            .set_next_token(token);
        let page = within(deadline, ACTION, call.send()).await?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_cover_a_window_without_gaps_and_overlaps() {
        let whole = Slice { start: 100, end: 199 };
        let parts = whole.cut(3);
        assert_eq!(parts.first().map(|part| part.start), Some(100));
        assert_eq!(parts.last().map(|part| part.end), Some(199));
        assert!(parts.windows(2).all(|pair| pair[0].end + 1 == pair[1].start));
        assert_eq!(Slice { start: 5, end: 5 }.cut(8), [Slice { start: 5, end: 5 }]);
    }

    #[test]
    fn times_of_insights_are_utc() {
        let at = insights_time("2026-02-06 12:15:00.123").unwrap();
        assert_eq!(at.to_string(), "2026-02-06T12:15:00.123Z");
        assert_eq!(insights_time("1770380100123"), Some(at));
        assert_eq!(insights_time("soon"), None);
    }
}
