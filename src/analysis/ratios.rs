//! Every number that the weighing uses, in one place, each with its reason.
//!
//! None is fitted to a case. Rates are per minute; likelihood ratios of soft evidence are capped at
//! [`CAP`] in both directions, because families of evidence are not independent of each other.

use crate::domain::change::{ChangeKind, Relation};

/// The most that one family of soft evidence may move the odds (field practice: about ten).
pub const CAP: f64 = 10.0;
/// The most that failures split by version within the same minutes may move them: a controlled
/// experiment, the strongest evidence there is short of undoing the change.
pub const SPLIT_CAP: f64 = 30.0;

/// The same where the earlier version, tried with a share of the traffic, fails as well, and the errors tell of what
/// versions share (a pool, a time limit, load): the version that serves may have used it up for both.
pub const TRIAL_SHARED: f64 = 0.5;

/// What it adds that a new error repeats the new value itself, a name that was nowhere before: no other
/// cause puts it there, so it is no soft evidence. With [`CAP`] one to fifty.
pub const QUOTED: f64 = 5.0;

/// Share of changes that start an incident of the service they belong to. Gandalf (NSDI 2020) and
/// DORA's change failure rates put it at some percent; flags and limits act at once on everybody.
pub fn hazard(kind: &ChangeKind) -> f64 {
    match kind {
        ChangeKind::Appconfig | ChangeKind::LambdaConcurrency => 0.04,
        ChangeKind::LambdaCode
        | ChangeKind::LambdaConfig
        | ChangeKind::LambdaAlias
        | ChangeKind::EcsDeployment
        | ChangeKind::SecurityGroup
        | ChangeKind::Network
        | ChangeKind::Secret
        | ChangeKind::DatabaseParameter
        | ChangeKind::Stack => 0.03,
        ChangeKind::SsmParameter | ChangeKind::IamPolicy => 0.02,
        ChangeKind::Schedule => 0.01,
        ChangeKind::Other => 0.002,
    }
}

/// How far a change's owner is from the service: what does not call or feed it rarely breaks it.
pub fn relevance(relation: &Relation) -> f64 {
    match relation {
        Relation::Own => 1.0,
        Relation::Shared => 0.5,
        Relation::Dependency(_) => 0.15,
        // There are hundreds of these a day: each has to be worth next to nothing.
        Relation::Peer(_) => 2e-4,
        Relation::Unconnected => 5e-5,
    }
}

/// How long after its effect a change starts its incident: a mixture of exponentials with means of
/// 2, 20 and 240 minutes (at once; with caches, pools and load; latent). Density per minute.
pub fn change_lag(minutes: f64) -> f64 {
    mixture(minutes, &[(0.55, 2.0), (0.30, 20.0), (0.15, 240.0)])
}

/// The same where an error repeats the change's own value: what is used once a night or at the height of the
/// day breaks only then, so the hours in between say little. A quarter has a mean of twelve hours.
pub fn latent_lag(minutes: f64) -> f64 {
    mixture(minutes, &[(0.45, 2.0), (0.30, 20.0), (0.25, 720.0)])
}

/// The same for what acts directly: a surge, a failing dependency, an expired certificate.
pub fn trigger_lag(minutes: f64) -> f64 {
    mixture(minutes, &[(0.75, 2.0), (0.20, 10.0), (0.05, 60.0)])
}

fn mixture(minutes: f64, parts: &[(f64, f64)]) -> f64 {
    if minutes < 0.0 {
        return 0.0;
    }
    parts.iter().map(|(share, mean)| share / mean * libm::exp(-minutes / mean)).sum()
}

