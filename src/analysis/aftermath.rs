//! What to watch after a change, and what it shows: the measures in which the incident stood out.
//!
//! The rule that is not obvious: recovery is judged by the very series that showed the trouble, at
//! whatever period they are read again. A series that never showed it proves nothing when it is calm.

use jiff::Timestamp;

use super::metrics::{Entity, Measure, Metrics, Role, Track};
use super::ratios;
use crate::domain::evidence::{Scope, Series};
use crate::domain::recovery::{Beside, Control};
use crate::domain::report::{Onset, Report, Symptoms};

/// Failures must have risen by so much, as a share of requests, to be worth watching.
const RISE_MIN: f64 = 0.01;
/// Latency must have risen so many times.
const SLOWDOWN_MIN: f64 = 1.5;

/// One measure in which the incident stood out, with its levels before and during.
#[derive(Debug, Clone, PartialEq)]
pub struct Yardstick {
    namespace: String,
    metric: String,
    stat: String,
    dimensions: Vec<(String, String)>,
    /// Holds the levels before and during the incident.
    pub levels: Symptoms,
    /// How far the incident stood out, for order only.
    separation: f64,
}

impl Yardstick {
    fn is(&self, track: &Track) -> bool {
        track.namespace == self.namespace
            && track.metric == self.metric
            && track.stat == self.stat
            && track.dimensions == self.dimensions
    }
}

/// The measures in which the incident stands out, the clearest first.
pub fn yardsticks(scope: &Scope, series: &[Series], onset: &Onset) -> Vec<Yardstick> {
    let metrics = Metrics::of(series, scope);
    let Some(own) = metrics.own() else { return Vec::new() };
    let begin = metrics.grid.index(onset.earliest).unwrap_or(0);
    let trouble = metrics.grid.index(onset.latest).map_or(0, |index| index + 1);
    let end = metrics.grid.len;
    // Periods that lie wholly in the incident tell its level best. An alarm that is fast comes before there is
    // one: then the period of the onset tells it, of which a healthy part only makes the level lower, and the
    // word about recovery later.
    let since = [trouble, metrics.grid.index(onset.at).unwrap_or(trouble), begin];
    let mut found = Vec::new();
    for track in own.of_measure(Measure::Failures) {
        let Some(requests) = requests_of(own, track) else { continue };
        let share = |from: usize, to: usize| share(&track.values, &requests, from, to);
        let during = since.iter().find_map(|from| share(*from, end));
        let Some((before, during)) = share(0, begin).zip(during) else { continue };
        if during - before >= RISE_MIN {
            let levels = Symptoms {
                baseline_error_rate: Some(before),
                incident_error_rate: Some(during),
                ..Symptoms::default()
            };
            found.push(yardstick(track, levels, (during - before) * 10.0));
        }
    }
    for track in own.of_measure(Measure::Latency).filter(|track| track.stat == "p99") {
        let during = since.iter().find_map(|from| median(&track.values, *from, end));
        let Some((before, during)) = median(&track.values, 0, begin).zip(during) else { continue };
        if before > 0.0 && during / before >= SLOWDOWN_MIN {
            let levels = Symptoms {
                baseline_latency_p99: Some(before),
                incident_latency_p99: Some(during),
                ..Symptoms::default()
            };
            found.push(yardstick(track, levels, (during / before).ln()));
        }
    }
    // Errors hurt people most directly: they come before latency, whatever the separation.
    found.sort_by(|a, b| {
        let errors = |one: &Yardstick| one.levels.incident_error_rate.is_some();
        errors(b).cmp(&errors(a)).then(b.separation.total_cmp(&a.separation))
    });
    found
}

fn yardstick(track: &Track, levels: Symptoms, separation: f64) -> Yardstick {
    Yardstick {
        namespace: track.namespace.clone(),
        metric: track.metric.clone(),
        stat: track.stat.clone(),
        dimensions: track.dimensions.clone(),
        levels,
        separation,
    }
}

/// The requests that a failure count is a share of. Counts of the same source come first: they are
/// read again at the same fine period, where the provider's own counts are not.
///
/// The SampleCount of any metric that is observed once a request is the number of requests.
fn requests_of(own: &Entity, failures: &Track) -> Option<Vec<Option<f64>>> {
    let sum = |track: &Track| track.values.iter().flatten().sum::<f64>();
    let busiest = |filter: &dyn Fn(&Track) -> bool| {
        own.tracks
            .iter()
            .filter(|track| track.namespace == failures.namespace && track.dimensions == failures.dimensions)
            .filter(|track| filter(track) && sum(track) > 0.0)
            .max_by(|a, b| sum(a).total_cmp(&sum(b)))
            .map(|track| track.values.clone())
    };
    busiest(&|track| track.measure == Measure::Requests)
        .or_else(|| busiest(&|track| track.stat == "SampleCount" && sum(track) >= sum(failures)))
        .or_else(|| own.requests_for(failures))
}

