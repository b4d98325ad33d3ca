//! What comes from outside broken, cut off, twice or without end: a verdict or a clear error, never a
//! panic, and what could not be read is a gap.
//!
//! The rule that is not obvious: the damage is done to whole generated incidents, so that it meets every
//! reader and the engine behind it, and not only a parser.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::OnceLock;

use incident_commander::domain::evidence::Evidence;
use incident_commander::{analysis, bundle, report};
use proptest::prelude::*;
use serde_json::Value;

use crate::generator::{self, Incident};

/// Incidents of different families: functions and containers, with and without a change to blame.
fn bases() -> &'static [Incident] {
    static BASES: OnceLock<Vec<Incident>> = OnceLock::new();
    BASES.get_or_init(|| {
        let mut all: Vec<Incident> = generator::generate(606, 100).collect();
        all.sort_by_key(|incident| incident.files.values().map(Vec::len).sum::<usize>());
        let mut kept: Vec<Incident> = Vec::new();
        for incident in all {
            if kept.len() < 8 && kept.iter().all(|other| other.family != incident.family) {
                kept.push(incident);
            }
        }
        kept
    })
}

/// What is done to one file; places are shares of its length in thousandths.
#[derive(Debug, Clone)]
enum Damage {
    Bytes(Vec<(u16, u8)>),
    Cut(u16),
    Emptied,
    Removed,
    Number { from: u16, instead: &'static str },
    Deep { at: u16, levels: u32 },
    Twice,
    Swapped(u8),
    Inserted { at: u16, bytes: Vec<u8> },
}

const NUMBERS: &[&str] = &[
    "1e308",
    "-1e308",
    "1e999",
    "99999999999999999999999999",
    "-9223372036854775808",
    "18446744073709551615",
    "0",
    "-1",
    "5e-324",
    "null",
    "\"1770379200000\"",
];

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        3 => prop::collection::vec((0..1000_u16, any::<u8>()), 1..12).prop_map(Damage::Bytes),
        2 => (0..1000_u16).prop_map(Damage::Cut),
        1 => Just(Damage::Emptied),
        1 => Just(Damage::Removed),
        4 => (0..1000_u16, prop::sample::select(NUMBERS)).prop_map(|(from, instead)| Damage::Number { from, instead }),
        1 => (0..1000_u16, prop::sample::select(vec![100_u32, 130, 100_000]))
            .prop_map(|(at, levels)| Damage::Deep { at, levels }),
        1 => Just(Damage::Twice),
        1 => any::<u8>().prop_map(Damage::Swapped),
        2 => (0..1000_u16, prop::collection::vec(any::<u8>(), 1..40))
            .prop_map(|(at, bytes)| Damage::Inserted { at, bytes }),
    ]
}

fn place(bytes: &[u8], share: u16) -> usize {
    bytes.len() * usize::from(share) / 1000
}

fn apply(files: &mut BTreeMap<String, Vec<u8>>, name: &str, damage: &Damage) {
    let Some(mut bytes) = files.remove(name) else { return };
    match damage {
        Damage::Removed => return,
        Damage::Bytes(changes) => {
            for (share, value) in changes {
                let at = place(&bytes, *share);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = *value;
                }
            }
        }
        Damage::Cut(share) => bytes.truncate(place(&bytes, *share)),
        Damage::Emptied => bytes.clear(),
        Damage::Number { from, instead } => {
            let start = place(&bytes, *from);
            let digit = |byte: &u8| byte.is_ascii_digit();
            if let Some(found) = bytes[start..].iter().position(digit) {
                let begin = start + found;
                let length = bytes[begin..].iter().take_while(|byte| digit(byte)).count();
                bytes.splice(begin..begin + length, instead.bytes());
            }
        }
        Damage::Deep { at, levels } => {
            let at = place(&bytes, *at);
            bytes.splice(at..at, std::iter::repeat_n(b'[', *levels as usize));
        }
        Damage::Twice => bytes.extend_from_within(..),
        Damage::Swapped(other) => {
            let names: Vec<String> = files.keys().cloned().collect();
            if let Some(other) = names.get(usize::from(*other) % names.len().max(1))
                && let Some(theirs) = files.get_mut(other)
            {
                std::mem::swap(theirs, &mut bytes);
            }
        }
        Damage::Inserted { at, bytes: more } => {
            let at = place(&bytes, *at);
            bytes.splice(at..at, more.iter().copied());
        }
    }
    files.insert(name.to_owned(), bytes);
}

