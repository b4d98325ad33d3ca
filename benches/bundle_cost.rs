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
/// What must hold: at most so many times as long as parsing, less memory than this at its peak, and a
/// cost that grows at most with this power of the size (1 is linear; the rest is caches that are too small).
const RATIO: f64 = 4.0;
const MEGABYTES: f64 = 200.0;
const POWER: f64 = 1.15;

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
    let mut missed = Vec::new();
    println!(
        "{:<46}{:>8}{:>10}{:>11}{:>10}{:>14}",
        "bundle", "parse ms", "engine ms", "ratio", "peak MB", "us an item"
    );
    let ordinary = base.write(home.path(), LINES, SERIES, &base.records(RECORDS))?;
    let cost = row("ordinary: 3,000 lines, 40 series, 300 records", &ordinary, 15, LINES)?;
    expect(&mut missed, cost.ratio <= RATIO, format!("{:.2} times as long as parsing", cost.ratio));
    let lines: &[usize] = if quick { &[10_000, 100_000] } else { &[10_000, 100_000, 300_000, 1_000_000] };
    let mut costs = Vec::new();
    for count in lines {
        let folder = base.write(home.path(), *count, SERIES, &base.records(RECORDS))?;
        let cost = row(&format!("{count} log lines"), &folder, rounds(*count), *count)?;
        let peak = format!("{:.0} MB at {count} log lines", cost.megabytes);
        expect(&mut missed, cost.megabytes < MEGABYTES, peak);
        costs.push((*count, cost));
        std::fs::remove_dir_all(folder)?;
    }
    slope("log lines", &costs, &mut missed);
    type Records = fn(&Base, usize) -> Vec<Value>;
    let kinds: [(&str, Records); 2] = [
        ("records of many resources", Base::records),
        ("records of a few busy resources", Base::busy_records),
    ];
    for (name, records) in kinds {
        let counts: &[usize] = if quick { &[3_000, 9_000] } else { &[3_000, 15_000, 45_000] };
        let mut costs = Vec::new();
        for count in counts {
            let folder = base.write(home.path(), LINES, SERIES, &records(&base, *count))?;
            let cost = row(&format!("{count} {name}"), &folder, rounds(*count), *count)?;
            costs.push((*count, cost));
            std::fs::remove_dir_all(folder)?;
        }
        slope(name, &costs, &mut missed);
    }
    if !missed.is_empty() {
        bail!("over its limits: {}", missed.join("; "));
    }
    println!("all within the limits: {RATIO} times parsing, {MEGABYTES} MB, growth to the power of {POWER}");
    Ok(())
}

fn expect(missed: &mut Vec<String>, holds: bool, what: String) {
    if !holds {
        missed.push(what);
    }
}

fn rounds(count: usize) -> usize {
    (200_000 / count).clamp(1, 9)
}

/// What one more item costs from one size to the next, and the power of growth from the smallest to the largest.
fn slope(what: &str, costs: &[(usize, Cost)], missed: &mut Vec<String>) {
    let (Some((fewest, least)), Some((most, largest))) = (costs.first(), costs.last()) else { return };
    let steps: Vec<String> = costs
        .windows(2)
        .map(|pair| {
            let each = (pair[1].1.seconds - pair[0].1.seconds) * 1e6 / (pair[1].0 - pair[0].0) as f64;
            format!("{each:.2} us each from {} to {}", pair[0].0, pair[1].0)
        })
        .collect();
    let power = (largest.seconds / least.seconds).ln() / (*most as f64 / *fewest as f64).ln();
    println!("  slope, {what}: {}; cost grows to the power of {power:.2}\n", steps.join(", "));
    expect(missed, power <= POWER, format!("{what} to the power of {power:.2}"));
}

/// What one investigation takes.
struct Cost {
    seconds: f64,
    /// Beside parsing.
    ratio: f64,
    /// Peak of the process.
    megabytes: f64,
}

