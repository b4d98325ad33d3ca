//! Log lines from CloudWatch: by Insights queries over bounded windows, else by `FilterLogEvents`.
//!
//! Rule: what was read until the deadline is kept, and whatever is missing is said with its numbers. Lines keep
//! their text as the application wrote it.

mod filter;
mod insights;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::clients::Clients;
use crate::domain::evidence::{Gap, LogEvent};

/// What is read before an alert: hours of ordinary life to compare with.
const WINDOW: Duration = Duration::from_hours(3);
/// Lines arrive seconds late, and clocks differ: the end is padded.
const PAD: Duration = Duration::from_mins(1);
/// Log groups of one query.
const GROUPS: usize = 50;
/// The share of the time that Insights gets before the fallback begins.
const INSIGHTS_SHARE: f64 = 0.65;
/// `FilterLogEvents` shows lines sooner than Insights does: so far back it is asked once more where the lines thin
/// out towards the end.
const LATE: Duration = Duration::from_mins(2);
/// Groups that are asked once more: five calls a second is all that there is.
const LATE_GROUPS: usize = 4;

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
    let mut read = match insights::read(clients, groups, start, end, insights_until).await {
        Ok(read) if thins_out(&read, now, end) => with_late(
            read,
            filter::read(clients, &groups[..groups.len().min(LATE_GROUPS)], now - LATE, end, deadline).await,
        ),
        Ok(read) => read,
        Err((partial, error)) => {
            let filtered = filter::read(clients, groups, start, end, deadline).await;
            let mut kept = more_of(partial, filtered);
            kept.gaps.insert(0, error.gap("logs", "Logs Insights"));
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

/// Whether the newest lines are still on their way: the last minute before `now` has less than half of what the
/// minutes before it had on average. A service that fell silent looks the same, and is asked once more too.
fn thins_out(read: &LinesRead, now: Timestamp, end: Timestamp) -> bool {
    if end < now {
        return false;
    }
    let count = |from: u64, until: u64| {
        let (from, until) = (now - Duration::from_mins(from), now - Duration::from_mins(until));
        read.events.iter().flatten().filter(|event| from < event.at && event.at <= until).count()
    };
    let (last, before) = (count(1, 0), count(6, 1));
    before > 0 && last * 10 < before
}

/// Both readings of the same last minutes, each line once.
fn with_late(mut read: LinesRead, late: LinesRead) -> LinesRead {
    let Some(events) = &mut read.events else { return read };
    let mut known: HashMap<(i64, Arc<str>, String), usize> = HashMap::new();
    let key = |event: &LogEvent| (event.at.as_millisecond(), event.stream.clone(), event.message.clone());
    let newest = late.events.iter().flatten().map(|event| event.at).min();
    for event in events.iter().filter(|event| newest.is_some_and(|from| event.at >= from)) {
        *known.entry(key(event)).or_default() += 1;
    }
    for event in late.events.into_iter().flatten() {
        match known.get_mut(&key(&event)) {
            Some(count) if *count > 0 => *count -= 1,
            _ => events.push(event),
        }
    }
    read
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