fn median(values: &[Option<f64>], from: usize, to: usize) -> Option<f64> {
    let mut known: Vec<f64> = values.get(from..to.min(values.len()))?.iter().flatten().copied().collect();
    known.sort_by(f64::total_cmp);
    known.get(known.len() / 2).copied()
}

/// What a yardstick shows in series that were read again, from `since` on. Empty where it is not
/// among them.
pub fn measure(yardstick: &Yardstick, scope: &Scope, series: &[Series], since: Timestamp) -> Symptoms {
    let metrics = Metrics::of(series, scope);
    let Some(own) = metrics.own() else { return Symptoms::default() };
    let Some(track) = own.tracks.iter().find(|track| yardstick.is(track)) else { return Symptoms::default() };
    let mut symptoms = Symptoms::default();
    let after = |index: usize| Some(metrics.grid.at(index)).filter(|at| *at >= since);
    if track.measure == Measure::Latency {
        for (index, value) in track.values.iter().enumerate() {
            if let (Some(at), Some(value)) = (after(index), value) {
                symptoms.latency_p99.push((at, *value));
            }
        }
        return symptoms;
    }
    let Some(requests) = requests_of(own, track) else { return symptoms };
    for (index, (failed, all)) in track.values.iter().zip(&requests).enumerate() {
        if let (Some(at), Some(failed), Some(all)) = (after(index), failed, all)
            && *all > 0.0
        {
            symptoms.requests.push((at, *all));
            symptoms.error_rate.push((at, (failed / all).clamp(0.0, 1.0)));
        }
    }
    symptoms
}

/// How many controls are told: enough to see whether the trouble was everybody's.
const CONTROLS: usize = 2;
/// Traffic is what arrives within so many minutes: long enough to even out, short enough to be 'now'.
const RECENT_MINUTES: i64 = 5;
/// A control with fewer requests since the change tells nothing.
const CONTROL_REQUESTS_MIN: f64 = 20.0;

/// What was measured beside the symptom: then, with the series of the investigation, and now.
pub fn beside(then: (&Scope, &[Series], &Onset), now: (&Scope, &[Series]), since: Timestamp) -> Beside {
    let (scope, stored, onset) = then;
    let (before, after) = (Metrics::of(stored, scope), Metrics::of(now.1, now.0));
    let begin = before.grid.index(onset.earliest).unwrap_or(0);
    let trouble = before.grid.index(onset.latest).map_or(0, |index| index + 1);
    let first = (0..after.grid.len).find(|index| after.grid.at(*index) >= since).unwrap_or(after.grid.len);
    let controls = before.others(Role::Peer).filter_map(|peer| {
        let same = after.others(Role::Peer).find(|other| other.name == peer.name)?;
        let track = peer.of_measure(Measure::Failures).next()?;
        let again = same.tracks.iter().find(|other| is_same(track, other))?;
        let (asked, asked_again) = (requests_of(peer, track)?, requests_of(same, again)?);
        let requests: f64 = asked_again.iter().skip(first).flatten().sum();
        if requests < CONTROL_REQUESTS_MIN {
            return None;
        }
        Some(Control {
            service: peer.name.clone(),
            before: share(&track.values, &asked, 0, begin)?,
            during: share(&track.values, &asked, trouble, before.grid.len)?,
            now: share(&again.values, &asked_again, first, after.grid.len)?,
        })
    });
    Beside {
        usual_and_now: usual_and_now((&before, begin), (&after, now.0.now), first),
        controls: controls.take(CONTROLS).collect(),
    }
}

/// Requests a minute, usual and since `first`: of the series that shows the service's demand best.
fn usual_and_now(
    (before, begin): (&Metrics, usize),
    (after, now): (&Metrics, Timestamp),
    first: usize,
) -> Option<(f64, f64)> {
    let demand = before.own()?.demand()?;
    let again = after.own()?.tracks.iter().find(|track| is_same(demand, track))?;
    let end = before.grid.len;
    // The newest hour is the one of the day that it is now.
    let hour = end.saturating_sub(before.grid.periods(60));
    let usual = [
        median(&demand.values, 0, begin),
        median(&demand.day_ago, hour, end),
        median(&demand.week_ago, hour, end),
    ];
    let usual = usual.into_iter().flatten().min_by(f64::total_cmp)?;
    // Periods without a value before the last one that has one had no requests; one that goes on has not all.
    let is_over = |index: usize| after.grid.second(index) + after.grid.step <= now.as_second();
    let known = |index: &usize| is_over(*index) && again.values.get(*index).is_some_and(Option::is_some);
    let last = (first..after.grid.len).rev().find(known)?;
    // What arrives by now: traffic that stayed away at first may be back.
    let first = first.max((last + 1).saturating_sub(after.grid.periods(RECENT_MINUTES)));
    let sum: f64 = again.values.get(first..=last)?.iter().flatten().sum();
    let periods = (last + 1 - first) as f64;
    let a_minute = |requests: f64, step: i64| requests * 60.0 / step as f64;
    Some((a_minute(usual, before.grid.step), a_minute(sum / periods, after.grid.step)))
}

