//! The same incident told otherwise: later, under another name, in another order, twice.
//!
//! The rule that is not obvious: clocks move wherever a time is written, also inside log messages and
//! names of log streams, for an incident whose lines disagree with its events is another incident.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use jiff::civil::DateTime;
use jiff::{Timestamp, ToSpan as _};
use regex::{Captures, Regex};
use serde_json::Value;

use super::Files;

/// Clocks move by days, hours and minutes that suit periods of five minutes: CloudWatch's stand on the clock.
const SHIFTS_MINUTES: [i64; 2] = [3 * 1440 + 7 * 60 + 35, -(400 * 1440 + 5 * 60 + 10)];
/// Names of nothing, long and short.
const NAMES: [&str; 2] = ["harbour-ledger", "zq7"];
/// All variants, each with its name; `seed` chooses how things are mixed up.
pub fn all(files: &Files, seed: u64) -> Vec<(String, Files)> {
    let mut variants = Vec::new();
    for minutes in SHIFTS_MINUTES {
        variants.push((format!("all clocks shifted by {minutes} min"), shifted(files, minutes)));
    }
    for name in NAMES {
        variants.push((format!("service renamed to {name}"), renamed(files, name)));
    }
    variants.push(("log lines shuffled".to_owned(), shuffled(files, seed)));
    variants
        .push(("records of CloudTrail shuffled, each of them twice".to_owned(), records_twice(files, seed)));
    variants.push(("points of series and histories shuffled".to_owned(), unordered(files, seed)));
    variants
}

/// The files that hold evidence: each is a source that might not have been read.
pub fn sources(files: &Files) -> Vec<String> {
    let is_source = |name: &&String| !matches!(name.as_str(), "bundle.json" | "alert.json" | "truth.json");
    files.keys().filter(is_source).cloned().collect()
}

/// The part that is left of a file that a download broke off, in percent.
const BROKEN_OFF: usize = 45;

/// The same with a part of a source: files that end in the middle, and half of the lines and periods.
///
/// Records are not thinned out, and lines do not end early: of two changes that fit equally well, one that a list silently
/// lacks makes the other surer, and nobody could know of it. Of a list that ends in the middle everybody knows.
pub fn parts(files: &Files, seed: u64) -> Vec<(String, Files)> {
    let mut parts: Vec<(String, Files)> = ["metrics.json", "cloudtrail.json"]
        .iter()
        .filter_map(|name| {
            let bytes = files.get(*name)?;
            let mut poorer = files.clone();
            poorer.insert((*name).to_owned(), bytes[..bytes.len() * BROKEN_OFF / 100].to_vec());
            Some((format!("with {name} broken off at {BROKEN_OFF} %"), poorer))
        })
        .collect();
    let mut random = fastrand::Rng::with_seed(seed);
    let mut poorer = files.clone();
    if let Some(logs) = poorer.get_mut("logs.ndjson") {
        let text = String::from_utf8_lossy(logs).into_owned();
        let lines: Vec<&str> = text.lines().filter(|_| random.bool()).collect();
        *logs = lines.join("\n").into_bytes();
        parts.push(("with half of the log lines".to_owned(), poorer));
    }
    let mut kept: BTreeMap<String, bool> = BTreeMap::new();
    let holes = edited(files, "metrics.json", |metrics| {
        let results = metrics.get_mut("MetricDataResults").and_then(Value::as_array_mut);
        for result in results.into_iter().flatten() {
            each_point(result, |points| {
                points.retain(|(time, _)| *kept.entry(text(Some(time))).or_insert_with(|| random.bool()));
            });
        }
    });
    if files.contains_key("metrics.json") {
        parts.push(("with half of the periods".to_owned(), holes));
    }
    parts
}

fn each_text(files: &Files, change: impl Fn(&str) -> String) -> Files {
    let text = |bytes: &Vec<u8>| change(&String::from_utf8_lossy(bytes)).into_bytes();
    files.iter().map(|(name, bytes)| (name.clone(), text(bytes))).collect()
}

static WRITTEN_TIME: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\b(\d{4}-\d\d-\d\d)([T ])(\d\d:\d\d:\d\d)").expect("a valid pattern"));
/// Epoch milliseconds or seconds of the years 2017 to 2033, also with a fraction.
static EPOCH: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\b1[5-9]\d{8}(\d{3})?\b").expect("a valid pattern"));
static STREAM_DAY: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\b(\d{4})/(\d\d)/(\d\d)/\[").expect("a valid pattern"));

fn shifted(files: &Files, minutes: i64) -> Files {
    each_text(files, |text| {
        let text = WRITTEN_TIME.replace_all(text, |found: &Captures<'_>| {
            let moved = format!("{}T{}", &found[1], &found[3])
                .parse::<DateTime>()
                .ok()
                .and_then(|time| time.checked_add(minutes.minutes()).ok());
            match moved {
                Some(time) => {
                    format!("{}{}{}", time.strftime("%Y-%m-%d"), &found[2], time.strftime("%H:%M:%S"))
                }
                None => found[0].to_owned(),
            }
        });
        let text = STREAM_DAY.replace_all(&text, |found: &Captures<'_>| {
            let day = format!("{}-{}-{}T00:00:00", &found[1], &found[2], &found[3]).parse::<DateTime>();
            match day.map(|day| day.checked_add(minutes.minutes())) {
                Ok(Ok(day)) => day.strftime("%Y/%m/%d/[").to_string(),
                _ => found[0].to_owned(),
            }
        });
        EPOCH
            .replace_all(&text, |found: &Captures<'_>| {
                let unit = if found.get(1).is_some() { 60_000 } else { 60 };
                found[0]
                    .parse::<i64>()
                    .map_or_else(|_| found[0].to_owned(), |at| (at + minutes * unit).to_string())
            })
            .into_owned()
    })
}

