//! The deploy agent: every change as a suspect, with what speaks for and against it.
//!
//! The rule that is not obvious: a change counts from its effect, over an interval where it was
//! rolled out, and one that took effect after the onset counts nothing.

use jiff::Timestamp;

use super::canary::{self, Dose, Split};
use super::keys::{self, Class, Failure, Fit, Starved};
use super::logs::phrases::Mechanism;
use super::logs::{LogSurvey, migration};
use super::nearness;
use super::ratios;
use super::settings;
use super::symptom::Symptom;
use super::trial::{self, Tried};
use super::triggers::{Triggers, events};
use super::words;
use crate::domain::change::{Change, ChangeKind, FieldSays, KeyChange, LogField, Relation};
use crate::domain::evidence::Evidence;
use crate::domain::trial::TELLS;

/// Seconds. A rollout that takes longer goes out in steps.
const STEPWISE: i64 = 10 * 60;

/// The least share of the new failing lines that a kind or a mechanism must have to be spoken of.
const TELLING: f64 = 0.1;

/// More keys than this, none of which stands out, are a list and no answer.
const NAMED_TOGETHER: usize = 3;

/// What undoing the change did.
#[derive(Debug, Clone, PartialEq)]
pub struct Reversal {
    pub at: Timestamp,
    /// Minutes from the undoing to the end of the symptom; `None` where it went on.
    pub minutes: Option<f64>,
}

/// What a change has to do with a database's schema.
#[derive(Debug, Clone, PartialEq)]
pub enum Schema {
    /// The release changed it, as its logs say: when, and the line.
    Migrated(Timestamp, String),
    /// The errors miss a column or table, and not because a changed value names it.
    Missing,
}

#[derive(Debug, Clone)]
pub struct Suspect<'c> {
    pub change: &'c Change,
    /// Epoch seconds from and until which it took effect.
    pub effect: Option<(i64, i64)>,
    /// Expected density of its lag to the onset, per minute.
    pub timing: f64,
    /// It took effect after the symptom began.
    pub after_onset: bool,
    /// By index into the change's keys.
    pub fits: Vec<Fit>,
    /// How well what it changed explains how requests fail.
    pub mechanism: f64,
    /// Callers over what they share: see [`keys::starved`].
    pub starved: Option<Starved>,
    pub split: Option<Split>,
    /// The version before it was given a share of the traffic, to see.
    pub tried: Option<Tried<'c>>,
    /// Failures against the share of traffic that it got.
    pub dose: Option<Dose>,
    pub reversal: Option<Reversal>,
    /// A current setting of the changed resource names what the errors name: key, value's part.
    pub names_error: Option<(String, String)>,
    /// A key that set the very limit at which a series is cut off at the onset: its index, the limit.
    pub cut_off: Option<(usize, f64)>,
    pub only_inert: bool,
    /// What ties the change to a state of the database that going back does not restore.
    pub schema: Option<Schema>,
    /// The failures could come from code: its own words, or no words at all.
    pub code_in_question: bool,
    /// Prior rate times all likelihood ratios.
    pub weight: f64,
    /// The same before soft evidence.
    pub prior: f64,
}