fn is_same(one: &Track, other: &Track) -> bool {
    one.namespace == other.namespace
        && one.metric == other.metric
        && one.stat == other.stat
        && one.dimensions == other.dimensions
}

/// The share of requests that failed; `None` where there were none.
fn share(failed: &[Option<f64>], requests: &[Option<f64>], from: usize, to: usize) -> Option<f64> {
    let (mut bad, mut all) = (0.0, 0.0);
    for index in from..to {
        if let (Some(failed), Some(requests)) =
            (failed.get(index).copied().flatten(), requests.get(index).copied().flatten())
        {
            bad += failed;
            all += requests;
        }
    }
    (all > 0.0).then(|| (bad / all).clamp(0.0, 1.0))
}

/// What a rollback that did not help says of the causes: the one that was undone is less likely, and which
/// comes next.
///
/// The weight is that of [`ratios::REVERSAL_FAILED`]: the same that the engine gives to a change that was
/// undone while the symptom went on.
pub fn lowered(report: &Report) -> String {
    let Some((first, rest)) = report.hypotheses.split_first() else {
        return "No other cause was weighed.".to_owned();
    };
    let others: f64 = rest.iter().map(|hypothesis| hypothesis.probability).sum();
    let left = first.probability * ratios::REVERSAL_FAILED;
    let whole = left + others;
    if whole <= 0.0 {
        return "No other cause was weighed.".to_owned();
    }
    let percent = |share: f64| format!("{:.0} %", share * 100.0);
    let next = rest
        .iter()
        .max_by(|a, b| a.probability.total_cmp(&b.probability))
        .map(|next| format!(" Next: {}, {}.", next.describe(), percent(next.probability / whole)))
        .unwrap_or_default();
    format!(
        "That speaks against the cause that was undone: {} now, {} before.{next}",
        percent(left / whole),
        percent(first.probability)
    )
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::domain::evidence::{MetricScope, Resources};
    use crate::domain::report::{Cause, Hypothesis};

    fn noon() -> Timestamp {
        "2026-02-06T12:00:00Z".parse().unwrap()
    }

    fn scope(now: Timestamp) -> Scope {
        Scope {
            service: "checkout".into(),
            region: String::new(),
            account: String::new(),
            now,
            resources: Resources { metrics: MetricScope::default(), ..Resources::default() },
            depends_on: vec![],
            peers: vec![],
        }
    }

    fn series(metric: &str, period: u32, start: Timestamp, values: &[f64]) -> Series {
        let step = SignedDuration::from_secs(i64::from(period));
        Series {
            namespace: "Shop".into(),
            metric: metric.into(),
            dimensions: vec![("service".into(), "checkout".into())],
            stat: "Sum".into(),
            period,
            points: values
                .iter()
                .enumerate()
                .map(|(index, value)| (start + step * index as i32, *value))
                .collect(),
        }
    }

    fn minutes(count: i64) -> SignedDuration {
        SignedDuration::from_mins(count)
    }

    #[test]
    fn the_series_that_showed_the_trouble_is_watched_at_another_period() {
        let mut failed = vec![5.0; 30];
        failed.extend([40.0; 10]);
        let stored = [series("Requests", 60, noon(), &[100.0; 40]), series("Failures", 60, noon(), &failed)];
        let onset = noon() + minutes(30);
        let onset = Onset { at: onset, earliest: onset, latest: onset };
        let found = yardsticks(&scope(noon() + minutes(40)), &stored, &onset);
        let first = found.first().expect("a yardstick");
        assert_eq!(first.levels.baseline_error_rate, Some(0.05));
        assert_eq!(first.levels.incident_error_rate, Some(0.4));

        let later = noon() + minutes(41);
        let again = [
            series("Requests", 10, later, &[20.0, 20.0, 20.0]),
            series("Failures", 10, later, &[8.0, 1.0, 0.0]),
        ];
        let since = later + SignedDuration::from_secs(10);
        let after = measure(first, &scope(later + minutes(1)), &again, since);
        let rates: Vec<f64> = after.error_rate.iter().map(|(_, rate)| *rate).collect();
        assert_eq!(rates, [0.05, 0.0]);
    }

    #[test]
    fn an_incident_of_one_minute_is_watched_by_that_minute() {
        let mut failed = vec![5.0; 30];
        failed.push(40.0);
        let stored = [series("Requests", 60, noon(), &[100.0; 31]), series("Failures", 60, noon(), &failed)];
        let begins = noon() + minutes(30);
        let onset = Onset { at: begins, earliest: begins, latest: begins + SignedDuration::from_secs(59) };
        let found = yardsticks(&scope(noon() + minutes(31)), &stored, &onset);
        assert_eq!(found.first().map(|one| one.levels.incident_error_rate), Some(Some(0.4)));
    }

    #[test]
    fn the_sample_count_of_a_latency_counts_requests() {
        let mut failed = vec![5.0; 30];
        failed.extend([40.0; 10]);
        let count = |start, period, values: &[f64]| Series {
            stat: "SampleCount".into(),
            ..series("ProcessingTime", period, start, values)
        };
        let stored = [count(noon(), 60, &[100.0; 40]), series("Failures", 60, noon(), &failed)];
        let onset = noon() + minutes(30);
        let onset = Onset { at: onset, earliest: onset, latest: onset };
        let found = yardsticks(&scope(noon() + minutes(40)), &stored, &onset);
        let later = noon() + minutes(41);
        let again = [count(later, 10, &[20.0, 20.0]), series("Failures", 10, later, &[1.0, 1.0])];
        let after = measure(&found[0], &scope(later + minutes(1)), &again, later);
        assert_eq!(after.error_rate.iter().map(|(_, rate)| *rate).collect::<Vec<_>>(), [0.05, 0.05]);
    }

    fn hypothesis(cause: Cause, probability: f64) -> Hypothesis {
        Hypothesis { cause, event_id: None, probability, about: None }
    }

    #[test]
    fn what_did_not_help_is_less_likely_and_the_next_cause_is_named() {
        let report = |hypotheses| Report { hypotheses, ..Report::bare("checkout", Cause::Deployment, 0.9) };
        let three = vec![
            hypothesis(Cause::Deployment, 0.9),
            hypothesis(Cause::Traffic, 0.02),
            hypothesis(Cause::Dependency, 0.08),
        ];
        // 0.9 × 0.05 = 0.045 beside 0.1 of the others.
        let said = lowered(&report(three));
        assert!(said.contains("31 % now, 90 % before"), "{said}");
        assert!(said.contains("Next:") && said.contains("55 %"), "{said}");
        assert_eq!(lowered(&report(vec![])), "No other cause was weighed.");
        let alone = lowered(&report(vec![hypothesis(Cause::Deployment, 1.0)]));
        assert!(!alone.contains("Next") && !alone.contains("NaN"), "{alone}");
    }

    #[test]
    fn the_traffic_and_a_peer_are_held_beside_the_symptom() {
        let of = |service: &str, metric: &str, period, start, values: &[f64]| Series {
            dimensions: vec![("service".into(), service.into())],
            ..series(metric, period, start, values)
        };
        let failing = |calm: f64, bad: f64| [vec![calm; 30], vec![bad; 10]].concat();
        let stored = [
            of("checkout", "Requests", 60, noon(), &[100.0; 40]),
            of("checkout", "Failures", 60, noon(), &failing(1.0, 40.0)),
            of("payments", "Requests", 60, noon(), &[50.0; 40]),
            of("payments", "Failures", 60, noon(), &failing(0.0, 10.0)),
        ];
        let begin = noon() + minutes(30);
        let onset = Onset { at: begin, earliest: begin, latest: begin };
        let later = noon() + minutes(41);
        let again = [
            of("checkout", "Requests", 10, later, &[5.0; 6]),
            of("checkout", "Failures", 10, later, &[0.0; 6]),
            of("payments", "Requests", 10, later, &[10.0; 6]),
            of("payments", "Failures", 10, later, &[0.0; 6]),
        ];
        let scope = |now| Scope { peers: vec!["payments".into()], ..scope(now) };
        let (then, now) = (scope(noon() + minutes(40)), scope(later + minutes(1)));
        let found = beside((&then, &stored, &onset), (&now, &again), later);
        assert_eq!(found.usual_and_now, Some((100.0, 30.0)));
        let control = Control { service: "payments".into(), before: 0.0, during: 0.2, now: 0.0 };
        assert_eq!(found.controls, [control]);
    }

    #[test]
    fn a_series_that_stayed_calm_is_no_yardstick() {
        let stored =
            [series("Requests", 60, noon(), &[100.0; 40]), series("Failures", 60, noon(), &[5.0; 40])];
        let onset = noon() + minutes(30);
        let onset = Onset { at: onset, earliest: onset, latest: onset };
        assert!(yardsticks(&scope(noon() + minutes(40)), &stored, &onset).is_empty());
    }
}
