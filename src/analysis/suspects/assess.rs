//! One change against one incident: its timing, its effect on what fails, and what was seen of it.
//!
//! The rule that is not obvious: what a change was asked for counts nothing, what acts when the symptom begins does. One
//! that was undone before has only what it left behind.

use jiff::Timestamp;

use super::{Harmless, Past, Reversal, Schema, Suspect, mechanism, reads};
use crate::analysis::canary;
use crate::analysis::failure::Failure;
use crate::analysis::keys::{self, Class, Fit};
use crate::analysis::logs::{LogSurvey, migration};
use crate::analysis::metrics::entities::mean;
use crate::analysis::nearness;
use crate::analysis::ratios;
use crate::analysis::settings;
use crate::analysis::symptom::Symptom;
use crate::analysis::trial;
use crate::domain::change::{Change, ChangeKind, FieldSays, LogField, Relation};
use crate::domain::evidence::Evidence;

/// Seconds. A rollout that takes longer goes out in steps.
const STEPWISE: i64 = 10 * 60;
/// Seconds after which an undoing has reached everybody: agents ask for configurations every minute or so, and tasks that
/// are replaced end what they do.
const SPREADS: i64 = 5 * 60;
/// Seconds. What came back stood until so short a time ago that it met the same days and the same load.
const LATELY: i64 = 24 * 3600;

/// All changes as suspects, unweighted by anything but themselves.
pub fn suspects<'c>(
    changes: &'c [Change],
    symptom: &Symptom,
    failure: &Failure,
    logs: Option<&LogSurvey>,
    evidence: &'c Evidence,
) -> Vec<Suspect<'c>> {
    let of_id = |id: &String| changes.iter().find(|change| change.id == *id);
    changes
        .iter()
        .map(|change| {
            let near =
                Near { undone: change.undoes.as_ref().and_then(of_id), undoing: undoing(change, changes) };
            suspect(change, &near, symptom, failure, logs, evidence)
        })
        .collect()
}

/// What a change has to do with others of its resource.
struct Near<'c> {
    /// The earlier change that this one takes back.
    undone: Option<&'c Change>,
    /// Epoch seconds from and until which this one was taken back itself.
    undoing: Option<(i64, i64)>,
}

/// When a change was taken back: over the rollout of what took it back, whose beginning is all that it carries itself.
fn undoing(change: &Change, changes: &[Change]) -> Option<(i64, i64)> {
    let at = change.undone_at?.as_second();
    let of_it = |back: &&Change| back.resource == change.resource && back.id != change.id;
    let rollouts = changes.iter().filter(of_it).filter_map(Change::took_effect);
    Some((at, rollouts.filter(|(from, _)| *from == at).map(|(_, until)| until).fold(at, i64::max)))
}

