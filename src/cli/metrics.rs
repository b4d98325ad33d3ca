//! `metrics shift FILE.csv`: where one series changed, or whether it changed at a given time.
//!
//! The rule that is not obvious: what is missing is a hole (an empty value, `NaN`, `null`), what is
//! there and no number is an error that names its line: a series that is read wrongly would give a
//! confident wrong answer.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use serde_json::json;

use super::{Format, Misuse};
use crate::analysis::shifts::{Changed, Shift, changed_at, level_shifts};

#[derive(Debug, Args)]
pub struct ShiftArgs {
    /// Lines of `timestamp,value`, with or without a header; times are epoch seconds or ISO 8601.
    /// `-` reads standard input.
    pub file: PathBuf,
    /// Whether the series changed at this time beyond its own daily and weekly habit.
    #[arg(long)]
    pub at: Option<String>,
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Reads the series and prints what changed to standard output.
pub fn shift(args: &ShiftArgs) -> anyhow::Result<()> {
    let at = match &args.at {
        None => None,
        Some(text) => Some(read_time(text).ok_or_else(|| {
            Misuse(format!("--at {text} is no time: use 2026-02-06T12:00:00Z or epoch seconds"))
        })?),
    };
    let name = args.file.display();
    let points = if args.file == Path::new("-") {
        read_series(io::stdin().lock())
    } else {
        File::open(&args.file).map_err(anyhow::Error::from).and_then(read_series)
    }
    .with_context(|| format!("cannot read {name}"))?;
    let text = match at {
        None => {
            let values: Vec<f64> = points.iter().map(|point| point.1).collect();
            write_shifts(&points, &level_shifts(&values), args.format)
        }
        Some(at) => {
            let changed = changed_at(&points, at)
                .with_context(|| format!("{name} has no value on one side of {at}: nothing to compare"))?;
            write_changed(&changed, at, args.format)
        }
    };
    println!("{text}");
    Ok(())
}

/// The series in order of time; rows of the same time stay in the order of the file. A hole is `NaN`.
///
/// # Errors
/// A row without a time or with a value that is no number, with its line.
pub fn read_series(input: impl Read) -> anyhow::Result<Vec<(Timestamp, f64)>> {
    let mut bytes = Vec::new();
    io::BufReader::new(input).read_to_end(&mut bytes)?;
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .comment(Some(b'#'))
        .delimiter(delimiter(text))
        .from_reader(text);
    let mut columns = (0, 1);
    let mut points = Vec::new();
    let mut first = true;
    for record in reader.byte_records() {
        let record = record?;
        let line = record.position().map_or(0, csv::Position::line);
        let cell =
            |column: usize| String::from_utf8_lossy(record.get(column).unwrap_or_default()).into_owned();
        let header = std::mem::take(&mut first) && !record.iter().any(is_figure);
        if header {
            let names: Vec<String> = (0..record.len()).map(|column| cell(column).to_lowercase()).collect();
            columns = named_columns(&names);
            continue;
        }
        let (time, value) = (cell(columns.0), cell(columns.1));
        if record.len() <= columns.0.max(columns.1) && record.len() < 2 {
            anyhow::bail!("line {line}: {} is no pair of timestamp and value", quoted(&time));
        }
        let at = read_time(&time).with_context(|| format!("line {line}: {} is no time", quoted(&time)))?;
        let value =
            read_value(&value).with_context(|| format!("line {line}: {} is no number", quoted(&value)))?;
        points.push((at, value));
    }
    anyhow::ensure!(!points.is_empty(), "it holds no rows");
    points.sort_by_key(|point| point.0);
    Ok(points)
}

/// The beginning of a cell as it may be shown on a terminal.
fn quoted(cell: &str) -> String {
    let shown: String = cell.chars().take(40).flat_map(char::escape_debug).collect();
    if cell.chars().count() > 40 { format!("'{shown}…'") } else { format!("'{shown}'") }
}

/// The first of comma, semicolon and tab that occurs in the first line.
fn delimiter(text: &[u8]) -> u8 {
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    [b',', b';', b'\t'].into_iter().find(|candidate| line.contains(candidate)).unwrap_or(b',')
}

/// Which columns hold time and value, by their names where these tell.
fn named_columns(names: &[String]) -> (usize, usize) {
    let find = |known: &[&str]| names.iter().position(|name| known.contains(&name.as_str()));
    let time = find(&["timestamp", "time", "date", "datetime", "ts", "at"]).unwrap_or(0);
    let value = find(&["value", "values", "y", "metric"]).filter(|value| *value != time);
    (time, value.unwrap_or(usize::from(time == 0)))
}

/// Whether a cell is a time or a number, so that its row is no header.
fn is_figure(cell: &[u8]) -> bool {
    let cell = String::from_utf8_lossy(cell);
    read_time(&cell).is_some() || cell.parse::<f64>().is_ok_and(f64::is_finite)
}

/// Epoch seconds (milli-, micro- and nanoseconds by their size) or ISO 8601; without an offset UTC.
fn read_time(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(number) = text.parse::<f64>() {
        if !number.is_finite() {
            return None;
        }
        let seconds = match number.abs() {
            ..1e11 => number,
            1e11..1e14 => number / 1e3,
            1e14..1e17 => number / 1e6,
            _ => number / 1e9,
        };
        return Timestamp::from_millisecond((seconds * 1e3).round() as i64).ok();
    }
    let civil = |at: DateTime| at.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    text.parse::<Timestamp>()
        .ok()
        .or_else(|| text.parse::<DateTime>().ok().and_then(civil))
        .or_else(|| format!("{text}-01").parse::<Date>().ok().and_then(|day| civil(day.at(0, 0, 0, 0))))
}

/// A number, or `NaN` for what is missing; `None` for any other text.
fn read_value(text: &str) -> Option<f64> {
    match text.to_lowercase().as_str() {
        "" | "nan" | "null" | "none" | "na" | "n/a" | "-" | "inf" | "+inf" | "-inf" | "infinity"
        | "-infinity" => Some(f64::NAN),
        other => other.parse::<f64>().ok().map(|value| if value.is_finite() { value } else { f64::NAN }),
    }
}

fn write_shifts(points: &[(Timestamp, f64)], shifts: &[Shift], format: Format) -> String {
    let rows = shifts.iter().filter_map(|shift| Some((points.get(shift.index)?.0, shift)));
    match format {
        Format::Json => {
            let shifts: Vec<_> = rows
                .map(|(at, shift)| {
                    json!({
                        "index": shift.index, "at": at.to_string(), "before": shift.before,
                        "after": shift.after, "probability": rounded(shift.probability),
                    })
                })
                .collect();
            json!({ "shifts": shifts }).to_string()
        }
        Format::Text if shifts.is_empty() => "no shift".to_owned(),
        Format::Text => rows
            .map(|(at, shift)| {
                let (before, after) = (short(shift.before), short(shift.after));
                format!(
                    "{at}  value {}: from {before} to {after}, probability {:.2}",
                    shift.index, shift.probability
                )
            })
            .collect::<Vec<_>>()
            .join("\n"),
    }
}

fn write_changed(changed: &Changed, at: Timestamp, format: Format) -> String {
    match format {
        Format::Json => json!({
            "changed": changed.changed, "probability": rounded(changed.probability),
            "before": changed.before, "after": changed.after,
        })
        .to_string(),
        Format::Text => {
            let verdict = if changed.changed { "changed" } else { "did not change" };
            let (before, after) = (short(changed.before), short(changed.after));
            format!(
                "{verdict} at {at} beyond its habit: from {before} to {after}, probability of a change {:.2}",
                changed.probability
            )
        }
    }
}

fn rounded(probability: f64) -> f64 {
    (probability * 1e4).round() / 1e4
}

/// Four significant digits.
fn short(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-4..1e7).contains(&size) {
        return format!("{value:.3e}");
    }
    let decimals = if size == 0.0 { 0 } else { (3 - size.log10().floor() as i64).clamp(0, 8) as usize };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(text: &str) -> anyhow::Result<Vec<(i64, f64)>> {
        Ok(read_series(text.as_bytes())?.into_iter().map(|(at, value)| (at.as_second(), value)).collect())
    }

