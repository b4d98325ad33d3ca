//! How well a change explains how requests fail: its best key, its code, or its kind.
//!
//! The rule that is not obvious: a change that gave more of what is short explains nothing, whatever its kind could do.

use super::only_logged;
use crate::analysis::compatibility::{of_code, of_kind};
use crate::analysis::failure::Failure;
use crate::analysis::keys::{self, Class, Fit};
use crate::analysis::logs::phrases::Mechanism;
use crate::analysis::{permits, ratios, words};
use crate::domain::change::{Change, ChangeKind};
use crate::domain::evidence::Evidence;

/// An attached policy that nobody read: one in ten forbids and fits like none other, and the others cannot have done it.
const UNREAD: f64 = 1.0;

/// Whether all that a change did moved away from what would bring these failures about. Code does more than its settings
/// tell, and so may what only log lines show of a change.
pub(super) fn eases(change: &Change, fits: &[Fit], failure: &Failure) -> bool {
    let quoted = fits.iter().any(|fit| fit.named.is_some());
    let by_keys = fits.iter().any(|fit| fit.eases)
        && fits.iter().all(|fit| fit.eases || fit.class == Class::Inert)
        && !change.keys.iter().all(|key| only_logged(change, key));
    !change.code_changed && !quoted && (by_keys || permits::spares(change, failure))
}

pub(super) fn of(change: &Change, fits: &[Fit], failure: &Failure) -> f64 {
    if eases(change, fits, failure) {
        return 1.0 / ratios::CAP;
    }
    if permits::is_unread(change, failure) && !fits.iter().any(|fit| fit.decisive) {
        return UNREAD;
    }
    let most = |ratios: &mut dyn Iterator<Item = f64>| ratios.reduce(f64::max);
    let by_keys = most(&mut fits.iter().map(|fit| fit.ratio));
    let by_kind = most(&mut failure.frequent().filter_map(|found| of_kind(&change.kind, found)));
    let by_code = change.code_changed.then(|| most(&mut failure.frequent().map(of_code)).unwrap_or(1.0));
    // Keys that only log fields tell of may not be all that it set.
    let all_logged = change.keys.iter().all(|key| only_logged(change, key));
    let by_keys = by_keys.map(|ratio| if all_logged { ratio.max(1.0) } else { ratio });
    // A pair of keys of different effect explains no worse than its better half.
    most(&mut [by_keys, by_kind, by_code].into_iter().flatten()).unwrap_or(1.0)
}

/// Whether the failures could come from code: its own words, or no words at all.
pub(super) fn code_in_question(failure: &Failure) -> bool {
    failure.mechanisms.is_empty()
        || failure
            .frequent()
            .any(|found| matches!(found, Mechanism::Code | Mechanism::Contract | Mechanism::Setting))
}

/// A configuration change whose values nothing shows: does the resource's present configuration hold
/// what the errors name?
pub(super) fn current_setting_named(
    change: &Change,
    failure: &Failure,
    evidence: &Evidence,
) -> Option<(String, String)> {
    if !change.keys.is_empty() || change.kind != ChangeKind::LambdaConfig || change.no_op {
        return None;
    }
    let history = evidence.functions.get(&change.resource)?;
    let latest = history.versions.as_ref()?.iter().find(|version| version.version == "$LATEST")?;
    // A value that an earlier version had as well is none that this change brought.
    let before = |key: &str, value: &str| {
        history.versions.iter().flatten().any(|version| {
            version.version != "$LATEST"
                && version.environment.get(key).is_some_and(|known| known == value)
                && version.last_modified.is_none_or(|at| at < change.at)
        })
    };
    let unknown = || latest.environment.iter().filter(|(key, value)| !before(key, value));
    unknown()
        .find_map(|(key, value)| {
            words::tokens(value)
                .into_iter()
                .filter(|token| token.contains('.') || token.len() >= 8)
                .find(|token| failure.texts.iter().any(|text| words::contains_token(text, token)))
                .map(|token| (key.clone(), token))
        })
        .or_else(|| {
            let repeated = |(key, value): &(&String, &String)| keys::is_repeated(key, value, failure);
            unknown().find(repeated).map(|(key, value)| (key.clone(), value.clone()))
        })
}
