//! What AWS itself says: CloudWatch alarms and EventBridge events, as SNS carries them.
//!
//! Rule: an alarm names resources, not services; which service a resource belongs to is decided by
//! the desk, which knows the configuration. `INSUFFICIENT_DATA` is neither firing nor resolved.
//!
//! Sources: 'Alarm events and EventBridge' in the Amazon CloudWatch User Guide, 'AWS service events
//! delivered via CloudTrail' in the Amazon EventBridge User Guide.

use jiff::Timestamp;
use serde_json::Value;

use crate::domain::alert::{AlertState, parse_time};
use crate::store::AwsEvent;
use crate::store::TRAIL_RECORD;

/// One message of a topic, read.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    Alarm(Alarm),
    Change(AwsEvent),
    /// Not for us, with the reason for the log.
    Nothing(&'static str),
}

/// A CloudWatch alarm that changed its state: metric, composite or anomaly.
#[derive(Debug, Clone, PartialEq)]
pub struct Alarm {
    pub name: String,
    pub state: AlertState,
    pub at: Option<Timestamp>,
    pub metric: Option<String>,
    pub threshold: Option<f64>,
    /// Dimensions of its metrics, name and value, in AWS's order.
    pub dimensions: Vec<(String, String)>,
}

/// Reads the `Message` of an SNS notification.
pub fn read(message: &str) -> Message {
    let Ok(value) = serde_json::from_str::<Value>(message) else {
        return Message::Nothing("a notification that is no JSON");
    };
    if value["AlarmName"].is_string() {
        return of_alarm(&value);
    }
    match value["detail-type"].as_str() {
        Some("CloudWatch Alarm State Change") => of_alarm_event(&value),
        Some(kind) => of_event(kind, &value),
        // CodeDeploy's own notifications carry no envelope of EventBridge.
        None if value["deploymentId"].is_string() => of_codedeploy(&value),
        None => Message::Nothing("a notification of another kind"),
    }
}

