//! Logs Insights: queries over parts of a window, all at once, and once more where there was more than a query returns.
//!
//! Rule: a query is stopped at the deadline and after any error. Where there are too many lines, the ordinary ones
//! are thinned alike in every minute, and those that speak of errors are all read: so no comparison between
//! minutes or versions is changed. What is missing is said with its numbers.

use std::time::Duration;

use aws_sdk_cloudwatchlogs::types::{QueryStatistics, QueryStatus, ResultField};
use jiff::Timestamp;
use tokio::time::{Instant, sleep};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{LinesRead, Names};
use crate::aws::clients::Clients;
use crate::aws::errors::{ReadError, within};
use crate::aws::ledger;
use crate::domain::evidence::{Gap, LogEvent};

/// Windows that are queried at once to begin with. As many results are taken in at once, apart from the first.
const SLICES: i64 = 6;
/// Queries of the second round, in which windows with more lines than a query returns are cut or thinned. A round takes
/// as long as a query does, and somebody waits.
const QUERIES: usize = 24;
/// A window with up to so many times the lines that a query returns is cut into parts; one with more is thinned.
const CUT: u64 = 3;
/// Rows that one query returns at most.
const ROWS: i32 = 10_000;
/// Lines that are read at most: what an investigation can look through in a second or two.
const LINES: usize = 100_000;
/// Polling begins often and slows down: most queries end within two or three seconds.
const FIRST_POLL: Duration = Duration::from_millis(250);
const LAST_POLL: Duration = Duration::from_millis(500);
/// Stopping a query is a courtesy with a time limit of its own.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);
/// Lambda writes `START` and `END` around every invocation, which is half of many logs and says nothing
/// that the stream's name and `REPORT` do not.
const FIELDS: &str = "fields @timestamp, @ingestionTime, @log, @logStream, @message \
    | filter @message not like /^(START|END) RequestId: /";
const IN_ORDER: &str = "sort @timestamp asc";
/// How lines speak of errors, whatever writes them; and Lambda's `REPORT`, which is the only one to tell of a timeout.
const ERRORS: &str = "/(?i)(error|exception|fatal|panic|critical|fail|time(d |-)?out|refused|denied|traceback|REPORT RequestId)/";

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

/// Which lines of a window are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lines {
    All,
    /// Those that speak of errors.
    Errors,
    /// One in so many of the others.
    Ordinary(u64),
}

impl Lines {
    fn query(self) -> String {
        match self {
            Self::All => format!("{FIELDS} | {IN_ORDER}"),
            Self::Errors => format!("{FIELDS} | filter @message like {ERRORS} | {IN_ORDER}"),
            Self::Ordinary(part) => format!(
                "{FIELDS} | filter @message not like {ERRORS} | filter toMillis(@timestamp) % {part} = 0 | {IN_ORDER}"
            ),
        }
    }
}

/// One query to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ask {
    slice: Slice,
    lines: Lines,
    limit: i32,
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

