//! `logs.ndjson`: one event a line, as `aws logs filter-log-events` returns its events.
//!
//! The rule that is not obvious: beyond a stated number of lines an even sample is kept, chosen by the
//! content of each line, so that memory stays flat, shares stay true, and neither the order of the
//! lines nor a second reading changes what is kept. A gap says how many lines stand behind it.

use std::collections::HashSet;
use std::io::{self, BufRead, Read};
use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;

use super::Reading;
use super::document::{Text, Time, mend, without_mark};
use crate::domain::evidence::{Gap, LogEvent};

/// Lines that are kept at most.
pub const LINES_MAX: usize = 200_000;
/// Bytes of messages that are kept at most.
pub const BYTES_MAX: usize = 48 << 20;
/// CloudWatch takes events up to 1 MB; a longer line is not one of its events.
const LINE_BYTES_MAX: u64 = 4 << 20;

const FILE: &str = "logs.ndjson";

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow, default, rename = "logGroupName")]
    group: Text<'a>,
    #[serde(borrow, default, rename = "logStreamName")]
    stream: Text<'a>,
    #[serde(default)]
    timestamp: Time,
    #[serde(default, rename = "ingestionTime")]
    ingestion_time: Time,
    #[serde(borrow, default, rename = "eventId")]
    event_id: Text<'a>,
    #[serde(borrow, default)]
    message: Option<Text<'a>>,
}

#[derive(Debug, Default)]
struct Lines {
    events: Vec<LogEvent>,
    message_bytes: usize,
    /// Lines whose event was readable and known by `now`.
    seen: usize,
    broken: usize,
    /// One line in two to the power of this is kept.
    halvings: u32,
    names: HashSet<Arc<str>>,
    failed: Option<String>,
}

pub(super) fn read(reading: &mut Reading<'_>, now: Timestamp) -> Option<Vec<LogEvent>> {
    let lines = {
        let mut reader = reading.reader("logs", FILE)?;
        Lines::read(&mut *reader, now, LINES_MAX, BYTES_MAX)
    };
    if let Some(error) = &lines.failed {
        reading.gaps.push(Gap::new("logs", format!("{FILE} could be read only in part: {error}")));
    }
    if lines.broken > 0 {
        reading.gaps.push(Gap::new(
            "logs",
            format!("{FILE}: {} of {} lines could not be read", lines.broken, lines.seen + lines.broken),
        ));
    }
    if lines.halvings > 0 {
        reading.gaps.push(Gap::new(
            "logs",
            format!(
                "{FILE} holds {} lines: an even sample of {} was examined, about one line in {}",
                lines.seen,
                lines.events.len(),
                1_u64.checked_shl(lines.halvings).unwrap_or(u64::MAX)
            ),
        ));
    }
    let unread = lines.seen == 0 && (lines.broken > 0 || lines.failed.is_some());
    (!unread).then_some(lines.events)
}

impl Lines {
    fn read(reader: &mut dyn BufRead, now: Timestamp, lines_max: usize, bytes_max: usize) -> Self {
        let mut lines = Self::default();
        let mut buffer = Vec::with_capacity(4096);
        loop {
            buffer.clear();
            match next_line(reader, &mut buffer) {
                Ok(Some(true)) => {}
                Ok(Some(false)) => {
                    lines.broken += 1;
                    continue;
                }
                Ok(None) => break,
                Err(error) => {
                    lines.failed = Some(error.to_string());
                    break;
                }
            }
            lines.take(&buffer, now);
            if lines.events.len() > lines_max || lines.message_bytes > bytes_max {
                lines.halve();
            }
        }
        lines.events.sort_by_key(|event| event.at);
        lines.events.shrink_to_fit();
        lines
    }

    fn take(&mut self, line: &[u8], now: Timestamp) {
        let line = without_mark(line);
        if line.iter().all(u8::is_ascii_whitespace) {
            return;
        }
        if let Ok(parsed) = serde_json::from_slice::<Line<'_>>(line) {
            self.add(parsed, now);
        } else if let Ok(parsed) = serde_json::from_slice::<Line<'_>>(&mend(line)) {
            self.add(parsed, now);
        } else {
            self.broken += 1;
        }
    }

    fn add(&mut self, line: Line<'_>, now: Timestamp) {
        let (Some(at), Some(Text(message))) = (line.timestamp.0.map(whole_milliseconds), line.message) else {
            self.broken += 1;
            return;
        };
        let ingested_at = line.ingestion_time.0.map(whole_milliseconds);
        if at > now || ingested_at.is_some_and(|ingested| ingested > now) {
            return;
        }
        self.seen += 1;
        if !kept(at, &line.stream.0, &message, self.halvings) {
            return;
        }
        self.message_bytes += message.len();
        let event = LogEvent {
            at,
            ingested_at,
            group: self.name(&line.group.0),
            stream: self.name(&line.stream.0),
            event_id: line.event_id.0.into_owned(),
            message: message.into_owned(),
        };
        self.events.push(event);
    }

    /// The shared copy of a group's or a stream's name.
    fn name(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.names.get(name) {
            return Arc::clone(known);
        }
        let shared: Arc<str> = Arc::from(name);
        self.names.insert(Arc::clone(&shared));
        shared
    }

    fn halve(&mut self) {
        // Beyond 2^40 lines nothing more is gained, and identical lines cannot be told apart.
        if self.halvings >= 40 {
            self.events.truncate(self.events.len() / 2);
        } else {
            self.halvings += 1;
            let halvings = self.halvings;
            self.events.retain(|event| kept(event.at, &event.stream, &event.message, halvings));
        }
        self.message_bytes = self.events.iter().map(|event| event.message.len()).sum();
    }
}

