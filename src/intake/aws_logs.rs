//! Lines that a CloudWatch Logs subscription delivers, by Firehose or a forwarder: counted, and an alert where their
//! errors surge.
//!
//! The rule that is not obvious: what is packed by a stranger may unpack to anything. The total is bounded, and what
//! goes beyond it is refused as a whole, so that nobody takes half a delivery for all of it. Only what is looked for is
//! kept while a body is read: a document of a few bytes for each value would take many times its size in memory.
//!
//! Sources: 'Subscription filters' in the Amazon CloudWatch Logs User Guide, 'HTTP endpoint delivery request and
//! response specifications' in the Amazon Data Firehose Developer Guide.

use std::collections::BTreeMap;
use std::io::Read as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flate2::read::MultiGzDecoder;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::aws_event::Alarm;
use super::desk::{Came, Desk, Heard};
use crate::analysis::logs::line;
use crate::domain::alert::{Alert, AlertState};
use crate::domain::surge::{self, Minute, Verdict};
use crate::store::Result;

/// What one delivery may unpack to, all its records together.
const UNPACKED_MAX: u64 = 32 * 1024 * 1024;
/// How far ahead of now a line may be: clocks differ.
const AHEAD: SignedDuration = SignedDuration::from_mins(5);

/// Why a delivery is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("it is no delivery of CloudWatch Logs: {0}")]
    Unreadable(String),
    #[error("it unpacks to more than {} MiB", UNPACKED_MAX / (1024 * 1024))]
    TooLarge,
}

/// One delivery, unpacked.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Delivery {
    /// Firehose's id of it, the same in every retry.
    pub request: Option<String>,
    /// By log group: time and text of each line.
    pub lines: BTreeMap<String, Vec<(Timestamp, String)>>,
}

/// A body: one of these, whoever made it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    request_id: Option<String>,
    /// Of Firehose.
    records: Option<Vec<Packed>>,
    /// Of a Lambda function that sends on what it was called with.
    awslogs: Option<Packed>,
    /// Of a batch as it is.
    message_type: Option<String>,
    #[serde(default)]
    log_group: String,
    #[serde(default)]
    log_events: Vec<Line>,
}

#[derive(Deserialize)]
struct Packed {
    data: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Batch {
    message_type: String,
    #[serde(default)]
    log_group: String,
    #[serde(default)]
    log_events: Vec<Line>,
}

#[derive(Deserialize)]
struct Line {
    timestamp: i64,
    message: String,
}

/// Reads a body: of Firehose (`records`), of a Lambda that forwards its event (`awslogs`), or a batch itself; `packed`
/// where the body as a whole is gzip.
///
/// # Errors
/// The first thing in it that is not what it should be.
pub fn read(body: &[u8], packed: bool) -> std::result::Result<Delivery, Refused> {
    let mut left = UNPACKED_MAX;
    let unpacked;
    let body = if packed {
        unpacked = unpack(body, &mut left)?;
        unpacked.as_slice()
    } else {
        body
    };
    let Body { request_id, records, awslogs, message_type, log_group, log_events } =
        serde_json::from_slice(body).map_err(|error| misread(&error))?;
    let mut delivery = Delivery { request: request_id, lines: BTreeMap::new() };
    let datas = match (records, awslogs, message_type) {
        (Some(records), _, _) => records,
        (None, Some(packed), _) => vec![packed],
        (None, None, Some(message_type)) => {
            delivery.take(Batch { message_type, log_group, log_events });
            return Ok(delivery);
        }
        (None, None, None) => {
            return Err(Refused::Unreadable("neither `records` nor `awslogs` nor `messageType`".to_owned()));
        }
    };
    for Packed { data } in datas {
        let bytes = BASE64_STANDARD.decode(data).map_err(|error| Refused::Unreadable(error.to_string()))?;
        // Firehose can unpack what it delivers; then batches follow one another.
        let bytes = if bytes.starts_with(&[0x1f, 0x8b]) { unpack(&bytes, &mut left)? } else { bytes };
        for batch in serde_json::Deserializer::from_slice(&bytes).into_iter::<Batch>() {
            delivery.take(batch.map_err(|error| misread(&error))?);
        }
    }
    Ok(delivery)
}

/// Where it cannot be read, and not what stands there: the reason is logged, and a stranger's words are in no log.
fn misread(error: &serde_json::Error) -> Refused {
    let kind = format!("{:?}", error.classify()).to_lowercase();
    Refused::Unreadable(format!("{kind} error at line {} column {}", error.line(), error.column()))
}

fn unpack(bytes: &[u8], left: &mut u64) -> std::result::Result<Vec<u8>, Refused> {
    let mut unpacked = Vec::new();
    // One byte more than is allowed tells that there is more.
    let read = MultiGzDecoder::new(bytes).take(*left + 1).read_to_end(&mut unpacked);
    read.map_err(|error| Refused::Unreadable(format!("it cannot be unpacked: {error}")))?;
    *left = left.checked_sub(unpacked.len() as u64).ok_or(Refused::TooLarge)?;
    Ok(unpacked)
}

impl Delivery {
    /// `CONTROL_MESSAGE` only asks whether somebody listens.
    fn take(&mut self, batch: Batch) {
        if batch.message_type != "DATA_MESSAGE" || batch.log_group.is_empty() {
            return;
        }
        let known = self.lines.entry(batch.log_group).or_default();
        let lines = batch.log_events.into_iter();
        known.extend(
            lines.filter_map(|line| Some((Timestamp::from_millisecond(line.timestamp).ok()?, line.message))),
        );
    }

    pub fn is_empty(&self) -> bool {
        self.lines.values().all(Vec::is_empty)
    }

