//! `eval --leave-families-out`: what the engine is worth on a family of incidents that nobody fitted anything to.
//!
//! The rule that is not obvious: the engine estimates no number from incidents, so leaving some out changes nothing
//! in it. What could be estimated is laid over it here: how far its odds are to be stretched, and a weight for each
//! cause. They are fitted to all families but one, the one is judged with them, and each in its turn.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::score::{Scoreboard, Scored, Share};
use super::table::share;
use super::truth::Offer;
use crate::analysis::ratios;
use crate::domain::report::{ActionKind, Cause};

/// A right answer of which the engine says nothing has at least this: rows below 0.002 become part of 'unknown'.
const LEAST: f64 = 0.001;
/// The engine's own odds are the prior: a factor of e in the stretch or in a cause's weight costs half a unit of
/// log-likelihood, as a standard deviation does.
const PRIOR: f64 = 1.0;
/// Steps of the ascent at most; it ends where a step gains nothing any more.
const STEPS: usize = 400;
/// A gain in log-likelihood below this is none.
const NOTHING: f64 = 1e-7;
/// From here on an answer is one that people act upon, as the scoreboard counts it.
const SURE: f64 = 0.8;

/// A stretch of the odds (as a logarithm), and a weight for each cause (likewise). All zero is the engine as it is.
type Fit = [f64; 1 + Cause::ALL.len()];

const AS_IT_IS: Fit = [0.0; 1 + Cause::ALL.len()];

fn place(cause: Cause) -> usize {
    1 + Cause::ALL.iter().position(|known| *known == cause).unwrap_or_default()
}

/// A family is what a bundle's name says before its number: `cert-expiry-2`, `leak-00017+canary`.
fn family(name: &str) -> &str {
    let name = name.split('+').next().unwrap_or(name);
    name.trim_end_matches(|letter: char| letter.is_ascii_digit()).trim_end_matches(['-', '.'])
}

/// What a bundle's hypotheses become under a fit: their probabilities, in the report's order.
fn weighed(one: &Scored, fit: &Fit) -> Vec<f64> {
    let stretch = fit[0].exp();
    let logits = one.rows.iter().map(|row| stretch * row.probability.max(LEAST).ln() + fit[place(row.cause)]);
    let logits: Vec<f64> = logits.collect();
    let highest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let masses: Vec<f64> = logits.iter().map(|logit| (logit - highest).exp()).collect();
    let whole: f64 = masses.iter().sum();
    masses.into_iter().map(|mass| mass / whole).collect()
}

/// Log-likelihood of the right answers, with the prior, and its slope.
fn likelihood(all: &[&Scored], fit: &Fit) -> (f64, Fit) {
    let mut value = -fit.iter().map(|one| one * one).sum::<f64>() / (2.0 * PRIOR * PRIOR);
    let mut slope = fit.map(|one| -one / (PRIOR * PRIOR));
    for one in all {
        let masses = weighed(one, fit);
        let right: f64 =
            masses.iter().zip(&one.rows).filter(|(_, row)| row.is_right).map(|(mass, _)| mass).sum();
        if right <= 0.0 {
            // What is right is not among the hypotheses: no fit finds it.
            continue;
        }
        value += right.ln();
        for (mass, row) in masses.iter().zip(&one.rows) {
            let pull = if row.is_right { mass / right - mass } else { -mass };
            slope[0] += pull * fit[0].exp() * row.probability.max(LEAST).ln();
            slope[place(row.cause)] += pull;
        }
    }
    (value, slope)
}

/// Gradient ascent from the engine's own odds; deterministic.
fn fitted(all: &[&Scored]) -> Fit {
    let mut fit = AS_IT_IS;
    let (mut value, mut slope) = likelihood(all, &fit);
    let mut step = 1.0 / all.len().max(1) as f64;
    for _ in 0..STEPS {
        let mut next = fit;
        next.iter_mut().zip(&slope).for_each(|(one, by)| *one += step * by);
        let (reached, its_slope) = likelihood(all, &next);
        if reached < value {
            step /= 2.0;
            continue;
        }
        let gain = reached - value;
        (fit, value, slope) = (next, reached, its_slope);
        step *= 1.2;
        if gain < NOTHING {
            break;
        }
    }
    fit
}

