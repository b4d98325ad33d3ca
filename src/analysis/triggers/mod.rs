//! Causes that are not a change, by the signs that they leave: demand, a dependency, a resource that
//! runs out, a date that passed, the provider.
//!
//! The rule that is not obvious: a sign that comes after the onset is a consequence. A dependency
//! that fails later fails because of us, or for reasons of its own.

mod admitted;
mod demand;
mod drains;
pub mod events;
mod limits;
mod others;
mod parties;
mod said;

pub use admitted::Admitted;
pub use demand::is_of_the_caller;

use super::logs::LogSurvey;
use super::logs::phrases::Mechanism;
use super::metrics::{Gauge, Manner, Metrics, Trouble};
use super::ratios;
use super::symptom::Symptom;
use crate::domain::evidence::Evidence;

/// More requests than this hour's habit.
#[derive(Debug, Clone)]
pub struct Surge {
    pub before: f64,
    pub during: f64,
    /// During over before, after taking out what earlier days did at this hour.
    pub factor: f64,
    pub begin: usize,
    pub query: String,
    /// Other services with a rise of the same size in the same minutes.
    pub others: usize,
    pub rate: f64,
}

/// A dependency in trouble before or with the service.
#[derive(Debug, Clone)]
pub struct Outage {
    pub name: String,
    pub trouble: Trouble,
    pub rate: f64,
    /// It got many more requests before it failed, while the service itself had no more to do than before:
    /// calls before and since, and the first period.
    pub flood: Option<(f64, f64, usize)>,
}

/// The service's own rise beside those of services that have nothing to do with it (difference in
/// differences, in the same minutes).
#[derive(Debug, Clone, PartialEq)]
pub struct Controls {
    /// How many of them tell.
    pub of: usize,
    /// The median of their rises, as a part of the service's own.
    pub part: f64,
    /// For changes of the service's own.
    pub ratio: f64,
}

/// A resource that runs out.
#[derive(Debug, Clone)]
pub struct Drain {
    pub gauge: Gauge,
    pub query: String,
    pub from: f64,
    pub to: f64,
    /// Minutes that it has been going up.
    pub minutes: f64,
    /// Where the slope began, if it did so inside the window.
    pub knee: Option<usize>,
    pub rate: f64,
    /// It came to its extreme with the onset and stays there: which is more than being on the way.
    pub at_limit: bool,
    /// The level at which it is cut off, where nothing but its shape says that this is the limit.
    pub cap: Option<f64>,
    /// It jumped there, filled by others: told apart from a consequence only by what the errors say.
    pub sudden: bool,
}

impl Drain {
    /// What runs out, in the words of the gauge or, where it is none, of the metric.
    pub fn what(&self) -> &str {
        match self.gauge {
            Gauge::Other => self.query.rsplit(' ').nth(1).unwrap_or(&self.query),
            gauge => gauge.describe(),
        }
    }
}

/// A level at which a series is cut off today and was not on earlier days.
#[derive(Debug, Clone, PartialEq)]
pub struct Ceiling {
    pub query: String,
    pub cap: f64,
}

#[derive(Debug, Clone)]
pub struct Expiry {
    /// The error that says so.
    pub text: Option<String>,
    /// Days left by a metric, at its lowest.
    pub days_left: Option<f64>,
    pub rate: f64,
}

#[derive(Debug, Clone)]
pub struct ZoneTrouble {
    /// Peers that fail in the same minutes.
    pub peers: Vec<String>,
    pub of: usize,
    pub text: Option<String>,
    /// The zone that the failures come from, where a field says so.
    pub zone: Option<String>,
    pub rate: f64,
}

/// One tenant, path or client whose share of the work shifted.
#[derive(Debug, Clone)]
pub struct MixShift {
    pub field: String,
    pub value: String,
    pub before: f64,
    pub during: f64,
}

/// The size of what comes in, before and since the onset, in the unit of its series or field.
#[derive(Debug, Clone, PartialEq)]
pub struct Heavier {
    pub query: String,
    pub before: f64,
    pub during: f64,
}