/// Queries the window in slices, all at once; those that hold more lines than a query returns are asked for once
/// more, in parts or thinned. With an error, what was read nonetheless.
pub(super) async fn read(
    clients: &Clients,
    groups: &[String],
    start: Timestamp,
    end: Timestamp,
    until: Instant,
) -> Result<LinesRead, (LinesRead, ReadError)> {
    // Where many incidents are looked at, each takes less of what the account has.
    let share = i64::try_from(clients.limits.queries.available_permits()).unwrap_or_default() / SLICES;
    let slices = Slice { start: start.as_second(), end: end.as_second() }.cut(SLICES.min(share).max(1));
    let limit = limit_of(slices.len());
    let asks: Vec<Ask> = slices.into_iter().map(|slice| Ask { slice, lines: Lines::All, limit }).collect();
    let mut read = LinesRead::default();
    let (answers, mut trouble) = ask_all(clients, groups, &asks, until).await;
    let (mut full, mut missing) = (Vec::new(), 0);
    let mut second = Vec::new();
    for (ask, answer) in answers {
        if answer.is_whole() { read.take(answer) } else { full.push((ask.slice, answer)) }
    }
    let again = second_round(&full);
    if trouble.is_none() && !full.is_empty() && Instant::now() < until {
        let asks: Vec<Ask> = again.iter().flat_map(|again| again.asks.iter().copied()).collect();
        let (answers, failed) = ask_all(clients, groups, &asks, until).await;
        // Where the second round fails, the first one's answer stands.
        if failed.is_none() {
            second = answers;
        }
        trouble = failed;
    }
    if second.is_empty() {
        for (_, answer) in full {
            missing += answer.matched - answer.events.len() as u64;
            read.take(answer);
        }
    } else {
        for ((_, mut answer), again) in full.into_iter().zip(again) {
            answer.events.retain(|event| event.at.as_second() < again.from);
            read.take(answer);
        }
        read.gaps.extend(left_out(&second).map(|reason| Gap::new("logs", reason)));
        for (_, answer) in second {
            missing += answer.matched.saturating_sub(answer.events.len() as u64);
            read.take(answer);
        }
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

/// What thinning left out, in words.
fn left_out(answers: &[(Ask, Answer)]) -> Option<String> {
    let thinned = answers.iter().filter_map(|(ask, answer)| match ask.lines {
        Lines::Ordinary(part) => Some((part, answer.matched * (part - 1))),
        _ => None,
    });
    let (part, lines) = thinned.reduce(|one, other| (one.0.max(other.0), one.1 + other.1))?;
    Some(format!(
        "of busy minutes one in up to {part} ordinary lines was read, and all that speak of errors: \
         about {lines} lines were left out"
    ))
}

/// All of them at once, as far as they may run; the answers, and the first error.
async fn ask_all(
    clients: &Clients,
    groups: &[String],
    asks: &[Ask],
    until: Instant,
) -> (Vec<(Ask, Answer)>, Option<ReadError>) {
    // They take about as long as each other: until the first has ended, nobody asks how the others are. Polling them
    // all would be a score of calls a second.
    let first_ended = CancellationToken::new();
    let queries = asks.iter().enumerate().map(|(index, ask)| {
        let turn = if index == 0 {
            Turn::First(first_ended.clone().drop_guard())
        } else {
            Turn::After(&first_ended)
        };
        query(clients, groups, *ask, turn, until)
    });
    let (mut answers, mut trouble) = (Vec::new(), None);
    for (ask, answer) in asks.iter().zip(futures::future::join_all(queries).await) {
        match answer {
            Ok(answer) => answers.push((*ask, answer)),
            Err(error) => trouble = trouble.or(Some(error)),
        }
    }
    (answers, trouble)
}

/// Each query's share of the lines that are read at most.
fn limit_of(queries: usize) -> i32 {
    i32::try_from(LINES / queries.max(1)).unwrap_or(ROWS).min(ROWS)
}

impl LinesRead {
    fn take(&mut self, answer: Answer) {
        self.bytes_scanned += answer.bytes;
        self.events.get_or_insert_default().extend(answer.events);
    }
}

/// What is asked for of a window that was full.
#[derive(Debug, PartialEq, Eq)]
struct Again {
    /// What the first answer holds before this second stays.
    from: i64,
    asks: Vec<Ask>,
}

/// What is asked for of windows that were full. The first answer's lines are the first of the window, so that of a
/// window with a little more than a query returns the rest is asked for, in parts; any other one is thinned.
fn second_round(full: &[(Slice, Answer)]) -> Vec<Again> {
    let shown = |answer: &Answer| (answer.events.len() as u64).max(1);
    // Half more parts than needed, since lines are not spread evenly.
    let parts = |answer: &Answer| {
        let rest = answer.matched - answer.events.len() as u64;
        (answer.matched <= CUT * shown(answer)).then(|| (rest * 3 / 2).div_ceil(shown(answer)))
    };
    let needed: u64 = full.iter().map(|(_, answer)| parts(answer).unwrap_or(2)).sum();
    // Where not all fit into a round, all are thinned; where there is room, there are more parts.
    let fits = needed <= QUERIES as u64;
    let again = full.iter().map(|(slice, answer)| match parts(answer).filter(|_| fits) {
        Some(parts) => {
            let last = answer.events.last().map_or(slice.start, |event| event.at.as_second());
            let rest = Slice { start: last.clamp(slice.start, slice.end), end: slice.end };
            let slices = rest.cut((parts * QUERIES as u64 / needed.max(1)) as i64);
            let all = |slice| Ask { slice, lines: Lines::All, limit: ROWS };
            Again { from: rest.start, asks: slices.into_iter().map(all).collect() }
        }
        None => {
            // Half of the room is for errors.
            let part = prime_from((answer.matched * 5 / 2).div_ceil(shown(answer)));
            let thinned = |lines| Ask { slice: *slice, lines, limit: ROWS };
            Again { from: slice.start, asks: [Lines::Errors, Lines::Ordinary(part)].map(thinned).into() }
        }
    });
    let mut again: Vec<Again> = again.collect();
    let limit = limit_of(again.iter().map(|again| again.asks.len()).sum());
    for ask in again.iter_mut().flat_map(|again| &mut again.asks) {
        ask.limit = limit;
    }
    again
}

/// The first prime from a number on, other than two and five: applications that write at whole seconds, or every so
/// many milliseconds, are thinned by it as much as others.
fn prime_from(least: u64) -> u64 {
    let mut number = least.max(3);
    while number == 5 || (2..=number.isqrt()).any(|part| number.is_multiple_of(part)) {
        number += 1;
    }
    number
}

/// Whether a query is the first of a round, which is polled, or another one, which waits for it.
enum Turn<'a> {
    First(#[expect(dead_code, reason = "it tells the others when it is dropped")] DropGuard),
    After(&'a CancellationToken),
}

/// Starts one query when it may run, waits for its end, and stops it at the deadline and after an error.
async fn query(
    clients: &Clients,
    groups: &[String],
    ask: Ask,
    turn: Turn<'_>,
    until: Instant,
) -> Result<Answer, ReadError> {
    const ACTION: &str = "logs:StartQuery";
    let Ok(running) = tokio::time::timeout_at(until, clients.limits.queries.acquire()).await else {
        return Err(ReadError::timed_out(ACTION));
    };
    let call = clients
        .logs
        .start_query()
        .set_log_group_names(Some(groups.to_vec()))
        .start_time(ask.slice.start)
        .end_time(ask.slice.end)
        .query_string(ask.lines.query())
        .limit(ask.limit);
    let started = clients.within(until, ACTION, call.send()).await?;
    let id = started.query_id().unwrap_or_default().to_owned();
    let stopping = StopOnDrop { clients, id: Some(id.clone()) };
    let wait = match turn {
        Turn::First(_) => FIRST_POLL,
        Turn::After(first) => {
            // Where its time is up, the poll says so.
            let _ = tokio::time::timeout_at(until, first.cancelled()).await;
            Duration::ZERO
        }
    };
    let ended = poll(clients, &id, wait, until).await?;
    stopping.ended();
    drop(running);
    ended
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
        const ACTION: &str = "logs:StopQuery";
        if let Some(id) = self.id.take() {
            // Charged here, where the ledger is: what is spawned belongs to nobody.
            ledger::note(|usage| *usage.calls.entry(ACTION.to_owned()).or_default() += 1);
            let call = self.clients.logs.stop_query().query_id(id);
            tokio::spawn(async move {
                if let Err(error) = within(Instant::now() + STOP_TIMEOUT, ACTION, call.send()).await {
                    tracing::warn!(%error, "an Insights query could not be stopped");
                }
            });
        }
    }
}

/// Waits until the query has ended, with its result or without one.
///
/// # Errors
/// Where it is not known that it has ended.
async fn poll(
    clients: &Clients,
    id: &str,
    first: Duration,
    until: Instant,
) -> Result<Result<Answer, ReadError>, ReadError> {
    const ACTION: &str = "logs:GetQueryResults";
    let mut wait = first;
    loop {
        if Instant::now() + wait > until {
            return Err(ReadError::timed_out(ACTION));
        }
        sleep(wait).await;
        wait = (wait * 3 / 2).clamp(FIRST_POLL, LAST_POLL);
        // Few results are taken in at once: one holds ten thousand rows, and the SDK builds them all.
        let Ok(permit) = tokio::time::timeout_at(until, clients.results.acquire()).await else {
            return Err(ReadError::timed_out(ACTION));
        };
        let answer =
            clients.within(until, ACTION, clients.logs.get_query_results().query_id(id).send()).await?;
        match answer.status() {
            Some(QueryStatus::Complete) => {
                let statistics = answer.statistics();
                let number = |value: Option<f64>| value.unwrap_or_default().max(0.0) as u64;
                let bytes = number(statistics.map(QueryStatistics::bytes_scanned));
                ledger::note(|usage| usage.bytes_scanned += bytes);
                let mut names = Names::default();
                return Ok(Ok(Answer {
                    events: answer.results().iter().filter_map(|row| event_of(row, &mut names)).collect(),
                    matched: number(statistics.map(QueryStatistics::records_matched)),
                    bytes,
                }));
            }
            Some(status @ (QueryStatus::Failed | QueryStatus::Timeout | QueryStatus::Cancelled)) => {
                return Ok(Err(ReadError::Failing {
                    action: ACTION.to_owned(),
                    code: status.as_str().to_owned(),
                    message: "the query ended without a result".to_owned(),
                }));
            }
            _ => drop(permit),
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
    fn a_busy_window_is_thinned_by_a_number_that_no_clock_is_rounded_to() {
        let slice = Slice { start: 0, end: 1319 };
        let answer = |matched| {
            let event = |second| LogEvent {
                at: Timestamp::from_second(second).unwrap(),
                ingested_at: None,
                group: std::sync::Arc::from("g"),
                stream: std::sync::Arc::from("s"),
                event_id: String::new(),
                message: String::new(),
            };
            Answer { events: (0..100).map(event).collect(), matched, bytes: 0 }
        };
        // The first hundred lines are of the first hundred seconds: the rest is asked for.
        let cut = second_round(&[(slice, answer(250))]);
        assert_eq!((cut[0].from, cut[0].asks.len()), (99, 24));
        assert!(cut[0].asks.iter().all(|ask| ask.lines == Lines::All && ask.slice.start >= 99), "{cut:?}");
        let thinned = second_round(&[(slice, answer(4000))]);
        let lines: Vec<Lines> = thinned[0].asks.iter().map(|ask| ask.lines).collect();
        assert_eq!((thinned[0].from, lines), (0, vec![Lines::Errors, Lines::Ordinary(101)]));
        assert_eq!([2, 4, 8, 26, 100].map(prime_from), [3, 7, 11, 29, 101]);
        // Fifteen windows of three parts each are more than a round has.
        let many: Vec<(Slice, Answer)> = (0..15).map(|_| (slice, answer(250))).collect();
        let again = second_round(&many);
        assert!(again.iter().flat_map(|again| &again.asks).all(|ask| ask.lines != Lines::All));
    }

    #[test]
    fn times_of_insights_are_utc() {
        let at = insights_time("2026-02-06 12:15:00.123").unwrap();
        assert_eq!(at.to_string(), "2026-02-06T12:15:00.123Z");
        assert_eq!(insights_time("1770380100123"), Some(at));
        assert_eq!(insights_time("soon"), None);
    }
}
