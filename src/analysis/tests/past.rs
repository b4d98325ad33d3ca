//! What was undone before the symptom began, and what came back: over the whole of a rollout, and as it ran.

use super::incident::{Incident, ONSET, at};
use crate::analysis::changes::draft;
use crate::analysis::failure::Failure;
use crate::analysis::metrics::Metrics;
use crate::analysis::suspects::{self, Past};
use crate::analysis::symptom;
use crate::domain::change::{Change, ChangeKind, Effect, KeyChange, Relation};

/// A rollout of a pool's size, by its minutes.
fn rollout(id: &str, (from, until): (f64, f64), before: &str, after: &str) -> Change {
    let (from, until) = (at(from), at(until));
    let key = KeyChange {
        key: "DB_POOL_SIZE".to_owned(),
        before: Some(before.to_owned()),
        after: Some(after.to_owned()),
    };
    Change {
        id: id.to_owned(),
        relation: Relation::Own,
        effect: Effect::Took { from, until },
        keys: vec![key],
        ..draft(ChangeKind::EcsDeployment, "prod/checkout".to_owned(), from)
    }
}

/// `one` is taken back by `back`.
fn undone(mut one: Change, mut back: Change) -> [Change; 2] {
    let Effect::Took { from, .. } = &back.effect else { unreachable!() };
    one.undone_at = Some(*from);
    back.undoes = Some(one.id.clone());
    [one, back]
}

/// What became of each change, and whether its undoing is held to have changed nothing, by the failures of each minute.
fn became(changes: &[Change], failing: impl Fn(usize) -> f64) -> Vec<(Option<Past>, bool)> {
    let mut incident = Incident::calm();
    incident.metrics("checkout", |_| 1000.0, failing);
    let evidence = &incident.evidence;
    let metrics = Metrics::of(evidence.series.as_ref().unwrap(), &evidence.scope);
    let symptom = symptom::observe(&evidence.alert, Some(&metrics), None, changes, metrics.grid);
    assert!(symptom.begin.abs_diff(ONSET) <= 1, "{}", symptom.begin);
    let failure = Failure::of(&symptom, None);
    suspects::suspects(changes, &symptom, &failure, None, evidence)
        .iter()
        .map(|suspect| {
            let failed = suspect.reversal.as_ref().is_some_and(|reversal| reversal.minutes.is_none());
            (suspect.past, failed)
        })
        .collect()
}

fn since_the_onset(minute: usize) -> f64 {
    if minute >= ONSET { 0.4 } else { 0.01 }
}

#[test]
fn what_is_taken_back_acts_until_the_end_of_that_rollout() {
    let taken_back = |until: f64| {
        let (cut, back) =
            (rollout("cut", (60.0, 62.0), "30", "3"), rollout("back", (74.0, until), "3", "30"));
        became(&undone(cut, back), since_the_onset)[0].0
    };
    assert_eq!(taken_back(78.0), Some(Past::Undone));
    assert_eq!(taken_back(88.0), None);
}

#[test]
fn an_undoing_that_is_not_through_has_not_failed_yet() {
    let taken_back = |until: f64| {
        let (cut, back) =
            (rollout("cut", (89.0, 90.0), "30", "3"), rollout("back", (98.0, until), "3", "30"));
        became(&undone(cut, back), since_the_onset)[0].1
    };
    assert!(taken_back(99.0));
    assert!(!taken_back(109.0));
}

#[test]
fn what_brings_back_a_state_that_failed_did_not_run_well_before() {
    let returns = |failing: &dyn Fn(usize) -> f64| {
        let (mend, again) =
            (rollout("mend", (60.0, 60.5), "3", "10"), rollout("again", (89.0, 89.5), "10", "3"));
        became(&undone(mend, again), failing)[1].0
    };
    assert_eq!(returns(&since_the_onset), Some(Past::Returns));
    assert_eq!(
        returns(&|minute| if (52..61).contains(&minute) { 0.4 } else { since_the_onset(minute) }),
        None
    );
}