pub fn parsed(files: &Files, name: &str) -> Option<Value> {
    serde_json::from_slice(files.get(name)?).ok()
}

/// The files with one of them changed, where it is there and is JSON.
pub fn edited(files: &Files, name: &str, change: impl FnOnce(&mut Value)) -> Files {
    let mut files = files.clone();
    if let Some(mut document) = parsed(&files, name) {
        change(&mut document);
        files.insert(name.to_owned(), document.to_string().into_bytes());
    }
    files
}

/// The service under another name wherever it stands as a whole word, in paths too.
fn renamed(files: &Files, name: &str) -> Files {
    let service = parsed(files, "bundle.json")
        .and_then(|bundle| Some(bundle.get("service")?.as_str()?.to_owned()))
        .unwrap_or_default();
    if service.is_empty() {
        return files.clone();
    }
    let rename = |text: &str| {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find(&service) {
            let (before, behind) = (&rest[..at], &rest[at + service.len()..]);
            let whole = |letter: Option<char>| letter.is_none_or(|letter| !letter.is_alphanumeric());
            // What was kept so far tells the letter before, also right behind another find.
            out.push_str(before);
            let is_name = whole(out.chars().next_back()) && whole(behind.chars().next());
            out.push_str(if is_name { name } else { &service });
            rest = behind;
        }
        out.push_str(rest);
        out
    };
    each_text(files, rename).into_iter().map(|(path, bytes)| (rename(&path), bytes)).collect()
}

fn shuffled(files: &Files, seed: u64) -> Files {
    let mut files = files.clone();
    if let Some(logs) = files.get_mut("logs.ndjson") {
        let text = String::from_utf8_lossy(logs).into_owned();
        let mut lines: Vec<&str> = text.lines().collect();
        fastrand::Rng::with_seed(seed).shuffle(&mut lines);
        *logs = lines.join("\n").into_bytes();
    }
    files
}

/// CloudTrail delivers at least once and in no order: overlapping pages hold the same record.
fn records_twice(files: &Files, seed: u64) -> Files {
    edited(files, "cloudtrail.json", |trail| {
        if let Some(records) = trail.get_mut("Records").and_then(Value::as_array_mut) {
            records.extend(records.clone());
            fastrand::Rng::with_seed(seed).shuffle(records);
        }
    })
}

/// AWS promises no order of points, versions, aliases, parameters, revisions or deployments either.
fn unordered(files: &Files, seed: u64) -> Files {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut told = files.clone();
    for name in files.keys().filter(|name| {
        let histories =
            ["versions.json", "aliases.json", "parameters.json", "definitions.json", "deployments.json"];
        *name == "metrics.json" || histories.iter().any(|history| name.ends_with(history))
    }) {
        told = edited(&told, name, |document| {
            for list in
                document.as_object_mut().into_iter().flatten().filter_map(|(_, value)| value.as_array_mut())
            {
                random.shuffle(list);
                for result in list {
                    shuffle_points(result, &mut random);
                }
            }
        });
    }
    told
}

fn shuffle_points(result: &mut Value, random: &mut fastrand::Rng) {
    each_point(result, |points| random.shuffle(points));
}

/// Changes a series' points, each a time with its value.
fn each_point(result: &mut Value, change: impl FnOnce(&mut Vec<(Value, Value)>)) {
    let list = |result: &Value, name: &str| result.get(name).and_then(Value::as_array).cloned();
    let (Some(times), Some(values)) = (list(result, "Timestamps"), list(result, "Values")) else { return };
    let mut points: Vec<(Value, Value)> = times.into_iter().zip(values).collect();
    change(&mut points);
    let (times, values): (Vec<Value>, Vec<Value>) = points.into_iter().unzip();
    result["Timestamps"] = Value::Array(times);
    result["Values"] = Value::Array(values);
}

fn text(value: Option<&Value>) -> String {
    value.and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// When the alert fired; the investigation's own time where it does not say.
pub fn alert_time(files: &Files) -> Option<Timestamp> {
    let (bundle, alert) = (parsed(files, "bundle.json")?, parsed(files, "alert.json")?);
    let alert = alert.get("alert").unwrap_or(&alert);
    let times = ["triggered_at", "timestamp", "startsAt"].map(|key| alert.get(key));
    times.into_iter().chain([bundle.get("now")]).find_map(|time| text(time).parse().ok())
}
