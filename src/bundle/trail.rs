//! CloudTrail records, whether delivered to a bucket or returned by `LookupEvents`.
//!
//! The rule that is not obvious: who is a person and who is a pipeline decides who may approve, so a
//! role counts as automation only by whole words of its name, and a session that names a person
//! (an address, a single sign-on role) never does.

use std::collections::HashSet;

use jiff::Timestamp;
use serde_json::Value;

use super::Reading;
use super::document::{text, time};
use crate::domain::evidence::{Actor, Gap, TrailRecord};
use crate::domain::machine;

const FILE: &str = "cloudtrail.json";

pub(super) fn read(reading: &mut Reading<'_>, now: Timestamp) -> Option<Vec<TrailRecord>> {
    let values = reading.elements("cloudtrail", FILE, &["Records", "Events"])?;
    let whole = values.len();
    let mut broken = 0;
    let mut seen = HashSet::new();
    let mut records: Vec<TrailRecord> = values
        .into_iter()
        .filter_map(|value| {
            let record = record(value);
            broken += usize::from(record.is_none());
            record
        })
        .filter(|record| record.at <= now)
        .filter(|record| record.event_id.is_empty() || seen.insert(record.event_id.clone()))
        .collect();
    if broken > 0 {
        reading.gaps.push(Gap::new(
            "cloudtrail",
            format!("{FILE}: {broken} of {whole} records have no time, source or name"),
        ));
    }
    records.sort_by_key(|record| record.at);
    (broken == 0 || broken < whole).then_some(records)
}

/// Reads one record, or one of `LookupEvents`' events, which carries its record as text.
/// `None` where it has no time, source or name.
pub fn record(value: Value) -> Option<TrailRecord> {
    let raw = match value.get("CloudTrailEvent") {
        Some(Value::String(inside)) => serde_json::from_str(inside).ok()?,
        _ => value,
    };
    let at = time(raw.get("eventTime"))?;
    let source = text(&raw, "eventSource");
    let name = text(&raw, "eventName");
    if source.is_empty() || name.is_empty() {
        return None;
    }
    let read_only = match raw.get("readOnly") {
        Some(Value::Bool(read_only)) => *read_only,
        Some(Value::String(read_only)) => read_only.eq_ignore_ascii_case("true"),
        _ => reads(&name),
    };
    let error_code = Some(text(&raw, "errorCode")).filter(|code| !code.is_empty());
    Some(TrailRecord {
        event_id: text(&raw, "eventID"),
        at,
        actor: actor(&raw),
        error_code,
        read_only,
        source,
        name,
        raw,
    })
}

/// Old records carry no `readOnly`; their verb tells.
fn reads(name: &str) -> bool {
    ["Get", "List", "Describe", "Lookup", "Head", "BatchGet", "Search", "Select", "View"]
        .iter()
        .any(|verb| name.starts_with(verb))
}

fn actor(raw: &Value) -> Actor {
    let identity = raw.get("userIdentity").unwrap_or(&Value::Null);
    let arn = text(identity, "arn");
    let invoked_by = text(identity, "invokedBy");
    let issuer = identity
        .pointer("/sessionContext/sessionIssuer")
        .map(|issuer| text(issuer, "userName"))
        .unwrap_or_default();
    match text(identity, "type").as_str() {
        "AWSService" => {
            Actor { name: first([invoked_by, text(raw, "sourceIPAddress")]), arn, automation: true }
        }
        "AssumedRole" => {
            let mut tail = arn.split(":assumed-role/").nth(1).unwrap_or_default().splitn(2, '/');
            let in_arn = tail.next().unwrap_or_default().to_owned();
            let role = first([issuer, in_arn]);
            let session = first([
                tail.next().unwrap_or_default().to_owned(),
                text(identity, "principalId").split(':').nth(1).unwrap_or_default().to_owned(),
            ]);
            let automation = machine::is_role_of_one(&role, &session, &invoked_by);
            let name = if session.is_empty() { role } else { format!("{role}/{session}") };
            Actor { arn, name, automation }
        }
        "Root" => Actor { arn, name: "root".to_owned(), automation: false },
        _ => {
            let name = first([
                text(identity, "userName"),
                issuer,
                arn.rsplit('/').next().unwrap_or_default().to_owned(),
                text(identity, "principalId"),
                text(identity, "accountId"),
                invoked_by,
            ]);
            let automation = machine::is_name_of_one(&name);
            Actor { arn, name, automation }
        }
    }
}

fn first(candidates: impl IntoIterator<Item = String>) -> String {
    candidates.into_iter().find(|text| !text.is_empty()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn by(identity: &Value) -> Actor {
        actor(&json!({ "userIdentity": identity }))
    }

    #[test]
    fn a_pipeline_is_told_from_a_person() {
        let role = |role: &str, session: &str| {
            by(&json!({
                "type": "AssumedRole",
                "arn": format!("arn:aws:sts::123456789012:assumed-role/{role}/{session}"),
            }))
        };
        for (name, session) in [
            ("github-actions-deploy", "GitHubActions"),
            ("GitHubDeployRole", "run-7"),
            ("ci", "x"),
            ("my_terraform_role", "1"),
            ("AWSServiceRoleForECS", "ecs"),
        ] {
            assert!(role(name, session).automation, "{name}");
        }
        for (name, session) in [
            ("AWSReservedSSO_AdminAccess_1f", "ana@corp.example"),
            ("deploy-admin", "ana@corp.example"),
            ("marci", "s"),
            ("OrganizationAccountAccessRole", "ana"),
        ] {
            assert!(!role(name, session).automation, "{name}");
        }
        assert_eq!(role("ops", "ana").name, "ops/ana");
    }

    #[test]
    fn every_kind_of_identity_has_a_name() {
        let service = by(&json!({"type": "AWSService", "invokedBy": "autoscaling.amazonaws.com"}));
        assert_eq!((service.name.as_str(), service.automation), ("autoscaling.amazonaws.com", true));
        assert_eq!(by(&json!({"type": "IAMUser", "userName": "ana"})).name, "ana");
        assert_eq!(by(&json!({"type": "Root"})).name, "root");
        assert_eq!(by(&json!({"type": "AWSAccount", "accountId": "12"})).name, "12");
        assert_eq!(by(&Value::Null), Actor::default());
    }

    #[test]
    fn an_event_of_lookup_events_is_read_by_its_record() {
        let inside = r#"{"eventTime":"2026-02-06T12:00:00Z","eventSource":"ssm.amazonaws.com",
            "eventName":"PutParameter","eventID":"e1","readOnly":"false"}"#;
        let record = record(json!({"EventId": "e1", "CloudTrailEvent": inside})).unwrap();
        assert_eq!((record.event_id.as_str(), record.read_only), ("e1", false));
    }
}
