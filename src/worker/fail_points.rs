//! The places between a click and the end of its story at which a process can die, one number each.
//!
//! The rule that is not obvious: in production nothing is armed and passing costs one look at an empty
//! option. A test arms one point, and whoever comes to it stops there for good, as a process that was killed
//! does: nothing after it runs, nothing is cleaned up, and the test goes on with another process.

use std::sync::Arc;

use tokio::sync::Notify;

/// Where a process can die, in the order of the story.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Point {
    /// The click is stored, and nobody has looked at it.
    ClickTaken = 1,
    /// It is known who may decide, and nothing is decided.
    RulesKnown = 2,
    /// The decision is stored, and nobody sees it.
    Decided = 3,
    /// The decision is shown, and the click's job is not finished.
    DecisionShown = 4,
    /// The approved change is about to be looked at.
    Approved = 5,
    /// The plan was looked at and still holds.
    Checked = 6,
    /// 'Sent' is on disk, and the call has not left.
    Marked = 7,
    /// AWS answered, and nothing of that is stored.
    Answered = 8,
    /// The answer is in the trail, and its outcome is not stored.
    AnswerNoted = 9,
    /// The outcome is stored, and nobody was told.
    OutcomeStored = 10,
    /// People were told, and the job is not finished.
    OutcomeTold = 11,
    /// The change is in effect, and it is not judged.
    InEffect = 12,
    /// It is judged, and nobody was told.
    Judged = 13,
    /// People were told whether it helped, and the job is not finished.
    JudgementTold = 14,
    /// What AWS holds was read back, and nothing of that is stored.
    ReadBack = 15,
    /// When it took effect is stored, and the symptom is not looked at.
    EffectNoted = 16,
    /// Taking it back is asked for in the database, and nobody sees it.
    UndoAsked = 17,
    /// The decision is stored; that it was made alone is not told.
    Alone = 18,
    /// The time is over in the database, and the message still has its buttons.
    Expired = 19,
}

impl Point {
    /// Those that every approved change that helps comes by.
    pub const OF_A_RECOVERY: [Self; 15] = [
        Self::ClickTaken,
        Self::RulesKnown,
        Self::Decided,
        Self::DecisionShown,
        Self::Approved,
        Self::Checked,
        Self::Marked,
        Self::Answered,
        Self::AnswerNoted,
        Self::OutcomeStored,
        Self::OutcomeTold,
        Self::EffectNoted,
        Self::InEffect,
        Self::Judged,
        Self::JudgementTold,
    ];
}

/// Which point is armed; none by default.
#[derive(Debug, Clone, Default)]
pub struct FailPoints(Option<(Point, Arc<Notify>)>);

impl FailPoints {
    /// Whoever comes to this point stops there; `reached` is notified.
    pub fn armed(point: Point, reached: Arc<Notify>) -> Self {
        Self(Some((point, reached)))
    }

    /// Goes on, or never, where this point is armed.
    pub(super) async fn pass(&self, point: Point) {
        if let Some((armed, reached)) = &self.0
            && *armed == point
        {
            reached.notify_one();
            std::future::pending::<()>().await;
        }
    }
}