/// A verdict under a fit.
#[derive(Debug, Clone, PartialEq)]
struct Judged {
    name: String,
    said: Option<Cause>,
    confidence: f64,
    is_right: bool,
    harmful_offer: bool,
    missed_offer: bool,
    brier: f64,
}

fn judged(one: &Scored, fit: &Fit) -> Judged {
    let masses = weighed(one, fit);
    let mut best = 0;
    for (index, mass) in masses.iter().enumerate() {
        if *mass > masses[best] {
            best = index;
        }
    }
    let leader = one.rows.get(best);
    let confidence = masses.get(best).copied().unwrap_or(1.0);
    // Who leads now was never asked whether it can be undone: only the engine's own leader keeps its offer.
    let is_offered = one.action == Some(ActionKind::Rollback) && best == 0 && confidence > ratios::OFFER;
    let (right, wrong) = masses.iter().zip(&one.rows).fold((0.0, 0.0), |(right, wrong), (mass, row)| {
        if row.is_right { (right + mass, wrong) } else { (right, wrong + mass * mass) }
    });
    Judged {
        name: one.name.clone(),
        said: leader.map(|row| row.cause),
        confidence,
        is_right: leader.is_some_and(|row| row.is_right),
        harmful_offer: is_offered && one.truth.rollback == Offer::No,
        missed_offer: !is_offered && one.truth.rollback == Offer::Yes,
        brier: (1.0 - right).powi(2) + wrong,
    }
}

/// How the same bundles come out under one way to fit.
#[derive(Debug)]
struct Column {
    judged: Vec<Judged>,
}

impl Column {
    fn count(&self, is: impl Fn(&Judged) -> bool) -> usize {
        self.judged.iter().filter(|one| is(one)).count()
    }

    fn right(&self) -> Share {
        Share::of(self.count(|one| one.is_right), self.judged.len())
    }

    /// Of the answers at 0.8 and more, 'unknown' aside, those that are right.
    fn sure(&self) -> Share {
        let sure =
            |one: &Judged| one.confidence >= SURE && one.said.is_some_and(|said| said != Cause::Unknown);
        Share::of(self.count(|one| sure(one) && one.is_right), self.count(sure))
    }

    fn brier(&self) -> f64 {
        self.judged.iter().map(|one| one.brier).sum::<f64>() / self.judged.len().max(1) as f64
    }
}

/// The bundles as the engine judges them, with a fit to all, and each with a fit that left its family out.
#[derive(Debug)]
pub struct LeftOut {
    families: usize,
    as_it_is: Column,
    on_all: Column,
    without: Column,
}

impl LeftOut {
    pub fn of(board: &Scoreboard) -> Self {
        let all: Vec<&Scored> = board.scored.iter().collect();
        let mut families: BTreeMap<&str, Fit> = all.iter().map(|one| (family(&one.name), AS_IT_IS)).collect();
        for (name, fit) in &mut families {
            let others: Vec<&Scored> = all.iter().copied().filter(|one| family(&one.name) != *name).collect();
            *fit = fitted(&others);
        }
        let on_all = fitted(&all);
        let column = |fit: &dyn Fn(&Scored) -> Fit| Column {
            judged: all.iter().map(|one| judged(one, &fit(one))).collect(),
        };
        Self {
            families: families.len(),
            as_it_is: column(&|_| AS_IT_IS),
            on_all: column(&|_| on_all),
            without: column(&|one| families.get(family(&one.name)).copied().unwrap_or(AS_IT_IS)),
        }
    }

    /// Bundles that are right as the engine judges them and wrong where their family was left out.
    fn added(&self) -> impl Iterator<Item = (&Judged, &Judged)> {
        let pairs = self.as_it_is.judged.iter().zip(&self.without.judged);
        pairs.filter(|(before, after)| before.is_right && !after.is_right)
    }