fn suspect<'c>(
    change: &'c Change,
    near: &Near<'_>,
    symptom: &Symptom,
    failure: &Failure,
    logs: Option<&LogSurvey>,
    evidence: &'c Evidence,
) -> Suspect<'c> {
    let effect = change.took_effect();
    let real = symptom.is_timed();
    let mut fits: Vec<Fit> = change.keys.iter().map(|key| keys::fit(key, failure)).collect();
    for (key, fit) in change.keys.iter().zip(&mut fits) {
        let stays = |shown: &&LogField| shown.key == key.key && shown.says == FieldSays::Stays;
        if change.shown.iter().any(|shown| stays(&shown)) {
            fit.ratio = (fit.ratio * ratios::SETTING_STAYS).max(1.0 / ratios::CAP);
        }
    }
    let closed = nearness::by_failure(change, &mut fits, failure, &evidence.scope);
    let quoted = fits.iter().any(|fit| fit.decisive) && reads(change);
    let timing = match effect {
        Some((from, until)) if real => {
            let spread = symptom.lag_density(from, until, ratios::change_lag);
            let first = symptom.lag_density(from, from, ratios::change_lag);
            // What goes out in shares hurts from its first share on.
            let usual = if until - from > STEPWISE { f64::midpoint(spread, first) } else { spread };
            if quoted { usual.max(symptom.lag_density(from, until, ratios::latent_lag)) } else { usual }
        }
        _ => 0.0,
    };
    let (_, _, latest) = symptom.seconds();
    let after_onset = real && effect.is_some_and(|(from, _)| from > latest);
    let shares = failure.is_about_sharing();
    let starved = keys::starved(&change.keys, &settings::standing(change, logs, evidence))
        .filter(|_| shares || failure.mechanisms.is_empty());
    let names_error = mechanism::current_setting_named(change, failure, evidence);
    let mut mechanism = mechanism::of(change, &fits, failure);
    if starved.is_some() && shares {
        mechanism = ratios::CAP;
    }
    if names_error.is_some() {
        mechanism = mechanism.max(5.0);
    }
    if matches!(change.relation, Relation::Peer(_)) {
        // However well it would explain failures of its own service, nothing carries it over to this one.
        mechanism = mechanism.min(1.0);
    }
    let tried = trial::of(change, failure, &evidence.trials).filter(|_| real);
    // What was logged in a test is what was counted in it.
    let logs_of_split = logs.filter(|_| real && tried.is_none());
    let split = logs_of_split.and_then(|logs| canary::split(change, effect, symptom, logs));
    let dose = canary::dose(change, effect, symptom, failure);
    let past = past(change, near, symptom).filter(|_| real);
    let reversal = change
        .undone_at
        .zip(near.undoing)
        .filter(|_| real && past != Some(Past::Undone))
        .and_then(|(at, (_, until))| reversal(at, until, symptom));
    let inert = !fits.is_empty() && !change.code_changed && fits.iter().all(|fit| fit.class == Class::Inert);
    let eases = || mechanism::eases(change, &fits, failure) && starved.is_none() && names_error.is_none();
    let harmless = if inert { Some(Harmless::Inert) } else { eases().then_some(Harmless::Eases) };
    let mut suspect = Suspect {
        change,
        effect,
        timing,
        after_onset,
        fits,
        mechanism,
        starved,
        split,
        tried,
        dose,
        reversal,
        names_error,
        cut_off: None,
        harmless,
        past,
        schema: logs.and_then(|logs| migrated(change, effect, logs)).or_else(|| {
            let missing = failure.texts.iter().any(|text| migration::is_missing(text));
            (change.code_changed && !quoted && missing).then_some(Schema::Missing)
        }),
        code_in_question: mechanism::code_in_question(failure),
        weight: 0.0,
        prior: 0.0,
    };
    // Where the service's own error repeats a parameter's value, the service reads that parameter.
    let relevance = ratios::relevance(&change.relation).max(closed);
    let relevance = if quoted { relevance.max(ratios::relevance(&Relation::Shared)) } else { relevance };
    suspect.prior = ratios::hazard(&change.kind) * relevance * timing;
    suspect.weight = suspect.prior * soft(&suspect);
    suspect
}

/// The product of the change's own likelihood ratios.
fn soft(suspect: &Suspect<'_>) -> f64 {
    let mut product = match suspect.harmless {
        _ if suspect.change.no_op => ratios::NO_OP,
        Some(Harmless::Inert) => ratios::INERT,
        Some(Harmless::Eases) => ratios::EASES,
        None => suspect.mechanism.clamp(1.0 / ratios::CAP, ratios::CAP),
    };
    match suspect.past {
        Some(Past::Undone) => product = product.min(ratios::UNDONE_BEFORE),
        Some(Past::Returns) => product *= ratios::RETURNS,
        None => {}
    }
    if suspect.is_quoted() && !suspect.change.no_op {
        product *= ratios::QUOTED;
    }
    if let Some(split) = &suspect.split {
        product *= split.ratio;
    }
    if let Some(tried) = &suspect.tried {
        product *= tried.ratio;
    }
    if let Some(dose) = &suspect.dose {
        product *= dose.ratio;
    }
    if let Some(reversal) = &suspect.reversal {
        product *= if reversal.minutes.is_some() { ratios::REVERSAL } else { ratios::REVERSAL_FAILED };
    }
    product
}