/// Prints one row. Both figures are taken in turns, so that a busy machine is busy for both.
fn row(name: &str, folder: &Path, rounds: usize, items: usize) -> anyhow::Result<Cost> {
    let (parsed, _) = child("--parse", folder, rounds)?;
    let (seconds, peak) = child("--investigate", folder, rounds)?;
    let (parsed_again, _) = child("--parse", folder, rounds)?;
    let parsed = parsed.min(parsed_again);
    let cost = Cost { seconds, ratio: seconds / parsed, megabytes: peak as f64 / 1024.0 };
    println!(
        "{name:<46}{:>8.1}{:>10.1}{:>11.2}{:>10.0}{:>14.2}",
        parsed * 1e3,
        seconds * 1e3,
        cost.ratio,
        cost.megabytes,
        seconds * 1e6 / items as f64
    );
    Ok(cost)
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
    fn write(&self, home: &Path, lines: usize, series: usize, records: &[Value]) -> anyhow::Result<PathBuf> {
        let folder = home.join(format!("{lines}-{series}-{}", records.len()));
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
        let trail = BufWriter::new(std::fs::File::create(folder.join("cloudtrail.json"))?);
        serde_json::to_writer(trail, &json!({"Records": records}))?;
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

    fn records(&self, count: usize) -> Vec<Value> {
        (0..count).map(|at| self.record(at)).collect()
    }

    /// Calls of one person on one of each: a function without an alias, an alias, a container service, a
    /// parameter, a database's static parameters, a group's rules and a stack. Each changes and is changed
    /// back, so all of a kind are compared with one another.
    fn busy_records(&self, count: usize) -> Vec<Value> {
        let who = json!({"type": "IAMUser", "arn": "arn:aws:iam::123456789012:user/pat", "userName": "pat"});
        let last = self.records.iter().filter_map(|record| record["eventTime"].as_str()).max();
        let last: jiff::Timestamp = last.and_then(|text| text.parse().ok()).unwrap_or_default();
        (0..count)
            .map(|at| {
                let turn = at / 8;
                let value = turn % 3;
                let (source, name, request, response) = match at % 8 {
                    0 => ("lambda", "UpdateFunctionConfiguration20150331v2",
                        json!({"functionName": "busy", "timeout": value, "environment": {"variables": {}}}),
                        json!({"functionName": "busy", "timeout": value, "codeSha256": "a"})),
                    1 => ("lambda", "UpdateFunctionCode20150331v2", json!({"functionName": "busy"}),
                        json!({"functionName": "busy", "codeSha256": format!("sha{value}")})),
                    2 => ("lambda", "UpdateAlias20150331",
                        json!({"functionName": "aliased", "name": "live", "functionVersion": turn.to_string()}),
                        json!({"functionVersion": turn.to_string()})),
                    3 => ("ecs", "UpdateService",
                        json!({"cluster": "c", "service": "busy", "taskDefinition": format!("busy:{value}")}),
                        Value::Null),
                    4 => ("ssm", "PutParameter", json!({"name": "/busy/limit", "value": value.to_string()}),
                        json!({"version": turn})),
                    5 => ("rds", "ModifyDBParameterGroup",
                        json!({"dBParameterGroupName": "busy", "parameters": [{"parameterName": "max_connections",
                            "parameterValue": value.to_string(), "applyMethod": "pending-reboot"}]}),
                        Value::Null),
                    6 => ("ec2",
                        if value == 0 { "AuthorizeSecurityGroupIngress" } else { "RevokeSecurityGroupIngress" },
                        json!({"groupId": "sg-1", "ipPermissions": {"items": [{"ipProtocol": "tcp",
                            "fromPort": 443, "toPort": 443, "ipRanges": {"items": [{"cidrIp": "10.0.0.0/8"}]}}]}}),
                        Value::Null),
                    _ => ("cloudformation", "UpdateStack", json!({"stackName": format!("busy-{turn}")}), Value::Null),
                };
                let time = last.checked_sub(jiff::SignedDuration::from_secs(((count - at) as i64) * 2));
                json!({
                    "eventVersion": "1.08", "eventID": format!("{at:08x}-0000-4000-8000-000000000001"),
                    "eventTime": time.unwrap_or(last).to_string(), "eventSource": format!("{source}.amazonaws.com"),
                    "eventName": name, "awsRegion": "us-east-1", "userIdentity": who, "readOnly": false,
                    "requestParameters": request, "responseElements": response,
                })
            })
            .collect()
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
