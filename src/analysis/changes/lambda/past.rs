//! What a function's calls tell about the time before and after each of its deployments.
//!
//! The rule that is not obvious: a busy function has thousands of deployments, so both are learned in
//! one walk over them, never by looking through all others for each.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;

use super::super::call::settings;
use super::group::{Group, Move};
use super::{Function, response_text};
use crate::domain::evidence::FunctionVersion;

/// What the deployments before one leave behind.
#[derive(Default)]
pub(super) struct Past {
    settings: BTreeMap<String, String>,
    sha: Option<String>,
    /// When the configuration was asked to change last.
    configured: Option<Timestamp>,
    /// By alias: where it was pointed last.
    moves: HashMap<String, Move>,
    any: bool,
}

impl Past {
    pub fn learn(&mut self, group: &Group<'_>) {
        self.any = true;
        for call in &group.calls {
            if call.verb == "UpdateFunctionConfiguration" {
                self.configured = Some(call.record.at);
            }
            if let Some(sha) = response_text(call, "codeSha256") {
                self.sha = Some(sha);
            }
            self.settings.extend(settings(call.response(), &[]));
        }
        for moved in &group.moves {
            self.moves.insert(moved.alias.clone(), moved.clone());
        }
    }

    /// When the configuration was asked to change last.
    pub fn configured(&self) -> Option<Timestamp> {
        self.configured
    }

    pub fn last_move(&self, alias: &str) -> Option<&Move> {
        self.moves.get(alias)
    }
}

/// What is known of `$LATEST` before a deployment.
pub(super) struct Before<'p, 'a> {
    pub sha: Option<&'p str>,
    pub settings: &'p BTreeMap<String, String>,
    /// A published version whose environment `$LATEST` then had.
    pub snapshot: Option<&'a FunctionVersion>,
}

/// What comes after: places among the deployments, in order.
#[derive(Default)]
pub(super) struct Future {
    /// Places and times of the deployments that asked the configuration to change.
    configured: Vec<(usize, Timestamp)>,
    /// By version: the last deployment that pointed an alias to it.
    moved: HashMap<String, usize>,
}

impl Future {
    pub fn new(groups: &[Group<'_>]) -> Self {
        let mut future = Self::default();
        for (at, group) in groups.iter().enumerate() {
            if let Some(call) = group.verb("UpdateFunctionConfiguration") {
                future.configured.push((at, call.record.at));
            }
            for moved in &group.moves {
                future.moved.insert(moved.target.clone(), at);
            }
        }
        future
    }

    /// Whether the configuration was asked to change after this deployment.
    pub fn is_configured_after(&self, at: usize) -> bool {
        self.configured.last().is_some_and(|(last, _)| *last > at)
    }

    /// When the configuration was asked to change next after this deployment.
    pub fn configured_after(&self, at: usize) -> Option<Timestamp> {
        let next = self.configured.partition_point(|(place, _)| *place <= at);
        self.configured.get(next).map(|(_, time)| *time)
    }

    /// Whether an alias was pointed to a version after this deployment.
    pub fn is_moved_after(&self, target: &str, at: usize) -> bool {
        self.moved.get(target).is_some_and(|last| *last > at)
    }
}

/// Published versions in order of time, each with the newest of those up to it.
pub(super) struct Publications<'a>(Vec<(Timestamp, u64, &'a FunctionVersion)>);

impl<'a> Publications<'a> {
    pub fn new(versions: impl Iterator<Item = &'a FunctionVersion>) -> Self {
        let mut published: Vec<(Timestamp, u64, &'a FunctionVersion)> = versions
            .filter_map(|version| Some((version.last_modified?, super::number(&version.version)?, version)))
            .collect();
        published.sort_by_key(|(at, ..)| *at);
        let mut newest: Option<(u64, &'a FunctionVersion)> = None;
        for (_, number, version) in &mut published {
            match newest {
                Some((known, held)) if known > *number => (*number, *version) = (known, held),
                _ => newest = Some((*number, *version)),
            }
        }
        Self(published)
    }

    pub fn newest_before(&self, at: Timestamp) -> Option<&'a FunctionVersion> {
        let end = self.0.partition_point(|(published, ..)| *published < at);
        end.checked_sub(1).and_then(|last| self.0.get(last)).map(|(_, _, version)| *version)
    }
}

impl<'a> Function<'_, 'a> {
    /// What is known of `$LATEST` before a deployment: from the answers to earlier calls, and from the
    /// newest version published since the last of them.
    pub(super) fn state_before<'p>(&self, past: &'p Past, at: Timestamp) -> Before<'p, 'a>
    where
        'a: 'p,
    {
        let mut before = Before { sha: past.sha.as_deref(), settings: &past.settings, snapshot: None };
        if let Some(version) = self.publications.newest_before(at) {
            let fresh = past
                .configured
                .is_none_or(|configured| version.last_modified.is_some_and(|at| at >= configured));
            if !past.any {
                before.sha = Some(version.code_sha256.as_str()).filter(|sha| !sha.is_empty());
                before.settings = &version.settings;
            }
            before.snapshot = fresh.then_some(version);
        }
        before
    }
}
