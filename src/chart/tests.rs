use jiff::{Span, Timestamp};
use proptest::prelude::*;

use super::*;

fn noon() -> Timestamp {
    "2026-02-06T12:00:00Z".parse().unwrap()
}

fn minute(offset: i64) -> Timestamp {
    noon() + Span::new().minutes(offset)
}

fn story() -> Symptoms {
    let wave = |minute: i64| ((minute * 7919) % 13) as f64 / 13.0;
    let level = |minute: i64, quiet: f64, loud: f64| if (15..48).contains(&minute) { loud } else { quiet };
    Symptoms {
        error_rate: (-30..60).map(|m| (minute(m), level(m, 0.05, 0.4) * (0.8 + 0.4 * wave(m)))).collect(),
        latency_p99: (-30..60)
            .map(|m| (minute(m), level(m, 150.0, 2050.0) * (0.9 + 0.2 * wave(m + 3))))
            .collect(),
        requests: Vec::new(),
        baseline_error_rate: Some(0.049),
        baseline_latency_p99: Some(152.0),
        incident_error_rate: Some(0.402),
        incident_latency_p99: Some(2100.0),
    }
}

fn mark(offset: i64, label: &str, kind: MarkKind) -> Mark {
    Mark { at: minute(offset), label: label.to_owned(), kind }
}

fn told(symptoms: &Symptoms) -> ChartInput<'_> {
    ChartInput {
        title: "INC-7 demo-checkout-service".to_owned(),
        symptoms,
        marks: vec![
            mark(0, "v42 deployed", MarkKind::Deployment),
            mark(-12, "feature flag banner", MarkKind::Cleared),
            mark(19, "alert", MarkKind::Alert),
            mark(47, "rolled back to v41", MarkKind::Rollback),
        ],
        onset: Some(Onset { at: minute(15), earliest: minute(14), latest: minute(16) }),
    }
}