fn state_of(word: Option<&str>) -> Result<AlertState, &'static str> {
    match word {
        Some("ALARM") => Ok(AlertState::Firing),
        Some("OK") => Ok(AlertState::Resolved),
        Some("INSUFFICIENT_DATA") => Err("an alarm without enough data"),
        _ => Err("an alarm without a state"),
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// What CloudWatch publishes to a topic itself.
fn of_alarm(value: &Value) -> Message {
    let Some(name) = text(&value["AlarmName"]) else { return Message::Nothing("an alarm without a name") };
    let state = match state_of(value["NewStateValue"].as_str()) {
        Ok(state) => state,
        Err(why) => return Message::Nothing(why),
    };
    let trigger = &value["Trigger"];
    // An alarm on a metric, or on several (anomaly detection and metric math).
    let several = trigger["Metrics"].as_array().into_iter().flatten();
    let metrics: Vec<&Value> = several
        .map(|metric| &metric["MetricStat"]["Metric"])
        .chain(std::iter::once(trigger))
        .filter(|metric| metric["MetricName"].is_string())
        .collect();
    let pair = |dimension: &Value| {
        let field = |lower: &str, upper: &str| text(&dimension[lower]).or_else(|| text(&dimension[upper]));
        Some((field("name", "Name")?, field("value", "Value")?))
    };
    Message::Alarm(Alarm {
        name,
        state,
        at: value["StateChangeTime"].as_str().and_then(parse_time),
        metric: metrics.first().and_then(|metric| text(&metric["MetricName"])),
        threshold: trigger["Threshold"].as_f64(),
        dimensions: metrics
            .iter()
            .flat_map(|metric| metric["Dimensions"].as_array().into_iter().flatten().filter_map(pair))
            .collect(),
    })
}

/// The same alarm as EventBridge tells it.
fn of_alarm_event(value: &Value) -> Message {
    let detail = &value["detail"];
    let Some(name) = text(&detail["alarmName"]) else { return Message::Nothing("an alarm without a name") };
    let state = match state_of(detail["state"]["value"].as_str()) {
        Ok(state) => state,
        Err(why) => return Message::Nothing(why),
    };
    let metrics: Vec<&Value> = detail["configuration"]["metrics"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|metric| &metric["metricStat"]["metric"])
        .filter(|metric| metric["name"].is_string())
        .collect();
    let reasons =
        detail["state"]["reasonData"].as_str().and_then(|data| serde_json::from_str::<Value>(data).ok());
    let at = detail["state"]["timestamp"].as_str().or_else(|| value["time"].as_str());
    Message::Alarm(Alarm {
        name,
        state,
        at: at.and_then(parse_time),
        metric: metrics.first().and_then(|metric| text(&metric["name"])),
        threshold: reasons.and_then(|reasons| reasons["threshold"].as_f64()),
        dimensions: metrics
            .iter()
            .flat_map(|metric| metric["dimensions"].as_object().into_iter().flatten())
            .filter_map(|(name, value)| Some((name.clone(), text(value)?)))
            .collect(),
    })
}

/// Any other event of EventBridge: somebody or something changed AWS.
fn of_event(kind: &str, value: &Value) -> Message {
    let detail = &value["detail"];
    if kind == TRAIL_RECORD {
        let (Some(id), Some(at)) =
            (text(&detail["eventID"]), detail["eventTime"].as_str().and_then(parse_time))
        else {
            return Message::Nothing("a CloudTrail event without id or time");
        };
        return Message::Change(AwsEvent { id, at, kind: kind.to_owned(), body: detail.clone() });
    }
    // AppConfig's events are called `On Deployment Start` and the like: whose they are, their source says.
    let changes = matches!(
        value["source"].as_str(),
        Some("aws.ecs" | "aws.codedeploy" | "aws.appconfig" | "aws.cloudformation" | "aws.health")
    ) || kind == "Parameter Store Change";
    let (Some(id), Some(at)) = (text(&value["id"]), value["time"].as_str().and_then(parse_time)) else {
        return Message::Nothing("an event without id or time");
    };
    if !changes {
        return Message::Nothing("an event that tells of no change");
    }
    Message::Change(AwsEvent { id, at, kind: kind.to_owned(), body: value.clone() })
}

/// What CodeDeploy's notification triggers publish.
fn of_codedeploy(value: &Value) -> Message {
    let at = ["completeTime", "createTime"]
        .into_iter()
        .find_map(|field| value[field].as_str().and_then(parse_time));
    let (Some(deployment), Some(at)) = (text(&value["deploymentId"]), at) else {
        return Message::Nothing("a deployment without id or time");
    };
    let status = text(&value["status"]).unwrap_or_default();
    Message::Change(AwsEvent {
        id: format!("{deployment}/{status}"),
        at,
        kind: "CodeDeploy Deployment State-change Notification".to_owned(),
        body: value.clone(),
    })
}

/// The names in an event that may be a service's: dimension values, resource names of ARNs, and the
/// names of parameters of a CloudTrail call.
pub fn names_in(event: &AwsEvent) -> Vec<String> {
    let mut names = Vec::new();
    collect(&event.body, 0, &mut names);
    names.sort();
    names.dedup();
    names
}

/// Depth and number are bounded: an event is an outsider's word.
fn collect(value: &Value, depth: usize, names: &mut Vec<String>) {
    const DEPTH_MAX: usize = 8;
    const NAMES_MAX: usize = 400;
    if depth > DEPTH_MAX || names.len() > NAMES_MAX {
        return;
    }
    match value {
        Value::String(text) if text.len() <= 512 => {
            names.extend(text.split([':', '/']).filter(|part| part.len() > 2).map(str::to_lowercase));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, depth + 1, names)),
        Value::Object(fields) => fields.values().for_each(|field| collect(field, depth + 1, names)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn alarm(message: &Value) -> Alarm {
        match read(&message.to_string()) {
            Message::Alarm(alarm) => alarm,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_metric_alarm_is_read_with_its_dimensions() {
        let read = alarm(&json!({
            "AlarmName": "booking-errors", "AWSAccountId": "123456789012",
            "NewStateValue": "ALARM", "OldStateValue": "OK",
            "NewStateReason": "Threshold Crossed: 1 datapoint [14.0] was greater than the threshold (5.0).",
            "StateChangeTime": "2026-02-06T12:15:00.123+0000", "Region": "EU (Ireland)",
            "AlarmArn": "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:booking-errors",
            "Trigger": {"MetricName": "Errors", "Namespace": "AWS/Lambda", "StatisticType": "Statistic",
                "Statistic": "SUM", "Unit": null, "Threshold": 5.0, "Period": 60, "EvaluationPeriods": 1,
                "Dimensions": [{"value": "booking", "name": "FunctionName"}]}
        }));
        assert_eq!(read.state, AlertState::Firing);
        assert_eq!(read.metric.as_deref(), Some("Errors"));
        assert_eq!(read.threshold, Some(5.0));
        assert_eq!(read.dimensions, [("FunctionName".to_owned(), "booking".to_owned())]);
        assert_eq!(read.at, Some("2026-02-06T12:15:00.123Z".parse().unwrap()));
    }

    #[test]
    fn an_anomaly_alarm_names_the_metric_behind_the_band() {
        let read = alarm(&json!({
            "AlarmName": "latency-anomaly", "NewStateValue": "OK", "StateChangeTime": "2026-02-06T12:15:00Z",
            "Trigger": {"ThresholdMetricId": "ad1", "Metrics": [
                {"Id": "m1", "MetricStat": {"Stat": "p99", "Period": 60, "Metric": {
                    "MetricName": "TargetResponseTime", "Namespace": "AWS/ApplicationELB",
                    "Dimensions": [{"name": "LoadBalancer", "value": "app/shop/1a2b"}]}}},
                {"Id": "ad1", "Expression": "ANOMALY_DETECTION_BAND(m1, 2)"}]}
        }));
        assert_eq!((read.state, read.metric.as_deref()), (AlertState::Resolved, Some("TargetResponseTime")));
        assert_eq!(read.dimensions[0].1, "app/shop/1a2b");
    }

    #[test]
    fn a_composite_alarm_has_no_metric_and_none_is_invented() {
        let read = alarm(&json!({
            "AlarmName": "shop-down", "NewStateValue": "ALARM", "StateChangeTime": "2026-02-06T12:15:00Z",
            "AlarmRule": "ALARM(a) AND ALARM(b)"
        }));
        assert_eq!((read.metric, read.dimensions.len()), (None, 0));
    }

    #[test]
    fn eventbridge_tells_the_same_alarm() {
        let read = alarm(&json!({
            "version": "0", "id": "c4c1", "detail-type": "CloudWatch Alarm State Change",
            "source": "aws.cloudwatch", "time": "2026-02-06T12:15:01Z",
            "detail": {"alarmName": "booking-errors",
                "state": {"value": "ALARM", "timestamp": "2026-02-06T12:15:00.000+0000",
                    "reasonData": "{\"threshold\":5.0}"},
                "configuration": {"metrics": [{"id": "m", "metricStat": {"metric": {"namespace": "AWS/Lambda",
                    "name": "Errors", "dimensions": {"FunctionName": "booking"}}}}]}}
        }));
        assert_eq!((read.threshold, read.metric.as_deref()), (Some(5.0), Some("Errors")));
        assert_eq!(read.dimensions, [("FunctionName".to_owned(), "booking".to_owned())]);
    }

    #[test]
    fn too_little_data_is_neither_firing_nor_resolved() {
        let message = json!({"AlarmName": "a", "NewStateValue": "INSUFFICIENT_DATA"});
        assert!(matches!(read(&message.to_string()), Message::Nothing(_)));
    }

    #[test]
    fn a_cloudtrail_record_is_kept_as_it_is_and_names_its_resources() {
        let record = json!({"eventID": "e-1", "eventTime": "2026-02-06T12:00:00Z", "eventName": "UpdateAlias20150331",
            "requestParameters": {"functionName": "arn:aws:lambda:eu-west-1:123456789012:function:booking"}});
        let message =
            json!({"id": "x", "detail-type": TRAIL_RECORD, "time": "2026-02-06T12:00:05Z", "detail": record});
        let Message::Change(event) = read(&message.to_string()) else { panic!() };
        assert_eq!((event.id.as_str(), &event.body), ("e-1", &record));
        assert!(names_in(&event).contains(&"booking".to_owned()));
    }

    #[test]
    fn codedeploy_writes_its_own_time() {
        let message = json!({"deploymentId": "d-1", "status": "SUCCEEDED", "completeTime": "Mon Apr 23 21:26:40 UTC 2018"});
        let Message::Change(event) = read(&message.to_string()) else { panic!() };
        assert_eq!(event.at, "2018-04-23T21:26:40Z".parse().unwrap());
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "\\PC{0,300}") {
            drop(read(&text));
        }

        #[test]
        fn only_the_word_alarm_fires(word in "[A-Z_]{0,12}") {
            let message = json!({"AlarmName": "a", "NewStateValue": word});
            let fires = matches!(read(&message.to_string()), Message::Alarm(Alarm { state: AlertState::Firing, .. }));
            prop_assert_eq!(fires, word == "ALARM");
        }
    }
}
