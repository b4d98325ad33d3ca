//! Checks on bundles what must not change a verdict: `cargo run --release --example metamorphic -- DIR…`.
//!
//! Clocks are shifted, the service is renamed, lines and records are shuffled and doubled, unrelated changes of fourteen
//! kinds are added at the onset and before the alert, as are an unrelated service and log group, and each file is
//! removed in turn, broken off, or thinned out. Prints what does not hold, and exits 1 if anything does not.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;

#[path = "../tests/it/metamorphic/mod.rs"]
mod metamorphic;

use metamorphic::{Files, Outcome, Strangers, check};

/// Every folder below DIR that holds a `bundle.json` is checked.
#[derive(Parser)]
struct Arguments {
    /// Chooses how log lines are shuffled.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Add unrelated changes of two kinds that the seed chooses, not of all.
    #[arg(long)]
    quick: bool,
    #[arg(required = true)]
    directories: Vec<PathBuf>,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let mut bundles = Vec::new();
    for directory in &arguments.directories {
        find(directory, &mut bundles).with_context(|| format!("reading {}", directory.display()))?;
    }
    bundles.sort();
    anyhow::ensure!(!bundles.is_empty(), "no folder there holds a bundle.json");
    let strangers = if arguments.quick { Strangers::Two } else { Strangers::All };
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let part = bundles.len().div_ceil(workers);
    let outcomes: Vec<anyhow::Result<Outcome>> = std::thread::scope(|scope| {
        let parts: Vec<_> = bundles
            .chunks(part)
            .map(|part| {
                scope.spawn(|| {
                    part.iter().map(|home| one(home, arguments.seed, strangers)).collect::<Vec<_>>()
                })
            })
            .collect();
        parts
            .into_iter()
            .flat_map(|part| part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    let (mut kept, mut removed, mut flips, mut surer) = (0, 0, 0, 0);
    for outcome in outcomes {
        let outcome = outcome?;
        kept += outcome.kept;
        removed += outcome.removed;
        let of_removal =
            outcome.breaches.iter().filter(|breach| breach.property.ends_with("it is surer")).count();
        surer += of_removal;
        flips += outcome.breaches.len() - of_removal;
    }
    println!("{} bundles: {flips} of {kept} retellings flip the verdict", bundles.len());
    println!(
        "{surer} of {removed} sources that are removed, broken off or thinned out make the same verdict surer by more than 0.02"
    );
    Ok(if flips + surer == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn one(home: &Path, seed: u64, strangers: Strangers) -> anyhow::Result<Outcome> {
    let mut files = Files::new();
    load(home, home, &mut files).with_context(|| format!("reading {}", home.display()))?;
    let outcome = check(&files, seed, strangers).with_context(|| home.display().to_string())?;
    for breach in &outcome.breaches {
        println!("{}: {breach}", home.file_name().unwrap_or_default().to_string_lossy());
    }
    Ok(outcome)
}

fn find(folder: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if folder.join("bundle.json").is_file() {
        found.push(folder.to_owned());
        return Ok(());
    }
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            find(&path, found)?;
        }
    }
    Ok(())
}

fn load(home: &Path, folder: &Path, files: &mut Files) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            load(home, &path, files)?;
        } else if path.file_name().is_some_and(|name| name != "truth.json") {
            let name = path.strip_prefix(home)?.to_string_lossy().into_owned();
            files.insert(name, std::fs::read(&path)?);
        }
    }
    Ok(())
}
