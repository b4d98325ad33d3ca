//! The properties on generated incidents: one of every third family, for each is investigated some fifteen times.

use std::collections::BTreeSet;
use std::thread;

use super::{Outcome, Strangers, check};
use crate::generator::{self, Incident};

/// A seed of its own: neither those that the engine was improved on nor that of the floors.
const SEED: u64 = 424_243;

fn one_of_every_third_family() -> Vec<Incident> {
    let mut seen = BTreeSet::new();
    generator::generate(SEED, 100).filter(|incident| seen.insert(incident.family)).step_by(3).collect()
}

fn outcome(incident: &Incident, seed: u64) -> (String, Outcome) {
    let outcome = check(&incident.files, seed, Strangers::Two);
    let outcome = outcome.unwrap_or_else(|error| panic!("{}: {error}", incident.name));
    (incident.name.clone(), outcome)
}

#[test]
fn retelling_an_incident_flips_no_verdict_and_a_source_less_makes_none_surer() {
    let incidents = one_of_every_third_family();
    let workers = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let outcomes: Vec<(String, Outcome)> = thread::scope(|scope| {
        let parts: Vec<_> = incidents
            .chunks(incidents.len().div_ceil(workers))
            .map(|part| {
                scope.spawn(move || (1..).zip(part).map(|(seed, one)| outcome(one, seed)).collect::<Vec<_>>())
            })
            .collect();
        parts.into_iter().flat_map(|part| part.join().expect("an investigation does not panic")).collect()
    });
    let told = |(name, outcome): &(String, Outcome)| {
        outcome.breaches.iter().map(|breach| format!("{name}: {breach}")).collect::<Vec<_>>()
    };
    let breaches: Vec<String> = outcomes.iter().flat_map(told).collect();
    assert!(breaches.is_empty(), "{breaches:#?}");
}
