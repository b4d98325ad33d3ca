//! How often verdicts were right, by what people said of them and by whether rollbacks helped.
//!
//! The rule that is not obvious: silence is not consent. A verdict that nobody judged, or that people
//! disagree about, counts for neither side; and a rollback that helped is told beside the verdicts, not
//! as one of them, because undoing the wrong thing may help too.

use serde::{Deserialize, Serialize};

/// What somebody says of a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    Right,
    Wrong,
    /// It was something else, and they may have said what.
    Other,
}

impl Word {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Right => "right",
            Self::Wrong => "wrong",
            Self::Other => "other",
        }
    }
}

/// How many people say what of one verdict, each by their last word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Voices {
    pub right: usize,
    /// Wrong, or something else.
    pub wrong: usize,
}

impl Voices {
    pub fn of(words: impl IntoIterator<Item = Word>) -> Self {
        let mut voices = Self::default();
        for word in words {
            match word {
                Word::Right => voices.right += 1,
                Word::Wrong | Word::Other => voices.wrong += 1,
            }
        }
        voices
    }

    /// `None` where nobody said anything, or as many say the one as the other.
    fn majority(self) -> Option<bool> {
        (self.right != self.wrong).then_some(self.right > self.wrong)
    }
}

/// One verdict for the scorecard.
#[derive(Debug, Clone, Copy)]
pub struct Judged {
    /// 0 to 1.
    pub confidence: f64,
    pub voices: Voices,
}

/// Verdicts of similar confidence.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Band {
    /// The least confidence of the band, 0 to 1; the next band begins where it ends.
    pub from: f64,
    pub verdicts: usize,
    pub right: usize,
    pub wrong: usize,
    /// Nobody said, or people disagree.
    pub unsaid: usize,
}

/// Approved changes that were made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Rollbacks {
    pub made: usize,
    pub helped: usize,
    pub did_not_help: usize,
    /// Not decided yet, or never.
    pub undecided: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Scorecard {
    /// The surest first.
    pub bands: Vec<Band>,
    pub rollbacks: Rollbacks,
}

/// Where bands begin. 0.95 and 0.8 are where reports change from naming to likely; a coin decides at 0.5.
const BANDS: [f64; 4] = [0.95, 0.8, 0.5, 0.0];

/// Counts verdicts and the outcomes of rollbacks; `Some(true)` is one that helped.
pub fn scorecard(
    verdicts: impl IntoIterator<Item = Judged>,
    rollbacks: impl IntoIterator<Item = Option<bool>>,
) -> Scorecard {
    let mut bands = BANDS.map(|from| Band { from, verdicts: 0, right: 0, wrong: 0, unsaid: 0 });
    for verdict in verdicts {
        let confidence = if verdict.confidence.is_finite() { verdict.confidence.max(0.0) } else { 0.0 };
        let Some(band) = bands.iter_mut().find(|band| confidence >= band.from) else { continue };
        band.verdicts += 1;
        match verdict.voices.majority() {
            Some(true) => band.right += 1,
            Some(false) => band.wrong += 1,
            None => band.unsaid += 1,
        }
    }
    let mut outcomes = Rollbacks::default();
    for helped in rollbacks {
        outcomes.made += 1;
        match helped {
            Some(true) => outcomes.helped += 1,
            Some(false) => outcomes.did_not_help += 1,
            None => outcomes.undecided += 1,
        }
    }
    Scorecard { bands: bands.to_vec(), rollbacks: outcomes }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(confidence: f64, words: &[Word]) -> Judged {
        Judged { confidence, voices: Voices::of(words.iter().copied()) }
    }

    #[test]
    fn silence_and_disagreement_count_for_neither_side() {
        let card = scorecard(
            [
                judged(0.97, &[Word::Right, Word::Right, Word::Wrong]),
                judged(0.95, &[Word::Other]),
                judged(0.96, &[]),
                judged(0.99, &[Word::Right, Word::Wrong]),
                judged(0.3, &[Word::Wrong]),
                judged(f64::NAN, &[]),
            ],
            [],
        );
        assert_eq!(card.bands[0], Band { from: 0.95, verdicts: 4, right: 1, wrong: 1, unsaid: 2 });
        assert_eq!(card.bands[3], Band { from: 0.0, verdicts: 2, right: 0, wrong: 1, unsaid: 1 });
    }

    #[test]
    fn rollbacks_are_told_by_whether_they_helped() {
        let card = scorecard([], [Some(true), Some(false), None, Some(true)]);
        assert_eq!(card.rollbacks, Rollbacks { made: 4, helped: 2, did_not_help: 1, undecided: 1 });
    }
}
