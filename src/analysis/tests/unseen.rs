//! What was not seen is not called nothing: series that stop or do not count failures, levels that were high from the
//! first minute on, requests that ceased, and a handful of requests.

use serde_json::json;

use super::incident::{Incident, MINUTES, ONSET, at};
use super::{POOL, cause, found};
use crate::domain::evidence::Series;
use crate::domain::report::Cause;

/// Keeps those of the service's own series and values that `keep` wants, by metric and minute.
fn cut(incident: &mut Incident, keep: impl Fn(&str, usize) -> bool) {
    cut_of(incident, "checkout", keep);
}

fn cut_of(incident: &mut Incident, service: &str, keep: impl Fn(&str, usize) -> bool) {
    let its = |one: &Series| one.dimensions.iter().any(|(_, value)| value == service);
    let series = incident.evidence.series.as_mut().unwrap();
    for one in series.iter_mut().filter(|one| its(one)) {
        let metric = one.metric.clone();
        one.points.retain(|(when, _)| {
            keep(&metric, (0..MINUTES).position(|minute| at(minute as f64) == *when).unwrap())
        });
    }
    series.retain(|one| !one.points.is_empty());
}

fn reasons(incident: &Incident) -> Vec<String> {
    found(incident).report.cleared.into_iter().map(|cleared| cleared.reason).collect()
}

#[test]
fn failures_from_the_first_minute_on_are_no_calm() {
    let mut incident = Incident::calm();
    incident.deploy(-2.0, &[("DB_POOL_SIZE", "10", "2")]).metrics("checkout", |_| 100.0, |_| 0.4);
    let report = found(&incident).report;
    assert_eq!(report.verdict.cause, Cause::Unknown, "{:?}", report.hypotheses);
    assert!(report.summary.contains("40 % of requests fail"), "{}", report.summary);
    assert!(report.summary.contains("configuration change of checkout"), "{}", report.summary);
    assert!(report.cleared.is_empty(), "{:?}", report.cleared);
    // One in a hundred all the time is how this service is.
    assert_eq!(cause(&Incident::calm()).0, Cause::None);
}

#[test]
fn latency_does_not_vouch_for_failures() {
    let mut incident = Incident::calm();
    incident.deploy(89.0, &[("DB_POOL_SIZE", "10", "2")]).failing(0.4, POOL);
    incident.series("checkout", "AWS/Lambda", "Duration", "p50", |minute| Some(120.0 + (minute % 7) as f64));
    cut(&mut incident, |metric, _| metric != "Errors");
    assert_eq!(cause(&incident).0, Cause::Deployment);
    // Where the logs say nothing either, nobody knows.
    incident.logs(|_, _| None);
    let report = found(&incident).report;
    assert_eq!(report.verdict.cause, Cause::Unknown, "{:?}", report.hypotheses);
    assert!(report.gaps.iter().any(|gap| gap.reason.contains("counts failures")), "{:?}", report.gaps);
}

#[test]
fn series_that_stop_say_nothing_of_the_minutes_after() {
    let mut incident = Incident::calm();
    incident.deploy(89.0, &[("DB_POOL_SIZE", "10", "2")]).failing(0.4, POOL);
    cut(&mut incident, |_, minute| minute < ONSET);
    assert_eq!(cause(&incident).0, Cause::Deployment);
    incident.logs(|_, _| None);
    let report = found(&incident).report;
    assert_eq!(report.verdict.cause, Cause::Unknown, "{:?}", report.hypotheses);
    assert!(report.summary.contains("ends at 12:00 UTC"), "{}", report.summary);
}

#[test]
fn requests_that_cease_with_a_change_are_that_change_s() {
    let mut incident = Incident::calm();
    incident.metrics("checkout", |minute| if minute < ONSET { 100.0 } else { 0.0 }, |_| 0.0);
    // Nobody says that it was not meant so.
    assert_eq!(cause(&incident).0, Cause::None);
    let parameters = json!({"uUID": "aaaa-1", "enabled": false, "functionName": "checkout"});
    incident.record(89.7, "mapping-event", "UpdateEventSourceMapping20150331", parameters);
    let report = found(&incident).report;
    assert_eq!(report.verdict.cause, Cause::Deployment, "{:?}", report.hypotheses);
    assert!(report.summary.contains("Invocations is 0 per minute instead of"), "{}", report.summary);
    assert!(report.onset.is_some());
}

