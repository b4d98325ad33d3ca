//! `snapshots.json`: what the bot recorded of the configuration of a service, with secrets as hashes.
//!
//! The rule that is not obvious: only the bot writes this file; nobody else has it, and its absence is no gap.

use jiff::Timestamp;
use serde::Deserialize as _;
use serde_json::{Value, json};

use super::Reading;
use crate::domain::evidence::Gap;
use crate::domain::snapshot::Snapshot;

const FILE: &str = "snapshots.json";

pub(super) fn read(reading: &mut Reading<'_>, now: Timestamp) -> Vec<Snapshot> {
    if !reading.names.contains(FILE) {
        return Vec::new();
    }
    let values = reading.elements("snapshots", FILE, &["Snapshots"]).unwrap_or_default();
    let whole = values.len();
    let read: Vec<Snapshot> =
        values.into_iter().filter_map(|value| Snapshot::deserialize(value).ok()).collect();
    if read.len() < whole {
        reading
            .gaps
            .push(Gap::new("snapshots", format!("{FILE}: {} of {whole} are none", whole - read.len())));
    }
    let known = read.into_iter().filter(|snapshot| snapshot.first_at <= now);
    let mut known: Vec<Snapshot> =
        known.map(|snapshot| Snapshot { last_at: snapshot.last_at.min(now), ..snapshot }).collect();
    known.sort_by(|one, other| (&one.resource, one.first_at).cmp(&(&other.resource, other.first_at)));
    known
}

pub(super) fn export(snapshots: &[Snapshot]) -> Option<Value> {
    (!snapshots.is_empty()).then(|| json!({ "Snapshots": snapshots }))
}
