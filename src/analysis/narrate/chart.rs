//! The series for the chart and for judging recovery: failures, latency and requests by minute.

use jiff::Timestamp;

use super::Findings;
use crate::analysis::metrics::entities::{Entity, mean};
use crate::analysis::metrics::{Manner, Measure, Metrics, Track, Trouble, trouble};
use crate::domain::report::Symptoms;

/// Longest history that is drawn, in minutes.
const DRAWN: i64 = 180;

pub fn symptoms(findings: &Findings<'_>) -> Symptoms {
    let symptom = findings.symptom;
    let grid = symptom.grid;
    let from = grid.len.saturating_sub(grid.periods(DRAWN));
    let points = |values: &[Option<f64>]| -> Vec<(Timestamp, f64)> {
        values
            .iter()
            .enumerate()
            .skip(from)
            .filter_map(|(index, value)| value.map(|value| (grid.at(index), value)))
            .collect()
    };
    let of_manner = |manner: Manner| -> Option<&Trouble> {
        [symptom.primary.as_ref(), symptom.second.as_ref()]
            .into_iter()
            .flatten()
            .find(|one| one.manner == manner)
    };
    let own = findings.metrics.and_then(Metrics::own);
    let failing: Option<Vec<Option<f64>>> =
        of_manner(Manner::Failing).map(|one| one.values.clone()).or_else(|| {
            let own = own?;
            trouble::troubles(own).into_iter().find(|one| one.manner == Manner::Failing).map(|one| one.values)
        });
    let failing = failing.or_else(|| own.and_then(quiet_failures));
    let slow = own.and_then(latency_track).map(|track| track.values.clone());
    let demand = own.and_then(Entity::demand).map(|track| track.values.clone());
    let levels = |values: &Option<Vec<Option<f64>>>| -> (Option<f64>, Option<f64>) {
        let Some(values) = values else { return (None, None) };
        if symptom.primary.is_none() {
            return (mean(values), None);
        }
        let end = symptom.end.unwrap_or(values.len()).min(values.len());
        (
            mean(&values[from.min(symptom.begin)..symptom.begin.min(values.len())]),
            values.get(symptom.begin..end).and_then(mean),
        )
    };
    let (baseline_error_rate, incident_error_rate) = levels(&failing);
    let (baseline_latency_p99, incident_latency_p99) = levels(&slow);
    Symptoms {
        error_rate: failing.as_deref().map(points).unwrap_or_default(),
        latency_p99: slow.as_deref().map(points).unwrap_or_default(),
        requests: demand.as_deref().map(points).unwrap_or_default(),
        baseline_error_rate,
        baseline_latency_p99,
        incident_error_rate,
        incident_latency_p99,
    }
}

/// A share of failures that never moved.
fn quiet_failures(own: &Entity) -> Option<Vec<Option<f64>>> {
    let failures = own.of_measure(Measure::Failures).next()?;
    let requests = own.requests_for(failures)?;
    Some(
        failures
            .values
            .iter()
            .zip(requests)
            .map(|(bad, all)| {
                bad.zip(all).filter(|(_, all)| *all > 0.0).map(|(bad, all)| (bad / all).clamp(0.0, 1.0))
            })
            .collect(),
    )
}

/// The latency that stands for the service: the highest percentile that is read.
pub fn latency_track(own: &Entity) -> Option<&Track> {
    let rank = |stat: &str| match stat {
        "p99" => 5,
        "p95" => 4,
        "p90" => 3,
        "Maximum" => 1,
        _ => 2,
    };
    own.of_measure(Measure::Latency)
        .max_by(|a, b| rank(&a.stat).cmp(&rank(&b.stat)).then_with(|| b.query().cmp(&a.query())))
}
