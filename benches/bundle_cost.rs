//! What investigating a bundle costs beside merely reading and parsing its files with serde_json, how that grows
//! with log lines and with records, and the peak memory of the whole process.
//!
//! `cargo bench --bench bundle_cost [-- --quick]` writes bundles of several sizes into a temporary folder (an
//! incident of the generator, its lines, series and records repeated), and runs each in a process of its
//! own. Every ratio is of two figures of the same run. `--quick` leaves the largest sizes out.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, bail};
use incident_commander::{analysis, bundle};
use serde_json::{Value, json};

#[path = "../tests/it/generator/mod.rs"]
mod generator;

const SEED: u64 = 20_260_206;
/// What the issue calls a bundle of ordinary size.
const LINES: usize = 3_000;
const SERIES: usize = 40;
const RECORDS: usize = 300;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["--investigate", folder, rounds] => return alone(folder, rounds, investigate),
        ["--parse", folder, rounds] => return alone(folder, rounds, parse),
        _ => {}
    }
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let home = tempfile::tempdir()?;
    let base = base(home.path())?;
    println!("bundle                             parse ms  investigate ms    ratio   peak MB   per item us");
    let ordinary = base.write(home.path(), LINES, SERIES, RECORDS)?;
    row("ordinary: 3,000 lines, 40 series, 300 records", &ordinary, 9, LINES)?;
    let lines: &[usize] =
        if quick { &[1_000, 10_000, 100_000] } else { &[1_000, 10_000, 100_000, 1_000_000] };
    let mut costs = Vec::new();
    for count in lines {
        let folder = base.write(home.path(), *count, SERIES, RECORDS)?;
        costs.push((*count, row(&format!("{count} log lines"), &folder, rounds(*count), *count)?));
    }
    slope("log lines", &costs);
    let records: &[usize] = if quick { &[300, 3_000] } else { &[300, 3_000, 45_000] };
    let mut costs = Vec::new();
    for count in records {
        let folder = base.write(home.path(), LINES, SERIES, *count)?;
        costs.push((*count, row(&format!("{count} records"), &folder, rounds(*count), *count)?));
    }
    slope("records", &costs);
    Ok(())
}

fn rounds(count: usize) -> usize {
    (200_000 / count).clamp(1, 9)
}

/// How the cost between the smallest and the largest size grows: 1 is linear, less has fixed costs in it.
fn slope(what: &str, costs: &[(usize, f64)]) {
    let steps: Vec<String> = costs
        .windows(2)
        .map(|pair| {
            let growth = (pair[1].1 / pair[0].1).ln() / (pair[1].0 as f64 / pair[0].0 as f64).ln();
            format!("{} to {}: {growth:.2}", pair[0].0, pair[1].0)
        })
        .collect();
    println!("cost grows with the number of {what} to the power of {}\n", steps.join(", "));
}

/// Prints one row and returns the seconds of an investigation.
fn row(name: &str, folder: &Path, rounds: usize, items: usize) -> anyhow::Result<f64> {
    let (parsed, _) = child("--parse", folder, rounds)?;
    let (investigated, peak) = child("--investigate", folder, rounds)?;
    println!(
        "{name:<46}{:>8.1}{:>10.1}{:>11.2}{:>10.0}{:>14.2}",
        parsed * 1e3,
        investigated * 1e3,
        investigated / parsed,
        peak as f64 / 1024.0,
        investigated * 1e6 / items as f64
    );
    Ok(investigated)
}

/// Median seconds and peak kilobytes of this program's own process for one bundle.
fn child(what: &str, folder: &Path, rounds: usize) -> anyhow::Result<(f64, u64)> {
    let program = std::env::current_exe()?;
    let output = Command::new(program).arg(what).arg(folder).arg(rounds.to_string()).output()?;
    if !output.status.success() {
        bail!("{what} {}: {}", folder.display(), String::from_utf8_lossy(&output.stderr));
    }
    let text = String::from_utf8(output.stdout)?;
    let (seconds, peak) = text.trim().split_once(' ').context("two figures")?;
    Ok((seconds.parse()?, peak.parse()?))
}

fn alone(folder: &str, rounds: &str, run: fn(&Path) -> anyhow::Result<usize>) -> anyhow::Result<()> {
    let mut seconds = Vec::new();
    for _ in 0..rounds.parse::<usize>()?.max(1) {
        let started = Instant::now();
        std::hint::black_box(run(Path::new(folder))?);
        seconds.push(started.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    println!("{} {}", seconds[seconds.len() / 2], peak_kilobytes());
    Ok(())
}

/// The most memory that this process has held, as Linux tells; 0 elsewhere.
fn peak_kilobytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.and_then(|text| text.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

fn investigate(folder: &Path) -> anyhow::Result<usize> {
    let report = analysis::investigate(&bundle::read(folder)?).report;
    Ok(serde_json::to_vec(&report)?.len())
}

/// Every file read and parsed, lines one at a time; nothing is kept.
fn parse(folder: &Path) -> anyhow::Result<usize> {
    let mut count = 0;
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            count += parse(&path)?;
        } else if path.extension().is_some_and(|extension| extension == "ndjson") {
            let mut reader = BufReader::with_capacity(1 << 17, std::fs::File::open(&path)?);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line)? > 0 {
                std::hint::black_box(serde_json::from_slice::<Value>(&line)?);
                line.clear();
                count += 1;
            }
        } else {
            std::hint::black_box(serde_json::from_slice::<Value>(&std::fs::read(&path)?)?);
            count += 1;
        }
    }
    Ok(count)
}

