//! The rule that everybody writes first, for comparison: the nearest deployment of the service within
//! 30 minutes before the alert is the cause.

use crate::domain::evidence::{Evidence, TrailRecord};
use crate::domain::report::Cause;

/// Seconds.
const WINDOW: i64 = 30 * 60;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guess {
    pub cause: Cause,
    pub event_id: Option<String>,
}

pub fn nearest(evidence: &Evidence) -> Guess {
    let alert = evidence.alert.at.as_second();
    let nearest = evidence
        .trail
        .iter()
        .flatten()
        .filter(|record| is_deployment(record, &evidence.scope.service))
        .filter(|record| (0..=WINDOW).contains(&(alert - record.at.as_second())))
        .max_by_key(|record| record.at);
    match nearest {
        Some(record) => Guess { cause: Cause::Deployment, event_id: Some(record.event_id.clone()) },
        None => Guess { cause: Cause::Unknown, event_id: None },
    }
}

fn is_deployment(record: &TrailRecord, service: &str) -> bool {
    const CALLS: [&str; 6] = [
        "UpdateFunctionCode",
        "UpdateFunctionConfiguration",
        "UpdateAlias",
        "UpdateService",
        "StartDeployment",
        "PutParameter",
    ];
    !record.read_only
        && CALLS.iter().any(|call| record.name.starts_with(call))
        && record
            .raw
            .get("requestParameters")
            .is_some_and(|parameters| parameters.to_string().contains(service))
}