/// Reads one line: `Some(false)` where it is too long to be an event, `None` at the end.
fn next_line(reader: &mut dyn BufRead, buffer: &mut Vec<u8>) -> io::Result<Option<bool>> {
    let read = (&mut *reader).take(LINE_BYTES_MAX).read_until(b'\n', buffer)?;
    if read == 0 {
        return Ok(None);
    }
    if read as u64 == LINE_BYTES_MAX && buffer.last() != Some(&b'\n') {
        reader.skip_until(b'\n')?;
        return Ok(Some(false));
    }
    Ok(Some(true))
}

fn whole_milliseconds(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
}

/// Whether a line belongs to the sample of one in two to the power of `halvings`.
fn kept(at: Timestamp, stream: &str, message: &str, halvings: u32) -> bool {
    if halvings == 0 {
        return true;
    }
    let mut mixed = mix(0x51_7c_c1_b7_27_22_0a_95, at.as_millisecond() as u64);
    for text in [stream, message] {
        for chunk in text.as_bytes().chunks(8) {
            let word = chunk.iter().fold(0_u64, |word, byte| (word << 8) | u64::from(*byte));
            mixed = mix(mixed, word);
        }
    }
    // The low bits of a product depend on few bits of its factors: judge by the high ones.
    mixed.leading_zeros() >= halvings
}

/// One step of the multiplicative hash of Steele, Lea and Flood's SplitMix (OOPSLA 2014).
fn mix(state: u64, word: u64) -> u64 {
    let mut mixed = (state ^ word).wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str, lines_max: usize) -> Lines {
        let now = "2026-02-06T12:20:00Z".parse().unwrap();
        Lines::read(&mut text.as_bytes(), now, lines_max, BYTES_MAX)
    }

    fn many(count: usize) -> Vec<String> {
        (0..count)
            .map(|at| {
                format!(
                    r#"{{"logGroupName":"g","logStreamName":"s","timestamp":{},"message":"line {at}"}}"#,
                    1_770_379_000_000_u64 + at as u64
                )
            })
            .collect()
    }

    #[test]
    fn a_sample_is_even_and_does_not_depend_on_order() {
        let mut text = many(4000);
        let forward = lines(&text.join("\n"), 500);
        text.reverse();
        let backward = lines(&text.join("\n"), 500);
        assert_eq!(forward.events, backward.events);
        assert_eq!(forward.seen, 4000);
        assert!((200..=500).contains(&forward.events.len()), "{}", forward.events.len());
        let early =
            forward.events.iter().filter(|event| event.at.as_millisecond() < 1_770_379_002_000).count();
        let share = early as f64 / forward.events.len() as f64;
        assert!((0.4..0.6).contains(&share), "{share}");
    }

    #[test]
    fn what_is_later_than_now_is_not_known_even_where_only_its_arrival_is() {
        let text = concat!(
            r#"{"timestamp":1770380399000,"message":"in time"}"#,
            "\n",
            r#"{"timestamp":1770380399000,"ingestionTime":1770380401000,"message":"arrived later"}"#,
            "\n",
            r#"{"timestamp":1770380401000,"message":"later"}"#,
        );
        let read = lines(text, 10);
        assert_eq!(read.events.len(), 1);
        assert_eq!(read.broken, 0);
    }

    #[test]
    fn malformed_lines_are_counted_and_odd_ones_are_read() {
        let text = concat!(
            "\u{feff}",
            r#"{"timestamp":"2026-02-06T17:00:00+05:30","message":{"level":"ERROR"}}"#,
            "\r\n\n",
            r#"{"timestamp":1770379000,"message":"seconds"}"#,
            "\n",
            r#"{"timestamp":NaN,"message":"no time"}"#,
            "\n",
            r#"{"timestamp":1770379000000,"mess"#,
        );
        let read = lines(text, 10);
        let messages: Vec<&str> = read.events.iter().map(|event| event.message.as_str()).collect();
        assert_eq!(messages, [r#"{"level":"ERROR"}"#, "seconds"]);
        assert_eq!(read.broken, 2);
    }
}