    /// Lines and errors by minute; what is too old for a baseline, or ahead of now, is left out.
    pub fn counts(&self, now: Timestamp) -> Vec<(String, Vec<Minute>)> {
        let counted = self.lines.iter().map(|(group, lines)| {
            let mut minutes: BTreeMap<i64, (u64, u64)> = BTreeMap::new();
            let recent = |at: &Timestamp| {
                let age = now.duration_since(*at);
                age <= surge::BASELINE && age >= -AHEAD
            };
            for (at, message) in lines.iter().filter(|(at, _)| recent(at)) {
                let minute = minutes.entry(at.as_second().div_euclid(60)).or_default();
                minute.0 += 1;
                minute.1 += u64::from(line::read(message, &mut |_| {}).failing());
            }
            let minutes =
                minutes.into_iter().map(|(minute, (lines, errors))| Minute { minute, lines, errors });
            (group.clone(), minutes.collect())
        });
        counted.collect()
    }
}

impl Desk {
    /// Counts what was delivered, and raises or ends an alert for each group whose errors begin or cease to surge.
    /// `delivery` is the sender's id of it, `counts` are by log group.
    pub async fn aws_logs(&self, delivery: &str, counts: &[(String, Vec<Minute>)]) -> Result<Vec<Heard>> {
        let now = self.clock.now();
        let key = format!("logs/{delivery}");
        let Some(groups) = self.store.count_lines(&key, counts, now).await? else { return Ok(Vec::new()) };
        let mut heard = Vec::new();
        for group in groups {
            let (state, errors) = match surge::judge(&group.minutes, group.first_at, now, group.surges) {
                Verdict::Surges { errors, .. } => (AlertState::Firing, Some(errors)),
                Verdict::Over => (AlertState::Resolved, None),
                Verdict::Nothing => continue,
            };
            let since = (state == AlertState::Firing).then_some(now);
            let name = format!("errors surge in {}", group.log_group);
            let alert = Alert {
                service: group.log_group.clone(),
                at: now,
                metric: Some("Errors".to_owned()),
                value: errors.map(|errors| errors as f64),
                threshold: None,
                severity: None,
                alert_name: Some(name.clone()),
                source: Some("CloudWatch Logs".to_owned()),
            };
            let meant = self.service_of(&Alarm {
                name,
                state,
                at: Some(now),
                metric: None,
                threshold: None,
                dimensions: vec![("LogGroupName".to_owned(), group.log_group.clone())],
            });
            let came =
                Came { delivery: format!("{key}/{}", group.log_group), channel: None, thread_ts: None };
            heard.push(self.heard(alert, state, meant, came).await?);
            // Whoever dies in between hears of it with the next delivery.
            self.store.note_surge(&group.log_group, since).await?;
        }
        Ok(heard)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn batch(kind: &str, messages: &[&str]) -> Value {
        let events: Vec<Value> = messages
            .iter()
            .map(|message| json!({"id": "1", "timestamp": 1_770_379_200_000_i64, "message": message}))
            .collect();
        json!({"messageType": kind, "owner": "1", "logGroup": "/aws/lambda/checkout", "logStream": "s",
            "subscriptionFilters": ["f"], "logEvents": events})
    }

    fn firehose(datas: &[Vec<u8>]) -> Vec<u8> {
        let records: Vec<Value> =
            datas.iter().map(|data| json!({"data": BASE64_STANDARD.encode(data)})).collect();
        json!({"requestId": "r-1", "timestamp": 1, "records": records}).to_string().into_bytes()
    }

    #[test]
    fn a_delivery_is_the_same_however_it_comes() {
        let lines = batch("DATA_MESSAGE", &["ERROR no", "fine"]);
        let text = lines.to_string().into_bytes();
        let forwarded =
            json!({"awslogs": {"data": BASE64_STANDARD.encode(packed(&text))}}).to_string().into_bytes();
        for (body, whole) in [
            (firehose(&[packed(&text)]), false),
            (firehose(std::slice::from_ref(&text)), false),
            (packed(&firehose(&[packed(&text)])), true),
            (forwarded, false),
            (text.clone(), false),
        ] {
            let read = read(&body, whole).unwrap();
            assert_eq!(read.lines["/aws/lambda/checkout"].len(), 2);
        }
        let control = batch("CONTROL_MESSAGE", &["CWL CONTROL MESSAGE: Checking health"]).to_string();
        assert!(read(&firehose(&[packed(control.as_bytes())]), false).unwrap().is_empty());
    }

    #[test]
    fn what_unpacks_to_more_than_is_allowed_is_refused_as_a_whole() {
        let bomb = packed(&vec![b' '; UNPACKED_MAX as usize / 2 + 1]);
        assert!(bomb.len() < 100_000);
        assert_eq!(read(&firehose(&[bomb.clone(), bomb]), false), Err(Refused::TooLarge));
        assert!(matches!(read(b"{}", false), Err(Refused::Unreadable(_))));
        assert!(matches!(read(&firehose(&[vec![0x1f, 0x8b, 0]]), false), Err(Refused::Unreadable(_))));
    }

    #[test]
    fn errors_are_counted_by_minute_and_old_lines_are_not() {
        let lines = batch("DATA_MESSAGE", &[r#"{"level":"ERROR","message":"no"}"#, "INFO fine"]);
        let read = read(&firehose(&[packed(lines.to_string().as_bytes())]), false).unwrap();
        let at = Timestamp::from_millisecond(1_770_379_200_000).unwrap();
        let counts = read.counts(at);
        assert_eq!(counts[0].1, [Minute { minute: 29_506_320, lines: 2, errors: 1 }]);
        assert_eq!(read.counts(at + SignedDuration::from_hours(48))[0].1, []);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), packed in any::<bool>()) {
            drop(read(&bytes, packed));
        }
    }
}
