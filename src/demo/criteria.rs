//! Whether a story ended as it should, judged by the stored incident alone (`GET /incidents/INC-1`).
//!
//! For the scenario's own bug these are its five success criteria and two more: that the rollback
//! was carried out, and that the service recovered. For a story in which nobody's change is to
//! blame they say what must not have happened.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::story::{RollbackOffer, Story};

/// The scenario's deployment comes this much before the trouble, give or take the step of a minute's
/// metrics and the ramp of the lunch crowd.
const LAG_MINUTES: std::ops::RangeInclusive<f64> = 11.0..=19.0;
/// What the scenario calls high confidence.
const HIGH_CONFIDENCE: f64 = 0.90;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Criterion {
    pub name: &'static str,
    pub holds: bool,
    /// What the incident says, whether it holds or not.
    pub found: String,
}

/// Judges the stored incident by the story's truth.
pub fn judge(story: &Story, incident: &Value) -> Vec<Criterion> {
    match story.truth.rollback {
        RollbackOffer::Must => vec![
            timing(incident),
            configuration(story, incident),
            recommendation(incident),
            confidence(incident),
            sources(incident),
            rolled_back(incident),
            recovered(incident),
        ],
        RollbackOffer::MustNot => {
            vec![cause(story, incident), no_rollback(incident), nobody_blamed(story, incident)]
        }
    }
}

fn criterion(name: &'static str, holds: bool, found: impl Into<String>) -> Criterion {
    Criterion { name, holds, found: found.into() }
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or("nothing")
}

fn at(value: &Value, pointer: &str) -> Option<Timestamp> {
    value.pointer(pointer)?.as_str()?.parse().ok()
}

fn timing(incident: &Value) -> Criterion {
    let lag = at(incident, "/verdict/change/at")
        .zip(at(incident, "/onset/at"))
        .map(|(change, onset)| onset.duration_since(change).as_secs_f64() / 60.0);
    let found = lag.map_or("no change with a time, or no onset".to_owned(), |lag| {
        format!("the trouble begins {lag:.0} minutes after the change took effect")
    });
    criterion("deployment timing detected", lag.is_some_and(|lag| LAG_MINUTES.contains(&lag)), found)
}

fn configuration(story: &Story, incident: &Value) -> Criterion {
    let none = Vec::new();
    let named = incident.pointer("/verdict/change/config").and_then(Value::as_array).unwrap_or(&none);
    let names = |(key, before, after): &(&str, &str, &str)| {
        named
            .iter()
            .any(|entry| entry["key"] == *key && entry["before"] == *before && entry["after"] == *after)
    };
    let holds = text(incident, "/verdict/cause") == "deployment"
        && story.truth.resource == incident.pointer("/verdict/change/resource").and_then(Value::as_str)
        && story.truth.keys.iter().all(names);
    let found: Vec<String> = named
        .iter()
        .map(|entry| {
            format!("{} {} to {}", text(entry, "/key"), text(entry, "/before"), text(entry, "/after"))
        })
        .collect();
    let found = format!("{}: {}", text(incident, "/verdict/cause"), found.join(", "));
    criterion("configuration change named as the root cause", holds, found)
}

fn recommendation(incident: &Value) -> Criterion {
    let kind = text(incident, "/action/kind");
    criterion("rollback recommended", kind == "rollback", kind)
}

fn confidence(incident: &Value) -> Criterion {
    let confidence = incident.pointer("/verdict/confidence").and_then(Value::as_f64).unwrap_or(0.0);
    let found = format!("{:.1} %", confidence * 100.0);
    criterion("confidence above 90 %", confidence > HIGH_CONFIDENCE, found)
}

fn sources(incident: &Value) -> Criterion {
    let none = Vec::new();
    let evidence = incident["evidence"].as_array().unwrap_or(&none);
    let counts = ["logs", "metrics", "deploy"]
        .map(|source| (source, evidence.iter().filter(|item| item["source"] == source).count()));
    let found: Vec<String> = counts.iter().map(|(source, count)| format!("{count} from {source}")).collect();
    let holds = counts.iter().all(|&(_, count)| count > 0);
    criterion("facts cited from logs, metrics and deploy", holds, found.join(", "))
}

