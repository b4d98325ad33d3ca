//! Fuzzes every parser that a stranger reaches, for so many seconds each, several of them at the same time.
//!
//! ```sh
//! cargo run --example fuzz -- --seconds 60            # all of them, as CI does
//! cargo run --example fuzz -- --seconds 60 alert sns  # two of them for a minute each
//! cargo run --example fuzz -- --replay FILE alert     # one input again
//! cargo run --example fuzz -- --beginnings FOLDER     # the inputs that it begins with, for `fuzz/`
//! ```
//!
//! The rule that is not obvious: nothing is built with flags of its own, so that CI spends its minutes on inputs and not
//! on a build; `tests/soak/guided.sh` steers by coverage, for hours. What steers here is what a parser answers: an
//! input whose answer has a shape that was not seen before is kept, and later ones are made of it. An input that
//! makes a parser panic, or take seconds, is written to `target/fuzz/` and the run fails. The input that a parser is at
//! is always there too, under a name that ends in `.running`: whoever overflows the stack, is killed for its memory,
//! or never answers, leaves it behind.

mod mutate;
mod seeds;
mod targets;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::num::NonZero;
use std::os::unix::fs::FileExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use mutate::Mutator;
use targets::{TARGETS, Target};

/// Larger inputs are cut: what is quadratic shows below this already.
const INPUT_MAX: usize = 64 * 1024;
/// So many inputs are kept to make others of.
const KEPT_MAX: usize = 2_000;
/// A parser that needs as long for 64 kB in a debug build on a busy machine is not linear.
const SLOW: Duration = Duration::from_secs(20);
/// At the lowest priority beside two builds the slowest parser reads a thousand inputs in a minute. Where hardly any was made
/// of those that it begins with, that nothing was found says nothing.
const MADE_A_MINUTE_MIN: u64 = 100;
/// And one that needs as long as this is not waited for.
const STUCK: Duration = Duration::from_mins(2);
/// Between two looks at whether a parser still answers.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// What a thread of the bot's own runtime has.
const STACK: usize = 2 * 1024 * 1024;

struct Options {
    seconds: u64,
    seed: u64,
    at_once: usize,
    replay: Option<PathBuf>,
    beginnings: Option<PathBuf>,
    names: Vec<String>,
}

fn options() -> Result<Options, String> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let names = Vec::new();
    let mut options = Options { seconds: 2, seed: 1, at_once: cores, replay: None, beginnings: None, names };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
        let number = |text: String| text.parse::<u64>().map_err(|error| format!("{text}: {error}"));
        match argument.as_str() {
            "--seconds" => options.seconds = number(value()?)?,
            "--seed" => options.seed = number(value()?)?,
            "--at-once" => options.at_once = number(value()?)?.max(1) as usize,
            "--replay" => options.replay = Some(value()?.into()),
            "--beginnings" => options.beginnings = Some(value()?.into()),
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
    match options().and_then(|options| fuzz(&options)) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("fuzz: {error}");
            ExitCode::from(2)
        }
    }
}

/// How many targets failed.
fn fuzz(options: &Options) -> Result<usize, String> {
    let is_chosen =
        |target: &&Target| options.names.is_empty() || options.names.iter().any(|name| name == target.name);
    let chosen: Vec<&'static Target> = TARGETS.iter().filter(is_chosen).collect();
    if let Some(file) = &options.replay {
        chosen.iter().try_for_each(|target| replay(target, file))?;
        return Ok(0);
    }
    if let Some(folder) = &options.beginnings {
        write_beginnings(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        return Ok(0);
    }
    fs::create_dir_all(folder()).map_err(|error| format!("{}: {error}", folder().display()))?;
    let (next, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..options.at_once {
            scope.spawn(|| {
                while let Some(&target) = chosen.get(next.fetch_add(1, Ordering::SeqCst)) {
                    // A line each, written at once: nobody's words come between.
                    match watched(target, options) {
                        Ok(figures) => println!("{:16} {figures}", target.name),
                        Err(finding) => {
                            failed.fetch_add(1, Ordering::SeqCst);
                            println!("{:16} FOUND {finding}", target.name);
                        }
                    }
                }
            });
        }
    });
    let failed = failed.into_inner();
    println!("{} passed, {failed} failed", chosen.len() - failed);
    Ok(failed)
}

