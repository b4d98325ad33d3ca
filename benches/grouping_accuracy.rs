//! Prints the grouping accuracy of the template miner for a folder of log sets: the share of lines
//! whose group is exactly the true group (Zhu et al., Tools and Benchmarks for Automated Log
//! Parsing, ICSE-SEIP 2019). One default configuration for all sets.
//!
//! Fails below a mean of 0.965 on messages and 0.93 on raw lines, where all sets are measured.
//!
//! `cargo bench --bench grouping_accuracy -- FOLDER [--errors] [SET…]`; a set is a folder `NAME` with
//! `NAME_2k.log` and `NAME_2k.log_structured.csv` (columns `Content` and `EventId`). The sets are
//! not part of this project.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::process::ExitCode;

use incident_commander::analysis::templates::{Miner, Options};

/// The least mean over all sets.
const ON_MESSAGES: f64 = 0.965;
const ON_LINES: f64 = 0.93;

fn main() -> ExitCode {
    let mut arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let with_errors = arguments.iter().any(|argument| argument == "--errors");
    arguments.retain(|argument| argument != "--errors");
    let Some((folder, wanted)) = arguments.split_first() else {
        println!("grouping_accuracy: name a folder of log sets to measure");
        return ExitCode::SUCCESS;
    };
    match measure(Path::new(folder), wanted, with_errors) {
        Ok((messages, lines)) if wanted.is_empty() && (messages < ON_MESSAGES || lines < ON_LINES) => {
            eprintln!("grouping_accuracy: below {ON_MESSAGES} on messages or {ON_LINES} on raw lines");
            ExitCode::FAILURE
        }
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("grouping_accuracy: {folder}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The means on messages and on raw lines.
fn measure(folder: &Path, wanted: &[String], with_errors: bool) -> std::io::Result<(f64, f64)> {
    let mut names: Vec<String> = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    names.retain(|name| wanted.is_empty() || wanted.contains(name));
    let mut sums = (0.0, 0.0, 0.0);
    println!("{:<14} {:>8} {:>8}", "set", "message", "raw line");
    for name in &names {
        let stem = folder.join(name).join(format!("{name}_2k.log"));
        let table = std::fs::read_to_string(format!("{}_structured.csv", stem.display()))?;
        let raw = std::fs::read(&stem)?;
        let rows = parse_csv(&table);
        let Some((head, rows)) = rows.split_first() else { continue };
        let column = |wanted: &str| head.iter().position(|name| name == wanted).unwrap_or(usize::MAX);
        let (content, event) = (column("Content"), column("EventId"));
        let cell = |row: &'_ Vec<String>, at: usize| row.get(at).cloned().unwrap_or_default();
        let messages: Vec<String> = rows.iter().map(|row| cell(row, content)).collect();
        let truth: Vec<String> = rows.iter().map(|row| cell(row, event)).collect();
        let lines: Vec<String> = raw
            .split(|byte| *byte == b'\n')
            .take(truth.len())
            .map(|line| String::from_utf8_lossy(line).trim_end().to_owned())
            .collect();
        let on_messages = accuracy(&messages, &truth, with_errors.then_some("message"));
        let on_lines = accuracy(&lines, &truth, with_errors.then_some("raw"));
        println!("{name:<14} {on_messages:>8.4} {on_lines:>8.4}");
        sums = (sums.0 + on_messages, sums.1 + on_lines, sums.2 + 1.0);
    }
    println!("{:<14} {:>8.4} {:>8.4}", "mean", sums.0 / sums.2, sums.1 / sums.2);
    Ok((sums.0 / sums.2, sums.1 / sums.2))
}

fn accuracy(lines: &[String], truth: &[String], show: Option<&str>) -> f64 {
    let mut miner = Miner::new(Options::default());
    let learned: Vec<_> = lines.iter().map(|line| miner.learn(line)).collect();
    miner.settle();
    let predicted: Vec<_> = learned.into_iter().map(|id| miner.resolve(id)).collect();
    let mut of_truth: HashMap<&str, BTreeSet<usize>> = HashMap::new();
    let mut of_prediction: BTreeMap<_, BTreeSet<usize>> = BTreeMap::new();
    for (line, (true_id, id)) in truth.iter().zip(&predicted).enumerate() {
        of_truth.entry(true_id).or_default().insert(line);
        of_prediction.entry(*id).or_default().insert(line);
    }
    let mut right = 0;
    for group in of_prediction.values() {
        let first = group.iter().next().copied().unwrap_or_default();
        if of_truth.get(truth[first].as_str()) == Some(group) {
            right += group.len();
        }
    }
    if let Some(label) = show {
        for (true_id, group) in &of_truth {
            let ids: BTreeSet<_> = group.iter().map(|line| predicted[*line]).collect();
            let exact = ids.len() == 1 && ids.iter().all(|id| of_prediction[id].len() == group.len());
            if !exact {
                println!(
                    "  {label}: {true_id} of {} lines is spread over {} templates:",
                    group.len(),
                    ids.len()
                );
                for id in ids.iter().take(8) {
                    let here = of_prediction[id].intersection(group).count();
                    println!("    {here} of {}: {:.200}", of_prediction[id].len(), miner.template(*id));
                }
            }
        }
    }
    right as f64 / truth.len().max(1) as f64
}

/// Rows of comma-separated values with quotes, as RFC 4180 has them.
fn parse_csv(text: &str) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let (mut row, mut cell, mut quoted) = (Vec::new(), String::new(), false);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                cell.push('"');
                characters.next();
            }
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut cell)),
            '\n' if !quoted => {
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            '\r' if !quoted => {}
            other => cell.push(other),
        }
    }
    if !cell.is_empty() || !row.is_empty() {
        row.push(cell);
        rows.push(row);
    }
    rows
}
