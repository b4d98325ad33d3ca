//! Takes the guilty event, and nothing else, out of each bundle with a known truth, and tells the most that
//! any other recorded change is then believed: `cargo run --release --example without_guilty -- DIR…`.
//!
//! The rule that is not obvious: what histories and versions still show of the guilty change stays; a
//! decoy is whatever has an event of its own. Exits 1 where one is believed more than 0.5.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use incident_commander::cli::eval::Truth;
use incident_commander::{analysis, bundle};

/// Every folder below DIR that holds a `truth.json` with guilty events is looked at.
#[derive(Parser)]
struct Arguments {
    #[arg(required = true)]
    directories: Vec<PathBuf>,
}

fn main() -> anyhow::Result<ExitCode> {
    let mut bundles = Vec::new();
    for directory in &Arguments::parse().directories {
        find(directory, &mut bundles).with_context(|| format!("reading {}", directory.display()))?;
    }
    bundles.sort();
    let (mut looked, mut highest, mut over) = (0, 0.0_f64, 0);
    for home in &bundles {
        let truth = Truth::read(&home.join("truth.json"))?;
        if truth.event_ids.is_empty() {
            continue;
        }
        let mut evidence = bundle::read(home).with_context(|| home.display().to_string())?;
        if let Some(trail) = &mut evidence.trail {
            trail.retain(|record| !truth.event_ids.contains(&record.event_id));
        }
        let report = analysis::investigate(&evidence).report;
        let decoy = report
            .hypotheses
            .iter()
            .filter(|hypothesis| hypothesis.event_id.is_some())
            .max_by(|a, b| a.probability.total_cmp(&b.probability));
        let believed = decoy.map_or(0.0, |decoy| decoy.probability);
        let name = home.file_name().unwrap_or_default().to_string_lossy();
        println!("{believed:.2}  {name}: {} {:.2}", report.verdict.cause.as_str(), report.verdict.confidence);
        looked += 1;
        highest = highest.max(believed);
        over += usize::from(believed > 0.5);
    }
    anyhow::ensure!(looked > 0, "no folder there holds a truth with guilty events");
    println!("{over} of {looked} believe another change more than 0.5; the most is {highest:.2}");
    Ok(if over == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn find(folder: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if folder.join("truth.json").is_file() {
        found.push(folder.to_owned());
        return Ok(());
    }
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            find(&entry.path(), found)?;
        }
    }
    Ok(())
}
