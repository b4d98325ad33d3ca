//! The chart in words, for those who do not see it and for notifications without pictures.

use super::scale::{Unit, clock, day, drawable};
use super::{ChartInput, Mark, MarkKind};
use jiff::Timestamp;

/// Slack refuses an alternative text above 2,000 characters.
const LONGEST: usize = 1900;

/// The chart in a few sentences: what is drawn, its levels with units, and every mark with its time in UTC.
pub fn describe(input: &ChartInput) -> String {
    let symptoms = input.symptoms;
    let mut sentences = vec![format!("{}: error rate and p99 latency over time, in UTC", input.title)];
    sentences.push(panel(
        "Error rate",
        Unit::Share,
        &symptoms.error_rate,
        symptoms.baseline_error_rate,
        symptoms.incident_error_rate,
    ));
    sentences.push(panel(
        "p99 latency",
        Unit::Milliseconds,
        &symptoms.latency_p99,
        symptoms.baseline_latency_p99,
        symptoms.incident_latency_p99,
    ));
    if let Some(onset) = input.onset {
        let (from, to) = (clock(onset.earliest), clock(onset.latest));
        sentences.push(if from == to {
            format!("Onset at {} {from}", day(onset.at))
        } else {
            format!("Onset at {} {}, between {from} and {to}", day(onset.at), clock(onset.at))
        });
    }
    let mut marks: Vec<&Mark> = input.marks.iter().collect();
    marks.sort_by_key(|mark| mark.at);
    for mark in marks {
        let kind = match mark.kind {
            MarkKind::Deployment => "Change",
            MarkKind::Cleared => "Cleared change",
            MarkKind::Alert => "Alert",
            MarkKind::Onset => "Onset",
            MarkKind::Rollback => "Rollback or recovery",
        };
        sentences.push(format!("{kind} at {} {}: {}", day(mark.at), clock(mark.at), mark.label.trim()));
    }
    let mut text = sentences.join(". ");
    text.push('.');
    shorten(&text, LONGEST)
}

fn panel(
    name: &str,
    unit: Unit,
    points: &[(Timestamp, f64)],
    before: Option<f64>,
    after: Option<f64>,
) -> String {
    let peak = points
        .iter()
        .filter_map(|(at, value)| drawable(*value).map(|value| (*at, value)))
        .reduce(|best, point| if point.1 > best.1 { point } else { best });
    let Some((at, peak)) = peak else { return format!("{name}: no data") };
    let levels = match (before.and_then(drawable), after.and_then(drawable)) {
        (Some(before), Some(after)) => {
            format!("{} before the onset, {} after it, ", unit.figure(before), unit.figure(after))
        }
        (Some(before), None) => format!("{} before, ", unit.figure(before)),
        (None, Some(after)) => format!("{} after the onset, ", unit.figure(after)),
        (None, None) => String::new(),
    };
    format!("{name}: {levels}highest {} at {} {}", unit.figure(peak), day(at), clock(at))
}

/// At most `most` characters, with an ellipsis where something was cut.
pub(super) fn shorten(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(most.saturating_sub(1)).collect();
    short.truncate(short.trim_end().len());
    short.push('…');
    short
}
