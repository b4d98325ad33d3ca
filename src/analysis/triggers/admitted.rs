//! Trouble of its own that AWS tells of: events of AWS Health.
//!
//! The rule that is not obvious: AWS has trouble with something somewhere every day. Only an issue with what this
//! service is made of counts, only where it began about when the service's trouble did, and not once it was over.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{Triggers, ZoneTrouble, lag};
use crate::analysis::ratios;
use crate::analysis::symptom::Symptom;
use crate::domain::alert::parse_time;
use crate::domain::evidence::Evidence;

/// AWS tells when its trouble began by its own alarms, which a service may feel some minutes before.
const FELT_BEFORE: SignedDuration = SignedDuration::from_mins(15);

/// An issue with something that the service is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    /// `AWS_LAMBDA_OPERATIONAL_ISSUE`.
    pub code: String,
    pub service: String,
    pub text: String,
    /// The period in which it began.
    pub first: usize,
}

pub(super) fn read(found: &mut Triggers, symptom: &Symptom, evidence: &Evidence) {
    if symptom.primary.is_none() {
        return;
    }
    let grid = symptom.grid;
    for event in evidence.releases.events.iter().filter(|event| event.kind == "AWS Health Event") {
        let Some(detail) = event.raw.get("detail") else { continue };
        let text = |name: &str| detail.get(name).and_then(Value::as_str).unwrap_or_default();
        let service = text("service").to_uppercase();
        if text("eventTypeCategory") != "issue" || !is_used(&service, evidence) {
            continue;
        }
        let began = time(text("startTime")).unwrap_or(event.at);
        let Some(first) = grid.index(began) else { continue };
        let onset = grid.at(symptom.first);
        let over = time(text("endTime")).is_some_and(|ended| ended < onset);
        if over || began.duration_since(onset) > FELT_BEFORE {
            continue;
        }
        let described = detail.pointer("/eventDescription/0/latestDescription").and_then(Value::as_str);
        let said = described.unwrap_or(text("eventTypeCode")).to_owned();
        let rate = ratios::ZONE_HURTS * lag(symptom, first.min(symptom.last), first.max(symptom.first));
        let known = found.zone.get_or_insert(ZoneTrouble {
            peers: Vec::new(),
            of: 0,
            text: None,
            zone: None,
            rate: 0.0,
        });
        known.rate = known.rate.max(rate);
        known.text.get_or_insert_with(|| said.clone());
        found.admitted.get_or_insert(Admitted {
            code: text("eventTypeCode").to_owned(),
            service,
            text: said,
            first,
        });
    }
}

/// Health writes times as mails do: `Fri, 1 Jun 2018 05:01:10 GMT`.
fn time(text: &str) -> Option<Timestamp> {
    let mail = jiff::fmt::rfc2822::parse(text).ok().map(|zoned| zoned.timestamp());
    mail.or_else(|| parse_time(text))
}

/// Whether the service is made of this: what runs it, or what it has metrics of.
fn is_used(service: &str, evidence: &Evidence) -> bool {
    let resources = &evidence.scope.resources;
    match service {
        "LAMBDA" => !resources.lambda.is_empty(),
        "ECS" | "FARGATE" => !resources.ecs.is_empty(),
        "SSM" => !resources.ssm_paths.is_empty(),
        "APPCONFIG" => !resources.appconfig.is_empty(),
        // `ELASTICLOADBALANCING` has its metrics in `AWS/ApplicationELB`.
        "ELASTICLOADBALANCING" => measured(evidence, "ELB"),
        other => !other.is_empty() && measured(evidence, other),
    }
}

fn measured(evidence: &Evidence, name: &str) -> bool {
    let spaces = evidence.series.iter().flatten().map(|series| series.namespace.to_uppercase());
    spaces.into_iter().any(|space| space.strip_prefix("AWS/").is_some_and(|space| space.ends_with(name)))
}