/// An incident whose lines, series and records are repeated.
struct Base {
    files: BTreeMap<String, Vec<u8>>,
    lines: Vec<Value>,
    records: Vec<Value>,
    queries: Vec<Value>,
    results: Vec<Value>,
}

fn base(home: &Path) -> anyhow::Result<Base> {
    let incident = generator::generate(SEED, 100)
        .find(|incident| {
            let has = |ending: &str| incident.files.keys().any(|name| name.ends_with(ending));
            incident.truth.cause.contains(&"deployment") && has("versions.json") && has("logs.ndjson")
        })
        .context("an incident with functions and logs")?;
    incident.write(home)?;
    println!(
        "repeated: {} ({}), whose service has {} keys",
        incident.name,
        incident.family,
        incident.keys.len()
    );
    let parsed = |name: &str| -> anyhow::Result<Value> {
        serde_json::from_slice(incident.files.get(name).with_context(|| name.to_owned())?)
            .with_context(|| name.to_owned())
    };
    let list = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
    let lines = incident.files["logs.ndjson"].split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let lines = lines.map(serde_json::from_slice).collect::<Result<Vec<Value>, _>>()?;
    let (trail, metrics) = (parsed("cloudtrail.json")?, parsed("metrics.json")?);
    Ok(Base {
        lines,
        records: list(&trail, "Records"),
        queries: list(&metrics, "MetricDataQueries"),
        results: list(&metrics, "MetricDataResults"),
        files: incident.files,
    })
}

impl Base {
    fn write(&self, home: &Path, lines: usize, series: usize, records: usize) -> anyhow::Result<PathBuf> {
        let folder = home.join(format!("{lines}-{series}-{records}"));
        for (name, content) in &self.files {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().context("a folder")?)?;
            std::fs::write(path, content)?;
        }
        let mut out = BufWriter::new(std::fs::File::create(folder.join("logs.ndjson"))?);
        for at in 0..lines {
            let mut line = self.lines[at % self.lines.len()].clone();
            // A little earlier each time, so that no line repeats another one.
            for key in ["timestamp", "ingestionTime"] {
                if let Some(time) = line[key].as_i64() {
                    line[key] = json!(time - (at / self.lines.len()) as i64 * 7 % 60_000);
                }
            }
            serde_json::to_writer(&mut out, &line)?;
            out.write_all(b"\n")?;
        }
        out.flush()?;
        let records: Vec<Value> = (0..records).map(|at| self.record(at)).collect();
        std::fs::write(folder.join("cloudtrail.json"), json!({"Records": records}).to_string())?;
        let (mut queries, mut results) = (Vec::new(), Vec::new());
        for at in 0..series {
            let (mut query, mut result) = (
                self.queries[at % self.queries.len()].clone(),
                self.results[at % self.results.len()].clone(),
            );
            let id = json!(format!("n{at}"));
            (query["Id"], result["Id"]) = (id.clone(), id);
            let again = at / self.queries.len();
            if again > 0
                && let Some(name) = query["MetricStat"]["Metric"]["MetricName"].as_str()
            {
                query["MetricStat"]["Metric"]["MetricName"] = json!(format!("{name}{again}"));
            }
            queries.push(query);
            results.push(result);
        }
        let metrics = json!({"MetricDataQueries": queries, "MetricDataResults": results});
        std::fs::write(folder.join("metrics.json"), metrics.to_string())?;
        Ok(folder)
    }

    /// Half of the repeated calls are about the same functions again, half about others.
    fn record(&self, at: usize) -> Value {
        let again = at / self.records.len();
        let mut record = self.records[at % self.records.len()].clone();
        if again == 0 {
            return record;
        }
        record["eventID"] = json!(format!("{at:08x}-0000-4000-8000-000000000000"));
        if let Some(time) = record["eventTime"].as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok())
        {
            let earlier = jiff::SignedDuration::from_secs(again as i64 * 61 % 86_400);
            record["eventTime"] = json!(time.checked_sub(earlier).unwrap_or(time).to_string());
        }
        if again.is_multiple_of(2)
            && let Some(name) = record["requestParameters"]["functionName"].as_str()
        {
            record["requestParameters"]["functionName"] = json!(format!("{name}-{}", again % 501));
        }
        record
    }
}
