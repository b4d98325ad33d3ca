//! What must not change a verdict: shifted clocks, another name, shuffled lines, a stranger's change,
//! a source less.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::incident::Incident;
use crate::analysis::investigate;
use crate::domain::evidence::Evidence;
use crate::domain::report::{Cause, Report};

/// Incidents of several causes.
fn incidents() -> Vec<Incident> {
    let mut pool = Incident::calm();
    pool.deploy(75.0, &[("DB_POOL_SIZE", "10", "5"), ("MAX_CONCURRENT", "5", "8")])
        .failing(0.4, "could not acquire a connection: pool exhausted");
    let mut expired = Incident::calm();
    expired
        .deploy(70.0, &[("S3_BUCKET", "artifacts-1", "artifact-1")])
        .failing(0.3, "certificate has expired");
    let mut dependency = Incident::calm();
    dependency.failing(0.4, "payments returned 503").metrics(
        "payments",
        |_| 100.0,
        |minute| if minute >= 89 { 0.5 } else { 0.01 },
    );
    let mut unknown = Incident::calm();
    unknown.failing(0.4, "session not found, forcing re-login");
    vec![pool, expired, dependency, unknown]
}

fn verdict(evidence: &Evidence) -> (Cause, Option<String>, f64) {
    let report: Report = investigate(evidence).report;
    (
        report.verdict.cause,
        report.verdict.change.and_then(|change| change.event_id),
        report.verdict.confidence,
    )
}

fn same(a: &(Cause, Option<String>, f64), b: &(Cause, Option<String>, f64)) -> bool {
    a.0 == b.0 && a.1 == b.1
}

/// Every time in the evidence, moved by whole minutes.
fn shifted(evidence: &Evidence, minutes: i64) -> Evidence {
    let by = SignedDuration::from_mins(minutes);
    let move_by = |at: &mut Timestamp| *at = at.checked_add(by).unwrap();
    let mut moved = evidence.clone();
    move_by(&mut moved.scope.now);
    move_by(&mut moved.alert.at);
    moved.logs.iter_mut().flatten().for_each(|event| move_by(&mut event.at));
    moved.trail.iter_mut().flatten().for_each(|record| move_by(&mut record.at));
    for series in moved.series.iter_mut().flatten() {
        series.points.iter_mut().for_each(|point| move_by(&mut point.0));
    }
    for history in moved.functions.values_mut() {
        history
            .versions
            .iter_mut()
            .flatten()
            .filter_map(|version| version.last_modified.as_mut())
            .for_each(move_by);
    }
    moved
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn the_order_of_log_lines_changes_nothing(seed in any::<u64>()) {
        for incident in incidents() {
            let mut shuffled = incident.evidence.clone();
            if let Some(events) = shuffled.logs.as_mut() {
                fastrand::Rng::with_seed(seed).shuffle(events);
            }
            prop_assert_eq!(investigate(&incident.evidence).report, investigate(&shuffled).report);
        }
    }

    #[test]
    fn shifting_all_clocks_keeps_the_verdict(minutes in -200_000_i64..200_000) {
        for incident in incidents() {
            let (before, after) = (verdict(&incident.evidence), verdict(&shifted(&incident.evidence, minutes)));
            prop_assert!(same(&before, &after), "{:?} {:?}", before, after);
        }
    }

    #[test]
    fn a_strangers_change_flips_nothing(minute in 0.0..109.0_f64) {
        for mut incident in incidents() {
            let before = verdict(&incident.evidence);
            incident.record(minute, "stranger", "UpdateFunctionCode20150331v2", serde_json::json!({"functionName": "nobody-knows-it"}));
            let after = verdict(&incident.evidence);
            prop_assert!(same(&before, &after), "{:?} {:?}", before, after);
        }
    }
}

#[test]
fn another_name_keeps_the_verdict() {
    for incident in incidents() {
        let mut renamed = incident.evidence.clone();
        let name = "harbour-ledger".to_owned();
        renamed.scope.service.clone_from(&name);
        renamed.alert.service.clone_from(&name);
        renamed.scope.resources.lambda = vec![name.clone()];
        if let Some(history) = renamed.functions.remove("checkout") {
            renamed.functions.insert(name.clone(), history);
        }
        for series in renamed.series.iter_mut().flatten() {
            for (_, value) in &mut series.dimensions {
                if value == "checkout" {
                    value.clone_from(&name);
                }
            }
        }
        for record in renamed.trail.iter_mut().flatten() {
            record.raw = serde_json::from_str(&record.raw.to_string().replace("checkout", &name)).unwrap();
        }
        let (before, after) = (verdict(&incident.evidence), verdict(&renamed));
        assert!(same(&before, &after), "{before:?} {after:?}");
    }
}

#[test]
fn a_source_less_never_makes_the_same_verdict_surer() {
    let without: [fn(&mut Evidence); 4] = [
        |evidence| evidence.logs = None,
        |evidence| evidence.series = None,
        |evidence| evidence.trail = None,
        |evidence| evidence.functions.clear(),
    ];
    for incident in incidents() {
        let before = verdict(&incident.evidence);
        for remove in without {
            let mut poorer = incident.evidence.clone();
            remove(&mut poorer);
            let after = verdict(&poorer);
            assert!(!same(&before, &after) || after.2 <= before.2 + 0.02, "{before:?} {after:?}");
        }
    }
}

#[test]
fn nothing_at_all_is_answered_without_a_guess() {
    let mut evidence = Incident::calm().evidence;
    evidence.logs = None;
    evidence.series = None;
    evidence.trail = None;
    evidence.functions.clear();
    let (cause, event, _) = verdict(&evidence);
    assert_eq!((cause, event), (Cause::Unknown, None));
}