impl Suspect<'_> {
    /// Evidence beyond timing speaks for it.
    pub fn has_mechanism(&self) -> bool {
        self.mechanism >= 2.5 || self.names_error.is_some()
    }

    /// Something beyond its time shows how it did it: what it changed fits the errors, or its share of the traffic tells it
    /// from the rest.
    pub fn shows_how(&self) -> bool {
        self.has_mechanism()
            || self.has_split()
            || self.has_values()
            || self.reversed()
            || self.dose.as_ref().is_some_and(|dose| dose.ratio >= 3.0)
    }

    /// The mechanism stands with its values: in the error itself, or in an arithmetic that cannot
    /// hold. Values of which only the program itself tells are no proof, though a good sign.
    pub fn has_values(&self) -> bool {
        let by_aws =
            |index: usize| self.change.keys.get(index).is_some_and(|key| !only_logged(self.change, key));
        let sides = |starved: &Starved| {
            [starved.callers.changed, starved.pool.changed].into_iter().flatten().all(by_aws)
        };
        self.starved.as_ref().is_some_and(sides)
            || self.cut_off.is_some()
            || self.fits.iter().enumerate().any(|(index, fit)| fit.named.is_some() && by_aws(index))
            || (self.mechanism >= 8.0
                && self
                    .change
                    .keys
                    .iter()
                    .any(|key| key.before.is_some() && key.after.is_some() && !only_logged(self.change, key)))
    }

    /// The new errors repeat its new value, which only it can have put there.
    pub fn is_quoted(&self) -> bool {
        self.fits.iter().any(|fit| fit.decisive) && reads(self.change)
    }

    /// Versions served in the same minutes, by chance or in a test, and this one fails where the others do not.
    pub fn has_split(&self) -> bool {
        self.split.as_ref().is_some_and(|split| split.ratio >= 3.0)
            || self.tried.as_ref().is_some_and(|tried| tried.ratio >= TELLS)
    }

    pub fn reversed(&self) -> bool {
        self.reversal.as_ref().is_some_and(|reversal| reversal.minutes.is_some())
    }

    /// Indexes of the keys that matter: those that explain the failure, or the only one that could.
    pub fn guilty_keys(&self) -> Vec<usize> {
        let best = self.fits.iter().map(|fit| fit.ratio).fold(0.0, f64::max);
        let named = self.fits.iter().any(|fit| fit.named.is_some());
        let mut guilty: Vec<usize> = self
            .fits
            .iter()
            .enumerate()
            .filter(|(_, fit)| fit.explains() && fit.ratio >= best * 0.45 && (!named || fit.named.is_some()))
            .map(|(index, _)| index)
            .collect();
        if let Some(starved) = &self.starved {
            guilty.extend([starved.callers.changed, starved.pool.changed].into_iter().flatten());
            guilty.sort_unstable();
            guilty.dedup();
        }
        if let Some((key, _)) = self.cut_off {
            guilty = vec![key];
        }
        if guilty.is_empty() {
            let live: Vec<usize> = self
                .fits
                .iter()
                .enumerate()
                .filter(|(_, fit)| fit.class != Class::Inert && fit.ratio >= 0.2)
                .map(|(index, _)| index)
                .collect();
            // With the code unchanged, or not in question, the living keys are what changed; where nothing
            // tells them apart they are named together.
            if !self.change.code_changed || !self.code_in_question {
                let best = live.iter().map(|index| self.fits[*index].ratio).fold(0.0, f64::max);
                let alike: Vec<usize> =
                    live.into_iter().filter(|index| self.fits[*index].ratio >= 0.9 * best).collect();
                if alike.len() <= NAMED_TOGETHER {
                    return alike;
                }
            }
        }
        guilty
    }
}

/// How the failures of this incident look, for matching keys against them.
pub fn failure(symptom: &Symptom, logs: Option<&LogSurvey>) -> Failure {
    let mut failure =
        Failure { manner: symptom.primary.as_ref().map(|primary| primary.manner), ..Failure::default() };
    // Calls that the platform refused never log anything.
    let throttled = symptom.primary.as_ref().is_some_and(|primary| primary.query.contains("hrottle"));
    if throttled {
        failure.mechanisms.push((Mechanism::Throttled, 0.9));
    }
    if let Some(logs) = logs {
        for (kind, share) in symptom.new_kinds(logs) {
            // Many rare kinds of one mechanism are as telling as one that is common.
            if let Some(mechanism) = kind.mechanism {
                match failure.mechanisms.iter_mut().find(|(known, _)| *known == mechanism) {
                    Some((_, sum)) => *sum += share,
                    None => failure.mechanisms.push((mechanism, share)),
                }
            }
            if share < TELLING {
                continue;
            }
            let mut text = kind.example.to_lowercase();
            if let Some(name) = &kind.error_type {
                text.push(' ');
                text.push_str(&name.to_lowercase());
            }
            failure.said.push((kind.mechanism, kind.steady.clone()));
            failure.texts.push(text);
        }
        failure.mechanisms.retain(|(_, share)| *share >= TELLING);
    }
    failure
}

