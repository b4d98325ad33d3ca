//! Writes generated incidents as bundles, to be scored with `incident-commander eval DIR`.
//!
//! The rule that is not obvious: the incidents of a seed are always the same, and every hundred of
//! them holds each family as often as its weight says.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;

#[path = "../tests/it/generator/mod.rs"]
mod generator;

/// Writes incident bundles with their truth, a folder for each, below DIR.
#[derive(Parser)]
struct Arguments {
    #[arg(long, default_value_t = 7)]
    seed: u64,
    #[arg(long, default_value_t = 400)]
    count: usize,
    /// Only families whose name begins with this.
    #[arg(long, default_value = "")]
    family: String,
    directory: PathBuf,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let mut written = 0;
    let mut keys = 0;
    for incident in generator::generate(arguments.seed, arguments.count) {
        if incident.family.starts_with(&arguments.family) {
            incident.write(&arguments.directory).with_context(|| format!("writing {}", incident.name))?;
            written += 1;
            keys += incident.keys.len();
        }
    }
    println!("{written} incidents with {keys} configuration keys in {}", arguments.directory.display());
    Ok(())
}
