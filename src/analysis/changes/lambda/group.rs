//! Which calls make up one deployment of a function, and where they point its alias.
//!
//! The rule that is not obvious: within one deployment every kind of call comes once. A second change of
//! the code is a second deployment, however soon it comes; another step of a canary is not.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::super::DEPLOYMENT_GAP;
use super::super::call::{Call, field, scalar};
use super::super::difference::is_label;
use super::{is_number, number, response_text};
use crate::domain::change::{Change, ChangeKind};

/// A canary's steps belong to one rollout for at most this long.
const RAMP_GAP: SignedDuration = SignedDuration::from_hours(24);

/// Calls that make up one deployment.
#[derive(Default)]
pub(super) struct Group<'a> {
    pub calls: Vec<Call<'a>>,
    pub moves: Vec<Move>,
}

/// One call that pointed an alias somewhere.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Move {
    pub alias: String,
    /// The version that the deployment brings, and the share of traffic that it gets.
    pub target: String,
    pub share: f64,
    /// The version that keeps the rest, where there is one.
    pub rest: Option<String>,
    pub at: Timestamp,
}

impl Move {
    /// Where a call points an alias, if it does.
    pub fn of(call: &Call<'_>, group: Option<&Group<'_>>) -> Option<Self> {
        if !matches!(call.verb, "CreateAlias" | "UpdateAlias") {
            return None;
        }
        // A new description alone points nowhere.
        call.field(&["functionVersion", "routingConfig"])?;
        let alias = call.text(&["name"])?;
        let weights: BTreeMap<String, f64> = field(call.request(), "routingConfig")
            .and_then(|routing| field(routing, "additionalVersionWeights"))
            .and_then(serde_json::Value::as_object)
            .map(|weights| {
                weights
                    .iter()
                    .filter_map(|(version, weight)| Some((version.clone(), weight.as_f64()?)))
                    .collect()
            })
            .unwrap_or_default();
        let main = call
            .text(&["functionVersion"])
            .or_else(|| field(call.response(), "functionVersion").and_then(scalar))?;
        let rest: f64 = weights.values().sum();
        let Some((other, weight)) = weights.iter().max_by(|a, b| a.1.total_cmp(b.1)) else {
            return Some(Self { alias, target: main, share: 1.0, rest: None, at: call.record.at });
        };
        // Of the two versions the newer one is what the deployment brings.
        let published = group.and_then(Group::published);
        let other_is_new = match published.as_deref() {
            Some(published) if published == other => true,
            Some(published) if published == main => false,
            _ => number(other) > number(&main),
        };
        let (target, share, rest) = if other_is_new {
            (other.clone(), *weight, Some(main))
        } else {
            (main, (1.0 - rest).max(0.0), Some(other.clone()))
        };
        Some(Self { alias, target, share, rest, at: call.record.at })
    }
}

/// Whether two calls were made by one user, or in sessions of one role.
fn is_one_caller(one: &Call<'_>, other: &Call<'_>) -> bool {
    let role = |call: &Call<'_>| {
        let arn = &call.record.actor.arn;
        arn.split_once(":assumed-role/").and_then(|(_, rest)| rest.split('/').next()).map(str::to_owned)
    };
    match (role(one), role(other)) {
        (Some(one), Some(other)) => one == other,
        _ => one.record.actor == other.record.actor,
    }
}

impl<'a> Group<'a> {
    pub fn verb(&self, verb: &str) -> Option<&Call<'a>> {
        self.calls.iter().rev().find(|call| call.verb == verb)
    }

    /// The version that the group published.
    pub fn published(&self) -> Option<String> {
        self.calls
            .iter()
            .rev()
            .filter(|call| matches!(call.verb, "PublishVersion" | "UpdateFunctionCode" | "CreateFunction"))
            .find_map(|call| response_text(call, "version").filter(|version| is_number(version)))
    }

    /// Whether somebody else's call carries this deployment on: it publishes what was just updated, or moves an alias to
    /// what was just published.
    fn is_carried_on_by(&self, call: &Call<'a>, moved: Option<&Move>) -> bool {
        match call.verb {
            "PublishVersion" => self.calls.iter().any(|known| known.verb.starts_with("UpdateFunction")),
            _ => moved.is_some_and(|moved| self.published().as_deref() == Some(&moved.target)),
        }
    }

    /// Whether a call belongs to this deployment: by its caller, or, whoever made it, by what it does.
    pub fn takes(&self, call: &Call<'a>, moved: Option<&Move>, by_caller: bool) -> bool {
        let (Some(last), Some(first)) = (self.calls.last(), self.calls.first()) else { return true };
        let gap = call.record.at.duration_since(last.record.at);
        if let (Some(moved), Some(before)) = (moved, self.moves.last()) {
            // Another step of one canary, or the next alias for the same version; not a way back.
            return gap <= RAMP_GAP
                && moved.target == before.target
                && (moved.alias != before.alias || moved.share > before.share);
        }
        self.moves.is_empty()
            && gap <= DEPLOYMENT_GAP
            && (!by_caller || is_one_caller(call, first))
            && (by_caller || self.is_carried_on_by(call, moved))
            && self.calls.iter().all(|known| known.verb != call.verb)
            && !(call.verb.starts_with("UpdateFunction") && self.verb("PublishVersion").is_some())
            // An alias that is moved to another version than the one just published is another matter.
            && moved.is_none_or(|moved| self.published().is_none_or(|version| version == moved.target))
    }

    pub fn kind(&self, change: &Change) -> ChangeKind {
        let only_alias = !self.calls.is_empty()
            && self.calls.iter().all(|call| matches!(call.verb, "UpdateAlias" | "CreateAlias"));
        let told = change.keys.iter().any(|key| !is_label(&key.key));
        if only_alias {
            ChangeKind::LambdaAlias
        } else if told {
            ChangeKind::LambdaConfig
        } else if change.code_changed || self.verb("UpdateFunctionCode").is_some() {
            ChangeKind::LambdaCode
        } else if self.calls.is_empty() && change.keys.is_empty() {
            ChangeKind::LambdaAlias
        } else if self.calls.iter().all(|call| call.verb == "PublishVersion") && !self.calls.is_empty() {
            ChangeKind::LambdaCode
        } else {
            ChangeKind::LambdaConfig
        }
    }
}