/// Adds what the container service says of its own tasks: a task that is killed writes no last line.
pub fn hear(failure: &mut Failure, triggers: &Triggers) {
    for told in &triggers.told {
        let mechanism = match told.kind {
            events::Kind::Memory => Mechanism::Memory,
            events::Kind::Image => Mechanism::Missing,
            events::Kind::Capacity | events::Kind::Room | events::Kind::Health => continue,
        };
        match failure.mechanisms.iter_mut().find(|(known, _)| *known == mechanism) {
            Some((_, share)) => *share = share.max(0.9),
            None => failure.mechanisms.push((mechanism, 0.9)),
        }
        failure.own_tasks = true;
    }
}

/// All changes as suspects, unweighted by anything but themselves.
pub fn suspects<'c>(
    changes: &'c [Change],
    symptom: &Symptom,
    failure: &Failure,
    logs: Option<&LogSurvey>,
    evidence: &'c Evidence,
) -> Vec<Suspect<'c>> {
    changes.iter().map(|change| suspect(change, symptom, failure, logs, evidence)).collect()
}

fn suspect<'c>(
    change: &'c Change,
    symptom: &Symptom,
    failure: &Failure,
    logs: Option<&LogSurvey>,
    evidence: &'c Evidence,
) -> Suspect<'c> {
    let effect = change.took_effect();
    let real = symptom.primary.is_some();
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
    let only_inert =
        !fits.is_empty() && !change.code_changed && fits.iter().all(|fit| fit.class == Class::Inert);
    let shares = failure.mechanisms.iter().any(|(found, share)| *share >= 0.2 && is_about_sharing(*found));
    let starved = keys::starved(&change.keys, &settings::standing(change, logs, evidence))
        .filter(|_| shares || failure.mechanisms.is_empty());
    let names_error = current_setting_named(change, failure, evidence);
    let mut mechanism = mechanism_of(change, &fits, failure);
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
    let reversal = change.undone_at.filter(|_| real).map(|at| reversal(at, symptom));
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
        only_inert,
        schema: logs.and_then(|logs| migrated(change, effect, logs)).or_else(|| {
            let missing = failure.texts.iter().any(|text| migration::is_missing(text));
            (change.code_changed && !quoted && missing).then_some(Schema::Missing)
        }),
        code_in_question: failure.mechanisms.is_empty()
            || failure.mechanisms.iter().any(|(found, share)| {
                *share >= 0.2 && matches!(found, Mechanism::Code | Mechanism::Contract | Mechanism::Setting)
            }),
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

/// Whether nothing but the service's own log lines shows a key's values.
fn only_logged(change: &Change, key: &KeyChange) -> bool {
    change.shown.iter().any(|shown| shown.key == key.key && shown.says == FieldSays::Alone)
}

