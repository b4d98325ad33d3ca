//! Fuzzes every parser that a stranger reaches, for so many seconds each.
//!
//! ```sh
//! cargo run --example fuzz -- --seconds 2             # all of them, as CI does
//! cargo run --example fuzz -- --seconds 60 alert sns  # two of them for a minute each
//! cargo run --example fuzz -- --replay FILE alert     # one input again
//! ```
//!
//! The rule that is not obvious: there is no coverage to steer by on a stable compiler. What steers is what a parser
//! answers: an input whose answer has a shape that was not seen before is kept, and later ones are made of it. An
//! input that makes a parser panic, or take seconds, is written to `target/fuzz/` and the run fails.

mod mutate;
mod seeds;
mod targets;

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use mutate::Mutator;
use targets::{TARGETS, Target};

/// Larger inputs are cut: what is quadratic shows below this already.
const INPUT_MAX: usize = 64 * 1024;
/// So many inputs are kept to make others of.
const KEPT_MAX: usize = 2_000;
/// A parser that needs as long for 64 kB in a debug build on a busy machine is not linear.
const SLOW: Duration = Duration::from_secs(20);

struct Options {
    seconds: u64,
    seed: u64,
    replay: Option<PathBuf>,
    names: Vec<String>,
}

fn options() -> Result<Options, String> {
    let mut options = Options { seconds: 2, seed: 1, replay: None, names: Vec::new() };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
        let number = |text: String| text.parse::<u64>().map_err(|error| format!("{text}: {error}"));
        match argument.as_str() {
            "--seconds" => options.seconds = number(value()?)?,
            "--seed" => options.seed = number(value()?)?,
            "--replay" => options.replay = Some(value()?.into()),
            name if TARGETS.iter().any(|target| target.name == name) => options.names.push(argument),
            other => {
                let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
                return Err(format!("{other} is no target: {}", names.join(", ")));
            }
        }
    }
    Ok(options)
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(error) => {
            eprintln!("fuzz: {error}");
            return ExitCode::from(2);
        }
    };
    // The panic's own message comes with the input that made it.
    let chosen = TARGETS
        .iter()
        .filter(|target| options.names.is_empty() || options.names.iter().any(|name| name == target.name));
    let mut failed = 0;
    let mut ran = 0;
    for target in chosen {
        ran += 1;
        let outcome = match &options.replay {
            Some(file) => replay(target, file),
            None => run(target, &options),
        };
        if let Err(finding) = outcome {
            failed += 1;
            println!("{:16} FOUND {finding}", target.name);
        }
    }
    println!("{} passed, {failed} failed", ran - failed);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn replay(target: &Target, file: &Path) -> Result<(), String> {
    let input = fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let begin = Instant::now();
    let answer = (target.parse)(&input);
    println!("{}: {:.3} s: {}", target.name, begin.elapsed().as_secs_f64(), shape(&answer));
    Ok(())
}

fn run(target: &Target, options: &Options) -> Result<(), String> {
    let begin = Instant::now();
    let budget = Duration::from_secs(options.seconds);
    let mut mutator = Mutator::new(options.seed ^ name_seed(target.name));
    let mut kept: Vec<Vec<u8>> = Vec::new();
    let mut shapes = BTreeSet::new();
    let (mut inputs, mut slowest) = (0_u64, Duration::ZERO);
    let seeds = seeds::of(target.name);
    let mut waiting: Vec<Vec<u8>> =
        seeds.iter().map(|seed| seed[..seed.len().min(INPUT_MAX)].to_vec()).collect();
    while begin.elapsed() < budget || !waiting.is_empty() {
        let input = waiting.pop().unwrap_or_else(|| mutator.next(&kept, INPUT_MAX));
        let before = Instant::now();
        let answer = catch_unwind(AssertUnwindSafe(|| (target.parse)(&input)));
        let took = before.elapsed();
        inputs += 1;
        slowest = slowest.max(took);
        match answer {
            Err(_) => return Err(format!("a panic by {}", keep_finding(target.name, &input))),
            Ok(_) if took > SLOW => {
                return Err(format!("{:.1} s by {}", took.as_secs_f64(), keep_finding(target.name, &input)));
            }
            Ok(answer) => {
                if kept.len() < KEPT_MAX && shapes.insert(shape(&answer)) {
                    kept.push(input);
                }
            }
        }
    }
    println!(
        "{:16} {inputs:>8} inputs, {:>5} shapes, slowest {:.3} s",
        target.name,
        shapes.len(),
        slowest.as_secs_f64()
    );
    Ok(())
}

/// An answer without what is particular to one input: runs of digits and of letters that are no words of ours
/// become one character each.
fn shape(answer: &str) -> String {
    let mut shape = String::new();
    let mut last = ' ';
    for character in answer.chars().take(2_000) {
        let kind = match character {
            c if c.is_ascii_digit() => '0',
            c if c.is_lowercase() => 'a',
            c if c.is_uppercase() => 'A',
            c if c.is_alphanumeric() || !c.is_ascii() => 'x',
            c => c,
        };
        if kind != last || !matches!(kind, '0' | 'a' | 'x' | 'A') {
            shape.push(kind);
        }
        last = kind;
        if shape.len() > 300 {
            break;
        }
    }
    shape
}

fn name_seed(name: &str) -> u64 {
    name.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn keep_finding(name: &str, input: &[u8]) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/fuzz");
    let sum = input.iter().fold(0_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)));
    let file = folder.join(format!("{name}-{sum:016x}"));
    match fs::create_dir_all(&folder).and_then(|()| fs::write(&file, input)) {
        Ok(()) => format!("{} (again: --replay FILE {name})", file.display()),
        Err(error) => format!("an input that could not be kept: {error}"),
    }
}