#[test]
fn the_story_shows_levels_units_and_every_mark() {
    let symptoms = story();
    let text = svg(&told(&symptoms));
    for part in [
        "INC-7 demo-checkout-service",
        "6 Feb 2026, 11:30 to 12:59 UTC",
        "usually 4.9\u{a0}%, in the incident 40\u{a0}%",
        "usually 152\u{a0}ms, in the incident 2.1\u{a0}s",
        "12:00 v42 deployed",
        "11:48 feature flag banner",
        "12:14–12:16 onset",
        "12:19 alert",
        "12:47 rolled back to v41",
        ">12:30<",
    ] {
        assert!(text.contains(part), "{part} is missing");
    }
    assert_eq!(text.matches(r#"class="mark""#).count(), 5);
    assert_eq!(text.matches(r#"class="onset""#).count(), 2);
    assert_eq!(text.matches(r#"class="baseline""#).count(), 2);
}

#[test]
fn the_picture_is_a_png_of_twice_the_size() {
    let symptoms = story();
    let bytes = png(&svg(&told(&symptoms))).unwrap();
    assert_eq!(&bytes[..8], b"\x89PNG\r\n\x1a\n");
    assert_eq!(
        &bytes[16..24],
        &[
            0,
            0,
            1600_u16.to_be_bytes()[0],
            1600_u16.to_be_bytes()[1],
            0,
            0,
            900_u16.to_be_bytes()[0],
            900_u16.to_be_bytes()[1]
        ]
    );
}

#[test]
fn what_is_no_svg_is_an_error() {
    assert!(png("no picture").is_err());
}

#[test]
fn foreign_text_stays_text() {
    let symptoms = story();
    let mut input = told(&symptoms);
    input.title = "</svg><script>alert('x')</script> & \u{0}\u{1b}[31m".to_owned();
    input.marks.push(mark(5, "<image href=\"file:///etc/passwd\"/>", MarkKind::Deployment));
    let text = svg(&input);
    assert!(!text.contains("<script") && !text.contains("<image") && !text.contains('\u{1b}'));
    assert!(png(&text).is_ok());
}

#[test]
fn nothing_to_draw_is_said() {
    let symptoms = Symptoms::default();
    let empty = ChartInput { title: "INC-1".to_owned(), symptoms: &symptoms, marks: Vec::new(), onset: None };
    let text = svg(&empty);
    assert_eq!(text.matches("no data in this window").count(), 2);
    assert!(png(&text).is_ok());
    assert!(describe(&empty).contains("Error rate: no data"));
}

#[test]
fn one_point_is_a_dot_and_a_hole_breaks_the_line() {
    let mut symptoms = Symptoms { error_rate: vec![(noon(), 0.2)], ..Symptoms::default() };
    let input = ChartInput { title: String::new(), symptoms: &symptoms, marks: Vec::new(), onset: None };
    assert_eq!(svg(&input).matches("<circle").count(), 1);

    symptoms.error_rate = (0..30).filter(|m| !(10..20).contains(m)).map(|m| (minute(m), 0.1)).collect();
    symptoms.error_rate[3].1 = f64::NAN;
    let input = ChartInput { title: String::new(), symptoms: &symptoms, marks: Vec::new(), onset: None };
    assert_eq!(svg(&input).matches(r#"<path class="series""#).count(), 3);
}

#[test]
fn a_mark_far_outside_is_said_instead_of_drawn() {
    let symptoms = story();
    let mut input = told(&symptoms);
    input.marks = vec![mark(-3000, "old release", MarkKind::Deployment)];
    let text = svg(&input);
    assert!(text.contains("outside this window: 4 Feb 2026 10:00 old release"), "{text}");
}

#[test]
fn the_words_tell_levels_onset_and_marks() {
    let symptoms = story();
    let words = describe(&told(&symptoms));
    for part in [
        "Error rate: 4.9\u{a0}% before the onset, 40\u{a0}% after it",
        "Onset at 6 Feb 2026 12:15, between 12:14 and 12:16",
        "Change at 6 Feb 2026 12:00: v42 deployed",
    ] {
        assert!(words.contains(part), "{words}");
    }
}

#[test]
fn the_words_fit_into_an_alternative_text() {
    let symptoms = story();
    let mut input = told(&symptoms);
    input.marks = (0..500).map(|m| mark(m % 50, "a change", MarkKind::Cleared)).collect();
    assert!(describe(&input).chars().count() < 2000);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_input_gives_a_valid_picture(
        rates in proptest::collection::vec((-60_000_000_000i64..250_000_000_000, proptest::num::f64::ANY), 0..40),
        latencies in proptest::collection::vec((0i64..5000, proptest::num::f64::ANY), 0..40),
        marks in proptest::collection::vec((-100_000i64..100_000, "\\PC{0,60}", 0u8..5), 0..20),
        title in "\\PC{0,90}",
        onset in proptest::option::of((-5000i64..5000, -50i64..50)),
    ) {
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let symptoms = Symptoms {
            error_rate: rates.iter().map(|(second, value)| (at(*second), *value)).collect(),
            latency_p99: latencies.iter().map(|(second, value)| (at(*second), *value)).collect(),
            baseline_error_rate: rates.first().map(|(_, value)| *value),
            incident_latency_p99: latencies.first().map(|(_, value)| *value),
            ..Symptoms::default()
        };
        let kinds =
            [MarkKind::Deployment, MarkKind::Cleared, MarkKind::Alert, MarkKind::Onset, MarkKind::Rollback];
        let input = ChartInput {
            title,
            symptoms: &symptoms,
            marks: marks
                .into_iter()
                .map(|(second, label, kind)| Mark { at: at(second), label, kind: kinds[usize::from(kind)] })
                .collect(),
            onset: onset.map(|(second, width)| Onset { at: at(second), earliest: at(second - width), latest: at(second + width) }),
        };
        let text = svg(&input);
        prop_assert!(!text.contains("NaN") && !text.contains("inf"));
        prop_assert!(resvg::usvg::Tree::from_str(&text, &resvg::usvg::Options::default()).is_ok());
        prop_assert!(!describe(&input).is_empty());
    }
}
