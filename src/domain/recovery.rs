//! Did it help? The symptom after a change, against its baseline and its level during the incident.
//!
//! Method: Wald's sequential probability ratio test (A. Wald, 'Sequential Tests of Statistical
//! Hypotheses', 1945) between 'requests fail as before the incident' and 'as during it'. It decides
//! as early as the traffic allows, with stated error rates, and says 'too early' until then. For
//! recovery the sum restarts whenever it falls below zero (E. S. Page, 'Continuous Inspection
//! Schemes', 1954), so that a queue that drains first does not hide the recovery after it.
//!
//! The rule that is not obvious: calm is recovery only under load. A pool, a limit or a slow dependency shows
//! when it is used, so that without the usual traffic a calm service is one that nobody asks. And services that
//! the change did not touch are told beside it: where they fell alike, something else may have helped.

use serde::{Deserialize, Serialize};

use super::report::Symptoms;

/// Both kinds of error: calling an incident recovered that is not, and the other way round.
const ERROR_RATE: f64 = 0.001;
/// Fewer requests than this decide nothing, however clear they look.
const REQUESTS_MIN: f64 = 20.0;
/// A healthy service fails now and then: levels below this cannot be told apart usefully.
const FAILURE_FLOOR: f64 = 0.005;
/// Of the usual traffic, so much must arrive for calm to count: at half of its load a pool that was too small by a
/// little already suffices.
const TRAFFIC_MIN: f64 = 0.5;
/// A control failed with the service where its share of failures rose by so much.
const CONTROL_RISE_MIN: f64 = 0.01;
/// Where errors do not tell the incident from the baseline, latency must: so many times apart.
const LATENCY_RATIO_MIN: f64 = 1.5;
/// Periods in a row on one side of the midpoint before latency decides.
const LATENCY_PERIODS: usize = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    Recovered,
    NotRecovered,
    TooEarly,
}

impl Word {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Recovered => "recovered",
            Self::NotRecovered => "not_recovered",
            Self::TooEarly => "too_early",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    pub word: Word,
    /// A sentence with the figures that it rests on.
    pub figures: String,
}

/// What was measured beside the symptom, against which it is held.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Beside {
    /// Requests a minute: usual at this hour (before the incident, and at the same hours of earlier days, whichever
    /// is least), and since the change. `None` where nobody counted them.
    pub usual_and_now: Option<(f64, f64)>,
    pub controls: Vec<Control>,
}

/// A service that the change did not touch: its shares of failing requests.
#[derive(Debug, Clone, PartialEq)]
pub struct Control {
    pub service: String,
    pub before: f64,
    pub during: f64,
    /// Since the change.
    pub now: f64,
}

impl Control {
    /// Whether it failed with the service.
    fn rose(&self) -> bool {
        self.during - self.before >= CONTROL_RISE_MIN
    }

    fn in_words(&self, word: Word) -> String {
        let Self { service, before, during, now } = self;
        let figures = format!(
            "{} before, {} during the incident, {} now",
            percent(*before),
            percent(*during),
            percent(*now)
        );
        let fell = *now <= before.midpoint(*during);
        let means = match word {
            Word::Recovered if self.rose() && fell => "did the same, so that something else may have helped",
            Word::NotRecovered if self.rose() && !fell => "still fails as well",
            _ => "does not explain it",
        };
        format!(" {service}, which the change did not touch, {means}: error rate {figures}.")
    }
}

/// Compares what was measured since the change took effect with the levels that the investigation
/// found, and with what was measured beside it.
///
/// `after` holds only periods that began after the change took effect. `levels` is what the
/// investigation stored.
pub fn judge(levels: &Symptoms, after: &Symptoms, beside: &Beside) -> Judgement {
    let mut judgement = judge_alone(levels, after);
    match (judgement.word, beside.usual_and_now) {
        (Word::Recovered | Word::TooEarly, Some((usual, now))) if now < usual * TRAFFIC_MIN => {
            judgement.word = Word::TooEarly;
            judgement.figures.push_str(&format!(
                " But only {now:.0} requests a minute arrive where {usual:.0} are usual: trouble that shows under \
                 load may be asleep."
            ));
        }
        (Word::TooEarly, _) => {}
        (word, _) => {
            let told: String = beside.controls.iter().map(|control| control.in_words(word)).collect();
            judgement.figures.push_str(&told);
        }
    }
    judgement
}

fn judge_alone(levels: &Symptoms, after: &Symptoms) -> Judgement {
    let rates = levels.baseline_error_rate.zip(levels.incident_error_rate);
    if let Some((baseline, incident)) = rates {
        let healthy = baseline.max(FAILURE_FLOOR);
        // Apart by enough to be told within a few hundred requests.
        if incident > healthy * 1.5 && incident - healthy > 0.01 {
            return judge_errors(baseline, healthy, incident.min(0.99), after);
        }
    }
    match levels.baseline_latency_p99.zip(levels.incident_latency_p99) {
        Some((baseline, incident)) if baseline > 0.0 && incident / baseline >= LATENCY_RATIO_MIN => {
            judge_latency(baseline, incident, after)
        }
        _ => Judgement {
            word: Word::TooEarly,
            figures: "The incident's level does not stand out from the baseline, so nothing can be compared."
                .into(),
        },
    }
}

