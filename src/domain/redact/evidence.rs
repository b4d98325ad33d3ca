//! Secrets masked in all that was read about an incident, before any of it is stored or weighed.
//!
//! The rule that is not obvious: values that are compared get masks that tell them apart ([`Masks`]); lines and
//! records, which are read once, get the plain one, so that masks make no templates of their own.

use std::collections::BTreeMap;

use super::{Masks, json, text};
use crate::domain::alert::Alert;
use crate::domain::evidence::Evidence;
use crate::domain::snapshot::Recorded;

/// Masks secrets in evidence. What it gives leads from the masks in configurations back to their values, for the
/// one call that may need them.
pub fn evidence(evidence: &mut Evidence) -> Masks {
    let mut masks = Masks::default();
    let Evidence {
        alert,
        logs,
        trail,
        functions,
        ecs_services,
        task_definitions,
        parameters,
        appconfig,
        releases,
        snapshots,
        gaps,
        // None of them holds a value of anybody's: names, times and figures.
        trials: _,
        scope: _,
        series: _,
        cost: _,
    } = evidence;
    self::alert(alert);
    for event in logs.iter_mut().flatten() {
        put(&mut event.message);
    }
    for record in trail.iter_mut().flatten() {
        json(&mut record.raw);
    }
    for version in functions.values_mut().filter_map(|history| history.versions.as_mut()).flatten() {
        values(&mut version.environment, &mut masks);
        values(&mut version.settings, &mut masks);
        put(&mut version.description);
    }
    for (_, message) in ecs_services.iter_mut().flat_map(|service| &mut service.events) {
        put(message);
    }
    for definition in task_definitions.iter_mut().flatten() {
        values(&mut definition.settings, &mut masks);
        for container in &mut definition.containers {
            values(&mut container.environment, &mut masks);
            values(&mut container.settings, &mut masks);
        }
    }
    for parameter in parameters.iter_mut().flatten() {
        if let Some(value) = &mut parameter.value {
            *value = masks.value(&parameter.name, value);
        }
    }
    for deployment in appconfig.iter_mut().flatten() {
        for content in [&mut deployment.before, &mut deployment.after].into_iter().flatten() {
            masks.json(content);
        }
    }
    for event in &mut releases.events {
        json(&mut event.raw);
    }
    for snapshot in snapshots {
        for (key, recorded) in &mut snapshot.values {
            if let Recorded::Plain(value) = recorded {
                *value = masks.value(key, value);
            }
        }
    }
    for gap in gaps {
        put(&mut gap.reason);
    }
    masks
}

/// Masks secrets in an alert's words. What calls itself a service and looks like a secret is none that AWS could name.
pub fn alert(alert: &mut Alert) {
    let Alert { service, metric, severity, alert_name, source, .. } = alert;
    put(service);
    for said in [metric, severity, alert_name, source].into_iter().flatten() {
        put(said);
    }
}

fn put(said: &mut String) {
    let masked = text(said);
    if masked != *said {
        *said = masked;
    }
}

fn values(settings: &mut BTreeMap<String, String>, masks: &mut Masks) {
    for (key, value) in settings {
        *value = masks.value(key, value);
    }
}
