//! `trials.json`: tests that the bot made in this incident, with what was counted in them.
//!
//! The rule that is not obvious: only the bot writes this file; nobody else has it, and its absence is no gap.

use jiff::Timestamp;
use serde::Deserialize as _;
use serde_json::{Value, json};

use super::Reading;
use crate::domain::evidence::Gap;
use crate::domain::trial::{Count, Trial};

const FILE: &str = "trials.json";

pub(super) fn read(reading: &mut Reading<'_>, now: Timestamp) -> Vec<Trial> {
    if !reading.names.contains(FILE) {
        return Vec::new();
    }
    let values = reading.elements("trials", FILE, &["Trials"]).unwrap_or_default();
    let whole = values.len();
    let mut read: Vec<Trial> =
        values.into_iter().filter_map(|value| Trial::deserialize(value).ok()).filter(is_sound).collect();
    if read.len() < whole {
        reading.gaps.push(Gap::new("trials", format!("{FILE}: {} of {whole} are none", whole - read.len())));
    }
    read.retain(|trial| trial.ended_at <= now);
    read.sort_by_key(|trial| trial.begun_at);
    read
}

/// Counts that nobody can have counted, and shares that are none, would weigh without a reason.
fn is_sound(trial: &Trial) -> bool {
    let counted =
        |count: Count| count.requests.is_finite() && (0.0..=count.requests).contains(&count.failures);
    let share = |share: f64| (0.0..=1.0).contains(&share);
    counted(trial.earlier_count)
        && counted(trial.current_count)
        && share(trial.design.if_change)
        && share(trial.design.if_other)
        && trial.begun_at <= trial.ended_at
}

pub(super) fn export(trials: &[Trial]) -> Option<Value> {
    (!trials.is_empty()).then(|| json!({ "Trials": trials }))
}
