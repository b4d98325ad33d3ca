//! Incidents to speak of: one for each cause, made by the tests' simulator and weighed by the engine.
//!
//! The rule that is not obvious: nothing is written here by hand. What a message says of a report is what it would
//! say of a real one.

use std::collections::BTreeMap;

use anyhow::Context as _;
use incident_commander::analysis::{self, Investigation};
use incident_commander::bundle;
use incident_commander::domain::evidence::Evidence;
use incident_commander::domain::incident::IncidentId;
use incident_commander::domain::plan::{Plan, expected_effect};
use incident_commander::domain::report::{Cause, Report};

use crate::generator;

/// Every hundred incidents of a seed hold each family.
const SEED: u64 = 7;
const LOOKED_AT: usize = 100;

pub struct Sample {
    pub id: IncidentId,
    pub evidence: Evidence,
    pub investigation: Investigation,
}

impl Sample {
    pub fn report(&self) -> &Report {
        &self.investigation.report
    }

    pub fn service(&self) -> &str {
        &self.report().service
    }

    /// The plan that approval would be asked for.
    pub fn plan(&self) -> Option<Plan> {
        let change = self.investigation.change.as_ref()?;
        let target = change.undo.as_ref().ok()?;
        let author = change.actor.as_ref().map(|actor| actor.arn.clone());
        let expected = expected_effect(&self.investigation.symptoms);
        let shown = |_: &str, value: &str| value.to_owned();
        let plan = Plan::of(target.clone(), author, expected, &shown);
        Some(plan.differing(&change.differences(), change.code_changed, &shown))
    }
}

/// The first incident of each verdict; the one that blames a change can be undone, and names most settings.
pub fn of_each_cause() -> anyhow::Result<Vec<Sample>> {
    let mut found: BTreeMap<&str, Sample> = BTreeMap::new();
    for incident in generator::generate(SEED, LOOKED_AT) {
        let known = |cause: &&str| found.contains_key(cause) && *cause != Cause::Deployment.as_str();
        if incident.truth.cause.iter().all(known) {
            continue;
        }
        let evidence = bundle::from_files(&incident.files)?;
        let investigation = analysis::investigate(&evidence);
        let cause = investigation.report.verdict.cause;
        let id = IncidentId(7 + Cause::ALL.iter().position(|one| *one == cause).unwrap_or_default() as i64);
        let sample = Sample { id, evidence, investigation };
        let settings = |sample: &Sample| {
            sample
                .plan()
                .map(|_| sample.report().verdict.change.as_ref().map_or(0, |change| change.config.len()))
        };
        let kept = found.get(cause.as_str());
        if kept.is_none() && cause != Cause::Deployment || settings(&sample) > kept.and_then(settings) {
            found.insert(cause.as_str(), sample);
        }
    }
    let in_order = Cause::ALL.iter().map(|cause| {
        found
            .remove(cause.as_str())
            .with_context(|| format!("no incident of {LOOKED_AT} is {}", cause.as_str()))
    });
    in_order.collect()
}