/// `healthy` is what is tested against; `baseline` is what was measured, and what people are told.
fn judge_errors(baseline: f64, healthy: f64, incident: f64, after: &Symptoms) -> Judgement {
    let mut whole = Count::default();
    // The newest stretch that speaks for recovery: a service that drains its queue first fails on,
    // and that must not count against it for ever (Page's cumulative sum, restarted at zero).
    let mut stretch = Count::default();
    for (at, requests) in &after.requests {
        let Some(rate) = after.error_rate.iter().find(|(time, _)| time == at).map(|(_, rate)| *rate) else {
            continue;
        };
        let failed = (requests * rate).round().clamp(0.0, *requests);
        let evidence = failed * (healthy / incident).ln()
            + (requests - failed) * ((1.0 - healthy) / (1.0 - incident)).ln();
        whole.add(*requests, failed, evidence);
        stretch.add(*requests, failed, evidence);
        if stretch.evidence < 0.0 {
            stretch = Count::default();
        }
    }
    let bound = ((1.0 - ERROR_RATE) / ERROR_RATE).ln();
    let (word, shown) = if stretch.requests >= REQUESTS_MIN && stretch.evidence >= bound {
        (Word::Recovered, &stretch)
    } else if whole.requests >= REQUESTS_MIN && whole.evidence <= -bound {
        (Word::NotRecovered, &whole)
    } else {
        (Word::TooEarly, &whole)
    };
    let now = if shown.requests > 0.0 {
        let rate = percent(shown.failures / shown.requests);
        format!("Error rate {rate} in the last {:.0} requests since the change", shown.requests)
    } else {
        "No request was measured since the change".to_owned()
    };
    let figures =
        format!("{now}; {} during the incident, {} before it.", percent(incident), percent(baseline));
    Judgement { word, figures }
}

#[derive(Default)]
struct Count {
    requests: f64,
    failures: f64,
    /// Log of the likelihood ratio: healthy against the incident.
    evidence: f64,
}

impl Count {
    fn add(&mut self, requests: f64, failures: f64, evidence: f64) {
        self.requests += requests;
        self.failures += failures;
        self.evidence += evidence;
    }
}

fn judge_latency(baseline: f64, incident: f64, after: &Symptoms) -> Judgement {
    let midpoint = (baseline * incident).sqrt();
    let latest: Vec<f64> =
        after.latency_p99.iter().rev().take(LATENCY_PERIODS).map(|(_, p99)| *p99).collect();
    let requests: f64 = after.requests.iter().map(|(_, count)| count).sum();
    let word = if latest.len() < LATENCY_PERIODS || (!after.requests.is_empty() && requests < REQUESTS_MIN) {
        Word::TooEarly
    } else if latest.iter().all(|p99| *p99 <= midpoint) {
        Word::Recovered
    } else if latest.iter().all(|p99| *p99 > midpoint) {
        Word::NotRecovered
    } else {
        Word::TooEarly
    };
    let now = latest.first().map_or_else(|| "not measured yet".to_owned(), |p99| format!("{p99:.0} ms"));
    let figures = format!(
        "p99 latency {now} since the change; {incident:.0} ms during the incident, {baseline:.0} ms before it."
    );
    Judgement { word, figures }
}