/// Whether a strict reader of one document after the other would refuse a part of the file. Letters that
/// are no UTF-8 are shown as unreadable and lose nothing else.
fn is_broken(name: &str, bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let bytes = text.as_bytes();
    let refuses = |part: &[u8]| {
        serde_json::Deserializer::from_slice(part).into_iter::<Value>().any(|document| document.is_err())
    };
    if Path::new(name).extension().is_some_and(|extension| extension == "ndjson") {
        bytes.split(|byte| *byte == b'\n').any(|line| !line.trim_ascii().is_empty() && refuses(line))
    } else {
        !bytes.trim_ascii().is_empty() && refuses(bytes)
    }
}

/// What every verdict must be, whatever it was derived from.
fn check(evidence: &Evidence) -> Result<(), TestCaseError> {
    let report = analysis::investigate(evidence).report;
    let sum: f64 = report.hypotheses.iter().map(|hypothesis| hypothesis.probability).sum();
    prop_assert!((sum - 1.0).abs() < 1e-6, "{}", sum);
    prop_assert!((0.0..=1.0).contains(&report.verdict.confidence), "{}", report.verdict.confidence);
    for text in [report::markdown(&report), report::text(&report)] {
        prop_assert!(!text.is_empty() && !text.contains("NaN"), "{}", text);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, max_shrink_iters: 40, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_bundle_ends_with_a_verdict_or_a_clear_error(
        base in any::<prop::sample::Index>(),
        damages in prop::collection::vec((any::<prop::sample::Index>(), damage()), 1..4),
    ) {
        let incident = base.get(bases());
        let mut files = incident.files.clone();
        let names: Vec<String> = files.keys().cloned().collect();
        for (file, damage) in &damages {
            let name: &String = file.get(&names);
            apply(&mut files, name, damage);
        }
        match bundle::from_files(&files) {
            Ok(evidence) => {
                check(&evidence)?;
                for name in names.iter().filter(|name| files.get(*name) != incident.files.get(*name)) {
                    let bytes = files.get(name);
                    let lost = bytes.is_none_or(|bytes| is_broken(name, bytes));
                    // A file that is gone is told by its name or by its source: nobody knows how it was called.
                    let source = name.split(['/', '.']).next().unwrap_or_default();
                    let told = evidence.gaps.iter().any(|gap| {
                        gap.reason.contains(name.as_str()) || (bytes.is_none() && gap.source == source)
                    });
                    let shown = bytes.map(|bytes| String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned());
                    prop_assert!(!lost || told, "{}: {:?} {:?}", name, shown, evidence.gaps);
                }
            }
            Err(error) => {
                let text = error.to_string();
                let essential = ["bundle.json", "alert.json"].iter().any(|name| files.get(*name) != incident.files.get(*name));
                prop_assert!(essential && text.contains(".json"), "{}", text);
            }
        }
    }
}

pub fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_incident-commander"))
        .args(arguments)
        .env_clear()
        .output()
        .expect("the program starts")
}

/// Ends by itself with 0, or with 1 or 2 and a reason; never by a panic or a signal.
pub fn ends_well(what: &str, output: &Output) -> bool {
    let told = String::from_utf8_lossy(&output.stderr);
    let code = output.status.code();
    assert!(matches!(code, Some(0..=2)) && !told.contains("panicked"), "{what}: {code:?} {told}");
    assert!(code == Some(0) || told.trim().len() > 10, "{what} fails without a reason");
    code == Some(0)
}