#[test]
fn an_alert_about_a_count_that_ceased_is_no_false_alarm() {
    let mut incident = Incident::calm();
    let asked = |minute: usize| if minute < ONSET { 100.0 } else { 0.0 };
    incident.metrics("checkout", asked, |_| 0.0).series(
        "checkout",
        "Shop",
        "OrdersProcessed",
        "Sum",
        |minute| Some(asked(minute)),
    );
    incident.evidence.alert.metric = Some("OrdersProcessed".to_owned());
    assert_eq!(cause(&incident).0, Cause::Unknown);
}

#[test]
fn a_handful_of_requests_that_all_fail_since_a_release_is_an_incident() {
    let requests = |minute: usize| if minute.is_multiple_of(4) { 1.0 } else { 0.0 };
    let mut incident = Incident::calm();
    incident.deploy(89.0, &[("PRICE_HOST", "a.internal", "b.internal")]);
    incident.metrics("checkout", requests, |minute| if minute >= ONSET { 1.0 } else { 0.0 });
    let report = found(&incident).report;
    assert_eq!(report.verdict.cause, Cause::Deployment, "{:?}", report.hypotheses);
    assert!(
        report.evidence.iter().any(|item| item.statement.contains("Of 5 requests since")),
        "{:?}",
        report.evidence
    );
    // One of them is chance.
    incident.metrics("checkout", requests, |minute| if minute == 96 { 1.0 } else { 0.0 });
    assert_eq!(cause(&incident).0, Cause::None);
}

#[test]
fn a_change_right_before_a_count_sank_is_not_cleared() {
    let mut incident = Incident::calm();
    incident.deploy(89.0, &[("MIN_BASKET", "5", "500")]).series(
        "checkout",
        "Shop",
        "OrdersAccepted",
        "Sum",
        |minute| Some(if minute < ONSET { 80.0 } else { 22.0 } + (minute % 5) as f64),
    );
    let parameters = json!({"functionName": "checkout", "reservedConcurrentExecutions": 40});
    incident.record(98.0, "limit-event", "PutFunctionConcurrency20171031", parameters);
    let report = found(&incident).report;
    assert_eq!(report.verdict.cause, Cause::Unknown, "{:?}", report.hypotheses);
    assert!(report.cleared.iter().all(|cleared| cleared.event_id.as_deref() != Some("config-event")));
    assert!(
        report.evidence.iter().any(|item| item.statement.contains("1 min before the onset")),
        "{:?}",
        report.evidence
    );
    let reasons = reasons(&incident);
    assert!(reasons.iter().any(|reason| reason.contains("after OrdersAccepted fell")), "{reasons:?}");
}

#[test]
fn a_latency_of_no_request_is_no_latency() {
    let requests = |minute: usize| if minute.is_multiple_of(3) || minute >= ONSET { 1.0 } else { 0.0 };
    let mut incident = Incident::calm();
    incident.metrics("checkout", requests, |_| 0.0);
    incident.series("checkout", "AWS/Lambda", "Duration", "Average", |minute| {
        Some(requests(minute) * (300.0 + (minute % 11) as f64))
    });
    assert_eq!(cause(&incident).0, Cause::None);
    let report = found(&incident).report;
    assert!(report.evidence.iter().all(|item| !item.statement.contains("Latency")), "{:?}", report.evidence);
}

#[test]
fn an_alert_that_saw_the_first_step_bounds_the_onset() {
    let mut incident = Incident::calm();
    incident.evidence.alert.at = at(78.5);
    incident.metrics(
        "checkout",
        |_| 400.0,
        |minute| match minute {
            0..75 => 0.01,
            75..ONSET => 0.06,
            _ => 0.5,
        },
    );
    let onset = found(&incident).report.onset.unwrap();
    assert!(onset.at <= at(78.5) && onset.at >= at(74.0), "{onset:?}");
}

/// Three hours before the onset somebody gives `payments` other code; the service's errors name it.
fn callee_changed(says: &str) -> Incident {
    let mut incident = Incident::calm();
    incident
        .failing(0.4, says)
        .series("payments", "AWS/Lambda", "Duration", "p50", |minute| Some(80.0 + (minute % 7) as f64));
    let parameters = json!({"functionName": "payments", "revisionId": "r-2"});
    incident.record(-90.0, "callee-event", "UpdateFunctionCode20150331v2", parameters);
    incident
}

fn clears_the_callee(incident: &Incident) -> bool {
    let cleared = found(incident).report.cleared;
    cleared.iter().any(|one| {
        one.event_id.as_deref() == Some("callee-event") && one.reason.contains("no trouble of its own")
    })
}