/// The line that tells of a schema's change with this release: shortly before it served, as where a
/// pipeline migrates first, or while its first tasks came up.
fn migrated(change: &Change, effect: Option<(i64, i64)>, logs: &LogSurvey) -> Option<Schema> {
    const BEFORE: i64 = 15 * 60;
    const AFTER: i64 = 20 * 60;
    let (from, until) = effect.filter(|_| change.relation == Relation::Own)?;
    let release = matches!(
        change.kind,
        ChangeKind::LambdaCode
            | ChangeKind::LambdaConfig
            | ChangeKind::LambdaAlias
            | ChangeKind::EcsDeployment
            | ChangeKind::Stack
    );
    let near = from - BEFORE..=until + AFTER;
    let told = logs.migrations.values().find(|(at, _)| release && near.contains(&at.as_second()))?;
    Some(Schema::Migrated(told.0, told.1.clone()))
}

/// `None` where it is too early to tell.
fn reversal(at: Timestamp, until: i64, symptom: &Symptom) -> Option<Reversal> {
    /// Minutes after an undoing is through.
    const RECOVERS: f64 = 15.0;
    let Some(end) = symptom.end else {
        let now = symptom.grid.second(symptom.grid.len);
        return (until + SPREADS <= now).then_some(Reversal { at, minutes: None });
    };
    let minutes = (symptom.grid.second(end) - at.as_second()) as f64 / 60.0;
    let latest = (until - at.as_second()) as f64 / 60.0 + RECOVERS;
    Some(Reversal { at, minutes: (-3.0..=latest).contains(&minutes).then_some(minutes.max(0.0)) })
}

/// What became of a change before the symptom began.
fn past(change: &Change, near: &Near<'_>, symptom: &Symptom) -> Option<Past> {
    let (earliest, ..) = symptom.seconds();
    if let Some((_, until)) = near.undoing {
        return (until + SPREADS < earliest).then_some(Past::Undone);
    }
    let (undone, (back, _)) = (near.undone?, change.took_effect()?);
    let (replaced, _) = undone.took_effect()?;
    (back - replaced <= LATELY && !was_mended(undone, back, symptom)).then_some(Past::Returns)
}

/// Whether what ran before a change failed much as requests fail now, and no longer did under it: whoever takes such a
/// change back brings the trouble back. `until`: epoch seconds at which it was taken back.
fn was_mended(change: &Change, until: i64, symptom: &Symptom) -> bool {
    /// Minutes right before it and under it from which a level is told, and the least number of values.
    const BEFORE: i64 = 5;
    const UNDER: i64 = 15;
    const FEWEST: usize = 3;
    /// Of the present rise: half of it is no wandering level.
    const PART: f64 = 0.5;
    let (Some(primary), Some((from, through))) = (&symptom.primary, change.took_effect()) else {
        return false;
    };
    let grid = symptom.grid;
    let index = |second: i64| usize::try_from((second - grid.start).div_euclid(grid.step)).unwrap_or(0);
    let level = |from: usize, to: usize| {
        let values = primary.values.get(from..to.min(primary.values.len()))?;
        (values.iter().flatten().count() >= FEWEST).then(|| mean(values)).flatten()
    };
    let (mended, whole) = (index(from), index(through) + 1);
    let before = level(mended.saturating_sub(grid.periods(BEFORE).max(FEWEST)), mended);
    let under = level(whole, index(until).min(whole + grid.periods(UNDER).max(FEWEST)));
    let (calm, now) = primary.levels_at(symptom.begin);
    before.zip(under).is_some_and(|(before, under)| before - under >= PART * (now - calm) && now > calm)
}
