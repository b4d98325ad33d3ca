//! Whether a small test would tell the two likeliest changes apart, and what a test that was made says of a change.
//!
//! The rule that is not obvious: a test is worth its one request in twenty only where exactly one of the two changes
//! lies between the two versions, the other meets both, and the traffic is enough to see the difference. What is not
//! offered says why.

use super::decide::newer_on_top;
use super::failure::Failure;
use super::metrics::{Manner, Metrics, Track};
use super::narrate;
use super::ratios;
use super::suspects::Suspect;
use super::symptom::Symptom;
use super::weigh::{Weighed, indistinct};
use crate::domain::change::{Change, Relation};
use crate::domain::evidence::Evidence;
use crate::domain::recovery::percent;
use crate::domain::redact;
use crate::domain::rollback::RollbackTarget;
use crate::domain::trial::{self, Design, Trial, Word, requests_expected, requests_needed};

/// A test that may be offered, and the change that it undoes for a share of the traffic.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposal {
    pub design: Design,
    pub change: Change,
}

/// What a test says of the change that lies between its two versions.
#[derive(Debug, Clone, PartialEq)]
pub struct Tried<'e> {
    pub trial: &'e Trial,
    pub ratio: f64,
}

/// The newest test of this change that told something: what tells nothing weighs nothing.
pub fn of<'e>(change: &Change, failure: &Failure, trials: &'e [Trial]) -> Option<Tried<'e>> {
    let between = |trial: &&Trial| {
        let Design { function, current, earlier, .. } = &trial.design;
        change.relation == Relation::Own
            && change.resource == *function
            && change.from_version.as_ref() == Some(earlier)
            && change.to_version.as_ref() == Some(current)
    };
    let trial = trials.iter().rev().filter(between).find(|trial| trial.word() != Word::Undecided)?;
    let mut ratio = trial.likelihood_ratio().clamp(1.0 / ratios::SPLIT_CAP, ratios::SPLIT_CAP);
    if failure.is_about_sharing() {
        ratio = ratio.max(ratios::TRIAL_SHARED);
    }
    Some(Tried { trial, ratio })
}

/// A test that would tell the two likeliest changes apart, or why none would. `None` where there are no two such changes.
pub fn propose(
    weighed: &Weighed,
    suspects: &[Suspect<'_>],
    symptom: &Symptom,
    metrics: Option<&Metrics>,
    evidence: &Evidence,
) -> Option<Result<Proposal, String>> {
    let [first, second, ..] = weighed.rows.as_slice() else { return None };
    if !indistinct(&weighed.rows) || weighed.over {
        return None;
    }
    let (one, other) = (suspects.get(first.suspect?)?, suspects.get(second.suspect?)?);
    if one.change.undone_at.is_some() {
        return None;
    }
    // What is neither of the two has to be less likely than what a rollback is refused for.
    if first.probability + second.probability <= ratios::OFFER {
        return Some(Err("beside the two changes other causes are too likely".to_owned()));
    }
    let carried = match (step_of(one, suspects, evidence), step_of(other, suspects, evidence)) {
        (Ok(step), _) => (one, other, step),
        (_, Ok(step)) => (other, one, step),
        (Err(Not::Other), Err(why)) | (Err(why), _) => return Some(Err(why.in_words())),
    };
    Some(design(carried, symptom, metrics))
}

/// Why no version takes a share of the traffic.
enum Not {
    /// The change is of another kind.
    Other,
    Because(String),
}

impl Not {
    fn in_words(self) -> String {
        match self {
            Self::Other => "neither of the two is a step between versions behind an alias, of which one could get a share of the traffic".to_owned(),
            Self::Because(why) => why,
        }
    }
}

/// The alias that could send a share of its traffic to the version before this change.
struct Step<'s> {
    function: &'s str,
    alias: &'s str,
    current: &'s str,
    earlier: &'s str,
}

