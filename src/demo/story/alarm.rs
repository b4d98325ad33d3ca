//! The alarm that starts a story, as a relay of CloudWatch alarms posts it into the channel, and as the body of
//! `POST /alert`.

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::account::on;
use super::plot::Story;
use super::recorder::{NAMESPACE, Span, Tally};
use crate::checkout::SERVICE_NAME;

/// When it went off.
pub fn at(story: &Story, day: Date) -> Timestamp {
    on(day, story.alarm.at)
}

/// The body of `POST /alert`.
pub fn alert_body(story: &Story, day: Date) -> Value {
    let alarm = &story.alarm;
    json!({ "alert": {
        "service": SERVICE_NAME,
        "triggered_at": at(story, day).to_string(),
        "metric": alarm.metric,
        "threshold": alarm.threshold,
        "alert_name": alarm.name,
    } })
}

/// The message that another bot posts into the channel. Its figures are those that were measured.
pub fn message(story: &Story, day: Date, tally: &Tally, region: &str) -> Value {
    let alarm = &story.alarm;
    let at = at(story, day);
    let from = at.saturating_sub(SignedDuration::from_mins(i64::from(alarm.datapoints))).unwrap_or(at);
    let points: Vec<String> = tally
        .minutes(from, at)
        .into_iter()
        .map(|(minute, measured)| {
            format!("{:.1} ({})", value(alarm.statistic, &measured), minute.strftime("%d/%m/%y %H:%M:%S"))
        })
        .collect();
    let count = alarm.datapoints;
    let plural = if count == 1 { "datapoint" } else { "datapoints" };
    let reason = format!(
        "Threshold Crossed: {count} out of the last {count} {plural} [{}] were greater than the threshold ({:.1}) (minimum {count} {plural} for OK -> ALARM transition).",
        points.join(", "),
        alarm.threshold
    );
    let link = format!(
        "https://console.aws.amazon.com/cloudwatch/home?region={region}#alarmsV2:alarm/{}",
        alarm.name
    );
    let field =
        |title: &str, value: &str, short: bool| json!({ "title": title, "value": value, "short": short });
    json!({
        "text": "",
        "attachments": [{
            "color": "danger",
            "fallback": format!("Alarm {} triggered", alarm.name),
            "text": "AWS CloudWatch notification",
            "fields": [
                field("Alarm Name", &format!("`{}`", alarm.name), true),
                field("Alarm Description", &format!("`{}`", alarm.description), false),
                field("Alarm reason", &format!("`{reason}`"), false),
                field("Metric", &format!("`{}`", alarm.metric), true),
                field("Namespace", &format!("`{NAMESPACE}`"), true),
                field("Service", &format!("`{SERVICE_NAME}`"), true),
                field("Old State", "`OK`", true),
                field("Current State", "`ALARM`", true),
                field("Time", &format!("`{at}`"), true),
                field("Link to Alarm", &link, false),
            ],
        }],
    })
}

/// A minute's value of the alarm's metric.
fn value(statistic: &str, minute: &Span) -> f64 {
    if statistic == "Sum" { minute.failures as f64 } else { minute.percentile(0.99) as f64 }
}