fn rolled_back(incident: &Value) -> Criterion {
    let none = Vec::new();
    let approvals = incident["approvals"].as_array().unwrap_or(&none);
    let approved = approvals.iter().find(|approval| approval["decision"] == "approved");
    let found = approved.map_or("no approval".to_owned(), |approval| {
        format!("{}, approved by {}", text(approval, "/plan/what"), text(approval, "/by"))
    });
    criterion("rollback approved and carried out", approved.is_some(), found)
}

fn recovered(incident: &Value) -> Criterion {
    let state = text(incident, "/state");
    criterion("service recovered", matches!(state, "recovered" | "resolved"), state)
}

fn cause(story: &Story, incident: &Value) -> Criterion {
    let cause = text(incident, "/verdict/cause");
    criterion("the cause is told as it is", story.truth.causes.contains(&cause), cause)
}

fn no_rollback(incident: &Value) -> Criterion {
    let kind = text(incident, "/action/kind");
    let offered = incident["approvals"].as_array().is_some_and(|approvals| !approvals.is_empty());
    criterion("no rollback offered", kind != "rollback" && !offered, kind)
}

fn nobody_blamed(story: &Story, incident: &Value) -> Criterion {
    let blamed = incident.pointer("/verdict/change/resource").and_then(Value::as_str);
    let holds = blamed.is_none() || blamed == story.truth.resource;
    criterion("no innocent change blamed", holds, blamed.unwrap_or("nobody"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::demo::story;

    fn told_well() -> Value {
        json!({
            "state": "recovered",
            "onset": {"at": "2026-02-06T12:15:00Z"},
            "verdict": {"cause": "deployment", "confidence": 0.97, "change": {
                "resource": "demo-checkout-service", "at": "2026-02-06T12:00:21Z",
                "config": [
                    {"key": "db_pool_size", "before": "10", "after": "5"},
                    {"key": "max_concurrent", "before": "5", "after": "8"},
                ],
            }},
            "action": {"kind": "rollback"},
            "evidence": [{"source": "logs"}, {"source": "metrics"}, {"source": "deploy"}],
            "approvals": [{"decision": "approved", "by": "U1", "plan": {"what": "back"}}],
        })
    }

    fn failing(story: &Story, incident: &Value) -> Vec<&'static str> {
        judge(story, incident).into_iter().filter(|each| !each.holds).map(|each| each.name).collect()
    }

    #[test]
    fn a_story_that_is_told_well_meets_every_criterion() {
        let story = story::find(story::DEFAULT).unwrap();
        assert_eq!(failing(&story, &told_well()), Vec::<&str>::new());
    }

    #[test]
    fn each_lack_fails_its_own_criterion() {
        let story = story::find(story::DEFAULT).unwrap();
        for (pointer, value, name) in [
            ("/onset/at", json!("2026-02-06T12:01:00Z"), "deployment timing detected"),
            ("/onset", Value::Null, "deployment timing detected"),
            ("/verdict/change/config/1/before", Value::Null, "configuration change named as the root cause"),
            ("/verdict/change/resource", json!("payments"), "configuration change named as the root cause"),
            ("/action/kind", json!("watch"), "rollback recommended"),
            ("/verdict/confidence", json!(0.9), "confidence above 90 %"),
            ("/evidence/2/source", json!("logs"), "facts cited from logs, metrics and deploy"),
            ("/approvals/0/decision", json!("rejected"), "rollback approved and carried out"),
            ("/state", json!("verifying"), "service recovered"),
        ] {
            let mut incident = told_well();
            *incident.pointer_mut(pointer).unwrap() = value;
            assert_eq!(failing(&story, &incident), [name]);
        }
    }

    #[test]
    fn blaming_somebody_where_nobody_is_to_blame_fails() {
        let story = story::find("payments-outage").unwrap();
        let names = ["the cause is told as it is", "no rollback offered", "no innocent change blamed"];
        assert_eq!(failing(&story, &told_well()), names);
        let honest =
            json!({"verdict": {"cause": "dependency", "change": null}, "action": {"kind": "escalate"}});
        assert_eq!(failing(&story, &honest), Vec::<&str>::new());
    }

    #[test]
    fn an_incident_that_says_nothing_fails_and_does_not_panic() {
        for story in story::stories() {
            assert!(!failing(&story, &json!({})).is_empty(), "{}", story.name);
            assert!(!failing(&story, &Value::Null).is_empty(), "{}", story.name);
        }
    }
}