/// Incidents per minute with nothing visible behind them: about one in ten weeks for a service, so
/// that with two deployments a day two thirds of incidents are a change's (Google's post-mortems: 68 %).
const BACKGROUND: f64 = 1e-5;
pub const BACKGROUND_TRAFFIC: f64 = 0.20 * BACKGROUND;
pub const BACKGROUND_DEPENDENCY: f64 = 0.25 * BACKGROUND;
pub const BACKGROUND_EXHAUSTION: f64 = 0.13 * BACKGROUND;
pub const BACKGROUND_EXPIRY: f64 = 0.05 * BACKGROUND;
pub const BACKGROUND_PLATFORM: f64 = 0.07 * BACKGROUND;
pub const BACKGROUND_UNKNOWN: f64 = 0.30 * BACKGROUND;
/// The rate per minute, an alert having fired, of beginnings that no change prompted. It follows from where a rise is as
/// likely as chance ([`SIGNIFICANT`](super::metrics::trouble::SIGNIFICANT) less one nat: e to the minus eighth), and is
/// what a change's own rate is held against: one that starts incidents ten times as often makes up for as much strength.
pub const UNPROMPTED: f64 = 3.4e-4;
/// Of what is unknown, the part that a change explains which could not be read.
pub const UNSEEN_CHANGE: f64 = 0.35;
/// Of everything else, the part that becomes unknown where nobody read the history of the service's own
/// functions or tasks: rollouts then last as long as rollouts usually do, which is some minutes wrong.
pub const UNREAD_HISTORY: f64 = 0.03;
/// The least prior share of 'unknown', whatever the candidates.
pub const UNKNOWN_FLOOR: f64 = 0.10;

/// A counterpart that nothing measures, named by the service's own errors: the chance that one call of that kind in some
/// hundred minutes fails for its sake. Where it answered with a failure of its own, or lines that name others go well, the
/// errors are more than a complaint: four times that.
pub const NAMED_BY_ERRORS: f64 = 2e-3;
pub const ANSWERED_WITH_A_FAILURE: f64 = 4.0 * NAMED_BY_ERRORS;
/// Of it, what is left where hosts of several owners are named at once: what they share is the way to them.
pub const SCATTERED: f64 = 0.15;
/// An outage that the series show and the errors name as well: two witnesses, not wholly independent. Of 313 verdicts that
/// rest on both all were right (at least 98.8 %, Wilson); the eighth of the floor of 'unknown' that is left says that.
pub const SEEN_AND_NAMED: f64 = 8.0;
/// Of the rate of a dependency, what is left where at least two unrelated services fail in the same minutes.
pub const ONE_OF_MANY: f64 = 0.1;
/// The same where most failing lines tell of the program itself.
pub const OWN_FAULT: f64 = 0.3;

/// Chance that a seen trigger breaks the service, were it alone.
pub const SURGE_HURTS: f64 = 0.4;
pub const DEPENDENCY_HURTS: f64 = 0.7;
pub const ZONE_HURTS: f64 = 0.8;
pub const EXPIRY_HURTS: f64 = 0.9;
pub const LIMIT_HURTS: f64 = 0.6;

/// A cause whose sign was looked for and not seen, its source being read: one in twenty hides.
pub const SIGN_ABSENT: f64 = 0.05;

/// A change that alters nothing (same code, same configuration) or only labels and log levels can
/// still break something by restarting it; that is rare.
pub const NO_OP: f64 = 0.005;
pub const INERT: f64 = 0.04;

/// A change of settings all of which moved away from what fails (more of what is short, a permission that was given, a rule
/// of other ports) can still break something by restarting it, as [`INERT`] says, or in a way that the tables do not know:
/// half as much again.
pub const EASES: f64 = 1.5 * INERT;
/// A change that was undone, everybody having had the time to read that, before the symptom began: what it left behind
/// (a message, a row, a lock) is all that can hurt, whatever its settings would explain.
pub const UNDONE_BEFORE: f64 = 0.5 * INERT;
/// A change that brings back what ran until the day it was replaced: it ran well, so that the restart, or what was left
/// for it meanwhile, has to be at fault.
pub const RETURNS: f64 = INERT;

/// A key that explains the failure was changed, and a log field of its name still shows the old value: the
/// program has not read it, or the field tells of something else, which is the likelier one in four.
pub const SETTING_STAYS: f64 = 0.3;

