//! A few bad minutes: told, left open with an honest confidence, or truly nothing.
//!
//! The rule that is not obvious: every count here is drawn, request by request, so that what holds has to hold for
//! whatever chance made of it.

use super::incident::{Incident, MINUTES, at};
use crate::analysis::investigate;
use crate::domain::report::{Cause, Report};

/// How many requests of a minute fail, and how many there are.
struct Course {
    rate: usize,
    usual: f64,
    bad: f64,
    /// How many of the last minutes are bad.
    minutes: usize,
}

impl Course {
    fn share(&self, minute: usize) -> f64 {
        if minute + self.minutes >= MINUTES { self.bad } else { self.usual }
    }

    /// What is found in the minute after the last one, with a release right before the bad minutes or with none.
    fn told(&self, seed: u64, released: bool) -> Report {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut incident = Incident::calm();
        incident.evidence.alert.at = at(MINUTES as f64);
        if released {
            incident.deploy((MINUTES - self.minutes) as f64 - 0.4, &[("DB_POOL_SIZE", "10", "5")]);
        }
        let failed: Vec<usize> = (0..MINUTES)
            .map(|minute| (0..self.rate).filter(|_| random.f64() < self.share(minute)).count())
            .collect();
        let drawn: Vec<Vec<bool>> =
            (0..MINUTES).map(|minute| (0..10).map(|_| random.f64() < self.share(minute)).collect()).collect();
        incident
            .series("checkout", "AWS/Lambda", "Invocations", "Sum", |_| Some(self.rate as f64))
            .series("checkout", "AWS/Lambda", "Errors", "Sum", |minute| Some(failed[minute] as f64))
            .logs(|minute, index| {
                let text = "could not store the order";
                drawn[minute][index].then(|| text.to_owned())
            });
        investigate(&incident.evidence).report
    }
}

/// One, two and three minutes, at three usual rates; what is clear of each is five times that and a tenth at least.
fn clear_bursts() -> impl Iterator<Item = (Course, u64)> {
    let usual = [0.002, 0.01, 0.05];
    usual.into_iter().flat_map(|usual| {
        (1..=3).flat_map(move |minutes| {
            (0..6).map(move |seed| {
                let bad = f64::max(5.0 * usual, 0.1);
                (Course { rate: 150, usual, bad, minutes }, seed)
            })
        })
    })
}

#[test]
fn a_clear_rise_is_never_nothing_however_short_it_is() {
    for (course, seed) in clear_bursts() {
        for released in [false, true] {
            let report = course.told(seed, released);
            let none = report.hypotheses.iter().find(|row| row.cause == Cause::None);
            let none = none.map_or(0.0, |row| row.probability);
            assert!(
                none < 0.3,
                "{} min at {}, seed {seed}, released {released}: {none} none, {}",
                course.minutes,
                course.usual,
                report.summary
            );
        }
    }
}

#[test]
fn a_short_rise_right_after_a_release_is_the_releases() {
    let told: Vec<Cause> =
        clear_bursts().map(|(course, seed)| course.told(seed, true).verdict.cause).collect();
    let blamed = told.iter().filter(|cause| **cause == Cause::Deployment).count();
    assert!(blamed * 10 >= told.len() * 9, "{blamed} of {}", told.len());
}

/// The same noise as always, with or without a release: the counts show that nothing rose.
#[test]
fn noise_of_the_usual_size_is_nothing_and_no_releases() {
    for usual in [0.002, 0.01, 0.05] {
        for seed in 0..12 {
            let course = Course { rate: 150, usual, bad: usual, minutes: 3 };
            for released in [false, true] {
                let report = course.told(seed, released);
                assert_eq!(report.verdict.cause, Cause::None, "{usual}, seed {seed}: {}", report.summary);
                assert!(
                    report.verdict.confidence > 0.7,
                    "{usual}, seed {seed}: {}",
                    report.verdict.confidence
                );
            }
        }
    }
}

/// Four requests a minute: five times as many failures in one of them is one failure more, which nobody can tell from
/// chance. Whoever says that nothing happened says more than is known.
#[test]
fn what_is_too_few_to_show_a_rise_is_not_surely_nothing() {
    for seed in 0..12 {
        let few = Course { rate: 4, usual: 0.05, bad: 0.25, minutes: 2 }.told(seed, false);
        let many = Course { rate: 150, usual: 0.05, bad: 0.05, minutes: 2 }.told(seed, false);
        let none = |report: &Report| {
            let row = report.hypotheses.iter().find(|row| row.cause == Cause::None);
            row.map_or(0.0, |row| row.probability)
        };
        assert!(none(&few) < 0.85, "seed {seed}: {} {}", none(&few), few.summary);
        assert!(none(&few) < none(&many), "seed {seed}: {} and {}", none(&few), none(&many));
    }
}