    #[test]
    fn a_header_is_optional_and_names_columns() {
        let expected = vec![(60, 1.5), (120, 2.0)];
        assert_eq!(series("60,1.5\n120,2\n").unwrap(), expected);
        assert_eq!(series("timestamp,value\n60,1.5\n120,2\n").unwrap(), expected);
        assert_eq!(series("host,value,time\na,1.5,60\na,2,120\n").unwrap(), expected);
        assert_eq!(series("\u{feff}Timestamp;Value\r\n60;1.5\r\n\r\n120;2\r\n").unwrap(), expected);
    }

    #[test]
    fn times_are_epoch_or_iso() {
        for text in [
            "1770379200",
            "1770379200.0",
            "1770379200000",
            "2026-02-06T12:00:00Z",
            "2026-02-06T13:00:00+01:00",
            "2026-02-06 12:00:00",
            "2026-02-06T12:00",
        ] {
            assert_eq!(read_time(text).map(Timestamp::as_second), Some(1_770_379_200), "{text}");
        }
        assert_eq!(read_time("1992-03").map(|at| at.to_string()).as_deref(), Some("1992-03-01T00:00:00Z"));
        assert_eq!(read_time("yesterday"), None);
        assert_eq!(read_time("1e300"), None);
    }

    #[test]
    fn rows_are_put_in_order_of_time() {
        assert_eq!(series("120,2\n60,1\n120,3\n").unwrap(), [(60, 1.0), (120, 2.0), (120, 3.0)]);
    }