#[test]
fn latency_of_what_is_called_does_not_vouch_for_its_failures() {
    let mut incident = callee_changed("payments returned 503 Service Unavailable");
    assert!(clears_the_callee(&incident));
    assert_eq!(cause(&incident).0, Cause::Unknown);
    cut_of(&mut incident, "payments", |metric, _| metric == "Duration");
    assert!(!clears_the_callee(&incident));
    assert_eq!(cause(&incident).0, Cause::Dependency);
}

#[test]
fn a_callee_whose_series_stop_with_the_onset_is_not_well() {
    let mut incident = callee_changed("payments returned 503 Service Unavailable");
    cut_of(&mut incident, "payments", |_, minute| minute < ONSET);
    assert!(!clears_the_callee(&incident));
    assert_eq!(cause(&incident).0, Cause::Dependency);
    let told = found(&incident).report.evidence;
    assert!(told.iter().all(|item| !item.statement.contains("no trouble of its own")), "{told:?}");
}

#[test]
fn a_callee_that_does_not_fail_may_be_slow_where_nothing_shows_its_latency() {
    let mut incident = callee_changed("Timeout waiting for payments: no response");
    assert!(clears_the_callee(&incident));
    cut_of(&mut incident, "payments", |metric, _| metric != "Duration");
    assert!(!clears_the_callee(&incident));
    let told = found(&incident).report.evidence;
    assert!(
        told.iter().any(|item| item.statement.contains("how slowly it answers was not read")),
        "{told:?}"
    );
    // Nobody waited: that it does not fail is all that there is to know.
    let mut incident = callee_changed("payments returned 503 Service Unavailable");
    cut_of(&mut incident, "payments", |metric, _| metric != "Duration");
    assert!(clears_the_callee(&incident));
}

#[test]
fn what_is_called_is_looked_at_for_a_count_that_sank_as_well() {
    let mut incident = Incident::calm();
    incident.series("checkout", "Shop", "OrdersAccepted", "Sum", |minute| {
        Some(if minute < ONSET { 80.0 } else { 22.0 } + (minute % 5) as f64)
    });
    let told = found(&incident).report.evidence;
    assert!(told.iter().any(|item| item.statement.contains("payments, which the service calls")), "{told:?}");
}

#[test]
fn no_sentence_tells_of_series_that_nobody_read() {
    let summary = |incident: &Incident| found(incident).report.summary;
    let mut calm = Incident::calm();
    calm.logs(|_, _| None);
    assert!(summary(&calm).contains("Failures of checkout are within their noise"), "{}", summary(&calm));
    calm.series("checkout", "AWS/Lambda", "Duration", "p50", |minute| Some(120.0 + (minute % 7) as f64));
    assert!(summary(&calm).contains("Failures and latency of checkout are within their noise"));
    // What sank, beside what else was read.
    let mut sunk = Incident::calm();
    sunk.series("checkout", "Shop", "OrdersAccepted", "Sum", |minute| {
        Some(if minute < ONSET { 80.0 } else { 22.0 } + (minute % 5) as f64)
    });
    assert!(
        summary(&sunk).contains("while failures stayed as they were; latency was not read"),
        "{}",
        summary(&sunk)
    );
    cut(&mut sunk, |metric, _| metric != "Errors");
    assert!(summary(&sunk).contains("neither failures nor latency were read"), "{}", summary(&sunk));
}

#[test]
fn latency_alone_is_told_as_latency_alone() {
    let mut incident = Incident::calm();
    incident.evidence.alert.metric = Some("Duration".to_owned());
    incident.evidence.alert.alert_name = Some("checkout latency high".to_owned());
    incident.logs(|_, _| None);
    incident.series("checkout", "AWS/Lambda", "Duration", "p50", |minute| Some(120.0 + (minute % 7) as f64));
    cut(&mut incident, |metric, _| metric != "Errors");
    let report = found(&incident).report;
    assert_eq!(report.verdict.cause, Cause::None, "{:?}", report.hypotheses);
    assert!(
        report.summary.contains("Latency of checkout is within its noise; its failures were not read"),
        "{}",
        report.summary
    );
}

#[test]
fn demand_that_ceases_is_held_against_this_hour_s_habit_only_where_it_is_known() {
    let mut incident = Incident::calm();
    let asked = |minute: usize| if minute < ONSET { 100.0 } else { 0.0 };
    incident.metrics("checkout", asked, |_| 0.0);
    incident.series("checkout", "Shop", "OrdersProcessed", "Sum", |minute| Some(asked(minute)));
    incident.evidence.alert.metric = Some("OrdersProcessed".to_owned());
    let report = found(&incident).report;
    assert!(report.summary.contains("of this hour on earlier days nothing is known"), "{}", report.summary);
}
