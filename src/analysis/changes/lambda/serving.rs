//! Which version serves, as far as aliases and log lines tell, and what changed without a call that tells.
//!
//! The rule that is not obvious: log streams carry the version that wrote them, so they show what the
//! traffic met even where the aliases could not be read or the call that moved one is late.

use jiff::{SignedDuration, Timestamp};

use super::super::{DEPLOYMENT_GAP, draft};
use super::group::{Group, Move};
use super::{Function, NEAR, NOTICEABLE, differences, is_number, near, number, share};
use crate::domain::change::{Change, ChangeKind, Effect};
use crate::domain::evidence::FunctionAlias;

/// Clocks of the same account differ by no more; a version that wrote lines earlier is one that was used before.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_mins(5);

/// No pipeline tests what it has published and waits for the result within this time.
const SWIFT: SignedDuration = SignedDuration::from_mins(1);

impl<'a> Function<'_, 'a> {
    /// The share of log lines that `$LATEST` wrote.
    pub(super) fn latest_share(&self) -> f64 {
        let Some(written) = self.written else { return 0.0 };
        let all: usize = written.values().map(|seen| seen.lines).sum();
        let latest = written.get("$LATEST").map_or(0, |seen| seen.lines);
        if all == 0 { 0.0 } else { latest as f64 / all as f64 }
    }

    /// Whether, of several aliases, this one evidently gets no traffic: other versions went on writing
    /// lines long after it moved, and its own wrote none.
    pub(super) fn writes_nothing(&self, moved: &Move) -> bool {
        const LINES: usize = 50;
        let several =
            self.history.and_then(|history| history.aliases.as_ref()).is_some_and(|known| known.len() > 1);
        let Some(written) = self.written.filter(|_| several) else { return false };
        !written.contains_key(moved.target.as_str())
            && moved.share > NOTICEABLE
            && written.iter().any(|(version, seen)| {
                is_number(version)
                    && seen.lines >= LINES
                    && seen.last.duration_since(moved.at) > SignedDuration::from_mins(5)
            })
    }

    /// The alias that serves a version now, and the share of traffic that it gets; where the aliases
    /// could not be read, the lines that the version wrote tell.
    pub(super) fn serving(&self, version: &str) -> Option<(Option<String>, f64)> {
        if let Some(aliases) = self.history.and_then(|history| history.aliases.as_ref()) {
            return aliases.iter().find_map(|alias| Some((Some(alias.name.clone()), share(alias, version)?)));
        }
        let written = self.written?;
        let seen = written.get(version)?;
        // Lines of others that went on beside it.
        let others: usize = written
            .iter()
            .filter(|(other, theirs)| **other != version && theirs.last > seen.first)
            .map(|(_, theirs)| theirs.lines)
            .sum();
        Some((None, seen.lines as f64 / (seen.lines + others).max(1) as f64))
    }

    /// The versions that serve, newest first: those that the aliases name, or, where these could not be
    /// read, the one that began to write lines last.
    pub(super) fn served_now(&self) -> Vec<(Option<&'a FunctionAlias>, String)> {
        match self.history.and_then(|history| history.aliases.as_ref()) {
            Some(aliases) => aliases
                .iter()
                .filter_map(|alias| {
                    let newest = std::iter::once(&alias.version)
                        .chain(alias.weights.keys())
                        .max_by_key(|version| number(version))?;
                    Some((Some(alias), newest.clone()))
                })
                .collect(),
            None => self
                .written
                .iter()
                .flat_map(|written| written.iter())
                .filter(|(version, _)| is_number(version))
                .max_by_key(|(_, seen)| seen.first)
                .map(|(version, _)| (None, (*version).to_owned()))
                .into_iter()
                .collect(),
        }
    }

    /// Adds a change that no call seemed to tell of. Where some of its calls did arrive, they belong to it.
    pub(super) fn add_unrecorded(&self, mut change: Change, found: &mut Vec<Change>) {
        let modified = change.at;
        let part = found.iter().position(|known| {
            matches!(known.effect, Effect::None { .. })
                && known.to_version.is_none()
                && known.at <= modified.saturating_add(NEAR).unwrap_or(modified)
                && modified.duration_since(known.at) <= DEPLOYMENT_GAP
                && self.calls.iter().any(|call| !call.failed() && known.id == call.record.event_id)
        });
        if let Some(part) = part {
            let part = found.remove(part);
            change.id = part.id;
            change.event_ids = part.event_ids;
            change.actor = part.actor;
            change.at = part.at;
        }
        found.push(change);
    }

    /// The version that served before `target`: the one that wrote logs before `at`, else the one
    /// published before it.
    pub(super) fn served_before(&self, target: &str, at: Timestamp) -> Option<String> {
        let wrote = self.written.and_then(|written| {
            written
                .iter()
                .filter(|(version, seen)| **version != target && is_number(version) && seen.first < at)
                .max_by_key(|(_, seen)| seen.last.min(at))
                .map(|(version, _)| (*version).to_owned())
        });
        wrote.or_else(|| {
            let limit = number(target)?;
            self.history?
                .versions
                .as_ref()?
                .iter()
                .filter(|version| number(&version.version).is_some_and(|number| number < limit))
                .max_by_key(|version| number(&version.version))
                .map(|version| version.version.clone())
        })
    }

    /// Between when and when a version began to serve, where no call tells: after `at`, after the last
    /// line that only others wrote, and before its own first line.
    pub(super) fn seen_since(&self, version: &str, at: Timestamp) -> (Timestamp, Timestamp) {
        let Some(written) = self.written else { return (at, at) };
        let Some(first) = written.get(version).map(|seen| seen.first).filter(|first| *first > at) else {
            return (at, at);
        };
        let others_wrote = written.iter().any(|(other, seen)| *other != version && seen.first < first);
        if others_wrote { (at, first) } else { (at, at) }
    }

    /// How much later than the lines the records of a deployment are stamped. Nobody writes before he is published, so that
    /// a version's line from before its publication shows that the two clocks differ. Where the alias moved right after, the
    /// first line is the latest time at which traffic can have met the version; else that line may be a test's.
    pub(super) fn lateness(&self, version: &str, group: &Group<'a>) -> SignedDuration {
        let called = group.calls.iter().find(|call| call.verb == "PublishVersion").map(|call| call.record.at);
        let published = called.or_else(|| self.version(version)?.last_modified);
        let first = self.written.and_then(|written| written.get(version)).map(|seen| seen.first);
        match (published, first, group.moves.first()) {
            (Some(published), Some(first), Some(moved))
                if first < published && published.duration_since(first) <= CLOCKS_DIFFER =>
            {
                let swift = moved.at.duration_since(published) <= SWIFT;
                if swift { moved.at.duration_since(first) } else { published.duration_since(first) }
            }
            _ => SignedDuration::ZERO,
        }
    }

    /// Versions that serve and `$LATEST` that changed without any call that tells.
    pub(super) fn unrecorded(&self, groups: &[Group<'a>], found: &[Change]) -> Vec<Change> {
        let mut changes = Vec::new();
        for (alias, target) in self.served_now() {
            let target = target.as_str();
            let told = found.iter().any(|change| change.to_version.as_deref() == Some(target));
            let Some(version) = self.version(target).filter(|_| !told) else { continue };
            let Some(at) = version.last_modified else { continue };
            // A second alias, for people to try things on, brings nothing to anybody.
            let idle = alias.is_some_and(|alias| {
                let share = self.serving(target).map_or(1.0, |(_, share)| share);
                let name = alias.name.clone();
                self.writes_nothing(&Move { alias: name, target: target.to_owned(), share, rest: None, at })
            });
            if idle {
                continue;
            }
            let mut change = draft(ChangeKind::LambdaAlias, self.name.to_owned(), at);
            change.id = format!("{}:{target}", self.name);
            let (from, until) = self.seen_since(target, at);
            change.effect = Effect::Took { from, until };
            change.share = self.serving(target).map_or(1.0, |(_, share)| share);
            let before = alias
                .and_then(|alias| {
                    alias.weights.keys().chain([&alias.version]).find(|version| *version != target)
                })
                .cloned()
                .or_else(|| self.served_before(target, until));
            self.versions(before, target.to_owned(), &Group::default(), &mut change);
            change.undo = self.undo_alias(alias.map(|alias| alias.name.as_str()), &change);
            change.kind = Group::default().kind(&change);
            changes.push(change);
        }
        if !self.aliased
            && let Some(latest) = self.version("$LATEST")
            && let Some(at) = latest.last_modified
            && !groups.iter().flat_map(|group| &group.calls).any(|call| near(call.record.at, at))
        {
            let mut change = draft(ChangeKind::LambdaConfig, self.name.to_owned(), at);
            change.id = format!("{}:$LATEST", self.name);
            change.to_version = Some("$LATEST".to_owned());
            if let Some(before) = self.publications.newest_before(at) {
                change.from_version = Some(before.version.clone());
                change.keys = differences(before, latest);
                change.code_changed = before.code_sha256 != latest.code_sha256;
            }
            change.kind = Group::default().kind(&change);
            change.undo =
                Err("AWS keeps no earlier state of $LATEST, and no call shows what changed".to_owned());
            changes.push(change);
        }
        changes
    }
}