    #[test]
    fn what_is_missing_is_a_hole() {
        let points = series("0,1\n60,\n120,NaN\n240,null\n300,inf\n").unwrap();
        assert_eq!(points.len(), 5);
        assert_eq!(points.iter().filter(|point| point.1.is_nan()).count(), 4);
    }

    #[test]
    fn what_cannot_be_read_names_its_line() {
        assert!(series("time,value\n60,1\n120,many\n").unwrap_err().to_string().contains("line 3: 'many'"));
        assert!(series("60,1\nsoon,2\n").unwrap_err().to_string().contains("line 2: 'soon'"));
        assert!(series("60,1\n120\n").unwrap_err().to_string().contains("line 2: '120' is no pair"));
        assert!(series("").unwrap_err().to_string().contains("no rows"));
    }

    #[test]
    fn a_step_is_printed_as_promised() {
        let points: Vec<(Timestamp, f64)> = (0..80)
            .map(|minute| {
                let noise = f64::from((minute * 7919) % 13) / 13.0;
                (
                    Timestamp::from_second(i64::from(minute) * 60).unwrap(),
                    noise + if minute < 50 { 5.0 } else { 9.0 },
                )
            })
            .collect();
        let values: Vec<f64> = points.iter().map(|point| point.1).collect();
        let printed: serde_json::Value =
            serde_json::from_str(&write_shifts(&points, &level_shifts(&values), Format::Json)).unwrap();
        let shift = &printed["shifts"][0];
        assert_eq!(shift["index"], 50);
        assert_eq!(shift["at"], "1970-01-01T00:50:00Z");
        assert!(shift["before"].as_f64().unwrap() < 6.0 && shift["after"].as_f64().unwrap() >= 9.0);
        assert!(shift["probability"].as_f64().unwrap() > 0.9);
    }

    #[test]
    fn a_quiet_series_has_no_shift() {
        assert_eq!(write_shifts(&[], &[], Format::Json), r#"{"shifts":[]}"#);
        assert_eq!(write_shifts(&[], &[], Format::Text), "no shift");
    }
}