    fn columns(&self) -> [(&'static str, &Column); 3] {
        [
            ("as it is", &self.as_it_is),
            ("fitted to all", &self.on_all),
            ("fitted without the family", &self.without),
        ]
    }
}

pub fn text(left_out: &LeftOut) -> String {
    let mut out = format!(
        "\nleave one family out: {} families; how far odds are stretched and a weight for each cause are fitted\n",
        left_out.families
    );
    for (name, column) in left_out.columns() {
        out.push_str(&format!(
            "{name}\n  cause and change right    {}\n  right at 0.8 and more     {}\n  Brier score               {:.4}\n  \
             harmful and missed offers {:>4} and {}\n",
            share(column.right()),
            share(column.sure()),
            column.brier(),
            column.count(|one| one.harmful_offer),
            column.count(|one| one.missed_offer)
        ));
    }
    out.push_str(&format!("errors that leaving out adds {:>3}\n", left_out.added().count()));
    for (before, after) in left_out.added() {
        let said = |one: &Judged| one.said.map_or("nothing", Cause::as_str);
        out.push_str(&format!(
            "  {}: {} {:.2} became {} {:.2}\n",
            before.name,
            said(before),
            before.confidence,
            said(after),
            after.confidence
        ));
    }
    out
}

pub fn json(left_out: &LeftOut) -> Value {
    let columns: serde_json::Map<String, Value> = left_out
        .columns()
        .into_iter()
        .map(|(name, column)| {
            let (right, sure) = (column.right(), column.sure());
            let told = json!({
                "right": {"hits": right.hits, "of": right.of, "low": right.low, "high": right.high},
                "right_at_0_8": {"hits": sure.hits, "of": sure.of, "low": sure.low, "high": sure.high},
                "brier": column.brier(),
                "harmful_offers": column.count(|one| one.harmful_offer),
                "missed_offers": column.count(|one| one.missed_offer),
            });
            (name.replace(' ', "_"), told)
        })
        .collect();
    json!({
        "families": left_out.families,
        "fits": columns,
        "errors_added": left_out.added().map(|(before, _)| before.name.clone()).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::score::Row;
    use super::*;

    fn bundle(name: &str, rows: &[(Cause, bool, f64)]) -> Scored {
        let mut one = Scored::unread(name);
        one.rows =
            rows.iter().map(|&(cause, is_right, probability)| Row { cause, is_right, probability }).collect();
        one
    }

    #[test]
    fn a_family_is_what_stands_before_the_number() {
        assert_eq!(family("cert-expiry-12"), "cert-expiry");
        assert_eq!(family("leak-00017+canary-2"), "leak");
        assert_eq!(family("petshop_ssm_latency-low.3"), "petshop_ssm_latency-low");
    }

    #[test]
    fn without_a_fit_everything_is_as_the_engine_says() {
        let one = bundle("a-1", &[(Cause::Traffic, true, 0.7), (Cause::Unknown, false, 0.3)]);
        let told = weighed(&one, &AS_IT_IS);
        assert!((told[0] - 0.7).abs() < 1e-9 && (told[1] - 0.3).abs() < 1e-9, "{told:?}");
    }

    #[test]
    fn modest_answers_that_are_all_right_are_stretched() {
        let modest: Vec<Scored> = (0..40)
            .map(|number| {
                bundle(&format!("a-{number}"), &[(Cause::Traffic, true, 0.6), (Cause::Unknown, false, 0.4)])
            })
            .collect();
        let fit = fitted(&modest.iter().collect::<Vec<_>>());
        assert!(weighed(&modest[0], &fit)[0] > 0.9, "{fit:?}");
    }

    /// A cause whose only family is left out is one that the fit has never seen to be right.
    #[test]
    fn a_close_verdict_of_a_family_that_was_left_out_can_fall() {
        let mut all: Vec<Scored> = (0..60)
            .map(|number| {
                bundle(
                    &format!("b-{number}"),
                    &[(Cause::Dependency, true, 0.9), (Cause::Traffic, false, 0.1)],
                )
            })
            .collect();
        all.push(bundle("c-1", &[(Cause::Traffic, true, 0.51), (Cause::Dependency, false, 0.49)]));
        let left_out = LeftOut::of(&Scoreboard { scored: all });
        assert_eq!(left_out.families, 2);
        assert_eq!(left_out.added().map(|(before, _)| before.name.as_str()).collect::<Vec<_>>(), ["c-1"]);
        assert!(text(&left_out).contains("c-1: traffic 0.51 became dependency"), "{}", text(&left_out));
    }
}