/// More requests fail than a canary gets: it can have hurt the others only through something that all
/// versions share, and the errors speak of no such thing.
pub const CANARY_EXCEEDED: f64 = 0.2;

/// Services that have nothing to do with this one rise by as much in the same minutes: whatever it is reaches
/// them all, which a change of its own does once in ten such incidents at most.
pub const CONTROLS_RISE: f64 = 0.1;
/// They stay calm: so they do under most causes but the provider's and a surge that reaches everybody, and
/// the provider's own sign has counted that already.
pub const CONTROLS_CALM: f64 = 1.3;

/// The symptom ended within minutes of the change being undone, or did not.
pub const REVERSAL: f64 = 20.0;
pub const REVERSAL_FAILED: f64 = 0.05;

/// The ceiling for a change of something that the service only calls or shares, without a mechanism
/// and without logs.
pub const DISTANT: f64 = 0.5;

/// Ceilings on confidence. This one is for a change for which nothing but timing speaks, where the symptom
/// began in the very minutes of its effect and every other cause was looked for and not seen: of 220 such
/// verdicts on generated incidents and on a stranger's, all were right (at least 98 %, Wilson). No more than
/// [`WITHOUT_PROOF`], which it is.
pub const TIMING_ALONE: f64 = 0.97;

/// It falls to a half with the minutes that the change ran without the symptom: code and configuration
/// act at once on the traffic that they reach, and deployments that ran well for ten minutes and more
/// stand beside every incident of another cause.
pub fn timing_alone(minutes: f64) -> f64 {
    0.5 + (TIMING_ALONE - 0.5) * libm::exp(-minutes.max(0.0) / 8.0)
}
pub const SOURCE_MISSING: f64 = 0.60;
/// Without logs nobody has said how requests fail.
pub const WITHOUT_LOGS: f64 = 0.72;
/// A cause that is no change, by one sign only: of 190 such verdicts on generated incidents and on a stranger's, all
/// were right (at least 98 %, Wilson), and of the stranger's alone 26 of 26.
pub const ONE_SIGN: f64 = 0.97;
/// One sign that a dependency fails, right after a change of the caller's own or of the network between:
/// whoever asks too much, asks wrongly or is cut off sees the other fail as well.
pub const BESIDE_A_CHANGE: f64 = 0.78;
/// The same by two and more: nobody undid anything to prove it.
pub const NO_CHANGE_PROVEN: f64 = 0.985;
/// The same minutes of an earlier day looked alike: a coincidence of that kind is rare.
pub const HABIT_SEEN: f64 = 0.96;
/// The symptom ended by itself some minutes ago: what is left is to say so.
pub const OVER_ALREADY: f64 = 0.895;
/// What follows decides between 'nothing happened' and 'not decided', each by the side of a half on which it stands; where on
/// that side changes confidence alone. Judgements, not measured: how many alerts are about nothing differs by team.
///
/// Of alerts on which nothing moves that is counted, those about something that is not: a page that renders wrong, users
/// who never arrive.
pub const QUIET: f64 = 0.08;
/// The same where there are too few requests to tell: one that failed is the likeliest reason of the alert, and what they
/// do not show is open.
pub const FEW: f64 = 1.0 - TOO_FEW_REQUESTS;
/// Nothing was read up to now that could have shown it: 'nothing happened' may not lead by what nobody saw.
pub const UNREAD: f64 = 0.6;
/// A rise in log lines alone, while series that count failures show none: a sample, chosen by somebody's log level.
pub const BY_LINES: f64 = 0.7;
/// The least odds of a rise that has a second witness: an alert on its very series, error lines or lines of a kind never
/// seen in the same minutes. It need not stand out of the whole window then, and is no certainty either.
pub const WITNESSED: f64 = 4.5;
/// A count of hundreds that rose clear of chance.
pub const SUREST: f64 = 0.995;
/// Error lines rose and nothing else did, in series that were read; a counter under a name of its own may
/// be the failures.
pub const ONLY_TELEMETRY: f64 = 0.92;
/// No failures and no slowness, but what the service counts of its own work fell by a fifth and more for the same requests:
/// customers may be hurt in a way that nothing here measures, so that 'no incident' is the smaller part.
pub const NONE_BESIDE_A_SAG: f64 = 0.3;
/// Of what keeps a count down for the same requests, the part that no change of the service's own is asked about: a page that
/// another team draws, a campaign that ended, a provider whose page customers leave. Half, since nothing tells.
pub const OPEN_BESIDE_A_SAG: f64 = 0.5;
/// Requests that ceased, as an alert or a change in the same minutes says: one time in ten it was meant so.
pub const NONE_BESIDE_A_COLLAPSE: f64 = 0.1;
/// Failures that were high from the first period on: one alert in ten is about a level that everybody knows.
pub const NONE_WHERE_IT_STANDS: f64 = 0.1;
/// 'No incident' with too few requests to tell.
pub const TOO_FEW_REQUESTS: f64 = 0.78;
/// The provider, by calls that it throttles: that a rate was exceeded is said, and not by whom.
pub const ONLY_THROTTLED: f64 = 0.9;
/// A mechanism fits and nothing shows it with values, by version or by undoing it.
pub const WITHOUT_PROOF: f64 = 0.97;
pub const HIGHEST: f64 = 0.99;