fn replay(target: &Target, file: &Path) -> Result<(), String> {
    let input = fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let begin = Instant::now();
    let answer = (target.parse)(&input);
    println!("{}: {:.3} s: {}", target.name, begin.elapsed().as_secs_f64(), shape(&answer));
    Ok(())
}

/// A folder for each target with what it begins with, and the words that parsers know as libFuzzer reads them.
fn write_beginnings(folder: &Path) -> io::Result<()> {
    for target in TARGETS {
        let inputs = folder.join(target.name);
        fs::create_dir_all(&inputs)?;
        for (number, seed) in seeds::of(target.name).iter().enumerate() {
            fs::write(inputs.join(number.to_string()), seed)?;
        }
    }
    let byte = |byte: u8| format!("\\x{byte:02x}");
    let quoted = |word: &&str| format!("\"{}\"\n", word.bytes().map(byte).collect::<Vec<_>>().concat());
    fs::write(folder.join("words"), mutate::TOKENS.iter().map(quoted).collect::<Vec<_>>().concat())
}

/// Runs a target on a thread of its own, whose name a panic tells, with the stack that it has in the bot.
fn watched(target: &'static Target, options: &Options) -> Result<String, String> {
    let begin = Instant::now();
    let begun_at = AtomicU64::new(0);
    let since_begin = || begin.elapsed().as_millis() as u64;
    let running = Running::open(target.name).map_err(|error| format!("an input cannot be kept: {error}"))?;
    thread::scope(|scope| {
        let (tell, told) = channel();
        let (begun_at, since_begin, running) = (&begun_at, &since_begin, &running);
        let fuzzed = thread::Builder::new().name(target.name.to_owned()).stack_size(STACK).spawn_scoped(
            scope,
            move || {
                let beginning = || begun_at.store(since_begin(), Ordering::SeqCst);
                let _ = tell.send(run(target, options, running, &beginning));
            },
        );
        fuzzed.map_err(|error| format!("no thread: {error}"))?;
        loop {
            match told.recv_timeout(LOOK_EVERY) {
                Ok(outcome) => {
                    running.close();
                    return outcome;
                }
                Err(RecvTimeoutError::Disconnected) => return Err("the thread ended".to_owned()),
                Err(RecvTimeoutError::Timeout) => {
                    let took = since_begin().saturating_sub(begun_at.load(Ordering::SeqCst));
                    if took > STUCK.as_millis() as u64 {
                        // A thread cannot be ended from outside: the whole run is.
                        let path = running.path.display();
                        println!("{:16} FOUND no answer for {} s by {path}", target.name, took / 1000);
                        std::process::exit(1);
                    }
                }
            }
        }
    })
}

/// The input that a parser is at, on disk.
struct Running {
    path: PathBuf,
    file: File,
}

impl Running {
    fn open(name: &str) -> io::Result<Self> {
        let path = folder().join(format!("{name}.running"));
        Ok(Self { file: File::create(&path)?, path })
    }

    fn note(&self, input: &[u8]) -> io::Result<()> {
        self.file.write_all_at(input, 0)?;
        self.file.set_len(input.len() as u64)
    }

    fn close(&self) {
        // One that stays tells of nothing: its target has ended.
        drop(fs::remove_file(&self.path));
    }
}

fn run(
    target: &Target,
    options: &Options,
    running: &Running,
    beginning: &impl Fn(),
) -> Result<String, String> {
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
        running.note(&input).map_err(|error| format!("an input cannot be kept: {error}"))?;
        beginning();
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
    let (made, wanted) = (inputs - seeds.len() as u64, options.seconds / 60 * MADE_A_MINUTE_MIN);
    if made < wanted {
        return Err(format!("nothing, by {made} inputs of its own: {wanted} would tell something"));
    }
    let slowest = slowest.as_secs_f64();
    Ok(format!("{inputs:>8} inputs, {:>5} shapes, slowest {slowest:.3} s", shapes.len()))
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

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/fuzz")
}

fn keep_finding(name: &str, input: &[u8]) -> String {
    let sum = input.iter().fold(0_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)));
    let file = folder().join(format!("{name}-{sum:016x}"));
    match fs::write(&file, input) {
        Ok(()) => format!("{} (again: --replay FILE {name})", file.display()),
        Err(error) => format!("an input that could not be kept: {error}"),
    }
}