/// With the figures that a small share needs: 0.05 % is not 0.0 %.
pub fn percent(share: f64) -> String {
    let figures = if share > 0.0 && share < 0.001 { 2 } else { 1 };
    format!("{:.figures$} %", share * 100.0)
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::*;

    fn judge(levels: &Symptoms, after: &Symptoms) -> Judgement {
        super::judge(levels, after, &Beside::default())
    }

    #[test]
    fn calm_without_the_usual_traffic_is_too_early() {
        let after = measured(&[(30.0, 0.0), (30.0, 0.0)]);
        let beside = |now| Beside { usual_and_now: Some((100.0, now)), controls: vec![] };
        let quiet = super::judge(&levels(), &after, &beside(20.0));
        assert_eq!(quiet.word, Word::TooEarly);
        assert!(
            quiet.figures.contains("only 20 requests a minute arrive where 100 are usual"),
            "{}",
            quiet.figures
        );
        assert_eq!(super::judge(&levels(), &after, &beside(50.0)).word, Word::Recovered);
        // Trouble under little traffic is trouble all the same.
        let failing = measured(&[(30.0, 0.4), (30.0, 0.4)]);
        assert_eq!(super::judge(&levels(), &failing, &beside(20.0)).word, Word::NotRecovered);
    }

    #[test]
    fn a_control_that_did_the_same_is_told() {
        let control = |during, now| Control { service: "payments".into(), before: 0.01, during, now };
        let told = |after: &[(f64, f64)], control| {
            let beside = Beside { usual_and_now: None, controls: vec![control] };
            super::judge(&levels(), &measured(after), &beside).figures
        };
        let well = [(30.0, 0.03), (30.0, 0.03)];
        let alike = told(&well, control(0.3, 0.02));
        assert!(alike.contains("did the same, so that something else may have helped"), "{alike}");
        assert!(alike.contains("1.0 % before, 30.0 % during the incident, 2.0 % now"), "{alike}");
        assert!(told(&well, control(0.01, 0.01)).contains("does not explain it"));
        assert!(told(&[(30.0, 0.4), (30.0, 0.4)], control(0.3, 0.3)).contains("still fails as well"));
    }

    fn levels() -> Symptoms {
        Symptoms {
            baseline_error_rate: Some(0.05),
            incident_error_rate: Some(0.4),
            baseline_latency_p99: Some(300.0),
            incident_latency_p99: Some(2_100.0),
            ..Symptoms::default()
        }
    }

    fn measured(periods: &[(f64, f64)]) -> Symptoms {
        let start: Timestamp = "2026-02-06T12:30:00Z".parse().unwrap();
        let at = |index: usize| start + SignedDuration::from_secs(10 * index as i64);
        Symptoms {
            requests: periods.iter().enumerate().map(|(index, (count, _))| (at(index), *count)).collect(),
            error_rate: periods.iter().enumerate().map(|(index, (_, rate))| (at(index), *rate)).collect(),
            ..Symptoms::default()
        }
    }

    #[test]
    fn a_healthy_rate_is_recovery() {
        assert_eq!(judge(&levels(), &measured(&[(30.0, 0.03), (30.0, 0.07)])).word, Word::Recovered);
    }

    #[test]
    fn the_same_trouble_is_no_recovery() {
        assert_eq!(judge(&levels(), &measured(&[(30.0, 0.4), (30.0, 0.37)])).word, Word::NotRecovered);
    }

    #[test]
    fn a_queue_that_drains_first_does_not_hide_the_recovery() {
        let draining = measured(&[(30.0, 0.6), (30.0, 0.5), (30.0, 0.03), (30.0, 0.03)]);
        assert_eq!(judge(&levels(), &draining).word, Word::Recovered);
    }

    #[test]
    fn the_figures_are_those_that_were_measured() {
        let quiet = Symptoms { baseline_error_rate: Some(0.001), ..levels() };
        let figures = judge(&quiet, &measured(&[(30.0, 0.0), (30.0, 0.0)])).figures;
        assert!(figures.ends_with("40.0 % during the incident, 0.1 % before it."), "{figures}");
    }

    #[test]
    fn a_handful_of_requests_is_too_early() {
        assert_eq!(judge(&levels(), &measured(&[(8.0, 0.0)])).word, Word::TooEarly);
        assert_eq!(judge(&levels(), &Symptoms::default()).word, Word::TooEarly);
    }

    #[test]
    fn people_are_told_what_was_measured_and_not_what_is_tested_against() {
        let calm = Symptoms { baseline_error_rate: Some(0.0005), ..levels() };
        let figures = judge(&calm, &measured(&[(30.0, 0.4), (30.0, 0.4)])).figures;
        assert!(figures.contains("40.0 % in the last 60 requests"), "{figures}");
        assert!(figures.ends_with("40.0 % during the incident, 0.05 % before it."), "{figures}");
        let figures = judge(&calm, &Symptoms::default()).figures;
        assert!(figures.starts_with("No request was measured since the change;"), "{figures}");
    }

    #[test]
    fn a_rate_half_way_stays_undecided() {
        assert_eq!(judge(&levels(), &measured(&[(30.0, 0.19)])).word, Word::TooEarly);
    }

    #[test]
    fn latency_decides_where_errors_do_not_tell() {
        let slow = Symptoms { baseline_error_rate: Some(0.0), incident_error_rate: Some(0.001), ..levels() };
        let start: Timestamp = "2026-02-06T12:30:00Z".parse().unwrap();
        let after = |p99: f64| Symptoms {
            latency_p99: vec![(start, p99), (start + SignedDuration::from_secs(10), p99)],
            ..Symptoms::default()
        };
        assert_eq!(judge(&slow, &after(320.0)).word, Word::Recovered);
        assert_eq!(judge(&slow, &after(1_900.0)).word, Word::NotRecovered);
    }

    #[test]
    fn no_figure_is_ever_not_a_number() {
        for levels in [Symptoms::default(), levels()] {
            let judgement = judge(&levels, &measured(&[(0.0, 0.0)]));
            assert!(!judgement.figures.contains("NaN"), "{}", judgement.figures);
        }
    }
}