/// Above this a rollback is offered: the named change is likelier than everything else together. A verdict that is held at
/// [`SOURCE_MISSING`] stands right here and gets none: what was not read could have shown another cause, or a change on top.
pub const OFFER: f64 = 0.60;

#[cfg(test)]
mod tests {
    use super::*;

    /// Ceilings move mass to 'unknown' only, so at a half and more whoever led goes on leading.
    #[test]
    fn no_ceiling_changes_which_verdict_it_is() {
        for ceiling in [
            DISTANT,
            TIMING_ALONE,
            timing_alone(1e6),
            SOURCE_MISSING,
            WITHOUT_LOGS,
            ONE_SIGN,
            BESIDE_A_CHANGE,
            NO_CHANGE_PROVEN,
            TOO_FEW_REQUESTS,
            ONLY_THROTTLED,
            WITHOUT_PROOF,
            HIGHEST,
        ] {
            assert!((0.5..1.0).contains(&ceiling), "{ceiling}");
        }
    }

    /// Nothing that was not seen may be called nothing, and nothing that was seen to be well an incident.
    #[test]
    fn what_decides_between_nothing_and_undecided_stands_on_its_side_of_a_half() {
        for seen_to_be_well in [1.0 - QUIET, 1.0 - FEW, ONLY_TELEMETRY, TOO_FEW_REQUESTS] {
            assert!(seen_to_be_well > 0.5, "{seen_to_be_well}");
        }
        let by_a_witness = 1.0 - WITNESSED / (1.0 + WITNESSED);
        let nothing = [
            1.0 - UNREAD,
            1.0 - BY_LINES,
            1.0 - SUREST,
            by_a_witness,
            NONE_BESIDE_A_SAG,
            NONE_BESIDE_A_COLLAPSE,
            NONE_WHERE_IT_STANDS,
        ];
        for not_seen in nothing {
            assert!(not_seen < 0.5, "{not_seen}");
        }
        // What is left open beside a sag outweighs that it is nothing.
        const { assert!((1.0 - NONE_BESIDE_A_SAG) * OPEN_BESIDE_A_SAG > NONE_BESIDE_A_SAG) }
    }

    #[test]
    fn lags_are_densities() {
        for density in [change_lag, latent_lag, trigger_lag] {
            let sum: f64 = (0..200_000).map(|step| density(f64::from(step) * 0.05 + 0.025) * 0.05).sum();
            assert!((sum - 1.0).abs() < 0.01, "{sum}");
            assert!(density(-0.1) < f64::EPSILON);
            assert!(density(1.0) > density(30.0));
        }
    }
}