fn step_of<'s>(
    suspect: &'s Suspect<'_>,
    suspects: &[Suspect<'_>],
    evidence: &Evidence,
) -> Result<Step<'s>, Not> {
    let change = suspect.change;
    let Ok(RollbackTarget::LambdaAlias {
        function,
        alias,
        from_version,
        to_version,
        from_weights,
        to_weights,
        ..
    }) = &change.undo
    else {
        return Err(Not::Other);
    };
    let because = |why: String| Err(Not::Because(why));
    if change.relation != Relation::Own {
        return because(format!(
            "{function} is another service's, whose traffic is not this one's to share out"
        ));
    }
    if [from_version, to_version].iter().any(|version| *version == "$LATEST") {
        return because(format!("{alias} points to $LATEST, beside which AWS takes no shares"));
    }
    if !from_weights.is_empty() || !to_weights.is_empty() {
        return because(format!("{alias} shares its traffic out between versions already"));
    }
    if suspect.schema.is_some() {
        return because(format!(
            "version {to_version} may not work with the database as the release left it"
        ));
    }
    if newer_on_top(suspect, suspects).is_some() {
        return because(format!("a newer change of {function} lies between the two versions as well"));
    }
    let same = |trial: &Trial| {
        let Design { current, earlier, .. } = &trial.design;
        trial.design.function == *function && current == from_version && earlier == to_version
    };
    if evidence.trials.iter().any(same) {
        return because(format!("version {to_version} was tried already"));
    }
    Ok(Step { function, alias, current: from_version, earlier: to_version })
}

fn design(
    (suspect, other, step): (&Suspect<'_>, &Suspect<'_>, Step<'_>),
    symptom: &Symptom,
    metrics: Option<&Metrics>,
) -> Result<Proposal, String> {
    let Step { function, alias, current, earlier } = step;
    let failing = symptom.primary.as_ref().is_some_and(|primary| primary.manner == Manner::Failing);
    let levels = metrics.filter(|_| failing).and_then(|metrics| levels(metrics, function, symptom));
    let Some(Levels { before, during, a_minute }) = levels else {
        return Err(format!(
            "Lambda does not count what is wrong as errors of {function}, by which versions differ"
        ));
    };
    let expected = requests_expected(a_minute);
    let needed = requests_needed(before, during);
    let few = |needed: String| {
        format!(
            "of {} no more than {expected} requests in {} are sure, and {needed} to tell {} of failures from {}",
            trial::share(),
            trial::minutes(),
            percent(during),
            percent(before)
        )
    };
    let needed = match needed {
        None => return Err(few("thousands are needed".to_owned())),
        Some(needed) if needed > expected => return Err(few(format!("{needed} are needed"))),
        Some(needed) => needed,
    };
    let what = |suspect: &Suspect<'_>| redact::text(&narrate::what(suspect));
    let design = Design {
        function: function.to_owned(),
        alias: alias.to_owned(),
        current: current.to_owned(),
        earlier: earlier.to_owned(),
        change: what(suspect),
        other: what(other),
        if_change: before,
        if_other: during,
        needed,
        expected,
    };
    Ok(Proposal { design, change: suspect.change.clone() })
}

/// How a function's requests fail by Lambda's own count, and how many of them there are.
struct Levels {
    before: f64,
    during: f64,
    /// Requests a minute, lately.
    a_minute: f64,
}

fn levels(metrics: &Metrics, function: &str, symptom: &Symptom) -> Option<Levels> {
    /// The traffic of now is that of the last minutes.
    const LATELY: i64 = 10;
    let is_its = |track: &&Track| {
        track.namespace == "AWS/Lambda"
            && track.stat == "Sum"
            && matches!(track.dimensions.as_slice(), [(name, value)] if name == "FunctionName" && value == function)
    };
    let find =
        |metric: &str| metrics.own()?.tracks.iter().filter(is_its).find(|track| track.metric == metric);
    let (errors, requests) = (find("Errors")?, find("Invocations")?);
    let share = |from: usize, to: usize| {
        let pairs = errors.values.get(from..to)?.iter().zip(requests.values.get(from..to)?);
        let known = pairs.filter_map(|(failed, all)| Some((failed.unwrap_or_default(), (*all)?)));
        let (failed, all) = known.fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        (all > 0.0).then(|| failed / all)
    };
    let grid = metrics.grid;
    let before = share(0, symptom.first)?;
    let during = share(symptom.begin, grid.len)?;
    let lately = requests.values.get(grid.len.saturating_sub(grid.periods(LATELY))..)?;
    let counts: Vec<f64> = lately.iter().flatten().copied().collect();
    let mean = counts.iter().sum::<f64>() / counts.len().max(1) as f64;
    // Less than this is no rise of what Lambda counts, whatever else rose.
    (during - before >= 0.01).then_some(Levels { before, during, a_minute: mean * 60.0 / grid.step as f64 })
}