/// All signs found.
#[derive(Debug, Clone, Default)]
pub struct Triggers {
    pub surge: Option<Surge>,
    /// Demand was read and did not rise.
    pub demand_flat: Option<f64>,
    /// The series that says so.
    pub demand: Option<String>,
    /// Demand rose, but as it does at this hour on other days: before, during, first period.
    pub usual_rise: Option<(f64, f64, usize)>,
    pub mix: Option<MixShift>,
    /// Requests that are as many as before and each of them heavier.
    pub heavier: Option<Heavier>,
    pub outages: Vec<Outage>,
    /// Dependencies whose series tell, up to now, of what this symptom is about, and show nothing.
    pub healthy: Vec<String>,
    /// Others who do not fail, where the symptom is about time and nothing shows how slowly they answer.
    pub untimed: Vec<String>,
    /// Dependencies, and hosts outside, that the new errors name.
    pub blamed: Vec<String>,
    /// Hosts of several owners are named at once: the way to all of them is one's own.
    pub scattered: bool,
    /// Somebody who is named has answered with a failure of its own: no mere silence.
    pub answered: bool,
    pub drain: Option<Drain>,
    /// A limit that somebody has lowered, by the shape of what it cuts off.
    pub ceiling: Option<Ceiling>,
    /// CPU that had none left at the onset, after a step long before it.
    pub strain: Option<Drain>,
    /// Latency that crept up for long before requests failed.
    pub creep: Option<Drain>,
    /// Gauges were read and none is running out.
    pub gauges_calm: bool,
    pub expiry: Option<Expiry>,
    pub zone: Option<ZoneTrouble>,
    /// Failing lines and lines of the failing zone, and of the others.
    pub zone_split: Option<(f64, f64, f64, f64)>,
    /// One counterpart by a field of the log lines: field, value, failing lines and lines that carry it, and of the others.
    pub party_split: Option<(String, String, f64, f64, f64, f64)>,
    /// What the errors say has run out, where that is never a matter of load: disk, a quota.
    pub spent: Option<Mechanism>,
    /// What the container service said about its own tasks since the onset.
    pub told: Vec<events::Told>,
    /// Trouble of its own that AWS tells of.
    pub admitted: Option<Admitted>,
    /// Peers were read and are calm.
    pub peers_calm: usize,
    pub controls: Option<Controls>,
}

pub fn find(
    symptom: &Symptom,
    metrics: Option<&Metrics>,
    logs: Option<&LogSurvey>,
    evidence: &Evidence,
) -> Triggers {
    let scope = &evidence.scope;
    let mut found = Triggers::default();
    let texts: Vec<(String, Option<Mechanism>, f64)> = logs
        .map(|logs| {
            symptom
                .new_kinds(logs)
                .into_iter()
                .map(|(kind, share)| (kind.example.clone(), kind.mechanism, share))
                .collect()
        })
        .unwrap_or_default();
    if let Some(metrics) = metrics {
        demand::demand(&mut found, symptom, metrics);
        found.heavier = metrics.own().and_then(|own| demand::heavier(symptom, own));
        let timed = is_about_time(symptom, &texts);
        others::dependencies(&mut found, symptom, metrics, timed);
        others::peers(&mut found, symptom, metrics);
        if let Some(own) = metrics.own() {
            drains::gauges(&mut found, symptom, own);
            found.creep = drains::creep(symptom, own);
        }
        drains::resources(&mut found, symptom, metrics);
        limits::limits(&mut found, symptom, metrics);
    }
    if let Some(logs) = logs {
        drains::memory_of_reports(&mut found, symptom, logs);
        found.mix = demand::mix(symptom, logs);
        let sizes = demand::heavier_in_logs(symptom, logs);
        found.heavier = found.heavier.take().or(sizes);
    }
    events::read(&mut found, symptom, evidence);
    admitted::read(&mut found, symptom, evidence);
    said::read(&mut found, symptom, &texts, logs, scope);
    found
}

/// Whether users wait, or the errors are of those who waited.
fn is_about_time(symptom: &Symptom, texts: &[(String, Option<Mechanism>, f64)]) -> bool {
    /// Of the new failing lines: fewer than that are some among others.
    const IN_PART: f64 = 0.3;
    let waited =
        |said: &Option<Mechanism>| matches!(said, Some(Mechanism::Timeout | Mechanism::FunctionTimeout));
    let share: f64 = texts.iter().filter(|(_, said, _)| waited(said)).map(|(.., share)| share).sum();
    share >= IN_PART || symptom.primary.as_ref().is_some_and(|primary| primary.manner == Manner::Slow)
}

/// Density of a trigger's lag, for one that began somewhere in its own interval.
fn lag(symptom: &Symptom, first: usize, last: usize) -> f64 {
    let (from, until) = (symptom.grid.second(first), symptom.grid.second(last) + symptom.grid.step - 1);
    // Two things seen in the same period have no order: half a period of grace.
    let grace = symptom.grid.step / 2 + 30;
    symptom.lag_density(from - grace, until - grace, ratios::trigger_lag)
}