/// The product of the change's own likelihood ratios.
pub fn soft(suspect: &Suspect<'_>) -> f64 {
    let mut product = suspect.mechanism.clamp(1.0 / ratios::CAP, ratios::CAP);
    if suspect.change.no_op {
        product = ratios::NO_OP;
    } else if suspect.only_inert {
        product = ratios::INERT;
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

/// Whether a change's values can reach this service: somebody else's own configuration cannot.
fn reads(change: &Change) -> bool {
    match change.relation {
        Relation::Own | Relation::Shared | Relation::Dependency(_) => true,
        Relation::Peer(_) => false,
        Relation::Unconnected => {
            matches!(change.kind, ChangeKind::SsmParameter | ChangeKind::Appconfig | ChangeKind::Secret)
        }
    }
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

pub(super) fn is_about_sharing(mechanism: Mechanism) -> bool {
    matches!(
        mechanism,
        Mechanism::Pool | Mechanism::Timeout | Mechanism::Overload | Mechanism::FunctionTimeout
    )
}

/// How well the change explains how requests fail: its best key, its code, or its kind.
fn mechanism_of(change: &Change, fits: &[Fit], failure: &Failure) -> f64 {
    use Mechanism as M;
    let by_keys = fits
        .iter()
        .map(|fit| fit.ratio)
        .fold(None, |best: Option<f64>, ratio| Some(best.map_or(ratio, |best| best.max(ratio))));
    let dominant = |pick: &dyn Fn(Mechanism) -> f64| {
        failure
            .mechanisms
            .iter()
            .filter(|(_, share)| *share >= 0.2)
            .map(|(mechanism, _)| pick(*mechanism))
            .fold(None, |best: Option<f64>, ratio| Some(best.map_or(ratio, |best| best.max(ratio))))
    };
    let by_kind = match change.kind {
        ChangeKind::IamPolicy => dominant(&|found| if found == M::Access { 10.0 } else { 0.15 }),
        ChangeKind::Secret => dominant(&|found| match found {
            M::Access => 10.0,
            M::Expired | M::Tls => 2.0,
            _ => 0.3,
        }),
        ChangeKind::SecurityGroup | ChangeKind::Network => dominant(&|found| match found {
            M::Unreachable => 10.0,
            M::Timeout | M::FunctionTimeout => 6.0,
            M::Dns | M::Upstream | M::Pool => 2.0,
            _ => 0.15,
        }),
        ChangeKind::DatabaseParameter => dominant(&|found| match found {
            // A table's capacity is a database's setting as well.
            M::Pool | M::Contention | M::Throttled => 8.0,
            M::Timeout | M::FunctionTimeout | M::Unreachable | M::Memory | M::Disk => 3.0,
            _ => 0.3,
        }),
        // A job that runs more often takes locks and room from everybody.
        ChangeKind::Schedule => dominant(&|found| match found {
            M::Contention => 6.0,
            M::Pool | M::Overload | M::Timeout | M::Throttled => 2.5,
            _ => 0.6,
        }),
        ChangeKind::LambdaConcurrency => dominant(&|found| match found {
            M::Throttled | M::Overload => 10.0,
            M::Pool | M::Timeout | M::Upstream => 2.5,
            _ => 0.4,
        }),
        _ => None,
    };
    let by_code = change.code_changed.then(|| {
        dominant(&|found| match found {
            M::Code | M::Contract => 5.0,
            M::Setting | M::Contention => 2.0,
            M::Timeout | M::FunctionTimeout | M::Memory | M::Pool | M::Missing | M::Access | M::Handles => {
                1.0
            }
            M::Overload | M::Throttled | M::Unreachable | M::Dns | M::Tls => 0.6,
            M::Upstream => 0.4,
            M::Disk => 0.2,
            M::Expired | M::Provider => 0.1,
        })
        .unwrap_or(1.0)
    });
    // Keys that only log fields tell of may not be all that it set.
    let all_logged = change.keys.iter().all(|key| only_logged(change, key));
    let by_keys = by_keys.map(|ratio| if all_logged { ratio.max(1.0) } else { ratio });
    // A pair of keys of different effect explains no worse than its better half.
    [by_keys, by_kind, by_code]
        .into_iter()
        .flatten()
        .fold(None, |best: Option<f64>, ratio| Some(best.map_or(ratio, |best| best.max(ratio))))
        .unwrap_or(1.0)
}

/// A configuration change whose values nothing shows: does the resource's present configuration hold
/// what the errors name?
fn current_setting_named(
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

fn reversal(at: Timestamp, symptom: &Symptom) -> Reversal {
    let minutes = symptom.end.and_then(|end| {
        let ended = symptom.grid.second(end);
        let minutes = (ended - at.as_second()) as f64 / 60.0;
        (-3.0..=15.0).contains(&minutes).then_some(minutes.max(0.0))
    });
    Reversal { at, minutes }
}
