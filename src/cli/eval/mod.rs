//! `eval`: the scoreboard. Every bundle with a `truth.json` below the given folders is investigated
//! and scored, beside two naive rules.
//!
//! The rule that is not obvious: a bundle that cannot be read counts as wrong and is named. Leaving
//! it out would flatter the score.

mod families;
mod invented;
mod naive;
mod score;
mod table;
mod truth;

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::Value;

use crate::analysis;
use crate::bundle;
use crate::domain::report::Report;

pub use families::LeftOut;
pub use score::{Scoreboard, Scored};
pub use truth::Truth;

/// What became of one bundle.
#[derive(Debug)]
pub struct Case {
    pub name: String,
    pub truth: Truth,
    pub outcome: Result<Outcome, String>,
    pub took: Duration,
}

#[derive(Debug)]
pub struct Outcome {
    pub report: Report,
    /// What the rule 'nearest deployment within 30 minutes' says.
    pub nearest: naive::Guess,
    /// Values of the named change that no file of the bundle holds.
    pub invented: Vec<String>,
}

/// Investigates every bundle with a truth below `dirs`. Progress goes to standard error where that is
/// a terminal.
///
/// # Errors
/// When a folder cannot be listed, or nothing with a truth is in any of them.
pub fn run(dirs: &[PathBuf]) -> anyhow::Result<Scoreboard> {
    let mut found = Vec::new();
    for dir in dirs {
        find(dir, 0, &mut found).with_context(|| format!("{} cannot be listed", dir.display()))?;
    }
    found.sort();
    found.dedup();
    anyhow::ensure!(!found.is_empty(), "no bundle with a truth.json is below the given folders");
    let terminal = std::io::stderr().is_terminal();
    let mut cases = Vec::with_capacity(found.len());
    for (index, dir) in found.iter().enumerate() {
        if terminal {
            let _ = write!(
                std::io::stderr(),
                "\r{:>5} of {} {:<60.60}",
                index + 1,
                found.len(),
                dir.display().to_string()
            );
        }
        cases.push(case(dir));
    }
    if terminal {
        let _ = write!(std::io::stderr(), "\r{:80}\r", "");
    }
    Ok(Scoreboard::of(cases))
}

/// The scoreboard for reading, and what leaving families out adds where that was asked for.
pub fn text(board: &Scoreboard, left_out: Option<&LeftOut>) -> String {
    table::text(board) + &left_out.map(families::text).unwrap_or_default()
}

/// The same for scripts.
pub fn json(board: &Scoreboard, left_out: Option<&LeftOut>) -> Value {
    let mut told = table::json(board);
    if let Some(left_out) = left_out {
        told["leave_families_out"] = families::json(left_out);
    }
    told
}

fn case(dir: &Path) -> Case {
    let name =
        dir.file_name().map_or_else(|| dir.display().to_string(), |name| name.to_string_lossy().into_owned());
    let begun = Instant::now();
    let (truth, outcome) = match Truth::read(&dir.join("truth.json")) {
        Ok(truth) => {
            let outcome = bundle::read(dir).map_err(|error| error.to_string()).map(|evidence| {
                let nearest = naive::nearest(&evidence);
                let report = analysis::investigate(&evidence).report;
                let config = report.verdict.change.as_ref().map_or(&[][..], |change| &change.config);
                let invented = invented::values(config, dir);
                Outcome { report, nearest, invented }
            });
            (truth, outcome)
        }
        Err(error) => (Truth::unreadable(), Err(format!("{error:#}"))),
    };
    Case { name, truth, outcome, took: begun.elapsed() }
}

/// Deepest folder that is looked into.
const DEEPEST: usize = 8;

fn find(dir: &Path, depth: usize, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if dir.join("truth.json").is_file() {
        found.push(dir.to_path_buf());
        return Ok(());
    }
    if depth >= DEEPEST {
        return Ok(());
    }
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        // Links could lead round in circles.
        if entry.file_type()?.is_dir() {
            find(&entry.path(), depth + 1, found)?;
        }
    }
    Ok(())
}