#[test]
fn any_log_has_templates_or_a_clear_error() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let mut random = fastrand::Rng::with_seed(5);
    let long = |text: &str| text.repeat(10_000_000 / text.len()).into_bytes();
    let cases: [(&str, Vec<u8>, u64); 9] = [
        ("empty", Vec::new(), 0),
        ("only line breaks", b"\n\r\n\n".to_vec(), 3),
        (
            "binary",
            (0..200_000).map(|_| random.u8(..)).map(|byte| if byte == b'\n' { 0 } else { byte }).collect(),
            1,
        ),
        ("zeros", vec![0; 100_000], 1),
        ("one line of 10 MB", long("word 17 "), 1),
        ("one word of 10 MB", long("x"), 1),
        ("deep JSON", long("[{\"a\":"), 1),
        ("cut JSON", b"{\"message\": \"half a li".to_vec(), 1),
        ("no UTF-8", b"caf\xe9 \xff\xfe opened\ncaf\xe9 \xff\xfe opened\n".to_vec(), 2),
    ];
    for (what, bytes, lines) in cases {
        let file = folder.path().join("log");
        std::fs::write(&file, bytes).expect("the file can be written");
        let name = file.to_str().expect("a plain name");
        let table = run(&["logs", "templates", name]);
        assert!(ends_well(what, &table), "{what}");
        assert!(String::from_utf8_lossy(&table.stdout).starts_with(&format!("{lines} lines")), "{what}");
        let rows = run(&["logs", "templates", name, "--format", "ndjson"]);
        assert!(ends_well(what, &rows), "{what}");
        let rows = String::from_utf8(rows.stdout).expect("JSON is UTF-8");
        assert_eq!(rows.lines().count() as u64, lines, "{what}");
        assert!(rows.lines().all(|row| serde_json::from_str::<Value>(row).is_ok()), "{what}");
    }
    assert!(!ends_well(
        "a folder",
        &run(&["logs", "templates", folder.path().to_str().expect("a plain name")])
    ));
    assert!(!ends_well("no file", &run(&["logs", "templates", "/does/not/exist"])));
}

#[test]
fn any_series_has_shifts_or_a_clear_error() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let step = |at: i64| if at >= 60 { 9.0 } else { 1.0 + (at % 3) as f64 * 0.1 };
    let rows = |order: &mut dyn Iterator<Item = i64>| -> String {
        order.map(|at| format!("{},{}\n", 1_770_000_000 + at * 60, step(at))).collect::<Vec<_>>().concat()
    };
    let forwards = rows(&mut (0..120));
    let cases: [(&str, String, Option<usize>); 14] = [
        ("empty", String::new(), None),
        ("only a header", "timestamp,value\n".to_owned(), None),
        ("binary", "\u{0}\u{1}\u{2},\u{fffd}\n".repeat(50), None),
        ("no number", "timestamp,value\n1770000000,many\n".to_owned(), None),
        ("one column", "1770000000\n1770000060\n".to_owned(), None),
        ("one point", "1770000000,5\n".to_owned(), Some(0)),
        ("a step", forwards.clone(), Some(1)),
        ("out of order", rows(&mut (0..120).rev()), Some(1)),
        (
            "every row twice",
            forwards.lines().map(|row| format!("{row}\n{row}\n")).collect::<Vec<_>>().concat(),
            Some(1),
        ),
        (
            "only holes",
            (0..120).map(|at| format!("{},NaN\n", 1_770_000_000 + at * 60)).collect::<Vec<_>>().concat(),
            Some(0),
        ),
        (
            "the largest numbers",
            (0..120)
                .map(|at| {
                    format!("{},{}\n", 1_770_000_000 + at * 60, if at < 60 { "1e308" } else { "-1e308" })
                })
                .collect::<Vec<_>>()
                .concat(),
            Some(1),
        ),
        ("no end to time", "1e300,1\n".to_owned(), None),
        ("one time for all", "1770000000,1\n1770000000,2\n1770000000,3\n".repeat(40), Some(0)),
        ("a cell of 10 MB", format!("1770000000,{}\n", "9".repeat(10_000_000)), Some(0)),
    ];
    for (what, text, shifts) in cases {
        let file = folder.path().join("series.csv");
        std::fs::write(&file, text).expect("the file can be written");
        let name = file.to_str().expect("a plain name");
        let output = run(&["metrics", "shift", name, "--format", "json"]);
        let found = ends_well(what, &output).then(|| {
            let value: Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
            value["shifts"].as_array().map_or(usize::MAX, Vec::len)
        });
        assert_eq!(found, shifts, "{what}");
        ends_well(what, &run(&["metrics", "shift", name, "--at", "2026-02-02T03:40:00Z"]));
    }
}

#[test]
fn a_folder_that_is_no_bundle_is_said_to_be_none() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().to_str().expect("a plain name");
    assert!(!ends_well("an empty folder", &run(&["investigate", "--bundle", path])));
    std::fs::write(folder.path().join("bundle.json"), b"[".repeat(100_000)).expect("the file can be written");
    std::fs::write(folder.path().join("alert.json"), b"{}").expect("the file can be written");
    assert!(!ends_well("a deep bundle.json", &run(&["investigate", "--bundle", path])));
    assert!(!ends_well("no folder", &run(&["investigate", "--bundle", "/does/not/exist"])));
}
