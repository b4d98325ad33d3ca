//! Scores `level_shifts` on series that several people annotated, in the format of the Turing Change
//! Point Dataset (van den Burg and Williams 2020, arXiv:2003.06222).
//!
//! `cargo bench --bench shifts_tcpd -- FOLDER`: the folder holds `annotations.json` and one JSON file a
//! series. Nothing of the data is kept here. F1 has a margin of 5; precision counts against the union
//! of the annotators, recall is their mean; covering is the mean over annotators of the weighted best
//! overlap. Index 0 counts as a change for everybody, as in the paper. Fails below F1 0.79 or covering 0.76.

use std::collections::BTreeSet;
use std::path::Path;

use incident_commander::analysis::shifts::level_shifts;
use serde_json::Value;

const MARGIN: usize = 5;
/// The least means over all series.
const LEAST_F1: f64 = 0.79;
const LEAST_COVERING: f64 = 0.76;

fn main() {
    let folder = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    let Some(folder) = folder else {
        println!("shifts_tcpd: give the folder of the series as an argument; nothing measured");
        return;
    };
    if let Err(error) = run(Path::new(&folder)) {
        eprintln!("shifts_tcpd: {error}");
        std::process::exit(1);
    }
}

fn run(folder: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let read = |name: &Path| -> Result<Value, Box<dyn std::error::Error>> {
        Ok(serde_json::from_str(&std::fs::read_to_string(name)?)?)
    };
    let annotations = read(&folder.join("annotations.json"))?;
    let mut rows = Vec::new();
    println!(
        "{:<24}{:>6}{:>8}{:>10}{:>8}{:>10}  found",
        "series", "n", "F1", "covering", "F1 none", "cov. none"
    );
    for (name, people) in annotations.as_object().into_iter().flatten() {
        let series = read(&folder.join(format!("{name}.json")))?;
        let values: Vec<f64> = series["series"][0]["raw"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|value| value.as_f64().unwrap_or(f64::NAN))
            .collect();
        let people: Vec<BTreeSet<usize>> = people
            .as_object()
            .into_iter()
            .flatten()
            .map(|(_, marks)| {
                marks
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_u64)
                    .map(|at| at as usize)
                    .collect()
            })
            .collect();
        let shifts = level_shifts(&values);
        let found: BTreeSet<usize> = shifts.iter().map(|shift| shift.index).collect();
        let none = BTreeSet::new();
        let row = [
            f1(&people, &found),
            covering(&people, &found, values.len()),
            f1(&people, &none),
            covering(&people, &none, values.len()),
        ];
        let told: Vec<String> =
            shifts.iter().map(|shift| format!("{}:{:.2}", shift.index, shift.probability)).collect();
        println!(
            "{name:<24}{:>6}{:>8.3}{:>10.3}{:>8.3}{:>10.3}  {}",
            values.len(),
            row[0],
            row[1],
            row[2],
            row[3],
            told.join(" ")
        );
        rows.push(row);
    }
    let mean = |column: usize| rows.iter().map(|row| row[column]).sum::<f64>() / rows.len().max(1) as f64;
    println!("{:<24}{:>6}{:>8.3}{:>10.3}{:>8.3}{:>10.3}", "mean", "", mean(0), mean(1), mean(2), mean(3));
    println!("\n90 % of resamples of the series lie between:");
    for (label, column) in [("F1", 0), ("covering", 1)] {
        let (low, high) = bootstrap(&rows.iter().map(|row| row[column]).collect::<Vec<_>>());
        let (less, more) =
            bootstrap(&rows.iter().map(|row| row[column] - row[column + 2]).collect::<Vec<_>>());
        println!("{label:<10}{low:>7.3} and {high:.3}; gain over saying nothing {less:>7.3} and {more:.3}");
    }
    let (f1, covering) = (mean(0), mean(1));
    if f1 < LEAST_F1 || covering < LEAST_COVERING {
        return Err(format!("below F1 {LEAST_F1} or covering {LEAST_COVERING}").into());
    }
    Ok(())
}

/// 5 % and 95 % quantiles of the mean over resampled series.
fn bootstrap(values: &[f64]) -> (f64, f64) {
    if values.is_empty() {
        return (0.0, 0.0);
    }
    let mut random = fastrand::Rng::with_seed(1);
    let mut means: Vec<f64> = (0..4000)
        .map(|_| {
            (0..values.len()).map(|_| values[random.usize(..values.len())]).sum::<f64>() / values.len() as f64
        })
        .collect();
    means.sort_by(f64::total_cmp);
    (means[200], means[3799])
}

fn f1(people: &[BTreeSet<usize>], found: &BTreeSet<usize>) -> f64 {
    let found: BTreeSet<usize> = found.iter().copied().chain([0]).collect();
    let union: BTreeSet<usize> = people.iter().flatten().copied().chain([0]).collect();
    let precision = matched(&union, &found) as f64 / found.len() as f64;
    let recall = people
        .iter()
        .map(|marks| {
            let marks: BTreeSet<usize> = marks.iter().copied().chain([0]).collect();
            matched(&marks, &found) as f64 / marks.len() as f64
        })
        .sum::<f64>()
        / people.len().max(1) as f64;
    if precision + recall == 0.0 { 0.0 } else { 2.0 * precision * recall / (precision + recall) }
}

/// How many true marks have a found one within the margin, each found one used once.
fn matched(truth: &BTreeSet<usize>, found: &BTreeSet<usize>) -> usize {
    let mut left = found.clone();
    truth
        .iter()
        .filter(|mark| {
            let near = left
                .iter()
                .copied()
                .filter(|at| at.abs_diff(**mark) <= MARGIN)
                .min_by_key(|at| at.abs_diff(**mark));
            near.is_some_and(|at| left.remove(&at))
        })
        .count()
}

fn covering(people: &[BTreeSet<usize>], found: &BTreeSet<usize>, count: usize) -> f64 {
    let ours = parts(found, count);
    let one = |marks: &BTreeSet<usize>| {
        parts(marks, count)
            .iter()
            .map(|truth| {
                let best = ours
                    .iter()
                    .map(|part| {
                        let overlap = truth.1.min(part.1).saturating_sub(truth.0.max(part.0)) as f64;
                        overlap / (truth.1.max(part.1) - truth.0.min(part.0)) as f64
                    })
                    .fold(0.0, f64::max);
                best * (truth.1 - truth.0) as f64 / count as f64
            })
            .sum::<f64>()
    };
    people.iter().map(one).sum::<f64>() / people.len().max(1) as f64
}

fn parts(marks: &BTreeSet<usize>, count: usize) -> Vec<(usize, usize)> {
    let mut edges: Vec<usize> = marks.iter().copied().filter(|mark| (1..count).contains(mark)).collect();
    edges.insert(0, 0);
    edges.push(count);
    edges.windows(2).map(|pair| (pair[0], pair[1])).collect()
}
